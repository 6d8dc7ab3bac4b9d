use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::provider::modify::Modification;
use crate::provider::tests::{
    all_wait, answers_of, assert_flawless, call, create, everything, found, history, id, json_of, kind, members, named,
    number_of, provider, target, user,
};
use crate::provider::{Call, Modified, Provider, Representation, Target, Text};
use crate::scim::patch::Budget;
use crate::scim::resource::format_instant;
use crate::scim::schema::Registry;
use crate::scim::version::Preconditions;
use crate::scim::{ErrorKind, Result};
use crate::store::audit::Operation;
use crate::store::tenants::{self, TenantSettings};
use crate::store::tests::{
    Fixture, all_turns_to_write, begun_elsewhere, commit, kept_waiting, on_each_database, on_each_database_as,
    on_each_database_with_one_connection, run_sql, statements_of, with_paths,
};
use crate::store::{Connection, Settings, Store, resources};

fn operations(path: &str, value: &Value) -> Map<String, Value> {
    members(&json!({"Operations": [{"op": "replace", "path": path, "value": value}]}))
}

async fn patch(provider: Provider, target: Target, path: &'static str, value: Value) -> Result<Representation> {
    let call = call(path);
    let modified = provider.modify(call, target, operations(path, &value), everything(user()), false).await?;
    let Modified { representation, whole } = modified;
    assert!(whole);
    Ok(representation)
}

async fn put(provider: Provider, target: Target, body: Value) -> Result<Representation> {
    provider.replace(call("put"), target, members(&body), everything(user())).await
}

async fn made(provider: &Provider, name: &str) -> String {
    id(&create(provider.clone(), named(name)).await.expect("made"))
}

fn in_version(id: &str, version: i64) -> Target {
    let if_match = Some(format!("W/\"{version}\""));
    Target { preconditions: Preconditions { if_match, ..Preconditions::default() }, ..target(user(), id) }
}

/// What comes of these, of which each has read what it needs, and waits by the time any of them may write, and of what else is
/// done by then.
async fn together(
    store: &Store,
    asked: Vec<JoinHandle<Result<Representation>>>,
    meanwhile: impl FnOnce(),
    turns: Vec<tokio::sync::OwnedSemaphorePermit>,
) -> Vec<Result<Representation>> {
    all_wait(store, asked.len()).await;
    meanwhile();
    drop(turns);
    answers_of(asked).await
}

#[test]
fn changes_of_many_callers_take_one_statement_and_are_as_if_made_one_by_one() {
    on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
        let provider = provider(&store);
        let mut ids = Vec::new();
        for number in 0..12 {
            ids.push(made(&provider, &format!("user{number}")).await);
        }
        let statements = statements_of(&store);
        let turns = all_turns_to_write(&store).await;

        let patched =
            |id: &String| tokio::spawn(patch(provider.clone(), target(user(), id), "displayName", json!("Changed")));
        let asked = ids.iter().map(patched).collect();
        let mut read = 0;
        let answers = together(&store, asked, || read = statements.load(Ordering::SeqCst), turns).await;

        if postgres {
            assert_eq!(statements.load(Ordering::SeqCst) - read, 1);
        }
        for (id, answer) in ids.iter().zip(answers) {
            let shown = json_of(&answer.expect("changed"));
            assert_eq!((&shown["id"], &shown["displayName"]), (&json!(id), &json!("Changed")));
            let history = history(&store, id).await;
            let [change, _] = history.as_slice() else { panic!("{history:?}") };
            assert_eq!((change.operation, change.version), (Operation::Modify, 2));
            assert_eq!(
                (change.request_id.as_str(), &json!(format_instant(change.at))),
                ("displayName", &shown["meta"]["lastModified"])
            );
        }
        assert_eq!(found(&store, r#"displayName eq "changed""#).await, ids);
        assert!(found(&store, r#"displayName sw "The""#).await.is_empty());
        let notices = "outbox WHERE event = 'urn:ietf:params:scim:event:prov:patch:notice'";
        assert_eq!(number_of(&store, notices).await, 12);
        assert_flawless(&store).await;
    });
}

#[test]
fn of_those_who_change_the_same_user_nobody_is_lost() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let turns = all_turns_to_write(&store).await;

        let fields = ["displayName", "title", "nickName", "profileUrl"];
        let change = |field| tokio::spawn(patch(provider.clone(), target(user(), &ann), field, json!("https://x")));
        let answers = together(&store, fields.map(change).into(), || (), turns).await;

        assert!(answers.iter().all(Result::is_ok));
        let shown = json_of(&patch(provider, target(user(), &ann), "active", json!(false)).await.expect("changed"));
        for field in fields {
            assert_eq!(shown[field], "https://x");
        }
        let versions: Vec<i64> = history(&store, &ann).await.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, [6, 5, 4, 3, 2, 1]);
        assert_flawless(&store).await;
    });
}

