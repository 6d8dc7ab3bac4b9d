//! The columns of a table of users: what the titles name, and what a cell says of it.
//!
//! ```text
//! title    = path / selected / "groups" / "manager"
//! path     = userName, name.givenName, emails, department, urn:…:User:department      ; as SCIM writes it
//! selected = emails[type eq "work"].value
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::scim::path::{self, Target};
use crate::scim::schema::{Attribute, Resolved, ResourceType, Role, Type};
use crate::scim::{Error, ErrorKind, Result};

/// Which attribute a title means instead of the one that it names; an empty one means none.
pub type Titles = BTreeMap<String, String>;

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// What stands above it.
    pub(super) title: String,
    pub(super) meaning: Meaning,
}

/// What the cells of a column say.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning {
    /// The value of an attribute.
    Value(Place),
    /// The id or the userName of the manager.
    Manager,
    /// The displayNames of the groups, separated by semicolons.
    Groups,
    /// Nothing that matters.
    Nothing,
}

/// Where in a user a value stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    attribute: Resolved,
    /// The part of the element that tells it from the others, and its value.
    selector: Option<(&'static str, String)>,
}

/// The columns under these titles.
///
/// # Errors
/// `InvalidValue`, with the title that names nothing, or what another one names already.
pub(super) fn columns(user: &'static ResourceType, titles: &[&str], instead: &Titles) -> Result<Vec<Column>> {
    if let Some(unused) = instead.keys().find(|title| !titles.contains(&title.as_str())) {
        return Err(refused(format!("there is no column `{unused}` to map")));
    }
    let mut columns: Vec<Column> = Vec::with_capacity(titles.len());
    for title in titles {
        let meant = instead.get(*title).map_or(*title, String::as_str).trim();
        let meaning = match meant {
            "" if instead.contains_key(*title) => Meaning::Nothing,
            _ => meaning(user, meant).map_err(|why| refused(format!("the column `{title}` {why}")))?,
        };
        let is_same = |other: &&Column| other.meaning == meaning && meaning != Meaning::Nothing;
        if let Some(other) = columns.iter().find(is_same) {
            return Err(refused(format!("the columns `{}` and `{title}` mean the same", other.title)));
        }
        columns.push(Column { title: (*title).to_owned(), meaning });
    }
    let is_user_name =
        |column: &Column| matches!(&column.meaning, Meaning::Value(place) if place.attribute.is_user_name());
    match columns.iter().any(is_user_name) {
        true => Ok(columns),
        false => Err(refused("no column is named `userName`; `--map TITLE=userName` says which one it is".to_owned())),
    }
}

fn refused(why: String) -> Error {
    Error::new(ErrorKind::InvalidValue, format!("Line 1: {why}. Nothing is imported."))
}

fn meaning(user: &'static ResourceType, text: &str) -> std::result::Result<Meaning, String> {
    if text.eq_ignore_ascii_case("groups") {
        return Ok(Meaning::Groups);
    }
    let (name, selector) = match text.split_once('[') {
        Some((name, rest)) => {
            let (selector, part) = rest.split_once(']').ok_or("has a bracket that nothing closes")?;
            (format!("{name}{part}"), Some(selector))
        }
        None => (text.to_owned(), None),
    };
    let Some(Target::Attribute(attribute)) = path::resolve(user, &name) else {
        return Err(format!("names no attribute of users; {}", advice(user, &name)));
    };
    let definition = attribute.attribute;
    if definition.role == Role::Password {
        return Err("is the password, which can't be imported".to_owned());
    }
    if definition.role == Role::Groups {
        return Ok(Meaning::Groups);
    }
    let is_manager = user.reference().is_some_and(|reference| reference == attribute.without_sub_attribute());
    if is_manager && attribute.sub_attribute.is_none_or(|part| part.name == "value") {
        return Ok(Meaning::Manager);
    }
    if attribute.role() != Role::Stored {
        return Err("is set by the server".to_owned());
    }
    let selector = selector.map(|text| parse_selector(definition, text)).transpose()?;
    let attribute = match (attribute.sub_attribute, definition.is_complex()) {
        (None, true) if definition.multi_valued => {
            let value =
                definition.sub_attribute("value").ok_or("names no part of the attribute, and it has several")?;
            attribute.with_sub_attribute(value)
        }
        (None, true) => {
            return Err(format!("names no part of the attribute; write for example `{}`", example(attribute)));
        }
        _ => attribute,
    };
    Ok(Meaning::Value(Place { attribute, selector }))
}

