//! Around every request: an id, a line in the log, a measurement, a span.
//!
//! Paths, query strings and bodies hold ids and personal data; what is logged is the pattern of the route (SEC-02).

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use tracing::Instrument;
use uuid::{NoContext, Timestamp, Uuid};

use super::traffic::{Passage, Traffic};
use super::{metrics, trace};
use crate::auth::Caller;

/// The id of a request, in logs, in the history and in the answer's header.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub Arc<str>);

/// The middleware.
pub(super) async fn request(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    let traffic = request.app_data::<Data<Traffic>>().expect("every application counts its requests").clone();
    let _passage = Passage::enter(traffic.clone());
    let id = fresh_id();
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let span = tracing::info_span!("request", id = %id);
    let method = method_name(request.method());
    let trace = trace::begin(&request, method, &id);
    let mut response = next.call(request).instrument(span.clone()).instrument(trace.clone()).await?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    if traffic.is_draining() {
        // The next request shall go to a server that stays.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let (route, status, took) = (route(response.request()), response.status().as_u16(), started.elapsed());
    span.in_scope(|| log(response.request(), method, &route, status, took.as_micros() as u64));
    trace::end(&trace, response.request(), method, &route, status);
    metrics::request(route, method, status, took);
    Ok(response)
}

/// Requests are not sorted by their ids: without the counter that orders those of one millisecond, an id costs one system
/// call instead of two, and no lock.
fn fresh_id() -> Arc<str> {
    Uuid::new_v7(Timestamp::now(NoContext)).to_string().into()
}

/// The pattern of the route, `/scim/v2/Users/{id}`.
fn route(request: &HttpRequest) -> String {
    request.match_pattern().unwrap_or_else(|| "unknown".to_owned())
}

/// Methods that nobody uses must not become labels without end.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn log(request: &HttpRequest, method: &str, route: &str, status: u16, micros: u64) {
    match request.extensions().get::<Arc<Caller>>() {
        Some(caller) => {
            tracing::info!(method, route, status, micros, tenant = caller.tenant, key = caller.key_id, "answered");
        }
        None => tracing::info!(method, route, status, micros, "answered"),
    }
}
