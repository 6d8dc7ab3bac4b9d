//! The migrations: applied once, taken back, equal to `schema.rs`, and what indexes and views do.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_migrations::MigrationHarness;

use super::*;
use crate::scim::schema::Registry;
use crate::store::connection::each_backend;
use crate::store::schema::resource_values;

#[test]
fn migrations_run_once_however_many_start_at_once() {
    on_each_url(|settings| {
        let store = Store::open(&settings).unwrap();
        let not_ready = run(store.ready()).unwrap_err();
        let before = store.pending_migrations().unwrap();
        let starts: Vec<_> = (0..4)
            .map(|_| settings.clone())
            .map(|settings| std::thread::spawn(move || Store::open(&settings).unwrap().migrate().unwrap()))
            .collect();
        let applied: Vec<String> = starts.into_iter().flat_map(|start| start.join().unwrap()).collect();

        assert_eq!(not_ready.kind(), ErrorKind::Unavailable);
        assert_eq!((&before, before.first().map(String::as_str)), (&applied, Some("0001_foundation")));
        assert!(store.migrate().unwrap().is_empty());
        assert!(store.pending_migrations().unwrap().is_empty());
        run(store.ready()).unwrap();
    });
}

#[test]
fn migrations_can_be_taken_back_and_applied_again() {
    on_each_url(|settings| {
        let store = migrated(&settings);
        let mut connection = store.inner.connector.open(Purpose::Writer).unwrap();
        match &mut connection {
            Connection::Sqlite(c) => drop(c.revert_all_migrations(migrations::SQLITE).unwrap()),
            Connection::Postgres(c) => drop(c.revert_all_migrations(migrations::POSTGRES).unwrap()),
        }

        assert!(!connection.has_table("resources").unwrap());
        assert!(!store.migrate().unwrap().is_empty());
    });
}

#[test]
fn both_migrations_have_the_same_names() {
    let names = |backend: &str| {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(backend);
        let mut names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };

    assert_eq!(names("sqlite"), names("postgres"));
}

/// Name, diesel type, and whether it may be null.
type Column = (String, String, bool);

/// The tables of `schema.rs`, in order.
fn described() -> Vec<(String, Vec<Column>)> {
    let mut tables: Vec<(String, Vec<_>)> = Vec::new();
    for line in include_str!("../schema.rs").lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
            tables.push((name.to_owned(), Vec::new()));
        } else if let Some((column, kind)) = line.split_once(" -> ").filter(|_| line.ends_with(',')) {
            let kind = kind.trim_end_matches(',');
            let inner = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>'));
            let column = (column.to_owned(), inner.unwrap_or(kind).to_owned(), inner.is_some());
            tables.last_mut().unwrap().1.push(column);
        }
    }
    tables
}

/// The names of the tables of `schema.rs`.
pub(super) fn names() -> Vec<String> {
    described().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn the_tables_of_the_schema_are_those_of_the_migrations() {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Text)]
        kind: String,
        #[diesel(sql_type = BigInt)]
        nullable: i64,
    }
    on_each_database(|Fixture { store, postgres }| async move {
        let tables = described();
        assert_eq!(tables.len(), 13);
        for (table, expected) in tables {
            let query = match postgres {
                false => format!(
                    "SELECT name, type AS kind, 1 - \"notnull\" AS nullable FROM pragma_table_info('{table}') ORDER BY cid"
                ),
                true => format!(
                    "SELECT column_name::text AS name, data_type::text AS kind, (is_nullable = 'YES')::int::bigint AS nullable \
                     FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = '{table}' \
                     ORDER BY ordinal_position"
                ),
            };
            let columns: Vec<Found> = store
                .read(Reach::Scan, move |c| Ok(each_backend!(c, c => diesel::sql_query(query).load(c))?))
                .await
                .unwrap();
            let found: Vec<_> = columns
                .into_iter()
                .map(|column| {
                    let kind = match column.kind.to_ascii_uppercase().as_str() {
                        "INTEGER" | "BIGINT" => "BigInt",
                        "TEXT" => "Text",
                        "BOOLEAN" => "Bool",
                        "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => "Timestamp",
                        other => panic!("{table}.{} has the type {other}", column.name),
                    };
                    (column.name, kind.to_owned(), column.nullable == 1)
                })
                .collect();
            assert_eq!(found, expected, "{table}");
        }
    });
}

#[derive(Debug, PartialEq, QueryableByName)]
struct Seen {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Nullable<Text>)]
    first: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    second: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    members: Option<i64>,
}

