//! `GET /openapi.json`: the whole surface as an OpenAPI 3.1 document, for people and for generators of clients and tests.
//!
//! It is made of the table of routes and of the registry, as the router is: what one has, the other has too.

pub mod admin;
mod answers;
mod examples;
mod operations;
mod parameters;
mod shapes;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::routes::{self, Endpoint, VERSIONED_BASES};
use super::{Service, body, discovery, respond};
use crate::scim::schema::Registry;

/// What a server shows of itself.
#[derive(Clone)]
pub struct Surface<'a> {
    /// Its schemas and resource types.
    pub registry: &'static Registry,
    /// What stands in front of SCIM's endpoints, `https://idm.example/scim/v2`.
    pub base_url: &'a str,
    /// Whether discovery answers without a key.
    pub open_discovery: bool,
    /// Whether health and metrics answer on the same port.
    pub with_health: bool,
}

/// The document, as it is sent.
pub(super) struct Document {
    text: Bytes,
}

impl Document {
    /// The document of a service.
    pub fn of(service: &Service, with_health: bool) -> Document {
        let provider = &service.provider;
        let surface = Surface {
            registry: provider.registry(),
            base_url: provider.base_url(),
            open_discovery: service.open_discovery,
            with_health,
        };
        Document { text: document(&surface).to_string().into() }
    }
}

/// `GET /openapi.json`, for whoever may see what discovery tells.
pub(super) async fn get(document: Data<Document>, request: HttpRequest, mut payload: Payload) -> HttpResponse {
    body::drain(&mut payload).await;
    if let Err(error) = discovery::admit(&request).await {
        return respond::error(&request, &error);
    }
    send(&request, document.text.clone())
}

/// A document with its tag, or 304.
fn send(request: &HttpRequest, text: Bytes) -> HttpResponse {
    let mut response = discovery::tagged(request, text);
    if response.headers().contains_key(CONTENT_TYPE) {
        // It is no message of SCIM.
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// The OpenAPI document of a server.
pub fn document(surface: &Surface) -> Value {
    let registry = surface.registry;
    let base = VERSIONED_BASES[0];
    let server = surface.base_url.strip_suffix(base).unwrap_or_default();
    let mut paths = Map::new();
    for endpoint in routes::scim(registry) {
        paths.insert(format!("{base}{}", endpoint.path), path_item(&endpoint, surface));
    }
    if surface.with_health {
        for endpoint in routes::health() {
            paths.insert(endpoint.path.clone(), path_item(&endpoint, surface));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "scimd",
            "summary": "A SCIM 2.0 server (RFC 7643, RFC 7644).",
            "description": DESCRIPTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": if server.is_empty() { "/" } else { server }}],
        "security": [{"bearer": []}],
        "tags": tags(surface),
        "paths": paths,
        "components": {
            "schemas": shapes::components(registry),
            "parameters": parameters::components(),
            "headers": answers::headers(),
            "responses": answers::refusals(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of this server, as `scimd key create` prints it.",
                },
            },
        },
    })
}

const DESCRIPTION: &str = "Every `GET` also answers `HEAD`, and every path answers `OPTIONS` without a key; what a path does \
    not know is 405 with `Allow`. Requests and answers are JSON in UTF-8, `application/scim+json`; a client that accepts \
    `application/json` alone gets that.";

fn path_item(endpoint: &Endpoint, surface: &Surface) -> Value {
    let mut item = Map::new();
    for (method, operation) in &endpoint.operations {
        let described = operations::describe(endpoint, *operation, surface);
        item.insert(method.as_str().to_ascii_lowercase(), described);
    }
    let variables = parameters::in_path(&endpoint.path);
    if !variables.is_empty() {
        item.insert("parameters".to_owned(), variables.into());
    }
    item.into()
}

/// The headings under which operations stand: each type of resource, then the rest.
fn tags(surface: &Surface) -> Vec<Value> {
    let types = surface.registry.resource_types().iter();
    let types = types.map(|one| json!({"name": one.name, "description": one.source["description"]}));
    let rest = [
        (
            operations::EVERYTHING,
            "Queries over every type of resource, many changes at once, and the holder of the key.",
        ),
        (operations::DISCOVERY, "What the server says of itself."),
    ];
    let health = [(operations::HEALTH, "For whoever watches the server.")];
    let rest = rest.iter().chain(health.iter().filter(|_| surface.with_health));
    types.chain(rest.map(|(name, description)| json!({"name": name, "description": description}))).collect()
}
