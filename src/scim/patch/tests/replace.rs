use super::*;

#[test]
fn patch_p1_without_a_path_each_member_is_replaced() {
    becomes(
        json!({"title": "t", "nickName": "n", "locale": "de", "emails": [{"value": "a"}]}),
        pathless("replace", json!({"title": "u", "nickName": null, "emails": [{"value": "b"}]})),
        json!({"title": "u", "locale": "de", "emails": [{"value": "b"}]}),
    );
    becomes(json!({"active": true}), pathless("replace", json!({"active": false})), json!({"active": false}));
}

#[test]
fn patch_p2_singular_simple() {
    becomes(json!({}), at("replace", "title", json!("t")), json!({"title": "t"}));
    becomes(json!({"title": "t"}), at("replace", "title", json!("u")), json!({"title": "u"}));
    becomes(json!({"title": "t"}), at("replace", "title", json!(null)), json!({}));
    for value in [json!(null), json!([]), json!("")] {
        fails(json!({}), at("replace", "userName", value), ErrorKind::InvalidValue);
    }
}

#[test]
fn patch_p3_parts_of_a_singular_complex_attribute_that_are_not_given_stay() {
    let current = json!({"name": {"familyName": "Haddad", "givenName": "Noor", "middleName": "M"}});
    becomes(
        current.clone(),
        at("replace", "name", json!({"familyName": "Roth", "middleName": null})),
        json!({"name": {"familyName": "Roth", "givenName": "Noor"}}),
    );
    for value in [json!(null), json!([]), json!({})] {
        becomes(current.clone(), at("replace", "name", value), json!({}));
    }
    becomes(json!({"name": {"givenName": "Noor"}}), at("replace", "name", json!({"givenName": null})), json!({}));
}

#[test]
fn patch_p4_a_list_is_replaced_as_a_whole() {
    becomes(
        two_emails(),
        at("replace", "emails", json!([{"type": "home", "value": "n@x.org"}])),
        json!({"emails": [{"type": "home", "value": "n@x.org"}]}),
    );
    becomes(two_emails(), at("replace", "emails", json!({"value": "n"})), json!({"emails": [{"value": "n"}]}));
    for value in [json!([]), json!(null)] {
        becomes(two_emails(), at("replace", "emails", value), json!({}));
    }
}

#[test]
fn patch_p5_a_part_creates_its_parent() {
    becomes(json!({}), at("replace", "name.givenName", json!("Noor")), json!({"name": {"givenName": "Noor"}}));
    becomes(json!({"name": {"givenName": "Noor"}}), at("replace", "name.givenName", json!(null)), json!({}));
    becomes(
        json!({}),
        at("replace", &enterprise("manager.value"), json!("7")),
        json!({ENTERPRISE_URN: {"manager": {"value": "7"}}}),
    );
}

#[test]
fn patch_p6_a_part_without_a_filter_is_set_on_every_element() {
    becomes(
        two_emails(),
        at("replace", "emails.type", json!("other")),
        json!({"emails": [{"type": "other", "value": "w@x.org", "primary": true}, {"type": "other", "value": "h@x.org"}]}),
    );
    fails(json!({}), at("replace", "emails.type", json!("other")), ErrorKind::NoTarget);
}

#[test]
fn patch_p7_every_match_becomes_the_value() {
    becomes(
        json!({"emails": [{"type": "work", "value": "w@x.org", "display": "old", "primary": true}, {"type": "home", "value": "h"}]}),
        at("replace", "emails[type eq \"work\" and value ew \"x.org\"]", json!({"value": "n@x.org"})),
        json!({"emails": [{"type": "work", "value": "n@x.org"}, {"type": "home", "value": "h"}]}),
    );
    becomes(
        two_emails(),
        at("replace", "emails[type eq \"work\"]", json!({"type": "other", "value": "o"})),
        json!({"emails": [{"type": "other", "value": "o"}, {"type": "home", "value": "h@x.org"}]}),
    );
}

