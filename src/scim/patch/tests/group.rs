use super::*;

fn group(values: &[&str], operations: Value, profile: Profile) -> Result<(MemberChanges, Members)> {
    let mut members = Members::of(values);
    let patched = run("Group", json!({"displayName": "g"}), operations, &mut members, profile)?;
    assert_eq!(patched.document.text("displayName"), Some("g"));
    Ok((patched.members, members))
}

/// What both profiles make of it, without asking for the members.
#[track_caller]
fn changes(operations: Value, cleared: bool, expected: &[(&str, bool)]) {
    for profile in BOTH {
        changes_in(profile, operations.clone(), cleared, expected);
    }
}

#[track_caller]
fn changes_in(profile: Profile, operations: Value, cleared: bool, expected: &[(&str, bool)]) {
    let (changes, members) =
        group(&["a", "b"], operations, profile).unwrap_or_else(|error| panic!("{profile}: {error}"));
    assert_eq!(changes.cleared, cleared);
    assert_eq!(summary(&changes), expected);
    assert_eq!((members.asked, members.listed), (0, 0));
}

fn summary(changes: &MemberChanges) -> Vec<(&str, bool)> {
    changes.changes.iter().map(|(claim, presence)| (claim.value.as_str(), *presence == Presence::Present)).collect()
}

#[track_caller]
fn refused(operations: Value, profile: Profile, kind: ErrorKind) {
    match group(&["a", "b"], operations, profile) {
        Ok((changes, _)) => panic!("{profile}: {changes:?}"),
        Err(error) => assert_eq!(error.kind(), kind, "{profile}: {error}"),
    }
}

#[test]
fn v_11_patch_a5_members_are_added_by_value() {
    changes(
        at(
            "add",
            "members",
            json!([{"display": "Babs", "$ref": "https://x/v2/Users/c", "value": "c"}, {"value": "a"}, {"value": "c"}]),
        ),
        false,
        &[("c", true), ("a", true)],
    );
    changes(at("add", "members", json!({"value": "c"})), false, &[("c", true)]);
    changes(at("add", "members", json!([])), false, &[]);
    changes(pathless("add", json!({"members": [{"value": "c"}]})), false, &[("c", true)]);
}

#[test]
fn patch_a14_nothing_is_added_as_null() {
    refused(at("add", "members", json!(null)), Profile::Strict, ErrorKind::InvalidValue);
    for value in [json!(null), json!("")] {
        changes_in(Profile::Compat, at("add", "members", value), false, &[]);
    }
}

#[test]
fn v_13_q_50_row_23_members_are_removed_by_filter() {
    changes(without_value("remove", "members[value eq \"a\"]"), false, &[("a", false)]);
    changes(without_value("remove", "members[value eq \"zz\"]"), false, &[("zz", false)]);
    changes(without_value("remove", "MEMBERS[VALUE eq \"a\" or value eq \"b\"]"), false, &[("a", false), ("b", false)]);
}

#[test]
fn v_14_patch_r3_all_members_are_removed() {
    changes(without_value("remove", "members"), true, &[]);
    changes(json!([{"path": "members", "op": "remove", "value": null}]), true, &[]);
}

#[test]
fn v_16_members_are_removed_and_added_in_order() {
    changes(
        json!([{"op": "remove", "path": "members[value eq \"a\"]"}, {"op": "add", "path": "members", "value": [{"value": "c"}]}]),
        false,
        &[("a", false), ("c", true)],
    );
    changes(
        json!([{"op": "remove", "path": "members"}, {"op": "add", "path": "members", "value": [{"value": "c"}, {"value": "d"}]}]),
        true,
        &[("c", true), ("d", true)],
    );
    changes(
        json!([
            {"op": "add", "path": "members", "value": [{"value": "c"}]},
            {"op": "remove", "path": "members"},
            {"op": "add", "path": "members", "value": [{"value": "d"}, {"value": "e"}]},
            {"op": "remove", "path": "members[value eq \"e\"]"},
        ]),
        true,
        &[("d", true)],
    );
}

#[test]
fn v_17_patch_p4_members_are_replaced() {
    changes(at("replace", "members", json!([{"value": "c"}, {"value": "a"}])), true, &[("c", true), ("a", true)]);
    changes(at("replace", "members", json!([])), true, &[]);
    changes(at("replace", "members", json!(null)), true, &[]);
    changes(
        pathless("replace", json!({"id": "2819c223", "displayName": "g", "members": [{"value": "c"}]})),
        true,
        &[("c", true)],
    );
}

