//! What a filter costs before any database is asked: reading it, resolving its names, and evaluating it in memory.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use scimd::scim::Profile;
use scimd::scim::filter::{self, Condition, Filter};
use scimd::scim::schema::{Registry, ResourceType};
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
    targets = parse, resolve, evaluate
}
criterion_main!(benches);

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter/parse");
    for (name, text) in filters() {
        group.bench_function(name, |bencher| bencher.iter(|| parsed(black_box(&text))));
    }
    group.finish();
}

fn resolve(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter/resolve");
    for (name, text) in filters() {
        let filter = parsed(&text);
        group.bench_function(name, |bencher| bencher.iter(|| resolved(black_box(&filter))));
    }
    group.finish();
}

fn evaluate(criterion: &mut Criterion) {
    let representation = representation();
    let mut group = criterion.benchmark_group("filter/matches");
    for (name, text) in filters() {
        let condition = resolved(&parsed(&text));
        assert!(
            filter::matches(&condition, &representation),
            "{name}: the last term holds, so that every term is read"
        );
        group.bench_function(name, |bencher| {
            bencher.iter(|| filter::matches(black_box(&condition), black_box(&representation)));
        });
    }
    group.finish();
}

fn filters() -> [(&'static str, String); 4] {
    [
        ("userName eq", r#"userName eq "noor@acme.example""#.to_owned()),
        ("Entra's value path", r#"emails[type eq "work"].value eq "noor@acme.example""#.to_owned()),
        ("value path, two terms", r#"emails[type eq "work" and value eq "noor@acme.example"]"#.to_owned()),
        ("chain of 100 terms", chain()),
    ]
}

/// Fifty pairs, of which only the last one holds.
fn chain() -> String {
    let pair = |index: usize| format!(r#"(active eq true and userName eq "user{index}@acme.example")"#);
    let mut pairs: Vec<String> = (1..50).map(pair).collect();
    pairs.push(r#"(active eq true and userName eq "noor@acme.example")"#.to_owned());
    pairs.join(" or ")
}

fn parsed(text: &str) -> Filter {
    filter::parse(text, Profile::Compat).expect("the filter is well-formed")
}

fn resolved(filter: &Filter) -> Condition {
    filter::resolve(filter, users(), Profile::Compat).expect("every name in the filter exists")
}

fn users() -> &'static ResourceType {
    Registry::builtin().resource_type("User").expect("it is built in")
}

fn representation() -> Map<String, Value> {
    let value = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "019a0000-0000-7000-8000-000000000001",
        "externalId": "noor",
        "userName": "noor@acme.example",
        "name": {"formatted": "Noor Haddad", "familyName": "Haddad", "givenName": "Noor"},
        "displayName": "Noor Haddad",
        "active": true,
        "emails": [
            {"type": "home", "value": "noor@home.example"},
            {"type": "work", "value": "noor@acme.example", "primary": true},
        ],
        "meta": {
            "resourceType": "User",
            "created": "2026-01-05T08:00:00.000Z",
            "lastModified": "2026-01-05T08:00:00.000Z",
        },
    });
    value.as_object().expect("an object").clone()
}
