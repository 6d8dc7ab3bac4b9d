//! What only a server can do to us: deadlocks, cut connections, transactions that are spoilt.

use diesel::sql_types::Integer;
use diesel_migrations::MigrationHarness;

use super::*;
use crate::scim::resource::Meta;
use crate::scim::schema::{ENTERPRISE_URN, Registry};
use crate::store::integrity::{Flaw, Outcome};
use crate::store::resources::{self as rows, Place};
use crate::store::tenants::TenantSettings;
use crate::store::{load, members};

fn on_postgres<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    on_each_database(|fixture| {
        let test = fixture.postgres.then(|| test(fixture.store));
        async {
            if let Some(test) = test {
                test.await;
            }
        }
    });
}

fn backend_pid(connection: &mut Connection) -> Result<i32> {
    let Connection::Postgres(c) = connection else { panic!("PostgreSQL only") };
    Ok(diesel::select(diesel::dsl::sql::<Integer>("pg_backend_pid()")).get_result(c)?)
}

#[test]
fn a_restart_of_the_server_costs_no_write() {
    on_postgres(|store| async move {
        // Given a pool full of connections that the server has cut off.
        let mut all: Vec<_> = (0..4).map(|_| store.inner.pool.get().unwrap()).collect();
        let pids: Vec<i32> = all.iter_mut().map(|connection| backend_pid(connection).unwrap()).collect();
        drop(all);
        let mut operator = store.inner.connector.open(Purpose::Pool).unwrap();
        for pid in pids {
            operator.batch_execute(&format!("SELECT pg_terminate_backend({pid}, 5000)")).unwrap();
        }

        store.write(|c| insert(c, "one")).await.unwrap();

        assert_eq!(stored(&store).await, ["default", "one"]);
    });
}

#[test]
fn a_question_asked_on_a_connection_that_was_cut_off_is_answered_on_another() {
    on_postgres(|store| async move {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let question = move |c: &mut Connection| {
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                c.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())")?;
            }
            names(c)
        };

        let answer = store.ask(question).await.unwrap();

        assert_eq!((answer.unwrap(), runs.load(Ordering::SeqCst)), (vec!["default".to_owned()], 2));
    });
}

#[test]
fn the_planner_knows_a_large_store_before_there_is_one() {
    on_postgres(|store| async move {
        let explain = |query: &str| format!("EXPLAIN (FORMAT TEXT) {query}");
        let plan = move |c: &mut Connection, query: &str| -> Result<String> {
            #[derive(QueryableByName)]
            struct Step {
                #[diesel(sql_type = diesel::sql_types::Text, column_name = "QUERY PLAN")]
                step: String,
            }
            let Connection::Postgres(c) = c else { panic!("PostgreSQL only") };
            let steps: Vec<Step> = diesel::sql_query(explain(query)).load(c)?;
            Ok(steps.into_iter().map(|step| step.step + "\n").collect())
        };
        let look = move |c: &mut Connection| {
            let by_id = "SELECT * FROM resources WHERE tenant_id = 1 AND deleted_at IS NULL AND resource_type = 'User' AND id = 'x'";
            let by_value = "SELECT * FROM resources WHERE tenant_id = 1 AND deleted_at IS NULL AND resource_type = 'User' \
                            AND row_id IN (SELECT row_id FROM resource_values WHERE tenant_path = 2147483700 AND key = 'x') \
                            ORDER BY row_id LIMIT 101";
            Ok([plan(c, by_id)?, plan(c, by_value)?])
        };

        let [by_id, by_value] = store.read(Reach::Point, look).await.unwrap();

        assert!(by_id.contains("resources_id"), "{by_id}");
        assert!(by_value.contains("Nested Loop") && by_value.contains("resource_values_pkey"), "{by_value}");
        let left = |c: &mut Connection| Ok(resources::table.count().get_result::<i64>(c)?);
        assert_eq!(store.read(Reach::Point, left).await.unwrap(), 0, "nothing of the made-up store is left");
    });
}

#[test]
fn a_connection_lost_within_a_write_is_nobodys_loss() {
    on_postgres(|store| async move {
        let mut runs = 0;
        let runs = store
            .write(move |c| {
                runs += 1;
                insert(c, "one")?;
                if runs == 1 {
                    c.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())")?;
                }
                Ok(runs)
            })
            .await
            .unwrap();

        assert_eq!((runs, stored(&store).await.len()), (2, 2));
    });
}

