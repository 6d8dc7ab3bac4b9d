//! SQL text with its binds, as a diesel query: for what the query builder cannot say (recursion, set algebra over
//! the search index, inserts of many rows).
//!
//! Written once, it runs on both backends. Values are binds, always; text comes from this room only.

use chrono::NaiveDateTime;
use diesel::RunQueryDsl;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Bool, HasSqlType, Nullable, Text, Timestamp};
use std::marker::PhantomData;

use super::connection::{Connection, Reads, each_backend};

/// A statement under construction. `Row` is the SQL type of a row that it returns; `()` for none.
#[derive(Debug, Clone)]
pub struct Sql<Row = ()> {
    parts: Vec<Part>,
    cached: bool,
    row: PhantomData<Row>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(&'static str),
    Composed(String),
    Bind(Bind),
}

/// A value that goes to the database.
#[derive(Debug, Clone, PartialEq)]
pub enum Bind {
    /// A whole number.
    BigInt(i64),
    /// Text.
    Text(String),
    /// Text or nothing.
    NullableText(Option<String>),
    /// A truth value.
    Bool(bool),
    /// An instant, UTC.
    Timestamp(NaiveDateTime),
    /// A whole number or nothing.
    NullableBigInt(Option<i64>),
    /// A truth value or nothing.
    NullableBool(Option<bool>),
    /// An instant, UTC, or nothing.
    NullableTimestamp(Option<NaiveDateTime>),
}

impl Bind {
    /// The same text for the same value, whichever database it comes from; `None` for nothing.
    pub(super) fn to_text(&self) -> Option<String> {
        match self {
            Bind::BigInt(value) => Some(value.to_string()),
            Bind::Text(value) => Some(value.clone()),
            Bind::Bool(value) => Some(value.to_string()),
            Bind::Timestamp(value) => Some(value.to_string()),
            Bind::NullableText(value) => value.clone(),
            Bind::NullableBigInt(value) => value.map(|value| value.to_string()),
            Bind::NullableBool(value) => value.map(|value| value.to_string()),
            Bind::NullableTimestamp(value) => value.map(|value| value.to_string()),
        }
    }
}

impl From<i64> for Bind {
    fn from(value: i64) -> Self {
        Bind::BigInt(value)
    }
}

impl From<&str> for Bind {
    fn from(value: &str) -> Self {
        Bind::Text(value.to_owned())
    }
}

impl From<String> for Bind {
    fn from(value: String) -> Self {
        Bind::Text(value)
    }
}

impl From<NaiveDateTime> for Bind {
    fn from(value: NaiveDateTime) -> Self {
        Bind::Timestamp(value)
    }
}

impl From<Option<String>> for Bind {
    fn from(value: Option<String>) -> Self {
        Bind::NullableText(value)
    }
}

impl From<Option<NaiveDateTime>> for Bind {
    fn from(value: Option<NaiveDateTime>) -> Self {
        Bind::NullableTimestamp(value)
    }
}

impl From<bool> for Bind {
    fn from(value: bool) -> Self {
        Bind::Bool(value)
    }
}

impl<Row> Default for Sql<Row> {
    fn default() -> Self {
        Sql { parts: Vec::new(), cached: true, row: PhantomData }
    }
}

impl<Row> Sql<Row> {
    /// A statement that starts with this text.
    pub fn new(text: &'static str) -> Self {
        Sql::default().push(text)
    }

    /// Appends text.
    pub fn push(mut self, text: &'static str) -> Self {
        self.parts.push(Part::Text(text));
        self
    }

    /// Appends text put together at run time, never from a client's words.
    pub fn push_composed(mut self, text: String) -> Self {
        self.parts.push(Part::Composed(text));
        self
    }

    /// Appends a value.
    pub fn bind(mut self, value: impl Into<Bind>) -> Self {
        self.parts.push(Part::Bind(value.into()));
        self
    }

    /// Appends all of another statement.
    pub fn append<Other>(mut self, other: Sql<Other>) -> Self {
        self.cached &= other.cached;
        self.parts.extend(other.parts);
        self
    }

