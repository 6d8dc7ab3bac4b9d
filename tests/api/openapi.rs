//! The OpenAPI document: the same surface as the router, and answers as it says.

use std::collections::BTreeSet;

use scimd::http::openapi::{Surface, document};
use scimd::http::routes;
use scimd::scim::schema::Registry;
use serde_json::{Value, json};

use crate::harness::{Api, each, each_profile};
use crate::messages::*;
use crate::support::http::Response;

fn read(api: &Api) -> Value {
    let response = api.get("/openapi.json");
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    response.json()
}

/// Each path and method of the document, with its entry.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters");
        methods.map(|(method, operation)| (path.clone(), method.to_ascii_uppercase(), operation.clone()))
    });
    operations.collect()
}

#[test]
fn the_document_has_every_route_and_the_router_every_path_of_the_document() {
    each(|api| {
        let document = read(api);
        let described: BTreeSet<(String, String)> =
            operations(&document).into_iter().map(|(path, method, _)| (path, method)).collect();
        let scim = routes::scim(Registry::builtin());
        let scim = scim.iter().map(|endpoint| (format!("/scim/v2{}", endpoint.path), endpoint));
        let health = routes::health();
        let all = scim.chain(health.iter().map(|endpoint| (endpoint.path.clone(), endpoint)));
        let served: BTreeSet<(String, String)> = all
            .flat_map(|(path, endpoint)| {
                endpoint.operations.iter().map(move |(method, _)| (path.clone(), method.to_string()))
            })
            .collect();
        assert_eq!(described, served);

        for (path, method) in described {
            let path = path.replace("{name}", "User").replace("{urn}", USER).replace("{id}", NOBODY);
            let authorization = [("Authorization".to_owned(), format!("Bearer {}", api.token))];
            let response = api.root().send(&method, &path, &authorization, Some(b"{}")).unwrap();
            assert_ne!(response.status, 405, "{method} {path}");
            let nobody = path.contains(NOBODY) || path.ends_with("/Me");
            assert!(response.status != 404 || nobody, "{method} {path}: {}", response.text());
        }
    });
}

#[test]
fn the_document_is_at_one_stable_place_for_holders_of_a_key() {
    each(|api| {
        let document = read(api);
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"][0]["url"], api.base_url.trim_end_matches("/scim/v2"));
        let authorization = [("Authorization".to_owned(), format!("Bearer {}", api.token))];
        let at_the_root = api.root().send("GET", "/openapi.json", &authorization, None).unwrap();
        assert_eq!(at_the_root.json(), document);
        assert_error(&api.anonymous("GET", "/openapi.json"), 401, None);
        let tag = at_the_root.header("etag").unwrap().to_owned();
        assert_eq!(api.send("GET", "/openapi.json", &[("If-None-Match", &tag)], None).status, 304);
    });
}

