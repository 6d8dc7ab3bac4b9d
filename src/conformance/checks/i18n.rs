//! Names and texts of the world (RFC 7644 §5 and §7.8, RFC 8265).

use serde_json::json;

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::server::Need::{Feature, User};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Internationalisation", checks: &[
    must(&["I18N-04", "TYPE-01"], "7643 §2.3.1", "names of all scripts come back as they were sent", scripts).needs(&[User("name")]),
    must(&["I18N-01"], "7644 §5", "a userName keeps its spelling", spelling),
    should(&["I18N-01", "USR-02"], "7644 §5, 8265 §3.3", "a userName with other letters is compared without case", case_of_other_letters),
    should(&["I18N-01"], "7644 §5, 8265 §3.3", "composed and decomposed accents are one userName", accents),
    should(&["I18N-01"], "7644 §5, 8265 §3.3", "full-width letters are those of the userName", width),
    should(&["I18N-03"], "7644 §5, 8265 §3.3", "a control character in a userName is refused", control_character),
    ours(&["I18N-02"], "7644 §3.4.2.2", "`STRASSE` finds `straße`", folding).needs(&[Feature("filter"), User("displayName")]),
    must(&["I18N-04", "FLT-07"], "7644 §3.4.2.2", "a filter finds letters beyond ASCII", filter).needs(&[Feature("filter"), User("name")]),
] };

fn scripts(t: &mut Trial<'_>) -> Verdict {
    for name in
        ["Zoë", "Νίκος", "Ирина", "李小龍", "أمل", "ישראל", "नेहा", "\u{1f469}\u{200d}\u{1f680}", "\u{20bb7}野家"]
    {
        let user = t.user(json!({"name": {"familyName": name}}))?;
        t.read(&user)?.has("/name/familyName", name)?;
    }
    Ok(())
}

/// Two users of these names, each beside what is unique to this run: the second one is 409.
fn are_one(t: &mut Trial<'_>, first: &str, second: &str) -> Verdict {
    let name = t.name();
    let mut body = t.user_body(json!({"userName": format!("{first}.{name}")}));
    t.create(&t.users(), &body)?;
    body["userName"] = json!(format!("{second}.{name}"));
    t.post(&t.users(), &body)?.is(409)?;
    Ok(())
}

fn spelling(t: &mut Trial<'_>) -> Verdict {
    let name = format!("Mira.ÄÖ-{}", t.name());
    t.user(json!({ "userName": name }))?.answer.has("/userName", name)?;
    Ok(())
}

fn case_of_other_letters(t: &mut Trial<'_>) -> Verdict {
    are_one(t, "jürgen.ИРИНА", "JÜRGEN.ирина")
}

fn accents(t: &mut Trial<'_>) -> Verdict {
    are_one(t, "jos\u{e9}", "jose\u{301}")
}

fn width(t: &mut Trial<'_>) -> Verdict {
    are_one(t, "mira", "\u{ff4d}\u{ff49}\u{ff52}\u{ff41}")
}

fn control_character(t: &mut Trial<'_>) -> Verdict {
    let name = format!("mi\u{7}ra-{}", t.name());
    let body = t.user_body(json!({ "userName": name }));
    let answer = t.post(&t.users(), &body)?;
    t.refused(&answer, 400, "invalidValue")
}

fn folding(t: &mut Trial<'_>) -> Verdict {
    let text = format!("straße {}", t.name());
    let user = t.user(json!({ "displayName": text }))?;
    let filter = format!("displayName eq \"{}\"", text.replace('ß', "ss").to_uppercase());
    t.list(&t.users(), &[("filter", &filter)])?.has("/Resources/0/id", user.id)?;
    Ok(())
}

fn filter(t: &mut Trial<'_>) -> Verdict {
    t.selects("name.familyName eq \"ångström {run}\"", &["cleo"])
}
