//! Cursors (RFC 9865): where a walk through a list stands, as text that only this server can make and read.
//!
//! Nothing is remembered between two pages; the cursor itself carries the position, the size of the page and when it was
//! made. It is encrypted and authenticated (AES-256-GCM-SIV, RFC 8452) with a [`Secret`] of the caller's key. Encrypted,
//! because the position holds a value of a resource, often somebody's name, and URLs end up in the logs of proxies. What the
//! walk is about ([`Binding`]) is authenticated along with it, so a cursor opens nowhere but where it was given.
//!
//! It grants nothing: whoever has one still needs a key, and may see what the key may see.

use std::fmt;

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::{Error, ErrorKind, Result};

/// How long a cursor is good for, in seconds; advertised as `pagination.cursorTimeout`.
pub const TIMEOUT: i64 = 3600;

/// What cursors are made and read with. Every key has its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret that follows from these texts, at least one of which nobody outside may know.
    pub fn derive(texts: &[&str]) -> Secret {
        let mut digest = Sha256::new_with_prefix(b"scimd cursor 1");
        for text in texts {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        Secret(digest.finalize().into())
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new(&self.0.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a walk is about: the endpoint and every parameter but `cursor` and `count`. A cursor is good for one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding(Vec<u8>);

impl Binding {
    /// One more part, `None` for a parameter that is not given.
    pub fn with(mut self, part: Option<&str>) -> Binding {
        match part {
            None => self.0.push(0),
            Some(part) => {
                self.0.push(1);
                self.0.extend((part.len() as u64).to_be_bytes());
                self.0.extend(part.as_bytes());
            }
        }
        self
    }
}

/// A place in the order of a list, which is there whether or not a resource still is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The value that the list is sorted by, as text that sorts as it does; none if the list is unsorted or the resource
    /// has no value.
    pub key: Option<String>,
    /// The number of the resource in the order of creation.
    pub row_id: i64,
}

/// Which way a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To what follows: `nextCursor`.
    Forward,
    /// To what precedes: `previousCursor`.
    Backward,
}

impl Direction {
    /// The other way.
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Forward => Direction::Backward,
            Direction::Backward => Direction::Forward,
        }
    }
}

/// What a cursor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The page begins behind this place, seen in the direction of the walk.
    pub position: Position,
    /// Which way it goes from there.
    pub direction: Direction,
    /// The number of resources on each page of the walk.
    pub count: u16,
}

