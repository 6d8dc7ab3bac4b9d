//! Many resources at once, as they were elsewhere: rows, search index, passwords and memberships, a batch per statement.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text};

use super::resources::{self, Columns, Place, is_group, names_like};
use super::sql::Sql;
use super::statement::{OnConflict, insert_rows};
use super::unique::{self, UniqueValues, unique_key};
use super::values::{self, IndexedValue, indexed_values};
use super::{Connection, credentials, error, limits, tenants};
use crate::scim::group_name;
use crate::scim::resource::{Document, Meta};
use crate::scim::{Error, Result};

/// A resource that comes from elsewhere, with everything that is kept of it but its memberships.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Where it is to be.
    pub place: Place,
    /// The SCIM id.
    pub id: String,
    /// The attributes.
    pub document: Document,
    /// Times and version.
    pub meta: Meta,
    /// A group's internal name, where it has one already.
    pub name: Option<String>,
    /// When and by whom it was deleted, if it is.
    pub deleted: Option<(DateTime<Utc>, String)>,
    /// What is withheld of it, JSON.
    pub withheld: Option<String>,
    /// The hash of its password.
    pub password_hash: Option<String>,
}

/// Why a resource can't come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Some resource of this or another tenant has, or had, its id.
    Id,
    /// A live resource has a value that must be unique; the sentence that says which.
    Value(String),
}

/// Lets a transaction that reads or brings many resources take the time that it needs.
///
/// # Errors
/// Database failures.
pub fn take_time(connection: &mut Connection) -> Result<()> {
    Ok(connection.take_time()?)
}

/// Begins to bring many resources to a tenant, which takes the time that it needs: also where another transaction keeps
/// the tenant to itself at the moment, for whoever comes with so much does not come again.
///
/// # Errors
/// `NotFound` for a tenant that is not there, `Forbidden` for one that is being deleted; database failures.
pub fn begin(connection: &mut Connection, tenant_id: i64) -> Result<()> {
    take_time(connection)?;
    tenants::lock_shared(connection, tenant_id).map(drop)
}

/// What stands in the way of these resources, by their positions. Only what is stored is looked at.
///
/// # Errors
/// Database failures.
pub fn obstacles(connection: &mut Connection, arrivals: &[Arrival]) -> Result<HashMap<usize, Obstacle>> {
    let mut obstacles = HashMap::new();
    // A list of nothing is no SQL for PostgreSQL.
    if arrivals.is_empty() {
        return Ok(obstacles);
    }
    for (at, arrival) in arrivals.iter().enumerate().filter(|(_, arrival)| arrival.deleted.is_none()) {
        if let Some(taken) = taken_further_value(connection, arrival)? {
            obstacles.insert(at, Obstacle::Value(taken));
        }
    }
    let keys = taken_keys(connection, arrivals)?;
    for (at, arrival) in arrivals.iter().enumerate().filter(|(_, arrival)| arrival.deleted.is_none()) {
        let Place { tenant_id, resource_type, settings } = arrival.place;
        let key = unique_key(resource_type, &arrival.document, settings.group_names);
        if key.is_some_and(|key| keys.contains(&(tenant_id, resource_type.name.clone(), key))) {
            obstacles.insert(at, Obstacle::Value(unique::refusal(resource_type, &arrival.document)));
        }
    }
    let ids: Vec<&str> = arrivals.iter().map(|arrival| arrival.id.as_str()).collect();
    let statement: Sql<Text> = Sql::new("SELECT r.id FROM resources r WHERE r.id IN (");
    let known: Vec<String> = statement.bind_list(ids).push(")").uncached().load(connection)?;
    let known: HashSet<String> = known.into_iter().collect();
    let is_known = arrivals.iter().enumerate().filter(|(_, arrival)| known.contains(&arrival.id));
    obstacles.extend(is_known.map(|(at, _)| (at, Obstacle::Id)));
    Ok(obstacles)
}

