//! What tenants were like when somebody looked at them. A write by a statement that holds only while its tenant still is like that
//! needs no transaction to look first.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Kept, TenantSettings, check_kept};
use crate::scim::Result;
use crate::scim::schema::ResourceType;
use crate::store::connection::Connection;
use crate::store::lists::ListSql;

/// What a tenant was like, whose resources of some type may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTenant {
    tenant_id: i64,
    settings: TenantSettings,
    settings_text: String,
    schemas: String,
}

impl SeenTenant {
    /// What somebody has seen of a tenant.
    ///
    /// # Errors
    /// Those of [`super::settings_for`].
    pub(in crate::store) fn of(tenant_id: i64, kept: Kept, resource_type: &ResourceType) -> Result<SeenTenant> {
        let (settings_text, schemas, _) = kept.clone();
        Ok(SeenTenant { tenant_id, settings: check_kept(kept, resource_type)?, settings_text, schemas })
    }

    /// Its number.
    pub(in crate::store) fn tenant_id(&self) -> i64 {
        self.tenant_id
    }

    /// What was set for it.
    pub fn settings(&self) -> &TenantSettings {
        &self.settings
    }

    /// The beginning of a statement whose CTE `t` has a row if the tenant still is like that, and stays so until the statement
    /// ends; none if another transaction keeps it. The statement fails if it meets any other lock for longer than 100 ms.
    pub(in crate::store) fn if_unchanged<Row>(&self, connection: &Connection) -> ListSql<'_, Row> {
        // By these words `tests/torture` knows what is committed without a COMMIT.
        ListSql::new("WITH t AS MATERIALIZED (SELECT set_config('lock_timeout', '100ms', TRUE) FROM tenants t")
            .push(" WHERE t.tenant_id = ")
            .bind_number(self.tenant_id)
            .push(" AND t.settings = ")
            .bind_text(&self.settings_text)
            .push(" AND t.schemas = ")
            .bind_text(&self.schemas)
            .push(" AND t.deleted_at IS NULL")
            .push(connection.share_at_once_clause())
            .push(")")
    }
}

/// Of so many tenants it is known.
const MOST_SEEN: usize = 1_000;

/// What tenants were like when resources were last made for them in a transaction.
#[derive(Debug, Default)]
pub struct TenantsSeen(Mutex<HashMap<i64, Kept>>);

impl TenantsSeen {
    /// Remembers what somebody has seen of a tenant, if resources of this type may be written there: its settings.
    ///
    /// # Errors
    /// Those of [`super::settings_for`].
    pub(in crate::store) fn see(
        &self,
        tenant_id: i64,
        kept: Kept,
        resource_type: &ResourceType,
    ) -> Result<TenantSettings> {
        let settings = check_kept(kept.clone(), resource_type)?;
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_SEEN && !seen.contains_key(&tenant_id) {
            seen.clear();
        }
        seen.insert(tenant_id, kept);
        Ok(settings)
    }

    /// What is known of a tenant, if resources of this type may be written there.
    pub(in crate::store) fn of(&self, tenant_id: i64, resource_type: &ResourceType) -> Option<SeenTenant> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant_id).cloned()?;
        SeenTenant::of(tenant_id, kept, resource_type).ok()
    }
}
