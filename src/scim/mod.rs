//! What SCIM is: schemas, documents, filters, PATCH. No I/O, no clock, no SQL, no HTTP (RFC 7643, RFC 7644).

pub mod accept;
pub mod bulk;
pub mod cursor;
pub mod discovery;
pub mod error;
pub mod filter;
pub mod group_name;
pub mod json;
pub mod json_schema;
pub mod key;
pub mod message;
pub mod paging;
pub mod password;
pub mod patch;
pub mod path;
pub mod precis;
pub mod profile;
pub mod projection;
pub mod query;
pub mod query_string;
pub mod raw;
pub mod resource;
pub mod schema;
pub mod tolerance;
pub mod version;
pub mod withheld;

pub use error::{Error, ErrorKind, Result, shortened};
pub use profile::Profile;
