//! FLT over HTTP, sentence by sentence: what a filter may look like, and which resources it finds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Api, each_profile};
use crate::messages::*;

/// Five users who have and lack what the filters ask for.
fn insert_five(api: &Api) {
    let boss = api.created("/Users", &user_with("Ada", json!({"title": "Boss", "active": false})));
    let emails = |values: &[(&str, &str)]| -> Value {
        values.iter().map(|(kind, value)| json!({"type": kind, "value": value})).collect()
    };
    for (name, attributes) in [
        (
            "Ben",
            json!({"nickName": "Benny", "emails": emails(&[("work", "ben@x.org"), ("home", "ben@y.org")]),
                "name": {"familyName": "O'Hara", "givenName": "Ben"}, "profileUrl": "https://x.org/Ben"}),
        ),
        ("Cid", json!({"title": "Guide", "nickName": "C", "emails": emails(&[("home", "cid@x.org")])})),
        ("Dot", json!({"nickName": "D", ENTERPRISE: {"department": "Tours", "manager": {"value": boss["id"]}}})),
        ("Eve", json!({"title": "Guide", "userType": "Temp", "active": null})),
    ] {
        api.created("/Users", &user_with(name, attributes));
    }
}

fn each_five(test: impl Fn(&Api)) {
    each_profile(|api| {
        insert_five(api);
        test(api);
    });
}

#[track_caller]
fn refused(api: &Api, filter: &str) -> String {
    assert_error(&api.get(&format!("/Users?filter={}", encoded(filter))), 400, Some("invalidFilter"))
}

