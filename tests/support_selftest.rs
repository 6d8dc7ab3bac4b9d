//! Runs the tests of the test support itself: the matcher, the transcripts' format, the HTTP client, the throwaway
//! PostgreSQL. No server of ours takes part. They stand here and not at the foot of their files, because every test
//! binary includes those.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

mod support;

mod answer {
    use crate::support::answer::*;
    use crate::support::http::Response;
    use serde_json::{Value, json};

    fn answer(status: u16, headers: &[(&str, &str)], body: &Value) -> Response {
        let mut headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        headers.push(("content-type".to_owned(), "application/scim+json".to_owned()));
        Response { status, headers, body: body.to_string().into_bytes() }
    }

    fn user() -> Value {
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "0190a5b0-7c5e-7000-8000-00000000abcd", "userName": "mira", "active": true,
            "meta": {"resourceType": "User", "version": "W/\"1\"",
                "created": "2026-03-01T09:30:00.123Z", "lastModified": "2026-03-01T09:30:00.123Z",
                "location": "http://h/scim/v2/Users/0190a5b0-7c5e-7000-8000-00000000abcd"}})
    }

    fn verdict(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut body = user();
        change(&mut body);
        check(&answer(200, &[("etag", "W/\"1\"")], &body), false)
    }

    #[test]
    fn a_user_with_a_string_boolean_a_null_or_a_loose_time_is_refused() {
        verdict(|_| {}).unwrap();
        assert!(verdict(|user| user["active"] = json!("true")).is_err());
        assert!(verdict(|user| user["nickName"] = Value::Null).is_err());
        assert!(verdict(|user| user["meta"]["lastModified"] = json!("2026-03-01 09:30:00.123Z")).is_err());
        assert!(verdict(|user| user["meta"]["lastModified"] = json!("2999-03-01T09:30:00.123Z")).is_err());
        assert!(verdict(|user| user["emails"] = json!([{"primary": true}, {"primary": true}])).is_err());
        assert!(verdict(|user| user["id"] = json!("1")).is_err());
    }

    #[test]
    fn an_extension_is_named_exactly_if_it_has_data() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        assert!(verdict(|user| user["schemas"] = json!([user["schemas"][0], urn])).is_err());
        assert!(verdict(|user| user[urn] = json!({"department": "Sales"})).is_err());
        verdict(|user| {
            user["schemas"] = json!([user["schemas"][0], urn]);
            user[urn] = json!({"department": "Sales"});
        })
        .unwrap();
    }

    #[test]
    fn headers_agree_with_the_body() {
        assert!(check(&answer(200, &[("etag", "W/\"2\"")], &user()), false).is_err());
        assert!(check(&answer(201, &[("etag", "W/\"1\"")], &user()), false).is_err());
        let location = user()["meta"]["location"].as_str().unwrap().to_owned();
        check(&answer(201, &[("etag", "W/\"1\""), ("location", &location)], &user()), false).unwrap();
    }

    #[test]
    fn an_error_says_its_status_as_text_and_a_list_counts_what_it_shows() {
        let error = json!({"schemas": [ERROR], "status": "404", "detail": "no such user"});
        check(&answer(404, &[], &error), false).unwrap();
        assert!(check(&answer(400, &[], &error), false).is_err());
        assert!(check(&answer(404, &[], &json!({"schemas": [ERROR], "status": 404, "detail": "x"})), false).is_err());
        let list = json!({"schemas": [LIST], "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []});
        check(&answer(200, &[], &list), false).unwrap();
        let long = json!({"schemas": [LIST], "totalResults": 9, "startIndex": 1, "itemsPerPage": 100, "Resources": []});
        assert!(check(&answer(200, &[], &long), false).is_err());
    }
}

mod http {
    use crate::support::http::*;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::net::TcpStream;
    use std::sync::mpsc;
    use std::thread;

    /// Plays a server that gives `answers` in order, one connection each list, and hands over the request heads.
    pub(crate) fn server(connections: Vec<Vec<&'static str>>) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/scim/v2/", listener.local_addr().unwrap());
        let (heads, received) = mpsc::channel();
        thread::spawn(move || {
            for answers in connections {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                for answer in answers {
                    heads.send(request(&mut stream)).unwrap();
                    stream.get_mut().write_all(answer.as_bytes()).unwrap();
                }
            }
        });
        (base, received)
    }

    fn request(stream: &mut BufReader<TcpStream>) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0);
        }
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        head + std::str::from_utf8(&body).unwrap()
    }

    #[test]
    fn a_path_is_sent_as_it_stands_and_no_header_is_added() {
        let (base, heads) = server(vec![vec!["HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"]]);

        let path = "//Users/?filter=userName+eq+%22a%20b+c%22&";
        let answer = Client::new(&base).send("GET", path, &[("User-Agent".into(), String::new())], None).unwrap();

        assert_eq!(answer.status, 404);
        let host = base.trim_start_matches("http://").split('/').next().unwrap();
        assert_eq!(
            heads.recv().unwrap(),
            format!("GET /scim/v2{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: \r\n\r\n")
        );
    }

    #[test]
    fn a_connection_is_kept_over_chunked_and_empty_answers() {
        let (base, heads) = server(vec![vec![
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3;x=y\r\n:1}\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nETag: W/\"1\"\r\n\r\n{\"b\":2}",
        ]]);
        let client = Client::new(&base);

        let first = client.call("secret", "POST", "/Users", Some(&serde_json::json!({"x": 1}))).unwrap();
        let second = client.send("DELETE", "/Users/1", &[], None).unwrap();
        let third = client.send("GET", "/Users/2", &[], None).unwrap();

        assert_eq!(first.json()["a"], 1);
        assert_eq!((second.status, second.body.len()), (204, 0));
        assert_eq!((third.json()["b"].as_u64(), third.header("ETAG")), (Some(2), Some("W/\"1\"")));
        assert!(heads.recv().unwrap().ends_with("Content-Length: 7\r\n\r\n{\"x\":1}"));
    }

    #[test]
    fn a_kept_connection_that_was_closed_is_replaced() {
        let (base, _heads) = server(vec![
            vec!["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
            vec!["HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"],
        ]);
        let client = Client::new(&base);

        assert_eq!(client.send("GET", "/", &[], None).unwrap().status, 200);
        assert_eq!(client.send("GET", "/", &[], None).unwrap().status, 201);
    }
}

