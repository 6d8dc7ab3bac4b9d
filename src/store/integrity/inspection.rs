//! The walk through everything, piece by piece: what is looked at, in which order, and where it goes on.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::sql_types::{BigInt, Nullable};

use super::flaw::{Cure, Flaw, FlawKind, Subject};
use super::known::Known;
use super::relations::{self, Piece, last_of_full};
use super::row::{Row, rows};
use super::sums::{self, IndexRow, Spot, Sums};
use crate::scim::Result;
use crate::scim::resource::Document;
use crate::scim::schema::Registry;
use crate::store::resources::Place;
use crate::store::sql::Sql;
use crate::store::unique::{self, UniqueKey};
use crate::store::{Connection, members, values};

/// How much an inspection has looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Resources, deleted ones included.
    pub resources: u64,
    /// Values in the search index.
    pub values: u64,
    /// Memberships, unresolved ones included.
    pub memberships: u64,
}

/// How many resources are read at once.
pub(super) const RESOURCES: i64 = 500;
/// How many rows of the search index are read at once.
const VALUES: i64 = 5_000;
/// How many of them are held against their documents at once.
const SUSPECTS: i64 = 1_000;
/// How many rows of other tables are read at once.
const ROWS: i64 = 2_000;

/// A walk through everything, in pieces.
#[derive(Debug)]
pub struct Inspection {
    registry: &'static Registry,
    now: NaiveDateTime,
    stage: Stage,
    sums: Sums,
    /// The last resource at the beginning: those that come later are right or wrong another time.
    last: i64,
    tally: Tally,
    unchecked: BTreeSet<(String, String)>,
}

/// Where the walk is. What is in the way of a repair comes first: a unique value cannot be entered while somebody else
/// stands in its place.
#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Begin,
    UniqueValues(Option<UniqueKey>),
    Sums(Spot),
    Resources(i64),
    Surplus(Spot),
    Members((i64, i64)),
    Unresolved((i64, String)),
    Credentials(i64),
    Touches((i64, NaiveDateTime)),
    Events(i64),
    Keys,
    Counts((i64, String)),
    End,
}

impl Inspection {
    /// One that has not begun. Keys that have ended by `now` are of no concern.
    pub fn new(registry: &'static Registry, now: DateTime<Utc>) -> Inspection {
        Inspection {
            registry,
            now: now.naive_utc(),
            stage: Stage::Begin,
            sums: Sums::of_block(1, 0),
            last: 0,
            tally: Tally::default(),
            unchecked: BTreeSet::new(),
        }
    }

    /// How much has been looked at so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Tenants, and the types of whose resources nothing can be told, since they are kept for other schemas than ours.
    pub fn unchecked(&self) -> &BTreeSet<(String, String)> {
        &self.unchecked
    }

