//! Rows ↔ resources: insert, find, lock, replace, bury.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};
use serde_json::Value;

use super::Connection;
use super::cell::Cell;
use super::connection::each_backend;
use super::error;
use super::instant::Instant;
use super::limits;
use super::schema::resources;
use super::sql::Sql;
use super::standing::{Question, Standing, Value as Given};
use super::statement::{OnConflict, insert_numbered_rows};
use super::tenants::{self, GroupNames, TenantSettings};
use super::unique::{self, UniqueValues, unique_key};
use super::values::{self, IndexedValue, tenant_path};
use crate::scim::group_name;
use crate::scim::resource::{Document, Meta};
use crate::scim::schema::{GROUP_URN, Resolved, ResourceType};
use crate::scim::{Error, Result};

/// A resource as the database keeps it, live or buried.
#[derive(Debug, Clone)]
pub struct StoredResource<D = Document> {
    /// The key inside the database; grows in the order of creation and never leaves the store's callers.
    pub row_id: i64,
    /// The SCIM id.
    pub id: String,
    /// The name of the resource type.
    pub resource_type: String,
    /// The attributes.
    pub document: D,
    /// Times and version.
    pub meta: Meta,
    /// The internal name of a group, for applications and people.
    pub name: Option<String>,
    /// When and by which key it was deleted.
    pub deleted: Option<(DateTime<Utc>, String)>,
}

/// A resource whose attributes nobody has read yet: the text of a [`Document`].
pub type StoredText = StoredResource<String>;

/// The columns of a row `r`, in the order of [`Row`].
pub(super) const ROW_COLUMNS: &str = "r.row_id, r.id, r.resource_type, r.document, r.version, r.created_at, r.modified_at, r.name, r.deleted_at, r.deleted_by";

/// The SQL types of [`ROW_COLUMNS`].
pub(super) type RowType =
    (BigInt, Text, Text, Text, BigInt, Timestamp, Timestamp, Nullable<Text>, Nullable<Timestamp>, Nullable<Text>);

/// [`ROW_COLUMNS`] in Rust.
pub(super) type Row =
    (i64, String, String, String, i64, Instant, Instant, Option<String>, Option<Instant>, Option<String>);

impl From<Row> for StoredText {
    fn from(row: Row) -> Self {
        let (row_id, id, resource_type, document, version, created_at, modified_at, name, deleted_at, deleted_by) = row;
        let meta = Meta { created: created_at.0.and_utc(), last_modified: modified_at.0.and_utc(), version };
        let deleted = deleted_at.map(|Instant(at)| (at.and_utc(), deleted_by.unwrap_or_default()));
        StoredResource { row_id, id, resource_type, document, meta, name, deleted }
    }
}

impl TryFrom<Row> for StoredResource {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let text = StoredText::from(row);
        let document = Document::from_json(&text.document).map_err(Error::internal)?;
        Ok(text.with(document))
    }
}

impl<D> StoredResource<D> {
    /// The same with its attributes in another form.
    pub fn with<E>(self, document: E) -> StoredResource<E> {
        let StoredResource { row_id, id, resource_type, document: _, meta, name, deleted } = self;
        StoredResource { row_id, id, resource_type, document, meta, name, deleted }
    }

    /// Its place in the list of buried resources, if it is buried.
    pub fn burial(&self) -> Option<Burial> {
        self.deleted.as_ref().map(|(at, _)| Burial { at: *at, row_id: self.row_id })
    }
}

impl StoredResource {
    /// The same with the text of its attributes.
    pub fn into_text(self) -> StoredText {
        let text = self.document.to_json();
        self.with(text)
    }
}

/// Where a resource belongs, and the rules of that place.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The tenant.
    pub tenant_id: i64,
    /// What is set for it.
    pub settings: TenantSettings,
    /// The resource type.
    pub resource_type: &'static ResourceType,
}

/// A resource that is to be made, with all of its rows that no database has to tell: made ready before the transaction where
/// that can be, for everybody else waits for that.
#[derive(Debug)]
pub struct NewResource {
    resource_type: &'static ResourceType,
    id: String,
    document: Document,
    text: String,
    /// Those of its row. The key of a group depends on what is set for its tenant.
    columns: Columns,
    indexed: values::Difference,
    unique: UniqueValues,
    at: DateTime<Utc>,
}

impl NewResource {
    /// Of this type, with this id and these attributes, made at this time.
    pub fn of(resource_type: &'static ResourceType, id: String, document: Document, at: DateTime<Utc>) -> NewResource {
        let text = document.to_json();
        let indexed = values::Difference::between(resource_type, None, Some(&document));
        let unique = UniqueValues::of(resource_type, &document);
        let columns = Columns::of_type(resource_type, &document, GroupNames::default());
        NewResource { resource_type, id, document, text, columns, indexed, unique, at }
    }

