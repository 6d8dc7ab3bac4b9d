use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed(text: &str) -> Filter {
    parse(text, Profile::Strict).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let error = parse(text, Profile::Strict).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::InvalidFilter, "{text}");
    error.detail().to_owned()
}

fn name(text: &str) -> Name {
    Name { text: text.to_owned(), offset: 0 }
}

fn present(text: &str) -> Filter {
    Filter::Present(name(text))
}

#[test]
fn v_28_the_filters_of_rfc_7644_figure_2_parse() {
    for text in [
        r#"userName eq "bjensen""#,
        r#"name.familyName co "O'Malley""#,
        r#"userName sw "J""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
        "title pr",
        r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified ge "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified lt "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified le "2011-05-13T04:42:34Z""#,
        r#"title pr and userType eq "Employee""#,
        r#"title pr or userType eq "Intern""#,
        r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
        r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType eq "Employee" and (emails.type eq "work")"#,
        r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#,
        r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
    ] {
        parsed(text);
    }
}

#[test]
fn flt_01_keywords_have_no_case() {
    assert_eq!(
        parsed(r#"USERNAME EQ "bjensen" AND NOT (title PR)"#),
        Filter::And(vec![
            Filter::Compare(name("USERNAME"), Operator::Eq, json!("bjensen")),
            Filter::Not(Box::new(present("title"))),
        ])
    );
}

#[test]
fn flt_02_and_binds_closer_than_or() {
    let expected = Filter::Or(vec![present("a"), Filter::And(vec![present("b"), present("c")])]);
    assert_eq!(parsed("a pr or b pr and c pr"), expected);
    assert_eq!(parsed("a pr or (b pr and c pr)"), expected);
    assert_eq!(
        parsed("(a pr or b pr) and c pr"),
        Filter::And(vec![Filter::Or(vec![present("a"), present("b")]), present("c")])
    );
}

#[test]
fn flt_03_not_needs_a_parenthesis() {
    assert_eq!(parsed("not(x pr)"), parsed("not (x pr)"));
    assert!(refused("not x pr").contains("offset 4"));
    assert_eq!(parsed("not pr"), present("not"));
}

#[test]
fn flt_04_brackets_hold_a_whole_filter() {
    let Filter::Element(path, inner) = parsed(r#"emails[type eq "work" or (type eq "home" and value ew "@x.org")]"#)
    else {
        panic!("not an element filter");
    };
    assert_eq!(path.text, "emails");
    assert!(matches!(*inner, Filter::Or(_)));
}

#[test]
fn flt_07_strings_use_json_escapes() {
    let literal = |text: &str| match parsed(text) {
        Filter::Compare(_, _, literal) => literal,
        other => panic!("{other:?}"),
    };
    assert_eq!(literal(r#"a eq "q\"b\\s\/\n\u00e9\ud83d\ude00""#), json!("q\"b\\s/\né😀"));
    assert_eq!(literal(r#"a eq "x eq y] and ) (" "#), json!("x eq y] and ) ("));
    assert_eq!(literal("a eq -1.5e3"), json!(-1500.0));
    assert_eq!(literal("a eq null"), json!(null));
    refused(r#"a eq "\ud800""#);
    refused(r#"a eq "open"#);
}

#[test]
fn flt_08_errors_name_token_and_offset() {
    assert_eq!(
        refused(r#"userName equals "x""#),
        "The filter has 'equals' at offset 9, where an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr) is expected."
    );
    assert!(refused("").contains("the end at offset 0"));
    assert!(refused("title pr title pr").contains("'title' at offset 9"));
    for text in [
        "()", "(a pr", "a pr)", "a", "a eq", "a eq x", "a eq {}", "a eq 'x'", "emails[", "emails[]", "a pr and",
        "or a pr", "a[b pr",
    ] {
        refused(text);
    }
}

#[test]
fn flt_09_limits_are_exact() {
    let terms = |count: usize| vec!["a pr"; count].join(" or ");
    parsed(&terms(MAX_TERMS));
    refused(&terms(MAX_TERMS + 1));

    let nested = |depth: usize| format!("{}a pr{}", "(".repeat(depth), ")".repeat(depth));
    parsed(&nested(MAX_DEPTH));
    refused(&nested(MAX_DEPTH + 1));
    refused(&"(".repeat(8000));

    let padded = |length: usize| format!("a eq \"{}\"", "x".repeat(length - 7));
    parsed(&padded(MAX_LENGTH));
    refused(&padded(MAX_LENGTH + 1));
}

#[test]
fn flt_11_spaces_are_free() {
    assert_eq!(parsed("  a   eq\t\"x\"  and ( b pr )  "), parsed(r#"a eq "x" and (b pr)"#));
    assert_eq!(parsed(r#"members[value eq"x"]"#), parsed(r#"members[value eq "x"]"#));
}

#[test]
fn t_08_bare_words_are_strings_for_lenient_clients() {
    let lenient = |text: &str| parse(text, Profile::Compat).expect(text);
    assert_eq!(lenient("externalId eq a1-b"), parsed(r#"externalId eq "a1-b""#));
    assert_eq!(
        lenient("name.FamilyName eq Roth and (emails.Value co x@y)"),
        parsed(r#"name.FamilyName eq "Roth" and (emails.Value co "x@y")"#)
    );
    assert_eq!(lenient("a eq 'x y'"), parsed(r#"a eq "x y""#));
}

#[test]
fn q_42_a_comparison_behind_the_brackets_joins_them() {
    assert_eq!(parsed(r#"emails[type eq "work"].value eq "x""#), parsed(r#"emails[type eq "work" and value eq "x"]"#));
}

#[test]
fn patch_05_paths_parse() {
    let path = |text: &str| parse_path(text, Profile::Strict).expect(text);
    assert_eq!(path("name.givenName"), ParsedPath { name: name("name.givenName"), filter: None, sub_attribute: None });
    let filtered = path(r#"addresses[type eq "work"].streetAddress"#);
    assert_eq!(filtered.sub_attribute.as_deref(), Some("streetAddress"));
    assert_eq!(filtered.filter, Some(parsed(r#"type eq "work""#)));
}

#[test]
fn patch_03_a_malformed_path_is_told_from_a_malformed_filter() {
    let kind = |text: &str| parse_path(text, Profile::Strict).expect_err(text).kind();
    assert_eq!(kind(""), ErrorKind::InvalidPath);
    assert_eq!(kind("a b"), ErrorKind::InvalidPath);
    assert_eq!(kind("emails[type eq]"), ErrorKind::InvalidFilter);
    assert_eq!(kind("emails[type eq \"work\""), ErrorKind::InvalidFilter);
    for behind in ["]x", "].", "]..value", "][", "] value", "].value eq \"x\""] {
        assert_eq!(kind(&format!("emails[type eq \"work\"{behind}")), ErrorKind::InvalidPath, "{behind}");
    }
}

fn literals() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,8}".prop_map(|text| json!(text)),
        any::<i32>().prop_map(|number| json!(number)),
        any::<bool>().prop_map(|value| json!(value)),
        Just(json!(null)),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let names = || "[a-z]{1,6}(\\.[a-z]{1,6})?".prop_map(|text| Name { text, offset: 0 });
    let operators = proptest::sample::select(Operator::ALL.to_vec());
    let leaf = prop_oneof![
        names().prop_map(Filter::Present),
        (names(), operators, literals()).prop_map(|(name, operator, literal)| Filter::Compare(name, operator, literal)),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            (names(), inner).prop_map(|(name, filter)| Filter::Element(name, Box::new(filter))),
        ]
    })
}

proptest! {
    #[test]
    fn printing_then_parsing_is_the_identity(filter in filters()) {
        prop_assert_eq!(parsed(&filter.to_string()), filter);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        let _ = parse(&text, Profile::Compat);
        let _ = parse_path(&text, Profile::Compat);
    }

    #[test]
    fn no_text_of_tokens_makes_the_parser_panic(text in "(a|eq|pr|not|and|or|\\(|\\)|\\[|\\]|\"|\\\\|\\.| ){0,40}") {
        let _ = parse(&text, Profile::Compat);
    }
}
