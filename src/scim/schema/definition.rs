//! What an operator's file may say of a schema: the rules of RFC 7643 §2 and §7 for attributes, one sentence for each
//! that is broken. What is left out gets the default of §2.2, so that what is published is what is enforced.

use serde_json::{Map, Value, json};

use super::is_attribute_name;
use super::located::{Flaw, Located};

/// The URNs of protocol messages begin like this (RFC 7644 §3.1).
const MESSAGES: &str = "urn:ietf:params:scim:api:";
/// Common attributes, which every resource has (RFC 7643 §3.1).
const RESERVED_NAMES: [&str; 4] = ["id", "externalId", "meta", "schemas"];
/// Names end up in the keys of the search index, which databases bound.
const LONGEST_NAME: usize = 100;
const LONGEST_URN: usize = 200;

const MEMBERS_OF_A_SCHEMA: [&str; 6] = ["schemas", "id", "name", "description", "attributes", "meta"];
const MEMBERS_OF_AN_ATTRIBUTE: [&str; 12] = [
    "name",
    "type",
    "multiValued",
    "description",
    "required",
    "canonicalValues",
    "caseExact",
    "mutability",
    "returned",
    "uniqueness",
    "referenceTypes",
    "subAttributes",
];
const TYPES: [&str; 8] = ["string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"];

/// An object of a file whose members are known by name.
pub(super) struct Definition<'a> {
    /// What complaints call it: "the attribute `serialNumber`".
    pub subject: String,
    at: Located<'a>,
    members: Vec<(String, Located<'a>)>,
}

impl<'a> Definition<'a> {
    /// Reads an object that may have these members and no others, and none of them `null` (DISC-14).
    pub fn read(at: Located<'a>, subject: &str, known: &[&str]) -> Result<Definition<'a>, Flaw> {
        let members = at.members(subject)?;
        for (key, value) in &members {
            if !known.contains(&key.as_str()) {
                let near = known.iter().map(|name| (strsim::damerau_levenshtein(key, name), name)).min();
                let hint = near.filter(|(distance, _)| *distance <= key.len().div_ceil(3));
                let hint = hint.map(|(_, name)| format!(" Did you mean `{name}`?")).unwrap_or_default();
                return Err(value.flaw(format!("{subject} has no member `{key}`.{hint}")));
            }
            if value.value().is_null() {
                return Err(value.flaw(format!("`{key}` of {subject} must not be null; leave it out.")));
            }
        }
        Ok(Definition { subject: subject.to_owned(), at, members })
    }

    /// The same under the name that it has given itself.
    pub fn called(self, subject: String) -> Definition<'a> {
        Definition { subject, ..self }
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<Located<'a>> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// The member of that name, which must be there.
    pub fn require(&self, name: &str) -> Result<Located<'a>, Flaw> {
        self.get(name).ok_or_else(|| self.at.flaw(format!("{} needs `{name}`.", self.subject)))
    }

    /// The text of a member that must be there.
    pub fn text(&self, name: &str) -> Result<String, Flaw> {
        self.require(name)?.text(&format!("`{name}` of {}", self.subject))
    }

    /// The text of a member that may be missing or empty.
    pub fn free_text(&self, name: &str) -> Result<Option<String>, Flaw> {
        let Some(at) = self.get(name) else { return Ok(None) };
        match at.value() {
            Value::String(text) => Ok(Some(text)),
            _ => Err(at.flaw(format!("`{name}` of {} must be a text.", self.subject))),
        }
    }

    /// The truth of a member, `false` where it is missing.
    pub fn truth(&self, name: &str) -> Result<bool, Flaw> {
        self.get(name).map_or(Ok(false), |at| at.truth(&format!("`{name}` of {}", self.subject)))
    }

    /// The texts of a member that is an array, and where each stands; none where it is missing.
    pub fn texts(&self, name: &str) -> Result<Vec<(String, Located<'a>)>, Flaw> {
        let Some(at) = self.get(name) else { return Ok(Vec::new()) };
        let what = format!("`{name}` of {}", self.subject);
        let text = |at: Located<'a>| Ok((at.text(&format!("An element of {what}"))?, at));
        at.elements(&what)?.into_iter().map(text).collect()
    }

    /// A complaint about a member, or about the whole where the member is missing.
    pub fn flaw(&self, member: &str, reason: impl Into<String>) -> Flaw {
        self.get(member).unwrap_or(self.at).flaw(reason)
    }

