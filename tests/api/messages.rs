//! What the tests send and what every answer must have, whatever it answers.

use serde_json::{Value, json};

use crate::harness::Api;
use crate::support::http::Response;

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
pub const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
pub const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// An id that nobody has.
pub const NOBODY: &str = "2819c223-7f76-453a-919d-413861904646";

/// The smallest user.
pub fn user(user_name: &str) -> Value {
    json!({"schemas": [USER], "userName": user_name})
}

/// A user with more attributes.
pub fn user_with(user_name: &str, attributes: Value) -> Value {
    merged(user(user_name), attributes)
}

/// A group of these resources.
pub fn group(display_name: &str, members: &[&Value]) -> Value {
    let members: Vec<Value> = members.iter().map(|member| json!({"value": member["id"]})).collect();
    json!({"schemas": [GROUP], "displayName": display_name, "members": members})
}

/// A PATCH message.
pub fn patch(operations: Value) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

/// A search message.
pub fn search(parameters: Value) -> Value {
    merged(json!({"schemas": [SEARCH_REQUEST]}), parameters)
}

fn merged(mut object: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more} is no object") };
    object.as_object_mut().unwrap().extend(more);
    object
}

/// Where the resource is, below the base URL.
pub fn path_of(resource: &Value) -> String {
    let kind = resource["meta"]["resourceType"].as_str().unwrap_or_else(|| panic!("{resource} has no type"));
    format!("/{kind}s/{}", resource["id"].as_str().unwrap())
}

/// Percent-encodes everything that could mean something.
pub fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The SCIM error of that status and `scimType`, with a sentence; returns the sentence (ERR-01, ERR-02).
#[track_caller]
pub fn assert_error(response: &Response, status: u16, scim_type: Option<&str>) -> String {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/scim+json"), "{}", response.text());
    assert!(response.header("x-request-id").is_some_and(|id| !id.is_empty()));
    let body = response.json();
    assert_eq!(body["schemas"], json!([ERROR]), "{body}");
    assert_eq!(body["status"], json!(status.to_string()), "{body}");
    assert_eq!(body.get("scimType").and_then(Value::as_str), scim_type, "{body}");
    let detail = body["detail"].as_str().unwrap_or_default();
    assert!(!detail.is_empty(), "{body}");
    let lower = detail.to_ascii_lowercase();
    assert!(
        !["select *", "insert into", "sqlite", "postgres", "panicked"].iter().any(|leak| lower.contains(leak)),
        "{body}"
    );
    detail.to_owned()
}

/// One resource, with every header that goes with it; returns it (GET-01, RES-12, RES-13, VER-01).
#[track_caller]
pub fn assert_resource(response: &Response, status: u16) -> Value {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/scim+json"));
    assert_eq!(response.header("cache-control"), Some("private, no-cache"));
    let body = response.json();
    assert!(body["id"].as_str().is_some_and(|id| !id.is_empty()), "{body}");
    assert!(body["schemas"].as_array().is_some_and(|schemas| !schemas.is_empty()), "{body}");
    let etag = response.header("etag").expect("an ETag");
    assert!(etag.starts_with("W/\"") && etag.ends_with('"'), "{etag}");
    let location = response.header("location").expect("a Location");
    assert_eq!(response.header("content-location"), Some(location));
    assert!(location.starts_with("http://") && location.ends_with(body["id"].as_str().unwrap()), "{location}");
    if let Some(meta) = body.get("meta").filter(|meta| meta.get("location").is_some()) {
        assert_eq!(meta["version"], json!(etag));
        assert_eq!(meta["location"], json!(location));
    }
    assert_nothing_is_null(&body);
    body
}

/// A list whose numbers agree; returns the resources on the page (QRY-01, QRY-02).
#[track_caller]
pub fn assert_list(response: &Response) -> Vec<Value> {
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/scim+json"));
    let body = response.json();
    assert_eq!(body["schemas"], json!([LIST_RESPONSE]));
    let resources = body["Resources"].as_array().expect("Resources is an array").clone();
    assert_eq!(body["itemsPerPage"], json!(resources.len()), "{body}");
    assert!(body["totalResults"].as_u64().is_some_and(|total| total >= resources.len() as u64), "{body}");
    assert!(body["startIndex"].as_u64().is_some_and(|start| start >= 1), "{body}");
    resources
}

/// What the list at `path` with this filter holds, by userName or displayName.
#[track_caller]
pub fn names_at(api: &Api, path: &str) -> Vec<String> {
    names(&assert_list(&api.get(path)))
}

/// The userNames, or displayNames, of these.
pub fn names(resources: &[Value]) -> Vec<String> {
    let name = |resource: &Value| {
        let name = resource.get("userName").or(resource.get("displayName")).and_then(Value::as_str);
        name.unwrap_or_else(|| panic!("{resource} has no name")).to_owned()
    };
    resources.iter().map(name).collect()
}

/// The names of what the filter finds, sorted.
#[track_caller]
pub fn found(api: &Api, endpoint: &str, filter: &str) -> Vec<String> {
    let mut names = names_at(api, &format!("{endpoint}?filter={}", encoded(filter)));
    names.sort();
    names
}

/// The `value`s of a multi-valued attribute, sorted.
pub fn values(resource: &Value, attribute: &str) -> Vec<String> {
    let elements = resource.get(attribute).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut values: Vec<String> =
        elements.iter().map(|element| element["value"].as_str().unwrap().to_owned()).collect();
    values.sort();
    values
}

/// The ids of these, sorted: what [`values`] of members must be.
pub fn ids(resources: &[&Value]) -> Vec<String> {
    let mut ids: Vec<String> = resources.iter().map(|resource| resource["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn assert_nothing_is_null(value: &Value) {
    match value {
        Value::Null => panic!("null in a representation"),
        Value::Array(elements) => elements.iter().for_each(assert_nothing_is_null),
        Value::Object(members) => members.values().for_each(assert_nothing_is_null),
        _ => {}
    }
}
