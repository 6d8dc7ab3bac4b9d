//! Resource types from files (RES-21): everything that users and groups have, and what happens to the data when the
//! files change.

use scimd::scim::schema::{Registry, SchemaFile};
use scimd::scim::{ErrorKind, Profile};
use scimd::store::{Connection, Reach, resources};
use serde_json::{Map, Value, json};

use crate::harness::{Api, Lasting, each_profile_with_test_type, each_with_test_type, run};
use crate::messages::encoded;
use crate::restore;
use crate::support::test_type::{self, OPTIONAL, REQUIRED, TEST};

const DEVICE: &str = "urn:example:params:scim:schemas:Device";
const BADGE: &str = "urn:example:params:scim:schemas:extension:Badge";

fn id(resource: &Value) -> String {
    resource["id"].as_str().expect("an id").to_owned()
}

fn attribute(name: &str, kind: &str) -> Value {
    json!({"name": name, "type": kind})
}

/// Devices with these attributes, and users with a badge.
fn devices(attributes: Value) -> Value {
    json!([
        {"id": DEVICE, "name": "Device", "attributes": attributes},
        {"id": "Device", "endpoint": "/Devices", "schema": DEVICE},
        {"id": BADGE, "name": "Badge", "attributes": [attribute("colour", "string")]},
        {"id": "User", "schemaExtensions": [{"schema": BADGE, "required": false}]},
    ])
}

/// Users and groups alone, in a file that says nothing new.
fn nothing() -> Value {
    json!([{"id": "User", "schemaExtensions": []}])
}

fn total(api: &Api, path: &str, filter: &str) -> u64 {
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": filter});
    let response = api.post(&format!("{path}/.search"), &body);
    assert_eq!(response.status, 200, "{filter}: {}", response.text());
    response.json()["totalResults"].as_u64().expect("a number")
}

