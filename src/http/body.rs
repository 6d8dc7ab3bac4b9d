//! Bodies: bytes within limits, of a media type that is JSON. What they say is read by [`json`].

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::scim::message::MAX_BODY;
use crate::scim::{Error, ErrorKind, Result, json};

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads the body of a request as a JSON object.
///
/// # Errors
/// 415 for another media type, charset or content coding; 413 above the limit; [`ErrorKind::Timeout`] for a body that takes too long;
/// `invalidSyntax` for anything that is no JSON object in UTF-8, for duplicate keys and for too deep nesting (HTTP-03,
/// HTTP-04).
pub(super) async fn read(request: &HttpRequest, payload: &mut Payload) -> Result<Map<String, Value>> {
    json::object(&bytes_within(PATIENCE, request, payload).await?)
}

/// The same where there may be no body: then there is nothing in it.
///
/// # Errors
/// As [`read`].
pub(super) async fn read_if_any(request: &HttpRequest, payload: &mut Payload) -> Result<Map<String, Value>> {
    let bytes = bytes_within(PATIENCE, request, payload).await?;
    if bytes.is_empty() { Ok(Map::new()) } else { json::object(&bytes) }
}

async fn bytes_within(patience: Duration, request: &HttpRequest, payload: &mut Payload) -> Result<BytesMut> {
    let refused = check_media_type(request).and_then(|()| check_coding(request)).and_then(|()| check_length(request));
    let bytes = match refused {
        Err(error) => Err(error),
        // Nobody waits for the rest as well.
        Ok(()) => timeout(patience, collect(payload)).await.map_err(|_| late())?,
    };
    if bytes.is_err() {
        drain(payload).await;
    }
    bytes
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "The body did not arrive in time.")
}

fn check_media_type(request: &HttpRequest) -> Result<()> {
    let Some(content_type) = request.headers().get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let content_type = content_type.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if !matches!(media_type, "" | "application/scim+json" | "application/json") {
        let detail = format!("'{media_type}' is not understood; send application/scim+json.");
        return Err(Error::new(ErrorKind::UnsupportedMediaType, detail));
    }
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|charset| charset.trim_matches('"'));
    match charset {
        None | Some("utf-8" | "utf8") => Ok(()),
        Some(other) => Err(Error::new(
            ErrorKind::UnsupportedMediaType,
            format!("The charset '{other}' is not understood; send utf-8."),
        )),
    }
}

/// Bodies come as they are: what is small only while it is packed would have no limit.
fn check_coding(request: &HttpRequest) -> Result<()> {
    let coded = request.headers().get_all(header::CONTENT_ENCODING).map(|coding| coding.to_str().unwrap_or("that"));
    let mut codings = coded.flat_map(|codings| codings.split(',')).map(str::trim).filter(|coding| !coding.is_empty());
    match codings.find(|coding| !coding.eq_ignore_ascii_case("identity")) {
        None => Ok(()),
        Some(coding) => {
            let detail = format!("The content coding '{coding}' is not understood; send the body without any.");
            Err(Error::new(ErrorKind::UnsupportedMediaType, detail))
        }
    }
}

/// A body that says itself that it is too large need not be read.
fn check_length(request: &HttpRequest) -> Result<()> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY as u64) { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, format!("The body is larger than {MAX_BODY} bytes."))
}

async fn collect(payload: &mut Payload) -> Result<BytesMut> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = piece(payload).await? {
        if bytes.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The next piece of a body; `None` at its end.
///
/// # Errors
/// `invalidSyntax` if it was cut off.
pub(super) async fn piece(payload: &mut Payload) -> Result<Option<Bytes>> {
    let cut_off = |source: PayloadError| {
        Error::new(ErrorKind::InvalidSyntax, "The body could not be read to its end.").with_source(source.to_string())
    };
    next(payload).await.transpose().map_err(cut_off)
}

async fn next(payload: &mut Payload) -> Option<std::result::Result<Bytes, PayloadError>> {
    std::future::poll_fn(|context| futures_core::Stream::poll_next(std::pin::Pin::new(&mut *payload), context)).await
}

/// Takes what is left of a body off the connection, within reason: clients keep connections open, and one that is still
/// sending would not see the answer.
pub(super) async fn drain(payload: &mut Payload) {
    let take = async {
        let mut left = 4 * MAX_BODY;
        while let Some(Ok(chunk)) = next(payload).await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // A body that never ends is the client's loss.
    drop(timeout(PATIENCE, take).await);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use actix_web::{App, HttpResponse, HttpServer, web};

    use super::*;
    use crate::http::respond;

    async fn impatient(request: HttpRequest, mut payload: Payload) -> HttpResponse {
        match bytes_within(Duration::from_millis(1), &request, &mut payload).await {
            Ok(_) => HttpResponse::NoContent().finish(),
            Err(error) => respond::error(&request, &error),
        }
    }

    #[test]
    fn err_02_a_body_that_takes_too_long_is_408_and_the_end_of_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("the server listens");
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
            stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"a").expect("half a request");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer, and its end");
            answer
        });
        let answer = actix_web::rt::System::new().block_on(async {
            let app = || App::new().default_service(web::to(impatient));
            let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).expect("a listener").run();
            let handle = server.handle();
            actix_web::rt::spawn(server);
            let answer = actix_web::rt::task::spawn_blocking(move || client.join()).await;
            handle.stop(false).await;
            answer.expect("the task ends").expect("the client ends")
        });

        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        assert!(head.to_ascii_lowercase().contains("connection: close"), "{head}");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!((&body["status"], &body["detail"]), (&"408".into(), &"The body did not arrive in time.".into()));
    }
}
