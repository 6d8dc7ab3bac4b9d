//! What a client says about the members of a group (RFC 7643 §4.2).
//!
//! Members are rows of their own and never part of the document. Whether a claimed member exists is the store's to say.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;

use crate::scim::json::{check_keys, member};
use crate::scim::{Error, ErrorKind, Profile, Result};

/// The longest `value` and the longest `type` of a member, in characters.
pub const MAX_MEMBER_VALUE: usize = 255;

/// One member as a client names it. `$ref` and `display` are computed, so what the client says of them is not kept
/// (GRP-03).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberClaim {
    /// The id of the member.
    pub value: String,
    /// The resource type that the client believes it to be.
    pub claimed_type: Option<String>,
}

impl MemberClaim {
    /// A claim about the member with that id.
    ///
    /// # Errors
    /// `invalidValue` for an id that is empty, too long, or holds the character U+0000, and for a type that is too long
    /// to be the name of one.
    pub fn new(value: &str, claimed_type: Option<String>) -> Result<MemberClaim> {
        if value.is_empty() {
            return Err(invalid("members.value must not be empty.".to_owned()));
        }
        if value.contains('\0') {
            return Err(invalid("members.value must not contain the character U+0000.".to_owned()));
        }
        let is_too_long = |text: &str| text.chars().nth(MAX_MEMBER_VALUE).is_some();
        if is_too_long(value) {
            return Err(invalid(format!("members.value must have at most {MAX_MEMBER_VALUE} characters.")));
        }
        if claimed_type.as_deref().is_some_and(is_too_long) {
            return Err(invalid(format!("members.type must have at most {MAX_MEMBER_VALUE} characters.")));
        }
        Ok(MemberClaim { value: value.to_owned(), claimed_type })
    }
}

/// Reads the elements of `members`: one claim for each id, in the order of first mention (GRP-06).
///
/// # Errors
/// `invalidValue` for an element without `value`, or of the wrong type.
pub fn claims(elements: &[Value], profile: Profile) -> Result<Vec<MemberClaim>> {
    let mut positions = HashMap::with_capacity(elements.len());
    let mut claims: Vec<MemberClaim> = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate().filter(|(_, element)| !element.is_null()) {
        let claim = claim(index, element, profile)?;
        match positions.entry(claim.value.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(claims.len());
                claims.push(claim);
            }
            Entry::Occupied(entry) => {
                let known = &mut claims[*entry.get()];
                known.claimed_type = claim.claimed_type.or(known.claimed_type.take());
            }
        }
    }
    Ok(claims)
}

fn claim(index: usize, element: &Value, profile: Profile) -> Result<MemberClaim> {
    let parts = match element {
        Value::Object(parts) => parts,
        element if profile == Profile::Compat && text(element, profile).is_some() => {
            return MemberClaim::new(&text(element, profile).unwrap_or_default(), None);
        }
        _ => return Err(invalid(format!("members[{index}] must be an object with a value."))),
    };
    check_keys(parts)?;
    let value = member(parts, "value").filter(|value| !value.is_null());
    let value = value.ok_or_else(|| invalid(format!("members[{index}].value is missing; it names the member.")))?;
    let value =
        text(value, profile).ok_or_else(|| invalid(format!("members[{index}].value must be a string, the id.")))?;
    let claimed_type = match member(parts, "type") {
        Some(Value::String(name)) if !name.is_empty() => Some(name.clone()),
        Some(other) if profile == Profile::Strict && !other.is_null() => {
            return Err(invalid(format!("members[{index}].type must be the name of a resource type.")));
        }
        _ => None,
    };
    MemberClaim::new(&value, claimed_type)
}

fn text(value: &Value, profile: Profile) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if profile == Profile::Compat => Some(number.to_string()),
        _ => None,
    }
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidValue, detail)
}
