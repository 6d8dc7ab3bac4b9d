//! PUT (RFC 7644 §3.5.1).

use serde_json::{Value, json};

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::server::Need::{Enterprise, Feature, Groups, User};
use crate::conformance::trial::{Resource, Trial};
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Replace", checks: &[
    must(&["PUT-01"], "7644 §3.5.1", "PUT is 200 with the whole resource", whole),
    must(&["PUT-02"], "7644 §3.5.1", "PUT of an unknown id is 404, and creates nothing", unknown),
    must(&["PUT-02"], "9110 §15.5.6", "PUT of the list is 405 or 404", of_the_list),
    must(&["PUT-03"], "7644 §3.5.1", "what is given replaces what was there", given).needs(&[User("displayName"), User("emails")]),
    should(&["PUT-04"], "7644 §3.5.1", "what is left out is cleared", left_out).needs(&[User("nickName")]),
    must(&["PUT-04", "RES-14"], "7643 §2.5", "`null` and `[]` clear", nulls).needs(&[User("nickName"), User("emails")]),
    must(&["PUT-05"], "7644 §3.5.1", "id and meta in the body are ignored", read_only),
    must(&["PUT-07", "CHAR-01"], "7644 §3.5.1", "a PUT without what is required is 400, and changes nothing", required),
    must(&["PUT-08"], "7644 §3.5.1", "a name that another one has is 409", taken),
    must(&["PUT-08"], "7644 §3.5.1", "one's own name is no conflict", own_name),
    must(&["RES-11", "PUT-03"], "7643 §3.1", "PUT keeps `meta.created` and does not turn lastModified back", dates),
    ours(&["PUT-09", "VER-02"], "9110 §8.8", "a PUT that changes nothing keeps the version", no_change).needs(&[Feature("etag")]),
    must(&["PUT-10", "PUT-03"], "7644 §3.5.1", "PUT of a group replaces its members", members).needs(&[Groups]),
    must(&["PUT-04", "ENT-03"], "7644 §3.5.1, 7643 §3.3", "PUT takes and clears an extension", extension).needs(&[Enterprise]),
] };

/// The body of a PUT for a user who keeps the name.
fn body(t: &mut Trial<'_>, user: &Resource, extra: Value) -> Value {
    let mut body = t.user_body(extra);
    if !body["userName"].is_null() {
        body["userName"] = user.answer.at("/userName").clone();
    }
    body
}

fn whole(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let body = body(t, &user, json!({"displayName": "Mira"}));
    let answer = t.put(&user.path, &body)?;
    answer.is(200)?.has("/id", user.id.clone())?.has("/userName", body["userName"].clone())?;
    let read = t.read(&user)?;
    read.holds(read.json() == answer.json(), "GET shows another resource than PUT answered")?;
    Ok(())
}

fn unknown(t: &mut Trial<'_>) -> Verdict {
    let path = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    let body = t.user_body(json!({}));
    t.put(&path, &body)?.is(404)?;
    t.get(&path)?.is(404)?;
    Ok(())
}

fn of_the_list(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({}));
    t.put(&t.users(), &body)?.is_one_of(&[404, 405, 501])?;
    Ok(())
}

fn given(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"displayName": "Mira", "emails": [{"value": "a@example.com", "type": "work"}]}))?;
    let body = body(t, &user, json!({"displayName": "Mina", "emails": [{"value": "b@example.com", "type": "home"}]}));
    t.put(&user.path, &body)?.is(200)?;
    t.read(&user)?.has("/displayName", "Mina")?.has("/emails/0/value", "b@example.com")?.lacks("/emails/1")?;
    Ok(())
}

fn left_out(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"nickName": "Mimi"}))?;
    let body = body(t, &user, json!({}));
    t.put(&user.path, &body)?.is(200)?;
    t.read(&user)?.lacks("/nickName")?;
    Ok(())
}

fn nulls(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"nickName": "Mimi", "emails": [{"value": "a@example.com", "type": "work"}]}))?;
    let body = body(t, &user, json!({"nickName": null, "emails": []}));
    t.put(&user.path, &body)?.is(200)?;
    t.read(&user)?.lacks("/nickName")?.lacks("/emails")?;
    Ok(())
}

fn read_only(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let body =
        body(t, &user, json!({"id": user.id, "meta": {"created": "2001-01-01T00:00:00Z", "resourceType": "User"}}));
    t.put(&user.path, &body)?.is(200)?;
    t.read(&user)?.has("/meta/created", user.answer.at("/meta/created").clone())?;
    Ok(())
}

fn required(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let body = body(t, &user, json!({"userName": null}));
    let answer = t.put(&user.path, &body)?;
    t.refused(&answer, 400, "invalidValue")?;
    t.read(&user)?.has("/userName", user.answer.at("/userName").clone())?;
    Ok(())
}

fn taken(t: &mut Trial<'_>) -> Verdict {
    let (user, other) = (t.user(json!({}))?, t.user(json!({}))?);
    let body = body(t, &other, json!({}));
    let answer = t.put(&user.path, &body)?;
    t.refused(&answer, 409, "uniqueness")
}

fn own_name(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let mut body = body(t, &user, json!({}));
    body["userName"] = json!(user.answer.text("/userName")?.to_uppercase());
    t.put(&user.path, &body)?.is(200)?;
    Ok(())
}

fn dates(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let body = body(t, &user, json!({"displayName": "Mira"}));
    t.put(&user.path, &body)?.is(200)?;
    let answer = t.read(&user)?;
    answer.has("/meta/created", user.answer.at("/meta/created").clone())?;
    let instant = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok();
    let (before, after) = (user.answer.text("/meta/lastModified")?, answer.text("/meta/lastModified")?);
    answer.holds(instant(before) <= instant(after), format!("lastModified went from {before} to {after}"))?;
    Ok(())
}

fn no_change(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"active": true}))?;
    let body = body(t, &user, json!({"active": true}));
    t.put(&user.path, &body)?.is(200)?.has("/meta/version", user.answer.at("/meta/version").clone())?;
    Ok(())
}

fn members(t: &mut Trial<'_>) -> Verdict {
    let (a, b) = (t.user(json!({}))?, t.user(json!({}))?);
    let group = t.group(&[&a])?;
    let mut body = t.group_body(&[&b]);
    body["displayName"] = group.answer.at("/displayName").clone();
    t.put(&group.path, &body)?.is(200)?;
    t.read(&group)?.has("/members/0/value", b.id)?.lacks("/members/1")?;
    Ok(())
}

fn extension(t: &mut Trial<'_>) -> Verdict {
    use crate::conformance::server::ENTERPRISE;
    let user = t.user(json!({}))?;
    let with = body(t, &user, json!({ENTERPRISE: {"department": "Tours"}}));
    t.put(&user.path, &with)?.is(200)?;
    t.read(&user)?.has(&format!("/{ENTERPRISE}/department"), "Tours")?;
    let without = body(t, &user, json!({ENTERPRISE: null}));
    t.put(&user.path, &without)?.is(200)?;
    t.read(&user)?.lacks(&format!("/{ENTERPRISE}/department"))?;
    Ok(())
}
