//! Counts what reading costs, and fails if twice the input is much more than twice the work.
//!
//! Compiled so that each basic block that is executed calls [`__sanitizer_cov_trace_pc`], in our code and in that of every
//! library, and with an allocator that counts bytes. Both are work: the one finds loops, the other copies. No clock is
//! asked, so the figures are the same on a busy machine. What the standard library brings along in compiled form (the
//! search for one byte, the copying of memory) is not seen.
//!
//! ```text
//! RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 -Cllvm-args=-sanitizer-coverage-trace-pc" \
//!     cargo run --release --no-default-features --example work --target "$(rustc --print host-tuple)"
//! ```
//!
//! With the name of an input and a size it reads that one once, for a profiler to watch.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Display;
use std::hint::black_box;

use scimd::auth::{Token, bearer};
use scimd::scim::filter::{self, MAX_LENGTH};
use scimd::scim::message::{BULK_REQUEST, MAX_OPERATIONS, PATCH_OP};
use scimd::scim::patch::{self, Budget, MemberSource};
use scimd::scim::query::{Parameters, Query};
use scimd::scim::resource::Document;
use scimd::scim::schema::{ENTERPRISE_URN, Registry, ResourceType, USER_URN};
use scimd::scim::version::Preconditions;
use scimd::scim::{Profile, Result, accept, bulk, json, path};
use serde_json::{Map, Value, json};

static mut BLOCKS: u64 = 0;
static mut BYTES: u64 = 0;

/// Called at the start of each basic block.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_trace_pc() {
    // SAFETY: there is one thread.
    unsafe { BLOCKS = BLOCKS.wrapping_add(1) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: the system's allocator does everything.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the caller; there is one thread.
        unsafe {
            BYTES = BYTES.wrapping_add(layout.size() as u64);
            System.alloc(layout)
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as for the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for the caller; there is one thread.
        unsafe {
            BYTES = BYTES.wrapping_add(size as u64);
            System.realloc(pointer, layout, size)
        }
    }
}

/// How often the work may grow when the input doubles. Buffers that double themselves make steps.
const DOUBLED: f64 = 2.5;

/// A kind of text, and how one of about so many bytes is written.
type Input = (&'static str, Box<dyn Fn(usize) -> String>);

/// What is read, and how it is read.
struct Reading {
    name: &'static str,
    /// The largest input; beyond a limit of the server it is refused early.
    up_to: usize,
    inputs: Vec<Input>,
    read: fn(&str),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, size] = arguments.as_slice() {
        return once(name, size.parse().expect("a size in bytes"));
    }
    let mut failed = is_blind();
    for reading in readings() {
        let growths = reading.inputs.iter().map(|input| measured(&reading, input));
        let most = growths.fold(0.0, f64::max);
        println!(
            "{}: {} kinds of input, twice the text at most {most:.2} times the work",
            reading.name,
            reading.inputs.len()
        );
        failed |= most > DOUBLED;
    }
    std::process::exit(i32::from(failed));
}

/// The most by which the work grew when the input doubled. What grew too much is shown in full.
fn measured(reading: &Reading, (name, write): &Input) -> f64 {
    let works: Vec<(usize, u64, u64)> = sizes(reading.up_to)
        .map(|size| {
            let text = write(size);
            let (blocks, bytes) = count(reading.read, &text);
            (text.len(), blocks, bytes)
        })
        .collect();
    let growth = works.windows(2).map(|pair| growth(pair[0], pair[1])).fold(0.0, f64::max);
    if growth > DOUBLED {
        println!(
            "NOT LINEAR: {} {name}, {growth:.2} times (bytes of text, blocks executed, bytes allocated):",
            reading.name
        );
        println!("{works:?}");
    }
    growth
}

/// Whether it would not notice what it is there to notice.
fn is_blind() -> bool {
    let squared = |text: &str| {
        let pairs = text.bytes().flat_map(|left| text.bytes().filter(move |right| left == black_box(*right)));
        black_box(pairs.count());
    };
    let works = [1024, 2048].map(|size| {
        let (blocks, bytes) = count(squared, &"x".repeat(size));
        (size, blocks, bytes)
    });
    let blind = growth(works[0], works[1]) < 3.5;
    if blind {
        println!("nothing is counted: compile it with the RUSTFLAGS of its first lines");
    }
    blind
}

