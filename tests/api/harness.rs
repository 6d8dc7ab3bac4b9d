//! Starts the real server on a real port, once for each database, and hands every test a tenant of its own with a key.
//!
//! The only file of these tests that knows how. Tenants see nothing of each other, so tests may run side by side.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use chrono::TimeDelta;
use diesel::prelude::*;
use scimd::admin::Desk;
use scimd::auth::{Authenticator, KeySource, Scopes, StoredKeys, Token};
use scimd::http::peers::Peers;
use scimd::http::{Options, Service, bind};
use scimd::provider::{Clock, Provider, system_clock};
use scimd::scim::Profile;
use scimd::scim::schema::{Registry, SchemaFile};
use scimd::store::api_keys::{self, ApiKey};
use scimd::store::schema::{live_totals, resources};
use scimd::store::{Connection, Reach, Settings, Store, tenants};
use serde_json::Value;
use uuid::Uuid;

use crate::support::http::{Client, Response};
use crate::support::{postgres, test_type};

/// The databases that every test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

struct Server {
    address: String,
    store: Store,
    _directory: Option<tempfile::TempDir>,
}

static SQLITE: OnceLock<Server> = OnceLock::new();
static POSTGRES: OnceLock<Server> = OnceLock::new();
static SQLITE_WITH_TEST_TYPE: OnceLock<Server> = OnceLock::new();
static POSTGRES_WITH_TEST_TYPE: OnceLock<Server> = OnceLock::new();

/// What a server serves beside users and groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Types {
    Builtin,
    /// The test type, from a file as an operator's (CHAR-14).
    WithTestType,
}

static STARTING: Mutex<()> = Mutex::new(());
/// Where the servers that keep passwords listen, by database.
static WITH_PASSWORDS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];

/// A tenant of its own on a running server, and a key for it.
pub struct Api {
    pub database: Database,
    /// The profile of the key.
    pub profile: Profile,
    pub store: Store,
    pub tenant_id: i64,
    pub token: String,
    pub base_url: String,
    client: Client,
}

/// Runs a test on both databases, with a key of the `compat` profile.
pub fn each(test: impl Fn(&Api)) {
    each_with(Profile::Compat, Types::Builtin, test);
}

/// Runs a test on both databases, with a key of the `strict` profile.
pub fn each_strict(test: impl Fn(&Api)) {
    each_with(Profile::Strict, Types::Builtin, test);
}

/// Runs a test on both databases under both profiles: what the RFC says holds in either.
pub fn each_profile(test: impl Fn(&Api)) {
    each_with(Profile::Strict, Types::Builtin, &test);
    each_with(Profile::Compat, Types::Builtin, &test);
}

/// Runs a test on both databases of servers that have the test type.
pub fn each_with_test_type(test: impl Fn(&Api)) {
    each_with(Profile::Compat, Types::WithTestType, test);
}

/// The same under both profiles.
pub fn each_profile_with_test_type(test: impl Fn(&Api)) {
    each_with(Profile::Strict, Types::WithTestType, &test);
    each_with(Profile::Compat, Types::WithTestType, &test);
}

/// Runs a test on both databases under both profiles, on a server that keeps passwords.
pub fn each_with_passwords(test: impl Fn(&Api)) {
    each_profile(|api| test(&api.with_passwords()));
}

fn each_with(profile: Profile, types: Types, test: impl Fn(&Api)) {
    for database in [Database::Sqlite, Database::Postgres] {
        let api = Api::at(server(database, types), database, profile);
        test(&api);
        api.check_totals();
    }
}

impl Api {
    /// A fresh tenant with a key that may do everything.
    pub fn new(database: Database, profile: Profile) -> Api {
        Api::at(server(database, Types::Builtin), database, profile)
    }

    fn at(server: &Server, database: Database, profile: Profile) -> Api {
        let name = format!("tenant-{}", Uuid::now_v7());
        let now = chrono::Utc::now().naive_utc();
        let tenant = run(server.store.write(move |connection| tenants::insert(connection, &name, now)));
        let token = insert_key(&server.store, key(tenant.tenant_id, profile, &Scopes::all().to_string()));
        let base_url = format!("http://{}/scim/v2", server.address);
        let client = Client::new(&base_url);
        Api { database, profile, store: server.store.clone(), tenant_id: tenant.tenant_id, token, base_url, client }
    }

