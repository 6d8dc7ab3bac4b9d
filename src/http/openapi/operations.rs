//! What each operation takes and answers.

use serde_json::{Map, Value, json};

use super::answers::{answer, content, refused};
use super::shapes::{list_name, name, reference, request_name};
use super::{Surface, examples, parameters};
use crate::http::routes::{Endpoint, Operation};
use crate::scim::schema::ResourceType;

/// The heading of what is about no type of resource.
pub(super) const EVERYTHING: &str = "Everything";
/// The heading of discovery.
pub(super) const DISCOVERY: &str = "Discovery";
/// The heading of health and metrics.
pub(super) const HEALTH: &str = "Health";

/// What may befall every operation of SCIM.
const ALWAYS: [u16; 5] = [401, 403, 429, 500, 503];
/// What else may be wrong with a request that has parameters.
const PARAMETERS: [u16; 1] = [400];
/// What else may be wrong with a request that has a body.
const BODY: [u16; 4] = [400, 408, 413, 415];
/// What else may befall a change of a resource that there is.
const CHANGE: [u16; 4] = [400, 404, 412, 428];

/// The headers of every answer to a request with a key.
const PLAIN: [&str; 3] = ["Cache-Control", "Vary", "X-Request-Id"];
/// The headers of one resource.
const RESOURCE: [&str; 6] = ["Cache-Control", "Content-Location", "ETag", "Location", "Vary", "X-Request-Id"];
/// The headers of an object of discovery.
const TAGGED: [&str; 4] = ["Cache-Control", "ETag", "Vary", "X-Request-Id"];
/// The headers that tell of a resource without showing it.
const UNSHOWN: [&str; 3] = ["ETag", "Location", "X-Request-Id"];

/// One operation in the making.
struct Described {
    id: String,
    tag: String,
    summary: String,
    parameters: Vec<&'static str>,
    body: Option<Value>,
    answers: Vec<(u16, Value)>,
    refused: Vec<u16>,
}

impl Described {
    fn new(id: impl Into<String>, tag: &str, summary: impl Into<String>) -> Described {
        Described {
            id: id.into(),
            tag: tag.to_owned(),
            summary: summary.into(),
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            refused: ALWAYS.into(),
        }
    }

