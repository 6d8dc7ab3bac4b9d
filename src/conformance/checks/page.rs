//! Lists and their pages by index (RFC 7644 §3.4.2 and §3.4.2.4).

use serde_json::json;

use crate::conformance::check::{Section, may, must, ours, should};
use crate::conformance::server::Need::{Feature, Groups, User};
use crate::conformance::trial::{Trial, with_query};
use crate::conformance::verdict::{Stop, Verdict};

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Lists and pages", checks: &[
    must(&["QRY-01"], "7644 §3.4.2", "a list is a ListResponse with totalResults", list),
    must(&["QRY-02"], "7644 §3.4.2", "a list without a match is 200 with totalResults 0", no_match).needs(&[Feature("filter")]),
    should(&["QRY-03"], "7644 §3.4.2", "unknown parameters are ignored", unknown_parameter),
    may(&["QRY-04"], "7644 §3.4.2.1", "the root is searched over all types", root).needs(&[Feature("filter")]),
    must(&["PAGE-01"], "7644 §3.4.2.4", "startIndex counts from 1, and less is 1", start_index).needs(&[Feature("filter"), User("userType")]),
    must(&["PAGE-02"], "7644 §3.4.2.4", "count=0 gives totalResults alone", count_of_zero).needs(&[Feature("filter"), User("userType")]),
    must(&["PAGE-02"], "7644 §3.4.2.4", "a negative count is 0", negative_count).needs(&[Feature("filter"), User("userType")]),
    must(&["PAGE-03", "PAGE-05"], "7644 §3.4.2.4", "a page has at most count resources, and itemsPerPage says how many", count).needs(&[Feature("filter"), User("userType")]),
    must(&["PAGE-05"], "7644 §3.4.2.4", "totalResults counts all matches, whatever the page", total).needs(&[Feature("filter"), User("userType")]),
    must(&["PAGE-05"], "7644 §3.4.2.4", "startIndex is answered", start_index_is_answered).needs(&[Feature("filter"), User("userType")]),
    must(&["PAGE-01", "SORT-06"], "7644 §3.4.2.4", "pages together have everybody once", walk).needs(&[Feature("filter"), User("userType")]),
    must(&["PAGE-06"], "7644 §3.4.2.4", "a page past the end is 200 and empty", past_the_end).needs(&[Feature("filter"), User("userType")]),
    ours(&["PAGE-06"], "7644 §3.12", "a count that is no number is 400 `invalidValue`", no_number),
    must(&["QRY-01"], "7644 §3.4.2", "groups are listed too", groups).needs(&[Groups]),
    must(&["QRY-07", "PROJ-01"], "7644 §3.9", "groups are listed without members on request", without_members).needs(&[Groups]),
] };

fn list(t: &mut Trial<'_>) -> Verdict {
    t.user(json!({}))?;
    let answer = t.get(&t.users())?;
    answer.holds(!answer.resources()?.is_empty(), "the list is empty, though there is a user")?;
    answer.holds(answer.integer("/totalResults")? >= 1, "totalResults is 0, though there is a user")?;
    Ok(())
}

fn no_match(t: &mut Trial<'_>) -> Verdict {
    let answer = t.list(&t.users(), &[("filter", "userName eq \"nobody has this name\"")])?;
    answer.holds(answer.resources()?.is_empty(), "somebody was found")?.has("/totalResults", 0)?;
    Ok(())
}

fn unknown_parameter(t: &mut Trial<'_>) -> Verdict {
    t.list(&t.users(), &[("nobodyDefinesThis", "1"), ("count", "1")])?.is(200)?;
    Ok(())
}

fn root(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.get(&with_query("/", &[("filter", &format!("id eq \"{}\"", user.id))]))?;
    if matches!(answer.status, 403 | 404 | 405 | 501) {
        return Err(Stop::NotApplicable(format!("the server does not search at the root ({})", answer.status)));
    }
    answer.has("/totalResults", 1)?.has("/Resources/0/id", user.id)?;
    Ok(())
}

fn start_index(t: &mut Trial<'_>) -> Verdict {
    let (first, _) = t.people_in(&[("startIndex", "1"), ("count", "2")])?;
    let (default, _) = t.people_in(&[("count", "2")])?;
    let (zero, answer) = t.people_in(&[("startIndex", "0"), ("count", "2")])?;
    answer.holds(first == default && first == zero, "0, 1 and no startIndex are different pages")?;
    Ok(())
}

fn count_of_zero(t: &mut Trial<'_>) -> Verdict {
    let (_, answer) = t.people_in(&[("count", "0")])?;
    answer.holds(answer.resources()?.is_empty(), "the page is not empty")?.has("/totalResults", 4)?;
    Ok(())
}

fn negative_count(t: &mut Trial<'_>) -> Verdict {
    let (_, answer) = t.people_in(&[("count", "-1")])?;
    answer.holds(answer.resources()?.is_empty(), "the page is not empty")?;
    Ok(())
}

fn count(t: &mut Trial<'_>) -> Verdict {
    let (_, answer) = t.people_in(&[("count", "3")])?;
    let found = answer.resources()?.len();
    answer.holds(found <= 3, format!("{found} resources, though count is 3"))?.has("/itemsPerPage", found)?;
    Ok(())
}

fn total(t: &mut Trial<'_>) -> Verdict {
    for page in [&[("count", "2")][..], &[("startIndex", "4"), ("count", "2")], &[]] {
        t.people_in(page)?.1.has("/totalResults", 4)?;
    }
    Ok(())
}

fn start_index_is_answered(t: &mut Trial<'_>) -> Verdict {
    t.people_in(&[("startIndex", "3"), ("count", "2")])?.1.has("/startIndex", 3)?;
    Ok(())
}

fn walk(t: &mut Trial<'_>) -> Verdict {
    let (mut seen, _) = t.people_in(&[("startIndex", "1"), ("count", "2")])?;
    let (rest, answer) = t.people_in(&[("startIndex", "3"), ("count", "2")])?;
    seen.extend(rest);
    seen.sort_unstable();
    answer.holds(seen == ["anna", "bo", "cleo", "dee"], format!("two pages of two show {seen:?}"))?;
    Ok(())
}

fn past_the_end(t: &mut Trial<'_>) -> Verdict {
    let (_, answer) = t.people_in(&[("startIndex", "1000")])?;
    answer.holds(answer.resources()?.is_empty(), "the page is not empty")?.has("/totalResults", 4)?;
    Ok(())
}

fn no_number(t: &mut Trial<'_>) -> Verdict {
    t.list(&t.users(), &[("count", "many")])?.refused_with(400, "invalidValue")?;
    Ok(())
}

fn groups(t: &mut Trial<'_>) -> Verdict {
    t.group(&[])?;
    let endpoint = t.groups()?;
    let answer = t.get(&endpoint)?;
    answer.holds(!answer.resources()?.is_empty(), "the list is empty, though there is a group")?;
    Ok(())
}

fn without_members(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.group(&[&user])?;
    let endpoint = t.groups()?;
    let answer = t.list(&endpoint, &[("excludedAttributes", "members")])?;
    let has_members = answer.resources()?.iter().any(|group| group.get("members").is_some());
    answer.holds(!has_members, "a group is shown with members")?;
    Ok(())
}
