//! `scimd conformance` finds what is broken: the real program behind something that breaks one rule at a time.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::conformance::{check, read_head};
use super::support::http::{Client, Response};
use super::{Server, Workplace};

/// What a client asks, on its way to the server.
struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }

    /// Takes parameters out of the URL, and out of a search in a body.
    fn without(&mut self, names: &[&str]) {
        if let Some((path, query)) = self.target.split_once('?') {
            let stays = |pair: &&str| !names.iter().any(|name| pair.split('=').next() == Some(name));
            self.target = format!("{path}?{}", query.split('&').filter(stays).collect::<Vec<_>>().join("&"));
        }
        edit(&mut self.body, |body| {
            if let Some(body) = body.as_object_mut().filter(|body| !body.contains_key("Operations")) {
                body.retain(|name, _| !names.contains(&name.as_str()));
            }
        });
    }

    /// Says something else in filters, which are percent-encoded in URLs.
    fn instead_of(&mut self, said: &str, other: &str) {
        self.target = self.target.replace(&said.replace(' ', "%20"), &other.replace(' ', "%20"));
    }

    fn without_header(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    fn operations(&mut self, change: impl Fn(&mut Vec<Value>)) {
        if self.method == "PATCH" {
            edit(&mut self.body, |body| list(body, "Operations").into_iter().for_each(&change));
        }
    }
}

fn edit(body: &mut Vec<u8>, change: impl Fn(&mut Value)) {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return };
    change(&mut value);
    *body = value.to_string().into_bytes();
}

fn list<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Vec<Value>> {
    value.get_mut(name)?.as_array_mut()
}

/// Every resource that an answer shows, alone or in a list.
fn each_resource(told: &mut Response, change: impl Fn(&mut Value)) {
    edit(&mut told.body, |body| {
        if body["id"].is_string() {
            change(body);
        }
        list(body, "Resources").into_iter().flatten().for_each(&change);
    });
}

fn results(told: &mut Response, change: impl Fn(&mut Vec<Value>)) {
    edit(&mut told.body, |body| list(body, "Operations").into_iter().for_each(&change));
}

fn set_header(told: &mut Response, name: &str, change: impl Fn(&str) -> String) {
    for (_, value) in told.headers.iter_mut().filter(|(known, _)| known == name) {
        *value = change(value);
    }
}

fn drop_header(told: &mut Response, name: &str) {
    told.headers.retain(|(known, _)| known != name);
}

fn answer(status: u16) -> Response {
    Response { status, headers: Vec::new(), body: Vec::new() }
}

type Forward<'a> = &'a dyn Fn(&Asked) -> Response;

