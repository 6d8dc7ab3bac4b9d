//! What a metrics page tells of the data: numbers and times, and of names those of tenants alone.
//!
//! The cost grows with tenants, keys and unresolved members, and with nothing else that is stored: the last write is the
//! end of an index. Whoever shows a survey often keeps it for a while.

use std::collections::HashMap;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::sql::Sql;
use super::{Connection, members};
use crate::scim::Result;

/// The days before its end at which a key is spoken of.
pub const EXPIRY_DAYS: [u8; 4] = [30, 14, 7, 1];

/// How many tenants a survey has, the oldest first: operators make them by hand, and few.
const MOST_TENANTS: i64 = 1_000;

/// The data at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Members of groups, in all tenants, that no live resource has.
    pub unresolved_members: i64,
    /// The tenants, in the order of their creation.
    pub tenants: Vec<TenantSurvey>,
}

/// The data of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSurvey {
    /// Its name.
    pub name: String,
    /// When a client last changed something that is still there, or deleted something. Nothing while the tenant is
    /// suspended: nobody waits for its clients.
    pub last_write: Option<NaiveDateTime>,
    /// How many live keys end within each of [`EXPIRY_DAYS`]. One that has a successor is expected to end.
    pub keys_expiring: [i64; EXPIRY_DAYS.len()],
}

/// Looks at everything. `resource_types` are the names of those that are served.
///
/// # Errors
/// Database failures.
pub fn take(connection: &mut Connection, resource_types: &[&str], now: NaiveDateTime) -> Result<Survey> {
    let expiring = keys_expiring(connection, now)?;
    let mut last_writes = HashMap::new();
    for resource_type in resource_types {
        for (tenant_id, modified_at, deleted_at) in ends(connection, resource_type)? {
            let last: &mut Option<NaiveDateTime> = last_writes.entry(tenant_id).or_default();
            *last = (*last).max(modified_at).max(deleted_at);
        }
    }
    let tenants: Sql<(BigInt, Text, Nullable<Timestamp>)> =
        Sql::new("SELECT t.tenant_id, t.name, t.suspended_at FROM tenants t ORDER BY t.tenant_id LIMIT 0 + ");
    let tenants: Vec<(i64, String, Option<NaiveDateTime>)> = tenants.bind(MOST_TENANTS).load(connection)?;
    let tenants = tenants.into_iter().map(|(tenant_id, name, suspended_at)| TenantSurvey {
        name,
        last_write: last_writes.get(&tenant_id).copied().flatten().filter(|_| suspended_at.is_none()),
        keys_expiring: expiring.get(&tenant_id).copied().unwrap_or_default(),
    });
    Ok(Survey { tenants: tenants.collect(), unresolved_members: members::count_unresolved(connection)? })
}

/// The tenant, and when there was something last.
type Ends = (i64, Option<NaiveDateTime>, Option<NaiveDateTime>);

/// When a resource of the type was last modified and last deleted, by tenant.
fn ends(connection: &mut Connection, resource_type: &str) -> Result<Vec<Ends>> {
    let statement: Sql<(BigInt, Nullable<Timestamp>, Nullable<Timestamp>)> = Sql::new(
        "SELECT t.tenant_id, \
         (SELECT r.modified_at FROM resources r WHERE r.tenant_id = t.tenant_id AND r.resource_type = ",
    );
    let statement = statement
        .bind(resource_type)
        .push(
            " AND r.deleted_at IS NULL ORDER BY r.modified_at DESC LIMIT 1), \
             (SELECT b.deleted_at FROM resources b WHERE b.tenant_id = t.tenant_id AND b.resource_type = ",
        )
        .bind(resource_type)
        .push(
            " AND b.deleted_at IS NOT NULL ORDER BY b.deleted_at DESC LIMIT 1) \
             FROM tenants t ORDER BY t.tenant_id LIMIT 0 + ",
        )
        .bind(MOST_TENANTS);
    Ok(statement.load(connection)?)
}

