//! An export brought into a tenant: every resource under its id, with its times and its version, all or nothing.
//!
//! The file is read twice. The first time nothing is written: whatever is wrong with it, or in the way of it, is told line
//! by line. The second time one transaction stores everything, in batches. On SQLite that keeps the one writer busy;
//! whoever writes meanwhile waits, and whoever reads does not.

mod columns;
mod headings;
mod outcome;
mod reading;
mod spool;
mod users;

use std::collections::{BTreeSet, HashMap};
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use self::columns::Titles;
pub use self::outcome::{Outcome, Problem};
use self::reading::{Line, Seen, each_line};
pub use self::spool::Spool;
pub use self::users::{MAX_TABLE, Table};
use super::export::Progress;
use super::record::record_of_groups;
use super::transfer::{Deleted, End, Header, Record};
use super::{Call, Provider, place};
use crate::auth::is_usable_hash;
use crate::scim::schema::{GROUP_URN, Registry, ResourceType, Role};
use crate::scim::withheld::divide;
use crate::scim::{Error, ErrorKind, Result};
use crate::store::audit::{self, Changes, Operation};
use crate::store::load::{self, Arrival, Obstacle};
use crate::store::resources::Place;
use crate::store::unique::{UniqueValues, unique_key};
use crate::store::{Connection, Reach, members, tenants};

/// How many resources are stored with one batch.
const BATCH: usize = 200;

/// How many bytes of the file a batch has, a single long line aside.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

impl Provider {
    /// Brings an export into the caller's tenant, or finds out what would come of it. Nothing is imported where the outcome
    /// names problems. `progress` learns how much of the way is gone.
    ///
    /// # Errors
    /// `InvalidSyntax` with the line at which the file can't be read, or ends too early; `Uniqueness` if somebody took
    /// meanwhile what the import brings; database failures.
    pub async fn import(
        &self,
        call: Call,
        spool: Arc<Spool>,
        dry_run: bool,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Outcome> {
        let (registry, now, progress) = (self.registry, self.now(), Arc::new(progress));
        let total = 2 * spool.len();
        let checked = {
            let (spool, progress, tenant_id) = (Arc::clone(&spool), Arc::clone(&progress), call.caller.tenant_id);
            let told = move |done| progress(Progress { done, total });
            let check = move |connection: &mut Connection| {
                Check::new(connection, tenant_id, registry)?.run(connection, &spool, now, &told)
            };
            self.store.read(Reach::Scan, check).await?
        };
        if !checked.problems.is_empty() {
            return Ok(Outcome { dry_run, ..checked });
        }
        let told = move |done| progress(Progress { done: total / 2 + done, total });
        let write = move |connection: &mut Connection| {
            let created = Writing::new(connection, call.clone(), registry, now)?.run(connection, &spool, &told)?;
            Ok((created, !dry_run))
        };
        let (created, imported) = self.write_if(write).await.map_err(taken_meanwhile)?;
        Ok(Outcome { imported, dry_run, created, ..checked })
    }

    /// Does the work, and keeps it where it says so itself; what came of it, and whether it is kept.
    async fn write_if<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut Connection) -> Result<(T, bool)> + Send + 'static,
    ) -> Result<(T, bool)> {
        let outcome = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&outcome);
        let written = self.store.write(move |connection| {
            let (done, keep) = work(connection)?;
            if keep {
                return Ok(done);
            }
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
            // What fails is taken back.
            Err(Error::new(ErrorKind::PreconditionFailed, "This is not to be kept."))
        });
        let written = written.await;
        let undone = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (written, undone) {
            (Ok(done), _) => Ok((done, true)),
            (Err(error), Some(done)) if error.kind() == ErrorKind::PreconditionFailed => Ok((done, false)),
            (Err(error), _) => Err(error),
        }
    }
}

fn taken_meanwhile(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Uniqueness => {
            let detail =
                format!("Somebody took meanwhile what the import brings; nothing is imported. {}", error.detail());
            Error::new(ErrorKind::Uniqueness, detail)
        }
        _ => error,
    }
}

