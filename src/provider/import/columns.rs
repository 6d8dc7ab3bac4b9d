//! The columns of a table of users: what the titles name, and what a cell says of it.
//!
//! ```text
//! title    = path / selected / "groups" / "manager"
//! path     = userName, name.givenName, emails, department, urn:…:User:department      ; as SCIM writes it
//! selected = emails[type eq "work"].value
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::headings;
use crate::scim::path::{self, Target};
use crate::scim::schema::{Attribute, Resolved, ResourceType, Role, Type};

/// Which attributes a title means instead of the one that it names; an empty one means none.
pub type Titles = BTreeMap<String, Vec<String>>;

/// A column, with one of its meanings: one column may have several.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// What stands above it.
    pub(super) title: String,
    /// Where in a line its cell stands, from 0.
    pub(super) at: usize,
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
    /// Nobody knows, for there is no title: nothing may stand there.
    Untitled,
}

/// Where in a user a value stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    attribute: Resolved,
    /// The part of the element that tells it from the others, and its value.
    selector: Option<(&'static str, String)>,
}

/// Why the titles of a table are not understood.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Unclear {
    /// The title, if it is one alone, and what is wrong.
    pub(super) problems: Vec<(Option<String>, String)>,
    /// A sentence that says what to do.
    pub(super) advice: Option<String>,
}

/// The columns under these titles.
///
/// # Errors
/// Every title that names nothing, or what another one names already.
pub(super) fn columns(
    user: &'static ResourceType,
    titles: &[&str],
    instead: &Titles,
) -> std::result::Result<Vec<Column>, Unclear> {
    let mut reading = Reading { user, columns: Vec::new(), unclear: Unclear::default(), flags: Vec::new() };
    for unused in instead.keys().filter(|title| !titles.contains(&title.as_str())) {
        reading.refuse(unused, "is no title of the table, and `--map` names it".to_owned());
    }
    for (at, title) in titles.iter().enumerate() {
        match instead.get(*title) {
            Some(meant) if meant.iter().all(|meant| meant.is_empty()) => reading.keep(title, at, Meaning::Nothing),
            Some(meant) => meant.iter().for_each(|meant| reading.title(title, at, meant)),
            None if title.is_empty() => reading.keep(title, at, Meaning::Untitled),
            None => reading.title(title, at, title),
        }
    }
    reading.end(titles)
}

/// Titles on their way to become columns.
struct Reading {
    user: &'static ResourceType,
    columns: Vec<Column>,
    unclear: Unclear,
    /// What to say of titles that are not understood: the title and what it may mean.
    flags: Vec<(String, String)>,
}

impl Reading {
    fn title(&mut self, title: &str, at: usize, meant: &str) {
        match meaning(self.user, meant) {
            Ok(meaning) => self.keep(title, at, meaning),
            Err(why) => {
                let likely = headings::likely(self.user, meant, |column| meaning(self.user, column).is_ok());
                let subject = if meant == title { String::new() } else { format!("is to mean `{meant}`, which ") };
                let hint = likely.as_ref().map(|likely| format!("; did you mean `{likely}`?")).unwrap_or_default();
                self.refuse(title, format!("{subject}{why}{hint}"));
                self.flags.push((title.to_owned(), likely.unwrap_or_default()));
            }
        }
    }

    fn keep(&mut self, title: &str, at: usize, meaning: Meaning) {
        let is_same = |other: &&Column| other.meaning == meaning;
        let says_something = !matches!(meaning, Meaning::Nothing | Meaning::Untitled);
        if let Some(other) = self.columns.iter().find(is_same).filter(|_| says_something) {
            let why = format!("means the same as `{}`", other.title);
            self.refuse(title, why);
            self.flags.push((title.to_owned(), String::new()));
            return;
        }
        self.columns.push(Column { title: title.to_owned(), at, meaning });
    }

    fn refuse(&mut self, title: &str, why: String) {
        self.unclear.problems.push((Some(title.to_owned()), why));
    }

