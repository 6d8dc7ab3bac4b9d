//! What is demanded is tested from outside, or SCIM.md says what scimd does instead: `tests/requirements.md`, held against
//! the names of the tests and the conversations of `tests/clients`.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests say what they do in their names and may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

const REQUIREMENTS: &str = "tests/requirements.md";

/// The header of the table in SCIM.md of what is answered otherwise.
const OTHERWISE: &str = "| Requirement | scimd | Why |";

/// How ids begin, as names of tests spell it.
const AREAS: [&str; 32] = [
    "disc", "res", "type", "mv", "char", "usr", "grp", "ent", "cre", "get", "flt", "qry", "sort", "page", "cur",
    "proj", "srch", "put", "patch", "del", "bulk", "ver", "me", "http", "err", "auth", "sec", "ten", "i18n", "t", "v",
    "int",
];

const LEVELS: [&str; 4] = ["MUST", "SHOULD", "MAY", "OURS"];

/// A test of a part shows what the part does, and not that clients meet it.
#[test]
fn every_requirement_has_a_test_from_outside_or_a_reason() {
    let (ids, tested, otherwise) = (requirements(), tested(files("tests", "rs")), otherwise());
    let open: Vec<&String> =
        ids.iter().filter(|id| !tested.contains_key(*id) && !otherwise.contains_key(*id)).collect();
    assert!(open.is_empty(), "no test names these, and SCIM.md does not say why: {open:#?}");
}

#[test]
fn what_tests_and_documents_name_is_required() {
    let ids = requirements();
    for (id, tests) in tested([files("src", "rs"), files("tests", "rs")].concat()) {
        assert!(ids.contains(&id), "{id} is no requirement of {REQUIREMENTS}, but is named by {tests:#?}");
    }
    for id in otherwise().keys() {
        assert!(ids.contains(id), "{id} is no requirement of {REQUIREMENTS}, but SCIM.md says how it is answered");
    }
}

#[test]
fn requirements_are_listed_once_with_level_source_and_sentence() {
    let mut seen = BTreeSet::new();
    for row in rows(&read(REQUIREMENTS), "| Id | Level | Source | What must hold |") {
        assert_eq!(row.len(), 4, "{row:?}");
        let area = row[0].split('-').next().unwrap().to_ascii_lowercase();
        assert!(AREAS.contains(&area.as_str()), "no name of a test can hold {}", row[0]);
        assert!(LEVELS.contains(&row[1].as_str()), "{row:?}");
        assert!(!row[2].is_empty() && row[3].ends_with('.'), "{row:?}");
        assert!(seen.insert(row[0].clone()), "{} is listed twice", row[0]);
    }
    for (id, row) in otherwise() {
        assert!(row.iter().all(|cell| !cell.is_empty()), "the row of {id} in SCIM.md has an empty cell");
    }
}

#[test]
fn names_of_tests_are_read_as_they_are_meant() {
    for (name, ids) in [
        ("flt_24_ne_is_the_negation_of_eq", &["FLT-24"][..]),
        ("res_03_04_17_names_have_no_case", &["RES-03", "RES-04", "RES-17"]),
        ("v_08_page_01_to_03_pages", &["V-08", "PAGE-01", "PAGE-02", "PAGE-03"]),
        ("patch_11_q_50_row_06_an_echo", &["PATCH-11"]),
        ("patch_a9_t_07b_an_element", &["PATCH-A9", "T-07b"]),
        ("patch_r1_to_r3_removes", &["PATCH-R1", "PATCH-R2", "PATCH-R3"]),
        ("i18n_02_folding", &["I18N-02"]),
        ("patch_22_a_thousand_operations", &["PATCH-22"]),
        ("http_03_bodies_are_json_in_utf_8", &["HTTP-03"]),
        ("t_the_least", &[]),
    ] {
        assert_eq!(named_by(name), ids, "{name}");
    }
}

/// The ids of the list.
fn requirements() -> BTreeSet<String> {
    let rows = rows(&read(REQUIREMENTS), "| Id | Level | Source | What must hold |");
    rows.into_iter().map(|row| row[0].clone()).collect()
}

/// The rows of SCIM.md that say what is answered otherwise, by id.
fn otherwise() -> BTreeMap<String, Vec<String>> {
    let rows = rows(&read("SCIM.md"), OTHERWISE);
    assert!(!rows.is_empty(), "SCIM.md has no table {OTHERWISE}");
    rows.into_iter().map(|row| (row[0].clone(), row)).collect()
}

/// Each id that is named, with the tests in these sources and the conversations that name it.
fn tested(sources: Vec<PathBuf>) -> BTreeMap<String, Vec<String>> {
    let mut tested: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let names = sources.into_iter().flat_map(|file| tests_of(&fs::read_to_string(file).unwrap()));
    let by_name = names.map(|name| (named_by(&name), name));
    let by_conversation = files("tests/clients", "json").into_iter().map(|file| {
        let conversation: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let ids = conversation["requirements"].as_array().cloned().unwrap_or_default();
        let ids = ids.iter().map(|id| id.as_str().expect("an id is text").to_owned()).collect();
        (ids, file.display().to_string())
    });
    for (ids, name) in by_name.chain(by_conversation) {
        for id in ids {
            tested.entry(id).or_default().push(name.clone());
        }
    }
    tested
}

/// The names of the functions that are tests.
fn tests_of(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.ends_with("test]");
            continue;
        }
        if is_test && let Some((name, _)) = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')) {
            names.push(name.to_owned());
        }
        is_test &= line.starts_with("//");
    }
    names
}

/// The ids that a name holds: an area, and the numbers or ranges behind it.
fn named_by(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let mut ids = Vec::new();
    let mut area = None;
    let mut position = 0;
    while let Some(&word) = words.get(position) {
        position += 1;
        let Some(first) = area.and_then(|_| Number::parse(word)) else {
            area = AREAS.contains(&word).then_some(word);
            continue;
        };
        let end = words.get(position + 1).filter(|_| words[position] == "to").and_then(|word| Number::parse(word));
        if end.is_some() {
            position += 2;
        }
        let last = end.unwrap_or(first).value;
        ids.extend((first.value..=last).map(|value| Number { value, ..first }.in_area(area.unwrap_or_default())));
    }
    ids
}

/// What stands behind an area: `24`, `07b`, or `a9` of a table.
#[derive(Clone, Copy)]
struct Number<'a> {
    table: &'a str,
    value: u32,
    variant: &'a str,
}

impl<'a> Number<'a> {
    fn parse(word: &'a str) -> Option<Number<'a>> {
        let digits = word.trim_start_matches(['a', 'p', 'r']);
        let (table, _) = word.split_at(word.len() - digits.len());
        let number = digits.trim_end_matches('b');
        let variant = &digits[number.len()..];
        let is_one = number.len() == 2 && table.is_empty() || matches!(number.len(), 1 | 2) && table.len() == 1;
        let is_one = is_one && variant.len() < 2 && number.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then(|| Number { table, value: number.parse().unwrap(), variant })
    }

    fn in_area(self, area: &str) -> String {
        let (area, table) = (area.to_ascii_uppercase(), self.table.to_ascii_uppercase());
        let width = if table.is_empty() { 2 } else { 1 };
        format!("{area}-{table}{:0width$}{}", self.value, self.variant)
    }
}

/// The rows below each header like this one, as cells.
fn rows(document: &str, header: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut lines = document.lines();
    while lines.any(|line| line == header) {
        let table = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
        rows.extend(table.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()));
    }
    rows
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The files below a directory of the repository.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files
}
