//! The one thing that may happen to a change after its commit: what it says of somebody is erased. That there was a
//! change, when, by whom and of which resource, stays, and so does what proves it.

use diesel::sql_types::BigInt;

use super::Operation;
use super::row::{self, ERASED, Row};
use crate::scim::Result;
use crate::store::Connection;
use crate::store::sql::Sql;

/// How many changes of a resource say something that [`erase`] would erase.
///
/// # Errors
/// Database failures.
pub fn erasable(connection: &mut Connection, tenant_id: i64, resource_type: &str, resource_id: &str) -> Result<i64> {
    let statement: Sql<BigInt> = Sql::new("SELECT count(*) FROM audit a WHERE ");
    Ok(statement.append(of_resource(tenant_id, resource_type, resource_id)).get_result(connection)?)
}

/// Erases what the next changes of a resource say, behind a place in the history, at most `limit` of them, oldest first; how
/// many, and where to go on. There is no such place once all are erased.
///
/// # Errors
/// Database failures.
pub fn erase(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    resource_id: &str,
    behind: Option<i64>,
    limit: usize,
) -> Result<(usize, Option<i64>)> {
    let mut condition = of_resource(tenant_id, resource_type, resource_id);
    if let Some(row_id) = behind {
        condition = condition.push(" AND a.row_id > ").bind(row_id);
    }
    let condition = condition.push(" ORDER BY a.row_id LIMIT ").bind(limit as i64).push(connection.lock_clause());
    let rows = row::rows(connection, condition)?;
    rows.iter().try_for_each(|row| erase_row(connection, row))?;
    Ok((rows.len(), rows.last().map(|row| row.row_id).filter(|_| rows.len() == limit)))
}

/// A place in the history of a tenant, by resource, from which an erasure goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    resource_id: String,
    row_id: i64,
}

/// Erases what the next changes of a tenant say that is deleted, at most `limit` of them; how many, and where to go on. There
/// is no such place once all are erased. The rows themselves stay, for the chain holds those of all tenants.
///
/// # Errors
/// Database failures.
pub fn erase_of_tenant(
    connection: &mut Connection,
    tenant_id: i64,
    after: Option<&Mark>,
    limit: usize,
) -> Result<(usize, Option<Mark>)> {
    let mut condition = Sql::new("a.tenant_id = ").bind(tenant_id).push(" AND a.erased IS NULL");
    if let Some(Mark { resource_id, row_id }) = after {
        condition = condition.push(" AND (a.resource_id, a.row_id) > (").bind(resource_id.as_str()).push(", ");
        condition = condition.bind(*row_id).push(")");
    }
    let condition = condition.push(" ORDER BY a.resource_id, a.row_id LIMIT ").bind(limit as i64);
    let rows = row::rows(connection, condition.push(connection.lock_clause()))?;
    rows.iter().try_for_each(|row| erase_row(connection, row))?;
    let erased = rows.len();
    let last = rows.into_iter().last().map(|Row { resource_id, row_id, .. }| Mark { resource_id, row_id });
    Ok((erased, last))
}

/// Whether something tells why changes of a resource are erased: its purge in the history, or the deletion of the tenant.
///
/// # Errors
/// Database failures.
pub(super) fn is_explained(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    resource_id: &str,
) -> Result<bool> {
    let purge: Sql<BigInt> = Sql::new("SELECT a.row_id FROM audit a WHERE a.tenant_id = ").bind(tenant_id);
    let purge = purge.push(" AND a.resource_id = ").bind(resource_id);
    let purge = purge.push(" AND a.resource_type = ").bind(resource_type).push(" AND a.operation = ");
    let purge = purge.bind(Operation::Purge.as_str()).push(" LIMIT 1");
    if !purge.load::<i64>(connection)?.is_empty() {
        return Ok(true);
    }
    let tenant: Sql<BigInt> =
        Sql::new("SELECT t.tenant_id FROM tenants t WHERE t.deleted_at IS NULL AND t.tenant_id = ");
    Ok(tenant.bind(tenant_id).load::<i64>(connection)?.is_empty())
}

/// Of the type, too: whoever imports a resource under the id of a key can't have the history of the key erased with it. The
/// record of a purge tells of the erasure, and of nobody.
fn of_resource(tenant_id: i64, resource_type: &str, resource_id: &str) -> Sql {
    let rows = Sql::new("a.tenant_id = ").bind(tenant_id).push(" AND a.resource_id = ").bind(resource_id);
    let rows = rows.push(" AND a.resource_type = ").bind(resource_type);
    rows.push(" AND a.erased IS NULL AND a.operation <> ").bind(Operation::Purge.as_str())
}

fn erase_row(connection: &mut Connection, row: &Row) -> Result<()> {
    let content = row.prove(connection)?;
    let statement: Sql = Sql::new("UPDATE audit SET salt = NULL, changes = ").bind(ERASED).push(", erased = ");
    let statement = statement.bind(content).push(" WHERE row_id = ").bind(row.row_id);
    statement.push(" AND erased IS NULL").execute(connection)?;
    Ok(())
}
