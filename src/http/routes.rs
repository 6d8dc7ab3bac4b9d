//! The table of routes: which endpoint knows which methods, and what they do (RFC 7644 §3.2, Table 2).
//!
//! It is data. The router is made of it, and so are every `Allow` and the OpenAPI document; nobody else writes down what
//! there is.

use actix_web::http::Method;

use crate::admin::transfer::{Backup, Export, Import};
use crate::admin::{self, Verb};
use crate::scim::schema::{Registry, ResourceType};

/// Where operators ask.
pub const ADMIN: &str = "/admin/v1";

/// Where the same endpoints of SCIM answer: the documented base, and that of the design which this product follows.
pub const VERSIONED_BASES: [&str; 2] = ["/scim/v2", "/api/scim/v2"];

/// Where they answer as well: without a version, which means version 2 (RFC 7644 §3.13).
pub const VERSIONLESS_BASE: &str = "/scim";

/// Where the OpenAPI document is. Tools look for it at the root, so it answers there as well.
pub const OPENAPI: &str = "/openapi.json";

/// Where whoever watches the server asks, and what for. They have no base, and may have a port of their own.
const HEALTH: [(&str, Operation); 3] =
    [("/healthz", Operation::Alive), ("/readyz", Operation::Ready), ("/metrics", Operation::Metrics)];

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `GET /ServiceProviderConfig`
    GetServiceProviderConfig,
    /// `GET /ResourceTypes`
    ListResourceTypes,
    /// `GET /ResourceTypes/{name}`
    GetResourceType,
    /// `GET /Schemas`
    ListSchemas,
    /// `GET /Schemas/{urn}`
    GetSchema,
    /// `GET /openapi.json`
    GetOpenApi,
    /// `GET` of the base: a query over every type of resource.
    QueryAll,
    /// `POST /.search`: the same, with the parameters in the body.
    SearchAll,
    /// `POST /Bulk`
    Bulk,
    /// `GET /Me`
    ReadMe,
    /// `POST /Me`
    CreateMe,
    /// `PUT /Me`
    ReplaceMe,
    /// `PATCH /Me`
    ModifyMe,
    /// `DELETE /Me`
    DeleteMe,
    /// `GET /Users`
    Query,
    /// `POST /Users/.search`
    Search,
    /// `POST /Users/{id}/.search`
    SearchOne,
    /// `POST /Users`
    Create,
    /// `GET /Users/{id}`
    Read,
    /// `PUT /Users/{id}`
    Replace,
    /// `PATCH /Users/{id}`
    Modify,
    /// `DELETE /Users/{id}`
    Delete,
    /// `GET /healthz`
    Alive,
    /// `GET /readyz`
    Ready,
    /// `GET /metrics`
    Metrics,
    /// `GET /admin/v1/openapi.json`
    GetAdminOpenApi,
    /// What stands at this place of [`admin::offers`].
    Administer(usize),
    /// `GET /admin/v1/tenants/{tenant}/export`
    Export,
    /// `POST /admin/v1/tenants/{tenant}/import`
    Import,
    /// `GET /admin/v1/backup`
    Backup,
}

/// One path and what its methods do. `HEAD` goes with `GET`, and `OPTIONS` with everything.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The path, with its variable segments in braces; of SCIM's endpoints, the part behind the base.
    pub path: String,
    /// The resource type that it is about, where it is about one.
    pub resource_type: Option<&'static ResourceType>,
    /// What each method does.
    pub operations: Vec<(Method, Operation)>,
}

impl Endpoint {
    fn new<const N: usize>(path: impl Into<String>, operations: [(Method, Operation); N]) -> Endpoint {
        Endpoint { path: path.into(), resource_type: None, operations: operations.into() }
    }

    fn of<const N: usize>(
        resource_type: &'static ResourceType,
        path: &str,
        operations: [(Method, Operation); N],
    ) -> Endpoint {
        let path = format!("{}{path}", resource_type.endpoint);
        Endpoint { resource_type: Some(resource_type), ..Endpoint::new(path, operations) }
    }

    /// Every method that it knows, in the order of `Allow`.
    pub fn methods(&self) -> Vec<Method> {
        let named = self.operations.iter().flat_map(|(method, _)| {
            let head = (*method == Method::GET).then_some(Method::HEAD);
            std::iter::once(method.clone()).chain(head)
        });
        named.chain([Method::OPTIONS]).collect()
    }

