//! The real program and the network: TLS with files that are renewed, and plain HTTP only where nobody can listen in.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scimd::admin::Desk;
use scimd::auth::{Authenticator, StoredKeys, Token};
use scimd::http::peers::Peers;
use scimd::http::{Options, Service, bind};
use scimd::provider::{Provider, system_clock};
use scimd::scim::schema::Registry;
use scimd::store::{DatabaseUrl, Settings, Store};
use support::http::Client;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_scimd");
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with a certificate for localhost and its key.
struct Workplace {
    directory: TempDir,
}

impl Workplace {
    fn new() -> Workplace {
        let workplace = Workplace { directory: tempfile::tempdir().unwrap() };
        workplace.renew();
        workplace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another certificate and key in the same files.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(self.path("tls.key"), made.signing_key.serialize_pem()).unwrap();
        fs::write(self.path("tls.crt"), made.cert.pem()).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("HOME", self.directory.path()).current_dir(self.directory.path()).args(arguments);
        command
    }

    /// The exit code, and what stands on standard error.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

const TLS: [&str; 4] = ["--tls-certificate", "tls.crt", "--tls-key", "tls.key"];

/// A server that a test has started, and the line that says where it listens.
struct Server {
    child: Child,
    line: String,
}

impl Server {
    fn start(workplace: &Workplace, arguments: &[&str]) -> Server {
        let mut command =
            workplace.command(&[&["serve", "--workers", "1", "--log-format", "pretty"], arguments].concat());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("listening on ")).expect("the server starts");
        // Whoever no longer reads would stop a server that has something to say.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, line }
    }

    /// Where to ask for it: `127.0.0.1:PORT`.
    fn address(&self) -> String {
        let url = self.line.split("listening on ").nth(1).unwrap().split(',').next().unwrap();
        format!("127.0.0.1:{}", url.rsplit(':').next().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn auth_07_tls_is_served_with_the_certificate_in_the_files() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[&["--listen", "127.0.0.1:0"], &TLS[..]].concat());
    let address = server.address();
    let asked = ["healthcheck", "--listen", &address];

    let encrypted = workplace.run(&[&asked[..], &TLS].concat());
    let (plain, _) = workplace.run(&asked);

    assert!(server.line.contains("https://127.0.0.1"), "{}", server.line);
    assert_eq!(encrypted.0, Some(0), "{}", encrypted.1);
    assert_eq!(plain, Some(1), "a server with TLS answers no plain HTTP");
}

#[test]
fn auth_07_a_renewed_certificate_is_taken_without_a_restart_and_a_broken_one_is_not() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[&["--listen", "127.0.0.1:0"], &TLS[..]].concat());
    let address = server.address();
    let with = |certificate: &str| {
        let files = ["--tls-certificate", certificate, "--tls-key", "tls.key"];
        workplace.run(&[&["healthcheck", "--listen", &address][..], &files].concat()).0
    };
    fs::copy(workplace.path("tls.crt"), workplace.path("old.crt")).unwrap();

    fs::write(workplace.path("tls.key"), "half a key").unwrap();
    let broken = with("old.crt");
    workplace.renew();
    let deadline = Instant::now() + PATIENCE;
    while with("tls.crt") != Some(0) {
        assert!(Instant::now() < deadline, "the renewed certificate is not served");
        std::thread::sleep(Duration::from_millis(50));
    }

    assert_eq!(broken, Some(0), "while the files do not fit, the old certificate is served");
    assert_eq!(with("old.crt"), Some(1), "the old certificate is served no more");
}

#[test]
fn auth_07_plain_http_beyond_this_machine_needs_a_proxy() {
    let workplace = Workplace::new();

    let (code, refused) = workplace.run(&["serve", "--listen", "0.0.0.0:0"]);
    let behind = Server::start(&workplace, &["--listen", "0.0.0.0:0", "--trusted-proxies", "private"]);

    assert_eq!(code, Some(1));
    assert!(
        ["--tls-certificate", "--trusted-proxies", "127.0.0.1"].iter().all(|part| refused.contains(part)),
        "{refused}"
    );
    assert_eq!(workplace.run(&["healthcheck", "--listen", &behind.address()]).0, Some(0));
}

#[test]
fn files_that_are_no_certificate_or_key_are_named() {
    let workplace = Workplace::new();
    fs::write(workplace.path("empty.pem"), "").unwrap();
    let other = Workplace::new();
    fs::copy(other.path("tls.key"), workplace.path("other.key")).unwrap();

    for (certificate, key, part) in [
        ("missing.crt", "tls.key", "missing.crt"),
        ("tls.crt", "missing.key", "missing.key"),
        ("empty.pem", "tls.key", "empty.pem"),
        ("tls.crt", "empty.pem", "empty.pem"),
        ("tls.crt", "other.key", "other.key"),
        ("tls.crt", "", "needs `tls-key`"),
        ("", "tls.key", "needs `tls-certificate`"),
    ] {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key];
        let (code, sentence) = workplace.run(&arguments);
        assert_eq!(code, Some(1), "{certificate} {key}: {sentence}");
        assert!(sentence.lines().any(|line| line.starts_with("error: ") && line.contains(part)), "{sentence}");
    }
}

