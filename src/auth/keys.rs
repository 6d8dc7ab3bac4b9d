//! The keys of the store, as the [`Authenticator`](super::Authenticator) asks for them.

use chrono::NaiveDateTime;

use super::{Answer, KeyRecord, KeySource};
use crate::scim::{Error, Result};
use crate::store::api_keys::{self, ApiKey};
use crate::store::tenants::{self, Tenant};
use crate::store::{Reach, Store};

/// Keys as rows of the database.
pub struct StoredKeys(Store);

impl StoredKeys {
    /// The keys of this store.
    pub fn new(store: Store) -> StoredKeys {
        StoredKeys(store)
    }
}

impl KeySource for StoredKeys {
    fn find<'a>(&'a self, key_id: &'a str) -> Answer<'a, Option<KeyRecord>> {
        let key_id = key_id.to_owned();
        Box::pin(self.0.read(Reach::Point, move |connection| {
            let Some(key) = api_keys::find(connection, &key_id)? else {
                return Ok(None);
            };
            let Some(tenant) = tenants::find(connection, key.tenant_id)? else {
                return Ok(None);
            };
            key_record(key, tenant).map(Some)
        }))
    }

    fn used<'a>(&'a self, key_id: &'a str, at: NaiveDateTime) -> Answer<'a, ()> {
        let key_id = key_id.to_owned();
        Box::pin(self.0.write(move |connection| api_keys::touch(connection, &key_id, at)))
    }
}

fn key_record(key: ApiKey, tenant: Tenant) -> Result<KeyRecord> {
    Ok(KeyRecord {
        // A row that this program did not write is our problem, not the caller's.
        scopes: key.scopes.parse().map_err(Error::internal)?,
        profile: key.profile.parse().map_err(Error::internal)?,
        key_id: key.key_id,
        tenant_id: key.tenant_id,
        tenant_is_suspended: tenant.suspended_at.is_some(),
        tenant: tenant.name,
        secret_hash: key.secret_hash,
        fingerprint: key.fingerprint,
        subject: key.subject_row_id,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
        last_used_at: key.last_used_at,
    })
}
