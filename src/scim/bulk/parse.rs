//! The bulk message as sent, made a [`BulkRequest`].

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use super::address::{self, Address};
use super::plan::{Footprint, Key, plan};
use super::reference::{for_each_text, last_segment, named};
use super::{BulkRequest, Method, Operation, Target, Write};
use crate::scim::json::check_keys;
use crate::scim::message::{BULK_REQUEST, MAX_OPERATIONS, check_schemas};
use crate::scim::{Error, ErrorKind, Profile, Result, shortened};

/// Reads a bulk message. Names and methods in any case; unknown keys are ignored. Under `compat` also without `schemas`,
/// and with the bare array of operations as `data` of a PATCH.
///
/// # Errors
/// `invalidSyntax` for a body of another shape, or a `bulkId` that stands twice; `invalidValue` for a `failOnErrors` that
/// is no number of errors; [`ErrorKind::TooLarge`] for more than [`MAX_OPERATIONS`].
pub fn parse(body: Map<String, Value>, profile: Profile) -> Result<BulkRequest> {
    check_keys(&body)?;
    if profile == Profile::Strict {
        check_schemas(&body, BULK_REQUEST)?;
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
    let steps = plan(&footprints(&operations, &creations));
    Ok(BulkRequest { fail_on_errors, operations, creations, steps })
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
            return Err(invalid(format!("The bulkId '{}' stands twice; nothing was done.", shortened(bulk_id))));
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
                undefined.get_or_insert_with(|| shortened(name));
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
            None => reads.extend(addressed.get(last_segment(key, text)).map(|id| Key::Resource(id))),
        });
        Footprint { needs: &write.needs, reads: reads.into_iter().collect(), changes }
    };
    operations.iter().map(footprint).collect()
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

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSyntax, detail)
}