mod matcher {
    use crate::support::matcher::*;
    use serde_json::{Value, json};

    fn matches(expected: Value, actual: Value) -> bool {
        check(&expected).unwrap();
        compare(&expected, Some(&actual), "").is_ok()
    }

    #[test]
    fn an_object_may_have_more_members_and_an_array_no_more_elements() {
        assert!(matches(json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}, "d": 3})));
        assert!(!matches(json!({"a": 1, "b": 2}), json!({"a": 1})));
        assert!(matches(json!([{"a": 1}, 2]), json!([{"a": 1, "b": 1}, 2])));
        assert!(!matches(json!([1]), json!([1, 2])));
        assert!(!matches(json!([1, 2]), json!([2, 1])));
        assert!(!matches(json!({"a": null}), json!({})));
    }

    #[test]
    fn scalars_are_equal_in_type_too() {
        assert!(matches(json!({"a": true, "b": "x", "c": 1}), json!({"a": true, "b": "x", "c": 1})));
        assert!(!matches(json!({"a": true}), json!({"a": "true"})));
        assert!(!matches(json!(1), json!(1.0)));
        assert!(!matches(json!("Ä"), json!("A\u{308}")));
    }

    #[test]
    fn kinds_stand_for_their_values() {
        assert!(matches(json!({"a": "$absent", "b": "$any"}), json!({"b": 0})));
        assert!(!matches(json!({"a": "$absent"}), json!({"a": null})));
        assert!(!matches(json!({"a": "$any"}), json!({"a": null})));
        assert!(!matches(json!({"a": "$any"}), json!({})));
        assert!(matches(json!(["$text", "$boolean", "$integer"]), json!(["x", false, 3])));
        assert!(!matches(json!("$text"), json!("")));
        assert!(!matches(json!("$integer"), json!(3.5)));
        assert!(matches(json!("$uuid"), json!("0190a5b0-7c5e-7000-8000-00000000abcd")));
        assert!(!matches(json!("$uuid"), json!("0190A5B0-7c5e-7000-8000-00000000abcd")));
        assert!(matches(json!("$time"), json!("2026-03-01T09:30:00.123Z")));
        assert!(!matches(json!("$time"), json!("2026-03-01T09:30:00Z")));
        assert!(!matches(json!("$time"), json!("2026-03-01 09:30:00.123Z")));
    }

    #[test]
    fn rules_look_at_arrays_and_texts() {
        assert!(matches(json!({"$unordered": [2, 1]}), json!([1, 2])));
        assert!(!matches(json!({"$unordered": [1]}), json!([1, 2])));
        assert!(matches(json!({"$contains": [{"a": 1}]}), json!([{"b": 1}, {"a": 1}])));
        assert!(!matches(json!({"$contains": [1, 1]}), json!([1, 2])));
        assert!(matches(json!({"$each": "$text"}), json!(["a", "b"])));
        assert!(!matches(json!({"$each": "$text"}), json!([])));
        assert!(matches(json!({"$ref": {"$ends": "/Users/1"}}), json!({"$ref": "http://h/Users/1"})));
        assert!(matches(json!({"$all": ["$text", {"$ends": "b"}]}), json!("ab")));
    }

    #[test]
    fn a_generous_expectation_does_not_take_what_a_stricter_one_needs() {
        assert!(matches(json!({"$unordered": ["$any", {"a": 1}]}), json!([{"a": 1}, {"b": 2}])));
    }

    #[test]
    fn equals_allows_nothing_more_and_not_turns_round() {
        assert!(matches(json!({"$equals": {"a": [1], "b": "$uuid"}}), {
            json!({"b": "0190a5b0-7c5e-7000-8000-00000000abcd", "a": [1]})
        }));
        assert!(!matches(json!({"$equals": {"a": 1}}), json!({"a": 1, "b": 2})));
        assert!(!matches(json!({"$equals": [{"a": 1}]}), json!([{"a": 1, "b": 2}])));
        assert!(matches(json!({"$not": "x"}), json!("y")));
        assert!(!matches(json!({"$not": "x"}), json!("x")));
        assert!(matches(json!({"a": {"$not": {"$contains": [1]}}}), json!({})));
    }

    #[test]
    fn a_difference_names_its_place() {
        let expected = json!({"Resources": [{"emails": [{"value": "a"}]}]});
        let actual = json!({"Resources": [{"emails": [{"value": "b"}]}]});

        let message = compare(&expected, Some(&actual), "").unwrap_err();

        assert_eq!(message, "/Resources/0/emails/0/value is \"b\", expected \"a\"");
    }

    #[test]
    fn misspelt_words_are_found() {
        assert!(check(&json!({"a": ["$abset"]})).is_err());
        assert!(check(&json!({"$containz": []})).is_err());
        assert!(check(&json!({"$contains": [], "b": 1})).is_err());
        check(&json!({"$ref": "$any", "value": "${id}"})).unwrap();
    }
}