    fn end(mut self, titles: &[&str]) -> std::result::Result<Vec<Column>, Unclear> {
        self.name_the_user_name(titles);
        if self.unclear.problems.is_empty() {
            return Ok(self.columns);
        }
        self.pass_over_what_is_taken();
        let flags = self.flags.iter().map(|(title, meant)| format!("--map {}", quoted(&format!("{title}={meant}"))));
        let flags = flags.collect::<Vec<String>>().join(" ");
        if !flags.is_empty() {
            self.unclear.advice = Some(format!("Say what these columns mean, or pass them over: {flags}"));
        }
        Err(self.unclear)
    }

    /// Of two columns that may mean the same, the first one does.
    fn pass_over_what_is_taken(&mut self) {
        let is_unclear = |column: &&Column| self.flags.iter().any(|(title, _)| *title == column.title);
        let clear = self.columns.iter().filter(|column| !is_unclear(column));
        let mut taken: Vec<Meaning> = clear.map(|column| column.meaning.clone()).collect();
        for (_, meant) in &mut self.flags {
            match meaning(self.user, meant) {
                Ok(meaning) if taken.contains(&meaning) => meant.clear(),
                Ok(meaning) => taken.push(meaning),
                Err(_) => {}
            }
        }
    }

    /// Nobody can be made without one. Where people sign in with their addresses, one column is both.
    fn name_the_user_name(&mut self, titles: &[&str]) {
        let is_user_name =
            |column: &Column| matches!(&column.meaning, Meaning::Value(place) if place.attribute.is_user_name());
        if self.columns.iter().any(is_user_name) || self.flags.iter().any(|(_, meant)| meant == "userName") {
            return;
        }
        let why = "no column is the `userName`, which every user needs".to_owned();
        self.unclear.problems.push((None, why));
        let address = self.flags.iter().position(|(_, meant)| meant == "emails");
        match (address, titles.iter().find(|title| title.eq_ignore_ascii_case("emails"))) {
            (Some(at), _) => self.flags.insert(at, (self.flags[at].0.clone(), "userName".to_owned())),
            (None, Some(title)) => {
                self.flags.extend(["userName", "emails"].map(|meant| ((*title).to_owned(), meant.to_owned())));
            }
            (None, None) => self.flags.push(("TITLE".to_owned(), "userName".to_owned())),
        }
    }
}

