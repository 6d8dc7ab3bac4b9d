//! API keys: bearer tokens for identity providers (RFC 7644 §2 and §7.4; AUTH-03 to AUTH-05).
//!
//! A token is in the answer that makes its key, this once; afterwards there is only its hash. Whoever may administer may
//! make any key, for any tenant and with any scope, `admin` included; nobody else can make one at all, so nobody hands
//! out more than they have.

mod order;
mod shown;
mod subject;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::order::{Order, overlap_end, read_scopes};
use super::record::{Author, Subject, facts};
use super::{Desk, Operation, Page, Route, no_next_page, page_size};
use crate::auth::Scopes;
use crate::scim::resource::instant;
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::api_keys::{self, ApiKey, Place, Search};
use crate::store::audit::{self, Changes};
use crate::store::{Connection, Reach, resources, tenants};

pub use self::order::{Lifetime, Never};
pub use self::shown::{Key, Made, Rotated, Status, User};

/// The tenant of a key of which nobody says it.
const DEFAULT_TENANT: &str = "default";

/// The most characters that the name of a key has.
const LONGEST_NAME: usize = 200;

/// The keys of a tenant or of all, tenant by tenant and in the order in which they were made, without their tokens.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ListKeys")]
pub struct List {
    /// Only those of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only those that are `active`, `expired` or `revoked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Only those that end before this time, or have ended.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "instant::option")]
    #[schemars(with = "Option<String>")]
    pub expires_before: Option<DateTime<Utc>>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most to list on one page; 100 without it, 1000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Operation for List {
    const ROUTE: Route = Route::get("/keys").named("listKeys").about("The keys of a tenant or of all, without tokens");
    type Outcome = Page<Key>;

    async fn carry_out(self, desk: &Desk) -> Result<Page<Key>> {
        let tenant_id = match &self.tenant {
            Some(name) => Some(desk.tenant(name).await?.tenant_id),
            None => None,
        };
        let (limit, registry, now) = (page_size(self.limit), desk.provider.registry(), desk.now());
        let search = Search {
            tenant_id,
            standing: self.status.map(|status| (status.standing(), now.naive_utc())),
            expires_before: self.expires_before.map(|at| at.naive_utc()),
            after: self.after.as_deref().map(place).transpose()?,
        };
        let read = move |connection: &mut Connection| {
            let mut keys = api_keys::list(connection, &search, limit + 1)?;
            let has_more = keys.len() as i64 > limit;
            keys.truncate(limit as usize);
            let next = keys.last().filter(|_| has_more).map(mark);
            let items = keys.into_iter().map(|key| Key::of(connection, registry, key, now));
            Ok(Page { items: items.collect::<Result<_>>()?, next })
        };
        desk.store.read(Reach::Scan, read).await
    }
}

/// Where the next page begins: behind this key, even if it is gone by then.
fn mark(last: &ApiKey) -> String {
    let created_at = last.created_at.and_utc().timestamp_nanos_opt().unwrap_or_default();
    format!("{}-{created_at}-{}", last.tenant_id, last.key_id)
}

fn place(after: &str) -> Result<Place> {
    let place = || {
        let mut parts = after.splitn(3, '-');
        let (tenant_id, created_at) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let created_at = DateTime::from_timestamp_nanos(created_at).naive_utc();
        Some(Place { tenant_id, created_at, key_id: parts.next()?.to_owned() })
    };
    place().ok_or_else(no_next_page)
}

/// One key, without its token.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ShowKey")]
pub struct Show {
    /// The id of the key: what stands behind `scimd_`.
    pub id: String,
}

impl Operation for Show {
    const ROUTE: Route = Route::get("/keys/{id}").named("showKey").about("One key, without its token");
    type Outcome = Key;

    async fn carry_out(self, desk: &Desk) -> Result<Key> {
        let (id, registry, now) = (id_in(&self.id), desk.provider.registry(), desk.now());
        let read = move |connection: &mut Connection| {
            let key = find(connection, &id)?;
            Key::of(connection, registry, key, now)
        };
        desk.store.read(Reach::Scan, read).await
    }
}

/// A new key.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CreateKey")]
pub struct Create {
    /// What to call it: who uses it, for example.
    pub name: String,
    /// The tenant that it opens; `default` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How far its client may stray from the RFCs; what is set for the tenant without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["compat", "strict", null]))]
    pub profile: Option<Profile>,
    /// What it may do. Without any, `write`, or `me` for a key that is bound to a user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The user whom `/Me` stands for, by id or userName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// For how many seconds it is good, or `never` for a key that does not expire; 365 days without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Lifetime>,
}

impl Operation for Create {
    const ROUTE: Route = Route::post("/keys")
        .named("createKey")
        .about("Make a key; its token is in this answer and in no other")
        .making("/keys/{id}");
    type Outcome = Made;

