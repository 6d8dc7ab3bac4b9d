//! The authenticator against keys in memory. Time is a number that each test moves by hand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Barrier, Mutex, MutexGuard};

use chrono::{DateTime, TimeDelta};
use futures_util::future::{join, join_all, poll_immediate};

use super::*;

/// A store room of one hash map.
#[derive(Default)]
struct Keys {
    records: Mutex<HashMap<String, KeyRecord>>,
    uses: AtomicU64,
    is_away: AtomicBool,
}

impl KeySource for Keys {
    fn find<'a>(&'a self, key_id: &'a str) -> Answer<'a, Option<KeyRecord>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            match self.is_away.load(Ordering::SeqCst) {
                true => Err(Error::new(ErrorKind::Unavailable, "away")),
                false => Ok(self.records().get(key_id).cloned()),
            }
        })
    }

    fn used<'a>(&'a self, key_id: &'a str, at: NaiveDateTime) -> Answer<'a, ()> {
        Box::pin(async move {
            self.uses.fetch_add(1, Ordering::SeqCst);
            if let Some(record) = self.records().get_mut(key_id) {
                record.last_used_at = Some(at);
            }
            Ok(())
        })
    }
}

impl Keys {
    fn records(&self) -> MutexGuard<'_, HashMap<String, KeyRecord>> {
        self.records.lock().expect("no test panics while it holds the records")
    }

    fn change(&self, key_id: &str, change: impl FnOnce(&mut KeyRecord)) {
        change(self.records().get_mut(key_id).expect("a key that was issued"));
    }

    fn issue(&self, change: impl FnOnce(&mut KeyRecord)) -> Token {
        let token = Token::generate();
        let mut record = KeyRecord {
            key_id: token.key_id().to_owned(),
            tenant_id: 7,
            tenant: "default".to_owned(),
            tenant_is_suspended: false,
            secret_hash: hash(&token),
            fingerprint: token.fingerprint(),
            scopes: Scopes::all(),
            profile: Profile::Strict,
            subject: None,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        };
        change(&mut record);
        self.records().insert(record.key_id.clone(), record);
        token
    }
}

struct House {
    keys: Arc<Keys>,
    door: Arc<Authenticator>,
}

impl House {
    fn new() -> House {
        let keys = Arc::new(Keys::default());
        let source: Arc<dyn KeySource> = Arc::clone(&keys) as _;
        House { keys, door: Arc::new(Authenticator::new(source)) }
    }

    async fn knock(&self, header: impl AsRef<[u8]>, now: NaiveDateTime) -> Result<Arc<Caller>> {
        self.door.authenticate(Some(header.as_ref()), now).await
    }

    async fn present(&self, token: &Token, now: NaiveDateTime) -> Result<Arc<Caller>> {
        self.knock(format!("Bearer {}", token.expose()), now).await
    }

    /// Asserts that the token is refused as invalid, that this counts under `reason`, and that argon2 had no part in it.
    async fn assert_refused_cheaply(&self, token: &Token, now: NaiveDateTime, reason: Refusal) {
        let counted = |house: &House| (house.door.counters().argon2_runs(), house.door.counters().refused(reason));
        let before = counted(self);
        let error = self.present(token, now).await.expect_err("must be refused");
        assert_eq!((error.kind(), error.detail()), (ErrorKind::Unauthorized, INVALID));
        assert_eq!(counted(self), (before.0, before.1 + 1), "{reason:?}");
    }
}

const INVALID: &str = "The API key is not valid: it is wrong, expired or revoked.";

fn at(millis: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(1_800_000_000_000 + millis).expect("in range").naive_utc()
}

/// A token with the key id of `token` and another secret.
fn with_other_secret(token: &Token) -> Token {
    let other = Token::generate();
    let stem = format!("scimd_{}_{}", token.key_id(), &other.expose()[19..51]);
    let mut rest = crc32fast::hash(stem.as_bytes());
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut checksum = [b'0'; 6];
    for digit in checksum.iter_mut().rev() {
        *digit = digits[(rest % 62) as usize];
        rest /= 62;
    }
    Token::parse([stem.as_bytes(), &checksum].concat()).expect("well-formed")
}

