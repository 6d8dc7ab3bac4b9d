//! Recorded conversations of identity providers, and the runner that holds a server to them.
//!
//! Each file `tests/clients/<provider>/<what>.json` is one conversation. It starts with an empty tenant and depends on
//! no other file. The format:
//!
//! ```json
//! {
//!   "client": "Okta, catalogue app",
//!   "about": "What this conversation shows, in a sentence.",
//!   "profile": "compat",
//!   "requirements": ["T-06", "INT-02"],
//!   "headers": { "Accept": "application/scim+json" },
//!   "body_headers": { "Content-Type": "application/scim+json" },
//!   "steps": [
//!     { "name": "create",
//!       "request": { "method": "POST", "path": "/Users", "body": { "userName": "ines" } },
//!       "expect": { "status": 201, "headers": { "location": { "$ends": "/Users/${ines}" } }, "body": { "id": "$uuid" } },
//!       "save": { "ines": "/id" } }
//!   ]
//! }
//! ```
//!
//! - `requirements` are the ids of `tests/requirements.md` that it shows.
//! - `profile` is that of the key, `compat` unless given. `headers` go with every request, `body_headers` with those that
//!   have a body; `Authorization: Bearer <token>` is added. A step's own `headers` replace them; `null` leaves one out.
//! - `path` is appended to the base URL as it stands, byte for byte. `body` is JSON; `raw_body` is text sent as it is.
//! - `expect.status` is a number or a list of them. `expect.headers` and `expect.body` are compared by the rules of
//!   `matcher.rs`, a header as a JSON string. `expect.within_ms` bounds the time to the answer. What every answer must
//!   satisfy (`answer.rs`) is checked without being written down.
//! - `save` keeps parts of the answer, by JSON pointer (`""` is the whole body), under names. `${name}` inserts one into
//!   paths, headers, bodies, raw bodies and expectations. As a whole JSON string it stands for the value of any type,
//!   inside a longer text for its characters. `{"$equals": "${before}"}` says that nothing changed.
//! - `${token}` and `${base}` are known from the start.
//! - `"repeat": 5` performs a step five times, with `${n}` from 1 to 5, also in the names under `save`.
//! - `{"$times": 5, "of": x}` as an element of an array in a body or an expectation stands for five of `x`, with `${n}` in
//!   it from 1 to 5, also within the name of a variable: `${user_${n}}`.
//!
//! Knows HTTP and JSON, nothing of how the server is started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::http::{Client, Response};
use super::{answer, matcher};

/// A server to talk to, and the key to talk to it with.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `http://127.0.0.1:port/scim/v2`.
    pub base_url: String,
    /// The bearer token of a key of an empty tenant.
    pub token: String,
}

/// One conversation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// Where it came from, relative to `tests/clients`.
    #[serde(skip)]
    pub file: PathBuf,
    /// Who speaks.
    pub client: String,
    /// What it shows.
    pub about: String,
    /// The profile that the key must have.
    #[serde(default)]
    pub profile: Profile,
    /// The requirements that it shows, by id.
    #[serde(default)]
    pub requirements: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body_headers: BTreeMap<String, String>,
    pub(crate) steps: Vec<Step>,
}

/// The profile of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// With the tolerances of real clients.
    #[default]
    Compat,
    /// The RFC's text and nothing more.
    Strict,
}

impl Profile {
    /// The word for `scimd key create --profile`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compat => "compat",
            Self::Strict => "strict",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    name: String,
    repeat: Option<u32>,
    request: Request,
    expect: Expect,
    #[serde(default)]
    save: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    body: Option<Value>,
    raw_body: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    status: Status,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    body: Option<Value>,
    within_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Status {
    One(u16),
    OneOf(Vec<u16>),
}

/// All conversations, in a stable order. Panics with the file's name when one does not load.
pub fn files() -> Vec<Transcript> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    paths.iter().map(|path| load(path, path.strip_prefix(&root).unwrap_or(path))).collect()
}

