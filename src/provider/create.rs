//! POST: a new resource (RFC 7644 §3.3).

mod together;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::assemble::Others;
use super::credential::Hashed;
use super::membership::{self, Change, Difference};
use super::record::{record, record_of_new};
use super::{Call, Provider, Representation, log_ignored, place, reference};
use crate::auth::Access;
use crate::scim::accept::{self, Accepted};
use crate::scim::password::PasswordChange;
use crate::scim::projection::Projection;
use crate::scim::schema::{ResourceType, USER_URN};
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::Connection;
use crate::store::audit::{self, Changes, Operation, Written};
use crate::store::resources::{self, NewResource, StoredResource};

pub(super) use together::IndependentCreation;

impl Provider {
    /// Creates a resource.
    ///
    /// A user who was disabled, and whom a `compat` client posts again under the same userName and externalId, is
    /// updated and enabled under the old id: Okta assigns a person again this way.
    ///
    /// # Errors
    /// `invalidValue`, `invalidSyntax` for what the schema refuses; `uniqueness`; 403; database failures.
    pub async fn create(
        &self,
        call: Call,
        resource_type: &'static ResourceType,
        body: Map<String, Value>,
        projection: Projection,
    ) -> Result<Representation> {
        let accepted = accept(&call, resource_type, &body)?;
        let hashed = Hashed::of(&self.passwords, accepted.password.clone()).await?;
        let creation = Arc::new(Creation::of(&call, resource_type, accepted, hashed, self.now())?);
        let projection = Arc::new(projection.after_write(&body));
        match self.insert(&call, &creation, &projection).await {
            Err(conflict) if creation.may_enable_again(&call, &conflict) => {
                self.enable_again(call, creation, body, projection).await?.ok_or(conflict)
            }
            other => other,
        }
    }

    /// Everybody else waits for the transaction, so the representation is made after it.
    async fn insert(
        &self,
        call: &Call,
        creation: &Arc<Creation>,
        projection: &Arc<Projection>,
    ) -> Result<Representation> {
        let (tenant_id, new) = (call.caller.tenant_id, &creation.new);
        if let Some(stored) = self.insert_with_others(call, creation).await? {
            let stored = stored.with(new.text().to_owned());
            return self.shown(tenant_id, projection, Others::default(), stored).await;
        }
        let write = {
            let (provider, call) = (self.clone(), call.clone());
            let (creation, projection) = (Arc::clone(creation), Arc::clone(projection));
            move |connection: &mut Connection| {
                let stored = creation.insert(connection, &call)?;
                let new = &creation.new;
                let assembler = provider.assembler(call.caller.tenant_id, new.resource_type(), &projection);
                Ok((assembler.others_of_new(connection, stored.row_id, new.document())?, stored))
            }
        };
        let (others, stored) = self.store.write(write).await?;
        let stored = stored.with(new.text().to_owned());
        self.shown(tenant_id, projection, others, stored).await
    }

    /// Inserts what others need not be looked at for, together with what others insert at the moment, where that spares
    /// round trips; `None` if it has to be inserted by itself.
    async fn insert_with_others(&self, call: &Call, creation: &Arc<Creation>) -> Result<Option<StoredResource<()>>> {
        if !self.store.counts_round_trips() || !creation.concerns_nobody_else() {
            return Ok(None);
        }
        let tenants = Arc::clone(&self.tenants_seen);
        let independent = IndependentCreation { call: call.clone(), creation: Arc::clone(creation), tenants };
        self.store.write_together(&self.independent_creations, independent).await
    }

    /// On a transaction of its own: a refused insertion leaves PostgreSQL's of no use.
    async fn enable_again(
        &self,
        call: Call,
        creation: Arc<Creation>,
        body: Map<String, Value>,
        projection: Arc<Projection>,
    ) -> Result<Option<Representation>> {
        let (tenant_id, now) = (call.caller.tenant_id, self.now());
        let write = {
            let (provider, projection) = (self.clone(), Arc::clone(&projection));
            move |connection: &mut Connection| {
                let Some(stored) = creation.enable_again(connection, &call, &body, now)? else {
                    return Ok(None);
                };
                let assembler = provider.assembler(tenant_id, creation.new.resource_type(), &projection);
                Ok(Some((assembler.others(connection, &stored)?, stored)))
            }
        };
        match self.store.write(write).await? {
            Some((others, stored)) => self.shown(tenant_id, &projection, others, stored.into_text()).await.map(Some),
            None => Ok(None),
        }
    }
}

/// What the schema makes of the body of a caller who may create resources of this type.
///
/// # Errors
/// 403; `invalidValue`, `invalidSyntax` for what the schema refuses.
pub(super) fn accept(call: &Call, resource_type: &'static ResourceType, body: &Map<String, Value>) -> Result<Accepted> {
    call.caller.may(Access::Write, &resource_type.endpoint)?;
    let accepted = accept::create(resource_type, body, call.profile())?;
    log_ignored(&accepted.ignored);
    Ok(accepted)
}

