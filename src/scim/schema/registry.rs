//! All schemas and resource types, loaded once; look-up by name, endpoint or URN.
//!
//! A registry lives as long as the process: schemas are read at start and never change, so resolved paths may
//! point into it from any thread.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::index_path::{IndexPaths, path_hash};
use super::{Attribute, ENTERPRISE_URN, GROUP_URN, Resolved, Returned, Role, Schema, Type, USER_URN, Uniqueness};

/// The schemas and resource types that this server offers.
#[derive(Debug)]
pub struct Registry {
    schemas: Vec<&'static Schema>,
    resource_types: Vec<&'static ResourceType>,
    index_paths: IndexPaths,
}

/// One kind of resource: an endpoint, a base schema and its extensions (RFC 7643 §6).
#[derive(Debug)]
pub struct ResourceType {
    /// The name, `User`; also its id and `meta.resourceType`.
    pub name: String,
    /// The endpoint, `/Users`.
    pub endpoint: String,
    /// The base schema.
    pub schema: &'static Schema,
    /// The extensions that a resource of this type may carry.
    pub extensions: Vec<Extension>,
    /// The object as it is served at `/ResourceTypes`, without `meta`.
    pub source: Value,
    /// Every stored attribute, or part of one, that is unique among the resources of the type (CHAR-11).
    pub unique: Vec<Resolved>,
    /// A digest of everything that decides in which form a resource is stored, indexed and shown.
    pub form: String,
    /// Every attribute that comes from other resources, as a whole or in some parts.
    pub computed: Vec<Resolved>,
    /// Whether a representation shows everything that there is unless a client wants less: nothing is returned on request
    /// alone, or never. A password is in no representation to begin with.
    pub shows_all: bool,
    reference: Option<Resolved>,
    common: &'static [Attribute],
}

/// An extension of a resource type (RFC 7643 §3.3).
#[derive(Debug)]
pub struct Extension {
    /// Its schema.
    pub schema: &'static Schema,
    /// Whether every resource of the type must carry it.
    pub required: bool,
}

static BUILTIN: LazyLock<Registry> = LazyLock::new(|| builtin(false));

static WITH_PASSWORDS: LazyLock<Registry> = LazyLock::new(|| builtin(true));

fn builtin(passwords: bool) -> Registry {
    let (schemas, resource_types) = builtin_sources(passwords);
    Registry::assemble(schemas, resource_types).expect("the built-in schema files are valid")
}

/// The built-in schemas and resource types as they are served. A server that keeps no passwords has no such attribute
/// (USR-07).
pub(super) fn builtin_sources(passwords: bool) -> (Vec<Value>, Vec<Value>) {
    let read = |text: &str| -> Value { serde_json::from_str(text).expect("the built-in schema files are JSON") };
    let mut user = read(include_str!("user.json"));
    if let (false, Some(attributes)) = (passwords, user["attributes"].as_array_mut()) {
        attributes.retain(|attribute| attribute["name"] != "password");
    }
    let schemas = [
        include_str!("group.json"),
        include_str!("enterprise_user.json"),
        include_str!("service_provider_config.json"),
        include_str!("resource_type.json"),
        include_str!("schema.json"),
    ];
    let resource_types = read(include_str!("resource_types.json"));
    let schemas = std::iter::once(user).chain(schemas.map(read)).collect();
    (schemas, resource_types.as_array().cloned().unwrap_or_default())
}

static COMMON: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
    let mut attributes: Vec<Attribute> =
        serde_json::from_str(include_str!("common.json")).expect("the common attributes are valid");
    for attribute in &mut attributes {
        settle(attribute, "", None);
    }
    attributes
});

