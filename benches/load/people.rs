//! The people that are loaded, in the shape that Okta sends.

use serde_json::json;

/// A number as it stands in names: everybody's are equally long, and in no order, as people come. Of up to ten million.
pub fn digits(number: usize) -> String {
    assert!(number < 10_000_000);
    format!("{:07}", number * 7_368_787 % 10_000_000)
}

pub fn user_name(number: usize) -> String {
    format!("user{}@load.example", digits(number))
}

/// Put together and not serialised: the client shares the machine with the server.
pub fn user_body(number: usize) -> String {
    let (given, department) = (GIVEN[number % GIVEN.len()], DEPARTMENTS[number % DEPARTMENTS.len()]);
    let (digits, user_name) = (digits(number), user_name(number));
    let family = format!("{}{digits}", FAMILY[number / 7 % FAMILY.len()]);
    let core = format!(
        r#""schemas":["{USER}","{ENTERPRISE_USER}"],"userName":"{user_name}","externalId":"00u{digits}","active":true"#
    );
    let names = format!(
        r#""name":{{"givenName":"{given}","familyName":"{family}","formatted":"{given} {family}"}},"displayName":"{given} {family}""#
    );
    let contact = format!(
        r#""emails":[{{"primary":true,"value":"{user_name}","type":"work"}}],"phoneNumbers":[{{"value":"+1 555 {digits}","type":"work"}}]"#
    );
    let place = r#""title":"Engineer","locale":"en-US","preferredLanguage":"en-US","timezone":"Europe/Prague""#;
    let work = format!(
        r#""{ENTERPRISE_USER}":{{"employeeNumber":"{digits}","costCenter":"4130","organization":"Example","division":"Platform","department":"{department}"}}"#
    );
    format!("{{{core},{names},{contact},{place},{work}}}")
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
