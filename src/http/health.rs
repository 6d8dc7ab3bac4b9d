//! For whoever watches the server: is the process there, can it serve, what has it done. Without personal data.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;

use super::traffic::Traffic;
use super::{Service, metrics, respond};

/// `GET /healthz`: the process serves requests.
pub(super) async fn alive() -> HttpResponse {
    respond::text(StatusCode::OK, "ok\n".to_owned())
}

/// `GET /readyz`: the database answers and is migrated, and the server is not stopping.
pub(super) async fn ready(service: Data<Service>, traffic: Data<Traffic>) -> HttpResponse {
    if traffic.is_draining() {
        return respond::text(StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
    }
    match service.provider.ready().await {
        Ok(()) => respond::text(StatusCode::OK, "ok\n".to_owned()),
        Err(error) => respond::text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

/// `GET /metrics`: measurements for Prometheus.
pub(super) async fn measurements(service: Data<Service>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics::page(&service))
}
