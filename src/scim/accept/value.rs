//! One value against its attribute: the data types of RFC 7643 §2.3 and what counts as unassigned (§2.5).

use std::fmt;

use serde_json::{Map, Value};

use super::code_lists::{is_uri_reference, violation};
use super::elements::{Element, settle};
use crate::scim::json::check_keys;
use crate::scim::key::{Key, decode_base64, parse_date_time};
use crate::scim::password::Password;
use crate::scim::resource::format_client_instant;
use crate::scim::schema::{Attribute, Mutability, Resolved, Role, Type, Uniqueness};
use crate::scim::{Error, ErrorKind, Profile, Result, precis, tolerance};

/// Accepts the value of an attribute, or of a part of one; `None` if it leaves the attribute unassigned: `null`, `[]`,
/// a complex value without parts, and `""` under `compat` (RES-14 to RES-16).
///
/// # Errors
/// `invalidValue` for a value of the wrong type; `invalidSyntax` under `strict` for one that should be an array
/// (TYPE-12). The sentence names the attribute and the element.
pub fn value(attribute: Resolved, value: &Value, profile: Profile) -> Result<Option<Value>> {
    any(Place { attribute, index: None }, value, profile)
}

/// Accepts one element of a multi-valued attribute, or the value of a singular one.
///
/// # Errors
/// As [`value`].
pub fn element(attribute: Resolved, value: &Value, profile: Profile) -> Result<Option<Value>> {
    single(Place { attribute, index: None }, value, profile)
}

/// Accepts a password; `None` if there shall be none.
///
/// # Errors
/// `invalidValue`; the sentence does not repeat it.
pub fn password(attribute: Resolved, value: &Value, profile: Profile) -> Result<Option<Password>> {
    match self::value(attribute, value, profile)? {
        Some(Value::String(text)) => Password::prepare(&text, profile).map(Some),
        _ => Ok(None),
    }
}

/// Accepts the elements of a multi-valued attribute, and settles them among each other.
///
/// # Errors
/// As [`value`]; see also [`settle`].
pub fn elements(attribute: Resolved, values: &[Value], profile: Profile) -> Result<Vec<Value>> {
    many(Place { attribute, index: None }, values, profile)
}

/// The parts of a complex value that were given: a value, or `None` where the part is to be unassigned.
pub type Parts = Vec<(&'static Attribute, Option<Value>)>;

/// Accepts a complex value part by part, for whoever merges it into another one. `None` if it says nothing at all:
/// `null`, `[]`, `{}`, and `""` under `compat`. Parts that the server sets, and unknown ones, are left out.
///
/// # Errors
/// As [`value`].
pub fn parts(attribute: Resolved, value: &Value, profile: Profile) -> Result<Option<Parts>> {
    let place = Place { attribute, index: None };
    let value = match profile {
        Profile::Compat => tolerance::singular(attribute.attribute, value),
        Profile::Strict => std::borrow::Cow::Borrowed(value),
    };
    match &*value {
        Value::Null => Ok(None),
        Value::Array(elements) if elements.is_empty() => Ok(None),
        Value::Object(given) if given.is_empty() => Ok(None),
        Value::Object(given) => parts_at(place, given, profile).map(Some),
        other => Err(place.wrong_type(other)),
    }
}

/// The elements of a multi-valued value as they were sent.
///
/// # Errors
/// `invalidSyntax` under `strict` if it is no array (TYPE-12).
pub(super) fn list(attribute: Resolved, value: &Value, profile: Profile) -> Result<&[Value]> {
    Place { attribute, index: None }.list(value, profile)
}

/// Whether two values of an attribute are the same, as the attribute compares.
pub fn same(attribute: &Attribute, left: &Value, right: &Value) -> bool {
    if left == right {
        return true;
    }
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(attribute, left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let is_same = |(name, value): (&String, &Value)| {
                let part = attribute.sub_attribute(name);
                part.zip(right.get(name)).is_some_and(|(part, other)| same(part, value, other))
            };
            left.len() == right.len() && left.iter().all(is_same)
        }
        _ => Key::of_stored(attribute, left).is_some_and(|key| Key::of_stored(attribute, right) == Some(key)),
    }
}

fn any(place: Place, value: &Value, profile: Profile) -> Result<Option<Value>> {
    if !place.attribute.leaf().multi_valued {
        return single(place, value, profile);
    }
    let elements = many(place, place.list(value, profile)?, profile)?;
    Ok((!elements.is_empty()).then_some(Value::Array(elements)))
}

fn many(place: Place, values: &[Value], profile: Profile) -> Result<Vec<Value>> {
    let mut accepted = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let place = Place { index: place.index.or(Some(index)), ..place };
        accepted.extend(single(place, value, profile)?.map(Element::touched));
    }
    settle(place.attribute, accepted, profile)
}

