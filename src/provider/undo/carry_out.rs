//! The plan, carried out in one transaction.
//!
//! First what goes, and what is given up of unique values; then what comes back; then what is changed. So nothing meets
//! something that is about to make room for it. Last, who came back meanwhile without somebody has him again.

use chrono::{DateTime, Utc};

use super::draft::{Act, Draft};
use super::plan::{Plan, operation};
use crate::provider::membership::{self, Change};
use crate::provider::record::record;
use crate::provider::relations::Relations;
use crate::provider::{Call, delete, not_found, place, reference, restore};
use crate::scim::accept::MemberClaim;
use crate::scim::schema::ResourceType;
use crate::scim::{Profile, Result};
use crate::store::Connection;
use crate::store::audit::{Changes, Span};
use crate::store::resources::{self, Place, StoredResource};

/// Does everything that the plan says.
///
/// # Errors
/// Database failures; `Unavailable` if another process serves other schemas.
pub(super) fn carry_out(
    connection: &mut Connection,
    call: &Call,
    plan: &Plan,
    span: &Span,
    now: DateTime<Utc>,
) -> Result<()> {
    let mut undoing = Undoing { connection, call, span, now, places: Vec::new() };
    let of = |act: Act| plan.drafts.iter().filter(move |draft| draft.act == act);
    of(Act::Bury).try_for_each(|draft| undoing.bury(draft))?;
    of(Act::Modify).filter(|draft| draft.holds != draft.wants).try_for_each(|draft| undoing.release(draft))?;
    of(Act::Revive).try_for_each(|draft| undoing.revive(draft))?;
    of(Act::Modify).try_for_each(|draft| undoing.modify(draft))?;
    of(Act::Revive).try_for_each(|draft| undoing.assign_again(draft))
}

struct Undoing<'a> {
    connection: &'a mut Connection,
    call: &'a Call,
    span: &'a Span,
    now: DateTime<Utc>,
    places: Vec<Place>,
}

impl Undoing<'_> {
    fn place(&mut self, resource_type: &'static ResourceType) -> Result<Place> {
        if let Some(known) = self.places.iter().find(|place| place.resource_type.name == resource_type.name) {
            return Ok(*known);
        }
        let place = place(self.connection, self.call.caller.tenant_id, resource_type)?;
        self.places.push(place);
        Ok(place)
    }

    fn bury(&mut self, draft: &Draft) -> Result<()> {
        let place = self.place(draft.resource_type)?;
        let found =
            resources::lock_for_deletion(self.connection, place.tenant_id, &draft.resource_type.name, &draft.id)?;
        let stored = found.ok_or_else(|| not_found(draft.resource_type, &draft.id))?;
        let changes = Changes::default().with_undo(self.span);
        delete::bury(self.connection, self.call, place, &stored, changes, self.now)
    }

    fn lock(&mut self, draft: &Draft) -> Result<(Place, StoredResource)> {
        let place = self.place(draft.resource_type)?;
        let found = resources::lock(self.connection, place.tenant_id, &draft.resource_type.name, &draft.id)?;
        Ok((place, found.ok_or_else(|| not_found(draft.resource_type, &draft.id))?))
    }

    fn release(&mut self, draft: &Draft) -> Result<()> {
        let (place, stored) = self.lock(draft)?;
        let next = draft.document(&stored.document);
        resources::release(self.connection, place, &stored, &next)
    }

    fn revive(&mut self, draft: &Draft) -> Result<()> {
        let place = self.place(draft.resource_type)?;
        let found = resources::lock_buried(self.connection, place.tenant_id, &draft.resource_type.name, &draft.id)?;
        let mut stored = found.ok_or_else(|| not_found(draft.resource_type, &draft.id))?;
        let before = stored.document.clone();
        let document = draft.document(&before);
        restore::revive(self.connection, place, &mut stored, document, &members(draft), self.now)?;
        let changes = Changes::of(draft.resource_type, Some(&before), Some(&stored.document)).with_undo(self.span);
        restore::record_revival(self.connection, self.call, place, &stored, changes, self.now)?;
        match &draft.left_out {
            Some(id) => reference::remember(self.connection, self.call, place, id, &draft.id, self.now),
            None => Ok(()),
        }
    }

    /// What was to be changed may have come of what was buried.
    fn modify(&mut self, draft: &Draft) -> Result<()> {
        let (place, mut stored) = self.lock(draft)?;
        let before = stored.document.clone();
        let document = draft.document(&before);
        let operation = operation(draft);
        let at = if operation.is_own_write() { self.now } else { stored.meta.last_modified };
        let members = membership::apply(self.connection, place, &stored, &members(draft), Profile::Compat)?;
        let is_changed = document != before;
        if is_changed {
            resources::replace(self.connection, place, &mut stored, document, at)?;
        } else if members.is_empty() {
            return Ok(());
        } else if operation.is_own_write() {
            resources::touch(self.connection, &mut stored, true, at)?;
        }
        let changes = Changes::of(draft.resource_type, Some(&before), Some(&stored.document))
            .with_members(&members.added, &members.removed)
            .with_undo(self.span);
        record(self.connection, self.call, operation, &stored, self.now, &changes)
    }

    /// Those whom the deletion itself has taken the reference from have drafts of their own, or conflicts.
    fn assign_again(&mut self, draft: &Draft) -> Result<()> {
        let place = self.place(draft.resource_type)?;
        let name = &draft.resource_type.name;
        let relations = Relations::of(self.connection, place.tenant_id, name, &draft.id, None)?;
        for report_id in &relations.later_reports {
            reference::assign_again(self.connection, self.call, place, report_id, &draft.id, self.now)?;
        }
        Ok(())
    }
}

fn members(draft: &Draft) -> Change {
    let claim = |id: &String| MemberClaim { value: id.clone(), claimed_type: None };
    Change::exchange(draft.coming().map(claim).collect(), draft.leaving().cloned().collect())
}
