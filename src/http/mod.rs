//! Clients: SCIM over HTTP (RFC 7644 §3, RFC 9110). Requests become calls of [`crate::provider`], results become
//! responses; nothing here knows how data is stored.

mod admin;
mod body;
mod bulk;
mod discovery;
mod exchange;
mod expiry;
mod health;
mod long;
mod me;
mod metrics;
mod observe;
pub mod openapi;
pub mod peers;
mod resources;
mod respond;
pub mod routes;
mod search;
mod tls;
mod trace;
mod traffic;
mod transfer;
mod turnstile;
mod unserved;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::Method;
use actix_web::middleware::{NormalizePath, TrailingSlash, from_fn};
use actix_web::{App, HttpServer, Route, guard, web};

use self::peers::Peers;
use self::routes::{ADMIN, Endpoint, OPENAPI, Operation, VERSIONED_BASES, VERSIONLESS_BASE};
use self::traffic::{Farewell, Signals, Traffic};
use self::turnstile::Turnstile;
use crate::admin::Desk;
use crate::auth::Authenticator;
use crate::certificate::Files;
use crate::provider::Provider;

/// What requests are served with.
#[derive(Clone)]
pub struct Service {
    /// The operations.
    pub provider: Provider,
    /// What operators ask at.
    pub desk: Desk,
    /// Who may ask.
    pub authenticator: Arc<Authenticator>,
    /// Whether the discovery endpoints answer without a key.
    pub open_discovery: bool,
    /// Who may send keys.
    pub peers: Peers,
}

/// How the server runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that serve requests.
    pub workers: usize,
    /// How long the server goes on as before after a signal to stop, but for saying that it is draining.
    pub shutdown_delay: Duration,
    /// How long requests in flight may take after that.
    pub shutdown_timeout: Duration,
    /// The certificate, where TLS is ours.
    pub tls: Option<Files>,
}

/// Starts to listen. The server is a future that ends after SIGTERM or SIGINT, when the requests in flight are answered;
/// both signals are heeded from here on. Until that end `/readyz` says that the server is draining.
///
/// `metrics_listener` takes `/metrics`, `/healthz` and `/readyz` off the main port.
///
/// # Errors
/// If the operating system refuses a listener, or the certificate cannot be used.
pub fn bind(
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    service: Service,
    options: &Options,
) -> std::io::Result<Server> {
    metrics::install(service.provider.clone());
    actix_web::rt::spawn(expiry::keep_telling(service.provider.clone()));
    let (signals, traffic) = (Signals::heed()?, web::Data::new(Traffic::default()));
    let workers = options.workers.max(1);
    let main_shows_health = metrics_listener.is_none();
    let main = service.clone();
    let document = web::Data::new(openapi::Document::of(&service, main_shows_health));
    let (counted, waiting) = (traffic.clone(), Arc::default());
    let server = HttpServer::new(move || {
        let service = main.clone();
        // Each thread that serves makes itself an application.
        actix_web::rt::spawn(service.provider.rounds());
        App::new()
            .app_data(document.clone())
            .app_data(counted.clone())
            .app_data(web::Data::new(Turnstile::new(&waiting)))
            .configure(move |app| serve(app, &service, main_shows_health))
            .wrap(NormalizePath::new(TrailingSlash::Trim))
            .wrap(from_fn(observe::request))
    })
    .workers(workers)
    .disable_signals()
    .shutdown_timeout(options.shutdown_timeout.as_secs())
    // The end of a long answer would wait for the client to say that it has the rest, which clients put off for 40 ms.
    .tcp_nodelay(true)
    .keep_alive(Duration::from_secs(75))
    .client_request_timeout(Duration::from_secs(10));
    let server = match &options.tls {
        None => server.listen(listener)?,
        Some(files) => {
            let (tls, renewed) = tls::serve_with(files, service.provider.now())?;
            actix_web::rt::spawn(tls::keep(renewed, service.provider.clone()));
            server.listen_rustls_0_23(listener, tls)?
        }
    };
    let server = server.run();
    let farewell = Farewell { delay: options.shutdown_delay, patience: options.shutdown_timeout };
    actix_web::rt::spawn(traffic::stop_on_signal(signals, traffic.clone(), server.handle(), farewell));
    let Some(metrics_listener) = metrics_listener else {
        return Ok(server);
    };
    // One server with two listeners would show every route on both ports.
    let health = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(service.clone()))
            .app_data(traffic.clone())
            .configure(|app| routes::health().iter().for_each(|endpoint| at(app, endpoint)))
            .default_service(web::to(unserved::unknown_endpoint))
            .wrap(from_fn(observe::request))
    })
    .workers(1)
    .disable_signals()
    .listen(metrics_listener)?
    .run();
    actix_web::rt::spawn(health);
    Ok(server)
}

