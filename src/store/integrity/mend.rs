//! Mends what follows from the documents: index rows, columns, rows without the other end. Never a document.
//!
//! Whatever was found may have changed since: everything is locked and looked at once more before it is written.

use diesel::sql_types::BigInt;

use super::flaw::{Column, Cure, Flaw, Outcome};
use super::known::Known;
use super::relations;
use super::row::{Row, rows};
use super::sums::IndexRow;
use crate::scim::resource::Document;
use crate::scim::schema::Registry;
use crate::scim::{ErrorKind, Result};
use crate::store::resources::{self, Place};
use crate::store::sql::Sql;
use crate::store::unique::{self, UniqueKey, unique_key};
use crate::store::{Connection, members, tenants, totals, values};

/// Mends one flaw, within a write.
///
/// # Errors
/// `Unavailable` if the data is kept for other schemas by now; database failures.
pub fn mend(connection: &mut Connection, registry: &'static Registry, flaw: &Flaw) -> Result<Outcome> {
    match &flaw.cure {
        Cure::None => Ok(Outcome::Beyond),
        Cure::Column { row_id, column } => mend_column(connection, registry, *row_id, *column),
        Cure::MissingValues { row_id } => mend_values(connection, registry, *row_id),
        Cure::MissingUnique { row_id } => mend_unique(connection, registry, *row_id),
        Cure::SurplusValue(row) => drop_value(connection, registry, row),
        Cure::SurplusUnique(row) => drop_unique(connection, registry, row),
        Cure::Membership { group_row_id, member_row_id, .. } => {
            mend_membership(connection, registry, *group_row_id, *member_row_id)
        }
        Cure::Unresolved { group_row_id, value, .. } => mend_unresolved(connection, registry, *group_row_id, value),
        Cure::Credential { row_id } => {
            let statement: Sql = Sql::new("DELETE FROM credentials WHERE row_id = ").bind(*row_id);
            deleted(statement.push(NO_LIVE_RESOURCE).bind(*row_id).push(" AND r.deleted_at IS NULL)"), connection)
        }
        Cure::Touch { row_id, at } => {
            let statement: Sql = Sql::new("DELETE FROM touches WHERE row_id = ").bind(*row_id).push(" AND at = ");
            deleted(statement.bind(*at).push(NO_LIVE_RESOURCE).bind(*row_id).push(")"), connection)
        }
        Cure::Count { tenant_id, resource_type } => {
            tenants::lock(connection, *tenant_id)?;
            if !totals::is_wrong(connection, *tenant_id, resource_type)? {
                return Ok(Outcome::Gone);
            }
            totals::recount(connection, *tenant_id, resource_type)?;
            Ok(Outcome::Mended)
        }
        Cure::Event { row_id } => {
            let statement: Sql = Sql::new("DELETE FROM outbox WHERE row_id = ").bind(*row_id);
            deleted(
                statement.push(" AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.row_id = outbox.audit_row_id)"),
                connection,
            )
        }
    }
}

/// Goes on with the number of the row.
const NO_LIVE_RESOURCE: &str = " AND NOT EXISTS (SELECT 1 FROM resources r WHERE r.row_id = ";

fn deleted(statement: Sql, connection: &mut Connection) -> Result<Outcome> {
    Ok(if statement.execute(connection)? > 0 { Outcome::Mended } else { Outcome::Gone })
}

/// A resource, kept from others together with the rules that it is held to.
struct Locked {
    row: Row,
    place: Place,
    document: Document,
}

/// What there is behind the number of a row.
enum Found {
    Nothing,
    /// A resource of which nobody can tell what its index should be.
    Unclear,
    Resource(Box<Locked>),
}

impl Found {
    fn resource(self) -> Option<Box<Locked>> {
        match self {
            Found::Resource(locked) => Some(locked),
            Found::Nothing | Found::Unclear => None,
        }
    }
}

