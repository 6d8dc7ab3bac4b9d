//! PATCH: a list of changes, all or none (RFC 7644 §3.5.2).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::assemble::{Assembler, Others};
use super::credential::Hashed;
use super::membership::{self, Change};
use super::record::record;
use super::revision::Revisable;
use super::{Call, Provider, Representation, Target, lock_expected, log_ignored, reference};
use crate::auth::Access;
use crate::scim::patch::{self, Budget, MemberSource, PatchRequest, Patched};
use crate::scim::projection::Projection;
use crate::scim::resource::{Document, format_instant};
use crate::scim::schema::{ResourceType, Role};
use crate::scim::{Error, Result};
use crate::store::audit::{Changes, Operation};
use crate::store::resources::{StoredResource, StoredText};
use crate::store::{Connection, members, resources};

/// What a PATCH came to.
#[derive(Debug)]
pub struct Modified {
    /// The resource after it.
    pub representation: Representation,
    /// Whether that is what the client asked to see, rather than what was cheap to tell.
    pub whole: bool,
}

/// A group with more members than this is not repeated in the answer to a PATCH, unless the client names what it wants to
/// see: the cost of adding one member must not grow with the group.
const MOST_MEMBERS_REPEATED: i64 = 1000;

impl Provider {
    /// Applies the operations of a PATCH message. Without an effective change nothing is written (PATCH-10).
    ///
    /// # Errors
    /// Those of the PATCH engine; 404; 412; `uniqueness`; 403; database failures.
    pub async fn modify(
        &self,
        call: Call,
        target: Target,
        body: Map<String, Value>,
        projection: Projection,
        minimal: bool,
    ) -> Result<Modified> {
        let projection = projection.after_patch(&body);
        let resource_type = target.resource_type;
        let modification = Modification::parse(&call, target, &body)?;
        let hashed = Hashed::of_patch(&self.passwords, resource_type, &modification.request, call.profile()).await?;
        let modification = modification.with(hashed);
        let (tenant_id, projection) = (call.caller.tenant_id, Arc::new(projection));
        if let Some((stored, others)) = self.modify_with_others(&call, &modification, &projection).await? {
            let representation = self.shown(tenant_id, &projection, others, stored).await?;
            return Ok(Modified { representation, whole: !minimal });
        }
        let now = self.now();
        let write = {
            let (provider, projection) = (self.clone(), Arc::clone(&projection));
            move |connection: &mut Connection| {
                let stored = modification.make(&provider, connection, &call, &mut Budget::full(), now)?;
                provider.unshown(connection, tenant_id, stored, &projection)
            }
        };
        let Unshown { stored, others, brief } = self.store.write(write).await?;
        let whole = brief.is_none() && !minimal;
        let projection = brief.map_or(projection, Arc::new);
        let representation = self.shown(tenant_id, &projection, others, stored.into_text()).await?;
        Ok(Modified { representation, whole })
    }

    /// Applies what concerns nobody else, together with what others write at the moment, where that spares round trips; `None`,
    /// and nothing is done, if it has to be applied by itself.
    async fn modify_with_others(
        &self,
        call: &Call,
        modification: &Modification,
        projection: &Projection,
    ) -> Result<Option<(StoredText, Others)>> {
        let target = &modification.target;
        let looks = || modification.request.looks();
        let Some(revisable) = self.find_to_revise(call, target, projection, looks).await? else { return Ok(None) };
        let Some(patched) = modification.try_in_place(call, &revisable) else { return Ok(None) };
        let modified = match patched.document == revisable.document {
            true => Some(revisable.unchanged()),
            false => self.revise(call, Operation::Modify, revisable, &patched.document).await?,
        };
        if modified.is_some() {
            log_ignored(&patched.ignored);
        }
        Ok(modified)
    }

    /// A resource after a write, with what is shown of others; a large group only in brief.
    fn unshown(
        &self,
        connection: &mut Connection,
        tenant_id: i64,
        stored: StoredResource,
        projection: &Projection,
    ) -> Result<Unshown> {
        let resource_type = projection.resource_type();
        let too_much = projection.is_default() && is_large(connection, resource_type, &stored)?;
        let brief = too_much.then(|| Projection::parse(resource_type, Some("meta"), None)).transpose()?;
        let shown = brief.as_ref().unwrap_or(projection);
        let others = self.assembler(tenant_id, resource_type, shown).others(connection, &stored)?;
        Ok(Unshown { stored, others, brief })
    }

    /// The same, shown within the transaction.
    pub(super) fn show(
        &self,
        connection: &mut Connection,
        tenant_id: i64,
        stored: StoredResource,
        projection: &Projection,
    ) -> Result<Modified> {
        let Unshown { stored, others, brief } = self.unshown(connection, tenant_id, stored, projection)?;
        let shown = brief.as_ref().unwrap_or(projection);
        let assembler = self.assembler(tenant_id, shown.resource_type(), shown);
        Ok(Modified { representation: assembler.among(others, &stored.into_text())?, whole: brief.is_none() })
    }
}

/// A resource after a write, to be shown when its transaction is over.
struct Unshown {
    stored: StoredResource,
    others: Others,
    /// What is shown instead of a large group.
    brief: Option<Projection>,
}

/// The operations of a PATCH message, to be made within a transaction.
#[derive(Debug)]
pub(super) struct Modification {
    target: Target,
    request: PatchRequest,
    hashed: Hashed,
}

