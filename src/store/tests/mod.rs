//! The store's two verbs under load, failure and company, on SQLite always and on PostgreSQL when `TEST_DATABASE_URL` is
//! set.

mod backup;
mod copy;
mod creations;
mod group_names;
mod insertion;
mod look_ups;
mod members;
mod postgres;
mod revisions;
mod tables;
mod together;

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::mpsc;
use std::time::Instant;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use tokio::task::JoinHandle;

use super::audit::{Changes, Operation, Record, Written};
use super::connection::{Connection, each_backend};
use super::resources::{NewResource, Place, StoredResource};
use super::schema::{resources, tenants as tenants_table};
use super::writer::LONG_ENOUGH;
use super::*;
use crate::scim::resource::{Document, Meta};
use crate::scim::schema::path_hash;

/// A migrated store of its own for one test.
pub(crate) struct Fixture {
    /// The store.
    pub(crate) store: Store,
    /// Whether it is PostgreSQL.
    pub(crate) postgres: bool,
}

/// Runs a test on each database at hand.
pub(crate) fn on_each_database<F: Future<Output = ()>>(test: impl Fn(Fixture) -> F) {
    on_each_database_as(|settings| settings, test);
}

/// The same with a pool of one connection.
pub(crate) fn on_each_database_with_one_connection<F: Future<Output = ()>>(test: impl Fn(Fixture) -> F) {
    on_each_database_as(|settings| Settings { postgres_connections: 1, readers: 1, ..settings }, test);
}

/// The same with other settings.
pub(crate) fn on_each_database_as<F: Future<Output = ()>>(
    change: impl Fn(Settings) -> Settings,
    test: impl Fn(Fixture) -> F,
) {
    on_each_url(|settings| {
        let postgres = !settings.database_url.has_single_writer();
        let store = migrated(&change(settings));
        run(test(Fixture { store: store.clone(), postgres }));
        store.close();
    });
}

/// What the history says of a change of a user that changes nothing.
fn written(operation: Operation, id: &str, at: DateTime<Utc>, version: i64) -> Written {
    let record = Record {
        tenant_id: 1,
        at,
        caller: "test",
        request_id: "",
        operation,
        resource_type: "User",
        resource_id: id,
        version,
        changes: &Changes::default(),
    };
    Written::of(&record).unwrap()
}

/// Makes a resource.
pub(crate) fn insert_resource(
    connection: &mut Connection,
    place: Place,
    id: &str,
    document: Document,
    at: DateTime<Utc>,
) -> Result<StoredResource> {
    let new = NewResource::of(place.resource_type, id.to_owned(), document.clone(), at);
    Ok(super::resources::insert(connection, place, &new)?.with(document))
}

/// Puts what is no JSON in the place of a document.
pub(crate) fn spoil(connection: &mut Connection, id: &str) -> Result<()> {
    diesel::update(resources::table.filter(resources::id.eq(id)))
        .set(resources::document.eq("x"))
        .execute(connection)?;
    Ok(())
}

/// SQL in which `path(1 title)` stands for where the search index has an attribute of a tenant.
pub(crate) fn with_paths(sql: &str) -> String {
    let mut parts = sql.split("path(");
    let mut with_paths = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (named, rest) = part.split_once(')').unwrap();
        let (tenant_id, path) = named.split_once(' ').unwrap();
        with_paths += &format!("{}{rest}", values::tenant_path(tenant_id.parse().unwrap(), path_hash(path)));
    }
    with_paths
}

