//! What an operator erases is gone, also from the history, and the history proves itself as before.

use chrono::Utc;
use diesel::connection::SimpleConnection;
use scimd::provider::Purge;
use scimd::scim::schema::Registry;
use scimd::scim::{ErrorKind, Result};
use scimd::store::Connection;
use scimd::store::audit::Operation;
use serde_json::{Value, json};

use crate::harness::{Api, each, run};
use crate::messages::*;
use crate::passwords::rows;
use crate::restore::{operators_call, provider, restored};

/// Stands in everything that is known of the person.
const TRACE: &str = "vanishing";

/// A user with all that scimd knows of people, changed several times, with an assistant, and a group.
fn somebody(api: &Api) -> Value {
    let attributes = json!({
        "displayName": format!("Ines {TRACE}"),
        "externalId": format!("ext-{TRACE}"),
        "password": format!("{TRACE}-pass-phrase"),
        "emails": [{"value": format!("{TRACE}@example.com"), "primary": true}],
        "name": {"familyName": TRACE},
    });
    let user = api.created("/Users", &user_with(&format!("{TRACE}.ines"), attributes));
    let path = path_of(&user);
    let change = patch(json!([{"op": "replace", "path": "title", "value": format!("{TRACE} guide")}]));
    assert_eq!(api.patch(&path, &change).status, 200);
    assert_eq!(api.patch(&path, &patch(json!([{"op": "remove", "path": "name"}]))).status, 200);
    // A PUT of what is there moves lastModified alone.
    let body = api.get(&path).json();
    assert_eq!(api.put(&path, &body).status, 200);
    api.created("/Groups", &group("Team", &[&user]));
    let manager = json!({ENTERPRISE: {"manager": {"value": user["id"]}}, "schemas": [USER, ENTERPRISE]});
    api.created("/Users", &user_with("assistant", manager));
    user
}

fn purge(api: &Api, resource_type: &str, id: &str) -> Result<Purge> {
    let resource_type = Registry::builtin().resource_type(resource_type).unwrap();
    run(async { Ok(provider(api).purge(operators_call(api), resource_type, id.to_owned()).await) })
}

fn preview(api: &Api, id: &str) -> Result<Purge> {
    let resource_type = Registry::builtin().resource_type("User").unwrap();
    run(async { Ok(provider(api).preview_purge(operators_call(api), resource_type, id.to_owned()).await) })
}

fn id_of(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

/// Everything that the database holds of the tenant, in an order that stays when others seal the history meanwhile.
fn at_rest(api: &Api) -> String {
    let tenant_id = api.tenant_id;
    let own = format!("SELECT row_id FROM resources WHERE tenant_id = {tenant_id}");
    let sql = format!(
        "SELECT 'resource ' || id || coalesce(unique_key, '') || coalesce(name, '') || coalesce(external_id, '') || \
         coalesce(display_name, '') || document || coalesce(withheld, '') AS line FROM resources \
         WHERE tenant_id = {tenant_id} \
         UNION ALL SELECT 'value ' || \"key\" || tail FROM resource_values WHERE tenant_path >> 31 = {tenant_id} \
         UNION ALL SELECT 'unique ' || path || \"key\" FROM unique_values WHERE tenant_id = {tenant_id} \
         UNION ALL SELECT 'change ' || operation || changes || coalesce(salt, '') FROM audit WHERE tenant_id = {tenant_id} \
         UNION ALL SELECT 'event ' || event FROM outbox o JOIN audit e ON e.row_id = o.audit_row_id \
         WHERE e.tenant_id = {tenant_id} \
         UNION ALL SELECT 'hash ' || password_hash FROM credentials WHERE row_id IN ({own}) \
         UNION ALL SELECT 'unresolved ' || value FROM unresolved_members WHERE group_row_id IN ({own}) \
         UNION ALL SELECT 'key ' || name FROM api_keys WHERE tenant_id = {tenant_id}"
    );
    let mut lines = rows(api, sql);
    lines.sort_unstable();
    lines.join("\n")
}

fn touches(api: &Api) -> usize {
    let sql = format!(
        "SELECT 'touch' AS line FROM touches t JOIN resources r ON r.row_id = t.row_id WHERE r.tenant_id = {} AND \
         r.purged_at IS NOT NULL",
        api.tenant_id
    );
    rows(api, sql).len()
}

/// Others write to the same database meanwhile, and seal it, too.
fn assert_intact(api: &Api) {
    let verdict = run(provider(api).verify(None, |_| {}));
    assert_eq!(verdict.broken, 0, "{verdict:?}");
    assert!(verdict.head.is_some());
}

#[test]
fn del_07_nothing_is_left_of_what_is_purged_and_the_history_proves_itself() {
    each(|api| {
        let api = &api.with_passwords();
        let user = somebody(api);
        let id = id_of(&user);
        let own = api.bound_to(&user, "me");
        assert_intact(api);
        assert_eq!(api.delete(&path_of(&user)).status, 204);
        assert!(at_rest(api).contains(TRACE));

        let foreseen = preview(api, &id).unwrap();
        assert!(at_rest(api).contains(TRACE), "a preview does nothing");
        let purged = purge(api, "User", &id).unwrap();

        assert_eq!(purged, foreseen);
        assert_eq!((purged.changes, purged.keys.len(), purged.lingers), (4, 1, false));
        let rest = at_rest(api);
        assert!(!rest.contains(TRACE), "{rest}");
        assert!(rest.contains(&id), "the id stays, and so is never given again");
        assert_eq!(touches(api), 0);
        assert_eq!(own.get("/Me").status, 401);
        assert_intact(api);
    });
}

#[test]
fn the_history_tells_that_something_was_erased_and_nothing_else_finds_it() {
    each(|api| {
        let user = somebody(api);
        let (id, before) = (id_of(&user), Utc::now());
        assert_eq!(api.delete(&path_of(&user)).status, 204);
        purge(api, "User", &id).unwrap();

        let users = Registry::builtin().resource_type("User").unwrap();
        let mut history = run(provider(api).history(api.tenant_id, users, id.clone(), None, 100)).unwrap();
        history.reverse();
        let operations: Vec<(Operation, bool)> = history.iter().map(|entry| (entry.operation, entry.erased)).collect();
        let erased =
            [Operation::Create, Operation::Modify, Operation::Modify, Operation::Delete].map(|one| (one, true));
        assert_eq!(operations, [&erased[..], &[(Operation::Purge, false)]].concat());
        let last = history.last().unwrap();
        assert_eq!(last.caller, "operator");
        assert_eq!(last.changes, json!({"erased": {"changes": 4, "keys": []}}));

        assert_eq!(api.get(&path_of(&user)).status, 404);
        let past =
            run(async { Ok(provider(api).state_at(api.tenant_id, users, id.clone(), before).await) }).unwrap_err();
        let restored = run(async { Ok(restored(api, "User", &id).await) }).unwrap_err();
        let back = run(async { Ok(provider(api).restore(operators_call(api), users, id.clone(), Some(before)).await) })
            .unwrap_err();
        let again = purge(api, "User", &id).unwrap_err();
        for error in [past, restored, back, again] {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.detail().contains("was purged at"), "{error}");
        }
    });
}

