//! `password`: set in every way, shown in none, compared in one.

use diesel::prelude::*;
use diesel::sql_types::Text;
use scimd::store::{Connection, Reach, credentials};
use serde_json::{Value, json};

use crate::harness::{Api, each, each_profile, each_with_passwords, run};
use crate::messages::*;
use crate::restore::restore;
use crate::support::http::Response;

const SECRET: &str = "t1meMa$heen-äöü";

/// What `.search` finds for this name and password.
fn with_credentials(api: &Api, user_name: &str, password: &str) -> Vec<Value> {
    let filter = format!("userName eq {} and password eq {}", Value::from(user_name), Value::from(password));
    assert_list(&search_for(api, &filter))
}

fn search_for(api: &Api, filter: &str) -> Response {
    api.post("/Users/.search", &search(json!({"filter": filter})))
}

fn is_password(api: &Api, user: &Value, password: &str) -> bool {
    let name = user["userName"].as_str().unwrap();
    match with_credentials(api, name, password).as_slice() {
        [] => false,
        [found] => found["id"] == user["id"],
        more => panic!("{more:?}"),
    }
}

fn set(value: Value) -> Value {
    patch(json!([{"op": "replace", "path": "password", "value": value}]))
}

/// Every text that the database holds about the tenant and its resources, in one.
fn at_rest(api: &Api) -> String {
    let Api { tenant_id, .. } = *api;
    let sql = format!(
        "SELECT 'document ' || document AS line FROM resources WHERE tenant_id = {tenant_id} \
         UNION ALL SELECT 'value ' || \"key\" || tail FROM resource_values WHERE tenant_path >> 31 = {tenant_id} \
         UNION ALL SELECT 'history ' || operation || ' ' || changes || ' ' || o.event FROM audit a \
         JOIN outbox o ON o.audit_row_id = a.row_id WHERE a.tenant_id = {tenant_id} \
         UNION ALL SELECT 'hash ' || c.password_hash FROM credentials c JOIN resources r ON r.row_id = c.row_id \
         WHERE r.tenant_id = {tenant_id}"
    );
    rows(api, sql).join("\n")
}

/// What a statement that gives `line` finds.
pub fn rows(api: &Api, sql: String) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let rows = run(api.store.read(Reach::Scan, move |connection| {
        let rows: Vec<Row> = match connection {
            Connection::Sqlite(connection) => diesel::sql_query(sql).load(connection)?,
            Connection::Postgres(connection) => diesel::sql_query(sql).load(connection)?,
        };
        Ok(rows)
    }));
    rows.into_iter().map(|row| row.line).collect()
}

