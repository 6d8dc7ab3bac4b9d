//! Keys: made, shown, rotated and withdrawn through the admin API.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{admin, ask, asked, history, key_id, tenant_of};
use crate::harness::{Api, each};
use crate::messages::*;

fn make(admin: &Api, question: Value) -> Value {
    asked(admin, "POST", "/keys", Some(&question))
}

/// The status of a request for users with this token.
fn opens(api: &Api, token: &Value) -> u16 {
    api.connection().call(token.as_str().unwrap(), "GET", "/Users", None).unwrap().status
}

#[test]
fn auth_03_a_token_is_in_the_answer_that_makes_it_and_nowhere_else() {
    each(|api| {
        let (admin, tenant) = (admin(api), tenant_of(api));
        let question = json!({"name": "okta", "tenant": tenant, "scopes": ["users:read"], "expiresIn": 3600});
        let answer = ask(&admin, "POST", "/keys", Some(&question));
        let made = answer.json();
        let path = format!("/keys/{}", made["id"].as_str().unwrap());
        let shown = ask(&admin, "GET", &path, None);
        let listed = ask(&admin, "GET", &format!("/keys?tenant={tenant}"), None);

        assert_eq!(opens(api, &made["token"]), 200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let secret = &made["token"].as_str().unwrap()[19..51];
        for text in [shown.text(), listed.text()] {
            assert!(text.contains(made["id"].as_str().unwrap()), "{text}");
            assert!(!text.contains(secret) && !text.contains("argon2") && !text.contains("token"), "{text}");
        }
        let mut known = made.clone();
        known.as_object_mut().unwrap().remove("token");
        let mut shown = shown.json();
        shown["lastUsed"] = Value::Null;
        assert_eq!(shown, known);
        assert_eq!((&known["scopes"], &known["profile"]), (&json!(["users:read"]), &json!("compat")));
        assert_eq!((&known["user"], &known["status"]), (&Value::Null, &json!("active")));
    });
}

#[test]
fn auth_03_a_revoked_key_opens_nothing_with_the_next_request() {
    each(|api| {
        let admin = admin(api);
        let made = make(&admin, json!({"name": "okta", "tenant": tenant_of(api)}));
        let path = format!("/keys/{}/revoke", made["id"].as_str().unwrap());
        assert_eq!(opens(api, &made["token"]), 200);

        let revoked = asked(&admin, "POST", &path, Some(&json!({})));
        let status = opens(api, &made["token"]);
        let again = asked(&admin, "POST", &path, Some(&json!({})));

        assert_eq!((&revoked["status"], status), (&json!("revoked"), 401));
        assert_eq!(again["revoked"], revoked["revoked"]);
        let rotate = format!("/keys/{}/rotate", made["id"].as_str().unwrap());
        assert_error(&ask(&admin, "POST", &rotate, Some(&json!({}))), 400, Some("invalidValue"));
    });
}

#[test]
fn auth_04_a_rotated_key_ends_after_the_overlap_and_at_once_without_one() {
    each(|api| {
        let admin = admin(api);
        let question = json!({"name": "okta", "tenant": tenant_of(api), "profile": "strict", "expiresIn": "never"});
        let old = make(&admin, question);
        let rotate = |key: &Value, question: Value| {
            asked(&admin, "POST", &format!("/keys/{}/rotate", key["id"].as_str().unwrap()), Some(&question))
        };
        assert_eq!((&old["expires"], opens(api, &old["token"])), (&Value::Null, 200));

        let second = rotate(&old, json!({}));
        let still = opens(api, &old["token"]);
        let third = rotate(&second, json!({"overlap": 0, "expiresIn": "never"}));

        assert_eq!((still, opens(api, &second["token"]), opens(api, &third["token"])), (200, 401, 200));
        assert_eq!((&second["rotatedFrom"], &third["rotatedFrom"]), (&old["id"], &second["id"]));
        for member in ["name", "tenant", "profile", "scopes"] {
            assert_eq!(third[member], old[member], "{member}");
        }
        let ended = asked(&admin, "GET", &format!("/keys/{}", old["id"].as_str().unwrap()), None);
        assert_eq!((&ended["expires"], &ended["status"]), (&second["oldExpires"], &json!("active")));
    });
}

#[test]
fn sec_04_the_history_tells_who_made_and_who_withdrew_a_key() {
    each(|api| {
        let (maker, revoker) = (admin(api), admin(api));
        let user = api.created("/Users", &user("mira"));
        let question = json!({"name": "mira", "tenant": tenant_of(api), "user": "MIRA", "scopes": ["me", "read"]});
        let made = make(&maker, question);
        let id = made["id"].as_str().unwrap();
        let new = asked(&maker, "POST", &format!("/keys/{id}/rotate"), Some(&json!({"overlap": 60})));
        for _ in 0..2 {
            asked(&revoker, "POST", &format!("/keys/{id}/revoke"), Some(&json!({})));
        }

        let entries = history(api, api.tenant_id, "Key", id);

        let (maker, revoker) = (key_id(&maker.token), key_id(&revoker.token));
        let done: Vec<_> = entries.iter().map(|(operation, caller, _)| (*operation, caller.clone())).collect();
        assert_eq!(done, [("create", maker.clone()), ("modify", maker.clone()), ("modify", revoker)]);
        let after = &entries[0].2["after"];
        assert_eq!((&after["name"], &after["user"]), (&json!("mira"), &user["id"]));
        assert_eq!(entries[1].2["after"], json!({"expires": new["oldExpires"]}));
        assert!(entries[2].2["after"]["revoked"].is_string(), "{}", entries[2].2);
        let of_new = history(api, api.tenant_id, "Key", new["id"].as_str().unwrap());
        assert_eq!((of_new.len(), &of_new[0].2["after"]["rotatedFrom"]), (1, &json!(id)));
        let text = json!([entries, of_new]).to_string();
        for token in [&made["token"], &new["token"]] {
            assert!(!text.contains(&token.as_str().unwrap()[19..51]), "{text}");
        }
        assert!(!text.contains("argon2") && !text.contains("userName"), "{text}");
        let of_user = history(api, api.tenant_id, "User", user["id"].as_str().unwrap());
        assert_eq!(of_user.len(), 1, "the history of resources is as it was");
    });
}

#[test]
fn a_list_of_keys_is_walked_page_by_page_and_sees_everything_once() {
    each(|api| {
        let (admin, tenant) = (admin(api), tenant_of(api));
        let made: Vec<Value> = (0..3)
            .map(|number| make(&admin, json!({"name": format!("key {number}"), "tenant": tenant}))["id"].clone())
            .collect();
        let walk = |limit: usize, filter: &str| {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let page = asked(&admin, "GET", &format!("/keys?limit={limit}{filter}{after}"), None);
                let items = page["items"].as_array().unwrap();
                assert!(items.len() <= limit);
                seen.extend(items.iter().map(|item| item["id"].clone()));
                let Some(next) = page["next"].as_str() else { return seen };
                after = format!("&after={next}");
            }
        };

        let (own, all) = (walk(2, &format!("&tenant={tenant}")), walk(1000, ""));

        let in_order: Vec<&Value> = own.iter().filter(|id| made.contains(id)).collect();
        assert_eq!(in_order, made.iter().collect::<Vec<_>>());
        assert_eq!(own.len(), 5, "beside them the key that the test begins with, and the one that asks");
        let distinct: BTreeSet<String> = all.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), all.len());
        assert!(own.iter().all(|id| distinct.contains(&id.to_string())));
    });
}

