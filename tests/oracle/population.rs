//! Some hundred users and groups, the same on every database: nested groups with cycles, members and managers that do not
//! exist, and buried resources.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use scimd::scim::accept;
use scimd::scim::resource::Document;
use scimd::scim::schema::{Attribute, Mutability, Registry, ResourceType};
use scimd::scim::{Profile, Result};
use scimd::store::resources::{self, NewResource, Place, StoredResource};
use scimd::store::tenants::{GroupNames, TenantSettings};
use scimd::store::{Connection, members};
use serde_json::{Map, Value, json};

use crate::random::{self, Random};

/// What stands in a database.
pub struct Population {
    pub ids: Vec<String>,
    resources: Vec<Planned>,
}

struct Planned {
    id: String,
    resource_type: &'static ResourceType,
    document: Document,
    created: DateTime<Utc>,
    touched: bool,
    buried: bool,
    members: Vec<usize>,
    unresolved: Vec<String>,
}

impl Population {
    /// `size` resources, about one in seven a group.
    pub fn new(random: &mut Random, size: usize) -> Arc<Population> {
        let ids: Vec<String> = (0..size).map(|_| uuid(random)).collect();
        let resources = (0..size).map(|index| Planned::new(random, index, &ids)).collect();
        Arc::new(Population { ids, resources })
    }

    /// Inserts everything into a tenant; `prefix` stands in front of the ids.
    pub fn insert(&self, connection: &mut Connection, tenant_id: i64, prefix: &str) -> Result<()> {
        let mut stored = Vec::new();
        for planned in &self.resources {
            let place = place(tenant_id, planned.resource_type);
            let id = format!("{prefix}{}", planned.id);
            let new = NewResource::of(planned.resource_type, id, planned.document.clone(), planned.created);
            let mut resource = resources::insert(connection, place, &new)?.with(planned.document.clone());
            if planned.touched {
                resources::touch(connection, &mut resource, true, planned.created + Duration::milliseconds(1_500))?;
            }
            stored.push(resource);
        }
        for (planned, group) in self.resources.iter().zip(&stored) {
            let rows: Vec<i64> = planned.members.iter().map(|member| stored[*member].row_id).collect();
            members::add(connection, group.row_id, &rows)?;
            let unresolved: Vec<&str> = planned.unresolved.iter().map(String::as_str).collect();
            members::add_unresolved(connection, group.row_id, &unresolved)?;
        }
        for (planned, resource) in self.resources.iter().zip(&stored).filter(|(planned, _)| planned.buried) {
            self.bury(connection, place(tenant_id, planned.resource_type), resource)?;
        }
        Ok(())
    }

    fn bury(&self, connection: &mut Connection, place: Place, resource: &StoredResource) -> Result<()> {
        members::forget(connection, resource.row_id)?;
        resources::bury(connection, place, resource, "somebody", resource.meta.last_modified)
    }
}

/// The rules of a tenant where group names may be shared.
pub fn place(tenant_id: i64, resource_type: &'static ResourceType) -> Place {
    let settings = TenantSettings { group_names: GroupNames::Free, ..TenantSettings::default() };
    Place { tenant_id, settings, resource_type }
}

pub fn resource_type(name: &str) -> &'static ResourceType {
    Registry::builtin().resource_type(name).expect("a built-in type")
}

impl Planned {
    fn new(random: &mut Random, index: usize, ids: &[String]) -> Planned {
        let is_group = random.chance(15);
        let resource_type = resource_type(if is_group { "Group" } else { "User" });
        let others = |random: &mut Random, most: usize| -> Vec<usize> {
            let picked = (0..random.below(most)).map(|_| random.below(ids.len()));
            picked.filter(|member| *member != index).collect()
        };
        let ghosts: Vec<String> = (0..random.below(3)).map(|_| format!("ghost%{}", random.below(4))).collect();
        Planned {
            id: ids[index].clone(),
            resource_type,
            document: document(random, resource_type, index, ids),
            created: DateTime::from_timestamp_millis(1_772_000_000_000 + 777 * (index as i64 / 3)).unwrap(),
            unresolved: if is_group { ghosts } else { Vec::new() },
            members: if is_group { distinct(others(random, 9)) } else { Vec::new() },
            touched: random.chance(30),
            buried: random.chance(8),
        }
    }
}

fn distinct(mut members: Vec<usize>) -> Vec<usize> {
    members.sort_unstable();
    members.dedup();
    members
}

fn document(random: &mut Random, resource_type: &'static ResourceType, index: usize, ids: &[String]) -> Document {
    let mut body = Map::new();
    if random.chance(60) {
        body.insert("externalId".to_owned(), json!(random::text(random)));
    }
    assign(random, &resource_type.schema.attributes, &mut body, ids);
    for extension in &resource_type.extensions {
        let mut attributes = Map::new();
        assign(random, &extension.schema.attributes, &mut attributes, ids);
        body.insert(extension.schema.id.clone(), Value::Object(attributes));
    }
    // A name is required, that of a user unique.
    let name = random::text(random);
    match resource_type.name.as_str() {
        "User" => {
            // The one attribute that takes no control characters.
            let name = name.replace(char::is_control, "");
            body.insert("userName".to_owned(), json!(format!("{name}.{index:03}")))
        }
        _ => body.insert("displayName".to_owned(), json!(format!("{name}x"))),
    };
    let mut urns = vec![resource_type.schema.id.clone()];
    urns.extend(resource_type.extensions.iter().map(|extension| extension.schema.id.clone()));
    body.insert("schemas".to_owned(), json!(urns));
    // Only strict keeps empty text, only compat what follows no standard.
    let profile = if random.chance(70) { Profile::Strict } else { Profile::Compat };
    let accepted = accept::create(resource_type, &body, profile)
        .or_else(|_| accept::create(resource_type, &body, Profile::Compat))
        .unwrap_or_else(|error| panic!("{error}: {body:?}"));
    accepted.document
}

fn assign(random: &mut Random, attributes: &[Attribute], to: &mut Map<String, Value>, ids: &[String]) {
    for attribute in attributes {
        if attribute.mutability != Mutability::ReadOnly && attribute.name != "members" && random.chance(35) {
            to.insert(attribute.name.clone(), random::value(random, attribute, ids));
        }
    }
}

fn uuid(random: &mut Random) -> String {
    let number = random.next();
    format!("0199{:04x}-{:04x}-7000-8000-{:012x}", number >> 48, (number >> 32) & 0xffff, random.next() >> 16)
}