/// A resource that a client wants to be there, accepted by its schema, to be made within a transaction. All that needs no
/// database is done: before the transaction, but for those of a bulk request or of a table, which are read within one.
#[derive(Debug)]
pub(super) struct Creation {
    new: NewResource,
    members: Change,
    password: PasswordChange,
    hashed: Hashed,
    /// What the history says of it, unless the database has more to say; nothing where it will have.
    written: Option<Written>,
}

impl Creation {
    /// Of what the schema has accepted, with the hash of the password that it sets.
    ///
    /// # Errors
    /// A machine without randomness.
    pub(super) fn of(
        call: &Call,
        resource_type: &'static ResourceType,
        accepted: Accepted,
        hashed: Hashed,
        now: DateTime<Utc>,
    ) -> Result<Creation> {
        let Accepted { document, members, password, .. } = accepted;
        let new = NewResource::of(resource_type, Uuid::now_v7().to_string(), document, now);
        let members = Change::additions(members.unwrap_or_default());
        let mut creation = Creation { new, members, password, hashed, written: None };
        if creation.members.is_empty() {
            let changes = creation.changes(&Difference::default(), None);
            creation.written = Some(Written::of(&record_of_new(call, &creation.new, &changes))?);
        }
        Ok(creation)
    }

    fn changes(&self, members: &Difference, predecessor: Option<String>) -> Changes {
        Changes::of(self.new.resource_type(), None, Some(self.new.document()))
            .with_members(&members.added, &members.removed)
            .with_password(matches!(self.password, PasswordChange::Set(_)))
            .with_predecessor(predecessor)
    }

    /// Makes the resource.
    ///
    /// # Errors
    /// `uniqueness`; `invalidValue` for what it refers to; database failures.
    pub(super) fn insert(&self, connection: &mut Connection, call: &Call) -> Result<StoredResource<()>> {
        let document = self.new.document();
        let place = place(connection, call.caller.tenant_id, self.new.resource_type())?;
        reference::check(connection, place, None, document, call.profile())?;
        let stored = resources::insert(connection, place, &self.new)?;
        let members = membership::apply(connection, place, &stored, &self.members, call.profile())?;
        let predecessor = resources::predecessor(connection, place, document)?;
        self.hashed.write(connection, stored.row_id, &self.password)?;
        match &self.written {
            Some(written) if members.is_empty() && predecessor.is_none() => audit::append_written(connection, written)?,
            _ => {
                let changes = self.changes(&members, predecessor);
                audit::append(connection, &record_of_new(call, &self.new, &changes))?;
            }
        }
        Ok(stored)
    }

    /// Whether nothing of it is looked for in, or shown of, or kept from other resources, but that it clashes with none.
    fn concerns_nobody_else(&self) -> bool {
        let (new, resource_type) = (&self.new, self.new.resource_type());
        let refers = resource_type.reference().is_some_and(|reference| new.document().get(reference).is_some());
        !refers && self.members.is_empty() && new.is_all_in_its_row() && !self.hashed.is_missing(&self.password)
    }

    /// The resource as it is stored.
    pub(super) fn as_stored(&self, stored: StoredResource<()>) -> StoredResource {
        stored.with(self.new.document().clone())
    }

    /// Whether a refused insertion may mean that a disabled resource is to come back.
    pub(super) fn may_enable_again(&self, call: &Call, refusal: &Error) -> bool {
        refusal.kind() == ErrorKind::Uniqueness
            && call.profile() == Profile::Compat
            && self.new.document().text("externalId").is_some()
            && self.new.resource_type().schema.id == USER_URN
    }

    /// Updates and enables the disabled resource that has the same unique value and the same `externalId`; `None` if
    /// there is none, or if it has something else where the body, which this creation was accepted from, gives what can
    /// be set once. What a PUT of the body would keep is kept, `active` excepted.
    ///
    /// # Errors
    /// `uniqueness`; `invalidValue` for what it refers to; database failures.
    pub(super) fn enable_again(
        &self,
        connection: &mut Connection,
        call: &Call,
        body: &Map<String, Value>,
        now: DateTime<Utc>,
    ) -> Result<Option<StoredResource>> {
        let (created, resource_type) = (self.new.document(), self.new.resource_type());
        let place = place(connection, call.caller.tenant_id, resource_type)?;
        let Some(mut stored) = resources::lock_disabled_holder(connection, place, created)? else {
            return Ok(None);
        };
        let before = stored.document.clone();
        let mut document = match accept::replace(resource_type, body, &before, call.profile()) {
            Ok(accepted) => accepted.document,
            Err(error) if error.kind() == ErrorKind::Mutability => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(active) = resource_type.attribute("active") {
            match created.get(active) {
                Some(value) => document.set(active, value.clone()),
                None => drop(document.remove(active)),
            }
        }
        reference::check(connection, place, Some(&before), &document, call.profile())?;
        resources::replace(connection, place, &mut stored, document, now)?;
        let password = self.hashed.write(connection, stored.row_id, &self.password)?;
        let changes = Changes::of(place.resource_type, Some(&before), Some(&stored.document)).with_password(password);
        record(connection, call, Operation::Replace, &stored, now, &changes)?;
        Ok(Some(stored))
    }
}
