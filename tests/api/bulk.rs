//! BULK: many writes in one request, in the words of RFC 7644 §3.7, and what a hostile client would make of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use scimd::scim::Profile;
use scimd::store::audit::{self, Operation};
use serde_json::{Map, Value, json};

use crate::harness::{Api, each, each_profile, each_strict, run};
use crate::messages::*;
use crate::support::http::Response;

const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
const MAX_BODY: usize = 10 * 1024 * 1024;

fn request(operations: Value) -> Value {
    json!({"schemas": [BULK_REQUEST], "Operations": operations})
}

fn failing_on(errors: i64, operations: Value) -> Value {
    json!({"schemas": [BULK_REQUEST], "failOnErrors": errors, "Operations": operations})
}

fn post(endpoint: &str, bulk_id: &str, data: Value) -> Value {
    json!({"method": "POST", "path": endpoint, "bulkId": bulk_id, "data": data})
}

fn delete(path: &str) -> Value {
    json!({"method": "DELETE", "path": path})
}

/// A group of these ids or references.
fn group_of(display_name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|value| json!({"value": value})).collect();
    json!({"schemas": [GROUP], "displayName": display_name, "members": members})
}

/// The results of a request that was processed.
#[track_caller]
fn results(response: &Response) -> Vec<Value> {
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/scim+json"));
    let body = response.json();
    assert_eq!(body["schemas"], json!([BULK_RESPONSE]));
    assert!(body.get("failOnErrors").is_none());
    body["Operations"].as_array().expect("Operations is an array").clone()
}

/// Sends the operations; what became of them.
#[track_caller]
fn done(api: &Api, operations: Value) -> Vec<Value> {
    results(&api.post("/Bulk", &request(operations)))
}

fn statuses(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["status"].as_str().expect("a status as text")).collect()
}

/// An error inside a result, and its sentence.
#[track_caller]
fn failure(result: &Value, status: u16, scim_type: Option<&str>) -> String {
    let error = &result["response"];
    assert_eq!(result["status"], json!(status.to_string()), "{result}");
    assert_eq!(error["schemas"], json!([ERROR]), "{result}");
    assert_eq!(error["status"], json!(status.to_string()), "{result}");
    assert_eq!(error.get("scimType").and_then(Value::as_str), scim_type, "{result}");
    error["detail"].as_str().expect("a sentence").to_owned()
}

/// The resource at the location of a result, which must be in the version that the result names.
#[track_caller]
fn at_location(api: &Api, result: &Value) -> Value {
    let location = result["location"].as_str().unwrap_or_else(|| panic!("{result} has no location"));
    let path = location.strip_prefix(&api.base_url).expect("an absolute URL of this server");
    let resource = assert_resource(&api.get(path), 200);
    assert_eq!(resource["meta"]["version"], result["version"], "{result}");
    assert_eq!(resource["meta"]["location"], json!(location));
    resource
}

fn id(resource: &Value) -> &str {
    resource["id"].as_str().expect("an id")
}

#[test]
fn bulk_01_a_malformed_envelope_executes_nothing() {
    each_profile(|api| {
        let create = post("/Users", "a", user("ines"));
        for body in [
            json!({}),
            request(json!([])),
            request(json!(create)),
            request(json!([create, 7])),
            json!({"schemas": [BULK_REQUEST], "Operations": [create], "OPERATIONS": []}),
            request(json!([create, create])),
        ] {
            assert_error(&api.post("/Bulk", &body), 400, Some("invalidSyntax"));
        }
        for errors in [json!(-1), json!("x"), json!(1.5)] {
            let body = json!({"schemas": [BULK_REQUEST], "failOnErrors": errors, "Operations": [create]});
            assert_error(&api.post("/Bulk", &body), 400, Some("invalidValue"));
        }
        for body in [b"".as_slice(), b"[]", b"{\"Operations\":[}", b"{\"Operations\":[],\"Operations\":[]}"] {
            assert_error(&api.send("POST", "/Bulk", &[], Some(body)), 400, Some("invalidSyntax"));
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32));
        assert_error(&api.send("POST", "/Bulk", &[], Some(deep.as_bytes())), 400, Some("invalidSyntax"));
        assert_error(&api.send("POST", "/Bulk", &[("Content-Type", "text/plain")], Some(b"{}")), 415, None);
        assert!(names_at(api, "/Users").is_empty());
        let response = api.get("/Bulk");
        assert_error(&response, 405, None);
        assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
    });
}

#[test]
fn bulk_01_strict_wants_the_schemas_of_the_message() {
    let body = json!({"Operations": [post("/Users", "a", user("ines"))]});
    each_strict(|api| {
        assert_error(&api.post("/Bulk", &body), 400, Some("invalidSyntax"));
        assert!(names_at(api, "/Users").is_empty());
    });
    each(|api| assert_eq!(statuses(&results(&api.post("/Bulk", &body))), ["201"]));
}

