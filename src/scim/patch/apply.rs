//! Operation × document → document: which rule applies, and the rules for what has one value (tables A, P and R of
//! RFC 7644 §3.5.2.1 to §3.5.2.3).

use serde_json::{Map, Value};

use super::budget::{Budget, looks};
use super::change::{Change, invalid, no_target};
use super::listed;
use super::members::{MemberSource, Membership};
use super::target::{self, Target};
use super::{Op, Operation, PatchRequest, Patched};
use crate::scim::accept::{self, Parts};
use crate::scim::filter::matches_element;
use crate::scim::json::check_keys;
use crate::scim::password::PasswordChange;
use crate::scim::path;
use crate::scim::resource::{Document, is_unassigned};
use crate::scim::schema::{Attribute, Mutability, Resolved, ResourceType, Role, Schema};
use crate::scim::{Error, ErrorKind, Profile, Result, tolerance};

/// Applies the operations in order, each to the result of the one before (PATCH-06), and checks what is required at the
/// end (PATCH-08).
///
/// `identity` holds what the server adds and the client sees, as far as it is at hand (`id`, `schemas`, most of `meta`):
/// writing an equal value back is no change (PATCH-11). `members` is asked only when an operation cannot be decided
/// without it. What the operations look at is taken off the `budget`.
///
/// # Errors
/// The kinds of RFC 7644 §3.12 for PATCH; [`ErrorKind::TooLarge`] if the operations cost more than the budget has left;
/// whatever `members` fails with.
pub fn apply(
    request: &PatchRequest,
    resource_type: &'static ResourceType,
    current: &Document,
    identity: &Map<String, Value>,
    members: &mut dyn MemberSource,
    profile: Profile,
    budget: &mut Budget,
) -> Result<Patched> {
    budget.check()?;
    let mut engine = Engine {
        resource_type,
        profile,
        identity,
        document: current.clone(),
        members: Membership::new(members, profile),
        password: PasswordChange::Unmentioned,
        reach: Reach::Everything,
        budget,
        ignored: Vec::new(),
    };
    for (index, operation) in request.operations.iter().enumerate() {
        engine.operation(operation).map_err(|error| locate(index, error))?;
    }
    let Engine { document, members, password, ignored, .. } = engine;
    accept::check_still_required(resource_type, current, &document)?;
    Ok(Patched { document, members: members.into_changes(), password, ignored })
}

/// What the operations say of the password in the end, whatever the resource is like: a password is hashed before the
/// database is asked. Of a message that is going to be refused, nothing.
pub fn password_of(request: &PatchRequest, resource_type: &'static ResourceType, profile: Profile) -> PasswordChange {
    if resource_type.attribute_in_role(Role::Password).is_none() {
        return PasswordChange::Unmentioned;
    }
    let (identity, mut nobody, mut budget) = (Map::new(), Nobody, Budget::full());
    let mut engine = Engine {
        resource_type,
        profile,
        identity: &identity,
        document: Document::default(),
        members: Membership::new(&mut nobody, profile),
        password: PasswordChange::Unmentioned,
        reach: Reach::PasswordAlone,
        budget: &mut budget,
        ignored: Vec::new(),
    };
    match request.operations.iter().try_for_each(|operation| engine.operation(operation)) {
        Ok(()) => engine.password,
        Err(_) => PasswordChange::Unmentioned,
    }
}

/// The members of a resource that is not looked at.
struct Nobody;

impl MemberSource for Nobody {
    fn contains(&mut self, _: &str) -> Result<bool> {
        Ok(false)
    }

    fn all(&mut self) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }

    fn candidates(&mut self, _: &[&str]) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }
}

/// What operations are applied to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Everything,
    PasswordAlone,
}

fn is_password(target: &Target) -> bool {
    matches!(target, Target::Attribute(attribute) if attribute.attribute.role == Role::Password)
}

/// Says which operation failed, unless the failure is not the client's.
fn locate(index: usize, error: Error) -> Error {
    let kind = error.kind();
    if kind.is_the_callers() { Error::new(kind, format!("Operations[{index}]: {}", error.detail())) } else { error }
}

/// What an add or replace comes down to.
pub(super) enum Effect<T> {
    Set(T),
    Unassign,
    Nothing,
}

pub(super) struct Engine<'a> {
    pub(super) resource_type: &'static ResourceType,
    pub(super) profile: Profile,
    identity: &'a Map<String, Value>,
    pub(super) document: Document,
    members: Membership<'a>,
    password: PasswordChange,
    reach: Reach,
    pub(super) budget: &'a mut Budget,
    ignored: Vec<String>,
}

