//! CRE: POST.

use serde_json::json;

use crate::harness::{each, each_profile, each_strict};
use crate::messages::*;

#[test]
fn cre_01_02_04_a_created_resource_is_what_is_stored() {
    each_profile(|api| {
        let body = user_with(
            "bjensen",
            json!({"externalId": "701984", "name": {"givenName": "Barbara"}, "active": null,
                "groups": [{"value": NOBODY}], "meta": {"resourceType": "Group"}}),
        );

        let created = assert_resource(&api.post("/Users", &body), 201);
        let read = assert_resource(&api.get(&path_of(&created)), 200);

        assert_eq!(created, read);
        assert_eq!(created["meta"]["resourceType"], json!("User"));
        assert_eq!(created["externalId"], json!("701984"));
        assert!(created.get("groups").is_none());
        assert!(created.get("active").is_none(), "null overrides the default");
    });
}

#[test]
fn cre_03_a_taken_name_conflicts_and_leaves_nothing() {
    each_profile(|api| {
        let first = api.created("/Users", &user("ines"));

        let second = api.post("/Users", &user_with("INES", json!({"nickName": "other"})));

        let detail = assert_error(&second, 409, Some("uniqueness"));
        assert!(detail.contains("userName"), "{detail}");
        assert_eq!(assert_list(&api.get("/Users")), [first]);
    });
}

#[test]
fn cre_05_a_deleted_resource_does_not_conflict() {
    each_profile(|api| {
        let first = api.created("/Users", &user("ines"));
        assert_eq!(api.delete(&path_of(&first)).status, 204);

        let second = api.created("/Users", &user("ines"));

        assert_ne!(first["id"], second["id"]);
    });
}

#[test]
fn cre_06_the_answer_is_projected() {
    each_profile(|api| {
        let named = assert_resource(&api.post("/Users?attributes=userName", &user("a")), 201);
        let without = assert_resource(&api.post("/Users?excludedAttributes=userName,meta", &user("b")), 201);

        assert_eq!(named, json!({"schemas": [USER], "id": named["id"], "userName": "a"}));
        assert_eq!(without, json!({"schemas": [USER], "id": without["id"], "active": true}));
    });
}

#[test]
fn cre_03_a_disabled_user_who_is_assigned_again_is_enabled() {
    let body = |external_id: &str| user_with("ines", json!({"externalId": external_id, "active": true}));
    each(|api| {
        let first = api.created("/Users", &body("okta-1"));
        assert_error(&api.post("/Users", &body("okta-1")), 409, Some("uniqueness"));
        api.patch(&path_of(&first), &patch(json!([{"op": "replace", "value": {"active": false}}])));

        let other = api.post("/Users", &body("okta-2"));
        let again = api.post("/Users", &body("okta-1"));

        assert_error(&other, 409, Some("uniqueness"));
        let again = assert_resource(&again, 201);
        assert_eq!((&again["id"], &again["active"]), (&first["id"], &json!(true)));
    });
    each_strict(|api| {
        let first = api.created("/Users", &body("okta-1"));
        api.patch(&path_of(&first), &patch(json!([{"op": "replace", "value": {"active": false}}])));

        assert_error(&api.post("/Users", &body("okta-1")), 409, Some("uniqueness"));
    });
}
