//! Resources of every type: what identity providers have pushed, also what they have deleted (DEL-06).
//!
//! One implementation over the resource type. It reads and restores; to change a live resource is the providers' part.

mod history;
mod list;
mod purge;
mod restore;
mod show;
mod surroundings;
mod unresolved;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::history::{Change, History};
pub use self::list::{List, Listing, Which};
pub use self::purge::{Purge, Purged};
pub use self::restore::{Left, Restore, Restored};
pub use self::show::{Details, Show};
pub use self::surroundings::{Deed, Members, Membership, Referred, ShownMember, Then, ThenGroup};
pub use self::unresolved::{ListUnresolved, Unresolved};
use super::Desk;
use crate::provider::deleted::Deleted;
use crate::scim::resource::Document;
use crate::scim::schema::{Attribute, ResourceType, Returned, Role, Type};
use crate::scim::withheld::divide;
use crate::scim::{Error, ErrorKind, Result, shortened};
use crate::store::tenants::Tenant;

/// A resource as operators see it: what clients see of it, or saw last, and what they do not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Resource")]
pub struct Entry {
    /// Whether clients see it.
    pub status: Status,
    /// What to call it: its first unique attribute, such as the userName, or its displayName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The name of a group for applications and people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub deleted: Option<DateTime<Utc>>,
    /// The id of the key that deleted it, or `operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<String>,
    /// The resource, as SCIM writes it.
    pub resource: Map<String, Value>,
}

/// Whether clients see a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ResourceStatus")]
pub enum Status {
    /// They do.
    Live,
    /// They do not any more.
    Deleted,
}

impl Status {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Live => "live",
            Status::Deleted => "deleted",
        }
    }
}

impl Entry {
    fn live(resource_type: &'static ResourceType, body: Map<String, Value>, name: Option<String>) -> Entry {
        let body = defined(resource_type, body);
        let label = label(resource_type, &body);
        Entry { status: Status::Live, label, name, deleted: None, deleted_by: None, resource: body }
    }

    /// The last state of a deleted resource.
    fn deleted(resource_type: &'static ResourceType, deleted: Deleted) -> Result<Entry> {
        let Deleted { representation, name, at, by, .. } = deleted;
        let live = Entry::live(resource_type, representation.members()?, name);
        Ok(Entry { status: Status::Deleted, deleted: Some(at), deleted_by: Some(by), ..live })
    }

    /// The SCIM id.
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// The text of an attribute; nothing where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.resource.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// What the schemas define. Before the first start of a server what is stored may be of other schemas than ours, and then
/// nobody here knows whether the rest is a secret.
fn defined(resource_type: &'static ResourceType, body: Map<String, Value>) -> Map<String, Value> {
    let mut defined = Map::new();
    for (name, value) in body {
        if resource_type.attribute(&name).is_some_and(|known| known.attribute.role != Role::Stored) {
            defined.insert(name, value);
            continue;
        }
        let document = Document::of_members(Map::from_iter([(name, value)]));
        let (document, _) = divide(resource_type, document, Map::new());
        defined.extend(document.into_members());
    }
    defined
}

fn label(resource_type: &ResourceType, body: &Map<String, Value>) -> Option<String> {
    let is_label = |attribute: &Attribute| {
        attribute.kind == Type::String && !attribute.multi_valued && attribute.returned != Returned::Never
    };
    let unique = resource_type.unique.iter().filter(|unique| !unique.extension && unique.sub_attribute.is_none());
    let unique = unique.map(|unique| unique.attribute).find(|attribute| is_label(attribute));
    let attribute = unique.or_else(|| resource_type.display_name())?;
    body.get(&attribute.name).and_then(Value::as_str).map(str::to_owned)
}

/// The attributes that other resources fill, members or groups, as `excludedAttributes` names them.
fn filled_by_others(resource_type: &ResourceType, roles: &[Role]) -> Option<String> {
    let names = roles.iter().filter_map(|role| resource_type.attribute_in_role(*role));
    let names: Vec<&str> = names.map(|attribute| attribute.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// The resource type with that endpoint: `Users`. Whoever knows other schemas than those the data is kept for does not know
/// what must never be shown.
async fn resource_type(desk: &Desk, endpoint: &str) -> Result<&'static ResourceType> {
    let types = desk.provider.registry().resource_types();
    let found = types.iter().copied().find(|resource_type| resource_type.endpoint.trim_start_matches('/') == endpoint);
    let found = found.ok_or_else(|| no_such_type(types, endpoint))?;
    desk.provider.check_schemas().await?;
    Ok(found)
}

fn no_such_type(types: &[&ResourceType], endpoint: &str) -> Error {
    let names = types.iter().map(|resource_type| format!("`{}`", resource_type.endpoint.trim_start_matches('/')));
    let names = names.collect::<Vec<_>>().join(", ");
    let shown = shortened(endpoint);
    Error::new(ErrorKind::NotFound, format!("There are no resources `{shown}`. There are: {names}."))
}

/// What to do about a name that somebody else has by now, added to the error that tells of it; any other error as it is.
fn with_a_way_out(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Uniqueness => {
            let detail = format!("{} Rename or delete the one that has it, then restore.", error.detail());
            Error::new(ErrorKind::Uniqueness, detail)
        }
        _ => error,
    }
}

fn not_there(resource_type: &ResourceType, id: &str, tenant: &Tenant) -> Error {
    let (name, tenant, id) = (&resource_type.name, &tenant.name, shortened(id));
    Error::new(ErrorKind::NotFound, format!("No {name}, live or deleted, has the id '{id}' in tenant `{tenant}`."))
}