mod pocket_id {
    use crate::support::pocket_id::decoded::{Page, time};
    use crate::support::pocket_id::*;

    #[test]
    fn bodies_are_as_pocket_id_sends_them() {
        let mut user = User::new("tom", "", "L & <S>");
        user.email.clear();
        user.display_name.clear();

        assert_eq!(
            escaped(&user.body("6f1d")),
            r#"{"externalId":"6f1d","schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"tom","name":{"familyName":"L \u0026 \u003cS\u003e","givenName":""},"active":true}"#
        );
    }

    #[test]
    fn answers_are_decoded_strictly() {
        assert!(time("2026-03-01T09:30:00.123Z").is_ok());
        assert!(time("2026-03-01T10:30:00+01:00").is_ok());
        for loose in ["", "2026-03-01T09:30:00", "2026-03-01 09:30:00Z", "2026-03-01"] {
            assert!(time(loose).is_err(), "{loose}");
        }
        let page = |text: &str| serde_json::from_str::<Page>(text).is_ok();
        assert!(page(r#"{"totalResults":0,"itemsPerPage":0,"startIndex":1}"#));
        assert!(!page(r#"{"totalResults":"1"}"#));
        assert!(!page(r#"{"Resources":[{"id":"1","active":"true"}]}"#));
    }
}

mod postgres {
    use crate::support::postgres::*;
    use diesel::connection::SimpleConnection as _;
    use diesel::prelude::*;

    #[derive(QueryableByName)]
    struct Answer {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        yes: bool,
    }

    fn ask(connection: &mut PgConnection, question: &str) -> bool {
        diesel::sql_query(format!("SELECT ({question}) AS yes")).get_result::<Answer>(connection).unwrap().yes
    }

    #[test]
    fn a_database_is_empty_and_apart_from_the_next_one() {
        let (one, two) = (database_url(), database_url());
        let mut one_connection = PgConnection::establish(&one).unwrap();
        let mut two_connection = PgConnection::establish(&two).unwrap();

        one_connection.batch_execute("CREATE TABLE note (text text); INSERT INTO note VALUES ('here')").unwrap();

        assert!(ask(&mut two_connection, "to_regclass('note') IS NULL"));
        drop_database(&one);
        assert!(PgConnection::establish(&one).is_err());
    }

    #[test]
    fn a_copy_of_a_template_holds_its_rows() {
        let template = database_url();
        let mut connection = PgConnection::establish(&template).unwrap();
        connection.batch_execute("CREATE TABLE note (text text); INSERT INTO note VALUES ('here')").unwrap();
        drop(connection);

        let copy = database_from_template(&template);

        assert_ne!(copy, template);
        let mut connection = PgConnection::establish(&copy).unwrap();
        assert!(ask(&mut connection, "(SELECT text FROM note) = 'here'"));
    }

    #[test]
    fn collate_c_differs_from_the_default_where_the_build_allows() {
        let mut connection = PgConnection::establish(&database_url()).unwrap();
        assert!(ask(&mut connection, "'B' < 'a' COLLATE \"C\""));

        let icu = ask(&mut connection, "EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')");
        if icu && std::env::var_os("TEST_DATABASE_URL").is_none() {
            assert!(ask(&mut connection, "'a' < 'B'"));
        }
    }
}

mod transcript {
    use super::http::server;
    use crate::support::transcript::*;
    use serde_json::{Value, json};

    #[test]
    fn every_file_loads() {
        let files = files();

        assert!(files.len() > 20, "only {} conversations found", files.len());
        let steps: usize = files.iter().map(|transcript| transcript.steps.len()).sum();
        println!("{} conversations, {steps} steps", files.len());
    }

    #[test]
    fn no_file_names_a_real_organisation_or_host() {
        for transcript in files() {
            let text = format!("{transcript:?}");
            let hosts = text.split("https://").skip(1).filter_map(|rest| rest.split(['/', '"', '\\']).next());
            for host in hosts {
                assert!(host.ends_with(".example"), "{}: {host}", transcript.file.display());
            }
        }
    }

    #[test]
    fn variables_keep_their_type_alone_and_are_text_within_text() {
        let mut variables =
            Variables::new(&Endpoint { base_url: "http://h/scim/v2".to_owned(), token: "secret".to_owned() });
        variables.set("id", json!("7"));
        variables.set("user", json!({"id": 7}));
        variables.set("n", json!(2));

        let value = variables.value(&json!({"a": "${user}", "b": ["/Users/${id}-${n}"], "c": "${n}"}));

        assert_eq!(value, json!({"a": {"id": 7}, "b": ["/Users/7-2"], "c": 2}));
        assert_eq!(variables.text("Bearer ${token}"), "Bearer secret");
    }

    #[test]
    fn a_file_with_an_unknown_variable_rule_or_member_does_not_load() {
        let file = |path: &str, expected: Value| {
            json!({"client": "x", "about": "x", "steps": [
                {"name": "one", "request": {"method": "GET", "path": path}, "save": {"id": "/id"},
                 "expect": {"status": 200, "body": expected}}]})
        };

        parse(&file("/Users", json!({"a": "${id}"})).to_string()).unwrap();
        assert!(parse(&file("/Users/${id}", json!({})).to_string()).unwrap_err().contains("${id}"));
        assert!(parse(&file("/Users", json!({"a": "$anything"})).to_string()).is_err());
        let mut surplus = file("/Users", json!({}));
        surplus["steps"][0]["request"]["hedaers"] = json!({});
        assert!(parse(&surplus.to_string()).is_err());
    }

    #[test]
    fn what_stands_there_several_times_is_written_once() {
        let file = |times: usize| {
            json!({"client": "x", "about": "x", "steps": [
                {"name": "users", "repeat": 2, "request": {"method": "POST", "path": "/Users"}, "expect": {"status": 201},
                 "save": {"user_${n}": "/id"}},
                {"name": "group", "request": {"method": "POST", "path": "/Groups", "body": {"members": [
                    {"value": "x"}, {"$times": times, "of": {"value": "${user_${n}}"}}]}}, "expect": {"status": 201}}]})
        };

        let conversation = format!("{:?}", parse(&file(2).to_string()).unwrap());

        assert!(conversation.contains("${user_1}") && conversation.contains("${user_2}"), "{conversation}");
        assert!(!conversation.contains("times"));
        assert!(parse(&file(3).to_string()).unwrap_err().contains("${user_3}"));
    }

    const LIST: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/scim+json\r\nContent-Length: 130\r\n\r\n\
        {\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:ListResponse\"],\
        \"totalResults\":7,\"startIndex\":1,\"itemsPerPage\":0,\"Resources\":[]}";

    fn conversation(total: u64) -> Transcript {
        let steps = json!([
            {"name": "ask", "request": {"method": "GET", "path": "/Users?count=0"},
             "expect": {"status": [200, 204], "headers": {"content-type": {"$ends": "json"}}}, "save": {"total": "/totalResults"}},
            {"name": "ask again", "repeat": 2, "request": {"method": "GET", "path": "/Users?n=${n}&total=${total}"},
             "expect": {"status": 200, "body": {"totalResults": total, "Resources": "$any"}}},
            {"name": "anonymous", "request": {"method": "GET", "path": "/Users", "headers": {"Authorization": null}},
             "expect": {"status": 200, "body": {"totalResults": "${total}"}}}
        ]);
        parse(&json!({"client": "x", "about": "x", "headers": {"Accept": "*/*"}, "steps": steps}).to_string()).unwrap()
    }

    #[test]
    fn a_conversation_hands_on_what_it_saved() {
        let (base_url, heads) = server(vec![vec![LIST; 4]]);

        let requests = run(&conversation(7), &Endpoint { base_url, token: "secret".to_owned() });

        assert_eq!(requests, 4);
        let heads: Vec<String> = heads.try_iter().collect();
        assert!(heads[0].contains("\r\nAuthorization: Bearer secret\r\nAccept: */*\r\n"), "{}", heads[0]);
        assert!(heads[1].starts_with("GET /scim/v2/Users?n=1&total=7 "), "{}", heads[1]);
        assert!(heads[2].starts_with("GET /scim/v2/Users?n=2&total=7 "), "{}", heads[2]);
        assert!(!heads[3].contains("Authorization"), "{}", heads[3]);
    }

    #[test]
    #[should_panic(expected = "step \"ask again\": /totalResults is 7, expected 8")]
    fn a_wrong_answer_ends_the_conversation_and_names_the_step() {
        let (base_url, _heads) = server(vec![vec![LIST; 4]]);

        run(&conversation(8), &Endpoint { base_url, token: "secret".to_owned() });
    }
}
