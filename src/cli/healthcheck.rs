//! Whether a server answers at an address: for container engines and service managers. Knows nothing of the database.

mod pinned;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// Shorter than the three seconds that container engines are told to wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the server that listens on `listen` for `/healthz`. An address that stands for all interfaces is asked through
/// loopback. With a certificate it is asked over TLS, and must have that one.
///
/// # Errors
/// A sentence about what came instead of an answer 200.
pub fn healthcheck(listen: SocketAddr, certificate: Option<&Path>) -> Result<(), String> {
    let address = reachable(listen);
    let scheme = if certificate.is_some() { "https" } else { "http" };
    match status_line(address, certificate) {
        Ok(line) if line.split(' ').nth(1) == Some("200") => Ok(()),
        Ok(line) => Err(format!("{scheme}://{address}/healthz answered `{}`.", line.escape_debug())),
        Err(cause) => Err(format!("{scheme}://{address}/healthz does not answer ({cause}); does scimd run there?")),
    }
}

fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn status_line(address: SocketAddr, certificate: Option<&Path>) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match certificate {
        None => ask(stream, address),
        Some(certificate) => ask(pinned::encrypted(stream, address.ip(), certificate)?, address),
    }
}

fn ask(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<String> {
    // In one piece: a server may answer and close after the first it gets.
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    // Whatever listens there may send anything, and as much as it likes.
    BufReader::new(stream.take(1024)).read_line(&mut line)?;
    match line.trim_end() {
        "" => Err(io::ErrorKind::UnexpectedEof.into()),
        line => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer);
        });
        address
    }

    #[test]
    fn a_server_that_answers_200_is_healthy() {
        let address = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(healthcheck(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()), None), Ok(()));
    }

    #[test]
    fn other_answers_and_silence_are_not() {
        let refused = healthcheck(server(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), None).expect_err("503");
        assert!(refused.contains("503"), "{refused}");
        assert!(healthcheck(server(b"\xff\xfe\n"), None).is_err());
        let silent = healthcheck(server(b""), None).expect_err("no answer");
        assert!(silent.contains("does not answer"), "{silent}");
    }
}
