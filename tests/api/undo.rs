//! What one key did in a span of time, undone: everything of it, nothing of what others did.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use scimd::auth::Token;
use scimd::provider::undo::{Conflict, Reversal, Span, Undone, What};
use scimd::scim::schema::Registry;
use scimd::scim::{ErrorKind, Profile};
use scimd::store::audit::{self, Operation};
use scimd::store::{Connection, Reach};
use serde_json::{Value, json};

use crate::harness::{Api, Database, Lasting, each, run};
use crate::messages::*;
use crate::past::{
    DEVICE, Seen, Step, World, configured_provider, devices, from_now_on, id_of, moment, own_of_past, see, state_at,
    type_of,
};
use crate::restore::{operators_call, provider, provider_of, restore};

/// The id of the key behind this side of the tenant.
fn key_of(api: &Api) -> String {
    Token::parse(api.token.as_bytes()).unwrap().key_id().to_owned()
}

/// The same tenant, through another key.
fn another_key(api: &Api) -> Api {
    api.with_key(Profile::Compat, "read write")
}

fn undo_of(api: &Api, caller: &str, since: DateTime<Utc>, dry_run: bool) -> Undone {
    let span = Span { caller: caller.to_owned(), since, until: Utc::now() };
    run(provider(api).undo(operators_call(api), span, dry_run))
}

/// Undoes what a key did since; a dry run before it says the same.
fn undo(api: &Api, caller: &str, since: DateTime<Utc>) -> Undone {
    let plan = undo_of(api, caller, since, true);
    let done = undo_of(api, caller, since, false);
    assert_eq!(plan, done, "the dry run says what is done");
    done
}

fn reversal<'u>(undone: &'u Undone, resource: &Value) -> &'u Reversal {
    let found = undone.reversals.iter().find(|reversal| json!(reversal.id) == resource["id"]);
    found.unwrap_or_else(|| panic!("nothing is done to {resource}: {undone:#?}"))
}

/// What is left alone of a resource.
fn left(undone: &Undone, resource: &Value) -> Vec<What> {
    let of_it = undone.conflicts.iter().filter(|conflict| json!(conflict.id) == resource["id"]);
    of_it.map(|conflict| conflict.what.clone()).collect()
}

fn get(api: &Api, resource: &Value) -> Value {
    api.get(&path_of(resource)).json()
}

fn replaced(path: &str, value: Value) -> Value {
    patch(json!([{"op": "replace", "path": path, "value": value}]))
}

fn with_member(resource: &Value) -> Value {
    patch(json!([{"op": "add", "path": "members", "value": [{"value": resource["id"]}]}]))
}

fn without_member(resource: &Value) -> Value {
    let path = format!("members[value eq {}]", resource["id"]);
    patch(json!([{"op": "remove", "path": path}]))
}

#[track_caller]
fn changed(api: &Api, resource: &Value, message: &Value) {
    let answer = api.patch(&path_of(resource), message);
    assert!(matches!(answer.status, 200 | 204), "{}", answer.text());
}

#[test]
fn a_span_is_taken_back_attribute_by_attribute_and_member_by_member() {
    each(|api| {
        let mut body = user_with("ines", json!({"title": "Guide", "nickName": "I"}));
        body[ENTERPRISE] = json!({"department": "Tours", "division": "East"});
        let ines = api.created("/Users", &body);
        let omar = api.created("/Users", &user("omar"));
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let since = from_now_on();
        let rogue = another_key(api);
        changed(&rogue, &ines, &replaced("title", json!("Lead")));
        changed(&rogue, &ines, &replaced("title", json!("Boss")));
        changed(&rogue, &ines, &replaced("userName", json!("inessa")));
        changed(&rogue, &ines, &replaced(&format!("{ENTERPRISE}:department"), json!("Sales")));
        changed(&rogue, &team, &with_member(&omar));
        changed(&rogue, &team, &without_member(&ines));
        changed(api, &ines, &replaced("nickName", json!("N")));
        changed(api, &ines, &replaced(&format!("{ENTERPRISE}:division"), json!("West")));

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(undone.conflicts, []);
        let shown = get(api, &ines);
        assert_eq!(
            (&shown["userName"], &shown["title"], &shown["nickName"]),
            (&json!("ines"), &json!("Guide"), &json!("N"))
        );
        assert_eq!(shown[ENTERPRISE], json!({"department": "Tours", "division": "West"}));
        assert_eq!(values(&get(api, &team), "members"), ids(&[&ines]));
        let of_ines = reversal(&undone, &ines);
        assert_eq!(of_ines.operation, Operation::Modify);
        let expected = json!({
            "before": {"title": "Boss", "userName": "inessa", ENTERPRISE: {"department": "Sales"}},
            "after": {"title": "Guide", "userName": "ines", ENTERPRISE: {"department": "Tours"}},
        });
        assert_eq!(of_ines.changes, expected);
        let of_team = json!({"members": {"added": [ines["id"]], "removed": [omar["id"]]}});
        assert_eq!(reversal(&undone, &team).changes, of_team);
    });
}

