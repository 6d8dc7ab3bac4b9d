//! Tenants: shown, renamed, suspended and deleted through the admin API.

use std::sync::Arc;

use scimd::auth::StoredKeys;
use serde_json::{Value, json};

use super::{admin, ask, asked, history, key_id, made, tenant_of};
use crate::harness::{Api, another_server, each};
use crate::messages::*;
use crate::support::http::Client;

/// A key with the scope `admin` of another tenant.
fn admin_elsewhere(api: &Api) -> Api {
    admin(&api.other_tenant())
}

fn path_to(api: &Api) -> String {
    format!("/tenants/{}", tenant_of(api))
}

#[test]
fn a_tenant_is_shown_with_what_it_has() {
    each(|api| {
        let admin = admin(api);
        let before = asked(&admin, "GET", &path_to(api), None);
        let mira = api.created("/Users", &user("mira"));
        api.created("/Users", &user("ines"));
        let group = api.created("/Groups", &group("Team", &[&mira]));
        assert_eq!(api.delete(&path_of(&mira)).status, 204);

        let shown = asked(&admin, "GET", &path_to(api), None);

        assert_eq!(
            (&before["resources"], &before["lastWrite"], &before["changes"]),
            (&json!([]), &Value::Null, &json!(0))
        );
        assert_eq!(
            shown["resources"],
            json!([{"resourceType": "Group", "live": 1, "deleted": 0}, {"resourceType": "User", "live": 1, "deleted": 1}])
        );
        assert_eq!((&shown["keys"], &shown["activeKeys"]), (&json!(2), &json!(2)));
        // Three were made, one was deleted, and the group lost a member.
        assert_eq!((&shown["changes"], &shown["suspended"]), (&json!(5), &Value::Null));
        assert!(shown["lastWrite"].as_str() >= group["meta"]["created"].as_str(), "{shown}");
    });
}

#[test]
fn clients_notice_nothing_of_another_name() {
    each(|api| {
        let (admin, old) = (admin(api), tenant_of(api));
        let new = format!("{old}-b");
        (0..3).for_each(|number| drop(api.created("/Users", &user(&format!("user{number}")))));
        let first = api.get("/Users?count=2&cursor").json();
        let rest = format!("/Users?count=2&cursor={}", first["nextCursor"].as_str().unwrap());

        let renamed = asked(&admin, "PATCH", &format!("/tenants/{old}"), Some(&json!({"name": new})));

        assert_eq!(renamed["name"], json!(new));
        let walked = api.get(&rest);
        assert_eq!(
            (walked.status, walked.json()["Resources"].as_array().map(Vec::len)),
            (200, Some(1)),
            "{}",
            walked.text()
        );
        assert_error(&ask(&admin, "GET", &format!("/tenants/{old}"), None), 404, None);
        let key = asked(&admin, "GET", &format!("/keys/{}", key_id(&api.token)), None);
        assert_eq!(key["tenant"], json!(new));
        let entries = history(api, api.tenant_id, "Tenant", &api.tenant_id.to_string());
        let change = json!({"before": {"name": old}, "after": {"name": new}});
        assert_eq!(entries, [("modify", key_id(&admin.token), change)]);

        let taken = ask(&admin, "PATCH", &format!("/tenants/{new}"), Some(&json!({"name": "default"})));
        assert_error(&taken, 409, Some("uniqueness"));
        let ill_formed = ask(&admin, "PATCH", &format!("/tenants/{new}"), Some(&json!({"name": "a/b"})));
        assert_error(&ill_formed, 400, Some("invalidValue"));
        let of_default = ask(&admin, "PATCH", "/tenants/default", Some(&json!({"name": format!("{new}-c")})));
        assert!(assert_error(&of_default, 400, Some("invalidValue")).contains("keeps its name"));
        assert_eq!(tenant_of(api), new);
    });
}

#[test]
fn new_keys_have_the_profile_that_is_set_for_the_tenant() {
    each(|api| {
        let (admin, tenant) = (admin(api), tenant_of(api));
        let change = asked(&admin, "PATCH", &path_to(api), Some(&json!({"defaultProfile": "strict"})));
        let silent = made(&admin, "/keys", &json!({"name": "x", "tenant": tenant}));
        let said = made(&admin, "/keys", &json!({"name": "x", "tenant": tenant, "profile": "compat"}));

        assert_eq!(change["defaultProfile"], "strict");
        assert_eq!((&silent["profile"], &said["profile"]), (&json!("strict"), &json!("compat")));
    });
}

