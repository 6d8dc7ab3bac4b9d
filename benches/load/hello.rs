//! The ceiling of HTTP: actix answering so many bytes.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

/// The longest answer.
const LONGEST: usize = 1 << 20;

/// Answers `/…/SIZE` with so many bytes: the same allocator, the same number of threads, no work.
pub fn serve(port: u16) {
    let all = web::Bytes::from(vec![b'h'; LONGEST]);
    let server = HttpServer::new(move || {
        let all = all.clone();
        App::new().default_service(web::to(move |request: HttpRequest| {
            let size: usize = request.path().rsplit('/').next().and_then(|size| size.parse().ok()).unwrap_or_default();
            let body = all.slice(..size.min(LONGEST));
            async move { HttpResponse::Ok().content_type("application/scim+json").body(body) }
        }))
    });
    let server = server.bind(("127.0.0.1", port)).unwrap().run();
    actix_web::rt::System::new().block_on(server).unwrap();
}
