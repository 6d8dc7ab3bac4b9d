//! What must hold for any bytes at all: one file for each fuzz target, each with a function `check` that panics where it
//! does not. The fuzzer calls them with bytes that it makes up, `tests/corpus.rs` with those that were kept.
#![allow(dead_code, reason = "a fuzz target uses one of them")]

pub mod bulk;
pub mod cursor;
pub mod filter;
mod grammar;
pub mod json;
pub mod patch;
pub mod path;
pub mod query;
pub mod token;

use scimd::scim::schema::{ENTERPRISE_URN, GROUP_URN, Registry, ResourceType, USER_URN};
use scimd::scim::{Error, Profile};
use serde_json::{Map, Value, json};

const PROFILES: [Profile; 2] = [Profile::Compat, Profile::Strict];

fn types() -> [&'static ResourceType; 2] {
    ["User", "Group"].map(|name| Registry::builtin().resource_type(name).expect("it is built in"))
}

/// Whatever is wrong with bytes, it is the client's fault or not offered, and the sentence says so.
fn assert_refusal(error: &Error) {
    let status = error.kind().status();
    assert!((400..500).contains(&status) || status == 501, "{error:?}");
    assert!(error.detail().ends_with(['.', '…']) || error.detail().len() > 20, "{error:?}");
}

/// Two resources as clients see them.
fn representations() -> [Map<String, Value>; 2] {
    let user = json!({
        "schemas": [USER_URN, ENTERPRISE_URN],
        "id": "2819c223-7f76-453a-919d-413861904646",
        "externalId": "701984",
        "userName": "bjensen@example.com",
        "name": {"formatted": "Ms. Barbara J Jensen, III", "familyName": "Jensen", "givenName": "Barbara"},
        "title": "",
        "active": true,
        "emails": [
            {"value": "bjensen@example.com", "type": "work", "primary": true},
            {"value": "babs@jensen.org", "type": "home"},
        ],
        "groups": [{"value": "e9e30dba-f08f-4109-8486-d5c6a331660a", "display": "Tour Guides", "type": "direct"}],
        "x509Certificates": [{"value": "MIIDQzCCAqygAwIBAgICEAAwDQYJ"}],
        ENTERPRISE_URN: {"employeeNumber": "701984", "manager": {"value": "26118915", "displayName": "John Smith"}},
        "meta": {
            "resourceType": "User",
            "created": "2010-01-23T04:56:22Z",
            "lastModified": "2011-05-13T04:42:34Z",
            "version": "W/\"3.a330bc54f067\"",
        },
    });
    let group = json!({
        "schemas": [GROUP_URN],
        "id": "e9e30dba-f08f-4109-8486-d5c6a331660a",
        "displayName": "Tour Guides",
        "members": [
            {"value": "2819c223-7f76-453a-919d-413861904646", "display": "Babs Jensen", "type": "User"},
            {"value": "902c246b-6245-4190-8e05-00816be7344a", "display": "Mandy Pepperidge", "type": "User"},
        ],
        "meta": {"resourceType": "Group", "created": "2010-01-23T04:56:22Z"},
    });
    [user, group].map(|resource| resource.as_object().expect("an object").clone())
}
