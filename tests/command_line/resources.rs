//! `scimd user`, `scimd group` and `scimd resource`, at the database and from a second machine.

use serde_json::{Value, json};

use crate::remote::{elsewhere, with};
use crate::support::http::Client;
use crate::{Server, Workplace, key_id, on_each_database, text};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A client of SCIM.
struct Provider {
    client: Client,
    token: String,
}

impl Provider {
    fn of(at: &Workplace, address: &str) -> Provider {
        let token = at.succeed(&["key", "create", "--name", "okta"]).trim().to_owned();
        Provider { client: Client::new(&format!("{address}/scim/v2")), token }
    }

    /// The id of what is made.
    fn post(&self, path: &str, body: &Value) -> String {
        let response = self.client.call(&self.token, "POST", path, Some(body)).unwrap();
        assert_eq!(response.status, 201, "{}", response.text());
        response.json()["id"].as_str().unwrap().to_owned()
    }

    fn delete(&self, path: &str) {
        assert_eq!(self.client.call(&self.token, "DELETE", path, None).unwrap().status, 204);
    }
}

#[test]
fn resources_are_the_same_from_a_second_machine() {
    for at in [Workplace::sqlite(), Workplace::postgres()] {
        let (_server, laptop, flags) = elsewhere(&at);
        let provider = Provider::of(&at, &flags[1]);
        let mira = provider.post("/Users", &json!({"userName": "mira"}));
        let gone = provider.post("/Users", &json!({"userName": "gone/by %41"}));
        let group = json!({"displayName": "Team", "members": [{"value": mira}, {"value": gone}, {"value": "nobody"}]});
        let group = provider.post("/Groups", &group);
        provider.delete(&format!("/Users/{gone}"));
        let here = ["--public-url".to_owned(), flags[1].clone()];

        for command in [
            &["user", "list", "--json"][..],
            &["user", "list", "--all", "--json"],
            &["user", "list", "--deleted", "--filter", "userName sw \"gone/by %\"", "--json"],
            &["user", "show", &mira, "--json"],
            &["user", "show", &gone, "--json"],
            &["group", "show", &group, "--json"],
            &["group", "list", "--json"],
            &["group", "list", "--unresolved", "--json"],
            &["user", "history", &gone, "--json"],
            &["resource", "list", "--type", "Users", "--json"],
        ] {
            assert_eq!(laptop.json(&with(command, &flags)), at.json(&with(command, &here)), "{command:?}");
        }
        for command in [&["user", "list"][..], &["user", "show", &mira], &["group", "history", &group]] {
            assert_eq!(laptop.succeed(&with(command, &flags)), at.succeed(command), "{command:?}");
        }
        for command in
            [&["user", "show", "a/../b"][..], &["group", "restore", &group], &["user", "list", "--filter", "x"]]
        {
            assert_eq!(laptop.fail(&with(command, &flags)), at.fail(command), "{command:?}");
        }

        let restored = laptop.json(&with(&["user", "restore", &gone, "--json"], &flags));
        assert_eq!(restored["resource"]["groups"][0]["value"], json!(group));
        let changes = at.json(&["user", "history", &gone, "--json"]);
        assert_eq!((&changes[2]["operation"], &changes[2]["keyName"]), (&json!("restore"), &json!("laptop")));
    }
}

