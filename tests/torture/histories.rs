//! No lost update: clients that change one resource with If-Match see every change that they made.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread::scope;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::place::Place;
use crate::support::http::Client;
use crate::{Effort, Findings};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const CLIENTS: usize = 8;

/// Each client adds words to the same users, with PUT or PATCH of what it read and If-Match. On PostgreSQL they go through
/// two processes.
pub fn no_update_is_lost(effort: &Effort) -> Findings {
    let mut findings = Findings::default();
    let rounds = effort.rounds(300, 20);
    let cluster = Cluster::start();
    let first = Place::at(&cluster.url());
    let places = [("SQLite", vec![Place::sqlite()]), ("PostgreSQL", vec![first.beside(), first])];
    for (name, places) in places {
        let servers: Vec<_> = places.iter().map(Place::start).collect();
        let all: Vec<Race> = (0..3).map(|user| race(&places, user, rounds, &mut findings)).collect();
        let (updates, refused) = all.iter().fold((0, 0), |(u, r), race| (u + race.updates, r + race.refused));
        findings.note(if name == "SQLite" { "updates on SQLite" } else { "updates on PostgreSQL" }, updates);
        findings.note("refused with 412", refused);
        if refused == 0 {
            findings.wrong.push(format!("on {name} nobody was ever in the way of anybody"));
        }
        servers.into_iter().for_each(|server| assert_eq!(server.terminate(), Some(0)));
        for place in &places {
            findings.wrong.extend(place.faults().into_iter().map(|line| format!("a fault of ours in the log: {line}")));
        }
    }
    findings
}

/// What became of one user.
struct Race {
    updates: usize,
    refused: usize,
}

/// An update that was acknowledged: the text read, the text written, and the version that came of it.
struct Update {
    before: String,
    after: String,
    version: u64,
}

fn race(places: &[Place], user: usize, rounds: u32, findings: &mut Findings) -> Race {
    let place = &places[0];
    let client = place.client();
    let body = json!({"schemas": [USER], "userName": format!("race-{user}@torture.example"), "title": "start"});
    let made = client.call(&place.token, "POST", "/Users", Some(&body)).unwrap();
    let (version, made) = (version_of(made.header("etag").unwrap()), made.json());
    let id = made["id"].as_str().unwrap();
    let seen = Mutex::new((Vec::new(), 0));
    scope(|scope| {
        for number in 0..CLIENTS {
            let (seen, place) = (&seen, &places[number % places.len()]);
            scope.spawn(move || {
                let client = place.client();
                for round in 0..rounds / 8 + 1 {
                    let (update, refused) =
                        add(&client, &place.token, id, &format!("w{number}-{round}"), number % 4 < 2);
                    let mut seen = seen.lock().unwrap();
                    seen.0.push(update);
                    seen.1 += refused;
                }
            });
        }
    });
    let (updates, refused) = seen.into_inner().unwrap();
    let found = client.call(&place.token, "GET", &format!("/Users/{id}"), None).unwrap();
    let told = place.json(&["user", "history", id, "--limit", "100000", "--json"]);
    judge(&updates, version, (version_of(found.header("etag").unwrap()), &found.json()), &told, findings);
    Race { updates: updates.len(), refused }
}

/// The updates are one line: each follows the one before it, from the first version to the last, and the history of the
/// server has as many.
fn judge(updates: &[Update], first: u64, (last, found): (u64, &Value), told: &Value, findings: &mut Findings) {
    let by_version: BTreeMap<u64, &Update> = updates.iter().map(|update| (update.version, update)).collect();
    if by_version.len() != updates.len() {
        findings.wrong.push(format!("{} updates have {} versions", updates.len(), by_version.len()));
    }
    let (mut version, mut text) = (first, "start");
    for (next, update) in by_version {
        if next != version + 1 || update.before != text {
            findings
                .wrong
                .push(format!("version {next} was made of `{}`, behind version {version}, `{text}`", update.before));
        }
        (version, text) = (next, &update.after);
    }
    if last != version || found["title"] != *text {
        findings.wrong.push(format!("the last update is version {version}, `{text}`, and the user is {last}, {found}"));
    }
    let rows = told.as_array().map_or(0, Vec::len);
    if rows != updates.len() + 1 {
        findings.wrong.push(format!("the history has {rows} rows for {} updates", updates.len()));
    }
}

/// The counter in a tag, which counts the changes of the resource itself: `W/"<counter>.<the rest>"`.
fn version_of(tag: &str) -> u64 {
    let counter = tag.trim_start_matches("W/\"").split('.').next().unwrap_or_default();
    counter.trim_end_matches('"').parse().unwrap_or_else(|_| panic!("{tag} has no counter"))
}

/// Reads, adds the word, writes if nobody was faster; again until it works. What came of it, and how often somebody was.
fn add(client: &Client, token: &str, id: &str, word: &str, whole: bool) -> (Update, usize) {
    let path = format!("/Users/{id}");
    for refused in 0.. {
        let read = client.call(token, "GET", &path, None).unwrap();
        let tag = read.header("etag").unwrap().to_owned();
        let mut body = read.json();
        let before = body["title"].as_str().unwrap_or_default().to_owned();
        let after = format!("{before} {word}");
        body["title"] = after.clone().into();
        if !whole {
            let operation = json!({"op": "replace", "path": "title", "value": after});
            body = json!({"schemas": [PATCH], "Operations": [operation]});
        }
        let headers = [
            ("Authorization".to_owned(), format!("Bearer {token}")),
            ("Content-Type".to_owned(), "application/scim+json".to_owned()),
            ("If-Match".to_owned(), tag),
        ];
        let method = if whole { "PUT" } else { "PATCH" };
        let answer = client.send(method, &path, &headers, Some(body.to_string().as_bytes())).unwrap();
        match answer.status {
            200 => return (Update { before, after, version: version_of(answer.header("etag").unwrap()) }, refused),
            412 => {}
            status => panic!("{status}: {}", answer.text()),
        }
    }
    unreachable!("the loop has no end")
}
