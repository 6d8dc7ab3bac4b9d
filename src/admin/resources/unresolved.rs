//! Groups with members that are not there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::{Desk, Operation, Page, Route, page_size};
use crate::scim::Result;
use crate::store::{Connection, Reach, members};

/// The groups with unresolved members: ids that clients have sent and no live resource has.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListUnresolved {
    /// The name of the tenant.
    pub tenant: String,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most groups on one page; 100 without it, 1000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A group with unresolved members.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UnresolvedMembers")]
pub struct Unresolved {
    /// The SCIM id of the group.
    pub id: String,
    /// Its displayName.
    pub display_name: Option<String>,
    /// How many of its members are not there.
    pub unresolved_members: i64,
}

impl Operation for ListUnresolved {
    const ROUTE: Route = Route::get("/tenants/{tenant}/unresolvedMembers")
        .named("listUnresolvedMembers")
        .about("The groups with members that no live resource stands for");
    type Outcome = Page<Unresolved>;

    async fn carry_out(self, desk: &Desk) -> Result<Page<Unresolved>> {
        let tenant_id = desk.tenant(&self.tenant).await?.tenant_id;
        let (after, limit) = (self.after.unwrap_or_default(), page_size(self.limit));
        let read =
            move |connection: &mut Connection| members::unresolved_by_group(connection, tenant_id, &after, limit + 1);
        let mut groups = desk.store.read(Reach::Scan, read).await?;
        let has_more = groups.len() as i64 > limit;
        groups.truncate(limit as usize);
        let next = groups.last().filter(|_| has_more).map(|(id, ..)| id.clone());
        let group = |(id, display_name, unresolved_members)| Unresolved { id, display_name, unresolved_members };
        Ok(Page { items: groups.into_iter().map(group).collect(), next })
    }
}
