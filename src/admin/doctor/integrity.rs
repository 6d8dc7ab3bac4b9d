//! What follows from the documents, against the documents; a finding for each thing that may be wrong.

use super::{Examination, Finding, MOST_EXAMPLES, State};
use crate::scim::Result;
use crate::store::integrity::{Flaw, FlawKind, Inspected, Outcome};

/// A check: its name, the kinds of flaw that it is about, what is said where there are none, and where there are some.
struct Check {
    name: &'static str,
    kinds: &'static [FlawKind],
    good: &'static str,
    bad: &'static str,
    /// What people can do where no program can.
    advice: &'static str,
}

const RESTORE: &str =
    "no program can tell what is right: compare with a backup, or have the identity provider push again";

const CHECKS: [Check; 10] = [
    Check {
        name: "documents",
        kinds: &[FlawKind::Document, FlawKind::Owner],
        good: "every document is readable, and of a tenant",
        bad: "rows that cannot be read or belong to nobody",
        advice: RESTORE,
    },
    Check {
        name: "columns",
        kinds: &[FlawKind::Column],
        good: "the columns of every resource follow from its document",
        bad: "columns that are not what the document says",
        advice: "two resources claim the same value: change or delete one of them, then repair again",
    },
    Check {
        name: "searchIndex",
        kinds: &[FlawKind::MissingValue, FlawKind::SurplusValue],
        good: "searches find what the documents say, and nothing else",
        bad: "places in the search index that are not what the documents say",
        advice: RESTORE,
    },
    Check {
        name: "uniqueValues",
        kinds: &[FlawKind::MissingUniqueValue, FlawKind::SurplusUniqueValue],
        good: "every unique value is held by its resource",
        bad: "unique values that are not held by their resource",
        advice: "two resources claim the same value: change or delete one of them, then repair again",
    },
    Check {
        name: "memberships",
        kinds: &[FlawKind::Membership, FlawKind::UnresolvedMember],
        good: "every membership has a live group and a live member",
        bad: "memberships without a live group or a live member",
        advice: RESTORE,
    },
    Check {
        name: "orphans",
        kinds: &[FlawKind::Credential, FlawKind::Touch, FlawKind::Event],
        good: "no row belongs to nothing",
        bad: "rows that belong to nothing",
        advice: RESTORE,
    },
    Check {
        name: "history",
        kinds: &[FlawKind::History],
        good: "the history of every resource ends where the resource is",
        bad: "resources that are not where their history ends",
        advice: "somebody has changed the tables by hand, or they come from an incomplete copy: compare with a backup",
    },
    Check {
        name: "totals",
        kinds: &[FlawKind::Count],
        good: "the totals of lists, which limits are held to, are the numbers of what is there",
        bad: "totals of lists, which limits are held to, that are not the numbers of what is there",
        advice: "count again with `--repair`",
    },
    Check {
        name: "boundKeys",
        kinds: &[FlawKind::BoundKey],
        good: "every key that is bound to a user has that user",
        bad: "keys that are bound to a user who is gone",
        advice: "revoke them with `scimd key revoke ID`, or restore the user",
    },
    Check {
        name: "references",
        kinds: &[FlawKind::Reference],
        good: "every manager is there",
        bad: "references, such as manager, to a resource that is not there",
        advice: "nothing is lost: the reference is shown again in full once the identity provider pushes that resource",
    },
];

/// The names of the checks.
pub(super) fn checks() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.name)
}

/// The flaws of one check.
#[derive(Default, Clone)]
struct Found {
    /// Those that are there, by themselves or after all that could be done.
    left: usize,
    /// Whether somebody must look at one of those himself.
    beyond: bool,
    mended: usize,
    examples: Vec<String>,
}

impl Found {
    fn note(&mut self, flaw: &Flaw, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Gone) => return,
            Some(Outcome::Mended) => self.mended += 1,
            Some(Outcome::Beyond) => {
                self.left += 1;
                self.beyond = true;
            }
            None => {
                self.left += 1;
                self.beyond |= !flaw.is_mendable();
            }
        }
        if self.examples.len() < MOST_EXAMPLES {
            let mended = if outcome == Some(Outcome::Mended) { "mended: " } else { "" };
            self.examples.push(format!("{mended}{flaw}"));
        }
    }
}

/// Looks at everything, and mends if asked.
pub(super) async fn findings(examination: &Examination<'_>, repair: bool) -> Result<Vec<Finding>> {
    let mut found = vec![Found::default(); CHECKS.len()];
    let note = |flaw: Flaw, outcome| {
        if let Some(place) = CHECKS.iter().position(|check| check.kinds.contains(&flaw.kind)) {
            found[place].note(&flaw, outcome);
        }
    };
    let Examination { desk, turn } = examination;
    let (registry, now) = (desk.provider.registry(), desk.now());
    let Inspected { tally, unchecked } = desk.store.inspect(registry, now, repair, turn.clone(), note).await?;
    let mut findings: Vec<Finding> = CHECKS.iter().zip(found).map(|(check, found)| judge(check, found)).collect();
    for finding in findings.iter_mut().filter(|finding| finding.state == State::Ok) {
        let looked_at = match finding.check.as_str() {
            "documents" => format!("{} resources, deleted ones included", tally.resources),
            "searchIndex" => format!("{} values", tally.values),
            "memberships" => tally.memberships.to_string(),
            _ => continue,
        };
        finding.what = format!("{} ({looked_at})", finding.what);
    }
    if !unchecked.is_empty() {
        let kept: Vec<String> = unchecked.iter().map(|(tenant, name)| format!("tenant {tenant}: {name}")).collect();
        let what = "resources of some types are kept for other schemas than those in force here, and were passed over";
        findings.push(Finding::not_checked("otherSchemas", what).with_examples(kept));
    }
    Ok(findings)
}

fn judge(check: &Check, found: Found) -> Finding {
    let Check { name, good, bad, advice, kinds } = check;
    let Found { left, beyond, mended, examples } = found;
    let finding = match (left, mended) {
        (0, 0) => Finding::ok(name, *good),
        (0, mended) => Finding::ok(name, format!("{bad}: {mended}, all mended")),
        (left, mended) => {
            let mended = if mended > 0 { format!(", and {mended} mended") } else { String::new() };
            let what = format!("{bad}: {left}{mended}");
            let advice = if beyond { advice } else { "run `scimd doctor --repair`" };
            match kinds.iter().any(|kind| kind.is_damage()) {
                true => Finding::wrong(name, what, advice),
                false => Finding::warning(name, what, advice),
            }
        }
    };
    finding.with_examples(examples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_flaw_has_one_check() {
        for kind in FlawKind::ALL {
            let checks = CHECKS.iter().filter(|check| check.kinds.contains(&kind)).count();
            assert_eq!(checks, 1, "{kind:?}");
        }
    }
}
