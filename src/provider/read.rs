//! GET of one resource (RFC 7644 §3.4.1).

use std::sync::Arc;

use super::spill::{Spill, Text};
use super::{Call, Provider, Representation, not_found};
use crate::auth::Access;
use crate::scim::projection::Projection;
use crate::scim::schema::ResourceType;
use crate::scim::{Error, Result};
use crate::store::glance::{Glance, LookUp, Seen, Whose};
use crate::store::{Reach, members, resources};

/// Groups with more members are written down page by page: some 800 KB.
pub(super) const MOST_MEMBERS_IN_MEMORY: i64 = 4000;

/// How much of a group stays out of files, in bytes.
const IN_MEMORY: usize = 256 * 1024;

impl Provider {
    /// The live resource of that id. A group of very many members stays out of memory.
    ///
    /// # Errors
    /// 404 for unknown, deleted and foreign ids; 403; database failures.
    pub async fn read(
        &self,
        call: Call,
        resource_type: &'static ResourceType,
        id: String,
        projection: Projection,
    ) -> Result<Representation<Text>> {
        call.may(Access::Read, resource_type)?;
        let provider = self.clone();
        // A group may hold a hundred thousand members.
        let shows_members = self.assembler(call.caller.tenant_id, resource_type, &projection).shows_members();
        let reach = if shows_members { Reach::Scan } else { Reach::Point };
        let projection = Arc::new(projection);
        if self.store.counts_round_trips() {
            let look = |glance| self.store.look_up(LookUp { glance, whose: Whose::Id(id.clone()) });
            if let Some(seen) = self.glance(call.caller.tenant_id, resource_type, &projection, look).await? {
                let found = seen.into_iter().next().ok_or_else(|| not_found(resource_type, &id))?;
                return Ok(found.map(Text::Short));
            }
        }
        self.store
            .read(reach, move |connection| {
                let tenant_id = call.caller.tenant_id;
                let stored = resources::find_text(connection, tenant_id, &resource_type.name, &id)?
                    .ok_or_else(|| not_found(resource_type, &id))?;
                let assembler = provider.assembler(tenant_id, resource_type, &projection);
                if shows_members && members::exceed(connection, stored.row_id, MOST_MEMBERS_IN_MEMORY)? {
                    let mut text = Spill::new(provider.store.directory(), IN_MEMORY);
                    let shown = assembler.long(connection, &stored, &mut text)?;
                    let text = text.finish().map_err(Error::internal)?;
                    return Ok(shown.map(|()| text));
                }
                Ok(assembler.one(connection, stored)?.map(Text::Short))
            })
            .await
    }

    /// The representations of what is looked at, by one statement, or by two where these refer to others; `None` if it takes
    /// a transaction to tell.
    ///
    /// # Errors
    /// Database failures.
    pub(super) async fn glance<F: Future<Output = Result<Option<Seen>>>>(
        &self,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        projection: &Projection,
        look: impl Fn(Glance) -> F,
    ) -> Result<Option<Vec<Representation>>> {
        let seen = self.see(tenant_id, resource_type, projection, look).await?;
        seen.map(|seen| self.assembler(tenant_id, resource_type, projection).seen(seen)).transpose()
    }

    /// What [`Provider::glance`] shows, before it is shown.
    ///
    /// # Errors
    /// Database failures.
    pub(super) async fn see<F: Future<Output = Result<Option<Seen>>>>(
        &self,
        tenant_id: i64,
        resource_type: &'static ResourceType,
        projection: &Projection,
        look: impl Fn(Glance) -> F,
    ) -> Result<Option<Seen>> {
        let assembler = self.assembler(tenant_id, resource_type, projection);
        let mut referenced = Vec::new();
        for _ in 0..2 {
            let Some(glance) = assembler.glance(&referenced) else { return Ok(None) };
            let Some(seen) = look(glance).await? else { return Ok(None) };
            // Whom they refer to is known only now, and has to be seen at the same moment.
            let wanted = assembler.referenced(&seen.resources)?;
            if wanted.iter().all(|id| referenced.contains(id)) {
                return Ok(Some(seen));
            }
            referenced = wanted;
        }
        Ok(None)
    }
}
