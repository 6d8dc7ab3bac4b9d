//! New resources of several callers, where statements are round trips: one statement for all of them that is a transaction by
//! itself, or where that does not do ([`insert_at_once`]), two within a transaction.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Nullable, Text};

use super::audit::{self, Operation, Written};
use super::cell::Cell;
use super::lists::ListSql;
use super::resources::{NewResource, StoredResource};
use super::tenants::{self, TenantsSeen};
use super::values::{self, IndexedValue};
use super::{Connection, error, limits};
use crate::scim::Result;

/// A live resource that is to be made, all of which is in its row ([`NewResource::is_all_in_its_row`]).
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// The resource.
    pub resource: &'a NewResource,
    /// What the history says of its creation, if it succeeds no other one.
    pub written: &'a Written,
}

/// Makes resources of one type, with their search index, history and events, by one statement that needs no transaction. What
/// is stored of each; `None` for one that clashes with another one or succeeds one, which is for a transaction of its own to
/// tell. `None` in place of all of them, and nothing is stored, if one statement can't tell whether the tenant may have them.
///
/// # Errors
/// Database failures, also if somebody has a row or a name that is asked for, and keeps it for longer than a moment, or was
/// deleted until it was free and is to be succeeded; nothing is stored.
pub fn insert_at_once(
    connection: &mut Connection,
    tenant_id: i64,
    new: &[New<'_>],
    seen: &TenantsSeen,
) -> Result<Option<Vec<Option<StoredResource<()>>>>> {
    let Some(resource_type) = new.first().map(|first| first.resource.resource_type()) else { return Ok(None) };
    let Some(tenant) =
        seen.of(tenant_id, resource_type).filter(|tenant| tenant.settings().most(resource_type).is_none())
    else {
        return Ok(None);
    };
    let type_name = &resource_type.name;
    let indexed = new.iter().flat_map(indexed_of);
    let written: Vec<&Written> = new.iter().map(|new| new.written).collect();
    let statement: ListSql<'_, (Nullable<BigInt>, Nullable<Text>)> = tenant.if_unchanged(connection);
    let statement = made(statement, tenant_id, type_name, new).push(" WHERE ");
    let statement = predecessor(statement, tenant_id, type_name).push(
        " IS NULL ON CONFLICT DO NOTHING RETURNING row_id, id, unique_key), \
         alone AS MATERIALIZED (SELECT m.row_id, m.id FROM made m WHERE succeeds_nobody(",
    );
    let statement = statement.bind_number(tenant_id).push(", ").bind_text(type_name).push(", m.unique_key))");
    let statement = values::beside::insert(statement, "alone", tenant_id, indexed);
    let statement = audit::beside::append(statement, "alone", &written, Operation::Create);
    let statement = statement.push(" SELECT m.row_id, m.id FROM t LEFT JOIN alone m ON TRUE");
    let answer: Vec<(Option<i64>, Option<String>)> = statement.load(connection)?;
    if answer.is_empty() {
        return Ok(None);
    }
    Ok(Some(stored_of(new, answer)))
}

/// Inserts resources of one type, without their search index and history. What is stored of each; `None` for one that clashes
/// with another one, which is for a transaction of its own to tell.
///
/// # Errors
/// Those of [`tenants::settings_for`]; 403 if the tenant may not have so many; database failures.
pub fn insert(
    connection: &mut Connection,
    tenant_id: i64,
    new: &[New<'_>],
    seen: &TenantsSeen,
) -> Result<Vec<Option<StoredResource<()>>>> {
    let Some(resource_type) = new.first().map(|first| first.resource.resource_type()) else { return Ok(Vec::new()) };
    // The tenant comes first, as it does in every write.
    let statement: ListSql<'_, (tenants::KeptType, Nullable<BigInt>, Nullable<Text>)> =
        ListSql::new("WITH t AS MATERIALIZED (SELECT ").push(tenants::KEPT_COLUMNS).push(" FROM tenants t");
    let statement = statement.push(" WHERE t.tenant_id = ").bind_number(tenant_id);
    let statement = statement.push(connection.share_at_once_clause()).push(")");
    let statement = made(statement, tenant_id, &resource_type.name, new)
        .push(" ON CONFLICT DO NOTHING RETURNING row_id, id) SELECT ")
        .push(tenants::KEPT_COLUMNS)
        .push(", m.row_id, m.id FROM t LEFT JOIN made m ON TRUE");
    let answer: Vec<(tenants::Kept, Option<i64>, Option<String>)> = statement.load(connection)?;
    let Some((kept, ..)) = answer.first().cloned() else { return Err(error::held()) };
    let settings = seen.see(tenant_id, kept, resource_type)?;
    let stored = stored_of(new, answer.into_iter().map(|(_, row_id, id)| (row_id, id)));
    if stored.iter().any(Option::is_some) {
        limits::added(connection, tenant_id, &settings, resource_type)?;
    }
    Ok(stored)
}

/// The rows of resources, but for what ends their insertion. What is known of the tenant is `t`.
fn made<'a, Row>(statement: ListSql<'a, Row>, tenant_id: i64, type_name: &'a str, new: &[New<'a>]) -> ListSql<'a, Row> {
    // Two who insert the same keys wait for each other in the same order. Who came first among these is nobody's to tell.
    let mut by_key: Vec<&NewResource> = new.iter().map(|new| new.resource).collect();
    by_key.sort_by(|one, other| one.columns().unique_key.cmp(&other.columns().unique_key));
    let rows: Vec<_> = by_key.into_iter().map(cells_of).collect();
    let statement = statement.push(", made AS (INSERT INTO resources (tenant_id, resource_type, ").columns(&CELLS);
    let statement = statement.push(") SELECT ").bind_number(tenant_id).push(", ").bind_text(type_name);
    statement.push(", g.* FROM t CROSS JOIN ").table(&rows, "g", &CELLS)
}

