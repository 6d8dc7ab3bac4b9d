//! VER: versions and conditional requests.

use scimd::store::tenants::{self, TenantSettings};
use serde_json::{Value, json};

use crate::harness::{Api, each, each_profile, run};
use crate::messages::*;
use crate::support::http::Response;

#[test]
fn ver_01_02_a_change_and_only_a_change_makes_a_version() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let path = path_of(&ines);
        let title = |title: &str| patch(json!([{"op": "replace", "path": "title", "value": title}]));

        let changed = assert_resource(&api.patch(&path, &title("Guide")), 200);
        let same = assert_resource(&api.patch(&path, &title("Guide")), 200);

        assert_ne!(changed["meta"]["version"], ines["meta"]["version"]);
        assert_eq!(same["meta"], changed["meta"]);
        assert_eq!(assert_resource(&api.get(&path), 200), changed);
    });
}

#[test]
fn ver_03_v_27_a_known_version_is_not_sent_again() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"displayName": "Ines"})));
        for query in ["", "?attributes=displayName", "?excludedAttributes=groups"] {
            let path = format!("{}{query}", path_of(&ines));
            let etag = api.get(&path).header("etag").unwrap().to_owned();
            for known in [etag.clone(), "*".to_owned(), format!("\"x\", {etag}"), etag.replace("W/", "")] {
                for method in ["GET", "HEAD"] {
                    let response = api.send(method, &path, &[("If-None-Match", &known)], None);

                    assert_eq!((response.status, response.body.len()), (304, 0), "{method} {path} {known}");
                    assert_eq!(response.header("etag"), Some(etag.as_str()));
                }
            }
            assert_resource(&api.send("GET", &path, &[("If-None-Match", "W/\"x\"")], None), 200);
            assert_resource(&api.send("GET", &path, &[("If-None-Match", "no tag")], None), 200);
        }
    });
}

#[test]
fn ver_03_what_is_shown_of_others_is_part_of_the_version() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"displayName": "Ines"})));
        let team = api.created("/Groups", &group("Team", &[]));
        let known = |path: &str, etag: &str| api.send("GET", path, &[("If-None-Match", etag)], None);
        let (of_ines, of_team) = (api.get(&path_of(&ines)), api.get(&path_of(&team)));
        let tag = |response: &Response| response.header("etag").unwrap().to_owned();

        let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": ines["id"]}]}]));
        let joined = assert_resource(&api.patch(&path_of(&team), &add), 200);

        let user_now = known(&path_of(&ines), &tag(&of_ines));
        let user_now = assert_resource(&user_now, 200);
        assert_eq!(values(&user_now, "groups"), ids(&[&team]));
        assert_eq!(user_now["meta"]["lastModified"], ines["meta"]["lastModified"]);
        assert_resource(&known(&path_of(&team), &tag(&of_team)), 200);

        let rename = patch(json!([{"op": "replace", "path": "displayName", "value": "Inés"}]));
        assert_resource(&api.patch(&path_of(&ines), &rename), 200);
        let shown = assert_resource(&known(&path_of(&team), joined["meta"]["version"].as_str().unwrap()), 200);
        assert_eq!(shown["members"][0]["display"], json!("Inés"));
    });
}

#[test]
fn ver_04_05_a_write_may_name_the_version_it_expects() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let path = path_of(&ines);
        let body = |title: &str| patch(json!([{"op": "replace", "path": "title", "value": title}])).to_string();
        let patched = |if_match: &str, title: &str| {
            let headers = [("If-Match", if_match), ("Content-Type", "application/scim+json")];
            api.send("PATCH", &path, &headers, Some(body(title).as_bytes()))
        };
        let first = ines["meta"]["version"].as_str().unwrap().to_owned();

        let second = assert_resource(&patched(&first, "1"), 200);
        for stale in [first.as_str(), "W/\"99\"", "no tag", "", "W/\"99\", \"98\""] {
            assert_error(&patched(stale, "stale"), 412, None);
            let put = api.send("PUT", &path, &[("If-Match", stale)], Some(user("stale").to_string().as_bytes()));
            assert_error(&put, 412, None);
        }
        assert_eq!(api.get(&path).json(), second);

        let strong = second["meta"]["version"].as_str().unwrap().replace("W/", "");
        assert_resource(&patched(&strong, "2"), 200);
        assert_resource(&patched("*", "3"), 200);
        let current = api.get(&path).header("etag").unwrap().to_owned();
        assert_resource(&patched(&format!("\"x\", {current}"), "4"), 200);
        let put = api.send("PUT", &path, &[("If-Match", "*")], Some(user("ines").to_string().as_bytes()));
        assert_resource(&put, 200);
    });
}

