//! The element that the filter of a path describes: what it must be like to be selected (rows A9, A11, P7, T-07).

use serde_json::Value;

use crate::scim::Profile;
use crate::scim::accept;
use crate::scim::filter::{Filter, Operator};
use crate::scim::schema::{Attribute, Resolved, Role};

/// What a filter says about the element that it selects, as far as it says it with `eq`.
#[derive(Debug, Default)]
pub(super) struct Equalities {
    /// The parts and the values that they must have.
    pub(super) parts: Vec<(&'static Attribute, Value)>,
    /// Whether that is all the filter says: `eq` terms joined by `and`. Only then it describes an element that could
    /// be created (T-07).
    pub(super) complete: bool,
}

/// Reads the equalities of the filter in `attribute[filter]`.
pub(super) fn equalities(filter: &Filter, attribute: Resolved, profile: Profile) -> Equalities {
    let mut found = Equalities { parts: Vec::new(), complete: true };
    collect(filter, attribute, profile, &mut found);
    found
}

fn collect(filter: &Filter, attribute: Resolved, profile: Profile, found: &mut Equalities) {
    let term = match filter {
        Filter::And(filters) => {
            return filters.iter().for_each(|filter| collect(filter, attribute, profile, found));
        }
        Filter::Compare(name, Operator::Eq, literal) => {
            let part = attribute.attribute.sub_attribute(&name.text).filter(|part| part.role != Role::Referenced);
            part.and_then(|part| {
                let value = accept::value(attribute.with_sub_attribute(part), literal, profile).ok().flatten()?;
                Some((part, value))
            })
        }
        _ => None,
    };
    match term {
        Some(term) => found.parts.push(term),
        None => found.complete = false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::filter::parse_path;
    use crate::scim::patch::tests::emails;
    use serde_json::json;

    #[test]
    fn t_07_only_equalities_joined_by_and_describe_an_element() {
        let described = |path: &str| {
            let filter = parse_path(path, Profile::Compat).expect(path).filter.expect("a filter");
            equalities(&filter, emails(), Profile::Compat)
        };
        let both = described(r#"emails[type eq "work" and primary eq "True"]"#);
        assert!(both.complete);
        assert_eq!(both.parts.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>(), [json!("work"), json!(true)]);
        let partly = described(r#"emails[type eq "work" and value ew "example.com"]"#);
        assert!(!partly.complete);
        assert_eq!(partly.parts.len(), 1);
        assert!(!described(r#"emails[type eq "work" or type eq "home"]"#).complete);
        assert!(!described(r#"emails[not (type eq "work")]"#).complete);
    }
}