#[test]
fn the_views_show_live_users_and_groups_to_people() {
    on_each_database(|Fixture { store, .. }| async move {
        let (users, groups) = store
            .write(|c| {
                let primary = r#"{"userName":"Ann","emails":[{"value":"a@x"},{"value":"b@x","primary":true}]}"#;
                let ann = resource(c, "1", "User", None, primary)?;
                let first = r#"{"userName":"Bob","emails":[{"value":"c@x"},{"value":"d@x","primary":false}]}"#;
                let bob = resource(c, "2", "User", None, first)?;
                resource(c, "3", "User", None, r#"{"userName":"Cid"}"#)?;
                let buried = resource(c, "4", "User", None, r#"{"userName":"Dan"}"#)?;
                let group = resource(c, "5", "Group", Some("crew"), r#"{"displayName":"Shown"}"#)?;
                diesel::update(resources::table.find(buried))
                    .set(resources::deleted_at.eq(at("2026-03-01T09:30:00")))
                    .execute(c)?;
                let members = [ann, bob].map(|member| [group.into(), member.into()]);
                let columns = ["group_row_id", "member_row_id"];
                statement::insert_rows(c, "group_members", columns, members, statement::OnConflict::Fail)?;
                let users = "SELECT id, tenant, user_name AS first, email AS second, CAST(NULL AS BIGINT) AS members \
                             FROM users WHERE active AND external_id = 'ext' ORDER BY id";
                let groups = "SELECT id, tenant, display_name AS first, name AS second, members FROM groups";
                let users: Vec<Seen> = each_backend!(c, c => diesel::sql_query(users).load(c))?;
                let groups: Vec<Seen> = each_backend!(c, c => diesel::sql_query(groups).load(c))?;
                Ok((users, groups))
            })
            .await
            .unwrap();

        let seen = |id: &str, first: &str, second: Option<&str>, members| Seen {
            id: id.to_owned(),
            tenant: "default".to_owned(),
            first: Some(first.to_owned()),
            second: second.map(str::to_owned),
            members,
        };
        let expected =
            [seen("1", "Ann", Some("b@x"), None), seen("2", "Bob", Some("c@x"), None), seen("3", "Cid", None, None)];
        assert_eq!(users, expected);
        assert_eq!(groups, [seen("5", "Shown", Some("crew"), Some(2))]);
    });
}

#[test]
fn a_buried_name_is_free_again_and_a_live_one_is_not() {
    on_each_database(|Fixture { store, .. }| async move {
        let outcome = |first: Option<NaiveDateTime>| {
            let store = store.clone();
            async move {
                store
                    .write(move |c| {
                        let set = (resources::unique_key.eq("ann"), resources::deleted_at.eq(first));
                        let id = format!("first {first:?}");
                        let row_id = resource(c, &id, "User", None, "{}")?;
                        diesel::update(resources::table.find(row_id)).set(set).execute(c)?;
                        let row_id = resource(c, &format!("second {first:?}"), "User", None, "{}")?;
                        diesel::update(resources::table.find(row_id))
                            .set(resources::unique_key.eq("ann"))
                            .execute(c)
                            .map_err(error::unique("userName is taken."))
                    })
                    .await
            }
        };

        let live = outcome(None).await.unwrap_err();
        let buried = outcome(Some(at("2026-03-01T09:30:00"))).await;

        assert_eq!((live.kind(), live.detail()), (ErrorKind::Uniqueness, "userName is taken."));
        assert!(buried.is_ok(), "{buried:?}");
    });
}

/// Index paths as they stood in the search index before, built-in ones and longest ones.
fn index_paths() -> Vec<String> {
    let extension = format!("urn:{}:{}.{}", "x".repeat(196), "y".repeat(100), "z".repeat(100));
    let user = Registry::builtin().resource_type("User").unwrap();
    let whole = user.stored_attributes().map(|whole| whole.attribute);
    let all = whole.flat_map(|whole| whole.sub_attributes.iter().chain([whole]));
    all.map(|attribute| attribute.index_path.clone()).chain(["schemas".to_owned(), format!("{extension}[0]")]).collect()
}

#[test]
fn values_that_were_indexed_by_name_are_found_by_number() {
    on_each_url(|settings| {
        let store = migrated(&settings);
        let mut connection = store.inner.connector.open(Purpose::Writer).unwrap();
        let mut take_back = || match &mut connection {
            Connection::Sqlite(c) => c.revert_last_migration(migrations::SQLITE).unwrap().to_string(),
            Connection::Postgres(c) => c.revert_last_migration(migrations::POSTGRES).unwrap().to_string(),
        };
        while take_back() != "0010" {}
        run(store.write(|c| resource(c, "1", "User", None, "{}").map(drop))).unwrap();
        let paths = index_paths();
        let each = || [1, 2].into_iter().flat_map(|tenant_id| paths.iter().map(move |path| (tenant_id, path)));
        for (tenant_id, path) in each() {
            let row = format!("({tenant_id}, '{path}', 'key of {path}', 1, {tenant_id}, 'tail')");
            let sql =
                format!("INSERT INTO resource_values (tenant_id, path, \"key\", row_id, element, tail) VALUES {row}");
            connection.batch_execute(&sql).unwrap();
        }

        assert_eq!(store.migrate().unwrap()[0], "0010_tenant_path");

        let rows = |c: &mut Connection| Ok(resource_values::table.load::<(i64, String, i64, i64, String)>(c)?);
        let mut found = run(store.read(Reach::Scan, rows)).unwrap();
        let row = |(tenant_id, path): (i64, &String)| {
            (values::tenant_path(tenant_id, path_hash(path)), format!("key of {path}"), 1, tenant_id, "tail".to_owned())
        };
        let mut expected: Vec<_> = each().map(row).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    });
}