#[test]
fn auth_07_a_key_over_plain_http_from_elsewhere_than_a_proxy_is_refused() {
    let workplace = Workplace::new();
    let served = |proxies| Client::new(&served_to(&workplace, bound("127.0.0.1:0"), proxies));
    let [elsewhere, here] = ["10.0.0.7/32", "127.0.0.0/8"].map(served);
    let claims = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP"].map(|name| {
        (name.to_owned(), if name == "Forwarded" { "for=10.0.0.7;proto=https" } else { "10.0.0.7" }.to_owned())
    });
    let get =
        |client: &Client, path: &str, headers: &[(String, String)]| client.send("GET", path, headers, None).unwrap();

    let refused = get(&elsewhere, "/scim/v2/Users", &[]);

    assert_eq!((refused.status, refused.header("www-authenticate")), (403, None), "no other key would help");
    assert_eq!(get(&elsewhere, "/scim/v2/Users", &claims).status, 403, "anybody can write a header");
    assert_eq!(get(&elsewhere, "/healthz", &[]).status, 200);
    assert_eq!(get(&here, "/scim/v2/Users", &claims).status, 401);
    let key = Token::generate();
    for credentials in ["Basic eDp5", "Bearer whatever", &format!("Bearer {}", key.expose())] {
        let header = [("Authorization".to_owned(), credentials.to_owned())];
        assert_eq!(get(&elsewhere, "/scim/v2/Users", &header).status, 403);
    }
    let page = get(&elsewhere, "/metrics", &[]).text();
    assert!(page.contains("scimd_refused_keys_total{reason=\"insecure\"} 1\n"), "{page}");
}

/// Whoever connects is judged by the address of the connection, in its own family, whatever the headers say.
#[test]
fn auth_07_a_proxy_is_known_by_its_connection_in_both_families() {
    // A machine without IPv6 has nothing to tell apart.
    let Ok(listener) = TcpListener::bind("[::]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    let workplace = Workplace::new();
    served_to(&workplace, listener, "127.0.0.0/8");
    let chain = |header: &str, text: &str| vec![(header.to_owned(), text.to_owned())];
    let status = |host: &str, headers: Vec<(String, String)>| {
        Client::new(&format!("http://{host}:{port}")).send("GET", "/scim/v2/Users", &headers, None).unwrap().status
    };

    assert_eq!(status("127.0.0.1", vec![]), 401, "a proxy, though the listener shows it as ::ffff:127.0.0.1");
    assert_eq!(status("[::1]", vec![]), 403, "not named");
    for spoofed in [
        chain("X-Forwarded-For", "127.0.0.1"),
        chain("X-Forwarded-For", "127.0.0.1, ::ffff:127.0.0.1, unknown, \"[::1]:80\""),
        chain("Forwarded", "for=127.0.0.1;by=127.0.0.1;proto=https, for=\"[::1]\""),
        chain("X-Forwarded-Proto", "https"),
    ] {
        assert_eq!(status("[::1]", spoofed.clone()), 403, "{spoofed:?}");
    }
    for told in [chain("X-Forwarded-For", "192.0.2.1"), chain("Forwarded", "for=192.0.2.1;proto=http")] {
        assert_eq!(status("127.0.0.1", told.clone()), 401, "the proxy is trusted, whomever it speaks for: {told:?}");
    }
}

fn bound(address: &str) -> TcpListener {
    TcpListener::bind(address).unwrap()
}

/// The URL of a server that takes plain HTTP from that network alone.
fn served_to(workplace: &Workplace, listener: TcpListener, network: &str) -> String {
    let store = Store::open(&Settings::new(DatabaseUrl::Sqlite(workplace.path("scimd.db")))).unwrap();
    store.migrate().unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let provider = Provider::new(store.clone(), Registry::builtin(), &url, system_clock());
    let service = Service {
        desk: Desk::new(store.clone(), provider.clone()),
        provider,
        authenticator: Arc::new(Authenticator::new(Arc::new(StoredKeys::new(store)))),
        open_discovery: false,
        peers: Peers::proxies(&[network.parse().unwrap()]),
    };
    std::thread::spawn(move || {
        let options =
            Options { workers: 1, shutdown_delay: Duration::ZERO, shutdown_timeout: Duration::from_secs(1), tls: None };
        let system = actix_web::rt::System::new();
        system.block_on(async { bind(listener, None, service, &options)?.await })
    });
    url
}
