//! A PostgreSQL that keeps its promises (fsync and all), and that can be killed and started again.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::postgres::{Programs, free_port, run};

/// A cluster with one database, `scimd`.
pub struct Cluster {
    directory: TempDir,
    programs: Programs,
    port: u16,
    server: Option<Child>,
    /// Whether commits wait for a standby.
    waits: bool,
    /// What the server finds in its environment.
    pub environment: Vec<(&'static str, PathBuf)>,
}

impl Cluster {
    /// A fresh one, running.
    pub fn start() -> Cluster {
        let mut cluster = Cluster::prepared();
        cluster.run();
        cluster.create_database();
        cluster
    }

    /// A fresh one that does not run yet.
    pub fn prepared() -> Cluster {
        let cluster = Cluster::empty();
        let arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "-D"];
        run(cluster.command("initdb").args(arguments).arg(cluster.data()));
        cluster
    }

    /// The database of [`Cluster::url`].
    pub fn create_database(&self) {
        run(self.connecting("createdb").arg("scimd"));
    }

    fn empty() -> Cluster {
        let programs = Programs::find();
        let directory = tempfile::Builder::new().prefix("scimd-torture-").tempdir().unwrap();
        programs.give(directory.path());
        Cluster { directory, programs, port: free_port(), server: None, waits: false, environment: Vec::new() }
    }

    /// A standby of this one, to which it replicates from now on before it says that something is committed.
    pub fn standby(&mut self) -> Cluster {
        let mut standby = Cluster::empty();
        let data = standby.data();
        run(self
            .connecting("pg_basebackup")
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-D"])
            .arg(data));
        standby.run();
        self.stop();
        self.waits = true;
        self.run();
        standby
    }

    /// Makes a standby the primary.
    pub fn promote(&mut self) {
        run(self.command("pg_ctl").args(["promote", "--wait", "-D"]).arg(self.data()));
    }

    /// A program that connects to the server.
    fn connecting(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()]);
        command
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// The URL by way of another port.
    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/scimd")
    }

    /// The URL that names both hosts, of which one takes writes.
    pub fn url_with(&self, standby: &Cluster) -> String {
        let ports = (self.port, standby.port);
        format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/scimd?target_session_attrs=read-write&connect_timeout=2",
            ports.0, ports.1
        )
    }

    /// Where everything of it is; its own user owns it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Starts the server, and waits until it has recovered.
    pub fn run(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        if self.waits {
            command.args(["-c", "synchronous_standby_names=*"]);
        }
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=100",
            "fsync=on",
            "synchronous_commit=on",
            "full_page_writes=on",
        ] {
            command.args(["-c", setting]);
        }
        command.envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        self.server = Some(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.is_ready() {
            let log = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {}", log());
            sleep(Duration::from_millis(20));
            // Memory that it shared before it was killed may be in use for a moment after the last process has gone.
            if self.server.as_mut().is_some_and(|server| server.try_wait().unwrap().is_some()) {
                self.server = Some(command.spawn().unwrap());
            }
        }
    }

    fn log(&self) -> PathBuf {
        std::env::temp_dir().join(format!("scimd-torture-{}.log", self.port))
    }

    fn is_ready(&self) -> bool {
        let port = self.port.to_string();
        let mut command = self.command("pg_isready");
        command.args(["-q", "-h", "127.0.0.1", "-p", &port]).status().is_ok_and(|status| status.success())
    }

    /// SIGINT: the server rolls back what is under way and ends.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let _ = Command::new("kill").args(["-INT", &server.id().to_string()]).status();
        server.wait().unwrap();
    }

    /// SIGKILL to the server and everything that it has started: each of its processes leads a group of its own.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // It shall start nothing any more.
        signal("-STOP", &[server.id()]);
        let children = children_of(server.id());
        // All at once: whoever is told that nothing is known of his change shall not be shown by another process, which dies a
        // moment later, that it was not done. The standby may have it.
        signal("-STOP", &children);
        signal("-KILL", &children);
        signal("-KILL", &[server.id()]);
        server.wait().unwrap();
        // Nobody writes any more when the next one starts.
        let deadline = Instant::now() + Duration::from_secs(10);
        while children.iter().any(|child| PathBuf::from(format!("/proc/{child}/exe")).read_link().is_ok()) {
            assert!(Instant::now() < deadline, "what PostgreSQL has started outlives it");
            sleep(Duration::from_millis(1));
        }
    }

    /// Everything that the server has started stands still, as if the machine had.
    pub fn freeze(&self) {
        let server = self.server.as_ref().expect("it runs").id();
        signal("-STOP", &[&[server][..], &children_of(server)].concat());
    }

    /// And goes on.
    pub fn thaw(&self) {
        let server = self.server.as_ref().expect("it runs").id();
        signal("-CONT", &[&[server][..], &children_of(server)].concat());
    }

    /// Runs SQL as the superuser; its output.
    pub fn sql(&self, statement: &str) -> String {
        let mut command = self.connecting("psql");
        // Also where the server lets nobody write.
        command.env("PGOPTIONS", "-c default_transaction_read_only=off");
        command.args(["-X", "-A", "-t", "-d", "scimd", "-v", "ON_ERROR_STOP=1", "-c", statement]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Waits until nobody is connected: what the clients that are gone have sent is done then.
    pub fn wait_until_alone(&self) {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'scimd' AND pid <> pg_backend_pid()";
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.sql(others) != "0" {
            assert!(Instant::now() < deadline, "somebody is still connected to PostgreSQL");
            sleep(Duration::from_millis(5));
        }
    }

    /// What PostgreSQL finds wrong with its tables and indexes.
    pub fn damage(&self) -> Option<String> {
        let mut command = self.connecting("pg_amcheck");
        let output = command.args(["--install-missing", "--heapallindexed", "scimd"]).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (!output.status.success()).then(|| format!("pg_amcheck finds: {}", String::from_utf8_lossy(&told)))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.programs.command(program);
        command.current_dir("/");
        command
    }
}

/// Those that a process has started, and those that they have.
fn children_of(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().filter_map(|child| child.parse().ok()).collect();
    let further = children.iter().flat_map(|child| children_of(*child));
    children.iter().copied().chain(further.collect::<Vec<_>>()).collect()
}

fn signal(signal: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    let _ = Command::new("kill").arg(signal).args(processes).stderr(Stdio::null()).status();
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(self.log());
    }
}