impl Engine<'_> {
    fn operation(&mut self, operation: &Operation) -> Result<()> {
        let change = Change::of(operation.op, operation.value.as_ref())?;
        if let (Change::Remove(Some(_)), Profile::Strict) = (change, self.profile) {
            return Err(invalid("remove takes no value; select with a filter in the path.".to_owned()));
        }
        match (&operation.path, change) {
            (Some(path), change) => match target::resolve(self.resource_type, path, self.profile)? {
                Some(target) => self.at(target, change),
                None => self.unknown(path),
            },
            (None, Change::Remove(_)) => Err(no_target("remove needs a path.".to_owned())),
            (None, Change::Add(Value::Object(members)) | Change::Replace(Value::Object(members))) => {
                self.each(None, operation.op, members)
            }
            (None, _) => Err(invalid("Without a path, value must be an object of attributes.".to_owned())),
        }
    }

    /// Every key is a path of its own (PATCH-18), in a schema if the object stood under its URN.
    fn each(&mut self, schema: Option<&'static Schema>, op: Op, members: &Map<String, Value>) -> Result<()> {
        check_keys(members)?;
        for (key, value) in members {
            let path = schema.map_or_else(|| key.clone(), |schema| format!("{}:{key}", schema.id));
            let Some(target) = self.target_of_key(&path)? else {
                self.unknown(&path)?;
                continue;
            };
            if schema.is_none() && self.profile == Profile::Compat && is_echo(&target) {
                continue;
            }
            self.at(target, Change::of(op, Some(value))?)?;
        }
        Ok(())
    }

    /// A key without a filter need not be a well-formed path: a stranger's key is unknown, not malformed.
    fn target_of_key(&self, key: &str) -> Result<Option<Target>> {
        if key.contains('[') {
            return target::resolve(self.resource_type, key, self.profile);
        }
        Ok(path::resolve(self.resource_type, key).map(|target| match target {
            path::Target::Attribute(attribute) => Target::Attribute(attribute),
            path::Target::Schema(schema) => Target::Schema(schema),
        }))
    }

    fn unknown(&mut self, name: &str) -> Result<()> {
        if self.profile == Profile::Strict {
            let detail = format!("'{name}' is not an attribute of {}.", self.resource_type.name);
            return Err(Error::new(ErrorKind::InvalidPath, detail));
        }
        self.ignored.push(name.to_owned());
        Ok(())
    }

    fn at(&mut self, target: Target, change: Change<'_>) -> Result<()> {
        match target {
            Target::Schema(schema) => self.schema(schema, change),
            _ if self.reach == Reach::PasswordAlone && !is_password(&target) => Ok(()),
            Target::Attribute(attribute) => match attribute.attribute.role {
                Role::Password => self.password(attribute, change),
                Role::Members => self.members.change(attribute, change, self.budget),
                Role::Schemas => self.schemas(change),
                Role::Stored => self.stored(attribute, change),
                _ => self.read_only(attribute, change),
            },
            Target::Elements(selection) => match selection.attribute.attribute.role {
                Role::Members => self.members.change_selected(&selection, change, self.budget),
                Role::Schemas => self.selected_schemas(&selection, change),
                Role::Stored if !is_read_only(selection.attribute) => {
                    self.unless_immutable(selection.attribute, |engine| engine.selected(&selection, change))
                }
                _ => Err(read_only(selection.attribute)),
            },
        }
    }

    fn schema(&mut self, schema: &'static Schema, change: Change<'_>) -> Result<()> {
        match change {
            Change::Add(Value::Object(members)) => self.each(Some(schema), Op::Add, members),
            Change::Replace(Value::Object(members)) => self.each(Some(schema), Op::Replace, members),
            Change::Remove(Some(Value::Object(members))) => self.each(Some(schema), Op::Remove, members),
            Change::Remove(None) => self.drop_schema(schema),
            Change::Replace(value) if is_unassigned(value) || self.is_empty_text(value) => self.drop_schema(schema),
            Change::Add(value) if is_unassigned(value) && !self.is_strict_null(value) => Ok(()),
            _ => Err(invalid(format!("{} takes an object of its attributes.", schema.id))),
        }
    }

    fn stored(&mut self, attribute: Resolved, change: Change<'_>) -> Result<()> {
        if attribute.leaf().role == Role::Referenced || is_read_only(attribute) {
            return self.read_only(attribute, change);
        }
        self.unless_immutable(attribute, |engine| match (attribute.attribute.multi_valued, attribute.sub_attribute) {
            (true, None) => engine.values(attribute, change),
            (true, Some(part)) => engine.part_of_each(attribute.without_sub_attribute(), part, change),
            (false, Some(part)) => engine.part(attribute, part, change),
            (false, None) if attribute.attribute.is_complex() => engine.complex(attribute, change),
            (false, None) => engine.simple(attribute, change),
        })
    }

    /// Makes a change to an attribute, and refuses what it did to one that is immutable as a whole (PATCH-12).
    pub(super) fn unless_immutable(
        &mut self,
        attribute: Resolved,
        change: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let is_immutable = attribute.attribute.mutability == Mutability::Immutable;
        let before = is_immutable.then(|| self.document.get(attribute).cloned()).flatten();
        change(self)?;
        if is_immutable {
            accept::check_immutable(attribute.without_sub_attribute(), before.as_ref(), self.document.get(attribute))?;
        }
        Ok(())
    }

    /// Rows A2, P2, R2, for what is no part of the document.
    fn password(&mut self, attribute: Resolved, change: Change<'_>) -> Result<()> {
        let (Change::Add(value) | Change::Replace(value)) = change else {
            self.password = PasswordChange::Cleared;
            return Ok(());
        };
        let accepted = accept::password(attribute, value, self.profile)?;
        match self.effect(attribute, change, accepted)? {
            Effect::Set(password) => self.password = PasswordChange::Set(password),
            Effect::Unassign => self.password = PasswordChange::Cleared,
            Effect::Nothing => {}
        }
        Ok(())
    }

    /// Rows A2, P2, R2.
    fn simple(&mut self, attribute: Resolved, change: Change<'_>) -> Result<()> {
        let (Change::Add(value) | Change::Replace(value)) = change else {
            return self.remove(attribute);
        };
        let accepted = accept::value(attribute, value, self.profile)?;
        match self.effect(attribute, change, accepted)? {
            Effect::Set(value) => self.put(attribute, Some(value)),
            Effect::Unassign => self.put(attribute, None),
            Effect::Nothing => Ok(()),
        }
    }

    /// Rows A3, P3, R2: parts that are not mentioned stay.
    fn complex(&mut self, attribute: Resolved, change: Change<'_>) -> Result<()> {
        let value = match change {
            Change::Add(value) | Change::Replace(value) => value,
            Change::Remove(None) => return self.remove(attribute),
            Change::Remove(Some(value)) => {
                let condition = listed::selection(attribute, value)?;
                self.budget.spend(looks(self.document.get(attribute)), tolerance::list(value).len())?;
                let is_meant = self.document.get(attribute).is_some_and(|value| matches_element(&condition, value));
                return if is_meant { self.remove(attribute) } else { Ok(()) };
            }
        };
        let parts = accept::parts(attribute, value, self.profile)?;
        match self.effect(attribute, change, parts)? {
            Effect::Set(parts) => self.merge(attribute, change, parts),
            Effect::Unassign => self.put(attribute, None),
            Effect::Nothing => Ok(()),
        }
    }

    /// Rows A6, P5, R4: a part of a singular complex attribute.
    fn part(&mut self, attribute: Resolved, part: &'static Attribute, change: Change<'_>) -> Result<()> {
        let (Change::Add(value) | Change::Replace(value)) = change else {
            check_removable(attribute)?;
            return self.merge(attribute, change, vec![(part, None)]);
        };
        let accepted = accept::value(attribute, value, self.profile)?;
        match self.effect(attribute, change, accepted)? {
            Effect::Set(value) => self.merge(attribute, change, vec![(part, Some(value))]),
            Effect::Unassign => self.merge(attribute, change, vec![(part, None)]),
            Effect::Nothing => Ok(()),
        }
    }

    fn merge(&mut self, attribute: Resolved, change: Change<'_>, parts: Parts) -> Result<()> {
        let attribute = attribute.without_sub_attribute();
        self.budget.spend(looks(self.document.get(attribute)), 1)?;
        let mut merged = self.document.get(attribute).cloned().unwrap_or_else(|| Value::Object(Map::new()));
        merge_parts(&mut merged, change, parts);
        self.put(attribute, (!is_unassigned(&merged)).then_some(merged))
    }

    /// Stores the new value of a singular attribute.
    fn put(&mut self, attribute: Resolved, value: Option<Value>) -> Result<()> {
        self.budget.spend(looks(self.document.get(attribute)), 1)?;
        accept::check_immutable(attribute, self.document.get(attribute), value.as_ref())?;
        match value {
            Some(value) => self.document.set(attribute, value),
            None => drop(self.document.remove(attribute)),
        }
        Ok(())
    }

    /// Rows R2, R3, R9.
    pub(super) fn remove(&mut self, attribute: Resolved) -> Result<()> {
        check_removable(attribute)?;
        self.put(attribute, None)
    }

    /// What an accepted value amounts to. Unassigned values unassign in a replace; in an add they say nothing, except
    /// that identity providers say `add` for "set" (row A14).
    pub(super) fn effect<T>(&self, attribute: Resolved, change: Change<'_>, accepted: Option<T>) -> Result<Effect<T>> {
        let Change::Add(value) = change else {
            return Ok(accepted.map_or(Effect::Unassign, Effect::Set));
        };
        match accepted {
            Some(accepted) => Ok(Effect::Set(accepted)),
            None if self.is_strict_null(value) => Err(invalid(format!("{attribute} can't be added as null."))),
            None if value.is_array() || value.is_object() || attribute.leaf().multi_valued => Ok(Effect::Nothing),
            None => Ok(Effect::Unassign),
        }
    }

    fn is_strict_null(&self, value: &Value) -> bool {
        value.is_null() && self.profile == Profile::Strict
    }

    fn is_empty_text(&self, value: &Value) -> bool {
        self.profile == Profile::Compat && value.as_str() == Some("")
    }

    /// Writing back what is there already is no change (PATCH-11).
    fn read_only(&mut self, attribute: Resolved, change: Change<'_>) -> Result<()> {
        let (Change::Add(value) | Change::Replace(value)) = change else {
            return Err(read_only(attribute));
        };
        let is_kept_here = attribute.attribute.role == Role::Stored && attribute.leaf().role != Role::Referenced;
        let is_echo = if is_kept_here {
            echoes(value, part_of(attribute, self.document.get(attribute)))
        } else {
            told(attribute, self.identity).is_some_and(|known| echoes(value, Some(known)))
                || echoes(value, told(attribute, self.members.shown()?))
        };
        if is_echo { Ok(()) } else { Err(read_only(attribute)) }
    }
}

