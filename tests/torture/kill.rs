//! Processes killed at random moments under load: whatever was acknowledged is there, nothing is half written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::crowd::Worker;
use crate::place::Place;
use crate::{Effort, Findings};

/// So many clients write at once.
const CLIENTS: usize = 8;

/// scimd is killed, again and again.
pub fn sqlite(effort: &Effort) -> Findings {
    let place = Place::sqlite();
    let mut findings = Findings::default();
    let mut crowd = crowd(&place, effort.seed);
    let mut chance = Chance::new(effort.seed);
    let cycles = effort.rounds(1000, 15);
    for cycle in 0..cycles {
        let scimd = place.start();
        look(&mut crowd);
        load(&mut crowd, chance.below(300) as u64, || scimd.kill());
        stop_at_the_first_finding(&crowd, cycle, &mut findings);
        if !findings.wrong.is_empty() {
            return findings;
        }
    }
    let scimd = place.start();
    look(&mut crowd);
    findings.note("kills of scimd", cycles);
    conclude(&place, crowd, &mut findings);
    findings.wrong.extend(damage(&place));
    scimd.terminate();
    findings
}

/// scimd and PostgreSQL are killed in turn; scimd outlives its database.
pub fn postgres(effort: &Effort) -> Findings {
    let mut cluster = Cluster::start();
    let place = Place::at(&cluster.url());
    let mut findings = Findings::default();
    let mut crowd = crowd(&place, effort.seed);
    let mut chance = Chance::new(effort.seed);
    let cycles = effort.rounds(200, 6);
    let mut slowest = Duration::ZERO;
    let mut scimd = place.start();
    for cycle in 0..cycles {
        let after = chance.below(400) as u64;
        if cycle % 2 == 0 {
            load(&mut crowd, after, || scimd.kill());
            scimd = place.start();
        } else {
            load(&mut crowd, after, || cluster.kill());
            cluster.run();
            slowest = slowest.max(first_success(&place));
        }
        look(&mut crowd);
        stop_at_the_first_finding(&crowd, cycle, &mut findings);
        if !findings.wrong.is_empty() {
            return findings;
        }
    }
    findings.note("kills of scimd", cycles.div_ceil(2));
    findings.note("kills of PostgreSQL", cycles / 2);
    judge_return(effort, slowest, &mut findings);
    conclude(&place, crowd, &mut findings);
    scimd.terminate();
    findings
}

/// Five seconds after its database scimd must be back.
pub fn judge_return(effort: &Effort, slowest: Duration, findings: &mut Findings) {
    findings.note("slowest return of service", format!("{:.2} s after the database", slowest.as_secs_f32()));
    if !effort.short && slowest > Duration::from_secs(5) {
        findings.wrong.push(format!("scimd was back only {slowest:?} after its database"));
    }
}

/// How long it takes until a read is answered again.
pub fn first_success(place: &Place) -> Duration {
    let started = Instant::now();
    let client = place.client();
    while started.elapsed() < Duration::from_secs(60) {
        let answer = client.call(&place.token, "GET", "/Users?count=1", None);
        if answer.is_ok_and(|answer| answer.status == 200) {
            break;
        }
        sleep(Duration::from_millis(5));
    }
    started.elapsed()
}

/// Clients that know nothing yet, with a group each.
pub fn crowd(place: &Place, seed: u64) -> Vec<Worker> {
    let scimd = place.start();
    let crowd = (0..CLIENTS).map(|number| Worker::new(number, seed, &place.base_url(), &place.token)).collect();
    scimd.terminate();
    crowd
}

/// Everybody works for so many milliseconds; then something happens.
pub fn load(crowd: &mut [Worker], milliseconds: u64, happens: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    scope(|scope| {
        for worker in crowd.iter_mut() {
            scope.spawn(|| worker.work(&stop));
        }
        sleep(Duration::from_millis(milliseconds));
        happens();
        stop.store(true, Ordering::Relaxed);
    });
}

/// Everybody looks at what is theirs.
pub fn look(crowd: &mut [Worker]) {
    scope(|scope| {
        crowd.iter_mut().for_each(|worker| {
            scope.spawn(|| worker.look());
        })
    });
}

fn stop_at_the_first_finding(crowd: &[Worker], cycle: u32, findings: &mut Findings) {
    let wrong = crowd.iter().flat_map(|worker| &worker.wrong);
    findings.wrong.extend(wrong.map(|sentence| format!("cycle {cycle}: {sentence}")));
}

/// Figures, and a last look at what no client sees: the history has a row for every change that was acknowledged.
pub fn conclude(place: &Place, crowd: Vec<Worker>, findings: &mut Findings) {
    findings.note("clients", crowd.len());
    findings.note("acknowledged writes", crowd.iter().map(|worker| worker.acknowledged).sum::<u64>());
    for (place, name) in ["writes in doubt that were done", "writes in doubt that were not"].into_iter().enumerate() {
        findings.note(name, crowd.iter().map(|worker| worker.doubts[place]).sum::<u64>());
    }
    findings.note("refused with 429", crowd.iter().map(|worker| worker.refused).sum::<u64>());
    findings.wrong.extend(crowd.iter().flat_map(|worker| worker.wrong.clone()));
    let mut rows = 0;
    for (id, changes) in crowd.iter().flat_map(Worker::histories) {
        let history = place.json(&["user", "history", id, "--limit", "100000", "--json"]);
        let is = history.as_array().map_or(0, Vec::len);
        rows += is;
        if is != changes {
            findings.wrong.push(format!("the history of {id} has {is} rows for {changes} changes"));
        }
    }
    findings.note("rows of history compared", rows);
    examine(place, findings);
    findings.wrong.extend(place.faults().into_iter().map(|line| format!("a fault of ours in the log: {line}")));
}

/// What the doctor finds wrong, of indexes and documents among other things, and whether the history proves itself.
fn examine(place: &Place, findings: &mut Findings) {
    let examined = place.command(&["doctor", "--json"]).output().unwrap();
    let examined: Value = serde_json::from_slice(&examined.stdout).unwrap();
    let checks = examined["findings"].as_array().unwrap();
    let wrong = checks.iter().filter(|check| check["state"] == "wrong");
    findings.wrong.extend(wrong.map(|check| format!("the doctor finds: {check}")));
    findings.note("checks of the doctor", checks.len());
    let proof = place.command(&["audit", "verify", "--json"]).output().unwrap();
    if !proof.status.success() {
        findings.wrong.push(format!("the history does not prove itself: {}", String::from_utf8_lossy(&proof.stdout)));
    }
}

/// What SQLite finds wrong with the file.
fn damage(place: &Place) -> Vec<String> {
    use diesel::prelude::*;
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        integrity_check: String,
    }
    let mut connection = SqliteConnection::establish(&place.file().display().to_string()).unwrap();
    let rows: Vec<Row> = diesel::sql_query("PRAGMA integrity_check").load(&mut connection).unwrap();
    rows.into_iter().map(|row| row.integrity_check).filter(|line| line != "ok").collect()
}
