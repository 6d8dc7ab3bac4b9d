//! How values compare: a value becomes a [`Key`], text that sorts and compares the same in Rust, SQLite and
//! PostgreSQL (byte order of UTF-8). Nothing else decides equality or order (FLT-36).
//!
//! | Type | Key |
//! |---|---|
//! | string, not case-exact | NFC, default case folding, NFC (I18N-02) |
//! | string, unique, not case-exact (`userName`) | full-width and half-width forms made plain (I18N-01), then as above |
//! | string, case-exact; reference | the text itself |
//! | boolean | `false`, `true` |
//! | integer, decimal | sign, exponent, digits, so that text order is numeric order |
//! | dateTime | the instant: seconds and nanoseconds at fixed width |
//! | binary | canonical base64 of the bytes |

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use serde_json::{Number, Value};
use unicode_normalization::UnicodeNormalization;

use super::precis::width_mapped;
use super::schema::{Attribute, Role, Type, Uniqueness};

/// A value made comparable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key of one value of an attribute; `None` if the value is not of the attribute's type.
    ///
    /// Accepts what a document holds as well as a filter literal: both come as JSON.
    pub fn of(attribute: &Attribute, value: &Value) -> Option<Key> {
        match (attribute.kind, value) {
            (Type::String, Value::String(text)) => Some(Key::of_text(attribute, text)),
            (Type::Reference, Value::String(text)) => Some(Key(without_version(text))),
            (Type::Boolean, Value::Bool(value)) => Some(Key(value.to_string())),
            (Type::Integer | Type::Decimal, Value::Number(number)) => Key::of_number(number),
            (Type::DateTime, Value::String(text)) => parse_date_time(text).map(Key::of_instant),
            (Type::Binary, Value::String(text)) => decode_base64(text).map(|bytes| Key(STANDARD.encode(bytes))),
            _ => None,
        }
    }

    /// The key of a value that a document holds. Text that was stored as sent and is not of the attribute's type, such
    /// as a certificate that is no base64, compares as the text that it is.
    pub fn of_stored(attribute: &Attribute, value: &Value) -> Option<Key> {
        Key::of(attribute, value).or_else(|| value.as_str().map(|text| Key(text.to_owned())))
    }

    fn of_text(attribute: &Attribute, text: &str) -> Key {
        if attribute.role == Role::Version {
            return Key(own_version(text));
        }
        match (attribute.case_exact, attribute.uniqueness) {
            (true, _) => Key(text.to_owned()),
            (false, Uniqueness::None) => Key::folded(text),
            (false, _) => Key::folded(&width_mapped(text)),
        }
    }

    /// The key of text that compares without case.
    pub fn folded(text: &str) -> Key {
        Key(fold(text))
    }

    /// The key of text that compares byte by byte.
    pub fn of_text_exactly(text: &str) -> Key {
        Key(text.to_owned())
    }

    /// The key of an instant.
    pub fn of_instant(instant: DateTime<Utc>) -> Key {
        // Shifted so that instants before 1970 sort first; chrono's range stays far below 2^62 seconds.
        let nanoseconds = instant.timestamp_subsec_nanos();
        // A leap second has more nanoseconds than fit; it is the same as the second after it.
        let seconds = (instant.timestamp() + i64::from(nanoseconds / NANOSECONDS) + (1 << 62)) as u64;
        Key(format!("{seconds:016x}.{:09}", nanoseconds % NANOSECONDS))
    }

    /// The instant that a key of [`Key::of_instant`] stands for, UTC.
    pub fn to_instant(&self) -> Option<NaiveDateTime> {
        let (seconds, nanoseconds) = self.0.split_once('.')?;
        let seconds = i64::from_str_radix(seconds, 16).ok()? - (1 << 62);
        DateTime::from_timestamp(seconds, nanoseconds.parse().ok()?).map(|instant| instant.naive_utc())
    }

    fn of_number(number: &Number) -> Option<Key> {
        let text = number.to_string();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: String = format!("{whole}{fraction}");
        let leading_zeros = digits.len() - digits.trim_start_matches('0').len();
        let significant = digits[leading_zeros..].trim_end_matches('0');
        if significant.is_empty() {
            return Some(Key("1".to_owned()));
        }
        // The value is 0.<significant> × 10^magnitude.
        let magnitude = exponent.parse::<i64>().ok()? + whole.len() as i64 - leading_zeros as i64;
        let magnitude = u32::try_from(magnitude + 50_000).ok().filter(|shifted| *shifted < 100_000)?;
        if negative {
            // Complemented, and closed by a digit above all others, so that larger magnitudes sort first.
            let complement: String = significant.bytes().map(|digit| (b'0' + b'9' - digit) as char).collect();
            return Some(Key(format!("0{:05}{complement}~", 99_999 - magnitude)));
        }
        Some(Key(format!("2{magnitude:05}{significant}")))
    }

    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text of the key, owned.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The smallest text above everything that starts with this key; `None` if there is none, as for the empty key.
    pub fn after_prefix(&self) -> Option<String> {
        let mut chars: Vec<char> = self.0.chars().collect();
        while let Some(last) = chars.pop() {
            let next = match last {
                '\u{D7FF}' => Some('\u{E000}'),
                '\u{10FFFF}' => None,
                other => char::from_u32(other as u32 + 1),
            };
            if let Some(next) = next {
                chars.push(next);
                return Some(chars.into_iter().collect());
            }
        }
        None
    }
}

/// How many make a second.
const NANOSECONDS: u32 = 1_000_000_000;

/// NFC and default case folding. ASCII, nearly everything that arrives, takes the short way.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    caseless::default_case_fold_str(&text.nfc().collect::<String>()).nfc().collect()
}

