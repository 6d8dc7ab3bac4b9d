//! Changes and their events, appended by a part of a larger statement.

use super::{COLUMNS, Operation, Written};
use crate::store::lists::ListSql;

/// Adds CTEs `change` and `told` that append changes of one kind and their events: of those resources that the CTE `whom` has, by
/// `id`.
pub(in crate::store) fn append<'a, Row>(
    statement: ListSql<'a, Row>,
    whom: &'static str,
    written: &[&'a Written],
    operation: Operation,
) -> ListSql<'a, Row> {
    if written.is_empty() {
        return statement;
    }
    let rows: Vec<_> = written.iter().map(|written| written.cells()).collect();
    let statement = statement.push(", change AS (INSERT INTO audit (").columns(&COLUMNS).push(") SELECT w.* FROM ");
    let statement = statement.table(&rows, "w", &COLUMNS).push(" JOIN ").push(whom);
    let statement = statement.push(" m ON m.id = w.resource_id RETURNING row_id)");
    match operation.event() {
        None => statement,
        Some(event) => statement
            .push(", told AS (INSERT INTO outbox (audit_row_id, event) SELECT row_id, ")
            .bind_text(event)
            .push(" FROM change)"),
    }
}
