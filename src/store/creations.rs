//! New resources of several callers: two statements for all of them, where statements are round trips.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Nullable, Text};

use super::audit::{self, Written};
use super::cell::Cell;
use super::lists::ListSql;
use super::resources::{NewResource, Place, StoredResource};
use super::tenants;
use super::values::key_of;
use super::{Connection, error, limits};
use crate::scim::Result;

/// How many come together at most: of more each has hardly less to wait for, and all wait for the last one.
pub const MOST_TOGETHER: usize = 32;

/// Inserts live resources of one type that are all in their rows ([`NewResource::is_all_in_its_row`]), without their search
/// index and history. What is stored of each; `None` for one that clashes with another one, which is for a transaction of its
/// own to tell.
///
/// # Errors
/// Those of [`tenants::settings_for`]; 403 if the tenant may not have so many; database failures.
pub fn insert(
    connection: &mut Connection,
    tenant_id: i64,
    new: &[&NewResource],
) -> Result<Vec<Option<StoredResource<()>>>> {
    let Some(resource_type) = new.first().map(|first| first.resource_type()) else { return Ok(Vec::new()) };
    // Two who insert the same keys wait for each other in the same order. Who came first among these is nobody's to tell.
    let mut by_key = new.to_vec();
    by_key.sort_by(|one, other| one.columns().unique_key.cmp(&other.columns().unique_key));
    let rows: Vec<_> = by_key.iter().map(|new| cells_of(new)).collect();
    // The tenant comes first, as it does in every write.
    let statement: ListSql<'_, (tenants::KeptType, Nullable<BigInt>, Nullable<Text>)> =
        ListSql::new("WITH t AS MATERIALIZED (SELECT ").push(tenants::KEPT_COLUMNS).push(" FROM tenants t");
    let statement = statement.push(" WHERE t.tenant_id = ").bind_number(tenant_id);
    let statement = statement.push(connection.share_at_once_clause()).push(
        "), made AS (INSERT INTO resources (tenant_id, resource_type, id, unique_key, external_id, display_name, active, \
         document, version, created_at, modified_at) SELECT ",
    );
    let statement = statement.bind_number(tenant_id).push(", ").bind_text(&resource_type.name);
    let statement = statement
        .push(", g.* FROM t CROSS JOIN ")
        .rows(&rows)
        .push(" g ON CONFLICT DO NOTHING RETURNING row_id, id) SELECT ");
    let statement = statement.push(tenants::KEPT_COLUMNS).push(", m.row_id, m.id FROM t LEFT JOIN made m ON TRUE");
    let answer: Vec<(tenants::Kept, Option<i64>, Option<String>)> = statement.load(connection)?;
    let Some((kept, ..)) = answer.first() else { return Err(error::held()) };
    let place = Place { tenant_id, settings: tenants::check_kept(kept.clone(), resource_type)?, resource_type };
    let made: HashMap<String, i64> = answer.into_iter().filter_map(|(_, row_id, id)| Some((id?, row_id?))).collect();
    if !made.is_empty() {
        limits::added(connection, tenant_id, &place.settings, resource_type)?;
    }
    Ok(new.iter().map(|new| made.get(new.id()).map(|row_id| new.stored(*row_id, None))).collect())
}

fn cells_of(new: &NewResource) -> [Cell<'_>; 9] {
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

/// One that [`insert`] has stored.
#[derive(Debug, Clone, Copy)]
pub struct Inserted<'a> {
    /// The resource.
    pub new: &'a NewResource,
    /// Its row.
    pub row_id: i64,
    /// What the history says of its creation, if it succeeds no other one.
    pub written: &'a Written,
}

/// Puts new resources of one type into the search index, and their creation into the history with its event. Of those that
/// succeed a buried resource ([`super::resources::predecessor`]) the history has to say so, and gets no row here: the id of
/// each, and of the one that it succeeds.
///
/// # Errors
/// Database failures.
pub fn complete(
    connection: &mut Connection,
    tenant_id: i64,
    inserted: &[Inserted<'_>],
) -> Result<Vec<(String, String)>> {
    let Some(Inserted { new: first, .. }) = inserted.first() else { return Ok(Vec::new()) };
    let given: Vec<_> = inserted.iter().map(given).collect();
    let indexed = inserted.iter().flat_map(|it| it.new.indexed().iter().map(|value| (it.row_id, value)));
    let indexed: Vec<_> = indexed
        .map(|(row_id, value)| {
            let [tenant_path, key, row_id, element] = key_of(tenant_id, row_id, value);
            [tenant_path, key, row_id, element, value.tail.as_str().into()]
        })
        .collect();
    let columns = || audit::COLUMNS.into_iter().flat_map(|column| [", ", column]);
    let statement: ListSql<'_, (Text, Text)> = ListSql::new(
        "WITH given AS MATERIALIZED (SELECT g.*, (SELECT r.id FROM resources r WHERE r.deleted_at IS NOT NULL \
         AND r.purged_at IS NULL AND r.tenant_id = ",
    );
    let statement = statement.bind_number(tenant_id).push(" AND r.resource_type = ");
    let statement = statement
        .bind_text(&first.resource_type().name)
        .push(" AND r.unique_key = g.unique_key ORDER BY r.row_id DESC LIMIT 1) AS predecessor FROM ");
    let statement =
        statement.rows(&given).push(" g (unique_key").push_all(columns()).push(
            ")), indexed AS (INSERT INTO resource_values (tenant_path, key, row_id, element, tail) SELECT * FROM ",
        );
    let statement = statement.rows(&indexed).push("), change AS (INSERT INTO audit (").push_all(columns().skip(1));
    let statement = statement.push(") SELECT ").push_all(columns().skip(1)).push(
        " FROM given WHERE predecessor IS NULL RETURNING row_id), \
         told AS (INSERT INTO outbox (audit_row_id, event) SELECT row_id, ",
    );
    let statement = statement
        .bind_text(audit::CREATED)
        .push(" FROM change) SELECT resource_id, predecessor FROM given WHERE predecessor IS NOT NULL");
    Ok(statement.load(connection)?)
}

/// The unique key and what the history says.
fn given<'a>(inserted: &Inserted<'a>) -> [Cell<'a>; audit::COLUMNS.len() + 1] {
    let key = inserted.new.columns().unique_key.as_deref();
    let mut cells = [Cell::NullableText(key); audit::COLUMNS.len() + 1];
    cells[1..].copy_from_slice(&inserted.written.cells());
    cells
}
