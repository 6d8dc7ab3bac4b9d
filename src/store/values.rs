//! The search index of a resource: one row per assigned value, rebuilt from the document at any time.
//!
//! The index is one tree, (`tenant_path`, `key`, `row_id`, `element`): it answers a filter by itself, and a row
//! is found again for deletion because the old document tells its whole key.

pub(super) mod beside;

use std::collections::{BTreeSet, HashSet};
use std::ops::RangeInclusive;

use diesel::RunQueryDsl;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Text};
use serde_json::Value;

use super::cell::{Binds, Cell};
use super::connection::{Connection, each_backend};
use super::sql::Sql;
use super::statement::{OnConflict, delete_rows, insert_rows};
use crate::scim::Result;
use crate::scim::key::Key;
use crate::scim::resource::Document;
use crate::scim::schema::{Attribute, Resolved, ResourceType, Returned, Role, path_hash};

/// How many characters of a key the tree holds; the rest stands in `tail`. PostgreSQL indexes 2.7 kB at most, and a
/// character takes up to four bytes.
pub const HEAD_CHARS: usize = 256;

/// How many characters of the tail count when sorting. A cursor holds them, and must fit into a URL: of values that agree
/// in their first 1,024 characters, the resource that was created first comes first.
pub const SORTED_TAIL_CHARS: usize = 768;

/// Where the index has the values of an attribute, by the number of its index path, of the resources of a tenant: both in
/// one number, since each comparison in the tree would look at two, and most rows begin alike.
pub const fn tenant_path(tenant_id: i64, path_hash: i64) -> i64 {
    (tenant_id << PATH_BITS) + path_hash
}

const PATH_BITS: u32 = 31;

/// Where the index has anything of a tenant.
pub fn of_tenant(tenant_id: i64) -> RangeInclusive<i64> {
    tenant_path(tenant_id, 0)..=tenant_path(tenant_id, (1 << PATH_BITS) - 1)
}

/// Whether a row of the index is of a tenant.
pub(super) fn is_of_tenant(tenant_id: i64) -> Sql {
    let (first, last) = of_tenant(tenant_id).into_inner();
    Sql::new("tenant_path BETWEEN ").bind(first).push(" AND ").bind(last)
}

/// Whose values, and of which index path, the index has there.
pub(super) fn tenant_and_path_hash(tenant_path: i64) -> (i64, i64) {
    (tenant_path >> PATH_BITS, tenant_path & ((1 << PATH_BITS) - 1))
}

/// One value of a resource in the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexedValue {
    /// The number of the attribute's index path.
    pub path_hash: i64,
    /// The first [`HEAD_CHARS`] characters of the key.
    pub head: String,
    /// What follows them.
    pub tail: String,
    /// Which element of a multi-valued attribute, the primary one first; 0 for singular attributes.
    pub element: i64,
}

/// Every value of a document.
pub fn indexed_values(resource_type: &'static ResourceType, document: &Document) -> BTreeSet<IndexedValue> {
    let mut values = BTreeSet::new();
    index_schemas(&document.schemas(resource_type), &mut values);
    let assigned: Vec<&str> = document.members().keys().map(String::as_str).collect();
    for attribute in searched_attributes(resource_type, &assigned) {
        index_attribute(attribute, document.get(attribute), &mut values);
    }
    values
}

/// The values of two states of a document, without those of attributes that are the same in both: no key is made of them.
pub fn differing_values(
    resource_type: &'static ResourceType,
    before: &Document,
    after: &Document,
) -> [BTreeSet<IndexedValue>; 2] {
    let [mut old, mut new] = [BTreeSet::new(), BTreeSet::new()];
    let differing = differing_members(before, after);
    if resource_type.extensions.iter().any(|extension| differing.contains(&extension.schema.id.as_str())) {
        let schemas = [before, after].map(|document| document.schemas(resource_type));
        if schemas[0] != schemas[1] {
            index_schemas(&schemas[0], &mut old);
            index_schemas(&schemas[1], &mut new);
        }
    }
    for attribute in searched_attributes(resource_type, &differing) {
        let [before, after] = [before, after].map(|document| document.get(attribute));
        if before != after {
            index_attribute(attribute, before, &mut old);
            index_attribute(attribute, after, &mut new);
        }
    }
    [old, new]
}

