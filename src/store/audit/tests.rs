//! The chain under tampering, company and erasure, on SQLite always and on PostgreSQL when `TEST_DATABASE_URL` is set.

use std::sync::mpsc;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;

use super::*;
use crate::store::tests::{Fixture, at, on_each_database};
use crate::store::{Reach, Store};

fn change(connection: &mut Connection, id: &str, version: i64) -> Result<()> {
    change_of(connection, "Group", id, version)
}

fn change_of_key(connection: &mut Connection, id: &str) -> Result<()> {
    change_of(connection, "Key", id, NO_VERSION)
}

fn change_of(connection: &mut Connection, resource_type: &str, id: &str, version: i64) -> Result<()> {
    let changes = Changes::default().with_members(&[format!("member of {id}")], &[]);
    let record = Record {
        tenant_id: 1,
        at: at("2026-03-01T09:30:00.123").and_utc(),
        caller: "key",
        request_id: "request",
        operation: Operation::Create,
        resource_type,
        resource_id: id,
        version,
        changes: &changes,
    };
    append(connection, &record)
}

fn purge_record(connection: &mut Connection, id: &str) -> Result<()> {
    let record = Record {
        tenant_id: 1,
        at: at("2026-03-01T09:45:00").and_utc(),
        caller: "operator",
        request_id: "",
        operation: Operation::Purge,
        resource_type: "Group",
        resource_id: id,
        version: 3,
        changes: &Changes::default(),
    };
    append(connection, &record)
}

async fn changes(store: &Store, count: i64) {
    let write = move |connection: &mut Connection| (1..=count).try_for_each(|version| change(connection, "g", version));
    store.write(write).await.unwrap();
}

/// Seals one seal's worth; how many rows.
async fn seal(store: &Store) -> usize {
    let next = |connection: &mut Connection| next_seal(connection, at("2026-03-01T10:00:00").and_utc());
    let Some(seal) = store.read(Reach::Scan, next).await.unwrap() else { return 0 };
    let rows = seal.rows();
    assert!(store.write(move |connection: &mut Connection| insert_seal(connection, &seal)).await.unwrap());
    rows
}

/// Makes and seals changes until nothing is awaited: on PostgreSQL what other tests have under way counts, too.
async fn settle(store: &Store) {
    let awaited = |connection: &mut Connection| {
        let statement: Sql<Text> = Sql::new("SELECT s.awaited FROM seals s ORDER BY s.seal_id DESC LIMIT 1");
        Ok(statement.load::<String>(connection)?.pop())
    };
    while store.read(Reach::Point, awaited).await.unwrap().is_some_and(|awaited| awaited != "[]") {
        changes(store, 1).await;
        seal(store).await;
    }
}

async fn head_of(store: &Store) -> Head {
    store.read(Reach::Point, head).await.unwrap().unwrap()
}

async fn verify(store: &Store, expected: Option<&str>) -> Verdict {
    let expected = expected.map(str::to_owned);
    let walk = move |connection: &mut Connection| {
        let mut verification = Verification::new(expected);
        while verification.step(connection)? {}
        verification.end(connection)
    };
    store.read(Reach::Scan, walk).await.unwrap()
}

/// What somebody does who has the database to himself, and knows of the triggers.
async fn tamper(store: &Store, sql: &'static str) {
    let write = move |connection: &mut Connection| {
        let freed = match connection.locks_rows() {
            true => {
                "ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE seals DISABLE TRIGGER USER; \
                     ALTER TABLE audit DROP CONSTRAINT IF EXISTS audit_insert"
            }
            false => {
                "DROP TRIGGER IF EXISTS audit_insert; DROP TRIGGER IF EXISTS audit_update; \
                      DROP TRIGGER IF EXISTS audit_delete; DROP TRIGGER IF EXISTS seals_update; \
                      DROP TRIGGER IF EXISTS seals_delete"
            }
        };
        connection.batch_execute(freed)?;
        Ok(connection.batch_execute(sql)?)
    };
    store.write(write).await.unwrap();
}

fn wrong(verdict: &Verdict) -> Vec<(i64, Wrong)> {
    assert_eq!(verdict.broken, verdict.faults.len());
    verdict.faults.iter().map(|fault| (fault.row_id, fault.wrong.clone())).collect()
}

