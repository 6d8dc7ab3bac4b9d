//! What lets a few changes at a time pass on their way to be made ready.
//!
//! Those whose changes were committed together are answered together, and come back together with the next ones. To make
//! one ready (to read its body, to check it) takes a thread several times as long as to look somebody up, or to say that
//! there is no room. So each thread lets some of those pass that have come, and serves whoever else has come before the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::rt;
use tokio::sync::Semaphore;

/// How many pass at a time: a millisecond's work or two. With fewer, thousands of clients who ask for something else would
/// leave changes too little of a thread.
const AT_A_TIME: usize = 16;

/// The turnstile of one thread.
#[derive(Debug)]
pub(super) struct Turnstile {
    passes: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Turnstile {
    /// One more, which counts those who wait together with all others that were given the same count.
    pub(super) fn new(waiting: &Arc<AtomicUsize>) -> Turnstile {
        Turnstile { passes: Arc::new(Semaphore::new(AT_A_TIME)), waiting: Arc::clone(waiting) }
    }

    /// How many wait, at all threads.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until it lets the caller pass, in the order of arrival. What the caller does until he waits for something else, a
    /// body that is still on its way included, he does before the next one passes in his place.
    pub(super) async fn pass(&self) {
        let place = Place::among(&self.waiting);
        let pass = Arc::clone(&self.passes).acquire_owned().await.expect("nobody closes the semaphore");
        drop(place);
        // A task of its own runs after the connections that this thread has woken by now, as it does when their bytes come;
        // those whose changes another thread has made come later. To yield here would not do: a connection of HTTP/1 polls
        // what it has begun twice in a row.
        rt::spawn(async move { drop(pass) });
    }
}

/// Somebody who waits.
struct Place<'a>(&'a AtomicUsize);

impl Place<'_> {
    fn among(waiting: &AtomicUsize) -> Place<'_> {
        waiting.fetch_add(1, Ordering::Relaxed);
        Place(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::task::Poll;

    use futures_util::future::{join_all, poll_immediate};

    use super::*;

    #[actix_web::test]
    async fn whoever_else_has_come_is_served_between_a_few_changes_and_the_next() {
        let many = 5 * AT_A_TIME;
        let turnstile = Rc::new(Turnstile::new(&Arc::default()));
        let (served, missing) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(many)));
        let changes = (0..many).map(|number| {
            let (turnstile, served, missing) = (Rc::clone(&turnstile), Rc::clone(&served), Rc::clone(&missing));
            rt::spawn(async move {
                turnstile.pass().await;
                served.borrow_mut().push(Some(number));
                missing.set(missing.get() - 1);
            })
        });
        let changes: Vec<_> = changes.collect();
        let (his, left) = (Rc::clone(&served), Rc::clone(&missing));
        let reader = rt::spawn(poll_fn(move |context| {
            his.borrow_mut().push(None);
            context.waker().wake_by_ref();
            if left.get() > 0 { Poll::Pending } else { Poll::Ready(()) }
        }));

        join_all(changes).await.into_iter().for_each(|change| change.expect("it ends well"));
        reader.await.expect("it ends well");

        let served = served.borrow();
        assert!(served.iter().copied().flatten().eq(0..many), "in the order of arrival: {served:?}");
        let in_a_row = served.split(Option::is_none).map(<[_]>::len).max();
        assert_eq!(in_a_row, Some(AT_A_TIME), "{served:?}");
    }

    #[actix_web::test]
    async fn who_waits_is_counted_at_all_threads_and_whoever_goes_leaves_his_place() {
        let waiting = Arc::default();
        let (here, there) = (Turnstile::new(&waiting), Turnstile::new(&waiting));

        for _ in 0..AT_A_TIME {
            here.pass().await;
            there.pass().await;
        }
        assert_eq!(here.waiting(), 0, "whoever may pass at once does not wait");
        let mut next = Box::pin(here.pass());
        let mut gone = Box::pin(there.pass());
        assert!(poll_immediate(&mut next).await.is_none() && poll_immediate(&mut gone).await.is_none());
        assert_eq!((here.waiting(), there.waiting()), (2, 2));
        drop(gone);
        assert_eq!(here.waiting(), 1);

        next.await;
        there.pass().await;
        assert_eq!(here.waiting(), 0);
    }
}
