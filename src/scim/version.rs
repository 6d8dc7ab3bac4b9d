//! Versions of resources: entity tags and the preconditions that name them (RFC 7644 §3.14, RFC 9110 §8.8, §13.1).
//!
//! A resource counts its own changes. Its representation can also change with other resources: a user shows its groups,
//! a group its members, an employee the name of the manager. Counting those too would make one write touch every
//! resource that mentions the written one, so the tag has a second part instead, a hash of what is shown of others:
//!
//! ```text
//! W/"<own>"           nothing computed from other resources can be shown
//! W/"<own>.<hash>"    otherwise, also while there is nothing to show: the first group of a user changes the hash
//! ```
//!
//! Reads compare the whole tag, so that an answer of 304 is never wrong. Writes compare the own part, since a change of
//! another resource is no reason to refuse them.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use twox_hash::xxhash3_128;

use super::projection::Projection;
use super::raw;
use super::schema::{Attribute, Resolved};
use super::{Error, ErrorKind, Result};

/// The version of one representation: `meta.version` and the `ETag` header show it as it is displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Counts the changes of the resource itself, from 1.
    pub own: i64,
    /// A hash of the parts computed from other resources; `None` where the projection shows no such part.
    pub computed: Option<String>,
}

impl Tag {
    /// Whether a tag in a request names this state of the resource itself.
    fn has_own(&self, opaque: &str) -> bool {
        opaque.split('.').next() == Some(self.own.to_string().as_str())
    }

    /// Whether a tag in a request names this representation.
    fn is_named(&self, opaque: &str) -> bool {
        self.has_own(opaque) && opaque.split_once('.').map(|(_, computed)| computed) == self.computed.as_deref()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every representation has its tag, and in pieces a text grows several times.
        let own = self.own.to_string();
        f.write_str(&match &self.computed {
            Some(computed) => ["W/\"", &own, ".", computed, "\""].concat(),
            None => ["W/\"", &own, "\""].concat(),
        })
    }
}

/// Whether an `If-Match` header lets a write proceed; `false` means 412 (VER-04).
///
/// Only the own part counts: a membership that changed elsewhere does not fail a write.
pub fn if_match_holds(header: &str, current: &Tag) -> bool {
    is_any(header) || opaque_tags(header).any(|opaque| current.has_own(opaque))
}

/// Whether an `If-None-Match` header asks for the representation; `false` means 304 (VER-03).
///
/// A representation that shows nothing computed depends on the own part alone, so there a tag of any other
/// representation of the same state matches as well.
pub fn if_none_match_holds(header: &str, current: &Tag) -> bool {
    let is_same = |opaque: &str| match current.computed {
        Some(_) => current.is_named(opaque),
        None => current.has_own(opaque),
    };
    !is_any(header) && !opaque_tags(header).any(is_same)
}

/// Whether an `If-None-Match` header lets a write of an existing resource proceed; `false` means 412 (VER-07).
pub fn if_none_match_allows_write(header: &str, current: &Tag) -> bool {
    !if_match_holds(header, current)
}

/// What a client demands of the state that its write meets: the values of `If-Match` and `If-None-Match`.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    /// `If-Match`; several headers are joined by commas.
    pub if_match: Option<String>,
    /// `If-None-Match`, likewise.
    pub if_none_match: Option<String>,
}

impl Preconditions {
    /// Whether a write may meet this version of the resource (VER-04, VER-07).
    ///
    /// # Errors
    /// 412 if not.
    pub fn check_write(&self, own: i64) -> Result<()> {
        let current = Tag { own, computed: None };
        let expected = self.is_expected(&current);
        let allowed = self.if_none_match.as_deref().is_none_or(|header| if_none_match_allows_write(header, &current));
        if expected && allowed { Ok(()) } else { Err(unexpected(&current)) }
    }

    /// Whether a read may show this version of the resource: to a client that wants one it knows, or nothing (RFC 9110
    /// §13.1.1).
    ///
    /// # Errors
    /// 412 if not.
    pub fn check_read(&self, current: &Tag) -> Result<()> {
        if self.is_expected(current) { Ok(()) } else { Err(unexpected(current)) }
    }

    fn is_expected(&self, current: &Tag) -> bool {
        self.if_match.as_deref().is_none_or(|header| if_match_holds(header, current))
    }
}

fn unexpected(current: &Tag) -> Error {
    let detail = format!("The resource is in another version than expected; the current one is {current}.");
    Error::new(ErrorKind::PreconditionFailed, detail)
}

fn is_any(header: &str) -> bool {
    header.trim() == "*"
}

/// The text between the quotes of each tag in a list, weak or strong (VER-05). What is no tag is left out.
fn opaque_tags(header: &str) -> impl Iterator<Item = &str> {
    let mut rest = header;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return None;
            }
            let (tag, behind) = split_tag(rest);
            rest = behind;
            if tag.is_some() {
                return tag;
            }
        }
    })
}

