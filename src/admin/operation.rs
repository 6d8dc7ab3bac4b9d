//! What can be asked for: an operation, where it stands in `/admin/v1`, and the table that all of them are in.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Desk;
use crate::auth::Access;
use crate::scim::{Error, ErrorKind, Result};

/// One thing that an operator can ask for. The value is the question; it travels as JSON, so that it can be asked from
/// another machine.
pub trait Operation: Serialize + DeserializeOwned + JsonSchema + 'static {
    /// Where it stands.
    const ROUTE: Route;

    /// The answer.
    type Outcome: Serialize + DeserializeOwned + JsonSchema;

    /// Does it.
    ///
    /// # Errors
    /// What the operator can do something about, in one sentence; database failures.
    fn carry_out(self, desk: &Desk) -> impl Future<Output = Result<Self::Outcome>>;
}

/// Where an operation stands in the admin API: method, path and what is said of it.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method.
    pub verb: Verb,
    /// The path behind the base. What stands in braces is a member of the operation.
    pub path: &'static str,
    /// Its name among all operations, `listTenants`.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Where what it makes stands from then on, with members of the answer in braces; for those that make something.
    pub makes: Option<&'static str>,
    /// What a key must be allowed to do for it.
    pub access: Access,
}

impl Route {
    /// A look at something. Members that are not in the path are parameters of the URL.
    pub const fn get(path: &'static str) -> Route {
        Route::new(Verb::Get, path)
    }

    /// A thing to do. Members that are not in the path are in the body.
    pub const fn post(path: &'static str) -> Route {
        Route::new(Verb::Post, path)
    }

    /// A change of what is there. Members that are not in the path are in the body.
    pub const fn patch(path: &'static str) -> Route {
        Route::new(Verb::Patch, path)
    }

    /// A removal. Members that are not in the path are parameters of the URL.
    pub const fn delete(path: &'static str) -> Route {
        Route::new(Verb::Delete, path)
    }

    const fn new(verb: Verb, path: &'static str) -> Route {
        let access = match verb {
            Verb::Get => Access::Read,
            Verb::Post | Verb::Patch | Verb::Delete => Access::Write,
        };
        Route { verb, path, name: "", about: "", makes: None, access }
    }

    /// A thing to do that makes something, which stands at `place` from then on. Members of the answer are in braces.
    pub const fn making(self, place: &'static str) -> Route {
        Route { makes: Some(place), ..self }
    }

    /// A thing to do that is open to whoever may look.
    pub const fn looking(self) -> Route {
        Route { access: Access::Read, ..self }
    }

    /// With its name.
    pub const fn named(self, name: &'static str) -> Route {
        Route { name, ..self }
    }

    /// With what it does.
    pub const fn about(self, about: &'static str) -> Route {
        Route { about, ..self }
    }

    /// The variables of the path, in order.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// What stands in a segment of a path as it is (RFC 3986 §2.3).
pub const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The methods of the admin API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Looks.
    Get,
    /// Does.
    Post,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Verb {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
        }
    }

    /// Whether what is asked stands in a body.
    pub fn has_body(self) -> bool {
        matches!(self, Verb::Post | Verb::Patch)
    }
}

/// A question as it came: the variables of the path and the parameters of the URL as texts, and the members of the body.
#[derive(Debug, Default)]
pub struct Asked {
    /// The variables of the path.
    pub variables: Vec<(String, String)>,
    /// The parameters of the URL, encoded as in a form.
    pub query: String,
    /// The members of the body; none where there is no body.
    pub body: Map<String, Value>,
}

impl Asked {
    /// What path and URL say, whatever stands in the body.
    ///
    /// # Errors
    /// `InvalidValue`, with the member that is unknown, missing or of another type; also for the character NUL, which
    /// PostgreSQL keeps in no text.
    pub fn parameters<Q: DeserializeOwned>(&self) -> Result<Q> {
        self.refuse_nul()?;
        let in_path = serde_html_form::to_string(&self.variables).map_err(Error::internal)?;
        let parts = [in_path.as_str(), self.query.as_str()];
        let texts = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
        serde_html_form::from_str(&texts).map_err(|cause| refused(&cause))
    }

    /// The operation that is meant.
    ///
    /// # Errors
    /// As [`Asked::parameters`].
    fn read<O: Operation>(mut self) -> Result<O> {
        self.refuse_nul()?;
        if !O::ROUTE.verb.has_body() {
            return self.parameters();
        }
        if !self.query.is_empty() {
            return Err(refused(&"its parameters belong into the body"));
        }
        for (name, text) in self.variables {
            if self.body.insert(name.clone(), Value::String(text)).is_some() {
                return Err(refused(&format_args!("`{name}` stands in the path already")));
            }
        }
        serde_json::from_value(Value::Object(self.body)).map_err(|cause| refused(&cause))
    }

    fn refuse_nul(&self) -> Result<()> {
        let parameters: Vec<(String, String)> =
            serde_html_form::from_str(&self.query).map_err(|cause| refused(&cause))?;
        let texts = self.variables.iter().chain(&parameters).flat_map(|(name, text)| [name, text]);
        let in_body = self.body.iter().any(|(name, value)| name.contains('\0') || holds_nul(value));
        if in_body || texts.into_iter().any(|text| text.contains('\0')) {
            return Err(refused(&"it holds the character NUL"));
        }
        Ok(())
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(elements) => elements.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn refused(cause: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidValue, format!("The request cannot be carried out: {cause}."))
}

/// An operation of the table, whatever it is.
pub struct Offer {
    /// Where it stands.
    pub route: Route,
    /// What it takes, as JSON Schema.
    pub takes: fn(&mut SchemaGenerator) -> Schema,
    /// What it gives.
    pub gives: fn(&mut SchemaGenerator) -> Schema,
    carry_out: fn(Desk, Asked) -> Answer,
}

/// The outcome to come, as JSON.
type Answer = Pin<Box<dyn Future<Output = Result<Value>>>>;

impl Offer {
    pub(super) fn of<O: Operation>() -> Offer {
        Offer {
            route: O::ROUTE,
            takes: SchemaGenerator::subschema_for::<O>,
            gives: SchemaGenerator::subschema_for::<O::Outcome>,
            carry_out: |desk, asked| {
                Box::pin(async move {
                    let outcome = asked.read::<O>()?.carry_out(&desk).await?;
                    serde_json::to_value(outcome).map_err(Error::internal)
                })
            },
        }
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// `InvalidValue` for a question that is not of this operation; those of the operation.
    pub async fn carry_out(&self, desk: Desk, asked: Asked) -> Result<Value> {
        (self.carry_out)(desk, asked).await
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Offer").field(&self.route.name).finish()
    }
}
