//! How many live resources of a type a tenant has: kept by the database with every change, not counted.
//!
//! Triggers keep the numbers, so no way to make, delete or bring back a resource can forget them, and they are seen and
//! rolled back together with the rows. There is one for each block of row ids, which is the order of creation: the blocks
//! in front of a page are passed by without a look at their rows. On PostgreSQL a block may have several rows that add up,
//! since two transactions that create at the same time must not wait for each other.

use diesel::sql_types::{BigInt, Text};

use super::Connection;
use super::sql::Sql;
use crate::scim::Result;

/// How many live resources of a type a tenant has.
///
/// # Errors
/// Database failures.
pub(super) fn of_type(connection: &mut Connection, tenant_id: i64, resource_type: &str) -> Result<i64> {
    let statement: Sql<BigInt> = Sql::new("SELECT CAST(coalesce(sum(c.live), 0) AS BIGINT) FROM live_totals c WHERE ");
    Ok(statement.append(of(tenant_id, resource_type)).get_result(connection)?)
}

/// How many live resources a tenant has, by type; types without any are missing.
///
/// # Errors
/// Database failures.
pub(super) fn by_type(connection: &mut Connection, tenant_id: i64) -> Result<Vec<(String, i64)>> {
    let statement: Sql<(Text, BigInt)> =
        Sql::new("SELECT c.resource_type, CAST(sum(c.live) AS BIGINT) FROM live_totals c WHERE c.tenant_id = ");
    let statement = statement.bind(tenant_id).push(" GROUP BY c.resource_type HAVING sum(c.live) <> 0");
    Ok(statement.load(connection)?)
}

/// Where the live resource of a type lies that `rank` others come before in the order of creation: at or behind a row, and
/// there so many others come before it yet, at most a block of them.
///
/// # Errors
/// Database failures.
pub(super) fn place(connection: &mut Connection, tenant_id: i64, resource_type: &str, rank: u64) -> Result<(i64, i64)> {
    let mut rank = i64::try_from(rank).unwrap_or(i64::MAX);
    if rank < BLOCK {
        return Ok((0, rank));
    }
    let statement: Sql<(BigInt, BigInt)> =
        Sql::new("SELECT c.block, CAST(sum(c.live) AS BIGINT) FROM live_totals c WHERE ");
    let statement = statement.append(of(tenant_id, resource_type)).push(" GROUP BY c.block ORDER BY c.block");
    let mut begin = 0;
    for (block, live) in statement.load::<(i64, i64)>(connection)? {
        begin = block * BLOCK;
        if rank < live {
            break;
        }
        rank -= live;
    }
    Ok((begin, rank))
}

/// How many rows make a block.
const BLOCK: i64 = 1 << 12;

/// The tenant and type behind this one of which there are resources or counts, in order.
///
/// # Errors
/// Database failures.
pub(super) fn kind_after(connection: &mut Connection, after: &(i64, String)) -> Result<Option<(i64, String)>> {
    let (tenant_id, resource_type) = after;
    let mut next = None;
    for source in [
        "SELECT c.tenant_id, c.resource_type FROM live_totals c WHERE (c.tenant_id, c.resource_type) > (",
        "SELECT c.tenant_id, c.resource_type FROM resources c WHERE c.deleted_at IS NULL AND (c.tenant_id, c.resource_type) > (",
    ] {
        let statement: Sql<(BigInt, Text)> = Sql::new(source).bind(*tenant_id).push(", ").bind(resource_type.as_str());
        let statement = statement.push(") ORDER BY c.tenant_id, c.resource_type LIMIT 1");
        let found: Option<(i64, String)> = statement.load(connection)?.pop();
        next = match (next, found) {
            (Some(one), Some(other)) => Some(std::cmp::min(one, other)),
            (one, other) => one.or(other),
        };
    }
    Ok(next)
}

/// Whether what is kept for a tenant and a type is another number than that of the resources that there are, in a block
/// or in all.
///
/// # Errors
/// Database failures.
pub(super) fn is_wrong(connection: &mut Connection, tenant_id: i64, resource_type: &str) -> Result<bool> {
    let of_blocks: Sql<BigInt> =
        Sql::new("SELECT b.block FROM (SELECT c.block, sum(c.live) AS live FROM live_totals c WHERE ");
    let of_blocks = of_blocks.append(of(tenant_id, resource_type)).push(" GROUP BY c.block) b WHERE b.live <> ");
    let of_blocks = of_blocks.append(counted(tenant_id, resource_type, true)).push(" LIMIT 1");
    if !of_blocks.load::<i64>(connection)?.is_empty() {
        return Ok(true);
    }
    // There may be a block of which nothing is kept.
    let all: Sql<BigInt> = Sql::new("SELECT ").append(counted(tenant_id, resource_type, false));
    let all: i64 = all.get_result(connection)?;
    Ok(all != of_type(connection, tenant_id, resource_type)?)
}

