//! The tables that the database itself says there are, and their rows as they are: for what has to take everything along,
//! also what is added after it was written.

use diesel::backend::Backend;
use diesel::connection::DefaultLoadingMode;
use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::row::{Field, NamedRow, Row};
use diesel::sql_types::{BigInt, Bool, HasSqlType, Nullable, Text, Timestamp};
use sha2::{Digest, Sha256};

use super::connection::{Connection, each_backend};
use super::sql::{Bind, Sql};
use crate::scim::{Error, Result};

/// A table as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// Its name.
    pub(super) name: String,
    /// Its columns, in their order.
    pub(super) columns: Vec<Column>,
    /// The tables that its rows refer to, or follow from.
    references: Vec<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    kind: Kind,
    /// Whether the database numbers the rows by it, and never gives a number twice.
    numbers: bool,
}

/// The four types that columns have on both databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    BigInt,
    Text,
    Bool,
    Timestamp,
}

/// One row, a value for each column.
pub(super) struct Record(pub(super) Vec<Bind>);

/// How many rows there are, and what they hold whatever their order: the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// The number of rows.
    pub(super) rows: u64,
    digest: u128,
}

/// Every table, those that others refer to before those others; without what the migrations keep for themselves.
///
/// # Errors
/// A column of a type that no table of ours has; database failures.
pub(super) fn tables(connection: &mut Connection) -> Result<Vec<Table>> {
    #[derive(QueryableByName)]
    struct Described {
        #[diesel(sql_type = Text)]
        table_name: String,
        #[diesel(sql_type = Text)]
        column_name: String,
        #[diesel(sql_type = Text)]
        kind: String,
        #[diesel(sql_type = BigInt)]
        numbers: i64,
    }
    #[derive(QueryableByName)]
    struct Reference {
        #[diesel(sql_type = Text)]
        table_name: String,
        #[diesel(sql_type = Text)]
        refers_to: String,
    }
    let [columns, references] = if connection.locks_rows() { POSTGRES } else { SQLITE };
    let columns: Vec<Described> = each_backend!(connection, c => diesel::sql_query(columns).load(c))?;
    let references: Vec<Reference> = each_backend!(connection, c => diesel::sql_query(references).load(c))?;
    let mut tables: Vec<Table> = Vec::new();
    for Described { table_name, column_name, kind, numbers } in columns {
        if tables.last().is_none_or(|table| table.name != table_name) {
            let of_this = references.iter().filter(|reference| reference.table_name == table_name);
            let refers_to = of_this.map(|reference| reference.refers_to.clone());
            let mut references: Vec<String> = refers_to.filter(|name| *name != table_name).collect();
            if table_name == COUNTS {
                references.push(COUNTED.to_owned());
            }
            tables.push(Table { name: table_name.clone(), columns: Vec::new(), references });
        }
        let kind = Kind::parse(&kind).ok_or_else(|| {
            Error::internal(format!("{table_name}.{column_name} has the type {kind}, which nobody can copy"))
        })?;
        if let Some(table) = tables.last_mut() {
            table.columns.push(Column { name: column_name, kind, numbers: numbers == 1 });
        }
    }
    in_order_of_references(tables)
}

/// The table that triggers of another one fill.
pub(super) const COUNTS: &str = "live_totals";
const COUNTED: &str = "resources";

const SQLITE: [&str; 2] = [
    "SELECT m.name AS table_name, c.name AS column_name, c.type AS kind, \
     (c.pk = 1 AND m.sql LIKE '%AUTOINCREMENT%') AS numbers \
     FROM sqlite_master m JOIN pragma_table_info(m.name) c \
     WHERE m.type = 'table' AND m.name NOT GLOB 'sqlite_*' AND m.name <> '__diesel_schema_migrations' \
     ORDER BY m.name, c.cid",
    "SELECT m.name AS table_name, f.\"table\" AS refers_to \
     FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1, 2",
];

