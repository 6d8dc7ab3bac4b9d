//! Rows that stand for a relation between others: whether both ends are there, and of the right kind.

use chrono::NaiveDateTime;
use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::flaw::{Cure, Flaw, FlawKind, Subject};
use super::known::{Known, has_members, may_be_member};
use crate::scim::Result;
use crate::store::sql::Sql;
use crate::store::{Connection, totals};

/// The flaws among some rows of a table, and the last of these rows; `None` at the end.
pub(super) struct Piece<Last> {
    pub flaws: Vec<Flaw>,
    pub last: Option<Last>,
    pub rows: usize,
}

/// The last row of a piece that is as large as asked; the end is where there are fewer. Whoever went on until there are
/// none would never arrive while others add behind him.
pub(super) fn last_of_full<T>(rows: &[T], limit: i64) -> Option<&T> {
    rows.last().filter(|_| rows.len() as i64 >= limit)
}

/// One end of a relation, as far as it is there.
struct End {
    tenant_id: i64,
    resource_type: String,
    id: String,
    is_live: bool,
}

type EndColumns = (Option<i64>, Option<String>, Option<String>, Option<NaiveDateTime>);

fn end((tenant_id, resource_type, id, deleted_at): EndColumns) -> Option<End> {
    Some(End { tenant_id: tenant_id?, resource_type: resource_type?, id: id?, is_live: deleted_at.is_none() })
}

impl End {
    fn subject(&self) -> Subject {
        Subject { resource_type: self.resource_type.clone(), id: self.id.clone() }
    }
}

type MembershipType = (
    BigInt,
    BigInt,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Timestamp>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Timestamp>,
);
type Membership = (
    i64,
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<NaiveDateTime>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<NaiveDateTime>,
);

fn memberships(condition: Sql) -> Sql<MembershipType> {
    let statement = Sql::new(
        "SELECT gm.group_row_id, gm.member_row_id, g.tenant_id, g.resource_type, g.id, g.deleted_at, \
         m.tenant_id, m.resource_type, m.id, m.deleted_at FROM group_members gm \
         LEFT JOIN resources g ON g.row_id = gm.group_row_id \
         LEFT JOIN resources m ON m.row_id = gm.member_row_id WHERE ",
    );
    statement.append(condition)
}

/// Memberships: a live group, and a live member of its tenant of a type that groups may have.
pub(super) fn members(
    connection: &mut Connection,
    known: &Known,
    (group_row_id, member_row_id): (i64, i64),
    limit: i64,
) -> Result<Piece<(i64, i64)>> {
    let condition = Sql::new("(gm.group_row_id, gm.member_row_id) > (").bind(group_row_id).push(", ");
    let condition = condition.bind(member_row_id).push(") ORDER BY gm.group_row_id, gm.member_row_id LIMIT 0 + ");
    let rows: Vec<Membership> = memberships(condition.bind(limit)).load(connection)?;
    let last = last_of_full(&rows, limit).map(|row| (row.0, row.1));
    let count = rows.len();
    let flaws = rows.into_iter().filter_map(|row| membership_flaw(known, row)).collect();
    Ok(Piece { flaws, last, rows: count })
}

/// What is wrong with one membership, if it is there and anything is.
pub(super) fn member(
    connection: &mut Connection,
    known: &Known,
    (group_row_id, member_row_id): (i64, i64),
) -> Result<Option<Flaw>> {
    let condition = Sql::new("gm.group_row_id = ").bind(group_row_id).push(" AND gm.member_row_id = ");
    let rows: Vec<Membership> = memberships(condition.bind(member_row_id)).load(connection)?;
    Ok(rows.into_iter().find_map(|row| membership_flaw(known, row)))
}