#[tokio::test]
async fn auth_05_a_good_token_gives_the_caller_of_its_key() {
    let house = House::new();
    let token = house.keys.issue(|key| {
        key.scopes = "users:read".parse().expect("valid scopes");
        key.subject = Some(42);
    });

    let caller = house.present(&token, at(0)).await.expect("let in");

    assert_eq!((caller.tenant_id, caller.tenant.as_str(), caller.key_id.as_str()), (7, "default", token.key_id()));
    assert_eq!((caller.profile, caller.subject), (Profile::Strict, Some(42)));
    assert!(caller.may(Access::Read, "Users").is_ok() && caller.may(Access::Write, "Users").is_err());
}

#[tokio::test]
async fn auth_01_the_scheme_is_case_insensitive() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR ", "Bearer\t"] {
        let header = format!("{scheme} {} ", token.expose());
        assert!(house.knock(header, at(0)).await.is_ok(), "{scheme}");
    }
}

#[tokio::test]
async fn auth_01_without_a_bearer_token_the_caller_learns_how_to_send_one() {
    let house = House::new();
    for header in
        [None, Some("".as_bytes()), Some(b"Bearer"), Some(b"Bearer  "), Some(b"Basic dXNlcjpwdw=="), Some(b"\xff\xfe")]
    {
        let error = house.door.authenticate(header, at(0)).await.expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert_eq!(error.detail(), "An API key is required: send it as `Authorization: Bearer …`.");
    }
    assert_eq!(house.door.counters().refused(Refusal::Missing), 6);
}

#[tokio::test]
async fn auth_01_a_malformed_token_is_refused_without_a_look_up() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    let mistyped = token.expose().to_owned() + "x";
    for credentials in [mistyped.as_bytes(), b"x", b"\xff\xfe\x00", "ü".repeat(5000).as_bytes()] {
        let error = house.knock([b"Bearer ", credentials].concat(), at(0)).await.expect_err("must be refused");
        assert_eq!((error.kind(), error.detail()), (ErrorKind::Unauthorized, INVALID));
    }
    assert_eq!(house.door.counters().refused(Refusal::Malformed), 4);
    assert_eq!((house.door.counters().look_ups(), house.door.counters().argon2_runs()), (0, 0));
}

#[tokio::test]
async fn auth_01_unknown_expired_revoked_and_wrong_tokens_never_reach_argon2() {
    let house = House::new();
    let good = house.keys.issue(|_| ());
    let expired = house.keys.issue(|key| key.expires_at = Some(at(0)));
    let revoked = house.keys.issue(|key| key.revoked_at = Some(at(5000)));

    house.assert_refused_cheaply(&Token::generate(), at(0), Refusal::Unknown).await;
    house.assert_refused_cheaply(&expired, at(0), Refusal::Expired).await;
    house.assert_refused_cheaply(&revoked, at(0), Refusal::Revoked).await;
    house.assert_refused_cheaply(&with_other_secret(&good), at(0), Refusal::WrongSecret).await;
    assert_eq!(house.door.counters().argon2_runs(), 0);
}

