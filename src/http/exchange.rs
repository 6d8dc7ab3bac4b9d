//! One request on its way to an operation: who calls, what the URL and the headers say, and the body.
//!
//! The order of checks is fixed (ERR-04): version, path and method by the router, then the key, then content type and
//! size, then JSON, then what the operation itself checks.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures_util::FutureExt;
use serde_json::{Map, Value};

use super::observe::RequestId;
use super::routes::ADMIN;
use super::turnstile::Turnstile;
use super::{Service, body, respond};
use crate::admin::Desk;
use crate::auth::{Access, Caller};
use crate::provider::{Call, Target};
use crate::scim::projection::Projection;
use crate::scim::query::Parameters;
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::version::Preconditions;
use crate::scim::{Error, ErrorKind, Profile, Result};

/// A request whose caller is known.
pub(super) struct Exchange {
    /// What serves it.
    pub service: Data<Service>,
    /// The request, without its body.
    pub request: HttpRequest,
    caller: Arc<Caller>,
    payload: Payload,
}

/// Runs an operation for the holder of a key; failures become SCIM errors.
pub(super) async fn for_caller<F>(
    request: HttpRequest,
    mut payload: Payload,
    operation: impl FnOnce(Exchange) -> F,
) -> HttpResponse
where
    F: Future<Output = Result<HttpResponse>>,
{
    let service = service_of(&request);
    let caller = match authenticate(&service, &request).await {
        Ok(caller) => caller,
        Err(error) => {
            body::drain(&mut payload).await;
            return respond::error(&request, &error);
        }
    };
    request.extensions_mut().insert(Arc::clone(&caller));
    let exchange = Exchange { service, request: request.clone(), caller, payload };
    // A broken invariant costs the one who met it an answer of 500, and nobody the thread.
    let outcome = AssertUnwindSafe(operation(exchange)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("a request panicked")));
    outcome.unwrap_or_else(|error| respond::error(&request, &error))
}

/// What every route is served with.
pub(super) fn service_of(request: &HttpRequest) -> Data<Service> {
    request.app_data::<Data<Service>>().expect("every application carries the service").clone()
}

/// The caller by the `Authorization` header, and by nothing else (AUTH-06).
///
/// # Errors
/// 403 for a key that came over plain HTTP from elsewhere than a proxy; those of the authenticator.
pub(super) async fn authenticate(service: &Service, request: &HttpRequest) -> Result<Arc<Caller>> {
    let authorization = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
    if !service.peers.admit(request.peer_addr().map(|peer| peer.ip())) {
        service.authenticator.count_in_the_open(authorization);
        let detail = "This server takes plain HTTP from its proxies alone (trusted-proxies); use https.";
        return Err(Error::new(ErrorKind::Forbidden, detail));
    }
    let now = service.provider.now();
    let caller = service.authenticator.authenticate(authorization, now.naive_utc()).await?;
    // Operators have ways of their own.
    if let Some(host) = named_host(request).filter(|_| !request.path().starts_with(ADMIN)) {
        service.desk.hosts.note(host, now);
    }
    Ok(caller)
}

/// What the client calls this server: `Host`, or `:authority` in HTTP/2.
fn named_host(request: &HttpRequest) -> Option<&str> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| request.uri().authority().map(|authority| authority.as_str()))
}

impl Exchange {
    /// Who asks, for the operation.
    pub fn call(&self) -> Call {
        let request_id = self.request.extensions().get::<RequestId>().map(|id| Arc::clone(&id.0));
        let request_id = request_id.unwrap_or_else(|| "".into());
        Call { caller: Arc::clone(&self.caller), request_id, as_subject: false }
    }

    /// How irregular the request may be.
    pub fn profile(&self) -> Profile {
        self.caller.profile
    }

