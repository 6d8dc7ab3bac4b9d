//! What is to be done to one resource, as far as it alone decides.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::fold::{Fold, Other, Track};
use super::slot::Slot;
use super::{Conflict, What};
use crate::provider::hidden;
use crate::provider::restore::{DROPPED, NEVER_SHOWN};
use crate::scim::accept::check_still_required;
use crate::scim::resource::{Document, format_instant};
use crate::scim::schema::{ResourceType, Returned, Role};
use crate::scim::withheld::divide;
use crate::store::resources::StoredResource;
use crate::store::tenants::GroupNames;
use crate::store::unique::{self, Claim};

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It was not there before.
    Bury,
    /// It was there before.
    Revive,
    /// It was there before, and is.
    Modify,
}

/// The plan for one resource.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) resource_type: &'static ResourceType,
    pub(super) row_id: i64,
    pub(super) id: String,
    /// What people call it.
    pub(super) name: Option<String>,
    pub(super) act: Act,
    pub(super) slots: BTreeMap<Slot, SlotChange>,
    pub(super) members: BTreeMap<String, MemberChange>,
    /// The members that a deleted group had last.
    pub(super) listed: Vec<String>,
    /// Whom a deleted resource referred to last: that comes back with it where no slot says another thing.
    pub(super) kept: Option<Kept>,
    /// The id of whom it referred to last, and does not when it is back.
    pub(super) left_out: Option<String>,
    /// What it holds that no two live resources may share.
    pub(super) holds: Vec<Claim>,
    /// What it will hold.
    pub(super) wants: Vec<Claim>,
}

/// One attribute put back.
#[derive(Debug)]
pub(super) struct SlotChange {
    pub(super) now: Option<Value>,
    pub(super) then: Option<Value>,
    /// The change that is taken back.
    pub(super) origin: Origin,
}

/// A reference that a deleted resource has kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) slot: Slot,
    pub(super) value: Value,
    /// The id that it is to.
    pub(super) id: String,
    /// When the resource was deleted that has it.
    pub(super) since: DateTime<Utc>,
}

impl Kept {
    /// That of a deleted resource, if it has one.
    fn of(resource_type: &'static ResourceType, stored: &StoredResource) -> Option<Kept> {
        let reference = resource_type.reference()?;
        let value = stored.document.get(reference)?.clone();
        let id = value.get("value")?.as_str()?.to_owned();
        let (since, _) = stored.deleted.clone()?;
        Some(Kept { slot: Slot::of(reference.container(), &reference.attribute.name), value, id, since })
    }
}

/// One membership put back.
#[derive(Debug)]
pub(super) struct MemberChange {
    /// Whether it is a member then.
    pub(super) present: bool,
    pub(super) origin: Origin,
}

/// Where a change that is taken back comes from.
#[derive(Debug)]
pub(super) struct Origin {
    /// When the first of them was made.
    pub(super) since: DateTime<Utc>,
    /// Whether it came of deleting or restoring another resource: then it is taken back with that alone.
    pub(super) follows: bool,
}

impl Origin {
    fn of<T>(track: &Track<T>) -> Origin {
        Origin { since: track.since, follows: track.follows }
    }
}

impl Draft {
    /// Puts the attributes back into the present document.
    pub(super) fn document(&self, present: &Document) -> Document {
        target(self.resource_type, &self.slots, present).0
    }

    /// Whether it changes nothing but what came of deleting or restoring others.
    pub(super) fn only_follows(&self) -> bool {
        let mut origins = self.slots.values().map(|change| &change.origin);
        let mut of_members = self.members.values().map(|change| &change.origin);
        origins.all(|origin| origin.follows) && of_members.all(|origin| origin.follows)
    }

    /// Leaves the reference out that it has kept, since nobody is there who is meant.
    pub(super) fn leave_out(&mut self) {
        let Some(Kept { slot, value, id, since }) = self.kept.take() else { return };
        self.slots.insert(slot, SlotChange { now: Some(value), then: None, origin: Origin { since, follows: false } });
        self.left_out = Some(id);
    }

