//! Search: a condition, a sort order and a page become one SQL statement on the indexes, and one that counts.
//!
//! | Filter | SQL |
//! |---|---|
//! | `userName eq "x"` | `unique_key = ?` |
//! | `title eq "x"` | `row_id IN (SELECT row_id FROM resource_values WHERE tenant_path = ? AND key = ?)` |
//! | `title sw "x"` | … `AND key >= ? AND key < ?` |
//! | `emails[a and b]` | sets of (`row_id`, `element`): intersected, united, subtracted |
//! | `id`, `meta.*` | columns of `resources` |
//! | `members.*`, `groups.*` | `group_members` |
//!
//! No predicate is ever NULL, so `not` is plain negation.

mod check;
mod elements;
mod membership;
mod predicate;
mod walk;

use diesel::sql_types::BigInt;

use super::resources::{self, ROW_COLUMNS, Row, RowType, StoredText};
use super::sql::Sql;
use super::values::{SORTED_TAIL_CHARS, has_other_values, sort_hash, tenant_path};
use super::{Connection, totals, unique};
use crate::scim::filter::{Check, Condition, Relation, Test};
use crate::scim::query::{Page, Sort};
use crate::scim::schema::{Registry, ResourceType, Role};
use crate::scim::{Error, ErrorKind, Result};

pub use walk::{Stretch, walk};

/// What to look for.
#[derive(Debug)]
pub struct Search<'a> {
    /// Whose resources.
    pub tenant_id: i64,
    /// Of which types, and which of them.
    pub scopes: Vec<Scope<'a>>,
    /// In which order; `None` for that of creation.
    pub sort: Option<&'a Sort>,
    /// Every type that there is, for references to others.
    pub registry: &'a Registry,
    /// The URL in front of the endpoints, in `meta.location` and `$ref`: `https://example.com/scim/v2`.
    pub base_url: &'a str,
}

/// The resources of one type that match.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The type.
    pub resource_type: &'static ResourceType,
    /// Which of them; `None` for all.
    pub condition: Option<&'a Condition>,
}

/// A page of results.
#[derive(Debug)]
pub struct Found {
    /// How many match, on all pages.
    pub total: u64,
    /// Those on this page, in order.
    pub resources: Vec<StoredText>,
}

/// Runs a search: the page and the total, as of the same moment when called within one transaction.
///
/// # Errors
/// `invalidValue` for a sort order by something that is computed; database failures.
pub fn search(connection: &mut Connection, search: &Search<'_>, page: Page) -> Result<Found> {
    if let Some((resource_type, key)) = search.user_name_of_one_type().filter(|_| page.offset() == 0 && page.count > 0)
    {
        let found = resources::find_text_by_key(connection, search.tenant_id, &resource_type.name, &key)?;
        return Ok(Found { total: u64::from(found.is_some()), resources: found.into_iter().collect() });
    }
    if search.is_by_value_of_one_type() {
        return walk::page(connection, search, page);
    }
    // Whether an order is possible does not depend on what is found.
    let statement = page_statement(connection, search, page)?;
    let everything = search.everything_of();
    if everything.is_none() && page.offset() == 0 && page.count > 0 {
        return first_page(connection, search, statement, page.count);
    }
    let total = count(connection, search)?;
    let beyond = page.count == 0 || page.offset() >= total;
    let rows: Vec<Row> = match everything {
        _ if beyond => Vec::new(),
        Some(resource_type) if page.offset() > 0 => {
            behind(connection, search, resource_type, page)?.load(connection)?
        }
        _ => statement.load(connection)?,
    };
    Ok(Found { total, resources: rows.into_iter().map(StoredText::from).collect() })
}

/// A page with room left has all that match, so these need not be counted: most look-ups find one or none.
fn first_page(connection: &mut Connection, search: &Search<'_>, statement: Sql<RowType>, room: usize) -> Result<Found> {
    let rows: Vec<Row> = statement.load(connection)?;
    let total = if rows.len() < room { rows.len() as u64 } else { count(connection, search)? };
    Ok(Found { total, resources: rows.into_iter().map(StoredText::from).collect() })
}

