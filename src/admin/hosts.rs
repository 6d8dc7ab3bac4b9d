//! By which names clients reach this process: what they send as `Host`, remembered and told to operators, trusted by
//! nobody.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};

/// More names than a server has.
const MOST: usize = 32;
/// The longest name of DNS, a colon and a port.
const LONGEST: usize = 253 + 6;
/// How finely the time is kept, so that busy threads do not fight for it.
const GRAIN_MILLIS: i64 = 60_000;

/// The names that the holders of keys have used since the start, and when they did so last.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Arc<RwLock<Vec<(String, AtomicI64)>>>);

impl Hosts {
    /// Notes the `Host` of a request that came with a good key. Names beyond the first few dozen are not kept.
    pub fn note(&self, host: &str, now: DateTime<Utc>) {
        let now = now.timestamp_millis();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, seen)) = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(host)) {
            if (now - seen.load(Ordering::Relaxed)).abs() >= GRAIN_MILLIS {
                seen.store(now, Ordering::Relaxed);
            }
            return;
        }
        let is_full = known.len() >= MOST;
        drop(known);
        if is_full || host.is_empty() || host.len() > LONGEST || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST && !known.iter().any(|(name, _)| name.eq_ignore_ascii_case(host)) {
            known.push((host.to_ascii_lowercase(), AtomicI64::new(now)));
        }
    }

    /// The names that were used within a day, in the order in which they first were.
    pub(super) fn of_the_last_day(&self, now: DateTime<Utc>) -> Vec<String> {
        let since = (now - TimeDelta::days(1)).timestamp_millis();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let lately = known.iter().filter(|(_, seen)| seen.load(Ordering::Relaxed) >= since);
        lately.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_once_for_a_day_and_within_bounds() {
        let (hosts, now) = (Hosts::default(), DateTime::from_timestamp(1_800_000_000, 0).expect("a time"));
        for name in ["A.example", "a.EXAMPLE", "b:8080", "", "with space", &"x".repeat(300)] {
            hosts.note(name, now);
        }
        assert_eq!(hosts.of_the_last_day(now), ["a.example", "b:8080"]);

        let later = now + TimeDelta::hours(20);
        hosts.note("B:8080", later);
        assert_eq!(hosts.of_the_last_day(now + TimeDelta::hours(25)), ["b:8080"]);

        (0..100).for_each(|number| hosts.note(&format!("h{number}"), later));
        assert_eq!(hosts.of_the_last_day(later).len(), MOST);
    }
}
