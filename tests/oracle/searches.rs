//! Filters, orders and pages: what the databases find is what the evaluator in memory finds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scimd::scim::filter::matches;
use scimd::scim::key::Key;
use scimd::scim::query::{Page, Paging, Query, Sort};
use scimd::scim::query_string::Parameters;
use scimd::scim::schema::{Registry, ResourceType, Role};
use scimd::scim::{ErrorKind, Profile};
use scimd::store::search::{Scope, Search, search};
use serde_json::Value;

use crate::filters::{Vocabulary, assigned};
use crate::population::Population;
use crate::random::Random;
use crate::world::{self, BASE_URL, Body, Side};
use crate::{first_seed, population_seed, rounds};

const CASES: u64 = 700;
const SIZE: usize = 200;

/// Filters, with what to sort by, that were once answered wrongly, each on all types.
const REMEMBERED: [(&str, Option<&str>); 10] = [
    (r#"meta.lastModified eq "2026-02-25T06:13:22.277000001Z""#, None),
    (r#"meta.created ge "2026-02-25T06:13:20.000000001Z""#, None),
    (r#"meta.created lt "2026-02-25T06:13:22.331000999Z""#, None),
    (r#"meta.created gt "2016-12-31T23:59:60Z""#, None),
    (r#"schemas[value eq "urn:ietf:params:scim:schemas:core:2.0:User"]"#, None),
    (r#"schemas[not (value sw "urn:ietf:params:scim:schemas:extension")]"#, None),
    (r#"schemas[value pr]"#, None),
    (r#"userName eq "nobody""#, Some("groups.value")),
    (r#"meta.version ge "_""#, None),
    ("id pr", Some("meta.location")),
];

/// The number of all that match, and the ids on the page.
type Outcome = Result<(u64, Vec<String>), ErrorKind>;

pub struct Case {
    pub seed: u64,
    pub parameters: Parameters,
    pub queries: Vec<Query>,
}

impl Case {
    pub fn new(seed: u64, parameters: Parameters, types: &[&'static ResourceType]) -> Case {
        let queries = Query::resolve_over(&parameters, types, Profile::Strict)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}\n{parameters:#?}"));
        Case { seed, parameters, queries }
    }

    fn random(seed: u64, vocabularies: &[(Vec<&'static ResourceType>, Vocabulary)]) -> Case {
        let mut random = Random::new(seed);
        let (types, vocabulary) = random.pick(vocabularies);
        let mut parameters = Parameters { count: Some("1000".to_owned()), ..Parameters::default() };
        if random.chance(97) {
            parameters.filter = Some(vocabulary.filter(&mut random));
        }
        if random.chance(30) {
            parameters.sort_by = Some(vocabulary.sort_by(&mut random));
            parameters.sort_order = random.chance(50).then(|| "descending".to_owned());
        }
        // Most searches show a part: the total covers the rest, and documents are slow to read.
        if random.chance(75) {
            parameters.start_index = Some(random.below(60).to_string());
            parameters.count = Some(random.below(30).to_string());
        }
        Case::new(seed, parameters, types)
    }

    fn page(&self) -> Page {
        match self.queries[0].page {
            Paging::Index(page) => page,
            Paging::Cursor(_) => panic!("no case has a cursor"),
        }
    }
}

#[test]
fn flt_36_both_databases_find_what_the_evaluator_finds() {
    let population = Population::new(&mut Random::new(population_seed()), SIZE);
    let sides = world::both(&population);
    let [representations, others] = sides.each_ref().map(Side::representations);
    for (representation, other) in representations.iter().zip(&others) {
        assert_eq!(representation, other, "the databases show the same");
    }
    assert_eq!(representations.len(), others.len());
    assert_groups_follow_members(&representations);

    let types = Registry::builtin().resource_types();
    let vocabularies: Vec<(Vec<&'static ResourceType>, Vocabulary)> = [vec![types[0]], vec![types[1]], types.to_vec()]
        .into_iter()
        .map(|types| (types.clone(), Vocabulary::new(&types, &representations)))
        .collect();
    let seeds = first_seed()..first_seed() + CASES * rounds();
    let remembered = REMEMBERED.iter().map(|(filter, sort_by)| {
        let filter = Some((*filter).to_owned());
        Case::new(0, Parameters { filter, sort_by: sort_by.map(str::to_owned), ..Parameters::default() }, types)
    });
    let cases: Arc<Vec<Case>> =
        Arc::new(remembered.chain(seeds.map(|seed| Case::random(seed, &vocabularies))).collect());

    let [found, found_other, expected] = std::thread::scope(|scope| {
        let [first, second] = sides.each_ref().map(|side| {
            let cases = Arc::clone(&cases);
            scope.spawn(move || found(side, cases))
        });
        let expected = cases.iter().map(|case| expected(case, &representations)).collect();
        [first.join().unwrap(), second.join().unwrap(), expected]
    });
    let mut matching = 0;
    let mut failures = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        for (side, found) in sides.iter().zip([&found[index], &found_other[index]]) {
            failures.extend(difference(case, side.name, found, &expected[index], &representations));
        }
        let total = expected[index].as_ref().map_or(0, |(total, _)| *total);
        matching += u64::from(total > 0 && total < representations.len() as u64);
    }
    failures.sort_by_key(String::len);
    assert!(
        failures.is_empty(),
        "{} answers are wrong; the shortest ones:\n{}",
        failures.len(),
        failures[..failures.len().min(6)].join("\n\n")
    );
    assert!(matching * 2 > cases.len() as u64, "only {matching} filters tell some resources from others");
}

fn found(side: &Side, cases: Arc<Vec<Case>>) -> Vec<Outcome> {
    let tenant_id = side.tenant_id;
    side.read(move |connection| {
        let found = cases.iter().map(|case| {
            let first = &case.queries[0];
            let search_for = Search {
                tenant_id,
                scopes: case.queries.iter().map(scope).collect(),
                sort: first.sort.as_ref(),
                registry: scimd::scim::schema::Registry::builtin(),
                base_url: BASE_URL,
            };
            let found = search(connection, &search_for, case.page());
            if let Err(error) = &found
                && error.kind() != ErrorKind::InvalidValue
            {
                panic!("seed {}: {error:?}\n{:#?}", case.seed, case.parameters);
            }
            found
                .map(|found| (found.total, found.resources.into_iter().map(|resource| resource.id).collect()))
                .map_err(|error| error.kind())
        });
        Ok(found.collect())
    })
}

pub fn scope(query: &Query) -> Scope<'_> {
    Scope { resource_type: query.resource_type, condition: query.condition.as_ref() }
}

fn expected(case: &Case, representations: &[Body]) -> Outcome {
    let matching = expected_order(case, representations)?;
    let total = matching.len() as u64;
    let offset = usize::try_from(case.page().offset()).unwrap();
    Ok((total, matching.into_iter().skip(offset).take(case.page().count).collect()))
}

/// The ids of all that match, in order.
pub fn expected_order(case: &Case, representations: &[Body]) -> Result<Vec<String>, ErrorKind> {
    let first = &case.queries[0];
    if let Some(sort) = &first.sort
        && matches!(sort.attribute.role(), Role::Schemas | Role::Members | Role::Groups | Role::Referenced)
    {
        return Err(ErrorKind::InvalidValue);
    }
    let mut matching: Vec<&Body> = representations
        .iter()
        .filter(|representation| {
            let of_type = |query: &&Query| representation["meta"]["resourceType"] == query.resource_type.name.as_str();
            let query = case.queries.iter().find(of_type);
            query.is_some_and(|query| {
                query.condition.as_ref().is_none_or(|condition| matches(condition, representation))
            })
        })
        .collect();
    if let Some(sort) = &first.sort {
        sort_by(&mut matching, sort);
    }
    Ok(matching.into_iter().map(|representation| id(representation).to_owned()).collect())
}

/// By key; those without a value last, and first when descending (SORT-03); stable, so ties stay in the order of
/// creation.
fn sort_by(representations: &mut [&Body], sort: &Sort) {
    representations.sort_by(|left, right| {
        let [left, right] = [left, right].map(|representation| sort_key(sort, representation));
        let order = (left.is_none(), left).cmp(&(right.is_none(), right));
        if sort.descending { order.reverse() } else { order }
    });
}

/// A number first where the key is one: versions count.
fn sort_key(sort: &Sort, representation: &Body) -> Option<(usize, Key)> {
    let value = assigned(sort.attribute, representation)?;
    let element = match value.as_array() {
        Some(elements) => {
            let is_primary = |element: &&Value| element.get("primary") == Some(&Value::Bool(true));
            elements.iter().find(is_primary).or(elements.first())?
        }
        None => value,
    };
    let part = sort.attribute.sub_attribute.map_or(Some(element), |part| element.get(&part.name))?;
    let key = Key::of_stored(sort.attribute.leaf(), part)?;
    let number = if sort.attribute.role() == Role::Version { key.as_str().parse().unwrap() } else { 0 };
    Some((number, key))
}

fn difference(
    case: &Case,
    side: &str,
    found: &Outcome,
    expected: &Outcome,
    representations: &[Body],
) -> Option<String> {
    if found == expected {
        return None;
    }
    let ids = |outcome: &Outcome| -> BTreeSet<String> {
        outcome.as_ref().map(|(_, ids)| ids.iter().cloned().collect()).unwrap_or_default()
    };
    let (found_ids, expected_ids) = (ids(found), ids(expected));
    let differing: Vec<String> = found_ids
        .symmetric_difference(&expected_ids)
        .filter_map(|differing| representations.iter().find(|representation| id(representation) == differing))
        .take(2)
        .map(|representation| {
            let sign = if found_ids.contains(id(representation)) { "too many" } else { "missing" };
            format!("{sign}: {}", serde_json::to_string(representation).unwrap())
        })
        .collect();
    Some(format!(
        "{side} disagrees with memory, ORACLE_SEED={}\n{}\nsorted by {:?} {:?}, page {:?} {:?}\nfound {found:?}\nexpected {expected:?}\n{}",
        case.seed,
        case.parameters.filter.as_deref().unwrap_or("no filter"),
        case.parameters.sort_by,
        case.parameters.sort_order,
        case.parameters.start_index,
        case.parameters.count,
        differing.join("\n"),
    ))
}

fn id(representation: &Body) -> &str {
    representation["id"].as_str().expect("an id")
}

/// `groups` of every user is what follows from the `members` of all groups (USR-04, GRP-05).
pub fn assert_groups_follow_members(representations: &[Body]) {
    let members: BTreeMap<&str, BTreeSet<&str>> =
        representations.iter().map(|group| (id(group), elements(group, "members", "value").collect())).collect();
    for user in representations.iter().filter(|resource| resource["meta"]["resourceType"] == "User") {
        let mut expected = BTreeMap::new();
        let direct = members.iter().filter(|(_, members)| members.contains(id(user)));
        let mut reached: Vec<&str> = direct.map(|(group, _)| *group).collect();
        reached.iter().for_each(|group| {
            expected.insert(*group, "direct");
        });
        while let Some(group) = reached.pop() {
            for (outer, _) in members.iter().filter(|(_, members)| members.contains(group)) {
                if !expected.contains_key(outer) {
                    expected.insert(outer, "indirect");
                    reached.push(outer);
                }
            }
        }
        let shown: BTreeMap<&str, &str> =
            elements(user, "groups", "value").zip(elements(user, "groups", "type")).collect();
        assert_eq!(shown, expected, "groups of {}", id(user));
    }
}

fn elements<'a>(resource: &'a Body, attribute: &str, part: &'a str) -> impl Iterator<Item = &'a str> {
    let elements = resource.get(attribute).and_then(Value::as_array).into_iter().flatten();
    elements.filter_map(move |element| element.get(part)?.as_str())
}
