//! A server that is asked through its admin API.

use std::io::Read;
use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use ureq::http;

use crate::admin::{Operation, Route, SEGMENT};
use crate::outbound::{self, BaseUrl};
use crate::scim::{Error, ErrorKind, Result};

/// More than any answer that is no stream.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// How much of a stream is handed over at once.
const PIECE: usize = 64 * 1024;

/// Behind the URL of the server.
const BASE: &str = "/admin/v1";

/// Another server, and the key to its admin API.
pub struct Server {
    base: BaseUrl,
    key: String,
    agent: ureq::Agent,
}

impl Server {
    /// The server with this public URL. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidValue` for a URL that is none, and for plain HTTP to another machine: it would show the key to everybody on
    /// the way.
    pub fn new(url: &str, key: String) -> Result<Server> {
        let refused = |why: String| Error::new(ErrorKind::InvalidValue, format!("`url`: {why}"));
        let base = BaseUrl::parse(url, "https://scim.example.com").map_err(refused)?;
        if !base.is_private() {
            let why = "plain HTTP would show the key to everybody on the way; write https://.";
            return Err(refused(why.to_owned()));
        }
        let config = ureq::Agent::config_builder()
            .proxy(outbound::proxy(&base))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .tls_config(outbound::tls(&base))
            .user_agent(concat!("scimd/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Server { base, key, agent: config.into() })
    }

    /// Blocks until the answer is there: a command has nothing else to do.
    pub(super) fn ask<O: Operation>(&self, question: &O) -> Result<O::Outcome> {
        let Value::Object(members) = serde_json::to_value(question).map_err(Error::internal)? else {
            return Err(Error::internal("an operation is an object"));
        };
        let request = self.request(&O::ROUTE, members)?;
        let mut response = self.agent.run(request).map_err(|cause| self.silent(&cause))?;
        let body = self.body(&mut response)?;
        if !response.status().is_success() {
            return Err(self.refusal(response.status().as_u16(), &body));
        }
        serde_json::from_slice(&body).map_err(|cause| self.unexpected(cause))
    }

    fn unexpected(&self, cause: serde_json::Error) -> Error {
        let detail = format!(
            "{}{BASE} answered something else than this scimd expects; is it scimd, of this version?",
            self.base
        );
        Error::new(ErrorKind::Unavailable, detail).with_source(cause)
    }

    /// Hands over what the server sends, piece by piece.
    pub(in crate::cli) fn receive(
        &self,
        route: &Route,
        question: &impl Serialize,
        mut take: impl FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let request = self.stream_request(route, question)?.body(()).map_err(Error::internal)?;
        let mut response = self.agent.run(request).map_err(|cause| self.silent(&cause))?;
        if !response.status().is_success() {
            let body = self.body(&mut response)?;
            return Err(self.refusal(response.status().as_u16(), &body));
        }
        let mut reader = response.into_body().into_reader();
        loop {
            let mut piece = vec![0; PIECE];
            let read = reader.read(&mut piece).map_err(|cause| self.cut_off(&cause))?;
            if read == 0 {
                return Ok(());
            }
            piece.truncate(read);
            take(piece)?;
        }
    }

    /// Sends what there is to read; the answer, also one that tells why nothing was done.
    pub(in crate::cli) fn send<A: DeserializeOwned>(
        &self,
        route: &Route,
        question: &impl Serialize,
        media_type: &str,
        mut source: impl Read,
    ) -> Result<A> {
        let builder = self.stream_request(route, question)?.header("Content-Type", media_type);
        let request = builder.body(ureq::SendBody::from_reader(&mut source)).map_err(Error::internal)?;
        let mut response = self.agent.run(request).map_err(|cause| self.silent(&cause))?;
        let body = self.body(&mut response)?;
        if response.status().is_success() {
            return serde_json::from_slice(&body).map_err(|cause| self.unexpected(cause));
        }
        let told =
            serde_json::from_slice::<Value>(&body).ok().and_then(|mut body| body.get_mut("outcome").map(Value::take));
        match told.and_then(|told| serde_json::from_value(told).ok()) {
            Some(told) => Ok(told),
            None => Err(self.refusal(response.status().as_u16(), &body)),
        }
    }

    /// The members that are not in the path are parameters of the URL, whatever the method.
    fn stream_request(&self, route: &Route, question: &impl Serialize) -> Result<http::request::Builder> {
        let Value::Object(mut members) = serde_json::to_value(question).map_err(Error::internal)? else {
            return Err(Error::internal("a question is an object"));
        };
        let mut url = self.url(route, &mut members);
        members.retain(|_, value| *value != Value::Array(Vec::new()));
        if !members.is_empty() {
            url = format!("{url}?{}", serde_html_form::to_string(&members).map_err(Error::internal)?);
        }
        let builder = http::Request::builder().method(route.verb.as_str()).uri(url);
        Ok(builder.header("Authorization", format!("Bearer {}", self.key)))
    }

    fn body(&self, response: &mut http::Response<ureq::Body>) -> Result<Vec<u8>> {
        response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(|cause| self.silent(&cause))
    }

    fn cut_off(&self, cause: &std::io::Error) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!("What {} sent was cut off ({cause}); nothing of it is kept.", self.base),
        )
    }

