//! PATCH: a document and a message → a document.
//!
//! The bytes are two lines: the body of a resource, and the message.

use std::collections::HashSet;

use scimd::scim::accept;
use scimd::scim::patch::{self, Budget, MemberSource, PatchRequest, Patched, Presence};
use scimd::scim::resource::Document;
use scimd::scim::schema::ResourceType;
use scimd::scim::{Profile, Result, json};
use serde_json::{Map, Value, json};

use super::json::{assert_stored, self_description};
use super::{PROFILES, assert_refusal, types};

/// Applies the message to the resource, in both profiles.
pub fn check(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(resource), Some(message)) = (lines.next(), lines.next()) else { return };
    let (Ok(resource), Ok(message)) = (json::object(resource), json::object(message)) else { return };
    for profile in PROFILES {
        for resource_type in types() {
            let Ok(accepted) = accept::create(resource_type, &resource, profile) else { continue };
            let members = accepted.members.unwrap_or_default().into_iter().map(|claim| claim.value);
            let before = Before { resource_type, document: accepted.document, members: members.collect(), profile };
            before.assert_writing_back_changes_nothing();
            before.assert_message(&message);
        }
    }
}

/// A resource, before anything happens to it.
struct Before {
    resource_type: &'static ResourceType,
    document: Document,
    members: Vec<String>,
    profile: Profile,
}

impl Before {
    fn assert_message(&self, message: &Map<String, Value>) {
        let request = match patch::parse(message, self.profile) {
            Ok(request) => request,
            Err(error) => return assert_refusal(&error),
        };
        let patched = self.apply(&request);
        match &patched {
            Ok(patched) => self.assert_result(patched),
            Err(error) => assert_refusal(error),
        }
        match (operations(message), patched) {
            (Some([operation]), Ok(patched)) if !selects(operation) => self.assert_twice_is_once(&request, patched),
            (Some(operations), patched) => self.assert_in_order(operations, patched.ok()),
            (None, _) => {}
        }
    }

    fn assert_result(&self, patched: &Patched) {
        assert_stored(self.resource_type, &patched.document);
        let body = self_description(self.resource_type, &patched.document);
        let again = accept::replace(self.resource_type, &body, &patched.document, self.profile);
        let again = again.unwrap_or_else(|error| panic!("{error}: {:?}", patched.document));
        assert_eq!(again.document, patched.document, "what a PATCH makes, a PUT accepts");
        let changes = &patched.members.changes;
        let distinct: HashSet<&str> = changes.iter().map(|(claim, _)| claim.value.as_str()).collect();
        assert_eq!(distinct.len(), changes.len(), "one word on each member");
        assert!(!patched.members.cleared || changes.iter().all(|(_, presence)| *presence == Presence::Present));
    }

    /// Nothing is added twice, and what is gone stays gone.
    fn assert_twice_is_once(&self, request: &PatchRequest, once: Patched) {
        let after = Before { document: once.document, members: self.members.clone(), ..*self };
        let twice = after.apply(request).unwrap_or_else(|error| panic!("{error}: {:?}", after.document));
        assert_eq!(twice.document, after.document);
        assert_eq!(twice.members, once.members);
    }

    /// Each operation works on the result of the one before (PATCH-06): one request does what many do one by one, if
    /// each of them may be done.
    fn assert_in_order(&self, operations: &[Value], together: Option<Patched>) {
        let mut document = self.document.clone();
        for operation in operations {
            let step = Before { document, members: self.members.clone(), ..*self };
            match patch::parse(&message(json!([operation])), self.profile).and_then(|request| step.apply(&request)) {
                Ok(patched) if patched.members.is_empty() => document = patched.document,
                _ => return,
            }
        }
        let together = together.expect("one by one they are allowed");
        assert_eq!(together.document, document);
    }

    /// A client may send back what it has read (PATCH-10, PATCH-11).
    fn assert_writing_back_changes_nothing(&self) {
        if self.document.members().is_empty() {
            return;
        }
        let operations = json!([{"op": "replace", "value": self.document.members()}]);
        let request = patch::parse(&message(operations), self.profile).expect("a PATCH message");
        let patched = self.apply(&request).unwrap_or_else(|error| panic!("{error}: {:?}", self.document));
        assert_eq!(patched.document, self.document);
        assert!(patched.members.is_empty());
    }

    fn apply(&self, request: &PatchRequest) -> Result<Patched> {
        let mut members = Members(&self.members);
        let mut budget = Budget::full();
        patch::apply(request, self.resource_type, &self.document, &Map::new(), &mut members, self.profile, &mut budget)
    }
}

fn operations(message: &Map<String, Value>) -> Option<&[Value]> {
    message.get("Operations").and_then(Value::as_array).map(Vec::as_slice)
}

/// Whether it may be about what a filter selects, which may be something else the second time.
fn selects(operation: &Value) -> bool {
    let is_filtered = |path: &str| path.contains('[');
    let keys = operation["value"].as_object().into_iter().flat_map(Map::keys);
    operation["path"].as_str().is_none_or(is_filtered) || keys.map(String::as_str).any(is_filtered)
}

fn message(operations: Value) -> Map<String, Value> {
    let message = json!({"schemas": [scimd::scim::message::PATCH_OP], "Operations": operations});
    message.as_object().expect("an object").clone()
}

/// The members of a group, by their ids.
struct Members<'a>(&'a [String]);

impl MemberSource for Members<'_> {
    fn contains(&mut self, value: &str) -> Result<bool> {
        Ok(self.0.iter().any(|member| member == value))
    }

    fn all(&mut self) -> Result<Vec<Value>> {
        Ok(self.0.iter().map(|value| json!({"value": value, "type": "User"})).collect())
    }

    fn candidates(&mut self, values: &[&str]) -> Result<Vec<Value>> {
        Ok(values.iter().map(|value| json!({"value": value, "type": "User"})).collect())
    }
}
