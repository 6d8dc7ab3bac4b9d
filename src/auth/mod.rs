//! Who is calling: from a bearer token to a [`Caller`] (RFC 6750, RFC 7644 §2 and §7.4).
//!
//! Cheap refusals come first, so that guessing cannot use up the CPU:
//!
//! ```text
//! scheme ─► shape, checksum ─► key record ─► expired? revoked? ─► fingerprint ─► verified lately? ──yes──► Caller
//!   │              │           (1 s old         │                     │                │ no                  ▲
//!   │              │            at most)        │                     │        budget of the key id          │
//!   ▼              ▼               ▼            ▼                     ▼                │                     │
//!  401            401             401          401                   401        argon2, one at a time ───────┘
//!                                                                               per token and two cores
//! ```
//!
//! This room knows nothing of actix, operations, or where keys are kept: they come from a [`KeySource`].

mod cache;
mod caller;
mod counters;
mod keys;
mod passwords;
mod token;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::NaiveDateTime;
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

pub use caller::{Access, Caller, Scopes};
pub use counters::{Counters, Refusal};
pub use keys::StoredKeys;
pub use passwords::{Passwords, is_usable_hash};
pub use token::{Token, bearer, hash, verify};

use crate::scim::{Error, ErrorKind, Profile, Result, cursor};
use cache::{KeyCache, KnownKey, Recalled};
use token::{KeyId, TokenDigest, fingerprint_of};

/// What a [`KeySource`] promises: its answer, later, on any thread.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Where keys are kept. Neither method may block the thread that calls it.
pub trait KeySource: Send + Sync {
    /// The record of a key id, also if it is expired or revoked; nothing if there is none.
    fn find<'a>(&'a self, key_id: &'a str) -> Answer<'a, Option<KeyRecord>>;

    /// Writes down that the key was used. Called at most once a minute per key, off the request's path.
    fn used<'a>(&'a self, key_id: &'a str, at: NaiveDateTime) -> Answer<'a, ()>;
}

/// What must be known of a key to decide on its token.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// The public part of the token.
    pub key_id: String,
    /// The row of the tenant that the key belongs to.
    pub tenant_id: i64,
    /// The name of that tenant.
    pub tenant: String,
    /// Whether an operator has suspended that tenant: its keys open nothing until it is resumed.
    pub tenant_is_suspended: bool,
    /// The PHC string that [`hash`] made.
    pub secret_hash: String,
    /// What [`Token::fingerprint`] gave.
    pub fingerprint: String,
    /// What the key may do.
    pub scopes: Scopes,
    /// How far its client may stray from the RFC.
    pub profile: Profile,
    /// The row of the resource that `/Me` stands for.
    pub subject: Option<i64>,
    /// The key opens nothing from then on.
    pub expires_at: Option<NaiveDateTime>,
    /// Set once an operator has revoked the key. Whatever the time, the key is dead.
    pub revoked_at: Option<NaiveDateTime>,
    /// The last use that was written down.
    pub last_used_at: Option<NaiveDateTime>,
}

/// Turns `Authorization` headers into [`Caller`]s. One per process, shared by all threads.
pub struct Authenticator {
    source: Arc<dyn KeySource>,
    cache: KeyCache,
    counters: Arc<Counters>,
    /// One run of argon2 per two cores: the other one keeps serving those who are already known.
    hashing: Arc<Semaphore>,
    /// Look-ups of key ids never seen. They wait in a line of their own, so that made-up ids cannot keep the store busy
    /// with the once-a-second look-ups of good keys waiting behind them.
    strangers: Semaphore,
}

impl Authenticator {
    /// An authenticator that remembers nothing yet.
    pub fn new(source: Arc<dyn KeySource>) -> Authenticator {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Authenticator {
            source,
            cache: KeyCache::new(),
            counters: Arc::default(),
            hashing: Arc::new(Semaphore::new((cores / 2).max(1))),
            strangers: Semaphore::new(STRANGERS),
        }
    }

    /// Counts a request that came in the open: with something that has the form of a key, so that somebody may have read
    /// it, or without.
    pub fn count_in_the_open(&self, authorization: Option<&[u8]>) {
        let credentials = authorization.and_then(bearer);
        let reason = match credentials.map(Token::parse) {
            None => Refusal::Missing,
            Some(None) => Refusal::Malformed,
            Some(Some(_)) => Refusal::Insecure,
        };
        self.counters.count_refusal(reason);
    }