/// What the history says of a resource, latest change first.
fn history(api: &Api, user: &Value) -> Vec<Value> {
    let id = user["id"].as_str().unwrap();
    let sql = format!("SELECT a.changes AS line FROM audit a WHERE a.resource_id = '{id}' ORDER BY a.row_id DESC");
    rows(api, sql).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn usr_05_usr_06_char_04_char_08_a_password_is_kept_as_a_hash_and_shown_nowhere() {
    each_with_passwords(|api| {
        let body = user_with("ines", json!({"password": SECRET, "title": "Guide"}));
        let created = api.post("/Users", &body);
        let ines = assert_resource(&created, 201);
        let path = path_of(&ines);
        let asked_for = format!("{path}?attributes=password,userName");
        let answers = [
            created,
            api.get(&path),
            api.get(&asked_for),
            api.get(&format!("{path}?attributes={USER}:password")),
            api.get("/Users?attributes=password"),
            api.get("/Users"),
            api.put(&format!("{path}?attributes=password"), &body),
            api.patch(&asked_for, &set(json!(SECRET))),
            api.patch(&asked_for, &patch(json!([{"op": "add", "value": {USER: {"password": SECRET}}}]))),
            search_for(api, &format!("userName eq \"ines\" and password eq {}", Value::from(SECRET))),
        ];

        for answer in answers {
            assert!((200..300).contains(&answer.status), "{}", answer.text());
            let text = answer.text();
            assert!(!text.contains("password") && !text.contains("t1me") && !text.contains("argon2"), "{text}");
        }
        let rest = at_rest(api);
        assert!(!rest.contains("t1me"), "{rest}");
        let hashes: Vec<&str> = rest.lines().filter(|line| line.contains("argon2")).collect();
        assert_eq!(hashes.len(), 1, "{rest}");
        assert!(hashes[0].starts_with("hash $argon2id$v=19$m=19456,t=2,p=1$"), "{rest}");
        assert!(is_password(api, &ines, SECRET));
    });
}

#[test]
fn usr_07_put_04_a_put_without_a_password_keeps_it_and_null_clears_it() {
    each_with_passwords(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"password": SECRET})));
        let path = path_of(&ines);

        let kept = assert_resource(&api.put(&path, &user("ines")), 200);
        assert!(is_password(api, &ines, SECRET));
        assert_eq!(kept["meta"]["version"], ines["meta"]["version"]);

        let changed = assert_resource(&api.put(&path, &user_with("ines", json!({"password": "another one"}))), 200);
        assert!(is_password(api, &ines, "another one") && !is_password(api, &ines, SECRET));
        assert_ne!(changed["meta"]["version"], kept["meta"]["version"]);

        let cleared = assert_resource(&api.put(&path, &user_with("ines", json!({"password": null}))), 200);
        assert!(!is_password(api, &ines, "another one"));
        assert_ne!(cleared["meta"]["version"], changed["meta"]["version"]);
        let again = assert_resource(&api.put(&path, &user_with("ines", json!({"password": null}))), 200);
        assert_eq!(again["meta"]["version"], cleared["meta"]["version"], "there is nothing to clear");
    });
}

#[test]
fn usr_06_char_04_patch_sets_and_removes_a_password() {
    each_with_passwords(|api| {
        let ines = api.created("/Users", &user("ines"));
        let path = path_of(&ines);
        let mut version = ines["meta"]["version"].clone();
        let mut after = |operations: Value| {
            let patched = assert_resource(&api.patch(&path, &patch(operations)), 200);
            let is_changed = patched["meta"]["version"] != version;
            version = patched["meta"]["version"].clone();
            is_changed
        };

        let qualified = format!("{USER}:password");
        for (operation, now) in [
            (json!([{"op": "add", "path": "password", "value": "one"}]), "one"),
            (json!([{"op": "replace", "path": "PASSWORD", "value": "two"}]), "two"),
            (json!([{"op": "replace", "path": qualified, "value": "three"}]), "three"),
            (json!([{"op": "add", "value": {"password": "four"}}]), "four"),
            (json!([{"op": "replace", "value": {USER: {"password": "five"}}}]), "five"),
            (
                json!([{"op": "replace", "path": "password", "value": "lost"},
                {"op": "replace", "path": "title", "value": "Guide"},
                {"op": "replace", "path": "password", "value": "six"}]),
                "six",
            ),
            (
                json!([{"op": "remove", "path": "password"}, {"op": "add", "path": "password", "value": "seven"}]),
                "seven",
            ),
            // The same once more is a change like any other: the answer tells nobody that it is the same.
            (json!([{"op": "replace", "path": "password", "value": "seven"}]), "seven"),
        ] {
            assert!(after(operation.clone()), "{operation}");
            assert!(is_password(api, &ines, now), "{operation}");
            assert!(!is_password(api, &ines, "lost"));
        }

        assert!(after(json!([{"op": "remove", "path": "password"}])));
        assert!(!is_password(api, &ines, "seven"));
        assert!(!after(json!([{"op": "remove", "path": "password"}])), "there is nothing to remove");
        assert!(after(json!([{"op": "add", "path": "password", "value": "eight"}])));
        assert!(after(json!([{"op": "replace", "path": "password", "value": null}])));
        assert!(!is_password(api, &ines, "eight"));
    });
}

