//! PATCH `replace` (RFC 7644 §3.5.2.3), row by row.

use serde_json::{Value, json};

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::server::ENTERPRISE;
use crate::conformance::server::Need::{Enterprise, Feature, Groups, User};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "PATCH: replace", checks: &[
    must(&["PATCH-P1"], "7644 §3.5.2.3", "without a path, each member of the value is replaced, and nothing else", no_path).needs(&[Feature("patch"), User("title"), User("displayName")]),
    must(&["PATCH-P2"], "7644 §3.5.2.3", "a singular attribute is replaced", singular).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-P2"], "7644 §3.5.2.3", "a singular attribute that is not there is added", singular_added).needs(&[Feature("patch"), User("title")]),
    ours(&["PATCH-P2"], "7643 §2.5", "`null` unassigns", null).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-P2", "CHAR-01"], "7643 §7", "what is required cannot become `null`", null_of_required).needs(&[Feature("patch")]),
    must(&["PATCH-P3"], "7644 §3.5.2.3", "of a complex attribute, the named parts are replaced", complex).needs(&[Feature("patch"), User("name")]),
    must(&["PATCH-P4"], "7644 §3.5.2.3", "a list is replaced as a whole", list).needs(&[Feature("patch"), User("emails")]),
    should(&["PATCH-P4"], "7643 §2.5", "an empty list unassigns", empty_list).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-P4"], "7644 §3.5.2.3", "the members of a group are replaced as a whole", members).needs(&[Feature("patch"), Groups]),
    must(&["PATCH-P5"], "7644 §3.5.2.3", "a sub-attribute is replaced, the others stay", sub_attribute).needs(&[Feature("patch"), User("name")]),
    ours(&["PATCH-P6"], "7644 §3.5.2.3", "a sub-attribute of a list is replaced in every element", every_element).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-P7"], "7644 §3.5.2.3", "a selected element is replaced", selected).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-P8"], "7644 §3.5.2.3", "where nothing is selected: 400 `noTarget`", nothing_selected).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-P9"], "7644 §3.5.2.3", "a sub-attribute of a selected element is replaced", selected_part).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-P10"], "7644 §3.5.2.3", "a sub-attribute where nothing is selected: 400 `noTarget`", nothing_selected_for_part).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-P11"], "7644 §3.5.2.3", "an attribute of an extension is replaced", extension_attribute).needs(&[Feature("patch"), Enterprise]),
    must(&["PATCH-P12"], "7644 §3.5.2.3", "of an extension, the named attributes are replaced", extension).needs(&[Feature("patch"), Enterprise]),
    must(&["PATCH-P1"], "7644 §3.5.2.3", "`active` is replaced without a path, as Okta does it", active).needs(&[Feature("patch"), User("active")]),
    must(&["PATCH-P2", "GRP-01"], "7644 §3.5.2.3", "a group is renamed", rename).needs(&[Feature("patch"), Groups]),
] };

fn replace(path: &str, value: Value) -> Value {
    json!([{"op": "replace", "path": path, "value": value}])
}

fn two_emails() -> Value {
    json!({"emails": [{"value": "a@example.com", "type": "work"}, {"value": "b@example.com", "type": "home"}]})
}

fn no_path(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"title": "Guide", "displayName": "Mira"}))?;
    let answer = t.patched(&user, json!([{"op": "replace", "value": {"title": "Chef"}}]))?;
    answer.has("/title", "Chef")?.has("/displayName", "Mira")?;
    Ok(())
}

fn singular(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"title": "Guide"}))?;
    t.patched(&user, replace("title", json!("Chef")))?.has("/title", "Chef")?;
    Ok(())
}

fn singular_added(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patched(&user, replace("title", json!("Chef")))?.has("/title", "Chef")?;
    Ok(())
}

fn null(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"title": "Guide"}))?;
    t.patched(&user, replace("title", Value::Null))?.lacks("/title")?;
    Ok(())
}

fn null_of_required(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch(&user.path, replace("userName", Value::Null))?.is(400)?;
    t.read(&user)?.has("/userName", user.answer.at("/userName").clone())?;
    Ok(())
}

