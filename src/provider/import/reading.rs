//! An export read line by line. What is wrong with the file as a whole ends the reading; what is wrong with one resource
//! is told beside its line.

use std::collections::HashMap;
use std::io::BufRead;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::spool::{Lines, Spool};
use crate::provider::transfer::{End, FORMAT, Header, Record, VERSION};
use crate::scim::json;
use crate::scim::schema::Registry;
use crate::scim::{Error, ErrorKind, Result};

/// The most values on a line: members of a group have two each.
const MOST_VALUES: usize = 20_000_000;

/// A resource, or what is wrong with it, and the number of its line.
pub(super) struct Line {
    pub(super) number: u64,
    /// How many bytes of the file are read by now.
    pub(super) read: u64,
    /// How long the line is, in bytes.
    pub(super) length: usize,
    pub(super) record: std::result::Result<Record, String>,
}

/// Hands over every resource of the file in order; its header and its end.
///
/// # Errors
/// `InvalidSyntax` with the line at which the file is no export, or ends too early; those of `visit`.
pub(super) fn each_line(
    spool: &Spool,
    registry: &'static Registry,
    now: DateTime<Utc>,
    mut visit: impl FnMut(Line) -> Result<()>,
) -> Result<(Header, End)> {
    let mut lines = spool.lines()?;
    let mut hash = Sha256::new();
    let first = lines.next()?.unwrap_or_default();
    let header = header(&first)?;
    hash.update(&first);
    hash.update(b"\n");
    let mut resources = 0;
    while let Some(line) = lines.next()? {
        let number = lines.number;
        let object = object(number, &line)?;
        if is_end(&object) {
            let end = finish(number, object, resources, hash)?;
            return nothing_follows(&mut lines).map(|()| (header, end));
        }
        hash.update(&line);
        hash.update(b"\n");
        resources += 1;
        let record = Record::parse(registry, object, now);
        visit(Line { number, read: lines.read, length: line.len(), record })?;
    }
    Err(wrong(format!(
        "What is to be imported ends after line {} without the line that ends an export: it was cut off.",
        lines.number
    )))
}

/// A resource may have an attribute of that name, and has an id.
fn is_end(object: &Map<String, Value>) -> bool {
    object.contains_key("end") && !object.contains_key("id")
}

fn header(line: &[u8]) -> Result<Header> {
    let no_export = || {
        let detail = "Line 1: this is not the header of an export of scimd; a table of users is CSV (`--csv`).";
        wrong(detail.to_owned())
    };
    let object = json::object(line).map_err(|_| no_export())?;
    if object.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(no_export());
    }
    if object.get("version").and_then(Value::as_u64) != Some(u64::from(VERSION)) {
        let detail = "Line 1: this is an export of another version of scimd, which this one can't read.";
        return Err(wrong(detail.to_owned()));
    }
    serde_json::from_value(Value::Object(object)).map_err(|cause| wrong(format!("Line 1: {cause}.")))
}

fn object(number: u64, line: &[u8]) -> Result<Map<String, Value>> {
    let object = json::object_of(line, MOST_VALUES);
    object.map_err(|error| {
        // Of a file, the one line is not what has lines.
        let why = error
            .detail()
            .trim_start_matches("The body ")
            .trim_end_matches('.')
            .replace(" at line 1 column ", " at column ");
        wrong(format!("Line {number} can't be read: it {why}."))
    })
}

fn finish(number: u64, end: Map<String, Value>, resources: u64, hash: Sha256) -> Result<End> {
    let end: End =
        serde_json::from_value(Value::Object(end)).map_err(|cause| wrong(format!("Line {number}: {cause}.")))?;
    if end.resources != resources {
        let detail = format!("Line {number}: {} resources were exported, and {resources} stand here.", end.resources);
        return Err(wrong(detail));
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    match &end.sha256 {
        Some(told) if !told.eq_ignore_ascii_case(&found) => Err(wrong(format!(
            "Line {number}: the lines before it are not those that were exported (their SHA-256 is another one); whoever \
             has changed them on purpose takes `sha256` out of this line."
        ))),
        _ => Ok(end),
    }
}

fn nothing_follows(lines: &mut Lines<impl BufRead>) -> Result<()> {
    match lines.next()? {
        Some(_) => Err(wrong(format!("Line {}: something follows the end of the export.", lines.number))),
        None => Ok(()),
    }
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::InvalidSyntax, format!("{what} Nothing is imported."))
}

/// What the file says twice: by the digest of what may stand in it once, the line where it does.
#[derive(Default)]
pub(super) struct Seen(HashMap<[u8; 16], u64>);

impl Seen {
    /// The line where the same stands already; otherwise it is noted for this one.
    pub(super) fn earlier(&mut self, parts: &[&str], line: u64) -> Option<u64> {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.finalize()[..16]);
        match self.0.entry(digest) {
            std::collections::hash_map::Entry::Occupied(entry) => Some(*entry.get()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(line);
                None
            }
        }
    }
}
