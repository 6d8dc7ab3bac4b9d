//! A glance: a few resources with what they show of others, and what a write of one has to know, by one statement, which sees
//! one moment without a transaction.
//!
//! It tells no more than a look-up needs. Where the groups are nested it tells nothing: to walk through them takes more
//! than one statement. Look-ups of one kind that wait together share a statement (`together`).

use std::collections::{BTreeSet, HashMap};
use std::mem::discriminant;

use diesel::sql_types::{BigInt, Nullable, Text};

use super::gathering::Errand;
use super::instant::Instant;
use super::line::Line;
use super::members::{self, Groups, Membership};
use super::resources::{ROW_COLUMNS, Row, RowType, StoredText};
use super::search::{self, Scope, Search};
use super::sql::Sql;
use super::tenants::{Kept, SeenTenant};
use super::{Connection, Inner};
use crate::scim::schema::ResourceType;
use crate::scim::{Error, ErrorKind, Result};

/// How many look-ups share a statement at most.
const MOST_TOGETHER: usize = 16;

/// Among which resources to look, and what to see of others.
#[derive(Debug, Clone)]
pub struct Glance {
    /// Whose resources.
    pub tenant_id: i64,
    /// The name of their type.
    pub resource_type: &'static str,
    /// Whether the groups that they are in are shown.
    pub with_groups: bool,
    /// Whether to tell what a write has to know ([`Seen::for_write`]): for look-ups alone.
    pub for_write: bool,
    /// The ids of resources of the same type whose displayNames are shown with them.
    pub named: Vec<String>,
}

/// A glance at the one live resource that has something for itself.
#[derive(Debug, Clone)]
pub struct LookUp {
    /// Among which resources.
    pub glance: Glance,
    /// What it has.
    pub whose: Whose,
}

/// What one live resource has for itself.
#[derive(Debug, Clone)]
pub enum Whose {
    /// Its id.
    Id(String),
    /// What its type makes unique ([`search::user_name`]).
    Key(String),
}

impl Errand for LookUp {
    type Answer = Seen;

    const MOST_TOGETHER: usize = MOST_TOGETHER;

    const CLERKS: usize = 3;

    /// They wait for the processor.
    const KINDS_APART: bool = false;

    fn is_like(&self, other: &LookUp) -> bool {
        let of = |look_up: &LookUp| {
            let Glance { tenant_id, resource_type, with_groups, for_write, .. } = look_up.glance;
            (tenant_id, resource_type, with_groups, for_write, discriminant(&look_up.whose))
        };
        of(self) == of(other)
    }

    fn line(store: &Inner) -> &Line {
        &store.reads
    }

    fn carry_out(store: &Inner, look_ups: &[&LookUp]) -> Result<Vec<Option<Seen>>> {
        store.ask(|connection| together(connection, look_ups))
    }

    /// Perhaps one of them asks what no database takes.
    fn may_be_of_one(failure: &Error) -> bool {
        failure.kind() == ErrorKind::Internal
    }
}

impl Whose {
    fn value(&self) -> &str {
        let (Whose::Id(value) | Whose::Key(value)) = self;
        value
    }
}

/// What a glance sees.
#[derive(Debug)]
pub struct Seen {
    /// The resources, in the order of creation.
    pub resources: Vec<StoredText>,
    /// The groups that they are in.
    pub groups: Groups,
    /// The displayNames of those named that are live, by id.
    pub named: HashMap<String, Option<String>>,
    /// What the tenant was like, and the edition of the one resource.
    for_write: Option<(Kept, i64)>,
}

impl Seen {
    /// What a write has to know of a resource that was looked up: what its tenant, that of this number, was like, and its edition,
    /// by which PostgreSQL tells each state of a row from all others (`xmin`). `None` if that was not asked for, and if resources
    /// of this type may not be written there.
    pub fn for_write(&self, tenant_id: i64, resource_type: &ResourceType) -> Option<(SeenTenant, i64)> {
        let (kept, edition) = self.for_write.clone()?;
        let tenant = SeenTenant::of(tenant_id, kept, resource_type).ok()?;
        Some((tenant, edition))
    }
}

/// What a row of the answer stands for.
const GROUP: i64 = 1;
const NAMED: i64 = 2;
const TENANT: i64 = 3;