    fn takes(mut self, parameters: &[&'static str]) -> Described {
        self.parameters.extend(parameters);
        self
    }

    fn body(mut self, shape: &str, example: Option<Value>) -> Described {
        self.body = Some(json!({"required": true, "content": content(&reference(shape), example.as_ref())}));
        self.refused(&BODY)
    }

    fn answers(self, status: u16, description: &str, shape: Option<&str>, headers: &[&str]) -> Described {
        self.with(status, answer(description, shape.map(reference).as_ref(), headers))
    }

    fn with(mut self, status: u16, answer: Value) -> Described {
        self.answers.push((status, answer));
        self
    }

    fn refused(mut self, statuses: &[u16]) -> Described {
        self.refused.extend(statuses);
        self
    }

    fn finish(self, open_discovery: bool) -> Value {
        let is_open = self.tag == HEALTH || self.tag == DISCOVERY && open_discovery;
        let answers = self.answers.into_iter().map(|(status, answer)| (status.to_string(), answer));
        let responses: Map<String, Value> = answers.chain(refused(&self.refused)).collect();
        let mut operation = json!({"operationId": self.id, "tags": [self.tag], "summary": self.summary});
        if !self.parameters.is_empty() {
            operation["parameters"] = parameters::references(&self.parameters).into();
        }
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation["responses"] = responses.into();
        if is_open {
            operation["security"] = json!([]);
        }
        operation
    }
}

/// The entry of an operation in the document.
pub(super) fn describe(endpoint: &Endpoint, operation: Operation, surface: &Surface) -> Value {
    // The holder of a key is a user.
    let resource_type = endpoint.resource_type.or_else(|| surface.registry.resource_type("User"));
    let resource_type = resource_type.expect("users are built in");
    let one = name(resource_type);
    let many = endpoint.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let of_one = |verb: &str, summary: &str| {
        Described::new(format!("{verb}{one}"), &resource_type.name, format!("{summary} a {one}"))
    };
    let me = |verb: &str, summary: &str| everything(&format!("{verb}Me"), summary).refused(&[404]);
    let described = match operation {
        Operation::GetServiceProviderConfig => {
            discovery("getServiceProviderConfig", "What the server supports", "ServiceProviderConfig")
        }
        Operation::ListResourceTypes => {
            discovery("listResourceTypes", "The types of resource", "ResourceTypeListResponse")
        }
        Operation::GetResourceType => {
            discovery("getResourceType", "A type of resource", "ResourceType").refused(&[404])
        }
        Operation::ListSchemas => discovery("listSchemas", "The schemas", "SchemaListResponse"),
        Operation::GetSchema => discovery("getSchema", "A schema", "Schema").refused(&[404]),
        Operation::GetOpenApi => openapi(),
        Operation::QueryAll => query(everything("listAll", "Find resources of every type"), "ListResponse"),
        Operation::SearchAll => {
            search(everything("searchAll", "Find resources of every type, with POST"), "ListResponse")
        }
        Operation::Bulk => bulk(everything("bulk", "Make many changes in one request")),
        Operation::ReadMe => read(me("get", "Read the holder of the key"), resource_type),
        Operation::CreateMe => everything("createMe", "Register oneself, which nobody can").refused(&[501]),
        Operation::ReplaceMe => replace(me("replace", "Replace the holder of the key"), resource_type),
        Operation::ModifyMe => modify(me("patch", "Change parts of the holder of the key"), resource_type),
        Operation::DeleteMe => delete(me("delete", "Delete the holder of the key"), &["Location", "X-Request-Id"]),
        Operation::Query => {
            let described = Described::new(format!("list{many}"), &resource_type.name, format!("Find {many}"));
            query(described, &list_name(resource_type))
        }
        Operation::Search => {
            let summary = format!("Find {many}, with POST");
            let described = Described::new(format!("search{many}"), &resource_type.name, summary);
            search(described, &list_name(resource_type))
        }
        Operation::SearchOne => {
            search(of_one("search", "Hold a filter, with POST, against"), &list_name(resource_type))
        }
        Operation::Create => create(of_one("create", "Create"), resource_type),
        Operation::Read => read(of_one("get", "Read"), resource_type),
        Operation::Replace => replace(of_one("replace", "Replace"), resource_type),
        Operation::Modify => modify(of_one("patch", "Change parts of"), resource_type),
        Operation::Delete => delete(of_one("delete", "Delete"), &["X-Request-Id"]),
        Operation::Alive => health("getHealthz", "Whether the process is alive", "It is."),
        Operation::Ready => {
            let summary = "Whether the server can serve: its database answers and is up to date";
            health("getReadyz", summary, "It can.").with(503, text("It cannot; the reason."))
        }
        Operation::Metrics => health("getMetrics", "Measurements for Prometheus", "The measurements."),
        Operation::GetAdminOpenApi
        | Operation::Administer(_)
        | Operation::Export
        | Operation::Import
        | Operation::Backup => {
            unreachable!("the admin API has a document of its own")
        }
    };
    described.finish(surface.open_discovery)
}

fn everything(id: &str, summary: &str) -> Described {
    Described::new(id, EVERYTHING, summary)
}

/// An object that says where it is, or a list of such.
fn discovery(id: &str, summary: &str, shape: &str) -> Described {
    let headers: &[&str] = if shape.ends_with("ListResponse") { &TAGGED } else { &RESOURCE };
    Described::new(id, DISCOVERY, summary).takes(&["If-None-Match"]).answers(200, "It.", Some(shape), headers).answers(
        304,
        "The client has it.",
        None,
        headers,
    )
}

fn openapi() -> Described {
    let described = Described::new("getOpenApi", DISCOVERY, "This document").takes(&["If-None-Match"]);
    let mut document = answer("This document.", None, &TAGGED);
    document["content"] = json!({"application/json": {"schema": {"type": "object"}}});
    described.with(200, document).answers(304, "The client has it already.", None, &TAGGED)
}

fn bulk(described: Described) -> Described {
    let headers = [&PLAIN[..], &["Preference-Applied"]].concat();
    described.takes(&["Prefer"]).body("BulkRequest", Some(examples::bulk())).answers(
        200,
        "What became of each of them.",
        Some("BulkResponse"),
        &headers,
    )
}

fn query(described: Described, list: &str) -> Described {
    let described = described.takes(&parameters::of_queries()).refused(&PARAMETERS);
    described.answers(200, "What was found.", Some(list), &PLAIN)
}

fn search(described: Described, list: &str) -> Described {
    let described = described.body("SearchRequest", Some(examples::search()));
    described.answers(200, "What was found.", Some(list), &PLAIN)
}

fn create(described: Described, resource_type: &ResourceType) -> Described {
    described
        .takes(&parameters::PROJECTION)
        .body(&request_name(resource_type), examples::resource(resource_type))
        .answers(201, "It is created.", Some(&name(resource_type)), &RESOURCE)
        .refused(&[409])
}

/// With a `filter` it is a query on one resource, whose answer is a list (RFC 7644 §3.4.2.1).
fn read(described: Described, resource_type: &ResourceType) -> Described {
    let either = json!({"anyOf": [reference(&name(resource_type)), reference(&list_name(resource_type))]});
    described
        .takes(&["filter"])
        .takes(&parameters::PROJECTION)
        .takes(&["If-Match", "If-None-Match"])
        .with(200, answer("The resource; with a `filter`, a list of it or of nothing.", Some(&either), &RESOURCE))
        .answers(304, "The client has this version.", None, &RESOURCE)
        .refused(&PARAMETERS)
        .refused(&[404, 412])
}

fn replace(described: Described, resource_type: &ResourceType) -> Described {
    described
        .takes(&parameters::PROJECTION)
        .takes(&["If-Match", "If-None-Match"])
        .body(&request_name(resource_type), examples::resource(resource_type))
        .answers(200, "It is replaced.", Some(&name(resource_type)), &RESOURCE)
        .refused(&CHANGE)
        .refused(&[409])
}

fn modify(described: Described, resource_type: &ResourceType) -> Described {
    let without = [&UNSHOWN[..], &["Preference-Applied"]].concat();
    described
        .takes(&parameters::PROJECTION)
        .takes(&["If-Match", "If-None-Match", "Prefer"])
        .body("PatchOp", examples::patch(resource_type))
        .answers(200, "It is changed.", Some(&name(resource_type)), &RESOURCE)
        .answers(204, "It is changed; the client wants no body, or the resource is large.", None, &without)
        .refused(&CHANGE)
        .refused(&[409])
}

fn delete(described: Described, headers: &[&str]) -> Described {
    let described = described.takes(&["If-Match", "If-None-Match"]).refused(&CHANGE);
    described.answers(204, "It is deleted.", None, headers)
}

fn health(id: &str, summary: &str, answer: &str) -> Described {
    Described { refused: Vec::new(), ..Described::new(id, HEALTH, summary) }.with(200, text(answer))
}

fn text(description: &str) -> Value {
    json!({"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}})
}