/// The names of the top-level members, containers of extensions among them, that are not the same in both.
fn differing_members<'a>(before: &'a Document, after: &'a Document) -> Vec<&'a str> {
    let [before, after] = [before, after].map(Document::members);
    let differing = before.iter().filter(|(name, value)| after.get(*name) != Some(*value));
    let new = after.iter().filter(|(name, _)| !before.contains_key(*name));
    differing.chain(new).map(|(name, _)| name.as_str()).collect()
}

/// The attributes that are searched for, of these members of a document.
fn searched_attributes(resource_type: &'static ResourceType, members: &[&str]) -> impl Iterator<Item = Resolved> {
    let is_among =
        move |attribute: &Resolved| members.contains(&attribute.container().unwrap_or(&attribute.attribute.name));
    let is_searched =
        move |attribute: &Resolved| attribute.attribute.returned != Returned::Never && is_among(attribute);
    resource_type.stored_attributes().filter(is_searched)
}

/// The extensions of resources.
const SCHEMAS: i64 = path_hash("schemas");

/// What resources show to others of themselves, `displayName`.
pub(super) const DISPLAY_NAME: i64 = path_hash("displayname");

fn index_schemas(schemas: &[String], values: &mut BTreeSet<IndexedValue>) {
    for (element, urn) in schemas.iter().skip(1).enumerate() {
        values.insert(indexed(SCHEMAS, Key::of_text_exactly(urn), element));
    }
}

fn index_attribute(attribute: Resolved, value: Option<&Value>, values: &mut BTreeSet<IndexedValue>) {
    match value {
        Some(Value::Array(elements)) => {
            for (element, value) in primary_first(elements).enumerate() {
                index_value(attribute.attribute, value, element, values);
            }
        }
        Some(value) => index_value(attribute.attribute, value, 0, values),
        None => {}
    }
}

/// Elements in the order in which they count: sorting looks at the primary one, else the first (SORT-04).
fn primary_first(elements: &[Value]) -> impl Iterator<Item = &Value> {
    let is_primary = |element: &&Value| element.get("primary") == Some(&Value::Bool(true));
    let primary = elements.iter().filter(is_primary);
    primary.chain(elements.iter().filter(move |element| !is_primary(element)))
}

fn index_value(attribute: &'static Attribute, value: &Value, element: usize, values: &mut BTreeSet<IndexedValue>) {
    if attribute.is_complex() {
        let is_searched = |part: &&'static Attribute| part.role == Role::Stored && part.returned != Returned::Never;
        for part in attribute.sub_attributes.iter().filter(is_searched) {
            let part_values = value.get(&part.name).map(each_value).unwrap_or_default();
            for value in part_values {
                index_value(part, value, element, values);
            }
            let first = part_values.first().filter(|_| part.multi_valued && element == 0);
            if let Some(key) = first.and_then(|first| Key::of_stored(part, first)) {
                values.insert(indexed(sort_hash(part), key, element));
            }
        }
        return;
    }
    if let Some(key) = Key::of_stored(attribute, value) {
        values.insert(indexed(attribute.path_hash, key, element));
    }
}

/// The number of the path under which the value that sorting looks at is found, in element 0.
pub fn sort_hash(attribute: &Attribute) -> i64 {
    if attribute.multi_valued { path_hash(&attribute.sort_path()) } else { attribute.path_hash }
}

/// The value that sorting by this path looks at, as long as it counts.
pub fn sort_key(resource_type: &'static ResourceType, document: &Document, path_hash: i64) -> Option<String> {
    if has_other_values(resource_type, path_hash) {
        return None;
    }
    let values = indexed_values(resource_type, document);
    let value = values.into_iter().find(|value| value.element == 0 && value.path_hash == path_hash)?;
    Some(value.head + sorted_tail(&value.tail))
}

