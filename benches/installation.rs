//! A SQLite database on disk with a tenant, a caller and, where wanted, users: what the benches of the database run on.

#![allow(dead_code, reason = "every bench compiles this file for itself and takes what it needs")]

use std::future::Future;
use std::sync::Arc;

use futures_util::future::try_join_all;
use scimd::auth::{Caller, Scopes};
use scimd::provider::{Call, Provider, Representation, system_clock};
use scimd::scim::projection::Projection;
use scimd::scim::schema::{ENTERPRISE_URN, Registry, ResourceType, USER_URN};
use scimd::scim::{Profile, Result};
use scimd::store::{Settings, Store, tenants};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

/// What stands in front of the endpoints.
pub const BASE_URL: &str = "https://scim.acme.example/scim/v2";

/// Everything that a request needs, short of HTTP.
pub struct Installation {
    pub runtime: Runtime,
    pub provider: Provider,
    pub store: Store,
    pub tenant_id: i64,
    pub directory: tempfile::TempDir,
}

impl Installation {
    /// An empty tenant. The file lies in the build directory: `/tmp` is memory on many machines, and would make every
    /// durable write look free.
    pub fn new() -> Installation {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let url = format!("sqlite:{}", directory.path().join("scimd.db").display());
        Installation { directory, ..Installation::on(&url) }
    }

    /// An empty tenant in this database.
    pub fn on(url: &str) -> Installation {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let store = Store::open(&Settings::new(url.parse().expect("a database URL"))).expect("the database opens");
        store.migrate().expect("the migrations apply");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let provider = Provider::new(store.clone(), Registry::builtin(), BASE_URL, system_clock());
        let now = system_clock()().naive_utc();
        let tenant =
            store.write(move |connection| tenants::insert(connection, &format!("acme-{}", uuid::Uuid::now_v7()), now));
        let tenant_id = runtime.block_on(tenant).expect("a tenant").tenant_id;
        Installation { runtime, provider, store, tenant_id, directory }
    }

    /// A tenant with `count` users, numbered from 0, and their ids.
    pub fn with_users(count: usize) -> (Installation, Vec<String>) {
        let installation = Installation::new();
        let mut ids = Vec::with_capacity(count);
        for first in (0..count).step_by(256) {
            let bodies = (first..count.min(first + 256)).map(user);
            ids.extend(installation.create_together(users(), bodies).iter().map(id));
        }
        (installation, ids)
    }

    /// Creates resources at once, as that many clients would.
    pub fn create_together(
        &self,
        resource_type: &'static ResourceType,
        bodies: impl IntoIterator<Item = Map<String, Value>>,
    ) -> Vec<Representation> {
        let create =
            |body| self.provider.create(self.call(), resource_type, body, Projection::everything(resource_type));
        self.run(try_join_all(bodies.into_iter().map(create)))
    }

    /// Runs a future to its end.
    pub fn run<T>(&self, future: impl Future<Output = Result<T>>) -> T {
        self.runtime.block_on(future).expect("the database works")
    }

    /// A request of somebody who may do everything.
    pub fn call(&self) -> Call {
        let caller = Caller {
            tenant_id: self.tenant_id,
            tenant: "acme".to_owned(),
            key_id: "bench".to_owned(),
            profile: Profile::Compat,
            scopes: Scopes::all(),
            subject: None,
            cursor_secret: scimd::scim::cursor::Secret::derive(&[]),
        };
        Call { caller: Arc::new(caller), request_id: "bench".into(), as_subject: false }
    }
}

/// The type User.
pub fn users() -> &'static ResourceType {
    Registry::builtin().resource_type("User").expect("it is built in")
}

/// The type Group.
pub fn groups() -> &'static ResourceType {
    Registry::builtin().resource_type("Group").expect("it is built in")
}

/// The `id` of a resource as created.
pub fn id(created: &Representation) -> String {
    let created = created.members().expect("an object");
    created["id"].as_str().expect("every resource has an id").to_owned()
}

/// The body of the user with that number, as a large directory fills it.
pub fn user(number: usize) -> Map<String, Value> {
    let value = json!({
        "schemas": [USER_URN, ENTERPRISE_URN],
        "externalId": format!("00u{number:08}"),
        "userName": format!("user{number:05}@acme.example"),
        "name": {"givenName": format!("Given{}", number % 500), "familyName": format!("Family{}", number % 3000)},
        "displayName": format!("Person {number:05}"),
        "title": "Engineer",
        "locale": "en-US",
        "active": true,
        "emails": [
            {"type": "work", "value": format!("user{number:05}@acme.example"), "primary": true},
            {"type": "home", "value": format!("user{number:05}@home.example")},
        ],
        "phoneNumbers": [{"type": "work", "value": format!("+32 2 {number:07}")}],
        ENTERPRISE_URN: {"employeeNumber": number.to_string(), "department": format!("Department {}", number % 8)},
    });
    value.as_object().expect("an object").clone()
}
