//! A resource is brought back: a deleted one as it was last, or any one as it was at a time.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::show::Look;
use super::{Entry, resource_type, with_a_way_out};
use crate::admin::{Desk, Operation, Route};
use crate::provider;
use crate::scim::{Error, ErrorKind, Result, shortened};

/// Brings a deleted resource back: the same id, its last attributes, its groups or members as far as they are still there.
/// With a time, gives a resource, live or deleted, the attributes that it had then, and a group its members of then.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restore {
    /// The name of the tenant.
    pub tenant: String,
    /// The endpoint of the resource type: `Users`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// The time whose state is put back.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub at: Option<DateTime<Utc>>,
    /// Whether the answer lists all members of a group.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_members: bool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Restored")]
pub struct Restored {
    /// The resource after it.
    #[serde(flatten)]
    pub entry: Entry,
    /// Whether anything was another way than then.
    pub changed: bool,
    /// What is not as it was.
    pub left: Vec<Left>,
    /// The ids of members that no live resource has. They are members again when it is restored.
    pub unresolved_members: Vec<String>,
}

/// What of a resource could not be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// The path of the attribute.
    pub attribute: String,
    /// Why, in a sentence.
    pub reason: String,
}

impl Operation for Restore {
    const ROUTE: Route = Route::post("/tenants/{tenant}/resources/{type}/{id}/restore")
        .named("restoreResource")
        .about("Bring a deleted resource back, or give one, live or deleted, the state that it had at a time");
    type Outcome = Restored;

    async fn carry_out(self, desk: &Desk) -> Result<Restored> {
        let tenant = desk.tenant(&self.tenant).await?;
        let resource_type = resource_type(desk, &self.resource_type).await?;
        let look = Look { tenant_id: tenant.tenant_id, resource_type, all_members: self.all_members };
        let (id, call) = (&self.id, desk.call(&tenant));
        let restored = match desk.provider.restore(call, resource_type, id.clone(), self.at).await {
            Ok(restored) => restored,
            Err(error) if error.kind() == ErrorKind::NotFound && self.at.is_none() => {
                desk.provider.check_not_purged(tenant.tenant_id, resource_type, id).await?;
                let is_live = look.live(desk, id).await?.is_some();
                return Err(not_restorable(&resource_type.name, &tenant.name, id, is_live));
            }
            Err(error) => return Err(with_a_way_out(error)),
        };
        let entry = look.live(desk, id).await?;
        let entry = entry.ok_or_else(|| Error::new(ErrorKind::NotFound, "It was restored, and deleted again at once."));
        let provider::Restored { changed, left, unresolved } = restored;
        let left = left.into_iter().map(|left| Left { attribute: left.what, reason: left.reason }).collect();
        Ok(Restored { entry: entry?, changed, left, unresolved_members: unresolved })
    }
}

fn not_restorable(resource_type: &str, tenant: &str, id: &str, is_live: bool) -> Error {
    let id = shortened(id);
    let detail = match is_live {
        true => format!("{resource_type} '{id}' is not deleted. With a time, it gets the state that it had then."),
        false => format!("No deleted {resource_type} has the id '{id}' in tenant `{tenant}`."),
    };
    Error::new(ErrorKind::NotFound, detail)
}