/// As a shell reads it as one word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "=._-".contains(c);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
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
        return Err("names no attribute of users".to_owned());
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
        (None, true) => return Err("names no part of the attribute, and it has several".to_owned()),
        _ => attribute,
    };
    Ok(Meaning::Value(Place { attribute, selector }))
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
        "true" | "yes" | "y" | "1" | "active" | "enabled" => Some(true),
        "false" | "no" | "n" | "0" | "inactive" | "disabled" => Some(false),
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
            let instead = instead.iter().map(|(title, path)| ((*title).to_owned(), vec![(*path).to_owned()])).collect();
            let Unclear { problems, .. } = columns(user(), titles, &instead).expect_err("refused");
            let sentence =
                |(title, why): &(Option<String>, String)| format!("`{}` {why}", title.as_deref().unwrap_or_default());
            problems.iter().map(sentence).collect::<Vec<String>>().join("\n")
        };
        for (titles, part) in [
            (&["userName", "salary"][..], "`salary` names no attribute of users"),
            (&["userName", "tittle"], "`tittle` names no attribute of users; did you mean `title`?"),
            (&["userName", "givenName"], "did you mean `name.givenName`?"),
            (&["userName", "name"], "names no part of the attribute, and it has several; did you mean `displayName`?"),
            (&["userName", "id"], "is set by the server"),
            (&["userName", "emails[type eq work].value"], "are no comparison"),
            (&["userName", "emails[kind eq \"work\"].value"], "`kind`"),
            (&["userName", "emails[type eq \"work\""], "nothing closes"),
            (&["userName", "username"], "`username` means the same as `userName`"),
            (&["displayName"], "no column is the `userName`"),
        ] {
            let sentence = refused(titles, &[]);
            assert!(sentence.contains(part), "{titles:?}: {sentence}");
        }
        assert!(refused(&["userName"], &[("Mail", "emails")]).contains("`Mail` is no title of the table"));
        let wrong = refused(&["Login"], &[("Login", "usrName")]);
        assert!(wrong.contains("is to mean `usrName`, which names no attribute"), "{wrong}");
        assert!(wrong.contains("did you mean `userName`?"), "{wrong}");
    }

    #[test]
    fn titles_can_be_given_another_meaning_or_none() {
        let titles = [("Login", vec!["userName"]), ("Notes", vec![""])];
        let found = columns(user(), &["Login", "Notes", "manager", "groups"], &instead(&titles)).expect("columns");
        assert!(matches!(&found[0].meaning, Meaning::Value(place) if place.attribute.is_user_name()));
        let others: Vec<&Meaning> = found[1..].iter().map(|column| &column.meaning).collect();
        assert_eq!(others, [&Meaning::Nothing, &Meaning::Manager, &Meaning::Groups]);
        let both = instead(&[("Email", vec!["userName", "emails"])]);
        let found = columns(user(), &["Email", ""], &both).expect("columns");
        let places: Vec<(usize, bool)> =
            found.iter().map(|column| (column.at, matches!(column.meaning, Meaning::Value(_)))).collect();
        assert_eq!(places, [(0, true), (0, true), (1, false)]);
        assert_eq!(found[2].meaning, Meaning::Untitled);
    }

    fn instead(titles: &[(&str, Vec<&str>)]) -> Titles {
        let owned = |meant: &[&str]| meant.iter().map(|meant| (*meant).to_owned()).collect();
        titles.iter().map(|(title, meant)| ((*title).to_owned(), owned(meant))).collect()
    }

    #[test]
    fn headings_of_other_programs_are_understood_as_hints() {
        for (heading, likely) in [
            ("First name", "name.givenName"),
            ("FAMILYNAME", "name.familyName"),
            ("name.given", "name.givenName"),
            ("E-Mail", "emails"),
            ("Mobile phone", "phoneNumbers[type eq \"mobile\"].value"),
            ("Job Title", "title"),
            ("Departments", "department"),
            ("Cost center", "costCenter"),
            ("Line Manager", "manager"),
            ("Postal code", "addresses[type eq \"work\"].postalCode"),
            ("Country", "addresses[type eq \"work\"].country"),
            ("Status", "active"),
            ("User-ID", "userName"),
        ] {
            let found = headings::likely(user(), heading, |column| meaning(user(), column).is_ok());
            assert_eq!(found.as_deref(), Some(likely), "{heading}");
        }
        for heading in ["Salary", "Shoe size", "id", "password", ""] {
            let found = headings::likely(user(), heading, |column| meaning(user(), column).is_ok());
            assert_eq!(found, None, "{heading}");
        }
    }

    #[test]
    fn the_advice_can_be_typed_as_it_stands() {
        let advice = |titles: &[&str]| columns(user(), titles, &Titles::new()).expect_err("unclear").advice;
        let expected = "Say what these columns mean, or pass them over: --map Email=userName --map Email=emails \
                        --map 'First name=name.givenName' --map 'Boss'\\''s pet='";
        assert_eq!(advice(&["Email", "First name", "department", "Boss's pet"]).as_deref(), Some(expected));
        let of_address = "Say what these columns mean, or pass them over: --map emails=userName --map emails=emails";
        assert_eq!(advice(&["emails", "title"]).as_deref(), Some(of_address));
        let one_of_two = "Say what these columns mean, or pass them over: --map Phone=phoneNumbers --map Telephone=";
        assert_eq!(advice(&["userName", "Phone", "Telephone"]).as_deref(), Some(one_of_two));
        let login = "Say what these columns mean, or pass them over: --map Login=userName";
        assert_eq!(advice(&["Login", "emails"]).as_deref(), Some(login));
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
