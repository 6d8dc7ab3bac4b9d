//! No lost update: clients that change one resource with If-Match see every change that they made.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread::scope;

use serde_json::json;

use crate::cluster::Cluster;
use crate::place::Place;
use crate::support::http::Client;
use crate::{Effort, Findings};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const CLIENTS: usize = 8;

/// Each client adds words to the same users, with PUT of the whole and If-Match of what it read. In the end every word
/// that was acknowledged is there, and each version was given once.
pub fn no_update_is_lost(effort: &Effort) -> Findings {
    let mut findings = Findings::default();
    let rounds = effort.rounds(300, 20);
    let cluster = Cluster::start();
    for (name, place) in [("SQLite", Place::sqlite()), ("PostgreSQL", Place::at(&cluster.url()))] {
        let scimd = place.start();
        let sum: usize = (0..3).map(|user| race(&place, user, rounds, &mut findings)).sum();
        findings.note(if name == "SQLite" { "updates on SQLite" } else { "updates on PostgreSQL" }, sum);
        scimd.terminate();
    }
    findings
}

fn race(place: &Place, user: usize, rounds: u32, findings: &mut Findings) -> usize {
    let client = place.client();
    let body = json!({"schemas": [USER], "userName": format!("race-{user}@torture.example"), "title": ""});
    let made = client.call(&place.token, "POST", "/Users", Some(&body)).unwrap().json();
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let seen = Mutex::new((Vec::new(), Vec::new()));
    scope(|scope| {
        for number in 0..CLIENTS {
            let (path, seen) = (&path, &seen);
            scope.spawn(move || {
                let client = place.client();
                for round in 0..rounds / 8 + 1 {
                    let word = format!("w{number}-{round}");
                    let version = add(&client, place, path, &word);
                    let mut seen = seen.lock().unwrap();
                    seen.0.push(word);
                    seen.1.push(version);
                }
            });
        }
    });
    let (words, versions) = seen.into_inner().unwrap();
    let found = client.call(&place.token, "GET", &path, None).unwrap().json();
    let title = found["title"].as_str().unwrap_or_default();
    let there: Vec<&str> = title.split_whitespace().collect();
    let lost: Vec<&String> = words.iter().filter(|word| !there.contains(&word.as_str())).collect();
    if !lost.is_empty() || there.len() != words.len() {
        findings.wrong.push(format!("{} of {} updates are lost: {lost:?}", lost.len(), words.len()));
    }
    let distinct: BTreeSet<&String> = versions.iter().collect();
    if distinct.len() != versions.len() {
        findings.wrong.push(format!("a version was given twice: {versions:?}"));
    }
    words.len()
}

/// Reads, adds the word, writes if nobody was faster; again until it works. The new version.
fn add(client: &Client, place: &Place, path: &str, word: &str) -> String {
    loop {
        let read = client.call(&place.token, "GET", path, None).unwrap();
        let tag = read.header("etag").unwrap().to_owned();
        let mut body = read.json();
        body["title"] = format!("{} {word}", body["title"].as_str().unwrap_or_default()).trim().into();
        let headers = [
            ("Authorization".to_owned(), format!("Bearer {}", place.token)),
            ("Content-Type".to_owned(), "application/scim+json".to_owned()),
            ("If-Match".to_owned(), tag),
        ];
        let answer = client.send("PUT", path, &headers, Some(body.to_string().as_bytes())).unwrap();
        match answer.status {
            200 => return answer.header("etag").unwrap().to_owned(),
            412 => {}
            status => panic!("{status}: {}", answer.text()),
        }
    }
}
