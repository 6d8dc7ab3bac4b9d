//! Pages by cursor (RFC 9865).

use serde_json::{Value, json};

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::exchange::Answer;
use crate::conformance::server::Need::{Cursors, Feature, User};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::{Stop, Verdict};

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Cursors", checks: &[
    must(&["CUR-01"], "9865 §2", "an empty cursor starts, and a page before the last has a nextCursor", first).needs(&[Cursors, Feature("filter"), User("userType")]),
    must(&["CUR-01", "CUR-11"], "9865 §2", "following nextCursor shows everybody once, and the last page has none", walk).needs(&[Cursors, Feature("filter"), User("userType")]),
    must(&["CUR-02"], "9865 §2", "a cursor is made of unreserved characters", characters).needs(&[Cursors, Feature("filter"), User("userType")]),
    must(&["CUR-03"], "9865 §2", "the first page has no previousCursor", no_previous).needs(&[Cursors, Feature("filter"), User("userType")]),
    must(&["CUR-03"], "9865 §2", "a previousCursor leads to the page before", previous).needs(&[Cursors, Feature("filter"), User("userType")]),
    ours(&["CUR-04"], "9865 §2", "a page by cursor has totalResults, and no startIndex", members).needs(&[Cursors, Feature("filter"), User("userType")]),
    should(&["CUR-05"], "9865 §2.1", "an unknown cursor is 400 `invalidCursor`", unknown).needs(&[Cursors]),
    should(&["CUR-07"], "9865 §2.1", "another count than before is 400 `invalidCount`, or it is taken", other_count).needs(&[Cursors, Feature("filter"), User("userType")]),
    ours(&["CUR-08"], "9865 §2.1", "a cursor of another filter is 400 `invalidCursor`", other_filter).needs(&[Cursors, Feature("filter"), User("userType")]),
    ours(&["CUR-11"], "9865 §1", "who was there throughout is shown once, though others come and go", changes).needs(&[Cursors, Feature("filter")]),
    should(&["CUR-12"], "9865 §2.2", "pages by cursor are sorted", sorted).needs(&[Cursors, Feature("sort"), Feature("filter"), User("userType")]),
    must(&["CUR-13"], "9865 §4", "without a parameter, the advertised method is used", default_method).needs(&[Cursors]),
    ours(&["CUR-14"], "9865 §2", "a cursor and a startIndex together are 400", both).needs(&[Cursors]),
    must(&["CUR-15", "SRCH-01"], "9865 §3", "a cursor works in .search, too", search).needs(&[Cursors]),
] };

/// The cursor to the next page; there must be one.
fn next(answer: &Answer) -> Verdict<String> {
    Ok(answer.text("/nextCursor")?.to_owned())
}

fn page(t: &mut Trial<'_>, cursor: &str, count: &str) -> Verdict<(Vec<&'static str>, Answer)> {
    t.people_in(&[("cursor", cursor), ("count", count)])
}

fn first(t: &mut Trial<'_>) -> Verdict {
    let (found, answer) = page(t, "", "2")?;
    answer.holds(found.len() == 2, format!("the first page of two has {found:?}"))?.text("/nextCursor")?;
    Ok(())
}

fn walk(t: &mut Trial<'_>) -> Verdict {
    let (mut seen, answer) = page(t, "", "2")?;
    let (rest, last) = page(t, &next(&answer)?, "2")?;
    seen.extend(rest);
    seen.sort_unstable();
    last.holds(seen == ["anna", "bo", "cleo", "dee"], format!("two pages of two show {seen:?}"))?;
    last.lacks("/nextCursor")?;
    Ok(())
}

fn characters(t: &mut Trial<'_>) -> Verdict {
    let (_, answer) = page(t, "", "2")?;
    let cursor = next(&answer)?;
    let is_unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    answer.holds(cursor.chars().all(is_unreserved), format!("`{cursor}` has other characters"))?;
    Ok(())
}

fn no_previous(t: &mut Trial<'_>) -> Verdict {
    page(t, "", "2")?.1.lacks("/previousCursor")?;
    Ok(())
}

fn previous(t: &mut Trial<'_>) -> Verdict {
    let (before, answer) = page(t, "", "2")?;
    let (_, second) = page(t, &next(&answer)?, "2")?;
    let Some(cursor) = second.at("/previousCursor").as_str().map(str::to_owned) else {
        return Err(Stop::NotApplicable("the server has no previousCursor".to_owned()));
    };
    let (found, back) = page(t, &cursor, "2")?;
    back.holds(found == before, format!("the page before shows {found:?} instead of {before:?}"))?;
    Ok(())
}

