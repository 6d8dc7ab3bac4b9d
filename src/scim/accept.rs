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

use super::json::check_keys;
use super::message::check_schemas;
use super::password::PasswordChange;
use super::path::{self, Target};
use super::resource::Document;
use super::schema::{Mutability, Resolved, ResourceType, Returned, Role, Schema, USER_URN};
use super::{Error, ErrorKind, Profile, Result};

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

/// Accepts the body of a POST (RFC 7644 §3.3). `active` defaults to true; an explicit `null` leaves it unassigned
/// (USR-11, CRE-02).
///
/// # Errors
/// `invalidSyntax` for a body of the wrong shape, `invalidValue` for a value of the wrong type or a missing required
/// attribute; the sentence names the attribute.
pub fn create(resource_type: &'static ResourceType, body: &Map<String, Value>, profile: Profile) -> Result<Accepted> {
    let mut reading = Reading::of(resource_type, body, profile)?;
    if let Some(active) = active(resource_type)
        && !reading.mentioned.contains(&active)
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
        let omitted = !reading.mentioned.contains(&attribute);
        let is_kept = attribute.attribute.mutability == Mutability::Immutable
            || attribute.attribute.mutability == Mutability::ReadOnly
            || attribute.attribute.returned == Returned::Never;
        if omitted
            && (is_kept || Some(attribute) == active)
            && let Some(value) = current.get(attribute)
        {
            reading.document.set(attribute, value.clone());
        }
        reading.keep_unreadable_parts(attribute, current);
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
    for extension in resource_type.extensions.iter().filter(|extension| extension.required) {
        if document.extension(&extension.schema.id).is_none() {
            return Err(missing(&extension.schema.id));
        }
    }
    for attribute in resource_type.stored_attributes() {
        if attribute.container().is_some_and(|urn| document.extension(urn).is_none()) {
            continue;
        }
        let value = document.get(attribute);
        if attribute.attribute.required && is_missing(value) {
            return Err(missing(&attribute.to_string()));
        }
        value.map_or(Ok(()), |value| check_required_parts(attribute, value))?;
    }
    Ok(())
}

fn check_required_parts(attribute: Resolved, value: &Value) -> Result<()> {
    for part in attribute.attribute.sub_attributes.iter().filter(|part| part.required) {
        let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        if elements.iter().any(|element| is_missing(element.get(&part.name))) {
            return Err(missing(&attribute.with_sub_attribute(part).to_string()));
        }
    }
    Ok(())
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
struct Reading {
    resource_type: &'static ResourceType,
    profile: Profile,
    document: Document,
    members: Option<Vec<MemberClaim>>,
    password: PasswordChange,
    mentioned: Vec<Resolved>,
    ignored: Vec<String>,
}

impl Reading {
    fn of(resource_type: &'static ResourceType, body: &Map<String, Value>, profile: Profile) -> Result<Reading> {
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
    fn body(&mut self, body: &Map<String, Value>) -> Result<()> {
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

    fn container<'a>(
        &mut self,
        schema: &'static Schema,
        value: &'a Value,
        qualified: &mut Vec<(Resolved, &'a Value)>,
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
    fn assign(&mut self, attribute: Resolved, value: &Value) -> Result<()> {
        let definition = attribute.attribute;
        if definition.role == Role::Members {
            self.members = Some(self.claims(attribute, value)?);
        }
        if definition.role == Role::Password {
            let password = value::password(attribute, value, self.profile)?;
            self.password = password.map_or(PasswordChange::Cleared, PasswordChange::Set);
        }
        if definition.role != Role::Stored || definition.mutability == Mutability::ReadOnly {
            return Ok(());
        }
        match value::value(attribute, value, self.profile)? {
            Some(value) => self.document.set(attribute, value),
            None => drop(self.document.remove(attribute)),
        }
        self.mentioned.push(attribute);
        Ok(())
    }

    /// Parts of a singular complex value that the client can never have read, and does not say anew.
    fn keep_unreadable_parts(&mut self, attribute: Resolved, current: &Document) {
        let parts = attribute.attribute.sub_attributes.iter().filter(|part| part.returned == Returned::Never);
        for part in parts {
            if let (Some(Value::Object(new)), Some(old)) =
                (self.document.get_mut(attribute), current.get(attribute).and_then(|old| old.get(&part.name)))
            {
                new.entry(&part.name).or_insert_with(|| old.clone());
            }
        }
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
