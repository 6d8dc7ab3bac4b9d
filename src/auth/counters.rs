//! What a metrics page tells about authentication: how often argon2 ran and why callers were refused.
//!
//! Numbers only; no key, tenant or address.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A key over a connection that others can read: answered 403, and nobody looks at it.
    Insecure,
    /// No `Authorization` header, or one of another scheme than `Bearer`.
    Missing,
    /// A bearer token of another shape than ours, or with a wrong checksum.
    Malformed,
    /// A well-formed token whose key id nobody has.
    Unknown,
    /// A key past its expiry.
    Expired,
    /// A key that an operator has revoked.
    Revoked,
    /// A known key id with another secret than its own.
    WrongSecret,
    /// A good key of a tenant that an operator has suspended: answered 403.
    Suspended,
    /// More unverified tokens for one key id than its budget allows: answered 429.
    Budget,
    /// Too many look-ups or argon2 runs waiting already: answered 429.
    Queue,
}

impl Refusal {
    /// All of them, for a metrics page.
    pub const ALL: [Refusal; 10] = [
        Refusal::Insecure,
        Refusal::Missing,
        Refusal::Malformed,
        Refusal::Unknown,
        Refusal::Expired,
        Refusal::Revoked,
        Refusal::WrongSecret,
        Refusal::Suspended,
        Refusal::Budget,
        Refusal::Queue,
    ];

    /// The reason as a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Refusal::Insecure => "insecure",
            Refusal::Missing => "missing",
            Refusal::Malformed => "malformed",
            Refusal::Unknown => "unknown",
            Refusal::Expired => "expired",
            Refusal::Revoked => "revoked",
            Refusal::WrongSecret => "wrong_secret",
            Refusal::Suspended => "suspended",
            Refusal::Budget => "budget",
            Refusal::Queue => "queue",
        }
    }
}

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    argon2_runs: AtomicU64,
    look_ups: AtomicU64,
    refusals: [AtomicU64; Refusal::ALL.len()],
}

impl Counters {
    /// How often argon2 ran, for a token that was compared or made.
    pub fn argon2_runs(&self) -> u64 {
        self.argon2_runs.load(Ordering::Relaxed)
    }

    /// How often a key record was read from the store.
    pub fn look_ups(&self) -> u64 {
        self.look_ups.load(Ordering::Relaxed)
    }

    /// How many requests were refused for this reason.
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.refusals[reason as usize].load(Ordering::Relaxed)
    }

    /// Counts a run of argon2.
    pub fn count_argon2_run(&self) {
        self.argon2_runs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_look_up(&self) {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts somebody who was not let in.
    pub fn count_refusal(&self, reason: Refusal) {
        self.refusals[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_08_each_reason_has_a_count_of_its_own() {
        let counters = Counters::default();
        for (times, reason) in Refusal::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counters.count_refusal(reason));
        }
        for (times, reason) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(counters.refused(reason), times as u64, "{}", reason.label());
        }
    }
}
