//! `POST /.search`: a query whose parameters stand in the body (RFC 7644 §3.4.3).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::exchange::{Exchange, for_caller};
use super::respond;
use crate::auth::Access;
use crate::scim::Result;
use crate::scim::query::{Parameters, Query};
use crate::scim::schema::ResourceType;

/// `GET /`: a query over every type of resource (RFC 7644 §3.4.2.1). Without a filter it would be the whole directory.
pub(super) async fn root_query(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.ignore_body().await;
        exchange.may(Access::Read)?;
        let parameters = exchange.parameters()?;
        let types = exchange.registry().resource_types().to_vec();
        answer(&exchange, &parameters, &types).await
    })
    .await
}

/// `POST /.search`
pub(super) async fn root(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let parameters = Parameters::from_search_request(&exchange.body(Access::Read).await?)?;
        let types = exchange.registry().resource_types().to_vec();
        answer(&exchange, &parameters, &types).await
    })
    .await
}

/// `POST /Users/.search`
pub(super) async fn typed(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let parameters = Parameters::from_search_request(&exchange.body(Access::Read).await?)?;
        let types = [exchange.resource_type()];
        answer(&exchange, &parameters, &types).await
    })
    .await
}

/// `POST /Users/{id}/.search`: a query on one resource (RFC 7644 §3.4.2.1).
pub(super) async fn one(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let parameters = Parameters::from_search_request(&exchange.body(Access::Read).await?)?;
        let query = Query::resolve(&parameters, exchange.resource_type(), exchange.profile())?;
        let found = exchange.service.provider.list_one(exchange.call(), exchange.id_before(1)?, query).await?;
        Ok(respond::list(&exchange.request, found))
    })
    .await
}

async fn answer(exchange: &Exchange, parameters: &Parameters, types: &[&'static ResourceType]) -> Result<HttpResponse> {
    let queries = Query::resolve_over(parameters, types, exchange.profile())?;
    let found = exchange.service.provider.list(exchange.call(), queries).await?;
    Ok(respond::list(&exchange.request, found))
}