fn example(attribute: Resolved) -> String {
    let part = attribute.attribute.sub_attributes.first();
    part.map_or_else(|| attribute.to_string(), |part| attribute.with_sub_attribute(part).to_string())
}

fn advice(user: &'static ResourceType, name: &str) -> String {
    let known = user.urns().flat_map(|schema| schema.attributes.iter()).map(|attribute| attribute.name.as_str());
    let likeness = |known: &str| strsim::jaro_winkler(&known.to_ascii_lowercase(), &name.to_ascii_lowercase());
    let likely = known.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match likely.filter(|likely| likeness(likely) > 0.85) {
        Some(likely) => format!("did you mean `{likely}`? `--map` says what it means, or passes it over"),
        None => "`--map TITLE=ATTRIBUTE` says what it means, and `--map TITLE=` passes it over".to_owned(),
    }
}

fn parse_selector(definition: &'static Attribute, text: &str) -> std::result::Result<(&'static str, String), String> {
    let mut words = text.trim().splitn(3, ' ');
    let (Some(part), Some(operator), Some(value)) = (words.next(), words.next(), words.next()) else {
        return Err("has brackets without a comparison like `type eq \"work\"`".to_owned());
    };
    let part = definition.sub_attribute(part).ok_or_else(|| format!("compares `{part}`, which is no part of it"))?;
    let value = value.trim().strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    match (operator.eq_ignore_ascii_case("eq") && definition.multi_valued, value) {
        (true, Some(value)) if part.kind == Type::String => Ok((&part.name, value.to_owned())),
        _ => Err("has brackets that are no comparison like `type eq \"work\"`".to_owned()),
    }
}

impl Place {
    /// Whether the cell may hold several values, separated by semicolons.
    fn is_list(&self) -> bool {
        self.attribute.attribute.multi_valued && self.selector.is_none() && self.is_the_value()
    }

    fn is_the_value(&self) -> bool {
        self.attribute.sub_attribute.is_none_or(|part| part.name == "value")
    }

    /// The part that tells the element: the one that is named, or else `work`, where there is such a type.
    fn selector(&self) -> Option<(&'static str, &str)> {
        if let Some((part, value)) = &self.selector {
            return Some((part, value));
        }
        let of_type =
            self.attribute.attribute.sub_attribute("type").filter(|_| self.attribute.attribute.multi_valued)?;
        of_type
            .canonical_values
            .iter()
            .find(|value| *value == "work")
            .map(|work| (of_type.name.as_str(), work.as_str()))
    }

    /// The values of a cell.
    ///
    /// # Errors
    /// Why the text is no value of the attribute.
    pub(super) fn values(&self, cell: &str) -> std::result::Result<Vec<Value>, String> {
        let texts: Vec<&str> = match self.is_list() {
            true => cell.split(';').map(str::trim).filter(|text| !text.is_empty()).collect(),
            false => vec![cell],
        };
        texts.into_iter().map(|text| value(self.attribute.leaf(), text)).collect()
    }

    /// Puts values into the body of a new user.
    pub(super) fn put(&self, body: &mut Map<String, Value>, values: Vec<Value>) {
        let Resolved { attribute, sub_attribute, .. } = self.attribute;
        let holder = match self.attribute.container() {
            Some(urn) => object(body.entry(urn).or_insert_with(|| json!({}))),
            None => body,
        };
        match sub_attribute {
            None if attribute.multi_valued => drop(holder.insert(attribute.name.clone(), Value::Array(values))),
            None => holder.extend(values.into_iter().next().map(|value| (attribute.name.clone(), value))),
            Some(part) if attribute.multi_valued => {
                let Value::Array(elements) = holder.entry(attribute.name.as_str()).or_insert_with(|| json!([])) else {
                    return;
                };
                for (at, value) in values.into_iter().enumerate() {
                    self.put_element(elements, part, value, at);
                }
            }
            Some(part) => {
                let parts = object(holder.entry(attribute.name.as_str()).or_insert_with(|| json!({})));
                parts.extend(values.into_iter().next().map(|value| (part.name.clone(), value)));
            }
        }
    }

