//! GET and HEAD of one resource (RFC 7644 §3.4.1).

use serde_json::json;

use crate::conformance::check::{Section, may, must, ours, should};
use crate::conformance::exchange::Request;
use crate::conformance::server::Need::{Feature, Groups};
use crate::conformance::trial::{Trial, with_query};
use crate::conformance::verdict::{Stop, Verdict};

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Read", checks: &[
    must(&["GET-01"], "7644 §3.4.1", "a resource is found by its id", by_id),
    ours(&["GET-01", "RES-12"], "7643 §3.1", "GET has the Location or Content-Location of the resource", location),
    must(&["GET-02", "ERR-02"], "7644 §3.12", "an id that nobody has is 404, with the body of an error", unknown),
    must(&["GET-04"], "7644 §3.12", "an id of an odd form is 404", odd),
    must(&["GET-04"], "7644 §3.4.1", "a user's id at the groups is 404", wrong_endpoint).needs(&[Groups]),
    must(&["GET-03", "CHAR-06"], "7644 §3.4.1", "GET shows what is returned by default", by_default),
    must(&["GET-05"], "9110 §9.3.2", "HEAD is GET without a body", head),
    should(&["GET-05"], "9110 §9.3.2", "HEAD has the Content-Type and the ETag of GET", headers_of_head),
    may(&["GET-06"], "7644 §3.4.2.1", "a filter on one resource gives a list of one or none", filter).needs(&[Feature("filter")]),
] };

fn by_id(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.get(&user.path)?.is(200)?.has("/id", user.id)?;
    Ok(())
}

fn location(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.read(&user)?;
    let headers: Vec<&str> =
        ["Location", "Content-Location"].iter().filter_map(|name| answer.find_header(name)).collect();
    let lead_home = headers.iter().all(|place| answer.at("/meta/location") == *place);
    answer.holds(lead_home && !headers.is_empty(), format!("the headers are {headers:?}"))?;
    Ok(())
}

fn unknown(t: &mut Trial<'_>) -> Verdict {
    let path = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    t.get(&path)?.is(404)?.is_error_body()?;
    Ok(())
}

fn odd(t: &mut Trial<'_>) -> Verdict {
    for id in ["nobody", "0", "%C3%BC", "a%20b"] {
        let path = format!("{}/{id}", t.users());
        t.get(&path)?.is(404)?;
    }
    Ok(())
}

fn wrong_endpoint(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let path = format!("{}/{}", t.groups()?, user.id);
    t.get(&path)?.is(404)?;
    Ok(())
}

fn by_default(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"active": true}))?;
    let answer = t.read(&user)?;
    for pointer in ["/schemas", "/id", "/userName", "/meta"] {
        answer.present(pointer)?;
    }
    Ok(())
}

fn head(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.send(&Request::new("HEAD", user.path))?;
    answer.is(200)?.holds(answer.body.is_empty(), "the answer to HEAD has a body")?;
    Ok(())
}

fn headers_of_head(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let get = t.read(&user)?;
    let head = t.send(&Request::new("HEAD", user.path))?;
    for name in ["Content-Type", "ETag"] {
        let (expected, found) = (get.find_header(name), head.find_header(name));
        head.holds(found == expected, format!("`{name}` is {found:?} with HEAD and {expected:?} with GET"))?;
    }
    Ok(())
}

fn filter(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let hit = t.get(&with_query(&user.path, &[("filter", "userName pr")]))?;
    if hit.at("/id") == user.id.as_str() {
        return Err(Stop::NotApplicable("the server ignores a filter there".to_owned()));
    }
    hit.has("/totalResults", 1)?;
    t.get(&with_query(&user.path, &[("filter", "userName eq \"nobody has this name\"")]))?.has("/totalResults", 0)?;
    Ok(())
}