/// A time, from `2026-03-01T09:30:00.123`.
pub(crate) fn at(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

fn on_sqlite<F: Future<Output = ()>>(test: impl Fn(Settings) -> F) {
    let directory = tempfile::tempdir().unwrap();
    run(test(Settings::new(DatabaseUrl::Sqlite(directory.path().join("scimd.db")))));
}

fn on_each_url(test: impl Fn(Settings)) {
    static SCHEMAS: AtomicUsize = AtomicUsize::new(0);
    let directory = tempfile::tempdir().unwrap();
    test(Settings::new(DatabaseUrl::Sqlite(directory.path().join("scimd.db"))));
    let Ok(server) = std::env::var("TEST_DATABASE_URL") else { return };

    let schema = format!("store_{}_{}", std::process::id(), SCHEMAS.fetch_add(1, Ordering::Relaxed));
    let connector = Connector { url: server.parse().unwrap(), busy_timeout: Duration::ZERO, as_it_is: false };
    let mut connection = connector.open(Purpose::Pool).unwrap();
    connection.batch_execute(&format!("CREATE SCHEMA {schema}")).unwrap();
    let separator = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{separator}options=-csearch_path%3D{schema}");
    test(Settings { postgres_connections: 4, ..Settings::new(url.parse().unwrap()) });
    connection.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).unwrap();
}

fn migrated(settings: &Settings) -> Store {
    let store = Store::open(settings).unwrap();
    store.migrate().unwrap();
    store
}

fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// Counts what is sent to PostgreSQL from now on; of a store with one connection.
pub(crate) fn statements_of(store: &Store) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let count_queries = move |event: diesel::connection::InstrumentationEvent<'_>| {
        if matches!(event, diesel::connection::InstrumentationEvent::StartQuery { .. }) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    };
    store.inner.pool.get().unwrap().set_instrumentation(count_queries);
    count
}

fn insert(connection: &mut Connection, name: &str) -> Result<()> {
    tenants::insert(connection, name, at("2026-03-01T09:30:00")).map(drop)
}

fn names(connection: &mut Connection) -> Result<Vec<String>> {
    Ok(tenants_table::table.select(tenants_table::name).order(tenants_table::name).load(connection)?)
}

async fn stored(store: &Store) -> Vec<String> {
    store.read(Reach::Point, names).await.unwrap()
}

/// Queues a write and returns once it waits or runs.
async fn queued<T: Send + 'static>(
    store: &Store,
    work: impl FnMut(&mut Connection) -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    let store = store.clone();
    let handle = tokio::spawn(async move { store.write(work).await });
    tokio::task::yield_now().await;
    handle
}

/// Keeps one transaction after the other from beginning, on all connections of the pool that write, until it is dropped.
pub(crate) async fn all_turns_to_write(store: &Store) -> Vec<OwnedSemaphorePermit> {
    let mut turns = Vec::new();
    for _ in 0..store.inner.writes.turns() {
        turns.push(store.inner.writes.turn().await.unwrap());
    }
    turns
}

/// How many wait to write on a connection of the pool, or for others to write with.
pub(crate) fn waiting_writes(store: &Store) -> usize {
    store.inner.writes.waiting()
}

/// What another process does meanwhile, in a transaction that it has not committed.
pub(crate) fn begun_elsewhere(store: &Store, work: impl FnOnce(&mut Connection) -> Result<()>) -> Connection {
    let mut connection = store.inner.connector.open(Purpose::Pool).unwrap();
    connection.begin_write(Duration::ZERO).unwrap();
    work(&mut connection).unwrap();
    connection
}

/// How many wait for a lock that the transaction of this connection has.
pub(crate) fn kept_waiting(connection: &mut Connection) -> i64 {
    run_sql(connection, "SELECT pg_stat_clear_snapshot()").expect("cleared");
    let they_wait = "pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))";
    rows_in(connection, they_wait).expect("a number")
}

/// Statements as they stand.
pub(crate) fn run_sql(connection: &mut Connection, statements: &str) -> Result<()> {
    Ok(connection.batch_execute(statements)?)
}

/// Its end.
pub(crate) fn commit(mut connection: Connection) {
    connection.commit().unwrap();
}

