//! The two databases with the same tenant on each, and the provider over them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;
use diesel::prelude::*;
use scimd::auth::{Caller, Scopes};
use scimd::provider::{Call, Provider};
use scimd::scim::query::Query;
use scimd::scim::query_string::Parameters;
use scimd::scim::schema::Registry;
use scimd::scim::{Profile, Result};
use scimd::store::schema::{audit, group_members, resource_values, resources, unresolved_members};
use scimd::store::{Connection, Reach, Settings, Store, tenants};
use serde_json::{Map, Value};

use crate::population::Population;
use crate::support::postgres;

/// What stands in front of the endpoints.
pub const BASE_URL: &str = "https://scim.example.org/scim/v2";

/// A representation as a client sees it.
pub type Body = Map<String, Value>;

/// One database.
pub struct Side {
    pub name: &'static str,
    pub store: Store,
    pub provider: Provider,
    pub tenant_id: i64,
    clock: Arc<AtomicI64>,
    runtime: tokio::runtime::Runtime,
    _directory: Option<tempfile::TempDir>,
}

/// Both databases, with the same population, and again the same in a tenant that nobody asks for.
pub fn both(population: &Arc<Population>) -> [Side; 2] {
    std::thread::scope(|scope| {
        let sqlite = scope.spawn(|| {
            let directory = tempfile::tempdir().expect("a directory");
            let url = format!("sqlite:{}", directory.path().join("scimd.db").display());
            Side::new("SQLite", &url, Some(directory), population)
        });
        let postgres = Side::new("PostgreSQL", &postgres::database_url(), None, population);
        [sqlite.join().expect("SQLite starts"), postgres]
    })
}

impl Side {
    fn new(name: &'static str, url: &str, directory: Option<tempfile::TempDir>, population: &Arc<Population>) -> Side {
        let store = Store::open(&Settings::new(url.parse().expect("a database URL"))).expect("the database opens");
        store.migrate().expect("the migrations apply");
        let clock = Arc::new(AtomicI64::new(1_780_000_000_000));
        let now = Arc::clone(&clock);
        let clock_of_both =
            Arc::new(move || DateTime::from_timestamp_millis(now.load(Ordering::Relaxed)).expect("a time"));
        let provider = Provider::new(store.clone(), Registry::builtin(), BASE_URL, clock_of_both);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut side = Side { name, store, provider, tenant_id: 0, clock, runtime, _directory: directory };
        side.tenant_id = side.tenant("asked");
        let (asked, other) = (side.tenant_id, side.tenant("other"));
        let population = Arc::clone(population);
        side.write(move |connection| {
            population.insert(connection, other, "other-")?;
            population.insert(connection, asked, "")
        });
        side
    }

    pub fn tenant(&self, name: &'static str) -> i64 {
        let now = self.provider.now().naive_utc();
        self.write(move |connection| tenants::insert(connection, name, now)).tenant_id
    }