#[test]
fn deadlocks_are_resolved_by_running_again() {
    on_postgres(|store| async move {
        store.write(|c| insert(c, "a").and_then(|()| insert(c, "b"))).await.unwrap();
        let together = Arc::new(std::sync::Barrier::new(2));
        let writes = [["a", "b"], ["b", "a"]].map(|order| {
            let (store, together) = (store.clone(), Arc::clone(&together));
            let mut first_run = true;
            let work = move |c: &mut Connection| {
                for name in order {
                    let row = tenants_table::table.filter(tenants_table::name.eq(name));
                    diesel::update(row).set(tenants_table::settings.eq(order[0])).execute(c)?;
                    if std::mem::take(&mut first_run) {
                        together.wait();
                    }
                }
                Ok(())
            };
            tokio::spawn(async move { store.write(work).await })
        });

        for write in writes {
            write.await.unwrap().unwrap();
        }
    });
}

/// A store with a second tenant, whose writes are told soon to come again, and somebody who keeps the first tenant to
/// himself.
fn held_tenant(settings: &Settings) -> (Store, Connection) {
    let store = migrated(&Settings { busy_timeout: Duration::from_millis(200), ..settings.clone() });
    let mut other = store.inner.connector.open(Purpose::Writer).unwrap();
    insert(&mut other, "acme").unwrap();
    let mut holder = store.inner.connector.open(Purpose::Writer).unwrap();
    holder.begin_write(Duration::ZERO).unwrap();
    tenants::hold(&mut holder, 1).unwrap();
    (store, holder)
}

fn on_postgres_settings<F: Future<Output = ()>>(test: impl Fn(Settings) -> F) {
    on_each_url(|settings| {
        if !settings.database_url.has_single_writer() {
            run(test(settings));
        }
    });
}

#[test]
fn who_waits_for_a_tenant_keeps_nobody_else_waiting() {
    on_postgres_settings(|settings| async move {
        let (store, mut holder) = held_tenant(&settings);
        let acme = store.read(Reach::Point, |c| tenants::find_by_name(c, "acme")).await.unwrap().unwrap().tenant_id;
        // Many more than there are connections.
        let mut writes = Vec::new();
        for _ in 0..32 {
            writes.push(queued(&store, |c| tenants::settings(c, 1)).await);
        }

        let (read, other) =
            (store.read(Reach::Scan, names).await, store.write(move |c| tenants::settings(c, acme)).await);

        assert_eq!(read.unwrap(), ["acme", "default"]);
        assert!(other.is_ok(), "{other:?}");
        for write in writes {
            assert_eq!(write.await.unwrap().unwrap_err().kind(), ErrorKind::Busy);
        }
        assert_eq!(store.write(|c| tenants::settings(c, 99)).await.unwrap_err().kind(), ErrorKind::NotFound);
        holder.commit().unwrap();
        assert!(store.write(|c| tenants::settings(c, 1)).await.is_ok());
    });
}

#[test]
fn a_tenant_that_is_free_soon_is_waited_for() {
    on_postgres_settings(|settings| async move {
        let (_, mut holder) = held_tenant(&settings);
        let store = Store::open(&settings).unwrap();
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        let write = queued(&store, move |c| {
            counted.fetch_add(1, Ordering::SeqCst);
            tenants::settings(c, 1)
        })
        .await;
        // The first one has been told that the tenant is held when there is a second one.
        while tries.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }

        holder.commit().unwrap();

        assert!(write.await.unwrap().is_ok());
    });
}

#[test]
fn who_waits_too_long_for_a_row_is_told_to_come_again() {
    on_postgres_settings(|settings| async move {
        let (store, mut holder) = held_tenant(&settings);
        let rename = |c: &mut Connection| tenants::rename(c, 1, "one");
        rename(&mut holder).unwrap();

        let refused = store.write(rename).await.unwrap_err();

        assert_eq!(refused.kind(), ErrorKind::Busy);
        holder.rollback().unwrap();
        store.write(rename).await.unwrap();
    });
}

