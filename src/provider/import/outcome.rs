//! What became of an import.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many problems are told of, and how many lines that were passed over; every line of a file may be one.
const MOST_PROBLEMS: usize = 1_000;

/// How many resources, by their type.
pub(super) type Counts = BTreeMap<String, u64>;

/// What became of an import, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Whether anything is kept.
    pub imported: bool,
    /// Whether it was only tried.
    pub dry_run: bool,
    /// How many resources come new, by their type.
    pub created: BTreeMap<String, u64>,
    /// How many that were there have changed, by their type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub updated: BTreeMap<String, u64>,
    /// Lines that were passed over, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Problem>,
    /// How many more lines were passed over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_skipped: u64,
    /// Why nothing is imported, line by line.
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_problems: u64,
    /// What may help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Its number, from 1.
    pub line: u64,
    /// The column that it is about, where the file has columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What is wrong, in half a sentence.
    pub reason: String,
}

impl Outcome {
    /// Notes what is wrong with a line.
    pub(super) fn refuse(&mut self, line: u64, reason: String) {
        self.refuse_column(line, None, reason);
    }

    /// Notes what is wrong with a column of a line.
    pub(super) fn refuse_column(&mut self, line: u64, column: Option<String>, reason: String) {
        match self.problems.len() < MOST_PROBLEMS {
            true => self.problems.push(Problem { line, column, reason }),
            false => self.more_problems += 1,
        }
    }

    /// Notes that a line was passed over, and why.
    pub(super) fn pass_over(&mut self, line: u64, column: Option<String>, reason: String) {
        match self.skipped.len() < MOST_PROBLEMS {
            true => self.skipped.push(Problem { line, column, reason }),
            false => self.more_skipped += 1,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_over_is_listed_up_to_a_number_and_counted_beyond() {
        let mut outcome = Outcome::default();
        for line in 0..MOST_PROBLEMS as u64 + 7 {
            outcome.pass_over(line, None, "it is there already".to_owned());
        }
        assert_eq!((outcome.skipped.len(), outcome.more_skipped), (MOST_PROBLEMS, 7));
    }
}
