//! HTTP, content and errors (RFC 7644 §3.1, §3.8, §3.12 and §3.13).

use serde_json::json;

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::exchange::{Answer, Request};
use crate::conformance::server::Need::{Feature, User};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::{Stop, Verdict};

const SCIM_JSON: &str = "application/scim+json";

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "HTTP and errors", checks: &[
    must(&["HTTP-01"], "7644 §3.1, §3.8", "resources are application/scim+json", resources_are_scim),
    should(&["HTTP-01"], "7644 §3.8", "lists and discovery are application/scim+json", lists_are_scim),
    should(&["HTTP-01", "ERR-02"], "7644 §3.12", "errors are application/scim+json", errors_are_scim),
    must(&["HTTP-02"], "7644 §3.8", "Accept: application/scim+json is heeded", accept_scim),
    should(&["HTTP-02"], "7644 §3.8", "Accept: application/json is answered", accept_json),
    must(&["HTTP-02"], "9110 §12.5.1", "Accept: */* and no Accept are answered", accept_anything),
    must(&["HTTP-03"], "7644 §3.1", "bodies as application/scim+json with a charset are read", with_charset),
    should(&["HTTP-03", "T-10"], "7644 §3.8", "bodies as application/json are read", plain_json),
    should(&["HTTP-03"], "9110 §15.5.16", "a body that is no JSON by its type is refused", other_type),
    must(&["HTTP-04", "ERR-01"], "7644 §3.12", "a body that is no JSON is 400", no_json),
    must(&["HTTP-04"], "7644 §3.12", "a body that is no object is 400", no_object),
    should(&["HTTP-04", "SEC-05"], "7644 §3.12", "deeply nested JSON is refused, and the server lives", deep_json),
    should(&["HTTP-05"], "9110 §15.5.6", "a method that an endpoint does not know is 405 with Allow", wrong_method),
    must(&["HTTP-05"], "7644 §3.12", "an unknown path is 404", unknown_path),
    should(&["HTTP-05", "ERR-02"], "7644 §3.12", "404 of an unknown path has the body of an error", unknown_path_has_a_body),
    should(&["HTTP-07"], "7644 §3.13", "a version of the protocol that the server does not have is refused", unknown_version),
    ours(&["HTTP-06"], "7644 §3.2", "one slash at the end is tolerated", trailing_slash),
    must(&["HTTP-09"], "9110 §15.3.5", "204 has no body and no Content-Type", no_content),
    ours(&["HTTP-12"], "9110 §15.5", "resources are not to be kept by shared caches", cache_control),
    ours(&["HTTP-13"], "9110 §9.3.7", "OPTIONS tells what is allowed", options),
    must(&["ERR-01"], "7644 §3.12", "an error has its schema, and its status as a text", error_body),
    must(&["ERR-01"], "7644 §3.12", "`scimType` is one of the RFC's words", scim_types).needs(&[Feature("filter")]),
    ours(&["ERR-03"], "7644 §3.12", "an error says in `detail` what is wrong", detail),
    must(&["ERR-02"], "7644 §3.12", "409 has the body of an error", conflict_body),
    must(&["SEC-03"], "7644 §7.7", "odd ids and names do no harm", no_injection).needs(&[User("displayName")]),
] };

fn is_scim(answer: &Answer) -> Verdict {
    let found = answer.media_type().to_owned();
    answer.holds(found.eq_ignore_ascii_case(SCIM_JSON), format!("the Content-Type is `{found}`"))?;
    Ok(())
}

fn is_json(answer: &Answer) -> Verdict {
    let found = answer.media_type().to_ascii_lowercase();
    let is_one = found == SCIM_JSON || found == "application/json";
    answer.holds(is_one && answer.is_json(), format!("the Content-Type is `{found}`, or the body is no JSON"))?;
    Ok(())
}

fn resources_are_scim(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    is_scim(&user.answer)?;
    is_scim(&t.read(&user)?)
}

fn lists_are_scim(t: &mut Trial<'_>) -> Verdict {
    is_scim(&t.get(&t.users())?)?;
    for endpoint in ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes"] {
        is_scim(&t.get(endpoint)?)?;
    }
    Ok(())
}

fn errors_are_scim(t: &mut Trial<'_>) -> Verdict {
    let path = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    is_scim(&t.get(&path)?)
}

fn accepting(t: &mut Trial<'_>, media_type: &str) -> Verdict<Answer> {
    let answer = t.send(&Request::get(t.users()).header("Accept", media_type))?;
    answer.is(200)?;
    Ok(answer)
}

fn accept_scim(t: &mut Trial<'_>) -> Verdict {
    is_scim(&accepting(t, SCIM_JSON)?)
}

fn accept_json(t: &mut Trial<'_>) -> Verdict {
    is_json(&accepting(t, "application/json")?)
}

fn accept_anything(t: &mut Trial<'_>) -> Verdict {
    is_json(&accepting(t, "*/*")?)?;
    is_json(&t.get(&t.users())?)
}

fn posted_as(t: &mut Trial<'_>, media_type: &str) -> Verdict<Answer> {
    let body = t.user_body(json!({})).to_string();
    t.send(&Request::new("POST", t.users()).bytes(media_type, body))
}

fn with_charset(t: &mut Trial<'_>) -> Verdict {
    posted_as(t, "application/scim+json; charset=utf-8")?.is(201)?;
    Ok(())
}

