//! HTTP, ERR and AUTH: the headers of every answer, for every route, method and kind of key.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use scimd::auth::{Answer, KeyRecord, KeySource, StoredKeys, Token};
use scimd::http::routes::{self, Endpoint};
use scimd::scim::schema::Registry;
use scimd::scim::{Error, ErrorKind, Profile};
use serde_json::{Value, json};

use crate::harness::{Api, Database, another_server, each, each_profile};
use crate::messages::*;
use crate::support::http::{Client, Response};

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Good,
    Missing,
    Bad,
}

const KEYS: [Key; 3] = [Key::Good, Key::Missing, Key::Bad];

fn endpoints() -> Vec<Endpoint> {
    routes::scim(Registry::builtin())
}

/// The path of an endpoint with something behind each variable; a resource is made for it.
fn path_to(api: &Api, endpoint: &Endpoint) -> String {
    let mut path = endpoint.path.replace("{name}", "User").replace("{urn}", GROUP);
    if let Some(resource_type) = endpoint.resource_type.filter(|_| path.contains("{id}")) {
        let id = api.created(&resource_type.endpoint, &resource(&resource_type.name))["id"].clone();
        path = path.replace("{id}", id.as_str().unwrap());
    }
    path
}

fn resource(type_name: &str) -> Value {
    let name = format!("{}", uuid::Uuid::now_v7());
    if type_name == "User" { user(&name) } else { group(&name, &[]) }
}

/// A body that the operation understands.
fn body_for(endpoint: &Endpoint, method: &str) -> Option<Vec<u8>> {
    let type_name = endpoint.resource_type.map_or("User", |resource_type| &resource_type.name);
    let body = match method {
        "POST" if endpoint.path.ends_with(".search") => search(json!({"count": 1})),
        "POST" if endpoint.path == "/Bulk" => {
            let operation = json!({"method": "POST", "path": "/Users", "bulkId": "a", "data": resource("User")});
            json!({"schemas": [BULK_REQUEST], "Operations": [operation]})
        }
        "POST" | "PUT" => resource(type_name),
        "PATCH" => patch(json!([{"op": "add", "path": "externalId", "value": "x"}])),
        _ => return None,
    };
    Some(body.to_string().into_bytes())
}

fn send(api: &Api, key: Key, method: &str, path: &str, body: Option<&[u8]>) -> Response {
    let token = match key {
        Key::Good => api.token.clone(),
        Key::Missing => String::new(),
        Key::Bad => Token::generate().expose().to_owned(),
    };
    let mut headers = vec![("Content-Type".to_owned(), "application/scim+json".to_owned())];
    if key != Key::Missing {
        headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    }
    api.connection().send(method, path, &headers, body).unwrap()
}

/// What holds of every answer to anything.
fn check(response: &Response, method: &str, about: &str) {
    let header = |name| response.header(name);
    assert!(header("x-request-id").is_some_and(|id| !id.is_empty()), "{about}");
    assert!(!(300..400).contains(&response.status) || response.status == 304, "{about}: {}", response.status);
    assert_ne!(response.status / 100, 5, "{about}: {}", response.text());
    if matches!(response.status, 204 | 304) {
        assert_eq!((response.body.len(), header("content-type")), (0, None), "{about}");
        assert!(header("content-length").is_none(), "{about}");
        return;
    }
    let is_openapi = about.contains("/openapi.json") && response.status == 200;
    let expected = if is_openapi { "application/json" } else { "application/scim+json" };
    assert_eq!(header("content-type"), Some(expected), "{about}");
    assert_eq!(header("cache-control"), Some("private, no-cache"), "{about}");
    assert_eq!(header("vary"), Some("Accept, Authorization"), "{about}");
    if method == "HEAD" {
        assert!(response.body.is_empty(), "{about}");
        return;
    }
    if response.status >= 400 {
        assert_error(response, response.status, response.json()["scimType"].as_str());
        return;
    }
    let body = response.json();
    if body["meta"]["location"].is_string() {
        assert_eq!(header("location"), body["meta"]["location"].as_str(), "{about}");
        assert_eq!(header("content-location"), header("location"), "{about}");
    }
    if body["meta"]["version"].is_string() {
        assert_eq!(header("etag"), body["meta"]["version"].as_str(), "{about}");
    }
}

