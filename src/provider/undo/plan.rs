//! The plan: the drafts of all resources, without those that others stand in the way of.
//!
//! Judged at the end state: a name is free if its holder gives it up in the same plan, so two users get their names back
//! that were exchanged. Whatever is left alone may stand in the way of something else, so that is asked until nothing more
//! is left alone. What is not to be deleted after all comes first: others may refer to it.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::draft::{Act, Draft, Drafting, Origin};
use super::fold::Fold;
use super::slot::Slot;
use super::{Conflict, Reversal, Undone, What};
use crate::scim::resource::Document;
use crate::scim::schema::{Registry, Resolved, ResourceType};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::audit::{self, Changes, Operation, Span, Touched};
use crate::store::resources::StoredResource;
use crate::store::unique::{self, Claim};
use crate::store::{Connection, members, resources, tenants};

/// How many resources are read at once.
const CHUNK: usize = 100;

/// What an undo does.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order in which the key first touched the resources.
    pub(super) drafts: Vec<Draft>,
    conflicts: Vec<Conflict>,
    /// The ids of members to come that no live resource has by then.
    unresolved: BTreeSet<String>,
}

impl Plan {
    /// For the resources that the key has touched in the span.
    pub(super) fn make(
        connection: &mut Connection,
        registry: &'static Registry,
        tenant_id: i64,
        span: &Span,
        touched: &[Touched],
    ) -> Result<Plan> {
        let tenant = tenants::find(connection, tenant_id)?;
        let no_tenant = || Error::new(ErrorKind::NotFound, "There is no such tenant.");
        let group_names = tenant.ok_or_else(no_tenant)?.settings.group_names;
        let mut plan = Plan::default();
        for chunk in touched.chunks(CHUNK) {
            let mut deeds = audit::deeds(connection, tenant_id, chunk)?;
            let ids: Vec<&str> = chunk.iter().map(|touched| touched.id.as_str()).collect();
            let present = resources::find_all(connection, tenant_id, &ids)?.into_iter();
            let mut present: HashMap<String, StoredResource> =
                present.map(|stored| (stored.id.clone(), stored)).collect();
            for touched in chunk {
                let resource_type = registry.resource_type(&touched.resource_type);
                // Keys and tenants have a history too, perhaps under the id of a resource, and are none.
                let is_it = |stored: &StoredResource| stored.resource_type == touched.resource_type;
                let stored = present.get(&touched.id).is_some_and(is_it).then(|| present.remove(&touched.id)).flatten();
                let (resource_type, stored) = match (resource_type, stored) {
                    (Some(resource_type), Some(stored)) => (resource_type, stored),
                    (Some(_), None) => {
                        plan.leave(touched, "It is gone for good.");
                        continue;
                    }
                    (None, Some(_)) => {
                        plan.leave(touched, "This server serves no such resource type.");
                        continue;
                    }
                    (None, None) => continue,
                };
                let fold = Fold::of(&deeds.remove(touched).unwrap_or_default(), span);
                let mut drafting = Drafting { group_names, conflicts: &mut plan.conflicts };
                plan.drafts.extend(drafting.draft(resource_type, &stored, fold));
            }
        }
        let surroundings = Surroundings::of(connection, tenant_id, &plan.drafts)?;
        plan.settle(&surroundings);
        plan.unresolved = plan.unresolved(&surroundings);
        Ok(plan)
    }

    fn leave(&mut self, touched: &Touched, reason: &str) {
        self.conflicts.push(Conflict {
            resource_type: touched.resource_type.clone(),
            id: touched.id.clone(),
            name: None,
            what: What::Everything,
            reason: reason.to_owned(),
        });
    }

