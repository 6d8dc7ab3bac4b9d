//! Sends spans by OTLP over HTTP, from a thread of its own: a collector that is slow or gone costs spans, never requests.
//!
//! Beside the endpoint, the libraries heed the standard variables `OTEL_*` for headers, time-outs, batches, sampling and
//! the resource.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::{ROOT, TRACES};
use crate::outbound::{self, BaseUrl};

/// What sends the spans; when dropped, it sends those that wait first.
#[derive(Debug)]
pub(in crate::telemetry) struct Sender(SdkTracerProvider);

/// How long the last spans may take at the end of the process.
const FAREWELL: Duration = Duration::from_secs(3);

/// As the specification of OTLP has it, where `OTEL_EXPORTER_OTLP_TIMEOUT` says nothing else: the libraries give up by
/// themselves, and this bounds the connection that they do not see.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than any collector has to say.
const MAX_ANSWER: u64 = 1024 * 1024;

impl Sender {
    /// `endpoint` is the whole URL, `http://127.0.0.1:4318/v1/traces`.
    ///
    /// # Errors
    /// Why the libraries do not take it.
    pub(in crate::telemetry) fn start(endpoint: &str) -> Result<Sender, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new(&BaseUrl::parse(endpoint, "http://127.0.0.1:4318/v1/traces")?))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Sender(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build()))
    }

    /// What hands spans over.
    pub(in crate::telemetry) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        // What runs outside of a request, health checks and looks at the data, would be traces of one span each.
        let ours = dynamic_filter_fn(|metadata, context| {
            metadata.is_span()
                && metadata.target() == TRACES
                && (metadata.name() == ROOT || context.lookup_current().is_some())
        });
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("scimd"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            // Nothing here looks for a current span by the means of OpenTelemetry.
            .with_context_activation(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
            .boxed()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(FAREWELL) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Who sends: the name `scimd` unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` has another one.
fn resource() -> Resource {
    let standard = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let standard = standard.build();
    let name = standard.get(&Key::new("service.name")).map(|name| name.to_string());
    if name.is_some_and(|name| !name.starts_with("unknown_service")) {
        return standard;
    }
    let attributes = standard.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty().with_attributes(attributes).with_service_name("scimd").build()
}

pub(super) fn continue_from(span: &Span, traceparent: Option<&str>) {
    use opentelemetry::propagation::TextMapPropagator;

    let Some(traceparent) = traceparent.filter(|_| !span.is_disabled()) else { return };
    let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract(&headers);
    // It fails for spans that are sent nowhere.
    let _ = span.set_parent(parent);
}

pub(super) fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// The HTTP client that scimd has anyway, for whoever waits in a thread of his own.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new(endpoint: &BaseUrl) -> Client {
        let config = ureq::Agent::config_builder()
            .proxy(outbound::proxy(endpoint))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(PATIENCE))
            .tls_config(outbound::tls(endpoint))
            .user_agent(concat!("scimd/", env!("CARGO_PKG_VERSION")))
            .build();
        Client(config.into())
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let response = self.0.run(Request::from_parts(head, body.as_ref()))?;
        let (head, mut body) = response.into_parts();
        let body = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}
