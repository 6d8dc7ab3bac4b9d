use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use crate::auth::Caller;
use crate::provider::tests::{
    all_wait, answers_of, assert_flawless, create, create_as, found, history, id, kinds, members, named, number_of,
    provider, target, user,
};
use crate::provider::{Call, Provider, Representation, place, system_clock};
use crate::scim::{ErrorKind, Profile, Result, accept};
use crate::store::audit::Operation;
use crate::store::tenants::{self, TenantSettings};
use crate::store::tests::{
    Fixture, all_turns_to_write, begun_elsewhere, commit, held, insert_resource, kept_waiting, on_each_database,
    on_each_database_as, on_each_database_with_one_connection, rows_in, run_sql, statements_of,
};
use crate::store::{Connection, Reach, Settings, Store, credentials, resources};

/// What comes of these, which all wait by the time anything is written, and how many statements that took where there is one
/// connection to PostgreSQL.
async fn created_together(
    store: &Store,
    provider: &Provider,
    bodies: &[Value],
) -> (Vec<Result<Representation>>, usize) {
    let statements = statements_of(store);
    let (release, write) = held(store).await;
    let asked: Vec<_> = bodies.iter().map(|body| tokio::spawn(create(provider.clone(), body.clone()))).collect();
    // SQLite's writer has them all at once.
    all_wait(store, bodies.len()).await;
    let before = statements.load(Ordering::SeqCst);
    drop(release);
    write.await.expect("it ends").expect("nothing fails");
    let answers = answers_of(asked).await;
    // The end of the write that was held is one of them.
    (answers, statements.load(Ordering::SeqCst).saturating_sub(before + 1))
}

/// On each database, with a provider that has seen nothing yet, and with one that has made a user of the tenant before; how
/// many there are.
fn at_first_and_later<F: Future<Output = ()>>(test: impl Fn(Fixture, Provider, usize) -> F) {
    on_each_database_with_one_connection(|fixture| {
        let provider = provider(&fixture.store);
        test(fixture, provider, 0)
    });
    on_each_database_with_one_connection(|fixture| async {
        let provider = provider(&fixture.store);
        create(provider.clone(), named("somebody")).await.expect("made");
        test(fixture, provider, 1).await;
    });
}

