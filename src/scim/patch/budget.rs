//! How much one PATCH may cost. Operations times values is work that a small body can ask for without measure.

use crate::scim::{Error, ErrorKind, Result};

/// The most elements that the operations of one request may look at together, an element counting once for each term of
/// the filter that selects it. Roughly a second of work; a thousand operations on five thousand values.
pub const MAX_WORK: usize = 5_000_000;

/// What is left of [`MAX_WORK`].
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn full() -> Budget {
        Budget(MAX_WORK)
    }

    /// Takes off the cost of a step; `TooLarge` when there is nothing left.
    pub(super) fn spend(&mut self, elements: usize, terms: usize) -> Result<()> {
        let left = self.0.checked_sub(elements.saturating_mul(terms));
        self.0 = left.ok_or_else(|| {
            let detail = "The operations of this request touch too many values; send them in several requests.";
            Error::new(ErrorKind::TooLarge, detail)
        })?;
        Ok(())
    }
}
