//! The parameters of requests: in the path, behind the `?`, and in headers.

use serde_json::{Map, Value, json};

use crate::scim::query::{DEFAULT_COUNT, MAX_COUNT};

/// What a query may say (RFC 7644 §3.4.2, RFC 9865 §2). The same names stand in a URL and in a search request.
pub(super) fn of_queries() -> Vec<&'static str> {
    let names = ["filter", "sortBy", "sortOrder", "startIndex", "count", "cursor"];
    names.into_iter().chain(PROJECTION).collect()
}

/// What of a resource to show (RFC 7644 §3.9).
pub(super) const PROJECTION: [&str; 2] = ["attributes", "excludedAttributes"];

/// Every parameter but those in paths, by name.
pub(super) fn components() -> Map<String, Value> {
    let in_query = of_queries().into_iter().map(|name| {
        let (description, schema) = query(name);
        let mut parameter = json!({"name": name, "in": "query", "description": description, "schema": schema});
        if PROJECTION.contains(&name) {
            // A comma list.
            parameter["style"] = json!("form");
            parameter["explode"] = json!(false);
        }
        (name.to_owned(), parameter)
    });
    let headers = [
        ("If-Match", "Do it only if the resource has one of these versions, or any for `*`.", r#"W/"3""#),
        ("If-None-Match", "Answer 304 if the resource still has this version.", r#"W/"3""#),
        (
            "Prefer",
            "`return=minimal` asks for no body after a PATCH, `return=representation` for the resources after a bulk \
             request (RFC 7240).",
            "return=minimal",
        ),
    ];
    let headers = headers.map(|(name, description, example)| {
        let schema = json!({"type": "string", "examples": [example]});
        (name.to_owned(), json!({"name": name, "in": "header", "description": description, "schema": schema}))
    });
    in_query.chain(headers).collect()
}

/// The parameters of that name.
pub(super) fn references(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")})).collect()
}

/// The properties that a search request has in common with a query in a URL.
pub(super) fn in_search_request() -> impl Iterator<Item = (String, Value)> {
    of_queries().into_iter().map(|name| {
        let (description, mut schema) = query(name);
        schema["description"] = json!(description);
        (name.to_owned(), schema)
    })
}

fn query(name: &str) -> (String, Value) {
    let (description, schema) = match name {
        "filter" => (
            "Which resources to find (RFC 7644 §3.4.2.2).",
            json!({"type": "string", "examples": [
                r#"userName eq "bjensen""#,
                r#"emails[type eq "work" and value co "@example.com"]"#,
            ]}),
        ),
        "sortBy" => ("The attribute to sort by.", json!({"type": "string", "examples": ["userName"]})),
        "sortOrder" => (
            "In which direction to sort.",
            json!({"type": "string", "enum": ["ascending", "descending"], "default": "ascending"}),
        ),
        "startIndex" => (
            "The position of the first resource of the page, from 1; less means 1.",
            json!({"type": "integer", "default": 1}),
        ),
        "count" => {
            let description = format!("The most resources of the page; more than {MAX_COUNT} means {MAX_COUNT}.");
            return (description, json!({"type": "integer", "default": DEFAULT_COUNT}));
        }
        "cursor" => (
            "The page to answer, as a page before it named it; empty for the first (RFC 9865).",
            json!({"type": "string"}),
        ),
        "attributes" => ("Show these attributes alone, and what is always shown.", names()),
        "excludedAttributes" => ("Show all but these attributes. Not together with `attributes`.", names()),
        _ => unreachable!("{name} is no parameter of a query"),
    };
    (description.to_owned(), schema)
}

fn names() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

/// The variable segments of a path.
pub(super) fn in_path(path: &str) -> Vec<Value> {
    let variables = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name| {
        let (description, example) = match name {
            "id" => ("The `id` of the resource.", "2819c223-7f76-453a-919d-413861904646"),
            "urn" => ("The URN of the schema.", "urn:ietf:params:scim:schemas:core:2.0:User"),
            _ => ("The name of the resource type.", "User"),
        };
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": description,
            "schema": {"type": "string", "minLength": 1, "examples": [example]},
        })
    };
    variables.map(parameter).collect()
}
