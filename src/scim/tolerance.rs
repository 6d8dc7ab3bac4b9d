//! What identity providers really send, rewritten to what the RFC says (the `compat` profile).
//!
//! Nothing here knows documents or operations in progress: a value goes in, its RFC form comes out, and whoever reads it
//! afterwards may read like the RFC.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::json::member;
use super::schema::{Attribute, Type};

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
        Value::Object(parts) => match member(parts, "value") {
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

/// The truth value that a text means, in whichever case (T-02).
pub fn boolean(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{Registry, Resolved};
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
}