/// What it is; the resource, the group, the one that is named or the tenant; of a group the row of the member, and the row of a
/// group that lists it; of a resource its edition, and the value that it was looked for by.
type AnswerType = (BigInt, RowType, Nullable<BigInt>, Nullable<BigInt>, Nullable<Text>);
type Answer = (i64, Row, Option<i64>, Option<i64>, Option<String>);

/// What a statement has told.
#[derive(Default)]
struct Told {
    /// With what each was looked for by, and its edition.
    resources: Vec<(String, StoredText, Option<i64>)>,
    /// By the row of the member.
    memberships: HashMap<i64, Vec<Membership>>,
    named: HashMap<String, Option<String>>,
    tenant: Option<Kept>,
}

impl Glance {
    /// The resources that match, at most `limit` of them; `None` if one statement can't tell.
    ///
    /// # Errors
    /// Database failures.
    pub fn at_those(
        &self,
        connection: &mut Connection,
        search: &Search<'_>,
        scope: &Scope<'_>,
        limit: i64,
    ) -> Result<Option<Seen>> {
        let rows = search::rows_of("r.id", connection, search, scope, limit);
        let named = self.named.iter().map(String::as_str).collect();
        let Told { mut resources, memberships, named, .. } = self.ask(connection, rows, &named)?;
        let groups = members::groups_of_direct(memberships.into_values().flatten().collect());
        resources.sort_unstable_by_key(|(_, stored, _)| stored.row_id);
        let resources = resources.into_iter().map(|(_, stored, _)| stored).collect();
        Ok(groups.map(|groups| Seen { resources, groups, named, for_write: None }))
    }

    fn ask(&self, connection: &mut Connection, rows: Sql, named: &BTreeSet<&str>) -> Result<Told> {
        let mut told = Told::default();
        let answers: Vec<Answer> = self.statement(rows, named).load(connection)?;
        for (kind, row, member_row_id, beyond, wanted) in answers {
            match (kind, member_row_id) {
                (GROUP, Some(member_row_id)) => {
                    let memberships = told.memberships.entry(member_row_id).or_default();
                    memberships.push(membership(row, member_row_id, beyond));
                }
                (NAMED, _) => drop(told.named.insert(row.1, row.7)),
                (TENANT, _) => told.tenant = Some(tenant(row)),
                (_, edition) => {
                    told.resources.push((wanted.unwrap_or_default(), StoredText::from(row), edition));
                }
            }
        }
        Ok(told)
    }

    /// `rows`, which have what they are wanted by beside them, UNION ALL the groups of these UNION ALL the tenant UNION ALL
    /// those who are named.
    fn statement(&self, rows: Sql, named: &BTreeSet<&str>) -> Sql<AnswerType> {
        let statement: Sql<AnswerType> = Sql::new("WITH f AS MATERIALIZED (").append(rows);
        let mut statement = statement.push(
            ") SELECT CAST(0 AS BIGINT), f.row_id, f.id, f.resource_type, f.document, f.version, f.created_at, \
             f.modified_at, f.name, f.deleted_at, f.deleted_by, ",
        );
        statement = statement.push(if self.for_write { "f.edition" } else { "CAST(NULL AS BIGINT)" });
        statement = statement.push(", CAST(NULL AS BIGINT), f.wanted FROM f");
        if self.with_groups {
            statement = statement.push(
                " UNION ALL SELECT 1, g.row_id, g.id, '', '', 0, g.created_at, g.modified_at, g.display_name, NULL, NULL, \
                 gm.member_row_id, (SELECT n.group_row_id FROM group_members n WHERE n.member_row_id = g.row_id LIMIT 1), \
                 NULL FROM f JOIN group_members gm ON gm.member_row_id = f.row_id \
                 JOIN resources g ON g.row_id = gm.group_row_id",
            );
        }
        if self.for_write {
            statement = statement.push(
                " UNION ALL SELECT 3, 0, '', '', t.settings, 0, t.created_at, t.created_at, t.schemas, t.deleted_at, NULL, \
                 NULL, NULL, NULL FROM tenants t WHERE t.tenant_id = ",
            );
            statement = statement.bind(self.tenant_id);
        }
        if named.is_empty() {
            return statement;
        }
        let statement = statement.push(
            " UNION ALL SELECT 2, m.row_id, m.id, '', '', 0, m.created_at, m.modified_at, m.display_name, NULL, NULL, \
             NULL, NULL, NULL FROM resources m WHERE m.deleted_at IS NULL AND m.tenant_id + 0 = ",
        );
        let statement = statement.bind(self.tenant_id).push(" AND m.resource_type || '' = ").bind(self.resource_type);
        among(statement.push(" AND m.id IN ("), named).push(")")
    }
}

