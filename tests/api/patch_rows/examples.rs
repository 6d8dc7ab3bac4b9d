//! PATCH-21: the messages of RFC 7644 §3.5.2.1 to §3.5.2.3 to the letter; only the ids are of resources that
//! exist.

use super::*;
use crate::vectors::full_user;

const BABS: &str = "2819c223-7f76-453a-919d-413861904646";
const JAMES: &str = "08e1d05d-121c-4561-8b96-473d93df9210";

/// Tour Guides, with the two users that the RFC speaks of.
struct Tour<'a> {
    api: &'a Api,
    babs: Value,
    james: Value,
    guides: Value,
}

fn each_tour(test: impl Fn(&Tour)) {
    each_profile(|api| {
        let babs = api.created("/Users", &full_user());
        let james = api.created("/Users", &user("jsmith"));
        let guides = api.created("/Groups", &group("Tour Guides", &[]));
        test(&Tour { api, babs, james, guides });
    });
}

impl Tour<'_> {
    #[track_caller]
    fn send(&self, resource: &Value, operations: &str) -> Value {
        let body = format!(r#"{{"schemas": ["{PATCH_OP}"], "Operations": {operations}}}"#);
        let body = body.replace(BABS, self.babs["id"].as_str().unwrap());
        let body = body.replace(JAMES, self.james["id"].as_str().unwrap());
        assert_resource(&self.api.send("PATCH", &path_of(resource), &[], Some(body.as_bytes())), 200)
    }
}

const ADD_BABS: &str = r#"[{
    "op": "add",
    "path": "members",
    "value": [{
        "display": "Babs Jensen",
        "$ref": "https://example.com/v2/Users/2819c223-7f76-453a-919d-413861904646",
        "value": "2819c223-7f76-453a-919d-413861904646"
    }]
}]"#;

#[test]
fn patch_21_v_11_v_13_v_14_a_member_comes_and_goes() {
    each_tour(|tour| {
        let added = tour.send(&tour.guides, ADD_BABS);
        assert_eq!(values(&added, "members"), ids(&[&tour.babs]));
        assert_ne!(added["meta"]["version"], tour.guides["meta"]["version"]);
        assert_eq!(tour.send(&tour.guides, ADD_BABS), added, "the second time nothing changes");

        let remove = r#"[{
            "op": "remove",
            "path": "members[value eq \"2819c223-7f76-453a-919d-413861904646\"]"
        }]"#;
        let removed = tour.send(&tour.guides, remove);
        assert!(values(&removed, "members").is_empty());
        assert_ne!(removed["meta"]["version"], added["meta"]["version"]);
        assert_eq!(tour.send(&tour.guides, remove), removed, "the second time nothing changes");

        tour.send(&tour.guides, ADD_BABS);
        let emptied = tour.send(&tour.guides, r#"[{"op": "remove", "path": "members"}]"#);
        assert!(values(&emptied, "members").is_empty());
    });
}

#[test]
fn patch_21_v_16_v_17_members_are_exchanged() {
    each_tour(|tour| {
        tour.send(&tour.guides, ADD_BABS);
        // The filter has no space in front of its text in the RFC either.
        let exchanged = tour.send(
            &tour.guides,
            r#"[{
                "op": "remove",
                "path": "members[value eq\"2819c223-7f76-453a-919d-413861904646\"]"
            }, {
                "op": "add",
                "path": "members",
                "value": [{
                    "display": "James Smith",
                    "$ref": "https://example.com/v2/Users/08e1d05d-121c-4561-8b96-473d93df9210",
                    "value": "08e1d05d-121c-4561-8b96-473d93df9210"
                }]
            }]"#,
        );
        assert_eq!(values(&exchanged, "members"), ids(&[&tour.james]));

        let both = r#"[{
            "display": "Babs Jensen",
            "$ref": "https://example.com/v2/Users/2819c223-7f76-453a-919d-413861904646",
            "value": "2819c223-7f76-453a-919d-413861904646"
        }, {
            "display": "James Smith",
            "$ref": "https://example.com/v2/Users/08e1d05d-121c-4561-8b96-473d93df9210",
            "value": "08e1d05d-121c-4561-8b96-473d93df9210"
        }]"#;
        let message =
            format!(r#"[{{"op": "remove", "path": "members"}}, {{"op": "add", "path": "members", "value": {both}}}]"#);
        assert_eq!(values(&tour.send(&tour.guides, &message), "members"), ids(&[&tour.babs, &tour.james]));

        tour.send(&tour.guides, r#"[{"op": "remove", "path": "members"}]"#);
        let message = format!(r#"[{{"op": "replace", "path": "members", "value": {both}}}]"#);
        assert_eq!(values(&tour.send(&tour.guides, &message), "members"), ids(&[&tour.babs, &tour.james]));
    });
}

