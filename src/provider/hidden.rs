//! What is never returned. The history has it as a mask alone, so no state of the past has its value: it stays as it is.

use serde_json::{Map, Value};

use crate::scim::resource::{Document, is_unassigned};
use crate::scim::schema::{Attribute, ResourceType, Returned};

/// Gives a state from the history the values of today where they are never returned. The paths of those that the history
/// tells to have been others, or does not tell.
pub(super) fn keep(resource_type: &'static ResourceType, document: &mut Document, current: &Document) -> Vec<String> {
    let mut kept = Vec::new();
    for attribute in resource_type.stored_attributes() {
        let now = current.get(attribute);
        if attribute.attribute.returned == Returned::Never {
            if document.get(attribute) != now {
                kept.push(attribute.to_string());
            }
            match now {
                Some(now) => document.set(attribute, now.clone()),
                None => drop(document.remove(attribute)),
            }
            continue;
        }
        for part in attribute.attribute.sub_attributes.iter().filter(|part| part.returned == Returned::Never) {
            let Some(value) = document.get_mut(attribute) else { continue };
            let before = value.clone();
            keep_part(part, value, now);
            if *value != before {
                kept.push(format!("{attribute}.{}", part.name));
            }
            if is_unassigned(value) {
                document.remove(attribute);
            }
        }
    }
    kept
}

/// An element is known again by what is shown of it.
fn keep_part(part: &Attribute, value: &mut Value, now: Option<&Value>) {
    match value {
        Value::Object(parts) => put(part, parts, now.and_then(|now| now.get(&part.name))),
        Value::Array(elements) => {
            let known = now.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for element in elements.iter_mut().filter_map(Value::as_object_mut) {
                let same = known.iter().filter_map(Value::as_object).find(|known| is_same_beside(part, known, element));
                put(part, element, same.and_then(|same| same.get(&part.name)));
            }
            elements.retain(|element| !is_unassigned(element));
        }
        _ => {}
    }
}

fn put(part: &Attribute, parts: &mut Map<String, Value>, now: Option<&Value>) {
    match now {
        Some(now) => drop(parts.insert(part.name.clone(), now.clone())),
        None => drop(parts.shift_remove(&part.name)),
    }
}

fn is_same_beside(part: &Attribute, one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let shown = |parts: &Map<String, Value>| -> Map<String, Value> {
        let shown = parts.iter().filter(|(name, _)| **name != part.name);
        shown.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    shown(one) == shown(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::schema::{Registry, SchemaFile};

    fn device() -> &'static ResourceType {
        let secret = |name: &str| json!({"name": name, "type": "string", "returned": "never"});
        let text = |name: &str| json!({"name": name, "type": "string"});
        let ports = json!({"name": "ports", "type": "complex", "multiValued": true, "subAttributes": [text("label"), secret("code")]});
        let lock = json!({"name": "lock", "type": "complex", "subAttributes": [text("label"), secret("code")]});
        let objects = json!([
            {"id": "urn:example:Device", "name": "Device", "attributes": [text("serial"), secret("pin"), ports, lock]},
            {"id": "Device", "endpoint": "/Devices", "schema": "urn:example:Device"},
        ]);
        let file = SchemaFile { name: "types.json".to_owned(), text: objects.to_string() };
        let registry = Registry::with_files(&[file], false).unwrap_or_else(|flaw| panic!("{flaw}"));
        registry.resource_type("Device").expect("it is defined")
    }

    fn document(value: Value) -> Document {
        Document::from_json(&value.to_string()).expect("a document")
    }

    #[test]
    fn values_that_are_never_shown_stay_as_they_are() {
        let mut then = document(json!({"serial": "1", "pin": "***", "lock": {"label": "a", "code": "***"},
            "ports": [{"label": "x", "code": "***"}, {"label": "gone", "code": "***"}, {"code": "***"}]}));
        let now = document(json!({"serial": "2", "pin": "1234", "lock": {"label": "b", "code": "77"},
            "ports": [{"label": "y", "code": "2"}, {"label": "x", "code": "1"}]}));

        let kept = keep(device(), &mut then, &now);

        assert_eq!(kept, ["pin", "ports.code", "lock.code"]);
        let expected = json!({"serial": "1", "pin": "1234", "lock": {"label": "a", "code": "77"},
            "ports": [{"label": "x", "code": "1"}, {"label": "gone"}]});
        assert_eq!(then, document(expected));
    }

    #[test]
    fn nothing_is_said_of_what_was_the_same() {
        let now = document(json!({"serial": "2", "pin": "1234"}));
        let mut then = document(json!({"serial": "1", "pin": "1234"}));
        assert_eq!(keep(device(), &mut then, &now), Vec::<String>::new());
        let mut then = document(json!({"serial": "1"}));
        assert_eq!(keep(device(), &mut then, &document(json!({"serial": "1"}))), Vec::<String>::new());
    }
}
