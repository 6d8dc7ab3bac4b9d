//! Columns of `resources` that hold an attribute of every resource.

use crate::scim::key::Key;
use crate::scim::{Error, Result};
use crate::store::resources::Row;
use crate::store::sql::Bind;

/// A column to walk by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Id,
    Created,
    LastModified,
    Version,
}

impl Column {
    pub(super) fn name(self) -> &'static str {
        match self {
            Column::Id => "r.id",
            Column::Created => "r.created_at",
            Column::LastModified => "r.modified_at",
            Column::Version => "r.version",
        }
    }

    /// The value of a row as text that sorts as the column does.
    pub(super) fn key(self, row: &Row) -> String {
        let (_, id, _, _, version, created_at, modified_at, ..) = row;
        match self {
            Column::Id => id.clone(),
            Column::Created => Key::of_instant(created_at.0.and_utc()).into_string(),
            Column::LastModified => Key::of_instant(modified_at.0.and_utc()).into_string(),
            Column::Version => format!("{version:019}"),
        }
    }

    /// The value that a key of [`Column::key`] stands for.
    ///
    /// # Errors
    /// For any other text; a cursor holds none.
    pub(super) fn value(self, key: &str) -> Result<Bind> {
        match self {
            Column::Id => Ok(key.into()),
            Column::Created | Column::LastModified => {
                let instant = Key::of_text_exactly(key).to_instant();
                instant.map(Bind::from).ok_or_else(|| Error::internal("a cursor holds a key that is no instant"))
            }
            Column::Version => key.parse::<i64>().map(Bind::from).map_err(Error::internal),
        }
    }
}
