//! HTTP and ERR: methods, media types, paths and how errors look.

use serde_json::json;

use crate::harness::each_profile;
use crate::messages::*;

#[test]
fn http_01_02_plain_json_for_those_who_take_nothing_else() {
    each_profile(|api| {
        let path = path_of(&api.created("/Users", &user("ines")));
        for (accept, expected) in [
            ("application/scim+json", "application/scim+json"),
            ("application/json", "application/json"),
            ("application/json, application/scim+json", "application/scim+json"),
            ("*/*", "application/scim+json"),
            ("application/*", "application/scim+json"),
            ("", "application/scim+json"),
            ("text/html", "application/scim+json"),
            ("garbage;;;", "application/scim+json"),
        ] {
            let response = api.send("GET", &path, &[("Accept", accept)], None);

            assert_eq!((response.status, response.header("content-type")), (200, Some(expected)), "{accept}");
            let error = api.send("GET", "/Users/x", &[("Accept", accept)], None);
            assert_eq!((error.status, error.header("content-type")), (404, Some(expected)), "{accept}");
        }
    });
}

#[test]
fn http_03_t_10_bodies_are_json_in_utf_8() {
    each_profile(|api| {
        let sent = |name: &str, content_type: Option<&str>| {
            let headers: Vec<(&str, &str)> = content_type.into_iter().map(|value| ("Content-Type", value)).collect();
            api.send("POST", "/Users", &headers, Some(user(name).to_string().as_bytes()))
        };
        let accepted = [
            None,
            Some("application/scim+json"),
            Some("application/json"),
            Some("application/scim+json; charset=utf-8"),
            Some("Application/JSON;charset=\"UTF-8\""),
            Some("application/scim+json; version=2"),
        ];
        for (number, content_type) in accepted.into_iter().enumerate() {
            assert_resource(&sent(&format!("user{number}"), content_type), 201);
        }
        for content_type in ["text/plain", "application/xml", "application/json; charset=iso-8859-1", "x"] {
            assert_error(&sent("refused", Some(content_type)), 415, None);
        }
        let coded = |coding: &str| {
            api.send("POST", "/Users", &[("Content-Encoding", coding)], Some(user("coded").to_string().as_bytes()))
        };
        for coding in ["gzip", "identity, br"] {
            let refused = coded(coding);
            assert_error(&refused, 415, None);
            assert_eq!(refused.header("accept-encoding"), Some("identity"));
        }
        assert_resource(&coded("identity"), 201);
        assert_eq!(names_at(api, "/Users").len(), accepted.len() + 1);
    });
}

#[test]
fn http_05_wrong_methods_and_unknown_paths() {
    each_profile(|api| {
        for (method, path, allowed) in [
            ("PUT", "/Users", "GET, HEAD, POST, OPTIONS"),
            ("PATCH", "/Groups", "GET, HEAD, POST, OPTIONS"),
            ("DELETE", "/Users", "GET, HEAD, POST, OPTIONS"),
            ("POST", "/Users/x", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
            ("TRACE", "/Users/x", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
            ("BREW", "/Users", "GET, HEAD, POST, OPTIONS"),
            ("GET", "/.search", "POST, OPTIONS"),
            ("POST", "", "GET, HEAD, OPTIONS"),
        ] {
            let response = api.send(method, path, &[], Some(b"{}"));
            assert_error(&response, 405, None);
            assert_eq!(response.header("allow"), Some(allowed), "{method} {path}");
        }
        for path in ["/users", "/Printers", "/Users/a/b", "/USERS/x", "/Users/x/members", "/../Users", "/%2e%2e/x"] {
            assert_error(&api.get(path), 404, None);
        }
        assert_error(&api.send("POST", "/Me", &[], Some(b"{}")), 501, None);
    });
}

#[test]
fn http_06_10_slashes_and_encoded_ids_need_no_redirect() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let id = ines["id"].as_str().unwrap();
        let encoded_id: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();

        for path in [format!("/Users/{id}/"), format!("//Users//{id}"), format!("/Users/{encoded_id}")] {
            assert_eq!(assert_resource(&api.get(&path), 200), ines, "{path}");
        }
        for path in ["/Users/", "//Users", "/Users?", "/Users/?count=5&"] {
            assert_eq!(names_at(api, path), ["ines"], "{path}");
        }
        assert_resource(&api.post("//Users/", &user("omar")), 201);
    });
}

