//! A database copied into another one, in every direction.

use super::*;
use crate::store::catalog;

/// Something in every table, with everything that two databases write in different ways: truth values, times with and
/// without milliseconds, nothing, and text that SQL would have to escape.
const SOMETHING_EVERYWHERE: [&str; 12] = [
    "INSERT INTO tenants (tenant_id, name, settings, created_at, schemas) \
     VALUES (7, 'acme', '{\"groupNames\":\"free\"}', '2026-03-01 09:30:00.12', '{}')",
    "INSERT INTO resources (row_id, tenant_id, id, resource_type, unique_key, name, external_id, display_name, active, \
     document, version, created_at, modified_at, deleted_at, deleted_by, withheld, \
     purged_at) VALUES \
     (3, 7, 'a', 'User', 'o''neill', NULL, 'ext', 'O''Neill \"x\" \\ ü \u{1f600}', TRUE, '{\"a\":1}', 4, \
      '2026-03-01 09:30:00', '2026-03-01 09:30:00.123', NULL, NULL, '{\"b\":[]}', NULL), \
     (5, 7, 'b', 'Group', NULL, 'staff', NULL, NULL, FALSE, '{}', 1, \
      '2026-03-01 09:30:00', '2026-03-01 09:30:00', '2026-03-02 00:00:00.001', 'key', NULL, '2026-03-03 00:00:00')",
    "INSERT INTO resource_values (tenant_path, key, row_id, element, tail) VALUES (15032385543, 'o''neill', 3, 0, 'x')",
    "INSERT INTO unique_values (tenant_id, resource_type, path, key, row_id) VALUES (7, 'User', 'badge', '1', 3)",
    "INSERT INTO group_members (group_row_id, member_row_id) VALUES (5, 3)",
    "INSERT INTO unresolved_members (group_row_id, value) VALUES (5, 'nobody')",
    "INSERT INTO credentials (row_id, password_hash) VALUES (3, '$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA')",
    "INSERT INTO api_keys (key_id, tenant_id, name, secret_hash, fingerprint, last_four, scopes, profile, \
     subject_row_id, created_at, expires_at) VALUES \
     ('key', 7, 'okta', 'hash', 'f', '1234', 'read', 'compat', 3, '2026-03-01 09:30:00', '2027-03-01 09:30:00')",
    "INSERT INTO audit (row_id, tenant_id, at, caller, request_id, operation, resource_type, resource_id, version, changes, \
     salt, digest, erased) VALUES \
     (9, 7, '2026-03-01 09:30:00.123', 'key', 'r', 'create', 'User', 'a', 1, '{\"after\":{}}', 'salt', 'digest', NULL), \
     (11, 7, '2026-03-01 09:30:00.124', 'key', 'r', 'create', 'User', 'b', 1, '{}', NULL, 'digest', 'inner')",
    "INSERT INTO seals (seal_id, at, total, highest, awaited, row_ids, digests, hash) \
     VALUES (1, '2026-03-01 09:30:02', 2, 11, '[]', '9 11', 'digest digest', 'hash')",
    "INSERT INTO outbox (row_id, audit_row_id, event, delivered_at) VALUES (4, 9, 'e', NULL)",
    "INSERT INTO touches (row_id, at) VALUES (3, '2026-03-01 09:30:00.1')",
];

fn fill(store: &Store) {
    run(store.write(|connection| {
        SOMETHING_EVERYWHERE.iter().try_for_each(|statement| Ok(connection.batch_execute(statement)?))
    }))
    .unwrap();
}

/// Every row of every table, as text, whatever their order.
fn everything(store: &Store) -> Vec<(String, Vec<Vec<Option<String>>>)> {
    let read = |connection: &mut Connection| {
        let mut all = Vec::new();
        for table in catalog::tables(connection)? {
            let mut rows = Vec::new();
            table.each_row(connection, |row| {
                rows.push(row.0.iter().map(|value| value.to_text()).collect::<Vec<_>>());
                Ok(())
            })?;
            rows.sort();
            all.push((table.name, rows));
        }
        Ok(all)
    };
    run(store.read(Reach::Scan, read)).unwrap()
}

fn number_of_next_tenant(store: &Store) -> i64 {
    run(store.write(|connection| tenants::insert(connection, "next", at("2026-03-03T00:00:00")))).unwrap().tenant_id
}

