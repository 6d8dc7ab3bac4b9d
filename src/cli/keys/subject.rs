//! The user that a key is bound to: whom `/Me` stands for (RFC 7644 §3.11).

use serde_json::{Value, json};

use crate::admin::Desk;
use crate::cli::table::printable;
use crate::scim::query::{Parameters, Query};
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::resources::{self, StoredResource};
use crate::store::tenants::Tenant;
use crate::store::{Connection, Reach};

/// A user as keys show it.
pub(super) struct Subject {
    /// The row that the key names.
    pub(super) row_id: i64,
    id: String,
    user_name: String,
    is_deleted: bool,
}

impl Subject {
    fn of(stored: &StoredResource, user: &'static ResourceType) -> Subject {
        let user_name = user.attribute("userName").and_then(|attribute| stored.document.get(attribute)?.as_str());
        Subject {
            row_id: stored.row_id,
            id: stored.id.clone(),
            user_name: user_name.unwrap_or_default().to_owned(),
            is_deleted: stored.deleted.is_some(),
        }
    }

    /// What a list calls the user.
    pub(super) fn title(&self) -> String {
        let name = if self.user_name.is_empty() { &self.id } else { &self.user_name };
        if self.is_deleted { format!("{name} (deleted)") } else { name.clone() }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"id": self.id, "userName": self.user_name, "deleted": self.is_deleted})
    }
}

/// The live user with this id, or else with this userName.
///
/// # Errors
/// 404 with a sentence that tells where to look; database failures.
pub(super) async fn named(desk: &Desk, tenant: &Tenant, text: &str) -> Result<Subject> {
    let user = user(desk.provider.registry())?;
    let id = match find(desk, tenant, user, text.to_owned()).await? {
        Some(subject) => return Ok(subject),
        None => id_of(desk, tenant, user, text).await?,
    };
    let subject = match id {
        Some(id) => find(desk, tenant, user, id).await?,
        None => None,
    };
    subject.ok_or_else(|| {
        let (text, tenant) = (printable(text), &tenant.name);
        let detail = format!(
            "No user has the id or the userName '{text}' in tenant `{tenant}`; see `scimd user list --tenant {tenant}`."
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
) -> Result<Option<Subject>> {
    let user = user(registry)?;
    Ok(resources::find_row(connection, tenant_id, row_id)?.map(|stored| Subject::of(&stored, user)))
}

async fn find(desk: &Desk, tenant: &Tenant, user: &'static ResourceType, id: String) -> Result<Option<Subject>> {
    let tenant_id = tenant.tenant_id;
    let read = move |connection: &mut Connection| resources::find(connection, tenant_id, &user.name, &id);
    Ok(desk.store.read(Reach::Point, read).await?.map(|stored| Subject::of(&stored, user)))
}

/// Names compare as they do for clients.
async fn id_of(desk: &Desk, tenant: &Tenant, user: &'static ResourceType, user_name: &str) -> Result<Option<String>> {
    let filter = Some(format!("userName eq {}", json!(user_name)));
    let parameters = Parameters { filter, attributes: Some("id".to_owned()), ..Parameters::default() };
    let query = Query::resolve(&parameters, user, Profile::Strict)?;
    let found = desk.provider.search(desk.call(tenant), vec![query]).await?;
    let mut ids = found.resources.iter().filter_map(|found| found.body.get("id")?.as_str().map(str::to_owned));
    Ok(ids.next())
}

fn user(registry: &'static Registry) -> Result<&'static ResourceType> {
    registry.resource_type("User").ok_or_else(|| Error::internal("there is no resource type User"))
}
