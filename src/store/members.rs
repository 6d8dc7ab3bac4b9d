//! Group membership as rows, read from both ends: `members` of a group, `groups` of a user.
//!
//! A member that no live resource has is kept beside them as an *unresolved* member: one stale id must not fail a
//! message of a thousand, and nothing is dropped silently.

mod nesting;

use std::collections::{HashMap, HashSet};

use chrono::NaiveDateTime;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamp};

pub use nesting::{GroupOf, Groups, groups_of};
pub(super) use nesting::{Membership, groups_of_direct};

use super::Connection;
use super::sql::Sql;
use super::statement::is_one_by_one;
use crate::scim::Result;

/// A member as a group shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id of the member.
    pub value: String,
    /// The resource type and the displayName of a live member; `None` for an unresolved one.
    pub resource: Option<MemberResource>,
}

/// What a group shows of a live member beside its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberResource {
    /// The name of the resource type.
    pub resource_type: String,
    /// Its displayName.
    pub display: Option<String>,
}

impl Member {
    fn live(value: String, resource_type: String, display: Option<String>) -> Member {
        Member { value, resource: Some(MemberResource { resource_type, display }) }
    }
}

/// A live resource that an id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its row.
    pub row_id: i64,
    /// The name of its resource type.
    pub resource_type: String,
}

/// The live resources of a tenant with these ids; ids without one are missing from the result. Within a write: a
/// resource that is being deleted or restored at the moment is waited for, so that nobody becomes a member who is just
/// leaving, nor an unresolved one who is just coming back; and nobody comes back before the caller has said who is
/// unresolved.
///
/// # Errors
/// Database failures.
pub fn resolve(connection: &mut Connection, tenant_id: i64, ids: &[&str]) -> Result<HashMap<String, Target>> {
    let mut targets = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let statement: Sql<(Text, BigInt, Text, Nullable<Timestamp>)> =
            Sql::new("SELECT r.id, r.row_id, r.resource_type, r.deleted_at FROM resources r WHERE r.tenant_id = ");
        let statement = statement
            .bind(tenant_id)
            .push(" AND r.id IN (")
            .bind_list(chunk.iter().copied())
            .push(") ORDER BY r.row_id")
            .push(connection.reference_clause());
        let rows: Vec<(String, i64, String, Option<NaiveDateTime>)> = kept(statement, chunk).load(connection)?;
        let live = rows.into_iter().filter(|(.., deleted_at)| deleted_at.is_none());
        targets.extend(live.map(|(id, row_id, resource_type, _)| (id, Target { row_id, resource_type })));
    }
    Ok(targets)
}

/// How many values one statement carries.
const CHUNK: usize = 500;

/// Keeps only full chunks and single rows as prepared statements: the texts that come again.
fn kept<Row, T>(statement: Sql<Row>, chunk: &[T]) -> Sql<Row> {
    if chunk.len() == CHUNK || chunk.len() == 1 { statement } else { statement.uncached() }
}

/// These rows as a list of one of a few lengths: pages have any number of resources, and a statement stays prepared whose
/// text comes again. The last row stands for those that are missing, which finds nothing more.
fn in_few_lengths(row_ids: &[i64]) -> impl Iterator<Item = i64> {
    let length = [1, 10, 100, CHUNK].into_iter().find(|length| *length >= row_ids.len()).unwrap_or(row_ids.len());
    let last = row_ids.last().copied();
    row_ids.iter().copied().chain(last.into_iter().cycle()).take(length)
}

/// Those of the values of which the statement changes a row. It tells by itself whether it did something: for the rows of
/// RETURNING, SQLite makes a table each time.
fn effective<T: Copy>(connection: &mut Connection, values: &[T], statement: impl Fn(T) -> Sql) -> Result<Vec<T>> {
    let mut effective = Vec::with_capacity(values.len());
    for value in values {
        if statement(*value).execute(connection)? > 0 {
            effective.push(*value);
        }
    }
    Ok(effective)
}

