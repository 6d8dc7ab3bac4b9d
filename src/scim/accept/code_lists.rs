//! Attributes whose text must follow another standard. Checked for `strict` callers only; `compat` stores what identity
//! providers send (USR-08, USR-10, T-12).

use crate::scim::key::decode_base64;
use crate::scim::schema::{Resolved, USER_URN};

/// ISO 3166-1 alpha-2, officially assigned codes.
const COUNTRIES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA \
    CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA \
    GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP \
    KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS \
    MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS \
    RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW \
    TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// What the text of this attribute must be, if it is not.
pub(super) fn violation(attribute: Resolved, text: &str) -> Option<&'static str> {
    if attribute.schema.is_none_or(|schema| schema.id != USER_URN) {
        return None;
    }
    let (holds, demand) = match attribute.index_path() {
        "addresses.country" => (is_country(text), "an ISO 3166-1 alpha-2 country code, such as DE"),
        "x509certificates.value" => (is_certificate(text), "the base64 text of exactly one DER certificate"),
        _ => return None,
    };
    (!holds).then_some(demand)
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && COUNTRIES.split(' ').any(|code| code == text)
}

/// One DER SEQUENCE that fills the bytes; more of X.509 is not looked at.
fn is_certificate(text: &str) -> bool {
    decode_base64(text).is_some_and(|bytes| is_der_sequence(&bytes))
}

fn is_der_sequence(bytes: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = bytes else {
        return false;
    };
    if *first < 0x80 {
        return usize::from(*first) == rest.len();
    }
    let count = usize::from(*first & 0x7f);
    if count == 0 || count > 4 || rest.len() < count {
        return false;
    }
    let (length, content) = rest.split_at(count);
    length.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte)) == content.len()
}

/// Whether the text consists of what RFC 3986 allows in a URI reference.
pub(super) fn is_uri_reference(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}');
    let escapes = text
        .split('%')
        .skip(1)
        .all(|escape| escape.get(..2).is_some_and(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit())));
    text.chars().all(allowed) && escapes && text.matches('#').count() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usr_08_countries_are_the_assigned_codes() {
        assert_eq!(COUNTRIES.split(' ').count(), 249);
        for (text, expected) in [("DE", true), ("de", false), ("Germany", false), ("ZZ", false), ("D ", false)] {
            assert_eq!(is_country(text), expected, "{text}");
        }
    }

    #[test]
    fn usr_10_a_certificate_is_one_der_sequence() {
        assert!(is_der_sequence(&[0x30, 2, 5, 0]));
        assert!(is_der_sequence(&[&[0x30, 0x81, 0x80][..], &[0; 0x80]].concat()));
        for wrong in [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 2, 5], &[0x30, 1, 5, 0], &[0x31, 0], &[0x30, 0x84, 1]] {
            assert!(!is_der_sequence(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn type_07_uri_references_may_be_relative() {
        for text in ["https://a.example/x?y#z", "Users/7", "../a%20b", ""] {
            assert!(is_uri_reference(text), "{text}");
        }
        for text in ["a b", "<x>", "a%2", "%zz", "ü", "a#b#c"] {
            assert!(!is_uri_reference(text), "{text}");
        }
    }
}
