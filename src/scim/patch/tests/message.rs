use super::*;

fn kind(body: Value, profile: Profile) -> ErrorKind {
    parse(&object(body), profile).expect_err("refused").kind()
}

#[test]
fn patch_01_strict_demands_the_message_schema_and_operations() {
    let operation = json!([{"op": "remove", "path": "title"}]);
    for body in [
        json!({"Operations": operation}),
        json!({"schemas": [], "Operations": operation}),
        json!({"schemas": [USER_URN], "Operations": operation}),
        json!({"schemas": [PATCH_OP], "Operations": []}),
    ] {
        assert_eq!(kind(body, Profile::Strict), ErrorKind::InvalidSyntax);
    }
    assert!(parse(&object(json!({"Schemas": [PATCH_OP], "operations": operation})), Profile::Strict).is_ok());
}

#[test]
fn patch_01_the_operations_must_be_there() {
    for profile in BOTH {
        for body in [
            json!({"schemas": [PATCH_OP]}),
            json!({"schemas": [PATCH_OP], "Operations": {}}),
            json!({"schemas": [PATCH_OP], "Operations": [1]}),
            json!({"schemas": [PATCH_OP], "Operations": [{"op": "add", "OP": "add"}]}),
        ] {
            assert_eq!(kind(body, profile), ErrorKind::InvalidSyntax);
        }
    }
}

#[test]
fn patch_02_the_verb_is_one_of_three() {
    for profile in BOTH {
        for op in [json!("move"), json!(null), json!(1), json!("")] {
            let body = json!({"schemas": [PATCH_OP], "Operations": [{"op": op, "path": "title"}]});
            assert_eq!(kind(body, profile), ErrorKind::InvalidSyntax);
        }
        let body = json!({"schemas": [PATCH_OP], "Operations": [{"path": "title"}]});
        assert_eq!(kind(body, profile), ErrorKind::InvalidSyntax);
    }
}

#[test]
fn q_50_row_01_verbs_and_keys_in_any_case_and_extra_keys() {
    for op in ["Replace", "REPLACE", "replace"] {
        becomes(json!({}), json!([{"Op": op, "PATH": "title", "Value": "t", "name": "x"}]), json!({"title": "t"}));
    }
}

