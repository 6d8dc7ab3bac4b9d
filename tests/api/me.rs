//! ME: the resource that a key is bound to.

use scimd::scim::Profile;
use serde_json::{Value, json};

use crate::harness::{each, each_profile};
use crate::messages::*;

#[test]
fn me_01_every_method_acts_on_the_user_of_the_key() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let omar = api.created("/Users", &user("omar"));
        let me = api.bound_to(&ines, "me users:write");
        let location = ines["meta"]["location"].clone();

        let read = me.get("/Me");
        assert_eq!(assert_resource(&read, 200), ines);
        assert_eq!(json!(read.header("location")), location);
        assert_eq!(
            me.send("HEAD", "/Me", &[], None).header("location").map(str::to_owned),
            location.as_str().map(str::to_owned)
        );
        let replaced = me.put("/Me", &user_with("ines", json!({"nickName": "I"})));
        assert_eq!(assert_resource(&replaced, 200)["nickName"], json!("I"));
        let modified = me.patch("/Me", &patch(json!([{"op": "replace", "path": "title", "value": "Guide"}])));
        assert_eq!(assert_resource(&modified, 200)["title"], json!("Guide"));
        assert_eq!(json!(modified.header("location")), location);
        assert_eq!(assert_resource(&api.get(&path_of(&ines)), 200)["title"], json!("Guide"));
        let deleted = me.delete("/Me");
        assert_eq!((deleted.status, json!(deleted.header("location"))), (204, location));
        assert_error(&api.get(&path_of(&ines)), 404, None);
        assert_eq!(assert_resource(&api.get(&path_of(&omar)), 200), omar);
    });
}

#[test]
fn me_02_a_key_without_a_living_user_has_no_me() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let me = api.bound_to(&ines, "me");
        assert_eq!(me.get("/Me").status, 200);
        assert_eq!(api.delete(&path_of(&ines)).status, 204);

        for nobody in [api, &me] {
            assert_error(&nobody.get("/Me"), 404, None);
            assert_error(&nobody.put("/Me", &user("ines")), 404, None);
            assert_error(&nobody.patch("/Me", &patch(json!([{"op": "remove", "path": "title"}]))), 404, None);
            assert_error(&nobody.delete("/Me"), 404, None);
        }
        let again = api.created("/Users", &user("ines"));
        assert_error(&me.get("/Me"), 404, None);
        assert_eq!(api.get(&path_of(&again)).status, 200, "the name is somebody else now");
    });
}

#[test]
fn me_03_projection_versions_and_errors_are_those_of_the_user() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"title": "Guide"})));
        let me = api.bound_to(&ines, "me");
        let tag = ines["meta"]["version"].as_str().unwrap().to_owned();

        let projected = assert_resource(&me.get("/Me?attributes=title"), 200);
        assert_eq!((&projected["title"], projected.get("userName")), (&json!("Guide"), None));
        assert_error(&me.get("/Me?attributes=title&excludedAttributes=name"), 400, Some("invalidValue"));
        assert_eq!(me.send("GET", "/Me", &[("If-None-Match", &tag)], None).status, 304);
        let message = patch(json!([{"op": "replace", "path": "title", "value": "Boss"}])).to_string();
        let stale = me.send("PATCH", "/Me", &[("If-Match", "W/\"99\"")], Some(message.as_bytes()));
        assert_error(&stale, 412, None);
        assert_eq!(me.send("PATCH", "/Me", &[("If-Match", &tag)], Some(message.as_bytes())).status, 200);
        let minimal = me.send("PATCH", "/Me", &[("Prefer", "return=minimal")], Some(message.as_bytes()));
        assert_eq!((minimal.status, minimal.header("location")), (204, ines["meta"]["location"].as_str()));
        assert_error(
            &me.patch("/Me", &patch(json!([{"op": "replace", "path": "id", "value": "x"}]))),
            400,
            Some("mutability"),
        );
        assert_error(&me.put("/Me", &json!({"schemas": ines["schemas"]})), 400, Some("invalidValue"));
        assert_error(&me.send("PUT", "/Me", &[], Some(b"{")), 400, Some("invalidSyntax"));
        assert_eq!(assert_list(&me.get("/Me?filter=title+pr")).len(), 1);
        assert!(assert_list(&me.get("/Me?filter=not+(title+pr)")).is_empty());
    });
}

