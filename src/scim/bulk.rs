//! Bulk: many writes in one message, which may refer to each other's new resources (RFC 7644 §3.7).
//!
//! [`parse()`] reads the message and plans the order of its operations; [`BulkRequest::data`] puts the ids of created
//! resources in the place of `bulkId:…`; [`BulkRequest::response`] is the answer. It does not know what an operation
//! does to a resource.

mod address;
mod plan;
mod reference;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::accept::check_keys;
use super::message::{BULK_REQUEST, BULK_RESPONSE, MAX_OPERATIONS, PATCH_OP, error_body};
use super::schema::ResourceType;
use super::{Error, ErrorKind, Profile, Result};

use address::Address;
use plan::{Footprint, Key};
use reference::{Substitution, for_each_text, named};

pub use plan::Step;
pub use reference::{Created, Data};

/// A bulk message: operations in the order of the request, and the order in which they are to be made.
#[derive(Debug)]
pub struct BulkRequest {
    fail_on_errors: Option<usize>,
    operations: Vec<Operation>,
    /// The operations that create something, by their `bulkId`.
    creations: HashMap<String, usize>,
    steps: Vec<Step>,
}

/// One operation as sent. What is wrong with it is its own result, and nobody else's (BULK-02).
#[derive(Debug)]
struct Operation {
    method: Option<String>,
    bulk_id: Option<String>,
    write: Result<Write>,
}

/// What an operation wants done.
#[derive(Debug)]
pub struct Write {
    /// How.
    pub method: Method,
    /// The first segment of the path, with its slash: `/Users`.
    pub endpoint: String,
    /// Which resource; `None` for POST.
    pub target: Option<Target>,
    /// The version that it is expected in, as in `If-Match`.
    pub version: Option<String>,
    data: Map<String, Value>,
    /// The operations whose resources it refers to, in order; each one once.
    needs: Vec<usize>,
}

/// The methods that write (RFC 7644 §3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Create.
    Post,
    /// Replace.
    Put,
    /// Modify.
    Patch,
    /// Delete.
    Delete,
}

/// The resource that an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One that has an id.
    Id(String),
    /// The one that this operation of the same request creates (BULK-08).
    Created(usize),
}

/// What became of an operation.
#[derive(Debug)]
pub struct Outcome {
    /// Where the resource is; `None` for a POST that failed, and where no resource is named.
    pub location: Option<String>,
    /// What the single request would have been answered.
    pub result: Result<Success>,
}

/// What is told of an operation that succeeded.
#[derive(Debug, Default)]
pub struct Success {
    /// The version of the resource after it; `None` after a deletion.
    pub version: Option<String>,
    /// The representation, where it is wanted.
    pub response: Option<Map<String, Value>>,
}

/// Reads a bulk message. Names and methods in any case; unknown keys are ignored. Under `compat` also without `schemas`,
/// and with the bare array of operations as `data` of a PATCH.
///
/// # Errors
/// `invalidSyntax` for a body of another shape, or a `bulkId` that stands twice; `invalidValue` for a `failOnErrors` that
/// is no number of errors; [`ErrorKind::TooLarge`] for more than [`MAX_OPERATIONS`].
pub fn parse(body: Map<String, Value>, profile: Profile) -> Result<BulkRequest> {
    check_keys(&body)?;
    if profile == Profile::Strict {
        check_schemas(&body)?;
    }
    let [fail_on_errors, operations] = take(body, ["failOnErrors", "Operations"]);
    let fail_on_errors = read_fail_on_errors(fail_on_errors)?;
    let Some(Value::Array(operations)) = operations else {
        return Err(invalid("Operations must be an array of operations."));
    };
    if operations.is_empty() {
        return Err(invalid("Operations must have at least one operation."));
    }
    if operations.len() > MAX_OPERATIONS {
        let detail = format!(
            "The request has {} operations, more than maxOperations ({MAX_OPERATIONS}) allows; nothing was done.",
            operations.len()
        );
        return Err(Error::new(ErrorKind::TooLarge, detail));
    }
    let operations = operations.into_iter().enumerate();
    let parsed: Vec<Parsed> = operations.map(|(at, operation)| read(at, operation, profile)).collect::<Result<_>>()?;
    let creations = creations(&parsed)?;
    let operations: Vec<Operation> = parsed
        .into_iter()
        .map(|Parsed { method, bulk_id, write, .. }| {
            let write = write.and_then(|sent| sent.resolve(&creations));
            Operation { method, bulk_id, write }
        })
        .collect();
    let steps = plan::plan(&footprints(&operations, &creations));
    Ok(BulkRequest { fail_on_errors, operations, creations, steps })
}