fn members(t: &mut Trial<'_>) -> Verdict {
    page(t, "", "2")?.1.has("/totalResults", 4)?.has("/itemsPerPage", 2)?.lacks("/startIndex")?;
    Ok(())
}

fn unknown(t: &mut Trial<'_>) -> Verdict {
    t.list(&t.users(), &[("cursor", "nobody-has-this-cursor"), ("count", "2")])?.refused_with(400, "invalidCursor")?;
    Ok(())
}

fn other_count(t: &mut Trial<'_>) -> Verdict {
    let (_, answer) = page(t, "", "2")?;
    let cursor = next(&answer)?;
    let filter = t.filter_of_people();
    let other = t.list(&t.users(), &[("filter", &filter), ("cursor", &cursor), ("count", "1")])?;
    match other.status {
        400 => other.refused_with(400, "invalidCount")?,
        _ => other.is(200)?,
    };
    Ok(())
}

fn other_filter(t: &mut Trial<'_>) -> Verdict {
    let (_, answer) = page(t, "", "2")?;
    let cursor = next(&answer)?;
    let other = t.list(&t.users(), &[("filter", "userName pr"), ("cursor", &cursor), ("count", "2")])?;
    other.refused_with(400, "invalidCursor")?;
    Ok(())
}

fn changes(t: &mut Trial<'_>) -> Verdict {
    let users = (0..4).map(|_| t.user(json!({}))).collect::<Verdict<Vec<_>>>()?;
    let filter = users.iter().map(|user| format!("id eq \"{}\"", user.id)).collect::<Vec<_>>().join(" or ");
    let (endpoint, page) = (t.users(), [("filter", filter.as_str()), ("count", "2")]);
    let first = t.list(&endpoint, &[&page[..], &[("cursor", "")]].concat())?;
    let mut seen: Vec<Value> = first.resources()?.iter().map(|user| user["id"].clone()).collect();
    let gone = users.iter().find(|user| seen.first() == Some(&json!(user.id)));
    if let Some(gone) = gone {
        t.delete(&gone.path)?.is(204)?;
    }
    let second = t.list(&endpoint, &[&page[..], &[("cursor", &next(&first)?)]].concat())?;
    seen.extend(second.resources()?.iter().map(|user| user["id"].clone()));
    let each_once = users.iter().all(|user| seen.iter().filter(|id| **id == user.id.as_str()).count() == 1);
    second.holds(each_once, "after a deletion between two pages, somebody is missing or shown twice")?;
    Ok(())
}

fn sorted(t: &mut Trial<'_>) -> Verdict {
    let sorted = [("sortBy", "userName"), ("sortOrder", "descending"), ("count", "2")];
    let (mut seen, answer) = t.people_in(&[&sorted[..], &[("cursor", "")]].concat())?;
    let cursor = next(&answer)?;
    let (rest, last) = t.people_in(&[&sorted[..], &[("cursor", &cursor)]].concat())?;
    seen.extend(rest);
    last.holds(seen == ["dee", "cleo", "bo", "anna"], format!("the order is {seen:?}"))?;
    Ok(())
}

fn default_method(t: &mut Trial<'_>) -> Verdict {
    let method = t.server.config["pagination"]["defaultPaginationMethod"].clone();
    for _ in 0..2 {
        t.user(json!({}))?;
    }
    let answer = t.list(&t.users(), &[("count", "1")])?;
    answer.is(200)?;
    match method.as_str() {
        Some("cursor") => answer.text("/nextCursor").map(drop),
        Some("index") => answer.lacks("/nextCursor").map(drop),
        _ => Ok(()),
    }
}

fn both(t: &mut Trial<'_>) -> Verdict {
    t.list(&t.users(), &[("cursor", ""), ("startIndex", "1"), ("count", "1")])?.is(400)?;
    Ok(())
}

fn search(t: &mut Trial<'_>) -> Verdict {
    for _ in 0..2 {
        t.user(json!({}))?;
    }
    let path = format!("{}/.search", t.users());
    let message = |cursor: &str| json!({"schemas": [super::search::SEARCH_REQUEST], "cursor": cursor, "count": 1});
    let first = t.post(&path, &message(""))?;
    let before = first.resources()?.first().cloned();
    let second = t.post(&path, &message(&next(&first)?))?;
    second.holds(second.resources()?.first() != before.as_ref(), "the next page is the first one")?;
    Ok(())
}
