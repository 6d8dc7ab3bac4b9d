//! The shape of every resource (RFC 7643 §2 and §3).

use serde_json::{Value, json};

use crate::conformance::check::{Section, may, must, ours, should};
use crate::conformance::exchange::Request;
use crate::conformance::server::Need::{Enterprise, Feature, User};
use crate::conformance::server::{ENTERPRISE, USER};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Resources", checks: &[
    must(&["RES-01"], "7643 §3", "`schemas` has the base schema, and none twice", schemas),
    must(&["RES-02", "ENT-03"], "7643 §3.3", "`schemas` names an extension that has values", extension_with_values).needs(&[Enterprise]),
    should(&["RES-02"], "7643 §3.3", "`schemas` names no extension without values", extension_without_values).needs(&[Enterprise]),
    must(&["RES-03"], "7643 §3.3", "attributes of an extension stand under its URN", extension_container).needs(&[Enterprise]),
    may(&["RES-03"], "7644 §3.10", "an attribute of the base schema may carry its URN", qualified_core).needs(&[User("displayName")]),
    must(&["RES-04"], "7643 §2.1", "names of attributes have no case", names_have_no_case).needs(&[User("displayName")]),
    ours(&["RES-05", "HTTP-04"], "8259 §4", "a key that stands twice is 400 `invalidSyntax`", twice),
    must(&["RES-06"], "7643 §3.1", "ids differ, stay, and are no `bulkId`", ids),
    must(&["RES-08"], "7643 §3.1", "`externalId` comes back as it was sent", external_id),
    must(&["RES-08"], "7643 §3.1", "two users may have one `externalId`", shared_external_id),
    must(&["RES-08"], "7643 §3.1", "`externalId` is not invented by the server", no_external_id),
    must(&["RES-08", "CHAR-09"], "7643 §3.1", "`externalId` is compared with case", external_id_has_case).needs(&[Feature("filter")]),
    must(&["RES-11"], "7643 §3.1", "`meta` has type, created, lastModified and location", meta),
    should(&["RES-11"], "7643 §3.1", "a new resource was last modified when it was created", created_is_modified),
    must(&["RES-12"], "7643 §3.1", "`meta.location` is the Location header, and Content-Location where there is one", location),
    must(&["RES-13", "VER-01"], "7643 §3.1", "`meta.version` is the ETag header", version).needs(&[Feature("etag")]),
    must(&["RES-14"], "7643 §2.5", "`null` and `[]` are as good as nothing", unassigned).needs(&[User("nickName"), User("emails")]),
    ours(&["RES-15"], "7643 §2.5", "nothing is shown as null", no_nulls),
    must(&["RES-17"], "8259 §4", "the order of members does not matter", any_order),
    must(&["RES-18"], "7644 §3.1", "an unknown attribute is ignored or refused, and not stored", unknown_attribute),
    should(&["RES-19"], "7643 §3", "a resource without `schemas` is refused", without_schemas),
    should(&["RES-19"], "7643 §3", "a resource of another schema is refused", wrong_schema),
] };

fn schemas(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.read(&user)?;
    let schemas = answer.array("/schemas")?;
    answer.holds(schemas.contains(&json!(USER)), format!("`schemas` lacks {USER}"))?;
    let is_twice = schemas.iter().any(|urn| schemas.iter().filter(|other| *other == urn).count() > 1);
    answer.holds(!is_twice, "`schemas` names a schema twice")?;
    Ok(())
}

fn extension_with_values(t: &mut Trial<'_>) -> Verdict {
    let user = t.employee(json!({"department": "Tours"}))?;
    let answer = t.read(&user)?;
    answer.holds(answer.array("/schemas")?.contains(&json!(ENTERPRISE)), "`schemas` lacks the extension")?;
    Ok(())
}

fn extension_without_values(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.read(&user)?;
    answer.holds(
        !answer.array("/schemas")?.contains(&json!(ENTERPRISE)),
        "`schemas` names an extension without values",
    )?;
    Ok(())
}

fn extension_container(t: &mut Trial<'_>) -> Verdict {
    let user = t.employee(json!({"department": "Tours"}))?;
    t.read(&user)?.has(&format!("/{ENTERPRISE}/department"), "Tours")?.lacks("/department")?;
    Ok(())
}

