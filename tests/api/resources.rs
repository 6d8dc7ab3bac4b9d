//! RES, TYPE, MV, CHAR, USR, GRP and ENT: what a resource is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scimd::scim::Profile;
use serde_json::{Value, json};

use crate::harness::{each, each_profile, each_strict};
use crate::messages::*;
use crate::vectors::full_user;

#[test]
fn res_01_02_ent_03_schemas_name_what_is_used() {
    each_profile(|api| {
        let mut body = user("ines");
        body["schemas"] = json!([USER, ENTERPRISE]);
        let plain = api.created("/Users", &body);
        assert_eq!(plain["schemas"], json!([USER]));

        let path = path_of(&plain);
        let department = format!("{ENTERPRISE}:department");
        let with = api.patch(&path, &patch(json!([{"op": "add", "path": department, "value": "Tours"}])));
        let without = api.patch(&path, &patch(json!([{"op": "remove", "path": department}])));

        let with = assert_resource(&with, 200);
        assert_eq!(with["schemas"], json!([USER, ENTERPRISE]));
        assert_eq!(with[ENTERPRISE], json!({"department": "Tours"}));
        let without = assert_resource(&without, 200);
        assert_eq!(without["schemas"], json!([USER]));
        assert!(without.get(ENTERPRISE).is_none());
    });
}

#[test]
fn res_03_04_17_names_have_no_case_and_may_be_qualified() {
    each_profile(|api| {
        let upper = json!({
            "EMAILS": [{"TYPE": "work", "VALUE": "x@example.com"}], "NAME": {"GIVENNAME": "Ines"},
            "USERNAME": "upper", "schemas": [USER.to_uppercase()],
        });
        let mut qualified = json!({"schemas": [USER]});
        qualified[format!("{USER}:userName")] = json!("qualified");
        qualified[format!("{USER}:nickName")] = json!("Q");

        let upper = api.created("/Users", &upper);
        let qualified = api.created("/Users", &qualified);

        assert_eq!(upper["userName"], json!("upper"));
        assert_eq!(upper["name"], json!({"givenName": "Ines"}));
        assert_eq!(upper["emails"], json!([{"type": "work", "value": "x@example.com"}]));
        assert_eq!(upper["schemas"], json!([USER]));
        assert_eq!((&qualified["userName"], &qualified["nickName"]), (&json!("qualified"), &json!("Q")));
        assert!(!qualified.as_object().unwrap().keys().any(|key| key.contains(':')));
    });
}

#[test]
fn res_05_keys_that_differ_by_case_are_refused() {
    each_profile(|api| {
        let twice = json!({"schemas": [USER], "userName": "a", "nickName": "b", "NICKNAME": "c"});

        let response = api.post("/Users", &twice);

        assert_error(&response, 400, Some("invalidSyntax"));
        assert!(names_at(api, "/Users").is_empty());
    });
}

#[test]
fn res_06_07_10_11_the_server_issues_id_and_meta() {
    each_profile(|api| {
        let claimed = json!({"id": "mine", "meta": {"resourceType": "Group", "created": "2001-01-01T00:00:00Z",
            "version": "W/\"x\"", "location": "http://evil.example/x"}});
        let before = chrono::Utc::now();

        let first = assert_resource(&api.post("/Users", &user_with("first", claimed.clone())), 201);
        let second = assert_resource(&api.post("/Users", &user_with("second", claimed)), 201);

        assert_ne!(first["id"], second["id"]);
        assert_ne!(first["id"], json!("mine"));
        assert!(!first["id"].as_str().unwrap().to_lowercase().contains("bulkid"));
        assert_eq!(first["meta"]["resourceType"], json!("User"));
        assert_eq!(first["meta"]["created"], first["meta"]["lastModified"]);
        let created = first["meta"]["created"].as_str().unwrap();
        assert_eq!((created.len(), created.ends_with('Z')), (24, true), "{created}");
        let created: chrono::DateTime<chrono::Utc> = created.parse().unwrap();
        assert!(created <= chrono::Utc::now() && created >= before - chrono::TimeDelta::seconds(1));
    });
}

