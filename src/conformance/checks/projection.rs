//! `attributes` and `excludedAttributes` (RFC 7644 §3.9).

use serde_json::json;

use crate::conformance::check::{Section, must, ours};
use crate::conformance::exchange::{Answer, Request};
use crate::conformance::server::Need::{Enterprise, Feature, User};
use crate::conformance::server::{ENTERPRISE, USER};
use crate::conformance::trial::{PATCH_OP, Resource, Trial};
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Attributes to return", checks: &[
    must(&["PROJ-01"], "7644 §3.9", "`attributes` shows what it names, and the least", attributes).needs(&[User("displayName"), User("name")]),
    must(&["PROJ-01"], "7644 §3.9", "`excludedAttributes` leaves out what it names", excluded).needs(&[User("displayName"), User("name")]),
    must(&["PROJ-01"], "7644 §3.9", "several attributes are separated by commas", several).needs(&[User("displayName"), User("name")]),
    must(&["PROJ-02"], "7644 §3.9", "lists heed `attributes`", in_lists).needs(&[User("displayName")]),
    must(&["PROJ-02"], "7644 §3.9", "the answer to PUT heeds `attributes`", in_put).needs(&[User("displayName")]),
    must(&["PROJ-02", "PATCH-09"], "7644 §3.5.2", "the answer to PATCH heeds `attributes`, and is 200", in_patch).needs(&[User("displayName"), Feature("patch")]),
    must(&["PROJ-03"], "7644 §3.10", "a sub-attribute can be named", sub_attribute).needs(&[User("name")]),
    must(&["PROJ-03"], "7643 §2.1", "names have no case", no_case).needs(&[User("displayName")]),
    must(&["PROJ-03"], "7644 §3.10", "a name may carry its URN", qualified).needs(&[User("displayName")]),
    must(&["PROJ-03"], "7644 §3.10", "an attribute of an extension is named by its URN", extension).needs(&[Enterprise]),
    must(&["PROJ-04", "CHAR-05"], "7644 §3.9", "`id` cannot be left out", id_stays),
    ours(&["PROJ-05"], "7644 §3.9", "both parameters together are 400 `invalidValue`", both),
    ours(&["PROJ-06"], "7644 §3.9", "names that nobody defines are ignored", undefined),
    ours(&["PROJ-07"], "7644 §3.9", "`attributes=userName` shows schemas, id and userName", the_least),
] };

fn mira(t: &mut Trial<'_>) -> Verdict<Resource> {
    t.user(json!({"displayName": "Mira", "name": {"givenName": "Mira", "familyName": "Vogt"}}))
}

/// Mira with this query.
fn shown(t: &mut Trial<'_>, query: &str) -> Verdict<Answer> {
    let user = mira(t)?;
    let answer = t.get(&format!("{}?{query}", user.path))?;
    answer.is(200)?.has("/id", user.id)?;
    Ok(answer)
}

fn attributes(t: &mut Trial<'_>) -> Verdict {
    shown(t, "attributes=displayName")?.has("/displayName", "Mira")?.lacks("/userName")?.lacks("/name")?;
    Ok(())
}

fn excluded(t: &mut Trial<'_>) -> Verdict {
    let answer = shown(t, "excludedAttributes=displayName")?;
    answer.lacks("/displayName")?.has("/name/givenName", "Mira")?.text("/userName")?;
    Ok(())
}

fn several(t: &mut Trial<'_>) -> Verdict {
    let answer = shown(t, "attributes=displayName,userName")?;
    answer.has("/displayName", "Mira")?.lacks("/name")?.text("/userName")?;
    Ok(())
}

fn in_lists(t: &mut Trial<'_>) -> Verdict {
    mira(t)?;
    let answer = t.list(&t.users(), &[("attributes", "userName"), ("count", "5")])?;
    for user in answer.resources()? {
        let is_least = user["id"].is_string() && user["userName"].is_string() && user.get("displayName").is_none();
        answer.holds(is_least, "the list shows more or less than schemas, id and userName")?;
    }
    Ok(())
}

fn in_put(t: &mut Trial<'_>) -> Verdict {
    let user = mira(t)?;
    let mut body = t.user_body(json!({"displayName": "Mira"}));
    body["userName"] = user.answer.at("/userName").clone();
    let answer = t.put(&format!("{}?attributes=displayName", user.path), &body)?;
    answer.is(200)?.has("/displayName", "Mira")?.lacks("/userName")?;
    Ok(())
}

fn in_patch(t: &mut Trial<'_>) -> Verdict {
    let user = mira(t)?;
    let operations = json!([{"op": "replace", "path": "displayName", "value": "Mina"}]);
    let body = json!({"schemas": [PATCH_OP], "Operations": operations});
    let request = Request::new("PATCH", format!("{}?attributes=displayName", user.path)).json(&body);
    t.send(&request)?.is(200)?.has("/displayName", "Mina")?.lacks("/userName")?;
    Ok(())
}

fn sub_attribute(t: &mut Trial<'_>) -> Verdict {
    shown(t, "attributes=name.givenName")?.has("/name/givenName", "Mira")?.lacks("/name/familyName")?;
    Ok(())
}

fn no_case(t: &mut Trial<'_>) -> Verdict {
    shown(t, "attributes=DISPLAYNAME")?.has("/displayName", "Mira")?;
    Ok(())
}

fn qualified(t: &mut Trial<'_>) -> Verdict {
    shown(t, &format!("attributes={USER}:displayName"))?.has("/displayName", "Mira")?.lacks("/userName")?;
    Ok(())
}

fn extension(t: &mut Trial<'_>) -> Verdict {
    let user = t.employee(json!({"department": "Tours", "costCenter": "7"}))?;
    let answer = t.get(&format!("{}?attributes={ENTERPRISE}:department", user.path))?;
    let department = format!("/{ENTERPRISE}/department");
    answer.is(200)?.has(&department, "Tours")?.lacks(&format!("/{ENTERPRISE}/costCenter"))?.lacks("/userName")?;
    Ok(())
}

fn id_stays(t: &mut Trial<'_>) -> Verdict {
    shown(t, "excludedAttributes=id,displayName")?.lacks("/displayName")?;
    Ok(())
}

fn both(t: &mut Trial<'_>) -> Verdict {
    let user = mira(t)?;
    t.get(&format!("{}?attributes=userName&excludedAttributes=name", user.path))?.refused_with(400, "invalidValue")?;
    Ok(())
}

fn undefined(t: &mut Trial<'_>) -> Verdict {
    shown(t, "attributes=displayName,nobodyDefinesThis")?.has("/displayName", "Mira")?;
    Ok(())
}

fn the_least(t: &mut Trial<'_>) -> Verdict {
    let answer = shown(t, "attributes=userName")?;
    let mut names: Vec<&str> =
        answer.json().as_object().into_iter().flat_map(|body| body.keys().map(String::as_str)).collect();
    names.sort_unstable();
    answer.holds(names == ["id", "schemas", "userName"], format!("these are shown: {names:?}"))?;
    Ok(())
}
