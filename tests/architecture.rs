//! The walls of the house: who may know whom, held against the sources themselves.
//!
//! Change a rule here and in the architecture together. Unit tests are held to the same walls, with one exception: they
//! may reach the tools of `tests/support`.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests say what they do in their names and may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use scimd::scim::ErrorKind;

/// Each room and the rooms that it may import.
const ROOMS: [(&str, &[&str]); 13] = [
    ("scim", &[]),
    ("store", &["scim", "telemetry"]),
    ("auth", &["store", "scim"]),
    ("provider", &["auth", "store", "scim"]),
    ("admin", &["provider", "auth", "store", "scim"]),
    ("http", &["admin", "provider", "auth", "scim", "telemetry", "certificate"]),
    ("cli", &["admin", "provider", "auth", "store", "scim", "config", "outbound", "certificate"]),
    ("conformance", &["outbound"]),
    ("outbound", &[]),
    ("certificate", &[]),
    ("config", &["telemetry"]),
    ("telemetry", &["outbound"]),
    (
        "main",
        &[
            "scim",
            "store",
            "auth",
            "provider",
            "admin",
            "http",
            "cli",
            "conformance",
            "config",
            "telemetry",
            "certificate",
        ],
    ),
];

/// Crates that have one home, and who lives there.
const HOMES: [(&str, &[&str]); 17] = [
    ("actix_web", &["http", "main"]),
    ("diesel", &["store"]),
    ("diesel_migrations", &["store"]),
    ("r2d2", &["store"]),
    ("argon2", &["auth"]),
    ("rustls", &["http", "cli", "outbound", "certificate"]),
    ("rustls_native_certs", &["outbound"]),
    ("indicatif", &["cli"]),
    ("x509_cert", &["certificate"]),
    ("fs4", &["cli", "store"]),
    ("ureq", &["outbound", "cli", "conformance", "telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_http", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("clap", &["cli", "config", "conformance", "telemetry", "main"]),
];

/// A file of `src/`.
struct Source {
    /// Relative to `src/`.
    path: String,
    /// Comments taken out.
    code: String,
}

impl Source {
    /// The first folder, or the file: `scim`, `main`.
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.trim_end_matches(".rs")
    }

    /// The module that the file is: `scim::filter`, `scim::filter::parse`.
    fn module(&self) -> String {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.replace('/', "::")
    }

    fn is_test(&self) -> bool {
        self.module().split("::").any(|segment| segment == "tests")
    }

    /// The code above the unit tests.
    fn program(&self) -> &str {
        self.code.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
    }
}

#[test]
fn rooms_know_only_the_rooms_below() {
    let mut breaches = Vec::new();
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let room = source.room();
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            breaches.push(format!("src/{} belongs to no room of the table", source.path));
            continue;
        };
        for path in crate_paths(&source.code) {
            let known = path.split("::").next().unwrap_or_default();
            let is_a_room = ROOMS.iter().any(|(name, _)| *name == known);
            if is_a_room && known != room && !allowed.contains(&known) {
                breaches.push(format!("src/{}: `{room}` must not know `{known}` (crate::{path})", source.path));
            }
        }
    }
    assert_none(breaches);
}

#[test]
fn crates_with_one_home_stay_there() {
    let mut breaches = Vec::new();
    for source in sources() {
        for (name, homes) in HOMES {
            let names_it = words(&source.code).any(|word| word == name);
            if names_it && !homes.contains(&source.room()) {
                breaches.push(format!("src/{} names `{name}`, which lives in {homes:?}", source.path));
            }
        }
    }
    assert_none(breaches);
}

/// Everybody else says `Connection`, and does not know which database it is.
#[test]
fn one_file_names_the_backends() {
    let breaches = sources().into_iter().filter(|source| source.path != "store/connection.rs" && !source.is_test());
    let breaches = breaches.filter_map(|source| {
        let named = words(source.program()).find(|word| ["SqliteConnection", "PgConnection"].contains(word))?;
        Some(format!("src/{} names `{named}`; only src/store/connection.rs may", source.path))
    });
    assert_none(breaches.collect());
}