    /// Its type.
    pub fn resource_type(&self) -> &'static ResourceType {
        self.resource_type
    }

    /// The SCIM id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The attributes.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The text of the attributes.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Times and version.
    pub fn meta(&self) -> Meta {
        Meta { created: self.at, last_modified: self.at, version: 1 }
    }

    /// What is stored of it beside its attributes, which whoever made it has.
    pub(super) fn stored(&self, row_id: i64, name: Option<String>) -> StoredResource<()> {
        let (id, resource_type) = (self.id.clone(), self.resource_type.name.clone());
        StoredResource { row_id, id, resource_type, document: (), meta: self.meta(), name, deleted: None }
    }

    /// The columns of its row; but for the key of a group, they are those of every tenant.
    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Its values in the search index.
    pub(super) fn indexed(&self) -> &[IndexedValue] {
        self.indexed.come()
    }

    /// Whether there is nothing to insert or to look for beside its row: no further unique values, and no name for programs.
    pub fn is_all_in_its_row(&self) -> bool {
        !is_group(self.resource_type) && self.unique.iter().next().is_none()
    }
}

/// Inserts a live resource with its search index. The unique index is the judge of uniqueness. Whoever asks has its attributes.
///
/// # Errors
/// `uniqueness` if a live resource holds the unique value; 403 if the tenant may have no more; database failures.
pub fn insert(connection: &mut Connection, place: Place, new: &NewResource) -> Result<StoredResource<()>> {
    let NewResource { document, indexed, unique, .. } = new;
    let name = internal_name(connection, place, document, None)?;
    let row = new_row(connection, place, new, name.clone());
    let indexed_beside = connection.writes_at_once().then(|| indexed.of_made(place.tenant_id)).flatten();
    let is_indexed = indexed_beside.is_some();
    let inserted = match indexed_beside {
        Some(indexed) => {
            let both: Sql<BigInt> = Sql::new("WITH made AS (").append(row).push(" RETURNING row_id), indexed AS (");
            both.append(indexed).push(") SELECT row_id FROM made").get_result(connection)
        }
        None => row.insert(connection),
    };
    let row_id: i64 = inserted.map_err(|error| conflict(error, place, document))?;
    limits::added(connection, place.tenant_id, &place.settings, place.resource_type)?;
    unique::replace(connection, place.tenant_id, place.resource_type, row_id, &UniqueValues::default(), unique)?;
    if !is_indexed {
        indexed.write(connection, place.tenant_id, row_id)?;
    }
    Ok(new.stored(row_id, name))
}

/// The insertion of a live resource.
fn new_row(connection: &Connection, place: Place, new: &NewResource, name: Option<String>) -> Sql {
    let columns = match is_group(place.resource_type) {
        true => Columns::of(place, &new.document),
        false => new.columns.clone(),
    };
    let statement = Sql::new(connection.insertion()).push(
        " INTO resources (tenant_id, id, resource_type, unique_key, name, external_id, display_name, active, document, \
         version, created_at, modified_at) VALUES (",
    );
    statement
        .bind(place.tenant_id)
        .push(", ")
        .bind(new.id.as_str())
        .push(", ")
        .bind(place.resource_type.name.as_str())
        .push(", ")
        .bind(columns.unique_key)
        .push(", ")
        .bind(name)
        .push(", ")
        .bind(columns.external_id)
        .push(", ")
        .bind(columns.display_name)
        .push(", ")
        .bind(columns.active)
        .push(", ")
        .bind(new.text.as_str())
        .push(", 1, ")
        .bind(new.at.naive_utc())
        .push(", ")
        .bind(new.at.naive_utc())
        .push(")")
}

/// The columns of a row that is inserted beside others.
const NEW_COLUMNS: [&str; 15] = [
    "tenant_id",
    "id",
    "resource_type",
    "unique_key",
    "name",
    "external_id",
    "display_name",
    "active",
    "document",
    "version",
    "created_at",
    "modified_at",
    "deleted_at",
    "deleted_by",
    "withheld",
];

/// Values of [`NEW_COLUMNS`].
pub(super) type NewCells<'a> = [Cell<'a>; NEW_COLUMNS.len()];

/// Inserts many rows; the row of each by its id. Those that clash with another one are passed over, or fail the whole.
///
/// # Errors
/// Database failures.
pub(super) fn insert_all<'a>(
    connection: &mut Connection,
    rows: impl IntoIterator<Item = NewCells<'a>>,
    on_conflict: OnConflict,
) -> QueryResult<HashMap<String, i64>> {
    let inserted = insert_numbered_rows(connection, ("resources", "id"), NEW_COLUMNS, rows, on_conflict)?;
    Ok(inserted.into_iter().map(|(row_id, id)| (id, row_id)).collect())
}

/// The live resource of that id.
///
/// # Errors
/// Database failures.
pub fn find(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    id: &str,
) -> Result<Option<StoredResource>> {
    select_one(connection, of_id(live(tenant_id), resource_type, id))
}

/// The same, to be shown as it is.
///
/// # Errors
/// Database failures.
pub fn find_text(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    id: &str,
) -> Result<Option<StoredText>> {
    find_by(connection, ById, tenant_id, resource_type, id)
}

/// The live resource with that unique key, to be shown as it is.
///
/// # Errors
/// Database failures.
pub(super) fn find_text_by_key(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    unique_key: &str,
) -> Result<Option<StoredText>> {
    find_by(connection, ByKey, tenant_id, resource_type, unique_key)
}

