//! What identity providers really send, rewritten to what the RFC says (the `compat` profile).
//!
//! Nothing here knows documents or operations in progress: a value, a filter or a key goes in, its RFC form comes out,
//! and whoever reads it afterwards may read like the RFC.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::accept;
use super::filter::{Check, Condition, Filter, Operator, Relation, Test};
use super::key::Key;
use super::schema::{Attribute, Resolved, Role, Type};
use super::{Profile, Result};

/// One value in the form that its attribute demands, as far as the intent is plain: `""` is `null`, a one-element
/// array is its element (T-04), bare text is `{"value": …}` for a complex attribute that has a `value` (T-05) and
/// `{"value": …}` is its content for a simple one, `"True"` is a boolean (T-02), a number is text where text belongs.
/// What stays wrong is refused by whoever reads it.
pub fn singular<'a>(attribute: &Attribute, value: &'a Value) -> Cow<'a, Value> {
    match value {
        Value::String(text) if text.is_empty() => Cow::Owned(Value::Null),
        Value::Array(elements) if elements.len() == 1 => singular(attribute, &elements[0]),
        value if attribute.is_complex() => complex(attribute, value),
        Value::Object(parts) if parts.is_empty() => Cow::Owned(Value::Null),
        Value::Object(parts) => match part(parts, "value") {
            Some(value) => singular(attribute, value),
            None => Cow::Borrowed(value),
        },
        Value::String(text) if attribute.kind == Type::Boolean => {
            boolean(text).map_or(Cow::Borrowed(value), Cow::Owned)
        }
        Value::Number(number) if attribute.kind == Type::String => Cow::Owned(Value::String(number.to_string())),
        value => Cow::Borrowed(value),
    }
}

fn complex<'a>(attribute: &Attribute, value: &'a Value) -> Cow<'a, Value> {
    match (value, attribute.sub_attribute("value")) {
        (Value::String(_) | Value::Number(_), Some(part)) => {
            Cow::Owned(Value::Object(Map::from_iter([(part.name.clone(), value.clone())])))
        }
        _ => Cow::Borrowed(value),
    }
}

fn boolean(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn part<'a>(parts: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    parts.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The elements of a list, also where one element stands for a list of one (T-04), and `""` for an empty one.
pub fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        Value::Null => &[],
        Value::String(text) if text.is_empty() => &[],
        element => std::slice::from_ref(element),
    }
}

/// The elements that the `value` of a `remove` means (T-06): those that are equal to a listed one in `value` and, where
/// it is given, `type`; without `value`, in every part that is given. An element that says nothing selects nothing, so
/// an empty list selects nothing either, never everything.
///
/// # Errors
/// `invalidValue` if a listed element can't be one of the attribute.
pub fn selection(attribute: Resolved, value: &Value) -> Result<Condition> {
    let elements = list(value).iter().map(|element| equal_to(attribute, element));
    elements.collect::<Result<Vec<_>>>().map(Condition::Or)
}

fn equal_to(attribute: Resolved, element: &Value) -> Result<Condition> {
    if attribute.sub_attribute.is_some() || !attribute.attribute.is_complex() {
        let value = accept::element(attribute, element, Profile::Compat)?;
        return Ok(value.map_or(Condition::Constant(false), |value| equality(attribute, &value)));
    }
    let parts = accept::parts(attribute, element, Profile::Compat)?.unwrap_or_default();
    let given = |name: &str| parts.iter().any(|(part, value)| part.name == name && value.is_some());
    let has_value = given("value");
    let tests = parts
        .iter()
        .filter(|(part, _)| !has_value || matches!(part.name.as_str(), "value" | "type"))
        .filter_map(|(part, value)| Some(equality(attribute.with_sub_attribute(part), value.as_ref()?)))
        .collect::<Vec<_>>();
    Ok(if tests.is_empty() { Condition::Constant(false) } else { Condition::And(tests) })
}

fn equality(attribute: Resolved, value: &Value) -> Condition {
    match Key::of_stored(attribute.leaf(), value) {
        Some(key) => Condition::Test(Test { attribute, check: Check::Compare(Relation::Eq, key) }),
        None => Condition::Constant(false),
    }
}

