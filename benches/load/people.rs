//! The people that are loaded, in the shape that Okta sends.

use serde_json::json;

/// A number as it stands in names: everybody's are equally long.
pub fn digits(number: usize) -> String {
    format!("{number:07}")
}

pub fn user_name(number: usize) -> String {
    format!("user{number:07}@load.example")
}

/// Put together and not serialised: the client shares the machine with the server.
pub fn user_body(number: usize) -> String {
    let (given, family) = (GIVEN[number % GIVEN.len()], FAMILY[number / 7 % FAMILY.len()]);
    let (user_name, department) = (user_name(number), DEPARTMENTS[number % DEPARTMENTS.len()]);
    let core =
        format!(r#""schemas":["{USER}","{ENTERPRISE_USER}"],"userName":"{user_name}","externalId":"00u{number:09}""#);
    let name = format!(r#""name":{{"givenName":"{given}","familyName":"{family}"}},"displayName":"{given} {family}""#);
    let contact = format!(r#""emails":[{{"primary":true,"value":"{user_name}","type":"work"}}],"locale":"en-US""#);
    let work = format!(r#""active":true,"{ENTERPRISE_USER}":{{"department":"{department}"}}"#);
    format!("{{{core},{name},{contact},{work}}}")
}

/// A group without members, as Okta makes it.
pub fn group_body(name: &str) -> String {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": []}).to_string()
}

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GIVEN: [&str; 6] = ["Mira", "Jonas", "Aiko", "Priya", "Łukasz", "Ines"];
const FAMILY: [&str; 5] = ["Okafor", "Nguyen", "Silva", "Müller", "Haddad"];
const DEPARTMENTS: [&str; 4] = ["Sales", "Engineering", "Support", "Finance"];