fn membership_flaw(known: &Known, row: Membership) -> Option<Flaw> {
    let (group_row_id, member_row_id, ..) = row;
    let (_, _, g_tenant, g_type, g_id, g_deleted, m_tenant, m_type, m_id, m_deleted) = row;
    let (group, member) = (end((g_tenant, g_type, g_id, g_deleted)), end((m_tenant, m_type, m_id, m_deleted)));
    // What is kept for other schemas is judged by those who know them.
    let is_known =
        |end: &Option<End>| end.as_ref().is_none_or(|end| known.place(end.tenant_id, &end.resource_type).is_some());
    let is_leaving = |end: &Option<End>| end.as_ref().is_some_and(|end| known.is_leaving(end.tenant_id));
    if !is_known(&group) || is_leaving(&group) || is_leaving(&member) {
        return None;
    }
    let (detail, keeps_name) = match (&group, &member) {
        (None, _) => ("a membership in a group that does not exist", false),
        (Some(group), _) if !group.is_live => ("a membership in a group that is deleted", false),
        (Some(group), _) if !has_members(known.registry, &group.resource_type) => {
            ("a membership in what is no group", false)
        }
        (Some(_), None) => ("a member that does not exist", false),
        (Some(group), Some(member)) if member.tenant_id != group.tenant_id => ("a member of another tenant", false),
        (Some(_), Some(member)) if !member.is_live => ("a member that is deleted", false),
        (Some(group), Some(member)) if !may_be_member(known.registry, &group.resource_type, &member.resource_type) => {
            ("a member of a type that groups do not have", true)
        }
        _ => return None,
    };
    let tenant_id = group.as_ref().or(member.as_ref()).map(|end| end.tenant_id);
    Some(Flaw {
        kind: FlawKind::Membership,
        tenant: tenant_id.map(|tenant_id| known.tenant(tenant_id)),
        subject: group.as_ref().or(member.as_ref()).map(End::subject),
        detail: detail.to_owned(),
        cure: Cure::Membership { group_row_id, member_row_id, unresolve: keeps_name },
    })
}

type UnresolvedType = (
    BigInt,
    Text,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Timestamp>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Timestamp>,
);
type Unresolved = (
    i64,
    String,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<NaiveDateTime>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<NaiveDateTime>,
);

fn unresolved_members(condition: Sql) -> Sql<UnresolvedType> {
    let statement = Sql::new(
        "SELECT u.group_row_id, u.value, g.tenant_id, g.resource_type, g.id, g.deleted_at, \
         m.tenant_id, m.resource_type, m.id, m.deleted_at FROM unresolved_members u \
         LEFT JOIN resources g ON g.row_id = u.group_row_id LEFT JOIN resources m ON m.id = u.value WHERE ",
    );
    statement.append(condition)
}

/// Unresolved members: of a group, deleted or not, and of no resource that a live group could have.
pub(super) fn unresolved(
    connection: &mut Connection,
    known: &Known,
    (group_row_id, value): (i64, &str),
    limit: i64,
) -> Result<Piece<(i64, String)>> {
    let condition = Sql::new("(u.group_row_id, u.value) > (").bind(group_row_id).push(", ").bind(value);
    let condition = condition.push(") ORDER BY u.group_row_id, u.value LIMIT 0 + ").bind(limit);
    let rows: Vec<Unresolved> = unresolved_members(condition).load(connection)?;
    let last = last_of_full(&rows, limit).map(|row| (row.0, row.1.clone()));
    let count = rows.len();
    let flaws = rows.into_iter().filter_map(|row| unresolved_flaw(known, row)).collect();
    Ok(Piece { flaws, last, rows: count })
}

/// What is wrong with one unresolved member, if it is there and anything is.
pub(super) fn unresolved_member(
    connection: &mut Connection,
    known: &Known,
    (group_row_id, value): (i64, &str),
) -> Result<Option<Flaw>> {
    let condition = Sql::new("u.group_row_id = ").bind(group_row_id).push(" AND u.value = ").bind(value);
    let rows: Vec<Unresolved> = unresolved_members(condition).load(connection)?;
    Ok(rows.into_iter().find_map(|row| unresolved_flaw(known, row)))
}

