//! `/admin/v1`: the frame of the operators' API, shown with tenants; what can be asked for has files of its own.

mod keys;
mod limits;
mod resources;
mod tenants;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use scimd::admin::audit::Verify;
use scimd::admin::doctor::Examine;
use scimd::admin::transfer::Import;
use scimd::admin::{Desk, Operation, offers};
use scimd::http::openapi::admin::document;
use scimd::scim::ErrorKind;
use scimd::store::{self, Reach, audit};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Api, Database, another_server_and_its_desk, each, run};
use crate::messages::*;
use crate::openapi::references;
use crate::restore::provider;
use crate::support::http::{Client, Response};
use crate::transfer::{self, written_by_hand};

/// Sends a request to the admin API with the key of `api`.
fn ask(api: &Api, method: &str, path: &str, body: Option<&Value>) -> Response {
    let headers = [
        ("Authorization".to_owned(), format!("Bearer {}", api.token)),
        ("Content-Type".to_owned(), "application/json".to_owned()),
    ];
    let body = body.map(|body| body.to_string().into_bytes());
    api.root().send(method, &format!("/admin/v1{path}"), &headers, body.as_deref()).unwrap()
}

fn admin(api: &Api) -> Api {
    api.with_key(api.profile, "admin")
}

/// The answer to a question that is not refused.
fn asked(api: &Api, method: &str, path: &str, body: Option<&Value>) -> Value {
    let answer = ask(api, method, path, body);
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    answer.json()
}

/// What was made by a question that is not refused. It stands where the answer says, but for its token.
fn made(api: &Api, path: &str, body: &Value) -> Value {
    let answer = ask(api, "POST", path, Some(body));
    assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    let location = answer.header("location").unwrap();
    let place = location.strip_prefix(api.base_url.trim_end_matches("/scim/v2")).unwrap();
    let shown = asked(api, "GET", place.strip_prefix("/admin/v1").unwrap(), None);
    for member in ["id", "name", "created"] {
        assert_eq!(shown[member], answer.json()[member], "{location}");
    }
    answer.json()
}

/// What is found out of the history, once nobody else verifies it.
fn verified(api: &Api, question: &Value) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = ask(api, "POST", "/history/verification", Some(question));
        if answer.status != 429 {
            assert_eq!(answer.status, 200, "{}", answer.text());
            return answer.json();
        }
        assert!(Instant::now() < deadline, "somebody has the turn for good");
    }
}

/// What operators call the tenant of `api`.
fn tenant_of(api: &Api) -> String {
    let tenant_id = api.tenant_id;
    run(api.store.read(Reach::Point, move |c| store::tenants::find(c, tenant_id))).unwrap().name
}

/// The history of a key or a tenant, oldest first: what was done, by whom, and what changed.
fn history(api: &Api, tenant_id: i64, resource_type: &'static str, id: &str) -> Vec<(&'static str, String, Value)> {
    let id = id.to_owned();
    let entries =
        run(api.store.read(Reach::Scan, move |c| audit::entries(c, tenant_id, resource_type, &id, None, 100)));
    entries.into_iter().rev().map(|entry| (entry.operation.as_str(), entry.caller, entry.changes)).collect()
}

/// The public part of a token.
fn key_id(token: &str) -> String {
    token.split('_').nth(1).unwrap().to_owned()
}

#[test]
fn the_scope_decides_who_may_look_and_who_may_change() {
    each(|api| {
        let auditor = api.with_key(api.profile, "admin:read");
        let body = json!({"name": format!("t-{}", Uuid::now_v7())});

        assert_error(&ask(api, "GET", "/tenants", None), 403, None);
        assert_eq!(ask(&auditor, "GET", "/tenants", None).status, 200);
        let refused = ask(&auditor, "POST", "/tenants", Some(&body));
        assert_error(&refused, 403, None);
        assert!(refused.text().contains("scope `admin`"), "{}", refused.text());
        made(&admin(api), "/tenants", &body);
        assert_eq!(verified(&auditor, &json!({}))["intact"], true, "it looks, and changes nothing");
        assert_error(&ask(api, "POST", "/history/verification", Some(&json!({}))), 403, None);
        assert_error(&admin(api).get("/Users"), 403, None);
        assert_error(&api.root().send("GET", "/admin/v1/tenants", &[], None).unwrap(), 401, None);
    });
}

