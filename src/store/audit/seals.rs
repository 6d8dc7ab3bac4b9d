//! The chain over the history: seals, each of which holds the changes that were committed since the one before, in an
//! order of their own, with a hash that goes on from row to row and from seal to seal.
//!
//! Transactions commit in another order than their rows are numbered in, and none may wait for the chain. So rows are
//! sealed after their commit, and a number that was given to a transaction still under way is *awaited*: a later seal has
//! its row, or nobody ever will, once the transaction is known to have ended without it. A seal is put together from what
//! a reader sees and then inserted under the next number; of several at once the primary key takes one.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};
use serde::{Deserialize, Serialize};

use super::digest::{self, Fields};
use super::row;
use super::row_ids::RowIds;
use crate::scim::{Error, Result};
use crate::store::Connection;
use crate::store::connection::InFlight;
use crate::store::sql::Sql;

/// How many rows a seal has at most.
pub const SEALED_AT_ONCE: usize = 1_000;

/// How many ranges of rows are awaited at most. Beyond that no new rows are sealed until old ones have arrived.
const MOST_AWAITED: usize = 1_000;

/// The end of the chain. Kept elsewhere, its hash proves later that nothing before was changed or cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The number of the last seal.
    pub seal_id: i64,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// How many changes are sealed.
    pub rows: i64,
    /// What proves them: 64 hexadecimal digits.
    pub hash: String,
}

impl Head {
    /// Whether a text could be the hash of a head.
    pub fn is_hash(text: &str) -> bool {
        text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
    }
}

/// A seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    pub(super) seal_id: i64,
    pub(super) at: NaiveDateTime,
    /// How many rows are sealed up to here.
    pub(super) total: i64,
    /// The highest row that is sealed up to here.
    pub(super) highest: i64,
    pub(super) awaited: Awaited,
    pub(super) row_ids: RowIds,
    /// Of each row, in the order of their ids; empty for a row that had none.
    pub(super) digests: Vec<String>,
    pub(super) hash: String,
}

impl Seal {
    /// How many rows it holds.
    pub fn rows(&self) -> usize {
        self.digests.len()
    }

    /// The end of the chain, if this is its last seal.
    pub fn head(&self) -> Head {
        Head { seal_id: self.seal_id, at: self.at.and_utc(), rows: self.total, hash: self.hash.clone() }
    }