/// Each room gets its own settings from the door. How a duration is written is no setting.
#[test]
fn settings_are_read_by_the_door_alone() {
    let readers = sources().into_iter().filter(|source| !["config", "main", "lib"].contains(&source.room()));
    let breaches = readers.flat_map(|source| {
        let paths = crate_paths(&source.code).into_iter();
        let settings = paths.filter(|path| path.starts_with("config") && path != "config::parse_duration");
        settings.map(|path| format!("src/{} reads crate::{path}", source.path)).collect::<Vec<_>>()
    });
    assert_none(breaches.collect());
}

/// Two files that use each other are one file, or three. A module and its parts may, for that is what parts are for.
#[test]
fn files_of_a_room_use_each_other_without_circles() {
    let sources = sources();
    let modules: BTreeSet<String> = sources.iter().map(Source::module).collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test() && source.path != "lib.rs") {
        let module = source.module();
        let used = used_modules(source, &modules);
        let foreign = used.into_iter().filter(|used| !is_part(used, &module) && !is_part(&module, used));
        uses.insert(module.clone(), foreign.collect());
    }
    let circles: BTreeSet<Vec<String>> = uses.keys().filter_map(|module| circle(module, &uses)).collect();
    assert_none(circles.into_iter().map(|circle| format!("a circle: {}", circle.join(" -> "))).collect());
}

/// A kind that nobody raises promises an answer that never comes.
#[test]
fn every_kind_of_error_is_raised_somewhere() {
    let sources = sources();
    let raised = |kind: &ErrorKind| {
        let name = format!("{kind:?}");
        let elsewhere = sources.iter().filter(|source| source.path != "scim/error.rs");
        let mut named =
            elsewhere.flat_map(|source| source.program().match_indices("ErrorKind::").map(move |at| (source, at.0)));
        named.any(|(source, at)| words(&source.program()[at..]).nth(1) == Some(name.as_str()))
            || (name == "Internal" && sources.iter().any(|source| source.program().contains("Error::internal")))
    };
    let unused = ErrorKind::ALL.iter().filter(|kind| !raised(kind));
    assert_none(unused.map(|kind| format!("nobody raises ErrorKind::{kind:?}")).collect());
}

#[test]
fn both_databases_have_the_same_migrations() {
    let [sqlite, postgres] = ["sqlite", "postgres"].map(|backend| {
        let mut names: Vec<String> = files(&root().join("migrations").join(backend))
            .iter()
            .map(|file| {
                let path = file.strip_prefix(root().join("migrations").join(backend)).unwrap();
                path.display().to_string()
            })
            .collect();
        names.sort();
        names
    });
    assert_eq!(sqlite, postgres, "migrations/sqlite and migrations/postgres differ");
    assert!(!sqlite.is_empty(), "there are no migrations");
}

/// What somebody's machine is called is of no use to anybody else.
#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    // Put together here, so that this file does not name them.
    let places = ["work", "workspace", "root", "Users/runner", "tmp/wt", "tmp/target"].map(|place| format!("/{place}"));
    let mut breaches = Vec::new();
    for file in
        ["src", "tests", "migrations", "benches", ".ci", "docs"].iter().flat_map(|folder| files(&root().join(folder)))
    {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            let named = places.iter().find(|place| names_place(line, place));
            breaches.extend(named.map(|place| format!("{}:{} names {place}", file.display(), number + 1)));
        }
    }
    assert_none(breaches);
}

/// An absolute path, not a piece of a URL or of a longer path.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + place.len()..].chars().next();
        after.is_some_and(|after| matches!(after, '/' | '-'))
            && before
                .is_none_or(|before| before.is_whitespace() || matches!(before, '"' | '\'' | '`' | '(' | '=' | ':'))
    })
}

