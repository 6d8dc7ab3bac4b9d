//! What was: the changes of a resource, and its state at any time, from what each change has left behind.
//!
//! Within a transaction a time is a place in the history: before the first change that is later. So two changes whose
//! clocks disagree are never shown the wrong way round.

pub(super) mod many;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::Provider;
use super::purge::check_not_purged;
use crate::scim::resource::{Document, Meta, format_instant};
use crate::scim::schema::ResourceType;
use crate::scim::{Error, ErrorKind, Result};
use crate::store::audit::{self, Entry, NO_VERSION, Operation, Step};
use crate::store::resources::{self, StoredResource};
use crate::store::{Connection, Reach, members};

/// A resource as it was at a time.
#[derive(Debug, Clone)]
pub struct Past {
    /// Attributes, times, version, and whether it was deleted then; a deleted one has its last attributes. Without the
    /// internal name. What is never returned may stand in it as its mask alone.
    pub stored: StoredResource,
    /// The ids of the members that it listed.
    pub members: BTreeSet<String>,
}

impl Provider {
    /// The latest changes of a resource, live, deleted or purged, or the latest before a place in the history, at most
    /// `limit`, the latest first. `None` for an id that nobody has.
    ///
    /// # Errors
    /// Database failures.
    pub async fn history(
        &self,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        id: String,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Option<Vec<Entry>>> {
        let read = move |connection: &mut Connection| {
            let is_known = present(connection, tenant_id, resource_type, &id)?.is_some()
                || resources::find_purged(connection, tenant_id, &resource_type.name, &id)?.is_some();
            is_known.then(|| audit::entries(connection, tenant_id, &resource_type.name, &id, before, limit)).transpose()
        };
        self.store.read(Reach::Scan, read).await
    }

    /// The state of a resource, live or deleted by now, at a time; `None` for an id that nobody has. Costs what changed
    /// since or what changed until then, whichever is less.
    ///
    /// # Errors
    /// 404 for a time before its creation, and for one that is purged; database failures.
    pub async fn state_at(
        &self,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        id: String,
        at: DateTime<Utc>,
    ) -> Result<Option<Past>> {
        let read = move |connection: &mut Connection| match present(connection, tenant_id, resource_type, &id)? {
            Some(present) => past(connection, tenant_id, present, at).map(Some),
            None => check_not_purged(connection, tenant_id, resource_type, &id).map(|()| None),
        };
        self.store.read(Reach::Scan, read).await
    }
}

/// The resource of that id, live or deleted.
///
/// # Errors
/// Database failures.
pub(super) fn present(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &ResourceType,
    id: &str,
) -> Result<Option<StoredResource>> {
    match resources::find(connection, tenant_id, &resource_type.name, id)? {
        Some(live) => Ok(Some(live)),
        None => resources::find_buried(connection, tenant_id, &resource_type.name, id),
    }
}

/// The state of a resource, of which this is the present, at a time.
///
/// # Errors
/// As [`Provider::state_at`].
pub(super) fn past(
    connection: &mut Connection,
    tenant_id: i64,
    present: StoredResource,
    at: DateTime<Utc>,
) -> Result<Past> {
    let steps = audit::steps(connection, tenant_id, &present.resource_type, &present.id)?;
    let Some(cut) = Cut::at(&steps, at) else {
        return Err(unknown(&present, at));
    };
    let contents = match cut.goes_back() {
        true => Contents::going_back(connection, tenant_id, &present, cut.since)?,
        false => Contents::from_nothing(connection, tenant_id, &present, cut.until)?,
    };
    let touched = audit::last_touch(connection, present.row_id, at)?;
    Ok(cut.past(present, contents, touched))
}

fn unknown(present: &StoredResource, at: DateTime<Utc>) -> Error {
    let (name, id, created) = (&present.resource_type, &present.id, present.meta.created);
    let detail = match created <= at {
        true => format!("What {name} '{id}' was like then is not known; its history begins later, with an import."),
        false => format!("{name} '{id}' was not there yet; it was created at {}.", format_instant(created)),
    };
    Error::new(ErrorKind::NotFound, detail)
}

/// The changes of a resource, cut in two at a time.
#[derive(Debug, Clone, Copy)]
struct Cut<'a> {
    until: &'a [Step],
    since: &'a [Step],
}