/// The statement for the rows of the resources of one type that match, in the order of creation, at most `limit`, with one
/// column more as `wanted`.
pub(super) fn rows_of(
    wanted: &'static str,
    connection: &Connection,
    search: &Search<'_>,
    scope: &Scope<'_>,
    limit: i64,
) -> Sql {
    let statement =
        Sql::new("SELECT ").push(ROW_COLUMNS).push(", ").push(wanted).push(" AS wanted FROM resources r WHERE ");
    let statement = statement.append(predicate_of(search, scope, connection));
    statement.push(" ORDER BY r.row_id LIMIT ").bind(limit)
}

/// The unique key of the one user whom a condition names: what clients ask for before everything else.
pub fn user_name(resource_type: &ResourceType, condition: Option<&Condition>) -> Option<String> {
    let Some(Condition::Test(Test { attribute, check: Check::Compare(Relation::Eq, key) })) = condition else {
        return None;
    };
    unique::own_key(resource_type, *attribute, key)
}

/// How many match. All of a type are not counted: that number is kept.
fn count(connection: &mut Connection, search: &Search<'_>) -> Result<u64> {
    let mut total = 0;
    for scope in &search.scopes {
        total += match scope.condition {
            None => totals::of_type(connection, search.tenant_id, &scope.resource_type.name)?,
            Some(_) => {
                let statement: Sql<BigInt> = Sql::new("SELECT count(*) FROM resources r WHERE ");
                statement.append(predicate_of(search, scope, connection)).get_result(connection)?
            }
        };
    }
    Ok(u64::try_from(total).unwrap_or_default())
}

impl Search<'_> {
    /// Whether one type is searched, in an order that the search index has.
    fn is_by_value_of_one_type(&self) -> bool {
        self.scopes.len() == 1 && self.sort.is_some_and(|sort| sort.attribute.role() == Role::Stored)
    }

    /// The type and the key of the one user who is looked for by name.
    fn user_name_of_one_type(&self) -> Option<(&'static ResourceType, String)> {
        match (self.scopes.as_slice(), self.sort) {
            ([Scope { resource_type, condition }], None) => {
                Some((resource_type, user_name(resource_type, *condition)?))
            }
            _ => None,
        }
    }

    /// The type of which all resources are wanted, in the order of creation.
    fn everything_of(&self) -> Option<&'static ResourceType> {
        match (self.scopes.as_slice(), self.sort) {
            ([Scope { resource_type, condition: None }], None) => Some(resource_type),
            _ => None,
        }
    }
}

/// A page of all resources of a type that does not walk through those before it: blocks of them are passed by, and the
/// rest is counted in the index alone.
fn behind(
    connection: &mut Connection,
    search: &Search<'_>,
    resource_type: &ResourceType,
    page: Page,
) -> Result<Sql<RowType>> {
    let (block_start, rest) = totals::place(connection, search.tenant_id, &resource_type.name, page.offset())?;
    let of_type = |alias: &'static str| -> Sql {
        let own = Sql::new(alias).push(".tenant_id = ").bind(search.tenant_id).push(" AND ").push(alias);
        own.push(".deleted_at IS NULL AND ").push(alias).push(".resource_type = ").bind(resource_type.name.as_str())
    };
    let statement: Sql<RowType> = Sql::new("SELECT ").push(ROW_COLUMNS).push(" FROM resources r WHERE ");
    let statement = statement.append(of_type("r")).push(" AND r.row_id >= (SELECT f.row_id FROM resources f WHERE ");
    let statement = statement.append(of_type("f")).push(" AND f.row_id >= ").bind(block_start);
    let statement = statement.push(" ORDER BY f.row_id LIMIT 1 OFFSET 0 + ").bind(rest).push(") ORDER BY r.row_id");
    Ok(statement.push(" LIMIT 0 + ").bind(i64::try_from(page.count).unwrap_or(i64::MAX)))
}