#[test]
fn migrations_beside_a_server_that_writes_wait_for_it_and_it_for_them() {
    on_each_url(|settings| {
        if settings.database_url.has_single_writer() {
            return;
        }
        // Given the tables of the first migration, and a change that has looked at its tenant.
        let store = Store::open(&settings).unwrap();
        let mut server = store.inner.connector.open(Purpose::Writer).unwrap();
        let Connection::Postgres(c) = &mut server else { panic!("PostgreSQL only") };
        c.run_next_migration(migrations::POSTGRES).unwrap();
        server.begin_write(Duration::ZERO).unwrap();
        server.batch_execute("SELECT settings FROM tenants WHERE tenant_id = 1 FOR SHARE").unwrap();

        let migrating = std::thread::spawn({
            let store = store.clone();
            move || store.migrate()
        });
        let mut operator = store.inner.connector.open(Purpose::Pool).unwrap();
        let waits = "SELECT 1 FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0 \
                     AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'tenants'::regclass AND NOT granted)";
        while !migrating.is_finished() && diesel::sql_query(waits).execute(&mut operator).unwrap() == 0 {
            std::thread::yield_now();
        }
        resource(&mut server, "1", "User", None, "{}").unwrap();
        server.commit().unwrap();

        assert!(!migrating.join().unwrap().unwrap().is_empty());
    });
}

#[test]
fn a_swallowed_failure_does_not_pass_as_a_commit() {
    on_postgres(|store| async move {
        let outcome = store
            .write(|c| {
                insert(c, "one")?;
                drop(insert(c, "one"));
                Ok(())
            })
            .await;

        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Internal);
        store.write(|c| insert(c, "two")).await.unwrap();
        assert_eq!(stored(&store).await, ["default", "two"]);
    });
}

#[test]
fn equal_internal_names_run_again_instead_of_blaming_the_client() {
    on_postgres(|store| async move {
        let mut runs = 0;
        let runs = store
            .write(move |c| {
                runs += 1;
                resource(c, "1", "Group", Some("crew"), "{}")?;
                resource(c, "2", "Group", Some(if runs == 1 { "crew" } else { "crew_2" }), "{}")?;
                Ok(runs)
            })
            .await
            .unwrap();

        assert_eq!(runs, 2);
    });
}

fn place(resource_type: &str) -> Place {
    let resource_type = Registry::builtin().resource_type(resource_type).unwrap();
    Place { tenant_id: 1, settings: TenantSettings::default(), resource_type }
}

/// A live group, and a deleted user of the id `ines`; their rows.
fn group_and_deleted_user(store: &Store) -> (i64, i64) {
    let mut c = store.inner.connector.open(Purpose::Writer).unwrap();
    let now = at("2026-03-01T09:30:00").and_utc();
    c.begin_write(Duration::ZERO).unwrap();
    let team = Document::from_json(r#"{"displayName":"Team"}"#).unwrap();
    let team = insert_resource(&mut c, place("Group"), "team", team, now).unwrap();
    let ines = Document::from_json(r#"{"userName":"ines"}"#).unwrap();
    let ines = insert_resource(&mut c, place("User"), "ines", ines, now).unwrap();
    rows::bury(&mut c, place("User"), &ines, "test", now).unwrap();
    c.commit().unwrap();
    (team.row_id, ines.row_id)
}

/// What restoring the user does to her rows and to the group that names her, up to the end of the transaction.
fn restore(c: &mut Connection) {
    let mut ines = rows::lock_buried(c, 1, "User", "ines").unwrap().unwrap();
    let document = ines.document.clone();
    rows::unbury(c, place("User"), &mut ines, document, at("2026-03-02T09:30:00").and_utc()).unwrap();
    members::resolve_pending(c, 1, "ines", ines.row_id).unwrap();
}

/// What making her a member does to the rows of the group, up to the end of the transaction.
fn join(c: &mut Connection, team: i64) {
    match members::resolve(c, 1, &["ines"]).unwrap().get("ines") {
        Some(ines) => drop(members::add(c, team, &[ines.row_id]).unwrap()),
        None => drop(members::add_unresolved(c, team, &["ines"]).unwrap()),
    }
}

/// Runs a transaction beside another one that is open; the other one ends as soon as this one waits for it or has ended.
fn beside(store: &Store, mut open: Connection, work: impl FnOnce(&mut Connection) + Send) {
    let mut second = store.inner.connector.open(Purpose::Writer).unwrap();
    let pid = backend_pid(&mut second).unwrap();
    let mut operator = store.inner.connector.open(Purpose::Pool).unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(move || {
            second.begin_write(Duration::ZERO).unwrap();
            work(&mut second);
            second.commit().unwrap();
        });
        let waits = format!("SELECT 1 WHERE cardinality(pg_blocking_pids({pid})) > 0");
        while !second.is_finished() && diesel::sql_query(&waits).execute(&mut operator).unwrap() == 0 {
            std::thread::yield_now();
        }
        open.commit().unwrap();
    });
}

