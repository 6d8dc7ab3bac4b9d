//! Versions and conditional requests (RFC 7644 §3.14, RFC 9110 §13).

use serde_json::json;

use crate::conformance::check::{Section, must, ours};
use crate::conformance::exchange::Request;
use crate::conformance::server::Need::{Feature, User};
use crate::conformance::trial::{PATCH_OP, Resource, Trial};
use crate::conformance::verdict::Verdict;

const STALE: &str = "W/\"nobody-has-this-version\"";

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Versions", checks: &[
    must(&["VER-01"], "7644 §3.14", "POST, GET and PUT have an ETag", etag).needs(&[Feature("etag")]),
    must(&["VER-02"], "9110 §8.8", "a change gives another version", changed).needs(&[Feature("etag"), Feature("patch"), User("title")]),
    must(&["VER-02"], "9110 §8.8", "reading gives the same version", unchanged).needs(&[Feature("etag")]),
    must(&["VER-03"], "7644 §3.14", "If-None-Match with the version is 304 without a body", not_modified).needs(&[Feature("etag")]),
    must(&["VER-03"], "7644 §3.14", "If-None-Match with another version is 200", modified).needs(&[Feature("etag")]),
    must(&["VER-04"], "7644 §3.14", "PUT with a stale If-Match is 412, and changes nothing", stale_put).needs(&[Feature("etag")]),
    must(&["VER-04"], "7644 §3.14", "PATCH with a stale If-Match is 412, and changes nothing", stale_patch).needs(&[Feature("etag"), Feature("patch"), User("title")]),
    must(&["VER-04"], "7644 §3.14", "a write with the current If-Match is carried out", current).needs(&[Feature("etag")]),
    ours(&["VER-05"], "7644 §3.14", "If-Match takes lists and `*`", lists).needs(&[Feature("etag")]),
    must(&["VER-06"], "9110 §13.2.1", "an unknown id is 404, whatever If-Match says", existence_first).needs(&[Feature("etag")]),
    ours(&["VER-07"], "9110 §13.1.2", "PUT with If-None-Match: * is 412", none_match_any).needs(&[Feature("etag")]),
] };

fn etag(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    user.answer.header("ETag")?;
    t.read(&user)?.header("ETag")?;
    let request = put(t, &user);
    t.send(&request)?.is(200)?.header("ETag")?;
    Ok(())
}

/// A PUT that says something new of the user.
fn put(t: &mut Trial<'_>, user: &Resource) -> Request {
    let mut body = t.user_body(json!({"displayName": "Mina"}));
    body["userName"] = user.answer.at("/userName").clone();
    Request::new("PUT", user.path.clone()).json(&body)
}

fn changed(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let before = t.read(&user)?.header("ETag")?.to_owned();
    let after = t.patched(&user, json!([{"op": "add", "path": "title", "value": "Chef"}]))?;
    after.holds(after.header("ETag")? != before, format!("the version is still {before}"))?;
    Ok(())
}

fn unchanged(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let before = t.read(&user)?.header("ETag")?.to_owned();
    let after = t.read(&user)?;
    after.holds(after.header("ETag")? == before, format!("the version was {before}"))?;
    Ok(())
}

fn not_modified(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let tag = t.read(&user)?.header("ETag")?.to_owned();
    let answer = t.send(&Request::get(user.path).header("If-None-Match", tag))?;
    answer.is(304)?.holds(answer.body.is_empty(), "304 has a body")?;
    Ok(())
}

fn modified(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.send(&Request::get(user.path).header("If-None-Match", STALE))?.is(200)?;
    Ok(())
}

fn stale_put(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let request = put(t, &user).header("If-Match", STALE);
    t.send(&request)?.is(412)?;
    t.read(&user)?.lacks("/displayName")?;
    Ok(())
}

fn stale_patch(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let body = json!({"schemas": [PATCH_OP], "Operations": [{"op": "add", "path": "title", "value": "Chef"}]});
    t.send(&Request::new("PATCH", user.path.clone()).json(&body).header("If-Match", STALE))?.is(412)?;
    t.read(&user)?.lacks("/title")?;
    Ok(())
}

fn current(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let tag = t.read(&user)?.header("ETag")?.to_owned();
    let request = put(t, &user).header("If-Match", tag);
    t.send(&request)?.is(200)?;
    Ok(())
}

fn lists(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let tag = t.read(&user)?.header("ETag")?.to_owned();
    let request = put(t, &user).header("If-Match", format!("{STALE}, {tag}"));
    t.send(&request)?.is(200)?;
    let request = put(t, &user).header("If-Match", "*");
    t.send(&request)?.is(200)?;
    Ok(())
}

fn existence_first(t: &mut Trial<'_>) -> Verdict {
    let path = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    t.send(&Request::new("DELETE", path).header("If-Match", STALE))?.is(404)?;
    Ok(())
}

fn none_match_any(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let request = put(t, &user).header("If-None-Match", "*");
    t.send(&request)?.is(412)?;
    Ok(())
}
