//! The real program, as an operator runs it: every command, what it prints where, and its exit code.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

#[path = "command_line/audit.rs"]
mod audit;
#[path = "command_line/conformance.rs"]
mod conformance;
#[path = "command_line/doctor.rs"]
mod doctor;
#[path = "command_line/half_done.rs"]
mod half_done;
#[path = "command_line/health.rs"]
mod health;
#[path = "command_line/remote.rs"]
mod remote;
#[path = "command_line/resources.rs"]
mod resources;
#[path = "command_line/rollout.rs"]
mod rollout;
mod support;
#[path = "command_line/tables.rs"]
mod tables;
#[path = "command_line/tenants.rs"]
mod tenants;
#[cfg(feature = "otlp")]
#[path = "command_line/traces.rs"]
mod traces;
#[path = "command_line/transfer.rs"]
mod transfer;
#[path = "command_line/undo.rs"]
mod undo;
#[path = "command_line/wrong_server.rs"]
mod wrong_server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::http::Client;
use support::postgres;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_scimd");
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory of its own, and a database in it or on the throwaway PostgreSQL.
struct Workplace {
    directory: TempDir,
    postgres: Option<String>,
}

impl Workplace {
    fn sqlite() -> Self {
        Workplace { directory: tempfile::tempdir().unwrap(), postgres: None }
    }

    fn postgres() -> Self {
        Workplace { postgres: Some(postgres::database_url()), directory: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("HOME", self.directory.path()).current_dir(self.directory.path()).args(arguments);
        if let Some(url) = &self.postgres {
            command.env("SCIMD_DATABASE_URL", url);
        }
        command
    }

    /// The same, started by another program with arguments of its own: `env`, `sh`.
    fn command_by(&self, starter: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(starter[0]);
        command.env_clear().env("HOME", self.directory.path()).current_dir(self.directory.path());
        command.args(&starter[1..]).arg(PROGRAM).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that succeeds.
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.succeed(arguments);
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output}"))
    }

    /// Standard error of a command that fails with exit code 1 and prints no result.
    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        let sentence = text(&output.stderr);
        assert!(sentence.lines().last().unwrap().starts_with("error: "), "{sentence}");
        sentence
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if let Some(url) = &self.postgres {
            postgres::drop_database(url);
        }
    }
}

fn on_each_database(test: impl Fn(&Workplace)) {
    test(&Workplace::sqlite());
    test(&Workplace::postgres());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The public part of a token.
fn key_id(token: &str) -> &str {
    token.split('_').nth(1).unwrap()
}

#[test]
fn auth_03_a_token_is_printed_once_and_alone() {
    on_each_database(|workplace| {
        let output = workplace.run(&["key", "create", "--name", "okta"]);
        let token = text(&output.stdout);
        let listed = workplace.succeed(&["key", "list"]);
        let as_json = workplace.json(&["key", "list", "--json"]);
        let shown = workplace.succeed(&["key", "show", &format!("scimd_{}", key_id(&token))]);

        assert_eq!(output.status.code(), Some(0));
        assert_eq!((token.lines().count(), token.trim_end().len()), (1, 57), "{token}");
        assert!(text(&output.stderr).contains("shown only now"), "{}", text(&output.stderr));
        for text in [&listed, &as_json.to_string(), &shown] {
            assert!(text.contains(key_id(&token)) && text.contains("active"), "{text}");
            assert!(!text.contains(token.trim_end()) && !text.contains("argon2"), "{text}");
        }
        let key = &as_json[0];
        assert_eq!(key["scopes"], json!(["read", "write"]));
        assert_eq!((&key["tenant"], &key["profile"]), (&json!("default"), &json!("compat")));
        assert_eq!(key["lastFour"], token.trim_end()[53..]);
    });
}

#[test]
fn auth_04_keys_expire_unless_asked_otherwise() {
    let workplace = Workplace::sqlite();
    let year = workplace.json(&["key", "create", "--name", "a", "--json"]);
    let never = workplace.json(&["key", "create", "--name", "b", "--expires", "never", "--json"]);
    let refused = workplace.run(&["key", "create", "--name", "c", "--expires", "soon"]);

    let instant = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    assert_eq!((instant(&year["expires"]) - instant(&year["created"])).num_days(), 365);
    assert_eq!(never["expires"], Value::Null);
    assert!(year["token"].as_str().unwrap().starts_with("scimd_"));
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("365d"));
}

