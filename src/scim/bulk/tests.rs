use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::scim::message::{BULK_REQUEST, MAX_OPERATIONS};
use crate::scim::schema::Registry;
use crate::scim::{ErrorKind, Profile};

fn message(operations: Value) -> Map<String, Value> {
    object(json!({"schemas": [BULK_REQUEST], "Operations": operations}))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn read(operations: Value) -> BulkRequest {
    parse(message(operations), Profile::Strict).expect("a bulk message")
}

fn post(bulk_id: &str, data: Value) -> Value {
    json!({"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data})
}

fn created(names: &[&str]) -> Vec<Option<Created>> {
    let created = |name: &&str| Created { id: format!("id-{name}"), location: format!("https://x/Groups/id-{name}") };
    names.iter().map(|name| (!name.is_empty()).then(|| created(name))).collect()
}

fn known(request: &BulkRequest, at: usize, created: &[Option<Created>]) -> Value {
    let write = request.write(at).expect("a good operation");
    Value::Object(request.data(write, created).known.into_owned())
}

#[track_caller]
fn refused(operation: Value, kind: ErrorKind, part: &str) {
    let request = read(json!([operation, {"method": "DELETE", "path": "/Users/1"}]));
    let error = request.write(0).expect_err("a bad operation");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.detail().contains(part), "{error}");
    assert!(request.write(1).is_ok(), "the others are none the worse");
}

#[test]
fn bulk_01_a_malformed_envelope_is_refused_as_a_whole() {
    let delete = json!({"method": "DELETE", "path": "/Users/1"});
    for body in [
        json!({}),
        json!({"Operations": [delete]}),
        json!({"schemas": BULK_REQUEST, "Operations": [delete]}),
        json!({"schemas": [PATCH_OP], "Operations": [delete]}),
        json!({"schemas": [BULK_REQUEST]}),
        json!({"schemas": [BULK_REQUEST], "Operations": null}),
        json!({"schemas": [BULK_REQUEST], "Operations": delete}),
        json!({"schemas": [BULK_REQUEST], "Operations": []}),
        json!({"schemas": [BULK_REQUEST], "Operations": [delete, "x"]}),
        json!({"schemas": [BULK_REQUEST], "Operations": [delete], "operations": [delete]}),
        json!({"schemas": [BULK_REQUEST], "Operations": [{"method": "DELETE", "METHOD": "PUT", "path": "/Users/1"}]}),
    ] {
        let error = parse(object(body.clone()), Profile::Strict).expect_err("no bulk message");
        assert_eq!(error.kind(), ErrorKind::InvalidSyntax, "{body}");
    }
}

#[test]
fn bulk_01_compat_does_without_schemas_and_names_have_no_case() {
    let body = json!({"OPERATIONS": [{"Method": "delete", "PATH": "/Users/1"}], "failonerrors": 3, "else": 1});
    let request = parse(object(body.clone()), Profile::Compat).expect("a bulk message");
    assert_eq!((request.len(), request.most_errors()), (1, 3));
    assert_eq!(request.write(0).expect("a good operation").method, Method::Delete);
    assert!(parse(object(body), Profile::Strict).is_err());
}

#[test]
fn bulk_02_what_is_wrong_with_an_operation_is_its_own() {
    let data = json!({"displayName": "x"});
    let invalid = ErrorKind::InvalidSyntax;
    refused(json!({"path": "/Users/1"}), invalid, "method");
    refused(json!({"method": 1, "path": "/Users/1"}), invalid, "method");
    refused(json!({"method": "GET", "path": "/Users/1"}), invalid, "method");
    refused(json!({"method": "PUT", "data": data}), invalid, "path");
    refused(json!({"method": "PUT", "path": 1, "data": data}), invalid, "path");
    refused(json!({"method": "PUT", "path": "/Users/1"}), invalid, "data");
    refused(json!({"method": "PUT", "path": "/Users/1", "data": null}), invalid, "data");
    refused(json!({"method": "PUT", "path": "/Users/1", "data": [data]}), invalid, "data");
    refused(json!({"method": "PATCH", "path": "/Users/1", "data": [{"op": "add"}]}), invalid, "data");
    refused(json!({"method": "POST", "path": "/Groups", "data": data}), invalid, "bulkId");
    refused(json!({"method": "POST", "path": "/Groups", "bulkId": "", "data": data}), invalid, "bulkId");
    refused(json!({"method": "POST", "path": "/Groups", "bulkId": 7, "data": data}), invalid, "bulkId");
    refused(json!({"method": "PUT", "path": "/Groups/1", "bulkId": 7, "data": data}), invalid, "bulkId");
    refused(json!({"method": "PUT", "path": "/Groups/1", "version": 7, "data": data}), invalid, "version");
}

#[test]
fn bulk_02_a_bulk_id_stands_once() {
    let twice = [
        json!([post("a", json!({})), post("a", json!({}))]),
        json!([post("a", json!({})), {"method": "DELETE", "path": "/Users/1", "bulkId": "a"}]),
    ];
    for operations in twice {
        let error = parse(message(operations), Profile::Compat).expect_err("a bulkId twice");
        assert_eq!(error.kind(), ErrorKind::InvalidSyntax);
        assert!(error.detail().contains("'a'"), "{error}");
    }
}

#[test]
fn bulk_05_fail_on_errors_is_a_number_of_errors() {
    let most_errors = |value: Value| {
        let mut body = message(json!([{"method": "DELETE", "path": "/Users/1"}]));
        body.insert("failOnErrors".to_owned(), value);
        parse(body, Profile::Strict).map(|request| request.most_errors())
    };
    assert_eq!(most_errors(json!(null)).expect("none"), usize::MAX);
    assert_eq!(most_errors(json!(0)).expect("0"), 1);
    assert_eq!(most_errors(json!(1)).expect("1"), 1);
    assert_eq!(most_errors(json!(7)).expect("7"), 7);
    for bad in [json!(-1), json!(1.5), json!("1"), json!(true), json!([1])] {
        assert_eq!(most_errors(bad).expect_err("no number").kind(), ErrorKind::InvalidValue);
    }
}

#[test]
fn bulk_07_references_are_replaced_wherever_they_stand() {
    let data = json!({
        "displayName": "text with bulkId:a in it",
        "externalId": "bulkId:a",
        "bulkId:a": "a name is no reference",
        "members": [{"value": "bulkId:a", "$ref": "bulkId:a"}, {"value": "1", "$REF": "https://y/Groups/bulkId:a"}],
        ENTERPRISE: {"manager": {"value": "bulkId:a", "$ref": "../Groups/bulkId:a"}, "list": ["bulkId:a", "x"]},
    });
    let request = read(json!([post("a", json!({})), post("b", data)]));
    let here = "https://x/Groups/id-a";
    assert_eq!(
        known(&request, 1, &created(&["a", ""])),
        json!({
            "displayName": "text with bulkId:a in it",
            "externalId": "id-a",
            "bulkId:a": "a name is no reference",
            "members": [{"value": "id-a", "$ref": here}, {"value": "1", "$REF": here}],
            ENTERPRISE: {"manager": {"value": "id-a", "$ref": here}, "list": ["id-a", "x"]},
        })
    );
}

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[test]
fn bulk_07_references_are_replaced_in_the_values_and_filters_of_a_patch() {
    let operations = |id: &str, quoted: &str, location: &str| {
        json!({"schemas": [PATCH_OP], "Operations": [
            {"op": "add", "path": "members", "value": [{"value": id}]},
            {"op": "remove", "path": format!("members[value eq {quoted} or display eq \"a \\\" bulkId:a\"].type")},
            {"op": "remove", "path": "members[display eq 'O\"Neil' or value eq \"x\"]"},
            {"op": "replace", "path": "manager.$ref", "value": location},
            {"op": "replace", "value": {"externalId": id, "path": "bulkId in text"}},
            {"op": "add", "path": "members[value eq \"unfinished", "value": 7},
        ]})
    };
    let message = operations("bulkId:a", "\"bulkId:a\"", "bulkId:a");
    let request = read(json!([post("a", json!({})), {"method": "PATCH", "path": "/Groups/1", "data": message}]));
    assert_eq!(known(&request, 1, &created(&["a", ""])), operations("id-a", "\"id-a\"", "https://x/Groups/id-a"));
}

#[test]
fn bulk_08_a_path_names_a_resource_of_the_request() {
    let request = read(json!([
        post("a b", json!({})),
        {"method": "DELETE", "path": "/Groups/bulkId:a%20b"},
        {"method": "DELETE", "path": "/Groups/bulkId:c"},
    ]));
    assert_eq!(request.write(1).expect("a good operation").target, Some(Target::Created(0)));
    assert_eq!(request.missing(1, &created(&["", "", ""]), &[]), Some(0));
    assert_eq!(request.missing(1, &created(&["a", "", ""]), &[]), None);
    assert_eq!(request.write(2).expect_err("nobody creates c").kind(), ErrorKind::InvalidValue);
}

#[test]
fn bulk_10_what_is_not_there_yet_is_left_out_and_linked_later() {
    let data = json!({
        "displayName": "B",
        "members": [{"value": "bulkId:a"}, {"value": "1"}, {"value": "bulkId:c"}],
        "owners": ["bulkId:c"],
        "id": "bulkId:c",
        ENTERPRISE: {"manager": {"value": "bulkId:c"}, "department": "D"},
    });
    let refers = |to: &str| json!({"members": [{"value": to}]});
    let request = read(json!([post("a", refers("bulkId:b")), post("b", data), post("c", refers("bulkId:b"))]));
    assert_eq!(request.steps(), [Step::Circle(vec![0, 1, 2])]);

    let write = request.write(1).expect("a good operation");
    let part = request.data(write, &created(&["a", "", ""]));
    assert_eq!(
        Value::Object(part.known.clone().into_owned()),
        json!({
            "displayName": "B",
            "members": [{"value": "id-a"}, {"value": "1"}],
            ENTERPRISE: {"department": "D"},
        })
    );
    let everybody = created(&["a", "b", "c"]);
    let link = |name: &str| request.link(&part, resource_type(name), &everybody).map(Value::Object);
    let replace = |value: Value| json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "value": value}]});
    // What the type does not have, and what the server sets, a creation ignores.
    let members = json!([{"value": "id-a"}, {"value": "1"}, {"value": "id-c"}]);
    assert_eq!(link("Group"), Some(replace(json!({"members": members}))));
    assert_eq!(link("User"), Some(replace(json!({ENTERPRISE: {"manager": {"value": "id-c"}}}))));
    let complete = request.data(write, &everybody);
    assert_eq!(request.link(&complete, resource_type("Group"), &everybody), None);
}

