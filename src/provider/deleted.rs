//! The deleted resources, which no client sees: listed and searched for operators.
//!
//! The search index has the live ones alone, so a filter is held against the resources themselves, some at a time.

use chrono::{DateTime, Utc};

use super::{Call, Provider, Representation};
use crate::auth::Access;
use crate::scim::Result;
use crate::scim::query::Query;
use crate::store::resources::{self, Burial, StoredText};
use crate::store::{Connection, Reach};

/// How many resources one read takes.
const AT_ONCE: usize = 500;

/// The most resources that are looked at for one page: whoever wants more goes on from its end.
const LOOKED_AT: usize = 4 * AT_ONCE;

/// A deleted resource.
#[derive(Debug)]
pub struct Deleted {
    /// Its last state, as clients would see it.
    pub representation: Representation,
    /// The name that it had as a group for applications and people.
    pub name: Option<String>,
    /// When it was deleted.
    pub at: DateTime<Utc>,
    /// The id of the key that deleted it, or `operator`.
    pub by: String,
    place: Burial,
}

/// A page of deleted resources.
#[derive(Debug, Default)]
pub struct Stretch {
    /// Those found, latest first.
    pub found: Vec<Deleted>,
    /// Where to go on; `None` when everything was looked at.
    pub next: Option<Burial>,
}

impl Provider {
    /// The deleted resources that satisfy the condition of a query, latest first, at most `limit`, behind a place. The rest
    /// of the query is its projection. A page may end early, even without anything found, and goes on at its `next`.
    ///
    /// # Errors
    /// 403; database failures.
    pub async fn search_deleted(
        &self,
        call: &Call,
        query: Query,
        after: Option<Burial>,
        limit: usize,
    ) -> Result<Stretch> {
        call.may(Access::Read, query.resource_type)?;
        let (mut found, mut place, mut looked_at) = (Vec::new(), after, 0);
        // One more than is wanted, to know whether there are more.
        while found.len() <= limit && looked_at < LOOKED_AT {
            let count = if query.condition.is_some() { AT_ONCE } else { AT_ONCE.min(limit + 1 - found.len()) };
            let (provider, query, tenant_id, from) = (self.clone(), query.clone(), call.caller.tenant_id, place);
            let piece = move |connection: &mut Connection| provider.piece(connection, tenant_id, &query, from, count);
            let (deleted, end) = self.store.read(Reach::Scan, piece).await?;
            found.extend(deleted);
            looked_at += count;
            place = end;
            if place.is_none() {
                break;
            }
        }
        if found.len() > limit {
            found.truncate(limit);
            place = found.last().map(|last: &Deleted| last.place).or(after);
        }
        Ok(Stretch { found, next: place })
    }

    /// Those among the next `count` that satisfy the query, and where these end; `None` if they are the last.
    fn piece(
        &self,
        connection: &mut Connection,
        tenant_id: i64,
        query: &Query,
        after: Option<Burial>,
        count: usize,
    ) -> Result<(Vec<Deleted>, Option<Burial>)> {
        let name = &query.resource_type.name;
        let page = resources::list_buried(connection, tenant_id, name, after, count as i64)?;
        let burials: Vec<Burial> = page.iter().filter_map(StoredText::burial).collect();
        let next = burials.last().copied().filter(|_| page.len() == count);
        let known: Vec<_> = page.iter().map(|stored| (stored.name.clone(), stored.deleted.clone())).collect();
        let assembler = self.assembler(tenant_id, query.resource_type, &query.projection);
        let shown = assembler.matching(connection, &page, query.condition.as_ref())?;
        let found =
            shown.into_iter().zip(known).zip(burials).filter_map(|((representation, (name, deleted)), place)| {
                let (at, by) = deleted?;
                Some(Deleted { representation: representation?, name, at, by, place })
            });
        Ok((found.collect(), next))
    }
}