#[test]
fn http_07_versions_and_bases() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let root = api.root();
        let headers = [("Authorization".to_owned(), format!("Bearer {}", api.token))];
        let get = |path: &str| root.send("GET", path, &headers, None).unwrap();

        for base in ["/scim/v2", "/api/scim/v2", "/scim"] {
            let read = get(&format!("{base}{}", path_of(&ines)));
            assert_eq!(assert_resource(&read, 200), ines, "{base}");
        }
        for path in ["/scim/v1/Users", "/scim/v3/Users", "/scim/v1", "/api/scim/v21/Users/x"] {
            assert_error(&get(path), 400, Some("invalidVers"));
        }
        for path in ["/", "/Users", "/scimv2/Users"] {
            assert_eq!(get(path).status, 404, "{path}");
        }
    });
}

#[test]
fn http_08_the_host_header_is_not_believed() {
    each_profile(|api| {
        let body = user("ines").to_string();
        let headers =
            [("Host", "evil.example"), ("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example")];

        let response = api.send("POST", "/Users", &headers, Some(body.as_bytes()));

        let created = assert_resource(&response, 201);
        assert!(!response.text().contains("evil.example"));
        assert!(created["meta"]["location"].as_str().unwrap().starts_with(&api.base_url));
    });
}

#[test]
fn http_09_12_13_headers_of_every_answer() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let (first, second) = (api.get(&path_of(&ines)), api.get(&path_of(&ines)));
        assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
        assert_eq!(first.header("cache-control"), Some("private, no-cache"));

        for (path, allowed) in [
            ("/Users", "GET, HEAD, POST, OPTIONS"),
            ("/Users/x", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
            ("/Schemas", "GET, HEAD, OPTIONS"),
            ("/.search", "POST, OPTIONS"),
        ] {
            let options = api.anonymous("OPTIONS", path);

            assert_eq!((options.status, options.body.len()), (204, 0), "{path}");
            assert_eq!(options.header("allow"), Some(allowed), "{path}");
        }
    });
}

#[test]
fn patch_09_a_minimal_answer_is_asked_for() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let body = patch(json!([{"op": "add", "path": "title", "value": "Guide"}])).to_string();
        let prefer = [("Prefer", "return=minimal")];

        let minimal = api.send("PATCH", &path_of(&ines), &prefer, Some(body.as_bytes()));
        let projected =
            api.send("PATCH", &format!("{}?attributes=title", path_of(&ines)), &prefer, Some(body.as_bytes()));

        assert_eq!((minimal.status, minimal.body.len()), (204, 0));
        assert_eq!(minimal.header("preference-applied"), Some("return=minimal"));
        assert_eq!(minimal.header("etag"), api.get(&path_of(&ines)).header("etag"));
        assert_eq!(minimal.header("location"), ines["meta"]["location"].as_str());
        assert_eq!(assert_resource(&projected, 200)["title"], json!("Guide"));
    });
}

#[test]
fn err_04_the_first_failing_check_decides() {
    each_profile(|api| {
        let taken = api.created("/Users", &user("taken"));
        let ines = api.created("/Users", &user("ines"));
        let sent = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
            api.send(method, path, headers, Some(body.as_bytes()))
        };
        let (stale, text) = (("If-Match", "W/\"99\""), ("Content-Type", "text/plain"));
        let nobody = format!("/Users/{NOBODY}");
        let to_taken = user("taken").to_string();

        // version → path and method → key → media type → JSON → message → target → precondition → uniqueness
        assert_eq!(api.anonymous("BREW", "/Users").status, 405);
        assert_eq!(api.anonymous("GET", "/Printers").status, 404);
        assert_eq!(api.anonymous("POST", "/Users").status, 401);
        assert_error(&sent("PUT", &nobody, &[text], "{"), 415, None);
        assert_error(&sent("PUT", &nobody, &[stale], "{"), 400, Some("invalidSyntax"));
        assert_error(&sent("PATCH", &nobody, &[stale], "{}"), 400, Some("invalidSyntax"));
        assert_error(&sent("PUT", &nobody, &[stale], &to_taken), 404, None);
        assert_error(&sent("PUT", &path_of(&ines), &[stale], &to_taken), 412, None);
        assert_error(&sent("PUT", &path_of(&ines), &[], &to_taken), 409, Some("uniqueness"));
        assert_eq!(api.get(&path_of(&taken)).json(), taken);
    });
}
