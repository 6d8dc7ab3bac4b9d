//! The examples of RFC 7643 §8 and RFC 7644 §3, as bodies of requests.

use serde_json::{Value, json};

use crate::scim::message::{BULK_REQUEST, PATCH_OP, SEARCH_REQUEST};
use crate::scim::schema::{GROUP_URN, ResourceType, USER_URN};

/// A resource of this type, where the RFC has one.
pub(super) fn resource(resource_type: &ResourceType) -> Option<Value> {
    match resource_type.schema.id.as_str() {
        USER_URN => Some(json!({
            "schemas": [USER_URN],
            "userName": "bjensen",
            "externalId": "bjensen",
            "name": {"formatted": "Ms. Barbara J Jensen III", "familyName": "Jensen", "givenName": "Barbara"},
        })),
        GROUP_URN => Some(json!({"schemas": [GROUP_URN], "displayName": "Tour Guides"})),
        _ => None,
    }
}

/// A PATCH of this type, where the RFC has one.
pub(super) fn patch(resource_type: &ResourceType) -> Option<Value> {
    let operation = match resource_type.schema.id.as_str() {
        USER_URN => json!({
            "op": "replace",
            "path": "addresses[type eq \"work\"].streetAddress",
            "value": "1010 Broadway Ave",
        }),
        GROUP_URN => json!({"op": "remove", "path": "members"}),
        _ => return None,
    };
    Some(json!({"schemas": [PATCH_OP], "Operations": [operation]}))
}

/// A search.
pub(super) fn search() -> Value {
    json!({
        "schemas": [SEARCH_REQUEST],
        "attributes": ["displayName", "userName"],
        "filter": "displayName sw \"smith\"",
        "startIndex": 1,
        "count": 10,
    })
}

/// Many changes.
pub(super) fn bulk() -> Value {
    json!({
        "schemas": [BULK_REQUEST],
        "failOnErrors": 1,
        "Operations": [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": "qwerty",
                "data": {"schemas": [USER_URN], "userName": "Alice"},
            },
            {
                "method": "POST",
                "path": "/Groups",
                "bulkId": "ytrewq",
                "data": {
                    "schemas": [GROUP_URN],
                    "displayName": "Tour Guides",
                    "members": [{"type": "User", "value": "bulkId:qwerty"}],
                },
            },
        ],
    })
}
