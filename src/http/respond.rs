//! Results and failures as responses: the one place that knows media types, `ETag`, `Location` and the error body.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde_json::Value;

use super::{long, metrics};
use crate::auth::{self, Caller};
use crate::provider::{Listed, Paged, Representation, Results, Text};
use crate::scim::message::{self, LIST_END, MEDIA_TYPE};
use crate::scim::version::{Tag, if_none_match_holds};
use crate::scim::{Error, ErrorKind};

/// One resource, with its version and its place (VER-01, RES-12).
pub(super) fn resource<T: Into<Text>>(
    request: &HttpRequest,
    status: StatusCode,
    representation: Representation<T>,
) -> HttpResponse {
    let mut response = json_builder(request, status);
    placed(&mut response, &representation.tag, representation.location);
    match representation.text.into() {
        Text::Short(text) => response.body(text),
        text => response.body(long::body(request.method(), String::new(), text)),
    }
}

/// One resource, or 304 if the client has this representation (VER-03).
pub(super) fn resource_unless_known(
    request: &HttpRequest,
    if_none_match: Option<&str>,
    representation: Representation<impl Into<Text>>,
) -> HttpResponse {
    if if_none_match.is_none_or(|header| if_none_match_holds(header, &representation.tag)) {
        return resource(request, StatusCode::OK, representation);
    }
    let mut response = HttpResponse::NotModified();
    placed(&mut response, &representation.tag, representation.location);
    cached(&mut response);
    response.finish()
}

fn placed(response: &mut HttpResponseBuilder, tag: &Tag, location: String) {
    response.insert_header((header::ETAG, tag.to_string()));
    if let Ok(location) = HeaderValue::try_from(location) {
        response.insert_header((header::CONTENT_LOCATION, location.clone()));
        response.insert_header((header::LOCATION, location));
    }
}

/// 304, before it is said of what.
pub(super) fn not_modified() -> HttpResponse {
    let mut response = HttpResponse::NotModified();
    cached(&mut response);
    response.finish()
}

/// A write without a body; `preferred` by the client with `Prefer: return=minimal` (PATCH-09), or because the resource is
/// large.
pub(super) fn no_body(representation: &Representation, preferred: bool) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    response.insert_header((header::ETAG, representation.tag.to_string()));
    response.insert_header((header::LOCATION, representation.location.clone()));
    let mut response = response.finish();
    if preferred {
        apply_preference(&mut response, MINIMAL);
    }
    response
}

/// The preference for an answer without a body (RFC 7240 §4.2).
pub(super) const MINIMAL: &str = "return=minimal";

/// Says that a preference of the client was heeded (RFC 7240 §3).
pub(super) fn apply_preference(response: &mut HttpResponse, preference: &'static str) {
    let name = header::HeaderName::from_static("preference-applied");
    response.headers_mut().insert(name, HeaderValue::from_static(preference));
}

/// 204.
pub(super) fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// 204, with the place of the resource that was asked for by another name.
pub(super) fn no_content_of(location: String) -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::LOCATION, location)).finish()
}

/// A JSON document that is no message of SCIM, and that only the holder of this key sees. It may hold a token, so nobody
/// keeps it.
pub(super) fn plain_json(document: &Value) -> HttpResponse {
    json_body(&mut unkept_json(StatusCode::OK), document)
}

/// The same, of something that was just made and stands there from now on.
pub(super) fn made(location: &str, document: &Value) -> HttpResponse {
    let mut response = unkept_json(StatusCode::CREATED);
    response.insert_header((header::LOCATION, location));
    json_body(&mut response, document)
}

fn unkept_json(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, "application/json"));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

/// Any JSON document that is text already.
pub(super) fn json_text(request: &HttpRequest, document: web::Bytes) -> HttpResponse {
    json_builder(request, StatusCode::OK).body(document)
}

