//! Schemas and resource types from an operator's files, beside the built-in ones (RES-21, RFC 7643 §3.2, §3.3).
//!
//! A file holds one object or an array of them, in the form in which `/Schemas` and `/ResourceTypes` serve them. All of
//! it is checked before anything is served; the first flaw ends it.

use serde_json::{Map, Value, json};

use super::definition::{Definition, SchemaDefinition, read_schema};
use super::located::{Flaw, Located, SchemaFile};
use super::registry::{Registry, builtin_sources};

/// The URN of the schema that describes resource types.
const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const MEMBERS_OF_A_TYPE: [&str; 8] =
    ["schemas", "id", "name", "description", "endpoint", "schema", "schemaExtensions", "meta"];
/// Endpoints that mean something else (RFC 7644 §3.2), and one whose scopes would.
const RESERVED_ENDPOINTS: [&str; 6] =
    ["/Me", "/Bulk", "/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Admin"];
const RESERVED_TYPES: [&str; 3] = ["Schema", "ResourceType", "ServiceProviderConfig"];
/// What the history calls what is no resource: an id may be that of one of these and of a resource as well, and what is
/// known of the one must not pass for the other's.
const TYPES_OF_THE_HISTORY: [&str; 2] = ["Key", "Tenant"];

/// Whether no resource type may have this endpoint, because something else answers there or below it.
pub fn is_reserved(endpoint: &str) -> bool {
    RESERVED_ENDPOINTS.iter().any(|reserved| reserved.eq_ignore_ascii_case(endpoint))
}

impl Registry {
    /// The built-in schemas and resource types, with or without the password of a user, and those of these files. Kept
    /// until the process ends.
    ///
    /// A resource type with the id of a built-in one adds extensions to it and nothing else. Every resource type may be
    /// a member of groups.
    ///
    /// # Errors
    /// The first flaw, with file and line.
    pub fn with_files(files: &[SchemaFile], passwords: bool) -> Result<&'static Registry, Flaw> {
        let mut schemas = Vec::new();
        let mut types = Vec::new();
        for file in files {
            for at in objects(file)? {
                match kind(at)? {
                    Kind::Schema => schemas.push(read_schema(at)?),
                    Kind::ResourceType => types.push(at),
                }
            }
        }
        let Some(last) = files.last() else {
            return Ok(if passwords { Registry::with_passwords() } else { Registry::builtin() });
        };
        let mut assembly = Assembly::new(passwords);
        assembly.add_schemas(&schemas)?;
        for at in types {
            assembly.add_type(at)?;
        }
        assembly.check_use(&schemas)?;
        assembly.check_references(&schemas)?;
        assembly.open_groups_to_every_type();
        let (schemas, types) = (assembly.schemas, assembly.types);
        // The definitions have been checked; what is left is a rule that this module lacks, and no reason to panic.
        let registry = Registry::assemble(schemas, types)
            .map_err(|error| Flaw::of_file(last, format!("these schemas can't be used: {error}.")))?;
        Ok(Box::leak(Box::new(registry)))
    }
}

fn objects(file: &SchemaFile) -> Result<Vec<Located<'_>>, Flaw> {
    let root = Located::parse(file)?;
    match root.value() {
        Value::Array(_) => root.elements("the file"),
        Value::Object(_) => Ok(vec![root]),
        _ => Err(root.flaw("the file must hold a schema or a resource type, or an array of them.")),
    }
}

enum Kind {
    Schema,
    ResourceType,
}