fn unresolved_flaw(known: &Known, row: Unresolved) -> Option<Flaw> {
    let (group_row_id, value, g_tenant, g_type, g_id, g_deleted, m_tenant, m_type, m_id, m_deleted) = row;
    let (group, member) = (end((g_tenant, g_type, g_id, g_deleted)), end((m_tenant, m_type, m_id, m_deleted)));
    let cure = |resolve| Cure::Unresolved { group_row_id, value: value.clone(), resolve };
    let Some(group) = group else {
        return Some(Flaw {
            kind: FlawKind::UnresolvedMember,
            tenant: None,
            subject: None,
            detail: "an unresolved member of a group that does not exist".to_owned(),
            cure: cure(false),
        });
    };
    known.place(group.tenant_id, &group.resource_type).filter(|_| !known.is_leaving(group.tenant_id))?;
    let is_group = has_members(known.registry, &group.resource_type);
    let is_there = member.is_some_and(|member| {
        let fits = may_be_member(known.registry, &group.resource_type, &member.resource_type);
        fits && member.is_live && member.tenant_id == group.tenant_id
    });
    let (detail, resolve) = match (is_group, group.is_live && is_there) {
        (false, _) => ("an unresolved member of what is no group", false),
        (true, true) => ("a member that is kept as unresolved, and exists", true),
        (true, false) => return None,
    };
    Some(Flaw {
        kind: FlawKind::UnresolvedMember,
        tenant: Some(known.tenant(group.tenant_id)),
        subject: Some(group.subject()),
        detail: detail.to_owned(),
        cure: cure(resolve),
    })
}

/// A row id, and the tenant, type, id and deletion of the resource that it should be of.
type OwnerColumns = (BigInt, Nullable<BigInt>, Nullable<Text>, Nullable<Text>, Nullable<Timestamp>);
type OwnerRow = (i64, Option<i64>, Option<String>, Option<String>, Option<NaiveDateTime>);

/// Password hashes: of live resources alone.
pub(super) fn credentials(connection: &mut Connection, known: &Known, row_id: i64, limit: i64) -> Result<Piece<i64>> {
    let statement: Sql<OwnerColumns> = Sql::new(
        "SELECT c.row_id, r.tenant_id, r.resource_type, r.id, r.deleted_at FROM credentials c \
         LEFT JOIN resources r ON r.row_id = c.row_id WHERE c.row_id > ",
    );
    let statement = statement.bind(row_id).push(" ORDER BY c.row_id LIMIT 0 + ").bind(limit);
    let rows: Vec<OwnerRow> = statement.load(connection)?;
    let (last, count) = (last_of_full(&rows, limit).map(|row| row.0), rows.len());
    let flaws = rows.into_iter().filter_map(|(row_id, tenant_id, resource_type, id, deleted_at)| {
        let owner = end((tenant_id, resource_type, id, deleted_at));
        let detail = match &owner {
            Some(owner) if owner.is_live => return None,
            Some(_) => "a password hash of a resource that is deleted",
            None => "a password hash of a resource that does not exist",
        };
        Some(Flaw {
            kind: FlawKind::Credential,
            tenant: owner.as_ref().map(|owner| known.tenant(owner.tenant_id)),
            subject: owner.as_ref().map(End::subject),
            detail: detail.to_owned(),
            cure: Cure::Credential { row_id },
        })
    });
    Ok(Piece { flaws: flaws.collect(), last, rows: count })
}

/// Notes of when `lastModified` moved: of resources that are there, deleted or not.
pub(super) fn touches(
    connection: &mut Connection,
    (row_id, at): (i64, NaiveDateTime),
    limit: i64,
) -> Result<Piece<(i64, NaiveDateTime)>> {
    let statement: Sql<(BigInt, Timestamp, Nullable<BigInt>)> = Sql::new(
        "SELECT t.row_id, t.at, r.row_id FROM touches t LEFT JOIN resources r ON r.row_id = t.row_id \
         WHERE (t.row_id, t.at) > (",
    );
    let statement = statement.bind(row_id).push(", ").bind(at).push(") ORDER BY t.row_id, t.at LIMIT 0 + ");
    let rows: Vec<(i64, NaiveDateTime, Option<i64>)> = statement.bind(limit).load(connection)?;
    let last = last_of_full(&rows, limit).map(|row| (row.0, row.1));
    let orphans = rows.iter().filter(|row| row.2.is_none());
    let flaws = orphans.map(|(row_id, at, _)| Flaw {
        kind: FlawKind::Touch,
        tenant: None,
        subject: None,
        detail: "a time of modification of a resource that does not exist".to_owned(),
        cure: Cure::Touch { row_id: *row_id, at: *at },
    });
    Ok(Piece { flaws: flaws.collect(), last, rows: rows.len() })
}

