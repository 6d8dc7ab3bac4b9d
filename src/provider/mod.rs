//! What we do: one file per SCIM operation. Status codes and headers are the business of [`crate::http`].

pub mod assemble;
mod bulk;
mod chain;
mod create;
mod credential;
mod delete;
pub mod deleted;
mod export;
mod health;
mod hidden;
pub mod history;
pub mod import;
mod listing;
mod me;
mod membership;
mod modify;
mod purge;
mod read;
mod record;
mod reference;
pub mod relations;
mod replace;
mod restore;
mod revision;
mod search;
mod spill;
pub mod transfer;
pub mod undo;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::Semaphore;

use assemble::{Assembler, Others};

use crate::auth::{Caller, Passwords};
use crate::scim::projection::Projection;
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::{Error, ErrorKind, Profile, Result, shortened};
use crate::store::resources::{self, Place, StoredResource, StoredText};
use crate::store::tenants::{self, TenantsSeen};
use crate::store::{Connection, Gatherer, Store};

pub use assemble::Representation;
pub use export::{Export, Progress};
pub use health::Health;
pub use listing::Listed;
pub use modify::Modified;
pub use purge::Purge;
pub use restore::{Left, Restored};
pub use search::{Paged, Results};
pub use spill::{Spilled, Text};

pub use crate::store::survey::{EXPIRY_DAYS, EndingKey, Survey};
pub use crate::store::{CHANGES_PER_COMMIT, COMMIT_SECONDS};

use crate::scim::version::Preconditions;

/// The operations on resources, for every caller.
#[derive(Clone)]
pub struct Provider {
    store: Store,
    registry: &'static Registry,
    base_url: Arc<str>,
    clock: Clock,
    /// The turns of bulk requests that are not taken.
    bulk_turns: Arc<Semaphore>,
    /// The turns of exports that are not taken.
    export_turns: Arc<Semaphore>,
    passwords: Passwords,
    /// Where creations that concern nobody else wait for each other.
    independent_creations: Gatherer<create::IndependentCreation>,
    /// Where revisions that concern nobody else do.
    independent_revisions: Gatherer<revision::IndependentRevision>,
    tenants_seen: Arc<TenantsSeen>,
}

/// Where the time comes from; tests bring their own.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The clock of this machine.
#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else gets the time from")]
pub fn system_clock() -> Clock {
    Arc::new(Utc::now)
}

/// Who asks, and with which request.
#[derive(Debug, Clone)]
pub struct Call {
    /// The holder of the key.
    pub caller: Arc<Caller>,
    /// The id of the request, as logs and history show it.
    pub request_id: Arc<str>,
    /// Whether it is about the resource that the key is bound to, whatever the scopes; [`Provider::subject`] makes such a
    /// call.
    pub as_subject: bool,
}

/// Which resource a write is about, and in which state the client expects it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its type.
    pub resource_type: &'static ResourceType,
    /// Its id.
    pub id: String,
    /// What must hold of its version.
    pub preconditions: Preconditions,
}

impl Call {
    fn profile(&self) -> Profile {
        self.caller.profile
    }
}

impl Provider {
    /// A provider over a store. `base_url` is what stands in front of the endpoints: `https://example.com/scim/v2`.
    pub fn new(store: Store, registry: &'static Registry, base_url: &str, clock: Clock) -> Provider {
        let turns = |number| Arc::new(Semaphore::new(number));
        let (bulk_turns, export_turns) = (turns(bulk::AT_ONCE), turns(export::at_once(store.pool_use().most)));
        let (independent_creations, independent_revisions) = (store.gatherer(), store.gatherer());
        Provider {
            independent_creations,
            independent_revisions,
            tenants_seen: Arc::default(),
            store,
            registry,
            base_url: base_url.into(),
            clock,
            bulk_turns,
            export_turns,
            passwords: Passwords::new(),
        }
    }

