//! Closed loops: so many clients, each of which asks again as soon as it was answered.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use crate::process::Server;

/// Which client it is, and what its turn is about.
pub struct Turns {
    pub client: usize,
    pub clients: usize,
    /// How often it has been its turn.
    pub count: usize,
    /// Which of the things to be done is to be done, where there are so many of them.
    pub item: usize,
    chance: u64,
}

impl Turns {
    pub fn new(client: usize, clients: usize, seed: usize) -> Turns {
        Turns { client, clients, count: 0, item: 0, chance: (seed * 1_000_003 + client) as u64 }
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) as usize % end
    }

    /// One of so many that no other client gets.
    pub fn own_below(&mut self, end: usize) -> usize {
        let own = self.below((end / self.clients).max(1));
        (own * self.clients + self.client) % end
    }

    /// Whether to make what the turn before it, or after it, unmakes.
    pub fn is_even(&self) -> bool {
        self.count.is_multiple_of(2)
    }
}

/// When a round ends.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so long, and an even number of turns: what comes goes.
    Elapsed(Duration),
    /// When so many things are done, each by one of the clients.
    Done(usize),
}

/// What one round came to.
#[derive(Debug, Clone)]
pub struct Round {
    /// Turns each second.
    pub rate: f64,
    /// Milliseconds of a turn.
    pub p50: f64,
    pub p99: f64,
    /// Turns that did not come out as they should.
    pub errors: usize,
    /// Microseconds of CPU of the server for each turn.
    pub cpu: f64,
}

impl Round {
    /// What is between this one and another one, with the errors of both.
    pub fn and(self, other: Round) -> Round {
        let between = |one: f64, other: f64| (one + other) / 2.0;
        Round {
            rate: between(self.rate, other.rate),
            p50: between(self.p50, other.p50),
            p99: between(self.p99, other.p99),
            errors: self.errors + other.errors,
            cpu: between(self.cpu, other.cpu),
        }
    }
}

/// One round.
pub fn round<C>(
    clients: usize,
    until: Until,
    seed: usize,
    server: Option<&Server>,
    connect: &(dyn Fn() -> C + Sync),
    turn: &(dyn Fn(&mut C, &mut Turns) -> bool + Sync),
) -> Round {
    let (barrier, next) = (Barrier::new(clients + 1), AtomicUsize::new(0));
    let (results, started, cpu) = scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                let (barrier, next) = (&barrier, &next);
                scope.spawn(move || {
                    let mut connection = connect();
                    let mut turns = Turns::new(client, clients, seed);
                    barrier.wait();
                    go_round(until, next, &mut turns, |turns| turn(&mut connection, turns))
                })
            })
            .collect();
        let cpu = server.map_or(0.0, Server::cpu);
        barrier.wait();
        let started = Instant::now();
        let results: Vec<(Vec<f32>, usize)> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        (results, started, cpu)
    });
    let elapsed = started.elapsed().as_secs_f64();
    let cpu = server.map_or(0.0, Server::cpu) - cpu;
    let errors = results.iter().map(|(_, errors)| errors).sum();
    let mut times: Vec<f32> = results.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_by(f32::total_cmp);
    let turns = times.len() as f64;
    Round { rate: turns / elapsed, p50: at(&times, 0.5), p99: at(&times, 0.99), errors, cpu: cpu / turns * 1e6 }
}

fn go_round(
    until: Until,
    next: &AtomicUsize,
    turns: &mut Turns,
    mut turn: impl FnMut(&mut Turns) -> bool,
) -> (Vec<f32>, usize) {
    let (mut times, mut errors) = (Vec::with_capacity(16 * 1024), 0);
    let begun = Instant::now();
    loop {
        match until {
            Until::Elapsed(duration) if begun.elapsed() >= duration && turns.is_even() => break,
            Until::Elapsed(_) => {}
            Until::Done(all) => {
                turns.item = next.fetch_add(1, Ordering::Relaxed);
                if turns.item >= all {
                    break;
                }
            }
        }
        let asked = Instant::now();
        let is_right = turn(turns);
        times.push(asked.elapsed().as_secs_f32() * 1000.0);
        errors += usize::from(!is_right);
        turns.count += 1;
    }
    (times, errors)
}

/// The value below which that part of the sorted times lies.
pub fn at(times: &[f32], part: f64) -> f64 {
    times.get((times.len().saturating_sub(1) as f64 * part) as usize).copied().map_or(0.0, f64::from)
}

/// The round in the middle, with the errors of all of them.
pub fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    let errors = rounds.iter().map(|round| round.errors).sum();
    Round { errors, ..rounds.swap_remove(rounds.len() / 2) }
}
