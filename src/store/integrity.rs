//! Whether the database agrees with itself: everything that follows from the documents against the documents.
//!
//! An [`Inspection`] walks the tables piece by piece in bounded memory, each piece in one snapshot, so a running server
//! is neither held up nor suspected: whatever is called a flaw is one at a single moment. [`mend()`] puts right what can be
//! derived from the documents. Documents themselves are never touched, nor is the history.

mod flaw;
mod inspection;
mod known;
mod mend;
mod relations;
mod row;
mod sums;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Connection, Reach, Store};
use crate::scim::schema::Registry;
use crate::scim::{ErrorKind, Result};

pub use self::flaw::{Flaw, FlawKind, Outcome, Subject};
pub use self::inspection::{Inspection, Tally};
pub use self::mend::mend;

/// What an inspection of everything has looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspected {
    /// How much.
    pub tally: Tally,
    /// See [`Inspection::unchecked`].
    pub unchecked: BTreeSet<(String, String)>,
}

/// How many flaws are mended in one transaction.
const MENDED_AT_ONCE: usize = 20;

impl Store {
    /// Looks at everything, beside the work of a server, and mends what it finds if asked; `tell` hears of each flaw, and
    /// of what became of it where it was to be mended. If the caller goes away, the piece at hand is done to its end and
    /// no other one begins; until then `held` is not dropped.
    ///
    /// # Errors
    /// Database failures. What is mended by then stays mended.
    pub async fn inspect(
        &self,
        registry: &'static Registry,
        now: DateTime<Utc>,
        repair: bool,
        held: impl Clone + Send + 'static,
        mut tell: impl FnMut(Flaw, Option<Outcome>),
    ) -> Result<Inspected> {
        let inspection = Arc::new(Mutex::new(Inspection::new(registry, now)));
        while let Some(flaws) = self.next_piece(&inspection, &held).await? {
            if !repair {
                flaws.into_iter().for_each(|flaw| tell(flaw, None));
                continue;
            }
            for some in flaws.chunks(MENDED_AT_ONCE) {
                let mended = patiently(|| {
                    let (work, held) = (some.to_vec(), held.clone());
                    self.write(move |connection: &mut Connection| {
                        let _ = &held;
                        work.iter().map(|flaw| mend(connection, registry, flaw)).collect::<Result<Vec<_>>>()
                    })
                });
                let outcomes = mended.await?;
                some.iter().zip(outcomes).for_each(|(flaw, outcome)| tell(flaw.clone(), Some(outcome)));
            }
        }
        let inspection = inspection.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Inspected { tally: inspection.tally(), unchecked: inspection.unchecked().clone() })
    }

    async fn next_piece(
        &self,
        inspection: &Arc<Mutex<Inspection>>,
        held: &(impl Clone + Send + 'static),
    ) -> Result<Option<Vec<Flaw>>> {
        let look = || {
            let (inspection, held) = (Arc::clone(inspection), held.clone());
            self.read(Reach::Scan, move |connection: &mut Connection| {
                let _held = held;
                inspection.lock().unwrap_or_else(PoisonError::into_inner).next(connection)
            })
        };
        patiently(look).await
    }
}

/// The requests of clients come first: who is told that the database is busy waits and asks again.
async fn patiently<T, F: Future<Output = Result<T>>>(mut ask: impl FnMut() -> F) -> Result<T> {
    let mut attempts = 0;
    loop {
        match ask().await {
            Err(error) if error.kind() == ErrorKind::Busy && attempts < ATTEMPTS => attempts += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How often, and how long.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
