use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scim::schema::{ENTERPRISE_URN, GROUP_URN, Registry, USER_URN};

const BOTH: [Profile; 2] = [Profile::Compat, Profile::Strict];

fn resource_type(name: &str) -> &'static ResourceType {
    Registry::builtin().resource_type(name).expect("it is built in")
}

/// A type with what no built-in one has: immutable and readOnly attributes, simple lists, required parts (CHAR-14).
pub(crate) fn thing() -> &'static ResourceType {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
        let attribute = |name: &str, kind: &str, multi_valued: bool, mutability: &str| {
            json!({"name": name, "type": kind, "multiValued": multi_valued, "mutability": mutability,
                   "returned": "default", "caseExact": false})
        };
        let mut code = attribute("code", "string", false, "readWrite");
        code["required"] = json!(true);
        let mut place = attribute("place", "complex", false, "readWrite");
        place["subAttributes"] = json!([attribute("room", "string", false, "immutable"), code]);
        let schema = json!({"id": "urn:example:Thing", "name": "Thing", "attributes": [
            attribute("serial", "string", false, "immutable"),
            attribute("owner", "string", false, "readOnly"),
            attribute("tags", "string", true, "readWrite"),
            attribute("count", "integer", false, "readWrite"),
            attribute("weight", "decimal", false, "readWrite"),
            attribute("made", "dateTime", false, "readWrite"),
            attribute("active", "boolean", false, "readWrite"),
            place,
        ]});
        let extension = json!({"id": "urn:example:Extra", "name": "Extra", "attributes": [
            attribute("note", "string", false, "readWrite"),
        ]});
        let types = json!([{"name": "Thing", "endpoint": "/Things", "schema": "urn:example:Thing",
            "schemaExtensions": [{"schema": "urn:example:Extra", "required": true}]}]);
        Registry::load(&[&schema.to_string(), &extension.to_string()], &types.to_string()).expect("valid schemas")
    });
    LazyLock::force(&REGISTRY).resource_type("Thing").expect("it is loaded")
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

/// The body with what a strict caller must send.
fn with_schemas(resource_type: &ResourceType, body: Value) -> Map<String, Value> {
    let mut body = object(body);
    body.insert("schemas".to_owned(), json!([resource_type.schema.id]));
    body
}

fn create_of(resource_type: &'static ResourceType, body: Value, profile: Profile) -> Result<Accepted> {
    create(resource_type, &with_schemas(resource_type, body), profile)
}

/// The document that the attributes of a user become, without the user name and the default.
fn user(body: Value, profile: Profile) -> Result<Value> {
    let mut body = object(body);
    body.entry("userName").or_insert(json!("x"));
    body.entry("active").or_insert(Value::Null);
    let accepted = create_of(resource_type("User"), Value::Object(body), profile)?;
    let mut members = accepted.document.into_members();
    members.shift_remove("userName");
    Ok(Value::Object(members))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, mention: &str) {
    let error = result.expect_err(mention);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.detail().contains(mention), "'{error}' does not mention '{mention}'");
}

#[test]
fn res_04_names_are_stored_in_the_spelling_of_the_schema() {
    for profile in BOTH {
        let body = json!({"USERNAME": "noor", "Name": {"FAMILYNAME": "Haddad"}, "EMAILS": [{"Value": "n@x.org"}]});
        let document = create_of(resource_type("User"), body, profile).expect("valid").document;
        let expected = json!({"userName": "noor", "name": {"familyName": "Haddad"}, "emails": [{"value": "n@x.org"}],
            "active": true});
        assert_eq!(Value::Object(document.into_members()), expected);
    }
}

#[test]
fn res_05_names_that_differ_by_case_only_are_refused() {
    for profile in BOTH {
        for body in [
            json!({format!("{USER_URN}:title"): "a", USER_URN: {"title": "b"}}),
            json!({ENTERPRISE_URN: {"division": "a"}, format!("{ENTERPRISE_URN}:division"): null}),
            json!({"title": "a", "TITLE": "b"}),
            json!({"name": {"givenName": "a", "GivenName": "b"}}),
            json!({"emails": [{"value": "a", "Value": "b"}]}),
            json!({ENTERPRISE_URN: {"division": "a", "DIVISION": "b"}}),
        ] {
            refused(user(body, profile), ErrorKind::InvalidSyntax, "twice");
        }
    }
    let mut many: Map<String, Value> = (0..20).map(|i| (format!("x{i}"), json!(1))).collect();
    assert!(check_keys(&many).is_ok());
    many.insert("X7".to_owned(), json!(2));
    refused(check_keys(&many), ErrorKind::InvalidSyntax, "X7");
}

