//! Attributes behave as `/Schemas` says (RFC 7643 §2.2 and §7): whatever a server publishes is put to the test.

use serde_json::{Map, Value, json};

use crate::conformance::check::{Section, must};
use crate::conformance::sample;
use crate::conformance::server::Need::{Enterprise, Groups};
use crate::conformance::server::{ENTERPRISE, GROUP, USER};
use crate::conformance::trial::{PATCH_OP, Trial};
use crate::conformance::verdict::{Stop, Verdict};

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Characteristics as published", checks: &[
    must(&["DISC-13"], "7643 §7", "every simple attribute of users that is readWrite comes back", simple_attributes),
    must(&["DISC-13"], "7643 §7", "every complex attribute of users that is readWrite comes back", complex_attributes),
    must(&["DISC-13"], "7643 §7", "every list of users that is readWrite comes back", lists),
    must(&["DISC-13"], "7643 §7", "every attribute of the enterprise extension that is readWrite comes back", enterprise).needs(&[Enterprise]),
    must(&["DISC-13", "PUT-03"], "7643 §7", "every simple attribute of users can be replaced with PUT", replaced),
    must(&["DISC-13", "PATCH-P2"], "7643 §7", "every simple attribute of users can be replaced with PATCH", patched),
    must(&["CHAR-01", "USR-01"], "7643 §7", "a user without what is required is refused", required_of_users),
    must(&["CHAR-01", "GRP-01"], "7643 §7", "a group without what is required is refused", required_of_groups).needs(&[Groups]),
    must(&["CHAR-02", "CRE-02"], "7643 §7", "what is readOnly is ignored in POST", read_only_in_post),
    must(&["CHAR-02", "PUT-05"], "7643 §7", "what is readOnly is ignored in PUT", read_only_in_put),
    must(&["CHAR-02", "PATCH-11"], "7644 §3.5.2", "what is readOnly is 400 `mutability` in PATCH", read_only_in_patch),
    must(&["CHAR-05", "PROJ-04"], "7643 §7", "what is returned always cannot be excluded", returned_always),
    must(&["CHAR-07"], "7643 §7", "what is returned on request is not shown without", returned_on_request),
    must(&["CHAR-04", "CHAR-08", "PROJ-04"], "7643 §7", "what is never returned is not shown, not even on request", returned_never),
] };

fn of_users(t: &Trial<'_>) -> Verdict<Vec<Value>> {
    published(t, USER)
}

fn published(t: &Trial<'_>, urn: &str) -> Verdict<Vec<Value>> {
    let attributes: Vec<Value> = t.server.attributes(urn).filter(|one| one["name"].is_string()).cloned().collect();
    if attributes.is_empty() { Err(Stop::Skip(format!("the server does not publish {urn}"))) } else { Ok(attributes) }
}

/// Those that a client may set freely. Passwords, certificates and names have rules of their own.
fn settable(attributes: Vec<Value>) -> impl Iterator<Item = Value> {
    const SPECIAL: [&str; 5] = ["userName", "password", "x509Certificates", "id", "externalId"];
    let is_special = |one: &Value| one["name"].as_str().is_some_and(|name| SPECIAL.contains(&name));
    attributes.into_iter().filter(move |one| sample::is_plain(one) && one["uniqueness"] != "server" && !is_special(one))
}

fn is_simple(attribute: &Value) -> bool {
    attribute["type"] != "complex" && attribute["multiValued"] != true && attribute["type"] != "binary"
}

fn samples(t: &Trial<'_>, attributes: impl Iterator<Item = Value>) -> Map<String, Value> {
    let pairs = attributes.filter_map(|one| Some((one["name"].as_str()?.to_owned(), sample::of(&one, t.run()))));
    pairs.collect()
}

/// Creates a user with these values, which must all be there afterwards.
fn come_back(t: &mut Trial<'_>, values: Map<String, Value>) -> Verdict {
    if values.is_empty() {
        return Err(Stop::NotApplicable("no such attribute is published".to_owned()));
    }
    let user = t.user(Value::Object(values.clone()))?;
    let answer = t.read(&user)?;
    let lost: Vec<&String> =
        values.iter().filter(|(name, value)| !contains(&answer.json()[*name], value)).map(|(name, _)| name).collect();
    answer.holds(lost.is_empty(), format!("these did not come back as they were sent: {lost:?}"))?;
    Ok(())
}

