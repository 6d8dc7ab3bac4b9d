//! What a write sets: attributes that are returned on request alone are in the answer to it, too (RFC 7643 §7).

use serde_json::{Map, Value};

use crate::scim::json::member;
use crate::scim::path::{self, Target};
use crate::scim::schema::{Attribute, Resolved, ResourceType, Returned, Schema};

/// The attributes and parts that are returned on request, and that the body of a POST or PUT names.
pub(super) fn in_resource(resource_type: &'static ResourceType, body: &Map<String, Value>) -> Vec<&'static Attribute> {
    let mut found = Vec::new();
    if shows_on_request(resource_type) {
        in_object(resource_type, None, body, &mut found);
    }
    found
}

/// The same for the body of a PATCH. What is no path sets nothing.
pub(super) fn in_patch(resource_type: &'static ResourceType, body: &Map<String, Value>) -> Vec<&'static Attribute> {
    let mut found = Vec::new();
    if !shows_on_request(resource_type) {
        return found;
    }
    for operation in member(body, "Operations").and_then(Value::as_array).into_iter().flatten() {
        let Value::Object(operation) = operation else { continue };
        let value = member(operation, "value").unwrap_or(&Value::Null);
        match (member(operation, "path").and_then(Value::as_str).filter(|path| !path.is_empty()), value) {
            (Some(path), value) => in_path(resource_type, path, value, &mut found),
            (None, Value::Object(members)) => in_object(resource_type, None, members, &mut found),
            _ => {}
        }
    }
    found
}

fn shows_on_request(resource_type: &'static ResourceType) -> bool {
    let is_requested = |attribute: &Attribute| attribute.returned == Returned::Request;
    let mut attributes = resource_type.urns().flat_map(|schema| &schema.attributes);
    attributes.any(|attribute| is_requested(attribute) || attribute.sub_attributes.iter().any(is_requested))
}

fn in_object(
    resource_type: &'static ResourceType,
    schema: Option<&'static Schema>,
    members: &Map<String, Value>,
    found: &mut Vec<&'static Attribute>,
) {
    for (key, value) in members {
        match schema {
            Some(schema) => in_path(resource_type, &format!("{}:{key}", schema.id), value, found),
            None => in_path(resource_type, key, value, found),
        }
    }
}

/// `attribute`, `attribute.part`, `attribute[filter].part` or a URN, and what is set there.
fn in_path(resource_type: &'static ResourceType, text: &str, value: &Value, found: &mut Vec<&'static Attribute>) {
    let name = text.split('[').next().unwrap_or_default();
    match path::resolve(resource_type, name) {
        Some(Target::Schema(schema)) => {
            if let Value::Object(members) = value {
                in_object(resource_type, Some(schema), members, found);
            }
        }
        Some(Target::Attribute(resolved)) => {
            let part = text.rsplit_once("].").and_then(|(_, part)| resolved.attribute.sub_attribute(part));
            in_value(part.map_or(resolved, |part| resolved.with_sub_attribute(part)), value, found);
        }
        None => {}
    }
}

fn in_value(resolved: Resolved, value: &Value, found: &mut Vec<&'static Attribute>) {
    let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let keys = elements.iter().filter_map(Value::as_object).flat_map(Map::keys);
    let parts = keys.filter_map(|key| resolved.attribute.sub_attribute(key)).chain(resolved.sub_attribute);
    for attribute in std::iter::once(resolved.attribute).chain(parts) {
        let is_new = !found.iter().any(|known| std::ptr::eq(*known, attribute));
        if attribute.returned == Returned::Request && is_new {
            found.push(attribute);
        }
    }
}