/// How what this connection to PostgreSQL has prepared, and begins with this text, is carried out, whatever its values.
fn plans(connection: &mut Connection, beginning: &str) -> Result<Vec<String>> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        line: String,
    }
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text, column_name = "QUERY PLAN")]
        step: String,
    }
    let Connection::Postgres(c) = connection else { panic!("PostgreSQL only") };
    c.batch_execute("SET LOCAL plan_cache_mode = force_generic_plan")?;
    let prepared = format!(
        "SELECT 'EXPLAIN EXECUTE ' || name || '(' || (SELECT string_agg('NULL', ',') FROM unnest(parameter_types)) || ')' \
         AS line FROM pg_prepared_statements WHERE statement LIKE '{beginning}%' ORDER BY prepare_time"
    );
    let explain: Vec<Line> = diesel::sql_query(prepared).load(c)?;
    let explained = explain.into_iter().map(|explain| {
        let plan: Vec<Step> = diesel::sql_query(explain.line).load(c)?;
        Ok(plan.into_iter().map(|step| step.step + "\n").collect())
    });
    explained.collect()
}

/// How many rows a table has.
pub(crate) fn rows_in(connection: &mut Connection, table: &str) -> Result<i64> {
    #[derive(QueryableByName)]
    struct Rows {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        rows: i64,
    }
    let query = diesel::sql_query(format!("SELECT count(*) AS rows FROM {table}"));
    let counted: Rows = each_backend!(connection, c => query.get_result(c))?;
    Ok(counted.rows)
}

/// Keeps the writer in a work until the sender goes or sends.
pub(crate) async fn held(store: &Store) -> (mpsc::Sender<()>, JoinHandle<Result<()>>) {
    let (release, gate) = mpsc::channel::<()>();
    let (begun, began) = mpsc::channel();
    let handle = queued(store, move |_| {
        begun.send(()).unwrap();
        let _ = gate.recv();
        Ok(())
    })
    .await;
    // Perhaps it has to wait for its turn, which takes this thread.
    while began.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    (release, handle)
}

/// A read that goes on until it is released.
async fn read_at_length(store: &Store) -> (mpsc::Sender<()>, JoinHandle<Result<()>>) {
    let (release, gate) = mpsc::channel::<()>();
    let (begun, began) = mpsc::channel();
    let reader = store.clone();
    let work = move |_: &mut Connection| {
        begun.send(()).unwrap();
        let _ = gate.recv();
        Ok(())
    };
    let long = tokio::spawn(async move { reader.read(Reach::Scan, work).await });
    tokio::task::yield_now().await;
    began.recv().unwrap();
    (release, long)
}

fn resource(
    connection: &mut Connection,
    id: &str,
    resource_type: &str,
    name: Option<&str>,
    document: &str,
) -> Result<i64> {
    let row_id = diesel::insert_into(resources::table)
        .values((
            resources::tenant_id.eq(1),
            resources::id.eq(id),
            resources::resource_type.eq(resource_type),
            resources::name.eq(name),
            resources::external_id.eq(Some("ext")),
            resources::display_name.eq(Some("Shown")),
            resources::active.eq(true),
            resources::document.eq(document),
            resources::version.eq(1),
            resources::created_at.eq(at("2026-03-01T09:30:00.123")),
            resources::modified_at.eq(at("2026-03-01T09:30:00.123")),
        ))
        .returning(resources::row_id)
        .get_result(connection)?;
    Ok(row_id)
}

#[test]
fn writes_that_wait_together_are_committed_together() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let (release, first) = held(&store).await;
        let one = queued(&store, |c| insert(c, "one")).await;
        let two = queued(&store, |c| insert(c, "two")).await;
        let (go_on, gate) = mpsc::channel::<()>();
        let (ran, seen) = mpsc::channel();
        let last = queued(&store, move |c| {
            ran.send(names(c)?).unwrap();
            let _ = gate.recv();
            Ok(())
        })
        .await;

        drop(release);
        first.await.unwrap().unwrap();
        let within = seen.recv().unwrap();
        let before = (stored(&store).await, one.is_finished(), two.is_finished());
        drop(go_on);
        for write in [one, two, last] {
            write.await.unwrap().unwrap();
        }

        assert_eq!(within, ["default", "one", "two"], "both have run");
        assert_eq!(before, (vec!["default".to_owned()], false, false), "and neither is committed or answered");
        assert_eq!(stored(&store).await, ["default", "one", "two"]);
    });
}

