//! Disks that fail: writes are refused in clear words, reads go on, and when the disk is well again so is scimd, without a
//! restart, unless the disk has lost what it took.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::Cluster;
use crate::crowd::{Worker, unclear};
use crate::kill::{conclude, crowd, damage, look, siege};
use crate::place::{Place, Scimd, program};
use crate::support::http::Response;
use crate::{Effort, Findings};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// No space is left (ENOSPC).
pub fn full(effort: &Effort) -> Findings {
    let place = Place::sqlite();
    let disk = FaultyDisk::of(place.directory.path(), "scimd.db", "28");
    fails_and_recovers(effort, &place, &disk)
}

/// The file system has turned read-only (EROFS).
pub fn read_only(effort: &Effort) -> Findings {
    let place = Place::sqlite();
    let disk = FaultyDisk::of(place.directory.path(), "scimd.db", "30");
    fails_and_recovers(effort, &place, &disk)
}

/// The disk takes what is written and cannot promise to keep it (EIO of fsync of the log).
pub fn unsynced(effort: &Effort) -> Findings {
    let place = Place::sqlite();
    let disk = FaultyDisk::of(place.directory.path(), "scimd.db-wal$", "5s");
    fails_and_recovers(effort, &place, &disk)
}

/// The disk keeps the log, and loses what is carried over from it into the file of the database: scimd ends by itself, and
/// the next one finds everything in the log.
pub fn file_unsynced(effort: &Effort) -> Findings {
    let place = Place::sqlite();
    let disk = FaultyDisk::of(place.directory.path(), "scimd.db$", "5s");
    let (file, kept) = (place.file(), place.directory.path().join("kept"));
    let mut findings = Findings::default();
    let mut crowd = crowd(&place, effort.seed);
    let rounds = effort.rounds(20, 2);
    for round in 0..rounds {
        let mut scimd = disk.start(&place);
        look(&mut crowd);
        siege(&mut crowd, || sleep(Duration::from_millis(300)));
        disk.fail();
        fs::copy(&file, &kept).unwrap();
        let code = siege(&mut crowd, || scimd.end());
        drop(scimd);
        if code != Some(INPUT_OR_OUTPUT) {
            findings.wrong.push(format!("round {round}: scimd ended with {code:?} on a disk that loses what it took"));
        }
        // The system still has what the disk has not.
        fs::copy(&kept, &file).unwrap();
        disk.mend();
    }
    findings.note("ends of scimd by itself", rounds);
    let scimd = place.start();
    look(&mut crowd);
    conclude(&place, crowd, rounds, &mut findings);
    findings.wrong.extend(damage(&place));
    scimd.terminate();
    findings
}

/// How scimd ends where the disk does not keep what it took (`EX_IOERR`).
const INPUT_OR_OUTPUT: i32 = 74;

/// A file system with the database on it, and next to no room.
pub fn small(effort: &Effort) -> Findings {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path().join("data")) else {
        return Findings::skipped("mounting a file system is not allowed here");
    };
    fails_and_recovers(effort, &Place::sqlite_in(directory), &disk)
}

/// PostgreSQL gets no more room for its tables and indexes (ENOSPC where a file would grow). What finds a place in the
/// pages that are there goes on.
pub fn postgres_full(effort: &Effort) -> Findings {
    let mut cluster = Cluster::prepared();
    let disk = FaultyDisk::of(cluster.directory(), "/base/", "28e");
    cluster.environment = disk.environment().to_vec();
    cluster.run();
    cluster.create_database();
    let place = Place::at(&cluster.url());
    let mut findings = fails_and_recovers(effort, &place, &Server { cluster: &cluster, disk: Some(&disk) });
    findings.wrong.extend(cluster.damage());
    findings
}

/// PostgreSQL takes no changes, as an operator or a standby has it.
pub fn postgres_read_only(effort: &Effort) -> Findings {
    let cluster = Cluster::start();
    let place = Place::at(&cluster.url());
    fails_and_recovers(effort, &place, &Server { cluster: &cluster, disk: None })
}

