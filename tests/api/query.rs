//! QRY, FLT, SORT, PAGE and SRCH: lists.

use chrono::Utc;
use scimd::scim::schema::Registry;
use scimd::scim::{Profile, accept};
use scimd::store::resources::{self, NewResource, Place};
use scimd::store::tenants::TenantSettings;
use serde_json::{Value, json};

use crate::harness::{Api, each, each_profile, each_strict, run};
use crate::messages::*;

/// So many users `u0000`, `u0001`, … in one transaction: over HTTP they would take longer than the test.
fn insert_users(api: &Api, count: usize) {
    let resource_type = Registry::builtin().resource_type("User").unwrap();
    let place = Place { tenant_id: api.tenant_id, settings: TenantSettings::default(), resource_type };
    run(api.store.write(move |connection| {
        for number in 0..count {
            let Value::Object(body) = user(&format!("u{number:04}")) else { unreachable!() };
            let accepted = accept::create(resource_type, &body, Profile::Strict)?;
            let id = uuid::Uuid::now_v7().to_string();
            let new = NewResource::of(resource_type, id, accepted.document, Utc::now());
            resources::insert(connection, place, &new)?;
        }
        Ok(())
    }));
}

/// The people that the filters of RFC 7644 Figure 2 are about.
fn insert_people(api: &Api) {
    let email = |kind: &str, value: &str| json!([{"type": kind, "value": value}]);
    for (name, attributes) in [
        ("bjensen", json!({"userType": "Employee", "title": "Guide", "emails": email("work", "b@example.com")})),
        ("Jane", json!({"userType": "Employee", "emails": email("home", "jane@example.com")})),
        ("john", json!({"userType": "Intern", "emails": email("work", "john@example.org")})),
        ("omalley", json!({"name": {"familyName": "O'Malley"}, "title": "Boss"})),
        ("xmpp", json!({"ims": [{"type": "xmpp", "value": "x@foo.com"}], "userType": "Contractor"})),
        (
            "mixed",
            json!({"userType": "Employee", "emails": [{"type": "work", "value": "m@example.net"},
            {"type": "home", "value": "m@example.com"}]}),
        ),
        ("ext", json!({ENTERPRISE: {"department": "Tours"}, "title": ""})),
    ] {
        api.created("/Users", &user_with(name, attributes));
    }
}