/// Adds members by their rows. Returns the rows that were not members before.
///
/// # Errors
/// Database failures.
pub fn add(connection: &mut Connection, group_row_id: i64, member_row_ids: &[i64]) -> Result<Vec<i64>> {
    if is_one_by_one(connection, member_row_ids.len()) {
        let insertion = |member_row_id| {
            let insertion =
                Sql::new("INSERT INTO group_members (group_row_id, member_row_id) VALUES (").bind(group_row_id);
            insertion.push(", ").bind(member_row_id).push(") ON CONFLICT DO NOTHING")
        };
        return effective(connection, member_row_ids, insertion);
    }
    let mut added = Vec::new();
    for chunk in member_row_ids.chunks(CHUNK) {
        added.extend(kept(addition(group_row_id, chunk), chunk).load::<i64>(connection)?);
    }
    Ok(added)
}

fn addition(group_row_id: i64, member_row_ids: &[i64]) -> Sql<BigInt> {
    let mut statement: Sql<BigInt> = Sql::new("INSERT INTO group_members (group_row_id, member_row_id) VALUES ");
    for (index, member_row_id) in member_row_ids.iter().enumerate() {
        statement = statement.push(if index == 0 { "(" } else { ", (" }).bind(group_row_id);
        statement = statement.push(", ").bind(*member_row_id).push(")");
    }
    statement.push(" ON CONFLICT DO NOTHING RETURNING member_row_id")
}

/// Adds members by their rows, of which the group may have the ids as unresolved members: these go. Returns the rows that
/// were not members before.
///
/// # Errors
/// Database failures.
pub fn add_resolved(connection: &mut Connection, group_row_id: i64, members: &[(i64, &str)]) -> Result<Vec<i64>> {
    let mut added = Vec::new();
    for chunk in members.chunks(CHUNK) {
        let (row_ids, ids): (Vec<i64>, Vec<&str>) = chunk.iter().copied().unzip();
        if !connection.writes_at_once() {
            remove_unresolved(connection, group_row_id, &ids)?;
            added.extend(add(connection, group_row_id, &row_ids)?);
            continue;
        }
        let statement = addition(group_row_id, &row_ids).beside([removal_of_unresolved(group_row_id, &ids)]);
        added.extend(kept(statement, chunk).load::<i64>(connection)?);
    }
    Ok(added)
}

/// Removes members by their rows. Returns the rows that were members before.
///
/// # Errors
/// Database failures.
pub fn remove(connection: &mut Connection, group_row_id: i64, member_row_ids: &[i64]) -> Result<Vec<i64>> {
    if is_one_by_one(connection, member_row_ids.len()) {
        let deletion = |member_row_id| {
            let deletion = Sql::new("DELETE FROM group_members WHERE group_row_id = ").bind(group_row_id);
            deletion.push(" AND member_row_id = ").bind(member_row_id)
        };
        return effective(connection, member_row_ids, deletion);
    }
    let mut removed = Vec::new();
    for chunk in member_row_ids.chunks(CHUNK) {
        let statement: Sql<BigInt> = Sql::new("DELETE FROM group_members WHERE group_row_id = ");
        let statement = statement
            .bind(group_row_id)
            .push(" AND member_row_id IN (")
            .bind_list(chunk.iter().copied())
            .push(") RETURNING member_row_id");
        removed.extend(kept(statement, chunk).load::<i64>(connection)?);
    }
    Ok(removed)
}

/// Adds unresolved members. Returns those that were not there before.
///
/// # Errors
/// Database failures.
pub fn add_unresolved(connection: &mut Connection, group_row_id: i64, values: &[&str]) -> Result<Vec<String>> {
    let mut added = Vec::new();
    for chunk in values.chunks(CHUNK) {
        let mut statement: Sql<Text> = Sql::new("INSERT INTO unresolved_members (group_row_id, value) VALUES ");
        for (index, value) in chunk.iter().enumerate() {
            statement = statement.push(if index == 0 { "(" } else { ", (" }).bind(group_row_id);
            statement = statement.push(", ").bind(*value).push(")");
        }
        let statement = kept(statement.push(" ON CONFLICT DO NOTHING RETURNING value"), chunk);
        added.extend(statement.load::<String>(connection)?);
    }
    Ok(added)
}

