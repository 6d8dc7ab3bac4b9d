//! Attribute names as clients write them, resolved against a resource type (RFC 7644 §3.10).
//!
//! ```text
//! name = [ schemaURN ":" ] attrName [ "." subAttr ]  /  schemaURN
//! ```
//!
//! URNs contain dots and colons themselves, so the URN is the longest registered one that the text starts with
//! (FLT-05); nothing is split at the first dot.

use super::schema::{Resolved, ResourceType, Role, Schema, is_attribute_name};

/// What an attribute name stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// An attribute, or a part of one.
    Attribute(Resolved),
    /// A whole schema: the bare URN of an extension, or of the base schema.
    Schema(&'static Schema),
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// Resolves a name. `None` when the resource type defines no such attribute, or several extensions do.
///
/// Names and URNs compare without case (RES-04). After the URN a dot is read like the colon: old gallery
/// applications of Entra ID write `urn:…:User.department`.
pub fn resolve(resource_type: &'static ResourceType, text: &str) -> Option<Target> {
    if let Some((schema, rest)) = split_urn(resource_type, text) {
        if rest.is_empty() {
            return Some(Target::Schema(schema));
        }
        let (name, part) = split_part(&rest[1..]);
        let resolved = resource_type.attribute_of(schema, name).or_else(|| {
            let is_base = std::ptr::eq(schema, resource_type.schema);
            resource_type.attribute(name).filter(|resolved| is_base && resolved.schema.is_none())
        })?;
        return with_part(resolved, part).map(Target::Attribute);
    }
    let (name, part) = split_part(text);
    with_part(resource_type.attribute(name)?, part).map(Target::Attribute)
}

/// Whether the text has the form of a name at all, whoever defines it.
pub fn is_well_formed(text: &str) -> bool {
    let local = match text.rfind(':') {
        Some(colon) if starts_with_urn(text) => text[colon + 1..].trim_start_matches(|c: char| c.is_ascii_digit()),
        Some(_) => return false,
        None => text,
    };
    if starts_with_urn(text) {
        // `urn:…:2.0:User.department` as well as a bare URN whose last segment starts with digits.
        return local.split('.').all(|segment| segment.is_empty() || is_attribute_name(segment));
    }
    let mut segments = local.split('.');
    let well_formed = segments.by_ref().take(2).all(is_attribute_name);
    well_formed && segments.next().is_none()
}

fn starts_with_urn(text: &str) -> bool {
    text.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("urn:"))
}

/// The longest URN of the resource type that the text starts with, and what follows it: nothing, or a separator
/// and a name.
fn split_urn<'a>(resource_type: &'static ResourceType, text: &'a str) -> Option<(&'static Schema, &'a str)> {
    resource_type
        .urns()
        .filter_map(|schema| {
            let head = text.get(..schema.id.len())?;
            let rest = &text[schema.id.len()..];
            let ends_here = rest.is_empty() || rest.len() > 1 && rest.starts_with([':', '.']);
            (head.eq_ignore_ascii_case(&schema.id) && ends_here).then_some((schema, rest))
        })
        .max_by_key(|(schema, _)| schema.id.len())
}

fn split_part(text: &str) -> (&str, Option<&str>) {
    match text.split_once('.') {
        Some((name, part)) => (name, Some(part)),
        None => (text, None),
    }
}

fn with_part(resolved: Resolved, part: Option<&str>) -> Option<Resolved> {
    let Some(part) = part else {
        return Some(resolved);
    };
    let sub_attribute = resolved.attribute.sub_attribute(part)?;
    Some(resolved.with_sub_attribute(sub_attribute))
}

impl Resolved {
    /// The name in the search index.
    pub fn index_path(&self) -> &'static str {
        &self.leaf().index_path
    }

    /// The number of that name.
    pub fn path_hash(&self) -> i64 {
        self.leaf().path_hash
    }

    /// Where the value lives.
    pub fn role(&self) -> Role {
        self.leaf().role
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{ENTERPRISE_URN, Registry, USER_URN};

    fn user() -> &'static ResourceType {
        Registry::builtin().resource_type("User").expect("User is built in")
    }

    fn name_of(text: &str) -> String {
        match resolve(user(), text) {
            Some(Target::Attribute(resolved)) => resolved.to_string(),
            Some(Target::Schema(schema)) => schema.id.clone(),
            None => String::new(),
        }
    }

    #[test]
    fn flt_05_urns_are_found_by_longest_match() {
        assert_eq!(name_of(&format!("{USER_URN}:name.familyName")), "name.familyName");
        assert_eq!(
            name_of(&format!("{}:Department", ENTERPRISE_URN.to_uppercase())),
            format!("{ENTERPRISE_URN}:department")
        );
        assert_eq!(name_of(ENTERPRISE_URN), ENTERPRISE_URN);
        assert_eq!(name_of("urn:example:unknown:name"), "");
        assert_eq!(name_of(&format!("{USER_URN}:id")), "id");
        assert_eq!(name_of(&format!("{ENTERPRISE_URN}:id")), "");
    }

    #[test]
    fn q_50_row_26_a_dot_after_the_urn_is_read_like_a_colon() {
        assert_eq!(name_of(&format!("{ENTERPRISE_URN}.department")), format!("{ENTERPRISE_URN}:department"));
    }

    #[test]
    fn res_04_names_compare_without_case() {
        assert_eq!(name_of("NAME.FAMILYNAME"), "name.familyName");
        assert_eq!(name_of("emails.VALUE"), "emails.value");
        assert_eq!(name_of("userName.value"), "");
    }

    #[test]
    fn patch_03_malformed_names_are_told_from_unknown_ones() {
        for text in
            ["userName", "name.givenName", "$ref", "members.$ref", "x-y_z", ENTERPRISE_URN, "urn:a:b:2.0:User:desk"]
        {
            assert!(is_well_formed(text), "{text}");
        }
        for text in ["", "1abc", "a..b", "a.b.c", ".a", "a.", "na me", "emails[", "a:b"] {
            assert!(!is_well_formed(text), "{text}");
        }
    }
}
