//! `bulkId:…` in the data of a bulk operation: found, and put in order (RFC 7644 §3.7.2).
//!
//! Any text that begins with `bulkId:` is a reference as a whole, whatever the attribute (BULK-07): one that leads nowhere
//! is a mistake to be told, and nothing to be stored. So are the literals in the filter of a PATCH path, and the end of a
//! `$ref`. Names of attributes never are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Map, Value};

use super::Method;
use crate::scim::json::member;
use crate::scim::path::{Target, resolve};
use crate::scim::schema::{Mutability, ResourceType};

const PREFIX: &str = "bulkId:";

/// A resource that an operation of the request has created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// Where it is, absolute.
    pub location: String,
}

/// The data of an operation.
#[derive(Debug)]
pub struct Data<'a> {
    /// With the ids of what is created by now.
    pub known: Cow<'a, Map<String, Value>>,
    /// The attributes that refer to what is not created yet, as they were sent.
    deferred: Map<String, Value>,
    /// Those of them of which nothing is left in `known`.
    emptied: Vec<String>,
}

impl<'a> Data<'a> {
    /// Data of which nothing is left out.
    pub(super) fn complete(known: Cow<'a, Map<String, Value>>) -> Data<'a> {
        Data { known, deferred: Map::new(), emptied: Vec::new() }
    }

    /// A required attribute of which nothing is left: without it the resource can't be created.
    pub fn required_and_deferred(&self, resource_type: &'static ResourceType) -> Option<&str> {
        let is_required = |name: &&String| match resolve(resource_type, name) {
            Some(Target::Attribute(attribute)) => attribute.attribute.required,
            _ => false,
        };
        self.emptied.iter().find(is_required).map(String::as_str)
    }

    /// Of what is deferred, what a creation would heed: readOnly and unknown attributes are ignored there.
    pub(super) fn heeded(&self, resource_type: &'static ResourceType) -> Map<String, Value> {
        let is_heeded = |name: &str| match resolve(resource_type, name) {
            Some(Target::Attribute(attribute)) => attribute.attribute.mutability != Mutability::ReadOnly,
            _ => false,
        };
        let mut heeded = Map::new();
        for (key, value) in &self.deferred {
            match (resolve(resource_type, key), value) {
                (Some(Target::Schema(_)), Value::Object(extension)) => {
                    let inside = extension.iter().filter(|(name, _)| is_heeded(&format!("{key}:{name}")));
                    let inside: Map<String, Value> =
                        inside.map(|(name, value)| (name.clone(), value.clone())).collect();
                    if !inside.is_empty() {
                        heeded.insert(key.clone(), Value::Object(inside));
                    }
                }
                _ if is_heeded(key) => drop(heeded.insert(key.clone(), value.clone())),
                _ => {}
            }
        }
        heeded
    }
}

/// The name in a text that refers to a resource of the request. `key` is the name of what holds it.
pub(super) fn named<'a>(key: &str, text: &'a str) -> Option<&'a str> {
    text.strip_prefix(PREFIX).or_else(|| last_segment(key, text).strip_prefix(PREFIX))
}

/// What names the resource in a text: a `$ref` is a URI, anything else an id.
pub(super) fn last_segment<'a>(key: &str, text: &'a str) -> &'a str {
    if is_uri(key) { text.rsplit('/').next().unwrap_or(text) } else { text }
}

fn is_uri(key: &str) -> bool {
    key.eq_ignore_ascii_case("$ref")
}

/// Shows every text in the data of an operation that may name a resource, with the name of what holds it.
pub(super) fn for_each_text(method: Method, data: &Map<String, Value>, found: &mut impl FnMut(&str, &str)) {
    if method != Method::Patch {
        return data.iter().for_each(|(key, value)| texts(key, value, found));
    }
    let operations = member(data, "Operations").and_then(Value::as_array);
    for operation in operations.into_iter().flatten().filter_map(Value::as_object) {
        let path = member(operation, "path").and_then(Value::as_str);
        for (_, literal) in literals(path.unwrap_or_default()) {
            found("", &literal);
        }
        if let Some(value) = member(operation, "value") {
            texts(holder(path), value, found);
        }
    }
}

