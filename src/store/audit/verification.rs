//! Proves the history: walks the chain from its first seal to its last, and every row with it.
//!
//! A seal names its rows and their digests, so what is wrong is told of a row, and the walk goes on behind it. Nothing but
//! the chain's own hashes is trusted; whoever can write to the database can also make a chain anew, so only a hash that was
//! kept elsewhere ([`super::Head`]) tells that a chain is still the same one.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::sql_types::BigInt;

use super::erasure;
use super::guard;
use super::row::{self, Row};
use super::row_ids::RowIds;
use super::seals::{self, Awaited, Head, Kept, Seal};
use crate::scim::Result;
use crate::store::Connection;
use crate::store::sql::Sql;

/// How many seals one step looks at.
const SEALS_AT_ONCE: i64 = 8;

/// How many rows are in memory at once: each may say a lot.
const ROWS_AT_ONCE: i64 = 128;

/// How many faults are told one by one.
const MOST_FAULTS: usize = 100;

/// Of how many resources is remembered whether their changes may be erased.
const MOST_REMEMBERED: usize = 10_000;

/// Something about the history that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub wrong: Wrong,
    /// The row that it is about, or the first one.
    pub row_id: i64,
    /// The seal that it belongs to; none for a row that belongs to none.
    pub seal_id: Option<i64>,
    /// The time of the row as it says now; of what is gone, when it was sealed, if that is known.
    pub at: Option<DateTime<Utc>>,
    /// The resource type and the SCIM id, as the row says now.
    pub resource: Option<(String, String)>,
}

/// How the history can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The row says something else than when it was sealed.
    Changed,
    /// The row says what this other one said.
    OutOfOrder(i64),
    /// The row is gone.
    Missing,
    /// The row was put in after the rows around it were sealed.
    Inserted,
    /// What the row said is erased, and nobody has purged its resource.
    Erased,
    /// The seal is not what it was, or follows another one than it did.
    SealChanged,
    /// The seal is gone.
    SealMissing,
    /// The seal has a number that no seal is given.
    SealInserted,
    /// No seal has the hash that was expected: something was changed, or the end was cut off.
    HeadMissing,
}

/// What the walk has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The end of the chain as far as it was walked; none if there is no chain.
    pub head: Option<Head>,
    /// How many rows were looked at.
    pub rows: i64,
    /// How many of them are erased.
    pub erased: i64,
    /// How many rows are not sealed yet.
    pub open: i64,
    /// How much is wrong.
    pub broken: usize,
    /// What is wrong, in the order of the rows; not more than a hundred.
    pub faults: Vec<Fault>,
    /// What keeps the history append-only, and is not in force: triggers and constraints by their names.
    pub unguarded: Vec<&'static str>,
}

/// The walk. Its memory does not grow with the history.
#[derive(Debug, Clone)]
pub struct Verification {
    /// A hash that the chain must have; none once it was met.
    expected: Option<String>,
    /// The number of the last seal that was met.
    last: Option<i64>,
    /// The last seal that could be read.
    head: Option<Head>,
    highest: i64,
    awaited: Awaited,
    /// Rows that were there among those of the seals so far, and belong to none of them.
    unsealed: RowIds,
    rows: i64,
    erased: i64,
    /// Whether the changes of a resource may be erased, by tenant, type and SCIM id; some of those that were looked up last.
    erasable: HashMap<(i64, String, String), bool>,
    broken: usize,
    faults: Vec<Fault>,
}

impl Verification {
    /// At the begin of the chain. `expected` is the hash of a head of earlier times.
    pub fn new(expected: Option<String>) -> Verification {
        Verification {
            expected,
            last: None,
            head: None,
            highest: 0,
            awaited: Awaited::default(),
            unsealed: RowIds::default(),
            rows: 0,
            erased: 0,
            erasable: HashMap::new(),
            broken: 0,
            faults: Vec::new(),
        }
    }

    /// How many rows were looked at.
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// Goes on for some thousand rows; false at the end of the chain. Each step may see another moment of the database.
    ///
    /// # Errors
    /// Database failures.
    pub fn step(&mut self, connection: &mut Connection) -> Result<bool> {
        if self.last.is_none() {
            self.look_before_the_first_row(connection)?;
        }
        // None has the highest number: no other could follow it.
        let next = self.last.map_or(i64::MIN, |last| last.saturating_add(1));
        let kept = seals::seals_from(connection, next, SEALS_AT_ONCE)?;
        let goes_on = !kept.is_empty() && self.last != Some(i64::MAX);
        for (seal_id, kept) in kept.into_iter().filter(|_| goes_on) {
            self.pass(connection, seal_id, kept)?;
            self.last = Some(seal_id);
        }
        Ok(goes_on)
    }

