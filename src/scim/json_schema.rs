//! SCIM schemas in the words of JSON Schema (draft 2020-12, as OpenAPI 3.1 has it): what a representation looks like, and
//! what a client may send.
//!
//! The two differ. A request needs what is `required`, and has no use for what is `readOnly`. A representation never shows
//! what is returned `never`, and a projection may leave out whatever is not returned `always` (RFC 7643 §7, RFC 7644
//! §3.9), so little of it can be promised.

pub mod messages;

use serde_json::{Map, Value, json};

use super::schema::{Attribute, Mutability, ResourceType, Returned, Schema, Type};

/// Who writes the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    Client,
    Server,
}

/// A resource of this type as this server answers with it.
pub fn representation(resource_type: &ResourceType) -> Value {
    resource(resource_type, Author::Server)
}

/// A resource of this type as a client sends it, to create or to replace one.
pub fn request(resource_type: &ResourceType) -> Value {
    resource(resource_type, Author::Client)
}

/// An object of discovery. It is always whole, so that what is required is there.
pub fn discovery(schema: &Schema) -> Value {
    let (mut properties, always) = properties(&schema.attributes, Author::Server);
    let is_there = |attribute: &&Attribute| attribute.required || always.contains(&attribute.name);
    let required = schema.attributes.iter().filter(is_there).map(|attribute| attribute.name.clone());
    let required = std::iter::once("schemas".to_owned()).chain(required).collect();
    properties.insert("schemas".to_owned(), messages::urns([schema.id.as_str()]));
    let meta = json!({"resourceType": {"type": "string"}, "location": {"type": "string", "format": "uri"}});
    properties.insert("meta".to_owned(), json!({"type": "object", "properties": meta, "readOnly": true}));
    described(object(properties, required), text(&schema.source["description"]))
}

fn resource(resource_type: &ResourceType, author: Author) -> Value {
    let (mut all, mut required) = properties(resource_type.common(), author);
    let (own, own_required) = properties(&resource_type.schema.attributes, author);
    all.extend(own);
    required.extend(own_required);
    let urns = resource_type.urns().map(|schema| schema.id.as_str());
    all.insert("schemas".to_owned(), messages::urns(urns));
    for extension in &resource_type.extensions {
        let (own, own_required) = properties(&extension.schema.attributes, author);
        if extension.required && author == Author::Client {
            required.push(extension.schema.id.clone());
        }
        let description = text(&extension.schema.source["description"]);
        all.insert(extension.schema.id.clone(), described(object(own, own_required), description));
    }
    described(object(all, required), text(&resource_type.source["description"]))
}

/// The properties that stand for these attributes, and the names of those that must be there.
fn properties(attributes: &[Attribute], author: Author) -> (Map<String, Value>, Vec<String>) {
    let seen = attributes.iter().filter(|attribute| match author {
        Author::Client => attribute.mutability != Mutability::ReadOnly,
        Author::Server => attribute.returned != Returned::Never,
    });
    let required = seen.clone().filter(|attribute| match author {
        Author::Client => attribute.required,
        Author::Server => attribute.returned == Returned::Always,
    });
    let required = required.map(|attribute| attribute.name.clone()).collect();
    (seen.map(|attribute| (attribute.name.clone(), property(attribute, author))).collect(), required)
}

fn property(attribute: &Attribute, author: Author) -> Value {
    let value = value(attribute, author);
    let mut property = if attribute.multi_valued { json!({"type": "array", "items": value}) } else { value };
    match attribute.mutability {
        Mutability::ReadOnly => property["readOnly"] = json!(true),
        Mutability::WriteOnly => property["writeOnly"] = json!(true),
        Mutability::ReadWrite | Mutability::Immutable => {}
    }
    described(property, &attribute.description)
}

/// One value, or one element.
fn value(attribute: &Attribute, author: Author) -> Value {
    match attribute.kind {
        Type::Complex => {
            let (properties, required) = properties(&attribute.sub_attributes, author);
            object(properties, required)
        }
        // Suggestions, not a closed list (RFC 7643 §7).
        Type::String if !attribute.canonical_values.is_empty() => {
            json!({"type": "string", "examples": attribute.canonical_values})
        }
        Type::String => json!({"type": "string"}),
        Type::Boolean => json!({"type": "boolean"}),
        Type::Decimal => json!({"type": "number"}),
        Type::Integer => json!({"type": "integer"}),
        Type::DateTime => json!({"type": "string", "format": "date-time"}),
        Type::Binary => json!({"type": "string", "contentEncoding": "base64"}),
        // What clients of the profile `compat` sent comes back as it is, and need be no URI.
        Type::Reference if author == Author::Server && attribute.mutability != Mutability::ReadOnly => {
            json!({"type": "string"})
        }
        Type::Reference => json!({"type": "string", "format": "uri-reference"}),
    }
}

fn object(properties: Map<String, Value>, required: Vec<String>) -> Value {
    if required.is_empty() {
        return json!({"type": "object", "properties": properties});
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn described(mut schema: Value, description: &str) -> Value {
    if !description.is_empty() {
        schema["description"] = json!(description);
    }
    schema
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{ENTERPRISE_URN, Registry, SCHEMA_URN, USER_URN};

    fn user() -> &'static ResourceType {
        Registry::builtin().resource_type("User").expect("User is built in")
    }

    #[test]
    fn a_request_needs_what_is_required_and_leaves_out_what_is_read_only() {
        let request = request(user());
        assert_eq!(request["required"], json!(["schemas", "userName"]));
        assert_eq!(request["properties"].get("groups"), None);
        assert_eq!(request["properties"].get("id"), None);
        let manager = &request["properties"][ENTERPRISE_URN]["properties"]["manager"]["properties"];
        assert_eq!(manager.get("displayName"), None);
        assert!(manager.get("value").is_some());
    }

    #[test]
    fn a_representation_promises_what_is_always_returned() {
        let representation = representation(user());
        assert_eq!(representation["required"], json!(["schemas", "id"]));
        assert_eq!(representation["properties"]["groups"]["readOnly"], true);
        assert_eq!(representation["properties"]["meta"]["properties"]["created"]["format"], "date-time");
        let urns = &representation["properties"]["schemas"]["items"]["enum"];
        assert_eq!(urns, &json!([USER_URN, ENTERPRISE_URN]));
    }

    #[test]
    fn suggested_values_are_no_closed_list() {
        let kind = &representation(user())["properties"]["emails"]["items"]["properties"]["type"];
        assert_eq!(kind["examples"], json!(["work", "home", "other"]));
        assert_eq!(kind.get("enum"), None);
    }

    #[test]
    fn what_is_written_and_never_shown_stands_in_requests_alone() {
        let attribute: Attribute = serde_json::from_value(json!({
            "name": "secret", "type": "string", "multiValued": true, "mutability": "writeOnly", "returned": "never",
        }))
        .expect("an attribute");
        let attributes = [attribute];

        assert!(properties(&attributes, Author::Server).0.is_empty());
        let secret = &properties(&attributes, Author::Client).0["secret"];
        assert_eq!(secret, &json!({"type": "array", "items": {"type": "string"}, "writeOnly": true}));
    }

    #[test]
    fn objects_of_discovery_are_whole() {
        let schema = discovery(Registry::builtin().schema(SCHEMA_URN).expect("the schema of schemas"));
        assert_eq!(schema["required"], json!(["schemas", "id", "name", "attributes"]));
    }
}
