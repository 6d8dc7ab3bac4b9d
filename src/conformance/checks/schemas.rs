//! `/Schemas` (RFC 7643 §7 and §8.7, RFC 7644 §4).

use serde_json::{Value, json};

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::server::Need::Groups;
use crate::conformance::server::{GROUP, Server, USER};
use crate::conformance::trial::{Trial, encode};
use crate::conformance::verdict::{Stop, Verdict};

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Schemas", checks: &[
    must(&["DISC-10"], "7644 §4", "/Schemas is a list with the schema of users", schemas_are_listed),
    must(&["DISC-10"], "7644 §4", "each schema is found by its URN", schemas_are_found),
    should(&["DISC-10"], "7644 §4", "each schema is found by its URN, percent-encoded", encoded_urns),
    should(&["DISC-10"], "7643 §2.1", "the URN of a schema has no case", urns_have_no_case),
    must(&["DISC-10"], "7644 §4", "an unknown schema is 404", unknown_schema),
    must(&["DISC-09"], "7643 §6", "every schema that a resource type names is served", named_schemas_are_served),
    ours(&["DISC-11"], "7643 §7", "the schemas of the discovery objects are listed too", own_schemas),
    must(&["DISC-12"], "7644 §3.1", "no URN of a message is listed as a schema", no_messages),
    must(&["DISC-14"], "7643 §7", "attributes have a name and a type that RFC 7643 knows", types_are_known),
    must(&["DISC-14"], "7643 §7", "mutability, returned and uniqueness are the RFC's keywords", keywords_are_known),
    must(&["DISC-14"], "7643 §7", "only complex attributes have sub-attributes, and they have some", sub_attributes),
    should(&["DISC-14"], "7643 §2.3, §7", "referenceTypes stand at references, caseExact at what has case", only_what_applies),
    should(&["DISC-14"], "7643 §7", "no characteristic is null", nothing_is_null),
    must(&["DISC-15"], "7643 §2.3.8", "no sub-attribute is complex", no_nesting),
    must(&["DISC-13", "USR-01"], "7643 §4.1.1, §8.7.1", "userName is published as required, unique and without case", user_name),
    must(&["DISC-13"], "7643 §8.7.1", "attributes of users have the types of the RFC", types_of_users),
    must(&["DISC-13"], "7643 §4.2, §8.7.1", "attributes of groups have the types of the RFC", types_of_groups).needs(&[Groups]),
    must(&["DISC-13", "CHAR-04", "CHAR-08"], "7643 §4.1.1, §7", "a published password is writeOnly and never returned", password),
] };

fn schemas_are_listed(t: &mut Trial<'_>) -> Verdict {
    let answer = t.get("/Schemas")?;
    let has_users = answer.resources()?.iter().any(|schema| schema["id"] == USER);
    answer.holds(has_users, format!("the list lacks {USER}"))?;
    Ok(())
}

fn ids(t: &Trial<'_>) -> Vec<String> {
    t.server.schemas.iter().filter_map(|schema| schema["id"].as_str().map(str::to_owned)).collect()
}

fn schemas_are_found(t: &mut Trial<'_>) -> Verdict {
    for id in ids(t) {
        t.get(&format!("/Schemas/{id}"))?.is(200)?.has("/id", id)?;
    }
    Ok(())
}

fn encoded_urns(t: &mut Trial<'_>) -> Verdict {
    t.get(&format!("/Schemas/{}", encode(USER)))?.is(200)?.has("/id", USER)?;
    Ok(())
}

fn urns_have_no_case(t: &mut Trial<'_>) -> Verdict {
    t.get(&format!("/Schemas/{}", USER.to_uppercase()))?.is(200)?.has("/id", USER)?;
    Ok(())
}

fn unknown_schema(t: &mut Trial<'_>) -> Verdict {
    t.get("/Schemas/urn:example:nobody:has:this")?.is(404)?;
    Ok(())
}