#[test]
fn users_of_many_callers_take_as_many_statements_as_one_and_are_as_if_made_one_by_one() {
    at_first_and_later(|Fixture { store, postgres }, provider, before| async move {
        let names: Vec<String> = (0..12).map(|number| format!("user{number}")).collect();
        let bodies: Vec<Value> = names.iter().map(|name| named(name)).collect();

        let (answers, statements) = created_together(&store, &provider, &bodies).await;

        // BEGIN, the tenant with the rows, values and history with their events, COMMIT; or one where the tenant is known.
        let expected = if before == 0 { 4 } else { 1 };
        assert_eq!(statements, if postgres { expected } else { 0 });
        for (name, answer) in names.iter().zip(&answers) {
            let shown = answer.as_ref().expect("made").members().expect("an object");
            let id = shown["id"].as_str().expect("an id");
            assert_eq!(shown["userName"], *name);
            assert_eq!(found(&store, &format!(r#"userName eq "{name}""#)).await, [id]);
            let by_address = format!(r#"emails[type eq "work" and value eq "{name}@example.com"]"#);
            assert_eq!(found(&store, &by_address).await, [id]);
            let history = history(&store, id).await;
            let [entry] = history.as_slice() else { panic!("{history:?}") };
            assert_eq!((entry.operation, &entry.request_id, entry.version), (Operation::Create, name, 1));
        }
        assert_eq!(number_of(&store, "outbox").await, 12 + before as i64);
        assert_flawless(&store).await;
    });
}

#[test]
fn char_11_of_those_who_ask_for_one_name_one_gets_it_and_the_others_nothing() {
    at_first_and_later(|Fixture { store, .. }, provider, before| async move {
        create(provider.clone(), named("taken")).await.expect("made");

        let bodies = ["one", "Two", "taken", "two", "three"].map(named);
        let (answers, _) = created_together(&store, &provider, &bodies).await;

        let refused = Some(ErrorKind::Uniqueness);
        let [one, first, taken, second, three] = kinds(&answers).try_into().expect("five");
        assert_eq!([one, taken, three], [None, refused, None]);
        assert!([(None, refused), (refused, None)].contains(&(first, second)), "{first:?} {second:?}");
        assert_eq!(number_of(&store, "audit").await, 4 + before as i64);
        assert_flawless(&store).await;
    });
}

#[test]
fn the_history_says_whom_one_of_them_succeeds() {
    at_first_and_later(|Fixture { store, .. }, provider, others| async move {
        let mut before = String::new();
        // The last one counts.
        for _ in 0..2 {
            before = id(&create(provider.clone(), named("ann")).await.expect("made"));
            provider.delete(Call::of_a_test(), target(user(), &before)).await.expect("deleted");
        }

        let (answers, _) = created_together(&store, &provider, &["bob", "ann"].map(named)).await;

        let [bob, ann] = answers.try_into().expect("two");
        let ann = history(&store, &id(&ann.expect("made"))).await;
        let bob = history(&store, &id(&bob.expect("made"))).await;
        assert_eq!((ann.len(), &ann[0].changes["previousId"]), (1, &json!(before)));
        assert_eq!((bob.len(), bob[0].changes.get("previousId")), (1, None));
        assert_eq!(number_of(&store, "outbox").await, 6 + others as i64);
        assert_flawless(&store).await;
    });
}

#[test]
fn usr_06_each_keeps_the_password_that_came_with_him() {
    at_first_and_later(|Fixture { store, .. }, provider, _| async move {
        let mut bodies = ["one", "two", "three"].map(named);
        bodies[0]["password"] = json!("t1meMa$heen");
        bodies[2]["password"] = json!("wr0ng-numb3r");

        let (answers, _) = created_together(&store, &provider, &bodies).await;

        let ids: Vec<String> = answers.iter().map(|answer| id(answer.as_ref().expect("made"))).collect();
        let hashes = move |c: &mut Connection| {
            let hash_of = |id: &String| {
                let stored = resources::find(c, 1, "User", id)?.expect("it is there");
                credentials::find(c, stored.row_id)
            };
            ids.iter().map(hash_of).collect::<Result<Vec<Option<String>>>>()
        };
        let hashes = store.read(Reach::Point, hashes).await.expect("hashes");
        assert_eq!(hashes.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
        assert_ne!(hashes[0], hashes[2]);
        assert_flawless(&store).await;
    });
}

#[test]
fn no_more_are_made_than_the_tenant_may_have() {
    at_first_and_later(|Fixture { store, .. }, provider, before| async move {
        let limit = TenantSettings { max_users: Some(3), ..TenantSettings::default() };
        store.write(move |c| tenants::set_settings(c, 1, &limit)).await.expect("set");

        let (answers, _) = created_together(&store, &provider, &["a", "b", "c", "d", "e"].map(named)).await;

        let refused = kinds(&answers).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(refused, vec![ErrorKind::LimitReached; 2 + before]);
        assert_flawless(&store).await;
    });
}

#[test]
fn char_11_a_name_that_is_taken_is_told_before_a_limit_that_is_reached() {
    at_first_and_later(|Fixture { store, .. }, provider, before| async move {
        let body = |name, active| json!({"userName": name, "externalId": format!("{name}-1"), "active": active});
        let disabled = id(&create(provider.clone(), body("ann", false)).await.expect("made"));
        create(provider.clone(), named("bob")).await.expect("made");
        let limit = TenantSettings { max_users: Some(1 + before as u32), ..TenantSettings::default() };
        store.write(move |c| tenants::set_settings(c, 1, &limit)).await.expect("set");

        let (answers, _) = created_together(&store, &provider, &[named("bob"), body("ann", true), named("eve")]).await;

        let [bob, ann, eve] = answers.try_into().expect("three");
        assert_eq!(bob.unwrap_err().kind(), ErrorKind::Uniqueness);
        assert_eq!(id(&ann.expect("enabled again")), disabled);
        assert_eq!(eve.unwrap_err().kind(), ErrorKind::LimitReached);
    });
}

#[test]
fn users_of_two_tenants_are_made_apart() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        let at = "2026-03-01T09:30:00".parse().expect("a time");
        let other = store.write(move |c| tenants::insert(c, "other", at)).await.expect("made").tenant_id;
        let mut elsewhere = Call::of_a_test();
        elsewhere.caller = Arc::new(Caller { tenant_id: other, ..(*elsewhere.caller).clone() });
        let (release, write) = held(&store).await;
        let asked: Vec<_> = [Call::of_a_test(), elsewhere.clone(), Call::of_a_test(), elsewhere]
            .into_iter()
            .zip(["ann", "ann", "bob", "bob"])
            .map(|(call, name)| tokio::spawn(create_as(call, provider(&store), named(name))))
            .collect();
        all_wait(&store, 4).await;
        drop(release);
        write.await.expect("it ends").expect("nothing fails");
        for asked in asked {
            asked.await.expect("it ends").expect("made");
        }

        let of =
            |tenant_id: i64| move |c: &mut Connection| rows_in(c, &format!("resources WHERE tenant_id = {tenant_id}"));
        assert_eq!(store.read(Reach::Scan, of(1)).await.expect("a number"), 2);
        assert_eq!(store.read(Reach::Scan, of(other)).await.expect("a number"), 2);
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
        create(provider.clone(), named("somebody")).await.expect("made");
        let theirs = begun_elsewhere(&store, |c| tenants::lock(c, 1).map(drop));
        let asked = ["ann", "bob"].map(|name| tokio::spawn(create(provider.clone(), named(name))));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(asked.iter().all(|asked| !asked.is_finished()));

        commit(theirs);

        for asked in asked {
            asked.await.expect("it ends").expect("made");
        }
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
        create(provider.clone(), named("somebody")).await.expect("made");
        // And another process that has not committed its ann.
        let theirs = begun_elsewhere(&store, |c| {
            let document = accept::create(user(), &members(&named("ann")), Profile::Compat)?.document;
            let place = place(c, 1, user())?;
            insert_resource(c, place, "theirs", document, system_clock()()).map(drop)
        });

        // When somebody asks for another ann, together with others.
        let turns = all_turns_to_write(&store).await;
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| tokio::spawn(create(provider.clone(), named(name))));
        all_wait(&store, 3).await;
        drop(turns);

        // Then she alone waits.
        for other in [bob, eve] {
            let made = tokio::time::timeout(Duration::from_secs(20), other).await;
            made.expect("in time").expect("it ends").expect("made");
        }
        assert!(!ann.is_finished());
        commit(theirs);
        assert_eq!(ann.await.expect("it ends").unwrap_err().kind(), ErrorKind::Uniqueness);
    });
}

#[test]
fn the_history_says_whom_somebody_succeeds_who_was_not_gone_yet_when_he_was_asked_for() {
    on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let provider = provider(&store);
        let before = id(&create(provider.clone(), named("ann")).await.expect("made"));
        // Another process has deleted ann, and has not committed that.
        let mut theirs = begun_elsewhere(&store, |c| {
            let deletion =
                "UPDATE resources SET deleted_at = modified_at, deleted_by = 'them' WHERE unique_key = 'ann'";
            run_sql(c, deletion)
        });

        let ann = tokio::spawn(create(provider, named("ann")));
        while kept_waiting(&mut theirs) == 0 {
            tokio::task::yield_now().await;
            assert!(!ann.is_finished());
        }
        commit(theirs);

        let ann = id(&ann.await.expect("it ends").expect("made"));
        assert_eq!(history(&store, &ann).await[0].changes["previousId"], json!(before));
    });
}