fn check_schemas(body: &Map<String, Value>) -> Result<()> {
    let urns = member(body, "schemas").and_then(Value::as_array);
    let is_bulk = |urn: &Value| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(BULK_REQUEST));
    if urns.is_some_and(|urns| urns.iter().any(is_bulk)) {
        return Ok(());
    }
    Err(invalid(format!("schemas must be an array that contains {BULK_REQUEST}.")))
}

/// The number of errors after which nothing more is done; 0 would be the first before anything is.
fn read_fail_on_errors(value: Option<Value>) -> Result<Option<usize>> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let count = value
        .as_u64()
        .ok_or_else(|| Error::new(ErrorKind::InvalidValue, "failOnErrors must be a number of errors, 1 or more."))?;
    Ok(Some(usize::try_from(count).unwrap_or(usize::MAX).max(1)))
}

/// An operation before the references of the others are known.
struct Parsed {
    method: Option<String>,
    bulk_id: Option<String>,
    creates: bool,
    write: Result<Sent>,
}

/// A [`Write`] with its references as they were sent.
struct Sent {
    method: Method,
    address: Address,
    version: Option<String>,
    data: Map<String, Value>,
}

fn read(at: usize, operation: Value, profile: Profile) -> Result<Parsed> {
    let Value::Object(operation) = operation else {
        return Err(invalid(format!("Operations[{at}] must be an object.")));
    };
    check_keys(&operation)?;
    let [method, bulk_id, path, version, data] =
        take(operation, ["method", "bulkId", "path", "version", "data"]).map(|value| value.filter(|v| !v.is_null()));
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    let (shown_method, shown_bulk_id) = (text(&method), text(&bulk_id).filter(|id| !id.is_empty()));
    let known = shown_method.as_deref().and_then(Method::of);
    let write = || {
        let method = known.ok_or_else(|| invalid("method must be POST, PUT, PATCH or DELETE."))?;
        let address = address::parse(text(&path).ok_or_else(|| invalid("path must be a string."))?.as_str(), method)?;
        check_bulk_id(method, bulk_id.as_ref())?;
        let version = match version {
            None => None,
            Some(Value::String(version)) => Some(version),
            Some(_) => return Err(invalid("version must be a string.")),
        };
        Ok(Sent { method, address, version, data: read_data(method, data, profile)? })
    };
    Ok(Parsed {
        method: known.map(|method| method.name().to_owned()).or(shown_method.clone()),
        bulk_id: shown_bulk_id,
        creates: known == Some(Method::Post),
        write: write(),
    })
}

fn check_bulk_id(method: Method, bulk_id: Option<&Value>) -> Result<()> {
    match bulk_id {
        Some(Value::String(bulk_id)) if !bulk_id.is_empty() => Ok(()),
        None if method != Method::Post => Ok(()),
        None => Err(invalid("bulkId is required for POST; it names the resource before it has an id.")),
        Some(_) => Err(invalid("bulkId must be a string that is not empty.")),
    }
}

