//! Walks by cursor: the whole of a search, in its order, in both directions, whoever comes and goes meanwhile (CUR-11).

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use scimd::auth::{Caller, Scopes};
use scimd::provider::{Call, Paged, Results};
use scimd::scim::cursor::{Direction, Secret};
use scimd::scim::query::{Query, Step};
use scimd::scim::query_string::Parameters;
use scimd::scim::schema::{Registry, ResourceType};
use scimd::scim::{ErrorKind, Profile, accept};
use scimd::store::Connection;
use scimd::store::resources::{self, NewResource, StoredResource};
use scimd::store::search::{Search, walk};
use serde_json::json;

use crate::filters::Vocabulary;
use crate::population::{Population, place, resource_type};
use crate::random::{Random, text};
use crate::searches::{Case, expected_order, scope};
use crate::world::{self, BASE_URL, Side};
use crate::{first_seed, population_seed, rounds};

const CASES: u64 = 150;
const SIZE: usize = 120;
/// How many walks are disturbed, on each database.
const DISTURBED: u64 = 60;

/// The ids that a walk meets on its way out and on its way back.
type Ways = Result<(Vec<String>, Vec<String>), ErrorKind>;

#[test]
fn cur_03_cur_12_a_walk_meets_everything_in_order_there_and_back() {
    let population = Population::new(&mut Random::new(population_seed()), SIZE);
    let sides = world::both(&population);
    let representations = sides[0].representations();
    let types = Registry::builtin().resource_types();
    let vocabularies: Vec<(Vec<&'static ResourceType>, Vocabulary)> = [vec![types[0]], vec![types[1]], types.to_vec()]
        .into_iter()
        .map(|types| (types.clone(), Vocabulary::new(&types, &representations)))
        .collect();
    let seeds = first_seed()..first_seed() + CASES * rounds();
    let cases: Vec<Case> = seeds.map(|seed| case(seed, &vocabularies)).collect();
    let cases = Arc::new(cases);
    for side in &sides {
        for (case, ways) in cases.iter().zip(there_and_back(side, Arc::clone(&cases))) {
            let expected = expected_order(case, &representations);
            let about = format!("{}, ORACLE_SEED={}\n{:#?}", side.name, case.seed, case.parameters);
            match (ways, expected) {
                (Ok((there, mut back)), Ok(expected)) => {
                    assert_eq!(there, expected, "there: {about}");
                    back.reverse();
                    assert_eq!(back, expected, "back: {about}");
                }
                (ways, expected) => assert_eq!(ways.err(), expected.err(), "{about}"),
            }
        }
    }
}

/// Three of four sorted, and half of everything: filters are another test's business.
fn case(seed: u64, vocabularies: &[(Vec<&'static ResourceType>, Vocabulary)]) -> Case {
    let mut random = Random::new(seed);
    let (types, vocabulary) = random.pick(vocabularies);
    let mut parameters = Parameters::default();
    if random.chance(50) {
        parameters.filter = Some(vocabulary.filter(&mut random));
    }
    if random.chance(75) {
        parameters.sort_by = Some(vocabulary.sort_by(&mut random));
        parameters.sort_order = random.chance(50).then(|| "descending".to_owned());
    }
    Case::new(seed, parameters, types)
}

fn there_and_back(side: &Side, cases: Arc<Vec<Case>>) -> Vec<Ways> {
    let tenant_id = side.tenant_id;
    side.read(move |connection| {
        let ways = cases.iter().map(|case| {
            let first = &case.queries[0];
            let scopes = case.queries.iter().map(scope).collect();
            let registry = scimd::scim::schema::Registry::builtin();
            let search = Search { tenant_id, scopes, sort: first.sort.as_ref(), registry, base_url: BASE_URL };
            let count = 1 + Random::new(case.seed).below(SIZE / 2);
            let beginning = Step { from: None, direction: Direction::Forward, count };
            let there = way(connection, &search, beginning)?;
            // From behind the last one: the way back begins with it.
            let last = there.last_page.map(|from| Step { from: Some(from), direction: Direction::Backward, count });
            let mut back: Vec<String> =
                there.ids[there.ids.len() - there.on_last_page..].iter().rev().cloned().collect();
            if let Some(step) = last {
                back.extend(way(connection, &search, step)?.ids);
            }
            Ok((there.ids, back))
        });
        Ok(ways.map(|way| way.map_err(|error: scimd::scim::Error| error.kind())).collect())
    })
}

/// What a walk in one direction met.
struct Way {
    ids: Vec<String>,
    on_last_page: usize,
    /// The place before the last page, if there was a page before it.
    last_page: Option<scimd::scim::cursor::Position>,
}

fn way(connection: &mut Connection, search: &Search<'_>, mut step: Step) -> scimd::scim::Result<Way> {
    let mut ids = Vec::new();
    loop {
        let stretch = walk(connection, search, &step)?;
        let mut page: Vec<String> = stretch.resources.iter().map(|resource| resource.id.clone()).collect();
        assert!(page.len() <= step.count);
        let (onward, back) = match step.direction {
            Direction::Forward => (stretch.after, stretch.before),
            Direction::Backward => (stretch.before, stretch.after),
        };
        assert_eq!(
            back.is_some(),
            step.from.is_some(),
            "there is a page where the walk came from, and none at the ends"
        );
        if step.direction == Direction::Backward {
            page.reverse();
        }
        let on_last_page = page.len();
        ids.extend(page);
        let Some(from) = onward else {
            return Ok(Way { ids, on_last_page, last_page: back });
        };
        assert_eq!(on_last_page, step.count, "every page but the last is full");
        step.from = Some(from);
    }
}

#[test]
fn cur_11_who_is_there_throughout_is_met_exactly_once_whoever_comes_and_goes() {
    let population = Population::new(&mut Random::new(population_seed()), 0);
    for side in &world::both(&population) {
        for seed in first_seed()..first_seed() + DISTURBED * rounds() {
            Disturbed::new(side, seed).walk();
        }
    }
}

#[test]
fn cur_06_a_cursor_ends_with_its_time() {
    let population = Population::new(&mut Random::new(population_seed()), 20);
    for side in &world::both(&population) {
        let page = |cursor: String| {
            let parameters = Parameters { cursor: Some(cursor), count: Some("2".to_owned()), ..Parameters::default() };
            let query = Query::resolve(&parameters, resource_type("User"), Profile::Strict).expect("a query");
            side.run(side.provider.search(side.call(Profile::Strict), vec![query]))
        };
        let next = onward(&page(String::new()).expect("the first page"), true).expect("more");
        side.pass(TimeDelta::seconds(scimd::scim::cursor::TIMEOUT));
        assert!(page(next.clone()).is_ok());

        side.pass(TimeDelta::seconds(1));

        assert_eq!(page(next).expect_err("too old").kind(), ErrorKind::ExpiredCursor);
    }
}

/// A walk during which resources come, go, and change what they are sorted by.
struct Disturbed<'a> {
    side: &'a Side,
    seed: u64,
    random: Random,
    tenant_id: i64,
    types: Vec<&'static ResourceType>,
    parameters: Parameters,
    living: Vec<StoredResource>,
    /// Those that have been there and the same since the walk turned last.
    throughout: BTreeSet<String>,
    made: usize,
}

impl<'a> Disturbed<'a> {
    fn new(side: &'a Side, seed: u64) -> Disturbed<'a> {
        let mut random = Random::new(seed);
        let all = Registry::builtin().resource_types();
        let types = random.pick(&[vec![all[0]], vec![all[1]], all.to_vec()]).clone();
        let names = [
            "displayName",
            "externalId",
            "id",
            "meta.created",
            "meta.lastModified",
            "meta.location",
            "meta.resourceType",
            "meta.version",
        ];
        let parameters = Parameters {
            sort_by: random.chance(80).then(|| (*random.pick(&names)).to_owned()),
            sort_order: random.chance(50).then(|| "descending".to_owned()),
            filter: random.chance(20).then(|| "id pr".to_owned()),
            count: Some((1 + random.below(6)).to_string()),
            ..Parameters::default()
        };
        let tenant_id = side.tenant(Box::leak(format!("disturbed-{seed}").into_boxed_str()));
        let mut walk = Disturbed {
            side,
            seed,
            random,
            tenant_id,
            types,
            parameters,
            living: Vec::new(),
            throughout: BTreeSet::new(),
            made: 0,
        };
        for _ in 0..walk.random.below(20) {
            walk.create();
        }
        walk
    }

    fn walk(mut self) {
        let mut page = self.page("");
        assert!(previous(&page).is_none(), "{}", self.told("before the first page"));
        for turn in 0..3 {
            let forward = turn % 2 == 0;
            self.throughout = self.living.iter().map(|resource| resource.id.clone()).collect();
            let mut met = ids(&page, forward);
            while let Some(cursor) = onward(&page, forward) {
                self.disturb(&met);
                page = self.page(&cursor);
                met.extend(ids(&page, forward));
            }
            self.check(met, forward, turn);
        }
    }

    /// The last page of a turn is the first of the next: nobody has to be met twice.
    fn check(&mut self, mut met: Vec<String>, forward: bool, turn: usize) {
        met.retain(|id| self.throughout.contains(id));
        if !forward {
            met.reverse();
        }
        let order: Vec<String> = self.all().into_iter().filter(|id| self.throughout.contains(id)).collect();
        assert_eq!(met, order, "{}", self.told(&format!("turn {turn}")));
    }

    /// Everything, in order, by index.
    fn all(&self) -> Vec<String> {
        let parameters = Parameters { count: Some("1000".to_owned()), ..self.parameters.clone() };
        ids(&self.results(&parameters), true)
    }

    fn page(&self, cursor: &str) -> Results {
        self.results(&Parameters { cursor: Some(cursor.to_owned()), ..self.parameters.clone() })
    }

    fn results(&self, parameters: &Parameters) -> Results {
        let queries = Query::resolve_over(parameters, &self.types, Profile::Strict).expect("a query");
        let caller = Caller {
            tenant_id: self.tenant_id,
            tenant: "disturbed".to_owned(),
            key_id: "key".to_owned(),
            profile: Profile::Strict,
            scopes: Scopes::all(),
            subject: None,
            cursor_secret: Secret::derive(&["the hash of a key"]),
        };
        let call = Call { caller: Arc::new(caller), request_id: "request".into(), as_subject: false };
        let results = self.side.run(self.side.provider.search(call, queries));
        let results = results.unwrap_or_else(|error| panic!("{}", self.told(&format!("{error:?}"))));
        let of_types = |resource: &&StoredResource| self.types.iter().any(|one| one.name == resource.resource_type);
        let living = self.living.iter().filter(of_types).count();
        assert_eq!(results.total, living as u64, "{}", self.told("the total is that of now"));
        results
    }

    fn disturb(&mut self, met: &[String]) {
        for _ in 0..self.random.below(4) {
            match self.random.below(10) {
                0..5 => self.create(),
                // Those at the edge of the last page are what a cursor stands on.
                5..7 if met.last().is_some_and(|last| self.position(last).is_some()) => {
                    let index = met.last().and_then(|last| self.position(last)).expect("a living one");
                    self.delete(index);
                }
                5..9 if !self.living.is_empty() => {
                    let index = self.random.below(self.living.len());
                    self.delete(index);
                }
                _ if !self.living.is_empty() => {
                    let index = self.random.below(self.living.len());
                    self.rename(index);
                }
                _ => {}
            }
        }
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.living.iter().position(|resource| resource.id == id)
    }

    fn create(&mut self) {
        self.made += 1;
        let name = *self.random.pick(&["User", "User", "Group"]);
        let resource_type = resource_type(name);
        let document = self.document(resource_type);
        let id = format!("{:04x}-{}-{}", self.random.below(0x1_0000), self.tenant_id, self.made);
        let (tenant_id, now) = (self.tenant_id, self.now());
        let new = NewResource::of(resource_type, id, document.clone(), now);
        let insert =
            move |connection: &mut Connection| resources::insert(connection, place(tenant_id, resource_type), &new);
        let stored = self.side.write(insert).with(document);
        self.living.push(stored);
    }

    fn delete(&mut self, index: usize) {
        let stored = self.living.swap_remove(index);
        self.throughout.remove(&stored.id);
        let (tenant_id, now) = (self.tenant_id, self.now());
        self.side.write(move |connection| {
            let place = place(tenant_id, resource_type(&stored.resource_type));
            resources::bury(connection, place, &stored, "somebody", now)
        });
    }

    fn rename(&mut self, index: usize) {
        let mut stored = self.living.swap_remove(index);
        self.throughout.remove(&stored.id);
        let resource_type = resource_type(&stored.resource_type);
        let (document, tenant_id, now) = (self.document(resource_type), self.tenant_id, self.now());
        let renamed = self.side.write(move |connection| {
            resources::replace(connection, place(tenant_id, resource_type), &mut stored, document.clone(), now)?;
            Ok(stored.clone())
        });
        self.living.push(renamed);
    }

    /// Few values, so that there are ties, some long, some none.
    fn document(&mut self, resource_type: &'static ResourceType) -> scimd::scim::resource::Document {
        let name = match self.random.below(4) {
            0 => text(&mut self.random) + "x",
            1 => format!("{}{}", "é".repeat(256), self.random.pick(&["", "a", "b", "bb"])),
            _ => (*self.random.pick(&["anna", "Bob", "carla"])).to_owned(),
        };
        let unique = self.random.next().to_string();
        let mut body = json!({"schemas": [resource_type.schema.id], "userName": unique, "displayName": name});
        if resource_type.name == "User" && self.random.chance(40) {
            body["displayName"] = serde_json::Value::Null;
        }
        if self.random.chance(40) {
            body["externalId"] = json!(name);
        }
        let body = body.as_object().expect("an object");
        accept::create(resource_type, body, Profile::Compat).unwrap_or_else(|error| panic!("{error}")).document
    }

    /// Several in the same moment.
    fn now(&self) -> DateTime<Utc> {
        self.side.provider.now() + TimeDelta::milliseconds(self.made as i64 / 4)
    }

    fn told(&self, what: &str) -> String {
        format!("{what}: {}, ORACLE_SEED={}\n{:#?}", self.side.name, self.seed, self.parameters)
    }
}

fn ids(results: &Results, forward: bool) -> Vec<String> {
    let ids = results
        .resources
        .iter()
        .map(|representation| representation.members().unwrap()["id"].as_str().unwrap().to_owned());
    if forward { ids.collect() } else { ids.rev().collect() }
}

fn onward(results: &Results, forward: bool) -> Option<String> {
    match &results.paged {
        Paged::ByCursor { next, .. } if forward => next.clone(),
        Paged::ByCursor { previous, .. } => previous.clone(),
        Paged::ByIndex(_) => panic!("a page by index"),
    }
}

fn previous(results: &Results) -> Option<String> {
    onward(results, false)
}
