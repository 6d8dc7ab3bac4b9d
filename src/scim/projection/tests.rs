use super::*;
use crate::scim::schema::{ENTERPRISE_URN, Registry, Resolved, USER_URN};
use serde_json::json;

fn resource_type(name: &str) -> &'static ResourceType {
    Registry::builtin().resource_type(name).expect("built in")
}

fn ines() -> Map<String, Value> {
    let ines = json!({
        "schemas": [USER_URN, ENTERPRISE_URN],
        "id": "1",
        "externalId": "x-1",
        "userName": "ines",
        "name": {"givenName": "Ines", "familyName": "Roth"},
        "emails": [{"value": "ines@acme.example", "type": "work", "primary": true}, {"value": "i@home.example"}],
        ENTERPRISE_URN: {"department": "Field", "manager": {"value": "2", "displayName": "Ada"}},
        "meta": {"resourceType": "User", "version": "W/\"1\""},
    });
    ines.as_object().expect("an object").clone()
}

fn shown(attributes: &str, excluded: &str) -> Value {
    let projection = Projection::parse(resource_type("User"), Some(attributes), Some(excluded)).expect("legal");
    Value::Object(projection.apply(ines()))
}

fn only(attributes: &str) -> Value {
    let mut shown = shown(attributes, "");
    let members = shown.as_object_mut().expect("an object");
    assert_eq!(members.shift_remove("schemas"), Some(json!([USER_URN, ENTERPRISE_URN])));
    assert_eq!(members.shift_remove("id"), Some(json!("1")));
    shown
}

fn without(excluded: &str) -> Vec<String> {
    let shown = shown("", excluded);
    ines().into_iter().filter(|(key, value)| shown.get(key) != Some(value)).map(|(key, _)| key).collect()
}

fn attribute(returned: &str, part_returned: &str) -> &'static Attribute {
    let attribute = serde_json::from_value(json!({
        "name": "x", "type": "complex", "multiValued": false, "mutability": "readWrite", "returned": returned,
        "subAttributes": [
            {"name": "a", "type": "string", "multiValued": false, "mutability": "readWrite", "returned": "default"},
            {"name": "b", "type": "string", "multiValued": false, "mutability": "readWrite",
             "returned": part_returned},
        ],
    }));
    Box::leak(Box::new(attribute.expect("a valid attribute")))
}

fn naming(attribute: &'static Attribute, part: Option<&str>) -> Vec<Target> {
    let sub_attribute = part.and_then(|part| attribute.sub_attribute(part));
    vec![Target::Attribute(Resolved { schema: None, extension: false, attribute, sub_attribute })]
}

fn projection(selection: Selection) -> Projection {
    Projection { resource_type: resource_type("User"), selection, set: Vec::new() }
}

#[test]
fn proj_07_a_choice_shows_the_minimum_and_what_is_named() {
    assert_eq!(shown("userName", ""), json!({"schemas": [USER_URN, ENTERPRISE_URN], "id": "1", "userName": "ines"}));
}

#[test]
fn proj_01_an_exclusion_shows_the_defaults_without_what_is_named() {
    assert_eq!(without("name,meta"), ["name", "meta"]);
    assert_eq!(shown("", "name.givenName")["name"], json!({"familyName": "Roth"}));
}

#[test]
fn proj_03_names_compare_without_case_and_take_urns() {
    assert_eq!(only("USERNAME"), json!({"userName": "ines"}));
    assert_eq!(only(&format!("{USER_URN}:name.givenname")), json!({"name": {"givenName": "Ines"}}));
    assert_eq!(only("meta.version"), json!({"meta": {"version": "W/\"1\""}}));
    assert_eq!(only("emails.type"), json!({"emails": [{"type": "work"}]}));
    assert_eq!(only("department"), json!({ENTERPRISE_URN: {"department": "Field"}}));
    assert_eq!(only(&format!("{ENTERPRISE_URN}:manager.value")), json!({ENTERPRISE_URN: {"manager": {"value": "2"}}}));
    assert_eq!(only(&ENTERPRISE_URN.to_uppercase()), json!({ENTERPRISE_URN: ines()[ENTERPRISE_URN]}));
    assert_eq!(without(ENTERPRISE_URN), [ENTERPRISE_URN]);
    assert_eq!(without("department,manager"), [ENTERPRISE_URN]);
}

#[test]
fn proj_03_the_bare_urn_of_the_base_schema_means_its_attributes() {
    let core = only(USER_URN);
    assert_eq!(core.as_object().expect("an object").keys().collect::<Vec<_>>(), ["userName", "name", "emails"]);
    assert_eq!(without(USER_URN), ["userName", "name", "emails"]);
}

