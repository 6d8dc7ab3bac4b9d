//! PATCH as a message: what it must look like, and what holds for all operations (RFC 7644 §3.5.2).

use serde_json::json;

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::exchange::Request;
use crate::conformance::server::Need::{Enterprise, Feature, User};
use crate::conformance::server::{ENTERPRISE, USER};
use crate::conformance::trial::{PATCH_OP, Trial};
use crate::conformance::verdict::{Stop, Verdict};

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "PATCH: the message", checks: &[
    should(&["PATCH-01"], "7644 §3.5.2", "a PATCH without the schema of its message is 400 `invalidSyntax`", no_schema).needs(&[Feature("patch")]),
    must(&["PATCH-01"], "7644 §3.5.2", "a PATCH without Operations is 400", no_operations).needs(&[Feature("patch")]),
    must(&["PATCH-02"], "7644 §3.5.2", "an unknown `op` is 400", unknown_op).needs(&[Feature("patch")]),
    must(&["PATCH-02"], "7644 §3.5.2", "an operation without `op` is 400", no_op).needs(&[Feature("patch")]),
    ours(&["PATCH-02", "T-01"], "7644 §3.5.2", "`op` has no case, as Entra ID writes it", op_has_no_case).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-03"], "7644 §3.12", "a path that does not parse is 400 `invalidPath`", malformed_path).needs(&[Feature("patch")]),
    must(&["PATCH-03"], "7644 §3.12", "a filter in the path that does not parse is 400", malformed_filter).needs(&[Feature("patch")]),
    must(&["PATCH-05"], "7644 §3.10", "a path may carry the URN of the schema", qualified).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-06"], "7644 §3.5.2", "operations apply in order", order).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-07"], "7644 §3.5.2", "one operation that fails leaves everything as it was", atomic).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-09"], "7644 §3.5.2", "PATCH is 200 with the resource, or 204 without a body", answer).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-10"], "7644 §3.5.2.1", "what changes nothing keeps lastModified", no_change).needs(&[Feature("patch"), User("title")]),
    must(&["PATCH-11", "RES-07"], "7644 §3.5.2", "`id` cannot be changed: 400 `mutability`", id).needs(&[Feature("patch")]),
    ours(&["PATCH-11"], "7644 §3.5.2", "the resource's own id is no change, as Okta sends it", own_id).needs(&[Feature("patch"), User("displayName")]),
    must(&["PATCH-13"], "7644 §3.5.2.1", "an `add` without value is 400", no_value).needs(&[Feature("patch"), User("title")]),
    should(&["PATCH-13"], "7644 §3.12", "a value of the wrong type is 400 `invalidValue`", wrong_type).needs(&[Feature("patch"), User("name")]),
    must(&["PATCH-14"], "7644 §3.12", "a name that another one has is 409", taken).needs(&[Feature("patch")]),
    must(&["PATCH-15", "ENT-03"], "7644 §3.5.2", "an extension enters and leaves `schemas` with its values", schemas).needs(&[Feature("patch"), Enterprise]),
    must(&["PATCH-16", "MV-01"], "7644 §3.5.2", "an added primary element ends the old one", added_primary).needs(&[Feature("patch"), User("emails")]),
    ours(&["PATCH-17"], "7644 §3.10", "attributes of an extension need no URN in a path", unqualified).needs(&[Feature("patch"), Enterprise]),
    ours(&["PATCH-18"], "7644 §3.5.2", "without a path, names may have dots, as Entra ID sends them", dotted_names).needs(&[Feature("patch"), User("name")]),
    must(&["PATCH-09", "GET-02"], "7644 §3.12", "PATCH of an unknown id is 404", unknown_id).needs(&[Feature("patch")]),
    must(&["PATCH-05"], "7643 §2.1", "names in a path have no case", names_have_no_case).needs(&[Feature("patch"), User("title")]),
    ours(&["PATCH-04"], "7644 §3.12", "a PATCH of what nobody defines stores nothing", undefined).needs(&[Feature("patch")]),
] };

/// PATCH with this message, whatever it is.
fn message(t: &mut Trial<'_>, path: &str, body: &serde_json::Value) -> Verdict<crate::conformance::exchange::Answer> {
    t.send(&Request::new("PATCH", path).json(body))
}

fn no_schema(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let body = json!({"Operations": [{"op": "replace", "path": "title", "value": "x"}]});
    let answer = message(t, &user.path, &body)?;
    t.refused(&answer, 400, "invalidSyntax")
}

fn no_operations(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = message(t, &user.path, &json!({"schemas": [PATCH_OP]}))?;
    if answer.is_success() && t.read(&user)?.json() == user.answer.json() {
        return Err(Stop::fail("a PATCH without Operations is taken (and changes nothing)"));
    }
    t.refused(&answer, 400, "invalidSyntax")
}

fn unknown_op(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch_refused(&user, json!([{"op": "merge", "path": "title", "value": "x"}]), 400, "invalidSyntax")
}

fn no_op(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch_refused(&user, json!([{"path": "title", "value": "x"}]), 400, "invalidSyntax")
}

fn op_has_no_case(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patched(&user, json!([{"op": "Add", "path": "title", "value": "Chef"}]))?.has("/title", "Chef")?;
    Ok(())
}

