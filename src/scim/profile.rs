//! How much irregularity a client is allowed. Every API key carries one profile.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, ErrorKind};

/// How irregular requests are treated; conforming ones are answered alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The RFCs and what identity providers really send.
    #[default]
    Compat,
    /// The RFCs and nothing more.
    Strict,
}

impl Profile {
    /// The word for it in commands and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Profile::Compat => "compat",
            Profile::Strict => "strict",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "compat" => Ok(Profile::Compat),
            "strict" => Ok(Profile::Strict),
            _ => Err(Error::new(ErrorKind::InvalidValue, format!("'{text}' is not a profile; use compat or strict."))),
        }
    }
}
