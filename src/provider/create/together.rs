//! New resources of several callers, made together.

use std::collections::HashMap;
use std::sync::Arc;

use super::Creation;
use crate::provider::Call;
use crate::provider::membership::Difference;
use crate::provider::record::record_of_new;
use crate::scim::{Error, Result};
use crate::store::audit::{self, Written};
use crate::store::creations::{self, New};
use crate::store::resources::{NewResource, StoredResource};
use crate::store::tenants::TenantsSeen;
use crate::store::{Connection, Together, credentials};

/// A creation that concerns nobody else ([`Creation::concerns_nobody_else`]), and who asked for it.
#[derive(Debug, Clone)]
pub(crate) struct IndependentCreation {
    pub call: Call,
    pub creation: Arc<Creation>,
    /// Shared by all of them.
    pub tenants: Arc<TenantsSeen>,
}

impl IndependentCreation {
    fn resource(&self) -> &NewResource {
        &self.creation.new
    }

    fn as_new(&self) -> Result<New<'_>> {
        let unready = || Error::internal("a creation that concerns nobody else has its history ready");
        Ok(New { resource: self.resource(), written: self.creation.written.as_ref().ok_or_else(unready)? })
    }

    /// What the history says of one that succeeds another one.
    fn succeeding(&self, predecessor: &str) -> Result<Written> {
        let changes = self.creation.changes(&Difference::default(), Some(predecessor.to_owned()));
        Written::of(&record_of_new(&self.call, self.resource(), &changes))
    }
}

impl Together for IndependentCreation {
    type Answer = StoredResource<()>;

    fn is_like(&self, other: &Self) -> bool {
        let of = |creation: &Self| (creation.call.caller.tenant_id, &creation.resource().resource_type().name);
        of(self) == of(other)
    }

    fn carry_out_at_once(
        connection: &mut Connection,
        creations: &[&Self],
    ) -> Result<Option<Vec<Option<StoredResource<()>>>>> {
        let Some(first) = creations.first() else { return Ok(None) };
        if creations.iter().any(|creation| creation.creation.hashed.hash().is_some()) {
            return Ok(None);
        }
        let new = creations.iter().map(|creation| creation.as_new()).collect::<Result<Vec<New<'_>>>>()?;
        creations::insert_at_once(connection, first.call.caller.tenant_id, &new, &first.tenants)
    }

    fn carry_out(connection: &mut Connection, creations: &[&Self]) -> Result<Vec<Option<StoredResource<()>>>> {
        let Some(first) = creations.first() else { return Ok(Vec::new()) };
        let tenant_id = first.call.caller.tenant_id;
        let new = creations.iter().map(|creation| creation.as_new()).collect::<Result<Vec<New<'_>>>>()?;
        let stored = creations::insert(connection, tenant_id, &new, &first.tenants)?;
        let made = || creations.iter().zip(&stored).filter_map(|(creation, stored)| Some((creation, stored.as_ref()?)));
        let inserted = new.iter().zip(&stored).filter_map(|(new, stored)| Some((*new, stored.as_ref()?.row_id)));
        let inserted: Vec<(New<'_>, i64)> = inserted.collect();
        let predecessors: HashMap<String, String> =
            creations::complete(connection, tenant_id, &inserted)?.into_iter().collect();
        let succeeding = made().filter_map(|(creation, stored)| Some((creation, predecessors.get(&stored.id)?)));
        let written: Result<Vec<Written>> = succeeding.map(|(creation, of)| creation.succeeding(of)).collect();
        audit::append_all_written(connection, &written?)?;
        let hashes = made().filter_map(|(creation, stored)| Some((stored.row_id, creation.creation.hashed.hash()?)));
        credentials::insert_all(connection, hashes)?;
        Ok(stored)
    }
}

#[cfg(test)]
mod tests;