#[test]
fn q_50_row_02_row_03_no_schemas_and_no_operations_in_compat() {
    let request = parse(&object(json!({"Operations": []})), Profile::Compat).expect("tolerated");
    let current = Document::from_json(r#"{"userName":"x"}"#).expect("an object");
    let patched = apply(
        &request,
        resource_type("User"),
        &current,
        &Map::new(),
        &mut Members::default(),
        Profile::Compat,
        &mut Budget::full(),
    );
    assert_eq!(patched.expect("nothing to do").document, current);
}

#[test]
fn patch_22_a_thousand_operations_and_no_more() {
    let operations = |count| Value::Array(vec![json!({"op": "add", "path": "title", "value": "t"}); count]);
    assert!(parse(&message(operations(MAX_OPERATIONS)), Profile::Strict).is_ok());
    for profile in BOTH {
        let error = parse(&message(operations(MAX_OPERATIONS + 1)), profile).expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}

#[test]
fn patch_03_malformed_paths_are_told_from_malformed_filters() {
    for path in ["1abc", "a..b", "na me", "emails.", "userName.a.b", "x:y"] {
        fails(json!({}), at("replace", path, json!("x")), ErrorKind::InvalidPath);
    }
    for path in
        ["emails[", "emails[type eq]", "emails[type zz \"x\"]", "emails[shoe eq \"x\"]", "emails[primary gt true]"]
    {
        fails(two_emails(), at("replace", path, json!("x")), ErrorKind::InvalidFilter);
    }
    fails(json!({}), at("replace", "userName[value eq \"x\"]", json!("x")), ErrorKind::InvalidPath);
    fails(json!({}), at("replace", "emails.value[type eq \"x\"]", json!("x")), ErrorKind::InvalidPath);
    fails(
        json!({}),
        at("replace", &format!("{ENTERPRISE_URN}[department eq \"x\"]"), json!("x")),
        ErrorKind::InvalidPath,
    );
    fails(json!({}), json!([{"op": "replace", "path": 7, "value": "x"}]), ErrorKind::InvalidPath);
    fails_in(Profile::Strict, json!({}), at("replace", "", json!({"title": "t"})), ErrorKind::InvalidPath);
    becomes_in(Profile::Compat, json!({}), at("replace", "", json!({"title": "t"})), json!({"title": "t"}));
}

#[test]
fn patch_04_q_50_row_28_unknown_attributes() {
    for path in ["salary", "name.shoe", "emails[type eq \"work\"].shoe", "userName.value", "urn:example:1.0:x:desk"] {
        fails_in(Profile::Strict, two_emails(), at("replace", path, json!("x")), ErrorKind::InvalidPath);
        becomes_in(Profile::Compat, two_emails(), at("replace", path, json!("x")), two_emails());
        becomes_in(Profile::Compat, two_emails(), without_value("remove", path), two_emails());
    }
    let operations =
        json!([{"op": "replace", "value": {"salary": 1, "title": "t", "ü ö": 2, ENTERPRISE_URN: {"shoe": 1}}}]);
    fails_in(Profile::Strict, json!({}), operations.clone(), ErrorKind::InvalidPath);
    let patched = run("User", json!({"userName": "x"}), operations, &mut Members::default(), Profile::Compat);
    let patched = patched.expect("tolerated");
    assert_eq!(patched.ignored, ["salary".to_owned(), "ü ö".to_owned(), enterprise("shoe")]);
    assert_eq!(patched.document.text("title"), Some("t"));
}

#[test]
fn patch_05_every_form_of_path() {
    let work = r#"[type eq "work"]"#;
    for (path, value, expected) in [
        ("title".to_owned(), json!("v"), json!({"title": "v"})),
        ("name.givenName".to_owned(), json!("v"), json!({"name": {"givenName": "v"}})),
        (format!("{USER_URN}:title"), json!("v"), json!({"title": "v"})),
        (format!("{USER_URN}:name.givenName"), json!("v"), json!({"name": {"givenName": "v"}})),
        (enterprise("department"), json!("v"), department("v")),
        (enterprise("manager.value"), json!("v"), json!({ENTERPRISE_URN: {"manager": {"value": "v"}}})),
        (ENTERPRISE_URN.to_owned(), json!({"department": "v"}), department("v")),
    ] {
        becomes(json!({}), at("add", &path, value), expected);
    }
    for path in [format!("emails{work}.value"), format!("{USER_URN}:emails{work}.value"), format!("EMAILS{work}.VALUE")]
    {
        becomes(
            json!({"emails": [{"type": "work", "value": "a"}]}),
            at("replace", &path, json!("b")),
            json!({"emails": [{"type": "work", "value": "b"}]}),
        );
    }
}

#[test]
fn patch_06_operations_see_the_result_of_the_one_before() {
    becomes(
        json!({}),
        json!([
            {"op": "add", "path": "emails", "value": [{"type": "work", "value": "a"}]},
            {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "b"},
            {"op": "remove", "path": "emails[value eq \"a\"]"},
        ]),
        json!({"emails": [{"type": "work", "value": "b"}]}),
    );
}

#[test]
fn patch_07_a_failing_operation_leaves_nothing_done() {
    let error = user(
        json!({}),
        json!([{"op": "add", "path": "title", "value": "t"}, {"op": "add", "path": "active", "value": 7}]),
        Profile::Compat,
    );
    let error = error.expect_err("a number is no boolean");
    assert_eq!(error.kind(), ErrorKind::InvalidValue);
    assert_eq!(error.detail(), "Operations[1]: active must be true or false, not a number.");
}

#[test]
fn patch_08_what_is_required_counts_at_the_end() {
    becomes(
        json!({"userName": "a"}),
        json!([{"op": "replace", "path": "userName", "value": null}, {"op": "add", "path": "userName", "value": "b"}]),
        json!({"userName": "b"}),
    );
}

#[test]
fn patch_11_q_50_row_06_what_the_server_sets_may_be_echoed() {
    let echo = json!({"id": "2819c223", "title": "t"});
    becomes(json!({}), pathless("replace", echo), json!({"title": "t"}));
    becomes(json!({}), at("replace", "id", json!("2819c223")), json!({}));
    becomes(json!({}), at("replace", "meta", json!({"resourceType": "User"})), json!({}));
    becomes(json!({}), at("replace", "meta.version", json!("W/\"1\"")), json!({}));
    becomes(json!({}), pathless("replace", json!({"groups": [{"value": "g1"}]})), json!({}));

    let foreign = json!({"id": "other", "meta": {"version": "x"}, "schemas": ["urn:x"], "title": "t"});
    becomes_in(Profile::Compat, json!({}), pathless("replace", foreign.clone()), json!({"title": "t"}));
    fails_in(Profile::Strict, json!({}), pathless("replace", foreign), ErrorKind::Mutability);
    for operations in [
        at("replace", "id", json!("other")),
        at("add", "meta.created", json!("2026-01-01T00:00:00Z")),
        at("add", "groups", json!([{"value": "g2"}])),
        without_value("remove", "id"),
        without_value("remove", "meta"),
        without_value("remove", "groups[value eq \"g1\"]"),
        at("replace", "groups", json!([])),
        without_value("remove", &enterprise("manager.displayName")),
        at("replace", &enterprise("manager.displayName"), json!("x")),
        at("replace", &enterprise("manager.$ref"), json!("x")),
    ] {
        fails(json!({}), operations, ErrorKind::Mutability);
    }
}

#[test]
fn patch_11_what_is_computed_of_others_may_be_echoed_and_is_looked_up_only_then() {
    for (operations, shown) in [
        (at("replace", "groups", json!([{"value": "g1", "display": "Group 1"}])), 1),
        (at("add", "groups", json!([{"value": "g1"}])), 1),
        (at("replace", "meta", json!({"created": "2026-03-01T09:30:00.123Z", "version": "W/\"1\""})), 1),
        (at("replace", &enterprise("manager.displayName"), json!("Boss")), 1),
        (at("replace", "meta", json!({"resourceType": "User"})), 0),
        (at("replace", "id", json!("2819c223")), 0),
        (at("replace", "title", json!("t")), 0),
    ] {
        for profile in BOTH {
            let mut members = Members::default();
            let patched = run("User", json!({"userName": "x"}), operations.clone(), &mut members, profile);
            assert!(patched.is_ok(), "{operations}: {patched:?}");
            assert_eq!(members.shown, shown, "{operations}");
        }
    }
}

#[test]
fn patch_13_values_are_demanded_and_typed() {
    for op in ["add", "replace"] {
        fails(json!({}), without_value(op, "title"), ErrorKind::InvalidValue);
        fails(json!({}), json!([{"op": op}]), ErrorKind::InvalidValue);
        fails(json!({}), at(op, "active", json!("perhaps")), ErrorKind::InvalidValue);
        fails(json!({}), at(op, "name", json!("Noor")), ErrorKind::InvalidValue);
        fails(json!({}), at(op, "title", json!({"x": 1})), ErrorKind::InvalidValue);
        fails(json!({}), at(op, "title", json!("a\u{0}b")), ErrorKind::InvalidValue);
        fails(two_emails(), at(op, "emails[type eq \"work\"].value", json!({"x": 1})), ErrorKind::InvalidValue);
    }
}

#[test]
fn patch_15_operations_on_schemas() {
    let current = department("Sales");
    let named = json!([USER_URN, ENTERPRISE_URN.to_uppercase()]);
    becomes(current.clone(), at("add", "schemas", named.clone()), current.clone());
    becomes(current.clone(), at("replace", "schemas", named), current.clone());
    becomes(json!({}), at("add", "schemas", json!(ENTERPRISE_URN)), json!({}));
    becomes(current.clone(), without_value("remove", &format!("schemas[value eq \"{ENTERPRISE_URN}\"]")), json!({}));
    fails(
        current.clone(),
        without_value("remove", &format!("schemas[value eq \"{USER_URN}\"]")),
        ErrorKind::Mutability,
    );
    fails(current.clone(), without_value("remove", "schemas"), ErrorKind::Mutability);
    fails(current.clone(), without_value("remove", USER_URN), ErrorKind::Mutability);
    becomes_in(Profile::Compat, current.clone(), at("remove", "schemas", json!([ENTERPRISE_URN])), json!({}));
    fails_in(Profile::Compat, current.clone(), at("remove", "schemas", json!([USER_URN])), ErrorKind::Mutability);

    becomes_in(Profile::Strict, current.clone(), at("replace", "schemas", json!([USER_URN])), json!({}));
    becomes_in(Profile::Compat, current.clone(), at("replace", "schemas", json!([USER_URN])), current.clone());
    fails_in(Profile::Strict, current.clone(), at("add", "schemas", json!(["urn:x"])), ErrorKind::InvalidValue);
    becomes_in(Profile::Compat, current.clone(), at("add", "schemas", json!(["urn:x"])), current);
}

#[test]
fn patch_16_one_primary_within_and_across_operations() {
    let home = json!({"emails": [{"type": "work", "value": "w@x.org", "primary": false},
        {"type": "home", "value": "h@x.org", "primary": true}]});
    becomes(two_emails(), at("replace", "emails[type eq \"home\"].primary", json!(true)), home.clone());
    becomes(two_emails(), at("add", "emails", json!({"type": "home", "value": "h@x.org", "primary": true})), home);
    becomes(
        two_emails(),
        at("replace", "emails[type eq \"work\"].primary", json!(false)),
        json!({"emails": [{"type": "work", "value": "w@x.org", "primary": false}, {"type": "home", "value": "h@x.org"}]}),
    );
    let two = json!([{"value": "a", "primary": true}, {"value": "b", "primary": true}]);
    for op in ["add", "replace"] {
        fails_in(Profile::Strict, json!({}), at(op, "emails", two.clone()), ErrorKind::InvalidValue);
        let last = json!({"emails": [{"value": "a", "primary": false}, {"value": "b", "primary": true}]});
        becomes_in(Profile::Compat, json!({}), at(op, "emails", two.clone()), last);
    }
    fails_in(Profile::Strict, two_emails(), at("replace", "emails.primary", json!(true)), ErrorKind::InvalidValue);
}

#[test]
fn patch_17_unqualified_extension_attributes() {
    becomes(json!({}), at("add", "department", json!("Sales")), department("Sales"));
    becomes(json!({}), pathless("add", json!({"department": "Sales"})), department("Sales"));
}

#[test]
fn patch_18_keys_of_a_pathless_value_are_paths() {
    becomes(
        json!({"emails": [{"type": "work", "value": "a"}]}),
        pathless(
            "replace",
            json!({
                "title": "t",
                "name.givenName": "Noor",
                format!("{USER_URN}:nickName"): "n",
                enterprise("department"): "Sales",
                ENTERPRISE_URN: {"division": "South", "manager.value": "7"},
                "emails[type eq \"work\"].value": "b",
            }),
        ),
        json!({
            "title": "t", "name": {"givenName": "Noor"}, "nickName": "n",
            "emails": [{"type": "work", "value": "b"}],
            ENTERPRISE_URN: {"department": "Sales", "division": "South", "manager": {"value": "7"}},
        }),
    );
    for op in ["add", "replace"] {
        fails(json!({}), pathless(op, json!({"title": "a", "TITLE": "b"})), ErrorKind::InvalidSyntax);
    }
}