#[test]
fn ver_04_of_those_who_expect_the_same_version_one_meets_it() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let turns = all_turns_to_write(&store).await;

        let change = |field| tokio::spawn(patch(provider.clone(), in_version(&ann, 1), field, json!("x")));
        let answers = together(&store, ["title", "nickName"].map(change).into(), || (), turns).await;

        let mut kinds: Vec<_> = answers.iter().map(kind).collect();
        kinds.sort_by_key(Option::is_some);
        assert_eq!(kinds, [None, Some(ErrorKind::PreconditionFailed)]);
        assert_eq!(history(&store, &ann).await.len(), 2);
    });
}

/// Another process that has changed somebody's title, and has not committed that.
fn titled_elsewhere(store: &Store, id: &str) -> Connection {
    let provider = provider(store);
    begun_elsewhere(store, |c| {
        let body = operations("title", &json!("theirs"));
        let modification = Modification::parse(&Call::of_a_test(), target(user(), id), &body)?;
        let now = provider.now();
        modification.make(&provider, c, &Call::of_a_test(), &mut Budget::full(), now).map(drop)
    })
}

#[test]
fn what_another_process_changed_since_it_was_read_is_kept() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let provider = provider(&store);
        let [ann, bob] = [made(&provider, "ann").await, made(&provider, "bob").await];
        let turns = all_turns_to_write(&store).await;

        let change = |id: &String| tokio::spawn(patch(provider.clone(), target(user(), id), "nickName", json!("ours")));
        let asked = [&ann, &bob].map(change).into();
        let answers = together(&store, asked, || commit(titled_elsewhere(&store, &ann)), turns).await;

        let [ann, bob] = answers.try_into().expect("two");
        let (ann, bob) = (json_of(&ann.expect("changed")), json_of(&bob.expect("changed")));
        assert_eq!((&ann["title"], &ann["nickName"]), (&json!("theirs"), &json!("ours")));
        assert_eq!((bob.get("title"), &bob["nickName"]), (None, &json!("ours")));
        assert_flawless(&store).await;
    });
}

#[test]
fn whoever_waits_for_another_process_keeps_nobody_else_waiting() {
    // Given more patience for a lock than this test has.
    let patient = |settings| Settings { busy_timeout: Duration::from_secs(60), postgres_connections: 8, ..settings };
    on_each_database_as(patient, |Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let provider = provider(&store);
        let [ann, bob] = [made(&provider, "ann").await, made(&provider, "bob").await];
        let theirs = titled_elsewhere(&store, &ann);

        // When somebody changes ann, together with others.
        let turns = all_turns_to_write(&store).await;
        let change = |id: &String| tokio::spawn(patch(provider.clone(), target(user(), id), "nickName", json!("ours")));
        let [asked_of_ann, asked_of_bob] = [&ann, &bob].map(change);
        all_wait(&store, 2).await;
        drop(turns);

        // Then only that waits.
        let changed = tokio::time::timeout(Duration::from_secs(20), asked_of_bob).await;
        changed.expect("in time").expect("it ends").expect("changed");
        assert!(!asked_of_ann.is_finished());
        commit(theirs);
        let shown = json_of(&asked_of_ann.await.expect("it ends").expect("changed"));
        assert_eq!((&shown["title"], &shown["nickName"]), (&json!("theirs"), &json!("ours")));
        assert_flawless(&store).await;
    });
}

#[test]
fn whoever_is_deleted_meanwhile_is_not_changed() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let turns = all_turns_to_write(&store).await;

        let asked = vec![tokio::spawn(patch(provider, target(user(), &ann), "title", json!("x")))];
        let delete = || {
            let sql = "UPDATE resources SET active = FALSE, deleted_at = now(), deleted_by = 'them'; \
                       DELETE FROM resource_values";
            commit(begun_elsewhere(&store, |c| run_sql(c, sql)));
        };
        let [answer] = together(&store, asked, delete, turns).await.try_into().expect("one");

        assert_eq!(kind(&answer), Some(ErrorKind::NotFound));
        assert_eq!(number_of(&store, "audit").await, 1);
        assert_eq!(number_of(&store, "resource_values").await, 0);
    });
}

