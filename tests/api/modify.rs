//! PATCH: the message, what it may not do, and many operations in one. `patch_rows` has the tables.

use scimd::scim::Profile;
use serde_json::{Value, json};

use crate::harness::{Api, each, each_profile, each_strict};
use crate::messages::*;

fn ines(api: &Api) -> Value {
    let attributes = json!({"title": "Guide", "name": {"givenName": "Ines", "familyName": "Ortega"},
        "emails": [{"type": "work", "value": "i@work.example", "primary": true},
            {"type": "home", "value": "i@home.example"}]});
    api.created("/Users", &user_with("ines", attributes))
}

#[test]
fn patch_01_02_t_01_other_messages_are_refused() {
    each_profile(|api| {
        let ines = ines(api);
        let operation = json!({"op": "replace", "path": "title", "value": "x"});
        for body in [
            json!({}),
            json!({"schemas": [PATCH_OP]}),
            json!({"schemas": [PATCH_OP], "Operations": operation["op"]}),
            json!({"schemas": [PATCH_OP], "Operations": ["x"]}),
            json!({"schemas": [PATCH_OP], "Operations": [{"path": "title", "value": "x"}]}),
            json!({"schemas": [PATCH_OP], "Operations": [{"op": "move", "path": "title", "value": "x"}]}),
            json!({"schemas": [PATCH_OP], "Operations": [{"op": 5, "path": "title", "value": "x"}]}),
        ] {
            assert_error(&api.patch(&path_of(&ines), &body), 400, Some("invalidSyntax"));
        }
        assert_eq!(api.get(&path_of(&ines)).json(), ines);
        let any_case = json!({"SCHEMAS": [PATCH_OP], "operations": [{"OP": "Replace", "Path": "TITLE", "Value": "x"}]});
        assert_eq!(assert_resource(&api.patch(&path_of(&ines), &any_case), 200)["title"], json!("x"));
    });
}

#[test]
fn patch_01_strict_demands_the_message_schema_and_an_operation() {
    let operation = json!({"op": "replace", "path": "title", "value": "x"});
    let bodies = [
        json!({"Operations": [operation]}),
        json!({"schemas": [USER], "Operations": [operation]}),
        json!({"schemas": [PATCH_OP], "Operations": []}),
    ];
    each_strict(|api| {
        let ines = ines(api);
        for body in &bodies {
            assert_error(&api.patch(&path_of(&ines), body), 400, Some("invalidSyntax"));
        }
        assert_eq!(api.get(&path_of(&ines)).json(), ines);
    });
    each(|api| {
        let ines = ines(api);
        for body in &bodies {
            assert_resource(&api.patch(&path_of(&ines), body), 200);
        }
    });
}

#[test]
fn patch_03_04_11_13_14_what_cannot_be_done_says_why() {
    each_profile(|api| {
        api.created("/Users", &user("omar"));
        let ines = ines(api);
        for (operation, scim_type) in [
            (json!({"op": "replace", "path": "emails[", "value": "x"}), "invalidFilter"),
            (json!({"op": "replace", "path": "emails[type gt]", "value": "x"}), "invalidFilter"),
            (json!({"op": "replace", "path": "..", "value": "x"}), "invalidPath"),
            (json!({"op": "replace", "path": "id", "value": "x"}), "mutability"),
            (json!({"op": "remove", "path": "id"}), "mutability"),
            (json!({"op": "remove", "path": "userName"}), "mutability"),
            (json!({"op": "replace", "path": "meta.created", "value": "2001-01-01T00:00:00Z"}), "mutability"),
            (json!({"op": "remove"}), "noTarget"),
            (json!({"op": "replace", "path": "phoneNumbers.value", "value": "x"}), "noTarget"),
            (json!({"op": "replace", "path": "emails[value sw \"zzz\"].type", "value": "x"}), "noTarget"),
            (json!({"op": "add", "path": "title"}), "invalidValue"),
            (json!({"op": "replace", "path": "userName", "value": null}), "invalidValue"),
            (json!({"op": "replace", "path": "title", "value": {"a": 1}}), "invalidValue"),
            (json!({"op": "add", "value": "x"}), "invalidValue"),
        ] {
            let response = api.patch(&path_of(&ines), &patch(json!([operation])));

            assert_eq!(response.json()["scimType"], json!(scim_type), "{operation}: {}", response.text());
            assert_error(&response, 400, Some(scim_type));
        }
        let taken = patch(json!([{"op": "replace", "path": "userName", "value": "OMAR"}]));
        assert_error(&api.patch(&path_of(&ines), &taken), 409, Some("uniqueness"));
        assert_eq!(api.get(&path_of(&ines)).json(), ines);
    });
}

