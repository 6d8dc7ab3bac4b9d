//! Writes that wait together share a transaction, where each statement is a round trip.

use std::sync::Mutex;

use super::*;

/// A tenant that is to be made, and what was tried together; those whose names begin alike are made together.
#[derive(Clone)]
struct Named(&'static str, Tried);

type Tried = Arc<Mutex<Vec<Vec<&'static str>>>>;

impl Together for Named {
    type Answer = &'static str;

    const MOST_TOGETHER: usize = 3;

    fn is_like(&self, other: &Self) -> bool {
        self.0.chars().next() == other.0.chars().next()
    }

    fn carry_out_at_once(connection: &mut Connection, writes: &[&Self]) -> Result<Option<Vec<Option<&'static str>>>> {
        let [Named(name, tried)] = writes else { return Ok(None) };
        if !name.starts_with("at once") {
            return Ok(None);
        }
        tried.lock().unwrap().push(vec!["at once"]);
        if name.ends_with("strange") {
            return Err(Error::internal("strange"));
        }
        if name.ends_with("gone") {
            connection.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())")?;
        }
        insert(connection, name)?;
        Ok(Some(vec![Some(name)]))
    }

    fn carry_out(connection: &mut Connection, writes: &[&Self]) -> Result<Vec<Option<&'static str>>> {
        let names: Vec<&str> = writes.iter().map(|named| named.0).collect();
        writes[0].1.lock().unwrap().push(names);
        let make = |named: &&Named| match named.0 {
            name if name.ends_with("by itself") => Ok(None),
            name if name.ends_with("odd") => Err(Error::internal("odd")),
            name if name.ends_with("gone") => Err(Error::new(ErrorKind::Unavailable, "gone")),
            name if name.ends_with("held") => Err(error::held()),
            name => insert(connection, name).map(|()| Some(name)),
        };
        writes.iter().map(make).collect()
    }
}

type Outcome = std::result::Result<Option<&'static str>, ErrorKind>;

/// What comes of writes that come while the one connection is in use, and what was tried together.
async fn written_together(store: &Store, names: &[&'static str]) -> (Vec<Outcome>, Vec<Vec<&'static str>>) {
    let (gatherer, tried) = (store.gatherer(), Tried::default());
    let (release, long) = held(store).await;
    let asked: Vec<_> = names
        .iter()
        .map(|name| {
            let (store, gatherer, named) = (store.clone(), gatherer.clone(), Named(name, tried.clone()));
            tokio::spawn(async move { store.write_together(&gatherer, named).await })
        })
        .collect();
    // On one thread, all have asked by then.
    tokio::task::yield_now().await;
    drop(release);
    long.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for asked in asked {
        outcomes.push(asked.await.unwrap().map_err(|error| error.kind()));
    }
    let tried = tried.lock().unwrap().clone();
    (outcomes, tried)
}

#[test]
fn writes_that_wait_together_share_a_transaction_and_each_has_its_own_outcome() {
    let on_postgres = |names: &'static [&'static str], outcomes: Vec<Outcome>, tried: Vec<Vec<&'static str>>| {
        on_each_database_with_one_connection(|Fixture { store, postgres }| {
            let (outcomes, tried) = (outcomes.clone(), tried.clone());
            async move {
                if postgres {
                    assert_eq!(written_together(&store, names).await, (outcomes.clone(), tried));
                    let stored = stored(&store).await;
                    let is_there = |name: &&str| stored.iter().any(|there| there == name);
                    for (name, outcome) in names.iter().zip(outcomes) {
                        assert_eq!(is_there(name), matches!(outcome, Ok(Some(_))), "{name}");
                    }
                }
            }
        });
    };
    let gone = Err(ErrorKind::Unavailable);

    // Those of a kind, as many as go together; the others stay in their order.
    on_postgres(
        &["a1", "b1", "a2", "a3", "a4"],
        vec![Ok(Some("a1")), Ok(Some("b1")), Ok(Some("a2")), Ok(Some("a3")), Ok(Some("a4"))],
        vec![vec!["a1", "a2", "a3"], vec!["b1"], vec!["a4"]],
    );
    // One that has to be done by itself is the caller's to do.
    on_postgres(&["a1", "a by itself"], vec![Ok(Some("a1")), Ok(None)], vec![vec!["a1", "a by itself"]]);
    // What is wrong with one he learns by himself, and so do the others, beside each other. Nor does anybody wait here for whoever
    // else is in the way.
    for names in [&["a1", "a odd", "a2"], &["a1", "a held", "a2"]] {
        on_postgres(names, vec![Ok(None); 3], vec![names.to_vec()]);
    }
    // Of a database that is out of reach nobody is spared, and nothing is tried again: perhaps it was stored.
    on_postgres(&["a1", "a gone"], vec![gone, gone], vec![vec!["a1", "a gone"]]);
}