fn complex(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"name": {"givenName": "Mira", "familyName": "Vogt"}}))?;
    let answer = t.patched(&user, replace("name", json!({"familyName": "Berg"})))?;
    answer.has("/name/familyName", "Berg")?.has("/name/givenName", "Mira")?;
    Ok(())
}

fn list(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    let answer = t.patched(&user, replace("emails", json!([{"value": "c@example.com", "type": "other"}])))?;
    answer.has("/emails/0/value", "c@example.com")?.lacks("/emails/1")?;
    Ok(())
}

fn empty_list(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    t.patched(&user, replace("emails", json!([])))?.lacks("/emails")?;
    Ok(())
}

fn members(t: &mut Trial<'_>) -> Verdict {
    let (a, b) = (t.user(json!({}))?, t.user(json!({}))?);
    let group = t.group(&[&a])?;
    let answer = t.patched(&group, replace("members", json!([b.reference()])))?;
    answer.has("/members/0/value", b.id)?.lacks("/members/1")?;
    Ok(())
}

fn sub_attribute(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"name": {"givenName": "Mira", "familyName": "Vogt"}}))?;
    let answer = t.patched(&user, replace("name.familyName", json!("Berg")))?;
    answer.has("/name/familyName", "Berg")?.has("/name/givenName", "Mira")?;
    Ok(())
}

fn every_element(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    let answer = t.patched(&user, replace("emails.display", json!("Mira")))?;
    answer.has("/emails/0/display", "Mira")?.has("/emails/1/display", "Mira")?;
    Ok(())
}

fn selected(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    let value = json!({"value": "c@example.com", "type": "work"});
    let answer = t.patched(&user, replace("emails[type eq \"work\"]", value))?;
    let values: Vec<&Value> = answer.array("/emails")?.iter().map(|email| &email["value"]).collect();
    let as_expected =
        values.len() == 2 && values.contains(&&json!("b@example.com")) && values.contains(&&json!("c@example.com"));
    answer.holds(as_expected, format!("the emails are {values:?}"))?;
    Ok(())
}

fn nothing_selected(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    let value = json!({"value": "c@example.com", "type": "other"});
    t.patch(&user.path, replace("emails[type eq \"other\"]", value))?.refused_with(400, "noTarget")?;
    Ok(())
}

fn selected_part(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    let answer = t.patched(&user, replace("emails[type eq \"home\"].value", json!("c@example.com")))?;
    let home = answer.array("/emails")?.iter().find(|email| email["type"] == "home").cloned().unwrap_or_default();
    answer.holds(home["value"] == "c@example.com", format!("the email at home is {home}"))?;
    Ok(())
}

fn nothing_selected_for_part(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    let operations = replace("emails[type eq \"other\"].value", json!("c@example.com"));
    t.patch(&user.path, operations)?.refused_with(400, "noTarget")?;
    Ok(())
}

fn extension_attribute(t: &mut Trial<'_>) -> Verdict {
    let user = t.employee(json!({"department": "Tours", "costCenter": "7"}))?;
    let answer = t.patched(&user, replace(&format!("{ENTERPRISE}:department"), json!("Kitchen")))?;
    answer.has(&format!("/{ENTERPRISE}/department"), "Kitchen")?.has(&format!("/{ENTERPRISE}/costCenter"), "7")?;
    Ok(())
}

fn extension(t: &mut Trial<'_>) -> Verdict {
    let user = t.employee(json!({"department": "Tours", "costCenter": "7"}))?;
    let answer = t.patched(&user, json!([{"op": "replace", "value": {ENTERPRISE: {"department": "Kitchen"}}}]))?;
    answer.has(&format!("/{ENTERPRISE}/department"), "Kitchen")?.has(&format!("/{ENTERPRISE}/costCenter"), "7")?;
    Ok(())
}

fn active(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"active": true}))?;
    t.patched(&user, json!([{"op": "replace", "value": {"active": false}}]))?.has("/active", false)?;
    Ok(())
}

fn rename(t: &mut Trial<'_>) -> Verdict {
    let (group, name) = (t.group(&[])?, t.name());
    t.patched(&group, replace("displayName", json!(name)))?.has("/displayName", name)?;
    Ok(())
}
