//! The span of a request, for a tracing backend: what was asked, by whom, and how it ended (the semantic conventions of
//! OpenTelemetry for HTTP). No path, query string, header or address: they hold ids and personal data (SEC-02).

use std::sync::Arc;

use actix_web::dev::ServiceRequest;
use actix_web::{HttpMessage, HttpRequest};
use tracing::Span;
use tracing::field::Empty;

use super::routes;
use crate::auth::Caller;
use crate::telemetry::traces::{self, ROOT, TRACES};

/// The span, in the caller's trace where he has one. Health and metrics, asked for all day long, have none.
pub(super) fn begin(request: &ServiceRequest, method: &str, id: &str) -> Span {
    if !traces::CAN_BE_SENT || routes::is_health(request.path()) {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TRACES,
        ROOT,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = if method == "other" { "_OTHER" } else { method },
        http.route = Empty,
        http.response.status_code = Empty,
        scimd.request_id = id,
        scimd.tenant = Empty,
        scimd.key_id = Empty,
    );
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    traces::continue_from(&span, traceparent);
    span
}

/// Says how it ended. `route` is the pattern.
pub(super) fn end(span: &Span, request: &HttpRequest, method: &str, route: &str, status: u16) {
    if span.is_disabled() {
        return;
    }
    traces::rename(span, format!("{method} {route}"));
    span.record("http.route", route);
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
    if let Some(caller) = request.extensions().get::<Arc<Caller>>() {
        span.record("scimd.tenant", caller.tenant.as_str());
        span.record("scimd.key_id", caller.key_id.as_str());
    }
}
