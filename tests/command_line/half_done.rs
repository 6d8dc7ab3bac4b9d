//! Full disks, files that are there, signals: whatever keeps a command from its end leaves nothing half-done.

use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;

use super::transfer::{Talk, ended, feed, file, fill, resources};
use crate::{Workplace, text};

/// What stands in the working directory.
fn names(workplace: &Workplace) -> Vec<String> {
    let entries = std::fs::read_dir(workplace.directory.path()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(unix)]
#[test]
fn an_export_to_a_file_is_whole_or_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let workplace = Workplace::sqlite();
    let talk = Talk::with(&workplace);
    fill(&talk);
    talk.stop();
    let (path, shown) = file(&workplace, "acme.ndjson");

    workplace.succeed(&["export", "--output", &shown]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(resources(&std::fs::read_to_string(&path).unwrap()), resources(&workplace.succeed(&["export"])));
    let nowhere = workplace.fail(&["export", "--output", "missing/acme.ndjson"]);
    assert!(nowhere.contains("nothing of it is left"), "{nowhere}");
    assert!(workplace.fail(&["export", "--tenant", "acme", "--output", "acme2.ndjson"]).contains("`default`"));
    let socket = workplace.directory.path().join("socket");
    let listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for command in [&["export", "--output", "socket"][..], &["backup", "--force", "socket"]] {
        assert!(workplace.fail(command).contains("is no plain file"), "{command:?}");
    }
    drop(listening);
    std::fs::remove_file(&socket).unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    assert!(workplace.fail(&["export", "--output", &shown]).contains("`--force` replaces it"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    workplace.succeed(&["export", "--deleted", "--force", "--output", &shown]);
    assert_ne!(std::fs::read_to_string(&path).unwrap(), whole);
    assert_eq!(names(&workplace), [".local", "acme.ndjson"]);

    let mut child = workplace.command(&["export"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_and_one_sentence() {
    let workplace = Workplace::sqlite();
    let table: String = (0..300).map(|number| format!("somebody-with-a-long-name-{number}\n")).collect();
    let (code, _, told) = feed(&workplace, &["import", "-", "--csv"], &format!("userName\n{table}"));
    assert_eq!(code, Some(0), "{told}");
    let program = workplace.command(&[]).get_program().to_owned();
    for arguments in ["backup full", "export --output full"] {
        // A file may have 64 blocks; whoever goes on is told so instead of killed.
        let script = format!("trap '' XFSZ; ulimit -f 64; exec \"$0\" {arguments}");
        let mut command = std::process::Command::new("sh");
        command.env_clear().env("HOME", workplace.directory.path()).current_dir(workplace.directory.path());
        let output = command.args(["-c", &script]).arg(&program).output().unwrap();

        let (code, printed, told) = ended(&output);
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("full cannot be written") && told.contains("nothing of it is left"), "{told}");
        assert_eq!(names(&workplace), [".local"]);
    }
    let mut command = workplace.command(&["export"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (code, _, told) = ended(&command.stdout(full).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(told.starts_with("error: Standard output cannot be written"), "{told}");
}

/// Ends in the middle of an export, whoever waits for it. The signals are those of a command at a terminal, whatever the
/// tests themselves were told to ignore.
#[cfg(target_os = "linux")]
#[test]
fn a_command_that_is_interrupted_leaves_nothing_unfinished() {
    use std::os::unix::process::ExitStatusExt as _;
    let workplace = Workplace::sqlite();
    let (path, key) = file(&workplace, "key");
    std::fs::write(&path, "scimd_key").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for (signal, number) in [("-INT", 2), ("-TERM", 15)] {
        let arguments = ["export", "--output", "whole", "--url", &url, "--admin-key-file", &key];
        let mut command = workplace.command_by(&["env", "--default-signal=INT,TERM"], &arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let begun =
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"f\r\n";
        server.write_all(begun.as_bytes()).unwrap();
        assert_eq!(names(&workplace).len(), 2, "what is unfinished has another name");

        let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();

        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(number), "a shell ends its loop, too");
        let told = "error: Interrupted; the server may go on with what it has received.\n";
        assert_eq!(ended(&output), (None, String::new(), told.to_owned()));
        assert_eq!(names(&workplace), ["key"]);
    }
}

/// As shells start what scripts run in the background.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    use std::os::unix::process::ExitStatusExt as _;
    let workplace = Workplace::sqlite();
    let (path, key) = file(&workplace, "key");
    std::fs::write(&path, "scimd_key").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let arguments = ["export", "--url", &url, "--admin-key-file", &key];
    let mut command = workplace.command_by(&["sh", "-c", "trap '' INT; exec \"$0\" \"$@\""], &arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let waiting = listener.accept().unwrap();

    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let sent = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();

    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_eq!(u64::from_str_radix(ignored.trim(), 16).unwrap() & 0b10, 0b10, "SIGINT");
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    drop(waiting);
}
