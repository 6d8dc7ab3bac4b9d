//! Look-ups that wait together are answered together.

use super::*;
use crate::store::glance::{Glance, Whose};
use crate::store::members;
use crate::store::members::GroupOf;

fn look_up(whose: Whose, named: &[&str]) -> LookUp {
    let named = named.iter().map(|id| (*id).to_owned()).collect();
    let glance = Glance { tenant_id: 1, resource_type: "User", with_groups: true, for_write: false, named };
    LookUp { glance, whose }
}

fn of_id(id: &str) -> LookUp {
    look_up(Whose::Id(id.to_owned()), &[])
}

/// Users `one`, `two` and `three`; `one` is in a group, `two` in a group within a group. `theirs` is in tenant 2.
fn people(c: &mut Connection) -> Result<()> {
    let mut user = |id| resource(c, id, "User", None, r#"{"userName":"x"}"#);
    let [one, two, _, theirs] = [user("one")?, user("two")?, user("three")?, user("theirs")?];
    let mut group = |id| resource(c, id, "Group", Some(id), r#"{"displayName":"Shown"}"#);
    let [flat, inner, outer] = [group("flat")?, group("inner")?, group("outer")?];
    members::add(c, flat, &[one])?;
    members::add(c, inner, &[two])?;
    members::add(c, outer, &[inner])?;
    insert(c, "other")?;
    let row = resources::table.filter(resources::row_id.eq(theirs));
    diesel::update(row).set(resources::tenant_id.eq(2)).execute(c)?;
    for (row_id, key) in [(one, "One"), (two, "Two")] {
        let row = resources::table.filter(resources::row_id.eq(row_id));
        diesel::update(row).set(resources::unique_key.eq(Some(key))).execute(c)?;
    }
    Ok(())
}

/// What comes of look-ups that come while the one connection is in use; and how many statements it took.
async fn asked_together(store: &Store, look_ups: Vec<LookUp>) -> (Vec<Result<Option<Seen>>>, usize) {
    let statements = statements_of(store);
    let (release, long) = read_at_length(store).await;
    let before = statements.load(Ordering::SeqCst);
    let asked: Vec<_> = look_ups
        .into_iter()
        .map(|look_up| {
            let store = store.clone();
            tokio::spawn(async move { store.look_up(look_up).await })
        })
        .collect();
    tokio::task::yield_now().await;
    drop(release);
    long.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.unwrap());
    }
    // The end of the long read is one of them.
    (answers, statements.load(Ordering::SeqCst) - before - 1)
}

fn ids(seen: &Seen) -> Vec<&str> {
    seen.resources.iter().map(|stored| stored.id.as_str()).collect()
}

#[test]
fn those_of_a_kind_share_a_statement_and_each_is_told_its_own() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        store.write(people).await.unwrap();
        let asked = vec![
            of_id("one"),
            look_up(Whose::Id("three".to_owned()), &["one", "nobody"]),
            of_id("nobody"),
            of_id("two"),
            of_id("one"),
        ];
        let (answers, statements) = asked_together(&store, asked).await;

        let answers: Vec<Option<Seen>> = answers.into_iter().map(Result::unwrap).collect();
        let [Some(one), Some(three), Some(nobody), nested, Some(again)] = answers.as_slice() else {
            panic!("{answers:?}")
        };
        assert_eq!(statements, 1);
        assert_eq!([ids(one), ids(three), ids(nobody), ids(again)], [vec!["one"], vec!["three"], vec![], vec!["one"]]);
        let flat = GroupOf { value: "flat".to_owned(), display: Some("Shown".to_owned()), through: None };
        assert_eq!(one.groups.of(one.resources[0].row_id).collect::<Vec<_>>(), [&flat]);
        assert_eq!(again.groups, one.groups);
        assert!(three.groups.shown().is_empty() && nobody.groups.shown().is_empty());
        assert_eq!((three.named.len(), &three.named["one"]), (1, &Some("Shown".to_owned())));
        assert!(one.named.is_empty());
        assert!(nested.is_none(), "a statement does not tell who is in a group within a group");
    });
}

#[test]
fn other_kinds_are_asked_for_by_themselves() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        store.write(people).await.unwrap();
        let group = |id: &str| {
            let mut look_up = of_id(id);
            look_up.glance.resource_type = "Group";
            look_up.glance.with_groups = false;
            look_up
        };
        let key = |key: &str| look_up(Whose::Key(key.to_owned()), &[]);
        let elsewhere = |id: &str| {
            let mut look_up = of_id(id);
            look_up.glance.tenant_id = 2;
            look_up
        };
        let mut without_groups = of_id("two");
        without_groups.glance.with_groups = false;
        let asked = vec![
            of_id("one"),
            key("One"),
            group("flat"),
            elsewhere("one"),
            without_groups,
            key("one"),
            of_id("flat"),
            group("one"),
            elsewhere("theirs"),
        ];
        let (answers, statements) = asked_together(&store, asked).await;

        let answers: Vec<Seen> = answers.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
        assert_eq!(statements, 5);
        assert_eq!(
            answers.iter().map(ids).collect::<Vec<_>>(),
            [vec!["one"], vec!["one"], vec!["flat"], vec![], vec!["two"], vec![], vec![], vec![], vec!["theirs"]]
        );
    });
}

