//! A client that costs little beside the server: requests are bytes made beforehand, of answers only status, length and
//! body are looked at.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One kept connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer; the body stays in the buffer of the connection.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Connection {
    pub fn to(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        Connection { stream, buffer: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a request and waits for its whole answer.
    pub fn send(&mut self, request: &[u8]) -> Answer<'_> {
        self.stream.write_all(request).unwrap();
        self.buffer.clear();
        let head = self.read_until_head();
        let text = std::str::from_utf8(&self.buffer[..head]).unwrap();
        let status = text[9..12].parse().unwrap();
        match header(text, "content-length") {
            Some(length) => {
                let end = head + length.parse::<usize>().unwrap();
                while self.buffer.len() < end {
                    self.read_more();
                }
                Answer { status, body: &self.buffer[head..end] }
            }
            None if header(text, "transfer-encoding").is_some() => {
                // The last chunk is empty, and nothing of ours ends like it.
                while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                    self.read_more();
                }
                Answer { status, body: &self.buffer[head..] }
            }
            None => Answer { status, body: &[] },
        }
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
        let mut piece = [0; 16 * 1024];
        let length = self.stream.read(&mut piece).unwrap();
        assert!(length > 0, "the server has closed the connection");
        self.buffer.extend_from_slice(&piece[..length]);
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
            text.push_str(&format!("Content-Type: application/scim+json\r\nContent-Length: {length}\r\n\r\n{body}"));
        }
        None => text.push_str("\r\n"),
    }
    text.into_bytes()
}
