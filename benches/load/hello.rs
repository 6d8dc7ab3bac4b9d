//! The ceiling of HTTP: actix answering bytes of the size of a user.

use actix_web::{App, HttpResponse, HttpServer, web};

/// The same allocator, the same number of threads, no work.
pub fn serve(port: u16) {
    let body = crate::people::user_body(1);
    let server = HttpServer::new(move || {
        let body = web::Bytes::from(body.clone());
        App::new().default_service(web::to(move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/scim+json").body(body) }
        }))
    });
    let server = server.bind(("127.0.0.1", port)).unwrap().run();
    actix_web::rt::System::new().block_on(server).unwrap();
}