#[test]
fn nobody_waits_for_the_works_of_all_who_came_with_him() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let (release, _first) = held(&store).await;
        let slow = |name: &'static str| {
            move |c: &mut Connection| {
                std::thread::sleep(2 * LONG_ENOUGH);
                let before = names(c)?;
                insert(c, name).map(|()| before)
            }
        };
        let one = queued(&store, slow("one")).await;
        let (begun, has_begun) = mpsc::channel();
        let (go_on, gate) = mpsc::channel::<()>();
        let two = queued(&store, move |c| {
            begun.send(()).unwrap();
            let _ = gate.recv();
            insert(c, "two")
        })
        .await;
        let three = queued(&store, slow("three")).await;

        drop(release);
        has_begun.recv().unwrap();
        let first = tokio::time::timeout(PATIENCE, one).await.expect("it waits for nobody else").unwrap().unwrap();
        let stored_first = stored(&store).await;
        drop(go_on);

        assert_eq!((first, stored_first), (vec!["default".to_owned()], vec!["default".to_owned(), "one".to_owned()]));
        two.await.unwrap().unwrap();
        assert_eq!(three.await.unwrap().unwrap(), ["default", "one", "two"], "the others keep their places");
    });
}

#[test]
fn a_failing_work_leaves_its_neighbours_alone() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let (release, _first) = held(&store).await;
        let one = queued(&store, |c| insert(c, "one")).await;
        let refused = queued(&store, |c| {
            insert(c, "half")?;
            c.transaction(|c| insert(c, "one"))
        })
        .await;
        let two = queued(&store, |c| insert(c, "two")).await;

        drop(release);

        one.await.unwrap().unwrap();
        two.await.unwrap().unwrap();
        assert_eq!(refused.await.unwrap().unwrap_err().kind(), ErrorKind::Uniqueness);
        assert_eq!(stored(&store).await, ["default", "one", "two"]);
    });
}

#[test]
fn a_refused_work_that_wrote_nothing_makes_nobody_run_again() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let (release, _first) = held(&store).await;
        let mut runs = 0;
        let one = queued(&store, move |c| {
            runs += 1;
            insert(c, "one").map(|()| runs)
        })
        .await;
        let missing = queued(&store, |_| Err::<(), _>(Error::new(ErrorKind::NotFound, "nobody"))).await;
        let taken = queued(&store, |c| insert(c, "one")).await;
        let two = queued(&store, |c| insert(c, "two")).await;

        drop(release);

        assert_eq!(one.await.unwrap().unwrap(), 1);
        assert_eq!(missing.await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(taken.await.unwrap().unwrap_err().kind(), ErrorKind::Uniqueness);
        two.await.unwrap().unwrap();
        assert_eq!(stored(&store).await, ["default", "one", "two"]);
    });
}

#[test]
fn works_that_fail_one_batch_after_the_other_leave_nothing_behind() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        for round in 0..3 {
            let (release, _first) = held(&store).await;
            let half = queued(&store, |c| insert(c, "half").and_then(|()| Err::<(), _>(error::closed()))).await;
            let whole = queued(&store, move |c| insert(c, &format!("whole {round}"))).await;
            let other = queued(&store, |c| insert(c, "half").and_then(|()| insert(c, "default"))).await;
            drop(release);

            whole.await.unwrap().unwrap();
            assert_eq!(half.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
            assert_eq!(other.await.unwrap().unwrap_err().kind(), ErrorKind::Uniqueness);
        }
        assert_eq!(stored(&store).await, ["default", "whole 0", "whole 1", "whole 2"]);
    });
}

#[test]
fn a_work_that_fails_alone_runs_once() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);

        let refused = store.write(move |c| {
            counted.fetch_add(1, Ordering::SeqCst);
            insert(c, "half").and_then(|()| insert(c, "default"))
        });

        assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Uniqueness);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(stored(&store).await, ["default"]);
    });
}

