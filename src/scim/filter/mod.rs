//! Filters: the tree that a client's text becomes (RFC 7644 §3.4.2.2, with its errata).
//!
//! Text becomes a [`Filter`] ([`parse()`]), which becomes a [`Condition`] once its names are resolved against a
//! resource type ([`resolve()`]). A condition is evaluated in memory ([`matches()`]) or written as SQL by the store.

mod condition;
mod credentials;
mod matches;
mod parse;
mod resolve;

use std::fmt;

use serde_json::Value;

pub use condition::{Check, Condition, Relation, Test};
pub use credentials::credentials;
pub use matches::{matches, matches_element};
pub use parse::{MAX_DEPTH, MAX_LENGTH, MAX_TERMS, ParsedPath, parse, parse_path};
pub use resolve::{resolve, resolve_among, resolve_element};

/// A filter as written, names not yet resolved.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of them hold.
    And(Vec<Filter>),
    /// Any of them holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// `attribute pr`.
    Present(Name),
    /// `attribute operator literal`.
    Compare(Name, Operator, Value),
    /// `attribute[filter]`: one element satisfies the filter as a whole.
    Element(Name, Box<Filter>),
}

/// An attribute name as the client wrote it, and where it stands in the text (bytes).
#[derive(Debug, Clone)]
pub struct Name {
    /// The text: `emails.value`, `urn:…:User:userName`.
    pub text: String,
    /// The offset in the filter.
    pub offset: usize,
}

/// Names are equal by their text; where they stand does not matter.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The comparison operators of RFC 7644 Table 3, `pr` aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// equal
    Eq,
    /// not equal
    Ne,
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

impl Operator {
    /// Every operator.
    pub const ALL: [Operator; 9] = [
        Operator::Eq,
        Operator::Ne,
        Operator::Co,
        Operator::Sw,
        Operator::Ew,
        Operator::Gt,
        Operator::Ge,
        Operator::Lt,
        Operator::Le,
    ];

    /// The keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Operator::Eq => "eq",
            Operator::Ne => "ne",
            Operator::Co => "co",
            Operator::Sw => "sw",
            Operator::Ew => "ew",
            Operator::Gt => "gt",
            Operator::Ge => "ge",
            Operator::Lt => "lt",
            Operator::Le => "le",
        }
    }
}

/// The text of the filter, in the grammar that [`parse()`] reads.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::And(filters) => write_joined(f, filters, " and "),
            Filter::Or(filters) => write_joined(f, filters, " or "),
            Filter::Not(filter) => write!(f, "not ({filter})"),
            Filter::Present(name) => write!(f, "{} pr", name.text),
            Filter::Compare(name, operator, literal) => write!(f, "{} {} {literal}", name.text, operator.keyword()),
            Filter::Element(name, filter) => write!(f, "{}[{filter}]", name.text),
        }
    }
}

/// Groups inside a group are put in parentheses, whatever their precedence.
fn write_joined(f: &mut fmt::Formatter<'_>, filters: &[Filter], separator: &str) -> fmt::Result {
    for (index, filter) in filters.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        match filter {
            Filter::And(_) | Filter::Or(_) => write!(f, "({filter})")?,
            _ => write!(f, "{filter}")?,
        }
    }
    Ok(())
}