    /// Looks at the next piece, within one transaction: its flaws, or nothing after the last piece. After a failure the
    /// same piece comes again.
    ///
    /// # Errors
    /// Database failures.
    pub fn next(&mut self, connection: &mut Connection) -> Result<Option<Vec<Flaw>>> {
        let known = Known::load(connection, self.registry)?;
        let (flaws, stage) = match self.stage.clone() {
            Stage::Begin => {
                let last: Sql<Nullable<BigInt>> = Sql::new("SELECT max(r.row_id) FROM resources r");
                self.last = last.get_result::<Option<i64>>(connection)?.unwrap_or_default();
                self.sums = Sums::of_block(1, self.last);
                (Vec::new(), Stage::UniqueValues(None))
            }
            Stage::UniqueValues(after) => self.unique_values(connection, &known, after.as_ref())?,
            Stage::Sums(spot) => self.sum_up(connection, &known, &spot)?,
            Stage::Resources(after) => self.resources(connection, &known, after)?,
            Stage::Surplus(spot) => self.surplus(connection, &known, &spot)?,
            Stage::Members(after) => {
                let Piece { flaws, last, rows } = relations::members(connection, &known, after, ROWS)?;
                self.tally.memberships += rows as u64;
                (flaws, last.map_or(Stage::Unresolved((i64::MIN, String::new())), Stage::Members))
            }
            Stage::Unresolved((group, value)) => {
                let Piece { flaws, last, rows } = relations::unresolved(connection, &known, (group, &value), ROWS)?;
                self.tally.memberships += rows as u64;
                (flaws, last.map_or(Stage::Credentials(i64::MIN), Stage::Unresolved))
            }
            Stage::Credentials(after) => {
                let Piece { flaws, last, .. } = relations::credentials(connection, &known, after, ROWS)?;
                let next = Stage::Touches((i64::MIN, DateTime::<Utc>::UNIX_EPOCH.naive_utc()));
                (flaws, last.map_or(next, Stage::Credentials))
            }
            Stage::Touches(after) => {
                let Piece { flaws, last, .. } = relations::touches(connection, after, ROWS)?;
                (flaws, last.map_or(Stage::Events(i64::MIN), Stage::Touches))
            }
            Stage::Events(after) => {
                let Piece { flaws, last, .. } = relations::events(connection, after, ROWS)?;
                (flaws, last.map_or(Stage::Keys, Stage::Events))
            }
            Stage::Keys => {
                let flaws = relations::keys(connection, &known, self.now)?;
                (flaws, Stage::Counts((i64::MIN, String::new())))
            }
            Stage::Counts(after) => {
                let Piece { flaws, last, .. } = relations::count(connection, &known, &after)?;
                (flaws, last.map_or(Stage::End, Stage::Counts))
            }
            Stage::End => return Ok(None),
        };
        self.stage = stage;
        Ok(Some(flaws))
    }

    fn unique_values(
        &self,
        connection: &mut Connection,
        known: &Known,
        after: Option<&UniqueKey>,
    ) -> Result<(Vec<Flaw>, Stage)> {
        let found = unique::rows_after(connection, after, RESOURCES)?;
        let last = last_of_full(&found, RESOURCES).cloned();
        let owners = owners(connection, known, found.iter().map(|row| row.row_id))?;
        let is_surplus = |row: &UniqueKey| match owners.get(&row.row_id) {
            _ if known.is_leaving(row.tenant_id) => false,
            None => true,
            Some(Owner::Unclear(_)) => false,
            Some(Owner::Clear(owner, place, document)) => !owner.claims(&owner.due_unique(*place, document), row),
        };
        let flaws = found.into_iter().filter(is_surplus).map(|row| Flaw {
            kind: FlawKind::SurplusUniqueValue,
            tenant: Some(known.tenant(row.tenant_id)),
            subject: owners.get(&row.row_id).map(Owner::subject),
            detail: format!("a value of {} is held as unique that the document does not have", row.path),
            cure: Cure::SurplusUnique(row),
        });
        let next = last.map_or(Stage::Sums(Spot::start()), |last| Stage::UniqueValues(Some(last)));
        Ok((flaws.collect(), next))
    }

    fn sum_up(&mut self, connection: &mut Connection, known: &Known, spot: &Spot) -> Result<(Vec<Flaw>, Stage)> {
        let found = sums::rows_after(connection, spot, VALUES)?;
        let is_first = self.sums.first() == 1;
        let beyond = |row: &&IndexRow| is_first && !(1..=self.last).contains(&row.row_id);
        let beyond: Vec<IndexRow> = found.iter().filter(beyond).cloned().collect();
        let flaws = surplus_among(connection, known, beyond)?;
        found.iter().for_each(|row| self.sums.add(row));
        self.tally.values += if is_first { found.len() as u64 } else { 0 };
        let next = last_of_full(&found, VALUES).map(Spot::from);
        Ok((flaws, next.map_or(Stage::Resources(self.sums.first() - 1), Stage::Sums)))
    }