#[test]
fn every_reference_of_the_document_leads_somewhere_and_every_operation_has_a_name() {
    let surface = Surface {
        registry: Registry::builtin(),
        base_url: "https://idm.example/scim/v2",
        open_discovery: true,
        with_health: false,
    };
    let document = document(&surface);
    for reference in references(&document) {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leaves the document"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let operations = operations(&document);
    let names: BTreeSet<&str> = operations.iter().map(|(.., one)| one["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len(), "an operationId stands twice");
    for (path, method, operation) in &operations {
        assert!(!path.contains("healthz"), "health is on another port");
        let is_open = operation["security"] == json!([]);
        assert_eq!(is_open, operation["tags"] == json!(["Discovery"]), "{method} {path}");
    }
}

/// Every `$ref` of a document.
pub fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(elements) => elements.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Holds an answer against what the document says of the operation: status, headers, media type and shape.
fn conforms(document: &Value, path: &str, method: &str, response: &Response) {
    let about = format!("{method} {path}: {} {}", response.status, response.text());
    let operation = &document["paths"][format!("/scim/v2{path}")][method.to_ascii_lowercase()];
    let entry = &operation["responses"][response.status.to_string()];
    let entry = match entry["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => entry,
    };
    assert!(entry.is_object(), "no such answer is described: {about}");
    // A filter makes a list of one resource; a preference must be asked for; another key helps against one 403 only.
    let is_list = response.text().contains(LIST_RESPONSE);
    let may_lack: &[&str] = match response.status {
        200 if is_list => &["Content-Location", "ETag", "Location"],
        200 if path == "/Bulk" => &["Preference-Applied"],
        204 => &["Preference-Applied"],
        403 => &["WWW-Authenticate"],
        _ => &[],
    };
    for name in entry["headers"].as_object().unwrap().keys() {
        let has = response.header(&name.to_ascii_lowercase()).is_some();
        assert!(has || may_lack.contains(&name.as_str()), "without {name}: {about}");
    }
    let Some(media_type) = response.header("content-type") else {
        assert!(entry.get("content").is_none() && response.body.is_empty(), "{about}");
        return;
    };
    let schema = &entry["content"][media_type]["schema"];
    assert!(schema.is_object(), "{media_type} is not described: {about}");
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&response.json())
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{about}\n{errors:#?}");
}

#[test]
fn real_answers_are_as_the_document_says() {
    each_profile(|api| {
        let document = read(api);
        let holds = |path: &str, method: &str, response: Response| {
            conforms(&document, path, method, &response);
            response
        };
        let mira = user_with(
            "mira",
            json!({
                "schemas": [USER, ENTERPRISE],
                "name": {"familyName": "Vogt"},
                "emails": [{"value": "mira@example.com", "type": "work", "primary": true}],
                "profileUrl": "https://example.com/mira",
                ENTERPRISE: {"department": "Sales"},
            }),
        );
        let mira = holds("/Users", "POST", api.post("/Users", &mira)).json();
        let boss = api.created("/Users", &user("boss"));
        let managed = json!([{"op": "add", "path": format!("{ENTERPRISE}:manager"), "value": {"value": boss["id"]}}]);
        let team = holds("/Groups", "POST", api.post("/Groups", &group("Team", &[&mira, &boss]))).json();
        let (one, its_group) = (path_of(&mira), path_of(&team));
        let tag = api.get(&its_group).header("etag").unwrap().to_owned();

        for response in [
            api.patch(&one, &patch(managed)),
            api.patch(&one, &json!({})),
            api.patch("/Users/nobody", &patch(json!([{"op": "remove", "path": "title"}]))),
            api.send("PATCH", &one, &[("Content-Type", "image/png")], Some(b"x")),
        ] {
            holds("/Users/{id}", "PATCH", response);
        }
        let minimal = patch(json!([{"op": "add", "path": "title", "value": "Guide"}])).to_string();
        let minimal = api.send("PATCH", &one, &[("Prefer", "return=minimal")], Some(minimal.as_bytes()));
        assert_eq!(holds("/Users/{id}", "PATCH", minimal).status, 204);
        for query in ["", "?attributes=title", "?excludedAttributes=meta", "?filter=title%20pr", "?filter=x"] {
            holds("/Users/{id}", "GET", api.get(&format!("{one}{query}")));
        }
        holds("/Groups/{id}", "GET", api.get(&its_group));
        holds("/Groups/{id}", "GET", api.send("GET", &its_group, &[("If-None-Match", &tag)], None));
        holds("/Groups/{id}", "PUT", api.put(&its_group, &group("Team", &[&mira])));
        holds(
            "/Groups/{id}",
            "PUT",
            api.send("PUT", &its_group, &[("If-Match", "W/\"99\"")], Some(team.to_string().as_bytes())),
        );
        holds("/Users/{id}", "PUT", api.put(&one, &user("boss")));
        holds("/Users", "POST", api.post("/Users", &user("boss")));
        holds("/Users", "POST", api.post("/Users", &json!({"schemas": [USER]})));
        holds("/Users", "GET", api.get("/Users?sortBy=userName&count=1"));
        holds("/Users", "GET", api.get("/Users?filter=shoeSize%20eq%201"));
        holds("/Users", "GET", api.anonymous("GET", "/Users"));
        holds("", "GET", api.get("?filter=id%20pr"));
        holds("/.search", "POST", api.post("/.search", &search(json!({"attributes": ["displayName"]}))));
        holds("/Groups/.search", "POST", api.post("/Groups/.search", &search(json!({"count": 0}))));
        holds("/Groups/.search", "POST", api.post("/Groups/.search", &json!({})));
        holds("/Users/{id}/.search", "POST", api.post(&format!("{one}/.search"), &search(json!({"filter": "id pr"}))));
        for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
            holds(path, "GET", api.get(path));
            holds(path, "GET", api.get(&format!("{path}?filter=id%20pr")));
        }
        holds("/ResourceTypes/{name}", "GET", api.get("/ResourceTypes/Group"));
        holds("/ResourceTypes/{name}", "GET", api.get("/ResourceTypes/Printer"));
        holds("/Schemas/{urn}", "GET", api.get(&format!("/Schemas/{ENTERPRISE}")));
        holds("/.search", "POST", api.post("/.search", &search(json!({"cursor": "", "count": 1}))));
        holds("/Users", "GET", api.get("/Users?cursor=&count=1"));
        holds("/Users", "GET", api.get("/Users?cursor=made-up"));
        let me = api.bound_to(&boss, "users:write");
        holds("/Me", "GET", api.get("/Me"));
        holds("/Me", "GET", me.get("/Me"));
        holds("/Me", "GET", me.get("/Me?filter=id%20pr"));
        holds("/Me", "POST", me.post("/Me", &user("omar")));
        holds("/Me", "PUT", me.put("/Me", &user("boss")));
        holds("/Me", "PATCH", me.patch("/Me", &patch(json!([{"op": "add", "path": "title", "value": "Boss"}]))));
        holds("/Me", "DELETE", me.delete("/Me"));
        holds("/Bulk", "POST", api.post("/Bulk", &json!({})));
        let bulk = json!({"schemas": [BULK_REQUEST], "Operations": [
            {"method": "POST", "path": "/Users", "bulkId": "a", "data": user("omar")},
            {"method": "POST", "path": "/Groups", "bulkId": "b", "data": group("Guides", &[])},
            {"method": "POST", "path": "/Users", "bulkId": "c", "data": user("OMAR")},
            {"method": "PUT", "path": "/Users/bulkId:a", "data": user("omar")},
            {"method": "DELETE", "path": "/Users/bulkId:a"},
            {"method": "MERGE", "path": "/Users"},
            {"path": "/Users"},
        ]});
        holds("/Bulk", "POST", api.post("/Bulk", &bulk));
        let represented = [("Prefer", "return=representation")];
        holds("/Bulk", "POST", api.send("POST", "/Bulk", &represented, Some(bulk.to_string().as_bytes())));
        holds("/Users/{id}", "DELETE", api.send("DELETE", &one, &[("If-Match", "W/\"99\"")], None));
        holds("/Users/{id}", "DELETE", api.delete(&one));
        holds("/Users/{id}", "DELETE", api.delete(&one));
    });
}