#[test]
fn an_untouched_history_is_proven() {
    on_each_database(|Fixture { store, .. }| async move {
        assert_eq!(verify(&store, None).await.head, None);
        changes(&store, 3).await;
        assert_eq!((seal(&store).await, seal(&store).await), (3, 0));
        let first = head_of(&store).await;
        changes(&store, 2).await;
        let before = verify(&store, Some(&first.hash)).await;
        assert_eq!(seal(&store).await, 2);

        let verdict = verify(&store, Some(&first.hash)).await;

        assert_eq!((before.rows, before.open, before.broken), (3, 2, 0));
        assert_eq!((verdict.rows, verdict.open, verdict.erased, verdict.broken), (5, 0, 0, 0), "{verdict:?}");
        let head = verdict.head.unwrap();
        assert_eq!((first.seal_id, first.rows, head.seal_id, head.rows), (1, 3, 2, 5));
        assert!(Head::is_hash(&head.hash) && head.hash != first.hash);
    });
}

#[test]
fn every_change_of_a_row_is_found_and_named() {
    for (column, value) in [
        ("changes", "'{\"members\":{\"added\":[\"other\"],\"removed\":[]}}'"),
        ("caller", "'somebody'"),
        ("at", "'2026-03-01 09:30:00.124'"),
        ("tenant_id", "2"),
        ("request_id", "''"),
        ("operation", "'modify'"),
        ("resource_type", "'User'"),
        ("resource_id", "'h'"),
        ("version", "7"),
        ("salt", "'AAAAAAAAAAAAAAAAAAAAAA'"),
        ("salt", "NULL"),
        ("digest", "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"),
        ("digest", "NULL"),
        ("erased", "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"),
    ] {
        let sql: &'static str = format!("UPDATE audit SET {column} = {value} WHERE row_id = 2").leak();
        on_each_database(|Fixture { store, .. }| async move {
            changes(&store, 3).await;
            seal(&store).await;
            tamper(&store, sql).await;

            let verdict = verify(&store, None).await;

            assert_eq!(wrong(&verdict), [(2, Wrong::Changed)], "{sql}");
            let fault = &verdict.faults[0];
            assert_eq!(fault.seal_id, Some(1));
            assert!(fault.at.is_some() && fault.resource.is_some(), "{fault:?}");
        });
    }
}

/// Whoever changes a row may know how its digest is made.
#[test]
fn a_row_with_a_new_digest_is_found_and_named() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 3).await;
        seal(&store).await;
        tamper(&store, "UPDATE audit SET salt = NULL, digest = NULL, caller = 'somebody' WHERE row_id = 2").await;
        let prove = |connection: &mut Connection| {
            let rows = row::rows(connection, Sql::new("a.row_id = 2"))?;
            rows[0].prove(connection).map(drop)
        };
        store.write(prove).await.unwrap();

        assert_eq!(wrong(&verify(&store, None).await), [(2, Wrong::Changed)]);
    });
}

#[test]
fn deleted_swapped_and_inserted_rows_are_found_and_named() {
    const COPY: &str = "INSERT INTO audit (row_id, tenant_id, at, caller, request_id, operation, resource_type, \
                        resource_id, version, changes, salt, digest) SELECT 10000, tenant_id, at, caller, request_id, \
                        operation, resource_type, resource_id, version, changes, salt, digest FROM audit WHERE row_id = 2";
    const SWAP: &str = "UPDATE audit SET row_id = 99 WHERE row_id = 2; UPDATE audit SET row_id = 2 WHERE row_id = 3; \
                        UPDATE audit SET row_id = 3 WHERE row_id = 99";
    const SHIFT: &str = "DELETE FROM audit WHERE row_id = 2; UPDATE audit SET row_id = 2 WHERE row_id = 4";
    let cases: [(&'static str, &[(i64, Wrong)]); 4] = [
        ("DELETE FROM audit WHERE row_id = 2", &[(2, Wrong::Missing)]),
        ("DELETE FROM audit WHERE row_id IN (1, 4)", &[(1, Wrong::Missing), (4, Wrong::Missing)]),
        (SWAP, &[(2, Wrong::OutOfOrder(3)), (3, Wrong::OutOfOrder(2))]),
        (SHIFT, &[(2, Wrong::OutOfOrder(4)), (4, Wrong::Missing)]),
    ];
    for (sql, expected) in cases {
        on_each_database(|Fixture { store, .. }| async move {
            changes(&store, 4).await;
            seal(&store).await;
            tamper(&store, "DELETE FROM outbox").await;
            tamper(&store, sql).await;

            assert_eq!(wrong(&verify(&store, None).await), expected, "{sql}");
        });
    }
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 4).await;
        seal(&store).await;
        tamper(&store, COPY).await;
        changes(&store, 1).await;
        // It comes after what is sealed, so it is sealed itself: a new change like any other.
        seal(&store).await;
        settle(&store).await;
        assert_eq!(verify(&store, None).await.broken, 0);

        tamper(&store, "UPDATE audit SET row_id = 9999 WHERE row_id = 10000").await;

        let verdict = verify(&store, None).await;
        assert_eq!(wrong(&verdict), [(9999, Wrong::Inserted), (10000, Wrong::Missing)]);
        assert!(verdict.faults[0].resource.is_some());
    });
}

