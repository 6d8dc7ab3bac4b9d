//! A filter whose names are resolved and whose literals are keys: what evaluators work on.

use super::Operator;
use crate::scim::key::Key;
use crate::scim::schema::Resolved;

/// A truth about a resource, or about one element of a multi-valued attribute. Two-valued: there is no unknown
/// (FLT-27).
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Holds always, or never.
    Constant(bool),
    /// All of them hold.
    And(Vec<Condition>),
    /// Any of them holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// Some value of an attribute passes a check.
    Test(Test),
    /// One element of a multi-valued attribute satisfies the condition as a whole; the tests inside are about parts of
    /// that attribute, or, for an attribute of simple values, about the value itself.
    Element(Resolved, Box<Condition>),
}

/// A check on the values of one attribute; it passes if any value does (FLT-22).
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// The attribute, never a complex one.
    pub attribute: Resolved,
    /// What a value must pass.
    pub check: Check,
}

/// What a value must pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// It is assigned and not empty text (RES-16).
    Present,
    /// It stands in a relation to a literal.
    Compare(Relation, Key),
}

/// The operators that a resolved comparison can have; `ne` has become the negation of `eq` (FLT-24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// equal
    Eq,
    /// contains
    Co,
    /// starts with
    Sw,
    /// ends with
    Ew,
    /// greater than
    Gt,
    /// greater than or equal
    Ge,
    /// less than
    Lt,
    /// less than or equal
    Le,
}

impl Relation {
    /// The relation of an operator; `ne` gives that of `eq`.
    pub fn of(operator: Operator) -> Relation {
        match operator {
            Operator::Eq | Operator::Ne => Relation::Eq,
            Operator::Co => Relation::Co,
            Operator::Sw => Relation::Sw,
            Operator::Ew => Relation::Ew,
            Operator::Gt => Relation::Gt,
            Operator::Ge => Relation::Ge,
            Operator::Lt => Relation::Lt,
            Operator::Le => Relation::Le,
        }
    }
}

impl Check {
    /// Whether a value with this key passes.
    pub fn passes(&self, key: &Key) -> bool {
        match self {
            Check::Present => !key.as_str().is_empty(),
            Check::Compare(relation, literal) => relation.holds(key.as_str(), literal.as_str()),
        }
    }
}

impl Relation {
    fn holds(self, value: &str, literal: &str) -> bool {
        match self {
            Relation::Eq => value == literal,
            Relation::Co => value.contains(literal),
            Relation::Sw => value.starts_with(literal),
            Relation::Ew => value.ends_with(literal),
            Relation::Gt => value > literal,
            Relation::Ge => value >= literal,
            Relation::Lt => value < literal,
            Relation::Le => value <= literal,
        }
    }
}

impl Condition {
    /// The negation.
    pub fn negate(self) -> Condition {
        match self {
            Condition::Constant(value) => Condition::Constant(!value),
            Condition::Not(inner) => *inner,
            other => Condition::Not(Box::new(other)),
        }
    }
}
