//! `/ServiceProviderConfig` and `/ResourceTypes` (RFC 7644 §4, RFC 7643 §5 and §6).

use serde_json::{Value, json};

use crate::conformance::check::{Section, may, must, ours, should};
use crate::conformance::exchange::{Credentials, Request};
use crate::conformance::server::Need::{Cursors, Feature};
use crate::conformance::trial::Trial;
use crate::conformance::trial::encode;
use crate::conformance::verdict::{Stop, Verdict};

const SPC: &str = "/ServiceProviderConfig";
const SPC_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// A list longer than this is not asked for, should a server take that for its limit.
const LONGEST_LIST: i64 = 5000;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Discovery", checks: &[
    must(&["DISC-01"], "7644 §4", "/ServiceProviderConfig is one object with its own schema", one_object),
    must(&["DISC-02"], "7643 §5", "every feature is there, with `supported` as a boolean", features_are_booleans),
    must(&["DISC-02"], "7643 §5", "the limits of bulk and filter are integers", limits_are_integers),
    must(&["DISC-03"], "7643 §5", "every authentication scheme has a known type, a name and a description", schemes),
    must(&["DISC-04"], "9865 §4", "`pagination` says whether there are cursors and indexes", pagination).needs(&[Cursors]),
    may(&["DISC-05"], "9967 §4", "`securityEvents` has event URIs, if it is there", security_events),
    must(&["DISC-06", "PAGE-04"], "7643 §5", "no list is longer than filter.maxResults", max_results).needs(&[Feature("filter")]),
    must(&["DISC-07"], "7644 §4", "/ResourceTypes is a list that is not empty", resource_types_are_listed),
    must(&["DISC-07"], "7644 §4", "each resource type is found by its name", resource_types_are_found),
    must(&["DISC-07"], "7644 §4", "an unknown resource type is 404", unknown_resource_type),
    must(&["DISC-08"], "7643 §6", "a resource type has a name, an endpoint from `/` and a schema", resource_types_are_whole),
    must(&["DISC-08"], "7643 §6", "a schema extension has `schema` and a boolean `required`", extensions_are_whole),
    should(&["DISC-08"], "7643 §3.1, §6", "a resource type has `meta` with type and location", resource_types_have_meta),
    must(&["DISC-08"], "7644 §4", "each endpoint that a resource type names answers", endpoints_answer),
    should(&["DISC-16"], "7644 §4", "a filter on a discovery endpoint is 403", filters_are_forbidden),
    must(&["DISC-17"], "7644 §4", "sorting, paging and projection are ignored on discovery endpoints", parameters_are_ignored),
    must(&["DISC-18"], "9110 §15.5.6", "POST to /ServiceProviderConfig is 405 with Allow", writes_are_refused),
    should(&["DISC-19"], "7643 §5", "/ServiceProviderConfig answers without credentials", answers_anybody),
    ours(&["DISC-20"], "7644 §3.14", "/ServiceProviderConfig has an ETag and answers If-None-Match with 304", etag),
    ours(&["DISC-21"], "7643 §3.1", "`meta.location` of every resource type leads to it", locations_lead_home),
] };

fn one_object(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get(SPC)?;
    answer.is(200)?.has("/schemas", json!([SPC_SCHEMA]))?.lacks("/Resources")?;
    Ok(())
}

fn features_are_booleans(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get(SPC)?;
    for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
        let pointer = format!("/{feature}/supported");
        answer.holds(answer.at(&pointer).is_boolean(), format!("`{pointer}` is no boolean"))?;
    }
    Ok(())
}

fn limits_are_integers(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get(SPC)?;
    for pointer in ["/bulk/maxOperations", "/bulk/maxPayloadSize", "/filter/maxResults"] {
        answer.integer(pointer)?;
    }
    Ok(())
}

fn schemes(t: &mut Trial<'_>) -> Verdict {
    const TYPES: [&str; 5] = ["oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest"];
    let answer = t.get(SPC)?;
    let schemes = answer.array("/authenticationSchemes")?;
    for (index, scheme) in schemes.iter().enumerate() {
        for part in ["type", "name", "description"] {
            answer.text(&format!("/authenticationSchemes/{index}/{part}"))?;
        }
        let known = scheme["type"].as_str().is_some_and(|name| TYPES.contains(&name.to_ascii_lowercase().as_str()));
        answer.holds(known, format!("the type of an authentication scheme is none of {}", TYPES.join(", ")))?;
    }
    let primaries = schemes.iter().filter(|scheme| scheme["primary"] == true).count();
    answer.holds(primaries <= 1, "more than one authentication scheme is primary")?;
    Ok(())
}

fn pagination(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get(SPC)?;
    for part in ["cursor", "index"] {
        let pointer = format!("/pagination/{part}");
        answer.holds(answer.at(&pointer).is_boolean(), format!("`{pointer}` is no boolean"))?;
    }
    match answer.at("/pagination/defaultPaginationMethod") {
        Value::Null => {}
        method => {
            answer.holds(
                method == "cursor" || method == "index",
                "`defaultPaginationMethod` is neither cursor nor index",
            )?;
        }
    }
    Ok(())
}

fn security_events(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get(SPC)?;
    if answer.at("/securityEvents").is_null() {
        return Err(Stop::NotApplicable("the server does not advertise events".to_owned()));
    }
    answer.array("/securityEvents/eventUris")?;
    Ok(())
}