#[test]
fn auth_05_whoever_may_not_administer_gets_no_key_and_takes_none() {
    each(|api| {
        let (writer, auditor) = (api, api.with_key(api.profile, "admin:read write"));
        let question = json!({"name": "more", "tenant": tenant_of(api), "scopes": ["read"]});
        let own = format!("/keys/{}", key_id(&api.token));
        for (method, path, body) in [
            ("POST", "/keys".to_owned(), question),
            ("POST", format!("{own}/revoke"), json!({})),
            ("POST", format!("{own}/rotate"), json!({})),
        ] {
            assert_error(&ask(writer, method, &path, Some(&body)), 403, None);
            assert_error(&ask(&auditor, method, &path, Some(&body)), 403, None);
        }
        assert_error(&ask(writer, "GET", &own, None), 403, None);
        assert_eq!(asked(&auditor, "GET", &own, None)["status"], "active");
    });
}

#[test]
fn what_is_wrong_with_a_key_is_told_and_nothing_is_made() {
    each(|api| {
        let (admin, tenant) = (admin(api), tenant_of(api));
        let cases = [
            (json!({"name": " "}), 400, "needs a name"),
            (json!({"name": "x".repeat(201)}), 400, "200 characters"),
            (json!({"name": "x", "scopes": ["user:read"]}), 400, "Did you mean `users:read`?"),
            (json!({"name": "x", "scopes": ["me"]}), 400, "somebody to be"),
            (json!({"name": "x", "profile": "lax"}), 400, "lax"),
            (json!({"name": "x", "expiresIn": 0}), 400, "a second at least"),
            (json!({"name": "x", "expiresIn": 18_446_744_073_709_551_615_u64}), 400, "100 years"),
            (json!({"name": "x", "expiresIn": "soon"}), 400, "expiresIn"),
            (json!({"name": "x", "token": "mine"}), 400, "token"),
            (json!({"name": "x", "user": "nobody"}), 404, "'nobody'"),
        ];
        for (mut question, status, named) in cases {
            question["tenant"] = json!(tenant);
            let refused = ask(&admin, "POST", "/keys", Some(&question));
            assert_eq!(refused.status, status, "{question}: {}", refused.text());
            assert!(refused.text().contains(named), "{question}: {}", refused.text());
        }
        let refused = ask(&admin, "POST", "/keys", Some(&json!({"name": "x", "tenant": "nobody"})));
        assert_error(&refused, 404, None);
        for path in ["/keys/nosuchkey", "/keys?tenant=nobody"] {
            assert_error(&ask(&admin, "GET", path, None), 404, None);
        }
        assert_error(&ask(&admin, "GET", "/keys?after=nosuchkey", None), 400, Some("invalidValue"));
        assert_error(&ask(&admin, "POST", "/keys/nosuchkey/revoke", Some(&json!({}))), 404, None);
        let overlap = json!({"overlap": 18_446_744_073_709_551_615_u64});
        let rotate = format!("/keys/{}/rotate", key_id(&api.token));
        assert_error(&ask(&admin, "POST", &rotate, Some(&overlap)), 400, Some("invalidValue"));
        let keys = asked(&admin, "GET", &format!("/keys?tenant={tenant}"), None);
        assert_eq!(keys["items"].as_array().unwrap().len(), 2, "{keys}");
    });
}
