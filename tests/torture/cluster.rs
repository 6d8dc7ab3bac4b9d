//! A PostgreSQL that keeps its promises (fsync and all), and that can be killed and started again.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
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
}

impl Cluster {
    /// A fresh one, running.
    pub fn start() -> Cluster {
        let mut cluster = Cluster::empty();
        let data = cluster.data();
        let arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "-D"];
        run(cluster.command("initdb").args(arguments).arg(data));
        cluster.run();
        run(cluster.connecting("createdb").arg("scimd"));
        cluster
    }

    fn empty() -> Cluster {
        let programs = Programs::find();
        let directory = tempfile::Builder::new().prefix("scimd-torture-").tempdir().unwrap();
        programs.give(directory.path());
        Cluster { directory, programs, port: free_port(), server: None, waits: false }
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
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        self.server = Some(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.is_ready() {
            let log = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {}", log());
            sleep(Duration::from_millis(20));
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

    /// SIGKILL to the server and everything that it has started.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let group = format!("-{}", server.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        server.wait().unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.programs.command(program);
        command.current_dir("/");
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(self.log());
    }
}