/// What of a long value counts behind its head when sorting: the first characters.
fn sorted_tail(tail: &str) -> &str {
    tail.char_indices().nth(SORTED_TAIL_CHARS).map_or(tail, |(end, _)| &tail[..end])
}

/// Whether resources of the type may have values under a path that is sorted by.
pub fn sorts_by(resource_type: &'static ResourceType, path_hash: i64) -> bool {
    stored_attributes_and_parts(resource_type).any(|attribute| sort_hash(attribute) == path_hash)
}

/// Whether resources of the type may have values under a path that sorting looks at for other types alone: each of many
/// values, where those have one. Among those, they count as resources without a value (SORT-07).
pub fn has_other_values(resource_type: &'static ResourceType, path_hash: i64) -> bool {
    stored_attributes_and_parts(resource_type)
        .any(|attribute| attribute.path_hash == path_hash && sort_hash(attribute) != path_hash)
}

fn stored_attributes_and_parts(resource_type: &'static ResourceType) -> impl Iterator<Item = &'static Attribute> {
    let whole = resource_type.stored_attributes().map(|whole| whole.attribute);
    whole.flat_map(|whole| whole.sub_attributes.iter().chain([whole]))
}

fn each_value(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        single => std::slice::from_ref(single),
    }
}

fn indexed(path_hash: i64, key: Key, element: usize) -> IndexedValue {
    let mut head = key.into_string();
    let tail = head.split_off(split(&head).0.len());
    let element = i64::try_from(element).expect("a document has fewer than 2^63 elements");
    IndexedValue { path_hash, head, tail, element }
}

/// A key as the tree holds it: the head, and what follows.
pub fn split(key: &str) -> (&str, &str) {
    match key.char_indices().nth(HEAD_CHARS) {
        Some((end, _)) => key.split_at(end),
        None => (key, ""),
    }
}

/// What the index has of one resource where these values should be: under their paths, keys and elements.
///
/// # Errors
/// Database failures.
pub fn find<'a>(
    connection: &mut Connection,
    tenant_id: i64,
    row_id: i64,
    values: impl IntoIterator<Item = &'a IndexedValue>,
) -> Result<BTreeSet<IndexedValue>> {
    let mut values = values.into_iter().peekable();
    let mut found = BTreeSet::new();
    while values.peek().is_some() {
        let mut statement: Sql<(BigInt, Text, Text, BigInt)> =
            Sql::new("SELECT v.tenant_path, v.key, v.tail, v.element FROM resource_values v WHERE ").uncached();
        for (index, value) in values.by_ref().take(AT_ONCE).enumerate() {
            statement = statement.push(if index == 0 { "(" } else { " OR (" }).push("v.tenant_path = ");
            statement = statement.bind(tenant_path(tenant_id, value.path_hash));
            statement = statement.push(" AND v.key = ").bind(value.head.as_str());
            statement = statement.push(" AND v.row_id = ").bind(row_id).push(" AND v.element = ").bind(value.element);
            statement = statement.push(")");
        }
        let rows: Vec<(i64, String, String, i64)> = statement.load(connection)?;
        let value = |(tenant_path, head, tail, element)| {
            let (_, path_hash) = tenant_and_path_hash(tenant_path);
            IndexedValue { path_hash, head, tail, element }
        };
        found.extend(rows.into_iter().map(value));
    }
    Ok(found)
}

/// Alternatives of one condition; SQLite nests them, and not without limit.
const AT_ONCE: usize = 50;

/// Puts values of one resource into the index.
///
/// # Errors
/// Database failures.
pub fn insert<'a>(
    connection: &mut Connection,
    tenant_id: i64,
    row_id: i64,
    values: impl IntoIterator<Item = &'a IndexedValue>,
) -> Result<()> {
    insert_all(connection, tenant_id, values.into_iter().map(|value| (row_id, value)))
}