#[test]
fn res_08_external_ids_may_be_equal_and_are_exact() {
    each_profile(|api| {
        api.created("/Users", &user_with("a", json!({"externalId": "Ext-1"})));
        api.created("/Users", &user_with("b", json!({"externalId": "Ext-1"})));
        let none = api.created("/Users", &user("c"));

        let exact = found(api, "/Users", r#"externalId eq "Ext-1""#);
        let other_case = found(api, "/Users", r#"externalId eq "ext-1""#);

        assert_eq!(exact, ["a", "b"]);
        assert!(other_case.is_empty());
        assert!(none.get("externalId").is_none());
    });
}

#[test]
fn res_14_15_null_and_empty_and_absent_are_one_state() {
    each_profile(|api| {
        let unassigned = json!({"nickName": null, "emails": [], "name": {}, "title": null, "addresses": null,
            "phoneNumbers": [{}], ENTERPRISE: {"department": null}});

        let created = assert_resource(&api.post("/Users", &user_with("ines", unassigned)), 201);

        let mut names: Vec<&str> = created.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["active", "id", "meta", "schemas", "userName"]);
        for attribute in ["nickName", "emails", "name", "title", "addresses"] {
            assert!(found(api, "/Users", &format!("{attribute} pr")).is_empty(), "{attribute}");
        }
    });
}

#[test]
fn res_16_an_empty_string_is_not_present() {
    each_profile(|api| {
        let created = api.created("/Users", &user_with("ines", json!({"nickName": ""})));

        let expected = (api.profile == Profile::Strict).then(|| json!(""));
        assert_eq!(created.get("nickName"), expected.as_ref());
        assert!(found(api, "/Users", "nickName pr").is_empty());
        assert_error(&api.post("/Users", &user("")), 400, Some("invalidValue"));
    });
}

#[test]
fn res_18_unknown_attributes_are_ignored() {
    each_profile(|api| {
        let unknown = json!({"salary": 5, "urn:example:ext": {"a": 1}, "name": {"givenName": "I", "rank": 3}});

        let created = api.created("/Users", &user_with("ines", unknown));

        assert!(created.get("salary").is_none() && created.get("urn:example:ext").is_none());
        assert_eq!(created["name"], json!({"givenName": "I"}));
        assert_eq!(created["schemas"], json!([USER]));
    });
}

#[test]
fn res_19_strict_demands_the_base_schema() {
    let bodies = [
        json!({"userName": "a"}),
        json!({"userName": "b", "schemas": []}),
        json!({"userName": "c", "schemas": [ENTERPRISE]}),
    ];
    each_strict(|api| {
        for body in &bodies {
            assert_error(&api.post("/Users", body), 400, Some("invalidSyntax"));
        }
    });
    each(|api| {
        for body in &bodies {
            assert_eq!(api.created("/Users", body)["schemas"], json!([USER]));
        }
    });
}

#[test]
fn type_01_to_08_values_of_the_wrong_type_are_refused() {
    each_strict(|api| {
        for (attribute, value) in [
            ("nickName", json!(5)),
            ("nickName", json!(true)),
            ("nickName", json!({"value": "x"})),
            ("active", json!("true")),
            ("active", json!(1)),
            ("name", json!("Ines")),
            ("emails", json!(["x@example.com"])),
            ("emails", json!([{"value": 5}])),
            ("x509Certificates", json!([{"value": "no base64!"}])),
            ("x509Certificates", json!([{"value": "bm8gY2VydGlmaWNhdGU="}])),
        ] {
            let mut body = user("ines");
            body[attribute] = value.clone();

            let detail = assert_error(&api.post("/Users", &body), 400, Some("invalidValue"));

            assert!(detail.contains(attribute), "{attribute} {value}: {detail}");
        }
        assert!(names_at(api, "/Users").is_empty());
    });
}

#[test]
fn type_12_t_02_t_04_compat_takes_what_is_plainly_meant() {
    let loose = json!({"active": "False", "emails": {"value": "x@example.com", "primary": "True"}, "title": 5});
    each(|api| {
        let created = api.created("/Users", &user_with("ines", loose.clone()));

        assert_eq!(created["active"], json!(false));
        assert_eq!(created["emails"], json!([{"value": "x@example.com", "primary": true}]));
        assert_eq!(created["title"], json!("5"));
    });
    each_strict(|api| {
        let single = user_with("ines", json!({"emails": {"value": "x@example.com"}}));

        assert_error(&api.post("/Users", &single), 400, Some("invalidSyntax"));
    });
}

#[test]
fn mv_01_one_element_is_primary() {
    let body = user_with(
        "ines",
        json!({"emails": [{"value": "a@example.com", "primary": true}, {"value": "b@example.com", "primary": true}]}),
    );
    each_strict(|api| {
        assert_error(&api.post("/Users", &body), 400, Some("invalidValue"));
    });
    each(|api| {
        let emails = api.created("/Users", &body)["emails"].clone();

        assert_ne!(emails[0]["primary"], json!(true));
        assert_eq!(emails[1]["primary"], json!(true));
    });
}

#[test]
fn mv_02_a_new_primary_replaces_the_old_one() {
    each_profile(|api| {
        let emails = json!([{"value": "a@example.com", "type": "work", "primary": true}]);
        let path = path_of(&api.created("/Users", &user_with("ines", json!({"emails": emails}))));

        let added = json!([{"op": "add", "path": "emails",
            "value": [{"value": "b@example.com", "type": "home", "primary": true}]}]);
        let changed = assert_resource(&api.patch(&path, &patch(added)), 200);

        assert_ne!(changed["emails"][0]["primary"], json!(true));
        assert_eq!(changed["emails"][1]["primary"], json!(true));
    });
}

#[test]
fn mv_03_04_05_elements_keep_their_order_and_are_there_once() {
    each_profile(|api| {
        let emails = json!([
            {"value": "z@example.com", "type": "work"},
            {"value": "a@example.com", "type": "on the moon"},
            {"value": "z@example.com", "type": "work", "display": "Z"},
            {"value": "m@example.com"},
        ]);

        let created = api.created("/Users", &user_with("ines", json!({"emails": emails})));

        let shown: Vec<&Value> = created["emails"].as_array().unwrap().iter().map(|email| &email["value"]).collect();
        assert_eq!(shown, ["z@example.com", "a@example.com", "m@example.com"]);
        assert_eq!(created["emails"][0]["display"], json!("Z"));
        assert_eq!(created["emails"][1]["type"], json!("on the moon"));
    });
}

#[test]
fn usr_01_char_01_user_name_is_required() {
    each_profile(|api| {
        for name in [None, Some(json!(null)), Some(json!(""))] {
            let mut body = json!({"schemas": [USER], "nickName": "x"});
            if let Some(name) = name {
                body["userName"] = name;
            }

            let detail = assert_error(&api.post("/Users", &body), 400, Some("invalidValue"));

            assert!(detail.contains("userName"), "{detail}");
        }
    });
}

#[test]
fn usr_08_t_12_countries_are_checked_by_strict_only() {
    let body = user_with("ines", json!({"addresses": [{"type": "work", "country": "Germany"}]}));
    each_strict(|api| {
        assert_error(&api.post("/Users", &body), 400, Some("invalidValue"));
    });
    each(|api| {
        assert_eq!(api.created("/Users", &body)["addresses"][0]["country"], json!("Germany"));
    });
}

#[test]
fn usr_10_a_certificate_is_one_der_value() {
    let certificate = full_user()["x509Certificates"][0]["value"].as_str().unwrap().to_owned();
    let der = STANDARD.decode(&certificate).unwrap();
    each_strict(|api| {
        let post = |name: &str, value: &str| {
            api.post("/Users", &user_with(name, json!({"x509Certificates": [{"value": value}]})))
        };
        let created = assert_resource(&post("ines", &certificate), 201);
        assert_eq!(created["x509Certificates"][0]["value"], json!(certificate), "as it was sent");
        for wrong in [
            STANDARD.encode([der.as_slice(), &der].concat()),
            STANDARD.encode(&der[..der.len() - 1]),
            STANDARD.encode([der.as_slice(), b"x"].concat()),
            STANDARD.encode(b"no certificate"),
            format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----"),
        ] {
            let detail = assert_error(&post("omar", &wrong), 400, Some("invalidValue"));
            assert!(detail.contains("x509Certificates"), "{detail}");
        }
        assert_eq!(names_at(api, "/Users"), ["ines"]);
    });
}

#[test]
fn usr_11_12_flt_38_active_is_a_state_of_a_live_user() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let team = api.created("/Groups", &group("Team", &[&ines]));
        assert_eq!(ines["active"], json!(true));
        assert_eq!(found(api, "/Users", "active eq true"), ["ines"]);

        let off = api.patch(&path_of(&ines), &patch(json!([{"op": "replace", "path": "active", "value": false}])));
        assert_eq!(assert_resource(&off, 200)["active"], json!(false));
        let put = assert_resource(&api.put(&path_of(&ines), &user("ines")), 200);

        assert_eq!(put["active"], json!(false), "an omitted active never enables again");
        assert_eq!(found(api, "/Users", "active eq false"), ["ines"]);
        assert_error(&api.post("/Users", &user("INES")), 409, Some("uniqueness"));
        assert_eq!(values(&api.get(&path_of(&team)).json(), "members"), ids(&[&ines]));
        let on = api.patch(&path_of(&ines), &patch(json!([{"op": "replace", "value": {"active": true}}])));
        assert_eq!(assert_resource(&on, 200)["active"], json!(true));
    });
}

