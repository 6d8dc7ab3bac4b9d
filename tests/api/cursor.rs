//! CUR: lists page by page with cursors (RFC 9865).

use chrono::TimeDelta;
use scimd::scim::Profile;
use serde_json::{Value, json};

use crate::harness::{Api, each, each_profile};
use crate::messages::*;

/// A page of a walk, whose numbers agree (CUR-04).
#[derive(Debug)]
struct Page {
    names: Vec<String>,
    total: u64,
    next: Option<String>,
    previous: Option<String>,
}

#[track_caller]
fn page_of(body: &Value) -> Page {
    let resources = body["Resources"].as_array().expect("Resources is an array");
    assert_eq!(body["itemsPerPage"], json!(resources.len()), "{body}");
    assert_eq!(body.get("startIndex"), None, "{body}");
    let cursor = |name: &str| body.get(name).map(|cursor| cursor.as_str().expect("a cursor is text").to_owned());
    let (next, previous) = (cursor("nextCursor"), cursor("previousCursor"));
    let total = body["totalResults"].as_u64().expect("a total");
    Page { names: names(resources), total, next, previous }
}

#[track_caller]
fn page(api: &Api, path: &str) -> Page {
    let response = api.get(path);
    assert_eq!(response.status, 200, "{}", response.text());
    page_of(&response.json())
}

/// Every page from here on, in one direction.
fn walk(api: &Api, path: &str, cursor: Option<String>, way: impl Fn(&Page) -> Option<String>) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    let mut cursor = cursor;
    while let Some(text) = cursor {
        let page = page(api, &format!("{path}cursor={text}"));
        cursor = way(&page);
        pages.push(page);
    }
    pages
}

fn forward(api: &Api, path: &str) -> Vec<Page> {
    walk(api, path, Some(String::new()), |page| page.next.clone())
}

fn all(pages: &[Page]) -> Vec<String> {
    pages.iter().flat_map(|page| page.names.clone()).collect()
}

fn create_users(api: &Api, prefix: &str, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("{prefix}{number:02}")).collect();
    names.iter().for_each(|name| {
        api.created("/Users", &user(name));
    });
    names
}

#[test]
fn v_31_cur_01_cur_03_cur_04_a_filtered_walk_is_complete_there_and_back() {
    each_profile(|api| {
        let expected = create_users(api, "J", 25);
        create_users(api, "k", 2);
        let path = format!("/Users?filter={}&count=10&", encoded(r#"userName sw "J""#));

        let there = forward(api, &path);

        assert_eq!(all(&there), expected);
        let sizes: Vec<(usize, u64)> = there.iter().map(|page| (page.names.len(), page.total)).collect();
        assert_eq!(sizes, [(10, 25), (10, 25), (5, 25)]);
        assert!(there[0].previous.is_none() && there[1].previous.is_some() && there[2].next.is_none());
        let back = walk(api, &path, there[2].previous.clone(), |page| page.previous.clone());
        let back: Vec<&[String]> = back.iter().map(|page| page.names.as_slice()).collect();
        assert_eq!(back, [&expected[10..20], &expected[..10]], "each page in the order of the list");
    });
}

#[test]
fn cur_01_a_walk_ends_where_the_resources_do() {
    each(|api| {
        let empty = page(api, "/Users?cursor");
        assert_eq!((empty.names.len(), empty.total), (0, 0));
        assert!(empty.next.is_none() && empty.previous.is_none());

        create_users(api, "u", 4);
        let whole = forward(api, "/Users?count=4&");
        assert_eq!(whole.len(), 1, "a full page is the last one if nothing follows");
        assert_eq!(forward(api, "/Users?count=2&").len(), 2);
        assert_eq!(page(api, "/Users?cursor=&count=3").names.len(), 3);
        let nothing = page(api, "/Users?cursor&count=0");
        assert_eq!((nothing.names.len(), nothing.total, nothing.next), (0, 4, None));
    });
}

#[test]
fn cur_02_cur_10_a_cursor_is_text_for_urls_that_tells_nothing() {
    each(|api| {
        create_users(api, "secretive", 3);
        let first = page(api, "/Users?cursor&count=1&sortBy=userName");

        let cursor = first.next.expect("more");

        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), "{cursor}");
        assert!(cursor.len() < 200, "{cursor}");
        assert!(!cursor.contains("secretive"));
    });
}