/// A row that is forged at the end without the knowledge of how digests are made is sealed, and told.
#[test]
fn a_forged_row_that_is_not_sealed_yet_is_found() {
    for digest in ["NULL", "'forged'", "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"] {
        let sql: &'static str = format!(
            "INSERT INTO audit (row_id, tenant_id, at, caller, request_id, operation, resource_type, resource_id, version, \
             changes, salt, digest) SELECT 3, tenant_id, at, 'forger', request_id, operation, resource_type, resource_id, \
             version, changes, salt, {digest} FROM audit WHERE row_id = 2"
        )
        .leak();
        on_each_database(|Fixture { store, .. }| async move {
            changes(&store, 2).await;
            seal(&store).await;
            tamper(&store, sql).await;
            assert_eq!(store.write(|connection| found(connection, 0)).await.unwrap(), None);
            assert_eq!(seal(&store).await, 1);

            assert_eq!(wrong(&verify(&store, None).await), [(3, Wrong::Changed)], "{digest}");
        });
    }
}

#[test]
fn changed_and_deleted_seals_are_found() {
    let cases: [(&'static str, &[(i64, Wrong)]); 9] = [
        ("UPDATE seals SET at = '2026-03-01 10:00:01' WHERE seal_id = 2", &[(3, Wrong::SealChanged)]),
        ("UPDATE seals SET total = 5 WHERE seal_id = 2", &[(3, Wrong::SealChanged)]),
        ("UPDATE seals SET highest = 5 WHERE seal_id = 2", &[(3, Wrong::SealChanged)]),
        ("UPDATE seals SET awaited = '[[1,2,3]]' WHERE seal_id = 2", &[(3, Wrong::SealChanged)]),
        (
            "UPDATE seals SET awaited = 'x' WHERE seal_id = 2",
            &[(3, Wrong::SealChanged), (3, Wrong::Inserted), (4, Wrong::Inserted)],
        ),
        ("UPDATE seals SET hash = 'x' WHERE seal_id = 2", &[(3, Wrong::SealChanged), (5, Wrong::SealChanged)]),
        (
            "UPDATE seals SET digests = (SELECT s.digests FROM seals s WHERE s.seal_id = 1) WHERE seal_id = 2",
            &[(3, Wrong::SealChanged), (3, Wrong::Changed), (4, Wrong::Changed)],
        ),
        ("DELETE FROM seals WHERE seal_id = 2", &[(3, Wrong::SealMissing), (3, Wrong::Inserted), (4, Wrong::Inserted)]),
        ("DELETE FROM seals WHERE seal_id = 1", &[(1, Wrong::SealMissing), (1, Wrong::Inserted), (2, Wrong::Inserted)]),
    ];
    for (sql, expected) in cases {
        on_each_database(|Fixture { store, .. }| async move {
            for _ in 0..3 {
                changes(&store, 2).await;
                seal(&store).await;
            }
            tamper(&store, sql).await;

            assert_eq!(wrong(&verify(&store, None).await), expected, "{sql}");
        });
    }
}

const PUT_IN: &str = "INSERT INTO audit (row_id, tenant_id, at, caller, request_id, operation, resource_type, resource_id, \
                      version, changes, salt, digest) SELECT row_id - 9, tenant_id, at, 'forger', request_id, operation, \
                      resource_type, resource_id, version, changes, salt, digest FROM audit";

/// Numbers begin with 1, and lists show whatever stands in the table.
#[test]
fn what_is_put_in_before_the_first_row_is_found_and_named() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 2).await;
        for sealed in [0, 2] {
            if sealed > 0 {
                assert_eq!(seal(&store).await, sealed);
            }
            tamper(&store, PUT_IN).await;

            let verdict = verify(&store, None).await;
            assert_eq!(wrong(&verdict), [(-8, Wrong::Inserted), (-7, Wrong::Inserted)]);
            assert!(verdict.faults[0].resource.is_some());
            tamper(&store, "DELETE FROM audit WHERE row_id < 1").await;
        }
        tamper(&store, "DELETE FROM outbox; UPDATE audit SET row_id = -5 WHERE row_id = 2").await;
        assert_eq!(wrong(&verify(&store, None).await), [(-5, Wrong::Inserted), (2, Wrong::Missing)]);
    });
}