const POSTGRES: [&str; 2] = [
    "SELECT c.table_name::text AS table_name, c.column_name::text AS column_name, c.data_type::text AS kind, \
     (c.is_identity = 'YES')::int::bigint AS numbers \
     FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) \
     WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' \
     AND c.table_name <> '__diesel_schema_migrations' ORDER BY c.table_name::text COLLATE \"C\", c.ordinal_position",
    "SELECT t.relname::text AS table_name, r.relname::text AS refers_to \
     FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class r ON r.oid = k.confrelid \
     WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace ORDER BY 1, 2",
];

impl Kind {
    fn parse(word: &str) -> Option<Kind> {
        match word.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Some(Kind::BigInt),
            "text" => Some(Kind::Text),
            "boolean" => Some(Kind::Bool),
            "timestamp" | "timestamp without time zone" => Some(Kind::Timestamp),
            _ => None,
        }
    }

    /// What the name of a selected column begins with, so that a row knows what it is made of.
    fn letter(self) -> char {
        match self {
            Kind::BigInt => 'i',
            Kind::Text => 't',
            Kind::Bool => 'b',
            Kind::Timestamp => 's',
        }
    }
}

fn in_order_of_references(mut waiting: Vec<Table>) -> Result<Vec<Table>> {
    let mut ordered: Vec<Table> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_there = |name: &String| ordered.iter().any(|table| table.name == *name);
        let next = waiting.iter().position(|table| table.references.iter().all(is_there));
        let next = next.ok_or_else(|| Error::internal("tables refer to each other in a circle"))?;
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
}

impl Table {
    /// How many rows it has.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn count(&self, connection: &mut Connection) -> Result<u64> {
        let statement: Sql<BigInt> =
            Sql::default().push_composed(format!("SELECT count(*) FROM {}", quoted(&self.name)));
        Ok(statement.uncached().get_result::<i64>(connection)?.unsigned_abs())
    }

    /// Hands every row over, one after the other: memory holds one of them at a time.
    ///
    /// # Errors
    /// Those of `visit`; database failures.
    pub(super) fn each_row(
        &self,
        connection: &mut Connection,
        mut visit: impl FnMut(Record) -> Result<()>,
    ) -> Result<()> {
        let names = self.columns.iter().enumerate();
        let names = names.map(|(at, column)| format!("{} AS \"{}{at}\"", quoted(&column.name), column.kind.letter()));
        let query = format!("SELECT {} FROM {}", names.collect::<Vec<_>>().join(", "), quoted(&self.name));
        match connection {
            Connection::Sqlite(c) => {
                let rows = diesel::sql_query(query).load_iter::<Record, DefaultLoadingMode>(c)?;
                rows.into_iter().try_for_each(|row| visit(row?))
            }
            Connection::Postgres(c) => {
                let rows = diesel::sql_query(query).load_iter::<Record, PgRowByRowLoadingMode>(c)?;
                rows.into_iter().try_for_each(|row| visit(row?))
            }
        }
    }

    /// What its rows come to.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn sum(&self, connection: &mut Connection) -> Result<Sum> {
        let mut sum = Sum::default();
        self.each_row(connection, |row| {
            sum.add(&row);
            Ok(())
        })?;
        Ok(sum)
    }

    /// Inserts rows, with one statement: as many as [`Table::rows_per_statement`] at most.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn insert(&self, connection: &mut Connection, rows: Vec<Record>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        let head = format!("INSERT INTO {} ({}) VALUES ", quoted(&self.name), names.join(", "));
        let mut statement: Sql = Sql::default().push_composed(head);
        for (at, Record(values)) in rows.into_iter().enumerate() {
            statement = statement.push(if at == 0 { "(" } else { ", (" }).bind_list(values).push(")");
        }
        statement.execute(connection)?;
        Ok(())
    }

    /// How many rows one statement inserts.
    pub(super) fn rows_per_statement(&self) -> usize {
        (BINDS_PER_STATEMENT / self.columns.len().max(1)).max(1)
    }

    /// Deletes every row.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn clear(&self, connection: &mut Connection) -> Result<()> {
        let statement: Sql = Sql::default().push_composed(format!("DELETE FROM {}", quoted(&self.name)));
        statement.uncached().execute(connection)?;
        Ok(())
    }

    /// The last number that the database has given to a row, whether or not the row is still there; `None` where it does
    /// not number them.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn last_number(&self, connection: &mut Connection) -> Result<Option<i64>> {
        let Some(column) = self.columns.iter().find(|column| column.numbers) else {
            return Ok(None);
        };
        let statement: Sql<BigInt> = match connection.locks_rows() {
            true => {
                let sequence: Sql<Text> = Sql::new("SELECT pg_get_serial_sequence(").bind(quoted(&self.name));
                let sequence = sequence.push(", ").bind(column.name.as_str()).push(")");
                let sequence: String = sequence.get_result(connection)?;
                let given =
                    format!("SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {sequence}");
                Sql::default().push_composed(given).uncached()
            }
            false => Sql::new("SELECT s.seq FROM sqlite_sequence s WHERE s.name = ").bind(self.name.as_str()),
        };
        Ok(Some(statement.load::<i64>(connection)?.pop().unwrap_or(0)))
    }

    /// Lets the database go on numbering behind `last`, and behind the rows that are there. On PostgreSQL nothing takes
    /// that back.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn number_from(&self, connection: &mut Connection, last: i64) -> Result<()> {
        let Some(column) = self.columns.iter().find(|column| column.numbers) else {
            return Ok(());
        };
        let highest = format!("SELECT coalesce(max({}), 0) FROM {}", quoted(&column.name), quoted(&self.name));
        let highest: Sql<BigInt> = Sql::default().push_composed(highest).uncached();
        let last = highest.get_result::<i64>(connection)?.max(last);
        if connection.locks_rows() {
            let statement: Sql<BigInt> = Sql::new("SELECT setval(pg_get_serial_sequence(").bind(quoted(&self.name));
            let statement = statement.push(", ").bind(column.name.as_str()).push("), ").bind(last.max(1));
            statement.push(", ").bind(last > 0).push(")").get_result::<i64>(connection)?;
            return Ok(());
        }
        let forget: Sql = Sql::new("DELETE FROM sqlite_sequence WHERE name = ").bind(self.name.as_str());
        forget.execute(connection)?;
        let note: Sql = Sql::new("INSERT INTO sqlite_sequence (name, seq) VALUES (").bind(self.name.as_str());
        note.push(", ").bind(last).push(")").execute(connection)?;
        Ok(())
    }
}