#[test]
fn cur_05_cur_08_a_cursor_is_good_for_its_key_and_its_query_alone() {
    each_profile(|api| {
        create_users(api, "u", 3);
        let query = "sortBy=id&sortOrder=descending&attributes=userName";
        let good = page(api, &format!("/Users?{query}&cursor&count=1")).next.expect("more");
        let mut tampered = good.clone();
        tampered.replace_range(10..11, if &good[10..11] == "A" { "B" } else { "A" });
        let other_key = api.with_key(Profile::Strict, "read write");
        let other_tenant = api.other_tenant();
        let refused = |api: &Api, path: &str| assert_error(&api.get(path), 400, Some("invalidCursor"));

        let details = [
            refused(api, &format!("/Users?{query}&cursor={tampered}")),
            refused(api, &format!("/Users?{query}&cursor=x")),
            refused(api, &format!("/Users?{query}&cursor=%FF")),
            refused(api, &format!("/Users?{query}&cursor={}", "A".repeat(3000))),
            refused(&other_key, &format!("/Users?{query}&cursor={good}")),
            refused(&other_tenant, &format!("/Users?{query}&cursor={good}")),
            refused(api, &format!("/Groups?{query}&cursor={good}")),
            refused(
                api,
                &format!("/Users/{}?filter=id+pr&{query}&cursor={good}", "0195a1f0-5b1e-7c3d-9a2b-3c4d5e6f7081"),
            ),
            refused(api, &format!("?{query}&cursor={good}")),
            refused(api, &format!("/Users?{query}&filter=id+pr&cursor={good}")),
            refused(api, &format!("/Users?sortBy=userName&sortOrder=descending&attributes=userName&cursor={good}")),
            refused(api, &format!("/Users?sortBy=id&attributes=userName&cursor={good}")),
            refused(api, &format!("/Users?sortBy=id&sortOrder=descending&cursor={good}")),
        ];

        assert!(details.iter().all(|detail| *detail == details[0]), "{details:?}");
        assert_eq!(page(api, &format!("/Users?{query}&cursor={good}")).names, ["u01"], "it is still good");
    });
}

#[test]
fn cur_05_cur_10_no_character_of_a_cursor_can_be_another() {
    each(|api| {
        create_users(api, "secretive", 3);
        let good = page(api, "/Users?cursor&count=1&sortBy=userName").next.expect("more");
        let refused = |cursor: &str| {
            let path = format!("/Users?count=1&sortBy=userName&cursor={}", encoded(cursor));
            assert_error(&api.get(&path), 400, Some("invalidCursor"))
        };

        for at in 0..good.len() {
            let mut forged = good.clone();
            forged.replace_range(at..=at, if &good[at..=at] == "A" { "B" } else { "A" });
            refused(&forged);
        }
        for forged in [&good[1..], &good[..good.len() - 1], &format!("{good}A"), &format!("{good}="), &good.repeat(2)] {
            refused(forged);
        }
    });
}

#[test]
fn cur_06_disc_06_a_cursor_is_good_for_as_long_as_is_advertised() {
    each(|api| {
        create_users(api, "u", 3);
        let timeout = api.get("/ServiceProviderConfig").json()["pagination"]["cursorTimeout"].as_i64().unwrap();
        let path = |cursor: &str| format!("/Users?count=1&cursor={cursor}");
        let first = page(api, "/Users?cursor&count=1").next.expect("more");

        let just_in_time = api.later(TimeDelta::seconds(timeout - 60));
        let second = page(&just_in_time, &path(&first));
        let too_late = api.later(TimeDelta::seconds(timeout + 1));
        let expired = too_late.get(&path(&first));

        assert_eq!(second.names, ["u01"]);
        assert!(assert_error(&expired, 400, Some("expiredCursor")).contains(&timeout.to_string()));
        assert_eq!(page(&too_late, &path(&second.next.unwrap())).names, ["u02"], "each page has a fresh one");
    });
}