fn find_by(
    connection: &mut Connection,
    question: impl Question<Row = FoundType>,
    tenant_id: i64,
    resource_type: &str,
    wanted: &str,
) -> Result<Option<StoredText>> {
    let values = [Given::BigInt(tenant_id), Given::Text(resource_type), Given::Text(wanted)];
    let found: Vec<Found> = each_backend!(connection, c => Standing::new(question, values).load(c))?;
    let stored = |(row_id, id, document, version, created_at, modified_at, name): Found| StoredText {
        row_id,
        id,
        resource_type: resource_type.to_owned(),
        document,
        meta: Meta { created: created_at.0.and_utc(), last_modified: modified_at.0.and_utc(), version },
        name,
        deleted: None,
    };
    Ok(found.into_iter().next().map(stored))
}

/// The live resource of a tenant, a type and an id.
struct ById;

/// The live resource of a tenant, a type and a unique key.
struct ByKey;

/// What of its row these do not tell, and the id.
const FIND: &str = "SELECT r.row_id, r.id, r.document, r.version, r.created_at, r.modified_at, r.name FROM resources r \
     WHERE r.deleted_at IS NULL AND r.tenant_id = ";
const OF_TYPE: &str = " AND r.resource_type = ";

/// A row of it.
type FoundType = (BigInt, Text, Text, BigInt, Timestamp, Timestamp, Nullable<Text>);
type Found = (i64, String, String, i64, Instant, Instant, Option<String>);

impl Question for ById {
    type Row = FoundType;
    const TEXT: &'static [&'static str] = &[FIND, OF_TYPE, " AND r.id = "];
}

impl Question for ByKey {
    type Row = FoundType;
    const TEXT: &'static [&'static str] = &[FIND, OF_TYPE, " AND r.unique_key = "];
}

/// How long the document of a live resource is, in bytes, without reading it.
///
/// # Errors
/// Database failures.
pub fn size(connection: &mut Connection, tenant_id: i64, resource_type: &str, id: &str) -> Result<Option<i64>> {
    let statement: Sql<BigInt> = Sql::new("SELECT CAST(octet_length(r.document) AS BIGINT) FROM resources r WHERE ");
    Ok(statement.append(of_id(live(tenant_id), resource_type, id)).load::<i64>(connection)?.pop())
}

/// The resource of a row, live or buried.
///
/// # Errors
/// Database failures.
pub fn find_row(connection: &mut Connection, tenant_id: i64, row_id: i64) -> Result<Option<StoredResource>> {
    select_one(connection, Sql::new("r.tenant_id = ").bind(tenant_id).push(" AND r.row_id = ").bind(row_id))
}

/// Keeps the resource in a row, live or buried, from being deleted or purged until the transaction ends.
///
/// # Errors
/// Database failures.
pub fn hold(connection: &mut Connection, tenant_id: i64, row_id: i64) -> Result<()> {
    let clause = connection.share_clause();
    let statement: Sql<BigInt> = Sql::new("SELECT r.row_id FROM resources r WHERE r.tenant_id = ").bind(tenant_id);
    statement.push(" AND r.row_id = ").bind(row_id).push(clause).load::<i64>(connection)?;
    Ok(())
}

/// The live resource of that id, kept from others until the transaction ends.
///
/// # Errors
/// Database failures.
pub fn lock(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    id: &str,
) -> Result<Option<StoredResource>> {
    let clause = connection.lock_clause();
    let condition = of_id(live(tenant_id), resource_type, id);
    select_one(connection, condition.push(clause))
}

/// What is set for a tenant, as [`tenants::settings_for`] tells before a write, and the live resource of that id, kept from
/// others as by [`lock`], or as by [`lock_for_deletion`] if it is about to be deleted.
///
/// # Errors
/// Those of [`tenants::settings_for`]; database failures.
pub fn lock_in_tenant(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &ResourceType,
    id: &str,
    is_deletion: bool,
) -> Result<(TenantSettings, Option<StoredResource>)> {
    let name = &resource_type.name;
    if connection.writes_at_once() {
        let clause = if is_deletion { connection.deletion_clause() } else { connection.lock_clause() };
        let statement: Sql<(tenants::KeptType, RowType)> = Sql::new("SELECT ").push(tenants::KEPT_COLUMNS).push(", ");
        let statement = statement.push(ROW_COLUMNS).push(" FROM tenants t CROSS JOIN resources r WHERE t.tenant_id = ");
        let statement = statement.bind(tenant_id).push(" AND ").append(of_id(live(tenant_id), name, id));
        // The tenant comes first, as it does in every write.
        let statement = statement.push(" FOR SHARE OF t SKIP LOCKED").push(clause).push(" OF r");
        if let Some((kept, row)) = statement.load::<(tenants::Kept, Row)>(connection)?.pop() {
            return Ok((tenants::check_kept(kept, resource_type)?, Some(row.try_into()?)));
        }
        // One of the two is not there, or another transaction keeps the tenant to itself.
    }
    let settings = tenants::settings_for(connection, tenant_id, resource_type)?;
    let lock = if is_deletion { lock_for_deletion } else { lock };
    Ok((settings, lock(connection, tenant_id, name, id)?))
}

