//! What a change leaves behind: one record in the history and one event, in the transaction of the change (SEC-04).

use diesel::prelude::*;
use scimd::auth::Token;
use scimd::store::Reach;
use scimd::store::schema::{audit, outbox};
use serde_json::{Value, json};

use crate::harness::{Api, each_profile, run};
use crate::messages::*;

/// A record with its event.
#[derive(Debug)]
struct Entry {
    caller: String,
    request_id: String,
    operation: String,
    resource_id: String,
    version: i64,
    changes: Value,
    event: String,
}

/// The history of the tenant, in order. Inner, so a record without an event would be missing.
fn history(api: &Api) -> Vec<Entry> {
    type Row = (String, String, String, String, i64, String, String);
    let tenant_id = api.tenant_id;
    let rows: Vec<Row> = run(api.store.read(Reach::Scan, move |connection| {
        let columns = (
            audit::caller,
            audit::request_id,
            audit::operation,
            audit::resource_id,
            audit::version,
            audit::changes,
            outbox::event,
        );
        let rows = audit::table.inner_join(outbox::table).filter(audit::tenant_id.eq(tenant_id));
        Ok(rows.order(audit::row_id).select(columns).load(connection).expect("the history"))
    }));
    let entry = |(caller, request_id, operation, resource_id, version, changes, event): Row| {
        let changes = serde_json::from_str(&changes).unwrap();
        Entry { caller, request_id, operation, resource_id, version, changes, event }
    };
    rows.into_iter().map(entry).collect()
}

/// The number of records, with or without events.
fn records(api: &Api) -> i64 {
    let tenant_id = api.tenant_id;
    run(api.store.read(Reach::Scan, move |connection| {
        Ok(audit::table.filter(audit::tenant_id.eq(tenant_id)).count().get_result(connection).expect("a number"))
    }))
}

#[test]
fn sec_04_cre_07_every_change_has_its_record_and_its_event() {
    each_profile(|api| {
        let created = api.post("/Users", &user_with("ines", json!({"nickName": "I"})));
        let ines = assert_resource(&created, 201);
        let path = path_of(&ines);
        let replaced = api.put(&path, &user_with("ines", json!({"nickName": "N"})));
        let title = patch(json!([{"op": "add", "path": "title", "value": "Guide"}]));
        let patched = api.patch(&path, &title);
        let without_effect = api.patch(&path, &title);
        let read = api.get(&path);
        let deleted = api.delete(&path);

        assert_eq!((without_effect.status, read.status), (200, 200));
        let history = history(api);
        assert_eq!(history.len() as i64, records(api), "a record has one event");
        let expected = [
            (&created, "create", "urn:ietf:params:scim:event:prov:create:notice"),
            (&replaced, "replace", "urn:ietf:params:scim:event:prov:put:notice"),
            (&patched, "modify", "urn:ietf:params:scim:event:prov:patch:notice"),
            (&deleted, "delete", "urn:ietf:params:scim:event:prov:delete"),
        ];
        assert_eq!(history.len(), expected.len(), "{history:#?}");
        let key_id = Token::parse(api.token.as_bytes()).unwrap().key_id().to_owned();
        for (entry, (response, operation, event)) in history.iter().zip(expected) {
            assert_eq!((entry.operation.as_str(), entry.event.as_str()), (operation, event));
            assert_eq!(Some(entry.request_id.as_str()), response.header("x-request-id"), "{operation}");
            assert_eq!((&entry.caller, json!(entry.resource_id)), (&key_id, ines["id"].clone()));
        }
        let versions: Vec<i64> = history.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, [1, 2, 3, 3], "a deletion makes no version");
        assert_eq!(history[0].changes, json!({"after": {"userName": "ines", "nickName": "I", "active": true}}));
        assert_eq!(history[1].changes, json!({"before": {"nickName": "I"}, "after": {"nickName": "N"}}));
        assert_eq!(history[2].changes, json!({"after": {"title": "Guide"}}));
        assert_eq!(history[3].changes, json!({"relations": {"groups": [], "members": [], "reports": []}}));
    });
}

#[test]
fn cre_07_patch_07_a_refused_change_leaves_no_trace() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let before = records(api);
        let path = path_of(&ines);
        let half = patch(json!([{"op": "add", "path": "title", "value": "x"}, {"op": "remove", "path": "userName"}]));
        let emptied = patch(json!([{"op": "remove", "path": "members"}, {"op": "remove", "path": "displayName"}]));

        assert_error(&api.post("/Users", &user("INES")), 409, Some("uniqueness"));
        assert_error(&api.post("/Users", &json!({"schemas": [USER]})), 400, Some("invalidValue"));
        assert_error(&api.post("/Groups", &group("team", &[])), 409, Some("uniqueness"));
        assert_error(&api.patch(&path, &half), 400, Some("mutability"));
        assert_error(&api.patch(&path_of(&team), &emptied), 400, Some("mutability"));
        assert_error(&api.send("DELETE", &path, &[("If-Match", "W/\"99\"")], None), 412, None);

        assert_eq!(records(api), before);
        assert_eq!(history(api).len() as i64, before, "no event either");
        assert_eq!(api.get(&path).json()["meta"]["version"], api.get(&path).header("etag").map(Value::from).unwrap());
        assert_eq!(values(&api.get(&path_of(&team)).json(), "members"), ids(&[&ines]));
    });
}

#[test]
fn del_11_a_deletion_is_one_event() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let omar = api.created("/Users", &user_with("omar", json!({ENTERPRISE: {"manager": {"value": ines["id"]}}})));
        let team = api.created("/Groups", &group("Team", &[&ines, &omar]));
        let before = history(api).len();

        assert_eq!(api.delete(&path_of(&ines)).status, 204);
        assert_error(&api.delete(&path_of(&ines)), 404, None);

        let since = history(api).split_off(before);
        let (of_ines, others): (Vec<Entry>, Vec<Entry>) =
            since.into_iter().partition(|entry| json!(entry.resource_id) == ines["id"]);
        assert_eq!(of_ines.len(), 1, "{of_ines:#?}");
        assert_eq!(of_ines[0].event, "urn:ietf:params:scim:event:prov:delete");
        let relations = json!({"groups": [team["id"]], "members": [], "reports": [omar["id"]]});
        assert_eq!(of_ines[0].changes["relations"], relations);
        // Whoever loses the manager is changed, and that is told as a change.
        assert_eq!(others.len(), 1, "{others:#?}");
        assert_eq!((json!(others[0].resource_id), others[0].operation.as_str()), (omar["id"].clone(), "unassign"));
        assert_eq!(others[0].event, "urn:ietf:params:scim:event:prov:patch:notice");
    });
}

#[test]
fn sec_04_a_membership_is_written_down_with_the_group() {
    each_profile(|api| {
        let (ines, omar) = (api.created("/Users", &user("ines")), api.created("/Users", &user("omar")));
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let before = history(api).len();
        let exchange = patch(json!([
            {"op": "remove", "path": format!("members[value eq {}]", ines["id"])},
            {"op": "add", "path": "members", "value": [{"value": omar["id"]}]},
        ]));

        assert_resource(&api.patch(&path_of(&team), &exchange), 200);

        let since = history(api).split_off(before);
        assert_eq!(since.len(), 1, "{since:#?}");
        assert_eq!(json!(since[0].resource_id), team["id"]);
        assert_eq!(since[0].changes["members"], json!({"added": [omar["id"]], "removed": [ines["id"]]}));
    });
}
