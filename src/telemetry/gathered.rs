//! Lines that are written together: a busy server would spend as much time on writing each by itself as on making it.
//!
//! A line waits ten milliseconds. A warning or an error waits for nothing, and takes with it what came before it; lines are
//! never lost for want of room, and never change their order. A process that is killed takes along those that wait.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for others.
const PATIENCE: Duration = Duration::from_millis(10);

/// So many bytes do not wait: whoever adds to them writes them, and is held up if the log is slow.
const ENOUGH: usize = 64 * 1024;

/// So many bytes go into a pipe as a whole or not at all (`PIPE_BUF`): nobody else's text comes between, and no line is cut.
const PIECE: usize = 4096;

/// Where the lines of all threads come together.
pub(super) struct Gathered<W> {
    out: Mutex<W>,
    waiting: Mutex<Waiting>,
    /// Told when there are lines where there were none, and at the end.
    changed: Condvar,
}

struct Waiting {
    lines: Vec<u8>,
    /// Whether somebody comes to take them.
    fetched: bool,
}

impl<W: Write> Gathered<W> {
    fn new(out: W) -> Gathered<W> {
        let waiting = Waiting { lines: Vec::new(), fetched: true };
        Gathered { out: Mutex::new(out), waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    fn add(&self, line: &[u8], urgent: bool) {
        let mut waiting = lock(&self.waiting);
        let first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        let at_once = urgent || !waiting.fetched || waiting.lines.len() >= ENOUGH;
        drop(waiting);
        if at_once {
            self.write();
        } else if first {
            self.changed.notify_one();
        }
    }

    /// Writes what waits. The way out is taken before the lines are, so that nobody's lines overtake others.
    fn write(&self) {
        let mut out = lock(&self.out);
        let lines = mem::take(&mut lock(&self.waiting).lines);
        for piece in pieces(&lines) {
            // There is no other place to complain at.
            let _ = out.write_all(piece);
        }
    }

    fn keep_writing(&self) {
        loop {
            let waiting = lock(&self.waiting);
            let nothing = |waiting: &mut Waiting| waiting.fetched && waiting.lines.is_empty();
            let waiting = self.changed.wait_while(waiting, nothing).unwrap_or_else(PoisonError::into_inner);
            if !waiting.fetched {
                return;
            }
            drop(waiting);
            thread::sleep(PATIENCE);
            self.write();
        }
    }
}

/// Whole lines, as many together as fit into a [`PIECE`], or a longer one alone.
fn pieces(mut lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let is_end = |byte: &u8| *byte == b'\n';
        let within = lines[..lines.len().min(PIECE)].iter().rposition(is_end);
        let end = within.or_else(|| lines.iter().position(is_end)).map_or(lines.len(), |at| at + 1);
        let (piece, others) = lines.split_at(end);
        lines = others;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What a panic elsewhere leaves behind are whole lines.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One line on its way.
pub(super) struct Pen<'a, W> {
    gathered: &'a Gathered<W>,
    urgent: bool,
}

impl<W: Write> Write for Pen<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.gathered.add(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes pens for lines.
pub(super) struct Pens<W>(Arc<Gathered<W>>);

impl<'a, W: Write + 'a> MakeWriter<'a> for Pens<W> {
    type Writer = Pen<'a, W>;

    fn make_writer(&'a self) -> Pen<'a, W> {
        Pen { gathered: &self.0, urgent: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Pen<'a, W> {
        Pen { gathered: &self.0, urgent: *metadata.level() <= Level::WARN }
    }
}

/// Writes what waits, until dropped: then everything is written, and so is at once whatever comes later.
pub(super) struct Scribe<W: Write> {
    gathered: Arc<Gathered<W>>,
    thread: Option<JoinHandle<()>>,
}

impl<W: Write + Send + 'static> Scribe<W> {
    /// # Errors
    /// If the operating system gives no thread.
    pub(super) fn start(out: W) -> io::Result<(Pens<W>, Scribe<W>)> {
        let gathered = Arc::new(Gathered::new(out));
        let his = Arc::clone(&gathered);
        let thread = thread::Builder::new().name("log".to_owned()).spawn(move || his.keep_writing())?;
        Ok((Pens(Arc::clone(&gathered)), Scribe { gathered, thread: Some(thread) }))
    }
}

impl<W: Write> Drop for Scribe<W> {
    fn drop(&mut self) {
        lock(&self.gathered.waiting).fetched = false;
        self.gathered.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.gathered.write();
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn written(gathered: &Gathered<Vec<u8>>) -> String {
        String::from_utf8(lock(&gathered.out).clone()).expect("text")
    }

    #[test]
    fn lines_wait_and_a_warning_takes_them_along() {
        let gathered = Gathered::new(Vec::new());

        gathered.add(b"1\n", false);
        gathered.add(b"2\n", false);
        assert_eq!(written(&gathered), "");

        gathered.add(b"3\n", true);
        assert_eq!(written(&gathered), "1\n2\n3\n");
    }

    #[test]
    fn what_is_enough_is_written_by_whoever_adds_to_it() {
        let gathered = Gathered::new(Vec::new());
        let line = [b"x".repeat(ENOUGH / 2 - 1), b"\n".to_vec()].concat();

        gathered.add(&line, false);
        assert_eq!(written(&gathered).len(), 0);
        gathered.add(&line, false);
        assert_eq!(written(&gathered).len(), ENOUGH);
    }

    #[test]
    fn whole_lines_are_written_in_pieces_that_nobody_cuts() {
        let line = |length: usize| [b"x".repeat(length - 1), b"\n".to_vec()].concat();
        for lengths in [vec![], vec![100; 200], vec![PIECE; 3], vec![10, PIECE + 1, 10], vec![PIECE - 10, 10, 1]] {
            let lines: Vec<u8> = lengths.iter().copied().flat_map(line).collect();

            let written: Vec<&[u8]> = pieces(&lines).collect();

            assert_eq!(written.concat(), lines);
            for piece in written {
                assert!(piece.ends_with(b"\n"), "{lengths:?}");
                let is_alone = piece.iter().filter(|byte| **byte == b'\n').count() == 1;
                assert!(piece.len() <= PIECE || is_alone, "{lengths:?}");
            }
        }
    }

    #[test]
    fn warnings_and_errors_are_urgent_and_nothing_else_is() {
        let _alone = crate::LOGS_OF_TESTS.blocking_lock();
        let gathered = Arc::new(Gathered::new(Vec::new()));
        let layer = tracing_subscriber::fmt::layer().without_time().with_target(false).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(Pens(Arc::clone(&gathered))));

        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("one");
            tracing::debug!("two");
            assert_eq!(written(&gathered), "");
            tracing::warn!("three");
            assert_eq!(written(&gathered).lines().count(), 3);
            tracing::error!("four");
            assert_eq!(written(&gathered).lines().count(), 4);
        });
    }

    #[test]
    fn all_threads_lines_are_written_at_the_end_whole_and_in_order() {
        let (pens, scribe) = Scribe::start(Vec::new()).expect("a thread");
        thread::scope(|scope| {
            for name in ["a", "b", "c"] {
                let pens = &pens;
                scope.spawn(move || {
                    for number in 0..5_000 {
                        let mut pen = Pen { gathered: &pens.0, urgent: number % 1_000 == 0 };
                        pen.write_all(format!("{name} {number}\n").as_bytes()).expect("a pen always writes");
                    }
                });
            }
        });

        drop(scribe);

        let text = written(&pens.0);
        for name in ["a ", "b ", "c "] {
            let numbers: Vec<usize> =
                text.lines().filter_map(|line| line.strip_prefix(name)).map(|number| number.parse().unwrap()).collect();
            assert!(numbers.iter().copied().eq(0..5_000), "{name}: {} lines", numbers.len());
        }
        pens.make_writer().write_all(b"afterwards\n").expect("a pen always writes");
        assert!(written(&pens.0).ends_with("afterwards\n"));
    }
}