/// Events that wait for delivery: of changes that the history has.
pub(super) fn events(connection: &mut Connection, row_id: i64, limit: i64) -> Result<Piece<i64>> {
    let statement: Sql<(BigInt, Nullable<BigInt>)> = Sql::new(
        "SELECT o.row_id, a.row_id FROM outbox o LEFT JOIN audit a ON a.row_id = o.audit_row_id WHERE o.row_id > ",
    );
    let statement = statement.bind(row_id).push(" ORDER BY o.row_id LIMIT 0 + ").bind(limit);
    let rows: Vec<(i64, Option<i64>)> = statement.load(connection)?;
    let last = last_of_full(&rows, limit).map(|row| row.0);
    let orphans = rows.iter().filter(|row| row.1.is_none());
    let flaws = orphans.map(|(row_id, _)| Flaw {
        kind: FlawKind::Event,
        tenant: None,
        subject: None,
        detail: "an event of a change that the history does not have".to_owned(),
        cure: Cure::Event { row_id: *row_id },
    });
    Ok(Piece { flaws: flaws.collect(), last, rows: rows.len() })
}

/// What is kept of the number of live resources, of the tenant and type behind this one.
pub(super) fn count(connection: &mut Connection, known: &Known, after: &(i64, String)) -> Result<Piece<(i64, String)>> {
    let Some((tenant_id, resource_type)) = totals::kind_after(connection, after)? else {
        return Ok(Piece { flaws: Vec::new(), last: None, rows: 0 });
    };
    let mut flaws = Vec::new();
    let is_judged = known.has_tenant(tenant_id) && !known.is_leaving(tenant_id);
    if is_judged && totals::is_wrong(connection, tenant_id, &resource_type)? {
        flaws.push(Flaw {
            kind: FlawKind::Count,
            tenant: Some(known.tenant(tenant_id)),
            subject: None,
            detail: format!("the number that is kept of the live resources of the type {resource_type} is another one"),
            cure: Cure::Count { tenant_id, resource_type: resource_type.clone() },
        });
    }
    Ok(Piece { flaws, last: Some((tenant_id, resource_type)), rows: 1 })
}

/// A key with its tenant and row of its user, and the tenant and deletion of that user.
type KeyColumns = (Text, BigInt, Nullable<BigInt>, Nullable<BigInt>, Nullable<Timestamp>);
type KeyRow = (String, i64, Option<i64>, Option<i64>, Option<NaiveDateTime>);

/// Keys that are good: of a tenant that is there, and where they are bound, to a live resource of it.
pub(super) fn keys(connection: &mut Connection, known: &Known, now: NaiveDateTime) -> Result<Vec<Flaw>> {
    let statement: Sql<KeyColumns> = Sql::new(
        "SELECT k.key_id, k.tenant_id, k.subject_row_id, r.tenant_id, r.deleted_at FROM api_keys k \
         LEFT JOIN resources r ON r.row_id = k.subject_row_id \
         WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ",
    );
    let statement = statement.bind(now).push(") ORDER BY k.key_id");
    let rows: Vec<KeyRow> = statement.load(connection)?;
    let flaws = rows.into_iter().filter_map(|(key_id, tenant_id, subject, subject_tenant, deleted_at)| {
        let (kind, what) = match (known.has_tenant(tenant_id), subject, subject_tenant) {
            (false, ..) => (FlawKind::Owner, "belongs to a tenant that does not exist"),
            (true, Some(_), None) => (FlawKind::BoundKey, "is bound to a user who does not exist"),
            (true, Some(_), Some(other)) if other != tenant_id => {
                (FlawKind::BoundKey, "is bound to a user of another tenant")
            }
            (true, Some(_), _) if deleted_at.is_some() => (FlawKind::BoundKey, "is bound to a user who is deleted"),
            _ => return None,
        };
        let detail = format!("the key {key_id} {what}");
        Some(Flaw { kind, tenant: Some(known.tenant(tenant_id)), subject: None, detail, cure: Cure::None })
    });
    Ok(flaws.collect())
}