#[test]
fn del_07_who_is_named_while_being_restored_is_a_member_once() {
    on_each_url(|settings| {
        if settings.database_url.has_single_writer() {
            return;
        }
        for restored_first in [true, false] {
            let store = migrated(&settings);
            let (team, ines) = group_and_deleted_user(&store);
            let mut first = store.inner.connector.open(Purpose::Writer).unwrap();
            first.begin_write(Duration::ZERO).unwrap();

            if restored_first {
                restore(&mut first);
                beside(&store, first, |c| join(c, team));
            } else {
                join(&mut first, team);
                beside(&store, first, restore);
            }

            let mut c = store.inner.connector.open(Purpose::Pool).unwrap();
            let listed = members::of_groups(&mut c, &[team]).unwrap().remove(&team).unwrap();
            let live = members::ids(&mut c, team).unwrap()["ines"];
            assert_eq!((listed.len(), live), (1, Some(ines)), "restored first: {restored_first}");
            c.batch_execute("TRUNCATE resources CASCADE").unwrap();
        }
    });
}

#[test]
fn two_who_restore_her_at_once_both_find_her() {
    on_postgres_settings(|settings| async move {
        let store = migrated(&settings);
        group_and_deleted_user(&store);
        let mut first = store.inner.connector.open(Purpose::Writer).unwrap();
        first.begin_write(Duration::ZERO).unwrap();
        restore(&mut first);

        let (found, second) = mpsc::channel();
        beside(&store, first, |c| found.send(rows::lock_any(c, 1, "User", "ines").unwrap()).unwrap());

        let ines = second.recv().unwrap().unwrap();
        assert!(ines.deleted.is_none(), "she is live by now");
    });
}

#[test]
fn an_import_keeps_nobody_from_adding_one_before_its_end_and_the_limit_is_exact() {
    on_postgres_settings(|settings| async move {
        let store = migrated(&settings);
        let limits = TenantSettings { max_users: Some(2), ..TenantSettings::default() };
        let users = Place { settings: limits, ..place("User") };
        let now = at("2026-03-01T09:30:00").and_utc();
        let named = |id: &str| Document::from_json(&serde_json::json!({"userName": id}).to_string()).unwrap();
        let arrival = |id: &str| load::Arrival {
            place: users,
            id: id.to_owned(),
            document: named(id),
            meta: Meta { created: now, last_modified: now, version: 1 },
            name: None,
            deleted: None,
            withheld: None,
            password_hash: None,
        };
        let begun = || {
            let mut connection = store.inner.connector.open(Purpose::Writer).unwrap();
            connection.begin_write(Duration::ZERO).unwrap();
            connection
        };
        let (mut import, mut other) = (begun(), begun());

        load::insert(&mut import, &[arrival("one"), arrival("two")]).unwrap();
        insert_resource(&mut other, users, "three", named("three"), now).unwrap();
        other.commit().unwrap();
        let refused = load::hold_to_limit(&mut import, users).unwrap_err();

        assert_eq!(refused.kind(), ErrorKind::LimitReached);
        import.rollback().unwrap();

        // From there on everybody waits, and counts what it has brought.
        let mut import = begun();
        load::insert(&mut import, &[arrival("one")]).unwrap();
        load::hold_to_limit(&mut import, users).unwrap();
        beside(&store, import, |c| {
            let refused = insert_resource(c, users, "four", named("four"), now).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::LimitReached);
        });
    });
}

