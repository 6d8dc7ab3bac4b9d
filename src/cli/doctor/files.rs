//! Files of this machine: who may read them, whether the certificate is good, how much room there is.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Database, Finding, Premises};

/// Who may read what. A group may: that is how secrets are handed to a service.
#[cfg(unix)]
pub(super) fn permissions(premises: &Premises) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    const CHECK: &str = "permissions";
    const WRITE: u32 = 0o002;
    const READ: u32 = 0o004;
    let mut writable = Vec::new();
    let mut readable = Vec::new();
    for path in guarded(premises) {
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        let mode = metadata.permissions().mode();
        if mode & WRITE != 0 {
            writable.push(path.display().to_string());
        } else if mode & READ != 0 {
            readable.push(path.display().to_string());
        }
    }
    let advice = |right: &str, paths: &[String]| format!("run `chmod {right} {}`", paths.join(" "));
    if !writable.is_empty() {
        let what = format!("everybody on this machine may change {}", writable.join(", "));
        return Finding::wrong(CHECK, what, advice("o-rwx", &writable));
    }
    if !readable.is_empty() {
        let what = format!("everybody on this machine may read {}", readable.join(", "));
        return Finding::warning(CHECK, what, advice("o-rwx", &readable));
    }
    Finding::ok(CHECK, "data and secrets are kept from others on this machine")
}

#[cfg(not(unix))]
pub(super) fn permissions(_: &Premises) -> Finding {
    Finding::not_checked("permissions", "scimd knows the permissions of Unix alone")
}

/// What nobody else should read: the directory and the files of the database, and the files of secrets.
#[cfg(unix)]
fn guarded(premises: &Premises) -> Vec<PathBuf> {
    let mut paths = premises.secret_files.clone();
    paths.extend(premises.certificate.iter().map(|files| files.key.clone()));
    if let Database::File(file) = &premises.database {
        let companion = |suffix: &str| {
            let mut name = file.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let is_private = |directory: &Path| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::metadata(directory).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 == 0)
        };
        // Into a directory that others cannot enter they cannot look.
        let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
        if directory.is_none_or(|directory| !is_private(directory)) {
            paths.extend([file.clone(), companion("-wal")]);
        }
        paths.extend(directory.filter(|directory| is_writable_by_all(directory)).map(Path::to_path_buf));
    }
    paths
}

/// A directory like /tmp is for everybody, and has the bit that keeps files from others than their owners.
#[cfg(unix)]
fn is_writable_by_all(directory: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(directory).is_ok_and(|metadata| metadata.permissions().mode() & 0o1002 == 0o002)
}

/// How long before its end a certificate should have been renewed.
const RENEWED_BEFORE: TimeDelta = TimeDelta::days(14);

pub(super) fn certificate(premises: &Premises, now: DateTime<Utc>) -> Finding {
    const CHECK: &str = "certificate";
    let Some(files) = &premises.certificate else {
        let what = match premises.database {
            Database::Elsewhere(_) => "the certificate of the server is looked at where the server is",
            _ => "TLS is not ours (`tls-certificate`)",
        };
        return Finding::not_checked(CHECK, what);
    };
    let read = match files.read() {
        Ok(read) => read,
        Err(sentence) => return Finding::wrong(CHECK, sentence, "renew the certificate, or name the right files"),
    };
    let [from, until] = [read.from, read.until].map(|time| time.format("%Y-%m-%d"));
    if !read.is_good_at(now) {
        let what = format!("the certificate is good from {from} to {until}, and not today");
        return Finding::wrong(CHECK, what, "renew it; the server reads it again by itself");
    }
    if let Some(host) = premises.public_url.as_deref().and_then(host_of).filter(|host| !read.names(host)) {
        let what = format!("the certificate is not one for {host}, the name that clients are told");
        return Finding::wrong(CHECK, what, "get one for that name, or set `public-url` to a name of the certificate");
    }
    if read.until - now < RENEWED_BEFORE {
        return Finding::warning(CHECK, format!("the certificate ends on {until}"), "renew it");
    }
    Finding::ok(CHECK, format!("the certificate is good until {until}"))
}

/// The host of an https URL.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.strip_prefix("https://")?.split('/').next()?;
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next();
    }
    authority.split(':').next()
}

const MEGABYTE: u64 = 1 << 20;
/// With less the next changes may find no room.
const NEARLY_NOTHING: u64 = 128 * MEGABYTE;
/// With less there is no time to do something about it.
const LITTLE: u64 = 1024 * MEGABYTE;

/// Room where the database is: for itself once more, too, since a backup or a migration takes as much.
pub(super) fn disk_space(premises: &Premises) -> Finding {
    const CHECK: &str = "diskSpace";
    let file = match &premises.database {
        Database::File(file) => file,
        Database::Postgres => return Finding::not_checked(CHECK, "the disk of PostgreSQL is not known here"),
        Database::Elsewhere(_) => {
            return Finding::not_checked(CHECK, "the disk of the server is looked at where it is");
        }
    };
    let directory = match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    match fs4::available_space(directory) {
        Ok(free) => judge_space(free, std::fs::metadata(file).map_or(0, |file| file.len())),
        Err(cause) => Finding::not_checked(CHECK, format!("{}: {cause}", directory.display())),
    }
}

