//! Instants as they come out of the database. SQLite has no type for them: diesel writes text, and reads it in every form
//! that a client of SQLite might have written, which takes longer than the rest of a row.

use chrono::{NaiveDate, NaiveDateTime};
use diesel::backend::Backend;
use diesel::deserialize::{FromSql, FromSqlRow, Result};
use diesel::pg::Pg;
use diesel::sql_types::Timestamp;
use diesel::sqlite::Sqlite;

/// An instant, UTC, in a row that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromSqlRow)]
pub(super) struct Instant(pub NaiveDateTime);

impl FromSql<Timestamp, Pg> for Instant {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> Result<Self> {
        <NaiveDateTime as FromSql<Timestamp, Pg>>::from_sql(value).map(Instant)
    }
}

impl FromSql<Timestamp, Sqlite> for Instant {
    fn from_sql(mut value: <Sqlite as Backend>::RawValue<'_>) -> Result<Self> {
        match as_written(value.read_text().as_bytes()) {
            Some(instant) => Ok(Instant(instant)),
            None => <NaiveDateTime as FromSql<Timestamp, Sqlite>>::from_sql(value).map(Instant),
        }
    }
}

/// What diesel writes: `2026-03-01 09:30:00`, and three, six or nine digits behind a dot if the second is not whole.
fn as_written(text: &[u8]) -> Option<NaiveDateTime> {
    let (whole, fraction) = text.split_at_checked(19)?;
    if [whole[4], whole[7], whole[10], whole[13], whole[16]] != *b"-- ::" {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(number(&whole[..4])?).ok()?,
        number(&whole[5..7])?,
        number(&whole[8..10])?,
    )?;
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if matches!(digits.len(), 3 | 6 | 9) => {
            number(digits)? * 10_u32.pow(9 - u32::try_from(digits.len()).ok()?)
        }
        _ => return None,
    };
    date.and_hms_nano_opt(number(&whole[11..13])?, number(&whole[14..16])?, number(&whole[17..])?, nanos)
}

/// Up to nine digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_diesel_writes_is_read_at_once() {
        for nanos in [0, 1_000_000, 123_000_000, 123_456_000, 123_456_789, 999_999_999] {
            for (year, month, day, hour) in [(1970, 1, 1, 0), (2024, 2, 29, 23), (2026, 11, 30, 12), (9999, 12, 31, 23)]
            {
                let date = NaiveDate::from_ymd_opt(year, month, day).expect("a day");
                let instant = date.and_hms_nano_opt(hour, 59, 8, nanos).expect("a time");
                // The format of diesel's `ToSql` for SQLite.
                let text = instant.format("%F %T%.f").to_string();
                assert_eq!(as_written(text.as_bytes()), Some(instant), "{text}");
            }
        }
    }

    #[test]
    fn anything_else_is_left_to_diesel() {
        for text in [
            "",
            "2026-03-01",
            "2026-03-01T09:30:00",
            "2026-03-01 09:30:00Z",
            "2026-03-01 09:30:00.5",
            "2026-02-29 09:30:00",
            "2026-03-01 09:60:00",
            "+026-03-01 09:30:00",
            "2026-03-01 09:30:00.12x",
            "2460000.5",
        ] {
            assert_eq!(as_written(text.as_bytes()), None, "{text}");
        }
    }
}