#[test]
fn what_was_created_is_deleted_and_what_was_deleted_is_back() {
    each(|api| {
        let boss = api.created("/Users", &user("boss"));
        let manager = json!({ENTERPRISE: {"manager": {"value": boss["id"]}}});
        let ines = api.created("/Users", &user_with("ines", manager));
        let team = api.created("/Groups", &group("Team", &[&ines, &boss]));
        let inner = api.created("/Groups", &group("Inner", &[&ines]));
        changed(api, &team, &with_member(&inner));
        let before: Vec<Seen> = [&boss, &ines, &team, &inner].iter().map(|resource| see(api, resource)).collect();
        let since = from_now_on();
        let rogue = another_key(api);
        for resource in [&boss, &inner, &ines] {
            assert_eq!(rogue.delete(&path_of(resource)).status, 204);
        }
        let omar = rogue.created("/Users", &user("omar"));
        changed(&rogue, &team, &with_member(&omar));
        let others = rogue.created("/Groups", &group("Others", &[&omar]));

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(undone.conflicts, []);
        let words = |resource| reversal(&undone, resource).operation;
        assert_eq!([words(&boss), words(&inner), words(&ines)], [Operation::Restore; 3]);
        assert_eq!([words(&omar), words(&others)], [Operation::Delete; 2]);
        let after: Vec<Seen> = [&boss, &ines, &team, &inner].iter().map(|resource| see(api, resource)).collect();
        for (before, after) in before.iter().zip(&after) {
            let own = |seen: &Seen| seen.as_ref().map(|own| (own.attributes.clone(), own.members.clone()));
            assert_eq!(own(before), own(after));
        }
        for resource in [&omar, &others] {
            assert_error(&api.get(&path_of(resource)), 404, None);
        }
        assert_eq!(get(api, &ines)[ENTERPRISE]["manager"]["value"], boss["id"]);
        assert_eq!(values(&get(api, &ines), "groups"), ids(&[&team, &inner]));
    });
}

#[test]
fn what_only_came_of_a_deletion_moves_no_last_modified() {
    each(|api| {
        let boss = api.created("/Users", &user("boss"));
        let manager = json!({ENTERPRISE: {"manager": {"value": boss["id"]}}});
        let ines = api.created("/Users", &user_with("ines", manager));
        let team = api.created("/Groups", &group("Team", &[&boss]));
        let since = from_now_on();
        let rogue = another_key(api);
        assert_eq!(rogue.delete(&path_of(&boss)).status, 204);

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(reversal(&undone, &team).operation, Operation::Join);
        assert_eq!(reversal(&undone, &ines).operation, Operation::Assign);
        for resource in [&ines, &team] {
            assert_eq!(get(api, resource)["meta"]["lastModified"], resource["meta"]["lastModified"]);
        }
    });
}

#[test]
fn names_that_were_exchanged_are_exchanged_back() {
    each(|api| {
        let [ines, omar, mira] = ["ines", "omar", "mira"].map(|name| api.created("/Users", &user(name)));
        let since = from_now_on();
        let rogue = another_key(api);
        let renamed = |resource: &Value, name: &str| changed(&rogue, resource, &replaced("userName", json!(name)));
        renamed(&ines, "spare");
        renamed(&omar, "ines");
        renamed(&mira, "omar");
        renamed(&ines, "mira");
        assert_eq!(rogue.delete(&path_of(&mira)).status, 204);
        let newcomer = rogue.created("/Users", &user("omar"));

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(undone.conflicts, []);
        for (resource, name) in [(&ines, "ines"), (&omar, "omar"), (&mira, "mira")] {
            assert_eq!(get(api, resource)["userName"], json!(name));
            assert_eq!(found(api, "/Users", &format!("userName eq \"{name}\"")), [name]);
        }
        assert_error(&api.get(&path_of(&newcomer)), 404, None);
    });
}

#[test]
fn the_database_agrees_with_itself_afterwards() {
    Lasting::each(|lasting| {
        let unique = json!({"name": "serial", "type": "string", "uniqueness": "server"});
        let tag = json!({"name": "tag", "type": "string", "uniqueness": "server"});
        let objects = devices(json!([unique, tag]));
        let api = &lasting.serve(&objects).unwrap();
        let device = |serial: &str, tag: &str| {
            api.created("/Devices", &json!({"schemas": [DEVICE], "serial": serial, "tag": tag}))
        };
        let devices = [device("1", "a"), device("2", "b"), device("3", "c")];
        let people = ["ines", "omar"].map(|name| api.created("/Users", &user(name)));
        let team = api.created("/Groups", &group("Team", &[&people[0], &people[1]]));
        let shown = || -> Vec<Value> {
            let all = devices.iter().chain(&people).chain([&team]);
            all.map(|resource| get(api, resource))
                .map(|mut body| {
                    body.as_object_mut().unwrap().remove("meta");
                    body
                })
                .collect()
        };
        let before = shown();
        let since = from_now_on();
        let rogue = &another_key(api);
        for (resource, serial, tag) in [(0, "x", "y"), (1, "1", "a"), (2, "2", "b"), (0, "3", "c")] {
            let body = json!({"schemas": [DEVICE], "serial": serial, "tag": tag});
            assert_eq!(rogue.put(&path_of(&devices[resource]), &body).status, 200);
        }
        assert_eq!(rogue.delete(&path_of(&devices[1])).status, 204);
        assert_eq!(rogue.delete(&path_of(&people[0])).status, 204);
        rogue.created("/Users", &user("ines"));
        changed(rogue, &team, &replaced("displayName", json!("Crew")));

        let provider = configured_provider(api, &objects);
        let span = Span { caller: key_of(rogue), since, until: Utc::now() };
        let undone = run(provider.undo(operators_call(api), span, false));

        assert_eq!(undone.conflicts, []);
        assert_eq!(shown(), before);
        let mut flaws = Vec::new();
        run(api.store.inspect(provider.registry(), Utc::now(), false, (), |flaw, _| flaws.push(flaw)));
        assert!(flaws.is_empty(), "{flaws:?}");
    });
}

