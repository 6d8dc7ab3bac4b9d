//! Condition × representation → yes or no, in memory.
//!
//! It reads a resource as a client would see it, computed attributes included, and so knows nothing of where values
//! are stored: the store's SQL is held against it in tests (FLT-36), and PATCH uses it to select elements.

use serde_json::{Map, Value};

use super::{Condition, Test};
use crate::scim::key::Key;
use crate::scim::schema::Resolved;

/// Whether a resource satisfies the condition. `representation` is the whole resource: `id`, `meta`, `groups` …
pub fn matches(condition: &Condition, representation: &Map<String, Value>) -> bool {
    match condition {
        Condition::Constant(value) => *value,
        Condition::And(conditions) => conditions.iter().all(|condition| matches(condition, representation)),
        Condition::Or(conditions) => conditions.iter().any(|condition| matches(condition, representation)),
        Condition::Not(condition) => !matches(condition, representation),
        Condition::Test(test) => {
            attribute_value(test.attribute, representation).is_some_and(|value| passes(test, value))
        }
        Condition::Element(attribute, condition) => {
            let elements = attribute_value(*attribute, representation).and_then(Value::as_array);
            elements.is_some_and(|elements| elements.iter().any(|element| matches_element(condition, element)))
        }
    }
}

/// Whether one element of a multi-valued attribute, or a singular complex value, satisfies the condition that stood in
/// the brackets behind the attribute.
pub fn matches_element(condition: &Condition, element: &Value) -> bool {
    match condition {
        Condition::Constant(value) => *value,
        Condition::And(conditions) => conditions.iter().all(|condition| matches_element(condition, element)),
        Condition::Or(conditions) => conditions.iter().any(|condition| matches_element(condition, element)),
        Condition::Not(condition) => !matches_element(condition, element),
        Condition::Test(test) => part_passes(test, element),
        Condition::Element(..) => false,
    }
}

fn attribute_value(attribute: Resolved, representation: &Map<String, Value>) -> Option<&Value> {
    let container = match attribute.container() {
        Some(urn) => representation.get(urn)?.as_object()?,
        None => representation,
    };
    container.get(&attribute.attribute.name)
}

fn passes(test: &Test, value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(|element| part_passes(test, element)),
        value => part_passes(test, value),
    }
}

fn part_passes(test: &Test, element: &Value) -> bool {
    let value = match test.attribute.sub_attribute {
        Some(part) => element.get(&part.name),
        None => Some(element),
    };
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Array(values)) => values.iter().any(|value| value_passes(test, value)),
        Some(value) => value_passes(test, value),
    }
}

fn value_passes(test: &Test, value: &Value) -> bool {
    Key::of_stored(test.attribute.leaf(), value).is_some_and(|key| test.check.passes(&key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::Profile;
    use crate::scim::filter::{parse, resolve};
    use crate::scim::schema::{ENTERPRISE_URN, Registry};
    use serde_json::json;

    fn holds(filter: &str) -> bool {
        let user = Registry::builtin().resource_type("User").expect("User is built in");
        let filter = parse(filter, Profile::Strict).expect(filter);
        let condition = resolve(&filter, user, Profile::Strict).expect("it resolves");
        let representation = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE_URN],
            "id": "2819c223", "userName": "bjensen", "title": "", "active": false,
            "emails": [
                {"type": "work", "value": "Babs@Example.com", "primary": true},
                {"type": "home", "value": "babs@jensen.org"},
            ],
            ENTERPRISE_URN: {"department": "Tours", "manager": {"value": "26118915"}},
            "meta": {"created": "2026-03-01T09:30:00.123Z", "version": "W/\"3.9a\""},
        });
        matches(&condition, representation.as_object().expect("an object"))
    }

    #[test]
    fn flt_22_without_brackets_elements_may_differ() {
        assert!(holds(r#"emails.type eq "work" and emails.value co "jensen.org""#));
        assert!(!holds(r#"emails[type eq "work" and value co "jensen.org"]"#));
        assert!(holds(r#"emails[type eq "work" and value co "EXAMPLE"]"#));
    }

    #[test]
    fn flt_24_ne_holds_when_no_element_is_equal() {
        assert!(!holds(r#"emails.type ne "work""#));
        assert!(holds(r#"emails[type ne "work"]"#));
        assert!(holds(r#"nickName ne "x""#));
    }

    #[test]
    fn flt_26_unassigned_attributes_fail_every_operator() {
        for operator in ["eq", "co", "sw", "ew", "gt", "ge", "lt", "le"] {
            assert!(!holds(&format!(r#"nickName {operator} """#)), "{operator}");
        }
        assert!(!holds("nickName pr"));
    }

    #[test]
    fn res_16_empty_text_is_not_present() {
        assert!(!holds("title pr"));
        assert!(holds(r#"title eq """#));
        assert!(holds(r#"userName co """#));
    }

    #[test]
    fn flt_20_false_counts_as_present() {
        assert!(holds("active pr"));
        assert!(holds("active eq false"));
    }

    #[test]
    fn flt_29_extension_attributes_are_found_in_their_container() {
        assert!(holds(r#"department eq "tours""#));
        assert!(holds(r#"manager eq "26118915""#));
        assert!(holds(&format!(r#"schemas eq "{ENTERPRISE_URN}""#)));
    }

    #[test]
    fn ver_02_a_version_is_found_by_its_own_part() {
        assert!(holds(r#"meta.version eq "W/\"3\"""#));
    }
}
