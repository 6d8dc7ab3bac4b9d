//! Every way to tamper with the database by SQL: each flaw is found, named, mended, and leaves nothing behind.

use diesel::connection::SimpleConnection;

use super::inspection::{Inspection, RESOURCES};
use super::*;
use crate::scim::resource::Document;
use crate::scim::schema::{ENTERPRISE_URN, SchemaFile};
use crate::store::audit::{self, Changes, Operation, Record};
use crate::store::connection::Purpose;
use crate::store::resources::{self, Place, StoredResource};
use crate::store::tests::{Fixture, at, insert_resource, on_each_database, rows_in, with_paths};
use crate::store::{credentials, members, tenants};

/// A type with two unique attributes, one of which has no column of its own.
const DEVICES: &str = r#"[
  {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"], "id": "urn:example:Device", "attributes": [
    {"name": "serial", "type": "string", "required": true, "uniqueness": "server"},
    {"name": "tags", "type": "string", "multiValued": true, "uniqueness": "server"}]},
  {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
   "id": "Device", "name": "Device", "endpoint": "/Devices", "schema": "urn:example:Device"}
]"#;

fn registry() -> &'static Registry {
    let file = SchemaFile { name: "devices.json".to_owned(), text: DEVICES.to_owned() };
    Registry::with_files(&[file], false).expect("a good file")
}

const NOON: &str = "2026-03-01T12:00:00";

fn place(registry: &'static Registry, resource_type: &str) -> Place {
    let resource_type = registry.resource_type(resource_type).expect("a type");
    Place { tenant_id: 1, settings: tenants::TenantSettings::default(), resource_type }
}

fn record(c: &mut Connection, stored: &StoredResource, operation: Operation) -> Result<()> {
    let record = Record {
        tenant_id: 1,
        at: at(NOON).and_utc(),
        caller: "test",
        request_id: "",
        operation,
        resource_type: &stored.resource_type,
        resource_id: &stored.id,
        version: stored.meta.version,
        changes: &Changes::default(),
    };
    audit::append(c, &record)
}

fn made(c: &mut Connection, registry: &'static Registry, resource_type: &str, id: &str, json: &str) -> Result<i64> {
    let document = Document::from_json(json).expect("a document");
    let stored = insert_resource(c, place(registry, resource_type), id, document, at(NOON).and_utc())?;
    record(c, &stored, Operation::Create)?;
    Ok(stored.row_id)
}

