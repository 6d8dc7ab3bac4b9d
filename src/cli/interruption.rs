//! A command that a signal ends: what it was making goes first. A transaction goes by itself.

use std::io;
use std::process;
use std::sync::mpsc::{Sender, channel};

use crate::store::kept::remove_unfinished;

/// Heeds signals from now on: tells it in a sentence, and ends the process by that signal, so that shells know it and end
/// their loops. What was sent to a server elsewhere is out of reach. Where signals can't be heeded, the command is as it
/// would be without.
pub fn heed(is_elsewhere: bool, tell: impl FnOnce(&str) + Send + 'static) {
    let (heeding, is_heeding) = channel();
    let wait = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(signal) = runtime.and_then(|runtime| runtime.block_on(signal(heeding))) else { return };
        remove_unfinished();
        tell(match is_elsewhere {
            true => "Interrupted; the server may go on with what it has received.",
            false => "Interrupted.",
        });
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        process::exit(128 + signal);
    };
    if std::thread::Builder::new().name("signals".to_owned()).spawn(wait).is_ok() {
        let _ = is_heeding.recv();
    }
}

/// The number of the signal that comes first. SIGHUP is left alone: `nohup` has it ignored.
#[cfg(unix)]
async fn signal(heeding: Sender<()>) -> io::Result<i32> {
    use tokio::signal::unix::SignalKind;
    let mut interrupt = Heard::of(SignalKind::interrupt())?;
    let mut terminate = Heard::of(SignalKind::terminate())?;
    let _ = heeding.send(());
    let kind = tokio::select! {
        () = interrupt.comes() => SignalKind::interrupt(),
        () = terminate.comes() => SignalKind::terminate(),
    };
    Ok(kind.as_raw_value())
}

/// A signal, unless the process was started to ignore it: shells do that to SIGINT for what scripts run in the background.
#[cfg(unix)]
struct Heard(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Heard {
    fn of(kind: tokio::signal::unix::SignalKind) -> io::Result<Heard> {
        let heard = (!is_ignored(kind.as_raw_value())).then(|| tokio::signal::unix::signal(kind));
        heard.transpose().map(Heard)
    }

    async fn comes(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// Whether the process ignores that signal. Linux tells; elsewhere it counts as heeded.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(not(unix))]
async fn signal(heeding: Sender<()>) -> io::Result<i32> {
    drop(heeding);
    tokio::signal::ctrl_c().await.map(|()| 2)
}
