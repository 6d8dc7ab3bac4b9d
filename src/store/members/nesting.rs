//! Groups in groups: everything that a resource is in, directly and through others (USR-04, GRP-05).
//!
//! Most groups are in no other, so the groups that list a page are looked up first, with whether anything lists these.
//! Only then the database gives the whole part of the graph that lies above the page, each membership in it once: a diamond
//! of n levels has 2^n ways through it and 4n memberships. Who is in what is then walked here.

use std::collections::{HashMap, HashSet, VecDeque};

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::{CHUNK, in_few_lengths};
use crate::scim::Result;
use crate::store::Connection;
use crate::store::connection::each_backend;
use crate::store::sql::Sql;
use crate::store::standing::{Question, Standing, Value};

/// A group as a user shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOf {
    /// The id of the group.
    pub value: String,
    /// Its displayName.
    pub display: Option<String>,
    /// The id of the group that this one lists, on a shortest way to the user; `None` if it lists the user itself
    /// (USR-04).
    pub through: Option<String>,
}

/// The groups that some resources are in, by the row of the resource: direct ones first, each group once, in the order of
/// creation. Nested groups count, and cycles end. One query for 500 resources, and one more if any of their groups is
/// nested, however deep.
///
/// # Errors
/// Database failures.
pub fn groups_of(connection: &mut Connection, member_row_ids: &[i64]) -> Result<HashMap<i64, Vec<GroupOf>>> {
    let mut groups = HashMap::new();
    for chunk in member_row_ids.chunks(CHUNK) {
        groups.extend(match groups_of_direct(direct(connection, chunk)?) {
            Some(groups) => groups,
            None => above(connection, chunk)?.groups_of(chunk),
        });
    }
    Ok(groups)
}

/// A direct membership: the rows of the member and of the group, the id and the displayName of the group, and the row of
/// a group that lists this one, if any does.
pub(in crate::store) type Membership = (i64, i64, String, Option<String>, Option<i64>);

/// The same groups, where the direct memberships of the resources are known; `None` if any of the groups is nested, so
/// that these do not tell all.
pub(in crate::store) fn groups_of_direct(mut memberships: Vec<Membership>) -> Option<HashMap<i64, Vec<GroupOf>>> {
    if memberships.iter().any(|(.., beyond)| beyond.is_some()) {
        return None;
    }
    memberships.sort_unstable_by_key(|(_, group_row_id, ..)| *group_row_id);
    let mut groups: HashMap<i64, Vec<GroupOf>> = HashMap::new();
    for (member_row_id, _, value, display, _) in memberships {
        groups.entry(member_row_id).or_default().push(GroupOf { value, display, through: None });
    }
    Some(groups)
}

/// The memberships above some resources.
#[derive(Debug, Default)]
struct Above {
    /// The id and the displayName of each group, by its row.
    named: HashMap<i64, (String, Option<String>)>,
    /// The groups that list a resource, by the row of the resource.
    parents: HashMap<i64, Vec<i64>>,
}

/// The rows of a member and of a group, the id and displayName of the group, and the row of a group above it.
type DirectMembership = (BigInt, BigInt, Text, Nullable<Text>, Nullable<BigInt>);

fn direct(connection: &mut Connection, member_row_ids: &[i64]) -> Result<Vec<Membership>> {
    Ok(match member_row_ids {
        [alone] => each_backend!(connection, c => Standing::new(GroupsOfOne, [Value::BigInt(*alone)]).load(c))?,
        several => direct_memberships(several).load(connection)?,
    })
}

/// The direct memberships of those in the list that follows.
const DIRECT_MEMBERSHIPS: &str = "SELECT gm.member_row_id, gm.group_row_id, g.id, g.display_name, \
     (SELECT n.group_row_id FROM group_members n WHERE n.member_row_id = gm.group_row_id LIMIT 1) \
     FROM group_members gm JOIN resources g ON g.row_id = gm.group_row_id WHERE gm.member_row_id IN (";

/// Those of one resource.
struct GroupsOfOne;

impl Question for GroupsOfOne {
    type Row = DirectMembership;
    const TEXT: &'static [&'static str] = &[DIRECT_MEMBERSHIPS, ")"];
}

