//! DEL: gone for clients, kept for operators.

use scimd::store::resources;
use serde_json::json;

use crate::harness::{each, each_profile, each_strict, run};
use crate::messages::*;

#[test]
fn del_01_02_03_08_a_deleted_resource_is_gone() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let outer = api.created("/Groups", &group("Outer", &[&team]));
        for (gone, body) in [(&ines, user("ines")), (&team, group("Team", &[]))] {
            let path = path_of(gone);

            let deleted = api.delete(&path);

            assert_eq!((deleted.status, deleted.body.len()), (204, 0));
            assert_error(&api.get(&path), 404, None);
            assert_eq!(api.send("HEAD", &path, &[], None).status, 404);
            assert_error(&api.put(&path, &body), 404, None);
            let add = patch(json!([{"op": "add", "path": "externalId", "value": "x"}]));
            assert_error(&api.patch(&path, &add), 404, None);
            assert_error(&api.delete(&path), 404, None);
        }
        assert!(names_at(api, "/Users").is_empty());
        assert_eq!(names_at(api, "/Groups"), ["Outer"]);
        assert_eq!(api.get("/Users?count=0").json()["totalResults"], json!(0));
        assert!(found(api, "/Users", &format!("id eq {}", ines["id"])).is_empty());
        assert!(found(api, "/Groups", &format!("members eq {}", team["id"])).is_empty());
        assert!(values(&api.get(&path_of(&outer)).json(), "members").is_empty());
        let root = api.post("/.search", &search(json!({"filter": "id pr"})));
        assert_eq!(assert_list(&root).len(), 1);
    });
}

#[test]
fn del_02_a_deleted_user_is_no_member() {
    each_strict(|api| {
        let ines = api.created("/Users", &user("ines"));
        api.delete(&path_of(&ines));

        assert_error(&api.post("/Groups", &group("Team", &[&ines])), 400, Some("invalidValue"));
    });
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        api.delete(&path_of(&ines));

        let team = api.created("/Groups", &group("Team", &[&ines]));

        assert_eq!(team["members"], json!([{"value": ines["id"]}]), "unresolved");
    });
}

#[test]
fn del_04_its_name_is_free_and_its_id_is_not() {
    each_profile(|api| {
        let mut ids = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let ines = api.created("/Users", &user("ines"));
            let team = api.created("/Groups", &group("Team", &[&ines]));
            assert!(ids.insert(ines["id"].to_string()) && ids.insert(team["id"].to_string()));

            assert_eq!(api.delete(&path_of(&ines)).status, 204);
            assert_eq!(api.delete(&path_of(&team)).status, 204);
        }
        assert!(names_at(api, "/Users").is_empty());
    });
}

#[test]
fn del_06_operators_keep_its_last_state() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"nickName": "I"})));
        let id = ines["id"].as_str().unwrap().to_owned();
        assert_eq!(api.delete(&path_of(&ines)).status, 204);

        let tenant_id = api.tenant_id;
        let buried = run(api.store.write(move |connection| resources::lock_buried(connection, tenant_id, "User", &id)));

        let buried = buried.expect("the row is still there");
        assert_eq!(buried.document.text("nickName"), Some("I"));
        assert!(buried.deleted.is_some());
    });
}

#[test]
fn del_09_a_stale_version_leaves_it_alive() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let version = ines["meta"]["version"].as_str().unwrap();

        let stale = api.send("DELETE", &path_of(&ines), &[("If-Match", "W/\"99\"")], None);
        assert_error(&stale, 412, None);
        assert_eq!(api.get(&path_of(&ines)).json(), ines);
        let current = api.send("DELETE", &path_of(&ines), &[("If-Match", version)], None);

        assert_eq!(current.status, 204);
    });
}

#[test]
fn del_10_only_delete_deletes_and_it_leaves_no_flag_behind() {
    each_profile(|api| {
        let ines =
            api.created("/Users", &user_with("ines", json!({"nickName": "I", "emails": [{"value": "i@x.org"}]})));
        let omar = api.created("/Users", &user("omar"));
        let path = path_of(&ines);

        assert_resource(&api.put(&path, &user_with("ines", json!({"active": false}))), 200);
        let emptied = patch(json!([{"op": "remove", "path": "active"}, {"op": "remove", "path": "nickName"}]));
        assert_resource(&api.patch(&path, &emptied), 200);
        let off = patch(json!([{"op": "replace", "path": "active", "value": false}]));
        assert_resource(&api.patch(&path, &off), 200);
        assert_eq!(assert_resource(&api.get(&path), 200)["active"], json!(false));
        assert_eq!(names_at(api, "/Users"), ["ines", "omar"]);

        assert_eq!(api.delete(&path_of(&omar)).status, 204);
        for filter in ["active eq false", "not (active eq true)", "id pr", r#"userName eq "omar""#] {
            let seen = assert_list(&api.get(&format!("/?filter={}", encoded(filter))));
            assert!(seen.iter().all(|resource| resource["id"] != omar["id"]), "{filter}");
        }
    });
}

#[test]
fn del_05_no_request_brings_the_old_id_back() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"externalId": "e-1"})));
        let (path, id) = (path_of(&ines), ines["id"].clone());
        assert_eq!(api.delete(&path).status, 204);

        let claiming = user_with("ines", json!({"id": id, "externalId": "e-1", "active": true, "meta": ines["meta"]}));
        assert_error(&api.put(&path, &claiming), 404, None);
        let again = assert_resource(&api.post("/Users", &claiming), 201);
        let revive = patch(json!([{"op": "replace", "value": {"active": true}}]));
        assert_error(&api.patch(&path, &revive), 404, None);

        assert_ne!(again["id"], id);
        assert_ne!(again["meta"]["created"], json!(null));
        assert_error(&api.get(&path), 404, None);
        assert_eq!(assert_list(&api.get("/Users")), [again]);
    });
}
