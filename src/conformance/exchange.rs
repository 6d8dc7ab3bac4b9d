//! One request and what came back: to be sent, to be judged, and to be shown to the author of a server.

use std::rc::Rc;

use serde_json::{Value, json};

/// As much of a body as a report shows.
const SHOWN: usize = 700;

/// Headers that say why an answer was judged as it was.
const TELLING: [&str; 6] = ["content-type", "location", "etag", "allow", "www-authenticate", "retry-after"];

/// Who the request says it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// The token of the run.
    Token,
    /// The token of the run under another spelling of `Bearer`.
    TokenAs(&'static str),
    /// No `Authorization` header at all.
    None,
    /// Another value of the `Authorization` header.
    Other(String),
}

/// A request to the server under test.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub method: &'static str,
    /// Below the base URL, beginning with `/` or `?`, or empty for the base URL itself; or an absolute URL.
    pub target: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Vec<u8>>,
    pub credentials: Credentials,
}

impl Request {
    pub(super) fn new(method: &'static str, target: impl Into<String>) -> Request {
        Request { method, target: target.into(), headers: Vec::new(), body: None, credentials: Credentials::Token }
    }

    pub(super) fn get(target: impl Into<String>) -> Request {
        Request::new("GET", target)
    }

    pub(super) fn json(self, body: &Value) -> Request {
        self.bytes("application/scim+json", body.to_string())
    }

    pub(super) fn bytes(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Request {
        self.body = Some(body.into());
        self.header("Content-Type", content_type)
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn credentials(mut self, credentials: Credentials) -> Request {
        self.credentials = credentials;
        self
    }
}

/// What was sent and what came, with the token taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    answer: Result<Shown, String>,
}

/// An answer in short.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Exchange {
    /// What happened, with every occurrence of the token replaced. An answer that never came has its reason instead.
    pub(super) fn new(request: &Request, url: &str, came: Result<&Received, &str>, token: &str) -> Exchange {
        let redact = |text: &str| if token.is_empty() { text.to_owned() } else { text.replace(token, "[token]") };
        let answer = came.map(|received| Shown {
            status: received.status,
            headers: received
                .headers
                .iter()
                .filter(|(name, _)| TELLING.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), redact(value)))
                .collect(),
            body: short(&redact(&String::from_utf8_lossy(&received.body))),
        });
        Exchange {
            method: request.method.to_owned(),
            url: redact(url),
            headers: request.headers.iter().map(|(name, value)| ((*name).to_owned(), redact(value))).collect(),
            body: request.body.as_deref().map(|body| short(&redact(&String::from_utf8_lossy(body)))),
            answer: answer.map_err(redact),
        }
    }

    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        let headers = |headers: &[(String, String)]| {
            let pairs = headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
            Value::Object(pairs.collect())
        };
        let response = match &self.answer {
            Ok(shown) => json!({"status": shown.status, "headers": headers(&shown.headers), "body": shown.body}),
            Err(reason) => json!({ "error": reason }),
        };
        json!({
            "request": {"method": self.method, "url": self.url, "headers": headers(&self.headers), "body": self.body},
            "response": response,
        })
    }

    /// For people: `>` before what was sent, `<` before what came.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("> {} {}", self.method, self.url)];
        // That a body is SCIM goes without saying.
        let said = self.headers.iter().filter(|(_, value)| value != "application/scim+json");
        lines.extend(said.map(|(name, value)| format!("> {name}: {value}")));
        lines.extend(self.body.iter().filter(|body| !body.is_empty()).map(|body| format!("> {body}")));
        match &self.answer {
            Ok(shown) => {
                lines.push(format!("< {}", shown.status));
                lines.extend(shown.headers.iter().map(|(name, value)| format!("< {name}: {value}")));
                lines.extend(Some(&shown.body).filter(|body| !body.is_empty()).map(|body| format!("< {body}")));
            }
            Err(reason) => lines.push(format!("< no answer: {reason}")),
        }
        lines
    }
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// The bytes of an answer, before anybody understands them.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An answer to be judged. It carries what was exchanged, so that a failure can show it.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
    json: Option<Value>,
    pub exchange: Rc<Exchange>,
}

impl Answer {
    pub(super) fn new(received: Received, exchange: Exchange) -> Answer {
        let json = serde_json::from_slice(&received.body).ok();
        let Received { status, headers, body } = received;
        Answer { status, body, headers, json, exchange: Rc::new(exchange) }
    }

    /// The header of this name, in whatever case, if there is one.
    pub(super) fn find_header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    pub(super) fn json(&self) -> &Value {
        self.json.as_ref().unwrap_or(&Value::Null)
    }

    pub(super) fn is_json(&self) -> bool {
        self.json.is_some()
    }

    /// What stands at a JSON pointer; null if nothing does.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        self.json().pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> Exchange {
        let request = Request::new("POST", "/Users?x=hunter2")
            .header("X-Echo", "hunter2")
            .bytes("application/scim+json", "{\"a\":  \"hunter2\"}");
        let received = Received {
            status: 400,
            headers: vec![("location".to_owned(), "/hunter2".to_owned()), ("date".to_owned(), "today".to_owned())],
            body: format!("hunter2 {}", "x".repeat(5000)).into_bytes(),
        };
        Exchange::new(&request, "http://h/Users?x=hunter2", Ok(&received), "hunter2")
    }

    #[test]
    fn the_token_is_shown_nowhere() {
        let text = format!("{:?} {} {:?}", exchange(), exchange().to_json(), exchange().lines());
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("[token]"), "{text}");
    }

    #[test]
    fn bodies_are_cut_and_say_so() {
        let json = exchange().to_json();
        let body = json["response"]["body"].as_str().expect("a body");
        assert!(body.ends_with("… (5008 bytes)") && body.len() < 1000, "{body}");
        assert_eq!(json["response"]["headers"], json!({"location": "/[token]"}));
    }

    #[test]
    fn an_answer_without_json_is_null_everywhere() {
        let received = Received { status: 200, body: b"<html>".to_vec(), ..Received::default() };
        let request = Request::get("/");
        let answer = Answer::new(received.clone(), Exchange::new(&request, "", Ok(&received), ""));
        assert_eq!((answer.at("/id"), answer.is_json()), (&Value::Null, false));
    }
}
