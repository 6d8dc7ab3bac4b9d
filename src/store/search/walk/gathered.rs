//! Few matches in the order of a value: all of them are looked at and put in order, instead of looking for them among the
//! values of all resources.

use std::cmp::Ordering;
use std::collections::HashMap;

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use super::super::predicate_of;
use super::{By, Placed, Walker};
use crate::scim::cursor::Position;
use crate::scim::resource::Document;
use crate::scim::{Error, Result};
use crate::store::resources::{ROW_COLUMNS, Row, RowType};
use crate::store::sql::Sql;
use crate::store::values::sort_key;
use crate::store::{Connection, totals};

/// How many are put in order here at most: their documents are in memory at once.
const MOST: u64 = 2_000;

/// A match costs so many times what a value costs that is passed by: its document is read.
const WEIGHT: u64 = 10;

impl Walker<'_> {
    /// Puts all `total` matches in order, if that is cheaper than to walk the index until `needed` of them are met. Without
    /// a filter it never is.
    pub(super) fn gather(&mut self, connection: &mut Connection, total: u64, needed: u64) -> Result<()> {
        let By::Value(path) = &self.by else { return Ok(()) };
        if total > MOST || self.search.scopes.iter().all(|scope| scope.condition.is_none()) {
            return Ok(());
        }
        let mut all = 0;
        for scope in &self.search.scopes {
            all += totals::of_type(connection, self.search.tenant_id, &scope.resource_type.name)?.unsigned_abs();
        }
        // Among the values of all, a match comes after so many others as there are resources for each match.
        if total * total * WEIGHT > needed.saturating_mul(all) {
            return Ok(());
        }
        let mut places = Vec::new();
        for scope in &self.search.scopes {
            let statement: Sql<(BigInt, Text)> = Sql::new("SELECT r.row_id, r.document FROM resources r WHERE ");
            let statement = statement.append(predicate_of(self.search, scope, connection));
            for (row_id, document) in statement.load::<(i64, String)>(connection)? {
                let document = Document::from_json(&document).map_err(Error::internal)?;
                places.push(Position { key: sort_key(scope.resource_type, &document, path), row_id });
            }
        }
        places.sort_by(|left, right| self.compare(left, right));
        self.gathered = Some(places);
        Ok(())
    }

    /// At most `limit` of them behind a place.
    pub(super) fn take_gathered(
        &self,
        connection: &mut Connection,
        gathered: &[Position],
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<Placed>> {
        let passed = |from| gathered.partition_point(|place| self.compare(place, from) != Ordering::Greater);
        let places = gathered.iter().skip(from.map_or(0, passed)).take(limit);
        let row_ids: Vec<i64> = places.clone().map(|place| place.row_id).collect();
        if row_ids.is_empty() {
            return Ok(Vec::new());
        }
        let statement: Sql<RowType> =
            Sql::new("SELECT ").push(ROW_COLUMNS).push(" FROM resources r WHERE r.row_id IN (");
        let rows: Vec<Row> = statement.bind_list(row_ids).push(")").uncached().load(connection)?;
        let mut rows: HashMap<i64, Row> = rows.into_iter().map(|row| (row.0, row)).collect();
        let placed = |place: &Position| Some(Placed { position: place.clone(), row: rows.remove(&place.row_id)? });
        Ok(places.filter_map(placed).collect())
    }
}
