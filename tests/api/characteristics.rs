//! CHAR and TYPE, as far as users and groups have such attributes.

use scimd::scim::Profile;
use serde_json::{Value, json};

use crate::harness::each_profile;
use crate::messages::*;

#[test]
fn char_06_what_is_returned_by_default_is_there_unless_projected_away() {
    each_profile(|api| {
        let attributes = json!({"title": "Guide", "name": {"givenName": "Ines"}, "emails": [{"value": "i@x.org"}],
            "externalId": "e-1", ENTERPRISE: {"department": "Tours"}});
        let ines = api.created("/Users", &user_with("ines", attributes.clone()));
        let path = path_of(&ines);

        let listed = assert_list(&api.get("/Users"))[0].clone();
        let searched = assert_list(&api.post("/Users/.search", &search(json!({}))))[0].clone();
        let read = assert_resource(&api.get(&path), 200);

        for shown in [&ines, &read, &listed, &searched] {
            for (name, value) in attributes.as_object().unwrap() {
                assert_eq!(&shown[name], value, "{name}");
            }
        }
        for name in attributes.as_object().unwrap().keys() {
            let without = assert_resource(&api.get(&format!("{path}?excludedAttributes={name}")), 200);
            let others = assert_resource(&api.get(&format!("{path}?attributes=userName")), 200);
            assert!(without.get(name).is_none() && others.get(name).is_none(), "{name}");
        }
    });
}