/// SQLite takes any value in any column. What is no value of the column's type hides the row from searches, or can't be
/// read at all; either way the row is named, and the others are looked at.
#[test]
fn a_row_that_is_no_row_is_found_and_named_and_hides_no_other() {
    let anywhere = ["UPDATE audit SET at = 'infinity' WHERE row_id = 2"];
    let in_sqlite = [
        "UPDATE audit SET at = 'yesterday' WHERE row_id = 2",
        "UPDATE audit SET at = '2026-03-01T09:30:00.123' WHERE row_id = 2",
        "UPDATE audit SET tenant_id = '1x' WHERE row_id = 2",
        "UPDATE audit SET version = '2x' WHERE row_id = 2",
        "UPDATE audit SET resource_id = CAST(resource_id AS BLOB) WHERE row_id = 2",
        "UPDATE audit SET changes = x'ff00fe' WHERE row_id = 2",
        "UPDATE audit SET changes = CAST(x'ff00fe' AS TEXT) WHERE row_id = 2",
    ];
    for (sql, is_for_both) in anywhere.map(|sql| (sql, true)).into_iter().chain(in_sqlite.map(|sql| (sql, false))) {
        on_each_database(|Fixture { store, postgres }| async move {
            if postgres && !is_for_both {
                return;
            }
            changes(&store, 4).await;
            seal(&store).await;
            tamper(&store, sql).await;
            tamper(&store, "UPDATE audit SET caller = 'somebody' WHERE row_id = 4").await;

            let verdict = verify(&store, None).await;

            assert_eq!(wrong(&verdict), [(2, Wrong::Changed), (4, Wrong::Changed)], "{sql}");
            assert_eq!(verdict.rows, 4, "{sql}");
        });
    }
}

#[test]
fn a_seal_that_is_none_is_found_and_hides_no_other() {
    let cases: [(&'static str, &[(i64, Wrong)]); 5] = [
        (
            "UPDATE seals SET at = 'infinity' WHERE seal_id = 1",
            &[(1, Wrong::SealChanged), (1, Wrong::Inserted), (2, Wrong::Inserted), (3, Wrong::SealChanged)],
        ),
        ("UPDATE seals SET at = 'infinity' WHERE seal_id = 3", &[(5, Wrong::SealChanged)]),
        ("UPDATE seals SET seal_id = -3 WHERE seal_id = 3", &[(1, Wrong::SealInserted)]),
        ("UPDATE seals SET seal_id = 9223372036854775807 WHERE seal_id = 3", &[(5, Wrong::SealMissing)]),
        (
            "UPDATE seals SET seal_id = 0 WHERE seal_id = 1",
            &[(1, Wrong::SealInserted), (1, Wrong::SealMissing), (1, Wrong::Inserted), (2, Wrong::Inserted)],
        ),
    ];
    for (sql, expected) in cases {
        on_each_database(|Fixture { store, .. }| async move {
            for _ in 0..3 {
                changes(&store, 2).await;
                seal(&store).await;
            }
            tamper(&store, sql).await;

            assert_eq!(wrong(&verify(&store, None).await), expected, "{sql}");
        });
    }
}

/// Whoever seals again and again would never come to an end.
#[test]
fn nothing_is_sealed_behind_the_highest_number() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 1).await;
        seal(&store).await;
        tamper(&store, "UPDATE seals SET seal_id = 9223372036854775807").await;
        changes(&store, 1).await;

        let next = |connection: &mut Connection| next_seal(connection, at("2026-03-01T10:00:00").and_utc());
        let refused = store.read(Reach::Scan, next).await.unwrap_err();

        assert_eq!(refused.kind(), crate::scim::ErrorKind::Internal);
    });
}

#[test]
fn what_keeps_the_history_append_only_is_missed_when_it_is_gone() {
    on_each_database(|Fixture { store, postgres }| async move {
        assert_eq!(verify(&store, None).await.unguarded, [] as [&str; 0]);
        tamper(&store, "SELECT 1").await;

        let unguarded = verify(&store, None).await.unguarded;

        assert_eq!(unguarded.len(), if postgres { 6 } else { 5 }, "{unguarded:?}");
        assert!(unguarded.contains(&"audit_update"), "{unguarded:?}");
        if !postgres {
            tamper(&store, "CREATE TRIGGER audit_update BEFORE UPDATE ON tenants BEGIN SELECT 1; END").await;
            assert_eq!(verify(&store, None).await.unguarded, unguarded, "a guard of something else");
        }
    });
}

