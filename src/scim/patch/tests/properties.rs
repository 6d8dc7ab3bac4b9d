use proptest::prelude::*;

use super::*;
use crate::scim::accept::tests::any_json;

/// Immutable and simple multi-valued attributes, which no built-in type has.
fn thing() -> &'static ResourceType {
    static REGISTRY: std::sync::LazyLock<Registry> = std::sync::LazyLock::new(|| {
        let attribute = |name: &str, kind: &str, multi_valued: bool, mutability: &str| {
            json!({"name": name, "type": kind, "multiValued": multi_valued, "mutability": mutability,
                   "returned": "default", "caseExact": false})
        };
        let mut keys = attribute("keys", "complex", true, "readWrite");
        keys["subAttributes"] = json!([
            attribute("value", "string", false, "immutable"),
            attribute("type", "string", false, "readWrite"),
            attribute("uses", "string", true, "readWrite")
        ]);
        let schema = json!({"id": "urn:example:Thing", "name": "Thing", "attributes": [
            attribute("serial", "string", false, "immutable"), attribute("owner", "string", false, "readOnly"),
            attribute("tags", "string", true, "readWrite"), attribute("origins", "string", true, "immutable"), keys,
        ]});
        let types = json!([{"name": "Thing", "endpoint": "/Things", "schema": "urn:example:Thing"}]);
        Registry::load(&[&schema.to_string()], &types.to_string()).expect("valid schemas")
    });
    REGISTRY.resource_type("Thing").expect("it is loaded")
}

/// A type whose extensions hold what is fixed, and what is required.
fn device() -> &'static ResourceType {
    static REGISTRY: std::sync::LazyLock<Registry> = std::sync::LazyLock::new(|| {
        let attribute = |name: &str, kind: &str, mutability: &str, required: bool| {
            json!({"name": name, "type": kind, "multiValued": false, "mutability": mutability,
                   "returned": "default", "caseExact": false, "required": required})
        };
        let mut seal = attribute("seal", "complex", "readWrite", false);
        seal["subAttributes"] =
            json!([attribute("number", "string", "immutable", false), attribute("note", "string", "readWrite", false)]);
        let schema = |id: &str, attributes: Value| json!({"id": id, "name": "x", "attributes": attributes}).to_string();
        let schemas = [
            schema("urn:example:Device", json!([attribute("label", "string", "readWrite", true)])),
            schema("urn:example:Sealed", json!([seal, attribute("made", "string", "readOnly", false)])),
            schema("urn:example:Owned", json!([attribute("owner", "string", "readWrite", true)])),
        ];
        let types = json!([{"name": "Device", "endpoint": "/Devices", "schema": "urn:example:Device",
            "schemaExtensions": [{"schema": "urn:example:Sealed", "required": false},
                {"schema": "urn:example:Owned", "required": true}]}]);
        Registry::load(&schemas.each_ref().map(String::as_str), &types.to_string()).expect("valid schemas")
    });
    REGISTRY.resource_type("Device").expect("it is loaded")
}

fn patched_device(current: Value, operations: Value, profile: Profile) -> Result<Value> {
    let request = parse(&message(operations), profile)?;
    let current = Document::from_json(&current.to_string()).expect("an object");
    let mut members = Members::default();
    let patched = apply(&request, device(), &current, &Map::new(), &mut members, profile, &mut Budget::full())?;
    Ok(Value::Object(patched.document.into_members()))
}

#[test]
fn patch_r8_patch_12_an_extension_with_what_is_fixed_stays() {
    let with = |sealed: Value| json!({"label": "x", "urn:example:Owned": {"owner": "o"}, "urn:example:Sealed": sealed});
    for profile in BOTH {
        for removal in [
            without_value("remove", "urn:example:Sealed"),
            at("replace", "urn:example:Sealed", json!(null)),
            without_value("remove", "schemas[value eq \"urn:example:Sealed\"]"),
        ] {
            for fixed in [json!({"seal": {"number": "1"}}), json!({"made": "today"})] {
                let error = patched_device(with(fixed), removal.clone(), profile).expect_err("fixed");
                assert_eq!(error.kind(), ErrorKind::Mutability, "{removal}");
            }
            let after = patched_device(with(json!({"seal": {"note": "n"}})), removal, profile).expect("free");
            assert_eq!(after, json!({"label": "x", "urn:example:Owned": {"owner": "o"}}));
        }
    }
}