#[test]
fn bulk_02_16_what_is_wrong_with_an_operation_is_its_own_result() {
    each_profile(|api| {
        let data = user("x");
        let cases = [
            (json!({"path": "/Users", "bulkId": "b", "data": data}), 400, Some("invalidSyntax")),
            (json!({"method": "GET", "path": "/Users"}), 400, Some("invalidSyntax")),
            (json!({"method": "POST", "path": "/Users", "data": data}), 400, Some("invalidSyntax")),
            (json!({"method": "POST", "path": "/Users", "bulkId": "b"}), 400, Some("invalidSyntax")),
            (json!({"method": "POST", "path": "/Users", "bulkId": "b", "data": "x"}), 400, Some("invalidSyntax")),
            (json!({"method": "POST", "bulkId": "b", "data": data}), 400, Some("invalidSyntax")),
            (
                json!({"method": "PUT", "path": format!("/Users/{NOBODY}"), "version": 1, "data": data}),
                400,
                Some("invalidSyntax"),
            ),
            (post("/Bulk", "b", request(json!([]))), 400, Some("invalidSyntax")),
            (post("/.search", "b", search(json!({}))), 400, Some("invalidSyntax")),
            (post("/Users/.search", "b", search(json!({}))), 400, Some("invalidSyntax")),
            (delete("/ServiceProviderConfig"), 400, Some("invalidSyntax")),
            (delete(&format!("/Schemas/{USER}")), 400, Some("invalidSyntax")),
            (delete("/Users"), 400, Some("invalidSyntax")),
            (post("/Users/1", "b", data.clone()), 400, Some("invalidSyntax")),
            (post("/Users?attributes=id", "b", data.clone()), 400, Some("invalidSyntax")),
            (post(&format!("{}/Users", api.base_url), "b", data.clone()), 400, Some("invalidSyntax")),
            (post("/Printers", "b", data.clone()), 404, None),
            (post("/users", "b", data.clone()), 404, None),
            (delete("/Users/a/b"), 404, None),
            (delete("/Me"), 501, None),
        ];
        for (operation, status, scim_type) in cases {
            let others = [post("/Users", "first", user("first")), post("/Users", "last", user("last"))];
            let [first, last] = others;
            let results = done(api, json!([first, operation, last]));

            assert_eq!(statuses(&results), ["201", status.to_string().as_str(), "201"], "{operation}");
            failure(&results[1], status, scim_type);
            let deletions = [&results[0], &results[2]].map(|made| delete(&path_of(&at_location(api, made))));
            assert_eq!(statuses(&done(api, json!(deletions))), ["204", "204"]);
        }
        assert!(names_at(api, "/Users").is_empty());
    });
}

#[test]
fn bulk_03_04_each_operation_is_as_the_single_request_and_fails_alone() {
    each_profile(|api| {
        let taken = api.created("/Users", &user("taken"));
        let operations = json!([
            post("/Users", "a", user("TAKEN")),
            post("/Users", "b", json!({"schemas": [USER]})),
            post("/Users", "c", user_with("c", json!({"emails": [{"value": 7}], "active": "maybe"}))),
            {"method": "PUT", "path": path_of(&taken), "data": user_with("taken", json!({"nickName": "T"}))},
            {"method": "PATCH", "path": path_of(&taken), "data": patch(json!([{"op": "remove", "path": "id"}]))},
            {"method": "PATCH", "path": path_of(&taken), "data": patch(json!([{"op": "jump"}]))},
            {"method": "PATCH", "path": format!("/Users/{NOBODY}"), "data": patch(json!([{"op": "remove", "path": "title"}]))},
            delete(&format!("/Groups/{}", id(&taken))),
            post("/Users", "d", user("d")),
        ]);

        let results = done(api, operations.clone());

        failure(&results[0], 409, Some("uniqueness"));
        failure(&results[1], 400, Some("invalidValue"));
        failure(&results[2], 400, Some("invalidValue"));
        failure(&results[4], 400, Some("mutability"));
        failure(&results[5], 400, Some("invalidSyntax"));
        failure(&results[6], 404, None);
        failure(&results[7], 404, None);
        assert_eq!(statuses(&results), ["409", "400", "400", "200", "400", "400", "404", "404", "201"]);
        assert_eq!(at_location(api, &results[3])["nickName"], json!("T"));
        // The sentences are those of the single requests.
        for (operation, result) in operations.as_array().unwrap().iter().zip(&results).take(3) {
            let single = api.post("/Users", &operation["data"]).json();
            assert_eq!(single, result["response"]);
        }
        assert_eq!(names_at(api, "/Users"), ["taken", "d"]);
    });
}

#[test]
fn bulk_03_history_versions_and_times_are_those_of_single_requests() {
    each_profile(|api| {
        let group = api.created("/Groups", &group("Team", &[]));
        let results = done(
            api,
            json!([
                post("/Users", "a", user("ines")),
                {"method": "PATCH", "path": path_of(&group), "data":
                    patch(json!([{"op": "add", "path": "members", "value": [{"value": "bulkId:a"}]}]))},
                {"method": "PATCH", "path": "/Users/bulkId:a", "data":
                    patch(json!([{"op": "replace", "path": "userName", "value": "ines"}]))},
            ]),
        );

        let ines = at_location(api, &results[2]);
        assert_eq!(results[0]["location"], results[2]["location"]);
        assert_eq!(ines["meta"]["created"], ines["meta"]["lastModified"], "membership is no write of the user");
        assert!(ines["meta"]["version"].as_str().unwrap().starts_with("W/\"1."), "nor is a PATCH without effect");
        let (tenant_id, user_id) = (api.tenant_id, id(&ines).to_owned());
        let creation = run(api.store.read(scimd::store::Reach::Point, move |connection| {
            audit::last_changes(connection, tenant_id, "User", &user_id, Operation::Create)
        }));
        assert_eq!(creation.unwrap()["after"]["userName"], json!("ines"));
    });
}

