//! What is measured, and how: closed loops over kept connections, the answers looked at.

mod hostile;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Arguments;
use crate::bare::{self, Rows};
use crate::http::{Connection, request};
use crate::people::{user_body, user_name};
use crate::process::{Place, Server};
use crate::report::{Figure, Report};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A store with its users, and the server on it.
struct Loaded<'a> {
    arguments: &'a Arguments,
    server: Server,
    token: String,
    ids: Vec<String>,
    /// Groups by number of members.
    groups: Vec<(usize, String)>,
    /// The number of the next user that nobody has made.
    next: AtomicUsize,
    /// What each user's `active` was set to last.
    active: Vec<AtomicBool>,
}

/// What one client does, again and again; whether the answer was right.
type Turn<'a> = &'a (dyn Fn(&mut Connection, &mut Turns) -> bool + Sync);

/// A workload and its name.
type Named<'a> = (String, Box<dyn Fn(&mut Connection, &mut Turns) -> bool + Sync + 'a>);

/// Which client it is, and how often it has been its turn.
struct Turns {
    client: usize,
    count: usize,
    chance: u64,
}

impl Turns {
    fn below(&mut self, end: usize) -> usize {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) as usize % end
    }
}

/// Loads so many users into an empty store and measures everything.
pub fn measure(arguments: &Arguments, place: &Place, users: usize, report: &mut Report) {
    let loaded = load(arguments, place, users, report);
    let is_wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|one| name.starts_with(one.as_str()));
    let hello = Server::hello();
    for connections in &arguments.connections {
        let ceiling = loaded.run(&hello, *connections, &|connection, _| connection.send(&loaded.get(0)).status == 200);
        report.add(loaded.figure("hello", *connections, &ceiling, None));
        for (name, turn) in loaded.reads() {
            if is_wanted(&name) {
                let measured = loaded.run(&loaded.server, *connections, &*turn);
                let yardstick = (name == "get" || name == "userName eq").then_some(("hello", ceiling.rate));
                report.add(loaded.figure(&name, *connections, &measured, yardstick));
            }
        }
        for (name, turn) in loaded.writes() {
            if is_wanted(&name) {
                let measured = loaded.run(&loaded.server, *connections, &*turn);
                let bare = (name == "create").then(|| loaded.bare_creates(place, *connections)).flatten();
                report.add(loaded.figure(&name, *connections, &measured, bare));
            }
        }
    }
    if is_wanted("walk") {
        loaded.walk(report);
    }
    if arguments.hostile {
        loaded.flood(report);
        loaded.overload(report);
    }
    report.fact(users, "memory", format!("{:.0} MiB", loaded.server.memory()));
    if let Some(bytes) = place.size() {
        report.fact(users, "database", format!("{:.0} MiB", bytes as f64 / 1024.0 / 1024.0));
    }
    drop(loaded);
    let again = place.start();
    report.fact(users, "start", format!("{} ms", again.start.as_millis()));
}

fn load<'a>(arguments: &'a Arguments, place: &Place, users: usize, report: &mut Report) -> Loaded<'a> {
    let token = place.token();
    let server = place.start();
    let started = Instant::now();
    let next = AtomicUsize::new(0);
    let clients = 32.min(users);
    let made: Vec<Vec<(usize, String)>> = scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = Connection::to(server.port);
                    let mut made = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= users {
                            return made;
                        }
                        let answer = connection.send(&request("POST", "/Users", &token, Some(&user_body(number))));
                        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(answer.body));
                        made.push((number, id_in(answer.body)));
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    report.fact(users, "loaded with POST at", format!("{:.0} users/s", users as f64 / started.elapsed().as_secs_f64()));
    let mut all: Vec<(usize, String)> = made.into_iter().flatten().collect();
    all.sort_unstable();
    let ids: Vec<String> = all.into_iter().map(|(_, id)| id).collect();
    let mut connection = Connection::to(server.port);
    let sizes = arguments.group_sizes.iter().copied().filter(|size| *size < users);
    let groups = sizes.map(|size| (size, make_group(&mut connection, &token, &ids[..size]))).collect();
    let active = (0..users).map(|_| AtomicBool::new(true)).collect();
    Loaded { arguments, server, token, ids, groups, next: AtomicUsize::new(users), active }
}

fn id_in(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    body["id"].as_str().unwrap().to_owned()
}

fn make_group(connection: &mut Connection, token: &str, members: &[String]) -> String {
    let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": format!("Group of {}", members.len())});
    let id = id_in(connection.send(&request("POST", "/Groups", token, Some(&body.to_string()))).body);
    for piece in members.chunks(1000) {
        let answer = connection.send(&change_members("add", &id, token, piece));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
    }
    id
}

