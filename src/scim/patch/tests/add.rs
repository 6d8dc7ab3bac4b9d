use super::*;

#[test]
fn patch_a1_without_a_path_each_member_is_added() {
    becomes(
        json!({"title": "old", "name": {"familyName": "Haddad"}}),
        pathless(
            "add",
            json!({"title": "new", "name": {"givenName": "Noor"}, ENTERPRISE_URN: {"department": "Sales"}}),
        ),
        json!({"title": "new", "name": {"familyName": "Haddad", "givenName": "Noor"},
            ENTERPRISE_URN: {"department": "Sales"}}),
    );
    for value in [json!("x"), json!([]), json!(null), json!([{"title": "t"}])] {
        fails(json!({}), pathless("add", value), ErrorKind::InvalidValue);
    }
}

#[test]
fn patch_a2_singular_simple() {
    becomes(json!({}), at("add", "title", json!("t")), json!({"title": "t"}));
    becomes(json!({"title": "t"}), at("add", "title", json!("t")), json!({"title": "t"}));
    becomes(json!({"title": "t"}), at("add", "title", json!("u")), json!({"title": "u"}));
    becomes(json!({}), at("add", "externalId", json!("E")), json!({"externalId": "E"}));
}

#[test]
fn patch_a3_singular_complex_is_merged() {
    let current = json!({"name": {"familyName": "Haddad", "givenName": "N"}});
    becomes(
        current.clone(),
        at("add", "name", json!({"GIVENNAME": "Noor"})),
        json!({"name": {"familyName": "Haddad", "givenName": "Noor"}}),
    );
    becomes(current.clone(), at("add", "name", json!({})), current);
    becomes(
        json!({ENTERPRISE_URN: {"department": "Sales"}}),
        at("add", &enterprise("manager"), json!({"value": "7", "displayName": "ignored"})),
        json!({ENTERPRISE_URN: {"department": "Sales", "manager": {"value": "7"}}}),
    );
}

#[test]
fn patch_a5_equal_elements_are_not_added_again() {
    becomes(
        two_emails(),
        at("add", "emails", json!([{"value": "w@x.org", "type": "work", "primary": true}])),
        two_emails(),
    );
    becomes(
        two_emails(),
        at(
            "add",
            "emails",
            json!([{"type": "work", "value": "w@x.org", "display": "W"}, {"type": "other", "value": "w@x.org"}]),
        ),
        json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true, "display": "W"},
            {"type": "home", "value": "h@x.org"}, {"type": "other", "value": "w@x.org"}]}),
    );
    becomes(
        json!({"addresses": [{"type": "work", "locality": "Ulm"}]}),
        at("add", "addresses", json!([{"locality": "Ulm", "type": "work"}, {"type": "work", "locality": "Bonn"}])),
        json!({"addresses": [{"locality": "Ulm", "type": "work"}, {"type": "work", "locality": "Bonn"}]}),
    );
}

#[test]
fn patch_a5_q_50_row_08_one_element_stands_for_a_list() {
    becomes(json!({}), at("add", "emails", json!({"value": "a"})), json!({"emails": [{"value": "a"}]}));
    becomes_in(
        Profile::Compat,
        json!({}),
        at("add", "roles", json!("editor")),
        json!({"roles": [{"value": "editor"}]}),
    );
    fails_in(Profile::Strict, json!({}), at("add", "roles", json!("editor")), ErrorKind::InvalidValue);
}

#[test]
fn patch_a6_a_part_creates_its_parent() {
    becomes(json!({}), at("add", "name.givenName", json!("Noor")), json!({"name": {"givenName": "Noor"}}));
    becomes(
        json!({"name": {"familyName": "Haddad"}}),
        at("add", "name.givenName", json!("Noor")),
        json!({"name": {"familyName": "Haddad", "givenName": "Noor"}}),
    );
}

