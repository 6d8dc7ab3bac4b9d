//! What operators do: look after keys, tenants and what identity providers have pushed.
//!
//! Everything that can be asked for is an [`Operation`]: the commands ask at the database at hand or at another server,
//! and `/admin/v1` serves the same operations. Each does its work in transactions of the database, so it does not matter
//! how many servers run beside it. Knows nothing of HTTP and of terminals.

pub mod audit;
pub mod doctor;
mod hosts;
pub mod keys;
mod operation;
mod record;
pub mod resources;
pub mod server;
pub mod tenants;
pub mod transfer;
mod turns;
pub mod undo;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::hosts::Hosts;
pub use self::operation::{Asked, Offer, Operation, Route, SEGMENT, Verb};
pub use self::turns::Turn;
use self::turns::Turns;
use crate::auth::{Access, Authenticator, Caller, Scopes};
use crate::provider::{Call, Provider};
use crate::scim::{Error, ErrorKind, Profile, Result, cursor};
use crate::store::tenants::Tenant;
use crate::store::{self, Connection, Reach, Store, api_keys};

/// How many tenants are named to whoever asks for one that is not there.
const TENANTS_NAMED: i64 = 20;

/// Every operation.
pub fn offers() -> &'static [Offer] {
    static OFFERS: LazyLock<Vec<Offer>> = LazyLock::new(|| {
        vec![
            Offer::of::<server::ShowMe>(),
            Offer::of::<server::ShowServer>(),
            Offer::of::<tenants::List>(),
            Offer::of::<tenants::Create>(),
            Offer::of::<tenants::Show>(),
            Offer::of::<tenants::Change>(),
            Offer::of::<tenants::Suspend>(),
            Offer::of::<tenants::Resume>(),
            Offer::of::<tenants::Delete>(),
            Offer::of::<keys::List>(),
            Offer::of::<keys::Create>(),
            Offer::of::<keys::Show>(),
            Offer::of::<keys::Revoke>(),
            Offer::of::<keys::Rotate>(),
            Offer::of::<resources::List>(),
            Offer::of::<resources::Show>(),
            Offer::of::<resources::History>(),
            Offer::of::<resources::Restore>(),
            Offer::of::<resources::Purge>(),
            Offer::of::<resources::ListUnresolved>(),
            Offer::of::<doctor::Examine>(),
            Offer::of::<doctor::Repair>(),
            Offer::of::<audit::List>(),
            Offer::of::<audit::Verify>(),
            Offer::of::<undo::Undo>(),
        ]
    });
    &OFFERS
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: serde::de::DeserializeOwned"))]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// What stands on it, in the order of the list.
    pub items: Vec<T>,
    /// What to ask for as `after` to get the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How many things stand on a page.
fn page_size(limit: Option<u32>) -> i64 {
    i64::from(limit.unwrap_or(100).clamp(1, 1000))
}

/// The refusal of an `after` that nobody was given.
fn no_next_page() -> Error {
    Error::new(ErrorKind::InvalidValue, "`after` is not the `next` of a page before.")
}

/// What every operation works with: the database, and who asks.
#[derive(Clone)]
pub struct Desk {
    /// The database.
    pub store: Store,
    /// The operations on resources.
    pub provider: Provider,
    /// By which names clients reach this process.
    pub hosts: Hosts,
    /// What remembers keys in this process, where it serves.
    door: Option<Arc<Authenticator>>,
    turns: Turns,
    actor: Actor,
}

/// Who works at a desk.
#[derive(Clone)]
struct Actor {
    /// What the history calls them: the id of a key, or `operator`.
    name: Arc<str>,
    /// The tenant that their key belongs to.
    tenant_id: Option<i64>,
    /// What they may do with what operators look after.
    access: Access,
    /// The request that the work comes with.
    request_id: Arc<str>,
    cursor_secret: cursor::Secret,
}

impl Desk {
    /// What the history calls whoever has the database at hand.
    pub const OPERATOR: &'static str = "operator";