const BINDS_PER_STATEMENT: usize = 1_000;

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Sum {
    /// Counts one more row in.
    pub(super) fn add(&mut self, row: &Record) {
        let mut hash = Sha256::new();
        for value in &row.0 {
            let text = value.to_text();
            let length = text.as_ref().map_or(u64::MAX, |text| text.len() as u64);
            hash.update(length.to_be_bytes());
            hash.update(text.unwrap_or_default());
        }
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        self.rows += 1;
        self.digest = self.digest.wrapping_add(u128::from_be_bytes(first));
    }
}

impl<DB> QueryableByName<DB> for Record
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<Bool> + HasSqlType<Timestamp>,
    i64: FromSql<BigInt, DB>,
    String: FromSql<Text, DB>,
    bool: FromSql<Bool, DB>,
    chrono::NaiveDateTime: FromSql<Timestamp, DB>,
{
    fn build<'a>(row: &impl NamedRow<'a, DB>) -> deserialize::Result<Self> {
        let mut values = Vec::with_capacity(row.field_count());
        for at in 0..row.field_count() {
            let field = Row::get(row, at);
            let letter = field.and_then(|field| field.field_name().and_then(|name| name.chars().next()));
            values.push(match letter {
                Some('i') => Bind::NullableBigInt(row.get_value::<Nullable<BigInt>, _, _>(at)?),
                Some('t') => Bind::NullableText(row.get_value::<Nullable<Text>, _, _>(at)?),
                Some('b') => Bind::NullableBool(row.get_value::<Nullable<Bool>, _, _>(at)?),
                Some('s') => Bind::NullableTimestamp(row.get_value::<Nullable<Timestamp>, _, _>(at)?),
                _ => return Err("a column of unknown type".into()),
            });
        }
        Ok(Record(values))
    }
}
