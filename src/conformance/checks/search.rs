//! Search with POST (RFC 7644 §3.4.3).

use serde_json::json;

use crate::conformance::check::{Section, must, ours};
use crate::conformance::exchange::Request;
use crate::conformance::server::Need::{Feature, Groups, User};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

pub(super) const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Search with POST", checks: &[
    must(&["SRCH-01"], "7644 §3.4.3", "users are searched with POST, as with GET", users).needs(&[Feature("filter")]),
    must(&["SRCH-01"], "7644 §3.4.3", "groups are searched with POST", groups).needs(&[Feature("filter"), Groups]),
    must(&["SRCH-01"], "7644 §3.4.3", "everything is searched with POST at the root", root).needs(&[Feature("filter")]),
    must(&["SRCH-01", "PROJ-02"], "7644 §3.4.3", "a search heeds attributes, startIndex and count", parameters).needs(&[Feature("filter")]),
    must(&["SRCH-01", "SORT-01"], "7644 §3.4.3", "a search heeds sortBy and sortOrder", order).needs(&[Feature("filter"), Feature("sort"), User("userType")]),
    must(&["SRCH-02"], "7644 §3.12", "a search that is no JSON is 400", no_json),
    must(&["SRCH-02", "FLT-08"], "7644 §3.4.3", "a filter that does not parse is 400 `invalidFilter`", malformed_filter).needs(&[Feature("filter")]),
    ours(&["SRCH-03"], "9110 §15.5.6", "GET of .search is 405", get),
] };

fn users(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let filter = format!("userName eq {}", user.answer.at("/userName"));
    let path = format!("{}/.search", t.users());
    let found = t.post(&path, &json!({"schemas": [SEARCH_REQUEST], "filter": filter}))?;
    found.holds(found.resources()?.len() == 1, "the search does not find the user")?;
    let listed = t.list(&t.users(), &[("filter", &filter)])?;
    found.holds(found.at("/Resources") == listed.at("/Resources"), "GET with the same filter shows something else")?;
    Ok(())
}

fn groups(t: &mut Trial<'_>) -> Verdict {
    let group = t.group(&[])?;
    let filter = format!("displayName eq {}", group.answer.at("/displayName"));
    let path = format!("{}/.search", t.groups()?);
    let found = t.post(&path, &json!({"schemas": [SEARCH_REQUEST], "filter": filter}))?;
    found.is(200)?.has("/Resources/0/id", group.id)?;
    Ok(())
}

fn root(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let found =
        t.post("/.search", &json!({"schemas": [SEARCH_REQUEST], "filter": format!("id eq \"{}\"", user.id)}))?;
    found.holds(found.resources()?.len() == 1, "the search does not find the user")?.has("/Resources/0/id", user.id)?;
    Ok(())
}

fn parameters(t: &mut Trial<'_>) -> Verdict {
    t.people()?;
    let path = format!("{}/.search", t.users());
    let message = json!({"schemas": [SEARCH_REQUEST], "filter": format!("userName sw \"{}-\"", t.run()),
        "attributes": ["userName"], "startIndex": 2, "count": 2});
    let found = t.post(&path, &message)?;
    found.holds(found.resources()?.len() == 2, "the page does not have two users")?.has("/totalResults", 4)?;
    found.has("/startIndex", 2)?.lacks("/Resources/0/active")?.text("/Resources/0/userName")?;
    Ok(())
}

fn order(t: &mut Trial<'_>) -> Verdict {
    let names = ["anna", "bo", "cleo", "dee"].map(|name| format!("{}-{name}@example.com", t.run()));
    t.people()?;
    let (path, filter) = (format!("{}/.search", t.users()), t.filter_of_people());
    for (direction, expected) in [("ascending", names.clone()), ("descending", reversed(names))] {
        let message =
            json!({"schemas": [SEARCH_REQUEST], "filter": filter, "sortBy": "userName", "sortOrder": direction});
        let found = t.post(&path, &message)?;
        let order: Vec<&str> = found.resources()?.iter().filter_map(|user| user["userName"].as_str()).collect();
        found.holds(order == expected, format!("the {direction} order is {order:?}"))?;
    }
    Ok(())
}

fn reversed<const N: usize>(mut names: [String; N]) -> [String; N] {
    names.reverse();
    names
}

fn no_json(t: &mut Trial<'_>) -> Verdict {
    let request =
        Request::new("POST", format!("{}/.search", t.users())).bytes("application/scim+json", "{\"filter\": ");
    let answer = t.send(&request)?;
    t.refused(&answer, 400, "invalidSyntax")
}

fn malformed_filter(t: &mut Trial<'_>) -> Verdict {
    let path = format!("{}/.search", t.users());
    t.post(&path, &json!({"schemas": [SEARCH_REQUEST], "filter": "userName eq"}))?
        .refused_with(400, "invalidFilter")?;
    Ok(())
}

fn get(t: &mut Trial<'_>) -> Verdict {
    t.get(&format!("{}/.search", t.users()))?.is(405)?;
    Ok(())
}