#[test]
fn bulk_03_a_disabled_user_who_is_assigned_again_is_enabled() {
    each(|api| {
        let body = user_with("ines", json!({"externalId": "42"}));
        let old = api.created("/Users", &body);
        api.patch(&path_of(&old), &patch(json!([{"op": "replace", "path": "active", "value": false}])));

        let results = done(
            api,
            json!([
                post("/Users", "again", body),
                post("/Groups", "team", group_of("Team", &["bulkId:again"])),
                post("/Users", "taken", user_with("ines", json!({"externalId": "43"}))),
            ]),
        );

        assert_eq!(statuses(&results), ["201", "201", "409"]);
        failure(&results[2], 409, Some("uniqueness"));
        let team = at_location(api, &results[1]);
        assert_eq!(values(&team, "members"), ids(&[&old]));
        assert_eq!(assert_resource(&api.get(&path_of(&old)), 200)["active"], json!(true));
    });
}

#[test]
fn bulk_05_fail_on_errors_stops_after_the_nth() {
    each_profile(|api| {
        let bad = |bulk_id: &str| post("/Users", bulk_id, json!({"schemas": [USER]}));
        let operations = |start: &str| {
            let good = |name: &str| post("/Users", name, user(&format!("{start}{name}")));
            json!([good("a"), bad("x"), good("b"), bad("y"), good("c")])
        };
        for (errors, start, expected) in [
            (0, "zero", ["201", "400"].as_slice()),
            (1, "one", &["201", "400"]),
            (2, "two", &["201", "400", "201", "400"]),
            (3, "three", &["201", "400", "201", "400", "201"]),
        ] {
            let results = results(&api.post("/Bulk", &failing_on(errors, operations(start))));

            assert_eq!(statuses(&results), expected, "{errors}");
            let made = found(api, "/Users", &format!("userName sw \"{start}\""));
            assert_eq!(made.len(), expected.iter().filter(|status| **status == "201").count(), "earlier ones stay");
        }
    });
}

#[test]
fn bulk_06_a_result_has_what_is_known_and_the_resource_if_it_is_wanted() {
    each_profile(|api| {
        let operations = |name: &str| {
            json!([
                post("/Users", "a", user(name)),
                {"method": "PATCH", "path": "/Users/bulkId:a", "bulkId": "mine", "data":
                    patch(json!([{"op": "add", "path": "title", "value": "T"}]))},
                post("/Users", "b", json!({"schemas": [USER]})),
                {"method": "put", "path": format!("/Users/{NOBODY}"), "data": user("x")},
                delete("/Users/bulkId:a"),
            ])
        };
        let keys = |result: &Value| {
            let keys: Vec<String> = result.as_object().unwrap().keys().cloned().collect();
            keys.join(" ")
        };

        let plain = api.post("/Bulk", &request(operations("ines")));
        assert_eq!(plain.header("preference-applied"), None);
        let plain = results(&plain);

        assert_eq!(
            plain.iter().map(keys).collect::<Vec<_>>(),
            [
                "location method bulkId version status",
                "location method bulkId version status",
                "method bulkId status response",
                "location method status response",
                "location method status",
            ]
        );
        assert_eq!(statuses(&plain), ["201", "200", "400", "404", "204"]);
        assert_eq!(plain[1]["bulkId"], json!("mine"));
        assert_eq!(plain[3]["method"], json!("PUT"));
        assert_eq!(plain[3]["location"], json!(format!("{}/Users/{NOBODY}", api.base_url)));
        assert_eq!(plain[0]["location"], plain[4]["location"]);

        let body = request(operations("omar")).to_string();
        let prefer = [("Prefer", "return=representation"), ("Content-Type", "application/scim+json")];
        let whole = api.send("POST", "/Bulk", &prefer, Some(body.as_bytes()));
        assert_eq!(whole.header("preference-applied"), Some("return=representation"));
        let whole = results(&whole);
        assert_eq!(whole[0]["response"]["userName"], json!("omar"));
        assert_eq!(whole[0]["response"]["meta"]["version"], whole[0]["version"]);
        assert_eq!(whole[1]["response"]["title"], json!("T"));
        assert_eq!(whole[2]["response"]["status"], json!("400"));
        assert!(whole[4].get("response").is_none());
    });
}