fn above(connection: &mut Connection, member_row_ids: &[i64]) -> Result<Above> {
    let statement = memberships_above(connection, member_row_ids);
    let rows: Vec<(i64, i64, String, Option<String>)> = statement.load(connection)?;
    let mut above = Above::default();
    for (member_row_id, group_row_id, id, display_name) in rows {
        above.insert(member_row_id, group_row_id, id, display_name);
    }
    Ok(above)
}

fn direct_memberships(member_row_ids: &[i64]) -> Sql<DirectMembership> {
    Sql::new(DIRECT_MEMBERSHIPS).bind_list(in_few_lengths(member_row_ids)).push(")")
}

fn memberships_above(connection: &Connection, member_row_ids: &[i64]) -> Sql<(BigInt, BigInt, Text, Nullable<Text>)> {
    let [join, end] = connection.memberships_of_each();
    // UNION, not UNION ALL: a group that is reached once more is not followed once more.
    let statement = Sql::new(
        "WITH RECURSIVE direct (member_row_id, group_row_id) AS (\
         SELECT gm.member_row_id, gm.group_row_id FROM group_members gm WHERE gm.member_row_id IN (",
    );
    statement
        .bind_list(in_few_lengths(member_row_ids))
        .push(")), up (row_id) AS (SELECT d.group_row_id FROM direct d UNION SELECT gm.group_row_id FROM up")
        .push(join)
        .push("gm.member_row_id = up.row_id")
        .push(end)
        .push(
            ") SELECT e.member_row_id, e.group_row_id, \
             (SELECT g.id FROM resources g WHERE g.row_id = e.group_row_id), \
             (SELECT g.display_name FROM resources g WHERE g.row_id = e.group_row_id) FROM (\
             SELECT d.member_row_id, d.group_row_id FROM direct d \
             UNION ALL SELECT gm.member_row_id, gm.group_row_id FROM up",
        )
        .push(join)
        .push("gm.member_row_id = up.row_id")
        .push(end)
        .push(") e")
}

impl Above {
    fn insert(&mut self, member_row_id: i64, group_row_id: i64, id: String, display_name: Option<String>) {
        self.parents.entry(member_row_id).or_default().push(group_row_id);
        self.named.insert(group_row_id, (id, display_name));
    }

    fn groups_of(&self, member_row_ids: &[i64]) -> HashMap<i64, Vec<GroupOf>> {
        // Many users are in the same groups: what lies above these is walked once.
        let mut walked: HashMap<Vec<i64>, Vec<(i64, i64)>> = HashMap::new();
        let mut groups = HashMap::new();
        for member_row_id in member_row_ids {
            let Some(direct) = self.parents.get(member_row_id) else { continue };
            let mut direct = direct.clone();
            direct.sort_unstable();
            direct.dedup();
            let indirect = walked.entry(direct.clone()).or_insert_with(|| self.beyond(&direct));
            let shown = direct.iter().map(|row_id| self.group(*row_id, None));
            let shown = shown.chain(indirect.iter().map(|(row_id, below)| self.group(*row_id, Some(*below))));
            groups.insert(*member_row_id, shown.flatten().collect());
        }
        groups
    }

