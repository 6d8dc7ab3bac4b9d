//! A whole database copied into another one, of the same kind or the other: every table that there is, row by row.

use std::collections::BTreeMap;

use super::catalog::{self, Record, Sum, Table};
use super::connection::{Connection, Purpose};
use super::tenants::DEFAULT;
use super::{Store, error, migrations, tenants};
use crate::scim::{Error, ErrorKind, Result};

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
}

impl Store {
    /// Copies everything into `target`, which must be migrated and empty but for the tenant `default`: all or nothing.
    ///
    /// The source is read as it is at one moment; what is written to it from then on is not in the copy. Each table of the
    /// target is read again before the end, and holds the rows of the source value by value. `progress` learns how many
    /// rows are copied, and how many there are. Blocks.
    ///
    /// # Errors
    /// A target that is not empty, or of another version of scimd; database failures.
    pub fn copy_to(&self, target: &Store, mut progress: impl FnMut(u64, u64)) -> Result<Vec<CopiedTable>> {
        if self.inner.connector.url == target.inner.connector.url {
            return Err(Error::new(
                ErrorKind::InvalidValue,
                "The database can't be copied onto itself; name another one.",
            ));
        }
        let mut source = self.inner.connector.open(Purpose::Pool)?;
        let mut connection = target.inner.connector.open(Purpose::Writer)?;
        source.begin_read()?;
        connection.begin_write(target.inner.connector.busy_timeout)?;
        let copied = copy(&mut source, &mut connection, &mut progress);
        let _ = source.rollback();
        match copied {
            Ok(copied) => {
                connection.commit().map_err(error::of_commit)?;
                Ok(copied)
            }
            Err(error) => {
                let _ = connection.rollback();
                Err(error)
            }
        }
    }
}

fn copy(
    source: &mut Connection,
    target: &mut Connection,
    progress: &mut impl FnMut(u64, u64),
) -> Result<Vec<CopiedTable>> {
    source.take_time()?;
    target.take_time()?;
    let tables = same_tables(source, target)?;
    check_empty(target, &tables)?;
    // The tenant `default` comes from the source, too. What is empty is left alone: the history lets nobody delete from it.
    tables.iter().filter(|table| table.name == TENANTS).try_for_each(|table| table.clear(target))?;
    let counts = tables.iter().map(|table| table.count(source)).collect::<Result<Vec<u64>>>()?;
    let total: u64 = counts.iter().sum();
    let (mut copied, mut done) = (Vec::with_capacity(tables.len()), 0);
    for (table, expected) in tables.iter().zip(counts) {
        if table.name == catalog::COUNTS {
            // The target has counted what was copied.
            table.clear(target)?;
        }
        let sum = copy_rows(table, source, target, &mut |rows| progress(done + rows, total))?;
        let stored = table.sum(target)?;
        if stored != sum || sum.rows != expected {
            let detail = format!("{expected} rows of {} became {stored:?} instead of {sum:?}", table.name);
            return Err(Error::internal(detail));
        }
        done += sum.rows;
        copied.push(CopiedTable { name: table.name.clone(), rows: sum.rows });
    }
    // Last, for PostgreSQL does not take it back.
    for table in &tables {
        if let Some(last) = table.last_number(source)? {
            table.number_from(target, last)?;
        }
    }
    Ok(copied)
}

fn copy_rows(
    table: &Table,
    source: &mut Connection,
    target: &mut Connection,
    progress: &mut impl FnMut(u64),
) -> Result<Sum> {
    let mut sum = Sum::default();
    let mut waiting: Vec<Record> = Vec::with_capacity(table.rows_per_statement());
    table.each_row(source, |row| {
        sum.add(&row);
        waiting.push(row);
        if waiting.len() == table.rows_per_statement() {
            table.insert(target, std::mem::take(&mut waiting))?;
            progress(sum.rows);
        }
        Ok(())
    })?;
    table.insert(target, waiting)?;
    progress(sum.rows);
    Ok(sum)
}

/// The tables of both, which must be the same.
fn same_tables(source: &mut Connection, target: &mut Connection) -> Result<Vec<Table>> {
    let [of_source, of_target] = [migrations::applied(source)?, migrations::applied(target)?];
    if of_source != of_target {
        let detail =
            "The two databases have tables of different versions of scimd; run `scimd migrate` of one version on both.";
        return Err(Error::new(ErrorKind::InvalidValue, detail));
    }
    let tables = catalog::tables(source)?;
    if tables != catalog::tables(target)? {
        let detail = "The two databases do not have the same tables, though the same migrations; copy into a database that \
                      `scimd migrate` alone has made.";
        return Err(Error::new(ErrorKind::InvalidValue, detail));
    }
    Ok(tables)
}

/// The one table that has a row from the first migration on.
const TENANTS: &str = "tenants";

fn check_empty(target: &mut Connection, tables: &[Table]) -> Result<()> {
    let mut rows = BTreeMap::new();
    for table in tables {
        rows.insert(table.name.as_str(), table.count(target)?);
    }
    let only_default = matches!(&tenants::list(target)?[..], [tenant] if tenant.name == DEFAULT);
    if only_default {
        rows.remove(TENANTS);
    }
    let Some((name, count)) = rows.into_iter().find(|(_, count)| *count > 0) else {
        return Ok(());
    };
    let detail = format!(
        "The database to copy into is not empty ({count} rows in {name}), and nothing was copied; name an empty database."
    );
    Err(Error::new(ErrorKind::InvalidValue, detail))
}