/// What a representation says of an attribute, or of a part of it.
fn told(attribute: Resolved, representation: &Map<String, Value>) -> Option<&Value> {
    let container = match attribute.container() {
        Some(urn) => representation.get(urn)?.as_object()?,
        None => representation,
    };
    part_of(attribute, container.get(&attribute.attribute.name))
}

fn part_of(attribute: Resolved, value: Option<&Value>) -> Option<&Value> {
    match attribute.sub_attribute {
        Some(part) => value?.get(&part.name),
        None => value,
    }
}

/// Identity providers send back what they read of these along with what they change; it is not meant as a change, not
/// even where it differs (T-13).
fn is_echo(target: &Target) -> bool {
    let Target::Attribute(attribute) = target else {
        return false;
    };
    matches!(attribute.attribute.role, Role::Id | Role::Schemas | Role::Meta)
}

/// Whether the sent value says nothing but what is there: an object may say less than all.
fn echoes(sent: &Value, current: Option<&Value>) -> bool {
    match (sent, current) {
        (sent, None) => is_unassigned(sent),
        (Value::Object(sent), Some(Value::Object(current))) => sent.iter().all(|(key, sent)| {
            let current = current.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
            echoes(sent, current.map(|(_, value)| value))
        }),
        (Value::Array(sent), Some(Value::Array(current))) => {
            sent.len() == current.len() && sent.iter().zip(current).all(|(sent, current)| echoes(sent, Some(current)))
        }
        (sent, Some(current)) => sent == current,
    }
}

