//! The order of system calls: what was written is on the disk before its answer leaves. Killing a process cannot show a
//! missing fsync, for the system writes out what a dead process has written.

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::cluster::Cluster;
use crate::place::{Place, program};
use crate::{Effort, Findings};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// How the name begins of everybody who is made.
const WRITTEN: &str = "synced-";

/// Between the writes to SQLite's log and each answer 201 stands a sync of the log.
pub fn before_the_answer(effort: &Effort) -> Findings {
    let calls = "pwrite64,fdatasync,fsync";
    trace(&Place::sqlite(), effort, (calls, "256"), |call| match call {
        call if call.name == "pwrite64" && call.file.ends_with("scimd.db-wal") => Some(Step::Write),
        call if ["fdatasync", "fsync"].contains(&call.name) && call.file.ends_with("scimd.db-wal") => {
            call.is_done.then_some(Step::Sync)
        }
        _ => None,
    })
}

/// Between what is written to PostgreSQL and each answer 201 stands PostgreSQL's word that no transaction is open any more
/// (`ReadyForQuery`, idle): it is committed. That PostgreSQL syncs before it says so is its own promise, and the doctor looks at
/// the settings that it hangs on.
pub fn before_the_answer_postgres(effort: &Effort) -> Findings {
    let cluster = Cluster::start();
    let (calls, idle) = (("sendto,recvfrom", "4096"), r"Z\0\0\0\5I");
    let mut findings = trace(&Place::at(&cluster.url()), effort, calls, |call| match call {
        call if call.text.contains("HTTP/1.1") => None,
        call if call.name == "sendto" && call.text.contains(WRITTEN) => Some(Step::Write),
        call if call.name == "recvfrom" && call.text.contains(idle) => call.is_done.then_some(Step::Sync),
        _ => None,
    });
    let waits = cluster.sql("SHOW synchronous_commit");
    findings.note("synchronous_commit", waits);
    findings
}

/// What a call means for one who waits for the disk.
enum Step {
    /// Something is on its way.
    Write,
    /// What was on its way has arrived.
    Sync,
}

/// A system call in a trace.
struct Call<'a> {
    name: &'a str,
    file: &'a str,
    text: &'a str,
    /// Whether it has returned without an error.
    is_done: bool,
}

/// A trace of these calls, with so much of what each carries.
fn trace(
    place: &Place,
    effort: &Effort,
    (calls, length): (&str, &str),
    step: impl Fn(&Call) -> Option<Step>,
) -> Findings {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        return Findings::skipped("strace is not installed");
    }
    let trace = place.directory.path().join("trace");
    let mut strace = Command::new("strace");
    // `-D`: scimd stays a child of this process, which ends it. The end of strace alone would leave it behind.
    strace.args([
        "-D",
        "-f",
        "-y",
        "-s",
        length,
        "-e",
        &format!("trace=read,readv,recvfrom,write,writev,sendto,sendmsg,{calls}"),
        "-o",
    ]);
    strace.arg(&trace).arg(program());
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
        let body = json!({"schemas": [USER], "userName": format!("{WRITTEN}{number}@torture.example")});
        let answer = client.call(&place.token, "POST", "/Users", Some(&body)).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    scimd.kill();
    judge(&fs::read_to_string(&trace).unwrap(), writes, step)
}

/// One request follows the other, so what is written and synced between a request and its answer belongs to it; what is
/// written behind the sync is nobody's promise yet.
fn judge(trace: &str, writes: u32, step: impl Fn(&Call) -> Option<Step>) -> Findings {
    let mut findings = Findings::default();
    let (mut answers, mut written, mut syncs) = (0, 0, 0);
    let (mut has_written, mut has_synced, mut written_to) = (false, false, "");
    let mut begun: HashMap<&str, &str> = HashMap::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        // strace cuts a call that blocks in two: it is done where it is resumed, and its file stands where it began.
        let is_resumed = rest.starts_with("<... ");
        let start = if is_resumed { begun.remove(thread).unwrap_or_default() } else { rest };
        if rest.ends_with("<unfinished ...>") {
            begun.insert(thread, rest);
        }
        let result = rest.rsplit_once(" = ").map_or("", |(_, result)| result);
        let call = Call {
            name: start.split('(').next().unwrap_or_default(),
            file: start.split_once('<').and_then(|(_, file)| file.split('>').next()).unwrap_or_default(),
            text: rest,
            is_done: !rest.ends_with("<unfinished ...>") && !result.is_empty() && !result.starts_with('-'),
        };
        match step(&call) {
            Some(Step::Write) => {
                written += u32::from(!is_resumed);
                (has_written, written_to) = (true, call.file);
            }
            Some(Step::Sync) => {
                syncs += 1;
                has_synced = has_synced || (has_written && call.file == written_to);
            }
            None if rest.contains("POST /scim/v2/Users") => (has_written, has_synced) = (false, false),
            None if rest.contains("HTTP/1.1 201") => {
                answers += 1;
                if !has_synced {
                    let why = if has_written { "before its write was synced" } else { "and nothing was written" };
                    findings.wrong.push(format!("answer {answers} left {why}"));
                }
            }
            None => {}
        }
    }
    findings.note("answers to writes", answers);
    findings.note("writes before them", written);
    findings.note("syncs before them", syncs);
    if answers < writes {
        findings.wrong.push(format!("the trace shows {answers} of {writes} answers"));
    }
    findings
}
