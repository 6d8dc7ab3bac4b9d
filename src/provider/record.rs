//! What the history keeps of one change, written in the transaction of the change.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Call;
use super::membership::Difference;
use crate::scim::Result;
use crate::scim::resource::Document;
use crate::scim::schema::{Attribute, ResourceType, Returned};
use crate::store::Connection;
use crate::store::audit::{self, Operation, Record};
use crate::store::resources::StoredResource;

/// Before and after of what changed: `before` and `after` hold the top-level attributes that differ, `members` the ids
/// that came and went, `secrets` the names of what is never shown, `relations` what a deletion took away.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(Map<String, Value>);

impl Changes {
    /// The difference between two states; none before is a creation, none after a deletion. What is never returned stands
    /// in it by its name alone.
    pub(super) fn of(resource_type: &ResourceType, before: Option<&Document>, after: Option<&Document>) -> Changes {
        let empty = Map::new();
        let old = before.map_or(&empty, Document::members);
        let new = after.map_or(&empty, Document::members);
        let mut changes = Map::new();
        for (side, from, to) in [("before", old, new), ("after", new, old)] {
            let differing = from.iter().filter(|(name, value)| to.get(*name) != Some(*value));
            let differing: Map<String, Value> = differing.map(|(name, value)| (name.clone(), value.clone())).collect();
            if !differing.is_empty() {
                changes.insert(side.to_owned(), Value::Object(masked(resource_type, differing)));
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

fn masked(resource_type: &ResourceType, mut members: Map<String, Value>) -> Map<String, Value> {
    for (name, value) in &mut members {
        match (resource_type.extension(name), resource_type.schema.attribute(name)) {
            (Some(extension), _) => {
                for (name, value) in value.as_object_mut().into_iter().flatten() {
                    mask(extension.schema.attribute(name), value);
                }
            }
            (None, attribute) => mask(attribute, value),
        }
    }
    members
}

fn mask(attribute: Option<&Attribute>, value: &mut Value) {
    let Some(attribute) = attribute else { return };
    if attribute.returned == Returned::Never {
        *value = json!("***");
        return;
    }
    let elements = match value {
        Value::Array(elements) => elements.as_mut_slice(),
        single => std::slice::from_mut(single),
    };
    for part in attribute.sub_attributes.iter().filter(|part| part.returned == Returned::Never) {
        for value in elements.iter_mut().filter_map(|element| element.get_mut(&part.name)) {
            *value = json!("***");
        }
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
