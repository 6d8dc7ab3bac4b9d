//! What makes the database refuse to rewrite the history. Whoever has the database to himself can take it away, and
//! should not be able to do so unnoticed.

use diesel::sql_types::Text;

use crate::scim::Result;
use crate::store::Connection;
use crate::store::sql::Sql;

/// The triggers of SQLite that the migrations make.
const IN_SQLITE: [&str; 5] = ["audit_insert", "audit_update", "audit_delete", "seals_update", "seals_delete"];

/// Triggers of PostgreSQL, and a constraint.
const IN_POSTGRES: [&str; 6] =
    ["audit_insert", "audit_update", "audit_delete", "audit_truncate", "seals_update", "seals_truncate"];

/// What is missing, or switched off.
///
/// # Errors
/// Database failures.
pub(super) fn missing(connection: &mut Connection) -> Result<Vec<&'static str>> {
    let (guards, statement): (&[&'static str], &'static str) = match connection.locks_rows() {
        true => (
            &IN_POSTGRES,
            "SELECT t.tgname::text FROM pg_trigger t WHERE t.tgenabled IN ('O', 'A') \
             AND t.tgrelid IN ('audit'::regclass, 'seals'::regclass) \
             UNION ALL SELECT c.conname::text FROM pg_constraint c WHERE c.conrelid = 'audit'::regclass",
        ),
        false => (
            &IN_SQLITE,
            "SELECT m.name FROM sqlite_master m WHERE m.type = 'trigger' AND m.tbl_name IN ('audit', 'seals')",
        ),
    };
    let there: Vec<String> = Sql::<Text>::new(statement).load(connection)?;
    Ok(guards.iter().copied().filter(|guard| !there.iter().any(|name| name == guard)).collect())
}