/// Puts values of many resources, each with its row, into the index.
///
/// # Errors
/// Database failures.
pub fn insert_all<'a>(
    connection: &mut Connection,
    tenant_id: i64,
    values: impl IntoIterator<Item = (i64, &'a IndexedValue)>,
) -> Result<()> {
    let (short, long): (Vec<_>, Vec<_>) = values.into_iter().partition(|(_, value)| value.tail.is_empty());
    let short = short.into_iter().map(|(row_id, value)| key_of(tenant_id, row_id, value));
    let long = long.into_iter().map(|(row_id, value)| {
        let [tenant_path, key, row_id, element] = key_of(tenant_id, row_id, value);
        [tenant_path, key, row_id, element, value.tail.as_str().into()]
    });
    insert_rows(connection, TABLE, KEY_COLUMNS, short, OnConflict::Fail)?;
    let [tenant_path, key, row_id, element] = KEY_COLUMNS;
    insert_rows(connection, TABLE, [tenant_path, key, row_id, element, "tail"], long, OnConflict::Fail)?;
    Ok(())
}

const TABLE: &str = "resource_values";

const KEY_COLUMNS: [&str; 4] = ["tenant_path", "key", "row_id", "element"];

/// What stands in the columns of the key, in their order: `tenant_path`, `key`, `row_id`, `element`.
pub(super) fn key_of(tenant_id: i64, row_id: i64, value: &IndexedValue) -> [Cell<'_>; 4] {
    let tenant_path = tenant_path(tenant_id, value.path_hash);
    [tenant_path.into(), value.head.as_str().into(), row_id.into(), value.element.into()]
}

/// Takes values of one resource out of the index.
///
/// # Errors
/// Database failures.
pub fn delete<'a>(
    connection: &mut Connection,
    tenant_id: i64,
    row_id: i64,
    values: impl IntoIterator<Item = &'a IndexedValue>,
) -> Result<()> {
    if connection.is_at_hand() {
        for value in values {
            let statement = DeleteValue { tenant_path: tenant_path(tenant_id, value.path_hash), row_id, value };
            each_backend!(connection, c => statement.execute(c))?;
        }
        return Ok(());
    }
    let rows = values.into_iter().map(|value| key_of(tenant_id, row_id, value));
    delete_rows(connection, TABLE, KEY_COLUMNS, rows)?;
    Ok(())
}

/// One row where the database is at hand. A change takes few away, so that the statement is known by its type, and nobody
/// writes its text to find it among those that stay prepared.
struct DeleteValue<'a> {
    tenant_path: i64,
    row_id: i64,
    value: &'a IndexedValue,
}

impl QueryId for DeleteValue<'_> {
    type QueryId = DeleteValue<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<DB: Binds> QueryFragment<DB> for DeleteValue<'_>
where
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let DeleteValue { tenant_path, row_id, value } = self;
        out.push_sql("DELETE FROM resource_values WHERE tenant_path = ");
        out.push_bind_param::<BigInt, _>(tenant_path)?;
        out.push_sql(" AND key = ");
        out.push_bind_param::<Text, str>(&value.head)?;
        out.push_sql(" AND row_id = ");
        out.push_bind_param::<BigInt, _>(row_id)?;
        out.push_sql(" AND element = ");
        out.push_bind_param::<BigInt, _>(&value.element)?;
        Ok(())
    }
}

impl<C> RunQueryDsl<C> for DeleteValue<'_> {}

/// Writes the difference between two states of a resource.
///
/// # Errors
/// Database failures.
pub fn replace(
    connection: &mut Connection,
    tenant_id: i64,
    row_id: i64,
    old: &BTreeSet<IndexedValue>,
    new: &BTreeSet<IndexedValue>,
) -> Result<()> {
    delete(connection, tenant_id, row_id, old.difference(new))?;
    insert(connection, tenant_id, row_id, new.difference(old))
}

/// What a change takes out of the index and puts into it.
#[derive(Debug)]
pub(super) struct Difference {
    gone: Vec<IndexedValue>,
    come: Vec<IndexedValue>,
}