#[test]
fn groups_get_their_names_for_programs_back_too() {
    each(|api| {
        let [team, crew] = ["Team", "Crew"].map(|name| api.created("/Groups", &group(name, &[])));
        let since = from_now_on();
        let rogue = another_key(api);
        for (resource, name) in [(&team, "Spare"), (&crew, "Team"), (&team, "Crew")] {
            changed(&rogue, resource, &replaced("displayName", json!(name)));
        }

        undo(api, &key_of(&rogue), since);

        for (resource, name) in [(&team, "team"), (&crew, "crew")] {
            let (tenant_id, id) = (api.tenant_id, id_of(resource).to_owned());
            let find =
                move |connection: &mut Connection| scimd::store::resources::find(connection, tenant_id, "Group", &id);
            assert_eq!(run(api.store.read(Reach::Point, find)).unwrap().name.as_deref(), Some(name));
        }
    });
}

#[test]
fn a_change_by_somebody_else_is_left_alone_and_the_rest_is_undone() {
    each(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"title": "Guide", "nickName": "I"})));
        let omar = api.created("/Users", &user("omar"));
        let team = api.created("/Groups", &group("Team", &[&ines, &omar]));
        let since = from_now_on();
        let rogue = another_key(api);
        changed(&rogue, &ines, &replaced("title", json!("Lead")));
        changed(&rogue, &ines, &replaced("nickName", json!("N")));
        changed(&rogue, &team, &without_member(&ines));
        changed(&rogue, &team, &without_member(&omar));
        changed(api, &ines, &replaced("title", json!("Boss")));
        changed(api, &team, &with_member(&ines));
        changed(api, &team, &without_member(&ines));

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(left(&undone, &ines), [What::Attribute("title".to_owned())]);
        assert_eq!(left(&undone, &team), [What::Member(id_of(&ines).to_owned())]);
        assert!(undone.conflicts.iter().all(|conflict| conflict.reason.contains(&key_of(api))), "{undone:#?}");
        let shown = get(api, &ines);
        assert_eq!((&shown["title"], &shown["nickName"]), (&json!("Boss"), &json!("I")));
        assert_eq!(values(&get(api, &team), "members"), ids(&[&omar]));
    });
}

#[test]
fn a_change_in_between_is_a_conflict_and_one_that_was_put_right_by_hand_is_none() {
    each(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"title": "1", "nickName": "1"})));
        let since = from_now_on();
        let rogue = another_key(api);
        changed(&rogue, &ines, &replaced("title", json!("2")));
        changed(&rogue, &ines, &replaced("nickName", json!("2")));
        changed(api, &ines, &replaced("title", json!("3")));
        changed(api, &ines, &replaced("nickName", json!("1")));
        changed(&rogue, &ines, &replaced("title", json!("1")));

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(undone.reversals, []);
        assert_eq!(left(&undone, &ines), [What::Attribute("title".to_owned())]);
    });
}

#[test]
fn whoever_somebody_else_has_use_for_by_now_is_not_deleted() {
    each(|api| {
        let since = from_now_on();
        let rogue = another_key(api);
        let [changed_since, listed, boss, unused] =
            ["changed", "listed", "boss", "unused"].map(|name| rogue.created("/Users", &user(name)));
        changed(api, &changed_since, &replaced("title", json!("Guide")));
        let team = api.created("/Groups", &group("Team", &[&listed]));
        let manager = json!({ENTERPRISE: {"manager": {"value": boss["id"]}}});
        let report = api.created("/Users", &user_with("report", manager));

        let undone = undo(api, &key_of(&rogue), since);

        for resource in [&changed_since, &listed, &boss] {
            assert_eq!(left(&undone, resource), [What::Everything]);
            assert_eq!(api.get(&path_of(resource)).status, 200);
        }
        assert_error(&api.get(&path_of(&unused)), 404, None);
        assert_eq!(values(&get(api, &team), "members"), ids(&[&listed]));
        assert_eq!(get(api, &report)[ENTERPRISE]["manager"]["value"], boss["id"]);
        let reasons = |resource: &Value| -> String {
            let of_it = undone.conflicts.iter().find(|conflict| json!(conflict.id) == resource["id"]);
            of_it.unwrap().reason.clone()
        };
        assert_eq!(reasons(&listed), format!("Group '{}' lists it.", id_of(&team)));
        assert_eq!(reasons(&boss), format!("User '{}' refers to it.", id_of(&report)));
    });
}

