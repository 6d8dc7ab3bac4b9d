//! The rows of the table of PATCH dialects that have no test elsewhere.

use super::*;

fn compat(current: Value, operations: Value, expected: Value) {
    becomes_in(Profile::Compat, current, operations, expected);
}

#[test]
fn q_50_row_04_row_05_pathless_values_of_entra() {
    compat(
        json!({"name": {"familyName": "Haddad", "givenName": "Noor"}}),
        pathless(
            "replace",
            json!({"displayName": "Noor H.", "name.familyName": "Haddad-Roy", enterprise("department"): "Sales"}),
        ),
        json!({"displayName": "Noor H.", "name": {"familyName": "Haddad-Roy", "givenName": "Noor"},
            ENTERPRISE_URN: {"department": "Sales"}}),
    );
}

#[test]
fn q_50_row_06_an_echo_of_schemas_drops_no_extension() {
    compat(
        department("d"),
        pathless("replace", json!({"schemas": [USER_URN], "title": "t"})),
        json!({"title": "t", ENTERPRISE_URN: {"department": "d"}}),
    );
}

#[test]
fn q_50_row_07_add_means_set() {
    compat(
        json!({"name": {"givenName": "N"}}),
        at("Add", "name.givenName", json!("Noor")),
        json!({"name": {"givenName": "Noor"}}),
    );
}

#[test]
fn q_50_row_10_elements_are_created_from_equalities_only() {
    for op in ["add", "replace"] {
        compat(
            two_emails(),
            at(op, "emails[type eq \"other\" and primary eq \"True\"].value", json!("o@x.org")),
            json!({"emails": [{"type": "work", "value": "w@x.org", "primary": false}, {"type": "home", "value": "h@x.org"},
                {"type": "other", "primary": true, "value": "o@x.org"}]}),
        );
        for filter in [
            "type eq \"a\" or type eq \"b\"",
            "not (type eq \"work\" or type eq \"home\")",
            "type sw \"z\"",
            "type eq \"a\" and value pr",
            "type eq \"a\" and type eq \"b\"",
            "type eq null and value eq null",
        ] {
            for path in [format!("emails[{filter}]"), format!("emails[{filter}].display")] {
                let value = if path.ends_with(']') { json!({"display": "d"}) } else { json!("d") };
                fails_in(Profile::Compat, two_emails(), at(op, &path, value), ErrorKind::NoTarget);
            }
        }
    }
}

#[test]
fn q_50_row_11_nothing_for_a_selected_part_clears_it() {
    for value in [json!(""), json!(null)] {
        for op in ["add", "replace"] {
            compat(
                two_emails(),
                at(op, "emails[type eq \"work\"].value", value.clone()),
                json!({"emails": [{"type": "work", "primary": true}, {"type": "home", "value": "h@x.org"}]}),
            );
            compat(two_emails(), at(op, "emails[type eq \"other\"].value", value.clone()), two_emails());
        }
        compat(
            two_emails(),
            at("replace", "emails[type eq \"home\"]", value.clone()),
            json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true}]}),
        );
        compat(two_emails(), at("replace", "emails[type eq \"other\"]", value), two_emails());
    }
}

#[test]
fn q_50_row_12_row_13_empty_values_unassign() {
    compat(two_emails(), at("replace", "emails", json!([])), json!({}));
    compat(two_emails(), at("replace", "emails", json!("")), json!({}));
    compat(json!({"title": "t"}), at("Replace", "title", json!("")), json!({}));
    compat(json!({"title": "t"}), at("Add", "title", json!("")), json!({}));
    compat(
        json!({"name": {"givenName": "x", "familyName": "y"}}),
        at("replace", "name.givenName", json!("")),
        json!({"name": {"familyName": "y"}}),
    );
    compat(json!({ENTERPRISE_URN: {"manager": {"value": "7"}}}), at("replace", "manager", json!("")), json!({}));
    compat(department("d"), at("replace", ENTERPRISE_URN, json!("")), json!({}));
    fails_in(Profile::Compat, json!({}), at("replace", "userName", json!("")), ErrorKind::InvalidValue);
    becomes_in(Profile::Strict, json!({}), at("replace", "title", json!("")), json!({"title": ""}));
}

#[test]
fn q_50_row_14_row_15_wrappers() {
    compat(
        json!({}),
        at("Replace", "displayName", json!([{"$ref": null, "value": "Noor H."}])),
        json!({"displayName": "Noor H."}),
    );
    let manager = json!({ENTERPRISE_URN: {"manager": {"value": "7"}}});
    for value in [json!("7"), json!([{"$ref": "../Users/7", "value": "7"}]), json!({"value": "7"})] {
        compat(json!({}), at("Add", "manager", value.clone()), manager.clone());
        compat(json!({}), at("Add", &enterprise("manager"), value), manager.clone());
    }
    fails_in(Profile::Strict, json!({}), at("add", "manager", json!("7")), ErrorKind::InvalidValue);
    fails_in(Profile::Strict, json!({}), at("add", "displayName", json!([{"value": "x"}])), ErrorKind::InvalidValue);
}

