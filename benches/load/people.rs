//! The people that are loaded, in the shape that Okta sends.

use serde_json::json;

/// A number as it stands in names: everybody's are equally long.
pub fn digits(number: usize) -> String {
    format!("{number:07}")
}

pub fn user_name(number: usize) -> String {
    format!("user{number:07}@load.example")
}

pub fn user_body(number: usize) -> String {
    let (given, family) = (GIVEN[number % GIVEN.len()], FAMILY[number / 7 % FAMILY.len()]);
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "userName": user_name(number),
        "externalId": format!("00u{number:09}"),
        "name": {"givenName": given, "familyName": family},
        "displayName": format!("{given} {family}"),
        "emails": [{"primary": true, "value": user_name(number), "type": "work"}],
        "locale": "en-US",
        "active": true,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": DEPARTMENTS[number % DEPARTMENTS.len()]},
    })
    .to_string()
}

/// A group without members, as Okta makes it.
pub fn group_body(name: &str) -> String {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": []}).to_string()
}

const GIVEN: [&str; 6] = ["Mira", "Jonas", "Aiko", "Priya", "Łukasz", "Ines"];
const FAMILY: [&str; 5] = ["Okafor", "Nguyen", "Silva", "Müller", "Haddad"];
const DEPARTMENTS: [&str; 4] = ["Sales", "Engineering", "Support", "Finance"];