/// As [`lock`], for a resource that is about to be deleted: those who would make it a member at the moment wait.
///
/// # Errors
/// Database failures.
pub fn lock_for_deletion(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    id: &str,
) -> Result<Option<StoredResource>> {
    let clause = connection.deletion_clause();
    let condition = of_id(live(tenant_id), resource_type, id);
    select_one(connection, condition.push(clause))
}

/// The live resource that holds the unique value of `document`.
///
/// # Errors
/// Database failures.
pub fn find_holder(connection: &mut Connection, place: Place, document: &Document) -> Result<Option<StoredResource>> {
    let Some(key) = unique_key(place.resource_type, document, place.settings.group_names) else {
        return Ok(None);
    };
    let condition = live(place.tenant_id).push(" AND r.resource_type = ").bind(place.resource_type.name.as_str());
    select_one(connection, condition.push(" AND r.unique_key = ").bind(key))
}

/// The live and disabled resource that holds the unique value of `document` and has its `externalId`, kept from others
/// until the transaction ends.
///
/// # Errors
/// Database failures.
pub fn lock_disabled_holder(
    connection: &mut Connection,
    place: Place,
    document: &Document,
) -> Result<Option<StoredResource>> {
    let key = unique_key(place.resource_type, document, place.settings.group_names);
    let (Some(key), Some(external_id)) = (key, document.text("externalId")) else {
        return Ok(None);
    };
    let clause = connection.lock_clause();
    let condition = live(place.tenant_id)
        .push(" AND r.resource_type = ")
        .bind(place.resource_type.name.as_str())
        .push(" AND r.unique_key = ")
        .bind(key)
        .push(" AND r.external_id = ")
        .bind(external_id)
        .push(" AND r.active = ")
        .bind(false)
        .push(clause);
    select_one(connection, condition)
}

/// The id of the resource that was buried last with the unique value of this document: whom a new one succeeds.
///
/// # Errors
/// Database failures.
pub fn predecessor(connection: &mut Connection, place: Place, document: &Document) -> Result<Option<String>> {
    let Some(key) = unique_key(place.resource_type, document, place.settings.group_names) else {
        return Ok(None);
    };
    let statement: Sql<Text> = Sql::new("SELECT r.id FROM resources r WHERE ").append(buried(place.tenant_id));
    let statement = statement
        .push(" AND r.resource_type = ")
        .bind(place.resource_type.name.as_str())
        .push(" AND r.unique_key = ")
        .bind(key)
        .push(" ORDER BY r.row_id DESC LIMIT 1");
    Ok(statement.load::<String>(connection)?.pop())
}

/// The buried resource of that id.
///
/// # Errors
/// Database failures.
pub fn find_buried(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    id: &str,
) -> Result<Option<StoredResource>> {
    let condition = of_id(buried(tenant_id), resource_type, id);
    select_one(connection, condition)
}

/// The buried resource of that id, kept from others until the transaction ends.
///
/// # Errors
/// Database failures.
pub fn lock_buried(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    id: &str,
) -> Result<Option<StoredResource>> {
    let clause = connection.deletion_clause();
    let condition = of_id(buried(tenant_id), resource_type, id);
    select_one(connection, condition.push(clause))
}

/// The resource of that id, live or buried, kept from others until the transaction ends.
///
/// # Errors
/// Database failures.
pub fn lock_any(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    id: &str,
) -> Result<Option<StoredResource>> {
    if let Some(live) = lock(connection, tenant_id, resource_type, id)? {
        return Ok(Some(live));
    }
    match lock_buried(connection, tenant_id, resource_type, id)? {
        Some(buried) => Ok(Some(buried)),
        // Whoever was waited for may have brought it back.
        None => lock(connection, tenant_id, resource_type, id),
    }
}

/// The live resources whose reference (`manager`) is this id, kept from others until the transaction ends.
///
/// # Errors
/// Database failures.
pub fn lock_referring(
    connection: &mut Connection,
    place: Place,
    reference: Resolved,
    id: &str,
) -> Result<Vec<StoredResource>> {
    let Some(value) = reference.attribute.sub_attribute("value") else {
        return Ok(Vec::new());
    };
    // Most are nobody's manager, and to learn that is cheaper than to ask for whole rows.
    let any: Sql<BigInt> = Sql::new("SELECT v.row_id FROM resource_values v WHERE v.tenant_path = ");
    let any = any.bind(tenant_path(place.tenant_id, value.path_hash));
    let any = any.push(" AND v.key = ").bind(id).push(" LIMIT 1");
    if any.load::<i64>(connection)?.is_empty() {
        return Ok(Vec::new());
    }
    let clause = connection.lock_clause();
    let condition = live(place.tenant_id)
        .push(" AND r.row_id IN (SELECT row_id FROM resource_values WHERE tenant_path = ")
        .bind(tenant_path(place.tenant_id, value.path_hash))
        .push(" AND key = ")
        .bind(id)
        .push(") ORDER BY r.row_id");
    // One that had to be waited for may refer to another by now, and the index was read before.
    let refers = |stored: &StoredResource| {
        let whole = stored.document.get(reference);
        whole.and_then(|whole| whole.get(&value.name)).and_then(Value::as_str) == Some(id)
    };
    Ok(select(connection, condition.push(clause))?.into_iter().filter(refers).collect())
}