#[test]
fn patch_a7_a_part_without_a_filter_is_set_on_every_element() {
    becomes(
        two_emails(),
        at("add", "emails.display", json!("d")),
        json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true, "display": "d"},
            {"type": "home", "value": "h@x.org", "display": "d"}]}),
    );
    fails(json!({}), at("add", "emails.display", json!("d")), ErrorKind::NoTarget);
}

#[test]
fn patch_a8_the_value_is_merged_into_every_match() {
    becomes(
        two_emails(),
        at("add", "emails[value co \"x.org\"]", json!({"display": "d"})),
        json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true, "display": "d"},
            {"type": "home", "value": "h@x.org", "display": "d"}]}),
    );
}

#[test]
fn patch_a9_t_07_an_unmatched_filter_describes_a_new_element() {
    let operations = at("add", "emails[type eq \"other\" and display eq \"d\"]", json!({"value": "o@x.org"}));
    fails_in(Profile::Strict, json!({}), operations.clone(), ErrorKind::NoTarget);
    becomes_in(
        Profile::Compat,
        json!({}),
        operations,
        json!({"emails": [{"type": "other", "display": "d", "value": "o@x.org"}]}),
    );
}

#[test]
fn patch_a10_a_part_of_every_match() {
    becomes(
        two_emails(),
        at("add", "emails[type eq \"home\"].display", json!("d")),
        json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true},
            {"type": "home", "value": "h@x.org", "display": "d"}]}),
    );
}

#[test]
fn patch_a11_t_07_a_part_of_no_match() {
    let operations = at("add", "phoneNumbers[type eq \"mobile\"].value", json!("+32 470"));
    fails_in(Profile::Strict, json!({}), operations.clone(), ErrorKind::NoTarget);
    becomes_in(
        Profile::Compat,
        json!({}),
        operations,
        json!({"phoneNumbers": [{"type": "mobile", "value": "+32 470"}]}),
    );
}

#[test]
fn patch_a12_qualified_attributes() {
    becomes(json!({}), at("add", &enterprise("department"), json!("Sales")), department("Sales"));
    becomes(json!({}), at("add", &format!("{USER_URN}:title"), json!("t")), json!({"title": "t"}));
}

#[test]
fn patch_a13_the_urn_of_an_extension() {
    becomes(
        department("Sales"),
        at("add", ENTERPRISE_URN, json!({"division": "South", "manager": {"value": "7"}})),
        json!({ENTERPRISE_URN: {"department": "Sales", "division": "South", "manager": {"value": "7"}}}),
    );
    becomes(department("Sales"), pathless("add", json!({ENTERPRISE_URN: {"department": "S"}})), department("S"));
    fails(json!({}), at("add", ENTERPRISE_URN, json!("x")), ErrorKind::InvalidValue);
}

#[test]
fn patch_a14_nothing_can_be_added_as_null() {
    let current = json!({"title": "t", "emails": [{"value": "a"}], ENTERPRISE_URN: {"department": "d"}});
    for path in [
        "title",
        "name",
        "emails",
        "emails[value eq \"a\"]",
        "emails[value eq \"a\"].display",
        ENTERPRISE_URN,
        "name.givenName",
    ] {
        fails_in(Profile::Strict, current.clone(), at("add", path, json!(null)), ErrorKind::InvalidValue);
        becomes(current.clone(), at("add", path, json!([])), current.clone());
    }
    // Identity providers say add for "set" (clients.md 5, row 13); a list never loses its values by an add.
    becomes_in(Profile::Compat, json!({"title": "t"}), at("add", "title", json!(null)), json!({}));
    for value in [json!(null), json!("")] {
        becomes_in(Profile::Compat, two_emails(), at("add", "emails", value), two_emails());
    }
}

#[test]
fn v_12_rfc_7644_add_without_a_path() {
    becomes(
        json!({"emails": [{"value": "bjensen@example.com", "type": "work"}]}),
        pathless("add", json!({"emails": [{"value": "babs@jensen.org", "type": "home"}], "nickname": "Babs"})),
        json!({"emails": [{"value": "bjensen@example.com", "type": "work"}, {"value": "babs@jensen.org", "type": "home"}],
            "nickName": "Babs"}),
    );
}