/// Counts the resources of a tenant and a type once more, with the tenant kept from others.
///
/// # Errors
/// Database failures.
pub(super) fn recount(connection: &mut Connection, tenant_id: i64, resource_type: &str) -> Result<()> {
    let statement: Sql = Sql::new("DELETE FROM live_totals WHERE tenant_id = ").bind(tenant_id);
    statement.push(" AND resource_type = ").bind(resource_type).execute(connection)?;
    let statement: Sql = Sql::new(
        "WITH RECURSIVE blocks (block) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT block + 1 FROM blocks \
         WHERE block < (SELECT max(row_id) >> 12 FROM resources)) \
         INSERT INTO live_totals (tenant_id, resource_type, block, slot, live) \
         SELECT k.tenant_id, k.resource_type, k.block, 0, k.live FROM (SELECT ",
    );
    let statement = statement
        .bind(tenant_id)
        .push(" AS tenant_id, ")
        .bind(resource_type)
        .push(" AS resource_type, b.block AS block, ")
        .append(counted(tenant_id, resource_type, true))
        .push(" AS live FROM blocks b) k WHERE k.live > 0");
    statement.execute(connection)?;
    Ok(())
}

/// What is kept, as `c`.
fn of(tenant_id: i64, resource_type: &str) -> Sql {
    Sql::new("c.tenant_id = ").bind(tenant_id).push(" AND c.resource_type = ").bind(resource_type)
}

