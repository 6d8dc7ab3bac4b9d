//! One resource: as it is, as it was when it was deleted, or as it was at a time.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::surroundings::{Deed, Members, Membership, Referred, Then, groups};
use super::{Entry, Status, filled_by_others, not_there, resource_type};
use crate::admin::{Desk, Operation, Route};
use crate::provider::Provider;
use crate::provider::assemble::Assembler;
use crate::provider::history::Past;
use crate::scim::projection::Projection;
use crate::scim::resource::format_instant;
use crate::scim::schema::{ResourceType, Role};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::resources::{self, StoredResource};
use crate::store::{Connection, Reach};

/// One resource, live or deleted, with what stands around it; or its state at a time, without what other resources add to
/// it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Show {
    /// The name of the tenant.
    pub tenant: String,
    /// The endpoint of the resource type: `Users`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// The time whose state is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub at: Option<DateTime<Utc>>,
    /// Whether the resource itself lists all members of a group; the first ones are told anyway.
    #[serde(default)]
    pub all_members: bool,
}

/// All that there is to say of a resource.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ResourceDetails")]
pub struct Details {
    /// The time that the state is of, if it is one of the past.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub at: Option<DateTime<Utc>>,
    /// The version then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The resource.
    #[serde(flatten)]
    pub entry: Entry,
    /// When it was last written itself, and by which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_write: Option<Deed>,
    /// Its last change, also one that followed from another resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Deed>,
    /// The groups that a live resource is in, directly or through others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Membership>>,
    /// The manager of a live user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<Referred>,
    /// The members of a group that is live, or was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Members>,
    /// What its deletion took away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relations: Option<Then>,
}

impl Details {
    fn of(entry: Entry) -> Details {
        Details {
            at: None,
            version: None,
            entry,
            last_write: None,
            last_change: None,
            groups: None,
            manager: None,
            members: None,
            relations: None,
        }
    }
}

impl Operation for Show {
    const ROUTE: Route = Route::get("/tenants/{tenant}/resources/{type}/{id}")
        .named("showResource")
        .about("One resource, live or deleted, with its groups and its last change; or as it was at a time");
    type Outcome = Details;

    async fn carry_out(self, desk: &Desk) -> Result<Details> {
        let tenant = desk.tenant(&self.tenant).await?;
        let resource_type = resource_type(desk, &self.resource_type).await?;
        let look = Look { tenant_id: tenant.tenant_id, resource_type, all_members: self.all_members };
        let found = match self.at {
            Some(at) => look.past(desk, &self.id, at).await?,
            None => look.present(desk, &self.id).await?,
        };
        if found.is_none() {
            desk.provider.check_not_purged(tenant.tenant_id, resource_type, &self.id).await?;
        }
        found.ok_or_else(|| not_there(resource_type, &self.id, &tenant))
    }
}

/// A look at one resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Whose it is.
    pub tenant_id: i64,
    /// Its type.
    pub resource_type: &'static ResourceType,
    /// Whether the resource itself lists all members of a group.
    pub all_members: bool,
}

impl Look {
    /// What is live or deleted under that id, of one moment.
    async fn present(self, desk: &Desk, id: &str) -> Result<Option<Details>> {
        let (provider, id) = (desk.provider.clone(), id.to_owned());
        let read = move |connection: &mut Connection| {
            let name = &self.resource_type.name;
            let details = match resources::find(connection, self.tenant_id, name, &id)? {
                Some(live) => Some(self.live_details(connection, &provider, live)?),
                None => match resources::find_buried(connection, self.tenant_id, name, &id)? {
                    Some(buried) => Some(self.deleted_details(connection, buried)?),
                    None => None,
                },
            };
            let Some(mut details) = details else { return Ok(None) };
            (details.last_write, details.last_change) = Deed::last(connection, self.tenant_id, name, &id)?;
            Ok(Some(details))
        };
        desk.store.read(Reach::Scan, read).await
    }

