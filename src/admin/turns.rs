//! How much of what is heavy goes on at once in this process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::scim::{Error, ErrorKind, Result};

/// How many imports run at once: each may fill a disk with what it brings, and its check holds a connection.
const IMPORTS: usize = 2;

/// The turns that are not taken. All clones are one.
#[derive(Clone)]
pub(super) struct Turns {
    examinations: Arc<Semaphore>,
    verifications: Arc<Semaphore>,
    backups: Arc<Semaphore>,
    imports: Arc<Semaphore>,
}

/// A turn at heavy work. It ends with the last of its clones, so work that goes on without its caller keeps one.
#[derive(Debug, Clone)]
pub struct Turn {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Turns {
    pub fn new() -> Turns {
        let turns = |number| Arc::new(Semaphore::new(number));
        Turns { examinations: turns(1), verifications: turns(1), backups: turns(1), imports: turns(IMPORTS) }
    }

    /// To read all of the database and compare it.
    ///
    /// # Errors
    /// `Busy` while another examination has it.
    pub fn examination(&self) -> Result<Turn> {
        take(&self.examinations, "The doctor is at work already; please try again shortly.")
    }

    /// To walk the whole history.
    ///
    /// # Errors
    /// `Busy` while another verification has it.
    pub fn verification(&self) -> Result<Turn> {
        take(&self.verifications, "The history is being verified already; please try again shortly.")
    }

    /// To write a copy of the database beside it.
    ///
    /// # Errors
    /// `Busy` while another backup has it.
    pub fn backup(&self) -> Result<Turn> {
        take(&self.backups, "Another backup is under way; please try again shortly.")
    }

    /// To bring an import in.
    ///
    /// # Errors
    /// `Busy` while others have all of them.
    pub fn import(&self) -> Result<Turn> {
        take(&self.imports, "Other imports are under way; please try again shortly.")
    }
}

fn take(turns: &Arc<Semaphore>, busy: &str) -> Result<Turn> {
    let permit = Arc::clone(turns).try_acquire_owned().map_err(|_| Error::new(ErrorKind::Busy, busy))?;
    Ok(Turn { _permit: Arc::new(permit) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_free_again_when_nobody_works_on_it() {
        let turns = Turns::new();
        for turn in [Turns::examination, Turns::verification, Turns::backup] {
            let taken = turn(&turns).expect("free");
            let at_work = taken.clone();
            drop(taken);

            let refused = turn(&turns.clone()).expect_err("the work goes on");
            assert_eq!(refused.kind(), ErrorKind::Busy);
            drop(at_work);
            assert!(turn(&turns).is_ok());
        }
        let imports = [turns.import(), turns.import()];
        assert!(imports.iter().all(Result::is_ok) && turns.import().is_err());
    }
}
