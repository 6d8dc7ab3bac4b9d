//! A line of the log for machines. The library's own formatters write the same line in five times as many steps, and every
//! request has one: a tenth of what a small answer costs.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::mem;

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
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

impl<S> FormatEvent<S, SpanFields> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, SpanFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        if metadata.target() == "log" {
            return self.of_log.format_event(context, writer, event);
        }
        let mut line = Vec::with_capacity(512);
        line.extend_from_slice(br#"{"timestamp":""#);
        line.extend_from_slice(&time(now()));
        line.extend_from_slice(br#"","level":""#);
        line.extend_from_slice(metadata.level().as_str().as_bytes());
        line.push(b'"');
        let mut fields = Fields(line);
        event.record(&mut fields);
        let Fields(mut line) = fields;
        line.member("target", metadata.target());
        let span = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        if let Some(span) = span {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<SpanFields>>().map_or("{}", |fields| fields.fields.as_str());
            let fields = fields.strip_suffix('}').unwrap_or("{");
            line.extend_from_slice(br#","span":"#);
            line.extend_from_slice(fields.as_bytes());
            line.extend_from_slice(if fields.len() > 1 { br#",""# } else { br#"""# });
            line.extend_from_slice(br#"name":""#);
            line.extend_from_slice(span.name().as_bytes());
            line.extend_from_slice(br#""}"#);
        }
        line.extend_from_slice(b"}\n");
        writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

#[expect(clippy::disallowed_methods, reason = "a line says when it was written, and nobody decides anything by it")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// `2026-03-01T09:30:00.123456Z`
fn time(at: DateTime<Utc>) -> [u8; 27] {
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    write_digits(&mut text[0..4], at.year().unsigned_abs());
    write_digits(&mut text[5..7], at.month());
    write_digits(&mut text[8..10], at.day());
    write_digits(&mut text[11..13], at.hour());
    write_digits(&mut text[14..16], at.minute());
    write_digits(&mut text[17..19], at.second());
    write_digits(&mut text[20..26], at.timestamp_subsec_micros());
    text
}

fn write_digits(digits: &mut [u8], mut number: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The fields of a span, as a JSON object in the order of their names.
#[derive(Default)]
pub(super) struct SpanFields {
    library: JsonFields,
}

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut sorted = Fields(BTreeMap::new());
        fields.record(&mut sorted);
        let Fields(sorted) = sorted;
        let mut object = Vec::with_capacity(64);
        object.push(b'{');
        for member in sorted.into_values() {
            // Each begins with the comma that parts it from the one before.
            object.extend_from_slice(if object.len() > 1 { &member } else { &member[1..] });
        }
        object.push(b'}');
        writer.write_str(std::str::from_utf8(&object).map_err(|_| fmt::Error)?)
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut object = FormattedFields::<JsonFields>::new(mem::take(&mut current.fields));
        let outcome = self.library.add_fields(&mut object, fields);
        current.fields = object.fields;
        outcome
    }
}

/// Takes members of an object.
trait Members {
    fn member(&mut self, name: &'static str, value: impl Serialize);
}

/// The text of an object, behind other members.
impl Members for Vec<u8> {
    fn member(&mut self, name: &'static str, value: impl Serialize) {
        self.extend_from_slice(b",\"");
        self.extend_from_slice(name.as_bytes());
        self.extend_from_slice(b"\":");
        serde_json::to_writer(self, &value).expect("plain values have a JSON text and a vector takes it");
    }
}

/// The text of each, by its name.
impl Members for BTreeMap<&'static str, Vec<u8>> {
    fn member(&mut self, name: &'static str, value: impl Serialize) {
        let mut text = Vec::with_capacity(64);
        text.member(name, value);
        self.insert(name, text);
    }
}

/// Makes fields members.
struct Fields<M>(M);

impl<M: Members> Visit for Fields<M> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.member(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.member(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.member(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.member(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.member(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // What fails to show itself fails nobody else.
        let mut shown = String::with_capacity(64);
        let _ = write!(shown, "{value:?}");
        self.0.member(field.name(), shown);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::field::Empty;
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
        let layer = tracing_subscriber::fmt::layer;
        let our_layer =
            layer().fmt_fields(SpanFields::default()).event_format(Line::new()).with_writer(move || our_writer.clone());
        let their_layer = layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
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
            let every =
                tracing::info_span!("every", r#type = ?Some("\""), text = "ü\n", part = 0.5, is = true, later = Empty);
            every.in_scope(|| tracing::info!(r#type = ?None::<u8>, "within"));
            every.record("later", 7);
            every.record("text", "changed");
            every.in_scope(|| tracing::info!("after more was known"));
        });

        assert_eq!(ours.lines().len(), 9);
        assert_eq!(ours.lines(), theirs.lines());
    }

    #[test]
    fn a_time_has_six_digits_behind_the_second() {
        for instant in ["2026-03-01T09:30:00.000000Z", "1999-12-31T23:59:59.999999Z", "2024-02-29T00:00:00.000070Z"] {
            let at: DateTime<Utc> = instant.parse().expect("an instant");
            assert_eq!(std::str::from_utf8(&time(at)), Ok(instant));
        }
    }
}
