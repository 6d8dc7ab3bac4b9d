//! Traces as a collector gets them from the real program (feature `otlp`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::json;

use super::support::http::Client;
use super::{Server, Workplace, key_id, on_each_database, text};

/// What takes spans on a port of its own.
struct Collector {
    endpoint: String,
    received: Receiver<Export>,
}

/// One request of the exporter.
struct Export {
    /// The request line and the headers, in lower case.
    head: String,
    message: ExportTraceServiceRequest,
}

impl Collector {
    fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, sender) = (stream.unwrap(), sender.clone());
                std::thread::spawn(move || take(BufReader::new(stream), &sender));
            }
        });
        Collector { endpoint, received }
    }

    /// What came until the program ended, which sends what is left before it ends.
    fn exports(self, server: Server) -> Vec<Export> {
        assert_eq!(server.stop(), Some(0));
        self.received.try_iter().collect()
    }
}

/// Takes and answers the requests of one connection.
fn take(mut stream: BufReader<TcpStream>, sender: &Sender<Export>) {
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        // Before the answer: whoever has the answer may end.
        let message = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let _ = sender.send(Export { head, message });
        stream
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    }
}

fn spans(exports: &[Export]) -> Vec<&Span> {
    let resources = exports.iter().flat_map(|export| &export.message.resource_spans);
    resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans).collect()
}

/// An attribute as text, "" where it is not there.
fn attribute(attributes: &[KeyValue], name: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == name).and_then(|attribute| attribute.value.clone());
    match value {
        Some(AnyValue { value: Some(Attribute::StringValue(text)) }) => text,
        Some(AnyValue { value: Some(Attribute::IntValue(number)) }) => number.to_string(),
        Some(other) => panic!("{name} is {other:?}"),
        None => String::new(),
    }
}

