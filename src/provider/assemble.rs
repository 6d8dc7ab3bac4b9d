//! Stored resource → the representation that a caller sees: `schemas`, `id`, groups, members, computed references and
//! `meta`, for a whole page with one query each.

mod long;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::scim::filter::{Condition, matches};
use crate::scim::projection::Projection;
use crate::scim::raw::{self, RawObject};
use crate::scim::resource::{Document, push_instant};
use crate::scim::schema::{Attribute, Registry, Resolved, ResourceType, Role};
use crate::scim::version::{Tag, Tagging, Tags};
use crate::scim::{Error, Result};
use crate::store::Connection;
use crate::store::glance::{Glance, Seen};
use crate::store::members::{self, GroupOf, Groups, Member};
use crate::store::resources::{StoredResource, StoredText};

/// A resource as a client sees it.
#[derive(Debug, Clone)]
pub struct Representation<T = String> {
    /// The text of the JSON object, projected.
    pub text: T,
    /// What `ETag` and `meta.version` say.
    pub tag: Tag,
    /// `meta.location`, absolute.
    pub location: String,
}

impl Representation {
    /// The JSON object.
    ///
    /// # Errors
    /// A text that is none, which nobody makes.
    pub fn members(&self) -> Result<Map<String, Value>> {
        serde_json::from_str(&self.text).map_err(Error::internal)
    }
}

impl<T> Representation<T> {
    /// The same, its text as something else.
    pub(super) fn map<U>(self, text: impl FnOnce(T) -> U) -> Representation<U> {
        Representation { text: text(self.text), tag: self.tag, location: self.location }
    }
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

/// A stored resource on its way to a representation.
struct Draft<'a> {
    stored: &'a StoredText,
    /// What is stored, its values unread.
    members: RawObject<'a>,
    /// The reference (`manager`), if the resource has one and the projection shows it.
    reference: Option<Map<String, Value>>,
}

/// What resources show of others, as it was in one transaction.
#[derive(Debug, Default)]
pub struct Others {
    /// The groups that list each of them.
    groups: Groups,
    /// The members of each group.
    members: HashMap<i64, Vec<Member>>,
    /// The displayName of each one that is referred to.
    referenced: HashMap<String, Option<String>>,
}

impl Others {
    /// What a glance has seen.
    pub(super) fn seen(groups: Groups, named: HashMap<String, Option<String>>) -> Others {
        Others { groups, referenced: named, ..Others::default() }
    }

    pub(super) fn number_of_members(&self) -> usize {
        self.members.values().map(Vec::len).sum()
    }
}

