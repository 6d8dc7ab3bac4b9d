//! How a database is, what is wrong with it and what to do about it; and the mending of what can be derived.
//!
//! Each check is one [`Finding`]. It is made of what the database says and of nothing that a program could only guess:
//! what cannot be known here says so.

mod database;
mod integrity;
mod keys;
mod names;

use std::ops::RangeInclusive;

use chrono::NaiveDateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Desk, Operation, Route, Turn};
use crate::scim::Result;
use crate::store::condition::{self, Condition, Engine};
use crate::store::{Connection, Reach, members, tenants};

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FindingState")]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be looked at, or not here.
    NotChecked,
    /// Nothing is broken, and something will be, or somebody should know.
    Warning,
    /// Something is broken.
    Wrong,
}

/// One check, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The name of the check, which stays the same whatever it finds.
    pub check: String,
    /// How it is.
    pub state: State,
    /// What was found, in words.
    pub what: String,
    /// What to do about it; absent where there is nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Some of what it is about, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &str, what: impl Into<String>) -> Finding {
        Finding { check: check.to_owned(), state: State::Ok, what: what.into(), advice: None, examples: Vec::new() }
    }

    /// Nobody has looked.
    pub fn not_checked(check: &str, what: impl Into<String>) -> Finding {
        Finding { state: State::NotChecked, ..Finding::ok(check, what) }
    }

    /// Somebody should know.
    pub fn warning(check: &str, what: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { state: State::Warning, advice: Some(advice.into()), ..Finding::ok(check, what) }
    }

    /// Something is broken.
    pub fn wrong(check: &str, what: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { state: State::Wrong, ..Finding::warning(check, what, advice) }
    }

    fn with_examples(self, examples: Vec<String>) -> Finding {
        Finding { examples, ..self }
    }
}

/// Every check, and the place that clients are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// What stands in front of the endpoints in everything that clients are told: `https://scim.example.com/scim/v2`.
    pub base_url: String,
    /// The checks, in a fixed order.
    pub findings: Vec<Finding>,
}

/// How the database and what is in it are. Looks at every row, and changes nothing.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Examine")]
pub struct Examine {}

impl Operation for Examine {
    const ROUTE: Route =
        Route::get("/doctor").named("examine").about("Check the database, and everything in it against the documents");
    type Outcome = Diagnosis;

    async fn carry_out(self, desk: &Desk) -> Result<Diagnosis> {
        diagnosis(desk, false).await
    }
}

/// The same, and whatever follows from the documents is put right: index rows, columns, rows without the other end. No
/// document is touched.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Repair")]
pub struct Repair {}

impl Operation for Repair {
    const ROUTE: Route = Route::post("/doctor/repair")
        .named("repair")
        .about("Check everything, and mend what follows from the documents");
    type Outcome = Diagnosis;

    async fn carry_out(self, desk: &Desk) -> Result<Diagnosis> {
        diagnosis(desk, true).await
    }
}

/// A doctor at work, who has the turn.
struct Examination<'a> {
    desk: &'a Desk,
    turn: Turn,
}

impl Examination<'_> {
    /// Looks into the database. Whoever hangs up ends no look that has begun, so the look has the turn as well.
    async fn look<T: Send + 'static>(
        &self,
        reach: Reach,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.turn.clone();
        let work = move |connection: &mut Connection| {
            let _turn = turn;
            work(connection)
        };
        self.desk.store.read(reach, work).await
    }
}

async fn diagnosis(desk: &Desk, repair: bool) -> Result<Diagnosis> {
    let examination = Examination { desk, turn: desk.turns.examination()? };
    let asked_at = desk.now().naive_utc();
    let condition = examination.look(Reach::Scan, condition::of).await?;
    let asked = asked_at..=desk.now().naive_utc();
    let mut findings = database::findings(&condition);
    if condition.pending_migrations.is_empty() {
        findings.push(structure(&examination).await?);
        findings.push(clock(&examination, &condition, &asked).await?);
        findings.push(schemas(&examination).await?);
        findings.push(names::finding(desk));
        findings.push(keys::finding(&examination).await?);
        findings.push(unresolved_members(&examination).await?);
        findings.extend(integrity::findings(&examination, repair).await?);
    } else {
        let rest = ["structure", "clock", "schemas", "clientNames", "keys", "unresolvedMembers"];
        let rest = rest.into_iter().chain(integrity::checks());
        findings.extend(rest.map(|check| Finding::not_checked(check, "the tables are not up to date")));
    }
    Ok(Diagnosis { base_url: desk.provider.base_url().to_owned(), findings })
}

async fn structure(examination: &Examination<'_>) -> Result<Finding> {
    const CHECK: &str = "structure";
    Ok(match examination.look(Reach::Scan, condition::structure).await? {
        None => {
            Finding::not_checked(CHECK, "PostgreSQL looks after its pages itself; `pg_amcheck` looks at all of them")
        }
        Some(found) if found.is_empty() => Finding::ok(CHECK, "the file of the database is sound"),
        Some(found) => Finding::wrong(
            CHECK,
            format!("the file of the database is damaged ({})", found[0]),
            "stop scimd, keep a copy of the file, and go back to the last good backup",
        )
        .with_examples(found),
    })
}

/// Clocks of two machines are never the same.
const TOLERATED_SECONDS: i64 = 2;

/// `asked` is the time in which the database told its own.
async fn clock(
    examination: &Examination<'_>,
    condition: &Condition,
    asked: &RangeInclusive<NaiveDateTime>,
) -> Result<Finding> {
    let last = examination.look(Reach::Point, condition::last_change).await?;
    Ok(judge_clock(examination.desk.now().naive_utc(), last, condition, asked))
}

