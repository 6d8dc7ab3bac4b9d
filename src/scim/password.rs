//! The one secret that a client may give: `password`, write-only, in no document (RFC 7643 §4.1.1, §9.2).
//!
//! Knows what a password may be. How it is hashed and where the hash is kept is for others.

use std::fmt;

use super::precis;
use super::{Error, ErrorKind, Profile, Result};

/// The longest password in bytes, as it is sent.
pub const MAX_PASSWORD: usize = 1024;

/// A password, prepared (RFC 8265 §4.2): two of them are the same if their texts are. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Prepares what a client sent.
    ///
    /// # Errors
    /// `invalidValue` if it is empty, longer than [`MAX_PASSWORD`], or holds what has no place in a password. The
    /// sentence does not repeat it.
    pub fn prepare(text: &str, profile: Profile) -> Result<Password> {
        if text.len() > MAX_PASSWORD {
            let detail = format!("password must not be longer than {MAX_PASSWORD} bytes.");
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        }
        let prepared = precis::opaque_string(text, profile)
            .map_err(|_| Error::new(ErrorKind::InvalidValue, "password contains a character that it must not."))?;
        if prepared.is_empty() {
            return Err(Error::new(ErrorKind::InvalidValue, "password must not be empty."));
        }
        Ok(Password(prepared))
    }

    /// The prepared text: for the hash, nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What a message says of the password.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PasswordChange {
    /// Nothing: it stays as it is (USR-07).
    #[default]
    Unmentioned,
    /// There shall be none.
    Cleared,
    /// It shall be this one.
    Set(Password),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_01_a_password_has_bounds_and_no_refusal_repeats_it() {
        let prepare = |text: &str| Password::prepare(text, Profile::Compat);
        assert!(prepare(&"ä".repeat(MAX_PASSWORD / 2)).is_ok());
        for refused in ["", "bell\u{7}", &"a".repeat(MAX_PASSWORD + 1)] {
            let error = prepare(refused).expect_err("a refusal");
            assert_eq!(error.kind(), ErrorKind::InvalidValue);
            assert!(refused.is_empty() || !error.detail().contains(refused), "{}", error.detail());
        }
    }

    #[test]
    fn usr_05_a_password_is_not_printed() {
        let password = Password::prepare("t1meMa$heen", Profile::Strict).expect("a password");
        assert_eq!(format!("{:?}", PasswordChange::Set(password)), "Set(Password(…))");
    }
}