#[test]
fn usr_05_sec_04_evt_03_the_history_names_the_password_and_does_not_tell_it() {
    each_with_passwords(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"password": SECRET})));
        let path = path_of(&ines);
        let before = api.get(&path).json();

        let patched = assert_resource(&api.patch(&path, &set(json!("another one"))), 200);

        assert_eq!(history(api, &ines)[0], json!({"secrets": ["password"]}));
        assert_eq!(history(api, &ines)[1]["secrets"], json!(["password"]));
        assert_ne!(patched["meta"]["version"], before["meta"]["version"]);
        assert!(patched["meta"]["lastModified"].as_str() >= before["meta"]["lastModified"].as_str());
        assert_eq!(assert_resource(&api.get(&path), 200), patched);
        let stale = [("If-Match", before["meta"]["version"].as_str().unwrap())];
        let refused = api.send("PATCH", &path, &stale, Some(set(json!("third")).to_string().as_bytes()));
        assert_error(&refused, 412, None);
        assert!(is_password(api, &ines, "another one"));
        let nothing = assert_resource(
            &api.patch(&path, &patch(json!([{"op": "replace", "path": "active", "value": true}]))),
            200,
        );
        assert_eq!((nothing, history(api, &ines).len()), (patched, 2));
    });
}

#[test]
fn patch_07_a_refused_message_changes_no_password() {
    each_with_passwords(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"password": SECRET})));
        api.created("/Users", &user("omar"));
        for (operation, status) in [
            (json!({"op": "replace", "path": "id", "value": "x"}), 400),
            (json!({"op": "replace", "path": "userName", "value": "omar"}), 409),
            (json!({"op": "remove", "path": "userName"}), 400),
        ] {
            let operations = json!([{"op": "replace", "path": "password", "value": "another one"}, operation]);

            let refused = api.patch(&path_of(&ines), &patch(operations));

            assert_eq!(refused.status, status, "{}", refused.text());
            assert!(is_password(api, &ines, SECRET));
        }
    });
}

#[test]
fn sec_01_i18n_01_what_is_no_password_is_refused_and_not_repeated() {
    each_with_passwords(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"password": SECRET})));
        let long = "x".repeat(1025);
        for wrong in ["bell\u{7}secret", "tab\tsecret", "nul\0secret", long.as_str()] {
            let refused = [
                api.post("/Users", &user_with("omar", json!({"password": wrong}))),
                api.put(&path_of(&ines), &user_with("ines", json!({"password": wrong}))),
                api.patch(&path_of(&ines), &set(json!(wrong))),
            ];
            for response in refused {
                let detail = assert_error(&response, 400, Some("invalidValue"));
                assert!(detail.contains("password") && !detail.contains("secret"), "{detail}");
            }
        }
        for wrong in [json!(true), json!({"secret": 1})] {
            assert_error(&api.patch(&path_of(&ines), &set(wrong)), 400, Some("invalidValue"));
        }
        for path in ["password.value", "password[value eq \"x\"]"] {
            let response = api.patch(&path_of(&ines), &patch(json!([{"op": "replace", "path": path, "value": "x"}])));
            assert!([200, 400].contains(&response.status), "{path}: {}", response.text());
        }
        assert!(is_password(api, &ines, SECRET));
        assert_eq!(assert_list(&api.get("/Users")).len(), 1);
        // Composed and decomposed, with whichever space: it is the same password (RFC 8265 §4.2).
        api.patch(&path_of(&ines), &set(json!("p\u{E5}ss w\u{F6}rd")));
        assert!(is_password(api, &ines, "pa\u{30A}ss\u{A0}wo\u{308}rd"));
        assert!(!is_password(api, &ines, "P\u{E5}ss w\u{F6}rd"));
        // As long as it may be.
        assert_resource(&api.patch(&path_of(&ines), &set(json!("x".repeat(1024)))), 200);
    });
}

