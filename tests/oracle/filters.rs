//! Random filters that are legal: every attribute, every operator that its type has, literals near the values at hand.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scimd::scim::key::{decode_base64, parse_date_time};
use scimd::scim::path::{self, Target};
use scimd::scim::schema::{Attribute, Resolved, ResourceType, Type};
use serde_json::{Value, json};

use crate::random::{Random, text};
use crate::world::Body;

/// What filters on some resource types can speak of.
pub struct Vocabulary {
    terms: Vec<Term>,
}

/// An attribute with its parts.
struct Term {
    attribute: Resolved,
    leaves: Vec<Leaf>,
}

/// Something to compare, and the values that it has.
struct Leaf {
    resolved: Resolved,
    values: Vec<Value>,
}

impl Vocabulary {
    pub fn new(types: &[&'static ResourceType], representations: &[Body]) -> Vocabulary {
        let terms = types.iter().flat_map(|resource_type| attributes(resource_type)).map(|attribute| {
            let leaf = |resolved| Leaf { resolved, values: values_of(resolved, representations) };
            let parts = attribute.attribute.sub_attributes.iter();
            let mut leaves: Vec<Leaf> = parts.map(|part| leaf(attribute.with_sub_attribute(part))).collect();
            if leaves.is_empty() {
                leaves.push(leaf(attribute));
            }
            Term { attribute, leaves }
        });
        Vocabulary { terms: terms.collect() }
    }

    /// A filter, in the grammar of the strict profile.
    pub fn filter(&self, random: &mut Random) -> String {
        self.expression(random, 3)
    }

    /// Something to sort by.
    pub fn sort_by(&self, random: &mut Random) -> String {
        let term = random.pick(&self.terms);
        let leaf = random.pick(&term.leaves);
        name(random, leaf.resolved)
    }

    fn expression(&self, random: &mut Random, depth: usize) -> String {
        match random.below(if depth == 0 { 40 } else { 100 }) {
            0..30 => self.comparison(random),
            30..40 => self.element(random),
            40..85 => boolean(random, depth, |random, depth| self.expression(random, depth)),
            _ => format!("not ({})", self.expression(random, depth - 1)),
        }
    }

    fn comparison(&self, random: &mut Random) -> String {
        let term = random.pick(&self.terms);
        let leaf = random.pick(&term.leaves);
        let is_value = term.attribute.attribute.is_complex() && leaf.resolved.leaf().name == "value";
        // A complex attribute stands for its value (FLT-23).
        let shown = if is_value && random.chance(30) { term.attribute } else { leaf.resolved };
        if random.chance(5) {
            return format!("{} pr", name(random, term.attribute));
        }
        let name = name(random, shown);
        compare(random, &name, leaf)
    }

    fn element(&self, random: &mut Random) -> String {
        let has_elements =
            |term: &&Term| term.attribute.attribute.multi_valued || term.attribute.attribute.is_complex();
        let terms: Vec<&Term> = self.terms.iter().filter(has_elements).collect();
        let term = *random.pick(&terms);
        format!("{}[{}]", name(random, term.attribute), inside(random, term, 2))
    }
}

fn inside(random: &mut Random, term: &Term, depth: usize) -> String {
    match random.below(if depth == 0 { 40 } else { 100 }) {
        0..40 => {
            let leaf = random.pick(&term.leaves);
            let part = leaf.resolved.sub_attribute.map_or("value", |part| part.name.as_str());
            let part = varied(random, part);
            compare(random, &part, leaf)
        }
        40..85 => boolean(random, depth, |random, depth| inside(random, term, depth)),
        _ => format!("not ({})", inside(random, term, depth - 1)),
    }
}

fn boolean(random: &mut Random, depth: usize, mut inner: impl FnMut(&mut Random, usize) -> String) -> String {
    let operator = *random.pick(&[" and ", " or "]);
    let operands: Vec<String> = (0..2 + random.below(2)).map(|_| format!("({})", inner(random, depth - 1))).collect();
    operands.join(operator)
}

fn compare(random: &mut Random, name: &str, leaf: &Leaf) -> String {
    let operators: &[&str] = match leaf.resolved.leaf().kind {
        Type::String | Type::Reference => &["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"],
        Type::Boolean | Type::Binary => &["eq", "ne"],
        _ => &["eq", "ne", "gt", "ge", "lt", "le"],
    };
    match random.below(100) {
        0..6 => format!("{name} pr"),
        6..9 => format!("{name} {} null", random.pick(&["eq", "ne"])),
        _ => format!("{name} {} {}", random.pick(operators), literal(random, leaf)),
    }
}

fn literal(random: &mut Random, leaf: &Leaf) -> Value {
    let known = if leaf.values.is_empty() || random.chance(15) { None } else { Some(random.pick(&leaf.values)) };
    let known = known.and_then(Value::as_str).map(str::to_owned);
    match leaf.resolved.leaf().kind {
        Type::Boolean => json!(random.chance(50)),
        Type::DateTime => json!(instant(random, known)),
        Type::Binary => json!(binary(random, known)),
        _ => json!(near(random, known)),
    }
}

/// The text, a piece of it, or the same in another case.
fn near(random: &mut Random, known: Option<String>) -> String {
    let Some(known) = known else { return text(random) };
    let chars: Vec<char> = known.chars().collect();
    let cut = random.below(chars.len() + 1);
    let whole = match random.below(10) {
        0..4 => known,
        4 | 5 => chars[..cut].iter().collect(),
        6 | 7 => chars[cut..].iter().collect(),
        8 => chars[cut / 2..cut].iter().collect(),
        _ => format!("{known}{}", text(random)),
    };
    match random.below(5) {
        0 => whole.to_uppercase(),
        1 => whole.to_lowercase(),
        _ => whole,
    }
}

/// The instant in another notation, one beside it by less than databases keep, or one at the edge of the calendar.
fn instant(random: &mut Random, known: Option<String>) -> String {
    const EDGES: [&str; 8] = [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59.999999999Z",
        "2026-06-30T23:59:60Z",
        "2026-03-01T00:00:00",
        "9999-12-31T23:59:59.999999999Z",
        "2026-02-25T07:13:20.0000001Z",
        "2100-01-01T00:00:00-14:00",
    ];
    let Some(known) = known.filter(|known| parse_date_time(known).is_some()) else {
        return (*random.pick(&EDGES)).to_owned();
    };
    let start = known.trim_end_matches('Z');
    match random.below(8) {
        0 => format!("{start}0000001Z"),
        1 => format!("{start}000001Z"),
        2 => format!("{start}+00:00"),
        3 => format!("{start}-02:30"),
        4 => format!("{}Z", &start[..19]),
        5 => start.to_owned(),
        _ => known,
    }
}

fn binary(random: &mut Random, known: Option<String>) -> String {
    let bytes = known.and_then(|known| decode_base64(&known)).unwrap_or_else(|| b"a".to_vec());
    let encoded = STANDARD.encode(bytes);
    if random.chance(50) { encoded.trim_end_matches('=').to_owned() } else { encoded }
}

/// The name as clients write it: bare, with its URN, in any case.
fn name(random: &mut Random, resolved: Resolved) -> String {
    let full = resolved.to_string();
    let bare = full.rsplit(':').next().unwrap_or_default();
    let name = match resolved.schema {
        Some(schema) if random.chance(20) => format!("{}:{bare}", schema.id),
        _ => bare.to_owned(),
    };
    varied(random, &name)
}

fn varied(random: &mut Random, name: &str) -> String {
    match random.below(20) {
        0 => name.to_uppercase(),
        1 => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

fn attributes(resource_type: &'static ResourceType) -> Vec<Resolved> {
    let common = resource_type.common().iter().map(|attribute| attribute.name.clone());
    let defined = resource_type.urns().flat_map(|schema| {
        let full = |attribute: &Attribute| format!("{}:{}", schema.id, attribute.name);
        schema.attributes.iter().map(full).collect::<Vec<_>>()
    });
    let names = common.chain(defined);
    names
        .map(|name| match path::resolve(resource_type, &name) {
            Some(Target::Attribute(attribute)) => attribute,
            other => panic!("{name}: {other:?}"),
        })
        .collect()
}

fn values_of(resolved: Resolved, representations: &[Body]) -> Vec<Value> {
    let mut values = Vec::new();
    for representation in representations {
        let found = assigned(resolved, representation);
        let elements = found.map(|found| found.as_array().map_or(std::slice::from_ref(found), Vec::as_slice));
        for element in elements.unwrap_or_default() {
            let part = resolved.sub_attribute.map_or(Some(element), |part| element.get(&part.name));
            values.extend(part.cloned());
        }
    }
    values
}

/// The whole value of the attribute.
pub fn assigned(resolved: Resolved, representation: &Body) -> Option<&Value> {
    let container = match resolved.container() {
        Some(urn) => representation.get(urn)?.as_object()?,
        None => representation,
    };
    container.get(&resolved.attribute.name)
}
