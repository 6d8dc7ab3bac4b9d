//! An operator brings a resource back: a deleted one with its id, its last attributes and its memberships, or any one to
//! the state that it had at a time.

use chrono::{DateTime, Utc};
use serde_json::Map;

use super::history::Past;
use super::membership::{self, Change};
use super::purge::check_not_purged;
use super::record::{GROUP, record, record_of_groups};
use super::relations::Relations;
use super::{Call, Provider, hidden, history, not_found, place, reference};
use crate::scim::accept::{MemberClaim, check_still_required};
use crate::scim::resource::{Document, format_instant};
use crate::scim::schema::{ResourceType, Role};
use crate::scim::withheld::divide;
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::audit::{self, Changes, Operation};
use crate::store::members;
use crate::store::resources::{self, Place, StoredResource};
use crate::store::{Connection, Reach};

/// What came of bringing a resource back, or the state of a time.
#[derive(Debug)]
pub struct Restored {
    /// Whether anything was another way than then.
    pub changed: bool,
    /// What is not as it was.
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

/// How often the past is read anew because a change of that time came late.
const ATTEMPTS: usize = 3;

impl Provider {
    /// Restores a deleted resource: its last attributes, and the groups, members and reports that its deletion took away.
    /// With a time, gives a resource, live or deleted, the attributes that it had then, and a group its members of then.
    /// Which groups list a user is the groups' state, and stays; a deleted user comes back to those that it was in.
    ///
    /// What is never returned stays as it is, a reference to somebody who is deleted by now is left out until he is
    /// restored, and members who are not there are unresolved ones. What was is read before the transaction, and costs it
    /// nothing.
    ///
    /// # Errors
    /// 404 if nobody has the id, nobody deleted where there is no time, or the resource was not there at that time;
    /// `invalidValue` for a time in the future, and for a state that lacks what the schemas in force require;
    /// `uniqueness` if another one holds a unique value by now; 403 if the tenant may have no more.
    pub async fn restore(
        &self,
        call: Call,
        resource_type: &'static ResourceType,
        id: String,
        at: Option<DateTime<Utc>>,
    ) -> Result<Restored> {
        let now = self.now();
        if at.is_some_and(|at| at > now) {
            return Err(Error::new(ErrorKind::InvalidValue, "This time is in the future."));
        }
        for _ in 0..ATTEMPTS {
            let then = match at {
                Some(at) => Some(self.then(call.caller.tenant_id, resource_type, id.clone(), at).await?),
                None => None,
            };
            let (call, id) = (call.clone(), id.clone());
            let write =
                move |connection: &mut Connection| restore(connection, &call, resource_type, &id, then.as_ref(), now);
            if let Some(restored) = self.store.write(write).await? {
                return Ok(restored);
            }
        }
        Err(Error::new(ErrorKind::Busy, "The resource is being changed; please try again shortly."))
    }

