//! How much one PATCH, or the operations of a bulk request together, may cost. Operations times values is work that a
//! small body can ask for without measure.

use serde_json::Value;

use crate::scim::{Error, ErrorKind, Result};

/// The most looks at a value that the operations of one request may take together: an element is looked at once for each
/// term of the filter that selects it, and long text takes several looks. Roughly a second of work; a thousand operations
/// on five thousand values.
pub const MAX_WORK: usize = 5_000_000;

/// The most that they may take on a thread that serves other requests meanwhile: about two milliseconds.
const WORK_IN_PLACE: usize = MAX_WORK / 500;

/// Text that one look takes in, in bytes. Folding it for a comparison takes about as long as all the rest of a look.
const TEXT_OF_A_LOOK: usize = 64;

/// What of a stored document one look reads and writes again, in bytes: to parse it, to hold it against another one and
/// to store it takes less for a byte than to compare it does.
const DOCUMENT_OF_A_LOOK: usize = 8;

/// What it costs to ask the store for one member.
const LOOK_UP: usize = 500;

/// What is left of [`MAX_WORK`]; `None` once it was not enough.
#[derive(Debug)]
pub struct Budget(Option<usize>);

impl Budget {
    /// That of a whole request.
    pub fn full() -> Budget {
        Budget(Some(MAX_WORK))
    }

    /// That of a request that is tried on a thread that serves others.
    pub fn in_place() -> Budget {
        Budget(Some(WORK_IN_PLACE))
    }

    /// Takes off the cost of so many [`looks`], each for that many terms.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when there is not enough left, now and from here on.
    pub(super) fn spend(&mut self, looks: usize, terms: usize) -> Result<()> {
        self.0 = self.0.and_then(|left| left.checked_sub(looks.saturating_mul(terms)));
        self.check()
    }

    /// Takes off the cost of another operation on a resource that an earlier one of the same request was about: of reading
    /// and writing its document of so many bytes, and of showing what it has beside it, in [`looks`].
    ///
    /// # Errors
    /// As for all other work: [`ErrorKind::TooLarge`].
    pub fn go_over_again(&mut self, document: usize, beside: usize) -> Result<()> {
        self.spend(document / DOCUMENT_OF_A_LOOK + beside, 1)
    }

    /// Refuses to begin what could not be paid.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if there was not enough left for something before.
    pub fn check(&self) -> Result<()> {
        if self.0.is_some() {
            return Ok(());
        }
        let detail = "The operations of this request touch too many values; send them in several requests.";
        Err(Error::new(ErrorKind::TooLarge, detail))
    }

    /// Takes off the cost of writing one value to so many places. All but the first are copies, which take memory that
    /// the client has not sent: every byte counts.
    pub(super) fn copy(&mut self, value: &Value, places: usize) -> Result<()> {
        self.spend(size(value), places.saturating_sub(1))
    }

    /// Takes off the cost of asking the store for so many members.
    pub(super) fn look_up(&mut self, members: usize) -> Result<()> {
        self.spend(members, LOOK_UP)
    }
}

/// How many looks it takes to see all of these values.
pub fn looks<'v>(values: impl IntoIterator<Item = &'v Value>) -> usize {
    values.into_iter().map(|value| 1 + size(value) / TEXT_OF_A_LOOK).sum()
}

/// The bytes of a value, about.
fn size(value: &Value) -> usize {
    const SIMPLE: usize = 8;
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|value| SIMPLE + size(value)).sum(),
        Value::Object(parts) => parts.values().map(size).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => SIMPLE,
    }
}