/// A disk that a test can break.
trait Disk {
    /// scimd on this disk.
    fn start(&self, place: &Place) -> Scimd {
        place.start()
    }

    fn fail(&self);

    fn mend(&self);

    /// Whether every write fails.
    fn is_total(&self) -> bool {
        true
    }

    /// Waits until what was sent by clients that are gone is done.
    fn settle(&self) {}
}

/// A server that can do only half of its work: on a disk without room, or told to write nothing.
struct Server<'a> {
    cluster: &'a Cluster,
    disk: Option<&'a FaultyDisk>,
}

impl Server<'_> {
    fn read_only(&self, value: &str) {
        self.cluster.sql(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}"));
        self.cluster.sql("SELECT pg_reload_conf()");
    }
}

impl Disk for Server<'_> {
    fn fail(&self) {
        match self.disk {
            Some(disk) => disk.fail(),
            None => self.read_only("on"),
        }
    }

    fn mend(&self) {
        match self.disk {
            Some(disk) => disk.mend(),
            None => self.read_only("off"),
        }
    }

    fn is_total(&self) -> bool {
        self.disk.is_none()
    }

    fn settle(&self) {
        self.cluster.wait_until_alone();
    }
}

/// A disk that fails by a library that scimd is made to load, while a file is there.
struct FaultyDisk {
    library: PathBuf,
    switch: PathBuf,
    /// The files that are concerned.
    files: &'static str,
    fault: &'static str,
}

impl FaultyDisk {
    fn of(directory: &Path, files: &'static str, fault: &'static str) -> FaultyDisk {
        let (library, switch) = (directory.join("faulty_disk.so"), directory.join("fault"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture/faulty_disk.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
        assert!(compiler.status().unwrap().success(), "the faulty disk cannot be compiled");
        FaultyDisk { library, switch, files, fault }
    }

    fn environment(&self) -> [(&'static str, PathBuf); 3] {
        let files = PathBuf::from(self.files);
        [("LD_PRELOAD", self.library.clone()), ("FAULTY_DISK", self.switch.clone()), ("FAULTY_FILES", files)]
    }
}

impl Disk for FaultyDisk {
    fn start(&self, place: &Place) -> Scimd {
        let mut command = Command::new(program());
        command.envs(self.environment());
        place.start_by(command)
    }

    fn fail(&self) {
        // All at once: half a switch would be no fault, or another one.
        let beside = self.switch.with_extension("new");
        fs::write(&beside, self.fault).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)).unwrap();
        fs::rename(&beside, &self.switch).unwrap();
    }

    fn mend(&self) {
        fs::remove_file(&self.switch).unwrap();
    }
}

/// A real file system, in memory, that a file fills up to the last byte.
struct SmallDisk {
    directory: PathBuf,
}

impl SmallDisk {
    fn mount(directory: PathBuf) -> Option<SmallDisk> {
        fs::create_dir(&directory).unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=512m", "tmpfs"]).arg(&directory).output();
        mount.is_ok_and(|output| output.status.success()).then_some(SmallDisk { directory })
    }

    fn ballast(&self) -> PathBuf {
        self.directory.join("ballast")
    }
}

impl Disk for SmallDisk {
    fn fail(&self) {
        let mut file = fs::File::create(self.ballast()).unwrap();
        let mut length = 1024 * 1024;
        while length > 0 {
            if file.write_all(&vec![0; length]).is_err() {
                length /= 2;
            }
        }
    }

