//! Groups in groups: everything that a resource is in, directly and through others (USR-04, GRP-05).
//!
//! Most groups are in no other, so the groups that list a page are looked up first, with whether anything lists these.
//! Only then the database gives the whole part of the graph that lies above the page, each membership in it once: a diamond
//! of n levels has 2^n ways through it and 4n memberships. Who is in what is then walked here.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

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

/// The groups that some resources are in. A page has many users of few groups, so each group is told once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    shown: Vec<GroupOf>,
    /// By the row of the resource.
    places: HashMap<i64, Vec<usize>>,
}

impl Groups {
    /// Each group, as at least one of the resources shows it.
    pub fn shown(&self) -> &[GroupOf] {
        &self.shown
    }

    /// Where among [`Groups::shown`] those stand that a resource is in: direct ones first, each group once, in the order of
    /// creation.
    pub fn places(&self, row_id: i64) -> &[usize] {
        self.places.get(&row_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The groups that a resource is in, in the same order.
    pub fn of(&self, row_id: i64) -> impl Iterator<Item = &GroupOf> {
        self.places(row_id).iter().map(|place| &self.shown[*place])
    }
}

/// The groups that some resources are in, within one snapshot. Nested groups count, and cycles end. A query for 500 resources,
/// where there are several one for 500 of their groups, and one more for 500 of these that are nested, however deep.
///
/// # Errors
/// Database failures.
pub fn groups_of(connection: &mut Connection, member_row_ids: &[i64]) -> Result<Groups> {
    let direct = match member_row_ids {
        [alone] => Direct::of_one(connection, *alone)?,
        several => Direct::of_several(connection, several)?,
    };
    if !direct.is_nested() {
        return Ok(direct.into_groups());
    }
    let nested = direct.groups.iter().filter(|group| group.beyond.is_some());
    let group_row_ids: Vec<i64> = nested.map(|group| group.row_id).collect();
    let mut graph = above(connection, &group_row_ids)?;
    graph.add(direct);
    Ok(graph.groups_of(member_row_ids))
}

/// A direct membership: the rows of the member and of the group, the id and the displayName of the group, and the row of
/// a group that lists this one, if any does.
pub(in crate::store) type Membership = (i64, i64, String, Option<String>, Option<i64>);

/// The same groups, where the direct memberships of the resources are known; `None` if any of the groups is nested, so
/// that these do not tell all.
pub(in crate::store) fn groups_of_direct(memberships: Vec<Membership>) -> Option<Groups> {
    let direct = Direct::from(memberships);
    (!direct.is_nested()).then(|| direct.into_groups())
}

/// Direct memberships, and the groups that they are in.
#[derive(Debug, Default)]
struct Direct {
    /// The rows of a member and of its group.
    memberships: Vec<(i64, i64)>,
    /// Perhaps some more than once.
    groups: Vec<Group>,
}

/// A group as its row tells it.
#[derive(Debug)]
struct Group {
    row_id: i64,
    id: String,
    display_name: Option<String>,
    /// The row of a group that lists this one, if any does.
    beyond: Option<i64>,
}

impl From<Vec<Membership>> for Direct {
    fn from(memberships: Vec<Membership>) -> Self {
        let mut direct = Direct::default();
        for (member_row_id, row_id, id, display_name, beyond) in memberships {
            direct.memberships.push((member_row_id, row_id));
            direct.groups.push(Group { row_id, id, display_name, beyond });
        }
        direct
    }
}

impl Direct {
    fn of_one(connection: &mut Connection, member_row_id: i64) -> Result<Direct> {
        let memberships: Vec<Membership> =
            each_backend!(connection, c => Standing::new(GroupsOfOne, [Value::BigInt(member_row_id)]).load(c))?;
        Ok(Direct::from(memberships))
    }

    fn of_several(connection: &mut Connection, member_row_ids: &[i64]) -> Result<Direct> {
        let mut direct = Direct::default();
        for chunk in member_row_ids.chunks(CHUNK) {
            direct.memberships.extend(memberships_of(chunk).load::<(i64, i64)>(connection)?);
        }
        let row_ids: BTreeSet<i64> = direct.memberships.iter().map(|(_, group_row_id)| *group_row_id).collect();
        let row_ids: Vec<i64> = row_ids.into_iter().collect();
        for chunk in row_ids.chunks(CHUNK) {
            let rows: Vec<(i64, String, Option<String>, Option<i64>)> = groups_in(chunk).load(connection)?;
            let group = |(row_id, id, display_name, beyond)| Group { row_id, id, display_name, beyond };
            direct.groups.extend(rows.into_iter().map(group));
        }
        Ok(direct)
    }

    fn is_nested(&self) -> bool {
        self.groups.iter().any(|group| group.beyond.is_some())
    }

    /// What these memberships say by themselves.
    fn into_groups(mut self) -> Groups {
        self.groups.sort_unstable_by_key(|group| group.row_id);
        self.groups.dedup_by_key(|group| group.row_id);
        self.memberships.sort_unstable_by_key(|(_, group_row_id)| *group_row_id);
        let mut places: HashMap<i64, Vec<usize>> = HashMap::new();
        let mut place = 0;
        for (member_row_id, group_row_id) in self.memberships {
            while self.groups.get(place).is_some_and(|group| group.row_id < group_row_id) {
                place += 1;
            }
            if self.groups.get(place).is_some_and(|group| group.row_id == group_row_id) {
                places.entry(member_row_id).or_default().push(place);
            }
        }
        let shown = self.groups.into_iter();
        let shown = shown.map(|group| GroupOf { value: group.id, display: group.display_name, through: None });
        Groups { shown: shown.collect(), places }
    }
}

/// The rows of a member and of a group, the id and displayName of the group, and the row of a group above it.
type DirectMembership = (BigInt, BigInt, Text, Nullable<Text>, Nullable<BigInt>);

/// The direct memberships of one resource, with all that is shown of the groups.
struct GroupsOfOne;

impl Question for GroupsOfOne {
    type Row = DirectMembership;
    const TEXT: &'static [&'static str] = &["SELECT gm.member_row_id, gm.group_row_id, g.id, g.display_name, \
         (SELECT n.group_row_id FROM group_members n WHERE n.member_row_id = gm.group_row_id LIMIT 1) \
         FROM group_members gm JOIN resources g ON g.row_id = gm.group_row_id WHERE gm.member_row_id = "];
}

/// The direct memberships of several, by the index alone.
fn memberships_of(member_row_ids: &[i64]) -> Sql<(BigInt, BigInt)> {
    let statement =
        Sql::new("SELECT gm.member_row_id, gm.group_row_id FROM group_members gm WHERE gm.member_row_id IN (");
    statement.bind_list(in_few_lengths(member_row_ids)).push(")")
}

/// What is shown of these groups, and whether anything lists them.
fn groups_in(row_ids: &[i64]) -> Sql<(BigInt, Text, Nullable<Text>, Nullable<BigInt>)> {
    let statement = Sql::new(
        "SELECT g.row_id, g.id, g.display_name, \
         (SELECT n.group_row_id FROM group_members n WHERE n.member_row_id = g.row_id LIMIT 1) \
         FROM resources g WHERE g.row_id IN (",
    );
    statement.bind_list(in_few_lengths(row_ids)).push(")")
}

/// The memberships above some resources, and perhaps their own.
#[derive(Debug, Default)]
struct Graph {
    /// The id and the displayName of each group, by its row.
    named: HashMap<i64, (String, Option<String>)>,
    /// The groups that list a resource, by the row of the resource.
    parents: HashMap<i64, Vec<i64>>,
}

/// All memberships of these resources, and of the groups above them.
fn above(connection: &mut Connection, member_row_ids: &[i64]) -> Result<Graph> {
    let mut graph = Graph::default();
    for chunk in member_row_ids.chunks(CHUNK) {
        let statement = memberships_above(connection, chunk);
        let rows: Vec<(i64, i64, String, Option<String>)> = statement.load(connection)?;
        for (member_row_id, group_row_id, id, display_name) in rows {
            graph.parents.entry(member_row_id).or_default().push(group_row_id);
            graph.named.insert(group_row_id, (id, display_name));
        }
    }
    Ok(graph)
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

impl Graph {
    fn add(&mut self, direct: Direct) {
        for (member_row_id, group_row_id) in direct.memberships {
            self.parents.entry(member_row_id).or_default().push(group_row_id);
        }
        self.named.extend(direct.groups.into_iter().map(|group| (group.row_id, (group.id, group.display_name))));
    }

    fn groups_of(&self, member_row_ids: &[i64]) -> Groups {
        // Many users are in the same groups: what lies above these is walked once.
        let mut walked: HashMap<Vec<i64>, Vec<usize>> = HashMap::new();
        let mut known: HashMap<(i64, Option<i64>), usize> = HashMap::new();
        let mut groups = Groups::default();
        for member_row_id in member_row_ids {
            let Some(direct) = self.parents.get(member_row_id) else { continue };
            let mut direct = direct.clone();
            direct.sort_unstable();
            direct.dedup();
            let places = walked.entry(direct).or_insert_with_key(|direct| {
                let shown = direct.iter().map(|row_id| (*row_id, None)).chain(self.beyond(direct));
                let mut place = |(row_id, below)| match known.entry((row_id, below)) {
                    Entry::Occupied(place) => Some(*place.get()),
                    Entry::Vacant(free) => {
                        groups.shown.push(self.group(row_id, below)?);
                        Some(*free.insert(groups.shown.len() - 1))
                    }
                };
                shown.filter_map(&mut place).collect()
            });
            groups.places.insert(*member_row_id, places.clone());
        }
        groups
    }

    /// The groups that list these groups, directly or through others, without these; each with the group below it on a
    /// shortest way. Looks at each membership once.
    fn beyond(&self, direct: &[i64]) -> Vec<(i64, Option<i64>)> {
        let mut seen: HashSet<i64> = direct.iter().copied().collect();
        let mut found = Vec::new();
        let mut next = VecDeque::from(direct.to_vec());
        while let Some(row_id) = next.pop_front() {
            for parent in self.parents.get(&row_id).into_iter().flatten() {
                if seen.insert(*parent) {
                    found.push((*parent, Some(row_id)));
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
    use crate::store::resources::Place;
    use crate::store::tenants::{self, TenantSettings};
    use crate::store::tests::{Fixture, at, insert_resource, on_each_database};

    /// Rows of so many groups of a tenant.
    fn groups(connection: &mut Connection, count: usize) -> Result<Vec<i64>> {
        let tenant = tenants::insert(connection, "nested", at("2026-03-01T09:30:00"))?;
        let resource_type = Registry::builtin().resource_type("Group").expect("Group is built in");
        let place = Place { tenant_id: tenant.tenant_id, settings: TenantSettings::default(), resource_type };
        let now = at("2026-03-01T09:30:00").and_utc();
        let insert = |index: usize| {
            let document = Document::from_json(&format!(r#"{{"displayName":"G{index}"}}"#)).expect("a document");
            insert_resource(connection, place, &format!("g{index}"), document, now).map(|stored| stored.row_id)
        };
        (0..count).map(insert).collect()
    }

    fn shown(groups: &Groups, row_id: i64) -> Vec<(&str, bool)> {
        groups.of(row_id).map(|group| (group.value.as_str(), group.through.is_none())).collect()
    }

    #[test]
    fn usr_04_a_diamond_costs_its_memberships_and_not_its_ways() {
        on_each_database(|Fixture { store, .. }| async move {
            let (above, both, above_both) = store
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
                    let above_both = groups_of(connection, &both)?;
                    Ok((above(connection, &rows[..1])?, both, above_both))
                })
                .await
                .expect("the store works");

            let memberships: usize = above.parents.values().map(Vec::len).sum();
            assert_eq!(memberships, 1 + 2 + 38 * 4 + 2);
            assert_eq!(above.named.len(), 80);
            assert_eq!([both[0], both[1]].map(|row_id| above_both.of(row_id).count()), [80, 79]);
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
                let of_one: Sql<DirectMembership> = Sql::new(GroupsOfOne::TEXT[0]).bind(1);
                let of_several = plan(connection, memberships_of(&[1, 2]))?;
                let direct = [plan(connection, of_one)?, of_several, plan(connection, groups_in(&[1, 2]))?];
                let above = memberships_above(connection, &[1]);
                Ok((direct, plan(connection, above)?))
            };
            let (direct, above) = store.read(Reach::Point, explain).await.expect("plans");

            let read_whole = |step: &String| step.contains("SCAN") || step.contains("Seq Scan");
            assert!(!direct.iter().flatten().any(read_whole), "{direct:#?}");
            let looked_up = match postgres {
                true => ["(member_row_id = gm.group_row_id)", "(member_row_id = ANY", "(member_row_id = g.row_id)"],
                false => {
                    ["SEARCH n USING COVERING INDEX", "SEARCH gm USING COVERING INDEX", "SEARCH n USING COVERING INDEX"]
                }
            };
            for (plan, looked_up) in direct.iter().zip(looked_up) {
                assert!(plan.iter().any(|step| step.contains(looked_up)), "{looked_up}: {plan:#?}");
            }
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
            let explain = move |connection: &mut Connection| {
                // Given a first synchronisation: users, whom the statistics know already, and groups behind them.
                connection.batch_execute(
                    "INSERT INTO resources (tenant_id, id, resource_type, active, document, version, created_at, modified_at) \
                     SELECT 1, 'u' || i, 'User', TRUE, repeat('x', 600), 1, now(), now() FROM generate_series(1, 20000) i; \
                     INSERT INTO resources (tenant_id, id, resource_type, active, document, version, created_at, modified_at) \
                     VALUES (1, 'g', 'Group', TRUE, '{}', 1, now(), now()); \
                     ANALYZE resources; \
                     INSERT INTO group_members (group_row_id, member_row_id) \
                     SELECT (SELECT row_id FROM resources WHERE id = 'g'), row_id FROM resources WHERE id <> 'g'",
                )?;
                let page: Vec<i64> = (1..=100).collect();
                let counts = plan(connection, members::counts_of(&page))?;
                Ok([plan(connection, memberships_of(&page))?, plan(connection, groups_in(&page))?, counts])
            };

            let plans = store.write(explain).await.expect("plans");

            let reads_whole =
                plans.iter().flatten().any(|step| step.contains("Seq Scan") || step.contains("Merge Join"));
            assert!(!reads_whole, "{plans:#?}");
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
    fn usr_04_a_page_is_told_each_group_once() {
        on_each_database(|Fixture { store, .. }| async move {
            let (rows, flat, nested) = store
                .write(|connection| {
                    // Given two in the same groups and one in one of these, which is in a further one later.
                    let rows = groups(connection, 7)?;
                    let page = [rows[0], rows[1], rows[2], rows[6]];
                    members::add(connection, rows[3], &rows[..3])?;
                    members::add(connection, rows[4], &rows[..2])?;
                    let flat = groups_of(connection, &page)?;
                    members::add(connection, rows[5], &[rows[3]])?;
                    let nested = groups_of(connection, &page)?;
                    Ok((rows, flat, nested))
                })
                .await
                .expect("the store works");

            for (found, beyond) in [(flat, &[][..]), (nested, &[("g5", false)])] {
                let (both, one) = ([("g3", true), ("g4", true)], [("g3", true)]);
                assert_eq!(shown(&found, rows[0]), [&both, beyond].concat());
                assert_eq!(shown(&found, rows[1]), shown(&found, rows[0]));
                assert_eq!(shown(&found, rows[2]), [&one, beyond].concat());
                assert_eq!(shown(&found, rows[6]), []);
                assert_eq!(found.shown().len(), both.len() + beyond.len());
            }
        });
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
                    let before = Direct::of_one(connection, user)?.is_nested();
                    let found = groups_of(connection, &[user, c])?;
                    members::add(connection, c, &[b])?;
                    let after = [Direct::of_one(connection, user)?, Direct::of_several(connection, &[user, c])?];
                    Ok((user, before, found, after.map(|direct| direct.is_nested())))
                })
                .await
                .expect("the store works");

            assert_eq!((before, after), (false, [true, true]));
            assert_eq!(shown(&found, row), [("g1", true), ("g2", true)]);
            assert_eq!(found.places.len(), 1, "who is in no group has no entry");
        });
    }

    #[test]
    fn grp_05_cycles_end_and_direct_wins() {
        on_each_database(|Fixture { store, .. }| async move {
            let (rows, found) = store
                .write(|connection| {
                    let rows = groups(connection, 4)?;
                    let [user, a, b, c] = rows[..] else { return Ok((rows, Groups::default())) };
                    for (group, member) in [(a, user), (b, a), (c, b), (a, c), (c, user)] {
                        members::add(connection, group, &[member])?;
                    }
                    let found = groups_of(connection, &rows)?;
                    Ok((rows, found))
                })
                .await
                .expect("the store works");

            assert_eq!(shown(&found, rows[0]), [("g1", true), ("g3", true), ("g2", false)]);
            assert_eq!(found.of(rows[0]).nth(2).and_then(|group| group.through.as_deref()), Some("g1"));
            for row_id in rows {
                let values: HashSet<&str> = found.of(row_id).map(|group| group.value.as_str()).collect();
                assert_eq!(
                    values.len(),
                    found.places(row_id).len(),
                    "nobody is in a group twice, nor is a group in a circle"
                );
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

            let through = found.of(row).nth(999).and_then(|group| group.through.clone());
            let found = shown(&found, row);
            assert_eq!((found.len(), found[0], found[999]), (1000, ("g1", true), ("g1000", false)));
            assert_eq!(through.as_deref(), Some("g999"));
        });
    }
}
