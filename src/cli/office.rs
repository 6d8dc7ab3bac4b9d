//! Where commands ask: at the database at hand, or at a server that may be anywhere.

mod server;

use crate::admin::{Desk, Operation, Page};
use crate::scim::{Error, ErrorKind, Result};

pub use self::server::Server;

/// The most that stands on a page.
const PAGE: usize = 1000;

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

    /// What a question finds, page after page, as many as `most`; and whether there is more. The question is asked with
    /// the place behind the page before, and the number of things to find.
    ///
    /// # Errors
    /// As [`Office::ask`].
    pub async fn walk<O, T>(
        &self,
        most: usize,
        question: impl Fn(Option<String>, Option<u32>) -> O,
    ) -> Result<(Vec<T>, bool)>
    where
        O: Operation<Outcome = Page<T>>,
    {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let count = (most - found.len()).min(PAGE) as u32;
            let page = self.ask(question(after, Some(count))).await?;
            found.extend(page.items);
            match page.next {
                Some(next) if found.len() < most => after = Some(next),
                next => return Ok((found, next.is_some())),
            }
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
