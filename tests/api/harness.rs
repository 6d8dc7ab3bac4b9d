//! Starts the real server on a real port, once for each database, and hands every test a tenant of its own with a key.
//!
//! The only file of these tests that knows how. Tenants see nothing of each other, so tests may run side by side.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use scimd::auth::{Authenticator, Scopes, StoredKeys, Token};
use scimd::http::peers::Peers;
use scimd::http::{Options, Service, bind};
use scimd::provider::{Provider, system_clock};
use scimd::scim::Profile;
use scimd::scim::schema::Registry;
use scimd::store::api_keys::{self, ApiKey};
use scimd::store::{Settings, Store, tenants};
use serde_json::Value;
use uuid::Uuid;

use crate::support::http::{Client, Response};
use crate::support::postgres;

/// The databases that every test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

struct Server {
    address: String,
    /// Of a second server over the same store, which keeps passwords.
    address_with_passwords: String,
    store: Store,
    _directory: Option<tempfile::TempDir>,
}

static SQLITE: OnceLock<Server> = OnceLock::new();
static POSTGRES: OnceLock<Server> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// A tenant of its own on a running server, and a key for it.
pub struct Api {
    pub database: Database,
    pub store: Store,
    pub tenant_id: i64,
    pub token: String,
    pub base_url: String,
    client: Client,
}

/// Runs a test on both databases, with a key of the `compat` profile.
pub fn each(test: impl Fn(&Api)) {
    each_with(Profile::Compat, test);
}

/// Runs a test on both databases, with a key of the `strict` profile.
pub fn each_strict(test: impl Fn(&Api)) {
    each_with(Profile::Strict, test);
}

/// Runs a test on both databases under both profiles: what the RFC says holds in either.
pub fn each_profile(test: impl Fn(&Api)) {
    each_with(Profile::Strict, &test);
    each_with(Profile::Compat, &test);
}

/// Runs a test on both databases under both profiles, on a server that keeps passwords.
pub fn each_with_passwords(test: impl Fn(&Api)) {
    each_profile(|api| test(&api.with_passwords()));
}

fn each_with(profile: Profile, test: impl Fn(&Api)) {
    for database in [Database::Sqlite, Database::Postgres] {
        test(&Api::new(database, profile));
    }
}

impl Api {
    /// A fresh tenant with a key that may do everything.
    pub fn new(database: Database, profile: Profile) -> Api {
        let server = server(database);
        let name = format!("tenant-{}", Uuid::now_v7());
        let now = chrono::Utc::now().naive_utc();
        let tenant = run(server.store.write(move |connection| tenants::insert(connection, &name, now)));
        let token = insert_key(&server.store, key(tenant.tenant_id, profile, &Scopes::all().to_string()));
        let base_url = format!("http://{}/scim/v2", server.address);
        let client = Client::new(&base_url);
        Api { database, store: server.store.clone(), tenant_id: tenant.tenant_id, token, base_url, client }
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

    /// The same tenant and key, on the server that keeps passwords.
    pub fn with_passwords(&self) -> Api {
        let base_url = format!("http://{}/scim/v2", server(self.database).address_with_passwords);
        self.at(self.token.clone(), base_url)
    }

    /// As [`Api::with_passwords`], on a server of its own: for tests that keep it busy.
    pub fn alone_with_passwords(&self) -> Api {
        self.at(self.token.clone(), format!("http://{}/scim/v2", serve(&self.store, Registry::with_passwords())))
    }

    fn through(&self, key: (Token, ApiKey)) -> Api {
        self.at(insert_key(&self.store, key), self.base_url.clone())
    }

    fn at(&self, token: String, base_url: String) -> Api {
        let client = Client::new(&base_url);
        Api { database: self.database, store: self.store.clone(), tenant_id: self.tenant_id, token, base_url, client }
    }

    /// Another tenant on the same server.
    pub fn other_tenant(&self) -> Api {
        Api::new(self.database, Profile::Compat)
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

fn server(database: Database) -> &'static Server {
    let slot = match database {
        Database::Sqlite => &SQLITE,
        Database::Postgres => &POSTGRES,
    };
    // One start at a time: the machine is small, and whoever waits needs it anyway.
    let _starting = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    slot.get_or_init(|| start(database))
}

fn start(database: Database) -> Server {
    let directory = (database == Database::Sqlite).then(|| tempfile::tempdir().expect("a directory"));
    let url = match &directory {
        Some(directory) => format!("sqlite:{}", directory.path().join("scimd.db").display()),
        None => postgres::database_url(),
    };
    let store = Store::open(&Settings::new(url.parse().expect("a database URL"))).expect("the database opens");
    store.migrate().expect("the migrations apply");
    Server {
        address: serve(&store, Registry::builtin()),
        address_with_passwords: serve(&store, Registry::with_passwords()),
        store,
        _directory: directory,
    }
}

/// A server over the store; where it listens.
fn serve(store: &Store, registry: &'static Registry) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let base_url = format!("http://{address}/scim/v2");
    let service = Service {
        provider: Provider::new(store.clone(), registry, &base_url, system_clock()),
        authenticator: Arc::new(Authenticator::new(Arc::new(StoredKeys::new(store.clone())))),
        open_discovery: false,
        peers: Peers::anybody(),
    };
    std::thread::spawn(move || {
        let options = Options { workers: 2, shutdown_timeout: Duration::from_secs(1), tls: None };
        let system = actix_web::rt::System::new();
        system.block_on(async { bind(listener, None, service, &options).expect("the server starts").await })
    });
    address
}
