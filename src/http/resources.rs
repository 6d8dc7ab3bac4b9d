//! The endpoints of resources: `/Users`, `/Users/{id}`, and the same for every other type.

use actix_web::http::StatusCode;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value};

use super::exchange::{Exchange, for_caller};
use super::respond::{self, MINIMAL};
use crate::auth::Access;
use crate::provider::{Call, Target};
use crate::scim::Result;
use crate::scim::query::Query;

/// `GET /Users`
pub(super) async fn list(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.ignore_body().await;
        exchange.may(Access::Read)?;
        let query = Query::resolve(&exchange.parameters()?, exchange.resource_type(), exchange.profile())?;
        let found = exchange.service.provider.list(exchange.call(), vec![query]).await?;
        Ok(respond::list(&exchange.request, found))
    })
    .await
}

/// `POST /Users`
pub(super) async fn create(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let body = exchange.body(Access::Write).await?;
        let projection = exchange.projection(exchange.resource_type())?;
        let provider = &exchange.service.provider;
        let created = provider.create(exchange.call(), exchange.resource_type(), body, projection).await?;
        Ok(respond::resource(&exchange.request, StatusCode::CREATED, created))
    })
    .await
}

/// `GET /Users/{id}`
pub(super) async fn read(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.ignore_body().await;
        exchange.may(Access::Read)?;
        show(&exchange, exchange.call(), exchange.target()?).await
    })
    .await
}

/// Shows a resource. With a `filter` it is a query on one resource (RFC 7644 §3.4.2.1).
pub(super) async fn show(exchange: &Exchange, call: Call, target: Target) -> Result<HttpResponse> {
    let Target { resource_type, id, preconditions } = target;
    let (parameters, provider) = (exchange.parameters()?, &exchange.service.provider);
    if parameters.filter.is_some() {
        let query = Query::resolve(&parameters, resource_type, exchange.profile())?;
        let found = provider.list_one(call, id, query).await?;
        return Ok(respond::list(&exchange.request, found));
    }
    let found = provider.read(call, resource_type, id, exchange.projection(resource_type)?).await?;
    preconditions.check_read(&found.tag)?;
    Ok(respond::resource_unless_known(&exchange.request, preconditions.if_none_match.as_deref(), found))
}

/// `PUT /Users/{id}`
pub(super) async fn replace(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let body = exchange.body(Access::Write).await?;
        put(&exchange, exchange.call(), exchange.target()?, body).await
    })
    .await
}

/// Replaces a resource.
pub(super) async fn put(
    exchange: &Exchange,
    call: Call,
    target: Target,
    body: Map<String, Value>,
) -> Result<HttpResponse> {
    let projection = exchange.projection(target.resource_type)?;
    let replaced = exchange.service.provider.replace(call, target, body, projection).await?;
    Ok(respond::resource(&exchange.request, StatusCode::OK, replaced))
}

/// `PATCH /Users/{id}`
pub(super) async fn modify(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let body = exchange.body(Access::Write).await?;
        patch(&exchange, exchange.call(), exchange.target()?, body).await
    })
    .await
}

/// Modifies a resource.
pub(super) async fn patch(
    exchange: &Exchange,
    call: Call,
    target: Target,
    body: Map<String, Value>,
) -> Result<HttpResponse> {
    let projection = exchange.projection(target.resource_type)?;
    let minimal = projection.is_default() && exchange.prefers(MINIMAL);
    let modified = exchange.service.provider.modify(call, target, body, projection, minimal).await?;
    if !modified.whole {
        return Ok(respond::no_body(&modified.representation, minimal));
    }
    Ok(respond::resource(&exchange.request, StatusCode::OK, modified.representation))
}

/// `DELETE /Users/{id}`
pub(super) async fn delete(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.ignore_body().await;
        let provider = &exchange.service.provider;
        provider.delete(exchange.call(), exchange.target()?).await?;
        Ok(respond::no_content())
    })
    .await
}
