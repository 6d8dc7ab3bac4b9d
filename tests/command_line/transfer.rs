//! Export, import, backup and the move to another database: what comes out at the other end is what went in.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use serde_json::{Value, json};

use crate::support::http::Client;
use crate::{Server, Workplace, on_each_database, text};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What stands in front of every location, wherever the server is: so that whole answers can be compared.
const PUBLIC: [&str; 3] = ["--public-url", "https://idm.example", "--passwords"];

/// A client of a running server.
struct Talk {
    client: Client,
    address: String,
    token: String,
    server: Server,
}

impl Talk {
    fn with(workplace: &Workplace) -> Talk {
        let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim().to_owned();
        Talk::with_key(workplace, &token)
    }

    fn with_key(workplace: &Workplace, token: &str) -> Talk {
        let (server, address) = Server::start(workplace, &[&["serve"][..], &PUBLIC].concat());
        let client = Client::new(&format!("{address}/scim/v2"));
        Talk { client, address, token: token.to_owned(), server }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = (*body != Value::Null).then_some(body);
        let response = self.client.call(&self.token, method, path, body).unwrap();
        assert!(response.status < 300, "{method} {path}: {}", response.text());
        if response.status == 204 { Value::Null } else { response.json() }
    }

    fn make(&self, path: &str, body: Value) -> String {
        self.call("POST", path, &body)["id"].as_str().unwrap().to_owned()
    }

    /// Status, ETag and every byte.
    fn see(&self, path: &str) -> (u16, Option<String>, String) {
        let response = self.client.call(&self.token, "GET", path, None).unwrap();
        (response.status, response.header("etag").map(str::to_owned), response.text().to_string())
    }

    fn see_all(&self, paths: &[String]) -> Vec<(u16, Option<String>, String)> {
        paths.iter().map(|path| self.see(path)).collect()
    }

    fn stop(self) {
        assert_eq!(self.server.stop(), Some(0));
    }
}

/// What there was, and every way to look at it.
struct World {
    paths: Vec<String>,
    deleted_user: String,
    group: String,
}

fn user(name: &str, more: Value) -> Value {
    let mut user = json!({"schemas": [USER], "userName": name});
    user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user
}

