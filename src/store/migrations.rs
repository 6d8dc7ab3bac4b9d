//! The tables' history: which migrations there are, which are applied, and how to apply the rest.
//!
//! Both databases have the same migrations of the same names (`migrations/sqlite`, `migrations/postgres`); they are part of
//! the program.

use diesel::backend::Backend;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::{Connection, each_backend};
use crate::scim::{Error, Result};

pub(super) const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
pub(super) const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// Applies what is missing, within the transaction of `connection`; the names of what was applied.
pub(super) fn apply(connection: &mut Connection) -> Result<Vec<String>> {
    let source = of(connection);
    each_backend!(connection, c => apply_missing(c, source)).map_err(Error::internal)
}

/// The names of the migrations that are not applied yet, in order. Only reads.
///
/// Migrations that this program does not know are no hindrance: a newer one may have run beside it.
pub(super) fn pending(connection: &mut Connection) -> Result<Vec<String>> {
    let applied = applied(connection)?;
    let source = of(connection);
    let known = each_backend!(connection, c => versions_and_names(c, source)).map_err(Error::internal)?;
    Ok(known.into_iter().filter(|(version, _)| !applied.contains(version)).map(|(_, name)| name).collect())
}

/// The versions of the migrations that are applied, in order.
pub(super) fn applied(connection: &mut Connection) -> Result<Vec<String>> {
    use __diesel_schema_migrations::dsl;
    match connection.has_table("__diesel_schema_migrations")? {
        true => Ok(dsl::__diesel_schema_migrations.select(dsl::version).order(dsl::version).load(connection)?),
        false => Ok(Vec::new()),
    }
}

fn of(connection: &Connection) -> EmbeddedMigrations {
    if connection.locks_rows() { POSTGRES } else { SQLITE }
}

fn apply_missing<DB: Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
) -> diesel::migration::Result<Vec<String>> {
    let mut names = Vec::new();
    for migration in connection.pending_migrations(source)? {
        connection.run_migration(&*migration)?;
        names.push(migration.name().to_string());
    }
    Ok(names)
}

fn versions_and_names<C: diesel::Connection>(
    _: &mut C,
    source: EmbeddedMigrations,
) -> diesel::migration::Result<Vec<(String, String)>> {
    let mut migrations: Vec<Box<dyn Migration<C::Backend>>> = source.migrations()?;
    migrations.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    Ok(migrations.iter().map(|m| (m.name().version().to_string(), m.name().to_string())).collect())
}
