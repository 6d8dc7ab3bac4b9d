//! For whoever watches the server: is the process there, can it serve, what has it done. Without personal data.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{HttpResponse, guard};

use super::{Service, metrics, respond};

/// `/healthz`, `/readyz` and `/metrics`.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    let reads = || guard::Any(guard::Get()).or(guard::Head());
    app.service(web::resource("/healthz").guard(reads()).to(alive));
    app.service(web::resource("/readyz").guard(reads()).to(ready));
    app.service(web::resource("/metrics").guard(reads()).to(measurements));
}

/// The process serves requests.
async fn alive() -> HttpResponse {
    respond::text(StatusCode::OK, "ok\n".to_owned())
}

/// The database answers and is migrated, and the server is not stopping.
async fn ready(service: Data<Service>) -> HttpResponse {
    match service.provider.ready().await {
        Ok(()) => respond::text(StatusCode::OK, "ok\n".to_owned()),
        Err(error) => respond::text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

/// Measurements for Prometheus.
async fn measurements(service: Data<Service>) -> HttpResponse {
    metrics::gather(&service);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics::render())
}
