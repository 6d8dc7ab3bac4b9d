//! Export, import, backup and the move to another database: what comes out at the other end is what went in.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use serde_json::{Value, json};

use crate::support::http::Client;
use crate::{Server, Workplace, on_each_database, text};

pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What stands in front of every location, wherever the server is: so that whole answers can be compared.
const PUBLIC: [&str; 3] = ["--public-url", "https://idm.example", "--passwords"];

/// A client of a running server.
pub(super) struct Talk {
    client: Client,
    address: String,
    token: String,
    server: Server,
}

impl Talk {
    pub(super) fn with(workplace: &Workplace) -> Talk {
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

    pub(super) fn stop(self) {
        assert_eq!(self.server.stop(), Some(0));
    }
}

/// What there was, and every way to look at it.
pub(super) struct World {
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
pub(super) fn fill(talk: &Talk) -> World {
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

pub(super) fn file(workplace: &Workplace, name: &str) -> (PathBuf, String) {
    let file = workplace.directory.path().join(name);
    let shown = file.display().to_string();
    (file, shown)
}

/// The resources of an export, without its first and its last line.
pub(super) fn resources(export: &str) -> Vec<Value> {
    let lines: Vec<&str> = export.lines().collect();
    lines[1..lines.len() - 1].iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Exit code, standard output and standard error of a command that was fed this.
pub(super) fn feed(workplace: &Workplace, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = workplace.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ended(&child.wait_with_output().unwrap())
}

pub(super) fn ended(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

pub(super) const WHOLE: [&str; 3] = ["export", "--deleted", "--with-password-hashes"];

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
        assert!(told.contains("error: Nothing is imported: 5 things"), "{told}");
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
        (with(3, ""), "resources were exported"),
        (with(3, "{"), "Line 4 can't be read"),
        (with(3, "[]"), "Line 4 can't be read: it must be a JSON object."),
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
        (changed("\"id\":\"", "\"id\":\"a/"), "`id` must be"),
        (changed("\"id\":\"", "\"id\":\"bulkId:"), "`id` must be"),
        (changed("\"id\":", &format!("{unseen}{{\"name\":\"boss\"}},\"id\":")), "is none that scimd gives to it"),
        (
            changed("\"id\":", &format!("{unseen}{{\"withheld\":{{\"title\":\"\\u0000\"}}}},\"id\":")),
            "must not contain the character U+0000",
        ),
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

#[test]
fn whoever_knows_other_schemas_can_not_tell_what_is_secret() {
    on_each_database(|workplace| {
        let types = json!([
            {"id": "urn:example:Badge", "attributes": [
                {"name": "colour", "type": "string"},
                {"name": "pin", "type": "string", "returned": "never"},
            ]},
            {"id": "User", "schemaExtensions": [{"schema": "urn:example:Badge", "required": false}]},
        ]);
        std::fs::write(workplace.directory.path().join("badge.json"), types.to_string()).unwrap();
        let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim().to_owned();
        let (server, address) = Server::start(workplace, &["serve", "--schemas", "badge.json"]);
        let talk = Talk { client: Client::new(&format!("{address}/scim/v2")), address, token, server };
        let badge = json!({"colour": "red", "pin": "4711"});
        talk.make(
            "/Users",
            json!({"schemas": [USER, "urn:example:Badge"], "userName": "mira", "urn:example:Badge": badge}),
        );
        talk.stop();

        let plain = resources(&workplace.succeed(&["export", "--schemas", "badge.json"]));
        assert_eq!(plain[0]["urn:example:Badge"], json!({"colour": "red"}));
        let id = plain[0]["id"].as_str().unwrap();
        let shown = workplace.json(&["user", "show", id, "--schemas", "badge.json", "--json"]);
        assert_eq!(shown["resource"]["urn:example:Badge"], json!({"colour": "red"}));

        let questions: [&[&str]; 4] = [&["export"], &["user", "list"], &["user", "show", id], &["user", "history", id]];
        for question in questions {
            let refused = workplace.fail(question);
            assert!(refused.contains("The schemas of User that this process knows"), "{refused}");
        }
    });
}

#[test]
fn before_the_first_start_nothing_is_shown_that_no_schema_defines() {
    on_each_database(|workplace| {
        let types = json!([
            {"id": "urn:example:Badge", "attributes": [{"name": "pin", "type": "string", "returned": "never"}]},
            {"id": "User", "schemaExtensions": [{"schema": "urn:example:Badge", "required": false}]},
        ]);
        std::fs::write(workplace.directory.path().join("badge.json"), types.to_string()).unwrap();
        let mira = json!({"schemas": [USER, "urn:example:Badge"], "id": "m", "userName": "mira", "title": "Dr",
            "urn:example:Badge": {"pin": "4711"}});
        let (code, _, told) =
            feed(workplace, &["import", "-", "--schemas", "badge.json"], &written_by_hand(std::slice::from_ref(&mira)));
        assert_eq!(code, Some(0), "{told}");

        let (code, plain, told) = feed(workplace, &["export"], "");
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("lacks something of one resource") && told.contains("`scimd export --with-password"));
        let plain = resources(&plain);
        assert_eq!((&plain[0]["title"], &plain[0]["urn:example:Badge"]), (&json!("Dr"), &Value::Null));
        let at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        for question in [
            &["user", "list", "--json"][..],
            &["user", "show", "m", "--json"],
            &["user", "history", "m", "--json"],
            &["export", "--at", &at],
            &["user", "show", "m", "--at", &at, "--json"],
        ] {
            let shown = workplace.succeed(question);
            assert!(shown.contains("mira") && !shown.contains("4711"), "{question:?}: {shown}");
        }
        let whole = resources(&workplace.succeed(&["export", "--with-password-hashes"]));
        assert_eq!(whole[0]["urn:example:Badge"], mira["urn:example:Badge"], "for whoever asks for it");
    });
}

#[cfg(unix)]
#[test]
fn an_import_reads_a_pipe_with_a_name_once() {
    let workplace = Workplace::sqlite();
    let (path, shown) = file(&workplace, "pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut command = workplace.command(&["import", "--csv", &shown]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    std::fs::write(&path, "userName\nmira\n").unwrap();

    let (code, _, told) = ended(&child.wait_with_output().unwrap());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("new: 1 User"), "{told}");
}

/// An export without digest, as somebody writes it by hand.
fn written_by_hand(resources: &[Value]) -> String {
    let header = json!({"format": "scimd-export", "version": 1});
    let lines: String = resources.iter().map(|resource| format!("{resource}\n")).collect();
    format!("{header}\n{lines}{}\n", json!({"end": true, "resources": resources.len()}))
}

/// As many as one batch has, one less and one more; none at all.
#[test]
fn an_import_may_have_any_number_of_resources() {
    on_each_database(|workplace| {
        for count in [0, 199, 200, 201] {
            let tenant = format!("of-{count}");
            workplace.succeed(&["tenant", "create", &tenant]);
            let users =
                (0..count).map(|number| user(&format!("u{number}"), json!({"id": format!("{count}-{number}")})));
            let file = written_by_hand(&users.collect::<Vec<_>>());
            for arguments in [&["--dry-run"][..], &[]] {
                let arguments = [&["import", "-", "--tenant", &tenant, "--json"][..], arguments].concat();
                let (code, output, told) = feed(workplace, &arguments, &file);
                assert_eq!(code, Some(0), "{count}: {output}{told}");
            }
            assert_eq!(resources(&workplace.succeed(&["export", "--tenant", &tenant])).len(), count);
        }
        let (code, table, told) = feed(workplace, &["import", "-"], &written_by_hand(&[json!({"userName": "x"})]));
        assert_eq!(code, Some(1), "{told}");
        assert!(table.contains("neither `meta.resourceType` nor `schemas` says what it is"), "{table}{told}");
    });
}

#[test]
fn an_export_may_come_through_editors_and_other_systems() {
    let source = Workplace::sqlite();
    let talk = Talk::with(&source);
    fill(&talk);
    talk.stop();
    let export = source.succeed(&["export"]);
    let handed_round = format!("\u{feff}{}\r\n", export.replace('\n', "\r\n\r\n"));

    let workplace = Workplace::sqlite();
    let (code, table, told) = feed(&workplace, &["import", "-"], &handed_round);

    assert_eq!(code, Some(0), "{table}{told}");
    assert_eq!(resources(&workplace.succeed(&["export"])), resources(&export));
}

#[test]
fn an_attribute_may_be_called_as_what_ends_an_export() {
    let types = json!([
        {"id": "urn:example:Lease", "attributes": [{"name": "end", "type": "boolean"}]},
        {"id": "Lease", "endpoint": "/Leases", "schema": "urn:example:Lease"},
    ]);
    on_each_database(|workplace| {
        std::fs::write(workplace.directory.path().join("lease.json"), types.to_string()).unwrap();
        let lease = json!({"schemas": ["urn:example:Lease"], "id": "1", "end": true});
        let file = written_by_hand(&[lease]);

        let (code, table, told) = feed(workplace, &["import", "-", "--schemas", "lease.json"], &file);

        assert_eq!(code, Some(0), "{table}{told}");
        let export = workplace.succeed(&["export", "--schemas", "lease.json"]);
        assert_eq!(resources(&export)[0]["end"], true);
    });
}