/// What was sent is there; the server may add parts of its own.
fn contains(found: &Value, sent: &Value) -> bool {
    match (found, sent) {
        (Value::Object(found), Value::Object(sent)) => {
            sent.iter().all(|(name, value)| found.get(name).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(found), Value::Array(sent)) => {
            sent.iter().all(|value| found.iter().any(|found| contains(found, value)))
        }
        _ => found == sent,
    }
}

fn simple_attributes(t: &mut Trial<'_>) -> Verdict {
    let values = samples(t, settable(of_users(t)?).filter(is_simple));
    come_back(t, values)
}

fn complex_attributes(t: &mut Trial<'_>) -> Verdict {
    let values =
        samples(t, settable(of_users(t)?).filter(|one| one["type"] == "complex" && one["multiValued"] != true));
    come_back(t, values)
}

fn lists(t: &mut Trial<'_>) -> Verdict {
    let mut values = samples(t, settable(of_users(t)?).filter(|one| one["multiValued"] == true));
    // A telephone number is RFC 3966, a photo is a URL.
    for (name, value) in [("phoneNumbers", "+1-555-0100"), ("photos", "https://example.com/photo")] {
        if let Some(part) = values.get_mut(name).and_then(|list| list[0].get_mut("value")) {
            *part = json!(value);
        }
    }
    come_back(t, values)
}

fn enterprise(t: &mut Trial<'_>) -> Verdict {
    let values =
        samples(t, published(t, ENTERPRISE)?.into_iter().filter(|one| sample::is_plain(one) && is_simple(one)));
    let values = json!({ ENTERPRISE: values });
    come_back(t, values.as_object().cloned().unwrap_or_default())
}

/// Another value than the sample.
fn other(attribute: &Value, t: &Trial<'_>) -> Value {
    match sample::of(attribute, t.run()) {
        Value::Bool(value) => json!(!value),
        Value::String(_) if attribute["type"] == "string" => match attribute["name"].as_str() {
            Some("locale" | "preferredLanguage") => json!("de-DE"),
            Some("timezone") => json!("America/New_York"),
            _ => json!("another value"),
        },
        Value::String(_) if attribute["type"] == "reference" => json!("https://example.com/another"),
        value => value,
    }
}

fn others(t: &Trial<'_>) -> Verdict<Map<String, Value>> {
    let simple = settable(of_users(t)?).filter(is_simple).filter(|one| !one["canonicalValues"].is_array());
    Ok(simple.filter_map(|one| Some((one["name"].as_str()?.to_owned(), other(&one, t)))).collect())
}

fn replaced(t: &mut Trial<'_>) -> Verdict {
    let (before, after) = (samples(t, settable(of_users(t)?).filter(is_simple)), others(t)?);
    let user = t.user(Value::Object(before))?;
    let mut body = t.user_body(Value::Object(after.clone()));
    body["userName"] = user.answer.at("/userName").clone();
    t.put(&user.path, &body)?.is(200)?;
    let answer = t.read(&user)?;
    let lost: Vec<&String> =
        after.iter().filter(|(name, value)| answer.json()[*name] != **value).map(|(name, _)| name).collect();
    answer.holds(lost.is_empty(), format!("these were not replaced: {lost:?}"))?;
    Ok(())
}

fn patched(t: &mut Trial<'_>) -> Verdict {
    let (before, after) = (samples(t, settable(of_users(t)?).filter(is_simple)), others(t)?);
    let user = t.user(Value::Object(before))?;
    let operations: Vec<Value> =
        after.iter().map(|(name, value)| json!({"op": "replace", "path": name, "value": value})).collect();
    let answer = t.patched(&user, json!(operations))?;
    let lost: Vec<&String> =
        after.iter().filter(|(name, value)| answer.json()[*name] != **value).map(|(name, _)| name).collect();
    answer.holds(lost.is_empty(), format!("these were not replaced: {lost:?}"))?;
    Ok(())
}

fn without_each_required(t: &mut Trial<'_>, urn: &str, endpoint: &str, body: &Value) -> Verdict {
    let attributes = published(t, urn)?;
    for name in attributes.iter().filter(|one| one["required"] == true && one["mutability"] != "readOnly") {
        let mut body = body.clone();
        if let (Some(body), Some(name)) = (body.as_object_mut(), name["name"].as_str()) {
            body.shift_remove(name);
        }
        let answer = t.post(endpoint, &body)?;
        t.refused(&answer, 400, "invalidValue")?;
    }
    Ok(())
}

fn required_of_users(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(json!({}));
    without_each_required(t, USER, &t.users(), &body)
}

fn required_of_groups(t: &mut Trial<'_>) -> Verdict {
    let (endpoint, body) = (t.groups()?, t.group_body(&[]));
    without_each_required(t, GROUP, &endpoint, &body)
}

/// The readOnly attributes of users with samples that no server would choose.
fn read_only(t: &Trial<'_>) -> Verdict<Map<String, Value>> {
    let mut samples = samples(
        t,
        of_users(t)?.into_iter().filter(|one| one["mutability"] == "readOnly" && one["returned"] != "never"),
    );
    for common in ["id", "meta", "schemas"] {
        samples.shift_remove(common);
    }
    if samples.contains_key("groups") {
        samples.insert("groups".to_owned(), json!([{"value": "chosen-by-the-client"}]));
    }
    if samples.is_empty() {
        Err(Stop::NotApplicable("no readOnly attribute is published".to_owned()))
    } else {
        Ok(samples)
    }
}

fn read_only_in_post(t: &mut Trial<'_>) -> Verdict {
    let samples = read_only(t)?;
    let user = t.user(Value::Object(samples.clone()))?;
    let answer = t.read(&user)?;
    let taken: Vec<&String> =
        samples.iter().filter(|(name, value)| answer.json()[*name] == **value).map(|(name, _)| name).collect();
    answer.holds(taken.is_empty(), format!("these are readOnly and were taken: {taken:?}"))?;
    Ok(())
}

fn read_only_in_put(t: &mut Trial<'_>) -> Verdict {
    let (samples, user) = (read_only(t)?, t.user(json!({}))?);
    let mut body = t.user_body(Value::Object(samples.clone()));
    body["userName"] = user.answer.at("/userName").clone();
    t.put(&user.path, &body)?.is(200)?;
    let answer = t.read(&user)?;
    let taken: Vec<&String> =
        samples.iter().filter(|(name, value)| answer.json()[*name] == **value).map(|(name, _)| name).collect();
    answer.holds(taken.is_empty(), format!("these are readOnly and were taken: {taken:?}"))?;
    Ok(())
}

fn read_only_in_patch(t: &mut Trial<'_>) -> Verdict {
    let (samples, user) = (read_only(t)?, t.user(json!({}))?);
    for (name, value) in samples {
        let operations = json!([{"op": "replace", "path": name, "value": value}]);
        t.patch(&user.path, operations)?.refused_with(400, "mutability")?;
    }
    Ok(())
}

fn returned_always(t: &mut Trial<'_>) -> Verdict {
    let always: Vec<String> = of_users(t)?
        .iter()
        .filter(|one| one["returned"] == "always")
        .filter_map(|one| one["name"].as_str().map(str::to_owned))
        .collect();
    let user = t.user(json!({}))?;
    let answer = t.get(&format!("{}?excludedAttributes=id,{}", user.path, always.join(",")))?;
    answer.is(200)?.has("/id", user.id)?;
    for name in always.iter().filter(|name| !user.answer.json()[name.as_str()].is_null()) {
        answer.present(&format!("/{name}"))?;
    }
    Ok(())
}

fn returned_on_request(t: &mut Trial<'_>) -> Verdict {
    let attributes = of_users(t)?;
    let on_request = attributes.iter().find(|one| one["returned"] == "request" && one["mutability"] == "readWrite");
    let Some(attribute) = on_request else {
        return Err(Stop::NotApplicable("no attribute of users is returned on request".to_owned()));
    };
    let name = attribute["name"].as_str().unwrap_or_default();
    let user = t.user(json!({ name: sample::of(attribute, t.run()) }))?;
    t.read(&user)?.lacks(&format!("/{name}"))?;
    t.get(&format!("{}?attributes={name}", user.path))?.present(&format!("/{name}"))?;
    Ok(())
}

fn returned_never(t: &mut Trial<'_>) -> Verdict {
    let attributes = of_users(t)?;
    let never = attributes.iter().filter(|one| one["returned"] == "never");
    let names: Vec<&str> = never.filter_map(|one| one["name"].as_str()).collect();
    let Some(name) = names.first() else {
        return Err(Stop::NotApplicable("no attribute of users is returned never".to_owned()));
    };
    let secret = if *name == "password" { "Ex4mple-Secret-Of-A-Test!" } else { "secret-of-a-test" };
    let user = t.user(json!({ *name: secret }))?;
    user.answer.lacks(&format!("/{name}"))?;
    t.read(&user)?.lacks(&format!("/{name}"))?;
    let message = json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": name, "value": secret}]});
    let request = crate::conformance::exchange::Request::new("PATCH", format!("{}?attributes={name}", user.path));
    t.send(&request.json(&message))?.lacks(&format!("/{name}"))?;
    let asked = t.get(&format!("{}?attributes={name}", user.path))?;
    asked.lacks(&format!("/{name}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_found_among_what_the_server_adds() {
        let found = json!([{"value": "a", "display": "A"}, {"value": "b"}]);
        assert!(contains(&found, &json!([{"value": "b"}, {"value": "a"}])));
        assert!(!contains(&found, &json!([{"value": "c"}])));
        assert!(!contains(&json!(null), &json!("a")));
    }
}
