//! `/Me` (RFC 7644 §3.11). Whoever the token belongs to is not ours, so it is only read.

use crate::conformance::check::{Section, may};
use crate::conformance::exchange::Answer;
use crate::conformance::trial::Trial;
use crate::conformance::verdict::{Stop, Verdict};

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "/Me", checks: &[
    may(&["ME-01"], "7644 §3.11", "/Me is a resource with its own location", location),
    may(&["ME-01"], "7644 §3.11", "the location of /Me leads to the same resource", same_resource),
    may(&["ME-02", "ERR-02"], "7644 §3.11", "without /Me, the answer is 404 or 501 with the body of an error", absent),
    may(&["ME-03"], "7644 §3.11", "/Me heeds `attributes`", attributes),
] };

/// The answer to `/Me`, where the token belongs to somebody.
fn me(t: &mut Trial<'_>, query: &str) -> Verdict<Answer> {
    let answer = t.get(&format!("/Me{query}"))?;
    match answer.status {
        200 => Ok(answer),
        // RFC 7644 §3.11 has a redirect as the other way, and this tool follows none.
        307 | 308 => Err(Stop::NotApplicable("the server redirects /Me".to_owned())),
        status => Err(Stop::NotApplicable(format!("the token belongs to nobody, or there is no /Me ({status})"))),
    }
}

fn location(t: &mut Trial<'_>) -> Verdict {
    let answer = me(t, "")?;
    let location = answer.find_header("Location").or(answer.find_header("Content-Location"));
    let is_permanent = location.is_some_and(|location| !location.ends_with("/Me"));
    answer.holds(is_permanent, "the answer has no Location other than /Me")?.text("/id")?;
    Ok(())
}

fn same_resource(t: &mut Trial<'_>) -> Verdict {
    let answer = me(t, "")?;
    let location = answer.text("/meta/location")?.to_owned();
    t.get(&location)?.is(200)?.has("/id", answer.at("/id").clone())?;
    Ok(())
}

fn absent(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get("/Me")?;
    if matches!(answer.status, 200 | 307 | 308) {
        return Err(Stop::NotApplicable("there is a /Me".to_owned()));
    }
    answer.is_one_of(&[403, 404, 501])?.is_error_body()?;
    Ok(())
}

fn attributes(t: &mut Trial<'_>) -> Verdict {
    let answer = me(t, "?attributes=userName")?;
    answer.lacks("/meta")?.text("/userName")?;
    Ok(())
}
