//! Client JSON → [`Document`]: names, types, what is ignored and what is required (RFC 7643 §2, RFC 7644 §3.3, §3.5.1).
//!
//! From here on nobody checks types again. It does not know whether a referenced resource exists or a unique value is
//! taken; the store does.

mod claims;
mod code_lists;
mod elements;
mod value;

#[cfg(test)]
pub(crate) mod tests;

use serde_json::{Map, Value};

use super::json::{check_keys, member};
use super::message::check_schemas;
use super::password::PasswordChange;
use super::path::{self, Target};
use super::resource::Document;
use super::schema::{Attribute, Mutability, Resolved, ResourceType, Returned, Role, Schema, USER_URN};
use super::{Error, ErrorKind, Profile, Result, tolerance};

pub use claims::{MAX_MEMBER_VALUE, MemberClaim, claims};
pub use elements::{Element, settle, united};
pub use value::{Parts, element, elements, parts, password, same, value};

/// What a POST or PUT body says, in the form that is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The attributes, in the spelling of their schema.
    pub document: Document,
    /// The members that the resource shall have; `None` if its type has no `members`, empty if none were sent.
    pub members: Option<Vec<MemberClaim>>,
    /// What is to happen to the password.
    pub password: PasswordChange,
    /// Names of attributes and containers that the resource type does not define, for the log. Never their values.
    pub ignored: Vec<String>,
}

impl Accepted {
    /// Whether it is all in the document.
    pub fn is_all_in_its_document(&self) -> bool {
        self.members.is_none() && self.password == PasswordChange::Unmentioned
    }
}

/// Accepts the body of a POST (RFC 7644 §3.3). `active` defaults to true; an explicit `null` leaves it unassigned
/// (USR-11, CRE-02).
///
/// # Errors
/// `invalidSyntax` for a body of the wrong shape, `invalidValue` for a value of the wrong type or a missing required
/// attribute; the sentence names the attribute.
pub fn create(resource_type: &'static ResourceType, body: &Map<String, Value>, profile: Profile) -> Result<Accepted> {
    let mut reading = Reading::of(resource_type, body, profile)?;
    if let Some(active) = active(resource_type)
        && reading.sent(active).is_none()
    {
        reading.document.set(active, Value::Bool(true));
    }
    reading.finish()
}

/// Accepts the body of a PUT over `current` (RFC 7644 §3.5.1). What is omitted is cleared, except `active` (PUT-04),
/// immutable attributes (PUT-06) and what the client can never have read.
///
/// # Errors
/// As [`create`]; `mutability` for a change of an immutable attribute that has a value.
pub fn replace(
    resource_type: &'static ResourceType,
    body: &Map<String, Value>,
    current: &Document,
    profile: Profile,
) -> Result<Accepted> {
    let mut reading = Reading::of(resource_type, body, profile)?;
    let active = active(resource_type);
    for attribute in resource_type.stored_attributes() {
        let omitted = reading.sent(attribute).is_none();
        let is_kept = attribute.attribute.mutability == Mutability::Immutable
            || attribute.attribute.mutability == Mutability::ReadOnly
            || attribute.attribute.returned == Returned::Never;
        if omitted
            && (is_kept || Some(attribute) == active)
            && let Some(value) = current.get(attribute)
        {
            reading.document.set(attribute, value.clone());
        }
        reading.keep_parts(attribute, current);
        check_immutable(attribute, current.get(attribute), reading.document.get(attribute))?;
    }
    reading.finish()
}

/// What the body of a POST or PUT says of the password, before anything else is known of it: a password is hashed before
/// the database is asked. Of a body that is going to be refused, nothing.
pub fn password_of(
    resource_type: &'static ResourceType,
    body: &Map<String, Value>,
    profile: Profile,
) -> PasswordChange {
    if resource_type.attribute_in_role(Role::Password).is_none() {
        return PasswordChange::Unmentioned;
    }
    Reading::of(resource_type, body, profile).map_or(PasswordChange::Unmentioned, |reading| reading.password)
}

/// Refuses a change of what is immutable and has a value: the attribute, or a part of a singular complex one
/// (CHAR-03).
///
/// # Errors
/// `mutability`.
pub fn check_immutable(attribute: Resolved, before: Option<&Value>, after: Option<&Value>) -> Result<()> {
    let definition = attribute.attribute;
    let unchanged = |definition, before: Option<&Value>, after: Option<&Value>| match (before, after) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(before), Some(after)) => same(definition, before, after),
    };
    if definition.mutability == Mutability::Immutable && !unchanged(definition, before, after) {
        return Err(immutable(attribute));
    }
    for part in definition.sub_attributes.iter().filter(|part| part.mutability == Mutability::Immutable) {
        let of = |value: Option<&'_ Value>| value.and_then(|value| value.get(&part.name)).cloned();
        if !definition.multi_valued && !unchanged(part, of(before).as_ref(), of(after).as_ref()) {
            return Err(immutable(attribute.with_sub_attribute(part)));
        }
    }
    Ok(())
}

