//! What the history keeps of one change, written in the transaction of the change.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Call;
use super::membership::Difference;
use crate::scim::Result;
use crate::scim::resource::Document;
use crate::store::Connection;
use crate::store::audit::{self, Operation, Record};
use crate::store::resources::StoredResource;

/// Before and after of what changed: `before` and `after` hold the top-level attributes that differ, `members` the ids
/// that came and went, `secrets` the names of what is never shown, `relations` what a deletion took away.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(Map<String, Value>);

impl Changes {
    /// The difference between two states; none before is a creation, none after a deletion.
    pub(super) fn of(before: Option<&Document>, after: Option<&Document>) -> Changes {
        let empty = Map::new();
        let old = before.map_or(&empty, Document::members);
        let new = after.map_or(&empty, Document::members);
        let mut changes = Map::new();
        for (side, from, to) in [("before", old, new), ("after", new, old)] {
            let differing = from.iter().filter(|(name, value)| to.get(*name) != Some(*value));
            let differing: Map<String, Value> = differing.map(|(name, value)| (name.clone(), value.clone())).collect();
            if !differing.is_empty() {
                changes.insert(side.to_owned(), Value::Object(differing));
            }
        }
        Changes(changes)
    }

    /// With the members that came and went.
    pub(super) fn with_members(mut self, members: Difference) -> Changes {
        if !members.is_empty() {
            self.0.insert("members".to_owned(), json!({"added": members.added, "removed": members.removed}));
        }
        self
    }

    /// With the name of what changed and is kept out of the history (USR-05, EVT-03).
    pub(super) fn with_password(mut self, changed: bool) -> Changes {
        if changed {
            self.0.insert("secrets".to_owned(), json!(["password"]));
        }
        self
    }

    /// With what a deletion took away: the groups that listed the resource, the members that it listed, and the
    /// resources that referred to it.
    pub(super) fn with_relations(mut self, groups: Vec<String>, members: Vec<String>, reports: Vec<String>) -> Changes {
        self.0.insert("relations".to_owned(), json!({"groups": groups, "members": members, "reports": reports}));
        self
    }

    /// With the deleted resource that had the unique value before (DEL-07).
    pub(super) fn with_predecessor(mut self, id: Option<String>) -> Changes {
        if let Some(id) = id {
            self.0.insert("previousId".to_owned(), json!(id));
        }
        self
    }

    /// Whether nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends the change to the history.
///
/// # Errors
/// Database failures.
pub(super) fn record(
    connection: &mut Connection,
    call: &Call,
    operation: Operation,
    stored: &StoredResource,
    at: DateTime<Utc>,
    changes: &Changes,
) -> Result<()> {
    audit::append(
        connection,
        &Record {
            tenant_id: call.caller.tenant_id,
            at,
            caller: &call.caller.key_id,
            request_id: &call.request_id,
            operation,
            resource_type: &stored.resource_type,
            resource_id: &stored.id,
            version: stored.meta.version,
            changes: &Value::Object(changes.0.clone()),
        },
    )
}