/// Removes unresolved members. Returns those that were there before.
///
/// # Errors
/// Database failures.
pub fn remove_unresolved(connection: &mut Connection, group_row_id: i64, values: &[&str]) -> Result<Vec<String>> {
    if is_one_by_one(connection, values.len()) {
        let deletion = |value| {
            let deletion = Sql::new("DELETE FROM unresolved_members WHERE group_row_id = ").bind(group_row_id);
            deletion.push(" AND value = ").bind(value)
        };
        let removed = effective(connection, values, deletion)?;
        return Ok(removed.into_iter().map(str::to_owned).collect());
    }
    let mut removed = Vec::new();
    for chunk in values.chunks(CHUNK) {
        let statement: Sql<Text> = removal_of_unresolved(group_row_id, chunk);
        removed.extend(kept(statement, chunk).load::<String>(connection)?);
    }
    Ok(removed)
}

fn removal_of_unresolved<Row>(group_row_id: i64, values: &[&str]) -> Sql<Row> {
    let statement = Sql::new("DELETE FROM unresolved_members WHERE group_row_id = ").bind(group_row_id);
    statement.push(" AND value IN (").bind_list(values.iter().copied()).push(") RETURNING value")
}

/// Which of these ids the group has as members, resolved or not. Costs what the ids cost, not what the group does.
///
/// # Errors
/// Database failures.
pub fn contains(connection: &mut Connection, group_row_id: i64, value: &str) -> Result<bool> {
    let statement: Sql<Text> =
        Sql::new("SELECT m.id FROM resources m JOIN group_members gm ON gm.member_row_id = m.row_id WHERE m.id = ");
    let statement = statement
        .bind(value)
        .push(" AND gm.group_row_id = ")
        .bind(group_row_id)
        .push(" UNION ALL SELECT u.value FROM unresolved_members u WHERE u.group_row_id = ")
        .bind(group_row_id)
        .push(" AND u.value = ")
        .bind(value);
    Ok(!statement.load::<String>(connection)?.is_empty())
}

/// Which live groups list these resources: the row of the member, and the id of the group.
///
/// # Errors
/// Database failures.
pub fn listing(connection: &mut Connection, member_row_ids: &[i64]) -> Result<Vec<(i64, String)>> {
    let mut pairs = Vec::new();
    for chunk in member_row_ids.chunks(CHUNK) {
        let statement: Sql<(BigInt, Text)> = Sql::new(
            "SELECT gm.member_row_id, g.id FROM group_members gm JOIN resources g ON g.row_id = gm.group_row_id \
             WHERE gm.member_row_id IN (",
        );
        let statement = kept(statement.bind_list(chunk.iter().copied()).push(")"), chunk);
        pairs.extend(statement.load::<(i64, String)>(connection)?);
    }
    Ok(pairs)
}

/// The ids of all members of a group, resolved ones with their rows.
///
/// # Errors
/// Database failures.
pub fn ids(connection: &mut Connection, group_row_id: i64) -> Result<HashMap<String, Option<i64>>> {
    let statement: Sql<(Text, Nullable<BigInt>)> = Sql::new(
        "SELECT m.id, m.row_id FROM group_members gm JOIN resources m ON m.row_id = gm.member_row_id WHERE gm.group_row_id = ",
    );
    let statement = statement
        .bind(group_row_id)
        .push(" UNION ALL SELECT u.value, NULL FROM unresolved_members u WHERE u.group_row_id = ")
        .bind(group_row_id);
    let rows: Vec<(String, Option<i64>)> = statement.load(connection)?;
    Ok(rows.into_iter().collect())
}

/// The members of some groups, by the row of the group, in the order in which the members were created; unresolved
/// ones come last.
///
/// # Errors
/// Database failures.
pub fn of_groups(connection: &mut Connection, group_row_ids: &[i64]) -> Result<HashMap<i64, Vec<Member>>> {
    let mut members: HashMap<i64, Vec<Member>> = HashMap::new();
    for chunk in group_row_ids.chunks(CHUNK) {
        let statement: Sql<(BigInt, Text, Text, Nullable<Text>)> = Sql::new(
            "SELECT gm.group_row_id, m.id, m.resource_type, m.display_name FROM group_members gm \
             JOIN resources m ON m.row_id = gm.member_row_id WHERE gm.group_row_id IN (",
        );
        let statement = statement.bind_list(in_few_lengths(chunk)).push(") ORDER BY gm.group_row_id, gm.member_row_id");
        let rows: Vec<(i64, String, String, Option<String>)> = statement.load(connection)?;
        for (group_row_id, value, resource_type, display) in rows {
            members.entry(group_row_id).or_default().push(Member::live(value, resource_type, display));
        }
        let statement: Sql<(BigInt, Text)> =
            Sql::new("SELECT u.group_row_id, u.value FROM unresolved_members u WHERE u.group_row_id IN (");
        let statement = statement.bind_list(in_few_lengths(chunk)).push(") ORDER BY u.group_row_id, u.value");
        let rows: Vec<(i64, String)> = statement.load(connection)?;
        for (group_row_id, value) in rows {
            members.entry(group_row_id).or_default().push(Member { value, resource: None });
        }
    }
    Ok(members)
}