impl Registry {
    /// The schemas that scimd comes with: User, Group, EnterpriseUser and those of discovery. A user has no password.
    pub fn builtin() -> &'static Registry {
        &BUILTIN
    }

    /// The same, and a user has a password.
    pub fn with_passwords() -> &'static Registry {
        &WITH_PASSWORDS
    }

    /// Whether some resource has a password.
    pub fn offers_passwords(&self) -> bool {
        self.resource_types.iter().any(|resource_type| resource_type.attribute_in_role(Role::Password).is_some())
    }

    /// Reads schemas and the resource types that use them (RES-21).
    ///
    /// # Errors
    /// If a file is not what its kind demands, a resource type names a schema that is not among them, or two attributes have
    /// one number in the search index.
    pub fn load(schemas: &[&str], resource_types: &str) -> serde_json::Result<Registry> {
        let schemas = schemas.iter().map(|text| serde_json::from_str(text)).collect::<serde_json::Result<Vec<_>>>()?;
        Registry::assemble(schemas, serde_json::from_str(resource_types)?)
    }

    /// Makes a registry of definitions as they are served.
    pub(super) fn assemble(schemas: Vec<Value>, resource_types: Vec<Value>) -> serde_json::Result<Registry> {
        let bases: Vec<&str> = resource_types.iter().filter_map(|source| source["schema"].as_str()).collect();
        let schemas = schemas.into_iter().map(|source| load_schema(source, &bases));
        let schemas = schemas.collect::<serde_json::Result<Vec<_>>>()?;
        let index_paths = index_paths(&schemas)?;
        let mut registry = Registry { schemas, resource_types: Vec::new(), index_paths };
        for source in &resource_types {
            let resource_type = registry.load_resource_type(source.clone())?;
            registry.resource_types.push(Box::leak(Box::new(resource_type)));
        }
        Ok(registry)
    }

    fn load_resource_type(&self, source: Value) -> serde_json::Result<ResourceType> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct File {
            name: String,
            endpoint: String,
            schema: String,
            #[serde(default)]
            schema_extensions: Vec<ExtensionEntry>,
        }
        #[derive(Deserialize)]
        struct ExtensionEntry {
            schema: String,
            required: bool,
        }
        let named = |urn: &str| {
            self.schema(urn).ok_or_else(|| serde::de::Error::custom(format!("the schema {urn} is not defined")))
        };
        let file: File = serde_json::from_value(source.clone())?;
        let extensions = file
            .schema_extensions
            .iter()
            .map(|entry| Ok(Extension { schema: named(&entry.schema)?, required: entry.required }))
            .collect::<serde_json::Result<Vec<_>>>()?;
        let mut resource_type = ResourceType {
            schema: named(&file.schema)?,
            name: file.name,
            endpoint: file.endpoint,
            extensions,
            source,
            unique: Vec::new(),
            form: String::new(),
            computed: Vec::new(),
            shows_all: false,
            reference: None,
            common: &COMMON,
        };
        resource_type.unique = unique_attributes(&resource_type);
        resource_type.form = form(&resource_type);
        resource_type.computed = computed_attributes(&resource_type);
        resource_type.shows_all = shows_all(&resource_type);
        resource_type.reference = reference(&resource_type);
        Ok(resource_type)
    }

    /// Every schema, those of discovery included, in the order of publication.
    pub fn schemas(&self) -> &[&'static Schema] {
        &self.schemas
    }

    /// The schema of that URN; URNs compare without case.
    pub fn schema(&self, urn: &str) -> Option<&'static Schema> {
        self.schemas.iter().copied().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// Every resource type.
    pub fn resource_types(&self) -> &[&'static ResourceType] {
        &self.resource_types
    }

    /// The resource type of that name, `User`.
    pub fn resource_type(&self, name: &str) -> Option<&'static ResourceType> {
        self.resource_types.iter().copied().find(|resource_type| resource_type.name == name)
    }

    /// The name in the search index that a number stands for; `None` if that is no attribute of these schemas.
    pub fn index_path(&self, hash: i64) -> Option<&str> {
        self.index_paths.get(hash)
    }
}

fn index_paths(schemas: &[&Schema]) -> serde_json::Result<IndexPaths> {
    let mut index_paths = IndexPaths::default();
    for attribute in schemas.iter().flat_map(|schema| &schema.attributes).chain(COMMON.iter()) {
        index_paths.add(attribute).map_err(|[path, other]| {
            let reason = format!("`{path}` and `{other}` have the same number in the search index; rename one of them");
            serde::de::Error::custom(reason)
        })?;
    }
    Ok(index_paths)
}