    /// Numbers begin with 1: what stands before was put in.
    fn look_before_the_first_row(&mut self, connection: &mut Connection) -> Result<()> {
        let mut next = i64::MIN;
        loop {
            let rows = row::rows_between(connection, next, 0, ROWS_AT_ONCE)?;
            rows.iter().for_each(|(row_id, _)| self.unsealed.insert(*row_id));
            match rows.last() {
                Some((row_id, _)) if rows.len() == ROWS_AT_ONCE as usize => next = row_id + 1,
                _ => return Ok(()),
            }
        }
    }

    fn pass(&mut self, connection: &mut Connection, seal_id: i64, kept: Option<Kept>) -> Result<()> {
        let expected_id = self.last.filter(|last| *last > 0).map_or(1, |last| last.saturating_add(1));
        let next_row = self.highest.saturating_add(1);
        let fault = |wrong, seal_id, at: Option<NaiveDateTime>| {
            let at = at.map(|at| at.and_utc());
            Fault { wrong, row_id: next_row, seal_id: Some(seal_id), at, resource: None }
        };
        if seal_id < 1 {
            self.report(fault(Wrong::SealInserted, seal_id, kept.map(|kept| kept.at)));
            return Ok(());
        }
        let follows = seal_id == expected_id;
        if !follows {
            self.report(fault(Wrong::SealMissing, expected_id, None));
        }
        let Some(kept) = kept else {
            self.report(fault(Wrong::SealChanged, seal_id, None));
            return Ok(());
        };
        let (at, rows, hash) = (kept.at, kept.total, kept.hash.clone());
        let changed = fault(Wrong::SealChanged, seal_id, Some(at));
        if self.expected.as_ref() == Some(&hash) {
            self.expected = None;
        }
        let previous = self.head.take();
        let total = previous.as_ref().map_or(0, |head| head.rows);
        // Behind one that is missing or can't be read, nothing proves a seal.
        let is_next = previous.as_ref().map_or(0, |head| head.seal_id).checked_add(1) == Some(seal_id);
        let Some(seal) = kept.parse() else {
            self.report(changed);
            self.head = Some(Head { seal_id, at: at.and_utc(), rows, hash });
            return Ok(());
        };
        let before = previous.map(|head| head.hash).unwrap_or_default();
        let counts = seal.total == total.saturating_add(seal.rows() as i64)
            && seal.highest == seal.row_ids.max().unwrap_or_default().max(self.highest);
        if follows && (!is_next || seal.hash_after(&before) != hash || !counts) {
            let row_id = seal.row_ids.iter().next().unwrap_or(changed.row_id);
            self.report(Fault { row_id, ..changed });
        }
        self.look_at_rows(connection, &seal)?;
        // What a changed seal counts wrongly is told once.
        let rows = if is_next { total.saturating_add(seal.rows() as i64) } else { seal.total };
        self.head = Some(Head { rows, ..seal.head() });
        self.awaited = seal.awaited;
        Ok(())
    }

    /// New rows are read as they come, with all that stands between them; late ones by their numbers.
    fn look_at_rows(&mut self, connection: &mut Connection, seal: &Seal) -> Result<()> {
        let mut digests: HashMap<i64, &str> =
            seal.row_ids.iter().zip(seal.digests.iter().map(String::as_str)).collect();
        let highest = self.highest;
        let new = highest.saturating_add(1)..=seal.row_ids.max().unwrap_or_default();
        let late = seal.row_ids.ranges().filter(|(first, _)| *first <= highest);
        let late = late.map(|(first, last)| first..=last.min(highest));
        for span in late.chain([new]) {
            let mut next = *span.start();
            loop {
                let rows = row::rows_between(connection, next, *span.end(), ROWS_AT_ONCE)?;
                for (row_id, row) in &rows {
                    match (digests.remove(row_id), row) {
                        (Some(sealed), Some(row)) => self.look_at(connection, row, sealed, seal)?,
                        (Some(_), None) => self.pass_unreadable(*row_id, seal),
                        (None, _) => self.unsealed.insert(*row_id),
                    }
                }
                match rows.last() {
                    Some((row_id, _)) if rows.len() == ROWS_AT_ONCE as usize && row_id < span.end() => {
                        next = row_id + 1
                    }
                    _ => break,
                }
            }
        }
        let mut missing: Vec<i64> = digests.into_keys().collect();
        missing.sort_unstable();
        for row_id in missing {
            let (seal_id, at) = (Some(seal.seal_id), Some(seal.at.and_utc()));
            self.report(Fault { wrong: Wrong::Missing, row_id, seal_id, at, resource: None });
        }
        self.highest = self.highest.max(seal.row_ids.max().unwrap_or_default());
        Ok(())
    }

