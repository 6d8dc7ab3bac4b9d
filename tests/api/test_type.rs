//! Every characteristic and every type, through every attribute of the test type (CHAR-14), by what `/Schemas` says of
//! it (DISC-13).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use scimd::scim::Profile;
use scimd::store::Reach;
use scimd::store::schema::audit;
use serde_json::{Map, Value, json};

use crate::harness::{Api, each_profile_with_test_type, each_with_test_type, run};
use crate::support::http::Response;
use crate::support::test_type::{OPTIONAL, REQUIRED, TEST};

/// The attributes of the base schema as the server publishes them.
fn published(api: &Api) -> Vec<Value> {
    let schema = api.get(&format!("/Schemas/{TEST}")).json();
    schema["attributes"].as_array().expect("attributes").clone()
}

fn name(attribute: &Value) -> &str {
    attribute["name"].as_str().expect("a name")
}

fn is(attribute: &Value, characteristic: &str, wanted: &str) -> bool {
    attribute[characteristic] == wanted
}

fn is_readable(attribute: &Value) -> bool {
    !is(attribute, "returned", "never") && !is(attribute, "mutability", "readOnly")
}

fn is_unique(attribute: &Value) -> bool {
    attribute["uniqueness"].as_str().is_some_and(|uniqueness| uniqueness != "none")
}

/// The n-th value of an attribute, in the order in which values sort.
fn value(attribute: &Value, n: usize) -> Value {
    if attribute["multiValued"] == true {
        return match is(attribute, "type", "boolean") {
            true => json!([single(attribute, n)]),
            false => json!([single(attribute, n), single(attribute, n + 500)]),
        };
    }
    single(attribute, n)
}

fn single(attribute: &Value, n: usize) -> Value {
    match attribute["type"].as_str().expect("a type") {
        "string" => json!(format!("Tëxt {n:04}")),
        "boolean" => json!(n % 2 == 1),
        "decimal" => json!(n as f64 + 0.25),
        "integer" => json!(n as i64 - 3),
        "dateTime" => json!(format!("2026-03-{:02}T09:30:{:02}.{:03}Z", n % 28 + 1, n / 1000, n % 1000)),
        "binary" => json!(STANDARD.encode(format!("bytes {n:04}"))),
        "reference" => json!(format!("https://a.example/{n:04}")),
        _ => {
            let parts = attribute["subAttributes"].as_array().expect("parts").iter();
            let parts = parts.filter(|part| part["mutability"] != "readOnly");
            let element = |(part, at): (&Value, usize)| (name(part).to_owned(), value(part, at));
            let at = if attribute["multiValued"] == true { n } else { n + 1000 };
            parts
                .map(|part| element((part, if name(part) == "primary" { 0 } else { at })))
                .collect::<Map<_, _>>()
                .into()
        }
    }
}

/// A resource with the least that it must have.
fn least(label: &str) -> Value {
    json!({"schemas": [TEST, REQUIRED], "label": label, REQUIRED: {"grade": 1}})
}

/// A resource with these attributes, each at its n-th value.
fn with<'a>(label: &str, n: usize, attributes: impl IntoIterator<Item = &'a Value>) -> Value {
    let mut body = least(label);
    for attribute in attributes.into_iter().filter(|attribute| name(attribute) != "label") {
        body[name(attribute)] = value(attribute, n);
        // Parts that are unique differ from attribute to attribute by themselves: their values need not.
    }
    body
}

/// The value as it is shown by default: without parts that are never shown, or on request alone.
fn shown(attribute: &Value, value: &Value, on_request: bool) -> Value {
    let Some(parts) = attribute["subAttributes"].as_array() else { return value.clone() };
    let is_shown = |part: &&Value| !is(part, "returned", "never") && (on_request || !is(part, "returned", "request"));
    let strip = |element: &Value| -> Value {
        parts
            .iter()
            .filter(is_shown)
            .filter_map(|part| Some((name(part).to_owned(), element.get(name(part))?.clone())))
            .collect::<Map<_, _>>()
            .into()
    };
    match value {
        Value::Array(elements) => elements.iter().map(strip).collect(),
        element => strip(element),
    }
}