/// Everything that is logged while it is in place.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn auth_04_a_key_that_is_used_after_its_end_is_named_by_its_id_and_never_by_its_secret() {
    let _alone = crate::LOGS_OF_TESTS.lock().await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let house = House::new();
    let expired = house.keys.issue(|key| key.expires_at = Some(at(0)));
    let revoked = house.keys.issue(|key| key.revoked_at = Some(at(0)));
    let guessed = house.keys.issue(|key| key.revoked_at = Some(at(0)));

    for second in 0..90 {
        for token in [&expired, &revoked, &with_other_secret(&guessed), &Token::generate()] {
            house.present(token, at(second * 1000)).await.expect_err("must be refused");
        }
    }

    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let lines: Vec<&str> = log.lines().collect();
    let told = |token: &Token| lines.iter().filter(|line| line.contains(token.key_id())).copied().collect::<Vec<_>>();
    for (token, what) in [(&expired, "an expired API key"), (&revoked, "a revoked API key")] {
        let [first, second] = told(token)[..] else { panic!("{log}") };
        assert!(first.contains(what) && first.contains("uses=1 ") | first.ends_with("uses=1"), "{first}");
        assert!(second.contains(what) && second.contains("uses=60"), "{second}");
        assert!(first.contains(r#"tenant="default""#), "{first}");
        assert!(!log.contains(&token.expose()[19..]), "{log}");
    }
    assert!(told(&guessed).is_empty(), "a wrong secret is no use of the key: {log}");
    assert_eq!(lines.len(), 4, "{log}");
    assert_eq!(house.door.counters().argon2_runs(), 0);
}

#[tokio::test]
async fn auth_08_five_thousand_guesses_cost_one_look_up_and_no_argon2() {
    let house = House::new();
    let good = house.keys.issue(|_| ());
    let guess = with_other_secret(&good);
    for _ in 0..5000 {
        house.present(&guess, at(0)).await.expect_err("must be refused");
    }
    assert_eq!((house.door.counters().look_ups(), house.door.counters().argon2_runs()), (1, 0));
    assert_eq!(house.door.counters().refused(Refusal::WrongSecret), 5000);
}

#[tokio::test]
async fn auth_03_an_expiry_takes_effect_at_its_moment_for_a_remembered_token_too() {
    let house = House::new();
    let token = house.keys.issue(|key| key.expires_at = Some(at(500)));

    assert!(house.present(&token, at(499)).await.is_ok());
    house.assert_refused_cheaply(&token, at(500), Refusal::Expired).await;
}

#[tokio::test]
async fn auth_03_the_steady_state_runs_argon2_once_and_looks_up_once_a_second() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    for millis in (0..10_000).step_by(10) {
        house.present(&token, at(millis)).await.expect("let in");
    }
    assert_eq!((house.door.counters().argon2_runs(), house.door.counters().look_ups()), (1, 10));
}

#[test]
fn auth_03_a_burst_of_one_good_token_runs_argon2_once() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    let together = Barrier::new(5);
    // Threads with a runtime each, as the HTTP server has them.
    let worker = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        together.wait();
        runtime.block_on(async {
            let knocks: Vec<_> = (0..10)
                .map(|_| {
                    let (door, header) = (Arc::clone(&house.door), format!("Bearer {}", token.expose()));
                    tokio::spawn(async move { door.authenticate(Some(header.as_bytes()), at(0)).await })
                })
                .collect();
            for knock in knocks {
                knock.await.expect("no panic").expect("let in");
            }
        });
    };

    std::thread::scope(|scope| (0..5).for_each(|_| drop(scope.spawn(worker))));

    assert_eq!((house.door.counters().argon2_runs(), house.door.counters().refused(Refusal::Budget)), (1, 0));
    assert!(house.door.counters().look_ups() <= 2, "those who wait in line see what the first ones found");
}

#[tokio::test]
async fn auth_03_who_waits_for_a_request_that_hangs_up_is_served_all_the_same() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    let first = {
        let (door, header) = (Arc::clone(&house.door), format!("Bearer {}", token.expose()));
        tokio::spawn(async move { door.authenticate(Some(header.as_bytes()), at(0)).await })
    };
    while house.door.counters().argon2_runs() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();

    assert!(house.present(&token, at(0)).await.is_ok());
}

#[tokio::test]
async fn auth_03_revocation_elsewhere_takes_effect_within_a_second() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    house.present(&token, at(0)).await.expect("let in");

    house.keys.change(token.key_id(), |key| key.revoked_at = Some(at(1)));

    house.assert_refused_cheaply(&token, at(1000), Refusal::Revoked).await;
}

#[tokio::test]
async fn auth_03_those_who_come_when_a_second_is_over_share_a_look_up() {
    let house = House::new();
    let token = house.keys.issue(|_| {});
    house.present(&token, at(0)).await.expect("a good token");
    let before = house.door.counters().look_ups();

    let burst = (0..50).map(|number| house.present(&token, at(1_000 + number)));
    join_all(burst).await.into_iter().for_each(|caller| drop(caller.expect("a good token")));

    assert_eq!(house.door.counters().look_ups() - before, 1);
}

