//! Users and the enterprise extension (RFC 7643 §4.1 and §4.3).

use serde_json::json;

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::server::Need::{Enterprise, Feature, Groups, User};
use crate::conformance::server::{ENTERPRISE, USER};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::{Stop, Verdict};

const SECRET: &str = "Ex4mple-Secret-Of-A-Test!";

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Users", checks: &[
    must(&["USR-01"], "7643 §4.1.1", "a user without userName is refused", no_name),
    must(&["USR-01", "RES-16"], "7643 §4.1.1", "an empty userName is refused", empty_name),
    must(&["USR-03"], "7643 §4.1.2", "`groups` of a user cannot be written", groups_are_read_only),
    must(&["USR-04"], "7643 §4.1.2", "`groups` shows the groups that have the user as a member", groups).needs(&[Groups, User("groups")]),
    should(&["USR-04"], "7643 §4.1.2", "membership through a nested group is `indirect`", indirect_groups).needs(&[Groups, User("groups")]),
    must(&["USR-05"], "7643 §4.1.1", "a password is in no answer", password).needs(&[User("password")]),
    must(&["USR-05"], "7643 §4.1.1", "a password can be changed, if that is advertised", change_password).needs(&[Feature("changePassword"), Feature("patch")]),
    ours(&["USR-07"], "7644 §3.5.1", "a PUT without the password is no change of it, and succeeds", put_without_password).needs(&[User("password")]),
    ours(&["USR-11"], "7644 §3.3", "`active` is true unless said otherwise", active_by_default).needs(&[User("active")]),
    ours(&["USR-11"], "7644 §3.5.1", "a PUT without `active` enables nobody", put_keeps_active).needs(&[User("active")]),
    should(&["USR-12"], "7643 §4.1.1", "a user who is not active stays readable, and can be enabled", deactivated).needs(&[User("active"), Feature("patch")]),
    must(&["ENT-01"], "7643 §4.3", "the client does not say what the manager is called", manager_name).needs(&[Enterprise]),
    must(&["ENT-02"], "7643 §4.3", "a manager who exists comes back", manager).needs(&[Enterprise]),
    must(&["ENT-03"], "7643 §3.3", "PATCH of an attribute of the extension puts it into `schemas`", extension_by_patch).needs(&[Enterprise, Feature("patch")]),
] };

fn no_name(t: &mut Trial<'_>) -> Verdict {
    let answer = t.post(&t.users(), &json!({"schemas": [USER], "displayName": "Nobody"}))?;
    t.refused(&answer, 400, "invalidValue")
}

fn empty_name(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({"userName": ""}));
    let answer = t.post(&t.users(), &body)?;
    t.refused(&answer, 400, "invalidValue")
}

fn groups_are_read_only(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"groups": [{"value": "chosen-by-the-client"}]}))?;
    t.read(&user)?.lacks("/groups")?;
    Ok(())
}

fn groups(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let group = t.group(&[&user])?;
    let answer = t.read(&user)?;
    let found = answer.array("/groups")?;
    let mine = found.iter().find(|found| found["value"] == group.id.as_str());
    answer.holds(mine.is_some(), "`groups` lacks the group")?;
    Ok(())
}

fn indirect_groups(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let inner = t.group(&[&user])?;
    let outer = t.group(&[&inner])?;
    let answer = t.read(&user)?;
    let found = answer.array("/groups")?;
    let kind = |id: &str| found.iter().find(|group| group["value"] == id).map(|group| group["type"].clone());
    answer.holds(kind(&inner.id) == Some(json!("direct")), "the inner group is not shown as direct")?;
    answer.holds(kind(&outer.id) == Some(json!("indirect")), "the outer group is not shown as indirect")?;
    Ok(())
}

fn password(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({ "password": SECRET }))?;
    let (read, listed) = (t.read(&user)?, t.list(&t.users(), &[("count", "10")])?);
    for answer in [&user.answer, &read, &listed] {
        let text = String::from_utf8_lossy(&answer.body);
        answer.holds(!text.contains(SECRET), "the answer shows the password")?;
    }
    user.answer.lacks("/password")?;
    read.lacks("/password")?;
    Ok(())
}

fn change_password(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({ "password": SECRET }))?;
    let answer =
        t.patched(&user, json!([{"op": "replace", "path": "password", "value": "Changed-Secret-0f-A-Test!"}]))?;
    answer.lacks("/password")?;
    Ok(())
}

fn put_without_password(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({ "password": SECRET }))?;
    let mut body = t.user_body(json!({"displayName": "Mira"}));
    body["userName"] = user.answer.at("/userName").clone();
    t.put(&user.path, &body)?.is(200)?.lacks("/password")?;
    Ok(())
}

fn active_by_default(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.read(&user)?.has("/active", true)?;
    Ok(())
}

fn put_keeps_active(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"active": false}))?;
    let mut body = t.user_body(json!({}));
    body["userName"] = user.answer.at("/userName").clone();
    t.put(&user.path, &body)?.is(200)?.has("/active", false)?;
    Ok(())
}

fn deactivated(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"active": true}))?;
    t.patched(&user, json!([{"op": "replace", "path": "active", "value": false}]))?.has("/active", false)?;
    t.patched(&user, json!([{"op": "replace", "path": "active", "value": true}]))?.has("/active", true)?;
    Ok(())
}

fn manager_name(t: &mut Trial<'_>) -> Verdict {
    let manager = t.user(json!({}))?;
    let user = t.employee(json!({"manager": {"value": manager.id, "displayName": "Chosen by the client"}}))?;
    let answer = t.read(&user)?;
    let name = answer.at(&format!("/{ENTERPRISE}/manager/displayName"));
    answer.holds(name != "Chosen by the client", "the server took the client's name of the manager")?;
    Ok(())
}

fn manager(t: &mut Trial<'_>) -> Verdict {
    let manager = t.user(json!({}))?;
    let user = t.employee(json!({"manager": {"value": manager.id}}))?;
    t.read(&user)?.has(&format!("/{ENTERPRISE}/manager/value"), manager.id)?;
    Ok(())
}

fn extension_by_patch(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let operation = json!({"op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Tours"});
    let answer = t.patched(&user, json!([operation]))?;
    answer.has(&format!("/{ENTERPRISE}/department"), "Tours")?;
    match answer.array("/schemas")?.contains(&json!(ENTERPRISE)) {
        true => Ok(()),
        false => Err(Stop::fail("`schemas` lacks the extension after the PATCH")),
    }
}