fn once(name: &str, size: usize) {
    for reading in readings() {
        for (input, write) in &reading.inputs {
            if format!("{} {input}", reading.name) == name {
                return (reading.read)(&write(size));
            }
        }
    }
    panic!("no such input: {name}");
}

fn sizes(up_to: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1024), |size| Some(size * 2)).take_while(move |size| *size <= up_to)
}

/// How many times the work there is for an input that is about twice as long. A fixed amount is everybody's, so that a
/// few steps more on a short text are no growth.
fn growth(small: (usize, u64, u64), large: (usize, u64, u64)) -> f64 {
    let per_byte = 2.0 * small.0 as f64 / large.0.max(1) as f64;
    let grown = |small: u64, large: u64| large as f64 / (small + 2000) as f64 * per_byte.min(1.0);
    grown(small.1, large.1).max(grown(small.2, large.2))
}

fn count(read: fn(&str), text: &str) -> (u64, u64) {
    // What is set up on first use is no work of this input.
    read(text);
    let before = (blocks(), bytes());
    read(text);
    (blocks() - before.0, bytes() - before.1)
}

fn blocks() -> u64 {
    // SAFETY: there is one thread.
    unsafe { BLOCKS }
}

fn bytes() -> u64 {
    // SAFETY: there is one thread.
    unsafe { BYTES }
}

fn readings() -> Vec<Reading> {
    vec![
        Reading { name: "filter", up_to: 2 * MAX_LENGTH, inputs: filters(), read: read_filter },
        Reading { name: "path", up_to: 2 * MAX_LENGTH, inputs: paths(), read: read_path },
        Reading { name: "query", up_to: 1 << 17, inputs: queries(), read: read_query },
        Reading { name: "body", up_to: 1 << 20, inputs: bodies(), read: read_body },
        Reading { name: "message", up_to: 1 << 20, inputs: messages(), read: read_message },
        Reading { name: "bulk", up_to: 1 << 18, inputs: bulks(), read: read_bulk },
        Reading { name: "header", up_to: 1 << 16, inputs: headers(), read: read_header },
    ]
}

fn input(name: &'static str, write: impl Fn(usize) -> String + 'static) -> Input {
    (name, Box::new(write))
}

/// `start`, then `again` until the text has the size, then `end`.
fn repeated(name: &'static str, start: impl Display, again: impl Display, end: impl Display) -> Input {
    let (start, again, end) = (start.to_string(), again.to_string(), end.to_string());
    input(name, move |size| {
        let room = size.saturating_sub(start.len() + end.len());
        format!("{start}{}{end}", again.repeat(room / again.len()))
    })
}

/// Openings and as many closings.
fn nested(name: &'static str, open: &'static str, core: &'static str, close: &'static str) -> Input {
    input(name, move |size| {
        let depth = size.saturating_sub(core.len()) / (open.len() + close.len());
        format!("{}{core}{}", open.repeat(depth), close.repeat(depth))
    })
}

fn filters() -> Vec<Input> {
    let mut filters = vec![
        nested("parentheses", "(", "title pr", ")"),
        nested("negations", "not(", "title pr", ")"),
        nested("negations with spaces", "not  ( ", "title pr", " ) "),
        nested("brackets in brackets", "emails[", "type pr", "]"),
        repeated("unclosed parentheses", "", "(", ""),
        repeated("unclosed negations", "", "not(", ""),
        repeated("unclosed brackets", "", "emails[", ""),
        repeated("and", "title pr", " and title pr", ""),
        repeated("or", "title pr", " or title pr", ""),
        repeated("and, or", "title pr", " and title pr or title pr", ""),
        repeated("complex attributes", "emails pr", " and emails pr", ""),
        repeated("elements", "emails[type pr]", " or emails[type pr]", ""),
        repeated("elements with a tail", "emails[type pr].value pr", " or emails[type pr].value pr", ""),
        repeated("one long string", "title eq \"", "x", "\""),
        repeated("escapes", "title eq \"", "\\n\\u00e9\\\\", "\""),
        repeated("combining marks", "title co \"", "e\u{301}\u{323}", "\""),
        repeated("a string without end", "title eq \"", "x\\\"", ""),
        repeated("a quoted string without end", "title eq '", "x", ""),
        repeated("strings", "title eq \"\"", " and title eq \"\"", ""),
        repeated("one long name", "", "x", " pr"),
        repeated("dots", "", "name.", " pr"),
        repeated("colons", "", "urn:", " pr"),
        repeated("the URN of a schema again and again", "", format!("{USER_URN}:"), "title pr"),
        repeated("near misses of keywords", "", "oror", " pr"),
        repeated("andandand", "title pr ", "and", ""),
        repeated("a word for an operator", "title ", "eq", " 1"),
        repeated("a long word for a value", "title eq ", "x", ""),
        repeated("a long number", "title eq ", "1", ""),
        repeated("a long fraction", "title eq 0.", "1", ""),
        repeated("quotes", "", "\"", ""),
        repeated("spaces in front", "", " ", "title pr"),
        repeated("spaces behind", "title pr", " ", ""),
        repeated("spaces between", "title ", " ", " eq 1 and title pr"),
        repeated("spaces before a parenthesis that is none", "not ", " ", "x"),
    ];
    filters.push(input("names, all different", |size| {
        let terms: Vec<String> = (0..size / 16).map(|i| format!("a{i:04} pr")).collect();
        terms.join(" or ")
    }));
    filters
}

