//! A cursor: bytes → place → bytes, and text that nobody but the server can make.
//!
//! The bytes are those inside a cursor; as text they are a cursor that a stranger made up.

use chrono::{DateTime, Utc};
use scimd::scim::ErrorKind;
use scimd::scim::cursor::{Binding, Cursor, Secret};

use super::assert_refusal;

/// Reads the bytes as what a cursor holds, and as a cursor.
pub fn check(bytes: &[u8]) {
    assert_forged(&String::from_utf8_lossy(bytes));
    let Some((cursor, made_at)) = Cursor::from_bytes(bytes) else { return };
    assert_eq!(cursor.to_bytes(made_at), bytes, "one text for one place");
    let Some(now) = DateTime::from_timestamp_millis(made_at) else { return };
    assert_sealed(&cursor, now);
}

/// Nobody guesses a cursor, and what is wrong with it is not told (CUR-05).
fn assert_forged(text: &str) {
    let error = Cursor::open(text, &secret("ours"), &binding("/Users"), DateTime::UNIX_EPOCH).expect_err("forged");
    assert_refusal(&error);
    assert_eq!(error.kind(), ErrorKind::InvalidCursor);
}

fn assert_sealed(cursor: &Cursor, now: DateTime<Utc>) {
    let text = cursor.seal(&secret("ours"), &binding("/Users"), now).expect("it is sealed");
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text} in a URL");
    let open = |text: &str, secret_of: &str, endpoint: &str| {
        Cursor::open(text, &secret(secret_of), &binding(endpoint), now).ok()
    };
    assert_eq!(open(&text, "ours", "/Users").as_ref(), Some(cursor));
    assert_eq!(open(&text, "theirs", "/Users"), None, "with another key");
    assert_eq!(open(&text, "ours", "/Groups"), None, "for another query");
    assert_eq!(open(&text[1..], "ours", "/Users"), None);
    assert_eq!(open(&format!("{text}A"), "ours", "/Users"), None);
    let mut changed = text.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    assert_eq!(open(&String::from_utf8_lossy(&changed), "ours", "/Users"), None, "one character changed");
}

fn secret(name: &str) -> Secret {
    Secret::derive(&[name])
}

fn binding(endpoint: &str) -> Binding {
    Binding::default().with(Some(endpoint)).with(None)
}