impl Difference {
    /// That between two states of a resource; none before is a new one, none after one that is gone.
    pub(super) fn between(
        resource_type: &'static ResourceType,
        before: Option<&Document>,
        after: Option<&Document>,
    ) -> Difference {
        let all = |document: Option<&Document>| {
            document.map(|document| indexed_values(resource_type, document)).unwrap_or_default()
        };
        let [mut old, mut new] = match (before, after) {
            (Some(before), Some(after)) => differing_values(resource_type, before, after),
            (before, after) => [all(before), all(after)],
        };
        old.retain(|value| !new.remove(value));
        Difference { gone: old.into_iter().collect(), come: new.into_iter().collect() }
    }

    /// What comes.
    pub(super) fn come(&self) -> &[IndexedValue] {
        &self.come
    }

    /// Writes it.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn write(&self, connection: &mut Connection, tenant_id: i64, row_id: i64) -> Result<()> {
        delete(connection, tenant_id, row_id, &self.gone)?;
        insert(connection, tenant_id, row_id, &self.come)
    }

    /// What goes.
    pub(super) fn gone(&self) -> &[IndexedValue] {
        &self.gone
    }

    /// Whether a value takes the place of another one, which two statements at the same time can't bring about.
    pub(super) fn has_successors(&self) -> bool {
        let place = |value: &IndexedValue| (value.path_hash, value.head.clone(), value.element);
        let gone: HashSet<_> = self.gone.iter().map(place).collect();
        self.come.iter().any(|value| gone.contains(&place(value)))
    }

    /// The statements that write it beside another one, at the same time; `None` where it takes its own: where a value
    /// takes the place of another, and where it is so large that the text would hardly come again.
    pub(super) fn beside(&self, tenant_id: i64, row_id: i64) -> Option<Vec<Sql>> {
        let most_gone = if self.come.is_empty() { MOST_OF_ONE } else { MOST_BESIDE };
        let is_large = self.gone.len() > most_gone || self.come.len() > MOST_BESIDE;
        if is_large || self.has_successors() {
            return None;
        }
        let mut statements = Vec::new();
        if !self.gone.is_empty() {
            statements.push(deletion(tenant_id, row_id, &self.gone));
        }
        if !self.come.is_empty() {
            statements.push(insertion(Sql::new("SELECT ").bind(row_id).push(" AS row_id"), tenant_id, &self.come));
        }
        Some(statements)
    }

    /// The statement that puts all of a new resource into the index, whose row `made` gives; `None` where it is too large
    /// for one that is kept.
    pub(super) fn of_made(&self, tenant_id: i64) -> Option<Sql> {
        let fits = !self.come.is_empty() && self.come.len() <= MOST_OF_ONE;
        fits.then(|| insertion(Sql::new("SELECT row_id FROM made"), tenant_id, &self.come))
    }
}

/// How many values go and how many come at most beside another statement: each pair of numbers is a text of its own, which
/// stays prepared.
const MOST_BESIDE: usize = 4;

/// How many values of a resource come or go at most beside its row, when that is made or buried.
const MOST_OF_ONE: usize = 32;

fn deletion(tenant_id: i64, row_id: i64, values: &[IndexedValue]) -> Sql {
    let mut statement = Sql::new("DELETE FROM resource_values WHERE row_id = ").bind(row_id).push(" AND (");
    for (index, value) in values.iter().enumerate() {
        statement = statement.push(if index == 0 { "(tenant_path = " } else { " OR (tenant_path = " });
        statement = statement.bind(tenant_path(tenant_id, value.path_hash));
        statement = statement.push(" AND key = ").bind(value.head.as_str());
        statement = statement.push(" AND element = ").bind(value.element).push(")");
    }
    statement.push(")")
}