#[test]
fn a_name_that_somebody_else_has_by_now_stays_with_him() {
    each(|api| {
        let [renamed, deleted] =
            ["ines", "omar"].map(|name| api.created("/Users", &user_with(name, json!({"title": "1"}))));
        let team = api.created("/Groups", &group("Team", &[&deleted]));
        let since = from_now_on();
        let rogue = another_key(api);
        changed(&rogue, &renamed, &replaced("userName", json!("other")));
        changed(&rogue, &renamed, &replaced("title", json!("2")));
        assert_eq!(rogue.delete(&path_of(&deleted)).status, 204);
        let successors = ["INES", "omar"].map(|name| api.created("/Users", &user(name)));

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(left(&undone, &renamed), [What::Attribute("userName".to_owned())]);
        assert_eq!(left(&undone, &deleted), [What::Everything]);
        assert_eq!((&get(api, &renamed)["userName"], &get(api, &renamed)["title"]), (&json!("other"), &json!("1")));
        assert_error(&api.get(&path_of(&deleted)), 404, None);
        assert_eq!(get(api, &team)["members"], json!([]), "nobody lists who is deleted");
        successors.iter().for_each(|successor| assert_eq!(api.get(&path_of(successor)).status, 200));
    });
}

#[test]
fn an_undo_can_be_undone() {
    each(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"title": "Guide"})));
        let gone = api.created("/Users", &user("gone"));
        let team = api.created("/Groups", &group("Team", &[&ines, &gone]));
        let since = from_now_on();
        let rogue = another_key(api);
        let omar = rogue.created("/Users", &user_with("omar", json!({ENTERPRISE: {"manager": {"value": ines["id"]}}})));
        changed(&rogue, &ines, &replaced("title", json!("Lead")));
        changed(&rogue, &team, &with_member(&omar));
        assert_eq!(rogue.delete(&path_of(&gone)).status, 204);
        let all = [&ines, &gone, &team, &omar];
        let own = |resource: &&Value| see(api, resource).map(|own| (own.attributes, own.members));
        let after_rogue: Vec<_> = all.iter().map(own).collect();
        let between = moment();
        assert_eq!(undo(api, &key_of(&rogue), since).conflicts, []);
        let undone: Vec<_> = all.iter().map(own).collect();
        assert_ne!(undone, after_rogue);

        let of_undo = undo(api, "operator", between);

        assert_eq!(of_undo.conflicts, []);
        assert_eq!(all.iter().map(own).collect::<Vec<_>>(), after_rogue);
    });
}

#[test]
fn the_history_tells_that_it_is_an_undo_and_of_what() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let since = from_now_on();
        let rogue = another_key(api);
        changed(&rogue, &ines, &replaced("title", json!("Lead")));
        let omar = rogue.created("/Users", &user("omar"));

        undo(api, &key_of(&rogue), since);

        for (resource, operation) in [(&ines, Operation::Modify), (&omar, Operation::Delete)] {
            let (tenant_id, id) = (api.tenant_id, id_of(resource).to_owned());
            let read = move |connection: &mut Connection| audit::entries(connection, tenant_id, "User", &id, None, 1);
            let last = run(api.store.read(Reach::Scan, read)).pop().unwrap();
            assert_eq!((last.operation, last.caller.as_str()), (operation, "operator"));
            assert_eq!(last.changes["undo"]["key"], json!(key_of(&rogue)));
            assert_eq!(last.changes["undo"]["since"], json!(scimd::scim::resource::format_instant(since)));
        }
    });
}

#[test]
fn who_is_purged_stays_so_and_keeps_nobody_else_from_being_restored() {
    each(|api| {
        let (ines, omar) = (api.created("/Users", &user("ines")), api.created("/Users", &user("omar")));
        let since = from_now_on();
        let rogue = another_key(api);
        assert_eq!(rogue.delete(&path_of(&ines)).status, 204);
        assert_eq!(rogue.delete(&path_of(&omar)).status, 204);
        let resource_type = provider(api).registry().resource_type("User").unwrap();
        run(provider(api).purge(operators_call(api), resource_type, id_of(&omar).to_owned()));

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(left(&undone, &omar), [What::Everything]);
        assert_eq!(get(api, &ines)["userName"], ines["userName"]);
        assert_eq!(api.get(&path_of(&omar)).status, 404);
    });
}

