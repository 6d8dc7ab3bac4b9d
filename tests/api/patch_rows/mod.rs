//! PATCH-20: the tables of add, replace and remove, row by row: on users, groups and an extension, each alone in its
//! message and among other operations.
//!
//! Row A4 needs a list of simple values, which no attribute of the standard schemas is.

mod add;
mod examples;
mod remove;
mod replace;

use scimd::scim::Profile;
use serde_json::{Value, json};

use crate::harness::{Api, each_profile};
use crate::messages::*;

/// What comes of operations: the attributes then, or the `scimType` of the refusal.
type Outcome = Result<Value, &'static str>;

/// A tenant with four people, who are called by letters in operations (`${a}`) and among members (`a`).
struct Stage<'a> {
    api: &'a Api,
    people: Vec<(&'static str, Value)>,
}

/// Runs a test on both databases under both profiles.
fn each_stage(test: impl Fn(&Stage)) {
    each_profile(|api| {
        let people = ["a", "b", "c", "d"].map(|name| (name, api.created("/Users", &user(name))));
        test(&Stage { api, people: people.to_vec() });
    });
}

impl Stage<'_> {
    /// What `compat` makes of it where `strict` has another answer.
    fn either(&self, compat: Outcome, strict: Outcome) -> Outcome {
        if self.api.profile == Profile::Strict { strict } else { compat }
    }

    /// A user with these attributes, and what one operation makes of them.
    #[track_caller]
    fn user(&self, given: Value, operation: Value, outcome: Outcome) {
        let body = self.filled(&user_with("subject", given));
        let first = json!({"op": "add", "path": "userType", "value": "for a moment"});
        let last = [
            json!({"op": "remove", "path": "userType"}),
            json!({"op": "replace", "path": "timezone", "value": "Europe/Berlin"}),
        ];
        let among = outcome.clone().map(|mut expected| {
            expected["timezone"] = json!("Europe/Berlin");
            expected
        });

        self.check("/Users", &body, json!([operation]), outcome);
        self.check("/Users", &body, json!([first, operation, last[0], last[1]]), among);
    }

    /// A group `Team` of these members, and what one operation makes of it.
    #[track_caller]
    fn group(&self, members: &[&str], operation: Value, outcome: Outcome) {
        let members: Vec<Value> = members.iter().map(|name| json!({"value": format!("${{{name}}}")})).collect();
        let body = self.filled(&json!({"schemas": [GROUP], "displayName": "Team", "members": members}));
        let first = json!({"op": "add", "path": "externalId", "value": "for a moment"});
        let last = [
            json!({"op": "remove", "path": "externalId"}),
            json!({"op": "add", "path": "members", "value": [{"value": "${d}"}]}),
        ];
        let among = outcome.clone().map(|mut expected| {
            expected.as_object_mut().unwrap().remove("externalId");
            expected["members"].as_array_mut().unwrap().push(json!("d"));
            expected
        });

        self.check("/Groups", &body, json!([operation]), outcome);
        self.check("/Groups", &body, json!([first, operation, last[0], last[1]]), among);
    }

    #[track_caller]
    fn check(&self, endpoint: &str, body: &Value, operations: Value, outcome: Outcome) {
        let operations = self.filled(&operations);
        let before = self.api.created(endpoint, body);

        let response = self.api.patch(&path_of(&before), &patch(operations.clone()));

        let now = assert_resource(&self.api.get(&path_of(&before)), 200);
        match outcome {
            Ok(expected) => {
                let expected = self.filled(&expected);
                assert_eq!(response.status, 200, "{operations}: {}", response.text());
                assert_eq!(assert_resource(&response, 200), now, "{operations}");
                assert_eq!(self.shown(&now), expected, "{operations}");
                let has_extension = expected.get(ENTERPRISE).is_some();
                let schemas = now["schemas"].as_array().unwrap();
                assert_eq!(schemas.contains(&json!(ENTERPRISE)), has_extension, "{operations}");
                let is_same = self.shown(&before) == expected;
                assert_eq!(now["meta"]["version"] == before["meta"]["version"], is_same, "{operations}");
                assert!(!is_same || now["meta"] == before["meta"], "{operations}: an effect without a change");
            }
            Err(scim_type) => {
                assert_eq!(response.json()["scimType"], json!(scim_type), "{operations}: {}", response.text());
                assert_error(&response, 400, Some(scim_type));
                assert_eq!(now, before, "{operations}: a refusal with an effect");
            }
        }
        assert_eq!(self.api.delete(&path_of(&before)).status, 204);
    }

    /// `${a}` made the id of that person.
    fn filled(&self, value: &Value) -> Value {
        let fill = |text: String, (name, person): &(&str, Value)| {
            text.replace(&format!("${{{name}}}"), person["id"].as_str().unwrap())
        };
        self.people.iter().fold(value.to_string(), fill).parse().unwrap()
    }

    /// What a row speaks of: without the part of the server, the defaults and the name, and with members by letter.
    fn shown(&self, resource: &Value) -> Value {
        let mut shown = resource.clone();
        let is_said = |name: &str, value: &Value| match name {
            "id" | "meta" | "schemas" | "groups" => false,
            "userName" => *value != json!("subject"),
            "active" => *value != json!(true),
            _ => true,
        };
        shown.as_object_mut().unwrap().retain(|name, value| is_said(name, value));
        if let Some(manager) = shown.pointer_mut(&format!("/{ENTERPRISE}/manager")).and_then(Value::as_object_mut) {
            manager.retain(|name, _| name == "value");
        }
        if resource["meta"]["resourceType"] == json!("Group") {
            let letter = |id: &String| self.people.iter().find(|(_, person)| person["id"] == json!(id)).unwrap().0;
            let mut letters: Vec<&str> = values(resource, "members").iter().map(letter).collect();
            letters.sort_unstable();
            shown["members"] = json!(letters);
        }
        shown
    }
}

/// A message's operation with a path.
fn at(op: &str, path: &str, value: Value) -> Value {
    json!({"op": op, "path": path, "value": value})
}

/// One without a path.
fn pathless(op: &str, value: Value) -> Value {
    json!({"op": op, "value": value})
}

/// A remove, which has no value.
fn remove(path: &str) -> Value {
    json!({"op": "remove", "path": path})
}

/// The path of an attribute of the extension.
fn enterprise(attribute: &str) -> String {
    format!("{ENTERPRISE}:{attribute}")
}

fn department(name: &str) -> Value {
    json!({ENTERPRISE: {"department": name}})
}

fn two_emails() -> Value {
    json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true}, {"type": "home", "value": "h@x.org"}]})
}

/// The outcome for a group `Team` of these.
fn team(members: &[&str]) -> Outcome {
    Ok(json!({"displayName": "Team", "members": members}))
}
