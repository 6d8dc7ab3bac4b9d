//! A stored document against schemas that have changed since it was written: what fits them is the document, the rest
//! is withheld. It is kept beside the document, out of everybody's sight, and joins it again when a schema defines it
//! again. What belongs to something that is shown, a part of a complex value, is kept under a name with brackets
//! (`ports[]`): it goes with what it belongs to.

use serde_json::{Map, Value};

use super::key::parse_date_time;
use super::resource::{Document, is_unassigned};
use super::schema::{Attribute, Resolved, ResourceType, Role, Type};

/// Divides what is stored of a resource into the document that its type allows and what is withheld of it.
///
/// `stored` is the document so far, `withheld` what was withheld of it so far. What a client has written since wins over
/// what was withheld. Names that are spelled differently in the schema by now get its spelling.
pub fn divide(
    resource_type: &'static ResourceType,
    stored: Document,
    withheld: Map<String, Value>,
) -> (Document, Map<String, Value>) {
    let mut division = Division { resource_type, document: Document::default(), withheld: Map::new() };
    for (name, value) in united(stored.into_members(), withheld, unite_values) {
        division.member(name, value);
    }
    (division.document, division.withheld)
}

struct Division {
    resource_type: &'static ResourceType,
    document: Document,
    withheld: Map<String, Value>,
}

impl Division {
    fn member(&mut self, name: String, value: Value) {
        if !name.contains(':') {
            let attribute = self.resource_type.attribute_of(self.resource_type.schema, &name);
            let common = || self.resource_type.attribute(&name).filter(|attribute| attribute.schema.is_none());
            let (fitting, rest) = fit(attribute.or_else(common), value);
            self.keep(fitting);
            rest.extend(&mut self.withheld, name);
            return;
        }
        match (self.resource_type.extension(&name).map(|extension| extension.schema), value) {
            (Some(schema), Value::Object(members)) => {
                let mut withheld = Map::new();
                for (name, value) in members {
                    let (fitting, rest) = fit(self.resource_type.attribute_of(schema, &name), value);
                    self.keep(fitting);
                    rest.extend(&mut withheld, name);
                }
                if !withheld.is_empty() {
                    self.withheld.insert(schema.id.clone(), Value::Object(withheld));
                }
            }
            (_, value) => drop(self.withheld.insert(name, value)),
        }
    }

    fn keep(&mut self, fitting: Option<(Resolved, Value)>) {
        if let Some((attribute, value)) = fitting {
            self.document.set(attribute, value);
        }
    }
}

/// What behind the name of an attribute says that it belongs to what is shown of that attribute.
const OF_WHAT_IS_SHOWN: &str = "[]";

/// What of a value an attribute can't have.
#[derive(Default)]
struct Rest {
    /// Of which nothing is shown.
    unseen: Option<Value>,
    /// What belongs to something that is shown.
    of_what_is_shown: Option<Value>,
}

impl Rest {
    fn unseen(value: Value) -> Rest {
        Rest { unseen: Some(value), of_what_is_shown: None }
    }

    fn extend(self, withheld: &mut Map<String, Value>, name: String) {
        withheld.extend(self.of_what_is_shown.map(|value| (format!("{name}{OF_WHAT_IS_SHOWN}"), value)));
        withheld.extend(self.unseen.map(|value| (name, value)));
    }
}

/// What of a value an attribute can have, and the rest.
fn fit(attribute: Option<Resolved>, value: Value) -> (Option<(Resolved, Value)>, Rest) {
    let Some(attribute) = attribute.filter(|attribute| attribute.attribute.role == Role::Stored) else {
        return (None, Rest::unseen(value));
    };
    let definition = attribute.attribute;
    if !definition.is_complex() {
        return match is_of_type(definition, &value) {
            true => (Some((attribute, value)), Rest::default()),
            false => (None, Rest::unseen(value)),
        };
    }
    match (definition.multi_valued, value) {
        (false, Value::Object(parts)) => {
            let (fitting, rest) = fit_parts(definition, parts);
            let rest = (!rest.is_empty()).then_some(Value::Object(rest));
            match fitting.is_empty() {
                true => (None, Rest { unseen: rest, of_what_is_shown: None }),
                false => (Some((attribute, Value::Object(fitting))), Rest { unseen: None, of_what_is_shown: rest }),
            }
        }
        (true, Value::Array(elements)) if elements.iter().all(Value::is_object) => {
            let (fitting, rest) = fit_elements(definition, elements);
            ((!fitting.is_empty()).then_some((attribute, Value::Array(fitting))), rest)
        }
        (_, value) => (None, Rest::unseen(value)),
    }
}

