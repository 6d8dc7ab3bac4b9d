//! Times, as operators write them.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// A time of RFC 3339, or a day of UTC, which stands for its first moment.
///
/// # Errors
/// A sentence with an example.
pub(super) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let instant = DateTime::parse_from_rfc3339(text).map(|instant| instant.to_utc());
    instant.or_else(|_| day()).map_err(|_| {
        "write a time with its zone, such as 2026-11-01T09:30:00Z or 2026-11-01T10:30:00+01:00, or a day of UTC: 2026-11-01"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use crate::scim::resource::format_instant;

    use super::*;

    #[test]
    fn times_have_a_zone_and_days_begin_in_utc() {
        let read = |text| instant(text).map(format_instant);
        assert_eq!(read("2026-11-01T10:30:00.5+01:00").as_deref(), Ok("2026-11-01T09:30:00.500Z"));
        assert_eq!(read("2026-11-01").as_deref(), Ok("2026-11-01T00:00:00.000Z"));
        for text in ["yesterday", "", "2026-11-01T09:30:00", "2026-13-01", "1793525400"] {
            assert!(read(text).is_err_and(|sentence| sentence.contains("2026-11-01T09:30:00Z")), "{text}");
        }
    }
}
