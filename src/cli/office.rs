//! Where commands ask: at the database at hand, or at a server that may be anywhere.

mod server;

use crate::admin::{Desk, Operation};
use crate::scim::{Error, ErrorKind, Result};

pub use self::server::Server;

/// Who answers the questions of commands.
pub enum Office {
    /// The database at hand.
    Here(Box<Desk>),
    /// A server with the admin API.
    There(Server),
}

impl Office {
    /// The answer to a question.
    ///
    /// # Errors
    /// Those of the operation; for a server, also that it does not answer, or does not know the key.
    pub async fn ask<O: Operation>(&self, question: O) -> Result<O::Outcome> {
        match self {
            Office::Here(desk) => question.carry_out(desk).await,
            Office::There(server) => server.ask(&question),
        }
    }

    /// The desk over the database at hand.
    ///
    /// # Errors
    /// `InvalidValue` where there is none.
    pub fn desk(&self) -> Result<&Desk> {
        match self {
            Office::Here(desk) => Ok(desk),
            Office::There(_) => {
                let detail =
                    "This command works on the database at hand alone; run it where the database is, without `--url`.";
                Err(Error::new(ErrorKind::InvalidValue, detail))
            }
        }
    }
}