/// Sets and unassigns parts of a complex value; an add to a part with many values adds what is not there yet (row A4).
pub(super) fn merge_parts(value: &mut Value, change: Change<'_>, mut parts: Parts) {
    for (part, new) in &mut parts {
        if let (Some(Value::Array(new)), Some(Value::Array(known)), Change::Add(_)) =
            (new, value.get(&part.name), change)
        {
            *new = accept::united(part, known, std::mem::take(new));
        }
    }
    set_parts(value, parts);
}

/// Sets and unassigns parts of a complex value.
pub(super) fn set_parts(value: &mut Value, parts: Parts) {
    let Value::Object(object) = value else {
        return;
    };
    for (part, new) in parts {
        match new {
            Some(new) => drop(object.insert(part.name.clone(), new)),
            None => drop(object.shift_remove(&part.name)),
        }
    }
}

pub(super) fn is_read_only(attribute: Resolved) -> bool {
    [attribute.attribute, attribute.leaf()].iter().any(|definition| definition.mutability == Mutability::ReadOnly)
}

/// Refuses the removal of what must be there (row R9).
pub(super) fn check_removable(attribute: Resolved) -> Result<()> {
    if attribute.leaf().required {
        return Err(Error::new(ErrorKind::Mutability, format!("{attribute} is required and can't be removed.")));
    }
    Ok(())
}

pub(super) fn read_only(attribute: Resolved) -> Error {
    Error::new(ErrorKind::Mutability, format!("{attribute} is readOnly; the server sets it."))
}
