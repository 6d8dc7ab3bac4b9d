//! What is measured, and how: each workload and its yardsticks in turn.

mod hostile;
mod reads;
mod synchronisation;
mod writes;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::Arguments;
use crate::bare::{Bare, Changes, Deed, Examples, Sought, users};
use crate::http::{Connection, request};
use crate::people::{digits, group_body, user_body};
use crate::process::{Place, Server};
use crate::report::{Figure, Report, Yardstick};
use crate::rounds::{Round, Turns, Until, median, round};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The groups that begin without members: one for single ones, one for a thousand at once.
const EMPTY_GROUPS: [&str; 2] = ["Group of few", "Group of a thousand"];
/// How many clients load the users.
const LOADERS: usize = 32;

/// A store with its users, and the server on it.
struct Loaded<'a> {
    arguments: &'a Arguments,
    /// Ends before scimd does, which shall be the last to close the database.
    ceilings: Server,
    server: Server,
    token: String,
    ids: &'a [String],
    /// Groups by number of members.
    groups: Vec<(usize, String)>,
    /// A group that a thousand come into and go from.
    group_of_thousand: String,
    bare: Bare<'a>,
    /// The number of the next user that nobody has made.
    next: &'a AtomicUsize,
    /// What each user's `active` was set to last.
    active: &'a [AtomicBool],
}

/// What one client does, again and again; whether the answer was right.
type Turn<'a> = Box<dyn Fn(&mut Connection, &mut Turns) -> bool + Sync + 'a>;

struct Workload<'a> {
    name: String,
    /// How many of what the name counts one turn does.
    weight: usize,
    turn: Turn<'a>,
    measures: Vec<Measure>,
    /// Whether one client does it, however many connections are asked for.
    by_one: bool,
}

/// What a workload is measured by.
#[derive(Debug, Clone, Copy)]
enum Measure {
    /// An answer of so many bytes without any work.
    Hello(usize),
    /// An answer of so many bytes with what one statement reads, and nothing else.
    Served(Deed, usize),
    /// The bare database reads the same.
    Reads(Deed),
    /// The bare database makes the same changes, in commits of as many as there are connections.
    Commits(Deed),
    /// The same in a transaction for each change.
    Transactions(Deed),
    /// The same in commits of so many, by one client.
    Batches(Deed, usize),
}

impl<'a> Workload<'a> {
    fn new(name: impl Into<String>, turn: impl Fn(&mut Connection, &mut Turns) -> bool + Sync + 'a) -> Workload<'a> {
        Workload { name: name.into(), weight: 1, turn: Box::new(turn), measures: Vec::new(), by_one: false }
    }

    /// One request does so many at once, and one client makes one after the other.
    fn of_many(self, weight: usize) -> Workload<'a> {
        Workload { weight, by_one: true, ..self }
    }

    fn beside(mut self, measures: impl IntoIterator<Item = Measure>) -> Workload<'a> {
        self.measures.extend(measures);
        self
    }
}

/// Loads users into an empty store and measures everything. What lets the store grow comes last.
pub fn measure(arguments: &Arguments, place: &Place, report: &mut Report) {
    let users = report.users();
    let (next, token, server) = (AtomicUsize::new(users), place.token(), place.start());
    report.fact("database", place.version());
    let ids = load(&server, &token, users, report);
    let active: Vec<AtomicBool> = ids.iter().map(|_| AtomicBool::new(true)).collect();
    let loaded = Loaded::prepare(arguments, place, server, token, &ids, (&next, &active));
    report.fact("memory after the load", format!("{:.0} MiB", loaded.server.memory()));
    tell_size(place, report);
    loaded.run(loaded.reads(), report);
    loaded.large_group(report);
    loaded.walk(report);
    loaded.run(loaded.edits(), report);
    loaded.run(loaded.creations(), report);
    loaded.synchronise(place, report);
    if arguments.hostile {
        loaded.flood(report);
        loaded.overload(report);
    }
    report.fact("memory at the end", format!("{:.0} MiB", loaded.server.memory()));
    report.fact("memory at most", format!("{:.0} MiB", loaded.server.peak()));
    drop(loaded);
    report.fact("start", format!("{} ms", place.start().start.as_millis()));
}

fn tell_size(place: &Place, report: &mut Report) {
    let (size, users) = (place.size() as f64, report.users() as f64);
    report.fact("database size", format!("{:.0} MiB, {:.0} bytes for each user", size / 1024.0 / 1024.0, size / users));
}

