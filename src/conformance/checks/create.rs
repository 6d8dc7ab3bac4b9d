//! POST (RFC 7644 §3.3).

use serde_json::json;

use crate::conformance::check::{Section, must};
use crate::conformance::server::Need::Groups;
use crate::conformance::server::{GROUP, USER};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Create", checks: &[
    must(&["CRE-01"], "7644 §3.3", "a user is created: 201 with the resource", a_user),
    must(&["CRE-01"], "7644 §3.3", "a created user is found again, as it was answered", found_again),
    must(&["CRE-01"], "7644 §3.3", "201 has the Location header", location),
    must(&["CRE-01", "GRP-01"], "7644 §3.3, 7643 §4.2", "a group without members is created", a_group).needs(&[Groups]),
    must(&["CRE-03", "CHAR-11"], "7644 §3.3", "a name that is taken is 409 `uniqueness`", taken),
    must(&["CRE-03", "USR-02", "CHAR-10", "CHAR-13"], "7643 §4.1.1", "a name that differs in case alone is taken", taken_in_other_case),
    must(&["CRE-04"], "7644 §3.3.1", "`meta.resourceType` follows from the endpoint", resource_type),
    must(&["CRE-06", "PROJ-02"], "7644 §3.9", "`attributes` shapes the answer to POST", attributes),
    must(&["CRE-05", "DEL-04"], "7644 §3.6", "a deleted user's name is free", deleted_name),
    must(&["CRE-02", "RES-07", "RES-10"], "7644 §3.3", "what the client says of id and meta is ignored", read_only),
] };

fn a_user(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({}));
    let answer = t.post(&t.users(), &body)?;
    answer.is(201)?.has("/userName", body["userName"].clone())?.text("/id")?;
    Ok(())
}

fn found_again(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let again = t.read(&user)?;
    again.holds(again.json() == user.answer.json(), "GET shows another resource than POST answered")?;
    Ok(())
}

fn location(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let location = user.answer.header("Location")?.to_owned();
    t.get(&location)?.is(200)?.has("/id", user.id)?;
    Ok(())
}

fn a_group(t: &mut Trial<'_>) -> Verdict {
    let (endpoint, body) = (t.groups()?, t.group_body(&[]));
    let answer = t.post(&endpoint, &body)?;
    answer.is(201)?.has("/displayName", body["displayName"].clone())?.text("/id")?;
    Ok(())
}

fn taken(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({}));
    t.create(&t.users(), &body)?;
    t.post(&t.users(), &body)?.refused_with(409, "uniqueness")?;
    Ok(())
}

fn taken_in_other_case(t: &mut Trial<'_>) -> Verdict {
    let mut body = t.user_body(json!({}));
    t.create(&t.users(), &body)?;
    body["userName"] = json!(body["userName"].as_str().unwrap_or_default().to_uppercase());
    t.post(&t.users(), &body)?.is(409)?;
    Ok(())
}

fn resource_type(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"meta": {"resourceType": "Group"}}))?;
    let named = |urn: &str| {
        t.server.resource_types.iter().find(|known| known["schema"] == urn).map(|known| known["name"].clone())
    };
    let (user_type, group_type) = (named(USER).unwrap_or(json!("User")), named(GROUP).unwrap_or(json!("Group")));
    user.answer.has("/meta/resourceType", user_type)?;
    if t.server.groups().is_some() {
        t.group(&[])?.answer.has("/meta/resourceType", group_type)?;
    }
    Ok(())
}

fn attributes(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({"active": true}));
    let answer = t.post(&format!("{}?attributes=active", t.users()), &body)?;
    answer.is(201)?.lacks("/userName")?.text("/id")?;
    Ok(())
}

fn deleted_name(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({}));
    let first = t.create(&t.users(), &body)?;
    t.delete(&first.path)?.is(204)?;
    let second = t.post(&t.users(), &body)?;
    second.is(201)?;
    second.holds(second.at("/id") != first.id.as_str(), "the new user has the id of the deleted one")?;
    Ok(())
}

fn read_only(t: &mut Trial<'_>) -> Verdict {
    let meta = json!({"created": "2001-01-01T00:00:00Z", "version": "W/\"none\"", "location": "https://example.com/x"});
    let user = t.user(json!({"id": "chosen-by-the-client", "meta": meta}))?;
    user.answer.holds(user.id != "chosen-by-the-client", "the server took the client's id")?;
    let created = user.answer.at("/meta/created").as_str().unwrap_or_default();
    user.answer.holds(!created.starts_with("2001"), "the server took the client's `meta.created`")?;
    Ok(())
}