/// What cannot be seen from inside: the end is cut off, or the whole chain made anew.
#[test]
fn a_head_that_was_kept_tells_of_an_end_that_was_cut_off() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 2).await;
        seal(&store).await;
        let first = head_of(&store).await;
        changes(&store, 2).await;
        seal(&store).await;
        let second = head_of(&store).await;
        tamper(&store, "DELETE FROM outbox; DELETE FROM audit WHERE row_id > 3; DELETE FROM seals WHERE seal_id = 2")
            .await;
        seal(&store).await;

        assert_eq!(verify(&store, None).await.broken, 0);
        assert_eq!(verify(&store, Some(&first.hash)).await.broken, 0);
        assert_eq!(wrong(&verify(&store, Some(&second.hash)).await), [(4, Wrong::HeadMissing)]);
    });
}

#[test]
fn the_database_refuses_to_rewrite_history() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 2).await;
        seal(&store).await;
        let refused = [
            "DELETE FROM audit WHERE row_id = 2",
            "UPDATE audit SET caller = 'somebody' WHERE row_id = 2",
            "UPDATE audit SET changes = '{}' WHERE row_id = 2",
            "UPDATE audit SET row_id = 9 WHERE row_id = 2",
            "UPDATE audit SET changes = '{}', salt = NULL, erased = 'x', caller = 'somebody' WHERE row_id = 2",
            "UPDATE audit SET digest = NULL",
            "INSERT INTO audit (tenant_id, at, caller, request_id, operation, resource_type, resource_id, version, changes) \
             SELECT tenant_id, at, caller, request_id, operation, resource_type, resource_id, version, changes FROM audit",
            "UPDATE seals SET total = 1",
            "DELETE FROM seals",
        ];
        for sql in refused {
            let outcome = store.write(move |connection| Ok(connection.batch_execute(sql)?)).await;
            assert!(outcome.is_err(), "{sql}");
        }
        assert_eq!(verify(&store, None).await.broken, 0);
    });
}

#[test]
fn an_erased_row_proves_itself_and_says_nothing() {
    on_each_database(|Fixture { store, .. }| async move {
        let write = |connection: &mut Connection| {
            change(connection, "a", 1)?;
            change(connection, "b", 1)?;
            change(connection, "a", 2)
        };
        store.write(write).await.unwrap();
        seal(&store).await;
        store.write(|connection| change(connection, "a", 3)).await.unwrap();
        let head = head_of(&store).await;

        let erased = store
            .write(|connection| {
                let first = erase(connection, 1, "Group", "a", None, 2)?;
                let rest = erase(connection, 1, "Group", "a", first.1, 2)?;
                Ok([first, rest, erase(connection, 1, "Group", "a", None, 2)?])
            })
            .await
            .unwrap();
        seal(&store).await;

        assert_eq!(erased, [(2, Some(3)), (1, None), (0, None)]);
        // Whoever does that by himself does not say so.
        let unexplained = [1, 3, 4].map(|row_id| (row_id, Wrong::Erased));
        assert_eq!(wrong(&verify(&store, None).await), unexplained);
        store.write(|connection| purge_record(connection, "a")).await.unwrap();
        seal(&store).await;
        let verdict = verify(&store, Some(&head.hash)).await;
        assert_eq!((verdict.broken, verdict.rows, verdict.erased), (0, 5, 3), "{verdict:?}");
        let of_a = "a.resource_id = 'a' AND a.operation = 'create'";
        let rows = store.read(Reach::Scan, |connection| row::rows(connection, Sql::new(of_a)));
        for row in rows.await.unwrap() {
            assert_eq!((row.changes.as_str(), row.salt.as_deref()), ("{}", None));
        }
        let entries =
            store.read(Reach::Scan, |connection| entries(connection, 1, "Group", "a", None, 10)).await.unwrap();
        let erased: Vec<bool> = entries.iter().map(|entry| entry.erased).collect();
        assert_eq!(erased, [false, true, true, true], "{entries:?}");

        tamper(&store, "UPDATE audit SET caller = 'somebody' WHERE row_id = 3").await;
        assert_eq!(wrong(&verify(&store, None).await), [(3, Wrong::Changed)]);
    });
}

