//! Where a value of a resource stands, as paths of PATCH say it (RFC 7644 §3.5.2).

/// The place of a value.
pub(super) enum Place {
    /// The resource itself.
    Top,
    /// An extension, by its URN.
    Extension(String),
    /// An attribute, or a part of one.
    Attribute(String),
}

impl Place {
    /// A member of what stands here: a URN ends in a colon, an attribute in a dot.
    pub(super) fn part(&self, name: &str) -> Place {
        match self {
            Place::Top if name.contains(':') => Place::Extension(name.to_owned()),
            Place::Top => Place::Attribute(name.to_owned()),
            Place::Extension(urn) => Place::Attribute(format!("{urn}:{name}")),
            Place::Attribute(path) => Place::Attribute(format!("{path}.{name}")),
        }
    }

    /// Its path; empty for the resource itself.
    pub(super) fn path(&self) -> &str {
        match self {
            Place::Top => "",
            Place::Extension(path) | Place::Attribute(path) => path,
        }
    }
}
