//! Operations on `members`: what is to be added and removed, told without looking at who is there, so that one more
//! member costs the same in a group of a hundred thousand (PATCH-23).

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::budget::{Budget, looks};
use super::change::{Change, invalid, no_target};
use super::described::equalities;
use super::target::Selection;
use crate::scim::accept::{self, MemberClaim};
use crate::scim::filter::{Condition, Filter, Operator, matches_element};
use crate::scim::schema::{Attribute, Resolved};
use crate::scim::{Error, ErrorKind, Profile, Result, tolerance};

/// What a resource has in other places than its document, above all the members of a group: as it is before the request,
/// for the operations that cannot be decided without it.
pub trait MemberSource {
    /// Whether there is a member with that id.
    ///
    /// # Errors
    /// Whatever the look-up fails with.
    fn contains(&mut self, value: &str) -> Result<bool>;

    /// Every member as a client sees it: `value`, `type`, `display`, `$ref`.
    ///
    /// # Errors
    /// Whatever the look-up fails with.
    fn all(&mut self) -> Result<Vec<Value>>;

    /// The members that these ids would be, as a client would see them; without those that no resource has.
    ///
    /// # Errors
    /// Whatever the look-up fails with.
    fn candidates(&mut self, values: &[&str]) -> Result<Vec<Value>>;

    /// The whole resource as a client sees it by default, for the operations that write back what the server computes of
    /// other resources; nothing where nobody has seen it.
    ///
    /// # Errors
    /// Whatever the look-up fails with.
    fn shown(&mut self) -> Result<Map<String, Value>> {
        Ok(Map::new())
    }
}

/// Whether somebody shall be a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A member from now on; nothing changes if already one.
    Present,
    /// No member from now on; nothing changes if none.
    Absent,
}

/// What a request does to the members of a group: first everybody goes, if `cleared`, then the last word on each id
/// holds. Whether the ids exist is not checked here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberChanges {
    /// Whether all members from before the request go.
    pub cleared: bool,
    /// One entry for each id, in the order of first mention; only [`Presence::Present`] if `cleared`.
    pub changes: Vec<(MemberClaim, Presence)>,
}

impl MemberChanges {
    /// Whether the members stay as they are.
    pub fn is_empty(&self) -> bool {
        !self.cleared && self.changes.is_empty()
    }
}

/// The members in the course of a request: those from before, and what happened since.
pub(super) struct Membership<'a> {
    source: &'a mut dyn MemberSource,
    profile: Profile,
    cleared: bool,
    changes: IndexMap<String, (Option<String>, Presence)>,
    before: Option<IndexMap<String, Value>>,
    /// Those that the request has added, as far as a filter had to look at them.
    added: HashMap<String, Value>,
    shown: Option<Map<String, Value>>,
}

