//! What the documents say is true: their lines of curl are run, their tables held against the code.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    reason = "tests say what they do in their names and may fail loudly"
)]

#[path = "api/harness.rs"]
mod harness;
#[path = "support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use scimd::http::routes;
use scimd::scim::Profile;
use scimd::scim::schema::Registry;
use serde_json::Value;

use harness::{Api, Database};

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        open = match (open, fence) {
            (None, Some(info)) => Some((info.trim() == language, String::new())),
            (None, None) => None,
            (Some((wanted, block)), Some(_)) => {
                blocks.extend(wanted.then_some(block));
                None
            }
            (Some((wanted, block)), None) => Some((wanted, block + line + "\n")),
        };
    }
    blocks
}

/// One request of a document: `curl …  # 201, USER_ID is the id in the answer`.
#[derive(Debug)]
struct Line {
    command: String,
    status: String,
    total: Option<u64>,
    /// The name of a variable, and the member of the answer whose value it takes.
    saved: Option<(String, String)>,
}

fn curl_lines(document: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut command = String::new();
    for line in blocks(&read(document), "sh").join("").lines() {
        if command.is_empty() && !line.starts_with("curl ") {
            continue;
        }
        command = command + line + "\n";
        let Some((_, comment)) = line.rsplit_once("  # ") else { continue };
        let (status, remark) = comment.split_once(", ").unwrap_or((comment, ""));
        lines.push(Line {
            command: std::mem::take(&mut command),
            status: status.to_owned(),
            total: remark.strip_prefix("totalResults ").map(|total| total.parse().expect("a number")),
            saved: saved(remark),
        });
    }
    assert!(command.is_empty(), "{document}: no expected status at the end of:\n{command}");
    lines
}

/// `USER_ID is the id in the answer`
fn saved(remark: &str) -> Option<(String, String)> {
    let (name, member) = remark.strip_suffix(" in the answer")?.split_once(" is the ")?;
    Some((name.to_owned(), member.to_owned()))
}

fn run_lines(document: &str, database: Database) {
    let api = Api::new(database, Profile::Compat);
    let directory = tempfile::tempdir().unwrap();
    let body = directory.path().join("body");
    let server = api.base_url.trim_end_matches("/scim/v2").to_owned();
    let mut variables = vec![
        ("SERVER".to_owned(), server),
        ("BASE".to_owned(), api.base_url.clone()),
        ("TOKEN".to_owned(), api.token.clone()),
        ("ADMIN_TOKEN".to_owned(), api.with_key(Profile::Compat, "admin").token),
        ("TENANT".to_owned(), format!("acme-{}", uuid::Uuid::now_v7())),
    ];
    for line in curl_lines(document) {
        let silent = format!("curl -sS -o '{}' -w '%{{http_code}}' {}", body.display(), &line.command["curl ".len()..]);
        let output = Command::new("sh").args(["-c", &silent]).envs(variables.clone()).output().unwrap();
        let answer = fs::read_to_string(&body).unwrap_or_default();
        let status = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(status, line.status, "{document}, {database:?}: {}{answer}\n{complaint}", line.command);
        let json: Value = serde_json::from_str(&answer).unwrap_or_default();
        if let Some(total) = line.total {
            assert_eq!(json["totalResults"], total, "{document}, {database:?}: {}{answer}", line.command);
        }
        if let Some((name, member)) = line.saved {
            let value = json[&member].as_str().unwrap_or_else(|| panic!("{document}: no {member} in {answer}"));
            variables.push((name, value.to_owned()));
        }
        let _ = fs::remove_file(&body);
    }
}

#[test]
fn every_line_of_curl_is_answered_as_the_documents_say() {
    for document in ["SCIM.md", "README.md"] {
        assert!(!curl_lines(document).is_empty(), "{document} has no line of curl");
        for database in [Database::Sqlite, Database::Postgres] {
            run_lines(document, database);
        }
    }
}

/// The method and the path behind `$BASE` of a line of curl.
fn request_of(line: &Line) -> (String, String) {
    let words: Vec<&str> = line.command.split_whitespace().collect();
    let method = words.iter().position(|word| *word == "-X").map(|position| words[position + 1]);
    let url = words.iter().find_map(|word| word.trim_matches('"').strip_prefix("$BASE"));
    let path = url.unwrap_or("none").split('?').next().unwrap_or_default();
    let default = if words.contains(&"-I") { "HEAD" } else { "GET" };
    (method.unwrap_or(default).to_owned(), path.to_owned())
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    let same = |(wanted, given): (&&str, &&str)| wanted.starts_with('{') && *given != ".search" || wanted == given;
    pattern.len() == path.len() && pattern.iter().zip(path.iter()).all(same)
}

