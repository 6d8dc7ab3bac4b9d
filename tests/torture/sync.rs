//! The order of system calls: what was written is on the disk before its answer leaves. Killing a process cannot show a
//! missing fsync, for the system writes out what a dead process has written.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::place::{PROGRAM, Place};
use crate::{Effort, Findings};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// Between the last write to SQLite's log and each answer 201 stands a sync of the log.
pub fn before_the_answer(effort: &Effort) -> Findings {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        return Findings::skipped("strace is not installed");
    }
    let place = Place::sqlite();
    let trace = place.directory.path().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "40", "-e", "trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg", "-o"]);
    strace.arg(&trace).arg(PROGRAM);
    let scimd = place.start_by(strace);
    let client = place.client();
    // That the key was used is noted beside the first request, which would confuse the order.
    client.call(&place.token, "GET", "/Users", None).unwrap();
    let id = place.token.split('_').nth(1).unwrap().to_owned();
    while place.json(&["key", "show", &id, "--json"])["lastUsed"].is_null() {
        sleep(Duration::from_millis(50));
    }
    let writes = effort.rounds(500, 50);
    for number in 0..writes {
        let body = json!({"schemas": [USER], "userName": format!("synced-{number}@torture.example")});
        let answer = client.call(&place.token, "POST", "/Users", Some(&body)).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    scimd.kill();
    judge(&fs::read_to_string(&trace).unwrap(), writes)
}

fn judge(trace: &str, writes: u32) -> Findings {
    let mut findings = Findings::default();
    let (mut answers, mut syncs, mut unsynced, mut synced_since_answer) = (0, 0, 0, false);
    for line in trace.lines() {
        // strace cuts a call that blocks in two: it is done where it is resumed.
        let is_done = !line.contains("<unfinished ...>");
        let is_sync = line.contains("fdatasync") || line.contains("fsync");
        if line.contains("pwrite64(") && line.contains("scimd.db-wal>") {
            unsynced += 1;
        } else if is_sync && is_done && line.trim_end().ends_with("= 0") {
            unsynced = 0;
            syncs += 1;
            synced_since_answer = true;
        } else if line.contains("HTTP/1.1 201") {
            answers += 1;
            if unsynced > 0 || !synced_since_answer {
                findings.wrong.push(format!("answer {answers} left before its write was synced"));
            }
            synced_since_answer = false;
        }
    }
    findings.note("answers to writes", answers);
    findings.note("syncs before them", syncs);
    if answers < writes {
        findings.wrong.push(format!("the trace shows {answers} of {writes} answers"));
    }
    findings
}
