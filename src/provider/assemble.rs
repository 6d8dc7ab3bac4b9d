//! Stored resource → the representation that a caller sees: `schemas`, `id`, groups, members, computed references and
//! `meta`, for a whole page with one query each.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::scim::Result;
use crate::scim::filter::{Condition, matches};
use crate::scim::projection::Projection;
use crate::scim::resource::format_instant;
use crate::scim::schema::{Attribute, Registry, Resolved, ResourceType, Role};
use crate::scim::version::Tag;
use crate::store::Connection;
use crate::store::glance::{Glance, Seen};
use crate::store::members::{self, GroupOf, Member};
use crate::store::resources::StoredResource;

/// A resource as a client sees it.
#[derive(Debug, Clone)]
pub struct Representation {
    /// The JSON object, projected.
    pub body: Map<String, Value>,
    /// What `ETag` and `meta.version` say.
    pub tag: Tag,
    /// `meta.location`, absolute.
    pub location: String,
}

/// Assembles resources of one type.
pub struct Assembler<'a> {
    /// Whose they are.
    pub tenant_id: i64,
    /// Their type.
    pub resource_type: &'static ResourceType,
    /// Every type, for references.
    pub registry: &'static Registry,
    /// What to show.
    pub projection: &'a Projection,
    /// What stands in front of the endpoints.
    pub base_url: &'a str,
}

/// What a page shows of other resources.
#[derive(Default)]
struct Related {
    members: HashMap<i64, Vec<Member>>,
    groups: HashMap<i64, Vec<GroupOf>>,
    referenced: HashMap<String, Option<String>>,
}