#[test]
fn a_transaction_that_sqlite_ends_is_the_failure_of_the_work_that_met_it() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        // As SQLite does by itself where the disk is full.
        let ended = |c: &mut Connection| {
            insert(c, "half")?;
            c.batch_execute("ROLLBACK")?;
            Err::<(), _>(Error::new(ErrorKind::Unavailable, "There is no room left."))
        };

        let alone = store.write(ended).await.unwrap_err();
        let (release, _first) = held(&store).await;
        let one = queued(&store, |c| insert(c, "one")).await;
        let full = queued(&store, ended).await;
        let two = queued(&store, |c| insert(c, "two")).await;
        drop(release);

        assert_eq!((alone.kind(), alone.detail()), (ErrorKind::Unavailable, "There is no room left."));
        for write in [one, full, two] {
            let failed = write.await.unwrap().unwrap_err();
            assert_eq!((failed.kind(), failed.detail()), (ErrorKind::Unavailable, alone.detail()));
        }
        assert_eq!(stored(&store).await, ["default"]);
        store.write(|c| insert(c, "after")).await.unwrap();
        assert_eq!(stored(&store).await, ["after", "default"]);
    });
}

#[test]
fn every_size_of_a_pool_has_room_for_look_ups_and_for_writes() {
    for connections in 1..=64 {
        let [reads, scans, writes] = super::shares(connections);
        assert!(scans >= 1 && writes >= 1, "{connections}");
        assert!(connections == 1 || reads > scans, "exports leave room for a look-up: {connections}");
        assert!(connections <= 3 || reads + writes == connections, "{connections}");
    }
}

#[test]
fn bulk_17_what_fails_in_a_savepoint_leaves_the_rest_of_its_transaction_alone() {
    on_each_database(|Fixture { store, .. }| async move {
        let kinds = store
            .write(|c| {
                insert(c, "one")?;
                let inner = c.savepoint(|c| {
                    insert(c, "half")?;
                    c.savepoint(|c| insert(c, "quarter"))?;
                    let taken = c.savepoint(|c| insert(c, "one")).unwrap_err();
                    insert(c, "after")?;
                    Err::<(), _>(taken)
                });
                let outer = c.savepoint(|c| insert(c, "one"));
                c.savepoint(|c| insert(c, "two"))?;
                Ok([inner.unwrap_err().kind(), outer.unwrap_err().kind()])
            })
            .await
            .unwrap();

        assert_eq!(kinds, [ErrorKind::Uniqueness; 2]);
        assert_eq!(stored(&store).await, ["default", "one", "two"]);
    });
}

#[test]
fn bulk_17_a_work_runs_again_as_a_whole_when_a_savepoint_met_another_transaction() {
    on_each_database(|Fixture { store, .. }| async move {
        let mut runs = 0;
        let ran = store
            .write(move |c| {
                runs += 1;
                insert(c, "one")?;
                c.savepoint(|c| {
                    insert(c, "two")?;
                    if runs == 1 { Err(error::again("a deadlock")) } else { Ok(runs) }
                })
            })
            .await
            .unwrap();

        assert_eq!(ran, 2);
        assert_eq!(stored(&store).await, ["default", "one", "two"]);
    });
}

#[test]
fn a_panic_is_contained() {
    on_each_database(|Fixture { store, .. }| async move {
        let write = store
            .write(|c| -> Result<()> {
                insert(c, "half")?;
                c.transaction(|c| {
                    insert(c, "quarter")?;
                    panic!("broken invariant")
                })
            })
            .await;
        let read = store.read(Reach::Point, |_| -> Result<()> { panic!("broken invariant") }).await;
        let scan = store.read(Reach::Scan, |_| -> Result<()> { panic!("broken invariant") }).await;
        store.write(|c| insert(c, "next")).await.unwrap();

        for outcome in [write, read, scan] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Internal);
        }
        assert_eq!(stored(&store).await, ["default", "next"]);
    });
}

