//! The rules for multi-valued attributes and for the elements that a filter selects (rows A4, A5, A7 to A11, P4, P6 to
//! P10, R3 to R7). A filter on a singular complex attribute takes its value for the only element.

use serde_json::{Map, Value};

use super::apply::{Effect, Engine, check_removable, is_read_only, merge_parts, read_only, set_parts};
use super::budget::looks;
use super::change::{Change, no_target};
use super::described::{Equalities, equalities};
use super::listed;
use super::target::Selection;
use crate::scim::accept::{self, Element, Parts};
use crate::scim::filter::{Condition, matches_element};
use crate::scim::schema::{Attribute, Mutability, Resolved, Role};
use crate::scim::tolerance;
use crate::scim::{Error, Profile, Result};

impl Engine<'_> {
    /// Rows A4, A5, P4, R3: the attribute as a whole.
    pub(super) fn values(&mut self, attribute: Resolved, change: Change<'_>) -> Result<()> {
        let value = match change {
            Change::Add(value) | Change::Replace(value) => value,
            Change::Remove(None) => return self.remove(attribute),
            Change::Remove(Some(value)) => return self.remove_listed(attribute, value),
        };
        // One element stands for a list of one in both profiles (rows A5, P4).
        let wrapped = match value {
            Value::Array(_) | Value::Null => None,
            Value::String(text) if text.is_empty() && self.profile == Profile::Compat => Some(Value::Null),
            element => Some(Value::Array(vec![element.clone()])),
        };
        let accepted = accept::value(attribute, wrapped.as_ref().unwrap_or(value), self.profile)?;
        match (self.effect(attribute, change, accepted)?, change) {
            (Effect::Set(Value::Array(added)), Change::Add(_)) => {
                let mut elements = self.take(attribute)?;
                elements.extend(added.into_iter().map(Element::touched));
                self.give_back(attribute, elements)
            }
            (Effect::Set(value), _) => self.put_values(attribute, Some(value)),
            (Effect::Unassign, _) => self.put_values(attribute, None),
            (Effect::Nothing, _) => Ok(()),
        }
    }

    fn put_values(&mut self, attribute: Resolved, value: Option<Value>) -> Result<()> {
        accept::check_immutable(attribute, self.document.get(attribute), value.as_ref())?;
        match value {
            Some(value) => self.document.set(attribute, value),
            None => drop(self.document.remove(attribute)),
        }
        Ok(())
    }

    /// T-06: what the value of a remove lists.
    fn remove_listed(&mut self, attribute: Resolved, value: &Value) -> Result<()> {
        let condition = listed::selection(attribute, value)?;
        let mut elements = self.take(attribute)?;
        self.budget.spend(looks_at(&elements), tolerance::list(value).len())?;
        let before = elements.len();
        elements.retain(|element| !matches_element(&condition, &element.value));
        check_removal(attribute, before, elements.len())?;
        self.give_back(attribute, elements)
    }

    /// Rows A7, P6, R4: a part of every element.
    pub(super) fn part_of_each(
        &mut self,
        attribute: Resolved,
        part: &'static Attribute,
        change: Change<'_>,
    ) -> Result<()> {
        let (condition, terms) = match change {
            Change::Remove(Some(value)) => {
                (listed::selection(attribute.with_sub_attribute(part), value)?, tolerance::list(value).len())
            }
            _ => (Condition::Constant(true), 1),
        };
        let elements = self.take(attribute)?;
        self.budget.spend(looks_at(&elements), terms)?;
        let hits = hits(&elements, &condition);
        self.set_part(attribute, part, change, elements, &hits, |_| {
            Err(no_target(format!("{attribute} has no value whose {} could be set.", part.name)))
        })
    }

    /// `attribute[filter]` and `attribute[filter].part`.
    pub(super) fn selected(&mut self, selection: &Selection, change: Change<'_>) -> Result<()> {
        let attribute = selection.attribute;
        let elements = self.take(attribute)?;
        self.budget.spend(looks_at(&elements), selection.terms())?;
        let hits = hits(&elements, &selection.condition);
        let equalities = equalities(&selection.filter, attribute, self.profile);
        let profile = self.profile;
        if let Some(part) = selection.part {
            let is_free = attribute.attribute.multi_valued || elements.is_empty();
            return self.set_part(attribute, part, change, elements, &hits, |value| {
                let template = template(selection, equalities, is_free, profile)?;
                Ok(with_parts(template, vec![(part, Some(value))]))
            });
        }
        match change {
            Change::Remove(listed) => self.remove_selected(attribute, elements, &hits, listed),
            Change::Add(value) | Change::Replace(value) if attribute.attribute.is_complex() => {
                let parts = accept::parts(attribute, value, profile)?;
                match self.effect(attribute, change, parts)? {
                    Effect::Set(parts) if hits.is_empty() => {
                        let is_free = attribute.attribute.multi_valued || elements.is_empty();
                        let created = with_parts(template(selection, equalities, is_free, profile)?, parts);
                        self.create(attribute, elements, created)
                    }
                    Effect::Set(parts) => self.write_selected(attribute, change, elements, &hits, parts, equalities),
                    Effect::Unassign | Effect::Nothing if hits.is_empty() && profile == Profile::Strict => {
                        Err(nothing_selected(attribute))
                    }
                    Effect::Unassign => self.remove_selected(attribute, elements, &hits, None),
                    Effect::Nothing => self.give_back(attribute, elements),
                }
            }
            Change::Add(value) | Change::Replace(value) => self.set_simple(selection, change, elements, &hits, value),
        }
    }

    fn remove_selected(
        &mut self,
        attribute: Resolved,
        mut elements: Vec<Element>,
        hits: &[usize],
        listed: Option<&Value>,
    ) -> Result<()> {
        let condition = listed.map(|listed| listed::selection(attribute, listed)).transpose()?;
        self.budget.spend(looks_at(&elements), listed.map_or(0, |listed| tolerance::list(listed).len()))?;
        let is_listed =
            |element: &Element| condition.as_ref().is_none_or(|condition| matches_element(condition, &element.value));
        let before = elements.len();
        let mut position = 0;
        let mut hits = hits.iter().copied().peekable();
        elements.retain(|element| {
            let is_hit = hits.next_if_eq(&position).is_some();
            position += 1;
            !(is_hit && is_listed(element))
        });
        check_removal(attribute, before, elements.len())?;
        self.give_back(attribute, elements)
    }

    /// Rows A8, P7.
    fn write_selected(
        &mut self,
        attribute: Resolved,
        change: Change<'_>,
        mut elements: Vec<Element>,
        hits: &[usize],
        parts: Parts,
        equalities: Equalities,
    ) -> Result<()> {
        let replaced = with_parts(object(equalities), parts.clone());
        self.budget.copy(&replaced, hits.len())?;
        for hit in hits {
            let mut value = elements[*hit].value.clone();
            match change {
                Change::Replace(_) => value = replaced.clone(),
                _ => merge_parts(&mut value, change, parts.clone()),
            }
            rewrite(attribute, &mut elements[*hit], value)?;
        }
        self.give_back(attribute, elements)
    }

    /// Elements of an attribute of simple values: a selected one becomes the new value.
    fn set_simple(
        &mut self,
        selection: &Selection,
        change: Change<'_>,
        mut elements: Vec<Element>,
        hits: &[usize],
        value: &Value,
    ) -> Result<()> {
        let attribute = selection.attribute;
        let accepted = accept::element(attribute, value, self.profile)?;
        match self.effect(attribute, change, accepted)? {
            Effect::Set(_) | Effect::Unassign if hits.is_empty() => Err(nothing_selected(attribute)),
            Effect::Set(value) => {
                self.budget.copy(&value, hits.len())?;
                for hit in hits {
                    rewrite(attribute, &mut elements[*hit], value.clone())?;
                }
                self.give_back(attribute, elements)
            }
            Effect::Unassign => self.remove_selected(attribute, elements, hits, None),
            Effect::Nothing => self.give_back(attribute, elements),
        }
    }

    /// Rows A7, A10, A11, P6, P9, P10, R4, R7: one part of the elements at `hits`; `create` makes an element when there
    /// is none.
    fn set_part(
        &mut self,
        attribute: Resolved,
        part: &'static Attribute,
        change: Change<'_>,
        mut elements: Vec<Element>,
        hits: &[usize],
        create: impl FnOnce(Value) -> Result<Value>,
    ) -> Result<()> {
        let path = attribute.with_sub_attribute(part);
        if part.role == Role::Referenced || is_read_only(path) {
            return Err(read_only(path));
        }
        let new = match change {
            Change::Add(value) | Change::Replace(value) => {
                let accepted = accept::value(path, value, self.profile)?;
                match self.effect(path, change, accepted)? {
                    Effect::Set(value) if hits.is_empty() => {
                        let created = create(value)?;
                        return self.create(attribute, elements, created);
                    }
                    Effect::Set(value) => Some(value),
                    Effect::Unassign if hits.is_empty() && self.profile == Profile::Strict => {
                        return Err(nothing_selected(attribute));
                    }
                    Effect::Unassign => None,
                    Effect::Nothing => return self.give_back(attribute, elements),
                }
            }
            Change::Remove(_) if hits.is_empty() => None,
            Change::Remove(_) => {
                check_removable(path)?;
                None
            }
        };
        if let Some(new) = &new {
            self.budget.copy(new, hits.len())?;
        }
        for hit in hits {
            let mut value = elements[*hit].value.clone();
            merge_parts(&mut value, change, vec![(part, new.clone())]);
            rewrite(attribute, &mut elements[*hit], value)?;
        }
        self.give_back(attribute, elements)
    }

    fn create(&mut self, attribute: Resolved, mut elements: Vec<Element>, created: Value) -> Result<()> {
        elements.push(Element::touched(created));
        self.give_back(attribute, elements)
    }

    /// Takes the elements out of the document; [`Self::give_back`] puts them in again. In between only an error may
    /// happen, and that ends the request.
    fn take(&mut self, attribute: Resolved) -> Result<Vec<Element>> {
        let elements = match self.document.get_mut(attribute).map(Value::take) {
            None => Vec::new(),
            Some(Value::Array(elements)) => elements,
            Some(element) => vec![element],
        };
        self.budget.spend(looks(&elements), 1)?;
        Ok(elements.into_iter().map(Element::kept).collect())
    }

    fn give_back(&mut self, attribute: Resolved, elements: Vec<Element>) -> Result<()> {
        let mut elements = accept::settle(attribute, elements, self.profile)?;
        let value = match attribute.attribute.multi_valued {
            true => (!elements.is_empty()).then_some(Value::Array(elements)),
            false => elements.pop(),
        };
        match value {
            Some(value) => self.document.set(attribute, value),
            None => drop(self.document.remove(attribute)),
        }
        Ok(())
    }
}

