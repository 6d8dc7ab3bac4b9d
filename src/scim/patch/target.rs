//! What the path of an operation stands for (RFC 7644 §3.5.2, Figure 7).

use crate::scim::filter::{self, Condition, Filter, ParsedPath};
use crate::scim::path;
use crate::scim::schema::{Attribute, Resolved, ResourceType, Schema};
use crate::scim::{Error, ErrorKind, Profile, Result};

/// What an operation is about.
pub(super) enum Target {
    /// An attribute, or a part of one (of every element, if it is multi-valued).
    Attribute(Resolved),
    /// The elements that a filter selects, or a part of each.
    Elements(Selection),
    /// All attributes of a schema: a bare URN.
    Schema(&'static Schema),
}

/// `attribute[filter]` or `attribute[filter].part`.
pub(super) struct Selection {
    /// The attribute in front of the brackets, without sub-attribute.
    pub(super) attribute: Resolved,
    /// The filter as written.
    pub(super) filter: Filter,
    /// The filter, resolved.
    pub(super) condition: Condition,
    /// The part behind the brackets.
    pub(super) part: Option<&'static Attribute>,
}

impl Selection {
    /// How many tests an element takes.
    pub(super) fn terms(&self) -> usize {
        terms(&self.condition)
    }
}

fn terms(condition: &Condition) -> usize {
    match condition {
        Condition::And(conditions) | Condition::Or(conditions) => conditions.iter().map(terms).sum::<usize>().max(1),
        Condition::Not(condition) | Condition::Element(_, condition) => terms(condition),
        Condition::Constant(_) | Condition::Test(_) => 1,
    }
}

/// Resolves a path. `None` if it is well-formed and names something that the resource type does not define.
///
/// # Errors
/// `invalidPath` for a malformed path, `invalidFilter` for a malformed or mistyped filter in it (PATCH-03).
pub(super) fn resolve(resource_type: &'static ResourceType, text: &str, profile: Profile) -> Result<Option<Target>> {
    let parsed = filter::parse_path(text, profile)?;
    let name = &parsed.name.text;
    let target = path::resolve(resource_type, name);
    if target.is_none() && !path::is_well_formed(name) {
        return Err(invalid(format!("'{text}' is not a path: '{name}' is not an attribute name.")));
    }
    match (target, &parsed.filter) {
        (None, _) => Ok(None),
        (Some(path::Target::Attribute(attribute)), None) => Ok(Some(Target::Attribute(attribute))),
        (Some(path::Target::Schema(schema)), None) => Ok(Some(Target::Schema(schema))),
        (Some(path::Target::Attribute(attribute)), Some(filter)) => select(attribute, filter, &parsed, profile),
        (Some(path::Target::Schema(_)), Some(_)) => {
            Err(invalid(format!("'{text}' puts a filter behind a schema; a filter selects elements of an attribute.")))
        }
    }
}

/// Brackets stand behind a multi-valued attribute, or a complex one, which then counts as its only element.
fn select(attribute: Resolved, filter: &Filter, parsed: &ParsedPath, profile: Profile) -> Result<Option<Target>> {
    let definition = attribute.attribute;
    if attribute.sub_attribute.is_some() || !(definition.multi_valued || definition.is_complex()) {
        return Err(invalid(format!("{attribute} has no elements that a filter could select.")));
    }
    let condition = filter::resolve_element(filter, attribute, profile).map_err(|error| match error.kind() {
        // That is for secrets in a URL (FLT-32, FLT-33).
        ErrorKind::Sensitive => Error::new(ErrorKind::InvalidFilter, error.detail()),
        _ => error,
    })?;
    let part = match &parsed.sub_attribute {
        None => None,
        Some(name) => match definition.sub_attribute(name) {
            Some(part) => Some(part),
            None if path::is_well_formed(name) => return Ok(None),
            None => return Err(invalid(format!("'{name}' is not an attribute name."))),
        },
    };
    Ok(Some(Target::Elements(Selection { attribute, filter: filter.clone(), condition, part })))
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidPath, detail)
}
