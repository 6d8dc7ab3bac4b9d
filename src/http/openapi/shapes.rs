//! The shapes of bodies, by name.

use serde_json::{Map, Value, json};

use crate::scim::discovery::SERVICE_PROVIDER_CONFIG_URN;
use crate::scim::json_schema::{self, messages};
use crate::scim::schema::{RESOURCE_TYPE_URN, Registry, ResourceType, SCHEMA_URN};

use super::parameters;

/// What the objects of discovery are called here.
const DISCOVERY: [(&str, &str); 3] = [
    ("ServiceProviderConfig", SERVICE_PROVIDER_CONFIG_URN),
    ("ResourceType", RESOURCE_TYPE_URN),
    ("Schema", SCHEMA_URN),
];

/// Every shape that requests and answers refer to.
pub(super) fn components(registry: &Registry) -> Map<String, Value> {
    let mut shapes = Map::new();
    for resource_type in registry.resource_types().iter().copied() {
        shapes.insert(name(resource_type), json_schema::representation(resource_type));
        shapes.insert(request_name(resource_type), json_schema::request(resource_type));
        shapes.insert(list_name(resource_type), messages::list_response(&reference(&name(resource_type))));
    }
    for (name, schema) in messages_of(registry) {
        shapes.insert(name.to_owned(), schema);
    }
    for (name, urn) in DISCOVERY {
        if let Some(schema) = registry.schema(urn) {
            shapes.insert(name.to_owned(), json_schema::discovery(schema));
            shapes.insert(format!("{name}ListResponse"), messages::list_response(&reference(name)));
        }
    }
    shapes
}

fn messages_of(registry: &Registry) -> [(&'static str, Value); 6] {
    let any: Vec<Value> = registry.resource_types().iter().map(|one| reference(&name(one))).collect();
    let results = [&any[..], &[reference("Error")]].concat();
    [
        ("ListResponse", messages::list_response(&json!({"anyOf": any}))),
        ("SearchRequest", messages::search_request(parameters::in_search_request())),
        ("PatchOp", messages::patch_op()),
        ("BulkRequest", messages::bulk_request()),
        ("BulkResponse", messages::bulk_response(&results)),
        ("Error", messages::error()),
    ]
}

/// A representation of this type.
pub(super) fn name(resource_type: &ResourceType) -> String {
    let is_allowed = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let name: String = resource_type.name.chars().filter(is_allowed).collect();
    // An operator may have a type called Schema.
    let is_taken = DISCOVERY.iter().any(|(taken, _)| *taken == name)
        || ["ListResponse", "SearchRequest", "PatchOp", "BulkRequest", "BulkResponse", "Error"].contains(&&*name);
    if is_taken { format!("{name}Resource") } else { name }
}

/// What a client sends of this type.
pub(super) fn request_name(resource_type: &ResourceType) -> String {
    format!("{}Request", name(resource_type))
}

/// A list of this type.
pub(super) fn list_name(resource_type: &ResourceType) -> String {
    format!("{}ListResponse", name(resource_type))
}

/// The shape of that name.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
