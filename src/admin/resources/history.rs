//! The changes of one resource, each with what it changed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{not_there, resource_type};
use crate::admin::{Desk, Operation, Page, Route, no_next_page, page_size};
use crate::scim::Result;
use crate::store::audit::{self, NO_VERSION};

/// What was changed of a resource, live, deleted or purged, the latest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct History {
    /// The name of the tenant.
    pub tenant: String,
    /// The endpoint of the resource type: `Users`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most changes on one page; 100 without it, 1000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// One change of a resource.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ResourceChange")]
pub struct Change {
    /// When.
    #[serde(with = "crate::scim::resource::instant")]
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
    /// The id of the key that asked for it, or `operator`.
    pub key: String,
    /// What operators call that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The request that it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What was done: `create`, `replace`, `modify`, `delete`, `restore`; `unassign`, `assign`, `leave`, `join` for what
    /// followed from the deletion or the restoration of another resource, `conform` from other schemas, `purge`.
    pub operation: String,
    /// The version after it, if it made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// `before` and `after` of the attributes that changed, `members` that came and went as `added` and `removed`,
    /// `secrets` that changed and are never shown, `relations` that a deletion took away, `previousId` of the deleted
    /// resource that had the unique value before, `erased` what a purge did.
    pub changes: Value,
    /// Whether what changed is erased, for the resource was purged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

impl Change {
    fn of(entry: audit::Entry, names: &HashMap<String, String>) -> Change {
        let key_name = names.get(&entry.caller).cloned();
        let request_id = Some(entry.request_id).filter(|request_id| !request_id.is_empty());
        let version = Some(entry.version).filter(|version| *version != NO_VERSION);
        let operation = entry.operation.as_str().to_owned();
        let (at, key, changes, erased) = (entry.at, entry.caller, entry.changes, entry.erased);
        Change { at, key, key_name, request_id, operation, version, changes, erased }
    }
}

impl Operation for History {
    const ROUTE: Route = Route::get("/tenants/{tenant}/resources/{type}/{id}/history")
        .named("showHistory")
        .about("What was changed of a resource, live, deleted or purged, the latest first");
    type Outcome = Page<Change>;

    async fn carry_out(self, desk: &Desk) -> Result<Page<Change>> {
        let tenant = desk.tenant(&self.tenant).await?;
        let resource_type = resource_type(desk, &self.resource_type).await?;
        let before = self.after.as_deref().map(str::parse).transpose().map_err(|_| no_next_page())?;
        let limit = page_size(self.limit);
        let (tenant_id, id) = (tenant.tenant_id, self.id.clone());
        // One more than is shown, to know whether there are more.
        let entries = desk.provider.history(tenant_id, resource_type, id, before, limit + 1).await?;
        let mut entries = entries.ok_or_else(|| not_there(resource_type, &self.id, &tenant))?;
        let has_more = entries.len() as i64 > limit;
        entries.truncate(limit as usize);
        let next = entries.last().filter(|_| has_more).map(|last| last.row_id.to_string());
        let names = desk.key_names(entries.iter().map(|entry| entry.caller.clone()).collect()).await?;
        Ok(Page { items: entries.into_iter().map(|entry| Change::of(entry, &names)).collect(), next })
    }
}