    /// Whoever may use the token in this `Authorization` header at the time `now`.
    ///
    /// Must be called within a tokio runtime. A token that was verified lately costs one SHA-256 and two cache look-ups.
    ///
    /// # Errors
    /// `Unauthorized` if there is no bearer token, and with one other sentence for every token that is wrong in any way;
    /// `Forbidden` for a good token of a suspended tenant;
    /// `Busy` if too many unverified tokens wait; whatever the [`KeySource`] fails with.
    pub async fn authenticate(&self, authorization: Option<&[u8]>, now: NaiveDateTime) -> Result<Arc<Caller>> {
        let Some(credentials) = authorization.and_then(bearer) else {
            return Err(self.refuse(Refusal::Missing));
        };
        let Some(token) = Token::parse(credentials) else {
            return Err(self.refuse(Refusal::Malformed));
        };
        let Some(key) = self.key(&token, now).await? else {
            return Err(self.refuse(Refusal::Unknown));
        };
        let digest = token.digest();
        let has_right_secret = bool::from(fingerprint_of(&digest).ct_eq(key.fingerprint.as_bytes()));
        if let Some(reason) = key.end(now) {
            if has_right_secret {
                tell_of_ended(&key, reason, now);
            }
            return Err(self.refuse(reason));
        }
        if !has_right_secret {
            return Err(self.refuse(Refusal::WrongSecret));
        }
        let verified = self.cache.is_verified(&digest, &key.secret_hash, now);
        if !verified && !self.verify(&token, digest, &key, now).await? {
            return Err(self.refuse(Refusal::WrongSecret));
        }
        if key.tenant_is_suspended {
            return Err(self.refuse(Refusal::Suspended));
        }
        self.note_use(&key, now);
        Ok(Arc::clone(&key.caller))
    }

    /// Forgets what is remembered of a key, so that its revocation or change takes effect with the next request.
    pub fn forget(&self, key_id: &str) {
        if let Ok(id) = KeyId::try_from(key_id.as_bytes()) {
            self.cache.forget(&id);
        }
    }

    /// Forgets what is remembered of all keys of a tenant, so that its suspension or other name takes effect with the next
    /// request.
    pub fn forget_tenant(&self, tenant_id: i64) {
        self.cache.forget_tenant(tenant_id);
    }

    /// What a metrics page may show.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The key record, at most a second old.
    async fn key(&self, token: &Token, now: NaiveDateTime) -> Result<Option<Arc<KnownKey>>> {
        let id = token.key_id_digits();
        match self.cache.recall(&id, now) {
            Recalled::Known(key) => return Ok(Some(key)),
            Recalled::Unknown => return Ok(None),
            Recalled::Stale(key) => return self.look_up(token, Some(&key), now).await,
            Recalled::Stranger => {}
        }
        let _turn = self.stranger_turn().await?;
        // Somebody ahead in the line may have asked for the same key.
        match self.cache.recall(&id, now) {
            Recalled::Known(key) => Ok(Some(key)),
            Recalled::Unknown => Ok(None),
            Recalled::Stale(_) | Recalled::Stranger => self.look_up(token, None, now).await,
        }
    }

    /// What the store says of the key. Requests that come while it is asked wait for its answer: when a second is over, as many
    /// as the server has would ask at once, and all of them too late for those behind them.
    async fn look_up(
        &self,
        token: &Token,
        before: Option<&KnownKey>,
        now: NaiveDateTime,
    ) -> Result<Option<Arc<KnownKey>>> {
        let id = token.key_id_digits();
        loop {
            let epoch = self.cache.epoch();
            let look_up = self.cache.look_up(id, epoch);
            let ask = || async { self.ask(token, before, now, epoch).await.map_err(Arc::new) };
            let found = look_up.get_or_init(ask).await;
            self.cache.end_look_up(id, epoch, &look_up);
            match found {
                // It may have begun long before this request came.
                Ok(Some(key)) if !key.is_recent(now) => {}
                Ok(found) => return Ok(found.clone()),
                Err(failure) => return Err(Error::shared(failure)),
            }
        }
    }

    async fn ask(
        &self,
        token: &Token,
        before: Option<&KnownKey>,
        now: NaiveDateTime,
        epoch: u64,
    ) -> Result<Option<Arc<KnownKey>>> {
        self.counters.count_look_up();
        let found = self.source.find(token.key_id()).await?;
        let key = found.map(|record| Arc::new(known_key(record, before, now)));
        self.cache.keep(token.key_id_digits(), key.as_ref(), now, epoch);
        Ok(key)
    }