fn judge_space(free: u64, size: u64) -> Finding {
    const CHECK: &str = "diskSpace";
    let what = format!("{} MB are free, the database has {} MB", free / MEGABYTE, size / MEGABYTE);
    if free < NEARLY_NOTHING {
        return Finding::wrong(CHECK, what, "make room at once: without it nothing can be changed any more");
    }
    if free < LITTLE.max(size) {
        return Finding::warning(CHECK, what, "make room: a backup or a migration may take as much as the database");
    }
    Finding::ok(CHECK, what)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use crate::certificate::Files;

    fn premises(database: Database) -> Premises {
        let listen = "127.0.0.1:8080".parse().expect("an address");
        let (certificate, secret_files, public_url) = (None, Vec::new(), None);
        Premises { database, certificate, secret_files, public_url, listen, is_behind_proxy: false }
    }

    #[test]
    fn room_is_judged_by_what_a_copy_takes() {
        for (free, size, state) in [
            (127 * MEGABYTE, 0, State::Wrong),
            (128 * MEGABYTE, 0, State::Warning),
            (1024 * MEGABYTE, MEGABYTE, State::Ok),
            (1025 * MEGABYTE, 1026 * MEGABYTE, State::Warning),
        ] {
            assert_eq!(judge_space(free, size).state, state, "{free} {size}");
        }
        let directory = tempfile::tempdir().expect("a directory");
        assert_ne!(disk_space(&premises(Database::File(directory.path().join("x")))).state, State::NotChecked);
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_read_or_change_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the mode is set");
        };
        let (file, secret) = (directory.path().join("scimd.db"), directory.path().join("url"));
        for path in [&file, &secret] {
            std::fs::write(path, "x").expect("written");
        }
        let premises = Premises { secret_files: vec![secret.clone()], ..premises(Database::File(file.clone())) };
        for (directory_mode, file_mode, secret_mode, state) in [
            (0o700, 0o600, 0o600, State::Ok),
            (0o750, 0o640, 0o440, State::Ok),
            (0o700, 0o644, 0o600, State::Ok),
            (0o755, 0o600, 0o600, State::Ok),
            (0o755, 0o644, 0o600, State::Warning),
            (0o700, 0o600, 0o644, State::Warning),
            (0o700, 0o600, 0o606, State::Wrong),
            (0o755, 0o666, 0o600, State::Wrong),
            (0o777, 0o600, 0o600, State::Wrong),
            (0o1777, 0o600, 0o600, State::Ok),
        ] {
            set(&file, file_mode);
            set(&secret, secret_mode);
            set(directory.path(), directory_mode);
            let finding = permissions(&premises);
            assert_eq!(finding.state, state, "{directory_mode:o} {file_mode:o} {secret_mode:o}: {}", finding.what);
        }
    }

    #[test]
    fn a_certificate_is_judged_by_its_time_its_key_and_its_names() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let mut parameters = rcgen::CertificateParams::new(vec!["scim.example.com".to_owned()]).expect("a name");
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2026, 3, 1);
        let [key, other] = [(); 2].map(|()| rcgen::KeyPair::generate().expect("a key"));
        let certificate = write("tls.crt", parameters.self_signed(&key).expect("signed").pem());
        let (key, other) = (write("tls.key", key.serialize_pem()), write("other.key", other.serialize_pem()));
        let state = |key: &Path, url: Option<&str>, now: &str| {
            let files = Some(Files { certificate: certificate.clone(), key: key.to_path_buf() });
            let public_url = url.map(str::to_owned);
            let premises = Premises { certificate: files, public_url, ..premises(Database::Postgres) };
            let now = now.parse().expect("a time");
            super::certificate(&premises, now).state
        };

        assert_eq!(state(&key, None, "2026-02-01T00:00:00Z"), State::Ok);
        assert_eq!(state(&key, Some("https://scim.example.com:8443/x"), "2026-02-01T00:00:00Z"), State::Ok);
        assert_eq!(state(&key, Some("https://other.example.com"), "2026-02-01T00:00:00Z"), State::Wrong);
        assert_eq!(state(&key, None, "2026-02-16T00:00:00Z"), State::Warning);
        assert_eq!(state(&key, None, "2026-03-01T00:00:00Z"), State::Wrong);
        assert_eq!(state(&key, None, "2025-12-31T00:00:00Z"), State::Wrong);
        assert_eq!(state(&other, None, "2026-02-01T00:00:00Z"), State::Wrong);
        assert_eq!(state(&certificate, None, "2026-02-01T00:00:00Z"), State::Wrong);
        assert_eq!(super::certificate(&premises(Database::Postgres), Utc::now()).state, State::NotChecked);
    }
}