fn search(api: &Api, parameters: Value) -> Value {
    let mut body = parameters;
    body["schemas"] = json!(["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]);
    let response = api.post("/Tests/.search", &body);
    assert_eq!(response.status, 200, "{body}\n{}", response.text());
    response.json()
}

fn total(api: &Api, filter: &str) -> u64 {
    search(api, json!({"filter": filter, "attributes": ["label"]}))["totalResults"].as_u64().expect("a number")
}

/// Filters joined, few enough at a time for the limits.
fn joined(terms: &[String], operator: &str) -> Vec<String> {
    terms.chunks(50).map(|terms| terms.join(&format!(" {operator} "))).collect()
}

fn refused(response: &Response, status: u16, scim_type: &str, what: &str) {
    assert_eq!(
        (response.status, &response.json()["scimType"]),
        (status, &json!(scim_type)),
        "{what}: {}",
        response.text()
    );
}

fn path(resource: &Value) -> String {
    format!("/Tests/{}", resource["id"].as_str().expect("an id"))
}

fn patch(operations: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

#[test]
fn char_14_there_is_an_attribute_for_every_combination() {
    each_with_test_type(|api| {
        let mut combinations: BTreeMap<String, usize> = BTreeMap::new();
        for attribute in published(api) {
            let kind = attribute["type"].as_str().unwrap().to_owned();
            *combinations.entry(kind).or_default() += 1;
        }
        let expected = [
            ("binary", 78),
            ("boolean", 26),
            ("complex", 26),
            ("dateTime", 78),
            ("decimal", 78),
            ("integer", 78),
            ("reference", 78),
            ("string", 157),
        ];
        assert_eq!(combinations, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
    });
}

#[test]
fn char_02_char_04_to_char_08_each_attribute_is_returned_as_its_schema_says() {
    each_with_test_type(|api| {
        let attributes = published(api);
        let body = with("all", 1, &attributes);
        let created = api.created("/Tests", &body);
        let at = path(&created);
        let read = api.get(&at).json();
        let brief = api.get(&format!("{at}?attributes=label")).json();
        let names: Vec<&str> = attributes.iter().map(name).collect();
        let mut named = Map::new();
        let mut excluded = Map::new();
        for names in names.chunks(60) {
            let list = names.join(",");
            let chosen = api.get(&format!("{at}?attributes={list}")).json();
            let without = api.get(&format!("{at}?excludedAttributes={list}")).json();
            for name in names {
                named.extend(chosen.get(*name).map(|value| ((*name).to_owned(), value.clone())));
                excluded.extend(without.get(*name).map(|value| ((*name).to_owned(), value.clone())));
            }
        }
        for attribute in &attributes {
            let (name, returned) = (name(attribute), attribute["returned"].as_str().unwrap());
            let sent = body.get(name).filter(|_| is_readable(attribute)).map(|value| shown(attribute, value, false));
            let after = body.get(name).filter(|_| is_readable(attribute)).map(|value| shown(attribute, value, true));
            let of = |wanted: &[&str], value: &Option<Value>| value.clone().filter(|_| wanted.contains(&returned));
            assert_eq!(created.get(name).cloned(), of(&["always", "default", "request"], &after), "POST {name}");
            assert_eq!(read.get(name).cloned(), of(&["always", "default"], &sent), "GET {name}");
            assert_eq!(named.get(name).cloned(), of(&["always", "default", "request"], &sent), "attributes={name}");
            assert_eq!(excluded.get(name).cloned(), of(&["always"], &sent), "excludedAttributes={name}");
            let whole = of(&["always"], &sent).or_else(|| (name == "label").then(|| json!("all")));
            assert_eq!(brief.get(name).cloned(), whole, "attributes=label: {name}");
        }
    });
}

#[test]
fn char_05_char_07_parts_follow_their_own_rule() {
    each_profile_with_test_type(|api| {
        let attributes = published(api);
        let attribute =
            attributes.iter().find(|attribute| name(attribute) == "complex_many_readWrite_default").unwrap();
        let created = api.created("/Tests", &with("parts", 2, [attribute]));
        let at = path(&created);
        let part = api.get(&format!("{at}?attributes={}.asked", name(attribute))).json();
        let patched = api.patch(&at, &patch(json!([{"op": "replace", "path": "label", "value": "new"}]))).json();
        let asked =
            patch(json!([{"op": "replace", "path": format!("{}[value pr].asked", name(attribute)), "value": 9}]));
        let set = api.patch(&at, &asked).json();

        let asked_for = |element: &Value| json!({"seal": element["seal"], "asked": element["asked"]});
        let elements: Vec<Value> = value(attribute, 2).as_array().unwrap().iter().map(asked_for).collect();
        assert_eq!(part[name(attribute)], json!(elements));
        assert!(patched[name(attribute)][0].get("asked").is_none());
        assert_eq!(set[name(attribute)][0]["asked"], 9);
    });
}

#[test]
fn char_07_bulk_03_bulk_06_what_is_returned_on_request_is_shown_to_whom_sets_it() {
    each_profile_with_test_type(|api| {
        let attribute = "string_one_readWrite_request_exact_none";
        let mut body = least("one");
        body[attribute] = json!("a");
        let set = |value: &str| patch(json!([{"op": "replace", "path": attribute, "value": value}]));
        let relabel = patch(json!([{"op": "replace", "path": "label", "value": "new"}]));
        let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [
            {"method": "POST", "path": "/Tests", "bulkId": "t", "data": body},
            {"method": "PATCH", "path": "/Tests/bulkId:t", "data": set("b")},
            {"method": "PATCH", "path": "/Tests/bulkId:t", "data": relabel},
            {"method": "PUT", "path": "/Tests/bulkId:t", "data": body},
        ]})
        .to_string();
        let prefer = [("Prefer", "return=representation"), ("Content-Type", "application/scim+json")];

        let answer = api.send("POST", "/Bulk", &prefer, Some(bulk.as_bytes())).json();

        let shown = |at: usize| answer["Operations"][at]["response"].get(attribute).cloned();
        assert_eq!(
            [shown(0), shown(1), shown(2), shown(3)],
            [Some(json!("a")), Some(json!("b")), None, Some(json!("a"))]
        );
    });
}

#[test]
fn char_09_char_10_char_13_each_attribute_is_compared_as_its_schema_says() {
    each_with_test_type(|api| {
        let attributes: Vec<Value> =
            published(api).into_iter().filter(is_readable).filter(|it| name(it) != "label").collect();
        api.created("/Tests", &with("here", 1, &attributes));
        api.created("/Tests", &with("there", 7, &attributes));
        let (mut hits, mut misses) = (Vec::new(), Vec::new());
        let simple = attributes.iter().filter(|attribute| !is(attribute, "type", "complex"));
        for attribute in simple {
            let (name, literal) = (name(attribute), single(attribute, 1));
            let kind = attribute["type"].as_str().unwrap();
            hits.extend(["eq"].map(|op| format!("{name} {op} {literal}")));
            hits.push(format!("{name} pr"));
            misses.push(format!("{name} eq {}", if kind == "boolean" { json!(false) } else { single(attribute, 2) }));
            if attribute["multiValued"] == true {
                hits.push(format!("{name}[value eq {literal}]"));
            }
            if kind == "boolean" {
                continue;
            }
            hits.push(format!("not ({name} ne {literal})"));
            if kind != "binary" {
                hits.push(format!("{name} ge {literal} and {name} le {literal}"));
                misses.push(format!("{name} lt {literal}"));
                hits.push(format!("{name} lt {}", single(attribute, 2)));
            }
            let text = literal.as_str().unwrap_or_default();
            if kind == "reference" {
                misses.push(format!("{name} eq {}", json!(text.to_uppercase())));
                hits.push(format!(
                    "{name} sw \"https://a.example/00\" and {name} ew \"0001\" and {name} co \"example/0001\""
                ));
            }
            if kind == "string" {
                let upper = format!("{name} eq {}", json!(text.to_uppercase()));
                let folded = attribute["caseExact"] == false;
                if folded {
                    hits.push(upper)
                } else {
                    misses.push(upper)
                }
                hits.push(format!("{name} sw \"Tëxt 0001\" and {name} ew \"0001\" and {name} co \"ëxt 0001\""));
            }
        }
        for filter in joined(&hits, "and") {
            assert_eq!(total(api, &format!("label eq \"here\" and {filter}")), 1, "{filter}");
        }
        for filter in joined(&misses, "or") {
            assert_eq!(total(api, &format!("label eq \"here\" and ({filter})")), 0, "{filter}");
        }
    });
}

#[test]
fn char_04_char_08_flt_32_flt_33_what_is_never_returned_is_never_searched() {
    each_with_test_type(|api| {
        let hidden: Vec<Value> =
            published(api).into_iter().filter(|attribute| is(attribute, "returned", "never")).collect();
        for attribute in &hidden {
            let name = name(attribute);
            let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": format!("{name} pr")});
            refused(&api.post("/Tests/.search", &body), 400, "invalidFilter", name);
            refused(&api.get(&format!("/Tests?filter={name}%20pr")), 403, "sensitive", name);
        }
        for filter in
            ["complex_one_readWrite_default.secret eq \"x\"", "complex_many_readWrite_default[secret eq \"x\"]"]
        {
            let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": filter});
            refused(&api.post("/Tests/.search", &body), 400, "invalidFilter", filter);
        }
        // A path is in no URL: not for `sensitive`, and not answered either.
        let created = path(&api.created("/Tests", &least("x")));
        for selected in
            ["complex_many_readWrite_default[secret eq \"x\"]", "complex_many_writeOnly_never[value eq \"x\"]"]
        {
            let removal = patch(json!([{"op": "remove", "path": selected}]));
            refused(&api.patch(&created, &removal), 400, "invalidFilter", selected);
        }
        let sorted = api.get("/Tests?sortBy=string_one_writeOnly_never_exact_none");
        refused(&sorted, 400, "invalidValue", "sortBy");
    });
}

#[test]
fn char_08_the_history_has_no_secrets() {
    each_with_test_type(|api| {
        let attributes = published(api);
        let created = api.created("/Tests", &with("secret", 1, &attributes));
        assert_eq!(api.put(&path(&created), &with("secret", 1, &attributes)).status, 200);
        let mut other = with("secret", 2, &attributes);
        for attribute in attributes.iter().filter(|it| is(it, "mutability", "immutable")) {
            other[name(attribute)] = value(attribute, 1);
        }
        let replaced = api.put(&path(&created), &other);
        assert_eq!(replaced.status, 200, "{}", replaced.text());
        let id = created["id"].as_str().unwrap().to_owned();
        let changes = run(api.store.read(Reach::Scan, move |connection| {
            audit::table
                .filter(audit::resource_id.eq(id))
                .select(audit::changes)
                .load::<String>(connection)
                .map_err(Into::into)
        }));
        assert_eq!(changes.len(), 2);
        for text in changes {
            let change: Value = serde_json::from_str(&text).unwrap();
            for side in ["before", "after"].iter().filter_map(|side| change.get(side)) {
                let is_secret = |it: &&Value| is(it, "returned", "never") && !is(it, "mutability", "readOnly");
                let is_fixed = |it: &&Value| change.get("before").is_some() && is(it, "mutability", "immutable");
                for attribute in attributes.iter().filter(is_secret).filter(|it| !is_fixed(it)) {
                    assert_eq!(side[name(attribute)], "***", "{}", name(attribute));
                }
                assert_eq!(side["complex_many_readWrite_default"][0]["secret"], "***");
            }
        }
    });
}

#[test]
fn flt_20_operators_apply_as_the_type_says() {
    each_with_test_type(|api| {
        for (kind, illegal) in [
            ("boolean_one_readWrite_default", &["gt", "co", "sw"][..]),
            ("binary_one_readWrite_default_none", &["gt", "le", "co"]),
            ("integer_one_readWrite_default_none", &["co", "sw", "ew"]),
            ("decimal_many_readWrite_default_none", &["co"]),
            ("dateTime_one_readWrite_default_none", &["sw"]),
            ("complex_one_readWrite_default.since", &["co"]),
        ] {
            let literal = match kind.split('_').next().unwrap() {
                "boolean" => json!(true),
                "integer" | "decimal" => json!(1),
                "binary" => json!("AQ=="),
                _ => json!("2026-03-01T09:30:00Z"),
            };
            for operator in illegal {
                let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
                    "filter": format!("{kind} {operator} {literal}")});
                refused(&api.post("/Tests/.search", &body), 400, "invalidFilter", &body.to_string());
            }
        }
    });
}

