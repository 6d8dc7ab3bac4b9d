//! Tenants: namespaces that see nothing of each other, and what an operator may set for each.

mod contents;
mod removal;
mod seen;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::error;
use super::forms::Forms;
use super::schema::tenants;
use super::sql::Sql;
use crate::scim::schema::{GROUP_URN, Registry, ResourceType, USER_URN};
use crate::scim::{Error, ErrorKind, Profile, Result};

pub use contents::{Contents, TypeCount, contents};
pub use removal::{Piece, Removal, delete_events, events};
pub use seen::{SeenTenant, TenantsSeen};

/// The name of the tenant that is there from the first migration on.
pub const DEFAULT: &str = "default";

/// A namespace: what one identity provider pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its number in every other table; 1 is `default`.
    pub tenant_id: i64,
    /// What operators call it; unique.
    pub name: String,
    /// What an operator has set for it.
    pub settings: TenantSettings,
    /// When it was made, UTC, whole milliseconds.
    pub created_at: NaiveDateTime,
    /// Since when its keys open nothing.
    pub suspended_at: Option<NaiveDateTime>,
    /// Since when it is being deleted: parts of it may be gone, and nothing is written into it any more.
    pub deleted_at: Option<NaiveDateTime>,
}

impl Tenant {
    /// Refuses what would add to a tenant that is being deleted.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn check_not_deleted(&self) -> Result<()> {
        if self.deleted_at.is_none() { Ok(()) } else { Err(is_being_deleted()) }
    }
}

/// What an operator may set for one tenant; kept as JSON, absent members have their defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TenantSettings {
    /// When two groups may share a name.
    pub group_names: GroupNames,
    /// Whether PUT, PATCH and DELETE must name the version that they expect (VER-09). Off: many clients know no versions.
    pub require_if_match: bool,
    /// The profile of new keys of which nobody says it.
    pub default_profile: Profile,
    /// The most live users that there may be; without it any number.
    pub max_users: Option<u32>,
    /// The most live groups that there may be; without it any number.
    pub max_groups: Option<u32>,
}

impl TenantSettings {
    /// The most live resources of a type that there may be, where there is a limit.
    pub fn most(&self, resource_type: &ResourceType) -> Option<u32> {
        match resource_type.schema.id.as_str() {
            USER_URN => self.max_users,
            GROUP_URN => self.max_groups,
            _ => None,
        }
    }
}

/// When two live groups of a tenant may share a `displayName`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupNames {
    /// Only if their `externalId`s differ.
    #[default]
    ByExternalId,
    /// Never.
    Unique,
    /// Always.
    Free,
}

type Row = (i64, String, String, NaiveDateTime, Option<NaiveDateTime>, Option<NaiveDateTime>);

/// The columns of [`Row`].
const COLUMNS: (
    tenants::tenant_id,
    tenants::name,
    tenants::settings,
    tenants::created_at,
    tenants::suspended_at,
    tenants::deleted_at,
) = (
    tenants::tenant_id,
    tenants::name,
    tenants::settings,
    tenants::created_at,
    tenants::suspended_at,
    tenants::deleted_at,
);

/// Makes a tenant with default settings; [`ErrorKind::Uniqueness`] if there is one of that name.
pub fn insert(connection: &mut Connection, name: &str, at: NaiveDateTime) -> Result<Tenant> {
    // What is kept for nobody yet is kept in any form: that of the others, which stays until this one is there.
    let clause = connection.share_clause();
    let first: Sql<Text> = Sql::new("SELECT t.schemas FROM tenants t ORDER BY t.tenant_id LIMIT 1").push(clause);
    let forms = first.get_result::<String>(connection).optional()?;
    let forms = forms.unwrap_or_else(|| "{}".to_owned());
    let row = diesel::insert_into(tenants::table)
        .values((
            tenants::name.eq(name),
            tenants::settings.eq("{}"),
            tenants::created_at.eq(at),
            tenants::schemas.eq(forms),
        ))
        .returning(COLUMNS)
        .get_result::<Row>(connection)
        .map_err(error::unique(format!("There is a tenant named `{name}` already.")))?;
    read(row)
}