#[test]
fn t_06_q_50_row_18_only_listed_members_are_removed() {
    for value in [json!([{"$ref": null, "value": "a"}, {"value": "zz"}]), json!(["a", "zz"])] {
        changes_in(Profile::Compat, at("Remove", "members", value.clone()), false, &[("a", false), ("zz", false)]);
        refused(at("remove", "members", value), Profile::Strict, ErrorKind::InvalidValue);
    }
    changes_in(Profile::Compat, at("Remove", "members", json!({"value": "a"})), false, &[("a", false)]);
    changes_in(Profile::Compat, at("Remove", "members", json!("a")), false, &[("a", false)]);
}

#[test]
fn t_06_q_50_row_20_an_empty_list_removes_nobody() {
    for value in [json!([]), json!("")] {
        changes_in(Profile::Compat, at("Remove", "members", value), false, &[]);
    }
    for value in [json!([{"$ref": null}]), json!({})] {
        refused(at("remove", "members", value), Profile::Compat, ErrorKind::InvalidValue);
    }
}

#[test]
fn t_05_members_as_bare_text() {
    changes_in(Profile::Compat, at("add", "members", json!(["c", "d"])), false, &[("c", true), ("d", true)]);
    changes_in(Profile::Compat, at("add", "members", json!("c")), false, &[("c", true)]);
    refused(at("add", "members", json!(["c"])), Profile::Strict, ErrorKind::InvalidValue);
}

#[test]
fn a_bad_member_leaves_the_group_as_it_is() {
    for profile in BOTH {
        for element in
            [json!({"value": ""}), json!({"value": null}), json!({"display": "x"}), json!({"value": "x".repeat(256)})]
        {
            refused(at("replace", "members", json!([{"value": "c"}, element])), profile, ErrorKind::InvalidValue);
        }
    }
}

#[test]
fn grp_04_members_cannot_be_changed_in_place() {
    for profile in BOTH {
        for operations in [
            at("replace", "members[value eq \"a\"].value", json!("c")),
            at("replace", "members[value eq \"a\"]", json!({"value": "c"})),
            at("replace", "members[value eq \"a\"].type", json!("Group")),
            at("replace", "members.value", json!("c")),
            at("add", "members.type", json!("Group")),
            without_value("remove", "members[value eq \"a\"].value"),
            without_value("remove", "members.value"),
            at("replace", "members[value eq \"a\"].display", json!("x")),
        ] {
            refused(operations, profile, ErrorKind::Mutability);
        }
        for operations in [
            at("replace", "members[value eq \"a\"].value", json!("a")),
            at("replace", "members[value eq \"a\"].type", json!("User")),
            at("replace", "members[value eq \"a\"].display", json!("Member a")),
            at("replace", "members.type", json!("user")),
            at("add", "members[value eq \"a\"]", json!({"value": "a", "$ref": "x", "display": "y"})),
            without_value("remove", "members[value eq \"zz\"].value"),
        ] {
            let (changes, _) = group(&["a", "b"], operations, profile).expect("nothing changes");
            assert!(changes.is_empty());
        }
    }
}

#[test]
fn grp_03_a_claimed_type_is_passed_on() {
    for operations in [
        at("add", "members", json!([{"value": "c", "type": "Group"}])),
        at("add", "members[value eq \"a\"]", json!({"value": "a", "type": "Group"})),
    ] {
        let (changes, _) = group(&["a"], operations, Profile::Compat).expect("valid");
        assert_eq!(changes.changes[0].0.claimed_type.as_deref(), Some("Group"));
    }
}

#[test]
fn patch_p8_patch_a9_an_unmatched_member() {
    for op in ["add", "replace"] {
        for (path, value) in [
            ("members[value eq \"c\"]", json!({"value": "c"})),
            ("members[value eq \"c\"].value", json!("c")),
            ("members[value eq \"c\" and type eq \"User\"]", json!({})),
        ] {
            refused(at(op, path, value.clone()), Profile::Strict, ErrorKind::NoTarget);
            let (changes, _) = group(&["a", "b"], at(op, path, value), Profile::Compat).expect("created");
            assert_eq!(summary(&changes), [("c", true)]);
        }
        for profile in BOTH {
            refused(at(op, "members[display eq \"x\"].type", json!("User")), profile, ErrorKind::NoTarget);
            refused(
                at(op, "members[value eq \"c\" or value eq \"d\"].type", json!("User")),
                profile,
                ErrorKind::NoTarget,
            );
        }
    }
    for profile in BOTH {
        let error = run(
            "Group",
            json!({"displayName": "g"}),
            at("add", "members.value", json!("c")),
            &mut Members::default(),
            profile,
        );
        assert_eq!(error.expect_err("nobody is there").kind(), ErrorKind::NoTarget);
    }
}

