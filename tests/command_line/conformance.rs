//! `scimd conformance` against the real program, and against servers that are wrong on purpose.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::support::http::Client;
use super::{Server, Workplace, on_each_database, text};

/// With fewer, checks have gone or are warned about.
const LEAST_PASSED: u64 = 395;

/// What scimd has nothing of: events, attributes that are returned on request, and with a key of somebody no missing `/Me`.
const UNCHECKED: [&str; 3] = ["[\"DISC-05\"]", "[\"CHAR-07\"]", "[\"ME-02\",\"ERR-02\"]"];

/// What `compat` takes on purpose though the RFCs would have it refused; the table of profiles in SCIM.md has the rows.
const TOLERATED: &str = "PATCH-P8,PATCH-P10";

const TOKEN: &str = "secret-of-a-test";

/// Runs the checks against a server; the exit code, standard output and standard error.
pub(super) fn check(workplace: &Workplace, url: &str, token: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut file = tempfile::NamedTempFile::new_in(workplace.directory.path()).unwrap();
    writeln!(file, "{token}").unwrap();
    let fixed = ["conformance", "--against", url, "--token-file", file.path().to_str().unwrap()];
    let output = workplace.run(&[&fixed[..], arguments].concat());
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// The findings of this outcome, as far as somebody who reads of a failing test needs them.
fn findings(report: &Value, outcome: &str) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == outcome);
    checks
        .map(|check| format!("{} {}: {} {}", check["ids"], check["title"], check["reason"], check["exchange"]))
        .collect()
}

#[test]
fn scimd_passes_its_own_checks_in_both_profiles_and_is_left_as_it_was() {
    on_each_database(|workplace| {
        let (_server, address) = Server::start(workplace, &["serve", "--open-discovery", "--passwords"]);
        let base = format!("{address}/scim/v2");
        // Beside each other, for neither sees anything of the other.
        std::thread::scope(|scope| {
            scope.spawn(|| passes(workplace, &base, "strict", &[]));
            scope.spawn(|| passes(workplace, &base, "compat", &["--allow", TOLERATED]));
        });
    });
}

/// Checks scimd as a key of this profile, in a tenant of its own, where somebody is already.
fn passes(workplace: &Workplace, base: &str, profile: &str, arguments: &[&str]) {
    workplace.succeed(&["tenant", "create", profile]);
    let create = ["key", "create", "--name", "x", "--tenant", profile, "--profile", profile];
    let client = Client::new(base);
    let bystander = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bystander"});
    let created = client.call(workplace.succeed(&create).trim_end(), "POST", "/Users", Some(&bystander)).unwrap();
    assert_eq!(created.status, 201, "{}", created.text());
    let token = workplace.succeed(&[&create[..], &["--user", "bystander", "--scope", "write"]].concat());
    let token = token.trim_end();
    let everything = || client.call(token, "GET", "", None).unwrap().json();
    let before = everything();
    assert_eq!(before["totalResults"], 1, "{before}");

    let (code, output, errors) = check(workplace, base, token, &[&["--ours", "--json"], arguments].concat());

    let report: Value = serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output} {errors}"));
    assert_eq!(findings(&report, "fail"), [""; 0], "{profile}");
    assert_eq!((code, &report["complete"], &report["left"]), (0, &json!(true), &json!([])), "{errors}");
    let unchecked = [findings(&report, "skipped"), findings(&report, "not applicable")].concat();
    let ids: Vec<&str> = unchecked.iter().map(|finding| finding.split(' ').next().unwrap()).collect();
    assert_eq!(ids, UNCHECKED, "{profile}: {unchecked:#?}");
    assert!(report["summary"]["pass"].as_u64().unwrap() >= LEAST_PASSED, "{}", report["summary"]);
    assert!(!output.contains(token), "the report shows the token");
    assert_eq!(everything(), before, "{profile}: the server is not as it was");
}

