//! Names and passwords in every script: what may stand in them, and what is equal (RFC 8264, RFC 8265).
//!
//! A `userName` is prepared as `UsernameCaseMapped` and a `password` as `OpaqueString`. `strict` refuses what the
//! profiles refuse. `compat` refuses control characters, and names in which there is nothing to be seen; identity
//! providers send guest names, emoji and names of mixed direction. How a name compares is the same for both:
//! [`super::key`] maps width and folds case.

mod bidi;
mod class;
mod context;

use std::borrow::Cow;
use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::Profile;
use class::Class;

/// Why a text cannot be prepared. Shown as what follows the name of the attribute in a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It holds a character that has no place in it.
    Character(char),
    /// There is nothing to be seen in it.
    Blank,
    /// It begins or ends with a space.
    Space,
    /// A part of it mixes scripts that run left to right and right to left.
    Direction,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Character(c) => write!(f, "must not contain the character U+{:04X}", u32::from(*c)),
            Refusal::Blank => f.write_str("must not be empty, nor of characters alone that nobody sees"),
            Refusal::Space => f.write_str("must not begin or end with a space"),
            Refusal::Direction => f.write_str("must not mix directions of writing within a word"),
        }
    }
}

/// Holds a user name against the profile `UsernameCaseMapped`, word by word (RFC 8265 §3.3, §3.5).
///
/// # Errors
/// The first thing that has no place in it.
pub fn check_user_name(name: &str, profile: Profile) -> Result<(), Refusal> {
    if let Some(control) = name.chars().find(|c| c.is_control()) {
        return Err(Refusal::Character(control));
    }
    if name.chars().all(class::is_blank) {
        return Err(Refusal::Blank);
    }
    if profile == Profile::Compat {
        return Ok(());
    }
    let name = width_mapped(name);
    if name.starts_with(' ') || name.ends_with(' ') {
        return Err(Refusal::Space);
    }
    name.split(' ').try_for_each(|word| {
        Class::Identifier.check(word)?;
        let composed: String = word.nfc().collect();
        if bidi::is_ordered(&composed) { Ok(()) } else { Err(Refusal::Direction) }
    })
}

/// A password as it is hashed: every space is U+0020, and letters are composed (`OpaqueString`, RFC 8265 §4.2). The same
/// password typed on another keyboard gives the same text. Case and width stay.
///
/// # Errors
/// The first thing that has no place in it.
pub fn opaque_string(password: &str, profile: Profile) -> Result<String, Refusal> {
    if let Some(control) = password.chars().find(|c| c.is_control()) {
        return Err(Refusal::Character(control));
    }
    let spaced = password.chars().map(|c| if class::is_space(c) { ' ' } else { c });
    let prepared: String = spaced.nfc().collect();
    // Held against the class as it is after all mappings (RFC 8264 §7): U+0387 is a middle dot by then.
    if profile == Profile::Strict {
        Class::Freeform.check(&prepared)?;
    }
    Ok(prepared)
}