/// An operator may demand more than resources have that were there already.
#[test]
fn patch_08_res_20_what_was_missing_before_refuses_no_other_change() {
    let label = |value: Value| at("replace", "label", value);
    for profile in BOTH {
        let outcome = |current: Value, operations: Value| patched_device(current, operations, profile);
        assert_eq!(outcome(json!({"label": "a"}), label(json!("b"))).expect("as before"), json!({"label": "b"}));
        assert_eq!(
            outcome(json!({"label": "a"}), at("add", "urn:example:Owned:owner", json!("o"))).expect("complete"),
            json!({"label": "a", "urn:example:Owned": {"owner": "o"}})
        );
        for (current, operations) in [
            (json!({"label": "a"}), label(json!(null))),
            (
                json!({"label": "a", "urn:example:Owned": {"owner": "o"}}),
                at("replace", "urn:example:Owned:owner", json!(null)),
            ),
        ] {
            let error = outcome(current, operations).expect_err("missing by this message");
            assert_eq!(error.kind(), ErrorKind::InvalidValue);
        }
    }
}

fn patched(current: Value, operations: Value) -> Result<Value> {
    let request = parse(&message(operations), Profile::Strict)?;
    let current = Document::from_json(&current.to_string()).expect("an object");
    let patched =
        apply(&request, thing(), &current, &Map::new(), &mut Members::default(), Profile::Strict, &mut Budget::full())?;
    Ok(Value::Object(patched.document.into_members()))
}

#[test]
fn patch_a4_values_of_a_simple_list() {
    let tags = json!({"tags": ["a", "b"]});
    assert_eq!(
        patched(tags.clone(), at("add", "tags", json!(["b", "c"]))).expect("valid"),
        json!({"tags": ["a", "b", "c"]})
    );
    assert_eq!(patched(tags.clone(), at("add", "tags", json!("c"))).expect("valid"), json!({"tags": ["a", "b", "c"]}));
    assert_eq!(patched(tags.clone(), at("replace", "tags", json!("c"))).expect("valid"), json!({"tags": ["c"]}));
    assert_eq!(
        patched(tags.clone(), without_value("remove", "tags[value eq \"A\"]")).expect("valid"),
        json!({"tags": ["b"]})
    );
    assert_eq!(
        patched(tags.clone(), at("replace", "tags[value eq \"a\"]", json!("z"))).expect("valid"),
        json!({"tags": ["z", "b"]})
    );
    let error = patched(tags, at("replace", "tags[value eq \"q\"]", json!("z"))).expect_err("no match");
    assert_eq!(error.kind(), ErrorKind::NoTarget);
}

#[test]
fn patch_a4_values_of_a_part_with_many_values() {
    let keys = json!({"keys": [{"value": "k", "uses": ["sign"]}]});
    assert_eq!(
        patched(keys, at("add", "keys[value eq \"k\"].uses", json!(["SIGN", "seal"]))).expect("valid"),
        json!({"keys": [{"value": "k", "uses": ["sign", "seal"]}]})
    );
}

