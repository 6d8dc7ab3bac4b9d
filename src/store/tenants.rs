//! Tenants: one namespace and one provisioning domain each (RFC 7644 §6).

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::Connection;
use super::error::{from_diesel, unique};
use super::schema::tenants;
use super::unique::GroupNames;
use crate::scim::{Error, Result};

/// The tenant that exists from the first migration.
pub const DEFAULT: &str = "default";

/// A tenant.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The key inside the database.
    pub tenant_id: i64,
    /// What operators call it.
    pub name: String,
    /// Its rules.
    pub settings: Settings,
}

/// The rules of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// When two groups may share a name.
    pub group_names: GroupNames,
}

type Row = (i64, String, String);

/// Makes a tenant.
///
/// # Errors
/// `uniqueness` if there is one of that name; database failures.
pub fn insert(connection: &mut Connection, name: &str, now: DateTime<Utc>) -> Result<Tenant> {
    let tenant_id = diesel::insert_into(tenants::table)
        .values((tenants::name.eq(name), tenants::settings.eq("{}"), tenants::created_at.eq(now.naive_utc())))
        .returning(tenants::tenant_id)
        .get_result(connection)
        .map_err(|error| unique(error, format!("There is a tenant '{name}' already.")))?;
    Ok(Tenant { tenant_id, name: name.to_owned(), settings: Settings::default() })
}

/// The tenant of that name.
///
/// # Errors
/// Database failures.
pub fn find(connection: &mut Connection, name: &str) -> Result<Option<Tenant>> {
    let query = tenants::table.filter(tenants::name.eq(name));
    let row: Option<Row> = query
        .select((tenants::tenant_id, tenants::name, tenants::settings))
        .first(connection)
        .optional()
        .map_err(from_diesel)?;
    row.map(tenant).transpose()
}

/// All tenants, in the order of creation.
///
/// # Errors
/// Database failures.
pub fn list(connection: &mut Connection) -> Result<Vec<Tenant>> {
    let query = tenants::table.order(tenants::tenant_id).select((tenants::tenant_id, tenants::name, tenants::settings));
    let rows: Vec<Row> = query.load(connection).map_err(from_diesel)?;
    rows.into_iter().map(tenant).collect()
}

/// The rules of a tenant.
///
/// # Errors
/// Database failures.
pub fn settings(connection: &mut Connection, tenant_id: i64) -> Result<Settings> {
    let text: String =
        tenants::table.find(tenant_id).select(tenants::settings).first(connection).map_err(from_diesel)?;
    serde_json::from_str(&text).map_err(Error::internal)
}

/// Changes the rules of a tenant. What follows from them is the caller's business
/// ([`super::resources::rekey_groups`]).
///
/// # Errors
/// Database failures.
pub fn set_settings(connection: &mut Connection, tenant_id: i64, settings: &Settings) -> Result<()> {
    let text = serde_json::to_string(settings).map_err(Error::internal)?;
    diesel::update(tenants::table.find(tenant_id))
        .set(tenants::settings.eq(text))
        .execute(connection)
        .map_err(from_diesel)?;
    Ok(())
}

fn tenant((tenant_id, name, settings): Row) -> Result<Tenant> {
    Ok(Tenant { tenant_id, name, settings: serde_json::from_str(&settings).map_err(Error::internal)? })
}