    async fn then(
        &self,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        id: String,
        at: DateTime<Utc>,
    ) -> Result<Then> {
        let read = move |connection: &mut Connection| {
            let Some(present) = history::present(connection, tenant_id, resource_type, &id)? else {
                check_not_purged(connection, tenant_id, resource_type, &id)?;
                return Err(not_found(resource_type, &id));
            };
            Then::read(connection, tenant_id, resource_type, present, at)
        };
        self.store.read(Reach::Scan, read).await
    }
}

/// `None` if the past has to be read again.
fn restore(
    connection: &mut Connection,
    call: &Call,
    resource_type: &'static ResourceType,
    id: &str,
    then: Option<&Then>,
    now: DateTime<Utc>,
) -> Result<Option<Restored>> {
    let tenant_id = call.caller.tenant_id;
    let place = place(connection, tenant_id, resource_type)?;
    let found = match then {
        Some(_) => resources::lock_any(connection, tenant_id, &resource_type.name, id)?,
        None => resources::lock_buried(connection, tenant_id, &resource_type.name, id)?,
    };
    let Some(stored) = found else {
        check_not_purged(connection, tenant_id, resource_type, id)?;
        return Err(not_found(resource_type, id));
    };
    if let Some(Then { at, read_up_to, .. }) = then
        && audit::is_late(connection, tenant_id, &resource_type.name, id, *read_up_to, *at)?
    {
        return Ok(None);
    }
    let state = match then {
        Some(then) => State::of(connection, place, &stored, then)?,
        None => State::last(connection, place, &stored)?,
    };
    state.put_back(connection, call, place, stored, now).map(Some)
}

/// A state of the past, as the history has it.
struct Then {
    at: DateTime<Utc>,
    document: Document,
    members: Vec<String>,
    /// Whether the password was another one.
    other_password: bool,
    /// The place of the last change that was there to be read.
    read_up_to: i64,
}

impl Then {
    fn read(
        connection: &mut Connection,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        present: StoredResource,
        at: DateTime<Utc>,
    ) -> Result<Then> {
        let (name, id) = (&resource_type.name, present.id.clone());
        let read_up_to = audit::last_step(connection, tenant_id, name, &id, None)?.map_or(0, |step| step.row_id);
        let has_password = resource_type.attribute_in_role(Role::Password).is_some();
        let other_password = has_password && audit::has_secrets_since(connection, tenant_id, name, &id, at)?;
        let Past { stored, members } = history::past(connection, tenant_id, present, at)?;
        if let Some((deleted_at, _)) = stored.deleted {
            let (since, at) = (format_instant(deleted_at), format_instant(at));
            let detail = format!("{name} '{id}' was not there at {at}: it had been deleted at {since}.");
            return Err(Error::new(ErrorKind::NotFound, detail));
        }
        let members = members.into_iter().collect();
        Ok(Then { at, document: stored.document, members, other_password, read_up_to })
    }
}

/// A state of the past as it can be today.
struct State {
    document: Document,
    members: Vec<String>,
    left: Vec<Left>,
    /// The deleted resource that it referred to.
    left_out: Option<String>,
    /// The time that it is of, if it is not the last one.
    at: Option<DateTime<Utc>>,
}

impl State {
    /// The last one of a deleted resource.
    fn last(connection: &mut Connection, place: Place, stored: &StoredResource) -> Result<State> {
        let members = Vec::new();
        let mut state =
            State { document: stored.document.clone(), members, left: Vec::new(), left_out: None, at: None };
        state.leave_out(connection, place, stored)?;
        state.left.extend(password_left(place, stored, false));
        Ok(state)
    }

    fn of(connection: &mut Connection, place: Place, stored: &StoredResource, then: &Then) -> Result<State> {
        let (document, undefined) = divide(place.resource_type, then.document.clone(), Map::new());
        let undefined = undefined.into_iter().map(|(name, _)| name);
        let left = undefined.map(|name| Left::new(name, "The schemas in force have no place for its value.")).collect();
        let mut state = State { document, members: then.members.clone(), left, left_out: None, at: Some(then.at) };
        let kept = hidden::keep(place.resource_type, &mut state.document, &stored.document);
        state.left.extend(kept.into_iter().map(|path| Left::new(path, NEVER_SHOWN)));
        state.leave_out(connection, place, stored)?;
        state.left.extend(password_left(place, stored, then.other_password));
        check_still_required(place.resource_type, &stored.document, &state.document).map_err(|error| {
            let detail = format!("It can't be as it was at {}: {}", format_instant(then.at), error.detail());
            Error::new(error.kind(), detail)
        })?;
        Ok(state)
    }

    fn leave_out(&mut self, connection: &mut Connection, place: Place, stored: &StoredResource) -> Result<()> {
        let current = stored.deleted.is_none().then_some(&stored.document);
        if let Some((path, id)) =
            reference::leave_out_deleted(connection, place, &stored.id, &mut self.document, current)?
        {
            self.left.push(Left::new(path, format!("'{id}' is deleted.")));
            self.left_out = Some(id);
        }
        Ok(())
    }

