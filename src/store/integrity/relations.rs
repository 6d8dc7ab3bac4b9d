//! Rows that stand for a relation between others: whether both ends are there, and of the right kind.

use chrono::NaiveDateTime;
use diesel::Queryable;
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

/// One end of a relation as a join gives it: nothing of it where there is no such resource.
#[derive(Queryable)]
struct Joined {
    tenant_id: Option<i64>,
    resource_type: Option<String>,
    id: Option<String>,
    deleted_at: Option<NaiveDateTime>,
}

type JoinedColumns = (Nullable<BigInt>, Nullable<Text>, Nullable<Text>, Nullable<Timestamp>);

/// One end of a relation that is there.
struct End {
    tenant_id: i64,
    resource_type: String,
    id: String,
    is_live: bool,
}

impl Joined {
    fn end(self) -> Option<End> {
        let Joined { tenant_id, resource_type, id, deleted_at } = self;
        Some(End { tenant_id: tenant_id?, resource_type: resource_type?, id: id?, is_live: deleted_at.is_none() })
    }
}

impl End {
    fn subject(&self) -> Subject {
        Subject { resource_type: self.resource_type.clone(), id: self.id.clone() }
    }
}

#[derive(Queryable)]
struct Membership {
    group_row_id: i64,
    member_row_id: i64,
    group: Joined,
    member: Joined,
}

type MembershipColumns = (BigInt, BigInt, JoinedColumns, JoinedColumns);

fn memberships(condition: Sql) -> Sql<MembershipColumns> {
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
    let last = last_of_full(&rows, limit).map(|row| (row.group_row_id, row.member_row_id));
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
    let Membership { group_row_id, member_row_id, group, member } = row;
    let (group, member) = (group.end(), member.end());
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

#[derive(Queryable)]
struct Unresolved {
    group_row_id: i64,
    value: String,
    group: Joined,
    /// The resource that has this value as its id.
    member: Joined,
}

type UnresolvedColumns = (BigInt, Text, JoinedColumns, JoinedColumns);

fn unresolved_members(condition: Sql) -> Sql<UnresolvedColumns> {
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
    let last = last_of_full(&rows, limit).map(|row| (row.group_row_id, row.value.clone()));
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
    let Unresolved { group_row_id, value, group, member } = row;
    let (group, member) = (group.end(), member.end());
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

/// Password hashes: of live resources alone.
pub(super) fn credentials(connection: &mut Connection, known: &Known, row_id: i64, limit: i64) -> Result<Piece<i64>> {
    let statement: Sql<(BigInt, JoinedColumns)> = Sql::new(
        "SELECT c.row_id, r.tenant_id, r.resource_type, r.id, r.deleted_at FROM credentials c \
         LEFT JOIN resources r ON r.row_id = c.row_id WHERE c.row_id > ",
    );
    let statement = statement.bind(row_id).push(" ORDER BY c.row_id LIMIT 0 + ").bind(limit);
    let rows: Vec<(i64, Joined)> = statement.load(connection)?;
    let (last, count) = (last_of_full(&rows, limit).map(|row| row.0), rows.len());
    let flaws = rows.into_iter().filter_map(|(row_id, owner)| {
        let owner = owner.end();
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

/// A key, and the user that it is bound to.
#[derive(Queryable)]
struct BoundKey {
    key_id: String,
    tenant_id: i64,
    subject_row_id: Option<i64>,
    subject: Joined,
}

type BoundKeyColumns = (Text, BigInt, Nullable<BigInt>, JoinedColumns);

/// Keys that are good: of a tenant that is there, and where they are bound, to a live resource of it.
pub(super) fn keys(connection: &mut Connection, known: &Known, now: NaiveDateTime) -> Result<Vec<Flaw>> {
    let statement: Sql<BoundKeyColumns> = Sql::new(
        "SELECT k.key_id, k.tenant_id, k.subject_row_id, r.tenant_id, r.resource_type, r.id, r.deleted_at FROM api_keys k \
         LEFT JOIN resources r ON r.row_id = k.subject_row_id \
         WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ",
    );
    let statement = statement.bind(now).push(") ORDER BY k.key_id");
    let rows: Vec<BoundKey> = statement.load(connection)?;
    let flaws = rows.into_iter().filter_map(|BoundKey { key_id, tenant_id, subject_row_id, subject }| {
        let (kind, what) = match (subject_row_id, subject.end()) {
            _ if !known.has_tenant(tenant_id) => (FlawKind::Owner, "belongs to a tenant that does not exist"),
            (None, _) => return None,
            (Some(_), None) => (FlawKind::BoundKey, "is bound to a user who does not exist"),
            (Some(_), Some(user)) if user.tenant_id != tenant_id => {
                (FlawKind::BoundKey, "is bound to a user of another tenant")
            }
            (Some(_), Some(user)) if !user.is_live => (FlawKind::BoundKey, "is bound to a user who is deleted"),
            (Some(_), Some(_)) => return None,
        };
        let detail = format!("the key {key_id} {what}");
        Some(Flaw { kind, tenant: Some(known.tenant(tenant_id)), subject: None, detail, cure: Cure::None })
    });
    Ok(flaws.collect())
}
