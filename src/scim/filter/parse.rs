//! Text to tree. The grammar is the published one with its errata applied:
//!
//! ```text
//! filter     = and *( SP "or" SP and )
//! and        = term *( SP "and" SP term )
//! term       = [ "not" *SP ] "(" filter ")"  /  valuePath  /  attrExp
//! valuePath  = attrPath "[" filter "]" [ "." attrName SP ( "pr" / op SP compValue ) ]
//! attrExp    = attrPath SP ( "pr" / op SP compValue )
//! compValue  = JSON string / JSON number / true / false / null
//! PATH       = attrPath / attrPath "[" filter "]" [ "." attrName ]
//! ```
//!
//! The tail of `valuePath` is not in the RFC: Entra ID writes `emails[type eq "work"].value eq "x"`, which means
//! `emails[type eq "work" and value eq "x"]`. Every token is looked at once, so the work is linear in the text.

use std::cell::Cell;

use nom::Parser as _;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::combinator::opt;
use nom::error::{ErrorKind as NomKind, ParseError};
use serde_json::Value;

use super::{Filter, Name, Operator};
use crate::scim::{Error, ErrorKind, Profile, Result};

/// The longest filter, in bytes.
pub const MAX_LENGTH: usize = 8 * 1024;
/// The deepest nesting of parentheses and brackets.
pub const MAX_DEPTH: usize = 32;
/// The most comparisons in one filter.
pub const MAX_TERMS: usize = 200;

/// A PATCH path as written (RFC 7644 §3.5.2).
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedPath {
    /// The attribute, with its sub-attribute when no filter stands between them.
    pub name: Name,
    /// The filter in brackets.
    pub filter: Option<Filter>,
    /// The sub-attribute behind the brackets.
    pub sub_attribute: Option<String>,
}

/// Parses a filter. Fails with `invalidFilter` and a sentence that names the token and its offset (FLT-08).
pub fn parse(text: &str, profile: Profile) -> Result<Filter> {
    run(text, profile, ErrorKind::InvalidFilter, |grammar, input| grammar.filter(input, 0))
}

/// Parses a PATCH path. A malformed filter inside fails with `invalidFilter`, anything else with `invalidPath`
/// (PATCH-03).
pub fn parse_path(text: &str, profile: Profile) -> Result<ParsedPath> {
    run(text, profile, ErrorKind::InvalidPath, |grammar, input| grammar.path(input))
}

fn run<'a, T>(
    text: &'a str,
    profile: Profile,
    kind: ErrorKind,
    rule: impl FnOnce(&Grammar<'a>, &'a str) -> Parsed<'a, T>,
) -> Result<T> {
    let whole = if kind == ErrorKind::InvalidPath { "path" } else { "filter" };
    let grammar = Grammar { text, profile, whole, kind: Cell::new(kind), terms: Cell::new(0) };
    if text.len() > MAX_LENGTH {
        return Err(grammar.invalid(&format!("{} bytes; at most {MAX_LENGTH} are allowed", text.len())));
    }
    let (rest, tree) = rule(&grammar, text).map_err(|error| grammar.explain(error))?;
    let rest = rest.trim_start();
    if rest.is_empty() {
        return Ok(tree);
    }
    Err(grammar.explain(expected(rest, "'and', 'or' or the end")))
}

type Parsed<'a, T> = nom::IResult<&'a str, T, Fault<'a>>;

/// Where parsing stopped, and what would have gone on.
#[derive(Debug)]
struct Fault<'a> {
    rest: &'a str,
    expected: &'static str,
}

impl<'a> ParseError<&'a str> for Fault<'a> {
    fn from_error_kind(rest: &'a str, _: NomKind) -> Self {
        Fault { rest, expected: "an attribute name" }
    }

    fn append(_: &'a str, _: NomKind, other: Self) -> Self {
        other
    }
}

fn expected<'a>(rest: &'a str, expected: &'static str) -> nom::Err<Fault<'a>> {
    nom::Err::Failure(Fault { rest, expected })
}

