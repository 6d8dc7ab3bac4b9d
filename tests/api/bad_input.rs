//! Requests that nobody should send: each gets its error, the server goes on, and nothing is half-written.

use serde_json::{Value, json};

use crate::harness::{Api, Lasting, each, each_profile};
use crate::messages::*;

const MAX_BODY: usize = 10 * 1024 * 1024;

/// Runs the bad requests between a look at a user and a second look.
fn unharmed(api: &Api, bad: impl Fn(&str)) {
    let ines = api.created("/Users", &user_with("ines", json!({"nickName": "I"})));
    bad(&path_of(&ines));
    assert_eq!(assert_resource(&api.get(&path_of(&ines)), 200), ines);
    assert_eq!(names_at(api, "/Users"), ["ines"]);
    assert!(names_at(api, "/Groups").is_empty());
}

fn targets(path: &str) -> [(&'static str, String); 6] {
    [
        ("POST", "/Users".to_owned()),
        ("POST", "/Groups".to_owned()),
        ("PUT", path.to_owned()),
        ("PATCH", path.to_owned()),
        ("POST", "/.search".to_owned()),
        ("POST", "/Users/.search".to_owned()),
    ]
}

#[test]
fn http_04_what_is_no_json_object_is_refused() {
    each_profile(|api| {
        unharmed(api, |path| {
            for body in [
                b"".as_slice(),
                b"{",
                b"[]",
                b"null",
                b"\"x\"",
                b"{\"userName\":}",
                b"{'userName':'x'}",
                b"{\"userName\":\"x\"} trailing",
                b"{\"userName\":\"x\",\"userName\":\"y\"}",
                b"{\"userName\":\"x\",\"name\":{\"givenName\":\"a\",\"givenName\":\"b\"}}",
                b"{\"userName\":\"\xff\xfe\"}",
                b"{\"userName\":\"\\ud800\"}",
                b"{\"userName\":NaN}",
                b"\xef\xbb\xbf{",
                b"\0",
            ] {
                for (method, target) in targets(path) {
                    assert_error(&api.send(method, &target, &[], Some(body)), 400, Some("invalidSyntax"));
                }
            }
        });
    });
}

/// Too much is asked for when least can be done, so it costs least to say so.
#[test]
fn bodies_are_not_looked_at_where_too_many_changes_wait() {
    Lasting::each(|database| {
        let api = database.serve(&json!([])).expect("nothing is stored yet");
        let full = database.without_room(&api);
        for (method, path) in [("POST", "/Users"), ("PUT", "/Users/1"), ("PATCH", "/Users/1"), ("POST", "/Bulk")] {
            let refused = full.send(method, path, &[], Some(b"{"));
            assert_error(&refused, 429, None);
            assert!(refused.header("retry-after").is_some());
            assert_error(&api.send(method, path, &[], Some(b"{")), 400, Some("invalidSyntax"));
        }
        assert_error(&full.send("POST", "/Users/.search", &[], Some(b"{")), 400, Some("invalidSyntax"));
    });
}

#[test]
fn http_04_sec_05_what_is_nested_too_deep_is_refused() {
    each_profile(|api| {
        unharmed(api, |path| {
            let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
            for (method, target) in targets(path) {
                for depth in [33, 1000, 1_000_000] {
                    let response = api.send(method, &target, &[], Some(nested(depth).as_bytes()));
                    assert_error(&response, 400, Some("invalidSyntax"));
                }
            }
        });
        let body =
            format!("{{\"schemas\":[\"{USER}\"],\"userName\":\"deep\",\"x\":{}{}}}", "[".repeat(31), "]".repeat(31));
        assert_resource(&api.send("POST", "/Users", &[], Some(body.as_bytes())), 201);
    });
}

#[test]
fn disc_06_http_04_sec_05_a_body_has_exactly_ten_mebibytes() {
    each(|api| {
        let padded = |size: usize| {
            let mut body = user("large").to_string();
            body.push_str(&" ".repeat(size - body.len()));
            body
        };
        unharmed(api, |path| {
            assert_error(&api.send("PUT", path, &[], Some(padded(MAX_BODY + 1).as_bytes())), 413, None);
            assert_error(&api.send("POST", "/Users", &[], Some(padded(MAX_BODY + 1).as_bytes())), 413, None);
        });
        assert_resource(&api.send("POST", "/Users", &[], Some(padded(MAX_BODY).as_bytes())), 201);
    });
}

#[test]
fn patch_22_sec_05_at_most_a_thousand_operations() {
    each_profile(|api| {
        unharmed(api, |path| {
            let operations: Vec<Value> =
                (0..1001).map(|_| json!({"op": "replace", "path": "nickName", "value": "x"})).collect();

            let response = api.patch(path, &patch(json!(operations)));

            assert!(matches!(response.status, 400 | 413), "{}", response.text());
            assert_eq!(response.json()["schemas"], json!([ERROR]));
        });
    });
}

#[test]
fn patch_22_a_small_message_may_not_fill_the_memory() {
    each_profile(|api| {
        unharmed(api, |path| {
            let emails: Value = (0..5000).map(|i| json!({"value": format!("{i}@x.org"), "type": "work"})).collect();
            let add = json!({"op": "add", "path": "emails", "value": emails});
            let text = "x".repeat(1_000_000);
            for spread in [
                json!({"op": "replace", "path": "emails.display", "value": text}),
                json!({"op": "replace", "path": "emails[type eq \"work\"]", "value": {"display": text}}),
            ] {
                assert_error(&api.patch(path, &patch(json!([add, spread]))), 413, None);
            }
        });
    });
}

#[test]
fn flt_09_sec_05_filters_have_a_limit() {
    each_profile(|api| {
        unharmed(api, |_| {
            let long = format!("userName eq \"{}\"", "x".repeat(9 * 1024 * 1024));
            let deep = format!("{}userName pr{}", "not (".repeat(1000), ")".repeat(1000));
            let wide = vec!["userName pr"; 201].join(" or ");
            for filter in [&long, &deep, &wide] {
                let response = api.post("/Users/.search", &search(json!({"filter": filter})));
                assert_error(&response, 400, Some("invalidFilter"));
            }
            assert_error(&api.get(&format!("/Users?filter={}", encoded(&wide))), 400, Some("invalidFilter"));
        });
        let wide = vec!["userName pr"; 200].join(" or ");
        assert_eq!(assert_list(&api.post("/Users/.search", &search(json!({"filter": wide})))).len(), 1);
    });
}

#[test]
fn sec_03_nul_and_broken_encodings_find_nothing_and_break_nothing() {
    each_profile(|api| {
        unharmed(api, |path| {
            assert_error(&api.get("/Users/%00"), 404, None);
            assert_error(&api.get(&format!("{path}%00")), 404, None);
            assert_error(&api.get("/Users/%FF%FE"), 404, None);
            assert_error(&api.get("/Groups/%2F"), 404, None);
            assert_error(&api.get("/Users?filter=userName%20eq%20%22%FF%22"), 400, Some("invalidFilter"));
            assert_error(&api.get("/Users?filter=userName%20eq%20%22%zz%22"), 400, Some("invalidFilter"));
            for filter in [r#"userName eq "a\u0000b""#, r#"id eq "\u0000""#, r#"title co "\u0000""#] {
                let response = api.get(&format!("/Users?filter={}", encoded(filter)));
                assert!(matches!(response.status, 200 | 400), "{filter}: {}", response.text());
                if response.status == 200 {
                    assert!(assert_list(&response).is_empty(), "{filter}");
                }
            }
            for body in [user("nul\0"), user_with("x", json!({"title": "a\0b"})), user_with("y", json!({"\0": 1}))] {
                let response = api.post("/Users", &body);
                assert!(matches!(response.status, 400 | 201), "{}", response.text());
                if response.status == 201 {
                    api.delete(&path_of(&response.json()));
                }
            }
        });
    });
}

#[test]
fn http_05_long_and_odd_urls_are_answered() {
    each_profile(|api| {
        unharmed(api, |path| {
            let long = format!("/Users?filter={}", encoded(&format!("userName eq \"{}\"", "x".repeat(8000))));
            assert!(assert_list(&api.get(&long)).is_empty());
            let many = format!("/Users?{}", vec!["a=b"; 5000].join("&"));
            assert_eq!(assert_list(&api.get(&many)).len(), 1);
            let names = format!("{path}?attributes={}", vec!["userName"; 2000].join(","));
            assert_eq!(assert_resource(&api.get(&names), 200)["userName"], json!("ines"));
            for odd in ["/Users/../../etc/passwd", "/Users%2F..%2F", "/%00", "/Users/./x", "/;x", "/Users;x=1"] {
                assert_error(&api.get(odd), 404, None);
            }
            let huge = api.get(&format!("/Users/{}", "x".repeat(200_000)));
            assert!(matches!(huge.status, 400 | 404 | 414 | 431), "{}", huge.status);
        });
    });
}

#[test]
fn page_06_sec_05_numbers_beyond_every_limit() {
    each_profile(|api| {
        unharmed(api, |_| {
            for number in ["9223372036854775808", "18446744073709551616", "99999999999999999999999999"] {
                assert_eq!(assert_list(&api.get(&format!("/Users?count={number}"))).len(), 1, "{number}");
                assert!(assert_list(&api.get(&format!("/Users?startIndex={number}"))).is_empty(), "{number}");
                assert!(assert_list(&api.get(&format!("/Users?count=-{number}"))).is_empty(), "{number}");
                let both = format!("/Users?startIndex={number}&count={number}&sortBy=userName");
                assert!(assert_list(&api.get(&both)).is_empty(), "{number}");
            }
            let body =
                br#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"count":9223372036854775808}"#;
            assert_eq!(assert_list(&api.send("POST", "/Users/.search", &[], Some(body))).len(), 1);
        });
    });
}

#[test]
fn err_02_broken_values_in_every_place_are_client_errors() {
    each_profile(|api| {
        unharmed(api, |path| {
            for value in
                [json!(null), json!(5), json!(-1.5e300), json!(true), json!("x"), json!([[]]), json!({"x": []})]
            {
                for attribute in ["schemas", "userName", "name", "emails", "addresses", "meta", "id", ENTERPRISE] {
                    let mut body = user("ines");
                    body[attribute] = value.clone();
                    let created = api.post("/Users", &body);
                    assert!(created.status < 500, "{attribute} {value}: {}", created.text());
                    if created.status == 201 {
                        api.delete(&path_of(&created.json()));
                    }
                }
                for operation in ["add", "remove", "replace"] {
                    let body = patch(json!([{"op": operation, "path": value, "value": "x"}]));
                    assert!(api.patch(path, &body).status < 500, "{operation} {value}");
                }
                for attribute in ["displayName", "members"] {
                    let mut body = json!({"schemas": [GROUP], "displayName": "Team"});
                    body[attribute] = value.clone();
                    let created = api.post("/Groups", &body);
                    assert!(created.status < 500, "{attribute} {value}: {}", created.text());
                    if created.status == 201 {
                        api.delete(&path_of(&created.json()));
                    }
                }
            }
        });
    });
}
