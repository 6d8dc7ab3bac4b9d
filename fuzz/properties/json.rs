//! A body: bytes → JSON → document. What has been accepted is accepted again, and becomes itself.

use scimd::scim::accept::{self, Accepted, MemberClaim};
use scimd::scim::query::Parameters;
use scimd::scim::resource::Document;
use scimd::scim::schema::ResourceType;
use scimd::scim::{ErrorKind, Profile, json, patch};
use serde_json::{Map, Value};

use super::{PROFILES, assert_refusal, types};

/// Reads the bytes as the body of every request that has one.
pub fn check(bytes: &[u8]) {
    let object = match json::object(bytes) {
        Ok(object) => object,
        Err(error) => {
            assert_refusal(&error);
            return assert_eq!(error.kind(), ErrorKind::InvalidSyntax);
        }
    };
    assert_read(bytes, &object);
    if let Err(error) = Parameters::from_search_request(&object) {
        assert_refusal(&error);
    }
    for profile in PROFILES {
        if let Err(error) = patch::parse(&object, profile) {
            assert_refusal(&error);
        }
        for resource_type in types() {
            assert_accepted(resource_type, &object, profile);
        }
    }
}

/// Nothing is read into the text that another reader does not see, and what is written is read as the same.
fn assert_read(bytes: &[u8], object: &Map<String, Value>) {
    let other: Value = serde_json::from_slice(bytes).expect("it is JSON for others, too");
    assert_eq!(other.as_object(), Some(object));
    let written = Value::Object(object.clone()).to_string();
    assert_eq!(json::object(written.as_bytes()).ok().as_ref(), Some(object), "{written}");
}

fn assert_accepted(resource_type: &'static ResourceType, body: &Map<String, Value>, profile: Profile) {
    let accepted = match accept::create(resource_type, body, profile) {
        Ok(accepted) => accepted,
        Err(error) => return assert_refusal(&error),
    };
    assert_stored(resource_type, &accepted.document);
    let again = accept::replace(resource_type, &body_of(resource_type, &accepted), &accepted.document, profile);
    let again = again.unwrap_or_else(|error| panic!("{error}: {:?}", accepted.document));
    assert_eq!(again.document, accepted.document);
    assert_eq!(again.members, accepted.members);
    assert_eq!(again.ignored, Vec::<String>::new());
    let stored = Document::from_json(&accepted.document.to_json()).expect("it is written as JSON");
    assert_eq!(stored, accepted.document);
}

/// Unassigned attributes are absent from what is stored (RES-15).
pub fn assert_stored(resource_type: &'static ResourceType, document: &Document) {
    accept::check_required(resource_type, document).expect("nothing that is required is missing");
    for value in document.members().values() {
        assert_assigned(value);
    }
}

fn assert_assigned(value: &Value) {
    match value {
        Value::Null => panic!("null is stored"),
        Value::Array(values) => {
            assert!(!values.is_empty(), "an empty list is stored");
            values.iter().for_each(assert_assigned);
        }
        Value::Object(parts) => {
            assert!(!parts.is_empty(), "an empty object is stored");
            parts.values().for_each(assert_assigned);
        }
        _ => {}
    }
}

/// The body that says what was accepted, as a client would write it.
fn body_of(resource_type: &'static ResourceType, accepted: &Accepted) -> Map<String, Value> {
    let mut body = self_description(resource_type, &accepted.document);
    if let Some(members) = accepted.members.as_ref().filter(|members| !members.is_empty()) {
        body.insert("members".to_owned(), members.iter().map(member).collect());
    }
    body
}

/// A document with its `schemas`.
pub fn self_description(resource_type: &'static ResourceType, document: &Document) -> Map<String, Value> {
    let mut body = document.members().clone();
    body.insert("schemas".to_owned(), document.schemas(resource_type).into());
    body
}

fn member(claim: &MemberClaim) -> Value {
    let parts = [("value", Some(&claim.value)), ("type", claim.claimed_type.as_ref())];
    let given = parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?.clone()))));
    Value::Object(given.collect())
}
