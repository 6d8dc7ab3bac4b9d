//! Statements that diesel cannot write once for both databases: many rows at a time, and row locks.
//!
//! Each is a `QueryFragment` for every backend that can bind our four column types, so it runs on either database and on
//! [`Connection`] itself. Values are binds, always; table and column names are our own constants.

use chrono::NaiveDateTime;
use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Bool, HasSqlType, Nullable, Text, Timestamp};

use super::connection::{Connection, each_backend};

/// What one statement binds at most: far below SQLite's 32,766 and PostgreSQL's 65,535, and past the point where a longer
/// statement is any faster.
const BINDS_PER_STATEMENT: usize = 1_000;

/// Whether so many rows are better a statement each: where the database is at hand, and there are few. Of one row, SQLite
/// needs no copy of each page that it would have to restore if a later row failed, and the text is always the same.
pub(super) fn is_one_by_one(connection: &Connection, rows: usize) -> bool {
    connection.is_at_hand() && rows <= 32
}

/// Statements up to this many rows stay prepared. Larger ones hardly ever come twice with the same count, except those
/// that are as large as can be.
const ROWS_KEPT_PREPARED: usize = 32;

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
}

/// What happens to a row whose key is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The statement fails, and with it the work that it is a part of: SQLite leaves the rows before it to the transaction
    /// or the savepoint, and need not copy the pages that it writes ([`Connection::insertion`]).
    Fail,
    /// The row is passed over and not counted.
    Skip,
}

/// Inserts rows of `columns` into `table`, a few hundred per statement; answers how many were inserted.
///
/// A failure leaves the rows of earlier statements to the transaction.
pub fn insert_rows<'a, const N: usize>(
    connection: &mut Connection,
    table: &'static str,
    columns: [&'static str; N],
    rows: impl IntoIterator<Item = [Cell<'a>; N]>,
    on_conflict: OnConflict,
) -> QueryResult<usize> {
    // What fails for good needs no copies of pages, however many rows a statement has (unless it refers to other tables).
    let (insertion, ending, few) = match on_conflict {
        OnConflict::Fail => (connection.insertion(), "", ROWS_KEPT_PREPARED),
        OnConflict::Skip => ("INSERT", " ON CONFLICT DO NOTHING", 1),
    };
    in_chunks(connection, rows, (rows_per_statement(N), few), |connection, rows| {
        let statement = InsertRows { insertion, table, columns, rows, ending };
        each_backend!(connection, c => statement.execute(c))
    })
}

/// Deletes the rows of `table` whose `columns` equal one of `rows`; answers how many there were.
///
/// `columns` should be a prefix of an index: each row is then one look-up.
pub fn delete_rows<'a, const N: usize>(
    connection: &mut Connection,
    table: &'static str,
    columns: [&'static str; N],
    rows: impl IntoIterator<Item = [Cell<'a>; N]>,
) -> QueryResult<usize> {
    in_chunks(connection, rows, (ROWS_PER_DELETE, 1), |connection, rows| {
        let statement = DeleteRows { table, columns, rows };
        each_backend!(connection, c => statement.execute(c))
    })
}

/// At most so many rows at once. Where the database is at hand, of a few so many, and otherwise no number that hardly ever
/// comes again.
fn in_chunks<'a, const N: usize>(
    connection: &mut Connection,
    rows: impl IntoIterator<Item = [Cell<'a>; N]>,
    (most, few): (usize, usize),
    execute: impl Fn(&mut Connection, &[[Cell<'a>; N]]) -> QueryResult<usize>,
) -> QueryResult<usize> {
    let mut rows = rows.into_iter();
    let mut chunk = Vec::new();
    let mut affected = 0;
    loop {
        chunk.clear();
        chunk.extend(rows.by_ref().take(most));
        if chunk.is_empty() {
            return Ok(affected);
        }
        let at_once = match is_one_by_one(connection, chunk.len()) {
            true => few,
            // A text of its own would be parsed for these alone.
            false if connection.is_at_hand() && chunk.len() < most => ROWS_KEPT_PREPARED,
            false => most,
        };
        for rows in chunk.chunks(at_once) {
            affected += execute(connection, rows)?;
        }
    }
}

/// Alternatives of one condition; SQLite nests them, and not without limit.
const ROWS_PER_DELETE: usize = 50;

const fn rows_per_statement(columns: usize) -> usize {
    BINDS_PER_STATEMENT / columns
}

/// `INSERT [OR FAIL] INTO t (c1, c2) VALUES (?, ?), (?, ?) [ON CONFLICT DO NOTHING]`
struct InsertRows<'a, const N: usize> {
    insertion: &'static str,
    table: &'static str,
    columns: [&'static str; N],
    rows: &'a [[Cell<'a>; N]],
    ending: &'static str,
}

impl<DB: Binds, const N: usize> QueryFragment<DB> for InsertRows<'_, N>
where
    for<'c> Cell<'c>: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        keep_prepared_if_likely_again(&mut out, self.rows);
        out.push_sql(self.insertion);
        out.push_sql(" INTO ");
        out.push_sql(self.table);
        push_columns(&mut out, &self.columns);
        out.push_sql(" VALUES ");
        push_rows(&mut out, self.rows)?;
        out.push_sql(self.ending);
        Ok(())
    }
}

/// `DELETE FROM t WHERE (c1 = ? AND c2 = ?) OR (c1 = ? AND c2 = ?)`
///
/// Each row is one look-up of its whole key. (With `(c1, c2) IN (VALUES …)` SQLite searches by the first columns and walks
/// every row that shares them: all the `emails.type = work` of a tenant.)
struct DeleteRows<'a, const N: usize> {
    table: &'static str,
    columns: [&'static str; N],
    rows: &'a [[Cell<'a>; N]],
}