#[tokio::test]
async fn auth_03_those_who_wait_for_a_look_up_share_its_failure_too() {
    let house = House::new();
    let token = house.keys.issue(|_| {});
    house.present(&token, at(0)).await.expect("a good token");
    let before = house.door.counters().look_ups();

    house.keys.is_away.store(true, Ordering::SeqCst);
    let burst = join_all((0..50).map(|number| house.present(&token, at(1_000 + number)))).await;
    house.keys.is_away.store(false, Ordering::SeqCst);

    let kinds = burst.into_iter().map(|refused| refused.expect_err("the store is away").kind());
    assert!(kinds.into_iter().all(|kind| kind == ErrorKind::Unavailable));
    assert_eq!(house.door.counters().look_ups() - before, 1);
    house.present(&token, at(1_100)).await.expect("it is back");
}

#[tokio::test]
async fn auth_03_nobody_believes_a_look_up_that_began_before_the_key_was_forgotten_or_a_second_ago() {
    for is_revoked in [true, false] {
        let house = House::new();
        let token = house.keys.issue(|_| {});
        house.present(&token, at(0)).await.expect("a good token");
        let mut slow = Box::pin(house.present(&token, at(1_000)));
        assert!(poll_immediate(&mut slow).await.is_none());
        let before = house.door.counters().look_ups();

        let next = match is_revoked {
            true => {
                house.keys.change(token.key_id(), |record| record.revoked_at = Some(at(1_001)));
                house.door.forget(token.key_id());
                at(1_002)
            }
            false => at(2_000),
        };
        let (next, _) = join(house.present(&token, next), slow).await;

        assert_eq!((next.is_err(), house.door.counters().look_ups() - before), (is_revoked, 1));
    }
}

#[tokio::test]
async fn auth_03_revocation_here_takes_effect_at_once() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    house.present(&token, at(0)).await.expect("let in");

    house.keys.change(token.key_id(), |key| key.revoked_at = Some(at(1)));
    house.door.forget(token.key_id());

    house.assert_refused_cheaply(&token, at(1), Refusal::Revoked).await;
    house.door.forget("no key id at all");
}

#[tokio::test]
async fn auth_02_a_good_key_of_a_suspended_tenant_is_forbidden_until_it_is_resumed() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    house.present(&token, at(0)).await.expect("let in");
    let suspend = |suspended| house.keys.change(token.key_id(), |key| key.tenant_is_suspended = suspended);

    suspend(true);
    assert!(house.present(&token, at(999)).await.is_ok(), "what is known of a key is believed for a second");
    house.door.forget_tenant(7);
    let here = house.present(&token, at(999)).await.expect_err("suspended");
    let other = house.present(&with_other_secret(&token), at(999)).await.expect_err("no key");
    suspend(false);
    let resumed = house.present(&token, at(1999)).await;

    assert_eq!((here.kind(), other.kind()), (ErrorKind::Forbidden, ErrorKind::Unauthorized));
    assert!(here.detail().contains("suspended"), "{here}");
    assert_eq!(house.door.counters().refused(Refusal::Suspended), 1);
    assert!(resumed.is_ok());
}

#[tokio::test]
async fn auth_03_a_removed_key_is_unknown_within_a_second() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    house.present(&token, at(0)).await.expect("let in");

    house.keys.records().clear();

    house.assert_refused_cheaply(&token, at(1000), Refusal::Unknown).await;
}

#[tokio::test]
async fn auth_03_a_changed_hash_makes_a_remembered_token_worthless() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    house.present(&token, at(0)).await.expect("let in");

    house.keys.change(token.key_id(), |key| key.secret_hash = hash(&Token::generate()));

    let error = house.present(&token, at(1000)).await.expect_err("another secret is stored now");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(house.door.counters().argon2_runs(), 2);
}

#[tokio::test]
async fn auth_03_an_unknown_key_id_is_looked_up_once_a_second_and_a_new_key_is_seen() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    let record = house.keys.records().remove(token.key_id()).expect("issued");
    for millis in [0, 10, 999] {
        house.assert_refused_cheaply(&token, at(millis), Refusal::Unknown).await;
    }
    assert_eq!(house.door.counters().look_ups(), 1);

    house.keys.records().insert(record.key_id.clone(), record);

    assert!(house.present(&token, at(1000)).await.is_ok());
}