#[test]
fn patch_21_v_12_attributes_are_added_without_a_path() {
    each_tour(|tour| {
        let before = tour.send(&tour.babs, r#"[{"op": "remove", "path": "emails[type eq \"home\"]"}]"#);
        assert_eq!(values(&before, "emails"), ["bjensen@example.com"]);

        let message = r#"[{
            "op": "add",
            "value": {"emails": [{"value": "babs@jensen.org", "type": "home"}], "nickname": "Babs"}
        }]"#;
        let after = tour.send(&tour.babs, message);

        assert_eq!(after["emails"], full_user()["emails"]);
        assert_eq!(after["nickName"], json!("Babs"));
        assert_eq!(tour.send(&tour.babs, message), after, "the second time nothing changes");
    });
}

#[test]
fn patch_21_v_15_one_address_is_removed() {
    each_tour(|tour| {
        let message = r#"[{
            "op": "remove",
            "path": "emails[type eq \"work\" and value ew \"example.com\"]"
        }]"#;

        let after = tour.send(&tour.babs, message);

        assert_eq!(after["emails"], json!([full_user()["emails"][1]]));
        assert_eq!(tour.send(&tour.babs, message), after, "the second time nothing changes");
    });
}

#[test]
fn patch_21_v_18_an_address_is_replaced() {
    each_tour(|tour| {
        let home_first = r#"[{"op": "replace", "path": "addresses[type eq \"home\"].primary", "value": true}]"#;
        assert_ne!(tour.send(&tour.babs, home_first)["addresses"][0]["primary"], json!(true));

        let after = tour.send(
            &tour.babs,
            r#"[{
                "op": "replace",
                "path": "addresses[type eq \"work\"]",
                "value": {
                    "type": "work",
                    "streetAddress": "911 Universal City Plaza",
                    "locality": "Hollywood",
                    "region": "CA",
                    "postalCode": "91608",
                    "country": "US",
                    "formatted": "911 Universal City Plaza\nHollywood, CA 91608 US",
                    "primary": true
                }
            }]"#,
        );

        let expected = json!({"type": "work", "streetAddress": "911 Universal City Plaza", "locality": "Hollywood",
            "region": "CA", "postalCode": "91608", "country": "US",
            "formatted": "911 Universal City Plaza\nHollywood, CA 91608 US", "primary": true});
        assert_eq!(after["addresses"][0], expected);
        assert_ne!(after["addresses"][1]["primary"], json!(true));
        assert_eq!(after["addresses"][1]["locality"], json!("Hollywood"));
    });
}

#[test]
fn patch_21_v_19_one_part_and_then_whole_attributes_are_replaced() {
    each_tour(|tour| {
        let moved = tour.send(
            &tour.babs,
            r#"[{
                "op": "replace",
                "path": "addresses[type eq \"work\"].streetAddress",
                "value": "1010 Broadway Ave"
            }]"#,
        );
        let mut expected = full_user()["addresses"].clone();
        expected[0]["streetAddress"] = json!("1010 Broadway Ave");
        assert_eq!(moved["addresses"], expected);

        tour.send(&tour.babs, r#"[{"op": "replace", "value": {"emails": [{"value": "x@x.org"}], "nickname": "B"}}]"#);
        let renewed = tour.send(
            &tour.babs,
            r#"[{
                "op": "replace",
                "value": {
                    "emails": [
                        {"value": "bjensen@example.com", "type": "work", "primary": true},
                        {"value": "babs@jensen.org", "type": "home"}
                    ],
                    "nickname": "Babs"
                }
            }]"#,
        );
        assert_eq!((&renewed["emails"], &renewed["nickName"]), (&full_user()["emails"], &json!("Babs")));
        assert_eq!(renewed["addresses"], expected);
    });
}