    /// The same statement, with others that write beside it at the same time: none sees what another one does.
    pub fn beside(self, others: impl IntoIterator<Item = Sql>) -> Self {
        let mut whole = Sql::default();
        for (index, other) in others.into_iter().enumerate() {
            whole = whole.push_composed(format!("{} beside_{index} AS (", if index == 0 { "WITH" } else { "," }));
            whole = whole.append(other).push(")");
        }
        whole.push(" ").append(self)
    }

    /// Appends values separated by commas.
    pub fn bind_list<T: Into<Bind>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        for (index, value) in values.into_iter().enumerate() {
            self = if index > 0 { self.push(", ") } else { self }.bind(value);
        }
        self
    }

    /// The same statement, not kept as a prepared one: for texts that hardly ever come again.
    pub fn uncached(mut self) -> Self {
        self.cached = false;
        self
    }
}

/// To run it. Each way goes to the inner connection at once: the one over both would write the text twice over and bind every
/// value twice, which costs more than many a statement itself.
impl<Row: 'static> Sql<Row> {
    /// All rows.
    ///
    /// # Errors
    /// Database failures.
    pub fn load<'query, U>(self, connection: &mut Connection) -> QueryResult<Vec<U>>
    where
        Self: Reads<'query, U>,
    {
        each_backend!(connection, c => RunQueryDsl::load(self, c))
    }

    /// The first row.
    ///
    /// # Errors
    /// `NotFound` if there is none; database failures.
    pub fn get_result<'query, U>(self, connection: &mut Connection) -> QueryResult<U>
    where
        Self: Reads<'query, U>,
    {
        each_backend!(connection, c => RunQueryDsl::get_result(self, c))
    }

    /// Runs it; how many rows it changed.
    ///
    /// # Errors
    /// Database failures.
    pub fn execute(self, connection: &mut Connection) -> QueryResult<usize> {
        each_backend!(connection, c => RunQueryDsl::execute(self, c))
    }
}

impl Sql {
    /// Runs an INSERT of one row into a table that numbers its rows; the number.
    ///
    /// # Errors
    /// Database failures.
    pub fn insert(self, connection: &mut Connection) -> QueryResult<i64> {
        if connection.is_at_hand() {
            // For the rows of RETURNING, SQLite makes a table each time.
            self.execute(connection)?;
            return Sql::<BigInt>::new("SELECT last_insert_rowid()").get_result(connection);
        }
        Sql::<BigInt>::default().append(self).push(" RETURNING row_id").get_result(connection)
    }
}

impl<Row, DB> QueryFragment<DB> for Sql<Row>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<Bool> + HasSqlType<Timestamp>,
    i64: ToSql<BigInt, DB>,
    String: ToSql<Text, DB>,
    Option<String>: ToSql<Nullable<Text>, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
    Option<bool>: ToSql<Nullable<Bool>, DB>,
    Option<NaiveDateTime>: ToSql<Nullable<Timestamp>, DB>,
    bool: ToSql<Bool, DB>,
    NaiveDateTime: ToSql<Timestamp, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if !self.cached {
            out.unsafe_to_cache_prepared();
        }
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_sql(text),
                Part::Composed(text) => out.push_sql(text),
                Part::Bind(Bind::BigInt(value)) => out.push_bind_param::<BigInt, _>(value)?,
                Part::Bind(Bind::Text(value)) => out.push_bind_param::<Text, _>(value)?,
                Part::Bind(Bind::NullableText(value)) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                Part::Bind(Bind::Bool(value)) => out.push_bind_param::<Bool, _>(value)?,
                Part::Bind(Bind::Timestamp(value)) => out.push_bind_param::<Timestamp, _>(value)?,
                Part::Bind(Bind::NullableBigInt(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                Part::Bind(Bind::NullableBool(value)) => out.push_bind_param::<Nullable<Bool>, _>(value)?,
                Part::Bind(Bind::NullableTimestamp(value)) => out.push_bind_param::<Nullable<Timestamp>, _>(value)?,
            }
        }
        Ok(())
    }
}

impl<Row: 'static> QueryId for Sql<Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> Query for Sql<Row> {
    type SqlType = Row;
}

impl<Row, Conn> RunQueryDsl<Conn> for Sql<Row> {}
