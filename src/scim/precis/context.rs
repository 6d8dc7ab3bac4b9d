//! Characters that are legal in some places only: joiners, and punctuation of one script (RFC 8264 §9.8, RFC 5892
//! appendix A).

use icu_properties::CodePointMapData;
use icu_properties::props::{CanonicalCombiningClass, JoiningType, Script};

/// What the rules ask of the text as a whole, looked up once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    is_east_asian: bool,
    has_arabic_indic_digit: bool,
    has_extended_digit: bool,
}

impl Whole {
    pub(super) fn of(text: &str) -> Whole {
        // None of what is asked for is ASCII, and nearly every text is.
        let has = |test: fn(char) -> bool| !text.is_ascii() && text.chars().any(test);
        Whole {
            is_east_asian: has(|c| [Script::Hiragana, Script::Katakana, Script::Han].contains(&script(c))),
            has_arabic_indic_digit: has(|c| ('\u{660}'..='\u{669}').contains(&c)),
            has_extended_digit: has(|c| ('\u{6F0}'..='\u{6F9}').contains(&c)),
        }
    }
}

/// Whether the character, which stands at that offset, may stand there.
pub(super) fn allows(text: &str, at: usize, c: char, whole: Whole) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at + c.len_utf8()..].chars().next();
    match c {
        '\u{200C}' => before.is_some_and(is_virama) || joins(text, at, c),
        '\u{200D}' => before.is_some_and(is_virama),
        // The Catalan l·l.
        '\u{B7}' => before == Some('l') && after == Some('l'),
        '\u{375}' => after.is_some_and(|after| script(after) == Script::Greek),
        '\u{5F3}' | '\u{5F4}' => before.is_some_and(|before| script(before) == Script::Hebrew),
        '\u{30FB}' => whole.is_east_asian,
        '\u{660}'..='\u{669}' => !whole.has_extended_digit,
        '\u{6F0}'..='\u{6F9}' => !whole.has_arabic_indic_digit,
        _ => false,
    }
}

/// Whether the letters around a ZERO WIDTH NON-JOINER would join without it.
fn joins(text: &str, at: usize, c: char) -> bool {
    let is_opaque = |c: &char| joining_type(*c) != JoiningType::Transparent;
    let before = text[..at].chars().rev().take(LONGEST_RUN).find(is_opaque).map(joining_type);
    let after = text[at + c.len_utf8()..].chars().take(LONGEST_RUN).find(is_opaque).map(joining_type);
    matches!(before, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(after, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

/// Marks on one letter. More are no writing, and a text full of them shall not be read again for each joiner in it.
const LONGEST_RUN: usize = 32;

fn is_virama(c: char) -> bool {
    CodePointMapData::<CanonicalCombiningClass>::new().get(c) == CanonicalCombiningClass::Virama
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

fn joining_type(c: char) -> JoiningType {
    CodePointMapData::<JoiningType>::new().get(c)
}