impl Assembler<'_> {
    /// The representation of one resource.
    ///
    /// # Errors
    /// Database failures.
    pub fn one(&self, connection: &mut Connection, stored: StoredResource) -> Result<Representation> {
        let related = self.related(connection, std::slice::from_ref(&stored))?;
        Ok(self.representation(stored, &related))
    }

    /// The representation of a resource that the same transaction has made: nothing lists it yet.
    ///
    /// # Errors
    /// Database failures.
    pub fn made(&self, connection: &mut Connection, stored: StoredResource) -> Result<Representation> {
        let mut related = Related::default();
        self.read_own(connection, std::slice::from_ref(&stored), &mut related)?;
        Ok(self.representation(stored, &related))
    }

    /// The representations of what a glance of [`Assembler::glance`] has seen, in order.
    pub fn seen(&self, seen: Seen) -> Vec<Representation> {
        let Seen { resources, groups, named } = seen;
        let related = Related { groups, referenced: named, ..Related::default() };
        resources.into_iter().map(|stored| self.representation(stored, &related)).collect()
    }

    /// A glance at resources whose references may be to these, if one can see all that is shown of them.
    pub fn glance<'b>(&'b self, referenced: &'b [String]) -> Option<Glance<'b>> {
        let shows_members = self.shown(Role::Members).is_some();
        (!shows_members).then(|| Glance {
            tenant_id: self.tenant_id,
            resource_type: &self.resource_type.name,
            with_groups: self.shown(Role::Groups).is_some(),
            named: referenced,
        })
    }

    /// The ids that the shown references of these resources are to, each once.
    pub fn referenced(&self, resources: &[StoredResource]) -> Vec<String> {
        let Some(reference) = self.shown_reference() else { return Vec::new() };
        let ids: BTreeSet<&str> = resources.iter().filter_map(|stored| referenced_id(stored, reference)).collect();
        ids.into_iter().map(str::to_owned).collect()
    }

    /// The representations of a page, in order.
    ///
    /// # Errors
    /// Database failures.
    pub fn all(&self, connection: &mut Connection, page: Vec<StoredResource>) -> Result<Vec<Representation>> {
        let related = self.related(connection, &page)?;
        Ok(page.into_iter().map(|stored| self.representation(stored, &related)).collect())
    }

    /// The representations of those of a page that satisfy a condition, in order; `None` in the place of the others. What
    /// the projection leaves out of members and groups counts as unassigned.
    ///
    /// # Errors
    /// Database failures.
    pub fn matching(
        &self,
        connection: &mut Connection,
        page: Vec<StoredResource>,
        condition: Option<&Condition>,
    ) -> Result<Vec<Option<Representation>>> {
        let related = self.related(connection, &page)?;
        let representation = |stored: StoredResource| {
            let version = stored.meta.version;
            let (whole, location) = self.whole(stored, &related);
            let passes = condition.is_none_or(|condition| {
                let mut whole = whole.clone();
                Tag::of(version, self.projection, &whole).stamp(&mut whole);
                matches(condition, &whole)
            });
            passes.then(|| self.projected(version, whole, location))
        };
        Ok(page.into_iter().map(representation).collect())
    }

    fn related(&self, connection: &mut Connection, page: &[StoredResource]) -> Result<Related> {
        let mut related = Related::default();
        if self.shown(Role::Groups).is_some() {
            let row_ids: Vec<i64> = page.iter().map(|stored| stored.row_id).collect();
            related.groups = members::groups_of(connection, &row_ids)?;
        }
        self.read_own(connection, page, &mut related)?;
        Ok(related)
    }

    /// Reads what is shown of the others that the resources themselves name.
    fn read_own(&self, connection: &mut Connection, page: &[StoredResource], related: &mut Related) -> Result<()> {
        if self.shown(Role::Members).is_some() {
            let row_ids: Vec<i64> = page.iter().map(|stored| stored.row_id).collect();
            related.members = members::of_groups(connection, &row_ids)?;
        }
        if let Some(reference) = self.shown_reference() {
            let ids: HashSet<&str> = page.iter().filter_map(|stored| referenced_id(stored, reference)).collect();
            if !ids.is_empty() {
                let name = &self.resource_type.name;
                related.referenced = members::display_names(connection, self.tenant_id, name, &ids)?;
            }
        }
        Ok(())
    }

    /// The attribute of that role, if the type has it and the projection shows it.
    fn shown(&self, role: Role) -> Option<&'static Attribute> {
        let attribute = self.resource_type.attribute_in_role(role)?;
        self.projection.includes(attribute).then_some(attribute)
    }

    /// The stored reference whose parts are computed (`manager`), if the projection shows it.
    fn shown_reference(&self) -> Option<Resolved> {
        let reference = self.resource_type.reference()?;
        self.projection.includes(reference.attribute).then_some(reference)
    }

    fn representation(&self, stored: StoredResource, related: &Related) -> Representation {
        let version = stored.meta.version;
        let (whole, location) = self.whole(stored, related);
        self.projected(version, whole, location)
    }

    fn projected(&self, version: i64, whole: Map<String, Value>, location: String) -> Representation {
        let mut body = self.projection.apply(whole);
        let tag = Tag::of(version, self.projection, &body);
        tag.stamp(&mut body);
        Representation { body, tag, location }
    }

    /// The resource before the projection takes from it, without its version; and where it is.
    fn whole(&self, mut stored: StoredResource, related: &Related) -> (Map<String, Value>, String) {
        let location = self.location(&self.resource_type.name, &stored.id);
        if let Some(reference) = self.shown_reference() {
            self.complete_reference(&mut stored, reference, related);
        }
        let schemas = stored.document.schemas(self.resource_type);
        let row_id = stored.row_id;
        let meta = stored.meta;
        let mut body = stored.document.into_members();
        let extensions = taken(&mut body, |name| name.contains(':'));
        body.shift_insert(0, "schemas".to_owned(), json!(schemas));
        body.shift_insert(1, "id".to_owned(), json!(stored.id));
        if let Some(attribute) = self.shown(Role::Members) {
            let members = related.members.get(&row_id).map(Vec::as_slice).unwrap_or_default();
            // authentik adds users only where the key is present, so an empty list is shown as one.
            let shown: Vec<Value> = members.iter().map(|member| self.member(member)).collect();
            body.insert(attribute.name.clone(), Value::Array(shown));
        }
        if let (Some(attribute), Some(groups)) = (self.shown(Role::Groups), related.groups.get(&row_id)) {
            let shown: Vec<Value> = groups.iter().map(|group| self.group(group)).collect();
            body.insert(attribute.name.clone(), Value::Array(shown));
        }
        body.extend(extensions);
        body.insert(
            "meta".to_owned(),
            json!({
                "resourceType": self.resource_type.name,
                "created": format_instant(meta.created),
                "lastModified": format_instant(meta.last_modified),
                "location": location,
                "version": "",
            }),
        );
        (body, location)
    }

    /// Adds `$ref` and `displayName` to a reference whose target is live (ENT-01, ENT-02).
    fn complete_reference(&self, stored: &mut StoredResource, reference: Resolved, related: &Related) {
        let Some(id) = referenced_id(stored, reference) else {
            return;
        };
        let Some(display_name) = related.referenced.get(id) else {
            return;
        };
        let location = self.location(&self.resource_type.name, id);
        let Some(Value::Object(mut parts)) = stored.document.get(reference).cloned() else {
            return;
        };
        parts.insert("$ref".to_owned(), json!(location));
        if let Some(display_name) = display_name {
            parts.insert("displayName".to_owned(), json!(display_name));
        }
        stored.document.set(reference, Value::Object(parts));
    }

    fn member(&self, member: &Member) -> Value {
        let mut shown = Map::new();
        shown.insert("value".to_owned(), json!(member.value));
        if let Some(resource) = &member.resource {
            shown.insert("$ref".to_owned(), json!(self.location(&resource.resource_type, &member.value)));
            if let Some(display) = &resource.display {
                shown.insert("display".to_owned(), json!(display));
            }
            shown.insert("type".to_owned(), json!(resource.resource_type));
        }
        Value::Object(shown)
    }

    /// A member as a client sees it, for the conditions of PATCH paths.
    pub fn members(&self, members: &[Member]) -> Vec<Value> {
        members.iter().map(|member| self.member(member)).collect()
    }

    fn group(&self, group: &GroupOf) -> Value {
        let mut shown = Map::new();
        shown.insert("value".to_owned(), json!(group.value));
        shown.insert("$ref".to_owned(), json!(self.location("Group", &group.value)));
        if let Some(display) = &group.display {
            shown.insert("display".to_owned(), json!(display));
        }
        shown.insert("type".to_owned(), json!(if group.through.is_none() { "direct" } else { "indirect" }));
        Value::Object(shown)
    }

    fn location(&self, resource_type: &str, id: &str) -> String {
        let endpoint = self.registry.resource_type(resource_type).map_or("", |resource_type| &resource_type.endpoint);
        format!("{}{endpoint}/{id}", self.base_url)
    }
}

/// Takes members out; the others keep their order.
fn taken(members: &mut Map<String, Value>, is_taken: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
    let names: Vec<String> = members.keys().filter(|name| is_taken(name)).cloned().collect();
    names.into_iter().filter_map(|name| members.shift_remove_entry(&name)).collect()
}

fn referenced_id(stored: &StoredResource, reference: Resolved) -> Option<&str> {
    stored.document.get(reference)?.get("value")?.as_str()
}