/// The tenant of that name, compared exactly.
pub fn find_by_name(connection: &mut Connection, name: &str) -> Result<Option<Tenant>> {
    let row = tenants::table.filter(tenants::name.eq(name)).select(COLUMNS).first::<Row>(connection).optional()?;
    row.map(read).transpose()
}

/// The tenant of that number.
pub fn find(connection: &mut Connection, tenant_id: i64) -> Result<Option<Tenant>> {
    let row = tenants::table.find(tenant_id).select(COLUMNS).first::<Row>(connection).optional()?;
    row.map(read).transpose()
}

/// The tenant of that number, kept from others until the transaction ends: whoever would write its resources waits.
/// [`ErrorKind::NotFound`] if there is none.
pub fn lock(connection: &mut Connection, tenant_id: i64) -> Result<Tenant> {
    connection.wait_for_others()?;
    let clause = connection.lock_clause();
    held(connection, tenant_id, clause)
}

/// The tenant of that number, to which something is about to be added; it stays as it is until the transaction ends.
/// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::Forbidden`] if it is being deleted.
pub fn lock_shared(connection: &mut Connection, tenant_id: i64) -> Result<Tenant> {
    let clause = connection.share_clause();
    let tenant = held(connection, tenant_id, clause)?;
    tenant.check_not_deleted()?;
    Ok(tenant)
}

fn held(connection: &mut Connection, tenant_id: i64, clause: &'static str) -> Result<Tenant> {
    let row: Sql<BigInt> = Sql::new("SELECT t.tenant_id FROM tenants t WHERE t.tenant_id = ");
    row.bind(tenant_id).push(clause).load::<i64>(connection)?;
    find(connection, tenant_id)?.ok_or_else(no_such_tenant)
}

/// All tenants in the order of their creation.
pub fn list(connection: &mut Connection) -> Result<Vec<Tenant>> {
    let rows = tenants::table.order(tenants::tenant_id).select(COLUMNS).load::<Row>(connection)?;
    rows.into_iter().map(read).collect()
}

/// The tenants behind this row in the order of their creation, at most `limit`.
pub fn list_after(connection: &mut Connection, after: i64, limit: i64) -> Result<Vec<Tenant>> {
    let later = tenants::table.filter(tenants::tenant_id.gt(after)).order(tenants::tenant_id).limit(limit);
    let rows = later.select(COLUMNS).load::<Row>(connection)?;
    rows.into_iter().map(read).collect()
}

/// What is set for a tenant, and stays set until the transaction ends; [`ErrorKind::NotFound`] if there is none of that
/// number, [`ErrorKind::Busy`] while another transaction keeps the tenant to itself. Within a write.
pub fn settings(connection: &mut Connection, tenant_id: i64) -> Result<TenantSettings> {
    parse(&kept(connection, tenant_id)?.0)
}

/// The same before a write of a resource of this type; [`ErrorKind::Unavailable`] if what is stored is kept for another
/// definition of the type than ours, [`ErrorKind::Forbidden`] if the tenant is being deleted.
pub fn settings_for(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &ResourceType,
) -> Result<TenantSettings> {
    let kept = kept(connection, tenant_id)?;
    check_kept(kept, resource_type)
}

/// What every write looks at first, of a tenant `t`: its settings, the forms of its data, and since when it is being
/// deleted.
pub(super) const KEPT_COLUMNS: &str = "t.settings, t.schemas, t.deleted_at";

/// The SQL types of [`KEPT_COLUMNS`].
pub(super) type KeptType = (Text, Text, Nullable<Timestamp>);

/// [`KEPT_COLUMNS`] in Rust.
pub(super) type Kept = (String, String, Option<NaiveDateTime>);

