//! What the history says of a tenant that is deleted goes with it. That there were changes, when and by whom, stays.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use crate::scim::Result;
use crate::store::Connection;
use crate::store::sql::Sql;

/// A place in the history of a tenant, by resource, from which an erasure goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    resource_id: String,
    row_id: i64,
}

/// Erases what the next changes of a tenant say, at most `limit` of them; how many, and where to go on. There is no such
/// place once all are erased. The rows themselves stay.
///
/// # Errors
/// Database failures.
pub fn erase_of_tenant(
    connection: &mut Connection,
    tenant_id: i64,
    after: Option<&Mark>,
    limit: usize,
) -> Result<(usize, Option<Mark>)> {
    let mut statement: Sql<(Text, BigInt)> =
        Sql::new("SELECT a.resource_id, a.row_id FROM audit a WHERE a.tenant_id = ").bind(tenant_id);
    if let Some(Mark { resource_id, row_id }) = after {
        statement = statement.push(" AND (a.resource_id, a.row_id) > (").bind(resource_id.as_str()).push(", ");
        statement = statement.bind(*row_id).push(")");
    }
    let statement = statement.push(" ORDER BY a.resource_id, a.row_id LIMIT ").bind(limit as i64);
    let rows: Vec<(String, i64)> = statement.load(connection)?;
    let mut erased = 0;
    for chunk in rows.chunks(CHUNK) {
        let statement: Sql = Sql::new("UPDATE audit SET changes = '{}' WHERE changes <> '{}' AND row_id IN (");
        let row_ids = chunk.iter().map(|(_, row_id)| *row_id);
        erased += statement.bind_list(row_ids).push(")").uncached().execute(connection)?;
    }
    let last = rows.into_iter().last().map(|(resource_id, row_id)| Mark { resource_id, row_id });
    Ok((erased, last))
}

/// How many values one statement carries.
const CHUNK: usize = 500;
