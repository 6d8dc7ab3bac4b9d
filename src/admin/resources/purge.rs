//! The erasure of what is known of somebody.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resource_type;
use crate::admin::{Desk, Operation, Route};
use crate::provider;
use crate::scim::Result;

/// The erasure of a deleted resource, for good: its attributes, its password, the keys bound to it, and what every change in
/// the history says of it. The history keeps that there were changes, when, by whom, and that they were erased.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Purge {
    /// The name of the tenant.
    pub tenant: String,
    /// The endpoint of the resource type: `Users`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// Only tell what would be erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Operation for Purge {
    const ROUTE: Route = Route::post("/tenants/{tenant}/resources/{type}/{id}/purge")
        .named("purgeResource")
        .about("Erase a deleted resource for good, also from the history");
    type Outcome = Purged;

    async fn carry_out(self, desk: &Desk) -> Result<Purged> {
        let tenant = desk.tenant(&self.tenant).await?;
        let resource_type = resource_type(desk, &self.resource_type).await?;
        let (call, id, dry_run) = (desk.call(&tenant), self.id, self.dry_run);
        let purge = match dry_run {
            true => desk.provider.preview_purge(call, resource_type, id.clone()).await,
            false => desk.provider.purge(call, resource_type, id.clone()).await,
        };
        let provider::Purge { changes, keys, namesakes, lingers } = purge?;
        if !dry_run {
            keys.iter().for_each(|key| desk.forget_key(key));
        }
        Ok(Purged { resource_type: resource_type.name.clone(), id, dry_run, changes, keys, namesakes, lingers })
    }
}

/// What is erased, or would be.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Purged {
    /// The type of the resource.
    pub resource_type: String,
    /// The SCIM id, which stays, and is never given to another resource.
    pub id: String,
    /// Whether nothing is done yet.
    pub dry_run: bool,
    /// How many changes in the history lose what they say.
    pub changes: i64,
    /// The keys that acted on behalf of the resource, which are deleted.
    pub keys: Vec<String>,
    /// Other resources of the same unique name, live or deleted: perhaps the same person, and not erased.
    pub namesakes: Vec<String>,
    /// Whether something of it may stay in SQLite's log, which a long read, say, kept from being emptied.
    pub lingers: bool,
}