#[test]
fn q_50_row_11_nothing_for_an_absent_member_is_success() {
    let (changes, _) =
        group(&["a"], at("replace", "members[value eq \"c\"].value", json!("")), Profile::Compat).expect("tolerated");
    assert!(changes.is_empty());
}

#[test]
fn patch_r5_other_filters_look_at_the_members_as_they_are_now() {
    for profile in BOTH {
        let operations = json!([
            {"op": "remove", "path": "members[value eq \"b\"]"},
            {"op": "add", "path": "members", "value": [{"value": "c", "type": "User"}, {"value": "d", "type": "Group"}]},
            {"op": "remove", "path": "members[type eq \"User\"]"},
            {"op": "remove", "path": "members[display sw \"nobody\"]"},
        ]);
        let (changes, members) = group(&["a", "b"], operations, profile).expect("valid");
        assert_eq!(summary(&changes), [("b", false), ("c", false), ("d", true), ("a", false)]);
        assert_eq!(members.listed, 1);
    }
}

#[test]
fn patch_r10_beside_a_filter_both_have_to_select_a_member() {
    let operations = at("remove", "members[type eq \"User\"]", json!([{"value": "b"}]));
    let (changes, _) = group(&["a", "b"], operations, Profile::Compat).expect("tolerated");
    assert_eq!(summary(&changes), [("b", false)]);
}

#[test]
fn strict_asks_once_for_the_member_that_a_filter_names() {
    let operations = at("add", "members[value eq \"a\"]", json!({"value": "a"}));
    let (_, members) = group(&["a"], operations, Profile::Strict).expect("there already");
    assert_eq!((members.asked, members.listed), (1, 0));
}

#[test]
fn grp_01_the_name_of_a_group() {
    let renamed = |operations, profile| {
        run("Group", json!({"displayName": "g", "externalId": "e"}), operations, &mut Members::default(), profile)
    };
    for profile in BOTH {
        let operations = pathless("replace", json!({"displayName": "h", "externalId": null}));
        let patched = renamed(operations, profile).expect("renamed");
        assert_eq!(patched.document.to_json(), r#"{"displayName":"h"}"#);
        for value in [json!(""), json!(null)] {
            let error = renamed(at("replace", "displayName", value), profile).expect_err("required");
            assert_eq!(error.kind(), ErrorKind::InvalidValue);
        }
        assert_eq!(
            renamed(without_value("remove", "displayName"), profile).expect_err("required").kind(),
            ErrorKind::Mutability
        );
    }
}

#[test]
fn q_50_row_06_a_group_update_of_authentik() {
    let request = object(json!({"Operations": [{"op": "replace", "value": {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": "2819c223", "externalId": "e",
        "displayName": "authentik Admins"}}]}));
    let request = parse(&request, Profile::Compat).expect("tolerated");
    let current = Document::from_json(r#"{"displayName":"g"}"#).expect("an object");
    let patched = apply(
        &request,
        resource_type("Group"),
        &current,
        &Map::new(),
        &mut Members::default(),
        Profile::Compat,
        &mut Budget::full(),
    );
    let patched = patched.expect("tolerated");
    assert_eq!(patched.document.to_json(), r#"{"displayName":"authentik Admins","externalId":"e"}"#);
    assert!(patched.members.is_empty());
}

#[test]
fn patch_23_members_cost_what_they_are_not_what_the_group_is() {
    let one_each: Vec<Value> = (0..1000)
        .map(|i| match i % 2 {
            0 => json!({"op": "add", "path": "members", "value": [{"value": format!("id-{i}")}]}),
            _ => json!({"op": "remove", "path": format!("members[value eq \"id-{i}\"]")}),
        })
        .collect();
    let many: Vec<Value> = (0..100_000).map(|i| json!({"value": format!("id-{i}")})).collect();
    for profile in BOTH {
        let (changes, members) = group(&["a"], Value::Array(one_each.clone()), profile).expect("valid");
        assert_eq!((changes.changes.len(), members.asked, members.listed), (1000, 0, 0));
        let (changes, _) = group(&["a"], at("replace", "members", Value::Array(many.clone())), profile).expect("valid");
        assert_eq!(changes.changes.len(), 100_000);
    }
}