#[test]
fn patch_p8_t_07b_an_unmatched_filter() {
    let operations = at("replace", "emails[type eq \"other\"]", json!({"value": "o@x.org"}));
    fails_in(Profile::Strict, two_emails(), operations.clone(), ErrorKind::NoTarget);
    becomes_in(Profile::Compat, json!({}), operations, json!({"emails": [{"type": "other", "value": "o@x.org"}]}));
}

#[test]
fn patch_p9_a_part_of_every_match() {
    becomes(
        two_emails(),
        at("replace", "emails[type eq \"work\"].value", json!("n@x.org")),
        json!({"emails": [{"type": "work", "value": "n@x.org", "primary": true}, {"type": "home", "value": "h@x.org"}]}),
    );
    becomes(
        two_emails(),
        at("replace", "emails[type eq \"home\"].type", json!(null)),
        json!({"emails": [{"type": "work", "value": "w@x.org", "primary": true}, {"value": "h@x.org"}]}),
    );
}

#[test]
fn patch_p10_t_07b_a_part_of_no_match() {
    let operations = at("replace", "emails[type eq \"work\"].value", json!("w@x.org"));
    fails_in(Profile::Strict, json!({}), operations.clone(), ErrorKind::NoTarget);
    becomes_in(Profile::Compat, json!({}), operations, json!({"emails": [{"type": "work", "value": "w@x.org"}]}));
    fails_in(
        Profile::Strict,
        json!({}),
        at("replace", "emails[type eq \"work\"].value", json!(null)),
        ErrorKind::NoTarget,
    );
}

#[test]
fn patch_p11_qualified_attributes() {
    becomes(department("Sales"), at("replace", &enterprise("department"), json!("S")), department("S"));
    becomes(department("Sales"), at("replace", &enterprise("department"), json!(null)), json!({}));
}

#[test]
fn patch_p12_the_urn_of_an_extension() {
    becomes(
        json!({ENTERPRISE_URN: {"department": "Sales", "division": "South"}}),
        at("replace", ENTERPRISE_URN, json!({"department": "S"})),
        json!({ENTERPRISE_URN: {"department": "S", "division": "South"}}),
    );
    becomes(department("Sales"), at("replace", ENTERPRISE_URN, json!(null)), json!({}));
    becomes(department("Sales"), pathless("replace", json!({ENTERPRISE_URN: null})), json!({}));
    fails(json!({}), at("replace", ENTERPRISE_URN, json!(7)), ErrorKind::InvalidValue);
}

#[test]
fn v_18_rfc_7644_replace_of_a_whole_address() {
    becomes(
        json!({"addresses": [{"type": "work", "streetAddress": "old", "locality": "Ulm"},
            {"type": "home", "locality": "Bonn", "primary": true}]}),
        at(
            "replace",
            "addresses[type eq \"work\"]",
            json!({"type": "work", "streetAddress": "911 Universal City Plaza", "country": "US", "primary": true}),
        ),
        json!({"addresses": [
            {"type": "work", "streetAddress": "911 Universal City Plaza", "country": "US", "primary": true},
            {"type": "home", "locality": "Bonn", "primary": false}]}),
    );
}

#[test]
fn v_19_rfc_7644_replace_of_one_part_and_without_a_path() {
    becomes(
        json!({"addresses": [{"type": "work", "streetAddress": "old", "locality": "Ulm"}]}),
        at("replace", "addresses[type eq \"work\"].streetAddress", json!("1010 Broadway Ave")),
        json!({"addresses": [{"type": "work", "streetAddress": "1010 Broadway Ave", "locality": "Ulm"}]}),
    );
    becomes(
        json!({"emails": [{"value": "old"}]}),
        pathless(
            "replace",
            json!({"emails": [{"value": "bjensen@example.com", "type": "work", "primary": true},
                {"value": "babs@jensen.org", "type": "home"}], "nickname": "Babs"}),
        ),
        json!({"emails": [{"value": "bjensen@example.com", "type": "work", "primary": true},
            {"value": "babs@jensen.org", "type": "home"}], "nickName": "Babs"}),
    );
}