#[test]
fn cur_07_the_count_of_a_walk_does_not_change() {
    each_profile(|api| {
        create_users(api, "u", 5);
        let next = page(api, "/Users?cursor&count=2").next.expect("more");

        assert_eq!(page(api, &format!("/Users?cursor={next}&count=2")).names, ["u02", "u03"]);
        assert_eq!(page(api, &format!("/Users?cursor={next}")).names, ["u02", "u03"], "that of the first page");
        assert_error(&api.get(&format!("/Users?cursor={next}&count=3")), 400, Some("invalidCount"));
        for count in ["two", "1.5", ""] {
            assert_error(&api.get(&format!("/Users?cursor&count={count}")), 400, Some("invalidCount"));
        }
        assert_eq!(page(api, "/Users?cursor&count=5000").names.len(), 5);
    });
}

#[test]
fn cur_09_a_cursor_grants_nothing() {
    each(|api| {
        create_users(api, "u", 3);
        let next = page(api, "/Users?cursor&count=1").next.expect("more");
        let path = format!("/Users?cursor={next}&count=1");

        assert_error(&api.with_key(Profile::Compat, "groups:read").get(&path), 403, None);
        assert_eq!(api.anonymous("GET", &path).status, 401);
        let root = page(api, "?filter=id+pr&cursor&count=1").next.expect("more");
        let path = format!("?filter=id+pr&count=1&cursor={root}");
        assert_error(&api.with_key(Profile::Compat, "users:read").get(&path), 400, Some("invalidCursor"));
    });
}

#[test]
fn cur_11_comings_and_goings_move_nobody_to_another_page() {
    each(|api| {
        for (path, before) in [("/Users?count=2&", ["b"].as_slice()), ("/Users?count=2&sortBy=userName&", &["a", "b"])]
        {
            let api = &Api::new(api.database, Profile::Compat);
            let users: Vec<Value> = ["b", "d", "f", "h"].map(|name| api.created("/Users", &user(name))).into();
            let first = page(api, &format!("{path}cursor"));
            assert_eq!(first.names, ["b", "d"]);

            // By index, the second page would now begin with somebody else.
            assert_eq!(api.delete(&path_of(&users[1])).status, 204);
            api.created("/Users", &user("a"));

            let second = page(api, &format!("{path}cursor={}", first.next.unwrap()));
            assert_eq!(
                (second.names.as_slice(), second.total),
                (["f", "h"].map(str::to_owned).as_slice(), 4),
                "{path}"
            );
            let back = page(api, &format!("{path}cursor={}", second.previous.unwrap()));
            assert_eq!(back.names, before);
        }
    });
}

#[test]
fn cur_11_a_page_that_became_empty_leads_back() {
    each(|api| {
        let users: Vec<Value> = ["a", "b", "c"].map(|name| api.created("/Users", &user(name))).into();
        let first = page(api, "/Users?cursor&count=2");
        assert_eq!(api.delete(&path_of(&users[2])).status, 204);

        let empty = page(api, &format!("/Users?count=2&cursor={}", first.next.unwrap()));

        assert_eq!((empty.names.len(), empty.total, &empty.next), (0, 2, &None));
        let back = page(api, &format!("/Users?count=2&cursor={}", empty.previous.unwrap()));
        assert_eq!(back.names, ["a", "b"]);
        assert!(back.previous.is_none() && back.next.is_none());
    });
}

#[test]
fn cur_12_sort_03_a_sorted_walk_has_ties_and_those_without_a_value() {
    each(|api| {
        for (name, title) in [("a", "y"), ("b", ""), ("c", "X"), ("d", "x"), ("e", ""), ("f", "y"), ("g", "x")] {
            let title = if title.is_empty() { Value::Null } else { json!(title) };
            api.created("/Users", &user_with(name, json!({"title": title})));
        }
        let ascending = ["c", "d", "g", "a", "f", "b", "e"];
        let descending = ["b", "e", "a", "f", "c", "d", "g"];
        for (order, expected) in [("ascending", ascending), ("descending", descending)] {
            let by_index = names_at(api, &format!("/Users?sortBy=title&sortOrder={order}"));
            assert_eq!(by_index, expected);
            for count in 1..=8 {
                let path = format!("/Users?sortBy=title&sortOrder={order}&count={count}&");
                let there = forward(api, &path);
                assert_eq!(all(&there), expected, "{path}");
                let last = there.last().unwrap();
                let mut back = walk(api, &path, last.previous.clone(), |page| page.previous.clone());
                back.reverse();
                assert_eq!([all(&back), last.names.clone()].concat(), expected, "back: {path}");
            }
        }
    });
}

