//! New resources that come together, on PostgreSQL.

use super::*;
use crate::scim::schema::Registry;
use crate::store::creations::{self, New};
use crate::store::tenants::TenantsSeen;

fn new(id: &str, name: &str) -> NewResource {
    let user = Registry::builtin().resource_type("User").unwrap();
    let document = Document::from_json(&format!(r#"{{"userName":"{name}"}}"#)).unwrap();
    NewResource::of(user, id.to_owned(), document, at("2026-03-01T09:30:00").and_utc())
}

fn creation_of(new: &NewResource) -> Written {
    written(Operation::Create, new.id(), new.meta().created, 1)
}

/// Who succeeds whom.
type Succeeding = Vec<(String, String)>;

/// Makes two users; who of them succeeds whom. And then two by one statement; whether each was made.
fn made(c: &mut Connection, round: usize) -> Result<(Succeeding, Vec<bool>)> {
    let users =
        |round: usize| ["key-1", "nobody"].map(|name| new(&format!("{round}-{name}"), &format!("{name}-{round}")));
    let seen = TenantsSeen::default();
    let resources = users(round);
    let written_of = resources.each_ref().map(creation_of);
    let new = [0, 1].map(|at| New { resource: &resources[at], written: &written_of[at] });
    let stored = creations::insert(c, 1, &new, &seen)?;
    let inserted = [0, 1].map(|at| (new[at], stored[at].as_ref().expect("a free name").row_id));
    let succeeding = creations::complete(c, 1, &inserted)?;
    let resources = users(round + 1);
    let written_of = resources.each_ref().map(creation_of);
    let new = [0, 1].map(|at| New { resource: &resources[at], written: &written_of[at] });
    let stored = creations::insert_at_once(c, 1, &new, &seen)?.expect("the tenant is known");
    Ok((succeeding, stored.iter().map(Option::is_some).collect()))
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
                let made = made(c, 3)?;
                let insertion = plans(c, "WITH t AS MATERIALIZED (SELECT t.")?;
                let at_once = plans(c, "WITH t AS MATERIALIZED (SELECT set_config")?;
                Ok((made, plans(c, "WITH given AS ")?, insertion, at_once))
            };

            let ((succeeding, made), complete, insert, at_once) = store.write(work).await.unwrap();

            let expected = ("3-key-1".to_owned(), "old-3".to_owned());
            assert_eq!(succeeding, if buried >= 3 { vec![expected] } else { Vec::new() });
            let [complete] = complete.as_slice() else { panic!("{complete:?}") };
            let by_name = complete.contains("Index Scan Backward using resources_buried_key on resources r");
            assert!(by_name && complete.matches("on resources").count() == 1, "{buried} buried:\n{complete}");
            let [insert] = insert.as_slice() else { panic!("{insert:?}") };
            assert!(insert.contains("Index Scan using tenants_pkey on tenants t"), "{insert}");
            assert_eq!(made, [buried < 4, true]);
            let [at_once] = at_once.as_slice() else { panic!("{at_once:?}") };
            assert!(at_once.contains("Index Scan using tenants_pkey on tenants t"), "{at_once}");
            assert!(at_once.contains("using resources_buried_key on resources r"), "{at_once}");
        });
    }
}
