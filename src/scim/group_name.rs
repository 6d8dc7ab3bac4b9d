//! The internal name of a group: what applications and people write where a displayName would be in the way.
//!
//! It is not a SCIM attribute; the operators' side, the SQL views and events carry it.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The displayName folded to lower-case ASCII letters, digits and underscores: `Field team (EU)` becomes
/// `field_team_eu`, and `group` stands in if nothing is left.
pub fn folded(display_name: &str) -> String {
    let plain = caseless::default_case_fold_str(display_name);
    let plain = plain.nfkd().filter(|c| !is_combining_mark(*c));
    let mut name = String::new();
    for c in plain {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        if name.len() >= LONGEST {
            break;
        }
    }
    let name = name.trim_end_matches('_');
    if name.is_empty() { "group".to_owned() } else { name.to_owned() }
}

/// The database indexes names, and people type them.
const LONGEST: usize = 200;

/// The name, with the smallest number from 2 on that makes it none of those taken.
pub fn distinct(name: &str, taken: impl Iterator<Item = String>) -> String {
    let taken: HashSet<String> = taken.collect();
    if !taken.contains(name) {
        return name.to_owned();
    }
    let numbered = (2_u64..).map(|number| format!("{name}_{number}")).find(|candidate| !taken.contains(candidate));
    numbered.expect("there are more numbers than groups")
}

/// Whether [`distinct`] may have made this name for a group of that displayName.
pub fn is_of(name: &str, display_name: &str) -> bool {
    let Some(rest) = name.strip_prefix(folded(display_name).as_str()) else { return false };
    let number = |rest: &str| rest.strip_prefix('_').and_then(|digits| digits.parse::<u64>().ok());
    rest.is_empty() || number(rest).is_some_and(|number| number >= 2 && rest == format!("_{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_to_ascii() {
        for (display_name, name) in [
            ("Field team EU", "field_team_eu"),
            ("  R&D -- (Zürich) ", "r_d_zurich"),
            ("Straße", "strasse"),
            ("ＦＵＬＬ １", "full_1"),
            ("🙂", "group"),
            ("", "group"),
            ("_a__b_", "a_b"),
        ] {
            assert_eq!(folded(display_name), name, "{display_name}");
        }
    }

    #[test]
    fn a_taken_name_gets_the_smallest_free_number() {
        let distinct = |taken: &[&str]| super::distinct("team", taken.iter().map(|name| (*name).to_owned()));
        assert_eq!(distinct(&[]), "team");
        assert_eq!(distinct(&["team"]), "team_2");
        assert_eq!(distinct(&["team", "team_2", "team_4"]), "team_3");
        assert_eq!(distinct(&["team_2"]), "team");
    }

    #[test]
    fn a_name_is_known_with_its_number() {
        for name in ["team", "team_2", "team_10"] {
            assert!(is_of(name, "TEAM"), "{name}");
        }
        for name in ["", "tea", "teams", "team_", "team_1", "team_02", "team_2_3", "team_x"] {
            assert!(!is_of(name, "TEAM"), "{name}");
        }
    }
}
