//! Database failure → [`scim::Error`](crate::scim::Error).

use std::fmt;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::scim::{Error, ErrorKind};

/// Any failure of a statement. What the caller could have avoided is told apart from what is our fault; callers that
/// know the statement better use [`unique`].
pub fn from_diesel(error: DieselError) -> Error {
    let kind = match &error {
        DieselError::DatabaseError(kind, _) => kind,
        _ => return Error::internal(error),
    };
    let message = error.to_string();
    match kind {
        DatabaseErrorKind::UniqueViolation if violates_internal_name(&error) => rerun(error),
        DatabaseErrorKind::UniqueViolation => {
            Error::new(ErrorKind::Uniqueness, "A unique value is already in use.").with_source(error)
        }
        DatabaseErrorKind::SerializationFailure => rerun(error),
        DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => lost(error),
        DatabaseErrorKind::ReadOnlyTransaction => read_only(error),
        _ if message.contains("deadlock detected") => rerun(error),
        _ if message.contains("database is locked") || message.contains("database table is locked") => {
            Error::new(ErrorKind::Busy, "The database is busy; try again.").with_source(error)
        }
        _ if message.contains("disk is full") || message.contains("No space left") || message.contains("disk I/O") => {
            Error::new(ErrorKind::Unavailable, "The database can't store more at the moment; try again later.")
                .with_source(error)
        }
        _ if message.contains("readonly database") => read_only(error),
        _ if message.contains("terminating connection") || message.contains("server closed the connection") => {
            lost(error)
        }
        _ => Error::internal(error),
    }
}

/// As [`from_diesel`], with a sentence of its own for a unique value that is taken.
pub fn unique(error: DieselError, detail: String) -> Error {
    let error = from_diesel(error);
    match error.kind() {
        ErrorKind::Uniqueness => Error::new(ErrorKind::Uniqueness, detail),
        _ => error,
    }
}

/// Another transaction was in the way: the same work may succeed when it runs again.
fn rerun(error: DieselError) -> Error {
    Error::new(ErrorKind::Busy, "Too many changes at once; try again.").with_source(Rerun(error))
}

/// Whether running the same work again may succeed.
pub(super) fn is_rerun(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Rerun>())
}

/// Whether the connection was lost, rather than the statement refused.
pub(super) fn is_lost(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Lost>())
}

/// A connection that is lost while it commits leaves open whether the change took place: it must not run again.
pub(super) fn at_commit(error: Error) -> Error {
    if !is_lost(&error) {
        return error;
    }
    let detail = "The database went away while it stored the change; it may have taken place.";
    Error::new(ErrorKind::Unavailable, detail).with_source(error)
}

fn lost(error: DieselError) -> Error {
    Error::new(ErrorKind::Unavailable, "The database can't be reached at the moment; try again.").with_source(Lost(error))
}

fn read_only(error: DieselError) -> Error {
    Error::new(ErrorKind::Unavailable, "The database takes no changes at the moment; try again later.").with_source(error)
}

/// Two groups that were named at once chose the same internal name.
fn violates_internal_name(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(_, info) => info.constraint_name() == Some("resources_internal_name"),
        _ => false,
    }
}

#[derive(Debug)]
struct Rerun(DieselError);

#[derive(Debug)]
struct Lost(DieselError);

impl fmt::Display for Rerun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in the way of another transaction: {}", self.0)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection lost: {}", self.0)
    }
}

impl std::error::Error for Rerun {}
impl std::error::Error for Lost {}
