//! The test type: one attribute for every legal combination of type, multiValued, mutability, returned, caseExact and
//! uniqueness, so that no rule is tested through `userName` alone (CHAR-14). It is a file as an operator writes one.

use scimd::scim::schema::{Registry, SchemaFile};
use serde_json::{Value, json};

/// The base schema.
pub const TEST: &str = "urn:example:params:scim:schemas:Test";
/// An extension that every resource has.
pub const REQUIRED: &str = "urn:example:params:scim:schemas:extension:Required";
/// An extension that a resource may have.
pub const OPTIONAL: &str = "urn:example:params:scim:schemas:extension:2.0:Optional";

/// The registry with the test type, loaded once.
pub fn registry() -> &'static Registry {
    static REGISTRY: std::sync::LazyLock<&'static Registry> = std::sync::LazyLock::new(|| {
        let file = SchemaFile { name: "test.json".to_owned(), text: file().to_string() };
        Registry::with_files(&[file], false).unwrap_or_else(|flaw| panic!("{flaw}"))
    });
    &REGISTRY
}

/// The file.
pub fn file() -> Value {
    let schema = |id: &str, name: &str, attributes: Vec<Value>| json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"], "id": id, "name": name, "attributes": attributes});
    let mut base = vec![json!({"name": "label", "type": "string", "required": true})];
    base.extend(simple_attributes());
    base.extend(complex_attributes());
    let extension = |name: &str| {
        vec![
            json!({"name": name, "type": "integer", "required": true}),
            json!({"name": "serial", "type": "string", "caseExact": true, "uniqueness": "server"}),
            json!({"name": "days", "type": "dateTime", "multiValued": true}),
        ]
    };
    json!([
        schema(TEST, "Test", base),
        schema(REQUIRED, "Required", extension("grade")),
        schema(OPTIONAL, "Optional", extension("rank")),
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": "Test", "name": "Test", "endpoint": "/Tests", "schema": TEST,
            "schemaExtensions": [{"schema": REQUIRED, "required": true}, {"schema": OPTIONAL, "required": false}],
        },
    ])
}

/// Mutability with what it may be returned as.
fn visibilities() -> Vec<(&'static str, &'static str)> {
    let mut all = vec![("writeOnly", "never")];
    for mutability in ["readWrite", "immutable", "readOnly"] {
        all.extend(["always", "default", "request", "never"].map(|returned| (mutability, returned)));
    }
    all
}

fn simple_attributes() -> Vec<Value> {
    let mut attributes = Vec::new();
    for kind in ["string", "boolean", "decimal", "integer", "dateTime", "binary", "reference"] {
        let cases: &[Option<bool>] = if kind == "string" { &[Some(false), Some(true)] } else { &[None] };
        let uniquenesses: &[Option<&str>] =
            if kind == "boolean" { &[None] } else { &[Some("none"), Some("server"), Some("global")] };
        for (many, (mutability, returned)) in
            [false, true].iter().flat_map(|many| visibilities().into_iter().map(move |it| (*many, it)))
        {
            for (case_exact, uniqueness) in
                cases.iter().flat_map(|case| uniquenesses.iter().map(move |it| (*case, *it)))
            {
                let words = [
                    if many { "many" } else { "one" },
                    mutability,
                    returned,
                    case_exact.map_or("", |exact| if exact { "exact" } else { "folded" }),
                    uniqueness.unwrap_or(""),
                ];
                let name = words
                    .into_iter()
                    .filter(|word| !word.is_empty())
                    .fold(kind.to_owned(), |name, word| name + "_" + word);
                let mut attribute = json!({"name": name, "type": kind, "multiValued": many, "mutability": mutability, "returned": returned});
                if let Some(exact) = case_exact {
                    attribute["caseExact"] = json!(exact);
                }
                if let Some(uniqueness) = uniqueness {
                    attribute["uniqueness"] = json!(uniqueness);
                }
                attributes.push(attribute);
            }
        }
    }
    attributes
}

fn complex_attributes() -> Vec<Value> {
    let mut attributes = Vec::new();
    for many in [false, true] {
        for (mutability, returned) in visibilities() {
            let name = format!("complex_{}_{mutability}_{returned}", if many { "many" } else { "one" });
            attributes.push(json!({"name": name, "type": "complex", "multiValued": many, "mutability": mutability,
                "returned": returned, "subAttributes": parts()}));
        }
    }
    attributes
}

fn parts() -> Value {
    json!([
        {"name": "value", "type": "string"},
        {"name": "type", "type": "string", "canonicalValues": ["work", "home"]},
        {"name": "primary", "type": "boolean"},
        {"name": "$ref", "type": "reference", "referenceTypes": ["User", "Test"]},
        {"name": "tags", "type": "string", "multiValued": true, "caseExact": true},
        {"name": "count", "type": "integer"},
        {"name": "since", "type": "dateTime"},
        {"name": "code", "type": "string", "uniqueness": "server"},
        {"name": "seal", "type": "binary", "returned": "always"},
        {"name": "asked", "type": "decimal", "returned": "request"},
        {"name": "secret", "type": "string", "mutability": "writeOnly"},
        {"name": "computed", "type": "string", "mutability": "readOnly"}
    ])
}
