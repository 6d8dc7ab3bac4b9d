//! Bulk: many writes in one message, which may refer to each other's new resources (RFC 7644 §3.7).
//!
//! [`parse()`] reads the message and plans the order of its operations; [`BulkRequest::data`] puts the ids of created
//! resources in the place of `bulkId:…`; [`BulkRequest::response`] is the answer. It does not know what an operation
//! does to a resource.

mod address;
mod parse;
mod plan;
mod reference;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::message::{BULK_RESPONSE, PATCH_OP, error_body};
use super::raw::{self, RawObject};
use super::schema::ResourceType;
use super::{Error, Result, shortened};

use reference::Substitution;

pub use parse::parse;
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

impl Write {
    /// The data as sent, with `bulkId`s in the place of ids.
    pub fn sent(&self) -> &Map<String, Value> {
        &self.data
    }
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
    /// The JSON text of the representation, where it is wanted.
    pub response: Option<String>,
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
        shortened(self.operations[at].bulk_id.as_deref().unwrap_or_default())
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

    /// The JSON text of the answer: a result for each operation that was made, in the order of the request (BULK-01, BULK-06).
    pub fn response(&self, outcomes: Vec<Option<Outcome>>) -> String {
        let made = self.operations.iter().zip(outcomes);
        let results = made.filter_map(|(operation, outcome)| Some(operation.result(outcome?)));
        let results: Vec<String> = results.collect();
        format!(r#"{{"schemas":["{BULK_RESPONSE}"],"Operations":[{}]}}"#, results.join(","))
    }
}

impl Operation {
    fn result(&self, outcome: Outcome) -> String {
        let mut result = RawObject::with_capacity(6);
        let mut say = |name: &'static str, text: Option<String>| {
            if let Some(text) = text {
                result.push(name, text);
            }
        };
        say("location", outcome.location.as_deref().map(raw::string));
        say("method", self.method.as_deref().map(raw::string));
        say("bulkId", self.bulk_id.as_deref().map(raw::string));
        match outcome.result {
            Ok(success) => {
                let status = self.write.as_ref().map_or("200", |write| write.method.status());
                say("version", success.version.as_deref().map(raw::string));
                say("status", Some(raw::string(status)));
                say("response", success.response);
            }
            Err(error) => {
                say("status", Some(raw::string(&error.kind().status().to_string())));
                say("response", Some(error_body(&error).to_string()));
            }
        }
        result.to_text()
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