/// Every route. What shares a base is looked for together, behind it: a path is compared with a base once, and not with
/// every endpoint below every other one. Behind a base they are compared one after the other, so what is asked for all
/// day long comes first; no path of a resource type fits another endpoint as well.
fn serve(app: &mut web::ServiceConfig, service: &Service, with_health: bool) {
    app.app_data(web::Data::new(service.clone()));
    let mut endpoints = routes::scim(service.provider.registry());
    endpoints.sort_by_key(|endpoint| endpoint.resource_type.is_none());
    for base in VERSIONED_BASES {
        below(app, base, &endpoints);
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
    below(app, VERSIONLESS_BASE, &endpoints);
    endpoints.iter().filter(|endpoint| endpoint.path == OPENAPI).for_each(|endpoint| at(app, endpoint));
    below(app, ADMIN, &routes::admin());
    if with_health {
        routes::health().iter().for_each(|endpoint| at(app, endpoint));
    }
    app.default_service(web::to(unserved::unknown_endpoint));
}

fn below(app: &mut web::ServiceConfig, base: &str, endpoints: &[Endpoint]) {
    app.service(web::scope(base).configure(|scope| endpoints.iter().for_each(|endpoint| at(scope, endpoint))));
}

/// One endpoint with its methods. Any other method is 405, whatever the body (HTTP-05, DISC-18).
fn at(app: &mut web::ServiceConfig, endpoint: &Endpoint) {
    let mut resource = web::resource(endpoint.path.as_str());
    if let Some(resource_type) = endpoint.resource_type {
        resource = resource.app_data(web::Data::new(resource_type));
    }
    for (method, operation) in &endpoint.operations {
        resource = resource.route(handler(*operation).guard(is(method)));
        if method == Method::GET {
            resource = resource.route(handler(*operation).guard(guard::Head()));
        }
    }
    let allow: Arc<str> = endpoint.allow().into();
    let allowed = Arc::clone(&allow);
    let options = web::to(move |payload| respond::options(payload, Arc::clone(&allow)));
    let otherwise =
        web::to(move |request, payload| unserved::method_not_allowed(request, payload, Arc::clone(&allowed)));
    app.service(resource.route(options.guard(guard::Options())).default_service(otherwise));
}

fn is(method: &Method) -> impl guard::Guard + use<> {
    let method = method.clone();
    guard::fn_guard(move |context| context.head().method == method)
}

/// What carries out an operation.
fn handler(operation: Operation) -> Route {
    match operation {
        Operation::GetServiceProviderConfig => web::to(discovery::service_provider_config),
        Operation::ListResourceTypes => web::to(discovery::resource_types),
        Operation::GetResourceType => web::to(discovery::resource_type),
        Operation::ListSchemas => web::to(discovery::schemas),
        Operation::GetSchema => web::to(discovery::schema),
        Operation::GetOpenApi => web::to(openapi::get),
        Operation::QueryAll => web::to(search::root_query),
        Operation::SearchAll => web::to(search::root),
        Operation::Bulk => web::to(bulk::bulk),
        Operation::ReadMe => web::to(me::read),
        Operation::CreateMe => web::to(unserved::not_offered),
        Operation::ReplaceMe => web::to(me::replace),
        Operation::ModifyMe => web::to(me::modify),
        Operation::DeleteMe => web::to(me::delete),
        Operation::Query => web::to(resources::list),
        Operation::Search => web::to(search::typed),
        Operation::SearchOne => web::to(search::one),
        Operation::Create => web::to(resources::create),
        Operation::Read => web::to(resources::read),
        Operation::Replace => web::to(resources::replace),
        Operation::Modify => web::to(resources::modify),
        Operation::Delete => web::to(resources::delete),
        Operation::Alive => web::to(health::alive),
        Operation::Ready => web::to(health::ready),
        Operation::Metrics => web::to(health::measurements),
        Operation::GetAdminOpenApi => web::to(openapi::admin::get),
        Operation::Export => web::to(transfer::export),
        Operation::Import => web::to(transfer::import),
        Operation::Backup => web::to(transfer::backup),
        Operation::Administer(place) => web::to(move |request, payload| admin::carry_out(place, request, payload)),
    }
}
