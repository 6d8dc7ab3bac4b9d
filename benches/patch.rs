//! What a write costs before any database is asked: accepting a body, and applying the PATCHes that clients send.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use scimd::scim::message::PATCH_OP;
use scimd::scim::patch::{self, MemberSource};
use scimd::scim::resource::Document;
use scimd::scim::schema::{ENTERPRISE_URN, Registry, ResourceType, USER_URN};
use scimd::scim::{Profile, Result, accept};
use serde_json::{Map, Value, json};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = create, users, members
}
criterion_main!(benches);

fn create(criterion: &mut Criterion) {
    let body = okta_user();
    criterion.bench_function("accept/create Okta's user", |bencher| {
        bencher.iter(|| accept::create(resource_type("User"), black_box(&body), Profile::Compat).expect("accepted"));
    });
}

fn users(criterion: &mut Criterion) {
    let user = document("User", &entra_user());
    let mut group = criterion.benchmark_group("patch/apply");
    for (name, operations) in [("Entra's seven operations", entra_operations()), ("active false", okta_disable())] {
        let message = message(operations);
        assert_ne!(apply("User", &user, &message), user, "{name} changes something");
        group.bench_function(name, |bencher| bencher.iter(|| apply("User", black_box(&user), black_box(&message))));
    }
    group.finish();
}

fn members(criterion: &mut Criterion) {
    let group_document = document("Group", &object(json!({"displayName": "Field team EU"})));
    let member = |index: usize| json!({"$ref": null, "value": format!("019a0000-0000-7000-8000-{index:012}")});
    let together = json!([{"op": "Add", "path": "members", "value": (0..1000).map(member).collect::<Vec<_>>()}]);
    let one_by_one = (0..1000).map(|index| json!({"op": "Add", "path": "members", "value": [member(index)]})).collect();
    let mut group = criterion.benchmark_group("patch/apply 1000 members");
    for (name, operations) in [("in one operation", together), ("one operation each", Value::Array(one_by_one))] {
        let message = message(operations);
        group.bench_function(name, |bencher| {
            bencher.iter(|| apply("Group", black_box(&group_document), black_box(&message)));
        });
    }
    group.finish();
}

/// Reads the message and runs it, as every request does.
fn apply(type_name: &str, current: &Document, message: &Map<String, Value>) -> Document {
    let request = patch::parse(message, Profile::Compat).expect("a PATCH message");
    let patched = patch::apply(
        &request,
        resource_type(type_name),
        current,
        &Map::new(),
        &mut Nobody,
        Profile::Compat,
        &mut patch::Budget::full(),
    );
    black_box(patched.expect("the operations apply")).document
}

/// The members of an empty group.
struct Nobody;

impl MemberSource for Nobody {
    fn contains(&mut self, _: &str) -> Result<bool> {
        Ok(false)
    }

    fn all(&mut self) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }

    fn candidates(&mut self, _: &[&str]) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }
}

fn resource_type(name: &str) -> &'static ResourceType {
    Registry::builtin().resource_type(name).expect("it is built in")
}

fn document(type_name: &str, body: &Map<String, Value>) -> Document {
    accept::create(resource_type(type_name), body, Profile::Compat).expect("accepted").document
}

fn message(operations: Value) -> Map<String, Value> {
    object(json!({"schemas": [PATCH_OP], "Operations": operations}))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn okta_user() -> Map<String, Value> {
    object(json!({
        "schemas": [USER_URN],
        "userName": "ines@acme.example",
        "name": {"givenName": "Ines", "familyName": "Roth"},
        "emails": [{"primary": true, "value": "ines@acme.example", "type": "work"}],
        "displayName": "Ines Roth",
        "locale": "en-US",
        "externalId": "00u7k2example",
        "groups": [],
        "password": "generated-by-okta-1",
        "active": true,
    }))
}

fn okta_disable() -> Value {
    json!([{"op": "replace", "value": {"active": false}}])
}

fn entra_user() -> Map<String, Value> {
    object(json!({
        "schemas": [USER_URN, ENTERPRISE_URN],
        "externalId": "noor",
        "userName": "noor@acme.example",
        "active": true,
        "addresses": null,
        "displayName": "Noor Haddad",
        "emails": [{"type": "work", "value": "noor@acme.example", "primary": true}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Noor Haddad", "familyName": "Haddad", "givenName": "Noor"},
        "phoneNumbers": null,
        "roles": [],
    }))
}

fn entra_operations() -> Value {
    json!([
        {"op": "Replace", "path": "displayName", "value": "Noor Haddad-Roy"},
        {"op": "Replace", "path": "name.familyName", "value": "Haddad-Roy"},
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "noor.hr@acme.example"},
        {"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+32 470 00 00 00"},
        {"op": "Add", "path": format!("{ENTERPRISE_URN}:department"), "value": "Sales"},
        {"op": "Add", "path": format!("{ENTERPRISE_URN}:manager"), "value": "3b7c0c0e-5a51-4d6c-8d29-0a6f6b3c9e11"},
        {"op": "Replace", "path": "active", "value": "True"},
    ])
}