#[test]
fn char_09_char_10_char_13_case_counts_where_the_schema_says_so() {
    each_profile(|api| {
        let ines = user_with(
            "Ines",
            json!({"externalId": "Ext", "title": "Guide", "profileUrl": "https://x.org/Ines",
                "emails": [{"value": "Ines@X.org", "type": "Work"}]}),
        );
        let ines = api.created("/Users", &ines);
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let id = ines["id"].as_str().unwrap();

        // The spelling is kept, whatever the case rule.
        let shown = api.get(&path_of(&ines)).json();
        assert_eq!(
            (&shown["userName"], &shown["title"], &shown["externalId"]),
            (&json!("Ines"), &json!("Guide"), &json!("Ext"))
        );
        assert_eq!(shown["emails"], json!([{"value": "Ines@X.org", "type": "Work"}]));
        for filter in [
            r#"userName eq "INES""#,
            r#"title eq "gUIDE""#,
            r#"emails.value eq "ines@x.ORG""#,
            r#"emails[type eq "WORK" and value co "@x."]"#,
            r#"externalId eq "Ext""#,
            r#"profileUrl eq "https://x.org/Ines""#,
            &format!(r#"id eq "{id}""#),
            r#"meta.resourceType eq "User""#,
        ] {
            assert_eq!(found(api, "/Users", filter), ["Ines"], "{filter}");
        }
        for filter in [
            r#"externalId eq "ext""#,
            r#"externalId sw "e""#,
            r#"profileUrl eq "https://x.org/ines""#,
            &format!(r#"id eq "{}""#, id.to_uppercase()),
            r#"meta.resourceType eq "user""#,
            &format!(r#"groups.value eq "{}""#, team["id"].as_str().unwrap().to_uppercase()),
        ] {
            assert!(found(api, "/Users", filter).is_empty(), "{filter}");
        }
        // What a filter takes for equal is a duplicate.
        assert_error(&api.post("/Users", &user("INES")), 409, Some("uniqueness"));
        assert_error(&api.post("/Groups", &group("TEAM", &[])), 409, Some("uniqueness"));
    });
}

#[test]
fn char_11_char_12_only_what_is_unique_conflicts_and_only_within_its_type() {
    each_profile(|api| {
        let attributes = json!({"externalId": "e", "displayName": "Ines", "nickName": "I", "title": "Guide",
            "emails": [{"value": "i@x.org", "type": "work"}], ENTERPRISE: {"employeeNumber": "7"}});
        let first = api.created("/Users", &user_with("ines", attributes.clone()));

        // Everything but the name may be equal, even to what is another type's.
        let second = api.created("/Users", &user_with("omar", attributes));
        let team = api.created("/Groups", &json!({"schemas": [GROUP], "displayName": "ines", "externalId": "e"}));

        assert_error(&api.put(&path_of(&second), &user("INES")), 409, Some("uniqueness"));
        let rename = patch(json!([{"op": "replace", "path": "userName", "value": "iNES"}]));
        assert_error(&api.patch(&path_of(&second), &rename), 409, Some("uniqueness"));
        assert_resource(&api.patch(&path_of(&first), &rename), 200);
        assert_eq!(api.get(&path_of(&first)).json()["userName"], json!("iNES"));
        assert_eq!(api.get(&path_of(&team)).json()["displayName"], json!("ines"));
    });
}

#[test]
fn usr_09_type_11_addresses_of_mail_have_no_case_and_references_have() {
    each_profile(|api| {
        let emails =
            json!([{"value": "Ines@Example.COM", "type": "work"}, {"value": "ines@example.com", "type": "home"}]);
        let photos =
            json!([{"value": "https://x.org/P", "type": "photo"}, {"value": "https://x.org/p", "type": "photo"}]);

        let ines = api.created("/Users", &user_with("ines", json!({"emails": emails, "photos": photos})));

        assert_eq!((&ines["emails"], &ines["photos"]), (&emails, &photos), "as they were sent");
        assert_eq!(found(api, "/Users", r#"emails[value eq "INES@EXAMPLE.com" and type eq "work"]"#), ["ines"]);
        assert_eq!(found(api, "/Users", r#"photos[value ew "/p"]"#), ["ines"]);
        assert!(found(api, "/Users", r#"photos.value eq "HTTPS://x.org/P""#).is_empty());
        let again =
            patch(json!([{"op": "add", "path": "emails", "value": [{"value": "INES@example.com", "type": "Work"}]}]));
        let merged = assert_resource(&api.patch(&path_of(&ines), &again), 200);
        assert_eq!(merged["emails"].as_array().unwrap().len(), 2, "the same address: {}", merged["emails"]);
    });
}

#[test]
fn type_09_instants_are_in_utc_with_milliseconds() {
    each_profile(|api| {
        let created = api.created("/Users", &user("ines"));
        api.created("/Groups", &group("Team", &[&created]));
        let title = patch(json!([{"op": "add", "path": "title", "value": "Guide"}]));
        let changed = assert_resource(&api.patch(&path_of(&created), &title), 200);

        assert!(changed["meta"]["lastModified"].as_str() >= created["meta"]["lastModified"].as_str());
        assert_eq!(changed["meta"]["created"], created["meta"]["created"]);
        for resource in assert_list(&api.get("/")) {
            for part in ["created", "lastModified"] {
                let text = resource["meta"][part].as_str().unwrap();
                let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
                assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
                assert!(text.parse::<chrono::DateTime<chrono::Utc>>().is_ok());
                let same = format!(r#"meta.{part} eq "{}""#, text.replace('Z', "+00:00"));
                assert!(!assert_list(&api.get(&format!("/?filter={}", encoded(&same)))).is_empty(), "{same}");
            }
        }
    });
}

#[test]
fn type_10_one_value_of_many_is_an_array() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"emails": [{"value": "i@x.org"}]})));
        let team = api.created("/Groups", &group("Team", &[&ines]));

        let read = api.get(&path_of(&ines)).json();
        let listed = assert_list(&api.get("/Users?attributes=emails.value,groups"))[0].clone();

        for shown in [&read, &listed] {
            assert_eq!(shown["schemas"], json!([USER]));
            assert_eq!(shown["emails"], json!([{"value": "i@x.org"}]));
            assert_eq!(shown["groups"].as_array().map(Vec::len), Some(1));
        }
        assert_eq!(api.get(&path_of(&team)).json()["members"].as_array().map(Vec::len), Some(1));
        let one = patch(json!([{"op": "add", "path": "ims", "value": {"value": "x", "type": "xmpp"}}]));
        assert_eq!(
            assert_resource(&api.patch(&path_of(&ines), &one), 200)["ims"],
            json!([{"value": "x", "type": "xmpp"}])
        );
    });
}

#[test]
fn type_07_type_13_references_lead_somewhere() {
    each_profile(|api| {
        for reference in ["https://example.com/ines", "../people/ines?a=b#c", "urn:example:ines"] {
            let ines = api.created("/Users", &user_with("ines", json!({"profileUrl": reference})));
            assert_eq!(ines["profileUrl"], json!(reference));
            assert_eq!(api.delete(&path_of(&ines)).status, 204);
        }
        let boss = api.created("/Users", &user("boss"));
        let ines = api.created("/Users", &user_with("ines", json!({ENTERPRISE: {"manager": {"value": boss["id"]}}})));
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let ines = api.get(&path_of(&ines)).json();

        let references =
            [&ines[ENTERPRISE]["manager"]["$ref"], &ines["groups"][0]["$ref"], &team["members"][0]["$ref"]];
        let targets = [&boss, &team, &ines];

        for (reference, target) in references.into_iter().zip(targets) {
            let path =
                reference.as_str().and_then(|reference| reference.strip_prefix(&api.base_url)).unwrap().to_owned();
            assert_eq!(assert_resource(&api.get(&path), 200)["id"], target["id"]);
        }
        assert_eq!(api.delete(&path_of(&ines)).status, 204);
        let dangling = team["members"][0]["$ref"].as_str().unwrap().strip_prefix(&api.base_url).unwrap();
        assert_error(&api.get(dangling), 404, None);
    });
}

#[test]
fn mv_01_mv_02_patch_16_one_primary_whatever_is_done() {
    each_profile(|api| {
        let emails =
            json!([{"value": "a@x.org", "type": "work", "primary": true}, {"value": "b@x.org", "type": "home"}]);
        let ines = api.created("/Users", &user_with("ines", json!({"emails": emails})));
        let primaries = |resource: &Value| -> Vec<String> {
            let emails = resource["emails"].as_array().unwrap().iter();
            emails
                .filter(|email| email["primary"] == json!(true))
                .map(|email| email["value"].as_str().unwrap().to_owned())
                .collect()
        };
        let patched = |operations: Value| {
            let after = assert_resource(&api.patch(&path_of(&ines), &patch(operations)), 200);
            (primaries(&after), after["emails"].as_array().unwrap().len())
        };

        let one = |value: &str, primary: bool| json!({"value": value, "type": "other", "primary": primary});
        assert_eq!(
            patched(json!([{"op": "replace", "path": "emails[type eq \"home\"].primary", "value": true}])),
            (vec!["b@x.org".to_owned()], 2)
        );
        assert_eq!(
            patched(json!([{"op": "add", "path": "emails", "value": [one("c@x.org", true)]}])),
            (vec!["c@x.org".to_owned()], 3)
        );
        assert_eq!(
            patched(json!([{"op": "add", "path": "emails[value eq \"a@x.org\"]", "value": {"primary": true}}])),
            (vec!["a@x.org".to_owned()], 3)
        );
        // Nobody is promoted in the place of another.
        assert_eq!(
            patched(json!([{"op": "replace", "path": "emails[type eq \"work\"].primary", "value": false}])),
            (vec![], 3)
        );
        let two = json!([{"op": "add", "path": "emails", "value": [one("d@x.org", true)]},
            {"op": "add", "path": "emails", "value": [one("e@x.org", true)]}]);
        assert_eq!(patched(two), (vec!["e@x.org".to_owned()], 5), "the last operation wins");
        let at_once = json!([{"op": "add", "path": "emails", "value": [one("f@x.org", true), one("g@x.org", true)]}]);
        match api.profile {
            Profile::Strict => {
                drop(assert_error(&api.patch(&path_of(&ines), &patch(at_once)), 400, Some("invalidValue")))
            }
            Profile::Compat => assert_eq!(patched(at_once), (vec!["g@x.org".to_owned()], 7), "the last one wins"),
        }
    });
}
