//! Every way a request can fail, with its status and `scimType` (RFC 7644 §3.12, RFC 9865 §2.1) in one table.
//!
//! Inner rooms speak of kinds; only [`ErrorKind::status`] and [`ErrorKind::scim_type`] know numbers and keywords.

use std::fmt;
use std::sync::Arc;

/// The outcome of anything that can fail on behalf of a caller.
pub type Result<T> = std::result::Result<T, Error>;

/// As much of a name or an id that a caller sent as an error repeats: its first hundred characters.
pub fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Why a request failed. A closed list: each kind has one status and at most one `scimType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A filter that does not parse, or compares what cannot be compared.
    InvalidFilter,
    /// A unique value is held by another live resource.
    Uniqueness,
    /// A change of a readOnly or immutable attribute, or the removal of a required one.
    Mutability,
    /// The body is not the message that the endpoint expects.
    InvalidSyntax,
    /// A PATCH path that does not parse or names an undefined attribute.
    InvalidPath,
    /// A PATCH operation whose path selects nothing.
    NoTarget,
    /// A value that is missing, of the wrong type, or out of range.
    InvalidValue,
    /// A protocol version other than 2.
    InvalidVersion,
    /// A cursor that was not given for this query, or not by us (RFC 9865 §2.1).
    InvalidCursor,
    /// A cursor that is too old (RFC 9865 §2.1).
    ExpiredCursor,
    /// A page size that is no number, or not that of the walk (RFC 9865 §2.1).
    InvalidCount,
    /// Confidential data in a query string (RFC 7644 §7.5.2).
    Sensitive,
    /// Credentials are missing, wrong, expired or revoked.
    Unauthorized,
    /// The caller is known and may not do this.
    Forbidden,
    /// There are as many resources already as an operator allows.
    LimitReached,
    /// No such resource or endpoint for this caller.
    NotFound,
    /// The endpoint exists and does not know the method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    Timeout,
    /// An operation of a bulk request refers to a resource that another one failed to create, or that can't be created
    /// before it.
    DependencyFailed,
    /// The resource is not in the state that the caller's precondition names.
    PreconditionFailed,
    /// The tenant wants a precondition, and there is none.
    PreconditionRequired,
    /// The body exceeds a limit.
    TooLarge,
    /// The body is of a media type or charset that is not JSON in UTF-8.
    UnsupportedMediaType,
    /// More work than this server takes at once; worth a retry.
    Busy,
    /// A feature that this server does not offer.
    NotImplemented,
    /// Starting, stopping, or without its database; worth a retry.
    Unavailable,
    /// Our fault.
    Internal,
}

impl ErrorKind {
    /// All kinds, for tests that hold the table against its uses.
    pub const ALL: [ErrorKind; 27] = [
        ErrorKind::InvalidFilter,
        ErrorKind::Uniqueness,
        ErrorKind::Mutability,
        ErrorKind::InvalidSyntax,
        ErrorKind::InvalidPath,
        ErrorKind::NoTarget,
        ErrorKind::InvalidValue,
        ErrorKind::InvalidVersion,
        ErrorKind::InvalidCursor,
        ErrorKind::ExpiredCursor,
        ErrorKind::InvalidCount,
        ErrorKind::Sensitive,
        ErrorKind::Unauthorized,
        ErrorKind::Forbidden,
        ErrorKind::LimitReached,
        ErrorKind::NotFound,
        ErrorKind::MethodNotAllowed,
        ErrorKind::Timeout,
        ErrorKind::DependencyFailed,
        ErrorKind::PreconditionFailed,
        ErrorKind::PreconditionRequired,
        ErrorKind::TooLarge,
        ErrorKind::UnsupportedMediaType,
        ErrorKind::Busy,
        ErrorKind::NotImplemented,
        ErrorKind::Unavailable,
        ErrorKind::Internal,
    ];

    /// The HTTP status code (RFC 7644 Table 8).
    pub const fn status(self) -> u16 {
        self.entry().0
    }

    /// The `scimType` keyword (RFC 7644 Table 9, RFC 9865 §2.1), where there is one.
    pub const fn scim_type(self) -> Option<&'static str> {
        self.entry().1
    }

    /// Whether the request would have to be another one to succeed, rather than the server.
    pub const fn is_the_callers(self) -> bool {
        !matches!(self, ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Busy)
    }

    const fn entry(self) -> (u16, Option<&'static str>) {
        match self {
            ErrorKind::InvalidFilter => (400, Some("invalidFilter")),
            ErrorKind::Uniqueness => (409, Some("uniqueness")),
            ErrorKind::Mutability => (400, Some("mutability")),
            ErrorKind::InvalidSyntax => (400, Some("invalidSyntax")),
            ErrorKind::InvalidPath => (400, Some("invalidPath")),
            ErrorKind::NoTarget => (400, Some("noTarget")),
            ErrorKind::InvalidValue => (400, Some("invalidValue")),
            ErrorKind::InvalidVersion => (400, Some("invalidVers")),
            ErrorKind::InvalidCursor => (400, Some("invalidCursor")),
            ErrorKind::ExpiredCursor => (400, Some("expiredCursor")),
            ErrorKind::InvalidCount => (400, Some("invalidCount")),
            ErrorKind::Sensitive => (403, Some("sensitive")),
            ErrorKind::Unauthorized => (401, None),
            ErrorKind::Forbidden | ErrorKind::LimitReached => (403, None),
            ErrorKind::NotFound => (404, None),
            ErrorKind::MethodNotAllowed => (405, None),
            ErrorKind::Timeout => (408, None),
            ErrorKind::DependencyFailed => (409, None),
            ErrorKind::PreconditionFailed => (412, None),
            ErrorKind::PreconditionRequired => (428, None),
            ErrorKind::TooLarge => (413, None),
            ErrorKind::UnsupportedMediaType => (415, None),
            ErrorKind::Busy => (429, None),
            ErrorKind::NotImplemented => (501, None),
            ErrorKind::Unavailable => (503, None),
            ErrorKind::Internal => (500, None),
        }
    }
}

/// A failed request: the kind, a sentence for the client, and the cause for the log.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    detail: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a sentence for the client that names the attribute, path or offset at fault.
    ///
    /// `detail` never holds secrets, SQL or another tenant's data (ERR-03).
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Error { kind, detail: detail.into(), source: None }
    }

    /// Our own fault, with the cause for the log; the client learns nothing of it.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::new(ErrorKind::Internal, "The server failed to process the request.").with_source(source)
    }

    /// A failure that came to several at once, for one of them.
    pub fn shared(failure: &Arc<Error>) -> Self {
        Error::new(failure.kind, failure.detail.clone()).with_source(Arc::clone(failure))
    }

    /// The same error with the cause that the log shall show.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Why the request failed.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence for the client.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn err_01_scim_types_only_come_from_the_tables() {
        let known = [
            "invalidFilter",
            "tooMany",
            "uniqueness",
            "mutability",
            "invalidSyntax",
            "invalidPath",
            "noTarget",
            "invalidValue",
            "invalidVers",
            "invalidCursor",
            "expiredCursor",
            "invalidCount",
            "sensitive",
        ];
        for kind in ErrorKind::ALL {
            assert!(kind.scim_type().is_none_or(|scim_type| known.contains(&scim_type)), "{kind:?}");
            assert!((400..600).contains(&kind.status()), "{kind:?}");
        }
    }
}