fn read_filter(text: &str) {
    for profile in PROFILES {
        let Ok(filter) = filter::parse(text, profile) else { continue };
        black_box(filter.to_string());
        for resource_type in types() {
            let Ok(condition) = filter::resolve(&filter, resource_type, profile) else { continue };
            black_box(filter::matches(&condition, &someone()));
        }
    }
}

fn paths() -> Vec<Input> {
    let mut paths = filters();
    for (_, write) in &mut paths {
        let inner = std::mem::replace(write, Box::new(|_| String::new()));
        *write = Box::new(move |size| format!("emails[{}].value", inner(size.saturating_sub(14))));
    }
    paths.extend([
        repeated("only a name", "", "x", ""),
        repeated("only dots", "", ".", ""),
        repeated("only colons", "", ":", ""),
        repeated("a name of parts", "a", ".a", ""),
        repeated("a URN of many parts", "urn", ":a", ""),
        repeated("a URN and digits", "urn:a:", "2", ".0:User"),
        repeated("a URN and dots", USER_URN, ".a", ""),
        repeated("brackets behind a name", "emails", "[]", ""),
        repeated("closing brackets", "emails", "]", ""),
    ]);
    paths
}

fn read_path(text: &str) {
    black_box(path::is_well_formed(text));
    for profile in PROFILES {
        black_box(filter::parse_path(text, profile).is_ok());
        for resource_type in types() {
            black_box(path::resolve(resource_type, text));
            let message = message(&[json!({"op": "replace", "path": text, "value": "x"})]);
            apply(resource_type, &message, profile);
        }
    }
}

fn queries() -> Vec<Input> {
    vec![
        repeated("ampersands", "", "&", ""),
        repeated("equals signs", "", "=", ""),
        repeated("parameters that nobody knows", "", "a=b&", ""),
        repeated("the same parameter", "", "attributes=userName&", ""),
        repeated("names in a list", "attributes=", "userName,", ""),
        repeated("names that nobody knows", "excludedAttributes=", "x,", ""),
        repeated("commas", "attributes=", ",", ""),
        repeated("brackets in a list", "attributes=", "emails[", ""),
        repeated("brackets and commas", "attributes=", "emails[a,b],", ""),
        repeated("percent signs", "filter=", "%25", ""),
        repeated("a broken encoding", "filter=", "%2", ""),
        repeated("plus signs", "filter=", "+", ""),
        repeated("an encoded filter", "filter=title%20pr", "%20and%20title%20pr", ""),
        repeated("a long number", "count=", "9", ""),
        repeated("a long name", "sortBy=", "name.", ""),
        repeated("a long encoded name", "", "%61", "=b"),
    ]
}

fn read_query(text: &str) {
    let Ok(parameters) = Parameters::parse(text) else { return };
    for profile in PROFILES {
        black_box(Query::resolve_over(&parameters, &types(), profile).is_ok());
    }
}