    /// Leaves alone what others stand in the way of.
    fn settle(&mut self, surroundings: &Surroundings) {
        loop {
            let ends = Ends::of(&self.drafts, surroundings);
            let Some(obstacles) = ends.obstacles(&self.drafts) else { return };
            let drafts = std::mem::take(&mut self.drafts);
            for (draft, obstacles) in drafts.into_iter().zip(obstacles) {
                let draft = obstacles.into_iter().try_fold(draft, |draft, obstacle| self.yield_to(draft, obstacle));
                let is_something =
                    |draft: &Draft| draft.act != Act::Modify || !draft.slots.is_empty() || !draft.members.is_empty();
                self.drafts.extend(draft.filter(is_something));
            }
        }
    }

    fn yield_to(&mut self, mut draft: Draft, obstacle: Obstacle) -> Option<Draft> {
        match obstacle {
            Obstacle::Whole(reason) => {
                self.conflicts.push(draft.conflict(What::Everything, reason));
                return None;
            }
            Obstacle::Unique(reason) => {
                if draft.act == Act::Revive {
                    self.conflicts.push(draft.conflict(What::Everything, reason));
                    return None;
                }
                for (urn, name) in unique::deciding(draft.resource_type) {
                    let slot = Slot::of(urn, name);
                    if draft.slots.remove(&slot).is_some() {
                        self.conflicts.push(draft.conflict(What::Attribute(slot.to_string()), reason.clone()));
                    }
                }
                draft.wants.clone_from(&draft.holds);
            }
            Obstacle::Slot(slot, reason) => {
                draft.slots.remove(&slot);
                let of_slot = |reason| draft.conflict(What::Attribute(slot.to_string()), reason);
                self.conflicts.extend(reason.map(of_slot));
            }
            Obstacle::Member(id) => drop(draft.members.remove(&id)),
            Obstacle::Kept(reason) => {
                let slot = draft.kept.as_ref().map(|kept| kept.slot.to_string());
                self.conflicts.extend(slot.map(|slot| draft.conflict(What::Attribute(slot), reason)));
                draft.leave_out();
            }
        }
        Some(draft)
    }

    fn unresolved(&self, surroundings: &Surroundings) -> BTreeSet<String> {
        let revived: BTreeSet<&str> =
            self.drafts.iter().filter(|draft| draft.act == Act::Revive).map(|draft| draft.id.as_str()).collect();
        let buried: BTreeSet<&str> =
            self.drafts.iter().filter(|draft| draft.act == Act::Bury).map(|draft| draft.id.as_str()).collect();
        let is_live = |id: &str| surroundings.deletions.get(id).is_some_and(Option::is_none) && !buried.contains(id);
        let coming = self.drafts.iter().flat_map(Draft::coming);
        coming.filter(|id| !is_live(id) && !revived.contains(id.as_str())).cloned().collect()
    }

    /// The plan, told.
    pub(super) fn into_undone(self) -> Undone {
        let reversals = self.drafts.iter().map(|draft| self.reversal(draft)).collect();
        Undone { reversals, conflicts: self.conflicts }
    }

    fn reversal(&self, draft: &Draft) -> Reversal {
        let side = |value: fn(&super::draft::SlotChange) -> &Option<Value>| {
            let mut document = Document::default();
            for (slot, change) in &draft.slots {
                if let (Some(attribute), Some(value)) = (slot.attribute(draft.resource_type), value(change)) {
                    document.set(attribute, value.clone());
                }
            }
            document
        };
        let [before, after] = [side(|change| &change.now), side(|change| &change.then)];
        let coming: Vec<String> = draft.coming().cloned().collect();
        let leaving: Vec<String> =
            if draft.act == Act::Modify { draft.leaving().cloned().collect() } else { Vec::new() };
        let unresolved = coming.iter().filter(|id| self.unresolved.contains(*id)).cloned().collect();
        Reversal {
            resource_type: draft.resource_type.name.clone(),
            id: draft.id.clone(),
            name: draft.name.clone(),
            operation: operation(draft),
            changes: Changes::of(draft.resource_type, Some(&before), Some(&after))
                .with_members(&coming, &leaving)
                .into_value(),
            unresolved,
        }
    }
}