/// Hands over the members of a group, at most `size` at once, in the order of [`of_groups`].
///
/// # Errors
/// That of `take`; database failures.
pub fn each_page(
    connection: &mut Connection,
    group_row_id: i64,
    size: usize,
    mut take: impl FnMut(&[Member]) -> Result<()>,
) -> Result<()> {
    let limit = size as i64;
    let mut hand_over = |page: Vec<Member>| if page.is_empty() { Ok(()) } else { take(&page) };
    let mut last = i64::MIN;
    loop {
        let statement: Sql<(BigInt, Text, Text, Nullable<Text>)> = Sql::new(
            "SELECT gm.member_row_id, m.id, m.resource_type, m.display_name FROM group_members gm \
             JOIN resources m ON m.row_id = gm.member_row_id WHERE gm.group_row_id = ",
        );
        let statement = statement.bind(group_row_id).push(" AND gm.member_row_id > ").bind(last);
        let statement = statement.push(" ORDER BY gm.member_row_id LIMIT ").bind(limit);
        let rows: Vec<(i64, String, String, Option<String>)> = statement.load(connection)?;
        let is_last = rows.len() < size;
        last = rows.last().map_or(last, |(row_id, ..)| *row_id);
        let member = |(_, value, resource_type, display)| Member::live(value, resource_type, display);
        hand_over(rows.into_iter().map(member).collect())?;
        if is_last {
            break;
        }
    }
    let mut last = String::new();
    loop {
        let statement: Sql<Text> =
            Sql::new("SELECT u.value FROM unresolved_members u WHERE u.group_row_id = ").bind(group_row_id);
        let statement =
            statement.push(" AND u.value > ").bind(last.as_str()).push(" ORDER BY u.value LIMIT ").bind(limit);
        let values: Vec<String> = statement.load(connection)?;
        let is_last = values.len() < size;
        last = values.last().cloned().unwrap_or_default();
        hand_over(values.into_iter().map(|value| Member { value, resource: None }).collect())?;
        if is_last {
            return Ok(());
        }
    }
}

/// The members that these ids would be; without those that no live resource of the tenant has.
///
/// # Errors
/// Database failures.
pub fn named(connection: &mut Connection, tenant_id: i64, ids: &[&str]) -> Result<Vec<Member>> {
    let mut named = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let statement: Sql<(Text, Text, Nullable<Text>)> =
            Sql::new("SELECT r.id, r.resource_type, r.display_name FROM resources r WHERE r.tenant_id = ");
        let statement = statement
            .bind(tenant_id)
            .push(" AND r.deleted_at IS NULL AND r.id IN (")
            .bind_list(chunk.iter().copied())
            .push(") ORDER BY r.row_id");
        let rows: Vec<(String, String, Option<String>)> = kept(statement, chunk).load(connection)?;
        named.extend(
            rows.into_iter().map(|(value, resource_type, display)| Member::live(value, resource_type, display)),
        );
    }
    Ok(named)
}

/// How many members a group has: live ones, and unresolved ones. Costs what the group is large.
///
/// # Errors
/// Database failures.
pub fn count(connection: &mut Connection, group_row_id: i64) -> Result<(i64, i64)> {
    let live: Sql<BigInt> = Sql::new("SELECT count(*) FROM group_members gm WHERE gm.group_row_id = ");
    let unresolved: Sql<BigInt> = Sql::new("SELECT count(*) FROM unresolved_members u WHERE u.group_row_id = ");
    let [live, unresolved] =
        [live, unresolved].map(|statement| statement.bind(group_row_id).get_result::<i64>(connection));
    Ok((live?, unresolved?))
}

