//! The search index against the documents, without a look-up for each value.
//!
//! The index is one tree by path and key, so what belongs to one resource lies all over it. Therefore it is walked once
//! from end to end, and what is found is summed up by resource; the documents are walked then, and a resource whose sum
//! is another than that of its document is looked at closely. Sums take eight bytes for each resource of a block.

use std::hash::{DefaultHasher, Hash, Hasher};

use diesel::sql_types::{BigInt, Text};

use crate::scim::Result;
use crate::store::Connection;
use crate::store::sql::Sql;
use crate::store::values::{IndexedValue, tenant_and_path_hash, tenant_path};

/// How many resources have their sums at once: 32 MiB of them.
const BLOCK: i64 = 1 << 22;

/// A row of `resource_values`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexRow {
    pub tenant_id: i64,
    pub row_id: i64,
    pub value: IndexedValue,
}

/// A place in the tree: its primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    tenant_path: i64,
    key: String,
    row_id: i64,
    element: i64,
}

impl Spot {
    /// Before the first row.
    pub fn start() -> Spot {
        Spot { tenant_path: i64::MIN, key: String::new(), row_id: i64::MIN, element: i64::MIN }
    }
}

impl From<&IndexRow> for Spot {
    fn from(row: &IndexRow) -> Spot {
        let IndexedValue { path_hash, head, element, .. } = row.value.clone();
        let tenant_path = tenant_path(row.tenant_id, path_hash);
        Spot { tenant_path, key: head, row_id: row.row_id, element }
    }
}

/// The next rows of the tree.
pub(super) fn rows_after(connection: &mut Connection, spot: &Spot, limit: i64) -> Result<Vec<IndexRow>> {
    let rows: Vec<(i64, String, i64, i64, String)> = after(spot, limit).load(connection)?;
    let row = |(tenant_path, head, row_id, element, tail)| {
        let (tenant_id, path_hash) = tenant_and_path_hash(tenant_path);
        let value = IndexedValue { path_hash, head, tail, element };
        IndexRow { tenant_id, row_id, value }
    };
    Ok(rows.into_iter().map(row).collect())
}

fn after(spot: &Spot, limit: i64) -> Sql<(BigInt, Text, BigInt, BigInt, Text)> {
    let statement = Sql::new(
        "SELECT v.tenant_path, v.key, v.row_id, v.element, v.tail FROM resource_values v \
         WHERE (v.tenant_path, v.key, v.row_id, v.element) > (",
    );
    statement
        .bind(spot.tenant_path)
        .push(", ")
        .bind(spot.key.as_str())
        .push(", ")
        .bind(spot.row_id)
        .push(", ")
        .bind(spot.element)
        .push(") ORDER BY v.tenant_path, v.key, v.row_id, v.element LIMIT 0 + ")
        .bind(limit)
}

/// The sums of a block of resources.
#[derive(Debug)]
pub(super) struct Sums {
    first: i64,
    sums: Vec<u64>,
}

impl Sums {
    /// None yet, for the block that begins at the row `first`, of rows up to `last` in all.
    pub fn of_block(first: i64, last: i64) -> Sums {
        let count = (last - first + 1).clamp(0, BLOCK);
        Sums { first, sums: vec![0; usize::try_from(count).unwrap_or_default()] }
    }

    /// The first row of the block.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// The first row behind the block.
    pub fn end(&self) -> i64 {
        self.first + i64::try_from(self.sums.len()).unwrap_or_default()
    }

    /// Counts a row of the index, if it belongs to the block.
    pub fn add(&mut self, row: &IndexRow) {
        if let Some(sum) = self.slot(row.row_id) {
            *sum = sum.wrapping_add(digest(row.tenant_id, &row.value));
        }
    }