fn judge_clock(
    now: NaiveDateTime,
    last: Option<NaiveDateTime>,
    condition: &Condition,
    asked: &RangeInclusive<NaiveDateTime>,
) -> Finding {
    const CHECK: &str = "clock";
    const ADVICE: &str = "set the clock, and have it kept by NTP";
    let ahead = last.map_or(0, |last| (last - now).num_seconds());
    if ahead >= TOLERATED_SECONDS {
        let what = format!("the clock says {now}, and the last change in the history is {ahead} seconds later");
        return Finding::wrong(CHECK, what, ADVICE);
    }
    let Engine::Postgres(postgres) = &condition.engine else {
        return Finding::ok(CHECK, "the clock is not behind the history");
    };
    let apart = (*asked.start() - postgres.now).max(postgres.now - *asked.end()).num_seconds();
    if apart >= TOLERATED_SECONDS {
        let what = format!("the clock here and that of the database are {apart} seconds apart");
        return Finding::warning(CHECK, what, ADVICE);
    }
    Finding::ok(CHECK, "the clock is not behind the history, and agrees with that of the database")
}

async fn schemas(examination: &Examination<'_>) -> Result<Finding> {
    const CHECK: &str = "schemas";
    let registry = examination.desk.provider.registry();
    let differing = examination.look(Reach::Scan, move |c| tenants::kept_for_other_schemas(c, registry)).await?;
    if differing.is_empty() {
        return Ok(Finding::ok(CHECK, "the data is kept for the schemas in force"));
    }
    let what = format!(
        "the data of {} is kept for other schemas than those in force here",
        counted(differing.len(), "tenant")
    );
    let advice =
        "start the server with these schemas, or give this command those of the server (`--schemas`, `--passwords`)";
    Ok(Finding::warning(CHECK, what, advice).with_examples(differing))
}

async fn unresolved_members(examination: &Examination<'_>) -> Result<Finding> {
    const CHECK: &str = "unresolvedMembers";
    let look = |connection: &mut Connection| {
        let (mut total, mut groups, mut examples) = (0, 0, Vec::new());
        for tenant in tenants::list(connection)? {
            let (mut after, mut is_last) = (String::new(), false);
            while !is_last {
                let found = members::unresolved_by_group(connection, tenant.tenant_id, &after, PIECE)?;
                is_last = (found.len() as i64) < PIECE;
                after = found.last().map(|(id, ..)| id.clone()).unwrap_or_default();
                total += found.iter().map(|(.., count)| count).sum::<i64>();
                groups += found.len();
                let shown = found.iter().take(MOST_EXAMPLES - examples.len());
                examples.extend(shown.map(|(id, _, count)| format!("tenant {}: Group {id}: {count}", tenant.name)));
            }
        }
        Ok((total, groups, examples))
    };
    let (total, groups, examples) = examination.look(Reach::Scan, look).await?;
    if total == 0 {
        return Ok(Finding::ok(CHECK, "every member of every group is there"));
    }
    let what = format!(
        "{} of {} {} not there",
        counted(total as usize, "member"),
        counted(groups, "group"),
        if total == 1 { "is" } else { "are" }
    );
    let advice = "somebody may lack access that a group should give: have the identity provider push these users again";
    Ok(Finding::warning(CHECK, what, advice).with_examples(examples))
}

/// How many groups are read at once.
const PIECE: i64 = 1000;

/// How many examples a finding has at most.
const MOST_EXAMPLES: usize = 20;

/// `1 key`, `2 keys`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::condition::{Postgres, Sqlite};

    fn at(text: &str) -> NaiveDateTime {
        text.parse().expect("a time")
    }

    pub(super) fn sqlite() -> Condition {
        let version = "3.50.4".to_owned();
        let engine = Sqlite { version, journal_mode: "wal".to_owned(), synchronous: 2, foreign_keys: true };
        Condition { engine: Engine::Sqlite(engine), pending_migrations: Vec::new() }
    }

    pub(super) fn postgres() -> Postgres {
        let on = |name| (name, "on".to_owned());
        Postgres {
            version: "17.5".to_owned(),
            durability: ["fsync", "full_page_writes", "synchronous_commit"].map(on).to_vec(),
            encoding: "UTF8".to_owned(),
            connections: 10,
            most_connections: 97,
            now: at("2026-03-01T12:00:00"),
        }
    }

    #[test]
    fn a_clock_behind_the_history_is_wrong() {
        let state = |now: &str, condition: &Condition| {
            judge_clock(at(now), Some(at("2026-03-01T12:00:00")), condition, &(at(now)..=at(now))).state
        };
        assert_eq!(state("2026-03-01T12:00:00", &sqlite()), State::Ok);
        assert_eq!(state("2026-03-01T11:59:59", &sqlite()), State::Ok);
        assert_eq!(state("2026-03-01T11:59:58", &sqlite()), State::Wrong);
        let past = at("2020-01-01T00:00:00");
        assert_eq!(judge_clock(past, None, &sqlite(), &(past..=past)).state, State::Ok, "nothing to compare with");
        let condition = Condition { engine: Engine::Postgres(postgres()), pending_migrations: Vec::new() };
        assert_eq!(state("2026-03-01T12:00:01", &condition), State::Ok);
        assert_eq!(state("2026-03-01T12:00:02", &condition), State::Warning);
        assert_eq!(state("2026-03-01T11:00:00", &condition), State::Wrong);
        // The database was slow to answer, and its clock is right.
        let (now, slow) = (at("2026-03-01T12:10:00"), at("2026-03-01T11:50:00")..=at("2026-03-01T12:10:00"));
        assert_eq!(judge_clock(now, None, &condition, &slow).state, State::Ok);
    }
}