/// A way of being wrong: what is asked is asked of the server in another way, or its answer is told in another way.
type Fault = fn(Asked, Forward<'_>) -> Response;

/// Each fault with the requirement that it breaks.
const FAULTS: [(&str, &str, Fault); 37] = [
    ("CRE-01", "201 without Location", |asked, server| {
        let mut told = server(&asked);
        drop_header(&mut told, "location");
        told
    }),
    ("RES-12", "a Content-Location of its own", |asked, server| {
        let mut told = server(&asked);
        set_header(&mut told, "content-location", |place| place.replace("/scim/v2", ""));
        told
    }),
    ("RES-13", "a tag that is not the version", |asked, server| {
        let mut told = server(&asked);
        set_header(&mut told, "etag", |tag| tag.replace("W/", ""));
        told
    }),
    ("RES-08", "externalId without case", |asked, server| {
        let mut told = server(&asked);
        each_resource(&mut told, |resource| {
            if let Some(id) = resource["externalId"].as_str().map(str::to_lowercase) {
                resource["externalId"] = json!(id);
            }
        });
        told
    }),
    ("HTTP-01", "plain JSON", |asked, server| {
        let mut told = server(&asked);
        set_header(&mut told, "content-type", |_| "application/json".to_owned());
        told
    }),
    ("ERR-01", "the status of an error as a number", |asked, server| {
        let mut told = server(&asked);
        if told.status >= 400 {
            let status = told.status;
            edit(&mut told.body, |body| body["status"] = json!(status));
        }
        told
    }),
    ("AUTH-01", "401 without a challenge", |asked, server| {
        let mut told = server(&asked);
        drop_header(&mut told, "www-authenticate");
        told
    }),
    ("DEL-02", "DELETE that deletes nothing", |asked, server| match asked.is("DELETE", "/Users/") {
        true => answer(204),
        false => server(&asked),
    }),
    ("GET-05", "HEAD with a header of its own", |asked, server| {
        let mut told = server(&asked);
        if asked.method == "HEAD" {
            drop_header(&mut told, "etag");
        }
        told
    }),
    ("FLT-20", "sw as co", |mut asked, server| {
        asked.instead_of(" sw ", " co ");
        server(&asked)
    }),
    ("FLT-20", "ew as co", |mut asked, server| {
        asked.instead_of(" ew ", " co ");
        server(&asked)
    }),
    ("FLT-20", "eq as sw", |mut asked, server| {
        asked.instead_of(" eq ", " sw ");
        server(&asked)
    }),
    ("FLT-20", "ge as gt", |mut asked, server| {
        asked.instead_of(" ge ", " gt ");
        server(&asked)
    }),
    ("FLT-02", "or as and", |mut asked, server| {
        asked.instead_of(" or ", " and ");
        server(&asked)
    }),
    ("FLT-03", "not ignored", |mut asked, server| {
        asked.target = asked.target.replace("not%20%28", "%28");
        server(&asked)
    }),
    ("FLT-01", "URNs with case", |mut asked, server| {
        asked.target = asked.target.replace("URN%3A", "NONE%3A");
        server(&asked)
    }),
    ("SORT-01", "the order ignored", |mut asked, server| {
        asked.without(&["sortOrder"]);
        server(&asked)
    }),
    ("SORT-04", "lists sorted by their first element", |mut asked, server| {
        if asked.method == "POST" {
            edit(&mut asked.body, |body| {
                for email in list(body, "emails").into_iter().flatten() {
                    email["primary"] = json!(false);
                }
            });
        }
        server(&asked)
    }),
    ("PAGE-03", "count ignored", |mut asked, server| {
        asked.without(&["count"]);
        server(&asked)
    }),
    ("PAGE-05", "itemsPerPage of all pages", |asked, server| {
        let mut told = server(&asked);
        edit(&mut told.body, |body| {
            if body["itemsPerPage"].is_u64() {
                body["itemsPerPage"] = body["totalResults"].clone();
            }
        });
        told
    }),
    ("CUR-01", "no next page", |asked, server| {
        let mut told = server(&asked);
        edit(&mut told.body, |body| drop(body.as_object_mut().and_then(|body| body.remove("nextCursor"))));
        told
    }),
    ("PROJ-01", "attributes ignored", |mut asked, server| {
        asked.without(&["attributes"]);
        server(&asked)
    }),
    ("SRCH-01", "a search without order", |mut asked, server| {
        asked.without(&["sortBy"]);
        server(&asked)
    }),
    ("MV-01", "every element primary", |asked, server| {
        let mut told = server(&asked);
        each_resource(&mut told, |resource| {
            for email in list(resource, "emails").into_iter().flatten() {
                email["primary"] = json!(true);
            }
        });
        told
    }),
    ("PUT-03", "PUT that stores nothing", |mut asked, server| {
        if asked.method == "PUT" {
            asked.method = "GET".to_owned();
            asked.body.clear();
        }
        server(&asked)
    }),
    ("PATCH-07", "operations one by one", |asked, server| {
        let whole: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let Some([first, .., last]) =
            whole["Operations"].as_array().map(Vec::as_slice).filter(|_| asked.method == "PATCH")
        else {
            return server(&asked);
        };
        let alone = |operation: &Value| {
            let body = json!({"schemas": whole["schemas"], "Operations": [operation]}).to_string().into_bytes();
            let (method, target, headers) = (asked.method.clone(), asked.target.clone(), asked.headers.clone());
            server(&Asked { method, target, headers, body })
        };
        alone(first);
        alone(last)
    }),
    ("PATCH-R5", "a selection ignored", |mut asked, server| {
        asked.operations(|operations| {
            for operation in operations.iter_mut().filter(|operation| operation["op"] == "remove") {
                let path = operation["path"].as_str().unwrap_or_default().split('[').next().unwrap_or_default();
                operation["path"] = json!(path);
            }
        });
        server(&asked)
    }),
    ("VER-02", "one version for ever", |asked, server| {
        let mut told = server(&asked);
        set_header(&mut told, "etag", |_| "W/\"1\"".to_owned());
        each_resource(&mut told, |resource| {
            if let Some(version) = resource.pointer_mut("/meta/version") {
                *version = json!("W/\"1\"");
            }
        });
        told
    }),
    ("VER-04", "If-Match ignored", |mut asked, server| {
        asked.without_header("if-match");
        server(&asked)
    }),
    ("BULK-01", "results in another order", |asked, server| {
        let mut told = server(&asked);
        results(&mut told, |results| results.reverse());
        told
    }),
    ("BULK-05", "failOnErrors ignored", |mut asked, server| {
        edit(&mut asked.body, |body| drop(body.as_object_mut().and_then(|body| body.remove("failOnErrors"))));
        server(&asked)
    }),
    ("BULK-06", "statuses as numbers", |asked, server| {
        let mut told = server(&asked);
        results(&mut told, |results| {
            for result in results {
                result["status"] =
                    json!(result["status"].as_str().unwrap_or_default().parse::<u16>().unwrap_or_default());
            }
        });
        told
    }),
    ("BULK-14", "versions in bulk ignored", |mut asked, server| {
        edit(&mut asked.body, |body| {
            for operation in list(body, "Operations").into_iter().flatten() {
                operation.as_object_mut().map(|operation| operation.remove("version"));
            }
        });
        server(&asked)
    }),
    ("I18N-04", "letters beyond ASCII lost", |asked, server| {
        let mut told = server(&asked);
        told.body = told.body.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }).collect();
        told
    }),
    ("DISC-13", "userName published with case", |asked, server| {
        published(asked, server, |attribute| {
            if attribute["name"] == "userName" {
                attribute["caseExact"] = json!(true);
            }
        })
    }),
    ("DISC-14", "keywords in lower case", |asked, server| {
        published(asked, server, |attribute| {
            attribute["mutability"] = json!(attribute["mutability"].as_str().unwrap_or_default().to_lowercase());
        })
    }),
    ("CHAR-08", "a password that is shown", |asked, server| {
        let mut told = server(&asked);
        let sent: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        if let Some(password) = sent["password"].as_str() {
            each_resource(&mut told, |resource| resource["password"] = json!(password));
        }
        told
    }),
];

