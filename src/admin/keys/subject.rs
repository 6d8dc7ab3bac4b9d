//! The user that a key is bound to: whom `/Me` stands for (RFC 7644 §3.11).

use serde_json::{Value, json};

use super::User;
use crate::admin::Desk;
use crate::scim::query::{Parameters, Query};
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::resources::{self, StoredResource};
use crate::store::tenants::Tenant;
use crate::store::{Connection, Reach};

/// A user that a key names.
pub(super) struct Bound {
    /// The row that the key holds.
    pub(super) row_id: i64,
    /// What is shown of the user.
    pub(super) user: User,
}

impl Bound {
    fn of(stored: &StoredResource, user: &'static ResourceType) -> Bound {
        let user_name = user.attribute("userName").and_then(|attribute| stored.document.get(attribute)?.as_str());
        let user = User {
            id: stored.id.clone(),
            user_name: user_name.unwrap_or_default().to_owned(),
            deleted: stored.deleted.is_some(),
        };
        Bound { row_id: stored.row_id, user }
    }
}

/// The live user with this id, or else with this userName.
///
/// # Errors
/// 404 with a sentence that tells where to look; database failures.
pub(super) async fn named(desk: &Desk, tenant: &Tenant, text: &str) -> Result<Bound> {
    let user = user(desk.provider.registry())?;
    let id = match find(desk, tenant, user, text.to_owned()).await? {
        Some(bound) => return Ok(bound),
        None => id_of(desk, tenant, user, text).await?,
    };
    let bound = match id {
        Some(id) => find(desk, tenant, user, id).await?,
        None => None,
    };
    bound.ok_or_else(|| {
        let shown: String = text.chars().take(100).flat_map(char::escape_debug).collect();
        let tenant = &tenant.name;
        let detail = format!(
            "No user has the id or the userName '{shown}' in tenant `{tenant}`; see `scimd user list --tenant {tenant}`."
        );
        Error::new(ErrorKind::NotFound, detail)
    })
}

/// The user in a row, deleted or not.
///
/// # Errors
/// Database failures.
pub(super) fn in_row(
    connection: &mut Connection,
    registry: &'static Registry,
    tenant_id: i64,
    row_id: i64,
) -> Result<Option<Bound>> {
    let user = user(registry)?;
    Ok(resources::find_row(connection, tenant_id, row_id)?.map(|stored| Bound::of(&stored, user)))
}

/// Keeps the user in a row as it is until the transaction ends, so that no key is made for somebody who is deleted or
/// erased meanwhile.
///
/// # Errors
/// 404 for a user who is not there any more; database failures.
pub(super) fn hold_live(connection: &mut Connection, tenant_id: i64, row_id: i64) -> Result<()> {
    resources::hold(connection, tenant_id, row_id)?;
    match resources::find_row(connection, tenant_id, row_id)? {
        Some(stored) if stored.deleted.is_none() => Ok(()),
        _ => Err(Error::new(ErrorKind::NotFound, "The user was deleted just now; no key is made.")),
    }
}

async fn find(desk: &Desk, tenant: &Tenant, user: &'static ResourceType, id: String) -> Result<Option<Bound>> {
    let tenant_id = tenant.tenant_id;
    let read = move |connection: &mut Connection| resources::find(connection, tenant_id, &user.name, &id);
    Ok(desk.store.read(Reach::Point, read).await?.map(|stored| Bound::of(&stored, user)))
}

/// Names compare as they do for clients.
async fn id_of(desk: &Desk, tenant: &Tenant, user: &'static ResourceType, user_name: &str) -> Result<Option<String>> {
    let filter = Some(format!("userName eq {}", json!(user_name)));
    let parameters = Parameters { filter, attributes: Some("id".to_owned()), ..Parameters::default() };
    let query = Query::resolve(&parameters, user, Profile::Strict)?;
    let found = desk.provider.search(desk.call(tenant), vec![query]).await?;
    let Some(found) = found.resources.first() else { return Ok(None) };
    Ok(found.members()?.get("id").and_then(Value::as_str).map(str::to_owned))
}

fn user(registry: &'static Registry) -> Result<&'static ResourceType> {
    registry.resource_type("User").ok_or_else(|| Error::internal("there is no resource type User"))
}