    async fn carry_out(self, desk: &Desk) -> Result<Made> {
        check_name(&self.name)?;
        let scopes = scopes(&self.scopes, self.user.is_some(), desk)?;
        let tenant = desk.tenant(self.tenant.as_deref().unwrap_or(DEFAULT_TENANT)).await?;
        tenant.check_not_deleted()?;
        let subject = match &self.user {
            Some(user) => Some(subject::named(desk, &tenant, user).await?),
            None => None,
        };
        let order = Order {
            tenant_id: tenant.tenant_id,
            name: self.name,
            scopes: scopes.to_string(),
            profile: self.profile.unwrap_or(tenant.settings.default_profile),
            subject_row_id: subject.map(|subject| subject.row_id),
            lifetime: self.expires_in.unwrap_or_default(),
        };
        let author = desk.author();
        let (token, key) = order.fill(author.at).await?;
        desk.count_argon2_run();
        let registry = desk.provider.registry();
        let write = move |connection: &mut Connection| {
            tenants::lock_shared(connection, key.tenant_id)?;
            if let Some(row_id) = key.subject_row_id {
                subject::hold_live(connection, key.tenant_id, row_id)?;
            }
            api_keys::insert(connection, &key)?;
            let made = Key::of(connection, registry, key.clone(), author.at)?;
            record(connection, &author, key.tenant_id, None, &made)?;
            Ok(made)
        };
        let key = desk.store.write(write).await?;
        // Somebody may have tried the id while nobody had it.
        desk.forget_key(&key.id);
        Ok(Made { key, token: token.expose().to_owned() })
    }
}

/// A key that shall open nothing any more. It stays in lists; one that is revoked already stays as it is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "RevokeKey")]
pub struct Revoke {
    /// The id of the key.
    pub id: String,
}

impl Operation for Revoke {
    const ROUTE: Route = Route::post("/keys/{id}/revoke")
        .named("revokeKey")
        .about("Withdraw a key: at once on this server, within a second on others");
    type Outcome = Key;

    async fn carry_out(self, desk: &Desk) -> Result<Key> {
        let (id, registry, author) = (id_in(&self.id), desk.provider.registry(), desk.author());
        let write = move |connection: &mut Connection| {
            let key = lock(connection, &id)?;
            let tenant_id = key.tenant_id;
            let before = Key::of(connection, registry, key, author.at)?;
            if !api_keys::revoke(connection, &id, author.at.naive_utc())? {
                return Ok(before);
            }
            let key = find(connection, &id)?;
            let after = Key::of(connection, registry, key, author.at)?;
            record(connection, &author, tenant_id, Some(&before), &after)?;
            Ok(after)
        };
        let key = desk.store.write(write).await?;
        desk.forget_key(&key.id);
        Ok(key)
    }
}

/// A key that takes the place of another one. It has the tenant, name, profile, scopes and user of the old one, which
/// expires after an overlap.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "RotateKey")]
pub struct Rotate {
    /// The id of the old key.
    pub id: String,
    /// For how many seconds the old key stays good; a day without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u64>,
    /// For how many seconds the new key is good, or `never`; 365 days without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Lifetime>,
}

impl Operation for Rotate {
    const ROUTE: Route = Route::post("/keys/{id}/rotate")
        .named("rotateKey")
        .about("Make a key that takes the place of another one; its token is in this answer and in no other")
        .making("/keys/{id}");
    type Outcome = Rotated;