#[test]
fn the_history_of_a_tenant_is_erased_in_pieces_and_proves_itself() {
    on_each_database(|Fixture { store, .. }| async move {
        let write = |connection: &mut Connection| ["b", "a", "c"].iter().try_for_each(|id| change(connection, id, 1));
        store.write(write).await.unwrap();
        seal(&store).await;

        let mut erased = Vec::new();
        let mut mark: Option<Mark> = None;
        loop {
            let after = mark.clone();
            let piece = move |connection: &mut Connection| erase_of_tenant(connection, 1, after.as_ref(), 2);
            let (count, last) = store.write(piece).await.unwrap();
            erased.push(count);
            match last {
                Some(last) => mark = Some(last),
                None => break,
            }
        }

        assert_eq!(erased, [2, 1, 0]);
        tamper(&store, "UPDATE tenants SET deleted_at = created_at").await;
        let again = store.write(|connection| erase_of_tenant(connection, 1, None, 10)).await.unwrap();
        assert_eq!(again.0, 0);
        let verdict = verify(&store, None).await;
        assert_eq!((verdict.broken, verdict.erased), (0, 3), "{verdict:?}");
    });
}

#[test]
fn an_erasure_that_begins_again_at_every_piece_ends() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 5).await;

        let piece = |connection: &mut Connection| erase_of_tenant(connection, 1, None, 2);
        let mut erased = Vec::new();
        for _ in 0..4 {
            erased.push(store.write(piece).await.unwrap().0);
        }

        assert_eq!(erased, [2, 2, 1, 0]);
    });
}

/// Ids are unique among resources; a key may have the one of an imported resource.
#[test]
fn what_has_the_same_id_and_another_type_is_not_erased_with_it() {
    on_each_database(|Fixture { store, .. }| async move {
        let write = |connection: &mut Connection| {
            change(connection, "same", 1)?;
            change_of_key(connection, "same")
        };
        store.write(write).await.unwrap();
        seal(&store).await;

        let counts = |connection: &mut Connection| {
            let before = ["Group", "Key"].map(|name| erasable(connection, 1, name, "same").unwrap());
            let (erased, _) = erase(connection, 1, "Group", "same", None, 10)?;
            purge_record(connection, "same")?;
            Ok((before, erased, erasable(connection, 1, "Key", "same")?))
        };
        assert_eq!(store.write(counts).await.unwrap(), ([1, 1], 1, 1));
        seal(&store).await;
        assert_eq!(verify(&store, None).await.broken, 0);

        // Nor does the purge explain it.
        store.write(|connection| erase(connection, 1, "Key", "same", None, 10)).await.unwrap();
        assert_eq!(wrong(&verify(&store, None).await), [(2, Wrong::Erased)]);
    });
}

/// An erasure is no way to get rid of what a row has said wrongly.
#[test]
fn a_changed_row_stays_changed_when_it_is_erased() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 2).await;
        seal(&store).await;
        tamper(&store, "UPDATE audit SET changes = '{\"a\":1}' WHERE row_id = 2").await;
        store.write(|connection| erase(connection, 1, "Group", "g", None, 10)).await.unwrap();
        store.write(|connection| purge_record(connection, "g")).await.unwrap();
        seal(&store).await;

        assert_eq!(wrong(&verify(&store, None).await), [(2, Wrong::Changed)]);
    });
}

#[test]
fn changes_from_before_the_chain_are_sealed_with_it() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 3).await;
        tamper(&store, "UPDATE audit SET salt = NULL, digest = NULL WHERE row_id <> 2").await;

        let mut last = Some(0);
        let mut proven = Vec::new();
        while let Some(row_id) = last {
            last = store.write(move |connection| found(connection, row_id)).await.unwrap();
            proven.extend(last);
        }
        seal(&store).await;

        assert_eq!(proven, [3]);
        let verdict = verify(&store, None).await;
        assert_eq!((verdict.rows, verdict.broken), (3, 0), "{verdict:?}");
    });
}

#[test]
fn many_rows_make_several_seals() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 2 * SEALED_AT_ONCE as i64 + 1).await;

        let sealed = [seal(&store).await, seal(&store).await, seal(&store).await, seal(&store).await];

        assert_eq!(sealed, [SEALED_AT_ONCE, SEALED_AT_ONCE, 1, 0]);
        let verdict = verify(&store, None).await;
        assert_eq!((verdict.rows, verdict.broken), (2 * SEALED_AT_ONCE as i64 + 1, 0));
    });
}