#[test]
fn patch_05_patch_17_every_form_of_path_leads_somewhere() {
    each_profile(|api| {
        let ines = ines(api);
        for (path, pointer) in [
            ("title", "/title"),
            ("TITLE", "/title"),
            ("name.givenName", "/name/givenName"),
            (&format!("{USER}:title"), "/title"),
            (&format!("{USER}:name.givenName"), "/name/givenName"),
            (&format!("{}:NAME.GIVENNAME", USER.to_uppercase()), "/name/givenName"),
            ("emails[type eq \"work\"].value", "/emails/0/value"),
            (&format!("{USER}:emails[type eq \"home\" and value pr].value"), "/emails/1/value"),
            ("name[familyName eq \"ortega\"].givenName", "/name/givenName"),
            (&format!("{ENTERPRISE}:department"), &format!("/{ENTERPRISE}/department")),
            ("division", &format!("/{ENTERPRISE}/division")),
            (&format!("{}:COSTCENTER", ENTERPRISE.to_uppercase()), &format!("/{ENTERPRISE}/costCenter")),
        ] {
            let operation = json!({"op": "replace", "path": path, "value": format!("by {path}")});

            let after = assert_resource(&api.patch(&path_of(&ines), &patch(json!([operation]))), 200);

            assert_eq!(after.pointer(pointer), Some(&json!(format!("by {path}"))), "{path}");
        }
        let whole = patch(json!([{"op": "replace", "path": ENTERPRISE, "value": {"department": "Tours"}}]));
        assert_eq!(assert_resource(&api.patch(&path_of(&ines), &whole), 200)[ENTERPRISE]["department"], "Tours");
        let element =
            patch(json!([{"op": "replace", "path": "emails[type eq \"home\"]", "value": {"value": "h@x.org"}}]));
        let after = assert_resource(&api.patch(&path_of(&ines), &element), 200);
        assert_eq!(after["emails"][1], json!({"type": "home", "value": "h@x.org"}));
    });
}

#[test]
fn patch_08_what_is_unique_counts_at_the_end() {
    each_profile(|api| {
        api.created("/Users", &user("omar"));
        let ines = ines(api);
        let rename = |names: [&str; 2]| {
            let operations = names.map(|name| json!({"op": "replace", "path": "userName", "value": name}));
            api.patch(&path_of(&ines), &patch(json!(operations)))
        };

        assert_eq!(assert_resource(&rename(["OMAR", "pia"]), 200)["userName"], json!("pia"));
        assert_error(&rename(["ugo", "Omar"]), 409, Some("uniqueness"));
        let removed = json!([{"op": "remove", "path": "userName"}, {"op": "add", "path": "userName", "value": "pia"}]);
        assert_error(&api.patch(&path_of(&ines), &patch(removed)), 400, Some("mutability"));
        assert_eq!(names_at(api, "/Users"), ["omar", "pia"]);
    });
}

#[test]
fn patch_06_07_operations_apply_in_order_all_or_none() {
    each_profile(|api| {
        let ines = ines(api);
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let in_order = patch(json!([
            {"op": "add", "path": "nickName", "value": "a"},
            {"op": "replace", "path": "nickName", "value": "b"},
            {"op": "remove", "path": "title"},
            {"op": "add", "path": "title", "value": "again"},
        ]));
        let failing = patch(json!([{"op": "replace", "path": "nickName", "value": "c"}, {"op": "remove"}]));
        let members = patch(json!([{"op": "remove", "path": "members"}, {"op": "remove", "path": "displayName"}]));

        let changed = assert_resource(&api.patch(&path_of(&ines), &in_order), 200);
        assert_error(&api.patch(&path_of(&ines), &failing), 400, Some("noTarget"));
        assert_error(&api.patch(&path_of(&team), &members), 400, Some("mutability"));

        assert_eq!((&changed["nickName"], &changed["title"]), (&json!("b"), &json!("again")));
        assert_eq!(values(&api.get(&path_of(&team)).json(), "members"), ids(&[&ines]));
        let now = api.get(&path_of(&ines)).json();
        assert_eq!((&now["nickName"], &now["meta"]["lastModified"]), (&json!("b"), &changed["meta"]["lastModified"]));
    });
}

