//! A resource is given back the state of a time: what it had then, as one change of the operator's.

use chrono::{DateTime, Utc};
use scimd::provider::Restored;
use scimd::scim::schema::Registry;
use scimd::scim::{ErrorKind, resource::format_instant};
use scimd::store::audit::{self, Operation};
use scimd::store::{Connection, Reach};
use serde_json::{Value, json};

use crate::harness::{Api, Lasting, each, run};
use crate::messages::*;
use crate::past::{configured_provider, devices, id_of, moment, see, type_of};
use crate::restore::{operators_call, provider};

fn outcome(api: &Api, resource: &Value, at: DateTime<Utc>) -> scimd::scim::Result<Restored> {
    let resource_type = Registry::builtin().resource_type(type_of(resource)).unwrap();
    run(async {
        Ok(provider(api).restore(operators_call(api), resource_type, id_of(resource).to_owned(), Some(at)).await)
    })
}

fn restored(api: &Api, resource: &Value, at: DateTime<Utc>) -> Restored {
    outcome(api, resource, at).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(api: &Api, resource: &Value, at: DateTime<Utc>) -> (ErrorKind, String) {
    let error = outcome(api, resource, at).expect_err("it can't be");
    (error.kind(), error.detail().to_owned())
}

fn last_change(api: &Api, resource: &Value) -> audit::Entry {
    let (tenant_id, id) = (api.tenant_id, id_of(resource).to_owned());
    let kind = type_of(resource).to_owned();
    let read = move |connection: &mut Connection| audit::entries(connection, tenant_id, &kind, &id, None, 1);
    run(api.store.read(Reach::Scan, read)).pop().unwrap()
}

fn own(api: &Api, resource: &Value) -> (Value, Vec<String>) {
    let own = see(api, resource).expect("it is live");
    (own.attributes, own.members.into_iter().collect())
}

#[test]
fn a_live_resource_has_the_attributes_and_members_of_then() {
    each(|api| {
        let [ines, omar, mira] = ["ines", "omar", "mira"].map(|name| api.created("/Users", &user(name)));
        let changed = user_with("ines", json!({"title": "Guide", "emails": [{"value": "i@x.org"}]}));
        assert_eq!(api.put(&path_of(&ines), &changed).status, 200);
        let team = api.created("/Groups", &group("Team", &[&ines, &omar]));
        let then = [own(api, &ines), own(api, &team)];
        let at = moment();
        assert_eq!(api.put(&path_of(&ines), &user_with("inessa", json!({"nickName": "I"}))).status, 200);
        assert_eq!(api.put(&path_of(&team), &group("Crew", &[&omar, &mira])).status, 200);

        let outcomes = [restored(api, &ines, at), restored(api, &team, at)];

        assert_eq!([own(api, &ines), own(api, &team)], then);
        for outcome in &outcomes {
            assert!(outcome.changed && outcome.left.is_empty() && outcome.unresolved.is_empty(), "{outcome:?}");
        }
        let change = last_change(api, &team);
        assert_eq!((change.operation, change.caller.as_str()), (Operation::Replace, "operator"));
        assert_eq!(change.changes["members"], json!({"added": [ines["id"]], "removed": [mira["id"]]}));
        assert_eq!(change.changes["stateOf"], json!(format_instant(at)));
        assert_eq!(found(api, "/Users", "userName eq \"ines\" and title eq \"Guide\""), ["ines"]);
        assert_eq!(values(&api.get(&path_of(&ines)).json(), "groups"), ids(&[&team]));

        let version = api.get(&path_of(&ines)).json()["meta"]["version"].clone();
        assert!(!restored(api, &ines, at).changed, "it is as it was");
        assert_eq!(api.get(&path_of(&ines)).json()["meta"]["version"], version);
    });
}

#[test]
fn a_deleted_resource_comes_back_as_it_was_then() {
    each(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"title": "Guide"})));
        let omar = api.created("/Users", &user("omar"));
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let at = moment();
        assert_eq!(api.put(&path_of(&ines), &user("inessa")).status, 200);
        assert_eq!(api.put(&path_of(&team), &group("Crew", &[&ines, &omar])).status, 200);
        for resource in [&ines, &team] {
            assert_eq!(api.delete(&path_of(resource)).status, 204);
        }

        let outcome = restored(api, &team, at);
        assert_eq!(outcome.unresolved, [id_of(&ines)], "nobody has this id yet");
        restored(api, &ines, at);

        assert_eq!(own(api, &ines).0, json!({"userName": "ines", "title": "Guide", "active": true}));
        assert_eq!(api.get(&path_of(&team)).json()["displayName"], json!("Team"));
        assert_eq!(values(&api.get(&path_of(&team)).json(), "members"), ids(&[&ines]));
        assert_eq!(last_change(api, &ines).operation, Operation::Restore);
        let told = crate::past::state_at(&provider(api), api, &ines, moment()).unwrap().map(crate::past::own_of_past);
        assert_eq!(told.unwrap(), see(api, &ines), "the history goes on");
    });
}

