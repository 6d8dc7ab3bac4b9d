//! What an operator brings back: the same id, the last attributes, the memberships as they were (DEL-07).

use std::sync::Arc;

use scimd::auth::{Caller, Scopes};
use scimd::provider::{Call, Provider, Restored, system_clock};
use scimd::scim::Profile;
use scimd::scim::schema::Registry;
use scimd::store::Reach;
use scimd::store::audit::{self, Operation};
use serde_json::json;

use crate::harness::{Api, each, run};

/// Restores a deleted resource, as an operator does.
pub fn restore(api: &Api, resource_type: &str, id: &str) {
    run(async { Ok(restored(api, resource_type, id).await.expect("nobody has its name")) });
}

/// The operations behind the server.
pub fn provider(api: &Api) -> Provider {
    provider_of(api, Registry::builtin())
}

/// The operations of a program that knows these types.
pub fn provider_of(api: &Api, registry: &'static Registry) -> Provider {
    Provider::new(api.store.clone(), registry, &api.base_url, system_clock())
}

/// What comes of restoring a deleted resource.
pub async fn restored(api: &Api, resource_type: &str, id: &str) -> scimd::scim::Result<Restored> {
    restored_by(api, Registry::builtin(), resource_type, id).await
}

/// What comes of restoring a deleted resource by a program that knows these types.
pub async fn restored_by(
    api: &Api,
    registry: &'static Registry,
    resource_type: &str,
    id: &str,
) -> scimd::scim::Result<Restored> {
    let resource_type = registry.resource_type(resource_type).unwrap();
    provider_of(api, registry).restore(operators_call(api), resource_type, id.to_owned(), None).await
}

/// A call by an operator.
pub fn operators_call(api: &Api) -> Call {
    let caller = Caller {
        tenant_id: api.tenant_id,
        tenant: "test".to_owned(),
        key_id: "operator".to_owned(),
        profile: Profile::Compat,
        scopes: Scopes::all(),
        subject: None,
        cursor_secret: scimd::scim::cursor::Secret::derive(&[]),
    };
    Call { caller: Arc::new(caller), request_id: "restore".into(), as_subject: false }
}

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user_in_group(api: &Api) -> (String, String) {
    let user = api.created("/Users", &json!({"userName": "ines", "displayName": "Ines"}));
    let user_id = user["id"].as_str().unwrap().to_owned();
    let group = api.created("/Groups", &json!({"displayName": "Team", "members": [{"value": user_id}]}));
    (user_id, group["id"].as_str().unwrap().to_owned())
}

#[test]
fn ent_02_who_refers_to_himself_is_deleted_and_comes_back_as_he_was() {
    each(|api| {
        let id = api.created("/Users", &json!({"userName": "solo"}))["id"].as_str().unwrap().to_owned();
        let own_boss = json!({"userName": "solo", ENTERPRISE: {"manager": {"value": id}}});
        let before = api.put(&format!("/Users/{id}"), &own_boss).json();

        assert_eq!(api.delete(&format!("/Users/{id}")).status, 204);
        restore(api, "User", &id);

        let after = api.get(&format!("/Users/{id}")).json();
        assert_eq!(after[ENTERPRISE], before[ENTERPRISE]);
        let (tenant_id, row) = (api.tenant_id, id.clone());
        let versions = run(api.store.read(Reach::Scan, move |c| audit::steps(c, tenant_id, "User", &row)));
        let versions: Vec<(Operation, i64)> = versions.iter().map(|step| (step.operation, step.version)).collect();
        let of = [(Operation::Create, 1), (Operation::Replace, 2), (Operation::Delete, 2), (Operation::Restore, 3)];
        assert_eq!(versions, of);
        assert!(after["meta"]["version"].as_str().unwrap().contains('3'), "{after}");
    });
}