impl<'a> Membership<'a> {
    pub(super) fn new(source: &'a mut dyn MemberSource, profile: Profile) -> Membership<'a> {
        Membership {
            source,
            profile,
            cleared: false,
            changes: IndexMap::new(),
            before: None,
            added: HashMap::new(),
            shown: None,
        }
    }

    pub(super) fn into_changes(self) -> MemberChanges {
        let cleared = self.cleared;
        let changes = self.changes.into_iter().filter(|(_, (_, presence))| !cleared || *presence == Presence::Present);
        let changes = changes.map(|(value, (claimed_type, presence))| (MemberClaim { value, claimed_type }, presence));
        MemberChanges { cleared, changes: changes.collect() }
    }

    /// The resource before the request, as a client sees it.
    pub(super) fn shown(&mut self) -> Result<&Map<String, Value>> {
        let shown = match self.shown.take() {
            Some(shown) => shown,
            None => self.source.shown()?,
        };
        Ok(self.shown.insert(shown))
    }

    /// `members` as a whole, or `members.part`.
    pub(super) fn change(&mut self, members: Resolved, change: Change<'_>, budget: &mut Budget) -> Result<()> {
        if let Some(part) = members.sub_attribute {
            let everybody = self.matching(&Condition::Constant(true), 1, budget)?;
            return self.change_part(members.without_sub_attribute(), part, &everybody, change);
        }
        match change {
            Change::Add(Value::Null) if self.profile == Profile::Strict => {
                Err(invalid("members can't be added as null.".to_owned()))
            }
            Change::Add(value) => self.mark(self.claims(value)?, Presence::Present),
            Change::Replace(value) => {
                let claims = self.claims(value)?;
                self.clear();
                self.mark(claims, Presence::Present)
            }
            Change::Remove(None) => {
                self.clear();
                Ok(())
            }
            Change::Remove(Some(value)) => self.mark(self.claims(value)?, Presence::Absent),
        }
    }

    /// `members[filter]` and `members[filter].part`.
    pub(super) fn change_selected(
        &mut self,
        selection: &Selection,
        change: Change<'_>,
        budget: &mut Budget,
    ) -> Result<()> {
        if let (None, Change::Remove(None)) = (selection.part, change)
            && let Some(values) = self.values_of(&selection.filter)
        {
            let claims = values.iter().map(|value| MemberClaim { value: value.clone(), claimed_type: None });
            return self.mark(claims.collect(), Presence::Absent);
        }
        let selected = self.selected(selection, budget)?;
        match (selection.part, change) {
            (None, Change::Remove(listed)) => self.remove_selected(selected, listed),
            (Some(part), Change::Remove(_)) => self.change_part(selection.attribute, part, &selected, change),
            (_, Change::Add(value) | Change::Replace(value)) => self.set_selected(selection, &selected, change, value),
        }
    }

    fn clear(&mut self) {
        self.cleared = true;
        self.changes.clear();
    }

    fn mark(&mut self, claims: Vec<MemberClaim>, presence: Presence) -> Result<()> {
        for claim in claims {
            self.changes.insert(claim.value, (claim.claimed_type, presence));
        }
        Ok(())
    }

    /// One element stands for a list of one in both profiles (rows A5, P4).
    fn claims(&self, value: &Value) -> Result<Vec<MemberClaim>> {
        match value {
            Value::String(text) if text.is_empty() && self.profile == Profile::Strict => {
                Err(invalid("members must be an array of objects.".to_owned()))
            }
            value => accept::claims(tolerance::list(value), self.profile),
        }
    }

    /// Both filter and list have to select a member that goes.
    fn remove_selected(&mut self, selected: Vec<String>, listed: Option<&Value>) -> Result<()> {
        let listed = listed.map(|listed| self.claims(listed)).transpose()?;
        let listed = listed
            .map(|claims| claims.into_iter().map(|claim| claim.value).collect::<std::collections::HashSet<String>>());
        for value in selected {
            if listed.as_ref().is_none_or(|listed| listed.contains(&value)) {
                self.changes.insert(value, (None, Presence::Absent));
            }
        }
        Ok(())
    }

    /// A member is there or not; nothing about it can be changed (GRP-04). An add or replace that says what is so
    /// already is fine, and one that selects nobody adds the member that the filter describes (T-07).
    fn set_selected(
        &mut self,
        selection: &Selection,
        selected: &[String],
        change: Change<'_>,
        value: &Value,
    ) -> Result<()> {
        let members = selection.attribute;
        if !selected.is_empty() {
            return match selection.part {
                Some(part) => self.change_part(members, part, selected, change),
                None => self.confirm(members, selected, value),
            };
        }
        let says_nothing = value.is_null() || value.as_str() == Some("");
        if self.profile == Profile::Compat && says_nothing {
            return Ok(());
        }
        let claim = match self.profile {
            Profile::Compat => self.described(selection, value)?,
            Profile::Strict => None,
        };
        let claim = claim.ok_or_else(|| no_target("The filter selects no member.".to_owned()))?;
        self.mark(vec![claim], Presence::Present)
    }

    /// The member that an unmatched filter and the value together describe.
    fn described(&self, selection: &Selection, value: &Value) -> Result<Option<MemberClaim>> {
        let members = selection.attribute;
        let equalities = equalities(&selection.filter, members, self.profile);
        let mut parts: Map<String, Value> =
            equalities.parts.into_iter().map(|(part, value)| (part.name.clone(), value)).collect();
        let given = match selection.part {
            Some(part) => vec![(part, accept::value(members.with_sub_attribute(part), value, self.profile)?)],
            None => accept::parts(members, value, self.profile)?.unwrap_or_default(),
        };
        parts.extend(given.into_iter().filter_map(|(part, value)| Some((part.name.clone(), value?))));
        if !equalities.complete || !parts.contains_key("value") {
            return Ok(None);
        }
        accept::claims(&[Value::Object(parts)], self.profile).map(|claims| claims.into_iter().next())
    }

    /// An object in the place of members that are there must name the same ones. A `type` that it gives goes on as a
    /// claim, for whoever knows the members to check (GRP-03).
    fn confirm(&mut self, members: Resolved, selected: &[String], value: &Value) -> Result<()> {
        let Some(parts) = accept::parts(members, value, self.profile)? else {
            return Err(invalid("A selected member takes an object with its value.".to_owned()));
        };
        let text = |name: &str| {
            let part = parts.iter().find(|(part, _)| part.name == name);
            part.and_then(|(_, value)| value.as_ref()).and_then(Value::as_str)
        };
        let claimed_type = text("type").map(str::to_owned);
        for id in selected {
            if let Some((part, _)) = parts.iter().find(|(part, _)| part.name == "value")
                && text("value") != Some(id)
            {
                return Err(fixed(members.with_sub_attribute(part)));
            }
            if claimed_type.is_some() {
                let claim = MemberClaim::new(id, claimed_type.clone())?;
                self.changes.insert(claim.value, (claim.claimed_type, Presence::Present));
            }
        }
        Ok(())
    }

    /// A part of members that are there: the same value is no change, any other is refused (GRP-04).
    fn change_part(
        &mut self,
        members: Resolved,
        part: &'static Attribute,
        selected: &[String],
        change: Change<'_>,
    ) -> Result<()> {
        let path = members.with_sub_attribute(part);
        let value = match (change, selected.is_empty()) {
            (Change::Remove(_), true) => return Ok(()),
            (_, true) => return Err(no_target(format!("There is no member whose {} could be set.", part.name))),
            (Change::Remove(_), false) => return Err(fixed(path)),
            (Change::Add(value) | Change::Replace(value), false) => value,
        };
        let value = accept::value(path, value, self.profile)?;
        for id in selected {
            let current = match part.name.as_str() {
                "value" => Some(Value::String(id.clone())),
                name => self.element(id)?.get(name).cloned(),
            };
            let is_same = match (&value, &current) {
                (Some(value), Some(current)) => accept::same(part, value, current),
                (value, current) => value.is_none() && current.is_none(),
            };
            if !is_same {
                return Err(fixed(path));
            }
        }
        Ok(())
    }

    /// The ids of the members that are there now and that the filter selects.
    fn selected(&mut self, selection: &Selection, budget: &mut Budget) -> Result<Vec<String>> {
        let Some(values) = self.values_of(&selection.filter) else {
            return self.matching(&selection.condition, selection.terms(), budget);
        };
        budget.look_up(values.len())?;
        let mut selected = Vec::new();
        for value in values {
            if !selected.contains(&value) && self.contains(&value)? {
                selected.push(value);
            }
        }
        Ok(selected)
    }

    /// The ids that the filter names, if it does nothing but that: `value eq "a" or value eq "b"`.
    fn values_of(&self, filter: &Filter) -> Option<Vec<String>> {
        match filter {
            Filter::Or(filters) => {
                let values = filters.iter().map(|filter| self.values_of(filter)).collect::<Option<Vec<_>>>();
                values.map(|values| values.concat())
            }
            Filter::Compare(name, Operator::Eq, literal) if name.text.eq_ignore_ascii_case("value") => match literal {
                Value::String(value) => Some(vec![value.clone()]),
                Value::Number(number) if self.profile == Profile::Compat => Some(vec![number.to_string()]),
                _ => None,
            },
            _ => None,
        }
    }

    fn contains(&mut self, value: &str) -> Result<bool> {
        match (self.changes.get(value), &self.before) {
            (Some((_, presence)), _) => Ok(*presence == Presence::Present),
            (None, _) if self.cleared => Ok(false),
            (None, Some(before)) => Ok(before.contains_key(value)),
            (None, None) => self.source.contains(value),
        }
    }

    fn matching(&mut self, condition: &Condition, terms: usize, budget: &mut Budget) -> Result<Vec<String>> {
        self.load()?;
        self.look_at_added(budget)?;
        let known = looks(self.before.iter().flatten().map(|(_, element)| element)) + self.changes.len();
        budget.spend(known, terms)?;
        let before = self.before.iter().flatten().filter(|_| !self.cleared);
        let kept = before
            .filter(|(value, element)| !self.changes.contains_key(*value) && matches_element(condition, element))
            .map(|(value, _)| value);
        let changed = self.changes.iter().filter(|(value, (_, presence))| {
            *presence == Presence::Present && matches_element(condition, &self.as_seen(value))
        });
        Ok(kept.chain(changed.map(|(value, _)| value)).cloned().collect())
    }

    fn element(&mut self, value: &str) -> Result<Value> {
        self.load()?;
        Ok(self.as_seen(value))
    }

    /// Learns what those are like that earlier operations have added: each operation meets the result of the one before
    /// (PATCH-06).
    fn look_at_added(&mut self, budget: &mut Budget) -> Result<()> {
        let unknown: Vec<&str> = self
            .changes
            .iter()
            .filter(|(value, (_, presence))| *presence == Presence::Present && self.known(value).is_none())
            .map(|(value, _)| value.as_str())
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        budget.look_up(unknown.len())?;
        for element in self.source.candidates(&unknown)? {
            if let Some(value) = element.get("value").and_then(Value::as_str) {
                self.added.insert(value.to_owned(), element);
            }
        }
        Ok(())
    }

    fn known(&self, value: &str) -> Option<&Value> {
        let before = self.before.as_ref().filter(|_| !self.cleared).and_then(|before| before.get(value));
        before.or_else(|| self.added.get(value))
    }

    /// A member as far as it is known here: of one that no resource has, only what the request claims.
    fn as_seen(&self, value: &str) -> Value {
        let claimed = || {
            let claimed_type = self.changes.get(value).and_then(|(claimed_type, _)| claimed_type.clone());
            let claimed_type = claimed_type.map(|name| ("type".to_owned(), Value::String(name)));
            let parts = std::iter::once(("value".to_owned(), Value::String(value.to_owned()))).chain(claimed_type);
            Value::Object(parts.collect())
        };
        self.known(value).cloned().unwrap_or_else(claimed)
    }

    fn load(&mut self) -> Result<()> {
        if self.before.is_none() && !self.cleared {
            let elements = self.source.all()?.into_iter().filter_map(|element| {
                let value = element.get("value")?.as_str()?.to_owned();
                Some((value, element))
            });
            self.before = Some(elements.collect());
        }
        Ok(())
    }
}

fn fixed(path: Resolved) -> Error {
    let detail = format!("{path} can't be changed in place; remove the member and add another.");
    Error::new(ErrorKind::Mutability, detail)
}
