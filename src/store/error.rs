//! Database failure to [`Error`]: what the caller can do about it decides the kind.
//!
//! Knows the two databases' ways of saying "busy", "gone" and "full", and nothing of what was being stored. A missing row
//! is no error of the database, so `NotFound` becomes our own fault: whoever looks for a row asks with `optional()`.

use std::fmt;

use diesel::result::{DatabaseErrorKind, Error as DatabaseError};

use crate::scim::{Error, ErrorKind};

/// The index that keeps groups' internal names apart. Nobody sent that name, so its refusal is nobody's fault.
const INTERNAL_NAME_INDEX: &str = "resources_internal_name";

impl From<DatabaseError> for Error {
    fn from(failure: DatabaseError) -> Self {
        if is_conflict(&failure) {
            return again(failure);
        }
        if is_connection_lost(&failure) {
            return Error::new(ErrorKind::Unavailable, "The database cannot be reached at the moment.")
                .with_source(Passing(Box::new(failure)));
        }
        let (kind, detail) = match sort(&failure) {
            Sort::Unique => (ErrorKind::Uniqueness, "A value that must be unique is in use by another resource."),
            Sort::Busy => (ErrorKind::Busy, "The database is busy; please try again shortly."),
            Sort::Full => (ErrorKind::Unavailable, "The database has no room left on its disk."),
            Sort::ReadOnly => (ErrorKind::Unavailable, "The database accepts no changes at the moment."),
            Sort::Unreachable => (ErrorKind::Unavailable, "The database file cannot be read or written at the moment."),
            Sort::Other => return Error::internal(failure),
        };
        Error::new(kind, detail).with_source(failure)
    }
}

/// For `map_err`: a refusal by a unique index becomes [`ErrorKind::Uniqueness`] with this sentence, anything else what it
/// would have been without.
///
/// Which values a statement can collide on is known where the statement is written: SQLite names columns, PostgreSQL the
/// constraint, so the message is not asked.
pub fn unique(detail: impl Into<String>) -> impl FnOnce(DatabaseError) -> Error {
    move |failure| match sort(&failure) {
        Sort::Unique if !is_conflict(&failure) => Error::new(ErrorKind::Uniqueness, detail).with_source(failure),
        _ => failure.into(),
    }
}

/// The whole work shall run again on a fresh snapshot: a transaction of the same moment was in the way.
///
/// `Store::write` heeds it a few times; whoever sees it after that is told to try again ([`ErrorKind::Busy`]).
pub fn again(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Busy, "Other changes of the same moment were in the way; please try again.")
        .with_source(Passing(cause.into()))
}

/// Whether the work may simply run again, nothing of it having been stored.
pub(super) fn may_run_again(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Passing>())
}

/// Another transaction keeps a tenant to itself, perhaps for long: whoever would write in it waits without a connection.
///
/// `Store::write` tries again for a while; whoever sees it after that is told to try again ([`ErrorKind::Busy`]).
pub(super) fn held() -> Error {
    let detail = "All of this tenant is being changed at the moment; please try again shortly.";
    Error::new(ErrorKind::Busy, detail).with_source(Held)
}

/// Whether [`held`] has made it.
pub(super) fn is_held(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Held>())
}

/// The failure of a COMMIT. If the connection broke just then, nobody knows the outcome and nothing may run again. Nor does
/// anybody if the disk failed: what SQLite could not sync stands in its log, and is found there if the process ends before
/// something else is written in its place.
pub(super) fn of_commit(failure: DatabaseError) -> Error {
    let detail = match () {
        () if is_connection_lost(&failure) => LOST_AT_COMMIT,
        () if sort(&failure) == Sort::Unreachable => {
            "The database file could not be written while a change was being stored; whether it was stored is unknown."
        }
        () => return failure.into(),
    };
    Error::new(ErrorKind::Unavailable, detail).with_source(failure)
}

