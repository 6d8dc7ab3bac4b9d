//! The elements of one multi-valued attribute among each other: duplicates and `primary` (RFC 7643 §2.4).

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::scim::key::Key;
use crate::scim::resource::is_unassigned;
use crate::scim::schema::{Attribute, Resolved, Type};
use crate::scim::{Error, ErrorKind, Profile, Result};

/// One element, and whether the request at hand set it.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// The element, accepted.
    pub value: Value,
    /// Whether it was written by the request; a `primary` that was is the one that counts (MV-02).
    pub touched: bool,
}

impl Element {
    /// An element that the request writes.
    pub fn touched(value: Value) -> Element {
        Element { value, touched: true }
    }

    /// An element that was there before.
    pub fn kept(value: Value) -> Element {
        Element { value, touched: false }
    }
}

/// Brings elements into the state that is stored: none empty, none twice (MV-03; the later one wins), at most one
/// primary (MV-01, MV-02). Order is kept (MV-05).
///
/// # Errors
/// `invalidValue` under `strict` if the request sets two primaries; under `compat` the last one wins.
pub fn settle(attribute: Resolved, elements: Vec<Element>, profile: Profile) -> Result<Vec<Value>> {
    let mut elements = collapse(attribute.leaf(), elements);
    let primaries: Vec<usize> = positions(&elements, |element| element.touched && is_primary(&element.value));
    if primaries.len() > 1 && profile == Profile::Strict {
        return Err(Error::new(ErrorKind::InvalidValue, format!("{attribute} must have at most one primary value.")));
    }
    if let Some(winner) = primaries.last() {
        for position in positions(&elements, |element| is_primary(&element.value)) {
            if position != *winner {
                elements[position].value["primary"] = Value::Bool(false);
            }
        }
    }
    Ok(elements.into_iter().map(|element| element.value).collect())
}

/// The values of a part that has many: those that are there, and after them the new ones that are not (row A4 of PATCH).
pub fn united(part: &Attribute, known: &[Value], new: Vec<Value>) -> Vec<Value> {
    let keys: HashSet<String> = known.iter().map(|value| key(part, value)).collect();
    let new = new.into_iter().filter(|value| !keys.contains(&key(part, value)));
    known.iter().cloned().chain(new).collect()
}

fn positions(elements: &[Element], predicate: impl Fn(&Element) -> bool) -> Vec<usize> {
    elements.iter().enumerate().filter(|(_, element)| predicate(element)).map(|(position, _)| position).collect()
}

fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

fn collapse(attribute: &Attribute, elements: Vec<Element>) -> Vec<Element> {
    let mut known = HashMap::with_capacity(elements.len());
    let mut distinct: Vec<Element> = Vec::with_capacity(elements.len());
    for element in elements.into_iter().filter(|element| !is_unassigned(&element.value)) {
        let position = *known.entry(identity(attribute, &element.value)).or_insert(distinct.len());
        match distinct.get_mut(position) {
            None => distinct.push(element),
            Some(earlier) => merge(earlier, element),
        }
    }
    distinct
}

fn merge(earlier: &mut Element, later: Element) {
    earlier.touched |= later.touched;
    match (&mut earlier.value, later.value) {
        (Value::Object(parts), Value::Object(newer)) => parts.extend(newer),
        (value, newer) => *value = newer,
    }
}

/// What makes two elements the same: `type` and `value`; every part but `primary` where there is no `value`; of simple
/// values, the value. All of them as they compare (CHAR-13).
fn identity(attribute: &Attribute, element: &Value) -> String {
    if attribute.kind != Type::Complex {
        return key(attribute, element);
    }
    let part = |part: &Attribute| element.get(&part.name).map(|value| key(part, value)).unwrap_or_default();
    let of = |name: &str| attribute.sub_attribute(name).map(part).unwrap_or_default();
    if element.get("value").is_some() {
        return format!("\u{1}{}\u{0}{}", of("type"), of("value"));
    }
    let parts = attribute.sub_attributes.iter().filter(|part| part.name != "primary");
    parts.map(part).collect::<Vec<_>>().join("\u{0}")
}

fn key(attribute: &Attribute, value: &Value) -> String {
    Key::of_stored(attribute, value).map_or_else(|| value.to_string(), Key::into_string)
}