fn page_statement(connection: &Connection, search: &Search<'_>, page: Page) -> Result<Sql<RowType>> {
    let statement: Sql<RowType> = Sql::new("SELECT ").push(ROW_COLUMNS).push(" FROM resources r");
    let (join, order) = order_by(search)?;
    let statement = statement.append(join).push(" WHERE ").append(predicate(search, connection)).append(order);
    let count = i64::try_from(page.count).unwrap_or(i64::MAX);
    let offset = i64::try_from(page.offset()).unwrap_or(i64::MAX);
    // SQLite looks at a value that is bound to LIMIT itself and plans anew for each; a sum it takes as it comes.
    Ok(statement.push(" LIMIT 0 + ").bind(count).push(" OFFSET 0 + ").bind(offset))
}

/// Every search starts here, so that nobody forgets the tenant or the tombstone.
fn live(search: &Search<'_>) -> Sql {
    Sql::new("r.tenant_id = ").bind(search.tenant_id).push(" AND r.deleted_at IS NULL AND ")
}

/// The live resources of one type that match.
fn predicate_of(search: &Search<'_>, scope: &Scope<'_>, connection: &Connection) -> Sql {
    live(search).append(in_scope(search, scope, connection))
}

/// The live resources of all types that match.
fn predicate(search: &Search<'_>, connection: &Connection) -> Sql {
    if let [scope] = search.scopes.as_slice() {
        return predicate_of(search, scope, connection);
    }
    let mut any = live(search).push("(");
    for (index, scope) in search.scopes.iter().enumerate() {
        any = any.push(if index == 0 { "(" } else { " OR (" }).append(in_scope(search, scope, connection)).push(")");
    }
    any.push(")").uncached()
}

fn in_scope(search: &Search<'_>, scope: &Scope<'_>, connection: &Connection) -> Sql {
    let of_type = Sql::new("r.resource_type = ").bind(scope.resource_type.name.as_str());
    let Some(condition) = scope.condition else {
        return of_type;
    };
    let of_type = if is_common(condition) { of_type } else { of_type.uncached() };
    let writer = predicate::Writer {
        tenant_id: search.tenant_id,
        resource_type: scope.resource_type,
        registry: search.registry,
        base_url: search.base_url,
        position_function: connection.position_function(),
        bytewise: connection.bytewise(),
        memberships_of_each: connection.memberships_of_each(),
    };
    of_type.push(" AND ").append(writer.condition(condition))
}

/// Whether a filter has one of the few shapes that clients send all day: only those are kept as prepared statements,
/// of which the connection forgets none.
fn is_common(condition: &Condition) -> bool {
    let is_equality = |condition: &Condition| matches!(condition, Condition::Test(test) if matches!(test.check, Check::Compare(Relation::Eq, _)));
    match condition {
        // The length of a suffix stands in the text.
        Condition::Test(test) => !matches!(test.check, Check::Compare(Relation::Ew, _)),
        Condition::And(conditions) => conditions.len() <= 2 && conditions.iter().all(is_equality),
        Condition::Element(_, condition) => is_common(condition),
        _ => false,
    }
}

/// The join that brings the sort key, and the order. Resources without a value come last ascending, first descending
/// (SORT-03); ties are in the order of creation (SORT-06).
fn order_by(search: &Search<'_>) -> Result<(Sql, Sql)> {
    let Some(sort) = search.sort else {
        return Ok((Sql::default(), Sql::new(" ORDER BY r.row_id")));
    };
    let direction = if sort.descending { " DESC" } else { " ASC" };
    let column = match sort.attribute.role() {
        Role::Id => "r.id",
        Role::Location => return Ok(order_by_location(search, direction)),
        Role::ResourceType => "r.resource_type",
        Role::Created => "r.created_at",
        Role::LastModified => "r.modified_at",
        Role::Version => "r.version",
        Role::Stored => return Ok(order_by_value(search, sort, direction)),
        _ => return Err(not_sortable(sort)),
    };
    Ok((Sql::default(), Sql::new(" ORDER BY ").push(column).push(direction).push(", r.row_id")))
}

fn not_sortable(sort: &Sort) -> Error {
    Error::new(ErrorKind::InvalidValue, format!("sortBy: '{}' can't be sorted by.", sort.attribute))
}

