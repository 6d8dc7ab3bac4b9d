//! Which parts of a resource an answer shows: `attributes`, `excludedAttributes` and the characteristic `returned`
//! (RFC 7644 §3.9, RFC 7643 §7).
//!
//! A projection takes parts of a finished representation away. It does not know where values come from; whoever
//! assembles the representation asks [`Projection::includes`] first, so that nothing is read only to be thrown away.

mod mentioned;

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::path::{self, Target};
use super::schema::{Attribute, ResourceType, Returned};
use super::{Error, ErrorKind, Result};

/// The parts of one resource type's representations that the client wants to see.
#[derive(Debug, Clone)]
pub struct Projection {
    resource_type: &'static ResourceType,
    selection: Selection,
    /// What is returned on request, and counts as requested because the client has just set it.
    set: Vec<&'static Attribute>,
}

#[derive(Debug, Clone, PartialEq)]
enum Selection {
    /// Nothing is named.
    Default,
    /// The minimum set and these: `attributes`.
    Only(Vec<Target>),
    /// The defaults without these: `excludedAttributes`.
    Without(Vec<Target>),
}

impl Projection {
    /// Reads the two parameters: comma-separated names, `None` where a parameter is not given.
    ///
    /// A name may be qualified by its URN, end in a sub-attribute, or be the bare URN of a schema. Unknown names are
    /// ignored, and so is a filter in brackets behind a name, which some clients send. A parameter without any name
    /// counts as not given (PROJ-06).
    ///
    /// # Errors
    /// `invalidValue` if both parameters name something: they exclude each other (RFC 7644 §3.9).
    pub fn parse(
        resource_type: &'static ResourceType,
        attributes: Option<&str>,
        excluded: Option<&str>,
    ) -> Result<Projection> {
        let attributes = attributes.filter(|list| names(list).next().is_some());
        let excluded = excluded.filter(|list| names(list).next().is_some());
        let selection = match (attributes, excluded) {
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    ErrorKind::InvalidValue,
                    "'attributes' and 'excludedAttributes' exclude each other; send one of them.",
                ));
            }
            (Some(list), None) => Selection::Only(targets(resource_type, list)),
            (None, Some(list)) => Selection::Without(targets(resource_type, list)),
            (None, None) => Selection::Default,
        };
        Ok(Projection { resource_type, selection, set: Vec::new() }.simplified())
    }

    /// The default representation: every attribute whose `returned` is `always` or `default`.
    pub fn everything(resource_type: &'static ResourceType) -> Projection {
        Projection { resource_type, selection: Selection::Default, set: Vec::new() }
    }

    /// The same for the answer to a POST or PUT with this body, which also shows what is returned on request and was set
    /// (CHAR-07).
    pub fn after_write(self, body: &Map<String, Value>) -> Projection {
        Projection { set: mentioned::in_resource(self.resource_type, body), ..self }
    }

    /// The same for the answer to a PATCH with this body.
    pub fn after_patch(self, body: &Map<String, Value>) -> Projection {
        Projection { set: mentioned::in_patch(self.resource_type, body), ..self }
    }

    /// The resource type whose representations it projects.
    pub fn resource_type(&self) -> &'static ResourceType {
        self.resource_type
    }

    /// Whether the client named nothing that is known, so that the default representation is the answer.
    pub fn is_default(&self) -> bool {
        self.selection == Selection::Default
    }

    /// Whether any part of this attribute (not a sub-attribute) is shown.
    pub fn includes(&self, attribute: &Attribute) -> bool {
        let by_default = self.is_by_default(attribute);
        match (attribute.returned, &self.selection) {
            (Returned::Never, _) => false,
            (Returned::Always, _) => true,
            (_, Selection::Default) => by_default,
            (_, Selection::Only(named)) => {
                named.iter().any(|target| is_about(target, attribute) || by_default && is_schema_of(target, attribute))
            }
            (_, Selection::Without(named)) => by_default && !is_named(named, attribute),
        }
    }

    /// Whether this part of an attribute that [`Projection::includes`] is shown.
    ///
    /// Parts that are returned always go along with their attribute, whichever part was named (PROJ-04).
    pub fn includes_part(&self, attribute: &Attribute, part: &Attribute) -> bool {
        let by_default = self.is_by_default(part);
        match (part.returned, &self.selection) {
            (Returned::Never, _) => false,
            (Returned::Always, _) => true,
            (_, Selection::Default) => by_default,
            (_, Selection::Only(named)) => {
                let whole = attribute.returned == Returned::Always || is_named(named, attribute);
                by_default && whole || is_part_named(named, part)
            }
            (_, Selection::Without(named)) => by_default && !is_part_named(named, part),
        }
    }

    fn is_by_default(&self, attribute: &Attribute) -> bool {
        let was_set = || self.set.iter().any(|set| std::ptr::eq(*set, attribute));
        attribute.returned == Returned::Default || attribute.returned == Returned::Request && was_set()
    }

    /// Takes away what is not shown; the rest keeps its order.
    ///
    /// The representation has the spelling of the schema, core attributes at the top and those of an extension under its
    /// URN. What loses its last part disappears; an array that was empty before stays, as a group's `members` may.
    pub fn apply(&self, representation: Map<String, Value>) -> Map<String, Value> {
        if self.shows_everything() {
            return representation;
        }
        let shown = representation.into_iter().filter_map(|(key, value)| {
            let value = self.member(&key, value)?;
            Some((key, value))
        });
        shown.collect()
    }

    /// What is shown of one member, whose value is JSON text. It is read only where a part of it is shown.
    pub fn member_to_text<'a>(&self, key: &str, text: &'a str) -> Option<Cow<'a, str>> {
        match self.resource_type.attribute(key) {
            Some(known) if !self.includes(known.attribute) => None,
            Some(known) if self.includes_all_parts(known.attribute) => Some(Cow::Borrowed(text)),
            _ => Some(Cow::Owned(self.member(key, serde_json::from_str(text).ok()?)?.to_string())),
        }
    }

    /// Whether nothing is taken away from any representation.
    pub fn shows_everything(&self) -> bool {
        self.is_default() && self.resource_type.shows_all
    }

    fn member(&self, key: &str, value: Value) -> Option<Value> {
        match self.resource_type.extension(key) {
            Some(extension) => self.extension(&extension.schema.attributes, value),
            None => self.value(self.resource_type.attribute(key)?.attribute, value),
        }
    }

    fn includes_all_parts(&self, attribute: &Attribute) -> bool {
        attribute.sub_attributes.iter().all(|part| self.includes_part(attribute, part))
    }

    /// An exclusion of nothing that is known is no exclusion. (A choice of nothing known is one: the minimum remains.)
    fn simplified(self) -> Projection {
        match &self.selection {
            Selection::Without(named) if named.is_empty() => Projection::everything(self.resource_type),
            _ => self,
        }
    }

    fn extension(&self, attributes: &[Attribute], value: Value) -> Option<Value> {
        let Value::Object(members) = value else {
            return None;
        };
        let shown = members.into_iter().filter_map(|(key, value)| {
            let attribute = attributes.iter().find(|attribute| attribute.name == key)?;
            Some((key, self.value(attribute, value)?))
        });
        non_empty(shown.collect())
    }

    fn value(&self, attribute: &Attribute, value: Value) -> Option<Value> {
        if !self.includes(attribute) {
            return None;
        }
        if self.includes_all_parts(attribute) {
            return Some(value);
        }
        match value {
            Value::Array(elements) if !elements.is_empty() => {
                let shown: Vec<Value> =
                    elements.into_iter().filter_map(|element| self.parts(attribute, element)).collect();
                (!shown.is_empty()).then_some(Value::Array(shown))
            }
            other => self.parts(attribute, other),
        }
    }

    fn parts(&self, attribute: &Attribute, value: Value) -> Option<Value> {
        let Value::Object(parts) = value else {
            return Some(value);
        };
        let shown = parts
            .into_iter()
            .filter(|(name, _)| attribute.sub_attribute(name).is_some_and(|part| self.includes_part(attribute, part)));
        non_empty(shown.collect())
    }
}

