//! A row of `resources` beside what its document says that it should be.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamp};

use super::flaw::{Column, FlawKind};
use crate::scim::Result;
use crate::scim::group_name;
use crate::scim::resource::Document;
use crate::store::Connection;
use crate::store::audit::Operation;
use crate::store::resources::{Columns, Place, is_group};
use crate::store::sql::Sql;
use crate::store::tenants::GroupNames;
use crate::store::unique::{UniqueKey, UniqueValues, unique_key};
use crate::store::values::{IndexedValue, indexed_values};

/// A resource as it is stored, its derived columns included.
pub(super) struct Row {
    pub row_id: i64,
    pub tenant_id: i64,
    pub id: String,
    pub resource_type: String,
    pub name: Option<String>,
    pub columns: Columns,
    document: String,
    pub is_live: bool,
    version: i64,
    /// Version and operation of the last change of the resource itself that the history has.
    last_change: Option<(i64, String)>,
}

type Tuple = (
    i64,
    i64,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    bool,
    String,
    i64,
    Option<NaiveDateTime>,
    Option<i64>,
    Option<String>,
);

type TupleType = (
    BigInt,
    BigInt,
    Text,
    Text,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Bool,
    Text,
    BigInt,
    Nullable<Timestamp>,
    Nullable<BigInt>,
    Nullable<Text>,
);

impl From<Tuple> for Row {
    fn from(tuple: Tuple) -> Row {
        let (row_id, tenant_id, id, resource_type, name, unique_key, external_id, display_name, active, ..) = tuple;
        let (.., document, version, deleted_at, last_version, last_operation) = tuple;
        Row {
            row_id,
            tenant_id,
            id,
            resource_type,
            name,
            columns: Columns { unique_key, external_id, display_name, active },
            document,
            is_live: deleted_at.is_none(),
            version,
            last_change: last_version.zip(last_operation),
        }
    }
}

/// The rows `r` that a condition selects, and whatever it says of order and locks.
pub(super) fn rows(connection: &mut Connection, condition: Sql) -> Result<Vec<Row>> {
    // The history counts changes of the resource itself; those of its members alone make no version.
    let statement: Sql<TupleType> = Sql::new(
        "SELECT r.row_id, r.tenant_id, r.id, r.resource_type, r.name, r.unique_key, r.external_id, r.display_name, \
         r.active, r.document, r.version, r.deleted_at, \
         (SELECT a.version FROM audit a WHERE a.tenant_id = r.tenant_id AND a.resource_id = r.id AND a.version > 0 \
         ORDER BY a.row_id DESC LIMIT 1), \
         (SELECT a.operation FROM audit a WHERE a.tenant_id = r.tenant_id AND a.resource_id = r.id AND a.version > 0 \
         ORDER BY a.row_id DESC LIMIT 1) FROM resources r WHERE ",
    );
    let tuples: Vec<Tuple> = statement.append(condition).load(connection)?;
    Ok(tuples.into_iter().map(Row::from).collect())
}

impl Row {
    /// The document; `None` if it is none.
    pub fn document(&self) -> Option<Document> {
        Document::from_json(&self.document).ok()
    }

    /// The columns that are not what the document makes them.
    pub fn wrong_columns(&self, place: Place, document: &Document) -> Vec<Column> {
        let due = self.due_columns(place, document);
        let key_fits = match self.is_live {
            true => self.columns.unique_key == due.unique_key,
            false => self.is_former_key(place, document),
        };
        let checks = [
            (Column::UniqueKey, key_fits),
            (Column::Name, !self.is_live || self.name_fits(place, document)),
            (Column::ExternalId, self.columns.external_id == due.external_id),
            (Column::DisplayName, self.columns.display_name == due.display_name),
            (Column::Active, self.columns.active == due.active),
        ];
        checks.into_iter().filter(|(_, fits)| !fits).map(|(column, _)| column).collect()
    }

    /// What the document makes of the columns. Who is buried is not active, whatever the document says.
    pub fn due_columns(&self, place: Place, document: &Document) -> Columns {
        let columns = Columns::of(place, document);
        Columns { active: columns.active && self.is_live, ..columns }
    }

    /// A buried group keeps the key that the rule of its time gave it.
    fn is_former_key(&self, place: Place, document: &Document) -> bool {
        let rules = [GroupNames::ByExternalId, GroupNames::Unique, GroupNames::Free];
        rules.iter().any(|rule| unique_key(place.resource_type, document, *rule) == self.columns.unique_key)
    }

    fn name_fits(&self, place: Place, document: &Document) -> bool {
        let display_name = document.text("displayName").unwrap_or_default();
        match &self.name {
            Some(name) => is_group(place.resource_type) && group_name::is_of(name, display_name),
            None => !is_group(place.resource_type),
        }
    }

    /// The rows of the search index that there should be.
    pub fn due_values(&self, place: Place, document: &Document) -> BTreeSet<IndexedValue> {
        if self.is_live { indexed_values(place.resource_type, document) } else { BTreeSet::new() }
    }

    /// The rows of further unique values that there should be.
    pub fn due_unique(&self, place: Place, document: &Document) -> UniqueValues {
        if self.is_live { UniqueValues::of(place.resource_type, document) } else { UniqueValues::default() }
    }

    /// Whether a row of `unique_values` is one of these that the resource should have.
    pub fn claims(&self, due: &UniqueValues, key: &UniqueKey) -> bool {
        let is_its_own = self.tenant_id == key.tenant_id && self.resource_type == key.resource_type;
        is_its_own && due.iter().any(|(path, due)| path == key.path && due == key.key)
    }

    /// What the history has against the row, in words.
    pub fn against_history(&self) -> Option<(FlawKind, String)> {
        let buries =
            |operation: &str| [Operation::Delete, Operation::Purge].iter().any(|one| one.as_str() == operation);
        let said = match &self.last_change {
            None => "the history has no change of it".to_owned(),
            Some((version, _)) if *version != self.version => {
                format!("the last change in the history made version {version}, and it has version {}", self.version)
            }
            Some((_, operation)) if buries(operation) == self.is_live => {
                let is = if self.is_live { "it is there" } else { "it is deleted" };
                format!("the last change in the history is `{operation}`, and {is}")
            }
            Some(_) => return None,
        };
        Some((FlawKind::History, said))
    }
}