#[test]
fn me_04_nobody_registers_through_me() {
    each_profile(|api| {
        let me = api.bound_to(&api.created("/Users", &user("ines")), "me");
        for api in [api, &me] {
            assert_error(&api.post("/Me", &user("omar")), 501, None);
        }
        assert_eq!(names_at(api, "/Users"), ["ines"]);
    });
}

#[test]
fn me_05_what_others_decide_about_oneself_takes_a_scope() {
    each_profile(|api| {
        let given = json!({
            "externalId": "7", "roles": [{"value": "guide"}], "entitlements": [{"value": "tours"}], "nickName": "I",
        });
        let ines = api.created("/Users", &user_with("ines", given));
        let me = api.bound_to(&ines, "me");
        let changes: [(&str, Value); 5] = [
            ("active", json!(false)),
            ("userName", json!("boss")),
            ("externalId", json!("8")),
            ("roles", json!([{"value": "admin"}])),
            ("entitlements", json!([{"value": "everything"}])),
        ];
        for (attribute, value) in &changes {
            let message = patch(json!([
                {"op": "replace", "path": "nickName", "value": "X"},
                {"op": "replace", "path": attribute, "value": value},
            ]));
            let detail = assert_error(&me.patch("/Me", &message), 403, None);
            assert!(detail.contains(attribute) && detail.contains("users:write"), "{detail}");
            let mut whole = ines.clone();
            whole[attribute] = value.clone();
            assert_error(&me.put("/Me", &whole), 403, None);
        }
        let mut without_roles = ines.clone();
        without_roles.as_object_mut().unwrap().remove("roles");
        assert_error(&me.put("/Me", &without_roles), 403, None);
        assert_error(&me.delete("/Me"), 403, None);
        assert_eq!(assert_resource(&api.get(&path_of(&ines)), 200), ines, "all or nothing");

        let mut whole = ines.clone();
        whole["nickName"] = json!("Y");
        assert_eq!(assert_resource(&me.put("/Me", &whole), 200)["nickName"], json!("Y"), "to repeat them is no change");
        let granted = api.bound_to(&ines, "users:write");
        for (attribute, value) in &changes {
            let message = patch(json!([{"op": "replace", "path": attribute, "value": value}]));
            assert_resource(&granted.patch("/Me", &message), 200);
        }
    });
}

#[test]
fn me_05_who_is_disabled_has_no_way_in_but_to_be_enabled_by_others() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let (me, granted) = (api.bound_to(&ines, "me"), api.bound_to(&ines, "users:write"));
        let set = |active: bool| patch(json!([{"op": "replace", "path": "active", "value": active}]));
        assert_resource(&api.patch(&path_of(&ines), &set(false)), 200);

        for refused in [me.get("/Me"), me.put("/Me", &ines), me.patch("/Me", &set(true)), me.delete("/Me")] {
            assert_error(&refused, 403, None);
        }

        assert_resource(&granted.patch("/Me", &set(true)), 200);
        assert_eq!(me.get("/Me").status, 200);
    });
}

#[test]
fn me_05_the_scope_me_opens_me_alone() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let me = api.bound_to(&ines, "me");

        for response in [
            me.get("/Users"),
            me.get(&path_of(&ines)),
            me.get("/Groups"),
            me.get("?filter=id+pr"),
            me.post("/Users", &user("omar")),
            me.put(&path_of(&ines), &user("ines")),
            me.delete(&path_of(&ines)),
            me.post("/.search", &search(json!({"filter": "id pr"}))),
        ] {
            assert_error(&response, 403, None);
        }
        let read_only = api.bound_to(&ines, "users:read");
        let change = patch(json!([{"op": "replace", "path": "title", "value": "Guide"}]));
        assert_error(&read_only.patch(&path_of(&ines), &change), 403, None);
        assert_resource(&read_only.patch("/Me", &change), 200);
        assert_eq!(me.get("/ServiceProviderConfig").status, 200);
    });
}

#[test]
fn me_01_groups_of_oneself_are_shown_and_not_changed() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let me = api.bound_to(&ines, "me");

        let shown = assert_resource(&me.get("/Me"), 200);
        assert_eq!(shown["groups"][0]["value"], team["id"]);
        assert_resource(&me.put("/Me", &user_with("ines", json!({"groups": []}))), 200);
        assert_eq!(values(&assert_resource(&api.get(&path_of(&team)), 200), "members"), ids(&[&ines]));
        let other = api.with_key(Profile::Compat, "me");
        assert_error(&other.get("/Me"), 404, None);
    });
}
