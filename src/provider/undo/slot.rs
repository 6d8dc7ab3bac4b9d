//! The places for values in a document, one for each attribute: of the history's top-level members, an extension is taken
//! apart, so that one of its attributes can be taken back without the others.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::scim::resource::Document;
use crate::scim::schema::{Resolved, ResourceType};

/// Where an attribute has its value, in the spelling of the document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot {
    urn: Option<String>,
    name: String,
}

impl Slot {
    /// That of an attribute.
    pub(super) fn of(urn: Option<&str>, name: &str) -> Slot {
        Slot { urn: urn.map(str::to_owned), name: name.to_owned() }
    }

    /// The attribute of the schemas in force that has its value there.
    pub(super) fn attribute(&self, resource_type: &'static ResourceType) -> Option<Resolved> {
        resource_type
            .stored_attributes()
            .find(|attribute| attribute.container() == self.urn.as_deref() && attribute.attribute.name == self.name)
    }

    /// What a document has there.
    pub(super) fn value<'d>(&self, document: &'d Document) -> Option<&'d Value> {
        match &self.urn {
            Some(urn) => document.extension(urn)?.get(&self.name),
            None => document.members().get(&self.name),
        }
    }
}

/// As paths of PATCH say it.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.urn {
            Some(urn) => write!(f, "{urn}:{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What members of a document, or of one side of a change, have where.
pub(super) fn slots(members: Option<&Value>) -> BTreeMap<Slot, &Value> {
    let mut slots = BTreeMap::new();
    for (name, value) in members.and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::Object(attributes) if name.contains(':') => slots.extend(of_extension(name, attributes)),
            value => drop(slots.insert(Slot::of(None, name), value)),
        }
    }
    slots
}

fn of_extension<'v>(urn: &'v str, attributes: &'v Map<String, Value>) -> impl Iterator<Item = (Slot, &'v Value)> {
    attributes.iter().map(move |(name, value)| (Slot::of(Some(urn), name), value))
}