/// What of a long value counts behind its head: [`SORTED_TAIL_CHARS`] of it.
const SORTED_TAIL: &str = "substr(s.tail, 1, 768)";
const _: () = assert!(SORTED_TAIL_CHARS == 768);

/// A location is the endpoint and the id.
fn order_by_location(search: &Search<'_>, direction: &'static str) -> (Sql, Sql) {
    let mut types: Vec<&ResourceType> = search.scopes.iter().map(|scope| scope.resource_type).collect();
    types.sort_by_key(|resource_type| format!("{}/", resource_type.endpoint));
    let mut order = Sql::new(" ORDER BY CASE r.resource_type");
    for (rank, resource_type) in types.iter().enumerate() {
        order = order.push(" WHEN ").bind(resource_type.name.as_str()).push_composed(format!(" THEN {rank}"));
    }
    let order = order.push(" END").push(direction).push(", r.id").push(direction);
    (Sql::default(), order.push(", r.row_id"))
}

fn order_by_value(search: &Search<'_>, sort: &Sort, direction: &'static str) -> (Sql, Sql) {
    let path_hash = sort_hash(sort.attribute.leaf());
    let mut join = Sql::new(" LEFT JOIN (SELECT row_id, key, tail FROM resource_values WHERE tenant_path = ")
        .bind(tenant_path(search.tenant_id, path_hash))
        .push(" AND element = 0) s ON s.row_id = r.row_id");
    // Of these the index has several values there.
    let types = search.scopes.iter().map(|scope| scope.resource_type);
    for resource_type in types.filter(|resource_type| has_other_values(resource_type, path_hash)) {
        join = join.push(" AND r.resource_type <> ").bind(resource_type.name.as_str());
    }
    let order = Sql::new(" ORDER BY (s.key IS NULL)")
        .push(direction)
        .push(", s.key")
        .push(direction)
        .push(", ")
        .push(SORTED_TAIL)
        .push(direction)
        .push(", r.row_id");
    (join, order)
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::{Integer, Text};

    use super::*;
    use crate::scim::Profile;
    use crate::scim::filter::{parse, resolve};
    use crate::store::tests::{Fixture, on_each_database};
    use crate::store::{DatabaseUrl, Reach, Settings, Store};

    /// The plan of SQLite for a filter, one step a line.
    fn plan(resource_type: &str, filter: &str) -> String {
        let resource_type = Registry::builtin().resource_type(resource_type).expect("a built-in type");
        let parsed = parse(filter, Profile::Strict).expect(filter);
        let condition = resolve(&parsed, resource_type, Profile::Strict).expect(filter);
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&Settings::new(DatabaseUrl::Sqlite(directory.path().join("scimd.db")))).expect("open");
        store.migrate().expect("migrated");
        let explain = move |connection: &mut Connection| {
            let search = Search {
                tenant_id: 1,
                scopes: vec![Scope { resource_type, condition: Some(&condition) }],
                sort: None,
                registry: Registry::builtin(),
                base_url: "https://example.com/scim/v2",
            };
            let explained: Sql<(Integer, Integer, Integer, Text)> = Sql::new("EXPLAIN QUERY PLAN ");
            let explained = explained.append(page_statement(connection, &search, Page::default())?);
            let steps: Vec<(i32, i32, i32, String)> = explained.load(connection)?;
            Ok(steps.into_iter().map(|step| step.3 + "\n").collect::<String>())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(store.read(Reach::Point, explain)).expect("a plan")
    }

    #[test]
    fn a_page_far_behind_begins_at_its_block_and_passes_the_rest_by_in_the_index() {
        on_each_database(|Fixture { store, postgres }| async move {
            let explain = move |connection: &mut Connection| {
                let users = Registry::builtin().resource_type("User").expect("a built-in type");
                let scopes = vec![Scope { resource_type: users, condition: None }];
                let base_url = "https://example.com/scim/v2";
                let search = Search { tenant_id: 1, scopes, sort: None, registry: Registry::builtin(), base_url };
                let page = behind(connection, &search, users, Page { start_index: 5_001, count: 10 })?;
                explained(connection, page, postgres)
            };
            let plan = store.read(Reach::Point, explain).await.expect("a plan");

            // Once for the page, once for what is passed by.
            let by_index = match postgres {
                true => ["Index Scan using resources_live on", "Index Only Scan using resources_live on"],
                false => ["SEARCH r USING", "SEARCH f USING"],
            };
            assert!(by_index.iter().all(|step| plan.contains(step)), "{plan}");
            let terms = "resources_live (tenant_id=? AND resource_type=? AND row_id>?)";
            assert!(postgres || plan.matches(terms).count() == 2, "{plan}");
            assert!(!plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "{plan}");
        });
    }

    /// The plan of a statement, one step a line. Of an empty table PostgreSQL would read the whole.
    fn explained<T>(connection: &mut Connection, statement: Sql<T>, postgres: bool) -> Result<String> {
        let steps: Vec<String> = if postgres {
            Sql::<()>::new("SET LOCAL enable_seqscan = off").execute(connection)?;
            Sql::<()>::new("SET LOCAL enable_bitmapscan = off").execute(connection)?;
            Sql::<Text>::new("EXPLAIN ").append(statement).load(connection)?
        } else {
            let steps: Sql<(Integer, Integer, Integer, Text)> = Sql::new("EXPLAIN QUERY PLAN ").append(statement);
            let steps: Vec<(i32, i32, i32, String)> = steps.load(connection)?;
            steps.into_iter().map(|step| step.3).collect()
        };
        Ok(steps.join("\n"))
    }

    #[test]
    fn flt_30_the_filters_of_real_clients_use_an_index() {
        let of_users = [
            r#"userName eq "x""#,
            r#"externalId eq "x""#,
            r#"id eq "x""#,
            r#"emails[value eq "x"]"#,
            r#"emails[type eq "work" and value eq "x"]"#,
            r#"emails[type eq "work"].value eq "x""#,
            r#"emails.value eq "x""#,
            r#"displayName eq "x""#,
            r#"id eq "x" and manager eq "y""#,
            r#"groups.value eq "x""#,
            "active eq true",
            r#"meta.lastModified gt "2026-01-01T00:00:00Z""#,
            "userName pr",
            r#"userName sw "x""#,
        ];
        let of_groups = [
            r#"members[value eq "x"]"#,
            r#"members.value eq "x""#,
            r#"members eq "x""#,
            r#"id eq "x" and members eq "y""#,
            r#"displayName eq "x""#,
        ];
        let users = of_users.map(|filter| ("User", filter));
        let groups = of_groups.map(|filter| ("Group", filter));

        for (resource_type, filter) in users.into_iter().chain(groups) {
            let plan = plan(resource_type, filter);
            let scans: Vec<&str> = plan.lines().filter(|step| step.starts_with("SCAN")).collect();
            // Of what a recursive or compound part has collected by itself there is no index.
            let only_own =
                scans.iter().all(|step| ["SCAN down", "SCAN d", "SCAN e", "SCAN v", "SCAN u"].contains(step));
            assert!(only_own, "{filter}\n{plan}");
        }
    }

    #[test]
    fn flt_30_an_equality_starts_from_the_value_and_not_from_every_resource_of_the_tenant() {
        let by_name = plan("User", r#"userName eq "x""#);
        let by_key = "resources_unique_key (tenant_id=? AND resource_type=? AND unique_key=?)";
        assert!(by_name.contains(by_key) && !by_name.contains("TEMP B-TREE"), "{by_name}");
        for other in [r#"userName eq "y""#, r#"emails.value eq "y""#, r#"externalId eq "y""#] {
            let plan = plan("User", &format!(r#"userName eq "x" or {other}"#));
            assert!(plan.contains("MULTI-INDEX OR") && plan.contains(by_key), "{other}\n{plan}");
        }
        for filter in [r#"displayName eq "x""#, r#"externalId eq "x""#, r#"emails[type eq "work" and value eq "x"]"#] {
            let plan = plan("User", filter);

            assert!(plan.lines().next().is_some_and(|step| step.contains("PRIMARY KEY (rowid=?)")), "{filter}\n{plan}");
        }
    }
}