#[test]
fn bulk_07_references_stand_for_ids_wherever_they_are() {
    each_profile(|api| {
        let team = api.created("/Groups", &group("Team", &[]));
        let enterprise = |manager: Value| {
            let mut body = user("boss's report");
            body["schemas"] = json!([USER, ENTERPRISE]);
            body[ENTERPRISE] = json!({"manager": manager});
            body
        };
        let change = |operations: Value| json!({"method": "PATCH", "path": path_of(&team), "data": patch(operations)});

        let results = done(
            api,
            json!([
                post("/Users", "a", user("boss")),
                post("/Users", "b", enterprise(json!({"value": "bulkId:a", "$ref": "bulkId:a"}))),
                post("/Groups", "c", group_of("Others", &["bulkId:a", "bulkId:b"])),
                change(
                    json!([{"op": "add", "path": "members", "value": [{"value": "bulkId:a"}, {"value": "bulkId:b"}]}])
                ),
                change(json!([{"op": "remove", "path": "members[value eq \"bulkId:a\"]"}])),
                change(json!([{"op": "add", "value": {"externalId": "bulkId:b"}}])),
            ]),
        );

        assert_eq!(statuses(&results), ["201", "201", "201", "200", "200", "200"]);
        let path = |at: usize| results[at]["location"].as_str().unwrap().replace(&api.base_url, "");
        let [boss, report, others, team] =
            [path(0), path(1), path(2), path_of(&team)].map(|path| assert_resource(&api.get(&path), 200));
        assert_eq!(report[ENTERPRISE]["manager"]["value"], boss["id"]);
        assert_eq!(report[ENTERPRISE]["manager"]["$ref"], boss["meta"]["location"]);
        assert_eq!(values(&others, "members"), ids(&[&boss, &report]));
        assert_eq!(values(&team, "members"), ids(&[&report]));
        assert_eq!(team["externalId"], report["id"]);
    });
}

#[test]
fn bulk_08_a_path_may_name_what_the_request_creates() {
    each_profile(|api| {
        let data = patch(json!([{"op": "add", "path": "title", "value": "T"}]));
        let results = done(
            api,
            json!([
                {"method": "PATCH", "path": "/Users/bulkId:a", "data": data},
                post("/Users", "a", user("ines")),
                {"method": "PUT", "path": "/Users/bulkId:a", "data": user_with("ines", json!({"nickName": "I"}))},
                delete("/Groups/bulkId:a"),
                post("/Users", "b", user("gone")),
                delete("/Users/bulkId:b"),
                {"method": "PUT", "path": "/Users/bulkId:b", "data": user("gone")},
            ]),
        );

        assert_eq!(statuses(&results), ["200", "201", "200", "404", "201", "204", "404"]);
        let ines = at_location(api, &results[2]);
        assert_eq!((&ines["nickName"], ines.get("title")), (&json!("I"), None));
        assert_eq!(names_at(api, "/Users"), ["ines"]);
    });
}