#[test]
fn a_deleted_user_comes_back_to_the_groups_that_it_was_in() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let at = moment();
        let team = api.created("/Groups", &group("Team", &[&ines]));
        assert_eq!(api.delete(&path_of(&ines)).status, 204);

        restored(api, &ines, at);

        assert_eq!(values(&api.get(&path_of(&team)).json(), "members"), ids(&[&ines]));
    });
}

#[test]
fn what_can_not_be_is_refused_and_nothing_is_changed() {
    each(|api| {
        let before = moment();
        let ines = api.created("/Users", &user_with("ines", json!({"title": "Guide"})));
        let at = moment();
        assert_eq!(api.put(&path_of(&ines), &user("inessa")).status, 200);
        let other = api.created("/Users", &user("INES"));
        let now = own(api, &ines);

        let (kind, sentence) = refused(api, &ines, at);
        assert_eq!((kind, sentence.as_str()), (ErrorKind::Uniqueness, "userName 'ines' is already in use."));
        assert_eq!(refused(api, &ines, before).0, ErrorKind::NotFound);
        assert_eq!(refused(api, &ines, Utc::now() + chrono::Duration::hours(1)).0, ErrorKind::InvalidValue);
        assert_eq!(own(api, &ines), now);

        assert_eq!(api.delete(&path_of(&other)).status, 204);
        let while_deleted = moment();
        crate::restore::restore(api, "User", id_of(&other));
        let (kind, sentence) = refused(api, &other, while_deleted);
        assert_eq!(kind, ErrorKind::NotFound);
        assert!(sentence.contains("it had been deleted at"), "{sentence}");
        let nobody = json!({"id": NOBODY, "meta": {"resourceType": "User"}});
        assert_eq!(refused(api, &nobody, at).0, ErrorKind::NotFound);
    });
}

#[test]
fn a_manager_who_is_deleted_by_now_is_left_out_and_named() {
    each(|api| {
        let boss = api.created("/Users", &user("boss"));
        let manager = json!({"title": "Guide", ENTERPRISE: {"manager": {"value": boss["id"]}}});
        let ines = api.created("/Users", &user_with("ines", manager));
        let at = moment();
        assert_eq!(api.put(&path_of(&ines), &user("ines")).status, 200);
        assert_eq!(api.delete(&path_of(&boss)).status, 204);

        let outcome = restored(api, &ines, at);

        assert_eq!(
            outcome.left.iter().map(|left| left.what.as_str()).collect::<Vec<_>>(),
            [format!("{ENTERPRISE}:manager")]
        );
        assert_eq!(own(api, &ines).0, json!({"userName": "ines", "active": true, "title": "Guide"}));
    });
}

