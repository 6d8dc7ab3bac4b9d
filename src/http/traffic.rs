//! The requests in flight, and the end: after a signal to stop, readiness is withdrawn, whoever sends requests here gets
//! the time to notice, what is in flight is answered, and then the listeners close.
//!
//! The listeners stay open till then, so that whoever asks is told to go elsewhere, and nobody who has not heard of it yet
//! meets a closed door. Whoever comes late is served, and is not waited for: among clients that ask without a pause there
//! is never a moment without a request.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use tokio::sync::Notify;

/// What is under way in all listeners together.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    draining: AtomicBool,
    /// Whether the delay is over: who comes now is late.
    is_late: AtomicBool,
    in_flight: AtomicUsize,
    /// Those of them that are not late.
    in_time: AtomicUsize,
    /// Told when the last one that is not late has left.
    empty: Notify,
}

impl Traffic {
    /// Whether the server is about to stop.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Waits until those are answered that are in flight now.
    async fn ended(&self) {
        self.is_late.store(true, Ordering::SeqCst);
        while self.in_time.load(Ordering::SeqCst) > 0 {
            self.empty.notified().await;
        }
    }

    fn leave_in_time(&self) {
        if self.in_time.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.empty.notify_one();
        }
    }
}

/// A request in flight, until dropped.
#[derive(Debug)]
pub(super) struct Passage {
    traffic: Data<Traffic>,
    is_late: bool,
}

impl Passage {
    /// Counts a request.
    pub(super) fn enter(traffic: Data<Traffic>) -> Passage {
        traffic.in_flight.fetch_add(1, Ordering::AcqRel);
        // Counted first and asked then: whoever begins to wait at this moment sees one or the other.
        traffic.in_time.fetch_add(1, Ordering::SeqCst);
        let is_late = traffic.is_late.load(Ordering::SeqCst);
        if is_late {
            traffic.leave_in_time();
        }
        Passage { traffic, is_late }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.traffic.in_flight.fetch_sub(1, Ordering::AcqRel);
        if !self.is_late {
            self.traffic.leave_in_time();
        }
    }
}

/// How long requests count as in time after a signal at least: those that were sent before it have come by then, and were
/// read, also where the threads wait for a processor.
const SETTLING: Duration = Duration::from_millis(100);

/// How long the way to the end is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Farewell {
    /// How long the server stays, though nothing may be in flight: balancers hear of its end later than it does.
    pub delay: Duration,
    /// How long requests may take after that.
    pub patience: Duration,
}

/// Stops the server after a signal: when the delay is over and every request is answered that was in flight then, when
/// patience is at its end, or at once with a second signal.
pub(super) async fn stop_on_signal(
    mut signals: Signals,
    traffic: Data<Traffic>,
    server: ServerHandle,
    Farewell { delay, patience }: Farewell,
) {
    signals.next().await;
    let delay = delay.max(SETTLING);
    traffic.draining.store(true, Ordering::Relaxed);
    let in_flight = traffic.in_flight.load(Ordering::Acquire);
    tracing::info!(in_flight, "draining: stopping when the requests in flight are answered");
    let ended = async {
        tokio::time::sleep(delay).await;
        traffic.ended().await;
    };
    let gracefully = tokio::select! {
        () = ended => true,
        () = tokio::time::sleep(delay.saturating_add(patience)) => false,
        () = signals.next() => false,
    };
    if !gracefully {
        tracing::warn!(in_flight = traffic.in_flight.load(Ordering::Acquire), "stopping with requests in flight");
    }
    server.stop(gracefully).await;
}

/// The signals to stop, heeded from the moment this is made: SIGTERM and SIGINT, or what stands for them.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Within a runtime.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub(super) fn heed() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn heed() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn whoever_comes_late_is_not_waited_for() {
        let traffic = Data::new(Traffic::default());
        let in_time = Passage::enter(traffic.clone());
        let mut ended = pin!(traffic.ended());
        assert!(ended.as_mut().now_or_never().is_none(), "a request is in flight");

        let late = Passage::enter(traffic.clone());
        drop(in_time);

        assert!(ended.as_mut().now_or_never().is_some(), "though there was no moment without a request");
        assert_eq!(traffic.in_flight.load(Ordering::Acquire), 1);
        drop(late);
        assert_eq!(traffic.in_flight.load(Ordering::Acquire), 0);
    }
}
