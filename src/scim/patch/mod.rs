//! PATCH: the message, and what its operations do to a resource (RFC 7644 §3.5.2).
//!
//! [`parse()`] reads the message, [`apply()`] runs it on a copy of the document, so that a failing operation leaves nothing
//! half-done (PATCH-07). Members of a group are no part of the document; what happens to them comes out as
//! [`MemberChanges`], whose size follows the request, not the group (PATCH-23). Uniqueness and the existence of
//! referenced resources are the store's to judge.

mod apply;
mod budget;
mod change;
mod described;
mod elements;
mod listed;
mod members;
mod schemas;
mod target;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::json::{check_keys, member};
use super::message::{MAX_OPERATIONS, PATCH_OP, check_schemas};
use super::password::PasswordChange;
use super::resource::Document;
use super::{Error, ErrorKind, Profile, Result};

pub use apply::{apply, password_of};
pub use budget::{Budget, MAX_WORK, looks};
pub use members::{MemberChanges, MemberSource, Presence};

/// A PATCH message: operations in order, not yet held against a resource type.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchRequest {
    operations: Vec<Operation>,
}

/// What of a path takes as long to be parsed as a look at a value, in bytes.
const PATH_OF_A_LOOK: usize = 8;

/// One operation as sent. A `path` that is absent, `null` or, under `compat`, empty is `None`.
#[derive(Debug, Clone, PartialEq)]
struct Operation {
    op: Op,
    path: Option<String>,
    value: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// What a PATCH makes of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// The document afterwards; equal to the one before if nothing changed (PATCH-10).
    pub document: Document,
    /// What happens to the members.
    pub members: MemberChanges,
    /// What happens to the password.
    pub password: PasswordChange,
    /// Names and paths that the resource type does not define, for the log. Never their values.
    pub ignored: Vec<String>,
}

impl PatchRequest {
    /// How many [`looks`] it takes to see all of its values, and to read its paths.
    pub fn looks(&self) -> usize {
        let path = |operation: &Operation| 1 + operation.path.as_ref().map_or(0, String::len) / PATH_OF_A_LOOK;
        let paths: usize = self.operations.iter().map(path).sum();
        paths + looks(self.operations.iter().filter_map(|operation| operation.value.as_ref()))
    }
}

impl Patched {
    /// Whether it is all in the document.
    pub fn is_all_in_its_document(&self) -> bool {
        self.members.is_empty() && self.password == PasswordChange::Unmentioned
    }
}

/// Reads a PATCH message. Names and `op` in any case; unknown keys are ignored. Under `compat` also without `schemas`
/// and with no operations at all.
///
/// # Errors
/// `invalidSyntax` for a body of another shape or an unknown `op` (PATCH-01, PATCH-02), `invalidPath` for a path that
/// is no string, [`ErrorKind::TooLarge`] for more than [`MAX_OPERATIONS`].
pub fn parse(body: &Map<String, Value>, profile: Profile) -> Result<PatchRequest> {
    check_keys(body)?;
    if profile == Profile::Strict {
        check_schemas(body, PATCH_OP)?;
    }
    let Some(Value::Array(operations)) = member(body, "Operations") else {
        return Err(invalid("Operations must be an array of operations."));
    };
    if operations.is_empty() && profile == Profile::Strict {
        return Err(invalid("Operations must have at least one operation."));
    }
    if operations.len() > MAX_OPERATIONS {
        let detail = format!("The request has {} operations; at most {MAX_OPERATIONS} are allowed.", operations.len());
        return Err(Error::new(ErrorKind::TooLarge, detail));
    }
    let operations = operations.iter().enumerate().map(|(index, operation)| parse_operation(index, operation, profile));
    Ok(PatchRequest { operations: operations.collect::<Result<Vec<_>>>()? })
}

fn parse_operation(index: usize, operation: &Value, profile: Profile) -> Result<Operation> {
    let Value::Object(operation) = operation else {
        return Err(invalid(&format!("Operations[{index}] must be an object.")));
    };
    check_keys(operation)?;
    let op = member(operation, "op").and_then(Value::as_str).map(str::to_ascii_lowercase);
    let op = match op.as_deref() {
        Some("add") => Op::Add,
        Some("replace") => Op::Replace,
        Some("remove") => Op::Remove,
        _ => return Err(invalid(&format!("Operations[{index}].op must be add, replace or remove."))),
    };
    let path = match member(operation, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) if path.is_empty() && (op == Op::Remove || profile == Profile::Compat) => None,
        Some(Value::String(path)) => Some(path.clone()),
        Some(_) => {
            let detail = format!("Operations[{index}].path must be a string.");
            return Err(Error::new(ErrorKind::InvalidPath, detail));
        }
    };
    Ok(Operation { op, path, value: member(operation, "value").cloned() })
}

fn invalid(detail: &str) -> Error {
    Error::new(ErrorKind::InvalidSyntax, detail)
}
