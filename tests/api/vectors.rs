//! The examples of the RFCs, in their words, one after the other. Those of PATCH are in `patch_rows`.

use serde_json::{Value, json};

use crate::harness::each_profile;
use crate::messages::*;

/// A certificate, in the place of the RFC's own, which its line breaks have made unreadable.
const CERTIFICATE: &str = "MIIBeTCCAR+gAwIBAgIUIfRMn86OOCh3x8DNyD7sT+9w/2swCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHYmplbnNlbjAeFw0yNjExMjMyMjI4MzhaFw0zNjExMjAyMjI4MzhaMBIxEDAOBgNVBAMMB2JqZW5zZW4wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARhHfSBYZrT0VRc0aUGDxekPg17bypO2Zg5eVQ6IYvvJFZD8/fB9kMKlBxUVeTzY0lmhCnq78Z+HZ3hkae/HckOo1MwUTAdBgNVHQ4EFgQUvjPlAmKzz9RqAltzSXcdlSj7294wHwYDVR0jBBgwFoAUvjPlAmKzz9RqAltzSXcdlSj7294wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA3kPkfllVf1un9F+Vl/sUEBX//CjKTs7gM046otYNGEoCIAQjJjg9PyehUjSj1GvNp6CcllC70r+bf+0Vhw/6CP/4";

/// The body of RFC 7643 §8.2 as a client sends it.
pub fn full_user() -> Value {
    json!({
        "schemas": [USER],
        "id": NOBODY,
        "externalId": "701984",
        "userName": "bjensen@example.com",
        "name": {"formatted": "Ms. Barbara J Jensen, III", "familyName": "Jensen", "givenName": "Barbara",
            "middleName": "Jane", "honorificPrefix": "Ms.", "honorificSuffix": "III"},
        "displayName": "Babs Jensen",
        "nickName": "Babs",
        "profileUrl": "https://login.example.com/bjensen",
        "emails": [{"value": "bjensen@example.com", "type": "work", "primary": true},
            {"value": "babs@jensen.org", "type": "home"}],
        "addresses": [
            {"type": "work", "streetAddress": "100 Universal City Plaza", "locality": "Hollywood", "region": "CA",
                "postalCode": "91608", "country": "US",
                "formatted": "100 Universal City Plaza\nHollywood, CA 91608 USA", "primary": true},
            {"type": "home", "streetAddress": "456 Hollywood Blvd", "locality": "Hollywood", "region": "CA",
                "postalCode": "91608", "country": "US", "formatted": "456 Hollywood Blvd\nHollywood, CA 91608 USA"}],
        "phoneNumbers": [{"value": "tel:+1-555-555-5555", "type": "work"}, {"value": "tel:+1-555-555-4444", "type": "mobile"}],
        "ims": [{"value": "someaimhandle", "type": "aim"}],
        "photos": [{"value": "https://photos.example.com/profilephoto/72930000000Ccne/F", "type": "photo"},
            {"value": "https://photos.example.com/profilephoto/72930000000Ccne/T", "type": "thumbnail"}],
        "userType": "Employee",
        "title": "Tour Guide",
        "preferredLanguage": "en-US",
        "locale": "en-US",
        "timezone": "America/Los_Angeles",
        "active": true,
        "password": "t1meMa$heen",
        "groups": [
            {"value": "e9e30dba-f08f-4109-8486-d5c6a331660a", "display": "Tour Guides"},
            {"value": "fc348aa8-3835-40eb-a20b-c726e15c55b5", "display": "Employees"},
            {"value": "71ddacd2-a8e7-49b8-a5db-ae50d0a5bfd7", "display": "US Employees"}],
        "x509Certificates": [{"value": CERTIFICATE}],
        "meta": {"resourceType": "User", "created": "2010-01-23T04:56:22Z", "version": "W/\"a330bc54f0671c9\""},
    })
}

/// What must come back of a body: all of it but what is the server's own.
fn assert_echoed(created: &Value, sent: &Value) {
    for (name, value) in sent.as_object().unwrap() {
        if !["id", "meta", "groups", "password", "schemas", ENTERPRISE].contains(&name.as_str()) {
            assert_eq!(&created[name], value, "{name}");
        }
    }
    assert!(created.get("password").is_none() && created.get("groups").is_none());
    assert_ne!(created["id"], json!(NOBODY));
    assert_ne!(created["meta"]["created"], json!("2010-01-23T04:56:22Z"));
}

#[test]
fn v_01_v_02_create_and_read() {
    each_profile(|api| {
        let body = user_with(
            "bjensen",
            json!({"externalId": "bjensen", "name": {"formatted": "Ms. Barbara J Jensen III",
                "familyName": "Jensen", "givenName": "Barbara"}}),
        );

        let created = assert_resource(&api.post("/Users", &body), 201);
        let read = assert_resource(&api.get(&path_of(&created)), 200);

        assert_echoed(&created, &body);
        assert_eq!(created["meta"]["created"], created["meta"]["lastModified"]);
        assert_eq!(read, created);
    });
}