#[test]
fn res_03_qualified_names_and_containers_are_read() {
    for profile in BOTH {
        let body = json!({
            format!("{USER_URN}:userName"): "noor", "active": null,
            ENTERPRISE_URN.to_uppercase(): {"Department": "Sales"},
            format!("{ENTERPRISE_URN}:division"): "South",
            USER_URN: {"title": "Guide"},
        });
        let document = create_of(resource_type("User"), body, profile).expect("valid").document;
        let expected = json!({"userName": "noor", "title": "Guide",
            ENTERPRISE_URN: {"department": "Sales", "division": "South"}});
        assert_eq!(Value::Object(document.into_members()), expected);
    }
}

#[test]
fn flt_29_unqualified_extension_attributes_are_assigned_in_compat() {
    let body = json!({"department": "Sales", "manager": "7"});
    let expected = json!({ENTERPRISE_URN: {"department": "Sales", "manager": {"value": "7"}}});
    assert_eq!(user(body.clone(), Profile::Compat).expect("valid"), expected);
    assert_eq!(user(body, Profile::Strict).expect("valid"), json!({}));
}

#[test]
fn a_container_wins_over_an_unqualified_name() {
    for body in [
        json!({"department": null, ENTERPRISE_URN: {"department": "Sales"}}),
        json!({ENTERPRISE_URN: {"department": "Sales"}, "department": null}),
    ] {
        assert_eq!(user(body, Profile::Compat).expect("valid"), json!({ENTERPRISE_URN: {"department": "Sales"}}));
    }
}

#[test]
fn res_18_unknown_attributes_are_ignored_and_named() {
    for profile in BOTH {
        let body = json!({"userName": "x", "salary": 7, "urn:example:custom": {"desk": 1}, "name.givenName": "x",
            "emails": [{"value": "a", "colour": "red"}], ENTERPRISE_URN: {"shoe": 44}});
        let accepted = create_of(resource_type("User"), body, profile).expect("valid");
        assert_eq!(accepted.ignored, ["salary", "urn:example:custom", "name.givenName", "shoe"]);
        assert_eq!(accepted.document.members()["emails"], json!([{"value": "a"}]));
    }
}

#[test]
fn res_19_strict_demands_the_base_schema() {
    let user = resource_type("User");
    for schemas in [json!(null), json!([]), json!(USER_URN), json!([GROUP_URN]), json!([1])] {
        let body = object(json!({"schemas": schemas, "userName": "x"}));
        refused(create(user, &body, Profile::Strict), ErrorKind::InvalidSyntax, USER_URN);
        assert!(create(user, &body, Profile::Compat).is_ok());
    }
    let body = object(json!({"Schemas": [USER_URN.to_lowercase(), "urn:x"], "userName": "x"}));
    assert!(create(user, &body, Profile::Strict).is_ok());
}

#[test]
fn res_07_res_10_usr_03_what_the_server_sets_is_ignored() {
    for profile in BOTH {
        let body = json!({"id": 7, "meta": {"version": 1}, "groups": [{"value": "g"}],
            ENTERPRISE_URN: {"manager": {"value": "m", "$ref": null, "displayName": 7}}});
        let expected = json!({ENTERPRISE_URN: {"manager": {"value": "m"}}});
        assert_eq!(user(body, profile).expect("valid"), expected);
    }
}

#[test]
fn res_14_res_15_nothing_is_stored_for_unassigned_attributes() {
    for profile in BOTH {
        let body = json!({"title": null, "nickName": [], "name": {}, "emails": [], "roles": null, "photos": [null, {}],
            ENTERPRISE_URN: {"manager": {"value": null}, "division": null}});
        assert_eq!(user(body, profile).expect("valid"), json!({}));
        assert_eq!(user(json!({ENTERPRISE_URN: null}), profile).expect("valid"), json!({}));
    }
}

#[test]
fn res_16_empty_text_unassigns_in_compat_and_is_a_value_in_strict() {
    let body = json!({"title": "", "name": {"givenName": "", "familyName": " "}, "emails": [{"value": ""}]});
    assert_eq!(user(body.clone(), Profile::Compat).expect("valid"), json!({"name": {"familyName": " "}}));
    assert_eq!(user(body.clone(), Profile::Strict).expect("valid"), body);
    assert_eq!(user(json!({"active": "", "emails": "", "name": ""}), Profile::Compat).expect("valid"), json!({}));
}