    fn mend(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    /// Where the database has taken room before, there is room still.
    fn is_total(&self) -> bool {
        false
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.directory).status();
    }
}

/// So often scimd is killed while the disk is broken, and starts again when it is well.
const KILLS: u32 = 5;

fn fails_and_recovers(effort: &Effort, place: &Place, disk: &dyn Disk) -> Findings {
    let mut findings = Findings::default();
    let mut crowd = crowd(place, effort.seed);
    let mut scimd = disk.start(place);
    let rounds = effort.rounds(50, 5);
    let (mut slowest, mut told) = (Duration::ZERO, Vec::new());
    for round in 0..rounds {
        siege(&mut crowd, || {
            sleep(Duration::from_millis(100));
            disk.fail();
            until_a_write_fails(place, &mut findings);
            told.extend(while_it_fails(place, disk, &mut findings));
        });
        if round % KILLS == KILLS - 1 {
            scimd.kill();
            disk.settle();
            disk.mend();
            scimd = disk.start(place);
        } else {
            disk.mend();
            let back = until_a_write_succeeds(place);
            slowest = slowest.max(back);
            if back > Duration::from_secs(10) {
                findings.wrong.push(format!("round {round}: no write succeeds though the disk is well again"));
            }
        }
        look(&mut crowd);
        told.drain(..).for_each(|(name, is_there)| look_for(place, &name, is_there, &mut findings));
    }
    findings.note("failures of the disk", rounds);
    findings.note("kills while it fails", rounds / KILLS);
    findings.note("slowest return of writes", format!("{:.2} s after the disk", slowest.as_secs_f32()));
    scimd.kill();
    let scimd = place.start();
    look(&mut crowd);
    end(place, crowd, rounds, &mut findings);
    scimd.terminate();
    findings
}

/// Whatever happened, the refusals of the clients themselves are there to be counted.
fn end(place: &Place, crowd: Vec<Worker>, rounds: u32, findings: &mut Findings) {
    let unavailable = crowd.iter().map(|worker| worker.unavailable).sum::<u64>();
    if unavailable < u64::from(rounds) {
        findings.wrong.push(format!("the clients were refused only {unavailable} times in {rounds} failures"));
    }
    conclude(place, crowd, rounds, findings);
}

/// A user that nobody has asked for before.
fn create(place: &Place) -> (String, Response) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("disk-{}@torture.example", COUNT.fetch_add(1, Ordering::Relaxed));
    let body = json!({"schemas": [USER], "userName": name});
    let answer = place.client().careful().call(&place.token, "POST", "/Users", Some(&body)).unwrap();
    (name, answer)
}

/// There may be room left in what the database has taken before.
fn until_a_write_fails(place: &Place, findings: &mut Findings) {
    let started = Instant::now();
    while create(place).1.status == 201 {
        if started.elapsed() > Duration::from_secs(30) {
            return findings.wrong.push("the disk is broken, and writes go on".to_owned());
        }
    }
}

/// The names of users of whom the server says whether it has made them.
fn while_it_fails(place: &Place, disk: &dyn Disk, findings: &mut Findings) -> Vec<(String, bool)> {
    let mut told = Vec::new();
    for _ in 0..5 {
        let (name, answer) = create(place);
        match answer.status {
            503 => {
                findings.wrong.extend(unclear(&answer));
                told.extend((!answer.text().contains("unknown")).then_some((name, false)));
            }
            201 if !disk.is_total() => told.push((name, true)),
            status => {
                findings.wrong.push(format!("a write to a failing disk was answered with {status}: {}", answer.text()));
            }
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
    told
}

/// Whoever was refused is not there, and whoever was not is.
fn look_for(place: &Place, name: &str, is_there: bool, findings: &mut Findings) {
    let path = format!("/Users?filter=userName%20eq%20%22{name}%22&count=0");
    let found = place.client().call(&place.token, "GET", &path, None).unwrap().json();
    if found["totalResults"] != u32::from(is_there) {
        findings.wrong.push(format!("that {name} is there was told as {is_there}, and the search finds {found}"));
    }
}

fn until_a_write_succeeds(place: &Place) -> Duration {
    let started = Instant::now();
    while create(place).1.status != 201 && started.elapsed() < Duration::from_secs(30) {
        sleep(Duration::from_millis(10));
    }
    started.elapsed()
}
