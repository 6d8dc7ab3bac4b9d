//! PATCH `add` (RFC 7644 §3.5.2.1), row by row.

use serde_json::{Value, json};

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::server::ENTERPRISE;
use crate::conformance::server::Need::{Enterprise, Feature, User};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "PATCH: add", checks: &[
    must(&["PATCH-A1"], "7644 §3.5.2.1", "without a path, each member of the value is added", no_path).needs(&[Feature("patch"), User("title"), User("emails")]),
    must(&["PATCH-A1", "PATCH-13"], "7644 §3.5.2.1", "without a path, the value must be an object", no_object).needs(&[Feature("patch")]),
    must(&["PATCH-A2"], "7644 §3.5.2.1", "a singular attribute is set", singular).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-A2"], "7644 §3.5.2.1", "a singular attribute that is there is replaced", singular_again).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-A3"], "7644 §3.5.2.1", "a complex attribute is merged", complex).needs(&[Feature("patch"), User("name")]),
    must(&["PATCH-A5"], "7644 §3.5.2.1", "an element is appended to a list", list).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-A5"], "7644 §3.5.2.1", "one object is appended to a list as well", one_object).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-A5"], "7644 §3.5.2.1", "an equal element is not appended again", equal_element).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-A6"], "7644 §3.5.2.1", "a sub-attribute is set, and its parent made", sub_attribute).needs(&[Feature("patch"), User("name")]),
    ours(&["PATCH-A7"], "7644 §3.5.2.1", "a sub-attribute of a list is set on every element", every_element).needs(&[Feature("patch"), User("emails")]),
    should(&["PATCH-A8"], "7644 §3.5.2.1", "a selected element is merged with the value", selected).needs(&[Feature("patch"), User("emails")]),
    should(&["PATCH-A10"], "7644 §3.5.2.1", "a sub-attribute of a selected element is set", selected_part).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-A12"], "7644 §3.5.2.1", "an attribute of an extension is set", extension_attribute).needs(&[Feature("patch"), Enterprise]),
    must(&["PATCH-A13"], "7644 §3.5.2.1", "an extension is added under its URN without a path", extension_container).needs(&[Feature("patch"), Enterprise]),
    should(&["PATCH-A13"], "7644 §3.5.2.1", "the URN of an extension is a path", extension_path).needs(&[Feature("patch"), Enterprise]),
    ours(&["PATCH-A14"], "7643 §2.5", "adding an empty list changes nothing", empty_list).needs(&[Feature("patch"), User("emails")]),
] };

fn add(path: &str, value: Value) -> Value {
    json!([{"op": "add", "path": path, "value": value}])
}

fn work() -> Value {
    json!({"emails": [{"value": "a@example.com", "type": "work"}]})
}

fn no_path(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(work())?;
    let value = json!({"title": "Chef", "emails": [{"value": "b@example.com", "type": "home"}]});
    let answer = t.patched(&user, json!([{"op": "add", "value": value}]))?;
    answer.has("/title", "Chef")?.holds(answer.array("/emails")?.len() == 2, "there are not two emails")?;
    Ok(())
}

fn no_object(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch_refused(&user, json!([{"op": "add", "value": "x"}]), 400, "invalidValue")
}

fn singular(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patched(&user, add("title", json!("Chef")))?.has("/title", "Chef")?;
    Ok(())
}

fn singular_again(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"title": "Guide"}))?;
    t.patched(&user, add("title", json!("Chef")))?.has("/title", "Chef")?;
    Ok(())
}

fn complex(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"name": {"givenName": "Mira"}}))?;
    let answer = t.patched(&user, add("name", json!({"familyName": "Vogt"})))?;
    answer.has("/name/givenName", "Mira")?.has("/name/familyName", "Vogt")?;
    Ok(())
}

fn list(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(work())?;
    let answer = t.patched(&user, add("emails", json!([{"value": "b@example.com", "type": "home"}])))?;
    let mut values: Vec<String> = answer.array("/emails")?.iter().map(|email| email["value"].to_string()).collect();
    values.sort();
    answer.holds(values == ["\"a@example.com\"", "\"b@example.com\""], format!("the emails are {values:?}"))?;
    Ok(())
}

fn one_object(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(work())?;
    let answer = t.patched(&user, add("emails", json!({"value": "b@example.com", "type": "home"})))?;
    answer.holds(answer.array("/emails")?.len() == 2, "there are not two emails")?;
    Ok(())
}

fn equal_element(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(work())?;
    let answer = t.patched(&user, add("emails", json!([{"value": "a@example.com", "type": "work"}])))?;
    answer.holds(answer.array("/emails")?.len() == 1, "the equal email is there twice")?;
    answer.has("/meta/lastModified", user.answer.at("/meta/lastModified").clone())?;
    Ok(())
}

fn sub_attribute(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patched(&user, add("name.familyName", json!("Vogt")))?.has("/name/familyName", "Vogt")?;
    Ok(())
}

fn every_element(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(
        json!({"emails": [{"value": "a@example.com", "type": "work"}, {"value": "b@example.com", "type": "home"}]}),
    )?;
    let answer = t.patched(&user, add("emails.display", json!("Mira")))?;
    answer.has("/emails/0/display", "Mira")?.has("/emails/1/display", "Mira")?;
    Ok(())
}

fn selected(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(work())?;
    let answer = t.patched(&user, add("emails[type eq \"work\"]", json!({"display": "Mira"})))?;
    answer.has("/emails/0/value", "a@example.com")?.has("/emails/0/display", "Mira")?;
    Ok(())
}

fn selected_part(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(work())?;
    let answer = t.patched(&user, add("emails[type eq \"work\"].display", json!("Mira")))?;
    answer.has("/emails/0/value", "a@example.com")?.has("/emails/0/display", "Mira")?;
    Ok(())
}

fn extension_attribute(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.patched(&user, add(&format!("{ENTERPRISE}:department"), json!("Tours")))?;
    answer.has(&format!("/{ENTERPRISE}/department"), "Tours")?;
    Ok(())
}

fn extension_container(t: &mut Trial<'_>) -> Verdict {
    let user = t.employee(json!({"costCenter": "7"}))?;
    let answer = t.patched(&user, json!([{"op": "add", "value": {ENTERPRISE: {"department": "Tours"}}}]))?;
    answer.has(&format!("/{ENTERPRISE}/department"), "Tours")?.has(&format!("/{ENTERPRISE}/costCenter"), "7")?;
    Ok(())
}

fn extension_path(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.patched(&user, add(ENTERPRISE, json!({"department": "Tours"})))?;
    answer.has(&format!("/{ENTERPRISE}/department"), "Tours")?;
    Ok(())
}

fn empty_list(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(work())?;
    t.patched(&user, add("emails", json!([])))?.has("/emails/0/value", "a@example.com")?;
    Ok(())
}
