//! One resource: as it is, as it was when it was deleted, or as it was at a time.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Entry, Status, not_there, resource_type};
use crate::admin::{Desk, Operation, Route};
use crate::provider::history::Past;
use crate::scim::projection::Projection;
use crate::scim::resource::format_instant;
use crate::scim::schema::{ResourceType, Role};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::audit;
use crate::store::resources::{self, StoredResource};
use crate::store::tenants::Tenant;
use crate::store::{Connection, Reach, members};

/// One resource, live or deleted; or its state at a time, without what other resources add to it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Show {
    /// The name of the tenant.
    pub tenant: String,
    /// The endpoint of the resource type: `Users`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// The time whose state is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub at: Option<DateTime<Utc>>,
}

/// All that there is to say of a resource.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The time that the state is of, if it is one of the past.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub at: Option<DateTime<Utc>>,
    /// The version then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The resource.
    #[serde(flatten)]
    pub entry: Entry,
    /// What the deletion took away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relations: Option<Then>,
}

/// What a deletion took away.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RelationsThen")]
pub struct Then {
    /// The groups that listed the resource.
    pub groups: Vec<ThenGroup>,
    /// The ids of its members.
    pub members: Vec<String>,
    /// The ids of those whose manager it was.
    pub reports: Vec<String>,
}

/// A group that listed a resource which is deleted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GroupThen")]
pub struct ThenGroup {
    /// Its SCIM id.
    pub id: String,
    /// Its displayName, if it is still there.
    pub display_name: Option<String>,
    /// Whether it is deleted itself.
    pub deleted: bool,
}

impl Operation for Show {
    const ROUTE: Route = Route::get("/tenants/{tenant}/resources/{type}/{id}")
        .named("showResource")
        .about("One resource, live or deleted, or as it was at a time");
    type Outcome = Details;

    async fn carry_out(self, desk: &Desk) -> Result<Details> {
        let tenant = desk.tenant(&self.tenant).await?;
        let resource_type = resource_type(desk, &self.resource_type)?;
        let found = match self.at {
            Some(at) => find_past(desk, resource_type, &tenant, &self.id, at).await?,
            None => match find_live(desk, resource_type, &tenant, &self.id).await? {
                Some(entry) => Some(Details { entry, at: None, version: None, relations: None }),
                None => find_deleted(desk, resource_type, &tenant, &self.id).await?,
            },
        };
        if found.is_none() {
            desk.provider.check_not_purged(tenant.tenant_id, resource_type, &self.id).await?;
        }
        found.ok_or_else(|| not_there(resource_type, &self.id, &tenant))
    }
}

async fn find_past(
    desk: &Desk,
    resource_type: &'static ResourceType,
    tenant: &Tenant,
    id: &str,
    at: DateTime<Utc>,
) -> Result<Option<Details>> {
    if at > desk.now() {
        return Err(Error::new(ErrorKind::InvalidValue, "`at` is a time in the future."));
    }
    let past = desk.provider.state_at(tenant.tenant_id, resource_type, id.to_owned(), at).await?;
    Ok(past.map(|Past { stored, members }| {
        let version = stored.meta.version;
        let members = stored.deleted.is_none().then_some(&members);
        let entry = entry_of(resource_type, stored, members);
        Details { at: Some(at), version: Some(version), entry, relations: None }
    }))
}

pub(super) async fn find_live(
    desk: &Desk,
    resource_type: &'static ResourceType,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<Entry>> {
    let everything = Projection::everything(resource_type);
    let body = match desk.provider.read(desk.call(tenant), resource_type, id.to_owned(), everything).await {
        Ok(representation) => representation.body,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (tenant_id, ids) = (tenant.tenant_id, [id.to_owned()]);
    let read = move |connection: &mut Connection| resources::internal_names(connection, tenant_id, &ids);
    let mut names = desk.store.read(Reach::Scan, read).await?;
    Ok(Some(Entry::live(resource_type, body, names.remove(id))))
}

async fn find_deleted(
    desk: &Desk,
    resource_type: &'static ResourceType,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<Details>> {
    let (tenant_id, id) = (tenant.tenant_id, id.to_owned());
    let read = move |connection: &mut Connection| {
        let Some(stored) = resources::find_buried(connection, tenant_id, &resource_type.name, &id)? else {
            return Ok(None);
        };
        let relations = Some(relations(connection, tenant_id, &id)?);
        let entry = entry_of(resource_type, stored, None);
        Ok(Some(Details { at: None, version: None, entry, relations }))
    };
    desk.store.read(Reach::Scan, read).await
}

/// What is the resource's own, of one that clients do not see.
fn entry_of(resource_type: &'static ResourceType, stored: StoredResource, members: Option<&BTreeSet<String>>) -> Entry {
    let mut body = Map::new();
    body.insert("schemas".to_owned(), json!(stored.document.schemas(resource_type)));
    body.insert("id".to_owned(), json!(stored.id));
    body.extend(stored.document.into_members());
    if let (Some(attribute), Some(ids)) = (resource_type.attribute_in_role(Role::Members), members) {
        body.insert(attribute.name.clone(), ids.iter().map(|id| json!({"value": id})).collect());
    }
    let (created, last_modified) = (format_instant(stored.meta.created), format_instant(stored.meta.last_modified));
    let meta = json!({"resourceType": resource_type.name, "created": created, "lastModified": last_modified});
    body.insert("meta".to_owned(), meta);
    let body = Projection::everything(resource_type).apply(body);
    let live = Entry::live(resource_type, body, stored.name);
    match stored.deleted {
        Some((at, by)) => Entry { status: Status::Deleted, deleted: Some(at), deleted_by: Some(by), ..live },
        None => live,
    }
}

/// What the deletion took away, as the history keeps it, with the names of the groups that are still there.
fn relations(connection: &mut Connection, tenant_id: i64, id: &str) -> Result<Then> {
    let changes = audit::last_changes(connection, tenant_id, id, audit::Operation::Delete)?.unwrap_or_default();
    let ids = |name: &str| -> Vec<String> {
        let ids = changes["relations"][name].as_array().map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let groups = ids("groups");
    let wanted: HashSet<&str> = groups.iter().map(String::as_str).collect();
    let mut names = members::display_names(connection, tenant_id, "Group", &wanted)?;
    let named = |id: String| {
        let name = names.remove(&id);
        ThenGroup { id, deleted: name.is_none(), display_name: name.flatten() }
    };
    Ok(Then { groups: groups.into_iter().map(named).collect(), members: ids("members"), reports: ids("reports") })
}