fn plain_json(t: &mut Trial<'_>) -> Verdict {
    posted_as(t, "application/json")?.is(201)?;
    Ok(())
}

fn other_type(t: &mut Trial<'_>) -> Verdict {
    posted_as(t, "application/x-www-form-urlencoded")?.is_one_of(&[400, 415])?;
    Ok(())
}

fn posted(t: &mut Trial<'_>, body: impl Into<Vec<u8>>) -> Verdict<Answer> {
    t.send(&Request::new("POST", t.users()).bytes(SCIM_JSON, body))
}

fn no_json(t: &mut Trial<'_>) -> Verdict {
    let answer = posted(t, "{\"userName\": ")?;
    t.refused(&answer, 400, "invalidSyntax")
}

fn no_object(t: &mut Trial<'_>) -> Verdict {
    for body in ["[]", "7", "\"text\"", "null"] {
        let answer = posted(t, body)?;
        t.refused(&answer, 400, "invalidSyntax")?;
    }
    Ok(())
}

fn deep_json(t: &mut Trial<'_>) -> Verdict {
    let depth = 20_000;
    posted(t, format!("{{\"name\": {}{}}}", "[".repeat(depth), "]".repeat(depth)))?.is_one_of(&[400, 413])?;
    t.get("/ServiceProviderConfig")?.is(200)?;
    Ok(())
}

fn wrong_method(t: &mut Trial<'_>) -> Verdict {
    let answer = t.send(&Request::new("PUT", t.users()).json(&json!({})))?;
    answer.is(405)?.header("Allow")?;
    Ok(())
}

fn unknown_path(t: &mut Trial<'_>) -> Verdict {
    t.get("/NobodyHasThisEndpoint")?.is(404)?;
    Ok(())
}

fn unknown_path_has_a_body(t: &mut Trial<'_>) -> Verdict {
    t.get("/NobodyHasThisEndpoint")?.is(404)?.is_error_body()?;
    Ok(())
}

fn unknown_version(t: &mut Trial<'_>) -> Verdict {
    let base = t.base_url();
    let Some(root) = base.strip_suffix("/v2") else {
        return Err(Stop::NotApplicable("the base URL names no version".to_owned()));
    };
    let answer = t.get(&format!("{root}/v99/Users"))?;
    answer.is_one_of(&[400, 404])?;
    Ok(())
}

fn trailing_slash(t: &mut Trial<'_>) -> Verdict {
    t.get(&format!("{}/", t.users()))?.is(200)?;
    Ok(())
}

fn no_content(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.delete(&user.path)?;
    answer.is(204)?.holds(answer.body.is_empty(), "204 has a body")?;
    if answer.find_header("Content-Type").is_some() {
        t.remark(&answer, "204 has a Content-Type, and no content");
    }
    Ok(())
}

fn cache_control(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.read(&user)?;
    let value = answer.header("Cache-Control")?;
    let is_private = ["private", "no-store", "no-cache"].iter().any(|word| value.contains(word));
    answer.holds(is_private, format!("Cache-Control is `{value}`"))?;
    Ok(())
}

fn options(t: &mut Trial<'_>) -> Verdict {
    let answer = t.send(&Request::new("OPTIONS", t.users()))?;
    answer.is_one_of(&[200, 204])?.header("Allow")?;
    Ok(())
}

fn error_body(t: &mut Trial<'_>) -> Verdict {
    let path = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    t.get(&path)?.is(404)?.is_error_body()?;
    posted(t, "{")?.is(400)?.is_error_body()?;
    Ok(())
}

fn scim_types(t: &mut Trial<'_>) -> Verdict {
    const WORDS: [&str; 13] = [
        "invalidFilter",
        "tooMany",
        "uniqueness",
        "mutability",
        "invalidSyntax",
        "invalidPath",
        "noTarget",
        "invalidValue",
        "invalidVers",
        "sensitive",
        "invalidCursor",
        "expiredCursor",
        "invalidCount",
    ];
    let user = t.user(json!({}))?;
    let answers = [
        posted(t, "{")?,
        t.list(&t.users(), &[("filter", "userName xx")])?,
        t.patch(&user.path, json!([{"op": "replace", "path": "id", "value": "x"}]))?,
    ];
    for answer in answers {
        if let Some(word) = answer.at("/scimType").as_str() {
            answer.holds(WORDS.contains(&word), format!("`{word}` is none of the RFC's words"))?;
        }
    }
    Ok(())
}

fn detail(t: &mut Trial<'_>) -> Verdict {
    let path = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    t.get(&path)?.text("/detail")?;
    posted(t, "{")?.text("/detail")?;
    Ok(())
}

fn conflict_body(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({}));
    t.create(&t.users(), &body)?;
    t.post(&t.users(), &body)?.is(409)?.is_error_body()?;
    Ok(())
}

fn no_injection(t: &mut Trial<'_>) -> Verdict {
    for id in ["'%20OR%20'1'='1", "%22;--", "..%2F..%2Fetc%2Fpasswd", "%00"] {
        let path = format!("{}/{id}", t.users());
        t.get(&path)?.is_client_error()?;
    }
    let text = "'; DROP TABLE users; -- <script>";
    let user = t.user(json!({ "displayName": text }))?;
    t.read(&user)?.has("/displayName", text)?;
    Ok(())
}