#[test]
fn grp_01_a_group_needs_a_name_and_no_members() {
    each_profile(|api| {
        let nameless = api.post("/Groups", &json!({"schemas": [GROUP]}));
        let empty = api.post("/Groups", &json!({"schemas": [GROUP], "displayName": "Empty"}));

        assert_error(&nameless, 400, Some("invalidValue"));
        let empty = assert_resource(&empty, 201);
        assert_eq!(empty["meta"]["resourceType"], json!("Group"));
        assert_eq!(empty.get("members").and_then(Value::as_array).map(Vec::len).unwrap_or_default(), 0);
    });
}

#[test]
fn grp_02_unknown_members() {
    let body = json!({"schemas": [GROUP], "displayName": "Team", "members": [{"value": NOBODY}]});
    each_strict(|api| {
        assert_error(&api.post("/Groups", &body), 400, Some("invalidValue"));
        assert!(names_at(api, "/Groups").is_empty());
    });
    each(|api| {
        let team = api.created("/Groups", &body);
        assert_eq!(team["members"], json!([{"value": NOBODY}]));

        let path = format!("members[value eq \"{NOBODY}\"]");
        let removed = api.patch(&path_of(&team), &patch(json!([{"op": "remove", "path": path}])));

        assert!(values(&assert_resource(&removed, 200), "members").is_empty());
    });
}

