//! I18N: names in every script compare the same in uniqueness, filters and order, on both databases.

use serde_json::{Value, json};

use crate::harness::{Api, each, each_profile, each_strict};
use crate::messages::*;

/// Spellings of one name.
const EQUAL: [(&str, &str); 11] = [
    ("Bjensen", "bJENSEN"),
    ("mira", "ＭＩＲＡ"),
    ("ガ", "ｶﾞ"),
    ("E\u{301}mile", "éMILE"),
    ("straße", "STRASSE"),
    ("ΜΆΪΟΣ", "μάϊος"),
    ("μάϊοσ2", "ΜΆΪΟΣ2"),
    ("İzmir", "i\u{307}ZMIR"),
    ("𐐀𐐁", "𐐨𐐩"),
    ("ﾆﾎﾝ", "ニホン"),
    ("ines de la cruz", "Ines\u{3000}de la Cruz"),
];

/// Names that only look alike, in an order of their own.
const DIFFERENT: [&str; 12] = [
    "cafe",
    "café",
    "dotless i",
    "dotless ı",
    "mira_ext.com#EXT#@tenant.onmicrosoft.com",
    "o'neill+a@example.com",
    "o'neill+b@example.com",
    "ömer",
    "шар",
    "שלום",
    "مُحَمَّد",
    "𠜎",
];

fn equality(attribute: &str, value: &str) -> String {
    format!("{attribute} eq {}", Value::from(value))
}

fn renamed(name: &str) -> Value {
    patch(json!([{"op": "replace", "path": "userName", "value": name}]))
}

#[test]
fn usr_02_i18n_01_i18n_04_char_13_spellings_of_one_name_are_one_name() {
    each_profile(|api| {
        let omar = api.created("/Users", &user("omar"));
        for (name, same) in EQUAL {
            let created = api.created("/Users", &user(name));

            assert_eq!(created["userName"], name, "it is kept as it was sent");
            assert_error(&api.post("/Users", &user(same)), 409, Some("uniqueness"));
            assert_error(&api.put(&path_of(&omar), &user(same)), 409, Some("uniqueness"));
            assert_error(&api.patch(&path_of(&omar), &renamed(same)), 409, Some("uniqueness"));
            for operator in ["eq", "sw", "ew", "co", "ge"] {
                let filter = format!("userName {operator} {} and userName le {}", Value::from(same), Value::from(same));
                assert_eq!(found(api, "/Users", &filter), [name], "{filter}");
            }
            // One may respell the name that one has.
            let respelt = assert_resource(&api.patch(&path_of(&created), &renamed(same)), 200);
            assert_eq!(respelt["userName"], same);
        }
    });
}

#[test]
fn usr_02_i18n_01_i18n_04_names_that_look_alike_are_two() {
    each_profile(|api| {
        for name in DIFFERENT {
            assert_eq!(api.created("/Users", &user(name))["userName"], name);
        }

        for name in DIFFERENT {
            assert_eq!(found(api, "/Users", &equality("userName", name)), [name]);
        }
        let sorted = names_at(api, "/Users?sortBy=userName");
        assert_eq!(sorted, DIFFERENT, "the order is that of the folded code points");
        let mut descending = names_at(api, "/Users?sortBy=userName&sortOrder=descending");
        descending.reverse();
        assert_eq!(descending, DIFFERENT);
    });
}

/// Width is a matter of names alone; everything else without case is composed and folded.
#[test]
fn i18n_02_i18n_04_char_10_text_without_case_compares_composed_and_folded() {
    each_profile(|api| {
        let only_by_width = ["ＭＩＲＡ", "ｶﾞ", "ニホン", "Ines\u{3000}de la Cruz"];
        for (index, (text, same)) in EQUAL.into_iter().enumerate() {
            let name = format!("user{index}");
            api.created("/Users", &user_with(&name, json!({"displayName": text})));
            let expected = if only_by_width.contains(&same) { vec![] } else { vec![name.clone()] };

            assert_eq!(found(api, "/Users", &equality("displayName", same)), expected, "{same}");
            assert_eq!(found(api, "/Users", &equality("displayName", text)), [name], "{text}");
        }
        // Symbols, emoji and whole sentences are fine where no name is.
        let text = "👩\u{200D}💻 שלום, ΜΆΪΟΣ\u{202E}!";
        let ines = api.created("/Users", &user_with("ines", json!({"displayName": text, "title": text})));
        assert_eq!((&ines["displayName"], &ines["title"]), (&json!(text), &json!(text)));
        assert_eq!(found(api, "/Users", &equality("title", "👩\u{200D}💻 שלום, μάϊος\u{202E}!")), ["ines"]);
    });
}

#[test]
fn i18n_02_i18n_04_group_names_compare_like_every_text() {
    each_profile(|api| {
        api.created("/Groups", &group("Straße ΜΆΪΟΣ 🚒", &[]));

        assert_error(&api.post("/Groups", &group("STRASSE μάϊοσ 🚒", &[])), 409, Some("uniqueness"));
        assert_eq!(found(api, "/Groups", &equality("displayName", "strasse μάϊος 🚒")), ["Straße ΜΆΪΟΣ 🚒"]);
    });
}

fn assert_refused(api: &Api, name: &str) {
    let ines = api.created("/Users", &user("ines de la cruz"));

    let refused = [
        api.post("/Users", &user(name)),
        api.put(&path_of(&ines), &user(name)),
        api.patch(&path_of(&ines), &renamed(name)),
    ];

    for response in refused {
        let detail = assert_error(&response, 400, Some("invalidValue"));
        assert!(detail.contains("userName must not"), "{detail}");
    }
    assert_eq!(assert_list(&api.get("/Users")), std::slice::from_ref(&ines));
    api.delete(&path_of(&ines));
}

#[test]
fn i18n_03_control_characters_are_no_part_of_a_user_name() {
    each_profile(|api| {
        for name in ["bell\u{7}", "line\nbreak", "next\u{85}line", "del\u{7f}"] {
            assert_refused(api, name);
        }
    });
}

/// What PRECIS has no place for in a name, and identity providers send all the same.
const ODD: [&str; 6] = ["ada 🤖", "👩\u{200D}💻", "henry\u{2163}", " mira", "mi\u{AD}ra", "דוד@example.com"];

#[test]
fn res_16_usr_01_i18n_03_a_user_name_of_blanks_alone_is_none() {
    each_profile(|api| {
        let omar = api.created("/Users", &user("omar"));
        for blank in [" ", "   ", "\u{A0}\u{3000}", "\u{200B}"] {
            assert_error(&api.post("/Users", &user(blank)), 400, Some("invalidValue"));
            assert_error(&api.put(&path_of(&omar), &user(blank)), 400, Some("invalidValue"));
            assert_error(&api.patch(&path_of(&omar), &renamed(blank)), 400, Some("invalidValue"));
        }
        assert_eq!(api.get(&path_of(&omar)).json(), omar);
    });
}

#[test]
fn i18n_03_i18n_04_strict_refuses_what_precis_cannot_prepare() {
    each_strict(|api| ODD.iter().for_each(|name| assert_refused(api, name)));
}

#[test]
fn i18n_03_i18n_04_compat_keeps_what_identity_providers_send() {
    each(|api| {
        for name in ODD {
            assert_eq!(api.created("/Users", &user(name))["userName"], name);
            assert_error(&api.post("/Users", &user(name)), 409, Some("uniqueness"));
            assert_eq!(found(api, "/Users", &equality("userName", name)), [name]);
        }
    });
}
