//! Keys: made, shown, rotated and withdrawn through the admin API.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{NaiveDateTime, TimeDelta, Utc};
use scimd::auth::{Authenticator, StoredKeys};
use scimd::scim::ErrorKind;
use serde_json::{Value, json};

use super::{admin, ask, asked, history, key_id, made, tenant_of};
use crate::harness::{Api, each, run};
use crate::messages::*;

fn make(admin: &Api, question: Value) -> Value {
    made(admin, "/keys", &question)
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
            made(&admin, &format!("/keys/{}/rotate", key["id"].as_str().unwrap()), &question)
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
        let new = super::made(&maker, &format!("/keys/{id}/rotate"), &json!({"overlap": 60}));
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

/// A page is a stretch behind a place, and no key.
#[test]
fn a_list_of_keys_goes_on_behind_a_key_that_is_gone() {
    each(|api| {
        let (admin, tenant) = (admin(api), tenant_of(api));
        let user = api.created("/Users", &user("mira"));
        let bound = make(&admin, json!({"name": "mira", "tenant": tenant, "user": user["id"]}));
        let last = make(&admin, json!({"name": "last", "tenant": tenant}));
        let list = |query: &str| asked(&admin, "GET", &format!("/keys?tenant={tenant}&{query}"), None);
        let first = list("limit=3");
        assert_eq!(first["items"][2]["id"], bound["id"], "{first}");

        assert_eq!(api.delete(&path_of(&user)).status, 204);
        let purge = format!("/tenants/{tenant}/resources{}/purge", path_of(&user));
        asked(&admin, "POST", &purge, Some(&json!({})));

        let rest = list(&format!("limit=3&after={}", first["next"].as_str().unwrap()));
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["items"][0]["id"]), (1, &last["id"]), "{rest}");
    });
}

#[test]
fn keys_are_listed_by_status_and_by_their_end() {
    each(|api| {
        let (admin, tenant) = (admin(api), tenant_of(api));
        let made = |name: &str, seconds: u64| {
            let made = make(&admin, json!({"name": name, "tenant": tenant, "expiresIn": seconds}));
            made["id"].as_str().unwrap().to_owned()
        };
        let (short, long, revoked) = (made("short", 3600), made("long", 3_600_000), made("revoked", 3600));
        let ended = key_id(&api.with_key_until(Utc::now().naive_utc() - TimeDelta::hours(1)).token);
        asked(&admin, "POST", &format!("/keys/{revoked}/revoke"), Some(&json!({})));
        let list = |query: &str| -> BTreeSet<String> {
            let listed = asked(&admin, "GET", &format!("/keys?tenant={tenant}&{query}"), None);
            listed["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
        };
        let set = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<BTreeSet<String>>();
        let (own, asking) = (key_id(&api.token), key_id(&admin.token));

        assert_eq!(list("status=active"), set(&[&short, &long, &own, &asking]));
        assert_eq!(list("status=expired"), set(&[&ended]));
        assert_eq!(list("status=revoked"), set(&[&revoked]));
        let soon = (Utc::now() + TimeDelta::days(1)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        assert_eq!(list(&format!("status=active&expiresBefore={soon}")), set(&[&short]));
        assert_eq!(list(&format!("expiresBefore={soon}")), set(&[&short, &ended, &revoked]));
        let refused = ask(&admin, "GET", "/keys?status=lost", None);
        assert!(assert_error(&refused, 400, Some("invalidValue")).contains("`revoked`"), "{}", refused.text());
    });
}

/// Another process remembers keys, too, and nobody tells it. It believes what it has read for a second.
#[test]
fn auth_03_what_becomes_of_a_key_is_seen_by_other_processes_within_a_second() {
    each(|api| {
        let admin = super::admin(&api.other_tenant());
        let user = api.created("/Users", &user("mira"));
        let tenant = tenant_of(api);
        let path = |key: &Value, deed: &str| format!("/keys/{}/{deed}", key["id"].as_str().unwrap());
        let elsewhere = Authenticator::new(Arc::new(StoredKeys::new(api.store.clone())));
        let opens_at = |key: &Value, now: NaiveDateTime| {
            let header = format!("Bearer {}", key["token"].as_str().unwrap());
            let asked = async { Ok(elsewhere.authenticate(Some(header.as_bytes()), now).await) };
            run(asked).map(|caller| caller.key_id.clone()).map_err(|error| error.kind())
        };
        for (deed, outcome) in [
            ("revoke", Err(ErrorKind::Unauthorized)),
            ("rotate", Err(ErrorKind::Unauthorized)),
            ("purge", Err(ErrorKind::Unauthorized)),
            ("suspend", Err(ErrorKind::Forbidden)),
        ] {
            let question = match deed {
                "purge" => json!({"name": deed, "tenant": tenant, "user": user["id"]}),
                _ => json!({"name": deed, "tenant": tenant}),
            };
            let key = make(&admin, question);
            let now = Utc::now().naive_utc();
            assert_eq!(opens_at(&key, now), Ok(key["id"].as_str().unwrap().to_owned()), "{deed}");

            match deed {
                "revoke" => asked(&admin, "POST", &path(&key, "revoke"), Some(&json!({}))),
                "rotate" => made(&admin, &path(&key, "rotate"), &json!({"overlap": 0})),
                "purge" => {
                    assert_eq!(api.delete(&path_of(&user)).status, 204);
                    let purge = format!("/tenants/{tenant}/resources{}/purge", path_of(&user));
                    asked(&admin, "POST", &purge, Some(&json!({})))
                }
                _ => asked(&admin, "POST", &format!("/tenants/{tenant}/suspend"), Some(&json!({}))),
            };

            // Whatever the clock says by now, it is less than a second after the look, and then a second.
            assert_eq!(opens_at(&key, now), Ok(key["id"].as_str().unwrap().to_owned()), "{deed}: it was read just now");
            assert_eq!(opens_at(&key, Utc::now().naive_utc() + TimeDelta::seconds(1)), outcome, "{deed}");
        }
    });
}

/// What is remembered of a key in this process is forgotten with whatever becomes of it.
#[test]
fn auth_03_a_key_whose_user_is_purged_opens_nothing_with_the_next_request() {
    each(|api| {
        let (admin, tenant) = (admin(api), tenant_of(api));
        let user = api.created("/Users", &user("mira"));
        let bound =
            make(&admin, json!({"name": "mira", "tenant": tenant, "user": user["id"], "scopes": ["me", "read"]}));
        assert_eq!(api.delete(&path_of(&user)).status, 204);
        assert_eq!(opens(api, &bound["token"]), 200, "the user is gone, and its key may read");

        let purge = format!("/tenants/{tenant}/resources{}/purge", path_of(&user));
        let purged = asked(&admin, "POST", &purge, Some(&json!({})));

        assert_eq!((&purged["keys"], opens(api, &bound["token"])), (&json!([bound["id"]]), 401));
    });
}

#[test]
fn whoever_asks_is_told_who_they_are() {
    each(|api| {
        for (scope, may_change) in [("admin", true), ("admin:read", false), ("admin:read write", false)] {
            let one = api.with_key(api.profile, scope);
            let me = asked(&one, "GET", "/me", None);
            assert_eq!((&me["mayChange"], &me["name"]), (&json!(may_change), &json!(key_id(&one.token))));
            assert_eq!((&me["key"]["tenant"], &me["key"]["status"]), (&json!(tenant_of(api)), &json!("active")));
        }
        assert_error(&ask(api, "GET", "/me", None), 403, None);
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