#[test]
fn a_list_is_walked_page_by_page_and_sees_everything_once() {
    each(|api| {
        let admin = admin(api);
        let names: Vec<String> = (0..3).map(|_| format!("walk-{}", Uuid::now_v7())).collect();
        for name in &names {
            let made = made(&admin, "/tenants", &json!({"name": name}));
            assert_eq!(
                (made["name"].as_str(), made["groupNames"].as_str()),
                (Some(name.as_str()), Some("by-external-id"))
            );
        }

        let (mut seen, mut path) = (Vec::new(), "/tenants?limit=2".to_owned());
        loop {
            let page = ask(&admin, "GET", &path, None).json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2);
            seen.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/tenants?limit=2&after={next}");
        }

        let distinct: BTreeSet<&String> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len());
        let ours: Vec<&String> = seen.iter().filter(|name| names.contains(name)).collect();
        assert_eq!(ours, names.iter().collect::<Vec<_>>());
    });
}

#[test]
fn settings_change_where_they_are_named_and_nowhere_else() {
    each(|api| {
        let admin = admin(api);
        let name = format!("set-{}", Uuid::now_v7());
        ask(&admin, "POST", "/tenants", Some(&json!({"name": name})));

        let changed = ask(&admin, "PATCH", &format!("/tenants/{name}"), Some(&json!({"groupNames": "unique"}))).json();
        let again = ask(&admin, "PATCH", &format!("/tenants/{name}"), Some(&json!({"requireIfMatch": true}))).json();

        assert_eq!((&changed["groupNames"], &changed["requireIfMatch"]), (&json!("unique"), &json!(false)));
        assert_eq!((&again["groupNames"], &again["requireIfMatch"]), (&json!("unique"), &json!(true)));
    });
}

#[test]
fn the_changes_of_a_tenant_are_walked_and_proven_and_erased() {
    each(|api| {
        let admin = admin(api);
        let tenant = tenant_of(api);
        let ids: Vec<String> = ["ada", "ben", "cai"]
            .map(|name| api.created("/Users", &user(name))["id"].as_str().unwrap().to_owned())
            .to_vec();
        assert_eq!(api.delete(&format!("/Users/{}", ids[1])).status, 204);
        let changes = format!("/tenants/{tenant}/changes");
        let list = |query: &str| ask(&admin, "GET", &format!("{changes}{query}"), None).json();

        let first = list("?limit=3");
        let rest = list(&format!("?limit=3&after={}", first["next"].as_str().unwrap()));
        let items: Vec<&Value> =
            [&first, &rest].into_iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
        let seen: Vec<(&str, &str)> =
            items.iter().map(|item| (item["operation"].as_str().unwrap(), item["id"].as_str().unwrap())).collect();
        let [ada, ben, cai] = [&ids[0], &ids[1], &ids[2]].map(String::as_str);
        assert_eq!(seen, [("delete", ben), ("create", cai), ("create", ben), ("create", ada)]);
        assert_eq!(rest.get("next"), None);
        assert_eq!((&items[0]["keyName"], &items[0]["key"]), (&json!("test"), &json!(key_id(&api.token))));
        assert_eq!(list("?resourceType=Group")["items"], json!([]));
        let all_of_key = list(&format!("?resourceType=User&key=scimd_{}_secret", key_id(&api.token)));
        assert_eq!(all_of_key["items"].as_array().unwrap().len(), 4, "{all_of_key}");
        let oldest = list(&format!("?oldestFirst=true&id={ben}&operation=delete"));
        assert_eq!(oldest["items"], json!([items[0]]));
        let later = list(&format!("?since={}", items[0]["at"].as_str().unwrap()));
        assert!(later["items"].as_array().unwrap().contains(items[0]));
        assert_eq!(list("?key=somebody")["items"], json!([]));

        let purge = format!("/tenants/{tenant}/resources/Users/{ben}/purge");
        let foreseen = ask(&admin, "POST", &purge, Some(&json!({"dryRun": true}))).json();
        let purged = ask(&admin, "POST", &purge, Some(&json!({}))).json();
        assert_eq!((&foreseen["changes"], &foreseen["dryRun"]), (&json!(2), &json!(true)));
        assert_eq!((&purged["changes"], &purged["dryRun"]), (&json!(2), &json!(false)));
        assert_error(&ask(&admin, "POST", &purge, Some(&json!({}))), 404, None);
        let nowhere = format!("/tenants/{tenant}/resources/Printers/{ben}/purge");
        assert_error(&ask(&admin, "POST", &nowhere, Some(&json!({}))), 404, None);
        let of_ben = list(&format!("?id={ben}"));
        let erased: Vec<&Value> = of_ben["items"].as_array().unwrap().iter().map(|item| &item["erased"]).collect();
        assert_eq!(erased, [&Value::Null, &json!(true), &json!(true)]);
        assert_eq!(of_ben["items"][0]["key"], admin.token.split('_').nth(1).unwrap());

        let verdict = verified(&admin, &json!({}));
        assert_eq!((&verdict["intact"], &verdict["faults"]), (&json!(true), &json!([])), "{verdict}");
        let hash = &verdict["head"]["hash"];
        let again = verified(&admin, &json!({"expect": hash}));
        assert_eq!(again["intact"], true, "{again}");
        let other = "0".repeat(64);
        let cut = verified(&admin, &json!({"expect": other}));
        assert_eq!((&cut["intact"], &cut["faults"][0]["wrong"]), (&json!(false), &json!("headMissing")), "{cut}");
    });
}

