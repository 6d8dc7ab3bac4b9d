//! Users from a table (CSV), for a start without an identity provider: a line for each, all or nothing.
//!
//! It is read within the one transaction that makes the users, so that every line is held against what is there and what
//! the lines before it have made. If a line is wrong, the others are still looked at, and nothing is kept. Where one is refused
//! only when it is written, all are read a second time for that.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Read};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use csv::ByteRecord;
use serde_json::{Map, Value, json};

use super::columns::{self, Column, Meaning, Titles, Unclear, short};
use super::outcome::Outcome;
use super::reading::Seen;
use super::spool::Spool;
use crate::provider::create::{self, Creation};
use crate::provider::credential::Hashed;
use crate::provider::export::Progress;
use crate::provider::modify::Modification;
use crate::provider::record::GROUP;
use crate::provider::{Call, Provider, Target, place};
use crate::scim::key::Key;
use crate::scim::message::PATCH_OP;
use crate::scim::patch::Budget;
use crate::scim::resource::Document;
use crate::scim::schema::{GROUP_URN, Resolved, ResourceType, USER_URN};
use crate::scim::version::Preconditions;
use crate::scim::{Error, ErrorKind, Result};
use crate::store::resources::{self, Place, StoredResource};
use crate::store::{Connection, load};

/// How to read a table of users, and what to do with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// What stands between two cells; by the first line, if nothing is said.
    pub delimiter: Option<u8>,
    /// Which attributes titles mean instead of those that they name.
    pub titles: Titles,
    /// Whether users who are there get what the line says of them; otherwise they are passed over.
    pub update: bool,
    /// Whether groups that are missing are made.
    pub create_groups: bool,
    /// Whether only to find out what would come of it.
    pub dry_run: bool,
}

/// The most bytes that a table may have: a line of it is in memory as a whole, and nothing else bounds a line.
pub const MAX_TABLE: u64 = 256 * 1024 * 1024;

/// The most columns that a table may have: more than attributes.
const MOST_COLUMNS: usize = 1_000;

/// The most characters that a title may have: more than any attribute. What is said of a column repeats it.
const LONGEST_TITLE: usize = 1_000;

impl Provider {
    /// Makes the users of a table in the caller's tenant, or finds out what would come of it. Nothing is imported where the
    /// outcome names problems.
    ///
    /// # Errors
    /// `InvalidValue` for a table without titles, one that is no UTF-8, or with a quotation mark that nothing closes;
    /// `TooLarge` above [`MAX_TABLE`]; database failures.
    pub async fn import_users(
        &self,
        call: Call,
        spool: Arc<Spool>,
        table: Table,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Outcome> {
        let (now, dry_run) = (self.now(), table.dry_run);
        let (table, progress) = (Arc::new(table), Arc::new(progress));
        let total = spool.len();
        if total > MAX_TABLE {
            let detail = format!("A table of users has at most {MAX_TABLE} bytes; import it in parts.");
            return Err(Error::new(ErrorKind::TooLarge, detail));
        }
        let reading = |goes_on: bool| {
            let (provider, spool, call) = (self.clone(), Arc::clone(&spool), call.clone());
            let (table, progress) = (Arc::clone(&table), Arc::clone(&progress));
            move |connection: &mut Connection| {
                load::begin(connection, call.caller.tenant_id)?;
                let met = Cell::new(false);
                let refusal = if goes_on { Refusal::IsUndone } else { Refusal::EndsAll(&met) };
                let people = People::new(connection, &provider, call.clone(), Arc::clone(&table), now, refusal)?;
                let outcome = match people.run(connection, &spool, &|done| progress(Progress { done, total })) {
                    Err(_) if met.get() => return Ok((None, false)),
                    outcome => outcome?,
                };
                let keep = !dry_run && outcome.problems.is_empty();
                Ok((Some(outcome), keep))
            }
        };
        for goes_on in [false, true] {
            if let (Some(outcome), kept) = self.write_if(reading(goes_on)).await? {
                return Ok(Outcome { imported: kept, dry_run, ..outcome });
            }
        }
        Err(Error::internal("a table that is read line by line has ended before its end"))
    }
}

/// What becomes of a line whose user or group is refused when it is written.
#[derive(Clone, Copy)]
enum Refusal<'a> {
    /// It is undone alone, so that the others can be looked at. That takes a savepoint for each line, of which PostgreSQL goes
    /// through all again and again.
    IsUndone,
    /// Nothing more is looked at, and it is noted here. Most tables have no such line.
    EndsAll(&'a Cell<bool>),
}

/// Why a line is not taken, or the whole table.
enum Trouble {
    /// The column, if it is known, and what is wrong.
    Line(Option<String>, String),
    Whole(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error.kind().is_the_callers() {
            true => Trouble::Line(None, error.detail().trim_end_matches('.').to_owned()),
            false => Trouble::Whole(error),
        }
    }
}

type Outlook<T> = std::result::Result<T, Trouble>;

/// The users of a table on their way in.
struct People<'a> {
    provider: &'a Provider,
    call: Call,
    table: Arc<Table>,
    now: DateTime<Utc>,
    users: Place,
    groups: Option<Place>,
    outcome: Outcome,
    seen: Seen,
    /// Whose manager stands further down.
    later: Vec<Waiting>,
    /// Who comes into which group, and the first line that names it.
    memberships: BTreeMap<Group, (u64, Vec<String>)>,
    /// The groups by the names that the table has for them.
    known_groups: HashMap<String, std::result::Result<Group, String>>,
    refusal: Refusal<'a>,
}