    /// The members that a revived group has, or the ones that come to a live one.
    pub(super) fn coming(&self) -> impl Iterator<Item = &String> {
        let stays = |id: &&String| !self.members.contains_key(*id);
        let come = self.members.iter().filter(|(_, change)| change.present).map(|(id, _)| id);
        self.listed.iter().filter(stays).chain(come)
    }

    /// The members that go.
    pub(super) fn leaving(&self) -> impl Iterator<Item = &String> {
        self.members.iter().filter(|(_, change)| !change.present).map(|(id, _)| id)
    }

    /// What is left of it, said of this resource.
    pub(super) fn conflict(&self, what: What, reason: impl Into<String>) -> Conflict {
        Conflict {
            resource_type: self.resource_type.name.clone(),
            id: self.id.clone(),
            name: self.name.clone(),
            what,
            reason: reason.into(),
        }
    }
}

/// The document with the attributes put back, and the paths of what is never shown and therefore stays.
fn target(
    resource_type: &'static ResourceType,
    slots: &BTreeMap<Slot, SlotChange>,
    present: &Document,
) -> (Document, Vec<String>) {
    let mut document = present.clone();
    for (slot, change) in slots {
        let Some(attribute) = slot.attribute(resource_type) else { continue };
        match &change.then {
            Some(value) => document.set(attribute, value.clone()),
            None => drop(document.remove(attribute)),
        }
    }
    let kept = hidden::keep(resource_type, &mut document, present);
    (document, kept)
}

/// Drafts of resources, one after the other, and the conflicts that show by then.
pub(super) struct Drafting<'a> {
    pub(super) group_names: GroupNames,
    pub(super) conflicts: &'a mut Vec<Conflict>,
}

