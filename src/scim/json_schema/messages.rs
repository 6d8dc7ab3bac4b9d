//! The messages of the protocol (RFC 7644 §3.4.2, §3.4.3, §3.5.2, §3.7, §3.12). What lies in them is given.

use serde_json::{Value, json};

use crate::scim::ErrorKind;
use crate::scim::message::{
    BULK_REQUEST, BULK_RESPONSE, ERROR, LIST_RESPONSE, MAX_OPERATIONS, PATCH_OP, SEARCH_REQUEST,
};
use crate::scim::query::MAX_COUNT;

/// `schemas`: one or more of these.
pub(super) fn urns<'a>(urns: impl IntoIterator<Item = &'a str>) -> Value {
    let urns: Vec<&str> = urns.into_iter().collect();
    json!({
        "type": "array",
        "items": {"type": "string", "enum": urns},
        "minItems": 1,
        "description": "The URNs of the schemas that the object is made of.",
    })
}

/// The answer to a query, with resources of this shape.
pub fn list_response(resource: &Value) -> Value {
    json!({
        "type": "object",
        "description": "The answer to a query: one page of what was found.",
        "properties": {
            "schemas": urns([LIST_RESPONSE]),
            "totalResults": {"type": "integer", "minimum": 0, "description": "How many resources were found, on all pages."},
            "startIndex": {"type": "integer", "minimum": 1, "description": "The position of the first resource of the page, from 1."},
            "itemsPerPage": {"type": "integer", "minimum": 0, "maximum": MAX_COUNT, "description": "How many resources are on the page."},
            "previousCursor": {"type": "string", "description": "The cursor of the page before, if pages are asked for by cursor."},
            "nextCursor": {"type": "string", "description": "The cursor of the next page, if pages are asked for by cursor."},
            "Resources": {"type": "array", "items": resource, "description": "The page."},
        },
        "required": ["schemas", "totalResults", "itemsPerPage", "Resources"],
    })
}

/// A query in a body. `parameters` are the properties that it shares with a query in a URL.
pub fn search_request(parameters: impl IntoIterator<Item = (String, Value)>) -> Value {
    let mut message = json!({
        "type": "object",
        "description": "A query with its parameters in the body, where they stand in no log.",
        "properties": {"schemas": urns([SEARCH_REQUEST])},
        "required": ["schemas"],
    });
    for (name, schema) in parameters {
        message["properties"][name] = schema;
    }
    message
}

/// A PATCH.
pub fn patch_op() -> Value {
    let operation = json!({
        "type": "object",
        "properties": {
            "op": {"type": "string", "enum": ["add", "remove", "replace"]},
            "path": {
                "type": "string",
                "description": "The attribute, or the elements that a filter in brackets selects. Without it, `value` is an object of attributes.",
                "examples": ["active", "name.familyName", "emails[type eq \"work\"].value"],
            },
            "value": {"description": "What to add, or to put in place; any JSON."},
        },
        "required": ["op"],
    });
    json!({
        "type": "object",
        "description": "Changes of a resource, in order; all of them are made or none.",
        "properties": {
            "schemas": urns([PATCH_OP]),
            "Operations": {"type": "array", "minItems": 1, "maxItems": MAX_OPERATIONS, "items": operation},
        },
        "required": ["schemas", "Operations"],
    })
}

/// Many changes at once.
pub fn bulk_request() -> Value {
    let operation = json!({
        "type": "object",
        "properties": {
            "method": {"type": "string", "enum": ["POST", "PUT", "PATCH", "DELETE"]},
            "bulkId": {"type": "string", "description": "A name for the resource that a POST creates, for `bulkId:NAME` elsewhere."},
            "version": {"type": "string", "description": "The version that the resource must have."},
            "path": {"type": "string", "description": "The endpoint or resource, below the base path.", "examples": ["/Users"]},
            "data": {"type": "object", "description": "The body of the single request."},
        },
        "required": ["method", "path"],
    });
    json!({
        "type": "object",
        "description": "Many changes in one request, each as if it were a request of its own.",
        "properties": {
            "schemas": urns([BULK_REQUEST]),
            "failOnErrors": {"type": "integer", "minimum": 1, "description": "After how many errors to stop."},
            "Operations": {"type": "array", "minItems": 1, "maxItems": MAX_OPERATIONS, "items": operation},
        },
        "required": ["schemas", "Operations"],
    })
}

/// What became of them. `responses` are the shapes of what a result may show: errors, and resources where they are wanted.
pub fn bulk_response(responses: &[Value]) -> Value {
    let result = json!({
        "type": "object",
        "properties": {
            "method": {"type": "string", "description": "As sent; missing where none was."},
            "bulkId": {"type": "string", "description": "As sent."},
            "version": {"type": "string", "description": "The version of the resource from now on."},
            "location": {"type": "string", "format": "uri", "description": "Where the resource is."},
            "status": {"type": "string", "pattern": "^[1-5][0-9][0-9]$", "description": "The HTTP status, as text."},
            "response": {
                "description": "Of an operation that failed, the error; of one that succeeded, the resource, if the client prefers that.",
                "anyOf": responses,
            },
        },
        "required": ["status"],
    });
    json!({
        "type": "object",
        "description": "The results of a bulk request, in the order of its operations.",
        "properties": {"schemas": urns([BULK_RESPONSE]), "Operations": {"type": "array", "items": result}},
        "required": ["schemas", "Operations"],
    })
}

/// Every answer that says no.
pub fn error() -> Value {
    let mut scim_types: Vec<&str> = ErrorKind::ALL.iter().filter_map(|kind| kind.scim_type()).collect();
    scim_types.sort_unstable();
    scim_types.dedup();
    json!({
        "type": "object",
        "description": "Why the request failed.",
        "properties": {
            "schemas": urns([ERROR]),
            "status": {"type": "string", "pattern": "^[45][0-9][0-9]$", "description": "The HTTP status, as text."},
            "scimType": {"type": "string", "enum": scim_types, "description": "The kind of error, in a word for programs."},
            "detail": {"type": "string", "description": "What is wrong, in a sentence for people."},
        },
        "required": ["schemas", "status", "detail"],
    })
}
