//! A server that does as little as it can: actix answering so many bytes, or what one statement reads.

use std::cell::RefCell;

use actix_web::http::header::ETAG;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use scimd::store::Connection;

use crate::bare::{Sought, User, open, users};
use crate::http::CONTENT_TYPE;

/// The longest answer.
const LONGEST: usize = 1 << 20;

/// Answers `/…/SIZE` with so many bytes: the same allocator, the same number of threads, no work. Answers `/…/id/ID/SIZE` and
/// `/…/key/KEY/SIZE` with the document of that user, and blanks up to so many bytes: one statement, and nothing of what else
/// scimd does. Asks for no token.
pub fn serve(port: u16, database_url: String) {
    let all = web::Bytes::from(vec![b'h'; LONGEST]);
    let server = HttpServer::new(move || {
        let all = all.clone();
        let hello = move |request: HttpRequest| {
            let size: usize = request.path().rsplit('/').next().and_then(|size| size.parse().ok()).unwrap_or_default();
            let body = all.slice(..size.min(LONGEST));
            async move { HttpResponse::Ok().content_type(CONTENT_TYPE).body(body) }
        };
        let by_value = |config: &mut web::ServiceConfig| {
            // One for each thread, which reads in place: as scimd does on SQLite, and must not on PostgreSQL.
            config.app_data(RefCell::new(open(&database_url)));
            config.route("/scim/v2/id/{value}/{size}", web::get().to(by_id));
            config.route("/scim/v2/key/{value}/{size}", web::get().to(by_key));
        };
        App::new().configure(by_value).default_service(web::to(hello))
    });
    let server = server.bind(("127.0.0.1", port)).unwrap().run();
    actix_web::rt::System::new().block_on(server).unwrap();
}

async fn by_id(request: HttpRequest, path: web::Path<(String, usize)>) -> HttpResponse {
    let (id, size) = path.into_inner();
    user(&request, Sought::Id(id), size)
}

async fn by_key(request: HttpRequest, path: web::Path<(String, usize)>) -> HttpResponse {
    let (key, size) = path.into_inner();
    user(&request, Sought::Key(key), size)
}

fn user(request: &HttpRequest, sought: Sought, size: usize) -> HttpResponse {
    let connection = request.app_data::<RefCell<Connection>>().unwrap();
    let found = users(&mut connection.borrow_mut(), sought).unwrap().pop();
    let Some(User { document, version, .. }) = found else { return HttpResponse::NotFound().finish() };
    let mut body = document.into_bytes();
    body.resize(size.min(LONGEST), b' ');
    HttpResponse::Ok().content_type(CONTENT_TYPE).insert_header((ETAG, format!("W/\"{version}\""))).body(body)
}
