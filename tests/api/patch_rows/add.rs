//! Rows A1 to A14.

use super::*;

#[test]
fn patch_20_a1_without_a_path_each_member_is_added() {
    each_stage(|stage| {
        let given = json!({"title": "old", "name": {"familyName": "Haddad"}, ENTERPRISE: {"division": "South"}});
        let added = json!({"title": "new", "name": {"givenName": "Noor"}, enterprise("department"): "Sales"});
        let expected = json!({"title": "new", "name": {"familyName": "Haddad", "givenName": "Noor"},
            ENTERPRISE: {"division": "South", "department": "Sales"}});
        stage.user(given, pathless("add", added), Ok(expected));
        stage.user(department("old"), pathless("add", department("new")), Ok(department("new")));
        stage.group(&["a"], pathless("add", json!({"members": [{"value": "${b}"}]})), team(&["a", "b"]));
        for value in [json!("x"), json!([]), json!(null), json!([{"title": "t"}])] {
            stage.user(json!({}), pathless("add", value.clone()), Err("invalidValue"));
            stage.group(&["a"], pathless("add", value), Err("invalidValue"));
        }
    });
}

#[test]
fn patch_20_a2_a_singular_attribute_is_set() {
    each_stage(|stage| {
        stage.user(json!({}), at("add", "title", json!("t")), Ok(json!({"title": "t"})));
        stage.user(json!({"title": "t"}), at("add", "title", json!("t")), Ok(json!({"title": "t"})));
        stage.user(json!({"title": "t"}), at("add", "TITLE", json!("u")), Ok(json!({"title": "u"})));
        stage.user(department("S"), at("add", &enterprise("department"), json!("S")), Ok(department("S")));
        let renamed = Ok(json!({"displayName": "Crew", "members": ["a"]}));
        stage.group(&["a"], at("add", "displayName", json!("Crew")), renamed);
        stage.group(&["a"], at("add", "displayName", json!("Team")), team(&["a"]));
    });
}

#[test]
fn patch_20_a3_a_singular_complex_attribute_is_merged() {
    each_stage(|stage| {
        let given = json!({"name": {"familyName": "Haddad", "givenName": "N"}});
        let merged = json!({"name": {"familyName": "Haddad", "givenName": "Noor"}});
        stage.user(given.clone(), at("add", "name", json!({"GIVENNAME": "Noor"})), Ok(merged));
        stage.user(given.clone(), at("add", "name", json!({})), Ok(given));

        let managed = |name: &str| json!({ENTERPRISE: {"department": "d", "manager": {"value": name}}});
        let manager = json!({"value": "${b}", "displayName": "ignored"});
        stage.user(managed("${a}"), at("add", &enterprise("manager"), manager), Ok(managed("${b}")));
    });
}

#[test]
fn patch_20_a5_elements_are_appended_once() {
    each_stage(|stage| {
        let other = json!({"type": "other", "value": "w@x.org"});
        let mut three = two_emails();
        three["emails"].as_array_mut().unwrap().push(other.clone());
        stage.user(two_emails(), at("add", "emails", json!([other])), Ok(three.clone()));
        stage.user(two_emails(), at("add", "emails", other), Ok(three));
        stage.user(two_emails(), at("add", "emails", two_emails()["emails"].clone()), Ok(two_emails()));
        let mut merged = two_emails();
        merged["emails"][0]["display"] = json!("W");
        let same = json!([{"type": "work", "value": "w@x.org", "display": "W"}]);
        stage.user(two_emails(), at("add", "emails", same), Ok(merged));

        stage.group(&["a"], at("add", "members", json!([{"value": "${b}"}, {"value": "${a}"}])), team(&["a", "b"]));
        stage.group(&["a"], at("add", "members", json!({"value": "${b}"})), team(&["a", "b"]));
        stage.group(&["a"], at("add", "members", json!([{"value": "${a}", "display": "x"}])), team(&["a"]));
    });
}

#[test]
fn patch_20_a6_a_part_creates_its_parent() {
    each_stage(|stage| {
        let path = "name.givenName";
        stage.user(json!({}), at("add", path, json!("Noor")), Ok(json!({"name": {"givenName": "Noor"}})));
        let both = json!({"name": {"familyName": "Haddad", "givenName": "Noor"}});
        stage.user(json!({"name": {"familyName": "Haddad"}}), at("add", path, json!("Noor")), Ok(both));
        let managed = json!({ENTERPRISE: {"manager": {"value": "${a}"}}});
        stage.user(json!({}), at("add", &enterprise("manager.value"), json!("${a}")), Ok(managed));
    });
}

#[test]
fn patch_20_a7_a_part_of_a_list_is_set_on_every_element() {
    each_stage(|stage| {
        let mut expected = two_emails();
        expected["emails"][0]["display"] = json!("d");
        expected["emails"][1]["display"] = json!("d");
        stage.user(two_emails(), at("add", "emails.display", json!("d")), Ok(expected));
        stage.user(two_emails(), at("add", "phoneNumbers.display", json!("d")), Err("noTarget"));

        stage.group(&["a", "b"], at("add", "members.type", json!("User")), team(&["a", "b"]));
        stage.group(&["a", "b"], at("add", "members.type", json!("Group")), Err("mutability"));
        stage.group(&[], at("add", "members.value", json!("${a}")), Err("noTarget"));
    });
}