    /// Whether the index has exactly these values of a resource; then no more is to be said of it.
    pub fn settle<'a>(
        &mut self,
        tenant_id: i64,
        row_id: i64,
        values: impl IntoIterator<Item = &'a IndexedValue>,
    ) -> bool {
        let due = values.into_iter().fold(0_u64, |sum, value| sum.wrapping_add(digest(tenant_id, value)));
        let Some(sum) = self.slot(row_id) else { return false };
        if *sum != due {
            // Whatever it was: the mark of one that has to be looked at again.
            *sum = SUSPECT;
            return false;
        }
        *sum = 0;
        true
    }

    /// Says no more of a resource of which nothing can be said.
    pub fn pass_over(&mut self, row_id: i64) {
        if let Some(sum) = self.slot(row_id) {
            *sum = 0;
        }
    }

    /// Whether the index may have something of this row that nobody has accounted for.
    pub fn is_suspect(&self, row_id: i64) -> bool {
        let slot = row_id.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        slot.and_then(|at| self.sums.get(at)).is_some_and(|sum| *sum != 0)
    }

    /// Whether there is any such row.
    pub fn has_suspects(&self) -> bool {
        self.sums.iter().any(|sum| *sum != 0)
    }

    fn slot(&mut self, row_id: i64) -> Option<&mut u64> {
        let at = usize::try_from(row_id.checked_sub(self.first)?).ok()?;
        self.sums.get_mut(at)
    }
}

const SUSPECT: u64 = 1;

fn digest(tenant_id: i64, value: &IndexedValue) -> u64 {
    let mut hasher = DefaultHasher::new();
    tenant_id.hash(&mut hasher);
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::Integer;

    use super::*;
    use crate::scim::schema::path_hash;
    use crate::store::Reach;
    use crate::store::tests::{Fixture, on_each_database};

    fn row(row_id: i64, path: &str) -> IndexRow {
        let value = IndexedValue { path_hash: path_hash(path), head: "x".to_owned(), tail: String::new(), element: 0 };
        IndexRow { tenant_id: 1, row_id, value }
    }

    #[test]
    fn what_is_accounted_for_is_settled_in_any_order() {
        let mut sums = Sums::of_block(10, 12);
        [row(11, "a"), row(10, "b"), row(11, "c"), row(9, "d"), row(13, "e")].iter().for_each(|row| sums.add(row));
        let values = [row(11, "c").value, row(11, "a").value];

        assert_eq!(sums.end(), 13);
        assert!(sums.settle(1, 11, &values) && !sums.is_suspect(11));
        assert!(!sums.settle(2, 10, [&row(10, "b").value]) && sums.is_suspect(10), "of another tenant");
        assert!(sums.settle(1, 12, []) && sums.has_suspects());
        sums.pass_over(10);
        assert!(!sums.has_suspects() && !sums.is_suspect(9) && !sums.is_suspect(i64::MIN));
    }

    #[test]
    fn the_next_rows_are_found_through_the_tree_itself() {
        on_each_database(|Fixture { store, postgres }| async move {
            let explain = move |connection: &mut Connection| {
                if postgres {
                    // Of an empty table PostgreSQL would read the whole.
                    Sql::<()>::new("SET LOCAL enable_seqscan = off").execute(connection)?;
                    Sql::<()>::new("SET LOCAL enable_bitmapscan = off").execute(connection)?;
                    let explained: Sql<Text> = Sql::new("EXPLAIN ");
                    return Ok(explained.append(after(&Spot::start(), 5)).load::<String>(connection)?);
                }
                let explained: Sql<(Integer, Integer, Integer, Text)> = Sql::new("EXPLAIN QUERY PLAN ");
                let steps = explained.append(after(&Spot::start(), 5));
                let steps: Vec<(i32, i32, i32, String)> = steps.load(connection)?;
                Ok(steps.into_iter().map(|step| step.3).collect())
            };
            let plan = store.read(Reach::Point, explain).await.expect("a plan").join("\n");

            let looked_up = if postgres { "Index Cond: (ROW(" } else { "SEARCH v USING PRIMARY KEY" };
            assert!(plan.contains(looked_up) && !plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "{plan}");
        });
    }

    #[test]
    fn a_block_is_bounded() {
        assert_eq!(Sums::of_block(1, i64::MAX - 1).end(), 1 + BLOCK);
        assert_eq!(Sums::of_block(1, 0).end(), 1);
    }
}
