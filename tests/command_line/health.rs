//! What operators' tools see of the real program: measurements, readiness, and the files of `deploy/` that rest on them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use scimd::auth::Token;
use serde_json::{Value, json};

use super::support::http::Client;
use super::{PATIENCE, Server, Workplace, key_id, on_each_database};

pub fn get(client: &Client, path: &str) -> (u16, String) {
    let answer = client.send("GET", path, &[], None).unwrap();
    (answer.status, answer.text())
}

/// The page of metrics once this is in it: what the database knows is looked up beside the requests.
fn scrape_with(client: &Client, part: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, page) = get(client, "/metrics");
        assert_eq!(status, 200, "{page}");
        if page.contains(part) {
            return page;
        }
        assert!(Instant::now() < deadline, "no {part:?} in\n{page}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The value of a sample, by its name and labels as they stand on the page.
pub fn sample(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{page}")).parse().unwrap()
}

/// A page on which every metric stands, and what must not stand on it.
fn lively_page(workplace: &Workplace) -> (String, Vec<String>) {
    workplace.succeed(&["tenant", "create", "acme"]);
    let token = workplace.succeed(&["key", "create", "--name", "secretive", "--tenant", "acme"]).trim_end().to_owned();
    for lifetime in ["20h", "6d", "13d", "29d", "31d"] {
        workplace.succeed(&["key", "create", "--name", "short", "--tenant", "acme", "--expires", lifetime]);
    }
    let call = |client: &Client, method: &str, path: &str, body: Value| {
        client.call(&token, method, &format!("/scim/v2{path}"), Some(&body)).unwrap().status
    };
    let (server, address) = Server::start(workplace, &["serve", "--passwords"]);
    let client = Client::new(&address);
    assert_eq!(call(&client, "POST", "/Users", json!({"userName": "mira@secret.example"})), 201);
    let group = json!({"displayName": "Marguerites", "members": [{"value": "nobody-at-all"}]});
    assert_eq!(call(&client, "POST", "/Groups", group), 201);
    assert_eq!(server.stop(), Some(0));

    // What the database knows outlives the process.
    let (server, address) = Server::start(workplace, &["serve", "--passwords"]);
    let client = Client::new(&address);
    assert_eq!(call(&client, "POST", "/Users", json!({"userName": "x", "password": "hunter2hunter2"})), 201);
    let wrong = format!("{}aaaaaa", &token[..token.len() - 6]);
    assert_eq!(client.call(&wrong, "GET", "/scim/v2/Users/an-id", None).unwrap().status, 401);
    assert_eq!(client.call(&token, "GET", "/scim/v2/Users/an-id", None).unwrap().status, 404);
    let page = scrape_with(&client, "scimd_unresolved_members 1");
    drop(server);
    let hidden = ["secret.example", "Marguerites", "nobody-at-all", "an-id", "hunter2", "secretive", "argon2id"];
    let hidden = hidden.iter().map(|text| (*text).to_owned()).chain([key_id(&token).to_owned()]);
    (page, hidden.collect())
}

#[test]
fn sec_02_metrics_tell_how_the_server_is_and_nothing_of_anybody() {
    on_each_database(|workplace| {
        let began = chrono::Utc::now().timestamp() as f64;
        let (page, hidden) = lively_page(workplace);

        let route = r#"route="/scim/v2/Users",method="POST",status="201""#;
        assert_eq!(sample(&page, &format!("scimd_http_request_duration_seconds_count{{{route}}}")), 1.0);
        let missing = r#"route="/scim/v2/Users/{id}",method="GET",status="404""#;
        assert_eq!(sample(&page, &format!("scimd_http_request_duration_seconds_count{{{missing}}}")), 1.0);
        assert_eq!(sample(&page, r#"scimd_refused_keys_total{reason="malformed"}"#), 1.0);
        assert_eq!(sample(&page, r#"scimd_refused_keys_total{reason="expired"}"#), 0.0);
        assert_eq!(sample(&page, r#"scimd_argon2_runs_total{of="key"}"#), 1.0);
        assert_eq!(sample(&page, r#"scimd_argon2_runs_total{of="password"}"#), 1.0);
        assert_eq!(sample(&page, "scimd_shed_requests_total"), 0.0);
        assert_eq!(sample(&page, "scimd_waiting_writes"), 0.0);
        assert!(sample(&page, "scimd_commit_duration_seconds_count") >= 1.0);
        let commits = sample(&page, "scimd_commit_duration_seconds_count");
        assert_eq!(sample(&page, r#"scimd_commit_duration_seconds_bucket{le="+Inf"}"#), commits);
        assert_eq!(sample(&page, "scimd_changes_per_commit_count"), commits);
        assert!(sample(&page, "scimd_changes_per_commit_sum") >= commits);
        let most = sample(&page, "scimd_database_connections_max");
        let open = sample(&page, r#"scimd_database_connections{state="idle"}"#)
            + sample(&page, r#"scimd_database_connections{state="busy"}"#);
        assert!((1.0..=most).contains(&open), "{open} of {most}");
        let expiring = |tenant: &str| {
            ["30", "14", "7", "1"]
                .map(|days| sample(&page, &format!(r#"scimd_keys_expiring{{tenant="{tenant}",days="{days}"}}"#)))
        };
        assert_eq!((expiring("acme"), expiring("default")), ([4.0, 3.0, 2.0, 1.0], [0.0; 4]));
        let last = sample(&page, r#"scimd_last_write_timestamp_seconds{tenant="acme"}"#);
        assert!(last >= began && last <= chrono::Utc::now().timestamp() as f64 + 1.0, "{last}");
        assert!(!page.contains(r#"scimd_last_write_timestamp_seconds{tenant="default"}"#), "nobody wrote there");
        for text in hidden {
            assert!(!page.contains(&text), "{text:?} stands on the page:\n{page}");
        }
    });
}

/// Whatever is asked, the log and the measurements tell of it under the pattern of its route, and none of it is lost at
/// the end.
#[test]
fn every_request_is_told_of_by_the_pattern_of_its_route() {
    let other_version = "/scim/v{version:[013-9][0-9]*|2[0-9]+}";
    let asked = [
        ("GET", "/scim/v2/Users/an-id", "/scim/v2/Users/{id}"),
        ("PATCH", "/scim/v2/Users", "/scim/v2/Users"),
        ("HEAD", "/scim/v2/Groups", "/scim/v2/Groups"),
        ("OPTIONS", "/scim/v2/Groups/an-id/.search", "/scim/v2/Groups/{id}/.search"),
        ("GET", "/scim/v2/Users/.search", "/scim/v2/Users/.search"),
        ("GET", "/scim/v2//Users/", "/scim/v2/Users"),
        ("GET", "/scim/v2", "/scim/v2"),
        ("GET", "/scim/v2/Schemas/urn:none", "/scim/v2/Schemas/{urn}"),
        ("GET", "/api/scim/v2/Groups/an-id", "/api/scim/v2/Groups/{id}"),
        ("GET", "/scim/ServiceProviderConfig", "/scim/ServiceProviderConfig"),
        ("GET", "/scim/v3/Users", other_version),
        ("GET", "/admin/v1/tenants/acme/export", "/admin/v1/tenants/{tenant}/export"),
        ("GET", "/openapi.json", "/openapi.json"),
        ("DELETE", "/healthz", "/healthz"),
        ("GET", "/scim/v2/Users/an-id/further", "unknown"),
        ("GET", "/secret", "unknown"),
        ("GET", "/metrics", "/metrics"),
    ];
    let workplace = Workplace::sqlite();
    let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim_end().to_owned();
    let (server, address) = Server::launch_with_log(workplace.command(&["serve"]), "json");
    let client = Client::new(&address);

    let answers = asked.map(|(method, path, _)| client.call(&token, method, path, None).unwrap());
    let page = get(&client, "/metrics").1;
    server.terminate();

    let lines = server.lines_to("stopped");
    let lines: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let answered: Vec<&Value> = lines.iter().filter(|line| line["message"] == "answered").collect();
    assert_eq!(answered.len(), asked.len() + 1, "{lines:?}");
    for ((line, answer), (method, path, route)) in answered.iter().zip(&answers).zip(asked) {
        let told = (&line["method"], &line["route"], &line["status"], &line["span"]["id"]);
        let id = answer.header("x-request-id");
        assert_eq!(told, (&json!(method), &json!(route), &json!(answer.status), &json!(id)), "{path}");
        let labels = format!(r#"{{route="{route}",method="{method}",status="{}"}}"#, answer.status);
        assert!(sample(&page, &format!("scimd_http_request_duration_seconds_count{labels}")) >= 1.0, "{path}");
    }
}

/// Everything that keeps somebody out is counted under its own reason, once for each request, and nothing else moves.
#[test]
fn auth_08_each_refusal_is_counted_by_its_reason() {
    on_each_database(|workplace| {
        let key = |arguments: &[&str]| {
            let token = workplace.succeed(&[&["key", "create", "--name", "x"][..], arguments].concat());
            token.trim_end().to_owned()
        };
        let (good, admin, revoked, expired) = (key(&[]), key(&["--scope", "admin"]), key(&[]), key(&[]));
        workplace.succeed(&["key", "revoke", key_id(&revoked)]);
        workplace.succeed(&["key", "rotate", key_id(&expired), "--overlap", "0"]);
        workplace.succeed(&["tenant", "create", "acme"]);
        let suspended = key(&["--tenant", "acme"]);
        workplace.succeed(&["tenant", "suspend", "acme"]);
        let (unknown, guessed) = (Token::generate(), Token::generate());
        // A key by that id, of which somebody knows the id alone.
        let (other, id) = (key(&[]), guessed.key_id().to_owned());
        let rename = format!("UPDATE api_keys SET key_id = '{id}' WHERE key_id = '{}'", key_id(&other));
        super::doctor::tamper(workplace, &rename);
        let malformed = format!("{}aaaaaa", &good[..good.len() - 6]);
        let (_server, address) = Server::start(workplace, &["serve"]);
        let client = Client::new(&address);
        let status = |headers: &[(&str, String)]| {
            let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            client.send("GET", "/scim/v2/Users", &headers, None).unwrap().status
        };
        let bearer = |token: &str| status(&[("Authorization", format!("Bearer {token}"))]);

        assert_eq!([bearer(&good), bearer(&good)], [200; 2]);
        assert_eq!([status(&[]), status(&[("Authorization", "Basic eDp5".to_owned())])], [401; 2]);
        assert_eq!([bearer("hello"), bearer(&malformed), bearer(&malformed)], [401; 3]);
        assert_eq!(bearer(unknown.expose()), 401);
        for _ in 0..4 {
            assert_eq!(bearer(guessed.expose()), 401);
        }
        assert_eq!([bearer(&expired), bearer(&revoked), bearer(&revoked), bearer(&suspended)], [401, 401, 401, 403]);
        let made = client.call(&admin, "POST", "/admin/v1/keys", Some(&json!({"name": "y"}))).unwrap();
        assert_eq!(made.status, 201, "{}", made.text());
        let (_, page) = get(&client, "/metrics");

        let refused: Vec<(&str, f64)> = page
            .lines()
            .filter_map(|line| line.strip_prefix("scimd_refused_keys_total{reason=\"")?.split_once("\"} "))
            .map(|(reason, count)| (reason, count.parse().unwrap()))
            .collect();
        let count = |wanted: &str| refused.iter().find(|(reason, _)| *reason == wanted).unwrap().1;
        assert_eq!(refused.len(), 10, "{page}");
        assert_eq!(["missing", "malformed", "unknown", "wrong_secret"].map(count), [2.0, 3.0, 1.0, 4.0]);
        assert_eq!(["expired", "revoked", "suspended"].map(count), [1.0, 2.0, 1.0]);
        assert_eq!(["insecure", "budget", "queue"].map(count), [0.0; 3]);
        let runs = sample(&page, r#"scimd_argon2_runs_total{of="key"}"#);
        assert_eq!(runs, 4.0, "the good key, the suspended one, the administrator's, and the one that was made");
    });
}

/// What waits for SQLite's writer shows while it waits, and only then; whoever is answered is committed.
#[test]
fn changes_that_wait_for_the_writer_are_counted() {
    let workplace = Workplace::sqlite();
    let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim_end().to_owned();
    let (_server, address) = Server::start(&workplace, &["serve"]);
    let client = Client::new(&address);
    assert_eq!(client.call(&token, "GET", "/scim/v2/Users", None).unwrap().status, 200);
    let changes = |page: &str| sample(page, "scimd_changes_per_commit_sum");
    let before = changes(&get(&client, "/metrics").1);

    let held = super::doctor::Held::begin(&workplace);
    let posts = super::doctor::posts_until_one_waits(&address, &token);
    held.let_go();

    let count = posts.len();
    let answers: Vec<u16> = posts.into_iter().map(|post| post.join().unwrap()).collect();
    let page = get(&client, "/metrics").1;
    assert_eq!(answers, vec![201; count]);
    assert_eq!(sample(&page, "scimd_waiting_writes"), 0.0);
    assert!(changes(&page) >= before + count as f64, "{page}");
    assert_eq!(sample(&page, "scimd_shed_requests_total"), 0.0);
}

/// The words of a text that are names of our metrics.
fn metric_names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("scimd_") && word.len() > "scimd_".len()).collect()
}

/// The series that a text chooses by labels: the name of each, and its labels.
fn selectors(text: &str) -> Vec<(&str, Vec<&str>)> {
    let names = text.match_indices("scimd_").filter_map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let chosen = rest[end..].strip_prefix('{')?.split('}').next()?;
        let labels = chosen.split(',').filter_map(|one| one.split_once(['=', '!'])).map(|(label, _)| label.trim());
        Some((&rest[..end], labels.collect()))
    });
    names.collect()
}

/// The labels that an expression chooses or groups by.
fn labels(text: &str) -> BTreeSet<&str> {
    let groups = ["by (", "on (", "ignoring ("].iter().flat_map(|word| text.split(word).skip(1));
    let grouped = groups.flat_map(|rest| rest.split(')').next().unwrap().split(','));
    let chosen = text.split('{').skip(1).flat_map(|rest| rest.split('}').next().unwrap().split(','));
    let chosen = chosen.filter_map(|one| one.split_once(['=', '!']).map(|(label, _)| label));
    let all = grouped.chain(chosen).map(str::trim).filter(|label| !label.is_empty());
    all.filter(|label| label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).collect()
}

/// Every `expr` of the dashboard.
fn expressions(document: &Value) -> Vec<String> {
    match document {
        Value::Object(members) => {
            let own = members.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(expressions)).collect()
        }
        Value::Array(elements) => elements.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn dashboard_alerts_and_readme_speak_of_the_metrics_that_there_are() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let (page, _) = lively_page(&Workplace::sqlite());
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let there: BTreeSet<&str> = samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    let families: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let alerts = read("deploy/prometheus/alerts.yml");
    let alerts: String = alerts.lines().filter(|line| !line.starts_with('#')).collect();
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/scimd.json")).unwrap();
    let panels = expressions(&dashboard).join("\n");
    assert!(metric_names(&alerts).len() > 8 && metric_names(&panels).len() > 12, "the files are not read any more");

    for (file, text) in [("alerts.yml", &alerts), ("scimd.json", &panels)] {
        for name in metric_names(text) {
            assert!(there.contains(name), "{file} speaks of {name}, which is not exported:\n{page}");
        }
        for (name, chosen) in selectors(text) {
            let series: Vec<&str> = page.lines().filter(|line| line.starts_with(&format!("{name}{{"))).collect();
            for label in chosen.into_iter().filter(|label| !["job", "instance"].contains(label)) {
                let has_it = series.iter().any(|line| line.contains(&format!("{label}=\"")));
                assert!(has_it, "{file} chooses {name} by {label}, which it has not");
            }
        }
        // Prometheus itself gives the first two.
        for label in labels(text).into_iter().filter(|label| !["job", "instance"].contains(label)) {
            let is_there = page.contains(&format!("{label}=\""));
            assert!(is_there, "{file} speaks of the label {label}, which no metric has");
        }
    }
    let readme = read("README.md");
    let told: BTreeSet<&str> =
        readme.lines().filter_map(|line| line.strip_prefix("| `scimd_")?.split('`').next()).collect();
    let families: BTreeSet<&str> = families.iter().filter_map(|name| name.strip_prefix("scimd_")).collect();
    assert_eq!(told, families, "the table in README.md and what is exported");
}

/// Whoever starts scimd must not kill it before its own time to stop is over: once for requests, once for connections.
#[test]
fn services_give_the_server_the_time_to_stop_that_it_gives_itself() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let seconds = |file: &str, before: &str| -> u64 {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let value = text.split(before).nth(1).unwrap_or_else(|| panic!("{file} has no {before:?}"));
        let digits = value.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        digits.parse().unwrap_or_else(|_| panic!("{file}: what follows {before:?} is no number"))
    };
    let own = seconds("README.md", "| `SCIMD_SHUTDOWN_TIMEOUT` | `shutdown-timeout` | `");

    for (file, before) in [
        ("deploy/systemd/scimd.service", "TimeoutStopSec="),
        ("compose.yaml", "stop_grace_period: "),
        ("Dockerfile", "--stop-timeout "),
        ("README.md", "--stop-timeout "),
    ] {
        assert!(seconds(file, before) > 2 * own, "{file} stops scimd too early");
    }
}

/// A POST whose head the server has read, and whose body has not come.
fn held_request(address: &str, token: &str, length: usize) -> BufReader<TcpStream> {
    let host = address.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /scim/v2/Users HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/scim+json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    stream.read_line(&mut line).unwrap();
    stream
}

pub fn wait_until_draining(client: &Client) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match get(client, "/readyz") {
            (503, text) => break assert_eq!(text, "draining\n"),
            (status, text) => assert_eq!((status, text.as_str()), (200, "ok\n")),
        }
        assert!(Instant::now() < deadline, "the server does not drain");
    }
}

#[test]
fn a_server_that_is_told_to_stop_drains_and_answers_what_is_in_flight() {
    on_each_database(|workplace| {
        let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim_end().to_owned();
        let (server, address) = Server::start(workplace, &["serve"]);
        let body = json!({"userName": "mira"}).to_string();
        let mut held = held_request(&address, &token, body.len());
        let client = Client::new(&address);
        assert_eq!(get(&client, "/readyz").0, 200);

        server.terminate();
        wait_until_draining(&client);

        assert_eq!(get(&client, "/healthz"), (200, "ok\n".to_owned()));
        let late = client.call(&token, "GET", "/scim/v2/Users", None).unwrap();
        assert_eq!((late.status, late.header("connection")), (200, Some("close")), "who comes late is served");
        held.get_mut().write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        held.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201") && answer.contains("mira"), "{answer}");
        assert_eq!(server.exit_code(), Some(0));
        assert!(TcpStream::connect(address.strip_prefix("http://").unwrap()).is_err());
        assert!(workplace.succeed(&["user", "list"]).contains("mira"), "what was answered is kept");
    });
}

#[test]
fn nobody_who_sends_nothing_keeps_the_server_from_stopping() {
    let workplace = Workplace::sqlite();
    let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim_end().to_owned();
    let (server, address) = Server::start(&workplace, &["serve", "--shutdown-timeout", "1s"]);
    let _held = held_request(&address, &token, 10);

    server.terminate();

    server.line_with("stopping with requests in flight");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_second_signal_stops_at_once() {
    let workplace = Workplace::sqlite();
    let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim_end().to_owned();
    let (server, address) = Server::start(&workplace, &["serve", "--shutdown-timeout", "1h"]);
    let _held = held_request(&address, &token, 10);

    server.terminate();
    wait_until_draining(&Client::new(&address));
    server.terminate();

    server.line_with("stopping with requests in flight");
    assert_eq!(server.exit_code(), Some(0));
}