#[test]
fn usr_01_grp_01_required_attributes_are_demanded_by_name() {
    for profile in BOTH {
        for user_name in [json!(null), json!(""), json!([])] {
            let body = json!({"userName": user_name});
            refused(create_of(resource_type("User"), body, profile), ErrorKind::InvalidValue, "userName is required");
        }
        refused(
            create_of(resource_type("Group"), json!({}), profile),
            ErrorKind::InvalidValue,
            "displayName is required",
        );
    }
}

#[test]
fn res_20_required_extensions_and_parts_are_demanded() {
    let full = json!({"urn:example:Extra": {"note": "n"}, "place": {"room": "r", "code": "c"}});
    assert!(create_of(thing(), full, Profile::Strict).is_ok());
    refused(create_of(thing(), json!({}), Profile::Strict), ErrorKind::InvalidValue, "urn:example:Extra");
    let partly = json!({"urn:example:Extra": {"note": "n"}, "place": {"room": "r"}});
    refused(create_of(thing(), partly, Profile::Strict), ErrorKind::InvalidValue, "place.code");
}

#[test]
fn usr_11_active_is_true_unless_said_otherwise() {
    let active = |body: Value| {
        let accepted = create_of(resource_type("User"), body, Profile::Compat).expect("valid");
        accepted.document.members().get("active").cloned()
    };
    assert_eq!(active(json!({"userName": "x"})), Some(json!(true)));
    assert_eq!(active(json!({"userName": "x", "active": false})), Some(json!(false)));
    assert_eq!(active(json!({"userName": "x", "active": null})), None);
}

#[test]
fn type_01_to_08_types_are_enforced() {
    for (body, mention) in [
        (json!({"title": 7}), "title must be a string, not a number"),
        (json!({"title": true}), "title must be a string, not a boolean"),
        (json!({"title": {"x": 1}}), "title must be a string, not an object"),
        (json!({"active": "True"}), "active must be true or false, not a string"),
        (json!({"active": 1}), "active must be"),
        (json!({"name": "Noor"}), "name must be an object, not a string"),
        (json!({"name": [{"givenName": "x"}]}), "name must be an object, not an array"),
        (json!({"emails": [{"value": "a"}, {"value": 7}]}), "emails[1].value must be a string, not a number"),
        (json!({"emails": ["a"]}), "emails[0] must be an object, not a string"),
        (json!({"emails": [{"primary": "True"}]}), "emails[0].primary"),
        (json!({"profileUrl": "not a uri"}), "profileUrl must be a URI reference"),
        (json!({"addresses": [{"country": "Germany"}]}), "addresses[0].country"),
        (json!({"x509Certificates": [{"value": "%%"}]}), "x509Certificates[0].value"),
        (json!({"x509Certificates": [{"value": "YWJj"}]}), "x509Certificates[0].value"),
        (json!({ENTERPRISE_URN: "x"}), ENTERPRISE_URN),
        (json!({ENTERPRISE_URN: {"manager": {"value": 7}}}), "manager.value"),
    ] {
        refused(user(body, Profile::Strict), ErrorKind::InvalidValue, mention);
    }
}

#[test]
fn type_02_to_05_numbers_and_instants() {
    let extra = json!({"note": "n"});
    for profile in BOTH {
        let accepted = |name: &str, value: Value| {
            create_of(thing(), json!({"urn:example:Extra": extra, name: value}), profile)
                .map(|accepted| accepted.document.members()[name].clone())
        };
        assert_eq!(accepted("count", json!(-5)).expect("an integer"), json!(-5));
        assert_eq!(accepted("weight", json!(1.5e3)).expect("a number"), json!(1.5e3));
        let made = accepted("made", json!("2026-03-01T10:00:00")).expect("no zone");
        assert_eq!(made, json!("2026-03-01T10:00:00.000Z"), "TYPE-09");
        for (name, value) in [
            ("count", json!(1.0)),
            ("count", json!(1e3)),
            ("count", json!("5")),
            ("weight", json!("5")),
            ("made", json!("2026-03-01")),
            ("made", json!(1_700_000_000)),
        ] {
            refused(accepted(name, value), ErrorKind::InvalidValue, name);
        }
    }
}

#[test]
fn type_12_t_04_one_value_where_an_array_belongs() {
    let body = json!({"emails": {"value": "a"}});
    refused(user(body.clone(), Profile::Strict), ErrorKind::InvalidSyntax, "emails must be an array");
    assert_eq!(user(body, Profile::Compat).expect("wrapped"), json!({"emails": [{"value": "a"}]}));
}