#[test]
fn del_07_memberships_come_back_in_whichever_order_things_are_restored() {
    for deleted_first in ["User", "Group"] {
        for restored_first in ["User", "Group"] {
            each(|api| {
                let (user, group) = user_in_group(api);
                let paths = [("User", format!("/Users/{user}")), ("Group", format!("/Groups/{group}"))];
                let in_order = |first: &str| {
                    let mut paths = paths.clone();
                    paths.sort_by_key(|(resource_type, _)| *resource_type != first);
                    paths
                };

                for (_, path) in in_order(deleted_first) {
                    assert_eq!(api.delete(&path).status, 204);
                }
                for (resource_type, path) in in_order(restored_first) {
                    restore(api, resource_type, path.rsplit('/').next().unwrap());
                }

                let shown = api.get(&format!("/Groups/{group}")).json();
                assert_eq!(shown["members"][0]["value"], json!(user), "{deleted_first} {restored_first}: {shown}");
                assert_eq!(shown["members"].as_array().unwrap().len(), 1);
                assert_eq!(api.get(&format!("/Users/{user}")).json()["groups"][0]["value"], json!(group));
            });
        }
    }
}

#[test]
fn del_07_nobody_is_in_a_group_that_is_deleted_however_often_one_is_restored() {
    each(|api| {
        let (user, group) = user_in_group(api);
        let (user_at, group_at) = (format!("/Users/{user}"), format!("/Groups/{group}"));
        assert_eq!((api.delete(&user_at).status, api.delete(&group_at).status), (204, 204));
        for _ in 0..2 {
            restore(api, "User", &user);
            assert_eq!(api.get(&user_at).json().get("groups"), None);
            assert_eq!(api.delete(&user_at).status, 204);
        }
        restore(api, "User", &user);
        restore(api, "Group", &group);

        assert_eq!(api.get(&group_at).json()["members"][0]["value"], json!(user));
        assert_eq!(api.get(&user_at).json()["groups"][0]["value"], json!(group));
    });
}

#[test]
fn del_06_a_deleted_user_has_left_its_group_and_is_back_in_it_when_restored() {
    each(|api| {
        let (user, group) = user_in_group(api);

        assert_eq!(api.delete(&format!("/Users/{user}")).status, 204);
        assert_eq!(api.get(&format!("/Groups/{group}")).json()["members"], json!([]));
        restore(api, "User", &user);

        assert_eq!(api.get(&format!("/Groups/{group}")).json()["members"][0]["value"], json!(user));
        assert_eq!(api.get(&format!("/Users/{user}")).json()["active"], json!(true));
    });
}

#[test]
fn del_07_the_history_of_a_new_resource_names_the_deleted_one_before_it() {
    each(|api| {
        let first = api.created("/Users", &json!({"userName": "ines"}))["id"].clone();
        assert_eq!(api.delete(&format!("/Users/{}", first.as_str().unwrap())).status, 204);

        let second = api.created("/Users", &json!({"userName": "INES"}))["id"].as_str().unwrap().to_owned();

        let tenant_id = api.tenant_id;
        let created = move |connection: &mut scimd::store::Connection| {
            audit::last_changes(connection, tenant_id, "User", &second, Operation::Create)
        };
        let changes = run(api.store.read(Reach::Scan, created)).unwrap();
        assert_eq!(changes["previousId"], first);
    });
}

#[test]
fn ent_02_a_restored_manager_has_the_reports_that_nobody_else_has_taken() {
    each(|api| {
        let id = |body| api.created("/Users", &body)["id"].as_str().unwrap().to_owned();
        let boss = id(json!({"userName": "boss"}));
        let other = id(json!({"userName": "other"}));
        let report = |name: &str| id(json!({"userName": name, ENTERPRISE: {"manager": {"value": boss}}}));
        let (waiting, taken) = (report("waiting"), report("taken"));
        let manager_of = |id: &str| api.get(&format!("/Users/{id}")).json()[ENTERPRISE]["manager"]["value"].clone();
        assert_eq!(manager_of(&waiting), json!(boss));

        assert_eq!(api.delete(&format!("/Users/{boss}")).status, 204);
        assert_eq!(manager_of(&waiting), json!(null));
        let body = json!({"userName": "taken", ENTERPRISE: {"manager": {"value": other}}});
        assert_eq!(api.put(&format!("/Users/{taken}"), &body).status, 200);
        restore(api, "User", &boss);

        assert_eq!(manager_of(&waiting), json!(boss));
        assert_eq!(manager_of(&taken), json!(other));
    });
}

