//! T: what clients really send. Each is taken in `compat`; in `strict` it is refused, unless the RFC allows it too.

use scimd::scim::Profile;
use serde_json::{Value, json};

use crate::harness::{Api, each_profile};
use crate::messages::*;

/// The answer that the profile of the key gives: the resource, or the refusal of `strict`.
#[track_caller]
fn either(api: &Api, response: &crate::support::http::Response, status: u16, refusal: &str) -> Option<Value> {
    if api.profile == Profile::Strict {
        assert_error(response, 400, Some(refusal));
        return None;
    }
    Some(assert_resource(response, status))
}

#[test]
fn t_01_verbs_have_no_case() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        for (verb, expected) in [("Add", json!("x")), ("REPLACE", json!("y")), ("Remove", json!(null))] {
            let mut operation = json!({"op": verb, "path": "title"});
            if !expected.is_null() {
                operation["value"] = expected.clone();
            }

            let after = assert_resource(&api.patch(&path_of(&ines), &patch(json!([operation]))), 200);

            assert_eq!(after.get("title").cloned().unwrap_or_default(), expected, "{verb}");
        }
    });
}

#[test]
fn t_02_text_for_booleans_and_numbers_for_text() {
    each_profile(|api| {
        let off = json!({"active": "False", "emails": [{"value": "i@x.org", "primary": "TRUE"}]});
        if let Some(ines) = either(api, &api.post("/Users", &user_with("ines", off)), 201, "invalidValue") {
            assert_eq!((&ines["active"], &ines["emails"][0]["primary"]), (&json!(false), &json!(true)));
        }
        let ines = api.created("/Users", &user("omar"));
        let off = patch(json!([{"op": "replace", "path": "active", "value": "False"}]));
        if let Some(ines) = either(api, &api.patch(&path_of(&ines), &off), 200, "invalidValue") {
            assert_eq!(ines["active"], json!(false));
            assert_eq!(found(api, "/Users", r#"active eq "False""#), ["ines", "omar"]);
            assert_eq!(found(api, "/Users", r#"emails[primary eq "True"]"#), ["ines"]);
        } else {
            let filter = encoded(r#"active eq "False""#);
            assert_error(&api.get(&format!("/Users?filter={filter}")), 400, Some("invalidFilter"));
        }
        let number = user_with("ada", json!({"title": 5, ENTERPRISE: {"employeeNumber": 701_984}}));
        if let Some(ada) = either(api, &api.post("/Users", &number), 201, "invalidValue") {
            assert_eq!((&ada["title"], &ada[ENTERPRISE]["employeeNumber"]), (&json!("5"), &json!("701984")));
        }
        let perhaps = user_with("eve", json!({"active": "perhaps"}));
        assert_error(&api.post("/Users", &perhaps), 400, Some("invalidValue"));
    });
}

#[test]
fn t_03_patch_18_keys_of_a_pathless_value_are_paths() {
    each_profile(|api| {
        let ines =
            api.created("/Users", &user_with("ines", json!({"emails": [{"type": "work", "value": "old@x.org"}]})));
        let value = json!({
            "displayName": "Ines", "name.givenName": "Ines", "name": {"familyName": "Roth"},
            "emails[type eq \"work\"].value": "new@x.org", "ACTIVE": false,
            format!("{ENTERPRISE}:department"): "Tours", format!("{ENTERPRISE}"): {"division": "Park"},
            format!("{USER}:title"): "Guide", "costCenter": "4130",
        });
        for op in ["replace", "add"] {
            let after = assert_resource(&api.patch(&path_of(&ines), &patch(json!([{"op": op, "value": value}]))), 200);

            assert_eq!(after["name"], json!({"givenName": "Ines", "familyName": "Roth"}), "{op}");
            assert_eq!(after["emails"], json!([{"type": "work", "value": "new@x.org"}]));
            assert_eq!(
                (&after["displayName"], &after["title"], &after["active"]),
                (&json!("Ines"), &json!("Guide"), &json!(false))
            );
            assert_eq!(after[ENTERPRISE], json!({"department": "Tours", "division": "Park", "costCenter": "4130"}));
        }
    });
}

#[test]
fn t_04_one_for_many_and_many_for_one() {
    each_profile(|api| {
        let single = user_with("ines", json!({"emails": {"value": "i@x.org"}}));
        if let Some(ines) = either(api, &api.post("/Users", &single), 201, "invalidSyntax") {
            assert_eq!(ines["emails"], json!([{"value": "i@x.org"}]));
        }
        let listed = user_with("omar", json!({"name": [{"givenName": "Omar"}]}));
        if let Some(omar) = either(api, &api.post("/Users", &listed), 201, "invalidValue") {
            assert_eq!(omar["name"], json!({"givenName": "Omar"}));
        }
        let wrapped = user_with("ada", json!({"title": {"value": "Guide"}, "emails": ["ada@x.org"]}));
        if let Some(ada) = either(api, &api.post("/Users", &wrapped), 201, "invalidValue") {
            assert_eq!((&ada["title"], &ada["emails"]), (&json!("Guide"), &json!([{"value": "ada@x.org"}])));
        }
        let two = user_with("eve", json!({"name": [{"givenName": "Eve"}, {"givenName": "Ada"}]}));
        assert_error(&api.post("/Users", &two), 400, Some("invalidValue"));
    });
}

#[test]
fn t_05_a_manager_as_bare_text() {
    each_profile(|api| {
        let boss = api.created("/Users", &user("boss"));
        let ines = api.created("/Users", &user("ines"));
        let path = format!("{ENTERPRISE}:manager");
        let set = patch(json!([{"op": "add", "path": path, "value": boss["id"]}]));
        if let Some(ines) = either(api, &api.patch(&path_of(&ines), &set), 200, "invalidValue") {
            assert_eq!(ines[ENTERPRISE]["manager"]["value"], boss["id"]);
            assert_eq!(ines[ENTERPRISE]["manager"]["$ref"], boss["meta"]["location"]);
        }
        let unset = patch(json!([{"op": "replace", "path": path, "value": ""}]));
        if let Some(ines) = either(api, &api.patch(&path_of(&ines), &unset), 200, "invalidValue") {
            assert!(ines.get(ENTERPRISE).is_none());
        }
    });
}

#[test]
fn t_08_literals_without_double_quotes() {
    each_profile(|api| {
        api.created("/Users", &user_with("ines", json!({"title": "Guide"})));
        for filter in ["userName eq ines", "userName eq 'INES'", "meta.resourceType eq User and title sw Gu"] {
            if api.profile == Profile::Compat {
                assert_eq!(found(api, "/Users", filter), ["ines"], "{filter}");
            } else {
                let response = api.get(&format!("/Users?filter={}", encoded(filter)));
                assert_error(&response, 400, Some("invalidFilter"));
            }
        }
    });
}

#[test]
fn t_09_t_13_what_is_not_for_the_client_to_set_is_ignored() {
    each_profile(|api| {
        let boss = api.created("/Users", &user("boss"));
        let manager = json!({"value": boss["id"], "$ref": null, "displayName": null});
        let sent = json!({"salary": 5, "id": "mine", "groups": [{"value": "x", "$ref": null}],
            "urn:example:other": {"a": 1}, "emails": [{"value": "i@x.org", "colour": "red"}], ENTERPRISE: {"manager": manager}});
        let ines = assert_resource(&api.post("/Users", &user_with("ines", sent)), 201);
        assert!(["salary", "groups", "urn:example:other"].iter().all(|name| ines.get(*name).is_none()));
        assert_eq!(ines["emails"], json!([{"value": "i@x.org"}]));
        assert_eq!(ines[ENTERPRISE]["manager"]["value"], boss["id"]);
        let team = json!({"schemas": [GROUP], "displayName": "Team", "members": [{"value": ines["id"], "$ref": null}]});
        let team = assert_resource(&api.post("/Groups", &team), 201);
        assert_eq!(team["members"][0]["$ref"], ines["meta"]["location"]);

        // All that an answer holds may come back.
        for resource in [&ines, &team] {
            let path = path_of(resource);
            let now = assert_resource(&api.get(&path), 200);
            let put = assert_resource(&api.put(&path, &now), 200);
            assert_eq!(put["meta"]["version"], now["meta"]["version"]);
            let echo = json!({"op": "replace", "value": {"id": now["id"], "externalId": "e"}});
            let patched = assert_resource(&api.patch(&path, &patch(json!([echo]))), 200);
            assert_eq!(patched["externalId"], json!("e"));
        }
        let whole = assert_resource(&api.get(&path_of(&ines)), 200);
        assert_eq!(whole["groups"][0]["value"], team["id"]);
    });
}

#[test]
fn t_12_values_that_standards_would_have_otherwise() {
    each_profile(|api| {
        let plain =
            json!({"locale": "de_DE", "phoneNumbers": [{"value": "0 30/12 34-5 (Ext. 7)"}], "timezone": "somewhere"});
        let ines = assert_resource(&api.post("/Users", &user_with("ines", plain.clone())), 201);
        for (name, value) in plain.as_object().unwrap() {
            assert_eq!(&ines[name], value);
        }
        for (name, value) in [
            ("addresses", json!([{"country": "Germany"}])),
            ("profileUrl", json!("not a uri")),
            ("x509Certificates", json!([{"value": "-----BEGIN CERTIFICATE-----"}])),
        ] {
            let mut body = user(name);
            body[name] = value.clone();
            if let Some(created) = either(api, &api.post("/Users", &body), 201, "invalidValue") {
                assert_eq!(created[name], value);
            }
        }
    });
}