/// Those of the keys of live rows that are there already.
fn taken_keys(connection: &mut Connection, arrivals: &[Arrival]) -> Result<HashSet<(i64, String, String)>> {
    let mut by_type: HashMap<(i64, &str), Vec<String>> = HashMap::new();
    for Arrival { place, document, .. } in arrivals {
        let key = unique_key(place.resource_type, document, place.settings.group_names);
        by_type.entry((place.tenant_id, &place.resource_type.name)).or_default().extend(key);
    }
    let mut taken = HashSet::new();
    for ((tenant_id, resource_type), keys) in by_type.into_iter().filter(|(_, keys)| !keys.is_empty()) {
        let statement: Sql<Nullable<Text>> =
            Sql::new("SELECT r.unique_key FROM resources r WHERE r.deleted_at IS NULL AND r.tenant_id = ");
        let statement = statement
            .bind(tenant_id)
            .push(" AND r.resource_type = ")
            .bind(resource_type)
            .push(" AND r.unique_key IN (")
            .bind_list(keys)
            .push(")")
            .uncached();
        let found: Vec<Option<String>> = statement.load(connection)?;
        taken.extend(found.into_iter().flatten().map(|key| (tenant_id, resource_type.to_owned(), key)));
    }
    Ok(taken)
}

fn taken_further_value(connection: &mut Connection, arrival: &Arrival) -> Result<Option<String>> {
    let Place { tenant_id, resource_type, .. } = arrival.place;
    for (path, key) in UniqueValues::of(resource_type, &arrival.document).iter() {
        let statement: Sql<BigInt> = Sql::new("SELECT u.row_id FROM unique_values u WHERE u.tenant_id = ");
        let statement = statement
            .bind(tenant_id)
            .push(" AND u.resource_type = ")
            .bind(resource_type.name.as_str())
            .push(" AND u.path = ")
            .bind(path)
            .push(" AND u.key = ")
            .bind(key);
        if !statement.load::<i64>(connection)?.is_empty() {
            let attribute = resource_type.unique.iter().find(|attribute| attribute.index_path() == path);
            let named = attribute.map_or_else(|| path.to_owned(), ToString::to_string);
            return Ok(Some(format!("A value of {named} is already in use.")));
        }
    }
    Ok(None)
}

/// Stores resources in this order, which is that of their creation from now on; their rows. Whether there may be so many
/// is [`hold_to_limit`]'s to say.
///
/// # Errors
/// `uniqueness` for an id or a unique value that is taken; database failures.
pub fn insert(connection: &mut Connection, arrivals: &[Arrival]) -> Result<Vec<i64>> {
    let names = names(connection, arrivals)?;
    let row_ids = insert_rows_of(connection, arrivals, &names)?;
    let mut index: Vec<(i64, IndexedValue)> = Vec::new();
    for (arrival, row_id) in arrivals.iter().zip(&row_ids).filter(|(arrival, _)| arrival.deleted.is_none()) {
        let Place { tenant_id, resource_type, .. } = arrival.place;
        let further = UniqueValues::of(resource_type, &arrival.document);
        unique::replace(connection, tenant_id, resource_type, *row_id, &UniqueValues::default(), &further)?;
        index.extend(indexed_values(resource_type, &arrival.document).into_iter().map(|value| (*row_id, value)));
    }
    // Neighbours in the tree are written one after the other.
    index.sort_unstable_by(|(_, one), (_, other)| (one.path_hash, &one.head).cmp(&(other.path_hash, &other.head)));
    if let Some(Arrival { place, .. }) = arrivals.first() {
        values::insert_all(connection, place.tenant_id, index.iter().map(|(row_id, value)| (*row_id, value)))?;
    }
    let hashes = arrivals.iter().zip(&row_ids);
    let hashes = hashes.filter_map(|(arrival, row_id)| Some((*row_id, arrival.password_hash.as_deref()?)));
    credentials::insert_all(connection, hashes)?;
    note_last_modified(connection, arrivals, &row_ids)?;
    Ok(row_ids)
}

/// Holds a tenant to the limit that is set for a type of which resources were inserted. Once, behind the last of them: from
/// here on everybody who adds one waits until the transaction ends.
///
/// # Errors
/// 403 if the tenant may not have so many; database failures.
pub fn hold_to_limit(connection: &mut Connection, place: Place) -> Result<()> {
    limits::added(connection, place.tenant_id, &place.settings, place.resource_type)
}