/// What holds of an answer to this method, from this key, at an endpoint that has it or not.
fn check_refusal(response: &Response, endpoint: &Endpoint, method: &str, key: Key, about: &str) {
    let knows = endpoint.methods().iter().any(|known| known.as_str() == method);
    let challenge = response.header("www-authenticate");
    if !knows {
        assert_eq!((response.status, response.header("allow")), (405, Some(&*endpoint.allow())), "{about}");
    } else if method == "OPTIONS" {
        assert_eq!((response.status, response.header("allow")), (204, Some(&*endpoint.allow())), "{about}");
    } else if key == Key::Missing {
        assert_eq!((response.status, challenge), (401, Some(r#"Bearer realm="scim""#)), "{about}");
    } else if key == Key::Bad {
        let expected = r#"Bearer realm="scim", error="invalid_token""#;
        assert_eq!((response.status, challenge), (401, Some(expected)), "{about}");
    } else {
        assert!(![401, 403, 405].contains(&response.status), "{about}: {}", response.text());
        assert_eq!(challenge, None, "{about}");
    }
}

/// What a server need not offer: nobody registers through `/Me` (ME-04).
fn is_not_offered(endpoint: &Endpoint, method: &str) -> bool {
    (endpoint.path.as_str(), method) == ("/Me", "POST")
}

/// The key that an endpoint is about somebody with: where that is whoever holds it, a key of a new user.
fn for_somebody(api: &Api, endpoint: &Endpoint) -> Option<Api> {
    (endpoint.path == "/Me").then(|| api.bound_to(&api.created("/Users", &resource("User")), "write"))
}

#[test]
fn http_01_05_09_10_12_13_err_01_02_auth_01_every_route_method_and_key() {
    each_profile(|api| {
        for endpoint in endpoints() {
            for (method, key) in METHODS.into_iter().flat_map(|method| KEYS.map(|key| (method, key))) {
                let path = path_to(api, &endpoint);
                let about = format!("{method} {path} with a {key:?} key");
                let holder = for_somebody(api, &endpoint);
                let holder = holder.as_ref().unwrap_or(api);

                let response = send(holder, key, method, &path, body_for(&endpoint, method).as_deref());

                if key == Key::Good && is_not_offered(&endpoint, method) {
                    assert_error(&response, 501, None);
                } else {
                    check(&response, method, &about);
                }
                let is_known = endpoint.methods().iter().any(|known| known.as_str() == method);
                assert!(key != Key::Good || !is_known || response.status != 404, "{about}: {}", response.text());
                check_refusal(&response, &endpoint, method, key, &about);
            }
        }
    });
}

#[test]
fn get_05_head_is_get_without_the_body() {
    each(|api| {
        for endpoint in endpoints().iter().filter(|one| one.allow().contains("GET")) {
            let path = path_to(api, endpoint);
            let holder = for_somebody(api, endpoint);
            let holder = holder.as_ref().unwrap_or(api);
            for key in KEYS {
                let (get, head) = (send(holder, key, "GET", &path, None), send(holder, key, "HEAD", &path, None));

                let told = |response: &Response| {
                    let mut headers = response.headers.clone();
                    headers.retain(|(name, _)| name != "date" && name != "x-request-id");
                    headers.sort();
                    (response.status, headers)
                };
                assert_eq!(told(&head), told(&get), "{path}");
                assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
            }
        }
    });
}

#[test]
fn http_09_err_02_unknown_paths_and_versions_are_told_before_the_key() {
    each(|api| {
        for (path, status) in [("/scim/v2/Printers", 404), ("/", 404), ("/scim/v1/Users", 400), ("/scim/v3", 400)] {
            for (method, key) in METHODS.into_iter().flat_map(|method| KEYS.map(|key| (method, key))) {
                let mut headers = vec![];
                if key != Key::Missing {
                    headers.push(("Authorization".to_owned(), format!("Bearer {}", api.token)));
                }

                let response = api.root().send(method, path, &headers, None).unwrap();

                assert_eq!(response.status, status, "{method} {path}");
                check(&response, method, &format!("{method} {path}"));
            }
        }
    });
}

#[test]
fn http_01_ver_01_03_location_and_etag_of_every_answer_about_one_resource() {
    each_profile(|api| {
        let created = api.post("/Users", &user("ines"));
        let ines = created.json();
        let path = path_of(&ines);
        let location = ines["meta"]["location"].as_str();
        let tagged = |response: &Response, status: u16| {
            assert_eq!((response.status, response.header("location")), (status, location), "{}", response.text());
            response.header("etag").expect("an ETag").to_owned()
        };
        let change = |value: &str| patch(json!([{"op": "replace", "path": "title", "value": value}]));

        let first = tagged(&created, 201);
        assert_eq!(tagged(&api.get(&path), 200), first);
        assert_eq!(tagged(&api.send("HEAD", &path, &[], None), 200), first);
        assert_eq!(tagged(&api.send("GET", &path, &[("If-None-Match", &first)], None), 304), first);
        for projection in ["attributes=title", "excludedAttributes=title", "attributes=meta.version"] {
            let response = api.get(&format!("{path}?{projection}"));
            let tag = tagged(&response, 200);
            let shown = response.json()["meta"]["version"].as_str().map(str::to_owned);
            assert!(shown.is_none_or(|version| version == tag), "{projection}");
            assert_eq!(response.header("content-location"), location);
        }
        let second = tagged(&api.patch(&path, &change("Guide")), 200);
        let minimal = change("Driver").to_string();
        let third = tagged(&api.send("PATCH", &path, &[("Prefer", "return=minimal")], Some(minimal.as_bytes())), 204);
        let fourth = tagged(&api.put(&path, &user_with("ines", json!({"title": "Cook"}))), 200);
        let mut tags = vec![first, second, third, fourth.clone()];
        tags.dedup();
        assert_eq!(tags.len(), 4);

        for list in [api.get("/Users"), api.post("/.search", &search(json!({"filter": "id pr"})))] {
            assert_eq!(assert_list(&list)[0]["meta"]["version"], json!(fourth));
            assert_eq!((list.header("location"), list.header("etag")), (None, None));
        }
        let read = api.get(&path).json();
        assert_eq!(read["meta"]["version"], json!(fourth));
        let deleted = api.delete(&path);
        assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    });
}

#[test]
fn disc_21_http_12_objects_of_discovery_say_where_and_which_they_are() {
    each(|api| {
        for path in ["/ServiceProviderConfig", "/ResourceTypes/User", &format!("/Schemas/{USER}")] {
            let read = api.get(path);
            let tag = read.header("etag").unwrap().to_owned();
            let known = api.send("GET", path, &[("If-None-Match", &tag)], None);

            assert_eq!(read.header("location"), Some(format!("{}{path}", api.base_url).as_str()));
            check(&known, "GET", path);
            assert_eq!(known.status, 304);
            for header in ["etag", "location", "content-location", "cache-control", "vary"] {
                assert_eq!(known.header(header), read.header(header), "{header} of {path}");
            }
        }
    });
}

/// Sends these bytes on a connection of their own and reads until the server closes it, or has said all of a head.
fn raw(api: &Api, request: &str) -> String {
    let authority = api.base_url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&answer).contains("\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn http_05_err_04_disc_18_a_write_of_discovery_is_405_whatever_the_body() {
    let chunked = "Transfer-Encoding: chunked\r\nContent-Type: application/scim+json\r\n\r\nzz\r\nnot a chunk\r\n";
    let bodies = [
        "Content-Length: 1\r\nContent-Type: application/scim+json\r\n\r\n{".to_owned(),
        "Content-Length: 4\r\nContent-Type: image/png\r\n\r\n\u{7f}PNG".to_owned(),
        format!("Content-Length: 70000\r\n\r\n{}", "[".repeat(70_000)),
        chunked.to_owned(),
        "\r\n".to_owned(),
    ];
    each(|api| {
        let bad = format!("Authorization: Bearer {}\r\n", Token::generate().expose());
        let good = format!("Authorization: Bearer {}\r\n", api.token);
        let discovery =
            endpoints().into_iter().filter(|one| one.allow() == "GET, HEAD, OPTIONS" && !one.path.is_empty());
        for endpoint in discovery {
            let path = path_to(api, &endpoint);
            for (method, key) in ["POST", "PUT", "PATCH", "DELETE"]
                .into_iter()
                .flat_map(|method| ["", &*bad, &*good].map(|key| (method, key)))
            {
                for body in &bodies {
                    let answer = raw(api, &format!("{method} /scim/v2{path} HTTP/1.1\r\nHost: x\r\n{key}{body}"));
                    let answer = answer.to_ascii_lowercase();
                    assert!(answer.starts_with("http/1.1 405 "), "{method} {path}: {answer}");
                    assert!(answer.contains("allow: get, head, options\r\n"), "{method} {path}: {answer}");
                    assert!(answer.contains("content-type: application/scim+json\r\n"), "{method} {path}: {answer}");
                }
            }
        }
    });
}

#[test]
fn err_04_auth_01_a_missing_key_comes_before_an_unreadable_body() {
    each(|api| {
        for endpoint in endpoints() {
            let (methods, path) = (endpoint.methods(), path_to(api, &endpoint));
            for method in
                methods.iter().map(|method| method.as_str()).filter(|method| ["POST", "PUT", "PATCH"].contains(method))
            {
                for body in [
                    "Content-Length: 1\r\nContent-Type: image/png\r\n\r\n{",
                    "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                ] {
                    let answer = raw(api, &format!("{method} /scim/v2{path} HTTP/1.1\r\nHost: x\r\n{body}"));
                    let answer = answer.to_ascii_lowercase();
                    assert!(answer.starts_with("http/1.1 401 "), "{method} {path}: {answer}");
                    assert!(
                        answer.contains("www-authenticate: bearer realm=\"scim\"\r\n"),
                        "{method} {path}: {answer}"
                    );
                }
            }
        }
    });
}

#[test]
fn http_04_a_client_that_is_still_sending_reads_413() {
    each(|api| {
        const MEBIBYTE: usize = 1024 * 1024;
        let authority = api.base_url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        for framing in ["Content-Length: 20971520", "Transfer-Encoding: chunked"] {
            let mut stream = TcpStream::connect(&authority).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let head = format!(
                "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/scim+json\r\n{framing}\r\n\r\n",
                api.token
            );
            stream.write_all(head.as_bytes()).unwrap();
            let piece = vec![b' '; MEBIBYTE];
            for _ in 0..20 {
                if framing.starts_with("Transfer") {
                    stream.write_all(b"100000\r\n").unwrap();
                    stream.write_all(&piece).unwrap();
                    stream.write_all(b"\r\n").unwrap();
                } else {
                    stream.write_all(&piece).unwrap();
                }
            }
            if framing.starts_with("Transfer") {
                stream.write_all(b"0\r\n\r\n").unwrap();
            }
            let mut start = [0; 12];
            stream.read_exact(&mut start).unwrap();

            assert_eq!(&start, b"HTTP/1.1 413", "{framing}");
        }
    });
}

/// Keys that can't be looked up.
struct Failing(ErrorKind);

impl KeySource for Failing {
    fn find<'a>(&'a self, _: &'a str) -> Answer<'a, Option<KeyRecord>> {
        let error = match self.0 {
            ErrorKind::Internal => Error::internal("SELECT secret FROM keys"),
            kind => Error::new(kind, "Not now."),
        };
        Box::pin(async { Err(error) })
    }

    fn used<'a>(&'a self, _: &'a str, _: chrono::NaiveDateTime) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

#[test]
fn http_11_err_01_03_what_is_worth_a_retry_says_when_and_a_fault_of_ours_says_its_request() {
    for database in [Database::Sqlite, Database::Postgres] {
        for (kind, retry_after) in
            [(ErrorKind::Busy, Some("1")), (ErrorKind::Unavailable, Some("1")), (ErrorKind::Internal, None)]
        {
            let client = Client::new(&another_server(database, Arc::new(Failing(kind)), false));

            let response = client.call(Token::generate().expose(), "GET", "/Users", None).unwrap();

            let detail = assert_error(&response, kind.status(), None);
            assert_eq!(response.header("retry-after"), retry_after);
            let names_request = detail.contains(response.header("x-request-id").unwrap());
            assert_eq!(names_request, kind == ErrorKind::Internal, "{detail}");
            assert!(!response.text().contains("secret"));
        }
    }
}

#[test]
fn http_11_a_tenant_may_ask_often() {
    each(|api| {
        for _ in 0..100 {
            assert_eq!(api.get("/ServiceProviderConfig").status, 200);
        }
    });
}

#[test]
fn disc_19_open_discovery_answers_without_a_key_and_nothing_else_does() {
    each(|api| {
        let keys = Arc::new(StoredKeys::new(api.store.clone()));
        let client = Client::new(&another_server(api.database, keys, true));
        for endpoint in endpoints() {
            let is_discovery = endpoint.allow() == "GET, HEAD, OPTIONS" && !endpoint.path.is_empty();
            let path = path_to(api, &endpoint);
            for (method, _) in &endpoint.operations {
                let expected = if is_discovery { 200 } else { 401 };
                assert_eq!(client.send(method.as_str(), &path, &[], None).unwrap().status, expected, "{method} {path}");
            }
        }
    });
}

#[test]
fn auth_02_err_04_the_scope_comes_before_what_the_request_says() {
    each(|api| {
        let reader = api.with_key(Profile::Compat, "read");
        let response = reader.send("POST", "/Users", &[("Content-Type", "image/png")], Some(b"{"));
        assert_error(&response, 403, None);
        let challenge = response.header("www-authenticate");
        assert_eq!(challenge, Some(r#"Bearer realm="scim", error="insufficient_scope""#));
        check(&response, "POST", "POST /Users with the scope read");
        let other = api.with_key(Profile::Compat, "groups:read");
        for path in ["/Users?filter=nonsense", "/Users?cursor=made-up", "/Users/x?attributes=a&excludedAttributes=b"] {
            assert_error(&other.get(path), 403, None);
        }
    });
}