/// Whether the connection is gone: within a transaction nothing of it is stored. Of a statement that is one by itself nobody
/// knows that ([`unknown`]).
pub(super) fn is_lost(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable && may_run_again(error)
}

/// What a lost connection is where it may have been lost in a COMMIT. Nothing may run again.
pub(super) fn unknown(failure: Error) -> Error {
    Error::new(ErrorKind::Unavailable, LOST_AT_COMMIT).with_source(failure)
}

const LOST_AT_COMMIT: &str =
    "The connection to the database was lost while a change was being stored; whether it was stored is unknown.";

/// What everybody gets who comes after `Store::close`.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "The server is stopping.")
}

/// What a panic inside a caller's work becomes.
pub(super) fn panicked(payload: &(dyn std::any::Any + Send)) -> Error {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Error::internal(format!("work in the store panicked: {message}"))
}

/// Whether what the database gave is no value of its type: somebody else has written it.
pub(super) fn is_unreadable(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    matches!(cause, Some(DatabaseError::DeserializationError(_)))
}

/// Whether somebody else holds the lock that was asked for.
pub(super) fn is_busy(failure: &DatabaseError) -> bool {
    sort(failure) == Sort::Busy
}

/// Whether the disk has no room left.
pub(super) fn is_full(failure: &DatabaseError) -> bool {
    sort(failure) == Sort::Full
}

/// Whether the connection is gone; what it had not committed is then undone.
pub(super) fn is_connection_lost(failure: &DatabaseError) -> bool {
    match failure {
        DatabaseError::DatabaseError(kind, information) => {
            matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand)
                || (*kind == DatabaseErrorKind::Unknown
                    && contains_any(
                        information.message(),
                        &["terminating connection", "server closed the connection", "connection to server was lost"],
                    ))
        }
        DatabaseError::BrokenTransactionManager => true,
        DatabaseError::RollbackErrorOnCommit { commit_error, .. } => is_connection_lost(commit_error),
        _ => false,
    }
}

/// The mark of an error that may be gone at the next attempt.
#[derive(Debug)]
struct Passing(Box<dyn std::error::Error + Send + Sync>);

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Passing {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// The mark of an error that is gone when another transaction ends.
#[derive(Debug)]
struct Held;

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another transaction keeps the tenant to itself")
    }
}

impl std::error::Error for Held {}

#[derive(Debug, PartialEq, Eq)]
enum Sort {
    Unique,
    Busy,
    Full,
    ReadOnly,
    Unreachable,
    Other,
}

/// diesel hands out no SQLSTATE and no SQLite code beyond a few kinds; for the others the message must do. SQLite's are
/// fixed English, PostgreSQL's are asked for in English when a connection opens.
fn sort(failure: &DatabaseError) -> Sort {
    let (kind, message) = match failure {
        DatabaseError::DatabaseError(kind, information) => (kind, information.message()),
        DatabaseError::RollbackErrorOnCommit { commit_error, .. } => return sort(commit_error),
        _ => return Sort::Other,
    };
    match kind {
        DatabaseErrorKind::UniqueViolation => return Sort::Unique,
        DatabaseErrorKind::ReadOnlyTransaction => return Sort::ReadOnly,
        DatabaseErrorKind::Unknown => {}
        _ => return Sort::Other,
    }
    let known: [(Sort, &[&str]); 4] = [
        (Sort::Busy, &["is locked", "lock timeout", "statement timeout", "too many clients", "connection slots"]),
        (Sort::Full, &["disk is full", "No space left on device", "disk full"]),
        (Sort::ReadOnly, &["readonly database", "read-only transaction"]),
        (Sort::Unreachable, &["disk I/O error", "unable to open database file"]),
    ];
    known.into_iter().find(|(_, phrases)| contains_any(message, phrases)).map_or(Sort::Other, |(sort, _)| sort)
}