/// A failure, as SCIM says it (RFC 7644 §3.12). The one place that logs a fault of ours, once, with its causes.
pub(super) fn error(request: &HttpRequest, error: &Error) -> HttpResponse {
    let kind = error.kind();
    match kind {
        ErrorKind::Internal => tracing::error!(causes = causes(error), "request failed"),
        ErrorKind::Unavailable => tracing::warn!(causes = causes(error), "not available"),
        ErrorKind::Busy => {
            metrics::shed();
            tracing::debug!("request shed");
        }
        _ => tracing::debug!(?kind, "request refused"),
    }
    let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_builder(request, status);
    match kind {
        ErrorKind::Unauthorized => {
            response.insert_header((header::WWW_AUTHENTICATE, challenge(request)));
        }
        // Who is refused before the key is looked at lacks no scope.
        ErrorKind::Forbidden if request.extensions().contains::<Arc<Caller>>() => {
            response.insert_header((header::WWW_AUTHENTICATE, r#"Bearer realm="scim", error="insufficient_scope""#));
        }
        ErrorKind::Busy | ErrorKind::Unavailable => {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        // Which content codings would do (RFC 9110 §15.5.16).
        ErrorKind::UnsupportedMediaType if request.headers().contains_key(header::CONTENT_ENCODING) => {
            response.insert_header((header::ACCEPT_ENCODING, "identity"));
        }
        // What is still to come of the body would be taken for the next request (RFC 9110 §15.5.9).
        ErrorKind::Timeout => {
            response.force_close();
        }
        _ => {}
    }
    let mut body = message::error_body(error);
    if kind == ErrorKind::Internal {
        let request_id = request.extensions().get::<super::observe::RequestId>().map(|id| id.0.to_string());
        body["detail"] = format!("{} Request id: {}.", error.detail(), request_id.unwrap_or_default()).into();
    }
    json_body(&mut response, &body)
}

fn causes(error: &Error) -> String {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}

/// `invalid_token` only if a token was presented (RFC 6750 §3.1).
fn challenge(request: &HttpRequest) -> &'static str {
    let authorization = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    match authorization.and_then(auth::bearer) {
        Some(_) => r#"Bearer realm="scim", error="invalid_token""#,
        None => r#"Bearer realm="scim""#,
    }
}

fn json_builder(request: &HttpRequest, status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, media_type(request)));
    cached(&mut response);
    response
}

/// What caches are told: personal data is asked for again each time (HTTP-12), and a stored answer is one for this key
/// and media type.
fn cached(response: &mut HttpResponseBuilder) {
    const FOR_ONE: HeaderValue = HeaderValue::from_static("private, no-cache");
    const OF_WHAT: HeaderValue = HeaderValue::from_static("Accept, Authorization");
    response.insert_header((header::CACHE_CONTROL, FOR_ONE));
    response.insert_header((header::VARY, OF_WHAT));
}

/// `application/scim+json`, unless the client takes plain JSON and nothing else. An odd `Accept` never fails a request.
fn media_type(request: &HttpRequest) -> HeaderValue {
    const OF_SCIM: HeaderValue = HeaderValue::from_static(MEDIA_TYPE);
    const PLAIN: HeaderValue = HeaderValue::from_static("application/json");
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mut accepted = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    let only_plain =
        !accept.is_empty() && accepted.all(|range| PLAIN.as_bytes().eq_ignore_ascii_case(range.as_bytes()));
    if only_plain { PLAIN } else { OF_SCIM }
}

fn json_body(response: &mut HttpResponseBuilder, document: &impl serde::Serialize) -> HttpResponse {
    match serde_json::to_vec(document) {
        Ok(bytes) => response.body(bytes),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// What an endpoint knows, for anybody (HTTP-13).
pub(super) async fn options(mut payload: web::Payload, allow: Arc<str>) -> HttpResponse {
    super::body::drain(&mut payload).await;
    HttpResponse::NoContent().insert_header((header::ALLOW, &*allow)).finish()
}

/// A plain page for operators' tools.
pub(super) fn text(status: StatusCode, text: String) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(text)
}

/// The answer to a query.
pub(super) fn list(request: &HttpRequest, found: Results<Listed>) -> HttpResponse {
    let Listed { count, mut text } = found.resources;
    let start = match found.paged {
        Paged::ByIndex(start_index) => message::list_start(found.total, start_index, count),
        Paged::ByCursor { next, previous } => message::cursor_list_start(found.total, next, previous, count),
    };
    text.push(LIST_END);
    match text {
        Text::Short(text) if text.len() <= long::PIECE => json_text(request, [start, text].concat().into()),
        text => json_builder(request, StatusCode::OK).body(long::body(request.method(), start, text)),
    }
}
