//! A deleted resource is brought back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::show::Look;
use super::{Entry, resource_type, shortened, with_a_way_out};
use crate::admin::{Desk, Operation, Route};
use crate::scim::{Error, ErrorKind, Result};

/// Brings a deleted resource back: the same id, its last attributes, its groups or members as far as they are still there.
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
}

impl Operation for Restore {
    const ROUTE: Route = Route::post("/tenants/{tenant}/resources/{type}/{id}/restore")
        .named("restoreResource")
        .about("Bring a deleted resource back, with its groups and members as far as they are still there");
    type Outcome = Entry;

    async fn carry_out(self, desk: &Desk) -> Result<Entry> {
        let tenant = desk.tenant(&self.tenant).await?;
        let resource_type = resource_type(desk, &self.resource_type)?;
        let (id, look) = (&self.id, Look { tenant_id: tenant.tenant_id, resource_type, all_members: true });
        if let Err(error) = desk.provider.restore(desk.call(&tenant), resource_type, id.clone()).await {
            return Err(match error.kind() {
                ErrorKind::NotFound => {
                    desk.provider.check_not_purged(tenant.tenant_id, resource_type, id).await?;
                    let is_live = look.live(desk, id).await?.is_some();
                    not_restorable(&resource_type.name, &tenant.name, id, is_live)
                }
                _ => with_a_way_out(error),
            });
        }
        let restored = look.live(desk, id).await?;
        restored.ok_or_else(|| Error::new(ErrorKind::NotFound, "It was restored, and deleted again at once."))
    }
}

fn not_restorable(resource_type: &str, tenant: &str, id: &str, is_live: bool) -> Error {
    let id = shortened(id);
    let detail = match is_live {
        true => format!("{resource_type} '{id}' is not deleted."),
        false => format!("No deleted {resource_type} has the id '{id}' in tenant `{tenant}`."),
    };
    Error::new(ErrorKind::NotFound, detail)
}
