//! A resource is given back the state that it had at a time.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::resources::{resource_type, with_a_way_out};
use super::{Desk, Operation, Route};
use crate::provider;
use crate::scim::Result;

/// The attributes that a resource, live or deleted, had at a time, and of a group its members, are put back. A deleted one
/// comes back by that, to the groups that it was in.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreState {
    /// The name of the tenant.
    pub tenant: String,
    /// The endpoint of the resource type: `Users`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// The time.
    #[serde(with = "crate::scim::resource::instant")]
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// The resource after it, as SCIM writes it.
    pub resource: Map<String, Value>,
    /// Whether anything was another way than at that time.
    pub changed: bool,
    /// What is not as it was then.
    #[serde(default)]
    pub left: Vec<Left>,
    /// The ids of members that no live resource has. They are members again when it is restored.
    #[serde(default)]
    pub unresolved_members: Vec<String>,
}

/// What of a resource could not be brought back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// The path of the attribute.
    pub attribute: String,
    /// Why, in a sentence.
    pub reason: String,
}

impl Operation for RestoreState {
    const ROUTE: Route = Route::post("/tenants/{tenant}/resources/{type}/{id}/restore-state")
        .named("restoreState")
        .about("Give a resource, live or deleted, the state that it had at a time");
    type Outcome = Restored;

    async fn carry_out(self, desk: &Desk) -> Result<Restored> {
        let RestoreState { tenant, resource_type: endpoint, id, at } = self;
        let tenant = desk.tenant(&tenant).await?;
        let resource_type = resource_type(desk, &endpoint)?;
        let restored = desk.provider.restore_state(desk.call(&tenant), resource_type, id, at).await;
        restored.map(Restored::from).map_err(with_a_way_out)
    }
}

impl From<provider::Restored> for Restored {
    fn from(restored: provider::Restored) -> Self {
        let left = restored.left.into_iter().map(|left| Left { attribute: left.what, reason: left.reason });
        Restored {
            resource: restored.representation.body,
            changed: restored.changed,
            left: left.collect(),
            unresolved_members: restored.unresolved,
        }
    }
}