#[test]
fn q_15_to_q_18_compat_reads_what_identity_providers_send() {
    for (sent, stored) in [
        (json!({"active": "False"}), json!({"active": false})),
        (json!({"title": 701}), json!({"title": "701"})),
        (json!({"title": [{"$ref": null, "value": "Guide"}]}), json!({"title": "Guide"})),
        (json!({"name": [{"givenName": "Noor"}]}), json!({"name": {"givenName": "Noor"}})),
        (
            json!({"emails": ["a@x.org", {"value": "b@x.org"}]}),
            json!({"emails": [{"value": "a@x.org"}, {"value": "b@x.org"}]}),
        ),
        (json!({"roles": "editor"}), json!({"roles": [{"value": "editor"}]})),
        (
            json!({"manager": [{"$ref": "../Users/7", "value": "7"}]}),
            json!({ENTERPRISE_URN: {"manager": {"value": "7"}}}),
        ),
        (
            json!({"profileUrl": "not a uri", "locale": "de_DE", "addresses": [{"country": "Germany"}]}),
            json!({"profileUrl": "not a uri", "locale": "de_DE", "addresses": [{"country": "Germany"}]}),
        ),
        (
            json!({"x509Certificates": [{"value": "-----BEGIN"}]}),
            json!({"x509Certificates": [{"value": "-----BEGIN"}]}),
        ),
        (json!({"roles": [{"value": "{\"id\":\"7\"}"}]}), json!({"roles": [{"value": "{\"id\":\"7\"}"}]})),
    ] {
        assert_eq!(user(sent.clone(), Profile::Compat).expect("tolerated"), stored, "{sent}");
    }
    refused(user(json!({"active": "perhaps"}), Profile::Compat), ErrorKind::InvalidValue, "active");
}

#[test]
fn text_with_a_nul_character_is_refused() {
    for profile in BOTH {
        for body in [json!({"title": "a\0b"}), json!({"emails": [{"value": "\0"}]}), json!({"externalId": "\0"})] {
            refused(user(body, profile), ErrorKind::InvalidValue, "U+0000");
        }
    }
}