fn max_results(t: &mut Trial<'_>) -> Verdict {
    let most = t.server.config["filter"]["maxResults"].as_i64().unwrap_or(0);
    if most <= 0 {
        return Err(Stop::NotApplicable("the server states no limit".to_owned()));
    }
    if most > LONGEST_LIST {
        return Err(Stop::Skip(format!("a list of {most} is too long to ask for")));
    }
    let beyond = most.saturating_add(1).to_string();
    let answer = t.list(&t.users(), &[("count", &beyond), ("attributes", "userName")])?;
    if answer.status == 400 {
        return Ok(());
    }
    let found = answer.resources()?.len();
    answer.holds(found as i64 <= most, format!("{found} resources, though maxResults is {most}"))?;
    Ok(())
}

fn resource_types_are_listed(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get("/ResourceTypes")?;
    let resources = answer.resources()?;
    answer.holds(!resources.is_empty(), "the server has no resource type")?.has("/totalResults", resources.len())?;
    Ok(())
}

/// The names under which resource types are to be found.
fn names(t: &Trial<'_>) -> Vec<String> {
    let name = |resource_type: &Value| {
        let name = resource_type["id"].as_str().or(resource_type["name"].as_str());
        name.map(str::to_owned)
    };
    t.server.resource_types.iter().filter_map(name).collect()
}

fn resource_types_are_found(t: &mut Trial<'_>) -> Verdict {
    for name in names(t) {
        let answer = t.get(&format!("/ResourceTypes/{}", encode(&name)))?;
        answer.is(200)?.lacks("/Resources")?;
        let found = [answer.at("/id"), answer.at("/name")].iter().any(|found| **found == name.as_str());
        answer.holds(found, format!("the answer is not the resource type {name}"))?;
    }
    Ok(())
}

fn unknown_resource_type(t: &mut Trial<'_>) -> Verdict {
    t.get("/ResourceTypes/NobodyHasThisType")?.is(404)?;
    Ok(())
}

fn resource_types_are_whole(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get("/ResourceTypes")?;
    for index in 0..answer.resources()?.len() {
        for part in ["name", "endpoint", "schema"] {
            answer.text(&format!("/Resources/{index}/{part}"))?;
        }
        let endpoint = answer.text(&format!("/Resources/{index}/endpoint"))?;
        answer.holds(endpoint.starts_with('/'), format!("the endpoint `{endpoint}` does not begin with `/`"))?;
    }
    Ok(())
}

fn extensions_are_whole(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get("/ResourceTypes")?;
    for (index, resource_type) in answer.resources()?.iter().enumerate() {
        let extensions = resource_type["schemaExtensions"].as_array().map_or(0, Vec::len);
        for extension in 0..extensions {
            let pointer = format!("/Resources/{index}/schemaExtensions/{extension}");
            answer.text(&format!("{pointer}/schema"))?;
            let required = answer.at(&format!("{pointer}/required"));
            answer.holds(required.is_boolean(), format!("`{pointer}/required` is no boolean"))?;
        }
    }
    Ok(())
}

fn resource_types_have_meta(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get("/ResourceTypes")?;
    for index in 0..answer.resources()?.len() {
        answer.has(&format!("/Resources/{index}/meta/resourceType"), "ResourceType")?;
        answer.text(&format!("/Resources/{index}/meta/location"))?;
    }
    Ok(())
}

fn endpoints_answer(t: &mut Trial<'_>) -> Verdict {
    for endpoint in t.server.endpoints() {
        t.list(&endpoint, &[("count", "0")])?.is(200)?;
    }
    Ok(())
}

fn filters_are_forbidden(t: &mut Trial<'_>) -> Verdict {
    for endpoint in [SPC, "/ResourceTypes", "/Schemas"] {
        t.list(endpoint, &[("filter", "id pr")])?.is(403)?;
    }
    Ok(())
}

fn parameters_are_ignored(t: &mut Trial<'_>) -> Verdict {
    for endpoint in ["/ResourceTypes", "/Schemas"] {
        let all = t.get(endpoint)?.resources()?.len();
        let answer =
            t.list(endpoint, &[("startIndex", "2"), ("count", "1"), ("attributes", "id"), ("sortBy", "id")])?;
        let found = answer.resources()?.len();
        answer.holds(found == all, format!("{found} instead of {all} resources"))?;
    }
    Ok(())
}

fn writes_are_refused(t: &mut Trial<'_>) -> Verdict {
    let answer = t.post(SPC, &json!({}))?;
    answer.is(405)?.header("Allow")?;
    Ok(())
}

fn answers_anybody(t: &mut Trial<'_>) -> Verdict {
    t.send(&Request::get(SPC).credentials(Credentials::None))?.is(200)?;
    Ok(())
}

fn etag(t: &mut Trial<'_>) -> Verdict {
    let tag = t.get(SPC)?.header("ETag")?.to_owned();
    t.send(&Request::get(SPC).header("If-None-Match", tag))?.is(304)?;
    Ok(())
}

fn locations_lead_home(t: &mut Trial<'_>) -> Verdict {
    for resource_type in t.server.resource_types.clone() {
        let Some(location) = resource_type["meta"]["location"].as_str() else {
            return Err(Stop::fail("a resource type has no `meta.location`"));
        };
        t.get(location)?.is(200)?.has("/name", resource_type["name"].clone())?;
    }
    Ok(())
}
