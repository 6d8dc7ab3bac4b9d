//! What must be unique within a tenant and a resource type (CHAR-11).
//!
//! Most types have one such attribute: its key stands in the row of the resource, and a unique index holds it. Further
//! ones have a row each in `unique_values`, whose primary key does the same. The database is the judge of both.

use std::collections::{BTreeSet, HashMap};

use diesel::sql_types::{BigInt, Text};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Connection;
use super::error::unique;
use super::sql::Sql;
use super::statement::{OnConflict, delete_rows, insert_rows};
use super::tenants::GroupNames;
use crate::scim::Result;
use crate::scim::key::Key;
use crate::scim::resource::Document;
use crate::scim::schema::{GROUP_URN, Resolved, ResourceType, Returned};

/// The longest key that is kept as it is; PostgreSQL indexes 2.7 kB at most.
const LONGEST_PLAIN_KEY: usize = 256;

/// The key of the value that no other live resource may have; `None` if nothing about the resource is unique.
pub fn unique_key(resource_type: &ResourceType, document: &Document, group_names: GroupNames) -> Option<String> {
    if resource_type.schema.id == GROUP_URN {
        return group_key(document, group_names);
    }
    let attribute = main_attribute(resource_type)?;
    document.get(attribute).and_then(|value| key_of(attribute, value))
}

/// The attribute whose key stands in the row: the first unique one of the base schema with one value. Groups have their
/// own rule instead.
fn main_attribute(resource_type: &ResourceType) -> Option<Resolved> {
    if resource_type.schema.id == GROUP_URN {
        return None;
    }
    let is_main =
        |unique: &&Resolved| !unique.extension && unique.sub_attribute.is_none() && !unique.attribute.multi_valued;
    resource_type.unique.iter().find(is_main).copied()
}

/// What stands in the row of the one live user with this name, if the attribute is that name. Of a type of one's own the row
/// does not tell which attribute its key was made of, and the schema may have changed since.
pub(super) fn own_key(resource_type: &ResourceType, attribute: Resolved, key: &Key) -> Option<String> {
    let is_name = attribute.is_user_name() && main_attribute(resource_type)? == attribute;
    is_name.then(|| bounded(key.as_str().to_owned()))
}

fn key_of(attribute: Resolved, value: &Value) -> Option<String> {
    Key::of_stored(attribute.leaf(), value).map(|key| bounded(key.into_string()))
}

/// The values of the further unique attributes of a document, each once, in an order that all writers share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UniqueValues(BTreeSet<(&'static str, String)>);

impl UniqueValues {
    /// Those of a document.
    pub fn of(resource_type: &ResourceType, document: &Document) -> UniqueValues {
        let main = main_attribute(resource_type);
        let mut values = BTreeSet::new();
        for attribute in resource_type.unique.iter().copied().filter(|attribute| Some(*attribute) != main) {
            let Some(whole) = document.get(attribute) else { continue };
            for element in each(whole) {
                let part = attribute.sub_attribute.map_or(Some(element), |part| element.get(&part.name));
                let keys = part.into_iter().flat_map(each).filter_map(|value| key_of(attribute, value));
                values.extend(keys.map(|key| (attribute.index_path(), key)));
            }
        }
        UniqueValues(values)
    }

    /// Those that are in both.
    pub fn common(&self, other: &UniqueValues) -> UniqueValues {
        UniqueValues(self.0.intersection(&other.0).cloned().collect())
    }

    /// The index path and the key of each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(path, key)| (*path, key.as_str()))
    }
}

fn each(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        single => std::slice::from_ref(single),
    }
}