#[test]
fn bulk_09_v_22_a_group_may_come_before_its_members() {
    each_profile(|api| {
        let alice = post("/Users", "qwerty", user("Alice"));
        let tour = |name: &str| post("/Groups", "ytrewq", group_of(name, &["bulkId:qwerty"]));

        let forward = done(api, json!([tour("Tour Guides"), alice]));
        assert_eq!(statuses(&forward), ["201", "201"]);
        assert_eq!((&forward[0]["bulkId"], &forward[1]["bulkId"]), (&json!("ytrewq"), &json!("qwerty")));
        let guides = at_location(api, &forward[0]);
        let alice =
            assert_resource(&api.get(&forward[1]["location"].as_str().unwrap().replace(&api.base_url, "")), 200);
        assert_eq!(guides["members"][0]["value"], alice["id"]);
        assert_eq!(guides["members"][0]["type"], json!("User"));

        let backward = done(api, json!([post("/Users", "qwerty", user("Bob")), tour("Others")]));
        assert_eq!(statuses(&backward), ["201", "201"]);
        assert_eq!(at_location(api, &backward[1])["members"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn bulk_07_v_23_a_manager_may_be_new() {
    each_profile(|api| {
        let mut bob = user("Bob");
        bob["schemas"] = json!([USER, ENTERPRISE]);
        bob[ENTERPRISE] = json!({"employeeNumber": "11250", "manager": {"value": "bulkId:qwerty"}});

        let results = done(api, json!([post("/Users", "qwerty", user("Alice")), post("/Users", "ytrewq", bob)]));

        assert_eq!(statuses(&results), ["201", "201"]);
        let (alice, bob) = (at_location(api, &results[0]), at_location(api, &results[1]));
        assert_eq!(bob[ENTERPRISE]["manager"]["value"], alice["id"]);
        assert_eq!(bob[ENTERPRISE]["employeeNumber"], json!("11250"));
    });
}

#[test]
fn bulk_10_v_21_groups_may_contain_each_other() {
    each_profile(|api| {
        let results = done(
            api,
            json!([
                post("/Groups", "qwerty", group_of("Group A", &["bulkId:ytrewq"])),
                post("/Groups", "ytrewq", group_of("Group B", &["bulkId:qwerty"])),
            ]),
        );

        assert_eq!(statuses(&results), ["201", "201"]);
        let (a, b) = (at_location(api, &results[0]), at_location(api, &results[1]));
        assert_eq!(values(&a, "members"), ids(&[&b]));
        assert_eq!(values(&b, "members"), ids(&[&a]));
        assert_eq!(a["members"][0]["type"], json!("Group"));
        assert_eq!(a["meta"]["created"], a["meta"]["lastModified"]);
    });
}

#[test]
fn bulk_10_a_user_may_be_its_own_manager_and_a_group_not_its_own_member() {
    each_profile(|api| {
        let mut solo = user("solo");
        solo["schemas"] = json!([USER, ENTERPRISE]);
        solo[ENTERPRISE] = json!({"department": "D", "manager": {"value": "bulkId:a"}});

        let results = done(
            api,
            json!([
                post("/Users", "a", solo),
                post("/Groups", "b", group_of("Self", &["bulkId:b"])),
                delete("/Groups/bulkId:b")
            ]),
        );

        assert_eq!(statuses(&results), ["201", "400", "409"]);
        let solo = at_location(api, &results[0]);
        assert_eq!(solo[ENTERPRISE]["manager"]["value"], solo["id"]);
        assert_eq!(solo[ENTERPRISE]["department"], json!("D"));
        failure(&results[1], 400, Some("invalidValue"));
        assert!(names_at(api, "/Groups").is_empty(), "nothing is left of a creation that could not be completed");
    });
}

#[test]
fn bulk_10_a_circle_through_what_the_server_sets_or_does_not_know_is_none() {
    each_profile(|api| {
        let echoed = user_with("ines", json!({"groups": [{"value": "bulkId:team"}], "favourite": "bulkId:team"}));

        let results = done(
            api,
            json!([post("/Users", "ines", echoed), post("/Groups", "team", group_of("Team", &["bulkId:ines"]))]),
        );

        assert_eq!(statuses(&results), ["201", "201"]);
        let (ines, team) = (at_location(api, &results[0]), at_location(api, &results[1]));
        assert_eq!(values(&team, "members"), ids(&[&ines]));
        assert_eq!(values(&ines, "groups"), ids(&[&team]));
        assert!(ines.get("favourite").is_none());
    });
}

#[test]
fn bulk_10_a_hundred_groups_may_contain_each_other_in_a_ring() {
    each_profile(|api| {
        let ring = (0..100).map(|at| {
            let next = format!("bulkId:g{}", (at + 1) % 100);
            post("/Groups", &format!("g{at}"), group_of(&format!("G{at}"), &[&next]))
        });

        let results = done(api, ring.collect());

        assert!(statuses(&results).iter().all(|status| *status == "201"));
        let (first, second) = (at_location(api, &results[0]), at_location(api, &results[1]));
        assert_eq!(values(&first, "members"), ids(&[&second]));
    });
}

#[test]
fn bulk_11_references_that_lead_nowhere() {
    each_profile(|api| {
        let needs_each_other = |bulk_id: &str, other: &str| {
            post("/Users", bulk_id, json!({"schemas": [USER], "userName": format!("bulkId:{other}")}))
        };
        let results = done(
            api,
            json!([
                post("/Groups", "a", group_of("A", &["bulkId:nobody"])),
                post("/Groups", "b", group_of("B", &["bulkId:bad"])),
                post("/Users", "bad", json!({"schemas": [USER]})),
                post("/Groups", "c", group_of("C", &["bulkId:b"])),
                delete("/Users/bulkId:bad"),
                needs_each_other("x", "y"),
                needs_each_other("y", "x"),
                post("/Groups", "d", group_of("D", &["bulkId:e", "bulkId:bad"])),
                post("/Groups", "e", group_of("E", &["bulkId:d"])),
                post("/Groups", "f", group_of("F", &[])),
            ]),
        );

        assert_eq!(statuses(&results), ["400", "409", "400", "409", "409", "409", "409", "409", "409", "201"]);
        assert!(failure(&results[0], 400, Some("invalidValue")).contains("bulkId:nobody"));
        assert_eq!(failure(&results[1], 409, None), "dependency failed: bulkId:bad was not created.");
        assert_eq!(failure(&results[3], 409, None), "dependency failed: bulkId:b was not created.");
        assert_eq!(failure(&results[4], 409, None), "dependency failed: bulkId:bad was not created.");
        assert!(failure(&results[5], 409, None).contains("need each other"));
        assert_eq!(failure(&results[8], 409, None), "dependency failed: bulkId:d was not created.");
        assert!(results[..9].iter().all(|result| result.get("location").is_none()));
        assert_eq!(names_at(api, "/Groups"), ["F"]);
        assert!(names_at(api, "/Users").is_empty());
    });
}

#[test]
fn bulk_12_the_result_is_that_of_the_order_of_the_request() {
    each_profile(|api| {
        let (old, stays) = (api.created("/Users", &user("ines")), api.created("/Users", &user("stays")));
        let team = api.created("/Groups", &group("Team", &[]));
        let change = |operations: Value| json!({"method": "PATCH", "path": path_of(&team), "data": patch(operations)});

        let results = done(
            api,
            json!([
                change(
                    json!([{"op": "add", "path": "members", "value": [{"value": "bulkId:new"}, {"value": id(&stays)}]}])
                ),
                change(json!([{"op": "replace", "path": "displayName", "value": "Renamed"}])),
                change(json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", id(&stays))}])),
                delete(&path_of(&old)),
                post("/Users", "new", user("ines")),
            ]),
        );

        assert_eq!(statuses(&results), ["200", "200", "200", "204", "201"], "the deletion frees the name first");
        let (new, team) = (at_location_now(api, &results[4]), assert_resource(&api.get(&path_of(&team)), 200));
        assert_eq!(values(&team, "members"), ids(&[&new]));
        assert_eq!(team["displayName"], json!("Renamed"));
        assert!(team["meta"]["version"].as_str().unwrap().starts_with("W/\"4."), "{team}");
    });
}

/// The resource at the location of a result, whatever its version is by now.
fn at_location_now(api: &Api, result: &Value) -> Value {
    let location = result["location"].as_str().expect("a location");
    assert_resource(&api.get(&location.replace(&api.base_url, "")), 200)
}

#[test]
fn bulk_13_disc_06_v_26_the_limits_are_those_that_are_advertised() {
    each_profile(|api| {
        let config = api.get("/ServiceProviderConfig").json();
        assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 1000, "maxPayloadSize": MAX_BODY}));
        let deletions = |count: usize| -> Value {
            let mut operations = vec![post("/Users", "a", user("ines"))];
            operations.extend((1..count).map(|_| delete(&format!("/Users/{NOBODY}"))));
            request(json!(operations))
        };
        let detail = assert_error(&api.post("/Bulk", &deletions(1001)), 413, None);
        assert!(detail.contains("maxOperations (1000)"), "{detail}");
        assert!(names_at(api, "/Users").is_empty());

        let padded = |size: usize| {
            let body = request(json!([post("/Users", "a", user("padded"))])).to_string();
            let mut bytes = body.into_bytes();
            bytes.resize(size, b' ');
            api.send("POST", "/Bulk", &[("Content-Type", "application/scim+json")], Some(&bytes))
        };
        let detail = assert_error(&padded(MAX_BODY + 1), 413, None);
        assert!(detail.contains("maxPayloadSize (10485760"), "{detail}");
        assert!(names_at(api, "/Users").is_empty());

        assert_eq!(results(&api.post("/Bulk", &deletions(1000))).len(), 1000);
        assert_eq!(statuses(&results(&padded(MAX_BODY))), ["201"]);
    });
}

#[test]
fn bulk_14_v_24_an_operation_may_name_the_version_it_expects() {
    each_profile(|api| {
        let [put, patched, deleted] = ["put", "patched", "deleted"].map(|name| api.created("/Users", &user(name)));
        let version = |resource: &Value| resource["meta"]["version"].clone();
        let operations = |name: &str| {
            json!([
                post("/Users", "qwerty", user(name)),
                {"method": "PUT", "path": path_of(&put), "version": version(&put), "data":
                    user_with("put", json!({"nickName": "P"}))},
                {"method": "PATCH", "path": path_of(&patched), "version": version(&patched), "data":
                    patch(json!([{"op": "add", "path": "title", "value": "T"}]))},
                {"method": "DELETE", "path": path_of(&deleted), "version": version(&deleted)},
            ])
        };

        let first = results(&api.post("/Bulk", &failing_on(1, operations("Alice"))));
        assert_eq!(statuses(&first), ["201", "200", "200", "204"]);
        assert_eq!(first[1]["location"], put["meta"]["location"]);
        assert_ne!(first[1]["version"], put["meta"]["version"]);
        assert_eq!(at_location(api, &first[2])["title"], json!("T"));

        let second = done(api, operations("Bob"));
        assert_eq!(statuses(&second), ["201", "412", "412", "404"]);
        failure(&second[1], 412, None);
        assert_eq!(second[1]["location"], put["meta"]["location"]);
        assert_eq!(api.get(&path_of(&deleted)).status, 404);
    });
}

#[test]
fn bulk_15_t_11_the_data_of_a_patch_is_a_message_and_in_compat_also_its_operations() {
    let operations = json!([{"op": "add", "path": "title", "value": "T"}]);
    let change = |resource: &Value, data: &Value| json!([{"method": "PATCH", "path": path_of(resource), "data": data}]);
    each_strict(|api| {
        let ines = api.created("/Users", &user("ines"));
        assert_eq!(statuses(&done(api, change(&ines, &patch(operations.clone())))), ["200"]);
        let results = done(api, change(&ines, &operations));
        failure(&results[0], 400, Some("invalidSyntax"));
        failure(&done(api, change(&ines, &json!({"Operations": operations})))[0], 400, Some("invalidSyntax"));
    });
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let results = done(api, change(&ines, &operations));
        assert_eq!(statuses(&results), ["200"]);
        assert_eq!(at_location(api, &results[0])["title"], json!("T"));
    });
}

#[test]
fn bulk_16_auth_05_each_operation_needs_its_scope() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let operations = json!([
            post("/Users", "a", user("omar")),
            post("/Groups", "b", group_of("Team", &["bulkId:a"])),
            {"method": "PUT", "path": path_of(&ines), "data": user("taken over")},
            {"method": "PATCH", "path": path_of(&ines), "data": patch(json!([{"op": "add", "path": "title", "value": "T"}]))},
            delete(&path_of(&ines)),
            post("/Groups", "c", group_of("Others", &[])),
        ]);

        let groups_only = api.with_key(Profile::Compat, "users:read,groups:write");
        let results = done(&groups_only, operations.clone());
        assert_eq!(statuses(&results), ["403", "409", "403", "403", "403", "201"]);
        assert!(failure(&results[0], 403, None).contains("users:write"));

        let reader = api.with_key(Profile::Compat, "read");
        let response = reader.post("/Bulk", &request(operations.clone()));
        assert_error(&response, 403, None);
        assert_error(&api.other_tenant().with_key(Profile::Compat, "users:read").post("/Bulk", &json!({})), 403, None);

        let stranger = api.other_tenant();
        assert_eq!(statuses(&done(&stranger, json!([delete(&path_of(&ines))]))), ["404"]);
        assert_eq!(assert_resource(&api.get(&path_of(&ines)), 200), ines);
        assert_eq!(names_at(api, "/Groups"), ["Others"]);
    });
}

