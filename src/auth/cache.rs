//! What is remembered between requests, so that the store and argon2 stay off the hot path. All of it is bounded.
//!
//! | memory         | by                     | for                                  | so that                                  |
//! |----------------|------------------------|--------------------------------------|------------------------------------------|
//! | known keys     | key id                 | 1 s                                  | revocation elsewhere is seen in a second |
//! | unknown keys   | key id                 | 1 s                                  | a stale client costs one look-up         |
//! | verified tokens| SHA-256 of the token   | 15 min after its last use, 12 h      | argon2 runs when a client arrives        |
//! | budgets        | key id                 | until evicted                        | one key id cannot occupy argon2          |
//! | flights        | SHA-256 of the token   | while argon2 runs                    | a burst of one token runs it once        |
//! | look-ups       | key id and epoch       | while the store is asked             | a burst of one key asks it once          |
//!
//! Ages are measured with the `now` of each request, not with a clock of the caches: only the caller knows the time. It is
//! a wall clock and may step back, hence ages without a sign.
//!
//! This file does not decide who is let in.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{NaiveDateTime, TimeDelta};
use moka::sync::Cache;
use tokio::sync::OnceCell;

use super::caller::Caller;
use super::counters::Refusal;
use super::token::{KeyId, TokenDigest};
use crate::scim::Error;

/// How long a record may be believed without another look: a revocation takes effect within a second.
const RECORD_AGE: TimeDelta = TimeDelta::seconds(1);
/// A verified token that nobody has used for so long is verified again.
const VERIFIED_IDLE: TimeDelta = TimeDelta::minutes(15);
/// A verified token is verified again after so long, however busy.
const VERIFIED_AGE: TimeDelta = TimeDelta::hours(12);
/// How finely the last use of a verified token is kept: rarely enough that busy threads do not fight for the cache line.
const VERIFIED_GRAIN: TimeDelta = TimeDelta::minutes(1);
/// How often the last use of a key reaches the store.
const USE_INTERVAL: TimeDelta = TimeDelta::minutes(1);
/// How often the log is told that a key is in use that has ended.
const TELL_INTERVAL: TimeDelta = TimeDelta::minutes(1);
/// Unverified tokens per key id: so many at once …
const BUDGET_BURST: f64 = 10.0;
/// … and so many per second after that.
const BUDGET_PER_SECOND: f64 = 1.0;
/// Entries per memory.
const CAPACITY: u64 = 10_000;

/// A key record as last read, ready to be compared and handed out.
pub(super) struct KnownKey {
    pub caller: Arc<Caller>,
    pub secret_hash: Arc<str>,
    pub fingerprint: String,
    pub expires_at: Option<NaiveDateTime>,
    pub revoked: bool,
    pub tenant_is_suspended: bool,
    pub looked_up_at: NaiveDateTime,
    /// When the last use was last written down. Shared with the record that replaces this one.
    pub use_recorded_at: Arc<AtomicI64>,
    /// Shared as well.
    pub ended_uses: Arc<EndedUses>,
}

impl KnownKey {
    /// Why the key opens nothing any more, if so.
    pub fn end(&self, now: NaiveDateTime) -> Option<Refusal> {
        if self.revoked {
            return Some(Refusal::Revoked);
        }
        self.expires_at.filter(|expiry| *expiry <= now).map(|_| Refusal::Expired)
    }

    /// Whether it may be believed at `now`, if it was read just now, for a request that may have come later or before.
    pub fn is_recent(&self, now: NaiveDateTime) -> bool {
        now - self.looked_up_at < RECORD_AGE
    }