#[test]
fn an_import_is_undone() {
    each(|api| {
        let (live, buried) = (uuid::Uuid::now_v7().to_string(), uuid::Uuid::now_v7().to_string());
        let stays = api.created("/Users", &user("stays"));
        let unseen = json!({"deleted": {"at": "2026-01-02T03:04:05Z", "by": "k"}});
        let lines = [
            json!({"format": "scimd-export", "version": 1}),
            json!({"schemas": [USER], "id": live, "userName": "live"}),
            json!({"schemas": [USER], "id": buried, "userName": "buried", "urn:scimd:export:1.0": unseen}),
            json!({"end": true, "resources": 2}),
        ];
        let file: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let admin = api.with_key(Profile::Compat, "admin");
        let tenant_id = api.tenant_id;
        let find = move |connection: &mut Connection| scimd::store::tenants::find(connection, tenant_id);
        let tenant = run(api.store.read(Reach::Point, find)).expect("a tenant").name;
        let headers = [
            ("Authorization".to_owned(), format!("Bearer {}", admin.token)),
            ("Content-Type".to_owned(), "application/x-ndjson".to_owned()),
        ];
        let since = from_now_on();
        let path = format!("/admin/v1/tenants/{tenant}/import");
        let imported = api.root().send("POST", &path, &headers, Some(file.as_bytes())).unwrap();
        assert_eq!(imported.status, 200, "{}", imported.text());

        let undone = undo(api, &key_of(&admin), since);

        let done: Vec<_> = undone.reversals.iter().map(|reversal| (reversal.id.as_str(), reversal.operation)).collect();
        assert_eq!(done, [(live.as_str(), Operation::Delete)]);
        assert_eq!(undone.conflicts, []);
        for id in [&live, &buried] {
            assert_eq!(api.get(&format!("/Users/{id}")).status, 404);
        }
        assert_eq!(get(api, &stays)["userName"], "stays");
    });
}

#[test]
fn what_is_outside_the_span_stays() {
    each(|api| {
        let rogue = another_key(api);
        let ines = rogue.created("/Users", &user_with("ines", json!({"title": "1", "nickName": "1"})));
        let since = from_now_on();
        changed(&rogue, &ines, &replaced("title", json!("2")));
        changed(&rogue, &ines, &replaced("nickName", json!("2")));
        let until = moment();
        changed(&rogue, &ines, &replaced("nickName", json!("3")));

        let span = Span { caller: key_of(&rogue), since, until };
        let undone = run(provider(api).undo(operators_call(api), span, false));

        assert_eq!(left(&undone, &ines), [What::Attribute("nickName".to_owned())]);
        let shown = get(api, &ines);
        assert_eq!((&shown["title"], &shown["nickName"]), (&json!("1"), &json!("3")));
    });
}

#[test]
fn a_span_that_is_none_is_refused() {
    each(|api| {
        let now = Utc::now();
        let refused = |since, until| {
            let span = Span { caller: key_of(api), since, until };
            let outcome = run(async { Ok(provider(api).undo(operators_call(api), span, false).await) });
            outcome.unwrap_err().kind()
        };
        assert_eq!(refused(now, now - chrono::Duration::seconds(1)), ErrorKind::InvalidValue);
        let later = now + chrono::Duration::hours(1);
        assert_eq!(refused(later, later), ErrorKind::InvalidValue);
    });
}

/// What of a resource one looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Existence,
    Attribute(String),
    Member(String),
}

/// Everything that is the case, by resource.
type Facts = BTreeMap<(String, Thing), Value>;

fn facts(made: &[Value], seen: &[Seen]) -> Facts {
    let mut facts = Facts::new();
    for (resource, seen) in made.iter().zip(seen) {
        let Some(own) = seen else { continue };
        let id = id_of(resource);
        let mut add = |thing: Thing, value: Value| drop(facts.insert((id.to_owned(), thing), value));
        add(Thing::Existence, json!(true));
        for (name, value) in own.attributes.as_object().unwrap() {
            match value.as_object().filter(|_| name.contains(':')) {
                Some(parts) => parts
                    .iter()
                    .for_each(|(part, value)| add(Thing::Attribute(format!("{name}:{part}")), value.clone())),
                None => add(Thing::Attribute(name.clone()), value.clone()),
            }
        }
        own.members.iter().for_each(|member| add(Thing::Member(member.clone()), json!(true)));
    }
    facts
}