    /// Whatever a test has done, the total that the database keeps is the number of what is there.
    fn check_totals(&self) {
        let tenant_id = self.tenant_id;
        let look = move |connection: &mut Connection| {
            let kept = live_totals::table.filter(live_totals::tenant_id.eq(tenant_id)).select(live_totals::live);
            let there = resources::tenant_id.eq(tenant_id).and(resources::deleted_at.is_null());
            let there: i64 = resources::table.filter(there).count().get_result(connection)?;
            Ok((kept.load::<i64>(connection)?.iter().sum::<i64>(), there))
        };
        let (kept, there) = run(self.store.read(Reach::Scan, look));
        assert_eq!(kept, there, "the total that is kept, and what is there");
    }

    /// The same tenant, through another key.
    pub fn with_key(&self, profile: Profile, scopes: &str) -> Api {
        self.through(key(self.tenant_id, profile, scopes))
    }

    /// The same tenant, through a key that may do everything until it expires.
    pub fn with_key_until(&self, expires_at: chrono::NaiveDateTime) -> Api {
        let (token, key) = key(self.tenant_id, Profile::Compat, &Scopes::all().to_string());
        self.through((token, ApiKey { expires_at: Some(expires_at), ..key }))
    }

    /// The same tenant, through a key that is stored as real keys are.
    pub fn with_real_key(&self) -> Api {
        let (token, key) = key(self.tenant_id, Profile::Compat, &Scopes::all().to_string());
        let secret_hash = scimd::auth::hash(&token);
        self.through((token, ApiKey { secret_hash, ..key }))
    }

    /// The same tenant, through a key of the same profile that is bound to this user.
    pub fn bound_to(&self, user: &Value, scopes: &str) -> Api {
        let (tenant_id, id) = (self.tenant_id, user["id"].as_str().expect("an id").to_owned());
        let find = move |connection: &mut Connection| scimd::store::resources::find(connection, tenant_id, "User", &id);
        let stored = run(self.store.read(Reach::Point, find)).expect("a live user");
        let (token, key) = key(self.tenant_id, self.profile, scopes);
        self.through((token, ApiKey { subject_row_id: Some(stored.row_id), ..key }))
    }

    /// The same tenant, through a token whose check always ends in a refusal, and always at its full cost.
    pub fn with_key_of_another_secret(&self) -> Api {
        let (token, key) = key(self.tenant_id, Profile::Compat, &Scopes::all().to_string());
        self.through((token, ApiKey { secret_hash: cheap_hash(&Token::generate()), ..key }))
    }

    /// The same tenant, through a key that the server has made.
    pub fn with_token(&self, token: &str) -> Api {
        self.on(token.to_owned(), self.base_url.clone())
    }

    /// The same tenant and key, on the server that keeps passwords.
    pub fn with_passwords(&self) -> Api {
        let store = &server(self.database, Types::Builtin).store;
        let address = WITH_PASSWORDS[self.database as usize].get_or_init(|| serve_passwords(store));
        self.on(self.token.clone(), format!("http://{address}/scim/v2"))
    }

    /// As [`Api::with_passwords`], on a server of its own: for tests that keep it busy.
    pub fn alone_with_passwords(&self) -> Api {
        self.on(self.token.clone(), format!("http://{}/scim/v2", serve_passwords(&self.store)))
    }

    /// The same tenant and key, on a server whose clock is so far ahead.
    pub fn later(&self, by: TimeDelta) -> Api {
        let clock: Clock = Arc::new(move || chrono::Utc::now() + by);
        let keys = Arc::new(StoredKeys::new(self.store.clone()));
        let address = serve_operators(clock, &self.store, Registry::builtin(), keys, false).0;
        self.on(self.token.clone(), format!("http://{address}/scim/v2"))
    }

    /// The same tenant, through this token at this place.
    fn on(&self, token: String, base_url: String) -> Api {
        let (database, profile, store, tenant_id) = (self.database, self.profile, self.store.clone(), self.tenant_id);
        let client = Client::new(&base_url);
        Api { database, profile, store, tenant_id, token, base_url, client }
    }

    fn through(&self, key: (Token, ApiKey)) -> Api {
        let profile = key.1.profile.parse().expect("a profile");
        Api { profile, ..self.on(insert_key(&self.store, key), self.base_url.clone()) }
    }

    /// Another tenant on the same server.
    pub fn other_tenant(&self) -> Api {
        Api::new(self.database, Profile::Compat)
    }

    /// Another tenant on the server that has the test type.
    pub fn other_tenant_with_test_type(&self) -> Api {
        Api::at(server(self.database, Types::WithTestType), self.database, self.profile)
    }

