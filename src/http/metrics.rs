//! Measurements for Prometheus: names, and where they come from.
//!
//! A scrape reads what is in memory. What the database alone knows is looked up every few seconds, whether or not
//! anybody scrapes, so that scrapes cost nothing and answer while the database does not.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;

use super::Service;
use crate::auth::Refusal;
use crate::provider::{CHANGES_PER_COMMIT, COMMIT_SECONDS, EXPIRY_DAYS, Provider, Survey};

const REQUEST_SECONDS: &str = "scimd_http_request_duration_seconds";
const SHED_REQUESTS: &str = "scimd_shed_requests_total";
const REFUSED_KEYS: &str = "scimd_refused_keys_total";
const ARGON2_RUNS: &str = "scimd_argon2_runs_total";
const WAITING_WRITES: &str = "scimd_waiting_writes";
const CONNECTIONS: &str = "scimd_database_connections";
const MOST_CONNECTIONS: &str = "scimd_database_connections_max";
const UNRESOLVED_MEMBERS: &str = "scimd_unresolved_members";
const KEYS_EXPIRING: &str = "scimd_keys_expiring";
const LAST_WRITE: &str = "scimd_last_write_timestamp_seconds";
const BUILD: &str = "scimd_build_info";

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Makes this process keep measurements, and starts what keeps them small and up to date. Within a runtime.
pub(super) fn install(provider: Provider) {
    let handle = HANDLE.get_or_init(recorder);
    actix_web::rt::spawn(async move {
        loop {
            // Measurements pile up until somebody sums them up, and nobody may ever ask for them.
            handle.run_upkeep();
            if let Ok(survey) = provider.survey().await {
                note(&survey);
            }
            tokio::time::sleep(UPKEEP).await;
        }
    });
}

/// How often.
const UPKEEP: Duration = Duration::from_secs(10);

/// What was not seen for so long is not told any more: a tenant that is gone, or a database that does not answer.
const FORGET: Duration = Duration::from_secs(60);

fn recorder() -> PrometheusHandle {
    let recorder = build().expect("no list of buckets is empty");
    let handle = recorder.handle();
    // Somebody else's recorder in the same process keeps its place.
    drop(metrics::set_global_recorder(recorder));
    describe_histogram!(REQUEST_SECONDS, "How long requests took, by route, method and status.");
    describe_histogram!(COMMIT_SECONDS, "How long commits to the database took.");
    describe_histogram!(CHANGES_PER_COMMIT, "How many changes were committed together.");
    describe_counter!(SHED_REQUESTS, "Requests answered with 429 because too much was under way.");
    describe_counter!(REFUSED_KEYS, "Requests without a valid key, by reason.");
    describe_counter!(ARGON2_RUNS, "How often argon2 ran, for keys and for passwords.");
    describe_gauge!(WAITING_WRITES, "Changes that wait for the one writer of SQLite.");
    describe_gauge!(CONNECTIONS, "Connections of the pool to the database, by state.");
    describe_gauge!(MOST_CONNECTIONS, "How many connections the pool may have.");
    describe_gauge!(UNRESOLVED_MEMBERS, "Members of groups that no live resource has.");
    describe_gauge!(KEYS_EXPIRING, "Keys without a successor that end within so many days, by tenant.");
    describe_gauge!(LAST_WRITE, "When a client last changed something, by tenant.");
    describe_gauge!(BUILD, "1, with the version of the program.");
    // What happens for the first time is seen as a change only if it was 0 before.
    counter!(SHED_REQUESTS).increment(0);
    handle
}

fn build() -> Result<PrometheusRecorder, BuildError> {
    let seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(REQUEST_SECONDS.to_owned()), &seconds)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_SECONDS.to_owned()), &seconds)?
        .set_buckets_for_metric(
            Matcher::Full(CHANGES_PER_COMMIT.to_owned()),
            &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0],
        )?;
    Ok(builder.idle_timeout(MetricKindMask::GAUGE, Some(FORGET)).build_recorder())
}

thread_local! {
    /// Where this thread has noted requests, by route, method and status: as many as there are of these labels. Asking the
    /// recorder each time costs ten times as much as the noting. It keeps them all: gauges alone are ever [forgotten](FORGET).
    static PLACES: RefCell<HashMap<(String, &'static str, u16), Histogram>> = RefCell::default();
}

/// Notes one request. `route` is the pattern, never the path: ids and names stay out.
pub(super) fn request(route: String, method: &'static str, status: u16, took: Duration) {
    PLACES.with_borrow_mut(|places| {
        let place = places.entry((route, method, status)).or_insert_with_key(place);
        place.record(took.as_secs_f64());
    });
}

fn place((route, method, status): &(String, &'static str, u16)) -> Histogram {
    histogram!(REQUEST_SECONDS, "route" => route.clone(), "method" => *method, "status" => status.to_string())
}

/// Notes that a request was sent away because too much was under way.
pub(super) fn shed() {
    counter!(SHED_REQUESTS).increment(1);
}

fn note(survey: &Survey) {
    for tenant in &survey.tenants {
        for (days, keys) in EXPIRY_DAYS.iter().zip(tenant.keys_expiring) {
            gauge!(KEYS_EXPIRING, "tenant" => tenant.name.clone(), "days" => days.to_string()).set(keys as f64);
        }
        if let Some(at) = tenant.last_write {
            let seconds = at.and_utc().timestamp_millis() as f64 / 1_000.0;
            gauge!(LAST_WRITE, "tenant" => tenant.name.clone()).set(seconds);
        }
    }
    // The last, so that whoever sees it sees the others.
    gauge!(UNRESOLVED_MEMBERS).set(survey.unresolved_members as f64);
}

/// Brings what is counted elsewhere up to date.
fn gather(service: &Service) {
    let health = service.provider.health();
    gauge!(WAITING_WRITES).set(health.waiting_writes as f64);
    gauge!(CONNECTIONS, "state" => "busy").set(health.pool.busy);
    gauge!(CONNECTIONS, "state" => "idle").set(health.pool.idle);
    gauge!(MOST_CONNECTIONS).set(health.pool.most);
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let counters = service.authenticator.counters();
    counter!(ARGON2_RUNS, "of" => "key").absolute(counters.argon2_runs());
    counter!(ARGON2_RUNS, "of" => "password").absolute(health.password_argon2_runs);
    for reason in Refusal::ALL {
        counter!(REFUSED_KEYS, "reason" => reason.label()).absolute(counters.refused(reason));
    }
}

/// The page that Prometheus reads.
pub(super) fn page(service: &Service) -> String {
    gather(service);
    HANDLE.get().map(PrometheusHandle::render).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::http::respond;
    use crate::scim::{Error, ErrorKind};

    #[test]
    fn only_requests_that_are_sent_away_count_as_shed() {
        let recorder = build().unwrap();
        let request = TestRequest::default().to_http_request();

        metrics::with_local_recorder(&recorder, || {
            for kind in [ErrorKind::Busy, ErrorKind::Unavailable, ErrorKind::NotFound, ErrorKind::Busy] {
                respond::error(&request, &Error::new(kind, "A sentence."));
            }
        });

        let page = recorder.handle().render();
        assert!(page.contains("scimd_shed_requests_total 2\n"), "{page}");
    }
}