#[test]
fn mv_01_two_primaries() {
    let body = json!({"emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}, {"value": "c"}]});
    refused(user(body.clone(), Profile::Strict), ErrorKind::InvalidValue, "emails must have at most one primary");
    let expected =
        json!({"emails": [{"value": "a", "primary": false}, {"value": "b", "primary": true}, {"value": "c"}]});
    assert_eq!(user(body, Profile::Compat).expect("the last one wins"), expected);
}

#[test]
fn mv_03_duplicates_collapse_and_the_last_one_wins() {
    for profile in BOTH {
        let body = json!({
            "emails": [
                {"type": "work", "value": "a@x.org", "display": "old", "primary": true},
                {"type": "home", "value": "a@x.org"},
                {"type": "WORK", "value": "A@x.org", "display": "new"},
            ],
            "addresses": [{"type": "work", "locality": "Ulm"}, {"type": "work", "locality": "Bonn"},
                {"locality": "ulm", "type": "work"}],
        });
        let expected = json!({
            "emails": [{"type": "WORK", "value": "A@x.org", "display": "new", "primary": true},
                {"type": "home", "value": "a@x.org"}],
            "addresses": [{"type": "work", "locality": "ulm"}, {"type": "work", "locality": "Bonn"}],
        });
        assert_eq!(user(body, profile).expect("valid"), expected);
    }
    let accepted =
        create_of(thing(), json!({"tags": ["a", "b", "A"], "urn:example:Extra": {"note": "n"}}), Profile::Strict);
    assert_eq!(accepted.expect("valid").document.members()["tags"], json!(["A", "b"]));
}

fn group(body: Value, profile: Profile) -> Result<Option<Vec<MemberClaim>>> {
    let mut body = object(body);
    body.insert("displayName".to_owned(), json!("g"));
    let accepted = create_of(resource_type("Group"), Value::Object(body), profile)?;
    assert!(!accepted.document.members().contains_key("members"));
    Ok(accepted.members)
}

fn claim(value: &str, claimed_type: Option<&str>) -> MemberClaim {
    MemberClaim { value: value.to_owned(), claimed_type: claimed_type.map(str::to_owned) }
}

#[test]
fn grp_06_members_become_claims() {
    for profile in BOTH {
        let members = json!([{"value": "a", "$ref": null, "display": 7}, {"Value": "b", "type": "User"},
            {"value": "a", "type": "Group"}, null]);
        let expected = vec![claim("a", Some("Group")), claim("b", Some("User"))];
        assert_eq!(group(json!({"members": members}), profile).expect("valid"), Some(expected));
        for empty in [json!({}), json!({"members": null}), json!({"members": []})] {
            assert_eq!(group(empty, profile).expect("valid"), Some(Vec::new()));
        }
        let user = create_of(resource_type("User"), json!({"userName": "x", "members": [{"value": "a"}]}), profile);
        assert_eq!(user.expect("valid").members, None);
    }
}

#[test]
fn q_18_members_may_be_text_in_compat() {
    let body = json!({"members": ["a", 7, {"value": 8, "type": 9}]});
    let expected = vec![claim("a", None), claim("7", None), claim("8", None)];
    assert_eq!(group(body.clone(), Profile::Compat).expect("valid"), Some(expected));
    refused(group(body, Profile::Strict), ErrorKind::InvalidValue, "members[0]");
    refused(group(json!({"members": {"value": "a"}}), Profile::Strict), ErrorKind::InvalidSyntax, "members");
}

#[test]
fn members_without_a_usable_value_are_refused() {
    for profile in BOTH {
        for element in [
            json!({}),
            json!({"value": null}),
            json!({"value": ""}),
            json!({"value": true}),
            json!(true),
            json!({"display": "x"}),
            json!({"value": "a\0"}),
            json!({"value": "x".repeat(256)}),
        ] {
            refused(group(json!({"members": [element]}), profile), ErrorKind::InvalidValue, "members");
        }
        assert!(group(json!({"members": [{"value": "ä".repeat(255)}]}), profile).is_ok());
    }
}

#[test]
fn a_hundred_thousand_members_are_read_at_once() {
    let members: Vec<Value> = (0..100_000).map(|i| json!({"value": format!("id-{i}")})).collect();
    let claims = group(json!({"members": members}), Profile::Strict).expect("valid").expect("a group");
    assert_eq!(claims.len(), 100_000);
}

fn document(json: Value) -> Document {
    Document::from_json(&json.to_string()).expect("an object")
}

fn replaced(current: Value, body: Value, profile: Profile) -> Result<Value> {
    let user = resource_type("User");
    let accepted = replace(user, &with_schemas(user, body), &document(current), profile)?;
    Ok(Value::Object(accepted.document.into_members()))
}

#[test]
fn put_04_what_is_omitted_is_cleared_except_active() {
    let current = json!({"userName": "x", "title": "t", "active": false, "externalId": "e",
        ENTERPRISE_URN: {"department": "Sales"}});
    for profile in BOTH {
        let outcome = replaced(current.clone(), json!({"userName": "y"}), profile).expect("valid");
        assert_eq!(outcome, json!({"userName": "y", "active": false}));
        let outcome = replaced(current.clone(), json!({"userName": "y", "active": null}), profile).expect("valid");
        assert_eq!(outcome, json!({"userName": "y"}));
        let outcome = replaced(json!({"userName": "x"}), json!({"userName": "y"}), profile).expect("valid");
        assert_eq!(outcome, json!({"userName": "y"}));
    }
}

#[test]
fn put_07_required_attributes_are_demanded() {
    let outcome = replaced(json!({"userName": "x"}), json!({"title": "t"}), Profile::Compat);
    refused(outcome, ErrorKind::InvalidValue, "userName is required");
}

#[test]
fn put_06_immutable_attributes_stay() {
    let current =
        document(json!({"serial": "S1", "place": {"room": "r", "code": "c"}, "urn:example:Extra": {"note": "n"}}));
    let put = |mut body: Value| {
        body["urn:example:Extra"] = json!({"note": "n"});
        replace(thing(), &with_schemas(thing(), body), &current, Profile::Strict)
            .map(|accepted| Value::Object(accepted.document.into_members()))
    };
    let same = json!({"serial": "s1", "place": {"room": "R", "code": "d"}});
    assert_eq!(put(same).expect("the same values")["place"]["code"], json!("d"));
    assert_eq!(put(json!({"place": {"room": "r", "code": "c"}})).expect("omitted")["serial"], json!("S1"));
    assert_eq!(put(json!({"place": {"code": "d"}})).expect("omitted")["place"], json!({"code": "d", "room": "r"}));
    refused(put(json!({})), ErrorKind::InvalidValue, "place.code is required");
    for (body, mention) in [
        (json!({"serial": "S2", "place": {"room": "r", "code": "c"}}), "serial"),
        (json!({"serial": null, "place": {"room": "r", "code": "c"}}), "serial"),
        (json!({"place": {"room": "q", "code": "c"}}), "place.room"),
        (json!({"place": {"room": null, "code": "c"}}), "place.room"),
        (json!({"place": null}), "place.room"),
    ] {
        refused(put(body), ErrorKind::Mutability, mention);
    }
}

/// What a client can never have read stays where a PUT is silent, and goes where it says so.
#[test]
fn put_04_char_08_a_part_that_is_never_returned_is_kept_until_it_is_cleared() {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
        let part = |name: &str, returned: &str| json!({"name": name, "type": "string", "multiValued": false, "mutability": "readWrite", "returned": returned});
        let schema = json!({"id": "urn:example:Door", "name": "Door", "attributes": [
            {"name": "lock", "type": "complex", "multiValued": false, "mutability": "readWrite", "returned": "default",
             "subAttributes": [part("value", "default"), part("pin", "never")]},
        ]});
        let types = json!([{"name": "Door", "endpoint": "/Doors", "schema": "urn:example:Door"}]);
        Registry::load(&[&schema.to_string()], &types.to_string()).expect("valid schemas")
    });
    let door = LazyLock::force(&REGISTRY).resource_type("Door").expect("it is loaded");
    let current = document(json!({"lock": {"value": "a", "pin": "1"}}));
    for profile in BOTH {
        for (lock, expected) in [
            (json!({"value": "b"}), json!({"value": "b", "pin": "1"})),
            (json!({"value": null}), json!({"pin": "1"})),
            (json!({"value": "b", "PIN": "2"}), json!({"value": "b", "pin": "2"})),
            (json!({"value": "b", "pin": null}), json!({"value": "b"})),
            (json!(null), json!(null)),
            (json!({}), json!(null)),
        ] {
            let body = with_schemas(door, json!({"lock": lock}));
            let accepted = replace(door, &body, &current, profile).expect("valid").document;
            assert_eq!(accepted.members().get("lock").unwrap_or(&json!(null)), &expected, "{lock}");
        }
        let silent = replace(door, &with_schemas(door, json!({})), &current, profile).expect("valid").document;
        assert!(silent.members().is_empty());
    }
}

