//! A glance: a few resources with what they show of others, by one statement, which sees one moment without a transaction.
//!
//! It tells no more than a look-up needs. Where the groups are nested it tells nothing: to walk through them takes more
//! than one statement.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Nullable};

use super::Connection;
use super::members::{self, GroupOf, Membership};
use super::resources::{self, Row, RowType, StoredText};
use super::search::{self, Scope, Search};
use super::sql::Sql;
use crate::scim::Result;

/// Whom to look for, and what to see of others.
#[derive(Debug)]
pub struct Glance<'a> {
    /// Whose resources.
    pub tenant_id: i64,
    /// The name of their type.
    pub resource_type: &'a str,
    /// Whether the groups that they are in are shown.
    pub with_groups: bool,
    /// The ids of resources of the same type whose displayNames are shown with them.
    pub named: &'a [String],
}

/// What a glance sees.
#[derive(Debug)]
pub struct Seen {
    /// The resources, in the order of creation.
    pub resources: Vec<StoredText>,
    /// The groups that they are in, by row, as [`members::groups_of`] tells them.
    pub groups: HashMap<i64, Vec<GroupOf>>,
    /// The displayNames of those named that are live, by id.
    pub named: HashMap<String, Option<String>>,
}

/// What a row of the answer stands for.
const GROUP: i64 = 1;
const NAMED: i64 = 2;

/// What it is; the resource, the group or the one that is named; of a group the row of the member, and the row of a group
/// that lists it.
type GlanceType = (BigInt, RowType, Nullable<BigInt>, Nullable<BigInt>);

impl Glance<'_> {
    /// The live resource of that id; `None` if one statement can't tell.
    ///
    /// # Errors
    /// Database failures.
    pub fn at(&self, connection: &mut Connection, id: &str) -> Result<Option<Seen>> {
        self.look(connection, resources::row_of(self.tenant_id, self.resource_type, id))
    }

    /// The resources of one type that match, at most `limit` of them; `None` if one statement can't tell.
    ///
    /// # Errors
    /// Database failures.
    pub fn for_those(
        &self,
        connection: &mut Connection,
        search: &Search<'_>,
        scope: &Scope<'_>,
        limit: i64,
    ) -> Result<Option<Seen>> {
        let rows = search::rows_of(connection, search, scope, limit);
        self.look(connection, rows)
    }

    fn look(&self, connection: &mut Connection, rows: Sql<RowType>) -> Result<Option<Seen>> {
        let (mut resources, mut memberships, mut named) = (Vec::new(), Vec::new(), HashMap::new());
        let answer: Vec<(i64, Row, Option<i64>, Option<i64>)> = self.statement(rows).load(connection)?;
        for (kind, row, member_row_id, beyond) in answer {
            match (kind, member_row_id) {
                (GROUP, Some(member_row_id)) => memberships.push(membership(row, member_row_id, beyond)),
                (NAMED, _) => drop(named.insert(row.1, row.7)),
                _ => resources.push(StoredText::from(row)),
            }
        }
        resources.sort_unstable_by_key(|stored: &StoredText| stored.row_id);
        let groups = members::groups_of_direct(memberships);
        Ok(groups.map(|groups| Seen { resources, groups, named }))
    }

    /// `rows` UNION ALL the groups of these UNION ALL those who are named.
    fn statement(&self, rows: Sql<RowType>) -> Sql<GlanceType> {
        let statement: Sql<GlanceType> = Sql::new("WITH f AS MATERIALIZED (").append(rows);
        let mut statement = statement.push(
            ") SELECT CAST(0 AS BIGINT), f.row_id, f.id, f.resource_type, f.document, f.version, f.created_at, \
             f.modified_at, f.name, f.deleted_at, f.deleted_by, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT) FROM f",
        );
        if self.with_groups {
            statement = statement.push(
                " UNION ALL SELECT 1, g.row_id, g.id, '', '', 0, g.created_at, g.modified_at, g.display_name, NULL, NULL, \
                 gm.member_row_id, (SELECT n.group_row_id FROM group_members n WHERE n.member_row_id = g.row_id LIMIT 1) \
                 FROM f JOIN group_members gm ON gm.member_row_id = f.row_id JOIN resources g ON g.row_id = gm.group_row_id",
            );
        }
        if self.named.is_empty() {
            return statement;
        }
        let statement = statement.push(
            " UNION ALL SELECT 2, m.row_id, m.id, '', '', 0, m.created_at, m.modified_at, m.display_name, NULL, NULL, \
             NULL, NULL FROM resources m WHERE m.tenant_id = ",
        );
        let statement = statement.bind(self.tenant_id).push(" AND m.deleted_at IS NULL AND m.resource_type = ");
        let statement = statement.bind(self.resource_type).push(" AND m.id IN (");
        let statement = statement.bind_list(self.named.iter().map(String::as_str)).push(")");
        if self.named.len() == 1 { statement } else { statement.uncached() }
    }
}

/// The row of a group stands in that of the resource, and its displayName in the name.
fn membership(row: Row, member_row_id: i64, beyond: Option<i64>) -> Membership {
    let (group_row_id, id, _, _, _, _, _, display_name, ..) = row;
    (member_row_id, group_row_id, id, display_name, beyond)
}