/// The resources with these ids, live or buried.
///
/// # Errors
/// Database failures.
pub fn find_all(connection: &mut Connection, tenant_id: i64, ids: &[&str]) -> Result<Vec<StoredResource>> {
    let condition = Sql::new("r.tenant_id = ").bind(tenant_id).push(" AND r.purged_at IS NULL AND r.id IN (");
    select(connection, condition.bind_list(ids.iter().copied()).push(")").uncached())
}

/// When each of these resources was deleted, `None` for a live one. Ids that nobody has are missing from the result.
///
/// # Errors
/// Database failures.
pub fn deletions(
    connection: &mut Connection,
    tenant_id: i64,
    ids: &[&str],
) -> Result<HashMap<String, Option<DateTime<Utc>>>> {
    let mut deletions = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let statement: Sql<(Text, Nullable<Timestamp>)> =
            Sql::new("SELECT r.id, r.deleted_at FROM resources r WHERE r.tenant_id = ").bind(tenant_id);
        let statement = statement.push(" AND r.id IN (").bind_list(chunk.iter().copied()).push(")").uncached();
        let rows: Vec<(String, Option<NaiveDateTime>)> = statement.load(connection)?;
        deletions.extend(rows.into_iter().map(|(id, at)| (id, at.map(|at| at.and_utc()))));
    }
    Ok(deletions)
}

/// Which live resources refer (`manager`) to these ids: the id referred to, and the one of the resource that does.
///
/// # Errors
/// Database failures.
pub fn referring(
    connection: &mut Connection,
    tenant_id: i64,
    reference: Resolved,
    ids: &[&str],
) -> Result<Vec<(String, String)>> {
    let Some(value) = reference.attribute.sub_attribute("value") else {
        return Ok(Vec::new());
    };
    let mut pairs = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let statement: Sql<(Text, Text)> = Sql::new(
            "SELECT v.key, r.id FROM resource_values v JOIN resources r ON r.row_id = v.row_id WHERE v.tenant_path = ",
        );
        let statement = statement.bind(tenant_path(tenant_id, value.path_hash));
        let statement = statement.push(" AND v.key IN (").bind_list(chunk.iter().copied()).push(")").uncached();
        pairs.extend(statement.load::<(String, String)>(connection)?);
    }
    Ok(pairs)
}

/// A place in the list of buried resources: that of one that was buried then, also if it is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burial {
    /// When it was buried.
    pub at: DateTime<Utc>,
    /// Its row.
    pub row_id: i64,
}

/// The buried resources of a type behind a place, latest first, at most `limit`.
///
/// # Errors
/// Database failures.
pub fn list_buried(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    after: Option<Burial>,
    limit: i64,
) -> Result<Vec<StoredText>> {
    let mut condition = buried(tenant_id).push(" AND r.resource_type = ").bind(resource_type);
    if let Some(Burial { at, row_id }) = after {
        // The first term is a range of the index, the second one settles who was buried in the same millisecond.
        condition = condition.push(" AND r.deleted_at <= ").bind(at.naive_utc());
        condition = condition.push(" AND (r.deleted_at < ").bind(at.naive_utc());
        condition = condition.push(" OR r.row_id < ").bind(row_id).push(")");
    }
    let page = rows(connection, condition.push(" ORDER BY r.deleted_at DESC, r.row_id DESC LIMIT ").bind(limit))?;
    Ok(page.into_iter().map(StoredText::from).collect())
}

/// How many values one statement carries.
const CHUNK: usize = 500;

/// The internal names of live groups, by id. Others have none.
///
/// # Errors
/// Database failures.
pub fn internal_names(connection: &mut Connection, tenant_id: i64, ids: &[String]) -> Result<HashMap<String, String>> {
    let mut names = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let statement: Sql<(Text, Text)> = Sql::new("SELECT r.id, r.name FROM resources r WHERE ");
        let statement = statement.append(live(tenant_id)).push(" AND r.name IS NOT NULL AND r.id IN (");
        let statement = statement.bind_list(chunk.iter().map(String::as_str)).push(")");
        names.extend(statement.uncached().load::<(String, String)>(connection)?);
    }
    Ok(names)
}

/// Every query of live resources starts here.
fn live(tenant_id: i64) -> Sql {
    Sql::new("r.tenant_id = ").bind(tenant_id).push(" AND r.deleted_at IS NULL")
}

/// Every query of buried resources that can be restored: not of those that are purged.
fn buried(tenant_id: i64) -> Sql {
    Sql::new("r.tenant_id = ").bind(tenant_id).push(" AND r.deleted_at IS NOT NULL AND r.purged_at IS NULL")
}

fn of_id(rows: Sql, resource_type: &str, id: &str) -> Sql {
    rows.push(" AND r.resource_type = ").bind(resource_type).push(" AND r.id = ").bind(id)
}

fn select_one(connection: &mut Connection, condition: Sql) -> Result<Option<StoredResource>> {
    Ok(select(connection, condition)?.pop())
}

