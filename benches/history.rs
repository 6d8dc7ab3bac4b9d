//! What the chain over the history costs: to seal a batch of changes, and to prove many. On SQLite, and on PostgreSQL when
//! `TEST_DATABASE_URL` is set.

mod installation;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scimd::scim::resource::Document;
use scimd::store::audit::{self, Changes, Operation, Record, SEALED_AT_ONCE};
use scimd::store::{Connection, Reach};
use serde_json::Value;

use crate::installation::{Installation, user, users};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500));
    targets = chain
}
criterion_main!(benches);

const CHANGES: usize = 50_000;

fn chain(criterion: &mut Criterion) {
    let mut installations = vec![("SQLite", Installation::new())];
    if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        installations.push(("PostgreSQL", Installation::on(&url)));
    }
    for (database, installation) in &installations {
        let mut group = criterion.benchmark_group(format!("history on {database}"));
        group.throughput(Throughput::Elements(SEALED_AT_ONCE as u64));
        group.bench_function("put a seal of 1000 changes together", |bencher| {
            write(installation, 0..SEALED_AT_ONCE);
            let now = installation.provider.now();
            let next = move |connection: &mut Connection| audit::next_seal(connection, now);
            bencher.iter(|| {
                installation.run(installation.store.read(Reach::Scan, next)).expect("there is something to seal")
            });
        });
        group.bench_function("insert the seal", |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| insert_one(installation)).sum());
        });
        write(installation, 0..CHANGES);
        let head = installation.run(installation.provider.seal()).expect("there are changes");
        group.throughput(Throughput::Elements(head.rows as u64));
        group.bench_function(format!("verify {} changes", head.rows), |bencher| {
            bencher.iter(|| {
                let verdict = installation.run(installation.provider.verify(Some(head.hash.clone()), |_| {}));
                assert_eq!((verdict.broken, verdict.rows), (0, head.rows));
            });
        });
        group.finish();
    }
}

/// How long the one write of a seal takes.
fn insert_one(installation: &Installation) -> Duration {
    write(installation, 0..SEALED_AT_ONCE);
    let now = installation.provider.now();
    let next = move |connection: &mut Connection| audit::next_seal(connection, now);
    let seal = installation.run(installation.store.read(Reach::Scan, next)).expect("there is something to seal");
    let started = Instant::now();
    installation
        .run(installation.store.write(move |connection: &mut Connection| audit::insert_seal(connection, &seal)));
    started.elapsed()
}

/// Changes as creations of users make them, some hundred in a transaction.
fn write(installation: &Installation, numbers: std::ops::Range<usize>) {
    let (now, tenant_id) = (installation.provider.now(), installation.tenant_id);
    for first in numbers.clone().step_by(500) {
        let last = numbers.end.min(first + 500);
        let append = move |connection: &mut Connection| {
            let changes: Vec<(String, Changes)> = (first..last).map(change).collect();
            let record = |(id, changes)| Record {
                tenant_id,
                at: now,
                caller: "3f9a1c2b",
                request_id: "0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081",
                operation: Operation::Create,
                resource_type: "User",
                resource_id: id,
                version: 1,
                changes,
            };
            let records: Vec<Record<'_>> = changes.iter().map(|(id, changes)| record((id.as_str(), changes))).collect();
            audit::append_silent(connection, &records)
        };
        installation.run(installation.store.write(append));
    }
}

fn change(number: usize) -> (String, Changes) {
    let mut body = user(number);
    body.shift_remove("schemas");
    let document = Document::from_json(&Value::Object(body).to_string()).expect("a document");
    (format!("0195a1f0-5b1e-7c3d-9a2b-{number:012}"), Changes::of(users(), None, Some(&document)))
}