/// The tenant comes first, as in every write.
fn lock(connection: &mut Connection, registry: &'static Registry, row_id: i64) -> Result<Found> {
    let of_row = || Sql::new("r.row_id = ").bind(row_id);
    let Some(row) = rows(connection, of_row())?.pop() else { return Ok(Found::Nothing) };
    let Some(resource_type) = registry.resource_type(&row.resource_type) else { return Ok(Found::Unclear) };
    let settings = match tenants::settings_for(connection, row.tenant_id, resource_type) {
        // Of a tenant that is no more, or is just going.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => return Ok(Found::Unclear),
        settings => settings?,
    };
    let place = Place { tenant_id: row.tenant_id, settings, resource_type };
    let clause = connection.lock_clause();
    let Some(row) = rows(connection, of_row().push(clause))?.pop() else { return Ok(Found::Nothing) };
    let Some(document) = row.document() else { return Ok(Found::Unclear) };
    Ok(Found::Resource(Box::new(Locked { row, place, document })))
}

fn mend_column(
    connection: &mut Connection,
    registry: &'static Registry,
    row_id: i64,
    column: Column,
) -> Result<Outcome> {
    let Some(locked) = lock(connection, registry, row_id)?.resource() else {
        return Ok(Outcome::Gone);
    };
    let Locked { row, place, document } = *locked;
    if !row.wrong_columns(place, &document).contains(&column) {
        return Ok(Outcome::Gone);
    }
    let due = row.due_columns(place, &document);
    let statement: Sql = Sql::new("UPDATE resources SET ");
    let statement = match column {
        Column::UniqueKey => {
            free_key(connection, place, row_id, due.unique_key.as_deref())?;
            statement.push("unique_key = ").bind(due.unique_key)
        }
        Column::Name => {
            let name = resources::internal_name(connection, place, &document, None)?;
            statement.push("name = ").bind(name)
        }
        Column::ExternalId => statement.push("external_id = ").bind(due.external_id),
        Column::DisplayName => statement.push("display_name = ").bind(due.display_name),
        Column::Active => statement.push("active = ").bind(due.active),
    };
    let statement = statement.push(" WHERE row_id = ").bind(row_id);
    unless_taken(connection, |connection| Ok(statement.execute(connection).map(drop)?))
}

/// Two resources whose documents claim one value: which of them shall have it is for people to say.
fn unless_taken(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> Result<()>) -> Result<Outcome> {
    match connection.savepoint(work) {
        Err(error) if error.kind() == ErrorKind::Uniqueness => Ok(Outcome::Beyond),
        outcome => outcome.map(|()| Outcome::Mended),
    }
}

/// Takes a key away from a live resource whose document does not claim it. That one's own key is a flaw of its own.
fn free_key(connection: &mut Connection, place: Place, row_id: i64, key: Option<&str>) -> Result<()> {
    let Some(key) = key else { return Ok(()) };
    let condition = Sql::new("r.deleted_at IS NULL AND r.tenant_id = ")
        .bind(place.tenant_id)
        .push(" AND r.resource_type = ")
        .bind(place.resource_type.name.as_str())
        .push(" AND r.unique_key = ")
        .bind(key)
        .push(" AND r.row_id <> ")
        .bind(row_id)
        .push(connection.lock_clause());
    let holder = rows(connection, condition)?.pop();
    let Some((holder, document)) = holder.and_then(|holder| Some((holder.row_id, holder.document()?))) else {
        return Ok(());
    };
    if unique_key(place.resource_type, &document, place.settings.group_names).as_deref() != Some(key) {
        let statement: Sql = Sql::new("UPDATE resources SET unique_key = NULL WHERE row_id = ");
        statement.bind(holder).execute(connection)?;
    }
    Ok(())
}

fn mend_values(connection: &mut Connection, registry: &'static Registry, row_id: i64) -> Result<Outcome> {
    let Some(locked) = lock(connection, registry, row_id)?.resource() else {
        return Ok(Outcome::Gone);
    };
    let Locked { row, place, document } = *locked;
    let due = row.due_values(place, &document);
    let stored = values::find(connection, row.tenant_id, row_id, &due)?;
    if stored == due {
        return Ok(Outcome::Gone);
    }
    values::replace(connection, row.tenant_id, row_id, &stored, &due)?;
    resources::renew(connection, row_id)?;
    Ok(Outcome::Mended)
}

