//! The requests in flight, and the end: after a signal to stop, readiness is withdrawn, whoever sends requests here gets
//! the time to notice, what is in flight is answered, and then the listeners close.
//!
//! The listeners stay open till then, so that whoever asks is told to go elsewhere, and nobody who has not heard of it yet
//! meets a closed door.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use tokio::sync::Notify;

/// What is under way in all listeners together.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    draining: AtomicBool,
    in_flight: AtomicUsize,
    /// Told when the last request has left.
    empty: Notify,
}

impl Traffic {
    /// Whether the server is about to stop.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Waits for a moment without a request.
    async fn ended(&self) {
        while self.in_flight.load(Ordering::Acquire) > 0 {
            self.empty.notified().await;
        }
    }
}

/// A request in flight, until dropped.
#[derive(Debug)]
pub(super) struct Passage(Data<Traffic>);

impl Passage {
    /// Counts a request.
    pub(super) fn enter(traffic: Data<Traffic>) -> Passage {
        traffic.in_flight.fetch_add(1, Ordering::AcqRel);
        Passage(traffic)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.empty.notify_one();
        }
    }
}

/// How long the way to the end is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Farewell {
    /// How long the server stays, though nothing may be in flight: balancers hear of its end later than it does.
    pub delay: Duration,
    /// How long requests may take after that.
    pub patience: Duration,
}

/// Stops the server after a signal: when the delay is over and no request is in flight any more, when patience is at its
/// end, or at once with a second signal.
pub(super) async fn stop_on_signal(
    mut signals: Signals,
    traffic: Data<Traffic>,
    server: ServerHandle,
    Farewell { delay, patience }: Farewell,
) {
    signals.next().await;
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