/// The place of each resource type, by its name.
type Places = HashMap<&'static str, Place>;

fn places(connection: &mut Connection, tenant_id: i64, registry: &'static Registry) -> Result<Places> {
    let types = registry.resource_types().iter();
    types.map(|found| Ok((found.name.as_str(), place(connection, tenant_id, found)?))).collect()
}

/// What of a record is stored, where it belongs.
fn arrival(places: &Places, record: &Record) -> Result<Arrival> {
    let place = places.get(record.resource_type.name.as_str()).copied();
    let place = place.ok_or_else(|| Error::internal("every type of the registry has a place"))?;
    // What no schema defined where it comes from may be defined here.
    let (document, withheld) = divide(record.resource_type, record.document.clone(), record.unseen.withheld.clone());
    Ok(Arrival {
        place,
        id: record.id.clone(),
        document,
        meta: record.meta.clone(),
        name: record.unseen.name.clone(),
        deleted: record.unseen.deleted.as_ref().map(|deleted| (deleted.at, deleted.by.clone())),
        withheld: (!withheld.is_empty()).then(|| Value::Object(withheld).to_string()),
        // Nobody who is deleted has a password.
        password_hash: record.unseen.password_hash.clone().filter(|_| record.unseen.deleted.is_none()),
    })
}

/// The first reading.
struct Check {
    places: Places,
    registry: &'static Registry,
    seen: Seen,
    outcome: Outcome,
    waiting: Vec<(u64, Arrival)>,
    bytes: usize,
    /// Whether two groups would clash.
    groups_clash: bool,
}

impl Check {
    fn new(connection: &mut Connection, tenant_id: i64, registry: &'static Registry) -> Result<Check> {
        let places = settings_places(connection, tenant_id, registry)?;
        let (seen, outcome) = (Seen::default(), Outcome::default());
        Ok(Check { places, registry, seen, outcome, waiting: Vec::new(), bytes: 0, groups_clash: false })
    }

    fn run(
        mut self,
        connection: &mut Connection,
        spool: &Spool,
        now: DateTime<Utc>,
        told: &impl Fn(u64),
    ) -> Result<Outcome> {
        let (header, end) = each_line(spool, self.registry, now, |line| {
            told(line.read);
            self.bytes += line.length;
            self.line(line)?;
            let has_room = self.waiting.len() < BATCH && self.bytes < BATCH_BYTES;
            if has_room { Ok(()) } else { self.look(connection) }
        })?;
        self.look(connection)?;
        self.hint(&header, &end);
        self.outcome.problems.sort_by_key(|problem| problem.line);
        Ok(self.outcome)
    }

    fn line(&mut self, line: Line) -> Result<()> {
        let record = match line.record {
            Ok(record) => record,
            Err(reason) => {
                self.outcome.refuse(line.number, reason);
                return Ok(());
            }
        };
        if let Some(reason) = self.bad_hash(&record) {
            self.outcome.refuse(line.number, reason.to_owned());
        }
        let arrival = arrival(&self.places, &record)?;
        for (what, parts) in claims(&arrival) {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            if let Some(earlier) = self.seen.earlier(&parts, line.number) {
                self.groups_clash |= arrival.place.resource_type.schema.id == GROUP_URN && what != "id";
                self.outcome.refuse(line.number, format!("its {what} is that of line {earlier}"));
            }
        }
        *self.outcome.created.entry(record.resource_type.name.clone()).or_default() += 1;
        self.waiting.push((line.number, arrival));
        Ok(())
    }

