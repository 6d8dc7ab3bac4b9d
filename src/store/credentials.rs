//! Password hashes, in a table of their own: no document, search, history or event can show what is not in it (USR-05).

use diesel::sql_types::Text;

use super::Connection;
use super::sql::Sql;
use super::statement::{OnConflict, insert_rows};
use crate::scim::Result;

/// The hash of a resource's password, a PHC string.
///
/// # Errors
/// Database failures.
pub fn find(connection: &mut Connection, row_id: i64) -> Result<Option<String>> {
    let statement: Sql<Text> = Sql::new("SELECT c.password_hash FROM credentials c WHERE c.row_id = ");
    Ok(statement.bind(row_id).load::<String>(connection)?.pop())
}

/// Keeps a hash, in place of the one before.
///
/// # Errors
/// Database failures.
pub fn set(connection: &mut Connection, row_id: i64, password_hash: &str) -> Result<()> {
    let statement: Sql = Sql::new("INSERT INTO credentials (row_id, password_hash) VALUES (");
    let statement = statement
        .bind(row_id)
        .push(", ")
        .bind(password_hash)
        .push(") ON CONFLICT (row_id) DO UPDATE SET password_hash = excluded.password_hash");
    statement.execute(connection)?;
    Ok(())
}

/// Keeps the hashes of resources that have none yet: of each, its row and the hash.
///
/// # Errors
/// Database failures.
pub fn insert_all<'a>(connection: &mut Connection, hashes: impl IntoIterator<Item = (i64, &'a str)>) -> Result<()> {
    let rows = hashes.into_iter().map(|(row_id, hash)| [row_id.into(), hash.into()]);
    insert_rows(connection, "credentials", ["row_id", "password_hash"], rows, OnConflict::Fail)?;
    Ok(())
}

/// Drops the hash; whether there was one.
///
/// # Errors
/// Database failures.
pub fn clear(connection: &mut Connection, row_id: i64) -> Result<bool> {
    let statement: Sql = Sql::new("DELETE FROM credentials WHERE row_id = ");
    Ok(statement.bind(row_id).execute(connection)? > 0)
}
