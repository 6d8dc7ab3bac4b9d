//! `/Me`: the resource that the caller's key is bound to (RFC 7644 §3.11).
//!
//! It is the resource itself under another name: what is found here is read and written like any other.

use super::{Call, Provider, Target};
use crate::auth::Access;
use crate::scim::resource::Document;
use crate::scim::schema::ResourceType;
use crate::scim::version::Preconditions;
use crate::scim::{Error, ErrorKind, Result};
use crate::store::{Reach, resources};

/// What a key may not change of its own resource unless it may write all of that type (ME-05).
const NOT_ONES_OWN: [&str; 5] = ["active", "userName", "externalId", "roles", "entitlements"];

impl Provider {
    /// The resource that stands behind `/Me`, and a call that may read and write this one resource.
    ///
    /// # Errors
    /// 404 if the key is bound to none, or to one that is deleted (ME-02); 403 if it is disabled, unless the key may write
    /// all of its type and so enable it; database failures.
    pub async fn subject(&self, call: Call, preconditions: Preconditions) -> Result<(Call, Target)> {
        let not_found = |detail| Error::new(ErrorKind::NotFound, detail);
        let Some(row_id) = call.caller.subject else {
            return Err(not_found("This API key is not bound to a user, so there is no /Me."));
        };
        let tenant_id = call.caller.tenant_id;
        let read = move |connection: &mut _| resources::find_row(connection, tenant_id, row_id);
        let stored = self.store.read(Reach::Point, read).await?;
        let living = stored.filter(|stored| stored.deleted.is_none());
        let found = living.and_then(|stored| Some((self.registry.resource_type(&stored.resource_type)?, stored)));
        let Some((resource_type, stored)) = found else {
            return Err(not_found("The user that this API key is bound to does not exist any more."));
        };
        if !stored.document.is_active() && call.may(Access::Write, resource_type).is_err() {
            return Err(Error::new(ErrorKind::Forbidden, "The user that this API key is bound to is disabled."));
        }
        Ok((Call { as_subject: true, ..call }, Target { resource_type, id: stored.id, preconditions }))
    }
}

impl Call {
    /// Whether the caller may read or write resources of a type, or the one that it is about because it is its own.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may(&self, access: Access, resource_type: &ResourceType) -> Result<()> {
        if self.as_subject { Ok(()) } else { self.caller.may(access, &resource_type.endpoint) }
    }

    /// Whether the caller may make this change.
    ///
    /// # Errors
    /// 403 for what nobody decides about oneself.
    pub(super) fn may_change(&self, resource_type: &ResourceType, before: &Document, after: &Document) -> Result<()> {
        if !self.as_subject {
            return Ok(());
        }
        let Err(refused) = self.caller.may(Access::Write, &resource_type.endpoint) else {
            return Ok(());
        };
        let attributes = NOT_ONES_OWN.iter().filter_map(|name| resource_type.attribute(name));
        let changed = attributes.into_iter().find(|attribute| before.get(*attribute) != after.get(*attribute));
        match changed {
            None => Ok(()),
            Some(attribute) => {
                let detail = format!("'{attribute}' can't be changed through /Me: {}", refused.detail());
                Err(Error::new(ErrorKind::Forbidden, detail))
            }
        }
    }
}