#[test]
fn q_50_row_16_row_17_t_02_text_for_booleans_and_numbers_for_text() {
    compat(json!({"active": true}), at("Replace", "active", json!("False")), json!({"active": false}));
    compat(
        json!({}),
        at("add", &enterprise("employeeNumber"), json!(701_984)),
        json!({ENTERPRISE_URN: {"employeeNumber": "701984"}}),
    );
    compat(
        two_emails(),
        at("Replace", "emails[type eq \"home\"].primary", json!("True")),
        json!({"emails": [{"type": "work", "value": "w@x.org", "primary": false}, {"type": "home", "value": "h@x.org", "primary": true}]}),
    );
    compat(
        json!({"roles": [{"value": "a", "primary": true}]}),
        at("Replace", "roles[primary eq \"True\"].value", json!("Editor")),
        json!({"roles": [{"value": "Editor", "primary": true}]}),
    );
    for operations in [at("replace", "active", json!("False")), at("add", "title", json!(7))] {
        fails_in(Profile::Strict, json!({}), operations, ErrorKind::InvalidValue);
    }
    fails_in(
        Profile::Strict,
        two_emails(),
        at("replace", "emails[primary eq \"True\"].value", json!("x")),
        ErrorKind::InvalidFilter,
    );
}

#[test]
fn q_50_row_19_row_20_row_22_remove_without_and_with_an_empty_value() {
    becomes(two_emails(), json!([{"op": "remove", "path": "emails", "value": null}]), json!({}));
    compat(two_emails(), at("remove", "emails", json!([])), two_emails());
    becomes(json!({}), without_value("remove", "nickName"), json!({}));
}

#[test]
fn q_50_row_21_remove_of_a_selected_part_does_not_store_the_value() {
    compat(
        two_emails(),
        at("Remove", "emails[type eq \"work\"].value", json!("n@x.org")),
        json!({"emails": [{"type": "work", "primary": true}, {"type": "home", "value": "h@x.org"}]}),
    );
}

#[test]
fn q_50_row_24_a_filter_on_a_singular_complex_attribute() {
    let manager = json!({ENTERPRISE_URN: {"department": "d", "manager": {"value": "7"}}});
    becomes(manager.clone(), without_value("remove", "manager[value eq \"7\"]"), department("d"));
    becomes(manager.clone(), without_value("remove", "manager[value eq \"8\"]"), manager.clone());
    becomes(
        manager.clone(),
        at("replace", "manager[value eq \"7\"].value", json!("9")),
        json!({ENTERPRISE_URN: {"department": "d", "manager": {"value": "9"}}}),
    );
    // There is room for one manager only.
    fails(manager, at("replace", "manager[value eq \"8\"].value", json!("9")), ErrorKind::NoTarget);
    compat(
        department("d"),
        at("add", "manager[value eq \"7\"].value", json!("7")),
        json!({ENTERPRISE_URN: {"department": "d", "manager": {"value": "7"}}}),
    );
}

#[test]
fn q_50_row_26_a_dot_behind_the_urn() {
    becomes(json!({}), at("Add", &format!("{ENTERPRISE_URN}.department"), json!("Sales")), department("Sales"));
}

#[test]
fn q_50_row_29_nothing_is_changed_by_a_malformed_message() {
    fails(
        json!({}),
        json!([{"op": "add", "path": "title", "value": "t"}, {"op": "add", "path": "a b", "value": 1}]),
        ErrorKind::InvalidPath,
    );
    fails(
        json!({}),
        json!([{"op": "add", "path": "title", "value": "t"}, {"op": "put", "path": "title"}]),
        ErrorKind::InvalidSyntax,
    );
}

#[test]
fn int_03_a_profile_change_of_entra() {
    compat(
        json!({"displayName": "Noor Haddad", "active": false, "name": {"givenName": "Noor", "familyName": "Haddad"},
            "emails": [{"type": "work", "value": "noor@acme.example", "primary": true}, {"type": "home", "value": "h"}]}),
        json!([
            {"op": "Replace", "path": "displayName", "value": "Noor Haddad-Roy"},
            {"op": "Replace", "path": "name.familyName", "value": "Haddad-Roy"},
            {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "noor.hr@acme.example"},
            {"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+32 470 00 00 00"},
            {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Sales"},
            {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "3b7c"},
            {"op": "Replace", "path": "active", "value": "True"},
        ]),
        json!({"displayName": "Noor Haddad-Roy", "active": true, "name": {"givenName": "Noor", "familyName": "Haddad-Roy"},
            "emails": [{"type": "work", "value": "noor.hr@acme.example", "primary": true}, {"type": "home", "value": "h"}],
            "phoneNumbers": [{"type": "mobile", "value": "+32 470 00 00 00"}],
            ENTERPRISE_URN: {"department": "Sales", "manager": {"value": "3b7c"}}}),
    );
}

#[test]
fn q_50_oracle_and_polis_shapes() {
    compat(
        two_emails(),
        at("replace", "emails[primary eq true and type eq \"work\"].value", json!("n")),
        json!({"emails": [{"type": "work", "value": "n", "primary": true}, {"type": "home", "value": "h@x.org"}]}),
    );
    compat(
        json!({"roles": [{"value": "x"}, {"value": "y"}]}),
        without_value("remove", &format!("{USER_URN}:roles[value eq \"x\"]")),
        json!({"roles": [{"value": "y"}]}),
    );
}