fn named_schemas_are_served(t: &mut Trial<'_>) -> Verdict {
    for resource_type in t.server.resource_types.clone() {
        let extensions = resource_type["schemaExtensions"].as_array().into_iter().flatten();
        let named = [&resource_type["schema"]].into_iter().chain(extensions.map(|extension| &extension["schema"]));
        for urn in named.filter_map(Value::as_str) {
            t.get(&format!("/Schemas/{urn}"))?.is(200)?.has("/id", urn)?;
        }
    }
    Ok(())
}

fn own_schemas(t: &mut Trial<'_>) -> Verdict {
    for name in ["ServiceProviderConfig", "ResourceType", "Schema"] {
        let urn = format!("urn:ietf:params:scim:schemas:core:2.0:{name}");
        if t.server.schema(&urn).is_none() {
            return Err(Stop::fail(format!("the list lacks {urn}")));
        }
    }
    Ok(())
}

fn no_messages(t: &mut Trial<'_>) -> Verdict {
    match ids(t).into_iter().find(|id| id.to_ascii_lowercase().contains(":api:messages:")) {
        Some(id) => Err(Stop::fail(format!("{id} is no schema of a resource"))),
        None => Ok(()),
    }
}

/// Asks each published attribute and sub-attribute; a complaint of it fails the check.
fn each_attribute(server: &Server, complaint: impl Fn(&Value, bool) -> Option<String>) -> Verdict {
    if server.schemas.is_empty() {
        return Err(Stop::Skip("the server publishes no schemas".to_owned()));
    }
    for schema in &server.schemas {
        for attribute in schema["attributes"].as_array().into_iter().flatten() {
            let parts = attribute["subAttributes"].as_array().into_iter().flatten();
            let all = [(attribute, false)].into_iter().chain(parts.map(|part| (part, true)));
            for (one, is_part) in all {
                if let Some(complaint) = complaint(one, is_part) {
                    let whole = if is_part { format!("{}.", attribute["name"]) } else { String::new() };
                    return Err(Stop::fail(format!("{}: {whole}{} {complaint}", schema["id"], one["name"])));
                }
            }
        }
    }
    Ok(())
}

/// Complains of a keyword that is there and is none of these.
fn unknown_keyword(attribute: &Value, name: &str, known: &[&str]) -> Option<String> {
    let found = attribute.get(name)?;
    let is_known = found.as_str().is_some_and(|found| known.contains(&found));
    (!is_known).then(|| format!("has `{name}` {found}, which is none of {}", known.join(", ")))
}

fn types_are_known(t: &mut Trial<'_>) -> Verdict {
    const TYPES: [&str; 8] = ["string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"];
    each_attribute(t.server, |attribute, _| match (attribute["name"].as_str(), attribute.get("type")) {
        (None, _) => Some("has no name".to_owned()),
        (_, None) => Some("has no type".to_owned()),
        _ => unknown_keyword(attribute, "type", &TYPES),
    })
}

fn keywords_are_known(t: &mut Trial<'_>) -> Verdict {
    each_attribute(t.server, |attribute, _| {
        unknown_keyword(attribute, "mutability", &["readOnly", "readWrite", "immutable", "writeOnly"])
            .or_else(|| unknown_keyword(attribute, "returned", &["always", "never", "default", "request"]))
            .or_else(|| unknown_keyword(attribute, "uniqueness", &["none", "server", "global"]))
    })
}

fn sub_attributes(t: &mut Trial<'_>) -> Verdict {
    each_attribute(t.server, |attribute, _| {
        let parts = attribute["subAttributes"].as_array().is_some_and(|parts| !parts.is_empty());
        match (attribute["type"] == "complex", parts) {
            (true, false) => Some("is complex and has no sub-attributes".to_owned()),
            (false, true) => Some("has sub-attributes and is not complex".to_owned()),
            _ => None,
        }
    })
}