#[test]
fn the_tools_of_this_file_see_what_they_shall() {
    let source = Source {
        path: "http/search.rs".to_owned(),
        code: without_comments(
            "use crate::{store::Store, scim::{self, query::{Page, Query}}};\n\
             // use crate::admin::x;\nuse super::respond;\nfn f() { crate::auth::hash(); }\n\"crate::provider\"",
        ),
    };

    let paths = crate_paths(&source.code);

    assert_eq!(paths, ["store::Store", "scim::self", "scim::query::Page", "scim::query::Query", "auth::hash"]);
    let modules = ["http::respond", "scim::query", "store"].map(str::to_owned).into();
    let used = used_modules(&source, &modules);
    assert_eq!(used, ["http::respond".to_owned()].into());
    assert_eq!((source.room(), source.module().as_str()), ("http", "http::search"));
    let uses = BTreeMap::from(
        [("a", "b"), ("b", "c"), ("c", "a")].map(|(user, used)| (user.to_owned(), BTreeSet::from([used.to_owned()]))),
    );
    assert_eq!(circle("b", &uses).unwrap(), ["a", "b", "c", "a"]);
}

fn assert_none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n  {}\n", breaches.join("\n  "));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let root = root().join("src");
    let rust = files(&root).into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|file| Source {
        path: file.strip_prefix(&root).unwrap().display().to_string(),
        code: without_comments(&fs::read_to_string(&file).unwrap()),
    })
    .collect()
}

/// Every file below a folder, in order; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Without comments to the end of the line, and without text in quotes on one line.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.split("//").next().unwrap_or_default();
        line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What follows `crate::`, trees in braces spread out.
fn crate_paths(code: &str) -> Vec<String> {
    paths_after(code, "crate::")
}

fn paths_after(code: &str, start: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(start) {
        let is_inner = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
        if !is_inner {
            spread("", &code[at + start.len()..], &mut paths);
        }
    }
    paths
}

/// Reads one path or tree of paths, and returns what follows it.
fn spread<'a>(prefix: &str, text: &'a str, paths: &mut Vec<String>) -> &'a str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let full = format!("{prefix}{path}");
    let Some(mut rest) = rest.strip_prefix('{').filter(|_| path.is_empty() || path.ends_with("::")) else {
        paths.push(full.trim_end_matches(':').to_owned());
        return rest;
    };
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        if rest.is_empty() {
            return rest;
        }
        let before = rest.len();
        rest = spread(&full, rest, paths);
        // `x as y` and whatever else stands behind a path.
        if !rest.starts_with([',', '}']) {
            rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
        }
        assert!(rest.len() < before, "an import that this test can't read: {text:.60}");
    }
}

/// The modules of the same room that the program of a file uses.
fn used_modules(source: &Source, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let module = source.module();
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut paths = crate_paths(source.program());
    let beside = paths_after(source.program(), "super::").into_iter().filter(|path| !path.starts_with("super"));
    paths.extend(beside.map(|path| format!("{parent}::{path}")));
    let room = format!("{}::", source.room());
    let of_room = paths.into_iter().filter(|path| path.starts_with(&room));
    of_room.filter_map(|path| longest_module(&path, modules)).filter(|used| *used != module).collect()
}

/// `scim::filter::parse` of `scim::filter::parse::run`. What a module shows of its parts counts as its own.
fn longest_module(path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut path = path;
    loop {
        if modules.contains(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}

fn is_part(part: &str, whole: &str) -> bool {
    part.strip_prefix(whole).is_some_and(|rest| rest.starts_with("::"))
}

/// The way from a module back to itself, beginning at the first name of it, if there is one.
fn circle(module: &str, uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut ways = vec![vec![module.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for used in uses.get(way.last()?).into_iter().flatten() {
            if used == module {
                let first = way.iter().enumerate().min_by_key(|(_, name)| *name).map_or(0, |(index, _)| index);
                let mut way = way;
                way.rotate_left(first);
                way.push(way[0].clone());
                return Some(way);
            }
            if seen.insert(used.clone()) {
                ways.push([way.clone(), vec![used.clone()]].concat());
            }
        }
    }
    None
}