fn drop_value(connection: &mut Connection, registry: &'static Registry, surplus: &IndexRow) -> Result<Outcome> {
    let IndexRow { tenant_id, row_id, value } = surplus;
    let is_due = match lock(connection, registry, *row_id)? {
        Found::Nothing => false,
        Found::Unclear => true,
        Found::Resource(found) => {
            found.row.tenant_id == *tenant_id && found.row.due_values(found.place, &found.document).contains(value)
        }
    };
    if is_due {
        return Ok(Outcome::Gone);
    }
    let surplus = [value.clone()].into();
    let there = values::find(connection, *tenant_id, *row_id, &surplus)?;
    if !there.contains(value) {
        return Ok(Outcome::Gone);
    }
    values::replace(connection, *tenant_id, *row_id, &surplus, &Default::default())?;
    Ok(Outcome::Mended)
}

fn mend_unique(connection: &mut Connection, registry: &'static Registry, row_id: i64) -> Result<Outcome> {
    let Some(locked) = lock(connection, registry, row_id)?.resource() else {
        return Ok(Outcome::Gone);
    };
    let Locked { row, place, document } = *locked;
    let due = row.due_unique(place, &document);
    let stored = unique::find(connection, row.tenant_id, place.resource_type, row_id, &due)?;
    if stored == due {
        return Ok(Outcome::Gone);
    }
    unless_taken(connection, |connection| {
        unique::replace(connection, row.tenant_id, place.resource_type, row_id, &stored, &due)
    })
}

fn drop_unique(connection: &mut Connection, registry: &'static Registry, surplus: &UniqueKey) -> Result<Outcome> {
    let is_due = match lock(connection, registry, surplus.row_id)? {
        Found::Nothing => false,
        Found::Unclear => true,
        Found::Resource(found) => found.row.claims(&found.row.due_unique(found.place, &found.document), surplus),
    };
    if is_due {
        return Ok(Outcome::Gone);
    }
    deleted(unique::deletion(surplus), connection)
}

/// Groups first: a write of a group locks it, and then whom it names.
fn lock_both(connection: &mut Connection, registry: &'static Registry, row_ids: [i64; 2]) -> Result<Known> {
    for row_id in row_ids {
        lock(connection, registry, row_id)?;
    }
    Known::load(connection, registry)
}

fn mend_membership(
    connection: &mut Connection,
    registry: &'static Registry,
    group_row_id: i64,
    member_row_id: i64,
) -> Result<Outcome> {
    let known = lock_both(connection, registry, [group_row_id, member_row_id])?;
    let flaw = relations::member(connection, &known, (group_row_id, member_row_id))?;
    let Some(Flaw { cure: Cure::Membership { unresolve, .. }, .. }) = flaw else {
        return Ok(Outcome::Gone);
    };
    members::remove(connection, group_row_id, &[member_row_id])?;
    if unresolve && let Some(member) = rows(connection, Sql::new("r.row_id = ").bind(member_row_id))?.pop() {
        members::add_unresolved(connection, group_row_id, &[&member.id])?;
    }
    Ok(Outcome::Mended)
}

fn mend_unresolved(
    connection: &mut Connection,
    registry: &'static Registry,
    group_row_id: i64,
    value: &str,
) -> Result<Outcome> {
    let member: Sql<BigInt> = Sql::new("SELECT r.row_id FROM resources r WHERE r.id = ").bind(value);
    let member: Option<i64> = member.load(connection)?.pop();
    let known = lock_both(connection, registry, [group_row_id, member.unwrap_or_default()])?;
    let flaw = relations::unresolved_member(connection, &known, (group_row_id, value))?;
    let Some(Flaw { cure: Cure::Unresolved { resolve, .. }, .. }) = flaw else {
        return Ok(Outcome::Gone);
    };
    members::remove_unresolved(connection, group_row_id, &[value])?;
    if let Some(member_row_id) = member.filter(|_| resolve) {
        members::add(connection, group_row_id, &[member_row_id])?;
    }
    Ok(Outcome::Mended)
}
