//! A body of a few megabytes may not ask for hours of work, nor for more memory than there is.

use super::*;

fn emails(count: usize) -> Value {
    (0..count).map(|i| json!({"value": format!("{i}@x.org"), "type": "work"})).collect()
}

/// Refused before the work is done: each of these would take minutes, or gigabytes.
#[track_caller]
fn too_much(current: Value, operations: Value) {
    fails(current, operations, ErrorKind::TooLarge);
}

#[test]
fn patch_22_many_terms_for_many_values_are_too_much() {
    let filter = vec!["value eq \"z\""; 150].join(" and ");
    let operation = json!({"op": "remove", "path": format!("emails[{filter}]")});
    too_much(json!({"emails": emails(20_000)}), json!([operation, operation]));
}

#[test]
fn patch_22_one_value_written_to_many_elements_is_too_much() {
    let current = json!({"emails": emails(5_000)});
    let text = "x".repeat(1_000_000);
    for operations in [
        at("replace", "emails.display", json!(text)),
        at("add", "emails[type eq \"work\"].display", json!(text)),
        at("replace", "emails[type eq \"work\"]", json!({"display": text})),
        at("add", "emails[type eq \"work\"]", json!({"display": text})),
    ] {
        too_much(current.clone(), operations);
    }
    becomes(
        json!({"emails": [{"value": "a@x.org"}]}),
        at("replace", "emails.display", json!(text)),
        json!({"emails": [{"value": "a@x.org", "display": text}]}),
    );
}

#[test]
fn patch_22_many_listed_values_for_many_elements_are_too_much() {
    let current = json!({"emails": emails(5_000)});
    let texts: Value = (0..5_000).map(|i| json!(format!("{i}@y.org"))).collect();
    for path in ["emails", "emails.value", "emails[type eq \"work\"]"] {
        let outcome = user(current.clone(), at("remove", path, texts.clone()), Profile::Compat);
        assert_eq!(outcome.expect_err(path).kind(), ErrorKind::TooLarge, "{path}");
    }
}

#[test]
fn patch_22_long_text_counts_for_what_it_takes_to_compare_it() {
    let text = "x".repeat(4_000_000);
    let terms = vec!["value co \"y\""; 150].join(" or ");
    too_much(json!({"emails": [{"value": text}]}), at("replace", &format!("emails[{terms}].type"), json!("work")));
    let operations: Value = (0..1000).map(|_| json!({"op": "add", "path": "name.givenName", "value": "Ada"})).collect();
    too_much(json!({"name": {"formatted": text}}), operations);
}

#[test]
fn patch_23_grp_03_the_type_of_a_member_is_a_name() {
    let members: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    for (path, value) in [
        ("members[type eq \"User\"]", json!({"type": "x".repeat(300)})),
        ("members", json!([{"value": "7", "type": "x".repeat(300)}])),
    ] {
        let current = json!({"displayName": "g"});
        let outcome = run("Group", current, at("add", path, value), &mut Members::of(&members), Profile::Compat);
        assert_eq!(outcome.expect_err(path).kind(), ErrorKind::InvalidValue, "{path}");
    }
}

#[test]
fn patch_23_looking_up_members_one_by_one_has_an_end() {
    let terms = (0..100).map(|i| format!("value eq \"{i}\"")).collect::<Vec<_>>().join(" or ");
    let operation = json!({"op": "add", "path": format!("members[{terms}]"), "value": {"type": "User"}});
    let mut members = Members::of(&["7"]);
    let operations = Value::Array(vec![operation; 1000]);
    let outcome = run("Group", json!({"displayName": "g"}), operations, &mut members, Profile::Compat);
    assert_eq!(outcome.expect_err("too much").kind(), ErrorKind::TooLarge);
    assert!(members.asked <= 10_000, "{}", members.asked);
}

#[test]
fn patch_22_many_operations_on_a_large_user_are_not_too_much() {
    let current = json!({"emails": emails(500)});
    let path = |i: usize| format!("emails[value eq \"{i}@x.org\"].display");
    let operations: Value = (0..100).map(|i| json!({"op": "add", "path": path(i), "value": "Ada"})).collect();
    for profile in BOTH {
        let changed = user(current.clone(), operations.clone(), profile).expect("it is allowed");
        assert_eq!(changed["emails"][99]["display"], json!("Ada"));
    }
}