#[test]
fn auth_04_rotation_makes_a_like_key_and_ends_the_old_one() {
    on_each_database(|workplace| {
        workplace.succeed(&["tenant", "create", "acme"]);
        let create = ["key", "create", "--name", "okta", "--tenant", "acme", "--profile", "strict", "--json"];
        let old = workplace.json(&[&create[..], &["--scope", "users:write", "groups:read"]].concat());
        let id = old["id"].as_str().unwrap();
        let token = workplace.succeed(&["key", "rotate", id, "--overlap", "7d", "--expires", "30d"]);
        let keys = workplace.json(&["key", "list", "--tenant", "acme", "--json"]);
        workplace.succeed(&["key", "rotate", key_id(&token), "--overlap", "0"]);
        let ended = workplace.json(&["key", "show", key_id(&token), "--json"]);

        let new = keys.as_array().unwrap().iter().find(|key| key["id"] == key_id(&token)).unwrap();
        for member in ["name", "tenant", "profile", "scopes"] {
            assert_eq!(new[member], old[member], "{member}");
        }
        assert_eq!(new["rotatedFrom"], old["id"]);
        let overlapping = keys.as_array().unwrap().iter().find(|key| key["id"] == id).unwrap();
        assert_eq!(overlapping["status"], "active");
        assert!(overlapping["expires"].as_str() < old["expires"].as_str());
        assert_eq!(ended["status"], "expired");
        let ids = |arguments: &[&str]| -> Vec<String> {
            let listed = workplace.json(&[&["key", "list", "--json"], arguments].concat());
            listed.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(&["--status", "expired"]), [key_id(&token)]);
        assert_eq!(ids(&["--expiring", "8d"]), [id], "the last one is good for a year");
        let none = workplace.run(&["key", "list", "--status", "revoked"]);
        assert_eq!((text(&none.stdout), text(&none.stderr)), (String::new(), "There are no such keys.\n".to_owned()));
    });
}

#[test]
fn auth_03_a_revoked_key_stays_revoked() {
    on_each_database(|workplace| {
        let token = workplace.succeed(&["key", "create", "--name", "okta"]);
        // A whole token is understood as well: whoever finds a leaked one wants to be rid of it.
        let revoked = workplace.json(&["key", "revoke", token.trim_end(), "--json"]);
        let again = workplace.json(&["key", "revoke", key_id(&token), "--json"]);
        let rotated = workplace.fail(&["key", "rotate", key_id(&token)]);

        assert_eq!(revoked["status"], "revoked");
        assert_eq!(again["revoked"], revoked["revoked"]);
        assert!(rotated.contains("is revoked"), "{rotated}");
    });
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let workplace = Workplace::sqlite();
    for (arguments, part) in [
        (&["key", "show", "nosuchkey"][..], "scimd key list"),
        (&["key", "revoke", "scimd_nosuchkey_secret"], "`nosuchkey`"),
        (&["key", "rotate", "nosuchkey"], "`nosuchkey`"),
        (&["key", "create", "--name", "x", "--tenant", "acme"], "`default`"),
        (&["key", "create", "--name", "x", "--scope", "user:read"], "Did you mean `users:read`?"),
        (&["key", "create", "--name", " "], "needs a name"),
        (&["key", "create", "--name", "x", "--scope", "me"], "--user"),
        (&["key", "create", "--name", "x", "--user", "nobody"], "scimd user list"),
        (&["tenant", "set", "acme", "--group-names", "free"], "`default`"),
        (&["tenant", "create", "a b"], "letters"),
        (&["tenant", "create", "default"], "already"),
        (&["user", "show", "nobody"], "scimd user list --deleted"),
        (&["user", "restore", "nobody"], "scimd user list --deleted"),
        (&["group", "show", "nobody"], "scimd group list"),
        (&["user", "list", "--filter", "nosuchattribute eq 1"], "nosuchattribute"),
    ] {
        let sentence = workplace.fail(arguments);
        assert!(sentence.contains(part), "{arguments:?}: {sentence}");
        assert!(!sentence.contains("secret"), "{sentence}");
    }
}