    /// Another tenant on the same database and server, whichever types it has.
    pub fn other_tenant_of_lasting(&self) -> Api {
        let address = self.base_url.trim_start_matches("http://").trim_end_matches("/scim/v2").to_owned();
        Api::at(&Server { address, store: self.store.clone(), _directory: None }, self.database, self.profile)
    }

    /// Where the server listens, without the base path.
    pub fn root(&self) -> Client {
        Client::new(self.base_url.trim_end_matches("/scim/v2"))
    }

    /// A connection of its own, for requests that run side by side or carry other credentials.
    pub fn connection(&self) -> Client {
        Client::new(&self.base_url)
    }

    pub fn get(&self, path: &str) -> Response {
        self.call("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.call("POST", path, Some(body))
    }

    pub fn put(&self, path: &str, body: &Value) -> Response {
        self.call("PUT", path, Some(body))
    }

    pub fn patch(&self, path: &str, body: &Value) -> Response {
        self.call("PATCH", path, Some(body))
    }

    pub fn delete(&self, path: &str) -> Response {
        self.call("DELETE", path, None)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Response {
        self.client.call(&self.token, method, path, body).expect("the server answers")
    }

    /// A request with headers of its own beside the key, and raw bytes as body.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Response {
        let mut all = vec![("Authorization".to_owned(), format!("Bearer {}", self.token))];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.client.send(method, path, &all, body).expect("the server answers")
    }

    /// A request without a key.
    pub fn anonymous(&self, method: &str, path: &str) -> Response {
        self.client.send(method, path, &[], None).expect("the server answers")
    }

    /// Creates a resource and returns it.
    pub fn created(&self, path: &str, body: &Value) -> Value {
        let response = self.post(path, body);
        assert_eq!(response.status, 201, "{}", response.text());
        response.json()
    }
}

/// Runs a future of the store to its end.
pub fn run<T>(future: impl Future<Output = scimd::scim::Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future).expect("the store works")
}

fn insert_key(store: &Store, (token, key): (Token, ApiKey)) -> String {
    run(store.write(move |connection| api_keys::insert(connection, &key)));
    token.expose().to_owned()
}

fn key(tenant_id: i64, profile: Profile, scopes: &str) -> (Token, ApiKey) {
    let token = Token::generate();
    let key = ApiKey {
        key_id: token.key_id().to_owned(),
        tenant_id,
        name: "test".to_owned(),
        secret_hash: cheap_hash(&token),
        fingerprint: token.fingerprint(),
        last_four: token.last_four().to_owned(),
        scopes: scopes.to_owned(),
        profile: profile.to_string(),
        subject_row_id: None,
        created_at: chrono::Utc::now().naive_utc(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
        rotated_from: None,
    };
    (token, key)
}

/// Every test has a key for each database and profile; at the real cost they would take longer than the tests.
fn cheap_hash(token: &Token) -> String {
    let params = Params::new(Params::MIN_M_COST, 1, 1, None).expect("parameters within the limits of argon2");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(token.expose().as_bytes()).expect("a hash").to_string()
}

fn server(database: Database, types: Types) -> &'static Server {
    let slot = match (database, types) {
        (Database::Sqlite, Types::Builtin) => &SQLITE,
        (Database::Postgres, Types::Builtin) => &POSTGRES,
        (Database::Sqlite, Types::WithTestType) => &SQLITE_WITH_TEST_TYPE,
        (Database::Postgres, Types::WithTestType) => &POSTGRES_WITH_TEST_TYPE,
    };
    // One start at a time: the machine is small, and whoever waits needs it anyway.
    let _starting = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    slot.get_or_init(|| start(database, types))
}

/// A database that outlasts the servers on it, which may come with other schemas each time.
pub struct Lasting {
    database: Database,
    url: String,
    tenant_id: OnceLock<i64>,
    _directory: Option<tempfile::TempDir>,
}

impl Lasting {
    /// Runs a test with an empty database of either kind.
    pub fn each(test: impl Fn(&Lasting)) {
        for database in [Database::Sqlite, Database::Postgres] {
            let (url, directory) = new_database(database);
            test(&Lasting { database, url, tenant_id: OnceLock::new(), _directory: directory });
        }
    }