#[test]
fn what_is_one_statement_is_its_own_transaction_on_a_connection_that_has_just_answered() {
    on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let (gatherer, tried) = (store.gatherer(), Tried::default());
        let write = |name| store.write_together(&gatherer, Named(name, tried.clone()));
        let taken = || std::mem::take(&mut *tried.lock().unwrap());

        assert_eq!(write("by the way").await.unwrap(), Some("by the way"));
        taken();
        assert_eq!(write("at once 1").await.unwrap(), Some("at once 1"));
        assert_eq!(taken(), [["at once"]]);
        // Whether it was stored is unknown, so nothing runs again.
        let lost = write("at once gone").await.unwrap_err();
        assert_eq!((lost.kind(), lost.detail().contains("unknown"), taken().len()), (ErrorKind::Unavailable, true, 1));
        // The next connection has not answered yet.
        assert_eq!(write("at once 2").await.unwrap(), Some("at once 2"));
        assert_eq!(taken(), [["at once 2"]]);
        // What has become of another one may have become of this one.
        store.inner.losses.count();
        assert_eq!(write("at once 4").await.unwrap(), Some("at once 4"));
        assert_eq!(taken(), [["at once 4"]]);
        // What fails in another way takes a transaction.
        assert_eq!(write("at once strange").await.unwrap(), Some("at once strange"));
        assert_eq!(taken(), [["at once"], ["at once strange"]]);
        // One that has long been silent may be dead.
        tokio::time::sleep(heard::JUST_NOW).await;
        assert_eq!(write("at once 3").await.unwrap(), Some("at once 3"));
        assert_eq!(taken(), [["at once 3"]]);
    });
}

#[test]
fn those_who_wait_for_others_count_with_those_who_wait_for_a_connection() {
    on_each_url(|settings| {
        if settings.database_url.has_single_writer() {
            return;
        }
        let store = migrated(&Settings { postgres_connections: 1, queue_limit: 3, ..settings });
        run(async {
            let gatherer: Gatherer<Named> = store.gatherer();
            let (release, long) = held(&store).await;
            let wait = |name| {
                let (store, gatherer) = (store.clone(), gatherer.clone());
                tokio::spawn(async move { store.write_together(&gatherer, Named(name, Tried::default())).await })
            };
            let waiting = [wait("x1"), wait("x2"), wait("x3")];
            while waiting_writes(&store) < 3 {
                tokio::task::yield_now().await;
            }

            let refused = store.write_together(&gatherer, Named("x4", Tried::default())).await.unwrap_err();
            let room = store.room_for_a_write(0).unwrap_err();
            let beside = store.write(|c| insert(c, "x5")).await.unwrap_err();
            drop(release);

            assert_eq!([refused.kind(), room.kind(), beside.kind()], [ErrorKind::Busy; 3]);
            for waiting in waiting {
                assert!(waiting.await.unwrap().unwrap().is_some());
            }
            long.await.unwrap().unwrap();
            store.room_for_a_write(0).unwrap();
        });
        store.close();
    });
}