/// By `schemas`, or where that is missing, as in the examples of RFC 7643 §8.7, by the members.
fn kind(at: Located<'_>) -> Result<Kind, Flaw> {
    let value = at.value();
    let named = value["schemas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names =
        |urn: &str| named.iter().any(|named| named.as_str().is_some_and(|named| named.eq_ignore_ascii_case(urn)));
    let has = |member: &str| value.get(member).is_some();
    let none_named = named.is_empty();
    if names(super::SCHEMA_URN) || none_named && has("attributes") {
        return Ok(Kind::Schema);
    }
    if names(RESOURCE_TYPE_URN) || none_named && (has("endpoint") || has("schemaExtensions")) {
        return Ok(Kind::ResourceType);
    }
    Err(at.flaw(format!(
        "this is neither a schema nor a resource type: its `schemas` must name {} or {RESOURCE_TYPE_URN}.",
        super::SCHEMA_URN
    )))
}

/// Built-in and configured definitions on their way into a registry.
struct Assembly {
    schemas: Vec<Value>,
    types: Vec<Value>,
    builtin_schemas: usize,
    builtin_types: usize,
}

impl Assembly {
    fn new(passwords: bool) -> Assembly {
        let (schemas, types) = builtin_sources(passwords);
        Assembly { builtin_schemas: schemas.len(), builtin_types: types.len(), schemas, types }
    }

    fn add_schemas(&mut self, schemas: &[SchemaDefinition<'_>]) -> Result<(), Flaw> {
        for schema in schemas {
            if let Some(position) = self.position_of(&schema.id) {
                let reason = match position < self.builtin_schemas {
                    true => format!("{} is built in; extend it with a schema of another id.", schema.id),
                    false => format!("the schema {} is there twice; URNs compare without case.", schema.id),
                };
                return Err(schema.at.flaw(reason));
            }
            self.schemas.push(schema.source.clone());
        }
        Ok(())
    }

    fn position_of(&self, urn: &str) -> Option<usize> {
        self.schemas.iter().position(|schema| is_text(&schema["id"], urn))
    }

    /// The published spelling of a schema that a resource type names.
    fn defined(&self, urn: &str, at: Located<'_>) -> Result<(usize, String), Flaw> {
        let position = self.position_of(urn).ok_or_else(|| at.flaw(format!("there is no schema {urn}.")))?;
        Ok((position, self.schemas[position]["id"].as_str().unwrap_or_default().to_owned()))
    }

    fn add_type(&mut self, at: Located<'_>) -> Result<(), Flaw> {
        let definition = Definition::read(at, "a resource type", &MEMBERS_OF_A_TYPE)?;
        let id = match definition.get("id") {
            Some(_) => definition.text("id")?,
            None => definition.text("name")?,
        };
        let definition = definition.called(format!("the resource type `{id}`"));
        match self.types.iter().position(|known| is_text(&known["id"], &id)) {
            Some(position) if position < self.builtin_types => self.extend_builtin(position, &definition),
            Some(_) => {
                Err(definition
                    .flaw("id", format!("{} is there twice; names compare without case.", definition.subject)))
            }
            None => self.add_new_type(&definition, &id),
        }
    }

    /// A built-in type gets extensions, and stays as it is otherwise.
    fn extend_builtin(&mut self, position: usize, definition: &Definition<'_>) -> Result<(), Flaw> {
        for member in ["id", "name", "description", "endpoint", "schema"] {
            let stays = definition.get(member).is_none_or(|at| at.value() == self.types[position][member]);
            if !stays {
                let reason = format!(
                    "{} is built in: a file can add `schemaExtensions` to it, and can't change its `{member}`.",
                    definition.subject
                );
                return Err(definition.flaw(member, reason));
            }
        }
        let mut extensions = self.types[position]["schemaExtensions"].as_array().cloned().unwrap_or_default();
        for (extension, at) in self.extensions(definition, &extensions)? {
            match extensions.iter().find(|known| known["schema"] == extension["schema"]) {
                Some(known) if *known == extension => {}
                Some(_) => {
                    let urn = extension["schema"].as_str().unwrap_or_default();
                    let reason =
                        format!("{urn} extends {} already; its `required` can't be changed.", definition.subject);
                    return Err(at.flaw(reason));
                }
                None => extensions.push(extension),
            }
        }
        self.check_clarity(self.types[position]["schema"].as_str().unwrap_or_default(), &extensions, definition)?;
        self.types[position]["schemaExtensions"] = Value::Array(extensions);
        Ok(())
    }

    fn add_new_type(&mut self, definition: &Definition<'_>, id: &str) -> Result<(), Flaw> {
        check_type_name(definition, id)?;
        let endpoint = definition.text("endpoint")?;
        self.check_endpoint(definition, &endpoint)?;
        let at = definition.require("schema")?;
        let (position, schema) = self.defined(&definition.text("schema")?, at)?;
        if position < self.builtin_schemas {
            return Err(at.flaw(format!(
                "{schema} belongs to a built-in resource type; {} needs a schema of its own.",
                definition.subject
            )));
        }
        let mut extensions: Vec<Value> = Vec::new();
        for (extension, at) in self.extensions(definition, &[])? {
            let urn = extension["schema"].as_str().unwrap_or_default();
            if extensions.iter().any(|known| known["schema"] == extension["schema"]) {
                return Err(at.flaw(format!("{urn} extends {} twice.", definition.subject)));
            }
            extensions.push(extension);
        }
        self.check_clarity(&schema, &extensions, definition)?;
        let mut source = Map::new();
        source.insert("schemas".to_owned(), json!([RESOURCE_TYPE_URN]));
        source.insert("id".to_owned(), json!(id));
        source.insert("name".to_owned(), json!(id));
        if let Some(description) = definition.free_text("description")? {
            source.insert("description".to_owned(), json!(description));
        }
        source.insert("endpoint".to_owned(), json!(endpoint));
        source.insert("schema".to_owned(), json!(schema));
        if !extensions.is_empty() {
            source.insert("schemaExtensions".to_owned(), Value::Array(extensions));
        }
        self.types.push(Value::Object(source));
        Ok(())
    }

    fn check_endpoint(&self, definition: &Definition<'_>, endpoint: &str) -> Result<(), Flaw> {
        let refuse = |reason: String| Err(definition.flaw("endpoint", reason));
        let name = endpoint.strip_prefix('/').unwrap_or_default();
        if !is_plain_name(name) {
            return refuse(format!(
                "`endpoint` of {} must be `/`, a letter, and then letters, digits, `-` and `_`, such as /Devices; \
                 `{endpoint}` is not.",
                definition.subject
            ));
        }
        let is_version = name[1..].bytes().all(|byte| byte.is_ascii_digit()) && name.starts_with(['v', 'V']);
        if is_version || is_reserved(endpoint) {
            return refuse(format!("the endpoint {endpoint} is reserved."));
        }
        match self.types.iter().find(|known| is_text(&known["endpoint"], endpoint)) {
            Some(known) => {
                let holder = known["id"].as_str().unwrap_or_default();
                refuse(format!("the endpoint {endpoint} is that of the resource type `{holder}`."))
            }
            None => Ok(()),
        }
    }

    /// The extensions that a resource type names beside its `own` ones, in the form in which they are published.
    fn extensions<'a>(&self, definition: &Definition<'a>, own: &[Value]) -> Result<Vec<(Value, Located<'a>)>, Flaw> {
        let Some(at) = definition.get("schemaExtensions") else { return Ok(Vec::new()) };
        let read = |at: Located<'a>| {
            let subject = format!("an extension of {}", definition.subject);
            let extension = Definition::read(at, &subject, &["schema", "required"])?;
            let urn_at = extension.require("schema")?;
            let (position, urn) = self.defined(&extension.text("schema")?, urn_at)?;
            let belongs = own.iter().any(|known| known["schema"] == json!(urn));
            if position < self.builtin_schemas && !belongs {
                return Err(urn_at.flaw(format!(
                    "{urn} is built in and extends what it was made for; {} can't use it.",
                    definition.subject
                )));
            }
            Ok((json!({"schema": urn, "required": extension.truth("required")?}), urn_at))
        };
        at.elements(&format!("`schemaExtensions` of {}", definition.subject))?.into_iter().map(read).collect()
    }

    /// The attributes of a base schema stand under their plain names, those of an extension under its URN: a name in a
    /// filter must have one meaning.
    fn check_clarity(&self, base: &str, extensions: &[Value], definition: &Definition<'_>) -> Result<(), Flaw> {
        let urns: Vec<&str> = std::iter::once(base)
            .chain(extensions.iter().filter_map(|extension| extension["schema"].as_str()))
            .collect();
        if urns[1..].contains(&base) {
            return Err(definition.flaw(
                "schemaExtensions",
                format!("{base} is the schema of {} and can't extend it.", definition.subject),
            ));
        }
        for (urn, other) in urns.iter().flat_map(|urn| urns.iter().map(move |other| (urn, other))) {
            let rest = other.to_ascii_lowercase();
            let Some(rest) = rest.strip_prefix(&format!("{}:", urn.to_ascii_lowercase())) else { continue };
            let name = rest.split([':', '.']).next().unwrap_or_default();
            let position = self.position_of(urn).unwrap_or_default();
            let attributes = self.schemas[position]["attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
            if attributes.iter().any(|attribute| is_text(&attribute["name"], name)) {
                let reason = format!(
                    "{urn}:{name} would be an attribute of {urn} and the beginning of {other}; choose another URN."
                );
                return Err(definition.flaw("schemaExtensions", reason));
            }
        }
        Ok(())
    }

    /// A schema is the base of resource types or extends some, never both: its values have one place in the search
    /// index. One that nobody uses is a mistake somewhere else.
    fn check_use(&self, schemas: &[SchemaDefinition<'_>]) -> Result<(), Flaw> {
        for schema in schemas {
            let id = json!(schema.id);
            let is_base = self.types.iter().any(|known| known["schema"] == id);
            let extends = self.types.iter().any(|known| {
                known["schemaExtensions"].as_array().is_some_and(|all| all.iter().any(|one| one["schema"] == id))
            });
            let reason = match (is_base, extends) {
                (true, true) => "is the schema of one resource type and extends another; make two schemas of it.",
                (false, false) => "is used by no resource type.",
                _ => continue,
            };
            return Err(schema.at.flaw(format!("{} {reason}", schema.id)));
        }
        Ok(())
    }

    fn check_references(&self, schemas: &[SchemaDefinition<'_>]) -> Result<(), Flaw> {
        for (name, at) in schemas.iter().flat_map(|schema| &schema.reference_types) {
            let is_known = ["external", "uri"].contains(&name.as_str())
                || self.types.iter().any(|known| known["id"] == json!(name));
            if !is_known {
                return Err(at.flaw(format!("`{name}` is no resource type, and neither `external` nor `uri`.")));
            }
        }
        Ok(())
    }

    /// GRP-02: what is published of a group's members is what is accepted.
    fn open_groups_to_every_type(&mut self) {
        let names: Vec<Value> = self.types.iter().map(|known| known["id"].clone()).collect();
        let group = self.position_of(super::GROUP_URN).unwrap_or_default();
        let attributes = self.schemas[group]["attributes"].as_array_mut().into_iter().flatten();
        let parts = attributes.filter_map(|attribute| attribute.get_mut("subAttributes")?.as_array_mut()).flatten();
        for part in parts {
            match part["name"].as_str() {
                Some("$ref") => part["referenceTypes"] = Value::Array(names.clone()),
                Some("type") => part["canonicalValues"] = Value::Array(names.clone()),
                _ => {}
            }
        }
    }
}

fn check_type_name(definition: &Definition<'_>, id: &str) -> Result<(), Flaw> {
    let refuse = |reason: String| Err(definition.flaw("id", reason));
    if !is_plain_name(id) {
        return refuse(format!(
            "the id of a resource type must be a letter and then letters, digits, `-` and `_`, such as Device; `{id}` is none."
        ));
    }
    if RESERVED_TYPES.iter().any(|reserved| reserved.eq_ignore_ascii_case(id)) {
        return refuse(format!("the resource type `{id}` is reserved."));
    }
    if TYPES_OF_THE_HISTORY.iter().any(|reserved| reserved.eq_ignore_ascii_case(id)) {
        return refuse(format!(
            "the resource type `{id}` is reserved: `Key` and `Tenant` are API keys and tenants in the history; choose another \
             name."
        ));
    }
    if definition.get("name").is_some() && definition.text("name")? != id {
        return Err(definition.flaw("name", format!("`name` of {} must be equal to its `id`.", definition.subject)));
    }
    Ok(())
}

fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_plain) && name.len() <= 100
}

fn is_text(value: &Value, text: &str) -> bool {
    value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests;
