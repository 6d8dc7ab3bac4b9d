//! What stood around a deleted resource, as the history keeps it: its deletion takes all of this away, and its restoration
//! brings it back.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::scim::Result;
use crate::store::Connection;
use crate::store::audit;

/// The ids of those around a deleted resource.
#[derive(Debug, Default)]
pub struct Relations {
    /// The groups that listed it.
    pub groups: Vec<String>,
    /// The members that it listed.
    pub members: Vec<String>,
    /// Those who referred to it, also those who came back without that reference since.
    pub reports: Vec<String>,
}

impl Relations {
    /// Those that a resource had when it was last deleted, as the history told it at a time; all that it
    /// tells without one.
    ///
    /// # Errors
    /// Database failures.
    pub fn of(
        connection: &mut Connection,
        tenant_id: i64,
        resource_type: &str,
        id: &str,
        until: Option<DateTime<Utc>>,
    ) -> Result<Relations> {
        let mut relations = Relations::default();
        for changes in audit::since_deletion(connection, tenant_id, resource_type, id, until)? {
            let Relations { groups, members, reports } = &mut relations;
            for (name, ids) in [("groups", groups), ("members", members), ("reports", reports)] {
                let told = changes["relations"][name].as_array().map(Vec::as_slice).unwrap_or_default();
                let told: Vec<String> = told.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                ids.extend(told);
            }
        }
        Ok(relations)
    }
}
