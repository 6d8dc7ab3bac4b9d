use super::*;

#[test]
fn patch_r1_without_a_path_there_is_no_target() {
    for operation in
        [json!([{"op": "remove"}]), json!([{"op": "remove", "path": ""}]), json!([{"op": "remove", "path": null}])]
    {
        fails(two_emails(), operation, ErrorKind::NoTarget);
    }
    fails_in(Profile::Compat, two_emails(), pathless("remove", two_emails()), ErrorKind::NoTarget);
}

#[test]
fn patch_r2_singular() {
    becomes(json!({"title": "t"}), without_value("remove", "title"), json!({}));
    becomes(json!({}), without_value("remove", "title"), json!({}));
    becomes(json!({"name": {"givenName": "x"}}), without_value("remove", "name"), json!({}));
}

#[test]
fn patch_r3_a_whole_list() {
    becomes(two_emails(), without_value("remove", "emails"), json!({}));
    becomes(json!({}), without_value("remove", "emails"), json!({}));
}

#[test]
fn patch_r4_a_part() {
    becomes(
        json!({"name": {"givenName": "Noor", "familyName": "Haddad"}}),
        without_value("remove", "name.givenName"),
        json!({"name": {"familyName": "Haddad"}}),
    );
    becomes(json!({"name": {"givenName": "Noor"}}), without_value("remove", "name.givenName"), json!({}));
    becomes(
        json!({"emails": [{"type": "work", "value": "a"}, {"type": "home"}]}),
        without_value("remove", "emails.type"),
        json!({"emails": [{"value": "a"}]}),
    );
    becomes(json!({}), without_value("remove", "emails.type"), json!({}));
}

#[test]
fn patch_r5_the_matches() {
    becomes(
        two_emails(),
        without_value("remove", "emails[type eq \"home\"]"),
        json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true}]}),
    );
    becomes(two_emails(), without_value("remove", "emails[value pr]"), json!({}));
}

#[test]
fn patch_r6_no_match_is_success() {
    becomes(two_emails(), without_value("remove", "emails[type eq \"other\"]"), two_emails());
    becomes(json!({}), without_value("remove", "emails[type eq \"other\"]"), json!({}));
}

#[test]
fn patch_r7_a_part_of_the_matches() {
    becomes(
        json!({"emails": [{"type": "work", "value": "a"}, {"type": "home"}]}),
        without_value("remove", "emails[type pr].type"),
        json!({"emails": [{"value": "a"}]}),
    );
    becomes(two_emails(), without_value("remove", "emails[type eq \"other\"].value"), two_emails());
}

#[test]
fn patch_r8_extensions() {
    becomes(department("Sales"), without_value("remove", &enterprise("department")), json!({}));
    becomes(department("Sales"), without_value("remove", ENTERPRISE_URN), json!({}));
    becomes(json!({}), without_value("remove", ENTERPRISE_URN), json!({}));
    becomes(
        json!({ENTERPRISE_URN: {"department": "d", "manager": {"value": "7"}}}),
        without_value("remove", &enterprise("manager.value")),
        department("d"),
    );
}

#[test]
fn patch_r8_a_required_extension_stays() {
    let request = parse(&message(without_value("remove", "urn:example:Extra")), Profile::Strict).expect("valid");
    let current = Document::from_json(r#"{"urn:example:Extra":{"note":"n"}}"#).expect("an object");
    let thing = crate::scim::accept::tests::thing();
    let outcome =
        apply(&request, thing, &current, &Map::new(), &mut Members::default(), Profile::Strict, &mut Budget::full());
    assert_eq!(outcome.expect_err("required").kind(), ErrorKind::Mutability);
}

#[test]
fn patch_r9_required_and_read_only_attributes_stay() {
    for path in ["userName", "id", "meta", "groups", "groups.value"] {
        fails(json!({}), without_value("remove", path), ErrorKind::Mutability);
    }
    // At once: a later operation does not heal it.
    fails(
        json!({}),
        json!([{"op": "remove", "path": "userName"}, {"op": "add", "path": "userName", "value": "x"}]),
        ErrorKind::Mutability,
    );
}

#[test]
fn patch_r10_t_06_a_value_selects_what_to_remove() {
    for path in ["title", "emails", "emails[type eq \"work\"]", ENTERPRISE_URN, "name.givenName"] {
        fails_in(
            Profile::Strict,
            two_emails(),
            at("remove", path, json!([{"value": "w@x.org"}])),
            ErrorKind::InvalidValue,
        );
    }
    let home = json!({"emails": [{"type": "home", "value": "h@x.org"}]});
    for value in [
        json!([{"value": "w@x.org", "$ref": null, "display": "whoever"}]),
        json!(["W@X.org", "nobody@x.org"]),
        json!({"value": "w@x.org", "type": "work", "primary": false}),
        json!("w@x.org"),
        json!([{"type": "work"}]),
    ] {
        becomes_in(Profile::Compat, two_emails(), at("remove", "emails", value), home.clone());
    }
    for value in
        [json!([]), json!([{}]), json!(""), json!([{"value": "w@x.org", "type": "home"}]), json!([{"$ref": "x"}])]
    {
        becomes_in(Profile::Compat, two_emails(), at("remove", "emails", value), two_emails());
    }
}

#[test]
fn patch_r10_t_06_beside_a_filter_both_have_to_select() {
    becomes_in(
        Profile::Compat,
        two_emails(),
        at("remove", "emails[type eq \"work\"]", json!([{"value": "h@x.org"}])),
        two_emails(),
    );
    becomes_in(
        Profile::Compat,
        two_emails(),
        at("remove", "emails[value co \"x.org\"]", json!([{"value": "h@x.org"}])),
        json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true}]}),
    );
    becomes_in(
        Profile::Compat,
        json!({"emails": [{"type": "work", "value": "a"}, {"type": "home", "value": "b"}]}),
        at("remove", "emails.type", json!("home")),
        json!({"emails": [{"type": "work", "value": "a"}, {"value": "b"}]}),
    );
}

#[test]
fn patch_r10_t_06_singular_attributes_and_extensions() {
    let manager = json!({ENTERPRISE_URN: {"department": "d", "manager": {"value": "7"}}});
    becomes_in(Profile::Compat, manager.clone(), at("remove", "manager", json!([{"value": "7"}])), department("d"));
    becomes_in(Profile::Compat, manager.clone(), at("remove", "manager", json!("8")), manager.clone());
    becomes_in(Profile::Compat, manager, at("remove", ENTERPRISE_URN, json!({"manager": "7"})), department("d"));
    becomes_in(Profile::Compat, json!({"title": "t"}), at("remove", "title", json!("other")), json!({}));
}

#[test]
fn v_15_rfc_7644_remove_with_two_terms() {
    becomes(
        json!({"emails": [{"type": "work", "value": "a@example.com"}, {"type": "home", "value": "b@example.com"},
            {"type": "work", "value": "c@example.org"}]}),
        without_value("remove", "emails[type eq \"work\" and value ew \"example.com\"]"),
        json!({"emails": [{"type": "home", "value": "b@example.com"}, {"type": "work", "value": "c@example.org"}]}),
    );
}