#[test]
fn a_run_that_is_interrupted_deletes_what_it_made() {
    let workplace = Workplace::sqlite();
    let (_server, address) = Server::start(&workplace, &["serve"]);
    let token = workplace.succeed(&["key", "create", "--name", "tester"]);
    let base = format!("{address}/scim/v2");
    let mut child = workplace
        .command(&["conformance", "--against", &base, "--only", "FLT,SORT,PATCH"])
        .env("SCIMD_CONFORMANCE_TOKEN", token.trim_end())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The people to look for are there by then.
    assert!(lines.by_ref().any(|line| line.unwrap().contains("pass  FLT-20")));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let output = child.wait_with_output().unwrap();

    assert_eq!(output.status.code(), Some(2), "{rest:?}");
    assert!(text(&output.stderr).contains("did not come to its end"), "{}", text(&output.stderr));
    let left = Client::new(&base).call(token.trim_end(), "GET", "/Users", None).unwrap().json();
    assert_eq!(left["totalResults"], 0, "{left}");
}

#[test]
fn what_cannot_be_checked_is_told_apart_from_what_fails() {
    let workplace = Workplace::sqlite();
    let (_server, address) = Server::start(&workplace, &["serve"]);
    let base = format!("{address}/scim/v2");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/scim/v2", taken.local_addr().unwrap());
    let other = odd_server(|_| b"SSH-2.0-OpenSSH\r\n".to_vec());
    for (url, arguments, part) in [
        (base.as_str(), &[][..], "refuses the token"),
        (&address, &[], "There is no SCIM server"),
        ("http://127.0.0.1:1/scim/v2", &[], "does not answer"),
        (&silent, &["--timeout", "1"], "no complete answer"),
        (&other, &[], "does not answer"),
        ("127.0.0.1:8080", &[], "https://example.com/scim/v2"),
        (&base, &["--only", "FLT-99"], "No check has the id `FLT-99`"),
    ] {
        let (code, output, errors) = check(&workplace, url, TOKEN, arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{url}: {errors}");
        assert!(errors.contains(part) && !errors.contains(TOKEN), "{url}: {errors}");
    }
    let no_token = workplace.run(&["conformance", "--against", &base]);
    assert_eq!(no_token.status.code(), Some(2));
    assert!(text(&no_token.stderr).contains("--token-file"), "{}", text(&no_token.stderr));
}

#[test]
fn checks_are_listed_without_a_server() {
    let workplace = Workplace::sqlite();
    let table = workplace.succeed(&["conformance", "--list", "--only", "PAGE"]);
    let as_json = workplace.json(&["conformance", "--list", "--json", "--ours"]);

    assert!(table.lines().filter(|line| line.starts_with("  PAGE-")).count() >= 8, "{table}");
    assert!(as_json.as_array().unwrap().len() >= 400);
    assert!(!workplace.directory.path().join(".local").exists(), "no database is made");
}

#[test]
fn a_certificate_is_trusted_if_the_system_trusts_it() {
    let workplace = Workplace::sqlite();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut authority = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&made.signing_key).unwrap();
    let file = |name: &str| workplace.directory.path().join(name);
    std::fs::write(file("tls.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(file("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(file("ca.crt"), authority.pem()).unwrap();
    let token = workplace.succeed(&["key", "create", "--name", "tester"]);
    let check = |served: &str, trusted: &str| {
        let (_server, address) =
            Server::start(&workplace, &["serve", "--tls-certificate", served, "--tls-key", "tls.key"]);
        let url = format!("https://localhost:{}/scim/v2", address.rsplit(':').next().unwrap());
        let mut command = workplace.command(&["conformance", "--against", &url, "--only", "DISC-02,AUTH-01"]);
        command.env("SCIMD_CONFORMANCE_TOKEN", token.trim_end()).env("SSL_CERT_FILE", trusted).output().unwrap()
    };

    let (trusted, unknown) = (check("tls.crt", "tls.crt"), check("tls.crt", "/dev/null"));
    let no_servers = check("ca.crt", "ca.crt");

    assert_eq!(trusted.status.code(), Some(0), "{} {}", text(&trusted.stdout), text(&trusted.stderr));
    for (refused, advice) in [(&unknown, "SSL_CERT_FILE"), (&no_servers, "CA:FALSE")] {
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(advice), "{}", text(&refused.stderr));
    }
}

#[test]
fn every_id_of_a_check_is_a_requirement() {
    let known = include_str!("../requirements.md");
    let listed = Workplace::sqlite().json(&["conformance", "--list", "--json", "--ours"]);
    for check in listed.as_array().unwrap() {
        for id in check["ids"].as_array().unwrap() {
            let row = format!("| {} |", id.as_str().unwrap());
            assert!(known.contains(&row), "{id} of the check `{}` is no requirement", check["title"]);
        }
    }
}

/// A server that answers every request with what `answer` makes of it, and closes the connection.
fn odd_server(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/scim/v2", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            // A client that has had enough hangs up.
            let _ = stream.write_all(&answer(&request));
        }
    });
    url
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (request, length) = read_head(&mut reader);
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    request + &String::from_utf8_lossy(&body)
}