#[test]
fn a_repair_waits_for_whoever_keeps_what_is_to_be_mended() {
    on_postgres_settings(|settings| async move {
        let store = migrated(&Settings { busy_timeout: Duration::from_millis(200), ..settings });
        group_and_deleted_user(&store);
        let mut holder = store.inner.connector.open(Purpose::Writer).unwrap();
        holder.batch_execute("UPDATE resources SET external_id = 'x' WHERE id = 'team'").unwrap();
        let pid = backend_pid(&mut holder).unwrap();
        holder.begin_write(Duration::ZERO).unwrap();
        rows::lock(&mut holder, 1, "Group", "team").unwrap().unwrap();
        let mut operator = store.inner.connector.open(Purpose::Pool).unwrap();
        let waits = format!("SELECT 1 FROM pg_locks WHERE NOT granted AND {pid} = ANY(pg_blocking_pids(pid))");
        let mut is_waited_for = || diesel::sql_query(&waits).execute(&mut operator).unwrap() > 0;

        let repair = std::thread::spawn(move || {
            let (mut mended, now) = (0, at("2026-03-02T12:00:00").and_utc());
            let tell = |_: Flaw, outcome: Option<Outcome>| mended += u32::from(outcome == Some(Outcome::Mended));
            run(store.inspect(Registry::builtin(), now, true, (), tell)).map(|_| mended)
        });
        // Until the first attempt has given up.
        while !repair.is_finished() && !is_waited_for() {
            std::thread::yield_now();
        }
        while is_waited_for() {
            std::thread::yield_now();
        }
        holder.rollback().unwrap();

        assert!(repair.join().unwrap().unwrap() > 0);
    });
}

/// What her deletion does to her rows, up to the end of the transaction.
fn delete(c: &mut Connection) {
    let ines = rows::lock_for_deletion(c, 1, "User", "ines").unwrap().unwrap();
    rows::bury(c, place("User"), &ines, "test", at("2026-03-02T09:30:00").and_utc()).unwrap();
    members::forget(c, ines.row_id).unwrap();
}

/// What an import of a group that lists her does, up to the end of the transaction.
fn import_member(c: &mut Connection, team: i64) {
    load::name_members(c, [(team, "ines")]).unwrap();
    load::join(c, 1, &["User", "Group"], &[team]).unwrap();
}

#[test]
fn who_is_deleted_while_an_import_names_her_is_no_member() {
    on_each_url(|settings| {
        if settings.database_url.has_single_writer() {
            return;
        }
        for deleted_first in [true, false] {
            // Given a group that an import brings, and a user who is there.
            let store = migrated(&settings);
            let (team, ines) = group_and_deleted_user(&store);
            let mut first = store.inner.connector.open(Purpose::Writer).unwrap();
            first.begin_write(Duration::ZERO).unwrap();
            restore(&mut first);
            first.commit().unwrap();
            first.begin_write(Duration::ZERO).unwrap();

            if deleted_first {
                delete(&mut first);
                beside(&store, first, |c| import_member(c, team));
            } else {
                import_member(&mut first, team);
                beside(&store, first, delete);
            }

            // The one waits for the other, so she is no member; the id stays where the import came last.
            let mut c = store.inner.connector.open(Purpose::Pool).unwrap();
            let listed = members::ids(&mut c, team).unwrap();
            let expected = if deleted_first { Some(&None) } else { None };
            assert_eq!(listed.get("ines"), expected, "deleted first: {deleted_first}");
            let rows_of_hers = format!("SELECT 1 FROM group_members WHERE member_row_id = {ines}");
            assert_eq!(diesel::sql_query(rows_of_hers).execute(&mut c).unwrap(), 0);
            c.batch_execute("TRUNCATE resources CASCADE").unwrap();
        }
    });
}

/// A user who reports to another one.
fn report(manager: &str) -> Document {
    let report = serde_json::json!({"userName": "report", ENTERPRISE_URN: {"manager": {"value": manager}}});
    Document::from_json(&report.to_string()).unwrap()
}

#[test]
fn ent_02_a_deletion_that_waited_for_a_new_manager_leaves_that_one() {
    on_each_url(|settings| {
        if settings.database_url.has_single_writer() {
            return;
        }
        let store = migrated(&settings);
        let mut first = store.inner.connector.open(Purpose::Writer).unwrap();
        let now = at("2026-03-01T09:30:00").and_utc();
        first.begin_write(Duration::ZERO).unwrap();
        insert_resource(&mut first, place("User"), "report", report("old"), now).unwrap();
        first.commit().unwrap();

        first.begin_write(Duration::ZERO).unwrap();
        let mut stored = rows::lock(&mut first, 1, "User", "report").unwrap().unwrap();
        rows::replace(&mut first, place("User"), &mut stored, report("new"), now).unwrap();
        let reference = place("User").resource_type.reference().unwrap();
        let (found, referring) = mpsc::channel();
        beside(&store, first, |c| {
            found.send(rows::lock_referring(c, place("User"), reference, "old").unwrap()).unwrap();
        });

        assert!(referring.recv().unwrap().is_empty(), "the report has another manager by now");
    });
}