#[test]
fn every_route_and_method_has_a_line_of_curl() {
    let shown: Vec<(String, String)> = curl_lines("SCIM.md").iter().map(request_of).collect();
    let mut missing = Vec::new();
    for endpoint in routes::scim(Registry::builtin()) {
        // One example of HEAD and one of OPTIONS say it all.
        for (wanted, _) in &endpoint.operations {
            if !shown.iter().any(|(method, path)| method == wanted.as_str() && fits(&endpoint.path, path)) {
                missing.push(format!("{wanted} {}", endpoint.path));
            }
        }
    }
    assert!(missing.is_empty(), "SCIM.md shows no request for {missing:#?}");
    for method in ["HEAD", "OPTIONS"] {
        assert!(shown.iter().any(|(shown, _)| shown == method), "SCIM.md shows no {method}");
    }
    let readme = read("README.md");
    for endpoint in routes::health() {
        assert!(readme.contains(&endpoint.path), "README.md does not tell of {}", endpoint.path);
    }
}

#[test]
fn every_setting_stands_in_the_readme_with_flag_and_variable() {
    let source = read("src/config/sources.rs");
    let entries = source.split_once("fn entries").unwrap().1.split_once("fn names").unwrap().0;
    let names: Vec<&str> = entries.split('"').skip(1).step_by(2).collect();
    assert!(names.len() >= 13, "the table of settings is not read any more: {names:?}");
    let readme = read("README.md");
    for name in names {
        // A secret is no flag.
        let flag = if name == "admin-key" { "–".to_owned() } else { format!("`--{name}`") };
        let row = format!("| {flag} | `SCIMD_{}` |", name.to_uppercase().replace('-', "_"));
        assert!(readme.contains(&row), "README.md lacks the row {row}");
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    use scimd::scim::{accept, filter, message, password, patch, query};
    let text = read("SCIM.md");
    let grouped = |number: usize| {
        let digits = number.to_string();
        let parts: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap()).collect();
        parts.join(",")
    };
    for row in [
        format!("| body | 10 MiB ({} bytes) | 413 |", grouped(message::MAX_BODY)),
        format!(
            "| filter | 8 KiB ({} bytes), {} levels, {} terms |",
            grouped(filter::MAX_LENGTH),
            filter::MAX_DEPTH,
            filter::MAX_TERMS
        ),
        format!("| operations in a PATCH | {} | 413 |", grouped(message::MAX_OPERATIONS)),
        format!("| operations in a bulk request | {} | 413 |", grouped(message::MAX_OPERATIONS)),
        format!("| work of a PATCH | {} looks at a value | 413 |", grouped(patch::MAX_WORK)),
        format!("| page | {} resources by default, {} at most |", query::DEFAULT_COUNT, grouped(query::MAX_COUNT)),
        format!("| password | {} bytes |", grouped(password::MAX_PASSWORD)),
        format!("| id of a member | {} characters |", accept::MAX_MEMBER_VALUE),
    ] {
        assert!(text.contains(&row), "SCIM.md lacks {row}");
    }
}

/// Every test function below `src` and `tests`, by name, with its source.
fn known_tests() -> BTreeMap<String, String> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for file in files_below(&["src", "tests"]) {
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        for (position, _) in source.match_indices("#[test]\n") {
            let indentation = position - source[..position].rfind('\n').map_or(0, |end| end + 1);
            let (test, _) = source[position..].split_once(&format!("\n{}}}\n", " ".repeat(indentation))).unwrap();
            let name = test.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap();
            known.entry(name.to_owned()).or_default().push_str(test);
        }
    }
    known
}

fn files_below(directories: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting: Vec<PathBuf> = directories.iter().map(|directory| root.join(directory)).collect();
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files
}

/// The rows of the table whose header begins with this text, as cells.
fn table(document: &str, header: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let rows = text.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!rows.is_empty(), "{document} has no table {header}");
    rows
}