/// Performs a conversation and returns how many requests were made. Panics at the first answer that is not as expected,
/// with file, step, request, expectation and answer.
pub fn run(transcript: &Transcript, endpoint: &Endpoint) -> usize {
    let client = Client::new(&endpoint.base_url);
    let mut variables = Variables::new(endpoint);
    let mut requests = 0;
    for step in &transcript.steps {
        for n in 1..=step.repeat.unwrap_or(1) {
            variables.set("n", Value::from(n));
            perform(transcript, step, &client, &mut variables);
            requests += 1;
        }
    }
    requests
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("{}: {error}", directory.display())).path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
}

fn load(path: &Path, name: &Path) -> Transcript {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut transcript = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    transcript.file = name.to_owned();
    transcript
}

pub(crate) fn parse(text: &str) -> Result<Transcript, String> {
    let mut transcript: Transcript = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for step in &mut transcript.steps {
        step.request.body.iter_mut().chain(&mut step.expect.body).for_each(write_out);
    }
    transcript.check()?;
    Ok(transcript)
}

/// Puts the elements that `$times` stands for in its place.
fn write_out(value: &mut Value) {
    match value {
        Value::Array(elements) => {
            *elements = elements.drain(..).flat_map(elements_of).collect();
            elements.iter_mut().for_each(write_out);
        }
        Value::Object(members) => members.values_mut().for_each(write_out),
        _ => {}
    }
}

fn elements_of(element: Value) -> Vec<Value> {
    let Some(times) = element.get("$times").and_then(Value::as_u64) else { return vec![element] };
    let template = element["of"].to_string();
    let numbered = (1..=times).map(|n| template.replace("${n}", &n.to_string()));
    numbered.map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).collect()
}

impl Transcript {
    /// Finds variables that no earlier step saves, unknown rules, and steps that cannot be told apart.
    fn check(&self) -> Result<(), String> {
        let mut known: BTreeSet<String> = ["token", "base", "n"].map(str::to_owned).into();
        let mut names = BTreeSet::new();
        if self.steps.is_empty() {
            return Err("no steps".to_owned());
        }
        for step in &self.steps {
            if !names.insert(&step.name) {
                return Err(format!("two steps are called {:?}", step.name));
            }
            step.check(&mut known).map_err(|error| format!("step {:?}: {error}", step.name))?;
        }
        Ok(())
    }
}

impl Step {
    fn check(&self, known: &mut BTreeSet<String>) -> Result<(), String> {
        if self.request.body.is_some() && self.request.raw_body.is_some() {
            return Err("both body and raw_body".to_owned());
        }
        let request = &self.request;
        let mut used = variables_in(&request.path);
        used.extend(request.headers.values().flatten().flat_map(|text| variables_in(text)));
        used.extend(request.raw_body.iter().flat_map(|text| variables_in(text)));
        used.extend(request.body.iter().flat_map(|body| variables_in(&body.to_string())));
        if let Some(unknown) = used.iter().find(|name| !known.contains(*name)) {
            return Err(format!("nothing saved ${{{unknown}}}"));
        }
        for n in 1..=self.repeat.unwrap_or(1) {
            known.extend(self.save.keys().map(|name| name.replace("${n}", &n.to_string())));
        }
        for expected in self.expect.headers.values().chain(&self.expect.body) {
            matcher::check(expected)?;
            if let Some(unknown) = variables_in(&expected.to_string()).into_iter().find(|name| !known.contains(name)) {
                return Err(format!("nothing saved ${{{unknown}}}"));
            }
        }
        Ok(())
    }
}

fn perform(transcript: &Transcript, step: &Step, client: &Client, variables: &mut Variables) {
    let path = variables.text(&step.request.path);
    let body = step.request.body.as_ref().map(|body| variables.value(body).to_string());
    let body = body.or_else(|| step.request.raw_body.as_deref().map(|text| variables.text(text)));
    let headers = headers(transcript, step, variables);
    let asked = format!("{} {path}\n  {headers:?}\n  {}", step.request.method, body.as_deref().unwrap_or("no body"));
    let fail = |reason: &str, response: &str| -> ! {
        panic!(
            "{}, step {:?}: {reason}\nrequest   {asked}\nexpected  {:?}\nactual    {response}",
            transcript.file.display(),
            step.name,
            step.expect
        )
    };

    let start = Instant::now();
    let response = client
        .send(&step.request.method, &path, &headers, body.as_deref().map(str::as_bytes))
        .unwrap_or_else(|error| fail(&format!("no answer ({error})"), "none"));
    let taken = start.elapsed();
    let found = format!("{} {:?}\n  {}", response.status, response.headers, response.text());

    let json = (!response.body.is_empty()).then(|| serde_json::from_slice::<Value>(&response.body).ok()).flatten();
    if let Err(reason) = step.expect.compare(&response, json.as_ref(), taken, variables, step) {
        fail(&reason, &found);
    }
    let accept = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("accept"));
    if let Err(reason) = answer::check(&response, accept.is_some_and(|(_, value)| value.contains("application/json"))) {
        fail(&reason, &found);
    }
    for (name, pointer) in &step.save {
        let Some(value) = json.as_ref().and_then(|body| body.pointer(pointer)) else {
            fail(&format!("there is no {pointer} to save"), &found)
        };
        variables.set(&variables.text(name), value.clone());
    }
}

