//! An operator brings a resource back: a deleted one with its id, its last attributes and its memberships, or any one to
//! the state that it had at a time.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::membership::{self, Change};
use super::purge::check_not_purged;
use super::record::{GROUP, record, record_of_groups};
use super::{Call, Provider, Representation, hidden, history, not_found, place, reference};
use crate::scim::accept::{MemberClaim, check_still_required};
use crate::scim::projection::Projection;
use crate::scim::resource::{Document, format_instant};
use crate::scim::schema::{ResourceType, Role};
use crate::scim::withheld::divide;
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::Connection;
use crate::store::audit::{self, Changes, Operation};
use crate::store::members;
use crate::store::resources::{self, Place, StoredResource};

/// What came of bringing back the state of a time.
#[derive(Debug)]
pub struct Restored {
    /// The resource after it.
    pub representation: Representation,
    /// Whether anything was another way than at that time.
    pub changed: bool,
    /// What is not as it was then.
    pub left: Vec<Left>,
    /// The ids of members that no live resource has. They are members again when it is restored.
    pub unresolved: Vec<String>,
}

/// What of a resource could not be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The path of the attribute.
    pub what: String,
    /// Why, in a sentence.
    pub reason: String,
}

impl Left {
    fn new(what: String, reason: impl Into<String>) -> Left {
        Left { what, reason: reason.into() }
    }
}

/// Why what is never returned is left as it is.
pub(super) const NEVER_SHOWN: &str = "The history never has its value, so it stays as it is.";

/// Why somebody who was deleted has no password.
pub(super) const DROPPED: &str = "Its deletion has dropped it.";

impl Provider {
    /// Restores a deleted resource, with its memberships.
    ///
    /// # Errors
    /// 404 if no deleted resource has the id; `uniqueness` if another one holds its unique value by now.
    pub async fn restore(
        &self,
        call: Call,
        resource_type: &'static ResourceType,
        id: String,
    ) -> Result<Representation> {
        let (provider, now) = (self.clone(), self.now());
        let write = move |connection: &mut Connection| {
            let tenant_id = call.caller.tenant_id;
            let place = place(connection, tenant_id, resource_type)?;
            let Some(mut stored) = resources::lock_buried(connection, tenant_id, &resource_type.name, &id)? else {
                check_not_purged(connection, tenant_id, resource_type, &id)?;
                return Err(not_found(resource_type, &id));
            };
            let document = stored.document.clone();
            let relations = Relations::of(connection, &stored, tenant_id)?;
            revive(connection, place, &mut stored, document, &additions(&relations.members), now)?;
            record_revival(connection, &call, place, &stored, Changes::default(), now)?;
            rejoin_all(connection, &call, place, &stored, &relations, now)?;
            let projection = Projection::everything(resource_type);
            provider.assembler(tenant_id, resource_type, &projection).one(connection, stored)
        };
        self.store.write(write).await
    }

    /// Gives a resource, live or deleted, the attributes that it had at a time, and a group its members of then. Which
    /// groups list a user is the groups' state, and stays; a deleted user comes back to those that it was in, as with
    /// [`Provider::restore`]. What is never returned stays as it is, a reference to somebody who is deleted by now is left
    /// out, and members who are not there are unresolved ones.
    ///
    /// # Errors
    /// 404 if nobody has the id, or the resource was not there at that time; `invalidValue` for a time in the future, and
    /// for a state that lacks what the schemas in force require; `uniqueness` if another one holds a unique value by now.
    pub async fn restore_state(
        &self,
        call: Call,
        resource_type: &'static ResourceType,
        id: String,
        at: DateTime<Utc>,
    ) -> Result<Restored> {
        let (provider, now) = (self.clone(), self.now());
        if at > now {
            return Err(Error::new(ErrorKind::InvalidValue, "This time is in the future."));
        }
        let write = move |connection: &mut Connection| {
            let tenant_id = call.caller.tenant_id;
            let place = place(connection, tenant_id, resource_type)?;
            let Some(stored) = lock_any(connection, place, &id)? else {
                check_not_purged(connection, tenant_id, resource_type, &id)?;
                return Err(not_found(resource_type, &id));
            };
            let state = State::at(connection, place, &stored, at)?;
            let (stored, changed) = state.put_back(connection, &call, place, stored, at, now)?;
            let unresolved = state.unresolved(connection, &stored)?;
            let projection = Projection::everything(resource_type);
            let representation = provider.assembler(tenant_id, resource_type, &projection).one(connection, stored)?;
            Ok(Restored { representation, changed, left: state.left, unresolved })
        };
        self.store.write(write).await
    }
}