#[test]
fn sort_02_sort_03_sort_04_every_type_sorts_in_its_own_order() {
    each_with_test_type(|api| {
        let attributes: Vec<Value> = published(api)
            .into_iter()
            .filter(|attribute| is(attribute, "mutability", "readWrite") && is(attribute, "returned", "default"))
            .filter(|attribute| !is_unique(attribute) && name(attribute) != "label")
            .collect();
        for n in [3, 1, 2] {
            let mut body = with(&format!("{n}"), n, &attributes);
            // The second value of a part is smaller than any first one: it must not count.
            for many in ["complex_one_readWrite_default", "complex_many_readWrite_default"] {
                let element = body.pointer_mut(&format!("/{many}")).unwrap();
                let element = if element.is_array() { &mut element[0] } else { element };
                element["tags"] = json!([format!("t{n}"), format!("a{}", 9 - n)]);
            }
            let elements = body["complex_many_readWrite_default"].as_array_mut().unwrap();
            elements.swap(0, 1);
            elements[1]["primary"] = json!(true);
            elements[0]["primary"] = json!(false);
            api.created("/Tests", &body);
        }
        api.created("/Tests", &least("none"));
        let mut orders: Vec<String> = Vec::new();
        for attribute in &attributes {
            match attribute["subAttributes"].as_array() {
                Some(parts) => orders.extend(
                    parts
                        .iter()
                        .map(name)
                        .filter(|part| !["primary", "secret", "computed", "type"].contains(part))
                        .map(|part| format!("{}.{part}", name(attribute))),
                ),
                None => orders.push(name(attribute).to_owned()),
            }
        }
        assert_eq!(orders.len(), 7 * 2 + 2 + 2 * 8);
        for order in orders {
            let labels = |direction: &str| -> Vec<String> {
                let list = search(api, json!({"sortBy": order, "sortOrder": direction, "attributes": ["label"]}));
                list["Resources"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|it| it["label"].as_str().unwrap().to_owned())
                    .collect()
            };
            if order.starts_with("boolean") {
                assert_eq!(labels("ascending"), ["2", "3", "1", "none"], "{order}");
                assert_eq!(labels("descending"), ["none", "3", "1", "2"], "{order}");
                continue;
            }
            assert_eq!(labels("ascending"), ["1", "2", "3", "none"], "{order}");
            assert_eq!(labels("descending"), ["none", "3", "2", "1"], "{order}");
        }
        let whole = api.get("/Tests?sortBy=complex_many_readWrite_default");
        assert_eq!(whole.status, 200, "SORT-04: it stands for its value");
    });
}