#[test]
fn whoever_succeeds_somebody_or_cannot_know_is_not_made_at_once() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let ask = |level: &'static str| {
            let question = format!("SET TRANSACTION ISOLATION LEVEL {level}; SELECT succeeds_nobody(1, 'User', 'ann')");
            store.write(move |c| run_sql(c, &question))
        };

        ask("READ COMMITTED").await.expect("nobody was there");

        for level in ["REPEATABLE READ", "SERIALIZABLE"] {
            assert_eq!(ask(level).await.unwrap_err().kind(), ErrorKind::Busy, "nobody knows");
        }
        let ann = id(&create(provider(&store), named("ann")).await.expect("made"));
        ask("READ COMMITTED").await.expect("she is there");
        provider(&store).delete(Call::of_a_test(), target(user(), &ann)).await.expect("deleted");
        assert_eq!(ask("READ COMMITTED").await.unwrap_err().kind(), ErrorKind::Busy, "she would be succeeded");
    });
}

#[test]
fn a_limit_that_was_known_before_is_kept() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        let limit = TenantSettings { max_users: Some(3), ..TenantSettings::default() };
        store.write(move |c| tenants::set_settings(c, 1, &limit)).await.expect("set");
        let provider = provider(&store);
        create(provider.clone(), named("a")).await.expect("made");

        let (answers, _) = created_together(&store, &provider, &["b", "c", "d"].map(named)).await;
        let one_more = create(provider, named("e")).await.map(drop);

        let refused = kinds(&answers).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(refused, [ErrorKind::LimitReached]);
        assert_eq!(one_more.unwrap_err().kind(), ErrorKind::LimitReached);
        assert_eq!(number_of(&store, "resources").await, 3);
    });
}

#[test]
fn a_tenant_that_is_deleted_meanwhile_gets_nobody() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        let provider = provider(&store);
        create(provider.clone(), named("ann")).await.expect("made");
        let deletion = |c: &mut Connection| run_sql(c, "UPDATE tenants SET deleted_at = '2026-03-01 09:30:00'");
        store.write(deletion).await.expect("deleted");

        create(provider, named("bob")).await.map(drop).expect_err("the tenant is gone");

        assert_eq!(number_of(&store, "resources").await, 1);
    });
}
