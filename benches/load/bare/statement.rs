//! A statement that stays prepared: diesel knows it again by its text.

use std::marker::PhantomData;

use chrono::NaiveDateTime;
use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, Bool, HasSqlType, Nullable, Text, Timestamp};
use scimd::store::Connection;

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    BigInt(i64),
    Bool(bool),
    Text(String),
    Time(NaiveDateTime),
    Bytes(Vec<u8>),
}

/// Texts, and the value that stands behind each but the last. `Row` is the SQL type of a row that it returns.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a, Row = ()> {
    texts: &'a [String],
    binds: &'a [Cell],
    row: PhantomData<Row>,
}

impl<'a, Row> Statement<'a, Row> {
    pub fn new(texts: &'a [String], binds: &'a [Cell]) -> Statement<'a, Row> {
        assert_eq!(texts.len(), binds.len() + 1, "{texts:?} {binds:?}");
        Statement { texts, binds, row: PhantomData }
    }
}

impl Statement<'_> {
    pub fn execute(self, connection: &mut Connection) -> QueryResult<usize> {
        match connection {
            Connection::Sqlite(c) => diesel::RunQueryDsl::execute(self, c),
            Connection::Postgres(c) => diesel::RunQueryDsl::execute(self, c),
        }
    }
}

impl Statement<'_, BigInt> {
    /// The one number that it returns.
    pub fn number(self, connection: &mut Connection) -> QueryResult<i64> {
        match connection {
            Connection::Sqlite(c) => self.get_result(c),
            Connection::Postgres(c) => self.get_result(c),
        }
    }
}

/// Row, document and version of a user; id and displayName of a group that he is in, if any.
type UserAndGroup = (i64, String, i64, Option<String>, Option<String>);

impl Statement<'_, (BigInt, Text, BigInt, Nullable<Text>, Nullable<Text>)> {
    pub fn users_and_groups(self, connection: &mut Connection) -> QueryResult<Vec<UserAndGroup>> {
        match connection {
            Connection::Sqlite(c) => self.load(c),
            Connection::Postgres(c) => self.load(c),
        }
    }
}

impl<Row, DB> QueryFragment<DB> for Statement<'_, Row>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Bool> + HasSqlType<Text> + HasSqlType<Timestamp> + HasSqlType<Binary>,
    i64: ToSql<BigInt, DB>,
    bool: ToSql<Bool, DB>,
    String: ToSql<Text, DB>,
    NaiveDateTime: ToSql<Timestamp, DB>,
    Vec<u8>: ToSql<Binary, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for (text, bind) in self.texts.iter().zip(self.binds) {
            out.push_sql(text);
            match bind {
                Cell::Null => out.push_sql("NULL"),
                Cell::BigInt(value) => out.push_bind_param::<BigInt, _>(value)?,
                Cell::Bool(value) => out.push_bind_param::<Bool, _>(value)?,
                Cell::Text(value) => out.push_bind_param::<Text, _>(value)?,
                Cell::Time(value) => out.push_bind_param::<Timestamp, _>(value)?,
                Cell::Bytes(value) => out.push_bind_param::<Binary, _>(value)?,
            }
        }
        self.texts.last().into_iter().for_each(|text| out.push_sql(text));
        Ok(())
    }
}

impl<Row: 'static> QueryId for Statement<'_, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> Query for Statement<'_, Row> {
    type SqlType = Row;
}

impl<Row, Conn> RunQueryDsl<Conn> for Statement<'_, Row> {}