fn looks_at(elements: &[Element]) -> usize {
    looks(elements.iter().map(|element| &element.value))
}

fn hits(elements: &[Element], condition: &Condition) -> Vec<usize> {
    let matching = elements.iter().enumerate().filter(|(_, element)| matches_element(condition, &element.value));
    matching.map(|(position, _)| position).collect()
}

/// Changes an element in place, except where one of its parts is immutable (PATCH-12).
fn rewrite(attribute: Resolved, element: &mut Element, value: Value) -> Result<()> {
    for part in attribute.attribute.sub_attributes.iter().filter(|part| part.mutability == Mutability::Immutable) {
        let keeps = match (element.value.get(&part.name), value.get(&part.name)) {
            (None, _) => true,
            (Some(before), Some(after)) => accept::same(part, before, after),
            (Some(_), None) => false,
        };
        if !keeps {
            return Err(accept::immutable(attribute.with_sub_attribute(part)));
        }
    }
    if attribute.attribute.mutability == Mutability::Immutable && element.value != value {
        return Err(accept::immutable(attribute));
    }
    *element = Element::touched(value);
    Ok(())
}

/// Rows R5, R9: elements of an immutable attribute stay, and a required one keeps at least one.
fn check_removal(attribute: Resolved, before: usize, after: usize) -> Result<()> {
    if before == after {
        return Ok(());
    }
    if attribute.attribute.mutability == Mutability::Immutable {
        return Err(accept::immutable(attribute));
    }
    if after == 0 { check_removable(attribute) } else { Ok(()) }
}

/// The element that an unmatched filter describes (T-07, rows A9, A11, P8, P10), if it may be created.
fn template(selection: &Selection, equalities: Equalities, is_free: bool, profile: Profile) -> Result<Value> {
    let may_create = profile == Profile::Compat && equalities.complete && is_free;
    let described = object(equalities);
    // A filter that contradicts itself describes nothing.
    if may_create && matches_element(&selection.condition, &described) {
        return Ok(described);
    }
    Err(nothing_selected(selection.attribute))
}

fn object(equalities: Equalities) -> Value {
    let parts = equalities.parts.into_iter().map(|(part, value)| (part.name.clone(), value));
    Value::Object(parts.collect::<Map<_, _>>())
}

fn with_parts(mut value: Value, parts: Parts) -> Value {
    set_parts(&mut value, parts);
    value
}

fn nothing_selected(attribute: Resolved) -> Error {
    no_target(format!("The filter selects no value of {attribute}."))
}
