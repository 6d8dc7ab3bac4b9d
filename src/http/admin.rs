//! `/admin/v1`: the operations of operators, for keys with the scope `admin`. What there is stands in [`crate::admin`].

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use super::exchange::{Exchange, for_caller};
use super::respond;
use super::routes::{ADMIN, VERSIONED_BASES};
use crate::admin::{Asked, Route, SEGMENT, offers};
use crate::scim::Result;

/// Carries out the operation at this place of the table.
pub(super) async fn carry_out(place: usize, request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        let offer = &offers()[place];
        let asked = asked(&mut exchange, &offer.route).await?;
        let outcome = offer.carry_out(exchange.desk(), asked).await?;
        Ok(match offer.route.makes {
            Some(place) => {
                let base_url = exchange.service.provider.base_url();
                let server = base_url.strip_suffix(VERSIONED_BASES[0]).unwrap_or_default();
                respond::made(&format!("{server}{ADMIN}{}", filled(place, &outcome)), &outcome)
            }
            None => respond::plain_json(&outcome),
        })
    })
    .await
}

/// A place with the members of an answer in it.
fn filled(place: &str, answer: &Value) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        Some(name) => utf8_percent_encode(answer[name].as_str().unwrap_or_default(), SEGMENT).to_string(),
        None => segment.to_owned(),
    };
    place.split('/').map(segment).collect::<Vec<String>>().join("/")
}

/// What the request asks for, of a caller who may.
async fn asked(exchange: &mut Exchange, route: &Route) -> Result<Asked> {
    exchange.administers(route.access).await?;
    let body = match route.verb.has_body() {
        true => exchange.read_body_if_any().await?,
        false => {
            exchange.ignore_body().await;
            Default::default()
        }
    };
    let variables = variables(route, exchange.request.path());
    Ok(Asked { variables, query: exchange.request.query_string().to_owned(), body })
}

/// The variable segments of the path, decoded.
pub(super) fn variables(route: &Route, path: &str) -> Vec<(String, String)> {
    let pattern = route.path.split('/').rev();
    let pairs = pattern.zip(path.rsplit('/')).filter_map(|(pattern, segment)| {
        let name = pattern.strip_prefix('{')?.strip_suffix('}')?;
        Some((name.to_owned(), percent_decode_str(segment).decode_utf8_lossy().into_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_has_a_place() {
        let answer = serde_json::json!({"name": "a.b", "id": "7"});
        assert_eq!(filled("/tenants/{name}", &answer), "/tenants/a.b");
        assert_eq!(filled("/keys/{id}", &answer), "/keys/7");
    }

    #[test]
    fn variables_are_decoded_once() {
        let route = Route::get("/tenants/{tenant}/resources/{type}/{id}");
        let variables = variables(&route, "/admin/v1/tenants/a.b/resources/Users/x%2Fy%2541");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(variables, [pair("id", "x/y%41"), pair("type", "Users"), pair("tenant", "a.b")]);
    }
}