    /// The live resource of that id alone.
    pub(super) async fn live(self, desk: &Desk, id: &str) -> Result<Option<Entry>> {
        let (provider, id) = (desk.provider.clone(), id.to_owned());
        let read = move |connection: &mut Connection| {
            let stored = resources::find(connection, self.tenant_id, &self.resource_type.name, &id)?;
            stored.map(|stored| self.live_entry(connection, &provider, stored)).transpose()
        };
        desk.store.read(Reach::Scan, read).await
    }

    async fn past(self, desk: &Desk, id: &str, at: DateTime<Utc>) -> Result<Option<Details>> {
        if at > desk.now() {
            return Err(Error::new(ErrorKind::InvalidValue, "`at` is a time in the future."));
        }
        let past = desk.provider.state_at(self.tenant_id, self.resource_type, id.to_owned(), at).await?;
        let Some(Past { stored, members }) = past else { return Ok(None) };
        let version = Some(stored.meta.version);
        let has_members = self.resource_type.attribute_in_role(Role::Members).is_some() && stored.deleted.is_none();
        let listed = (has_members && self.all_members).then_some(&members);
        let members = has_members.then(|| Members::of_past(&members));
        Ok(Some(Details { at: Some(at), version, members, ..Details::of(self.own(stored, listed)) }))
    }

    fn live_details(self, connection: &mut Connection, provider: &Provider, stored: StoredResource) -> Result<Details> {
        let row_id = stored.row_id;
        let groups = Some(groups(connection, row_id)?);
        let manager = Referred::by(connection, self.tenant_id, self.resource_type, &stored)?;
        let members = match self.resource_type.attribute_in_role(Role::Members) {
            Some(_) => Some(Members::of_group(connection, row_id)?),
            None => None,
        };
        let entry = self.live_entry(connection, provider, stored)?;
        Ok(Details { groups, manager, members, ..Details::of(entry) })
    }

    fn live_entry(self, connection: &mut Connection, provider: &Provider, stored: StoredResource) -> Result<Entry> {
        let name = stored.name.clone();
        let without = if self.all_members { None } else { filled_by_others(self.resource_type, &[Role::Members]) };
        let projection = Projection::parse(self.resource_type, None, without.as_deref())?;
        let assembler = Assembler {
            tenant_id: self.tenant_id,
            resource_type: self.resource_type,
            registry: provider.registry(),
            projection: &projection,
            base_url: provider.base_url(),
        };
        let representation = assembler.one(connection, stored.into_text())?;
        Ok(Entry::live(self.resource_type, representation.members()?, name))
    }

    fn deleted_details(self, connection: &mut Connection, stored: StoredResource) -> Result<Details> {
        let relations = Some(Then::of(connection, self.tenant_id, &stored.resource_type, &stored.id)?);
        Ok(Details { relations, ..Details::of(self.own(stored, None)) })
    }

    /// What is the resource's own, of one that clients do not see, and the ids of its members.
    fn own(self, stored: StoredResource, members: Option<&BTreeSet<String>>) -> Entry {
        let resource_type = self.resource_type;
        let mut body = Map::new();
        body.insert("schemas".to_owned(), json!(stored.document.schemas(resource_type)));
        body.insert("id".to_owned(), json!(stored.id));
        body.extend(stored.document.into_members());
        if let (Some(attribute), Some(ids)) = (resource_type.attribute_in_role(Role::Members), members) {
            let members: Vec<Value> = ids.iter().map(|id| json!({"value": id})).collect();
            body.insert(attribute.name.clone(), Value::Array(members));
        }
        let (created, last_modified) = (format_instant(stored.meta.created), format_instant(stored.meta.last_modified));
        let meta = json!({"resourceType": resource_type.name, "created": created, "lastModified": last_modified});
        body.insert("meta".to_owned(), meta);
        let body = Projection::everything(resource_type).apply(body);
        let live = Entry::live(resource_type, body, stored.name);
        match stored.deleted {
            Some((at, by)) => Entry { status: Status::Deleted, deleted: Some(at), deleted_by: Some(by), ..live },
            None => live,
        }
    }
}