impl Modification {
    /// Of the message of a caller who may write the resource.
    ///
    /// # Errors
    /// 403; `invalidSyntax`, `invalidPath` for a message that is none.
    pub(super) fn parse(call: &Call, target: Target, body: &Map<String, Value>) -> Result<Modification> {
        call.may(Access::Write, target.resource_type)?;
        Ok(Modification { target, request: patch::parse(body, call.profile())?, hashed: Hashed::default() })
    }

    /// The same, with the hash of the password that it sets.
    pub(super) fn with(self, hashed: Hashed) -> Modification {
        Modification { hashed, ..self }
    }

    /// What the operations make of a resource that is read already, if it takes little to tell, and is all in its document.
    /// `None` also for what is to be refused: the transaction tells why.
    fn try_in_place(&self, call: &Call, revisable: &Revisable) -> Option<Patched> {
        let (resource_type, before) = (self.target.resource_type, &revisable.document);
        let (identity, mut budget) = (identity(&revisable.before, before, resource_type), Budget::in_place());
        let (request, profile) = (&self.request, call.profile());
        let patched = patch::apply(request, resource_type, before, &identity, &mut UnreadRows, profile, &mut budget);
        patched.ok().filter(Patched::is_all_in_its_document)
    }

    /// Applies the operations, all or none, and takes their work off the budget.
    ///
    /// # Errors
    /// Those of the PATCH engine; 404; 412; `uniqueness`; database failures.
    pub(super) fn make(
        &self,
        provider: &Provider,
        connection: &mut Connection,
        call: &Call,
        budget: &mut Budget,
        now: DateTime<Utc>,
    ) -> Result<StoredResource> {
        let resource_type = self.target.resource_type;
        let (place, mut stored) = lock_expected(connection, call, &self.target)?;
        let everything = Projection::everything(resource_type);
        let assembler = provider.assembler(place.tenant_id, resource_type, &everything);
        let identity = identity(&stored, &stored.document, resource_type);
        let mut rows = OtherRows { connection, stored: &stored, assembler: &assembler };
        let (request, before) = (&self.request, &stored.document);
        let patched = patch::apply(request, resource_type, before, &identity, &mut rows, call.profile(), budget)?;
        log_ignored(&patched.ignored);
        reference::check(connection, place, Some(&stored.document), &patched.document, call.profile())?;
        let change = Change::from(patched.members);
        let members = membership::apply(connection, place, &stored, &change, call.profile())?;
        let password = self.hashed.write(connection, stored.row_id, &patched.password)?;
        let before = stored.document.clone();
        call.may_change(resource_type, &before, &patched.document)?;
        if patched.document != before {
            resources::replace(connection, place, &mut stored, patched.document, now)?;
        } else if password || !members.is_empty() {
            resources::touch(connection, &mut stored, true, now)?;
        }
        let changes = Changes::of(place.resource_type, Some(&before), Some(&stored.document))
            .with_members(&members.added, &members.removed)
            .with_password(password);
        if !changes.is_empty() {
            record(connection, call, Operation::Modify, &stored, now, &changes)?;
        }
        Ok(stored)
    }
}

fn is_large(connection: &mut Connection, resource_type: &ResourceType, stored: &StoredResource) -> Result<bool> {
    let has_members = resource_type.attribute_in_role(Role::Members).is_some();
    Ok(has_members && members::exceed(connection, stored.row_id, MOST_MEMBERS_REPEATED)?)
}

/// What the server says of the resource without looking further, for clients that echo it (PATCH-11).
fn identity<D>(stored: &StoredResource<D>, document: &Document, resource_type: &ResourceType) -> Map<String, Value> {
    let identity = json!({
        "schemas": document.schemas(resource_type),
        "id": stored.id,
        "meta": {
            "resourceType": resource_type.name,
            "created": format_instant(stored.meta.created),
            "lastModified": format_instant(stored.meta.last_modified),
        },
    });
    match identity {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// What a resource has in other rows that nobody has read: an operation that can't be decided without it fails.
struct UnreadRows;

fn unread<T>() -> Result<T> {
    Err(Error::internal("it takes a transaction to read that"))
}

impl MemberSource for UnreadRows {
    fn contains(&mut self, _: &str) -> Result<bool> {
        unread()
    }

    fn all(&mut self) -> Result<Vec<Value>> {
        unread()
    }

    fn candidates(&mut self, _: &[&str]) -> Result<Vec<Value>> {
        unread()
    }

    fn shown(&mut self) -> Result<Map<String, Value>> {
        unread()
    }
}

/// What the resource at hand has in other rows, read only if an operation can't be decided without it.
struct OtherRows<'a> {
    connection: &'a mut Connection,
    stored: &'a StoredResource,
    assembler: &'a Assembler<'a>,
}

impl MemberSource for OtherRows<'_> {
    fn contains(&mut self, value: &str) -> Result<bool> {
        members::contains(self.connection, self.stored.row_id, value)
    }

    fn all(&mut self) -> Result<Vec<Value>> {
        let members = members::of_groups(self.connection, &[self.stored.row_id])?;
        self.assembler.members(members.get(&self.stored.row_id).map(Vec::as_slice).unwrap_or_default())
    }

    fn candidates(&mut self, values: &[&str]) -> Result<Vec<Value>> {
        self.assembler.members(&members::named(self.connection, self.assembler.tenant_id, values)?)
    }

    fn shown(&mut self) -> Result<Map<String, Value>> {
        self.assembler.one(self.connection, self.stored.clone().into_text())?.members()
    }
}