fn lock_any(connection: &mut Connection, place: Place, id: &str) -> Result<Option<StoredResource>> {
    let name = &place.resource_type.name;
    match resources::lock(connection, place.tenant_id, name, id)? {
        Some(live) => Ok(Some(live)),
        None => resources::lock_buried(connection, place.tenant_id, name, id),
    }
}

/// A state of the past as it can be today.
struct State {
    document: Document,
    members: Vec<String>,
    left: Vec<Left>,
}

impl State {
    fn at(connection: &mut Connection, place: Place, stored: &StoredResource, at: DateTime<Utc>) -> Result<State> {
        let past = history::past(connection, place.tenant_id, stored.clone(), at)?;
        if let Some((deleted_at, _)) = past.stored.deleted {
            let (name, since, at) = (&stored.resource_type, format_instant(deleted_at), format_instant(at));
            let detail = format!("{name} '{}' was not there at {at}: it had been deleted at {since}.", stored.id);
            return Err(Error::new(ErrorKind::NotFound, detail));
        }
        let (mut document, undefined) = divide(place.resource_type, past.stored.document, Map::new());
        let undefined = undefined.into_iter().map(|(name, _)| name);
        let mut left: Vec<Left> =
            undefined.map(|name| Left::new(name, "The schemas in force have no place for its value.")).collect();
        let kept = hidden::keep(place.resource_type, &mut document, &stored.document);
        left.extend(kept.into_iter().map(|path| Left::new(path, NEVER_SHOWN)));
        let gone = reference::without_deleted(connection, place, &mut document, &stored.document)?;
        left.extend(gone.map(|(path, id)| Left::new(path, format!("'{id}' is deleted."))));
        left.extend(password_left(connection, place, stored, at)?);
        check_still_required(place.resource_type, &stored.document, &document).map_err(|error| {
            let detail = format!("It can't be as it was at {}: {}", format_instant(at), error.detail());
            Error::new(error.kind(), detail)
        })?;
        Ok(State { document, members: past.members.into_iter().collect(), left })
    }

