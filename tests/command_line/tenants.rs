//! `scimd tenant`, beside a server and before one.

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::{Server, on_each_database, text};

fn status(client: &Client, token: &str, method: &str, body: Option<&Value>) -> u16 {
    client.call(token.trim_end(), method, "/Users", body).unwrap().status
}

#[test]
fn a_tenant_is_set_up_shown_and_renamed() {
    on_each_database(|workplace| {
        workplace.succeed(&["tenant", "create", "acme"]);
        let limits = ["--max-users", "5000", "--max-groups", "0", "--default-profile", "strict"];
        let set = workplace.run(&[&["tenant", "set", "acme"], &limits[..]].concat());
        let renamed = workplace.json(&["tenant", "rename", "acme", "acme-emea", "--json"]);
        let key = workplace.json(&["key", "create", "--name", "okta", "--tenant", "acme-emea", "--json"]);
        let shown = workplace.succeed(&["tenant", "show", "acme-emea"]);
        let lifted = workplace.json(&["tenant", "set", "acme-emea", "--max-groups", "None", "--json"]);

        let set = text(&set.stderr);
        assert!(set.contains("new keys are strict, users are limited to 5000, groups are limited to 0"), "{set}");
        assert_eq!(
            (&renamed["name"], &renamed["maxUsers"], &key["profile"]),
            (&json!("acme-emea"), &json!(5000), &json!("strict"))
        );
        assert!(shown.contains("served") && shown.contains("5000") && shown.contains("1, 1 of them active"), "{shown}");
        assert_eq!((&lifted["maxUsers"], &lifted["maxGroups"]), (&json!(5000), &Value::Null));
        assert_eq!(workplace.json(&["tenant", "list", "--json"])[1]["name"], "acme-emea");
        for (arguments, part) in [
            (&["tenant", "rename", "acme", "b"][..], "`acme-emea`"),
            (&["tenant", "rename", "acme-emea", "default"], "already"),
            (&["tenant", "rename", "default", "b"], "keeps its name"),
            (&["tenant", "show", "nobody"], "`default`"),
            (&["tenant", "delete", "nobody", "--yes"], "`default`"),
            (&["tenant", "delete", "default", "--yes"], "always there"),
        ] {
            let sentence = workplace.fail(arguments);
            assert!(sentence.contains(part), "{arguments:?}: {sentence}");
        }
        let ill_formed = workplace.run(&["tenant", "set", "acme-emea", "--max-users", "many"]);
        assert_eq!(ill_formed.status.code(), Some(2));
        assert!(text(&ill_formed.stderr).contains("or none"), "{}", text(&ill_formed.stderr));
    });
}

#[test]
fn a_tenant_is_suspended_resumed_and_deleted_beside_a_server() {
    on_each_database(|workplace| {
        let (server, address) = Server::start(workplace, &["serve"]);
        let client = Client::new(&format!("{address}/scim/v2"));
        workplace.succeed(&["tenant", "create", "acme"]);
        let [first, second, other] = ["acme", "acme", "default"]
            .map(|tenant| workplace.succeed(&["key", "create", "--name", "okta", "--tenant", tenant]));
        let mira = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "mira"});
        assert_eq!(status(&client, &first, "POST", Some(&mira)), 201);

        // The second key is not known to the server yet, so what it says is what is stored.
        workplace.succeed(&["tenant", "suspend", "acme"]);
        assert_eq!(status(&client, &second, "GET", None), 403);
        assert_eq!(status(&client, &other, "GET", None), 200);
        assert!(workplace.succeed(&["user", "list", "--tenant", "acme"]).contains("mira"), "operators see it");
        let resumed = workplace.json(&["tenant", "resume", "acme", "--json"]);
        assert_eq!(resumed["suspended"], Value::Null);

        let refused = workplace.fail(&["tenant", "delete", "acme"]);
        assert!(refused.contains("1 user, 2 keys,") && refused.contains("--yes"), "{refused}");
        let foreseen = workplace.run(&["tenant", "delete", "acme", "--dry-run"]);
        assert_eq!((foreseen.status.code(), text(&foreseen.stdout)), (Some(0), String::new()));
        assert!(text(&foreseen.stderr).contains("1 user, 2 keys,"), "{foreseen:?}");
        assert_eq!(workplace.json(&["tenant", "delete", "acme", "--dry-run", "--json"])["resources"], 1);
        assert!(workplace.fail(&["tenant", "delete", "default", "--dry-run"]).contains("always there"));
        assert_eq!(workplace.json(&["tenant", "show", "acme", "--json"])["deleting"], Value::Null);
        let deleted = workplace.json(&["tenant", "delete", "acme", "--yes", "--json"]);
        assert_eq!((&deleted["resources"], &deleted["done"]), (&json!(1), &json!(true)));
        let names = workplace.json(&["tenant", "list", "--json"]);
        assert_eq!((names.as_array().unwrap().len(), &names[0]["name"]), (1, &json!("default")));
        assert!(!workplace.succeed(&["key", "list"]).contains("acme"));
        let fresh = workplace.succeed(&["key", "create", "--name", "okta"]);
        assert_eq!(status(&client, &fresh, "GET", None), 200);
        assert_eq!(server.stop(), Some(0));
    });
}