    /// Whether the last use is due to be written down; true for one caller only.
    pub fn claim_use(&self, now: NaiveDateTime) -> bool {
        let recorded = self.use_recorded_at.load(Ordering::Relaxed);
        if near(now, millis(recorded), USE_INTERVAL) {
            return false;
        }
        let now = now.and_utc().timestamp_millis();
        self.use_recorded_at.compare_exchange(recorded, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The uses of a key that has ended, of which the log is told now and then.
#[derive(Default)]
pub(super) struct EndedUses {
    told_at: AtomicI64,
    untold: AtomicU64,
}

impl EndedUses {
    /// Counts a use. Once a minute, for one caller: how many there have been since the log was told last.
    pub fn count(&self, now: NaiveDateTime) -> Option<u64> {
        self.untold.fetch_add(1, Ordering::Relaxed);
        let told_at = self.told_at.load(Ordering::Relaxed);
        if near(now, millis(told_at), TELL_INTERVAL) {
            return None;
        }
        let now = now.and_utc().timestamp_millis();
        self.told_at.compare_exchange(told_at, now, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(self.untold.swap(0, Ordering::Relaxed))
    }
}

/// What is known of a key id without asking the store.
pub(super) enum Recalled {
    /// Read within the last second.
    Known(Arc<KnownKey>),
    /// Read longer ago: it did exist, and must be read again.
    Stale(Arc<KnownKey>),
    /// Not found within the last second.
    Unknown,
    /// Nothing.
    Stranger,
}

/// The outcome of one run of argon2 that any number of requests wait for.
pub(super) type Flight = Arc<OnceCell<bool>>;

/// A look-up that any number of requests wait for; nothing if there is no such key. Its failure is theirs as well: one after
/// the other they would only wait longer for the same.
pub(super) type LookUp = Arc<OnceCell<std::result::Result<Option<Arc<KnownKey>>, Arc<Error>>>>;

/// The memories of one [`Authenticator`](super::Authenticator).
pub(super) struct KeyCache {
    known: Cache<KeyId, Arc<KnownKey>>,
    unknown: Cache<KeyId, NaiveDateTime>,
    verified: Cache<TokenDigest, Arc<Verified>>,
    budgets: Cache<KeyId, Arc<Mutex<Budget>>>,
    flights: Cache<(TokenDigest, Arc<str>), Flight>,
    /// By the epoch in which they began, too: who comes after a `forget` does not wait for what was asked before.
    look_ups: Cache<(KeyId, u64), LookUp>,
    /// Moves with every `forget`, so that a look-up that began before it does not bring the old record back.
    epoch: AtomicU64,
}

impl KeyCache {
    pub fn new() -> KeyCache {
        KeyCache {
            known: Cache::new(CAPACITY),
            unknown: Cache::new(CAPACITY),
            verified: Cache::new(CAPACITY),
            budgets: Cache::new(CAPACITY),
            flights: Cache::new(CAPACITY),
            look_ups: Cache::new(CAPACITY),
            epoch: AtomicU64::new(0),
        }
    }

    pub fn recall(&self, id: &KeyId, now: NaiveDateTime) -> Recalled {
        if let Some(key) = self.known.get(id) {
            return match near(now, key.looked_up_at, RECORD_AGE) {
                true => Recalled::Known(key),
                false => Recalled::Stale(key),
            };
        }
        match self.unknown.get(id) {
            Some(looked_up_at) if near(now, looked_up_at, RECORD_AGE) => Recalled::Unknown,
            _ => Recalled::Stranger,
        }
    }

    /// To be read before a look-up and handed to [`KeyCache::keep`] after it.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// The one look-up that all requests with this key share.
    pub fn look_up(&self, id: KeyId, epoch: u64) -> LookUp {
        self.look_ups.get_with((id, epoch), LookUp::default)
    }

    /// Ends a look-up: who comes later finds its outcome remembered, or starts anew.
    pub fn end_look_up(&self, id: KeyId, epoch: u64, look_up: &LookUp) {
        if self.look_ups.get(&(id, epoch)).is_some_and(|current| Arc::ptr_eq(&current, look_up)) {
            self.look_ups.invalidate(&(id, epoch));
        }
    }

    /// Remembers the outcome of a look-up that began at `now`, unless something was forgotten meanwhile.
    pub fn keep(&self, id: KeyId, found: Option<&Arc<KnownKey>>, now: NaiveDateTime, epoch: u64) {
        match found {
            Some(key) => self.known.insert(id, Arc::clone(key)),
            None => {
                self.known.invalidate(&id);
                self.unknown.insert(id, now);
            }
        }
        // After the insertion: either this sees the new epoch, or `forget` removes what was inserted.
        if self.epoch() != epoch {
            self.drop_record(&id);
        }
    }

    pub fn forget(&self, id: &KeyId) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.drop_record(id);
    }

    pub fn forget_tenant(&self, tenant_id: i64) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        for (id, _) in self.known.iter().filter(|(_, key)| key.caller.tenant_id == tenant_id) {
            self.drop_record(&id);
        }
    }

    fn drop_record(&self, id: &KeyId) {
        self.known.invalidate(id);
        self.unknown.invalidate(id);
    }

    /// Whether argon2 has lately found the token of this digest to be the one behind `secret_hash`.
    pub fn is_verified(&self, digest: &TokenDigest, secret_hash: &str, now: NaiveDateTime) -> bool {
        let Some(verified) = self.verified.get(digest) else { return false };
        let used_at = millis(verified.used_at.load(Ordering::Relaxed));
        let valid = *verified.secret_hash == *secret_hash
            && near(now, verified.verified_at, VERIFIED_AGE)
            && near(now, used_at, VERIFIED_IDLE);
        if valid && !near(now, used_at, VERIFIED_GRAIN) {
            verified.used_at.store(now.and_utc().timestamp_millis(), Ordering::Relaxed);
        }
        valid
    }

    pub fn keep_verified(&self, digest: TokenDigest, secret_hash: &Arc<str>, now: NaiveDateTime) {
        let used_at = AtomicI64::new(now.and_utc().timestamp_millis());
        let verified = Verified { secret_hash: Arc::clone(secret_hash), verified_at: now, used_at };
        self.verified.insert(digest, Arc::new(verified));
    }

    /// Takes one unverified token out of the budget of a key id; false if there is none left.
    pub fn spend(&self, id: KeyId, now: NaiveDateTime) -> bool {
        let budget = self.budgets.get_with(id, || Arc::new(Mutex::new(Budget { left: BUDGET_BURST, counted_at: now })));
        // A panic inside leaves two numbers behind, neither of them harmful.
        budget.lock().unwrap_or_else(PoisonError::into_inner).spend(now)
    }

    /// The one flight that all requests with this token share.
    pub fn flight(&self, digest: TokenDigest, secret_hash: &Arc<str>) -> Flight {
        self.flights.get_with((digest, Arc::clone(secret_hash)), Flight::default)
    }

    /// Ends a flight: who comes later finds the token among the verified, or starts anew.
    pub fn land(&self, digest: TokenDigest, secret_hash: &Arc<str>) {
        self.flights.invalidate(&(digest, Arc::clone(secret_hash)));
    }
}

struct Verified {
    /// Binds the entry to the record: another hash under the same key id makes it worthless.
    secret_hash: Arc<str>,
    verified_at: NaiveDateTime,
    used_at: AtomicI64,
}

/// A token bucket.
struct Budget {
    left: f64,
    counted_at: NaiveDateTime,
}

impl Budget {
    fn spend(&mut self, now: NaiveDateTime) -> bool {
        let elapsed = (now - self.counted_at).num_milliseconds().max(0) as f64 / 1000.0;
        self.left = (self.left + elapsed * BUDGET_PER_SECOND).min(BUDGET_BURST);
        self.counted_at = now;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

/// In whole milliseconds, in which the clock runs: a fraction of the work of subtracting dates, which every request does
/// several times.
fn near(now: NaiveDateTime, then: NaiveDateTime, limit: TimeDelta) -> bool {
    let (now, then) = (now.and_utc().timestamp_millis(), then.and_utc().timestamp_millis());
    (now - then).abs() < limit.num_milliseconds()
}

/// The instant that an atomic holds; one out of range is as long ago as can be.
fn millis(since_epoch: i64) -> NaiveDateTime {
    chrono::DateTime::from_timestamp_millis(since_epoch).unwrap_or_default().naive_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> NaiveDateTime {
        millis((1_800_000_000 + seconds) * 1000)
    }

    fn known(looked_up_at: NaiveDateTime) -> Arc<KnownKey> {
        Arc::new(known_in(1, looked_up_at))
    }

    fn known_in(tenant_id: i64, looked_up_at: NaiveDateTime) -> KnownKey {
        KnownKey {
            caller: Arc::new(Caller {
                tenant_id,
                tenant: "default".into(),
                key_id: "4fT9kQ2mZx7B".into(),
                profile: crate::scim::Profile::Compat,
                scopes: crate::auth::Scopes::all(),
                subject: None,
                cursor_secret: crate::scim::cursor::Secret::derive(&[]),
            }),
            secret_hash: "hash".into(),
            fingerprint: String::new(),
            expires_at: None,
            revoked: false,
            tenant_is_suspended: false,
            looked_up_at,
            use_recorded_at: Arc::new(AtomicI64::new(0)),
            ended_uses: Arc::default(),
        }
    }

    const ID: KeyId = *b"4fT9kQ2mZx7B";
    const DIGEST: TokenDigest = [7; 32];

    #[test]
    fn auth_03_a_verified_token_ends_fifteen_minutes_after_its_last_use() {
        let (cache, hash) = (KeyCache::new(), Arc::<str>::from("hash"));
        cache.keep_verified(DIGEST, &hash, at(0));

        assert!(cache.is_verified(&DIGEST, &hash, at(899)));
        assert!(cache.is_verified(&DIGEST, &hash, at(899 + 899)), "each use prolongs it");
        assert!(!cache.is_verified(&DIGEST, &hash, at(899 + 899 + 901)));
    }

    #[test]
    fn auth_03_a_verified_token_ends_after_twelve_hours_however_busy() {
        let (cache, hash) = (KeyCache::new(), Arc::<str>::from("hash"));
        cache.keep_verified(DIGEST, &hash, at(0));

        let valid_for = (0..100_000).step_by(600).find(|second| !cache.is_verified(&DIGEST, &hash, at(*second)));
        assert_eq!(valid_for, Some(12 * 3600));
    }

    #[test]
    fn auth_03_a_verified_token_is_bound_to_the_stored_hash() {
        let cache = KeyCache::new();
        cache.keep_verified(DIGEST, &"hash".into(), at(0));

        assert!(cache.is_verified(&DIGEST, "hash", at(1)));
        assert!(!cache.is_verified(&DIGEST, "another hash", at(1)));
        assert!(!cache.is_verified(&[8; 32], "hash", at(1)));
    }

    #[test]
    fn auth_03_a_look_up_that_began_before_a_revocation_is_not_remembered() {
        let cache = KeyCache::new();
        let epoch = cache.epoch();

        cache.forget(&ID);
        cache.keep(ID, Some(&known(at(0))), at(0), epoch);

        assert!(matches!(cache.recall(&ID, at(0)), Recalled::Stranger));
    }

    #[test]
    fn auth_03_what_is_remembered_of_a_tenant_is_forgotten_and_of_others_kept() {
        let cache = KeyCache::new();
        let other: KeyId = *b"9aB8cD7eF6gH";
        cache.keep(ID, Some(&known(at(0))), at(0), cache.epoch());
        cache.keep(other, Some(&Arc::new(known_in(2, at(0)))), at(0), cache.epoch());

        cache.forget_tenant(1);

        assert!(matches!(cache.recall(&ID, at(0)), Recalled::Stranger));
        assert!(matches!(cache.recall(&other, at(0)), Recalled::Known(_)));
    }

    #[test]
    fn auth_03_records_are_believed_for_a_second_and_less_when_the_clock_steps_back() {
        let cache = KeyCache::new();
        cache.keep(ID, Some(&known(at(100))), at(100), cache.epoch());

        assert!(matches!(cache.recall(&ID, at(100)), Recalled::Known(_)));
        assert!(matches!(cache.recall(&ID, at(101)), Recalled::Stale(_)));
        assert!(matches!(cache.recall(&ID, at(0)), Recalled::Stale(_)));
    }

    #[test]
    fn auth_08_a_budget_refills_by_one_a_second_up_to_ten() {
        let cache = KeyCache::new();
        let spent = |seconds| (0..20).filter(|_| cache.spend(ID, at(seconds))).count();

        assert_eq!(spent(0), 10);
        assert_eq!(spent(3), 3);
        assert_eq!(spent(2), 0, "a clock that steps back gives nothing");
        assert_eq!(spent(1000), 10);
    }

    #[test]
    fn auth_04_uses_of_an_ended_key_are_told_once_a_minute_and_none_is_left_out() {
        let uses = EndedUses::default();
        assert_eq!(uses.count(at(0)), Some(1));
        assert!((1..60).all(|second| uses.count(at(second)).is_none()));
        assert_eq!(uses.count(at(60)), Some(60));
        assert_eq!(uses.count(at(61)), None);
        assert_eq!(uses.count(at(1000)), Some(2));
    }

    #[test]
    fn auth_03_the_last_use_is_due_once_a_minute_for_one_caller() {
        let key = known(at(0));
        assert!(key.claim_use(at(0)));
        assert!(!key.claim_use(at(0)));
        assert!(!key.claim_use(at(59)));
        assert!(key.claim_use(at(60)));
    }
}
