//! GET: one resource.

use serde_json::{Value, json};

use crate::harness::{each, each_profile};
use crate::messages::*;

#[test]
fn get_01_03_05_res_12_13_a_resource_with_its_headers() {
    each_profile(|api| {
        let created = api.created("/Users", &user_with("ines", json!({"emails": [{"value": "i@example.com"}]})));

        let read = api.get(&path_of(&created));
        let head = api.send("HEAD", &path_of(&created), &[], None);

        assert_eq!(assert_resource(&read, 200), created);
        assert_eq!((head.status, head.body.len()), (200, 0));
        for name in ["etag", "location", "content-location", "content-type", "content-length"] {
            assert_eq!(head.header(name), read.header(name), "{name}");
        }
        assert_eq!(api.send("HEAD", "/Users", &[], None).status, 200);
        assert_eq!(api.send("HEAD", &format!("/Users/{NOBODY}"), &[], None).status, 404);
    });
}

#[test]
fn get_01_ver_03_grp_02_a_group_of_very_many_members_is_answered_like_any_other() {
    each(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"displayName": "Ines"})));
        let stale = (0..4500).map(|at| json!({"value": format!("stale-{at:04}")}));
        let members: Vec<Value> = std::iter::once(json!({"value": ines["id"]})).chain(stale).collect();
        let team = api.created("/Groups", &json!({"schemas": [GROUP], "displayName": "Everybody", "members": members}));
        let path = path_of(&team);

        let read = api.get(&path);
        let head = api.send("HEAD", &path, &[], None);
        let named = api.get(&format!("{path}?attributes=members.display"));
        let known = api.send("GET", &path, &[("If-None-Match", read.header("etag").unwrap())], None);
        api.patch(&path_of(&ines), &patch(json!([{"op": "replace", "path": "displayName", "value": "Inés"}])));
        let renamed = api.get(&path);

        assert_eq!(assert_resource(&read, 200), team);
        assert_eq!(read.header("content-length"), Some(read.body.len().to_string().as_str()));
        assert!(read.body.len() > 100_000);
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), read.header("content-length"));
        assert_eq!(named.json()["members"], json!([{"display": "Ines"}]));
        assert_eq!(known.status, 304);
        assert_ne!(renamed.header("etag"), read.header("etag"));
        assert_eq!(renamed.json()["members"][0]["display"], "Inés");
        // The connection is as good as before.
        assert_eq!(assert_resource(&api.get(&path_of(&ines)), 200)["displayName"], "Inés");
    });
}

#[test]
fn get_02_04_what_is_not_there_is_not_found() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let team = api.created("/Groups", &group("Team", &[]));
        let id = ines["id"].as_str().unwrap();
        let long = format!("/Users/{}", "x".repeat(3000));
        for path in [
            &format!("/Users/{NOBODY}"),
            "/Users/1",
            "/Users/%00",
            "/Users/%F0%9F%98%80",
            "/Users/a%20b",
            "/Users/'%20OR%20'1'='1",
            &format!("/Users/{}", id.to_uppercase()),
            &format!("/Groups/{id}"),
            &format!("/Users/{}", team["id"].as_str().unwrap()),
            &long,
        ] {
            assert_error(&api.get(path), 404, None);
            assert_error(&api.delete(path), 404, None);
        }

        assert_eq!(assert_resource(&api.get(&path_of(&ines)), 200), ines);
    });
}

#[test]
fn get_06_a_filter_makes_it_a_query_on_one_resource() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"title": "Guide"})));
        api.created("/Users", &user_with("omar", json!({"title": "Guide"})));
        let at = |filter: &str| format!("{}?filter={}", path_of(&ines), encoded(filter));

        assert_eq!(assert_list(&api.get(&at(r#"title eq "guide""#))), std::slice::from_ref(&ines));
        assert!(assert_list(&api.get(&at(r#"title eq "boss""#))).is_empty());
        assert_error(&api.get(&at("title")), 400, Some("invalidFilter"));
    });
}

#[test]
fn get_06_srch_01_a_search_on_one_resource_finds_it_or_nothing() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"title": "Guide"})));
        let omar = api.created("/Users", &user_with("omar", json!({"title": "Guide"})));
        let at = format!("{}/.search", path_of(&ines));
        let found = |at: &str, parameters: Value| assert_list(&api.post(at, &search(parameters)));

        assert_eq!(found(&at, json!({"filter": r#"title eq "guide""#})), std::slice::from_ref(&ines));
        assert_eq!(found(&at, json!({})), std::slice::from_ref(&ines));
        assert_eq!(found(&at.replace("/.search", ".scim/.search"), json!({})), std::slice::from_ref(&ines));
        let shown = found(&at, json!({"attributes": ["userName"]}));
        assert_eq!(shown, [json!({"schemas": [USER], "id": ines["id"], "userName": "ines"})]);
        let walk = api.post(&at, &search(json!({"cursor": ""}))).json();
        assert_eq!((&walk["totalResults"], &walk["Resources"][0], walk.get("nextCursor")), (&json!(1), &ines, None));
        for nothing in [r#"title eq "boss""#, r#"userName eq "omar""#] {
            assert!(found(&at, json!({"filter": nothing})).is_empty(), "{nothing}");
        }
        assert_eq!(api.delete(&path_of(&omar)).status, 204);
        for nowhere in [path_of(&omar), format!("/Groups/{}", ines["id"].as_str().unwrap()), "/Users/.search".into()] {
            assert!(found(&format!("{nowhere}/.search"), json!({})).is_empty(), "{nowhere}");
        }
        assert_error(&api.post(&at, &search(json!({"filter": "title"}))), 400, Some("invalidFilter"));
        assert_error(&api.post(&at, &json!({"filter": "title pr"})), 400, Some("invalidSyntax"));
        let get = api.get(&at);
        assert_error(&get, 405, None);
        assert_eq!(get.header("allow"), Some("POST, OPTIONS"));
        let blind = api.with_key(api.profile, "groups:read");
        assert_error(&blind.post(&at, &search(json!({}))), 403, None);
    });
}

#[test]
fn get_07_a_suffix_names_the_format() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));

        assert_eq!(assert_resource(&api.get(&format!("{}.scim", path_of(&ines))), 200), ines);
    });
}