#[test]
fn proj_03_a_whole_attribute_beside_one_of_its_parts_is_whole() {
    assert_eq!(only("name.givenName,name"), json!({"name": {"givenName": "Ines", "familyName": "Roth"}}));
}

#[test]
fn proj_04_what_is_always_returned_is_not_excluded() {
    assert_eq!(without("id,schemas"), Vec::<String>::new());
}

#[test]
fn proj_05_both_parameters_are_refused() {
    let error = Projection::parse(resource_type("User"), Some("userName"), Some("name")).expect_err("both");
    assert_eq!(error.kind(), ErrorKind::InvalidValue);
}

#[test]
fn proj_06_unknown_names_are_ignored() {
    assert_eq!(only("salary"), json!({}));
    assert_eq!(only("salary,userName"), json!({"userName": "ines"}));
    assert_eq!(without("salary,password.x"), Vec::<String>::new());
}

#[test]
fn proj_06_empty_equals_not_given() {
    for empty in ["", " ", ",", " , "] {
        let projection = Projection::parse(resource_type("User"), Some(empty), Some(empty)).expect("legal");
        assert!(projection.is_default(), "{empty:?}");
    }
}

#[test]
fn odd_text_behind_a_name_is_ignored() {
    let expected = json!({"userName": "ines", "emails": ines()["emails"]});
    assert_eq!(only(r#"emails[type eq "work"],userName"#), expected);
    assert_eq!(only(r#"emails[type eq "work, name"].value , userName"#), expected);
}

#[test]
fn an_empty_array_stays_and_an_emptied_one_disappears() {
    let group = resource_type("Group");
    let shown = |members: Value| {
        let projection = Projection::parse(group, Some("members.display"), None).expect("legal");
        let group = json!({"schemas": [], "id": "1", "members": members});
        Value::Object(projection.apply(group.as_object().expect("an object").clone()))
    };
    assert_eq!(shown(json!([])), json!({"schemas": [], "id": "1", "members": []}));
    assert_eq!(shown(json!([{"value": "2"}])), json!({"schemas": [], "id": "1"}));
}

#[test]
fn qry_07_excluded_members_need_not_be_read() {
    let group = resource_type("Group");
    let members = group.attribute("members").expect("defined").attribute;
    let includes =
        |attributes, excluded| Projection::parse(group, attributes, excluded).expect("legal").includes(members);
    assert!(includes(None, None));
    assert!(includes(Some("members.value"), None));
    assert!(includes(None, Some("members.value")));
    assert!(!includes(None, Some("members")));
    assert!(!includes(Some("displayName"), None));
}

#[test]
fn char_05_always_is_shown_even_if_excluded() {
    let attribute = attribute("always", "default");
    for selection in [Selection::Default, Selection::Only(Vec::new()), Selection::Without(naming(attribute, None))] {
        assert!(projection(selection.clone()).includes(attribute), "{selection:?}");
        assert!(projection(selection).includes_part(attribute, &attribute.sub_attributes[0]));
    }
}

#[test]
fn char_05_parts_that_are_always_returned_go_along() {
    let attribute = attribute("default", "always");
    let value = |selection| projection(selection).value(attribute, json!({"a": 1, "b": 2}));
    assert_eq!(value(Selection::Only(naming(attribute, Some("a")))), Some(json!({"a": 1, "b": 2})));
    assert_eq!(value(Selection::Without(naming(attribute, Some("b")))), Some(json!({"a": 1, "b": 2})));
    assert_eq!(value(Selection::Without(naming(attribute, Some("a")))), Some(json!({"b": 2})));
}

#[test]
fn char_07_request_is_shown_only_if_named() {
    let requested = attribute("request", "default");
    assert!(!projection(Selection::Default).includes(requested));
    assert!(!projection(Selection::Without(Vec::new())).includes(requested));
    assert!(projection(Selection::Only(naming(requested, None))).includes(requested));

    let with_part = attribute("default", "request");
    let value = |selection| projection(selection).value(with_part, json!({"a": 1, "b": 2}));
    assert_eq!(value(Selection::Default), Some(json!({"a": 1})));
    assert_eq!(value(Selection::Only(naming(with_part, None))), Some(json!({"a": 1})));
    assert_eq!(value(Selection::Only(naming(with_part, Some("b")))), Some(json!({"b": 2})));
}

#[test]
fn char_08_never_is_never_shown() {
    let hidden = attribute("never", "default");
    assert!(!projection(Selection::Default).includes(hidden));
    assert!(!projection(Selection::Only(naming(hidden, None))).includes(hidden));

    let with_part = attribute("default", "never");
    let value = |selection| projection(selection).value(with_part, json!({"b": 2}));
    assert_eq!(value(Selection::Default), None);
    assert_eq!(value(Selection::Only(naming(with_part, Some("b")))), None);
}