fn read_data(method: Method, data: Option<Value>, profile: Profile) -> Result<Map<String, Value>> {
    match (method, data) {
        (Method::Delete, _) => Ok(Map::new()),
        (_, Some(Value::Object(data))) => Ok(data),
        // As figure 6 of RFC 7644 §3.7.3 has it (erratum 5050).
        (Method::Patch, Some(Value::Array(operations))) if profile == Profile::Compat => {
            Ok(Map::from_iter([("Operations".to_owned(), Value::Array(operations))]))
        }
        (_, None) => Err(invalid(format!("data is required for {}.", method.name()))),
        (_, Some(_)) => Err(invalid("data must be a JSON object.")),
    }
}

/// Who creates what, by `bulkId`.
fn creations(operations: &[Parsed]) -> Result<HashMap<String, usize>> {
    let mut known = HashSet::new();
    let mut creations = HashMap::new();
    for (at, operation) in operations.iter().enumerate() {
        let Some(bulk_id) = &operation.bulk_id else { continue };
        if !known.insert(bulk_id) {
            return Err(invalid(format!("The bulkId '{}' stands twice; nothing was done.", shown(bulk_id))));
        }
        if operation.creates {
            creations.insert(bulk_id.clone(), at);
        }
    }
    Ok(creations)
}

impl Sent {
    /// With the operations that it refers to, all of which there must be (BULK-11).
    fn resolve(self, creations: &HashMap<String, usize>) -> Result<Write> {
        let Sent { method, address, version, data } = self;
        let (mut needs, mut undefined) = (BTreeSet::new(), None);
        let mut refer = |name: &str| {
            let at = creations.get(name).copied();
            needs.extend(at);
            if at.is_none() {
                undefined.get_or_insert_with(|| shown(name));
            }
            at
        };
        for_each_text(method, &data, &mut |key, text| {
            named(key, text).and_then(&mut refer);
        });
        let target = address.id.and_then(|id| match named("", &id) {
            Some(name) => refer(name).map(Target::Created),
            None => Some(Target::Id(id)),
        });
        if let Some(name) = undefined {
            let detail = format!("bulkId:{name}: no POST of this request has this bulkId.");
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        }
        let needs = needs.into_iter().collect();
        Ok(Write { method, endpoint: address.endpoint, target, version, data, needs })
    }
}

/// What each operation has to do with the others (BULK-12).
fn footprints<'a>(operations: &'a [Operation], creations: &HashMap<String, usize>) -> Vec<Footprint<'a>> {
    let writes = || operations.iter().filter_map(|operation| operation.write.as_ref().ok());
    let addressed: HashSet<&str> = writes()
        .filter_map(|write| match &write.target {
            Some(Target::Id(id)) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let footprint = |operation: &'a Operation| {
        let Ok(write) = &operation.write else { return Footprint::default() };
        let of_type = Key::Type(&write.endpoint);
        let (mut reads, mut changes) = (HashSet::new(), Vec::new());
        match &write.target {
            None => drop(reads.insert(of_type)),
            Some(Target::Id(id)) => changes.extend([of_type, Key::Resource(id)]),
            Some(Target::Created(at)) => changes.extend([of_type, Key::Created(*at)]),
        }
        for_each_text(write.method, &write.data, &mut |key, text| match named(key, text) {
            Some(name) => reads.extend(creations.get(name).map(|at| Key::Created(*at))),
            None => reads.extend(addressed.get(reference::last_segment(key, text)).map(|id| Key::Resource(id))),
        });
        Footprint { needs: &write.needs, reads: reads.into_iter().collect(), changes }
    };
    operations.iter().map(footprint).collect()
}

impl BulkRequest {
    /// The number of operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is nothing to do; never, of a message that was parsed.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// After how many errors nothing more is done (BULK-05).
    pub fn most_errors(&self) -> usize {
        self.fail_on_errors.unwrap_or(usize::MAX)
    }

    /// The operations in the order in which they are to be made.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the operation wants done.
    ///
    /// # Errors
    /// What is wrong with the operation.
    pub fn write(&self, at: usize) -> std::result::Result<&Write, &Error> {
        self.operations[at].write.as_ref()
    }

