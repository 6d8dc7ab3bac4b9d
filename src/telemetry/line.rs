//! A line of the log for machines. The library's own formatter writes the same line in five times as many steps, and every
//! request has one: a tenth of what a small answer costs.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// JSON, one object per line: `timestamp`, `level`, the fields of the event, `target`, and the `span` that it belongs to.
pub(super) struct Line {
    /// For what comes from the `log` crate, whose events hide their level and target in fields.
    of_log: Format<Json>,
}

impl Line {
    pub(super) fn new() -> Line {
        let of_log = Format::default().json().flatten_event(true).with_current_span(true).with_span_list(false);
        Line { of_log }
    }
}

impl<S> FormatEvent<S, JsonFields> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        if metadata.target() == "log" {
            return self.of_log.format_event(context, writer, event);
        }
        writer.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, r#"","level":"{}""#, metadata.level())?;
        let mut fields = Fields { json: Vec::with_capacity(512) };
        event.record(&mut fields);
        fields.member("target", metadata.target());
        writer.write_str(std::str::from_utf8(&fields.json).map_err(|_| fmt::Error)?)?;
        let span = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        if let Some(span) = span {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>().map_or("{}", |fields| fields.fields.as_str());
            let fields = fields.strip_suffix('}').unwrap_or("{");
            let separator = if fields.len() > 1 { "," } else { "" };
            write!(writer, r#","span":{fields}{separator}"name":"{}"}}"#, span.name())?;
        }
        writer.write_str("}\n")
    }
}

/// Members of an object, behind others.
struct Fields {
    json: Vec<u8>,
}

impl Fields {
    fn member(&mut self, name: &str, value: impl serde::Serialize) {
        self.json.extend_from_slice(b",\"");
        self.json.extend_from_slice(name.strip_prefix("r#").unwrap_or(name).as_bytes());
        self.json.extend_from_slice(b"\":");
        serde_json::to_writer(&mut self.json, &value).expect("plain values have a JSON text and a vector takes it");
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // What fails to show itself fails nobody else.
        let mut shown = String::new();
        let _ = write!(shown, "{value:?}");
        self.member(field.name(), shown);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        /// The lines, without the time.
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().expect("nobody panicked").clone()).expect("text");
            let timeless = |line: &str| {
                let (time, rest) = line.split_once(r#"","#).expect("a time comes first");
                assert!(time.starts_with(r#"{"timestamp":"20"#) && time.ends_with('Z'), "{line}");
                rest.to_owned()
            };
            text.lines().map(timeless).collect()
        }
    }

    #[test]
    fn a_line_is_the_one_that_the_library_writes() {
        let _alone = crate::LOGS_OF_TESTS.blocking_lock();
        let (ours, theirs) = (Kept::default(), Kept::default());
        let (our_writer, their_writer) = (ours.clone(), theirs.clone());
        let layer = || tracing_subscriber::fmt::layer().json();
        let our_layer = layer().event_format(Line::new()).with_writer(move || our_writer.clone());
        let their_layer = layer().flatten_event(true).with_current_span(true).with_span_list(false);
        let their_layer = their_layer.with_writer(move || their_writer.clone());
        let subscriber = tracing_subscriber::registry().with(vec![our_layer.boxed(), their_layer.boxed()]);

        tracing::subscriber::with_default(subscriber, || {
            let error = io::Error::other("quo\"ted");
            tracing::info!(text = "ümläut \"\\\n", number = 1_u64, below = -2, part = 0.5, is = true, "said");
            tracing::warn!(error = &error as &dyn std::error::Error, debug = ?Some("x"), shown = %error, r#type = "y", "{}", 7);
            tracing::error!(nothing = None::<u64>, "no value");
            let outer = tracing::info_span!("outer", id = "1\"", count = 3);
            outer.in_scope(|| {
                tracing::info!("inside");
                tracing::info_span!("bare").in_scope(|| tracing::info!(within = 1, "further inside"));
                tracing::info!(parent: None, "outside");
            });
            tracing::info!(parent: &outer, "beside");
        });

        assert_eq!(ours.lines().len(), 7);
        assert_eq!(ours.lines(), theirs.lines());
    }
}