fn patch(operations: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

fn test(label: &str) -> Value {
    json!({"schemas": [TEST, REQUIRED], "label": label, REQUIRED: {"grade": 1}})
}

#[test]
fn res_21_a_configured_type_lives_as_users_do() {
    each_profile_with_test_type(|api| {
        let created = api.post("/Tests", &test("one"));
        let body = created.json();
        let at = format!("/Tests/{}", id(&body));
        assert_eq!(created.status, 201, "{}", created.text());
        assert_eq!(body["meta"]["resourceType"], "Test");
        assert_eq!(body["meta"]["location"], format!("{}{at}", api.base_url));
        assert_eq!(created.header("location"), body["meta"]["location"].as_str());
        assert_eq!(api.get(&at).json(), body);
        let mut replaced = test("two");
        replaced[OPTIONAL] = json!({"rank": 3, "days": ["2026-03-01T09:30:00Z"]});
        assert_eq!(api.put(&at, &replaced).json()["schemas"], json!([TEST, REQUIRED, OPTIONAL]));
        let operations = patch(json!([
            {"op": "replace", "path": format!("{OPTIONAL}:rank"), "value": 4},
            {"op": "add", "path": format!("{OPTIONAL}:days"), "value": ["2026-03-02T09:30:00Z"]},
            {"op": "replace", "value": {"label": "three"}},
        ]));
        let patched = api.patch(&at, &operations).json();
        assert_eq!(
            patched[OPTIONAL],
            json!({"rank": 4, "days": ["2026-03-01T09:30:00.000Z", "2026-03-02T09:30:00.000Z"]})
        );
        assert_eq!(
            total(api, "/Tests", &format!("{OPTIONAL}:rank eq 4 and {OPTIONAL}:days gt \"2026-03-02T00:00:00Z\"")),
            1
        );
        assert_eq!(total(api, "/Tests", &format!("schemas eq \"{OPTIONAL}\" and rank eq 4 and label eq \"THREE\"")), 1);
        assert_eq!(api.get("/Users").json()["totalResults"], 0);
        assert_eq!(api.delete(&at).status, 204);
        assert_eq!((api.get(&at).status, total(api, "/Tests", "label pr")), (404, 0));
    });
}

#[test]
fn res_21_qry_04_flt_28_the_root_searches_configured_types_too() {
    each_with_test_type(|api| {
        api.created("/Tests", &test("one"));
        api.created("/Users", &json!({"userName": "ada"}));
        assert_eq!(total(api, "", "label eq \"one\" or userName eq \"ada\""), 2);
        assert_eq!(total(api, "", "meta.resourceType eq \"Test\""), 1);
        assert_eq!(total(api, "", &format!("meta.location sw \"{}/Tests/\"", api.base_url)), 1);
        let sorted = api.get("/?filter=id%20pr&sortBy=label&sortOrder=descending").json();
        assert_eq!(sorted["Resources"][0]["userName"], "ada", "SORT-07");
    });
}

#[test]
fn res_21_qry_04_flt_28_an_attribute_of_another_kind_refuses_no_search_of_everything() {
    let attributes = json!([attribute("displayName", "integer"), attribute("emails", "string")]);
    Lasting::each(|lasting| {
        let api = lasting.serve(&devices(attributes.clone())).unwrap();
        api.created("/Devices", &json!({"displayName": 7, "emails": "x@x.org"}));
        let emails = json!([{"type": "work", "value": "x@x.org"}]);
        api.created("/Users", &json!({"userName": "ada", "displayName": "Smith, Ada", "emails": emails}));
        api.created("/Groups", &json!({"displayName": "Smithies"}));

        for (filter, found) in [
            ("displayName sw \"smith\"", 2),
            ("displayName eq 7", 1),
            ("displayName ne \"smithies\"", 2),
            ("displayName pr", 3),
            ("emails[type eq \"work\"]", 1),
            ("not (emails[type eq \"work\"])", 2),
            ("emails eq \"X@x.org\"", 2),
        ] {
            assert_eq!(total(&api, "", filter), found, "{filter}");
        }
        for nobody in ["displayName[value eq 7]", "emails[colour eq \"red\"]", "active co \"t\""] {
            assert_eq!(api.get(&format!("/?filter={}", encoded(nobody))).status, 400, "{nobody}");
        }
    });
}

/// A site has one code, a depot any number of them.
#[test]
fn sort_03_sort_04_sort_07_an_attribute_of_one_value_here_and_of_many_there_shows_everybody_once() {
    const SITE: &str = "urn:example:params:scim:schemas:Site";
    const DEPOT: &str = "urn:example:params:scim:schemas:Depot";
    let located = |codes: Value| json!({"name": "location", "type": "complex", "subAttributes": [codes]});
    let many = json!({"name": "code", "type": "string", "multiValued": true});
    let site = json!([
        {"id": SITE, "name": "Site", "attributes": [attribute("label", "string"), located(attribute("code", "string"))]},
        {"id": "Site", "endpoint": "/Sites", "schema": SITE},
    ]);
    let depot = json!([
        {"id": DEPOT, "name": "Depot", "attributes": [attribute("label", "string"), located(many)]},
        {"id": "Depot", "endpoint": "/Depots", "schema": DEPOT},
    ]);
    // Whichever type comes first says what the root sorts by; in the other one, nothing can be compared with that.
    let [sites, depots] = [["b", "a"], ["e", "d"]];
    for (first, then, root) in [(&site, &depot, sites), (&depot, &site, depots)] {
        let objects = [first, then].map(|objects| objects.as_array().unwrap().clone()).concat();
        Lasting::each(|lasting| {
            let api = lasting.serve(&json!(objects)).unwrap();
            for (label, code) in [("a", json!("2")), ("b", json!("1")), ("c", Value::Null), ("C", Value::Null)] {
                api.created("/Sites", &json!({"label": label, "location": {"code": code}}));
            }
            for (label, codes) in [("d", json!(["3", "1"])), ("e", json!(["2", "9"])), ("f", json!([]))] {
                api.created("/Depots", &json!({"label": label, "location": {"code": codes}}));
            }
            let without: Vec<&str> =
                ["a", "b", "c", "C", "d", "e", "f"].into_iter().filter(|label| !root.contains(label)).collect();
            for (path, with, without) in [
                ("/Sites?", &sites[..], &["c", "C"][..]),
                ("/Sites?filter=id%20pr&", &sites, &["c", "C"]),
                ("/Depots?", &depots, &["f"]),
                ("/Depots?filter=id%20pr&", &depots, &["f"]),
                ("/?", &root, &without),
                ("/?filter=id%20pr&", &root, &without),
            ] {
                let back: Vec<&str> = with.iter().rev().copied().collect();
                for (order, expected) in [("ascending", [with, without]), ("descending", [without, &back])] {
                    let path = format!("{path}sortBy=location.code&sortOrder={order}");
                    let expected = expected.concat();
                    assert_eq!(labels_by_index(&api, &path, expected.len()), expected, "{path}");
                    assert_eq!(labels_by_cursor(&api, &path, expected.len()), expected, "{path}");
                }
            }
        });
    }
}

/// The labels on pages by index, each page of two, which tell this total.
fn labels_by_index(api: &Api, path: &str, total: usize) -> Vec<String> {
    let page = |start: usize| page_of_labels(api, &format!("{path}&startIndex={start}&count=2"), total).0;
    (1..=total + 2).step_by(2).flat_map(page).collect()
}

/// The same, on the pages of a walk.
fn labels_by_cursor(api: &Api, path: &str, total: usize) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), Some(String::new()));
    while let Some(place) = cursor {
        let (labels, next) = page_of_labels(api, &format!("{path}&count=2&cursor={place}"), total);
        all.extend(labels);
        cursor = next;
    }
    all
}