fn keys_expiring(connection: &mut Connection, now: NaiveDateTime) -> Result<HashMap<i64, [i64; EXPIRY_DAYS.len()]>> {
    let within = EXPIRY_DAYS.map(|days| now + TimeDelta::days(days.into()));
    let mut statement: Sql<(BigInt, BigInt, BigInt, BigInt, BigInt)> = Sql::new("SELECT k.tenant_id");
    for end in within {
        statement = statement.push(", count(CASE WHEN k.expires_at <= ").bind(end).push(" THEN 1 END)");
    }
    let statement =
        statement.push(" FROM api_keys k WHERE ").append(ending_between(now, within[0])).push(" GROUP BY k.tenant_id");
    let rows: Vec<(i64, i64, i64, i64, i64)> = statement.load(connection)?;
    Ok(rows.into_iter().map(|(tenant_id, a, b, c, d)| (tenant_id, [a, b, c, d])).collect())
}

/// Of keys `k` those that end after `from` and up to `to`, and are not revoked. One that has a successor is expected to
/// end.
fn ending_between(from: NaiveDateTime, to: NaiveDateTime) -> Sql {
    Sql::new("k.revoked_at IS NULL AND k.expires_at > ").bind(from).push(" AND k.expires_at <= ").bind(to).push(
        " AND NOT EXISTS (SELECT 1 FROM api_keys s WHERE s.rotated_from = k.key_id AND s.revoked_at IS NULL \
         AND (s.expires_at IS NULL OR s.expires_at > k.expires_at))",
    )
}

/// A key that ends or has ended, and has no successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingKey {
    /// The public part of the token.
    pub key_id: String,
    /// What operators call it.
    pub name: String,
    /// The name of its tenant.
    pub tenant: String,
    /// When it ends.
    pub expires_at: NaiveDateTime,
    /// When it was last seen, more or less.
    pub last_used_at: Option<NaiveDateTime>,
}

/// How many keys are told of, those that end first: one by one they are of use to people alone.
const MOST_KEYS: i64 = 1_000;