/// The settings, if resources of this type may be written.
pub(super) fn check_kept(kept: Kept, resource_type: &ResourceType) -> Result<TenantSettings> {
    let (settings, forms, deleted_at) = kept;
    if deleted_at.is_some() {
        return Err(is_being_deleted());
    }
    Forms::parse(&forms)?.check(resource_type)?;
    parse(&settings)
}

fn kept(connection: &mut Connection, tenant_id: i64) -> Result<Kept> {
    let clause = connection.share_at_once_clause();
    let query: Sql<KeptType> = Sql::new("SELECT ").push(KEPT_COLUMNS).push(" FROM tenants t WHERE t.tenant_id = ");
    let found = query.bind(tenant_id).push(clause).get_result::<Kept>(connection).optional()?;
    match found {
        Some(kept) => Ok(kept),
        None => Err(if find(connection, tenant_id)?.is_some() { error::held() } else { no_such_tenant() }),
    }
}

/// For which definitions the data of a tenant is kept, as of now.
pub(super) fn forms(connection: &mut Connection, tenant_id: i64) -> Result<Forms> {
    let text: String = tenants::table.find(tenant_id).select(tenants::schemas).first(connection)?;
    Forms::parse(&text)
}

/// [`ErrorKind::Unavailable`] if what is stored is kept for other definitions than these. Of one tenant, for all have
/// the same but in the moment of a start.
pub fn check_forms(connection: &mut Connection, registry: &Registry) -> Result<()> {
    let forms: Option<String> =
        tenants::table.order(tenants::tenant_id).select(tenants::schemas).first(connection).optional()?;
    let forms = Forms::parse(forms.as_deref().unwrap_or("{}"))?;
    registry.resource_types().iter().try_for_each(|resource_type| forms.check(resource_type))
}

/// All tenants, and for which definitions the data of each is kept.
pub(super) fn list_with_forms(connection: &mut Connection) -> Result<Vec<(Tenant, Forms)>> {
    let rows = tenants::table.order(tenants::tenant_id).select((COLUMNS, tenants::schemas));
    let rows = rows.load::<(Row, String)>(connection)?;
    rows.into_iter().map(|(row, forms)| Ok((read(row)?, Forms::parse(&forms)?))).collect()
}

/// The names of the tenants whose data is kept for other definitions than these.
pub fn kept_for_other_schemas(connection: &mut Connection, registry: &Registry) -> Result<Vec<String>> {
    let types = registry.resource_types();
    let fits = |forms: &Forms| types.iter().all(|resource_type| forms.check(resource_type).is_ok());
    let differing = list_with_forms(connection)?.into_iter().filter(|(_, forms)| !fits(forms));
    Ok(differing.map(|(tenant, _)| tenant.name).collect())
}

/// Keeps everybody else from writing in a tenant until the transaction ends: every write looks at its row first.
pub fn hold(connection: &mut Connection, tenant_id: i64) -> Result<()> {
    connection.wait_for_others()?;
    let clause = connection.deletion_clause();
    let statement: Sql<BigInt> =
        Sql::new("SELECT t.tenant_id FROM tenants t WHERE t.tenant_id = ").bind(tenant_id).push(clause);
    statement.get_result::<i64>(connection).optional()?.map(drop).ok_or_else(no_such_tenant)
}

/// Replaces what is set for a tenant; [`ErrorKind::NotFound`] if there is none of that number.
pub fn set_settings(connection: &mut Connection, tenant_id: i64, settings: &TenantSettings) -> Result<()> {
    let text = serde_json::to_string(settings).map_err(Error::internal)?;
    let updated = diesel::update(tenants::table.find(tenant_id)).set(tenants::settings.eq(text)).execute(connection)?;
    if updated == 0 { Err(no_such_tenant()) } else { Ok(()) }
}