fn select(connection: &mut Connection, condition: Sql) -> Result<Vec<StoredResource>> {
    rows(connection, condition)?.into_iter().map(StoredResource::try_from).collect()
}

fn rows(connection: &mut Connection, condition: Sql) -> Result<Vec<Row>> {
    let statement: Sql<RowType> = Sql::new("SELECT ").push(ROW_COLUMNS).push(" FROM resources r WHERE ");
    Ok(statement.append(condition).load(connection)?)
}

/// Writes a changed document over the stored one, with the difference of the search index. Version and
/// `last_modified` move, the latter never back: a change that waited for another one is not older than it.
///
/// # Errors
/// `uniqueness` if another live resource holds the unique value; database failures.
pub fn replace(
    connection: &mut Connection,
    place: Place,
    stored: &mut StoredResource,
    document: Document,
    now: DateTime<Utc>,
) -> Result<()> {
    let now = now.max(stored.meta.last_modified);
    let name = internal_name(connection, place, &document, Some(stored))?;
    let statement = set_state(place, &document, name.clone(), stored.meta.version + 1, now);
    let statement = of_row(statement, stored.row_id);
    let refusal = |error| conflict(error, place, &document);
    write_and_index(connection, place, statement, stored.row_id, [Some(&stored.document), Some(&document)], refusal)?;
    stored.document = document;
    stored.name = name;
    stored.meta.version += 1;
    stored.meta.last_modified = now;
    Ok(())
}

/// The change of a live row to this state. What diesel writes as an UPDATE never stays prepared.
fn set_state(place: Place, document: &Document, name: Option<String>, version: i64, modified: DateTime<Utc>) -> Sql {
    let columns = Columns::of(place, document);
    Sql::new("UPDATE resources SET unique_key = ")
        .bind(columns.unique_key)
        .push(", name = ")
        .bind(name)
        .push(", external_id = ")
        .bind(columns.external_id)
        .push(", display_name = ")
        .bind(columns.display_name)
        .push(", active = ")
        .bind(columns.active)
        .push(", document = ")
        .bind(document.to_json())
        .push(", version = ")
        .bind(version)
        .push(", modified_at = ")
        .bind(modified.naive_utc())
}

fn of_row(change: Sql, row_id: i64) -> Sql {
    change.push(" WHERE row_id = ").bind(row_id)
}