    /// The hash of a seal after one with the hash `previous`: over the seal itself, then over row after row.
    pub(super) fn hash_after(&self, previous: &str) -> String {
        let seal = Fields::of("scimd seal 1")
            .text(previous)
            .number(self.seal_id)
            .instant(self.at)
            .number(self.total)
            .number(self.highest)
            .text(&self.awaited.to_json())
            .finish();
        let link = |before: [u8; 32], (row_id, digest): (i64, &String)| {
            Fields::of("scimd link 1").bytes(&before).number(row_id).text(digest).finish()
        };
        let hash = self.row_ids.iter().zip(&self.digests).fold(seal, link);
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Rows below the highest sealed one that a transaction under way may still commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Awaited(Vec<Span>);

/// The first and the last row, and a transaction above all that were under way when they were missed: once all below it
/// have ended, these rows will not come any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Span(i64, i64, i64);

impl Awaited {
    fn to_json(&self) -> String {
        let spans: Vec<String> =
            self.0.iter().map(|Span(first, last, until)| format!("[{first},{last},{until}]")).collect();
        format!("[{}]", spans.join(","))
    }

    pub(super) fn parse(text: &str) -> Option<Awaited> {
        let awaited: Awaited = serde_json::from_str(text).ok()?;
        (awaited.to_json() == text).then_some(awaited)
    }

    pub(super) fn contains(&self, row_id: i64) -> bool {
        self.0.iter().any(|Span(first, last, _)| (*first..=*last).contains(&row_id))
    }

    /// Without the rows that have come.
    fn without(&self, arrived: &RowIds) -> Awaited {
        let left = self.0.iter().flat_map(|Span(first, last, until)| {
            gaps(*first, *last, arrived).map(|(first, last)| Span(first, last, *until))
        });
        Awaited(left.collect())
    }

    /// Without the rows that will not come any more.
    fn still_to_come(mut self, in_flight: InFlight) -> Awaited {
        // A number from another server, where this database was copied from, says nothing here.
        self.0.retain(|Span(_, _, until)| *until > in_flight.oldest && *until <= in_flight.next);
        self
    }
}

/// The ranges from `first` to `last` that are not in the set.
fn gaps(first: i64, last: i64, set: &RowIds) -> impl Iterator<Item = (i64, i64)> {
    let within = set.ranges().filter(move |(from, to)| *from <= last && *to >= first);
    let end = last.saturating_add(1);
    let ends: Vec<(i64, i64)> = within.chain([(end, end)]).collect();
    let mut next = first;
    ends.into_iter().filter_map(move |(from, to)| {
        let gap = (next, from - 1);
        next = to.saturating_add(1);
        (gap.0 <= gap.1).then_some(gap)
    })
}

/// Where the chain stands, as far as the next seal needs it.
struct Tip {
    seal_id: i64,
    total: i64,
    highest: i64,
    awaited: Awaited,
    hash: String,
}

/// The end of the chain; `None` as long as nothing is sealed.
///
/// # Errors
/// Database failures.
pub fn head(connection: &mut Connection) -> Result<Option<Head>> {
    let statement: Sql<(BigInt, Timestamp, BigInt, Text)> =
        Sql::new("SELECT s.seal_id, s.at, s.total, s.hash FROM seals s ORDER BY s.seal_id DESC LIMIT 1");
    let row = statement.load::<(i64, NaiveDateTime, i64, String)>(connection)?.pop();
    Ok(row.map(|(seal_id, at, rows, hash)| Head { seal_id, at: at.and_utc(), rows, hash }))
}

/// Whether the chain has this head still, at its end or before.
///
/// # Errors
/// Database failures.
pub fn is_part_of_chain(connection: &mut Connection, head: &Head) -> Result<bool> {
    let statement: Sql<Text> = Sql::new("SELECT s.hash FROM seals s WHERE s.seal_id = ").bind(head.seal_id);
    Ok(statement.load::<String>(connection)?.pop().as_ref() == Some(&head.hash))
}

/// The next seal, over at most [`SEALED_AT_ONCE`] rows; `None` if all are sealed. Reads one moment of the database, and
/// [`insert_seal`] makes the seal part of the chain unless another one was quicker. Costs what is not sealed yet.
///
/// # Errors
/// Database failures.
pub fn next_seal(connection: &mut Connection, now: DateTime<Utc>) -> Result<Option<Seal>> {
    let tip = tip(connection)?;
    let mut rows = late(connection, &tip.awaited)?;
    let new = rows_after(connection, tip.highest, SEALED_AT_ONCE - rows.len())?;
    if rows.is_empty() && new.is_empty() {
        return Ok(None);
    }
    // Not before there is something to seal: each look uses up the number of a transaction.
    let in_flight = connection.in_flight()?;
    let mut awaited = tip.awaited.without(&rows.iter().map(|(row_id, _)| *row_id).collect());
    // As long as not all that has come is sealed, nobody can tell what will not come.
    if rows.len() < SEALED_AT_ONCE {
        awaited = awaited.still_to_come(in_flight);
        if awaited.0.len() < MOST_AWAITED {
            rows.extend(new);
        }
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let row_ids: RowIds = rows.iter().map(|(row_id, _)| *row_id).collect();
    let highest = row_ids.max().unwrap_or_default().max(tip.highest);
    let missed = gaps(tip.highest.saturating_add(1), highest, &row_ids);
    let missed = Awaited(missed.map(|(first, last)| Span(first, last, in_flight.next)).collect());
    awaited.0.extend(missed.still_to_come(in_flight).0);
    let digests: Vec<String> =
        rows.into_iter().map(|(_, digest)| digest.filter(|text| digest::is_digest(text)).unwrap_or_default()).collect();
    let no_number = || Error::internal(format!("no number comes after that of the last seal, {}", tip.seal_id));
    let mut seal = Seal {
        seal_id: tip.seal_id.checked_add(1).ok_or_else(no_number)?,
        at: now.naive_utc(),
        total: tip.total.saturating_add(digests.len() as i64),
        highest,
        awaited,
        row_ids,
        digests,
        hash: String::new(),
    };
    seal.hash = seal.hash_after(&tip.hash);
    Ok(Some(seal))
}

/// Makes a seal part of the chain; false if another one has its number by now.
///
/// # Errors
/// Database failures.
pub fn insert_seal(connection: &mut Connection, seal: &Seal) -> Result<bool> {
    let statement: Sql =
        Sql::new("INSERT INTO seals (seal_id, at, total, highest, awaited, row_ids, digests, hash) VALUES (");
    let statement = statement
        .bind(seal.seal_id)
        .push(", ")
        .bind(seal.at)
        .push(", ")
        .bind_list([seal.total, seal.highest])
        .push(", ")
        .bind_list([seal.awaited.to_json(), seal.row_ids.to_string(), seal.digests.join(","), seal.hash.clone()])
        .push(") ON CONFLICT DO NOTHING");
    Ok(statement.execute(connection)? > 0)
}

/// Gives digests to rows that were written before there were any, at most [`SEALED_AT_ONCE`] after this one; the last of
/// them, `None` if there are no more. Once the chain has begun a row without a digest is a forged one, and gets none.
///
/// # Errors
/// Database failures.
pub fn found(connection: &mut Connection, after: i64) -> Result<Option<i64>> {
    if head(connection)?.is_some() {
        return Ok(None);
    }
    let statement = Sql::new("a.row_id > ").bind(after).push(" AND a.digest IS NULL ORDER BY a.row_id LIMIT ");
    let rows = row::rows(connection, statement.bind(SEALED_AT_ONCE as i64))?;
    for row in &rows {
        row.prove(connection)?;
    }
    Ok(rows.last().map(|row| row.row_id))
}

fn tip(connection: &mut Connection) -> Result<Tip> {
    let statement: Sql<(BigInt, BigInt, BigInt, Text, Text)> = Sql::new(
        "SELECT s.seal_id, s.total, s.highest, s.awaited, s.hash FROM seals s ORDER BY s.seal_id DESC LIMIT 1",
    );
    let Some((seal_id, total, highest, awaited, hash)) =
        statement.load::<(i64, i64, i64, String, String)>(connection)?.pop()
    else {
        return Ok(Tip { seal_id: 0, total: 0, highest: 0, awaited: Awaited::default(), hash: String::new() });
    };
    let unreadable =
        || Error::internal(format!("seal {seal_id} of the history says nothing readable of what is awaited"));
    let awaited = Awaited::parse(&awaited).ok_or_else(unreadable)?;
    Ok(Tip { seal_id, total, highest, awaited, hash })
}

/// A row and its digest.
type Unsealed = (i64, Option<String>);

fn rows_after(connection: &mut Connection, row_id: i64, limit: usize) -> Result<Vec<Unsealed>> {
    let statement: Sql<(BigInt, Nullable<Text>)> =
        Sql::new("SELECT a.row_id, a.digest FROM audit a WHERE a.row_id > ").bind(row_id);
    Ok(statement.push(" ORDER BY a.row_id LIMIT ").bind(limit as i64).load(connection)?)
}

/// The awaited rows that have come by now, at most as many as a seal has.
fn late(connection: &mut Connection, awaited: &Awaited) -> Result<Vec<Unsealed>> {
    let mut found = Vec::new();
    for spans in awaited.0.chunks(50) {
        let mut statement: Sql<(BigInt, Nullable<Text>)> = Sql::new("SELECT a.row_id, a.digest FROM audit a WHERE");
        for (index, Span(first, last, _)) in spans.iter().enumerate() {
            statement = statement.push(if index > 0 { " OR (a.row_id >= " } else { " (a.row_id >= " }).bind(*first);
            statement = statement.push(" AND a.row_id <= ").bind(*last).push(")");
        }
        let room = SEALED_AT_ONCE - found.len();
        let statement = statement.push(" ORDER BY a.row_id LIMIT ").bind(room as i64).uncached();
        found.extend(statement.load::<Unsealed>(connection)?);
        if found.len() >= SEALED_AT_ONCE {
            break;
        }
    }
    Ok(found)
}

type SealColumns = (BigInt, Timestamp, BigInt, BigInt, Text, Text, Text, Text);

/// The seals from that number on, at most `limit`, as texts that nobody has looked at; nothing in the place of one that
/// can't be read.
pub(super) fn seals_from(connection: &mut Connection, seal_id: i64, limit: i64) -> Result<Vec<(i64, Option<Kept>)>> {
    let condition = Sql::new("s.seal_id >= ").bind(seal_id).push(" ORDER BY s.seal_id LIMIT ").bind(limit);
    let ids = Sql::new("SELECT s.seal_id FROM seals s WHERE ").append(condition.clone());
    let found = seals(connection, condition);
    let one = |connection: &mut Connection, seal_id| seals(connection, Sql::new("s.seal_id = ").bind(seal_id));
    row::one_by_one(connection, found, |kept| kept.seal_id, ids, one)
}

fn seals(connection: &mut Connection, condition: Sql) -> Result<Vec<Kept>> {
    let statement: Sql<SealColumns> = Sql::new(
        "SELECT s.seal_id, s.at, s.total, s.highest, s.awaited, s.row_ids, s.digests, s.hash FROM seals s WHERE ",
    );
    Ok(statement.append(condition).load(connection)?)
}

/// A seal as it is kept, which may be anything.
#[derive(Debug, Queryable)]
pub(super) struct Kept {
    pub(super) seal_id: i64,
    pub(super) at: NaiveDateTime,
    pub(super) total: i64,
    highest: i64,
    awaited: String,
    row_ids: String,
    digests: String,
    pub(super) hash: String,
}

impl Kept {
    /// The seal; `None` if it is not one that [`insert_seal`] writes.
    pub(super) fn parse(self) -> Option<Seal> {
        let row_ids = RowIds::parse(&self.row_ids)?;
        let digests: Vec<String> = self.digests.split(',').map(str::to_owned).collect();
        let seal = Seal {
            seal_id: self.seal_id,
            at: self.at,
            total: self.total,
            highest: self.highest,
            awaited: Awaited::parse(&self.awaited)?,
            row_ids,
            digests,
            hash: self.hash,
        };
        (seal.row_ids.count() == seal.digests.len() as i64).then_some(seal)
    }
}