    async fn carry_out(self, desk: &Desk) -> Result<Rotated> {
        let (id, registry, author) = (id_in(&self.id), desk.provider.registry(), desk.author());
        let last_moment = overlap_end(author.at, self.overlap)?.naive_utc();
        let wanted = id.clone();
        let old = desk.store.read(Reach::Point, move |connection| find(connection, &wanted)).await?;
        let (token, mut new) = Order::like(&old, self.expires_in.unwrap_or_default()).fill(author.at).await?;
        desk.count_argon2_run();
        new.rotated_from = Some(id.clone());
        let write = move |connection: &mut Connection| {
            tenants::lock_shared(connection, new.tenant_id)?;
            // Before the key, as a purge takes the two.
            if let Some(row_id) = new.subject_row_id {
                resources::hold(connection, new.tenant_id, row_id)?;
            }
            let old = lock(connection, &id)?;
            if old.revoked_at.is_some() {
                let detail = format!("The key {id} is revoked. Make a new one: scimd key create --name NAME");
                return Err(Error::new(ErrorKind::InvalidValue, detail));
            }
            let before = Key::of(connection, registry, old.clone(), author.at)?;
            api_keys::insert(connection, &new)?;
            let end = old.expires_at.map_or(last_moment, |at| at.min(last_moment));
            api_keys::set_expiry(connection, &id, Some(end))?;
            let key = Key::of(connection, registry, new.clone(), author.at)?;
            record(connection, &author, new.tenant_id, None, &key)?;
            let ending = Key::of(connection, registry, ApiKey { expires_at: Some(end), ..old }, author.at)?;
            record(connection, &author, new.tenant_id, Some(&before), &ending)?;
            Ok((key, end.and_utc()))
        };
        let (key, old_expires) = desk.store.write(write).await?;
        desk.forget_key(&old.key_id);
        desk.forget_key(&key.id);
        Ok(Rotated { key, token: token.expose().to_owned(), old_expires })
    }
}

/// Whether there is a key that opens something: of this tenant, or of any.
///
/// # Errors
/// Database failures.
pub async fn any_active(desk: &Desk, tenant_id: Option<i64>) -> Result<bool> {
    let now = desk.now().naive_utc();
    desk.store.read(Reach::Scan, move |connection| api_keys::any_active(connection, tenant_id, now)).await
}

/// The id in what an operator writes: `4fT9kQ2mZx7B`, `scimd_4fT9kQ2mZx7B`, or a whole token that has leaked.
pub fn id_in(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("scimd_").unwrap_or(text);
    // Whatever stands behind the id may be secret, and the id is quoted in messages.
    text.chars().take_while(char::is_ascii_alphanumeric).take(12).collect()
}

/// Whom an operator means where the history is asked for somebody: a key, written as [`id_in`] reads it, or `operator`.
pub fn caller_in(text: &str) -> String {
    let text = text.trim();
    if text.starts_with("scimd_") { id_in(text) } else { text.to_owned() }
}

fn check_name(name: &str) -> Result<()> {
    let refused = match name.trim().is_empty() {
        true => "A key needs a name; `okta`, for example.".to_owned(),
        false if name.chars().count() > LONGEST_NAME => {
            format!("The name of a key has at most {LONGEST_NAME} characters.")
        }
        false => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidValue, refused))
}

/// The scopes in an operator's words, or the usual ones.
fn scopes(words: &[String], has_user: bool, desk: &Desk) -> Result<Scopes> {
    if words.is_empty() {
        return if has_user { "me".parse() } else { Ok(Scopes::all()) };
    }
    let scopes = read_scopes(words, desk.provider.registry())?;
    if scopes.are_for_me_alone() && !has_user {
        let detail = "A key with the scope `me` alone needs somebody to be: add `--user ID_OR_USERNAME`.";
        return Err(Error::new(ErrorKind::InvalidValue, detail));
    }
    Ok(scopes)
}

fn find(connection: &mut Connection, key_id: &str) -> Result<ApiKey> {
    api_keys::find(connection, key_id)?.ok_or_else(|| not_there(key_id))
}

/// As [`find`], before a change: nobody else changes the key meanwhile.
fn lock(connection: &mut Connection, key_id: &str) -> Result<ApiKey> {
    api_keys::lock(connection, key_id)?.ok_or_else(|| not_there(key_id))
}

fn not_there(key_id: &str) -> Error {
    let detail = format!("There is no key with the id `{key_id}`; `scimd key list` shows those that there are.");
    Error::new(ErrorKind::NotFound, detail)
}

/// Notes what became of a key; none before is a new one.
fn record(
    connection: &mut Connection,
    author: &Author,
    tenant_id: i64,
    before: Option<&Key>,
    after: &Key,
) -> Result<()> {
    let facts = |key: &Key| -> Result<_> {
        let mut facts = facts(key, &["id", "tenant", "created", "lastUsed", "status"])?;
        // Who the user is stands in the history of the user, and goes with it.
        if let (Some(user), Some(shown)) = (&key.user, facts.get_mut("user")) {
            *shown = user.id.clone().into();
        }
        Ok(facts)
    };
    let changes = Changes::of_record(before.map(facts).transpose()?.as_ref(), Some(&facts(after)?));
    let operation = if before.is_none() { audit::Operation::Create } else { audit::Operation::Modify };
    author.record(connection, tenant_id, operation, Subject::Key(&after.id), &changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Token;

    #[test]
    fn a_key_is_named_by_its_id_its_prefix_or_its_token() {
        let token = Token::generate();
        let id = token.key_id();
        for text in [id, &format!("scimd_{id}"), token.expose(), &format!(" {id}\n"), &format!("scimd_{id}_…")] {
            assert_eq!(id_in(text), id);
        }
        assert_eq!(id_in(""), "");
        assert_eq!((caller_in(token.expose()).as_str(), caller_in("operator ").as_str()), (id, "operator"));
    }

    #[test]
    fn names_of_keys_say_something_and_not_too_much() {
        assert!(check_name("Mira, self-service").is_ok() && check_name(&"ü".repeat(LONGEST_NAME)).is_ok());
        assert!(check_name(" \n").is_err() && check_name(&"x".repeat(LONGEST_NAME + 1)).is_err());
    }
}
