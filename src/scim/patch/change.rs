//! An operation without its path, and the refusals that every kind of target shares. Knows nothing of what is changed.

use serde_json::Value;

use super::Op;
use crate::scim::{Error, ErrorKind, Result};

/// An operation without its path.
#[derive(Clone, Copy)]
pub(super) enum Change<'v> {
    Add(&'v Value),
    Replace(&'v Value),
    /// With the value that the client sent along, unless it is `null`.
    Remove(Option<&'v Value>),
}

impl<'v> Change<'v> {
    pub(super) fn of(op: Op, value: Option<&'v Value>) -> Result<Change<'v>> {
        match (op, value) {
            (Op::Add, Some(value)) => Ok(Change::Add(value)),
            (Op::Replace, Some(value)) => Ok(Change::Replace(value)),
            (Op::Remove, value) => Ok(Change::Remove(value.filter(|value| !value.is_null()))),
            (_, None) => Err(invalid("add and replace need a value.".to_owned())),
        }
    }
}

/// A value that an operation can't take.
pub(super) fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidValue, detail)
}

/// A path that selects nothing (PATCH-04).
pub(super) fn no_target(detail: String) -> Error {
    Error::new(ErrorKind::NoTarget, detail)
}