#[test]
fn what_becomes_of_the_tenant_meanwhile_is_heeded() {
    for (sql, expected) in [
        (r#"UPDATE tenants SET settings = '{"requireIfMatch":true}'"#, ErrorKind::PreconditionRequired),
        ("UPDATE tenants SET deleted_at = '2026-03-01 09:30:00'", ErrorKind::Forbidden),
        (r#"UPDATE tenants SET schemas = '{"User":"another"}'"#, ErrorKind::Unavailable),
    ] {
        on_each_database(|Fixture { store, postgres }| async move {
            if !postgres {
                return;
            }
            let provider = provider(&store);
            let ann = made(&provider, "ann").await;
            let turns = all_turns_to_write(&store).await;

            let asked = vec![tokio::spawn(patch(provider, target(user(), &ann), "title", json!("x")))];
            let meanwhile = || commit(begun_elsewhere(&store, |c| run_sql(c, sql)));
            let [answer] = together(&store, asked, meanwhile, turns).await.try_into().expect("one");

            assert_eq!(kind(&answer), Some(expected));
            assert_eq!(number_of(&store, "audit").await, 1);
        });
    }
}

/// What belongs to a resource may be written without it: whoever does that renews the row.
#[test]
fn a_row_that_is_another_one_in_the_same_words_is_read_again() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        patch(provider.clone(), target(user(), &ann), "title", json!("x")).await.expect("changed");
        let lose = with_paths("DELETE FROM resource_values WHERE tenant_path = path(1 title)");
        store.write(move |c| run_sql(c, &lose)).await.expect("lost");
        // Another process has mended that, and has not committed it.
        let mut theirs = begun_elsewhere(&store, |c| {
            let mend = "INSERT INTO resource_values (tenant_path, key, row_id, element, tail) \
                        SELECT path(1 title), 'x', row_id, 0, '' FROM resources";
            run_sql(c, &with_paths(mend))?;
            run_sql(c, "UPDATE resources SET version = version")
        });

        let asked = tokio::spawn(patch(provider, target(user(), &ann), "title", json!("y")));
        while kept_waiting(&mut theirs) == 0 {
            tokio::task::yield_now().await;
            assert!(!asked.is_finished());
        }
        commit(theirs);

        asked.await.expect("it ends").expect("changed");
        assert!(found(&store, r#"title eq "x""#).await.is_empty());
        assert_flawless(&store).await;
    });
}

#[test]
fn a_change_that_is_committed_while_it_is_waited_for_is_kept() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let mut theirs = titled_elsewhere(&store, &ann);

        let asked = tokio::spawn(patch(provider, target(user(), &ann), "nickName", json!("ours")));
        while kept_waiting(&mut theirs) == 0 {
            tokio::task::yield_now().await;
            assert!(!asked.is_finished());
        }
        commit(theirs);

        let shown = json_of(&asked.await.expect("it ends").expect("changed"));
        assert_eq!((&shown["title"], &shown["nickName"]), (&json!("theirs"), &json!("ours")));
        assert_flawless(&store).await;
    });
}

#[test]
fn what_is_shown_of_others_is_what_is_read_then() {
    on_each_database(|Fixture { store, .. }| async move {
        let provider = provider(&store);
        let [ann, bob] = [made(&provider, "ann").await, made(&provider, "bob").await];
        let group = Registry::with_passwords().resource_type("Group").expect("a built-in type");
        let team = members(&json!({"displayName": "Team", "members": [{"value": bob}]}));
        provider.create(Call::of_a_test(), group, team, everything(group)).await.expect("made");

        for (manager, changed) in [(&ann, "displayName"), (&bob, "displayName"), (&bob, "title")] {
            let path = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager";
            patch(provider.clone(), target(user(), &bob), path, json!({"value": manager})).await.expect("managed");
            let patched =
                patch(provider.clone(), target(user(), &bob), changed, json!(manager)).await.expect("changed");
            let read = provider.read(Call::of_a_test(), user(), bob.clone(), everything(user())).await.expect("read");
            let Text::Short(text) = read.text else { panic!("a user is short") };

            assert_eq!(json_of(&patched), serde_json::from_str::<Value>(&text).expect("an object"));
            assert_eq!(json_of(&patched)["groups"][0]["display"], "Team");
        }
    });
}