#[test]
fn flt_01_names_operators_and_keywords_have_no_case() {
    each_five(|api| {
        for filter in [
            r#"USERNAME EQ "BEN" AND NOT (TITLE PR)"#.to_owned(),
            r#"EmAiLs[TYPE Eq "WORK" And VALUE Sw "BEN@"]"#.to_owned(),
            r#"NAME.FAMILYNAME ew "HARA" OR nAmE[FamilyName eq "nobody"]"#.to_owned(),
            format!(r#"{}:USERNAME eq "ben""#, USER.to_uppercase()),
        ] {
            assert_eq!(found(api, "/Users", &filter), ["Ben"], "{filter}");
        }
    });
}

#[test]
fn flt_02_and_binds_closer_than_or_and_not_closest() {
    each_five(|api| {
        // Cid has all three, Ben and Dot a nickName alone, Ada and Eve a title alone.
        assert_eq!(found(api, "/Users", "title pr or nickName pr and emails pr"), ["Ada", "Ben", "Cid", "Eve"]);
        assert_eq!(found(api, "/Users", "emails pr and nickName pr or title pr"), ["Ada", "Ben", "Cid", "Eve"]);
        assert_eq!(found(api, "/Users", "(title pr or nickName pr) and emails pr"), ["Ben", "Cid"]);
        assert_eq!(found(api, "/Users", "not (title pr) and nickName pr"), ["Ben", "Dot"]);
        assert_eq!(found(api, "/Users", "not (title pr and nickName pr) and emails pr"), ["Ben"]);
        assert_eq!(found(api, "/Users", "title pr and not (nickName pr or active eq false)"), ["Eve"]);
    });
}

#[test]
fn flt_03_not_takes_a_parenthesis() {
    each_five(|api| {
        for filter in ["not (title pr)", "not(title pr)", "NOT   ( title pr )"] {
            assert_eq!(found(api, "/Users", filter), ["Ben", "Dot"], "{filter}");
        }
        assert_eq!(found(api, "/Users", "not (not (title pr))"), ["Ada", "Cid", "Eve"]);
        for filter in ["not title pr", "not", "not ()", "nottitle pr and not", "not (title pr"] {
            refused(api, filter);
        }
    });
}

#[test]
fn flt_04_brackets_hold_a_filter_without_brackets() {
    each_five(|api| {
        let either = r#"emails[type eq "work" or (type eq "home" and value ew "@x.org")]"#;
        assert_eq!(found(api, "/Users", either), ["Ben", "Cid"]);
        assert_eq!(found(api, "/Users", r#"emails[not (type eq "work") and value ew "@x.org"]"#), ["Cid"]);
        assert_eq!(found(api, "/Users", r#"emails[type pr and (value sw "c" or value sw "z")]"#), ["Cid"]);
        for filter in [
            r#"emails[type[value eq "x"]]"#,
            r#"emails[name[x pr]]"#,
            "emails[]",
            r#"emails[type eq "work""#,
            r#"emails type eq "work"]"#,
            r#"emails[shoe eq "x"]"#,
            r#"userName[value eq "ben"]"#,
        ] {
            refused(api, filter);
        }
    });
}

#[test]
fn flt_05_urns_with_dots_and_colons_are_told_from_names() {
    each_five(|api| {
        for filter in [
            format!(r#"{USER}:name.familyName eq "o'hara""#),
            format!(r#"{USER}:emails[type eq "work"]"#),
            format!(r#"{USER}:emails.value eq "ben@y.org""#),
        ] {
            assert_eq!(found(api, "/Users", &filter), ["Ben"], "{filter}");
        }
        assert_eq!(found(api, "/Users", &format!(r#"{ENTERPRISE}:department eq "tours""#)), ["Dot"]);
        assert_eq!(found(api, "/Users", &format!("{ENTERPRISE}:manager.value pr")), ["Dot"]);
        for filter in [
            format!(r#"{USER}:department eq "tours""#),
            format!(r#"{ENTERPRISE}:userName eq "ben""#),
            format!(r#"{GROUP}:displayName eq "x""#),
            r#"urn:ietf:params:scim:schemas:core:2.0:Nobody:userName eq "ben""#.to_owned(),
            format!(r#"{USER}: eq "x""#),
        ] {
            refused(api, &filter);
        }
    });
}

#[test]
fn flt_06_the_name_of_a_reference_begins_with_a_dollar_sign() {
    each_five(|api| {
        let ada = assert_list(&api.get(&format!("/Users?filter={}", encoded(r#"userName eq "ada""#))))[0].clone();
        let reference = &ada["meta"]["location"];

        assert_eq!(found(api, "/Users", &format!("manager.$ref eq {reference}")), ["Dot"]);
        assert_eq!(found(api, "/Users", &format!("{ENTERPRISE}:manager.$ref eq {reference}")), ["Dot"]);
        assert_eq!(found(api, "/Users", &format!("manager[$ref eq {reference}]")), ["Dot"]);
        assert!(found(api, "/Users", &format!("groups.$ref eq {reference}")).is_empty());
    });
}

#[test]
fn flt_07_texts_have_the_escapes_of_json() {
    each_profile(|api| {
        let odd = "\"quoted\" back\\slash /slash\u{8}\u{c}\n\r\t 😀 é";
        api.created("/Users", &user_with("odd", json!({"title": odd})));

        for literal in [
            json!(odd).to_string(),
            r#""\"quoted\" back\\slash \/slash\b\f\n\r\t \ud83d\ude00 \u00e9""#.to_owned(),
            r#""\u0022QUOTED\u0022 back\u005cslash \u002fslash\u0008\u000c\u000a\u000d\u0009 \uD83D\uDE00 \u00C9""#
                .to_owned(),
        ] {
            assert_eq!(found(api, "/Users", &format!("title eq {literal}")), ["odd"], "{literal}");
        }
        for literal in [r#""\ud83d""#, r#""\ude00""#, r#""\x41""#, r#""\u12""#, "\"a\nb\"", r#""unclosed"#, r#""a\""#] {
            refused(api, &format!("title eq {literal}"));
        }
    });
}

#[test]
fn flt_08_a_refusal_names_the_word_and_where_it_stands() {
    each_profile(|api| {
        for (filter, word, offset) in [
            (r#"userName is "x""#, "is", 9),
            (r#"userName eq "x" nor title pr"#, "nor", 16),
            (r#"userName eq "x")"#, ")", 15),
            (r#"title pr and"#, "the end", 12),
            (r#"userName eq "x" and shoe eq "y""#, "shoe", 20),
            ("", "the end", 0),
        ] {
            let detail = refused(api, filter);

            assert!(detail.contains(word), "{filter}: {detail}");
            assert!(detail.contains(&format!("offset {offset}")), "{filter}: {detail}");
        }
    });
}

#[test]
fn flt_11_spaces_are_free_between_words() {
    each_five(|api| {
        for filter in [
            "  title   eq   \"guide\"   and   nickName   pr  ",
            "\ttitle\teq\t\"guide\"\tand\tnickName\tpr",
            "( title eq \"guide\" )and( nickName pr )",
            "emails[  value  ew  \"x.org\"  ]  and  title  pr",
        ] {
            assert_eq!(found(api, "/Users", filter), ["Cid"], "{filter:?}");
        }
        for filter in ["titleeq \"guide\"", "title eq\"guide\"nickName pr", "title e q \"guide\""] {
            refused(api, filter);
        }
    });
}

#[test]
fn flt_29_flt_34_names_need_no_urn_and_brackets_may_stand_at_one_value() {
    each_five(|api| {
        for (one, same, expected) in [
            ("department eq \"tours\"", format!("{ENTERPRISE}:department eq \"tours\""), "Dot"),
            ("manager.value pr", format!("{ENTERPRISE}:manager.value pr"), "Dot"),
            ("name[familyName sw \"o'\"]", "name.familyName sw \"o'\"".to_owned(), "Ben"),
            (
                "name[familyName sw \"o'\" and not (givenName eq \"x\")]",
                "name.familyName sw \"o'\" and not (name.givenName eq \"x\")".to_owned(),
                "Ben",
            ),
            ("manager[value pr]", format!("{ENTERPRISE}:manager[value pr]"), "Dot"),
        ] {
            assert_eq!(found(api, "/Users", one), [expected], "{one}");
            assert_eq!(found(api, "/Users", &same), [expected], "{same}");
        }
        assert_eq!(found(api, "/Users", "not (name[familyName pr])"), ["Ada", "Cid", "Dot", "Eve"]);
        refused(api, "name[nickName pr]");
        refused(api, "nickName[value pr]");
    });
}

#[test]
fn flt_20_each_type_has_its_operators() {
    const EQUALITY: &[&str] = &["eq", "ne"];
    const TEXT: &[&str] = &["co", "sw", "ew"];
    const ORDER: &[&str] = &["gt", "ge", "lt", "le"];
    each_five(|api| {
        for (path, literal, legal) in [
            ("title", "\"Guide\"", [EQUALITY, TEXT, ORDER].concat()),
            ("externalId", "\"x\"", [EQUALITY, TEXT, ORDER].concat()),
            ("id", "\"x\"", [EQUALITY, TEXT, ORDER].concat()),
            ("profileUrl", "\"https://x.org/\"", [EQUALITY, TEXT, ORDER].concat()),
            ("active", "true", EQUALITY.to_vec()),
            ("emails.primary", "true", EQUALITY.to_vec()),
            ("meta.created", "\"2020-01-01T00:00:00Z\"", [EQUALITY, ORDER].concat()),
            ("x509Certificates.value", "\"YQ==\"", EQUALITY.to_vec()),
            ("name", "\"x\"", vec![]),
            ("addresses", "\"x\"", vec![]),
            ("meta", "\"x\"", vec![]),
        ] {
            assert_list(&api.get(&format!("/Users?filter={}", encoded(&format!("{path} pr")))));
            for operator in [EQUALITY, TEXT, ORDER].concat() {
                let filter = format!("{path} {operator} {literal}");
                if legal.contains(&operator) {
                    assert_list(&api.get(&format!("/Users?filter={}", encoded(&filter))));
                } else {
                    refused(api, &filter);
                    // Also where nobody is looked at, and inside what is false anyway.
                    refused(api, &format!("userName eq \"nobody\" and not ({filter})"));
                }
            }
        }
        assert_eq!(found(api, "/Users", r#"userName gt "ben" and userName le "DOT""#), ["Cid", "Dot"]);
        assert_eq!(
            found(api, "/Users", r#"profileUrl sw "https:" and profileUrl ew "Ben" and profileUrl co "/""#),
            ["Ben"]
        );
        assert_eq!(found(api, "/Users", r#"title co "" and title sw "" and title ew """#), ["Ada", "Cid", "Eve"]);
        assert_eq!(found(api, "/Users", "active eq false"), ["Ada"]);
        assert_eq!(found(api, "/Users", "active pr").len(), 4, "false is a value");
        assert_eq!(found(api, "/Users", "name pr"), ["Ben"]);
        assert_eq!(found(api, "/Users", "addresses pr"), [""; 0]);
    });
}

#[test]
fn flt_23_a_complex_attribute_stands_for_its_value() {
    each_five(|api| {
        let ada = assert_list(&api.get(&format!("/Users?filter={}", encoded(r#"userName eq "ada""#))))[0]["id"].clone();

        assert_eq!(found(api, "/Users", r#"emails co "x.org""#), ["Ben", "Cid"]);
        assert_eq!(found(api, "/Users", r#"emails eq "BEN@y.org""#), ["Ben"]);
        assert_eq!(found(api, "/Users", &format!("manager eq {ada}")), ["Dot"]);
        assert_eq!(found(api, "/Users", "manager pr"), ["Dot"]);
        assert!(refused(api, r#"name eq "x""#).contains("name"));
    });
}

#[test]
fn flt_24_to_27_not_is_the_complement_of_every_filter() {
    each_five(|api| {
        let everybody: BTreeSet<String> = names_at(api, "/Users").into_iter().collect();
        for filter in [
            r#"title eq "Guide""#,
            r#"title ne "Guide""#,
            "title pr",
            "title eq null",
            r#"title co "o""#,
            r#"title gt "a""#,
            "active eq true",
            "active ne true",
            "name pr",
            r#"name.familyName sw "o""#,
            r#"emails.type eq "work""#,
            r#"emails.type ne "work""#,
            r#"emails[type ne "work"]"#,
            r#"emails[type eq "home" and not (value ew "y.org")]"#,
            r#"meta.created gt "2020-01-01T00:00:00Z""#,
            r#"meta.created lt "2020-01-01T00:00:00Z""#,
            "groups pr",
            "manager pr",
            r#"externalId ge """#,
            r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
            r#"title pr and nickName pr"#,
            r#"title pr or nickName eq "D""#,
        ] {
            let holds: BTreeSet<String> = found(api, "/Users", filter).into_iter().collect();
            let not: BTreeSet<String> = found(api, "/Users", &format!("not ({filter})")).into_iter().collect();

            assert!(holds.is_disjoint(&not), "{filter}");
            assert_eq!(&holds | &not, everybody, "{filter}");
        }
        for (one, other) in [
            (r#"title ne "Guide""#, r#"not (title eq "Guide")"#),
            (r#"emails.type ne "work""#, r#"not (emails.type eq "work")"#),
            (r#"active ne false"#, r#"not (active eq false)"#),
            ("title eq null", "not (title pr)"),
            ("title ne null", "title pr"),
            ("emails eq null", "not (emails pr)"),
        ] {
            assert_eq!(found(api, "/Users", one), found(api, "/Users", other), "{one}");
        }
        for operator in ["co", "sw", "ew", "gt", "ge", "lt", "le"] {
            refused(api, &format!("title {operator} null"));
        }
    });
}

#[test]
fn flt_30_everything_that_is_returned_can_be_filtered_by() {
    each_five(|api| {
        let mut paths: Vec<String> = [
            "id",
            "externalId",
            "schemas",
            "meta",
            "meta.resourceType",
            "meta.created",
            "meta.lastModified",
            "meta.location",
            "meta.version",
        ]
        .map(str::to_owned)
        .to_vec();
        for (urn, prefix) in [(USER, String::new()), (ENTERPRISE, format!("{ENTERPRISE}:"))] {
            let schema = api.get(&format!("/Schemas/{urn}")).json();
            for attribute in schema["attributes"].as_array().unwrap() {
                let path = format!("{prefix}{}", attribute["name"].as_str().unwrap());
                if attribute["returned"] == json!("never") {
                    continue;
                }
                let parts = attribute["subAttributes"].as_array().cloned().unwrap_or_default();
                paths.extend(parts.iter().map(|part| format!("{path}.{}", part["name"].as_str().unwrap())));
                paths.push(path);
            }
        }
        assert!(paths.len() > 70, "{paths:?}");
        for path in paths {
            let response = api.get(&format!("/Users?filter={}", encoded(&format!("{path} pr"))));
            assert_eq!(response.status, 200, "{path}: {}", response.text());
        }
    });
}

#[test]
fn flt_31_flt_35_schemas_are_simple_values() {
    each_five(|api| {
        assert_eq!(found(api, "/Users", &format!("schemas eq \"{ENTERPRISE}\"")), ["Dot"]);
        assert_eq!(found(api, "/Users", &format!("schemas[value eq \"{ENTERPRISE}\"]")), ["Dot"]);
        assert_eq!(found(api, "/Users", &format!("schemas[value eq \"{USER}\"]")).len(), 5);
        assert_eq!(found(api, "/Users", "schemas co \"enterprise\""), ["Dot"]);
        assert!(found(api, "/Users", "schemas eq \"urn:example:unknown\"").is_empty());
    });
}

#[test]
fn flt_38_what_the_server_assumed_is_found() {
    each_five(|api| {
        assert_eq!(found(api, "/Users", "active eq true"), ["Ben", "Cid", "Dot"]);
        assert_eq!(found(api, "/Users", "not (active pr)"), ["Eve"], "null overrides the default");
    });
}

#[test]
fn i18n_02_i18n_04_text_of_every_script_is_stored_found_and_sorted() {
    each_profile(|api| {
        // What is stored, what finds it because it is the same without case, and what is another word.
        for (name, text, same, other) in [
            ("wide", "Ｗｉｄｅ", "ｗｉｄｅ", "Wid"),
            ("composed", "Zo\u{eb}", "zoe\u{308}", "Zoe"),
            ("dotless", "KAPI", "kapi", "kap\u{131}"),
            ("sharp", "Straße", "STRASSE", "Strase"),
            ("sigma", "ΟΔΟΣ", "οδος", "οδο"),
            ("emoji", "👩‍🚀 Ada", "👩‍🚀 ADA", "🚀 Ada"),
            ("hebrew", "שלום", "שלום", "שלו"),
            ("long", "𐐀𝒳", "𐐨𝒳", "𝒳"),
        ] {
            let created = api.created("/Users", &user_with(name, json!({"title": text})));
            assert_eq!(created["title"], json!(text), "as it was sent");

            assert_eq!(found(api, "/Users", &format!("title eq {}", json!(same))), [name], "{text}");
            assert_eq!(found(api, "/Users", &format!("title sw {}", json!(same))), [name], "{text}");
            assert!(found(api, "/Users", &format!("title eq {}", json!(other))).is_empty(), "{text}");
        }
        let sorted = names_at(api, "/Users?sortBy=title");
        let mut back = names_at(api, "/Users?sortBy=title&sortOrder=descending");
        back.reverse();
        assert_eq!(sorted, back);
        assert_eq!(sorted, ["dotless", "sharp", "composed", "sigma", "hebrew", "wide", "long", "emoji"]);
    });
}