/// An element is known again by what is shown of it, so all of one that loses a part is kept.
fn fit_elements(definition: &Attribute, elements: Vec<Value>) -> (Vec<Value>, Rest) {
    let (mut fitting, mut unseen, mut shown_in_part) = (Vec::new(), Vec::new(), Vec::new());
    for element in elements {
        let Value::Object(parts) = element.clone() else { continue };
        let (parts, lost) = fit_parts(definition, parts);
        match (parts.is_empty(), lost.is_empty()) {
            (true, false) => unseen.push(element),
            (false, false) => shown_in_part.push(element),
            _ => {}
        }
        if !parts.is_empty() {
            fitting.push(Value::Object(parts));
        }
    }
    let array = |elements: Vec<Value>| (!elements.is_empty()).then_some(Value::Array(elements));
    (fitting, Rest { unseen: array(unseen), of_what_is_shown: array(shown_in_part) })
}

fn fit_parts(definition: &Attribute, parts: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    let (mut fitting, mut rest) = (Map::new(), Map::new());
    for (name, value) in parts {
        match definition.sub_attribute(&name).filter(|part| is_of_type(part, &value)) {
            Some(part) => drop(fitting.insert(part.name.clone(), value)),
            None => drop(rest.insert(name, value)),
        }
    }
    (fitting, rest)
}

/// Whether a stored value of simple type is one of the attribute. Text that `compat` has stored as sent is.
fn is_of_type(attribute: &Attribute, value: &Value) -> bool {
    if attribute.multi_valued {
        let is_element = |value: &Value| !value.is_array() && is_single_of_type(attribute, value);
        return !is_unassigned(value) && value.as_array().is_some_and(|values| values.iter().all(is_element));
    }
    is_single_of_type(attribute, value)
}

fn is_single_of_type(attribute: &Attribute, value: &Value) -> bool {
    match attribute.kind {
        Type::String | Type::Binary | Type::Reference => value.is_string(),
        Type::DateTime => value.as_str().is_some_and(|text| parse_date_time(text).is_some()),
        Type::Boolean => value.is_boolean(),
        Type::Decimal => value.is_number(),
        Type::Integer => value.is_i64() || value.is_u64(),
        Type::Complex => false,
    }
}

/// One object of two; `unite` makes one value of two under one name, whichever case it is spelled in.
fn united(
    mut newer: Map<String, Value>,
    older: Map<String, Value>,
    unite: fn(&str, &mut Value, Value),
) -> Map<String, Value> {
    let (of_what_is_shown, unseen): (Vec<_>, Vec<_>) =
        older.into_iter().partition(|(name, _)| name.ends_with(OF_WHAT_IS_SHOWN));
    // First, while nothing else stands beside what was shown.
    for (name, old) in of_what_is_shown {
        let name = name.trim_end_matches(OF_WHAT_IS_SHOWN);
        match (newer.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, new)| new), old) {
            (Some(Value::Object(new)), Value::Object(old)) => *new = united(std::mem::take(new), old, |_, _, _| {}),
            (Some(Value::Array(new)), Value::Array(old)) => unite_elements(new, old),
            _ => {}
        }
    }
    for (name, old) in unseen {
        match newer.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            Some((_, new)) => unite(&name, new, old),
            None => match old {
                Value::Object(old) if name.contains(':') => {
                    let old = united(Map::new(), old, unite);
                    newer.extend((!old.is_empty()).then_some((name, Value::Object(old))));
                }
                old => drop(newer.insert(name, old)),
            },
        }
    }
    newer
}

/// The value of an attribute, or the attributes of an extension, with what was withheld of it.
fn unite_values(name: &str, new: &mut Value, old: Value) {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) if name.contains(':') => {
            *new = united(std::mem::take(new), old, unite_values);
        }
        (Value::Object(new), Value::Object(old)) => *new = united(std::mem::take(new), old, |_, _, _| {}),
        // Elements of which nothing was shown are beside those that a client knows.
        (Value::Array(new), Value::Array(old)) if new.iter().chain(&old).all(Value::is_object) => new.extend(old),
        _ => {}
    }
}