    /// Writes it, if it is another one than now.
    fn put_back(
        self,
        connection: &mut Connection,
        call: &Call,
        place: Place,
        mut stored: StoredResource,
        now: DateTime<Utc>,
    ) -> Result<Restored> {
        let changed = match stored.deleted {
            Some(_) => self.revive(connection, call, place, &mut stored, now).map(|()| true)?,
            None => self.replace(connection, call, place, &mut stored, now)?,
        };
        if let Some(target) = self.left_out.as_ref().filter(|_| changed) {
            reference::remember(connection, call, place, target, &stored.id, now)?;
        }
        let unresolved = unresolved(connection, place, &stored)?;
        Ok(Restored { changed, left: self.left, unresolved })
    }

    fn revive(
        &self,
        connection: &mut Connection,
        call: &Call,
        place: Place,
        stored: &mut StoredResource,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let before = stored.document.clone();
        let relations = Relations::of(connection, place.tenant_id, &stored.resource_type, &stored.id, None)?;
        let wanted = match self.at {
            Some(_) => Change::replacement(&claims(&self.members)),
            None => Change::additions(claims(&relations.members)),
        };
        revive(connection, place, stored, self.document.clone(), &wanted, now)?;
        let changes = self.stamped(Changes::of(place.resource_type, Some(&before), Some(&stored.document)));
        record_revival(connection, call, place, stored, changes, now)?;
        rejoin_all(connection, call, place, stored, &relations, now)
    }

    /// Whether the live resource was another way.
    fn replace(
        &self,
        connection: &mut Connection,
        call: &Call,
        place: Place,
        stored: &mut StoredResource,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let before = stored.document.clone();
        let has_members = has_members(place.resource_type);
        let wanted = if has_members { Change::replacement(&claims(&self.members)) } else { Change::default() };
        let members = membership::apply(connection, place, stored, &wanted, Profile::Compat)?;
        let changes = Changes::of(place.resource_type, Some(&before), Some(&self.document))
            .with_members(&members.added, &members.removed);
        if changes.is_empty() {
            return Ok(false);
        }
        match self.document == before {
            true => resources::touch(connection, stored, true, now)?,
            false => resources::replace(connection, place, stored, self.document.clone(), now)?,
        }
        record(connection, call, Operation::Replace, stored, now, &self.stamped(changes))?;
        Ok(true)
    }

    fn stamped(&self, changes: Changes) -> Changes {
        match self.at {
            Some(at) => changes.with_restored_state(at),
            None => changes,
        }
    }
}

/// The members that nobody is.
fn unresolved(connection: &mut Connection, place: Place, stored: &StoredResource) -> Result<Vec<String>> {
    if !has_members(place.resource_type) {
        return Ok(Vec::new());
    }
    members::unresolved(connection, stored.row_id)
}

fn has_members(resource_type: &ResourceType) -> bool {
    resource_type.attribute_in_role(Role::Members).is_some()
}

/// Why a user does not have the password of then; `None` if it is the same one.
fn password_left(place: Place, stored: &StoredResource, is_other: bool) -> Option<Left> {
    let password = place.resource_type.attribute_in_role(Role::Password)?;
    let left = |reason| Some(Left::new(password.name.clone(), reason));
    match stored.deleted {
        Some(_) => left(DROPPED),
        None if is_other => left(NEVER_SHOWN),
        None => None,
    }
}

fn claims(ids: &[String]) -> Vec<MemberClaim> {
    ids.iter().map(|id| MemberClaim { value: id.clone(), claimed_type: None }).collect()
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
    for report_id in relations.all_reports() {
        reference::assign_again(connection, call, place, report_id, &stored.id, now)?;
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
