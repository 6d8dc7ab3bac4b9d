//! Statements that diesel cannot write once for both databases: many rows at a time, and row locks.
//!
//! Each is a `QueryFragment` for every backend that can bind our column types, so it runs on either database and on
//! [`Connection`] itself. Values are binds, always: one for each, or where the database takes lists, one for each column.
//! Table and column names are our own constants.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};

use super::cell::{Binds, Cell};
use super::connection::{Connection, each_backend};
use super::lists::ListSql;

/// What one statement binds at most: far below SQLite's 32,766 and PostgreSQL's 65,535, and past the point where a longer
/// statement is any faster.
const BINDS_PER_STATEMENT: usize = 1_000;

/// How many rows go as lists at once.
const ROWS_PER_LIST: usize = 1_000;

/// Whether so many rows are better a statement each: where the database is at hand, and there are few. Of one row, SQLite
/// needs no copy of each page that it would have to restore if a later row failed, and the text is always the same.
pub(super) fn is_one_by_one(connection: &Connection, rows: usize) -> bool {
    connection.is_at_hand() && rows <= 32
}

/// Statements up to this many rows stay prepared. Larger ones hardly ever come twice with the same count, except those
/// that are as large as can be.
const ROWS_KEPT_PREPARED: usize = 32;

/// What happens to a row whose key is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The statement fails, and with it the work that it is a part of: SQLite leaves the rows before it to the transaction
    /// or the savepoint, and need not copy the pages that it writes ([`Connection::insertion`]).
    Fail,
    /// The row is passed over and not counted.
    Skip,
}