/// A manager whose deletion somebody's own has kept out of sight.
#[test]
fn a_deleted_report_comes_back_to_no_deleted_manager() {
    each(|api| {
        let boss = api.created("/Users", &user("boss"));
        let manager = json!({ENTERPRISE: {"manager": {"value": boss["id"]}}});
        let ines = api.created("/Users", &user_with("ines", manager));
        let at = moment();
        for gone in [&ines, &boss] {
            assert_eq!(api.delete(&path_of(gone)).status, 204);
        }

        let outcome = restored(api, &ines, at);

        assert_eq!(outcome.left.len(), 1, "{outcome:?}");
        assert_eq!(own(api, &ines).0, json!({"userName": "ines", "active": true}));
        crate::restore::restore(api, "User", id_of(&boss));
        assert_eq!(own(api, &ines).0[ENTERPRISE]["manager"]["value"], boss["id"]);
    });
}

#[test]
fn a_password_that_was_changed_is_left_and_named() {
    crate::harness::each_with_passwords(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"password": "t1meTravel!"})));
        let at = moment();
        assert_eq!(api.put(&path_of(&ines), &user_with("ines", json!({"title": "Guide"}))).status, 200);
        let left = || -> Vec<String> {
            let provider = crate::restore::provider_of(api, Registry::with_passwords());
            let resource_type = provider.registry().resource_type("User").unwrap();
            let outcome = run(provider.restore(operators_call(api), resource_type, id_of(&ines).to_owned(), Some(at)));
            outcome.left.into_iter().map(|left| left.what).collect()
        };
        assert_eq!(left(), Vec::<String>::new(), "nobody has touched it");
        let other = patch(json!([{"op": "replace", "path": "password", "value": "second-One!"}]));
        assert!(matches!(api.patch(&path_of(&ines), &other).status, 200 | 204));
        assert_eq!(left(), ["password"]);
        assert_eq!(api.delete(&path_of(&ines)).status, 204);
        assert_eq!(left(), ["password"]);
    });
}

#[test]
fn what_the_history_or_the_schemas_do_not_have_is_left_and_named() {
    Lasting::each(|lasting| {
        let text = |name: &str| json!({"name": name, "type": "string"});
        let required = json!({"name": "owner", "type": "string", "required": true});
        let secret = json!({"name": "pin", "type": "string", "returned": "never"});
        let first = devices(json!([text("serial"), text("note"), secret]));
        let second = devices(json!([text("serial"), secret]));
        let third = devices(json!([text("serial"), secret, required]));
        const DEVICE: &str = crate::past::DEVICE;
        let api = lasting.serve(&first).unwrap();
        let device = api.created("/Devices", &json!({"schemas": [DEVICE], "serial": "1", "note": "n", "pin": "1234"}));
        let at = moment();
        let api = lasting.serve(&second).unwrap();
        let changed = json!({"schemas": [DEVICE], "serial": "2", "pin": "5678"});
        assert_eq!(api.put(&path_of(&device), &changed).status, 200);
        let outcome = |api: &Api, objects: &Value| {
            let provider = configured_provider(api, objects);
            let resource_type = provider.registry().resource_type("Device").unwrap();
            let id = id_of(&device).to_owned();
            run(async { Ok(provider.restore(operators_call(api), resource_type, id, Some(at)).await) })
        };

        let left = outcome(&api, &second).unwrap().left;

        assert_eq!(left.iter().map(|left| left.what.as_str()).collect::<Vec<_>>(), ["note", "pin"]);
        assert_eq!(api.get(&path_of(&device)).json()["serial"], json!("1"));
        let api = lasting.serve(&third).unwrap();
        let owned = json!({"schemas": [DEVICE], "serial": "3", "owner": "ines"});
        assert_eq!(api.put(&path_of(&device), &owned).status, 200);
        let refusal = outcome(&api, &third).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::InvalidValue);
        assert!(refusal.detail().ends_with("owner is required."), "{}", refusal.detail());
        assert_eq!(api.get(&path_of(&device)).json()["serial"], json!("3"));
    });
}
