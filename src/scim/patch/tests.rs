//! One test for each row of the tables of PATCH, named after it, and the dialects of identity providers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::*;
use crate::scim::schema::{ENTERPRISE_URN, Registry, Resolved, ResourceType, USER_URN};

mod add;
mod bounded;
mod dialects;
mod group;
mod message;
mod password;
mod properties;
mod remove;
mod replace;

const BOTH: [Profile; 2] = [Profile::Compat, Profile::Strict];

fn resource_type(name: &str) -> &'static ResourceType {
    Registry::builtin().resource_type(name).expect("it is built in")
}

/// An attribute with many complex values.
pub(super) fn emails() -> Resolved {
    resource_type("User").attribute("emails").expect("an attribute of User")
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn message(operations: Value) -> Map<String, Value> {
    object(json!({"schemas": [PATCH_OP], "Operations": operations}))
}

/// A group's members, which also counts how often it was asked, and for what.
#[derive(Default)]
struct Members {
    elements: BTreeMap<String, Value>,
    asked: usize,
    listed: usize,
    shown: usize,
}

impl Members {
    fn of(values: &[&str]) -> Members {
        let element = |value: &&str| {
            (value.to_string(), json!({"value": value, "type": "User", "display": format!("Member {value}")}))
        };
        Members { elements: values.iter().map(element).collect(), ..Members::default() }
    }
}

impl MemberSource for Members {
    fn contains(&mut self, value: &str) -> Result<bool> {
        self.asked += 1;
        Ok(self.elements.contains_key(value))
    }

    fn all(&mut self) -> Result<Vec<Value>> {
        self.listed += 1;
        Ok(self.elements.values().cloned().collect())
    }

    /// Whoever has an id with a number is a user.
    fn candidates(&mut self, values: &[&str]) -> Result<Vec<Value>> {
        self.asked += values.len();
        let users = values.iter().filter(|value| value.contains(char::is_numeric));
        Ok(users.map(|value| json!({"value": value, "type": "User", "display": format!("Member {value}")})).collect())
    }

    fn shown(&mut self) -> Result<Map<String, Value>> {
        self.shown += 1;
        Ok(object(json!({
            "groups": [{"value": "g1", "display": "Group 1"}],
            "meta": {"created": "2026-03-01T09:30:00.123Z", "version": "W/\"1\""},
            ENTERPRISE_URN: {"manager": {"value": "7", "displayName": "Boss"}},
        })))
    }
}

fn run(type_name: &str, current: Value, operations: Value, members: &mut Members, profile: Profile) -> Result<Patched> {
    let request = parse(&message(operations), profile)?;
    let current = Document::from_json(&current.to_string()).expect("an object");
    let identity = object(json!({"id": "2819c223", "schemas": [USER_URN], "meta": {"resourceType": type_name}}));
    apply(&request, resource_type(type_name), &current, &identity, members, profile, &mut Budget::full())
}

/// The user after the operations; a user name need not be given.
fn user(current: Value, operations: Value, profile: Profile) -> Result<Value> {
    let mut current = object(current);
    let named = current.contains_key("userName");
    current.entry("userName").or_insert(json!("x"));
    let patched = run("User", Value::Object(current), operations, &mut Members::default(), profile)?;
    assert!(patched.members.is_empty());
    let mut members = patched.document.into_members();
    if !named {
        members.shift_remove("userName");
    }
    Ok(Value::Object(members))
}

/// Both profiles make the same of it.
#[track_caller]
fn becomes(current: Value, operations: Value, expected: Value) {
    for profile in BOTH {
        becomes_in(profile, current.clone(), operations.clone(), expected.clone());
    }
}

#[track_caller]
fn becomes_in(profile: Profile, current: Value, operations: Value, expected: Value) {
    match user(current, operations, profile) {
        Ok(actual) => assert_eq!(actual, expected, "{profile}"),
        Err(error) => panic!("{profile}: {error}"),
    }
}

/// Both profiles refuse it.
#[track_caller]
fn fails(current: Value, operations: Value, kind: ErrorKind) {
    for profile in BOTH {
        fails_in(profile, current.clone(), operations.clone(), kind);
    }
}

#[track_caller]
fn fails_in(profile: Profile, current: Value, operations: Value, kind: ErrorKind) {
    match user(current, operations, profile) {
        Ok(actual) => panic!("{profile}: {actual}"),
        Err(error) => assert_eq!(error.kind(), kind, "{profile}: {error}"),
    }
}

/// One operation with a path.
fn at(op: &str, path: &str, value: Value) -> Value {
    json!([{"op": op, "path": path, "value": value}])
}

/// One operation without a path.
fn pathless(op: &str, value: Value) -> Value {
    json!([{"op": op, "value": value}])
}

fn without_value(op: &str, path: &str) -> Value {
    json!([{"op": op, "path": path}])
}

fn department(name: &str) -> Value {
    json!({ENTERPRISE_URN: {"department": name}})
}

fn enterprise(attribute: &str) -> String {
    format!("{ENTERPRISE_URN}:{attribute}")
}

fn two_emails() -> Value {
    json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true}, {"type": "home", "value": "h@x.org"}]})
}