#[test]
fn more_than_one_statement_takes_are_all_answered() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        store.write(people).await.unwrap();
        let asked = (0..40).map(|at| of_id(["one", "two", "three"][at % 3])).collect();
        let (answers, statements) = asked_together(&store, asked).await;

        assert_eq!(statements, 3);
        for (at, answer) in answers.into_iter().enumerate() {
            let seen = answer.unwrap();
            assert_eq!(seen.as_ref().map(ids), [Some(vec!["one"]), None, Some(vec!["three"])][at % 3]);
        }
    });
}

#[test]
fn other_reads_have_their_turn_between_two_statements() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        store.write(people).await.unwrap();
        let statements = statements_of(&store);
        let (release, long) = read_at_length(&store).await;
        let before = statements.load(Ordering::SeqCst);
        let look_ups: Vec<_> = (0..40)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.look_up(of_id("one")).await })
            })
            .collect();
        while !store.inner.reads.is_waited_for() {
            tokio::task::yield_now().await;
        }
        let (reader, counted) = (store.clone(), Arc::clone(&statements));
        let read = move |_: &mut Connection| Ok(counted.load(Ordering::SeqCst));
        let read = tokio::spawn(async move { reader.read(Reach::Point, read).await });
        tokio::task::yield_now().await;
        drop(release);

        long.await.unwrap().unwrap();
        let meanwhile = read.await.unwrap().unwrap() - before;
        for look_up in look_ups {
            assert_eq!(look_up.await.unwrap().unwrap().as_ref().map(ids), Some(vec!["one"]));
        }

        assert_eq!(meanwhile, 3, "the end of the long read, one of the look-ups, and the beginning of this read");
        assert_eq!(statements.load(Ordering::SeqCst) - before, 6);
    });
}

#[test]
fn what_no_database_takes_fails_alone() {
    on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
        store.write(people).await.unwrap();
        let (answers, _) = asked_together(&store, vec![of_id("one"), of_id("\0"), of_id("three")]).await;

        let [one, odd, three] = answers.try_into().unwrap();
        assert_eq!(ids(&one.unwrap().unwrap()), ["one"]);
        assert_eq!(odd.err().map(|error| error.kind()), postgres.then_some(ErrorKind::Internal));
        assert_eq!(ids(&three.unwrap().unwrap()), ["three"]);
    });
}

#[test]
fn whoever_waits_too_long_is_told_to_come_again_and_the_next_one_is_answered() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        store.write(people).await.unwrap();
        let (release, long) = read_at_length(&store).await;

        let refused = store.look_up(of_id("one")).await.unwrap_err();
        drop(release);
        long.await.unwrap().unwrap();

        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert_eq!(ids(&store.look_up(of_id("one")).await.unwrap().unwrap()), ["one"]);
    });
}

#[test]
fn a_clerk_whose_thread_ends_leaves_nobody_behind() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        store.write(people).await.unwrap();
        let (release, long) = read_at_length(&store).await;
        let asker = store.clone();
        let elsewhere = std::thread::spawn(move || {
            // The clerk is on the thread of whoever came first, and waits for his turn.
            run(async { drop(tokio::time::timeout(Duration::from_millis(50), asker.look_up(of_id("one"))).await) });
        });
        while !store.inner.reads.is_waited_for() {
            tokio::task::yield_now().await;
        }
        let other = store.clone();
        let waiting = tokio::spawn(async move { other.look_up(of_id("three")).await });
        tokio::task::yield_now().await;
        elsewhere.join().unwrap();
        drop(release);

        assert_eq!(ids(&waiting.await.unwrap().unwrap().unwrap()), ["three"]);
        long.await.unwrap().unwrap();
    });
}

/// A plan is kept from a store that was empty, or small.
#[test]
fn the_index_of_what_is_looked_for_is_the_only_one_whatever_the_store_was_when_it_was_first_asked() {
    for users in [0, 5, 100, 1000] {
        on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
            if !postgres {
                return;
            }
            store.write(move |c| Ok(c.batch_execute(&insertion_of(users))?)).await.unwrap();
            let look = |c: &mut Connection| {
                let by_id: Vec<LookUp> = (0..16).map(|at| look_up(Whose::Id(format!("id-{at}")), &["id-1"])).collect();
                let by_key: Vec<LookUp> = (0..16).map(|at| look_up(Whose::Key(format!("key-{at}")), &[])).collect();
                for look_ups in [by_id, by_key] {
                    glance::together(c, &look_ups.iter().collect::<Vec<_>>())?;
                }
                plans(c, "WITH f AS ")
            };

            let plans = store.read(Reach::Scan, look).await.unwrap();

            let [by_id, by_key] = plans.as_slice() else { panic!("{plans:?}") };
            for (plan, index) in [(by_id, "resources_id"), (by_key, "resources_unique_key")] {
                let uses_it_alone = plan.contains(&format!("Index Scan using {index} on resources r"));
                assert!(uses_it_alone && !plan.contains("Bitmap Heap Scan on resources"), "{users} users:\n{plan}");
            }
            assert!(by_id.contains("Index Scan using resources_id on resources m"), "{users} users:\n{by_id}");
        });
    }
}

fn insertion_of(users: usize) -> String {
    format!(
        "INSERT INTO resources (tenant_id, id, resource_type, unique_key, active, document, version, created_at, modified_at) \
         SELECT 1, 'id-' || n, 'User', 'key-' || n, TRUE, repeat('x', 700), 1, now(), now() FROM generate_series(1, {users}) n"
    )
}