fn resource_type(name: &str) -> &'static ResourceType {
    Registry::builtin().resource_type(name).expect("a built-in type")
}

#[test]
fn bulk_11_what_is_required_cannot_be_left_out() {
    let user = resource_type("User");
    for (data, required) in [
        (json!({"userName": "bulkId:b"}), Some("userName")),
        (json!({"USERNAME": "bulkId:b"}), Some("USERNAME")),
        (json!({"userName": "x", "nickName": "bulkId:b"}), None),
        (json!({"userName": "x", ENTERPRISE: {"manager": {"value": "bulkId:b"}}}), None),
        (json!({"userName": "x", "emails": []}), None),
    ] {
        let request = read(json!([post("a", data.clone()), post("b", json!({"userName": "bulkId:a"}))]));
        let part = request.data(request.write(0).expect("a good operation"), &created(&["", ""]));
        assert_eq!(part.required_and_deferred(user), required, "{data}");
    }
}

#[test]
fn bulk_11_an_undefined_reference_is_the_operations_own_mistake() {
    let to = |text: &str| json!({"members": [{"value": text}]});
    refused(post("a", to("bulkId:nobody")), ErrorKind::InvalidValue, "bulkId:nobody");
    refused(post("a", to("bulkId:")), ErrorKind::InvalidValue, "bulkId:");
    // A name that only a deletion has creates nothing.
    let request = read(json!([post("a", to("bulkId:d")), {"method": "DELETE", "path": "/Users/1", "bulkId": "d"}]));
    assert!(request.write(0).is_err());
    let patch = json!({"Operations": [{"op": "remove", "path": "members[value eq \"bulkId:nobody\"]"}]});
    refused(json!({"method": "PATCH", "path": "/Groups/1", "data": patch}), ErrorKind::InvalidValue, "nobody");
}

