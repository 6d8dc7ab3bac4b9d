//! Rows R1 to R10.

use super::*;

#[test]
fn patch_20_r1_without_a_path_nothing_is_meant() {
    each_stage(|stage| {
        for operation in [json!({"op": "remove"}), remove(""), json!({"op": "remove", "path": null})] {
            stage.user(two_emails(), operation.clone(), Err("noTarget"));
            stage.group(&["a"], operation, Err("noTarget"));
        }
    });
}

#[test]
fn patch_20_r2_a_singular_attribute_is_unassigned() {
    each_stage(|stage| {
        stage.user(json!({"title": "t"}), remove("title"), Ok(json!({})));
        stage.user(json!({}), remove("title"), Ok(json!({})));
        stage.user(json!({"name": {"givenName": "x"}}), remove("name"), Ok(json!({})));
        let managed = json!({ENTERPRISE: {"manager": {"value": "${a}"}, "department": "d"}});
        stage.user(managed, remove(&enterprise("manager")), Ok(department("d")));
        stage.group(&["a"], remove("externalId"), team(&["a"]));
    });
}

#[test]
fn patch_20_r3_a_list_goes_as_a_whole() {
    each_stage(|stage| {
        stage.user(two_emails(), remove("emails"), Ok(json!({})));
        stage.user(json!({}), remove("emails"), Ok(json!({})));
        stage.group(&["a", "b"], remove("members"), team(&[]));
        stage.group(&[], remove("members"), team(&[]));
    });
}

#[test]
fn patch_20_r4_a_part_is_unassigned() {
    each_stage(|stage| {
        let given = json!({"name": {"givenName": "Noor", "familyName": "Haddad"}});
        stage.user(given, remove("name.givenName"), Ok(json!({"name": {"familyName": "Haddad"}})));
        stage.user(json!({"name": {"givenName": "Noor"}}), remove("name.givenName"), Ok(json!({})));
        let mut expected = two_emails();
        expected["emails"].as_array_mut().unwrap().iter_mut().for_each(|email| {
            email.as_object_mut().unwrap().remove("type");
        });
        stage.user(two_emails(), remove("emails.type"), Ok(expected));
        stage.user(json!({}), remove("emails.type"), Ok(json!({})));
        stage.group(&["a"], remove("members.value"), Err("mutability"));
        stage.group(&[], remove("members.value"), team(&[]));
    });
}

#[test]
fn patch_20_r5_what_is_selected_goes() {
    each_stage(|stage| {
        let work = json!({"emails": [two_emails()["emails"][0]]});
        stage.user(two_emails(), remove("emails[type eq \"home\"]"), Ok(work));
        stage.user(two_emails(), remove("emails[value pr]"), Ok(json!({})));
        stage.group(&["a", "b"], remove("members[value eq \"${a}\"]"), team(&["b"]));
        stage.group(&["a", "b"], remove("members[type eq \"User\"]"), team(&[]));
        let both = "members[value eq \"${a}\" or value eq \"${b}\"]";
        stage.group(&["a", "b", "c"], remove(both), team(&["c"]));
    });
}

#[test]
fn patch_20_r6_nothing_selected_is_success() {
    each_stage(|stage| {
        stage.user(two_emails(), remove("emails[type eq \"other\"]"), Ok(two_emails()));
        stage.user(json!({}), remove("emails[type eq \"other\"]"), Ok(json!({})));
        stage.group(&["a"], remove("members[value eq \"${b}\"]"), team(&["a"]));
        stage.group(&["a"], remove("members[display eq \"nobody\"]"), team(&["a"]));
    });
}

#[test]
fn patch_20_r7_a_part_of_what_is_selected_is_unassigned() {
    each_stage(|stage| {
        let given = json!({"emails": [{"type": "work", "value": "a@x.org"}, {"type": "home"}]});
        let expected = json!({"emails": [{"value": "a@x.org"}]});
        stage.user(given, remove("emails[type pr].type"), Ok(expected));
        stage.user(two_emails(), remove("emails[type eq \"other\"].value"), Ok(two_emails()));
        stage.group(&["a"], remove("members[value eq \"${a}\"].value"), Err("mutability"));
        stage.group(&["a"], remove("members[value eq \"${b}\"].value"), team(&["a"]));
    });
}

#[test]
fn patch_20_r8_an_extension_leaves_with_its_last_value() {
    each_stage(|stage| {
        let two = json!({ENTERPRISE: {"department": "d", "division": "v"}});
        stage.user(two.clone(), remove(&enterprise("division")), Ok(department("d")));
        stage.user(department("d"), remove(&enterprise("department")), Ok(json!({})));
        stage.user(two, remove(ENTERPRISE), Ok(json!({})));
        stage.user(json!({}), remove(ENTERPRISE), Ok(json!({})));
        let managed = json!({ENTERPRISE: {"manager": {"value": "${a}"}}});
        stage.user(managed, remove(&enterprise("manager.value")), Ok(json!({})));
    });
}

#[test]
fn patch_20_r9_what_is_demanded_or_computed_stays() {
    each_stage(|stage| {
        for path in ["userName", "id", "meta", "meta.created", "groups", "groups.value", &format!("{USER}:userName")] {
            stage.user(json!({}), remove(path), Err("mutability"));
        }
        let managed = json!({ENTERPRISE: {"manager": {"value": "${a}"}}});
        stage.user(managed, remove(&enterprise("manager.displayName")), Err("mutability"));
        for path in ["displayName", "id", "meta", "members[value eq \"${a}\"].display"] {
            stage.group(&["a"], remove(path), Err("mutability"));
        }
    });
}

#[test]
fn patch_20_r10_t_06_a_value_never_removes_more_than_it_lists() {
    each_stage(|stage| {
        let work = json!({"emails": [two_emails()["emails"][0]]});
        let listed = at("remove", "emails", json!([{"value": "h@x.org"}]));
        stage.user(two_emails(), listed, stage.either(Ok(work), Err("invalidValue")));
        let nothing = at("remove", "emails", json!([]));
        stage.user(two_emails(), nothing, stage.either(Ok(two_emails()), Err("invalidValue")));

        let listed = at("remove", "members", json!([{"value": "${a}"}, {"value": "${c}"}]));
        stage.group(&["a", "b"], listed, stage.either(team(&["b"]), Err("invalidValue")));
        let nothing = at("remove", "members", json!([]));
        stage.group(&["a", "b"], nothing, stage.either(team(&["a", "b"]), Err("invalidValue")));
        let refused = at("remove", "members", json!([{"display": "a"}]));
        stage.group(&["a", "b"], refused, Err("invalidValue"));
    });
}
