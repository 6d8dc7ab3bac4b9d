//! The HTTP client: one request, one answer, within bounds. The only file that knows which library that is.
//!
//! Whatever the server does, an answer comes or a reason: bodies and headers are bounded, every request has a deadline,
//! redirects are not followed, and the token goes to the server under test alone.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ureq::http;

use crate::outbound::{self, BaseUrl};

use super::exchange::{Answer, Credentials, Exchange, Received, Request};

/// More than any answer to the requests of this tool.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// How often a server may ask to come back later, and how long that may take each time.
const PATIENCE: (u32, u64) = (3, 10);

/// After so many requests in a row without an answer, the server is taken for gone.
const GONE: u32 = 5;

pub(super) struct Client {
    agent: ureq::Agent,
    base: BaseUrl,
    token: String,
    unanswered: Cell<u32>,
    sent: Cell<u32>,
}

/// Why there is no answer, and what was sent.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub reason: String,
    pub exchange: Rc<Exchange>,
}

/// Why the base URL cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadUrl(pub String);

impl Client {
    pub(super) fn new(url: &str, token: String, timeout: Duration) -> Result<Client, BadUrl> {
        let base = BaseUrl::parse(url, "https://example.com/scim/v2").map_err(BadUrl)?;
        let config = ureq::Agent::config_builder()
            .proxy(outbound::proxy(&base))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .tls_config(outbound::tls(&base))
            .user_agent(concat!("scimd-conformance/", env!("CARGO_PKG_VERSION")))
            // Each check says what it accepts.
            .accept("")
            .build();
        Ok(Client { agent: config.into(), base, token, unanswered: Cell::new(0), sent: Cell::new(0) })
    }

    /// The base URL, as it stands before every path.
    pub(super) fn base_url(&self) -> String {
        self.base.to_string()
    }

    /// The token of the run. A request that carries it elsewhere than in its header must expect to be refused.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Whether an absolute URL leads to the server under test.
    pub(super) fn is_own(&self, url: &str) -> bool {
        url.strip_prefix(&self.base.origin).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    }

    /// Whether the server has stopped answering.
    pub(super) fn is_gone(&self) -> bool {
        self.unanswered.get() >= GONE
    }

    /// How many requests were sent so far.
    pub(super) fn sent(&self) -> u32 {
        self.sent.get()
    }

    /// Sends a request; waits where the server asks for it with 429.
    ///
    /// # Errors
    /// No answer came within the bounds.
    pub(super) fn send(&self, request: &Request) -> Result<Answer, Unanswered> {
        let url = self.url(&request.target);
        for _ in 0..PATIENCE.0 {
            let answer = self.send_once(request, &url)?;
            let Some(wait) = retry_after(&answer) else { return Ok(answer) };
            std::thread::sleep(wait);
        }
        self.send_once(request, &url)
    }

    fn send_once(&self, request: &Request, url: &str) -> Result<Answer, Unanswered> {
        match self.receive(request, url) {
            Ok(received) => {
                let exchange = Exchange::new(request, url, Ok(&received), &self.token);
                Ok(Answer::new(received, exchange))
            }
            Err(reason) => {
                let exchange = Exchange::new(request, url, Err(&reason), &self.token);
                Err(Unanswered { reason, exchange: exchange.into() })
            }
        }
    }

    fn url(&self, target: &str) -> String {
        if target.starts_with("http://") || target.starts_with("https://") {
            return target.to_owned();
        }
        format!("{}{target}", self.base_url())
    }

    fn receive(&self, request: &Request, url: &str) -> Result<Received, String> {
        if !self.is_own(url) {
            return Err("it leads to another server, which this tool leaves alone".to_owned());
        }
        let mut builder = http::Request::builder().method(request.method).uri(url);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        builder = match &request.credentials {
            Credentials::Token => builder.header("Authorization", format!("Bearer {}", self.token)),
            Credentials::TokenAs(scheme) => builder.header("Authorization", format!("{scheme} {}", self.token)),
            Credentials::Other(value) => builder.header("Authorization", value),
            Credentials::None => builder,
        };
        self.sent.set(self.sent.get() + 1);
        let started = Instant::now();
        let answered = match &request.body {
            Some(body) => builder.body(body.as_slice()).map(|request| self.agent.run(request)),
            None => builder.body(()).map(|request| self.agent.run(request)),
        };
        let answered = answered.map_err(|cause| format!("the request cannot be written ({cause})"))?;
        let received = answered.map_err(|cause| self.unanswered(&cause, started)).and_then(|mut response| {
            let body = response.body_mut().with_config().limit(MAX_BODY).read_to_vec();
            let body = body.map_err(|cause| self.unanswered(&cause, started))?;
            Ok(Received { status: response.status().as_u16(), headers: headers(&response), body })
        })?;
        self.unanswered.set(0);
        Ok(received)
    }

    /// Says why, and counts only silence: who sends nonsense is still there.
    fn unanswered(&self, cause: &ureq::Error, started: Instant) -> String {
        let after = started.elapsed().as_secs_f32();
        match cause {
            ureq::Error::Timeout(_) => {
                self.unanswered.set(self.unanswered.get() + 1);
                format!("no complete answer after {after:.0} s")
            }
            ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
                self.unanswered.set(self.unanswered.get() + 1);
                cause.to_string()
            }
            ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
                self.unanswered.set(self.unanswered.get() + 1);
                "connection refused".to_owned()
            }
            ureq::Error::BodyExceedsLimit(limit) => format!("the body is larger than {limit} bytes"),
            cause => outbound::with_advice(cause.to_string()),
        }
    }
}

fn headers(response: &http::Response<ureq::Body>) -> Vec<(String, String)> {
    let pairs = response.headers().iter();
    pairs.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

/// How long a 429 asks to wait, if it is worth waiting for.
fn retry_after(answer: &Answer) -> Option<Duration> {
    if answer.status != 429 {
        return None;
    }
    let seconds = answer.find_header("retry-after").and_then(|value| value.trim().parse().ok()).unwrap_or(1);
    (seconds <= PATIENCE.1).then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_the_server_under_test_alone() {
        let client = Client::new("http://h.example/scim", "t".to_owned(), Duration::from_secs(1)).expect("a client");
        assert!(client.is_own("http://h.example/elsewhere") && client.is_own("http://h.example"));
        for foreign in ["http://h.example.org/", "https://h.example/", "http://h.example:81/", "http://h.example@x/"] {
            assert!(!client.is_own(foreign), "{foreign}");
            let Unanswered { reason, .. } = client.send(&Request::get(foreign)).expect_err("not sent");
            assert!(reason.contains("another server"), "{reason}");
        }
        assert_eq!(client.sent(), 0);
    }
}
