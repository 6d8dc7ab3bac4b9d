//! Requests that arrive together: CRE-08, VER-08, and members that must not get lost.

use std::sync::Barrier;

use serde_json::{Value, json};

use crate::harness::{Api, each, each_strict};
use crate::messages::*;
use crate::support::http::Response;

/// The answers to requests that are sent at the same moment, each on a connection of its own.
fn together(api: &Api, requests: &[(&str, String, Option<&str>, Value)]) -> Vec<Response> {
    let barrier = Barrier::new(requests.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = requests
            .iter()
            .map(|(method, path, if_match, body)| {
                let (barrier, client) = (&barrier, api.connection());
                scope.spawn(move || {
                    let mut headers = vec![("Authorization".to_owned(), format!("Bearer {}", api.token))];
                    headers.extend(if_match.map(|tag| ("If-Match".to_owned(), tag.to_owned())));
                    barrier.wait();
                    client.send(method, path, &headers, Some(body.to_string().as_bytes())).expect("an answer")
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn count(answers: &[Response], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[test]
fn cre_08_one_of_sixteen_creates_of_one_name_succeeds() {
    each(|api| {
        let spelling = |number: usize| if number.is_multiple_of(2) { "ines" } else { "INES" };
        let requests: Vec<_> =
            (0..16).map(|number| ("POST", "/Users".to_owned(), None, user(spelling(number)))).collect();

        let answers = together(api, &requests);

        assert_eq!(count(&answers, 201), 1);
        assert_eq!(count(&answers, 409), 15);
        for refused in answers.iter().filter(|answer| answer.status == 409) {
            assert_error(refused, 409, Some("uniqueness"));
        }
        assert_eq!(names_at(api, "/Users").len(), 1);
    });
}

#[test]
fn grp_08_one_of_eight_creates_of_one_group_succeeds() {
    each(|api| {
        let requests: Vec<_> = (0..8).map(|_| ("POST", "/Groups".to_owned(), None, group("Team", &[]))).collect();

        let answers = together(api, &requests);

        assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 7));
        assert_eq!(names_at(api, "/Groups"), ["Team"]);
    });
}

#[test]
fn ver_08_one_of_two_changes_of_one_version_succeeds() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let version = ines["meta"]["version"].as_str();
        let change = |attribute: &str| {
            let body = patch(json!([{"op": "add", "path": attribute, "value": "changed"}]));
            ("PATCH", path_of(&ines), version, body)
        };

        let answers = together(api, &[change("title"), change("nickName")]);

        assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 1));
        let after = api.get(&path_of(&ines)).json();
        assert_ne!(after.get("title").is_some(), after.get("nickName").is_some());
    });
}

#[test]
fn ver_08_without_a_version_no_change_is_lost() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let attributes = ["title", "nickName", "displayName", "userType", "externalId", "name.givenName"];
        let requests: Vec<_> = attributes
            .iter()
            .map(|attribute| {
                let body = patch(json!([{"op": "add", "path": attribute, "value": "changed"}]));
                ("PATCH", path_of(&ines), None, body)
            })
            .collect();

        let answers = together(api, &requests);

        assert_eq!(count(&answers, 200), attributes.len());
        let after = api.get(&path_of(&ines)).json();
        for attribute in attributes {
            let pointer = format!("/{}", attribute.replace('.', "/"));
            assert_eq!(after.pointer(&pointer), Some(&json!("changed")), "{attribute}");
        }
    });
}

#[test]
fn patch_23_no_member_is_lost_when_many_join_at_once() {
    each(|api| {
        let users: Vec<Value> = (0..32).map(|number| api.created("/Users", &user(&format!("u{number}")))).collect();
        let team = api.created("/Groups", &group("Team", &[]));
        let requests: Vec<_> = users
            .iter()
            .map(|member| {
                let body = patch(json!([{"op": "add", "path": "members", "value": [{"value": member["id"]}]}]));
                ("PATCH", path_of(&team), None, body)
            })
            .collect();

        let answers = together(api, &requests);

        assert_eq!(count(&answers, 200), 32);
        let members = values(&api.get(&path_of(&team)).json(), "members");
        assert_eq!(members, ids(&users.iter().collect::<Vec<_>>()));
    });
}

#[test]
fn del_03_a_member_that_is_deleted_while_it_joins_is_no_member() {
    each(|api| {
        for round in 0..8 {
            let ines = api.created("/Users", &user(&format!("ines{round}")));
            let team = api.created("/Groups", &group(&format!("Team {round}"), &[]));
            let join = patch(json!([{"op": "add", "path": "members", "value": [{"value": ines["id"]}]}]));

            let answers =
                together(api, &[("PATCH", path_of(&team), None, join), ("DELETE", path_of(&ines), None, json!({}))]);

            assert_eq!((answers[0].status, answers[1].status), (200, 204), "{}", answers[0].text());
            // Whoever came second: the id is gone, or unresolved, and never a user with a name.
            let members = assert_resource(&api.get(&path_of(&team)), 200)["members"].clone();
            assert!(members == json!([]) || members == json!([{"value": ines["id"]}]), "{members}");
        }
    });
}

#[test]
fn del_03_a_manager_who_is_deleted_while_being_assigned_is_nobodys_manager() {
    each_strict(|api| {
        for round in 0..8 {
            let boss = api.created("/Users", &user(&format!("boss{round}")));
            let ines = api.created("/Users", &user(&format!("ines{round}")));
            let manager = format!("{ENTERPRISE}:manager");
            let assign = patch(json!([{"op": "add", "path": manager, "value": {"value": boss["id"]}}]));

            let answers =
                together(api, &[("PATCH", path_of(&ines), None, assign), ("DELETE", path_of(&boss), None, json!({}))]);

            assert_eq!(answers[1].status, 204);
            assert!(matches!(answers[0].status, 200 | 400), "{}", answers[0].text());
            assert_eq!(assert_resource(&api.get(&path_of(&ines)), 200).get(ENTERPRISE), None);
        }
    });
}
