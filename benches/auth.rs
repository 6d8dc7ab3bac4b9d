//! What it costs to know who is calling: in the steady state, for garbage, and for a wrong secret.

mod installation;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use criterion::{Criterion, criterion_group, criterion_main};
use scimd::auth::{Authenticator, Refusal, Scopes, StoredKeys, Token, hash, verify};
use scimd::provider::system_clock;
use scimd::scim::{ErrorKind, Profile};
use scimd::store::api_keys::{self, ApiKey};

use crate::installation::Installation;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = argon2, steady, refused, parse
}
criterion_main!(benches);

/// What the first request with a key costs, and no other one may.
fn argon2(criterion: &mut Criterion) {
    let token = Token::generate();
    let secret_hash = hash(&token);
    criterion.bench_function("auth/argon2, the first request of a key", |bencher| {
        bencher.iter(|| verify(black_box(&token), &secret_hash));
    });
}

fn steady(criterion: &mut Criterion) {
    let installation = Installation::new();
    let token = Token::generate();
    insert(&installation, &token);
    let authenticator = authenticator(&installation);
    let header = format!("Bearer {}", token.expose());
    let authenticate = |now| installation.run(authenticator.authenticate(Some(header.as_bytes()), now));

    let now = now();
    authenticate(now);
    criterion.bench_function("auth/verified token", |bencher| bencher.iter(|| authenticate(now)));
    assert_eq!(authenticator.counters().argon2_runs(), 1, "argon2 stays out of the steady state");

    // A record is believed for a second; then it is looked up again. The steps go back and forth, so that the hours after
    // which argon2 is due never pass.
    let mut step = 0;
    criterion.bench_function("auth/verified token, record read anew", |bencher| {
        bencher.iter(|| {
            step = (step + 1) % 20;
            authenticate(now + TimeDelta::milliseconds(1100 * step))
        });
    });
    assert_eq!(authenticator.counters().argon2_runs(), 1, "a look-up is no reason to run argon2");
}

fn refused(criterion: &mut Criterion) {
    let installation = Installation::new();
    let token = Token::generate();
    insert(&installation, &token);
    let authenticator = authenticator(&installation);
    let header = format!("Bearer {}", with_another_secret(&token));
    let now = now();
    criterion.bench_function("auth/wrong secret of a known key", |bencher| {
        bencher.iter(|| {
            let answer = authenticator.authenticate(Some(header.as_bytes()), now);
            let refusal = installation.runtime.block_on(answer).expect_err("the secret is wrong");
            assert_eq!(refusal.kind(), ErrorKind::Unauthorized);
        });
    });
    assert!(authenticator.counters().refused(Refusal::WrongSecret) > 0, "it was refused for its secret");
    assert_eq!(authenticator.counters().argon2_runs(), 0, "guessing does not reach argon2");
}

fn parse(criterion: &mut Criterion) {
    let token = Token::generate();
    let good = token.expose();
    let mistyped = good.replacen(good.as_bytes()[30] as char, "-", 1);
    let wrong_checksum = format!("{}000000", &good[..good.len() - 6]);
    let long = "x".repeat(8 * 1024);
    let mut group = criterion.benchmark_group("auth/Token::parse");
    let cases = [
        ("a token", good),
        ("garbage of 8 KiB", long.as_str()),
        ("one wrong character", mistyped.as_str()),
        ("wrong checksum", wrong_checksum.as_str()),
    ];
    for (name, text) in cases {
        assert_eq!(Token::parse(text).is_some(), name == "a token", "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| Token::parse(black_box(text))));
    }
    group.finish();
}

fn authenticator(installation: &Installation) -> Authenticator {
    Authenticator::new(Arc::new(StoredKeys::new(installation.store.clone())))
}

fn now() -> NaiveDateTime {
    system_clock()().naive_utc()
}

fn insert(installation: &Installation, token: &Token) {
    let key = ApiKey {
        key_id: token.key_id().to_owned(),
        tenant_id: installation.tenant_id,
        name: "bench".to_owned(),
        secret_hash: hash(token),
        fingerprint: token.fingerprint(),
        last_four: token.last_four().to_owned(),
        scopes: Scopes::all().to_string(),
        profile: Profile::Compat.to_string(),
        subject_row_id: None,
        created_at: now(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
        rotated_from: None,
    };
    installation.run(installation.store.write(move |connection| api_keys::insert(connection, &key)));
}

/// What somebody would send who knows the public part and guesses: well-formed, with the right checksum.
fn with_another_secret(token: &Token) -> String {
    let stranger = Token::generate();
    let (known, guessed) = (&token.expose()[..19], &stranger.expose()[19..51]);
    let text = format!("{known}{guessed}");
    let checksum = base62(crc32fast::hash(text.as_bytes()));
    let forged = format!("{text}{checksum}");
    assert!(Token::parse(&forged).is_some_and(|forged| forged.key_id() == token.key_id()));
    forged
}

/// Six digits.
fn base62(mut number: u32) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = ['0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize].into();
        number /= 62;
    }
    digits.iter().collect()
}
