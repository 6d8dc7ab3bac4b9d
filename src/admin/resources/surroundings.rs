//! What stands around a resource: its groups, its members, its manager, who wrote it last, and what a deletion took away.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::label;
use crate::provider::relations::Relations;
use crate::scim::Result;
use crate::scim::schema::ResourceType;
use crate::store::audit::{self, NO_VERSION, Operation, Step};
use crate::store::members::{self, Member};
use crate::store::resources::{self, StoredResource};
use crate::store::{Connection, api_keys};

/// How many members are shown of a group that may have a hundred thousand.
const MEMBERS_SHOWN: i64 = 25;

/// A group that a resource is in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GroupMembership")]
pub struct Membership {
    /// The SCIM id of the group.
    pub id: String,
    /// Its displayName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The id of the group that it lists, on a shortest way to the resource; absent if it lists the resource itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
}

/// The groups that a resource is in: those that list it first, then those that list these.
pub(super) fn groups(connection: &mut Connection, row_id: i64) -> Result<Vec<Membership>> {
    let groups = members::groups_of(connection, &[row_id])?;
    let membership =
        |group: members::GroupOf| Membership { id: group.value, display_name: group.display, through: group.through };
    Ok(groups.of(row_id).cloned().map(membership).collect())
}

/// The members of a group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GroupMembers")]
pub struct Members {
    /// How many there are, unresolved ones included.
    pub count: u64,
    /// How many of them no live resource stands for; absent for a state of the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unresolved: Option<u64>,
    /// The first of them.
    pub first: Vec<ShownMember>,
}

/// A member of a group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Member")]
pub struct ShownMember {
    /// Its SCIM id.
    pub id: String,
    /// The name of its resource type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Its displayName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

impl Members {
    /// Those of a live group.
    pub(super) fn of_group(connection: &mut Connection, row_id: i64) -> Result<Members> {
        let (live, unresolved) = members::count(connection, row_id)?;
        let first = members::first(connection, row_id, MEMBERS_SHOWN)?;
        let shown = |Member { value: id, resource }| {
            let (resource_type, display_name) =
                resource.map_or((None, None), |it| (Some(it.resource_type), it.display));
            ShownMember { id, resource_type, display_name }
        };
        let [live, unresolved] = [live, unresolved].map(i64::unsigned_abs);
        let first = first.into_iter().map(shown).collect();
        Ok(Members { count: live + unresolved, unresolved: Some(unresolved), first })
    }

    /// Those of a group of the past.
    pub(super) fn of_past(ids: &BTreeSet<String>) -> Members {
        let shown = |id: &String| ShownMember { id: id.clone(), resource_type: None, display_name: None };
        let first = ids.iter().take(MEMBERS_SHOWN as usize).map(shown).collect();
        Members { count: ids.len() as u64, unresolved: None, first }
    }
}

/// Whom a resource refers to: the manager of a user.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Manager")]
pub struct Referred {
    /// The SCIM id.
    pub id: String,
    /// What to call whom it refers to, as `label` of a resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The displayName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Whether a live resource has the id: managers may be named before they are provisioned.
    pub exists: bool,
}

impl Referred {
    pub(super) fn by(
        connection: &mut Connection,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        stored: &StoredResource,
    ) -> Result<Option<Referred>> {
        let reference = resource_type.reference().and_then(|reference| stored.document.get(reference));
        let Some(id) = reference.and_then(|reference| reference["value"].as_str()) else {
            return Ok(None);
        };
        let target = resources::find(connection, tenant_id, &resource_type.name, id)?;
        let exists = target.is_some();
        let body = target.map(|target| target.document.into_members()).unwrap_or_default();
        let display_name = body.get("displayName").and_then(Value::as_str).map(str::to_owned);
        Ok(Some(Referred { id: id.to_owned(), label: label(resource_type, &body), display_name, exists }))
    }
}

/// When something was last done to a resource, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "LastDeed")]
pub struct Deed {
    /// When.
    #[serde(with = "crate::scim::resource::instant")]
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
    /// What was done, as the history says it.
    pub operation: String,
    /// The version after it, if it made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The id of the key that asked for it, or `operator`.
    pub key: String,
    /// What operators call that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
}

/// What is asked for of the resource itself; the rest follows from other resources and from schemas.
const WRITES: [Operation; 6] = [
    Operation::Create,
    Operation::Replace,
    Operation::Modify,
    Operation::Delete,
    Operation::Restore,
    Operation::Import,
];

impl Deed {
    /// The last write of a resource, and its last change of whatever kind.
    pub(super) fn last(
        connection: &mut Connection,
        tenant_id: i64,
        resource_type: &str,
        id: &str,
    ) -> Result<(Option<Deed>, Option<Deed>)> {
        let write = audit::last_step(connection, tenant_id, resource_type, id, Some(&WRITES))?;
        let change = audit::last_step(connection, tenant_id, resource_type, id, None)?;
        let keys: Vec<&str> = [&write, &change].into_iter().flatten().map(|step| step.caller.as_str()).collect();
        let names = api_keys::names(connection, &keys)?;
        let deed = |step: Step| {
            let (operation, key_name) = (step.operation.as_str().to_owned(), names.get(&step.caller).cloned());
            let version = Some(step.version).filter(|version| *version != NO_VERSION);
            Deed { at: step.at, operation, version, key: step.caller, key_name }
        };
        Ok((write.map(deed), change.map(deed)))
    }
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

impl Then {
    /// What the history keeps of the deletion, with the names of the groups that are still there.
    pub(super) fn of(connection: &mut Connection, tenant_id: i64, resource_type: &str, id: &str) -> Result<Then> {
        let relations = Relations::of(connection, tenant_id, resource_type, id, None)?;
        let reports = relations.all_reports().cloned().collect();
        let Relations { groups, members, .. } = relations;
        let wanted: HashSet<&str> = groups.iter().map(String::as_str).collect();
        let mut names = members::display_names(connection, tenant_id, "Group", &wanted)?;
        let named = |id: String| {
            let name = names.remove(&id);
            ThenGroup { id, deleted: name.is_none(), display_name: name.flatten() }
        };
        let groups = groups.into_iter().map(named).collect();
        Ok(Then { groups, members, reports })
    }
}
