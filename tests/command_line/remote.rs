//! Commands that ask another server with `--url`.

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::{Server, Workplace, key_id, text};

/// A server with a database of its own, and a workplace elsewhere that knows its URL and an admin key.
pub fn elsewhere(at: &Workplace) -> (Server, Workplace, [String; 4]) {
    let (server, url) = Server::start(at, &["serve"]);
    let key = at.succeed(&["key", "create", "--name", "laptop", "--scope", "admin"]);
    let laptop = Workplace::sqlite();
    let file = laptop.directory.path().join("admin-key");
    std::fs::write(&file, key).unwrap();
    let flags = ["--url".to_owned(), url, "--admin-key-file".to_owned(), file.display().to_string()];
    (server, laptop, flags)
}

/// The arguments and the flags.
pub fn with<'a>(arguments: &[&'a str], flags: &'a [String]) -> Vec<&'a str> {
    arguments.iter().copied().chain(flags.iter().map(String::as_str)).collect()
}

#[test]
fn a_command_does_the_same_from_a_second_machine() {
    for at in [Workplace::sqlite(), Workplace::postgres()] {
        let (_server, laptop, flags) = elsewhere(&at);

        let made = laptop.json(&with(&["tenant", "create", "acme", "--json"], &flags));
        let listed = laptop.json(&with(&["tenant", "list", "--json"], &flags));

        assert_eq!(made["name"], "acme");
        assert_eq!(listed, at.json(&["tenant", "list", "--json"]));
        let names: Vec<&Value> = listed.as_array().unwrap().iter().map(|tenant| &tenant["name"]).collect();
        assert_eq!(names, [&json!("default"), &json!("acme")]);
        assert!(!laptop.directory.path().join(".local").exists(), "a laptop needs no database");
    }
}

#[test]
fn the_history_is_listed_proven_and_erased_from_a_second_machine() {
    for at in [Workplace::sqlite(), Workplace::postgres()] {
        let (_server, laptop, flags) = elsewhere(&at);
        let token = at.succeed(&["key", "create", "--name", "okta"]);
        let client = Client::new(&flags[1]);
        let call = |method: &str, path: &str, body: Option<&Value>| {
            client.call(token.trim_end(), method, &format!("/scim/v2/Users{path}"), body).unwrap()
        };
        let id = call("POST", "", Some(&json!({"userName": "ada"}))).json()["id"].as_str().unwrap().to_owned();
        assert_eq!(call("DELETE", &format!("/{id}"), None).status, 204);

        let purged = laptop.json(&with(&["user", "purge", &id, "--yes", "--json"], &flags));
        let listed = laptop.json(&with(&["audit", "list", "--resource", &id, "--json"], &flags));
        let verdict = laptop.json(&with(&["audit", "verify", "--json"], &flags));

        assert_eq!(purged["changes"], 2);
        assert_eq!(listed, at.json(&["audit", "list", "--resource", &id, "--json"]));
        let operations: Vec<&Value> = listed.as_array().unwrap().iter().map(|change| &change["operation"]).collect();
        assert_eq!(operations, [&json!("purge"), &json!("delete"), &json!("create")]);
        assert_eq!(
            (&verdict["intact"], &verdict["changes"]),
            (&json!(true), &json!(5)),
            "with the two keys: {verdict}"
        );
        assert!(laptop.fail(&with(&["user", "purge", &id, "--yes"], &flags)).contains("was purged at"));
    }
}

#[test]
fn what_the_server_refuses_is_told_in_its_words() {
    let at = Workplace::sqlite();
    let (_server, laptop, flags) = elsewhere(&at);

    let refused = laptop.fail(&with(&["tenant", "create", "default"], &flags));
    assert!(refused.contains("There is a tenant named `default` already."), "{refused}");
    let key = laptop.directory.path().join("admin-key");
    std::fs::write(&key, at.succeed(&["key", "create", "--name", "okta"])).unwrap();
    let refused = laptop.fail(&with(&["tenant", "list"], &flags));
    assert!(refused.contains("lacks the scope `admin:read`"), "{refused}");
    std::fs::write(&key, "nonsense").unwrap();
    assert!(laptop.run(&with(&["tenant", "list"], &flags)).status.code() == Some(1));
}

#[test]
fn what_works_on_the_database_at_hand_alone_says_so() {
    let laptop = Workplace::sqlite();
    for arguments in [&["migrate"][..], &["db", "copy", "--to", "sqlite:other.db"]] {
        let output =
            laptop.command(arguments).args(["--url", "https://scim.example.com"]).env("SCIMD_ADMIN_KEY", "k").output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains("the database at hand alone"), "{}", text(&output.stderr));
        assert!(!laptop.directory.path().join(".local").exists(), "nothing is made");
    }
}

