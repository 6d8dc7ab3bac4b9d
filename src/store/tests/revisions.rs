//! New states of resources that come together, on PostgreSQL.

use super::*;
use crate::scim::schema::{Registry, ResourceType};
use crate::store::glance::{self, Glance, Whose};
use crate::store::resources::StoredText;
use crate::store::revisions::{self, Recorded, Revision};
use crate::store::tenants::SeenTenant;

/// A user as somebody reads it who is about to write, in its edition; one that is not there in none that anything has.
fn read(c: &mut Connection, row_id: i64) -> Result<(StoredText, i64)> {
    let glance = Glance { tenant_id: 1, resource_type: "User", with_groups: true, for_write: true, named: Vec::new() };
    let look_up = LookUp { glance, whose: Whose::Id(format!("id-{row_id}")) };
    let mut seen = glance::together(c, &[&look_up])?.pop().flatten().expect("seen");
    let Some(stored) = seen.resources.pop() else { return Ok((nobody(row_id), 0)) };
    let (_, edition) = seen.for_write(1, user()).expect("in an edition");
    Ok((stored, edition))
}

fn nobody(row_id: i64) -> StoredText {
    let at = at("2026-03-01T09:30:00").and_utc();
    let meta = Meta { created: at, last_modified: at, version: 1 };
    let (id, document) = (format!("id-{row_id}"), r#"{"userName":"x","title":"t"}"#.to_owned());
    StoredText { row_id, id, resource_type: "User".to_owned(), document, meta, name: None, deleted: None }
}

fn user() -> &'static ResourceType {
    Registry::builtin().resource_type("User").unwrap()
}

/// Whether each of two users gets another title.
fn retitled(c: &mut Connection, row_ids: [i64; 2]) -> Result<Vec<bool>> {
    let user = user();
    let [one, other] = [read(c, row_ids[0])?, read(c, row_ids[1])?];
    let revision = |(before, edition): (StoredText, i64)| {
        let documents = [before.document.clone(), before.document.replace("title\":\"t", "title\":\"new ")];
        let [old, new] = documents.map(|text| Document::from_json(&text).unwrap());
        Revision::of(user, (before, edition), [&old, &new], at("2026-03-02T09:30:00").and_utc()).unwrap()
    };
    let revisions = [one, other].map(revision);
    let change_of = |revision: &Revision| {
        let after = revision.after();
        written(Operation::Modify, &after.id, after.meta.last_modified, after.meta.version)
    };
    let written = revisions.each_ref().map(change_of);
    let revised = [0, 1].map(|at| Recorded { revision: &revisions[at], written: Some(&written[at]) });
    let tenant = SeenTenant::of(1, ("{}".to_owned(), "{}".to_owned(), None), user)?;
    Ok(revisions::write(c, &tenant, &revised, Operation::Modify)?.expect("the tenant is as it was"))
}

/// A plan is kept from a store that was empty, or small.
#[test]
fn a_resource_and_its_values_are_found_by_their_keys_whatever_the_store_was_at_first() {
    for (number, gather) in
        [(0, "SELECT 1"), (5, "SELECT 1"), (1000, "SELECT 1"), (5, "ANALYZE"), (60, "ANALYZE"), (1000, "ANALYZE")]
    {
        on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
            if !postgres {
                return;
            }
            let fill = format!(
                "INSERT INTO resources (row_id, tenant_id, id, resource_type, unique_key, active, document, version, created_at, \
                 modified_at) SELECT n, 1, 'id-' || n, 'User', 'user-' || n, TRUE, \
                 '{{\"userName\":\"user-' || n || '\",\"title\":\"t\"}}', 1, '2026-03-01 09:30:00', \
                 '2026-03-01 09:30:00' FROM generate_series(1, {number}) n; \
                 INSERT INTO resource_values (tenant_path, key, row_id, element, tail) \
                 SELECT path(1 title), 't', n, 0, '' FROM generate_series(1, {number}) n; \
                 UPDATE tenants SET schemas = '{{}}', settings = '{{}}'"
            );
            store.write(move |c| Ok(c.batch_execute(&with_paths(&fill))?)).await.unwrap();
            store.write(move |c| Ok(c.batch_execute(gather)?)).await.unwrap();
            let work = |c: &mut Connection| {
                let retitled = retitled(c, [3, 7])?;
                Ok((retitled, plans(c, "WITH t AS MATERIALIZED (SELECT set_config")?))
            };

            let (retitled, plans) = store.write(work).await.unwrap();

            assert_eq!(retitled, [number >= 3, number >= 7]);
            let [plan] = plans.as_slice() else { panic!("{plans:?}") };
            assert!(plan.contains("Index Scan using resources_pkey on resources r"), "{number}:\n{plan}");
            assert!(plan.contains("using resource_values_pkey on resource_values r"), "{number}:\n{plan}");
            let whole_key = "Index Cond: ((tenant_path = v.tenant_path) AND (key = (v.key)::text) AND (row_id = v.row_id) AND (element = v.element))";
            assert!(plan.contains(whole_key), "{number}:\n{plan}");
        });
    }
}