/// What a filter says about the element that it selects, as far as it says it with `eq`.
#[derive(Debug, Default)]
pub struct Equalities {
    /// The parts and the values that they must have.
    pub parts: Vec<(&'static Attribute, Value)>,
    /// Whether that is all the filter says: `eq` terms joined by `and`. Only then it describes an element that could
    /// be created (T-07).
    pub complete: bool,
}

/// Reads the equalities of the filter in `attribute[filter]`.
pub fn equalities(filter: &Filter, attribute: Resolved, profile: Profile) -> Equalities {
    let mut found = Equalities { parts: Vec::new(), complete: true };
    collect(filter, attribute, profile, &mut found);
    found
}

fn collect(filter: &Filter, attribute: Resolved, profile: Profile, found: &mut Equalities) {
    let term = match filter {
        Filter::And(filters) => {
            return filters.iter().for_each(|filter| collect(filter, attribute, profile, found));
        }
        Filter::Compare(name, Operator::Eq, literal) => {
            let part = attribute.attribute.sub_attribute(&name.text).filter(|part| part.role != Role::Referenced);
            part.and_then(|part| {
                let value = accept::value(attribute.with_sub_attribute(part), literal, profile).ok().flatten()?;
                Some((part, value))
            })
        }
        _ => None,
    };
    match term {
        Some(term) => found.parts.push(term),
        None => found.complete = false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::filter::{matches_element, parse_path};
    use crate::scim::schema::Registry;
    use serde_json::json;

    fn user(name: &str) -> Resolved {
        let user = Registry::builtin().resource_type("User").expect("User is built in");
        user.attribute(name).expect("an attribute of User")
    }

    fn rewritten(name: &str, value: Value) -> Value {
        singular(user(name).attribute, &value).into_owned()
    }

    #[test]
    fn t_02_booleans_may_come_as_text() {
        for (text, expected) in [("True", json!(true)), ("FALSE", json!(false)), ("yes", json!("yes"))] {
            assert_eq!(rewritten("active", json!(text)), expected);
        }
    }

    #[test]
    fn t_04_t_05_wrappers_are_taken_off_and_put_on() {
        assert_eq!(rewritten("manager", json!("7")), json!({"value": "7"}));
        assert_eq!(rewritten("manager", json!([{"value": "7"}])), json!({"value": "7"}));
        assert_eq!(rewritten("displayName", json!([{"$ref": null, "Value": "Noor"}])), json!("Noor"));
        assert_eq!(rewritten("name", json!("Noor")), json!("Noor"));
        assert_eq!(rewritten("title", json!(["a", "b"])), json!(["a", "b"]));
    }

    #[test]
    fn q_50_row_17_numbers_become_text() {
        assert_eq!(rewritten("employeeNumber", json!(701_984)), json!("701984"));
        assert_eq!(rewritten("active", json!(1)), json!(1));
    }

    #[test]
    fn t_06_listed_elements_select_by_type_and_value() {
        let emails = user("emails");
        let condition = selection(emails, &json!([{"value": "A@x.org", "display": "a"}, "b@x.org"])).expect("valid");
        let selects = |element| matches_element(&condition, &element);
        assert!(selects(json!({"value": "a@x.org", "type": "work"})));
        assert!(selects(json!({"value": "b@x.org"})));
        assert!(!selects(json!({"value": "c@x.org", "display": "a"})));
        for nothing in [json!([]), json!([{}]), json!([{"$ref": null}]), json!("")] {
            let condition = selection(emails, &nothing).expect("valid");
            assert!(!matches_element(&condition, &json!({"value": "a@x.org"})), "{nothing}");
        }
    }

    #[test]
    fn t_07_only_equalities_joined_by_and_describe_an_element() {
        let described = |path: &str| {
            let filter = parse_path(path, Profile::Compat).expect(path).filter.expect("a filter");
            equalities(&filter, user("emails"), Profile::Compat)
        };
        let both = described(r#"emails[type eq "work" and primary eq "True"]"#);
        assert!(both.complete);
        assert_eq!(both.parts.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>(), [json!("work"), json!(true)]);
        let partly = described(r#"emails[type eq "work" and value ew "example.com"]"#);
        assert!(!partly.complete);
        assert_eq!(partly.parts.len(), 1);
        assert!(!described(r#"emails[type eq "work" or type eq "home"]"#).complete);
        assert!(!described(r#"emails[not (type eq "work")]"#).complete);
    }
}
