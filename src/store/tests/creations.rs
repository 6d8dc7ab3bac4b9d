//! New resources that come together, on PostgreSQL.

use super::*;
use crate::scim::schema::Registry;
use crate::store::audit::{Changes, Operation, Record, Written};
use crate::store::creations::{self, Inserted};

fn new(id: &str, name: &str) -> NewResource {
    let user = Registry::builtin().resource_type("User").unwrap();
    let document = Document::from_json(&format!(r#"{{"userName":"{name}"}}"#)).unwrap();
    NewResource::of(user, id.to_owned(), document, at("2026-03-01T09:30:00").and_utc())
}

fn written(new: &NewResource) -> Written {
    let record = Record {
        tenant_id: 1,
        at: new.meta().created,
        caller: "test",
        request_id: "",
        operation: Operation::Create,
        resource_type: "User",
        resource_id: new.id(),
        version: 1,
        changes: &Changes::default(),
    };
    Written::of(&record).unwrap()
}

/// Makes two users; who of them succeeds whom.
fn made(c: &mut Connection, round: usize) -> Result<Vec<(String, String)>> {
    let new = ["key-1", "nobody"].map(|name| new(&format!("{round}-{name}"), &format!("{name}-{round}")));
    let written = [0, 1].map(|at| written(&new[at]));
    let stored = creations::insert(c, 1, &new.iter().collect::<Vec<_>>())?;
    let inserted = [0, 1].map(|at| {
        let row_id = stored[at].as_ref().expect("a free name").row_id;
        Inserted { new: &new[at], row_id, written: &written[at] }
    });
    creations::complete(c, 1, &inserted)
}

/// A plan is kept from a store that was empty, or small.
#[test]
fn whoever_succeeds_somebody_is_found_by_name_whatever_the_store_was_at_first() {
    for buried in [0, 5, 1000] {
        on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
            if !postgres {
                return;
            }
            let bury = format!(
                "INSERT INTO resources (tenant_id, id, resource_type, unique_key, active, document, version, created_at, \
                 modified_at, deleted_at) SELECT 1, 'old-' || n, 'User', 'key-1-' || n, FALSE, repeat('x', 700), 1, now(), \
                 now(), now() FROM generate_series(1, {buried}) n"
            );
            store.write(move |c| Ok(c.batch_execute(&bury)?)).await.unwrap();
            let work = |c: &mut Connection| {
                let succeeding = made(c, 3)?;
                Ok((succeeding, plans(c, "WITH given AS ")?, plans(c, "WITH t AS ")?))
            };

            let (succeeding, complete, insert) = store.write(work).await.unwrap();

            let expected = ("3-key-1".to_owned(), "old-3".to_owned());
            assert_eq!(succeeding, if buried >= 3 { vec![expected] } else { Vec::new() });
            let [complete] = complete.as_slice() else { panic!("{complete:?}") };
            let by_name = complete.contains("Index Scan Backward using resources_buried_key on resources r");
            assert!(by_name && complete.matches("on resources").count() == 1, "{buried} buried:\n{complete}");
            let [insert] = insert.as_slice() else { panic!("{insert:?}") };
            assert!(insert.contains("Index Scan using tenants_pkey on tenants t"), "{insert}");
        });
    }
}
