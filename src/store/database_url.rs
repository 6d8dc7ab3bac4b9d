//! Where the database is: the URL that an operator writes.
//!
//! Knows how to read it, to say what is wrong with it, and to show it without its password; nothing of connecting.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::scim::{Error, ErrorKind, Result};

/// Where the database is. Neither `Debug` nor `Display` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:<file>`
    Sqlite(PathBuf),
    /// `postgres://…`, as libpq reads it
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    /// Reads `sqlite:<file>`, `postgres://…` or `postgresql://…`; the sentence of the error says what to write instead.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Some(file) = text.strip_prefix("sqlite:") {
            return sqlite_file(file.strip_prefix("//").unwrap_or(file)).map(DatabaseUrl::Sqlite);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return checked_postgres_url(text).map(|url| DatabaseUrl::Postgres(url.to_owned()));
        }
        // The text itself may hold a password and is not repeated.
        let hint = match text.split_once(':') {
            None if text.is_empty() => "The database URL is empty.".to_owned(),
            None => format!("The database URL has no scheme; for a SQLite file write `sqlite:{text}`."),
            Some(("postgres" | "postgresql", _)) => "`//` is missing after the scheme of the database URL.".to_owned(),
            Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
                format!("scimd does not know the database `{scheme}`.")
            }
            Some(_) => "The database URL has no known scheme.".to_owned(),
        };
        let forms = "Known forms: `sqlite:<file>` and `postgres://user:password@host:5432/database`.";
        Err(invalid_url(format!("{hint} {forms}")))
    }
}

fn invalid_url(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidValue, detail)
}

fn sqlite_file(file: &str) -> Result<PathBuf> {
    if file.is_empty() {
        return Err(invalid_url(
            "The database URL names no file; write `sqlite:<file>`, for example `sqlite:scimd.db`.",
        ));
    }
    if file.contains(":memory:") {
        return Err(invalid_url(
            "A database in memory would be lost at exit and is not supported; name a file, for example `sqlite:scimd.db`.",
        ));
    }
    if file.contains('?') {
        return Err(invalid_url("A SQLite URL takes no options after `?`; write `sqlite:<file>` alone."));
    }
    Ok(PathBuf::from(file))
}

/// A raw `@`, `/` or the like in a password makes libpq read the URL differently than it was meant, and complain with a
/// piece of the password.
fn checked_postgres_url(url: &str) -> Result<&str> {
    let Some(password) = password_of(url) else { return Ok(url) };
    if password.contains(['/', '?', '#', '@', ' ']) {
        return Err(invalid_url(
            "The user name, password and options of the database URL must be percent-encoded: \
             `%40` for `@`, `%2F` for `/`, `%3F` for `?`, `%23` for `#`, `%20` for a space.",
        ));
    }
    Ok(url)
}

/// What stands between the first `:` after the scheme and the last `@`.
pub(super) fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (user_and_password, _) = rest.rsplit_once('@')?;
    let (_, password) = user_and_password.split_once(':')?;
    Some(password)
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            DatabaseUrl::Postgres(url) => f.write_str(&without_secrets(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn without_secrets(url: &str) -> String {
    let (base, options) = url.split_once('?').map_or((url, None), |(base, options)| (base, Some(options)));
    let mut shown = match password_of(base) {
        Some(password) => base.replacen(&format!(":{password}@"), ":***@", 1),
        None => base.to_owned(),
    };
    let options = options.into_iter().flat_map(|options| options.split('&'));
    for (position, option) in options.enumerate() {
        shown.push(if position == 0 { '?' } else { '&' });
        match option.split_once('=') {
            Some((name, _)) if name.contains("password") => {
                shown.push_str(name);
                shown.push_str("=***");
            }
            _ => shown.push_str(option),
        }
    }
    shown
}

impl DatabaseUrl {
    /// Whether all writes go through one connection.
    pub(super) fn has_single_writer(&self) -> bool {
        matches!(self, DatabaseUrl::Sqlite(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        url.parse::<DatabaseUrl>().unwrap_err().detail().to_owned()
    }

    #[test]
    fn database_urls_choose_the_backend_by_their_scheme() {
        let parsed = |url: &str| url.parse::<DatabaseUrl>().unwrap();

        assert_eq!(parsed("sqlite:data/scimd.db"), DatabaseUrl::Sqlite("data/scimd.db".into()));
        assert_eq!(parsed("sqlite:///var/lib/scimd.db"), DatabaseUrl::Sqlite("/var/lib/scimd.db".into()));
        assert_eq!(parsed(" postgres://h/d\n"), DatabaseUrl::Postgres("postgres://h/d".to_owned()));
        assert!(matches!(parsed("postgresql:///d?host=/run"), DatabaseUrl::Postgres(_)));
    }

    #[test]
    fn refused_database_urls_say_what_to_write_instead() {
        let cases = [
            ("", "empty"),
            ("scimd.db", "`sqlite:scimd.db`"),
            ("sqlite:", "`sqlite:<file>`"),
            ("sqlite::memory:", "name a file"),
            ("sqlite:x.db?mode=rwc", "no options"),
            ("mysql://u:geheim@h/d", "`mysql`"),
            ("postgres:h/d", "`//` is missing"),
            ("postgres://u:gehe/im@h/d", "percent-encoded"),
            ("postgres://u:gehe@im@h/d", "percent-encoded"),
        ];
        for (url, sentence) in cases {
            let refusal = refusal(url);
            assert!(refusal.contains(sentence), "{url}: {refusal}");
            assert!(!refusal.contains("gehe"), "{refusal}");
        }
    }

    #[test]
    fn passwords_are_never_shown() {
        let url: DatabaseUrl = "postgres://u:geheim@h:5432/d?sslpassword=geheim&connect_timeout=3".parse().unwrap();

        assert_eq!(url.to_string(), "postgres://u:***@h:5432/d?sslpassword=***&connect_timeout=3");
        assert_eq!(format!("{url:?}"), url.to_string());
    }
}
