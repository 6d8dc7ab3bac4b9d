//! A bulk message: JSON → operations and the order in which they are made.

use scimd::scim::bulk::{self, BulkRequest, Created, Data, Step};
use scimd::scim::{Profile, json, patch};
use serde_json::{Map, Value};

use super::{PROFILES, assert_refusal, types};

/// Reads the bytes as a bulk message, in both profiles, and pretends to make each operation.
pub fn check(bytes: &[u8]) {
    let Ok(message) = json::object(bytes) else { return };
    for profile in PROFILES {
        assert_message(&message, profile);
    }
}

fn assert_message(message: &Map<String, Value>, profile: Profile) {
    let request = match bulk::parse(message.clone(), profile) {
        Ok(request) => request,
        Err(error) => return assert_refusal(&error),
    };
    let mut created: Vec<Option<Created>> = (0..request.len()).map(|_| None).collect();
    let mut made: Vec<usize> = Vec::new();
    for step in request.steps() {
        let (operations, is_circle) = match step {
            Step::One(at) => (std::slice::from_ref(at), false),
            Step::Circle(circle) => (circle.as_slice(), true),
        };
        let written: Vec<Data<'_>> =
            operations.iter().filter_map(|at| write(&request, *at, &mut created, operations)).collect();
        for data in &written {
            assert_completed(&request, data, &created, is_circle, profile);
        }
        made.extend(operations);
    }
    made.sort_unstable();
    assert!(made.into_iter().eq(0..request.len()), "each operation is made, and once");
}

/// Pretends to make an operation, and gives its data; nothing if it cannot be made.
fn write<'a>(
    request: &'a BulkRequest,
    at: usize,
    created: &mut [Option<Created>],
    together: &[usize],
) -> Option<Data<'a>> {
    let write = match request.write(at) {
        Ok(write) => write,
        Err(error) => {
            assert_refusal(error);
            return None;
        }
    };
    if let Some(missing) = request.missing(at, created, together) {
        assert!(created[missing].is_none());
        return None;
    }
    let data = request.data(write, created);
    if write.target.is_none() {
        created[at] = Some(Created { id: format!("id-{at}"), location: format!("https://localhost/id-{at}") });
    }
    Some(data)
}

/// Only who goes round in a circle is left incomplete, and what completes him is a PATCH.
fn assert_completed(
    request: &BulkRequest,
    data: &Data<'_>,
    created: &[Option<Created>],
    is_circle: bool,
    profile: Profile,
) {
    for resource_type in types() {
        let Some(message) = request.link(data, resource_type, created) else { continue };
        assert!(is_circle, "nothing is left to wait for");
        let completing = patch::parse(&message, profile);
        assert!(completing.is_ok(), "{completing:?}");
    }
}