/// What the statement says of each.
fn stored_of(
    new: &[New<'_>],
    answer: impl IntoIterator<Item = (Option<i64>, Option<String>)>,
) -> Vec<Option<StoredResource<()>>> {
    let made = answer.into_iter().filter_map(|(row_id, id)| Some((id?, row_id?)));
    let made: HashMap<String, i64> = made.collect();
    let resources = new.iter().map(|new| new.resource);
    resources.map(|resource| made.get(resource.id()).map(|row_id| resource.stored(*row_id, None))).collect()
}

/// The id of the resource of a type that was buried last with the unique key of `g`.
fn predecessor<'a, Row>(statement: ListSql<'a, Row>, tenant_id: i64, type_name: &'a str) -> ListSql<'a, Row> {
    let statement = statement.push(
        "(SELECT r.id FROM resources r WHERE r.deleted_at IS NOT NULL AND r.purged_at IS NULL AND r.tenant_id = ",
    );
    let statement = statement.bind_number(tenant_id).push(" AND r.resource_type = ").bind_text(type_name);
    statement.push(" AND r.unique_key = g.unique_key ORDER BY r.row_id DESC LIMIT 1)")
}

/// The columns of [`cells_of`].
const CELLS: [&str; 9] =
    ["id", "unique_key", "external_id", "display_name", "active", "document", "version", "created_at", "modified_at"];

fn cells_of(new: &NewResource) -> [Cell<'_>; CELLS.len()] {
    let (columns, meta) = (new.columns(), new.meta());
    [
        new.id().into(),
        columns.unique_key.as_deref().into(),
        columns.external_id.as_deref().into(),
        columns.display_name.as_deref().into(),
        columns.active.into(),
        new.text().into(),
        meta.version.into(),
        meta.created.naive_utc().into(),
        meta.last_modified.naive_utc().into(),
    ]
}

/// Puts resources of one type, which [`insert`] has given their rows, into the search index, and their creation into the
/// history with its event. Of those that succeed a buried resource ([`super::resources::predecessor`]) the history has to say
/// so, and gets no row here: the id of each, and of the one that it succeeds.
///
/// # Errors
/// Database failures.
pub fn complete(
    connection: &mut Connection,
    tenant_id: i64,
    inserted: &[(New<'_>, i64)],
) -> Result<Vec<(String, String)>> {
    let Some((first, _)) = inserted.first() else { return Ok(Vec::new()) };
    let given: Vec<_> = inserted.iter().map(|(new, row_id)| given(new, *row_id)).collect();
    let indexed = inserted.iter().flat_map(|(new, _)| indexed_of(new));
    let written: Vec<&Written> = inserted.iter().map(|(new, _)| new.written).collect();
    let statement: ListSql<'_, (Text, Text)> = ListSql::new("WITH given AS MATERIALIZED (SELECT g.row_id, g.id, ");
    let statement = predecessor(statement, tenant_id, &first.resource.resource_type().name)
        .push(" AS predecessor FROM ")
        .table(&given, "g", &["row_id", "id", "unique_key"])
        .push("), alone AS (SELECT id FROM given WHERE predecessor IS NULL)");
    let statement = values::beside::insert(statement, "given", tenant_id, indexed);
    let statement = audit::beside::append(statement, "alone", &written, Operation::Create);
    let statement = statement.push(" SELECT id, predecessor FROM given WHERE predecessor IS NOT NULL");
    Ok(statement.load(connection)?)
}

fn given<'a>(new: &New<'a>, row_id: i64) -> [Cell<'a>; 3] {
    [row_id.into(), new.resource.id().into(), new.resource.columns().unique_key.as_deref().into()]
}

/// The values that the search index has of a resource, each with its id.
fn indexed_of<'a>(new: &New<'a>) -> impl Iterator<Item = (&'a str, &'a IndexedValue)> {
    let resource = new.resource;
    resource.indexed().iter().map(|value| (resource.id(), value))
}
