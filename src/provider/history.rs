//! What was: the changes of a resource, and its state at any time, from what each change has left behind.
//!
//! Within a transaction a time is a place in the history: before the first change that is later. So two changes whose
//! clocks disagree are never shown the wrong way round.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::Provider;
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
    /// The latest changes of a resource, live or deleted, or the latest before a place in the history, at most `limit`, the
    /// latest first. `None` for an id that nobody has.
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
        let read = move |connection: &mut Connection| match present(connection, tenant_id, resource_type, &id)? {
            Some(_) => audit::entries(connection, tenant_id, &id, before, limit).map(Some),
            None => Ok(None),
        };
        self.store.read(Reach::Scan, read).await
    }

    /// The state of a resource, live or deleted by now, at a time; `None` for an id that nobody has. Costs what changed
    /// since or what changed until then, whichever is less.
    ///
    /// # Errors
    /// 404 for a time before its creation; database failures.
    pub async fn state_at(
        &self,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        id: String,
        at: DateTime<Utc>,
    ) -> Result<Option<Past>> {
        let read = move |connection: &mut Connection| match present(connection, tenant_id, resource_type, &id)? {
            Some(present) => past(connection, tenant_id, present, at).map(Some),
            None => Ok(None),
        };
        self.store.read(Reach::Scan, read).await
    }
}

fn present(
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
    let steps = audit::steps(connection, tenant_id, &present.id)?;
    let first_later = steps.iter().position(|step| step.at > at).unwrap_or(steps.len());
    let (until, since) = steps.split_at(first_later);
    if until.is_empty() {
        let (name, created) = (&present.resource_type, format_instant(present.meta.created));
        let detail = format!("{name} '{}' was not there yet; it was created at {created}.", present.id);
        return Err(Error::new(ErrorKind::NotFound, detail));
    }
    let can_go_back = since.iter().all(|step| step.operation != Operation::Conform);
    let contents = match can_go_back && since.len() <= until.len() {
        true => Contents::going_back(connection, tenant_id, &present, since)?,
        false => Contents::from_nothing(connection, tenant_id, &present.id, until)?,
    };
    let own_write = until.iter().rev().find(|step| step.operation.is_own_write()).map(|step| step.at);
    let touched = audit::last_touch(connection, present.row_id, at)?;
    let last_modified = own_write.max(touched).unwrap_or(present.meta.created);
    let version = until.iter().rev().map(|step| step.version).find(|version| *version != NO_VERSION);
    let meta = Meta { last_modified, version: version.unwrap_or(present.meta.version), ..present.meta };
    let document = Document::of_members(contents.attributes);
    let stored = StoredResource { document, meta, name: None, deleted: deletion(until), ..present };
    Ok(Past { stored, members: contents.members })
}

/// When and by whom the resource was deleted, if it was not there after these changes.
fn deletion(steps: &[Step]) -> Option<(DateTime<Utc>, String)> {
    let presence = |step: &&Step| matches!(step.operation, Operation::Create | Operation::Delete | Operation::Restore);
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
        let changes = changes_of(connection, tenant_id, &present.id, since)?;
        for changes in changes.iter().rev() {
            contents.turn(changes, ["after", "before"], ["added", "removed"]);
            contents.members.extend(ids(&changes["relations"]["members"]));
        }
        Ok(contents)
    }

    /// What the changes until then have made of nothing.
    fn from_nothing(connection: &mut Connection, tenant_id: i64, id: &str, until: &[Step]) -> Result<Contents> {
        let mut contents = Contents::default();
        for changes in changes_of(connection, tenant_id, id, until)? {
            contents.turn(&changes, ["before", "after"], ["removed", "added"]);
            for id in ids(&changes["relations"]["members"]) {
                contents.members.remove(&id);
            }
        }
        Ok(contents)
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

fn changes_of(connection: &mut Connection, tenant_id: i64, id: &str, steps: &[Step]) -> Result<Vec<Value>> {
    match steps {
        [] => Ok(Vec::new()),
        [first, ..] => {
            let end = steps.last().map_or(first.row_id, |last| last.row_id) + 1;
            audit::changes_of(connection, tenant_id, id, first.row_id..end)
        }
    }
}
