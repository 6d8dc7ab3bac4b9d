//! `scimd doctor`: what it finds, what it mends, and that it leaves everything else alone.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use scimd::store::{Connection, Settings, Store};
use serde_json::{Value, json};

use super::health::{get, sample};
use super::support::http::Client;
use super::{PATIENCE, Server, Workplace, key_id, on_each_database, text};

/// The exit code and the findings. The throwaway PostgreSQL of tests waits for no disk, as the doctor says; everybody
/// else's shall.
fn examined(workplace: &Workplace, arguments: &[&str]) -> (i32, Value) {
    let output = workplace.run(&[&["doctor", "--json"], arguments].concat());
    let found = serde_json::from_slice(&output.stdout);
    let mut found: Value = found.unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let code = output.status.code().unwrap();
    assert_eq!(code == 1, found["state"] == "wrong", "{found:#}");
    let findings = found["findings"].as_array_mut().unwrap();
    findings.retain(|finding| {
        let is_of_tests = finding["check"] == "durability" && finding["what"].as_str().unwrap().contains("fsync");
        !is_of_tests || finding["state"] == "ok"
    });
    let is_wrong = findings.iter().any(|finding| finding["state"] == "wrong");
    (i32::from(is_wrong), found)
}

/// One check.
fn finding<'a>(found: &'a Value, check: &str) -> &'a Value {
    let findings = found["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check} in {found:#}"))
}

/// The checks that are in this state.
fn in_state<'a>(found: &'a Value, state: &str) -> Vec<&'a str> {
    let findings = found["findings"].as_array().unwrap().iter().filter(|finding| finding["state"] == state);
    findings.map(|finding| finding["check"].as_str().unwrap()).collect()
}

/// After which no search finds the secretary.
const WITHOUT_TITLE: &str = "DELETE FROM resource_values WHERE key = 'secretary'";

/// Changes the database behind the back of the program.
pub fn tamper(workplace: &Workplace, statements: &str) {
    let statements = statements.to_owned();
    change(&database(workplace), move |c| Ok(c.batch_execute(&statements)?));
}

fn database(workplace: &Workplace) -> String {
    let file = workplace.directory.path().join(".local/share/scimd/scimd.db");
    workplace.postgres.clone().unwrap_or_else(|| format!("sqlite:{}", file.display()))
}