/// JSON that looks like bodies now and then.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("userName".to_owned()),
        Just("emails".to_owned()),
        Just("members".to_owned()),
        Just("value".to_owned()),
        Just("type".to_owned()),
        Just("primary".to_owned()),
        Just("name".to_owned()),
        Just("manager".to_owned()),
        Just("schemas".to_owned()),
        Just("active".to_owned()),
        Just("displayName".to_owned()),
        Just("x509Certificates".to_owned()),
        Just(ENTERPRISE_URN.to_owned()),
        Just(r#"emails[type eq "work"].value"#.to_owned()),
        "\\PC{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!("")),
        Just(json!("True")),
        Just(json!("work")),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_makes_acceptance_panic(
        attributes in prop::collection::vec((0usize..12, any_json()), 0..6), name in "\\PC{0,5}", strict: bool,
    ) {
        let names = ["userName", "emails", "members", "name", "manager", "schemas", "active", "displayName", "roles",
            ENTERPRISE_URN, "x509Certificates", &name];
        let body: Map<String, Value> =
            attributes.into_iter().map(|(index, value)| (names[index].to_owned(), value)).collect();
        let profile = if strict { Profile::Strict } else { Profile::Compat };
        for resource_type in ["User", "Group"].map(resource_type) {
            for body in [body.clone(), with_schemas(resource_type, Value::Object(body.clone()))] {
                let _ = create(resource_type, &body, profile);
                let _ = replace(resource_type, &body, &Document::default(), profile);
            }
        }
    }

    #[test]
    fn what_was_accepted_is_accepted_again_unchanged(value in any_json(), strict: bool) {
        let profile = if strict { Profile::Strict } else { Profile::Compat };
        for name in ["emails", "name", "active", "title", "manager", "addresses"] {
            let attribute = resource_type("User").attribute(name).expect("defined");
            if let Ok(Some(once)) = super::value(attribute, &value, profile) {
                let twice = super::value(attribute, &once, profile).expect("accepted before");
                prop_assert_eq!(twice, Some(once));
            }
        }
    }
}