    fn resources(&mut self, connection: &mut Connection, known: &Known, after: i64) -> Result<(Vec<Flaw>, Stage)> {
        let condition = Sql::new("r.row_id > ").bind(after).push(" AND r.row_id < ").bind(self.sums.end());
        let found = rows(connection, condition.push(" ORDER BY r.row_id LIMIT 0 + ").bind(RESOURCES))?;
        let last = last_of_full(&found, RESOURCES).map(|row| row.row_id);
        let count = found.len() as u64;
        let (mut flaws, mut references) = (Vec::new(), References::default());
        for row in found {
            self.resource(connection, known, &row, &mut references, &mut flaws)?;
        }
        references.check(connection, known, &mut flaws)?;
        self.tally.resources += count;
        let next = match last {
            Some(last) => Stage::Resources(last),
            None if self.sums.has_suspects() => Stage::Surplus(Spot::start()),
            None => self.next_block(),
        };
        Ok((flaws, next))
    }

    fn resource(
        &mut self,
        connection: &mut Connection,
        known: &Known,
        row: &Row,
        references: &mut References,
        flaws: &mut Vec<Flaw>,
    ) -> Result<()> {
        if known.is_leaving(row.tenant_id) {
            self.sums.pass_over(row.row_id);
            return Ok(());
        }
        let mut flaw = |kind, detail, cure| {
            let subject = Some(subject_of(row));
            flaws.push(Flaw { kind, tenant: Some(known.tenant(row.tenant_id)), subject, detail, cure });
        };
        if !known.has_tenant(row.tenant_id) {
            flaw(FlawKind::Owner, "belongs to a tenant that does not exist".to_owned(), Cure::None);
        }
        if let Some((kind, detail)) = row.against_history() {
            flaw(kind, detail, Cure::None);
        }
        let Some(document) = row.document() else {
            flaw(FlawKind::Document, "the document is no JSON object".to_owned(), Cure::None);
            self.sums.pass_over(row.row_id);
            return Ok(());
        };
        let Some(place) = known.place(row.tenant_id, &row.resource_type) else {
            self.sums.pass_over(row.row_id);
            if known.has_tenant(row.tenant_id) {
                self.unchecked.insert((known.tenant(row.tenant_id), row.resource_type.clone()));
            }
            return Ok(());
        };
        for column in row.wrong_columns(place, &document) {
            let detail = format!("the column {} is not what the document says", column.as_str());
            flaw(FlawKind::Column, detail, Cure::Column { row_id: row.row_id, column });
        }
        let due = row.due_unique(place, &document);
        let stored = unique::find(connection, row.tenant_id, place.resource_type, row.row_id, &due)?;
        if stored != due {
            let paths = due.iter().filter(|value| !stored.iter().any(|one| one == *value)).map(|(path, _)| path);
            let detail = format!("values are not held as unique: {}", listed(paths));
            flaw(FlawKind::MissingUniqueValue, detail, Cure::MissingUnique { row_id: row.row_id });
        }
        let due = row.due_values(place, &document);
        if !self.sums.settle(row.tenant_id, row.row_id, &due) {
            let stored = values::find(connection, row.tenant_id, row.row_id, &due)?;
            let missing: Vec<&str> = due.difference(&stored).map(|value| known.index_path(value.path_hash)).collect();
            if !missing.is_empty() {
                let detail = format!("values are missing in the search index: {}", listed(missing));
                flaw(FlawKind::MissingValue, detail, Cure::MissingValues { row_id: row.row_id });
            }
        }
        if row.is_live {
            references.note(place, row, &document);
        }
        Ok(())
    }

    fn surplus(&mut self, connection: &mut Connection, known: &Known, spot: &Spot) -> Result<(Vec<Flaw>, Stage)> {
        let found = sums::rows_after(connection, spot, SUSPECTS)?;
        let last = last_of_full(&found, SUSPECTS).map(Spot::from);
        let suspects = found.into_iter().filter(|row| self.sums.is_suspect(row.row_id)).collect();
        let flaws = surplus_among(connection, known, suspects)?;
        Ok((flaws, last.map_or_else(|| self.next_block(), Stage::Surplus)))
    }

    fn next_block(&mut self) -> Stage {
        let first = self.sums.end();
        if first > self.last {
            return Stage::Members((i64::MIN, i64::MIN));
        }
        self.sums = Sums::of_block(first, self.last);
        Stage::Sums(Spot::start())
    }
}

fn subject_of(row: &Row) -> Subject {
    Subject { resource_type: row.resource_type.clone(), id: row.id.clone() }
}