/// Full-width and half-width characters as the plain ones that they stand for (RFC 8264 §5.2.1, RFC 8265 §3.3.2).
pub fn width_mapped(text: &str) -> Cow<'_, str> {
    let has_width = |c: char| c == '\u{3000}' || ('\u{FF00}'..='\u{FFEF}').contains(&c);
    if !text.contains(has_width) {
        return Cow::Borrowed(text);
    }
    let plain = |c: char| if has_width(c) { c.nfkd().collect() } else { c.to_string() };
    text.chars().map(plain).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict(name: &str) -> Result<(), Refusal> {
        check_user_name(name, Profile::Strict)
    }

    #[test]
    fn i18n_01_i18n_04_names_of_every_script_are_names() {
        for name in [
            "juliet@example.com",
            "fußball",
            "π",
            "ＭＩＲＡ",
            "ｶﾞ",
            "E\u{301}mile",
            "dotless ı",
            "𠜎𠝹",
            "𞤀𞤁𞤂",
            "יונתן",
            "שָׁלוֹם",
            "مُحَمَّد",
            "محمد 2",
            "mira_ext.com#EXT#@tenant.onmicrosoft.com",
            "o'neill+test@example.com",
            "foo bar",
            "l·l",
            "ক্‍ষ",
        ] {
            assert_eq!(strict(name), Ok(()), "{name}");
            assert_eq!(check_user_name(name, Profile::Compat), Ok(()), "{name}");
        }
    }

    /// Among them the examples of RFC 8265 §3.5.
    #[test]
    fn i18n_03_strict_refuses_what_precis_refuses() {
        for (name, refusal) in [
            ("henry\u{2163}", Refusal::Character('\u{2163}')),
            ("♚", Refusal::Character('♚')),
            ("ada 🤖", Refusal::Character('🤖')),
            ("\u{FB01}sh", Refusal::Character('\u{FB01}')),
            ("mira\u{200B}", Refusal::Character('\u{200B}')),
            ("mira\u{202E}", Refusal::Character('\u{202E}')),
            ("mi\u{AD}ra", Refusal::Character('\u{AD}')),
            ("a\u{A0}b", Refusal::Character('\u{A0}')),
            ("a\u{200D}b", Refusal::Character('\u{200D}')),
            ("a·b", Refusal::Character('·')),
            ("a\u{FFFF}", Refusal::Character('\u{FFFF}')),
            ("a\u{378}", Refusal::Character('\u{378}')),
            ("\u{1100}\u{1161}", Refusal::Character('\u{1100}')),
            (" mira", Refusal::Space),
            ("mira\u{3000}", Refusal::Space),
            ("דוד@example.com", Refusal::Direction),
            ("1א", Refusal::Direction),
            ("א-", Refusal::Direction),
            ("א1٢", Refusal::Direction),
        ] {
            assert_eq!(strict(name), Err(refusal), "{name:?}");
            assert_eq!(check_user_name(name, Profile::Compat), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn res_16_i18n_03_a_name_of_blanks_alone_is_as_good_as_empty() {
        for name in ["", " ", "   ", "\u{A0}", "\u{3000} ", "\u{2028}", "\u{200B}\u{FEFF}", "\u{AD} \u{2060}"] {
            for profile in [Profile::Compat, Profile::Strict] {
                assert_eq!(check_user_name(name, profile), Err(Refusal::Blank), "{name:?}");
            }
        }
        assert_eq!(check_user_name(" mira ", Profile::Compat), Ok(()));
    }

    #[test]
    fn i18n_03_control_characters_have_no_place_in_any_name_or_password() {
        for text in ["a\u{7}b", "a\nb", "\u{7F}", "a\u{85}"] {
            for profile in [Profile::Compat, Profile::Strict] {
                assert!(matches!(check_user_name(text, profile), Err(Refusal::Character(_))), "{text:?}");
                assert!(matches!(opaque_string(text, profile), Err(Refusal::Character(_))), "{text:?}");
            }
        }
    }

    /// The examples of RFC 8265 §4.3.
    #[test]
    fn i18n_01_passwords_keep_case_and_width_and_differ_by_neither_keyboard_nor_spaces() {
        let strict = |text| opaque_string(text, Profile::Strict);
        assert_eq!(strict("correct horse battery staple").as_deref(), Ok("correct horse battery staple"));
        assert_ne!(strict("Correct Horse Battery Staple"), strict("correct horse battery staple"));
        assert_eq!(strict("πß\u{61}\u{30A}").as_deref(), Ok("πßå"));
        assert_eq!(strict("Jack of ♦s").as_deref(), Ok("Jack of ♦s"));
        assert_eq!(strict("foo\u{1680}bar\u{A0}").as_deref(), Ok("foo bar "));
        assert_eq!(strict("ＡＢ🤷").as_deref(), Ok("ＡＢ🤷"));
        assert_eq!(strict("my cat is a \u{9}by"), Err(Refusal::Character('\u{9}')));
        assert_eq!(strict("a\u{200B}"), Err(Refusal::Character('\u{200B}')));
        assert_eq!(strict("\u{387}"), Err(Refusal::Character('\u{B7}')));
        assert_eq!(opaque_string("❤\u{FE0F}", Profile::Compat).as_deref(), Ok("❤\u{FE0F}"));
    }

    proptest! {
        #[test]
        fn i18n_01_what_is_prepared_stays_as_it_is(text in "\\PC{0,12}") {
            if let Ok(once) = opaque_string(&text, Profile::Strict) {
                prop_assert_eq!(opaque_string(&once, Profile::Strict), Ok(once));
            }
            let _ = strict(&text);
        }

        #[test]
        fn i18n_01_strict_takes_no_name_that_compat_refuses(text in ".{0,12}") {
            prop_assert!(strict(&text).is_err() || check_user_name(&text, Profile::Compat).is_ok());
        }
    }
}