#[test]
fn bulk_17_many_creates_in_one_request_and_failures_between_them() {
    each(|api| {
        let operations = (0..300).map(|at| match at % 3 {
            2 => post("/Users", &at.to_string(), user("User 0")),
            _ => post("/Users", &at.to_string(), user(&format!("user {at}"))),
        });

        let results = done(api, operations.collect());

        let expected: Vec<&str> = (0..300).map(|at| if at % 3 == 2 { "409" } else { "201" }).collect();
        assert_eq!(statuses(&results), expected);
        assert_eq!(api.get("/Users?count=0").json()["totalResults"], json!(200));
    });
}

#[test]
fn bulk_17_a_thousand_creates_are_stored_together() {
    each(|api| {
        let creates: Vec<Value> =
            (0..1000).map(|at| post("/Users", &at.to_string(), user(&format!("user {at}")))).collect();
        let is_done = AtomicBool::new(false);

        let (results, seen) = std::thread::scope(|scope| {
            let looks = scope.spawn(|| {
                let (client, mut seen) = (api.connection(), BTreeSet::new());
                while !is_done.load(Ordering::Relaxed) {
                    let list = client.call(&api.token, "GET", "/Users?count=0", None).unwrap().json();
                    seen.insert(list["totalResults"].as_u64().unwrap());
                }
                seen
            });
            let results = done(api, json!(creates));
            is_done.store(true, Ordering::Relaxed);
            (results, looks.join().unwrap())
        });

        assert!(statuses(&results).iter().all(|status| *status == "201"));
        assert!(seen.iter().all(|total| [0, 1000].contains(total)), "{seen:?}");
        assert_eq!(api.get("/Users?count=0").json()["totalResults"], json!(1000));
    });
}

