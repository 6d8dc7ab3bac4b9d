//! The resources of a type, page by page: live ones, deleted ones, or both, all of them or those that satisfy a filter.

use chrono::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Entry, filled_by_others, resource_type};
use crate::admin::{Desk, Operation, Page, Route, no_next_page, page_size};
use crate::provider::{Call, Paged, Representation};
use crate::scim::cursor::{Binding, Cursor, Direction, Position};
use crate::scim::query::{Parameters, Query};
use crate::scim::schema::{ResourceType, Role};
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::resources::{self, Burial};
use crate::store::{Connection, Reach};

/// Resources of a type: the live ones in the order of their creation, then, if they are asked for, the deleted ones,
/// latest first. Without members and groups.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct List {
    /// The name of the tenant.
    pub tenant: String,
    /// The endpoint of the resource type: `Users`, `Groups`, or one of your own.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Which of them; the live ones without it.
    #[serde(default)]
    pub which: Which,
    /// A SCIM filter (RFC 7644 §3.4.2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most to list on one page; 100 without it, 1000 at most. That of the first page holds for those that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Which resources are meant.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "WhichResources")]
pub enum Which {
    /// Those that clients see.
    #[default]
    Live,
    /// Those that clients have deleted.
    Deleted,
    /// Both.
    All,
}

/// A page of resources. One of deleted ones that satisfy a filter may be short, even empty, and have a `next` all the same:
/// so many were looked at.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ResourceList")]
pub struct Listing {
    /// What stands on it, and what to ask for next.
    #[serde(flatten)]
    pub page: Page<Entry>,
    /// How many there are on all pages; told of live ones alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl Operation for List {
    const ROUTE: Route = Route::get("/tenants/{tenant}/resources/{type}")
        .named("listResources")
        .about("The resources of a type, live or deleted, or those that satisfy a filter");
    type Outcome = Listing;

    async fn carry_out(self, desk: &Desk) -> Result<Listing> {
        let tenant = desk.tenant(&self.tenant).await?;
        let resource_type = resource_type(desk, &self.resource_type).await?;
        let call = desk.call(&tenant);
        let list = Walk { desk, call, resource_type, which: self.which, filter: self.filter };
        let place = match &self.after {
            Some(after) => list.place(after)?,
            None if self.which == Which::Deleted => Place::Deleted(None),
            None => Place::Live(String::new()),
        };
        list.page(place, page_size(self.limit) as usize).await
    }
}

/// Where a page begins.
enum Place {
    /// Among the live ones, at this cursor of SCIM; empty at the beginning.
    Live(String),
    /// Among the deleted ones, behind this one.
    Deleted(Option<Burial>),
}

/// What stands before the cursor of a place, by the part of the list that it is in.
const LIVE: &str = "l.";
const DELETED: &str = "d.";

/// A list that is walked.
struct Walk<'a> {
    desk: &'a Desk,
    call: Call,
    resource_type: &'static ResourceType,
    which: Which,
    filter: Option<String>,
}

