//! Clients: SCIM over HTTP (RFC 7644 §3, RFC 9110). Requests become calls of [`crate::provider`], results become
//! responses; nothing here knows how data is stored.

mod body;
mod discovery;
mod exchange;
mod health;
mod metrics;
mod observe;
mod resources;
mod respond;
mod search;
mod unserved;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{NormalizePath, TrailingSlash, from_fn};
use actix_web::{App, HttpServer, Resource, Route, guard, web};

use crate::auth::Authenticator;
use crate::provider::Provider;
use crate::scim::schema::ResourceType;

/// What requests are served with.
#[derive(Clone)]
pub struct Service {
    /// The operations.
    pub provider: Provider,
    /// Who may ask.
    pub authenticator: Arc<Authenticator>,
    /// Whether the discovery endpoints answer without a key.
    pub open_discovery: bool,
}

/// How the server runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that serve requests.
    pub workers: usize,
    /// How long requests in flight may take after a signal to stop.
    pub shutdown_timeout: Duration,
}

/// Starts to listen. The server is a future that ends after SIGTERM or SIGINT, when the requests in flight are answered.
///
/// `metrics_listener` takes `/metrics`, `/healthz` and `/readyz` off the main port.
///
/// # Errors
/// If the operating system refuses a listener.
pub fn bind(
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    service: Service,
    options: &Options,
) -> std::io::Result<Server> {
    metrics::install(service.provider.clone());
    let workers = options.workers.max(1);
    let main_shows_health = metrics_listener.is_none();
    let main = service.clone();
    let server = HttpServer::new(move || {
        let service = main.clone();
        App::new()
            .configure(move |app| routes(app, &service, main_shows_health))
            .wrap(NormalizePath::new(TrailingSlash::Trim))
            .wrap(from_fn(observe::request))
    })
    .workers(workers)
    .shutdown_timeout(options.shutdown_timeout.as_secs())
    .keep_alive(Duration::from_secs(75))
    .client_request_timeout(Duration::from_secs(10))
    .listen(listener)?;
    let Some(metrics_listener) = metrics_listener else {
        return Ok(server.run());
    };
    // One server with two listeners would show every route on both ports.
    let health = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(service.clone()))
            .configure(health::routes)
            .default_service(web::to(unserved::unknown_endpoint))
    })
    .workers(1)
    .disable_signals()
    .listen(metrics_listener)?
    .run();
    actix_web::rt::spawn(health);
    Ok(server.run())
}

/// The bases under which the same routes answer: the documented one, that of the design which this product follows, and
/// the one without a version, which means version 2 (RFC 7644 §3.13).
const BASES: [&str; 3] = ["/scim/v2", "/api/scim/v2", "/scim"];

/// Every route.
fn routes(app: &mut web::ServiceConfig, service: &Service, with_health: bool) {
    app.app_data(web::Data::new(service.clone()));
    if with_health {
        app.configure(health::routes);
    }
    for base in ["/scim", "/api/scim"] {
        app.service(
            web::resource([
                format!("{base}/v{{version:[013-9][0-9]*|2[0-9]+}}"),
                format!("{base}/v{{version:[013-9][0-9]*|2[0-9]+}}/{{rest:.*}}"),
            ])
            .to(unserved::unknown_version),
        );
    }
    for base in BASES {
        let at = |path: &str| web::resource(format!("{base}{path}"));
        app.service(read_only(at("/ServiceProviderConfig"), || web::to(discovery::service_provider_config)));
        app.service(read_only(at("/ResourceTypes"), || web::to(discovery::resource_types)));
        app.service(read_only(at("/ResourceTypes/{id}"), || web::to(discovery::resource_type)));
        app.service(read_only(at("/Schemas"), || web::to(discovery::schemas)));
        app.service(read_only(at("/Schemas/{urn}"), || web::to(discovery::schema)));
        app.service(methods(
            at(""),
            "GET, HEAD, OPTIONS",
            vec![web::get().to(search::root_query), web::head().to(search::root_query)],
        ));
        app.service(methods(at("/.search"), "POST, OPTIONS", vec![web::post().to(search::root)]));
        app.service(methods(at("/Bulk"), "POST, OPTIONS", vec![web::post().to(unserved::not_offered)]));
        let me = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        app.service(methods(
            at("/Me"),
            "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            me.map(|method| route(method).to(unserved::not_offered)).into(),
        ));
        for resource_type in service.provider.registry().resource_types() {
            resource_routes(app, base, resource_type);
        }
    }
    app.default_service(web::to(unserved::unknown_endpoint));
}

fn resource_routes(app: &mut web::ServiceConfig, base: &str, resource_type: &'static ResourceType) {
    let endpoint = format!("{base}{}", resource_type.endpoint);
    let resource = |path: &str| web::resource(format!("{endpoint}{path}")).app_data(web::Data::new(resource_type));
    app.service(methods(resource("/.search"), "POST, OPTIONS", vec![web::post().to(search::typed)]));
    app.service(methods(
        resource(""),
        "GET, HEAD, POST, OPTIONS",
        vec![web::get().to(resources::list), web::head().to(resources::list), web::post().to(resources::create)],
    ));
    app.service(methods(
        resource("/{id}"),
        "GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
        vec![
            web::get().to(resources::read),
            web::head().to(resources::read),
            web::put().to(resources::replace),
            web::patch().to(resources::modify),
            web::delete().to(resources::delete),
        ],
    ));
}

/// A discovery endpoint: GET and HEAD, anything else is 405 whatever the body (DISC-18).
fn read_only(resource: Resource, to: impl Fn() -> Route) -> Resource {
    let reads = [to().guard(guard::Get()), to().guard(guard::Head())];
    methods(resource, "GET, HEAD, OPTIONS", reads.into())
}

fn methods(resource: Resource, allow: &'static str, routes: Vec<Route>) -> Resource {
    let options = route("OPTIONS").to(move |payload| respond::options(payload, allow));
    let resource = routes.into_iter().fold(resource, Resource::route).route(options);
    resource.default_service(web::to(move |request, payload| unserved::method_not_allowed(request, payload, allow)))
}

fn route(method: &'static str) -> Route {
    web::route().guard(guard::fn_guard(move |context| context.head().method.as_str() == method))
}
