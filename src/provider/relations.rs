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
    /// Those who referred to it when it was deleted.
    pub reports: Vec<String>,
    /// Those who came back without their reference to it since, as `reference::remember` notes them.
    pub later_reports: Vec<String>,
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
        let told = audit::since_deletion(connection, tenant_id, resource_type, id, until)?;
        if let Some((deletion, since)) = told.split_first() {
            relations.groups = ids(deletion, "groups");
            relations.members = ids(deletion, "members");
            relations.reports = ids(deletion, "reports");
            relations.later_reports = since.iter().flat_map(|changes| ids(changes, "reports")).collect();
        }
        Ok(relations)
    }

    /// All who are to refer to it again when it is restored.
    pub fn all_reports(&self) -> impl Iterator<Item = &String> {
        self.reports.iter().chain(&self.later_reports)
    }
}

fn ids(changes: &Value, relation: &str) -> Vec<String> {
    let told = changes["relations"][relation].as_array().map(Vec::as_slice).unwrap_or_default();
    told.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
