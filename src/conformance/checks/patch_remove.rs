//! PATCH `remove` (RFC 7644 §3.5.2.2), row by row.

use serde_json::{Value, json};

use crate::conformance::check::{Section, must, ours};
use crate::conformance::server::ENTERPRISE;
use crate::conformance::server::Need::{Enterprise, Feature, Groups, User};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "PATCH: remove", checks: &[
    must(&["PATCH-R1"], "7644 §3.5.2.2", "without a path: 400 `noTarget`", no_path).needs(&[Feature("patch")]),
    must(&["PATCH-R2"], "7644 §3.5.2.2", "a singular attribute is unassigned", singular).needs(&[Feature("patch"), User("title")]),
    ours(&["PATCH-R2"], "7644 §3.5.2.2", "removing what is not there succeeds", not_there).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-R3"], "7644 §3.5.2.2", "a list is unassigned", list).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-R3"], "7644 §3.5.2.2", "all members of a group are removed", all_members).needs(&[Feature("patch"), Groups]),
    must(&["PATCH-R4"], "7644 §3.5.2.2", "a sub-attribute is unassigned, the others stay", sub_attribute).needs(&[Feature("patch"), User("name")]),
    must(&["PATCH-R5"], "7644 §3.5.2.2", "a selected element is removed, the others stay", selected).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-R5"], "7644 §3.5.2.2", "without elements left, the attribute is unassigned", last_element).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-R5"], "7644 §3.5.2.2", "a filter with `and` selects elements", selected_by_two).needs(&[Feature("patch"), User("emails")]),
    ours(&["PATCH-R6"], "7644 §3.5.2.2", "removing a member who is none succeeds", no_member).needs(&[Feature("patch"), Groups]),
    must(&["PATCH-R7"], "7644 §3.5.2.2", "a sub-attribute of a selected element is unassigned", selected_part).needs(&[Feature("patch"), User("emails")]),
    must(&["PATCH-R8"], "7644 §3.5.2.2", "an attribute of an extension is removed, the others stay", extension_attribute).needs(&[Feature("patch"), Enterprise]),
    must(&["PATCH-R9", "CHAR-01"], "7644 §3.5.2.2", "what is required cannot be removed", required).needs(&[Feature("patch")]),
    must(&["PATCH-R9", "CHAR-02"], "7644 §3.5.2.2", "what is readOnly cannot be removed: 400 `mutability`", read_only).needs(&[Feature("patch")]),
    ours(&["PATCH-R10"], "7644 §3.5.2.2", "a `remove` of members with a value removes nobody else", value).needs(&[Feature("patch"), Groups]),
] };

fn remove(path: &str) -> Value {
    json!([{"op": "remove", "path": path}])
}

fn two_emails() -> Value {
    json!({"emails": [
        {"value": "a@example.com", "type": "work", "display": "A"}, {"value": "b@example.com", "type": "home"}]})
}

fn no_path(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch(&user.path, json!([{"op": "remove"}]))?.refused_with(400, "noTarget")?;
    Ok(())
}

fn singular(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"title": "Chef"}))?;
    t.patched(&user, remove("title"))?.lacks("/title")?;
    Ok(())
}

fn not_there(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patched(&user, remove("title"))?.lacks("/title")?;
    Ok(())
}

fn list(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    t.patched(&user, remove("emails"))?.lacks("/emails")?;
    Ok(())
}

fn all_members(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let group = t.group(&[&user])?;
    t.patched(&group, remove("members"))?.lacks("/members")?;
    Ok(())
}

fn sub_attribute(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"name": {"givenName": "Mira", "familyName": "Vogt"}}))?;
    t.patched(&user, remove("name.givenName"))?.lacks("/name/givenName")?.has("/name/familyName", "Vogt")?;
    Ok(())
}

fn selected(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    let answer = t.patched(&user, remove("emails[type eq \"work\"]"))?;
    answer.has("/emails/0/value", "b@example.com")?.lacks("/emails/1")?;
    Ok(())
}

fn last_element(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    t.patched(&user, remove("emails[value co \"@example.com\"]"))?.lacks("/emails")?;
    Ok(())
}

fn selected_by_two(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    let answer = t.patched(&user, remove("emails[type eq \"work\" and value ew \"example.com\"]"))?;
    answer.has("/emails/0/value", "b@example.com")?.lacks("/emails/1")?;
    Ok(())
}

fn no_member(t: &mut Trial<'_>) -> Verdict {
    let (user, other) = (t.user(json!({}))?, t.user(json!({}))?);
    let group = t.group(&[&user])?;
    let answer = t.patched(&group, remove(&format!("members[value eq \"{}\"]", other.id)))?;
    answer.has("/members/0/value", user.id)?;
    Ok(())
}

fn selected_part(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(two_emails())?;
    let answer = t.patched(&user, remove("emails[type eq \"work\"].display"))?;
    let work = answer.array("/emails")?.iter().find(|email| email["type"] == "work").cloned().unwrap_or_default();
    answer
        .holds(work["display"].is_null() && work["value"] == "a@example.com", format!("the email at work is {work}"))?;
    Ok(())
}

fn extension_attribute(t: &mut Trial<'_>) -> Verdict {
    let user = t.employee(json!({"department": "Tours", "costCenter": "7"}))?;
    let answer = t.patched(&user, remove(&format!("{ENTERPRISE}:department")))?;
    answer.lacks(&format!("/{ENTERPRISE}/department"))?.has(&format!("/{ENTERPRISE}/costCenter"), "7")?;
    Ok(())
}

fn required(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch_refused(&user, remove("userName"), 400, "mutability")
}

fn read_only(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch(&user.path, remove("id"))?.refused_with(400, "mutability")?;
    Ok(())
}

fn value(t: &mut Trial<'_>) -> Verdict {
    let (user, other) = (t.user(json!({}))?, t.user(json!({}))?);
    let group = t.group(&[&user, &other])?;
    let operations = json!([{"op": "remove", "path": "members", "value": [user.reference()]}]);
    let answer = t.patch(&group.path, operations)?;
    answer.is_one_of(&[200, 204, 400])?;
    let after = t.read(&group)?;
    let stays = after
        .at("/members")
        .as_array()
        .is_some_and(|members| members.iter().any(|one| one["value"] == other.id.as_str()));
    after.holds(stays, "a member who was not named was removed")?;
    Ok(())
}
