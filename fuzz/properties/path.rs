//! A PATCH path, the name of an attribute, and a list of names.

use scimd::scim::filter;
use scimd::scim::path::{self, Target};
use scimd::scim::projection::Projection;
use scimd::scim::{ErrorKind, Profile};

use super::{PROFILES, assert_refusal, representations, types};

/// Reads the bytes as each of the three.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert_path(text);
    assert_name(text);
    assert_projection(text);
}

fn assert_path(text: &str) {
    for profile in PROFILES {
        let parsed = match filter::parse_path(text, profile) {
            Ok(parsed) => parsed,
            Err(error) => {
                assert_refusal(&error);
                assert!(matches!(error.kind(), ErrorKind::InvalidPath | ErrorKind::InvalidFilter), "{error:?}");
                continue;
            }
        };
        let mut printed = parsed.name.text.clone();
        if let Some(filter) = &parsed.filter {
            printed.push_str(&format!("[{filter}]"));
        }
        if let Some(part) = &parsed.sub_attribute {
            printed.push_str(&format!(".{part}"));
        }
        match filter::parse_path(&printed, Profile::Strict) {
            Ok(again) => assert_eq!(again, parsed, "{printed}"),
            Err(error) => assert!(printed.len() > filter::MAX_LENGTH || error.detail().contains("at most"), "{error}"),
        }
    }
}

fn assert_name(text: &str) {
    for resource_type in types() {
        let resolved = path::resolve(resource_type, text);
        assert_eq!(path::resolve(resource_type, &text.to_ascii_uppercase()), resolved, "case says nothing (RES-04)");
        let printed = match resolved {
            None => continue,
            Some(Target::Attribute(attribute)) => attribute.to_string(),
            Some(Target::Schema(schema)) => schema.id.clone(),
        };
        assert!(path::is_well_formed(text), "what is known is well-formed");
        assert_eq!(path::resolve(resource_type, &printed), resolved, "{printed}");
    }
}

/// What is shown and what is left out are parts of the whole.
fn assert_projection(text: &str) {
    for (resource_type, whole) in types().into_iter().zip(representations()) {
        for (attributes, excluded) in [(Some(text), None), (None, Some(text))] {
            let projection = Projection::parse(resource_type, attributes, excluded).expect("one of the two is legal");
            let shown = projection.apply(whole.clone());
            assert!(shown.contains_key("id") && shown.contains_key("schemas"), "the minimum is always shown");
            assert!(shown.keys().all(|key| whole.contains_key(key)));
            assert_eq!(projection.apply(shown.clone()), shown, "what was taken away is gone");
        }
    }
}