#[test]
fn auth_02_a_suspended_tenant_is_closed_at_once_for_reads_and_writes_and_for_nobody_else() {
    each(|api| {
        let (admin, other) = (admin_elsewhere(api), api.other_tenant());
        let mira = api.created("/Users", &user("mira"));
        let own_admin = super::admin(api);

        let suspended = asked(&admin, "POST", &format!("{}/suspend", path_to(api)), Some(&json!({})));

        assert!(suspended["suspended"].is_string(), "{suspended}");
        for answer in [
            api.get("/Users"),
            api.get(&path_of(&mira)),
            api.post("/Users", &user("ines")),
            api.delete(&path_of(&mira)),
            api.get("/ServiceProviderConfig"),
            ask(&own_admin, "GET", "/tenants", None),
        ] {
            let detail = assert_error(&answer, 403, None);
            assert!(detail.contains("suspended"), "{detail}");
        }
        let elsewhere = another_server(api.database, Arc::new(StoredKeys::new(api.store.clone())), false);
        let answer = Client::new(&elsewhere).call(&api.token, "GET", "/Users", None).unwrap();
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert_eq!(other.get("/Users").status, 200);
        let shown = asked(&admin, "GET", &path_to(api), None);
        assert_eq!((&shown["resources"][0]["live"], &shown["suspended"]), (&json!(1), &suspended["suspended"]));
        let again = asked(&admin, "POST", &format!("{}/suspend", path_to(api)), Some(&json!({})));
        assert_eq!(again["suspended"], suspended["suspended"]);

        let resumed = asked(&admin, "POST", &format!("{}/resume", path_to(api)), Some(&json!({})));

        assert_eq!((&resumed["suspended"], api.get(&path_of(&mira)).status), (&Value::Null, 200));
        let entries = history(api, api.tenant_id, "Tenant", &api.tenant_id.to_string());
        let sides: Vec<_> =
            entries.iter().map(|(_, _, change)| (change["before"].is_object(), change["after"].is_object())).collect();
        assert_eq!(sides, [(false, true), (true, false)], "{entries:?}");
    });
}

#[test]
fn nobody_closes_the_tenant_of_the_key_that_they_work_with() {
    each(|api| {
        let own = admin(api);
        let dry_run = format!("{}?dryRun=true", path_to(api));
        for (method, path) in
            [("POST", format!("{}/suspend", path_to(api))), ("DELETE", path_to(api)), ("DELETE", dry_run)]
        {
            let body = json!({});
            let refused = ask(&own, method, &path, (method == "POST").then_some(&body));
            assert!(assert_error(&refused, 400, Some("invalidValue")).contains("use one of another tenant"));
        }
        assert_error(&ask(&own, "DELETE", "/tenants/default", None), 400, Some("invalidValue"));
        assert_eq!(api.get("/Users").status, 200);
    });
}

#[test]
fn a_deleted_tenant_is_gone_with_all_that_it_had_and_others_keep_theirs() {
    each(|api| {
        let (admin, other, name) = (admin_elsewhere(api), api.other_tenant(), tenant_of(api));
        let mira = api.created("/Users", &user("mira"));
        let team = api.created("/Groups", &group("Team", &[&mira]));
        let kept = other.created("/Users", &user("mira"));
        assert_eq!(api.delete(&path_of(&mira)).status, 204);

        let foreseen = asked(&admin, "DELETE", &format!("/tenants/{name}?dryRun=true"), None);
        let deletion = asked(&admin, "DELETE", &format!("/tenants/{name}"), None);

        assert_eq!(
            (&foreseen["resources"], &foreseen["changes"], &foreseen["done"]),
            (&json!(2), &json!(4), &json!(false))
        );

        assert_eq!((&deletion["resources"], &deletion["done"]), (&json!(2), &json!(true)));
        assert_eq!(deletion["changes"], json!(4));
        assert_eq!(api.get("/Users").status, 401);
        assert_error(&ask(&admin, "GET", &format!("/tenants/{name}"), None), 404, None);
        assert_error(&ask(&admin, "GET", &format!("/keys/{}", key_id(&api.token)), None), 404, None);
        assert_eq!(other.get(&path_of(&kept)).status, 200);
        for (kind, resource) in [("User", &mira), ("Group", &team)] {
            let entries = history(api, api.tenant_id, kind, resource["id"].as_str().unwrap());
            assert!(!entries.is_empty() && entries.iter().all(|(_, _, changes)| *changes == json!({})), "{entries:?}");
        }
        let entries = history(api, 1, "Tenant", &api.tenant_id.to_string());
        let [(operation, caller, changes)] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((*operation, caller), ("delete", &key_id(&admin.token)));
        assert_eq!((&changes["before"]["name"], &changes["before"]["User"]), (&json!(name), &json!(1)));
        // The name is free.
        made(&admin, "/tenants", &json!({"name": name}));
    });
}
