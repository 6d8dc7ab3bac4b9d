//! DISC: what the server says of itself, and that it is true.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Api, each_profile};
use crate::messages::*;

fn schema(api: &Api, urn: &str) -> Value {
    let response = api.get(&format!("/Schemas/{urn}"));
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

#[test]
fn disc_01_to_05_the_configuration_is_one_complete_object() {
    each_profile(|api| {
        let response = api.get("/ServiceProviderConfig");

        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some("application/scim+json"));
        let config = response.json();
        assert_eq!(config["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"]));
        for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
            assert!(config[feature]["supported"].is_boolean(), "{feature}");
        }
        assert_eq!(config["patch"]["supported"], json!(true));
        assert_eq!(config["filter"], json!({"supported": true, "maxResults": 1000}));
        assert!(config["bulk"]["maxOperations"].is_u64() && config["bulk"]["maxPayloadSize"].is_u64());
        assert_eq!(config["pagination"]["maxPageSize"], json!(1000));
        assert_eq!(config["pagination"]["defaultPageSize"], json!(100));
        assert_eq!((&config["pagination"]["cursor"], &config["pagination"]["index"]), (&json!(true), &json!(true)));
        assert_eq!(config["pagination"]["defaultPaginationMethod"], json!("index"));
        assert_eq!(config["pagination"]["cursorTimeout"], json!(3600));
        let schemes = config["authenticationSchemes"].as_array().unwrap();
        assert_eq!(schemes[0]["type"], json!("oauthbearertoken"));
        assert!(schemes[0]["name"].is_string() && schemes[0]["description"].is_string());
        assert!(schemes.iter().filter(|scheme| scheme["primary"] == json!(true)).count() <= 1);
        assert!(config.get("securityEvents").is_none(), "no events are delivered");
    });
}

#[test]
fn disc_07_08_09_resource_types_name_schemas_that_exist() {
    each_profile(|api| {
        let types = assert_list(&api.get("/ResourceTypes"));

        let names: Vec<&str> = types.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["User", "Group"]);
        for one in &types {
            assert_eq!(one["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:ResourceType"]));
            assert_eq!(one["id"], one["name"]);
            assert!(one["endpoint"].as_str().unwrap().starts_with('/'));
            assert_eq!(one["meta"]["resourceType"], json!("ResourceType"));
            assert_eq!(&api.get(&format!("/ResourceTypes/{}", one["id"].as_str().unwrap())).json(), one);
            let extensions = one["schemaExtensions"].as_array().cloned().unwrap_or_default();
            for urn in extensions.iter().map(|extension| &extension["schema"]).chain([&one["schema"]]) {
                assert_eq!(&schema(api, urn.as_str().unwrap())["id"], urn);
            }
        }
        assert_eq!(types[0]["schemaExtensions"], json!([{"schema": ENTERPRISE, "required": false}]));
        assert_error(&api.get("/ResourceTypes/Printer"), 404, None);
    });
}

#[test]
fn disc_10_11_12_every_schema_and_no_message_is_listed() {
    each_profile(|api| {
        let schemas = assert_list(&api.get("/Schemas"));

        let ids: BTreeSet<&str> = schemas.iter().map(|schema| schema["id"].as_str().unwrap()).collect();
        let own = ["ServiceProviderConfig", "ResourceType", "Schema"]
            .map(|name| format!("urn:ietf:params:scim:schemas:core:2.0:{name}"));
        for urn in own.iter().map(String::as_str).chain([USER, GROUP, ENTERPRISE]) {
            assert!(ids.contains(urn), "{urn} is missing from {ids:?}");
        }
        assert!(!ids.iter().any(|urn| urn.contains(":messages:")), "{ids:?}");
        assert_eq!(schema(api, &USER.to_uppercase())["id"], json!(USER));
        assert_eq!(schema(api, &encoded(USER))["id"], json!(USER));
        assert_error(&api.get("/Schemas/urn:example:unknown"), 404, None);
    });
}

#[test]
fn disc_14_15_characteristics_stand_only_where_they_apply() {
    fn check(attribute: &Value, is_part: bool) {
        let kind = attribute["type"].as_str().unwrap();
        let known = ["string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"];
        assert!(known.contains(&kind), "{attribute}");
        assert!(!(is_part && kind == "complex"), "{attribute}");
        assert_eq!(attribute.get("subAttributes").is_some(), kind == "complex", "{attribute}");
        assert!(attribute.get("referenceTypes").is_none() || kind == "reference", "{attribute}");
        if matches!(kind, "boolean" | "complex") {
            assert!(attribute.get("caseExact").is_none() && attribute.get("uniqueness").is_none(), "{attribute}");
        }
        assert!(!attribute.as_object().unwrap().values().any(Value::is_null), "{attribute}");
        assert!(
            ["readOnly", "readWrite", "immutable", "writeOnly"].contains(&attribute["mutability"].as_str().unwrap())
        );
        assert!(["always", "never", "default", "request"].contains(&attribute["returned"].as_str().unwrap()));
        for part in attribute["subAttributes"].as_array().into_iter().flatten() {
            check(part, true);
        }
    }
    each_profile(|api| {
        for schema in assert_list(&api.get("/Schemas")) {
            // Schema describes itself, attributes of attributes included.
            if schema["name"] != json!("Schema") {
                schema["attributes"].as_array().unwrap().iter().for_each(|attribute| check(attribute, false));
            }
        }
    });
}