/// Runs a test with two fresh databases, of each kind or of both.
fn on_each_pair(test: impl Fn(&Store, &Store)) {
    for kinds in [(true, true), (true, false), (false, true), (false, false)] {
        on_each_url(|from| {
            on_each_url(|to| {
                if (from.database_url.has_single_writer(), to.database_url.has_single_writer()) == kinds {
                    test(&migrated(&from), &migrated(&to));
                }
            });
        });
    }
}

#[test]
fn a_copy_holds_every_row_of_every_table_and_numbers_on() {
    on_each_pair(|source, target| {
        fill(source);
        run(source.write(|connection| {
            // Numbers of rows that are gone are not given again either.
            insert(connection, "gone")?;
            Ok(diesel::delete(tenants_table::table.filter(tenants_table::name.eq("gone"))).execute(connection)?)
        }))
        .unwrap();
        let mut told = Vec::new();

        let copied = source.copy_to(target, |done, total| told.push((done, total))).unwrap();

        let (before, after) = (everything(source), everything(target));
        for (table, rows) in &before {
            assert!(!rows.is_empty(), "give {table} a row in this test, so that it is seen to be copied");
        }
        assert_eq!(before, after);
        let rows: Vec<(String, u64)> = copied.into_iter().map(|table| (table.name, table.rows)).collect();
        assert_eq!(rows, before.iter().map(|(table, rows)| (table.clone(), rows.len() as u64)).collect::<Vec<_>>());
        let total = rows.iter().map(|(_, rows)| rows).sum();
        assert_eq!(told.last(), Some(&(total, total)));
        let [of_target, of_source] = [target, source].map(number_of_next_tenant);
        assert_eq!(of_target, of_source.max(8), "a number that was given to nobody yet");
    });
}

#[test]
fn nothing_is_copied_into_a_database_that_has_something() {
    on_each_pair(|source, target| {
        fill(source);
        run(target.write(|connection| insert(connection, "theirs"))).unwrap();
        let before = everything(target);

        let refused = source.copy_to(target, |_, _| {}).unwrap_err();

        assert!(refused.detail().contains("is not empty (2 rows in tenants)"), "{refused}");
        assert_eq!(everything(target), before);
    });
}

#[test]
fn nothing_is_copied_between_tables_of_different_versions_or_onto_itself() {
    on_each_url(|settings| {
        let store = migrated(&settings);
        let onto_itself = store.copy_to(&store, |_, _| {}).unwrap_err();
        let directory = tempfile::tempdir().unwrap();
        let empty = Store::open(&Settings::new(DatabaseUrl::Sqlite(directory.path().join("other.db")))).unwrap();
        let unmigrated = store.copy_to(&empty, |_, _| {}).unwrap_err();
        let other = migrated(&Settings::new(DatabaseUrl::Sqlite(directory.path().join("other.db"))));
        run(other.write(|c| Ok(c.batch_execute("ALTER TABLE touches ADD COLUMN more TEXT")?))).unwrap();
        let changed = store.copy_to(&other, |_, _| {}).unwrap_err();

        assert!(onto_itself.detail().contains("onto itself"), "{onto_itself}");
        assert!(unmigrated.detail().contains("scimd migrate"), "{unmigrated}");
        assert!(changed.detail().contains("do not have the same tables"), "{changed}");
    });
}

#[test]
fn a_copy_that_fails_leaves_nothing_behind() {
    on_each_pair(|source, target| {
        fill(source);
        run(target.write(|c| Ok(c.batch_execute("CREATE UNIQUE INDEX in_the_way ON resources (tenant_id)")?))).unwrap();
        let before = everything(target);

        source.copy_to(target, |_, _| {}).unwrap_err();

        assert_eq!(everything(target), before);
    });
}

#[test]
fn the_tables_of_the_catalog_are_those_of_the_schema() {
    on_each_database(|Fixture { store, .. }| async move {
        let found = store.read(Reach::Scan, catalog::tables).await.unwrap();
        let mut found: Vec<String> = found.into_iter().map(|table| table.name).collect();
        let mut described = tables::names();
        found.sort();
        described.sort();
        assert_eq!(found, described);
    });
}
