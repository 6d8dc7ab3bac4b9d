//! A tenant's resources as a file ([`super::transfer`]): as they are, or as they were at a time.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Provider;
use super::history::Past;
use super::history::many::each_past;
use super::relations::Relations;
use super::transfer::{Deleted, End, FORMAT, Header, Record, Unseen, VERSION};
use crate::scim::resource::{Document, is_unassigned};
use crate::scim::schema::{Attribute, Registry, ResourceType, Returned, Role};
use crate::scim::withheld::divide;
use crate::scim::{Error, ErrorKind, Result};
use crate::store::audit::MASK;
use crate::store::resources::StoredResource;
use crate::store::tenants::Tenant;
use crate::store::{Connection, Reach, load, tenants, whole};

/// What of a tenant to export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Export {
    /// The state at this time instead of the present one.
    pub at: Option<DateTime<Utc>>,
    /// Also what is deleted, or was at that time.
    pub deleted: bool,
    /// Also the hashes of passwords, attributes that are never returned, and what no schema defines any more, which may
    /// have been such an attribute; those of the past are not known.
    pub password_hashes: bool,
}

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many resources have been looked at.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

/// How many resources are in memory at once.
const CHUNK: usize = 50;

/// How much of the file is handed over at once.
const PIECE: usize = 64 * 1024;

impl Provider {
    /// Hands the file over piece by piece, all of it of one moment; how many resources stand in it. Whatever takes the
    /// pieces holds a connection while it does.
    ///
    /// # Errors
    /// `Busy` while other exports have all the turns; `Unavailable` if there is something of a type that is not served, or
    /// if the data is kept for other schemas; a time in the future; those of `take`; database failures.
    pub async fn export(
        &self,
        tenant: Tenant,
        export: Export,
        take: impl FnMut(Vec<u8>, Progress) -> Result<()> + Send + 'static,
    ) -> Result<u64> {
        let now = self.now();
        if export.at.is_some_and(|at| at > now) {
            return Err(Error::new(ErrorKind::InvalidValue, "The time to export is in the future."));
        }
        if export.at.is_some() && export.password_hashes {
            let detail = "Which passwords there were at a time is not known; export it without their hashes.";
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        }
        let busy = || Error::new(ErrorKind::Busy, "Other exports are under way; please try again shortly.");
        let turn = self.export_turns.clone().try_acquire_owned().map_err(|_| busy())?;
        let registry = self.registry;
        let read = move |connection: &mut Connection| {
            let _turn = turn;
            load::take_time(connection)?;
            let header = header(registry, &tenant, export, now);
            let tenant_id = tenant.tenant_id;
            Writing { export, tenant_id, registry, out: Output::new(take) }.run(connection, &header)
        };
        self.store.read(Reach::Scan, read).await
    }
}

/// How many exports run at once, with so many connections: each has one for as long as its reader takes. Half of them are
/// left to others, as far as there are two.
pub(super) fn at_once(connections: u32) -> usize {
    (connections / 2).clamp(1, 2) as usize
}

fn header(registry: &Registry, tenant: &Tenant, export: Export, now: DateTime<Utc>) -> Header {
    let schemas = registry.resource_types().iter().map(|resource_type| {
        (resource_type.name.clone(), resource_type.urns().map(|schema| schema.id.clone()).collect())
    });
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        tenant: Some(tenant.name.clone()),
        exported: Some(now),
        at: export.at,
        settings: export.at.is_none().then_some(tenant.settings),
        schemas: schemas.collect(),
    }
}

/// A file on its way out.
struct Writing<T> {
    export: Export,
    tenant_id: i64,
    registry: &'static Registry,
    out: Output<T>,
}

