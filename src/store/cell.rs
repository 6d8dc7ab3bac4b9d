//! One value of a row that goes to the database.

use chrono::NaiveDateTime;
use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Bool, HasSqlType, Nullable, Text, Timestamp};

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// A number.
    BigInt(i64),
    /// Text.
    Text(&'a str),
    /// A yes or no.
    Bool(bool),
    /// A time, UTC, whole milliseconds.
    Timestamp(NaiveDateTime),
    /// Text or null.
    NullableText(Option<&'a str>),
    /// A time or null.
    NullableTimestamp(Option<NaiveDateTime>),
}

impl<'a> Cell<'a> {
    /// Whether both may stand in one column.
    pub(super) fn is_like(self, other: Cell<'_>) -> bool {
        let kind = |cell: Cell<'_>| match cell {
            Cell::BigInt(_) => 0,
            Cell::Text(_) | Cell::NullableText(_) => 1,
            Cell::Bool(_) => 2,
            Cell::Timestamp(_) | Cell::NullableTimestamp(_) => 3,
        };
        kind(self) == kind(other)
    }

    /// The number.
    pub(super) fn big_int(self) -> Option<i64> {
        match self {
            Cell::BigInt(value) => Some(value),
            _ => None,
        }
    }

    /// The text, unless it is null.
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Cell::Text(value) => Some(value),
            Cell::NullableText(value) => value,
            _ => None,
        }
    }

    /// The yes or no.
    pub(super) fn bool(self) -> Option<bool> {
        match self {
            Cell::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The time, unless it is null.
    pub(super) fn timestamp(self) -> Option<NaiveDateTime> {
        match self {
            Cell::Timestamp(value) => Some(value),
            Cell::NullableTimestamp(value) => value,
            _ => None,
        }
    }
}

/// A backend that can bind our column types.
pub trait Binds: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<Bool> + HasSqlType<Timestamp> {}

impl<DB> Binds for DB where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<Bool> + HasSqlType<Timestamp>
{
}

impl<DB> QueryFragment<DB> for Cell<'_>
where
    DB: Binds,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
    bool: ToSql<Bool, DB>,
    NaiveDateTime: ToSql<Timestamp, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        match self {
            Cell::BigInt(value) => out.push_bind_param::<BigInt, _>(value),
            Cell::Text(value) => out.push_bind_param::<Text, str>(value),
            Cell::Bool(value) => out.push_bind_param::<Bool, _>(value),
            Cell::Timestamp(value) => out.push_bind_param::<Timestamp, _>(value),
            Cell::NullableText(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Cell::NullableTimestamp(value) => out.push_bind_param::<Nullable<Timestamp>, _>(value),
        }
    }
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Cell::BigInt(value)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Cell::Text(value)
    }
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

impl From<NaiveDateTime> for Cell<'_> {
    fn from(value: NaiveDateTime) -> Self {
        Cell::Timestamp(value)
    }
}

impl From<Option<NaiveDateTime>> for Cell<'_> {
    fn from(value: Option<NaiveDateTime>) -> Self {
        Cell::NullableTimestamp(value)
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Cell::NullableText(value)
    }
}
