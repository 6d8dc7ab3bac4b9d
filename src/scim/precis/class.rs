//! The two string classes of PRECIS, derived from the properties of a code point (RFC 8264 §4, §8, §9). The properties
//! are those of the present Unicode, so that a letter of this year is a letter.

use icu_properties::props::{
    DefaultIgnorableCodePoint, GeneralCategory, HangulSyllableType, JoinControl, NoncharacterCodePoint,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::UnicodeNormalization;

use super::{Refusal, context};

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Letters, digits and the visible part of ASCII.
    Identifier,
    /// Symbols, spaces, punctuation and compatibility characters as well.
    Freeform,
}

/// The derived property of a code point (RFC 8264 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    Valid,
    /// `FREE_PVAL`, `ID_DIS`.
    FreeformOnly,
    /// `CONTEXTJ`, `CONTEXTO`.
    InContext,
    Disallowed,
}

impl Class {
    /// Whether every character of the text is in the class, where it stands.
    pub(super) fn check(self, text: &str) -> Result<(), Refusal> {
        let whole = context::Whole::of(text);
        for (at, c) in text.char_indices() {
            let is_allowed = match property(c) {
                Property::Valid => true,
                Property::FreeformOnly => self == Class::Freeform,
                Property::InContext => context::allows(text, at, c, whole),
                Property::Disallowed => false,
            };
            if !is_allowed {
                return Err(Refusal::Character(c));
            }
        }
        Ok(())
    }
}

/// `Zs`, the spaces of every script (RFC 8264 §9.14).
pub(super) fn is_space(c: char) -> bool {
    category(c) == GeneralCategory::SpaceSeparator
}

/// Whether nobody sees it: spaces, line breaks, and what is there to be ignored.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_ignorable(c)
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

/// In the order of RFC 8264 §8.
fn property(c: char) -> Property {
    if let Some(property) = exception(c) {
        return property;
    }
    let category = category(c);
    if c.is_ascii_graphic() {
        return Property::Valid;
    }
    if CodePointSetData::new::<JoinControl>().contains(c) {
        return Property::InContext;
    }
    if is_old_hangul_jamo(c) || is_ignorable(c) || has_no_use(category) {
        return Property::Disallowed;
    }
    if has_compat(c) {
        return Property::FreeformOnly;
    }
    if is_letter_or_digit(category) { Property::Valid } else { Property::FreeformOnly }
}

/// RFC 8264 §9.6, which is RFC 5892 §2.6.
fn exception(c: char) -> Option<Property> {
    match c {
        'ß' | 'ς' | '\u{6FD}' | '\u{6FE}' | '\u{F0B}' | '\u{3007}' => Some(Property::Valid),
        '\u{B7}' | '\u{375}' | '\u{5F3}' | '\u{5F4}' | '\u{30FB}' => Some(Property::InContext),
        '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}' => Some(Property::InContext),
        '\u{640}' | '\u{7FA}' | '\u{302E}' | '\u{302F}' | '\u{3031}'..='\u{3035}' | '\u{303B}' => {
            Some(Property::Disallowed)
        }
        _ => None,
    }
}

/// RFC 8264 §9.9.
fn is_old_hangul_jamo(c: char) -> bool {
    let kind = CodePointMapData::<HangulSyllableType>::new().get(c);
    [HangulSyllableType::LeadingJamo, HangulSyllableType::VowelJamo, HangulSyllableType::TrailingJamo].contains(&kind)
}

/// RFC 8264 §9.13.
fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointSetData::new::<NoncharacterCodePoint>().contains(c)
}

/// Controls, unassigned code points, and those that no rule of RFC 8264 §8 names.
fn has_no_use(category: GeneralCategory) -> bool {
    use GeneralCategory as Gc;
    matches!(
        category,
        Gc::Control
            | Gc::Unassigned
            | Gc::Format
            | Gc::PrivateUse
            | Gc::Surrogate
            | Gc::LineSeparator
            | Gc::ParagraphSeparator
    )
}

/// RFC 8264 §9.17.
fn has_compat(c: char) -> bool {
    !std::iter::once(c).nfkc().eq([c])
}

/// RFC 8264 §9.1.
fn is_letter_or_digit(category: GeneralCategory) -> bool {
    use GeneralCategory as Gc;
    matches!(
        category,
        Gc::LowercaseLetter
            | Gc::UppercaseLetter
            | Gc::OtherLetter
            | Gc::DecimalNumber
            | Gc::ModifierLetter
            | Gc::NonspacingMark
            | Gc::SpacingMark
    )
}