/// Users 1 to 3, of whom the last is deleted, groups 4 and 5, devices 6 and 7.
fn populate(c: &mut Connection, registry: &'static Registry) -> Result<()> {
    let long = "x".repeat(300);
    let boss = format!(r#"{{"userName":"ann","externalId":"e1","displayName":"Ann","title":"{long}","active":true}}"#);
    let report = format!(
        r#"{{"userName":"bob","emails":[{{"value":"bob@example.org","type":"work"}}],"active":false,
           "{ENTERPRISE_URN}":{{"manager":{{"value":"ann"}}}}}}"#
    );
    let ann = made(c, registry, "User", "ann", &boss)?;
    let bob = made(c, registry, "User", "bob", &report)?;
    made(c, registry, "User", "cid", r#"{"userName":"cid"}"#)?;
    let team = made(c, registry, "Group", "team", r#"{"displayName":"Team"}"#)?;
    let all = made(c, registry, "Group", "all", r#"{"displayName":"TEAM","externalId":"2"}"#)?;
    made(c, registry, "Device", "d1", r#"{"serial":"S1","tags":["a","b"]}"#)?;
    made(c, registry, "Device", "d2", r#"{"serial":"S2","tags":["c"]}"#)?;
    members::add(c, team, &[ann, bob])?;
    members::add(c, all, &[team])?;
    members::add_unresolved(c, team, &["nobody"])?;
    credentials::set(c, ann, "$argon2id$…")?;
    audit::touch(c, bob, at(NOON).and_utc())?;
    let cid = resources::lock(c, 1, "User", "cid")?.expect("cid");
    resources::bury(c, place(registry, "User"), &cid, "test", at(NOON).and_utc())?;
    record(c, &cid, Operation::Delete)
}

/// Changes the database behind the back of the program, constraints included.
fn tamper(store: &Store, postgres: bool, statements: &str) {
    let mut connection = store.inner.connector.open(Purpose::Writer).expect("a connection");
    let [before, after] = match postgres {
        true => ["SET session_replication_role = replica", "SET session_replication_role = DEFAULT"],
        false => [
            "PRAGMA foreign_keys = OFF; DROP TRIGGER IF EXISTS audit_update; DROP TRIGGER IF EXISTS audit_delete; \
             DROP TRIGGER IF EXISTS resources_bury; DROP TRIGGER IF EXISTS resources_delete",
            "PRAGMA foreign_keys = ON",
        ],
    };
    for text in [before, &with_paths(statements), after] {
        connection.batch_execute(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

async fn inspected(store: &Store, registry: &'static Registry, repair: bool) -> Vec<(Flaw, Option<Outcome>)> {
    let mut flaws = Vec::new();
    let now = at("2026-03-02T12:00:00").and_utc();
    store.inspect(registry, now, repair, (), |flaw, outcome| flaws.push((flaw, outcome))).await.expect("inspected");
    flaws
}

/// Statements, and each flaw that they make: its kind, the resource, a part of what is said of it.
type Case = (&'static str, &'static [(FlawKind, Option<&'static str>, &'static str)]);

/// What follows from the documents, and is mended.
const MENDABLE: &[Case] = &[
    ("UPDATE resources SET unique_key = 'zed' WHERE id = 'ann'", &[(FlawKind::Column, Some("ann"), "unique_key")]),
    ("UPDATE resources SET unique_key = NULL WHERE id = 'd1'", &[(FlawKind::Column, Some("d1"), "unique_key")]),
    // Each has what is the other's.
    (
        "UPDATE resources SET unique_key = 'x' WHERE id = 'ann'; UPDATE resources SET unique_key = 'ann' WHERE id = 'bob'; \
         UPDATE resources SET unique_key = 'bob' WHERE id = 'ann'",
        &[(FlawKind::Column, Some("ann"), "unique_key"), (FlawKind::Column, Some("bob"), "unique_key")],
    ),
    ("UPDATE resources SET unique_key = 'x' WHERE id = 'cid'", &[(FlawKind::Column, Some("cid"), "unique_key")]),
    ("UPDATE resources SET name = NULL WHERE id = 'team'", &[(FlawKind::Column, Some("team"), "column name")]),
    ("UPDATE resources SET name = 'other' WHERE id = 'all'", &[(FlawKind::Column, Some("all"), "column name")]),
    ("UPDATE resources SET name = 'ann' WHERE id = 'ann'", &[(FlawKind::Column, Some("ann"), "column name")]),
    ("UPDATE resources SET external_id = NULL WHERE id = 'ann'", &[(FlawKind::Column, Some("ann"), "external_id")]),
    ("UPDATE resources SET external_id = 'x' WHERE id = 'cid'", &[(FlawKind::Column, Some("cid"), "external_id")]),
    ("UPDATE resources SET display_name = 'x' WHERE id = 'bob'", &[(FlawKind::Column, Some("bob"), "display_name")]),
    ("UPDATE resources SET active = false WHERE id = 'ann'", &[(FlawKind::Column, Some("ann"), "active")]),
    (
        "UPDATE resources SET active = true WHERE id IN ('bob', 'cid')",
        &[(FlawKind::Column, Some("bob"), "active"), (FlawKind::Column, Some("cid"), "active")],
    ),
    (
        "DELETE FROM resource_values WHERE row_id = 2 AND tenant_path IN (path(1 username), path(1 emails.value))",
        &[(FlawKind::MissingValue, Some("bob"), "emails.value, username")],
    ),
    (
        "UPDATE resource_values SET tail = 'y' WHERE row_id = 1 AND tenant_path = path(1 title)",
        &[(FlawKind::MissingValue, Some("ann"), "title"), (FlawKind::SurplusValue, Some("ann"), "title")],
    ),
    (
        "UPDATE resource_values SET \"key\" = 'ANN' WHERE row_id = 1 AND tenant_path = path(1 username)",
        &[(FlawKind::MissingValue, Some("ann"), "username"), (FlawKind::SurplusValue, Some("ann"), "username")],
    ),
    (
        "UPDATE resource_values SET tenant_path = path(7 externalid) WHERE row_id = 1 AND tenant_path = path(1 externalid)",
        &[(FlawKind::MissingValue, Some("ann"), "externalid"), (FlawKind::SurplusValue, Some("ann"), "externalid")],
    ),
    (
        "INSERT INTO resource_values (tenant_path, \"key\", row_id, element) VALUES (path(1 emails.value), 'a@b', 1, 3), \
         (path(1 username), 'cid', 3, 0), (path(1 username), 'x', 900, 0), (path(1 username), 'y', -4, 0), (path(9 unknown), 'b', 0, 0)",
        &[
            (FlawKind::SurplusValue, Some("ann"), "emails.value"),
            (FlawKind::SurplusValue, Some("cid"), "username"),
            (FlawKind::SurplusValue, None, "username"),
            (FlawKind::SurplusValue, None, "username"),
            (FlawKind::SurplusValue, None, "an attribute that no schema has"),
        ],
    ),
    // A value that is there in the place of another, so that their number is right.
    (
        "UPDATE resource_values SET tenant_path = path(1 nickname) WHERE row_id = 1 AND tenant_path = path(1 displayname)",
        &[(FlawKind::MissingValue, Some("ann"), "displayname"), (FlawKind::SurplusValue, Some("ann"), "nickname")],
    ),
    ("DELETE FROM unique_values WHERE \"key\" = 'b'", &[(FlawKind::MissingUniqueValue, Some("d1"), "tags")]),
    (
        "UPDATE unique_values SET row_id = 7 WHERE \"key\" = 'a'",
        &[(FlawKind::SurplusUniqueValue, Some("d2"), "tags"), (FlawKind::MissingUniqueValue, Some("d1"), "tags")],
    ),
    (
        "INSERT INTO unique_values (tenant_id, resource_type, path, \"key\", row_id) VALUES (1, 'Device', 'tags', 'z', 900), \
         (1, 'User', 'tags', 'a', 6), (2, 'Device', 'tags', 'a', 6)",
        &[
            (FlawKind::SurplusUniqueValue, None, "tags"),
            (FlawKind::SurplusUniqueValue, Some("d1"), "tags"),
            (FlawKind::SurplusUniqueValue, Some("d1"), "tags"),
        ],
    ),
    (
        "INSERT INTO group_members (group_row_id, member_row_id) VALUES (4, 3), (4, 900), (901, 1), (2, 1)",
        &[
            (FlawKind::Membership, Some("team"), "deleted"),
            (FlawKind::Membership, Some("team"), "does not exist"),
            (FlawKind::Membership, Some("ann"), "group that does not exist"),
            (FlawKind::Membership, Some("bob"), "no group"),
        ],
    ),
    (
        "INSERT INTO unresolved_members (group_row_id, value) VALUES (4, 'd1'), (5, 'cid'), (1, 'x'), (900, 'x')",
        &[
            (FlawKind::UnresolvedMember, Some("team"), "exists"),
            (FlawKind::UnresolvedMember, Some("ann"), "no group"),
            (FlawKind::UnresolvedMember, None, "does not exist"),
        ],
    ),
    (
        "INSERT INTO credentials (row_id, password_hash) VALUES (3, 'x'), (900, 'x')",
        &[(FlawKind::Credential, Some("cid"), "deleted"), (FlawKind::Credential, None, "does not exist")],
    ),
    (
        "INSERT INTO touches (row_id, at) VALUES (900, '2026-03-01 09:30:00')",
        &[(FlawKind::Touch, None, "does not exist")],
    ),
    ("INSERT INTO outbox (audit_row_id, event) VALUES (900, 'x')", &[(FlawKind::Event, None, "history")]),
    (
        "UPDATE live_totals SET live = live + 1 WHERE resource_type = 'User'; \
         UPDATE live_totals SET block = 7 WHERE resource_type = 'Group'; \
         DELETE FROM live_totals WHERE resource_type = 'Device'; \
         INSERT INTO live_totals (tenant_id, resource_type, block, slot, live) VALUES (1, 'Printer', 0, 0, 1)",
        &[
            (FlawKind::Count, None, "the type Device"),
            (FlawKind::Count, None, "the type Group"),
            (FlawKind::Count, None, "the type Printer"),
            (FlawKind::Count, None, "the type User"),
        ],
    ),
    // A deletion that took nothing away.
    (
        "UPDATE resources SET deleted_at = created_at, deleted_by = 'x', active = false, version = 2 WHERE id = 'd2'; \
         INSERT INTO audit (tenant_id, at, caller, request_id, operation, resource_type, resource_id, version, changes, \
         digest) VALUES (1, '2026-03-01 12:00:00', 'x', '', 'delete', 'Device', 'd2', 2, '{}', 'x')",
        &[
            (FlawKind::SurplusUniqueValue, Some("d2"), "tags"),
            (FlawKind::SurplusValue, Some("d2"), "serial"),
            (FlawKind::SurplusValue, Some("d2"), "tags"),
            (FlawKind::Count, None, "the type Device"),
        ],
    ),
];

/// What only people can put right.
const BEYOND: &[Case] = &[
    ("UPDATE resources SET document = 'x' WHERE id = 'ann'", &[(FlawKind::Document, Some("ann"), "JSON")]),
    (
        "UPDATE resources SET tenant_id = 77 WHERE id = 'cid'",
        &[(FlawKind::Owner, Some("cid"), "tenant"), (FlawKind::History, Some("cid"), "no change")],
    ),
    ("UPDATE resources SET version = 4 WHERE id = 'ann'", &[(FlawKind::History, Some("ann"), "version 4")]),
    (
        "DELETE FROM outbox; DELETE FROM audit WHERE resource_id = 'all'",
        &[(FlawKind::History, Some("all"), "no change")],
    ),
    (
        "UPDATE audit SET operation = 'modify' WHERE resource_id = 'cid' AND operation = 'delete'",
        &[(FlawKind::History, Some("cid"), "`modify`, and it is deleted")],
    ),
    // Two documents claim what one can have.
    (
        "UPDATE resources SET document = '{\"userName\":\"ann\"}', display_name = NULL, external_id = NULL, active = true \
         WHERE id = 'bob'; DELETE FROM resource_values WHERE row_id = 2 AND tenant_path <> path(1 username); \
         UPDATE resource_values SET \"key\" = 'ann' WHERE row_id = 2",
        &[(FlawKind::Column, Some("bob"), "unique_key")],
    ),
    (
        "INSERT INTO api_keys (key_id, tenant_id, name, secret_hash, fingerprint, last_four, scopes, profile, \
         subject_row_id, created_at, revoked_at) VALUES \
         ('k1', 1, 'a', '', '', '', 'me', 'compat', 3, '2026-03-01 12:00:00', NULL), \
         ('k2', 1, 'b', '', '', '', 'me', 'compat', 900, '2026-03-01 12:00:00', NULL), \
         ('k3', 1, 'c', '', '', '', 'me', 'compat', 900, '2026-03-01 12:00:00', '2026-03-01 12:00:00'), \
         ('k4', 1, 'd', '', '', '', 'me', 'compat', 1, '2026-03-01 12:00:00', NULL), \
         ('k5', 78, 'e', '', '', '', '*', 'compat', NULL, '2026-03-01 12:00:00', NULL)",
        &[
            (FlawKind::BoundKey, None, "k1 is bound to a user who is deleted"),
            (FlawKind::BoundKey, None, "k2 is bound to a user who does not exist"),
            (FlawKind::Owner, None, "k5 belongs to a tenant"),
        ],
    ),
];

fn assert_found(found: &[(Flaw, Option<Outcome>)], case: &Case) {
    let (statements, expected) = case;
    for (kind, id, part) in *expected {
        let is_it = |flaw: &Flaw| {
            flaw.kind == *kind && flaw.subject.as_ref().map(|one| one.id.as_str()) == *id && flaw.detail.contains(part)
        };
        assert!(found.iter().any(|(flaw, _)| is_it(flaw)), "{statements}\n{kind:?} {id:?} {part}\n{found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{statements}\n{found:#?}");
}

/// Who has read a resource to write it would take away what the index had of it then.
#[test]
fn a_resource_whose_index_is_mended_is_another_edition_of_its_row() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let registry = registry();
        store.write(move |c| populate(c, registry)).await.expect("populated");
        let lose = "CREATE TABLE before AS SELECT row_id, xmin AS edition FROM resources WHERE id IN ('ann', 'bob'); \
                    DELETE FROM resource_values WHERE tenant_path = path(1 displayname)";
        tamper(&store, postgres, lose);

        inspected(&store, registry, true).await;

        let same = "before b JOIN resources r ON r.row_id = b.row_id AND r.xmin = b.edition";
        let same = store.read(Reach::Point, move |c| rows_in(c, same)).await.expect("a number");
        assert_eq!(same, 1, "bob has no displayName");
    });
}

#[test]
fn what_follows_from_the_documents_is_found_and_mended() {
    for case in MENDABLE {
        on_each_database(|Fixture { store, postgres }| async move {
            let registry = registry();
            store.write(move |c| populate(c, registry)).await.expect("populated");
            assert_eq!(inspected(&store, registry, false).await, [], "before {}", case.0);
            tamper(&store, postgres, case.0);

            assert_found(&inspected(&store, registry, false).await, case);
            let mended = inspected(&store, registry, true).await;
            let left = inspected(&store, registry, false).await;

            assert!(mended.iter().any(|(_, outcome)| *outcome == Some(Outcome::Mended)), "{}\n{mended:#?}", case.0);
            assert!(!mended.iter().any(|(_, outcome)| *outcome == Some(Outcome::Beyond)), "{}\n{mended:#?}", case.0);
            assert_eq!(left, [], "after {}", case.0);
        });
    }
}

#[test]
fn what_nobody_can_derive_is_named_and_left_alone() {
    for case in BEYOND {
        on_each_database(|Fixture { store, postgres }| async move {
            let registry = registry();
            store.write(move |c| populate(c, registry)).await.expect("populated");
            tamper(&store, postgres, case.0);

            assert_found(&inspected(&store, registry, false).await, case);
            let mended = inspected(&store, registry, true).await;

            assert!(mended.iter().all(|(_, outcome)| *outcome == Some(Outcome::Beyond)), "{}\n{mended:#?}", case.0);
            assert_found(&inspected(&store, registry, false).await, case);
        });
    }
}

#[test]
fn ent_02_a_reference_to_nobody_is_told_and_no_damage() {
    on_each_database(|Fixture { store, .. }| async move {
        let registry = registry();
        let json = format!(r#"{{"userName":"x","{ENTERPRISE_URN}":{{"manager":{{"value":"gone"}}}}}}"#);
        store.write(move |c| made(c, registry, "User", "x", &json)).await.expect("made");

        let found = inspected(&store, registry, true).await;

        let [(flaw, outcome)] = &found[..] else { panic!("{found:#?}") };
        assert_eq!((flaw.kind, *outcome), (FlawKind::Reference, Some(Outcome::Beyond)));
        assert!(!flaw.kind.is_damage() && !flaw.is_mendable());
        assert_eq!(flaw.to_string(), "tenant default: User x: refers to a User that does not exist");
    });
}

#[test]
fn res_21_what_is_kept_for_other_schemas_is_not_judged() {
    on_each_database(|Fixture { store, .. }| async move {
        let registry = registry();
        store.write(move |c| populate(c, registry)).await.expect("populated");
        let conformed = store.clone();
        let conform = move || conformed.conform(registry, at(NOON).and_utc());
        tokio::task::spawn_blocking(conform).await.expect("no panic").expect("conformed");
        let mut flaws = Vec::new();
        let now = at(NOON).and_utc();

        // The built-in types know nothing of devices, and so less of groups.
        let inspected = store.inspect(Registry::builtin(), now, true, (), |flaw, _| flaws.push(flaw)).await;

        let unchecked: Vec<(String, String)> = inspected.expect("inspected").unchecked.into_iter().collect();
        let of_default = |name: &str| ("default".to_owned(), name.to_owned());
        assert_eq!((flaws, unchecked), (Vec::new(), vec![of_default("Device"), of_default("Group")]));
    });
}

#[test]
fn a_tenant_that_is_being_deleted_is_not_judged() {
    on_each_database(|Fixture { store, postgres }| async move {
        let registry = registry();
        store.write(move |c| populate(c, registry)).await.expect("populated");
        tamper(
            &store,
            postgres,
            "UPDATE tenants SET deleted_at = created_at; DELETE FROM resource_values WHERE row_id < 3; \
             DELETE FROM unique_values WHERE \"key\" = 'a'; DELETE FROM resources WHERE id = 'ann'; \
             DELETE FROM credentials; DELETE FROM group_members WHERE member_row_id = 1",
        );

        assert_eq!(inspected(&store, registry, true).await, []);
    });
}

#[test]
fn everything_is_counted_however_many_pieces_there_are() {
    on_each_database(|Fixture { store, postgres }| async move {
        let registry = Registry::builtin();
        let many = RESOURCES + 20;
        let fill = move |c: &mut Connection| {
            let group = made(c, registry, "Group", "g", r#"{"displayName":"G"}"#)?;
            let user =
                |n| made(c, registry, "User", &format!("u{n}"), &format!(r#"{{"userName":"u{n}","active":true}}"#));
            let users: Vec<i64> = (0..many).map(user).collect::<Result<_>>()?;
            members::add(c, group, &users)
        };
        store.write(fill).await.expect("filled");
        let now = at(NOON).and_utc();
        let clean = store.inspect(registry, now, false, (), |flaw, _| panic!("{flaw}")).await.expect("inspected");
        tamper(&store, postgres, "DELETE FROM resource_values WHERE tenant_path = path(1 active)");

        let mut mended = 0;
        let count = |_, outcome| mended += u64::from(outcome == Some(Outcome::Mended));
        store.inspect(registry, now, true, (), count).await.expect("inspected");

        let users = many as u64;
        let expected = Tally { resources: users + 1, values: 2 * users + 1, memberships: users };
        assert_eq!((clean.tally, mended), (expected, users));
        assert_eq!(inspected(&store, registry, false).await, []);
    });
}

#[test]
fn a_walk_beside_changes_suspects_nobody() {
    on_each_database(|Fixture { store, .. }| async move {
        let registry = registry();
        store.write(move |c| populate(c, registry)).await.expect("populated");
        let mut inspection = Inspection::new(registry, at(NOON).and_utc());
        let mut round = 0;
        loop {
            let shared = Arc::new(Mutex::new(inspection));
            let piece = store.next_piece(&shared, &()).await.expect("a piece");
            inspection = Arc::into_inner(shared).expect("nobody else").into_inner().expect("no panic");
            let Some(flaws) = piece else { break };
            assert_eq!(flaws, [], "round {round}");
            round += 1;
            // Between any two pieces everything changes.
            let change = move |c: &mut Connection| {
                let place = place(registry, "Device");
                let mut device = resources::lock(c, 1, "Device", "d1")?.expect("there");
                let json = format!(r#"{{"serial":"R{round}","tags":["t{round}"]}}"#);
                let document = Document::from_json(&json).expect("a document");
                resources::replace(c, place, &mut device, document, at(NOON).and_utc())?;
                record(c, &device, Operation::Replace)?;
                made(c, registry, "User", &format!("n{round}"), &format!(r#"{{"userName":"n{round}"}}"#))
            };
            store.write(change).await.expect("changed");
        }
        assert!((10..20).contains(&round), "however much is added, the walk has an end: {round}");
    });
}
