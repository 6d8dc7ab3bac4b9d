//! Few matches in the order of a value: all of them are looked at and put in order, instead of looking for them among the
//! values of all resources.

use std::cmp::Ordering;
use std::collections::HashMap;

use diesel::sql_types::{BigInt, Text};

use super::super::predicate_of;
use super::{By, Placed, Walker};
use crate::scim::Result;
use crate::scim::cursor::Position;
use crate::scim::resource::Document;
use crate::store::resources::{ROW_COLUMNS, Row, RowType};
use crate::store::sql::Sql;
use crate::store::values::sort_key;
use crate::store::{Connection, totals};

/// How many are put in order here at most.
const MOST: u64 = 2_000;

/// How many documents are in memory at once.
const AT_ONCE: usize = 200;

/// A match costs so many times what a value costs that is passed by: its document is read.
const WEIGHT: u64 = 10;

impl Walker<'_> {
    /// Puts all `total` matches in order, if that is cheaper than to walk the index until `needed` of them are met. Without
    /// a filter it never is. If one of them can't be read, the index is walked all the same: only the page that holds it
    /// fails.
    pub(super) fn gather(&mut self, connection: &mut Connection, total: u64, needed: u64) -> Result<()> {
        let By::Value(path_hash) = self.by else { return Ok(()) };
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
            let matches: Sql<BigInt> = Sql::new("SELECT r.row_id FROM resources r WHERE ");
            let matches = matches.append(predicate_of(self.search, scope, connection));
            for row_ids in matches.load::<i64>(connection)?.chunks(AT_ONCE) {
                let statement: Sql<(BigInt, Text)> = Sql::new("SELECT r.row_id, r.document FROM resources r WHERE ");
                let statement = statement.append(among(row_ids));
                for (row_id, document) in statement.load::<(i64, String)>(connection)? {
                    let Ok(document) = Document::from_json(&document) else { return Ok(()) };
                    places.push(Position { key: sort_key(scope.resource_type, &document, path_hash), row_id });
                }
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
        let statement: Sql<RowType> = Sql::new("SELECT ").push(ROW_COLUMNS).push(" FROM resources r WHERE ");
        let rows: Vec<Row> = statement.append(among(&row_ids)).load(connection)?;
        let mut rows: HashMap<i64, Row> = rows.into_iter().map(|row| (row.0, row)).collect();
        let placed = |place: &Position| Some(Placed { position: place.clone(), row: rows.remove(&place.row_id)? });
        Ok(places.filter_map(placed).collect())
    }
}

fn among(row_ids: &[i64]) -> Sql {
    Sql::new("r.row_id IN (").bind_list(row_ids.iter().copied()).push(")").uncached()
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::*;
    use crate::scim::Profile;
    use crate::scim::cursor::Direction;
    use crate::scim::query::{Page, Parameters, Query};
    use crate::scim::schema::{Registry, ResourceType};
    use crate::store::resources::Place;
    use crate::store::search::{Scope, Search, search};
    use crate::store::tenants::TenantSettings;
    use crate::store::tests::{Fixture, at, insert_resource, on_each_database};

    fn users() -> &'static ResourceType {
        Registry::builtin().resource_type("User").expect("a built-in type")
    }

    /// So many users, the first of them with the title `x`; the last one comes first by name.
    fn insert(connection: &mut Connection, count: usize, titled: usize) -> Result<()> {
        let place = Place { tenant_id: 1, settings: TenantSettings::default(), resource_type: users() };
        for number in 0..count {
            let title = if number < titled { r#","title":"x""# } else { "" };
            let document = format!(r#"{{"userName":"u{:03}"{title}}}"#, count - 1 - number);
            let document = Document::from_json(&document).expect("a document");
            let id = format!("id-{number}");
            insert_resource(connection, place, &id, document, at("2026-03-01T09:30:00").and_utc())?;
        }
        Ok(())
    }

    /// Whether those with the title are put in order by themselves for a page by name; and the page: the total, and the ids.
    fn titled(connection: &mut Connection, start_index: u64, count: usize) -> (bool, Result<(u64, Vec<String>)>) {
        let parameters = Parameters::parse("filter=title%20eq%20%22x%22&sortBy=userName").expect("parameters");
        let query = Query::resolve(&parameters, users(), Profile::Strict).expect("a query");
        let scopes = vec![Scope { resource_type: users(), condition: query.condition.as_ref() }];
        let (registry, base_url) = (Registry::builtin(), "https://example.com/scim/v2");
        let titled = Search { tenant_id: 1, scopes, sort: query.sort.as_ref(), registry, base_url };
        let found = search(connection, &titled, Page { start_index, count });
        let found = found.map(|found| (found.total, found.resources.into_iter().map(|found| found.id).collect()));
        let mut walker = Walker::new(&titled, Direction::Forward).expect("a walker");
        let total = crate::store::search::count(connection, &titled).expect("a total");
        walker.gather(connection, total, start_index - 1 + count as u64).expect("gathered or not");
        (walker.gathered.is_some(), found)
    }

    fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
        numbers.into_iter().map(|number| format!("id-{number}")).collect()
    }

    #[test]
    fn all_matches_are_put_in_order_however_many_steps_they_are_read_in() {
        on_each_database(|Fixture { store, .. }| async move {
            let look = |connection: &mut Connection| {
                insert(connection, AT_ONCE * 2 + 100, AT_ONCE + 1)?;
                let (gathered, found) = titled(connection, 1, MOST as usize);
                assert!(gathered);
                assert_eq!(found?, (AT_ONCE as u64 + 1, ids((0..=AT_ONCE).rev())));
                assert_eq!(titled(connection, MOST, 10).1?, (AT_ONCE as u64 + 1, Vec::new()));
                Ok(())
            };
            store.write(look).await.expect("looked at");
        });
    }

    #[test]
    fn a_match_that_cannot_be_read_is_no_reason_to_refuse_a_page() {
        on_each_database(|Fixture { store, .. }| async move {
            let look = |connection: &mut Connection| {
                insert(connection, 60, 3)?;
                let (gathered, found) = titled(connection, 2, 2);
                assert_eq!((gathered, found?), (true, (3, ids([1, 0]))));

                connection.batch_execute("UPDATE resources SET document = 'x' WHERE id = 'id-2'")?;

                let (gathered, found) = titled(connection, 2, 2);
                assert_eq!((gathered, found?), (false, (3, ids([1, 0]))));
                assert_eq!(
                    titled(connection, 1, 2).1?,
                    (3, ids([2, 1])),
                    "whoever shows it finds that it is no document"
                );
                Ok(())
            };
            store.write(look).await.expect("looked at");
        });
    }
}