fn only_what_applies(t: &mut Trial<'_>) -> Verdict {
    each_attribute(t.server, |attribute, _| {
        let kind = attribute["type"].as_str().unwrap_or_default();
        let surplus = |name: &str| attribute.get(name).is_some().then(|| format!("is {kind} and has `{name}`"));
        match kind {
            "reference" => attribute.get("referenceTypes").is_none().then(|| "has no referenceTypes".to_owned()),
            "boolean" | "complex" => surplus("caseExact").or_else(|| surplus("referenceTypes")),
            _ => surplus("referenceTypes"),
        }
    })
}

fn nothing_is_null(t: &mut Trial<'_>) -> Verdict {
    each_attribute(t.server, |attribute, _| {
        let null = attribute.as_object()?.iter().find(|(_, value)| value.is_null());
        null.map(|(name, _)| format!("has a null `{name}`"))
    })
}

fn no_nesting(t: &mut Trial<'_>) -> Verdict {
    each_attribute(t.server, |attribute, is_part| {
        (is_part && attribute["type"] == "complex").then(|| "is a complex sub-attribute".to_owned())
    })
}

/// A published attribute of a schema.
fn attribute(t: &Trial<'_>, urn: &str, name: &str) -> Verdict<Value> {
    let found = t.server.attributes(urn).find(|attribute| attribute["name"] == name);
    found.cloned().ok_or_else(|| Stop::fail(format!("the schema {urn} lacks `{name}`")))
}

fn user_name(t: &mut Trial<'_>) -> Verdict {
    let attribute = attribute(t, USER, "userName")?;
    let is_unique = attribute["uniqueness"] == "server" || attribute["uniqueness"] == "global";
    match attribute["required"] == true && is_unique && attribute["caseExact"] != true {
        true => Ok(()),
        false => Err(Stop::fail(format!("userName is published as {attribute}"))),
    }
}

/// Attributes that are there have these types, and are multi-valued or not.
fn have_types(t: &Trial<'_>, urn: &str, expected: &[(&str, &str, bool)]) -> Verdict {
    if t.server.schema(urn).is_none() {
        return Err(Stop::Skip(format!("the server does not publish {urn}")));
    }
    for (name, kind, multi_valued) in expected {
        let Some(attribute) = t.server.attributes(urn).find(|attribute| attribute["name"] == *name) else { continue };
        let has_many = attribute["multiValued"] == true;
        if attribute["type"] != *kind || has_many != *multi_valued {
            let found = json!([attribute["type"], attribute["multiValued"]]);
            return Err(Stop::fail(format!("{name} has type and multiValued {found}, not {kind} and {multi_valued}")));
        }
    }
    Ok(())
}

fn types_of_users(t: &mut Trial<'_>) -> Verdict {
    let one = |name, kind| (name, kind, false);
    let many = |name| (name, "complex", true);
    let singular = [
        one("userName", "string"),
        one("name", "complex"),
        one("displayName", "string"),
        one("active", "boolean"),
        one("title", "string"),
        one("profileUrl", "reference"),
        one("locale", "string"),
    ];
    let multiple =
        ["emails", "phoneNumbers", "ims", "photos", "addresses", "groups", "entitlements", "roles"].map(many);
    have_types(t, USER, &[&singular[..], &multiple].concat())
}

fn types_of_groups(t: &mut Trial<'_>) -> Verdict {
    have_types(t, GROUP, &[("displayName", "string", false), ("members", "complex", true)])
}

fn password(t: &mut Trial<'_>) -> Verdict {
    let Some(attribute) = t.server.attributes(USER).find(|attribute| attribute["name"] == "password") else {
        return Err(Stop::NotApplicable("users have no password".to_owned()));
    };
    match attribute["mutability"] == "writeOnly" && attribute["returned"] == "never" {
        true => Ok(()),
        false => Err(Stop::fail(format!("password is published as {attribute}"))),
    }
}