impl<DB: Binds, const N: usize> QueryFragment<DB> for DeleteRows<'_, N>
where
    for<'c> Cell<'c>: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        keep_prepared_if_likely_again(&mut out, self.rows);
        out.push_sql("DELETE FROM ");
        out.push_sql(self.table);
        out.push_sql(" WHERE ");
        for (index, row) in self.rows.iter().enumerate() {
            for (position, (column, cell)) in self.columns.iter().zip(row).enumerate() {
                out.push_sql(match (index, position) {
                    (0, 0) => "(",
                    (_, 0) => ") OR (",
                    _ => " AND ",
                });
                out.push_sql(column);
                out.push_sql(" = ");
                cell.walk_ast(out.reborrow())?;
            }
        }
        out.push_sql(")");
        Ok(())
    }
}

// The text differs from statement to statement of one type, so diesel must look at it: no static id.
impl<const N: usize> QueryId for InsertRows<'_, N> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<const N: usize> QueryId for DeleteRows<'_, N> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, const N: usize> RunQueryDsl<C> for InsertRows<'_, N> {}
impl<C, const N: usize> RunQueryDsl<C> for DeleteRows<'_, N> {}

/// A backend that can bind our four column types.
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

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Cell::NullableText(value)
    }
}

fn keep_prepared_if_likely_again<DB: Backend, const N: usize>(out: &mut AstPass<'_, '_, DB>, rows: &[[Cell<'_>; N]]) {
    if rows.len() > ROWS_KEPT_PREPARED && rows.len() != rows_per_statement(N) {
        out.unsafe_to_cache_prepared();
    }
}

/// No name of ours is a word that needs quotes.
fn push_columns<DB: Backend>(out: &mut AstPass<'_, '_, DB>, columns: &[&'static str]) {
    out.push_sql(" (");
    for (position, column) in columns.iter().enumerate() {
        if position > 0 {
            out.push_sql(", ");
        }
        out.push_sql(column);
    }
    out.push_sql(")");
}

fn push_rows<'b, DB: Backend, const N: usize>(
    out: &mut AstPass<'_, 'b, DB>,
    rows: &'b [[Cell<'b>; N]],
) -> QueryResult<()>
where
    Cell<'b>: QueryFragment<DB>,
{
    for (position, row) in rows.iter().enumerate() {
        out.push_sql(if position > 0 { ", (" } else { "(" });
        for (position, cell) in row.iter().enumerate() {
            if position > 0 {
                out.push_sql(", ");
            }
            cell.walk_ast(out.reborrow())?;
        }
        out.push_sql(")");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::schema::{group_members, resource_values, resources};
    use crate::store::tests::{Fixture, at, on_each_database};

    fn resource<'a>(row_id: i64, id: &'a str) -> [Cell<'a>; 10] {
        [
            row_id.into(),
            1.into(),
            id.into(),
            "User".into(),
            Cell::NullableText(None),
            true.into(),
            "{}".into(),
            1.into(),
            at("2026-03-01T09:30:00.123").into(),
            at("2026-03-01T09:30:00").into(),
        ]
    }

    const RESOURCE: [&str; 10] = [
        "row_id",
        "tenant_id",
        "id",
        "resource_type",
        "external_id",
        "active",
        "document",
        "version",
        "created_at",
        "modified_at",
    ];

    async fn with_resources(store: &Store, count: i64) {
        let inserted = store
            .write(move |c| {
                let ids: Vec<String> = (1..=count).map(|row_id| format!("id-{row_id}")).collect();
                let rows = (1..=count).zip(&ids).map(|(row_id, id)| resource(row_id, id));
                Ok(insert_rows(c, "resources", RESOURCE, rows, OnConflict::Fail)?)
            })
            .await
            .unwrap();
        assert_eq!(inserted, count as usize);
    }

    #[test]
    fn rows_of_every_type_come_back_as_they_went_in() {
        on_each_database(|Fixture { store, .. }| async move {
            with_resources(&store, 1).await;

            let row = store
                .write(|c| {
                    Ok(resources::table
                        .select((
                            resources::id,
                            resources::external_id,
                            resources::active,
                            resources::created_at,
                            resources::modified_at,
                        ))
                        .first::<(String, Option<String>, bool, NaiveDateTime, NaiveDateTime)>(c)?)
                })
                .await
                .unwrap();

            let expected = ("id-1".to_owned(), None, true, at("2026-03-01T09:30:00.123"), at("2026-03-01T09:30:00"));
            assert_eq!(row, expected);
        });
    }

    #[test]
    fn many_rows_are_inserted_skipped_and_deleted_in_chunks() {
        on_each_database(|Fixture { store, .. }| async move {
            with_resources(&store, 1_201).await;
            let pairs = |from: i64| (from..=1_201).map(|member| [Cell::from(1), Cell::from(member)]);
            let columns = ["group_row_id", "member_row_id"];

            let (first, second, deleted, left) = store
                .write(move |c| {
                    let first = insert_rows(c, "group_members", columns, pairs(601), OnConflict::Skip)?;
                    let second = insert_rows(c, "group_members", columns, pairs(1), OnConflict::Skip)?;
                    let deleted = delete_rows(c, "group_members", columns, pairs(2))?;
                    let left = group_members::table.select(group_members::member_row_id).load::<i64>(c)?;
                    Ok((first, second, deleted, left))
                })
                .await
                .unwrap();

            assert_eq!((first, second, deleted, left), (601, 600, 1_200, vec![1]));
        });
    }

    #[test]
    fn a_row_that_is_there_already_fails_the_statement() {
        on_each_database(|Fixture { store, .. }| async move {
            with_resources(&store, 1).await;

            let error = store
                .write(|c| Ok(insert_rows(c, "resources", RESOURCE, [resource(1, "other")], OnConflict::Fail)?))
                .await
                .unwrap_err();

            assert_eq!(error.kind(), crate::scim::ErrorKind::Uniqueness);
        });
    }

    #[test]
    fn rows_of_which_one_is_there_already_are_undone_by_the_savepoint() {
        on_each_database(|Fixture { store, .. }| async move {
            with_resources(&store, 1).await;

            let left = store
                .write(|c| {
                    let rows = [(2, "id-2"), (3, "id-3"), (4, "id-1"), (5, "id-5")];
                    let rows = rows.map(|(row_id, id)| resource(row_id, id));
                    let insert =
                        |c: &mut Connection| Ok(insert_rows(c, "resources", RESOURCE, rows, OnConflict::Fail)?);
                    let error = c.savepoint(insert).expect_err("one is there already");
                    assert_eq!(error.kind(), crate::scim::ErrorKind::Uniqueness);
                    Ok(resources::table.select(resources::row_id).load::<i64>(c)?)
                })
                .await
                .expect("the transaction goes on");

            assert_eq!(left, [1]);
        });
    }

    #[test]
    fn statements_also_run_on_the_connection_over_both_backends() {
        on_each_database(|Fixture { store, .. }| async move {
            let (inserted, deleted) = store
                .write(|c| {
                    let rows = &[["a".into(), 1.into(), "".into()], ["b".into(), 2.into(), "tail".into()]]
                        .map(|[key, row_id, tail]: [Cell<'_>; 3]| [5.into(), key, row_id, 0.into(), tail]);
                    let columns = ["tenant_path", "key", "row_id", "element", "tail"];
                    let insert =
                        InsertRows { insertion: "INSERT", table: "resource_values", columns, rows, ending: "" };
                    let inserted = insert.execute(c)?;
                    let rows = &[["b".into()]];
                    let delete = DeleteRows { table: "resource_values", columns: ["key"], rows };
                    Ok((inserted, delete.execute(c)?))
                })
                .await
                .unwrap();

            let left = store
                .read(crate::store::Reach::Point, |c| {
                    Ok(resource_values::table.select(resource_values::key).load(c)?)
                })
                .await
                .unwrap();
            assert_eq!((inserted, deleted, left), (2, 1, vec!["a".to_owned()]));
        });
    }

    #[test]
    fn deleting_rows_uses_the_index() {
        on_each_database(|Fixture { store, postgres }| async move {
            if postgres {
                return;
            }
            let plan = store
                .write(|c| {
                    #[derive(QueryableByName)]
                    struct Step {
                        #[diesel(sql_type = Text)]
                        detail: String,
                    }
                    let row = |tenant_path: i64| {
                        format!("(tenant_path = {tenant_path} AND key = 'x' AND row_id = 1 AND element = 0)")
                    };
                    let query = "EXPLAIN QUERY PLAN DELETE FROM resource_values WHERE ".to_owned() + &row(1);
                    let query = format!("{query} OR {}", row(2));
                    let steps: Vec<Step> = each_backend!(c, c => diesel::sql_query(query).load(c))?;
                    Ok(steps.into_iter().map(|step| step.detail).collect::<Vec<_>>())
                })
                .await
                .unwrap();

            let whole_key = "(tenant_path=? AND key=? AND row_id=? AND element=?)";
            assert!(plan.iter().any(|step| step.ends_with(whole_key)), "{plan:?}");
        });
    }
}
