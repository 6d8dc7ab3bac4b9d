//! The history of keys and tenants: who made, changed or withdrew them, and when. It is kept with that of the tenant's
//! resources and tells others nothing: no event goes out. Neither tokens nor hashes are ever in it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Desk;
use crate::scim::{Error, Result};
use crate::store::Connection;
use crate::store::audit::{self, Changes, NO_VERSION, Operation, Record};

/// Who does something to a key or a tenant.
#[derive(Debug, Clone)]
pub(super) struct Author {
    caller: Arc<str>,
    request_id: Arc<str>,
    /// When.
    pub(super) at: DateTime<Utc>,
}

/// What something is done to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A key, by its id.
    Key(&'a str),
    /// A tenant, by its number: names change.
    Tenant(i64),
}

impl Desk {
    /// Whoever works here, now.
    pub(super) fn author(&self) -> Author {
        Author { caller: Arc::clone(&self.actor.name), request_id: Arc::clone(&self.actor.request_id), at: self.now() }
    }
}

impl Author {
    /// Appends to the history of a tenant.
    ///
    /// # Errors
    /// Database failures.
    pub(super) fn record(
        &self,
        connection: &mut Connection,
        tenant_id: i64,
        operation: Operation,
        subject: Subject<'_>,
        changes: &Changes,
    ) -> Result<()> {
        let (resource_type, resource_id) = match subject {
            Subject::Key(key_id) => ("Key", key_id.to_owned()),
            Subject::Tenant(tenant_id) => ("Tenant", tenant_id.to_string()),
        };
        let record = Record {
            tenant_id,
            at: self.at,
            caller: &self.caller,
            request_id: &self.request_id,
            operation,
            resource_type,
            resource_id: &resource_id,
            version: NO_VERSION,
            changes,
        };
        audit::append_silent(connection, &[record])
    }
}

/// What operators see of something, as the history keeps it: without members that say nothing of what was done.
pub(super) fn facts(shown: &impl Serialize, without: &[&str]) -> Result<Map<String, Value>> {
    let Value::Object(mut facts) = serde_json::to_value(shown).map_err(Error::internal)? else {
        return Err(Error::internal("what is shown is an object"));
    };
    facts.retain(|name, value| !value.is_null() && !without.contains(&name.as_str()));
    Ok(facts)
}