/// The first live members of a group, at most `limit`, in the order in which they were created.
///
/// # Errors
/// Database failures.
pub fn first(connection: &mut Connection, group_row_id: i64, limit: i64) -> Result<Vec<Member>> {
    let statement: Sql<(Text, Text, Nullable<Text>)> = Sql::new(
        "SELECT m.id, m.resource_type, m.display_name FROM group_members gm \
         JOIN resources m ON m.row_id = gm.member_row_id WHERE gm.group_row_id = ",
    );
    let statement = statement.bind(group_row_id).push(" ORDER BY gm.member_row_id LIMIT ").bind(limit);
    let rows: Vec<(String, String, Option<String>)> = statement.load(connection)?;
    Ok(rows.into_iter().map(|(value, resource_type, display)| Member::live(value, resource_type, display)).collect())
}

/// What burying a resource took away, as ids.
#[derive(Debug, Clone, Default)]
pub struct Forgotten {
    /// The groups that listed it.
    pub groups: Vec<String>,
    /// The members that it listed, unresolved ones included.
    pub members: Vec<String>,
}

/// Takes a resource out of every group, and every member out of it: what burying it means for memberships. Of two
/// resources that are buried at once, one takes their membership away, and only that one tells of it.
///
/// # Errors
/// Database failures.
pub fn forget(connection: &mut Connection, row_id: i64) -> Result<Forgotten> {
    let (mut groups, mut members) = match connection.writes_at_once() {
        true => forget_at_once(connection, row_id)?,
        false => forget_in_turn(connection, row_id)?,
    };
    groups.sort_unstable();
    members.sort_unstable();
    Ok(Forgotten { groups, members })
}

/// The groups and the members, in any order.
fn forget_at_once(connection: &mut Connection, row_id: i64) -> Result<(Vec<String>, Vec<String>)> {
    let statement: Sql<(Bool, Text)> = Sql::new("WITH g AS (DELETE FROM group_members WHERE member_row_id = ");
    let statement = statement
        .bind(row_id)
        .push(
            " RETURNING (SELECT r.id FROM resources r WHERE r.row_id = group_row_id) AS id), \
             m AS (DELETE FROM group_members WHERE group_row_id = ",
        )
        .bind(row_id)
        .push(
            " RETURNING (SELECT r.id FROM resources r WHERE r.row_id = member_row_id) AS id), \
             u AS (DELETE FROM unresolved_members WHERE group_row_id = ",
        )
        .bind(row_id)
        .push(
            " RETURNING value) SELECT TRUE, g.id FROM g UNION ALL SELECT FALSE, m.id FROM m \
             UNION ALL SELECT FALSE, u.value FROM u",
        );
    let rows: Vec<(bool, String)> = statement.load(connection)?;
    let (groups, members): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(is_group, _)| *is_group);
    let ids = |rows: Vec<(bool, String)>| rows.into_iter().map(|(_, id)| id).collect();
    Ok((ids(groups), ids(members)))
}

/// SQLite would make a table for the rows of RETURNING, and there is nobody who could change any in between.
fn forget_in_turn(connection: &mut Connection, row_id: i64) -> Result<(Vec<String>, Vec<String>)> {
    let selections = [
        "SELECT g.id FROM group_members gm JOIN resources g ON g.row_id = gm.group_row_id WHERE gm.member_row_id = ",
        "SELECT m.id FROM group_members gm JOIN resources m ON m.row_id = gm.member_row_id WHERE gm.group_row_id = ",
        "SELECT u.value FROM unresolved_members u WHERE u.group_row_id = ",
    ];
    let deletions = [
        "DELETE FROM group_members WHERE member_row_id = ",
        "DELETE FROM group_members WHERE group_row_id = ",
        "DELETE FROM unresolved_members WHERE group_row_id = ",
    ];
    let mut forgotten: [Vec<String>; 3] = Default::default();
    for ((forgotten, selection), deletion) in forgotten.iter_mut().zip(selections).zip(deletions) {
        *forgotten = Sql::<Text>::new(selection).bind(row_id).load(connection)?;
        if !forgotten.is_empty() {
            Sql::<()>::new(deletion).bind(row_id).execute(connection)?;
        }
    }
    let [groups, mut members, unresolved] = forgotten;
    members.extend(unresolved);
    Ok((groups, members))
}

