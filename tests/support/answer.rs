//! What every answer must satisfy, whatever the question: the rules that the strictest readers among the identity
//! providers depend on (RFC 7644 §3.12, RFC 7643 §2.5, §3 and §3.1). The transcript runner and Pocket ID hold every
//! answer of the server against them, so a transcript only names what is particular to its step.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::http::Response;
use super::matcher::{is_time, is_uuid};

pub(crate) const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
pub(crate) const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:";
const EXTENSION: &str = "urn:ietf:params:scim:schemas:extension:";

/// Checks status line, headers and body of an answer against each other.
///
/// # Errors
/// The first rule that is broken, as a sentence.
pub fn check(response: &Response, accepts_plain_json: bool) -> Result<(), String> {
    if matches!(response.status, 204 | 304) {
        return holds(response.body.is_empty(), || format!("{} with a body", response.status));
    }
    if response.body.is_empty() {
        return Err(format!("{} without a body", response.status));
    }
    let media_type = response.header("content-type").unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let fits = essence == "application/scim+json" || (accepts_plain_json && essence == "application/json");
    holds(fits, || format!("the media type is {media_type:?}"))?;
    let body: Value =
        serde_json::from_slice(&response.body).map_err(|error| format!("the body is no JSON: {error}"))?;
    no_null(&body, "")?;
    if response.status >= 400 {
        return error(response, &body);
    }
    if names(&body, LIST) {
        return list(&body);
    }
    resource(&body)?;
    headers(response, &body)
}

fn error(response: &Response, body: &Value) -> Result<(), String> {
    let code = response.status.to_string();
    holds(names(body, ERROR), || "an error without the Error schema".to_owned())?;
    holds(body["status"].as_str() == Some(&code), || format!("status is {}, not {code:?}", body["status"]))?;
    holds(body["detail"].as_str().is_some_and(|text| !text.is_empty()), || "an error without detail".to_owned())?;
    let needed = match response.status {
        401 => "www-authenticate",
        405 => "allow",
        429 => "retry-after",
        _ => return Ok(()),
    };
    holds(response.header(needed).is_some(), || format!("{code} without the header {needed}"))
}

fn list(body: &Value) -> Result<(), String> {
    let resources = body["Resources"].as_array().ok_or("a list without an array Resources")?;
    let total = body["totalResults"].as_u64().ok_or("totalResults is no integer")?;
    let shown = body["itemsPerPage"].as_u64().ok_or("itemsPerPage is no integer")?;
    let cursors = body.get("nextCursor").is_some() || body.get("previousCursor").is_some();
    holds(cursors || body["startIndex"].is_u64(), || "startIndex is no integer".to_owned())?;
    holds(shown == resources.len() as u64, || format!("itemsPerPage {shown} for {} resources", resources.len()))?;
    holds(total >= shown, || format!("totalResults {total} for {shown} resources"))?;
    resources.iter().try_for_each(resource)
}

fn resource(body: &Value) -> Result<(), String> {
    schemas(body)?;
    if let Some(id) = body["id"].as_str()
        && (names(body, &format!("{CORE}User")) || names(body, &format!("{CORE}Group")))
    {
        holds(is_uuid(id), || format!("the id {id:?} is no lower-case UUID"))?;
    }
    booleans(body)?;
    match body["meta"]["resourceType"].as_str() {
        Some("User") => meta(body, "Users"),
        Some("Group") => meta(body, "Groups"),
        _ => Ok(()),
    }
}

/// The base schema first, no schema twice, an extension exactly if it has data.
fn schemas(body: &Value) -> Result<(), String> {
    let schemas = body["schemas"].as_array().ok_or("a body without schemas")?;
    let schemas: Vec<&str> = schemas.iter().filter_map(Value::as_str).collect();
    let first = schemas.first().copied().unwrap_or_default();
    holds(!first.is_empty() && !first.starts_with(EXTENSION), || format!("schemas begins with {first:?}"))?;
    for (index, urn) in schemas.iter().enumerate() {
        holds(!schemas[..index].contains(urn), || format!("{urn} is named twice"))?;
        let announced_only = urn.starts_with(EXTENSION) && body.get(urn).is_none();
        // A projection may leave the data out, and then `meta` too.
        holds(!announced_only || body.get("meta").is_none(), || format!("{urn} is named without data"))?;
    }
    let members = body.as_object().into_iter().flatten();
    for (name, _) in members.filter(|(name, _)| name.starts_with("urn:")) {
        holds(schemas.contains(&name.as_str()), || format!("{name} has data and is not in schemas"))?;
    }
    Ok(())
}

fn booleans(body: &Value) -> Result<(), String> {
    let active = &body["active"];
    holds(active.is_null() || active.is_boolean(), || format!("active is {active}"))?;
    for list in body.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_array()) {
        for primary in list.iter().filter_map(|element| element.get("primary")) {
            holds(primary.is_boolean(), || format!("primary is {primary}"))?;
        }
        let primaries = list.iter().filter(|element| element["primary"] == true).count();
        holds(primaries <= 1, || format!("{primaries} primary values"))?;
    }
    Ok(())
}

fn meta(body: &Value, endpoint: &str) -> Result<(), String> {
    let meta = &body["meta"];
    let id = body["id"].as_str().ok_or("a resource without id")?;
    let (created, modified) = (time(&meta["created"])?, time(&meta["lastModified"])?);
    holds(created <= modified, || format!("created {created} after lastModified {modified}"))?;
    holds(modified <= Utc::now(), || format!("lastModified {modified} is in the future"))?;
    let location = meta["location"].as_str().unwrap_or_default();
    let end = format!("/scim/v2/{endpoint}/{id}");
    let fits = location.starts_with("http") && location.ends_with(&end) && !location.contains("/api/");
    holds(fits, || format!("meta.location is {location:?}"))
}

fn headers(response: &Response, body: &Value) -> Result<(), String> {
    let (version, location) = (body["meta"]["version"].as_str(), body["meta"]["location"].as_str());
    let is_user_or_group = matches!(body["meta"]["resourceType"].as_str(), Some("User" | "Group"));
    if is_user_or_group {
        holds(version.is_some(), || "a resource without meta.version".to_owned())?;
        holds(response.header("etag") == version, || {
            format!("ETag {:?} is not meta.version {version:?}", response.header("etag"))
        })?;
    }
    if response.status == 201 && body.get("meta").is_some() {
        holds(response.header("location") == location, || {
            format!("Location {:?} is not meta.location {location:?}", response.header("location"))
        })?;
    }
    Ok(())
}

fn time(value: &Value) -> Result<DateTime<Utc>, String> {
    let text = value.as_str().unwrap_or_default();
    holds(is_time(text), || format!("{value} is no time like 2026-03-01T09:30:00.123Z"))?;
    let time = DateTime::parse_from_rfc3339(text).map_err(|error| format!("{text}: {error}"))?;
    Ok(time.with_timezone(&Utc))
}

fn no_null(value: &Value, at: &str) -> Result<(), String> {
    match value {
        Value::Null => Err(format!("{at} is null")),
        Value::Array(elements) => elements.iter().try_for_each(|element| no_null(element, at)),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| no_null(value, &format!("{at}/{name}"))),
        _ => Ok(()),
    }
}

fn names(body: &Value, urn: &str) -> bool {
    body["schemas"].as_array().is_some_and(|schemas| schemas.iter().any(|one| one == urn))
}

fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}
