//! The changes of one resource, folded: what it was before a caller's changes of a span, and who else was at it since.
//!
//! Pure. A deletion takes away a group's existence and not its members: what it listed last belongs to it as its
//! attributes do.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::slot::{Slot, slots};
use crate::store::audit::{Deed, MASK, Operation, Span};

/// Somebody else's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Other {
    /// The id of the key.
    pub(super) by: String,
    /// When.
    pub(super) at: DateTime<Utc>,
}

/// What became of one thing since the first of the caller's changes of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Track<T> {
    /// What it was before.
    pub(super) before: T,
    /// What it is after all changes, by whomever.
    pub(super) after: T,
    /// When the caller first changed it.
    pub(super) since: DateTime<Utc>,
    /// The last change by somebody else.
    pub(super) other: Option<Other>,
    /// Whether that was the last change of all.
    pub(super) other_was_last: bool,
    /// Whether all that the caller changed of it came of deleting or restoring another resource.
    pub(super) follows: bool,
}

impl<T: PartialEq> Track<T> {
    /// Whether there is nothing to take back: it is as it was, and not because the caller had the last word over others.
    pub(super) fn is_settled(&self) -> bool {
        self.before == self.after && (self.other.is_none() || self.other_was_last)
    }
}

/// The net effect of the changes of one resource.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// Whether it is there.
    pub(super) existence: Option<Track<bool>>,
    /// Its attributes.
    pub(super) slots: BTreeMap<Slot, Track<Option<Value>>>,
    /// Whom it lists.
    pub(super) members: BTreeMap<String, Track<bool>>,
    /// The last change that somebody else made of it, of whatever.
    pub(super) other: Option<Other>,
    /// Whether the caller has changed the password.
    pub(super) password: bool,
    /// The members that it had when it was last deleted.
    pub(super) listed: Option<Vec<String>>,
}

impl Fold {
    /// Of the changes from the first one of the caller on, in their order.
    pub(super) fn of(deeds: &[Deed], span: &Span) -> Fold {
        let mut fold = Fold::default();
        deeds.iter().for_each(|deed| fold.add(deed, span));
        fold
    }

    fn add(&mut self, deed: &Deed, span: &Span) {
        let step = Step { deed, is_ours: span.has(deed) };
        if !step.is_ours && !step.follows() && deed.operation != Operation::Conform {
            self.other = Some(step.other());
        }
        self.password |= step.is_ours && deed.changes.pointer("/secrets/0").is_some();
        if let Some(live) = presence(deed.operation) {
            self.existence = step.tell(self.existence.take(), !live, live);
        }
        let [before, after] = ["before", "after"].map(|side| slots(deed.changes.get(side)));
        let all: BTreeSet<&Slot> = before.keys().chain(after.keys()).collect();
        for slot in all {
            let [was, is] = [&before, &after].map(|side| side.get(slot).copied());
            // A mask on both sides hides a change.
            if was != is || was.is_some_and(|value| value == MASK) {
                step.tell_in(&mut self.slots, slot.clone(), was.cloned(), is.cloned());
            }
        }
        let (added, removed) = self.members_of(deed);
        for id in removed {
            step.tell_in(&mut self.members, id, true, false);
        }
        for id in added {
            step.tell_in(&mut self.members, id, false, true);
        }
    }

    /// Who came and who went; a restoration has all members, of which most were there when it was deleted.
    fn members_of(&mut self, deed: &Deed) -> (Vec<String>, Vec<String>) {
        let list = |path: &str| -> Vec<String> {
            let ids = deed.changes.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            ids.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        match deed.operation {
            Operation::Delete => {
                self.listed = Some(list("/relations/members"));
                (Vec::new(), Vec::new())
            }
            Operation::Restore => {
                let Some(then) = self.listed.take() else { return (Vec::new(), Vec::new()) };
                let then: BTreeSet<String> = then.into_iter().collect();
                let now: BTreeSet<String> = list("/members/added").into_iter().collect();
                (now.difference(&then).cloned().collect(), then.difference(&now).cloned().collect())
            }
            _ => (list("/members/added"), list("/members/removed")),
        }
    }
}

/// Whether the resource is there after such a change; `None` if that stays as it is.
fn presence(operation: Operation) -> Option<bool> {
    match operation {
        Operation::Create | Operation::Restore | Operation::Import => Some(true),
        Operation::Delete => Some(false),
        _ => None,
    }
}

struct Step<'d> {
    deed: &'d Deed,
    is_ours: bool,
}