/// A user whose manager stands further down.
struct Waiting {
    line: u64,
    user: Counted,
    /// What the cell says.
    manager: String,
}

/// A user of whom a line has told.
struct Counted {
    id: String,
    /// Whether the outcome has counted it, as new or as changed.
    is_counted: bool,
}

/// A group as a table names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    There(String),
    ToBeMade(String),
}

impl<'a> People<'a> {
    fn new(
        connection: &mut Connection,
        provider: &'a Provider,
        call: Call,
        table: Arc<Table>,
        now: DateTime<Utc>,
        refusal: Refusal<'a>,
    ) -> Result<People<'a>> {
        let types = provider.registry().resource_types();
        let of_schema = |urn: &str| types.iter().copied().find(|found| found.schema.id == urn);
        let users = of_schema(USER_URN).ok_or_else(|| refused("This scimd serves no users.".to_owned()))?;
        let users = place(connection, call.caller.tenant_id, users)?;
        let groups = of_schema(GROUP_URN).map(|groups| place(connection, call.caller.tenant_id, groups)).transpose()?;
        Ok(People {
            provider,
            call,
            table,
            now,
            users,
            groups,
            outcome: Outcome::default(),
            seen: Seen::default(),
            later: Vec::new(),
            memberships: BTreeMap::new(),
            known_groups: HashMap::new(),
            refusal,
        })
    }

    fn run(mut self, connection: &mut Connection, spool: &Spool, told: &impl Fn(u64)) -> Result<Outcome> {
        let mut reader = reader(spool, self.table.delimiter)?;
        let mut line = ByteRecord::new();
        if !read(&mut reader, &mut line)? {
            return Err(refused("Line 1: the titles of the columns are missing. Nothing is imported.".to_owned()));
        }
        let number = first_line_of(&line, reader.position());
        let titles = cells(number, &line)?;
        if titles.first().is_some_and(|title| title.starts_with('{')) {
            let detail = "Line 1: this is JSON and no table; an export of scimd is imported without `--csv`. Nothing is imported.";
            return Err(refused(detail.to_owned()));
        }
        if titles.len() > MOST_COLUMNS {
            let detail =
                format!("Line {number}: a table of users has at most {MOST_COLUMNS} columns. Nothing is imported.");
            return Err(refused(detail));
        }
        if let Some(at) = titles.iter().position(|title| title.chars().nth(LONGEST_TITLE).is_some()) {
            let detail = format!(
                "Line {number}: the title of column {} has more than {LONGEST_TITLE} characters. Nothing is imported.",
                at + 1
            );
            return Err(refused(detail));
        }
        let columns = match columns::columns(self.users.resource_type, &titles, &self.table.titles) {
            Ok(columns) => columns,
            Err(Unclear { problems, advice }) => {
                problems.into_iter().for_each(|(title, why)| self.outcome.refuse_column(number, title, why));
                self.outcome.notes.extend(advice);
                return Ok(self.outcome);
            }
        };
        let width = titles.len();
        let mut line = ByteRecord::new();
        while read(&mut reader, &mut line)? {
            told(line.position().map_or(0, csv::Position::byte));
            let number = first_line_of(&line, reader.position());
            let cells = cells(number, &line)?;
            // Spreadsheets leave such lines at the end.
            if cells.iter().all(|cell| cell.is_empty()) {
                continue;
            }
            let said = Said::of(&cells, width, &columns);
            match said.and_then(|said| self.user(connection, number, &columns, said)) {
                Ok(()) => {}
                Err(Trouble::Line(column, reason)) => self.outcome.refuse_column(number, column, reason),
                Err(Trouble::Whole(error)) => return Err(error),
            }
        }
        self.assign_managers(connection, &columns)?;
        self.join(connection, &columns)?;
        self.outcome.problems.sort_by_key(|problem| problem.line);
        Ok(self.outcome)
    }

    fn user(&mut self, connection: &mut Connection, number: u64, columns: &[Column], said: Said<'_>) -> Outlook<()> {
        let name = said.user_name()?;
        if let Some(earlier) = self.seen.earlier(&[&Key::folded(&name).into_string()], number) {
            return Err(Trouble::Line(
                said.title_of("userName"),
                format!("`{}` stands in line {earlier} already", short(&name)),
            ));
        }
        let known = self.find_user_name(connection, &name)?;
        if known.is_some() && !self.table.update {
            let reason = format!("`{}` is there already", short(&name));
            self.outcome.pass_over(number, said.title_of("userName"), reason);
            return Ok(());
        }
        let manager = match &said.manager {
            Some(named) => self.find_user(connection, named)?.map(|manager| manager.id),
            None => None,
        };
        let groups = said.groups.iter().map(|name| self.group(connection, name));
        let groups = groups.collect::<Result<Vec<_>>>()?;
        let groups: std::result::Result<Vec<Group>, String> = groups.into_iter().collect();
        let groups = groups.map_err(|reason| Trouble::Line(title(columns, &Meaning::Groups), reason))?;
        let user = match known {
            Some(stored) => self.update(connection, &said, stored, manager.as_deref()),
            None => self.create(connection, &said, manager.as_deref()),
        };
        let user = user.map_err(|trouble| said.locate(trouble))?;
        for group in groups {
            self.memberships.entry(group).or_insert((number, Vec::new())).1.push(user.id.clone());
        }
        if let (Some(named), None) = (said.manager, manager) {
            self.later.push(Waiting { line: number, user, manager: named });
        }
        Ok(())
    }

    fn create(&mut self, connection: &mut Connection, said: &Said<'_>, manager: Option<&str>) -> Outlook<Counted> {
        let mut body = Map::from_iter([("schemas".to_owned(), json!([USER_URN]))]);
        for (place, values) in &said.values {
            place.put(&mut body, values.clone());
        }
        if let (Some(reference), Some(id)) = (self.users.resource_type.reference(), manager) {
            body.insert(reference.to_string(), json!({"value": id}));
        }
        let creation = self.creation(self.users.resource_type, &body)?;
        let stored = self.write(connection, |connection| creation.insert(connection, &self.call))?;
        *self.outcome.created.entry(stored.resource_type.clone()).or_default() += 1;
        Ok(Counted { id: stored.id, is_counted: true })
    }

    /// Writes what a line says.
    fn write<T>(&self, connection: &mut Connection, work: impl FnOnce(&mut Connection) -> Result<T>) -> Outlook<T> {
        match self.refusal {
            Refusal::IsUndone => Ok(connection.savepoint(work)?),
            Refusal::EndsAll(met) => work(connection).map_err(|error| {
                met.set(error.kind().is_the_callers());
                Trouble::Whole(error)
            }),
        }
    }

    fn creation(&self, resource_type: &'static ResourceType, body: &Map<String, Value>) -> Result<Creation> {
        let accepted = create::accept(&self.call, resource_type, body)?;
        Creation::of(&self.call, resource_type, accepted, Hashed::default(), self.now)
    }

    fn update(
        &mut self,
        connection: &mut Connection,
        said: &Said<'_>,
        stored: StoredResource,
        manager: Option<&str>,
    ) -> Outlook<Counted> {
        let others = said.values.iter().filter(|(place, _)| !place.is_user_name());
        let mut operations: Vec<Value> = others.flat_map(|(place, values)| place.operations(values.clone())).collect();
        operations.extend(manager.and_then(|id| Some(assignment(self.users.resource_type.reference()?, id))));
        let is_changed = self.modify(connection, self.users.resource_type, &stored, operations)?;
        if is_changed {
            self.count_change(&stored);
        }
        Ok(Counted { id: stored.id, is_counted: is_changed })
    }

    fn count_change(&mut self, stored: &StoredResource) {
        *self.outcome.updated.entry(stored.resource_type.clone()).or_default() += 1;
    }

    /// Whether it changes anything.
    fn modify(
        &self,
        connection: &mut Connection,
        resource_type: &'static ResourceType,
        stored: &StoredResource,
        operations: Vec<Value>,
    ) -> Outlook<bool> {
        if operations.is_empty() {
            return Ok(false);
        }
        let target = Target { resource_type, id: stored.id.clone(), preconditions: Preconditions::default() };
        let message = Map::from_iter([
            ("schemas".to_owned(), json!([PATCH_OP])),
            ("Operations".to_owned(), Value::Array(operations)),
        ]);
        let modification = Modification::parse(&self.call, target, &message)?;
        let (provider, call, now) = (self.provider, &self.call, self.now);
        let make =
            |connection: &mut Connection| modification.make(provider, connection, call, &mut Budget::full(), now);
        Ok(self.write(connection, make)?.meta.version != stored.meta.version)
    }

    /// The live user of this id, or else of this userName.
    fn find_user(&self, connection: &mut Connection, named: &str) -> Result<Option<StoredResource>> {
        let Place { tenant_id, resource_type, .. } = self.users;
        match resources::find(connection, tenant_id, &resource_type.name, named)? {
            Some(user) => Ok(Some(user)),
            None => self.find_user_name(connection, named),
        }
    }

    fn find_user_name(&self, connection: &mut Connection, name: &str) -> Result<Option<StoredResource>> {
        let named = Document::of_members(Map::from_iter([("userName".to_owned(), json!(name))]));
        resources::find_holder(connection, self.users, &named)
    }

    /// The group of this name, or why there is none to come into.
    fn group(&mut self, connection: &mut Connection, name: &str) -> Result<std::result::Result<Group, String>> {
        let key = Key::folded(name).into_string();
        if let Some(known) = self.known_groups.get(&key) {
            return Ok(known.clone());
        }
        let Some(Place { tenant_id, resource_type, .. }) = self.groups else {
            return Ok(Err("this scimd serves no groups".to_owned()));
        };
        let found = match &load::groups_named(connection, tenant_id, &resource_type.name, &key)?[..] {
            [id] => Ok(Group::There(id.clone())),
            [] if self.table.create_groups => Ok(Group::ToBeMade(name.to_owned())),
            [] => Err(format!("there is no group `{}`; `--create-groups` makes those that are missing", short(name))),
            _ => Err(format!("more than one group is named `{}`", short(name))),
        };
        self.known_groups.insert(key, found.clone());
        Ok(found)
    }

    /// Managers who stand further down than those whom they manage.
    fn assign_managers(&mut self, connection: &mut Connection, columns: &[Column]) -> Result<()> {
        let Some(reference) = self.users.resource_type.reference() else { return Ok(()) };
        let column = title(columns, &Meaning::Manager);
        for Waiting { line, user, manager } in std::mem::take(&mut self.later) {
            let assigned = self.assign(connection, reference, &user, &manager);
            self.note(line, column.clone(), assigned)?;
        }
        Ok(())
    }

    fn assign(
        &mut self,
        connection: &mut Connection,
        reference: Resolved,
        user: &Counted,
        manager: &str,
    ) -> Outlook<()> {
        let Place { tenant_id, resource_type, .. } = self.users;
        let manager = self.find_user(connection, manager)?.ok_or_else(|| {
            Trouble::Line(None, format!("there is no user with the id or userName `{}`", short(manager)))
        })?;
        let stored = resources::find(connection, tenant_id, &resource_type.name, &user.id)?;
        let stored = stored.ok_or_else(|| gone_meanwhile("the user"))?;
        let assignment = assignment(reference, &manager.id);
        if self.modify(connection, resource_type, &stored, vec![assignment])? && !user.is_counted {
            self.count_change(&stored);
        }
        Ok(())
    }

    fn join(&mut self, connection: &mut Connection, columns: &[Column]) -> Result<()> {
        let Some(place) = self.groups else { return Ok(()) };
        let column = title(columns, &Meaning::Groups);
        for (group, (line, ids)) in std::mem::take(&mut self.memberships) {
            let members: Vec<Value> = ids.into_iter().map(|id| json!({"value": id})).collect();
            let joined = match group {
                Group::There(id) => self.extend_group(connection, place, &id, members),
                Group::ToBeMade(name) => self.make_group(connection, place.resource_type, &name, members),
            };
            self.note(line, column.clone(), joined)?;
        }
        Ok(())
    }

    fn extend_group(
        &mut self,
        connection: &mut Connection,
        place: Place,
        id: &str,
        members: Vec<Value>,
    ) -> Outlook<()> {
        let group = resources::find(connection, place.tenant_id, GROUP, id)?;
        let group = group.ok_or_else(|| gone_meanwhile("a group that it names"))?;
        let add = json!({"op": "add", "path": "members", "value": members});
        if self.modify(connection, place.resource_type, &group, vec![add])? {
            self.count_change(&group);
        }
        Ok(())
    }

    fn make_group(
        &mut self,
        connection: &mut Connection,
        resource_type: &'static ResourceType,
        name: &str,
        members: Vec<Value>,
    ) -> Outlook<()> {
        let body = json!({"schemas": [GROUP_URN], "displayName": name, "members": members});
        let Value::Object(body) = body else { return Ok(()) };
        let creation = self.creation(resource_type, &body)?;
        self.write(connection, |connection| creation.insert(connection, &self.call))?;
        *self.outcome.created.entry(resource_type.name.clone()).or_default() += 1;
        Ok(())
    }

    fn note(&mut self, line: u64, column: Option<String>, outlook: Outlook<()>) -> Result<()> {
        match outlook {
            Ok(()) => Ok(()),
            Err(Trouble::Line(_, reason)) => {
                self.outcome.refuse_column(line, column, reason);
                Ok(())
            }
            Err(Trouble::Whole(error)) => Err(error),
        }
    }
}