#[test]
fn of_two_seals_at_once_one_is_made() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 3).await;
        let next = |connection: &mut Connection| next_seal(connection, at("2026-03-01T10:00:00").and_utc());
        let one = store.read(Reach::Scan, next).await.unwrap().unwrap();
        changes(&store, 1).await;
        let other = store.read(Reach::Scan, next).await.unwrap().unwrap();

        let insert = |seal: Seal| store.write(move |connection: &mut Connection| insert_seal(connection, &seal));
        assert!(insert(one).await.unwrap());
        assert!(!insert(other).await.unwrap());

        assert_eq!(seal(&store).await, 1);
        assert_eq!(verify(&store, None).await.broken, 0);
    });
}

/// On PostgreSQL a change may be committed after later ones were sealed. A number may also have been given to nobody.
#[test]
fn a_row_that_is_committed_late_comes_in_a_later_seal() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        // Given a transaction under way with the rows 1 and 2, one that has failed with row 3, and row 4.
        let (commit, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let late = tokio::spawn({
            let store = store.clone();
            async move {
                let write = move |connection: &mut Connection| {
                    crate::store::tenants::settings(connection, 1)?;
                    change(connection, "late", 1)?;
                    change(connection, "late", 2)?;
                    begun.send(()).unwrap();
                    let _ = gate.recv();
                    Ok(())
                };
                store.write(write).await
            }
        });
        tokio::task::yield_now().await;
        let waiting = tokio::task::spawn_blocking(move || has_begun.recv().unwrap());
        waiting.await.unwrap();
        let failing = |connection: &mut Connection| -> Result<()> {
            change(connection, "failed", 1)?;
            Err(Error::internal("changed its mind"))
        };
        store.write(failing).await.unwrap_err();
        changes(&store, 1).await;

        // When row 4 is sealed, and those under way are committed afterwards.
        assert_eq!(seal(&store).await, 1);
        let between = verify(&store, None).await;
        commit.send(()).unwrap();
        late.await.unwrap().unwrap();
        let committed = verify(&store, None).await;
        assert_eq!(seal(&store).await, 2);

        // Then nothing is wrong at any time.
        assert_eq!((between.broken, between.open, between.rows), (0, 0, 1));
        assert_eq!((committed.broken, committed.open, committed.rows), (0, 2, 1), "{committed:?}");
        let verdict = verify(&store, None).await;
        assert_eq!((verdict.broken, verdict.open, verdict.rows), (0, 0, 3), "{verdict:?}");
        let awaited = |connection: &mut Connection| {
            let statement: Sql<Text> = Sql::new("SELECT s.row_ids || ' ' || s.awaited FROM seals s ORDER BY s.seal_id");
            Ok(statement.load::<String>(connection)?)
        };
        let seals = store.read(Reach::Point, awaited).await.unwrap();
        assert!(seals[0].starts_with("4 [[1,3,"), "{seals:?}");
        assert!(seals[1].starts_with("1-2 ["), "{seals:?}");

        // And whoever puts a row there now is found out.
        settle(&store).await;
        let forged = "INSERT INTO audit (row_id, tenant_id, at, caller, request_id, operation, resource_type, resource_id, \
                      version, changes, salt, digest) SELECT 3, tenant_id, at, caller, request_id, operation, resource_type, \
                      resource_id, version, changes, salt, digest FROM audit WHERE row_id = 4";
        tamper(&store, forged).await;
        assert_eq!(seal(&store).await, 0);
        assert_eq!(wrong(&verify(&store, None).await), [(3, Wrong::Inserted)]);
    });
}

/// A transaction that has written and is not committed.
struct UnderWay {
    gate: mpsc::Sender<()>,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl UnderWay {
    /// With a number of its own, and `early` done; `late` is done when it ends.
    async fn begin(
        store: &Store,
        early: fn(&mut Connection) -> Result<()>,
        late: fn(&mut Connection) -> Result<()>,
    ) -> UnderWay {
        let (gate, opened) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let store = store.clone();
        let task = tokio::spawn(async move {
            let write = move |connection: &mut Connection| {
                connection.batch_execute("SELECT pg_current_xact_id()")?;
                early(connection)?;
                begun.send(()).unwrap();
                let _ = opened.recv();
                late(connection)
            };
            store.write(write).await
        });
        tokio::task::yield_now().await;
        tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
        UnderWay { gate, task }
    }

    async fn commit(self) {
        self.gate.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

#[test]
fn a_late_row_is_waited_for_though_its_transaction_began_last() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        // Given two transactions, of which the second writes row 1 and the first row 2, and the first is committed.
        let first = UnderWay::begin(&store, |_| Ok(()), |connection| change(connection, "first", 1)).await;
        let second = UnderWay::begin(&store, |connection| change(connection, "second", 1), |_| Ok(())).await;
        first.commit().await;

        // When it is sealed before the second one is committed.
        assert_eq!(seal(&store).await, 1);
        let between = verify(&store, None).await;
        second.commit().await;
        assert_eq!(seal(&store).await, 1);

        // Then the chain has both.
        assert_eq!((between.broken, between.open, between.rows), (0, 0, 1));
        let verdict = verify(&store, None).await;
        assert_eq!((verdict.broken, verdict.open, verdict.rows), (0, 0, 2), "{verdict:?}");
    });
}

