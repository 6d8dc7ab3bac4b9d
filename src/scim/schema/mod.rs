//! What a resource may hold: schemas, attributes and their characteristics (RFC 7643 §2.2, §7).
//!
//! Schemas are data. The JSON files beside this module are served as they are and enforced as they are.

mod configured;
mod definition;
mod index_path;
mod located;
pub mod registry;

use serde::Deserialize;
use serde_json::Value;

pub use configured::is_reserved;
pub use index_path::path_hash;
pub use located::{Flaw, SchemaFile};
pub use registry::{Registry, ResourceType};

/// The URN of the schema that describes schemas.
pub const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
/// The URN of the schema that describes resource types.
pub const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// The URN of the User schema.
pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The URN of the Group schema.
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The URN of the enterprise extension of User.
pub const ENTERPRISE_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// One schema: a URN and the attributes that it defines.
#[derive(Debug)]
pub struct Schema {
    /// The URN, in its published spelling.
    pub id: String,
    /// The human name, `User`.
    pub name: String,
    /// The attributes, in published order.
    pub attributes: Vec<Attribute>,
    /// The file as it is served at `/Schemas`, without `meta`.
    pub source: Value,
}

impl Schema {
    /// The attribute of that name; names compare without case (RFC 7643 §2.1).
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.attributes, name)
    }
}

/// One attribute or sub-attribute with its characteristics (RFC 7643 §7).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// The name in its published spelling.
    pub name: String,
    /// The data type of the value, or of each element.
    #[serde(rename = "type")]
    pub kind: Type,
    /// What it is, in a sentence for people.
    #[serde(default)]
    pub description: String,
    /// Whether the value is an array.
    pub multi_valued: bool,
    /// Whether the resource (or the complex value) is invalid without it.
    #[serde(default)]
    pub required: bool,
    /// Whether upper and lower case differ in comparisons; see [`Attribute::compares_exactly`].
    #[serde(default)]
    pub case_exact: bool,
    /// Who may change it, and when.
    pub mutability: Mutability,
    /// When it appears in a representation.
    pub returned: Returned,
    /// Whether two live resources may share a value.
    #[serde(default)]
    pub uniqueness: Uniqueness,
    /// Suggested values (RFC 7643 §7); other values are accepted.
    #[serde(default)]
    pub canonical_values: Vec<String>,
    /// The resource types that a reference may point at, `external` or `uri`.
    #[serde(default)]
    pub reference_types: Vec<String>,
    /// The parts of a complex attribute.
    #[serde(default)]
    pub sub_attributes: Vec<Attribute>,
    /// Where the value lives; set by the registry.
    #[serde(skip)]
    pub role: Role,
    /// The name of the attribute in the search index: `emails.value`, extensions with their URN, lower case.
    /// Set by the registry.
    #[serde(skip)]
    pub index_path: String,
    /// The number that stands for this name there: its [`path_hash`]. Set by the registry.
    #[serde(skip)]
    pub path_hash: i64,
}

impl Attribute {
    /// The sub-attribute of that name; names compare without case.
    pub fn sub_attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.sub_attributes, name)
    }

    /// Whether it has sub-attributes.
    pub fn is_complex(&self) -> bool {
        self.kind == Type::Complex
    }

    /// Whether text is compared byte by byte; references and binaries always are (RFC 7643 §2.3.6, §2.3.7).
    pub fn compares_exactly(&self) -> bool {
        self.case_exact || matches!(self.kind, Type::Reference | Type::Binary)
    }

    /// Whether the whole value comes from other resources. Members count as computed although clients write them: a member
    /// that is deleted or renamed changes them behind the group's back.
    pub fn is_computed(&self) -> bool {
        matches!(self.role, Role::Groups | Role::Members)
    }

    /// The parts that follow from the resource that another part refers to.
    pub fn referenced_parts(&self) -> impl Iterator<Item = &Attribute> {
        self.sub_attributes.iter().filter(|part| part.role == Role::Referenced)
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// `attrName = ["$"] ALPHA *( ALPHA / DIGIT / "-" / "_" / "$" )`, FLT-06 included.
pub fn is_attribute_name(text: &str) -> bool {
    let rest = text.strip_prefix('$').unwrap_or(text);
    rest.starts_with(|c: char| c.is_ascii_alphabetic())
        && rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'))
}

/// The data types of RFC 7643 §2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    /// Unicode text.
    String,
    /// `true` or `false`.
    Boolean,
    /// Any finite number.
    Decimal,
    /// A number without fraction and exponent.
    Integer,
    /// An instant, `xsd:dateTime`.
    DateTime,
    /// Base64 text.
    Binary,
    /// A URI reference.
    Reference,
    /// An object of sub-attributes.
    Complex,
}