/// Makes the users, and tells their ids.
fn load(server: &Server, token: &str, users: usize, report: &mut Report) -> Vec<String> {
    let made = Mutex::new(vec![String::new(); users]);
    let create = |connection: &mut Connection, turns: &mut Turns| {
        let answer = connection.send(&request("POST", "/Users", token, Some(&user_body(turns.item))));
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(answer.body));
        let id = answer.id();
        made.lock().unwrap()[turns.item] = id;
        if turns.item % 100_000 == 99_999 {
            eprintln!("{} users are loaded", turns.item + 1);
            server.empty_log();
        }
        true
    };
    let round = round(LOADERS, Until::Done(users), 0, Some(server), &|| Connection::to(server.port), &create);
    report.fact("loaded", format!("{:.0} users/s by POST, {LOADERS} at once", round.rate));
    server.empty_log();
    made.into_inner().unwrap()
}

impl<'a> Loaded<'a> {
    /// Makes the groups, and has scimd make each change once for the bare database to write the same.
    fn prepare(
        arguments: &'a Arguments,
        place: &Place,
        server: Server,
        token: String,
        ids: &'a [String],
        (next, active): (&'a AtomicUsize, &'a [AtomicBool]),
    ) -> Loaded<'a> {
        let mut connection = Connection::to(server.port);
        let sizes = arguments.group_sizes.iter().copied().filter(|size| *size <= ids.len());
        let groups: Vec<(usize, String)> = sizes
            .map(|size| (size, make_group(&mut connection, &token, &format!("Group of {size}"), &ids[..size])))
            .collect();
        let empty = |name| make_group(&mut connection, &token, name, &[]);
        let [group, group_of_thousand] = EMPTY_GROUPS.map(empty);
        let last = ids.len() - 1;
        let examples = Examples {
            user: &ids[last],
            number: &digits(last),
            group: &group,
            group_of_thousand: &group_of_thousand,
            thousand: &ids[..1000],
        };
        let changes = Changes::watch(&place.database_url, &examples, &mut |deed, comes| {
            let change = match deed {
                Deed::PatchActive => set_active(&ids[last], &token, comes),
                Deed::OneMember => change_members(comes, &group, &token, &ids[..1]),
                _ => change_members(comes, &group_of_thousand, &token, &ids[..1000]),
            };
            let answer = connection.send(&change);
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
        });
        let bare = Bare::new(&place.database_url, changes, ids, next, active);
        let first = users(&mut bare.open_for(Deed::ReadById), Sought::Id(ids[0].clone())).unwrap().remove(0);
        assert!(first.groups.len() >= groups.len(), "a bare read sees the groups of a user: {:?}", first.groups);
        let ceilings = place.start_ceilings();
        Loaded { arguments, server, ceilings, token, ids, groups, group_of_thousand, bare, next, active }
    }

    fn get(&self, number: usize) -> Vec<u8> {
        request("GET", &format!("/Users/{}", self.ids[number]), &self.token, None)
    }

    /// The bytes of an answer to a request, to be compared with as many from nobody.
    fn size_of(&self, request: &[u8]) -> usize {
        Connection::to(self.server.port).send(request).body.len()
    }

    /// Measures those of the workloads that are wanted.
    fn run(&self, workloads: Vec<Workload<'_>>, report: &mut Report) {
        for workload in workloads.iter().filter(|workload| self.arguments.wants(&workload.name)) {
            let connections = if workload.by_one { &[1] } else { self.arguments.connections.as_slice() };
            for connections in connections {
                report.add(self.measure(workload, *connections));
            }
        }
    }

    /// The workload and its yardsticks in turn; of each the median round.
    fn measure(&self, workload: &Workload<'_>, connections: usize) -> Figure {
        let measures: Vec<Measure> =
            workload.measures.iter().copied().filter(|measure| measure.counts_at(connections)).collect();
        let (mut rounds, mut others) = (Vec::new(), vec![Vec::new(); measures.len()]);
        for number in 0..self.arguments.rounds {
            rounds.push(self.round(&self.server, connections, number, &workload.turn));
            self.server.empty_log();
            for (measure, rounds) in measures.iter().zip(&mut others) {
                rounds.push(self.round_of(*measure, connections, number));
            }
        }
        let yardstick = |(measure, rounds): (&Measure, Vec<Round>)| {
            let round = median(rounds);
            assert_eq!(round.errors, 0, "{measure:?} is done without errors");
            let together = measure.together(connections) * measure.deed_weight();
            Yardstick { name: measure.name(), rate: round.rate * together as f64 }
        };
        let yardsticks = measures.iter().zip(others).map(yardstick).collect();
        Figure { yardsticks, ..figure(&workload.name, connections, workload.weight, median(rounds)) }
    }

    fn round(&self, server: &Server, connections: usize, seed: usize, turn: &Turn<'_>) -> Round {
        round(connections, self.duration(), seed, Some(server), &|| Connection::to(server.port), &told(turn))
    }

    fn round_of(&self, measure: Measure, connections: usize, seed: usize) -> Round {
        let deed = match measure {
            Measure::Hello(size) => {
                let hello = request("GET", &format!("/{size}"), &self.token, None);
                let turn: Turn<'_> = Box::new(|connection, _| connection.send(&hello).status == 200);
                return self.round(&self.ceilings, connections, seed, &turn);
            }
            Measure::Served(deed, size) => {
                let turn: Turn<'_> = Box::new(|connection, turns| {
                    let path = match self.bare.sought(deed, turns.below(self.ids.len())) {
                        Sought::Id(id) => format!("/id/{id}/{size}"),
                        Sought::Key(key) => format!("/key/{key}/{size}"),
                        Sought::First => unreachable!("a page is not served"),
                    };
                    let answer = connection.send(&request("GET", &path, &self.token, None));
                    answer.status == 200 && answer.body.len() == size && answer.body.starts_with(b"{")
                });
                return self.round(&self.ceilings, connections, seed, &turn);
            }
            Measure::Reads(deed) | Measure::Commits(deed) | Measure::Transactions(deed) => deed,
            Measure::Batches(deed, _) => deed,
        };
        let clients = match measure {
            Measure::Commits(_) | Measure::Batches(..) => 1,
            _ => self.bare.clients(deed, connections),
        };
        let together = measure.together(connections);
        round(clients, self.duration(), seed, None, &|| self.bare.open_for(deed), &|connection, turns| {
            self.bare.turn(connection, deed, together, turns)
        })
    }

    fn duration(&self) -> Until {
        Until::Elapsed(Duration::from_secs_f64(self.arguments.seconds))
    }
}

