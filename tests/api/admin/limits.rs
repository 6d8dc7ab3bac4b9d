//! Limits of a tenant: one more is refused, exactly, and nothing else changes.

use std::sync::Barrier;

use scimd::scim::ErrorKind;
use serde_json::{Value, json};

use super::{admin, asked, tenant_of};
use crate::harness::{Api, each, run};
use crate::messages::*;
use crate::restore::restored;
use crate::transfer::{ask, written_by_hand};

fn limit(api: &Api, limits: Value) {
    asked(&admin(api), "PATCH", &format!("/tenants/{}", tenant_of(api)), Some(&limits));
}

#[test]
fn one_more_than_the_limit_is_refused_and_there_is_room_again_after_a_deletion() {
    each(|api| {
        limit(api, json!({"maxUsers": 2, "maxGroups": 0}));
        let mira = api.created("/Users", &user("mira"));
        api.created("/Users", &user("ines"));

        let refused = api.post("/Users", &user("otto"));
        assert_eq!(refused.header("www-authenticate"), None, "another key would not help");
        let detail = assert_error(&refused, 403, None);
        assert!(detail.contains("User") && detail.contains('2'), "{detail}");
        assert_error(&api.post("/Groups", &group("Team", &[])), 403, None);
        assert_eq!(names_at(api, "/Users").len(), 2);
        let change = patch(json!([{"op": "replace", "path": "active", "value": false}]));
        assert_eq!(api.patch(&path_of(&mira), &change).status, 200, "what is there can be changed");
        assert_error(&api.post("/Users", &user("ines")), 409, Some("uniqueness"));

        assert_eq!(api.delete(&path_of(&mira)).status, 204);
        api.created("/Users", &user("otto"));
        limit(api, json!({"maxUsers": 1}));
        assert_eq!(names_at(api, "/Users").len(), 2, "a lower limit takes nothing away");
        assert_error(&api.post("/Users", &user("mira")), 403, None);
        limit(api, json!({"maxUsers": null}));
        api.created("/Users", &user("mira"));
        assert_error(&api.post("/Groups", &group("Team", &[])), 403, None);
    });
}

/// Okta assigns a person again this way.
#[test]
fn whoever_was_disabled_comes_back_without_being_one_more() {
    each(|api| {
        let mira = api.created("/Users", &user_with("mira", json!({"externalId": "1", "active": false})));
        limit(api, json!({"maxUsers": 1}));

        let again = api.created("/Users", &user_with("mira", json!({"externalId": "1", "active": true})));

        assert_eq!((&again["id"], &again["active"]), (&mira["id"], &json!(true)));
    });
}

#[test]
fn the_limit_is_exact_however_many_come_at_once() {
    each(|api| {
        limit(api, json!({"maxUsers": 5}));
        let barrier = Barrier::new(12);

        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..12)
                .map(|number| {
                    let (barrier, client) = (&barrier, api.connection());
                    scope.spawn(move || {
                        let body = user(&format!("user{number}"));
                        barrier.wait();
                        client.call(&api.token, "POST", "/Users", Some(&body)).unwrap().status
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });

        let count = |status: u16| statuses.iter().filter(|one| **one == status).count();
        assert_eq!((count(201), count(403)), (5, 7), "{statuses:?}");
        assert_eq!(names_at(api, "/Users").len(), 5);
    });
}

#[test]
fn in_a_bulk_request_each_operation_is_held_to_the_limit() {
    each(|api| {
        limit(api, json!({"maxUsers": 1}));
        let operation = |number: usize| json!({"method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": user(&format!("user{number}"))});
        let schemas = json!(["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]);
        let answer = api.post("/Bulk", &json!({"schemas": schemas, "Operations": [operation(0), operation(1)]})).json();

        let statuses: Vec<&Value> = answer["Operations"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, [&json!("201"), &json!("403")], "{answer}");
        assert_eq!(names_at(api, "/Users").len(), 1);
    });
}

#[test]
fn a_restored_resource_needs_room_as_well() {
    each(|api| {
        let mira = api.created("/Users", &user("mira"));
        assert_eq!(api.delete(&path_of(&mira)).status, 204);
        api.created("/Users", &user("ines"));
        limit(api, json!({"maxUsers": 1}));

        let restore = || run(async { Ok(restored(api, "User", mira["id"].as_str().unwrap()).await) });
        let refused = restore();

        assert_eq!(refused.expect_err("there is no room").kind(), ErrorKind::LimitReached);
        limit(api, json!({"maxUsers": 2}));
        restore().expect("there is room");
        assert_eq!(names_at(api, "/Users").len(), 2);
    });
}

#[test]
fn an_import_is_held_to_the_limit_as_a_whole() {
    each(|api| {
        limit(api, json!({"maxUsers": 2, "maxGroups": 0}));
        api.created("/Users", &user("mira"));
        let path = format!("/tenants/{}/import", tenant_of(api));
        let import = |names: &[&str]| {
            let of = |name: &&str| json!({"schemas": [USER], "id": uuid::Uuid::now_v7().to_string(), "userName": name});
            let file = written_by_hand(&names.iter().map(of).collect::<Vec<Value>>());
            ask(&admin(api), "POST", &path, "application/x-ndjson", &file)
        };

        let refused = import(&["ines", "otto"]);

        assert_error(&refused, 403, None);
        assert_eq!(names_at(api, "/Users"), ["mira"], "all of it or nothing");
        assert_eq!(import(&["ines"]).status, 200);
        assert_eq!(names_at(api, "/Users").len(), 2);
    });
}