fn named<'a>(spans: &[&'a Span], name: &str) -> &'a Span {
    let shown: Vec<_> = spans.iter().map(|span| &span.name).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name} in {shown:?}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn sec_02_spans_tell_what_a_request_was_and_nothing_of_anybody() {
    on_each_database(|workplace| {
        workplace.succeed(&["tenant", "create", "acme"]);
        let token =
            workplace.succeed(&["key", "create", "--name", "secretive", "--tenant", "acme"]).trim_end().to_owned();
        let collector = Collector::start();
        let (server, address) = Server::start(workplace, &["serve", "--otlp-endpoint", &collector.endpoint]);
        let client = Client::new(&address);
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0b9902b7");
        let headers = [
            ("Authorization", format!("Bearer {token}")),
            ("Content-Type", "application/scim+json".to_owned()),
            ("Traceparent", format!("00-{trace}-{parent}-01")),
            ("Tracestate", "vendor=mira".to_owned()),
            ("User-Agent", "mira-agent".to_owned()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let body = json!({"userName": "mira@secret.example"}).to_string();
        let created = client.send("POST", "/scim/v2/Users", &headers, Some(body.as_bytes())).unwrap();
        assert_eq!(created.status, 201, "{}", created.text());
        let id = created.json()["id"].as_str().unwrap().to_owned();
        let asked = |path: &str| client.call(&token, "GET", path, None).unwrap().status;
        assert_eq!(asked("/scim/v2/Users?filter=userName%20eq%20%22mira@secret.example%22"), 200);
        assert_eq!(asked(&format!("/scim/v2/Users/{id}")), 200);
        assert_eq!(asked("/scim/v2/mira"), 404);
        assert_eq!(client.call("none", "GET", "/scim/v2/Groups", None).unwrap().status, 401);
        assert_eq!((asked("/readyz"), asked("/healthz"), asked("/metrics")), (200, 200, 200));

        let exports = collector.exports(server);

        let spans = spans(&exports);
        let create = named(&spans, "POST /scim/v2/Users");
        assert_eq!((hex(&create.trace_id), hex(&create.parent_span_id)), (trace.to_owned(), parent.to_owned()));
        assert_eq!(create.kind(), SpanKind::Server);
        assert_eq!(create.trace_state, "");
        let told = |name: &str| attribute(&create.attributes, name);
        assert_eq!((told("http.request.method"), told("http.route")), ("POST".into(), "/scim/v2/Users".into()));
        assert_eq!((told("http.response.status_code"), told("scimd.tenant")), ("201".into(), "acme".into()));
        assert_eq!(told("scimd.key_id"), key_id(&token));
        assert_eq!(Some(told("scimd.request_id").as_str()), created.header("x-request-id"));
        let children: Vec<_> = spans.iter().filter(|span| span.parent_span_id == create.span_id).collect();
        assert!(children.iter().any(|span| span.name == "store.write"), "{children:?}");
        for child in &children {
            assert_eq!(child.trace_id, create.trace_id);
            assert!(child.start_time_unix_nano >= create.start_time_unix_nano, "{child:?}");
            assert!(child.end_time_unix_nano <= create.end_time_unix_nano, "{child:?} within {create:?}");
        }
        let read = named(&spans, "GET /scim/v2/Users/{id}");
        assert!(read.parent_span_id.is_empty() && hex(&read.trace_id) != trace, "a trace of its own: {read:?}");
        assert!(spans.iter().any(|span| span.name == "store.read" && span.parent_span_id == read.span_id));
        let refused = named(&spans, "GET /scim/v2/Groups");
        assert_eq!(attribute(&refused.attributes, "http.response.status_code"), "401");
        assert_eq!(attribute(&refused.attributes, "scimd.tenant"), "");
        assert_eq!(spans.iter().filter(|span| span.kind() == SpanKind::Server).count(), 5, "health is no trace");
        let roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
        assert!(roots.clone().all(|span| span.kind() == SpanKind::Server), "{:?}", roots.collect::<Vec<_>>());

        let everything =
            exports.iter().map(|export| format!("{}{:?}", export.head, export.message)).collect::<String>();
        let secret = token.rsplit('_').next().unwrap();
        for hidden in ["mira", "secret.example", "secretive", &id, "filter", secret, "127.0.0.1:0"] {
            assert!(!everything.contains(hidden), "{hidden:?} was sent:\n{everything}");
        }
    });
}

#[test]
fn the_standard_variables_of_opentelemetry_are_heeded() {
    let workplace = Workplace::sqlite();
    let collector = Collector::start();
    let started = |variables: &[(&str, &str)]| {
        let mut command = workplace.command(&["serve"]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint).envs(variables.iter().copied());
        Server::launch(command)
    };
    let (server, address) = started(&[("OTEL_SDK_DISABLED", "true")]);
    assert_eq!(Client::new(&address).call("none", "GET", "/scim/v2/Users", None).unwrap().status, 401);
    assert_eq!(server.stop(), Some(0));
    assert!(collector.received.try_recv().is_err(), "nothing is sent where that is wished");

    let named = [("OTEL_SERVICE_NAME", "directory"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-scope=acme")];
    let (server, address) = started(&named);
    assert_eq!(Client::new(&address).call("none", "GET", "/scim/v2/Users", None).unwrap().status, 401);
    let exports = collector.exports(server);

    let export = exports.first().expect("spans are sent");
    assert!(export.head.starts_with("post /v1/traces http/1.1\r\n"), "{}", export.head);
    assert!(export.head.contains("x-scope: acme\r\n"), "{}", export.head);
    let resource = export.message.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), "directory");
    assert_eq!(attribute(&resource.attributes, "service.version"), env!("CARGO_PKG_VERSION"));
}

#[test]
fn without_its_collector_a_server_serves_and_stops_as_ever() {
    let workplace = Workplace::sqlite();
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // It takes connections and says nothing, as long as it lives.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for nobody in [refusing, silent.local_addr().unwrap()] {
        let (server, address) = Server::start(&workplace, &["serve", "--otlp-endpoint", &format!("http://{nobody}")]);

        assert_eq!(Client::new(&address).call("none", "GET", "/scim/v2/Users", None).unwrap().status, 401);

        assert_eq!(server.stop(), Some(0));
    }
}

#[test]
fn a_protocol_that_spans_cannot_be_sent_by_is_told_at_the_start() {
    let workplace = Workplace::sqlite();
    let mut command = workplace.command(&["serve"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317").env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");

    let refused = command.output().unwrap();

    let complaint = text(&refused.stderr);
    assert!(!refused.status.success() && complaint.contains("`OTEL_EXPORTER_OTLP_PROTOCOL` is grpc"), "{complaint}");
}
