//! Values that fit an attribute by its published definition (RFC 7643 §7).

use serde_json::{Map, Value, json};

/// A value for an attribute; `unique` goes into texts, so that they are nobody else's.
pub(super) fn of(attribute: &Value, unique: &str) -> Value {
    let one = single(attribute, unique);
    if attribute["multiValued"] == true { json!([one]) } else { one }
}

fn single(attribute: &Value, unique: &str) -> Value {
    let name = attribute["name"].as_str().unwrap_or_default();
    match attribute["type"].as_str().unwrap_or("string") {
        "boolean" => json!(true),
        "integer" => json!(7),
        "decimal" => json!(7.5),
        "dateTime" => json!("2024-02-29T09:30:00Z"),
        "binary" => json!("c2NpbQ=="),
        "reference" => json!(format!("https://example.com/{name}")),
        "complex" => complex(attribute, unique),
        _ => text(attribute, name, unique),
    }
}

fn complex(attribute: &Value, unique: &str) -> Value {
    let parts = attribute["subAttributes"].as_array().into_iter().flatten();
    let writable = parts.filter(|part| is_plain(part) && part["name"] != "$ref");
    let pairs = writable.filter_map(|part| Some((part["name"].as_str()?.to_owned(), of(part, unique))));
    Value::Object(pairs.collect::<Map<String, Value>>())
}

/// Whether a client may write it and read it again.
pub(super) fn is_plain(attribute: &Value) -> bool {
    let is_written = matches!(attribute["mutability"].as_str(), None | Some("readWrite"));
    let is_returned = matches!(attribute["returned"].as_str(), None | Some("default" | "always"));
    is_written && is_returned
}

/// Servers may check the syntax of what has one, so these are right.
fn text(attribute: &Value, name: &str, unique: &str) -> Value {
    let canonical = attribute["canonicalValues"].as_array().and_then(|values| values.first());
    if let Some(canonical) = canonical.filter(|value| value.is_string()) {
        return canonical.clone();
    }
    match name {
        "locale" | "preferredLanguage" => json!("en-US"),
        "timezone" => json!("Europe/Berlin"),
        "country" => json!("US"),
        "type" => json!("work"),
        "value" => json!(format!("{unique}@example.com")),
        _ => json!(format!("{name} {unique}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_the_type_of_the_attribute() {
        let emails = json!({"name": "emails", "type": "complex", "multiValued": true, "subAttributes": [
            {"name": "value", "type": "string"},
            {"name": "type", "type": "string", "canonicalValues": ["home"]},
            {"name": "primary", "type": "boolean"},
            {"name": "display", "type": "string", "mutability": "readOnly"},
        ]});
        assert_eq!(of(&emails, "u"), json!([{"value": "u@example.com", "type": "home", "primary": true}]));
        assert_eq!(of(&json!({"name": "n", "type": "integer"}), "u"), json!(7));
        assert_eq!(of(&json!(null), "u"), json!(" u"));
    }
}
