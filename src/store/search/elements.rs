//! Value paths, `emails[type eq "work" and value co "x"]`: one element must satisfy the whole condition.
//!
//! A condition becomes a set of (`row_id`, `element`): `or` unites, `and` intersects, `not` subtracts from all elements
//! of the attribute. Equalities are exact addresses in the index, so within an `and` they are looked up for each
//! element that the rest selects instead of being read as sets of their own: `emails[type eq "work" and value eq "x"]`
//! reads the one element with that value and never the hundred thousand of that type.

use super::check;
use super::predicate::Writer;
use crate::scim::filter::{Check, Condition, Relation, Test};
use crate::scim::schema::{Resolved, Role};
use crate::store::sql::Sql;
use crate::store::values::{split, tenant_path};

impl Writer<'_> {
    /// `SELECT row_id, element …` of the elements of `attribute` that satisfy the condition.
    pub(super) fn elements(&self, attribute: Resolved, condition: &Condition) -> Sql {
        match condition {
            Condition::Constant(true) => self.all_elements(attribute),
            Condition::Constant(false) | Condition::Element(..) => self.all_elements(attribute).push(" AND FALSE"),
            Condition::Test(test) => self.elements_that_pass(test),
            Condition::And(conditions) => self.elements_with_all(attribute, conditions),
            Condition::Or(conditions) => self.combined(attribute, conditions, " UNION "),
            Condition::Not(inner) => {
                let all = self.all_elements(attribute);
                subselect(all).push(" EXCEPT ").append(subselect(self.elements(attribute, inner)))
            }
        }
    }

    fn elements_that_pass(&self, test: &Test) -> Sql {
        self.values_of(test.attribute.path_hash()).push(" AND ").append(check::on_indexed_value(
            "",
            &test.check,
            self.position_function,
        ))
    }

    fn values_of(&self, path_hash: i64) -> Sql {
        Sql::new("SELECT row_id, element FROM resource_values WHERE tenant_path = ")
            .bind(tenant_path(self.tenant_id, path_hash))
    }

    /// An element exists if any of its parts has a value.
    fn all_elements(&self, attribute: Resolved) -> Sql {
        let attribute = attribute.attribute;
        let parts = attribute.sub_attributes.iter().filter(|part| part.role == Role::Stored);
        let mut paths: Vec<i64> = parts.map(|part| part.path_hash).collect();
        if !attribute.is_complex() {
            paths.push(attribute.path_hash);
        }
        let paths = paths.into_iter().map(|path_hash| tenant_path(self.tenant_id, path_hash));
        Sql::new("SELECT row_id, element FROM resource_values WHERE tenant_path IN (").bind_list(paths).push(")")
    }

    fn combined(&self, attribute: Resolved, conditions: &[Condition], operator: &'static str) -> Sql {
        let mut sets = conditions.iter().map(|condition| subselect(self.elements(attribute, condition)));
        let Some(first) = sets.next() else {
            return self.all_elements(attribute).push(" AND FALSE");
        };
        sets.fold(first, |united, set| united.push(operator).append(set))
    }

    fn elements_with_all(&self, attribute: Resolved, conditions: &[Condition]) -> Sql {
        let mut addressed = Vec::new();
        let mut others = Vec::new();
        for condition in flattened(conditions) {
            match address(condition) {
                Some(address) => addressed.push(address),
                None => others.push(condition.clone()),
            }
        }
        let base = if others.is_empty() {
            match take_anchor(&mut addressed) {
                Some(anchor) => self.elements_that_pass(anchor),
                None => self.all_elements(attribute),
            }
        } else {
            self.combined(attribute, &others, " INTERSECT ")
        };
        if addressed.is_empty() {
            return base;
        }
        let mut selected = subselect(base);
        for (index, (test, wanted)) in addressed.into_iter().enumerate() {
            selected = selected.push(if index == 0 { " WHERE " } else { " AND " });
            selected = selected.append(self.sibling_exists(test, wanted));
        }
        selected
    }

    /// Whether the element `e` has a part with exactly this value: one look-up in the index.
    fn sibling_exists(&self, test: &Test, wanted: bool) -> Sql {
        Sql::new(if wanted { "EXISTS" } else { "NOT EXISTS" })
            .push(" (SELECT 1 FROM resource_values s WHERE s.tenant_path = ")
            .bind(tenant_path(self.tenant_id, test.attribute.path_hash()))
            .push(" AND ")
            .append(check::on_indexed_value("s.", &test.check, self.position_function))
            .push(" AND s.row_id = e.row_id AND s.element = e.element)")
    }
}

/// An equality, or the negation of one; negations carry `false`.
fn address(condition: &Condition) -> Option<(&Test, bool)> {
    match condition {
        Condition::Test(test) if is_equality(test) => Some((test, true)),
        Condition::Not(inner) => match inner.as_ref() {
            Condition::Test(test) if is_equality(test) => Some((test, false)),
            _ => None,
        },
        _ => None,
    }
}

fn is_equality(test: &Test) -> bool {
    // A long key is no exact address: several values may share its head.
    matches!(&test.check, Check::Compare(Relation::Eq, key) if split(key.as_str()).1.is_empty())
}

/// The equality to start from: `value` distinguishes best, `type` and `primary` hardly.
fn take_anchor<'a>(addressed: &mut Vec<(&'a Test, bool)>) -> Option<&'a Test> {
    let is_value = |test: &Test| test.attribute.leaf().name == "value";
    let anchor = addressed
        .iter()
        .position(|(test, wanted)| *wanted && is_value(test))
        .or_else(|| addressed.iter().position(|(_, wanted)| *wanted))?;
    Some(addressed.remove(anchor).0)
}

fn flattened(conditions: &[Condition]) -> Vec<&Condition> {
    let mut flat = Vec::new();
    for condition in conditions {
        match condition {
            Condition::And(inner) => flat.extend(flattened(inner)),
            other => flat.push(other),
        }
    }
    flat
}

/// SQLite takes no parentheses around the members of a compound select; a subselect serves both backends.
fn subselect(select: Sql) -> Sql {
    Sql::new("SELECT e.row_id, e.element FROM (").append(select).push(") e")
}
