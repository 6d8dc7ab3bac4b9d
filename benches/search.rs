//! What reading costs among 10,000 users on SQLite.
//!
//! "store" is the SQL alone, "assemble" makes representations of what it found. "provider" is all that a request does short
//! of HTTP: for a search, also the way to another thread and back.

mod installation;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use scimd::provider::assemble::Assembler;
use scimd::scim::Profile;
use scimd::scim::cursor::Direction;
use scimd::scim::projection::Projection;
use scimd::scim::query::{Paging, Parameters, Query, Step};
use scimd::scim::schema::Registry;
use scimd::store::Reach;
use scimd::store::search::{Found, Scope, Search, Stretch, search, walk};

use crate::installation::{BASE_URL, Installation, users};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = all
}
criterion_main!(benches);

const USERS: usize = 10_000;

/// One target: the users are made once.
fn all(criterion: &mut Criterion) {
    let (installation, ids) = Installation::with_users(USERS);
    searches(criterion, &installation);
    walks(criterion, &installation);
    representations(criterion, &installation);
    requests(criterion, &installation, &ids[USERS / 2]);
}

/// A query, how many resources it finds in all and how many it shows.
struct Case {
    name: &'static str,
    query: &'static str,
    total: u64,
    shown: usize,
}

const CASES: [Case; 9] = [
    Case { name: "userName eq", query: "filter=userName eq \"user05000@acme.example\"", total: 1, shown: 1 },
    Case { name: "userName eq, nobody", query: "filter=userName eq \"nobody@acme.example\"", total: 0, shown: 0 },
    Case { name: "externalId eq", query: "filter=externalId eq \"00u00005000\"", total: 1, shown: 1 },
    Case {
        name: "emails[type and value eq]",
        query: "filter=emails[type eq \"work\" and value eq \"user05000@acme.example\"]",
        total: 1,
        shown: 1,
    },
    Case { name: "displayName sw, 10 of them", query: "filter=displayName sw \"Person 0500\"", total: 10, shown: 10 },
    Case { name: "page of 100, the first", query: "startIndex=1&count=100", total: 10_000, shown: 100 },
    Case { name: "page of 100, the last", query: "startIndex=9901&count=100", total: 10_000, shown: 100 },
    Case { name: "page of 100 by userName", query: "sortBy=userName&count=100", total: 10_000, shown: 100 },
    Case {
        name: "page of 100 by lastModified",
        query: "sortBy=meta.lastModified&count=100",
        total: 10_000,
        shown: 100,
    },
];

fn searches(criterion: &mut Criterion, installation: &Installation) {
    let mut group = criterion.benchmark_group("search/store");
    for case in CASES {
        let query = query(case.query);
        let found = find(installation, &query);
        assert_eq!((found.total, found.resources.len()), (case.total, case.shown), "{}", case.name);
        group.bench_function(case.name, |bencher| bencher.iter(|| find(installation, &query)));
    }
    group.finish();
}

/// The first and the last page of a walk by cursor: they shall cost the same.
fn walks(criterion: &mut Criterion, installation: &Installation) {
    let mut group = criterion.benchmark_group("search/walk");
    for (name, text) in [
        ("unsorted", "cursor"),
        ("by userName", "sortBy=userName&cursor"),
        ("by userName, descending", "sortBy=userName&sortOrder=descending&cursor"),
        ("by active, all the same", "sortBy=active&cursor"),
        ("by nickName, which nobody has", "sortBy=nickName&cursor"),
    ] {
        let query = query(text);
        let first = Step { from: None, direction: Direction::Forward, count: 100 };
        let mut last = first.clone();
        while let Some(after) = stretch(installation, &query, &last).after {
            last.from = Some(after);
        }
        for (page, step) in [("first", first), ("last", last)] {
            group.bench_function(format!("{name}, the {page} page"), |bencher| {
                bencher.iter(|| stretch(installation, &query, &step));
            });
        }
    }
    group.finish();
}

fn stretch(installation: &Installation, query: &Arc<Query>, step: &Step) -> Stretch {
    let (tenant_id, query, step) = (installation.tenant_id, Arc::clone(query), step.clone());
    installation.run(installation.store.read(Reach::Point, move |connection| {
        let scope = Scope { resource_type: query.resource_type, condition: query.condition.as_ref() };
        let registry = Registry::builtin();
        let wanted = Search { tenant_id, scopes: vec![scope], sort: query.sort.as_ref(), registry, base_url: BASE_URL };
        walk(connection, &wanted, &step)
    }))
}

/// What was found, made what a client sees: with what other rows say of it.
fn representations(criterion: &mut Criterion, installation: &Installation) {
    let projection = Projection::everything(users());
    let mut group = criterion.benchmark_group("search/assemble");
    for (name, text) in [("a user", CASES[0].query), ("page of 100", CASES[5].query)] {
        let page = find(installation, &query(text)).resources;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (tenant_id, projection, page) = (installation.tenant_id, projection.clone(), page.clone());
                installation.run(installation.store.read(Reach::Point, move |connection| {
                    let (resource_type, registry) = (users(), Registry::builtin());
                    let (projection, base_url) = (&projection, BASE_URL);
                    let assembler = Assembler { tenant_id, resource_type, registry, projection, base_url };
                    assembler.all(connection, &page)
                }))
            });
        });
    }
    group.finish();
}

fn requests(criterion: &mut Criterion, installation: &Installation, id: &str) {
    let mut group = criterion.benchmark_group("search/provider");
    let everything = Projection::everything(users());
    group.bench_function("read by id", |bencher| {
        bencher.iter(|| {
            let (call, id, projection) = (installation.call(), id.to_owned(), everything.clone());
            installation.run(installation.provider.read(call, users(), id, projection))
        });
    });
    for (name, text) in [("userName eq", CASES[0].query), ("page of 100", CASES[5].query)] {
        let query = query(text);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let queries = vec![Query::clone(&query)];
                installation.run(installation.provider.search(installation.call(), queries))
            });
        });
    }
    group.finish();
}

fn query(text: &str) -> Arc<Query> {
    let parameters = Parameters::parse(&text.replace(' ', "%20")).expect("a query");
    Arc::new(Query::resolve(&parameters, users(), Profile::Compat).expect("every name in the query exists"))
}

/// A point read runs on this thread: what is measured is the search and no hop.
fn find(installation: &Installation, query: &Arc<Query>) -> Found {
    let (tenant_id, query) = (installation.tenant_id, Arc::clone(query));
    installation.run(installation.store.read(Reach::Point, move |connection| {
        let scope = Scope { resource_type: query.resource_type, condition: query.condition.as_ref() };
        let wanted = Search {
            tenant_id,
            scopes: vec![scope],
            sort: query.sort.as_ref(),
            registry: Registry::builtin(),
            base_url: BASE_URL,
        };
        let Paging::Index(page) = query.page else { unreachable!("no case has a cursor") };
        search(connection, &wanted, page)
    }))
}
