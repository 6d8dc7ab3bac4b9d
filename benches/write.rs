//! What durable writes cost on SQLite: how far concurrent ones share an fsync, and whether a group's size matters.

mod installation;

use std::cell::Cell;
use std::fs::File;
use std::io::{Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use scimd::provider::Target;
use scimd::scim::message::{BULK_REQUEST, MAX_OPERATIONS, PATCH_OP};
use scimd::scim::projection::Projection;
use scimd::scim::version::Preconditions;
use scimd::scim::{Profile, bulk};
use serde_json::{Map, Value, json};

use crate::installation::{Installation, groups, id, user, users};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = disk, create, bulk_create, membership
}
criterion_main!(benches);

/// The price of one fsync on this machine, which the other figures are to be read against.
fn disk(criterion: &mut Criterion) {
    let installation = Installation::new();
    let mut file = File::create(installation.directory.path().join("page")).expect("a file");
    let page = [7; 4096];
    criterion.bench_function("write/4 KiB and fsync, without a database", |bencher| {
        bencher.iter(|| {
            file.rewind().expect("the file seeks");
            file.write_all(&page).expect("the file takes a page");
            file.sync_data().expect("the file syncs");
        });
    });
}

fn create(criterion: &mut Criterion) {
    let installation = Installation::new();
    let next = Cell::new(0);
    let mut group = criterion.benchmark_group("write/durable create");
    for concurrency in [1, 32] {
        group.throughput(Throughput::Elements(concurrency as u64));
        group.bench_function(format!("{concurrency} at a time"), |bencher| {
            let bodies = || -> Vec<Map<String, Value>> {
                let first = next.replace(next.get() + concurrency);
                (first..first + concurrency).map(user).collect()
            };
            let create = |bodies| installation.create_together(users(), bodies);
            bencher.iter_batched(bodies, create, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// A thousand users in one bulk request, which is one commit: alone, and with a group that refers to all of them before
/// they exist.
fn bulk_create(criterion: &mut Criterion) {
    let installation = Installation::new();
    let next = Cell::new(0);
    let mut group = criterion.benchmark_group("write/bulk");
    group.throughput(Throughput::Elements(MAX_OPERATIONS as u64));
    for (name, with_group) in [("1000 creates", false), ("999 creates and a group of them", true)] {
        group.bench_function(name, |bencher| {
            let message = || {
                let first = next.replace(next.get() + MAX_OPERATIONS);
                bulk_message(first, with_group)
            };
            let run = |message| {
                let message = bulk::parse(message, Profile::Compat).expect("a bulk message");
                installation.run(installation.provider.bulk(installation.call(), Arc::new(message), false))
            };
            bencher.iter_batched(message, run, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn bulk_message(first: usize, with_group: bool) -> Map<String, Value> {
    let creates =
        |number: usize| json!({"method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": user(number)});
    let numbers = first..first + MAX_OPERATIONS - usize::from(with_group);
    let members: Vec<Value> = numbers.clone().map(|number| json!({"value": format!("bulkId:{number}")})).collect();
    let group = json!({"displayName": format!("Group {first}"), "members": members});
    let group = json!({"method": "POST", "path": "/Groups", "bulkId": "group", "data": group});
    let operations: Vec<Value> = with_group.then_some(group).into_iter().chain(numbers.map(creates)).collect();
    object(json!({"schemas": [BULK_REQUEST], "Operations": operations}))
}

/// Adds and removes one member in turn, so that every PATCH changes something and the group keeps its size.
fn membership(criterion: &mut Criterion) {
    let (installation, ids) = Installation::with_users(10_001);
    let (candidate, members) = ids.split_last().expect("there are users");
    let messages = [add(candidate), remove(candidate)];
    let whole = Projection::everything(groups());
    let without_members = Projection::parse(groups(), None, Some("members")).expect("a projection");
    let mut group = criterion.benchmark_group("write/PATCH one member");
    for (size, members) in [(10, &members[..10]), (10_000, members)] {
        let group_id = create_group(&installation, size, members);
        let turn = Cell::new(0);
        for (answer, projection) in [("no members", &without_members), ("the default", &whole)] {
            group.bench_function(format!("group of {size}, {answer} in the answer"), |bencher| {
                let message = || messages[turn.replace(1 - turn.get())].clone();
                let patch = |message| {
                    let (call, projection) = (installation.call(), projection.clone());
                    let preconditions = Preconditions::default();
                    let target = Target { resource_type: groups(), id: group_id.clone(), preconditions };
                    installation.run(installation.provider.modify(call, target, message, projection, false))
                };
                bencher.iter_batched(message, patch, BatchSize::PerIteration);
            });
        }
    }
    group.finish();
}

fn create_group(installation: &Installation, size: usize, members: &[String]) -> String {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    let body = object(json!({"displayName": format!("Group of {size}"), "members": members}));
    let created = installation.create_together(groups(), [body]);
    id(&created[0])
}

fn add(member: &str) -> Map<String, Value> {
    message(json!([{"op": "add", "path": "members", "value": [{"value": member}]}]))
}

fn remove(member: &str) -> Map<String, Value> {
    message(json!([{"op": "remove", "path": format!("members[value eq \"{member}\"]")}]))
}

fn message(operations: Value) -> Map<String, Value> {
    object(json!({"schemas": [PATCH_OP], "Operations": operations}))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}