#[test]
fn cur_13_without_a_cursor_pages_have_an_index_and_no_cursors() {
    each_profile(|api| {
        create_users(api, "u", 3);
        let config = api.get("/ServiceProviderConfig").json();
        assert_eq!(config["pagination"]["defaultPaginationMethod"], json!("index"));
        for path in ["/Users", "/Users?count=1", "/Users?startIndex=2&count=1"] {
            let response = api.get(path);
            assert_list(&response);
            let body = response.json();
            assert!(body.get("nextCursor").is_none() && body.get("previousCursor").is_none(), "{body}");
        }
    });
}

#[test]
fn cur_14_a_cursor_and_an_index_do_not_go_together() {
    each_profile(|api| {
        for path in
            ["/Users?cursor&startIndex=1", "/Users?startIndex=2&cursor=abc", "?filter=id+pr&cursor&startIndex=1"]
        {
            assert_error(&api.get(path), 400, Some("invalidValue"));
        }
        let both = search(json!({"cursor": "", "startIndex": 1}));
        assert_error(&api.post("/Users/.search", &both), 400, Some("invalidValue"));
    });
}

#[test]
fn cur_15_srch_01_a_cursor_stands_in_a_search_request_as_well() {
    each_profile(|api| {
        let expected = create_users(api, "u", 5);
        let asked = json!({"filter": "userName sw \"u\"", "attributes": ["userName"], "count": 2});
        let mut pages: Vec<Page> = Vec::new();
        let mut cursor = Some(String::new());
        while let Some(text) = cursor {
            let mut request = search(asked.clone());
            request["cursor"] = json!(text);
            let response = api.post("/Users/.search", &request);
            assert_eq!(response.status, 200, "{}", response.text());
            let page = page_of(&response.json());
            cursor = page.next.clone();
            pages.push(page);
        }
        assert_eq!(all(&pages), expected);

        let path = format!("/Users?filter={}&attributes=userName&count=2", encoded("userName sw \"u\""));
        let next = pages[0].next.clone().unwrap();
        assert_eq!(page(api, &format!("{path}&cursor={next}")).names, expected[2..4], "it is the same query with GET");
        assert_error(&api.post("/Groups/.search", &search(json!({"cursor": next}))), 400, Some("invalidCursor"));
        assert_error(&api.post("/Users/.search", &search(json!({"cursor": 5}))), 400, Some("invalidSyntax"));
    });
}

#[test]
fn cur_11_qry_04_a_walk_over_all_types_meets_each_once() {
    each(|api| {
        for number in 0..4 {
            api.created("/Users", &user_with(&format!("u{number}"), json!({"displayName": format!("n{number}")})));
            api.created("/Groups", &group(&format!("N{number}"), &[]));
        }
        let by_creation = ["u0", "N0", "u1", "N1", "u2", "N2", "u3", "N3"];
        assert_eq!(all(&forward(api, "?filter=id+pr&count=3&")), by_creation);
        assert_eq!(all(&forward(api, "?filter=id+pr&count=3&sortBy=displayName&")), by_creation);
        let by_type = forward(api, "?filter=id+pr&count=3&sortBy=meta.resourceType&sortOrder=descending&");
        assert_eq!(all(&by_type), ["u0", "u1", "u2", "u3", "N0", "N1", "N2", "N3"]);
        let request = search(json!({"filter": "meta.resourceType eq \"Group\"", "cursor": "", "count": 3}));
        let first = page_of(&api.post("/.search", &request).json());
        assert_eq!((first.names.as_slice(), first.total), (["N0", "N1", "N2"].map(str::to_owned).as_slice(), 4));
    });
}

#[test]
fn qry_06_a_walk_over_all_types_shows_what_the_key_may_see() {
    each(|api| {
        create_users(api, "u", 2);
        api.created("/Groups", &group("Team", &[]));
        let reader = api.with_key(Profile::Compat, "users:read");
        assert_eq!(all(&forward(&reader, "?filter=id+pr&count=1&")), ["u00", "u01"]);
    });
}
