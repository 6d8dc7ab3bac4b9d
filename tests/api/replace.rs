//! PUT: the whole resource.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::each_profile;
use crate::messages::*;

#[test]
fn put_01_03_04_05_what_is_omitted_is_cleared_and_what_is_ours_is_kept() {
    each_profile(|api| {
        let full = json!({"nickName": "I", "title": "Guide", "externalId": "e-1", "active": false,
            "emails": [{"value": "i@example.com"}], ENTERPRISE: {"department": "Tours"}});
        let before = api.created("/Users", &user_with("ines", full));
        let body = user_with(
            "INES",
            json!({"id": "other", "meta": {"version": "W/\"9\""}, "groups": [{"value": NOBODY}],
                "nickName": "N", "title": null}),
        );

        let after = assert_resource(&api.put(&path_of(&before), &body), 200);

        assert_eq!(api.get(&path_of(&before)).json(), after);
        assert_eq!(after["id"], before["id"]);
        assert_eq!(after["meta"]["created"], before["meta"]["created"]);
        assert_ne!(after["meta"]["version"], before["meta"]["version"]);
        let mut rest = after.clone();
        rest.as_object_mut().unwrap().retain(|name, _| name != "id" && name != "meta");
        assert_eq!(rest, json!({"schemas": [USER], "userName": "INES", "nickName": "N", "active": false}));
    });
}

#[test]
fn put_02_never_creates() {
    each_profile(|api| {
        let gone = api.created("/Users", &user("gone"));
        api.delete(&path_of(&gone));

        assert_error(&api.put(&format!("/Users/{NOBODY}"), &user("x")), 404, None);
        assert_error(&api.put(&path_of(&gone), &user("gone")), 404, None);
        assert_error(&api.put("/Users", &user("x")), 405, None);
        assert!(names_at(api, "/Users").is_empty());
    });
}

#[test]
fn put_07_08_a_refused_replacement_changes_nothing() {
    each_profile(|api| {
        api.created("/Users", &user("omar"));
        let ines = api.created("/Users", &user_with("ines", json!({"nickName": "I"})));

        let nameless = api.put(&path_of(&ines), &json!({"schemas": [USER], "nickName": "x"}));
        let taken = api.put(&path_of(&ines), &user("OMAR"));
        let own = api.put(&path_of(&ines), &user_with("ines", json!({"nickName": "I"})));

        assert_error(&nameless, 400, Some("invalidValue"));
        assert_error(&taken, 409, Some("uniqueness"));
        assert_eq!(assert_resource(&own, 200)["meta"]["version"], ines["meta"]["version"]);
    });
}

#[test]
fn put_09_without_a_change_the_version_is_kept() {
    each_profile(|api| {
        let before = api.created("/Users", &user_with("ines", json!({"nickName": "I"})));

        let later = api.later(TimeDelta::minutes(5));
        let after = assert_resource(&later.put(&path_of(&before), &before), 200);
        let echo = patch(json!([{"op": "replace", "path": "nickName", "value": "I"}]));
        let patched = assert_resource(&api.later(TimeDelta::minutes(9)).patch(&path_of(&before), &echo), 200);

        assert_eq!(after["meta"]["version"], before["meta"]["version"]);
        // Pocket ID compares it with its own clock; a PATCH without effect is nobody's write.
        let at =
            |resource: &Value| resource["meta"]["lastModified"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        assert!(at(&after) - at(&before) >= TimeDelta::minutes(5), "{after}");
        assert_eq!(at(&patched), at(&after));
    });
}

#[test]
fn put_10_a_group_gets_exactly_these_members() {
    each_profile(|api| {
        let users = ["a", "b", "c"].map(|name| api.created("/Users", &user(name)));
        let team = api.created("/Groups", &group("Team", &[&users[0], &users[1]]));

        let replaced = api.put(&path_of(&team), &group("Team 2", &[&users[1], &users[2]]));
        let replaced = assert_resource(&replaced, 200);
        let emptied = api.put(&path_of(&team), &json!({"schemas": [GROUP], "displayName": "Team 2"}));

        assert_eq!(replaced["displayName"], json!("Team 2"));
        assert_eq!(values(&replaced, "members"), ids(&[&users[1], &users[2]]));
        assert!(values(&assert_resource(&emptied, 200), "members").is_empty());
        assert!(api.get(&path_of(&users[2])).json().get("groups").is_none());
    });
}