#[test]
fn however_a_read_ends_the_next_one_on_its_connection_sees_what_came_since() {
    type Work = fn(&mut Connection) -> Result<()>;
    let ends: [Work; 6] = [
        |c| names(c).map(drop),
        |c| Ok(c.batch_execute("SELECT nothing FROM nowhere")?),
        |c| c.transaction(|c| Ok(c.batch_execute("SELECT nothing FROM nowhere")?)),
        |c| names(c).map(|_| panic!("broken invariant")),
        |c| c.transaction(|c| names(c).map(|_| panic!("broken invariant"))),
        // SQLite does so by itself when it cannot read.
        |c| names(c).and_then(|_| Ok(c.batch_execute("ROLLBACK")?)),
    ];
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        for (at, end) in ends.into_iter().enumerate() {
            let outcome = store.read(Reach::Point, end).await;
            store.write(move |c| insert(c, &format!("after {at}"))).await.unwrap();

            assert_eq!(stored(&store).await.len(), at + 2, "{at}: {outcome:?}");
            assert_eq!((store.pool_use().busy, outcome.is_ok()), (0, matches!(at, 0 | 5)), "{at}: {outcome:?}");
        }
    });
}

#[test]
fn a_connection_whose_read_has_ended_is_in_no_transaction() {
    type Work = fn(&mut Connection);
    let works: [Work; 4] = [
        |_| {},
        |c| drop(names(c)),
        |c| drop(c.batch_execute("SELECT nothing FROM nowhere")),
        |c| c.batch_execute("ROLLBACK").unwrap(),
    ];
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        let mut connection = store.inner.pool.get().unwrap();
        for (at, work) in works.into_iter().enumerate() {
            connection.begin_read().unwrap();
            assert!(connection.begin_read().is_err() && connection.is_spent(), "{at}");
            work(&mut connection);

            let _ = connection.end_read();

            assert!(!connection.is_spent(), "{at}");
        }
    });
}

#[test]
fn readers_do_not_wait_for_the_writer() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let (_release, _first) = held(&store).await;

        let point = stored(&store).await;
        let scan = store.read(Reach::Scan, names).await.unwrap();

        assert_eq!((point.len(), scan.len()), (1, 1));
    });
}

#[test]
fn a_read_sees_one_moment() {
    on_each_database(|Fixture { store, .. }| async move {
        let (go_on, gate) = mpsc::channel::<()>();
        let (looked, first_look) = mpsc::channel();
        let reader = store.clone();
        let read = tokio::spawn(async move {
            let work = move |c: &mut Connection| {
                let before = names(c)?;
                looked.send(()).unwrap();
                let _ = gate.recv();
                Ok((before, names(c)?))
            };
            reader.read(Reach::Scan, work).await.unwrap()
        });
        tokio::task::yield_now().await;
        first_look.recv().unwrap();

        store.write(|c| insert(c, "later")).await.unwrap();
        drop(go_on);

        let (before, after) = read.await.unwrap();
        assert_eq!((before.len(), after.len()), (1, 1));
        assert_eq!(stored(&store).await.len(), 2);
    });
}

/// Runs callers on a thread that has rounds, as an event loop does.
async fn in_rounds<F: Future<Output = ()> + 'static>(store: &Store, callers: impl FnOnce(Store) -> F) {
    // The pool opens its connections in the background; without one a read goes elsewhere.
    drop(store.inner.pool.get().unwrap());
    let (rounds, callers) = (store.rounds(), callers(store.clone()));
    let serve = async move {
        tokio::task::spawn_local(rounds);
        tokio::task::yield_now().await;
        callers.await;
    };
    tokio::task::LocalSet::new().run_until(serve).await;
}

/// Writes while this thread does nothing else.
fn insert_meanwhile(store: &Store, name: &'static str) {
    let store = store.clone();
    std::thread::spawn(move || run(store.write(move |c| insert(c, name)))).join().unwrap().unwrap();
}

