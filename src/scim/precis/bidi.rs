//! The bidi rule: whether a word reads the same whichever way its surroundings run (RFC 5893 §2, RFC 8265 §3.3.2).

use icu_properties::CodePointMapData;
use icu_properties::props::BidiClass;

/// Whether the word has no letter that runs right to left, or satisfies the six conditions.
pub(super) fn is_ordered(word: &str) -> bool {
    if word.is_ascii() {
        return true;
    }
    let classes: Vec<BidiClass> = word.chars().map(|c| CodePointMapData::<BidiClass>::new().get(c)).collect();
    if !classes.iter().any(|class| is_right_to_left(*class) || *class == BidiClass::ArabicNumber) {
        return true;
    }
    match classes.first() {
        Some(first) if is_right_to_left(*first) => is_right_to_left_word(&classes),
        Some(&BidiClass::LeftToRight) => is_left_to_right_word(&classes),
        _ => false,
    }
}

fn is_right_to_left(class: BidiClass) -> bool {
    [BidiClass::RightToLeft, BidiClass::ArabicLetter].contains(&class)
}

/// Conditions 2, 3 and 4.
fn is_right_to_left_word(classes: &[BidiClass]) -> bool {
    let is_digit = |class: BidiClass| [BidiClass::EuropeanNumber, BidiClass::ArabicNumber].contains(&class);
    let has = |wanted| classes.contains(&wanted);
    classes.iter().all(|class| is_right_to_left(*class) || is_digit(*class) || is_neutral(*class))
        && last_base(classes).is_some_and(|last| is_right_to_left(last) || is_digit(last))
        && !(has(BidiClass::EuropeanNumber) && has(BidiClass::ArabicNumber))
}

/// Conditions 5 and 6.
fn is_left_to_right_word(classes: &[BidiClass]) -> bool {
    let is_base = |class: BidiClass| [BidiClass::LeftToRight, BidiClass::EuropeanNumber].contains(&class);
    classes.iter().all(|class| is_base(*class) || is_neutral(*class)) && last_base(classes).is_some_and(is_base)
}

fn is_neutral(class: BidiClass) -> bool {
    [
        BidiClass::EuropeanSeparator,
        BidiClass::CommonSeparator,
        BidiClass::EuropeanTerminator,
        BidiClass::OtherNeutral,
        BidiClass::BoundaryNeutral,
        BidiClass::NonspacingMark,
    ]
    .contains(&class)
}

/// The last character that is no mark on another one.
fn last_base(classes: &[BidiClass]) -> Option<BidiClass> {
    classes.iter().rev().copied().find(|class| *class != BidiClass::NonspacingMark)
}
