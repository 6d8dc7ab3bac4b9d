//! Takes away all that a tenant has, piece by piece, so that no write of others waits for long.
//!
//! The order makes it safe to stop anywhere and to begin again: what refers to a resource goes before it, the search index
//! after it, since a start with other schemas makes an index of the resources that it finds. The row of the tenant goes
//! last, and only when nothing is left of the rest. Of the history the contents go, and the rows stay.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp};

use crate::scim::Result;
use crate::store::Connection;
use crate::store::audit;
use crate::store::schema::{api_keys, live_counts, tenants};
use crate::store::sql::Sql;
use crate::store::statement::{Cell, delete_rows};

/// How many resources go at once.
const RESOURCES: i64 = 200;

/// How many rows of anything else go at once.
const ROWS: usize = 2_000;

/// The removal of a tenant whose deletion has begun, and how far it has come.
#[derive(Debug, Clone)]
pub struct Removal {
    tenant_id: i64,
    stage: Stage,
}

/// What goes next.
#[derive(Debug, Clone)]
enum Stage {
    Resources,
    SearchIndex,
    UniqueValues,
    /// The changes behind this one.
    History(Option<audit::Mark>),
    Tenant,
}

/// What one piece of work has taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece {
    /// Resources of every type, deleted ones included.
    pub resources: usize,
    /// Changes of the history whose contents are erased.
    pub changes: usize,
    /// Whether that was all: the tenant is no more.
    pub is_last: bool,
}

impl Removal {
    /// From the beginning; what is gone already costs a look.
    pub fn of(tenant_id: i64) -> Removal {
        Removal { tenant_id, stage: Stage::Resources }
    }

    /// Takes the next piece away, and says how to go on. The events of the tenant must be gone before.
    ///
    /// # Errors
    /// Database failures.
    pub fn go_on(&self, connection: &mut Connection) -> Result<(Piece, Removal)> {
        let (tenant_id, mut piece) = (self.tenant_id, Piece::default());
        let stage = match &self.stage {
            Stage::Resources => {
                let rows = some_resources(connection, tenant_id)?;
                if rows.is_empty() {
                    Stage::SearchIndex
                } else {
                    piece.resources = remove(connection, &rows)?;
                    Stage::Resources
                }
            }
            Stage::SearchIndex => match remove_from_index(connection, tenant_id)? {
                true => Stage::UniqueValues,
                false => Stage::SearchIndex,
            },
            Stage::UniqueValues => match remove_unique_values(connection, tenant_id)? {
                true => Stage::History(None),
                false => Stage::UniqueValues,
            },
            Stage::History(after) => {
                let (erased, last) = audit::erase_of_tenant(connection, tenant_id, after.as_ref(), ROWS)?;
                piece.changes = erased;
                last.map_or(Stage::Tenant, |last| Stage::History(Some(last)))
            }
            Stage::Tenant => {
                // Who began a write before the deletion may have ended it meanwhile.
                match some_resources(connection, tenant_id)?.is_empty() {
                    true => {
                        remove_row(connection, tenant_id)?;
                        piece.is_last = true;
                        Stage::Tenant
                    }
                    false => Stage::Resources,
                }
            }
        };
        Ok((piece, Removal { tenant_id, stage }))
    }
}

/// Events of the tenant that wait for delivery, at most `limit`, by their rows. It may look at many of others, so it is for
/// a read and not for a write.
///
/// # Errors
/// Database failures.
pub fn events(connection: &mut Connection, tenant_id: i64, after: i64, limit: i64) -> Result<Vec<i64>> {
    connection.take_time()?;
    let statement: Sql<BigInt> = Sql::new("SELECT o.row_id FROM outbox o CROSS JOIN audit a WHERE o.row_id > ");
    let statement = statement.bind(after).push(" AND a.row_id = o.audit_row_id AND a.tenant_id = ").bind(tenant_id);
    Ok(statement.push(" ORDER BY o.row_id LIMIT ").bind(limit).load(connection)?)
}