#[test]
fn disc_13_every_attribute_behaves_as_published() {
    fn sample(name: &str, kind: &str) -> Value {
        match (name, kind) {
            (_, "boolean") => json!(true),
            (_, "reference") => json!("https://example.com/Some/Thing"),
            ("country", _) => json!("US"),
            ("preferredLanguage" | "locale", _) => json!("en-US"),
            ("timezone", _) => json!("America/Los_Angeles"),
            (name, _) => json!(format!("Sample-{name}")),
        }
    }
    fn swapped_case(text: &str) -> String {
        let swap = |c: char| if c.is_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
        text.chars().map(swap).collect()
    }
    let is_writable = |attribute: &Value| attribute["mutability"] != json!("readOnly");
    let name_of = |attribute: &Value| attribute["name"].as_str().unwrap().to_owned();
    let sample_of = |attribute: &Value| sample(&name_of(attribute), attribute["type"].as_str().unwrap());
    each_profile(|api| {
        // given: a body and the filters that find it, from the published definitions
        let mut body = json!({"schemas": [USER, ENTERPRISE]});
        let mut texts: Vec<(String, String, bool)> = Vec::new();
        for urn in [USER, ENTERPRISE] {
            let definitions = schema(api, urn)["attributes"].as_array().unwrap().clone();
            // Certificates and managers must be real ones, so they have tests of their own.
            let of_text = |name: &str| !["x509Certificates", "manager", "password"].contains(&name);
            for attribute in definitions.iter().filter(|one| is_writable(one) && of_text(&name_of(one))) {
                let name = name_of(attribute);
                let prefix = if urn == USER { name.clone() } else { format!("{urn}:{name}") };
                let parts = attribute["subAttributes"].as_array().cloned().unwrap_or_default();
                let parts: Vec<&Value> = parts.iter().filter(|part| is_writable(part)).collect();
                let mut note = |path: String, definition: &Value, value: &Value| {
                    if let Some(text) = value.as_str() {
                        texts.push((path, text.to_owned(), definition["caseExact"] == json!(true)));
                    }
                };
                let value = if parts.is_empty() {
                    let value = sample_of(attribute);
                    note(prefix, attribute, &value);
                    value
                } else {
                    let members = parts.iter().map(|part| (name_of(part), sample_of(part)));
                    let object = Value::Object(members.collect());
                    for part in &parts {
                        note(format!("{prefix}.{}", name_of(part)), part, &object[name_of(part)]);
                    }
                    object
                };
                let value = if attribute["multiValued"] == json!(true) { json!([value]) } else { value };
                let container = if urn == USER { &mut body } else { &mut body[ENTERPRISE] };
                container[name] = value;
            }
        }

        let created = api.created("/Users", &body);

        for (name, value) in body.as_object().unwrap() {
            assert_eq!(&created[name], value, "{name}");
        }
        assert!(texts.len() > 30);
        for (path, text, case_exact) in texts {
            let count = |text: &str| found(api, "/Users", &format!("{path} eq {}", json!(text))).len();
            assert_eq!(count(&text), 1, "{path}");
            assert_eq!(count(&swapped_case(&text)), usize::from(!case_exact), "{path} without regard to case");
        }
    });
}

#[test]
fn disc_16_17_18_discovery_is_not_a_query_and_not_writable() {
    each_profile(|api| {
        let all = api.get("/Schemas").json();
        for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/Schemas/urn:x", "/ResourceTypes/User"] {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                let response = api.send(method, path, &[], Some(b"{}"));
                assert_error(&response, 405, None);
                assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS"), "{method} {path}");
            }
            let refused = api.get(&format!("{path}?filter={}", encoded("id pr")));
            assert!(refused.status == 403 || refused.status == 404, "{path}");
        }

        let paged = api.get("/Schemas?count=1&startIndex=2&attributes=id&sortBy=id");

        assert_eq!(paged.json(), all);
        assert_error(&api.get("/Schemas?filter=id%20pr"), 403, None);
        assert_error(&api.get("/ServiceProviderConfig?filter=id%20pr"), 403, None);
    });
}

#[test]
fn disc_20_21_discovery_objects_have_tags_and_places() {
    each_profile(|api| {
        let mut objects = vec![api.get("/ServiceProviderConfig").json()];
        objects.extend(assert_list(&api.get("/ResourceTypes")));
        objects.extend(assert_list(&api.get("/Schemas")));
        for object in objects {
            let location = object["meta"]["location"].as_str().unwrap();
            let path = location.strip_prefix(&api.base_url).unwrap_or_else(|| panic!("{location} is elsewhere"));

            let response = api.get(path);
            let etag = response.header("etag").expect("an ETag").to_owned();
            let known = api.send("GET", path, &[("If-None-Match", &etag)], None);

            assert_eq!(response.json(), object);
            assert_eq!((known.status, known.body.len()), (304, 0));
            assert_eq!(known.header("etag"), Some(etag.as_str()));
        }
    });
}
