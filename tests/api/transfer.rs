//! Export, import and backup over `/admin/v1`: who may, what is refused, and what a stream tells of its end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use scimd::admin::Desk;
use scimd::admin::transfer::{Import, Spool, streams};
use scimd::http::openapi::admin::document;
use scimd::scim::Profile;
use scimd::scim::resource::format_instant;
use scimd::store::{Connection, Reach, tenants};
use serde_json::{Value, json};

use crate::harness::{Api, Database, Lasting, each, run};
use crate::messages::*;
use crate::past::moment;
use crate::restore::provider;
use crate::support::http::Response;

/// The name of the tenant of `api`.
pub fn tenant(api: &Api) -> String {
    let tenant_id = api.tenant_id;
    let find = move |connection: &mut Connection| tenants::find(connection, tenant_id);
    run(api.store.read(Reach::Point, find)).expect("a tenant").name
}

pub fn ask(api: &Api, method: &str, path: &str, media_type: &str, body: &str) -> Response {
    let headers = [
        ("Authorization".to_owned(), format!("Bearer {}", api.token)),
        ("Content-Type".to_owned(), media_type.to_owned()),
    ];
    let body = (method != "GET" && method != "HEAD").then_some(body.as_bytes());
    api.root().send(method, &format!("/admin/v1{path}"), &headers, body).unwrap()
}

fn get(api: &Api, path: &str) -> Response {
    ask(api, "GET", path, "application/json", "")
}

#[test]
fn whoever_may_look_may_export_and_nothing_more() {
    each(|api| {
        api.created("/Users", &user("mira"));
        let (admin, auditor) = (api.with_key(api.profile, "admin"), api.with_key(api.profile, "admin:read"));
        let of_tenant = format!("/tenants/{}", tenant(api));
        let export = format!("{of_tenant}/export");

        let exported = get(&auditor, &export);
        assert_eq!((exported.status, exported.header("content-type")), (200, Some("application/x-ndjson")));
        assert_eq!(exported.header("cache-control"), Some("no-store"));
        let text = exported.text();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[1]["userName"], &lines[2]["resources"]), (3, &json!("mira"), &json!(1)));
        assert_eq!(ask(&auditor, "HEAD", &export, "application/json", "").status, 200);
        assert_eq!(get(&admin, &format!("{export}?passwordHashes=true&deleted=true")).status, 200);
        assert_error(&get(&auditor, &format!("{export}?passwordHashes=true")), 403, None);
        assert_error(&get(api, &export), 403, None);
        assert_error(&get(&auditor, "/backup"), 403, None);
        assert_error(&ask(&auditor, "POST", &format!("{of_tenant}/import"), "text/csv", "userName\nx\n"), 403, None);
        assert_eq!(api.get("/Users").json()["totalResults"], 1);
    });
}

#[test]
fn what_is_no_export_and_no_import_is_refused_with_what_is_wrong() {
    each(|api| {
        let admin = api.with_key(api.profile, "admin");
        let of_tenant = format!("/tenants/{}", tenant(api));
        let import = |query: &str, media_type: &str, body: &str| {
            ask(&admin, "POST", &format!("{of_tenant}/import{query}"), media_type, body)
        };
        let export = |query: &str| get(&admin, &format!("{of_tenant}/export{query}"));

        for (refused, part) in [
            (export("?when=now"), "when"),
            (export("?at=%00"), "NUL"),
            (get(&admin, "/tenants/a%00b/export"), "NUL"),
            (import("?map=a%00=userName", "text/csv", "userName\n"), "NUL"),
            (export("?at=yesterday"), "RFC 3339"),
            (export("?at=9999-01-01T00:00:00Z"), "future"),
            (export("?at=2026-01-01T00:00:00Z&passwordHashes=true"), "not known"),
            (import("?dryrun=true", "text/csv", "userName\n"), "dryrun"),
            (import("?delimiter=ab", "text/csv", "userName\n"), "one character"),
            (import("?map=userName", "text/csv", "userName\n"), "Login=userName"),
            (import("?update=true", "application/x-ndjson", "{}\n"), "for tables"),
        ] {
            assert_error(&refused, 400, Some("invalidValue"));
            assert!(refused.text().contains(part), "{part}: {}", refused.text());
        }
        let no_export = import("", "application/x-ndjson", "{\"format\":\"scimd-export\",\"version\":1}\n");
        assert_error(&no_export, 400, Some("invalidSyntax"));
        assert!(no_export.text().contains("after line 1") && no_export.text().contains("cut off"));
        assert_error(&import("", "application/json", "{}"), 415, None);
        assert_error(&get(&admin, "/tenants/nowhere/export"), 404, None);
        assert_error(&ask(&admin, "POST", "/tenants/nowhere/import", "text/csv", "userName\n"), 404, None);
    });
}