fn headers(transcript: &Transcript, step: &Step, variables: &Variables) -> Vec<(String, String)> {
    let request = &step.request;
    let replaced = |name: &str| request.headers.keys().any(|own| own.eq_ignore_ascii_case(name));
    let has_body = request.body.is_some() || request.raw_body.is_some();
    let mut headers = Vec::new();
    if !replaced("authorization") {
        headers.push(("Authorization".to_owned(), variables.text("Bearer ${token}")));
    }
    let shared = transcript.headers.iter().chain(transcript.body_headers.iter().filter(|_| has_body));
    headers.extend(shared.filter(|(name, _)| !replaced(name)).map(|(name, value)| (name.clone(), value.clone())));
    let own = request.headers.iter().filter_map(|(name, value)| Some((name.clone(), variables.text(value.as_ref()?))));
    headers.extend(own);
    headers
}

impl Expect {
    fn compare(
        &self,
        response: &Response,
        json: Option<&Value>,
        taken: Duration,
        variables: &Variables,
        step: &Step,
    ) -> Result<(), String> {
        let fits = match &self.status {
            Status::One(status) => *status == response.status,
            Status::OneOf(statuses) => statuses.contains(&response.status),
        };
        if !fits {
            return Err(format!("the status is {}", response.status));
        }
        // An expectation may name what the same step saves: the id in `Location`, say. What an earlier step saved under
        // the same name is meant where there is such a value.
        let mut variables = variables.clone();
        for (name, pointer) in &step.save {
            let name = variables.text(name);
            if let Some(value) = json.and_then(|body| body.pointer(pointer)).filter(|_| !variables.has(&name)) {
                variables.set(&name, value.clone());
            }
        }
        for (name, expected) in &self.headers {
            let actual = response.header(name).map(Value::from);
            matcher::compare(&variables.value(expected), actual.as_ref(), &format!("header {name}"))?;
        }
        if let Some(expected) = &self.body {
            matcher::compare(&variables.value(expected), json, "")?;
        }
        match self.within_ms {
            Some(limit) if taken > Duration::from_millis(limit) => Err(format!("the answer took {taken:?}")),
            _ => Ok(()),
        }
    }
}

/// The values that earlier steps saved.
#[derive(Debug, Clone)]
pub(crate) struct Variables(BTreeMap<String, Value>);

impl Variables {
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        let mut variables = Self(BTreeMap::new());
        variables.set("token", Value::from(endpoint.token.as_str()));
        variables.set("base", Value::from(endpoint.base_url.as_str()));
        variables
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("nothing saved ${{{name}}}"))
    }

    pub(crate) fn text(&self, template: &str) -> String {
        let mut text = template.to_owned();
        for name in variables_in(template) {
            let value = match self.get(&name) {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            text = text.replace(&format!("${{{name}}}"), &value);
        }
        text
    }

    pub(crate) fn value(&self, template: &Value) -> Value {
        match template {
            Value::String(text) => match whole_variable(text) {
                Some(name) => self.get(name).clone(),
                None => Value::from(self.text(text)),
            },
            Value::Array(elements) => elements.iter().map(|element| self.value(element)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (self.text(name), self.value(value))).collect()
            }
            other => other.clone(),
        }
    }
}

fn whole_variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.contains(['$', '{', '}'])).then_some(name)
}

fn variables_in(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        rest = &rest[start + 2..];
        let Some(end) = rest.find('}') else { break };
        names.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    names
}
