//! What must be unique within a tenant and a resource type, as one text for the unique index.

use sha2::{Digest, Sha256};

use super::tenants::GroupNames;
use crate::scim::key::Key;
use crate::scim::resource::Document;
use crate::scim::schema::{GROUP_URN, ResourceType, Uniqueness};

/// The longest key that is kept as it is; PostgreSQL indexes 2.7 kB at most.
const LONGEST_PLAIN_KEY: usize = 256;

/// The key of the value that no other live resource may have; `None` if nothing about the resource is unique.
pub fn unique_key(resource_type: &ResourceType, document: &Document, group_names: GroupNames) -> Option<String> {
    if resource_type.schema.id == GROUP_URN {
        return group_key(document, group_names);
    }
    let attributes = resource_type.schema.attributes.iter();
    let unique = attributes.into_iter().find(|attribute| attribute.uniqueness != Uniqueness::None)?;
    let value = document.members().get(&unique.name)?;
    Key::of(unique, value).map(|key| bounded(key.into_string()))
}

fn group_key(document: &Document, group_names: GroupNames) -> Option<String> {
    let name = Key::folded(document.text("displayName").unwrap_or_default()).into_string();
    match group_names {
        GroupNames::Free => None,
        GroupNames::Unique => Some(bounded(name)),
        GroupNames::ByExternalId => {
            let external_id = document.text("externalId").unwrap_or_default();
            Some(bounded(format!("{name}\u{1f}{external_id}")))
        }
    }
}

fn bounded(key: String) -> String {
    if key.chars().count() <= LONGEST_PLAIN_KEY {
        return key;
    }
    let head: String = key.chars().take(LONGEST_PLAIN_KEY).collect();
    let digest: String = Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{head}\u{1f}{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::Registry;

    fn key(resource_type: &str, json: &str, group_names: GroupNames) -> Option<String> {
        let resource_type = Registry::builtin().resource_type(resource_type).expect("a built-in type");
        unique_key(resource_type, &Document::from_json(json).expect("a document"), group_names)
    }

    #[test]
    fn usr_02_user_names_are_unique_without_case() {
        let key = |json| key("User", json, GroupNames::ByExternalId);
        assert_eq!(key(r#"{"userName":"Bjensen"}"#), key(r#"{"userName":"bJENSEN"}"#));
        assert_ne!(key(r#"{"userName":"a"}"#), key(r#"{"userName":"b"}"#));
        assert_eq!(key(r#"{"userName":"bjensen"}"#), key(r#"{"userName":"ＢＪｅｎｓｅｎ"}"#));
        assert_eq!(key(r#"{"userName":"ガ"}"#), key(r#"{"userName":"ｶﾞ"}"#));
    }

    #[test]
    fn grp_08_equal_group_names_need_different_external_ids() {
        let by = |json| key("Group", json, GroupNames::ByExternalId);
        assert_eq!(by(r#"{"displayName":"Team"}"#), by(r#"{"displayName":"TEAM"}"#));
        assert_ne!(by(r#"{"displayName":"Team","externalId":"1"}"#), by(r#"{"displayName":"Team","externalId":"2"}"#));
        assert_ne!(by(r#"{"displayName":"Team","externalId":"1"}"#), by(r#"{"displayName":"Team"}"#));
        let unique = |json| key("Group", json, GroupNames::Unique);
        assert_eq!(unique(r#"{"displayName":"Team","externalId":"1"}"#), unique(r#"{"displayName":"team"}"#));
        assert_eq!(key("Group", r#"{"displayName":"Team"}"#, GroupNames::Free), None);
    }

    #[test]
    fn long_keys_stay_distinct_and_short_enough_for_the_index() {
        let name = |last: &str| format!(r#"{{"userName":"{}{last}"}}"#, "é".repeat(2000));
        let (one, other) = (key("User", &name("1"), GroupNames::Free), key("User", &name("2"), GroupNames::Free));
        assert_ne!(one, other);
        assert!(one.is_some_and(|key| key.len() < 1200));
    }
}