    /// The groups that list these groups, directly or through others, without these; each with the group below it on a
    /// shortest way. Looks at each membership once.
    fn beyond(&self, direct: &[i64]) -> Vec<(i64, i64)> {
        let mut seen: HashSet<i64> = direct.iter().copied().collect();
        let mut found = Vec::new();
        let mut next = VecDeque::from(direct.to_vec());
        while let Some(row_id) = next.pop_front() {
            for parent in self.parents.get(&row_id).into_iter().flatten() {
                if seen.insert(*parent) {
                    found.push((*parent, row_id));
                    next.push_back(*parent);
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn group(&self, row_id: i64, below: Option<i64>) -> Option<GroupOf> {
        let (value, display) = self.named.get(&row_id)?;
        let through = below.and_then(|below| self.named.get(&below)).map(|(id, _)| id.clone());
        Some(GroupOf { value: value.clone(), display: display.clone(), through })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use diesel::connection::SimpleConnection;
    use diesel::sql_types::Integer;

    use super::*;
    use crate::scim::resource::Document;
    use crate::scim::schema::Registry;
    use crate::store::Reach;
    use crate::store::members;
    use crate::store::resources::{self, Place};
    use crate::store::tenants::{self, TenantSettings};
    use crate::store::tests::{Fixture, at, on_each_database};

    /// Rows of so many groups of a tenant.
    fn groups(connection: &mut Connection, count: usize) -> Result<Vec<i64>> {
        let tenant = tenants::insert(connection, "nested", at("2026-03-01T09:30:00"))?;
        let resource_type = Registry::builtin().resource_type("Group").expect("Group is built in");
        let place = Place { tenant_id: tenant.tenant_id, settings: TenantSettings::default(), resource_type };
        let now = at("2026-03-01T09:30:00").and_utc();
        let insert = |index: usize| {
            let document = Document::from_json(&format!(r#"{{"displayName":"G{index}"}}"#)).expect("a document");
            resources::insert(connection, place, &format!("g{index}"), &document, now).map(|stored| stored.row_id)
        };
        (0..count).map(insert).collect()
    }

    fn shown(groups: &[GroupOf]) -> Vec<(&str, bool)> {
        groups.iter().map(|group| (group.value.as_str(), group.through.is_none())).collect()
    }

    #[test]
    fn usr_04_a_diamond_costs_its_memberships_and_not_its_ways() {
        on_each_database(|Fixture { store, .. }| async move {
            let (above, above_both) = store
                .write(|connection| {
                    // Given 40 levels of two groups, both of which are in both groups of the next level.
                    let rows = groups(connection, 82)?;
                    for (low, high) in rows[1..].chunks(2).zip(rows[3..].chunks(2)) {
                        for group in high.iter().filter(|_| low.len() == 2) {
                            members::add(connection, *group, low)?;
                        }
                    }
                    members::add(connection, rows[1], &rows[..1])?;
                    let both = rows[..2].to_vec();
                    Ok((above(connection, &rows[..1])?, groups_of(connection, &both)?))
                })
                .await
                .expect("the store works");

            let memberships: usize = above.parents.values().map(Vec::len).sum();
            assert_eq!(memberships, 1 + 2 + 38 * 4 + 2);
            assert_eq!(above.named.len(), 80);
            assert_eq!(above_both.len(), 2);
        });
    }

    #[test]
    fn usr_04_the_groups_of_a_user_are_found_without_a_look_at_other_memberships() {
        on_each_database(|Fixture { store, postgres }| async move {
            let explain = move |connection: &mut Connection| {
                if postgres {
                    // Of an empty table PostgreSQL would read the whole.
                    Sql::<()>::new("SET LOCAL enable_seqscan = off").execute(connection)?;
                }
                let direct = plan(connection, direct_memberships(&[1]))?;
                let above = memberships_above(connection, &[1]);
                Ok((direct, plan(connection, above)?))
            };
            let (direct, above) = store.read(Reach::Point, explain).await.expect("two plans");

            let looked_up =
                if postgres { "(member_row_id = gm.group_row_id)" } else { "SEARCH n USING COVERING INDEX" };
            assert!(direct.iter().any(|step| step.contains(looked_up)), "{direct:#?}");
            assert!(!direct.iter().any(|step| step.contains("SCAN") || step.contains("Seq Scan")), "{direct:#?}");
            let looked_up = if postgres { "(member_row_id = up.row_id)" } else { "SEARCH gm USING COVERING INDEX" };
            let look_ups = above.iter().filter(|step| step.contains(looked_up)).count();
            assert!(look_ups >= 2 && !above.iter().any(|step| step.contains("SCAN gm")), "{above:#?}");
        });
    }

    #[test]
    fn usr_04_the_groups_of_a_page_are_found_while_postgresql_knows_half_of_what_there_is() {
        on_each_database(|Fixture { store, postgres }| async move {
            if !postgres {
                return;
            }
            let parameters = (1..=100).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
            let ids = (1..=100).map(|id| id.to_string()).collect::<Vec<_>>().join(", ");
            let explain = move |connection: &mut Connection| {
                // Given a first synchronisation: users, whom the statistics know already, and groups behind them.
                connection.batch_execute(
                    "INSERT INTO resources (tenant_id, id, resource_type, active, document, version, created_at, modified_at) \
                     SELECT 1, 'u' || i, 'User', TRUE, repeat('x', 600), 1, now(), now() FROM generate_series(1, 20000) i; \
                     INSERT INTO resources (tenant_id, id, resource_type, active, document, version, created_at, modified_at) \
                     VALUES (1, 'g', 'Group', TRUE, '{}', 1, now(), now()); \
                     ANALYZE resources; \
                     INSERT INTO group_members (group_row_id, member_row_id) \
                     SELECT (SELECT row_id FROM resources WHERE id = 'g'), row_id FROM resources WHERE id <> 'g'; \
                     SET LOCAL plan_cache_mode = force_generic_plan",
                )?;
                let prepare = format!("PREPARE memberships AS {DIRECT_MEMBERSHIPS}{parameters})");
                connection.batch_execute(&prepare)?;
                let plan: Sql<Text> =
                    Sql::default().push_composed(format!("EXPLAIN EXECUTE memberships ({ids})")).uncached();
                Ok(plan.load::<String>(connection)?)
            };

            let plan = store.write(explain).await.expect("a plan");

            assert!(!plan.iter().any(|step| step.contains("Merge Join")), "{plan:#?}");
        });
    }

    /// How the database would run it, one step a line.
    fn plan<Row>(connection: &mut Connection, statement: Sql<Row>) -> Result<Vec<String>> {
        if connection.locks_rows() {
            let explained: Sql<Text> = Sql::new("EXPLAIN ");
            return Ok(explained.append(statement).load::<String>(connection)?);
        }
        let explained: Sql<(Integer, Integer, Integer, Text)> = Sql::new("EXPLAIN QUERY PLAN ");
        let steps: Vec<(i32, i32, i32, String)> = explained.append(statement).load(connection)?;
        Ok(steps.into_iter().map(|step| step.3).collect())
    }

    #[test]
    fn usr_04_groups_in_no_other_need_no_look_further() {
        on_each_database(|Fixture { store, .. }| async move {
            let (row, before, found, after) = store
                .write(|connection| {
                    // Given somebody in two groups, and one of these in a third one later.
                    let rows = groups(connection, 4)?;
                    let [user, a, b, c] = rows[..] else { return Err(crate::scim::Error::internal("four rows")) };
                    members::add(connection, b, &[user])?;
                    members::add(connection, a, &[user])?;
                    let before = direct(connection, &[user])?;
                    let found = groups_of(connection, &[user, c])?;
                    members::add(connection, c, &[b])?;
                    Ok((user, before, found, direct(connection, &[user])?))
                })
                .await
                .expect("the store works");

            let is_nested = |memberships: Vec<Membership>| memberships.iter().any(|(.., beyond)| beyond.is_some());
            assert!(!is_nested(before) && is_nested(after));
            assert_eq!(shown(&found[&row]), [("g1", true), ("g2", true)]);
            assert_eq!(found.len(), 1, "who is in no group has no entry");
        });
    }

    #[test]
    fn grp_05_cycles_end_and_direct_wins() {
        on_each_database(|Fixture { store, .. }| async move {
            let (row, found) = store
                .write(|connection| {
                    let rows = groups(connection, 4)?;
                    let [user, a, b, c] = rows[..] else { return Ok((0, HashMap::new())) };
                    for (group, member) in [(a, user), (b, a), (c, b), (a, c), (c, user)] {
                        members::add(connection, group, &[member])?;
                    }
                    Ok((user, groups_of(connection, &rows)?))
                })
                .await
                .expect("the store works");

            assert_eq!(shown(&found[&row]), [("g1", true), ("g3", true), ("g2", false)]);
            assert_eq!(found[&row][2].through.as_deref(), Some("g1"));
            for groups in found.values() {
                let values: HashSet<&str> = groups.iter().map(|group| group.value.as_str()).collect();
                assert_eq!(values.len(), groups.len(), "nobody is in a group twice, nor is a group in a circle");
            }
        });
    }

    #[test]
    fn grp_05_a_chain_of_a_thousand_groups_has_no_end_of_its_own() {
        on_each_database(|Fixture { store, .. }| async move {
            let (row, found) = store
                .write(|connection| {
                    let rows = groups(connection, 1001)?;
                    for pair in rows.windows(2) {
                        members::add(connection, pair[1], &pair[..1])?;
                    }
                    Ok((rows[0], groups_of(connection, &rows[..1])?))
                })
                .await
                .expect("the store works");

            let through = found[&row][999].through.clone();
            let found = shown(&found[&row]);
            assert_eq!((found.len(), found[0], found[999]), (1000, ("g1", true), ("g1000", false)));
            assert_eq!(through.as_deref(), Some("g999"));
        });
    }
}
