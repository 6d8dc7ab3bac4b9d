//! Bytes of a body → a JSON object that says each thing once, within limits (RFC 7644 §3.3, RFC 8259). Names compare
//! without case from here on.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{Error, ErrorKind, Result};

/// The deepest nesting of objects and arrays.
pub const MAX_DEPTH: usize = 32;

/// The most values in one body. Each takes some seventy bytes of memory however short its text is; a group of a hundred
/// thousand members has three hundred thousand.
pub const MAX_VALUES: usize = 1_000_000;

/// Reads the one JSON object that `bytes` hold.
///
/// # Errors
/// `invalidSyntax` for anything that is no JSON object in UTF-8, for duplicate keys, for nesting deeper than
/// [`MAX_DEPTH`] and for more than [`MAX_VALUES`] values (HTTP-04).
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>> {
    object_of(bytes, MAX_VALUES)
}

/// The same, with as many values as `most`: for what comes from an operator.
///
/// # Errors
/// As [`object`].
pub fn object_of(bytes: &[u8], most: usize) -> Result<Map<String, Value>> {
    let invalid = |detail: String| Error::new(ErrorKind::InvalidSyntax, detail);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let left = Cell::new(most);
    let value = Once { depth: 0, left: &left, most }.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(invalid("The body must be a JSON object.".to_owned())),
        Err(error) => Err(invalid(format!("The body is not valid JSON: {error}."))),
    }
}

/// Refuses an object with two keys that differ only by case (RES-05).
///
/// # Errors
/// `invalidSyntax`.
pub fn check_keys(object: &Map<String, Value>) -> Result<()> {
    let mut known = HashSet::new();
    for (index, key) in object.keys().enumerate() {
        // Most objects are small: nothing is allocated for them.
        let twice = match object.len() <= 12 {
            true => object.keys().take(index).any(|other| other.eq_ignore_ascii_case(key)),
            false => !known.insert(key.to_ascii_lowercase()),
        };
        if twice {
            let detail = format!("The key '{key}' is there twice; names that differ only by case are the same.");
            return Err(Error::new(ErrorKind::InvalidSyntax, detail));
        }
    }
    Ok(())
}

/// The member of that name; names compare without case (RES-04).
pub fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A JSON value in which no object names a key twice, nothing is nested too deep, and not too many values stand.
#[derive(Clone, Copy)]
struct Once<'a> {
    depth: usize,
    left: &'a Cell<usize>,
    most: usize,
}

impl<'a> Once<'a> {
    fn deeper<E: serde::de::Error>(self) -> std::result::Result<Once<'a>, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Once { depth: self.depth + 1, ..self })
    }

    fn count<E: serde::de::Error>(self) -> std::result::Result<(), E> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| E::custom(format!("more than {} values", self.most)))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> std::result::Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(serde::de::Error::custom(format!("the key '{key}' stands twice in one object")));
            }
            let value = members.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = object(text.as_bytes()).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidSyntax);
        error.detail().to_owned()
    }

    #[test]
    fn http_04_a_body_is_one_json_object() {
        for text in ["", "[]", "\"x\"", "{", "{} {}", "{\"a\":}", "{'a':1}"] {
            refused(text);
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
        assert_eq!(object(b" {\"a\":[1,2.5,null,true]} ").expect("JSON").len(), 1);
    }

    #[test]
    fn http_04_a_key_stands_once() {
        assert!(refused(r#"{"a":1,"b":{"c":1,"c":2}}"#).contains("'c'"));
    }

    #[test]
    fn http_04_nesting_is_limited_exactly() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(object(nested(MAX_DEPTH).as_bytes()).is_ok());
        refused(&nested(MAX_DEPTH + 1));
        refused(&"[".repeat(100_000));
    }

    #[test]
    fn http_04_the_number_of_values_is_limited() {
        assert!(refused(&format!("{{\"a\":[{}0]}}", "0,".repeat(MAX_VALUES))).contains("more than"));
    }

    /// What is stored is written and read again with every change of a resource; no digit may get lost on the way.
    #[test]
    fn type_04_a_decimal_is_the_same_after_it_was_written() {
        for text in ["1111111110000190.87", "0.1", "5e-324", "1.7976931348623157e308", "-0.0"] {
            let read = object(format!("{{\"a\":{text}}}").as_bytes()).expect(text);
            let written = Value::Object(read.clone()).to_string();
            assert_eq!(object(written.as_bytes()).expect(text), read, "{text}");
        }
    }
}
