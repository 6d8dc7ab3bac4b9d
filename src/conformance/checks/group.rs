//! Groups and their members (RFC 7643 §4.2).

use serde_json::{Value, json};

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::exchange::Answer;
use crate::conformance::server::GROUP;
use crate::conformance::server::Need::{Feature, Groups};
use crate::conformance::trial::{Resource, Trial};
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Groups", checks: &[
    must(&["GRP-01"], "7643 §4.2", "a group without displayName is refused", no_name).needs(&[Groups]),
    must(&["GRP-02"], "7643 §4.2", "members are those that the client named", members).needs(&[Groups]),
    should(&["GRP-02"], "7643 §4.2", "a member who does not exist is refused", unknown_member).needs(&[Groups]),
    should(&["GRP-03"], "7643 §4.2", "a member has `$ref` and `type`", parts_of_members).needs(&[Groups]),
    must(&["GRP-04"], "7643 §4.2", "a member cannot be changed in place", immutable_members).needs(&[Groups, Feature("patch")]),
    must(&["GRP-04"], "7643 §4.2, 7644 §3.5.2", "members are added and removed with PATCH", added_and_removed).needs(&[Groups, Feature("patch")]),
    must(&["GRP-05"], "7643 §4.2", "a group may be a member of a group", nested).needs(&[Groups]),
    must(&["GRP-05"], "7643 §4.2", "two groups may contain each other, and both stay readable", cycle).needs(&[Groups, Feature("patch")]),
    must(&["GRP-06", "PATCH-A5"], "7644 §3.5.2.1", "a member who is added again is there once", added_again).needs(&[Groups, Feature("patch")]),
    should(&["GRP-07", "DEL-03"], "7644 §3.6", "a deleted user is no member any more", deleted_member).needs(&[Groups]),
    must(&["PATCH-22"], "7644 §3.5.2", "fifty members are added and removed in one PATCH", many_members).needs(&[Groups, Feature("patch")]),
    ours(&["GRP-03"], "7643 §4.2", "what the client says of a member's `$ref` and `display` is ignored", computed_parts).needs(&[Groups]),
] };

/// The ids of the members, in order of the ids.
fn ids(answer: &Answer) -> Vec<String> {
    let members = answer.at("/members").as_array().into_iter().flatten();
    let mut ids: Vec<String> = members.filter_map(|member| member["value"].as_str().map(str::to_owned)).collect();
    ids.sort();
    ids
}

fn has_members(answer: &Answer, expected: &[&Resource]) -> Verdict {
    let mut wanted: Vec<String> = expected.iter().map(|member| member.id.clone()).collect();
    wanted.sort();
    answer.holds(ids(answer) == wanted, format!("the members are not the {} expected ones", wanted.len()))?;
    Ok(())
}

fn no_name(t: &mut Trial<'_>) -> Verdict {
    let endpoint = t.groups()?;
    let answer = t.post(&endpoint, &json!({"schemas": [GROUP]}))?;
    t.refused(&answer, 400, "invalidValue")
}

fn members(t: &mut Trial<'_>) -> Verdict {
    let (a, b) = (t.user(json!({}))?, t.user(json!({}))?);
    let group = t.group(&[&a, &b])?;
    has_members(&t.read(&group)?, &[&a, &b])
}

fn unknown_member(t: &mut Trial<'_>) -> Verdict {
    let (endpoint, mut body) = (t.groups()?, t.group_body(&[]));
    body["members"] = json!([{"value": "00000000-0000-4000-8000-000000000000"}]);
    t.post(&endpoint, &body)?.is_client_error()?;
    Ok(())
}

fn parts_of_members(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let group = t.group(&[&user])?;
    let answer = t.read(&group)?;
    answer.has("/members/0/type", "User")?.text("/members/0/$ref")?;
    Ok(())
}

fn immutable_members(t: &mut Trial<'_>) -> Verdict {
    let (a, b) = (t.user(json!({}))?, t.user(json!({}))?);
    let group = t.group(&[&a])?;
    let path = format!("members[value eq \"{}\"].value", a.id);
    t.patch(&group.path, json!([{"op": "replace", "path": path, "value": b.id}]))?.refused_with(400, "mutability")?;
    has_members(&t.read(&group)?, &[&a])
}

fn added_and_removed(t: &mut Trial<'_>) -> Verdict {
    let (a, b) = (t.user(json!({}))?, t.user(json!({}))?);
    let group = t.group(&[&a])?;
    let add = json!({"op": "add", "path": "members", "value": [b.reference()]});
    has_members(&t.patched(&group, json!([add]))?, &[&a, &b])?;
    let remove = json!({"op": "remove", "path": format!("members[value eq \"{}\"]", a.id)});
    has_members(&t.patched(&group, json!([remove]))?, &[&b])
}

fn nested(t: &mut Trial<'_>) -> Verdict {
    let inner = t.group(&[])?;
    let outer = t.group(&[&inner])?;
    has_members(&t.read(&outer)?, &[&inner])
}

fn cycle(t: &mut Trial<'_>) -> Verdict {
    let a = t.group(&[])?;
    let b = t.group(&[&a])?;
    let add = json!({"op": "add", "path": "members", "value": [b.reference()]});
    has_members(&t.patched(&a, json!([add]))?, &[&b])?;
    has_members(&t.read(&b)?, &[&a])
}

fn added_again(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let group = t.group(&[&user])?;
    let add = json!({"op": "add", "path": "members", "value": [user.reference()]});
    has_members(&t.patched(&group, json!([add]))?, &[&user])
}

fn deleted_member(t: &mut Trial<'_>) -> Verdict {
    let (a, b) = (t.user(json!({}))?, t.user(json!({}))?);
    let group = t.group(&[&a, &b])?;
    t.delete(&a.path)?.is(204)?;
    has_members(&t.read(&group)?, &[&b])
}

fn many_members(t: &mut Trial<'_>) -> Verdict {
    let members = (0..50).map(|_| t.group(&[])).collect::<Verdict<Vec<Resource>>>()?;
    let group = t.group(&[])?;
    let values: Vec<Value> = members.iter().map(Resource::reference).collect();
    let all: Vec<&Resource> = members.iter().collect();
    has_members(&t.patched(&group, json!([{"op": "add", "path": "members", "value": values}]))?, &all)?;
    let removals =
        members.iter().map(|member| json!({"op": "remove", "path": format!("members[value eq \"{}\"]", member.id)}));
    let removals: Vec<Value> = removals.collect();
    has_members(&t.patched(&group, json!(removals))?, &[])
}

fn computed_parts(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let (endpoint, mut body) = (t.groups()?, t.group_body(&[]));
    body["members"] = json!([{"value": user.id, "$ref": null, "display": "Chosen by the client"}]);
    let group = t.create(&endpoint, &body)?;
    let answer = t.read(&group)?;
    let display = answer.at("/members/0/display");
    answer.holds(display != "Chosen by the client", "the server took the client's `display`")?;
    Ok(())
}
