//! PATCH: the same outcome on both databases, nothing half-done, and an index that says what the documents say.

use std::sync::Arc;

use scimd::provider::{self, Text};
use scimd::scim::path::{self, Target};
use scimd::scim::projection::Projection;
use scimd::scim::schema::{Attribute, ENTERPRISE_URN, Mutability, Registry, Resolved, ResourceType};
use scimd::scim::version::Preconditions;
use scimd::scim::{Error, ErrorKind, Profile};
use scimd::store::resources::{self, NewResource};
use serde_json::{Map, Value, json};

use crate::population::{Population, place, resource_type};
use crate::random::{self, Random, id, text};
use crate::searches::assert_groups_follow_members;
use crate::world::{self, Body, Side};
use crate::{first_seed, population_seed, rounds};

const CASES: u64 = 250;
const SIZE: usize = 40;

/// Attributes that every resource has.
const COMMON: [&str; 4] = ["id", "externalId", "meta", "schemas"];

/// A PATCH request.
#[derive(Debug, Clone)]
struct Case {
    seed: u64,
    resource_type: &'static ResourceType,
    id: String,
    profile: Profile,
    body: Map<String, Value>,
}

/// The representation, or the kind and the sentence.
type Outcome = Result<Body, (ErrorKind, String)>;

#[test]
fn patch_07_both_databases_change_the_same_or_nothing() {
    let population = Population::new(&mut Random::new(population_seed()), SIZE);
    let sides = world::both(&population);
    let living: Vec<(String, &str)> = sides[0].representations().iter().map(id_and_type).collect();
    let seeds = first_seed()..first_seed() + CASES * rounds();
    let cases: Vec<Case> = seeds.map(|seed| case(seed, &living, &population.ids)).collect();
    let outcomes = std::thread::scope(|scope| {
        let both = sides.each_ref().map(|side| {
            let cases = &cases;
            scope.spawn(move || cases.iter().map(|case| apply(side, case)).collect::<Vec<Outcome>>())
        });
        both.map(|outcomes| outcomes.join().unwrap())
    });
    for ((case, sqlite), postgres) in cases.iter().zip(&outcomes[0]).zip(&outcomes[1]) {
        assert_eq!(sqlite, postgres, "the databases disagree, {}", told(case));
    }
    let changed = outcomes[0].iter().filter(|outcome| outcome.is_ok()).count();
    assert!(changed * 4 > cases.len(), "only {changed} messages were legal");
    assert!(changed * 10 < cases.len() * 9, "{changed} messages were legal");

    let [representations, others] = sides.each_ref().map(Side::representations);
    assert_eq!(representations, others, "after all changes");
    assert_groups_follow_members(&representations);
    for side in &sides {
        assert_index_follows_documents(side);
    }
}

fn apply(side: &Side, case: &Case) -> Outcome {
    side.wait();
    let before = side.rows_of(&case.id);
    let Case { resource_type, id, .. } = case.clone();
    let target = provider::Target { resource_type, id, preconditions: Preconditions::default() };
    let modified = side.run(side.provider.modify(
        side.call(case.profile),
        target,
        case.body.clone(),
        Projection::everything(case.resource_type),
        false,
    ));
    let read = side.run(side.provider.read(
        side.call(case.profile),
        case.resource_type,
        case.id.clone(),
        Projection::everything(case.resource_type),
    ));
    let read = read.unwrap_or_else(|error| panic!("{}: {error:?}, {}", side.name, told(case)));
    let Text::Short(read) = read.text else { panic!("{}: a long text, {}", side.name, told(case)) };
    match modified {
        Ok(modified) => {
            let answered = modified.representation;
            assert_eq!(answered.text, read, "{}: the answer is not what is read, {}", side.name, told(case));
            Ok(answered.members().unwrap())
        }
        Err(error) => {
            assert_eq!(before, side.rows_of(&case.id), "{}: {error} left traces, {}", side.name, told(case));
            Err(kind_and_detail(&error, side, case))
        }
    }
}

fn kind_and_detail(error: &Error, side: &Side, case: &Case) -> (ErrorKind, String) {
    assert!(error.kind().status() < 429, "{}: {error:?}, {}", side.name, told(case));
    (error.kind(), error.detail().to_owned())
}

fn told(case: &Case) -> String {
    let Case { seed, profile, id, body, .. } = case;
    format!("ORACLE_SEED={seed}, {profile} on {id}\n{}", Value::Object(body.clone()))
}

/// Every document, inserted again elsewhere, gives the rows that all changes together left behind.
fn assert_index_follows_documents(side: &Side) {
    let fresh = side.tenant("fresh");
    let from = side.tenant_id;
    let all: Arc<Vec<(String, &str)>> = Arc::new(side.representations().iter().map(id_and_type).collect());
    side.write(move |connection| {
        for (id, type_name) in all.iter() {
            let stored = resources::find(connection, from, type_name, id)?.expect("it is live");
            let place = place(fresh, resource_type(type_name));
            let id = format!("fresh-{id}");
            let new = NewResource::of(place.resource_type, id, stored.document, stored.meta.created);
            resources::insert(connection, place, &new)?;
        }
        Ok(())
    });
    let (left, right) = (world::index(side, from, ""), world::index(side, fresh, "fresh-"));
    let lost: Vec<_> = right.iter().filter(|row| left.binary_search(row).is_err()).collect();
    let stale: Vec<_> = left.iter().filter(|row| right.binary_search(row).is_err()).collect();
    assert!(lost.is_empty() && stale.is_empty(), "{}: lost {lost:#?}\nstale {stale:#?}", side.name);
}