impl Type {
    /// The keyword of the schema files.
    pub fn keyword(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Boolean => "boolean",
            Type::Decimal => "decimal",
            Type::Integer => "integer",
            Type::DateTime => "dateTime",
            Type::Binary => "binary",
            Type::Reference => "reference",
            Type::Complex => "complex",
        }
    }
}

/// Who may change an attribute (RFC 7643 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// Set by the server only.
    ReadOnly,
    /// Set by the client at any time.
    ReadWrite,
    /// Set by the client once.
    Immutable,
    /// Set by the client at any time and never shown.
    WriteOnly,
}

/// When an attribute appears in a representation (RFC 7643 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// Always, even when excluded.
    Always,
    /// Never, even when asked for.
    Never,
    /// Unless projected away.
    Default,
    /// Only when asked for, or in the answer to the write that set it.
    Request,
}

/// Whether two live resources may share a value (RFC 7643 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// They may.
    #[default]
    None,
    /// They may not, within the endpoint and tenant.
    Server,
    /// They may not anywhere; enforced like `server`.
    Global,
}

/// Where the value of an attribute lives. Everything but [`Role::Stored`] is known by its place in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// In the document.
    #[default]
    Stored,
    /// `id`.
    Id,
    /// `schemas`: the base schema and the extensions in use.
    Schemas,
    /// `meta` itself; its parts follow.
    Meta,
    /// `meta.resourceType`.
    ResourceType,
    /// `meta.created`.
    Created,
    /// `meta.lastModified`.
    LastModified,
    /// `meta.location`.
    Location,
    /// `meta.version`.
    Version,
    /// `members` of a group, kept as rows of their own; the parts carry the same role.
    Members,
    /// `password` of a user, kept as a hash apart from the document.
    Password,
    /// `groups` of a user, read from the other end of `members`; the parts carry the same role.
    Groups,
    /// A part of a stored reference that the server computes from its target: `manager.$ref`, `manager.displayName`.
    Referenced,
}

/// An attribute path resolved against a resource type: which attribute, and which part of it.
#[derive(Debug, Clone, Copy)]
pub struct Resolved {
    /// The schema that defines the attribute; `None` for the common attributes (`id`, `externalId`, `meta`, `schemas`).
    pub schema: Option<&'static Schema>,
    /// Whether `schema` is an extension of the resource type, so that the value lives under its URN.
    pub extension: bool,
    /// The attribute.
    pub attribute: &'static Attribute,
    /// The sub-attribute, if the path goes on after the attribute.
    pub sub_attribute: Option<&'static Attribute>,
}

impl Resolved {
    /// The attribute at the end of the path.
    pub fn leaf(&self) -> &'static Attribute {
        self.sub_attribute.unwrap_or(self.attribute)
    }

    /// The same path, one step down.
    pub fn with_sub_attribute(self, sub_attribute: &'static Attribute) -> Resolved {
        Resolved { sub_attribute: Some(sub_attribute), ..self }
    }

    /// The same path without its sub-attribute.
    pub fn without_sub_attribute(self) -> Resolved {
        Resolved { sub_attribute: None, ..self }
    }

    /// Whether it is the name by which a user is known to an identity provider, which is prepared by PRECIS (I18N-01).
    pub fn is_user_name(&self) -> bool {
        self.attribute.name == "userName" && self.schema.is_some_and(|schema| schema.id == USER_URN)
    }

    /// The URN under which the value lives in a document, for an attribute of an extension.
    pub fn container(&self) -> Option<&'static str> {
        self.schema.filter(|_| self.extension).map(|schema| schema.id.as_str())
    }
}

impl PartialEq for Resolved {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.leaf(), other.leaf())
    }
}

/// `name`, `name.familyName` or, for an extension, `urn:…:manager.value`: as messages to clients show it.
impl std::fmt::Display for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(urn) = self.container() {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.attribute.name)?;
        match self.sub_attribute {
            Some(sub_attribute) => write!(f, ".{}", sub_attribute.name),
            None => Ok(()),
        }
    }
}
