//! SQL with lists of values as binds, one for each column: many rows by one text, which stays prepared whatever their number.
//! For databases that take lists ([`Connection::takes_lists`]).

use std::marker::PhantomData;

use chrono::NaiveDateTime;
use diesel::RunQueryDsl;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamp};

use super::cell::Cell;
use super::connection::{Connection, WithLists};

/// A statement under construction, as [`Sql`](super::sql::Sql). `Row` is the SQL type of a row that it returns; `()` for none.
#[derive(Debug)]
pub(super) struct ListSql<'a, Row = ()> {
    parts: Vec<Part<'a>>,
    row: PhantomData<Row>,
}

#[derive(Debug)]
enum Part<'a> {
    Sql(&'static str),
    BigInt(i64),
    Text(&'a str),
    List(List<'a>),
}

/// The values of one column.
#[derive(Debug)]
enum List<'a> {
    BigInts(Vec<Option<i64>>),
    Texts(Vec<Option<&'a str>>),
    Bools(Vec<Option<bool>>),
    Timestamps(Vec<Option<NaiveDateTime>>),
}

impl<'a> List<'a> {
    /// Of a column of rows, which has values of one kind. One of another kind would be none.
    fn of(cells: impl Iterator<Item = Cell<'a>> + Clone) -> List<'a> {
        debug_assert!(cells.clone().zip(cells.clone().skip(1)).all(|(one, next)| one.is_like(next)), "of one kind");
        match cells.clone().next() {
            None | Some(Cell::BigInt(_)) => List::BigInts(cells.map(Cell::big_int).collect()),
            Some(Cell::Text(_) | Cell::NullableText(_)) => List::Texts(cells.map(Cell::text).collect()),
            Some(Cell::Bool(_)) => List::Bools(cells.map(Cell::bool).collect()),
            Some(Cell::Timestamp(_) | Cell::NullableTimestamp(_)) => {
                List::Timestamps(cells.map(Cell::timestamp).collect())
            }
        }
    }
}

impl<'a, Row> ListSql<'a, Row> {
    /// A statement that starts with this text.
    pub(super) fn new(text: &'static str) -> Self {
        ListSql { parts: vec![Part::Sql(text)], row: PhantomData }
    }

    /// Appends text.
    pub(super) fn push(mut self, text: &'static str) -> Self {
        self.parts.push(Part::Sql(text));
        self
    }

    /// Appends texts.
    pub(super) fn push_all(self, texts: impl IntoIterator<Item = &'static str>) -> Self {
        texts.into_iter().fold(self, Self::push)
    }

    /// Appends a number.
    pub(super) fn bind_number(mut self, value: i64) -> Self {
        self.parts.push(Part::BigInt(value));
        self
    }

    /// Appends a text that is a value.
    pub(super) fn bind_text(mut self, value: &'a str) -> Self {
        self.parts.push(Part::Text(value));
        self
    }

    /// Appends the names of columns, with commas.
    pub(super) fn columns(self, columns: &[&'static str]) -> Self {
        let columns = columns.iter().flat_map(|column| [", ", column]);
        self.push_all(columns.skip(1))
    }

    /// Appends rows as a table of that name.
    pub(super) fn table<const N: usize>(
        self,
        rows: &[[Cell<'a>; N]],
        name: &'static str,
        columns: &[&'static str; N],
    ) -> Self {
        self.rows(rows).push(" ").push(name).push(" (").columns(columns).push(")")
    }

    /// Appends rows, `unnest(…)`, in their order. None at all are numbers to PostgreSQL, and can't be compared with texts.
    pub(super) fn rows<const N: usize>(mut self, rows: &[[Cell<'a>; N]]) -> Self {
        for column in 0..N {
            self = self.push(if column == 0 { "unnest(" } else { ", " });
            self.parts.push(Part::List(List::of(rows.iter().map(|row| row[column]))));
        }
        self.push(")")
    }

    /// Runs it; how many rows it changed.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn execute(self, connection: &mut Connection) -> QueryResult<usize> {
        connection.on_lists(|c| RunQueryDsl::execute(self, c))
    }
}

impl<'a, Row: 'static> ListSql<'a, Row> {
    /// All rows.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn load<U>(self, connection: &mut Connection) -> QueryResult<Vec<U>>
    where
        Self: diesel::query_dsl::methods::LoadQuery<'a, super::connection::ConnectionWithLists, U>,
    {
        connection.on_lists(|c| RunQueryDsl::load(self, c))
    }
}

impl<Row> QueryFragment<WithLists> for ListSql<'_, Row> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, WithLists>) -> QueryResult<()> {
        for part in &self.parts {
            match part {
                Part::Sql(text) => out.push_sql(text),
                Part::BigInt(value) => out.push_bind_param::<BigInt, _>(value)?,
                Part::Text(value) => out.push_bind_param::<Text, _>(*value)?,
                Part::List(List::BigInts(values)) => out.push_bind_param::<Array<Nullable<BigInt>>, _>(values)?,
                Part::List(List::Texts(values)) => out.push_bind_param::<Array<Nullable<Text>>, _>(values)?,
                Part::List(List::Bools(values)) => out.push_bind_param::<Array<Nullable<Bool>>, _>(values)?,
                Part::List(List::Timestamps(values)) => {
                    out.push_bind_param::<Array<Nullable<Timestamp>>, _>(values)?;
                }
            }
        }
        Ok(())
    }
}

impl<Row> QueryId for ListSql<'_, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> Query for ListSql<'_, Row> {
    type SqlType = Row;
}

impl<Row, Conn> RunQueryDsl<Conn> for ListSql<'_, Row> {}