    pub fn write<T: Send + 'static>(&self, work: impl FnMut(&mut Connection) -> Result<T> + Send + 'static) -> T {
        self.run(self.store.write(work)).unwrap_or_else(|error| panic!("{}: {error:?}", self.name))
    }

    pub fn read<T: Send + 'static>(&self, work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static) -> T {
        self.run(self.store.read(Reach::Scan, work)).unwrap_or_else(|error| panic!("{}: {error:?}", self.name))
    }

    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The time goes on by some milliseconds.
    pub fn wait(&self) {
        self.clock.fetch_add(1_234, Ordering::Relaxed);
    }

    /// The time goes on.
    pub fn pass(&self, time: chrono::TimeDelta) {
        self.clock.fetch_add(time.num_milliseconds(), Ordering::Relaxed);
    }

    pub fn call(&self, profile: Profile) -> Call {
        let caller = Caller {
            tenant_id: self.tenant_id,
            tenant: "asked".to_owned(),
            key_id: "key".to_owned(),
            profile,
            scopes: Scopes::all(),
            subject: None,
            cursor_secret: scimd::scim::cursor::Secret::derive(&[]),
        };
        Call { caller: Arc::new(caller), request_id: "request".into(), as_subject: false }
    }

    /// Everything that the tenant holds, in the order of creation.
    pub fn representations(&self) -> Vec<Body> {
        let parameters = Parameters { count: Some("1000".to_owned()), ..Parameters::default() };
        let types = Registry::builtin().resource_types();
        let queries = Query::resolve_over(&parameters, types, Profile::Strict).expect("a query");
        let results = self.run(self.provider.search(self.call(Profile::Strict), queries)).expect("a search");
        assert_eq!(results.total, results.resources.len() as u64, "the population fits a page");
        results.resources.into_iter().map(|representation| representation.members().unwrap()).collect()
    }

    /// Every row that belongs to a resource of the tenant, and how much history there is, as text.
    pub fn rows_of(&self, id: &str) -> Vec<String> {
        let (tenant_id, id) = (self.tenant_id, id.to_owned());
        self.read(move |connection| rows_of(connection, tenant_id, &id))
    }
}

fn rows_of(connection: &mut Connection, tenant_id: i64, id: &str) -> Result<Vec<String>> {
    let row_id: i64 = resources::table.filter(resources::id.eq(id)).select(resources::row_id).first(connection)?;
    let row: (String, i64, chrono::NaiveDateTime, Option<String>, Option<String>) = resources::table
        .find(row_id)
        .select((
            resources::document,
            resources::version,
            resources::modified_at,
            resources::unique_key,
            resources::external_id,
        ))
        .first(connection)?;
    let (first, last) = index_of(tenant_id);
    let values: Vec<(i64, String, i64, String)> = resource_values::table
        .filter(resource_values::tenant_path.between(first, last).and(resource_values::row_id.eq(row_id)))
        .select((resource_values::tenant_path, resource_values::key, resource_values::element, resource_values::tail))
        .order((resource_values::tenant_path, resource_values::key, resource_values::element))
        .load(connection)?;
    let members: Vec<i64> = group_members::table
        .filter(group_members::group_row_id.eq(row_id))
        .select(group_members::member_row_id)
        .order(group_members::member_row_id)
        .load(connection)?;
    let unresolved: Vec<String> = unresolved_members::table
        .filter(unresolved_members::group_row_id.eq(row_id))
        .select(unresolved_members::value)
        .order(unresolved_members::value)
        .load(connection)?;
    let history: i64 = audit::table.count().get_result(connection)?;
    let mut rows = vec![format!("{row:?}"), format!("{history} changes")];
    rows.extend(values.iter().map(|value| format!("{value:?}")));
    rows.push(format!("{members:?} {unresolved:?}"));
    Ok(rows)
}

/// Where the search index has anything of a tenant.
fn index_of(tenant_id: i64) -> (i64, i64) {
    (tenant_id << 31, ((tenant_id + 1) << 31) - 1)
}

/// The search index of a tenant: id of the resource, without a prefix, and the row.
pub fn index(side: &Side, tenant_id: i64, prefix: &'static str) -> Vec<(String, i64, String, i64, String)> {
    let (first, last) = index_of(tenant_id);
    let mut rows = side.read(move |connection| {
        let rows: Vec<(String, i64, String, i64, String)> = resource_values::table
            .inner_join(resources::table.on(resources::row_id.eq(resource_values::row_id)))
            .filter(resource_values::tenant_path.between(first, last))
            .select((
                resources::id,
                resource_values::tenant_path,
                resource_values::key,
                resource_values::element,
                resource_values::tail,
            ))
            .load(connection)?;
        Ok(rows)
    });
    for row in &mut rows {
        row.0 = row.0.strip_prefix(prefix).expect("the prefix of the tenant").to_owned();
        row.1 -= first;
    }
    rows.sort();
    rows
}
