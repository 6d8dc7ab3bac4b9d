//! Around every request: an id, a line in the log, a measurement, a span.
//!
//! Paths, query strings and bodies hold ids and personal data; what is logged is the pattern of the route (SEC-02).

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use fastrand::Rng;
use tracing::Instrument;
use uuid::{Builder, NoContext, Timestamp, Uuid};

use super::traffic::{Passage, Traffic};
use super::{metrics, trace};
use crate::auth::Caller;

/// The id of a request, in logs, in the history and in the answer's header.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub Arc<str>);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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
    let answered = async {
        let response = next.call(request).await?;
        let (route, status, took) = (route(response.request()), response.status().as_u16(), started.elapsed());
        log(response.request(), method, &route, status, took.as_micros() as u64);
        Ok::<_, actix_web::Error>((response, route, status, took))
    };
    let (mut response, route, status, took) = answered.instrument(span).instrument(trace.clone()).await?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if traffic.is_draining() {
        // The next request shall go to a server that stays.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    trace::end(&trace, response.request(), method, &route, status);
    metrics::request(route, method, status, took);
    Ok(response)
}

thread_local! {
    /// It tells requests apart and keeps no secret, so that it need not ask the operating system more than once.
    static RANDOM: RefCell<Rng> = RefCell::new(Rng::with_seed(seed()));
}

fn seed() -> u64 {
    getrandom::u64().expect("the operating system gives random bytes")
}

/// Requests are not sorted by their ids: an id is unique without the counter that orders those of one millisecond, and
/// without its lock.
fn fresh_id() -> Arc<str> {
    let (seconds, nanos) = Timestamp::now(NoContext).to_unix();
    let mut random = [0; 10];
    RANDOM.with_borrow_mut(|rng| rng.fill(&mut random));
    let id = Builder::from_unix_timestamp_millis(seconds * 1_000 + u64::from(nanos / 1_000_000), &random).into_uuid();
    (&*id.hyphenated().encode_lower(&mut Uuid::encode_buffer())).into()
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_requests_are_uuids_of_version_7_and_differ_among_threads() {
        let some = || -> Vec<Arc<str>> { (0..1_000).map(|_| fresh_id()).collect() };
        let elsewhere = std::thread::spawn(some);
        let ids: HashSet<Arc<str>> = some().into_iter().chain(elsewhere.join().expect("it makes ids")).collect();

        assert_eq!(ids.len(), 2_000);
        for id in &ids {
            let parsed: Uuid = id.parse().expect("an id is a UUID");
            assert_eq!((parsed.get_version_num(), parsed.to_string().as_str()), (7, &**id));
        }
    }
}