/// Writes a document, live or buried, whose schema has another form by now, with what is withheld of it. Search index
/// and unique values are made by whoever asks.
///
/// # Errors
/// Database failures.
pub(super) fn rewrite(
    connection: &mut Connection,
    place: Place,
    row_id: i64,
    document: &Document,
    withheld: Option<String>,
    new_version: bool,
) -> Result<()> {
    let columns = Columns::of(place, document);
    diesel::update(resources::table.find(row_id))
        .set((
            resources::unique_key.eq(columns.unique_key),
            resources::external_id.eq(columns.external_id),
            resources::display_name.eq(columns.display_name),
            resources::document.eq(document.to_json()),
            resources::withheld.eq(withheld),
            resources::version.eq(resources::version + i64::from(new_version)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Gives up the unique values, and the name of a group, that a live resource is not going to have after the change to
/// `next`, which follows in the same transaction: so resources can exchange them.
///
/// # Errors
/// Database failures.
pub fn release(connection: &mut Connection, place: Place, stored: &StoredResource, next: &Document) -> Result<()> {
    let key = |document| unique_key(place.resource_type, document, place.settings.group_names);
    if key(&stored.document) != key(next) {
        let nobody = (resources::unique_key.eq(None::<String>), resources::name.eq(None::<String>));
        diesel::update(resources::table.find(stored.row_id)).set(nobody).execute(connection)?;
    }
    let values = |document| UniqueValues::of(place.resource_type, document);
    let (old, new) = (values(&stored.document), values(next));
    unique::replace(connection, place.tenant_id, place.resource_type, stored.row_id, &old, &old.common(&new))
}

/// Moves `last_modified`, and the version if asked, of a resource whose document stays.
///
/// # Errors
/// Database failures.
pub fn touch(
    connection: &mut Connection,
    stored: &mut StoredResource,
    new_version: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    stored.meta.version += i64::from(new_version);
    stored.meta.last_modified = now.max(stored.meta.last_modified);
    let statement = Sql::new("UPDATE resources SET version = ").bind(stored.meta.version);
    let statement = statement.push(", modified_at = ").bind(stored.meta.last_modified.naive_utc());
    of_row(statement, stored.row_id).execute(connection)?;
    Ok(())
}

/// Makes another edition of a row, of the same content, where values of it were put into the search index alone. A statement that
/// waits for the row meanwhile ([`super::revisions`]) would not see them, and leave what it has to take away.
///
/// # Errors
/// Database failures.
pub(super) fn renew(connection: &mut Connection, row_id: i64) -> Result<()> {
    of_row(Sql::new("UPDATE resources SET version = version"), row_id).execute(connection)?;
    Ok(())
}

/// Buries a resource (RFC 7644 §3.6 for clients, history for operators): the row stays, disabled, its values leave the
/// search index, its unique value and its name are free. Memberships are the business of [`super::members`].
///
/// # Errors
/// Database failures.
pub fn bury(
    connection: &mut Connection,
    place: Place,
    stored: &StoredResource,
    deleted_by: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let statement = Sql::new("UPDATE resources SET active = ").bind(false);
    let statement = statement.push(", deleted_at = ").bind(now.naive_utc()).push(", deleted_by = ").bind(deleted_by);
    let statement = of_row(statement, stored.row_id);
    write_and_index(connection, place, statement, stored.row_id, [Some(&stored.document), None], Error::from)
}

/// When the resource of that id was purged; `None` if nobody has the id or it was not.
///
/// # Errors
/// Database failures.
pub fn find_purged(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    id: &str,
) -> Result<Option<DateTime<Utc>>> {
    let purged = Sql::new("r.tenant_id = ").bind(tenant_id).push(" AND r.purged_at IS NOT NULL");
    let statement: Sql<Timestamp> = Sql::new("SELECT r.purged_at FROM resources r WHERE ");
    let statement = statement.append(of_id(purged, resource_type, id));
    Ok(statement.load::<NaiveDateTime>(connection)?.pop().map(|at| at.and_utc()))
}

/// The ids of other resources, live or buried, that have the unique value of a buried one, at most a hundred: perhaps the
/// same person.
///
/// # Errors
/// Database failures.
pub fn namesakes(connection: &mut Connection, place: Place, stored: &StoredResource) -> Result<Vec<String>> {
    let Some(key) = unique_key(place.resource_type, &stored.document, place.settings.group_names) else {
        return Ok(Vec::new());
    };
    let mut ids = Vec::new();
    for rows in [live(place.tenant_id), buried(place.tenant_id)] {
        let statement: Sql<Text> = Sql::new("SELECT r.id FROM resources r WHERE ");
        let statement = statement
            .append(rows)
            .push(" AND r.resource_type = ")
            .bind(place.resource_type.name.as_str())
            .push(" AND r.unique_key = ")
            .bind(key.as_str())
            .push(" AND r.row_id <> ")
            .bind(stored.row_id)
            .push(" ORDER BY r.row_id LIMIT 100");
        ids.extend(statement.load::<String>(connection)?);
    }
    Ok(ids)
}

/// Erases what a buried resource holds. The row stays, with its id, which is never given again, its times and its version.
///
/// # Errors
/// Database failures.
pub fn purge(connection: &mut Connection, place: Place, stored: &StoredResource, now: DateTime<Utc>) -> Result<()> {
    diesel::update(resources::table.find(stored.row_id))
        .set((
            resources::unique_key.eq(None::<String>),
            resources::name.eq(None::<String>),
            resources::external_id.eq(None::<String>),
            resources::display_name.eq(None::<String>),
            resources::document.eq("{}"),
            resources::withheld.eq(None::<String>),
            resources::purged_at.eq(Some(now.naive_utc())),
        ))
        .execute(connection)?;
    // Burying has taken all of this away already.
    index(connection, place, stored.row_id, Some(&stored.document), None)
}

/// Writes a changed row with the difference that the change makes to the search index, at once where that can be, and to
/// the unique values.
fn write_and_index(
    connection: &mut Connection,
    place: Place,
    row: Sql,
    row_id: i64,
    [before, after]: [Option<&Document>; 2],
    refusal: impl FnOnce(diesel::result::Error) -> Error,
) -> Result<()> {
    let difference = values::Difference::between(place.resource_type, before, after);
    let beside = connection.writes_at_once().then(|| difference.beside(place.tenant_id, row_id)).flatten();
    let is_indexed = beside.is_some();
    row.beside(beside.unwrap_or_default()).execute(connection).map_err(refusal)?;
    hold_unique(connection, place, row_id, before, after)?;
    if !is_indexed {
        difference.write(connection, place.tenant_id, row_id)?;
    }
    Ok(())
}

/// Writes the difference that a change makes to the search index and to the unique values.
fn index(
    connection: &mut Connection,
    place: Place,
    row_id: i64,
    before: Option<&Document>,
    after: Option<&Document>,
) -> Result<()> {
    hold_unique(connection, place, row_id, before, after)?;
    let difference = values::Difference::between(place.resource_type, before, after);
    difference.write(connection, place.tenant_id, row_id)
}

/// Writes the difference that a change makes to the unique values beside the row's own.
fn hold_unique(
    connection: &mut Connection,
    place: Place,
    row_id: i64,
    before: Option<&Document>,
    after: Option<&Document>,
) -> Result<()> {
    let Place { tenant_id, resource_type, .. } = place;
    let unique_values = |document: Option<&Document>| {
        document.map(|document| UniqueValues::of(resource_type, document)).unwrap_or_default()
    };
    let (old, new) = (unique_values(before), unique_values(after));
    unique::replace(connection, tenant_id, resource_type, row_id, &old, &new)
}

/// Brings a buried resource back under its id, with these attributes. Version and `last_modified` move.
///
/// # Errors
/// `uniqueness` if a live resource holds its unique value by now; 403 if the tenant may have no more; database failures.
pub fn unbury(
    connection: &mut Connection,
    place: Place,
    stored: &mut StoredResource,
    document: Document,
    now: DateTime<Utc>,
) -> Result<()> {
    let name = internal_name(connection, place, &document, None)?;
    stored.meta.version += 1;
    stored.meta.last_modified = now.max(stored.meta.last_modified);
    let statement = set_state(place, &document, name.clone(), stored.meta.version, stored.meta.last_modified);
    let statement = statement.push(", deleted_at = NULL, deleted_by = NULL");
    of_row(statement, stored.row_id).execute(connection).map_err(|error| conflict(error, place, &document))?;
    limits::added(connection, place.tenant_id, &place.settings, place.resource_type)?;
    index(connection, place, stored.row_id, None, Some(&document))?;
    stored.document = document;
    stored.name = name;
    stored.deleted = None;
    Ok(())
}

/// Recomputes the unique keys of a tenant's live groups after the rule of group names changed, a piece of them at a time.
///
/// # Errors
/// `uniqueness` if two live groups clash under the new rule; database failures.
pub fn rekey_groups(connection: &mut Connection, place: Place) -> Result<()> {
    let mut last = 0;
    loop {
        let rows = keyed_after(connection, place, last)?;
        let Some((row_id, ..)) = rows.last() else { return Ok(()) };
        last = *row_id;
        for (row_id, before, document) in rows {
            let document = Document::from_json(&document).map_err(Error::internal)?;
            let key = unique_key(place.resource_type, &document, place.settings.group_names);
            if key == before {
                continue;
            }
            diesel::update(resources::table.find(row_id))
                .set(resources::unique_key.eq(key))
                .execute(connection)
                .map_err(|error| conflict(error, place, &document))?;
        }
    }
}

/// The row, the unique key and the document of the next live resources of a type, in the order of creation.
fn keyed_after(connection: &mut Connection, place: Place, row_id: i64) -> Result<Vec<(i64, Option<String>, String)>> {
    let statement: Sql<(BigInt, Nullable<Text>, Text)> =
        Sql::new("SELECT r.row_id, r.unique_key, r.document FROM resources r WHERE ");
    let statement = statement
        .append(live(place.tenant_id))
        .push(" AND r.resource_type = ")
        .bind(place.resource_type.name.as_str())
        .push(" AND r.row_id > ")
        .bind(row_id)
        .push(" ORDER BY r.row_id LIMIT 0 + ")
        .bind(PIECE)
        .push(connection.lock_clause());
    Ok(statement.load(connection)?)
}

/// How many resources are in memory at a time while all of a type are gone through.
pub(super) const PIECE: i64 = 500;

/// What of a document stands in columns of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub unique_key: Option<String>,
    pub external_id: Option<String>,
    pub display_name: Option<String>,
    pub active: bool,
}

impl Columns {
    /// Those of a live resource.
    pub fn of(place: Place, document: &Document) -> Columns {
        Columns::of_type(place.resource_type, document, place.settings.group_names)
    }

    /// The same where this is set for the names of groups.
    pub fn of_type(resource_type: &ResourceType, document: &Document, group_names: GroupNames) -> Columns {
        Columns {
            unique_key: unique_key(resource_type, document, group_names),
            external_id: document.text("externalId").map(str::to_owned),
            display_name: resource_type
                .display_name()
                .and_then(|attribute| document.text(&attribute.name))
                .map(str::to_owned),
            active: document.is_active(),
        }
    }
}

fn conflict(failure: diesel::result::Error, place: Place, document: &Document) -> Error {
    error::unique(unique::refusal(place.resource_type, document))(failure)
}

pub(super) fn is_group(resource_type: &ResourceType) -> bool {
    resource_type.schema.id == GROUP_URN
}

/// The internal name of a group: the folded displayName, with a number where that is taken. It stays when a rename
/// leaves the folded form as it was (decision on group names).
pub(super) fn internal_name(
    connection: &mut Connection,
    place: Place,
    document: &Document,
    current: Option<&StoredResource>,
) -> Result<Option<String>> {
    if !is_group(place.resource_type) {
        return Ok(None);
    }
    let wanted = group_name::folded(document.text("displayName").unwrap_or_default());
    if let Some(current) = current {
        let before = group_name::folded(current.document.text("displayName").unwrap_or_default());
        if before == wanted && current.name.is_some() {
            return Ok(current.name.clone());
        }
    }
    let taken = names_like(connection, place.tenant_id, &wanted)?;
    Ok(Some(group_name::distinct(&wanted, taken.into_iter())))
}

/// The internal names of live groups that begin with this one, and little else: one range of the index.
pub(super) fn names_like(connection: &mut Connection, tenant_id: i64, name: &str) -> Result<Vec<String>> {
    let end = format!("{name}`");
    let taken: Vec<Option<String>> = resources::table
        .filter(resources::tenant_id.eq(tenant_id).and(resources::deleted_at.is_null()))
        .filter(resources::name.is_not_null().and(resources::name.ge(name)).and(resources::name.lt(&end)))
        .select(resources::name)
        .load(connection)?;
    Ok(taken.into_iter().flatten().collect())
}