#[test]
fn changes_are_found_by_key_time_resource_and_kind_page_by_page() {
    on_each_database(|Fixture { store, .. }| async move {
        let write = |connection: &mut Connection| {
            let moments = ["09:00:00", "09:00:00", "09:00:00.500", "09:00:02", "09:00:01"];
            for (number, (moment, caller)) in moments.into_iter().zip(["a", "b", "a", "a", "b"]).enumerate() {
                let record = Record {
                    tenant_id: 1,
                    at: at(&format!("2026-03-01T{moment}")).and_utc(),
                    caller,
                    request_id: "",
                    operation: if number == 0 { Operation::Create } else { Operation::Modify },
                    resource_type: "User",
                    resource_id: if number < 3 { "one" } else { "other" },
                    version: 1,
                    changes: &Changes::default(),
                };
                append_silent(connection, &[Record { tenant_id: 2, ..record }])?;
                append_silent(connection, &[record])?;
            }
            Ok(())
        };
        store.write(write).await.unwrap();
        let find = |what: Search, limit: i64| {
            let store = store.clone();
            async move {
                let found =
                    store.read(Reach::Scan, move |connection| search(connection, 1, &what, limit)).await.unwrap();
                found.iter().map(Entry::place).collect::<Vec<Place>>()
            }
        };
        let rows = |places: &[Place]| places.iter().map(|place| place.row_id / 2).collect::<Vec<i64>>();
        let moment = |text: &str| Some(at(text).and_utc());

        let all = find(Search::default(), 9).await;
        assert_eq!(rows(&all), [1, 2, 3, 5, 4]);
        let latest = find(Search { latest_first: true, ..Search::default() }, 2).await;
        assert_eq!(rows(&latest), [4, 5]);
        let next = Search { latest_first: true, after: latest.last().copied(), ..Search::default() };
        assert_eq!(rows(&find(next, 9).await), [3, 2, 1]);
        let after = Search { after: Some(all[0]), ..Search::default() };
        assert_eq!(rows(&find(after, 9).await), [2, 3, 5, 4]);
        let span = Search {
            since: moment("2026-03-01T09:00:00.500"),
            until: moment("2026-03-01T09:00:02"),
            ..Search::default()
        };
        assert_eq!(rows(&find(span, 9).await), [3, 5]);
        let of_key = Search { caller: Some("b".to_owned()), ..Search::default() };
        assert_eq!(rows(&find(of_key, 9).await), [2, 5]);
        let of_one =
            Search { resource_id: Some("one".to_owned()), operation: Some(Operation::Modify), ..Search::default() };
        assert_eq!(rows(&find(of_one, 9).await), [2, 3]);
    });
}

/// A thousand numbers of transactions that have all failed meanwhile keep nothing waiting.
#[test]
fn what_will_not_come_is_not_waited_for() {
    on_each_database(|Fixture { store, .. }| async move {
        changes(&store, 1).await;
        let next = |connection: &mut Connection| next_seal(connection, at("2026-03-01T10:00:00").and_utc());
        let mut first = store.read(Reach::Scan, next).await.unwrap().unwrap();
        let spans: Vec<String> = (0..1_000).map(|number| format!("[{0},{0},1]", 10 + 2 * number)).collect();
        first.awaited = seals::Awaited::parse(&format!("[{}]", spans.join(","))).unwrap();
        first.highest = 3_000;
        store.write(move |connection: &mut Connection| insert_seal(connection, &first)).await.unwrap();
        tamper(&store, "DELETE FROM outbox; UPDATE audit SET row_id = 3001 WHERE row_id = 1").await;

        let second = store.read(Reach::Scan, next).await.unwrap().unwrap();

        assert_eq!((second.rows(), second.awaited), (1, seals::Awaited::default()));
    });
}
