//! What happens to the groups of a tenant when the rule of their names changes.

use serde_json::json;

use super::*;
use crate::scim::schema::Registry;
use crate::store::resources::{self as rows, PIECE, Place};
use crate::store::tenants::{GroupNames, TenantSettings};

fn place(group_names: GroupNames) -> Place {
    let resource_type = Registry::builtin().resource_type("Group").unwrap();
    Place { tenant_id: 1, settings: TenantSettings { group_names, ..TenantSettings::default() }, resource_type }
}

fn group(c: &mut Connection, rule: GroupNames, number: i64, name: &str) -> Result<()> {
    let document = json!({"displayName": name, "externalId": number.to_string()});
    let document = Document::from_json(&document.to_string()).unwrap();
    let now = at("2026-03-01T09:30:00").and_utc();
    insert_resource(c, place(rule), &format!("group-{number}"), document, now).map(drop)
}

#[test]
fn grp_08_a_new_rule_holds_for_every_group_however_many_there_are() {
    on_each_database(|Fixture { store, .. }| async move {
        // Given more groups than are looked at together, the last two with one name.
        let (last, twin) = (PIECE + 1, PIECE + 2);
        let fill = move |c: &mut Connection| {
            (1..=last).try_for_each(|number| group(c, GroupNames::ByExternalId, number, &format!("Team {number}")))?;
            group(c, GroupNames::ByExternalId, twin, &format!("Team {last}"))
        };
        store.write(fill).await.unwrap();

        let clash = store.write(|c| rows::rekey_groups(c, place(GroupNames::Unique))).await.unwrap_err();
        let free = store.write(|c| rows::rekey_groups(c, place(GroupNames::Free))).await;
        let bury = move |c: &mut Connection| {
            let twin = rows::lock(c, 1, "Group", &format!("group-{twin}"))?.unwrap();
            rows::bury(c, place(GroupNames::Free), &twin, "test", at("2026-03-01T09:30:00").and_utc())
        };
        store.write(bury).await.unwrap();
        store.write(|c| rows::rekey_groups(c, place(GroupNames::Unique))).await.unwrap();
        let same = move |c: &mut Connection| group(c, GroupNames::Unique, 0, &format!("TEAM {last}"));
        let taken = store.write(same).await.unwrap_err();

        assert_eq!((clash.kind(), taken.kind()), (ErrorKind::Uniqueness, ErrorKind::Uniqueness));
        assert!(clash.detail().contains(&format!("Team {last}")), "{}", clash.detail());
        free.unwrap();
    });
}