#[test]
fn del_06_a_deleted_user_loses_the_password_for_good() {
    each_with_passwords(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"password": SECRET})));
        assert!(at_rest(api).contains("hash "));

        assert_eq!(api.delete(&path_of(&ines)).status, 204);
        assert!(!at_rest(api).contains("hash "));
        assert_eq!(with_credentials(api, "ines", SECRET), Vec::<Value>::new());

        restore(api, "User", ines["id"].as_str().unwrap());
        assert_resource(&api.get(&path_of(&ines)), 200);
        assert!(!is_password(api, &ines, SECRET));
    });
}

#[test]
fn usr_06_a_disabled_user_who_comes_back_has_the_new_password() {
    each(|api| {
        let api = api.with_passwords();
        let body = |more: Value| {
            let mut body = user_with("ines", json!({"externalId": "00u1"}));
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let ines = api.created("/Users", &body(json!({"password": SECRET, "active": false})));

        let kept = api.created("/Users", &body(json!({})));
        assert_eq!(kept["id"], ines["id"]);
        assert!(is_password(&api, &ines, SECRET));
        api.patch(&path_of(&ines), &patch(json!([{"op": "replace", "path": "active", "value": false}])));
        api.created("/Users", &body(json!({"password": "another one"})));

        assert!(is_password(&api, &ines, "another one"));
    });
}

#[test]
fn flt_33_a_search_compares_one_password_of_one_user() {
    each_with_passwords(|api| {
        let ines = api.created("/Users", &user_with("Ines", json!({"password": SECRET, "title": "Guide"})));
        api.created("/Users", &user("omar"));

        let found = with_credentials(api, "INES", SECRET);
        assert_eq!(found, [ines]);
        for (name, password) in [("ines", "wrong"), ("omar", SECRET), ("omar", ""), ("nobody", SECRET)] {
            let filter = format!("userName eq {} and password eq {}", Value::from(name), Value::from(password));
            let answer = search_for(api, &filter);
            if password.is_empty() {
                assert_error(&answer, 400, Some("invalidFilter"));
            } else {
                assert_eq!(assert_list(&answer), Vec::<Value>::new(), "{filter}");
                assert_eq!(answer.json()["totalResults"], json!(0));
            }
        }
        let turned = format!("{USER}:password EQ {} AND (username eq \"ines\")", Value::from(SECRET));
        assert_eq!(assert_list(&search_for(api, &turned)).len(), 1);
        let right = format!("userName eq \"ines\" and password eq {}", Value::from(SECRET));
        for (page, shown) in [(json!({"count": 0}), 0), (json!({"startIndex": 2}), 0), (json!({"count": 5}), 1)] {
            let mut body = search(json!({"filter": right, "attributes": ["title"]}));
            body.as_object_mut().unwrap().extend(page.as_object().unwrap().clone());
            let answer = api.post("/Users/.search", &body);
            assert_eq!((assert_list(&answer).len(), answer.json()["totalResults"].clone()), (shown, json!(1)));
        }
        let mut wrong = search(json!({"filter": right.replace("heen", "een"), "count": 0}));
        wrong["sortBy"] = json!("userName");
        assert_eq!(api.post("/Users/.search", &wrong).json()["totalResults"], json!(0));
    });
}

#[test]
fn flt_32_flt_33_v_30_every_other_question_about_a_password_is_refused() {
    each_profile(|off| {
        for api in [off, &off.with_passwords()] {
            for filter in [
                r#"password eq "x""#,
                "password pr",
                r#"userName eq "ines" or password eq "x""#,
                r#"userName eq "ines" and not (password eq "x")"#,
                r#"userName eq "ines" and password ne "x""#,
                r#"userName eq "ines" and password sw "x""#,
                r#"userName eq "ines" and password co "x""#,
                r#"userName eq "ines" and password gt "x""#,
                r#"userName sw "ines" and password eq "x""#,
                r#"displayName eq "ines" and password eq "x""#,
                r#"password eq "x" and password eq "x""#,
                r#"userName eq "ines" and password eq "x" and active eq true"#,
                r#"userName eq "ines" and password eq null"#,
                "userName eq \"ines\" and password eq 5",
            ] {
                assert_error(&search_for(api, filter), 400, Some("invalidFilter"));
                let body = search(json!({"filter": filter}));
                assert_error(&api.post("/.search", &body), 400, Some("invalidFilter"));
                assert_error(&api.get(&format!("/Users?filter={}", encoded(filter))), 403, Some("sensitive"));
            }
            let allowed = r#"userName eq "ines" and password eq "x""#;
            for endpoint in ["/Users", "", "/Users/"] {
                let answer = api.get(&format!("{endpoint}?filter={}", encoded(allowed)));
                assert_error(&answer, 403, Some("sensitive"));
            }
            assert_error(&api.post("/.search", &search(json!({"filter": allowed}))), 400, Some("invalidFilter"));
            assert_error(&api.get("/Users?sortBy=password"), 400, Some("invalidValue"));
            assert_error(
                &api.post("/Users/.search", &search(json!({"sortBy": "password"}))),
                400,
                Some("invalidValue"),
            );
        }
        let allowed = r#"userName eq "ines" and password eq "x""#;
        assert_error(&search_for(off, allowed), 400, Some("invalidFilter"));
    });
}

#[test]
fn usr_07_t_09_q_21_without_the_switch_there_is_no_such_attribute() {
    fn published(api: &Api) -> Option<Value> {
        let schema = api.get(&format!("/Schemas/{USER}")).json();
        schema["attributes"].as_array().unwrap().iter().find(|attribute| attribute["name"] == "password").cloned()
    }
    each_profile(|api| {
        let supported = |api: &Api| api.get("/ServiceProviderConfig").json()["changePassword"]["supported"].clone();
        let on = api.with_passwords();
        let of_the_schema = published(&on).unwrap();
        assert_eq!((published(api), supported(api), supported(&on)), (None, json!(false), json!(true)));
        assert_eq!(of_the_schema["mutability"], json!("writeOnly"));
        assert_eq!(of_the_schema["returned"], json!("never"));
        let ines = api.created("/Users", &user_with("ines", json!({"password": SECRET})));
        let put = assert_resource(&api.put(&path_of(&ines), &user_with("ines", json!({"password": "two"}))), 200);

        let patched = api.patch(&path_of(&ines), &set(json!("three")));

        // An unknown attribute in a path: ignored by compat, refused by strict.
        if patched.status != 200 {
            assert_error(&patched, 400, Some("invalidPath"));
        }
        assert_eq!(put["meta"]["version"], ines["meta"]["version"]);
        assert!(!at_rest(api).contains("hash "));
        for guess in [SECRET, "two", "three"] {
            assert!(!is_password(&on, &ines, guess));
        }
    });
}

/// A server that no longer keeps passwords still drops them with their users.
#[test]
fn del_06_a_hash_goes_with_its_user_whatever_the_switch_says() {
    each(|api| {
        let ines = api.with_passwords().created("/Users", &user_with("ines", json!({"password": SECRET})));
        let row = rows(
            api,
            format!("SELECT CAST(row_id AS TEXT) AS line FROM resources WHERE id = {}", ines["id"]).replace('"', "'"),
        );
        let row_id: i64 = row[0].parse().unwrap();
        let hash = || run(api.store.read(Reach::Point, move |connection| credentials::find(connection, row_id)));
        assert!(hash().is_some());

        assert_eq!(api.delete(&path_of(&ines)).status, 204);

        assert_eq!(hash(), None);
    });
}

#[test]
fn usr_06_bulk_01_operations_of_a_bulk_request_set_passwords_as_single_ones_do() {
    each_with_passwords(|api| {
        let omar = api.created("/Users", &user_with("omar", json!({"password": "old"})));
        let pia = api.created("/Users", &user_with("pia", json!({"password": "old"})));
        let ugo = api.created("/Users", &user_with("ugo", json!({"password": "old"})));
        let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [
            {"method": "POST", "path": "/Users", "bulkId": "i", "data": user_with("ines", json!({"password": SECRET}))},
            {"method": "PUT", "path": path_of(&omar), "data": user_with("omar", json!({"password": "new"}))},
            {"method": "PATCH", "path": path_of(&pia), "data": set(json!("new"))},
            {"method": "PATCH", "path": path_of(&ugo), "data": set(json!("bell\u{7}"))},
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"schemas": [GROUP], "displayName": "Team",
                "members": [{"value": "bulkId:i"}]}},
        ]});

        let answer = api.post("/Bulk", &bulk);

        let text = answer.text();
        let results = answer.json()["Operations"].as_array().unwrap().clone();
        let statuses: Vec<&str> = results.iter().map(|result| result["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["201", "200", "200", "400", "201"], "{text}");
        assert!(!text.contains("t1me") && !text.contains("argon2"), "{text}");
        let ines = assert_list(&api.get("/Users?filter=userName%20eq%20%22ines%22")).remove(0);
        assert!(is_password(api, &ines, SECRET));
        assert!(is_password(api, &omar, "new") && is_password(api, &pia, "new") && is_password(api, &ugo, "old"));
        assert!(!at_rest(api).contains("t1me"));
    });
}