    /// A desk over a migrated store, and the operations on the same store. Whoever works at it has the database at hand;
    /// the history shows them as `operator`.
    pub fn new(store: Store, provider: Provider) -> Desk {
        let request_id = uuid::Uuid::now_v7().to_string();
        let cursor_secret = cursor::Secret::derive(&[&request_id]);
        let (name, access, request_id) = (Self::OPERATOR.into(), Access::Write, request_id.into());
        let actor = Actor { name, tenant_id: None, access, request_id, cursor_secret };
        Desk { store, provider, hosts: Hosts::default(), door: None, turns: Turns::new(), actor }
    }

    /// The same desk in the process that lets keys in here: what becomes of them takes effect at once.
    pub fn at_the_door(self, authenticator: Arc<Authenticator>) -> Desk {
        Desk { door: Some(authenticator), ..self }
    }

    /// The same desk, for the holder of a key.
    pub fn used_by(&self, caller: &Caller, request_id: Arc<str>) -> Desk {
        let name = caller.key_id.as_str().into();
        let (tenant_id, cursor_secret) = (Some(caller.tenant_id), caller.cursor_secret.clone());
        let access = caller.may_administer(Access::Write).map_or(Access::Read, |()| Access::Write);
        let actor = Actor { name, tenant_id, access, request_id, cursor_secret };
        Desk { actor, ..self.clone() }
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.provider.now()
    }

    /// The tenant of that name.
    ///
    /// # Errors
    /// 404 with the names that there are.
    pub async fn tenant(&self, name: &str) -> Result<Tenant> {
        let wanted = name.to_owned();
        let read = move |connection: &mut Connection| match store::tenants::find_by_name(connection, &wanted)? {
            Some(tenant) => Ok(Ok(tenant)),
            None => store::tenants::list_after(connection, 0, TENANTS_NAMED + 1).map(Err),
        };
        self.store.read(Reach::Scan, read).await?.map_err(|others| {
            let named = others.iter().take(TENANTS_NAMED as usize).map(|tenant| format!("`{}`", tenant.name));
            let named = named.collect::<Vec<String>>().join(", ");
            let more = if others.len() as i64 > TENANTS_NAMED { " and more" } else { "" };
            let name: String = name.chars().take(100).flat_map(char::escape_debug).collect();
            Error::new(ErrorKind::NotFound, format!("There is no tenant `{name}`. There are: {named}{more}."))
        })
    }

    /// What operators call these keys, as far as they are keys and still there.
    async fn key_names(&self, key_ids: BTreeSet<String>) -> Result<HashMap<String, String>> {
        let read = move |connection: &mut Connection| {
            api_keys::names(connection, &key_ids.iter().map(String::as_str).collect::<Vec<_>>())
        };
        self.store.read(Reach::Scan, read).await
    }

    /// Lets what became of a key take effect at once, where keys are let in here.
    fn forget_key(&self, key_id: &str) {
        self.door.iter().for_each(|door| door.forget(key_id));
    }

    /// The same for all keys of a tenant.
    fn forget_tenant(&self, tenant_id: i64) {
        self.door.iter().for_each(|door| door.forget_tenant(tenant_id));
    }

    /// Counts the run of argon2 that a new key takes, where runs are counted.
    fn count_argon2_run(&self) {
        self.door.iter().for_each(|door| door.counters().count_argon2_run());
    }

    /// A call of an operation on resources by whoever works here, who may do everything within the tenant.
    pub fn call(&self, tenant: &Tenant) -> Call {
        let caller = Caller {
            tenant_id: tenant.tenant_id,
            tenant: tenant.name.clone(),
            key_id: self.actor.name.to_string(),
            profile: Profile::Compat,
            scopes: Scopes::all(),
            subject: None,
            cursor_secret: self.actor.cursor_secret.clone(),
        };
        Call { caller: Arc::new(caller), request_id: Arc::clone(&self.actor.request_id), as_subject: false }
    }
}
