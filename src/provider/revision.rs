//! PUTs and PATCHes of several callers, written together, where statements are round trips.
//!
//! A caller reads the resource as for a GET, without a lock, makes the next state of it, and has that written if the resource
//! still is as he has read it. What is shown of others is as it was read. What takes more than that, or is to be refused, is done
//! again by a transaction of its own, which also tells what is wrong.

use std::sync::Arc;

use super::assemble::Others;
use super::record::record_of_revision;
use super::{Call, Provider, Target, expected, reference};
use crate::scim::projection::Projection;
use crate::scim::resource::Document;
use crate::scim::schema::{ResourceType, Role};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::audit::{Changes, Operation, Written};
use crate::store::glance::{Glance, LookUp, Seen, Whose};
use crate::store::resources::{Place, StoredText};
use crate::store::revisions::{self, Recorded, Revision};
use crate::store::tenants::SeenTenant;
use crate::store::{Connection, Together};

/// A revision that concerns nobody else, and what its tenant was like.
#[derive(Debug, Clone)]
pub(crate) struct IndependentRevision {
    tenant: Arc<SeenTenant>,
    operation: Operation,
    revision: Arc<Revision>,
    /// As in [`Recorded`].
    written: Option<Arc<Written>>,
}

impl IndependentRevision {
    fn as_recorded(&self) -> Recorded<'_> {
        Recorded { revision: &self.revision, written: self.written.as_deref() }
    }
}

impl Together for IndependentRevision {
    type Answer = ();

    fn is_like(&self, other: &Self) -> bool {
        let type_of = |one: &Self| &one.revision.resource_type().name;
        self.operation == other.operation && type_of(self) == type_of(other) && self.tenant == other.tenant
    }

    fn carry_out_at_once(connection: &mut Connection, ours: &[&Self]) -> Result<Option<Vec<Option<()>>>> {
        let Some(first) = ours.first() else { return Ok(None) };
        let recorded: Vec<Recorded<'_>> = ours.iter().map(|one| one.as_recorded()).collect();
        let written = revisions::write(connection, &first.tenant, &recorded, first.operation)?;
        Ok(written.map(|written| written.into_iter().map(|is_written| is_written.then_some(())).collect()))
    }

    fn carry_out(connection: &mut Connection, ours: &[&Self]) -> Result<Vec<Option<()>>> {
        // The same statement does within a transaction, for a connection that may be dead by now. Where the tenant is not as it
        // was, which is rare, it comes to nothing again.
        let done = Self::carry_out_at_once(connection, ours)?;
        Ok(done.unwrap_or_else(|| vec![None; ours.len()]))
    }
}

/// The longest document that is read and changed on a thread that serves requests, in bytes.
const LONGEST_IN_PLACE: usize = 64 * 1024;

/// The most that it takes to see all of a message that is, in [`crate::scim::patch::looks`].
const MOST_LOOKS_IN_PLACE: usize = 1_000;

/// A live resource as it was a moment ago, in the state that a caller who is about to write it expects.
pub(super) struct Revisable {
    resource_type: &'static ResourceType,
    /// The resource, its attributes as the store has them.
    pub before: StoredText,
    edition: i64,
    /// Its attributes.
    pub document: Document,
    /// What is shown of others with it.
    others: Others,
    /// What the tenant was like.
    tenant: SeenTenant,
}

impl Revisable {
    fn of(mut seen: Seen, tenant_id: i64, target: &Target) -> Result<Option<Revisable>> {
        let resource_type = target.resource_type;
        let Some(found) = seen.resources.pop() else { return Ok(None) };
        let Some((tenant, edition)) = seen.for_write(tenant_id, resource_type) else { return Ok(None) };
        let place = Place { tenant_id, settings: *tenant.settings(), resource_type };
        let expected = expected(place, &target.id, Some(found), &target.preconditions).ok();
        let Some(before) = expected.filter(|before| before.document.len() <= LONGEST_IN_PLACE) else {
            return Ok(None);
        };
        let document = Document::from_json(&before.document).map_err(Error::internal)?;
        let others = Others::seen(seen.groups, seen.named);
        Ok(Some(Revisable { resource_type, before, edition, document, others, tenant }))
    }

    /// The resource as it is, with what is shown of others.
    pub(super) fn unchanged(self) -> (StoredText, Others) {
        (self.before, self.others)
    }
}

impl Provider {
    /// The resource that a caller is about to write by a message that takes so many looks; `None` if it has members, if that is
    /// large, or if it takes a transaction to see it, or to tell what is wrong with it.
    ///
    /// # Errors
    /// Those of [`crate::store::Store::look_up`].
    pub(super) async fn find_to_revise(
        &self,
        call: &Call,
        target: &Target,
        projection: &Projection,
        looks: impl FnOnce() -> usize,
    ) -> Result<Option<Revisable>> {
        let (tenant_id, resource_type) = (call.caller.tenant_id, target.resource_type);
        let has_members = resource_type.attribute_in_role(Role::Members).is_some();
        if has_members || !self.store.counts_round_trips() || looks() > MOST_LOOKS_IN_PLACE {
            return Ok(None);
        }
        let look = |glance| {
            let glance = Glance { for_write: true, ..glance };
            self.store.look_up(LookUp { glance, whose: Whose::Id(target.id.clone()) })
        };
        match self.see(tenant_id, resource_type, projection, look).await {
            Ok(Some(seen)) => Revisable::of(seen, tenant_id, target),
            Ok(None) => Ok(None),
            // There may be room to write, and a transaction does not read as much.
            Err(error) if matches!(error.kind(), ErrorKind::Busy | ErrorKind::Internal) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the document that a caller has made of a resource, together with what others write at the moment: the resource after
    /// that, and what is shown of others with it. `None`, and nothing is written, if it has to be done by itself.
    ///
    /// # Errors
    /// Those of [`crate::store::Store::write_together`].
    pub(super) async fn revise(
        &self,
        call: &Call,
        operation: Operation,
        revisable: Revisable,
        document: &Document,
    ) -> Result<Option<(StoredText, Others)>> {
        let Revisable { resource_type, before, edition, document: old, others, tenant } = revisable;
        if call.may_change(resource_type, &old, document).is_err() {
            return Ok(None);
        }
        if !reference::stays(resource_type, &before.id, [&old, document]) {
            return Ok(None);
        }
        let Some(revision) = Revision::of(resource_type, (before, edition), [&old, document], self.now()) else {
            return Ok(None);
        };
        let written = || {
            let changes = Changes::of(resource_type, Some(&old), Some(document));
            Written::of(&record_of_revision(call, operation, &revision, &changes)).map(Arc::new)
        };
        let written = (!revision.keeps_document()).then(written).transpose()?;
        let (tenant, revision) = (Arc::new(tenant), Arc::new(revision));
        let independent = IndependentRevision { tenant, operation, revision: Arc::clone(&revision), written };
        let done = self.store.write_together(&self.independent_revisions, independent).await?;
        Ok(done.map(|()| (revision.after().clone(), others)))
    }
}

#[cfg(test)]
mod tests;
