//! The statements of a walk: each reads rows behind a place, and ends in an order that wants a limit.

use diesel::sql_types::{BigInt, Text};

use super::column::Column;
use crate::scim::Result;
use crate::store::Connection;
use crate::store::resources::{ROW_COLUMNS, RowType};
use crate::store::search::{SORTED_TAIL, Scope, Search, predicate_of};
use crate::store::sql::Sql;
use crate::store::values::{HEAD_CHARS, has_other_values, split, tenant_path};

/// Writes the statements for one way.
pub(super) struct Statements<'a> {
    pub search: &'a Search<'a>,
    /// Whether rows of the same key are met in the order of creation.
    pub rows_grow: bool,
    /// Whether keys grow on the way; resources without one are behind all others then.
    pub keys_grow: bool,
}

impl Statements<'_> {
    /// The rows of a type in the order of creation.
    pub(super) fn by_creation(&self, connection: &Connection, scope: &Scope<'_>, from: Option<i64>) -> Sql<RowType> {
        let mut statement = self.select(connection, scope);
        if let Some(row_id) = from {
            statement = statement.push(" AND r.row_id").push(beyond(self.rows_grow)).bind(row_id);
        }
        statement.push(" ORDER BY r.row_id").push(direction(self.rows_grow))
    }

    /// The rows of a type in the order of a column.
    ///
    /// # Errors
    /// For a key that is none of the column.
    pub(super) fn by_column(
        &self,
        connection: &Connection,
        scope: &Scope<'_>,
        column: Column,
        from: Option<(&str, i64)>,
    ) -> Result<Sql<RowType>> {
        let name = column.name();
        let mut statement = self.select(connection, scope);
        if let Some((key, row_id)) = from {
            let value = column.value(key)?;
            // The first comparison says what follows from the others, in a form that an index answers.
            let at_or_beyond = if self.keys_grow { " >= " } else { " <= " };
            statement = statement.push(" AND ").push(name).push(at_or_beyond).bind(value.clone());
            statement = statement.push(" AND (").push(name).push(beyond(self.keys_grow)).bind(value);
            statement = statement.push(" OR r.row_id").push(beyond(self.rows_grow)).bind(row_id).push(")");
        }
        let statement = statement.push(" ORDER BY ").push(name).push(direction(self.keys_grow));
        Ok(statement.push(", r.row_id").push(direction(self.rows_grow)))
    }

    /// The values that share the head of a key, behind one of them or all.
    pub(super) fn tie(
        &self,
        connection: &Connection,
        scope: &Scope<'_>,
        path_hash: i64,
        key: &str,
        row_id: Option<i64>,
    ) -> Sql<(RowType, Text)> {
        let (head, tail) = split(key);
        let has_tails = is_long(head);
        let mut statement = self.select_by_value(connection, scope, path_hash).push(" AND s.key = ").bind(head);
        if let Some(row_id) = row_id {
            let behind = Sql::new("s.row_id").push(beyond(self.rows_grow)).bind(row_id);
            statement = statement.push(" AND ").append(if has_tails { self.behind_tail(tail, behind) } else { behind });
        }
        statement = statement.push(" ORDER BY ");
        if has_tails {
            statement = statement.push(SORTED_TAIL).push(direction(self.keys_grow)).push(", ");
        }
        statement.push("s.row_id").push(direction(self.rows_grow))
    }

    fn behind_tail(&self, tail: &str, behind_row: Sql) -> Sql {
        let compared = |operator| -> Sql { Sql::new(SORTED_TAIL).push(operator).bind(tail) };
        let same = compared(" = ").push(" AND ").append(behind_row);
        Sql::new("(").append(compared(beyond(self.keys_grow))).push(" OR (").append(same).push("))")
    }

    /// A stretch of the index behind a head, in the order of the index.
    pub(super) fn index_stretch(
        &self,
        connection: &Connection,
        scope: &Scope<'_>,
        path_hash: i64,
        head: Option<&str>,
    ) -> Sql<(RowType, Text)> {
        let mut statement = self.select_by_value(connection, scope, path_hash);
        if let Some(head) = head {
            statement = statement.push(" AND s.key").push(beyond(self.keys_grow)).bind(head);
        }
        let way = direction(self.keys_grow);
        statement.push(" ORDER BY s.key").push(way).push(", s.row_id").push(way)
    }

    /// The heads of a stretch of the index, each with its row, in the order of the index.
    pub(super) fn heads(&self, connection: &Connection, scope: &Scope<'_>, path_hash: i64) -> Sql<(Text, BigInt)> {
        let way = direction(self.keys_grow);
        let statement = Sql::new("SELECT s.key, s.row_id").append(self.over_values(connection, scope, path_hash));
        statement.push(" ORDER BY s.key").push(way).push(", s.row_id").push(way)
    }

    /// How many have a value; with a head, only of those before it.
    pub(super) fn number(
        &self,
        connection: &Connection,
        scope: &Scope<'_>,
        path_hash: i64,
        head: Option<&str>,
    ) -> Sql<BigInt> {
        let statement = Sql::new("SELECT count(*)").append(self.over_values(connection, scope, path_hash));
        match head {
            Some(head) => statement.push(" AND s.key").push(beyond(!self.keys_grow)).bind(head),
            None => statement,
        }
    }

    /// How many values the index has to sort by under a path, of whatever type.
    pub(super) fn number_in_index(&self, path_hash: i64) -> Sql<BigInt> {
        let statement = Sql::new("SELECT count(*) FROM resource_values s WHERE s.element = 0 AND s.tenant_path = ");
        statement.bind(tenant_path(self.search.tenant_id, path_hash))
    }

    /// The rows of a type without a value, in the order of creation.
    pub(super) fn without_value(
        &self,
        connection: &Connection,
        scope: &Scope<'_>,
        path_hash: i64,
        from: Option<i64>,
    ) -> Sql<RowType> {
        if has_other_values(scope.resource_type, path_hash) {
            return self.by_creation(connection, scope, from);
        }
        let mut statement: Sql<RowType> = Sql::new("SELECT ")
            .push(ROW_COLUMNS)
            .push(
                " FROM resources r LEFT JOIN (SELECT row_id FROM resource_values WHERE element = 0 AND tenant_path = ",
            )
            .bind(tenant_path(self.search.tenant_id, path_hash))
            .push(") s ON s.row_id = r.row_id WHERE s.row_id IS NULL AND ")
            .append(predicate_of(self.search, scope, connection));
        if let Some(row_id) = from {
            statement = statement.push(" AND r.row_id").push(beyond(self.rows_grow)).bind(row_id);
        }
        statement.push(" ORDER BY r.row_id").push(direction(self.rows_grow))
    }

    fn select(&self, connection: &Connection, scope: &Scope<'_>) -> Sql<RowType> {
        let statement: Sql<RowType> = Sql::new("SELECT ").push(ROW_COLUMNS).push(" FROM resources r WHERE ");
        statement.append(predicate_of(self.search, scope, connection))
    }

    fn select_by_value(&self, connection: &Connection, scope: &Scope<'_>, path_hash: i64) -> Sql<(RowType, Text)> {
        let selected = Sql::new("SELECT ").push(ROW_COLUMNS).push(", s.key || ").push(SORTED_TAIL);
        selected.append(self.over_values(connection, scope, path_hash))
    }

    /// SQLite keeps the order of a CROSS JOIN: the index leads.
    fn over_values(&self, connection: &Connection, scope: &Scope<'_>, path_hash: i64) -> Sql {
        Sql::new(" FROM resource_values s CROSS JOIN resources r WHERE r.row_id = s.row_id AND s.element = 0 AND s.tenant_path = ")
            .bind(tenant_path(self.search.tenant_id, path_hash))
            .push(" AND ")
            .append(predicate_of(self.search, scope, connection))
    }
}

