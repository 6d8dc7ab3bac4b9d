//! A check and what is known of it before it runs.

use super::server::Need;
use super::trial::Trial;
use super::verdict::{Level, Verdict};

/// One requirement put to the test.
pub(super) struct Check {
    /// The ids of the requirements that it checks, the main one first.
    pub ids: &'static [&'static str],
    pub level: Level,
    /// The RFC and the section that demand it.
    pub rfc: &'static str,
    /// What must hold, in one line.
    pub title: &'static str,
    pub needs: &'static [Need],
    pub run: fn(&mut Trial<'_>) -> Verdict,
}

/// Checks of one subject.
pub(super) struct Section {
    pub title: &'static str,
    pub checks: &'static [Check],
}

type Ids = &'static [&'static str];
type Run = fn(&mut Trial<'_>) -> Verdict;

pub(super) const fn must(ids: Ids, rfc: &'static str, title: &'static str, run: Run) -> Check {
    Check { ids, level: Level::Must, rfc, title, needs: &[], run }
}

pub(super) const fn should(ids: Ids, rfc: &'static str, title: &'static str, run: Run) -> Check {
    Check { level: Level::Should, ..must(ids, rfc, title, run) }
}

pub(super) const fn may(ids: Ids, rfc: &'static str, title: &'static str, run: Run) -> Check {
    Check { level: Level::May, ..must(ids, rfc, title, run) }
}

pub(super) const fn ours(ids: Ids, rfc: &'static str, title: &'static str, run: Run) -> Check {
    Check { level: Level::Ours, ..must(ids, rfc, title, run) }
}

impl Check {
    /// The same check, skipped where the server lacks something.
    pub(super) const fn needs(self, needs: &'static [Need]) -> Check {
        Check { needs, ..self }
    }

    /// Whether somebody who names this id or this beginning of ids means the check: `BULK` means `BULK-01`, and `P1`
    /// does not mean `P10`.
    pub(super) fn is_meant_by(&self, wanted: &str) -> bool {
        self.ids.iter().any(|id| {
            let rest = id.get(..wanted.len()).filter(|start| start.eq_ignore_ascii_case(wanted));
            rest.is_some() && matches!(id.as_bytes().get(wanted.len()), None | Some(b'-'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_whole_beginnings_of_ids_mean_a_check() {
        let check = must(&["BULK-01", "P10"], "", "", |_| Ok(()));
        for wanted in ["BULK-01", "bulk", "p10"] {
            assert!(check.is_meant_by(wanted), "{wanted}");
        }
        for other in ["BUL", "BULK-0", "P1", "BULK-011", "é"] {
            assert!(!check.is_meant_by(other), "{other}");
        }
    }
}
