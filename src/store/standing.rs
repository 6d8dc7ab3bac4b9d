//! Statements that are asked all day, each of one text. diesel writes a statement out to find it among the prepared ones by
//! its text; one of these it finds by its type.

use std::marker::PhantomData;

use diesel::RunQueryDsl;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};

/// What is asked: a type for each text.
pub(super) trait Question: 'static {
    /// The SQL type of a row of the answer; `()` for none.
    type Row: 'static;
    /// The text; a value follows each part, as long as there are values.
    const TEXT: &'static [&'static str];
}

/// A question with its values.
#[derive(Debug)]
pub(super) struct Standing<'a, Q, const N: usize> {
    values: [Value<'a>; N],
    question: PhantomData<Q>,
}

/// A value that goes to the database.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// A whole number.
    BigInt(i64),
    /// Text.
    Text(&'a str),
}

impl<'a, Q: Question, const N: usize> Standing<'a, Q, N> {
    /// That question with these values.
    pub(super) fn new(_: Q, values: [Value<'a>; N]) -> Self {
        const { assert!(Q::TEXT.len() >= N, "a value follows a part of the text") };
        Standing { values, question: PhantomData }
    }
}

impl<Q, DB, const N: usize> QueryFragment<DB> for Standing<'_, Q, N>
where
    Q: Question,
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text>,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut values = self.values.iter();
        for part in Q::TEXT {
            out.push_sql(part);
            match values.next() {
                Some(Value::BigInt(value)) => out.push_bind_param::<BigInt, _>(value)?,
                Some(Value::Text(value)) => out.push_bind_param::<Text, _>(*value)?,
                None => {}
            }
        }
        Ok(())
    }
}

impl<Q: Question, const N: usize> QueryId for Standing<'_, Q, N> {
    type QueryId = Standing<'static, Q, N>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<Q: Question, const N: usize> Query for Standing<'_, Q, N> {
    type SqlType = Q::Row;
}

impl<Q, Conn, const N: usize> RunQueryDsl<Conn> for Standing<'_, Q, N> {}
