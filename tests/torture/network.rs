//! Between scimd and PostgreSQL: connections cut in the middle of COMMIT, and a primary that gives way to its standby.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::kill::{conclude, crowd, first_success, judge_return, load, look, siege};
use crate::place::Place;
use crate::{Effort, Findings};

/// A line to PostgreSQL that a test can cut.
struct Line {
    port: u16,
    /// Whether commits are cut at the moment.
    is_bad: Arc<AtomicBool>,
    /// Commits that were cut before they left, and after; how many of both had no COMMIT.
    cuts: Arc<[AtomicU64; 3]>,
    /// Cut connections whose other end has not heard of it.
    ends: Arc<AtomicU64>,
}

impl Line {
    fn to(port: u16) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Line {
            port: listener.local_addr().unwrap().port(),
            is_bad: Arc::default(),
            cuts: Arc::default(),
            ends: Arc::default(),
        };
        let (is_bad, cuts, ends) = (Arc::clone(&line.is_bad), Arc::clone(&line.cuts), Arc::clone(&line.ends));
        spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let answers = spawn(move || answer(from, to));
                let (is_bad, cuts, ends) = (Arc::clone(&is_bad), Arc::clone(&cuts), Arc::clone(&ends));
                spawn(move || {
                    if forward(&client, &server, &is_bad, &cuts) {
                        ends.fetch_add(1, Ordering::AcqRel);
                        hang_up(&client, &server);
                        let _ = answers.join();
                        ends.fetch_sub(1, Ordering::AcqRel);
                    }
                    hang_up(&client, &server);
                });
            }
        });
        line
    }

    /// Waits until PostgreSQL has done what it was sent on connections that were cut.
    fn wait_until_heard(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.ends.load(Ordering::Acquire) > 0 {
            assert!(Instant::now() < deadline, "PostgreSQL does not notice that a connection was cut");
            sleep(Duration::from_millis(5));
        }
    }
}

/// How a statement begins that is committed as it ends, without a COMMIT.
const AT_ONCE: &[u8] = b"WITH t AS MATERIALIZED (SELECT set_config";

/// The name under which scimd has PostgreSQL prepare such a statement, if it does, as it is named again whenever it is to run.
fn prepared_at_once(said: &[u8]) -> Option<Vec<u8>> {
    // The kind of the message and its length come first.
    let text = said.strip_prefix(b"P")?.get(4..)?;
    let (name, statement) = text.split_at(text.iter().position(|byte| *byte == 0)?);
    statement[1..].starts_with(AT_ONCE).then(|| [b"\0", name, b"\0"].concat())
}

/// The end of what PostgreSQL is to do without a COMMIT (`Sync`).
const SYNC: &[u8] = b"S\0\0\0\x04";

/// Hands on what scimd says; whether the line was cut. On a bad one every third commit is: one before it leaves, the next
/// after, so that PostgreSQL commits and nobody hears of it.
fn forward(mut client: &TcpStream, mut server: &TcpStream, is_bad: &AtomicBool, cuts: &[AtomicU64; 3]) -> bool {
    static COMMITS: AtomicU64 = AtomicU64::new(0);
    let (mut bytes, mut at_once) = ([0; 16 * 1024], Vec::new());
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        let said = &bytes[..length];
        let says = |word: &[u8]| said.windows(word.len()).any(|there| there == word);
        let is_at_once = said[0] == b'B' && at_once.iter().any(|name: &Vec<u8>| says(name));
        at_once.extend(prepared_at_once(said));
        let cut = ((says(b"COMMIT") || is_at_once) && is_bad.load(Ordering::Relaxed))
            .then(|| COMMITS.fetch_add(1, Ordering::Relaxed))
            .filter(|number| number % 3 == 0);
        let before = cut.is_some_and(|number| number % 2 == 0);
        if !before && server.write_all(said).is_err() {
            return false;
        }
        if cut.is_some() {
            cuts[usize::from(!before)].fetch_add(1, Ordering::Relaxed);
            cuts[2].fetch_add(u64::from(is_at_once), Ordering::Relaxed);
            return before || !is_at_once || said.ends_with(SYNC) || forward_to_its_end(client, server);
        }
    }
    false
}

/// Hands on the rest of a long statement, so that it is done; whether there was one.
fn forward_to_its_end(mut client: &TcpStream, mut server: &TcpStream) -> bool {
    let mut bytes = [0; 16 * 1024];
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        if server.write_all(&bytes[..length]).is_err() {
            return false;
        }
        if bytes[..length].ends_with(SYNC) {
            return true;
        }
    }
    false
}