fn change_members(op: &str, group: &str, token: &str, members: &[String]) -> Vec<u8> {
    let values: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
    let body = json!({"schemas": [PATCH], "Operations": [{"op": op, "path": "members", "value": values}]});
    request("PATCH", &format!("/Groups/{group}?excludedAttributes=members"), token, Some(&body.to_string()))
}

/// The median round of a workload.
struct Measured {
    rate: f64,
    p50: f64,
    p99: f64,
    errors: usize,
    cpu: f64,
}

impl Loaded<'_> {
    fn get(&self, number: usize) -> Vec<u8> {
        request("GET", &format!("/Users/{}", self.ids[number]), &self.token, None)
    }

    fn look_up(&self, name: &str) -> Vec<u8> {
        request("GET", &format!("/Users?filter=userName%20eq%20%22{name}%22"), &self.token, None)
    }

    fn reads(&self) -> Vec<Named<'_>> {
        let users = self.ids.len();
        let page = |start: usize| {
            let page = request("GET", &format!("/Users?startIndex={start}&count=100"), &self.token, None);
            Box::new(move |connection: &mut Connection, _: &mut Turns| connection.send(&page).status == 200)
        };
        let groups = request("GET", "/Groups?excludedAttributes=members", &self.token, None);
        vec![
            (
                "get".to_owned(),
                Box::new(move |connection, turns| connection.send(&self.get(turns.below(users))).status == 200),
            ),
            (
                "userName eq".to_owned(),
                Box::new(move |connection, turns| {
                    let answer = connection.send(&self.look_up(&user_name(turns.below(users))));
                    answer.status == 200 && has_total(answer.body, 1)
                }),
            ),
            ("list, first 100".to_owned(), page(1)),
            ("list, last 100".to_owned(), page(users.saturating_sub(99).max(1))),
            (
                "list, groups without members".to_owned(),
                Box::new(move |connection, _| connection.send(&groups).status == 200),
            ),
        ]
    }

    fn writes(&self) -> Vec<Named<'_>> {
        let users = self.ids.len();
        let create = |connection: &mut Connection| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            connection.send(&request("POST", "/Users", &self.token, Some(&user_body(number)))).status == 201
        };
        let mut all: Vec<Named<'_>> = vec![
            ("create".to_owned(), Box::new(move |connection, _| create(connection))),
            (
                "look-up, then create".to_owned(),
                Box::new(|connection, _| {
                    let number = self.next.fetch_add(1, Ordering::Relaxed);
                    let is_nobody = has_total(connection.send(&self.look_up(&user_name(number))).body, 0);
                    let made = connection.send(&request("POST", "/Users", &self.token, Some(&user_body(number))));
                    is_nobody && made.status == 201
                }),
            ),
            (
                "patch active".to_owned(),
                Box::new(move |connection, turns| {
                    let number = turns.below(users);
                    let active = !self.active[number].fetch_xor(true, Ordering::Relaxed);
                    let operation = json!({"op": "replace", "path": "active", "value": active});
                    let body = json!({"schemas": [PATCH], "Operations": [operation]}).to_string();
                    let path = format!("/Users/{}", self.ids[number]);
                    connection.send(&request("PATCH", &path, &self.token, Some(&body))).status == 200
                }),
            ),
        ];
        for (size, group) in &self.groups {
            all.push((
                format!("patch one member of {size}"),
                // Comes in one turn and goes in the next, so the group keeps its size.
                Box::new(move |connection, turns| {
                    let one = size + (turns.client + turns.count / 2 * 64) % (users - size);
                    let op = if turns.count.is_multiple_of(2) { "add" } else { "remove" };
                    connection.send(&change_members(op, group, &self.token, &self.ids[one..=one])).status == 200
                }),
            ));
        }
        if let Some((size, group)) = self.groups.first().filter(|(size, _)| size + 1000 <= users) {
            all.push((
                "patch a thousand members".to_owned(),
                Box::new(move |connection, turns| {
                    let op = if turns.count.is_multiple_of(2) { "add" } else { "remove" };
                    connection.send(&change_members(op, group, &self.token, &self.ids[*size..size + 1000])).status
                        == 200
                }),
            ));
        }
        all
    }

    /// Runs a workload in rounds, and gives the median one.
    fn run(&self, server: &Server, connections: usize, turn: Turn<'_>) -> Measured {
        let mut rounds: Vec<Measured> =
            (0..self.arguments.rounds.max(1)).map(|round| self.round(server, connections, round, turn)).collect();
        rounds.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        let errors = rounds.iter().map(|round| round.errors).sum();
        let median = rounds.swap_remove(rounds.len() / 2);
        Measured { errors, ..median }
    }

    fn round(&self, server: &Server, connections: usize, round: usize, turn: Turn<'_>) -> Measured {
        let duration = Duration::from_secs_f64(self.arguments.seconds);
        let (barrier, cpu) = (Barrier::new(connections), server.cpu());
        let started = Instant::now();
        let results: Vec<(Vec<f32>, usize)> = scope(|scope| {
            let threads: Vec<_> = (0..connections)
                .map(|client| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let mut connection = Connection::to(server.port);
                        let mut turns = Turns { client, count: 0, chance: (round * 1000 + client) as u64 };
                        let (mut times, mut errors) = (Vec::with_capacity(64 * 1024), 0);
                        barrier.wait();
                        let begun = Instant::now();
                        // An even number of turns: what comes goes.
                        while begun.elapsed() < duration || turns.count % 2 == 1 {
                            let asked = Instant::now();
                            let is_right = turn(&mut connection, &mut turns);
                            times.push(asked.elapsed().as_secs_f32() * 1000.0);
                            errors += usize::from(!is_right);
                            turns.count += 1;
                        }
                        (times, errors)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let elapsed = started.elapsed().as_secs_f64();
        let errors = results.iter().map(|(_, errors)| errors).sum();
        let mut times: Vec<f32> = results.into_iter().flat_map(|(times, _)| times).collect();
        times.sort_by(f32::total_cmp);
        let at = |part: f64| f64::from(times[((times.len() - 1) as f64 * part) as usize]);
        let cpu = (server.cpu() - cpu) / times.len() as f64 * 1e6;
        Measured { rate: times.len() as f64 / elapsed, p50: at(0.5), p99: at(0.99), errors, cpu }
    }

    fn figure(
        &self,
        workload: &str,
        connections: usize,
        measured: &Measured,
        yardstick: Option<(&'static str, f64)>,
    ) -> Figure {
        let Measured { rate, p50, p99, errors, cpu } = *measured;
        Figure {
            users: self.ids.len(),
            workload: workload.to_owned(),
            connections,
            rate,
            p50,
            p99,
            errors,
            cpu,
            yardstick,
        }
    }

    /// What SQLite alone takes in, with as many rows for each user as scimd writes.
    fn bare_creates(&self, place: &Place, connections: usize) -> Option<(&'static str, f64)> {
        if !place.is_sqlite() {
            return None;
        }
        let rows = rows_of_a_user(place);
        Some(("bare commits", bare::sqlite_creates(&place.directory(), &rows, connections, self.arguments.seconds)))
    }

    /// Everybody, by cursor, a thousand on a page.
    fn walk(&self, report: &mut Report) {
        let mut connection = Connection::to(self.server.port);
        let (mut cursor, mut seen) = (String::new(), 0);
        let started = Instant::now();
        loop {
            let path = format!("/Users?cursor={cursor}&count=1000");
            let answer = connection.send(&request("GET", &path, &self.token, None));
            let page: serde_json::Value = serde_json::from_slice(answer.body).unwrap();
            seen += page["Resources"].as_array().map_or(0, Vec::len);
            match page["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let rate = seen as f64 / started.elapsed().as_secs_f64();
        report.fact(self.ids.len(), "walked by cursor at", format!("{rate:.0} users/s, {seen} seen"));
    }
}

fn has_total(body: &[u8], total: usize) -> bool {
    let wanted = format!("\"totalResults\":{total},");
    body.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

/// How much scimd writes for a user, as its own store says.
fn rows_of_a_user(place: &Place) -> Rows {
    use diesel::prelude::*;
    use diesel::sql_types::BigInt;
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    let file = place.database_url.trim_start_matches("sqlite:");
    let mut connection = SqliteConnection::establish(file).unwrap();
    let mut number = |query: &str| {
        let found: Number = diesel::sql_query(query).get_result(&mut connection).unwrap();
        usize::try_from(found.n).unwrap()
    };
    const ONE: &str = "(SELECT row_id FROM resources WHERE resource_type = 'User' ORDER BY row_id LIMIT 1)";
    Rows {
        values: number(&format!("SELECT count(*) AS n FROM resource_values WHERE row_id = {ONE}")),
        document: number(&format!("SELECT length(document) AS n FROM resources WHERE row_id = {ONE}")),
        audit: number("SELECT length(changes) AS n FROM audit WHERE operation = 'create' ORDER BY row_id LIMIT 1"),
    }
}
