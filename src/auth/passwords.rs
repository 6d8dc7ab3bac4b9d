//! Passwords of users: hashed when a client sets one, compared when a client asks (RFC 7643 §9.2, FLT-33).
//!
//! argon2 takes some 20 ms and 19 MiB, so it runs on a thread of its own, in turns. The turns are not those of API keys:
//! however many passwords are written, whoever holds a key is let in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Params};
use tokio::sync::Semaphore;

use super::QUEUE_TIME;
use super::token::argon2id;
use crate::scim::password::Password;
use crate::scim::{Error, ErrorKind, Result};

/// Hashes and compares passwords. One per process, shared by all threads.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// How long one waits for a turn.
    patience: Duration,
    /// How often argon2 ran.
    runs: Arc<AtomicU64>,
}

impl Passwords {
    /// With one turn per two cores at a time.
    pub fn new() -> Passwords {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords { turns: Arc::new(Semaphore::new((cores / 2).max(1))), patience: QUEUE_TIME, runs: Arc::default() }
    }

    /// How often a password was hashed or compared, since the start of the process.
    pub fn argon2_runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// The argon2id hash of a password with a fresh salt, as a PHC string. Within a tokio runtime, before any connection to
    /// a database is taken.
    ///
    /// # Errors
    /// `Busy` if too many wait.
    pub async fn hash(&self, password: Password) -> Result<String> {
        self.in_turn(move || hash(&password)).await
    }

    /// Whether a hash was made of this password. Without a hash the answer is no, and takes as long: whoever asks does
    /// not learn who exists, or who has a password.
    ///
    /// # Errors
    /// `Busy` if too many wait.
    pub async fn verify(&self, password: Password, phc: Option<String>) -> Result<bool> {
        self.in_turn(move || {
            // Looked at in every case: it takes its time the first time.
            let nobodys = NOBODYS.as_str();
            let compared = matches(&password, phc.as_deref().unwrap_or(nobodys));
            phc.is_some() && compared
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(&self, run: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let turn = match tokio::time::timeout(self.patience, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(turn) => turn.expect("the semaphore is never closed"),
            Err(_) => {
                let detail = "Too many passwords are waiting to be hashed; try again in a few seconds.";
                return Err(Error::new(ErrorKind::Busy, detail));
            }
        };
        let runs = Arc::clone(&self.runs);
        let run = move || {
            // Held by the work, not by the request: a client that hangs up must not make room while its argon2 still runs.
            let _turn = turn;
            runs.fetch_add(1, Ordering::Relaxed);
            run()
        };
        tokio::task::spawn_blocking(run).await.map_err(Error::internal)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Passwords::new()
    }
}

/// Whether a PHC string is a whole argon2id hash that takes a bearable time and memory (256 MiB) to compare with: whoever
/// made it chose its cost, and scimd pays it.
pub fn is_usable_hash(phc: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else { return false };
    let is_whole = hash.algorithm == Algorithm::Argon2id.ident() && hash.salt.is_some() && hash.hash.is_some();
    let is_bearable = |params: Params| params.m_cost() <= 256 * 1024 && params.t_cost() <= 16 && params.p_cost() <= 16;
    is_whole && Params::try_from(&hash).is_ok_and(is_bearable)
}

/// What is compared for somebody without a password.
static NOBODYS: LazyLock<String> = LazyLock::new(|| hash_of(b"nobody"));

fn hash(password: &Password) -> String {
    hash_of(password.expose().as_bytes())
}

fn hash_of(secret: &[u8]) -> String {
    argon2id()
        .hash_password(secret)
        .expect("fixed parameters that argon2 accepts, and an operating system that gives a salt")
        .to_string()
}

fn matches(password: &Password, phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|hash| argon2id().verify_password(password.expose().as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::Profile;

    fn password(text: &str) -> Password {
        Password::prepare(text, Profile::Strict).expect("a password")
    }

    fn run<F: Future>(test: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
    }

    #[test]
    fn usr_06_only_a_salted_argon2id_hash_is_made() {
        run(async {
            let passwords = Passwords::new();
            let first = passwords.hash(password("t1meMa$heen")).await.expect("a hash");
            let second = passwords.hash(password("t1meMa$heen")).await.expect("a hash");

            assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
            assert_ne!(first, second, "each hash has a salt of its own");
            assert_eq!(passwords.clone().argon2_runs(), 2);
            assert!(passwords.verify(password("t1meMa$heen"), Some(first.clone())).await.expect("an answer"));
            assert!(!passwords.verify(password("t1mema$heen"), Some(first)).await.expect("an answer"));
        });
    }

    #[test]
    fn a_hash_from_elsewhere_is_whole_and_not_too_dear() {
        let own = hash(&password("t1meMa$heen"));
        let with = |from: &str, to: &str| own.replace(from, to);
        let cut = own.rsplit_once('$').expect("parts").0;

        assert!(is_usable_hash(&own));
        assert!(is_usable_hash(&with("m=19456,t=2,p=1", "m=262144,t=16,p=16")));
        for dear in ["m=262145,t=2,p=1", "m=19456,t=17,p=1", "m=19456,t=2,p=17", "m=4294967295,t=4294967295,p=1"] {
            assert!(!is_usable_hash(&with("m=19456,t=2,p=1", dear)), "{dear}");
        }
        for none in ["", "$argon2id$", cut, &with("argon2id", "argon2i"), &with("argon2id", "scrypt"), "hunter2"] {
            assert!(!is_usable_hash(none), "{none}");
        }
    }

    #[test]
    fn i18n_01_a_password_is_the_same_on_every_keyboard() {
        run(async {
            let passwords = Passwords::new();
            let composed = passwords.hash(password("pass\u{E5} w\u{F6}rd")).await.expect("a hash");

            let decomposed = password("passa\u{30A}\u{A0}wo\u{308}rd");

            assert!(passwords.verify(decomposed, Some(composed)).await.expect("an answer"));
        });
    }

    #[test]
    fn flt_33_somebody_without_a_password_has_none_that_is_right() {
        run(async {
            let passwords = Passwords::new();
            assert!(!passwords.verify(password("nobody"), None).await.expect("an answer"));
        });
    }

    /// Whoever waits longer than the queue is long comes again; nobody waits for ever.
    #[test]
    fn usr_06_a_queue_that_does_not_move_is_busy() {
        run(async {
            let passwords =
                Passwords { turns: Arc::new(Semaphore::new(0)), patience: Duration::ZERO, ..Passwords::new() };

            let refused = passwords.hash(password("t1meMa$heen")).await.expect_err("no turn");

            assert_eq!((refused.kind(), passwords.argon2_runs()), (ErrorKind::Busy, 0));
        });
    }
}