impl ResourceType {
    /// The common attributes: `schemas`, `id`, `externalId`, `meta` (RFC 7643 §3.1).
    pub fn common(&self) -> &'static [Attribute] {
        self.common
    }

    /// The URNs of the base schema and every extension.
    pub fn urns(&self) -> impl Iterator<Item = &'static Schema> {
        std::iter::once(self.schema).chain(self.extensions.iter().map(|extension| extension.schema))
    }

    /// The extension of that URN; URNs compare without case.
    pub fn extension(&self, urn: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.schema.id.eq_ignore_ascii_case(urn))
    }

    /// The attribute of that unqualified name: common, then core, then the one extension that defines it
    /// (FLT-29). `None` also when several extensions do.
    pub fn attribute(&self, name: &str) -> Option<Resolved> {
        if let Some(attribute) = super::find(self.common, name) {
            return Some(Resolved { schema: None, extension: false, attribute, sub_attribute: None });
        }
        if let Some(attribute) = self.schema.attribute(name) {
            return Some(Resolved { schema: Some(self.schema), extension: false, attribute, sub_attribute: None });
        }
        let mut found = self.extensions.iter().filter_map(|extension| self.attribute_of(extension.schema, name));
        match (found.next(), found.next()) {
            (Some(resolved), None) => Some(resolved),
            _ => None,
        }
    }

    /// The attribute of the base schema whose values live where the role says; for [`Role::Stored`] the first of many.
    pub fn attribute_in_role(&self, role: Role) -> Option<&'static Attribute> {
        self.schema.attributes.iter().find(|attribute| attribute.role == role)
    }

    /// The attribute that names a resource to others, as `display` of a group's members: a singular `displayName` that
    /// compares without case and is shown to everybody.
    pub fn display_name(&self) -> Option<&'static Attribute> {
        let is_name = |attribute: &&Attribute| {
            let is_plain = attribute.kind == Type::String && !attribute.multi_valued && !attribute.case_exact;
            let is_shown = matches!(attribute.returned, Returned::Always | Returned::Default);
            is_plain && is_shown && attribute.uniqueness == Uniqueness::None
        };
        self.schema.attribute("displayName").filter(is_name)
    }

    /// Every attribute that lives in the document: common ones, those of the base schema, those of extensions.
    pub fn stored_attributes(&'static self) -> impl Iterator<Item = Resolved> {
        let resolved = move |schema: Option<&'static Schema>| {
            move |attribute| {
                let extension = schema.is_some_and(|schema| !std::ptr::eq(schema, self.schema));
                Resolved { schema, extension, attribute, sub_attribute: None }
            }
        };
        let common = self.common.iter().map(resolved(None));
        let defined = self.urns().flat_map(move |schema| schema.attributes.iter().map(resolved(Some(schema))));
        common.chain(defined).filter(|resolved| resolved.attribute.role == Role::Stored)
    }

    /// The stored reference whose other parts are computed from its target: `manager` of the enterprise extension.
    pub fn reference(&self) -> Option<Resolved> {
        self.reference
    }

    /// The attribute of that name in the base schema or in an extension.
    pub fn attribute_of(&self, schema: &'static Schema, name: &str) -> Option<Resolved> {
        let extension = !std::ptr::eq(schema, self.schema);
        let attribute = schema.attribute(name)?;
        Some(Resolved { schema: Some(schema), extension, attribute, sub_attribute: None })
    }
}

fn unique_attributes(resource_type: &ResourceType) -> Vec<Resolved> {
    let mut unique = Vec::new();
    for schema in resource_type.urns() {
        let extension = !std::ptr::eq(schema, resource_type.schema);
        for attribute in schema.attributes.iter().filter(|attribute| attribute.role == Role::Stored) {
            let whole = Resolved { schema: Some(schema), extension, attribute, sub_attribute: None };
            let parts = attribute.sub_attributes.iter().map(|part| whole.with_sub_attribute(part));
            let all = std::iter::once(whole).chain(parts);
            unique.extend(all.filter(|resolved| resolved.leaf().uniqueness != Uniqueness::None));
        }
    }
    unique
}

fn computed_attributes(resource_type: &ResourceType) -> Vec<Resolved> {
    let attributes = |schema: &'static Schema| {
        let computed = schema
            .attributes
            .iter()
            .filter(|attribute| attribute.is_computed() || attribute.referenced_parts().next().is_some());
        let extension = !std::ptr::eq(schema, resource_type.schema);
        computed.map(move |attribute| Resolved { schema: Some(schema), extension, attribute, sub_attribute: None })
    };
    resource_type.urns().flat_map(attributes).collect()
}

fn shows_all(resource_type: &ResourceType) -> bool {
    let is_shown = |attribute: &Attribute| {
        attribute.role == Role::Password || matches!(attribute.returned, Returned::Always | Returned::Default)
    };
    let defined = resource_type.urns().flat_map(|schema| &schema.attributes);
    let mut attributes = resource_type.common.iter().chain(defined);
    attributes.all(|attribute| is_shown(attribute) && attribute.sub_attributes.iter().all(is_shown))
}

fn reference(resource_type: &ResourceType) -> Option<Resolved> {
    let is_reference = |attribute: &&Attribute| attribute.referenced_parts().next().is_some();
    resource_type.urns().find_map(|schema| {
        let attribute = schema.attributes.iter().find(is_reference)?;
        resource_type.attribute_of(schema, &attribute.name)
    })
}

