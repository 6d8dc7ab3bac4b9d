//! The one question about a password that has an answer: `userName eq "x" and password eq "y"` (FLT-33).

use serde_json::Value;

use super::{Filter, Name, Operator};
use crate::scim::password::Password;
use crate::scim::path::{self, Target};
use crate::scim::schema::{Resolved, ResourceType, Role};
use crate::scim::{Profile, Result};

/// The two halves of such a filter, in whichever order they stand: the comparison of the name, and the password. `None`
/// for every other filter, and for a resource type without passwords.
///
/// # Errors
/// `invalidValue` for what is no password.
pub fn credentials<'a>(
    filter: &'a Filter,
    resource_type: &'static ResourceType,
    profile: Profile,
) -> Result<Option<(&'a Filter, Password)>> {
    let Filter::And(halves) = filter else {
        return Ok(None);
    };
    let (name, secret) = match halves.as_slice() {
        [name, secret] if is_about(name, resource_type, is_user_name) => (name, secret),
        [secret, name] if is_about(name, resource_type, is_user_name) => (name, secret),
        _ => return Ok(None),
    };
    match secret {
        Filter::Compare(_, _, Value::String(text)) if is_about(secret, resource_type, is_password) => {
            Password::prepare(text, profile).map(|password| Some((name, password)))
        }
        _ => Ok(None),
    }
}

/// Whether it is an equality with a text, of such an attribute.
fn is_about(filter: &Filter, resource_type: &'static ResourceType, is_meant: fn(Resolved) -> bool) -> bool {
    let Filter::Compare(Name { text, .. }, Operator::Eq, Value::String(_)) = filter else {
        return false;
    };
    matches!(path::resolve(resource_type, text), Some(Target::Attribute(attribute)) if is_meant(attribute))
}

fn is_user_name(attribute: Resolved) -> bool {
    attribute.is_user_name()
}

fn is_password(attribute: Resolved) -> bool {
    attribute.attribute.role == Role::Password
}
