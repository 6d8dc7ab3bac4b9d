//! The history of a tenant, looked through.

use chrono::{DateTime, Utc};

use super::Operation;
use super::past::{Entry, load};
use crate::scim::Result;
use crate::store::Connection;
use crate::store::sql::Sql;

/// Which changes of a tenant are looked for; all, as far as nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Those that this key asked for.
    pub caller: Option<String>,
    /// Those from this moment on.
    pub since: Option<DateTime<Utc>>,
    /// Those before this moment.
    pub until: Option<DateTime<Utc>>,
    /// Those of resources of this type.
    pub resource_type: Option<String>,
    /// Those of the resource with this SCIM id.
    pub resource_id: Option<String>,
    /// Those of this kind.
    pub operation: Option<Operation>,
    /// Those that come after this one in the order asked for.
    pub after: Option<Place>,
    /// The latest first; otherwise in the order in which they were made.
    pub latest_first: bool,
}

/// The place of a change among those of a tenant: by time, and of one time by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Its row.
    pub row_id: i64,
}

impl Entry {
    /// Its place, from which a search goes on.
    pub fn place(&self) -> Place {
        Place { at: self.at, row_id: self.row_id }
    }
}

/// The changes of a tenant that are looked for, at most `limit`. With a span of time or a resource it costs what these have;
/// otherwise what must be passed over to find as many.
///
/// # Errors
/// Database failures.
pub fn search(connection: &mut Connection, tenant_id: i64, search: &Search, limit: i64) -> Result<Vec<Entry>> {
    let mut condition = Sql::new("a.tenant_id = ").bind(tenant_id);
    let equals = [
        (" AND a.caller = ", search.caller.as_deref()),
        (" AND a.resource_id = ", search.resource_id.as_deref()),
        (" AND a.resource_type = ", search.resource_type.as_deref()),
        (" AND a.operation = ", search.operation.map(Operation::as_str)),
    ];
    for (column, value) in equals {
        condition = match value {
            Some(value) => condition.push(column).bind(value),
            None => condition,
        };
    }
    for (column, moment) in [(" AND a.at >= ", search.since), (" AND a.at < ", search.until)] {
        condition = match moment {
            Some(moment) => condition.push(column).bind(moment.naive_utc()),
            None => condition,
        };
    }
    if let Some(Place { at, row_id }) = search.after {
        condition =
            condition.push(if search.latest_first { " AND (a.at, a.row_id) < (" } else { " AND (a.at, a.row_id) > (" });
        condition = condition.bind(at.naive_utc()).push(", ").bind(row_id).push(")");
    }
    let order = match search.latest_first {
        true => " ORDER BY a.at DESC, a.row_id DESC LIMIT ",
        false => " ORDER BY a.at, a.row_id LIMIT ",
    };
    load(connection, condition.push(order).bind(limit))
}
