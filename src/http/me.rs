//! `/Me`: the resource that the key is bound to, under a name of its own (RFC 7644 §3.11). `Location` is its permanent URI.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::exchange::{Exchange, for_caller};
use super::{resources, respond};

/// `GET /Me`
pub(super) async fn read(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.ignore_body().await;
        let (call, target) = exchange.subject().await?;
        resources::show(&exchange, call, target).await
    })
    .await
}

/// `PUT /Me`
pub(super) async fn replace(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let body = exchange.read_change().await?;
        let (call, target) = exchange.subject().await?;
        resources::put(&exchange, call, target, body).await
    })
    .await
}

/// `PATCH /Me`
pub(super) async fn modify(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let body = exchange.read_change().await?;
        let (call, target) = exchange.subject().await?;
        resources::patch(&exchange, call, target, body).await
    })
    .await
}

/// `DELETE /Me`. That is more than to switch oneself off, so it takes the scope to write resources of the type (ME-05).
pub(super) async fn delete(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.ignore_body().await;
        let (call, target) = exchange.subject().await?;
        let provider = &exchange.service.provider;
        let location = format!("{}{}/{}", provider.base_url(), target.resource_type.endpoint, target.id);
        provider.delete(call, target).await?;
        Ok(respond::no_content_of(location))
    })
    .await
}
