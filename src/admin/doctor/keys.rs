//! Keys that end, and keys whose end somebody has not noticed.

use chrono::{NaiveDateTime, TimeDelta};

use super::{Examination, Finding, MOST_EXAMPLES, counted};
use crate::scim::Result;
use crate::store::survey::{self, EXPIRY_DAYS, EndingKey};
use crate::store::{Connection, Reach};

const CHECK: &str = "keys";

/// For how long an end is told of.
const LATELY: TimeDelta = TimeDelta::days(30);
/// Who used a key so shortly before its end most likely goes on.
const IN_USE: TimeDelta = TimeDelta::days(1);

pub(super) async fn finding(examination: &Examination<'_>) -> Result<Finding> {
    let now = examination.desk.now().naive_utc();
    let look = move |connection: &mut Connection| {
        let soon = now + TimeDelta::days(EXPIRY_DAYS[0].into());
        let (ended, ending) = (now - LATELY, soon);
        Ok((survey::keys_ending(connection, ended, now)?, survey::keys_ending(connection, now, ending)?))
    };
    let (ended, ending) = examination.look(Reach::Scan, look).await?;
    Ok(judge(&ended, &ending, now))
}

/// Of keys that have ended lately, and of those that end soon; none of them has a successor.
fn judge(ended: &[EndingKey], ending: &[EndingKey], now: NaiveDateTime) -> Finding {
    let was_used = |key: &&EndingKey| key.last_used_at.is_some_and(|used| key.expires_at - used < IN_USE);
    let missed: Vec<&EndingKey> = ended.iter().filter(was_used).collect();
    let mut said = Vec::new();
    if !missed.is_empty() {
        said.push(format!("{} ended while in use", counted(missed.len(), "key")));
    }
    let mut above = ending.len();
    for (place, days) in EXPIRY_DAYS.iter().enumerate() {
        let within =
            |days: u8| ending.iter().filter(|key| key.expires_at - now <= TimeDelta::days(days.into())).count();
        // Each key counts once, where it has the fewest days.
        let below = EXPIRY_DAYS.get(place + 1).map_or(0, |days| within(*days));
        if above > below {
            let unit = if *days == 1 { "day" } else { "days" };
            said.push(format!("{} within {days} {unit}", counted(above - below, "key")));
        }
        above = below;
    }
    if said.is_empty() {
        return Finding::ok(CHECK, format!("no key without a successor ends within {} days", EXPIRY_DAYS[0]));
    }
    let what = match missed.is_empty() {
        true => format!("keys end: {}", said.join(", ")),
        false if said.len() == 1 => said.remove(0),
        false => format!("{}; keys end: {}", said.remove(0), said.join(", ")),
    };
    let example = |key: &EndingKey| {
        let EndingKey { key_id, name, tenant, expires_at, .. } = key;
        format!("tenant {tenant}: key {key_id} ({name}) until {}", expires_at.and_utc().format("%Y-%m-%dT%H:%MZ"))
    };
    let examples = missed.into_iter().chain(ending).take(MOST_EXAMPLES).map(example).collect();
    Finding::warning(CHECK, what, "run `scimd key rotate ID`, and give the new token to the client")
        .with_examples(examples)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().expect("a time")
    }

    fn key(key_id: &str, expires_at: &str, last_used_at: Option<&str>) -> EndingKey {
        let (name, tenant) = ("okta".to_owned(), "acme".to_owned());
        let last_used_at = last_used_at.map(at);
        EndingKey { key_id: key_id.to_owned(), name, tenant, expires_at: at(expires_at), last_used_at }
    }

    #[test]
    fn auth_04_keys_are_told_of_where_they_have_the_fewest_days() {
        let now = at("2026-03-01T12:00:00");
        let ending = [
            key("a", "2026-03-02T11:00:00", None),
            key("b", "2026-03-07T12:00:00", None),
            key("c", "2026-03-08T12:00:00", None),
            key("d", "2026-03-30T12:00:00", None),
        ];
        let ended = [
            key("x", "2026-02-27T12:00:00", Some("2026-02-27T11:59:00")),
            key("y", "2026-02-27T12:00:00", Some("2026-01-27T11:59:00")),
            key("z", "2026-02-27T12:00:00", None),
        ];

        let finding = judge(&[], &ending, now);
        assert_eq!(finding.what, "keys end: 1 key within 30 days, 2 keys within 7 days, 1 key within 1 day");
        assert_eq!(finding.examples[0], "tenant acme: key a (okta) until 2026-03-02T11:00Z");
        let finding = judge(&ended, &ending[..1], now);
        assert_eq!(finding.what, "1 key ended while in use; keys end: 1 key within 1 day");
        assert_eq!(finding.examples.len(), 2);
        assert_eq!(judge(&ended, &[], now).what, "1 key ended while in use");
        assert_eq!(judge(&ended[1..], &[], now).state, State::Ok, "nobody misses them");
    }
}