#[test]
fn patch_12_immutable_attributes_are_set_once() {
    assert_eq!(patched(json!({}), at("add", "serial", json!("S"))).expect("unassigned"), json!({"serial": "S"}));
    assert!(patched(json!({"serial": "S"}), at("replace", "serial", json!("S"))).is_ok());
    let current = json!({"serial": "S", "origins": ["a"], "keys": [{"value": "k", "type": "x"}]});
    for operations in [
        at("replace", "serial", json!("T")),
        at("replace", "serial", json!(null)),
        without_value("remove", "serial"),
        without_value("remove", "origins"),
        without_value("remove", "origins[value eq \"a\"]"),
        at("replace", "origins", json!(["b"])),
        at("replace", "keys[type eq \"x\"].value", json!("l")),
        at("replace", "keys.value", json!("l")),
        at("replace", "keys[type eq \"x\"]", json!({"value": "l"})),
        without_value("remove", "keys[type eq \"x\"].value"),
        at("add", "owner", json!("me")),
    ] {
        let error = patched(current.clone(), operations.clone()).expect_err(&operations.to_string());
        assert_eq!(error.kind(), ErrorKind::Mutability, "{operations}");
    }
    let renamed = patched(current.clone(), at("replace", "keys[value eq \"k\"].type", json!("y"))).expect("mutable");
    assert_eq!(renamed["keys"], json!([{"value": "k", "type": "y"}]));
    assert!(patched(current, without_value("remove", "keys[value eq \"k\"]")).is_ok());
}

fn operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "Replace", "REMOVE", "replace", "move"]);
    let path = prop_oneof![
        prop::sample::select(vec![
            "userName",
            "displayName",
            "name",
            "name.givenName",
            "emails",
            "emails.value",
            "emails[type eq \"work\"]",
            "emails[type eq \"work\"].value",
            "emails[primary eq true]",
            "emails[value pr].type",
            "manager",
            "manager[value eq \"1\"]",
            "members",
            "members[value eq \"a\"]",
            "members[type eq \"User\"].value",
            "schemas",
            "members.value",
            "schemas[value pr]",
            "id",
            "meta.version",
            "groups",
            ENTERPRISE_URN,
            "active",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
    ];
    (op, prop::option::of(path), prop::option::of(any_json())).prop_map(|(op, path, value)| {
        let mut operation = object(json!({"op": op}));
        operation.extend(path.map(|path| ("path".to_owned(), Value::String(path))));
        operation.extend(value.map(|value| ("value".to_owned(), value)));
        Value::Object(operation)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_message_makes_the_engine_panic(operations in prop::collection::vec(operation(), 0..6), strict: bool) {
        let profile = if strict { Profile::Strict } else { Profile::Compat };
        for (type_name, current) in [("User", json!({"userName": "x", "emails": [{"type": "work", "value": "w"}]})),
            ("Group", json!({"displayName": "g"}))]
        {
            let outcome = run(type_name, current, Value::Array(operations.clone()), &mut Members::of(&["a"]), profile);
            if let Err(error) = outcome {
                prop_assert!(error.kind().status() < 500);
            }
        }
    }

    #[test]
    fn no_json_makes_the_reader_panic(body in any_json(), strict: bool) {
        let profile = if strict { Profile::Strict } else { Profile::Compat };
        if let Value::Object(body) = body {
            let _ = parse(&body, profile);
        }
    }

    #[test]
    fn the_same_replace_twice_changes_nothing_more(
        paths in prop::collection::vec((prop::sample::select(vec![
            "title", "name", "name.givenName", "emails", "emails[type eq \"work\"].value", "emails.display",
            "emails[type eq \"work\"]", "manager", "active", ENTERPRISE_URN, "roles",
        ]), any_json()), 1..4),
        strict: bool,
    ) {
        let profile = if strict { Profile::Strict } else { Profile::Compat };
        for (path, value) in paths {
            let operations = at("replace", path, value);
            let Ok(once) = user(two_emails(), operations.clone(), profile) else { continue };
            let selects_again = !path.ends_with(']') || once["emails"].to_string().contains("\"type\":\"work\"");
            if let Ok(twice) = user(once.clone(), operations, profile) {
                prop_assert!(twice == once || !selects_again, "{path}: {once} then {twice}");
            }
        }
    }
}