/// SCIM URIs that differ only by the version segment are equal (RFC 7643 §2.4): `/scim/v2/Users/1`, `/scim/Users/1`.
fn without_version(uri: &str) -> String {
    uri.replacen("/scim/v2/", "/scim/", 1)
}

/// A version tag may end in a part for what is computed from other resources; a search sees the own part only.
fn own_version(tag: &str) -> String {
    let opaque = tag.trim_start_matches("W/").trim_matches('"');
    opaque.split('.').next().unwrap_or_default().to_owned()
}

/// Reads an `xsd:dateTime`: date and time, any fraction, `Z`, an offset, or none (read as UTC).
pub fn parse_date_time(text: &str) -> Option<DateTime<Utc>> {
    let is_upper = text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z');
    if !is_upper {
        return None;
    }
    let parsed = DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.with_timezone(&Utc));
    let parsed = parsed.or_else(|| text.parse::<NaiveDateTime>().ok().map(|instant| instant.and_utc()));
    // Databases count years differently beyond four digits.
    parsed.filter(|instant| (0..=9999).contains(&instant.year()))
}

/// Decodes base64, padded or not, of the standard or the URL-safe alphabet.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(false);
    let alphabet = if text.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    GeneralPurpose::new(&alphabet, config).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn attribute(kind: &str, case_exact: bool) -> Attribute {
        serde_json::from_value(json!({
            "name": "x", "type": kind, "multiValued": false, "caseExact": case_exact,
            "mutability": "readWrite", "returned": "default",
        }))
        .expect("a valid attribute")
    }

    fn key(kind: &str, value: Value) -> Option<Key> {
        Key::of(&attribute(kind, false), &value)
    }

    #[test]
    fn i18n_02_text_without_case_compares_folded_and_composed() {
        assert_eq!(Key::folded("STRASSE"), Key::folded("straße"));
        assert_eq!(Key::folded("E\u{301}mile"), Key::folded("émile"));
        assert_ne!(Key::folded("dotless ı"), Key::folded("dotless i"));
        assert_ne!(Key::of(&attribute("string", true), &json!("A")), Key::of(&attribute("string", true), &json!("a")));
    }

    #[test]
    fn flt_20_instants_compare_whatever_their_offset() {
        assert_eq!(
            key("dateTime", json!("2026-03-01T10:00:00Z")),
            key("dateTime", json!("2026-03-01T12:00:00.000+02:00"))
        );
        assert_eq!(key("dateTime", json!("2026-03-01T10:00:00")), key("dateTime", json!("2026-03-01T10:00:00Z")));
        assert!(key("dateTime", json!("1969-12-31T23:59:59Z")) < key("dateTime", json!("1970-01-01T00:00:00Z")));
        assert!(
            key("dateTime", json!("2026-03-01T10:00:00.5Z")) > key("dateTime", json!("2026-03-01T10:00:00.499999Z"))
        );
        for wrong in
            [json!("2026-03-01"), json!("2026-03-01T24:00:01Z"), json!(1_700_000_000), json!("2026-03-01 10:00:00Z")]
        {
            assert_eq!(key("dateTime", wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn flt_20_a_leap_second_lies_between_its_neighbours() {
        let leap = key("dateTime", json!("2016-12-31T23:59:60Z"));
        assert!(key("dateTime", json!("2016-12-31T23:59:59.999Z")) < leap);
        assert!(leap < key("dateTime", json!("2017-01-01T00:00:00.001Z")));
    }

    #[test]
    fn instants_are_read_back_from_their_keys() {
        let instant = parse_date_time("2026-03-01T10:00:00.123Z").expect("valid");
        assert_eq!(Key::of_instant(instant).to_instant(), Some(instant.naive_utc()));
    }

    #[test]
    fn flt_20_numbers_compare_by_value() {
        assert_eq!(key("decimal", json!(1)), key("decimal", json!(1.0)));
        assert_eq!(key("decimal", json!(0)), key("decimal", json!(-0.0)));
        assert_eq!(key("decimal", json!(1e3)), key("decimal", json!(1000)));
    }

    #[test]
    fn flt_20_binaries_compare_by_their_bytes() {
        assert_eq!(key("binary", json!("YWI=")), key("binary", json!("YWI")));
        assert_eq!(key("binary", json!("a b")), None);
    }

    #[test]
    fn type_14_references_compare_without_the_version_segment() {
        assert_eq!(
            key("reference", json!("https://x/scim/Users/1")),
            key("reference", json!("https://x/scim/v2/Users/1"))
        );
    }

    proptest! {
        #[test]
        fn numbers_keep_their_order(left in -1e12f64..1e12, right in -1e12f64..1e12) {
            let keys = (key("decimal", json!(left)), key("decimal", json!(right)));
            prop_assert_eq!(left.partial_cmp(&right), Some(keys.0.cmp(&keys.1)));
        }

        #[test]
        fn integers_keep_their_order(left: i64, right: i64) {
            let keys = (key("integer", json!(left)), key("integer", json!(right)));
            prop_assert_eq!(left.cmp(&right), keys.0.cmp(&keys.1));
        }

        #[test]
        fn everything_with_a_prefix_lies_below_its_end(prefix in "\\PC{1,5}", rest in "\\PC{0,5}") {
            let key = Key(prefix.clone());
            if let Some(end) = key.after_prefix() {
                let longer = format!("{prefix}{rest}");
                prop_assert!(longer < end);
                prop_assert!(prefix < end);
            }
        }

        #[test]
        fn folding_twice_changes_nothing_more(text in "\\PC{0,20}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once.clone());
        }
    }
}
