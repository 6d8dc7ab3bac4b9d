//! `POST /Bulk`: many writes in one request (RFC 7644 §3.7).

use std::sync::Arc;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::exchange::{Exchange, for_caller};
use super::respond;
use crate::auth::Access;
use crate::scim::message::MAX_BODY;
use crate::scim::{Error, ErrorKind, bulk};

/// The preference for results with the resource (RFC 7240 §4.2); without it they have only its version.
const REPRESENTATION: &str = "return=representation";

/// `POST /Bulk`. Whoever may write nothing at all is refused here, anything else by operation (BULK-16).
pub(super) async fn bulk(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let body = exchange.body(Access::Write).await.map_err(name_the_limit)?;
        let message = Arc::new(bulk::parse(body, exchange.profile())?);
        let represent = exchange.prefers(REPRESENTATION);
        let provider = &exchange.service.provider;
        let outcomes = provider.bulk(exchange.call(), Arc::clone(&message), represent).await?;
        let mut response = respond::json_text(&exchange.request, message.response(outcomes).into());
        if represent {
            respond::apply_preference(&mut response, REPRESENTATION);
        }
        Ok(response)
    })
    .await
}

/// BULK-13: the client learns which of the advertised limits it is.
fn name_the_limit(error: Error) -> Error {
    match error.kind() {
        ErrorKind::TooLarge => {
            let detail = format!("The body is larger than maxPayloadSize ({MAX_BODY} bytes) allows; nothing was done.");
            Error::new(ErrorKind::TooLarge, detail)
        }
        _ => error,
    }
}