/// The word that the history has for it. What only comes of restoring others is no write of the resource's own.
pub(super) fn operation(draft: &Draft) -> Operation {
    match draft.act {
        Act::Bury => Operation::Delete,
        Act::Revive => Operation::Restore,
        Act::Modify if !draft.only_follows() => Operation::Modify,
        Act::Modify if !draft.slots.is_empty() => Operation::Assign,
        Act::Modify if draft.members.values().any(|change| change.present) => Operation::Join,
        Act::Modify => Operation::Leave,
    }
}

/// What the drafts have to know of the resources around them.
#[derive(Debug, Default)]
struct Surroundings {
    /// When somebody who is to be referred to, or to be a member, was deleted; `None` for live ones.
    deletions: HashMap<String, Option<DateTime<Utc>>>,
    /// The groups that list a resource which is to be buried, by its id.
    groups: HashMap<String, Vec<String>>,
    /// Those that refer to a resource which is to be buried, by its id.
    reports: HashMap<String, Vec<String>>,
    /// Who holds what a draft wants.
    holders: HashMap<(&'static str, Claim), String>,
}

impl Surroundings {
    fn of(connection: &mut Connection, tenant_id: i64, drafts: &[Draft]) -> Result<Surroundings> {
        let mut surroundings = Surroundings::default();
        let referred = drafts.iter().flat_map(|draft| {
            draft.slots.iter().filter_map(|(slot, change)| {
                is_reference(draft.resource_type, slot).then(|| referred(change.then.as_ref())).flatten()
            })
        });
        let kept = drafts.iter().filter_map(|draft| Some(draft.kept.as_ref()?.id.as_str()));
        let coming = drafts.iter().flat_map(Draft::coming).map(String::as_str);
        let needed: BTreeSet<&str> = coming.chain(referred).chain(kept).collect();
        let needed: Vec<&str> = needed.into_iter().collect();
        surroundings.deletions = resources::deletions(connection, tenant_id, &needed)?;

        let buried: Vec<&Draft> = drafts.iter().filter(|draft| draft.act == Act::Bury).collect();
        let by_row: HashMap<i64, &str> = buried.iter().map(|draft| (draft.row_id, draft.id.as_str())).collect();
        let row_ids: Vec<i64> = buried.iter().map(|draft| draft.row_id).collect();
        for (row_id, group_id) in members::listing(connection, &row_ids)? {
            let id = by_row.get(&row_id).copied().unwrap_or_default();
            surroundings.groups.entry(id.to_owned()).or_default().push(group_id);
        }
        for (resource_type, drafts) in by_type(drafts) {
            let buried = drafts.iter().filter(|draft| draft.act == Act::Bury);
            let ids: Vec<&str> = buried.map(|draft| draft.id.as_str()).collect();
            if let Some(reference) = resource_type.reference() {
                for (id, report) in resources::referring(connection, tenant_id, reference, &ids)? {
                    surroundings.reports.entry(id).or_default().push(report);
                }
            }
            let new = drafts.iter().flat_map(|draft| draft.wants.iter().filter(|claim| !draft.holds.contains(claim)));
            let new: Vec<Claim> = new.cloned().collect();
            let holders = unique::holders(connection, tenant_id, resource_type, &new)?.into_iter();
            surroundings.holders.extend(holders.map(|(claim, id)| ((resource_type.name.as_str(), claim), id)));
        }
        Ok(surroundings)
    }
}

fn by_type(drafts: &[Draft]) -> Vec<(&'static ResourceType, Vec<&Draft>)> {
    let mut by_type: Vec<(&'static ResourceType, Vec<&Draft>)> = Vec::new();
    for draft in drafts {
        match by_type.iter_mut().find(|(resource_type, _)| resource_type.name == draft.resource_type.name) {
            Some((_, drafts)) => drafts.push(draft),
            None => by_type.push((draft.resource_type, vec![draft])),
        }
    }
    by_type
}

fn is_reference(resource_type: &'static ResourceType, slot: &Slot) -> bool {
    let reference: Option<Resolved> = resource_type.reference();
    reference.is_some_and(|reference| Slot::of(reference.container(), &reference.attribute.name) == *slot)
}

/// Whom the value of a reference names.
fn referred(value: Option<&Value>) -> Option<&str> {
    value?.get("value")?.as_str()
}

/// What stands in the way of a draft.
enum Obstacle {
    /// Of all of it.
    Whole(String),
    /// Of its unique values.
    Unique(String),
    /// Of one attribute; without a sentence where another conflict says it.
    Slot(Slot, Option<String>),
    /// Of one membership, and another conflict says it.
    Member(String),
    /// Of the reference that a deleted resource has kept.
    Kept(String),
}

/// How everything will be when all drafts are carried out.
struct Ends<'a> {
    surroundings: &'a Surroundings,
    drafts: HashMap<&'a str, &'a Draft>,
    /// Who is the first to want what he does not hold.
    claimants: HashMap<(&'static str, &'a Claim), &'a str>,
}

impl<'a> Ends<'a> {
    fn of(drafts: &'a [Draft], surroundings: &'a Surroundings) -> Ends<'a> {
        let mut claimants = HashMap::new();
        for draft in drafts {
            for claim in draft.wants.iter().filter(|claim| !draft.holds.contains(claim)) {
                claimants.entry((draft.resource_type.name.as_str(), claim)).or_insert(draft.id.as_str());
            }
        }
        let drafts = drafts.iter().map(|draft| (draft.id.as_str(), draft)).collect();
        Ends { surroundings, drafts, claimants }
    }