/// The schemas with other definitions of their attributes.
fn published(asked: Asked, server: Forward<'_>, change: impl Fn(&mut Value)) -> Response {
    let mut told = server(&asked);
    if asked.target.contains("/Schemas") {
        each_resource(&mut told, |schema| {
            list(schema, "attributes").into_iter().flatten().for_each(&change);
        });
    }
    told
}

/// Answers for a server, wrong in whatever way `fault` holds at the moment.
fn stand_before(address: &str, listener: TcpListener, fault: Arc<Mutex<Fault>>) {
    let client = Client::new(address);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(asked) = read(&stream) else { continue };
            let is_head = asked.method == "HEAD";
            let forward = |asked: &Asked| {
                let body = (!asked.body.is_empty()).then_some(asked.body.as_slice());
                client.send(&asked.method, &asked.target, &asked.headers, body).unwrap()
            };
            let wrong = *fault.lock().unwrap();
            let told = wrong(asked, &forward);
            // Whoever has had enough hangs up.
            let _ = stream.write_all(&written(&told, is_head));
        }
    });
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let (head, length) = read_head(&mut reader);
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let is_of_the_message = |name: &str| ["host", "connection", "content-length"].contains(&name);
    let headers = headers.filter(|(name, _)| !is_of_the_message(&name.to_ascii_lowercase())).collect();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, target, headers, body })
}

fn written(told: &Response, is_head: bool) -> Vec<u8> {
    let mut message = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", told.status);
    let headers = told.headers.iter().filter(|(name, _)| !["connection", "content-length", "date"].contains(&&**name));
    headers.for_each(|(name, value)| message += &format!("{name}: {value}\r\n"));
    let has_body = !is_head && !matches!(told.status, 204 | 304);
    if has_body {
        message += &format!("Content-Length: {}\r\n", told.body.len());
    }
    let mut message = (message + "\r\n").into_bytes();
    message.extend(told.body.iter().filter(|_| has_body));
    message
}

#[test]
fn every_fault_of_a_server_is_found() {
    let workplace = Workplace::sqlite();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let public_url = format!("http://{}", listener.local_addr().unwrap());
    let (_server, address) = Server::start(&workplace, &["serve", "--passwords", "--public-url", &public_url]);
    let token = workplace.succeed(&["key", "create", "--name", "tester"]);
    let honest: Fault = |asked, server| server(&asked);
    let fault = Arc::new(Mutex::new(honest));
    stand_before(&address, listener, Arc::clone(&fault));
    let url = format!("{public_url}/scim/v2");
    let found = |id: &str| {
        let (code, output, errors) = check(&workplace, &url, token.trim_end(), &["--only", id, "--json", "--strict"]);
        let report: Value = serde_json::from_str(&output).unwrap_or_else(|error| panic!("{id}: {error}: {errors}"));
        assert_eq!(report["complete"], json!(true), "{id}");
        (code, report["checks"].clone())
    };

    let mut ids: Vec<&str> = FAULTS.iter().map(|(id, ..)| *id).collect();
    ids.dedup();
    let (code, checks) = found(&ids.join(","));
    assert_eq!(code, 0, "nothing is wrong yet: {checks:#}");

    let mut missed = Vec::new();
    for (id, about, wrong) in FAULTS {
        *fault.lock().unwrap() = wrong;
        if found(id).0 != 1 {
            missed.push(format!("{id}: {about}"));
        }
    }
    assert!(missed.is_empty(), "not found: {missed:#?}");
}
