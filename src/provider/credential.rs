//! What a write does to the password: hashed before the transaction, kept within it (USR-06).

use std::fmt;

use serde_json::{Map, Value};

use crate::auth::Passwords;
use crate::scim::password::PasswordChange;
use crate::scim::patch::{self, PatchRequest};
use crate::scim::schema::ResourceType;
use crate::scim::{Error, ErrorKind, Profile, Result, accept};
use crate::store::Connection;
use crate::store::credentials;

/// The hash of the password that a message sets, if it sets one.
#[derive(Clone, Default)]
pub(super) struct Hashed(Option<String>);

const NOT_HASHED: &str = "password can't be set by an operation that is only in order once its bulkIds are known; set it \
                          in a request of its own.";

/// Without the hash, which is nobody's to see.
impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hashed(…)" } else { "Hashed" })
    }
}

impl Hashed {
    /// Of the body of a POST or PUT that is not accepted yet, before anything is known of the resource.
    ///
    /// # Errors
    /// As [`Hashed::of`].
    pub(super) async fn of_body(
        passwords: &Passwords,
        resource_type: &'static ResourceType,
        body: &Map<String, Value>,
        profile: Profile,
    ) -> Result<Hashed> {
        Hashed::of(passwords, accept::password_of(resource_type, body, profile)).await
    }

    /// Of a PATCH message, before anything is known of the resource.
    ///
    /// # Errors
    /// As [`Hashed::of`].
    pub(super) async fn of_patch(
        passwords: &Passwords,
        resource_type: &'static ResourceType,
        request: &PatchRequest,
        profile: Profile,
    ) -> Result<Hashed> {
        Hashed::of(passwords, patch::password_of(request, resource_type, profile)).await
    }

    /// Of a PATCH message that is not read yet; nothing of one that is going to be refused.
    ///
    /// # Errors
    /// As [`Hashed::of`].
    pub(super) async fn of_message(
        passwords: &Passwords,
        resource_type: &'static ResourceType,
        message: &Map<String, Value>,
        profile: Profile,
    ) -> Result<Hashed> {
        match patch::parse(message, profile) {
            Ok(request) => Hashed::of_patch(passwords, resource_type, &request, profile).await,
            Err(_) => Ok(Hashed::default()),
        }
    }

    /// Takes argon2's time, and a turn; nothing if no password is set.
    ///
    /// # Errors
    /// `Busy` if too many wait for a turn.
    pub(super) async fn of(passwords: &Passwords, change: PasswordChange) -> Result<Hashed> {
        match change {
            PasswordChange::Set(password) => Ok(Hashed(Some(passwords.hash(password).await?))),
            PasswordChange::Unmentioned | PasswordChange::Cleared => Ok(Hashed(None)),
        }
    }

    /// The hash of what is set, for a resource that has none yet.
    pub(super) fn hash(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Whether the change sets a password that is not hashed.
    pub(super) fn is_missing(&self, change: &PasswordChange) -> bool {
        matches!(change, PasswordChange::Set(_)) && self.0.is_none()
    }

    /// Makes the change. Whether it is one: to set a password always is, for the answer must not tell who tries one
    /// whether it was the same.
    ///
    /// # Errors
    /// `invalidValue` for a password that could not be hashed beforehand; database failures.
    pub(super) fn write(&self, connection: &mut Connection, row_id: i64, change: &PasswordChange) -> Result<bool> {
        match (change, &self.0) {
            (PasswordChange::Unmentioned, _) => Ok(false),
            (PasswordChange::Cleared, _) => credentials::clear(connection, row_id),
            (PasswordChange::Set(_), Some(hash)) => credentials::set(connection, row_id, hash).map(|()| true),
            // Of a bulk operation that is in order only by what its references stand for. To drop it would be worse.
            (PasswordChange::Set(_), None) => Err(Error::new(ErrorKind::InvalidValue, NOT_HASHED)),
        }
    }
}