/// What stands in front of the body of a request, and how long that is.
pub(super) fn read_head(reader: &mut impl BufRead) -> (String, usize) {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            return (head, length);
        }
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
        head += &line;
    }
}

fn response(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Odd\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

/// Checks an odd server, which must fail some checks; the report.
fn fails(url: &str, arguments: &[&str]) -> Value {
    let (code, output, errors) = check(&Workplace::sqlite(), url, TOKEN, &[&["--json"], arguments].concat());
    assert_eq!(code, 1, "{errors} {output}");
    assert!(!output.contains(TOKEN) && !errors.contains(TOKEN), "the report shows the token");
    serde_json::from_str(&output).unwrap()
}

fn outcome<'a>(report: &'a Value, title: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    &checks.iter().find(|check| check["title"] == title).unwrap_or_else(|| panic!("no check {title}"))["outcome"]
}

#[test]
fn servers_that_answer_nonsense_fail_and_the_run_comes_to_its_end() {
    for (content_type, body) in [
        ("text/html", "<html>"),
        ("application/scim+json", "{\"id\": "),
        ("application/scim+json", "{}"),
        (
            "application/scim+json",
            "{\"schemas\": 7, \"Resources\": {\"a\": null}, \"totalResults\": -1, \"id\": [\"../x\"]}",
        ),
        ("application/scim+json", "[[[null]]]"),
        ("application/scim+json", ""),
    ] {
        let report = fails(&odd_server(move |_| response(200, content_type, body)), &["--ours"]);
        assert_eq!((&report["complete"], &report["left"]), (&json!(true), &json!([])), "{body}");
        assert!(findings(&report, "fail").len() >= 15, "{body}: {:#?}", report["summary"]);
        for title in [
            "/ServiceProviderConfig is one object with its own schema",
            "without credentials: 401 with WWW-Authenticate",
        ] {
            assert_eq!(outcome(&report, title), "fail", "{body}");
        }
    }
}

#[test]
fn a_body_without_an_end_is_read_to_a_bound() {
    let endless = |request: &str| {
        if request.starts_with("GET /scim/v2/Users") {
            return response(200, "application/scim+json", "{}");
        }
        if request.starts_with("POST") {
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            return format!("HTTP/1.1 201 Odd\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(400)).into_bytes();
        }
        response(404, "application/scim+json", "{}")
    };
    let report = fails(&odd_server(endless), &["--only", "CRE-01"]);
    let failed = findings(&report, "fail");
    assert!(failed[0].contains("larger than 16777216 bytes"), "{failed:?}");
}

/// Echoes what it gets, which is right for a POST, apart from the header that it forgets and the token that it tells.
#[test]
fn failures_show_what_was_exchanged_without_the_token() {
    let echo = |request: &str| {
        let (head, body) = request.split_once('{').unwrap_or((request, ""));
        if !head.starts_with("POST /scim/v2/Users") {
            return response(200, "application/scim+json", "{}");
        }
        let mut user: Value = serde_json::from_str(&format!("{{{body}")).unwrap_or_default();
        user["id"] = json!("7");
        user["title"] = json!(head);
        response(201, "application/scim+json", &user.to_string())
    };
    let report = fails(&odd_server(echo), &["--only", "CRE-01"]);

    assert_eq!(outcome(&report, "a user is created: 201 with the resource"), "pass");
    let failed = findings(&report, "fail");
    let location = failed.iter().find(|failed| failed.contains("no header `Location`"));
    let location = location.unwrap_or_else(|| panic!("{failed:#?}"));
    assert!(location.contains("POST") && location.contains("201") && location.contains("[token]"), "{location}");
}