    /// What stands in the way of each draft, as far as that does not depend on what else does; `None` if nothing does.
    fn obstacles(&self, drafts: &[Draft]) -> Option<Vec<Vec<Obstacle>>> {
        let kinds: [fn(&Self, &Draft) -> Vec<Obstacle>; 3] = [Self::needs, Self::hindrances, Self::losses];
        let of_kind = |kind: fn(&Self, &Draft) -> Vec<Obstacle>| -> Vec<Vec<Obstacle>> {
            drafts.iter().map(|draft| kind(self, draft)).collect()
        };
        kinds.into_iter().map(of_kind).find(|found| found.iter().any(|of_draft| !of_draft.is_empty()))
    }

    /// Who needs what would be deleted.
    fn needs(&self, draft: &Draft) -> Vec<Obstacle> {
        self.needed_by(draft).map(Obstacle::Whole).into_iter().collect()
    }

    /// What others have, or are no more.
    fn hindrances(&self, draft: &Draft) -> Vec<Obstacle> {
        let taken = self.taken(draft).map(Obstacle::Unique).into_iter();
        let slots = draft.slots.iter().filter_map(|(slot, change)| {
            let reason = match is_reference(draft.resource_type, slot) {
                true => self.dangling(change.then.as_ref(), change.now.as_ref(), &change.origin)?,
                false => return None,
            };
            Some(Obstacle::Slot(slot.clone(), reason))
        });
        let is_left = |(id, origin): &(&String, &Origin)| origin.follows && !self.comes_or_goes(id);
        let members = draft.members.iter().map(|(id, change)| (id, &change.origin)).filter(is_left);
        let members = members.map(|(id, _)| Obstacle::Member(id.clone()));
        let kept = draft.kept.iter().filter(|kept| !draft.slots.contains_key(&kept.slot));
        let kept = kept.filter_map(|kept| self.gone(&kept.id, kept.since).map(Obstacle::Kept));
        taken.chain(slots).chain(members).chain(kept).collect()
    }

