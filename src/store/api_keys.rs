//! Bearer keys as rows: what is kept of them, never the token itself.
//!
//! Knows nothing of hashing, scopes' meaning, or whether a key is still good: that is `auth`'s.

use std::collections::HashMap;
use std::fmt;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::connection::Connection;
use super::error;
use super::schema::api_keys;
use super::sql::Sql;
use crate::scim::Result;

/// One key. Times are UTC in whole milliseconds.
#[derive(Clone, PartialEq, Eq, Queryable)]
pub struct ApiKey {
    /// The public part of the token.
    pub key_id: String,
    /// The one tenant that the key sees.
    pub tenant_id: i64,
    /// What operators call it.
    pub name: String,
    /// The secret as an argon2id PHC string.
    pub secret_hash: String,
    /// A few hex digits of a fast digest of the secret.
    pub fingerprint: String,
    /// The end of the token, for people to tell keys apart.
    pub last_four: String,
    /// What the key may do, as `auth` writes it.
    pub scopes: String,
    /// `compat` or `strict`.
    pub profile: String,
    /// The resource on whose behalf the key acts, where it acts for one.
    pub subject_row_id: Option<i64>,
    /// When it was made.
    pub created_at: NaiveDateTime,
    /// From when on it is refused.
    pub expires_at: Option<NaiveDateTime>,
    /// When it was last seen, more or less.
    pub last_used_at: Option<NaiveDateTime>,
    /// When it was withdrawn.
    pub revoked_at: Option<NaiveDateTime>,
    /// The id of the key that it replaces.
    pub rotated_from: Option<String>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("key_id", &self.key_id)
            .field("tenant_id", &self.tenant_id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Keeps a new key; `Uniqueness` if its id is in use.
pub fn insert(connection: &mut Connection, key: &ApiKey) -> Result<()> {
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::key_id.eq(&key.key_id),
            api_keys::tenant_id.eq(key.tenant_id),
            api_keys::name.eq(&key.name),
            api_keys::secret_hash.eq(&key.secret_hash),
            api_keys::fingerprint.eq(&key.fingerprint),
            api_keys::last_four.eq(&key.last_four),
            api_keys::scopes.eq(&key.scopes),
            api_keys::profile.eq(&key.profile),
            api_keys::subject_row_id.eq(key.subject_row_id),
            api_keys::created_at.eq(key.created_at),
            api_keys::expires_at.eq(key.expires_at),
            api_keys::last_used_at.eq(key.last_used_at),
            api_keys::revoked_at.eq(key.revoked_at),
            api_keys::rotated_from.eq(key.rotated_from.as_deref()),
        ))
        .execute(connection)
        .map_err(error::unique(format!("There is a key with the id `{}` already.", key.key_id)))?;
    Ok(())
}

/// The key of that id, good or not.
pub fn find(connection: &mut Connection, key_id: &str) -> Result<Option<ApiKey>> {
    Ok(api_keys::table.find(key_id).first(connection).optional()?)
}

/// The key of that id, good or not, kept from others until the transaction ends.
pub fn lock(connection: &mut Connection, key_id: &str) -> Result<Option<ApiKey>> {
    let clause = connection.lock_clause();
    let statement: Sql<Text> = Sql::new("SELECT k.key_id FROM api_keys k WHERE k.key_id = ").bind(key_id).push(clause);
    statement.load::<String>(connection)?;
    find(connection, key_id)
}

/// Which keys are looked for; all, as far as nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Those of this tenant.
    pub tenant_id: Option<i64>,
    /// Those that are good, past their end or withdrawn, at a time.
    pub standing: Option<(Standing, NaiveDateTime)>,
    /// Those whose end comes before this moment.
    pub expires_before: Option<NaiveDateTime>,
    /// Those behind this place.
    pub after: Option<Place>,
}

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It opens what it opens.
    Good,
    /// It is past its end, and not withdrawn.
    Expired,
    /// It is withdrawn.
    Revoked,
}

/// The place of a key among all: tenant by tenant, oldest first. The key itself may be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its tenant.
    pub tenant_id: i64,
    /// When it was made.
    pub created_at: NaiveDateTime,
    /// Its id.
    pub key_id: String,
}

