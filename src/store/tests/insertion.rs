//! A new resource that is refused, or fails, leaves nothing: SQLite is told not to take back its statements by itself.

use super::*;
use crate::scim::schema::Registry;
use crate::store::sql::Sql;
use crate::store::tenants::TenantSettings;

fn insert(connection: &mut Connection, id: &str, user_name: &str) -> Result<StoredResource> {
    let resource_type = Registry::builtin().resource_type("User").expect("a built-in type");
    let place = Place { tenant_id: 1, settings: TenantSettings::default(), resource_type };
    let document = format!(r#"{{"userName":"{user_name}","title":"x","displayName":"Zoe","active":true}}"#);
    let document = Document::from_json(&document).expect("a document");
    insert_resource(connection, place, id, document, at("2026-03-01T09:30:00").and_utc())
}

fn number(connection: &mut Connection, select: &'static str) -> Result<i64> {
    Ok(Sql::<diesel::sql_types::BigInt>::new(select).get_result(connection)?)
}

/// Whoever was refused and has written nothing makes nobody in the same commit run again.
#[test]
fn a_refused_insertion_has_written_nothing() {
    on_each_database(|Fixture { store, postgres }| async move {
        if postgres {
            // There the statement takes itself back, and the transaction with it.
            return;
        }
        let work = |c: &mut Connection| {
            insert(c, "ann", "ann")?;
            let before = number(c, "SELECT total_changes()")?;
            let refusal = insert(c, "other", "Ann").expect_err("the name is taken");
            assert_eq!(refusal.kind(), ErrorKind::Uniqueness);
            assert_eq!(number(c, "SELECT total_changes()")?, before);
            Ok(())
        };

        store.write(work).await.expect("the first one stays");

        let live = |c: &mut Connection| number(c, "SELECT sum(live) FROM live_totals");
        assert_eq!(store.read(Reach::Point, live).await.expect("counted"), 1);
    });
}

/// Spoils the index: it has a value of a row to come already, the last one of several.
async fn spoil(store: &Store, row_id: i64) {
    let others = ["active", "title", "username"].map(path_hash);
    assert!(others.iter().all(|other| *other < path_hash("displayname")));
    let spoil = move |c: &mut Connection| {
        let sql =
            "INSERT INTO resource_values (tenant_path, key, row_id, element) VALUES (path(1 displayname), 'zoe', ";
        Ok(c.batch_execute(&with_paths(&format!("{sql}{row_id}, 0)")))?)
    };
    store.write(spoil).await.expect("spoilt");
}

/// How many rows, indexed rows and counted rows there are.
async fn numbers(store: &Store) -> [i64; 3] {
    let numbers = |c: &mut Connection| {
        Ok([
            number(c, "SELECT count(*) FROM resources")?,
            number(c, "SELECT count(*) FROM resource_values WHERE key = 'true'")?,
            number(c, "SELECT CAST(sum(live) AS BIGINT) FROM live_totals")?,
        ])
    };
    store.read(Reach::Scan, numbers).await.expect("counted")
}

#[test]
fn an_insertion_whose_index_fails_half_way_leaves_no_half() {
    on_each_database(|Fixture { store, .. }| async move {
        let row_id = store.write(|c| Ok(insert(c, "ann", "ann")?.row_id)).await.expect("made");
        spoil(&store, row_id + 1).await;

        store.write(|c| insert(c, "zoe", "zoe").map(drop)).await.expect_err("fails");

        assert_eq!(numbers(&store).await, [1, 1, 1]);
    });
}

#[test]
fn an_insertion_whose_index_fails_half_way_is_undone_beside_its_neighbours() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        spoil(&store, 2).await;
        let (release, _first) = held(&store).await;
        let ann = queued(&store, |c| insert(c, "ann", "ann").map(drop)).await;
        let zoe = queued(&store, |c| insert(c, "zoe", "zoe").map(drop)).await;

        drop(release);

        ann.await.unwrap().expect("the neighbour stays");
        zoe.await.unwrap().expect_err("fails");
        assert_eq!(numbers(&store).await, [1, 1, 1]);
    });
}

#[test]
fn bulk_17_an_insertion_whose_index_fails_half_way_is_undone_by_its_savepoint() {
    on_each_database(|Fixture { store, .. }| async move {
        let row_id = store.write(|c| Ok(insert(c, "ann", "ann")?.row_id)).await.expect("made");
        spoil(&store, row_id + 2).await;
        let work = |c: &mut Connection| {
            insert(c, "bob", "bob")?;
            c.savepoint(|c| insert(c, "zoe", "zoe")).expect_err("fails");
            Ok(())
        };

        store.write(work).await.expect("the rest stays");

        assert_eq!(numbers(&store).await, [2, 2, 2]);
    });
}