#[test]
fn del_07_only_what_is_deleted_can_be_purged() {
    each(|api| {
        let user = somebody(api);
        let id = id_of(&user);
        let before = at_rest(api);

        let live = purge(api, "User", &id).unwrap_err();
        let nobody = purge(api, "User", NOBODY).unwrap_err();
        let other_type = purge(api, "Group", &id).unwrap_err();
        let other_tenant = purge(&api.other_tenant(), "User", &id).unwrap_err();

        assert_eq!(live.kind(), ErrorKind::Mutability);
        assert!(live.detail().contains("is not deleted. Delete it first"), "{live}");
        for error in [nobody, other_type, other_tenant] {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
        assert_eq!(at_rest(api), before);
    });
}

#[test]
fn others_of_the_same_name_are_named_and_left_alone() {
    each(|api| {
        let first = somebody(api);
        assert_eq!(api.delete(&path_of(&first)).status, 204);
        let second = api.created("/Users", &user(&format!("{TRACE}.ines")));
        assert_eq!(api.delete(&path_of(&second)).status, 204);
        let third = api.created("/Users", &user(&format!("{TRACE}.INES")));

        let purged = purge(api, "User", &id_of(&first)).unwrap();
        let next = purge(api, "User", &id_of(&second)).unwrap();

        assert_eq!(purged.namesakes, [id_of(&third), id_of(&second)]);
        assert_eq!(next.namesakes, [id_of(&third)]);
        assert_eq!(api.get(&path_of(&third)).status, 200);
        assert_intact(api);
    });
}

#[test]
fn a_group_is_purged_and_its_members_are_not() {
    each(|api| {
        let member = api.created("/Users", &user("member"));
        let mut body = group(TRACE, &[&member]);
        body["members"].as_array_mut().unwrap().push(json!({"value": format!("{TRACE}-nobody")}));
        let group = api.created("/Groups", &body);
        assert_eq!(api.delete(&path_of(&group)).status, 204);

        purge(api, "Group", &id_of(&group)).unwrap();

        let rest = at_rest(api);
        assert!(!rest.contains(TRACE), "{rest}");
        assert_eq!(api.get(&path_of(&member)).status, 200);
        assert!(api.get(&path_of(&member)).json().get("groups").is_none());
        assert_intact(api);
    });
}

/// More changes than one transaction erases; and what an interrupted purge leaves is erased by the next one.
#[test]
fn a_long_history_is_erased_in_parts() {
    each(|api| {
        let user = somebody(api);
        let id = id_of(&user);
        let change = |number: usize| json!({"op": "replace", "path": "title", "value": format!("{TRACE} {number}")});
        for number in 0..510 {
            assert_eq!(api.patch(&path_of(&user), &patch(json!([change(number)]))).status, 200);
        }
        assert_eq!(api.delete(&path_of(&user)).status, 204);

        let purged = purge(api, "User", &id).unwrap();

        assert_eq!(purged.changes, 514);
        assert!(!at_rest(api).contains(TRACE));
        assert_intact(api);
    });
}

#[test]
fn the_database_itself_lets_nobody_erase_anything_else() {
    each(|api| {
        let user = api.created("/Users", &user("lasting"));
        let id = id_of(&user);
        let delete = move |connection: &mut Connection| {
            Ok(connection.batch_execute(&format!("DELETE FROM audit WHERE resource_id = '{id}'"))?)
        };

        let refused = run(async { Ok(api.store.write(delete).await) });

        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Internal);
        assert_intact(api);
    });
}