/// The row of a group stands in that of the resource, and its displayName in the name.
fn membership(row: Row, member_row_id: i64, beyond: Option<i64>) -> Membership {
    let (group_row_id, id, _, _, _, _, _, display_name, ..) = row;
    (member_row_id, group_row_id, id, display_name, beyond)
}

/// The settings of a tenant stand in the place of a document, and the forms of its data in that of the name.
fn tenant(row: Row) -> Kept {
    let (_, _, _, settings, _, _, _, forms, deleted_at, _) = row;
    (settings, forms.unwrap_or_default(), deleted_at.map(|Instant(at)| at))
}

/// What look-ups of one kind ([`Errand::is_like`]) see, in their order, by one statement; `None` for one of which it can't
/// tell.
///
/// # Errors
/// Database failures.
pub(super) fn together(connection: &mut Connection, look_ups: &[&LookUp]) -> Result<Vec<Option<Seen>>> {
    let Some(LookUp { glance, whose }) = look_ups.first() else { return Ok(Vec::new()) };
    let wanted: BTreeSet<&str> = look_ups.iter().map(|look_up| look_up.whose.value()).collect();
    let named: BTreeSet<&str> = look_ups.iter().flat_map(|look_up| &look_up.glance.named).map(String::as_str).collect();
    let told = glance.ask(connection, rows_of(glance, whose, &wanted), &named)?;
    let found: HashMap<&str, (&StoredText, Option<i64>)> =
        told.resources.iter().map(|(wanted, stored, edition)| (wanted.as_str(), (stored, *edition))).collect();
    let seen = |look_up: &&LookUp| {
        let (stored, edition) = found.get(look_up.whose.value()).copied().unzip();
        let memberships = stored.and_then(|stored| told.memberships.get(&stored.row_id)).cloned().unwrap_or_default();
        let named = look_up.glance.named.iter().filter_map(|id| told.named.get_key_value(id));
        Some(Seen {
            resources: stored.cloned().into_iter().collect(),
            groups: members::groups_of_direct(memberships)?,
            named: named.map(|(id, name)| (id.clone(), name.clone())).collect(),
            for_write: told.tenant.clone().zip(edition.flatten()),
        })
    };
    Ok(look_ups.iter().map(seen).collect())
}

/// The live resources with one of these values, which stands beside each.
///
/// An id finds its row alone. For an empty store PostgreSQL would rather take an index over tenant and type, keep that plan, and
/// read all of them when there are many: so these are written as no index has them.
fn rows_of(glance: &Glance, whose: &Whose, wanted: &BTreeSet<&str>) -> Sql {
    let (column, tenant, resource_type) = match whose {
        Whose::Id(_) => ("r.id", " AND r.tenant_id + 0 = ", " AND r.resource_type || '' = "),
        Whose::Key(_) => ("r.unique_key", " AND r.tenant_id = ", " AND r.resource_type = "),
    };
    let statement = Sql::new("SELECT ").push(ROW_COLUMNS);
    let statement = statement.push(if glance.for_write { EDITION } else { "" }).push(", ").push(column);
    let statement = statement.push(" AS wanted FROM resources r WHERE r.deleted_at IS NULL").push(tenant);
    let statement = statement.bind(glance.tenant_id).push(resource_type).bind(glance.resource_type);
    among(statement.push(" AND ").push(column).push(" IN ("), wanted).push(")")
}

const EDITION: &str = ", CAST(CAST(r.xmin AS TEXT) AS BIGINT) AS edition";

/// Appends the values as a list of one of a few lengths, so that the statement stays prepared; the last one stands for those
/// that are missing.
fn among<Row>(statement: Sql<Row>, values: &BTreeSet<&str>) -> Sql<Row> {
    let length = [1, 4, MOST_TOGETHER].into_iter().find(|length| *length >= values.len());
    let fill = std::iter::repeat_n(values.last(), length.unwrap_or_default().saturating_sub(values.len())).flatten();
    let statement = statement.bind_list(values.iter().chain(fill).copied());
    if length.is_some() { statement } else { statement.uncached() }
}