/// The first element of a list, if it is a tag, and what follows it. A comma in quotes separates nothing.
fn split_tag(list: &str) -> (Option<&str>, &str) {
    let quoted = list.strip_prefix("W/").unwrap_or(list).strip_prefix('"');
    if let Some((opaque, behind)) = quoted.and_then(|quoted| quoted.split_once('"')) {
        let behind = behind.trim_start_matches([' ', '\t']);
        if behind.is_empty() || behind.starts_with(',') {
            return (Some(opaque), behind);
        }
    }
    (None, list.split_once(',').map_or("", |(_, behind)| behind))
}

/// Makes the tags of the representations of one projection.
#[derive(Debug, Clone, Copy)]
pub struct Tags {
    /// Whether the projection shows anything that comes from other resources.
    shows_computed: bool,
    /// What may come from other resources.
    computed: &'static [Resolved],
}

impl Tags {
    /// Those of this projection.
    pub fn of(projection: &Projection) -> Tags {
        let computed = &projection.resource_type().computed;
        let is_shown = |Resolved { attribute, .. }: &Resolved| {
            projection.includes(attribute)
                && (attribute.is_computed()
                    || attribute.referenced_parts().any(|part| projection.includes_part(attribute, part)))
        };
        Tags { shows_computed: computed.iter().any(is_shown), computed }
    }

    /// The tag of a representation that is about to be written.
    pub fn begin(self) -> Tagging {
        Tagging { computed: self.computed, hash: self.shows_computed.then(|| Hash(xxhash3_128::Hasher::new())) }
    }
}

/// The tag of a representation, made while that is written.
pub struct Tagging {
    computed: &'static [Resolved],
    hash: Option<Hash>,
}

impl Tagging {
    /// Takes notice of the next member that the representation shows: its name and the text of its value.
    pub fn member(&mut self, name: &str, text: &str) {
        let Some(hash) = &mut self.hash else { return };
        for known in self.computed {
            let part = match known.container() {
                Some(urn) if urn == name => raw::member(text, &known.attribute.name).unwrap_or_default(),
                None if known.attribute.name == name => Some(Cow::Borrowed(text)),
                _ => None,
            };
            if let Some(text) = part {
                hash.add_attribute(known.attribute, &text);
            }
        }
    }

    /// The next member is this attribute, which comes from other resources as a whole; its text follows with
    /// [`Tagging::piece`].
    pub fn begin_member(&mut self, attribute: &Attribute) {
        if let Some(hash) = &mut self.hash {
            hash.add(attribute, "");
        }
    }

    /// Takes notice of the next piece of the text of a member that has begun.
    pub fn piece(&mut self, text: &str) {
        if let Some(hash) = &mut self.hash {
            hash.0.write(text.as_bytes());
        }
    }

    /// The tag of what it has noticed, for a resource of that version.
    pub fn tag(&self, own: i64) -> Tag {
        Tag { own, computed: self.hash.as_ref().map(Hash::finish) }
    }
}

/// Fast rather than safe from forgery: whoever may change the name of a group could look for two that hash alike, and
/// would gain that somebody else goes on with the old one.
struct Hash(xxhash3_128::Hasher);

impl Hash {
    fn add_attribute(&mut self, attribute: &Attribute, text: &str) {
        if attribute.is_computed() {
            return self.add(attribute, text);
        }
        let value = serde_json::from_str(text).unwrap_or_default();
        for part in attribute.referenced_parts() {
            for part_value in objects(&value).filter_map(|element| element.get(&part.name)) {
                self.add(part, &part_value.to_string());
            }
        }
    }

    fn add(&mut self, attribute: &Attribute, text: &str) {
        self.0.write(attribute.index_path.as_bytes());
        self.0.write(text.as_bytes());
    }

    /// 72 bits, 12 characters: plenty against chance.
    fn finish(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0.finish_128().to_be_bytes()[..9])
    }
}