#[test]
fn grp_03_06_type_13_members_are_described_by_the_server() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"displayName": "Ines"})));
        let inner = api.created("/Groups", &group("Inner", &[]));
        let members = json!([
            {"value": ines["id"], "$ref": null, "display": "Nobody"},
            {"value": inner["id"], "$ref": "http://evil.example/", "type": "Group"},
            {"value": ines["id"]},
        ]);

        let team = api.created("/Groups", &json!({"schemas": [GROUP], "displayName": "Team", "members": members}));

        let mut shown = team["members"].as_array().unwrap().clone();
        shown.sort_by_key(|member| member["type"].to_string());
        let expected = |member: &Value, kind: &str| {
            json!({"value": member["id"], "$ref": member["meta"]["location"], "display": member["displayName"],
                "type": kind})
        };
        assert_eq!(shown, [expected(&inner, "Group"), expected(&ines, "User")]);
        for member in shown {
            let path = member["$ref"].as_str().unwrap().strip_prefix(&api.base_url).unwrap().to_owned();
            assert_eq!(api.get(&path).json()["id"], member["value"]);
        }
    });
}

#[test]
fn grp_04_char_03_a_member_cannot_become_another() {
    each_profile(|api| {
        let (ines, omar) = (api.created("/Users", &user("ines")), api.created("/Users", &user("omar")));
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let path = format!("members[value eq {}].value", ines["id"]);

        let response =
            api.patch(&path_of(&team), &patch(json!([{"op": "replace", "path": path, "value": omar["id"]}])));

        assert_error(&response, 400, Some("mutability"));
        assert_eq!(api.get(&path_of(&team)).json(), team);
    });
}

#[test]
fn grp_07_a_deleted_member_leaves_its_groups() {
    each_profile(|api| {
        let (ines, omar) = (api.created("/Users", &user("ines")), api.created("/Users", &user("omar")));
        let team = api.created("/Groups", &group("Team", &[&ines, &omar]));

        assert_eq!(api.delete(&path_of(&ines)).status, 204);
        let after = api.get(&path_of(&team));

        assert_ne!(after.header("etag"), team["meta"]["version"].as_str(), "what is shown has changed");
        let after = assert_resource(&after, 200);
        assert_eq!(values(&after, "members"), ids(&[&omar]));
        assert_eq!(after["meta"]["lastModified"], team["meta"]["lastModified"]);
    });
}