fn insert_rows_of(connection: &mut Connection, arrivals: &[Arrival], names: &[Option<String>]) -> Result<Vec<i64>> {
    let written: Vec<(Columns, String)> =
        arrivals.iter().map(|it| (Columns::of(it.place, &it.document), it.document.to_json())).collect();
    let rows = arrivals.iter().zip(names).zip(&written).map(|((arrival, name), (columns, document))| {
        let Arrival { place, id, meta, deleted, withheld, .. } = arrival;
        [
            place.tenant_id.into(),
            id.as_str().into(),
            place.resource_type.name.as_str().into(),
            columns.unique_key.as_deref().into(),
            name.as_deref().into(),
            columns.external_id.as_deref().into(),
            columns.display_name.as_deref().into(),
            (columns.active && deleted.is_none()).into(),
            document.as_str().into(),
            meta.version.into(),
            meta.created.naive_utc().into(),
            meta.last_modified.naive_utc().into(),
            deleted.as_ref().map(|(at, _)| at.naive_utc()).into(),
            deleted.as_ref().map(|(_, by)| by.as_str()).into(),
            withheld.as_deref().into(),
        ]
    });
    let inserted = resources::insert_all(connection, rows, OnConflict::Fail);
    let by_id = inserted.map_err(error::unique("An id or a unique value is already in use."))?;
    let row_ids: Option<Vec<i64>> = arrivals.iter().map(|arrival| by_id.get(&arrival.id).copied()).collect();
    // The order of rows is that of every list.
    row_ids
        .filter(|row_ids| row_ids.is_sorted())
        .ok_or_else(|| Error::internal("the database numbered rows in another order than they were sent"))
}

/// The internal names of those that are groups: the ones that they come with, as far as nobody has them.
fn names(connection: &mut Connection, arrivals: &[Arrival]) -> Result<Vec<Option<String>>> {
    let mut given: HashSet<String> = HashSet::new();
    let mut names = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        let Arrival { place, document, name, deleted, .. } = arrival;
        if !is_group(place.resource_type) || deleted.is_some() {
            names.push(name.clone());
            continue;
        }
        let wanted =
            name.clone().unwrap_or_else(|| group_name::folded(document.text("displayName").unwrap_or_default()));
        let mut taken = names_like(connection, place.tenant_id, &wanted)?;
        if given.contains(&wanted) || taken.contains(&wanted) {
            let folded = group_name::folded(document.text("displayName").unwrap_or_default());
            taken = names_like(connection, place.tenant_id, &folded)?;
            let free = group_name::distinct(&folded, taken.into_iter().chain(given.iter().cloned()));
            given.insert(free.clone());
            names.push(Some(free));
            continue;
        }
        given.insert(wanted.clone());
        names.push(Some(wanted));
    }
    Ok(names)
}

/// No change of the history that begins here is as old as `lastModified`.
fn note_last_modified(connection: &mut Connection, arrivals: &[Arrival], row_ids: &[i64]) -> Result<()> {
    let rows = arrivals.iter().zip(row_ids);
    let rows = rows.map(|(arrival, row_id)| [(*row_id).into(), arrival.meta.last_modified.naive_utc().into()]);
    insert_rows(connection, "touches", ["row_id", "at"], rows, OnConflict::Skip)?;
    Ok(())
}

/// Notes the members of groups by their ids; [`join`] makes members of those that are there by then.
///
/// # Errors
/// Database failures.
pub fn name_members<'a>(connection: &mut Connection, members: impl IntoIterator<Item = (i64, &'a str)>) -> Result<()> {
    let rows = members.into_iter().map(|(group_row_id, id)| [group_row_id.into(), id.into()]);
    insert_rows(connection, "unresolved_members", ["group_row_id", "value"], rows, OnConflict::Skip)?;
    Ok(())
}