impl<T: FnMut(Vec<u8>, Progress) -> Result<()>> Writing<T> {
    fn run(mut self, connection: &mut Connection, header: &Header) -> Result<u64> {
        let types: Vec<&str> = self.registry.resource_types().iter().map(|found| found.name.as_str()).collect();
        // What is deleted by now may have been there at that time.
        let with_buried = self.export.deleted || self.export.at.is_some();
        self.check_types(connection, &types, with_buried)?;
        // Whoever knows other schemas does not know what is a secret.
        tenants::check_forms(connection, self.registry)?;
        self.out.line(&serde_json::to_string(header).map_err(Error::internal)?)?;
        let row_ids = whole::row_ids(connection, self.tenant_id, &types, with_buried)?;
        self.out.progress.total = row_ids.len() as u64;
        for chunk in row_ids.chunks(CHUNK) {
            let resources = whole::load(connection, chunk)?;
            match self.export.at {
                Some(at) => self.write_past(connection, resources, at)?,
                None => self.write_present(connection, chunk, resources)?,
            }
            self.out.progress.done += chunk.len() as u64;
        }
        self.out.finish()
    }

    /// What is not served would be missing, and nobody would notice.
    fn check_types(&self, connection: &mut Connection, types: &[&str], with_buried: bool) -> Result<()> {
        let there = whole::types(connection, self.tenant_id, with_buried)?;
        let Some(missing) = there.iter().find(|name| !types.contains(&name.as_str())) else { return Ok(()) };
        let detail = format!(
            "There are resources of the type {missing}, which this process does not serve; export with the schemas of the \
             server (`--schemas`)."
        );
        Err(Error::new(ErrorKind::Unavailable, detail))
    }

    fn write_present(
        &mut self,
        connection: &mut Connection,
        row_ids: &[i64],
        resources: Vec<StoredResource>,
    ) -> Result<()> {
        let mut withheld = whole::withheld(connection, row_ids)?;
        let mut hashes = match self.export.password_hashes {
            true => whole::password_hashes(connection, row_ids)?,
            false => HashMap::new(),
        };
        for mut stored in resources {
            let (row_id, is_live) = (stored.row_id, stored.deleted.is_none());
            let resource_type = self.resource_type(&stored)?;
            let mut withheld = withheld.remove(&row_id).unwrap_or_default();
            if !self.export.password_hashes {
                // Before the first start of a server what is stored may be of other schemas than ours.
                let is_curtailed = curtail(resource_type, &mut stored.document, is_secret);
                self.out.curtailed += u64::from(is_curtailed || !withheld.is_empty());
                withheld.clear();
            }
            let has_members = resource_type.attribute_in_role(Role::Members).is_some();
            let members = match has_members && is_live {
                true => whole::member_ids(connection, row_id)?,
                false => Vec::new(),
            };
            let waiting = match has_members && !is_live {
                true => whole::unresolved_ids(connection, row_id)?,
                false => Vec::new(),
            };
            let unseen = Unseen {
                name: stored.name.clone(),
                deleted: deleted(connection, self.tenant_id, &stored, None, waiting)?,
                withheld,
                password_hash: hashes.remove(&row_id),
            };
            self.out.record(&record(resource_type, stored, members, unseen))?;
        }
        Ok(())
    }

    fn write_past(
        &mut self,
        connection: &mut Connection,
        resources: Vec<StoredResource>,
        at: DateTime<Utc>,
    ) -> Result<()> {
        each_past(connection, self.tenant_id, resources, at, |connection, past| {
            let Past { mut stored, members } = past;
            if stored.deleted.is_some() && !self.export.deleted {
                return Ok(());
            }
            let resource_type = self.resource_type(&stored)?;
            // The history has a mask in the place of what was secret then.
            let is_unknown = |attribute: &Attribute, value: &Value| is_secret(attribute, value) || value == MASK;
            let is_curtailed = curtail(resource_type, &mut stored.document, is_unknown);
            self.out.curtailed += u64::from(is_curtailed);
            let deleted = deleted(connection, self.tenant_id, &stored, Some(at), Vec::new())?;
            let unseen = Unseen { deleted, ..Unseen::default() };
            self.out.record(&record(resource_type, stored, members.into_iter().collect(), unseen))
        })
    }

    fn resource_type(&self, stored: &StoredResource) -> Result<&'static ResourceType> {
        let found = self.registry.resource_type(&stored.resource_type);
        found.ok_or_else(|| Error::internal("only resources of types that are served were asked for"))
    }
}