#[test]
fn patch_20_a8_the_value_is_merged_into_what_is_selected() {
    each_stage(|stage| {
        let mut expected = two_emails();
        expected["emails"][1]["display"] = json!("d");
        stage.user(two_emails(), at("add", "emails[type eq \"home\"]", json!({"display": "d"})), Ok(expected.clone()));
        expected["emails"][0]["display"] = json!("d");
        let both = "emails[value co \"x.org\"]";
        stage.user(two_emails(), at("add", both, json!({"display": "d"})), Ok(expected));

        let path = "members[value eq \"${a}\"]";
        stage.group(&["a"], at("add", path, json!({"value": "${a}", "display": "x"})), team(&["a"]));
        stage.group(&["a"], at("add", path, json!({"value": "${b}"})), Err("mutability"));
    });
}

#[test]
fn patch_20_a9_t_07_an_element_for_a_filter_that_selects_none() {
    each_stage(|stage| {
        let path = "phoneNumbers[type eq \"fax\" and display eq \"d\"]";
        let created = json!({"phoneNumbers": [{"type": "fax", "display": "d", "value": "1"}]});
        let outcome = stage.either(Ok(created), Err("noTarget"));
        stage.user(json!({}), at("add", path, json!({"value": "1"})), outcome);
        let path = "phoneNumbers[type sw \"f\"]";
        stage.user(json!({}), at("add", path, json!({"value": "1"})), Err("noTarget"));

        let path = "members[value eq \"${c}\"]";
        let outcome = stage.either(team(&["a", "c"]), Err("noTarget"));
        stage.group(&["a"], at("add", path, json!({"value": "${c}"})), outcome);
        stage.group(&["a"], at("add", "members[display eq \"x\"]", json!({"type": "User"})), Err("noTarget"));
    });
}

#[test]
fn patch_20_a10_a_part_of_what_is_selected_is_set() {
    each_stage(|stage| {
        let mut expected = two_emails();
        expected["emails"][1]["display"] = json!("d");
        stage.user(two_emails(), at("add", "emails[type eq \"home\"].display", json!("d")), Ok(expected));

        stage.group(&["a"], at("add", "members[value eq \"${a}\"].value", json!("${a}")), team(&["a"]));
        stage.group(&["a"], at("add", "members[value eq \"${a}\"].value", json!("${b}")), Err("mutability"));
    });
}

#[test]
fn patch_20_a11_t_07_a_part_for_a_filter_that_selects_none() {
    each_stage(|stage| {
        let created = json!({"phoneNumbers": [{"type": "fax", "value": "1"}]});
        let outcome = stage.either(Ok(created), Err("noTarget"));
        stage.user(json!({}), at("add", "phoneNumbers[type eq \"fax\"].value", json!("1")), outcome);
        stage.user(json!({}), at("add", "phoneNumbers[not (type eq \"x\")].value", json!("1")), Err("noTarget"));

        let outcome = stage.either(team(&["a", "c"]), Err("noTarget"));
        stage.group(&["a"], at("add", "members[value eq \"${c}\"].value", json!("${c}")), outcome);
    });
}

#[test]
fn patch_20_a12_qualified_attributes_bring_their_schema() {
    each_stage(|stage| {
        stage.user(json!({}), at("add", &enterprise("department"), json!("Sales")), Ok(department("Sales")));
        let path = enterprise("department").to_uppercase();
        stage.user(json!({}), at("add", &path, json!("Sales")), Ok(department("Sales")));
        stage.user(json!({}), at("add", &format!("{USER}:title"), json!("t")), Ok(json!({"title": "t"})));
        let mut expected = two_emails();
        expected["emails"][1]["display"] = json!("d");
        let path = format!("{USER}:emails[type eq \"home\"].display");
        stage.user(two_emails(), at("add", &path, json!("d")), Ok(expected));

        let path = format!("{GROUP}:members");
        stage.group(&["a"], at("add", &path, json!([{"value": "${b}"}])), team(&["a", "b"]));
    });
}

#[test]
fn patch_20_a13_the_urn_of_an_extension_takes_its_members() {
    each_stage(|stage| {
        let added = json!({"division": "South", "manager": {"value": "${a}"}});
        let expected = json!({ENTERPRISE: {"department": "Sales", "division": "South", "manager": {"value": "${a}"}}});
        stage.user(department("Sales"), at("add", ENTERPRISE, added), Ok(expected));
        stage.user(json!({}), at("add", ENTERPRISE, json!({"department": "Sales"})), Ok(department("Sales")));
        stage.user(department("Sales"), at("add", ENTERPRISE, json!("x")), Err("invalidValue"));
    });
}

#[test]
fn patch_20_a14_nothing_is_nothing_to_add() {
    each_stage(|stage| {
        let given = json!({"title": "t", "emails": [{"value": "w@x.org"}], ENTERPRISE: {"department": "d"}});
        for path in ["title", "name", "emails", "emails[value eq \"w@x.org\"]", "name.givenName", ENTERPRISE] {
            stage.user(given.clone(), at("add", path, json!([])), Ok(given.clone()));
        }
        let lists = stage.either(Ok(given.clone()), Err("invalidValue"));
        stage.user(given.clone(), at("add", "emails", json!(null)), lists);
        let titles = json!({"emails": [{"value": "w@x.org"}], ENTERPRISE: {"department": "d"}});
        stage.user(given, at("add", "title", json!(null)), stage.either(Ok(titles), Err("invalidValue")));

        stage.group(&["a"], at("add", "members", json!([])), team(&["a"]));
        let outcome = stage.either(team(&["a"]), Err("invalidValue"));
        stage.group(&["a"], at("add", "members", json!(null)), outcome);
    });
}