    async fn stranger_turn(&self) -> Result<SemaphorePermit<'_>> {
        match tokio::time::timeout(QUEUE_TIME, self.strangers.acquire()).await {
            Ok(turn) => Ok(turn.expect("the semaphore is never closed")),
            Err(_) => Err(self.refuse(Refusal::Queue)),
        }
    }

    /// Whether argon2 finds the token to be the key's own. Requests that bring the same token wait for one run.
    async fn verify(&self, token: &Token, digest: TokenDigest, key: &KnownKey, now: NaiveDateTime) -> Result<bool> {
        let flight = self.cache.flight(digest, &key.secret_hash);
        let run = || async {
            // The flight before this one may have landed between our look into the cache and now.
            if self.cache.is_verified(&digest, &key.secret_hash, now) {
                return Ok(true);
            }
            if !self.cache.spend(token.key_id_digits(), now) {
                return Err(self.refuse(Refusal::Budget));
            }
            let turn = self.hashing_turn().await?;
            let right = self.run_argon2(token.clone(), Arc::clone(&key.secret_hash), turn).await?;
            if right {
                self.cache.keep_verified(digest, &key.secret_hash, now);
            }
            Ok(right)
        };
        let right = *flight.get_or_try_init(run).await?;
        self.cache.land(digest, &key.secret_hash);
        Ok(right)
    }

    async fn hashing_turn(&self) -> Result<OwnedSemaphorePermit> {
        match tokio::time::timeout(QUEUE_TIME, Arc::clone(&self.hashing).acquire_owned()).await {
            Ok(turn) => Ok(turn.expect("the semaphore is never closed")),
            Err(_) => Err(self.refuse(Refusal::Queue)),
        }
    }

    async fn run_argon2(&self, token: Token, secret_hash: Arc<str>, turn: OwnedSemaphorePermit) -> Result<bool> {
        let counters = Arc::clone(&self.counters);
        let run = move || {
            // Held by the work, not by the request: a client that hangs up must not make room while its argon2 still runs.
            let _turn = turn;
            counters.count_argon2_run();
            verify(&token, &secret_hash)
        };
        tokio::task::spawn_blocking(run).await.map_err(Error::internal)
    }

    fn note_use(&self, key: &KnownKey, now: NaiveDateTime) {
        if !key.claim_use(now) {
            return;
        }
        let (source, caller) = (Arc::clone(&self.source), Arc::clone(&key.caller));
        tokio::spawn(async move {
            if let Err(error) = source.used(&caller.key_id, now).await {
                tracing::warn!(
                    key_id = caller.key_id,
                    error = &error as &dyn std::error::Error,
                    "last use of a key not recorded"
                );
            }
        });
    }

    fn refuse(&self, reason: Refusal) -> Error {
        self.counters.count_refusal(reason);
        tracing::debug!(reason = reason.label(), "authentication refused");
        match reason {
            Refusal::Missing => {
                Error::new(ErrorKind::Unauthorized, "An API key is required: send it as `Authorization: Bearer …`.")
            }
            Refusal::Budget | Refusal::Queue => {
                Error::new(ErrorKind::Busy, "Too many API keys are waiting to be checked; try again in a few seconds.")
            }
            Refusal::Suspended => Error::new(
                ErrorKind::Forbidden,
                "The tenant of this API key is suspended; ask whoever operates this server.",
            ),
            // One sentence for all of them: which part was wrong is nobody's business.
            _ => Error::new(ErrorKind::Unauthorized, "The API key is not valid: it is wrong, expired or revoked."),
        }
    }
}

/// Tells the operator which key somebody goes on with. Only of tokens whose fingerprint is right: everybody may know the
/// id of a key, and with another secret it is no use of that key. Argon2 would tell more, and is for those alone whom it
/// may let in.
fn tell_of_ended(key: &KnownKey, reason: Refusal, now: NaiveDateTime) {
    let Some(uses) = key.ended_uses.count(now) else { return };
    let (key, tenant) = (key.caller.key_id.as_str(), key.caller.tenant.as_str());
    match reason {
        Refusal::Revoked => tracing::warn!(key, tenant, uses, "a revoked API key is still in use"),
        _ => tracing::warn!(key, tenant, uses, "an expired API key is still in use"),
    }
}

/// Look-ups of unknown key ids at a time.
const STRANGERS: usize = 2;
/// How long a request waits for its turn before it is told to come again.
const QUEUE_TIME: Duration = Duration::from_secs(2);

/// The secret of a key's cursors: the same on every server, kept nowhere, and another one once the key has another token
/// or other powers (CUR-09). It follows from the stored hash, whose salt nobody outside knows, the holder of the key included.
fn cursor_secret(record: &KeyRecord) -> cursor::Secret {
    let powers = [record.tenant_id.to_string(), record.scopes.to_string(), record.profile.to_string()];
    cursor::Secret::derive(&[&record.secret_hash, &record.key_id, &powers[0], &powers[1], &powers[2]])
}

fn known_key(record: KeyRecord, before: Option<&KnownKey>, now: NaiveDateTime) -> KnownKey {
    let use_recorded_at = before.map(|key| Arc::clone(&key.use_recorded_at)).unwrap_or_default();
    let ended_uses = before.map(|key| Arc::clone(&key.ended_uses)).unwrap_or_default();
    if let Some(at) = record.last_used_at {
        // Another process may have written it down.
        use_recorded_at.fetch_max(at.and_utc().timestamp_millis(), Ordering::Relaxed);
    }
    let caller = Caller {
        cursor_secret: cursor_secret(&record),
        tenant_id: record.tenant_id,
        tenant: record.tenant,
        key_id: record.key_id,
        profile: record.profile,
        scopes: record.scopes,
        subject: record.subject,
    };
    KnownKey {
        caller: Arc::new(caller),
        secret_hash: record.secret_hash.into(),
        fingerprint: record.fingerprint,
        expires_at: record.expires_at,
        revoked: record.revoked_at.is_some(),
        tenant_is_suspended: record.tenant_is_suspended,
        looked_up_at: now,
        use_recorded_at,
        ended_uses,
    }
}
