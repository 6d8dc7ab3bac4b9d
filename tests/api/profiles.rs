//! The table of SCIM.md, row by row: what `compat` takes and `strict` refuses, as clients meet it.

use scimd::scim::Profile;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Api, each_profile};
use crate::messages::*;
use crate::support::http::Response;

/// What a profile makes of it: something that holds of the answer, or its `scimType`.
type Outcome = Result<fn(&Value) -> bool, &'static str>;

/// A row: what a client sends, how it sends it, and what becomes of that under `compat` and under `strict`.
type Row = (&'static str, fn(&Api) -> Response, Outcome, Outcome);

fn fresh() -> String {
    Uuid::now_v7().to_string()
}

fn posted(api: &Api, attributes: Value) -> Response {
    api.post("/Users", &user_with(&fresh(), attributes))
}

fn guide(api: &Api) -> Value {
    let attributes = json!({"title": "Guide", "emails": [{"type": "work", "value": "i@x.org"}], ENTERPRISE: {"department": "Tours"}});
    api.created("/Users", &user_with(&fresh(), attributes))
}

/// A user after this operation.
fn changed(api: &Api, operation: Value) -> Response {
    api.patch(&path_of(&guide(api)), &patch(json!([operation])))
}

fn group_with(api: &Api, member: impl Fn(&Value) -> Value) -> Response {
    let member = member(&guide(api)["id"]);
    api.post("/Groups", &json!({"schemas": [GROUP], "displayName": fresh(), "members": [member]}))
}

fn title() -> Value {
    json!([{"op": "replace", "path": "title", "value": "x"}])
}

fn rows() -> [Row; 29] {
    [
        (
            "POST or PUT without the right `schemas`",
            |api| api.put(&path_of(&guide(api)), &json!({"schemas": [ENTERPRISE], "userName": fresh()})),
            Ok(|user| user["schemas"] == json!([USER])),
            Err("invalidSyntax"),
        ),
        (
            "PATCH without its message schema",
            |api| api.patch(&path_of(&guide(api)), &json!({"Operations": title()})),
            Ok(|user| user["title"] == "x"),
            Err("invalidSyntax"),
        ),
        (
            "bulk without its message schema",
            |api| {
                let create = json!({"method": "POST", "path": "/Users", "bulkId": "a", "data": user(&fresh())});
                api.post("/Bulk", &json!({"Operations": [create]}))
            },
            Ok(|answer| answer["Operations"][0]["status"] == "201"),
            Err("invalidSyntax"),
        ),
        (
            "PATCH in bulk with the bare operations as `data`",
            |api| {
                let change = json!({"method": "PATCH", "path": path_of(&guide(api)), "data": title()});
                api.post("/Bulk", &json!({"schemas": [BULK_REQUEST], "Operations": [change]}))
            },
            Ok(|answer| answer["Operations"][0]["status"] == "200"),
            Ok(|answer| answer["Operations"][0]["response"]["scimType"] == "invalidSyntax"),
        ),
        (
            "PATCH with an empty list of operations",
            |api| api.patch(&path_of(&guide(api)), &patch(json!([]))),
            Ok(|user| user["title"] == "Guide"),
            Err("invalidSyntax"),
        ),
        (
            "`\"\"`",
            |api| changed(api, json!({"op": "replace", "path": "title", "value": ""})),
            Ok(|user| user.get("title").is_none()),
            Ok(|user| user["title"] == ""),
        ),
        (
            "`\"True\"` for a boolean, a number for a text",
            |api| posted(api, json!({"active": "True", "title": 5})),
            Ok(|user| user["active"] == true && user["title"] == "5"),
            Err("invalidValue"),
        ),
        (
            "one value where a list belongs, in POST and PUT",
            |api| posted(api, json!({"emails": {"value": "i@x.org"}})),
            Ok(|user| user["emails"] == json!([{"value": "i@x.org"}])),
            Err("invalidSyntax"),
        ),
        (
            "a list of one, bare text, or an object with a `value`, where another form belongs",
            |api| posted(api, json!({"name": [{"givenName": "I"}], "emails": ["i@x.org"], "title": {"value": "T"}})),
            Ok(|user| {
                user["name"]["givenName"] == "I" && user["emails"][0]["value"] == "i@x.org" && user["title"] == "T"
            }),
            Err("invalidValue"),
        ),
        (
            "attributes of an extension outside their URN",
            |api| posted(api, json!({"department": "Sales"})),
            Ok(|user| user[ENTERPRISE]["department"] == "Sales"),
            Ok(|user| user.get(ENTERPRISE).is_none()),
        ),
        (
            "two primary elements",
            |api| posted(api, json!({"emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]})),
            Ok(|user| user["emails"][0]["primary"] != true && user["emails"][1]["primary"] == true),
            Err("invalidValue"),
        ),
        (
            "a country that is no ISO code, a reference that is no URI, a certificate that is none",
            |api| {
                let odd = [
                    json!({"addresses": [{"country": "Germany"}]}),
                    json!({"profileUrl": "not a uri"}),
                    json!({"x509Certificates": [{"value": "none"}]}),
                ];
                let mut answers = odd.map(|attributes| posted(api, attributes)).into_iter();
                let last = answers.next_back().unwrap();
                assert!(answers.all(|answer| answer.status == last.status), "they are treated alike");
                last
            },
            Ok(|user| user["x509Certificates"] == json!([{"value": "none"}])),
            Err("invalidValue"),
        ),
        (
            "members as bare text",
            |api| group_with(api, Value::clone),
            Ok(|group| group["members"][0]["type"] == "User"),
            Err("invalidValue"),
        ),
        (
            "a member that does not exist",
            |api| group_with(api, |_| json!({"value": NOBODY})),
            Ok(|group| group["members"] == json!([{"value": NOBODY}])),
            Err("invalidValue"),
        ),
        (
            "the `type` of a member that is of another type",
            |api| group_with(api, |id| json!({"value": id, "type": "Group"})),
            Ok(|group| group["members"][0]["type"] == "User"),
            Err("invalidValue"),
        ),
        (
            "a manager that does not exist",
            |api| posted(api, json!({ENTERPRISE: {"manager": {"value": NOBODY}}})),
            Ok(|user| user[ENTERPRISE]["manager"] == json!({"value": NOBODY})),
            Err("invalidValue"),
        ),
        (
            "an unknown attribute in a PATCH",
            |api| changed(api, json!({"op": "add", "path": "salary", "value": 5})),
            Ok(|user| user.get("salary").is_none()),
            Err("invalidPath"),
        ),
        (
            "the resource's own `id`, `schemas`, `meta` in a PATCH without path",
            |api| {
                let echo = guide(api);
                let value = json!({"id": echo["id"], "schemas": echo["schemas"], "meta": echo["meta"]});
                let equal = api.patch(&path_of(&echo), &patch(json!([{"op": "replace", "value": value}])));
                assert_eq!(assert_resource(&equal, 200), echo, "in either profile");
                changed(api, json!({"op": "replace", "value": {"id": NOBODY, "title": "x"}}))
            },
            Ok(|user| user["id"] != NOBODY && user["title"] == "x"),
            Err("mutability"),
        ),
        (
            "`add` or `replace` at a filter that selects nothing",
            |api| changed(api, json!({"op": "replace", "path": "phoneNumbers[type eq \"fax\"].value", "value": "1"})),
            Ok(|user| user["phoneNumbers"] == json!([{"type": "fax", "value": "1"}])),
            Err("noTarget"),
        ),
        (
            "`replace` by `null` or `\"\"` at a filter that selects nothing",
            |api| changed(api, json!({"op": "replace", "path": "phoneNumbers[type eq \"fax\"].value", "value": null})),
            Ok(|user| user.get("phoneNumbers").is_none()),
            Err("noTarget"),
        ),
        (
            "`add` or `replace` of `schemas` in a PATCH",
            |api| changed(api, json!({"op": "replace", "path": "schemas", "value": [USER, "urn:example:unknown"]})),
            Ok(|user| user["schemas"] == json!([USER, ENTERPRISE])),
            Err("invalidValue"),
        ),
        (
            "`remove` with a `value`",
            |api| changed(api, json!({"op": "remove", "path": "emails", "value": [{"value": "nobody@x.org"}]})),
            Ok(|user| user["emails"][0]["value"] == "i@x.org"),
            Err("invalidValue"),
        ),
        (
            "`add` or `replace` with an empty `path`",
            |api| changed(api, json!({"op": "add", "path": "", "value": {"title": "x"}})),
            Ok(|user| user["title"] == "x"),
            Err("invalidPath"),
        ),
        (
            "`add` of `null`",
            |api| changed(api, json!({"op": "add", "path": "title", "value": null})),
            Ok(|user| user.get("title").is_none()),
            Err("invalidValue"),
        ),
        (
            "a filter literal without quotes or in single quotes",
            |api| {
                let id = guide(api)["id"].clone();
                api.get(&format!(
                    "/Users?filter={}",
                    encoded(&format!("title eq Guide and title sw 'g' and id eq {id}"))
                ))
            },
            Ok(|list| list["totalResults"] == 1),
            Err("invalidFilter"),
        ),
        (
            "a `userName` that PRECIS has no place for: symbols and emoji, invisible characters, a space at an end, \
             directions of writing mixed in a word",
            |api| api.post("/Users", &user(&format!("ada \u{1F916} {}", fresh()))),
            Ok(|user| user["userName"].as_str().is_some_and(|name| name.contains('\u{1F916}'))),
            Err("invalidValue"),
        ),
        (
            "a `password` (where there are any) with what RFC 8265 has no place for, such as invisible characters",
            |api| posted(&api.with_passwords(), json!({"password": "sec\u{AD}ret"})),
            Ok(|user| user["id"].is_string()),
            Err("invalidValue"),
        ),
        (
            "`\"true\"` for a boolean, a number for a text, in a filter",
            |api| {
                let id = guide(api)["id"].clone();
                let filter = format!("active eq \"true\" and userName ne 5 and id eq {id}");
                api.get(&format!("/Users?filter={}", encoded(&filter)))
            },
            Ok(|list| list["totalResults"] == 1),
            Err("invalidFilter"),
        ),
        (
            "POST of a disabled user's name with the same `externalId`",
            |api| {
                let body = user_with(&fresh(), json!({"externalId": "e-1"}));
                let mut disabled = body.clone();
                disabled["active"] = json!(false);
                api.created("/Users", &disabled);
                api.post("/Users", &body)
            },
            Ok(|user| user["active"] == true),
            Err("uniqueness"),
        ),
    ]
}

#[test]
fn every_row_of_the_profiles_is_as_scim_md_says() {
    let document = include_str!("../../SCIM.md");
    let table = document.split_once("| What a client sends |").unwrap().1;
    let said: Vec<&str> =
        table.lines().skip(2).map_while(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    assert_eq!(rows().map(|(sends, ..)| sends).to_vec(), said);

    each_profile(|api| {
        for (sends, ask, compat, strict) in rows() {
            let response = ask(api);

            let outcome = if api.profile == Profile::Strict { strict } else { compat };
            let (status, body) = (response.status, response.json());
            match outcome {
                Ok(holds) => assert!((200..300).contains(&status) && holds(&body), "{sends}: {status} {body}"),
                Err(scim_type) => assert_eq!(body["scimType"], scim_type, "{sends}: {status} {body}"),
            }
        }
    });
}
