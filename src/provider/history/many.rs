//! The states of many resources at one time, with few statements for all of them.

use std::collections::HashMap;
use std::mem::take;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Contents, Cut, Past};
use crate::provider::record::GROUP;
use crate::scim::Result;
use crate::store::Connection;
use crate::store::audit::{self, Step};
use crate::store::resources::StoredResource;

/// How many changes are in memory at once, a resource with more of them aside.
const STEPS_AT_ONCE: i64 = 20_000;

/// Up to how many changes of a resource are read together with those of others.
const FEW: usize = 20;

/// Hands over the state of each of these resources at a time, in their order; those that were not there yet are passed
/// over.
///
/// # Errors
/// Those of `visit`; database failures.
pub(in crate::provider) fn each_past(
    connection: &mut Connection,
    tenant_id: i64,
    present: Vec<StoredResource>,
    at: DateTime<Utc>,
    mut visit: impl FnMut(&mut Connection, Past) -> Result<()>,
) -> Result<()> {
    let ids: Vec<&str> = present.iter().map(|stored| stored.id.as_str()).collect();
    let counts = audit::count_steps(connection, tenant_id, &ids)?;
    let (mut batch, mut steps) = (Vec::new(), 0);
    for stored in present {
        let count = counts.get(&stored.id).copied().unwrap_or(0);
        if steps + count > STEPS_AT_ONCE && !batch.is_empty() {
            Batch::load(connection, tenant_id, take(&mut batch), at)?.visit(connection, &mut visit)?;
            steps = 0;
        }
        steps += count;
        batch.push(stored);
    }
    Batch::load(connection, tenant_id, batch, at)?.visit(connection, &mut visit)
}

struct Batch {
    tenant_id: i64,
    at: DateTime<Utc>,
    present: Vec<StoredResource>,
    steps: HashMap<String, Vec<Step>>,
    touches: HashMap<i64, DateTime<Utc>>,
    /// What the few changes of small resources say.
    changes: HashMap<i64, Value>,
}

impl Batch {
    fn load(
        connection: &mut Connection,
        tenant_id: i64,
        present: Vec<StoredResource>,
        at: DateTime<Utc>,
    ) -> Result<Batch> {
        let mut batch =
            Batch { tenant_id, at, present, steps: HashMap::new(), touches: HashMap::new(), changes: HashMap::new() };
        if batch.present.is_empty() {
            return Ok(batch);
        }
        let names = batch.present.iter().map(|stored| (stored.resource_type.as_str(), stored.id.as_str()));
        batch.steps = audit::steps_of_all(connection, tenant_id, &names.collect::<Vec<_>>())?;
        let row_ids: Vec<i64> = batch.present.iter().map(|stored| stored.row_id).collect();
        batch.touches = audit::last_touches(connection, &row_ids, at)?;
        let few = batch.present.iter().filter_map(|stored| {
            let telling = Cut::at(batch.steps.get(&stored.id)?, at)?.telling();
            is_small(stored, telling).then_some(telling)
        });
        let places: Vec<i64> = few.flatten().map(|step| step.row_id).collect();
        batch.changes = audit::changes_at(connection, &places)?;
        Ok(batch)
    }

    fn visit(
        mut self,
        connection: &mut Connection,
        visit: &mut impl FnMut(&mut Connection, Past) -> Result<()>,
    ) -> Result<()> {
        for stored in take(&mut self.present) {
            let steps = self.steps.remove(&stored.id).unwrap_or_default();
            let Some(cut) = Cut::at(&steps, self.at) else { continue };
            let contents = self.contents(connection, &stored, cut)?;
            let touched = self.touches.get(&stored.row_id).copied();
            visit(connection, cut.past(stored, contents, touched))?;
        }
        Ok(())
    }

    fn contents(&self, connection: &mut Connection, stored: &StoredResource, cut: Cut<'_>) -> Result<Contents> {
        if !is_small(stored, cut.telling()) {
            return match cut.goes_back() {
                true => Contents::going_back(connection, self.tenant_id, stored, cut.since),
                false => Contents::from_nothing(connection, self.tenant_id, stored, cut.until),
            };
        }
        let known = cut.telling().iter().filter_map(|step| self.changes.get(&step.row_id));
        let mut contents = Contents::default();
        if cut.goes_back() {
            contents.attributes = stored.document.members().clone();
            known.rev().for_each(|changes| contents.take_back(changes));
        } else {
            known.for_each(|changes| contents.make(changes));
        }
        Ok(contents)
    }
}

/// The members of a group may be many, whatever the number of its changes.
fn is_small(stored: &StoredResource, telling: &[Step]) -> bool {
    stored.resource_type != GROUP && telling.len() <= FEW
}