    fn pass_unreadable(&mut self, row_id: i64, seal: &Seal) {
        self.unsealed.remove(row_id);
        self.rows += 1;
        let seal_id = Some(seal.seal_id);
        self.report(Fault { wrong: Wrong::Changed, row_id, seal_id, at: None, resource: None });
    }

    fn look_at(&mut self, connection: &mut Connection, row: &Row, sealed: &str, seal: &Seal) -> Result<()> {
        self.unsealed.remove(row.row_id);
        self.rows += 1;
        self.erased += i64::from(row.erased.is_some());
        let proven = row.proven();
        if proven.as_deref() == Some(sealed) && row.digest.as_deref() == Some(sealed) {
            if row.erased.is_some() && !self.may_be_erased(connection, row)? {
                self.report(Fault { seal_id: Some(seal.seal_id), ..fault_of(row, Wrong::Erased) });
            }
            return Ok(());
        }
        let stands = seal.digests.iter().position(|digest| proven.as_ref() == Some(digest));
        let other = stands.and_then(|place| seal.row_ids.iter().nth(place)).filter(|other| *other != row.row_id);
        let wrong = other.map_or(Wrong::Changed, Wrong::OutOfOrder);
        self.report(Fault { seal_id: Some(seal.seal_id), ..fault_of(row, wrong) });
        Ok(())
    }

    /// Whether the history tells of a purge, or the tenant is deleted: whoever erases by himself leaves a chain that is whole.
    fn may_be_erased(&mut self, connection: &mut Connection, row: &Row) -> Result<bool> {
        let key = (row.tenant_id, row.resource_type.clone(), row.resource_id.clone());
        if let Some(known) = self.erasable.get(&key) {
            return Ok(*known);
        }
        let may_be = erasure::is_explained(connection, row.tenant_id, &row.resource_type, &row.resource_id)?;
        if self.erasable.len() >= MOST_REMEMBERED {
            self.erasable.clear();
        }
        self.erasable.insert(key, may_be);
        Ok(may_be)
    }

    fn report(&mut self, fault: Fault) {
        self.broken += 1;
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        }
    }

    /// The verdict, after the last step.
    ///
    /// # Errors
    /// Database failures.
    pub fn end(mut self, connection: &mut Connection) -> Result<Verdict> {
        let awaited = std::mem::take(&mut self.awaited);
        let unsealed = std::mem::take(&mut self.unsealed);
        let (open, inserted): (Vec<i64>, Vec<i64>) = unsealed.iter().partition(|row_id| awaited.contains(*row_id));
        for row_id in inserted {
            let found = match self.faults.len() < MOST_FAULTS {
                true => row::rows_between(connection, row_id, row_id, 1)?.pop().and_then(|(_, row)| row),
                false => None,
            };
            let nameless = Fault { wrong: Wrong::Inserted, row_id, seal_id: None, at: None, resource: None };
            self.report(found.map_or(nameless, |row| fault_of(&row, Wrong::Inserted)));
        }
        if self.expected.is_some() {
            let (row_id, at) = (self.highest.saturating_add(1), None);
            self.report(Fault { wrong: Wrong::HeadMissing, row_id, seal_id: None, at, resource: None });
        }
        self.faults.sort_by_key(|fault| fault.row_id);
        let newer: Sql<BigInt> = Sql::new("SELECT count(*) FROM audit a WHERE a.row_id > ").bind(self.highest);
        let newer: i64 = newer.get_result(connection)?;
        Ok(Verdict {
            head: self.head,
            rows: self.rows,
            erased: self.erased,
            open: newer + open.len() as i64,
            broken: self.broken,
            faults: self.faults,
            unguarded: guard::missing(connection)?,
        })
    }
}

fn fault_of(row: &Row, wrong: Wrong) -> Fault {
    let at: NaiveDateTime = row.at;
    let resource = Some((row.resource_type.clone(), row.resource_id.clone()));
    Fault { wrong, row_id: row.row_id, seal_id: None, at: Some(at.and_utc()), resource }
}