#[test]
fn ver_09_a_tenant_may_want_a_version_also_for_what_changes_nothing() {
    on_each_database(|Fixture { store, .. }| async move {
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let settings = TenantSettings { require_if_match: true, ..TenantSettings::default() };
        store.write(move |c| tenants::set_settings(c, 1, &settings)).await.expect("set");

        for value in ["The one called ann", "Another one"] {
            let unnamed = patch(provider.clone(), target(user(), &ann), "displayName", json!(value)).await;
            assert_eq!(kind(&unnamed), Some(ErrorKind::PreconditionRequired));
            patch(provider.clone(), in_version(&ann, 1), "displayName", json!(value)).await.expect("in order");
        }
        let late = patch(provider, in_version(&ann, 1), "displayName", json!("Another one")).await;
        assert_eq!(kind(&late), Some(ErrorKind::PreconditionFailed));
    });
}

#[test]
fn nobody_changes_anything_in_a_tenant_that_is_deleted_or_kept_in_another_form() {
    for (sql, expected) in [
        ("UPDATE tenants SET deleted_at = '2026-03-01 09:30:00'", ErrorKind::Forbidden),
        (r#"UPDATE tenants SET schemas = '{"User":"another"}'"#, ErrorKind::Unavailable),
    ] {
        on_each_database(|Fixture { store, .. }| async move {
            let provider = provider(&store);
            let ann = made(&provider, "ann").await;
            store.write(move |c| run_sql(c, sql)).await.expect("done");

            for value in ["The one called ann", "Another one"] {
                let answer = patch(provider.clone(), target(user(), &ann), "displayName", json!(value)).await;
                assert_eq!(kind(&answer), Some(expected));
            }
            assert_eq!(number_of(&store, "audit").await, 1);
        });
    }
}

/// It is not for a thread that serves others.
#[test]
fn a_change_of_much_is_made_by_a_transaction() {
    on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let statements = statements_of(&store);
        let long = "x".repeat(70_000);
        let mut counts = Vec::new();

        for title in [long.as_str(), "short", "shorter"] {
            let before = statements.load(Ordering::SeqCst);
            patch(provider.clone(), target(user(), &ann), "title", json!(title)).await.expect("changed");
            counts.push(statements.load(Ordering::SeqCst) - before);
        }
        let by_path = format!("emails[{}].value", ["value eq \"nobody\""; 180].join(" or "));
        let body = members(&json!({"Operations": vec![json!({"op": "remove", "path": by_path}); 3]}));
        let before = statements.load(Ordering::SeqCst);
        let removal = provider.modify(Call::of_a_test(), target(user(), &ann), body, everything(user()), false).await;
        counts.push(statements.load(Ordering::SeqCst) - before);

        removal.expect("nothing to remove");
        // What is said is large; what is there; nothing is; the paths are.
        if postgres {
            let by_itself: Vec<bool> = counts.iter().map(|count| *count > 2).collect();
            assert_eq!(by_itself, [true, true, false, true], "{counts:?}");
        }
        assert_flawless(&store).await;
    });
}

#[test]
fn a_tenant_that_somebody_keeps_is_waited_for() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let theirs = begun_elsewhere(&store, |c| tenants::lock(c, 1).map(drop));
        let asked = tokio::spawn(patch(provider, target(user(), &ann), "title", json!("x")));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!asked.is_finished());

        commit(theirs);

        asked.await.expect("it ends").expect("changed");
    });
}

#[test]
fn patch_10_what_changes_nothing_writes_nothing() {
    on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let before =
            json_of(&patch(provider.clone(), target(user(), &ann), "title", json!("x")).await.expect("changed"));
        let statements = statements_of(&store);

        let after = json_of(&patch(provider, target(user(), &ann), "title", json!("x")).await.expect("nothing to do"));

        assert_eq!(before, after);
        assert_eq!(statements.load(Ordering::SeqCst), usize::from(postgres));
        assert_eq!([number_of(&store, "audit").await, number_of(&store, "outbox").await], [2, 2]);
    });
}

