//! A row of the history with all that is proven of it, as it is kept, which may be anything.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamp};

use super::digest::{self, Metadata};
use crate::scim::Result;
use crate::store::sql::Sql;
use crate::store::{Connection, error};

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
    /// Whether each column holds a value of its own type, written as ours are. One of another type escapes searches.
    is_plain: bool,
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

    /// The digest of what the row says; `None` if it has neither a salt nor what an erasure leaves, or is not written as
    /// rows are.
    pub(super) fn proven(&self) -> Option<String> {
        match (&self.salt, &self.erased) {
            _ if !self.is_plain => None,
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
    Bool,
);

/// SQLite takes any value in any column, and compares those of different types by their types.
const IS_PLAIN_IN_SQLITE: &str = "typeof(a.tenant_id) = 'integer' AND typeof(a.version) = 'integer' \
     AND typeof(a.at) = 'text' AND a.at GLOB '????-??-?? ??:??:??*' AND substr(a.at, 20) NOT GLOB '*[^.0-9]*' \
     AND typeof(a.caller) = 'text' AND typeof(a.request_id) = 'text' AND typeof(a.operation) = 'text' \
     AND typeof(a.resource_type) = 'text' AND typeof(a.resource_id) = 'text' AND typeof(a.changes) = 'text'";

/// Rows of the history `a` under a condition.
pub(super) fn rows(connection: &mut Connection, condition: Sql) -> Result<Vec<Row>> {
    let statement: Sql<Columns> = Sql::new(
        "SELECT a.row_id, a.tenant_id, a.at, a.caller, a.request_id, a.operation, a.resource_type, a.resource_id, \
         a.version, a.changes, a.salt, a.digest, a.erased, ",
    );
    let statement = statement.push(if connection.keeps_types() { "TRUE" } else { IS_PLAIN_IN_SQLITE });
    Ok(statement.push(" FROM audit a WHERE ").append(condition).load(connection)?)
}

/// Rows from `first` to `last`, at most `limit`, in the order of their ids; nothing in the place of one that can't be read.
pub(super) fn rows_between(
    connection: &mut Connection,
    first: i64,
    last: i64,
    limit: i64,
) -> Result<Vec<(i64, Option<Row>)>> {
    let condition = Sql::new("a.row_id >= ").bind(first).push(" AND a.row_id <= ").bind(last);
    let condition = condition.push(" ORDER BY a.row_id LIMIT ").bind(limit);
    let ids = Sql::new("SELECT a.row_id FROM audit a WHERE ").append(condition.clone());
    let found = rows(connection, condition);
    let one = |connection: &mut Connection, row_id| rows(connection, Sql::new("a.row_id = ").bind(row_id));
    one_by_one(connection, found, |row| row.row_id, ids, one)
}

/// What was found, or, where some of it can't be read, what of it can be: a column of the rest holds what its type does
/// not have. Rows without a reading stand there by their ids alone.
pub(super) fn one_by_one<T>(
    connection: &mut Connection,
    found: Result<Vec<T>>,
    id_of: impl Fn(&T) -> i64,
    ids: Sql<BigInt>,
    one: impl Fn(&mut Connection, i64) -> Result<Vec<T>>,
) -> Result<Vec<(i64, Option<T>)>> {
    match found {
        Err(error) if error::is_unreadable(&error) => {}
        found => return Ok(found?.into_iter().map(|row| (id_of(&row), Some(row))).collect()),
    }
    let ids: Vec<i64> = ids.load(connection)?;
    let read = |row_id| match one(connection, row_id) {
        Err(error) if error::is_unreadable(&error) => Ok((row_id, None)),
        found => Ok((row_id, found?.pop())),
    };
    ids.into_iter().map(read).collect()
}