/// SQLite looks at a value that is bound to LIMIT itself and plans anew for each; a sum it takes as it comes.
pub(super) fn limited<T>(statement: Sql<T>, limit: usize) -> Sql<T> {
    statement.push(" LIMIT 0 + ").bind(i64::try_from(limit).unwrap_or(i64::MAX))
}

/// One row of a statement, which so many others come before.
pub(super) fn at<T>(statement: Sql<T>, rank: u64) -> Sql<T> {
    limited(statement, 1).push(" OFFSET 0 + ").bind(i64::try_from(rank).unwrap_or(i64::MAX))
}

/// Whether values with this head may have tails.
pub(super) fn is_long(head: &str) -> bool {
    head.chars().count() == HEAD_CHARS
}

fn beyond(grows: bool) -> &'static str {
    if grows { " > " } else { " < " }
}

fn direction(grows: bool) -> &'static str {
    if grows { " ASC" } else { " DESC" }
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::Integer;

    use super::*;
    use crate::scim::key::Key;
    use crate::scim::schema::{Registry, path_hash};
    use crate::store::{DatabaseUrl, Reach, Settings, Store};

    /// The plan of SQLite for a statement among all users, or all groups, one step a line.
    fn plan<T: 'static>(
        resource_type: &str,
        (keys_grow, rows_grow): (bool, bool),
        write: impl Fn(&Statements<'_>, &Connection, &Scope<'_>) -> Sql<T> + Send + 'static,
    ) -> String {
        let resource_type = Registry::builtin().resource_type(resource_type).expect("a built-in type");
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&Settings::new(DatabaseUrl::Sqlite(directory.path().join("scimd.db")))).expect("open");
        store.migrate().expect("migrated");
        let explain = move |connection: &mut Connection| {
            let scope = Scope { resource_type, condition: None };
            let base_url = "https://example.com/scim/v2";
            let registry = Registry::builtin();
            let search = Search { tenant_id: 1, scopes: vec![scope], sort: None, registry, base_url };
            let statements = Statements { search: &search, rows_grow, keys_grow };
            let explained: Sql<(Integer, Integer, Integer, Text)> = Sql::new("EXPLAIN QUERY PLAN ");
            let explained = explained.append(limited(write(&statements, connection, &scope), 100));
            let steps: Vec<(i32, i32, i32, String)> = explained.load(connection)?;
            Ok(steps.into_iter().map(|step| step.3 + "\n").collect::<String>())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(store.read(Reach::Point, explain)).expect("a plan")
    }

    const WAYS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

    #[track_caller]
    fn assert_begins_at_the_place(plan: &str, index: &str, terms: &str) {
        let first = plan.lines().next().unwrap_or_default();
        assert!(first.contains(index) && first.ends_with(terms), "{plan}");
        assert!(
            !plan.contains("TEMP B-TREE") && !plan.contains("SCAN"),
            "nothing is sorted and nothing is passed by\n{plan}"
        );
    }

    #[test]
    fn cur_10_an_unsorted_page_begins_in_the_index_at_its_place() {
        for way in WAYS {
            let plan =
                plan("User", way, |statements, connection, scope| statements.by_creation(connection, scope, Some(7)));
            let operator = if way.1 { ">" } else { "<" };
            assert_begins_at_the_place(
                &plan,
                "resources_live",
                &format!("(tenant_id=? AND resource_type=? AND row_id{operator}?)"),
            );
        }
    }

    #[test]
    fn cur_10_cur_12_a_page_sorted_by_a_value_begins_in_the_index_at_its_place() {
        for way in WAYS {
            let (stretch, tie) = (
                plan("User", way, |statements, connection, scope| {
                    statements.index_stretch(connection, scope, path_hash("username"), Some("m"))
                }),
                plan("User", way, |statements, connection, scope| {
                    statements.tie(connection, scope, path_hash("username"), "m", Some(7))
                }),
            );
            let (keys, rows) = (if way.0 { ">" } else { "<" }, if way.1 { ">" } else { "<" });
            assert_begins_at_the_place(&stretch, "PRIMARY KEY", &format!("(tenant_path=? AND key{keys}?)"));
            let terms = format!("(tenant_path=? AND key=? AND row_id{rows}?)");
            assert_begins_at_the_place(&tie, "PRIMARY KEY", &terms);
        }
    }

    #[test]
    fn the_place_of_a_page_by_index_is_found_in_the_index_that_has_its_order() {
        for way in WAYS {
            let (heads, number) = (
                plan("User", way, |statements, connection, scope| {
                    statements.heads(connection, scope, path_hash("username"))
                }),
                plan("User", way, |statements, connection, scope| {
                    statements.number(connection, scope, path_hash("username"), Some("m"))
                }),
            );
            assert_begins_at_the_place(&heads, "PRIMARY KEY", "(tenant_path=?)");
            let keys = if way.0 { "<" } else { ">" };
            assert_begins_at_the_place(&number, "PRIMARY KEY", &format!("(tenant_path=? AND key{keys}?)"));
        }
        let counted = plan("User", WAYS[0], |statements, _, _| statements.number_in_index(path_hash("username")));
        assert_eq!(counted.lines().count(), 1, "no resource is looked at\n{counted}");
        assert_begins_at_the_place(&counted, "PRIMARY KEY", "(tenant_path=?)");
    }

    #[test]
    fn cur_10_cur_12_a_page_sorted_by_last_modified_begins_in_the_index_at_its_place() {
        let key = Key::of_instant(chrono::DateTime::UNIX_EPOCH).into_string();
        for way in [(true, true), (false, false)] {
            let key = key.clone();
            let plan = plan("User", way, move |statements, connection, scope| {
                let from = Some((key.as_str(), 7));
                statements.by_column(connection, scope, Column::LastModified, from).expect("a statement")
            });
            let operator = if way.0 { ">" } else { "<" };
            assert_begins_at_the_place(
                &plan,
                "resources_modified",
                &format!("(tenant_id=? AND resource_type=? AND modified_at{operator}?)"),
            );
        }
    }

    #[test]
    fn sort_03_those_without_a_value_are_told_by_an_index_made_for_the_page() {
        for way in WAYS {
            let plan = plan("User", way, |statements, connection, scope| {
                statements.without_value(connection, scope, path_hash("title"), Some(7))
            });
            let mut steps = plan.lines();
            assert!(steps.next().is_some_and(|step| step.contains("resources_live")), "{plan}");
            assert!(steps.any(|step| step.contains("AUTOMATIC")), "each row would walk through all values\n{plan}");
        }
    }
}