/// The keys that end after `from` and up to `to`, in that order.
///
/// # Errors
/// Database failures.
pub fn keys_ending(connection: &mut Connection, from: NaiveDateTime, to: NaiveDateTime) -> Result<Vec<EndingKey>> {
    let statement: Sql<(Text, Text, Text, Timestamp, Nullable<Timestamp>)> = Sql::new(
        "SELECT k.key_id, k.name, t.name, k.expires_at, k.last_used_at FROM api_keys k \
         JOIN tenants t ON t.tenant_id = k.tenant_id WHERE ",
    );
    let statement = statement.append(ending_between(from, to));
    let statement = statement.push(" ORDER BY k.expires_at, k.key_id LIMIT 0 + ").bind(MOST_KEYS);
    let rows: Vec<(String, String, String, NaiveDateTime, Option<NaiveDateTime>)> = statement.load(connection)?;
    let key =
        |(key_id, name, tenant, expires_at, last_used_at)| EndingKey { key_id, name, tenant, expires_at, last_used_at };
    Ok(rows.into_iter().map(key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::api_keys::{self, ApiKey};
    use crate::store::tests::{Fixture, at, on_each_database};
    use crate::store::{Reach, tenants};

    fn key(key_id: &str, tenant_id: i64, expires_at: Option<&str>) -> ApiKey {
        ApiKey {
            key_id: key_id.to_owned(),
            tenant_id,
            name: "okta".to_owned(),
            secret_hash: "$argon2id$…".to_owned(),
            fingerprint: "beef".to_owned(),
            last_four: "wxyz".to_owned(),
            scopes: "*".to_owned(),
            profile: "compat".to_owned(),
            subject_row_id: None,
            created_at: at("2026-03-01T00:00:00"),
            expires_at: expires_at.map(at),
            last_used_at: None,
            revoked_at: None,
            rotated_from: None,
        }
    }

    #[test]
    fn keys_are_counted_by_the_days_that_they_have_left() {
        on_each_database(|Fixture { store, .. }| async move {
            let survey = store.write(|c| {
                let acme = tenants::insert(c, "acme", at("2026-03-01T00:00:00"))?.tenant_id;
                let end = "2026-03-11T00:00:00";
                let revoked = ApiKey { revoked_at: Some(at("2026-03-01T00:00:00")), ..key("revoked", 1, Some(end)) };
                let successor = ApiKey { rotated_from: Some("rotated".to_owned()), ..key("successor", 1, None) };
                // What ends no later than its predecessor does not replace it.
                let too_short = ApiKey { rotated_from: Some("ten".to_owned()), ..key("short", acme, Some(end)) };
                for key in [
                    key("past", 1, Some("2026-03-01T00:00:00")),
                    key("hour", 1, Some("2026-03-01T01:00:00")),
                    key("week", 1, Some("2026-03-08T00:00:00")),
                    key("month", 1, Some("2026-03-31T00:00:00")),
                    key("later", 1, Some("2026-03-31T00:00:00.001")),
                    key("rotated", 1, Some(end)),
                    key("ten", acme, Some(end)),
                    revoked,
                    successor,
                    too_short,
                ] {
                    api_keys::insert(c, &key)?;
                }
                let now = at("2026-03-01T00:00:00");
                let ending = keys_ending(c, now, at("2026-03-31T00:00:00"))?;
                Ok((take(c, &["User"], now)?, ending, keys_ending(c, at("2026-02-01T00:00:00"), now)?))
            });
            let (survey, ending, ended) = survey.await.unwrap();

            let counts: Vec<_> = survey.tenants.iter().map(|one| (one.name.as_str(), one.keys_expiring)).collect();
            assert_eq!(counts, [("default", [3, 2, 2, 1]), ("acme", [2, 2, 0, 0])]);
            let ids = |keys: &[EndingKey]| keys.iter().map(|key| key.key_id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(&ending), ["hour", "week", "short", "ten", "month"]);
            assert_eq!((ending[2].tenant.as_str(), ending[2].name.as_str()), ("acme", "okta"));
            assert_eq!(ids(&ended), ["past"]);
        });
    }

    #[test]
    fn nobody_waits_for_the_clients_of_a_suspended_tenant() {
        on_each_database(|Fixture { store, .. }| async move {
            let last_write = |since: Option<NaiveDateTime>| {
                let looked = store.write(move |c| {
                    tenants::set_suspended(c, 1, since)?;
                    take(c, &["User"], at("2026-03-02T00:00:00"))
                });
                async { looked.await.unwrap().tenants[0].last_write }
            };
            let write = |c: &mut Connection| {
                let statement: Sql = Sql::new(
                    "INSERT INTO resources (tenant_id, id, resource_type, active, document, version, created_at, modified_at) \
                     VALUES (1, 'mira', 'User', true, '{}', 1, '2026-03-01 09:30:00', '2026-03-01 09:30:00')",
                );
                Ok(statement.execute(c)?)
            };
            store.write(write).await.unwrap();

            let written = Some(at("2026-03-01T09:30:00"));
            assert_eq!(last_write(None).await, written);
            assert_eq!(last_write(Some(at("2026-03-01T12:00:00"))).await, None);
            assert_eq!(last_write(None).await, written);
        });
    }

    #[test]
    fn what_is_empty_has_no_last_write() {
        on_each_database(|Fixture { store, .. }| async move {
            let now = at("2026-03-01T00:00:00");
            let survey = store.read(Reach::Scan, move |c| take(c, &["User", "Group"], now)).await.unwrap();

            let empty = TenantSurvey { name: "default".to_owned(), last_write: None, keys_expiring: [0; 4] };
            assert_eq!(survey, Survey { unresolved_members: 0, tenants: vec![empty] });
        });
    }
}