fn random_steps(test: impl Fn(&Api, &[(u8, Step)]) -> std::result::Result<(), proptest::test_runner::TestCaseError>) {
    let config = Config { cases: 16, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let step = (0..8_u8, (0..21_u8, 0..64_usize, 0..64_usize, 0..64_usize));
    let outcome = runner.run(&prop::collection::vec(step, 1..50), |steps| {
        [Database::Sqlite, Database::Postgres]
            .into_iter()
            .try_for_each(|database| test(&Api::new(database, Profile::Compat), &steps))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn is_restoration(step: Step) -> bool {
    matches!(step.0, 18..=20)
}

#[test]
fn undone_alone_a_key_has_left_nothing() {
    random_steps(|api, steps| {
        let rogue = another_key(api);
        let mut world = World { api, made: Vec::new() };
        let (prefix, span) = steps.split_at(steps.len() / 2);
        prefix.iter().for_each(|(_, step)| world.make(*step));
        let known = world.made.len();
        let before = world.see();
        let since = from_now_on();
        world.api = &rogue;
        span.iter().filter(|(_, step)| !is_restoration(*step)).for_each(|(_, step)| world.make(*step));
        let after_rogue = facts(&world.made, &world.see());
        let end = moment();

        let undone = undo(api, &key_of(&rogue), since);

        prop_assert_eq!(&undone.conflicts, &Vec::<Conflict>::new());
        let mut seen = world.see();
        prop_assert!(seen[known..].iter().all(Option::is_none), "nothing is there that was not there");
        prop_assert_eq!(facts(&world.made, &seen), facts(&world.made[..known], &before));
        let told = |at| -> Vec<Seen> {
            let past = |resource| state_at(&provider(api), api, resource, at).unwrap().map(own_of_past);
            world.made[..known].iter().map(|resource| past(resource).unwrap()).collect()
        };
        prop_assert_eq!(&told(since), &before, "the history tells what was before");
        seen.truncate(known);
        prop_assert_eq!(&told(moment()), &seen, "and what is");

        let of_undo = undo(api, "operator", end);
        if of_undo.conflicts.is_empty() {
            prop_assert_eq!(facts(&world.made, &world.see()), after_rogue);
        }
        Ok(())
    });
}

#[test]
fn what_others_did_stays() {
    random_steps(|api, steps| {
        let rogue = another_key(api);
        let mut world = World { api, made: Vec::new() };
        let (prefix, span) = steps.split_at(steps.len() / 3);
        prefix.iter().for_each(|(_, step)| world.make(*step));
        let since = from_now_on();
        let mut now = facts(&world.made, &world.see());
        let mut of_others: BTreeSet<(String, Thing)> = BTreeSet::new();
        // What came of a restoration does not keep what the key has created.
        let mut came_along: BTreeSet<(String, Thing)> = BTreeSet::new();
        for (who, step) in span {
            let is_rogue = *who < 5 && !is_restoration(*step);
            world.api = if is_rogue { &rogue } else { api };
            let known: BTreeSet<String> = world.made.iter().map(|resource| id_of(resource).to_owned()).collect();
            world.make(*step);
            let next = facts(&world.made, &world.see());
            let all: BTreeSet<_> = now.keys().chain(next.keys()).cloned().collect();
            // Who deletes or restores something has not changed what it holds.
            let is_there = |id: &str, facts: &Facts| facts.contains_key(&(id.to_owned(), Thing::Existence));
            let is_content = |(id, thing): &(String, Thing)| {
                *thing != Thing::Existence && known.contains(id) && is_there(id, &now) != is_there(id, &next)
            };
            for key in all.into_iter().filter(|key| now.get(key) != next.get(key) && !is_content(key)) {
                if !is_rogue && is_restoration(*step) && key.1 != Thing::Existence {
                    came_along.insert(key.clone());
                }
                let _ = if is_rogue { of_others.remove(&key) } else { of_others.insert(key) };
            }
            now = next;
        }

        let undone = undo(api, &key_of(&rogue), since);

        let after = facts(&world.made, &world.see());
        let is_there = |id: &String| now.contains_key(&(id.clone(), Thing::Existence));
        let is_buried = |(id, _): &(String, Thing)| !after.contains_key(&(id.clone(), Thing::Existence));
        let stays = of_others.iter().filter(|(id, thing)| *thing == Thing::Existence || is_there(id));
        for key in stays.filter(|key| !came_along.contains(key) || !is_buried(key)) {
            prop_assert_eq!(now.get(key), after.get(key), "{:?} of {:?}, {:#?}", key, api.database, &undone);
        }
        let again = undo(api, &key_of(&rogue), since);
        prop_assert_eq!(&again.reversals, &Vec::<Reversal>::new(), "once is enough");
        Ok(())
    });
}

#[test]
fn a_resource_of_nobody_else_is_restored_before_its_time() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let since = from_now_on();
        let rogue = another_key(api);
        assert_eq!(rogue.delete(&path_of(&ines)).status, 204);
        restore(api, "User", id_of(&ines));

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(undone, Undone::default(), "{}", type_of(&ines));
    });
}

#[test]
fn a_password_that_was_set_is_left_and_named() {
    crate::harness::each_with_passwords(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"password": "t1meTravel!"})));
        let omar = api.created("/Users", &user_with("omar", json!({"password": "t1meTravel!"})));
        let since = from_now_on();
        let rogue = another_key(api);
        let rogue = rogue.with_passwords();
        changed(&rogue, &ines, &replaced("password", json!("second-One!")));
        changed(&rogue, &ines, &replaced("title", json!("Lead")));
        assert_eq!(rogue.delete(&path_of(&omar)).status, 204);

        let span = Span { caller: key_of(&rogue), since, until: Utc::now() };
        let provider = provider_of(api, Registry::with_passwords());
        let undone = run(provider.undo(operators_call(api), span, false));

        assert_eq!(left(&undone, &ines), [What::Attribute("password".to_owned())]);
        assert_eq!(left(&undone, &omar), [What::Attribute("password".to_owned())]);
        assert_eq!(get(api, &ines).get("title"), None);
        assert_eq!(get(api, &omar)["userName"], json!("omar"));
    });
}