/// The error for a change of an immutable attribute that has a value.
pub fn immutable(attribute: Resolved) -> Error {
    Error::new(ErrorKind::Mutability, format!("{attribute} is immutable; it can be set once and not be changed."))
}

/// Refuses a document without a required attribute, a required part or a required extension (CHAR-01, RES-20).
///
/// # Errors
/// `invalidValue`; the sentence names the attribute.
pub fn check_required(resource_type: &'static ResourceType, document: &Document) -> Result<()> {
    lacking(resource_type, document).into_iter().next().map_or(Ok(()), |name| Err(missing(&name)))
}

/// The same for what a PATCH makes of a document. What was missing before is no fault of its: an operator may demand more
/// than resources have that were there already, and nobody shall be unable to disable a user for that.
///
/// # Errors
/// As [`check_required`].
pub fn check_still_required(resource_type: &'static ResourceType, before: &Document, after: &Document) -> Result<()> {
    let Err(error) = check_required(resource_type, after) else {
        return Ok(());
    };
    let known = lacking(resource_type, before);
    if known.is_empty() {
        return Err(error);
    }
    let new = lacking(resource_type, after).into_iter().find(|name| !known.contains(name));
    new.map_or(Ok(()), |name| Err(missing(&name)))
}

/// What is required of a document and not there, by name.
fn lacking(resource_type: &'static ResourceType, document: &Document) -> Vec<String> {
    let is_there = |urn: &str| document.extension(urn).is_some();
    let extensions = resource_type.extensions.iter().filter(|extension| extension.required);
    let extensions = extensions.map(|extension| &extension.schema.id).filter(|urn| !is_there(urn)).cloned();
    let mut lacking: Vec<String> = extensions.collect();
    // Few demand anything, and to look for a value costs more than to ask.
    let demands = |attribute: &Resolved| {
        let Attribute { required, sub_attributes, .. } = attribute.attribute;
        *required || sub_attributes.iter().any(|part| part.required)
    };
    let attributes = resource_type.stored_attributes().filter(demands);
    for attribute in attributes.filter(|attribute| attribute.container().is_none_or(is_there)) {
        let value = document.get(attribute);
        if attribute.attribute.required && is_missing(value) {
            lacking.push(attribute.to_string());
        }
        let elements = value.map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
        let elements = elements.unwrap_or_default();
        let parts = attribute.attribute.sub_attributes.iter().filter(|part| part.required);
        let parts = parts.filter(|part| elements.iter().any(|element| is_missing(element.get(&part.name))));
        lacking.extend(parts.map(|part| attribute.with_sub_attribute(part).to_string()));
    }
    lacking
}

/// An empty string is a value, but not one that a required attribute may have (RES-16).
fn is_missing(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.as_str().is_some_and(str::is_empty))
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::InvalidValue, format!("{name} is required."))
}

/// The switch of a user's account, which alone has a default; `active` of another type is what its schema says.
fn active(resource_type: &'static ResourceType) -> Option<Resolved> {
    let is_user = resource_type.schema.id == USER_URN;
    resource_type.attribute_of(resource_type.schema, "active").filter(|_| is_user)
}

/// A body on its way into a document.
struct Reading<'b> {
    resource_type: &'static ResourceType,
    profile: Profile,
    document: Document,
    members: Option<Vec<MemberClaim>>,
    password: PasswordChange,
    /// What is said of which attribute; the last one counts.
    mentioned: Vec<(Resolved, &'b Value)>,
    ignored: Vec<String>,
}