impl<'a> Cut<'a> {
    /// At this time; `None` if nothing had been made until then.
    fn at(steps: &'a [Step], at: DateTime<Utc>) -> Option<Cut<'a>> {
        let first_later = steps.iter().position(|step| step.at > at).unwrap_or(steps.len());
        let (until, since) = steps.split_at(first_later);
        (!until.is_empty()).then_some(Cut { until, since })
    }

    /// Whether to take the later changes back, rather than to make the earlier ones again: what other schemas have taken
    /// away is not known.
    fn goes_back(self) -> bool {
        let can_go_back = self.since.iter().all(|step| step.operation != Operation::Conform);
        can_go_back && self.since.len() <= self.until.len()
    }

    /// The changes that tell what the resource held.
    fn telling(self) -> &'a [Step] {
        if self.goes_back() { self.since } else { self.until }
    }

    /// What the resource was, with what it held, and when its `lastModified` last moved alone.
    fn past(self, present: StoredResource, contents: Contents, touched: Option<DateTime<Utc>>) -> Past {
        let own_write = self.until.iter().rev().find(|step| step.operation.is_own_write()).map(|step| step.at);
        let last_modified = own_write.max(touched).unwrap_or(present.meta.created);
        let version = self.until.iter().rev().map(|step| step.version).find(|version| *version != NO_VERSION);
        let meta = Meta { last_modified, version: version.unwrap_or(present.meta.version), ..present.meta };
        let document = Document::of_members(contents.attributes);
        // An import is younger than the deletion that it tells of.
        let deleted = match deletion(self.until) {
            Some(_) if present.deleted.is_some() && deletion(self.since).is_none() => present.deleted.clone(),
            deleted => deleted,
        };
        let stored = StoredResource { document, meta, name: None, deleted, ..present };
        Past { stored, members: contents.members }
    }
}

/// When and by whom the resource was deleted, if it was not there after these changes.
fn deletion(steps: &[Step]) -> Option<(DateTime<Utc>, String)> {
    let presence = |step: &&Step| {
        matches!(step.operation, Operation::Create | Operation::Import | Operation::Delete | Operation::Restore)
    };
    let last = steps.iter().rev().find(presence)?;
    (last.operation == Operation::Delete).then(|| (last.at, last.caller.clone()))
}

/// What a resource holds.
#[derive(Debug, Default)]
struct Contents {
    attributes: Map<String, Value>,
    members: BTreeSet<String>,
}

impl Contents {
    /// Those of the present, with each of the later changes taken back.
    fn going_back(
        connection: &mut Connection,
        tenant_id: i64,
        present: &StoredResource,
        since: &[Step],
    ) -> Result<Contents> {
        let members = match present.deleted {
            None => members::ids(connection, present.row_id)?.into_keys().collect(),
            Some(_) => BTreeSet::new(),
        };
        let mut contents = Contents { attributes: present.document.members().clone(), members };
        let changes = changes_of(connection, tenant_id, present, since)?;
        changes.iter().rev().for_each(|changes| contents.take_back(changes));
        Ok(contents)
    }

    /// What the changes until then have made of nothing.
    fn from_nothing(
        connection: &mut Connection,
        tenant_id: i64,
        present: &StoredResource,
        until: &[Step],
    ) -> Result<Contents> {
        let mut contents = Contents::default();
        changes_of(connection, tenant_id, present, until)?.iter().for_each(|changes| contents.make(changes));
        Ok(contents)
    }

    fn take_back(&mut self, changes: &Value) {
        self.turn(changes, ["after", "before"], ["added", "removed"]);
        self.members.extend(ids(&changes["relations"]["members"]));
    }

    fn make(&mut self, changes: &Value) {
        self.turn(changes, ["before", "after"], ["removed", "added"]);
        for id in ids(&changes["relations"]["members"]) {
            self.members.remove(&id);
        }
    }

    /// Takes one side of a change away and puts the other one in its place.
    fn turn(&mut self, changes: &Value, [old, new]: [&str; 2], [gone, come]: [&str; 2]) {
        let sides = [old, new].map(|side| changes[side].as_object().cloned().unwrap_or_default());
        let [old, new] = sides;
        old.keys().for_each(|name| drop(self.attributes.shift_remove(name)));
        self.attributes.extend(new);
        for id in ids(&changes["members"][gone]) {
            self.members.remove(&id);
        }
        self.members.extend(ids(&changes["members"][come]));
    }
}

fn ids(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn changes_of(
    connection: &mut Connection,
    tenant_id: i64,
    present: &StoredResource,
    steps: &[Step],
) -> Result<Vec<Value>> {
    match steps {
        [] => Ok(Vec::new()),
        [first, ..] => {
            let end = steps.last().map_or(first.row_id, |last| last.row_id) + 1;
            audit::changes_of(connection, tenant_id, &present.resource_type, &present.id, first.row_id..end)
        }
    }
}
