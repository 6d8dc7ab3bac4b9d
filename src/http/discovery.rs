//! What the server says of itself (RFC 7644 §4): `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::exchange::{authenticate, last_segment, service_of};
use super::{body, respond};
use crate::scim::discovery;
use crate::scim::schema::Registry;
use crate::scim::{Error, ErrorKind, Result};

/// `GET /ServiceProviderConfig`
pub(super) async fn service_provider_config(request: HttpRequest, payload: Payload) -> HttpResponse {
    answer(request, payload, |registry, base, _| Some(discovery::service_provider_config(registry, base))).await
}

/// `GET /ResourceTypes`
pub(super) async fn resource_types(request: HttpRequest, payload: Payload) -> HttpResponse {
    answer(request, payload, |registry, base, _| Some(discovery::resource_types(registry, base))).await
}

/// `GET /ResourceTypes/{id}`
pub(super) async fn resource_type(request: HttpRequest, payload: Payload) -> HttpResponse {
    answer(request, payload, |registry, base, name| discovery::resource_type(registry, name, base)).await
}

/// `GET /Schemas`
pub(super) async fn schemas(request: HttpRequest, payload: Payload) -> HttpResponse {
    answer(request, payload, |registry, base, _| Some(discovery::schemas(registry, base))).await
}

/// `GET /Schemas/{urn}`
pub(super) async fn schema(request: HttpRequest, payload: Payload) -> HttpResponse {
    answer(request, payload, |registry, base, urn| discovery::schema(registry, urn, base)).await
}

/// Sorting, paging and projection are ignored here (DISC-17), a filter is forbidden (DISC-16).
async fn answer(
    request: HttpRequest,
    mut payload: Payload,
    document: impl FnOnce(&'static Registry, &str, &str) -> Option<Value>,
) -> HttpResponse {
    body::drain(&mut payload).await;
    match find(&request, document).await {
        Ok(document) => located(tagged(&request, document.to_string().into()), &document),
        Err(error) => {
            let mut response = respond::error(&request, &error);
            if error.kind() == ErrorKind::Forbidden {
                // No other scope would help.
                response.headers_mut().remove(header::WWW_AUTHENTICATE);
            }
            response
        }
    }
}

async fn find(
    request: &HttpRequest,
    document: impl FnOnce(&'static Registry, &str, &str) -> Option<Value>,
) -> Result<Value> {
    admit(request).await?;
    if request.query_string().split('&').any(|parameter| parameter.split('=').next() == Some("filter")) {
        return Err(Error::new(ErrorKind::Forbidden, "Discovery endpoints can't be filtered."));
    }
    let service = service_of(request);
    let provider = &service.provider;
    document(provider.registry(), provider.base_url(), &last_segment(request))
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "This server has no schema or resource type of that name."))
}

/// Lets in whoever has a key, or everybody if discovery is open.
pub(super) async fn admit(request: &HttpRequest) -> Result<()> {
    let service = service_of(request);
    if !service.open_discovery {
        let caller = authenticate(&service, request).await?;
        request.extensions_mut().insert(caller);
    }
    Ok(())
}

/// A single object says where it is, like any other resource.
fn located(mut response: HttpResponse, document: &Value) -> HttpResponse {
    let location = document["meta"]["location"].as_str().and_then(|location| HeaderValue::from_str(location).ok());
    if let Some(location) = location {
        response.headers_mut().insert(header::CONTENT_LOCATION, location.clone());
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The document with a tag made of its bytes, or 304 (DISC-20).
pub(super) fn tagged(request: &HttpRequest, document: Bytes) -> HttpResponse {
    let digest = Sha256::digest(&document);
    let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..12]));
    let known = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let is_known = known
        .flat_map(|list| list.split(','))
        .any(|candidate| candidate.trim() == "*" || opaque(candidate) == opaque(&tag));
    let mut response = if is_known { respond::not_modified() } else { respond::json_text(request, document) };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
