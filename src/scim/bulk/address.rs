//! The `path` of a bulk operation.

use percent_encoding::percent_decode_str;

use super::Method;
use crate::scim::{Error, ErrorKind, Result};

/// An endpoint, and the id of a resource for every method but POST.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// With its slash: `/Users`.
    pub(super) endpoint: String,
    /// As it stands in the path, `bulkId:…` included.
    pub(super) id: Option<String>,
}

/// Endpoints that no bulk operation may name (BULK-16).
const NOT_IN_BULK: [&str; 5] = ["Bulk", ".search", "ServiceProviderConfig", "ResourceTypes", "Schemas"];

/// Reads a path relative to the base: `/Users` for a POST, `/Users/2819c223` for anything else. Empty segments are
/// ignored, as in URLs.
///
/// # Errors
/// `invalidSyntax` for what is no such path, and for endpoints that have no place in a bulk request; 404 for a path that
/// leads nowhere; 501 for `/Me`.
pub(super) fn parse(path: &str, method: Method) -> Result<Address> {
    if path.contains("://") || path.contains(['?', '#']) {
        return Err(invalid("path must be relative to the base, without a query: '/Users' or '/Users/{id}'."));
    }
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments: Vec<_> = segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
    let reserved = |segment: &str| NOT_IN_BULK.iter().find(|name| name.eq_ignore_ascii_case(segment));
    let first = segments.first().ok_or_else(|| invalid("path must name an endpoint, such as '/Users'."))?;
    if let Some(name) = reserved(first).or_else(|| reserved(segments.last()?).filter(|name| **name == ".search")) {
        return Err(invalid(&format!("path: '/{name}' has no place in a bulk request.")));
    }
    if first.eq_ignore_ascii_case("Me") {
        return Err(Error::new(ErrorKind::NotImplemented, "path: '/Me' is not offered in a bulk request."));
    }
    let endpoint = format!("/{first}");
    match (method, segments.as_slice()) {
        (Method::Post, [_]) => Ok(Address { endpoint, id: None }),
        (Method::Post, [_, _]) => Err(invalid("path of a POST must be an endpoint, without an id.")),
        (_, [_]) => Err(invalid("path must be that of a resource: the endpoint and its id.")),
        (_, [_, id]) if !id.contains('\0') => {
            Ok(Address { endpoint, id: Some(id.strip_suffix(".scim").unwrap_or(id).to_owned()) })
        }
        _ => Err(Error::new(ErrorKind::NotFound, "path: there is no such endpoint.")),
    }
}

fn invalid(detail: &str) -> Error {
    Error::new(ErrorKind::InvalidSyntax, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_02_a_path_is_relative_to_the_base() {
        let address =
            |endpoint: &str, id: Option<&str>| Address { endpoint: endpoint.into(), id: id.map(str::to_owned) };
        for path in ["/Users", "Users", "/Users/", "//Users"] {
            assert_eq!(parse(path, Method::Post).expect(path), address("/Users", None));
        }
        for path in ["/Users/1", "Users/1", "/Users/1/", "/Users/1.scim", "/Users/%31"] {
            assert_eq!(parse(path, Method::Put).expect(path), address("/Users", Some("1")));
        }
        let created = address("/Users", Some("bulkId:a b"));
        assert_eq!(parse("/Users/bulkId:a%20b", Method::Delete).expect("a path"), created);
    }

    #[test]
    fn bulk_02_16_other_paths_are_refused() {
        let cases = [
            (Method::Post, "", ErrorKind::InvalidSyntax),
            (Method::Post, "/", ErrorKind::InvalidSyntax),
            (Method::Post, "/Users/1", ErrorKind::InvalidSyntax),
            (Method::Put, "/Users", ErrorKind::InvalidSyntax),
            (Method::Put, "/Users/1?attributes=id", ErrorKind::InvalidSyntax),
            (Method::Put, "/Users/1#id", ErrorKind::InvalidSyntax),
            (Method::Post, "https://idm.example/scim/v2/Users", ErrorKind::InvalidSyntax),
            (Method::Post, "/Bulk", ErrorKind::InvalidSyntax),
            (Method::Post, "/bulk", ErrorKind::InvalidSyntax),
            (Method::Post, "/.search", ErrorKind::InvalidSyntax),
            (Method::Post, "/Users/.search", ErrorKind::InvalidSyntax),
            (Method::Put, "/ServiceProviderConfig", ErrorKind::InvalidSyntax),
            (Method::Put, "/Schemas/x", ErrorKind::InvalidSyntax),
            (Method::Post, "/ResourceTypes", ErrorKind::InvalidSyntax),
            (Method::Patch, "/Me", ErrorKind::NotImplemented),
            (Method::Put, "/Users/1/2", ErrorKind::NotFound),
            (Method::Put, "/Users/../Groups", ErrorKind::NotFound),
            (Method::Put, "/Users/%00", ErrorKind::NotFound),
            (Method::Post, "/Users/1/2", ErrorKind::NotFound),
        ];
        for (method, path, kind) in cases {
            assert_eq!(parse(path, method).expect_err(path).kind(), kind, "{path}");
        }
    }
}
