//! Rows P1 to P12.

use super::*;

#[test]
fn patch_20_p1_without_a_path_each_member_is_replaced() {
    each_stage(|stage| {
        let given = json!({"title": "t", "nickName": "n", "locale": "de", "emails": [{"value": "old@x.org"}],
            ENTERPRISE: {"department": "d", "division": "v"}});
        let replaced = json!({"title": "u", "nickName": null, "emails": [{"value": "new@x.org"}],
            enterprise("department"): "e"});
        let expected = json!({"title": "u", "locale": "de", "emails": [{"value": "new@x.org"}],
            ENTERPRISE: {"department": "e", "division": "v"}});
        stage.user(given, pathless("replace", replaced), Ok(expected));
        stage.user(json!({}), pathless("replace", json!({"active": false})), Ok(json!({"active": false})));
        let replaced = json!({"displayName": "Crew", "members": [{"value": "${b}"}, {"value": "${c}"}]});
        let expected = json!({"displayName": "Crew", "members": ["b", "c"]});
        stage.group(&["a", "b"], pathless("replace", replaced), Ok(expected));
        stage.user(json!({}), pathless("replace", json!("x")), Err("invalidValue"));
        stage.group(&["a"], pathless("replace", json!({"displayName": null})), Err("invalidValue"));
    });
}

#[test]
fn patch_20_p2_a_singular_attribute_is_set_or_unassigned() {
    each_stage(|stage| {
        stage.user(json!({}), at("replace", "title", json!("t")), Ok(json!({"title": "t"})));
        stage.user(json!({"title": "t"}), at("replace", "title", json!("u")), Ok(json!({"title": "u"})));
        stage.user(json!({"title": "t"}), at("replace", "title", json!(null)), Ok(json!({})));
        stage.user(json!({}), at("replace", "title", json!(null)), Ok(json!({})));
        stage.user(json!({}), at("replace", "userName", json!("subject")), Ok(json!({})));
        for nothing in [json!(null), json!([]), json!("")] {
            stage.user(json!({}), at("replace", "userName", nothing.clone()), Err("invalidValue"));
            stage.group(&["a"], at("replace", "displayName", nothing), Err("invalidValue"));
        }
        let renamed = Ok(json!({"displayName": "Crew", "members": ["a"]}));
        stage.group(&["a"], at("replace", "displayName", json!("Crew")), renamed);
    });
}

#[test]
fn patch_20_p3_parts_that_are_not_given_stay() {
    each_stage(|stage| {
        let given = json!({"name": {"familyName": "Haddad", "givenName": "Noor", "middleName": "M"}});
        let replaced = json!({"familyName": "Roth", "middleName": null});
        let expected = json!({"name": {"familyName": "Roth", "givenName": "Noor"}});
        stage.user(given.clone(), at("replace", "name", replaced), Ok(expected));
        for nothing in [json!(null), json!([]), json!({})] {
            stage.user(given.clone(), at("replace", "name", nothing), Ok(json!({})));
        }
        let managed = |name: &str| json!({ENTERPRISE: {"department": "d", "manager": {"value": name}}});
        let manager = json!({"value": "${b}"});
        stage.user(managed("${a}"), at("replace", &enterprise("manager"), manager), Ok(managed("${b}")));
        stage.user(managed("${a}"), at("replace", &enterprise("manager"), json!(null)), Ok(department("d")));
    });
}

#[test]
fn patch_20_p4_a_list_is_replaced_as_a_whole() {
    each_stage(|stage| {
        let one = json!({"type": "other", "value": "n@x.org"});
        let expected = json!({"emails": [one]});
        stage.user(two_emails(), at("replace", "emails", json!([one])), Ok(expected.clone()));
        stage.user(two_emails(), at("replace", "emails", one), Ok(expected));
        for nothing in [json!([]), json!(null)] {
            stage.user(two_emails(), at("replace", "emails", nothing.clone()), Ok(json!({})));
            stage.group(&["a", "b"], at("replace", "members", nothing), team(&[]));
        }
        stage.group(
            &["a", "b"],
            at("replace", "members", json!([{"value": "${b}"}, {"value": "${c}"}])),
            team(&["b", "c"]),
        );
        stage.group(
            &["a", "b"],
            at("replace", "members", json!([{"value": "${b}"}, {"value": "${a}"}])),
            team(&["a", "b"]),
        );
    });
}

#[test]
fn patch_20_p5_a_part_creates_its_parent() {
    each_stage(|stage| {
        let given = json!({"name": {"givenName": "Noor"}});
        stage.user(json!({}), at("replace", "name.givenName", json!("Noor")), Ok(given.clone()));
        stage.user(given, at("replace", "name.givenName", json!(null)), Ok(json!({})));
        let managed = |name: &str| json!({ENTERPRISE: {"manager": {"value": name}}});
        let path = enterprise("manager.value");
        stage.user(json!({}), at("replace", &path, json!("${a}")), Ok(managed("${a}")));
        stage.user(managed("${a}"), at("replace", &path, json!("${b}")), Ok(managed("${b}")));
    });
}

