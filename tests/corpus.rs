//! What the fuzzer starts from and what it once found, read again without it: each kept file is a regression test on any
//! machine. The properties are those of `fuzz/properties`.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests say what they do in their names and may fail loudly")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/properties/mod.rs"]
mod properties;

/// Panics if a property does not hold for the bytes.
type Check = fn(&[u8]);

/// The targets of the fuzzer and what they call.
const TARGETS: [(&str, Check); 8] = [
    ("bulk", properties::bulk::check),
    ("cursor", properties::cursor::check),
    ("filter", properties::filter::check),
    ("json", properties::json::check),
    ("patch", properties::patch::check),
    ("path", properties::path::check),
    ("query", properties::query::check),
    ("token", properties::token::check),
];

#[test]
fn sec_05_what_was_fuzzed_once_keeps_its_promises() {
    for (target, check) in TARGETS {
        let files = files(&format!("corpus/{target}"));
        assert!(files.len() > 5, "fuzz/corpus/{target} has {} files", files.len());
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let kept = std::panic::catch_unwind(|| check(&bytes));
            assert!(kept.is_ok(), "{}: {}", file.display(), String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn every_target_is_replayed_and_has_a_dictionary() {
    let stems = |folder: &str| {
        let stem = |file: PathBuf| file.file_stem().unwrap().to_string_lossy().into_owned();
        files(folder).into_iter().map(stem).collect::<Vec<_>>()
    };
    let targets = TARGETS.map(|(target, _)| target.to_owned());
    assert_eq!(stems("targets"), targets);
    assert_eq!(stems("dictionaries"), targets);
}

/// `fuzz/` compiles a part of the program by itself. What it finds says something about the program only if both stand on
/// the same libraries.
#[test]
fn the_fuzzer_uses_the_libraries_of_the_program() {
    let (program, fuzz) = (dependencies("Cargo.toml"), dependencies("fuzz/Cargo.toml"));
    let sources = sources(&root().join("src/scim")) + &fs::read_to_string(root().join("src/auth/token.rs")).unwrap();
    for (name, demand) in &program {
        let is_used = sources.contains(&format!("{}::", name.replace('-', "_")));
        match fuzz.get(name) {
            Some(same) => assert_eq!(same, demand, "{name} in fuzz/Cargo.toml"),
            None => assert!(!is_used, "src/scim uses {name}: fuzz/Cargo.toml needs the line of Cargo.toml"),
        }
    }
    let (program, fuzz) = (locked("Cargo.lock"), locked("fuzz/Cargo.lock"));
    for (name, versions) in &fuzz {
        let Some(known) = program.get(name) else { continue };
        for version in versions {
            assert!(
                known.contains(version),
                "{name} {version} in fuzz/Cargo.lock, {known:?} in Cargo.lock: copy that and let cargo cut it"
            );
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder of `fuzz/`, by name.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("fuzz").join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        None => sources(&path),
        Some(extension) if extension == "rs" => fs::read_to_string(&path).unwrap(),
        Some(_) => String::new(),
    });
    texts.collect()
}

/// What a Cargo.toml demands of each library.
fn dependencies(file: &str) -> BTreeMap<String, toml::Value> {
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(root().join(file)).unwrap()).unwrap();
    manifest["dependencies"].as_table().unwrap().clone().into_iter().collect()
}

/// The versions of each package in a Cargo.lock.
fn locked(file: &str) -> BTreeMap<String, Vec<String>> {
    let lock: toml::Table = toml::from_str(&fs::read_to_string(root().join(file)).unwrap()).unwrap();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        versions.entry(text("name")).or_default().push(text("version"));
    }
    versions
}