/// A client has deleted it while the table was read.
fn gone_meanwhile(what: &str) -> Trouble {
    Trouble::Line(None, format!("{what} was deleted meanwhile"))
}

fn assignment(reference: Resolved, id: &str) -> Value {
    json!({"op": "replace", "path": reference.to_string(), "value": {"value": id}})
}

fn title(columns: &[Column], meaning: &Meaning) -> Option<String> {
    columns.iter().find(|column| column.meaning == *meaning).map(|column| column.title.clone())
}

/// What a line says; empty cells say nothing.
struct Said<'a> {
    columns: &'a [Column],
    values: Vec<(&'a columns::Place, Vec<Value>)>,
    manager: Option<String>,
    groups: Vec<String>,
}

impl<'a> Said<'a> {
    fn of(cells: &[&str], width: usize, columns: &'a [Column]) -> Outlook<Said<'a>> {
        if cells.len() != width {
            let reason = format!("it has {} cells, and there are {width} columns", cells.len());
            return Err(Trouble::Line(None, reason));
        }
        let mut said = Said { columns, values: Vec::new(), manager: None, groups: Vec::new() };
        for column in columns {
            let wrong = |reason: String| Trouble::Line(Some(column.title.clone()), reason);
            let cell = cells.get(column.at).copied().unwrap_or_default();
            if cell.is_empty() {
                continue;
            }
            match &column.meaning {
                Meaning::Value(place) => said.values.push((place, place.values(cell).map_err(wrong)?)),
                Meaning::Manager => said.manager = Some(cell.to_owned()),
                Meaning::Groups => {
                    let names = cell.split(';').map(str::trim).filter(|name| !name.is_empty());
                    said.groups = names.map(str::to_owned).collect();
                }
                Meaning::Nothing => {}
                Meaning::Untitled => {
                    let reason = format!("`{}` stands where the column has no title", short(cell));
                    return Err(Trouble::Line(None, reason));
                }
            }
        }
        Ok(said)
    }

    fn user_name(&self) -> Outlook<String> {
        let (_, values) = self.values.iter().find(|(place, _)| place.is_user_name()).ok_or_else(|| {
            Trouble::Line(self.title_of("userName"), "it is empty, and every user needs one".to_owned())
        })?;
        Ok(values.first().and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// The title of the column of an attribute.
    fn title_of(&self, attribute: &str) -> Option<String> {
        self.column_named_in(attribute)
    }

    fn column_named_in(&self, sentence: &str) -> Option<String> {
        let is_named =
            |column: &&Column| matches!(&column.meaning, Meaning::Value(place) if place.is_named_in(sentence));
        self.columns.iter().find(is_named).map(|column| column.title.clone())
    }

    /// The same trouble, with the column that its sentence is about.
    fn locate(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Line(None, reason) => Trouble::Line(self.column_named_in(&reason), reason),
            other => other,
        }
    }
}

/// The cells of a line, without spaces around them.
fn cells(number: u64, line: &ByteRecord) -> Result<Vec<&str>> {
    let cells = line.iter().map(|cell| std::str::from_utf8(cell).map(str::trim));
    cells.collect::<std::result::Result<Vec<&str>, _>>().map_err(|_| {
        let marks: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];
        let encoding = match marks.iter().any(|mark| line.as_slice().starts_with(mark)) {
            true => "UTF-16",
            false => "WINDOWS-1252",
        };
        let detail = format!(
            "Line {number}: this is no UTF-8; save the table as CSV in UTF-8, or convert it, for example with \
             `iconv -f {encoding} -t UTF-8`. Nothing is imported."
        );
        refused(detail)
    })
}

fn refused(sentence: String) -> Error {
    Error::new(ErrorKind::InvalidValue, sentence)
}

fn reader(spool: &Spool, delimiter: Option<u8>) -> Result<csv::Reader<impl Read + use<>>> {
    let mut bytes = spool.bytes()?;
    let start = bytes.fill_buf().map_err(|cause| unreadable(&cause))?;
    let delimiter = delimiter.unwrap_or_else(|| likely_delimiter(start));
    Ok(csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(LineFeeds::of(bytes)))
}

/// The line on which it begins, where `behind` is the place behind its end: cells may go on over several lines, and there
/// may be empty lines before it.
fn first_line_of(line: &ByteRecord, behind: &csv::Position) -> u64 {
    let within = line.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
    behind.line().saturating_sub(1 + within)
}

/// Every line ends in a line feed alone, the last one too, so that lines can be counted. [`END`] follows them.
struct LineFeeds<R> {
    bytes: R,
    last: u8,
    end: &'static [u8],
}

/// What stands behind the last line, and never in UTF-8: a line of its own, unless a cell is still open.
const END: &[u8] = b"\xFF\0\xFF";

impl<R: BufRead> LineFeeds<R> {
    fn of(bytes: R) -> LineFeeds<R> {
        LineFeeds { bytes, last: b'\n', end: END }
    }
}

impl<R: BufRead> Read for LineFeeds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let bytes = self.bytes.fill_buf()?;
            if bytes.is_empty() && matches!(self.last, b'\n' | b'\r') {
                return self.end.read(buffer);
            }
            if bytes.is_empty() {
                self.last = b'\n';
                return b"\n".as_slice().read(buffer);
            }
            let (mut taken, mut given) = (0, 0);
            for byte in bytes.iter().take(buffer.len()) {
                let is_second = (self.last, *byte) == (b'\r', b'\n');
                self.last = *byte;
                taken += 1;
                if !is_second {
                    buffer[given] = if *byte == b'\r' { b'\n' } else { *byte };
                    given += 1;
                }
            }
            self.bytes.consume(taken);
            if given > 0 {
                return Ok(given);
            }
        }
    }
}