#[test]
fn an_import_that_meets_what_is_there_is_a_conflict_with_a_list() {
    each(|api| {
        let mira = api.created("/Users", &user("mira"));
        let admin = api.with_key(api.profile, "admin");
        let of_tenant = format!("/tenants/{}", tenant(api));
        let export = get(&admin, &format!("{of_tenant}/export")).text();
        let import = |query: &str, body: &str| {
            ask(&admin, "POST", &format!("{of_tenant}/import{query}"), "application/x-ndjson", body)
        };

        let refused = import("", &export);
        let tried = import("?dryRun=true", &export);

        assert_error(&refused, 409, Some("uniqueness"));
        assert_eq!(refused.header("cache-control"), Some("no-store"));
        let outcome = &refused.json()["outcome"];
        assert_eq!((&outcome["imported"], &outcome["problems"][0]["line"]), (&json!(false), &json!(2)));
        assert_eq!((tried.status, &tried.json()["problems"]), (200, &outcome["problems"]));
        assert_eq!(api.delete(&path_of(&mira)).status, 204);
        let table = "userName;title\nnew;Dr\n";
        let made = ask(&admin, "POST", &format!("{of_tenant}/import"), "text/csv; charset=utf-8", table);
        assert_eq!((made.status, &made.json()["created"]), (200, &json!({"User": 1})));
        assert_eq!(api.get("/Users").json()["Resources"][0]["title"], "Dr");
    });
}

#[test]
fn a_backup_is_a_sqlite_file_and_postgresql_has_tools_of_its_own() {
    each(|api| {
        let backup = get(&api.with_key(api.profile, "admin"), "/backup");
        match api.database {
            Database::Sqlite => assert!(backup.status == 200 && backup.body.starts_with(b"SQLite format 3\0")),
            Database::Postgres => assert!(backup.status == 400 && backup.text().contains("pg_dump")),
        }
    });
}

#[test]
fn the_document_has_every_stream() {
    let document = document("https://idm.example");
    for stream in streams() {
        let path = format!("/admin/v1{}", stream.route.path);
        let operation = &document["paths"][&path][stream.route.verb.as_str().to_ascii_lowercase()];
        assert_eq!(operation["operationId"], stream.route.name, "{path}");
        for media_type in stream.receives {
            assert!(operation["requestBody"]["content"][*media_type].is_object(), "{path}: {media_type}");
        }
        if let Some(media_type) = stream.sends {
            assert!(operation["responses"]["200"]["content"][media_type].is_object(), "{path}: {media_type}");
        }
    }
}

/// An export without digest and times, as somebody writes it by hand.
pub fn written_by_hand(resources: &[Value]) -> String {
    let lines = resources.iter().map(|resource| format!("{resource}\n")).collect::<String>();
    let (header, end) =
        (json!({"format": "scimd-export", "version": 1}), json!({"end": true, "resources": resources.len()}));
    format!("{header}\n{lines}{end}\n")
}

