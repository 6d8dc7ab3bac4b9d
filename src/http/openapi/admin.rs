//! `GET /admin/v1/openapi.json`: what operators can ask for, as an OpenAPI 3.1 document, made of [`crate::admin::offers`].

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::send;
use crate::admin::transfer::{Stream, streams};
use crate::admin::{Offer, Verb, offers};
use crate::auth::Access;
use crate::http::exchange::{Exchange, for_caller};
use crate::http::routes::ADMIN;
use crate::scim::json_schema::messages;

/// `GET /admin/v1/openapi.json`, for whoever may look.
pub(in crate::http) async fn get(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.administers(Access::Read).await?;
        exchange.ignore_body().await;
        let base_url = exchange.service.provider.base_url();
        let server = base_url.strip_suffix("/scim/v2").unwrap_or_default();
        Ok(send(&exchange.request, document(server).to_string().into()))
    })
    .await
}

/// The OpenAPI document of the admin API; `server` is the public URL.
pub fn document(server: &str) -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for offer in offers() {
        let item = paths.entry(format!("{ADMIN}{}", offer.route.path)).or_insert_with(|| json!({}));
        item[offer.route.verb.as_str().to_ascii_lowercase()] = operation(offer, &mut generator);
    }
    for stream in streams() {
        let item = paths.entry(format!("{ADMIN}{}", stream.route.path)).or_insert_with(|| json!({}));
        item[stream.route.verb.as_str().to_ascii_lowercase()] = operation_of(&stream, &mut generator);
    }
    let mut schemas: Map<String, Value> = generator.take_definitions(true);
    schemas.insert("Error".to_owned(), messages::error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "scimd, for operators",
            "summary": "Tenants, keys, people and their history.",
            "description": "Every operation needs a key with the scope `admin`, looking also one with `admin:read`. What is \
                refused is told as SCIM tells it. Lists come in pages: `next` of one page is `after` of the next. Times are \
                UTC, as `2026-03-01T09:30:00.123Z`. Every answer has an `X-Request-Id`, which the log and the history have, \
                too; what a path does not know is 405 with `Allow`.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": if server.is_empty() { "/" } else { server }}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "A key with the scope `admin`."}},
        },
    })
}

fn operation(offer: &Offer, generator: &mut SchemaGenerator) -> Value {
    let route = &offer.route;
    let takes = (offer.takes)(generator);
    let gives = (offer.gives)(generator);
    let mut members = resolved(takes.as_value(), generator);
    let in_path = route.variables().map(|name| {
        let schema = members["properties"].as_object_mut().and_then(|members| members.remove(name));
        parameter(name, "path", true, schema.unwrap_or_else(|| json!({"type": "string"})))
    });
    let mut parameters: Vec<Value> = in_path.collect();
    let mut operation = json!({"operationId": route.name, "summary": route.about});
    if route.verb.has_body() {
        if let Some(required) = members["required"].as_array_mut() {
            required
                .retain(|name| name.as_str().is_none_or(|name| !route.variables().any(|variable| variable == name)));
        }
        let is_required = members["required"].as_array().is_some_and(|required| !required.is_empty());
        if members["properties"].as_object().is_some_and(|members| !members.is_empty()) {
            let content = json!({"application/json": {"schema": members}});
            operation["requestBody"] = json!({"required": is_required, "content": content});
        }
    } else {
        let required: Vec<Value> = members["required"].as_array().cloned().unwrap_or_default();
        let in_query = members["properties"].as_object().into_iter().flatten();
        parameters
            .extend(in_query.map(|(name, schema)| {
                parameter(name, "query", required.iter().any(|one| one == name), schema.clone())
            }));
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation["responses"] = responses(route.verb, "application/json", gives.to_value());
    if let (Some(_), Some(responses)) = (route.makes, operation["responses"].as_object_mut()) {
        let mut made = responses.remove("200").unwrap_or_default();
        made["headers"] =
            json!({"Location": {"description": "Where it stands.", "schema": {"type": "string", "format": "uri"}}});
        responses.insert("201".to_owned(), made);
    }
    operation
}

/// A stream, whose members are all in path and URL.
fn operation_of(stream: &Stream, generator: &mut SchemaGenerator) -> Value {
    let route = &stream.route;
    let takes = (stream.takes)(generator);
    let members = resolved(takes.as_value(), generator);
    let is_in_path = |name: &str| route.variables().any(|variable| variable == name);
    let of_members = members["properties"].as_object().into_iter().flatten();
    let parameters = of_members.map(|(name, schema)| {
        let is_in_path = is_in_path(name);
        parameter(name, if is_in_path { "path" } else { "query" }, is_in_path, schema.clone())
    });
    let parameters: Vec<Value> = parameters.collect();
    let mut operation = json!({"operationId": route.name, "summary": route.about, "parameters": parameters});
    let bytes = json!({"type": "string"});
    if !stream.receives.is_empty() {
        let content: Map<String, Value> =
            stream.receives.iter().map(|media_type| ((*media_type).to_owned(), json!({"schema": bytes}))).collect();
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation["responses"] = match stream.sends {
        Some(media_type) => responses(route.verb, media_type, bytes),
        None => responses(route.verb, "application/json", (stream.gives)(generator).to_value()),
    };
    operation
}

fn responses(verb: Verb, media_type: &str, schema: Value) -> Value {
    let mut responses = json!({"200": {"description": "The answer.", "content": {media_type: {"schema": schema}}}});
    for status in statuses(verb) {
        let body = json!({"schema": {"$ref": "#/components/schemas/Error"}});
        // The second one for clients that take nothing else.
        let content = json!({"application/scim+json": body, "application/json": body});
        responses[status] = json!({"description": "Refused.", "content": content});
        if matches!(status, "429" | "503") {
            let schema = json!({"type": "integer", "minimum": 1});
            responses[status]["headers"] =
                json!({"Retry-After": {"description": "Seconds to wait.", "schema": schema}});
        }
    }
    responses
}

/// What else the server may answer.
fn statuses(verb: Verb) -> Vec<&'static str> {
    let always = ["400", "401", "403", "404", "409", "429", "500", "503"];
    let with_body: &[&str] = if verb.has_body() { &["408", "413", "415"] } else { &[] };
    always.iter().chain(with_body).copied().collect()
}

fn parameter(name: &str, place: &str, required: bool, mut schema: Value) -> Value {
    let description =
        schema.as_object_mut().and_then(|schema| schema.remove("description")).unwrap_or_else(|| json!(""));
    let mut parameter =
        json!({"name": name, "in": place, "required": required, "description": description, "schema": schema});
    if let Some((_, example)) = EXAMPLES.iter().find(|(known, _)| *known == name) {
        parameter["example"] = json!(example);
    }
    parameter
}

/// What can be asked of every server.
const EXAMPLES: [(&str, &str); 2] = [("tenant", "default"), ("type", "Users")];

/// The members of an operation itself, where the generator has made a reference of it.
fn resolved(schema: &Value, generator: &mut SchemaGenerator) -> Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).map(str::to_owned);
    match name.and_then(|name| generator.definitions_mut().remove(&name)) {
        Some(own) => own,
        None => schema.clone(),
    }
}