impl<'b> Reading<'b> {
    fn of(resource_type: &'static ResourceType, body: &'b Map<String, Value>, profile: Profile) -> Result<Reading<'b>> {
        let has_members = resource_type.attribute_in_role(Role::Members).is_some();
        let mut reading = Reading {
            resource_type,
            profile,
            document: Document::default(),
            members: has_members.then(Vec::new),
            password: PasswordChange::Unmentioned,
            mentioned: Vec::new(),
            ignored: Vec::new(),
        };
        check_keys(body)?;
        if profile == Profile::Strict {
            check_schemas(body, &resource_type.schema.id)?;
        }
        reading.body(body)?;
        Ok(reading)
    }

    /// Qualified names come last and win: Entra ID sends `"department": null` at the top beside the real value in
    /// its container.
    fn body(&mut self, body: &'b Map<String, Value>) -> Result<()> {
        let mut qualified = Vec::new();
        for (key, value) in body {
            match path::resolve(self.resource_type, key) {
                Some(Target::Schema(schema)) => self.container(schema, value, &mut qualified)?,
                Some(Target::Attribute(attribute)) if attribute.sub_attribute.is_some() => self.ignore(key),
                Some(Target::Attribute(attribute)) if key.contains(':') => qualified.push((attribute, value)),
                Some(Target::Attribute(attribute)) if attribute.extension && self.profile == Profile::Strict => {
                    self.ignore(key);
                }
                Some(Target::Attribute(attribute)) => self.assign(attribute, value)?,
                None => self.ignore(key),
            }
        }
        for (position, (attribute, value)) in qualified.iter().enumerate() {
            // Neither of the two could be preferred: the order of members has no meaning (RES-17).
            if qualified[..position].iter().any(|(earlier, other)| earlier == attribute && other != value) {
                return Err(Error::new(ErrorKind::InvalidSyntax, format!("{attribute} is given twice.")));
            }
            self.assign(*attribute, value)?;
        }
        Ok(())
    }

    fn container(
        &mut self,
        schema: &'static Schema,
        value: &'b Value,
        qualified: &mut Vec<(Resolved, &'b Value)>,
    ) -> Result<()> {
        let attributes = match value {
            Value::Object(attributes) => attributes,
            Value::Null => return Ok(()),
            Value::Array(elements) if elements.is_empty() => return Ok(()),
            Value::String(text) if text.is_empty() && self.profile == Profile::Compat => return Ok(()),
            _ => {
                let detail = format!("{} must be an object of its attributes.", schema.id);
                return Err(Error::new(ErrorKind::InvalidValue, detail));
            }
        };
        check_keys(attributes)?;
        for (key, value) in attributes {
            match self.resource_type.attribute_of(schema, key) {
                Some(attribute) => qualified.push((attribute, value)),
                None => self.ignore(key),
            }
        }
        Ok(())
    }

    fn ignore(&mut self, name: &str) {
        self.ignored.push(name.to_owned());
    }

    /// What the server sets itself is ignored, whatever was sent (CRE-02, PUT-05).
    fn assign(&mut self, attribute: Resolved, sent: &'b Value) -> Result<()> {
        let definition = attribute.attribute;
        if definition.role == Role::Members {
            self.members = Some(self.claims(attribute, sent)?);
        }
        if definition.role == Role::Password {
            let password = value::password(attribute, sent, self.profile)?;
            self.password = password.map_or(PasswordChange::Cleared, PasswordChange::Set);
        }
        if definition.role != Role::Stored || definition.mutability == Mutability::ReadOnly {
            return Ok(());
        }
        match value::value(attribute, sent, self.profile)? {
            Some(value) => self.document.set(attribute, value),
            None => drop(self.document.remove(attribute)),
        }
        self.mentioned.push((attribute, sent));
        Ok(())
    }

    /// What the body says of an attribute; `None` if it is silent.
    fn sent(&self, attribute: Resolved) -> Option<&'b Value> {
        self.mentioned.iter().rev().find(|(mentioned, _)| *mentioned == attribute).map(|(_, sent)| *sent)
    }

    /// Keeps the parts of a singular complex value that can be set once, or that the client can never have read, where the
    /// body is silent about them (PUT-04, PUT-06). If it is silent about all of the value, only those that can be set once.
    fn keep_parts(&mut self, attribute: Resolved, current: &Document) {
        let definition = attribute.attribute;
        let Some(Value::Object(before)) = current.get(attribute).filter(|_| !definition.multi_valued) else {
            return;
        };
        let sent = self.sent(attribute).map(|sent| tolerance::singular(definition, sent));
        let is_kept = |part: &&Attribute| {
            let is_fixed = part.mutability == Mutability::Immutable;
            match sent.as_deref() {
                None => is_fixed,
                Some(Value::Object(sent)) if !sent.is_empty() => {
                    (is_fixed || part.returned == Returned::Never) && member(sent, &part.name).is_none()
                }
                Some(_) => false,
            }
        };
        let parts = definition.sub_attributes.iter().filter(is_kept);
        let kept: Vec<(&String, &Value)> = parts.filter_map(|part| before.get_key_value(&part.name)).collect();
        if kept.is_empty() {
            return;
        }
        let mut after = self.document.get(attribute).and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, value) in kept {
            after.entry(name).or_insert_with(|| value.clone());
        }
        self.document.set(attribute, Value::Object(after));
    }

    fn claims(&self, attribute: Resolved, value: &Value) -> Result<Vec<MemberClaim>> {
        claims(value::list(attribute, value, self.profile)?, self.profile)
    }

    fn finish(self) -> Result<Accepted> {
        check_required(self.resource_type, &self.document)?;
        let Reading { document, members, password, ignored, .. } = self;
        Ok(Accepted { document, members, password, ignored })
    }
}