/// Makes members of what these groups name and what is live, and of a type that groups of this place may have.
///
/// # Errors
/// Database failures.
pub fn join(connection: &mut Connection, tenant_id: i64, types: &[&str], group_row_ids: &[i64]) -> Result<()> {
    let lock = if connection.locks_rows() { " FOR KEY SHARE OF m" } else { "" };
    for chunk in group_row_ids.chunks(CHUNK) {
        let statement: Sql = Sql::new(
            "INSERT INTO group_members (group_row_id, member_row_id) SELECT u.group_row_id, m.row_id \
             FROM unresolved_members u JOIN resources m ON m.id = u.value AND m.row_id <> u.group_row_id \
             WHERE u.group_row_id IN (",
        );
        let statement = statement
            .bind_list(chunk.iter().copied())
            .push(") AND m.deleted_at IS NULL AND m.tenant_id = ")
            .bind(tenant_id)
            .push(" AND m.resource_type IN (")
            .bind_list(types.iter().copied())
            .push(")")
            // A deletion under way is waited for, and seen.
            .push(lock)
            .push(" ON CONFLICT DO NOTHING");
        statement.uncached().execute(connection)?;
        let statement: Sql = Sql::new("DELETE FROM unresolved_members WHERE group_row_id IN (");
        let statement = statement.bind_list(chunk.iter().copied()).push(
            ") AND EXISTS (SELECT 1 FROM resources m JOIN group_members gm ON gm.member_row_id = m.row_id \
                 WHERE m.id = unresolved_members.value AND gm.group_row_id = unresolved_members.group_row_id)",
        );
        statement.uncached().execute(connection)?;
    }
    Ok(())
}

/// Which of these live rows other groups have been waiting for: id and row.
///
/// # Errors
/// Database failures.
pub fn awaited(connection: &mut Connection, tenant_id: i64, row_ids: &[i64]) -> Result<Vec<(String, i64)>> {
    let mut awaited = Vec::new();
    for chunk in row_ids.chunks(CHUNK) {
        let statement: Sql<(Text, BigInt)> = Sql::new(
            "SELECT DISTINCT m.id, m.row_id FROM resources m JOIN unresolved_members u ON u.value = m.id \
             JOIN resources g ON g.row_id = u.group_row_id WHERE m.deleted_at IS NULL AND g.deleted_at IS NULL \
             AND g.row_id <> m.row_id AND g.tenant_id = ",
        );
        let statement = statement.bind(tenant_id).push(" AND m.row_id IN (").bind_list(chunk.iter().copied());
        awaited.extend(statement.push(") ORDER BY 2").uncached().load::<(String, i64)>(connection)?);
    }
    Ok(awaited)
}

/// How many values one statement carries.
const CHUNK: usize = 500;

/// The ids of these rows.
///
/// # Errors
/// Database failures.
pub fn ids(connection: &mut Connection, row_ids: &[i64]) -> Result<Vec<String>> {
    let statement: Sql<Text> = Sql::new("SELECT r.id FROM resources r WHERE r.row_id IN (");
    let statement = statement.bind_list(row_ids.iter().copied()).push(") ORDER BY r.row_id").uncached();
    if row_ids.is_empty() { Ok(Vec::new()) } else { Ok(statement.load(connection)?) }
}

/// The ids of live groups with this displayName, by its key; two are as good as many.
///
/// # Errors
/// Database failures.
pub fn groups_named(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    key: &str,
) -> Result<Vec<String>> {
    let (head, tail) = values::split(key);
    let statement: Sql<Text> = Sql::new(
        "SELECT r.id FROM resource_values v JOIN resources r ON r.row_id = v.row_id \
         WHERE r.deleted_at IS NULL AND v.tenant_path = ",
    );
    let statement = statement
        .bind(values::tenant_path(tenant_id, values::DISPLAY_NAME))
        .push(" AND v.key = ")
        .bind(head)
        .push(" AND v.tail = ")
        .bind(tail)
        .push(" AND r.resource_type = ")
        .bind(resource_type)
        .push(" ORDER BY r.row_id LIMIT 2");
    Ok(statement.load(connection)?)
}