/// Names, each once, in order.
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: BTreeSet<&str> = names.into_iter().collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The resource behind the number of a row.
enum Owner {
    /// It cannot be told what its index should be.
    Unclear(Row),
    Clear(Row, Place, Document),
}

impl Owner {
    fn subject(&self) -> Subject {
        match self {
            Owner::Unclear(row) | Owner::Clear(row, ..) => subject_of(row),
        }
    }
}

fn owners(
    connection: &mut Connection,
    known: &Known,
    row_ids: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, Owner>> {
    let row_ids: BTreeSet<i64> = row_ids.collect();
    let row_ids: Vec<i64> = row_ids.into_iter().collect();
    let mut owners = HashMap::with_capacity(row_ids.len());
    for chunk in row_ids.chunks(RESOURCES as usize) {
        let condition = Sql::new("r.row_id IN (").bind_list(chunk.iter().copied()).push(")").uncached();
        for row in rows(connection, condition)? {
            let owner = match (row.document(), known.place(row.tenant_id, &row.resource_type)) {
                (Some(document), Some(place)) => Owner::Clear(row, place, document),
                _ => Owner::Unclear(row),
            };
            let row_id = match &owner {
                Owner::Unclear(row) | Owner::Clear(row, ..) => row.row_id,
            };
            owners.insert(row_id, owner);
        }
    }
    Ok(owners)
}

/// Those rows of the search index that no document accounts for.
fn surplus_among(connection: &mut Connection, known: &Known, found: Vec<IndexRow>) -> Result<Vec<Flaw>> {
    let owners = owners(connection, known, found.iter().map(|row| row.row_id))?;
    let mut due: HashMap<i64, BTreeSet<values::IndexedValue>> = HashMap::new();
    let mut flaws = Vec::new();
    for row in found {
        let owner = owners.get(&row.row_id);
        let is_due = match owner {
            _ if known.is_leaving(row.tenant_id) => true,
            None => false,
            Some(Owner::Unclear(_)) => true,
            Some(Owner::Clear(owner, place, document)) => {
                let due = due.entry(row.row_id).or_insert_with(|| owner.due_values(*place, document));
                owner.tenant_id == row.tenant_id && due.contains(&row.value)
            }
        };
        if !is_due {
            flaws.push(Flaw {
                kind: FlawKind::SurplusValue,
                tenant: Some(known.tenant(row.tenant_id)),
                subject: owner.map(Owner::subject),
                detail: format!(
                    "the search index has a value of {} that the document does not have",
                    known.index_path(row.value.path_hash)
                ),
                cure: Cure::SurplusValue(row),
            });
        }
    }
    Ok(flaws)
}

/// The references of some documents: who refers to whom, by tenant and type.
#[derive(Default)]
struct References(HashMap<(i64, &'static str), Vec<(Subject, String)>>);

impl References {
    fn note(&mut self, place: Place, row: &Row, document: &Document) {
        let reference = place.resource_type.reference().and_then(|reference| document.get(reference));
        if let Some(id) = reference.and_then(|value| value.get("value")).and_then(|value| value.as_str()) {
            let of_type = self.0.entry((place.tenant_id, place.resource_type.name.as_str())).or_default();
            of_type.push((subject_of(row), id.to_owned()));
        }
    }

    fn check(self, connection: &mut Connection, known: &Known, flaws: &mut Vec<Flaw>) -> Result<()> {
        for ((tenant_id, resource_type), referring) in self.0 {
            let ids: HashSet<&str> = referring.iter().map(|(_, id)| id.as_str()).collect();
            let there = members::display_names(connection, tenant_id, resource_type, &ids)?;
            let lost = referring.iter().filter(|(_, id)| !there.contains_key(id));
            flaws.extend(lost.map(|(subject, _)| Flaw {
                kind: FlawKind::Reference,
                tenant: Some(known.tenant(tenant_id)),
                subject: Some(subject.clone()),
                detail: format!("refers to a {resource_type} that does not exist"),
                cure: Cure::None,
            }));
        }
        Ok(())
    }
}