#[test]
fn patch_10_11_an_echo_changes_nothing() {
    each_profile(|api| {
        let ines = ines(api);
        let echo = patch(json!([{"op": "replace", "value": {"id": ines["id"], "userName": "ines", "title": "Guide"}}]));

        let after = assert_resource(&api.patch(&path_of(&ines), &echo), 200);

        assert_eq!(after, ines);
    });
}

#[test]
fn patch_20_many_adds_set_merge_and_append() {
    each_profile(|api| {
        let ines = ines(api);
        let operations = json!([
            {"op": "add", "value": {"nickName": "I", "name.middleName": "Maria"}},
            {"op": "add", "path": "name", "value": {"honorificPrefix": "Dr."}},
            {"op": "add", "path": "emails", "value": [{"type": "other", "value": "i@other.example"}]},
            {"op": "add", "path": "emails[type eq \"home\"].display", "value": "Home"},
            {"op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Tours"},
            {"op": "add", "path": ENTERPRISE, "value": {"division": "Park"}},
            {"op": "add", "path": "costCenter", "value": "4130"},
        ]);

        let after = assert_resource(&api.patch(&path_of(&ines), &patch(operations.clone())), 200);
        let again = assert_resource(&api.patch(&path_of(&ines), &patch(operations)), 200);

        assert_eq!(after["nickName"], json!("I"));
        let name =
            json!({"givenName": "Ines", "familyName": "Ortega", "middleName": "Maria", "honorificPrefix": "Dr."});
        assert_eq!(after["name"], name);
        assert_eq!(values(&after, "emails"), ["i@home.example", "i@other.example", "i@work.example"]);
        assert_eq!(after["emails"][1]["display"], json!("Home"));
        assert_eq!(after[ENTERPRISE], json!({"department": "Tours", "division": "Park", "costCenter": "4130"}));
        assert_eq!(after["schemas"], json!([USER, ENTERPRISE]));
        assert_eq!(again, after, "the second time nothing changes");
    });
}

#[test]
fn patch_20_many_replaces_exchange_what_is_named() {
    each_profile(|api| {
        let ines = ines(api);
        let operations = json!([
            {"op": "replace", "value": {"title": null, "nickName": "N"}},
            {"op": "replace", "path": "name", "value": {"givenName": "Inés"}},
            {"op": "replace", "path": "emails[type eq \"work\"]", "value": {"value": "new@work.example"}},
            {"op": "replace", "path": "emails[type eq \"home\"].value", "value": "new@home.example"},
            {"op": "replace", "path": "phoneNumbers", "value": [{"type": "work", "value": "tel:+1-555-555-5555"}]},
            {"op": "replace", "path": format!("{ENTERPRISE}:employeeNumber"), "value": "1"},
        ]);

        let after = assert_resource(&api.patch(&path_of(&ines), &patch(operations)), 200);

        assert!(after.get("title").is_none());
        assert_eq!(after["nickName"], json!("N"));
        assert_eq!(after["name"], json!({"givenName": "Inés", "familyName": "Ortega"}));
        assert_eq!(
            after["emails"],
            json!([{"type": "work", "value": "new@work.example"}, {"type": "home", "value": "new@home.example"}])
        );
        assert_eq!(after["phoneNumbers"][0]["type"], json!("work"));
        assert_eq!(after[ENTERPRISE], json!({"employeeNumber": "1"}));
    });
}