#[test]
fn bulk_17_bulk_requests_that_meet_are_both_done() {
    each(|api| {
        let users: Vec<Value> = (0..8).map(|at| api.created("/Users", &user(&format!("user {at}")))).collect();
        let change = |user: &Value, title: &str| {
            let operations = json!([{"op": "add", "path": "title", "value": title}]);
            json!({"method": "PATCH", "path": path_of(user), "data": patch(operations)})
        };
        let forwards: Vec<Value> = users.iter().map(|user| change(user, "forwards")).collect();
        let backwards: Vec<Value> = users.iter().rev().map(|user| change(user, "backwards")).collect();

        std::thread::scope(|scope| {
            for operations in [&forwards, &backwards] {
                scope.spawn(move || {
                    let (body, token) = (request(json!(operations)), &api.token);
                    let response = api.connection().call(token, "POST", "/Bulk", Some(&body)).unwrap();
                    assert!(statuses(&results(&response)).iter().all(|status| *status == "200"));
                });
            }
        });

        let titles: Vec<Value> = assert_list(&api.get("/Users")).iter().map(|user| user["title"].clone()).collect();
        assert!(titles.iter().all(|title| *title == titles[0]), "one request came last: {titles:?}");
    });
}

#[test]
fn bulk_18_an_asynchronous_answer_is_not_offered() {
    each_profile(|api| {
        let body = request(json!([post("/Users", "a", user("ines"))])).to_string();
        let prefer = [("Prefer", "respond-async"), ("Content-Type", "application/scim+json")];

        let response = api.send("POST", "/Bulk", &prefer, Some(body.as_bytes()));

        assert_eq!(response.header("preference-applied"), None);
        assert_eq!(statuses(&results(&response)), ["201"]);
    });
}

#[test]
fn bulk_05_v_25_the_first_operation_may_be_the_last() {
    each_profile(|api| {
        let operations =
            json!([post("/Users", "qwerty", json!({"schemas": [USER]})), post("/Users", "b", user("Bob"))]);

        let results = results(&api.post("/Bulk", &failing_on(1, operations)));

        assert_eq!(statuses(&results), ["400"]);
        failure(&results[0], 400, Some("invalidValue"));
        assert!(results[0].get("location").is_none());
        assert!(names_at(api, "/Users").is_empty());
    });
}

#[test]
fn bulk_03_ver_09_a_tenant_that_requires_versions_requires_them_here() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        crate::version::require_if_match(api);
        let change = |version: Value| {
            let data = patch(json!([{"op": "add", "path": "title", "value": "T"}]));
            json!({"method": "PATCH", "path": path_of(&ines), "version": version, "data": data})
        };

        let results = done(
            api,
            json!([
                change(Value::Null),
                change(ines["meta"]["version"].clone()),
                post("/Groups", "a", group_of("A", &["bulkId:b"])),
                post("/Groups", "b", group_of("B", &["bulkId:a"])),
            ]),
        );

        assert_eq!(statuses(&results), ["428", "200", "201", "201"]);
    });
}

#[test]
fn patch_23_bulk_03_a_large_group_costs_an_operation_what_it_names() {
    each(|api| {
        let stale: Vec<Value> = (0..1001).map(|at| json!({"value": format!("stale-{at}")})).collect();
        let large = api.created("/Groups", &json!({"schemas": [GROUP], "displayName": "Large", "members": stale}));
        let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": "one-more"}]}]));
        let body = request(json!([{"method": "PATCH", "path": path_of(&large), "data": add}])).to_string();
        let prefer = [("Prefer", "return=representation"), ("Content-Type", "application/scim+json")];

        let results = results(&api.send("POST", "/Bulk", &prefer, Some(body.as_bytes())));

        assert_eq!(statuses(&results), ["200"]);
        assert!(results[0].get("response").is_none());
        assert_eq!(results[0]["version"], json!("W/\"2\""));
    });
}

