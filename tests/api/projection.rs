//! PROJ: `attributes` and `excludedAttributes`.

use diesel::RunQueryDsl;
use scimd::store::Connection;
use serde_json::{Value, json};

use crate::harness::{Api, Lasting, each_profile, run};
use crate::messages::*;

fn ines(api: &Api) -> Value {
    let attributes = json!({"name": {"givenName": "Ines", "familyName": "Ortega"}, "nickName": "I",
        "emails": [{"type": "work", "value": "i@example.com"}],
        ENTERPRISE: {"department": "Tours", "division": "Park"}});
    api.created("/Users", &user_with("ines", attributes))
}

#[test]
fn proj_01_03_06_07_attributes_names_what_is_shown() {
    each_profile(|api| {
        let ines = ines(api);
        let shown = |attributes: &str| {
            let query = format!("{}?attributes={}", path_of(&ines), attributes);
            let mut body = assert_resource(&api.get(&query), 200);
            assert_eq!(body["id"], ines["id"], "{attributes}");
            assert!(body["schemas"].as_array().unwrap().contains(&json!(USER)), "{attributes}");
            body.as_object_mut().unwrap().retain(|name, _| name != "id" && name != "schemas");
            body
        };

        assert_eq!(shown("userName"), json!({"userName": "ines"}));
        assert_eq!(shown("USERNAME,%20nickname"), json!({"userName": "ines", "nickName": "I"}));
        assert_eq!(shown("userName&attributes=nickName"), json!({"userName": "ines", "nickName": "I"}));
        assert_eq!(shown("name.givenName"), json!({"name": {"givenName": "Ines"}}));
        assert_eq!(shown("emails.value"), json!({"emails": [{"value": "i@example.com"}]}));
        assert_eq!(shown(&format!("{USER}:name.familyName")), json!({"name": {"familyName": "Ortega"}}));
        assert_eq!(shown(ENTERPRISE), json!({ENTERPRISE: ines[ENTERPRISE]}));
        assert_eq!(shown(&format!("{ENTERPRISE}:department")), json!({ENTERPRISE: {"department": "Tours"}}));
        assert_eq!(shown("salary"), json!({}));
        let version = shown("meta.version");
        assert_eq!(version["meta"].as_object().unwrap().len(), 1);
        assert!(version["meta"]["version"].is_string());
        let all = api.get(&format!("{}?attributes=", path_of(&ines)));
        assert_eq!(assert_resource(&all, 200), ines);
    });
}

#[test]
fn proj_01_04_excluded_attributes_names_what_is_not_shown() {
    each_profile(|api| {
        let ines = ines(api);
        let query = format!("excludedAttributes=id,schemas,EMAILS,name.givenName,{ENTERPRISE}:division,meta");

        let body = assert_resource(&api.get(&format!("{}?{query}", path_of(&ines))), 200);

        assert_eq!((&body["id"], &body["schemas"]), (&ines["id"], &ines["schemas"]));
        assert!(body.get("emails").is_none() && body.get("meta").is_none());
        assert_eq!(body["name"], json!({"familyName": "Ortega"}));
        assert_eq!(body[ENTERPRISE], json!({"department": "Tours"}));
        assert_eq!(body["nickName"], json!("I"));
    });
}

#[test]
fn proj_02_every_answer_with_resources_is_projected() {
    each_profile(|api| {
        let ines = ines(api);
        let path = format!("{}?attributes=userName", path_of(&ines));
        let expected = |body: &Value| {
            assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
            assert_eq!(body["userName"], json!("ines"));
        };

        expected(&assert_list(&api.get("/Users?attributes=userName"))[0]);
        expected(&assert_list(&api.post("/Users/.search", &search(json!({"attributes": ["userName"]}))))[0]);
        expected(&assert_resource(&api.put(&path, &user("ines")), 200));
        let title = patch(json!([{"op": "add", "path": "title", "value": "Guide"}]));
        expected(&assert_resource(&api.patch(&path, &title), 200));
    });
}

#[test]
fn proj_05_both_parameters_exclude_each_other() {
    each_profile(|api| {
        let ines = ines(api);
        let both = "attributes=userName&excludedAttributes=name";

        assert_error(&api.get(&format!("{}?{both}", path_of(&ines))), 400, Some("invalidValue"));
        assert_error(&api.get(&format!("/Users?{both}")), 400, Some("invalidValue"));
        assert_error(&api.post(&format!("/Users?{both}"), &user("new")), 400, Some("invalidValue"));
        assert_eq!(names_at(api, "/Users"), ["ines"], "a refused answer is a refused request");
    });
}

#[test]
fn qry_07_groups_can_be_listed_without_members() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        api.created("/Groups", &group("Team", &[&ines]));

        let listed = assert_list(&api.get("/Groups?excludedAttributes=members"));

        assert_eq!(names(&listed), ["Team"]);
        assert!(listed[0].get("members").is_none());
    });
}

#[test]
fn qry_07_what_does_not_show_members_does_not_read_them() {
    Lasting::each(|lasting| {
        let api = lasting.serve(&json!([{"id": "User", "schemaExtensions": []}])).unwrap();
        let ines = api.created("/Users", &user("ines"));
        let team = api.created("/Groups", &group("Team", &[&ines]));

        // Whoever asks for them now finds nothing to read.
        ["group_members", "unresolved_members"].iter().for_each(|table| hide(&api, table));

        for query in ["excludedAttributes=members", "attributes=displayName", "attributes=externalId,meta.created"] {
            assert_eq!(assert_list(&api.get(&format!("/Groups?{query}"))).len(), 1, "{query}");
            let filter = encoded("displayName eq \"team\"");
            assert_eq!(assert_list(&api.get(&format!("/Groups?{query}&filter={filter}"))).len(), 1, "{query}");
            assert_resource(&api.get(&format!("{}?{query}", path_of(&team))), 200);
        }
        assert_eq!(
            (api.get("/Groups").status, api.get(&path_of(&team)).status),
            (500, 500),
            "they are read to be shown"
        );
    });
}

/// Takes a table out of the way.
fn hide(api: &Api, table: &str) {
    let sql = format!("ALTER TABLE {table} RENAME TO hidden_{table}");
    run(api.store.write(move |connection| {
        match connection {
            Connection::Sqlite(connection) => diesel::sql_query(&sql).execute(connection)?,
            Connection::Postgres(connection) => diesel::sql_query(&sql).execute(connection)?,
        };
        Ok(())
    }));
}
