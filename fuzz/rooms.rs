//! The rooms that read what strangers send, compiled alone: within seconds, and with every instruction of theirs
//! instrumented.
#![allow(dead_code, missing_docs, reason = "the rest of the house uses and documents them")]

#[path = "../src/scim/mod.rs"]
pub mod scim;

#[path = "../src/auth/token.rs"]
mod token;

/// Who is calling, as far as text goes.
pub mod auth {
    pub use crate::token::{Token, bearer};
}
