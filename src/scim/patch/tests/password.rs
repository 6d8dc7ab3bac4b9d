use proptest::prelude::*;

use super::*;
use crate::scim::password::Password;

/// Operations that set or clear the password, that have nothing to do with it, and that are refused in one profile or
/// both, before or behind it.
fn operation() -> impl Strategy<Value = Value> {
    let qualified = format!("{USER_URN}:password");
    let pool = vec![
        json!({"op": "add", "path": "password", "value": "one"}),
        json!({"op": "replace", "path": "PASSWORD", "value": "two"}),
        json!({"op": "replace", "path": qualified, "value": "three"}),
        json!({"op": "add", "value": {"password": "four", "title": "t"}}),
        json!({"op": "replace", "value": {USER_URN: {"password": "five"}}}),
        json!({"op": "replace", "value": {qualified: "six"}}),
        json!({"op": "replace", "path": USER_URN, "value": {"password": "seven"}}),
        json!({"op": "remove", "path": "password"}),
        json!({"op": "remove", "path": "password", "value": "x"}),
        json!({"op": "replace", "path": "password", "value": null}),
        json!({"op": "add", "path": "password", "value": null}),
        json!({"op": "add", "path": "password", "value": ""}),
        json!({"op": "add", "path": "password", "value": []}),
        json!({"op": "add", "path": "password", "value": 8}),
        json!({"op": "add", "path": "password", "value": "bell\u{7}"}),
        json!({"op": "add", "path": "password.value", "value": "x"}),
        json!({"op": "add", "path": "password[value eq \"x\"]", "value": "x"}),
        json!({"op": "add", "path": "shoeSize", "value": 42}),
        json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "a@x"}),
        json!({"op": "remove", "path": "emails[type eq \"home\"]"}),
        json!({"op": "remove", "path": ENTERPRISE_URN}),
        json!({"op": "replace", "path": "title", "value": "t"}),
        json!({"op": "replace", "path": "id", "value": "another"}),
        json!({"op": "remove", "path": "userName"}),
    ];
    prop::sample::select(pool)
}

fn both(operations: &[Value], profile: Profile) -> (PasswordChange, Option<PasswordChange>) {
    let user = Registry::with_passwords().resource_type("User").expect("User is built in");
    let request = parse(&message(json!(operations)), profile).expect("a message");
    let current = Document::from_json(r#"{"userName":"x"}"#).expect("an object");
    let patched = apply(&request, user, &current, &Map::new(), &mut Members::default(), profile, &mut Budget::full());
    (password_of(&request, user, profile), patched.ok().map(|patched| patched.password))
}

proptest! {
    /// The hash is made of what is known before the resource is: it must be of what is then applied.
    #[test]
    fn usr_06_what_is_hashed_is_what_is_set(operations in prop::collection::vec(operation(), 1..6)) {
        for profile in BOTH {
            let (hashed, set) = both(&operations, profile);
            if let Some(set) = set {
                prop_assert_eq!(hashed, set);
            }
        }
    }
}

#[test]
fn char_04_the_last_word_on_the_password_holds_and_no_document_has_it() {
    let set = |text: &str| PasswordChange::Set(Password::prepare(text, Profile::Strict).expect("a password"));
    for profile in BOTH {
        let last = |operations: Value| both(operations.as_array().expect("an array"), profile).1;
        let one = json!({"op": "add", "path": "password", "value": "one"});
        let two = json!({"op": "replace", "value": {"password": "two"}});
        let none = json!({"op": "remove", "path": "password"});
        assert_eq!(last(json!([one, two])), Some(set("two")));
        assert_eq!(last(json!([two, none])), Some(PasswordChange::Cleared));
        assert_eq!(last(json!([none, one])), Some(set("one")));
        assert_eq!(last(at("replace", "title", json!("t"))), Some(PasswordChange::Unmentioned));
        // Without passwords there is nothing to say about them.
        let request = parse(&message(json!([one])), profile).expect("a message");
        assert_eq!(password_of(&request, resource_type("User"), profile), PasswordChange::Unmentioned);
    }
}