#[test]
fn groups_that_have_been_waiting_for_what_is_imported_have_it_as_members() {
    each(|api| {
        let (of_user, of_group) = (uuid::Uuid::now_v7().to_string(), uuid::Uuid::now_v7().to_string());
        let waiting = api.created(
            "/Groups",
            &json!({"schemas": [GROUP], "displayName": "Waiting", "members": [{"value": of_user}]}),
        );
        let file = written_by_hand(&[
            json!({"schemas": [GROUP], "id": of_group, "displayName": "Waiting", "externalId": "2",
                "members": [{"value": of_user, "display": "whatever"}, {"value": waiting["id"]}]}),
            json!({"schemas": [USER], "id": of_user, "userName": "mira", "active": "True", "groups": [{"value": of_group}]}),
        ]);
        let path = format!("/tenants/{}/import", tenant(api));

        let imported = ask(&api.with_key(api.profile, "admin"), "POST", &path, "application/x-ndjson", &file);

        assert_eq!(imported.status, 200, "{}", imported.text());
        let user = api.get(&format!("/Users/{of_user}")).json();
        assert_eq!((&user["active"], user["groups"].as_array().unwrap().len()), (&json!(true), 2));
        let group = api.get(&format!("/Groups/{of_group}")).json();
        assert!(group["members"].as_array().unwrap().iter().all(|member| member["$ref"].is_string()), "{group:#}");
        let waited = api.get(&path_of(&waiting)).json();
        assert_eq!(waited["members"][0]["type"], "User", "{waited:#}");
        let changes = history(api, waiting["id"].as_str().unwrap());
        assert_eq!(changes, ["create", "join"]);
    });
}

/// The operations in the history of a group.
fn history(api: &Api, id: &str) -> Vec<String> {
    let provider = provider(api);
    let group = provider.registry().resource_type("Group").unwrap();
    let entries = run(provider.history(api.tenant_id, group, id.to_owned(), None, 10));
    let mut entries = entries.expect("a group");
    entries.sort_by_key(|entry| entry.row_id);
    entries.into_iter().map(|entry| entry.operation.as_str().to_owned()).collect()
}

#[test]
fn what_nobody_is_shown_comes_along() {
    const DEVICE: &str = "urn:example:params:scim:schemas:Device";
    let text = |name: &str| json!({"name": name, "type": "string"});
    let secret = json!({"name": "pin", "type": "string", "returned": "never"});
    let types = |attributes: Value| {
        json!([
            {"id": DEVICE, "name": "Device", "attributes": attributes},
            {"id": "Device", "endpoint": "/Devices", "schema": DEVICE},
        ])
    };
    let (large, small) = (types(json!([text("serial"), text("note"), secret])), types(json!([text("serial"), secret])));
    Lasting::each(|from| {
        Lasting::each(|to| {
            let body = json!({"schemas": [DEVICE], "serial": "1", "note": "kept", "pin": "1234"});
            let device = from.serve(&large).unwrap().created("/Devices", &body);
            let here = from.serve(&small).unwrap();
            let ask_for = |api: &Api, query: &str| {
                let path = format!("/tenants/{}/export{query}", tenant(api));
                get(&api.with_key(api.profile, "admin"), &path).text()
            };
            let export = |api: &Api| ask_for(api, "?passwordHashes=true");
            let plain = ask_for(&here, "");
            assert!(
                !plain.contains("pin") && !plain.contains("kept"),
                "what may be secret comes along on request: {plain}"
            );
            let end: Value = serde_json::from_str(plain.lines().last().unwrap()).unwrap();
            assert_eq!(end["curtailed"], end["resources"], "and the export says that it lacks something");
            let exported = export(&here);
            assert!(exported.contains("\"pin\":\"1234\"") && exported.contains("\"withheld\":{\"note\":\"kept\"}"));

            let there = to.serve(&small).unwrap();
            let path = format!("/tenants/{}/import", tenant(&there));
            let admin = there.with_key(there.profile, "admin");
            let imported = ask(&admin, "POST", &path, "application/x-ndjson", &exported);

            assert_eq!(imported.status, 200, "{}", imported.text());
            assert_eq!(imported.json()["notes"], Value::Null);
            let lacking = ask(&admin, "POST", &format!("{path}?dryRun=true"), "application/x-ndjson", &plain);
            assert!(lacking.json()["notes"][0].as_str().unwrap().contains("The export lacks something"));
            let lines = |text: String| text.lines().nth(1).unwrap().to_owned();
            assert_eq!(lines(export(&there)), lines(exported));
            assert_eq!(there.get(&path_of(&device)).json()["note"], Value::Null);
            let again = to.serve(&large).unwrap();
            assert_eq!(again.get(&path_of(&device)).json()["note"], "kept");
        });
    });
}

