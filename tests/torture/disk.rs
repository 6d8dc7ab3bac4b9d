//! Disks that fail: writes are refused in clear words, reads go on, and when the disk is well again so is scimd, without a
//! restart.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kill::{conclude, crowd, load, look};
use crate::place::{PROGRAM, Place, Scimd};
use crate::{Effort, Findings};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// No space is left (ENOSPC).
pub fn full(effort: &Effort) -> Findings {
    fails_and_recovers(effort, "28")
}

/// The file system has turned read-only (EROFS).
pub fn read_only(effort: &Effort) -> Findings {
    fails_and_recovers(effort, "30")
}

/// The disk takes what is written and cannot promise to keep it (EIO of fsync).
pub fn unsynced(effort: &Effort) -> Findings {
    fails_and_recovers(effort, "5s")
}

/// A disk that a test can break.
struct Disk {
    library: PathBuf,
    switch: PathBuf,
}

impl Disk {
    fn of(place: &Place) -> Disk {
        let (library, switch) = (place.directory.path().join("faulty_disk.so"), place.directory.path().join("fault"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture/faulty_disk.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
        assert!(compiler.status().unwrap().success(), "the faulty disk cannot be compiled");
        Disk { library, switch }
    }

    fn start(&self, place: &Place) -> Scimd {
        let mut command = Command::new(PROGRAM);
        command.env("LD_PRELOAD", &self.library).env("FAULTY_DISK", &self.switch);
        place.start_by(command)
    }

    fn break_with(&self, fault: &str) {
        fs::write(&self.switch, fault).unwrap();
    }

    fn mend(&self) {
        fs::remove_file(&self.switch).unwrap();
    }
}

fn fails_and_recovers(effort: &Effort, fault: &str) -> Findings {
    let place = Place::sqlite();
    let disk = Disk::of(&place);
    let mut findings = Findings::default();
    let mut crowd = crowd(&place, effort.seed);
    let scimd = disk.start(&place);
    let rounds = effort.rounds(50, 3);
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        load(&mut crowd, 100, || disk.break_with(fault));
        while_it_fails(&place, round, &mut findings);
        disk.mend();
        slowest = slowest.max(until_a_write_succeeds(&place, round, &mut findings));
        look(&mut crowd);
    }
    findings.note("failures of the disk", rounds);
    findings.note("slowest return of writes", format!("{:.2} s after the disk", slowest.as_secs_f32()));
    scimd.kill();
    let scimd = place.start();
    look(&mut crowd);
    conclude(&place, crowd, &mut findings);
    scimd.terminate();
    findings
}

fn create(place: &Place, name: &str) -> crate::support::http::Response {
    let body = json!({"schemas": [USER], "userName": name});
    place.client().call(&place.token, "POST", "/Users", Some(&body)).unwrap()
}

fn while_it_fails(place: &Place, round: u32, findings: &mut Findings) {
    for attempt in 0..5 {
        let answer = create(place, &format!("refused-{round}-{attempt}@torture.example"));
        let is_clear = answer.status == 503 && answer.header("retry-after").is_some();
        let speaks = answer.json()["detail"].as_str().is_some_and(|detail| detail.len() > 20);
        if !is_clear || !speaks {
            let head = (answer.status, answer.header("retry-after").map(str::to_owned));
            findings.wrong.push(format!("a write to a failing disk was answered with {head:?}: {}", answer.text()));
        }
        let read = place.client().call(&place.token, "GET", "/Users?count=1", None).unwrap();
        if read.status != 200 {
            findings.wrong.push(format!(
                "a read beside a failing disk was answered with {}: {}",
                read.status,
                read.text()
            ));
        }
    }
}

fn until_a_write_succeeds(place: &Place, round: u32, findings: &mut Findings) -> Duration {
    let started = Instant::now();
    let mut attempt = 0;
    while started.elapsed() < Duration::from_secs(10) {
        attempt += 1;
        if create(place, &format!("again-{round}-{attempt}@torture.example")).status == 201 {
            return started.elapsed();
        }
        sleep(Duration::from_millis(10));
    }
    findings.wrong.push(format!("round {round}: no write succeeds though the disk is well again"));
    started.elapsed()
}