    /// The value of `Allow`.
    pub fn allow(&self) -> String {
        self.methods().iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The endpoints of SCIM, below each of [`VERSIONED_BASES`] and [`VERSIONLESS_BASE`].
///
/// The order decides: of two paths that fit, the first one answers. No path of a resource type fits any of the others.
pub fn scim(registry: &Registry) -> Vec<Endpoint> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    const PATCH: Method = Method::PATCH;
    const DELETE: Method = Method::DELETE;
    use Operation::*;

    let mut endpoints = vec![
        Endpoint::new("/ServiceProviderConfig", [(GET, GetServiceProviderConfig)]),
        Endpoint::new("/ResourceTypes", [(GET, ListResourceTypes)]),
        Endpoint::new("/ResourceTypes/{name}", [(GET, GetResourceType)]),
        Endpoint::new("/Schemas", [(GET, ListSchemas)]),
        Endpoint::new("/Schemas/{urn}", [(GET, GetSchema)]),
        Endpoint::new(OPENAPI, [(GET, GetOpenApi)]),
        Endpoint::new("", [(GET, QueryAll)]),
        Endpoint::new("/.search", [(POST, SearchAll)]),
        Endpoint::new("/Bulk", [(POST, Bulk)]),
        Endpoint::new(
            "/Me",
            [(GET, ReadMe), (POST, CreateMe), (PUT, ReplaceMe), (PATCH, ModifyMe), (DELETE, DeleteMe)],
        ),
    ];
    for resource_type in registry.resource_types().iter().copied() {
        endpoints.extend([
            Endpoint::of(resource_type, "/.search", [(POST, Search)]),
            Endpoint::of(resource_type, "", [(GET, Query), (POST, Create)]),
            Endpoint::of(resource_type, "/{id}", [(GET, Read), (PUT, Replace), (PATCH, Modify), (DELETE, Delete)]),
            Endpoint::of(resource_type, "/{id}/.search", [(POST, SearchOne)]),
        ]);
    }
    endpoints
}

/// The endpoints for whoever watches the server.
pub fn health() -> Vec<Endpoint> {
    HEALTH.map(|(path, operation)| Endpoint::new(path, [(Method::GET, operation)])).into()
}

/// Whether that is the path of one of them.
pub fn is_health(path: &str) -> bool {
    HEALTH.iter().any(|(known, _)| *known == path)
}

/// The endpoints for operators, below [`ADMIN`].
pub fn admin() -> Vec<Endpoint> {
    let mut endpoints = vec![
        Endpoint::new(OPENAPI, [(Method::GET, Operation::GetAdminOpenApi)]),
        Endpoint::new(Export::ROUTE.path, [(Method::GET, Operation::Export)]),
        Endpoint::new(Import::ROUTE.path, [(Method::POST, Operation::Import)]),
        Endpoint::new(Backup::ROUTE.path, [(Method::GET, Operation::Backup)]),
    ];
    for (place, offer) in admin::offers().iter().enumerate() {
        let operation = (method(offer.route.verb), Operation::Administer(place));
        match endpoints.iter_mut().find(|endpoint| endpoint.path == offer.route.path) {
            Some(endpoint) => endpoint.operations.push(operation),
            None => endpoints.push(Endpoint::new(offer.route.path, [operation])),
        }
    }
    endpoints
}

fn method(verb: Verb) -> Method {
    match verb {
        Verb::Get => Method::GET,
        Verb::Post => Method::POST,
        Verb::Patch => Method::PATCH,
        Verb::Delete => Method::DELETE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::is_reserved;

    fn endpoints() -> Vec<Endpoint> {
        [scim(Registry::builtin()), health(), admin()].concat()
    }

    #[test]
    fn http_05_allow_names_every_method_once() {
        for endpoint in endpoints() {
            let mut methods: Vec<String> = endpoint.methods().iter().map(Method::to_string).collect();
            let named = methods.len();
            methods.sort();
            methods.dedup();
            assert_eq!(methods.len(), named, "{}", endpoint.path);
            assert_eq!(methods.contains(&"HEAD".to_owned()), methods.contains(&"GET".to_owned()), "{}", endpoint.path);
        }
        let users = endpoints().into_iter().find(|endpoint| endpoint.path == "/Users").expect("/Users");
        assert_eq!(users.allow(), "GET, HEAD, POST, OPTIONS");
    }

    #[test]
    fn no_resource_type_can_have_the_endpoint_of_something_else() {
        for endpoint in scim(Registry::builtin()).iter().filter(|endpoint| endpoint.resource_type.is_none()) {
            let first = endpoint.path.split('/').nth(1).unwrap_or_default();
            // What is no plain name is refused as an endpoint.
            let is_plain = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_alphanumeric());
            assert!(!is_plain || is_reserved(&format!("/{first}")), "{}", endpoint.path);
        }
    }

    #[test]
    fn every_path_stands_once() {
        let below = |base: &str, endpoints: Vec<Endpoint>| -> Vec<String> {
            endpoints.into_iter().map(|endpoint| format!("{base}{}", endpoint.path)).collect()
        };
        let mut paths =
            [below("/scim/v2", scim(Registry::builtin())), below("", health()), below(ADMIN, admin())].concat();
        let named = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), named);
    }
}