/// A password is hashed before its operation is known to be in order; one that only its references bring in order has no
/// hash. That is its own failure, and nobody else's.
#[test]
fn usr_06_bulk_03_bulk_07_an_operation_that_references_bring_in_order_sets_no_password() {
    each_with_passwords(|api| {
        let long = "x".repeat(9000);
        let named = |bulk_id: &str| format!("roles[value eq \"bulkId:{bulk_id}\"].display");
        let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [
            {"method": "POST", "path": "/Users", "bulkId": long, "data": user("ines")},
            {"method": "POST", "path": "/Users", "bulkId": "o", "data":
                user_with("omar", json!({"password": "old"}))},
            {"method": "PATCH", "path": "/Users/bulkId:o", "data": patch(json!([
                {"op": "remove", "path": named(&long)}, {"op": "replace", "path": "password", "value": SECRET}]))},
            {"method": "PATCH", "path": "/Users/bulkId:o", "data": patch(json!([
                {"op": "remove", "path": named("o")}, {"op": "replace", "path": "password", "value": "new"}]))},
        ]});

        let answer = api.post("/Bulk", &bulk);

        assert_eq!(answer.status, 200, "{}", answer.text());
        let results = answer.json()["Operations"].as_array().unwrap().clone();
        let statuses: Vec<&str> = results.iter().map(|result| result["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["201", "201", "400", "200"], "{results:?}");
        assert_eq!(results[2]["response"]["scimType"], "invalidValue");
        let omar = assert_list(&api.get("/Users?filter=userName%20eq%20%22omar%22")).remove(0);
        assert!(is_password(api, &omar, "new"));
    });
}

/// Passwords wait for their turn; nobody who brings none waits with them.
#[test]
fn usr_06_sec_05_a_flood_of_passwords_keeps_nobody_else_waiting() {
    each(|api| {
        let api = api.alone_with_passwords();
        let flood: Vec<_> = (0..40)
            .map(|number| {
                let (connection, token) = (api.connection(), api.token.clone());
                std::thread::spawn(move || {
                    let body = user_with(&format!("user{number}"), json!({"password": SECRET}));
                    connection.call(&token, "POST", "/Users", Some(&body)).expect("the server answers").status
                })
            })
            .collect();

        let others: Vec<u16> =
            (0..20).map(|number| api.post("/Users", &user(&format!("plain{number}"))).status).collect();

        assert_eq!(others, [201; 20]);
        let statuses: Vec<u16> = flood.into_iter().map(|request| request.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| [201, 429].contains(status)), "{statuses:?}");
        let kept = at_rest(&api).lines().filter(|line| line.starts_with("hash ")).count();
        assert_eq!(kept, statuses.iter().filter(|status| **status == 201).count());
    });
}