fn bodies() -> Vec<Input> {
    let user = |rest: &str| format!("{{\"schemas\":[\"{USER_URN}\"],\"userName\":\"x\",{rest}");
    let group = "{\"displayName\":\"x\",\"members\":[";
    vec![
        repeated("open arrays", "", "[", ""),
        repeated("open objects", "", "{\"a\":", ""),
        repeated("a string without end", "{\"a\":\"", "x\\n", ""),
        repeated("spaces", "{", " ", "}"),
        repeated("one long string", user("\"title\":\""), "x", "\"}"),
        repeated("escapes", user("\"title\":\""), "\\u00e9\\n", "\"}"),
        repeated("combining marks", user("\"title\":\""), "e\u{301}\u{323}", "\"}"),
        repeated("a key of escapes", "{\"", "\\u0061", "\":1}"),
        repeated("a long number", user("\"x\":"), "1", "}"),
        repeated("a long exponent", user("\"x\":1e"), "0", "}"),
        repeated("numbers", user("\"x\":[1"), ",1", "]}"),
        repeated("empty objects", user("\"emails\":[{}"), ",{}", "]}"),
        repeated("the same value", user("\"emails\":[{}"), ",{\"value\":\"a\",\"type\":\"work\"}", "]}"),
        repeated("two primaries and more", user("\"emails\":[{}"), ",{\"value\":\"a\",\"primary\":true}", "]}"),
        repeated("arrays in an array", user("\"emails\":[[]"), ",[[[1]]]", "]}"),
        repeated("an address in one", user("\"addresses\":[{\"formatted\":\""), "x\\n", "\"}]}"),
        repeated("the same member", format!("{group}{{\"value\":\"1\"}}"), ",{\"value\":\"1\"}", "]}"),
        counted("keys", user("\"z\":1"), |i| format!(",\"a{i}\":1"), "}"),
        counted("keys of a part", user("\"name\":{\"z\":1"), |i| format!(",\"a{i}\":1"), "}}"),
        counted("qualified keys", user("\"z\":1"), |i| format!(",\"{USER_URN}:a{i}\":1"), "}"),
        counted(
            "keys of an extension",
            user(&format!("\"{ENTERPRISE_URN}\":{{\"z\":1")),
            |i| format!(",\"a{i}\":1"),
            "}}",
        ),
        counted("values", user("\"emails\":[{}"), |i| format!(",{{\"value\":\"{i}\"}}"), "]}"),
        counted("bare values", user("\"emails\":[\"\""), |i| format!(",\"{i}\""), "]}"),
        counted("primaries", user("\"emails\":[{}"), |i| format!(",{{\"value\":\"{i}\",\"primary\":true}}"), "]}"),
        counted(
            "addresses",
            user("\"addresses\":[{}"),
            |i| format!(",{{\"streetAddress\":\"{i}\",\"type\":\"work\"}}"),
            "]}",
        ),
        counted("schemas", user("\"z\":[\"\""), |i| format!(",\"urn:a:{i}\""), "]}"),
        counted(
            "members",
            format!("{group}{{\"value\":\"x\"}}"),
            |i| format!(",{{\"value\":\"{i}\",\"type\":\"User\"}}"),
            "]}",
        ),
    ]
}

/// As [`repeated`], with the number of each repetition.
fn counted(
    name: &'static str,
    start: impl Display,
    again: impl Fn(usize) -> String + 'static,
    end: &'static str,
) -> Input {
    let start = start.to_string();
    input(name, move |size| {
        let mut text = start.clone();
        for i in 1_000_000.. {
            let more = again(i);
            if text.len() + more.len() + end.len() > size {
                break;
            }
            text.push_str(&more);
        }
        text + end
    })
}

fn read_body(text: &str) {
    let Ok(body) = json::object(text.as_bytes()) else { return };
    black_box(Parameters::from_search_request(&body).is_ok());
    for profile in PROFILES {
        black_box(patch::parse(&body, profile).is_ok());
        for resource_type in types() {
            let Ok(accepted) = accept::create(resource_type, &body, profile) else { continue };
            black_box(accept::replace(resource_type, &body, &accepted.document, profile).is_ok());
        }
    }
}