#[test]
fn patch_20_many_removes_unassign_what_is_there() {
    each_profile(|api| {
        let ines = ines(api);
        let operations = json!([
            {"op": "remove", "path": "title"},
            {"op": "remove", "path": "nickName"},
            {"op": "remove", "path": "name.familyName"},
            {"op": "remove", "path": "emails[type eq \"work\" and value ew \"work.example\"]"},
            {"op": "remove", "path": "emails[type eq \"nothing\"]"},
            {"op": "remove", "path": ENTERPRISE},
        ]);

        let after = assert_resource(&api.patch(&path_of(&ines), &patch(operations)), 200);

        assert!(after.get("title").is_none());
        assert_eq!(after["name"], json!({"givenName": "Ines"}));
        assert_eq!(after["emails"], json!([{"type": "home", "value": "i@home.example"}]));
        let last = patch(json!([{"op": "remove", "path": "emails"}, {"op": "remove", "path": "name.givenName"}]));
        let last = assert_resource(&api.patch(&path_of(&ines), &last), 200);
        assert!(last.get("emails").is_none() && last.get("name").is_none());
    });
}

#[test]
fn patch_15_operations_on_schemas() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({ENTERPRISE: {"department": "Tours"}})));
        let operation = |op: &str, urn: &str| match op {
            "remove" => json!({"op": "remove", "path": format!("schemas[value eq \"{urn}\"]")}),
            _ => json!({"op": op, "path": "schemas", "value": [urn]}),
        };

        let base = api.patch(&path_of(&ines), &patch(json!([operation("remove", USER)])));
        let removed = api.patch(&path_of(&ines), &patch(json!([operation("remove", ENTERPRISE)])));

        assert_error(&base, 400, Some("mutability"));
        let removed = assert_resource(&removed, 200);
        assert_eq!(removed["schemas"], json!([USER]));
        assert!(removed.get(ENTERPRISE).is_none());
    });
}

#[test]
fn patch_22_a_thousand_members_in_one_operation() {
    each(|api| {
        let team = api.created("/Groups", &group("Team", &[]));
        let members: Vec<Value> = (0..1000).map(|number| json!({"value": format!("unknown-{number}")})).collect();

        let added = api.patch(&path_of(&team), &patch(json!([{"op": "add", "path": "members", "value": members}])));
        let removals: Vec<Value> = (0..1000)
            .map(|number| json!({"op": "remove", "path": format!("members[value eq \"unknown-{number}\"]")}))
            .collect();
        let removed = api.patch(&path_of(&team), &patch(json!(removals)));

        assert_eq!(values(&assert_resource(&added, 200), "members").len(), 1000);
        assert!(values(&assert_resource(&removed, 200), "members").is_empty());
    });
}

#[test]
fn patch_15_schemas_as_a_value() {
    each_profile(|api| {
        let is_strict = api.profile == Profile::Strict;
        let body = user_with("ines", json!({ENTERPRISE: {"department": "Tours"}}));
        let ines = api.created("/Users", &body);
        let send = |op: &str, urns: Value| {
            api.patch(&path_of(&ines), &patch(json!([{"op": op, "path": "schemas", "value": urns}])))
        };

        for op in ["add", "replace"] {
            let unknown = send(op, json!([USER, ENTERPRISE, "urn:example:unknown"]));
            match is_strict {
                true => drop(assert_error(&unknown, 400, Some("invalidValue"))),
                false => assert_eq!(assert_resource(&unknown, 200), ines),
            }
            assert_eq!(assert_resource(&send(op, json!([USER, ENTERPRISE.to_uppercase()])), 200), ines, "an echo");
        }
        assert_eq!(assert_resource(&send("add", json!([USER])), 200), ines, "add takes nothing away");
        let shortened = assert_resource(&send("replace", json!([USER])), 200);
        assert_eq!(shortened.get(ENTERPRISE).is_none(), is_strict);
        let without_base = send("replace", json!([ENTERPRISE]));
        match is_strict {
            true => drop(assert_error(&without_base, 400, Some("mutability"))),
            false => assert_eq!(assert_resource(&without_base, 200), ines),
        }
    });
}