impl Drafting<'_> {
    /// What is to be done to a resource; `None` for nothing.
    pub(super) fn draft(
        &mut self,
        resource_type: &'static ResourceType,
        stored: &StoredResource,
        fold: Fold,
    ) -> Option<Draft> {
        let mut draft = Draft {
            resource_type,
            row_id: stored.row_id,
            id: stored.id.clone(),
            name: name_of(&stored.document),
            act: Act::Modify,
            slots: BTreeMap::new(),
            members: BTreeMap::new(),
            listed: Vec::new(),
            kept: None,
            left_out: None,
            holds: Vec::new(),
            wants: Vec::new(),
        };
        let was_there = fold.existence.as_ref().is_none_or(|existence| existence.before);
        match (was_there, stored.deleted.is_none()) {
            (false, false) => None,
            (false, true) => self.bury(draft, stored, &fold),
            (true, false) => {
                let deleted_by_others = fold.existence.as_ref().is_none_or(|existence| existence.other_was_last);
                if deleted_by_others {
                    self.deleted_since(&draft, stored, &fold);
                    return None;
                }
                draft.act = Act::Revive;
                self.put_back(draft, stored, fold)
            }
            (true, true) => {
                self.put_back(draft, stored, fold).filter(|draft| !draft.slots.is_empty() || !draft.members.is_empty())
            }
        }
    }

    fn bury(&mut self, draft: Draft, stored: &StoredResource, fold: &Fold) -> Option<Draft> {
        if let Some(other) = &fold.other {
            self.conflicts.push(draft.conflict(What::Everything, format!("{}, so it stays.", changed_by(other))));
            return None;
        }
        let holds = unique::claims(draft.resource_type, &stored.document, self.group_names);
        Some(Draft { act: Act::Bury, holds, ..draft })
    }

    fn deleted_since(&mut self, draft: &Draft, stored: &StoredResource, fold: &Fold) {
        let nothing_to_do = fold.slots.values().all(Track::is_settled)
            && fold.members.values().all(Track::is_settled)
            && !fold.password;
        if nothing_to_do {
            return;
        }
        let (at, by) = stored.deleted.clone().unwrap_or_default();
        let reason = format!("{by} deleted it at {}.", format_instant(at));
        self.conflicts.push(draft.conflict(What::Everything, reason));
    }

    fn put_back(&mut self, mut draft: Draft, stored: &StoredResource, fold: Fold) -> Option<Draft> {
        let revived = draft.act == Act::Revive;
        let has_password = draft.resource_type.attribute_in_role(Role::Password).is_some();
        if fold.password || (revived && has_password) {
            let reason = if revived { DROPPED } else { NEVER_SHOWN };
            self.conflicts.push(draft.conflict(What::Attribute("password".to_owned()), reason));
        }
        for (slot, track) in fold.slots {
            self.slot(&mut draft, slot, track, &stored.document);
        }
        self.hold_required(&mut draft, &stored.document);
        for (id, track) in fold.members {
            if track.is_settled() {
                continue;
            }
            match &track.other {
                Some(other) => self.conflicts.push(draft.conflict(What::Member(id), format!("{}.", changed_by(other)))),
                None => {
                    draft.members.insert(id, MemberChange { present: track.before, origin: Origin::of(&track) });
                }
            }
        }
        draft.listed = fold.listed.filter(|_| revived).unwrap_or_default();
        draft.kept = Kept::of(draft.resource_type, stored);
        let (document, kept) = target(draft.resource_type, &draft.slots, &stored.document);
        let kept = kept.into_iter().map(|path| draft.conflict(What::Attribute(path), NEVER_SHOWN));
        self.conflicts.extend(kept);
        if !revived {
            draft.holds = unique::claims(draft.resource_type, &stored.document, self.group_names);
        }
        draft.wants = unique::claims(draft.resource_type, &document, self.group_names);
        Some(draft)
    }

    fn slot(&mut self, draft: &mut Draft, slot: Slot, track: Track<Option<Value>>, present: &Document) {
        let mut leave = |reason: String| {
            self.conflicts.push(draft.conflict(What::Attribute(slot.to_string()), reason));
        };
        let attribute = slot.attribute(draft.resource_type);
        if attribute.is_some_and(|attribute| attribute.attribute.returned == Returned::Never) {
            return leave(NEVER_SHOWN.to_owned());
        }
        if track.is_settled() {
            return;
        }
        if let Some(other) = &track.other {
            return leave(format!("{}.", changed_by(other)));
        }
        let Some(attribute) = attribute else {
            return leave("The schemas in force have no such attribute.".to_owned());
        };
        let mut alone = Document::default();
        if let Some(then) = &track.before {
            alone.set(attribute, then.clone());
        }
        let (_, misfit) = divide(draft.resource_type, alone, Map::new());
        if !misfit.is_empty() {
            return leave("The schemas in force have no place for its value.".to_owned());
        }
        let now = slot.value(present).cloned();
        let change = SlotChange { now, origin: Origin::of(&track), then: track.before };
        draft.slots.insert(slot, change);
    }

    /// Leaves alone what the schemas in force would miss: first what would go, then, if that does not help, everything.
    fn hold_required(&mut self, draft: &mut Draft, present: &Document) {
        let missing =
            |draft: &Draft| check_still_required(draft.resource_type, present, &draft.document(present)).err();
        let resource_type = draft.resource_type;
        let would_go = |slot: &Slot, change: &SlotChange| {
            let attribute = slot.attribute(resource_type);
            change.then.is_none() && attribute.is_some_and(|attribute| attribute.attribute.required)
        };
        if let Some(error) = missing(draft) {
            self.leave_slots(draft, error.detail(), would_go);
        }
        if let Some(error) = missing(draft) {
            self.leave_slots(draft, error.detail(), |_, _| true);
        }
    }

    fn leave_slots(&mut self, draft: &mut Draft, reason: &str, is_left: impl Fn(&Slot, &SlotChange) -> bool) {
        let (left, kept) =
            std::mem::take(&mut draft.slots).into_iter().partition(|(slot, change)| is_left(slot, change));
        draft.slots = kept;
        let left: BTreeMap<Slot, SlotChange> = left;
        let of_slot = |slot: Slot| draft.conflict(What::Attribute(slot.to_string()), reason);
        self.conflicts.extend(left.into_keys().map(of_slot));
    }
}

fn changed_by(other: &Other) -> String {
    format!("{} changed it at {}", other.by, format_instant(other.at))
}

fn name_of(document: &Document) -> Option<String> {
    document.text("userName").or_else(|| document.text("displayName")).map(str::to_owned)
}