#[test]
fn a_url_that_leads_nowhere_or_shows_the_key_is_refused() {
    let laptop = Workplace::sqlite();
    let ask = |url: &str, key: Option<&str>| {
        let mut command = laptop.command(&["tenant", "list", "--url", url]);
        if let Some(key) = key {
            command.env("SCIMD_ADMIN_KEY", key);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{url}");
        text(&output.stderr)
    };

    assert!(ask("https://scim.example.com", None).contains("`--admin-key-file FILE`"));
    assert!(ask("http://scim.example.com", Some("k")).contains("write https://"));
    assert!(ask("http://127.0.0.1:9", Some("k")).contains("does not answer"));
}

#[test]
fn keys_are_made_and_withdrawn_from_a_second_machine() {
    for at in [Workplace::sqlite(), Workplace::postgres()] {
        let (server, laptop, flags) = elsewhere(&at);
        let ask = |arguments: &[&str]| laptop.json(&with(&[arguments, &["--json"]].concat(), &flags));
        ask(&["tenant", "create", "acme"]);

        let token = laptop.succeed(&with(&["key", "create", "--name", "okta", "--tenant", "acme"], &flags));
        let id = key_id(&token);
        let rotated = ask(&["key", "rotate", id, "--overlap", "7d", "--expires", "never"]);
        let refused = laptop.fail(&with(&["key", "create", "--name", "x", "--scope", "user:read"], &flags));
        // A whole token never goes into a URL: its id is enough.
        let revoked = ask(&["key", "revoke", token.trim_end()]);

        assert_eq!(token.trim_end().len(), 57, "{token}");
        assert_eq!((&rotated["rotatedFrom"], &rotated["expires"]), (&json!(id), &Value::Null));
        assert!(refused.contains("Did you mean `users:read`?"), "{refused}");
        assert_eq!(revoked["status"], "revoked");
        for arguments in [&["key", "list"][..], &["key", "list", "--tenant", "acme"], &["key", "show", id]] {
            let mut here = at.json(&[arguments, &["--json"]].concat());
            let mut there = ask(arguments);
            forget_uses(&mut here);
            forget_uses(&mut there);
            assert_eq!(here, there, "{arguments:?}");
        }
        assert_eq!(ask(&["tenant", "suspend", "acme"])["name"], "acme");
        assert_eq!(ask(&["tenant", "delete", "acme", "--yes"])["done"], json!(true));
        assert!(laptop.fail(&with(&["key", "show", id], &flags)).contains("There is no key"));
        assert_eq!(server.stop(), Some(0));
    }
}

/// A use may be noted between one look and the next.
fn forget_uses(keys: &mut Value) {
    match keys {
        Value::Array(keys) => keys.iter_mut().for_each(forget_uses),
        key => key["lastUsed"] = Value::Null,
    }
}

#[test]
fn no_proxy_stands_between_here_and_here() {
    let at = Workplace::sqlite();
    let (_server, laptop, flags) = elsewhere(&at);
    // Nobody listens there: whoever asks the proxy gets no answer.
    let through = |arguments: &[&str]| {
        let mut command = laptop.command(arguments);
        command.envs(["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"].map(|name| (name, "http://127.0.0.1:1")));
        command.output().unwrap()
    };

    let here = through(&with(&["tenant", "list"], &flags));
    let there = through(&["tenant", "list", "--url", "https://scim.invalid", "--admin-key-file", &flags[3]]);

    assert_eq!(here.status.code(), Some(0), "{}", text(&here.stderr));
    assert_eq!(there.status.code(), Some(1), "{}", text(&there.stdout));
}

/// Whoever can put a file into a directory shall not have the key of whoever comes by sent to himself.
#[test]
fn a_settings_file_that_lies_about_sends_the_key_nowhere() {
    let at = Workplace::sqlite();
    let (_server, laptop, flags) = elsewhere(&at);
    let file = format!("url = '{}'\nadmin-key-file = '{}'\n", flags[1], flags[3]);
    std::fs::write(laptop.directory.path().join("scimd.toml"), file).unwrap();

    let refused = laptop.fail(&["tenant", "list"]);
    let named = laptop.succeed(&["tenant", "list", "--config", "scimd.toml"]);

    assert!(refused.contains("takes no key but") && refused.contains("`--config`"), "{refused}");
    assert!(named.contains("default"), "{named}");
}
