//! A key as operators see it. Never its hash; its token in the answer that makes it, and nowhere else.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::subject::{self, Bound};
use crate::scim::Result;
use crate::scim::resource::instant;
use crate::scim::schema::Registry;
use crate::store::api_keys::{ApiKey, Standing};
use crate::store::{Connection, tenants};

/// A key, without its token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The public part of its token: what stands behind `scimd_`.
    pub id: String,
    /// What operators call it.
    pub name: String,
    /// The one tenant that it opens.
    pub tenant: String,
    /// `compat` or `strict`.
    pub profile: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The user whom `/Me` stands for.
    pub user: Option<User>,
    /// When it was made.
    #[serde(with = "instant")]
    #[schemars(with = "String")]
    pub created: DateTime<Utc>,
    /// From when on it opens nothing.
    #[serde(default, with = "instant::option")]
    #[schemars(with = "Option<String>")]
    pub expires: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    #[serde(default, with = "instant::option")]
    #[schemars(with = "Option<String>")]
    pub last_used: Option<DateTime<Utc>>,
    /// When it was withdrawn.
    #[serde(default, with = "instant::option")]
    #[schemars(with = "Option<String>")]
    pub revoked: Option<DateTime<Utc>>,
    /// The id of the key whose place it took.
    pub rotated_from: Option<String>,
    /// The end of its token, by which its holder knows it.
    pub last_four: String,
    /// Whether it opens anything.
    pub status: Status,
}

/// The user that a key is bound to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserOfKey")]
pub struct User {
    /// The SCIM id.
    pub id: String,
    /// The userName; empty where none is known.
    pub user_name: String,
    /// Whether the user is deleted.
    pub deleted: bool,
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "KeyStatus")]
pub enum Status {
    /// It does, unless its tenant is suspended.
    Active,
    /// It is past its end.
    Expired,
    /// It was withdrawn.
    Revoked,
}

impl Status {
    fn of(key: &ApiKey, now: DateTime<Utc>) -> Status {
        match key.expires_at {
            _ if key.revoked_at.is_some() => Status::Revoked,
            Some(at) if at <= now.naive_utc() => Status::Expired,
            _ => Status::Active,
        }
    }

    /// The same for the store.
    pub(super) fn standing(self) -> Standing {
        match self {
            Status::Active => Standing::Good,
            Status::Expired => Standing::Expired,
            Status::Revoked => Standing::Revoked,
        }
    }

    /// Every status.
    pub const ALL: [Status; 3] = [Status::Active, Status::Expired, Status::Revoked];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Expired => "expired",
            Status::Revoked => "revoked",
        }
    }
}

/// A key that was just made. It cannot be printed for debugging, for its token must get into no log.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "NewKey")]
pub struct Made {
    /// The key.
    #[serde(flatten)]
    pub key: Key,
    /// Its token, shown this once.
    pub token: String,
}

/// A key that took the place of another one. It cannot be printed for debugging either.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RotatedKey")]
pub struct Rotated {
    /// The new key.
    #[serde(flatten)]
    pub key: Key,
    /// Its token, shown this once.
    pub token: String,
    /// When the old key ends.
    #[serde(with = "instant")]
    #[schemars(with = "String")]
    pub old_expires: DateTime<Utc>,
}

impl Key {
    /// What is shown of a stored key at `now`.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn of(
        connection: &mut Connection,
        registry: &'static Registry,
        key: ApiKey,
        now: DateTime<Utc>,
    ) -> Result<Key> {
        let tenant = tenants::find(connection, key.tenant_id)?.map(|tenant| tenant.name).unwrap_or_default();
        let bound = match key.subject_row_id {
            Some(row_id) => subject::in_row(connection, registry, key.tenant_id, row_id)?,
            None => None,
        };
        Ok(Key {
            status: Status::of(&key, now),
            id: key.key_id,
            name: key.name,
            tenant,
            profile: key.profile,
            scopes: key.scopes.split(' ').map(str::to_owned).collect(),
            user: bound.map(|Bound { user, .. }| user),
            created: key.created_at.and_utc(),
            expires: key.expires_at.map(|at| at.and_utc()),
            last_used: key.last_used_at.map(|at| at.and_utc()),
            revoked: key.revoked_at.map(|at| at.and_utc()),
            rotated_from: key.rotated_from,
            last_four: key.last_four,
        })
    }
}