/// What stands most often in the first line.
fn likely_delimiter(start: &[u8]) -> u8 {
    let first = start.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    // Within quotation marks nothing stands between cells.
    let bare = || first.split(|byte| *byte == b'"').step_by(2);
    let count = |delimiter: u8| bare().flatten().filter(|byte| **byte == delimiter).count();
    [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

fn read(reader: &mut csv::Reader<impl Read>, line: &mut ByteRecord) -> Result<bool> {
    while reader.read_byte_record(line).map_err(|cause| unreadable(&cause))? {
        let last = line.iter().next_back().unwrap_or_default();
        if line.len() == 1 && last == END {
            continue;
        }
        if last.ends_with(END) {
            let within = last.iter().filter(|byte| **byte == b'\n').count() as u64;
            let number = reader.position().line().saturating_sub(within);
            let detail =
                format!("Line {number}: a quotation mark opens here that nothing closes. Nothing is imported.");
            return Err(refused(detail));
        }
        return Ok(true);
    }
    Ok(false)
}

fn unreadable(cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unavailable, format!("The table can't be read ({cause})."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_however_they_end() {
        for text in ["a;b\n\n1;\"x\ny\"\n2;z", "a;b\r\n\r\n1;\"x\r\ny\"\r\n2;z\r\n", "a;b\r\r1;\"x\ry\"\r2;z"] {
            let mut builder = csv::ReaderBuilder::new();
            let builder = builder.has_headers(false).flexible(true).delimiter(b';');
            let mut reader = builder.from_reader(LineFeeds::of(text.as_bytes()));
            let (mut line, mut numbers) = (ByteRecord::new(), Vec::new());
            while read(&mut reader, &mut line).expect("a table") {
                numbers.push(first_line_of(&line, reader.position()));
            }
            assert_eq!(numbers, [1, 3, 5], "{text:?}");
        }
    }

    #[test]
    fn a_quotation_mark_that_nothing_closes_is_refused_where_it_opens() {
        let last_of = |text: &str| {
            let mut builder = csv::ReaderBuilder::new();
            let mut reader = builder.has_headers(false).flexible(true).from_reader(LineFeeds::of(text.as_bytes()));
            let (mut line, mut lines) = (ByteRecord::new(), 0);
            loop {
                match read(&mut reader, &mut line) {
                    Ok(true) => lines += 1,
                    Ok(false) => return Ok(lines),
                    Err(error) => return Err(error.detail().to_owned()),
                }
            }
        };
        for (text, line) in [
            ("a,b\n\n1,\"x\n2,y\n3,z\n", 3),
            ("a,b\n1,\"x\n2,y\n3,z", 2),
            ("a,b\r\n\"1\r\n\",\"", 3),
            ("\"a,b\n1,x\n", 1),
        ] {
            let expected =
                format!("Line {line}: a quotation mark opens here that nothing closes. Nothing is imported.");
            assert_eq!(last_of(text), Err(expected), "{text:?}");
        }
        for text in ["a,b\n1,\"x\n\"", "a,b\n1,\"x\n\"\n", "a,b\n1,x\"y\n", "a,b\n1,\"\"\n\n"] {
            assert_eq!(last_of(text), Ok(2), "{text:?}");
        }
        assert_eq!(last_of(""), Ok(0));
    }

    #[test]
    fn the_first_line_tells_what_stands_between_cells() {
        for (start, delimiter) in [
            (&b"userName,active\nx;y;z,1"[..], b','),
            (b"userName;name.givenName;active", b';'),
            (b"userName\tactive\n", b'\t'),
            (b"userName|active", b'|'),
            (b"\"Name, first, last\";userName\r\n1,2,3,4", b';'),
            (b"userName;active\ra,b,c;no\r", b';'),
            (b"userName", b','),
        ] {
            assert_eq!(likely_delimiter(start), delimiter);
        }
    }
}