/// Takes events away that will not be delivered any more.
///
/// # Errors
/// Database failures.
pub fn delete_events(connection: &mut Connection, row_ids: &[i64]) -> Result<()> {
    delete_rows(connection, "outbox", ["row_id"], row_ids.iter().map(|row_id| [Cell::from(*row_id)]))?;
    Ok(())
}

fn some_resources(connection: &mut Connection, tenant_id: i64) -> Result<Vec<i64>> {
    // Each index has the live rows or the buried ones.
    for kind in [" AND r.deleted_at IS NULL", " AND r.deleted_at IS NOT NULL"] {
        let statement: Sql<BigInt> = Sql::new("SELECT r.row_id FROM resources r WHERE r.tenant_id = ").bind(tenant_id);
        let rows: Vec<i64> = statement.push(kind).push(" LIMIT ").bind(RESOURCES).load(connection)?;
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    Ok(Vec::new())
}

/// Takes away what belongs to these resources, and the resources themselves unless there was too much of it; how many.
fn remove(connection: &mut Connection, rows: &[i64]) -> Result<usize> {
    let mut left = ROWS;
    for (column, select) in MEMBERSHIPS {
        let statement = of_resources::<(BigInt, BigInt)>(select, column, rows, left);
        let pairs: Vec<(i64, i64)> = statement.load(connection)?;
        let cells = pairs.iter().map(|(group, member)| [Cell::from(*group), Cell::from(*member)]);
        delete_rows(connection, "group_members", ["group_row_id", "member_row_id"], cells)?;
        left = left.saturating_sub(pairs.len());
    }
    let statement = of_resources::<(BigInt, Text)>(
        "SELECT x.group_row_id, x.value FROM unresolved_members x WHERE ",
        "x.group_row_id",
        rows,
        left,
    );
    let unresolved: Vec<(i64, String)> = statement.load(connection)?;
    let cells = unresolved.iter().map(|(group, value)| [Cell::from(*group), Cell::from(value.as_str())]);
    delete_rows(connection, "unresolved_members", ["group_row_id", "value"], cells)?;
    left = left.saturating_sub(unresolved.len());
    let statement =
        of_resources::<(BigInt, Timestamp)>("SELECT x.row_id, x.at FROM touches x WHERE ", "x.row_id", rows, left);
    let touches: Vec<(i64, chrono::NaiveDateTime)> = statement.load(connection)?;
    let cells = touches.iter().map(|(row_id, at)| [Cell::from(*row_id), Cell::from(*at)]);
    delete_rows(connection, "touches", ["row_id", "at"], cells)?;
    if left <= touches.len() {
        return Ok(0);
    }
    let each = || rows.iter().map(|row_id| [Cell::from(*row_id)]);
    delete_rows(connection, "credentials", ["row_id"], each())?;
    Ok(delete_rows(connection, "resources", ["row_id"], each())?)
}

/// The memberships from either end.
const MEMBERSHIPS: [(&str, &str); 2] = [
    ("x.group_row_id", "SELECT x.group_row_id, x.member_row_id FROM group_members x WHERE "),
    ("x.member_row_id", "SELECT x.group_row_id, x.member_row_id FROM group_members x WHERE "),
];

fn of_resources<Row>(select: &'static str, column: &'static str, rows: &[i64], most: usize) -> Sql<Row> {
    let statement = Sql::new(select).push(column).push(" IN (").bind_list(rows.iter().copied());
    statement.push(") LIMIT ").bind(most as i64).uncached()
}

/// Takes the first rows of the search index away; whether none are left.
fn remove_from_index(connection: &mut Connection, tenant_id: i64) -> Result<bool> {
    let last: Sql<(Text, Text, BigInt, BigInt)> =
        Sql::new("SELECT v.path, v.key, v.row_id, v.element FROM resource_values v WHERE v.tenant_id = ");
    let last = last.bind(tenant_id).push(" ORDER BY v.path, v.key, v.row_id, v.element LIMIT 1 OFFSET ");
    let last: Option<(String, String, i64, i64)> = last.bind(ROWS as i64 - 1).get_result(connection).optional()?;
    let statement: Sql = Sql::new("DELETE FROM resource_values WHERE tenant_id = ").bind(tenant_id);
    let Some((path, key, row_id, element)) = last else {
        statement.execute(connection)?;
        return Ok(true);
    };
    let statement = statement.push(" AND (path, key, row_id, element) <= (").bind(path).push(", ").bind(key);
    statement.push(", ").bind(row_id).push(", ").bind(element).push(")").execute(connection)?;
    Ok(false)
}

/// Takes the first unique values away; whether none are left.
fn remove_unique_values(connection: &mut Connection, tenant_id: i64) -> Result<bool> {
    let last: Sql<(Text, Text, Text)> =
        Sql::new("SELECT u.resource_type, u.path, u.key FROM unique_values u WHERE u.tenant_id = ");
    let last = last.bind(tenant_id).push(" ORDER BY u.resource_type, u.path, u.key LIMIT 1 OFFSET ");
    let last: Option<(String, String, String)> = last.bind(ROWS as i64 - 1).get_result(connection).optional()?;
    let statement: Sql = Sql::new("DELETE FROM unique_values WHERE tenant_id = ").bind(tenant_id);
    let Some((resource_type, path, key)) = last else {
        statement.execute(connection)?;
        return Ok(true);
    };
    let statement = statement.push(" AND (resource_type, path, key) <= (").bind(resource_type);
    statement.push(", ").bind(path).push(", ").bind(key).push(")").execute(connection)?;
    Ok(false)
}

fn remove_row(connection: &mut Connection, tenant_id: i64) -> Result<()> {
    diesel::delete(live_counts::table.filter(live_counts::tenant_id.eq(tenant_id))).execute(connection)?;
    diesel::delete(api_keys::table.filter(api_keys::tenant_id.eq(tenant_id))).execute(connection)?;
    diesel::delete(tenants::table.find(tenant_id)).execute(connection)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::statement::{OnConflict, insert_rows};
    use crate::store::tenants::{begin_deletion, find, insert};
    use crate::store::tests::{Fixture, at, on_each_database};
    use crate::store::{Reach, Store};

    /// More than goes at once: of resources, of memberships and of everything else.
    const COUNT: i64 = 450;
    const MEMBERS: i64 = 2_300;

    /// A tenant with rows in every table, from this row on.
    fn fill(connection: &mut Connection, tenant_id: i64, first: i64) -> Result<()> {
        let time = at("2026-03-01T09:30:00");
        let ids: Vec<String> = (first..first + COUNT).map(|row_id| format!("id-{row_id}")).collect();
        let columns = [
            "row_id",
            "tenant_id",
            "id",
            "resource_type",
            "active",
            "document",
            "version",
            "created_at",
            "modified_at",
        ];
        let rows = (first..).zip(&ids).map(|(row_id, id)| {
            let [kind, document, id] = ["User", "{}", id.as_str()].map(Cell::from);
            let [created_at, modified_at] = [time, time].map(Cell::from);
            [row_id.into(), tenant_id.into(), id, kind, true.into(), document, 1.into(), created_at, modified_at]
        });
        insert_rows(connection, "resources", columns, rows, OnConflict::Fail)?;
        let buried: Sql = Sql::new("UPDATE resources SET deleted_at = ").bind(time).push(", deleted_by = 'k'");
        buried
            .push(" WHERE tenant_id = ")
            .bind(tenant_id)
            .push(" AND row_id > ")
            .bind(first + 400)
            .execute(connection)?;
        let members = (0..MEMBERS).map(|number| {
            let (group, member) = (first + number / COUNT, first + number % COUNT);
            [Cell::from(group), Cell::from(member)]
        });
        insert_rows(connection, "group_members", ["group_row_id", "member_row_id"], members, OnConflict::Fail)?;
        let one = [Cell::from(first), Cell::from("nobody")];
        insert_rows(connection, "unresolved_members", ["group_row_id", "value"], [one], OnConflict::Fail)?;
        let one = [Cell::from(first + 1), Cell::from("$argon2id$")];
        insert_rows(connection, "credentials", ["row_id", "password_hash"], [one], OnConflict::Fail)?;
        let one = [Cell::from(first + 1), Cell::from(time)];
        insert_rows(connection, "touches", ["row_id", "at"], [one], OnConflict::Fail)?;
        let values = (0..MEMBERS).map(|number| {
            [Cell::from(tenant_id), Cell::from("username"), Cell::from("x"), Cell::from(number), Cell::from(0)]
        });
        let columns = ["tenant_id", "path", "key", "row_id", "element"];
        insert_rows(connection, "resource_values", columns, values, OnConflict::Fail)?;
        let one = [Cell::from(tenant_id), "User".into(), "badge".into(), "1".into(), first.into()];
        let columns = ["tenant_id", "resource_type", "path", "key", "row_id"];
        insert_rows(connection, "unique_values", columns, [one], OnConflict::Fail)?;
        for resource_id in &ids[..3] {
            let changes = audit::Changes::default().with_password(true);
            let record = audit::Record {
                tenant_id,
                at: time.and_utc(),
                caller: "k",
                request_id: "r",
                operation: audit::Operation::Create,
                resource_type: "User",
                resource_id,
                version: 1,
                changes: &changes,
            };
            audit::append(connection, &record)?;
        }
        let one = [Cell::from(tenant_id), "User".into(), COUNT.into()];
        insert_rows(connection, "live_counts", ["tenant_id", "resource_type", "live"], [one], OnConflict::Fail)?;
        let key: Sql = Sql::new(
            "INSERT INTO api_keys (key_id, tenant_id, name, secret_hash, fingerprint, last_four, scopes, profile, created_at) \
             VALUES (",
        );
        let key = key.bind(format!("key-{tenant_id}")).push(", ").bind(tenant_id);
        key.push(", 'n', 'h', 'f', 'l', 'read', 'compat', ").bind(time).push(")").execute(connection)?;
        Ok(())
    }

    /// How many rows of a tenant there are, table by table.
    fn rows(connection: &mut Connection, tenant_id: i64) -> Result<Vec<(&'static str, i64)>> {
        let own = "SELECT count(*) FROM ";
        let of_resources = " WHERE row_id IN (SELECT row_id FROM resources WHERE tenant_id = ";
        let of_groups = " WHERE group_row_id IN (SELECT row_id FROM resources WHERE tenant_id = ";
        let of_changes = " WHERE audit_row_id IN (SELECT row_id FROM audit WHERE tenant_id = ";
        let tables = [
            ("resources", " WHERE (tenant_id = "),
            ("resource_values", " WHERE (tenant_id = "),
            ("unique_values", " WHERE (tenant_id = "),
            ("api_keys", " WHERE (tenant_id = "),
            ("live_counts", " WHERE (tenant_id = "),
            ("tenants", " WHERE (tenant_id = "),
            ("group_members", of_groups),
            ("unresolved_members", of_groups),
            ("credentials", of_resources),
            ("touches", of_resources),
            ("outbox", of_changes),
        ];
        let mut counts = Vec::new();
        for (table, condition) in tables {
            let statement: Sql<BigInt> = Sql::new(own).push(table).push(condition).bind(tenant_id).push(")");
            counts.push((table, statement.get_result(connection)?));
        }
        Ok(counts)
    }

    async fn remove_events(store: &Store, tenant_id: i64) {
        let found = store.read(Reach::Scan, move |c| events(c, tenant_id, 0, 10)).await.expect("events");
        assert!(found.len() <= 3);
        store.write(move |c| delete_events(c, &found)).await.expect("deleted");
    }

    #[test]
    fn nothing_is_left_of_a_tenant_wherever_the_removal_was_interrupted() {
        on_each_database(|Fixture { store, .. }| async move {
            let time = at("2026-03-01T09:30:00");
            fn orphans(connection: &mut Connection) -> Result<i64> {
                let members: Sql<BigInt> = Sql::new(
                    "SELECT count(*) FROM group_members WHERE group_row_id NOT IN (SELECT row_id FROM resources)",
                );
                Ok(members.get_result(connection)?)
            }
            store.write(|c| fill(c, 1, 1)).await.expect("filled");
            let before = store.read(Reach::Scan, |c| rows(c, 1)).await.expect("counted");
            assert!(before.iter().all(|(_, count)| *count > 0), "{before:?}");
            for interrupted_after in [0, 1, 3, 5, 8] {
                let first = 10_000 * (1 + interrupted_after);
                let make = move |c: &mut Connection| {
                    let tenant_id = insert(c, "gone", time)?.tenant_id;
                    fill(c, tenant_id, first)?;
                    begin_deletion(c, tenant_id, time)?;
                    Ok(tenant_id)
                };
                let tenant_id = store.write(make).await.expect("made");
                let mut removal = Removal::of(tenant_id);
                for _ in 0..interrupted_after {
                    removal = store.write(move |c| removal.go_on(c)).await.expect("a piece").1;
                }

                remove_events(&store, tenant_id).await;
                let (mut removal, mut is_last) = (Removal::of(tenant_id), false);
                while !is_last {
                    let (piece, rest) = store.write(move |c| removal.go_on(c)).await.expect("a piece");
                    (removal, is_last) = (rest, piece.is_last);
                }

                let left = store.read(Reach::Scan, move |c| rows(c, tenant_id)).await.expect("counted");
                assert!(left.iter().all(|(_, count)| *count == 0), "{left:?}");
                let said = move |c: &mut Connection| {
                    let said: Sql<Text> =
                        Sql::new("SELECT a.changes FROM audit a WHERE a.tenant_id = ").bind(tenant_id);
                    Ok(said.load::<String>(c)?)
                };
                assert_eq!(store.read(Reach::Scan, said).await.expect("history"), ["{}", "{}", "{}"]);
                assert_eq!(store.read(Reach::Scan, orphans).await.expect("counted"), 0);
            }
            let after = store.read(Reach::Scan, |c| rows(c, 1)).await.expect("counted");
            assert_eq!(after, before, "others lose nothing");
        });
    }

    #[test]
    fn nothing_comes_into_a_tenant_that_is_being_deleted() {
        on_each_database(|Fixture { store, .. }| async move {
            let time = at("2026-03-01T09:30:00");
            let registry = crate::scim::schema::Registry::builtin();
            store.conform(registry, time.and_utc()).expect("conformed");
            let user = registry.resource_type("User").expect("a type");
            let begin = move |c: &mut Connection| {
                let tenant_id = insert(c, "gone", time)?.tenant_id;
                super::super::settings_for(c, tenant_id, user)?;
                begin_deletion(c, tenant_id, time)?;
                Ok(tenant_id)
            };
            let tenant_id = store.write(begin).await.expect("begun");

            let write = move |c: &mut Connection| super::super::settings_for(c, tenant_id, user);
            let add = move |c: &mut Connection| super::super::lock_shared(c, tenant_id);
            let [write, add] = [store.write(write).await.map(drop), store.write(add).await.map(drop)];

            for refused in [write, add] {
                assert_eq!(refused.expect_err("refused").kind(), crate::scim::ErrorKind::Forbidden);
            }
            let tenant = store.read(Reach::Point, move |c| find(c, tenant_id)).await.expect("read").expect("there");
            assert_eq!((tenant.suspended_at, tenant.deleted_at), (Some(time), Some(time)));
        });
    }
}