#[test]
fn point_reads_that_are_ready_together_see_one_moment() {
    on_sqlite(|settings| async move {
        let (store, other) = (migrated(&settings), Store::open(&settings).unwrap());
        in_rounds(&store, |store| async move {
            let first = stored(&store).await;
            insert_meanwhile(&other, "elsewhere");
            let second = stored(&store).await;
            let busy = store.pool_use().busy;
            tokio::task::yield_now().await;
            let idle = store.pool_use().busy;
            let later = stored(&store).await;

            assert_eq!((first.len(), second.len(), later.len()), (1, 1, 2));
            assert_eq!((busy, idle), (1, 0), "a round ends when nobody else is ready");
        })
        .await;
        assert_eq!(store.pool_use().busy, 0);
    });
}

#[test]
fn whoever_asks_after_an_answer_sees_what_it_told_also_in_a_round() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        in_rounds(&store, |store| async move {
            assert_eq!((stored(&store).await, store.pool_use().busy), (vec!["default".to_owned()], 1));
            insert_meanwhile(&store, "one");
            assert_eq!(stored(&store).await, ["default", "one"]);
        })
        .await;
    });
}

#[test]
fn what_fails_in_a_round_fails_alone() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        in_rounds(&store, |store| async move {
            let refuse = |_: &mut Connection| Err::<(), _>(Error::new(ErrorKind::NotFound, "Nobody."));
            let refused = store.read(Reach::Point, refuse).await.unwrap_err();
            assert_eq!(store.pool_use().busy, 1, "the round goes on");
            let panicked = store.read(Reach::Point, |_| -> Result<()> { panic!("on purpose") }).await.unwrap_err();
            let written = store.read(Reach::Point, |c| insert(c, "one")).await.unwrap_err();

            let kinds = [ErrorKind::NotFound, ErrorKind::Internal, ErrorKind::Unavailable];
            assert_eq!([refused, panicked, written].map(|error| error.kind()), kinds);
            assert_eq!(stored(&store).await, ["default"]);
        })
        .await;
    });
}

#[test]
fn a_read_cannot_write() {
    on_each_database(|Fixture { store, .. }| async move {
        let error = store.read(Reach::Point, |c| insert(c, "one")).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(stored(&store).await, ["default"]);
    });
}

#[test]
fn a_full_queue_is_busy_at_once() {
    on_sqlite(|settings| async move {
        let store = migrated(&Settings { queue_limit: 2, ..settings });
        let (release, _first) = held(&store).await;
        let one = queued(&store, |c| insert(c, "one")).await;
        store.room_for_a_write(0).unwrap();
        let crowded = store.room_for_a_write(1).unwrap_err();
        let two = queued(&store, |c| insert(c, "two")).await;

        let waiting = store.waiting_writes();
        let warned = store.room_for_a_write(0).unwrap_err();
        let refused = store.write(|c| insert(c, "three")).await.unwrap_err();
        drop(release);

        assert_eq!(waiting, 2);
        assert_eq!([crowded, warned, refused].map(|error| error.kind()), [ErrorKind::Busy; 3]);
        one.await.unwrap().unwrap();
        two.await.unwrap().unwrap();
        assert_eq!(stored(&store).await, ["default", "one", "two"]);
    });
}

#[test]
fn a_full_line_for_the_pool_is_busy_at_once_and_those_in_it_are_served() {
    on_each_url(|settings| {
        let store = migrated(&Settings { postgres_connections: 1, readers: 1, queue_limit: 2, ..settings });
        run(async {
            let (release, long) = read_at_length(&store).await;
            let waiting = [0, 1].map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.read(Reach::Scan, names).await })
            });
            tokio::task::yield_now().await;

            let started = Instant::now();
            let refused = store.read(Reach::Scan, names).await.unwrap_err();
            let waited = started.elapsed();
            drop(release);

            assert_eq!(refused.kind(), ErrorKind::Busy);
            assert!(waited < PATIENCE / 2, "{waited:?}");
            for read in waiting {
                assert_eq!(read.await.unwrap().unwrap(), ["default"]);
            }
            long.await.unwrap().unwrap();
        });
    });
}