#[test]
fn grp_08_equal_names_need_different_external_ids() {
    each_profile(|api| {
        let named = |name: &str, external_id: Option<&str>| {
            let mut body = json!({"schemas": [GROUP], "displayName": name});
            if let Some(external_id) = external_id {
                body["externalId"] = json!(external_id);
            }
            body
        };
        let plain = api.created("/Groups", &named("Team", None));
        let first = api.created("/Groups", &named("team", Some("1")));
        let second = api.created("/Groups", &named("TEAM", Some("2")));

        let again = api.post("/Groups", &named("tEAM", None));
        let same = api.post("/Groups", &named("Team", Some("1")));
        let put = api.put(&path_of(&second), &named("Team", Some("1")));
        let patched =
            api.patch(&path_of(&first), &patch(json!([{"op": "replace", "path": "externalId", "value": "2"}])));

        for response in [again, same, put, patched] {
            assert_error(&response, 409, Some("uniqueness"));
        }
        assert_eq!(found(api, "/Groups", r#"displayName eq "team""#).len(), 3);
        assert_eq!(assert_resource(&api.put(&path_of(&plain), &named("Team", None)), 200)["id"], plain["id"]);
    });
}

#[test]
fn ent_01_02_a_manager_is_described_by_the_server() {
    each_profile(|api| {
        let boss = api.created("/Users", &user_with("boss", json!({"displayName": "The Boss"})));
        let enterprise = json!({"manager": {"value": boss["id"], "displayName": "Somebody", "$ref": "../Users/x"}});

        let ines = api.created("/Users", &user_with("ines", json!({ENTERPRISE: enterprise})));

        let manager = json!({"value": boss["id"], "displayName": "The Boss", "$ref": boss["meta"]["location"]});
        assert_eq!(ines[ENTERPRISE]["manager"], manager);
        assert_eq!(found(api, "/Users", &format!("manager eq {}", boss["id"])), ["ines"]);
        assert_eq!(api.delete(&path_of(&boss)).status, 204);
        let after = api.get(&path_of(&ines)).json();
        assert!(after.get(ENTERPRISE).is_none(), "{after}");
        assert_eq!(after["schemas"], json!([USER]));
    });
}

#[test]
fn ent_02_unknown_managers() {
    let body = user_with("ines", json!({ENTERPRISE: {"manager": {"value": "26118915"}}}));
    each_strict(|api| {
        assert_error(&api.post("/Users", &body), 400, Some("invalidValue"));
    });
    each(|api| {
        let created = api.created("/Users", &body);

        assert_eq!(created[ENTERPRISE]["manager"], json!({"value": "26118915"}));
        // What an identity provider of the strict kind sees of it.
        let strict = api.with_key(Profile::Strict, "read");
        assert_eq!(found(&strict, "/Users", r#"manager eq "26118915""#), ["ines"]);
    });
}

#[test]
fn ent_02_a_manager_who_was_there_before_fails_no_other_change() {
    each(|api| {
        let body = user_with("ines", json!({ENTERPRISE: {"manager": {"value": "26118915"}}}));
        let path = path_of(&api.created("/Users", &body));
        let strict = api.with_key(Profile::Strict, "read write");
        let title = patch(json!([{"op": "add", "path": "title", "value": "Guide"}]));

        let patched = assert_resource(&strict.patch(&path, &title), 200);
        let put = assert_resource(&strict.put(&path, &patched), 200);

        assert_eq!((&patched["title"], &patched[ENTERPRISE]), (&json!("Guide"), &body[ENTERPRISE]));
        assert_eq!(put["meta"]["version"], patched["meta"]["version"]);
        let other = patch(json!([{"op": "replace", "path": "manager.value", "value": "26118916"}]));
        assert_error(&strict.patch(&path, &other), 400, Some("invalidValue"));
    });
}

#[test]
fn grp_03_a_type_that_contradicts() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let body =
            json!({"schemas": [GROUP], "displayName": "Team", "members": [{"value": ines["id"], "type": "Group"}]});

        let answer = api.post("/Groups", &body);

        match api.profile {
            Profile::Strict => drop(assert_error(&answer, 400, Some("invalidValue"))),
            Profile::Compat => assert_eq!(assert_resource(&answer, 201)["members"][0]["type"], json!("User")),
        }
    });
}