    /// Writes it, if it is another one than now. Whether it was.
    fn put_back(
        &self,
        connection: &mut Connection,
        call: &Call,
        place: Place,
        mut stored: StoredResource,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(StoredResource, bool)> {
        let before = stored.document.clone();
        let document = self.document.clone();
        let has_members = has_members(place.resource_type);
        let wanted = if has_members { Change::replacement(&claims(&self.members)) } else { Change::default() };
        if stored.deleted.is_some() {
            let relations = Relations::of(connection, &stored, place.tenant_id)?;
            revive(connection, place, &mut stored, document, &wanted, now)?;
            let changes = Changes::of(place.resource_type, Some(&before), Some(&stored.document));
            record_revival(connection, call, place, &stored, changes.with_restored_state(at), now)?;
            rejoin_all(connection, call, place, &stored, &relations, now)?;
            return Ok((stored, true));
        }
        let members = membership::apply(connection, place, &stored, &wanted, Profile::Compat)?;
        let changes = Changes::of(place.resource_type, Some(&before), Some(&document))
            .with_members(&members.added, &members.removed);
        if changes.is_empty() {
            return Ok((stored, false));
        }
        match document == before {
            true => resources::touch(connection, &mut stored, true, now)?,
            false => resources::replace(connection, place, &mut stored, document, now)?,
        }
        record(connection, call, Operation::Replace, &stored, now, &changes.with_restored_state(at))?;
        Ok((stored, true))
    }

    fn unresolved(&self, connection: &mut Connection, stored: &StoredResource) -> Result<Vec<String>> {
        if self.members.is_empty() {
            return Ok(Vec::new());
        }
        let members = members::ids(connection, stored.row_id)?;
        let is_unresolved = |id: &&String| members.get(*id).is_some_and(Option::is_none);
        Ok(self.members.iter().filter(is_unresolved).cloned().collect())
    }
}

fn has_members(resource_type: &ResourceType) -> bool {
    resource_type.attribute_in_role(Role::Members).is_some()
}

/// Why a user does not have the password of then; `None` if it is the same one.
fn password_left(
    connection: &mut Connection,
    place: Place,
    stored: &StoredResource,
    at: DateTime<Utc>,
) -> Result<Option<Left>> {
    let Some(password) = place.resource_type.attribute_in_role(Role::Password) else {
        return Ok(None);
    };
    let left = |reason| Some(Left::new(password.name.clone(), reason));
    if stored.deleted.is_some() {
        return Ok(left(DROPPED));
    }
    let steps = audit::steps(connection, place.tenant_id, &stored.resource_type, &stored.id)?;
    let Some(first) = steps.iter().find(|step| step.at > at).map(|step| step.row_id) else {
        return Ok(None);
    };
    let range = first..i64::MAX;
    let changes = audit::changes_of(connection, place.tenant_id, &stored.resource_type, &stored.id, range)?;
    let is_changed = changes.iter().any(|changes| changes.pointer("/secrets/0").is_some());
    Ok(if is_changed { left(NEVER_SHOWN) } else { None })
}

/// What a deletion took away, as ids.
struct Relations {
    groups: Vec<String>,
    members: Vec<String>,
    reports: Vec<String>,
}

impl Relations {
    fn of(connection: &mut Connection, stored: &StoredResource, tenant_id: i64) -> Result<Relations> {
        let kind = Operation::Delete;
        let changes = audit::last_changes(connection, tenant_id, &stored.resource_type, &stored.id, kind)?;
        let changes = changes.unwrap_or_default();
        let relation = |name: &str| -> Vec<String> {
            let ids = changes["relations"][name].as_array().map(Vec::as_slice).unwrap_or_default();
            ids.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Ok(Relations { groups: relation("groups"), members: relation("members"), reports: relation("reports") })
    }
}

fn claims(ids: &[String]) -> Vec<MemberClaim> {
    ids.iter().map(|id| MemberClaim { value: id.clone(), claimed_type: None }).collect()
}

/// These members, beside those that are there.
pub(super) fn additions(ids: &[String]) -> Change {
    Change::additions(&claims(ids))
}

/// Makes a buried resource live again, with these attributes and this change of its members. Members who are deleted
/// themselves are noted as unresolved, so that the membership is back when they are, in whichever order they are restored.
///
/// # Errors
/// `uniqueness` if another resource holds its unique value by now; database failures.
pub(super) fn revive(
    connection: &mut Connection,
    place: Place,
    stored: &mut StoredResource,
    document: Document,
    members: &Change,
    now: DateTime<Utc>,
) -> Result<()> {
    resources::unbury(connection, place, stored, document, now)?;
    members::resolve_pending(connection, place.tenant_id, &stored.id, stored.row_id)?;
    if !has_members(place.resource_type) {
        return Ok(());
    }
    members::resolve_own(connection, place.tenant_id, stored.row_id)?;
    membership::apply(connection, place, stored, members, Profile::Compat).map(drop)
}

/// Appends to the history that a resource is there again, with all members that it has.
///
/// # Errors
/// Database failures.
pub(super) fn record_revival(
    connection: &mut Connection,
    call: &Call,
    place: Place,
    stored: &StoredResource,
    changes: Changes,
    now: DateTime<Utc>,
) -> Result<()> {
    if !has_members(place.resource_type) {
        return record(connection, call, Operation::Restore, stored, now, &changes);
    }
    let mut members: Vec<String> = members::ids(connection, stored.row_id)?.into_keys().collect();
    members.sort_unstable();
    record(connection, call, Operation::Restore, stored, now, &changes.with_members(&members, &[]))
}

/// Puts a restored resource back where the deletion took it away: into the groups that listed it, and to whom it was the
/// manager of.
fn rejoin_all(
    connection: &mut Connection,
    call: &Call,
    place: Place,
    stored: &StoredResource,
    relations: &Relations,
    now: DateTime<Utc>,
) -> Result<()> {
    let mut joined = Vec::new();
    for group_id in &relations.groups {
        if rejoin(connection, place.tenant_id, group_id, stored)? {
            joined.push(group_id.clone());
        }
    }
    for report_id in &relations.reports {
        reference::assign_again(connection, call, place, report_id, stored, now)?;
    }
    record_of_groups(connection, call, Operation::Join, &joined, &stored.id, now)
}

/// Whether a live group lists the resource now that did not before.
fn rejoin(connection: &mut Connection, tenant_id: i64, group_id: &str, stored: &StoredResource) -> Result<bool> {
    if let Some(group) = members::resolve(connection, tenant_id, &[group_id])?.get(group_id) {
        return Ok(!members::add(connection, group.row_id, &[stored.row_id])?.is_empty());
    }
    match resources::lock_buried(connection, tenant_id, GROUP, group_id)? {
        Some(group) => members::add_unresolved(connection, group.row_id, &[&stored.id]).map(|_| false),
        None => Ok(false),
    }
}