/// The keys that are looked for, tenant by tenant and oldest first, at most `limit`.
pub fn list(connection: &mut Connection, search: &Search, limit: i64) -> Result<Vec<ApiKey>> {
    use api_keys::{created_at, expires_at, key_id, revoked_at};
    let mut keys = api_keys::table.order((api_keys::tenant_id, created_at, key_id)).limit(limit).into_boxed();
    if let Some(tenant_id) = search.tenant_id {
        keys = keys.filter(api_keys::tenant_id.eq(tenant_id));
    }
    if let Some((standing, now)) = search.standing {
        let has_ended = expires_at.is_not_null().and(expires_at.assume_not_null().le(now));
        keys = match standing {
            Standing::Good => keys.filter(revoked_at.is_null().and(diesel::dsl::not(has_ended))),
            Standing::Expired => keys.filter(revoked_at.is_null().and(has_ended)),
            Standing::Revoked => keys.filter(revoked_at.is_not_null()),
        };
    }
    if let Some(moment) = search.expires_before {
        keys = keys.filter(expires_at.is_not_null().and(expires_at.assume_not_null().lt(moment)));
    }
    if let Some(after) = &search.after {
        let later = created_at.gt(after.created_at).or(created_at.eq(after.created_at).and(key_id.gt(&after.key_id)));
        let of_tenant = api_keys::tenant_id.eq(after.tenant_id).and(later);
        keys = keys.filter(api_keys::tenant_id.gt(after.tenant_id).or(of_tenant));
    }
    Ok(keys.load(connection)?)
}

/// Whether there is a key that opens something at `now`, of this tenant or of any.
pub fn any_active(connection: &mut Connection, tenant_id: Option<i64>, now: NaiveDateTime) -> Result<bool> {
    let unexpired = api_keys::expires_at.is_null().or(api_keys::expires_at.assume_not_null().gt(now));
    let good = api_keys::table.filter(api_keys::revoked_at.is_null()).filter(unexpired).select(api_keys::key_id);
    let found: Option<String> = match tenant_id {
        Some(tenant_id) => good.filter(api_keys::tenant_id.eq(tenant_id)).first(connection).optional()?,
        None => good.first(connection).optional()?,
    };
    Ok(found.is_some())
}

/// Withdraws a key from `at` on; false if there is none of that id or it was withdrawn before, at a time that stays.
pub fn revoke(connection: &mut Connection, key_id: &str, at: NaiveDateTime) -> Result<bool> {
    let live = api_keys::table.find(key_id).filter(api_keys::revoked_at.is_null());
    Ok(diesel::update(live).set(api_keys::revoked_at.eq(at)).execute(connection)? > 0)
}

/// Notes that the key was seen at `at`; a later note is never overwritten by an earlier one.
pub fn touch(connection: &mut Connection, key_id: &str, at: NaiveDateTime) -> Result<()> {
    let earlier = api_keys::last_used_at.is_null().or(api_keys::last_used_at.assume_not_null().lt(at));
    diesel::update(api_keys::table.find(key_id).filter(earlier))
        .set(api_keys::last_used_at.eq(at))
        .execute(connection)?;
    Ok(())
}

/// The ids of the keys that act on behalf of a resource, good or not.
pub fn bound_to(connection: &mut Connection, tenant_id: i64, row_id: i64) -> Result<Vec<String>> {
    let of_tenant = api_keys::table.filter(api_keys::tenant_id.eq(tenant_id)).order(api_keys::key_id);
    Ok(of_tenant.filter(api_keys::subject_row_id.eq(row_id)).select(api_keys::key_id).load(connection)?)
}

/// Deletes the keys that act on behalf of a resource which is erased: they open nothing more, and their names may tell of
/// somebody.
pub fn delete_bound_to(connection: &mut Connection, tenant_id: i64, row_id: i64) -> Result<()> {
    let of_tenant = api_keys::table.filter(api_keys::tenant_id.eq(tenant_id));
    diesel::delete(of_tenant.filter(api_keys::subject_row_id.eq(row_id))).execute(connection)?;
    Ok(())
}

