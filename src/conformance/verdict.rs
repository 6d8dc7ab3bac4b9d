//! How a check can end, and how much its end matters. Knows nothing of HTTP or of what is checked.

use std::fmt;
use std::rc::Rc;

use super::exchange::Exchange;

/// What the standard demands of a server, in the words of RFC 2119.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The RFCs demand it: a failure fails the run.
    Must,
    /// The RFCs recommend it: a failure is a warning.
    Should,
    /// The RFCs allow it: whoever offers it should offer it right, so a failure is a warning.
    May,
    /// A decision of scimd where the RFCs leave a choice: only checked on request, and then like [`Level::Must`].
    Ours,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::May => "MAY",
            Level::Ours => "OURS",
        })
    }
}

/// Why a check goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// The server does not do what the requirement says.
    Fail { reason: String, exchange: Option<Rc<Exchange>> },
    /// The check cannot be made with this server: what is missing.
    Skip(String),
    /// The requirement speaks of something that this server does not have, and need not have.
    NotApplicable(String),
    /// Somebody wants the whole run to end.
    Interrupted,
}

impl Stop {
    /// A failure that no single answer shows.
    pub(super) fn fail(reason: impl Into<String>) -> Stop {
        Stop::Fail { reason: reason.into(), exchange: None }
    }
}

/// What a check returns, and each step of it.
pub(super) type Verdict<T = ()> = Result<T, Stop>;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server does what the requirement says.
    Pass,
    /// The server does not do what the RFCs recommend, or does what they demand in an odd way.
    Warn,
    /// The server does not do what the RFCs demand.
    Fail,
    /// It fails, and whoever started the run said beforehand that it may.
    Known,
    /// It could not be checked with this server.
    Skipped,
    /// It does not concern this server.
    NotApplicable,
}

impl Outcome {
    /// Every outcome, in the order in which the summary counts them.
    pub const ALL: [Outcome; 6] =
        [Outcome::Pass, Outcome::Warn, Outcome::Fail, Outcome::Known, Outcome::Skipped, Outcome::NotApplicable];

    /// The word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Fail => "fail",
            Outcome::Known => "known",
            Outcome::Skipped => "skipped",
            Outcome::NotApplicable => "not applicable",
        }
    }
}

/// Something that holds, but oddly.
#[derive(Debug)]
pub(super) struct Remark {
    pub sentence: String,
    pub exchange: Rc<Exchange>,
}

/// How a check of this level ended that stopped here, or came through with these remarks; with the reason, and what was
/// sent and came. An interrupted check has not ended.
pub(super) fn judge(level: Level, verdict: Verdict, remarks: &[Remark]) -> Option<Judgement> {
    let judgement = match verdict {
        Ok(()) => match remarks {
            [] => Judgement { outcome: Outcome::Pass, reason: None, exchange: None },
            [first, ..] => {
                let sentences: Vec<&str> = remarks.iter().map(|remark| remark.sentence.as_str()).collect();
                let exchange = Some(first.exchange.clone());
                Judgement { outcome: Outcome::Warn, reason: Some(sentences.join("; ")), exchange }
            }
        },
        Err(Stop::Fail { reason, exchange }) => {
            let weighs = matches!(level, Level::Must | Level::Ours);
            let outcome = if weighs { Outcome::Fail } else { Outcome::Warn };
            Judgement { outcome, reason: Some(reason), exchange }
        }
        Err(Stop::Skip(reason)) => Judgement { outcome: Outcome::Skipped, reason: Some(reason), exchange: None },
        Err(Stop::NotApplicable(reason)) => {
            Judgement { outcome: Outcome::NotApplicable, reason: Some(reason), exchange: None }
        }
        Err(Stop::Interrupted) => return None,
    };
    Some(judgement)
}

/// An outcome and what there is to say of it.
#[derive(Debug)]
pub(super) struct Judgement {
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub exchange: Option<Rc<Exchange>>,
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Request;
    use super::*;

    fn outcome(level: Level, verdict: Verdict, remarks: &[Remark]) -> Outcome {
        judge(level, verdict, remarks).expect("a judgement").outcome
    }

    #[test]
    fn a_failure_weighs_as_much_as_the_standard_says() {
        assert_eq!(outcome(Level::Must, Err(Stop::fail("x")), &[]), Outcome::Fail);
        assert_eq!(outcome(Level::Ours, Err(Stop::fail("x")), &[]), Outcome::Fail);
        assert_eq!(outcome(Level::Should, Err(Stop::fail("x")), &[]), Outcome::Warn);
        assert_eq!(outcome(Level::May, Err(Stop::fail("x")), &[]), Outcome::Warn);
    }

    #[test]
    fn remarks_make_a_warning_of_a_pass_and_nothing_of_a_failure() {
        let exchange = Exchange::new(&Request::get("/"), "http://h/", Err("none"), "");
        let remarks = [Remark { sentence: "odd".to_owned(), exchange: exchange.into() }];
        assert_eq!(outcome(Level::Must, Ok(()), &remarks), Outcome::Warn);
        assert_eq!(outcome(Level::Must, Err(Stop::fail("x")), &remarks), Outcome::Fail);
        assert_eq!(outcome(Level::Must, Ok(()), &[]), Outcome::Pass);
    }

    #[test]
    fn an_interrupted_check_has_no_outcome() {
        assert!(judge(Level::Must, Err(Stop::Interrupted), &[]).is_none());
    }
}