/// Inserts rows of `columns` into `table`, some hundreds per statement; answers how many were inserted.
///
/// A failure leaves the rows of earlier statements to the transaction.
pub fn insert_rows<'a, const N: usize>(
    connection: &mut Connection,
    table: &'static str,
    columns: [&'static str; N],
    rows: impl IntoIterator<Item = [Cell<'a>; N]>,
    on_conflict: OnConflict,
) -> QueryResult<usize> {
    let mut inserted = 0;
    insert_in_chunks(connection, rows, on_conflict, |connection, rows, insertion| {
        let into = Into { insertion, table, columns, on_conflict, returned: None, row: PhantomData::<()> };
        inserted += match goes_as_lists(connection, rows) {
            true => into.lists(rows).execute(connection)?,
            false => each_backend!(connection, c => InsertRows { into, rows }.execute(c))?,
        };
        Ok(())
    })?;
    Ok(inserted)
}

/// The same into a table that numbers its rows; the number of each row that was inserted and what stands in the column
/// `returned`, in no certain order.
pub fn insert_numbered_rows<'a, const N: usize>(
    connection: &mut Connection,
    (table, returned): (&'static str, &'static str),
    columns: [&'static str; N],
    rows: impl IntoIterator<Item = [Cell<'a>; N]>,
    on_conflict: OnConflict,
) -> QueryResult<Vec<(i64, String)>> {
    let mut inserted = Vec::new();
    insert_in_chunks(connection, rows, on_conflict, |connection, rows, insertion| {
        let row = PhantomData::<(BigInt, Text)>;
        let into = Into { insertion, table, columns, on_conflict, returned: Some(returned), row };
        let some: Vec<(i64, String)> = match goes_as_lists(connection, rows) {
            true => into.lists(rows).load(connection)?,
            false => each_backend!(connection, c => InsertRows { into, rows }.load(c))?,
        };
        inserted.extend(some);
        Ok(())
    })?;
    Ok(inserted)
}

/// One row has a text of its own anyway, and it takes PostgreSQL less.
fn goes_as_lists<const N: usize>(connection: &Connection, rows: &[[Cell<'_>; N]]) -> bool {
    connection.takes_lists() && rows.len() > 1
}

fn insert_in_chunks<'a, const N: usize>(
    connection: &mut Connection,
    rows: impl IntoIterator<Item = [Cell<'a>; N]>,
    on_conflict: OnConflict,
    mut insert: impl FnMut(&mut Connection, &[[Cell<'a>; N]], &'static str) -> QueryResult<()>,
) -> QueryResult<()> {
    // What fails for good needs no copies of pages, however many rows a statement has (unless it refers to other tables).
    let (insertion, few) = match on_conflict {
        OnConflict::Fail => (connection.insertion(), ROWS_KEPT_PREPARED),
        OnConflict::Skip => ("INSERT", 1),
    };
    let most = if connection.takes_lists() { ROWS_PER_LIST } else { rows_per_statement(N) };
    in_chunks(connection, rows, (most, few), |connection, rows| insert(connection, rows, insertion))
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
    let mut deleted = 0;
    in_chunks(connection, rows, (ROWS_PER_DELETE, 1), |connection, rows| {
        let statement = DeleteRows { table, columns, rows };
        deleted += each_backend!(connection, c => statement.execute(c))?;
        Ok(())
    })?;
    Ok(deleted)
}

/// At most so many rows at once. Where the database is at hand, of a few so many, and otherwise no number that hardly ever
/// comes again.
fn in_chunks<'a, const N: usize>(
    connection: &mut Connection,
    rows: impl IntoIterator<Item = [Cell<'a>; N]>,
    (most, few): (usize, usize),
    mut execute: impl FnMut(&mut Connection, &[[Cell<'a>; N]]) -> QueryResult<()>,
) -> QueryResult<()> {
    let mut rows = rows.into_iter();
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        chunk.extend(rows.by_ref().take(most));
        if chunk.is_empty() {
            return Ok(());
        }
        let at_once = match is_one_by_one(connection, chunk.len()) {
            true => few,
            // A text of its own would be parsed for these alone.
            false if connection.is_at_hand() && chunk.len() < most => ROWS_KEPT_PREPARED,
            false => most,
        };
        for rows in chunk.chunks(at_once) {
            execute(connection, rows)?;
        }
    }
}

/// Alternatives of one condition; SQLite nests them, and not without limit.
const ROWS_PER_DELETE: usize = 50;

const fn rows_per_statement(columns: usize) -> usize {
    BINDS_PER_STATEMENT / columns
}

/// Where rows are inserted, and what becomes of them. No name of ours is a word that needs quotes.
struct Into<const N: usize, Row> {
    insertion: &'static str,
    table: &'static str,
    columns: [&'static str; N],
    on_conflict: OnConflict,
    /// The column that is given back with the number of the row.
    returned: Option<&'static str>,
    row: PhantomData<Row>,
}

impl<const N: usize, Row> Into<N, Row> {
    fn beginning(&self) -> impl Iterator<Item = &'static str> {
        let columns = self.columns.into_iter().enumerate();
        let columns = columns.flat_map(|(position, column)| [if position == 0 { " (" } else { ", " }, column]);
        [self.insertion, " INTO ", self.table].into_iter().chain(columns).chain([")"])
    }

    fn end(&self) -> impl Iterator<Item = &'static str> {
        let conflict = (self.on_conflict == OnConflict::Skip).then_some(" ON CONFLICT DO NOTHING");
        let returned = self.returned.map(|column| [" RETURNING row_id, ", column]);
        conflict.into_iter().chain(returned.into_iter().flatten())
    }

    /// `INSERT INTO t (c1, c2) SELECT * FROM unnest($1, $2) [ON CONFLICT DO NOTHING] [RETURNING row_id, c1]`
    fn lists<'a>(&self, rows: &[[Cell<'a>; N]]) -> ListSql<'a, Row> {
        ListSql::new("").push_all(self.beginning()).push(" SELECT * FROM ").rows(rows).push_all(self.end())
    }
}

/// `INSERT [OR FAIL] INTO t (c1, c2) VALUES (?, ?), (?, ?) [ON CONFLICT DO NOTHING] [RETURNING row_id, c1]`
struct InsertRows<'a, const N: usize, Row> {
    into: Into<N, Row>,
    rows: &'a [[Cell<'a>; N]],
}

impl<DB: Binds, const N: usize, Row> QueryFragment<DB> for InsertRows<'_, N, Row>
where
    for<'c> Cell<'c>: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        keep_prepared_if_likely_again(&mut out, self.rows);
        self.into.beginning().for_each(|text| out.push_sql(text));
        out.push_sql(" VALUES ");
        push_rows(&mut out, self.rows)?;
        self.into.end().for_each(|text| out.push_sql(text));
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
impl<const N: usize, Row> QueryId for InsertRows<'_, N, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<const N: usize> QueryId for DeleteRows<'_, N> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<const N: usize, Row> Query for InsertRows<'_, N, Row> {
    type SqlType = Row;
}

impl<C, const N: usize, Row> RunQueryDsl<C> for InsertRows<'_, N, Row> {}
impl<C, const N: usize> RunQueryDsl<C> for DeleteRows<'_, N> {}

fn keep_prepared_if_likely_again<DB: Backend, const N: usize>(out: &mut AstPass<'_, '_, DB>, rows: &[[Cell<'_>; N]]) {
    if rows.len() > ROWS_KEPT_PREPARED && rows.len() != rows_per_statement(N) {
        out.unsafe_to_cache_prepared();
    }
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
    use chrono::NaiveDateTime;

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
                    let into = Into {
                        insertion: "INSERT",
                        table: "resource_values",
                        columns,
                        on_conflict: OnConflict::Fail,
                        returned: None,
                        row: PhantomData::<()>,
                    };
                    let inserted = InsertRows { into, rows }.execute(c)?;
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