    /// Every schema and type.
    pub fn registry(&self) -> &'static Registry {
        self.service.provider.registry()
    }

    /// The resource type of the endpoint.
    pub fn resource_type(&self) -> &'static ResourceType {
        self.request.app_data::<Data<&'static ResourceType>>().expect("resource routes carry their type")
    }

    /// The id in the path, decoded; it is followed by so many segments. Any text is an id; one that can't be ours finds
    /// nothing (GET-04).
    pub fn id_before(&self, segments: usize) -> Result<String> {
        let id = segment_from_end(&self.request, segments);
        let id = id.strip_suffix(".scim").unwrap_or(&id);
        if id.contains('\0') {
            return Err(Error::new(ErrorKind::NotFound, "No resource has this id."));
        }
        Ok(id.to_owned())
    }

    /// The parameters of the URL.
    pub fn parameters(&self) -> Result<Parameters> {
        Parameters::parse(self.request.query_string())
    }

    /// What of a resource to show.
    pub fn projection(&self, resource_type: &'static ResourceType) -> Result<Projection> {
        let parameters = self.parameters()?;
        let (attributes, excluded) = (parameters.attributes.as_deref(), parameters.excluded_attributes.as_deref());
        Projection::parse(resource_type, attributes, excluded)
    }

    /// The resource behind `/Me`, and the call that is about it.
    pub async fn subject(&self) -> Result<(Call, Target)> {
        self.service.provider.subject(self.call(), self.preconditions()).await
    }

    /// The resource that the request is about.
    pub fn target(&self) -> Result<Target> {
        Ok(Target { resource_type: self.resource_type(), id: self.id_before(0)?, preconditions: self.preconditions() })
    }

    /// `If-Match` and `If-None-Match`.
    pub fn preconditions(&self) -> Preconditions {
        Preconditions {
            if_match: joined(self.request.headers(), header::IF_MATCH),
            if_none_match: joined(self.request.headers(), header::IF_NONE_MATCH),
        }
    }

    /// Whether a `Prefer` header names this preference (RFC 7240 §2).
    pub fn prefers(&self, preference: &str) -> bool {
        let headers = self.request.headers().get_all(HeaderName::from_static("prefer"));
        let mut named = headers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split([',', ';']));
        named.any(|named| named.trim().eq_ignore_ascii_case(preference))
    }

    /// Whether the caller may do this here at all: with resources of the endpoint's type, or of any type where it has
    /// none. It comes before anything that the request says (ERR-04).
    ///
    /// # Errors
    /// 403.
    pub fn may(&self, access: Access) -> Result<()> {
        let types = self.registry().resource_types();
        match self.request.app_data::<Data<&'static ResourceType>>() {
            Some(resource_type) => self.caller.may(access, &resource_type.endpoint),
            None => types.iter().map(|one| self.caller.may(access, &one.endpoint)).reduce(Result::or).unwrap_or(Ok(())),
        }
    }

    /// Whether the caller may look at or change what operators look after. It comes before anything that the request says.
    ///
    /// # Errors
    /// 403.
    pub async fn administers(&mut self, access: Access) -> Result<()> {
        let outcome = self.caller.may_administer(access);
        if outcome.is_err() {
            self.ignore_body().await;
        }
        outcome
    }

    /// The desk of operators, with the caller at it.
    pub fn desk(&self) -> Desk {
        self.service.desk.used_by(&self.caller, self.call().request_id)
    }

    /// The JSON object in the body of a caller who [may](Exchange::may) do this.
    ///
    /// # Errors
    /// 403, 429, 415, 413, `invalidSyntax`.
    pub async fn body(&mut self, access: Access) -> Result<Map<String, Value>> {
        if let Err(error) = self.may(access) {
            self.ignore_body().await;
            return Err(error);
        }
        match access {
            Access::Read => self.read_body().await,
            Access::Write => self.read_change().await,
        }
    }

    /// The JSON object in the body of a change, whoever sent it, read behind the [turnstile](Turnstile). Where too many
    /// changes wait, it is not looked at.
    ///
    /// # Errors
    /// 429, 415, 413, `invalidSyntax`.
    pub async fn read_change(&mut self) -> Result<Map<String, Value>> {
        let turnstile = self.request.app_data::<Data<Turnstile>>().expect("whatever has operations has one").clone();
        if let Err(error) = self.service.provider.room_for_a_change(turnstile.waiting()) {
            self.ignore_body().await;
            return Err(error);
        }
        turnstile.pass().await;
        self.read_body().await
    }

    /// The JSON object in the body, whoever sent it.
    ///
    /// # Errors
    /// 415, 413, `invalidSyntax`.
    pub async fn read_body(&mut self) -> Result<Map<String, Value>> {
        body::read(&self.request, &mut self.payload).await
    }

    /// The JSON object in the body, whoever sent it; an empty one where there is no body.
    ///
    /// # Errors
    /// 415, 413, `invalidSyntax`.
    pub async fn read_body_if_any(&mut self) -> Result<Map<String, Value>> {
        body::read_if_any(&self.request, &mut self.payload).await
    }

    /// The next piece of the body, of whatever type; `None` at its end.
    ///
    /// # Errors
    /// `invalidSyntax` if it was cut off.
    pub async fn next_of_body(&mut self) -> Result<Option<Bytes>> {
        body::piece(&mut self.payload).await
    }

    /// Takes what is left of the body off the connection, so that it can serve the next request.
    pub async fn ignore_body(&mut self) {
        body::drain(&mut self.payload).await;
    }
}

/// The last segment of the path, decoded.
pub(super) fn last_segment(request: &HttpRequest) -> String {
    segment_from_end(request, 0)
}

fn segment_from_end(request: &HttpRequest, behind: usize) -> String {
    let segment = request.path().rsplit('/').nth(behind).unwrap_or_default();
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// All values of a header as one list.
fn joined(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    // A value that is no text stays a value: a precondition that can't be read must not be dropped.
    let values: Vec<_> = headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}