#[test]
fn ver_04_a_read_may_name_the_version_it_expects() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let (path, version) = (path_of(&ines), ines["meta"]["version"].as_str().unwrap().to_owned());
        let read = |method: &str, if_match: &str| api.send(method, &path, &[("If-Match", if_match)], None);
        let unknown = api.send("GET", &format!("/Users/{NOBODY}"), &[("If-Match", &version)], None);

        for known in [version.as_str(), "*", &format!("\"x\", {version}")] {
            assert_eq!(assert_resource(&read("GET", known), 200), ines);
        }
        assert_error(&read("GET", "W/\"99\""), 412, None);
        assert_eq!((read("HEAD", "W/\"99\"").status, read("HEAD", &version).status), (412, 200));
        assert_error(&unknown, 404, None);
    });
}

#[test]
fn ver_06_07_existence_comes_first() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let nobody = format!("/Users/{NOBODY}");
        let body = user("x").to_string();

        for if_match in ["*", "W/\"1\""] {
            assert_error(&api.send("PUT", &nobody, &[("If-Match", if_match)], Some(body.as_bytes())), 404, None);
            assert_error(&api.send("DELETE", &nobody, &[("If-Match", if_match)], None), 404, None);
        }
        let put = api.send("PUT", &path_of(&ines), &[("If-None-Match", "*")], Some(body.as_bytes()));

        assert_error(&put, 412, None);
        let title = patch(json!([{"op": "add", "path": "title", "value": "x"}])).to_string();
        for if_none_match in ["*", ines["meta"]["version"].as_str().unwrap()] {
            let headers = [("If-None-Match", if_none_match)];
            assert_error(&api.send("PATCH", &path_of(&ines), &headers, Some(title.as_bytes())), 412, None);
        }
        assert_eq!(api.get(&path_of(&ines)).json(), ines);
    });
}

#[test]
fn ver_09_a_tenant_can_require_the_version() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let path = path_of(&ines);
        let title = patch(json!([{"op": "replace", "path": "title", "value": "1"}])).to_string();
        require_if_match(api);

        assert_error(&api.send("PATCH", &path, &[], Some(title.as_bytes())), 428, None);
        assert_error(&api.put(&path, &user("ines")), 428, None);
        assert_error(&api.delete(&path), 428, None);
        assert_error(&api.delete(&format!("/Users/{NOBODY}")), 404, None);
        assert_eq!(api.get(&path).json(), ines);

        assert_resource(&api.send("PATCH", &path, &[("If-Match", "*")], Some(title.as_bytes())), 200);
    });
}

/// Long lists of members are written down elsewhere than short ones.
#[test]
fn ver_01_a_write_is_answered_as_a_read_is_also_of_a_large_group() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let mut members: Vec<Value> = (0..1001).map(|at| json!({"value": format!("stale-{at:04}")})).collect();
        members.push(json!({"value": ines["id"]}));
        let large = json!({"schemas": [GROUP], "displayName": "Large", "members": members});
        let same = |answer: Value, members: usize| {
            assert_eq!(answer["members"].as_array().map(Vec::len), Some(members));
            assert_eq!(answer, api.get(&path_of(&answer)).json());
            answer
        };

        let made = same(api.created("/Groups", &large), 1002);
        let replaced = same(assert_resource(&api.put(&path_of(&made), &large), 200), 1002);
        let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": "one-more"}]}]));
        let asked_for = format!("{}?attributes=members,displayName", path_of(&replaced));
        let changed = api.patch(&asked_for, &add);

        assert_eq!(changed.status, 200);
        assert_eq!(changed.json(), api.get(&asked_for).json());
        assert_eq!(changed.header("etag"), api.get(&asked_for).header("etag"));
        assert_eq!(changed.json()["members"].as_array().map(Vec::len), Some(1003));
    });
}

/// Sets the tenant to want every change to name the version that it expects.
pub fn require_if_match(api: &Api) {
    let tenant_id = api.tenant_id;
    let settings = TenantSettings { require_if_match: true, ..TenantSettings::default() };
    run(api.store.write(move |connection| tenants::set_settings(connection, tenant_id, &settings)));
}