fn page_of_labels(api: &Api, path: &str, total: usize) -> (Vec<String>, Option<String>) {
    let response = api.get(path);
    let body = response.json();
    assert_eq!(body["totalResults"], json!(total), "{path}: {}", response.text());
    let resources = body["Resources"].as_array().cloned().unwrap_or_default();
    let labels = resources.iter().map(|resource| resource["label"].as_str().unwrap_or_default().to_owned());
    (labels.collect(), body["nextCursor"].as_str().map(str::to_owned))
}

#[test]
fn auth_05_scopes_hold_for_configured_types() {
    each_with_test_type(|api| {
        let reader = api.with_key(Profile::Compat, "tests:read");
        let users = api.with_key(Profile::Compat, "users:write");
        assert_eq!((reader.get("/Tests").status, reader.post("/Tests", &test("x")).status), (200, 403));
        assert_eq!((reader.get("/Users").status, users.get("/Tests").status), (403, 403));
        assert_eq!(api.with_key(Profile::Compat, "tests:write").post("/Tests", &test("x")).status, 201);
    });
}

#[test]
fn disc_07_to_disc_10_disc_12_to_disc_15_disc_21_configured_types_are_published() {
    each_with_test_type(|api| {
        let types = api.get("/ResourceTypes").json();
        let listed =
            types["Resources"].as_array().unwrap().iter().find(|it| it["id"] == "Test").expect("the type").clone();
        assert_eq!(types["totalResults"], 3);
        assert_eq!(listed, api.get("/ResourceTypes/Test").json());
        assert_eq!(
            (&listed["name"], &listed["endpoint"], &listed["schema"]),
            (&json!("Test"), &json!("/Tests"), &json!(TEST))
        );
        assert_eq!(
            listed["meta"],
            json!({"resourceType": "ResourceType", "location": format!("{}/ResourceTypes/Test", api.base_url)})
        );
        let schemas = api.get("/Schemas").json();
        for urn in [TEST, REQUIRED, OPTIONAL] {
            let listed = schemas["Resources"].as_array().unwrap().iter().find(|it| it["id"] == urn).expect(urn);
            assert_eq!(*listed, api.get(&format!("/Schemas/{}", urn.to_uppercase())).json());
            assert_eq!(listed["meta"]["location"], format!("{}/Schemas/{urn}", api.base_url));
            // What was written is what is published; what was left out has its default.
            let file = test_type::file();
            let written = file.as_array().unwrap().iter().find(|it| it["id"] == urn).unwrap();
            let attributes = written["attributes"].as_array().unwrap();
            for (written, published) in attributes.iter().zip(listed["attributes"].as_array().unwrap()) {
                for (member, value) in
                    written.as_object().unwrap().iter().filter(|(member, _)| *member != "subAttributes")
                {
                    assert_eq!(published[member], *value, "{published}");
                }
                let of = |kinds: &[&str]| kinds.contains(&published["type"].as_str().unwrap());
                assert_eq!(published.get("caseExact").is_some(), of(&["string", "reference", "binary"]), "{published}");
                assert_eq!(published.get("uniqueness").is_some(), !of(&["boolean", "complex"]), "{published}");
                assert_eq!(published.get("subAttributes").is_some(), of(&["complex"]), "{published}");
                assert!(published.as_object().unwrap().values().all(|value| !value.is_null()), "{published}");
            }
        }
        let members = api.get("/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group").json();
        assert!(members.to_string().contains(r#""referenceTypes":["User","Group","Test"]"#), "GRP-02");
    });
}

#[test]
fn grp_02_a_configured_resource_can_be_a_member() {
    each_profile_with_test_type(|api| {
        let one = id(&api.created("/Tests", &test("one")));
        let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Machines",
            "members": [{"value": one, "type": "Test"}]});
        let group = api.created("/Groups", &group);
        let member = json!({"value": one, "$ref": format!("{}/Tests/{one}", api.base_url), "type": "Test"});
        assert_eq!(group["members"], json!([member]));
        assert_eq!(total(api, "/Groups", &format!("members[value eq \"{one}\" and type eq \"test\"]")), 1);
        assert_eq!(api.delete(&format!("/Tests/{one}")).status, 204);
        assert_eq!(api.get(&format!("/Groups/{}", id(&group))).json()["members"], json!([]));
    });
}

