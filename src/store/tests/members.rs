//! How memberships are written and counted, few and many at a time.

use serde_json::json;

use super::*;
use crate::scim::schema::Registry;
use crate::store::members;
use crate::store::resources::Place;
use crate::store::tenants::TenantSettings;

/// The rows of so many groups, whose names begin alike.
fn groups(c: &mut Connection, prefix: &str, count: usize) -> Result<Vec<i64>> {
    let resource_type = Registry::builtin().resource_type("Group").unwrap();
    let place = Place { tenant_id: 1, settings: TenantSettings::default(), resource_type };
    let now = at("2026-03-01T09:30:00").and_utc();
    let insert = |number: usize| {
        let id = format!("{prefix}-{number}");
        let document = Document::from_json(&json!({"displayName": id}).to_string()).unwrap();
        insert_resource(c, place, &id, document, now).map(|stored| stored.row_id)
    };
    (0..count).map(insert).collect()
}

#[test]
fn a_group_exceeds_a_number_of_members_whatever_its_neighbours_have() {
    on_each_database(|Fixture { store, .. }| async move {
        let exceeds = store
            .write(|c| {
                // Given a group of 60 members and 3 unresolved ones, and one of two members on each side of it.
                let rows = groups(c, "group", 63)?;
                let [before, group, after] = rows[..3] else { return Err(Error::internal("three groups")) };
                members::add(c, before, &rows[1..3])?;
                members::add(c, group, &rows[3..])?;
                members::add_unresolved(c, group, &["x", "y", "z"])?;
                members::add(c, after, &rows[..2])?;
                let mut exceeds = Vec::new();
                for (row, most) in
                    [(group, 10), (group, 59), (group, 62), (group, 63), (before, 1), (before, 2), (after, 2)]
                {
                    exceeds.push(members::exceed(c, row, most)?);
                }
                Ok(exceeds)
            })
            .await
            .unwrap();

        assert_eq!(exceeds, [true, true, true, false, true, false, false]);
    });
}

#[test]
fn few_members_and_many_come_and_go_alike() {
    on_each_database(|Fixture { store, .. }| async move {
        for count in [1, 3, 40] {
            let (unresolved, came, went, left) = store
                .write(move |c| {
                    let rows = groups(c, &format!("team {count}"), count + 1)?;
                    let (group, all) = (rows[0], &rows[1..]);
                    let others = &all[1..];
                    members::add_unresolved(c, group, &["x", "y"])?;
                    let came = [members::add(c, group, others)?.len(), members::add(c, group, all)?.len()];
                    let went = [members::remove(c, group, others)?.len(), members::remove(c, group, others)?.len()];
                    let unresolved = members::remove_unresolved(c, group, &["y", "z"])?;
                    Ok((unresolved, came, went, members::count(c, group)?))
                })
                .await
                .unwrap();

            assert_eq!((came, went, left), ([count - 1, 1], [count - 1, 0], (1, 1)), "{count}");
            assert_eq!(unresolved, ["y"], "{count}");
        }
    });
}