#[test]
fn every_difference_of_the_profiles_names_a_test_of_both() {
    let known = known_tests();
    for row in table("SCIM.md", "| What a client sends |") {
        let name = row.last().unwrap().trim_matches('`');
        let test = known.get(name).unwrap_or_else(|| panic!("SCIM.md names the test {name}, which is not there"));
        let shows = |signs: &[&str]| signs.iter().any(|sign| test.contains(sign));
        let shows_both = shows(&["Strict", "each_strict("]) && shows(&["Compat", "each(", "becomes("]);
        assert!(
            shows_both || shows(&["api.profile", "either(api"]),
            "{name} does not tell the profiles apart: {row:?}"
        );
    }
}

#[test]
fn commands_in_the_readme_exist_with_their_flags() {
    let text = read("README.md");
    let lines: Vec<String> =
        blocks(&text, "sh").iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let commands: Vec<&str> = lines
        .iter()
        .map(|line| line.split("  #").next().unwrap().split(" > ").next().unwrap().trim())
        .filter(|line| line.starts_with("scimd "))
        .collect();
    assert!(commands.len() > 10, "the commands of README.md are not read any more: {commands:?}");
    for command in commands {
        let program = env!("CARGO_BIN_EXE_scimd");
        // Help ends the work before it begins; what stands in front of it has been understood.
        let asked = format!("'{program}' {} --help", &command["scimd ".len()..]);
        let output = Command::new("sh").args(["-c", &asked]).output().unwrap();
        assert!(output.status.success(), "README.md: {command}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

const ROOMS: [&str; 10] =
    ["scim", "store", "auth", "provider", "admin", "http", "cli", "conformance", "outbound", "certificate"];

#[test]
fn rooms_know_only_those_that_the_map_allows() {
    let rows = table("ARCHITECTURE.md", "| Room | May import |");
    let rooms: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(rooms[..ROOMS.len()], ROOMS, "the table of ARCHITECTURE.md has other rooms than the code");
    for row in &rows[..ROOMS.len()] {
        let room = row[0].trim_matches('`');
        let allowed: BTreeSet<&str> = row[1].split('`').skip(1).step_by(2).chain([room]).collect();
        for file in files_below(&[&format!("src/{room}")]) {
            let source = fs::read_to_string(&file).unwrap_or_default();
            // Comments may point anywhere.
            for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
                for (position, marker) in line.match_indices("crate::") {
                    let rest = &line[position + marker.len()..];
                    let known = rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
                    let is_fine = known.is_empty() || allowed.contains(known);
                    assert!(is_fine, "{}: `{room}` must not know `{known}`:\n{line}", file.display());
                }
            }
        }
    }
}

#[test]
fn what_rooms_must_not_know_is_named_nowhere_in_them() {
    let barred: [(&str, &[&str]); 8] = [
        ("scim", &["diesel", "actix", "tokio", "std::fs", "std::net", "Utc::now", "getrandom", "uuid"]),
        ("store", &["actix"]),
        ("auth", &["actix", "diesel"]),
        ("provider", &["actix", "diesel", "StatusCode"]),
        ("http", &["diesel", "rusqlite"]),
        ("admin", &["actix", "ureq", "clap", "diesel"]),
        ("cli", &["actix", "diesel"]),
        ("conformance", &["actix", "diesel"]),
    ];
    for (room, words) in barred {
        for file in
            files_below(&[&format!("src/{room}")]).iter().filter(|file| file.extension().is_some_and(|e| e == "rs"))
        {
            let source = fs::read_to_string(file).unwrap();
            let program = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let is_test = file.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
            for line in program.lines().filter(|line| !is_test && !line.trim_start().starts_with("//")) {
                let named = words
                    .iter()
                    .find(|word| line.contains(&format!("{word}::")) || line.contains(&format!("use {word}")));
                assert!(named.is_none(), "{}: `{room}` must not know {named:?}:\n{line}", file.display());
            }
        }
    }
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in ["ARCHITECTURE.md", "README.md", "SCIM.md"] {
        let text = read(document);
        for name in text.split('`').skip(1).step_by(2) {
            let looks_like_a_path = ["src/", "tests/", "migrations/", "benches/", "deploy/", ".ci/"]
                .iter()
                .any(|start| name.starts_with(start));
            if looks_like_a_path && !name.contains(['*', '<', ' ', '{', '\n']) {
                assert!(root.join(name).exists(), "{document} names {name}, which is not there");
            }
        }
    }
}