    /// Starts a server beside those that run already, with these schemas and resource types.
    ///
    /// # Errors
    /// If the data does not allow them.
    pub fn serve(&self, objects: &Value) -> scimd::scim::Result<Api> {
        let file = SchemaFile { name: "types.json".to_owned(), text: objects.to_string() };
        let registry = Registry::with_files(&[file], false).unwrap_or_else(|flaw| panic!("{flaw}"));
        let server = start_on(&self.url, registry)?;
        let fresh = || Api::at(&server, self.database, Profile::Compat).tenant_id;
        let tenant_id = *self.tenant_id.get_or_init(fresh);
        let token = insert_key(&server.store, key(tenant_id, Profile::Compat, &Scopes::all().to_string()));
        let base_url = format!("http://{}/scim/v2", server.address);
        let client = Client::new(&base_url);
        let (database, profile) = (self.database, Profile::Compat);
        Ok(Api { database, profile, store: server.store.clone(), tenant_id, token, base_url, client })
    }
}

impl Lasting {
    /// A server beside the one of this API where no change may wait for another one.
    pub fn without_room(&self, api: &Api) -> Api {
        let settings = Settings { queue_limit: 0, ..Settings::new(self.url.parse().expect("a database URL")) };
        let store = Store::open(&settings).expect("the database opens");
        let address = serve(&store, Registry::builtin(), Arc::new(StoredKeys::new(store.clone())), false);
        let base_url = format!("http://{address}/scim/v2");
        Api { client: Client::new(&base_url), base_url, store, token: api.token.clone(), ..*api }
    }
}

fn new_database(database: Database) -> (String, Option<tempfile::TempDir>) {
    if database == Database::Postgres {
        return (postgres::database_url(), None);
    }
    let directory = tempfile::tempdir().expect("a directory");
    (format!("sqlite:{}", directory.path().join("scimd.db").display()), Some(directory))
}

fn start(database: Database, types: Types) -> Server {
    let registry = match types {
        Types::Builtin => Registry::builtin(),
        Types::WithTestType => test_type::registry(),
    };
    let (url, directory) = new_database(database);
    let server = start_on(&url, registry).expect("nothing is stored yet");
    Server { _directory: directory, ..server }
}

fn start_on(url: &str, registry: &'static Registry) -> scimd::scim::Result<Server> {
    let store = Store::open(&Settings::new(url.parse().expect("a database URL"))).expect("the database opens");
    store.migrate().expect("the migrations apply");
    store.conform(registry, system_clock()())?;
    let address = serve(&store, registry, Arc::new(StoredKeys::new(store.clone())), false);
    Ok(Server { address, store, _directory: None })
}

/// A server of its own, over the store of the others; the base URL.
pub fn another_server(database: Database, keys: Arc<dyn KeySource>, open_discovery: bool) -> String {
    let address = serve(&server(database, Types::Builtin).store, Registry::builtin(), keys, open_discovery);
    format!("http://{address}/scim/v2")
}

/// The same, with the keys of the store, and the desk that it has for operators.
pub fn another_server_and_its_desk(database: Database) -> (String, Desk) {
    let store = &server(database, Types::Builtin).store;
    let keys = Arc::new(StoredKeys::new(store.clone()));
    let (address, desk) = serve_operators(system_clock(), store, Registry::builtin(), keys, false);
    (format!("http://{address}/scim/v2"), desk)
}

/// A server over the same store that keeps passwords; where it listens.
fn serve_passwords(store: &Store) -> String {
    serve(store, Registry::with_passwords(), Arc::new(StoredKeys::new(store.clone())), false)
}

fn serve(store: &Store, registry: &'static Registry, keys: Arc<dyn KeySource>, open_discovery: bool) -> String {
    serve_operators(system_clock(), store, registry, keys, open_discovery).0
}

fn serve_operators(
    clock: Clock,
    store: &Store,
    registry: &'static Registry,
    keys: Arc<dyn KeySource>,
    open_discovery: bool,
) -> (String, Desk) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let base_url = format!("http://{address}/scim/v2");
    let provider = Provider::new(store.clone(), registry, &base_url, clock);
    let authenticator = Arc::new(Authenticator::new(keys));
    let service = Service {
        desk: Desk::new(store.clone(), provider.clone()).at_the_door(Arc::clone(&authenticator)),
        provider,
        authenticator,
        open_discovery,
        peers: Peers::anybody(),
    };
    let desk = service.desk.clone();
    std::thread::spawn(move || {
        let options =
            Options { workers: 2, shutdown_delay: Duration::ZERO, shutdown_timeout: Duration::from_secs(1), tls: None };
        let system = actix_web::rt::System::new();
        system.block_on(async { bind(listener, None, service, &options).expect("the server starts").await })
    });
    (address, desk)
}