    fn put_element(&self, elements: &mut Vec<Value>, part: &Attribute, value: Value, at: usize) {
        let selector = self.selector();
        let is_it = |element: &&mut Value| {
            selector.is_some_and(|(name, wanted)| element[name] == wanted) && element.get(&part.name).is_none()
        };
        if at == 0
            && let Some(Value::Object(element)) = elements.iter_mut().find(is_it)
        {
            element.insert(part.name.clone(), value);
            return;
        }
        let mut element = Map::from_iter([(part.name.clone(), value)]);
        element.extend(selector.map(|(name, wanted)| (name.to_owned(), json!(wanted))));
        let has_primary = self.attribute.attribute.sub_attribute("primary").is_some();
        if has_primary && elements.is_empty() && self.is_the_value() {
            element.insert("primary".to_owned(), json!(true));
        }
        elements.push(Value::Object(element));
    }

    /// The operations of a PATCH that give these values to a user who is there.
    pub(super) fn operations(&self, mut values: Vec<Value>) -> Vec<Value> {
        let whole = self.attribute.without_sub_attribute();
        let Some(part) = self.attribute.sub_attribute.filter(|_| self.attribute.attribute.multi_valued) else {
            let value = match self.attribute.leaf().multi_valued {
                true => Value::Array(values),
                false => values.pop().unwrap_or_default(),
            };
            return vec![json!({"op": "replace", "path": self.attribute.to_string(), "value": value})];
        };
        if values.is_empty() {
            return Vec::new();
        }
        match self.selector() {
            Some((name, wanted)) if values.len() == 1 => {
                let path = format!("{whole}[{name} eq {}].{}", json!(wanted), part.name);
                vec![json!({"op": "replace", "path": path, "value": values.pop()})]
            }
            selector => {
                let mut elements = Vec::new();
                values.into_iter().enumerate().for_each(|(at, value)| self.put_element(&mut elements, part, value, at));
                match selector {
                    // Elements of other types are none of the cell's business.
                    Some((name, wanted)) => vec![
                        json!({"op": "remove", "path": format!("{whole}[{name} eq {}]", json!(wanted))}),
                        json!({"op": "add", "path": whole.to_string(), "value": elements}),
                    ],
                    None => vec![json!({"op": "replace", "path": whole.to_string(), "value": elements})],
                }
            }
        }
    }

    /// Whether it is the name that a user signs in with.
    pub(super) fn is_user_name(&self) -> bool {
        self.attribute.is_user_name()
    }

    /// Whether a sentence is about this attribute.
    pub(super) fn is_named_in(&self, sentence: &str) -> bool {
        sentence.contains(&self.attribute.without_sub_attribute().to_string())
    }
}

fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it has just been made one")
}