/// The number of live resources, of the block `b.block` or of all.
fn counted(tenant_id: i64, resource_type: &str, of_block: bool) -> Sql {
    let number = Sql::new("(SELECT count(*) FROM resources r WHERE r.tenant_id = ").bind(tenant_id);
    let number = number.push(" AND r.resource_type = ").bind(resource_type).push(" AND r.deleted_at IS NULL");
    match of_block {
        true => number.push(" AND r.row_id >= b.block << 12 AND r.row_id < (b.block + 1) << 12)"),
        false => number.push(")"),
    }
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;
    use diesel_migrations::MigrationHarness;

    use super::*;
    use crate::scim::resource::Document;
    use crate::scim::schema::Registry;
    use crate::scim::{Error, ErrorKind};
    use crate::store::connection::{Purpose, each_backend};
    use crate::store::migrations;
    use crate::store::resources::{self, Place};
    use crate::store::tenants::TenantSettings;
    use crate::store::tests::{Fixture, at, insert_resource, on_each_database};
    use crate::store::{Reach, Store};

    fn users() -> Place {
        let resource_type = Registry::builtin().resource_type("User").expect("a built-in type");
        Place { tenant_id: 1, settings: TenantSettings::default(), resource_type }
    }

    fn insert(connection: &mut Connection, name: &str) -> Result<resources::StoredResource> {
        let document = Document::from_json(&format!(r#"{{"userName":"{name}"}}"#)).expect("a document");
        insert_resource(connection, users(), name, document, at("2026-03-01T09:30:00").and_utc())
    }

    /// The total, once it is known to be right in each block.
    async fn total(store: &Store) -> i64 {
        let look = |connection: &mut Connection| {
            assert!(!is_wrong(connection, 1, "User")?);
            of_type(connection, 1, "User")
        };
        store.read(Reach::Scan, look).await.expect("a total")
    }

    /// Users of these rows, beside the code that knows of totals.
    fn rows(row_ids: impl IntoIterator<Item = i64>) -> String {
        let each = row_ids.into_iter().map(|row_id| {
            format!(
                "({row_id}, 1, 'id-{row_id}', 'User', TRUE, '{{}}', 1, '2026-03-01 09:30:00', '2026-03-01 09:30:00')"
            )
        });
        let columns = "row_id, tenant_id, id, resource_type, active, document, version, created_at, modified_at";
        format!("INSERT INTO resources ({columns}) VALUES {}", each.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn the_total_follows_every_change_and_what_is_rolled_back_was_never_counted() {
        on_each_database(|Fixture { store, .. }| async move {
            let now = at("2026-03-01T12:00:00").and_utc();
            let work = move |c: &mut Connection| {
                let [mut ann, bob, cid] = [insert(c, "ann")?, insert(c, "bob")?, insert(c, "cid")?];
                resources::bury(c, users(), &ann, "k", now)?;
                resources::bury(c, users(), &bob, "k", now)?;
                resources::bury(c, users(), &cid, "k", now)?;
                let document = ann.document.clone();
                resources::unbury(c, users(), &mut ann, document, now)?;
                resources::purge(c, users(), &bob, now)?;
                let refused: Result<()> = c.savepoint(|c| {
                    insert(c, "eve")?;
                    resources::bury(c, users(), &ann, "k", now)?;
                    Err(Error::new(ErrorKind::InvalidValue, "no"))
                });
                assert!(refused.is_err());
                insert(c, "dan").map(drop)
            };
            store.write(work).await.expect("written");
            assert_eq!(total(&store).await, 2);

            let fail = |c: &mut Connection| insert(c, "fay").and_then(|_| Err::<(), _>(Error::internal("no")));
            store.write(fail).await.expect_err("fails");
            assert_eq!(total(&store).await, 2);

            let bury = "UPDATE resources SET deleted_at = created_at WHERE deleted_at IS NULL";
            store.write(move |c| Ok(c.batch_execute(bury)?)).await.expect("buried");
            assert_eq!(total(&store).await, 0);
            let left = |c: &mut Connection| {
                let left: Sql<BigInt> = Sql::new("SELECT count(*) FROM live_totals");
                Ok(left.get_result::<i64>(c)?)
            };
            assert_eq!(store.read(Reach::Point, left).await.expect("counted"), 0, "a block without anybody has no row");
        });
    }

    #[test]
    fn what_was_there_before_is_counted_by_the_migration_and_counted_again_alike() {
        on_each_database(|Fixture { store, postgres }| async move {
            let mut connection = store.inner.connector.open(Purpose::Writer).expect("a connection");
            let known = || if postgres { migrations::POSTGRES } else { migrations::SQLITE };
            let revert = |connection: &mut Connection| each_backend!(connection, c => c.revert_last_migration(known()).expect("reverted").to_string());
            while revert(&mut connection) != "0007" {}
            let more = rows((1..=5).chain(4090..4100).chain([12_288, 20_479, 20_480]));
            connection.batch_execute(&more).expect("filled");
            let bury = "UPDATE resources SET deleted_at = created_at WHERE row_id IN (2, 12288)";
            connection.batch_execute(bury).expect("buried");

            store.migrate().expect("migrated");

            assert_eq!(total(&store).await, 16);
            let kept = |c: &mut Connection| {
                let kept: Sql<(BigInt, BigInt)> = Sql::new("SELECT c.block, c.live FROM live_totals c ORDER BY 1");
                Ok(kept.load::<(i64, i64)>(c)?)
            };
            let by_migration = store.read(Reach::Scan, kept).await.expect("read");
            assert_eq!(by_migration, [(0, 10), (1, 4), (4, 1), (5, 1)]);
            store.write(|c| recount(c, 1, "User")).await.expect("counted again");
            assert_eq!(store.read(Reach::Scan, kept).await.expect("read"), by_migration);
        });
    }

    #[test]
    fn a_page_far_behind_is_found_by_the_blocks_before_it() {
        on_each_database(|Fixture { store, .. }| async move {
            let everybody = (1..=5).chain(4_090..4_100).chain(12_000..20_000);
            let gone = |row_id: &i64| row_id % 3 == 0;
            let there: Vec<i64> = everybody.clone().filter(|row_id| !gone(row_id)).collect();
            let rows = rows(everybody);
            let fill = move |c: &mut Connection| {
                c.batch_execute(&rows)?;
                Ok(c.batch_execute("UPDATE resources SET deleted_at = created_at WHERE row_id % 3 = 0")?)
            };
            store.write(fill).await.expect("filled");
            let expected = there.clone();
            let look = move |c: &mut Connection| {
                for (rank, row_id) in expected.iter().enumerate().step_by(7) {
                    let (begin, rest) = place(c, 1, "User", rank as u64)?;
                    let before = expected.iter().filter(|row_id| **row_id < begin).count();
                    assert_eq!(before + rest as usize, rank, "{row_id}");
                    assert!(rest < BLOCK);
                }
                Ok(())
            };
            store.read(Reach::Scan, look).await.expect("found");
        });
    }

    #[test]
    fn two_who_create_at_once_do_not_wait_for_each_other() {
        on_each_database(|Fixture { store, postgres }| async move {
            if !postgres {
                return;
            }
            let open = || store.inner.connector.open(Purpose::Writer).expect("a connection");
            let (mut first, mut second) = (open(), open());
            // Given a count that the first one has made, and that the second one holds.
            insert(&mut first, "ann").expect("written");
            second.batch_execute("BEGIN").expect("begun");
            insert(&mut second, "bob").expect("written");

            first.batch_execute("SET lock_timeout = '2s'").expect("set");
            insert(&mut first, "cid").expect("written while the other one is not done");

            assert_eq!(total(&store).await, 2, "what is not committed is not counted");
            second.batch_execute("COMMIT").expect("committed");
            assert_eq!(total(&store).await, 3);
        });
    }
}