#[test]
fn an_export_of_the_past_has_neither_masks_nor_what_no_schema_defines() {
    const DEVICE: &str = "urn:example:params:scim:schemas:Device";
    let text = |name: &str| json!({"name": name, "type": "string"});
    let secret = |name: &str| json!({"name": name, "type": "string", "returned": "never"});
    let lock = |code: Value| json!({"name": "lock", "type": "complex", "subAttributes": [text("label"), code]});
    let types = |attributes: Value| {
        json!([
            {"id": DEVICE, "name": "Device", "attributes": attributes},
            {"id": "Device", "endpoint": "/Devices", "schema": DEVICE},
        ])
    };
    let then = types(json!([text("serial"), text("note"), secret("pin"), lock(secret("code"))]));
    let now = types(json!([text("serial"), text("pin"), lock(text("code"))]));
    Lasting::each(|lasting| {
        let body = json!({"schemas": [DEVICE], "serial": "1", "note": "gone", "pin": "1234",
            "lock": {"label": "a", "code": "77"}});
        lasting.serve(&then).unwrap().created("/Devices", &body);
        let at = format_instant(moment());
        let api = lasting.serve(&now).unwrap();

        let exported = get(&api.with_key(api.profile, "admin"), &format!("/tenants/{}/export?at={at}", tenant(&api)));

        let text = exported.text();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let device = &lines[1];
        assert_eq!((&device["serial"], &device["lock"]), (&json!("1"), &json!({"label": "a"})), "{text}");
        assert_eq!((&device["note"], &device["pin"]), (&Value::Null, &Value::Null), "{text}");
        assert_eq!(lines[2]["curtailed"], 1, "{text}");
        let import = format!("/tenants/{}/import?dryRun=true", tenant(&api));
        let told = ask(&api.with_key(api.profile, "admin"), "POST", &import, "application/x-ndjson", &text).json();
        let note = told["notes"][0].as_str().unwrap();
        assert!(note.contains("something of one resource") && !note.contains("--with-password-hashes"), "{note}");
    });
}

/// On PostgreSQL clients go on writing meanwhile.
#[test]
fn what_is_deleted_while_a_table_is_read_is_told_and_keeps_everything_out() {
    for (path, body, table, column) in [
        ("/Groups", group("Staff", &[]), "userName,groups\na,Staff\nb,Staff\n", "groups"),
        ("/Users", user("a"), "userName,manager\na,below\nbelow,\n", "manager"),
    ] {
        let api = Api::new(Database::Postgres, Profile::Compat);
        let there = api.created(path, &body);
        let desk = Desk::new(api.store.clone(), provider(&api));
        let question = Import { tenant: tenant(&api), update: true, ..Import::default() };
        let mut spool = Spool::empty(None).unwrap();
        spool.push(table.as_bytes()).unwrap();
        let (client, token, path) = (Mutex::new(api.connection()), api.token.clone(), path_of(&there));
        let lines = AtomicUsize::new(0);
        let at_each_line = move |_| {
            if lines.fetch_add(1, Ordering::Relaxed) == 1 {
                let deleted = client.lock().unwrap().call(&token, "DELETE", &path, None).unwrap();
                assert_eq!(deleted.status, 204);
            }
        };

        let outcome = run(question.carry_out_table(&desk, Arc::new(spool), at_each_line));

        assert!(!outcome.imported);
        let [problem] = &outcome.problems[..] else { panic!("{outcome:?}") };
        assert_eq!((problem.line, problem.column.as_deref()), (2, Some(column)));
        assert!(problem.reason.contains("was deleted meanwhile"), "{}", problem.reason);
        assert_eq!(api.get("/Users").json()["totalResults"], 0);
    }
}