    /// The first operation whose resource this one needs and does not find; that of the others in its circle may come
    /// later.
    pub fn missing(&self, at: usize, created: &[Option<Created>], circle: &[usize]) -> Option<usize> {
        let needs = self.write(at).map(|write| write.needs.as_slice()).unwrap_or_default();
        let is_missing = |needed: &usize| created[*needed].is_none() && circle.binary_search(needed).is_err();
        needs.iter().copied().find(is_missing)
    }

    /// The `bulkId` of an operation, as a message shows it.
    pub fn shown_bulk_id(&self, at: usize) -> String {
        shown(self.operations[at].bulk_id.as_deref().unwrap_or_default())
    }

    /// The data of an operation with the ids of what is created by now. Attributes that refer to what is not are left
    /// out, as far as they do, and kept for later.
    pub fn data<'a>(&'a self, write: &'a Write, created: &[Option<Created>]) -> Data<'a> {
        if write.needs.is_empty() {
            return Data::complete(Cow::Borrowed(&write.data));
        }
        let mut substitution = Substitution::new(&self.creations, created);
        match write.method {
            Method::Patch => Data::complete(Cow::Owned(substitution.patch(&write.data))),
            _ => substitution.attributes(&write.data),
        }
    }

    /// The PATCH that completes a resource whose data had to be left out in part; `None` if it is complete.
    pub fn link(
        &self,
        data: &Data<'_>,
        resource_type: &'static ResourceType,
        created: &[Option<Created>],
    ) -> Option<Map<String, Value>> {
        let heeded = data.heeded(resource_type);
        let complete = Substitution::new(&self.creations, created).attributes(&heeded).known.into_owned();
        let message = json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "value": complete}]});
        match message {
            Value::Object(message) if !heeded.is_empty() => Some(message),
            _ => None,
        }
    }

    /// The answer: a result for each operation that was made, in the order of the request (BULK-01, BULK-06).
    pub fn response(&self, outcomes: Vec<Option<Outcome>>) -> Value {
        let made = self.operations.iter().zip(outcomes);
        let results = made.filter_map(|(operation, outcome)| Some(operation.result(outcome?)));
        json!({"schemas": [BULK_RESPONSE], "Operations": results.collect::<Vec<Value>>()})
    }
}

impl Operation {
    fn result(&self, outcome: Outcome) -> Value {
        let mut result = Map::new();
        let mut say = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                result.insert(name.to_owned(), value);
            }
        };
        say("location", outcome.location.map(Value::from));
        say("method", self.method.as_deref().map(Value::from));
        say("bulkId", self.bulk_id.as_deref().map(Value::from));
        match outcome.result {
            Ok(success) => {
                let status = self.write.as_ref().map_or("200", |write| write.method.status());
                say("version", success.version.map(Value::from));
                say("status", Some(status.into()));
                say("response", success.response.map(Value::Object));
            }
            Err(error) => {
                say("status", Some(error.kind().status().to_string().into()));
                say("response", Some(error_body(&error)));
            }
        }
        Value::Object(result)
    }
}

impl Method {
    fn of(text: &str) -> Option<Method> {
        let all = [Method::Post, Method::Put, Method::Patch, Method::Delete];
        all.into_iter().find(|method| method.name().eq_ignore_ascii_case(text))
    }

    fn name(self) -> &'static str {
        match self {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    /// The status of a success (RFC 7644 §3.7.3).
    fn status(self) -> &'static str {
        match self {
            Method::Post => "201",
            Method::Put | Method::Patch => "200",
            Method::Delete => "204",
        }
    }
}

fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The members of these names, in any case, out of an object.
fn take<const N: usize>(object: Map<String, Value>, names: [&str; N]) -> [Option<Value>; N] {
    let mut taken = [const { None }; N];
    for (key, value) in object {
        if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(&key)) {
            taken[at] = Some(value);
        }
    }
    taken
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSyntax, detail)
}