fn patch(operations: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

/// Users and groups of every sort that clients make: nested, disabled, renamed, deleted, restored, with members that nobody
/// knows.
fn fill(talk: &Talk) -> World {
    let boss = talk.make("/Users", user("boss", json!({"displayName": "The \"Boss\" \u{1f600}", "externalId": "1"})));
    let staff = talk.make("/Groups", json!({"schemas": [GROUP], "displayName": "Staff", "externalId": "g1"}));
    let mira = talk.make(
        "/Users",
        user(
            "Mira",
            json!({"active": false, "password": "hunter2hunter2", "name": {"familyName": "Oksanen", "givenName": "Mira"},
            "emails": [{"value": "b@x.org", "type": "home"}, {"value": "a@x.org", "type": "work", "primary": true}],
            "title": "Dr", "schemas": [USER, ENTERPRISE], ENTERPRISE: {"department": "Sales", "manager": {"value": boss}}}),
        ),
    );
    let inner = json!({"schemas": [GROUP], "displayName": "staff", "externalId": "g2", "members": [{"value": mira}, {"value": "nobody"}]});
    let inner = talk.make("/Groups", inner);
    let gone = talk.make("/Users", user("gone", json!({"externalId": "9"})));
    let add = json!([{"op": "add", "path": "members", "value": [{"value": gone}, {"value": inner}, {"value": boss}, {"value": "nobody"}]}]);
    talk.call("PATCH", &format!("/Groups/{staff}"), &patch(add));
    talk.call("PUT", &format!("/Users/{boss}"), &user("boss", json!({"displayName": "Boss", "externalId": "1"})));
    // A change of nothing moves lastModified alone.
    talk.call("PUT", &format!("/Users/{boss}"), &user("boss", json!({"displayName": "Boss", "externalId": "1"})));
    let rename = json!([{"op": "replace", "path": "nickName", "value": "M"}, {"op": "remove", "path": "title"}]);
    talk.call("PATCH", &format!("/Users/{mira}"), &patch(rename));
    talk.call("DELETE", &format!("/Users/{gone}"), &Value::Null);
    let again = talk.make("/Users", user("gone", json!({})));
    let mut paths: Vec<String> = [&boss, &mira, &gone, &again].iter().map(|id| format!("/Users/{id}")).collect();
    paths.extend([&staff, &inner].iter().map(|id| format!("/Groups/{id}")));
    let lists = [
        "/Users",
        "/Groups",
        "/?count=3",
        "/Users?sortBy=name.familyName&sortOrder=descending",
        "/Users?filter=emails%5Btype%20eq%20%22work%22%5D%20and%20title%20pr",
        "/Users?filter=userName%20eq%20%22MIRA%22",
        "/Users?filter=meta.lastModified%20gt%20%222020-01-01T00:00:00Z%22",
        "/Groups?excludedAttributes=members",
        "/Users?attributes=groups,manager",
    ];
    paths.extend(lists.map(str::to_owned));
    paths.push(format!("/Groups?filter=members.value%20eq%20%22{mira}%22"));
    World { paths, deleted_user: gone, group: staff }
}

fn file(workplace: &Workplace, name: &str) -> (PathBuf, String) {
    let file = workplace.directory.path().join(name);
    let shown = file.display().to_string();
    (file, shown)
}

/// The resources of an export, without its first and its last line.
fn resources(export: &str) -> Vec<Value> {
    let lines: Vec<&str> = export.lines().collect();
    lines[1..lines.len() - 1].iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Exit code, standard output and standard error of a command that was fed this.
fn feed(workplace: &Workplace, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = workplace.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ended(&child.wait_with_output().unwrap())
}

fn ended(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const WHOLE: [&str; 3] = ["export", "--deleted", "--with-password-hashes"];

#[test]
fn an_export_that_was_imported_elsewhere_is_the_same_to_every_client() {
    let ways = [
        [Workplace::sqlite(), Workplace::postgres(), Workplace::sqlite()],
        [Workplace::postgres(), Workplace::sqlite(), Workplace::postgres()],
    ];
    for [first, second, third] in ways {
        let talk = Talk::with(&first);
        let world = fill(&talk);
        let seen = talk.see_all(&world.paths);
        talk.stop();
        let mut export = first.succeed(&WHOLE);

        for workplace in [&second, &third] {
            let (code, output, told) = feed(workplace, &["import", "-", "--json", "--passwords"], &export);
            assert_eq!(code, Some(0), "{output}{told}");
            let outcome: Value = serde_json::from_str(&output).unwrap();
            assert_eq!(outcome["created"], json!({"Group": 2, "User": 4}));
            let talk = Talk::with(workplace);
            for (path, (before, after)) in world.paths.iter().zip(seen.iter().zip(talk.see_all(&world.paths))) {
                assert_eq!(&after, before, "{path}");
            }
            let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
                "filter": "userName eq \"mira\" and password eq \"hunter2hunter2\""});
            assert_eq!(talk.call("POST", "/Users/.search", &search)["totalResults"], 1);
            talk.stop();
            let again = workplace.succeed(&WHOLE);
            assert_eq!(resources(&again), resources(&export));
            export = again;
        }
        // What is deleted came along, with what it takes to bring it back.
        let shown = third.json(&["user", "show", &world.deleted_user, "--json"]);
        assert_eq!(shown["status"], "deleted");
        let talk = Talk::with(&third);
        let taken = talk.call("GET", "/Users?filter=userName%20eq%20%22gone%22", &Value::Null);
        let taken = taken["Resources"][0]["id"].as_str().unwrap();
        talk.call("DELETE", &format!("/Users/{taken}"), &Value::Null);
        let restored = third.json(&["user", "restore", &world.deleted_user, "--json"]);
        assert_eq!(restored["resource"]["groups"][0]["value"], json!(world.group));
        let history = third.json(&["user", "history", &world.deleted_user, "--json"]);
        let operations: Vec<&Value> = history.as_array().unwrap().iter().map(|change| &change["operation"]).collect();
        assert_eq!(operations, ["import", "delete", "restore"]);
    }
}

#[test]
fn the_history_begins_with_the_import_and_keeps_the_times_before() {
    on_each_database(|workplace| {
        let source = Workplace::sqlite();
        let talk = Talk::with(&source);
        let world = fill(&talk);
        talk.stop();
        let export = source.succeed(&["export"]);
        assert_eq!(feed(workplace, &["import", "-"], &export).0, Some(0));

        let line = resources(&export).into_iter().find(|line| line["userName"] == "boss").unwrap();
        let id = line["id"].as_str().unwrap();
        let history = workplace.json(&["user", "history", id, "--json"]);
        let [import] = &history.as_array().unwrap()[..] else { panic!("{history}") };
        assert_eq!((&import["operation"], &import["key"]), (&json!("import"), &json!("operator")));
        let past = workplace.json(&["user", "show", id, "--at", import["at"].as_str().unwrap(), "--json"]);
        assert_eq!(past["resource"]["meta"]["lastModified"], line["meta"]["lastModified"]);
        assert_eq!((&past["version"], &past["resource"]["displayName"]), (&json!(2), &json!("Boss")));
        let before = workplace.fail(&["user", "show", id, "--at", line["meta"]["created"].as_str().unwrap()]);
        assert!(before.contains("its history begins later, with an import"), "{before}");
        assert!(workplace.fail(&["user", "show", &world.deleted_user]).contains("live or deleted"));
    });
}

#[test]
fn an_import_is_all_or_nothing_and_names_every_line_in_the_way() {
    on_each_database(|workplace| {
        let talk = Talk::with(workplace);
        fill(&talk);
        talk.stop();
        let export = workplace.succeed(&["export"]);
        let other = Workplace::sqlite();
        let (code, table, told) = feed(workplace, &["import", "-"], &export);
        assert_eq!(code, Some(1), "{table}{told}");
        assert_eq!(table.lines().count(), 1 + 5, "{table}");
        assert!(table.contains("\n2     ") && table.contains("is taken"), "{table}");
        assert!(told.contains("error: Nothing is imported: 5 lines"), "{told}");
        let elsewhere = export.replace("\"id\":\"", "\"id\":\"x").replace(",\"sha256\":\"", "}\n");
        let elsewhere = &elsewhere[..elsewhere.rfind('\n').unwrap()].rsplit_once('\n').unwrap().0;
        let (code, table, _) = feed(workplace, &["import", "-"], elsewhere);
        assert_eq!((code, table.lines().count()), (Some(1), 1 + 5), "{table}");
        assert!(
            table.contains("userName 'boss' is already in use") && table.contains("displayName 'Staff'"),
            "{table}"
        );
        assert_eq!(workplace.succeed(&["export"]).lines().count(), export.lines().count());

        let twice: Vec<String> = export.lines().map(str::to_owned).collect();
        let end = json!({"end": true, "resources": 3}).to_string();
        let mut file = vec![twice[0].clone(), twice[1].clone(), twice[2].clone(), twice[1].clone(), end];
        let (code, outcome, _) = feed(&other, &["import", "-", "--json", "--dry-run"], &(file.join("\n") + "\n"));
        let outcome: Value = serde_json::from_str(&outcome).unwrap();
        assert_eq!((code, &outcome["imported"]), (Some(1), &json!(false)));
        assert_eq!(outcome["problems"][0]["line"], 4);
        assert!(outcome["problems"].to_string().contains("its id is that of line 2"), "{outcome}");

        file.remove(3);
        file[3] = json!({"end": true, "resources": 2}).to_string();
        let (code, _, told) = feed(&other, &["import", "-", "--dry-run"], &(file.join("\n") + "\n"));
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("dry run") && told.contains("1 Group, 1 User"), "{told}");
        assert_eq!(other.json(&["user", "list", "--json"]), json!([]));
        assert_eq!(feed(&other, &["import", "-"], &(file.join("\n") + "\n")).0, Some(0));
        assert_eq!(other.json(&["user", "list", "--json"]).as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_file_that_is_no_whole_export_is_refused_with_its_line() {
    let source = Workplace::sqlite();
    let talk = Talk::with(&source);
    fill(&talk);
    talk.stop();
    let export = source.succeed(&["export"]);
    let lines: Vec<&str> = export.lines().collect();
    let count = lines.len();
    let workplace = Workplace::sqlite();
    let with = |at: usize, line: &str| {
        let mut changed = lines.clone();
        changed[at] = line;
        changed.join("\n") + "\n"
    };
    let changed = |from: &str, to: &str| {
        let changed = export.replacen(from, to, 1).replace(",\"sha256\"", ",\"sha\"");
        let end = changed.rfind(",\"sha\"").unwrap();
        format!("{}}}\n", &changed[..end])
    };
    for (input, part) in [
        (String::new(), "Line 1: this is not the header of an export"),
        ("userName,active\n".to_owned(), "Line 1: this is not the header of an export"),
        (export.replacen("\"version\":1", "\"version\":2", 1), "another version of scimd"),
        (lines[..count - 1].join("\n") + "\n", "cut off"),
        (export[..export.len() / 2].to_owned(), "can't be read"),
        (with(3, ""), "Line 4 can't be read"),
        (with(3, "{"), "Line 4 can't be read"),
        (with(1, lines[2]), "SHA-256"),
        (lines[..2].iter().chain(&lines[3..]).copied().collect::<Vec<_>>().join("\n"), "resources were exported"),
        (format!("{export}{}\n", lines[1]), "something follows"),
    ] {
        let (code, output, told) = feed(&workplace, &["import", "-"], &input);
        assert_eq!((code, output.as_str()), (Some(1), ""), "{part}: {told}");
        assert!(told.contains(part) && told.contains("Nothing is imported"), "{part}: {told}");
    }
    let unseen = "\"urn:scimd:export:1.0\":";
    let dear = "$argon2id$v=19$m=4194304,t=90,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA";
    for (input, part) in [
        (changed("\"displayName\":\"Boss\"", "\"salary\":1"), "User has no attribute `salary` here"),
        (changed("\"resourceType\":\"User\"", "\"resourceType\":\"Device\""), "serves no resource type `Device`"),
        (changed(&format!("[\"{USER}\"]"), "[\"urn:x\"]"), "User has no schema `urn:x` here"),
        (changed("\"active\":true", "\"active\":\"perhaps\""), "active"),
        (changed("\"version\":\"W/", "\"version\":\"V/"), "`meta.version` is none of scimd's"),
        (
            changed("\"version\":\"W/\\\"", "\"version\":\"W/\\\"4611686018427387904"),
            "`meta.version` is none of scimd's",
        ),
        (changed("\"lastModified\":\"20", "\"lastModified\":\"90"), "still to come"),
        (
            changed(
                "\"id\":",
                &format!("{unseen}{{\"deleted\":{{\"at\":\"9020-01-01T00:00:00Z\",\"by\":\"x\"}}}},\"id\":"),
            ),
            "a deletion that is still to come",
        ),
        (changed("\"id\":", &format!("{unseen}{{\"passwordHash\":\"{dear}\"}},\"id\":")), "costs too much"),
        (changed("\"created\":\"20", "\"created\":\"x"), "`meta.created` is no time"),
        (changed("\"id\":\"", "\"ident\":\""), "`id` is missing"),
        (changed("\"userName\":\"boss\",", ""), "userName is required"),
    ] {
        let (code, table, told) = feed(&workplace, &["import", "-", "--passwords"], &input);
        assert_eq!(code, Some(1), "{part}: {table}{told}");
        assert!(table.contains("\n2 ") && table.contains(part), "{part}: {table}{told}");
    }
    assert_eq!(workplace.json(&["user", "list", "--json"]), json!([]));
    assert!(workplace.fail(&["import", "missing.ndjson"]).contains("missing.ndjson cannot be read"));
    assert!(workplace.fail(&["import", "-", "--tenant", "acme"]).contains("`default`"));
    let (code, _, told) = feed(&workplace, &["import", "-"], &source.succeed(&WHOLE));
    assert_eq!(code, Some(1), "{told}");
}

#[test]
fn a_tenant_is_exported_as_it_was_at_any_time() {
    on_each_database(|workplace| {
        let talk = Talk::with(workplace);
        let world = fill(&talk);
        let without_unseen = |export: String| {
            let strip = |mut line: Value| {
                let unseen = line.as_object_mut().unwrap().shift_remove("urn:scimd:export:1.0").unwrap_or_default();
                if let Some(members) = line["members"].as_array_mut() {
                    members.sort_by_key(Value::to_string);
                }
                (line, unseen["deleted"].clone())
            };
            resources(&export).into_iter().map(strip).collect::<Vec<_>>()
        };
        let now = || chrono::Utc::now();
        let (all, live) = (["export", "--deleted"], ["export"]);
        let before = [&all[..], &live].map(|arguments| without_unseen(workplace.succeed(arguments)));
        let at = now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        while now().timestamp_millis() <= at.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_millis() {}

        talk.call("DELETE", &format!("/Groups/{}", world.group), &Value::Null);
        talk.make("/Users", user("later", json!({})));
        workplace.succeed(&["group", "restore", &world.group]);
        talk.call("DELETE", &world.paths[1], &Value::Null);
        talk.stop();

        let after =
            [&all[..], &live].map(|arguments| without_unseen(workplace.succeed(&[arguments, &["--at", &at]].concat())));
        assert_eq!(after, before);
        assert_ne!(without_unseen(workplace.succeed(&["export"])), before[1]);
        assert!(workplace.fail(&["export", "--at", "9999-01-01T00:00:00Z"]).contains("in the future"));
        assert_eq!(resources(&workplace.succeed(&["export", "--at", "2020-01-01T00:00:00Z"])), Vec::<Value>::new());
    });
}

#[cfg(unix)]
#[test]
fn an_export_to_a_file_is_whole_or_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let workplace = Workplace::sqlite();
    let talk = Talk::with(&workplace);
    fill(&talk);
    talk.stop();
    let (path, shown) = file(&workplace, "acme.ndjson");

    workplace.succeed(&["export", "--output", &shown]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(resources(&std::fs::read_to_string(&path).unwrap()), resources(&workplace.succeed(&["export"])));
    let nowhere = workplace.fail(&["export", "--output", "missing/acme.ndjson"]);
    assert!(nowhere.contains("nothing of it is left"), "{nowhere}");
    assert!(workplace.fail(&["export", "--tenant", "acme", "--output", "acme2.ndjson"]).contains("`default`"));
    let socket = workplace.directory.path().join("socket");
    let listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for command in [&["export", "--output", "socket"][..], &["backup", "--force", "socket"]] {
        assert!(workplace.fail(command).contains("is no plain file"), "{command:?}");
    }
    drop(listening);
    std::fs::remove_file(&socket).unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(workplace.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".local", "acme.ndjson"]);

    let mut child = workplace.command(&["export"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn users_come_from_a_table() {
    on_each_database(|workplace| {
        let table = "\u{feff}Login;name.givenName;emails;active;manager;groups;Notes;department\r\n\
            mira;Mira;m@x.org;yes;boss;Staff; Sales \r\n\
            \"bo;b\";\"Bob\nJr\";;no;;Staff;\"x\";\r\n\
            boss;The Boss;b@x.org;;;\"Staff;Heads\";;Board\r\n";
        // One cell is missing in the first line.
        let map = ["--csv", "--map", "Login=userName", "--map", "Notes=", "--create-groups"];
        let with = |more: &[&'static str]| [&["import", "-"][..], &map, more].concat();
        let (code, problems, _) = feed(workplace, &with(&[]), table);
        assert_eq!(code, Some(1), "{problems}");
        assert!(problems.contains("2     ") && problems.contains("7 cells, and there are 8 columns"), "{problems}");
        let table = table.replace("Staff; Sales ", "Staff;; Sales ");

        let (code, _, told) = feed(workplace, &with(&["--dry-run"]), &table);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("2 Group, 3 User"), "{told}");
        assert_eq!(workplace.json(&["user", "list", "--json"]), json!([]));
        let (code, _, told) = feed(workplace, &with(&[]), &table);
        assert_eq!(code, Some(0), "{told}");

        let list = workplace.json(&["user", "list", "--json"]);
        let by_name = |name: &str| {
            let all = list.as_array().unwrap();
            let found = all.iter().find(|entry| entry["resource"]["userName"] == name).unwrap();
            let id = found["resource"]["id"].as_str().unwrap();
            workplace.json(&["user", "show", id, "--json"])["resource"].clone()
        };
        let (mira, bob, boss) = (by_name("mira"), by_name("bo;b"), by_name("boss"));
        assert_eq!(mira["emails"], json!([{"value": "m@x.org", "type": "work", "primary": true}]));
        assert_eq!((&mira["active"], &bob["active"], &boss["active"]), (&json!(true), &json!(false), &json!(true)));
        assert_eq!(bob["name"]["givenName"], "Bob\nJr");
        assert_eq!(mira[ENTERPRISE]["department"], "Sales");
        assert_eq!(mira[ENTERPRISE]["manager"]["value"], boss["id"], "who stands further down");
        let groups = |user: &Value| {
            let groups = user["groups"].as_array().cloned().unwrap_or_default();
            groups.iter().map(|group| group["display"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((groups(&mira), groups(&bob)), (vec!["Staff".to_owned()], vec!["Staff".to_owned()]));
        assert_eq!(groups(&boss).len(), 2);

        // Again: who is there is passed over, or updated where something is said.
        let again = table.replace("m@x.org", "mo@x.org");
        let (code, _, told) = feed(workplace, &with(&[]), &again);
        assert_eq!(code, Some(0), "{told}");
        assert!(
            told.contains("nothing new; passed over: 3") && told.contains("Line 2 is passed over: `mira`"),
            "{told}"
        );
        assert_eq!(by_name("mira"), mira);
        let (code, _, told) = feed(workplace, &with(&["--update"]), &again);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("nothing new; changed: 1 User"), "{told}");
        assert_eq!(by_name("mira")["emails"][0]["value"], "mo@x.org");
        assert_eq!(by_name("mira")["emails"].as_array().unwrap().len(), 1);
        assert_eq!(by_name("bo;b"), bob);

        // A cell is about the values of its type alone.
        let home = "userName,\"emails[type eq \"\"home\"\"].value\"\nmira,home@x.org\n";
        let work = "userName;emails\nmira;\"one@x.org; two@x.org\"\n";
        for table in [home, work, work] {
            let (code, _, told) = feed(workplace, &["import", "-", "--csv", "--update"], table);
            assert_eq!(code, Some(0), "{told}");
        }
        let mira = by_name("mira");
        let mut emails: Vec<_> = mira["emails"].as_array().unwrap().iter().map(|mail| &mail["value"]).collect();
        emails.sort_by_key(|mail| mail.to_string());
        assert_eq!(emails, ["home@x.org", "one@x.org", "two@x.org"]);
    });
}

#[test]
fn an_export_has_every_type_and_no_secrets_unasked() {
    on_each_database(|workplace| {
        std::fs::create_dir(workplace.directory.path().join("schemas")).unwrap();
        let types = json!([
            {"id": "urn:example:Device", "attributes": [
                {"name": "serial", "type": "string"},
                {"name": "pin", "type": "string", "returned": "never"},
            ]},
            {"id": "Device", "endpoint": "/Devices", "schema": "urn:example:Device"},
        ]);
        std::fs::write(workplace.directory.path().join("schemas/device.json"), types.to_string()).unwrap();
        let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim().to_owned();
        let (server, address) = Server::start(workplace, &["serve", "--schemas", "schemas"]);
        let talk = Talk { client: Client::new(&format!("{address}/scim/v2")), address, token, server };
        talk.make("/Devices", json!({"schemas": ["urn:example:Device"], "serial": "A-1", "pin": "4711"}));
        talk.stop();

        let refused = workplace.fail(&["export"]);
        assert!(refused.contains("resources of the type Device"), "{refused}");
        let plain = resources(&workplace.succeed(&["export", "--schemas", "schemas"]));
        assert_eq!((&plain[0]["serial"], &plain[0]["pin"]), (&json!("A-1"), &Value::Null));
        let whole = resources(&workplace.succeed(&["export", "--schemas", "schemas", "--with-password-hashes"]));
        assert_eq!(whole[0]["pin"], "4711");
    });
}

#[test]
fn what_is_imported_finer_than_milliseconds_can_be_copied_and_the_deleted_have_no_password() {
    let (from, to) = (Workplace::postgres(), Workplace::sqlite());
    let unseen = json!({
        "deleted": {"at": "2026-01-02T00:00:00.123456Z", "by": "x"},
        "passwordHash": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
    });
    let gone = json!({
        "schemas": [USER], "id": "gone", "userName": "gone", "urn:scimd:export:1.0": unseen,
        "meta": {"resourceType": "User", "created": "2026-01-01T00:00:00.123456Z", "version": "W/\"1\""},
    });
    let header = json!({"format": "scimd-export", "version": 1});
    let input = format!("{header}\n{gone}\n{}\n", json!({"end": true, "resources": 1}));
    let (code, table, told) = feed(&from, &["import", "-", "--passwords"], &input);
    assert_eq!(code, Some(0), "{table}{told}");

    let whole = resources(&from.succeed(&[&WHOLE[..], &["--passwords"]].concat()));
    assert_eq!(whole[0]["meta"]["created"], "2026-01-01T00:00:00.123Z");
    assert_eq!(whole[0]["urn:scimd:export:1.0"]["passwordHash"], Value::Null);
    let database = to.directory.path().join("copy.db");
    let copied = from.json(&["db", "copy", "--to", &format!("sqlite:{}", database.display()), "--json"]);
    assert_eq!((&copied["resources"], &copied["credentials"]), (&json!(1), &json!(0)));
}

#[test]
fn a_database_of_an_older_scimd_is_copied_to_as_little_as_it_is_migrated() {
    let workplace = Workplace::sqlite();
    let database = workplace.directory.path().join("older.db");
    let mut older = SqliteConnection::establish(&database.display().to_string()).unwrap();
    older.batch_execute("CREATE TABLE tenants (tenant_id INTEGER PRIMARY KEY)").unwrap();

    let refused = workplace.fail(&["db", "copy", "--to", &format!("sqlite:{}", database.display())]);

    assert!(refused.contains("the tables of an older scimd"), "{refused}");
    assert!(older.batch_execute("SELECT * FROM api_keys").is_err(), "it is left as it was");
}

#[test]
fn a_table_with_bad_lines_is_refused_line_by_line_and_column_by_column() {
    on_each_database(|workplace| {
        let table = "userName,active,groups,manager,locale\n\
            a,true,,,\n\
            b,perhaps,,,\n\
            ,true,,,\n\
            A,true,,,\n\
            c,true,Nowhere,,\n\
            d,true,,nobody,\n\
            e,true\n\
            f,true,,,\n";
        let (code, output, _) = feed(workplace, &["import", "-", "--csv", "--json"], table);
        let outcome: Value = serde_json::from_str(&output).unwrap();
        let problems: Vec<(u64, Option<&str>)> = outcome["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| (problem["line"].as_u64().unwrap(), problem["column"].as_str()))
            .collect();

        assert_eq!((code, &outcome["imported"]), (Some(1), &json!(false)));
        let expected = [
            (3, Some("active")),
            (4, Some("userName")),
            (5, Some("userName")),
            (6, Some("groups")),
            (7, Some("manager")),
            (8, None),
        ];
        assert_eq!(problems, expected, "{outcome:#}");
        assert_eq!(workplace.json(&["user", "list", "--json"]), json!([]), "nothing of the good lines either");
        for (table, part) in [
            ("", "the titles of the columns are missing"),
            ("userName,salary\nx,1\n", "the column `salary` names no attribute of users"),
            ("userName,password\nx,1\n", "can't be imported"),
            ("userName,title\nx,\"Dr\ny,Dr\nz,Dr\n", "Line 2: a quotation mark opens here that nothing closes"),
        ] {
            let (code, output, told) = feed(workplace, &["import", "-", "--csv", "--passwords"], table);
            assert_eq!((code, output.as_str()), (Some(1), ""), "{told}");
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(workplace.run(&["import", "-", "--update"]).status.code(), Some(2), "of a table alone");
    });
}

#[test]
fn a_backup_of_a_live_database_serves_in_its_place() {
    let workplace = Workplace::sqlite();
    let talk = Talk::with(&workplace);
    let world = fill(&talk);
    let (path, shown) = file(&workplace, "backup.db");

    workplace.succeed(&["backup", &shown]);
    let seen = talk.see_all(&world.paths);
    let refused = workplace.fail(&["backup", &shown]);
    workplace.succeed(&["backup", "--force", &shown]);
    let token = talk.token.clone();
    talk.stop();

    assert!(refused.contains("--force"), "{refused}");
    let restored = Workplace::sqlite();
    let database = restored.directory.path().join(".local/share/scimd/scimd.db");
    std::fs::create_dir_all(database.parent().unwrap()).unwrap();
    std::fs::rename(path, database).unwrap();
    let talk = Talk::with_key(&restored, &token);
    assert_eq!(talk.see_all(&world.paths), seen);
    talk.stop();
    let elsewhere = Workplace::postgres();
    assert!(elsewhere.fail(&["backup", &shown]).contains("pg_dump"));
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_backup_and_one_sentence() {
    let workplace = Workplace::sqlite();
    workplace.succeed(&["migrate"]);
    let program = workplace.command(&[]).get_program().to_owned();
    // A file may have 64 blocks; whoever goes on is told so instead of killed.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" backup full.db";
    let mut command = std::process::Command::new("sh");
    command.env_clear().env("HOME", workplace.directory.path()).current_dir(workplace.directory.path());
    let output = command.args(["-c", script]).arg(program).output().unwrap();

    let (code, printed, told) = ended(&output);
    assert_eq!((code, printed.as_str()), (Some(1), ""), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("full.db cannot be written") && told.contains("nothing of it is left"), "{told}");
    let names: Vec<_> =
        std::fs::read_dir(workplace.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [".local"]);
}

#[test]
fn a_copied_database_answers_as_the_first_and_knows_its_keys() {
    for [from, to] in [[Workplace::sqlite(), Workplace::postgres()], [Workplace::postgres(), Workplace::sqlite()]] {
        let talk = Talk::with(&from);
        let world = fill(&talk);
        let seen = talk.see_all(&world.paths);
        let token = talk.token.clone();
        talk.stop();
        let database = to.directory.path().join(".local/share/scimd");
        std::fs::create_dir_all(&database).unwrap();
        let sqlite = format!("sqlite:{}", database.join("scimd.db").display());
        let url = to.postgres.clone().unwrap_or(sqlite);

        let copied = from.json(&["db", "copy", "--to", &url, "--json"]);
        assert_eq!((&copied["api_keys"], &copied["resources"]), (&json!(1), &json!(6)));
        let again = from.fail(&["db", "copy", "--to", &url]);
        assert!(again.contains("is not empty"), "{again}");

        let talk = Talk::with_key(&to, &token);
        assert_eq!(talk.see_all(&world.paths), seen);
        talk.make("/Users", user("after", json!({})));
        talk.stop();
        let (of_source, of_copy) = (from.succeed(&WHOLE), to.succeed(&WHOLE));
        let (mut of_source, of_copy) = (resources(&of_source), resources(&of_copy));
        of_source.push(of_copy.last().unwrap().clone());
        assert_eq!(of_copy, of_source);
        let history = |workplace: &Workplace| workplace.json(&["user", "history", &world.deleted_user, "--json"]);
        assert_eq!(history(&from), history(&to));
        assert!(from.fail(&["db", "copy", "--to", "mysql://x"]).contains("Known forms"));
    }
}

#[test]
fn export_import_and_backup_work_from_a_second_machine() {
    for (at, is_sqlite) in [(Workplace::sqlite(), true), (Workplace::postgres(), false)] {
        let talk = Talk::with(&at);
        fill(&talk);
        at.succeed(&["tenant", "create", "copy"]);
        let laptop = Workplace::sqlite();
        let (path, key) = file(&laptop, "key");
        std::fs::write(&path, at.succeed(&["key", "create", "--name", "laptop", "--scope", "admin"])).unwrap();
        let flags = ["--url", &talk.address, "--admin-key-file", &key];
        let with = |arguments: &[&str]| -> Vec<String> {
            arguments.iter().chain(&flags).map(|argument| (*argument).to_owned()).collect()
        };
        fn borrowed(arguments: &[String]) -> Vec<&str> {
            arguments.iter().map(String::as_str).collect()
        }

        let export = laptop.succeed(&borrowed(&with(&WHOLE)));
        assert_eq!(resources(&export), resources(&at.succeed(&WHOLE)));
        let (code, output, _) = feed(&laptop, &borrowed(&with(&["import", "-", "--json"])), &export);
        let outcome: Value = serde_json::from_str(&output).unwrap();
        assert_eq!((code, &outcome["problems"][0]["line"]), (Some(1), &json!(2)));
        let to_copy = with(&["import", "-", "--csv", "--tenant", "copy"]);
        let (code, _, told) = feed(&laptop, &borrowed(&to_copy), "userName;active\nmira;no\n");
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(at.json(&["user", "list", "--tenant", "copy", "--json"])[0]["resource"]["active"], false);
        let unknown = laptop.fail(&borrowed(&with(&["export", "--tenant", "nowhere"])));
        assert!(unknown.contains("`default`"), "{unknown}");

        let (backup, shown) = file(&laptop, "backup.db");
        let arguments = with(&["backup", &shown]);
        if is_sqlite {
            laptop.succeed(&borrowed(&arguments));
            let url = format!("sqlite:{}", backup.display());
            let of_backup = laptop.succeed(&[&WHOLE[..], &["--database-url", &url]].concat());
            assert_eq!(resources(&of_backup), resources(&export));
        } else {
            assert!(laptop.fail(&borrowed(&arguments)).contains("pg_dump"));
            assert!(!backup.exists());
        }
        let local = laptop.fail(&borrowed(&with(&["db", "copy", "--to", "sqlite:x.db"])));
        assert!(local.contains("without `--url`"), "{local}");
        talk.stop();
    }
}
