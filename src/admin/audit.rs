//! The history of all resources: looked through, and proven.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Desk, Operation, Page, Route, keys, no_next_page, page_size};
use crate::provider::Progress;
use crate::scim::resource::format_instant;
use crate::scim::{Error, ErrorKind, Result, shortened};
use crate::store::audit::{self, Entry, NO_VERSION, Place, Search, Wrong};

/// A change as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HistoryEntry")]
pub struct Shown {
    /// Its row in the history, which verification speaks of.
    pub row: i64,
    /// When it was made.
    #[serde(with = "crate::scim::resource::instant")]
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
    /// The id of the key that asked for it, or the operator's command.
    pub key: String,
    /// What operators call that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The request that it came with; absent where no request brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What was done.
    pub operation: String,
    /// The type of the resource; `Key` and `Tenant` for what operators look after.
    pub resource_type: String,
    /// The SCIM id of the resource, the id of the key, the number of the tenant.
    pub id: String,
    /// The version after it; absent where it made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Whether what changed is erased, for the resource was purged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// Before and after of what changed.
    pub changes: Value,
}

impl Shown {
    fn of(entry: Entry, names: &HashMap<String, String>) -> Shown {
        Shown {
            row: entry.row_id,
            at: entry.at,
            key_name: names.get(&entry.caller).cloned(),
            key: entry.caller,
            request_id: Some(entry.request_id).filter(|id| !id.is_empty()),
            operation: entry.operation.as_str().to_owned(),
            resource_type: entry.resource_type,
            id: entry.resource_id,
            version: Some(entry.version).filter(|version| *version != NO_VERSION),
            erased: entry.erased,
            changes: entry.changes,
        }
    }
}

/// The changes in a tenant, the latest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct List {
    /// The name of the tenant.
    pub tenant: String,
    /// Those that this key asked for; `operator` for what was done where the database is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Those from this time on.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub since: Option<DateTime<Utc>>,
    /// Those before this time.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub until: Option<DateTime<Utc>>,
    /// Those of resources of this type: `User`, `Group`; what operators do is `Key` and `Tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Those of the resource with this SCIM id, of the key with this id, of the tenant with this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Those of this kind: `create`, `replace`, `modify`, `delete`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The oldest first instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_first: Option<bool>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most to list on one page; 100 without it, 1000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Operation for List {
    const ROUTE: Route = Route::get("/tenants/{tenant}/changes")
        .named("listChanges")
        .about("The changes of all resources of a tenant, the latest first");
    type Outcome = Page<Shown>;

    async fn carry_out(self, desk: &Desk) -> Result<Page<Shown>> {
        let limit = page_size(self.limit);
        let search = Search {
            caller: self.key.as_deref().map(keys::caller_in),
            resource_type: self.resource_type,
            since: self.since,
            until: self.until,
            resource_id: self.id,
            operation: self.operation.as_deref().map(kind).transpose()?,
            after: self.after.as_deref().map(place).transpose()?,
            latest_first: self.oldest_first != Some(true),
        };
        let tenant_id = desk.tenant(&self.tenant).await?.tenant_id;
        let mut found = desk.provider.changes(tenant_id, search, limit + 1).await?;
        let has_more = found.len() as i64 > limit;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| has_more).map(|last| mark(last.place()));
        let names = desk.key_names(found.iter().map(|entry| entry.caller.clone()).collect()).await?;
        Ok(Page { items: found.into_iter().map(|entry| Shown::of(entry, &names)).collect(), next })
    }
}

/// The kinds of change, as they are written.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    audit::Operation::ALL.into_iter().map(audit::Operation::as_str)
}

fn kind(word: &str) -> Result<audit::Operation> {
    audit::Operation::ALL.into_iter().find(|operation| operation.as_str() == word).ok_or_else(|| {
        let words: Vec<String> = kinds().map(|word| format!("`{word}`")).collect();
        let detail = format!("The history knows no such operation. There are: {}.", words.join(", "));
        Error::new(ErrorKind::InvalidValue, detail)
    })
}

/// Where the next page begins.
fn mark(Place { at, row_id }: Place) -> String {
    format!("{}-{row_id}", at.timestamp_nanos_opt().unwrap_or_default())
}

fn place(after: &str) -> Result<Place> {
    let place = after.split_once('-').and_then(|(at, row_id)| {
        Some(Place { at: DateTime::from_timestamp_nanos(at.parse().ok()?), row_id: row_id.parse().ok()? })
    });
    place.ok_or_else(no_next_page)
}

/// The proof of the history of all tenants: what is not sealed yet is sealed, then every change is held against the chain.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "VerifyHistory")]
pub struct Verify {
    /// The hash of a head of earlier times, which must still be part of the chain: only that tells whether the end was cut
    /// off, or everything made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

impl Operation for Verify {
    const ROUTE: Route = Route::post("/history/verification")
        .named("verifyHistory")
        .about("Prove that the history is as it was written; one at a time")
        .looking();
    type Outcome = Verdict;

