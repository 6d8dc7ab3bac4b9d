//! Takes away all that a tenant has, piece by piece, so that no write of others waits for long.
//!
//! The order makes it safe to stop anywhere and to begin again: what refers to a resource goes before it, the search index
//! after it, since a start with other schemas makes an index of the resources that it finds. The row of the tenant goes
//! last, and only when nothing is left of the rest. Of the history the contents go, and the rows stay.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp};

use crate::scim::Result;
use crate::store::Connection;
use crate::store::audit;
use crate::store::cell::Cell;
use crate::store::schema::{api_keys, live_totals, tenants};
use crate::store::sql::Sql;
use crate::store::statement::delete_rows;
use crate::store::values::{is_of_tenant, of_tenant};

/// How many resources go at once.
const RESOURCES: i64 = 200;

/// How many changes of the history are erased at once. Each may have to be proven before, so they cost more than other rows.
const CHANGES: usize = 500;

/// How many rows of anything else go at once.
const ROWS: usize = 2_000;

/// The removal of a tenant whose deletion has begun, and how far it has come.
#[derive(Debug, Clone)]
pub struct Removal {
    tenant_id: i64,
    stage: Stage,
}

/// What goes next.
#[derive(Debug, Clone)]
enum Stage {
    Resources,
    SearchIndex,
    UniqueValues,
    /// The changes behind this one.
    History(Option<audit::Mark>),
    Tenant,
}

/// What one piece of work has taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece {
    /// Resources of every type, deleted ones included.
    pub resources: usize,
    /// Changes of the history whose contents are erased.
    pub changes: usize,
    /// Whether that was all: the tenant is no more.
    pub is_last: bool,
}

impl Removal {
    /// From the beginning; what is gone already costs a look.
    pub fn of(tenant_id: i64) -> Removal {
        Removal { tenant_id, stage: Stage::Resources }
    }

    /// Takes the next piece away, and says how to go on. The events of the tenant must be gone before.
    ///
    /// # Errors
    /// Database failures.
    pub fn go_on(&self, connection: &mut Connection) -> Result<(Piece, Removal)> {
        let (tenant_id, mut piece) = (self.tenant_id, Piece::default());
        let stage = match &self.stage {
            Stage::Resources => {
                let rows = some_resources(connection, tenant_id)?;
                if rows.is_empty() {
                    Stage::SearchIndex
                } else {
                    piece.resources = remove(connection, &rows)?;
                    Stage::Resources
                }
            }
            Stage::SearchIndex => match remove_from_index(connection, tenant_id)? {
                true => Stage::UniqueValues,
                false => Stage::SearchIndex,
            },
            Stage::UniqueValues => match remove_unique_values(connection, tenant_id)? {
                true => Stage::History(None),
                false => Stage::UniqueValues,
            },
            Stage::History(after) => {
                let (erased, last) = audit::erase_of_tenant(connection, tenant_id, after.as_ref(), CHANGES)?;
                piece.changes = erased;
                last.map_or(Stage::Tenant, |last| Stage::History(Some(last)))
            }
            Stage::Tenant => {
                // Who began a write before the deletion may have ended it meanwhile.
                match some_resources(connection, tenant_id)?.is_empty() {
                    true => {
                        remove_row(connection, tenant_id)?;
                        piece.is_last = true;
                        Stage::Tenant
                    }
                    false => Stage::Resources,
                }
            }
        };
        Ok((piece, Removal { tenant_id, stage }))
    }
}

/// Events of the tenant that wait for delivery, at most `limit`, by their rows. It may look at many of others, so it is for
/// a read and not for a write.
///
/// # Errors
/// Database failures.
pub fn events(connection: &mut Connection, tenant_id: i64, after: i64, limit: i64) -> Result<Vec<i64>> {
    connection.take_time()?;
    let statement: Sql<BigInt> = Sql::new("SELECT o.row_id FROM outbox o CROSS JOIN audit a WHERE o.row_id > ");
    let statement = statement.bind(after).push(" AND a.row_id = o.audit_row_id AND a.tenant_id = ").bind(tenant_id);
    Ok(statement.push(" ORDER BY o.row_id LIMIT ").bind(limit).load(connection)?)
}

/// Takes events away that will not be delivered any more.
///
/// # Errors
/// Database failures.
pub fn delete_events(connection: &mut Connection, row_ids: &[i64]) -> Result<()> {
    delete_rows(connection, "outbox", ["row_id"], row_ids.iter().map(|row_id| [Cell::from(*row_id)]))?;
    Ok(())
}