/// `row` is what gives the row of the resource.
fn insertion(row: Sql, tenant_id: i64, values: &[IndexedValue]) -> Sql {
    let statement = Sql::new("INSERT INTO resource_values (tenant_path, key, row_id, element, tail) ");
    let statement = statement.push("SELECT v.tenant_path, v.key, r.row_id, v.element, v.tail FROM (").append(row);
    let mut statement = statement.push(") r CROSS JOIN (VALUES ");
    for (index, IndexedValue { path_hash, head, tail, element }) in values.iter().enumerate() {
        statement = statement.push(if index == 0 { "(" } else { ", (" });
        statement = statement.bind(tenant_path(tenant_id, *path_hash)).push(", ");
        statement = statement.bind(head.as_str()).push(", ").bind(*element).push(", ").bind(tail.as_str()).push(")");
    }
    statement.push(") v (tenant_path, key, element, tail)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::Registry;

    fn values_of(json: &str) -> Vec<(String, i64, String)> {
        let user = Registry::builtin().resource_type("User").expect("User is built in");
        let document = Document::from_json(json).expect("a document");
        let mut values: Vec<_> = indexed_values(user, &document)
            .into_iter()
            .map(|value| {
                let path = Registry::builtin().index_path(value.path_hash).expect("a known path");
                (path.to_owned(), value.element, value.head + &value.tail)
            })
            .collect();
        values.sort();
        values
    }

    #[test]
    fn every_assigned_value_has_a_row_the_primary_element_first() {
        let values = values_of(
            r#"{"userName":"Bjensen","active":true,
                "emails":[{"value":"A@x.org"},{"value":"B@x.org","primary":true}]}"#,
        );
        let expected = [
            ("active", 0, "true"),
            ("emails.primary", 0, "true"),
            ("emails.value", 0, "b@x.org"),
            ("emails.value", 1, "a@x.org"),
            ("username", 0, "bjensen"),
        ];
        assert_eq!(values, expected.map(|(path, element, key)| (path.to_owned(), element, key.to_owned())));
    }

    #[test]
    fn a_change_differs_in_what_it_changes() {
        let user = Registry::builtin().resource_type("User").expect("User is built in");
        let urn = crate::scim::schema::ENTERPRISE_URN;
        let states = [
            r#"{"userName":"b","active":true}"#.to_owned(),
            r#"{"userName":"B","active":false,"emails":[{"value":"a@x.org"},{"value":"b@x.org","type":"work"}]}"#
                .to_owned(),
            r#"{"userName":"b","emails":[{"value":"b@x.org","type":"work","primary":true},{"value":"A@x.org"}]}"#
                .to_owned(),
            format!(r#"{{"userName":"c","title":"","{urn}":{{"manager":{{"value":"26"}}}}}}"#),
            format!(r#"{{"userName":"c","{urn}":{{"department":"26"}}}}"#),
        ];
        let documents = states.map(|state| Document::from_json(&state).expect("a document"));

        for before in &documents {
            for after in &documents {
                let [old, new] = [before, after].map(|document| indexed_values(user, document));
                let [gone, come] = differing_values(user, before, after);
                assert_eq!((&gone - &come, &come - &gone), (&old - &new, &new - &old), "{before:?} {after:?}");
                assert_eq!(gone.is_empty() && come.is_empty(), before == after);
            }
        }
    }

    #[test]
    fn flt_31_extensions_in_use_are_indexed() {
        let urn = crate::scim::schema::ENTERPRISE_URN;
        let values = values_of(&format!(r#"{{"userName":"b","{urn}":{{"manager":{{"value":"26"}}}}}}"#));
        assert!(values.contains(&("schemas".to_owned(), 0, urn.to_owned())));
        assert!(values.contains(&(format!("{}:manager.value", urn.to_lowercase()), 0, "26".to_owned())));
    }

    #[test]
    fn long_keys_continue_in_the_tail() {
        let long = "é".repeat(HEAD_CHARS + 3);
        assert_eq!(split(&long), (long[..2 * HEAD_CHARS].as_ref(), "ééé"));
        assert_eq!(split("short"), ("short", ""));
    }
}