#[test]
fn patch_p10_nothing_in_the_place_of_nothing() {
    each_profile(|api| {
        let ines = ines(api);
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let nothing = |path: &str, value: Value| patch(json!([{"op": "replace", "path": path, "value": value}]));
        let member = format!("members[value eq \"{NOBODY}\"].value");
        for (resource, path) in
            [(&ines, "phoneNumbers[type eq \"fax\"].value"), (&ines, "emails[type eq \"x\"]"), (&team, member.as_str())]
        {
            let path_of_it = path_of(resource);
            let before = assert_resource(&api.get(&path_of_it), 200);

            let answer = api.patch(&path_of_it, &nothing(path, json!(null)));

            match api.profile {
                Profile::Strict => drop(assert_error(&answer, 400, Some("noTarget"))),
                Profile::Compat => assert_eq!(assert_resource(&answer, 200), before, "{path}"),
            }
            assert_eq!(assert_resource(&api.get(&path_of_it), 200), before, "{path}");
        }
    });
}

#[test]
fn patch_11_what_the_server_sets_may_be_written_back_as_it_was_read() {
    each_profile(|api| {
        let boss = api.created("/Users", &user_with("boss", json!({"displayName": "Boss"})));
        let ines = user_with("ines", json!({ENTERPRISE: {"manager": {"value": boss["id"]}}}));
        let ines = api.created("/Users", &ines);
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let seen = api.get(&path_of(&ines)).json();
        let replace = |path: &str, value: &Value| patch(json!([{"op": "replace", "path": path, "value": value}]));

        let manager = format!("{ENTERPRISE}:manager");
        for (path, value) in [
            ("id", &seen["id"]),
            ("schemas", &seen["schemas"]),
            ("groups", &seen["groups"]),
            ("meta", &seen["meta"]),
            ("meta.location", &seen["meta"]["location"]),
            ("meta.version", &seen["meta"]["version"]),
            (&format!("{manager}.displayName"), &json!("Boss")),
            (&format!("{manager}.$ref"), &seen[ENTERPRISE]["manager"]["$ref"]),
        ] {
            let echoed = api.patch(&path_of(&ines), &replace(path, value));
            assert_eq!(assert_resource(&echoed, 200), seen, "{path}");
        }
        let whole = api.patch(&path_of(&ines), &patch(json!([{"op": "replace", "value": seen}])));
        assert_eq!(assert_resource(&whole, 200), seen);
        let group = api.get(&path_of(&team)).json();
        let whole = api.patch(&path_of(&team), &patch(json!([{"op": "replace", "value": group}])));
        assert_eq!(assert_resource(&whole, 200), group);

        for (path, value) in [
            ("groups", json!([])),
            ("groups", json!([{"value": boss["id"]}])),
            ("meta.version", json!("W/\"7\"")),
            ("meta.location", json!(format!("{}/Users/7", api.base_url))),
            (&format!("{manager}.displayName"), json!("Somebody else")),
        ] {
            assert_error(&api.patch(&path_of(&ines), &replace(path, &value)), 400, Some("mutability"));
        }
    });
}

#[test]
fn patch_06_members_that_a_message_adds_are_met_by_its_filters_as_what_they_are() {
    each_profile(|api| {
        let someone =
            |name: &str| api.created("/Users", &user_with(name, json!({"displayName": format!("The {name}")})));
        let (ines, omar) = (someone("ines"), someone("omar"));
        let inner = api.created("/Groups", &group("Inner", &[]));
        let add = json!({"op": "add", "path": "members", "value": [{"value": omar["id"]}, {"value": inner["id"]}]});
        for (number, (filter, left)) in [
            ("type eq \"User\"", vec![&inner]),
            ("not (type eq \"User\")", vec![&ines, &omar]),
            ("display eq \"The omar\"", vec![&ines, &inner]),
            ("$ref pr", vec![]),
        ]
        .into_iter()
        .enumerate()
        {
            let team = api.created("/Groups", &group(&format!("Team {number}"), &[&ines]));
            let remove = json!({"op": "remove", "path": format!("members[{filter}]")});

            let patched = assert_resource(&api.patch(&path_of(&team), &patch(json!([add, remove]))), 200);

            assert_eq!(values(&patched, "members"), ids(&left), "{filter}");
        }
    });
}