/// Messages that grow in their operations, and such that grow in their values.
fn messages() -> Vec<Input> {
    let operations = |name, operation: &'static str| {
        input(name, move |size| {
            let count = (size / (operation.len() + 1)).min(2 * MAX_OPERATIONS);
            format!("{{\"schemas\":[\"{PATCH_OP}\"],\"Operations\":[{}]}}", vec![operation; count].join(","))
        })
    };
    let one = |rest: &str| format!("{{\"schemas\":[\"{PATCH_OP}\"],\"Operations\":[{{\"op\":\"{rest}");
    vec![
        operations("replace", "{\"op\":\"replace\",\"path\":\"title\",\"value\":\"x\"}"),
        operations(
            "replace without path",
            "{\"op\":\"replace\",\"value\":{\"title\":\"x\",\"name\":{\"givenName\":\"y\"}}}",
        ),
        operations(
            "a part of an element",
            "{\"op\":\"add\",\"path\":\"emails[type eq \\\"work\\\"].value\",\"value\":\"x\"}",
        ),
        operations("a part of a complex value", "{\"op\":\"add\",\"path\":\"name.givenName\",\"value\":\"x\"}"),
        operations("the same element", "{\"op\":\"add\",\"path\":\"emails\",\"value\":[{\"value\":\"x\"}]}"),
        operations("remove what is not there", "{\"op\":\"remove\",\"path\":\"emails[value eq \\\"z\\\"]\"}"),
        operations("paths that nobody knows", "{\"op\":\"add\",\"path\":\"urn:a:b:c.d\",\"value\":1}"),
        operations("one member each", "{\"op\":\"add\",\"path\":\"members\",\"value\":[{\"value\":\"1\"}]}"),
        operations("the same schema", "{\"op\":\"add\",\"path\":\"schemas\",\"value\":[\"urn:a\"]}"),
        operations("no operations", "{}"),
        operations("operations that are none", "1"),
        repeated("a long path", one("add\",\"path\":\""), "a.", "\",\"value\":1}]}"),
        repeated("a long value", one("add\",\"path\":\"title\",\"value\":\""), "x", "\"}]}"),
        repeated(
            "one value in arrays",
            one("add\",\"path\":\"emails\",\"value\":[{\"value\":\"x\"}"),
            ",{\"value\":\"x\"}",
            "]}]}",
        ),
        counted(
            "values",
            one("add\",\"path\":\"emails\",\"value\":[{}"),
            |i| format!(",{{\"value\":\"{i}\"}}"),
            "]}]}",
        ),
        counted("bare values", one("replace\",\"path\":\"emails\",\"value\":[\"\""), |i| format!(",\"{i}\""), "]}]}"),
        counted(
            "values to remove",
            one("remove\",\"path\":\"emails\",\"value\":[{}"),
            |i| format!(",{{\"value\":\"{i}\"}}"),
            "]}]}",
        ),
        counted(
            "members",
            one("add\",\"path\":\"members\",\"value\":[{\"value\":\"x\"}"),
            |i| format!(",{{\"value\":\"{i}\"}}"),
            "]}]}",
        ),
        counted(
            "members to remove",
            one("remove\",\"path\":\"members\",\"value\":[{\"value\":\"x\"}"),
            |i| format!(",{{\"value\":\"{i}\"}}"),
            "]}]}",
        ),
        counted("keys without path", one("add\",\"value\":{\"z\":1"), |i| format!(",\"a{i}\":1"), "}}]}"),
        counted(
            "keys of an extension",
            one(&format!("add\",\"path\":\"{ENTERPRISE_URN}\",\"value\":{{\"z\":1")),
            |i| format!(",\"a{i}\":1"),
            "}}]}",
        ),
        counted(
            "keys of a part",
            one("add\",\"path\":\"name\",\"value\":{\"z\":1"),
            |i| format!(",\"a{i}\":1"),
            "}}]}",
        ),
        counted("keys of an operation", one("add\",\"z\":1"), |i| format!(",\"a{i}\":1"), "}]}"),
    ]
}

fn read_message(text: &str) {
    let Ok(message) = json::object(text.as_bytes()) else { return };
    for profile in PROFILES {
        for resource_type in types() {
            apply(resource_type, &message, profile);
        }
    }
}

fn apply(resource_type: &'static ResourceType, message: &Map<String, Value>, profile: Profile) {
    let Ok(request) = patch::parse(message, profile) else { return };
    let current = Document::from_json(&Value::Object(someone()).to_string()).expect("an object");
    let mut budget = Budget::full();
    let patched = patch::apply(&request, resource_type, &current, &Map::new(), &mut Nobody, profile, &mut budget);
    black_box(patched.is_ok());
}

