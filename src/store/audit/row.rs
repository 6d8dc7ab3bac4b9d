//! A row of the history with all that is proven of it, as it is kept, which may be anything.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::digest::{self, Metadata};
use crate::scim::Result;
use crate::store::Connection;
use crate::store::sql::Sql;

/// A row with all that is proven of it.
#[derive(Debug, Queryable)]
pub(super) struct Row {
    pub(super) row_id: i64,
    pub(super) tenant_id: i64,
    pub(super) at: NaiveDateTime,
    pub(super) caller: String,
    pub(super) request_id: String,
    pub(super) operation: String,
    pub(super) resource_type: String,
    pub(super) resource_id: String,
    pub(super) version: i64,
    pub(super) changes: String,
    pub(super) salt: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) erased: Option<String>,
}

impl Row {
    fn metadata(&self) -> Metadata<'_> {
        Metadata {
            tenant_id: self.tenant_id,
            at: self.at,
            caller: &self.caller,
            request_id: &self.request_id,
            operation: &self.operation,
            resource_type: &self.resource_type,
            resource_id: &self.resource_id,
            version: self.version,
        }
    }

    /// The digest of what the row says; `None` if it has neither a salt nor what an erasure leaves.
    pub(super) fn proven(&self) -> Option<String> {
        match (&self.salt, &self.erased) {
            (Some(salt), None) => Some(self.metadata().digest(&digest::content(salt, &self.changes))),
            (None, Some(content)) if self.changes == ERASED => Some(self.metadata().digest(content)),
            _ => None,
        }
    }

    /// Gives the row a salt and a digest, if it has none; what the digest of its content is then.
    pub(super) fn prove(&self, connection: &mut Connection) -> Result<String> {
        if let (Some(salt), Some(_)) = (&self.salt, &self.digest) {
            return Ok(digest::content(salt, &self.changes));
        }
        let salt = digest::salt()?;
        let content = digest::content(&salt, &self.changes);
        let statement: Sql = Sql::new("UPDATE audit SET salt = ").bind(salt).push(", digest = ");
        let statement = statement.bind(self.metadata().digest(&content)).push(" WHERE row_id = ").bind(self.row_id);
        statement.push(" AND digest IS NULL").execute(connection)?;
        Ok(content)
    }
}

/// What stands in the place of changes that are erased.
pub(super) const ERASED: &str = "{}";

type Columns = (
    BigInt,
    BigInt,
    Timestamp,
    Text,
    Text,
    Text,
    Text,
    Text,
    BigInt,
    Text,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
);

/// Rows of the history `a` under a condition.
pub(super) fn rows(connection: &mut Connection, condition: Sql) -> Result<Vec<Row>> {
    let statement: Sql<Columns> = Sql::new(
        "SELECT a.row_id, a.tenant_id, a.at, a.caller, a.request_id, a.operation, a.resource_type, a.resource_id, \
         a.version, a.changes, a.salt, a.digest, a.erased FROM audit a WHERE ",
    );
    Ok(statement.append(condition).load(connection)?)
}
