//! Stored references to other resources: `manager` of the enterprise extension.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Call;
use super::record::record;
use crate::scim::resource::Document;
use crate::scim::schema::{Resolved, ResourceType};
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::Connection;
use crate::store::audit::{self, Changes, NO_VERSION, Operation, Record};
use crate::store::members;
use crate::store::resources::{self, Place, StoredResource};

/// Holds a reference to be one of a live resource, for `strict` callers; `compat` keeps unknown ids, since managers may
/// be provisioned later (ENT-02). One that was there before is not looked at again, whoever brought it. For either, a
/// resource that is being deleted at the moment is waited for, and nobody deletes one before the reference to it is there
/// to be taken away.
///
/// # Errors
/// `invalidValue`; database failures.
pub(super) fn check(
    connection: &mut Connection,
    place: Place,
    before: Option<&Document>,
    document: &Document,
    profile: Profile,
) -> Result<()> {
    let Some((reference, id)) = referenced(place, document) else {
        return Ok(());
    };
    if before.and_then(|before| referenced(place, before)).is_some_and(|(_, known)| known == id) {
        return Ok(());
    }
    let name = &place.resource_type.name;
    let targets = members::resolve(connection, place.tenant_id, &[id])?;
    let is_known = targets.get(id).is_some_and(|target| target.resource_type == *name);
    if is_known || profile == Profile::Compat {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidValue, format!("{reference}.value: '{id}' is not the id of a {name}.")))
}

/// Takes a resource that is about to be deleted out of the references to it. `lastModified` of the others stays: it is
/// no write of theirs. One that refers to itself goes as it is. Returns the ids of the others.
///
/// # Errors
/// Database failures.
pub(super) fn unassign(
    connection: &mut Connection,
    call: &Call,
    place: Place,
    target: &StoredResource,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let Some(reference) = place.resource_type.reference() else {
        return Ok(Vec::new());
    };
    let mut reports = Vec::new();
    let referring = resources::lock_referring(connection, place, reference, &target.id)?;
    for mut report in referring.into_iter().filter(|report| report.row_id != target.row_id) {
        let before = report.document.clone();
        let mut document = before.clone();
        document.remove(reference);
        let last_modified = report.meta.last_modified;
        resources::replace(connection, place, &mut report, document, last_modified)?;
        let changes = Changes::of(place.resource_type, Some(&before), Some(&report.document));
        record(connection, call, Operation::Unassign, &report, now, &changes)?;
        reports.push(report.id);
    }
    Ok(reports)
}

/// Makes a restored resource again what a resource referred to, unless that refers to another one by now or is gone.
///
/// # Errors
/// Database failures.
pub(super) fn assign_again(
    connection: &mut Connection,
    call: &Call,
    place: Place,
    report_id: &str,
    target_id: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let Some(reference) = place.resource_type.reference() else {
        return Ok(());
    };
    let report = resources::lock(connection, place.tenant_id, &place.resource_type.name, report_id)?;
    let Some(mut report) = report.filter(|report| report.document.get(reference).is_none()) else {
        return Ok(());
    };
    let before = report.document.clone();
    let mut document = before.clone();
    document.set(reference, json!({"value": target_id}));
    let last_modified = report.meta.last_modified;
    resources::replace(connection, place, &mut report, document, last_modified)?;
    let changes = Changes::of(place.resource_type, Some(&before), Some(&report.document));
    record(connection, call, Operation::Assign, &report, now, &changes)
}

/// Takes the reference out of a document that is about to be live again, if it is to a resource that is deleted by now:
/// nobody shows those. One that refers to itself comes back as it went. `current` is the document of a live resource: what
/// it refers to stays. Its path and the id, if there is one to be left out.
///
/// # Errors
/// Database failures.
pub(super) fn leave_out_deleted(
    connection: &mut Connection,
    place: Place,
    own_id: &str,
    document: &mut Document,
    current: Option<&Document>,
) -> Result<Option<(String, String)>> {
    let Some((reference, id)) = referenced(place, document).map(|(reference, id)| (reference, id.to_owned())) else {
        return Ok(None);
    };
    let stays = current.and_then(|current| referenced(place, current)).is_some_and(|(_, now)| now == id);
    if stays || id == own_id {
        return Ok(None);
    }
    // A deletion under way is waited for, and the next one waits until the reference is there to be taken away; so does a
    // restoration until it is remembered.
    if members::resolve(connection, place.tenant_id, &[&id])?.contains_key(&id) {
        return Ok(None);
    }
    resources::lock_buried(connection, place.tenant_id, &place.resource_type.name, &id)?;
    let deletions = resources::deletions(connection, place.tenant_id, &[&id])?;
    if !deletions.get(&id).is_some_and(Option::is_some) {
        return Ok(None);
    }
    document.remove(reference);
    Ok(Some((reference.to_string(), id)))
}

/// Notes in the history of a deleted resource that another one came back without the reference to it: its own restoration
/// assigns it again, in whichever order the two are restored.
///
/// # Errors
/// Database failures.
pub(super) fn remember(
    connection: &mut Connection,
    call: &Call,
    place: Place,
    target_id: &str,
    report_id: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let name = &place.resource_type.name;
    // Who is purged does not come back.
    if resources::lock_buried(connection, place.tenant_id, name, target_id)?.is_none() {
        return Ok(());
    }
    let changes = Changes::default().with_relations(&[], &[], &[report_id.to_owned()]);
    let record = Record {
        tenant_id: place.tenant_id,
        at: now,
        caller: &call.caller.key_id,
        request_id: &call.request_id,
        operation: Operation::Unassign,
        resource_type: name,
        resource_id: target_id,
        version: NO_VERSION,
        changes: &changes,
    };
    audit::append_silent(connection, &[record])
}

/// Whether both states of a resource refer to the same other one, or to none. Of one that refers to itself the reference shows
/// what changes.
pub(super) fn stays(resource_type: &ResourceType, own_id: &str, states: [&Document; 2]) -> bool {
    let Some(reference) = resource_type.reference() else { return true };
    let [before, after] = states.map(|document| document.get(reference));
    let id = after.and_then(|value| value.get("value")?.as_str());
    before == after && id != Some(own_id)
}

fn referenced(place: Place, document: &Document) -> Option<(Resolved, &str)> {
    let reference = place.resource_type.reference()?;
    let id = document.get(reference)?.get("value")?.as_str()?;
    Some((reference, id))
}