#[test]
fn patch_20_p6_a_part_of_a_list_is_set_on_every_element() {
    each_stage(|stage| {
        let mut expected = two_emails();
        expected["emails"][0]["type"] = json!("other");
        expected["emails"][1]["type"] = json!("other");
        stage.user(two_emails(), at("replace", "emails.type", json!("other")), Ok(expected));
        stage.user(json!({}), at("replace", "emails.type", json!("other")), Err("noTarget"));

        stage.group(&["a", "b"], at("replace", "members.type", json!("user")), team(&["a", "b"]));
        stage.group(&["a", "b"], at("replace", "members.value", json!("${c}")), Err("mutability"));
        stage.group(&[], at("replace", "members.value", json!("${c}")), Err("noTarget"));
    });
}

#[test]
fn patch_20_p7_what_is_selected_becomes_the_value() {
    each_stage(|stage| {
        let path = "emails[type eq \"work\" and value ew \"x.org\"]";
        let expected = json!({"emails": [{"type": "work", "value": "n@x.org"}, two_emails()["emails"][1]]});
        stage.user(two_emails(), at("replace", path, json!({"value": "n@x.org"})), Ok(expected));
        let other = json!({"type": "other", "value": "o@x.org"});
        let expected = json!({"emails": [other, two_emails()["emails"][1]]});
        stage.user(two_emails(), at("replace", "emails[type eq \"work\"]", other), Ok(expected));

        let path = "members[value eq \"${a}\"]";
        stage.group(&["a", "b"], at("replace", path, json!({"value": "${a}"})), team(&["a", "b"]));
        stage.group(&["a", "b"], at("replace", path, json!({"value": "${c}"})), Err("mutability"));
    });
}

#[test]
fn patch_20_p8_t_07b_an_element_for_a_filter_that_selects_none() {
    each_stage(|stage| {
        let created = json!({"phoneNumbers": [{"type": "fax", "value": "1"}]});
        let outcome = stage.either(Ok(created), Err("noTarget"));
        stage.user(json!({}), at("replace", "phoneNumbers[type eq \"fax\"]", json!({"value": "1"})), outcome);
        stage.user(json!({}), at("replace", "phoneNumbers[type co \"f\"]", json!({"value": "1"})), Err("noTarget"));

        let outcome = stage.either(team(&["a", "c"]), Err("noTarget"));
        stage.group(&["a"], at("replace", "members[value eq \"${c}\"]", json!({"value": "${c}"})), outcome);
    });
}

#[test]
fn patch_20_p9_a_part_of_what_is_selected_is_set() {
    each_stage(|stage| {
        let mut expected = two_emails();
        expected["emails"][0]["value"] = json!("n@x.org");
        stage.user(two_emails(), at("replace", "emails[type eq \"work\"].value", json!("n@x.org")), Ok(expected));
        let mut expected = two_emails();
        expected["emails"][1].as_object_mut().unwrap().remove("type");
        stage.user(two_emails(), at("replace", "emails[type eq \"home\"].type", json!(null)), Ok(expected));

        stage.group(&["a"], at("replace", "members[value eq \"${a}\"].value", json!("${a}")), team(&["a"]));
        stage.group(&["a"], at("replace", "members[value eq \"${a}\"].value", json!("${b}")), Err("mutability"));
    });
}

#[test]
fn patch_20_p10_t_07b_a_part_for_a_filter_that_selects_none() {
    each_stage(|stage| {
        let created = json!({"phoneNumbers": [{"type": "fax", "value": "1"}]});
        let outcome = stage.either(Ok(created), Err("noTarget"));
        stage.user(json!({}), at("replace", "phoneNumbers[type eq \"fax\"].value", json!("1")), outcome);
        let path = "phoneNumbers[type eq \"fax\" or type eq \"pager\"].value";
        stage.user(json!({}), at("replace", path, json!("1")), Err("noTarget"));

        let outcome = stage.either(team(&["a", "c"]), Err("noTarget"));
        stage.group(&["a"], at("replace", "members[value eq \"${c}\"].value", json!("${c}")), outcome);
    });
}

#[test]
fn patch_20_p11_qualified_attributes_bring_their_schema_and_take_it() {
    each_stage(|stage| {
        let path = enterprise("department");
        stage.user(json!({}), at("replace", &path, json!("S")), Ok(department("S")));
        stage.user(department("Sales"), at("replace", &path, json!("S")), Ok(department("S")));
        stage.user(department("Sales"), at("replace", &path, json!(null)), Ok(json!({})));
        stage.user(
            json!({}),
            at("replace", &format!("{USER}:name.givenName"), json!("N")),
            Ok(json!({"name": {"givenName": "N"}})),
        );
        let renamed = Ok(json!({"displayName": "Crew", "members": ["a"]}));
        stage.group(&["a"], at("replace", &format!("{GROUP}:displayName"), json!("Crew")), renamed);
    });
}

#[test]
fn patch_20_p12_the_urn_of_an_extension_keeps_what_is_not_given() {
    each_stage(|stage| {
        let given = json!({ENTERPRISE: {"department": "Sales", "division": "South"}});
        let expected = json!({ENTERPRISE: {"department": "S", "division": "South"}});
        stage.user(given.clone(), at("replace", ENTERPRISE, json!({"department": "S"})), Ok(expected));
        let expected = json!({ENTERPRISE: {"division": "South"}});
        stage.user(given.clone(), at("replace", ENTERPRISE, json!({"department": null})), Ok(expected));
        stage.user(given.clone(), at("replace", ENTERPRISE, json!(null)), Ok(json!({})));
        stage.user(given.clone(), pathless("replace", json!({ENTERPRISE: null})), Ok(json!({})));
        stage.user(given, at("replace", ENTERPRISE, json!(7)), Err("invalidValue"));
    });
}