    /// References to what this undo deletes.
    fn losses(&self, draft: &Draft) -> Vec<Obstacle> {
        let reason = |id: &str| self.is_buried(id).then(|| format!("'{id}' is deleted by this undo."));
        if draft.act == Act::Bury {
            return Vec::new();
        }
        let slots = draft.slots.iter().filter(|(slot, _)| is_reference(draft.resource_type, slot));
        let slots = slots.filter_map(|(slot, change)| {
            let reason = reason(referred(change.then.as_ref())?)?;
            Some(Obstacle::Slot(slot.clone(), Some(reason)))
        });
        let kept = draft.kept.iter().filter(|kept| !draft.slots.contains_key(&kept.slot));
        let kept = kept.filter_map(|kept| reason(&kept.id).map(Obstacle::Kept));
        slots.chain(kept).collect()
    }

    fn is_buried(&self, id: &str) -> bool {
        self.drafts.get(id).is_some_and(|draft| draft.act == Act::Bury)
    }

    fn is_revived(&self, id: &str) -> bool {
        self.drafts.get(id).is_some_and(|draft| draft.act == Act::Revive)
    }

    fn comes_or_goes(&self, id: &str) -> bool {
        self.is_buried(id) || self.is_revived(id)
    }

    /// Why a resource can't be buried: somebody still lists it, or refers to it.
    fn needed_by(&self, draft: &Draft) -> Option<String> {
        if draft.act != Act::Bury {
            return None;
        }
        let of = |ids: &'a HashMap<String, Vec<String>>| ids.get(&draft.id).map(Vec::as_slice).unwrap_or_default();
        let lets_go = |group: &&String| {
            let leaves = |group: &&Draft| group.members.get(&draft.id).is_some_and(|change| !change.present);
            self.is_buried(group) || self.drafts.get(group.as_str()).is_some_and(leaves)
        };
        if let Some(group) = of(&self.surroundings.groups).iter().find(|group| !lets_go(group)) {
            return Some(format!("Group '{group}' lists it."));
        }
        let turns_away = |report: &&String| {
            let changes = |report: &&Draft| report.slots.keys().any(|slot| is_reference(report.resource_type, slot));
            self.is_buried(report) || self.drafts.get(report.as_str()).is_some_and(changes)
        };
        let report = of(&self.surroundings.reports).iter().find(|report| !turns_away(report))?;
        Some(format!("{} '{report}' refers to it.", draft.resource_type.name))
    }

    /// Why a resource can't have its unique values back: somebody else has them by then.
    fn taken(&self, draft: &Draft) -> Option<String> {
        let name = draft.resource_type.name.as_str();
        draft.wants.iter().filter(|claim| !draft.holds.contains(claim)).find_map(|claim| {
            let gives_up = |holder: &&Draft| holder.holds.contains(claim) && !holder.wants.contains(claim);
            let holder = self.surroundings.holders.get(&(name, claim.clone()));
            let holder = holder.filter(|holder| **holder != draft.id);
            let holder = holder.filter(|holder| !self.drafts.get(holder.as_str()).is_some_and(gives_up));
            let first = self.claimants.get(&(name, claim)).copied().filter(|first| *first != draft.id);
            let other = holder.map(String::as_str).or(first)?;
            Some(format!("{name} '{other}' has what must be unique."))
        })
    }

    /// Why a reference can't be put back, `None` if it can: to somebody who has been deleted since, or because what it
    /// came of is not taken back either.
    fn dangling(&self, then: Option<&Value>, now: Option<&Value>, origin: &Origin) -> Option<Option<String>> {
        if origin.follows {
            let cause = referred(then).or_else(|| referred(now)).unwrap_or_default();
            return (!self.comes_or_goes(cause)).then_some(None);
        }
        self.gone(referred(then)?, origin.since).map(Some)
    }

    /// Why nobody can refer to a resource, `None` if somebody can: it has been deleted since a time, and stays so.
    fn gone(&self, id: &str, since: DateTime<Utc>) -> Option<String> {
        let deleted_at = (*self.surroundings.deletions.get(id)?)?;
        let is_gone = deleted_at >= since && !self.is_revived(id);
        is_gone.then(|| format!("'{id}' has been deleted since."))
    }
}
