//! The search index of many resources, as lists, by a part of a larger statement. That of one is
//! [`Difference::beside`](super::Difference::beside).

use super::{IndexedValue, KEY_COLUMNS, key_of, tenant_path};
use crate::store::cell::Cell;
use crate::store::lists::ListSql;

/// Adds a CTE `indexed` that puts values into the index, each with the id of its resource: of those resources that the CTE `whom`
/// has, by `id`, and with the `row_id` that it has there.
pub(in crate::store) fn insert<'a, Row>(
    statement: ListSql<'a, Row>,
    whom: &'static str,
    tenant_id: i64,
    values: impl IntoIterator<Item = (&'a str, &'a IndexedValue)>,
) -> ListSql<'a, Row> {
    let cells = |(id, value): (&'a str, &'a IndexedValue)| -> [Cell<'a>; 5] {
        let tenant_path = tenant_path(tenant_id, value.path_hash);
        [id.into(), tenant_path.into(), value.head.as_str().into(), value.element.into(), value.tail.as_str().into()]
    };
    let values: Vec<_> = values.into_iter().map(cells).collect();
    if values.is_empty() {
        return statement;
    }
    let statement = statement
        .push(", indexed AS (INSERT INTO resource_values (tenant_path, key, row_id, element, tail) ")
        .push("SELECT v.tenant_path, v.key, m.row_id, v.element, v.tail FROM ");
    let statement = statement.table(&values, "v", &["id", "tenant_path", "key", "element", "tail"]);
    statement.push(" JOIN ").push(whom).push(" m ON m.id = v.id)")
}

/// Adds a CTE `unindexed` that takes values out of the index, each with the row of its resource: of those resources that the CTE
/// `whom` has, by `row_id`. None of [`insert`] may take the place of one that goes: neither sees what the other one does.
pub(in crate::store) fn delete<'a, Row>(
    statement: ListSql<'a, Row>,
    whom: &'static str,
    tenant_id: i64,
    values: impl IntoIterator<Item = (i64, &'a IndexedValue)>,
) -> ListSql<'a, Row> {
    let keys: Vec<_> = values.into_iter().map(|(row_id, value)| key_of(tenant_id, row_id, value)).collect();
    if keys.is_empty() {
        return statement;
    }
    // The row comes from the same list as the rest of the key. Taken from `whom`, it would be no part of the search in the index,
    // and all who have the same value would be read.
    let statement = statement.push(", unindexed AS (DELETE FROM resource_values r USING ").push(whom).push(" m, ");
    statement.table(&keys, "v", &KEY_COLUMNS).push(
        " WHERE m.row_id = v.row_id AND r.tenant_path = v.tenant_path AND r.key = v.key AND r.row_id = v.row_id \
         AND r.element = v.element)",
    )
}