/// Hands on what PostgreSQL says as long as somebody listens, and hears it to its end in any case.
fn answer(mut server: TcpStream, mut client: TcpStream) {
    let (mut bytes, mut listens) = ([0; 16 * 1024], true);
    while let Ok(length @ 1..) = server.read(&mut bytes) {
        listens = listens && client.write_all(&bytes[..length]).is_ok();
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// scimd hears nothing more. What it has sent arrives.
fn hang_up(client: &TcpStream, server: &TcpStream) {
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Write);
}

/// Commits that nobody hears of are there or not, and never twice.
pub fn cut_commits(effort: &Effort) -> Findings {
    let cluster = Cluster::start();
    let line = Line::to(cluster.port());
    let place = Place::at(&cluster.url_through(line.port));
    let mut findings = Findings::default();
    let mut crowd = crowd(&place, effort.seed);
    let rounds = effort.rounds(300, 10);
    let scimd = place.start();
    for _ in 0..rounds {
        line.is_bad.store(true, Ordering::Relaxed);
        load(&mut crowd, 150, || {});
        line.is_bad.store(false, Ordering::Relaxed);
        line.wait_until_heard();
        first_success(&place);
        look(&mut crowd);
    }
    findings.note("rounds", rounds);
    let cuts = line.cuts.each_ref().map(|cuts| cuts.load(Ordering::Relaxed));
    findings.note("commits cut before they left", cuts[0]);
    findings.note("commits cut after they left", cuts[1]);
    findings.note("of both without a COMMIT", cuts[2]);
    if cuts[..2].iter().any(|cuts| *cuts < u64::from(rounds)) || cuts[2] == 0 {
        findings.wrong.push(format!("only {cuts:?} commits were cut in {rounds} rounds"));
    }
    conclude(&place, crowd, rounds, &mut findings);
    findings.wrong.extend(cluster.damage());
    scimd.terminate();
    findings
}

/// PostgreSQL is stopped and started again under load.
pub fn restarts(effort: &Effort) -> Findings {
    let mut cluster = Cluster::start();
    let place = Place::at(&cluster.url());
    let mut findings = Findings::default();
    let mut crowd = crowd(&place, effort.seed);
    let rounds = effort.rounds(100, 3);
    let mut slowest = Duration::ZERO;
    let scimd = place.start();
    for _ in 0..rounds {
        let back = siege(&mut crowd, || {
            sleep(Duration::from_millis(200));
            cluster.stop();
            cluster.run();
            let back = first_success(&place);
            sleep(Duration::from_millis(100));
            back
        });
        slowest = slowest.max(back);
        look(&mut crowd);
    }
    findings.note("restarts of PostgreSQL", rounds);
    judge_return(effort, slowest, &mut findings);
    conclude(&place, crowd, rounds, &mut findings);
    findings.wrong.extend(cluster.damage());
    scimd.terminate();
    findings
}

/// The primary is killed and its synchronous standby promoted; scimd knows both hosts. In every other round the standby
/// hears nothing of the last moments of the primary: whatever was acknowledged then without it would be lost.
pub fn failover(effort: &Effort) -> Findings {
    let mut findings = Findings::default();
    let rounds = effort.rounds(10, 2);
    let (mut slowest, mut total) = (Duration::ZERO, 0);
    for round in 0..rounds {
        let mut primary = Cluster::start();
        let mut standby = primary.standby();
        let place = Place::at(&primary.url_with(&standby));
        let mut crowd = crowd(&place, effort.seed + u64::from(round));
        let scimd = place.start();
        let back = siege(&mut crowd, || {
            sleep(Duration::from_millis(1000));
            if round % 2 == 1 {
                standby.freeze();
                sleep(Duration::from_millis(300));
                primary.kill();
                standby.thaw();
            } else {
                primary.kill();
            }
            standby.promote();
            let back = first_success(&place);
            sleep(Duration::from_millis(300));
            back
        });
        slowest = slowest.max(back);
        look(&mut crowd);
        total += crowd.iter().map(|worker| worker.acknowledged).sum::<u64>();
        let mut of_this_one = Findings::default();
        conclude(&place, crowd, 10, &mut of_this_one);
        findings.wrong.extend(of_this_one.wrong.into_iter().map(|sentence| format!("round {round}: {sentence}")));
        findings.wrong.extend(standby.damage());
        scimd.terminate();
    }
    findings.note("failovers", rounds);
    findings.note("acknowledged writes", total);
    judge_return(effort, slowest, &mut findings);
    findings
}
