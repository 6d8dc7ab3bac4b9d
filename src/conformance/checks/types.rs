//! Data types and multi-valued attributes (RFC 7643 §2.3 and §2.4).

use serde_json::{Value, json};

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::server::Need::{Feature, Groups, User};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::{Stop, Verdict};

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Data types", checks: &[
    must(&["TYPE-01"], "7643 §2.3.1", "a string keeps every character", strings).needs(&[User("displayName")]),
    should(&["TYPE-01"], "7643 §2.3.1, 7644 §3.12", "a number is no string", number_for_string).needs(&[User("displayName")]),
    must(&["TYPE-02"], "7643 §2.3.2", "a boolean comes back as a boolean", booleans).needs(&[User("active")]),
    should(&["TYPE-02"], "7643 §2.3.2, 7644 §3.12", "a text is no boolean", text_for_boolean).needs(&[User("active")]),
    must(&["TYPE-05", "TYPE-09"], "7643 §2.3.5", "`meta` has dates with a date and a time", dates),
    must(&["TYPE-07", "TYPE-11"], "7643 §2.3.7", "a reference comes back with its case", references).needs(&[User("profileUrl")]),
    should(&["TYPE-08"], "7643 §2.3.8, 7644 §3.12", "a text is no complex value", text_for_complex).needs(&[User("name")]),
    must(&["TYPE-10"], "7643 §2.4, 7644 §3.8", "one element is an array all the same", one_element).needs(&[User("emails")]),
    must(&["TYPE-13"], "7643 §2.3.7", "`$ref` of a member leads to it", member_references).needs(&[Groups]),
    must(&["MV-01"], "7643 §2.4", "of two primary elements, one stays or none is taken", two_primaries).needs(&[User("emails")]),
    must(&["MV-02", "PATCH-16"], "7644 §3.5.2", "a PATCH that makes one element primary ends that of the other", next_primary).needs(&[User("emails"), Feature("patch")]),
    should(&["MV-03"], "7643 §2.4", "the same type and value is not shown twice", duplicates).needs(&[User("emails")]),
    must(&["MV-04"], "7643 §2.3.1", "a type that is not canonical is taken or refused, not changed", other_types).needs(&[User("emails")]),
    ours(&["MV-05"], "7643 §2.4", "elements keep their order", order).needs(&[User("emails")]),
] };

fn strings(t: &mut Trial<'_>) -> Verdict {
    let text = "Zoë 日本 \u{1f600} \"quoted\" \\ / \u{5e9}";
    let user = t.user(json!({ "displayName": text }))?;
    t.read(&user)?.has("/displayName", text)?;
    Ok(())
}

fn number_for_string(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({"displayName": 7}));
    let answer = t.post(&t.users(), &body)?;
    t.refused(&answer, 400, "invalidValue")
}

fn booleans(t: &mut Trial<'_>) -> Verdict {
    for active in [true, false] {
        let user = t.user(json!({ "active": active }))?;
        t.read(&user)?.has("/active", active)?;
    }
    Ok(())
}

fn text_for_boolean(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({"active": "perhaps"}));
    let answer = t.post(&t.users(), &body)?;
    t.refused(&answer, 400, "invalidValue")
}

fn dates(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    for pointer in ["/meta/created", "/meta/lastModified"] {
        let text = user.answer.text(pointer)?;
        let zoned = chrono::DateTime::parse_from_rfc3339(text).is_ok();
        let plain = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").is_ok();
        user.answer.holds(zoned || plain, format!("`{text}` at {pointer} is no xsd:dateTime"))?;
    }
    Ok(())
}

fn references(t: &mut Trial<'_>) -> Verdict {
    let url = "https://example.com/People/Mira?a=B";
    let user = t.user(json!({ "profileUrl": url }))?;
    t.read(&user)?.has("/profileUrl", url)?;
    Ok(())
}

fn text_for_complex(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({"name": "Mira Vogt"}));
    let answer = t.post(&t.users(), &body)?;
    t.refused(&answer, 400, "invalidValue")
}

fn one_element(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"emails": [{"value": "mira@example.com", "type": "work"}]}))?;
    let answer = t.read(&user)?;
    answer.holds(answer.array("/emails")?.len() == 1, "there is not one email")?;
    Ok(())
}

fn member_references(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let group = t.group(&[&user])?;
    let answer = t.read(&group)?;
    let Some(reference) = answer.at("/members/0/$ref").as_str().map(str::to_owned) else {
        return Err(Stop::NotApplicable("the server shows no `$ref` of members".to_owned()));
    };
    let target =
        if reference.contains("://") { reference } else { format!("/{}", reference.trim_start_matches(['.', '/'])) };
    t.get(&target)?.is(200)?.has("/id", user.id)?;
    Ok(())
}

fn primaries(answer: &Value) -> Vec<&Value> {
    let elements = answer.as_array().into_iter().flatten();
    elements.filter(|element| element["primary"] == true).map(|element| &element["value"]).collect()
}

fn two_primaries(t: &mut Trial<'_>) -> Verdict {
    let emails = json!([{"value": "a@example.com", "primary": true}, {"value": "b@example.com", "primary": true}]);
    let body = t.user_body(json!({ "emails": emails }));
    let answer = t.post(&t.users(), &body)?;
    if answer.is_one_of(&[201, 400])?.status == 400 {
        return Ok(());
    }
    let user = t.created(&t.users(), answer)?;
    let answer = t.read(&user)?;
    answer.holds(primaries(answer.at("/emails")).len() <= 1, "more than one email is primary")?;
    Ok(())
}

fn next_primary(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"emails": [
        {"value": "a@example.com", "type": "work", "primary": true}, {"value": "b@example.com", "type": "home"}]}))?;
    let operation = json!({"op": "replace", "path": "emails[type eq \"home\"].primary", "value": true});
    let answer = t.patched(&user, json!([operation]))?;
    let found = primaries(answer.at("/emails"));
    answer.holds(found == ["b@example.com"], format!("primary are {found:?} instead of b@example.com alone"))?;
    Ok(())
}

fn duplicates(t: &mut Trial<'_>) -> Verdict {
    let email = json!({"value": "a@example.com", "type": "work"});
    let body = t.user_body(json!({"emails": [email, email]}));
    let answer = t.post(&t.users(), &body)?;
    if answer.is_one_of(&[201, 400])?.status == 201 {
        answer.holds(answer.array("/emails")?.len() == 1, "an equal email is shown twice")?;
    }
    Ok(())
}

fn other_types(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({"emails": [{"value": "a@example.com", "type": "holiday"}]}));
    let answer = t.post(&t.users(), &body)?;
    if answer.is_one_of(&[201, 400])?.status == 201 {
        answer.has("/emails/0/type", "holiday")?;
    }
    Ok(())
}

fn order(t: &mut Trial<'_>) -> Verdict {
    let addresses = ["c@example.com", "a@example.com", "b@example.com"];
    let user = t.user(json!({"emails": addresses.map(|value| json!({"value": value, "type": "other"}))}))?;
    let answer = t.read(&user)?;
    let found: Vec<&Value> = answer.array("/emails")?.iter().map(|email| &email["value"]).collect();
    answer.holds(found == addresses, format!("the order became {found:?}"))?;
    Ok(())
}
