//! Several scimd processes on one PostgreSQL.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::crowd::unclear;
use crate::place::Place;
use crate::support::http::{Client, Response};
use crate::{Effort, Findings};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const CLIENTS: usize = 8;

/// One userName, one group, one key, asked for through three processes at once.
pub fn processes(effort: &Effort) -> Findings {
    let cluster = Cluster::start();
    let first = Place::at(&cluster.url());
    let places = [first.beside(), first.beside(), first];
    let servers: Vec<_> = places.iter().map(Place::start).collect();
    let mut findings = Findings::default();
    let rounds = effort.rounds(500, 20);
    let clients: Vec<Client> = (0..CLIENTS).map(|number| places[number % places.len()].client()).collect();
    let token = &places[0].token;

    one_user_name(&clients, token, rounds, &mut findings);
    one_group(&clients, token, rounds, &mut findings);
    one_key(&places, effort, &mut findings);
    for (place, server) in places.iter().zip(servers) {
        server.terminate();
        findings.wrong.extend(place.faults().into_iter().map(|line| format!("a fault of ours in the log: {line}")));
    }
    findings
}

/// All at once.
fn together<T: Send>(clients: &[Client], ask: impl Fn(usize, &Client) -> T + Sync) -> Vec<T> {
    let (barrier, ask) = (Barrier::new(clients.len()), &ask);
    scope(|scope| {
        let started: Vec<_> = clients
            .iter()
            .enumerate()
            .map(|(number, client)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    ask(number, client)
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn one_user_name(clients: &[Client], token: &str, rounds: u32, findings: &mut Findings) {
    for round in 0..rounds {
        let body = json!({"schemas": [USER], "userName": format!("Everybody.wants-{round}@torture.example")});
        let statuses = together(clients, |_, client| client.call(token, "POST", "/Users", Some(&body)).unwrap().status);
        let made = statuses.iter().filter(|status| **status == 201).count();
        if made != 1 || statuses.iter().any(|status| ![201, 409].contains(status)) {
            findings.wrong.push(format!("one userName asked for at once was answered with {statuses:?}"));
        }
    }
    let everybody = "/Users?filter=userName%20sw%20%22everybody.wants-%22&count=0";
    let there = clients[0].call(token, "GET", everybody, None).unwrap().json();
    if there["totalResults"] != rounds {
        findings.wrong.push(format!("{} users are there of {rounds} that were made", there["totalResults"]));
    }
    findings.note("userNames asked for at once", rounds);
}

fn one_group(clients: &[Client], token: &str, rounds: u32, findings: &mut Findings) {
    let make = |path: &str, body: Value| {
        let answer = clients[0].call(token, "POST", path, Some(&body)).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let group = make("/Groups", json!({"schemas": [GROUP], "displayName": "Everybody"}));
    let users: Vec<String> = (0..rounds as usize * CLIENTS)
        .map(|number| {
            make("/Users", json!({"schemas": [USER], "userName": format!("member-{number}@torture.example")}))
        })
        .collect();
    for round in 0..rounds as usize {
        let answers = together(clients, |number, client| {
            let value = json!([{"value": users[round * CLIENTS + number]}]);
            let body = json!({"schemas": [PATCH], "Operations": [{"op": "add", "path": "members", "value": value}]});
            let path = format!("/Groups/{group}?excludedAttributes=members");
            client.call(token, "PATCH", &path, Some(&body)).unwrap().status
        });
        if answers.iter().any(|status| *status != 200) {
            findings.wrong.push(format!("members added at once were answered with {answers:?}"));
        }
    }
    let found = clients[0].call(token, "GET", &format!("/Groups/{group}"), None).unwrap().json();
    let members = found["members"].as_array().cloned().unwrap_or_default();
    let listed: BTreeSet<&str> = members.iter().filter_map(|member| member["value"].as_str()).collect();
    if listed != users.iter().map(String::as_str).collect() || members.len() != users.len() {
        findings.wrong.push(format!("{} of {} members that were added at once are there", members.len(), users.len()));
    }
    findings.note("members added at once", users.len());

    // Half of them go while the name changes and members that are there already are added again.
    for (round, users) in users.chunks(CLIENTS).enumerate() {
        let answers = together(clients, |number, client| {
            let operation = match number % 4 {
                0 | 1 => json!({"op": "remove", "path": format!("members[value eq \"{}\"]", users[number])}),
                2 => json!({"op": "add", "path": "members", "value": [{"value": users[number]}]}),
                _ => json!({"op": "replace", "path": "displayName", "value": format!("Everybody {round} {number}")}),
            };
            let body = json!({"schemas": [PATCH], "Operations": [operation]});
            let path = format!("/Groups/{group}?excludedAttributes=members");
            client.call(token, "PATCH", &path, Some(&body)).unwrap().status
        });
        if answers.iter().any(|status| *status != 200) {
            findings.wrong.push(format!("changes of one group at once were answered with {answers:?}"));
        }
    }
    let stay = users.chunks(CLIENTS).flat_map(|users| users.iter().enumerate().filter(|(number, _)| number % 4 > 1));
    let stay: BTreeSet<String> = stay.map(|(_, id)| id.clone()).collect();
    let found = clients[0].call(token, "GET", &format!("/Groups/{group}"), None).unwrap().json();
    let members = found["members"].as_array().cloned().unwrap_or_default();
    let listed: BTreeSet<String> =
        members.iter().filter_map(|member| member["value"].as_str().map(str::to_owned)).collect();
    if listed != stay || members.len() != stay.len() {
        findings.wrong.push(format!("{} members are there, and {} should have stayed", members.len(), stay.len()));
    }
    findings.note("members removed at once", users.len() - stay.len());
}

/// A key that is revoked opens nothing any more, within a second, on every process.
fn one_key(places: &[Place], effort: &Effort, findings: &mut Findings) {
    let mut slowest = Duration::ZERO;
    let rounds = effort.rounds(20, 3);
    for _ in 0..rounds {
        let token = places[0].succeed(&["key", "create", "--name", "short-lived"]).trim().to_owned();
        let clients: Vec<Client> = places.iter().map(Place::client).collect();
        let opens = |client: &Client| client.call(&token, "GET", "/Users?count=0", None).unwrap().status == 200;
        assert!(clients.iter().all(opens), "a fresh key opens every process");
        let id = token.split('_').nth(1).unwrap();
        places[0].succeed(&["key", "revoke", id]);
        let revoked = Instant::now();
        while clients.iter().any(opens) {
            sleep(Duration::from_millis(5));
            assert!(revoked.elapsed() < Duration::from_secs(20), "a revoked key opens still");
        }
        slowest = slowest.max(revoked.elapsed());
    }
    findings.note("keys revoked", rounds);
    findings.note("slowest revocation", format!("{:.2} s", slowest.as_secs_f32()));
    // The looks themselves take their time, and come every five milliseconds.
    if !effort.short && slowest > Duration::from_millis(1050) {
        findings.wrong.push(format!("a revoked key opened for {slowest:?}"));
    }
}

/// Two processes behind a client that tries the other one: each is replaced in turn, by SIGTERM or SIGKILL, and no request
/// fails.
pub fn rolling(effort: &Effort) -> Findings {
    let cluster = Cluster::start();
    let first = Place::at(&cluster.url());
    let places = [first.beside(), first];
    let mut servers = places.each_ref().map(|place| Some(place.start()));
    let mut findings = Findings::default();
    let (stop, failed) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let (asked, again) = (AtomicU64::new(0), AtomicU64::new(0));
    let rounds = effort.rounds(20, 4);
    scope(|scope| {
        for number in 0..CLIENTS {
            let (stop, asked, again, failed, places) = (&stop, &asked, &again, &failed, &places);
            scope.spawn(move || {
                let clients = places.each_ref().map(|place| place.client().careful());
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    count += 1;
                    let body =
                        json!({"schemas": [USER], "userName": format!("rolling-{number}-{count}@torture.example")});
                    match with_another_try(&clients, count, &places[0].token, &body) {
                        Ok(tries) => again.fetch_add(tries, Ordering::Relaxed),
                        Err(why) => {
                            failed.lock().unwrap().push(why);
                            0
                        }
                    };
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..rounds as usize {
            sleep(Duration::from_millis(150));
            let which = round % places.len();
            let server = servers[which].take().unwrap();
            if round % 4 < 2 {
                server.terminate();
            } else {
                server.kill();
            }
            servers[which] = Some(places[which].start());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let asked = asked.into_inner();
    findings.note("replacements", rounds);
    findings.note("creates", asked);
    findings.note("tries at the other process", again.into_inner());
    if asked < u64::from(rounds) * 8 {
        findings.wrong.push(format!("only {asked} requests in {rounds} replacements"));
    }
    findings.wrong.extend(failed.into_inner().unwrap());
    let everybody = "/Users?filter=userName%20sw%20%22rolling-%22&count=0";
    let there = places[0].client().call(&places[0].token, "GET", everybody, None).unwrap().json();
    if there["totalResults"] != asked {
        findings.wrong.push(format!("{} users are there of {asked} that were asked for", there["totalResults"]));
    }
    for (place, server) in places.iter().zip(servers) {
        server.into_iter().for_each(|server| assert_eq!(server.terminate(), Some(0)));
        findings.wrong.extend(place.faults().into_iter().map(|line| format!("a fault of ours in the log: {line}")));
    }
    findings
}

/// As a load balancer does: who does not answer is asked no more, the other one is. Whoever finds that the first try was
/// done after all (409) has what he wanted. How many tries more than one it took.
fn with_another_try(clients: &[Client; 2], count: usize, token: &str, body: &Value) -> Result<u64, String> {
    let mut answers = Vec::new();
    for attempt in 0..4 {
        let answer = clients[(count + attempt) % 2].call(token, "POST", "/Users", Some(body));
        match answer.as_ref().map(|answer| answer.status) {
            Ok(201) => return Ok(attempt as u64),
            Ok(409) if attempt > 0 => return Ok(attempt as u64),
            Ok(503 | 429) => {
                if let Some(why) = answer.as_ref().ok().and_then(unclear) {
                    return Err(why);
                }
                answers.push(told(answer));
            }
            Err(_) => answers.push(told(answer)),
            Ok(_) => return Err(told(answer)),
        }
    }
    Err(format!("no process took a request: {}", answers.join(", ")))
}

fn told(answer: std::io::Result<Response>) -> String {
    answer.map_or_else(|cause| cause.to_string(), |answer| format!("{} {}", answer.status, answer.text()))
}