impl Step<'_> {
    /// Whether it came of deleting or restoring another resource.
    fn follows(&self) -> bool {
        matches!(self.deed.operation, Operation::Leave | Operation::Join | Operation::Unassign | Operation::Assign)
    }

    fn other(&self) -> Other {
        Other { by: self.deed.caller.clone(), at: self.deed.at }
    }

    fn tell_in<K: Ord, T>(&self, tracks: &mut BTreeMap<K, Track<T>>, key: K, before: T, after: T) {
        if let Some(track) = self.tell(tracks.remove(&key), before, after) {
            tracks.insert(key, track);
        }
    }

    /// The track after this step. It begins with the caller's first one.
    fn tell<T>(&self, track: Option<Track<T>>, before: T, after: T) -> Option<Track<T>> {
        match (track, self.is_ours) {
            (None, false) => None,
            (None, true) => {
                let since = self.deed.at;
                Some(Track { before, after, since, other: None, other_was_last: false, follows: self.follows() })
            }
            (Some(track), true) => {
                let follows = track.follows && self.follows();
                Some(Track { after, other_was_last: false, follows, ..track })
            }
            (Some(track), false) => Some(Track { after, other: Some(self.other()), other_was_last: true, ..track }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "key";

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a time")
    }

    fn deed(second: i64, caller: &str, operation: Operation, changes: Value) -> Deed {
        Deed { at: at(second), caller: caller.to_owned(), operation, changes }
    }

    fn folded(deeds: &[Deed]) -> Fold {
        Fold::of(deeds, &Span { caller: KEY.to_owned(), since: at(10), until: at(20) })
    }

    fn title(from: &str, to: &str) -> Value {
        json!({"before": {"title": from}, "after": {"title": to}})
    }

    fn title_of(fold: &Fold) -> &Track<Option<Value>> {
        &fold.slots[&Slot::of(None, "title")]
    }

    #[test]
    fn changes_of_one_attribute_are_one() {
        let fold = folded(&[
            deed(10, KEY, Operation::Modify, title("1", "2")),
            deed(20, KEY, Operation::Modify, title("2", "3")),
        ]);
        let track = title_of(&fold);
        assert_eq!((&track.before, &track.after, &track.other), (&Some(json!("1")), &Some(json!("3")), &None));
        assert!(!track.is_settled());
        let there_and_back = folded(&[
            deed(10, KEY, Operation::Modify, title("1", "2")),
            deed(11, KEY, Operation::Modify, title("2", "1")),
        ]);
        assert!(title_of(&there_and_back).is_settled());
    }

    #[test]
    fn the_same_key_outside_the_span_is_somebody_else() {
        let fold = folded(&[
            deed(10, KEY, Operation::Modify, title("1", "2")),
            deed(21, KEY, Operation::Modify, title("2", "3")),
        ]);
        assert_eq!(title_of(&fold).other, Some(Other { by: KEY.to_owned(), at: at(21) }));
    }

    #[test]
    fn who_puts_it_right_is_in_nobodys_way_and_whose_change_was_overwritten_is() {
        let put_right = folded(&[
            deed(10, KEY, Operation::Modify, title("1", "2")),
            deed(11, "other", Operation::Modify, title("2", "1")),
        ]);
        assert!(title_of(&put_right).is_settled());
        let overwritten = folded(&[
            deed(10, KEY, Operation::Modify, title("1", "2")),
            deed(11, "other", Operation::Modify, title("2", "3")),
            deed(12, KEY, Operation::Modify, title("3", "1")),
        ]);
        assert!(!title_of(&overwritten).is_settled());
    }

    #[test]
    fn attributes_of_an_extension_are_apart() {
        let urn = "urn:x:User";
        let both = |a: &str, b: &str| json!({ urn: {"a": a, "b": b} });
        let fold = folded(&[
            deed(10, KEY, Operation::Modify, json!({"before": both("1", "1"), "after": both("2", "1")})),
            deed(11, "other", Operation::Modify, json!({"before": both("2", "1"), "after": both("2", "2")})),
        ]);
        let slots: Vec<String> = fold.slots.keys().map(ToString::to_string).collect();
        assert_eq!(slots, [format!("{urn}:a")]);
        assert_eq!(fold.slots[&Slot::of(Some(urn), "a")].other, None);
    }

    #[test]
    fn a_mask_on_both_sides_is_a_change() {
        let masked = json!({"before": {"pin": "***"}, "after": {"pin": "***"}});
        assert!(folded(&[deed(10, KEY, Operation::Modify, masked)]).slots.contains_key(&Slot::of(None, "pin")));
    }

    #[test]
    fn what_was_imported_was_not_there_before() {
        let imported = deed(10, KEY, Operation::Import, json!({"after": {"title": "1"}}));
        let live = folded(std::slice::from_ref(&imported)).existence.expect("it came");
        let buried = folded(&[imported, deed(10, KEY, Operation::Delete, json!({}))]).existence.expect("it came");
        assert_eq!((live.before, live.after, live.is_settled()), (false, true, false));
        assert_eq!((buried.before, buried.after, buried.is_settled()), (false, false, true));
    }

    #[test]
    fn a_deletion_leaves_a_group_its_members() {
        let restored = json!({"members": {"added": ["a", "c"], "removed": []}});
        let fold = folded(&[
            deed(10, KEY, Operation::Modify, json!({"members": {"added": ["a"], "removed": []}})),
            deed(11, KEY, Operation::Delete, json!({"relations": {"members": ["a", "b"]}})),
            deed(12, "other", Operation::Restore, restored),
        ]);
        let (before, existence) = (&fold.members["a"], fold.existence.expect("it was deleted"));
        assert_eq!((before.before, before.after, &before.other), (false, true, &None));
        assert!(existence.is_settled());
        assert_eq!(fold.members.keys().collect::<Vec<_>>(), ["a"], "others' changes of what the key left alone");
    }

    #[test]
    fn what_comes_of_another_deletion_is_told_from_what_was_meant() {
        let leave = |second| deed(second, KEY, Operation::Leave, json!({"members": {"added": [], "removed": ["a"]}}));
        let meant = deed(11, KEY, Operation::Modify, json!({"members": {"added": ["a"], "removed": []}}));
        assert!(folded(&[leave(10)]).members["a"].follows);
        assert!(!folded(&[leave(10), meant, leave(12)]).members["a"].follows);
        let by_others = deed(12, "other", Operation::Leave, json!({"members": {"added": [], "removed": ["b"]}}));
        assert_eq!(folded(&[leave(10), by_others]).other, None, "nobody meant this group");
    }
}
