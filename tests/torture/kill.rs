//! Processes killed at random moments under load: whatever was acknowledged is there, nothing is half written.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::crowd::Worker;
use crate::place::Place;
use crate::{Effort, Findings};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// So many clients write at once.
const CLIENTS: usize = 8;

/// So often the doctor looks at everything: a row of an index that is missing may be missed no more once its document has
/// changed.
const EXAMINATIONS: u32 = 10;

/// So often on SQLite: the doctor, alone with the file, also empties the log; in between it shall grow long and be carried
/// over.
const EXAMINATIONS_OF_FILE: u32 = 50;

/// scimd is killed, again and again: at work, and now and then while it starts on what the last one left.
pub fn sqlite(effort: &Effort) -> Findings {
    let place = Place::sqlite();
    let mut findings = Findings::default();
    let mut crowd = crowd(&place, effort.seed);
    let mut chance = Chance::new(effort.seed);
    let cycles = effort.rounds(1000, 15);
    let mut starts = 0;
    for cycle in 0..cycles {
        if chance.percent(10) {
            let scimd = place.spawn();
            sleep(Duration::from_millis(chance.below(60) as u64));
            scimd.kill();
            starts += 1;
        }
        let scimd = place.start();
        look(&mut crowd);
        let longest = if chance.percent(5) { 3_000 } else { 300 };
        load(&mut crowd, chance.below(longest) as u64, || scimd.kill());
        if cycle % EXAMINATIONS_OF_FILE == 0 {
            examine(&place, &mut findings);
            findings.wrong.extend(damage(&place));
        }
        stop_at_the_first_finding(&crowd, cycle, &mut findings);
        if !findings.wrong.is_empty() {
            return findings;
        }
    }
    let scimd = place.start();
    look(&mut crowd);
    findings.note("kills of scimd", cycles);
    findings.note("kills of scimd while it starts", starts);
    // Nothing stands between scimd and its file: nobody is to be told that it is not there.
    let unavailable = crowd.iter().map(|worker| worker.unavailable).sum::<u64>();
    if unavailable > 0 {
        findings.wrong.push(format!("{unavailable} changes were refused with 503, and nothing was broken"));
    }
    conclude(&place, crowd, cycles, &mut findings);
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
            // What scimd has sent is done, though nobody waits for it any more.
            cluster.wait_until_alone();
            scimd = place.start();
        } else {
            let back = siege(&mut crowd, || {
                sleep(Duration::from_millis(after));
                cluster.kill();
                cluster.run();
                first_success(&place)
            });
            slowest = slowest.max(back);
        }
        look(&mut crowd);
        if cycle % EXAMINATIONS == 0 {
            examine(&place, &mut findings);
        }
        stop_at_the_first_finding(&crowd, cycle, &mut findings);
        if !findings.wrong.is_empty() {
            return findings;
        }
    }
    findings.note("kills of scimd", cycles.div_ceil(2));
    findings.note("kills of PostgreSQL", cycles / 2);
    judge_return(effort, slowest, &mut findings);
    conclude(&place, crowd, cycles, &mut findings);
    findings.wrong.extend(cluster.damage());
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

/// How long it takes until a read and a write are answered again.
pub fn first_success(place: &Place) -> Duration {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let started = Instant::now();
    let client = place.client().careful();
    while started.elapsed() < Duration::from_secs(60) {
        let name = format!("back-{}@torture.example", COUNT.fetch_add(1, Ordering::Relaxed));
        let body = json!({"schemas": [USER], "userName": name});
        let read = client.call(&place.token, "GET", "/Users?count=1", None);
        let is_read = read.is_ok_and(|answer| answer.status == 200);
        let written = || client.call(&place.token, "POST", "/Users", Some(&body));
        if is_read && written().is_ok_and(|answer| answer.status == 201) {
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

/// Everybody works, whatever is broken, as long as something happens.
pub fn siege<T>(crowd: &mut [Worker], happens: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    scope(|scope| {
        for worker in crowd.iter_mut() {
            scope.spawn(|| worker.insist(&stop));
        }
        let outcome = happens();
        stop.store(true, Ordering::Relaxed);
        outcome
    })
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

/// Figures, and a last look at what no client sees: the history has a row for every change that was acknowledged, and no
/// other. Where next to nothing was acknowledged in so many rounds, nothing was shown.
pub fn conclude(place: &Place, crowd: Vec<Worker>, rounds: u32, findings: &mut Findings) {
    let acknowledged = crowd.iter().map(|worker| worker.acknowledged).sum::<u64>();
    findings.note("clients", crowd.len());
    findings.note("acknowledged writes", acknowledged);
    for (place, name) in ["writes in doubt that were done", "writes in doubt that were not"].into_iter().enumerate() {
        findings.note(name, crowd.iter().map(|worker| worker.doubts[place]).sum::<u64>());
    }
    findings.note("refused with 429", crowd.iter().map(|worker| worker.refused).sum::<u64>());
    findings.note("refused with 503", crowd.iter().map(|worker| worker.unavailable).sum::<u64>());
    if acknowledged < u64::from(rounds) * 4 {
        findings.wrong.push(format!("only {acknowledged} changes were acknowledged in {rounds} rounds"));
    }
    findings.wrong.extend(crowd.iter().flat_map(|worker| worker.wrong.clone()));
    let (changes, mut resources, mut rows) = (place.changes(), 0, 0);
    for (id, should) in crowd.iter().flat_map(Worker::histories) {
        let is = changes.get(id).copied().unwrap_or_default();
        (resources, rows) = (resources + 1, rows + is);
        if is != should {
            findings.wrong.push(format!("the history of {id} has {is} rows for {should} changes"));
        }
    }
    findings.note("histories compared", format!("{resources}, with {rows} rows"));
    let checks = examine(place, findings);
    findings.note("checks of the doctor", checks);
    findings.wrong.extend(place.faults().into_iter().map(|line| format!("a fault of ours in the log: {line}")));
}

/// What the doctor finds wrong, of indexes and documents among other things, and whether the history proves itself; the
/// number of checks.
fn examine(place: &Place, findings: &mut Findings) -> usize {
    let examined = place.command(&["doctor", "--json"]).output().unwrap();
    let examined: Value = serde_json::from_slice(&examined.stdout).unwrap();
    let checks = examined["findings"].as_array().unwrap();
    let wrong = checks.iter().filter(|check| check["state"] == "wrong");
    findings.wrong.extend(wrong.map(|check| format!("the doctor finds: {check}")));
    for needed in ["documents", "columns", "searchIndex", "memberships", "orphans"] {
        if !checks.iter().any(|check| check["check"] == needed && check["state"] != "notChecked") {
            findings.wrong.push(format!("the doctor has not looked at {needed}"));
        }
    }
    let proof = place.command(&["audit", "verify", "--json"]).output().unwrap();
    if !proof.status.success() {
        findings.wrong.push(format!("the history does not prove itself: {}", String::from_utf8_lossy(&proof.stdout)));
    }
    checks.len()
}

/// What SQLite finds wrong with the file.
pub fn damage(place: &Place) -> Vec<String> {
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