#[test]
fn bulk_12_a_deletion_comes_after_what_names_its_resource() {
    let names = json!({"members": [{"value": "u"}, {"value": "bulkId:late"}]});
    let request = read(json!([
        post("g", names),
        {"method": "DELETE", "path": "/Users/u"},
        {"method": "POST", "path": "/Devices", "bulkId": "late", "data": {}},
    ]));
    assert_eq!(request.steps(), [Step::One(2), Step::One(0), Step::One(1)]);
}

#[test]
fn bulk_13_a_thousand_operations_and_no_more() {
    let deletions = |count: usize| {
        let operations = (0..count).map(|id| json!({"method": "DELETE", "path": format!("/Users/{id}")}));
        parse(message(operations.collect()), Profile::Strict)
    };
    assert_eq!(deletions(MAX_OPERATIONS).expect("as many as are allowed").len(), 1000);
    let error = deletions(MAX_OPERATIONS + 1).expect_err("one too many");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.detail().contains("maxOperations (1000)"), "{error}");
}

#[test]
fn bulk_15_t_11_compat_takes_the_bare_operations_of_a_patch() {
    let operations = json!([{"op": "remove", "path": "members[value eq \"bulkId:a\"]"}]);
    let body = message(json!([post("a", json!({})), {"method": "PATCH", "path": "/Groups/1", "data": operations}]));
    let request = parse(body, Profile::Compat).expect("a bulk message");
    assert_eq!(
        known(&request, 1, &created(&["a", ""])),
        json!({"Operations": [{"op": "remove", "path": "members[value eq \"id-a\"]"}]})
    );
}