fn form(resource_type: &ResourceType) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n{}\n", resource_type.name, resource_type.schema.id));
    for extension in &resource_type.extensions {
        hash.update(format!("{} {}\n", extension.schema.id, extension.required));
    }
    for schema in resource_type.urns() {
        // A password is kept apart from the document, whatever the switch says.
        for attribute in schema.attributes.iter().filter(|attribute| attribute.role != Role::Password) {
            for definition in std::iter::once(attribute).chain(&attribute.sub_attributes) {
                let Attribute { index_path, name, kind, multi_valued, case_exact, returned, uniqueness, .. } =
                    definition;
                hash.update(format!(
                    "{index_path} {name} {kind:?} {multi_valued} {case_exact} {returned:?} {uniqueness:?}\n"
                ));
            }
        }
    }
    hash.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a schema; the attributes of the `bases` go without URN in the search index, so that a search over several
/// resource types finds them under one name.
fn load_schema(source: Value, bases: &[&str]) -> serde_json::Result<&'static Schema> {
    #[derive(Deserialize)]
    struct File {
        id: String,
        name: String,
        attributes: Vec<Attribute>,
    }
    let mut file: File = serde_json::from_value(source.clone())?;
    let is_base = bases.contains(&file.id.as_str());
    let prefix = if is_base { String::new() } else { format!("{}:", file.id.to_ascii_lowercase()) };
    for attribute in &mut file.attributes {
        settle(attribute, &prefix, Some(&file.id));
    }
    Ok(Box::leak(Box::new(Schema { id: file.id, name: file.name, attributes: file.attributes, source })))
}

/// Gives an attribute and its parts their role, their name in the search index, and its number.
fn settle(attribute: &mut Attribute, prefix: &str, urn: Option<&str>) {
    attribute.index_path = format!("{prefix}{}", attribute.name.to_ascii_lowercase());
    debug_assert!(attribute.index_path.is_ascii());
    attribute.path_hash = path_hash(&attribute.index_path);
    attribute.role = role(urn, &attribute.name);
    for sub_attribute in &mut attribute.sub_attributes {
        sub_attribute.index_path = format!("{}.{}", attribute.index_path, sub_attribute.name.to_ascii_lowercase());
        sub_attribute.path_hash = path_hash(&sub_attribute.index_path);
        sub_attribute.role = match attribute.role {
            Role::Meta => meta_role(&sub_attribute.name),
            Role::Stored if is_computed_part(urn, &attribute.name, sub_attribute) => Role::Referenced,
            role => role,
        };
    }
}

fn role(urn: Option<&str>, name: &str) -> Role {
    match (urn, name) {
        (None, "id") => Role::Id,
        (None, "schemas") => Role::Schemas,
        (None, "meta") => Role::Meta,
        (Some(GROUP_URN), "members") => Role::Members,
        (Some(USER_URN), "groups") => Role::Groups,
        (Some(USER_URN), "password") => Role::Password,
        _ => Role::Stored,
    }
}

fn meta_role(name: &str) -> Role {
    match name {
        "resourceType" => Role::ResourceType,
        "created" => Role::Created,
        "lastModified" => Role::LastModified,
        "location" => Role::Location,
        _ => Role::Version,
    }
}

/// `manager.$ref` and `manager.displayName` follow from `manager.value` (ENT-01).
fn is_computed_part(urn: Option<&str>, attribute: &str, part: &Attribute) -> bool {
    let is_manager = urn == Some(ENTERPRISE_URN) && attribute == "manager";
    is_manager && (part.kind == Type::Reference || part.name == "displayName")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disc_09_every_schema_of_a_resource_type_is_defined() {
        let registry = Registry::builtin();
        let user = registry.resource_type("User").expect("User is built in");
        assert_eq!(user.endpoint, "/Users");
        assert_eq!(user.urns().map(|schema| schema.id.as_str()).collect::<Vec<_>>(), [USER_URN, ENTERPRISE_URN]);
        assert!(registry.schema(&USER_URN.to_uppercase()).is_some());
    }

    #[test]
    fn flt_29_core_comes_first_then_the_one_extension() {
        let user = Registry::builtin().resource_type("User").expect("User is built in");
        assert_eq!(user.attribute("USERNAME").expect("core").to_string(), "userName");
        assert_eq!(
            user.attribute("department").expect("extension").to_string(),
            format!("{ENTERPRISE_URN}:department")
        );
        assert_eq!(user.attribute("externalid").expect("common").to_string(), "externalId");
        assert!(user.attribute("salary").is_none());
    }

    #[test]
    fn computed_parts_are_known_by_their_role() {
        let registry = Registry::builtin();
        let user = registry.resource_type("User").expect("User is built in");
        let manager = user.attribute("manager").expect("extension").attribute;
        let roles: Vec<Role> = ["value", "$ref", "displayName"]
            .map(|name| manager.sub_attribute(name).expect("part of manager").role)
            .to_vec();
        assert_eq!(roles, [Role::Stored, Role::Referenced, Role::Referenced]);
        assert_eq!(manager.index_path, format!("{}:manager", ENTERPRISE_URN.to_lowercase()));
    }
}
