//! Between scimd and PostgreSQL: connections cut in the middle of COMMIT, and a primary that gives way to its standby.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::kill::{conclude, crowd, first_success, judge_return, load, look};
use crate::place::Place;
use crate::{Effort, Findings};

/// A line to PostgreSQL that a test can cut.
struct Line {
    port: u16,
    /// Whether commits are cut at the moment.
    is_bad: Arc<AtomicBool>,
    /// Commits that were cut before they left, and after.
    cuts: Arc<[AtomicU64; 2]>,
}

impl Line {
    fn to(port: u16) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Line {
            port: listener.local_addr().unwrap().port(),
            is_bad: Arc::default(),
            cuts: Arc::new([AtomicU64::new(0), AtomicU64::new(0)]),
        };
        let (is_bad, cuts) = (Arc::clone(&line.is_bad), Arc::clone(&line.cuts));
        spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                let (is_bad, cuts) = (Arc::clone(&is_bad), Arc::clone(&cuts));
                spawn(move || forward(client, server, &is_bad, &cuts));
            }
        });
        line
    }
}

/// Hands on what scimd says. On a bad line every third COMMIT is cut: one before it leaves, the next after, so that
/// PostgreSQL commits and nobody hears of it.
fn forward(mut client: TcpStream, mut server: TcpStream, is_bad: &AtomicBool, cuts: &[AtomicU64; 2]) {
    static COMMITS: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 16 * 1024];
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        let said = &bytes[..length];
        let commits = said.windows(6).any(|word| word == b"COMMIT") && is_bad.load(Ordering::Relaxed);
        let cut = commits.then(|| COMMITS.fetch_add(1, Ordering::Relaxed)).filter(|number| number % 3 == 0);
        let before = cut.is_some_and(|number| number % 2 == 0);
        if !before && server.write_all(said).is_err() {
            break;
        }
        if cut.is_some() {
            cuts[usize::from(!before)].fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    // What was sent arrives; only the answer does not.
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
        first_success(&place);
        look(&mut crowd);
    }
    findings.note("rounds", rounds);
    findings.note("commits cut before they left", line.cuts[0].load(Ordering::Relaxed));
    findings.note("commits cut after they left", line.cuts[1].load(Ordering::Relaxed));
    conclude(&place, crowd, &mut findings);
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
        load(&mut crowd, 200, || cluster.stop());
        cluster.run();
        slowest = slowest.max(first_success(&place));
        look(&mut crowd);
    }
    findings.note("restarts of PostgreSQL", rounds);
    judge_return(effort, slowest, &mut findings);
    conclude(&place, crowd, &mut findings);
    scimd.terminate();
    findings
}

/// The primary is killed and its synchronous standby promoted; scimd knows both hosts.
pub fn failover(effort: &Effort) -> Findings {
    let mut findings = Findings::default();
    let rounds = effort.rounds(10, 1);
    for round in 0..rounds {
        let mut primary = Cluster::start();
        let mut standby = primary.standby();
        let place = Place::at(&primary.url_with(&standby));
        let mut crowd = crowd(&place, effort.seed + u64::from(round));
        let scimd = place.start();
        load(&mut crowd, 1000, || primary.kill());
        standby.promote();
        let back = first_success(&place);
        if !effort.short && back > Duration::from_secs(5) {
            findings.wrong.push(format!("scimd was back only {back:?} after the standby was promoted"));
        }
        look(&mut crowd);
        load(&mut crowd, 300, || sleep(Duration::ZERO));
        look(&mut crowd);
        if round + 1 == rounds {
            findings.note("failovers", rounds);
            findings.note("return of service, the last time", format!("{:.2} s", back.as_secs_f32()));
        }
        let mut of_this_one = Findings::default();
        conclude(&place, crowd, &mut of_this_one);
        findings.wrong.extend(of_this_one.wrong);
        if round + 1 == rounds {
            findings.done.extend(of_this_one.done);
        }
        scimd.terminate();
    }
    findings
}