fn record(
    resource_type: &'static ResourceType,
    stored: StoredResource,
    members: Vec<String>,
    unseen: Unseen,
) -> Record {
    let StoredResource { id, document, meta, .. } = stored;
    Record { resource_type, id, document, meta, members, unseen }
}

/// How a resource was deleted, if it is, with what the history says that the deletion took away: the last one, or the
/// last one until a time.
fn deleted(
    connection: &mut Connection,
    tenant_id: i64,
    stored: &StoredResource,
    until: Option<DateTime<Utc>>,
    waiting: Vec<String>,
) -> Result<Option<Deleted>> {
    let Some((at, by)) = stored.deleted.clone() else { return Ok(None) };
    let relations = Relations::of(connection, tenant_id, &stored.resource_type, &stored.id, until)?;
    let reports = relations.all_reports().cloned().collect();
    let Relations { groups, members, .. } = relations;
    Ok(Some(Deleted { at, by, groups, members, reports, waiting }))
}

/// What is never returned.
fn is_secret(attribute: &Attribute, _: &Value) -> bool {
    attribute.returned == Returned::Never
}

/// Takes out what no schema defines, and the values, also within others, that are to go; whether there was any.
fn curtail(
    resource_type: &'static ResourceType,
    document: &mut Document,
    goes: impl Fn(&Attribute, &Value) -> bool,
) -> bool {
    let (defined, undefined) = divide(resource_type, std::mem::take(document), Map::new());
    *document = defined;
    let mut is_curtailed = !undefined.is_empty();
    for attribute in resource_type.stored_attributes() {
        let Some(value) = document.get_mut(attribute) else { continue };
        if goes(attribute.attribute, value) {
            document.remove(attribute);
            is_curtailed = true;
            continue;
        }
        if take_parts(attribute.attribute, value, &goes) {
            is_curtailed = true;
            if is_unassigned(value) {
                document.remove(attribute);
            }
        }
    }
    is_curtailed
}

fn take_parts(attribute: &Attribute, value: &mut Value, goes: impl Fn(&Attribute, &Value) -> bool) -> bool {
    let mut are_taken = false;
    let elements = match &mut *value {
        Value::Array(elements) => elements.as_mut_slice(),
        element => std::slice::from_mut(element),
    };
    for parts in elements.iter_mut().filter_map(Value::as_object_mut) {
        for part in &attribute.sub_attributes {
            if parts.get(&part.name).is_some_and(|value| goes(part, value)) {
                parts.shift_remove(&part.name);
                are_taken = true;
            }
        }
    }
    if let Value::Array(elements) = value
        && are_taken
    {
        elements.retain(|element| !is_unassigned(element));
    }
    are_taken
}

/// What goes out, in pieces, with what the last line has to say of it.
struct Output<T> {
    take: T,
    waiting: Vec<u8>,
    hash: Sha256,
    resources: u64,
    curtailed: u64,
    progress: Progress,
}

impl<T: FnMut(Vec<u8>, Progress) -> Result<()>> Output<T> {
    fn new(take: T) -> Output<T> {
        let progress = Progress { done: 0, total: 0 };
        Output { take, waiting: Vec::new(), hash: Sha256::new(), resources: 0, curtailed: 0, progress }
    }

    fn record(&mut self, record: &Record) -> Result<()> {
        self.resources += 1;
        self.line(&record.to_json())
    }

    fn line(&mut self, text: &str) -> Result<()> {
        for bytes in [text.as_bytes(), b"\n"] {
            self.hash.update(bytes);
            self.waiting.extend_from_slice(bytes);
        }
        if self.waiting.len() < PIECE {
            return Ok(());
        }
        (self.take)(std::mem::take(&mut self.waiting), self.progress)
    }

    /// Writes the last line; how many resources there were.
    fn finish(&mut self) -> Result<u64> {
        let sha256 = self.hash.finalize_reset().iter().map(|byte| format!("{byte:02x}")).collect();
        let end = End { end: true, resources: self.resources, curtailed: self.curtailed, sha256: Some(sha256) };
        self.waiting.extend(serde_json::to_vec(&end).map_err(Error::internal)?);
        self.waiting.push(b'\n');
        (self.take)(std::mem::take(&mut self.waiting), self.progress)?;
        Ok(self.resources)
    }
}