/// Gives a tenant another name; [`ErrorKind::Uniqueness`] if another one has it.
pub fn rename(connection: &mut Connection, tenant_id: i64, name: &str) -> Result<()> {
    diesel::update(tenants::table.find(tenant_id))
        .set(tenants::name.eq(name))
        .execute(connection)
        .map_err(error::unique(format!("There is a tenant named `{name}` already.")))?;
    Ok(())
}

/// Lets the keys of a tenant open nothing from `since` on, or everything again.
pub fn set_suspended(connection: &mut Connection, tenant_id: i64, since: Option<NaiveDateTime>) -> Result<()> {
    diesel::update(tenants::table.find(tenant_id)).set(tenants::suspended_at.eq(since)).execute(connection)?;
    Ok(())
}

/// Marks a tenant as one that is being deleted, and suspended. Nothing takes that back; [`Removal`] does the work.
pub fn begin_deletion(connection: &mut Connection, tenant_id: i64, at: NaiveDateTime) -> Result<()> {
    set_suspended(connection, tenant_id, Some(at))?;
    diesel::update(tenants::table.find(tenant_id)).set(tenants::deleted_at.eq(at)).execute(connection)?;
    Ok(())
}

fn read((tenant_id, name, settings, created_at, suspended_at, deleted_at): Row) -> Result<Tenant> {
    Ok(Tenant { tenant_id, name, settings: parse(&settings)?, created_at, suspended_at, deleted_at })
}

fn parse(settings: &str) -> Result<TenantSettings> {
    serde_json::from_str(settings).map_err(Error::internal)
}

fn is_being_deleted() -> Error {
    Error::new(ErrorKind::Forbidden, "This tenant is being deleted.")
}

fn no_such_tenant() -> Error {
    Error::new(ErrorKind::NotFound, "There is no such tenant.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Reach;
    use crate::store::tests::{Fixture, at, on_each_database};

    #[test]
    fn the_default_tenant_is_there_from_the_first_migration() {
        on_each_database(|Fixture { store, .. }| async move {
            let tenant = store.read(Reach::Point, |c| find_by_name(c, "default")).await.unwrap().unwrap();

            assert_eq!((tenant.tenant_id, tenant.settings), (1, TenantSettings::default()));
        });
    }

    #[test]
    fn tenants_are_made_once_per_name_and_listed_in_order() {
        on_each_database(|Fixture { store, .. }| async move {
            let made = store.write(|c| insert(c, "acme", at("2026-03-01T09:30:00.123"))).await.unwrap();
            let again = store.write(|c| insert(c, "acme", at("2026-03-02T09:30:00"))).await.unwrap_err();

            let listed = store.read(Reach::Scan, list).await.unwrap();
            let id = made.tenant_id;
            let found = store.read(Reach::Point, move |c| find(c, id)).await.unwrap();

            assert_eq!(
                (again.kind(), again.detail()),
                (ErrorKind::Uniqueness, "There is a tenant named `acme` already.")
            );
            assert_eq!(listed.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(), ["default", "acme"]);
            assert_eq!(made.created_at, at("2026-03-01T09:30:00.123"));
            assert_eq!(found, Some(made));
        });
    }

    #[test]
    fn settings_are_kept_and_default_where_nothing_is_set() {
        on_each_database(|Fixture { store, .. }| async move {
            let unique = TenantSettings { group_names: GroupNames::Unique, ..TenantSettings::default() };
            let before = store.write(|c| settings(c, 1)).await.unwrap();
            let wanted = unique;
            store.write(move |c| set_settings(c, 1, &wanted)).await.unwrap();
            let after = store.write(|c| settings(c, 1)).await.unwrap();
            let missing = store.write(move |c| set_settings(c, 99, &unique)).await.unwrap_err();

            assert_eq!((before.group_names, after.group_names), (GroupNames::ByExternalId, GroupNames::Unique));
            assert_eq!(missing.kind(), ErrorKind::NotFound);
        });
    }
}