/// Elements that are as they were when parts of them were withheld get those back, each the parts of one.
fn unite_elements(new: &mut [Value], mut old: Vec<Value>) {
    for element in new.iter_mut() {
        let remains_of = |old: &Value| {
            let (Value::Object(element), Value::Object(old)) = (&*element, old) else { return false };
            let has = |(name, value): (&String, &Value)| {
                old.iter().any(|(known, old)| known.eq_ignore_ascii_case(name) && old == value)
            };
            element.iter().all(has)
        };
        if let Some(position) = old.iter().position(remains_of) {
            *element = old.remove(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::Registry;
    use serde_json::json;

    /// A type with these attributes, and an extension with those.
    fn device(attributes: Value, extension: Value) -> &'static ResourceType {
        let schema = json!({"id": "urn:example:Device", "name": "Device", "attributes": attributes}).to_string();
        let lease = json!({"id": "urn:example:Lease", "name": "Lease", "attributes": extension}).to_string();
        let types = json!([{"name": "Device", "endpoint": "/Devices", "schema": "urn:example:Device",
            "schemaExtensions": [{"schema": "urn:example:Lease", "required": false}]}]);
        let registry = Registry::load(&[&schema, &lease], &types.to_string()).expect("valid schemas");
        Box::leak(Box::new(registry)).resource_type("Device").expect("the type")
    }

    fn attribute(name: &str, kind: &str) -> Value {
        json!({"name": name, "type": kind, "multiValued": false, "mutability": "readWrite", "returned": "default"})
    }

    fn many(mut attribute: Value) -> Value {
        attribute["multiValued"] = json!(true);
        attribute
    }

    fn complex(name: &str, parts: Value) -> Value {
        let mut attribute = attribute(name, "complex");
        attribute["subAttributes"] = parts;
        attribute
    }

    fn divided(resource_type: &'static ResourceType, document: Value, withheld: Value) -> (Value, Value) {
        let document = Document::from_json(&document.to_string()).expect("an object");
        let (document, withheld) = divide(resource_type, document, withheld.as_object().cloned().expect("an object"));
        (Value::Object(document.into_members()), Value::Object(withheld))
    }

    /// There and back again: nothing is lost on the way through a smaller schema.
    fn survives(small: &'static ResourceType, large: &'static ResourceType, document: &Value, remains: Value) {
        let (hidden, withheld) = divided(small, document.clone(), json!({}));
        assert_eq!(hidden, remains);
        let (again, rest) = divided(large, hidden, withheld);
        assert_eq!((&again, rest), (document, json!({})));
    }

    #[test]
    fn res_21_what_left_the_schema_comes_back_with_it() {
        let parts = json!([attribute("value", "string"), attribute("note", "string")]);
        let fewer = json!([attribute("value", "string")]);
        let large = device(
            json!([
                attribute("a", "string"),
                attribute("b", "integer"),
                complex("owner", parts.clone()),
                many(complex("ports", parts))
            ]),
            json!([attribute("x", "string"), attribute("y", "boolean")]),
        );
        let small = device(
            json!([attribute("a", "string"), complex("owner", fewer.clone()), many(complex("ports", fewer))]),
            json!([attribute("y", "boolean")]),
        );
        let document = json!({"a": "1", "owner": {"value": "o", "note": "n"},
            "ports": [{"value": "p", "note": "first"}, {"value": "q"}, {"value": "p", "note": "third"}],
            "b": 2, "urn:example:Lease": {"y": true, "x": "X"}});

        survives(small, large, &json!({"a": "1", "b": 2}), json!({"a": "1"}));
        survives(small, large, &json!({"owner": {"value": "o", "note": "n"}}), json!({"owner": {"value": "o"}}));
        survives(small, large, &json!({"urn:example:Lease": {"x": "X"}}), json!({}));
        let (hidden, withheld) = divided(small, document.clone(), json!({}));
        assert_eq!(hidden["ports"], json!([{"value": "p"}, {"value": "q"}, {"value": "p"}]));
        let (again, _) = divided(large, hidden, withheld);
        assert_eq!(again["ports"], document["ports"]);
        assert_eq!(again["urn:example:Lease"], json!({"y": true, "x": "X"}));
    }

    #[test]
    fn res_21_elements_of_which_nothing_is_shown_come_back_beside_the_others() {
        let parts = json!([attribute("value", "string"), attribute("note", "string")]);
        let large = device(json!([many(complex("ports", parts))]), json!([]));
        let small = device(json!([many(complex("ports", json!([attribute("value", "string")])))]), json!([]));
        let document = json!({"ports": [{"value": "p"}, {"note": "unseen"}]});

        survives(small, large, &document, json!({"ports": [{"value": "p"}]}));
        let (hidden, withheld) = divided(small, document, json!({}));
        assert_eq!(divided(small, hidden.clone(), withheld.clone()), (hidden, withheld));
    }

    #[test]
    fn res_21_parts_go_with_what_a_client_removes() {
        let parts = json!([attribute("value", "string"), attribute("note", "string")]);
        let fewer = json!([attribute("value", "string")]);
        let all = |parts: &Value| json!([complex("owner", parts.clone()), many(complex("ports", parts.clone()))]);
        let (large, small) = (device(all(&parts), all(&parts)), device(all(&fewer), all(&fewer)));
        let values = json!({"owner": {"value": "o", "note": "n"},
            "ports": [{"value": "p", "note": "first"}, {"value": "q", "note": "second"}]});
        let document = json!({"owner": values["owner"], "ports": values["ports"], "urn:example:Lease": values});

        let (_, withheld) = divided(small, document, json!({}));
        assert_eq!(divided(large, json!({}), withheld.clone()), (json!({}), json!({})));
        assert_eq!(divided(small, json!({}), withheld.clone()), (json!({}), json!({})), "a start in between");
        let (one_left, _) = divided(large, json!({"ports": [{"value": "q"}, {"value": "new"}]}), withheld);
        assert_eq!(one_left, json!({"ports": [{"value": "q", "note": "second"}, {"value": "new"}]}));
    }

    #[test]
    fn res_21_a_whole_extension_can_leave() {
        let with = device(json!([attribute("a", "string")]), json!([attribute("x", "string")]));
        let document = json!({"urn:example:Gone": {"x": "X"}, "urn:example:Lease": {"x": "Y"}});
        let (hidden, withheld) = divided(with, document, json!({}));
        assert_eq!(hidden, json!({"urn:example:Lease": {"x": "Y"}}));
        assert_eq!(withheld, json!({"urn:example:Gone": {"x": "X"}}));
    }

    #[test]
    fn res_21_values_of_another_type_are_withheld() {
        for (kind, fits, does_not) in [
            ("string", json!("x"), json!(1)),
            ("boolean", json!(false), json!("false")),
            ("integer", json!(7), json!(7.5)),
            ("decimal", json!(7.5), json!("7.5")),
            ("dateTime", json!("2026-03-01T09:30:00Z"), json!("yesterday")),
            ("reference", json!("https://a.example/"), json!(["https://a.example/"])),
            ("binary", json!("AQ=="), json!({"a": 1})),
        ] {
            let single = device(json!([attribute("a", kind)]), json!([]));
            let several = device(json!([many(attribute("a", kind))]), json!([]));
            survives(single, single, &json!({"a": fits}), json!({"a": fits}));
            survives(several, several, &json!({"a": [fits]}), json!({"a": [fits]}));
            assert_eq!(divided(single, json!({"a": does_not}), json!({})), (json!({}), json!({"a": does_not})));
            survives(single, several, &json!({"a": [fits]}), json!({}));
            survives(several, single, &json!({"a": fits}), json!({}));
        }
    }

    #[test]
    fn res_21_what_a_client_wrote_since_wins() {
        let string = device(json!([attribute("a", "string")]), json!([]));
        assert_eq!(divided(string, json!({"a": "new"}), json!({"a": "old"})), (json!({"a": "new"}), json!({})));
        assert_eq!(divided(string, json!({}), json!({"A": "old"})), (json!({"a": "old"}), json!({})));
    }

    #[test]
    fn res_04_names_get_the_spelling_of_the_schema() {
        let respelled = device(json!([complex("serialNumber", json!([attribute("Value", "string")]))]), json!([]));
        let document = json!({"SERIALNUMBER": {"value": "1"}, "externalId": "e", "URN:EXAMPLE:LEASE": {}});
        let (document, withheld) = divided(respelled, document, json!({}));
        assert_eq!(document, json!({"serialNumber": {"Value": "1"}, "externalId": "e"}));
        assert_eq!(withheld, json!({}));
    }
}
