//! How much one PATCH may cost. Operations times values is work that a small body can ask for without measure.

use crate::scim::{Error, ErrorKind, Result};

/// The most elements that the operations of one request may look at together, an element counting once for each term of
/// the filter that selects it. Roughly a second of work; a thousand operations on five thousand values.
pub const MAX_WORK: usize = 5_000_000;

/// What is left of [`MAX_WORK`]; `None` once it was not enough.
#[derive(Debug)]
pub struct Budget(Option<usize>);

impl Budget {
    /// That of a whole request.
    pub fn full() -> Budget {
        Budget(Some(MAX_WORK))
    }

    /// Takes off the cost of a step.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when there is not enough left, now and from here on.
    pub(super) fn spend(&mut self, elements: usize, terms: usize) -> Result<()> {
        self.0 = self.0.and_then(|left| left.checked_sub(elements.saturating_mul(terms)));
        self.check()
    }

    /// Refuses to begin what could not be paid.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.is_some() {
            return Ok(());
        }
        let detail = "The operations of this request touch too many values; send them in several requests.";
        Err(Error::new(ErrorKind::TooLarge, detail))
    }
}