#[test]
fn bulk_06_a_result_says_what_is_known() {
    let request = read(json!([post("a", json!({})), {"method": "put"}, {"method": "DELETE", "path": "/Groups/1"}]));
    let success = Success { version: Some("W/\"1\"".into()), response: Some(r#"{"id":"1"}"#.to_owned()) };
    let outcomes = vec![
        Some(Outcome { location: Some("https://x/1".into()), result: Ok(success) }),
        Some(Outcome { location: None, result: Err(Error::new(ErrorKind::InvalidSyntax, "path must be a string.")) }),
        None,
    ];
    assert_eq!(
        serde_json::from_str::<Value>(&request.response(outcomes)).expect("JSON"),
        json!({"schemas": [BULK_RESPONSE], "Operations": [
            {"location": "https://x/1", "method": "POST", "bulkId": "a", "version": "W/\"1\"", "status": "201",
                "response": {"id": "1"}},
            {"method": "PUT", "status": "400", "response": {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "400", "scimType": "invalidSyntax",
                "detail": "path must be a string."}},
        ]})
    );
}

/// Groups by name, and the names of their members.
type Groups = BTreeMap<String, Vec<String>>;

/// Makes the creations of a bulk request in the order of its plan, with links where something is not there yet.
fn made_in_bulk(request: &BulkRequest) -> Groups {
    let mut created: Vec<Option<Created>> = vec![None; request.len()];
    let mut groups = Groups::new();
    let members = |data: &Map<String, Value>| -> Option<Vec<String>> {
        let values = data.get("members")?.as_array()?.iter().filter_map(|member| member["value"].as_str());
        Some(values.map(|value| value.trim_start_matches("id-").to_owned()).collect())
    };
    for step in request.steps() {
        let together = match step {
            Step::One(one) => vec![*one],
            Step::Circle(circle) => circle.clone(),
        };
        let mut incomplete = Vec::new();
        for at in together {
            let data = request.data(request.write(at).expect("a good operation"), &created);
            let name = data.known["displayName"].as_str().expect("a name").to_owned();
            groups.insert(name.clone(), members(&data.known).unwrap_or_default());
            created[at] = Some(Created { id: format!("id-{name}"), location: String::new() });
            incomplete.push((name, data));
        }
        for (name, data) in incomplete {
            let Some(link) = request.link(&data, resource_type("Group"), &created) else { continue };
            let value = link["Operations"][0]["value"].as_object().expect("a value").clone();
            groups.insert(name, members(&value).expect("members"));
        }
    }
    groups
}

proptest! {
    #[test]
    fn bulk_09_10_12_a_bulk_request_ends_where_the_same_creations_one_by_one_do(
        members in prop::collection::vec(prop::collection::vec(0..12_usize, 0..4), 1..12),
    ) {
        let count = members.len();
        let members: Vec<Vec<String>> =
            members.into_iter().map(|all| all.into_iter().map(|one| (one % count).to_string()).collect()).collect();
        let operations = members.iter().enumerate().map(|(at, members)| {
            let members: Vec<Value> = members.iter().map(|one| json!({"value": format!("bulkId:{one}")})).collect();
            post(&at.to_string(), json!({"displayName": at.to_string(), "members": members}))
        });

        let request = read(operations.collect());

        let one_by_one: Groups = members.into_iter().enumerate().map(|(at, all)| (at.to_string(), all)).collect();
        prop_assert_eq!(made_in_bulk(&request), one_by_one);
    }
}