#[test]
fn res_21_a_bad_file_of_schemas_is_refused_with_file_line_and_reason() {
    let workplace = Workplace::sqlite();
    let file = |name: &str, text: &str| std::fs::write(workplace.directory.path().join(name), text).unwrap();
    file("broken.json", "[\n{]");
    file(
        "wrong.json",
        "{\"id\": \"urn:example:Device\",\n\"attributes\": [\n{\"name\": \"id\", \"type\": \"string\"}]}",
    );
    for (schemas, part) in [
        ("broken.json", "broken.json, line 2: this is not JSON"),
        ("wrong.json", "wrong.json, line 3: `id` is a common attribute of every resource"),
        ("missing.json", "`schemas` names the file missing.json, which cannot be read"),
    ] {
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["user", "list"]] {
            let sentence = workplace.fail(&[command, &["--schemas", schemas]].concat());
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}

#[test]
fn res_21_commands_know_the_types_of_the_files() {
    let workplace = Workplace::sqlite();
    std::fs::create_dir(workplace.directory.path().join("schemas")).unwrap();
    let types = json!([
        {"id": "urn:example:Device", "attributes": [{"name": "label", "type": "string"}]},
        {"id": "Device", "endpoint": "/Devices", "schema": "urn:example:Device"},
    ]);
    std::fs::write(workplace.directory.path().join("schemas/device.json"), types.to_string()).unwrap();
    let create = ["key", "create", "--name", "x", "--scope", "devices:write"];
    workplace.succeed(&[&create[..], &["--schemas", "schemas"]].concat());
    let unknown = workplace.fail(&create);
    assert!(unknown.contains("`devices:write` is not a scope"), "{unknown}");
}

#[test]
fn a_database_that_cannot_be_used_says_what_to_do() {
    let workplace = Workplace::sqlite();
    for (url, part) in [
        ("mysql://root:hunter2@db/x", "sqlite:"),
        ("hunter2", "sqlite:"),
        ("postgres://u:hunter2@127.0.0.1:1/d", "check that PostgreSQL is running"),
        ("sqlite:missing/scimd.db", "create its directory"),
    ] {
        for command in [&["key", "list"][..], &["serve", "--listen", "127.0.0.1:0"], &["migrate"]] {
            let sentence = workplace.fail(&[command, &["--database-url", url]].concat());
            assert!(sentence.contains(part), "{url}: {sentence}");
            assert!(!sentence.contains("hunter2"), "{sentence}");
        }
    }
}

#[test]
fn migrations_are_listed_once() {
    on_each_database(|workplace| {
        let first = workplace.succeed(&["migrate"]);
        let second = workplace.succeed(&["migrate"]);

        assert!(first.lines().all(|line| line.contains('_')) && !first.is_empty(), "{first}");
        assert_eq!(second, "");
    });
}

#[cfg(unix)]
#[test]
fn the_data_directory_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let workplace = Workplace::sqlite();
    let directory = workplace.directory.path().join("a/b");

    workplace.succeed(&["migrate", "--data-dir", directory.to_str().unwrap()]);

    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(directory.join("scimd.db").exists());
}