    fn keyword(&self, name: &str, allowed: &[&'static str], default: &'static str) -> Result<&'static str, Flaw> {
        let Some(at) = self.get(name) else { return Ok(default) };
        let text = at.text(&format!("`{name}` of {}", self.subject))?;
        allowed.iter().copied().find(|keyword| *keyword == text).ok_or_else(|| {
            let choice = allowed.iter().map(|keyword| format!("`{keyword}`")).collect::<Vec<_>>().join(", ");
            at.flaw(format!("`{name}` of {} is `{text}`; it must be one of {choice}.", self.subject))
        })
    }

    fn refuse(&self, member: &str, because: &str) -> Result<(), Flaw> {
        match self.get(member) {
            Some(at) => Err(at.flaw(format!("{} has `{member}`, {because}.", self.subject))),
            None => Ok(()),
        }
    }
}

/// A schema of a file, found to be in order by itself.
pub(super) struct SchemaDefinition<'a> {
    /// Its URN.
    pub id: String,
    /// Where the URN stands.
    pub at: Located<'a>,
    /// The entries of `referenceTypes` and where they stand: whether there are such types is not known here.
    pub reference_types: Vec<(String, Located<'a>)>,
    /// The object as it is served, complete, without `meta`.
    pub source: Value,
}

/// Reads the definition of a schema (RFC 7643 §7).
pub(super) fn read_schema<'a>(at: Located<'a>) -> Result<SchemaDefinition<'a>, Flaw> {
    let definition = Definition::read(at, "a schema", &MEMBERS_OF_A_SCHEMA)?;
    let id = definition.text("id")?;
    check_urn(&definition, &id)?;
    let definition = definition.called(format!("the schema {id}"));
    let name = definition.free_text("name")?.unwrap_or_else(|| id.rsplit(':').next().unwrap_or_default().to_owned());
    let mut reference_types = Vec::new();
    let attributes = read_attributes(&definition, "attributes", Level::Attribute, &mut reference_types)?;
    let mut source = Map::new();
    source.insert("schemas".to_owned(), json!([super::SCHEMA_URN]));
    source.insert("id".to_owned(), json!(id));
    source.insert("name".to_owned(), json!(name));
    if let Some(description) = definition.free_text("description")? {
        source.insert("description".to_owned(), json!(description));
    }
    source.insert("attributes".to_owned(), Value::Array(attributes));
    Ok(SchemaDefinition { at: definition.require("id")?, id, reference_types, source: Value::Object(source) })
}

fn check_urn(definition: &Definition<'_>, id: &str) -> Result<(), Flaw> {
    let refuse = |reason: String| Err(definition.flaw("id", reason));
    let lower = id.to_ascii_lowercase();
    let segments: Vec<&str> = lower.split(':').collect();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '-' | '_');
    let is_urn = segments.len() >= 3 && segments[0] == "urn" && segments.iter().all(|segment| !segment.is_empty());
    if !is_urn || !id.chars().all(is_plain) || id.ends_with('.') || id.len() > LONGEST_URN {
        return refuse(format!(
            "the id of a schema must be a URN of at most {LONGEST_URN} letters, digits, `:`, `.`, `-` and `_`, such as \
             urn:example:params:scim:schemas:Device; `{id}` is none."
        ));
    }
    if lower.starts_with(MESSAGES) {
        return refuse(format!("{id} is reserved for messages of the protocol."));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Attribute,
    SubAttribute,
}

fn read_attributes<'a>(
    parent: &Definition<'a>,
    member: &str,
    level: Level,
    reference_types: &mut Vec<(String, Located<'a>)>,
) -> Result<Vec<Value>, Flaw> {
    let elements = parent.require(member)?.elements(&format!("`{member}` of {}", parent.subject))?;
    if elements.is_empty() {
        return Err(parent.flaw(member, format!("`{member}` of {} is empty.", parent.subject)));
    }
    let mut names: Vec<String> = Vec::with_capacity(elements.len());
    let mut attributes = Vec::with_capacity(elements.len());
    for at in elements {
        let definition = Definition::read(at, "an attribute", &MEMBERS_OF_AN_ATTRIBUTE)?;
        let name = definition.text("name")?;
        check_name(&definition, &name, level)?;
        if names.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
            let reason = format!("{} has two attributes named `{name}`; names compare without case.", parent.subject);
            return Err(definition.flaw("name", reason));
        }
        let word = if level == Level::Attribute { "attribute" } else { "sub-attribute" };
        let definition = definition.called(format!("the {word} `{name}`"));
        attributes.push(read_attribute(&definition, &name, level, reference_types)?);
        names.push(name);
    }
    Ok(attributes)
}

