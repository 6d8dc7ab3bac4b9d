//! Tenants with rows in every table, taken away with and without interruptions.

use diesel::sql_types::Integer;

use super::*;
use crate::store::statement::{OnConflict, insert_rows};
use crate::store::tenants::{begin_deletion, find, insert, lock_shared, settings_for};
use crate::store::tests::{Fixture, at, on_each_database};
use crate::store::values::tenant_path;
use crate::store::{Reach, Store};

/// More than goes at once: of resources, of memberships and of everything else.
const COUNT: i64 = 450;
const MEMBERS: i64 = 2_300;

/// A tenant with rows in every table, from this row on.
fn fill(connection: &mut Connection, tenant_id: i64, first: i64) -> Result<()> {
    let time = at("2026-03-01T09:30:00");
    let ids: Vec<String> = (first..first + COUNT).map(|row_id| format!("id-{row_id}")).collect();
    let columns =
        ["row_id", "tenant_id", "id", "resource_type", "active", "document", "version", "created_at", "modified_at"];
    let rows = (first..).zip(&ids).map(|(row_id, id)| {
        let [kind, document, id] = ["User", "{}", id.as_str()].map(Cell::from);
        let [created_at, modified_at] = [time, time].map(Cell::from);
        [row_id.into(), tenant_id.into(), id, kind, true.into(), document, 1.into(), created_at, modified_at]
    });
    insert_rows(connection, "resources", columns, rows, OnConflict::Fail)?;
    let buried: Sql = Sql::new("UPDATE resources SET deleted_at = ").bind(time).push(", deleted_by = 'k'");
    buried.push(" WHERE tenant_id = ").bind(tenant_id).push(" AND row_id > ").bind(first + 400).execute(connection)?;
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
        let path_hash = [0, 5, (1 << 31) - 1][(number % 3) as usize];
        [Cell::from(tenant_path(tenant_id, path_hash)), Cell::from("x"), Cell::from(number), Cell::from(0)]
    });
    let columns = ["tenant_path", "key", "row_id", "element"];
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
        ("resource_values", " WHERE (tenant_path >> 31 = "),
        ("unique_values", " WHERE (tenant_id = "),
        ("api_keys", " WHERE (tenant_id = "),
        ("live_totals", " WHERE (tenant_id = "),
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
            let members: Sql<BigInt> =
                Sql::new("SELECT count(*) FROM group_members WHERE group_row_id NOT IN (SELECT row_id FROM resources)");
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
                let said: Sql<Text> = Sql::new("SELECT a.changes FROM audit a WHERE a.tenant_id = ").bind(tenant_id);
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
            settings_for(c, tenant_id, user)?;
            begin_deletion(c, tenant_id, time)?;
            Ok(tenant_id)
        };
        let tenant_id = store.write(begin).await.expect("begun");

        let write = move |c: &mut Connection| settings_for(c, tenant_id, user);
        let add = move |c: &mut Connection| lock_shared(c, tenant_id);
        let [write, add] = [store.write(write).await.map(drop), store.write(add).await.map(drop)];

        for refused in [write, add] {
            assert_eq!(refused.expect_err("refused").kind(), crate::scim::ErrorKind::Forbidden);
        }
        let tenant = store.read(Reach::Point, move |c| find(c, tenant_id)).await.expect("read").expect("there");
        assert_eq!((tenant.suspended_at, tenant.deleted_at), (Some(time), Some(time)));
    });
}

#[test]
fn a_piece_of_the_index_is_found_without_a_look_at_the_rest() {
    on_each_database(|Fixture { store, postgres }| async move {
        if postgres {
            return;
        }
        let explain = |c: &mut Connection| {
            let plan: Sql<(Integer, Integer, Integer, Text)> = Sql::new("EXPLAIN QUERY PLAN ");
            let plan = plan.append(index_up_to(1, (tenant_path(1, 5), "x".to_owned(), 7, 0)));
            Ok(plan.load::<(i32, i32, i32, String)>(c)?.into_iter().map(|step| step.3).collect::<Vec<_>>())
        };

        let plan = store.read(Reach::Point, explain).await.expect("a plan");

        let both_bounds = "(tenant_path>? AND (tenant_path,key,row_id,element)<(?,?,?,?))";
        assert!(matches!(&plan[..], [step] if step.ends_with(both_bounds)), "{plan:?}");
    });
}