/// Operations that refer to nobody, to the first, to the one before or after, to themselves.
fn bulks() -> Vec<Input> {
    let start = format!("{{\"schemas\":[\"{BULK_REQUEST}\"],\"Operations\":[");
    let create = |id: &str, member: &str| {
        format!(
            "{{\"method\":\"POST\",\"path\":\"/Groups\",\"bulkId\":\"{id}\",\"data\":{{\"members\":[{{\"value\":\"{member}\"}}]}}}}"
        )
    };
    let first = start.clone() + &create("0", "x");
    vec![
        counted("creations", &first, move |i| format!(",{}", create(&i.to_string(), "x")), "]}"),
        counted("references to the first", &first, move |i| format!(",{}", create(&i.to_string(), "bulkId:0")), "]}"),
        counted("a chain", &first, move |i| format!(",{}", create(&i.to_string(), &format!("bulkId:{}", i - 1))), "]}"),
        counted(
            "a chain backwards",
            &first,
            move |i| format!(",{}", create(&i.to_string(), &format!("bulkId:{}", i + 1))),
            "]}",
        ),
        counted("circles", &first, move |i| format!(",{}", create(&i.to_string(), &format!("bulkId:{i}"))), "]}"),
        repeated("deletions of the same", format!("{start}1"), ",{\"method\":\"DELETE\",\"path\":\"/Users/1\"}", "]}"),
        counted(
            "deletions",
            format!("{start}{{}}"),
            |i| format!(",{{\"method\":\"DELETE\",\"path\":\"/Users/{i}\"}}"),
            "]}",
        ),
        repeated("a long path", format!("{start}{{\"method\":\"DELETE\",\"path\":\"/Users/"), "bulkId:", "\"}]}"),
        repeated(
            "one large value",
            format!("{start}{{\"method\":\"PUT\",\"path\":\"/Users/1\",\"data\":{{\"a\":[1"),
            ",1",
            "]}}]}",
        ),
    ]
}

fn read_bulk(text: &str) {
    let Ok(message) = json::object(text.as_bytes()) else { return };
    for profile in PROFILES {
        black_box(bulk::parse(message.clone(), profile).is_ok());
    }
}

fn headers() -> Vec<Input> {
    vec![
        repeated("spaces", "Bearer", " ", "x"),
        repeated("spaces behind", "Bearer x", " ", ""),
        repeated("a long token", "Bearer scimd_", "0", ""),
        repeated("the word again and again", "", "Bearer ", ""),
        repeated("tags", "", "W/\"1\", ", "\"3\""),
        repeated("tags without end", "", "\"1,", ""),
        repeated("quotes", "", "\"", ""),
        repeated("one long tag", "\"", "x,", "\""),
        repeated("commas", "", ",", ""),
        repeated("what is no tag", "", "\"a\"b, ", ""),
    ]
}

fn read_header(text: &str) {
    if let Some(credentials) = bearer(text.as_bytes()) {
        black_box(Token::parse(credentials).is_some());
    }
    let preconditions = Preconditions { if_match: Some(text.to_owned()), if_none_match: Some(text.to_owned()) };
    black_box(preconditions.check_write(3).is_ok());
}

const PROFILES: [Profile; 2] = [Profile::Compat, Profile::Strict];

fn types() -> [&'static ResourceType; 2] {
    ["User", "Group"].map(|name| Registry::builtin().resource_type(name).expect("it is built in"))
}

fn someone() -> Map<String, Value> {
    let someone =
        json!({"userName": "x", "displayName": "x", "title": "x", "emails": [{"value": "x", "type": "work"}]});
    someone.as_object().expect("an object").clone()
}

fn message(operations: &[Value]) -> Map<String, Value> {
    let message = json!({"schemas": [PATCH_OP], "Operations": operations});
    message.as_object().expect("an object").clone()
}

/// The members of an empty group.
struct Nobody;

impl MemberSource for Nobody {
    fn contains(&mut self, _: &str) -> Result<bool> {
        Ok(false)
    }

    fn all(&mut self) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }

    fn candidates(&mut self, _: &[&str]) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }
}