impl Measure {
    /// Whether it says more than another one: a commit of one is a transaction.
    fn counts_at(self, connections: usize) -> bool {
        connections > 1 || !matches!(self, Measure::Commits(_))
    }

    /// How many changes one turn makes.
    fn together(self, connections: usize) -> usize {
        match self {
            Measure::Commits(_) => connections,
            Measure::Batches(_, together) => together,
            _ => 1,
        }
    }

    /// How many of what the workload counts one change makes.
    fn deed_weight(self) -> usize {
        if matches!(self, Measure::Transactions(Deed::ThousandMembers)) { 1000 } else { 1 }
    }

    fn name(self) -> &'static str {
        match self {
            Measure::Hello(_) => "hello",
            Measure::Served(..) => "bare server",
            Measure::Reads(_) => "bare reads",
            Measure::Commits(_) => "bare group commits",
            Measure::Transactions(_) => "bare transactions",
            Measure::Batches(..) => "bare batches",
        }
    }
}

/// The same, and the first answers that are wrong are shown.
fn told<'a>(
    turn: &'a (dyn Fn(&mut Connection, &mut Turns) -> bool + Sync),
) -> impl Fn(&mut Connection, &mut Turns) -> bool + Sync + 'a {
    const SHOWN: usize = 5;
    static WRONG: AtomicUsize = AtomicUsize::new(0);
    move |connection, turns| {
        let is_right = turn(connection, turns);
        if !is_right && WRONG.fetch_add(1, Ordering::Relaxed) < SHOWN {
            eprintln!("not as it should be: {}", connection.last_answer());
        }
        is_right
    }
}

fn figure(name: &str, connections: usize, weight: usize, round: Round) -> Figure {
    let Round { rate, p50, p99, errors, cpu } = round;
    let weight = weight as f64;
    let workload = name.to_owned();
    Figure { workload, connections, rate: rate * weight, p50, p99, errors, cpu: cpu / weight, yardsticks: Vec::new() }
}

fn make_group(connection: &mut Connection, token: &str, name: &str, members: &[String]) -> String {
    let id = connection.send(&request("POST", "/Groups", token, Some(&group_body(name)))).id();
    for piece in members.chunks(1000) {
        let answer = connection.send(&change_members(true, &id, token, piece));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
    }
    id
}

fn change_members(come: bool, group: &str, token: &str, members: &[String]) -> Vec<u8> {
    let values: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
    let op = if come { "add" } else { "remove" };
    let body = json!({"schemas": [PATCH], "Operations": [{"op": op, "path": "members", "value": values}]});
    request("PATCH", &format!("/Groups/{group}?excludedAttributes=members"), token, Some(&body.to_string()))
}

fn set_active(user: &str, token: &str, active: bool) -> Vec<u8> {
    let operation = json!({"op": "replace", "path": "active", "value": active});
    let body = json!({"schemas": [PATCH], "Operations": [operation]}).to_string();
    request("PATCH", &format!("/Users/{user}"), token, Some(&body))
}

fn look_up(name: &str, token: &str) -> Vec<u8> {
    request("GET", &format!("/Users?filter=userName%20eq%20%22{name}%22"), token, None)
}