/// What a page shows of other resources, and how.
struct Related<'a> {
    /// Which attribute shows the members, and the members of each group.
    members: Option<(&'static Attribute, HashMap<i64, Vec<Member>>)>,
    /// Which attribute shows the groups, and the groups of each resource.
    groups: Option<(&'static Attribute, ShownGroups)>,
    /// Which attribute refers to another resource, and the displayName of each one that is referred to.
    referenced: Option<(Resolved, HashMap<String, Option<String>>)>,
    tags: Tags,
    /// What takes from each member; `None` if nothing does.
    projection: Option<&'a Projection>,
}

/// The groups of a page, each written once however many resources show it.
#[derive(Default)]
struct ShownGroups {
    groups: Groups,
    /// The text of each of them.
    texts: Vec<String>,
}

impl Assembler<'_> {
    /// The representation of one resource.
    ///
    /// # Errors
    /// Database failures.
    pub fn one(&self, connection: &mut Connection, stored: StoredText) -> Result<Representation> {
        let draft = self.draft(&stored)?;
        let related = self.read_related(connection, std::slice::from_ref(&draft))?;
        Ok(self.representation(draft, &related))
    }

    /// What a resource shows of others after a change, for [`Assembler::among`].
    ///
    /// # Errors
    /// Database failures.
    pub fn others(&self, connection: &mut Connection, stored: &StoredResource) -> Result<Others> {
        let groups = self.read_groups(connection, &[stored.row_id])?;
        Ok(Others { groups, ..self.others_of_new(connection, stored.row_id, &stored.document)? })
    }

    /// The same of a resource that the same transaction has made: nothing lists it yet.
    ///
    /// # Errors
    /// Database failures.
    pub fn others_of_new(&self, connection: &mut Connection, row_id: i64, document: &Document) -> Result<Others> {
        let reference = self.shown_reference().and_then(|reference| document.get(reference));
        let referenced = reference.and_then(|reference| reference.get("value")?.as_str());
        self.read_named(connection, &[row_id], &referenced.into_iter().collect())
    }

    /// The representation of a resource among these others. It needs no transaction: nobody has to wait for it.
    ///
    /// # Errors
    /// What is stored and cannot be read.
    pub fn among(&self, others: Others, stored: &StoredText) -> Result<Representation> {
        Ok(self.representation(self.draft(stored)?, &self.related(others)))
    }

    /// The representations of what a glance of [`Assembler::glance`] has seen, in order.
    ///
    /// # Errors
    /// What is stored and cannot be read.
    pub fn seen(&self, seen: Seen) -> Result<Vec<Representation>> {
        let Seen { resources, groups, named, .. } = seen;
        let related = self.related(Others::seen(groups, named));
        let drafts = self.drafts(&resources)?.into_iter();
        Ok(drafts.map(|draft| self.representation(draft, &related)).collect())
    }

    /// A glance at resources whose references may be to these, if one can see all that is shown of them.
    pub fn glance(&self, referenced: &[String]) -> Option<Glance> {
        (!self.shows_members()).then(|| Glance {
            tenant_id: self.tenant_id,
            resource_type: &self.resource_type.name,
            with_groups: self.shown(Role::Groups).is_some(),
            for_write: false,
            named: referenced.to_vec(),
        })
    }

    /// Whether the members of groups are shown.
    pub fn shows_members(&self) -> bool {
        self.shown(Role::Members).is_some()
    }

    /// The ids that the shown references of these resources are to, each once.
    ///
    /// # Errors
    /// What is stored and cannot be read.
    pub fn referenced(&self, resources: &[StoredText]) -> Result<Vec<String>> {
        let drafts = self.drafts(resources)?;
        let ids: BTreeSet<&str> = drafts.iter().filter_map(Draft::referenced_id).collect();
        Ok(ids.into_iter().map(str::to_owned).collect())
    }

    /// The representations of a page, in order.
    ///
    /// # Errors
    /// Database failures.
    pub fn all(&self, connection: &mut Connection, page: &[StoredText]) -> Result<Vec<Representation>> {
        let mut all = Vec::with_capacity(page.len());
        self.each(connection, page, |representation| all.push(representation))?;
        Ok(all)
    }

    /// Hands over the same one by one.
    ///
    /// # Errors
    /// Database failures.
    pub fn each(
        &self,
        connection: &mut Connection,
        page: &[StoredText],
        take: impl FnMut(Representation),
    ) -> Result<()> {
        let drafts = self.drafts(page)?;
        let related = self.read_related(connection, &drafts)?;
        drafts.into_iter().map(|draft| self.representation(draft, &related)).for_each(take);
        Ok(())
    }

    /// The representations of those of a page that satisfy a condition, in order; `None` in the place of the others. What
    /// the projection leaves out of members and groups counts as unassigned.
    ///
    /// # Errors
    /// Database failures.
    pub fn matching(
        &self,
        connection: &mut Connection,
        page: &[StoredText],
        condition: Option<&Condition>,
    ) -> Result<Vec<Option<Representation>>> {
        let drafts = self.drafts(page)?;
        let related = self.read_related(connection, &drafts)?;
        let representation = |mut draft: Draft<'_>| {
            self.complete_reference(&mut draft, &related);
            let passes = match condition {
                None => true,
                Some(condition) => matches(condition, &self.written(&draft, &related, None).members()?),
            };
            Ok(passes.then(|| self.written(&draft, &related, related.projection)))
        };
        drafts.into_iter().map(representation).collect()
    }

    fn draft<'a>(&self, stored: &'a StoredText) -> Result<Draft<'a>> {
        let members = RawObject::parse(&stored.document)?;
        let reference = self.shown_reference().and_then(|reference| value_of(&members, reference));
        Ok(Draft { stored, members, reference })
    }

    fn drafts<'a>(&self, page: &'a [StoredText]) -> Result<Vec<Draft<'a>>> {
        page.iter().map(|stored| self.draft(stored)).collect()
    }

    /// What a page shows of these others.
    fn related(&self, others: Others) -> Related<'_> {
        let Others { groups, members, referenced } = others;
        Related {
            members: self.shown(Role::Members).map(|attribute| (attribute, members)),
            groups: self.shown(Role::Groups).map(|attribute| (attribute, self.shown_groups(groups))),
            referenced: self.shown_reference().map(|reference| (reference, referenced)),
            tags: Tags::of(self.projection),
            projection: (!self.projection.shows_everything()).then_some(self.projection),
        }
    }

    fn read_related(&self, connection: &mut Connection, drafts: &[Draft<'_>]) -> Result<Related<'_>> {
        let row_ids: Vec<i64> = drafts.iter().map(|draft| draft.stored.row_id).collect();
        let referenced = drafts.iter().filter_map(Draft::referenced_id).collect();
        let groups = self.read_groups(connection, &row_ids)?;
        Ok(self.related(Others { groups, ..self.read_named(connection, &row_ids, &referenced)? }))
    }

    /// The groups that list the resources, if they are shown.
    fn read_groups(&self, connection: &mut Connection, row_ids: &[i64]) -> Result<Groups> {
        match self.shown(Role::Groups) {
            Some(_) => members::groups_of(connection, row_ids),
            None => Ok(Groups::default()),
        }
    }

    /// The others that the resources themselves name: their members, if they are shown, and those whom they refer to.
    fn read_named(&self, connection: &mut Connection, row_ids: &[i64], referenced: &HashSet<&str>) -> Result<Others> {
        let members = match self.shows_members() {
            true => members::of_groups(connection, row_ids)?,
            false => HashMap::new(),
        };
        Ok(Others { members, referenced: self.read_names(connection, referenced)?, ..Others::default() })
    }

    /// The displayNames of those whom resources refer to.
    fn read_names(
        &self,
        connection: &mut Connection,
        referenced: &HashSet<&str>,
    ) -> Result<HashMap<String, Option<String>>> {
        match referenced.is_empty() {
            true => Ok(HashMap::new()),
            false => members::display_names(connection, self.tenant_id, &self.resource_type.name, referenced),
        }
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

    fn representation(&self, mut draft: Draft<'_>, related: &Related<'_>) -> Representation {
        self.complete_reference(&mut draft, related);
        self.written(&draft, related, related.projection)
    }

    /// What the projection leaves of a resource, or all of it.
    fn written(&self, draft: &Draft<'_>, related: &Related<'_>, projection: Option<&Projection>) -> Representation {
        let Draft { stored, members: own, .. } = draft;
        let mut body = Body {
            text: raw::Writing::with_capacity(stored.document.len() + BESIDE_DOCUMENT),
            tagging: related.tags.begin(),
            projection,
        };
        body.member("schemas", &self.schemas(own));
        body.member("id", &raw::string(&stored.id));
        let mut extensions = Vec::new();
        for (name, text) in own.members() {
            if name.contains(':') {
                extensions.push((name, text));
            } else {
                body.member(name, text);
            }
        }
        if let Some((attribute, members)) = &related.members {
            let members = members.get(&stored.row_id).map(Vec::as_slice).unwrap_or_default();
            // authentik adds users only where the key is present, so an empty list is shown as one.
            body.member(&attribute.name, &array(members, |member| self.member(member)));
        }
        if let Some((attribute, shown)) = &related.groups
            && let places @ [_, ..] = shown.groups.places(stored.row_id)
        {
            body.member(&attribute.name, &array(places, |place| shown.texts[*place].as_str()));
        }
        extensions.into_iter().for_each(|(name, text)| body.member(name, text));
        let (tag, location) = (body.tagging.tag(stored.meta.version), self.location_of(stored));
        body.member("meta", &self.meta(stored, &location, &tag));
        Representation { text: body.text.finish(), tag, location }
    }

    /// The URNs of `schemas`: the base schema, required extensions, and extensions with an assigned attribute (RES-02).
    fn schemas(&self, members: &RawObject<'_>) -> String {
        let mut schemas = String::with_capacity(128);
        schemas.push('[');
        raw::push_string(&mut schemas, &self.resource_type.schema.id);
        for extension in &self.resource_type.extensions {
            if extension.required || members.get(&extension.schema.id).is_some() {
                schemas.push(',');
                raw::push_string(&mut schemas, &extension.schema.id);
            }
        }
        schemas.push(']');
        schemas
    }

    /// What the server says of a resource (RFC 7643 §3.1).
    fn meta(&self, stored: &StoredText, location: &str, tag: &Tag) -> String {
        let mut meta = String::with_capacity(256);
        meta.push_str(r#"{"resourceType":"#);
        raw::push_string(&mut meta, &self.resource_type.name);
        meta.push_str(r#","created":""#);
        push_instant(&mut meta, stored.meta.created);
        meta.push_str(r#"","lastModified":""#);
        push_instant(&mut meta, stored.meta.last_modified);
        meta.push_str(r#"","location":"#);
        raw::push_string(&mut meta, location);
        meta.push_str(r#","version":"#);
        raw::push_string(&mut meta, &tag.to_string());
        meta.push('}');
        meta
    }

    /// Adds `$ref` and `displayName` to a reference whose target is live (ENT-01, ENT-02).
    fn complete_reference(&self, draft: &mut Draft<'_>, related: &Related<'_>) {
        let Some((reference, names)) = &related.referenced else { return };
        let Some((id, display_name)) = draft.referenced_id().and_then(|id| names.get_key_value(id)) else { return };
        let Some(mut parts) = draft.reference.take() else { return };
        parts.insert("$ref".to_owned(), json!(self.location(&self.resource_type.name, id)));
        if let Some(display_name) = display_name {
            parts.insert("displayName".to_owned(), json!(display_name));
        }
        let (name, text) = (&reference.attribute.name, Value::Object(parts).to_string());
        let Some(urn) = reference.container() else {
            return draft.members.replace(name, text);
        };
        let extension = draft.members.get(urn).and_then(|extension| RawObject::parse(extension).ok());
        let completed = extension.map(|mut extension| {
            extension.replace(name, text);
            extension.to_text()
        });
        if let Some(completed) = completed {
            draft.members.replace(urn, completed);
        }
    }

    fn member(&self, member: &Member) -> String {
        let mut shown = RawObject::with_capacity(4);
        shown.push("value", raw::string(&member.value));
        if let Some(resource) = &member.resource {
            shown.push("$ref", raw::string(&self.location(&resource.resource_type, &member.value)));
            if let Some(display) = &resource.display {
                shown.push("display", raw::string(display));
            }
            shown.push("type", raw::string(&resource.resource_type));
        }
        shown.to_text()
    }

    /// Members as a client sees them, for the conditions of PATCH paths.
    ///
    /// # Errors
    /// A text that is no JSON, which nobody makes.
    pub fn members(&self, members: &[Member]) -> Result<Vec<Value>> {
        let value = |member| serde_json::from_str(&self.member(member)).map_err(Error::internal);
        members.iter().map(value).collect()
    }

    fn shown_groups(&self, groups: Groups) -> ShownGroups {
        let texts = groups.shown().iter().map(|group| self.group(group)).collect();
        ShownGroups { groups, texts }
    }

    fn group(&self, group: &GroupOf) -> String {
        let mut shown = RawObject::with_capacity(4);
        shown.push("value", raw::string(&group.value));
        shown.push("$ref", raw::string(&self.location("Group", &group.value)));
        if let Some(display) = &group.display {
            shown.push("display", raw::string(display));
        }
        shown.push("type", raw::string(if group.through.is_none() { "direct" } else { "indirect" }));
        shown.to_text()
    }

    fn location_of(&self, stored: &StoredText) -> String {
        self.location_at(&self.resource_type.endpoint, &stored.id)
    }

    fn location(&self, resource_type: &str, id: &str) -> String {
        let resource_type = self.registry.resource_type(resource_type);
        self.location_at(resource_type.map_or("", |resource_type| &resource_type.endpoint), id)
    }

    fn location_at(&self, endpoint: &str, id: &str) -> String {
        [self.base_url, endpoint, "/", id].concat()
    }
}

/// How much there usually is in a representation beside the document, in bytes.
pub(super) const BESIDE_DOCUMENT: usize = 640;

/// A representation that is being written.
struct Body<'a> {
    text: raw::Writing,
    tagging: Tagging,
    /// What takes from each member; `None` if nothing does.
    projection: Option<&'a Projection>,
}

impl Body<'_> {
    fn member(&mut self, name: &str, text: &str) {
        let shown = match self.projection {
            None => Some(Cow::Borrowed(text)),
            Some(projection) => projection.member_to_text(name, text),
        };
        if let Some(shown) = shown {
            self.tagging.member(name, &shown);
            self.text.member(name, &shown);
        }
    }
}

impl Draft<'_> {
    fn referenced_id(&self) -> Option<&str> {
        self.reference.as_ref()?.get("value")?.as_str()
    }
}

/// The complex value of an attribute among unread ones.
fn value_of(members: &RawObject<'_>, attribute: Resolved) -> Option<Map<String, Value>> {
    let name = &attribute.attribute.name;
    let text = match attribute.container() {
        None => Cow::Borrowed(members.get(name)?),
        Some(urn) => raw::member(members.get(urn)?, name).ok()??,
    };
    serde_json::from_str(&text).ok()
}

fn array<T, S: AsRef<str>>(elements: &[T], text: impl Fn(&T) -> S) -> String {
    let mut array = String::from("[");
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            array.push(',');
        }
        array.push_str(text(element).as_ref());
    }
    array.push(']');
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Call, Provider, system_clock};
    use crate::scim::query::{Parameters, Query};
    use crate::scim::{ErrorKind, Profile};
    use crate::store::tests::{Fixture, on_each_database, spoil};

    #[test]
    fn a_document_that_cannot_be_read_fails_what_would_show_it_alone() {
        on_each_database(|Fixture { store, .. }| async move {
            let users = Registry::builtin().resource_type("User").expect("a built-in type");
            let provider = Provider::new(store.clone(), Registry::builtin(), "https://x/scim/v2", system_clock());
            let mut ids = Vec::new();
            for name in ["ann", "bob", "eve"] {
                let body = json!({"userName": name}).as_object().expect("an object").clone();
                let made = provider.create(Call::of_a_test(), users, body, Projection::everything(users)).await;
                ids.push(made.expect("a user").members().expect("an object")["id"].clone());
            }
            let damaged = ids[1].as_str().expect("an id").to_owned();
            store.write(move |connection| spoil(connection, &damaged)).await.expect("damaged");
            let page = |start_index: &str| {
                let parameters = Parameters {
                    start_index: Some(start_index.to_owned()),
                    count: Some("1".to_owned()),
                    ..Parameters::default()
                };
                let query = Query::resolve(&parameters, users, Profile::Compat).expect("a query");
                provider.search(Call::of_a_test(), vec![query])
            };

            let pages = [page("1").await, page("2").await, page("3").await];

            let failures = pages.map(|page| page.err().map(|failure| failure.kind()));
            assert_eq!(failures, [None, Some(ErrorKind::Internal), None]);
        });
    }
}