#[test]
fn del_07_char_11_a_restored_resource_claims_its_unique_values_again() {
    each_with_test_type(|api| {
        let unique = "string_many_readWrite_default_folded_server";
        let with = |label: &str| {
            let mut body = test(label);
            body[unique] = json!(["A", "B"]);
            body
        };
        let first = id(&api.created("/Tests", &with("first")));
        assert_eq!(api.delete(&format!("/Tests/{first}")).status, 204);
        let second = id(&api.created("/Tests", &with("second")));
        assert_eq!(restore(api, &first).expect_err("taken").kind(), ErrorKind::Uniqueness);
        assert_eq!(api.delete(&format!("/Tests/{second}")).status, 204);
        restore(api, &first).expect("free again");
        assert_eq!(api.get(&format!("/Tests/{first}")).json()[unique], json!(["A", "B"]));
        assert_eq!(api.post("/Tests", &with("third")).status, 409);
    });
}

fn restore(api: &Api, id: &str) -> scimd::scim::Result<()> {
    restored_by(test_type::registry(), "Test", api, id)
}

/// Restores by a program that knows these types.
fn restore_of(objects: &Value, resource_type: &str, api: &Api, id: &str) -> scimd::scim::Result<()> {
    let file = SchemaFile { name: "types.json".to_owned(), text: objects.to_string() };
    let registry = Registry::with_files(&[file], false).unwrap_or_else(|flaw| panic!("{flaw}"));
    restored_by(registry, resource_type, api, id)
}

fn restored_by(registry: &'static Registry, resource_type: &str, api: &Api, id: &str) -> scimd::scim::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(restore::restored_by(api, registry, resource_type, id)).map(drop)
}

#[test]
fn cre_03_a_user_who_is_assigned_again_keeps_what_a_put_would_keep() {
    let badge = json!([
        {"id": BADGE, "name": "Badge", "attributes": [
            attribute("colour", "string"),
            {"name": "number", "type": "string", "mutability": "immutable"},
            {"name": "pin", "type": "string", "returned": "never"},
        ]},
        {"id": "User", "schemaExtensions": [{"schema": BADGE, "required": false}]},
    ]);
    let user = |attributes: Value| {
        let mut user = json!({"userName": "ada", "externalId": "okta-1"});
        user.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        user
    };
    Lasting::each(|lasting| {
        let api = lasting.serve(&badge).unwrap();
        let whole =
            user(json!({"title": "Analyst", "active": false, BADGE: {"colour": "red", "number": "7", "pin": "42"}}));
        let at = format!("/Users/{}", id(&api.created("/Users", &whole)));

        let another = api.post("/Users", &user(json!({BADGE: {"number": "8"}})));
        let again = api.post("/Users", &user(json!({"displayName": "Ada"})));

        assert_eq!((another.status, again.status), (409, 201), "{}", again.text());
        assert_eq!(again.header("location"), Some(format!("{}{at}", api.base_url).as_str()));
        let shown = api.get(&at).json();
        assert_eq!((&shown["active"], &shown["displayName"]), (&json!(true), &json!("Ada")));
        assert_eq!((shown.get("title"), &shown[BADGE]), (None, &json!({"number": "7"})), "the rest is cleared");
        assert_eq!(kept(&api, &at)[BADGE], json!({"number": "7", "pin": "42"}));
        // The same in a bulk request.
        assert_eq!(api.put(&at, &user(json!({"active": false}))).status, 200);
        let bulk = api.post(
            "/Bulk",
            &json!({"Operations": [
                {"method": "POST", "path": "/Users", "bulkId": "ada", "data": user(json!({"title": "Countess"}))},
            ]}),
        );
        assert_eq!(bulk.json()["Operations"][0]["status"], "201", "{}", bulk.text());
        let kept = kept(&api, &at);
        assert_eq!((&kept["title"], &kept["active"]), (&json!("Countess"), &json!(true)));
        assert_eq!(kept[BADGE], json!({"number": "7", "pin": "42"}));
    });
}