#[test]
fn v_03_a_list_of_user_names() {
    each_profile(|api| {
        let users = ["bjensen", "jsmith"].map(|name| api.created("/Users", &user(name)));

        let listed = assert_list(&api.get("/Users?attributes=userName"));

        let expected = users.map(|user| json!({"schemas": [USER], "id": user["id"], "userName": user["userName"]}));
        assert_eq!(listed, expected);
    });
}

#[test]
fn v_04_the_full_user() {
    each_profile(|api| {
        let created = assert_resource(&api.post("/Users", &full_user()), 201);

        assert_echoed(&created, &full_user());
        assert_eq!(created["schemas"], json!([USER]));
    });
}

#[test]
fn v_05_the_enterprise_user() {
    each_profile(|api| {
        let manager = api.created("/Users", &user_with("jsmith", json!({"displayName": "John Smith"})));
        let mut body = full_user();
        body["schemas"] = json!([USER, ENTERPRISE]);
        body[ENTERPRISE] = json!({"employeeNumber": "701984", "costCenter": "4130", "organization": "Universal Studios",
            "division": "Theme Park", "department": "Tour Operations",
            "manager": {"value": manager["id"], "$ref": "../Users/26118915-6090-4610-87e4-49d8ca9f808d",
                "displayName": "Somebody Else"}});

        let created = assert_resource(&api.post("/Users", &body), 201);

        assert_echoed(&created, &body);
        assert_eq!(created["schemas"], json!([USER, ENTERPRISE]));
        let mut enterprise = body[ENTERPRISE].clone();
        enterprise["manager"] =
            json!({"value": manager["id"], "$ref": manager["meta"]["location"], "displayName": "John Smith"});
        assert_eq!(created[ENTERPRISE], enterprise);
    });
}

#[test]
fn v_06_the_group() {
    each_profile(|api| {
        let babs = api.created("/Users", &user_with("babs", json!({"displayName": "Babs Jensen"})));
        let mandy = api.created("/Users", &user_with("mandy", json!({"displayName": "Mandy Pepperidge"})));
        let member = |user: &Value, reference: &Value| json!({"value": user["id"], "$ref": reference, "display": user["displayName"]});
        let sent = json!([member(&babs, &json!("../Users/x")), member(&mandy, &json!(null))]);

        let body = json!({"schemas": [GROUP], "displayName": "Tour Guides", "members": sent});
        let created = assert_resource(&api.post("/Groups", &body), 201);

        let shown = |user: &Value| {
            let mut member = member(user, &user["meta"]["location"]);
            member["type"] = json!("User");
            member
        };
        assert_eq!(created["members"], json!([shown(&babs), shown(&mandy)]));
        assert_eq!(created["displayName"], json!("Tour Guides"));
    });
}

#[test]
fn v_07_the_minimal_user() {
    each_profile(|api| {
        let created = assert_resource(&api.post("/Users", &user("bjensen@example.com")), 201);

        let meta = created["meta"].clone();
        let expected = json!({"schemas": [USER], "id": created["id"], "userName": "bjensen@example.com", "active": true,
            "meta": meta});
        assert_eq!(created, expected);
        let mut parts: Vec<&str> = meta.as_object().unwrap().keys().map(String::as_str).collect();
        parts.sort_unstable();
        assert_eq!(parts, ["created", "lastModified", "location", "resourceType", "version"]);
    });
}

#[test]
fn v_10_replace() {
    each_profile(|api| {
        let before = api.created("/Users", &user_with("bjensen", json!({"roles": [{"value": "guide"}]})));
        let body = user_with(
            "bjensen",
            json!({"id": before["id"], "externalId": "bjensen", "name": {"formatted": "Ms. Barbara J Jensen III",
                "familyName": "Jensen", "givenName": "Barbara", "middleName": "Jane"}, "roles": [],
                "emails": [{"value": "bjensen@example.com"}, {"value": "babs@jensen.org"}]}),
        );
        let version = before["meta"]["version"].as_str().unwrap();

        let response = api.send("PUT", &path_of(&before), &[("If-Match", version)], Some(body.to_string().as_bytes()));

        let after = assert_resource(&response, 200);
        assert!(after.get("roles").is_none());
        assert_eq!((&after["emails"], &after["name"]), (&body["emails"], &body["name"]));
        assert_ne!(after["meta"]["version"], before["meta"]["version"]);
    });
}

