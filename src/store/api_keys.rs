//! API keys as rows. What a token is, and whether one fits a key, is the business of [`crate::auth`].

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::Connection;
use super::error::from_diesel;
use super::schema::{api_keys, tenants};
use crate::scim::Result;

/// A key. Times are UTC.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = api_keys)]
pub struct ApiKey {
    /// The public part of the token.
    pub key_id: String,
    /// Whose resources it opens.
    pub tenant_id: i64,
    /// What operators call it.
    pub name: String,
    /// The argon2id hash of the token.
    pub secret_hash: String,
    /// A few digits of a fast digest of the token, so that most wrong secrets cost no argon2.
    pub fingerprint: String,
    /// The end of the token, to tell keys apart.
    pub last_four: String,
    /// What it may do.
    pub scopes: String,
    /// How irregular its requests may be.
    pub profile: String,
    /// The resource that it speaks for, if any.
    pub subject_row_id: Option<i64>,
    /// When it was made.
    pub created_at: NaiveDateTime,
    /// When it stops working by itself.
    pub expires_at: Option<NaiveDateTime>,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<NaiveDateTime>,
    /// When an operator revoked it.
    pub revoked_at: Option<NaiveDateTime>,
    /// The key that it replaces.
    pub rotated_from: Option<String>,
}

/// Stores a new key.
///
/// # Errors
/// Database failures.
pub fn insert(connection: &mut Connection, key: ApiKey) -> Result<()> {
    diesel::insert_into(api_keys::table).values(key).execute(connection).map_err(from_diesel)?;
    Ok(())
}

/// The key of that id, with the name of its tenant.
///
/// # Errors
/// Database failures.
pub fn find(connection: &mut Connection, key_id: &str) -> Result<Option<(ApiKey, String)>> {
    let query = api_keys::table.inner_join(tenants::table.on(tenants::tenant_id.eq(api_keys::tenant_id)));
    query
        .filter(api_keys::key_id.eq(key_id))
        .select((api_keys::all_columns, tenants::name))
        .first(connection)
        .optional()
        .map_err(from_diesel)
}

/// All keys with the names of their tenants, oldest first.
///
/// # Errors
/// Database failures.
pub fn list(connection: &mut Connection) -> Result<Vec<(ApiKey, String)>> {
    let query = api_keys::table.inner_join(tenants::table.on(tenants::tenant_id.eq(api_keys::tenant_id)));
    query
        .order((api_keys::created_at, api_keys::key_id))
        .select((api_keys::all_columns, tenants::name))
        .load(connection)
        .map_err(from_diesel)
}

/// Revokes a key. Returns whether there was one that still worked.
///
/// # Errors
/// Database failures.
pub fn revoke(connection: &mut Connection, key_id: &str, at: NaiveDateTime) -> Result<bool> {
    let working = api_keys::table.filter(api_keys::key_id.eq(key_id).and(api_keys::revoked_at.is_null()));
    let revoked =
        diesel::update(working).set(api_keys::revoked_at.eq(Some(at))).execute(connection).map_err(from_diesel)?;
    Ok(revoked > 0)
}

/// Sets when a key stops working by itself.
///
/// # Errors
/// Database failures.
pub fn expire(connection: &mut Connection, key_id: &str, at: NaiveDateTime) -> Result<()> {
    diesel::update(api_keys::table.find(key_id))
        .set(api_keys::expires_at.eq(Some(at)))
        .execute(connection)
        .map_err(from_diesel)?;
    Ok(())
}

/// Notes that a key was used.
///
/// # Errors
/// Database failures.
pub fn used(connection: &mut Connection, key_id: &str, at: NaiveDateTime) -> Result<()> {
    diesel::update(api_keys::table.find(key_id))
        .set(api_keys::last_used_at.eq(Some(at)))
        .execute(connection)
        .map_err(from_diesel)?;
    Ok(())
}