    fn bad_hash(&self, record: &Record) -> Option<&'static str> {
        let hash = record.unseen.password_hash.as_deref()?;
        if record.resource_type.attribute_in_role(Role::Password).is_none() {
            return Some("it has a password hash, and this scimd keeps no passwords (`--passwords`)");
        }
        (!is_usable_hash(hash)).then_some("its password hash is none of argon2id, or costs too much to compare")
    }

    fn look(&mut self, connection: &mut Connection) -> Result<()> {
        self.bytes = 0;
        let (lines, arrivals): (Vec<u64>, Vec<Arrival>) = take(&mut self.waiting).into_iter().unzip();
        for (at, obstacle) in load::obstacles(connection, &arrivals)? {
            let arrival = &arrivals[at];
            let reason = match obstacle {
                Obstacle::Id => format!("the id `{}` is taken", arrival.id),
                Obstacle::Value(sentence) => {
                    self.groups_clash |= arrival.place.resource_type.schema.id == GROUP_URN;
                    sentence.trim_end_matches('.').to_owned()
                }
            };
            self.outcome.refuse(lines[at], reason);
        }
        Ok(())
    }

    /// The tenant that was exported may have allowed what this one does not, and the export may lack something.
    fn hint(&mut self, header: &Header, end: &End) {
        self.outcome.notes.extend(end.lack(header.at.is_some()));
        let rule = self.places.values().next().map(|place| place.settings.group_names);
        let theirs = header.settings.map(|settings| settings.group_names);
        if self.groups_clash && theirs.is_some() && theirs != rule {
            let note = "The tenant that was exported has another rule for group names; `scimd tenant set` changes the one here.";
            self.outcome.notes.push(note.to_owned());
        }
    }
}

/// As [`places`], where nothing is written: nobody is kept from changing the settings meanwhile.
fn settings_places(connection: &mut Connection, tenant_id: i64, registry: &'static Registry) -> Result<Places> {
    let tenant = tenants::find(connection, tenant_id)?;
    let tenant = tenant.ok_or_else(|| Error::new(ErrorKind::NotFound, "There is no such tenant."))?;
    let place = |found: &&'static ResourceType| {
        (found.name.as_str(), Place { tenant_id, settings: tenant.settings, resource_type: found })
    };
    Ok(registry.resource_types().iter().map(place).collect())
}

/// What may stand in a file once: what messages call it, and the texts that tell it from all others.
fn claims(arrival: &Arrival) -> Vec<(String, Vec<String>)> {
    let Place { resource_type, settings, .. } = arrival.place;
    let mut claims = vec![("id".to_owned(), vec!["id".to_owned(), arrival.id.clone()])];
    if arrival.deleted.is_some() {
        return claims;
    }
    let name = resource_type.name.as_str();
    if let Some(key) = unique_key(resource_type, &arrival.document, settings.group_names) {
        claims.push(("unique name".to_owned(), vec!["key".to_owned(), name.to_owned(), key]));
    }
    for (path, key) in UniqueValues::of(resource_type, &arrival.document).iter() {
        claims.push((path.to_owned(), vec![path.to_owned(), name.to_owned(), key.to_owned()]));
    }
    claims
}

/// The second reading, within the transaction.
struct Writing {
    call: Call,
    registry: &'static Registry,
    places: Places,
    now: DateTime<Utc>,
    waiting: Vec<Record>,
    bytes: usize,
    /// The rows of everything that is live, and of groups among them.
    rows: Vec<i64>,
    groups: Vec<i64>,
    /// The types of what is live.
    types: BTreeSet<&'static str>,
    created: outcome::Counts,
}

impl Writing {
    fn new(
        connection: &mut Connection,
        call: Call,
        registry: &'static Registry,
        now: DateTime<Utc>,
    ) -> Result<Writing> {
        load::begin(connection, call.caller.tenant_id)?;
        let places = places(connection, call.caller.tenant_id, registry)?;
        Ok(Writing {
            call,
            registry,
            places,
            now,
            waiting: Vec::new(),
            bytes: 0,
            rows: Vec::new(),
            groups: Vec::new(),
            types: BTreeSet::new(),
            created: outcome::Counts::new(),
        })
    }

    fn run(mut self, connection: &mut Connection, spool: &Spool, told: &impl Fn(u64)) -> Result<outcome::Counts> {
        each_line(spool, self.registry, self.now, |line| {
            let record = line.record.map_err(|reason| {
                Error::new(ErrorKind::InvalidValue, format!("Line {}: {reason}. Nothing is imported.", line.number))
            })?;
            self.waiting.push(record);
            self.bytes += line.length;
            if self.waiting.len() < BATCH && self.bytes < BATCH_BYTES {
                return Ok(());
            }
            self.store(connection)?;
            told(line.read);
            Ok(())
        })?;
        self.store(connection)?;
        let places = self.types.iter().filter_map(|name| self.places.get(name));
        places.copied().try_for_each(|place| load::hold_to_limit(connection, place))?;
        self.join(connection)?;
        Ok(self.created)
    }