/// Makes members of what was named before it existed again: the unresolved members with the id of a restored resource.
/// A deleted group keeps its own as they are until it is restored ([`resolve_own`]): nobody is in a group that is gone.
/// Returns the rows of the groups.
///
/// # Errors
/// Database failures.
pub fn resolve_pending(connection: &mut Connection, tenant_id: i64, id: &str, row_id: i64) -> Result<Vec<i64>> {
    let statement: Sql<BigInt> = Sql::new("DELETE FROM unresolved_members WHERE value = ")
        .bind(id)
        .push(" AND EXISTS (SELECT 1 FROM resources g WHERE g.row_id = group_row_id AND g.tenant_id = ")
        .bind(tenant_id)
        .push(" AND g.deleted_at IS NULL) RETURNING group_row_id");
    let group_row_ids: Vec<i64> = statement.load(connection)?;
    for group_row_id in &group_row_ids {
        add(connection, *group_row_id, &[row_id])?;
    }
    Ok(group_row_ids)
}

/// The unresolved members of a group.
///
/// # Errors
/// Database failures.
pub fn unresolved(connection: &mut Connection, group_row_id: i64) -> Result<Vec<String>> {
    let statement: Sql<Text> = Sql::new("SELECT u.value FROM unresolved_members u WHERE u.group_row_id = ");
    Ok(statement.bind(group_row_id).push(" ORDER BY u.value").load(connection)?)
}

/// Makes unresolved members of the members of a type that is served no more.
///
/// # Errors
/// Database failures.
pub fn unresolve_type(connection: &mut Connection, tenant_id: i64, resource_type: &str) -> Result<()> {
    let statement: Sql<(BigInt, BigInt, Text)> = Sql::new(
        "SELECT gm.group_row_id, gm.member_row_id, m.id FROM group_members gm \
         JOIN resources m ON m.row_id = gm.member_row_id WHERE m.deleted_at IS NULL AND m.tenant_id = ",
    );
    let statement = statement.bind(tenant_id).push(" AND m.resource_type = ").bind(resource_type);
    for (group_row_id, member_row_id, id) in statement.load::<(i64, i64, String)>(connection)? {
        remove(connection, group_row_id, &[member_row_id])?;
        add_unresolved(connection, group_row_id, &[&id])?;
    }
    Ok(())
}

/// Makes members of the unresolved members that live resources of a type stand for.
///
/// # Errors
/// Database failures.
pub fn resolve_type(connection: &mut Connection, tenant_id: i64, resource_type: &str) -> Result<()> {
    let statement: Sql<(Text, BigInt)> = Sql::new(
        "SELECT DISTINCT m.id, m.row_id FROM unresolved_members u JOIN resources m ON m.id = u.value \
         WHERE m.deleted_at IS NULL AND m.tenant_id = ",
    );
    let statement = statement.bind(tenant_id).push(" AND m.resource_type = ").bind(resource_type);
    for (id, row_id) in statement.load::<(String, i64)>(connection)? {
        resolve_pending(connection, tenant_id, &id, row_id)?;
    }
    Ok(())
}

/// Makes members of the unresolved members of a group whose resources are live by now.
///
/// # Errors
/// Database failures.
pub fn resolve_own(connection: &mut Connection, tenant_id: i64, group_row_id: i64) -> Result<()> {
    let values = unresolved(connection, group_row_id)?;
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let targets = resolve(connection, tenant_id, &values)?;
    let live: Vec<&str> = targets.keys().map(String::as_str).collect();
    remove_unresolved(connection, group_row_id, &live)?;
    let row_ids: Vec<i64> = targets.values().map(|target| target.row_id).collect();
    add(connection, group_row_id, &row_ids)?;
    Ok(())
}

/// Whether a group has more members than `most`. Costs that many look-ups at most.
///
/// # Errors
/// Database failures.
pub fn exceed(connection: &mut Connection, group_row_id: i64, most: i64) -> Result<bool> {
    if !has_more(connection, group_row_id, FEW.min(most))? {
        return Ok(false);
    }
    // Whose is the row so far behind the first one of the group? To pass over rows without a look at each costs a quarter.
    let statement: Sql<BigInt> = Sql::new("SELECT gm.group_row_id FROM group_members gm WHERE gm.group_row_id >= ");
    let statement =
        statement.bind(group_row_id).push(" ORDER BY gm.group_row_id, gm.member_row_id LIMIT 1 OFFSET 0 + ");
    let owner = statement.bind(most).load::<i64>(connection)?.pop();
    Ok(owner == Some(group_row_id) || has_more(connection, group_row_id, most)?)
}

