//! What answers where no operation does: unknown paths, unknown versions, methods that an endpoint does not have, and
//! endpoints that are not offered.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::exchange::{Exchange, for_caller};
use super::{body, respond};
use crate::scim::{Error, ErrorKind, Result};

/// No endpoint has this path.
pub(super) async fn unknown_endpoint(request: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    body::drain(&mut payload).await;
    respond::error(&request, &Error::new(ErrorKind::NotFound, "There is no such endpoint."))
}

/// A version of the protocol that nobody speaks here (RFC 7644 §3.13).
pub(super) async fn unknown_version(request: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    body::drain(&mut payload).await;
    respond::error(&request, &Error::new(ErrorKind::InvalidVersion, "This server speaks version 2 of SCIM: /scim/v2."))
}

/// An endpoint of the RFC that this server does not offer (yet): 501 for callers with a key.
pub(super) async fn not_offered(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.ignore_body().await;
        Result::Err(Error::new(ErrorKind::NotImplemented, "This server does not offer this endpoint."))
    })
    .await
}

/// The endpoint does not know the method (HTTP-05).
pub(super) async fn method_not_allowed(
    request: HttpRequest,
    mut payload: web::Payload,
    allow: Arc<str>,
) -> HttpResponse {
    body::drain(&mut payload).await;
    let detail = format!("{} is not allowed here; allowed: {allow}.", shown(request.method()));
    let mut response = respond::error(&request, &Error::new(ErrorKind::MethodNotAllowed, detail));
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

fn shown(method: &Method) -> String {
    method.as_str().chars().take(20).collect()
}
