//! Tells the log which keys are about to end: whoever looks after the server shall hear of it before the clients do.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use crate::provider::{EXPIRY_DAYS, EndingKey, Provider};

/// How often the keys are looked at.
const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Looks at the keys for as long as the server runs. Within a runtime.
pub(super) async fn keep_telling(provider: Provider) {
    let mut told = Told::default();
    loop {
        let now = provider.now().naive_utc();
        // A database that does not answer is told of elsewhere.
        if let Ok(keys) = provider.keys_ending(now).await {
            told.due(&keys, now).into_iter().for_each(|(key, days)| tell(key, days));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn tell(key: &EndingKey, days: u8) {
    // The name is for people, and may be somebody's.
    let EndingKey { key_id, tenant, expires_at, .. } = key;
    let unit = if days == 1 { "day" } else { "days" };
    let expires = expires_at.and_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    tracing::warn!(key = key_id, tenant, expires, "an API key expires within {days} {unit}; rotate it");
}

/// What the log has been told, by key: the days that were left at most, and when.
#[derive(Debug, Default)]
struct Told(HashMap<String, (u8, NaiveDate)>);

impl Told {
    /// The keys to tell of now, with the days that they have left at most: each once for each of [`EXPIRY_DAYS`] and day.
    /// Forgets keys that end no more.
    fn due<'a>(&mut self, keys: &'a [EndingKey], now: NaiveDateTime) -> Vec<(&'a EndingKey, u8)> {
        let mut next = HashMap::with_capacity(keys.len());
        let mut due = Vec::new();
        for key in keys {
            let left = key.expires_at - now;
            let within = EXPIRY_DAYS.into_iter().filter(|days| left <= TimeDelta::days((*days).into()));
            let Some(days) = within.min() else { continue };
            let telling = (days, now.date());
            if self.0.get(&key.key_id) != Some(&telling) {
                due.push((key, days));
            }
            next.insert(key.key_id.clone(), telling);
        }
        self.0 = next;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().expect("a time")
    }

    #[test]
    fn auth_04_a_key_is_told_of_once_a_day_and_at_each_threshold() {
        let key = |key_id: &str, expires_at: &str| EndingKey {
            key_id: key_id.to_owned(),
            name: "okta".to_owned(),
            tenant: "default".to_owned(),
            expires_at: at(expires_at),
            last_used_at: None,
        };
        let keys = [key("a", "2026-03-31T12:00:00"), key("b", "2026-04-20T12:00:00")];
        let mut told = Told::default();
        let mut due = |now: &str| -> Vec<(String, u8)> {
            told.due(&keys, at(now)).into_iter().map(|(key, days)| (key.key_id.clone(), days)).collect()
        };
        let of_a = |days| vec![("a".to_owned(), days)];

        assert_eq!(due("2026-03-01T11:59:00"), [], "more than 30 days are left");
        assert_eq!(due("2026-03-01T12:00:00"), of_a(30));
        assert_eq!(due("2026-03-01T23:59:59"), []);
        assert_eq!(due("2026-03-02T00:00:00"), of_a(30), "another day");
        assert_eq!(due("2026-03-17T11:00:00"), of_a(30));
        assert_eq!(due("2026-03-17T12:00:00"), of_a(14), "the same day, another threshold");
        assert_eq!(due("2026-03-24T12:00:00"), [("a".to_owned(), 7), ("b".to_owned(), 30)]);
        assert_eq!(due("2026-03-30T12:00:00"), [("a".to_owned(), 1), ("b".to_owned(), 30)]);
        assert_eq!(due("2026-03-30T13:00:00"), []);
        assert_eq!(told.due(&[], at("2026-03-30T13:00:00")), []);
        assert!(told.0.is_empty(), "what is rotated or gone is forgotten");
    }
}