#[test]
fn the_doctor_makes_one_examination_at_a_time() {
    each(|api| {
        let desk = Desk::new(api.store.clone(), provider(api));
        let examine = || Examine {}.carry_out(&desk);

        let (first, second) = run(async { Ok(futures_util::future::join(examine(), examine()).await) });

        assert!(first.is_ok(), "{first:?}");
        assert_eq!(second.expect_err("no turn").kind(), ErrorKind::Busy);
        // Whoever comes later has one.
        run(examine());
    });
}

#[test]
fn the_history_is_verified_once_at_a_time() {
    each(|api| {
        let desk = Desk::new(api.store.clone(), provider(api));
        let verify = || Verify { expect: None }.carry_out(&desk);

        let (first, second) = run(async { Ok(futures_util::future::join(verify(), verify()).await) });

        assert!(first.is_ok(), "{first:?}");
        assert_eq!(second.expect_err("no turn").kind(), ErrorKind::Busy);
        run(verify());
    });
}

#[test]
fn the_server_says_what_it_is_and_serves() {
    each(|api| {
        let server = asked(&api.with_key(api.profile, "admin:read"), "GET", "/server", None);

        let database = if api.database == Database::Postgres { "postgres" } else { "sqlite" };
        assert_eq!((&server["version"], &server["database"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(database)));
        assert_eq!((&server["baseUrl"], &server["passwords"]), (&json!(api.base_url), &json!(false)));
        let types = json!([{"name": "User", "endpoint": "Users"}, {"name": "Group", "endpoint": "Groups"}]);
        assert_eq!(server["resourceTypes"], types);
    });
}

/// On a server of its own: others import, too.
#[test]
fn whoever_has_no_turn_is_told_to_come_again() {
    each(|api| {
        let (base_url, desk) = another_server_and_its_desk(api.database);
        let client = Client::new(base_url.trim_end_matches("/scim/v2"));
        let (path, admin) = (format!("/admin/v1/tenants/{}/import?dryRun=true", tenant_of(api)), admin(api));
        let headers = [("Authorization", format!("Bearer {}", admin.token)), ("Content-Type", "text/csv".to_owned())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let import = || client.send("POST", &path, &headers, Some(b"userName\n")).unwrap();
        let (first, second) = (Import::turn(&desk).expect("a turn"), Import::turn(&desk).expect("a turn"));

        let refused = import();
        drop(first);
        let later = import();
        drop(second);

        assert_error(&refused, 429, None);
        assert_eq!((refused.header("retry-after"), later.status), (Some("1"), 200), "{}", later.text());
    });
}

/// Whoever holds an admin key may do anything within a tenant, and what they did stays in the history: not even what they
/// bring in under the id of their own key can be purged together with it.
#[test]
fn sec_04_an_admin_key_cannot_erase_its_own_traces() {
    each(|api| {
        let (admin, tenant) = (admin(&api.other_tenant()), tenant_of(api));
        let evil = made(&admin, "/keys", &json!({"name": "evil", "tenant": tenant, "scopes": ["admin"]}));
        let (id, own) = (evil["id"].as_str().unwrap(), api.with_token(evil["token"].as_str().unwrap()));
        let of_key = format!("/tenants/{tenant}/changes?resourceType=Key&id={id}");
        let before = asked(&admin, "GET", &of_key, None);
        assert_eq!(before["items"].as_array().unwrap().len(), 1, "{before}");

        // A user with the id of the key, brought in, deleted and purged.
        let file = written_by_hand(&[json!({"schemas": [USER], "id": id, "userName": "decoy"})]);
        let path = format!("/tenants/{tenant}/import");
        let imported = transfer::ask(&own, "POST", &path, "application/x-ndjson", &file);
        assert_eq!(imported.status, 200, "{}", imported.text());
        assert_eq!(api.delete(&format!("/Users/{id}")).status, 204);
        let purge = format!("/tenants/{tenant}/resources/Users/{id}/purge");
        asked(&own, "POST", &purge, Some(&json!({})));
        for (method, path) in [("DELETE", format!("/tenants/{tenant}")), ("DELETE", "/tenants/default".to_owned())] {
            assert_error(&ask(&own, method, &path, None), 400, Some("invalidValue"));
        }

        assert_eq!(asked(&admin, "GET", &of_key, None), before, "who made the key is told as before");
        let by_key = asked(&admin, "GET", &format!("/tenants/{tenant}/changes?key={id}"), None);
        let done: Vec<&Value> = by_key["items"].as_array().unwrap().iter().map(|change| &change["operation"]).collect();
        assert_eq!(done, [&json!("purge"), &json!("import")], "{by_key}");
    });
}

#[test]
fn what_is_no_question_is_refused_with_what_is_wrong() {
    each(|api| {
        let admin = admin(api);
        let cases = [
            ("POST", "/tenants", Some(json!({"label": "x"})), "label"),
            ("POST", "/tenants", Some(json!({})), "name"),
            ("POST", "/tenants", Some(json!({"name": 1})), "string"),
            ("POST", "/tenants?name=x", Some(json!({})), "body"),
            ("POST", "/tenants", Some(json!({"name": "a b"})), "letters"),
            ("PATCH", "/tenants/default", Some(json!({"tenant": "other"})), "tenant"),
            ("PATCH", "/tenants/default", Some(json!({"groupNames": "sometimes"})), "sometimes"),
            ("GET", "/tenants?limit=x", None, "digit"),
            ("GET", "/tenants?size=1", None, "size"),
            ("GET", "/tenants?after=x", None, "after"),
            ("GET", "/tenants/default/changes?operation=remove", None, "`modify`"),
            ("GET", "/tenants/default/changes?after=x", None, "after"),
            ("GET", "/tenants/default/changes?since=yesterday", None, "time"),
            ("POST", "/history/verification", Some(json!({"expect": "beef"})), "64 hexadecimal digits"),
            ("GET", "/tenants/a%00b", None, "NUL"),
            ("GET", "/tenants/default/changes?resource=%00", None, "NUL"),
            ("POST", "/tenants", Some(json!({"name": "a\u{0}b"})), "NUL"),
            ("POST", "/tenants", Some(json!({"name": "x", "settings": [{"a\u{0}": 1}]})), "NUL"),
        ];
        for (method, path, body, named) in cases {
            let refused = ask(&admin, method, path, body.as_ref());
            assert_error(&refused, 400, Some("invalidValue"));
            assert!(refused.text().contains(named), "{method} {path}: {}", refused.text());
        }
        assert_error(
            &ask(&admin, "PATCH", "/tenants/nobody%2Fhome", Some(&json!({"requireIfMatch": true}))),
            404,
            None,
        );
        assert_error(&ask(&admin, "PUT", "/tenants", Some(&json!({}))), 405, None);
        assert_error(&ask(&admin, "GET", "/nothing", None), 404, None);
    });
}

#[test]
fn the_document_has_every_operation_and_every_reference_leads_somewhere() {
    let document = document("https://idm.example");
    let mut names = BTreeSet::new();
    for offer in offers() {
        let path = format!("/admin/v1{}", offer.route.path);
        let operation = &document["paths"][&path][offer.route.verb.as_str().to_ascii_lowercase()];
        assert_eq!(operation["operationId"], offer.route.name, "{path}");
        assert!(!offer.route.about.is_empty() && names.insert(offer.route.name), "{path}");
        for variable in offer.route.variables() {
            let parameters = operation["parameters"].as_array().unwrap();
            let described = parameters.iter().find(|one| one["name"] == variable && one["in"] == "path");
            let described = described.unwrap_or_else(|| panic!("{path}: {variable} is described nowhere"));
            assert_eq!(described["schema"]["type"], "string", "{path}: {variable}");
        }
    }
    for reference in references(&document) {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn the_document_is_served_to_whoever_may_look() {
    each(|api| {
        let served = ask(&api.with_key(api.profile, "admin:read"), "GET", "/openapi.json", None);
        assert_eq!(served.json(), document(api.base_url.trim_end_matches("/scim/v2")));
        assert_error(&ask(api, "GET", "/openapi.json", None), 403, None);
    });
}