impl Cursor {
    /// The cursor as text of unreserved URI characters alone (RFC 9865 §2).
    pub fn seal(&self, secret: &Secret, binding: &Binding, now: DateTime<Utc>) -> Result<String> {
        let message = self.to_bytes(now.timestamp_millis());
        let payload = Payload { msg: &message, aad: &binding.0 };
        let sealed = secret.cipher().encrypt(&NONCE, payload).map_err(|error| Error::internal(error.to_string()))?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Reads a cursor, whatever the text is.
    ///
    /// # Errors
    /// `invalidCursor`, with the same sentence whatever is wrong: a text that nobody made, another key, another query;
    /// `expiredCursor` for one that is older than [`TIMEOUT`].
    pub fn open(text: &str, secret: &Secret, binding: &Binding, now: DateTime<Utc>) -> Result<Cursor> {
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let payload = Payload { msg: &sealed, aad: &binding.0 };
        let message = secret.cipher().decrypt(&NONCE, payload).map_err(|_| invalid())?;
        let (cursor, made_at) = Cursor::from_bytes(&message).ok_or_else(invalid)?;
        let age = now.timestamp_millis().saturating_sub(made_at);
        if age > TimeDelta::seconds(TIMEOUT).num_milliseconds() {
            let detail = format!("This cursor is older than {TIMEOUT} seconds; begin again with an empty 'cursor'.");
            return Err(Error::new(ErrorKind::ExpiredCursor, detail));
        }
        Ok(cursor)
    }

    /// The inner form: direction, whether there is a key, count, time in milliseconds, number, key. Integers are big-endian.
    pub fn to_bytes(&self, made_at: i64) -> Vec<u8> {
        let key = self.position.key.as_deref();
        let mut bytes = vec![u8::from(self.direction == Direction::Backward), u8::from(key.is_some())];
        bytes.extend(self.count.to_be_bytes());
        bytes.extend(made_at.to_be_bytes());
        bytes.extend(self.position.row_id.to_be_bytes());
        bytes.extend(key.unwrap_or_default().as_bytes());
        bytes
    }

    /// The cursor in these bytes and when it was made; `None` for bytes that [`Cursor::to_bytes`] never gives.
    pub fn from_bytes(bytes: &[u8]) -> Option<(Cursor, i64)> {
        let ([direction, has_key], rest) = bytes.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (made_at, rest) = rest.split_first_chunk()?;
        let (row_id, key) = rest.split_first_chunk()?;
        let direction = match direction {
            0 => Direction::Forward,
            1 => Direction::Backward,
            _ => return None,
        };
        let key = match (has_key, key) {
            (0, []) => None,
            (1, key) => Some(std::str::from_utf8(key).ok()?.to_owned()),
            _ => return None,
        };
        let position = Position { key, row_id: i64::from_be_bytes(*row_id) };
        let cursor = Cursor { position, direction, count: u16::from_be_bytes(*count) };
        Some((cursor, i64::from_be_bytes(*made_at)))
    }
}

/// The error for every cursor that is not good: which part of it is wrong is nobody's business (CUR-05).
pub fn invalid() -> Error {
    let detail = "This cursor was not given for this query; begin again with an empty 'cursor'.";
    Error::new(ErrorKind::InvalidCursor, detail)
}

/// AES-GCM-SIV needs no fresh nonce: without one, equal cursors have equal texts, and nothing else shows.
const NONCE: Nonce = aes_gcm_siv::aead::array::Array([0; 12]);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis((1_800_000_000 + seconds) * 1000).expect("a time")
    }

    fn secret() -> Secret {
        Secret::derive(&["$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "read"])
    }

    fn binding() -> Binding {
        Binding::default().with(Some("/Users")).with(Some("userName sw \"J\"")).with(None)
    }

    fn cursor() -> Cursor {
        let position = Position { key: Some("bjensen".to_owned()), row_id: 42 };
        Cursor { position, direction: Direction::Forward, count: 10 }
    }

    fn sealed() -> String {
        cursor().seal(&secret(), &binding(), at(0)).expect("a cursor")
    }

    fn refused(text: &str, secret: &Secret, binding: &Binding) -> Error {
        Cursor::open(text, secret, binding, at(1)).expect_err("refused")
    }

    #[test]
    fn cur_10_a_cursor_opens_where_it_was_given() {
        assert_eq!(Cursor::open(&sealed(), &secret(), &binding(), at(TIMEOUT)).expect("good"), cursor());
    }

    #[test]
    fn cur_05_cur_08_every_bad_cursor_gets_the_same_answer() {
        let good = sealed();
        let other_filter = Binding::default().with(Some("/Users")).with(Some("userName sw \"K\"")).with(None);
        let shifted = Binding::default().with(Some("/UsersuserName sw \"J\"")).with(None);
        let mut answers = vec![
            refused(&good, &Secret::derive(&["another hash", "read"]), &binding()),
            refused(&good, &secret(), &other_filter),
            refused(&good, &secret(), &shifted),
            refused(&good, &secret(), &Binding::default()),
        ];
        answers.extend(
            ["", "x", "….", "AAAA", &good[1..], &format!("{good}="), &format!("{good}AAAA")]
                .map(|text| refused(text, &secret(), &binding())),
        );
        for position in 0..good.len() {
            let mut forged = good.clone().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            answers.push(refused(std::str::from_utf8(&forged).expect("ASCII"), &secret(), &binding()));
        }
        for answer in answers {
            assert_eq!((answer.kind(), answer.detail()), (ErrorKind::InvalidCursor, invalid().detail()));
        }
    }

    #[test]
    fn cur_06_a_cursor_ends_with_its_time() {
        let open = |seconds| Cursor::open(&sealed(), &secret(), &binding(), at(seconds));
        assert!(open(TIMEOUT).is_ok());
        assert_eq!(open(TIMEOUT + 1).expect_err("too old").kind(), ErrorKind::ExpiredCursor);
        assert!(open(-5).is_ok(), "the clock of another process may be behind");
    }

    #[test]
    fn cur_02_cur_10_a_cursor_shows_nothing() {
        let sealed = sealed();
        assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), "{sealed}");
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).expect("base64");
        assert!(!bytes.windows(7).any(|window| window == b"bjensen"));
        assert_eq!(format!("{:?}", secret()), "Secret(…)");
    }

    fn cursors() -> impl Strategy<Value = Cursor> {
        let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Backward)];
        let parts = (proptest::option::of("\\PC{0,40}"), any::<i64>(), direction, any::<u16>());
        parts.prop_map(|(key, row_id, direction, count)| Cursor {
            position: Position { key, row_id },
            direction,
            count,
        })
    }

    proptest! {
        #[test]
        fn cur_10_every_cursor_comes_back(cursor in cursors(), made_at: i64) {
            prop_assert_eq!(Cursor::from_bytes(&cursor.to_bytes(made_at)), Some((cursor, made_at)));
        }

        #[test]
        fn cur_10_bytes_have_one_reading(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some((cursor, made_at)) = Cursor::from_bytes(&bytes) {
                prop_assert_eq!(cursor.to_bytes(made_at), bytes);
            }
        }

        #[test]
        fn cur_05_reading_never_panics(text in "\\PC{0,80}|[A-Za-z0-9_-]{0,80}") {
            prop_assert!(Cursor::open(&text, &secret(), &binding(), at(0)).is_err());
        }
    }
}