fn id_and_type(representation: &Body) -> (String, &'static str) {
    let name = representation["meta"]["resourceType"].as_str().expect("a type");
    let id = representation["id"].as_str().expect("an id");
    (id.to_owned(), &resource_type(name).name)
}

fn case(seed: u64, living: &[(String, &str)], ids: &[String]) -> Case {
    let mut random = Random::new(seed);
    let (id, type_name) = random.pick(living).clone();
    let resource_type = resource_type(type_name);
    let profile = *random.pick(&[Profile::Strict, Profile::Compat]);
    let operations: Vec<Value> = (0..=random.below(3)).map(|_| operation(&mut random, resource_type, ids)).collect();
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    let Value::Object(body) = body else { unreachable!("a literal object") };
    Case { seed, resource_type, id, profile, body }
}

fn operation(random: &mut Random, resource_type: &'static ResourceType, ids: &[String]) -> Value {
    let op = *random.pick(&["add", "add", "replace", "replace", "remove", "Add", "Replace", "nothing"][..]);
    let op = if op == "nothing" && random.chance(80) { "remove" } else { op };
    if random.chance(20) && op != "remove" {
        return json!({"op": op, "value": without_path(random, resource_type, ids)});
    }
    let attribute = attribute(random, resource_type);
    let (path, value) = target(random, attribute, ids);
    let mut operation = json!({"op": op, "path": path});
    if op != "remove" || random.chance(10) {
        operation["value"] = value;
    }
    operation
}

fn without_path(random: &mut Random, resource_type: &'static ResourceType, ids: &[String]) -> Value {
    let mut value = Map::new();
    for _ in 0..=random.below(3) {
        let attribute = attribute(random, resource_type);
        let (path, assigned) = target(random, attribute, ids);
        let name = if random.chance(60) { attribute.attribute.name.clone() } else { path };
        match attribute.container() {
            Some(urn) if random.chance(60) => {
                value.insert(urn.to_owned(), json!({attribute.attribute.name.as_str(): assigned}))
            }
            _ => value.insert(name, assigned),
        };
    }
    if random.chance(20) {
        value.insert(ENTERPRISE_URN.to_owned(), random.pick(&[json!(null), json!({}), json!("x")]).clone());
    }
    Value::Object(value)
}

/// Members of a group count as much as all its other attributes.
fn attribute(random: &mut Random, resource_type: &'static ResourceType) -> Resolved {
    let members = resource_type.attribute("members").filter(|_| random.chance(60));
    if let Some(members) = members {
        return members;
    }
    let schemas: Vec<_> = resource_type.urns().collect();
    let schema = *random.pick(&schemas);
    if random.chance(8) {
        let name = *random.pick(&COMMON);
        return resource_type.attribute(name).expect("common to all");
    }
    resource_type.attribute_of(schema, &random.pick(&schema.attributes).name).expect("its own attribute")
}

/// A path to the attribute, to some of its elements or to a part, and a value for it.
fn target(random: &mut Random, attribute: Resolved, ids: &[String]) -> (String, Value) {
    let name = attribute.to_string();
    let parts = &attribute.attribute.sub_attributes;
    let whole = wrong_at_times(random, |random| random::value(random, attribute.attribute, ids));
    if parts.is_empty() || random.chance(35) {
        return (name, whole);
    }
    let part = random.pick(parts);
    let of_part = wrong_at_times(random, |random| part_value(random, part, ids));
    if !attribute.attribute.multi_valued {
        return (format!("{name}.{}", part.name), of_part);
    }
    let filter = condition(random, attribute, ids);
    match random.below(3) {
        0 => (
            format!("{name}[{filter}]"),
            wrong_at_times(random, |random| random::element(random, attribute.attribute, ids)),
        ),
        1 => (format!("{name}[{filter}].{}", part.name), of_part),
        _ => (format!("{name}.{}", part.name), of_part),
    }
}

fn part_value(random: &mut Random, part: &Attribute, ids: &[String]) -> Value {
    match part.name.as_str() {
        "value" if part.mutability == Mutability::Immutable => json!(id(random, ids)),
        _ => random::value(random, part, ids),
    }
}

fn wrong_at_times(random: &mut Random, right: impl FnOnce(&mut Random) -> Value) -> Value {
    match random.below(40) {
        0 => json!(null),
        1 => json!([]),
        2 => json!(17),
        3 => json!({"value": true}),
        4 => json!(""),
        5 => json!("True"),
        _ => right(random),
    }
}

fn condition(random: &mut Random, attribute: Resolved, ids: &[String]) -> String {
    let part = random.pick(&attribute.attribute.sub_attributes);
    let wanted = match part_value(random, part, ids) {
        Value::String(text) if random.chance(20) => json!(text.chars().take(1).collect::<String>()),
        other => other,
    };
    match random.below(10) {
        0 => format!("{} pr", part.name),
        1 => format!("not ({} eq {wanted})", part.name),
        2 => format!("{} eq {wanted} or type eq \"work\"", part.name),
        3 if wanted.is_string() => format!("{} sw {wanted}", part.name),
        4 => format!("type eq {}", json!(text(random))),
        5 | 6 => "type eq \"work\"".to_owned(),
        _ => format!("{} eq {wanted}", part.name),
    }
}

/// What the generator names exists: a typo here would make every message illegal.
#[test]
fn the_paths_of_the_generator_are_names_of_attributes() {
    for resource_type in Registry::builtin().resource_types() {
        for seed in 0..50 {
            let attribute = attribute(&mut Random::new(seed), resource_type);
            assert_eq!(path::resolve(resource_type, &attribute.to_string()), Some(Target::Attribute(attribute)));
        }
    }
}