struct Grammar<'a> {
    text: &'a str,
    profile: Profile,
    /// What the text is, for sentences.
    whole: &'static str,
    /// What a fault at the present place is.
    kind: Cell<ErrorKind>,
    terms: Cell<usize>,
}

impl<'a> Grammar<'a> {
    fn filter(&self, input: &'a str, depth: usize) -> Parsed<'a, Filter> {
        let (mut rest, first) = self.conjunction(input, depth)?;
        let mut filters = vec![first];
        while let Some(after) = keyword(rest, "or") {
            let (next, filter) = self.conjunction(after, depth)?;
            filters.push(filter);
            rest = next;
        }
        Ok((rest, joined(filters, Filter::Or)))
    }

    fn conjunction(&self, input: &'a str, depth: usize) -> Parsed<'a, Filter> {
        let (mut rest, first) = self.term(input, depth)?;
        let mut filters = vec![first];
        while let Some(after) = keyword(rest, "and") {
            let (next, filter) = self.term(after, depth)?;
            filters.push(filter);
            rest = next;
        }
        Ok((rest, joined(filters, Filter::And)))
    }

    fn term(&self, input: &'a str, depth: usize) -> Parsed<'a, Filter> {
        if depth > MAX_DEPTH {
            return Err(expected(input, "at most 32 levels of nesting"));
        }
        let (input, _) = spaces(input)?;
        if let Some(group) = input.strip_prefix('(') {
            return self.closed(group, ')', depth);
        }
        if let Some(group) = negation(input) {
            let (rest, filter) = self.closed(group, ')', depth)?;
            return Ok((rest, Filter::Not(Box::new(filter))));
        }
        self.attribute_expression(input, depth)
    }

    /// A filter and the bracket that closes it.
    fn closed(&self, input: &'a str, close: char, depth: usize) -> Parsed<'a, Filter> {
        let (rest, filter) = self.filter(input, depth + 1)?;
        let rest = rest.trim_start();
        match rest.strip_prefix(close) {
            Some(rest) => Ok((rest, filter)),
            None if close == ')' => Err(expected(rest, "'and', 'or' or ')'")),
            None => Err(expected(rest, "'and', 'or' or ']'")),
        }
    }

    fn attribute_expression(&self, input: &'a str, depth: usize) -> Parsed<'a, Filter> {
        let (rest, name) = self.name(input)?;
        let Some(inner) = rest.strip_prefix('[') else {
            return self.comparison(rest, name);
        };
        let (rest, filter) = self.closed(inner, ']', depth)?;
        let Some(after_dot) = rest.strip_prefix('.') else {
            return Ok((rest, Filter::Element(name, Box::new(filter))));
        };
        let (rest, sub_attribute) = self.name(after_dot)?;
        let (rest, comparison) = self.comparison(rest, sub_attribute)?;
        Ok((rest, Filter::Element(name, Box::new(Filter::And(vec![filter, comparison])))))
    }

    fn comparison(&self, input: &'a str, name: Name) -> Parsed<'a, Filter> {
        self.terms.set(self.terms.get() + 1);
        if self.terms.get() > MAX_TERMS {
            return Err(expected(input, "at most 200 comparisons"));
        }
        let (operator_at, _) = spaces(input)?;
        let (rest, word) = take_while(|c: char| c.is_ascii_alphabetic()).parse(operator_at)?;
        if word.eq_ignore_ascii_case("pr") {
            return Ok((rest, Filter::Present(name)));
        }
        let operator = Operator::ALL.into_iter().find(|operator| word.eq_ignore_ascii_case(operator.keyword()));
        let Some(operator) = operator else {
            return Err(expected(operator_at, "an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr)"));
        };
        let (rest, _) = spaces(rest)?;
        let (rest, literal) = self.literal(rest)?;
        Ok((rest, Filter::Compare(name, operator, literal)))
    }

    fn path(&self, input: &'a str) -> Parsed<'a, ParsedPath> {
        let (input, _) = spaces(input)?;
        let (rest, name) = self.name(input)?;
        let Some(inner) = rest.strip_prefix('[') else {
            return Ok((rest, ParsedPath { name, filter: None, sub_attribute: None }));
        };
        self.kind.set(ErrorKind::InvalidFilter);
        let (rest, filter) = self.closed(inner, ']', 0)?;
        self.kind.set(ErrorKind::InvalidPath);
        let (rest, dot) = opt(tag(".")).parse(rest)?;
        if dot.is_none() {
            return Ok((rest, ParsedPath { name, filter: Some(filter), sub_attribute: None }));
        }
        let part_at = rest;
        let (rest, sub_attribute) = self.name(rest)?;
        if sub_attribute.text.contains(['.', ':']) {
            return Err(expected(part_at, "the name of a sub-attribute"));
        }
        Ok((rest, ParsedPath { name, filter: Some(filter), sub_attribute: Some(sub_attribute.text) }))
    }

    fn name(&self, input: &'a str) -> Parsed<'a, Name> {
        let (rest, text) = take_while1(is_name_char).parse(input)?;
        Ok((rest, Name { text: text.to_owned(), offset: self.offset(input) }))
    }

    fn literal(&self, input: &'a str) -> Parsed<'a, Value> {
        if input.starts_with('"') {
            return json_string(input);
        }
        let lenient = self.profile == Profile::Compat;
        if lenient && let Some(quoted) = input.strip_prefix('\'') {
            let Some((text, rest)) = quoted.split_once('\'') else {
                return Err(expected(input, "a closing quote"));
            };
            return Ok((rest, Value::String(text.to_owned())));
        }
        let (rest, word) = take_while(is_word_char).parse(input)?;
        match serde_json::from_str::<Value>(word) {
            Ok(value) if !value.is_object() => Ok((rest, value)),
            _ if lenient && !word.is_empty() => Ok((rest, Value::String(word.to_owned()))),
            _ => Err(expected(input, "a value: a string in double quotes, a number, true, false or null")),
        }
    }

    fn offset(&self, rest: &str) -> usize {
        self.text.len() - rest.len()
    }

    fn explain(&self, error: nom::Err<Fault<'a>>) -> Error {
        let fault = match error {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => fault,
            nom::Err::Incomplete(_) => Fault { rest: "", expected: "more text" },
        };
        let token: String = fault.rest.chars().take_while(|c| !c.is_whitespace()).take(32).collect();
        let found = if token.is_empty() { "the end".to_owned() } else { format!("'{token}'") };
        let offset = self.offset(fault.rest);
        self.invalid(&format!("{found} at offset {offset}, where {} is expected", fault.expected))
    }

    fn invalid(&self, found: &str) -> Error {
        Error::new(self.kind.get(), format!("The {} has {found}.", self.whole))
    }
}

fn joined(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    if filters.len() == 1 { filters.remove(0) } else { join(filters) }
}

fn spaces(input: &str) -> Parsed<'_, &str> {
    take_while(|c: char| c.is_ascii_whitespace()).parse(input)
}

/// What follows a keyword that stands alone, between spaces or brackets or at the end.
fn keyword<'a>(input: &'a str, word: &str) -> Option<&'a str> {
    let input = input.trim_start();
    let (head, rest) = input.split_at_checked(word.len())?;
    let stands_alone = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '(');
    (head.eq_ignore_ascii_case(word) && stands_alone).then_some(rest)
}

/// What follows `not (`; `not` without a parenthesis is no negation (FLT-03).
fn negation(input: &str) -> Option<&str> {
    keyword(input, "not")?.trim_start().strip_prefix('(')
}

fn json_string(input: &str) -> Parsed<'_, Value> {
    let mut escaped = false;
    let end = input.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    let Some((end, _)) = end else {
        return Err(expected(input, "a closing quote"));
    };
    match serde_json::from_str(&input[..=end]) {
        Ok(text) => Ok((&input[end + 1..], Value::String(text))),
        Err(_) => Err(expected(input, "a string with valid JSON escapes")),
    }
}

fn is_name_char(c: char) -> bool {
    is_word_char(c) && c != '['
}

fn is_word_char(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '(' | ')' | ']' | '"')
}

#[cfg(test)]
mod tests;
