//! `scimd audit` and `purge`: the history looked through, proven, and parted with.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use scimd::store::{Connection, Settings, Store};
use serde_json::{Value, json};

use super::support::http::Client;
use super::{Server, Workplace, on_each_database, text};

/// Does something with the database of a workplace itself.
fn on_database<T: Send + 'static>(
    workplace: &Workplace,
    work: impl Fn(&mut Connection) -> scimd::scim::Result<T> + Send + Sync + 'static,
) -> T {
    let file = workplace.directory.path().join(".local/share/scimd/scimd.db");
    let url = workplace.postgres.clone().unwrap_or_else(|| format!("sqlite:{}", file.display()));
    let store = Store::open(&Settings::new(url.parse().unwrap())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(store.write(work)).unwrap();
    store.close();
    outcome
}

fn count(workplace: &Workplace, sql: &'static str) -> i64 {
    on_database(workplace, move |connection| {
        Ok(diesel::RunQueryDsl::get_result(diesel::dsl::sql::<diesel::sql_types::BigInt>(sql), connection)?)
    })
}

/// Runs statements on the database of a workplace, as somebody does who has it to himself.
fn tamper(workplace: &Workplace, sql: &'static str) {
    on_database(workplace, move |connection| {
        let freed = match connection {
            Connection::Postgres(_) => "ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE seals DISABLE TRIGGER USER",
            Connection::Sqlite(_) => {
                "DROP TRIGGER IF EXISTS audit_update; DROP TRIGGER IF EXISTS audit_delete; \
                 DROP TRIGGER IF EXISTS seals_update; DROP TRIGGER IF EXISTS seals_delete"
            }
        };
        connection.batch_execute(freed)?;
        Ok(connection.batch_execute(sql)?)
    });
}

/// A server, and what calls it with a key that may write.
fn serve(workplace: &Workplace) -> (Server, String, impl Fn(&str, &str, Value) -> Value) {
    let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim_end().to_owned();
    let (server, address) = Server::start(workplace, &["serve"]);
    let client = Client::new(&address);
    let call = move |method: &str, path: &str, body: Value| {
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = client.call(&token, method, &format!("/scim/v2{path}"), body).unwrap();
        assert!(answer.status < 300, "{}", answer.text());
        if answer.status == 204 { Value::Null } else { answer.json() }
    };
    (server, address, call)
}

fn id_of(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_log_tells_a_head_that_proves_the_history_later() {
    on_each_database(|workplace| {
        let (server, _, call) = serve(workplace);
        for name in ["ada", "ben"] {
            call("POST", "/Users", json!({"userName": name}));
        }
        server.terminate();
        // The key, and two users. At the start there was the key alone.
        let line = server.line_with("changes=3");
        let hash = line.split("hash=").nth(1).unwrap().trim_matches('"').to_owned();
        assert_eq!(server.exit_code(), Some(0));
        assert!(line.contains("the history is sealed"), "{line}");

        let proven = workplace.succeed(&["audit", "verify", "--expect", &hash]);
        assert!(proven.starts_with("intact: 3 changes, of which 0 erased\nhead: seal "), "{proven}");
        let verdict = workplace.json(&["audit", "verify", "--json"]);
        assert_eq!((&verdict["intact"], &verdict["open"]), (&json!(true), &json!(0)));
        assert_eq!(verdict["head"]["hash"], *hash);

        // Whoever cuts the end off leaves a chain that is whole in itself.
        tamper(workplace, "DELETE FROM outbox; DELETE FROM audit WHERE row_id = 3; DELETE FROM seals");
        assert!(workplace.succeed(&["audit", "verify"]).starts_with("intact: 2 changes"));
        let output = workplace.run(&["audit", "verify", "--expect", &hash]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("The expected head is not part of the chain"), "{output:?}");
        assert!(workplace.fail(&["audit", "verify", "--expect", "beef"]).contains("64 hexadecimal digits"));
    });
}

#[test]
fn a_history_that_was_changed_is_told_with_the_first_row_and_an_exit_code() {
    on_each_database(|workplace| {
        let (server, _, call) = serve(workplace);
        let ids: Vec<String> =
            ["ada", "ben", "cai"].map(|name| id_of(&call("POST", "/Users", json!({"userName": name})))).to_vec();
        assert_eq!(server.stop(), Some(0));
        tamper(
            workplace,
            "UPDATE audit SET caller = 'nobody' WHERE row_id = 3; DELETE FROM outbox; DELETE FROM audit WHERE row_id = 4",
        );

        let output = workplace.run(&["audit", "verify"]);
        let as_json = workplace.run(&["audit", "verify", "--json"]);

        assert_eq!((output.status.code(), as_json.status.code()), (Some(1), Some(1)));
        assert!(text(&output.stdout).starts_with("broken: "), "{output:?}");
        let sentence = text(&output.stderr);
        let row = |rest: &str| format!("User {}) {rest}", ids[1]);
        assert!(sentence.contains("error: The history is not as it was written. Row 3 (20"), "{sentence}");
        assert!(sentence.contains(&row("is not what was sealed. 2 things are wrong in all")), "{sentence}");
        assert!(sentence.contains("does not refuse to rewrite the history: audit_update, audit_delete"), "{sentence}");
        let verdict: Value = serde_json::from_slice(&as_json.stdout).unwrap();
        let faults: Vec<(&Value, &Value)> =
            verdict["faults"].as_array().unwrap().iter().map(|fault| (&fault["wrong"], &fault["row"])).collect();
        assert_eq!(faults, [(&json!("changed"), &json!(3)), (&json!("missing"), &json!(4))]);
        assert_eq!(verdict["faults"][0]["id"], ids[1]);
    });
}

/// From inside a chain does not tell that its end was cut off; a server that has seen the end does.
#[test]
fn a_running_server_misses_what_is_cut_off() {
    on_each_database(|workplace| {
        let (server, _, call) = serve(workplace);
        call("POST", "/Users", json!({"userName": "ada"}));
        // The server seals the key when it starts, and the user when it looks again.
        let deadline = Instant::now() + Duration::from_secs(20);
        while count(workplace, "SELECT coalesce(max(total), 0) FROM seals") < 2 {
            assert!(Instant::now() < deadline, "nobody seals");
            std::thread::sleep(Duration::from_millis(100));
        }
        tamper(workplace, "DELETE FROM outbox; DELETE FROM audit WHERE resource_type = 'User'; DELETE FROM seals");

        let line = server.line_with("is gone or made anew");

        assert!(line.contains("ERROR") && line.contains("hash="), "{line}");
        assert_eq!(server.stop(), Some(0));
    });
}

/// What lists show and the chain does not have.
#[test]
fn a_row_that_was_put_in_before_all_others_is_told() {
    on_each_database(|workplace| {
        workplace.succeed(&["tenant", "create", "acme"]);
        workplace.succeed(&["audit", "verify"]);
        tamper(
            workplace,
            "INSERT INTO audit (row_id, tenant_id, at, caller, request_id, operation, resource_type, resource_id, version, \
             changes, salt, digest) SELECT -1, tenant_id, at, 'nobody', request_id, operation, resource_type, resource_id, \
             version, changes, salt, digest FROM audit",
        );
        assert!(workplace.succeed(&["audit", "list", "--tenant", "acme"]).contains("nobody"));

        let output = workplace.run(&["audit", "verify"]);

        assert_eq!(output.status.code(), Some(1));
        assert!(
            text(&output.stderr).contains("Row -1 (20") && text(&output.stderr).contains("was put in"),
            "{output:?}"
        );
    });
}

#[test]
fn changes_are_listed_by_key_time_and_kind() {
    on_each_database(|workplace| {
        let (server, _, call) = serve(workplace);
        let ada = id_of(&call("POST", "/Users", json!({"userName": "ada"})));
        let ben = id_of(&call("POST", "/Users", json!({"userName": "ben"})));
        call("DELETE", &format!("/Users/{ada}"), Value::Null);
        workplace.succeed(&["user", "restore", &ada]);
        assert_eq!(server.stop(), Some(0));

        let all = workplace.json(&["audit", "list", "--json"]);
        let seen = |list: &Value| -> Vec<(String, String)> {
            let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
            let users = list.as_array().unwrap().iter().filter(|item| item["resourceType"] == "User");
            users.map(|item| (text(item, "operation"), text(item, "id"))).collect()
        };
        let pairs = |expected: &[(&str, &String)]| -> Vec<(String, String)> {
            expected.iter().map(|(operation, id)| ((*operation).to_owned(), (*id).clone())).collect()
        };
        let every = [("restore", &ada), ("delete", &ada), ("create", &ben), ("create", &ada)];
        assert_eq!(seen(&all), pairs(&every));
        assert_eq!(all[3]["changes"]["after"]["userName"], "ada");
        let by_operator = workplace.json(&["audit", "list", "--key", "operator", "--json"]);
        assert_eq!(seen(&by_operator), pairs(&every[..1]));
        let since = all[2]["at"].as_str().unwrap();
        let created = workplace.json(&["audit", "list", "--since", since, "--operation", "create", "--json"]);
        assert_eq!(seen(&created), pairs(&every[2..3]));
        let until = workplace.json(&["audit", "list", "--until", since, "--resource", &ada, "--json"]);
        assert_eq!(seen(&until), pairs(&every[3..]));
        assert_eq!(all[4]["resourceType"], "Key", "what operators do is part of the history: {all}");
        assert_eq!((&all[4]["key"], &all[3]["keyName"]), (&json!("operator"), &json!("okta")));
        assert_eq!(workplace.json(&["audit", "list", "--type", "Key", "--json"]), json!([all[4]]));
        let pasted = format!("scimd_{}_secret", all[3]["key"].as_str().unwrap());
        let by_key = workplace.json(&["audit", "list", "--key", &pasted, "--operation", "create", "--json"]);
        assert_eq!(seen(&by_key), pairs(&every[2..]));
        let first = workplace.run(&["audit", "list", "--oldest-first", "--limit", "1", "--resource", &ada]);
        let table = text(&first.stdout);
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(table.contains("create     User") && table.contains(&ada), "{table}");
        assert!(text(&first.stderr).contains("`--limit` shows more"));
        let none = workplace.run(&["audit", "list", "--key", "nobody"]);
        assert_eq!((none.status.code(), text(&none.stdout)), (Some(0), String::new()));
        assert!(workplace.fail(&["audit", "list", "--tenant", "acme"]).contains("`default`"));
    });
}

#[test]
fn a_user_is_purged_beside_the_server_and_what_is_left_says_so() {
    const TRACE: &str = "vanishing-person";
    on_each_database(|workplace| {
        let (server, _, call) = serve(workplace);
        let user = call(
            "POST",
            "/Users",
            json!({"userName": TRACE, "displayName": TRACE, "emails": [{"value": format!("{TRACE}@x.org")}]}),
        );
        let id = id_of(&user);
        let path = format!("/Users/{id}");
        call("PUT", &path, json!({"userName": TRACE, "title": TRACE}));
        assert!(workplace.fail(&["user", "purge", &id, "--yes"]).contains("is not deleted. Delete it first"));
        workplace.succeed(&["key", "create", "--name", TRACE, "--user", &id, "--scope", "me"]);
        call("DELETE", &path, Value::Null);

        let foreseen = workplace.run(&["user", "purge", &id, "--dry-run"]);
        assert!(text(&foreseen.stderr).contains("This would erase the attributes of User"), "{foreseen:?}");
        assert!(text(&foreseen.stderr).contains("what 4 changes in the history said"), "{foreseen:?}");
        let unasked = workplace.fail(&["user", "purge", &id]);
        assert!(unasked.contains("say `--yes`"), "{unasked}");
        assert!(workplace.succeed(&["user", "show", &id]).contains(TRACE), "nothing is done yet");
        let purged = workplace.json(&["user", "purge", &id, "--yes", "--json"]);
        assert_eq!((&purged["changes"], &purged["dryRun"]), (&json!(4), &json!(false)));

        for arguments in [
            &["user", "show", &id][..],
            &["user", "restore", &id],
            &["user", "purge", &id, "--yes"],
            &["user", "show", &id, "--at", "2026-03-01T00:00:00Z"],
        ] {
            let sentence = workplace.fail(arguments);
            assert!(sentence.contains("was purged at 2"), "{arguments:?}: {sentence}");
        }
        assert!(!workplace.succeed(&["key", "list", "--json"]).contains(TRACE));
        let history = workplace.succeed(&["user", "history", &id]);
        assert_eq!(history.matches("what changed is erased").count(), 3, "{history}");
        assert!(history.contains("purge") && history.contains("by operator") && !history.contains(TRACE), "{history}");
        assert_eq!(workplace.json(&["user", "list", "--deleted", "--json"]), json!([]));
        let examined = text(&workplace.run(&["doctor", "--json"]).stdout);
        assert!(!examined.contains(&id), "{examined}");
        let verdict = workplace.json(&["audit", "verify", "--json"]);
        assert_eq!((&verdict["intact"], &verdict["erased"]), (&json!(true), &json!(4)), "{verdict}");
        assert_eq!(call("POST", "/Users", json!({"userName": "somebody.else"}))["userName"], "somebody.else");

        // Not even the files of the database hold anything, while the server still runs.
        let directory = workplace.directory.path().join(".local/share/scimd");
        if workplace.postgres.is_none() {
            for file in std::fs::read_dir(&directory).unwrap() {
                let file = file.unwrap().path();
                let bytes = std::fs::read(&file).unwrap();
                let found = bytes.windows(TRACE.len()).any(|window| window == TRACE.as_bytes());
                assert!(!found, "{}", file.display());
            }
        }
        assert_eq!(server.stop(), Some(0));
    });
}