#[tokio::test]
async fn auth_08_the_budget_of_a_key_id_bounds_argon2_and_leaves_its_holder_alone() {
    let house = House::new();
    let good = house.keys.issue(|_| ());
    house.present(&good, at(0)).await.expect("let in");
    let refused = |token: Token, millis| {
        // Somebody who knows the fingerprint of each of his guesses to be right: the worst that can happen.
        house.keys.change(good.key_id(), |key| key.fingerprint = token.fingerprint());
        house.door.forget(good.key_id());
        let house = &house;
        async move { house.present(&token, at(millis)).await.expect_err("must be refused").kind() }
    };

    for _ in 0..9 {
        assert_eq!(refused(with_other_secret(&good), 0).await, ErrorKind::Unauthorized);
    }
    assert_eq!(refused(with_other_secret(&good), 0).await, ErrorKind::Busy);
    assert_eq!(refused(with_other_secret(&good), 999).await, ErrorKind::Busy);
    assert_eq!(refused(with_other_secret(&good), 1000).await, ErrorKind::Unauthorized);
    assert_eq!(house.door.counters().argon2_runs(), 11);
    assert_eq!(house.door.counters().refused(Refusal::Budget), 2);

    house.keys.change(good.key_id(), |key| key.fingerprint = good.fingerprint());
    house.door.forget(good.key_id());
    assert!(house.present(&good, at(1000)).await.is_ok());
}

#[tokio::test]
async fn auth_03_the_last_use_is_recorded_at_most_once_a_minute() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    for second in 0..150 {
        house.present(&token, at(second * 1000)).await.expect("let in");
        tokio::task::yield_now().await;
    }
    assert_eq!(house.keys.uses.load(Ordering::SeqCst), 3);
    let last_used = house.keys.records()[token.key_id()].last_used_at;
    assert_eq!(last_used, Some(at(0) + TimeDelta::seconds(120)));
}

#[tokio::test]
async fn auth_03_a_refused_token_is_no_use_of_the_key() {
    let house = House::new();
    let token = house.keys.issue(|_| ());
    house.assert_refused_cheaply(&with_other_secret(&token), at(0), Refusal::WrongSecret).await;
    tokio::task::yield_now().await;
    assert_eq!(house.keys.uses.load(Ordering::SeqCst), 0);
}

#[test]
fn auth_01_bearer_separates_presented_from_missing() {
    assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
    assert_eq!(bearer(b" bearer   abc "), Some(&b"abc"[..]));
    for header in [&b""[..], b"Bearer", b"Bearer ", b"Bearerabc", b"Bear\xc3\xa9 abc", b"Token abc"] {
        assert_eq!(bearer(header), None, "{header:?}");
    }
}

#[test]
fn cur_09_cursors_end_with_the_powers_of_their_key_and_are_read_by_every_server() {
    let keys = Keys::default();
    let token = keys.issue(|_| {});
    let record = keys.records()[token.key_id()].clone();
    let changed = |change: fn(&mut KeyRecord)| {
        let mut record = record.clone();
        change(&mut record);
        cursor_secret(&record)
    };

    let secret = cursor_secret(&record);

    assert_eq!(changed(|record| record.last_used_at = Some(at(5))), secret, "it follows from the key alone");
    assert_eq!(
        changed(|record| record.tenant = "another".to_owned()),
        secret,
        "the name of the tenant is nothing to it"
    );
    for other in [
        changed(|record| record.secret_hash = "another".to_owned()),
        changed(|record| record.key_id = "another".to_owned()),
        changed(|record| record.tenant_id = 8),
        changed(|record| record.scopes = "read".parse().expect("a scope")),
        changed(|record| record.profile = Profile::Compat),
    ] {
        assert_ne!(other, secret);
    }
    assert!(!format!("{:?}", known_key(record, None, at(0)).caller).contains("argon2"));
}
