//! Randomness that is the same on every machine, and text with everything in it that databases trip over.

use scimd::scim::schema::{Attribute, Mutability, Type};
use serde_json::{Map, Value, json};

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// Few enough that values meet; among them case-folding traps, wildcards of LIKE, quotes, and characters whose order
/// differs between UTF-8 and UTF-16.
const FRAGMENTS: [&str; 50] = [
    "anna",
    "Anna",
    "ANNA",
    "bob",
    "Bob",
    "straße",
    "STRASSE",
    "ẞ",
    "ﬁn",
    "FIN",
    "É",
    "e\u{301}",
    "é",
    "İ",
    "ı",
    "i",
    "I",
    "Σ",
    "ς",
    "σ",
    "\u{212A}",
    "k",
    "\u{212B}",
    "å",
    "ΐ",
    "%",
    "_",
    "\\",
    "'",
    "\"",
    "*",
    "?",
    "[x]",
    "a.b",
    "@x.org",
    "@X.ORG",
    " ",
    "\n",
    "\u{7f}",
    "\u{10FFFF}",
    "\u{FFFF}",
    "\u{D7FF}",
    "\u{E000}",
    "😀",
    "0",
    "ＡＮＮＡ",
    "ｶ\u{FF9E}",
    "10",
    "work",
    "/scim/v2/",
];

/// Text of one to three fragments; now and then longer than the head of an index key, or empty.
pub fn text(random: &mut Random) -> String {
    match random.below(100) {
        0..3 => String::new(),
        3..8 => long_text(random),
        _ => (0..=random.below(3)).map(|_| *random.pick(&FRAGMENTS)).collect(),
    }
}

fn long_text(random: &mut Random) -> String {
    let unit = *random.pick(&["a", "é", "😀"]);
    let length = 253 + random.below(8);
    let end = *random.pick(&FRAGMENTS);
    let more = if random.chance(30) { unit.repeat(random.below(300)) } else { String::new() };
    format!("{}{end}{more}", unit.repeat(length))
}

/// Any value of the attribute's type, of its parts and elements; `ids` are what references may point at.
pub fn value(random: &mut Random, attribute: &Attribute, ids: &[String]) -> Value {
    if !attribute.multi_valued {
        return element(random, attribute, ids);
    }
    let mut elements: Vec<Value> = (0..=random.below(3)).map(|_| element(random, attribute, ids)).collect();
    let mut has_primary = false;
    for element in &mut elements {
        if element.get("primary") == Some(&json!(true)) && std::mem::replace(&mut has_primary, true) {
            element["primary"] = json!(false);
        }
    }
    Value::Array(elements)
}

/// One value, or one element of a multi-valued attribute.
pub fn element(random: &mut Random, attribute: &Attribute, ids: &[String]) -> Value {
    if attribute.name == "manager" || attribute.name == "members" {
        return json!({"value": id(random, ids)});
    }
    if attribute.is_complex() {
        let mut parts = Map::new();
        for part in attribute.sub_attributes.iter().filter(|part| part.mutability != Mutability::ReadOnly) {
            if part.name != "$ref" && random.chance(65) {
                parts.insert(part.name.clone(), single(random, part));
            }
        }
        return Value::Object(parts);
    }
    single(random, attribute)
}

/// The id of some resource, or something that is none.
pub fn id(random: &mut Random, ids: &[String]) -> String {
    match random.below(10) {
        0 => "Ghost%".to_owned(),
        1 => format!("ghost-{}", random.below(4)),
        _ => random.pick(ids).clone(),
    }
}

fn single(random: &mut Random, attribute: &Attribute) -> Value {
    match attribute.kind {
        Type::Boolean => json!(random.chance(50)),
        Type::Reference => json!(format!("https://x.org/scim/v2/{}", random.pick(&["a", "B", "b", "Users/1", "%41"]))),
        Type::Binary => json!(*random.pick(&["MAIFAA==", "MAIFAA", "MAMCAQE=", "no base64!", "MAMCAQ-_"])),
        _ if attribute.name == "country" && random.chance(80) => json!(*random.pick(&["DE", "FR", "US"])),
        _ if !attribute.canonical_values.is_empty() && random.chance(80) => {
            let word = random.pick(&attribute.canonical_values).clone();
            json!(if random.chance(20) { word.to_uppercase() } else { word })
        }
        _ => json!(text(random)),
    }
}
