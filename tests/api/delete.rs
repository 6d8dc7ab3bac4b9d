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
fn del_04_05_its_name_is_free_and_its_id_is_not() {
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