impl Walk<'_> {
    fn place(&self, after: &str) -> Result<Place> {
        match (after.strip_prefix(LIVE), after.strip_prefix(DELETED)) {
            (Some(cursor), _) if self.which != Which::Deleted && !cursor.is_empty() => {
                Ok(Place::Live(cursor.to_owned()))
            }
            (_, Some("")) if self.which == Which::All => Ok(Place::Deleted(None)),
            (_, Some(cursor)) if self.which != Which::Live => {
                self.open(cursor).map(|burial| Place::Deleted(Some(burial)))
            }
            _ => Err(no_next_page()),
        }
    }

    async fn page(&self, place: Place, limit: usize) -> Result<Listing> {
        let (items, next, total) = match place {
            Place::Live(cursor) => self.live(cursor, limit).await.map_err(of_after)?,
            Place::Deleted(after) => {
                let (items, next) = self.deleted(after, limit).await?;
                (items, next, None)
            }
        };
        Ok(Listing { page: Page { items, next }, total })
    }

    async fn live(&self, cursor: String, limit: usize) -> Result<(Vec<Entry>, Option<String>, Option<u64>)> {
        let count = cursor.is_empty().then_some(limit);
        let query = self.query(Some(cursor), count)?;
        let results = self.desk.provider.search(self.call.clone(), vec![query]).await?;
        let items = self.named(results.resources.iter().map(Representation::members).collect::<Result<_>>()?).await?;
        let next = match results.paged {
            Paged::ByCursor { next: Some(cursor), .. } => Some(format!("{LIVE}{cursor}")),
            _ if self.which == Which::All && self.has_deleted().await? => Some(DELETED.to_owned()),
            _ => None,
        };
        Ok((items, next, (self.which == Which::Live).then_some(results.total)))
    }

    async fn named(&self, bodies: Vec<Map<String, Value>>) -> Result<Vec<Entry>> {
        let entries = bodies.into_iter().map(|body| Entry::live(self.resource_type, body, None));
        let mut entries: Vec<Entry> = entries.collect();
        let ids: Vec<String> = entries.iter().map(|entry| entry.id().to_owned()).collect();
        let tenant_id = self.call.caller.tenant_id;
        let read = move |connection: &mut Connection| resources::internal_names(connection, tenant_id, &ids);
        let mut names = self.desk.store.read(Reach::Scan, read).await?;
        for entry in &mut entries {
            entry.name = names.remove(entry.id());
        }
        Ok(entries)
    }

    /// Whether there is more to look at behind the live ones.
    async fn has_deleted(&self) -> Result<bool> {
        let (items, next) = self.deleted(None, 1).await?;
        Ok(!items.is_empty() || next.is_some())
    }

    async fn deleted(&self, after: Option<Burial>, limit: usize) -> Result<(Vec<Entry>, Option<String>)> {
        let query = self.query(None, None)?;
        let stretch = self.desk.provider.search_deleted(&self.call, query, after, limit).await?;
        let items = stretch.found.into_iter().map(|deleted| Entry::deleted(self.resource_type, deleted));
        let items = items.collect::<Result<_>>()?;
        Ok((items, stretch.next.map(|burial| self.seal(burial)).transpose()?))
    }

    fn query(&self, cursor: Option<String>, count: Option<usize>) -> Result<Query> {
        let parameters = Parameters {
            filter: self.filter.clone(),
            cursor,
            count: count.map(|count| count.to_string()),
            excluded_attributes: filled_by_others(self.resource_type, &[Role::Members, Role::Groups]),
            ..Parameters::default()
        };
        Query::resolve(&parameters, self.resource_type, Profile::Compat)
    }

    fn seal(&self, burial: Burial) -> Result<String> {
        let position = Position { key: Some(burial.at.to_rfc3339()), row_id: burial.row_id };
        let cursor = Cursor { position, direction: Direction::Forward, count: 0 };
        let sealed = cursor.seal(&self.call.caller.cursor_secret, &self.binding(), self.desk.now())?;
        Ok(format!("{DELETED}{sealed}"))
    }

    fn open(&self, cursor: &str) -> Result<Burial> {
        let secret = &self.call.caller.cursor_secret;
        let cursor = Cursor::open(cursor, secret, &self.binding(), self.desk.now()).map_err(of_after)?;
        let at = cursor.position.key.and_then(|key| DateTime::parse_from_rfc3339(&key).ok());
        at.map(|at| Burial { at: at.to_utc(), row_id: cursor.position.row_id }).ok_or_else(no_next_page)
    }

    fn binding(&self) -> Binding {
        let parts = [Some("deleted"), Some(&self.call.caller.tenant), Some(&self.resource_type.endpoint)];
        parts.into_iter().chain([self.filter.as_deref()]).fold(Binding::default(), Binding::with)
    }
}

/// What is wrong with a cursor, said of `after`.
fn of_after(error: Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidCursor => no_next_page(),
        ErrorKind::ExpiredCursor => Error::new(
            ErrorKind::InvalidValue,
            "The page before is too old to go on from; begin again without `after`.",
        ),
        _ => error,
    }
}