fn qualified_core(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({format!("{USER}:displayName"): "Mira"}))?;
    t.read(&user)?.has("/displayName", "Mira")?;
    Ok(())
}

fn names_have_no_case(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"DISPLAYNAME": "Mira"}))?;
    t.read(&user)?.has("/displayName", "Mira")?.lacks("/DISPLAYNAME")?;
    Ok(())
}

fn twice(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({})).to_string().replacen('{', "{\"displayName\": \"a\", \"displayName\": \"b\", ", 1);
    let request = Request::new("POST", t.users()).bytes("application/scim+json", body);
    t.send(&request)?.refused_with(400, "invalidSyntax")?;
    Ok(())
}

fn ids(t: &mut Trial<'_>) -> Verdict {
    let (first, second) = (t.user(json!({}))?, t.user(json!({}))?);
    first.answer.holds(first.id != second.id, "two users have one id")?;
    first.answer.holds(!first.id.contains("bulkId"), "the id contains `bulkId`")?;
    t.read(&first)?.has("/id", first.id)?;
    Ok(())
}

fn external_id(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"externalId": "Case-Counts"}))?;
    t.read(&user)?.has("/externalId", "Case-Counts")?;
    Ok(())
}

fn shared_external_id(t: &mut Trial<'_>) -> Verdict {
    let shared = json!({"externalId": format!("{}-shared", t.run())});
    t.user(shared.clone())?;
    t.user(shared)?;
    Ok(())
}

fn no_external_id(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    t.read(&user)?.lacks("/externalId")?;
    Ok(())
}

fn external_id_has_case(t: &mut Trial<'_>) -> Verdict {
    t.selects("externalId eq \"Ext-{run}\"", &["anna"])?;
    t.selects("externalId eq \"EXT-{run}\"", &[])
}

fn meta(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.read(&user)?;
    for part in ["resourceType", "created", "lastModified", "location"] {
        answer.text(&format!("/meta/{part}"))?;
    }
    Ok(())
}

fn created_is_modified(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    user.answer.has("/meta/lastModified", user.answer.at("/meta/created").clone())?;
    Ok(())
}

fn location(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    user.answer.has("/meta/location", user.answer.header("Location")?)?;
    for answer in [&user.answer, &t.read(&user)?] {
        let place = answer.find_header("Content-Location").unwrap_or_default();
        let is_it = place.is_empty() || answer.at("/meta/location") == place;
        answer.holds(is_it, format!("Content-Location is `{place}`"))?;
    }
    Ok(())
}

fn version(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let answer = t.read(&user)?;
    answer.has("/meta/version", answer.header("ETag")?)?;
    Ok(())
}

fn unassigned(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({"nickName": null, "emails": []}))?;
    t.read(&user)?.lacks("/nickName")?.lacks("/emails")?;
    Ok(())
}

fn no_nulls(t: &mut Trial<'_>) -> Verdict {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(elements) => elements.iter().any(has_null),
            Value::Object(members) => members.values().any(has_null),
            _ => false,
        }
    }
    let user = t.user(json!({"displayName": null}))?;
    let answer = t.read(&user)?;
    answer.holds(!has_null(answer.json()), "something is shown as null")?;
    Ok(())
}

fn any_order(t: &mut Trial<'_>) -> Verdict {
    let name = t.name();
    let body = t.user_body(json!({}));
    let mut members: Vec<(String, Value)> = body.as_object().cloned().unwrap_or_default().into_iter().collect();
    members.reverse();
    let mut turned = Value::Object(members.into_iter().collect());
    turned["userName"] = json!(name);
    t.create(&t.users(), &turned)?.answer.has("/userName", name)?;
    Ok(())
}

fn unknown_attribute(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({"nobodyDefinesThis": "x"}));
    let answer = t.post(&t.users(), &body)?;
    if answer.is_one_of(&[201, 400])?.status == 400 {
        return Ok(());
    }
    let user = t.created(&t.users(), answer)?;
    t.read(&user)?.lacks("/nobodyDefinesThis")?;
    Ok(())
}

fn without_schemas(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({"schemas": null}));
    let answer = t.post(&t.users(), &body)?;
    t.refused(&answer, 400, "invalidSyntax")
}

fn wrong_schema(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({"schemas": ["urn:example:nobody:has:this"]}));
    t.post(&t.users(), &body)?.is(400)?;
    Ok(())
}