#[test]
fn a_write_whose_caller_has_gone_before_it_began_is_not_done() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let (release, _first) = held(&store).await;
        let gone = queued(&store, |c| insert(c, "gone")).await;
        gone.abort();
        tokio::task::yield_now().await;

        drop(release);
        store.write(|c| insert(c, "next")).await.unwrap();

        assert_eq!(stored(&store).await, ["default", "next"]);
    });
}

#[test]
fn two_stores_write_to_one_file() {
    on_sqlite(|settings| async move {
        let stores = [migrated(&settings), Store::open(&settings).unwrap()];
        let writes: Vec<_> = (0..2)
            .flat_map(|process| (0..200).map(move |n| (process, n)))
            .map(|(process, n)| {
                let store = stores[process].clone();
                tokio::spawn(async move { store.write(move |c| insert(c, &format!("{process}-{n}"))).await })
            })
            .collect();

        for write in writes {
            write.await.unwrap().unwrap();
        }

        assert_eq!(stored(&stores[0]).await.len(), 401);
    });
}

#[test]
fn a_lock_held_for_too_long_is_busy_and_nothing_is_written() {
    on_sqlite(|settings| async move {
        let store = migrated(&Settings { busy_timeout: Duration::from_millis(30), ..settings.clone() });
        let other = Store::open(&settings).unwrap();
        let (release, held) = held(&other).await;

        let error = store.write(|c| insert(c, "one")).await.unwrap_err();
        drop(release);
        held.await.unwrap().unwrap();
        store.write(|c| insert(c, "two")).await.unwrap();

        assert_eq!(error.kind(), ErrorKind::Busy);
        assert_eq!(stored(&store).await, ["default", "two"]);
    });
}

#[test]
fn a_work_that_met_another_transaction_runs_again() {
    on_each_database(|Fixture { store, .. }| async move {
        let mut runs = 0;
        let second = store
            .write(move |c| {
                runs += 1;
                insert(c, "one")?;
                if runs == 1 { Err(error::again("the name was taken")) } else { Ok(runs) }
            })
            .await
            .unwrap();
        let attempts = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&attempts);
        let never = store
            .write(move |_| -> Result<()> {
                counter.fetch_add(1, Ordering::Relaxed);
                Err(error::again("the name is taken"))
            })
            .await
            .unwrap_err();

        assert_eq!((second, attempts.load(Ordering::Relaxed)), (2, writer::ATTEMPTS));
        assert_eq!(never.kind(), ErrorKind::Busy);
        assert_eq!(stored(&store).await, ["default", "one"]);
    });
}

#[test]
fn closing_finishes_what_waits_and_takes_no_more() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let (release, _first) = held(&store).await;
        let one = queued(&store, |c| insert(c, "one")).await;
        let closing = store.clone();
        let closed = tokio::task::spawn_blocking(move || closing.close());
        while store.inner.check_open().is_ok() {
            tokio::task::yield_now().await;
        }

        drop(release);
        closed.await.unwrap();
        one.await.unwrap().unwrap();

        let late = store.write(|c| insert(c, "late")).await.unwrap_err();
        let read = store.read(Reach::Point, names).await.unwrap_err();
        assert_eq!((late.kind(), read.kind()), (ErrorKind::Unavailable, ErrorKind::Unavailable));
        assert_eq!(stored(&Store::open(&settings).unwrap()).await, ["default", "one"]);
    });
}

#[test]
fn a_pool_in_full_use_is_busy_after_a_while() {
    on_each_url(|settings| {
        let store = migrated(&Settings { postgres_connections: 1, readers: 1, ..settings });
        run(async {
            let (release, long) = read_at_length(&store).await;

            let started = Instant::now();
            let error = store.read(Reach::Scan, names).await.unwrap_err();
            let waited = started.elapsed();
            drop(release);

            assert_eq!(error.kind(), ErrorKind::Busy);
            assert!(waited < PATIENCE * 2, "{waited:?}");
            long.await.unwrap().unwrap();
        });
    });
}
