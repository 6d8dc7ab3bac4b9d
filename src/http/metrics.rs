//! Measurements for Prometheus: names, and where they come from.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::Service;
use crate::auth::Refusal;
use crate::provider::Provider;

const REQUEST_SECONDS: &str = "scimd_http_request_duration_seconds";

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Makes this process keep measurements, and starts what keeps them small and up to date. Within a runtime.
pub(super) fn install(provider: Provider) {
    let handle = HANDLE.get_or_init(recorder);
    actix_web::rt::spawn(async move {
        loop {
            // Measurements pile up until somebody sums them up, and nobody may ever ask for them.
            handle.run_upkeep();
            if let Ok(unresolved) = provider.count_unresolved_members().await {
                gauge!("scimd_unresolved_members").set(unresolved as f64);
            }
            tokio::time::sleep(UPKEEP).await;
        }
    });
}

/// How often.
const UPKEEP: Duration = Duration::from_secs(10);

fn recorder() -> PrometheusHandle {
    let buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(REQUEST_SECONDS.to_owned()), &buckets)
        .expect("the list of buckets is not empty");
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // Somebody else's recorder in the same process keeps its place.
    drop(metrics::set_global_recorder(recorder));
    metrics::describe_histogram!(REQUEST_SECONDS, "How long requests took, by route, method and status.");
    metrics::describe_gauge!("scimd_unresolved_members", "Members of groups that no live resource has.");
    metrics::describe_gauge!("scimd_waiting_writes", "Changes that wait for the one writer of SQLite.");
    metrics::describe_counter!("scimd_argon2_runs_total", "How often a token was checked against its slow hash.");
    metrics::describe_counter!("scimd_refused_keys_total", "Requests without a valid key, by reason.");
    handle
}

/// Notes one request. `route` is the pattern, never the path: ids and names stay out.
pub(super) fn request(route: String, method: &'static str, status: u16, took: Duration) {
    histogram!(REQUEST_SECONDS, "route" => route, "method" => method, "status" => status.to_string())
        .record(took.as_secs_f64());
}

/// Brings what is counted elsewhere up to date.
pub(super) fn gather(service: &Service) {
    gauge!("scimd_waiting_writes").set(service.provider.waiting_writes() as f64);
    let counters = service.authenticator.counters();
    counter!("scimd_argon2_runs_total").absolute(counters.argon2_runs());
    for reason in Refusal::ALL {
        counter!("scimd_refused_keys_total", "reason" => reason.label()).absolute(counters.refused(reason));
    }
}

/// The page that Prometheus reads.
pub(super) fn render() -> String {
    HANDLE.get().map(PrometheusHandle::render).unwrap_or_default()
}
