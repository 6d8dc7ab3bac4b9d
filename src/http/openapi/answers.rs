//! What comes back: the headers of answers, and the answers that say no.

use serde_json::{Map, Value, json};

use super::shapes::reference;
use crate::scim::message::MEDIA_TYPE;

/// Statuses of failure, the names under which they stand in the document, and when they come. `405` is none of them: it
/// comes where there is no operation.
const REFUSALS: [(u16, &str, &str); 14] = [
    (400, "BadRequest", "The request is not understood; `scimType` says in which way."),
    (401, "Unauthorized", "There is no key, or it is wrong, expired or revoked."),
    (403, "Forbidden", "The key lacks the scope; or the request filters where no filter may be."),
    (404, "NotFound", "There is no such thing for this key."),
    (408, "RequestTimeout", "The body did not arrive in time; the connection is closed."),
    (409, "Conflict", "A value that must be unique is taken."),
    (412, "PreconditionFailed", "The resource does not have the version that the request expects."),
    (413, "ContentTooLarge", "The body, or the work that it asks for, is larger than this server takes."),
    (415, "UnsupportedMediaType", "The body is no JSON in UTF-8, or it is compressed."),
    (
        428,
        "PreconditionRequired",
        "The tenant wants every change to name the version that it expects, with `If-Match`.",
    ),
    (429, "TooManyRequests", "More work waits than this server takes at once."),
    (500, "InternalServerError", "A fault of this server; its log has the request id."),
    (501, "NotImplemented", "This server does not offer it."),
    (503, "ServiceUnavailable", "The server starts or stops, or its database is out of reach."),
];

/// Headers of answers, by name.
pub(super) fn headers() -> Map<String, Value> {
    let headers = [
        ("Cache-Control", "Personal data is for nobody else's cache, and must be asked for again."),
        ("Content-Location", "Where the resource in the body is."),
        ("ETag", "The version, to the letter that of `meta.version` where the body shows it."),
        ("Location", "Where the resource is, `meta.location`."),
        ("Preference-Applied", "The preference of the client that was heeded."),
        ("Retry-After", "After how many seconds to try again."),
        ("Vary", "Which headers of the request the answer depends on."),
        ("WWW-Authenticate", "How to authenticate, and what was wrong."),
        ("X-Request-Id", "The name of the request in the log."),
    ];
    let described = headers.map(|(name, description)| {
        (name.to_owned(), json!({"description": description, "schema": {"type": "string"}}))
    });
    described.into_iter().collect()
}

/// The answers that say no, by name.
pub(super) fn refusals() -> Map<String, Value> {
    let refusal = |(status, name, description): &(u16, &str, &str)| {
        let more: &[&str] = match status {
            401 | 403 => &["WWW-Authenticate"],
            429 | 503 => &["Retry-After"],
            _ => &[],
        };
        let headers = [&["Cache-Control", "Vary", "X-Request-Id"], more].concat();
        ((*name).to_owned(), answer(description, Some(&reference("Error")), &headers))
    };
    REFUSALS.iter().map(refusal).collect()
}

/// The entries of these statuses in the answers of an operation.
pub(super) fn refused(statuses: &[u16]) -> impl Iterator<Item = (String, Value)> {
    let named = REFUSALS.iter().filter(move |(status, ..)| statuses.contains(status));
    named.map(|(status, name, _)| (status.to_string(), json!({"$ref": format!("#/components/responses/{name}")})))
}

/// An answer with a body of this shape, or without one.
pub(super) fn answer(description: &str, shape: Option<&Value>, headers: &[&str]) -> Value {
    let headers: Map<String, Value> = headers
        .iter()
        .map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")})))
        .collect();
    let mut answer = json!({"description": description, "headers": headers});
    if let Some(shape) = shape {
        answer["content"] = content(shape, None);
    }
    answer
}

/// A body of this shape, in either media type.
pub(super) fn content(shape: &Value, example: Option<&Value>) -> Value {
    let mut media = json!({"schema": shape});
    if let Some(example) = example {
        media["example"] = example.clone();
    }
    json!({MEDIA_TYPE: media, "application/json": media})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::ErrorKind;

    #[test]
    fn every_status_of_failure_is_described() {
        for kind in ErrorKind::ALL {
            let status = kind.status();
            let is_described = REFUSALS.iter().any(|(described, ..)| *described == status);
            assert!(is_described || status == 405, "{kind:?}");
        }
    }
}