fn some_resources(connection: &mut Connection, tenant_id: i64) -> Result<Vec<i64>> {
    // Each index has the live rows or the buried ones.
    for kind in [" AND r.deleted_at IS NULL", " AND r.deleted_at IS NOT NULL"] {
        let statement: Sql<BigInt> = Sql::new("SELECT r.row_id FROM resources r WHERE r.tenant_id = ").bind(tenant_id);
        let rows: Vec<i64> = statement.push(kind).push(" LIMIT ").bind(RESOURCES).load(connection)?;
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    Ok(Vec::new())
}

/// Takes away what belongs to these resources, and the resources themselves unless there was too much of it; how many.
fn remove(connection: &mut Connection, rows: &[i64]) -> Result<usize> {
    let mut left = ROWS;
    for (column, select) in MEMBERSHIPS {
        let statement = of_resources::<(BigInt, BigInt)>(select, column, rows, left);
        let pairs: Vec<(i64, i64)> = statement.load(connection)?;
        let cells = pairs.iter().map(|(group, member)| [Cell::from(*group), Cell::from(*member)]);
        delete_rows(connection, "group_members", ["group_row_id", "member_row_id"], cells)?;
        left = left.saturating_sub(pairs.len());
    }
    let statement = of_resources::<(BigInt, Text)>(
        "SELECT x.group_row_id, x.value FROM unresolved_members x WHERE ",
        "x.group_row_id",
        rows,
        left,
    );
    let unresolved: Vec<(i64, String)> = statement.load(connection)?;
    let cells = unresolved.iter().map(|(group, value)| [Cell::from(*group), Cell::from(value.as_str())]);
    delete_rows(connection, "unresolved_members", ["group_row_id", "value"], cells)?;
    left = left.saturating_sub(unresolved.len());
    let statement =
        of_resources::<(BigInt, Timestamp)>("SELECT x.row_id, x.at FROM touches x WHERE ", "x.row_id", rows, left);
    let touches: Vec<(i64, chrono::NaiveDateTime)> = statement.load(connection)?;
    let cells = touches.iter().map(|(row_id, at)| [Cell::from(*row_id), Cell::from(*at)]);
    delete_rows(connection, "touches", ["row_id", "at"], cells)?;
    if left <= touches.len() {
        return Ok(0);
    }
    let each = || rows.iter().map(|row_id| [Cell::from(*row_id)]);
    delete_rows(connection, "credentials", ["row_id"], each())?;
    Ok(delete_rows(connection, "resources", ["row_id"], each())?)
}

/// The memberships from either end.
const MEMBERSHIPS: [(&str, &str); 2] = [
    ("x.group_row_id", "SELECT x.group_row_id, x.member_row_id FROM group_members x WHERE "),
    ("x.member_row_id", "SELECT x.group_row_id, x.member_row_id FROM group_members x WHERE "),
];

fn of_resources<Row>(select: &'static str, column: &'static str, rows: &[i64], most: usize) -> Sql<Row> {
    let statement = Sql::new(select).push(column).push(" IN (").bind_list(rows.iter().copied());
    statement.push(") LIMIT ").bind(most as i64).uncached()
}

/// Takes the first rows of the search index away; whether none are left.
fn remove_from_index(connection: &mut Connection, tenant_id: i64) -> Result<bool> {
    let last: Sql<(BigInt, Text, BigInt, BigInt)> =
        Sql::new("SELECT v.tenant_path, v.key, v.row_id, v.element FROM resource_values v WHERE ");
    let last = last.append(is_of_tenant(tenant_id));
    let last = last.push(" ORDER BY v.tenant_path, v.key, v.row_id, v.element LIMIT 1 OFFSET ");
    let last: Option<(i64, String, i64, i64)> = last.bind(ROWS as i64 - 1).get_result(connection).optional()?;
    let Some(last) = last else {
        let rest: Sql = Sql::new("DELETE FROM resource_values WHERE ").append(is_of_tenant(tenant_id));
        rest.execute(connection)?;
        return Ok(true);
    };
    index_up_to(tenant_id, last).execute(connection)?;
    Ok(false)
}

/// With one bound on each side: of two, SQLite would take the looser one and walk through all that the tenant has.
fn index_up_to(tenant_id: i64, (tenant_path, key, row_id, element): (i64, String, i64, i64)) -> Sql {
    let statement = Sql::new("DELETE FROM resource_values WHERE tenant_path >= ").bind(*of_tenant(tenant_id).start());
    let statement = statement.push(" AND (tenant_path, key, row_id, element) <= (").bind(tenant_path).push(", ");
    statement.bind(key).push(", ").bind(row_id).push(", ").bind(element).push(")")
}

/// Takes the first unique values away; whether none are left.
fn remove_unique_values(connection: &mut Connection, tenant_id: i64) -> Result<bool> {
    let last: Sql<(Text, Text, Text)> =
        Sql::new("SELECT u.resource_type, u.path, u.key FROM unique_values u WHERE u.tenant_id = ");
    let last = last.bind(tenant_id).push(" ORDER BY u.resource_type, u.path, u.key LIMIT 1 OFFSET ");
    let last: Option<(String, String, String)> = last.bind(ROWS as i64 - 1).get_result(connection).optional()?;
    let statement: Sql = Sql::new("DELETE FROM unique_values WHERE tenant_id = ").bind(tenant_id);
    let Some((resource_type, path, key)) = last else {
        statement.execute(connection)?;
        return Ok(true);
    };
    let statement = statement.push(" AND (resource_type, path, key) <= (").bind(resource_type);
    statement.push(", ").bind(path).push(", ").bind(key).push(")").execute(connection)?;
    Ok(false)
}

fn remove_row(connection: &mut Connection, tenant_id: i64) -> Result<()> {
    diesel::delete(live_totals::table.filter(live_totals::tenant_id.eq(tenant_id))).execute(connection)?;
    diesel::delete(api_keys::table.filter(api_keys::tenant_id.eq(tenant_id))).execute(connection)?;
    diesel::delete(tenants::table.find(tenant_id)).execute(connection)?;
    Ok(())
}

#[cfg(test)]
mod tests;
