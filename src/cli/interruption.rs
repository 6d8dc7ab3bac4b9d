//! A command that a signal ends: what it was making goes first. A transaction goes by itself.

use std::io;
use std::process;
use std::sync::mpsc::{Sender, channel};

use crate::store::kept::remove_unfinished;

/// Heeds signals from now on: tells it in a sentence, and ends the process with the exit code that shells have for it.
/// Where signals can't be heeded, the command is as it would be without.
pub fn heed(tell: impl FnOnce(&str) + Send + 'static) {
    let (heeding, is_heeding) = channel();
    let wait = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(signal) = runtime.and_then(|runtime| runtime.block_on(signal(heeding))) else { return };
        remove_unfinished();
        tell("Interrupted.");
        process::exit(128 + signal);
    };
    if std::thread::Builder::new().name("signals".to_owned()).spawn(wait).is_ok() {
        let _ = is_heeding.recv();
    }
}

/// The number of the signal that comes first. SIGHUP is left alone: `nohup` has it ignored.
#[cfg(unix)]
async fn signal(heeding: Sender<()>) -> io::Result<i32> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let _ = heeding.send(());
    let kind = tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
    };
    Ok(kind.as_raw_value())
}

#[cfg(not(unix))]
async fn signal(heeding: Sender<()>) -> io::Result<i32> {
    drop(heeding);
    tokio::signal::ctrl_c().await.map(|()| 2)
}
