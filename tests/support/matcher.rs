//! Compares a JSON answer with what a transcript expects of it.
//!
//! - An object matches when every member that is expected matches; other members may be there.
//! - An array matches element by element, with the same length. Everything else must be equal (`1` is not `1.0`).
//! - A string that begins with `$` stands for a kind of value: `"$any"` (present), `"$absent"` (the member is missing),
//!   `"$text"` (a string, not empty), `"$boolean"`, `"$integer"`, `"$uuid"` (lower case), `"$time"`
//!   (`2026-03-01T09:30:00.123Z`).
//! - An object with a single member that begins with `$` (and is not `$ref`) is a rule: `{"$equals": x}` (no other
//!   members either, at any depth), `{"$not": x}` (also when the member is missing), `{"$unordered": [..]}` (the same
//!   elements in any order), `{"$contains": [..]}` (these elements among others), `{"$each": x}` (every element, and
//!   there is one), `{"$ends": "text"}`, `{"$all": [..]}`.
//!
//! Variables are replaced before; the matcher knows neither them nor HTTP.

use serde_json::{Map, Value};

/// Says where and how `actual` (or its absence) differs from `expected`. `at` is the JSON pointer of both.
///
/// # Errors
/// The first difference, as a sentence.
pub fn compare(expected: &Value, actual: Option<&Value>, at: &str) -> Result<(), String> {
    if let Value::String(word) = expected
        && let Some(kind) = word.strip_prefix('$')
    {
        return compare_kind(kind, actual, at);
    }
    if let Some((rule, argument)) = rule_of(expected) {
        return compare_rule(rule, argument, actual, at);
    }
    let Some(actual) = actual else { return Err(format!("{} is missing, expected {expected}", place(at))) };
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => expected
            .iter()
            .try_for_each(|(name, value)| compare(value, actual.get(name), &format!("{at}/{}", escape(name)))),
        (Value::Array(expected), Value::Array(actual)) => compare_elements(expected, actual, at),
        _ if expected == actual => Ok(()),
        _ => differ(at, expected, actual),
    }
}

/// Finds rules and kinds that do not exist, so that a misspelt one cannot pass for a text.
///
/// # Errors
/// The first word that is not known.
pub fn check(expected: &Value) -> Result<(), String> {
    match expected {
        Value::String(word) => match word.strip_prefix('$') {
            Some(kind) if !KINDS.contains(&kind) && !kind.starts_with('{') => Err(format!("unknown kind {word}")),
            _ => Ok(()),
        },
        Value::Array(elements) => elements.iter().try_for_each(check),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            let is_rule = name.starts_with('$') && name != "$ref";
            if is_rule && (members.len() != 1 || !RULES.contains(&&name[1..])) {
                return Err(format!("unknown rule {name}, or one beside other members"));
            }
            check(value)
        }),
        _ => Ok(()),
    }
}

const KINDS: [&str; 7] = ["any", "absent", "text", "boolean", "integer", "uuid", "time"];
const RULES: [&str; 7] = ["equals", "not", "unordered", "contains", "each", "ends", "all"];

fn rule_of(expected: &Value) -> Option<(&str, &Value)> {
    let members = expected.as_object().filter(|members| members.len() == 1)?;
    let (name, argument) = members.iter().next()?;
    name.strip_prefix('$').filter(|rule| *rule != "ref").map(|rule| (rule, argument))
}

fn compare_kind(kind: &str, actual: Option<&Value>, at: &str) -> Result<(), String> {
    let Some(actual) = actual else {
        return if kind == "absent" { Ok(()) } else { Err(format!("{} is missing, expected ${kind}", place(at))) };
    };
    let text = actual.as_str();
    let holds = match kind {
        "any" => !actual.is_null(),
        "absent" => false,
        "text" => text.is_some_and(|text| !text.is_empty()),
        "boolean" => actual.is_boolean(),
        "integer" => actual.is_u64() || actual.is_i64(),
        "uuid" => text.is_some_and(is_uuid),
        "time" => text.is_some_and(is_time),
        _ => return Err(format!("unknown kind ${kind}")),
    };
    if holds { Ok(()) } else { Err(format!("{} is {actual}, expected ${kind}", place(at))) }
}

