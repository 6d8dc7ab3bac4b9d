//! What a row of the history says of a change.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::past::Span;
use crate::scim::resource::{Document, format_instant};
use crate::scim::schema::{Attribute, ResourceType, Returned};
use crate::scim::{Error, Result};

/// Before and after of what changed: `before` and `after` hold the top-level attributes that differ, `members` the ids
/// that came and went, `secrets` the names of what is never shown, `relations` what a deletion took away, `erased` what a
/// purge did.
///
/// A deletion and a restoration of the last state leave the attributes as they are, so they say nothing of them.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Changes(Map<String, Value>);

/// What stands in the place of a value that nobody may see.
pub const MASK: &str = "***";

impl Changes {
    /// The difference between two states; none before is a creation. What is never returned stands in it by its name
    /// alone.
    pub fn of(resource_type: &ResourceType, before: Option<&Document>, after: Option<&Document>) -> Changes {
        let mut changes = Map::new();
        let [before, after] = [before, after].map(|document| document.map(Document::members));
        for (side, from, to) in [("before", before, after), ("after", after, before)] {
            let differing = differing(from, to);
            if !differing.is_empty() {
                changes.insert(side.to_owned(), Value::Object(masked(resource_type, differing)));
            }
        }
        Changes(changes)
    }

    /// The difference between two states of what operators look after, a key or a tenant; none before is a creation, none
    /// after a deletion. Nothing in them may be secret.
    pub fn of_record(before: Option<&Map<String, Value>>, after: Option<&Map<String, Value>>) -> Changes {
        let sides = [("before", before, after), ("after", after, before)];
        let differing = sides.map(|(side, from, to)| (side.to_owned(), Value::Object(differing(from, to))));
        Changes(differing.into_iter().filter(|(_, members)| *members != json!({})).collect())
    }

    /// What other schemas made of a document. Which values those before kept secret is not known any more, so what they
    /// took out of the document stands in it by its name alone.
    pub fn of_form(resource_type: &ResourceType, before: &Document, after: &Document) -> Changes {
        let mut changes = Changes::of(resource_type, Some(before), Some(after));
        if let Some(Value::Object(before)) = changes.0.get_mut("before") {
            before.values_mut().for_each(|value| *value = json!(MASK));
        }
        changes
    }

    /// With the members that came and went.
    pub fn with_members(mut self, added: &[String], removed: &[String]) -> Changes {
        if !added.is_empty() || !removed.is_empty() {
            self.0.insert("members".to_owned(), json!({"added": added, "removed": removed}));
        }
        self
    }

    /// With the name of what changed and is kept out of the history (USR-05, EVT-03).
    pub fn with_password(mut self, changed: bool) -> Changes {
        if changed {
            self.0.insert("secrets".to_owned(), json!(["password"]));
        }
        self
    }

    /// With what a deletion took away: the groups that listed the resource, the members that it listed, and the
    /// resources that referred to it.
    pub fn with_relations(mut self, groups: &[String], members: &[String], reports: &[String]) -> Changes {
        self.0.insert("relations".to_owned(), json!({"groups": groups, "members": members, "reports": reports}));
        self
    }

    /// With the deleted resource that had the unique value before (DEL-07).
    pub fn with_predecessor(mut self, id: Option<String>) -> Changes {
        if let Some(id) = id {
            self.0.insert("previousId".to_owned(), json!(id));
        }
        self
    }

    /// With what a purge erased: from how many changes of the resource, and which keys.
    pub fn with_erased(mut self, changes: i64, keys: &[String]) -> Changes {
        self.0.insert("erased".to_owned(), json!({"changes": changes, "keys": keys}));
        self
    }

    /// With whose changes of when this one takes back.
    pub fn with_undo(mut self, span: &Span) -> Changes {
        let (since, until) = (format_instant(span.since), format_instant(span.until));
        self.0.insert("undo".to_owned(), json!({"key": span.caller, "since": since, "until": until}));
        self
    }

    /// With the time whose state this change brings back.
    pub fn with_restored_state(mut self, at: DateTime<Utc>) -> Changes {
        self.0.insert("stateOf".to_owned(), json!(format_instant(at)));
        self
    }

    /// What was there before and after, as the history keeps it.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of the column.
    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }
}

/// The members of `from` that are not the same in `to`.
fn differing(from: Option<&Map<String, Value>>, to: Option<&Map<String, Value>>) -> Map<String, Value> {
    let Some(from) = from else { return Map::new() };
    let to = |name: &String| to.and_then(|to| to.get(name));
    let differing = from.iter().filter(|(name, value)| to(name) != Some(*value));
    differing.map(|(name, value)| (name.clone(), value.clone())).collect()
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
        *value = json!(MASK);
        return;
    }
    let elements = match value {
        Value::Array(elements) => elements.as_mut_slice(),
        single => std::slice::from_mut(single),
    };
    for part in attribute.sub_attributes.iter().filter(|part| part.returned == Returned::Never) {
        for value in elements.iter_mut().filter_map(|element| element.get_mut(&part.name)) {
            *value = json!(MASK);
        }
    }
}