#[test]
fn a_member_that_nobody_has_by_now_is_unresolved_again() {
    each(|api| {
        let gone = api.created("/Users", &user("gone"));
        let team = api.created("/Groups", &group("Team", &[&gone]));
        let since = from_now_on();
        let rogue = another_key(api);
        changed(&rogue, &team, &without_member(&gone));
        assert_eq!(api.delete(&path_of(&gone)).status, 204);

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(reversal(&undone, &team).unresolved, [id_of(&gone)]);
        assert_eq!(get(api, &team)["members"], json!([{"value": gone["id"]}]));
        restore(api, "User", id_of(&gone));
        assert_eq!(values(&get(api, &gone), "groups"), ids(&[&team]));
    });
}

#[test]
fn a_manager_who_is_deleted_by_now_is_not_assigned_again() {
    each(|api| {
        let [boss, other] = ["boss", "other"].map(|name| api.created("/Users", &user(name)));
        let manager = json!({ENTERPRISE: {"manager": {"value": boss["id"]}}});
        let ines = api.created("/Users", &user_with("ines", manager));
        let since = from_now_on();
        let rogue = another_key(api);
        changed(&rogue, &ines, &replaced(&format!("{ENTERPRISE}:manager"), json!({"value": other["id"]})));
        assert_eq!(api.delete(&path_of(&boss)).status, 204);

        let undone = undo(api, &key_of(&rogue), since);

        assert_eq!(left(&undone, &ines), [What::Attribute(format!("{ENTERPRISE}:manager"))]);
        assert_eq!(get(api, &ines)[ENTERPRISE]["manager"]["value"], other["id"]);
    });
}

#[test]
fn who_is_deleted_no_more_has_no_manager_who_has_been_deleted_since() {
    for boss_comes_back in [true, false] {
        each(|api| {
            let boss = api.created("/Users", &user("boss"));
            let manager = json!({ENTERPRISE: {"manager": {"value": boss["id"]}}});
            let ines = api.created("/Users", &user_with("ines", manager));
            let since = from_now_on();
            let rogue = another_key(api);
            assert_eq!(rogue.delete(&path_of(&ines)).status, 204);
            let deleting = if boss_comes_back { &rogue } else { api };
            assert_eq!(deleting.delete(&path_of(&boss)).status, 204);

            let undone = undo(api, &key_of(&rogue), since);

            let of_ines = reversal(&undone, &ines);
            assert_eq!(of_ines.operation, Operation::Restore);
            if boss_comes_back {
                assert_eq!((undone.conflicts.len(), &of_ines.changes), (0, &json!({})));
            } else {
                assert_eq!(left(&undone, &ines), [What::Attribute(format!("{ENTERPRISE}:manager"))]);
                assert_eq!(get(api, &ines).get(ENTERPRISE), None);
                restore(api, "User", id_of(&boss));
            }
            assert_eq!(get(api, &ines)[ENTERPRISE]["manager"]["value"], boss["id"]);
        });
    }
}

fn manager_of(api: &Api, user: &Value) -> Value {
    get(api, user)[ENTERPRISE]["manager"]["value"].clone()
}

fn assigned(manager: &Value) -> Value {
    replaced(&format!("{ENTERPRISE}:manager"), json!({"value": manager["id"]}))
}

#[test]
fn who_is_back_without_a_manager_has_that_one_again_when_his_deletion_is_undone_too() {
    for undone_first in [true, false] {
        each(|api| {
            let [boss, other] = ["boss", "other"].map(|name| api.created("/Users", &user(name)));
            let manager = json!({ENTERPRISE: {"manager": {"value": boss["id"]}}});
            let [ines, omar] = ["ines", "omar"].map(|name| api.created("/Users", &user_with(name, manager.clone())));
            let since = from_now_on();
            let [of_reports, of_boss] = [another_key(api), another_key(api)];
            for report in [&ines, &omar] {
                assert_eq!(of_reports.delete(&path_of(report)).status, 204);
            }
            assert_eq!(of_boss.delete(&path_of(&boss)).status, 204);
            match undone_first {
                true => drop(undo(api, &key_of(&of_reports), since)),
                false => [&ines, &omar].into_iter().for_each(|report| restore(api, "User", id_of(report))),
            }
            assert_eq!((manager_of(api, &ines), manager_of(api, &omar)), (Value::Null, Value::Null));
            changed(api, &omar, &assigned(&other));

            let undone = undo(api, &key_of(&of_boss), since);

            assert_eq!(undone.conflicts.len(), 0, "{undone:#?}");
            assert_eq!(manager_of(api, &ines), boss["id"]);
            assert_eq!(manager_of(api, &omar), other["id"], "who has another one by now keeps that one");
        });
    }
}