    async fn carry_out(self, desk: &Desk) -> Result<Verdict> {
        self.carry_out_telling(desk, |_| {}).await
    }
}

impl Verify {
    /// The same, and tells how far it is.
    ///
    /// # Errors
    /// `InvalidValue` for an expected hash that is none; `Busy` while somebody else does it; database failures.
    pub async fn carry_out_telling(self, desk: &Desk, told: impl Fn(Progress)) -> Result<Verdict> {
        let expected = self.expect.as_deref().map(hash).transpose()?;
        let _turn = desk.turns.verification()?;
        Ok(Verdict::of(desk.provider.verify(expected, told).await?))
    }
}

/// The hash of a head in what an operator writes.
fn hash(text: &str) -> Result<String> {
    let hash = text.trim().to_ascii_lowercase();
    if audit::Head::is_hash(&hash) {
        return Ok(hash);
    }
    let detail = format!("'{}' is no hash of a head: that has 64 hexadecimal digits.", shortened(&hash));
    Err(Error::new(ErrorKind::InvalidValue, detail))
}

/// What the proof has found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether everything is as it was written.
    pub intact: bool,
    /// The end of the chain; absent where there is no history. Keep its hash elsewhere, and expect it of later proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// How many changes were looked at.
    pub changes: i64,
    /// How many of them are erased.
    pub erased: i64,
    /// How many are not sealed yet: made during the proof, or nothing can be written.
    pub open: i64,
    /// How much is wrong.
    pub broken: usize,
    /// What is wrong, in the order of the rows; a hundred things at most.
    pub faults: Vec<Fault>,
    /// What makes the database refuse to rewrite the history, and is missing or switched off: triggers and constraints by
    /// their names. Somebody has done that.
    #[serde(default)]
    pub unguarded: Vec<String>,
}

/// The end of the chain.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The number of the last seal.
    pub seal: i64,
    /// When it was made.
    #[serde(with = "crate::scim::resource::instant")]
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
    /// How many changes are sealed.
    pub changes: i64,
    /// What proves them.
    pub hash: String,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What is wrong: `changed`, `outOfOrder`, `missing`, `inserted`, `erased`, `sealChanged`, `sealMissing`,
    /// `sealInserted` or `headMissing`.
    pub wrong: String,
    /// The same in a sentence.
    pub detail: String,
    /// The row of the history, or the first one that it is about.
    pub row: i64,
    /// The seal that the row belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<i64>,
    /// The time of the change as its row says now, or when it was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub at: Option<DateTime<Utc>>,
    /// The type of the resource, as the row says now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// The SCIM id, as the row says now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Verdict {
    fn of(verdict: audit::Verdict) -> Verdict {
        let head =
            verdict.head.map(|head| Head { seal: head.seal_id, at: head.at, changes: head.rows, hash: head.hash });
        Verdict {
            intact: verdict.broken == 0,
            head,
            changes: verdict.rows,
            erased: verdict.erased,
            open: verdict.open,
            broken: verdict.broken,
            faults: verdict.faults.into_iter().map(Fault::of).collect(),
            unguarded: verdict.unguarded.into_iter().map(str::to_owned).collect(),
        }
    }
}

impl Fault {
    fn of(fault: audit::Fault) -> Fault {
        let row = fault.row_id;
        let about = fault.resource.as_ref().map(|(resource_type, id)| format!("{resource_type} {id}"));
        let known: Vec<String> = fault.at.map(format_instant).into_iter().chain(about).collect();
        let shown = if known.is_empty() { format!("Row {row}") } else { format!("Row {row} ({})", known.join(", ")) };
        let (wrong, detail) = match fault.wrong {
            Wrong::Changed => ("changed", format!("{shown} is not what was sealed.")),
            Wrong::OutOfOrder(other) => ("outOfOrder", format!("{shown} holds what row {other} held.")),
            Wrong::Missing => ("missing", format!("{shown} is gone.")),
            Wrong::Inserted => ("inserted", format!("{shown} was put in afterwards.")),
            Wrong::Erased => ("erased", format!("{shown} lost what it said, and nobody has purged that.")),
            Wrong::SealChanged => ("sealChanged", format!("{shown} begins a seal that is not what it was.")),
            Wrong::SealMissing => ("sealMissing", format!("{shown} begins a seal that is gone.")),
            Wrong::SealInserted => {
                let number = fault.seal_id.unwrap_or_default();
                ("sealInserted", format!("The seal {number} was put in: the numbers of seals begin with 1."))
            }
            Wrong::HeadMissing => {
                let detail = "The expected head is not part of the chain: it was made anew, or its end cut off.";
                ("headMissing", detail.to_owned())
            }
        };
        let (resource_type, id) = fault.resource.unzip();
        Fault { wrong: wrong.to_owned(), detail, row, seal: fault.seal_id, at: fault.at, resource_type, id }
    }
}