fn value(definition: &Attribute, text: &str) -> std::result::Result<Value, String> {
    let number = |is_wanted: fn(&serde_json::Number) -> bool| {
        let number: Option<serde_json::Number> = text.trim().parse().ok();
        number.filter(is_wanted).map(Value::Number)
    };
    match definition.kind {
        Type::Boolean => {
            boolean(text).map(Value::Bool).ok_or_else(|| format!("`{}` is neither true nor false", short(text)))
        }
        Type::Integer => {
            number(|number| number.is_i64()).ok_or_else(|| format!("`{}` is no whole number", short(text)))
        }
        Type::Decimal => number(|_| true).ok_or_else(|| format!("`{}` is no number", short(text))),
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "1" => Some(true),
        "false" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// As much of a cell as a message shows.
pub(super) fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{ENTERPRISE_URN, Registry};

    fn user() -> &'static ResourceType {
        Registry::builtin().resource_type("User").expect("User is built in")
    }

    fn body(cells: &[(&str, &str)]) -> Value {
        let titles: Vec<&str> = cells.iter().map(|(title, _)| *title).collect();
        let mut body = Map::new();
        for (column, (_, cell)) in columns(user(), &titles, &Titles::new()).expect("columns").iter().zip(cells) {
            if let Meaning::Value(place) = &column.meaning {
                place.put(&mut body, place.values(cell).expect("values"));
            }
        }
        Value::Object(body)
    }

    #[test]
    fn titles_are_the_paths_of_scim() {
        let made = body(&[
            ("userName", "mira"),
            ("NAME.givenname", "Mira"),
            ("name.familyName", "Oksanen"),
            ("active", "no"),
            ("emails", "m@x.org; o@x.org"),
            ("phoneNumbers[type eq \"mobile\"].value", "+1"),
            ("addresses[type eq \"work\"].locality", "Turku"),
            ("addresses[type eq \"work\"].country", "FI"),
            ("department", "Sales"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber", "7"),
        ]);
        let expected = json!({
            "userName": "mira",
            "name": {"givenName": "Mira", "familyName": "Oksanen"},
            "active": false,
            "emails": [{"value": "m@x.org", "type": "work", "primary": true}, {"value": "o@x.org", "type": "work"}],
            "phoneNumbers": [{"value": "+1", "type": "mobile", "primary": true}],
            "addresses": [{"locality": "Turku", "type": "work", "country": "FI"}],
            ENTERPRISE_URN: {"department": "Sales", "employeeNumber": "7"},
        });
        assert_eq!(made, expected);
    }

    #[test]
    fn titles_that_name_nothing_say_what_to_do() {
        let refused = |titles: &[&str], instead: &[(&str, &str)]| {
            let instead = instead.iter().map(|(title, path)| ((*title).to_owned(), (*path).to_owned())).collect();
            columns(user(), titles, &instead).expect_err("refused").detail().to_owned()
        };
        for (titles, part) in [
            (&["userName", "salary"][..], "the column `salary` names no attribute of users; `--map TITLE=ATTRIBUTE`"),
            (&["userName", "tittle"], "did you mean `title`?"),
            (&["userName", "name"], "write for example `name."),
            (&["userName", "id"], "is set by the server"),
            (&["userName", "emails[type eq work].value"], "are no comparison"),
            (&["userName", "emails[kind eq \"work\"].value"], "`kind`"),
            (&["userName", "emails[type eq \"work\""], "nothing closes"),
            (&["userName", "username"], "`userName` and `username` mean the same"),
            (&["displayName"], "no column is named `userName`"),
        ] {
            let sentence = refused(titles, &[]);
            assert!(sentence.contains(part), "{titles:?}: {sentence}");
        }
        assert!(refused(&["userName"], &[("Mail", "emails")]).contains("no column `Mail` to map"));
    }

    #[test]
    fn titles_can_be_given_another_meaning_or_none() {
        let instead = Titles::from([("Login".to_owned(), "userName".to_owned()), ("Notes".to_owned(), String::new())]);
        let found = columns(user(), &["Login", "Notes", "manager", "groups"], &instead).expect("columns");
        assert!(matches!(&found[0].meaning, Meaning::Value(place) if place.attribute.is_user_name()));
        let others: Vec<&Meaning> = found[1..].iter().map(|column| &column.meaning).collect();
        assert_eq!(others, [&Meaning::Nothing, &Meaning::Manager, &Meaning::Groups]);
    }

    #[test]
    fn a_cell_changes_the_value_that_it_is_about() {
        let operations = |title: &str, cell: &str| {
            let columns = columns(user(), &["userName", title], &Titles::new()).expect("columns");
            let Meaning::Value(place) = &columns[1].meaning else { panic!("a value") };
            place.operations(place.values(cell).expect("values"))
        };
        let operation = |title: &str, cell: &str| {
            let [operation] = &operations(title, cell)[..] else { panic!("one operation") };
            operation.clone()
        };
        let replace = |path: &str, value: Value| json!({"op": "replace", "path": path, "value": value});
        assert_eq!(operation("title", "Dr"), replace("title", json!("Dr")));
        assert_eq!(operation("name.givenName", "M"), replace("name.givenName", json!("M")));
        assert_eq!(operation("emails", "a@x"), replace("emails[type eq \"work\"].value", json!("a@x")));
        let both = json!([{"value": "a@x", "type": "work", "primary": true}, {"value": "b@x", "type": "work"}]);
        let of_others = json!({"op": "remove", "path": "emails[type eq \"work\"]"});
        let add = json!({"op": "add", "path": "emails", "value": both});
        assert_eq!(operations("emails", "a@x;b@x"), [of_others, add]);
        assert!(operations("emails", ";").is_empty());
        assert_eq!(
            operation("addresses[type eq \"home\"].locality", "Turku"),
            replace("addresses[type eq \"home\"].locality", json!("Turku"))
        );
    }

    #[test]
    fn a_cell_of_another_type_is_refused() {
        let columns = columns(user(), &["userName", "active"], &Titles::new()).expect("columns");
        let Meaning::Value(active) = &columns[1].meaning else { panic!("a value") };
        assert_eq!(active.values("Yes"), Ok(vec![json!(true)]));
        assert_eq!(active.values("perhaps"), Err("`perhaps` is neither true nor false".to_owned()));
    }
}