fn compare_rule(rule: &str, argument: &Value, actual: Option<&Value>, at: &str) -> Result<(), String> {
    if rule == "not" {
        return match compare(argument, actual, at) {
            Ok(()) => Err(format!("{} must not be {argument}", place(at))),
            Err(_) => Ok(()),
        };
    }
    let Some(actual) = actual else { return Err(format!("{} is missing, expected ${rule} {argument}", place(at))) };
    match rule {
        "equals" if same(argument, actual) => Ok(()),
        "equals" => differ(at, argument, actual),
        "all" => list(argument).iter().try_for_each(|one| compare(one, Some(actual), at)),
        "each" => {
            let elements = array(actual, at)?;
            if elements.is_empty() {
                return Err(format!("{} is empty", place(at)));
            }
            elements.iter().enumerate().try_for_each(|(i, one)| compare(argument, Some(one), &format!("{at}/{i}")))
        }
        "ends" => {
            let end = argument.as_str().unwrap_or_default();
            let holds = actual.as_str().is_some_and(|text| text.ends_with(end));
            if holds { Ok(()) } else { Err(format!("{} is {actual}, expected to end in {end}", place(at))) }
        }
        "contains" | "unordered" => {
            let (wanted, found) = (list(argument), array(actual, at)?);
            if rule == "unordered" && wanted.len() != found.len() {
                return Err(format!("{} has {} elements, expected {}", place(at), found.len(), wanted.len()));
            }
            let mut free = vec![true; found.len()];
            if assign(wanted, found, &mut free) {
                return Ok(());
            }
            Err(format!("{} is {actual}, expected ${rule} {argument}", place(at)))
        }
        _ => Err(format!("unknown rule ${rule}")),
    }
}

/// Gives each wanted element one of its own; goes back when a generous one took what a stricter one needs.
fn assign(wanted: &[Value], found: &[Value], free: &mut [bool]) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return true };
    for index in 0..found.len() {
        if !free[index] || compare(first, Some(&found[index]), "").is_err() {
            continue;
        }
        free[index] = false;
        if assign(rest, found, free) {
            return true;
        }
        free[index] = true;
    }
    false
}

/// Equality in which a kind still stands for its values.
fn same(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            let within =
                |one: &Map<String, Value>, other: &Map<String, Value>| one.keys().all(|name| other.contains_key(name));
            within(expected, actual)
                && within(actual, expected)
                && expected.iter().all(|(name, value)| same(value, &actual[name]))
        }
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len() && expected.iter().zip(actual).all(|(one, other)| same(one, other))
        }
        (Value::String(_), _) => compare(expected, Some(actual), "").is_ok(),
        _ => expected == actual,
    }
}

fn compare_elements(expected: &[Value], actual: &[Value], at: &str) -> Result<(), String> {
    if expected.len() != actual.len() {
        return Err(format!("{} has {} elements, expected {}", place(at), actual.len(), expected.len()));
    }
    expected
        .iter()
        .zip(actual)
        .enumerate()
        .try_for_each(|(index, (one, other))| compare(one, Some(other), &format!("{at}/{index}")))
}

fn differ(at: &str, expected: &Value, actual: &Value) -> Result<(), String> {
    Err(format!("{} is {actual}, expected {expected}", place(at)))
}

fn list(argument: &Value) -> &[Value] {
    argument.as_array().map_or(std::slice::from_ref(argument), Vec::as_slice)
}

fn array<'a>(actual: &'a Value, at: &str) -> Result<&'a [Value], String> {
    actual.as_array().map(Vec::as_slice).ok_or_else(|| format!("{} is {actual}, expected an array", place(at)))
}

fn place(at: &str) -> &str {
    if at.is_empty() { "the body" } else { at }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The form of our ids: lower case, with its hyphens.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// The form of our times: UTC with milliseconds and `Z`.
pub fn is_time(text: &str) -> bool {
    text.len() == 24
        && text.bytes().zip(*b"0000-00-00T00:00:00.000Z").all(|(byte, pattern)| match pattern {
            b'0' => byte.is_ascii_digit(),
            _ => byte == pattern,
        })
}