fn single(place: Place, value: &Value, profile: Profile) -> Result<Option<Value>> {
    let attribute = place.attribute.leaf();
    let value = match profile {
        Profile::Compat => tolerance::singular(attribute, value),
        Profile::Strict => std::borrow::Cow::Borrowed(value),
    };
    match &*value {
        Value::Null => Ok(None),
        Value::Array(elements) if elements.is_empty() => Ok(None),
        Value::Object(parts) if attribute.is_complex() => complex(place, parts, profile),
        value => simple(place, value, profile).map(Some),
    }
}

fn complex(place: Place, given: &Map<String, Value>, profile: Profile) -> Result<Option<Value>> {
    let parts = parts_at(place, given, profile)?;
    let assigned = parts.into_iter().filter_map(|(part, value)| Some((part.name.clone(), value?)));
    let assigned: Map<String, Value> = assigned.collect();
    Ok((!assigned.is_empty()).then_some(Value::Object(assigned)))
}

fn parts_at(place: Place, given: &Map<String, Value>, profile: Profile) -> Result<Parts> {
    check_keys(given)?;
    let mut parts = Vec::with_capacity(given.len());
    for (key, value) in given {
        let Some(part) = place.attribute.attribute.sub_attribute(key) else { continue };
        if part.role == Role::Referenced || part.mutability == Mutability::ReadOnly {
            continue;
        }
        let place = Place { attribute: place.attribute.with_sub_attribute(part), ..place };
        parts.push((part, any(place, value, profile)?));
    }
    Ok(parts)
}

fn simple(place: Place, value: &Value, profile: Profile) -> Result<Value> {
    let attribute = place.attribute.leaf();
    let is_typed = match attribute.kind {
        Type::String | Type::DateTime | Type::Binary | Type::Reference => value.is_string(),
        Type::Boolean => value.is_boolean(),
        Type::Decimal => value.is_number(),
        Type::Integer => value.is_i64() || value.is_u64(),
        Type::Complex => false,
    };
    if !is_typed {
        return Err(place.wrong_type(value));
    }
    if let Value::String(text) = value {
        check_text(place, text, profile)?;
        if let Some(instant) = parse_date_time(text).filter(|_| attribute.kind == Type::DateTime) {
            return Ok(Value::String(format_client_instant(instant)));
        }
    }
    Ok(value.clone())
}

fn check_text(place: Place, text: &str, profile: Profile) -> Result<()> {
    let attribute = place.attribute.leaf();
    if text.contains('\0') {
        // PostgreSQL can't store it, and both databases behave alike.
        return Err(invalid(format!("{place} must not contain the character U+0000.")));
    }
    if attribute.uniqueness != Uniqueness::None && text.contains(char::is_control) {
        // Nothing that an operator could tell from its neighbours.
        return Err(invalid(format!("{place} must not contain control characters.")));
    }
    if place.attribute.is_user_name()
        && !text.is_empty()
        && let Err(refusal) = precis::check_user_name(text, profile)
    {
        return Err(invalid(format!("{place} {refusal}.")));
    }
    if attribute.kind == Type::DateTime && parse_date_time(text).is_none() {
        return Err(invalid(format!("{place} must be a date and time such as 2026-03-01T09:30:00Z.")));
    }
    if profile == Profile::Compat {
        return Ok(());
    }
    if let Some(demand) = violation(place.attribute, text) {
        return Err(invalid(format!("{place} must be {demand}.")));
    }
    match attribute.kind {
        Type::Binary if decode_base64(text).is_none() => Err(invalid(format!("{place} must be base64 text."))),
        Type::Reference if !is_uri_reference(text) => Err(invalid(format!("{place} must be a URI reference."))),
        _ => Ok(()),
    }
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidValue, detail)
}

/// Where a value stands in what was sent, for messages: `emails[1].value`.
#[derive(Clone, Copy)]
struct Place {
    attribute: Resolved,
    index: Option<usize>,
}

impl Place {
    fn list(self, value: &Value, profile: Profile) -> Result<&[Value]> {
        match (value, profile) {
            (Value::Array(_) | Value::Null, _) | (_, Profile::Compat) => Ok(tolerance::list(value)),
            _ => {
                let detail = format!("{self} must be an array, not {}.", described(value));
                Err(Error::new(ErrorKind::InvalidSyntax, detail))
            }
        }
    }

    fn wrong_type(self, value: &Value) -> Error {
        let expected = match self.attribute.leaf().kind {
            Type::String => "a string",
            Type::Boolean => "true or false",
            Type::Decimal => "a number",
            Type::Integer => "a number without fraction and exponent",
            Type::DateTime => "a string with date and time",
            Type::Binary => "a string of base64",
            Type::Reference => "a string with a URI",
            Type::Complex => "an object",
        };
        invalid(format!("{self} must be {expected}, not {}.", described(value)))
    }
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with fraction or exponent",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.attribute.without_sub_attribute())?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        match self.attribute.sub_attribute {
            Some(part) => write!(f, ".{}", part.name),
            None => Ok(()),
        }
    }
}