/// The attributes of a user as they are stored, those that nobody is shown included.
fn kept(api: &Api, path: &str) -> Map<String, Value> {
    let (tenant_id, id) = (api.tenant_id, path.trim_start_matches("/Users/").to_owned());
    let find = move |connection: &mut Connection| resources::find(connection, tenant_id, "User", &id);
    run(api.store.read(Reach::Point, find)).expect("a live user").document.into_members()
}

#[test]
fn res_21_an_attribute_that_left_the_schema_is_hidden_and_kept() {
    let whole = json!([attribute("label", "string"), attribute("slot", "integer"),
        {"name": "owner", "type": "complex", "subAttributes": [attribute("value", "string"), attribute("note", "string")]}]);
    let less = json!([attribute("label", "string"),
        {"name": "owner", "type": "complex", "subAttributes": [attribute("value", "string")]}]);
    Lasting::each(|lasting| {
        let api = lasting.serve(&devices(whole.clone())).unwrap();
        let device = api.created("/Devices", &json!({"label": "a", "slot": 7, "owner": {"value": "o", "note": "n"}}));
        let user = api.created("/Users", &json!({"userName": "ada", BADGE: {"colour": "red"}}));
        let (device_at, user_at) = (format!("/Devices/{}", id(&device)), format!("/Users/{}", id(&user)));

        let mut smaller = devices(less.clone());
        smaller.as_array_mut().unwrap().truncate(2);
        let api = lasting.serve(&smaller).unwrap();
        let hidden = api.get(&device_at).json();
        assert_eq!((hidden.get("slot"), &hidden["owner"]), (None, &json!({"value": "o"})));
        assert_eq!(hidden["meta"]["lastModified"], device["meta"]["lastModified"]);
        let tag = [("If-None-Match", device["meta"]["version"].as_str().unwrap())];
        assert_eq!(api.send("GET", &device_at, &tag, None).status, 200, "what is shown has changed");
        let plain = api.get(&user_at).json();
        assert_eq!((plain.get(BADGE), plain["schemas"].as_array().unwrap().len()), (None, 1));
        let refused = api.get("/Devices?filter=slot%20eq%207");
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert_eq!(api.put(&device_at, &json!({"label": "b", "owner": {"value": "o"}})).status, 200);
        let operations = patch(json!([{"op": "replace", "path": "displayName", "value": "Ada"}]));
        assert_eq!(api.patch(&user_at, &operations).status, 200);

        let api = lasting.serve(&devices(whole.clone())).unwrap();
        let back = api.get(&device_at).json();
        assert_eq!(
            (&back["label"], &back["slot"], &back["owner"]),
            (&json!("b"), &json!(7), &json!({"value": "o", "note": "n"}))
        );
        assert_eq!(total(&api, "/Devices", "slot eq 7 and owner.note eq \"N\""), 1);
        let user = api.get(&user_at).json();
        assert_eq!((&user[BADGE]["colour"], &user["displayName"]), (&json!("red"), &json!("Ada")));
        assert_eq!(total(&api, "/Users", &format!("schemas eq \"{BADGE}\" and colour eq \"RED\"")), 1);
    });
}

#[test]
fn res_21_a_type_that_left_keeps_its_resources_unseen() {
    let attributes = json!([attribute("label", "string")]);
    Lasting::each(|lasting| {
        let api = lasting.serve(&devices(attributes.clone())).unwrap();
        let device = id(&api.created("/Devices", &json!({"label": "a"})));
        let group = id(&api.created("/Groups", &json!({"displayName": "G", "members": [{"value": device}]})));
        let group_at = format!("/Groups/{group}");

        let api = lasting.serve(&nothing()).unwrap();
        assert_eq!(api.get("/Devices").status, 404);
        assert_eq!(api.get(&format!("/Users/{device}")).status, 404);
        assert_eq!(total(&api, "", "id pr"), 1, "the group alone");
        assert_eq!(api.get(&group_at).json()["members"], json!([{"value": device}]), "an id that nobody has");
        let other = api.created("/Groups", &json!({"displayName": "H", "members": [{"value": device}]}));
        assert_eq!(other["members"], json!([{"value": device}]));

        let api = lasting.serve(&devices(attributes.clone())).unwrap();
        assert_eq!(api.get(&format!("/Devices/{device}")).json()["label"], "a");
        for group in [group, id(&other)] {
            assert_eq!(api.get(&format!("/Groups/{group}")).json()["members"][0]["type"], "Device");
        }
        assert_eq!(total(&api, "/Devices", "label eq \"A\""), 1);
    });
}

