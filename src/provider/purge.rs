//! An operator erases a deleted resource for good: what it held, and what its history says of it.
//!
//! What stays is that there was a resource with this id, when each change of it was made and by whom, and who erased it.
//! Other resources know of it by its id alone.

use chrono::{DateTime, Utc};

use super::record::record;
use super::{Call, Provider, not_found, place};
use crate::scim::resource::format_instant;
use crate::scim::schema::ResourceType;
use crate::scim::{Error, ErrorKind, Result};
use crate::store::audit::{self, Changes, NO_VERSION, Operation, Record};
use crate::store::resources::{self, Place, StoredResource};
use crate::store::{Connection, Reach, api_keys, credentials, members};

/// What a purge erases, or has erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// How many changes in the history lose what they say: of the resource, and of the keys bound to it.
    pub changes: i64,
    /// The keys that acted on behalf of the resource, which are deleted.
    pub keys: Vec<String>,
    /// Other resources, live or deleted, with the same unique value: perhaps the same person, and not erased.
    pub namesakes: Vec<String>,
    /// Whether something of it may stay in SQLite's log, which a long read, say, kept from being emptied.
    pub lingers: bool,
}

/// From how many changes one transaction erases: a few milliseconds of SQLite's writer.
const PIECE: usize = 500;

/// What the history calls a key.
const KEY: &str = "Key";

impl Provider {
    /// What [`Provider::purge`] would erase.
    ///
    /// # Errors
    /// As those of the purge.
    pub async fn preview_purge(&self, call: Call, resource_type: &'static ResourceType, id: String) -> Result<Purge> {
        let read = move |connection: &mut Connection| {
            let tenant_id = call.caller.tenant_id;
            match resources::find_buried(connection, tenant_id, &resource_type.name, &id)? {
                Some(stored) => {
                    let place = place(connection, tenant_id, resource_type)?;
                    look(connection, place, &stored)
                }
                None => rest(connection, tenant_id, resource_type, &id),
            }
        };
        // Settings are read as they are before a write.
        self.store.write(read).await
    }

    /// Erases a deleted resource: its attributes, password and bound keys, and what every change of it and of them says.
    /// In one transaction, but for a history of many changes, whose later parts follow in transactions of their own; a
    /// purge that was interrupted there is continued by the next one.
    ///
    /// # Errors
    /// 404 if no deleted resource has the id or all of it is erased already; `Mutability` for a live one; database failures.
    pub async fn purge(&self, call: Call, resource_type: &'static ResourceType, id: String) -> Result<Purge> {
        let (tenant_id, now) = (call.caller.tenant_id, self.now());
        let purged_id = id.clone();
        let first = move |connection: &mut Connection| {
            let place = place(connection, tenant_id, resource_type)?;
            let Some(stored) = resources::lock_buried(connection, tenant_id, &resource_type.name, &id)? else {
                // From its beginning: nobody knows where the purge before was interrupted.
                return Ok((rest(connection, tenant_id, resource_type, &id)?, Some(0)));
            };
            let purge = look(connection, place, &stored)?;
            members::forget(connection, stored.row_id)?;
            credentials::clear(connection, stored.row_id)?;
            api_keys::delete_bound_to(connection, tenant_id, stored.row_id)?;
            audit::forget_touches(connection, stored.row_id)?;
            resources::purge(connection, place, &stored, now)?;
            let (_, behind) = audit::erase(connection, tenant_id, &resource_type.name, &id, None, PIECE)?;
            let changes = Changes::default().with_erased(purge.changes, &purge.keys);
            record(connection, &call, Operation::Purge, &stored, now, &changes)?;
            purge.keys.iter().try_for_each(|key| purge_key(connection, &call, key, now))?;
            Ok((purge, behind))
        };
        let (purge, mut behind) = self.store.write(first).await?;
        while behind.is_some() {
            let id = purged_id.clone();
            let next = move |connection: &mut Connection| {
                audit::erase(connection, tenant_id, &resource_type.name, &id, behind, PIECE)
            };
            (_, behind) = self.store.write(next).await?;
        }
        Ok(Purge { lingers: !self.store.empty_log().await?, ..purge })
    }

    /// The error that tells that a resource is purged, if it is.
    ///
    /// # Errors
    /// That one; database failures.
    pub async fn check_not_purged(&self, tenant_id: i64, resource_type: &'static ResourceType, id: &str) -> Result<()> {
        let id = id.to_owned();
        let read = move |connection: &mut Connection| check_not_purged(connection, tenant_id, resource_type, &id);
        self.store.read(Reach::Point, read).await
    }
}

fn look(connection: &mut Connection, place: Place, stored: &StoredResource) -> Result<Purge> {
    let keys = api_keys::bound_to(connection, place.tenant_id, stored.row_id)?;
    let mut changes = audit::erasable(connection, place.tenant_id, &stored.resource_type, &stored.id)?;
    for key in &keys {
        changes += audit::erasable(connection, place.tenant_id, KEY, key)?;
    }
    let namesakes = resources::namesakes(connection, place, stored)?;
    Ok(Purge { changes, keys, namesakes, lingers: false })
}

/// Erases what the history says of a key that is deleted with the resource that it was bound to.
fn purge_key(connection: &mut Connection, call: &Call, key: &str, now: DateTime<Utc>) -> Result<()> {
    let tenant_id = call.caller.tenant_id;
    let (mut count, mut behind) = (0, Some(0));
    while behind.is_some() {
        let (erased, next) = audit::erase(connection, tenant_id, KEY, key, behind, PIECE)?;
        (count, behind) = (count + erased as i64, next);
    }
    let record = Record {
        tenant_id,
        at: now,
        caller: &call.caller.key_id,
        request_id: &call.request_id,
        operation: Operation::Purge,
        resource_type: KEY,
        resource_id: key,
        version: NO_VERSION,
        changes: &Changes::default().with_erased(count, &[]),
    };
    audit::append_silent(connection, &[record])
}

/// What an interrupted purge has left.
fn rest(connection: &mut Connection, tenant_id: i64, resource_type: &'static ResourceType, id: &str) -> Result<Purge> {
    if resources::find(connection, tenant_id, &resource_type.name, id)?.is_some() {
        let detail = format!(
            "{} '{id}' is not deleted. Delete it first, at its identity provider or with DELETE, so that it does not come \
             back; then purge it.",
            resource_type.name
        );
        return Err(Error::new(ErrorKind::Mutability, detail));
    }
    let changes = audit::erasable(connection, tenant_id, &resource_type.name, id)?;
    if changes == 0 || resources::find_purged(connection, tenant_id, &resource_type.name, id)?.is_none() {
        check_not_purged(connection, tenant_id, resource_type, id)?;
        return Err(not_found(resource_type, id));
    }
    Ok(Purge { changes, keys: Vec::new(), namesakes: Vec::new(), lingers: false })
}

/// 404 with when it was, if the resource is purged.
///
/// # Errors
/// That one; database failures.
pub(super) fn check_not_purged(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &ResourceType,
    id: &str,
) -> Result<()> {
    let Some(at) = resources::find_purged(connection, tenant_id, &resource_type.name, id)? else { return Ok(()) };
    let (name, at) = (&resource_type.name, format_instant(at));
    let detail = format!("{name} '{id}' was purged at {at}: what it held is erased for good, also from its history.");
    Err(Error::new(ErrorKind::NotFound, detail))
}