    /// The schemas and resource types that it serves.
    pub fn registry(&self) -> &'static Registry {
        self.registry
    }

    /// Whether one more change may wait behind so many that are still on their way ([`Store::room_for_a_write`]).
    ///
    /// # Errors
    /// `Busy`.
    pub fn room_for_a_change(&self, on_their_way: usize) -> Result<()> {
        self.store.room_for_a_write(on_their_way)
    }

    /// What lets those whom one thread serves share what a read costs the store ([`Store::rounds`]).
    pub fn rounds(&self) -> impl Future<Output = ()> + 'static {
        self.store.rounds()
    }

    /// What stands in front of the endpoints.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The present, in whole milliseconds: what representations show is what is stored.
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)().trunc_subsecs(3)
    }

    /// The representation of a resource whose transaction is over: nobody else waits for it. A long list of members is
    /// written where it keeps no other request from being served.
    async fn shown(
        &self,
        tenant_id: i64,
        projection: &Arc<Projection>,
        others: Others,
        stored: StoredText,
    ) -> Result<Representation> {
        let is_long = others.number_of_members() > MOST_MEMBERS_IN_PLACE;
        let (provider, projection) = (self.clone(), Arc::clone(projection));
        let assemble = move || {
            let assembler = provider.assembler(tenant_id, projection.resource_type(), &projection);
            assembler.among(others, &stored)
        };
        match is_long {
            true => tokio::task::spawn_blocking(assemble).await.map_err(Error::internal)?,
            false => assemble(),
        }
    }

    fn assembler<'a>(
        &'a self,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        projection: &'a Projection,
    ) -> Assembler<'a> {
        Assembler { tenant_id, resource_type, registry: self.registry, projection, base_url: &self.base_url }
    }
}

/// How many members are written down on a thread that serves requests, which takes a millisecond or less.
const MOST_MEMBERS_IN_PLACE: usize = 1000;

/// The rules of the place where a resource of this type lives.
fn place(connection: &mut Connection, tenant_id: i64, resource_type: &'static ResourceType) -> Result<Place> {
    let settings = tenants::settings_for(connection, tenant_id, resource_type)?;
    Ok(Place { tenant_id, settings, resource_type })
}

/// Tells the operator, by name alone, what a client sends that no schema has: data that is not kept.
fn log_ignored(ignored: &[String]) {
    if !ignored.is_empty() {
        // A path may hold a filter, and a filter somebody's address.
        let short = |name: &String| -> String { name.chars().take_while(|c| *c != '[').take(100).collect() };
        let names: Vec<String> = ignored.iter().take(20).map(short).collect();
        tracing::info!(attributes = ?names, "unknown attributes ignored");
    }
}

fn not_found(resource_type: &ResourceType, id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{} '{}' does not exist.", resource_type.name, shortened(id)))
}

/// The live resource of the target, kept from others, in the state that the caller expects (VER-04, VER-06), and the rules
/// of the place where it lives.
fn lock_expected(connection: &mut Connection, call: &Call, target: &Target) -> Result<(Place, StoredResource)> {
    lock(connection, call, target, false)
}

/// The same, for a resource that is about to be deleted.
fn lock_to_delete(connection: &mut Connection, call: &Call, target: &Target) -> Result<(Place, StoredResource)> {
    lock(connection, call, target, true)
}

fn lock(
    connection: &mut Connection,
    call: &Call,
    target: &Target,
    is_deletion: bool,
) -> Result<(Place, StoredResource)> {
    let Target { resource_type, id, preconditions } = target;
    let tenant_id = call.caller.tenant_id;
    let (settings, found) = resources::lock_in_tenant(connection, tenant_id, resource_type, id, is_deletion)?;
    let place = Place { tenant_id, settings, resource_type };
    Ok((place, expected(place, id, found, preconditions)?))
}

fn expected<D>(
    place: Place,
    id: &str,
    found: Option<StoredResource<D>>,
    preconditions: &Preconditions,
) -> Result<StoredResource<D>> {
    let stored = found.ok_or_else(|| not_found(place.resource_type, id))?;
    if place.settings.require_if_match && preconditions.if_match.is_none() {
        let detail = "This tenant wants every change to name the version that it expects: send If-Match.";
        return Err(Error::new(ErrorKind::PreconditionRequired, detail));
    }
    preconditions.check_write(stored.meta.version)?;
    Ok(stored)
}

#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod tests;

#[cfg(test)]
impl Call {
    /// That of a key which may do everything in the first tenant.
    fn of_a_test() -> Call {
        let caller = Caller {
            tenant_id: 1,
            tenant: "default".to_owned(),
            key_id: "test".to_owned(),
            profile: Profile::Compat,
            scopes: crate::auth::Scopes::all(),
            subject: None,
            cursor_secret: crate::scim::cursor::Secret::derive(&[]),
        };
        Call { caller: Arc::new(caller), request_id: "test".into(), as_subject: false }
    }
}