/// What no two live resources of a type may share: the path of the attribute, empty for the row's own key, and the key.
pub type Claim = (&'static str, String);

/// Everything that a live resource with this document holds.
pub fn claims(resource_type: &ResourceType, document: &Document, group_names: GroupNames) -> Vec<Claim> {
    let own = unique_key(resource_type, document, group_names).map(|key| ("", key));
    own.into_iter().chain(UniqueValues::of(resource_type, document).0).collect()
}

/// The top-level names of the attributes that decide what a resource holds.
pub fn deciding(resource_type: &ResourceType) -> Vec<(Option<&str>, &str)> {
    if resource_type.schema.id == GROUP_URN {
        return vec![(None, "displayName"), (None, "externalId")];
    }
    resource_type.unique.iter().map(|unique| (unique.container(), unique.attribute.name.as_str())).collect()
}

/// The ids of the live resources that hold these.
///
/// # Errors
/// Database failures.
pub fn holders(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &ResourceType,
    claims: &[Claim],
) -> Result<HashMap<Claim, String>> {
    let mut by_path: HashMap<&'static str, Vec<&str>> = HashMap::new();
    for (path, key) in claims {
        by_path.entry(path).or_default().push(key);
    }
    let mut holders = HashMap::new();
    for (path, keys) in by_path {
        for chunk in keys.chunks(CHUNK) {
            let statement = if path.is_empty() { own_holders() } else { further_holders(path) };
            let statement = statement
                .push(" AND r.tenant_id = ")
                .bind(tenant_id)
                .push(" AND r.resource_type = ")
                .bind(resource_type.name.as_str())
                .push(if path.is_empty() { " AND r.unique_key IN (" } else { " AND u.key IN (" })
                .bind_list(chunk.iter().copied())
                .push(")")
                .uncached();
            let rows: Vec<(String, String)> = statement.load(connection)?;
            holders.extend(rows.into_iter().map(|(key, id)| ((path, key), id)));
        }
    }
    Ok(holders)
}

fn own_holders() -> Sql<(Text, Text)> {
    Sql::new("SELECT r.unique_key, r.id FROM resources r WHERE r.deleted_at IS NULL")
}

fn further_holders(path: &'static str) -> Sql<(Text, Text)> {
    let statement = Sql::new(
        "SELECT u.key, r.id FROM unique_values u JOIN resources r ON r.row_id = u.row_id \
         AND r.tenant_id = u.tenant_id AND r.resource_type = u.resource_type WHERE u.path = ",
    );
    statement.bind(path)
}

/// How many values one statement carries.
const CHUNK: usize = 500;

/// Writes the difference between two states of a resource; none before is a new one, none after one that is gone.
///
/// # Errors
/// `uniqueness`, naming the attribute, if another live resource holds a value; database failures.
pub fn replace(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &ResourceType,
    row_id: i64,
    old: &UniqueValues,
    new: &UniqueValues,
) -> Result<()> {
    let name = resource_type.name.as_str();
    let gone = old.0.difference(&new.0);
    let gone =
        gone.map(|(path, key)| [tenant_id.into(), name.into(), (*path).into(), key.as_str().into(), row_id.into()]);
    delete_rows(connection, TABLE, ["tenant_id", "resource_type", "path", "key", "row_id"], gone)?;
    // One attribute a statement: a refusal has to name it.
    for attribute in &resource_type.unique {
        let path = attribute.index_path();
        let added = new.0.difference(&old.0).filter(|(of, _)| *of == path);
        let rows =
            added.map(|(_, key)| [tenant_id.into(), name.into(), path.into(), key.as_str().into(), row_id.into()]);
        insert_rows(connection, TABLE, ["tenant_id", "resource_type", "path", "key", "row_id"], rows, OnConflict::Fail)
            .map_err(unique(format!("A value of {attribute} is already in use.")))?;
    }
    Ok(())
}

const TABLE: &str = "unique_values";

/// Those of a resource's further unique values that stand under its row.
///
/// # Errors
/// Database failures.
pub(super) fn find(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &ResourceType,
    row_id: i64,
    values: &UniqueValues,
) -> Result<UniqueValues> {
    let mut found = BTreeSet::new();
    for (path, key) in &values.0 {
        let statement: Sql<BigInt> = Sql::new("SELECT u.row_id FROM unique_values u WHERE u.tenant_id = ");
        let statement = statement
            .bind(tenant_id)
            .push(" AND u.resource_type = ")
            .bind(resource_type.name.as_str())
            .push(" AND u.path = ")
            .bind(*path)
            .push(" AND u.key = ")
            .bind(key.as_str());
        if statement.load::<i64>(connection)?.contains(&row_id) {
            found.insert((*path, key.clone()));
        }
    }
    Ok(UniqueValues(found))
}

/// A row of `unique_values`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UniqueKey {
    pub tenant_id: i64,
    pub resource_type: String,
    pub path: String,
    pub key: String,
    pub row_id: i64,
}

/// The next rows of `unique_values` in the order of their key, after this one or from the first.
///
/// # Errors
/// Database failures.
pub(super) fn rows_after(connection: &mut Connection, after: Option<&UniqueKey>, limit: i64) -> Result<Vec<UniqueKey>> {
    let mut statement: Sql<(BigInt, Text, Text, Text, BigInt)> =
        Sql::new("SELECT u.tenant_id, u.resource_type, u.path, u.key, u.row_id FROM unique_values u");
    if let Some(after) = after {
        let UniqueKey { tenant_id, resource_type, path, key, .. } = after;
        statement = statement.push(" WHERE (u.tenant_id, u.resource_type, u.path, u.key) > (").bind(*tenant_id);
        statement = statement.push(", ").bind_list([resource_type.as_str(), path.as_str(), key.as_str()]).push(")");
    }
    let statement = statement.push(" ORDER BY u.tenant_id, u.resource_type, u.path, u.key LIMIT 0 + ").bind(limit);
    let rows: Vec<(i64, String, String, String, i64)> = statement.load(connection)?;
    let row = |(tenant_id, resource_type, path, key, row_id)| UniqueKey { tenant_id, resource_type, path, key, row_id };
    Ok(rows.into_iter().map(row).collect())
}

/// Takes such a row away.
pub(super) fn deletion(row: &UniqueKey) -> Sql {
    let statement = Sql::new("DELETE FROM unique_values WHERE tenant_id = ").bind(row.tenant_id);
    let statement = statement.push(" AND resource_type = ").bind(row.resource_type.as_str());
    let statement = statement.push(" AND path = ").bind(row.path.as_str()).push(" AND key = ").bind(row.key.as_str());
    statement.push(" AND row_id = ").bind(row.row_id)
}

/// The sentence for a value of the row's own key that another live resource holds.
pub fn refusal(resource_type: &ResourceType, document: &Document) -> String {
    if resource_type.schema.id == GROUP_URN {
        let name = document.text("displayName").unwrap_or_default();
        return format!("displayName '{name}' is already in use.");
    }
    let Some(attribute) = main_attribute(resource_type) else {
        return "A unique value is already in use.".to_owned();
    };
    match document.get(attribute) {
        Some(Value::String(value)) if attribute.attribute.returned != Returned::Never => {
            format!("{attribute} '{value}' is already in use.")
        }
        _ => format!("The value of {attribute} is already in use."),
    }
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