#[test]
fn char_11_char_12_every_unique_attribute_is_unique_and_no_other() {
    each_with_test_type(|api| {
        let attributes: Vec<Value> =
            published(api).into_iter().filter(|attribute| !is(attribute, "mutability", "readOnly")).collect();
        let (unique, others): (Vec<&Value>, Vec<&Value>) =
            attributes.iter().partition(|attribute| is_unique(attribute));
        let holder = api.created("/Tests", &with("holder", 1, &attributes));
        for attribute in &unique {
            let clash = api.post("/Tests", &with("second", 1, [*attribute]));
            refused(&clash, 409, "uniqueness", name(attribute));
            let detail = clash.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(name(attribute)), "{detail}");
            assert!(!is(attribute, "returned", "never") || !detail.contains("0001"), "{detail}");
        }
        let mut free = with("second", 1, others.into_iter().filter(|attribute| !is(attribute, "type", "complex")));
        let mut other_values = with("third", 2, unique.iter().copied());
        free[REQUIRED] = json!({"grade": 2});
        other_values[REQUIRED] = json!({"grade": 2});
        api.created("/Tests", &free);
        let third = api.created("/Tests", &other_values);
        // One of many elements is enough, and so is a PUT or a PATCH; one's own value is no clash.
        let many = "string_many_readWrite_default_folded_server";
        let one_of = patch(json!([{"op": "add", "path": many, "value": ["TËXT 0501"]}]));
        refused(&api.patch(&path(&third), &one_of), 409, "uniqueness", many);
        let mut replaced = other_values.clone();
        replaced["integer_one_readWrite_default_global"] = json!(-2);
        refused(&api.put(&path(&third), &replaced), 409, "uniqueness", "PUT");
        assert_eq!(api.put(&path(&third), &other_values).status, 200);

        assert_eq!(api.delete(&path(&holder)).status, 204);
        api.created("/Tests", &with("after", 1, unique.iter().copied()));
    });
}