fn non_empty(members: Map<String, Value>) -> Option<Value> {
    (!members.is_empty()).then_some(Value::Object(members))
}

/// The names of a comma-separated list, without a filter in brackets, in which a comma separates nothing.
fn names(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let entries = list.split(move |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    entries.map(|entry| entry.split('[').next().unwrap_or_default().trim()).filter(|name| !name.is_empty())
}

/// What is named, each once, so that a long list costs no more than the schema is large.
fn targets(resource_type: &'static ResourceType, list: &str) -> Vec<Target> {
    let mut targets = Vec::new();
    for target in names(list).filter_map(|name| path::resolve(resource_type, name)) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

/// Whether the attribute itself or one of its parts is named.
fn is_about(target: &Target, attribute: &Attribute) -> bool {
    matches!(target, Target::Attribute(resolved) if std::ptr::eq(resolved.attribute, attribute))
}

fn is_schema_of(target: &Target, attribute: &Attribute) -> bool {
    let Target::Schema(schema) = target else {
        return false;
    };
    schema.attributes.iter().any(|defined| std::ptr::eq(defined, attribute))
}

/// Whether the attribute is named as a whole, by its own name or by that of its schema.
fn is_named(named: &[Target], attribute: &Attribute) -> bool {
    named.iter().any(|target| match target {
        Target::Attribute(resolved) => is_about(target, attribute) && resolved.sub_attribute.is_none(),
        Target::Schema(_) => is_schema_of(target, attribute),
    })
}

fn is_part_named(named: &[Target], part: &Attribute) -> bool {
    named.iter().any(|target| match target {
        Target::Attribute(resolved) => resolved.sub_attribute.is_some_and(|named| std::ptr::eq(named, part)),
        Target::Schema(_) => false,
    })
}

#[cfg(test)]
mod tests;