fn objects(value: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let elements = match value {
        Value::Array(elements) => elements.as_slice(),
        other => std::slice::from_ref(other),
    };
    elements.iter().filter_map(Value::as_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::raw::RawObject;
    use crate::scim::schema::{ENTERPRISE_URN, Registry};
    use serde_json::json;

    fn tag_of(resource_type: &str, attributes: Option<&str>, representation: Value) -> Tag {
        let resource_type = Registry::builtin().resource_type(resource_type).expect("built in");
        let projection = Projection::parse(resource_type, attributes, None).expect("legal");
        let shown = projection.apply(representation.as_object().expect("an object").clone());
        let mut tagging = Tags::of(&projection).begin();
        RawObject::from(&shown).members().for_each(|(name, text)| tagging.member(name, text));
        tagging.tag(3)
    }

    fn user(groups: Value, manager_name: &str) -> Value {
        json!({
            "userName": "ines",
            "groups": groups,
            ENTERPRISE_URN: {"department": "Field", "manager": {"value": "2", "displayName": manager_name}},
        })
    }

    fn tag(own: i64, computed: Option<&str>) -> Tag {
        Tag { own, computed: computed.map(str::to_owned) }
    }

    #[test]
    fn ver_01_tags_are_weak_and_quoted() {
        assert_eq!(tag(3, None).to_string(), r#"W/"3""#);
        assert_eq!(tag(3, Some("abc")).to_string(), r#"W/"3.abc""#);
    }

    #[test]
    fn ver_02_what_others_contribute_changes_the_tag() {
        let before = tag_of("User", None, user(json!([{"value": "9", "display": "Field"}]), "Ada"));
        let same = tag_of("User", None, user(json!([{"value": "9", "display": "Field"}]), "Ada"));
        assert_eq!(before, same);
        for (groups, manager_name) in [
            (json!([{"value": "9", "display": "Field team"}]), "Ada"),
            (json!([]), "Ada"),
            (json!([{"value": "9", "display": "Field"}]), "Ada L."),
        ] {
            assert_ne!(before, tag_of("User", None, user(groups.clone(), manager_name)), "{groups} {manager_name}");
        }
        let group = |display| {
            tag_of("Group", None, json!({"displayName": "A", "members": [{"value": "1", "display": display}]}))
        };
        assert_ne!(group("Ines"), group("Inés"));
    }

    #[test]
    fn ver_02_the_last_group_that_goes_changes_the_tag() {
        let member = tag_of("User", None, json!({"userName": "ines", "groups": [{"value": "9"}]}));
        let alone = tag_of("User", None, json!({"userName": "ines"}));
        assert!(alone.computed.is_some());
        assert!(if_none_match_holds(&member.to_string(), &alone));
        assert!(if_none_match_holds(&alone.to_string(), &member));
    }

    #[test]
    fn ver_03_a_projection_without_computed_parts_has_the_own_part_alone() {
        let shown = |attributes| tag_of("User", Some(attributes), user(json!([]), "Ada")).computed;
        assert_eq!(shown("userName"), None);
        assert_eq!(shown("manager.value"), None);
        assert!(shown("manager").is_some());
        assert!(shown("groups.value").is_some());
    }

    #[test]
    fn ver_03_an_unchanged_representation_is_not_sent_again() {
        let current = tag(3, Some("abc"));
        for header in [r#"W/"3.abc""#, r#""3.abc""#, r#"W/"1", "3.abc""#, "*", " * "] {
            assert!(!if_none_match_holds(header, &current), "{header}");
        }
        for header in [r#"W/"3""#, r#"W/"3.abd""#, r#"W/"4.abc""#, "3.abc", ""] {
            assert!(if_none_match_holds(header, &current), "{header}");
        }
    }

    #[test]
    fn v_27_a_partial_representation_is_unchanged_by_the_tag_of_a_full_one() {
        let current = tag(3, None);
        assert!(!if_none_match_holds(r#"W/"3""#, &current));
        assert!(!if_none_match_holds(r#"W/"3.abc""#, &current));
        assert!(if_none_match_holds(r#"W/"2.abc""#, &current));
    }

    #[test]
    fn ver_04_a_write_compares_the_own_part() {
        let current = tag(3, Some("abc"));
        for header in [r#"W/"3""#, r#""3.old""#, r#"W/"3.abc""#, "*"] {
            assert!(if_match_holds(header, &current), "{header}");
        }
        for header in [r#"W/"2""#, r#"W/"33""#, r#"W/"03""#, r#"W/"3x""#, ""] {
            assert!(!if_match_holds(header, &current), "{header}");
        }
    }

    #[test]
    fn ver_05_lists_are_read_and_bad_tags_never_match() {
        let current = tag(3, None);
        for header in [r#""1","3""#, r#", W/"1" ,	W/"3""#, r#""a,b", "3""#, r#"bad, "3""#, r#""x"y, "3", "z"#] {
            assert!(if_match_holds(header, &current), "{header}");
        }
        for header in ["3", "W/3", r#"w/"3""#, r#""3"#, r#"3""#, r#"'3'"#, r#""3"x"#, r#"*, "1""#, r#""1,"3"#] {
            assert!(!if_match_holds(header, &current), "{header}");
        }
    }

    #[test]
    fn ver_07_a_write_may_demand_that_nothing_exists() {
        let current = tag(3, Some("abc"));
        assert!(!if_none_match_allows_write("*", &current));
        assert!(!if_none_match_allows_write(r#"W/"3.old""#, &current));
        assert!(if_none_match_allows_write(r#"W/"2.abc""#, &current));
    }
}