/// Whether a concurrent transaction was in the way and the same work would pass on its own.
fn is_conflict(failure: &DatabaseError) -> bool {
    match failure {
        DatabaseError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        DatabaseError::DatabaseError(DatabaseErrorKind::UniqueViolation, information) => {
            information.constraint_name() == Some(INTERNAL_NAME_INDEX)
        }
        DatabaseError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            contains_any(information.message(), &["deadlock"])
        }
        DatabaseError::RollbackErrorOnCommit { commit_error, .. } => is_conflict(commit_error),
        _ => false,
    }
}

fn contains_any(message: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| message.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: DatabaseErrorKind, message: &str) -> DatabaseError {
        DatabaseError::DatabaseError(kind, Box::new(message.to_owned()))
    }

    #[test]
    fn each_failure_gets_the_kind_that_tells_what_to_do() {
        let cases = [
            (DatabaseErrorKind::UniqueViolation, "UNIQUE constraint failed: t.c", ErrorKind::Uniqueness, false),
            (DatabaseErrorKind::Unknown, "database is locked", ErrorKind::Busy, false),
            (DatabaseErrorKind::Unknown, "canceling statement due to statement timeout", ErrorKind::Busy, false),
            (DatabaseErrorKind::Unknown, "canceling statement due to lock timeout", ErrorKind::Busy, false),
            (DatabaseErrorKind::Unknown, "database or disk is full", ErrorKind::Unavailable, false),
            (DatabaseErrorKind::Unknown, "attempt to write a readonly database", ErrorKind::Unavailable, false),
            (DatabaseErrorKind::ClosedConnection, "no connection to the server", ErrorKind::Unavailable, true),
            (DatabaseErrorKind::SerializationFailure, "could not serialize access", ErrorKind::Busy, true),
            (DatabaseErrorKind::Unknown, "deadlock detected", ErrorKind::Busy, true),
            (DatabaseErrorKind::NotNullViolation, "null value", ErrorKind::Internal, false),
            (DatabaseErrorKind::Unknown, "near \"FORM\": syntax error", ErrorKind::Internal, false),
        ];
        for (kind, message, expected, again) in cases {
            let error = Error::from(failure(kind, message));
            assert_eq!((error.kind(), may_run_again(&error)), (expected, again), "{message}");
            assert!(!error.detail().contains(message), "the client learns nothing of {message}");
        }
    }

    #[test]
    fn a_row_that_is_not_there_is_not_blindly_a_404() {
        assert_eq!(Error::from(DatabaseError::NotFound).kind(), ErrorKind::Internal);
    }

    #[test]
    fn the_statement_gives_the_sentence_of_a_unique_violation_only() {
        let taken = unique("The name is taken.")(failure(DatabaseErrorKind::UniqueViolation, "…"));
        let other = unique("The name is taken.")(failure(DatabaseErrorKind::CheckViolation, "…"));

        assert_eq!((taken.kind(), taken.detail()), (ErrorKind::Uniqueness, "The name is taken."));
        assert_eq!(other.kind(), ErrorKind::Internal);
    }

    #[test]
    fn a_commit_that_was_cut_off_never_runs_again() {
        let error = of_commit(failure(DatabaseErrorKind::ClosedConnection, "server closed the connection"));

        assert_eq!((error.kind(), may_run_again(&error)), (ErrorKind::Unavailable, false));
    }

    #[test]
    fn a_commit_that_the_disk_did_not_confirm_is_not_called_undone() {
        let unsynced = of_commit(failure(DatabaseErrorKind::Unknown, "disk I/O error"));
        let no_room = of_commit(failure(DatabaseErrorKind::Unknown, "database or disk is full"));

        assert!(unsynced.detail().contains("unknown"), "{}", unsynced.detail());
        assert!(!no_room.detail().contains("unknown"), "{}", no_room.detail());
        assert_eq!([unsynced.kind(), no_room.kind()], [ErrorKind::Unavailable; 2]);
    }
}
