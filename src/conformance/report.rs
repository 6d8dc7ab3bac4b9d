//! What a run has found, for people and for programs. Knows nothing of how it was found.

use serde_json::{Value, json};

use super::check::Check;
use super::exchange::Exchange;
use super::verdict::{Judgement, Level, Outcome};

/// How one check ended.
#[derive(Debug, Clone)]
pub struct Finding {
    section: &'static str,
    ids: &'static [&'static str],
    level: Level,
    rfc: &'static str,
    title: &'static str,
    outcome: Outcome,
    reason: Option<String>,
    exchange: Option<Exchange>,
}

impl Finding {
    pub(super) fn new(section: &'static str, check: &Check, judgement: Judgement, is_allowed: bool) -> Finding {
        let outcome = match judgement.outcome {
            Outcome::Fail | Outcome::Warn if is_allowed => Outcome::Known,
            outcome => outcome,
        };
        let &Check { ids, level, rfc, title, .. } = check;
        let exchange = judgement.exchange.map(|exchange| Exchange::clone(&exchange));
        Finding { section, ids, level, rfc, title, outcome, reason: judgement.reason, exchange }
    }

    fn to_json(&self) -> Value {
        json!({
            "ids": self.ids, "level": self.level.to_string(), "section": self.section, "rfc": self.rfc,
            "title": self.title, "outcome": self.outcome.name(), "reason": self.reason,
            "exchange": self.exchange.as_ref().map(Exchange::to_json),
        })
    }

    /// One line, and below it what its reader needs to do something about it.
    pub(super) fn lines(&self) -> String {
        let mark = match self.outcome {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
            Outcome::Known => "known",
            Outcome::Skipped => "skip",
            Outcome::NotApplicable => "n/a",
        };
        let mut text = format!("  {mark:<6}{}\n", row(self.ids, self.level, self.rfc, self.title));
        let reason = self.reason.iter().map(String::to_owned);
        let exchange = self.exchange.iter().flat_map(Exchange::lines);
        for line in reason.chain(exchange) {
            text += &format!("        {}\n", printable(&line));
        }
        text
    }
}

/// The columns that describe a check.
fn row(ids: &[&str], level: Level, rfc: &str, title: &str) -> String {
    format!("{:<11}{level:<8}{title}  (RFC {rfc})", ids.first().unwrap_or(&""))
}

/// The list of the checks, without any outcome.
pub(super) fn list<'a>(sections: impl Iterator<Item = (&'static str, Vec<&'a Check>)>, as_json: bool) -> String {
    let mut text = String::new();
    let mut values = Vec::new();
    for (title, checks) in sections.filter(|(_, checks)| !checks.is_empty()) {
        text += &format!("{title}\n");
        for check in checks {
            text += &format!("  {}\n", row(check.ids, check.level, check.rfc, check.title));
            values.push(json!({"ids": check.ids, "level": check.level.to_string(), "section": title, "rfc": check.rfc,
                "title": check.title}));
        }
    }
    if as_json { pretty(&Value::Array(values)) } else { text }
}

/// All findings of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub(super) target: String,
    pub(super) findings: Vec<Finding>,
    /// Whether every check ran that was to run.
    pub(super) is_complete: bool,
    /// What could not be deleted.
    pub(super) left: Vec<String>,
}

impl Report {
    fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }

    /// Whether the server has passed: nothing failed, and under `strict` nothing was warned about.
    pub(super) fn holds(&self, strict: bool) -> bool {
        self.count(Outcome::Fail) == 0 && !(strict && self.count(Outcome::Warn) > 0)
    }

    /// Whether anything was judged at all.
    pub(super) fn says_something(&self) -> bool {
        let said = [Outcome::Pass, Outcome::Warn, Outcome::Fail, Outcome::Known];
        said.into_iter().any(|outcome| self.count(outcome) > 0)
    }

    /// `195 checks: 180 pass, 3 warn, …`
    pub(super) fn summary(&self) -> String {
        let counts = Outcome::ALL.map(|outcome| format!("{} {}", self.count(outcome), outcome.name()));
        format!("{} checks: {}", self.findings.len(), counts.join(", "))
    }

    /// For programs.
    pub(super) fn to_json(&self) -> String {
        let summary: serde_json::Map<String, Value> =
            Outcome::ALL.map(|outcome| (outcome.name().to_owned(), json!(self.count(outcome)))).into_iter().collect();
        pretty(&json!({
            "target": self.target, "tool": concat!("scimd ", env!("CARGO_PKG_VERSION")), "complete": self.is_complete,
            "summary": summary, "left": self.left,
            "checks": self.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        }))
    }

    pub(super) fn section_of_last(&self) -> Option<&'static str> {
        self.findings.last().map(|finding| finding.section)
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The text without anything that a terminal would obey: it comes from a server that nobody has to trust.
pub(super) fn printable(text: &str) -> String {
    let escape = |c: char| if matches!(c, '"' | '\'' | '\\') { c.to_string() } else { c.escape_debug().to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::must;
    use super::*;

    const CHECK: Check = must(&["PUT-01", "VER-01"], "7644 §3.5.1", "PUT is 200", |_| Ok(()));

    fn finding(outcome: Outcome, is_allowed: bool) -> Finding {
        let reason = Some("expected \u{1b}[31m200".to_owned());
        Finding::new("Replace", &CHECK, Judgement { outcome, reason, exchange: None }, is_allowed)
    }

    fn report(findings: Vec<Finding>) -> Report {
        Report { findings, ..Report::default() }
    }

    #[test]
    fn failures_fail_the_run_unless_they_are_known() {
        assert!(!report(vec![finding(Outcome::Fail, false)]).holds(false));
        assert!(report(vec![finding(Outcome::Fail, true)]).holds(true));
        assert!(report(vec![finding(Outcome::Warn, false)]).holds(false));
        assert!(!report(vec![finding(Outcome::Warn, false)]).holds(true));
        assert!(!report(vec![finding(Outcome::Skipped, false)]).says_something());
    }

    #[test]
    fn a_failure_is_a_line_with_its_reason_below_and_obeys_no_escapes() {
        let text = finding(Outcome::Fail, false).lines();
        assert_eq!(text, "  FAIL  PUT-01     MUST    PUT is 200  (RFC 7644 §3.5.1)\n        expected \\u{1b}[31m200\n");
    }

    #[test]
    fn programs_read_counts_and_ids() {
        let json: Value = serde_json::from_str(&report(vec![finding(Outcome::Fail, false)]).to_json()).expect("JSON");
        assert_eq!((&json["summary"]["fail"], &json["summary"]["pass"]), (&json!(1), &json!(0)));
        assert_eq!(json["checks"][0]["ids"], json!(["PUT-01", "VER-01"]));
    }
}