#[test]
fn tenants_are_made_listed_and_set_up() {
    on_each_database(|workplace| {
        workplace.succeed(&["tenant", "create", "acme"]);
        workplace.succeed(&["tenant", "set", "acme", "--group-names", "unique"]);
        let listed = workplace.json(&["tenant", "list", "--json"]);

        let rules: Vec<_> = listed.as_array().unwrap().iter().map(|t| (&t["name"], &t["groupNames"])).collect();
        assert_eq!(rules, [(&json!("default"), &json!("by-external-id")), (&json!("acme"), &json!("unique"))]);
        assert!(workplace.succeed(&["tenant", "list"]).contains("acme"));
        let nothing = workplace.run(&["tenant", "set", "acme"]);
        assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing.stdout));
        workplace.succeed(&["tenant", "set", "acme", "--require-if-match", "true"]);
    });
}

#[test]
fn empty_lists_are_empty_on_standard_output() {
    let workplace = Workplace::sqlite();
    for command in [
        &["key", "list"][..],
        &["user", "list"],
        &["user", "list", "--deleted"],
        &["group", "list"],
        &["group", "list", "--unresolved"],
    ] {
        assert_eq!(workplace.succeed(command), "", "{command:?}");
        assert_eq!(workplace.json(&[command, &["--json"]].concat()), json!([]), "{command:?}");
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let workplace = Workplace::sqlite();
    workplace.succeed(&["key", "create", "--name", "okta"]);
    for arguments in [&["key", "list"][..], &["completions", "bash"], &["--help"]] {
        let mut child = workplace.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn every_command_has_help_and_its_leaves_have_examples() {
    let workplace = Workplace::sqlite();
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = 0;
    while let Some(command) = commands.pop() {
        let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = workplace.succeed(&arguments);
        let names = subcommands(&help);
        seen += 1;
        assert!(!names.is_empty() || help.contains("Example"), "{command:?}: {help}");
        commands.extend(names.into_iter().map(|name| [&command[..], &[name]].concat()));
    }
    assert!(seen >= 22, "only {seen} commands were found");
}

/// The names under `Commands:`, without `help`.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Without a database: nothing is made in the workplace.
#[test]
fn openapi_prints_the_document_of_this_configuration() {
    let workplace = Workplace::sqlite();

    let document = workplace.json(&["openapi", "--public-url", "https://idm.example"]);
    let open = workplace.json(&["openapi", "--open-discovery", "--metrics-listen", "127.0.0.1:9090"]);

    assert_eq!(document["servers"][0]["url"], "https://idm.example");
    assert!(document["paths"]["/metrics"].is_object());
    assert_eq!(document["paths"]["/scim/v2/Schemas"]["get"].get("security"), None);
    assert_eq!(open["paths"].get("/metrics"), None);
    assert_eq!(open["paths"]["/scim/v2/Schemas"]["get"]["security"], json!([]));
    assert_eq!(std::fs::read_dir(workplace.directory.path()).unwrap().count(), 0);
}

#[test]
fn completions_are_there_for_the_usual_shells() {
    let workplace = Workplace::sqlite();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(workplace.succeed(&["completions", shell]).contains("quickstart"), "{shell}");
    }
    assert_eq!(workplace.run(&["completions", "tcsh"]).status.code(), Some(2));
}

/// A server that a test has started, stopped when it goes.
struct Server {
    child: Child,
    log: Receiver<String>,
}

impl Server {
    /// Starts the command on a free port and waits for the line that says where it listens.
    fn start(workplace: &Workplace, arguments: &[&str]) -> (Server, String) {
        Server::launch(workplace.command(arguments))
    }

    fn launch(command: Command) -> (Server, String) {
        Server::launch_with_log(command, "pretty")
    }

    fn launch_with_log(mut command: Command, format: &str) -> (Server, String) {
        command.args(["--listen", "127.0.0.1:0", "--log-format", format, "--workers", "1"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let errors = child.stderr.take().unwrap();
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let server = Server { child, log };
        let line = server.line_with("listening on ");
        let address = line.split("listening on ").nth(1).unwrap().split(',').next().unwrap().to_owned();
        (server, address)
    }

    fn line_with(&self, part: &str) -> String {
        self.lines_to(part).pop().unwrap()
    }

    /// What is logged until a line has that in it.
    fn lines_to(&self, part: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines: Vec<String> = Vec::new();
        while !lines.last().is_some_and(|line| line.contains(part)) {
            let line = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            lines.push(line.unwrap_or_else(|_| panic!("no line with {part:?}")));
        }
        lines
    }

    /// Sends SIGTERM; the exit code.
    fn stop(self) -> Option<i32> {
        self.terminate();
        self.exit_code()
    }

    /// Sends SIGTERM.
    fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    fn exit_code(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None if Instant::now() > deadline => panic!("the server does not stop"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serve_is_healthy_says_what_is_missing_and_stops_on_sigterm() {
    let workplace = Workplace::sqlite();
    let (server, address) = Server::start(&workplace, &["serve"]);
    server.line_with("scimd key create");
    let listen = address.strip_prefix("http://").unwrap().to_owned();

    workplace.succeed(&["healthcheck", "--listen", &listen]);
    workplace.succeed(&["key", "create", "--name", "beside"]);
    assert_eq!(server.stop(), Some(0));
    let dead = workplace.fail(&["healthcheck", "--listen", &listen]);
    assert!(dead.contains("does not answer"), "{dead}");
}

#[test]
fn whoever_speaks_no_http_raises_no_alarm() {
    let workplace = Workplace::sqlite();
    let (server, address) = Server::start(&workplace, &["serve"]);
    for garbage in ["SSH-2.0-OpenSSH\r\n\r\n", "GET / HTTP/1.1\r\nNo header\r\n\r\n"] {
        let mut stream = std::net::TcpStream::connect(address.trim_start_matches("http://")).unwrap();
        stream.write_all(garbage.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(Client::new(&address).send("GET", "/healthz", &[], None).unwrap().status, 200);

    let log = server.lines_to("route=\"/healthz\"").join("\n");

    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn usr_05_usr_07_sec_01_passwords_are_kept_if_asked_for_and_never_logged() {
    on_each_database(|workplace| {
        let (server, address) = Server::start(workplace, &["serve", "--passwords", "--log", "trace"]);
        let token = workplace.succeed(&["key", "create", "--name", "okta"]);
        let client = Client::new(&format!("{address}/scim/v2"));
        let call = |method: &str, path: &str, body: Value| {
            let response = client.call(token.trim_end(), method, path, Some(&body)).unwrap();
            (response.status, response.json())
        };
        let search = |filter: &str| {
            let schemas = json!(["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]);
            call("POST", "/Users/.search", json!({"schemas": schemas, "filter": filter}))
        };

        let (status, mira) = call("POST", "/Users", json!({"userName": "mira", "password": "hunter2hunter2"}));
        assert_eq!(status, 201);
        let path = format!("/Users/{}", mira["id"].as_str().unwrap());
        let operation = json!({"op": "replace", "path": "password", "value": "hunter2\u{7}"});
        assert_eq!(call("PATCH", &path, json!({"Operations": [operation]})).0, 400);
        assert_eq!(call("PUT", &path, json!({"userName": "mira", "password": {"hunter2": "hunter2"}})).0, 400);
        assert_eq!(search(r#"userName eq "mira" and password eq "hunter2hunter2""#).1["totalResults"], 1);
        assert_eq!(search(r#"userName eq "mira" and password eq "hunter2" and"#).0, 400);
        assert_eq!(
            client.call(token.trim_end(), "GET", "/ServiceProviderConfig", None).unwrap().json()["changePassword"],
            json!({"supported": true})
        );
        client.call(token.trim_end(), "GET", "/ResourceTypes/TheLast", None).unwrap();

        let log = server.lines_to("route=\"/scim/v2/ResourceTypes/{name}\"").join("\n");
        assert!(!log.contains("hunter2") && !log.contains("argon2"), "{log}");
        let shown = workplace.succeed(&["user", "show", mira["id"].as_str().unwrap()]);
        assert!(!shown.contains("hunter2") && !shown.contains("argon2"), "{shown}");
        assert_eq!(server.stop(), Some(0));
    });
}

#[test]
fn a_port_in_use_says_what_to_do() {
    let workplace = Workplace::sqlite();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    let in_use = workplace.fail(&["serve", "--listen", &address.to_string()]);
    let elsewhere = workplace.fail(&["serve", "--listen", "192.0.2.1:8080"]);

    assert!(in_use.contains("in use") && in_use.contains("--listen 127.0.0.1:"), "{in_use}");
    assert!(elsewhere.contains("no such address") && elsewhere.contains("0.0.0.0:8080"), "{elsewhere}");
    assert!(!workplace.directory.path().join(".local").exists(), "nothing is made before the port is known to be free");
}

#[test]
fn quickstart_prints_requests_that_work_as_printed() {
    let workplace = Workplace::sqlite();
    let (mut server, address) = Server::start(&workplace, &["quickstart"]);
    let mut output = BufReader::new(server.child.stdout.take().unwrap());
    let mut lines = Vec::new();
    while lines.iter().filter(|line: &&String| line.starts_with("curl")).count() < 3 {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "{lines:?}");
        lines.push(line);
    }

    assert!(lines[0].contains(&format!("{address}/scim/v2")), "{lines:?}");
    let answers: Vec<Value> =
        lines.iter().filter(|line| line.starts_with("curl")).map(|line| run_in_shell(line)).collect();
    assert_eq!(answers[0]["totalResults"], 0);
    assert_eq!(answers[1]["userName"], "mira@example.com");
    assert_eq!(answers[2]["Resources"][0]["id"], answers[1]["id"]);
    assert_eq!(server.stop(), Some(0));

    let (mut server, _) = Server::start(&workplace, &["quickstart"]);
    server.line_with("There is a key already");
    let again = server.child.stdout.take().unwrap();
    assert_eq!(server.stop(), Some(0));
    let mut rest = String::new();
    BufReader::new(again).read_to_string(&mut rest).unwrap();
    assert!(rest.contains("SCIM base URL") && !rest.contains("scimd_"), "{rest}");
}

fn run_in_shell(line: &str) -> Value {
    let mut shell =
        Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {}", text(&output.stdout)))
}

#[test]
fn me_01_a_key_is_bound_to_a_user_by_name_or_id() {
    on_each_database(|workplace| {
        let (server, address) = Server::start(workplace, &["serve"]);
        let token = workplace.succeed(&["key", "create", "--name", "okta"]);
        let client = Client::new(&format!("{address}/scim/v2"));
        let user = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "Mira \"M\""});
        let id = client.call(token.trim_end(), "POST", "/Users", Some(&user)).unwrap().json()["id"].clone();

        let by_name = workplace.json(&["key", "create", "--name", "mira", "--user", "mira \"m\"", "--json"]);
        let by_id = ["key", "create", "--name", "mira", "--user", id.as_str().unwrap(), "--scope", "me,read", "--json"];
        let by_id = workplace.json(&by_id);

        let expected = json!({"id": id, "userName": "Mira \"M\"", "deleted": false});
        assert_eq!((&by_name["user"], &by_name["scopes"]), (&expected, &json!(["me"])));
        assert_eq!((&by_id["user"], &by_id["scopes"]), (&expected, &json!(["read", "me"])));
        let rotated = workplace.json(&["key", "rotate", by_name["id"].as_str().unwrap(), "--json"]);
        assert_eq!((&rotated["user"], &rotated["scopes"]), (&expected, &json!(["me"])));
        for key in [&by_name, &by_id, &rotated] {
            let me = client.call(key["token"].as_str().unwrap(), "GET", "/Me", None).unwrap();
            assert_eq!((me.status, &me.json()["id"]), (200, &id));
        }
        let shown = workplace.succeed(&["key", "show", rotated["id"].as_str().unwrap()]);
        assert!(shown.contains("Mira \"M\"") && shown.contains(id.as_str().unwrap()), "{shown}");
        let path = format!("/Users/{}", id.as_str().unwrap());
        assert_eq!(client.call(token.trim_end(), "DELETE", &path, None).unwrap().status, 204);
        let listed = workplace.succeed(&["key", "list"]);
        assert!(listed.contains("Mira \"M\" (deleted)"), "{listed}");
        assert_eq!(server.stop(), Some(0));
    });
}

#[test]
fn del_06_deleted_resources_are_shown_and_restored_beside_the_server() {
    on_each_database(|workplace| {
        let (server, address) = Server::start(workplace, &["serve"]);
        let token = workplace.succeed(&["key", "create", "--name", "okta"]);
        let token = token.trim_end();
        let client = Client::new(&format!("{address}/scim/v2"));
        let call = |method: &str, path: &str, body: Option<Value>| client.call(token, method, path, body.as_ref());
        let post =
            |path: &str, body: Value| call("POST", path, Some(body)).unwrap().json()["id"].as_str().unwrap().to_owned();
        let user = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "mira"});
        let id = post("/Users", user.clone());
        let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Field team",
            "externalId": "1", "members": [{"value": id}, {"value": "nobody"}]});
        let group_id = post("/Groups", group);
        post(
            "/Groups",
            json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "field TEAM", "externalId": "2"}),
        );

        let unresolved = workplace.json(&["group", "list", "--unresolved", "--json"]);
        assert_eq!(unresolved, json!([{"id": group_id, "displayName": "Field team", "unresolvedMembers": 1}]));
        let groups = workplace.succeed(&["group", "list"]);
        assert!(groups.contains("field_team") && groups.contains(&group_id), "{groups}");
        let clash = workplace.fail(&["tenant", "set", "default", "--group-names", "unique"]);
        assert!(clash.to_lowercase().contains("field team"), "{clash}");
        assert_eq!(workplace.json(&["tenant", "list", "--json"])[0]["groupNames"], "by-external-id");

        assert_eq!(call("DELETE", &format!("/Users/{id}"), None).unwrap().status, 204);
        assert_eq!(workplace.succeed(&["user", "list"]), "");
        let deleted = workplace.json(&["user", "list", "--deleted", "--json"]);
        assert_eq!(
            (&deleted[0]["resource"]["userName"], &deleted[0]["deletedBy"]),
            (&json!("mira"), &json!(key_id(token)))
        );
        let shown = workplace.succeed(&["user", "show", &id]);
        assert!(shown.contains("deleted") && shown.contains("Field team"), "{shown}");
        let changes = workplace.json(&["user", "history", &id, "--json"]);
        assert_eq!((&changes[0]["operation"], &changes[0]["key"]), (&json!("create"), &json!(key_id(token))));
        assert_eq!((&changes[1]["operation"], &changes[2]), (&json!("delete"), &Value::Null));
        let created = changes[0]["at"].as_str().unwrap();
        let past = workplace.json(&["user", "show", &id, "--at", created, "--json"]);
        assert_eq!((&past["status"], &past["resource"]["userName"]), (&json!("live"), &json!("mira")));
        assert_eq!((&past["version"], &past["at"]), (&json!(1), &changes[0]["at"]));
        let of_group = workplace.succeed(&["group", "history", &group_id]);
        assert!(
            of_group.contains(&format!("  + member {id}\n")) && of_group.contains("+ member nobody\n"),
            "{of_group}"
        );
        assert!(of_group.contains("  leave  by ") && of_group.contains(&format!("  - member {id}\n")), "{of_group}");
        let latest = workplace.run(&["group", "history", &group_id, "--limit", "1"]);
        assert!(!text(&latest.stdout).contains("create") && text(&latest.stderr).contains("--limit"), "{latest:?}");
        let early = workplace.fail(&["user", "show", &id, "--at", "2020-01-01T00:00:00Z"]);
        assert!(early.contains("was not there yet"), "{early}");
        assert!(workplace.fail(&["user", "show", &id, "--at", "9999-01-01T00:00:00Z"]).contains("future"));
        assert!(workplace.fail(&["group", "history", &id]).contains("No Group, live or deleted"));

        let taken = post("/Users", user);
        let conflict = workplace.fail(&["user", "restore", &id]);
        assert!(conflict.contains("'mira' is already in use"), "{conflict}");
        assert_eq!(call("DELETE", &format!("/Users/{taken}"), None).unwrap().status, 204);
        let restored = workplace.json(&["user", "restore", &id, "--json"]);
        assert_eq!(restored["resource"]["groups"][0]["value"], json!(group_id));
        assert_eq!(call("GET", &format!("/Users/{id}"), None).unwrap().status, 200);
        assert!(workplace.fail(&["user", "restore", &id]).contains("is not deleted"));

        workplace.succeed(&["key", "revoke", key_id(token)]);
        let deadline = Instant::now() + Duration::from_secs(5);
        while call("GET", "/Users", None).unwrap().status != 401 {
            assert!(Instant::now() < deadline, "the key still opens something");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(server.stop(), Some(0));
    });
}

#[test]
fn sec_02_the_log_has_no_secret_no_query_and_no_value() {
    let workplace = Workplace::sqlite();
    let token = workplace.succeed(&["key", "create", "--name", "beside"]).trim().to_owned();
    let (server, address) = Server::start(&workplace, &["serve", "--log", "trace"]);
    let client = Client::new(&format!("{address}/scim/v2"));
    let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "given-name@secret.example",
        "displayName": "Marguerite Oksanen", "password": "correct-horse", "salary": 70_000, "active": "perhaps not"});
    let wrong = format!("scimd_{}", "Q".repeat(token.len() - 6));

    let refused = client.call(&token, "POST", "/Users", Some(&body)).unwrap();
    let mut body = body;
    body["active"] = json!(true);
    let created = client.call(&token, "POST", "/Users", Some(&body)).unwrap();
    let filter = "/Users?filter=emails.value%20eq%20%22hidden-address@secret.example%22&access_token=in-the-query";
    let found = client.call(&token, "GET", filter, None).unwrap();
    let broken = client.call(&token, "GET", "/Users?filter=userName%20is%20%22hidden-address%22", None).unwrap();
    let unknown = client.call(&token, "GET", "/Users/an-id-that-is-a-name", None).unwrap();
    let stranger = client.call(&wrong, "GET", "/Users", None).unwrap();

    let statuses = [&refused, &created, &found, &broken, &unknown, &stranger].map(|answer| answer.status);
    assert_eq!(statuses, [400, 201, 200, 400, 404, 401]);
    let mut log = Vec::new();
    for answer in [&refused, &created, &found, &broken, &unknown, &stranger] {
        let id = answer.header("x-request-id").unwrap();
        loop {
            let line = server.line_with("");
            let is_its_end = line.contains(id) && line.contains("answered");
            log.push(line);
            if is_its_end {
                break;
            }
        }
    }
    assert_eq!(server.stop(), Some(0));
    let log = log.join("\n");
    assert!(log.contains("/scim/v2/Users") && log.contains(key_id(&token)), "who did what stands there:\n{log}");
    let secret = &token[token.len() - 20..];
    for value in [
        secret,
        &wrong[10..],
        "secret.example",
        "Marguerite",
        "correct-horse",
        "70000",
        "perhaps not",
        "hidden-address",
        "in-the-query",
        "an-id-that-is-a-name",
        "emails.value",
        "filter=",
    ] {
        // The time at the beginning of a line may have any digits.
        let message = |line: &&str| line.split_once(' ').is_some_and(|(_, message)| message.contains(value));
        let line = log.lines().find(message);
        assert!(line.is_none(), "{value:?} stands in the log: {line:?}");
    }
}