/// Two users, of whom the second reports to the first.
fn boss_and_report(api: &Api) -> [String; 2] {
    let id = |body| api.created("/Users", &body)["id"].as_str().unwrap().to_owned();
    let boss = id(json!({"userName": "boss"}));
    let report = id(json!({"userName": "ines", ENTERPRISE: {"manager": {"value": boss}}}));
    [boss, report]
}

#[test]
fn ent_02_who_comes_back_has_no_manager_who_is_deleted_and_has_him_when_he_is_back() {
    for boss_first in [true, false] {
        each(|api| {
            let [boss, report] = boss_and_report(api);
            let path = |id: &str| format!("/Users/{id}");
            let manager = || api.get(&path(&report)).json()[ENTERPRISE]["manager"]["value"].clone();
            assert_eq!((api.delete(&path(&report)).status, api.delete(&path(&boss)).status), (204, 204));

            if boss_first {
                restore(api, "User", &boss);
                restore(api, "User", &report);
            } else {
                let told = run(restored(api, "User", &report));
                let left: Vec<&str> = told.left.iter().map(|left| left.what.as_str()).collect();
                assert_eq!(left, [format!("{ENTERPRISE}:manager")]);
                assert_eq!(manager(), json!(null), "nobody shows who is deleted");
                restore(api, "User", &boss);
            }

            assert_eq!(manager(), json!(boss));
        });
    }
}

#[test]
fn ent_02_who_has_another_manager_by_then_keeps_him() {
    each(|api| {
        let [boss, report] = boss_and_report(api);
        let path = |id: &str| format!("/Users/{id}");
        assert_eq!((api.delete(&path(&report)).status, api.delete(&path(&boss)).status), (204, 204));
        restore(api, "User", &report);
        let other = api.created("/Users", &json!({"userName": "other"}))["id"].clone();
        let body = json!({"userName": "ines", ENTERPRISE: {"manager": {"value": other}}});
        assert_eq!(api.put(&path(&report), &body).status, 200);

        restore(api, "User", &boss);

        assert_eq!(api.get(&path(&report)).json()[ENTERPRISE]["manager"]["value"], other);
    });
}

#[test]
fn patch_23_a_large_group_is_not_repeated_in_the_answer_to_a_patch() {
    each(|api| {
        let group = api.created("/Groups", &json!({"displayName": "Everybody"}));
        let path = format!("/Groups/{}", group["id"].as_str().unwrap());
        let members: Vec<_> = (0..1000).map(|number| json!({"value": format!("unknown-{number}")})).collect();
        let add = |members: serde_json::Value| {
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "add", "path": "members", "value": members}],
            })
        };

        let at_the_limit = api.patch(&path, &add(json!(members)));
        let above = api.patch(&path, &add(json!([{"value": "one-more"}])));
        let asked_for = api.patch(&format!("{path}?attributes=displayName"), &add(json!([{"value": "another"}])));

        assert_eq!(at_the_limit.status, 200);
        assert_eq!(at_the_limit.json()["members"].as_array().unwrap().len(), 1000);
        assert_eq!((above.status, above.text().as_str()), (204, ""));
        assert!(above.header("etag").is_some() && above.header("location").is_some());
        assert_eq!((asked_for.status, &asked_for.json()["displayName"]), (200, &json!("Everybody")));
        assert_eq!(api.get(&path).json()["members"].as_array().unwrap().len(), 1002);
    });
}