fn texts(key: &str, value: &Value, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => found(key, text),
        Value::Array(elements) => elements.iter().for_each(|element| texts(key, element, found)),
        Value::Object(members) => members.iter().for_each(|(key, value)| texts(key, value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The name of what a PATCH path holds, as far as it matters here.
fn holder(path: Option<&str>) -> &'static str {
    let ends_in_uri = path.and_then(|path| path.rsplit('.').next()).is_some_and(is_uri);
    if ends_in_uri { "$ref" } else { "" }
}

/// The texts in quotes of a PATCH path, and where they stand, quotes included.
fn literals(path: &str) -> Vec<(Range<usize>, String)> {
    let mut literals = Vec::new();
    let mut from = 0;
    while let Some(open) = path[from..].find(['"', '\'']).map(|open| from + open) {
        let quote = path.as_bytes()[open];
        let Some(close) = closing(path, open, quote) else { break };
        let text = match quote {
            b'"' => serde_json::from_str(&path[open..=close]).ok(),
            _ => Some(path[open + 1..close].to_owned()),
        };
        literals.extend(text.map(|text| (open..close + 1, text)));
        from = close + 1;
    }
    literals
}

fn closing(path: &str, open: usize, quote: u8) -> Option<usize> {
    let mut escaped = false;
    let inside = &path.as_bytes()[open + 1..];
    let length = inside.iter().position(|byte| {
        let closes = *byte == quote && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    });
    Some(open + 1 + length?)
}

/// Puts what is created in the place of what refers to it.
pub(super) struct Substitution<'a> {
    creations: &'a HashMap<String, usize>,
    created: &'a [Option<Created>],
    /// Whether something was not there yet.
    missed: bool,
}

impl<'a> Substitution<'a> {
    pub(super) fn new(creations: &'a HashMap<String, usize>, created: &'a [Option<Created>]) -> Substitution<'a> {
        Substitution { creations, created, missed: false }
    }

    /// The attributes of a POST or PUT, those of extensions one by one.
    pub(super) fn attributes<'d>(&mut self, data: &Map<String, Value>) -> Data<'d> {
        let (mut known, mut deferred, mut emptied) = (Map::new(), Map::new(), Vec::new());
        for (key, value) in data {
            match value {
                Value::Object(extension) if key.contains(':') => {
                    let inside = self.attributes(extension);
                    emptied.extend(inside.emptied.iter().map(|name| format!("{key}:{name}")));
                    known.insert(key.clone(), Value::Object(inside.known.into_owned()));
                    if !inside.deferred.is_empty() {
                        deferred.insert(key.clone(), Value::Object(inside.deferred));
                    }
                }
                _ => {
                    self.missed = false;
                    let present = self.value(key, value);
                    let is_left = |present: &Value| present.as_array().is_none_or(|elements| !elements.is_empty());
                    if self.missed {
                        deferred.insert(key.clone(), value.clone());
                    }
                    match present.filter(|present| !self.missed || is_left(present)) {
                        Some(present) => drop(known.insert(key.clone(), present)),
                        None => emptied.push(key.clone()),
                    }
                }
            }
        }
        Data { known: Cow::Owned(known), deferred, emptied }
    }

    /// A PATCH message; everything that it refers to is there.
    pub(super) fn patch(&mut self, message: &Map<String, Value>) -> Map<String, Value> {
        let mut done = message.clone();
        let operations = done.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case("Operations"));
        let operations = operations.and_then(|(_, operations)| operations.as_array_mut());
        for operation in operations.into_iter().flatten().filter_map(Value::as_object_mut) {
            let path = member(operation, "path").and_then(Value::as_str).map(str::to_owned);
            let key = holder(path.as_deref());
            for (name, part) in operation.iter_mut() {
                if name.eq_ignore_ascii_case("path") {
                    if let Value::String(path) = part {
                        *path = self.path(path);
                    }
                } else if name.eq_ignore_ascii_case("value") {
                    *part = self.value(key, part).unwrap_or(Value::Null);
                }
            }
        }
        done
    }

    fn path(&self, path: &str) -> String {
        let mut done = String::with_capacity(path.len());
        let mut from = 0;
        for (place, literal) in literals(path) {
            let Some(created) = named("", &literal).and_then(|name| self.find(name)) else { continue };
            done.push_str(&path[from..place.start]);
            done.push_str(&Value::from(created.id.as_str()).to_string());
            from = place.end;
        }
        done + &path[from..]
    }

    /// The value; of an array the elements whose references are there; `None` if a reference is not.
    fn value(&mut self, key: &str, value: &Value) -> Option<Value> {
        match value {
            Value::String(text) => self.text(key, text).map(Value::String),
            Value::Array(elements) => {
                Some(Value::Array(elements.iter().filter_map(|element| self.value(key, element)).collect()))
            }
            Value::Object(members) => {
                let members = members.iter().map(|(key, value)| Some((key.clone(), self.value(key, value)?)));
                members.collect::<Option<Map<String, Value>>>().map(Value::Object)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        }
    }

    fn text(&mut self, key: &str, text: &str) -> Option<String> {
        let Some(name) = named(key, text) else {
            return Some(text.to_owned());
        };
        match self.find(name) {
            Some(created) if is_uri(key) => Some(created.location.clone()),
            Some(created) => Some(created.id.clone()),
            None => {
                self.missed = true;
                None
            }
        }
    }

    fn find(&self, name: &str) -> Option<&'a Created> {
        self.created[*self.creations.get(name)?].as_ref()
    }
}