fn malformed_path(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    for path in ["name..givenName", "emails.", "a b"] {
        t.patch_refused(&user, json!([{"op": "replace", "path": path, "value": "x"}]), 400, "invalidPath")?;
    }
    Ok(())
}

fn malformed_filter(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let operations = json!([{"op": "remove", "path": "emails[type xx \"work\"]"}]);
    t.patch(&user.path, operations)?.is(400)?;
    Ok(())
}

fn qualified(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let path = format!("{USER}:title");
    t.patched(&user, json!([{"op": "add", "path": path, "value": "Chef"}]))?.has("/title", "Chef")?;
    Ok(())
}

fn order(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"title": "A"}))?;
    let answer = t.patched(
        &user,
        json!([
        {"op": "replace", "path": "title", "value": "B"}, {"op": "remove", "path": "title"},
        {"op": "add", "path": "title", "value": "C"}]),
    )?;
    answer.has("/title", "C")?;
    Ok(())
}

fn atomic(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"title": "A"}))?;
    let before = t.read(&user)?;
    let operations =
        json!([{"op": "replace", "path": "title", "value": "B"}, {"op": "replace", "path": "id", "value": "x"}]);
    t.patch(&user.path, operations)?.is_client_error()?;
    let after = t.read(&user)?;
    after.holds(before.json() == after.json(), "the first operation was applied, though the second failed")?;
    Ok(())
}

fn answer(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.patch(&user.path, json!([{"op": "add", "path": "title", "value": "Chef"}]))?;
    match answer.is_one_of(&[200, 204])?.status {
        200 => answer.has("/title", "Chef")?.has("/id", user.id)?,
        _ => answer.holds(answer.body.is_empty(), "204 has a body")?,
    };
    Ok(())
}

fn no_change(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"title": "Chef"}))?;
    let answer = t.patched(&user, json!([{"op": "add", "path": "title", "value": "Chef"}]))?;
    answer.has("/meta/lastModified", user.answer.at("/meta/lastModified").clone())?;
    Ok(())
}

fn id(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch(&user.path, json!([{"op": "replace", "path": "id", "value": "x"}]))?.refused_with(400, "mutability")?;
    Ok(())
}

fn own_id(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let operations = json!([{"op": "replace", "value": {"id": user.id, "displayName": "Mira"}}]);
    t.patched(&user, operations)?.has("/displayName", "Mira")?;
    Ok(())
}

fn no_value(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch_refused(&user, json!([{"op": "add", "path": "title"}]), 400, "invalidValue")
}

fn wrong_type(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patch_refused(&user, json!([{"op": "replace", "path": "name", "value": true}]), 400, "invalidValue")
}

fn taken(t: &mut Trial<'_>) -> Verdict {
    let (user, other) = (t.user(json!({}))?, t.user(json!({}))?);
    let name = other.answer.at("/userName").clone();
    t.patch_refused(&user, json!([{"op": "replace", "path": "userName", "value": name}]), 409, "uniqueness")
}

fn schemas(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let path = format!("{ENTERPRISE}:department");
    let with = t.patched(&user, json!([{"op": "add", "path": path, "value": "Tours"}]))?;
    with.holds(with.array("/schemas")?.contains(&json!(ENTERPRISE)), "`schemas` lacks the extension")?;
    let without = t.patched(&user, json!([{"op": "remove", "path": path}]))?;
    without.lacks(&format!("/{ENTERPRISE}/department"))?;
    if without.array("/schemas")?.contains(&json!(ENTERPRISE)) {
        t.remark(&without, "`schemas` still names the extension, though its last value is gone");
    }
    Ok(())
}

fn added_primary(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"emails": [{"value": "a@example.com", "type": "work", "primary": true}]}))?;
    let email = json!({"value": "b@example.com", "type": "home", "primary": true});
    let answer = t.patched(&user, json!([{"op": "add", "path": "emails", "value": [email]}]))?;
    let primaries = answer.array("/emails")?.iter().filter(|email| email["primary"] == true);
    let found: Vec<_> = primaries.map(|email| &email["value"]).collect();
    answer.holds(found == ["b@example.com"], format!("primary are {found:?} instead of b@example.com alone"))?;
    Ok(())
}

fn unqualified(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.patched(&user, json!([{"op": "add", "path": "department", "value": "Tours"}]))?;
    answer.has(&format!("/{ENTERPRISE}/department"), "Tours")?;
    Ok(())
}

fn dotted_names(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let operations = json!([{"op": "add", "value": {"name.givenName": "Mira", "name.familyName": "Vogt"}}]);
    t.patched(&user, operations)?.has("/name/givenName", "Mira")?.has("/name/familyName", "Vogt")?;
    Ok(())
}

fn unknown_id(t: &mut Trial<'_>) -> Verdict {
    let path = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    t.patch(&path, json!([{"op": "replace", "path": "active", "value": false}]))?.is(404)?;
    Ok(())
}

fn names_have_no_case(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.patched(&user, json!([{"op": "add", "path": "TITLE", "value": "Chef"}]))?.has("/title", "Chef")?;
    Ok(())
}

fn undefined(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.patch(&user.path, json!([{"op": "add", "path": "nobodyDefinesThis", "value": "x"}]))?;
    answer.is_one_of(&[200, 204, 400])?;
    t.read(&user)?.lacks("/nobodyDefinesThis")?;
    Ok(())
}