#[test]
fn res_21_char_10_a_changed_characteristic_changes_the_search() {
    let one = |definition: Value| devices(json!([attribute("other", "string"), definition]));
    Lasting::each(|lasting| {
        let api = lasting.serve(&one(attribute("label", "string"))).unwrap();
        let at = format!("/Devices/{}", id(&api.created("/Devices", &json!({"label": "Abc", "other": "x"}))));
        assert_eq!(total(&api, "/Devices", "label eq \"aBC\""), 1);

        let api = lasting.serve(&one(json!({"name": "label", "type": "string", "caseExact": true}))).unwrap();
        assert_eq!((total(&api, "/Devices", "label eq \"aBC\""), total(&api, "/Devices", "label eq \"Abc\"")), (0, 1));

        let api = lasting.serve(&one(json!({"name": "label", "type": "integer"}))).unwrap();
        assert_eq!(api.get(&at).json().get("label"), None, "a value of another type is withheld");
        assert_eq!(total(&api, "/Devices", "label pr"), 0);

        let api = lasting.serve(&one(json!({"name": "LABEL", "type": "string", "returned": "never"}))).unwrap();
        assert_eq!((api.get(&at).json().get("label"), api.get(&at).json()["other"].as_str()), (None, Some("x")));

        let api = lasting.serve(&one(attribute("label", "string"))).unwrap();
        assert_eq!(api.get(&at).json()["label"], "Abc");
        assert_eq!(total(&api, "/Devices", "label sw \"AB\""), 1);
    });
}

#[test]
fn res_21_char_11_a_new_uniqueness_holds_or_the_start_is_refused() {
    let free = || devices(json!([attribute("label", "string"), attribute("slot", "integer")]));
    let unique = || {
        devices(json!([{"name": "label", "type": "string", "uniqueness": "server"},
            {"name": "slot", "type": "integer", "uniqueness": "server"}]))
    };
    Lasting::each(|lasting| {
        let api = lasting.serve(&free()).unwrap();
        let first = id(&api.created("/Devices", &json!({"label": "a", "slot": 1})));
        let second = id(&api.created("/Devices", &json!({"label": "A", "slot": 2})));
        let third = id(&api.created("/Devices", &json!({"label": "c", "slot": 1})));

        let refused = lasting.serve(&unique()).err().expect("two share a label").detail().to_owned();
        assert!(
            refused.contains(&first) && refused.contains(&second) && refused.contains("must be unique"),
            "{refused}"
        );
        assert_eq!(api.put(&format!("/Devices/{second}"), &json!({"label": "b"})).status, 200, "nothing is changed");
        let refused = lasting.serve(&unique()).err().expect("two share a slot").detail().to_owned();
        assert!(
            refused.contains(&first) && refused.contains(&third) && refused.contains("a value of slot"),
            "{refused}"
        );
        assert_eq!(api.delete(&format!("/Devices/{third}")).status, 204);

        let api = lasting.serve(&unique()).unwrap();
        for clash in [json!({"label": "B"}), json!({"slot": 1})] {
            assert_eq!(api.post("/Devices", &clash).status, 409, "{clash}");
        }
        let api = lasting.serve(&free()).unwrap();
        assert_eq!(api.post("/Devices", &json!({"label": "B", "slot": 1})).status, 201);
    });
}

