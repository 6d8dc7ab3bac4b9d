//! `scimd undo`: shown, asked, done, and undone itself.

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::{Server, Workplace, key_id, on_each_database, text};

/// A server with a user and a group, and what a key did to them since.
struct Scene {
    _server: Server,
    client: Client,
    token: String,
    user: String,
    since: String,
}

impl Scene {
    fn new(workplace: &Workplace) -> Scene {
        let (server, address) = Server::start(workplace, &["serve"]);
        let client = Client::new(&format!("{address}/scim/v2"));
        let token = |name: &str| workplace.succeed(&["key", "create", "--name", name]).trim_end().to_owned();
        let (okta, rogue) = (token("okta"), token("rogue"));
        let body =
            json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "mira", "title": "Guide"});
        let user = client.call(&okta, "POST", "/Users", Some(&body)).unwrap().json()["id"].as_str().unwrap().to_owned();
        let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Team",
            "members": [{"value": user}]});
        assert_eq!(client.call(&okta, "POST", "/Groups", Some(&group)).unwrap().status, 201);
        let scene = Scene { _server: server, client, token: rogue, user, since: "2020-01-01T00:00:00Z".to_owned() };
        scene.retitle(&scene.token, "Lead");
        assert_eq!(
            scene.client.call(&scene.token, "POST", "/Users", Some(&json!({"userName": "omar"}))).unwrap().status,
            201
        );
        scene
    }

    fn retitle(&self, token: &str, title: &str) {
        let message = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "title", "value": title}]});
        let path = format!("/Users/{}", self.user);
        assert_eq!(self.client.call(token, "PATCH", &path, Some(&message)).unwrap().status, 200);
    }

    fn title(&self) -> Value {
        self.client.call(&self.token, "GET", &format!("/Users/{}", self.user), None).unwrap().json()["title"].clone()
    }

    fn undo<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["undo", "--key", key_id(&self.token), "--since", &self.since], more].concat()
    }
}

#[test]
fn a_dry_run_shows_what_an_undo_then_does() {
    on_each_database(|workplace| {
        let scene = Scene::new(workplace);

        let plan = workplace.run(&scene.undo(&["--dry-run"]));
        let shown = text(&plan.stdout);
        assert!(
            shown.contains(&format!("modify  User {} (mira)\n  ~ title: \"Lead\" -> \"Guide\"\n", scene.user)),
            "{shown}"
        );
        assert!(shown.contains("\ndelete  User ") && shown.contains(" (omar)\n"), "{shown}");
        assert!(text(&plan.stderr).contains("would change 2 resources."), "{}", text(&plan.stderr));
        assert_eq!(scene.title(), "Lead");
        let unasked = workplace.fail(&scene.undo(&[]));
        assert!(unasked.contains("`--yes`"), "{unasked}");
        assert_eq!(scene.title(), "Lead");

        let done = workplace.json(&scene.undo(&["--yes", "--json"]));

        assert_eq!(scene.title(), "Guide");
        let operations: Vec<&Value> =
            done["changes"].as_array().unwrap().iter().map(|change| &change["operation"]).collect();
        assert_eq!(operations, ["modify", "delete"]);
        let history = workplace.succeed(&["user", "history", &scene.user]);
        assert!(
            history.contains(&format!("  undoes what {} did from 2020-01-01T00:00:00.000Z to ", key_id(&scene.token))),
            "{history}"
        );
        let again = workplace.run(&scene.undo(&["--yes"]));
        assert!(text(&again.stderr).contains("There is nothing to undo"), "{}", text(&again.stderr));

        workplace.succeed(&["undo", "--key", "operator", "--since", "2020-01-01T00:00:00Z", "--yes"]);
        assert_eq!(scene.title(), "Lead");
    });
}

#[test]
fn one_resource_is_given_back_the_state_of_a_time() {
    on_each_database(|workplace| {
        let scene = Scene::new(workplace);
        let changes = workplace.json(&["user", "history", &scene.user, "--json"]);
        let created = changes[0]["at"].as_str().unwrap();
        let restore = |at| ["user", "restore", &scene.user, "--at", at];

        let told = workplace.run(&restore(created));

        assert!(
            text(&told.stderr).contains(&format!("User {} (`mira`) is as it was at {created}.", scene.user)),
            "{told:?}"
        );
        assert_eq!(scene.title(), "Guide");
        let again = workplace.json(&[&restore(created)[..], &["--json"]].concat());
        assert_eq!((&again["changed"], &again["resource"]["title"]), (&json!(false), &json!("Guide")));
        let history = workplace.succeed(&["user", "history", &scene.user]);
        assert!(history.contains(&format!("  back to the state of {created}\n")), "{history}");
        assert!(workplace.fail(&restore("2020-01-01T00:00:00Z")).contains("was not there yet"));
        assert!(workplace.fail(&restore("9999-01-01T00:00:00Z")).contains("in the future"));
        let unknown = workplace.fail(&["group", "restore", &scene.user, "--at", created]);
        assert!(unknown.contains("does not exist; see `scimd group list`"), "{unknown}");
        let vague = workplace.run(&restore("yesterday"));
        assert_eq!(vague.status.code(), Some(2));
        assert!(text(&vague.stderr).contains("such as 2026-11-01T09:30:00Z"), "{}", text(&vague.stderr));
    });
}

#[test]
fn from_a_second_machine_it_is_the_same() {
    let at = Workplace::sqlite();
    let (_server, laptop, flags) = crate::remote::elsewhere(&at);
    let undo = ["undo", "--key", "operator", "--since", "2020-01-01T00:00:00Z", "--yes"];
    let undone = laptop.run(&crate::remote::with(&undo, &flags));
    assert!(text(&undone.stderr).contains("There is nothing to undo"), "{undone:?}");
    let restore = ["user", "restore", "nobody", "--at", "2020-01-01T00:00:00Z"];
    assert!(laptop.fail(&crate::remote::with(&restore, &flags)).contains("'nobody' does not exist"));
}

#[test]
fn what_is_left_alone_is_listed() {
    let workplace = Workplace::sqlite();
    let scene = Scene::new(&workplace);
    let other = workplace.succeed(&["key", "create", "--name", "other"]);
    scene.retitle(other.trim_end(), "Boss");

    let done = workplace.run(&scene.undo(&["--yes"]));

    let shown = text(&done.stdout);
    let left = format!("left alone\n  User {} (mira)  title: {} changed it at ", scene.user, key_id(other.trim_end()));
    assert!(shown.contains(&left), "{shown}");
    assert!(text(&done.stderr).contains("1 resource changed. 1 thing is left alone."), "{}", text(&done.stderr));
    assert_eq!(scene.title(), "Boss");
}

#[test]
fn what_can_not_be_undone_is_said_in_a_sentence() {
    let workplace = Workplace::sqlite();
    let undo = |more: &[&str]| workplace.fail(&[&["undo", "--yes"], more].concat());
    let since = ["--since", "2026-01-01T00:00:00Z"];

    let unknown = undo(&[&["--key", "nobody"][..], &since].concat());
    assert!(unknown.contains("There is no key `nobody`"), "{unknown}");
    let nowhere = undo(&[&["--key", "operator", "--tenant", "acme"][..], &since].concat());
    assert!(nowhere.contains("There is no tenant `acme`"), "{nowhere}");
    let reversed = undo(&["--key", "operator", since[0], since[1], "--until", "2025-01-01T00:00:00Z"]);
    assert!(reversed.contains("ends before it begins"), "{reversed}");
}