fn change(url: &str, work: impl FnMut(&mut Connection) -> scimd::scim::Result<()> + Send + 'static) {
    let store = Store::open(&Settings::new(url.parse().unwrap())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(store.write(work)).unwrap();
    store.close();
}

/// A transaction that others wait for who want to change the search index (on PostgreSQL also who want to read it), until
/// it is let go.
pub struct Held {
    release: Sender<()>,
    thread: JoinHandle<()>,
}

impl Held {
    pub fn begin(workplace: &Workplace) -> Held {
        let lock =
            if workplace.postgres.is_some() { "LOCK TABLE resource_values IN ACCESS EXCLUSIVE MODE" } else { "" };
        let (release, released): (Sender<()>, Receiver<()>) = channel();
        let (begun, has_begun) = channel();
        let hold = move |c: &mut Connection| {
            c.batch_execute(lock)?;
            begun.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        };
        let url = database(workplace);
        let thread = std::thread::spawn(move || change(&url, hold));
        has_begun.recv_timeout(PATIENCE).unwrap();
        Held { release, thread }
    }

    pub fn let_go(self) {
        self.release.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

#[test]
fn a_doctor_makes_nothing() {
    let workplace = Workplace::sqlite();
    let (code, found) = examined(&workplace, &[]);

    assert_eq!((code, &found["state"]), (1, &json!("wrong")));
    assert!(finding(&found, "database")["what"].as_str().unwrap().contains("is not there"), "{found:#}");
    assert_eq!(std::fs::read_dir(workplace.directory.path()).unwrap().count(), 0);

    std::fs::write(workplace.directory.path().join("empty.db"), "").unwrap();
    let (code, found) = examined(&workplace, &["--repair", "--database-url", "sqlite:empty.db"]);

    assert_eq!((code, in_state(&found, "wrong")), (1, vec!["migrations"]));
    assert!(in_state(&found, "notChecked").contains(&"searchIndex"), "{found:#}");
    assert_eq!(std::fs::metadata(workplace.directory.path().join("empty.db")).unwrap().len(), 0);
    assert_eq!(std::fs::read_dir(workplace.directory.path()).unwrap().count(), 1);
}

#[test]
fn a_setting_that_cannot_be_read_is_a_finding() {
    let workplace = Workplace::sqlite();
    std::fs::write(workplace.directory.path().join("scimd.toml"), "lisen = '127.0.0.1:1'\n").unwrap();

    let (code, found) = examined(&workplace, &[]);

    assert_eq!((code, in_state(&found, "wrong")), (1, vec!["configuration"]));
    assert!(finding(&found, "configuration")["what"].as_str().unwrap().contains("`listen`"), "{found:#}");
    assert_eq!(finding(&found, "database")["state"], "notChecked");
}

#[test]
fn what_is_sound_is_sound_beside_a_server_and_from_elsewhere() {
    on_each_database(|workplace| {
        let token = workplace.succeed(&["key", "create", "--name", "okta", "--scope", "read", "write", "admin"]);
        let (_server, address) = Server::start(workplace, &["serve"]);
        let client = Client::new(&address);
        let post = |path: &str, body: Value| {
            let answer = client.call(token.trim_end(), "POST", &format!("/scim/v2{path}"), Some(&body)).unwrap();
            assert_eq!(answer.status, 201, "{}", answer.text());
        };
        post("/Users", json!({"userName": "mira", "emails": [{"value": "m@example.org"}]}));
        post("/Groups", json!({"displayName": "Team"}));

        let (code, here) = examined(workplace, &[]);
        let laptop = Workplace::sqlite();
        std::fs::write(laptop.directory.path().join("key"), &token).unwrap();
        let (code_there, there) = examined(&laptop, &["--url", &address, "--admin-key-file", "key"]);

        assert_eq!((code, in_state(&here, "wrong")), (0, vec![]), "{here:#}");
        // What is not there to be looked at makes nothing worse. The throwaway PostgreSQL has its own fault.
        assert!(workplace.postgres.is_some() || here["state"] == "ok", "{here:#}");
        assert_eq!((code_there, in_state(&there, "wrong")), (0, vec![]), "{there:#}");
        for check in ["migrations", "clock", "schemas", "keys", "columns", "searchIndex", "history"] {
            assert_eq!(finding(&here, check)["state"], "ok", "{here:#}");
            assert_eq!(finding(&there, check)["state"], "ok", "{there:#}");
        }
        assert_eq!(finding(&here, "clientNames")["state"], "notChecked");
        assert_eq!(finding(&there, "clientNames")["state"], "ok", "{there:#}");
        assert_eq!(finding(&there, "publicUrl")["state"], "ok", "{there:#}");
        assert_eq!(finding(&there, "diskSpace")["state"], "notChecked");
        assert!(!laptop.directory.path().join(".local").exists(), "a laptop needs no database");
    });
}

#[test]
fn what_does_not_follow_from_the_documents_is_named_and_mended_beside_a_server() {
    on_each_database(|workplace| {
        let token = workplace.succeed(&["key", "create", "--name", "okta", "--scope", "read", "write", "admin"]);
        let (_server, address) = Server::start(workplace, &["serve"]);
        let client = Client::new(&address);
        let call = |method: &str, path: &str, body: Option<&Value>| {
            client.call(token.trim_end(), method, &format!("/scim/v2{path}"), body).unwrap()
        };
        let user = call("POST", "/Users", Some(&json!({"userName": "mira", "title": "secretary"}))).json();
        let id = user["id"].as_str().unwrap();
        tamper(workplace, &format!("{WITHOUT_TITLE}; UPDATE resources SET active = false"));
        let search = "/Users?filter=title%20eq%20%22secretary%22";
        assert_eq!(call("GET", search, None).json()["totalResults"], 0);

        let plain = workplace.run(&["doctor"]);
        let (code, found) = examined(workplace, &[]);
        let (mended, repaired) = examined(workplace, &["--repair"]);
        let (after, clean) = examined(workplace, &[]);

        assert_eq!((code, in_state(&found, "wrong")), (1, vec!["columns", "searchIndex"]), "{found:#}");
        let example = finding(&found, "searchIndex")["examples"][0].as_str().unwrap();
        assert!(example.contains(id) && example.contains("title"), "{example}");
        assert!(finding(&found, "columns")["advice"].as_str().unwrap().contains("--repair"), "{found:#}");
        let plain = text(&plain.stdout);
        let line = plain.lines().find(|line| line.contains("searchIndex")).unwrap();
        assert!(line.starts_with("wrong ") && line.ends_with("run `scimd doctor --repair`"), "{plain}");
        assert_eq!((mended, in_state(&repaired, "wrong")), (0, vec![]), "{repaired:#}");
        assert!(finding(&repaired, "columns")["what"].as_str().unwrap().ends_with(": 1, all mended"), "{repaired:#}");
        assert_eq!((after, in_state(&clean, "wrong")), (0, vec![]), "{clean:#}");
        assert_eq!(call("GET", search, None).json()["totalResults"], 1);
        assert_eq!(call("GET", &format!("/Users/{id}"), None).json(), user, "no document is touched");

        // And from elsewhere.
        let laptop = Workplace::sqlite();
        std::fs::write(laptop.directory.path().join("key"), &token).unwrap();
        tamper(workplace, WITHOUT_TITLE);
        let (_, repaired) = examined(&laptop, &["--repair", "--url", &address, "--admin-key-file", "key"]);
        assert!(
            finding(&repaired, "searchIndex")["what"].as_str().unwrap().contains(": 1, all mended"),
            "{repaired:#}"
        );
        assert_eq!(call("GET", search, None).json()["totalResults"], 1);
    });
}

/// Whoever hangs up ends nothing that the database is at, so nobody else gets the turn before that is over.
#[test]
fn one_examination_goes_on_at_a_time_also_when_nobody_waits_for_it() {
    on_each_database(|workplace| {
        let token = workplace.succeed(&["key", "create", "--name", "laptop", "--scope", "admin", "write"]);
        std::fs::write(workplace.directory.path().join("people.csv"), "userName,title\nmira,secretary\n").unwrap();
        workplace.succeed(&["import", "--csv", "people.csv"]);
        let (server, address) = Server::start(workplace, &["serve"]);
        let client = Client::new(&address);
        let examine = || client.call(token.trim_end(), "GET", "/admin/v1/doctor", None).unwrap();
        assert_eq!(examine().status, 200);
        // From then on the server has nothing to write of its own accord.
        server.line_with("the history is sealed");
        wait_until(|| !workplace.json(&["key", "show", key_id(&token), "--json"])["lastUsed"].is_null());
        tamper(workplace, WITHOUT_TITLE);

        let held = Held::begin(workplace);
        let (caller, posts) = match &workplace.postgres {
            None => repair_behind_others(&address, token.trim_end()),
            Some(url) => (repair_that_waits_for_a_lock(&address, token.trim_end(), url), Vec::new()),
        };
        let beside = examine();
        // With the unread 100 Continue, so that the server is told at once.
        drop(caller);
        let after = examine();
        held.let_go();
        posts.into_iter().for_each(|post| assert_eq!(post.join().unwrap(), 201));

        assert_eq!((beside.status, beside.header("retry-after")), (429, Some("1")), "{}", beside.text());
        assert!(beside.text().contains("The doctor is at work already"), "{}", beside.text());
        assert_eq!(after.status, 429, "nobody waits for the repair, and the database still has it");
        let mut refused = 2.0;
        wait_until(|| {
            let is_refused = examine().status == 429;
            refused += f64::from(u8::from(is_refused));
            !is_refused
        });
        assert_eq!(sample(&get(&client, "/metrics").1, "scimd_shed_requests_total"), refused);
    });
}

fn wait_until(mut it_is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !it_is_so() {
        assert!(Instant::now() < deadline, "it never is");
    }
}

/// Clients that write, and the statuses of their answers: as many as it takes until SQLite's writer has some of them and
/// can go no further, and the last of them waits for him.
pub fn posts_until_one_waits(address: &str, token: &str) -> Vec<JoinHandle<u16>> {
    let mut posts = Vec::new();
    wait_until(|| {
        let (client, token) = (Client::new(address), token.to_owned());
        let user = json!({"userName": format!("u{}", posts.len())});
        let post = move || client.call(&token, "POST", "/scim/v2/Users", Some(&user)).unwrap().status;
        posts.push(std::thread::spawn(post));
        waiting_writes(address) > 0.0
    });
    posts
}

fn waiting_writes(address: &str) -> f64 {
    sample(&get(&Client::new(address), "/metrics").1, "scimd_waiting_writes")
}

/// A repair that waits for SQLite's writer, and those before it.
fn repair_behind_others(address: &str, token: &str) -> (TcpStream, Vec<JoinHandle<u16>>) {
    let posts = posts_until_one_waits(address, token);
    let before = settled(|| waiting_writes(address));
    let caller = begun_repair(address, token);
    wait_until(|| waiting_writes(address) > before);
    (caller, posts)
}

/// What is the same for so long that those who were on their way have come.
fn settled(look: impl Fn() -> f64) -> f64 {
    let (mut seen, mut times) = (look(), 0);
    wait_until(|| {
        std::thread::sleep(Duration::from_millis(30));
        let now = look();
        times = if now == seen { times + 1 } else { 0 };
        seen = now;
        times == 10
    });
    seen
}

fn repair_that_waits_for_a_lock(address: &str, token: &str, url: &str) -> TcpStream {
    let look = "DO $$ BEGIN PERFORM 1 / count(*) FROM pg_locks WHERE NOT granted AND database = \
                (SELECT oid FROM pg_database WHERE datname = current_database()); END $$";
    let store = Store::open(&Settings::new(url.parse().unwrap())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let caller = begun_repair(address, token);
    wait_until(|| runtime.block_on(store.write(move |c: &mut Connection| Ok(c.batch_execute(look)?))).is_ok());
    store.close();
    caller
}

/// A client that has sent all of its request, and has read nothing.
fn begun_repair(address: &str, token: &str) -> TcpStream {
    let host = address.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /admin/v1/doctor/repair HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    assert_eq!(stream.peek(&mut [0; 1]).unwrap(), 1, "the server is ready for the body");
    stream.write_all(b"{}").unwrap();
    stream
}

#[test]
fn auth_04_keys_that_end_are_told_of_by_the_log_and_the_doctor() {
    on_each_database(|workplace| {
        let soon = workplace.succeed(&["key", "create", "--name", "soon", "--expires", "6d"]);
        let old = workplace.succeed(&["key", "create", "--name", "old"]);
        workplace.succeed(&["key", "rotate", key_id(&old), "--overlap", "0"]);
        let dead = workplace.succeed(&["key", "create", "--name", "dead"]);
        workplace.succeed(&["key", "revoke", key_id(&dead)]);

        let (server, address) = Server::start(workplace, &["serve"]);
        let told = server.line_with("an API key expires within 7 days");
        let client = Client::new(&address);
        let refused = |token: &str| client.call(token.trim_end(), "GET", "/scim/v2/Users", None).unwrap().status;
        assert_eq!([refused(&old), refused(&dead), refused(&old)], [401; 3]);
        let expired = server.line_with("an expired API key is still in use");
        let revoked = server.line_with("a revoked API key is still in use");
        let (code, found) = examined(workplace, &[]);

        for (line, token) in [(&told, &soon), (&expired, &old), (&revoked, &dead)] {
            assert!(line.contains(key_id(token)) && line.contains("default"), "{line}");
            assert!(!line.contains(&token[19..51]), "{line}");
        }
        assert!(!told.contains("soon"), "a name may be a person's: {told}");
        let keys = finding(&found, "keys");
        assert_eq!(
            (code, &keys["state"], &keys["what"]),
            (0, &json!("warning"), &json!("keys end: 1 key within 7 days"))
        );
        assert!(keys["examples"][0].as_str().unwrap().contains(key_id(&soon)), "{keys:#}");
    });
}

#[cfg(unix)]
#[test]
fn secrets_that_everybody_may_read_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let workplace = Workplace::sqlite();
    workplace.succeed(&["tenant", "list"]);
    let file = workplace.directory.path().join("url");
    let database = workplace.directory.path().join(".local/share/scimd/scimd.db");
    std::fs::write(&file, format!("sqlite:{}", database.display())).unwrap();
    let state = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let (code, found) = examined(&workplace, &["--database-url-file", "url"]);
        (code, finding(&found, "permissions")["state"].as_str().unwrap().to_owned())
    };

    assert_eq!(state(0o600), (0, "ok".to_owned()));
    assert_eq!(state(0o644), (0, "warning".to_owned()));
    assert_eq!(state(0o666), (1, "wrong".to_owned()));
}