/// Sets or lifts a key's expiry; false if there is none of that id.
pub fn set_expiry(connection: &mut Connection, key_id: &str, expires_at: Option<NaiveDateTime>) -> Result<bool> {
    let updated =
        diesel::update(api_keys::table.find(key_id)).set(api_keys::expires_at.eq(expires_at)).execute(connection)?;
    Ok(updated > 0)
}

/// What operators call the keys of these ids, of whichever tenant, good or not; by id.
pub fn names(connection: &mut Connection, key_ids: &[&str]) -> Result<HashMap<String, String>> {
    let mut names = HashMap::with_capacity(key_ids.len());
    for chunk in key_ids.chunks(500) {
        let statement: Sql<(Text, Text)> = Sql::new("SELECT k.key_id, k.name FROM api_keys k WHERE k.key_id IN (");
        let statement = statement.bind_list(chunk.iter().copied()).push(")").uncached();
        names.extend(statement.load::<(String, String)>(connection)?);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::ErrorKind;
    use crate::store::Reach;
    use crate::store::tests::{Fixture, at, on_each_database};

    fn key(key_id: &str) -> ApiKey {
        ApiKey {
            key_id: key_id.to_owned(),
            tenant_id: 1,
            name: "okta".to_owned(),
            secret_hash: "$argon2id$…".to_owned(),
            fingerprint: "beef".to_owned(),
            last_four: "wxyz".to_owned(),
            scopes: "*".to_owned(),
            profile: "compat".to_owned(),
            subject_row_id: None,
            created_at: at("2026-03-01T09:30:00.123"),
            expires_at: Some(at("2027-03-01T09:30:00")),
            last_used_at: None,
            revoked_at: None,
            rotated_from: None,
        }
    }

    #[test]
    fn a_key_is_kept_found_and_listed() {
        on_each_database(|Fixture { store, .. }| async move {
            store.write(|c| insert(c, &key("b")).and_then(|()| insert(c, &key("a")))).await.unwrap();
            let twice = store.write(|c| insert(c, &key("a"))).await.unwrap_err();

            let known = store.read(Reach::Scan, |c| names(c, &["a", "nobody"])).await.unwrap();
            assert_eq!(known.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "okta".to_owned())]);
            let (found, missing, of_tenant, of_other, all) = store
                .read(Reach::Scan, |c| {
                    let ids = |keys: Vec<ApiKey>| keys.into_iter().map(|key| key.key_id).collect::<Vec<_>>();
                    let found = (find(c, "a")?, find(c, "A")?);
                    Ok((
                        found.0,
                        found.1,
                        ids(list(c, &Search { tenant_id: Some(1), ..Search::default() }, 9)?),
                        ids(list(c, &Search { tenant_id: Some(2), ..Search::default() }, 9)?),
                        ids(list(c, &Search::default(), 9)?),
                    ))
                })
                .await
                .unwrap();

            assert_eq!(twice.kind(), ErrorKind::Uniqueness);
            assert_eq!((found, missing), (Some(key("a")), None));
            assert_eq!((of_tenant, all), (vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned(), "b".to_owned()]));
            assert!(of_other.is_empty());
        });
    }

    #[test]
    fn revocation_use_and_expiry_are_noted() {
        on_each_database(|Fixture { store, .. }| async move {
            let noon = at("2026-03-01T12:00:00");
            let later = at("2026-03-01T12:00:00.001");
            let seen = store
                .write(move |c| {
                    insert(c, &key("a"))?;
                    let revoked = (revoke(c, "a", noon)?, revoke(c, "a", later)?, revoke(c, "none", noon)?);
                    touch(c, "a", later)?;
                    touch(c, "a", noon)?;
                    let expiry = (set_expiry(c, "a", None)?, set_expiry(c, "none", None)?);
                    Ok((revoked, expiry, find(c, "a")?.unwrap()))
                })
                .await
                .unwrap();

            assert_eq!((seen.0, seen.1), ((true, false, false), (true, false)));
            let key = seen.2;
            assert_eq!((key.revoked_at, key.last_used_at, key.expires_at), (Some(noon), Some(later), None));
        });
    }
}
