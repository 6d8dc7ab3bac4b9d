//! How many resources of a type a tenant may have, where an operator has set a limit.
//!
//! It is exact, also between processes, and costs nothing where there is no limit. Where there is one, a row holds the
//! number of live resources, in the transaction of each change, so no creation has to count them.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use super::Connection;
use super::sql::Sql;
use super::tenants::TenantSettings;
use crate::scim::schema::ResourceType;
use crate::scim::{Error, ErrorKind, Result};

/// Begins or ends the count of a type after the settings of its tenant have changed, in the transaction of that change,
/// which keeps every other write of the tenant waiting.
///
/// # Errors
/// Database failures.
pub fn settle(
    connection: &mut Connection,
    tenant_id: i64,
    settings: &TenantSettings,
    resource_type: &ResourceType,
) -> Result<()> {
    if settings.most(resource_type).is_some() {
        return begin(connection, tenant_id, resource_type).map(drop);
    }
    let statement: Sql = Sql::new("DELETE FROM live_counts WHERE tenant_id = ").bind(tenant_id);
    statement.push(" AND resource_type = ").bind(resource_type.name.as_str()).execute(connection)?;
    Ok(())
}

/// Counts live resources that were just added, so many of them, and refuses them if that is too many. What clashes with
/// another one has been refused for that before.
///
/// # Errors
/// `LimitReached` if the tenant had as many as it may have; database failures.
pub(super) fn added(
    connection: &mut Connection,
    tenant_id: i64,
    settings: &TenantSettings,
    resource_type: &ResourceType,
    number: u32,
) -> Result<()> {
    let Some(most) = settings.most(resource_type) else { return Ok(()) };
    if change(connection, tenant_id, resource_type, number.into())? <= i64::from(most) {
        return Ok(());
    }
    let name = &resource_type.name;
    let detail = format!("This tenant has as many resources of the type {name} as it may have: {most}.");
    Err(Error::new(ErrorKind::LimitReached, detail))
}

/// Counts a live resource less.
///
/// # Errors
/// Database failures.
pub(super) fn removed(
    connection: &mut Connection,
    tenant_id: i64,
    settings: &TenantSettings,
    resource_type: &ResourceType,
) -> Result<()> {
    if settings.most(resource_type).is_some() {
        change(connection, tenant_id, resource_type, -1)?;
    }
    Ok(())
}

/// The number after the change, which is in the database already. Other transactions that change it wait.
fn change(connection: &mut Connection, tenant_id: i64, resource_type: &ResourceType, by: i64) -> Result<i64> {
    if let Some(live) = update(connection, tenant_id, resource_type, by)? {
        return Ok(live);
    }
    // Nobody has counted yet; whoever does so now counts this change, too. Whoever has waited for another one to do so has
    // a change that the other did not see.
    let by = if begin(connection, tenant_id, resource_type)? { 0 } else { by };
    update(connection, tenant_id, resource_type, by)?.ok_or_else(|| Error::internal("a count that has begun is gone"))
}

fn update(connection: &mut Connection, tenant_id: i64, resource_type: &ResourceType, by: i64) -> Result<Option<i64>> {
    let update: Sql<BigInt> = Sql::new("UPDATE live_counts SET live = live + ").bind(by).push(" WHERE tenant_id = ");
    let update = update.bind(tenant_id).push(" AND resource_type = ").bind(resource_type.name.as_str());
    Ok(update.push(" RETURNING live").load::<i64>(connection)?.pop())
}

/// Whether the count has begun here, with every resource that this transaction sees; else it is there.
fn begin(connection: &mut Connection, tenant_id: i64, resource_type: &ResourceType) -> Result<bool> {
    let name = resource_type.name.as_str();
    let statement: Sql = Sql::new("INSERT INTO live_counts (tenant_id, resource_type, live) SELECT ").bind(tenant_id);
    let statement = statement.push(", ").bind(name).push(", count(*) FROM resources r WHERE r.tenant_id = ");
    let statement = statement.bind(tenant_id).push(" AND r.resource_type = ").bind(name);
    Ok(statement.push(" AND r.deleted_at IS NULL ON CONFLICT DO NOTHING").execute(connection)? > 0)
}

/// The tenants and types whose number is not that of the live resources that there are.
///
/// # Errors
/// Database failures.
pub(super) fn wrong(connection: &mut Connection) -> Result<Vec<(i64, String)>> {
    let statement: Sql<(BigInt, Text)> =
        Sql::new("SELECT c.tenant_id, c.resource_type FROM live_counts c WHERE c.live <> ");
    Ok(statement.push(COUNTED).push(" ORDER BY c.tenant_id, c.resource_type").load(connection)?)
}

/// Counts once more, with the tenant kept from others; whether the number was another one.
///
/// # Errors
/// Database failures.
pub(super) fn recount(connection: &mut Connection, tenant_id: i64, resource_type: &str) -> Result<bool> {
    let statement: Sql = Sql::new("UPDATE live_counts AS c SET live = ").push(COUNTED).push(" WHERE c.live <> ");
    let statement = statement.push(COUNTED).push(" AND c.tenant_id = ").bind(tenant_id);
    Ok(statement.push(" AND c.resource_type = ").bind(resource_type).execute(connection)? > 0)
}

/// The number of live resources that a row `c` tells of.
const COUNTED: &str = "(SELECT count(*) FROM resources r WHERE r.tenant_id = c.tenant_id AND r.resource_type = c.resource_type \
                       AND r.deleted_at IS NULL)";
