//! What a tenant has, in numbers. It costs what the tenant has, and nothing of others.

use chrono::NaiveDateTime;
use diesel::sql_types::{BigInt, Text, Timestamp};

use crate::scim::Result;
use crate::store::sql::Sql;
use crate::store::{Connection, totals};

/// What a tenant has at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its resources by type, in the order of the types' names; types without any are missing.
    pub resources: Vec<TypeCount>,
    /// Its keys, good or not.
    pub keys: i64,
    /// Those that open something.
    pub active_keys: i64,
    /// The changes in its history.
    pub changes: i64,
    /// When a client last changed something that is still there, or deleted something.
    pub last_write: Option<NaiveDateTime>,
}

/// How many resources of one type there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeCount {
    /// The name of the type.
    pub resource_type: String,
    /// Those that clients see.
    pub live: i64,
    /// Those that are deleted and kept.
    pub deleted: i64,
}

/// Looks at all that a tenant has. `now` tells which keys are good.
///
/// # Errors
/// Database failures.
pub fn contents(connection: &mut Connection, tenant_id: i64, now: NaiveDateTime) -> Result<Contents> {
    let (live, deleted) = (totals::by_type(connection, tenant_id)?, buried_by_type(connection, tenant_id)?);
    let mut resources: Vec<TypeCount> =
        live.into_iter().map(|(resource_type, live)| TypeCount { resource_type, live, deleted: 0 }).collect();
    for (resource_type, deleted) in deleted {
        match resources.iter_mut().find(|count| count.resource_type == resource_type) {
            Some(count) => count.deleted = deleted,
            None => resources.push(TypeCount { resource_type, live: 0, deleted }),
        }
    }
    resources.sort_by(|one, other| one.resource_type.cmp(&other.resource_type));
    let mut last_write = None;
    for count in &resources {
        for kind in [Kind::Live, Kind::Buried] {
            last_write = last_write.max(latest(connection, tenant_id, &count.resource_type, kind)?);
        }
    }
    let keys: Sql<(BigInt, BigInt)> =
        Sql::new("SELECT count(*), count(CASE WHEN k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ");
    let keys = keys.bind(now).push(") THEN 1 END) FROM api_keys k WHERE k.tenant_id = ").bind(tenant_id);
    let (keys, active_keys) = keys.get_result(connection)?;
    let changes: Sql<BigInt> = Sql::new("SELECT count(*) FROM audit a WHERE a.tenant_id = ").bind(tenant_id);
    let changes = changes.get_result(connection)?;
    Ok(Contents { resources, keys, active_keys, changes, last_write })
}

/// Each index of `resources` has one kind alone.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Live,
    Buried,
}

impl Kind {
    fn condition(self) -> &'static str {
        match self {
            Kind::Live => " AND r.deleted_at IS NULL",
            Kind::Buried => " AND r.deleted_at IS NOT NULL",
        }
    }
}

fn buried_by_type(connection: &mut Connection, tenant_id: i64) -> Result<Vec<(String, i64)>> {
    let statement: Sql<(Text, BigInt)> =
        Sql::new("SELECT r.resource_type, count(*) FROM resources r WHERE r.tenant_id = ").bind(tenant_id);
    Ok(statement.push(Kind::Buried.condition()).push(" GROUP BY r.resource_type").load(connection)?)
}

fn latest(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    kind: Kind,
) -> Result<Option<NaiveDateTime>> {
    let column = match kind {
        Kind::Live => "r.modified_at",
        Kind::Buried => "r.deleted_at",
    };
    let statement: Sql<Timestamp> = Sql::new("SELECT ").push(column).push(" FROM resources r WHERE r.tenant_id = ");
    let statement = statement.bind(tenant_id).push(" AND r.resource_type = ").bind(resource_type);
    let statement = statement.push(kind.condition()).push(" ORDER BY ").push(column).push(" DESC LIMIT 1");
    Ok(statement.load::<NaiveDateTime>(connection)?.pop())
}