#[test]
fn v_28_the_filters_of_the_rfc_find_what_they_say() {
    each_profile(|api| {
        insert_people(api);
        let everybody = ["Jane", "bjensen", "ext", "john", "mixed", "omalley", "xmpp"];
        let cases: [(&str, &[&str]); 17] = [
            (r#"userName eq "bjensen""#, &["bjensen"]),
            (r#"name.familyName co "O'Malley""#, &["omalley"]),
            (r#"userName sw "J""#, &["Jane", "john"]),
            (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#, &["Jane", "john"]),
            ("title pr", &["bjensen", "omalley"]),
            (r#"meta.lastModified gt "2011-05-13T04:42:34Z""#, &everybody),
            (r#"meta.lastModified ge "2011-05-13T04:42:34Z""#, &everybody),
            (r#"meta.lastModified lt "2011-05-13T04:42:34Z""#, &[]),
            (r#"meta.lastModified le "2011-05-13T04:42:34Z""#, &[]),
            (r#"title pr and userType eq "Employee""#, &["bjensen"]),
            (r#"title pr or userType eq "Intern""#, &["bjensen", "john", "omalley"]),
            (r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#, &["ext"]),
            (
                r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
                &["Jane", "bjensen", "mixed"],
            ),
            (
                r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
                &["ext", "omalley", "xmpp"],
            ),
            (r#"userType eq "Employee" and (emails.type eq "work")"#, &["bjensen", "mixed"]),
            (r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#, &["bjensen"]),
            (
                r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
                &["bjensen", "xmpp"],
            ),
        ];
        for (filter, expected) in cases {
            assert_eq!(found(api, "/Users", filter), expected, "{filter}");
        }
    });
}

#[test]
fn flt_the_filters_that_clients_send_find_what_they_say() {
    each_profile(|api| {
        let boss = api.created("/Users", &user("boss"));
        let ines = api.created(
            "/Users",
            &user_with(
                "ines",
                json!({"externalId": "e-1", "displayName": "Ines", "emails": [{"type": "work", "value": "i@x.example"}],
                    ENTERPRISE: {"manager": {"value": boss["id"]}}}),
            ),
        );
        let team = api.created("/Groups", &group("Team", &[&ines]));
        let (boss, ines, team) = (&boss["id"], &ines["id"], &team["id"]);
        for filter in [
            r#"userName eq "INES""#.to_owned(),
            r#"externalId eq "e-1""#.to_owned(),
            format!("id eq {ines}"),
            r#"emails[value eq "I@x.example"]"#.to_owned(),
            r#"emails[type eq "work" and value eq "i@x.example"]"#.to_owned(),
            r#"emails[type eq "work"].value eq "i@x.example""#.to_owned(),
            r#"emails.value eq "i@x.example""#.to_owned(),
            r#"displayName eq "ines""#.to_owned(),
            format!("id eq {ines} and manager eq {boss}"),
            r#"active eq true and userName sw "in""#.to_owned(),
            r#"meta.lastModified gt "2020-01-01T00:00:00Z" and displayName pr"#.to_owned(),
            format!("groups eq {team}"),
        ] {
            assert_eq!(found(api, "/Users", &filter), ["ines"], "{filter}");
        }
        for filter in [
            format!("members[value eq {ines}]"),
            format!("members.value eq {ines}"),
            format!("members eq {ines}"),
            format!("id eq {team} and members eq {ines}"),
            r#"displayName eq "team""#.to_owned(),
            format!(r#"members.$ref eq "{}/Users/{}""#, api.base_url, ines.as_str().unwrap()),
            format!(r#"members.$ref eq "{}/Users/{}""#, api.base_url.replace("/v2", ""), ines.as_str().unwrap()),
        ] {
            assert_eq!(found(api, "/Groups", &filter), ["Team"], "{filter}");
        }
        assert!(found(api, "/Groups", &format!("members eq {boss}")).is_empty());
        assert_eq!(found(api, "/Users", "userName pr"), ["boss", "ines"]);
    });
}

#[test]
fn flt_20_21_28_32_v_30_what_cannot_be_compared_is_refused() {
    each_profile(|api| {
        for filter in [
            "",
            "userName",
            r#"userName eq"#,
            r#"userName eq "x" and"#,
            r#"(userName eq "x""#,
            r#"userName xx "y""#,
            r#"active gt true"#,
            r#"salary eq "1""#,
            r#"x509Certificates.value gt "YQ==""#,
            r#"name eq "x""#,
            r#"userName gt null"#,
            r#"meta.created co "2020""#,
            r#"emails[type eq "work""#,
        ] {
            assert_error(&api.get(&format!("/Users?filter={}", encoded(filter))), 400, Some("invalidFilter"));
        }
        for filter in [r#"password eq "x""#, r#"userName eq "x" and password pr"#] {
            let detail = assert_error(&api.get(&format!("/Users?filter={}", encoded(filter))), 403, Some("sensitive"));
            assert!(!detail.contains("\"x\""), "{detail}");
        }
    });
    each_strict(|api| {
        for filter in [r#"active eq "true""#, "userName eq 5"] {
            assert_error(&api.get(&format!("/Users?filter={}", encoded(filter))), 400, Some("invalidFilter"));
        }
    });
    each(|api| {
        api.created("/Users", &user("ines"));
        assert_eq!(found(api, "/Users", r#"active eq "True""#), ["ines"]);
        api.created("/Users", &user("5"));
        assert_eq!(found(api, "/Users", "userName eq 5"), ["5"]);
    });
}

#[test]
fn flt_22_to_27_negation_and_absence() {
    each_profile(|api| {
        insert_people(api);

        assert_eq!(found(api, "/Users", r#"userType ne "Employee""#), ["ext", "john", "omalley", "xmpp"]);
        assert_eq!(found(api, "/Users", "userType eq null"), ["ext", "omalley"]);
        assert_eq!(found(api, "/Users", "not (title ne null)"), ["Jane", "ext", "john", "mixed", "xmpp"]);
        assert_eq!(
            found(api, "/Users", r#"emails.value ne "m@example.com" and emails pr"#),
            ["Jane", "bjensen", "john"]
        );
        assert_eq!(found(api, "/Users", r#"emails[type ne "work"]"#), ["Jane", "mixed"]);
        assert_eq!(found(api, "/Users", r#"emails.type eq "work" and emails.value sw "m@example.com""#), ["mixed"]);
        assert!(found(api, "/Users", r#"emails[type eq "work" and value sw "m@example.com"]"#).is_empty());
        assert_eq!(found(api, "/Users", r#"name[familyName sw "o'm"]"#), ["omalley"]);
        assert_eq!(found(api, "/Users", r#"department eq "tours""#), ["ext"]);
    });
}

#[test]
fn flt_37_wildcards_and_quotes_are_plain_text() {
    each_profile(|api| {
        for (number, name) in
            ["100%", "under_score", r"back\slash", "quote'", "double\"quote", "plain+plus"].into_iter().enumerate()
        {
            api.created("/Users", &user_with(&format!("user{number}"), json!({"title": name})));
            let literal = json!(name).to_string();

            assert_eq!(found(api, "/Users", &format!("title eq {literal}")).len(), 1, "{name}");
            assert_eq!(found(api, "/Users", &format!("title co {literal}")).len(), 1, "{name}");
        }
        for wildcard in ["%", "_", r"\"] {
            assert_eq!(found(api, "/Users", &format!("title co {}", json!(wildcard))).len(), 1, "{wildcard}");
            assert!(found(api, "/Users", &format!("title sw {}", json!(wildcard))).is_empty(), "{wildcard}");
        }
        let plus = api.get("/Users?filter=title+eq+%22plain%2Bplus%22");
        assert_eq!(assert_list(&plus).len(), 1);
        let plus = api.get("/Users?filter=title%20eq%20%22plain+plus%22");
        assert_eq!(assert_list(&plus).len(), 1);
    });
}

#[test]
fn qry_01_02_03_an_empty_list_is_a_list() {
    each_profile(|api| {
        let list = api.get("/Users?filter=userName%20eq%20%22nobody%22&unknown=1&aliases=true");

        assert!(assert_list(&list).is_empty());
        let body = list.json();
        assert_eq!(
            (&body["totalResults"], &body["itemsPerPage"], &body["startIndex"]),
            (&json!(0), &json!(0), &json!(1))
        );
        assert!(list.header("location").is_none());
    });
}

#[test]
fn qry_04_flt_28_the_root_searches_every_type() {
    each_profile(|api| {
        let ines = api.created("/Users", &user_with("ines", json!({"displayName": "Smith"})));
        api.created("/Groups", &group("Smithies", &[&ines]));

        for path in ["", "/"] {
            let query = |filter: &str| assert_list(&api.get(&format!("{path}?filter={}", encoded(filter))));
            assert_eq!(query(r#"displayName sw "smith""#).len(), 2, "{path}");
            assert_eq!(names(&query(r#"meta.resourceType eq "Group""#)), ["Smithies"]);
            assert_eq!(names(&query(r#"userName eq "ines""#)), ["ines"]);
            assert_eq!(query(r#"userName ne "ines""#).len(), 1, "undefined is unassigned");
        }
        assert_error(&api.get("/?filter=salary%20pr"), 400, Some("invalidFilter"));
    });
}

#[test]
fn sort_01_to_06_lists_are_sorted_by_the_type_of_the_attribute() {
    each_profile(|api| {
        for (name, attributes) in [
            (
                "b",
                json!({"nickName": "beta", "externalId": "b", "active": true,
                "emails": [{"value": "z@x.example"}, {"value": "a@x.example", "primary": true}]}),
            ),
            (
                "C",
                json!({"nickName": "Alpha", "externalId": "B", "active": false,
                "emails": [{"value": "m@x.example"}]}),
            ),
            ("a", json!({"externalId": "a", "active": true})),
        ] {
            api.created("/Users", &user_with(name, attributes));
        }
        let sorted = |query: &str| names_at(api, &format!("/Users?{query}"));

        assert_eq!(sorted(""), ["b", "C", "a"]);
        assert_eq!(sorted("sortOrder=descending"), ["b", "C", "a"]);
        assert_eq!(sorted("sortBy=userName"), ["a", "b", "C"]);
        assert_eq!(sorted("sortBy=USERNAME&sortOrder=Descending"), ["C", "b", "a"]);
        assert_eq!(sorted(&format!("sortBy={USER}:userName")), ["a", "b", "C"]);
        assert_eq!(sorted("sortBy=nickName"), ["C", "b", "a"], "no value comes last");
        assert_eq!(sorted("sortBy=nickName&sortOrder=descending"), ["a", "b", "C"], "no value comes first");
        assert_eq!(sorted("sortBy=externalId"), ["C", "a", "b"], "exact case sorts by code point");
        assert_eq!(sorted("sortBy=active"), ["C", "b", "a"]);
        assert_eq!(sorted("sortBy=emails"), ["b", "C", "a"], "the primary element counts");
        assert_eq!(sorted("sortBy=meta.created&sortOrder=descending").len(), 3);
        for query in ["sortBy=name", "sortBy=salary", "sortBy=userName&sortOrder=up", "sortBy=password"] {
            assert_error(&api.get(&format!("/Users?{query}")), 400, Some("invalidValue"));
        }
    });
}

#[test]
fn v_08_page_01_to_06_pages() {
    each_profile(|api| {
        insert_users(api, 25);
        let page = |query: &str| {
            let response = api.get(&format!("/Users?{query}"));
            let names = names(&assert_list(&response));
            let body = response.json();
            assert_eq!(body["totalResults"], json!(25), "{query}");
            (body["startIndex"].as_u64().unwrap(), names.len(), names.first().cloned().unwrap_or_default())
        };

        assert_eq!(page("startIndex=1&count=10"), (1, 10, "u0000".to_owned()));
        assert_eq!(page("startIndex=11&count=10"), (11, 10, "u0010".to_owned()));
        assert_eq!(page("startIndex=21&count=10"), (21, 5, "u0020".to_owned()));
        assert_eq!(page("startIndex=0&count=3"), (1, 3, "u0000".to_owned()));
        assert_eq!(page("startIndex=-7&count=3"), (1, 3, "u0000".to_owned()));
        assert_eq!(page("count=0"), (1, 0, String::new()));
        assert_eq!(page("count=-1"), (1, 0, String::new()));
        assert_eq!(page("startIndex=26"), (26, 0, String::new()));
        assert_eq!(page("count=9223372036854775808").1, 25);
        assert_eq!(page("startIndex=9223372036854775808").1, 0);
        for query in ["startIndex=x", "count=1.5", "count=", "count=1e2"] {
            assert_error(&api.get(&format!("/Users?{query}")), 400, Some("invalidValue"));
        }
    });
}

#[test]
fn page_03_04_qry_05_disc_06_a_page_has_at_most_the_advertised_size_and_the_rest_follows() {
    each(|api| {
        insert_users(api, 1001);

        let default = api.get("/Users?attributes=userName");
        let most = api.get("/Users?attributes=userName&count=1000");
        let more = api.get("/Users?attributes=userName&count=1001");
        let rest = api.get("/Users?attributes=userName&count=1001&startIndex=1001");

        let mut seen = std::collections::BTreeSet::new();
        for start in (1..=1001).step_by(100) {
            let page = assert_list(&api.get(&format!("/Users?attributes=userName&startIndex={start}")));
            seen.extend(names(&page));
        }
        assert_eq!(seen.len(), 1001, "page by page, everybody is seen");
        for (response, expected) in [(default, 100), (most, 1000), (more, 1000), (rest, 1)] {
            assert_eq!(assert_list(&response).len(), expected);
            assert_eq!(response.json()["totalResults"], json!(1001));
        }
    });
}

#[test]
fn res_04_srch_01_03_04_a_search_answers_what_the_list_answers() {
    each_profile(|api| {
        insert_users(api, 5);
        let parameters = json!({"filter": "userName ge \"u0001\"", "sortBy": "userName", "sortOrder": "descending",
            "startIndex": 2, "count": 2, "attributes": ["userName"]});

        let searched = api.post("/Users/.search", &search(parameters.clone()));
        let listed = api.get(
            "/Users?filter=userName%20ge%20%22u0001%22&sortBy=userName&sortOrder=descending&startIndex=2&count=2&attributes=userName",
        );

        assert_eq!(names(&assert_list(&searched)), ["u0003", "u0002"]);
        assert_eq!(searched.json(), listed.json());
        let any_case = json!({"SCHEMAS": [SEARCH_REQUEST], "Filter": "userName ge \"u0001\"", "SORTBY": "userName",
            "sortorder": "descending", "STARTINDEX": 2, "Count": 2, "Attributes": ["userName"]});
        assert_eq!(api.post("/Users/.search", &any_case).json(), listed.json());
        let twice = search(json!({"count": 1, "COUNT": 2}));
        assert_error(&api.post("/Users/.search", &twice), 400, Some("invalidSyntax"));
        let mut comma = parameters;
        comma["attributes"] = json!("userName,active");
        assert_eq!(assert_list(&api.post("/.search", &search(comma)))[0]["active"], json!(true));
        for path in ["/.search", "/Users/.search", "/Groups/.search"] {
            assert!(assert_list(&api.post(path, &search(json!({"filter": "id eq \"x\""})))).is_empty());
            let got = api.get(path);
            assert_error(&got, 405, None);
            assert!(got.header("allow").is_some_and(|allow| allow.contains("POST")));
        }
    });
}

#[test]
fn srch_01_qry_04_every_parameter_means_in_a_body_what_it_means_in_a_url() {
    let filter = "displayName sw \"n\"";
    let parameters = [
        json!({"filter": filter}),
        json!({"filter": filter, "sortBy": "displayName", "sortOrder": "descending", "startIndex": 2, "count": 3}),
        json!({"sortBy": "id", "sortOrder": "ASCENDING"}),
        json!({"count": 0}),
        json!({"count": -1, "startIndex": 0}),
        json!({"count": 5000, "startIndex": 3}),
        json!({"attributes": ["displayName", "meta.resourceType"]}),
        json!({"excludedAttributes": ["meta", "displayName"]}),
        json!({"cursor": "", "count": 3}),
        json!({"cursor": "", "filter": filter, "sortBy": "displayName", "sortOrder": "descending",
            "excludedAttributes": ["meta"], "count": 2}),
    ];
    let in_a_url = |parameters: &Value| {
        let pair = |(name, value): (&String, &Value)| {
            let names: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let text = if value.is_array() { names.join(",") } else { value.to_string().trim_matches('"').to_owned() };
            format!("{name}={}", encoded(value.as_str().unwrap_or(&text)))
        };
        parameters.as_object().unwrap().iter().map(pair).collect::<Vec<_>>().join("&")
    };
    // When it was made is part of a cursor.
    let shown = |answer: &Value| {
        let mut shown = answer.clone();
        let next = shown.as_object_mut().unwrap().remove("nextCursor").is_some();
        (shown, next)
    };
    each_profile(|api| {
        for number in 0..4 {
            api.created("/Users", &user_with(&format!("u{number}"), json!({"displayName": format!("n{number}")})));
            api.created("/Groups", &group(&format!("N{number}"), &[]));
        }
        for (endpoint, total) in [("", 8), ("/Users", 4), ("/Groups", 4)] {
            for parameters in &parameters {
                let listed = api.get(&format!("{endpoint}?{}", in_a_url(parameters)));
                let searched = api.post(&format!("{endpoint}/.search"), &search(parameters.clone()));

                assert_eq!(searched.json()["totalResults"], json!(total), "{endpoint} {parameters}");
                assert_eq!(shown(&searched.json()), shown(&listed.json()), "{endpoint} {parameters}");
            }
        }
    });
}

#[test]
fn flt_10_a_plus_sign_is_what_the_encoding_of_the_filter_makes_it() {
    each_profile(|api| {
        for (name, title) in [("plus", "a+b"), ("space", "a b")] {
            api.created("/Users", &user_with(name, json!({"title": title})));
        }
        for (filter, found) in [
            ("title+eq+%22a%2Bb%22", "plus"),
            ("title+eq+%22a+b%22", "space"),
            ("title%20eq%20%22a+b%22", "plus"),
            ("title%20eq%20%22a%20b%22", "space"),
            ("title+eq%20%22a%20b%22+and%20title+pr", ""),
        ] {
            let response = api.get(&format!("/Users?filter={filter}"));
            match found {
                "" => drop(assert_error(&response, 400, Some("invalidFilter"))),
                found => assert_eq!(names(&assert_list(&response)), [found], "{filter}"),
            }
        }
    });
}

#[test]
fn srch_02_other_messages_are_refused() {
    each_profile(|api| {
        for body in [
            json!({}),
            json!({"filter": "userName pr"}),
            json!({"schemas": [PATCH_OP], "filter": "userName pr"}),
            search(json!({"filter": 5})),
            search(json!({"count": "many"})),
            search(json!({"attributes": [5]})),
            search(json!({"startIndex": 1.5})),
        ] {
            assert_error(&api.post("/Users/.search", &body), 400, Some("invalidSyntax"));
        }
        assert_error(&api.post("/Users/.search", &search(json!({"filter": "x"}))), 400, Some("invalidFilter"));
    });
}

#[test]
fn v_09_a_search_over_users_and_groups() {
    each_profile(|api| {
        let jim = api.created("/Users", &user_with("jim", json!({"displayName": "SMITH, Jim"})));
        api.created("/Groups", &group("smithies", &[&jim]));
        api.created("/Users", &user_with("other", json!({"displayName": "Jones"})));

        let found = assert_list(&api.post(
            "/.search",
            &search(json!({"attributes": ["displayName", "userName"], "filter": "displayName sw \"smith\"",
                "startIndex": 1, "count": 10})),
        ));

        assert_eq!(found.len(), 2);
        for resource in found {
            let is_user = resource["schemas"] == json!([USER]);
            assert_eq!(resource.get("userName").is_some(), is_user);
            assert!(resource.get("displayName").is_some() && resource.get("members").is_none());
        }
    });
}

#[test]
fn sort_02_03_07_among_several_types_one_without_the_attribute_has_no_value() {
    each_profile(|api| {
        let b = api.created("/Users", &user_with("b", json!({"displayName": "beta"})));
        api.created("/Groups", &group("Alpha", &[]));
        api.created("/Users", &user_with("A", json!({"displayName": "gamma"})));
        api.created("/Groups", &group("delta", &[&b]));
        let sorted = |query: &str| names_at(api, &format!("/?{query}"));

        assert_eq!(sorted("sortBy=userName"), ["A", "b", "Alpha", "delta"], "groups have none and come last");
        assert_eq!(sorted("sortBy=userName&sortOrder=descending"), ["Alpha", "delta", "b", "A"], "and first");
        assert_eq!(sorted("sortBy=displayName"), ["Alpha", "b", "delta", "A"]);
        assert_eq!(sorted("sortBy=displayName&sortOrder=DESCENDING"), ["A", "delta", "b", "Alpha"]);
        assert_eq!(sorted("sortBy=meta.resourceType").len(), 4);
        assert_error(&api.get("/?sortBy=salary"), 400, Some("invalidValue"));
    });
}

#[test]
fn sort_02_text_folds_and_what_is_exact_goes_by_code_point() {
    each_profile(|api| {
        for name in ["b", "A", "ä", "Z", "ß", "_", "1", "É"] {
            api.created("/Users", &user_with(name, json!({"externalId": name, "title": name})));
        }
        let sorted = |query: &str| names_at(api, &format!("/Users?{query}"));

        // Folded, "É" is "é", and "ß" is "ss".
        assert_eq!(sorted("sortBy=title"), ["1", "_", "A", "b", "ß", "Z", "ä", "É"]);
        assert_eq!(sorted("sortBy=userName"), sorted("sortBy=title"));
        let mut back = sorted("sortBy=title");
        back.reverse();
        assert_eq!(sorted("sortBy=title&sortOrder=descending"), back);
        assert_eq!(sorted("sortBy=externalId"), ["1", "A", "Z", "_", "b", "É", "ß", "ä"]);
        let by_creation = sorted("sortBy=meta.created");
        assert_eq!(by_creation, sorted(""), "instants are chronological");
    });
}

/// Ties, those without a value, and long values that differ far behind, in either direction.
#[test]
fn sort_03_sort_06_pages_by_index_follow_each_other_in_every_order() {
    each(|api| {
        let long = "é".repeat(300);
        let created = |number: usize| {
            let title = match number % 6 {
                0 => Value::Null,
                1 => json!(format!("{long}b")),
                2 => json!(format!("{long}A")),
                3 => json!("x"),
                _ => json!("X"),
            };
            let attributes = json!({"title": title, "active": !number.is_multiple_of(5)});
            api.created("/Users", &user_with(&format!("u{:02}", number * 7 % 24), attributes))
        };
        let everybody: Vec<Value> = (0..24).map(created).collect();
        let named = |person: &Value, start: &str| person["userName"].as_str().unwrap().starts_with(start);
        // All, some, so few that they are put in order by themselves, and those who have no title.
        type Filter<'a> = (&'a str, &'a dyn Fn(&Value) -> bool);
        let filters: [Filter<'_>; 5] = [
            ("userName sw \"u\"", &|_| true),
            ("title eq \"x\"", &|person| ["x", "X"].iter().any(|title| person["title"] == *title)),
            ("userName sw \"u02\"", &|person| named(person, "u02")),
            ("userName sw \"u2\"", &|person| named(person, "u2")),
            ("not (title pr)", &|person| person["title"].is_null()),
        ];
        for (sort, order) in both_ways(&["userName", "title", "active", "nickName"]) {
            let path = format!("/Users?sortBy={sort}&sortOrder={order}");
            for (filter, matches) in &filters {
                let matching: Vec<Value> = everybody.iter().filter(|person| matches(person)).cloned().collect();
                let path = format!("{path}&filter={}", encoded(filter));
                assert_pages(api, &path, &in_order(&matching, sort, order), &[(1, 5), (2, 6), (2, 1), (3, 2)]);
            }
            assert_pages(api, &path, &in_order(&everybody, sort, order), &[(1, 1), (1, 7), (2, 6), (25, 3)]);
        }
    });
}

/// What the index holds at one path, it holds of both types.
#[test]
fn sort_03_pages_by_index_hold_one_type_where_another_has_the_attribute_too() {
    each(|api| {
        let assert_all = |users: &[Value], groups: &[Value]| {
            for (endpoint, created) in [("/Users", users), ("/Groups", groups)] {
                for (sort, order) in both_ways(&["displayName"]) {
                    let path = format!("{endpoint}?sortBy={sort}&sortOrder={order}");
                    assert_pages(api, &path, &in_order(created, sort, order), &[(1, 1), (1, 4), (2, 3), (5, 20)]);
                }
            }
        };
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        for (number, name) in ["Beta", "alpha", "beta", "delta", "Alpha", "gamma"].iter().enumerate() {
            groups.push(api.created("/Groups", &group(&format!("{name}{}", number % 4), &[])));
            users.push(api.created("/Users", &user_with(&format!("u{number}"), json!({"displayName": name}))));
        }
        assert_all(&users, &groups);

        // As many values as there are users, but half of them are of groups.
        users.extend((6..12).map(|number| api.created("/Users", &user(&format!("u{number:02}")))));
        assert_all(&users, &groups);

        for group in groups.drain(..) {
            assert_eq!(api.delete(&path_of(&group)).status, 204);
        }
        assert_all(&users, &groups);
    });
}

/// Each of these, ascending and descending.
fn both_ways<'a>(sorts: &[&'a str]) -> Vec<(&'a str, &'static str)> {
    sorts.iter().flat_map(|sort| [(*sort, "ascending"), (*sort, "descending")]).collect()
}

/// The names of these, given in the order of creation, by a value without case: those without one come last, descending
/// first, and ties keep their order.
fn in_order(created: &[Value], sort: &str, order: &str) -> Vec<String> {
    let key = |resource: &Value| match &resource[sort] {
        Value::Null => None,
        value => Some(value.as_str().map_or(value.to_string(), str::to_lowercase)),
    };
    let (mut with, without): (Vec<&Value>, Vec<&Value>) = created.iter().partition(|resource| key(resource).is_some());
    with.sort_by(|left, right| match order {
        "ascending" => key(left).cmp(&key(right)),
        _ => key(right).cmp(&key(left)),
    });
    let ordered = if order == "ascending" { [with, without] } else { [without, with] };
    names(&ordered.concat().into_iter().cloned().collect::<Vec<_>>())
}

/// That the pages at this path hold these, in order: by where the first page begins, and how long they are.
#[track_caller]
fn assert_pages(api: &Api, path: &str, expected: &[String], pages: &[(usize, usize)]) {
    for &(first, count) in pages {
        for start in (first..=first.max(expected.len() + 1)).step_by(count) {
            let page = api.get(&format!("{path}&startIndex={start}&count={count}"));
            let shown: Vec<String> = expected.iter().skip(start - 1).take(count).cloned().collect();
            assert_eq!(names(&assert_list(&page)), shown, "{path}, {count} from {start}");
            assert_eq!(page.json()["totalResults"], json!(expected.len()), "{path}, {count} from {start}");
        }
    }
}

#[test]
fn qry_01_qry_02_a_long_list_is_whole_and_as_long_as_it_says() {
    each(|api| {
        insert_users(api, 1_000);
        // Longer than what the server keeps of an answer in memory.
        let padding = "-".repeat(230);
        for number in 0..3 {
            let member = |at| json!({"value": format!("{number}-{at}{padding}")});
            let members: Vec<Value> = (0..4_000).map(member).collect();
            let group = json!({"schemas": [GROUP], "displayName": format!("Group {number}"), "members": members});
            assert_eq!(api.post("/Groups", &group).status, 201);
        }

        for (path, count, length) in [("/Users?count=1000", 1_000, 300_000), ("/Groups", 3, 2_900_000)] {
            let answer = api.get(path);
            let list = answer.json();
            let head = api.send("HEAD", path, &[], None);

            assert!(answer.body.len() > length, "{path}: {}", answer.body.len());
            assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&json!(count), &json!(count)));
            assert_eq!(list["Resources"].as_array().map(Vec::len), Some(count));
            assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
            assert_eq!((head.status, head.body.len()), (200, 0));
            assert_eq!(head.header("content-length"), answer.header("content-length"));
        }
        let shown = api.get("/Groups").json()["Resources"][2]["members"].as_array().map(Vec::len);
        assert_eq!(shown, Some(4_000));
    });
}