#[test]
fn nobody_gets_a_manager_back_whom_the_same_undo_deletes() {
    each(|api| {
        let [ines, omar, nina, old] = ["ines", "omar", "nina", "old"].map(|name| api.created("/Users", &user(name)));
        let since = from_now_on();
        let rogue = another_key(api);
        let [gone, needed] = ["gone", "needed"].map(|name| rogue.created("/Users", &user(name)));
        changed(api, &ines, &assigned(&gone));
        changed(api, &omar, &assigned(&gone));
        changed(api, &nina, &assigned(&needed));
        api.created("/Groups", &group("Team", &[&needed]));
        for user in [&ines, &nina] {
            assert_eq!(rogue.delete(&path_of(user)).status, 204);
        }
        changed(&rogue, &omar, &assigned(&old));

        let undone = undo(api, &key_of(&rogue), since);

        assert_error(&api.get(&path_of(&gone)), 404, None);
        let path = format!("{ENTERPRISE}:manager");
        for user in [&ines, &omar] {
            let conflict = undone.conflicts.iter().find(|conflict| json!(conflict.id) == user["id"]).unwrap();
            let reason = format!("'{}' is deleted by this undo.", id_of(&gone));
            assert_eq!((&conflict.what, &conflict.reason), (&What::Attribute(path.clone()), &reason));
        }
        assert_eq!((manager_of(api, &ines), manager_of(api, &omar)), (Value::Null, old["id"].clone()));
        assert_eq!(left(&undone, &needed), [What::Everything]);
        assert_eq!(
            (left(&undone, &nina), manager_of(api, &nina)),
            (vec![], needed["id"].clone()),
            "it stays after all"
        );
        restore(api, "User", id_of(&gone));
        assert_eq!((manager_of(api, &ines), manager_of(api, &omar)), (gone["id"].clone(), old["id"].clone()));
    });
}

#[test]
fn a_member_whom_the_same_undo_deletes_is_unresolved() {
    each(|api| {
        let team = api.created("/Groups", &group("Team", &[]));
        let since = from_now_on();
        let rogue = another_key(api);
        let gone = rogue.created("/Users", &user("gone"));
        changed(api, &team, &with_member(&gone));
        changed(&rogue, &team, &without_member(&gone));

        let undone = undo(api, &key_of(&rogue), since);

        assert_error(&api.get(&path_of(&gone)), 404, None);
        assert_eq!(reversal(&undone, &team).unresolved, [id_of(&gone)]);
        assert_eq!(get(api, &team)["members"], json!([{"value": gone["id"]}]));
    });
}

#[test]
fn admins_see_the_plan_and_what_was_done() {
    each(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"title": "Guide"})));
        let since = from_now_on();
        let rogue = another_key(api);
        changed(&rogue, &ines, &replaced("title", json!("Lead")));
        let admin = api.with_key(Profile::Compat, "admin");
        let tenant_id = api.tenant_id;
        let find = move |connection: &mut Connection| scimd::store::tenants::find(connection, tenant_id);
        let tenant = run(api.store.read(Reach::Point, find)).unwrap().name;
        let ask = |body: Value| {
            let headers = [
                ("Authorization".to_owned(), format!("Bearer {}", admin.token)),
                ("Content-Type".to_owned(), "application/json".to_owned()),
            ];
            let path = format!("/admin/v1/tenants/{tenant}/undo");
            api.root().send("POST", &path, &headers, Some(body.to_string().as_bytes())).unwrap()
        };
        let since = scimd::scim::resource::format_instant(since);
        let question = json!({"key": key_of(&rogue), "since": since});

        let plan = ask(json!({"key": key_of(&rogue), "since": since, "dryRun": true})).json();

        let change = json!({
            "resourceType": "User",
            "id": ines["id"],
            "name": "ines",
            "operation": "modify",
            "changes": {"before": {"title": "Lead"}, "after": {"title": "Guide"}},
        });
        assert_eq!((&plan["changes"], &plan["conflicts"]), (&json!([change]), &json!([])));
        assert_eq!((&plan["dryRun"], &plan["key"]), (&json!(true), &json!(key_of(&rogue))));
        assert_eq!(get(api, &ines)["title"], json!("Lead"));
        let done = ask(question.clone()).json();
        assert_eq!((&done["changes"], &done["dryRun"]), (&plan["changes"], &json!(false)));
        assert_eq!(get(api, &ines)["title"], json!("Guide"));
        let (id, by) = (id_of(&ines).to_owned(), key_of(&admin));
        let read = move |connection: &mut Connection| audit::steps(connection, tenant_id, "User", &id);
        assert_eq!(run(api.store.read(Reach::Scan, read)).pop().unwrap().caller, by);
        assert_eq!(ask(question).json()["changes"], json!([]));
        assert_error(&ask(json!({"key": "nobody", "since": since})), 404, None);
        assert_error(&ask(json!({"key": key_of(&rogue), "since": "yesterday"})), 400, Some("invalidValue"));
        let reversed = json!({"key": key_of(&rogue), "since": since, "until": "2020-01-01T00:00:00Z"});
        assert_error(&ask(reversed), 400, Some("invalidValue"));
    });
}
