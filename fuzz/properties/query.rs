//! The text behind the `?`, and the same search as a message.

use scimd::scim::query::{Parameters, Query};
use scimd::scim::{ErrorKind, message};
use serde_json::{Map, Value, json};

use super::{PROFILES, assert_refusal, types};

/// Reads the bytes as a query.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parameters = match Parameters::parse(text) {
        Ok(parameters) => parameters,
        Err(error) => {
            assert_refusal(&error);
            let kinds = [ErrorKind::InvalidFilter, ErrorKind::InvalidCursor, ErrorKind::InvalidValue];
            return assert!(kinds.contains(&error.kind()), "{error:?}");
        }
    };
    let given = given(&parameters);
    assert_eq!(Parameters::parse(&encoded(&given)).expect("it is encoded"), parameters);
    if parameters.start_index.is_none() && parameters.count.is_none() {
        let again = Parameters::from_search_request(&message(&given)).expect("it is a search request");
        let again = Parameters { in_body: false, ..again };
        assert_eq!(again, parameters, "a search may come either way (RFC 7644 §3.4.3)");
    }
    for profile in PROFILES {
        for resource_type in types() {
            let query = Query::resolve(&parameters, resource_type, profile);
            let among = Query::resolve_over(&parameters, &types(), profile);
            match query {
                Ok(_) => assert!(among.is_ok(), "what one type knows, several know"),
                Err(error) => assert_refusal(&error),
            }
        }
    }
}

fn given(parameters: &Parameters) -> Vec<(&'static str, &String)> {
    let all = [
        ("filter", &parameters.filter),
        ("sortBy", &parameters.sort_by),
        ("sortOrder", &parameters.sort_order),
        ("startIndex", &parameters.start_index),
        ("count", &parameters.count),
        ("cursor", &parameters.cursor),
        ("attributes", &parameters.attributes),
        ("excludedAttributes", &parameters.excluded_attributes),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect()
}

/// As a careful client writes it: every byte that is no letter or digit percent-encoded.
fn encoded(given: &[(&str, &String)]) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let pairs = given.iter().map(|(name, value)| format!("{name}={}", value.bytes().map(byte).collect::<String>()));
    pairs.collect::<Vec<_>>().join("&")
}

fn message(given: &[(&str, &String)]) -> Map<String, Value> {
    let mut message = Map::from_iter([("schemas".to_owned(), json!([message::SEARCH_REQUEST]))]);
    message.extend(given.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    message
}
