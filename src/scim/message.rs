//! The envelopes of the protocol: message URNs, lists and errors (RFC 7644 §3.1, §3.4.2, §3.12). It knows nothing of
//! what lies in them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::json::member;
use super::{Error, ErrorKind, Result};

/// The media type of every body (RFC 7644 §8.1).
pub const MEDIA_TYPE: &str = "application/scim+json";

/// The URN of the answer to a query.
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The URN of a query in a body.
pub const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The URN of a PATCH request.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The URN of a bulk request.
pub const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The URN of the answer to a bulk request.
pub const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// The URN of an error.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The largest body of a request, in bytes; advertised as `bulk.maxPayloadSize`.
pub const MAX_BODY: usize = 10 * 1024 * 1024;
/// The most operations in one PATCH or bulk request; advertised as `bulk.maxOperations`, which some clients apply to
/// PATCH as well.
pub const MAX_OPERATIONS: usize = 1000;

/// Holds a body to be one of what this URN stands for: a message, or a resource by its base schema (RES-19, PATCH-01,
/// BULK-01, SRCH-02).
///
/// # Errors
/// `invalidSyntax` if its `schemas` is no array that names the URN.
pub fn check_schemas(body: &Map<String, Value>, urn: &str) -> Result<()> {
    let named = member(body, "schemas").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if named.iter().any(|named| named.as_str().is_some_and(|named| named.eq_ignore_ascii_case(urn))) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidSyntax, format!("schemas must be an array that contains {urn}.")))
}

/// The body of every answer that says no: the status as text, the `scimType` if there is one, a sentence (ERR-01).
pub fn error_body(error: &Error) -> Value {
    let mut body = json!({"schemas": [ERROR], "status": error.kind().status().to_string()});
    if let Some(scim_type) = error.kind().scim_type() {
        body["scimType"] = json!(scim_type);
    }
    body["detail"] = json!(error.detail());
    body
}

/// The answer to a query (RFC 7644 §3.4.2, RFC 9865 §2). `Resources` comes last, and is there even when it is empty
/// (QRY-02); `itemsPerPage` is its length (PAGE-05).
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListResponse<R> {
    schemas: [&'static str; 1],
    total_results: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<u64>,
    items_per_page: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_cursor: Option<String>,
    #[serde(rename = "Resources")]
    resources: R,
}

/// How the JSON text of the answer to a query begins: `total` counts all matches, `start_index` is the position of the first
/// of so many resources. Their texts follow with commas between them, and [`LIST_END`].
pub fn list_start(total: u64, start_index: u64, count: usize) -> String {
    start(ListResponse { start_index: Some(start_index), ..of_resources(total, count) })
}

/// The same for a query by cursor: the cursors of the pages around this one, where there are such pages.
pub fn cursor_list_start(total: u64, next: Option<String>, previous: Option<String>, count: usize) -> String {
    start(ListResponse { next_cursor: next, previous_cursor: previous, ..of_resources(total, count) })
}

/// What follows the resources in the answer to a query.
pub const LIST_END: &str = "]}";

/// The same for all that there is, on one page.
pub fn whole_list(resources: Vec<Value>) -> Value {
    json!(ListResponse {
        schemas: [LIST_RESPONSE],
        total_results: resources.len() as u64,
        start_index: Some(1),
        items_per_page: resources.len(),
        resources,
        ..ListResponse::default()
    })
}

/// A page is large, and its resources are text already: of these nothing stands in the list.
fn of_resources(total: u64, count: usize) -> ListResponse<[Value; 0]> {
    ListResponse { schemas: [LIST_RESPONSE], total_results: total, items_per_page: count, ..ListResponse::default() }
}

fn start(list: ListResponse<[Value; 0]>) -> String {
    let mut text = serde_json::to_string(&list).expect("texts and numbers are JSON");
    assert!(text.ends_with(LIST_END), "the resources come last, and there are none");
    text.truncate(text.len() - LIST_END.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn err_01_an_error_says_its_status_as_text() {
        let error = Error::new(ErrorKind::Uniqueness, "userName 'ines' is already in use.");
        assert_eq!(
            error_body(&error).to_string(),
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness","detail":"userName 'ines' is already in use."}"#
        );
    }

    #[test]
    fn err_01_a_scim_type_is_there_only_where_the_tables_have_one() {
        let body = error_body(&Error::new(ErrorKind::NotFound, "No such user."));
        assert_eq!(body, json!({"schemas": [ERROR], "status": "404", "detail": "No such user."}));
    }

    #[test]
    fn err_03_the_cause_of_an_internal_error_stays_inside() {
        let body = error_body(&Error::internal("SELECT secret FROM users")).to_string();
        assert!(!body.contains("secret"), "{body}");
    }

    #[test]
    fn qry_02_an_empty_list_has_resources() {
        assert_eq!(
            list_start(0, 1, 0) + LIST_END,
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}"#
        );
    }

    #[test]
    fn cur_01_cur_04_a_page_of_a_walk_has_a_total_and_no_index() {
        let list = cursor_list_start(3, Some("n".to_owned()), None, 1) + r#"{"id":"1"}"# + LIST_END;
        assert_eq!(
            list,
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":3,"itemsPerPage":1,"nextCursor":"n","Resources":[{"id":"1"}]}"#
        );
    }

    #[test]
    fn page_05_items_per_page_counts_what_is_there() {
        let list = list_start(100, 11, 2) + r#"{"id":"1"},{"id":"2"}"# + LIST_END;
        let list: Value = serde_json::from_str(&list).expect("JSON");
        assert_eq!(
            (&list["totalResults"], &list["startIndex"], &list["itemsPerPage"]),
            (&json!(100), &json!(11), &json!(2))
        );
    }
}
