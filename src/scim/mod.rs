//! What SCIM is: schemas, documents, filters, PATCH. No I/O, no clock, no SQL, no HTTP (RFC 7643, RFC 7644).

pub mod error;

pub use error::{Error, ErrorKind, Result};