#[test]
fn sec_05_bulk_03_the_work_of_all_operations_together_is_bounded() {
    each(|api| {
        let stale: Vec<Value> = (0..1000).map(|at| json!({"value": format!("stale-{at}")})).collect();
        let large = api.created("/Groups", &json!({"schemas": [GROUP], "displayName": "Large", "members": stale}));
        let terms = ["value co \"nobody\""; 200].join(" and ");
        let look = patch(json!([{"op": "remove", "path": format!("members[{terms}]")}]));
        let looks = (0..40).map(|_| json!({"method": "PATCH", "path": path_of(&large), "data": look}));
        let mut operations: Vec<Value> = looks.collect();
        operations.push(post("/Users", "a", user("ines")));

        let results = done(api, json!(operations));

        let expensive = statuses(&results[..40]).iter().filter(|status| **status == "200").count();
        assert_eq!(expensive, 5_000_000 / (1000 * 200 + 1000), "as many as one PATCH could do, and show its members");
        failure(&results[39], 413, None);
        assert_eq!(results[40]["status"], json!("201"), "cheap ones are done");
    });
}

#[test]
fn sec_05_bulk_03_a_huge_document_is_not_gone_over_by_every_operation() {
    each(|api| {
        let huge = api.created("/Users", &user_with("huge", json!({"nickName": "x".repeat(4_000_000)})));
        let other = api.created("/Users", &user("other"));
        let title = patch(json!([{"op": "add", "path": "title", "value": "T"}]));
        let on = |user: &Value, method: &str, version: Value, data: &Value| json!({"method": method, "path": path_of(user), "version": version, "data": data});
        let stale = json!("W/\"99\"");
        let mut operations: Vec<Value> = (0..16)
            .map(|at| match at % 4 {
                0 => on(&huge, "PATCH", Value::Null, &title),
                1 => on(&huge, "PUT", stale.clone(), &user("huge")),
                2 => on(&huge, "PATCH", stale.clone(), &title),
                _ => on(&huge, "DELETE", stale.clone(), &Value::Null),
            })
            .collect();
        operations.extend([on(&other, "PUT", Value::Null, &user("another")), post("/Users", "a", user("ines"))]);

        let results = done(api, json!(operations));

        // Eight bytes are a look: nine times four megabytes fit, beside the first time, which is free.
        let statuses = statuses(&results);
        let (paid, refused) = (["200", "412", "412", "412"].repeat(3), vec!["413"; 6]);
        assert_eq!(statuses, [&paid[..10], &refused, &["200", "201"]].concat());
        failure(&results[10], 413, None);
        assert_eq!(api.get(&path_of(&huge)).status, 200);
    });
}

#[test]
fn bulk_06_sec_05_an_answer_with_representations_does_not_grow_without_bound() {
    each(|api| {
        let long = user_with("long", json!({"nickName": "x".repeat(100_000)}));
        let long = api.created("/Users", &long);
        let touch = patch(json!([{"op": "add", "path": "title", "value": "T"}]));
        let operations: Vec<Value> =
            (0..150).map(|_| json!({"method": "PATCH", "path": path_of(&long), "data": touch})).collect();
        let body = request(json!(operations)).to_string();
        let prefer = [("Prefer", "return=representation"), ("Content-Type", "application/scim+json")];

        let response = api.send("POST", "/Bulk", &prefer, Some(body.as_bytes()));

        assert!(response.body.len() < MAX_BODY + 100_000);
        let results = results(&response);
        assert!(statuses(&results).iter().all(|status| *status == "200"));
        assert!(results[0].get("response").is_some() && results[149].get("response").is_none());
        assert_eq!(results[0]["version"], results[149]["version"]);
    });
}

#[test]
fn bulk_02_a_message_of_odd_shapes_never_breaks_the_server() {
    each_profile(|api| {
        let odd = [
            json!(null),
            json!(true),
            json!(-7.5),
            json!(""),
            json!("bulkId:"),
            json!("bulkId:a"),
            json!([[["bulkId:a"]]]),
            json!({"bulkId:a": {"value": "bulkId:a"}}),
            json!({"Operations": "bulkId:a"}),
            json!({"Operations": [7, {"path": 7}, {"op": "add", "path": "members[value eq \"bulkId:a", "value": "bulkId:a"}]}),
        ];
        let mut operations = vec![post("/Users", "a", user("ines"))];
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            for key in ["data", "path", "version", "bulkId", "method"] {
                for value in &odd {
                    let mut operation = Map::from_iter([
                        ("method".to_owned(), json!(method)),
                        ("path".to_owned(), json!(format!("/Users/{NOBODY}"))),
                        ("data".to_owned(), json!({})),
                    ]);
                    operation.insert(key.to_owned(), value.clone());
                    if key != "bulkId" || value.is_array() {
                        operations.push(Value::Object(operation));
                    }
                }
            }
        }

        let results = done(api, json!(operations));

        assert_eq!(results.len(), operations.len());
        assert_eq!(results[0]["status"], json!("201"));
        assert!(results[1..].iter().all(|result| result["status"].as_str().unwrap().starts_with('4')));
        assert_eq!(names_at(api, "/Users"), ["ines"]);
    });
}