#[test]
fn a_put_replaces_and_one_that_changes_nothing_moves_last_modified_alone() {
    on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
        let provider = provider(&store);
        let [ann, bob] = [made(&provider, "ann").await, made(&provider, "bob").await];
        let statements = statements_of(&store);
        let mut body = named("ann");
        tokio::time::sleep(Duration::from_millis(2)).await;

        let same = json_of(&put(provider.clone(), target(user(), &ann), body.clone()).await.expect("the same"));
        body["emails"] = json!([{"value": "ann@example.net"}]);
        let other = json_of(&put(provider.clone(), target(user(), &ann), body).await.expect("replaced"));

        // Each reads the user, and writes her.
        assert_eq!(statements.load(Ordering::SeqCst), if postgres { 4 } else { 0 });
        let created = &same["meta"]["created"];
        assert_ne!(&same["meta"]["lastModified"], created);
        assert_eq!(number_of(&store, "touches").await, 1);
        let own = |shown: &Value| shown["meta"]["version"].as_str().expect("a version").chars().nth(3);
        assert_eq!([own(&same), own(&other)], [Some('1'), Some('2')]);
        assert_eq!(found(&store, r#"emails.value ew "example.net""#).await, std::slice::from_ref(&ann));
        assert_eq!(found(&store, r#"emails.value ew "example.com""#).await, [bob]);
        let history = history(&store, &ann).await;
        let [change, _] = history.as_slice() else { panic!("{history:?}") };
        assert_eq!((change.operation, change.version), (Operation::Replace, 2));
        assert_eq!(json!(format_instant(change.at)), other["meta"]["lastModified"]);
        assert_flawless(&store).await;
    });
}

#[test]
fn puts_that_change_something_and_such_that_do_not_are_made_together() {
    on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
        let provider = provider(&store);
        let mut ids = Vec::new();
        for name in ["ann", "bob", "eve"] {
            ids.push(made(&provider, name).await);
        }
        let statements = statements_of(&store);
        let turns = all_turns_to_write(&store).await;
        let bodies = [named("ann"), json!({"userName": "bob"}), named("eve")];

        let asked =
            ids.iter().zip(bodies).map(|(id, body)| tokio::spawn(put(provider.clone(), target(user(), id), body)));
        let mut read = 0;
        let answers = together(&store, asked.collect(), || read = statements.load(Ordering::SeqCst), turns).await;

        assert!(answers.iter().all(Result::is_ok));
        if postgres {
            assert_eq!(statements.load(Ordering::SeqCst) - read, 1);
        }
        assert_eq!([number_of(&store, "audit").await, number_of(&store, "outbox").await], [4, 4]);
        assert_eq!(number_of(&store, "touches").await, 2);
        assert_flawless(&store).await;
    });
}

#[test]
fn char_11_a_name_is_changed_to_one_that_nobody_has() {
    on_each_database(|Fixture { store, .. }| async move {
        let provider = provider(&store);
        let [ann, _] = [made(&provider, "ann").await, made(&provider, "bob").await];

        let taken = patch(provider.clone(), target(user(), &ann), "userName", json!("Bob")).await;
        let free = patch(provider, target(user(), &ann), "userName", json!("Anna")).await;

        assert_eq!((kind(&taken), kind(&free)), (Some(ErrorKind::Uniqueness), None));
        assert_eq!(found(&store, r#"userName eq "anna""#).await, [ann]);
        assert_flawless(&store).await;
    });
}

#[test]
fn a_long_value_takes_the_place_of_another_one_that_begins_like_it() {
    on_each_database(|Fixture { store, .. }| async move {
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let long = "long ".repeat(100);

        for end in ["one", "two"] {
            let title = json!(format!("{long}{end}"));
            patch(provider.clone(), target(user(), &ann), "title", title).await.expect("changed");
        }

        assert_eq!(found(&store, &format!(r#"title eq "{long}two""#)).await, [ann]);
        assert_flawless(&store).await;
    });
}

#[test]
fn what_nobody_may_change_or_has_is_refused_as_ever() {
    on_each_database(|Fixture { store, .. }| async move {
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;

        let refused = patch(provider.clone(), target(user(), &ann), "id", json!("another")).await;
        let unknown = patch(provider.clone(), target(user(), "nobody"), "title", json!("x")).await;
        let strange = put(provider, target(user(), &ann), json!({"userName": 7, "active": "perhaps"})).await;

        assert_eq!(kind(&refused), Some(ErrorKind::Mutability));
        assert_eq!(kind(&unknown), Some(ErrorKind::NotFound));
        assert_eq!(kind(&strange), Some(ErrorKind::InvalidValue));
        assert_eq!(number_of(&store, "audit").await, 1);
    });
}

#[test]
fn a_document_that_is_stored_in_other_words_is_changed_all_the_same() {
    on_each_database(|Fixture { store, .. }| async move {
        let provider = provider(&store);
        let ann = made(&provider, "ann").await;
        let respell = "UPDATE resources SET document = replace(document, '\":', '\" : ')";
        store.write(move |c| run_sql(c, respell)).await.expect("done");

        patch(provider, target(user(), &ann), "title", json!("x")).await.expect("changed");

        let find = {
            let ann = ann.clone();
            move |c: &mut Connection| resources::find(c, 1, "User", &ann)
        };
        let stored = store.write(find).await.expect("read").expect("it is there");
        assert_eq!((stored.meta.version, stored.document.text("title")), (2, Some("x")));
    });
}
