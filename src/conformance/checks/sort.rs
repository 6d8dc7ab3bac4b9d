//! Sorting (RFC 7644 §3.4.2.3).

use serde_json::json;

use crate::conformance::check::{Section, must, ours};
use crate::conformance::server::Need::{Feature, User};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Sorting", checks: &[
    must(&["SORT-01"], "7644 §3.4.2.3", "sortBy sorts, and ascending is the default", ascending).needs(&[Feature("sort"), Feature("filter"), User("userType")]),
    must(&["SORT-01"], "7644 §3.4.2.3", "descending turns the order round", descending).needs(&[Feature("sort"), Feature("filter"), User("userType")]),
    must(&["SORT-02"], "7644 §3.4.2.3", "texts without case are sorted without case", without_case).needs(&[Feature("sort"), Feature("filter"), User("displayName"), User("userType")]),
    must(&["SORT-03"], "7644 §3.4.2.3", "who has no value comes last", no_value_last).needs(&[Feature("sort"), Feature("filter"), User("title"), User("userType")]),
    must(&["SORT-03"], "7644 §3.4.2.3", "who has no value comes first when descending", no_value_first).needs(&[Feature("sort"), Feature("filter"), User("title"), User("userType")]),
    must(&["SORT-04"], "7644 §3.4.2.3", "lists are sorted by the primary element, else the first", lists).needs(&[Feature("sort"), Feature("filter"), User("emails"), User("userType")]),
    must(&["SORT-01"], "7644 §3.4.2.3", "sub-attributes sort", sub_attributes).needs(&[Feature("sort"), Feature("filter"), User("name"), User("userType")]),
    ours(&["SORT-05"], "7644 §3.12", "an attribute that nobody defines is 400 `invalidValue`", undefined).needs(&[Feature("sort")]),
    ours(&["SORT-06"], "7644 §3.4.2.3", "sortOrder without sortBy is ignored", order_alone).needs(&[Feature("sort")]),
] };

/// With these parameters, the people are listed in this order.
fn sorted(t: &mut Trial<'_>, parameters: &[(&str, &str)], expected: &[&str]) -> Verdict {
    let (found, answer) = t.people_in(parameters)?;
    answer.holds(found == expected, format!("the order is {found:?} where it should be {expected:?}"))?;
    Ok(())
}

fn ascending(t: &mut Trial<'_>) -> Verdict {
    sorted(t, &[("sortBy", "userName")], &["anna", "bo", "cleo", "dee"])
}

fn descending(t: &mut Trial<'_>) -> Verdict {
    sorted(t, &[("sortBy", "userName"), ("sortOrder", "descending")], &["dee", "cleo", "bo", "anna"])
}

fn without_case(t: &mut Trial<'_>) -> Verdict {
    let (found, answer) = t.people_in(&[("sortBy", "displayName")])?;
    answer.holds(
        found.starts_with(&["anna", "bo", "cleo"]),
        format!("the order is {found:?}: `bo` belongs between `Anna` and `Cleo`"),
    )?;
    Ok(())
}

fn no_value_last(t: &mut Trial<'_>) -> Verdict {
    let (found, answer) = t.people_in(&[("sortBy", "title")])?;
    answer.holds(found.starts_with(&["cleo", "anna"]) && found.len() == 4, format!("the order is {found:?}"))?;
    Ok(())
}

fn no_value_first(t: &mut Trial<'_>) -> Verdict {
    let (found, answer) = t.people_in(&[("sortBy", "title"), ("sortOrder", "descending")])?;
    answer.holds(found.ends_with(&["anna", "cleo"]) && found.len() == 4, format!("the order is {found:?}"))?;
    Ok(())
}

fn lists(t: &mut Trial<'_>) -> Verdict {
    sorted(t, &[("sortBy", "emails.value")], &["anna", "bo", "cleo", "dee"])?;
    let kind = t.name();
    let email = |value: &str, primary: bool| json!({"value": value, "primary": primary});
    let by_first = t.user(json!({"userType": kind, "emails": [email("m@example.com", false)]}))?;
    let by_primary =
        t.user(json!({"userType": kind, "emails": [email("z@example.com", false), email("a@example.com", true)]}))?;
    let filter = format!("userType eq \"{kind}\"");
    let answer = t.list(&t.users(), &[("filter", &filter), ("sortBy", "emails.value")])?;
    answer.is(200)?.has("/Resources/0/id", by_primary.id)?.has("/Resources/1/id", by_first.id)?;
    Ok(())
}

fn sub_attributes(t: &mut Trial<'_>) -> Verdict {
    sorted(t, &[("sortBy", "name.givenName")], &["anna", "bo", "cleo", "dee"])
}

fn undefined(t: &mut Trial<'_>) -> Verdict {
    t.list(&t.users(), &[("sortBy", "nobodyDefinesThis")])?.refused_with(400, "invalidValue")?;
    Ok(())
}

fn order_alone(t: &mut Trial<'_>) -> Verdict {
    t.list(&t.users(), &[("sortOrder", "descending"), ("count", "1")])?.is(200)?;
    Ok(())
}