/// How many members each of these groups has, unresolved ones included, by its row; those without members are missing.
///
/// # Errors
/// Database failures.
pub fn counts(connection: &mut Connection, group_row_ids: &[i64]) -> Result<HashMap<i64, i64>> {
    let mut counts = HashMap::new();
    for chunk in group_row_ids.chunks(CHUNK) {
        counts.extend(counts_of(chunk).load::<(i64, i64)>(connection)?);
    }
    Ok(counts)
}

fn counts_of(group_row_ids: &[i64]) -> Sql<(BigInt, BigInt)> {
    let statement = Sql::new(
        "SELECT m.group_row_id, count(*) FROM (SELECT gm.group_row_id FROM group_members gm WHERE gm.group_row_id IN (",
    );
    let statement = statement.bind_list(in_few_lengths(group_row_ids));
    let statement =
        statement.push(") UNION ALL SELECT u.group_row_id FROM unresolved_members u WHERE u.group_row_id IN (");
    statement.bind_list(in_few_lengths(group_row_ids)).push(")) m GROUP BY m.group_row_id")
}

/// Of groups with no more members than this it is cheap to look at each.
const FEW: i64 = 50;

fn has_more(connection: &mut Connection, group_row_id: i64, most: i64) -> Result<bool> {
    let statement: Sql<BigInt> = Sql::new("SELECT gm.group_row_id FROM group_members gm WHERE gm.group_row_id = ");
    let statement = statement
        .bind(group_row_id)
        .push(" UNION ALL SELECT u.group_row_id FROM unresolved_members u WHERE u.group_row_id = ")
        .bind(group_row_id)
        .push(" LIMIT 1 OFFSET 0 + ")
        .bind(most);
    Ok(!statement.load::<i64>(connection)?.is_empty())
}

/// How many unresolved members each live group has: id, displayName, number. In the order of the ids, behind `after`, at
/// most `limit` groups.
///
/// # Errors
/// Database failures.
pub fn unresolved_by_group(
    connection: &mut Connection,
    tenant_id: i64,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Option<String>, i64)>> {
    let statement: Sql<(Text, Nullable<Text>, BigInt)> = Sql::new(
        "SELECT g.id, g.display_name, count(*) FROM unresolved_members u JOIN resources g ON g.row_id = u.group_row_id \
         WHERE g.deleted_at IS NULL AND g.tenant_id = ",
    );
    let statement = statement.bind(tenant_id).push(" AND g.id > ").bind(after);
    let statement = statement.push(" GROUP BY g.id, g.display_name ORDER BY g.id LIMIT ").bind(limit);
    Ok(statement.load(connection)?)
}

/// The number of unresolved members in all tenants.
///
/// # Errors
/// Database failures.
pub fn count_unresolved(connection: &mut Connection) -> Result<i64> {
    let statement: Sql<BigInt> = Sql::new("SELECT count(*) FROM unresolved_members");
    Ok(statement.get_result(connection)?)
}

/// The displayNames of live users by id, for computed references (`manager.displayName`). Ids without a live resource
/// of that type are missing from the result.
///
/// # Errors
/// Database failures.
pub fn display_names(
    connection: &mut Connection,
    tenant_id: i64,
    resource_type: &str,
    ids: &HashSet<&str>,
) -> Result<HashMap<String, Option<String>>> {
    let ids: Vec<&str> = ids.iter().copied().collect();
    let mut names = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let statement: Sql<(Text, Nullable<Text>)> =
            Sql::new("SELECT r.id, r.display_name FROM resources r WHERE r.tenant_id = ");
        let statement = statement
            .bind(tenant_id)
            .push(" AND r.deleted_at IS NULL AND r.resource_type = ")
            .bind(resource_type)
            .push(" AND r.id IN (")
            .bind_list(chunk.iter().copied())
            .push(")");
        let rows: Vec<(String, Option<String>)> = kept(statement, chunk).load(connection)?;
        names.extend(rows);
    }
    Ok(names)
}
