//! DELETE (RFC 7644 §3.6).

use serde_json::json;

use crate::conformance::check::{Section, must};
use crate::conformance::exchange::Request;
use crate::conformance::server::ENTERPRISE;
use crate::conformance::server::Need::{Enterprise, Feature, Groups};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Delete", checks: &[
    must(&["DEL-01"], "7644 §3.6", "DELETE is 204 without a body", no_content),
    must(&["DEL-01", "DEL-08"], "7644 §3.6", "DELETE of a group is 204", group).needs(&[Groups]),
    must(&["DEL-02", "GET-02"], "7644 §3.6", "what is deleted is 404 for GET", gone_for_get),
    must(&["DEL-02"], "7644 §3.6", "what is deleted is 404 for PUT, PATCH and DELETE", gone_for_writes),
    must(&["DEL-03"], "7644 §3.6", "what is deleted is found by no filter", not_found).needs(&[Feature("filter")]),
    must(&["DEL-03", "ENT-02"], "7644 §3.6", "what is deleted is nobody's manager that could be read", no_manager).needs(&[Enterprise]),
    must(&["DEL-05", "RES-06"], "7643 §3.1", "an id does not come back", new_id),
    must(&["DEL-09", "VER-04"], "7644 §3.14", "a stale If-Match keeps DELETE from deleting: 412", stale).needs(&[Feature("etag")]),
    must(&["DEL-02"], "7644 §3.12", "DELETE of an unknown id is 404", unknown),
] };

fn no_content(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.delete(&user.path)?;
    answer.is(204)?.holds(answer.body.is_empty(), "204 has a body")?;
    Ok(())
}

fn group(t: &mut Trial<'_>) -> Verdict {
    let group = t.group(&[])?;
    t.delete(&group.path)?.is(204)?;
    t.get(&group.path)?.is(404)?;
    Ok(())
}

fn gone_for_get(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.delete(&user.path)?.is(204)?;
    t.get(&user.path)?.is(404)?;
    Ok(())
}

fn gone_for_writes(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.delete(&user.path)?.is(204)?;
    let body = t.user_body(json!({}));
    t.put(&user.path, &body)?.is(404)?;
    t.patch(&user.path, json!([{"op": "replace", "path": "active", "value": true}]))?.is(404)?;
    t.delete(&user.path)?.is(404)?;
    Ok(())
}

fn not_found(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.delete(&user.path)?.is(204)?;
    let filter = format!("userName eq {}", user.answer.at("/userName"));
    t.list(&t.users(), &[("filter", &filter)])?.is(200)?.has("/totalResults", 0)?;
    Ok(())
}

fn no_manager(t: &mut Trial<'_>) -> Verdict {
    let manager = t.user(json!({}))?;
    let user = t.employee(json!({"department": "Tours", "manager": {"value": manager.id}}))?;
    t.delete(&manager.path)?.is(204)?;
    let answer = t.read(&user)?;
    answer.lacks(&format!("/{ENTERPRISE}/manager/displayName"))?;
    Ok(())
}

fn new_id(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.delete(&user.path)?.is(204)?;
    let body = t.user_body(json!({"id": user.id, "userName": user.answer.at("/userName")}));
    let again = t.create(&t.users(), &body)?;
    again.answer.holds(again.id != user.id, "the new user has the id of the deleted one")?;
    t.get(&user.path)?.is(404)?;
    Ok(())
}

fn stale(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.send(&Request::new("DELETE", user.path.clone()).header("If-Match", "W/\"nobody-has-this-version\""))?.is(412)?;
    t.read(&user)?;
    Ok(())
}

fn unknown(t: &mut Trial<'_>) -> Verdict {
    let path = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    t.delete(&path)?.is(404)?;
    Ok(())
}
