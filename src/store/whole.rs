//! A tenant's resources, all of them, a stretch at a time: for what takes everything along.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Text};
use serde_json::{Map, Value};

use super::Connection;
use super::resources::{ROW_COLUMNS, Row, RowType, StoredResource};
use super::sql::Sql;
use crate::scim::{Error, Result};

/// The rows of a tenant's resources of some types, in the order of their creation: eight bytes for each.
///
/// # Errors
/// Database failures.
pub fn row_ids(connection: &mut Connection, tenant_id: i64, types: &[&str], with_buried: bool) -> Result<Vec<i64>> {
    let mut row_ids: Vec<i64> = Vec::new();
    for resource_type in types {
        let is_live: &[&str] = match with_buried {
            true => &[" AND r.deleted_at IS NULL", " AND r.deleted_at IS NOT NULL AND r.purged_at IS NULL"],
            false => &[" AND r.deleted_at IS NULL"],
        };
        for condition in is_live {
            let statement: Sql<BigInt> = Sql::new("SELECT r.row_id FROM resources r WHERE r.tenant_id = ");
            let statement = statement.bind(tenant_id).push(" AND r.resource_type = ").bind(*resource_type);
            row_ids.extend(statement.push(condition).load::<i64>(connection)?);
        }
    }
    row_ids.sort_unstable();
    Ok(row_ids)
}

/// Of which types there are resources in a tenant.
///
/// # Errors
/// Database failures.
pub fn types(connection: &mut Connection, tenant_id: i64, with_buried: bool) -> Result<Vec<String>> {
    let statement: Sql<Text> = Sql::new("SELECT DISTINCT r.resource_type FROM resources r WHERE r.tenant_id = ");
    let statement = statement.bind(tenant_id).push(match with_buried {
        true => " AND r.purged_at IS NULL",
        false => " AND r.deleted_at IS NULL",
    });
    Ok(statement.push(" ORDER BY 1").load(connection)?)
}

/// The resources of these rows, live or buried, in the order of creation.
///
/// # Errors
/// Database failures.
pub fn load(connection: &mut Connection, row_ids: &[i64]) -> Result<Vec<StoredResource>> {
    let statement: Sql<RowType> = Sql::new("SELECT ").push(ROW_COLUMNS).push(" FROM resources r WHERE r.row_id IN (");
    let statement = statement.bind_list(row_ids.iter().copied()).push(") ORDER BY r.row_id").uncached();
    let rows: Vec<Row> = statement.load(connection)?;
    rows.into_iter().map(StoredResource::try_from).collect()
}

/// What is withheld of these rows, where something is.
///
/// # Errors
/// Database failures.
pub fn withheld(connection: &mut Connection, row_ids: &[i64]) -> Result<HashMap<i64, Map<String, Value>>> {
    let statement: Sql<(BigInt, Text)> =
        Sql::new("SELECT r.row_id, r.withheld FROM resources r WHERE r.withheld IS NOT NULL AND r.row_id IN (");
    let statement = statement.bind_list(row_ids.iter().copied()).push(")").uncached();
    let rows: Vec<(i64, String)> = statement.load(connection)?;
    let parse = |(row_id, text): (i64, String)| Ok((row_id, serde_json::from_str(&text).map_err(Error::internal)?));
    rows.into_iter().map(parse).collect()
}

/// The password hashes of these rows, where there is one.
///
/// # Errors
/// Database failures.
pub fn password_hashes(connection: &mut Connection, row_ids: &[i64]) -> Result<HashMap<i64, String>> {
    let statement: Sql<(BigInt, Text)> =
        Sql::new("SELECT c.row_id, c.password_hash FROM credentials c WHERE c.row_id IN (");
    let statement = statement.bind_list(row_ids.iter().copied()).push(")").uncached();
    Ok(statement.load::<(i64, String)>(connection)?.into_iter().collect())
}

/// The ids of the members of a group, in the order in which the members were created; unresolved ones come last.
///
/// # Errors
/// Database failures.
pub fn member_ids(connection: &mut Connection, group_row_id: i64) -> Result<Vec<String>> {
    let statement: Sql<Text> = Sql::new(
        "SELECT m.id FROM group_members gm JOIN resources m ON m.row_id = gm.member_row_id WHERE gm.group_row_id = ",
    );
    let mut ids: Vec<String> = statement.bind(group_row_id).push(" ORDER BY gm.member_row_id").load(connection)?;
    ids.extend(unresolved_ids(connection, group_row_id)?);
    Ok(ids)
}

/// The ids that a group lists and no live resource has.
///
/// # Errors
/// Database failures.
pub fn unresolved_ids(connection: &mut Connection, group_row_id: i64) -> Result<Vec<String>> {
    let statement: Sql<Text> = Sql::new("SELECT u.value FROM unresolved_members u WHERE u.group_row_id = ");
    Ok(statement.bind(group_row_id).push(" ORDER BY u.value").load(connection)?)
}
