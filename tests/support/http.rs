//! A blocking HTTP/1.1 client that sends exactly what it is told (RFC 9112).
//!
//! The usual clients parse and tidy a URL and add headers of their own. Identity providers send `//Users`, a trailing
//! `&`, a raw `+` and an empty `User-Agent`, and the tests must send the same bytes. So this one writes the request
//! line and the headers itself, keeps the connection open as providers do, and reads answers by `Content-Length` or in
//! chunks. Status codes are never errors. It knows nothing of SCIM, TLS, redirects or compression.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// Longer than any test should wait, shorter than the patience of whoever runs the suite.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection to a server; requests from several threads go one after the other.
pub struct Client {
    authority: String,
    prefix: String,
    is_careful: bool,
    connection: Mutex<Option<BufReader<TcpStream>>>,
}

/// What came back, whatever the status.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body with any chunking undone.
    pub body: Vec<u8>,
}

impl Client {
    /// A client for `http://host:port[/prefix]`; the prefix goes in front of every path. Connects on first use.
    pub fn new(base_url: &str) -> Self {
        let rest = base_url.strip_prefix("http://").unwrap_or_else(|| panic!("{base_url} is no http:// URL"));
        let (authority, prefix) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        Self {
            authority: authority.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
            is_careful: false,
            connection: Mutex::new(None),
        }
    }

    /// The same, and nothing but a GET is ever sent twice: what was sent and not answered may have been done (RFC 9110
    /// §9.2.2), and whoever counts what was done wants to know.
    pub fn careful(mut self) -> Self {
        self.is_careful = true;
        self
    }

    /// Sends one request and reads its answer. `path` is appended to the base URL's path as it stands. `Host` and, with
    /// a body, `Content-Length` are added unless given; nothing else is. A header with an empty value is sent empty.
    ///
    /// # Errors
    /// When no connection can be made, or the answer is no HTTP/1.1 or breaks off.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Option<&[u8]>,
    ) -> io::Result<Response> {
        let message = self.message(method, path, headers, body);
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_careful
            && method != "GET"
            && let Some(mut kept) = connection.take()
        {
            let answer = exchange(&mut kept, &message, method)?;
            keep(kept, &answer, &mut connection);
            return Ok(answer);
        }
        if let Some(kept) = connection.take()
            && let Some(answer) = exchange_on_kept(kept, &message, method, &mut connection)?
        {
            return Ok(answer);
        }
        let stream = TcpStream::connect(&self.authority)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut fresh = BufReader::new(stream);
        let answer = exchange(&mut fresh, &message, method)?;
        keep(fresh, &answer, &mut connection);
        Ok(answer)
    }

    /// [`Client::send`] with a bearer token and, if there is a body, JSON as `application/scim+json`.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn call(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> io::Result<Response> {
        let mut headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
        let text = body.map(Value::to_string);
        if text.is_some() {
            headers.push(("Content-Type".to_owned(), "application/scim+json".to_owned()));
        }
        self.send(method, path, &headers, text.as_deref().map(str::as_bytes))
    }

    fn message(&self, method: &str, path: &str, headers: &[(String, String)], body: Option<&[u8]>) -> Vec<u8> {
        assert!(
            !path.bytes().any(|byte| byte <= b' ' || byte == 0x7f),
            "a space or control character would end the request line: {path:?}"
        );
        let given = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let mut head = format!("{method} {}{path} HTTP/1.1\r\n", self.prefix);
        if !given("host") {
            head.push_str(&format!("Host: {}\r\n", self.authority));
        }
        for (name, value) in headers {
            assert!(!value.contains(['\r', '\n']), "header {name} holds a line break");
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body
            && !given("content-length")
        {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut message = head.into_bytes();
        message.extend_from_slice(body.unwrap_or_default());
        message
    }
}

impl Response {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; panics with the body's text when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("status {}, body is no JSON ({error}): {}", self.status, self.text()))
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A server may close an idle connection at any time, so silence on a kept one means "connect again" (`None`), while a
/// broken answer is an error. Never a second try on a fresh connection: that would hide a server that hangs up.
fn exchange_on_kept(
    mut kept: BufReader<TcpStream>,
    message: &[u8],
    method: &str,
    slot: &mut Option<BufReader<TcpStream>>,
) -> io::Result<Option<Response>> {
    if kept.get_mut().write_all(message).is_err() || matches!(kept.fill_buf(), Err(_) | Ok([])) {
        return Ok(None);
    }
    let answer = read(&mut kept, method)?;
    keep(kept, &answer, slot);
    Ok(Some(answer))
}

fn exchange(stream: &mut BufReader<TcpStream>, message: &[u8], method: &str) -> io::Result<Response> {
    // A server may refuse a large body and answer before it has read all of it.
    let written = stream.get_mut().write_all(message);
    match read(stream, method) {
        Ok(answer) => Ok(answer),
        Err(error) => Err(written.err().unwrap_or(error)),
    }
}

fn keep(stream: BufReader<TcpStream>, answer: &Response, slot: &mut Option<BufReader<TcpStream>>) {
    let closing = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let delimited = answer.header("content-length").is_some()
        || answer.header("transfer-encoding").is_some()
        || has_no_body(answer.status);
    *slot = (!closing && delimited).then_some(stream);
}

fn read(stream: &mut BufReader<TcpStream>, method: &str) -> io::Result<Response> {
    loop {
        let status = read_status(stream)?;
        let headers = read_headers(stream)?;
        if status == 100 {
            continue;
        }
        let mut answer = Response { status, headers, body: Vec::new() };
        if method != "HEAD" && !has_no_body(status) {
            answer.body = read_body(stream, &answer)?;
        }
        return Ok(answer);
    }
}

fn has_no_body(status: u16) -> bool {
    status < 200 || status == 204 || status == 304
}

fn read_status(stream: &mut BufReader<TcpStream>) -> io::Result<u16> {
    let line = read_line(stream)?;
    let mut words = line.split(' ');
    if !words.next().unwrap_or_default().starts_with("HTTP/1.") {
        return Err(malformed("status line", &line));
    }
    words.next().and_then(|code| code.parse().ok()).ok_or_else(|| malformed("status line", &line))
}

fn read_headers(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header", &line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(stream: &mut BufReader<TcpStream>, answer: &Response) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        read_chunks(stream, &mut body)?;
        return Ok(body);
    }
    let Some(length) = answer.header("content-length") else {
        stream.read_to_end(&mut body)?;
        return Ok(body);
    };
    let length = length.parse().map_err(|_| malformed("Content-Length", length))?;
    body.resize(length, 0);
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(stream)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16).map_err(|_| malformed("chunk size", &line))?;
        if length == 0 {
            while !read_line(stream)?.is_empty() {}
            return Ok(());
        }
        let start = body.len();
        body.resize(start + length, 0);
        stream.read_exact(&mut body[start..])?;
        let end = read_line(stream)?;
        if !end.is_empty() {
            return Err(malformed("end of chunk", &end));
        }
    }
}

fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

fn malformed(what: &str, found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}: {found:?}"))
}
