//! How many resources of a type a tenant may have, where an operator has set a limit.
//!
//! It is exact, also between processes: who adds one where there is a limit waits for those who do so at the same time,
//! until they have committed. Where there is none it costs nothing.

use super::Connection;
use super::tenants::TenantSettings;
use super::totals;
use crate::scim::schema::ResourceType;
use crate::scim::{Error, ErrorKind, Result};

/// Refuses live resources that were just added if there are too many now. What clashes with another one has been refused
/// for that before.
///
/// # Errors
/// `LimitReached` if the tenant had as many as it may have; database failures.
pub(super) fn added(
    connection: &mut Connection,
    tenant_id: i64,
    settings: &TenantSettings,
    resource_type: &ResourceType,
) -> Result<()> {
    let Some(most) = settings.most(resource_type) else { return Ok(()) };
    let name = &resource_type.name;
    connection.lock_limit(tenant_id, name)?;
    if totals::of_type(connection, tenant_id, name)? <= i64::from(most) {
        return Ok(());
    }
    let detail = format!("This tenant has as many resources of the type {name} as it may have: {most}.");
    Err(Error::new(ErrorKind::LimitReached, detail))
}
