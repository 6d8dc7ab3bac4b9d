//! How far long work is, on a terminal: elsewhere nothing is shown.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::admin::transfer::Progress;

/// A line on standard error that goes when the work is done.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Counts things, for which there is a word.
    pub(super) fn counting(what: &str) -> Bar {
        Bar::of(&format!("{{elapsed_precise}} {{bar:30}} {{human_pos}} of {{human_len}} {what}, {{eta}} left"))
    }

    /// Counts bytes.
    pub(super) fn of_bytes() -> Bar {
        Bar::of("{elapsed_precise} {bar:30} {bytes} of {total_bytes}, {eta} left")
    }

    /// Counts bytes of which nobody knows how many there are.
    pub(super) fn of_a_stream() -> Bar {
        Bar::of("{elapsed_precise} {bytes} {bytes_per_sec}")
    }

    /// Shows nothing: what comes out stands on the terminal itself.
    pub(super) fn hidden() -> Bar {
        Bar(ProgressBar::hidden())
    }

    /// Shows for how long somebody else is at work, who does not say how far it is.
    pub(super) fn waiting() -> Bar {
        let bar = Bar::of("{elapsed_precise} {spinner}");
        bar.0.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    fn of(template: &str) -> Bar {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Bar(bar)
    }

    /// So far it is.
    pub(super) fn set(&self, Progress { done, total }: Progress) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// So much further it is.
    pub(super) fn advance(&self, by: usize) {
        self.0.inc(by as u64);
    }
}

impl Drop for Bar {
    /// The last of its handles goes with the work.
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
