//! Requests that arrive together: CRE-08, VER-08, and members that must not get lost.

use std::sync::{Barrier, mpsc};

use diesel::prelude::*;
use scimd::scim::Result;
use scimd::store::resources::{self, StoredResource};
use scimd::store::{Connection, tenants};
use serde_json::{Value, json};

use crate::harness::{Api, Database, each, each_strict, run};
use crate::messages::*;
use crate::passwords::rows;
use crate::support::http::Response;
use crate::transfer::{ask, tenant, written_by_hand};

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

/// A transaction on PostgreSQL that keeps a user, or all of a tenant, to itself until it is let go.
struct Keeping {
    pid: i32,
    letting_go: mpsc::Sender<()>,
}

impl Keeping {
    /// `lock` is what it does to the user first.
    fn of<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        api: &'scope Api,
        user: &Value,
        lock: fn(&mut Connection, i64, &str, &str) -> Result<Option<StoredResource>>,
    ) -> Keeping {
        let (tenant_id, id) = (api.tenant_id, user["id"].as_str().unwrap().to_owned());
        Keeping::what(scope, api, move |connection| {
            lock(connection, tenant_id, "User", &id)?.expect("a live user");
            Ok(())
        })
    }

    /// `lock` is what it does first.
    fn what<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        api: &'scope Api,
        lock: impl Fn(&mut Connection) -> Result<()> + Send + 'static,
    ) -> Keeping {
        let (begun, began) = mpsc::channel();
        let (letting_go, gate) = mpsc::channel::<()>();
        let keep = move |connection: &mut Connection| {
            lock(connection)?;
            let Connection::Postgres(postgres) = connection else { panic!("PostgreSQL only") };
            let pid = diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("pg_backend_pid()"));
            begun.send(pid.get_result::<i32>(postgres)?).unwrap();
            let _ = gate.recv();
            Ok(())
        };
        scope.spawn(move || run(api.store.write(keep)));
        Keeping { pid: began.recv().unwrap(), letting_go }
    }

    fn keeps_somebody_waiting(&self, api: &Api) -> bool {
        let blocked = format!(
            "SELECT 'blocked' AS line FROM pg_locks WHERE NOT granted AND {} = ANY(pg_blocking_pids(pid))",
            self.pid
        );
        !rows(api, blocked).is_empty()
    }

    fn let_go(self) {
        self.letting_go.send(()).unwrap();
    }
}

/// SQLite's writes come one after the other.
#[test]
fn del_03_a_user_who_is_enabled_again_waits_for_the_deletion_of_the_manager() {
    let api = &Api::new(Database::Postgres, scimd::scim::Profile::Compat);
    let boss = api.created("/Users", &user("boss"));
    let disabled = json!({"externalId": "e-1", "active": false});
    let ines = api.created("/Users", &user_with("ines", disabled));
    let again = json!({"externalId": "e-1", ENTERPRISE: {"manager": {"value": boss["id"]}}});
    std::thread::scope(|scope| {
        // Given that the name is found to be taken before the manager is being deleted.
        let of_ines = Keeping::of(scope, api, &ines, resources::lock);
        let post = scope.spawn(|| {
            let headers = [("Authorization".to_owned(), format!("Bearer {}", api.token))];
            let body = user_with("ines", again.clone()).to_string();
            api.connection().send("POST", "/Users", &headers, Some(body.as_bytes())).expect("an answer")
        });
        while !of_ines.keeps_somebody_waiting(api) {
            std::thread::yield_now();
        }
        let of_boss = Keeping::of(scope, api, &boss, resources::lock_for_deletion);

        of_ines.let_go();
        while !post.is_finished() && !of_boss.keeps_somebody_waiting(api) {
            std::thread::yield_now();
        }

        assert!(!post.is_finished(), "it refers to somebody who is being deleted");
        of_boss.let_go();
        let enabled = post.join().unwrap();
        assert_eq!((enabled.status, &enabled.json()["id"]), (201, &ines["id"]), "{}", enabled.text());
    });
}

/// As an undo does, or a change of the settings. A write of one resource is told soon to come again; an import has been read
/// for a while by then.
#[test]
fn an_import_waits_for_whoever_keeps_the_tenant_to_himself() {
    let api = &Api::new(Database::Postgres, scimd::scim::Profile::Compat);
    let admin = &api.with_key(api.profile, "admin");
    let path = format!("/tenants/{}/import", tenant(api));
    let ndjson =
        written_by_hand(&[json!({"schemas": [USER], "id": uuid::Uuid::now_v7().to_string(), "userName": "ines"})]);
    for (media_type, file) in [("text/csv", "userName\nmira\n".to_owned()), ("application/x-ndjson", ndjson)] {
        std::thread::scope(|scope| {
            let tenant_id = api.tenant_id;
            let of_tenant = Keeping::what(scope, api, move |connection| tenants::hold(connection, tenant_id));
            let import = scope.spawn(|| ask(admin, "POST", &path, media_type, &file));

            while !import.is_finished() && !of_tenant.keeps_somebody_waiting(api) {
                std::thread::yield_now();
            }

            of_tenant.let_go();
            let imported = import.join().unwrap();
            assert_eq!(imported.status, 200, "{}", imported.text());
        });
    }
    assert_eq!(names_at(api, "/Users").len(), 2);
}
