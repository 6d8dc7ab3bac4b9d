//! What may be wrong, and what would put it right.

use std::fmt;

use chrono::NaiveDateTime;

use super::sums::IndexRow;
use crate::store::unique::UniqueKey;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Of which kind.
    pub kind: FlawKind,
    /// The name of the tenant, where it is known.
    pub tenant: Option<String>,
    /// The resource that it is about, where there is one.
    pub subject: Option<Subject>,
    /// What is wrong, in words that go on from the subject: names of columns and paths, never a value.
    pub detail: String,
    pub(super) cure: Cure,
}

impl Flaw {
    /// Whether [`super::mend()`] may put it right.
    pub fn is_mendable(&self) -> bool {
        self.cure != Cure::None
    }
}

/// `tenant acme: User 0190…: the column external_id is not what the document says`.
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tenant) = &self.tenant {
            write!(f, "tenant {tenant}: ")?;
        }
        if let Some(Subject { resource_type, id }) = &self.subject {
            write!(f, "{resource_type} {id}: ")?;
        }
        f.write_str(&self.detail)
    }
}

/// A resource by the names that everybody knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The name of its type.
    pub resource_type: String,
    /// Its SCIM id.
    pub id: String,
}

/// The kinds of flaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlawKind {
    /// A document that is no JSON object.
    Document,
    /// A row of a tenant that does not exist.
    Owner,
    /// A column that is not what the document makes it.
    Column,
    /// A value that searches do not find.
    MissingValue,
    /// A value that searches find and the document does not have.
    SurplusValue,
    /// A unique value that others may take.
    MissingUniqueValue,
    /// A unique value that nobody has and nobody can take.
    SurplusUniqueValue,
    /// A membership without one of its ends, or of what cannot be a member.
    Membership,
    /// An unresolved member of no group, or one that could be resolved.
    UnresolvedMember,
    /// A password hash that belongs to nobody.
    Credential,
    /// A time of modification that belongs to nothing.
    Touch,
    /// An event that belongs to no change.
    Event,
    /// A resource whose history ends elsewhere.
    History,
    /// A number of resources that is kept, and that is not the number of what is there.
    Count,
    /// A key that is bound to nobody.
    BoundKey,
    /// A reference of a document to nobody.
    Reference,
}

impl FlawKind {
    /// All of them.
    pub const ALL: [FlawKind; 16] = [
        FlawKind::Document,
        FlawKind::Owner,
        FlawKind::Column,
        FlawKind::MissingValue,
        FlawKind::SurplusValue,
        FlawKind::MissingUniqueValue,
        FlawKind::SurplusUniqueValue,
        FlawKind::Membership,
        FlawKind::UnresolvedMember,
        FlawKind::Credential,
        FlawKind::Touch,
        FlawKind::Event,
        FlawKind::History,
        FlawKind::Count,
        FlawKind::BoundKey,
        FlawKind::Reference,
    ];

    /// Whether the database is damaged. The others are what clients and operators may bring about: a user is deleted
    /// whose key is not, a manager is named who was never provisioned.
    pub fn is_damage(self) -> bool {
        !matches!(self, FlawKind::BoundKey | FlawKind::Reference)
    }
}

/// A column that follows from the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    UniqueKey,
    Name,
    ExternalId,
    DisplayName,
    Active,
}

impl Column {
    pub fn as_str(self) -> &'static str {
        match self {
            Column::UniqueKey => "unique_key",
            Column::Name => "name",
            Column::ExternalId => "external_id",
            Column::DisplayName => "display_name",
            Column::Active => "active",
        }
    }
}

/// What has to be looked at again, and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cure {
    /// Nothing that a program could do.
    None,
    Column {
        row_id: i64,
        column: Column,
    },
    MissingValues {
        row_id: i64,
    },
    SurplusValue(IndexRow),
    MissingUnique {
        row_id: i64,
    },
    SurplusUnique(UniqueKey),
    Membership {
        group_row_id: i64,
        member_row_id: i64,
        unresolve: bool,
    },
    Unresolved {
        group_row_id: i64,
        value: String,
        resolve: bool,
    },
    Credential {
        row_id: i64,
    },
    Touch {
        row_id: i64,
        at: NaiveDateTime,
    },
    Event {
        row_id: i64,
    },
    Count {
        tenant_id: i64,
        resource_type: String,
    },
}

/// What became of a flaw that was to be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is put right.
    Mended,
    /// It is not there any more.
    Gone,
    /// Only people can say what is right.
    Beyond,
}