#[test]
fn v_20_delete() {
    each_profile(|api| {
        let first = api.created("/Users", &user("bjensen"));

        let deleted = api.delete(&path_of(&first));
        let read = api.get(&path_of(&first));
        let second = assert_resource(&api.post("/Users", &user("bjensen")), 201);

        assert_eq!((deleted.status, deleted.body.len()), (204, 0));
        assert_error(&read, 404, None);
        assert_ne!(second["id"], first["id"]);
    });
}

/// What the tables of RFC 7643 §3 and §4 say of each attribute, with the errata; what is not said is singular, optional,
/// without regard to case, readWrite, returned by default and not unique.
const FACTS: &str = include_str!("schema_facts.txt");

fn facts(schema: &Value) -> Vec<String> {
    fn fact(schema: &Value, path: &str, attribute: &Value) -> String {
        let mut words = vec![schema["name"].as_str().unwrap(), path, attribute["type"].as_str().unwrap()];
        for (name, value, word) in [
            ("multiValued", json!(true), "many"),
            ("required", json!(true), "required"),
            ("caseExact", json!(true), "exact"),
        ] {
            words.extend((attribute[name] == value).then_some(word));
        }
        for (name, usual) in [("mutability", "readWrite"), ("returned", "default"), ("uniqueness", "none")] {
            words.extend(attribute[name].as_str().filter(|word| *word != usual));
        }
        let list = |name: &str, label: &str| {
            let words: Vec<&str> = attribute[name].as_array()?.iter().map(|word| word.as_str().unwrap()).collect();
            Some(format!("{label}={}", words.join(",")))
        };
        let lists = [list("referenceTypes", "to"), list("canonicalValues", "values")].into_iter().flatten();
        words.into_iter().map(str::to_owned).chain(lists).collect::<Vec<_>>().join(" ")
    }
    let mut facts = Vec::new();
    for attribute in schema["attributes"].as_array().unwrap() {
        let name = attribute["name"].as_str().unwrap();
        facts.push(fact(schema, name, attribute));
        for part in attribute["subAttributes"].as_array().into_iter().flatten() {
            facts.push(fact(schema, &format!("{name}.{}", part["name"].as_str().unwrap()), part));
        }
    }
    facts
}

#[test]
fn v_33_the_schemas_say_what_the_tables_of_the_rfc_say() {
    each_profile(|api| {
        let served = [USER, GROUP, ENTERPRISE].map(|urn| api.get(&format!("/Schemas/{urn}")).json());

        let served: Vec<String> = served.iter().flat_map(facts).collect();

        assert_eq!(served, FACTS.lines().collect::<Vec<_>>());
    });
}

#[test]
fn v_29_discovery_has_the_shapes_of_the_rfc() {
    each_profile(|api| {
        let config = api.get("/ServiceProviderConfig").json();
        let types = assert_list(&api.get("/ResourceTypes"));
        let schema = api.get(&format!("/Schemas/{USER}")).json();

        let keys = |object: &Value| -> Vec<String> {
            let mut keys: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys
        };
        for feature in ["patch", "changePassword", "sort", "etag"] {
            assert_eq!(keys(&config[feature]), ["supported"], "{feature}");
        }
        assert_eq!(keys(&config["bulk"]), ["maxOperations", "maxPayloadSize", "supported"]);
        assert_eq!(keys(&config["filter"]), ["maxResults", "supported"]);
        assert!(config["authenticationSchemes"].as_array().is_some_and(|schemes| !schemes.is_empty()));
        assert_eq!(config["meta"]["resourceType"], json!("ServiceProviderConfig"));
        assert_eq!(config["meta"]["location"], json!(format!("{}/ServiceProviderConfig", api.base_url)));

        for (served, name, endpoint, urn) in
            [(&types[0], "User", "/Users", USER), (&types[1], "Group", "/Groups", GROUP)]
        {
            assert_eq!((&served["id"], &served["name"]), (&json!(name), &json!(name)));
            assert_eq!((&served["endpoint"], &served["schema"]), (&json!(endpoint), &json!(urn)));
            assert!(served["description"].is_string());
            let location = format!("{}/ResourceTypes/{name}", api.base_url);
            assert_eq!(served["meta"]["location"], json!(location));
            assert_eq!(served["meta"]["resourceType"], json!("ResourceType"));
        }

        assert_eq!((&schema["id"], &schema["name"]), (&json!(USER), &json!("User")));
        assert_eq!(schema["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:Schema"]));
        assert_eq!(schema["meta"]["location"], json!(format!("{}/Schemas/{USER}", api.base_url)));
        assert_eq!(schema["meta"]["resourceType"], json!("Schema"));
        let user_name = &schema["attributes"][0];
        let described = user_name["description"].clone();
        assert!(described.as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(
            *user_name,
            json!({"name": "userName", "type": "string", "multiValued": false, "description": described, "required": true,
                "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "server"})
        );
        for attribute in schema["attributes"].as_array().unwrap() {
            assert!(attribute["description"].is_string(), "{attribute}");
        }
    });
}