    /// Members go where the route wants them: into the path, into the parameters of the URL, into the body.
    fn request(&self, route: &Route, mut members: Map<String, Value>) -> Result<http::Request<Vec<u8>>> {
        let mut url = self.url(route, &mut members);
        let mut builder = http::Request::builder().method(route.verb.as_str());
        let mut body = Vec::new();
        if route.verb.has_body() {
            builder = builder.header("Content-Type", "application/json");
            body = serde_json::to_vec(&members).map_err(Error::internal)?;
        } else if !members.is_empty() {
            url = format!("{url}?{}", serde_html_form::to_string(&members).map_err(Error::internal)?);
        }
        let builder = builder
            .uri(url)
            .header("Accept", "application/json")
            .header("Authorization", format!("Bearer {}", self.key));
        builder.body(body).map_err(Error::internal)
    }

    /// The URL of the route; the members that stand in its path are taken out.
    fn url(&self, route: &Route, members: &mut Map<String, Value>) -> String {
        let segment = |segment: &str, members: &mut Map<String, Value>| match segment.strip_prefix('{') {
            Some(name) => {
                let value = members.shift_remove(name.trim_end_matches('}')).unwrap_or_default();
                utf8_percent_encode(value.as_str().unwrap_or_default(), SEGMENT).to_string()
            }
            None => segment.to_owned(),
        };
        let path: Vec<String> = route.path.split('/').map(|part| segment(part, members)).collect();
        format!("{}{BASE}{}", self.base, path.join("/"))
    }

    fn silent(&self, cause: &ureq::Error) -> Error {
        let detail = format!("{} does not answer ({}).", self.base, outbound::with_advice(cause.to_string()));
        Error::new(ErrorKind::Unavailable, detail)
    }

    /// The error that the server tells of, in its own words.
    fn refusal(&self, status: u16, body: &[u8]) -> Error {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let scim_type = body["scimType"].as_str();
        let is_it = |kind: &&ErrorKind| kind.status() == status && kind.scim_type() == scim_type;
        match (ErrorKind::ALL.iter().find(is_it), body["detail"].as_str()) {
            (Some(ErrorKind::Internal), Some(detail)) => {
                Error::new(ErrorKind::Unavailable, format!("{} failed: {detail}", self.base))
            }
            (Some(kind), Some(detail)) => Error::new(*kind, detail.to_owned()),
            _ => {
                let detail = format!("{}{BASE} answered {status}; is it scimd, of this version?", self.base);
                Error::new(ErrorKind::Unavailable, detail)
            }
        }
    }
}