#[test]
fn lists_have_live_resources_deleted_ones_or_both() {
    on_each_database(|workplace| {
        let (_server, address) = Server::start(workplace, &["serve"]);
        let provider = Provider::of(workplace, &address);
        let users: Vec<String> =
            (0..5).map(|number| provider.post("/Users", &json!({"userName": format!("user{number}")}))).collect();
        users[..3].iter().for_each(|user| provider.delete(&format!("/Users/{user}")));

        let list = |flags: &[&str]| -> Vec<String> {
            let listed = workplace.json(&[&["user", "list", "--json"], flags].concat());
            let names = listed.as_array().unwrap().iter();
            names.map(|entry| entry["resource"]["userName"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(list(&[]), ["user3", "user4"]);
        assert_eq!(list(&["--deleted"]), ["user2", "user1", "user0"]);
        assert_eq!(list(&["--all"]), ["user3", "user4", "user2", "user1", "user0"]);
        assert_eq!(list(&["--all", "--filter", "userName ge \"user2\"", "--limit", "2"]), ["user3", "user4"]);
        assert_eq!(list(&["--deleted", "--filter", "userName lt \"USER1\""]), ["user0"]);
        let first = workplace.run(&["user", "list", "--all", "--limit", "4"]);
        let (shown, note) = (text(&first.stdout), text(&first.stderr));
        assert!(shown.contains("ACTIVE") && shown.contains("deleted") && !shown.contains("user0"), "{shown}");
        assert!(note.contains("The first 4 are shown"), "{note}");
        let two = workplace.run(&["user", "list", "--limit", "1"]);
        assert!(text(&two.stderr).contains("1 of 2 are shown"), "{two:?}");
        let whole = workplace.run(&["user", "list", "--all", "--limit", "5"]);
        assert_eq!(text(&whole.stderr), "");
        assert_eq!(workplace.run(&["user", "list", "--all", "--deleted"]).status.code(), Some(2));
        assert_eq!(workplace.run(&["user", "show", ""]).status.code(), Some(2));
    });
}

#[test]
fn a_page_tells_a_person_what_there_is_to_say() {
    on_each_database(|workplace| {
        let (_server, address) = Server::start(workplace, &["serve"]);
        let provider = Provider::of(workplace, &address);
        let boss = provider.post("/Users", &json!({"userName": "boss", "displayName": "The Boss"}));
        let mira = provider.post(
            "/Users",
            &json!({"userName": "mira\u{202e}", "emails": [{"value": "mira@example.com", "type": "work"}],
                ENTERPRISE: {"department": "Tours", "manager": {"value": boss}}}),
        );
        let team =
            provider.post("/Groups", &json!({"displayName": "Team", "members": [{"value": mira}, {"value": "x"}]}));
        let staff = provider.post("/Groups", &json!({"displayName": "Staff", "members": [{"value": team}]}));
        let line = |page: &str, parts: &[&str]| {
            let found =
                page.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == parts.join(" "));
            assert!(found, "{parts:?} is no line of\n{page}");
        };

        let key = key_id(&provider.token);
        let page = workplace.succeed(&["user", "show", &mira]);
        assert!(page.starts_with("User mira\\u{202e}\n"), "{page}");
        line(&page, &["id", &mira]);
        line(&page, &["status", "live"]);
        line(&page, &["emails", "mira@example.com", "(work)"]);
        line(&page, &["department", "Tours"]);
        line(&page, &["manager", "The Boss, boss", &boss]);
        line(&page, &["Groups", "(2)"]);
        line(&page, &["Team", &team, "direct"]);
        line(&page, &["Staff", &staff, "through", "Team"]);
        assert!(page.contains(&format!("create by okta ({key}), version 1")), "{page}");
        assert!(!page.contains("last change") && !page.contains("$ref"), "{page}");
        let group = workplace.succeed(&["group", "show", &team]);
        line(&group, &["Members,", "1", "of", "them", "unresolved", "(2)"]);
        line(&group, &["–", &mira, "User"]);
        line(&group, &["and", "1", "more;", "`--json`", "shows", "all"]);
        provider.delete(&format!("/Users/{mira}"));
        let deleted = workplace.succeed(&["user", "show", &mira]);
        line(&deleted, &["Groups until then", "(1)"]);
        assert!(deleted.contains("status") && deleted.contains(&format!("by okta ({key})")), "{deleted}");
        let history = workplace.succeed(&["user", "history", &mira]);
        assert!(history.contains(&format!("  delete  version 1  by okta ({key})")), "{history}");
    });
}

#[test]
fn res_21_resources_of_a_type_of_ones_own_have_a_command() {
    on_each_database(|workplace| {
        std::fs::create_dir(workplace.directory.path().join("schemas")).unwrap();
        let types = json!([
            {"id": "urn:example:Device", "attributes": [
                {"name": "serial", "type": "string", "uniqueness": "server"},
                {"name": "members", "type": "string", "multiValued": true},
            ]},
            {"id": "Device", "endpoint": "/Devices", "schema": "urn:example:Device"},
        ]);
        std::fs::write(workplace.directory.path().join("schemas/device.json"), types.to_string()).unwrap();
        let (_server, address) = Server::start(workplace, &["serve", "--schemas", "schemas"]);
        let provider = Provider::of(workplace, &address);
        let body = json!({"schemas": ["urn:example:Device"], "serial": "A-1", "members": ["bolt"]});
        let device = provider.post("/Devices", &body);
        let run = |command: &str, rest: &[&str]| {
            let arguments = [&["resource", command, "--type", "Devices", "--schemas", "schemas"], rest].concat();
            workplace.succeed(&arguments)
        };

        let listed = run("list", &[]);
        assert!(listed.contains("LABEL") && listed.contains("A-1") && listed.contains(&device), "{listed}");
        assert!(run("list", &["--json"]).contains("bolt"), "an attribute of one's own is no membership");
        let shown = run("show", &[&device]);
        assert!(shown.starts_with("Device A-1\n") && shown.contains("bolt"), "{shown}");
        provider.delete(&format!("/Devices/{device}"));
        assert!(run("list", &["--deleted", "--filter", "members eq \"bolt\""]).contains(&device));
        run("restore", &[&device]);
        assert!(run("history", &[&device]).contains("restore"));
        let unknown = workplace.fail(&["resource", "list", "--type", "Devices"]);
        assert!(unknown.contains("no resources `Devices`") && unknown.contains("`Users`"), "{unknown}");
        let missing = workplace.fail(&["resource", "show", "--type", "Devices", "x", "--schemas", "schemas"]);
        assert!(missing.contains("`scimd resource list --type Devices --deleted`"), "{missing}");
    });
}
