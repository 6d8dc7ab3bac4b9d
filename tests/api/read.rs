//! GET: one resource.

use serde_json::json;

use crate::harness::each_profile;
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
fn get_07_a_suffix_names_the_format() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));

        assert_eq!(assert_resource(&api.get(&format!("{}.scim", path_of(&ines))), 200), ines);
    });
}