    fn store(&mut self, connection: &mut Connection) -> Result<()> {
        self.bytes = 0;
        let records = take(&mut self.waiting);
        let arrivals = records.iter().map(|record| arrival(&self.places, record)).collect::<Result<Vec<Arrival>>>()?;
        let row_ids = load::insert(connection, &arrivals)?;
        for (record, row_id) in records.iter().zip(&row_ids) {
            let named = match &record.unseen.deleted {
                None => &record.members,
                Some(deleted) => &deleted.waiting,
            };
            load::name_members(connection, named.iter().map(|id| (*row_id, id.as_str())))?;
            if record.unseen.deleted.is_none() {
                self.rows.push(*row_id);
                self.types.insert(&record.resource_type.name);
                self.groups.extend((!named.is_empty()).then_some(*row_id));
            }
            *self.created.entry(record.resource_type.name.clone()).or_default() += 1;
        }
        self.record(connection, &records, &arrivals)
    }

    fn record(&self, connection: &mut Connection, records: &[Record], arrivals: &[Arrival]) -> Result<()> {
        let mut changes = Vec::with_capacity(records.len());
        for (record, arrival) in records.iter().zip(arrivals) {
            let made = Changes::of(record.resource_type, None, Some(&arrival.document))
                .with_password(arrival.password_hash.is_some());
            let deleted = record.unseen.deleted.as_ref().map(|Deleted { groups, members, reports, .. }| {
                Changes::default().with_relations(groups, members, reports)
            });
            changes.push((made.with_members(&record.members, &[]), deleted));
        }
        let all = || records.iter().zip(&changes);
        let live = all().filter(|(record, _)| record.unseen.deleted.is_none());
        let live = live.map(|(record, (made, _))| self.entry(record, Operation::Import, made));
        audit::append_all(connection, &live.collect::<Vec<_>>())?;
        // Nobody is told of what is not there.
        let buried = all().filter_map(|(record, (made, deleted))| Some((record, made, deleted.as_ref()?)));
        let buried = buried.flat_map(|(record, made, deleted)| {
            [self.entry(record, Operation::Import, made), self.entry(record, Operation::Delete, deleted)]
        });
        audit::append_silent(connection, &buried.collect::<Vec<_>>())
    }

    fn entry<'a>(&'a self, record: &'a Record, operation: Operation, changes: &'a Changes) -> audit::Record<'a> {
        audit::Record {
            tenant_id: self.call.caller.tenant_id,
            at: self.now,
            caller: &self.call.caller.key_id,
            request_id: &self.call.request_id,
            operation,
            resource_type: &record.resource_type.name,
            resource_id: &record.id,
            version: record.meta.version,
            changes,
        }
    }

    /// Makes members of what groups name: those that came, and those that have been waiting for what came.
    fn join(&self, connection: &mut Connection) -> Result<()> {
        let tenant_id = self.call.caller.tenant_id;
        load::join(connection, tenant_id, &self.types_of_members(), &self.groups)?;
        for (id, row_id) in load::awaited(connection, tenant_id, &self.rows)? {
            let groups = members::resolve_pending(connection, tenant_id, &id, row_id)?;
            let groups = load::ids(connection, &groups)?;
            record_of_groups(connection, &self.call, Operation::Join, &groups, &id, self.now)?;
        }
        Ok(())
    }

    fn types_of_members(&self) -> Vec<&'static str> {
        let types = self.registry.resource_types().iter();
        let members = types.filter_map(|found| found.attribute_in_role(Role::Members)?.sub_attribute("$ref"));
        members.flat_map(|reference| reference.reference_types.iter().map(String::as_str)).collect()
    }
}