#[test]
fn char_11_parts_and_extensions_have_unique_attributes_too() {
    each_with_test_type(|api| {
        let attribute = "complex_many_readWrite_default";
        let code = |label: &str, codes: &[&str]| {
            let mut body = least(label);
            body[attribute] = codes.iter().map(|code| json!({"code": code, "value": code})).collect();
            body
        };
        let serial = |label: &str, urn: &str, serial: &str| {
            let mut body = least(label);
            let required = if urn == REQUIRED { "grade" } else { "rank" };
            body[urn] = json!({required: 1, "serial": serial});
            body
        };
        api.created("/Tests", &code("a", &["X1", "X2"]));
        refused(&api.post("/Tests", &code("b", &["X3", "x2"])), 409, "uniqueness", "a part");
        api.created("/Tests", &serial("c", REQUIRED, "s"));
        refused(&api.post("/Tests", &serial("d", REQUIRED, "s")), 409, "uniqueness", "an extension");
        api.created("/Tests", &serial("e", REQUIRED, "S"));
        api.created("/Tests", &serial("f", OPTIONAL, "s"));
        let elsewhere = api.other_tenant_with_test_type();
        elsewhere.created("/Tests", &serial("c", REQUIRED, "s"));
    });
}

#[test]
fn char_11_concurrent_creates_of_one_value_leave_one() {
    each_with_test_type(|api| {
        let body = |label: usize| {
            let mut body = least(&label.to_string());
            body["decimal_many_readWrite_default_server"] = json!([1, 2.5, label + 100]);
            body
        };
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let post = |label| {
                scope.spawn(move || {
                    api.connection().call(&api.token, "POST", "/Tests", Some(&body(label))).unwrap().status
                })
            };
            let posts: Vec<_> = (0..8).map(post).collect();
            posts.into_iter().map(|post| post.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
    });
}

#[test]
fn char_02_char_03_put_06_patch_12_put_and_patch_respect_mutability() {
    each_with_test_type(|api| {
        let attributes = published(api);
        let body = with("first", 1, &attributes);
        let created = api.created("/Tests", &body);
        let at = path(&created);
        let again = api.put(&at, &body);
        assert_eq!(again.status, 200, "{}", again.text());
        assert_eq!(again.json()["meta"]["version"], created["meta"]["version"], "the same values are no change");
        for attribute in &attributes {
            let name = name(attribute);
            let set = |n| patch(json!([{"op": "replace", "path": name, "value": value(attribute, n)}]));
            match attribute["mutability"].as_str().unwrap() {
                "immutable" => {
                    // A boolean of one value has no other second value.
                    refused(&api.patch(&at, &set(2)), 400, "mutability", name);
                    let add = patch(json!([{"op": "add", "path": name, "value": value(attribute, 2)}]));
                    refused(&api.patch(&at, &add), 400, "mutability", name);
                    let remove = patch(json!([{"op": "remove", "path": name}]));
                    refused(&api.patch(&at, &remove), 400, "mutability", name);
                    assert_eq!(api.patch(&at, &set(1)).status, 200, "{name}");
                }
                "readOnly" => refused(&api.patch(&at, &set(1)), 400, "mutability", name),
                _ => {}
            }
        }
        let mut changed = body.clone();
        changed["integer_one_immutable_default_none"] = json!(77);
        refused(&api.put(&at, &changed), 400, "mutability", "PUT");
        let writable =
            attributes.iter().filter(|it| ["readWrite", "writeOnly"].contains(&it["mutability"].as_str().unwrap()));
        let replaced = api.put(&at, &with("second", 4, writable));
        assert_eq!(replaced.status, 200, "{}", replaced.text());
        let read = api.get(&at).json();
        for attribute in attributes.iter().filter(|it| is_readable(it) && name(it) != "label") {
            let n = if is(attribute, "mutability", "immutable") { 1 } else { 4 };
            let expected = shown(attribute, &value(attribute, n), false);
            let is_shown = !is(attribute, "returned", "request");
            assert_eq!(read.get(name(attribute)).cloned(), is_shown.then_some(expected), "{}", name(attribute));
        }
    });
}

#[test]
fn put_06_patch_12_what_is_immutable_is_set_once_also_later() {
    each_profile_with_test_type(|api| {
        let one = "string_one_immutable_default_exact_none";
        let set = |op: &str, value: &str| patch(json!([{"op": op, "path": one, "value": value}]));
        let whole = |value: Value| {
            let mut body = least("fixed");
            body[one] = value;
            body
        };
        let [by_patch, by_put] = [least("fixed"), least("fixed")].map(|body| path(&api.created("/Tests", &body)));

        assert_eq!(api.patch(&by_patch, &set("add", "a")).json()[one], "a");
        assert_eq!(api.put(&by_put, &whole(json!("a"))).json()[one], "a");

        for at in [&by_patch, &by_put] {
            for op in ["add", "replace"] {
                refused(&api.patch(at, &set(op, "b")), 400, "mutability", op);
                assert_eq!(api.patch(at, &set(op, "a")).status, 200, "the same value is no change");
            }
            refused(&api.put(at, &whole(json!("b"))), 400, "mutability", "PUT");
            refused(&api.put(at, &whole(json!(null))), 400, "mutability", "PUT of null");
            assert_eq!(api.put(at, &least("fixed")).json()[one], "a", "who leaves it out keeps it");
        }
    });
}

#[test]
fn patch_08_what_is_required_counts_at_the_end() {
    each_profile_with_test_type(|api| {
        let at = path(&api.created("/Tests", &least("x")));
        let serial = json!({"op": "add", "path": format!("{OPTIONAL}:serial"), "value": "s"});
        let rank = json!({"op": "add", "path": format!("{OPTIONAL}:rank"), "value": 1});

        refused(&api.patch(&at, &patch(json!([serial]))), 400, "invalidValue", "without the required rank");
        let both = api.patch(&at, &patch(json!([serial, rank])));

        assert_eq!(both.json()[OPTIONAL], json!({"serial": "s", "rank": 1}), "{}", both.text());
    });
}

#[test]
fn patch_a4_values_that_are_not_there_are_appended_to_a_simple_list() {
    // Of spellings of one value the last stays, as a client would see what it sent.
    each_profile_with_test_type(|api| {
        for (name, first, added, expected) in [
            ("string_many_readWrite_default_folded_none", json!(["a"]), json!(["A", "b", "B"]), json!(["A", "B"])),
            ("string_many_readWrite_default_exact_none", json!(["a"]), json!(["A", "a"]), json!(["a", "A"])),
            ("integer_many_readWrite_default_none", json!([1, 2]), json!(3), json!([1, 2, 3])),
            (
                "dateTime_many_readWrite_default_none",
                json!(["2026-03-01T09:30:00Z"]),
                json!(["2026-03-01T10:30:00+01:00"]),
                json!(["2026-03-01T09:30:00.000Z"]),
            ),
        ] {
            let at = path(&api.created("/Tests", &least(name)));
            for value in [&first, &added] {
                let add = patch(json!([{"op": "add", "path": name, "value": value}]));
                let response = api.patch(&at, &add);
                assert_eq!(response.status, 200, "{name}: {}", response.text());
            }
            assert_eq!(api.get(&at).json()[name], expected, "{name}");
        }
    });
}

#[test]
fn flt_29_patch_17_a_name_that_two_extensions_have_means_neither() {
    each_profile_with_test_type(|api| {
        let mut body = least("x");
        body[REQUIRED]["serial"] = json!("s");
        body["schemas"] = json!([TEST, REQUIRED, OPTIONAL]);
        body[OPTIONAL] = json!({"rank": 1, "serial": "t"});
        let at = path(&api.created("/Tests", &body));

        assert_eq!(total(api, "rank eq 1 and grade eq 1"), 1);
        assert_eq!(total(api, &format!("{REQUIRED}:serial eq \"s\" and {OPTIONAL}:serial eq \"t\"")), 1);
        refused(&api.get("/Tests?filter=serial%20eq%20%22s%22"), 400, "invalidFilter", "serial");
        let set =
            |path: &str, value: Value| api.patch(&at, &patch(json!([{"op": "replace", "path": path, "value": value}])));
        assert_eq!(set("rank", json!(2)).json()[OPTIONAL]["rank"], 2);
        let ambiguous = set("serial", json!("u"));
        match api.profile {
            Profile::Strict => refused(&ambiguous, 400, "invalidPath", "serial"),
            Profile::Compat => assert_eq!(ambiguous.status, 200, "{}", ambiguous.text()),
        }
        let now = api.get(&at).json();
        assert_eq!((&now[REQUIRED]["serial"], &now[OPTIONAL]["serial"]), (&json!("s"), &json!("t")));
    });
}

#[test]
fn put_04_what_is_omitted_is_cleared_but_for_what_nobody_can_read() {
    each_with_test_type(|api| {
        let attributes = published(api);
        let hidden = "string_one_writeOnly_never_exact_server";
        let created = api.created("/Tests", &with("first", 1, &attributes));
        let replaced = api.put(&path(&created), &least("second"));
        assert_eq!(replaced.status, 200, "{}", replaced.text());
        let read = api.get(&path(&created)).json();
        for attribute in attributes.iter().filter(|it| is(it, "mutability", "readWrite") && name(it) != "label") {
            assert!(read.get(name(attribute)).is_none(), "{}", name(attribute));
        }
        // Nobody sees it, but its value is still taken.
        let mut same = least("third");
        same[hidden] = json!("Tëxt 0001");
        refused(&api.post("/Tests", &same), 409, "uniqueness", hidden);
    });
}

#[test]
fn char_01_res_20_what_is_required_must_be_there() {
    each_profile_with_test_type(|api| {
        let created = api.created("/Tests", &least("x"));
        for (wrong, missing) in [
            (json!({"schemas": [TEST, REQUIRED], REQUIRED: {"grade": 1}}), "label"),
            (json!({"schemas": [TEST, REQUIRED], "label": "", REQUIRED: {"grade": 1}}), "label"),
            (json!({"schemas": [TEST, REQUIRED], "label": null, REQUIRED: {"grade": 1}}), "label"),
            (json!({"schemas": [TEST, REQUIRED], "label": "x"}), "Required"),
            (json!({"schemas": [TEST, REQUIRED], "label": "x", REQUIRED: {"serial": "s"}}), "grade"),
            (
                json!({"schemas": [TEST, REQUIRED, OPTIONAL], "label": "x", REQUIRED: {"grade": 1}, OPTIONAL: {"serial": "s"}}),
                "rank",
            ),
        ] {
            for response in [api.post("/Tests", &wrong), api.put(&path(&created), &wrong)] {
                refused(&response, 400, "invalidValue", missing);
                assert!(response.json()["detail"].as_str().unwrap().contains(missing), "{}", response.text());
            }
        }
        for removed in ["label".to_owned(), format!("{REQUIRED}:grade"), REQUIRED.to_owned()] {
            let response = api.patch(&path(&created), &patch(json!([{"op": "remove", "path": removed}])));
            refused(&response, 400, "mutability", &removed);
        }
        assert_eq!(api.get(&path(&created)).json()["schemas"], json!([TEST, REQUIRED]));
    });
}

#[test]
fn type_01_to_type_08_type_12_values_of_another_type_are_refused() {
    each_profile_with_test_type(|api| {
        let attributes = published(api);
        let wrong: [(&str, &[Value]); 7] = [
            ("string", &[json!({"a": 1})]),
            ("boolean", &[json!("yes"), json!(1), json!("")]),
            ("integer", &[json!(1.5), json!(1.0), json!(1e3), json!("5"), json!(true)]),
            ("decimal", &[json!("1.5"), json!(true)]),
            (
                "dateTime",
                &[json!("2026-03-01"), json!(1772357400), json!("2026-03-01T24:30:00Z"), json!("2026-13-01T09:30:00Z")],
            ),
            ("binary", &[json!(7), json!("%%%")]),
            ("reference", &[json!(7), json!("not a uri")]),
        ];
        for (kind, values) in wrong {
            for wrong in values {
                let lenient = ["binary", "reference"].contains(&kind) && wrong.is_string() || wrong == "";
                if api.profile == Profile::Compat && lenient {
                    continue;
                }
                let of_kind = attributes.iter().filter(|it| is(it, "type", kind) && is(it, "mutability", "readWrite"));
                for attribute in of_kind.filter(|it| is(it, "returned", "default") && !is_unique(it)) {
                    let mut body = least("wrong");
                    let many = attribute["multiValued"] == true;
                    body[name(attribute)] = if many { json!([wrong]) } else { wrong.clone() };
                    let response = api.post("/Tests", &body);
                    refused(&response, 400, "invalidValue", &body.to_string());
                    assert!(
                        response.json()["detail"].as_str().unwrap().contains(name(attribute)),
                        "{}",
                        response.text()
                    );
                    let wanted =
                        patch(json!([{"op": "replace", "path": name(attribute), "value": body[name(attribute)]}]));
                    let other = api.created("/Tests", &least("right"));
                    refused(&api.patch(&path(&other), &wanted), 400, "invalidValue", name(attribute));
                }
            }
        }
        // TYPE-12: a value where an array belongs.
        let mut body = least("one");
        body["integer_many_readWrite_default_none"] = json!(7);
        let response = api.post("/Tests", &body);
        match api.profile {
            Profile::Strict => refused(&response, 400, "invalidSyntax", "TYPE-12"),
            Profile::Compat => {
                assert_eq!(response.json()["integer_many_readWrite_default_none"], json!([7]), "TYPE-10")
            }
        }
    });
}

#[test]
fn type_03_to_type_11_values_are_kept_and_compared_as_their_type_says() {
    each_profile_with_test_type(|api| {
        let mut body = least("values");
        for (name, value) in [
            ("integer_one_readWrite_default_none", json!(-9_007_199_254_740_993_i64)),
            ("decimal_one_readWrite_default_none", json!(1.0)),
            ("dateTime_one_readWrite_default_none", json!("2026-03-01T10:30:00+01:00")),
            ("dateTime_many_readWrite_default_none", json!(["2026-03-01T09:30:00.1234567", "2026-03-01T09:30:00.5Z"])),
            ("binary_one_readWrite_default_none", json!("-_8")),
            ("reference_one_readWrite_default_none", json!("../Users/7?a=b#c")),
            ("string_one_readWrite_default_exact_none", json!("ℵ\u{1F600} \"\\ \u{301}")),
        ] {
            body[name] = value;
        }
        let created = api.created("/Tests", &body);
        assert_eq!(created["integer_one_readWrite_default_none"], -9_007_199_254_740_993_i64);
        assert_eq!(created["dateTime_one_readWrite_default_none"], "2026-03-01T09:30:00.000Z", "TYPE-09");
        assert_eq!(
            created["dateTime_many_readWrite_default_none"],
            json!(["2026-03-01T09:30:00.123456700Z", "2026-03-01T09:30:00.500Z"])
        );
        for unchanged in [
            "binary_one_readWrite_default_none",
            "reference_one_readWrite_default_none",
            "string_one_readWrite_default_exact_none",
        ] {
            assert_eq!(created[unchanged], body[unchanged]);
        }
        for filter in [
            "integer_one_readWrite_default_none eq -9007199254740993",
            "decimal_one_readWrite_default_none eq 1",
            "dateTime_one_readWrite_default_none eq \"2026-03-01T11:30:00+02:00\"",
            "dateTime_many_readWrite_default_none gt \"2026-03-01T09:30:00.4Z\"",
            "binary_one_readWrite_default_none eq \"+/8=\"",
        ] {
            assert_eq!(total(api, filter), 1, "{filter}");
        }
        assert_eq!(total(api, "integer_one_readWrite_default_none eq -9007199254740992"), 0);
    });
}

#[test]
fn type_14_references_compare_without_the_version_segment() {
    each_with_test_type(|api| {
        let mut body = least("ref");
        body["complex_one_readWrite_default"] = json!({"value": "v", "$ref": format!("{}/Users/7", api.base_url)});
        api.created("/Tests", &body);
        let other = api.base_url.replace("/scim/v2", "/scim");
        assert_eq!(total(api, &format!("complex_one_readWrite_default.$ref eq \"{other}/Users/7\"")), 1);
        assert_eq!(total(api, &format!("complex_one_readWrite_default[$ref eq \"{other}/users/7\"]")), 0);
    });
}

#[test]
fn mv_01_to_mv_05_hold_for_elements_of_a_configured_attribute() {
    each_profile_with_test_type(|api| {
        let attribute = "complex_many_readWrite_default";
        let with = |elements: Value| {
            let mut body = least("mv");
            body[attribute] = elements;
            body
        };
        let two = json!([{"value": "a", "primary": true}, {"value": "b", "primary": true}]);
        let response = api.post("/Tests", &with(two));
        match api.profile {
            Profile::Strict => refused(&response, 400, "invalidValue", "MV-01"),
            Profile::Compat => assert_eq!(response.json()[attribute][0]["primary"], false, "the last one wins"),
        }
        let created = api.created("/Tests", &with(json!([
            {"value": "c", "type": "work", "primary": true}, {"value": "a", "type": "own"}, {"value": "C", "type": "WORK", "count": 5}
        ])));
        assert_eq!(
            created[attribute],
            json!([
                {"value": "C", "type": "WORK", "primary": true, "count": 5}, {"value": "a", "type": "own"}
            ]),
            "MV-03, MV-04, MV-05"
        );
        let second =
            patch(json!([{"op": "replace", "path": format!("{attribute}[value eq \"a\"].primary"), "value": true}]));
        let patched = api.patch(&path(&created), &second).json();
        assert_eq!(
            (&patched[attribute][0]["primary"], &patched[attribute][1]["primary"]),
            (&json!(false), &json!(true)),
            "MV-02"
        );
    });
}