fn check_name(definition: &Definition<'_>, name: &str, level: Level) -> Result<(), Flaw> {
    let is_ref = level == Level::SubAttribute && name == "$ref";
    let is_plain = is_attribute_name(name) && !name.contains('$');
    if !(is_ref || is_plain) || name.len() > LONGEST_NAME {
        let reason = format!(
            "the name of an attribute must be a letter and then letters, digits, `-` and `_`, at most {LONGEST_NAME}; \
             `{name}` is none."
        );
        return Err(definition.flaw("name", reason));
    }
    let is_reserved = RESERVED_NAMES.iter().any(|reserved| reserved.eq_ignore_ascii_case(name));
    if is_reserved && level == Level::Attribute {
        return Err(
            definition.flaw("name", format!("`{name}` is a common attribute of every resource; choose another name."))
        );
    }
    Ok(())
}

/// One attribute with all its characteristics (RFC 7643 §2.2), those that do not apply left out (DISC-14).
fn read_attribute<'a>(
    definition: &Definition<'a>,
    name: &str,
    level: Level,
    reference_types: &mut Vec<(String, Located<'a>)>,
) -> Result<Value, Flaw> {
    definition.require("type")?;
    let kind = definition.keyword("type", &TYPES, "string")?;
    if kind == "complex" && level == Level::SubAttribute {
        return Err(definition.flaw("type", format!("{} is complex; sub-attributes can't be.", definition.subject)));
    }
    let mut source = Map::new();
    let mut set = |member: &str, value: Value| drop(source.insert(member.to_owned(), value));
    set("name", json!(name));
    set("type", json!(kind));
    set("multiValued", json!(definition.truth("multiValued")?));
    if let Some(description) = definition.free_text("description")? {
        set("description", json!(description));
    }
    set("required", json!(definition.truth("required")?));
    if kind != "string" {
        definition.refuse("canonicalValues", "which only strings have")?;
    } else if definition.get("canonicalValues").is_some() {
        let values = definition.texts("canonicalValues")?;
        set("canonicalValues", values.into_iter().map(|(value, _)| value).collect());
    }
    if let Some(case_exact) = case_exact(definition, kind)? {
        set("caseExact", json!(case_exact));
    }
    let (mutability, returned) = visibility(definition)?;
    set("mutability", json!(mutability));
    set("returned", json!(returned));
    if matches!(kind, "boolean" | "complex") {
        definition.refuse("uniqueness", &format!("which does not apply to {kind} values"))?;
    } else {
        set("uniqueness", json!(definition.keyword("uniqueness", &["none", "server", "global"], "none")?));
    }
    if kind != "reference" {
        definition.refuse("referenceTypes", "which only references have")?;
    } else if definition.get("referenceTypes").is_some() {
        let named = definition.texts("referenceTypes")?;
        set("referenceTypes", named.iter().map(|(name, _)| name.as_str()).collect());
        reference_types.extend(named);
    }
    if kind == "complex" {
        let parts = read_attributes(definition, "subAttributes", Level::SubAttribute, reference_types)?;
        set("subAttributes", Value::Array(parts));
    } else {
        definition.refuse("subAttributes", "which only complex attributes have")?;
    }
    Ok(Value::Object(source))
}

/// References and binaries compare exactly (RFC 7643 §2.3.6, §2.3.7); what is no text has no case.
fn case_exact(definition: &Definition<'_>, kind: &str) -> Result<Option<bool>, Flaw> {
    match kind {
        "string" => definition.truth("caseExact").map(Some),
        "reference" | "binary" => {
            if definition.get("caseExact").is_some() && !definition.truth("caseExact")? {
                let reason =
                    format!("{} is a {kind}, which is compared exactly: `caseExact` is true.", definition.subject);
                return Err(definition.flaw("caseExact", reason));
            }
            Ok(Some(true))
        }
        _ => {
            definition.refuse("caseExact", &format!("which does not apply to {kind} values"))?;
            Ok(None)
        }
    }
}

/// Mutability and `returned`, which must not contradict each other or `required` (RFC 7643 §7).
fn visibility(definition: &Definition<'_>) -> Result<(&'static str, &'static str), Flaw> {
    let mutability =
        definition.keyword("mutability", &["readOnly", "readWrite", "immutable", "writeOnly"], "readWrite")?;
    let usual = if mutability == "writeOnly" { "never" } else { "default" };
    let returned = definition.keyword("returned", &["always", "never", "default", "request"], usual)?;
    let subject = &definition.subject;
    if mutability == "writeOnly" && returned != "never" {
        let reason = format!("{subject} is writeOnly, so it is never returned: `returned` can't be `{returned}`.");
        return Err(definition.flaw("returned", reason));
    }
    if mutability == "readOnly" && definition.truth("required")? {
        let reason = format!("{subject} is required and readOnly: no client could ever set it.");
        return Err(definition.flaw("required", reason));
    }
    Ok((mutability, returned))
}
