//! What several test binaries share: a throwaway PostgreSQL, a client that sends bytes as they are, the recorded
//! conversations of identity providers, and a Pocket ID. Knows the wire and nothing of the server's inside.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of this module")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

pub mod answer;
pub mod http;
pub mod matcher;
pub mod pocket_id;
pub mod postgres;
pub mod test_type;
pub mod transcript;