#[test]
fn res_21_a_process_with_older_schemas_writes_nothing_of_what_changed() {
    let attributes = json!([attribute("label", "string")]);
    Lasting::each(|lasting| {
        let old = lasting.serve(&devices(attributes.clone())).unwrap();
        old.created("/Devices", &json!({"label": "a"}));
        let new = lasting.serve(&devices(json!([attribute("label", "string"), attribute("slot", "integer")]))).unwrap();

        let refused = old.post("/Devices", &json!({"label": "b"}));
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert_eq!(old.post("/Users", &json!({"userName": "ada"})).status, 201, "users are as they were");
        assert_eq!(old.root().send("GET", "/readyz", &[], None).unwrap().status, 503);
        assert_eq!(new.root().send("GET", "/readyz", &[], None).unwrap().status, 200);
        assert_eq!(new.post("/Devices", &json!({"label": "b"})).status, 201);
        let tenant = new.other_tenant_of_lasting();
        assert_eq!(tenant.post("/Devices", &json!({"label": "b"})).status, 201);
    });
}

#[test]
fn res_21_a_process_with_other_types_writes_no_group() {
    let attributes = json!([attribute("label", "string")]);
    Lasting::each(|lasting| {
        // A server that knows no devices would take a member for an id that nobody has.
        let without = lasting.serve(&nothing()).unwrap();
        let with = lasting.serve(&devices(attributes.clone())).unwrap();
        let device = id(&with.created("/Devices", &json!({"label": "a"})));
        let group = with.created("/Groups", &json!({"displayName": "G", "members": [{"value": device}]}));
        let group_at = format!("/Groups/{}", id(&group));
        let refused = without.put(&group_at, &json!({"displayName": "H", "members": [{"value": device}]}));
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert_eq!(with.get(&group_at).json()["members"], group["members"]);
        assert_eq!(without.root().send("GET", "/readyz", &[], None).unwrap().status, 503);

        // One that knows them still would make a member that the others can't show.
        let without = lasting.serve(&nothing()).unwrap();
        let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": device}]}]));
        let other = without.created("/Groups", &json!({"displayName": "H"}));
        assert_eq!(with.patch(&format!("/Groups/{}", id(&other)), &add).status, 503);
        assert_eq!(with.post("/Devices", &json!({"label": "b"})).status, 503);
        assert_eq!(without.get(&group_at).json()["members"], json!([{"value": device}]));
        assert_eq!(without.get(&format!("/Groups/{}", id(&other))).json()["members"], json!([]));
    });
}

#[test]
fn res_21_what_is_deleted_follows_the_schemas_too() {
    let whole = json!([attribute("label", "string"), attribute("slot", "integer")]);
    let less = json!([{"name": "label", "type": "string", "uniqueness": "server"}]);
    Lasting::each(|lasting| {
        let api = lasting.serve(&devices(whole.clone())).unwrap();
        let device = id(&api.created("/Devices", &json!({"label": "a", "slot": 7})));
        assert_eq!(api.delete(&format!("/Devices/{device}")).status, 204);

        let api = lasting.serve(&devices(less.clone())).unwrap();
        let other = id(&api.created("/Devices", &json!({"label": "A"})));
        let taken = restore_of(&devices(less.clone()), "Device", &api, &device);
        assert_eq!(taken.expect_err("the label is taken").kind(), ErrorKind::Uniqueness);
        assert_eq!(api.delete(&format!("/Devices/{other}")).status, 204);
        restore_of(&devices(less.clone()), "Device", &api, &device).expect("free again");
        assert_eq!(api.get(&format!("/Devices/{device}")).json().get("slot"), None);

        let api = lasting.serve(&devices(whole.clone())).unwrap();
        assert_eq!(api.get(&format!("/Devices/{device}")).json()["slot"], 7);
        assert_eq!(total(&api, "/Devices", "label eq \"A\" and slot eq 7"), 1);
    });
}

#[test]
fn res_21_two_servers_that_start_at_once_prepare_the_data_once() {
    let attributes = json!([attribute("label", "string")]);
    Lasting::each(|lasting| {
        let api = lasting.serve(&devices(attributes.clone())).unwrap();
        let device = id(&api.created("/Devices", &json!({"label": "a"})));
        let changed = devices(json!([{"name": "label", "type": "string", "caseExact": true}]));
        let versions: Vec<Value> = std::thread::scope(|scope| {
            let start = || scope.spawn(|| lasting.serve(&changed).unwrap().get(&format!("/Devices/{device}")).json());
            let starts = [start(), start()];
            starts.into_iter().map(|start| start.join().unwrap()["meta"]["version"].clone()).collect()
        });
        assert_eq!(versions, [json!("W/\"2\""), json!("W/\"2\"")]);
    });
}
