//! A client that costs little beside the server: requests are bytes made beforehand, of answers only status, length and
//! body are looked at.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Of every body, whoever sends it (RFC 7644 §3.1).
pub const CONTENT_TYPE: &str = "application/scim+json";

/// One kept connection.
pub struct Connection {
    stream: TcpStream,
    piece: Box<[u8]>,
    buffer: Vec<u8>,
}

/// An answer; the body stays in the buffer of the connection.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Answer<'_> {
    pub fn json(&self) -> serde_json::Value {
        let told = || format!("{} {}", self.status, String::from_utf8_lossy(&self.body[..self.body.len().min(500)]));
        serde_json::from_slice(self.body).unwrap_or_else(|error| panic!("{error} in {}", told()))
    }

    /// The `id` of what was made.
    pub fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {}", self.json())).to_owned()
    }

    /// A number that a list says of itself: it stands in front of the resources, which are not looked through.
    pub fn says(&self, name: &str) -> Option<usize> {
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]);
        let (_, behind) = start.split_once(&format!("\"{name}\":")).filter(|_| self.status == 200)?;
        behind.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    }

    pub fn has_total(&self, total: usize) -> bool {
        self.says("totalResults") == Some(total)
    }

    /// How often the body has this text.
    pub fn count(&self, text: &str) -> usize {
        self.body.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
    }
}

impl Connection {
    pub fn to(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        Connection { stream, piece: vec![0; 64 * 1024].into(), buffer: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a request and waits for its whole answer.
    pub fn send(&mut self, request: &[u8]) -> Answer<'_> {
        self.stream.write_all(request).unwrap();
        self.buffer.clear();
        let head = self.read_until_head();
        let text = std::str::from_utf8(&self.buffer[..head]).unwrap();
        let status = text[9..12].parse().unwrap();
        let length: Option<usize> = header(text, "content-length").map(|length| length.parse().unwrap());
        let is_chunked = header(text, "transfer-encoding").is_some();
        let end = match length {
            Some(length) => {
                while self.buffer.len() < head + length {
                    self.read_more();
                }
                head + length
            }
            None if is_chunked => {
                // The last chunk is empty, and no JSON ends a line like that.
                while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                    self.read_more();
                }
                unchunk(&mut self.buffer, head)
            }
            None => head,
        };
        Answer { status, body: &self.buffer[head..end] }
    }

    /// How the last answer begins, to be looked at by people.
    pub fn last_answer(&self) -> String {
        String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(800)]).into_owned()
    }

    fn read_until_head(&mut self) -> usize {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                return end + 4;
            }
            self.read_more();
        }
    }

    fn read_more(&mut self) {
        let length = self.stream.read(&mut self.piece).unwrap();
        assert!(length > 0, "the server has closed the connection");
        self.buffer.extend_from_slice(&self.piece[..length]);
    }
}

/// Takes the lengths of the chunks out of a body that begins here; where it ends then.
fn unchunk(buffer: &mut [u8], start: usize) -> usize {
    let (mut from, mut to) = (start, start);
    loop {
        let line = buffer[from..].windows(2).position(|window| window == b"\r\n").unwrap();
        let length = std::str::from_utf8(&buffer[from..from + line]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return to;
        }
        from += line + 2;
        buffer.copy_within(from..from + length, to);
        (from, to) = (from + length + 2, to + length);
    }
}

/// The first header of that name.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|pair| pair.1)
}

/// A request as it goes over the wire.
pub fn request(method: &str, path: &str, token: &str, body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} /scim/v2{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n");
    match body {
        Some(body) => {
            let length = body.len();
            text.push_str(&format!("Content-Type: {CONTENT_TYPE}\r\nContent-Length: {length}\r\n\r\n{body}"));
        }
        None => text.push_str("\r\n"),
    }
    text.into_bytes()
}
