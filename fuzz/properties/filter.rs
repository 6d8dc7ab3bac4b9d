//! A filter: text → tree → text → tree, and what the tree says about a resource.

use scimd::scim::filter::{self, Filter, MAX_DEPTH, MAX_LENGTH, MAX_TERMS};
use scimd::scim::{ErrorKind, Profile};

use super::grammar::is_filter;
use super::{PROFILES, assert_refusal, representations, types};

/// Reads the bytes as a filter, in both profiles and for every type.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let [compat, strict] = PROFILES.map(|profile| filter::parse(text, profile));
    for error in [&compat, &strict].into_iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_refusal(error);
        assert_eq!(error.kind(), ErrorKind::InvalidFilter);
    }
    assert_eq!(strict.is_ok(), is_filter(text), "{strict:?}");
    if let Ok(strict) = &strict {
        assert_eq!(Some(strict), compat.as_ref().ok(), "what the RFC allows means the same under compat");
    }
    if let Ok(filter) = &compat {
        assert_limits(text, filter);
        assert_printed(filter);
        assert_meaning(filter);
    }
}

fn assert_limits(text: &str, filter: &Filter) {
    let (depth, terms) = size(filter);
    assert!(text.len() <= MAX_LENGTH && depth <= MAX_DEPTH && terms <= MAX_TERMS, "{depth} levels, {terms} terms");
}

/// The levels of brackets that the tree cannot do without, and its comparisons.
fn size(filter: &Filter) -> (usize, usize) {
    let of_all = |filters: &[Filter]| {
        filters.iter().map(size).fold((0, 0), |(depth, terms), one| (depth.max(one.0), terms + one.1))
    };
    match filter {
        Filter::And(filters) | Filter::Or(filters) => of_all(filters),
        Filter::Not(inner) | Filter::Element(_, inner) => (size(inner).0 + 1, size(inner).1),
        Filter::Present(_) | Filter::Compare(..) => (0, 1),
    }
}

/// What is printed is a filter of the RFC with the same meaning. It may need more brackets than it came with.
fn assert_printed(filter: &Filter) {
    let printed = filter.to_string();
    match filter::parse(&printed, Profile::Strict) {
        Ok(again) => assert_eq!(&again, filter, "{printed}"),
        Err(error) => {
            let is_too_large = printed.len() > MAX_LENGTH || error.detail().contains("at most");
            assert!(is_too_large, "{printed}: {error}");
        }
    }
}

fn assert_meaning(filter: &Filter) {
    let opposite = Filter::Not(Box::new(filter.clone()));
    for profile in PROFILES {
        for (resource_type, representation) in types().into_iter().zip(representations()) {
            let among = filter::resolve_among(filter, resource_type, &types(), profile);
            let condition = match filter::resolve(filter, resource_type, profile) {
                Ok(condition) => condition,
                Err(error) => {
                    assert_refusal(&error);
                    assert!(matches!(error.kind(), ErrorKind::InvalidFilter | ErrorKind::Sensitive), "{error:?}");
                    continue;
                }
            };
            assert_eq!(among.ok().as_ref(), Some(&condition), "a search of several types asks each the same");
            let opposite = filter::resolve(&opposite, resource_type, profile).expect("its opposite resolves as well");
            let holds = filter::matches(&condition, &representation);
            assert_ne!(holds, filter::matches(&opposite, &representation), "there is no third truth (FLT-27)");
        }
    }
}
