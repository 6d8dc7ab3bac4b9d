//! The log: one line per event on standard error, for people on a terminal and as JSON elsewhere. And traces, where they
//! are wanted ([`traces`]).
//!
//! What may stand in a field: method, route, status, time, request id, tenant, key id, resource id, counts, error chains.
//! What may never: tokens, passwords and other secrets; names, addresses and other personal data; filter values, query
//! strings and bodies. A log is copied to more places than anybody remembers, and DELETE does not reach them. The same
//! holds for spans.
//!
//! Nothing here knows what is logged; the rule is kept where events are written.

pub mod traces;

mod gathered;
mod line;

use std::any::Any;
use std::fmt;
use std::io::{IsTerminal, Stderr};
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use self::gathered::Scribe;
use self::line::{Line, SpanFields};
use self::traces::TRACES;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Pretty if standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// For machines: one JSON object per line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Format::Auto),
            "pretty" => Ok(Format::Pretty),
            "json" => Ok(Format::Json),
            _ => Err("must be auto, pretty or json.".to_owned()),
        }
    }
}

/// Why the log could not be started: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// What runs beside the requests; when dropped, it sends the spans that wait and writes the lines that do.
#[must_use]
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    _sender: Option<traces::otlp::Sender>,
    _scribe: Option<Scribe<Stderr>>,
}

type Boxed<S> = Box<dyn Layer<S> + Send + Sync>;

/// Starts the log of this process. `filter` is a level, or a list such as `info,scimd=debug`. With an endpoint
/// (`http://127.0.0.1:4318/v1/traces`), spans are sent there by OTLP.
///
/// # Errors
/// A sentence about a filter that says nothing, a log that runs already, or an endpoint that cannot be used.
pub fn init(format: Format, filter: &str, otlp_endpoint: Option<&str>) -> Result<Telemetry, Error> {
    let filter = parse_filter(filter)?;
    let (log, scribe) = log(format)?;
    let (telemetry, traces) = Telemetry::start(otlp_endpoint, scribe)?;
    let logged = tracing_subscriber::registry().with(log.with_filter(filter));
    let started = match traces {
        Some(traces) => logged.with(traces).try_init(),
        // Beside a layer that is none, each span of a trace would be looked at each time.
        None => logged.try_init(),
    };
    started.map_err(cannot_start)?;
    Ok(telemetry)
}

fn cannot_start(cause: impl fmt::Display) -> Error {
    Error(format!("The log cannot be started: {cause}."))
}

impl Telemetry {
    #[cfg(feature = "otlp")]
    fn start<S>(
        otlp_endpoint: Option<&str>,
        scribe: Option<Scribe<Stderr>>,
    ) -> Result<(Telemetry, Option<Boxed<S>>), Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let sender = otlp_endpoint.map(traces::otlp::Sender::start).transpose();
        let sender = sender.map_err(|cause| Error(format!("Traces cannot be sent: {cause}.")))?;
        let layer = sender.as_ref().map(traces::otlp::Sender::layer);
        Ok((Telemetry { _sender: sender, _scribe: scribe }, layer))
    }

    #[cfg(not(feature = "otlp"))]
    fn start<S>(
        otlp_endpoint: Option<&str>,
        scribe: Option<Scribe<Stderr>>,
    ) -> Result<(Telemetry, Option<Boxed<S>>), Error> {
        match otlp_endpoint {
            Some(_) => Err(Error("This build of scimd sends no traces.".to_owned())),
            None => Ok((Telemetry { _scribe: scribe }, None)),
        }
    }
}

/// For machines, lines are gathered; people see each as it comes.
fn log<S>(format: Format) -> Result<(Boxed<S>, Option<Scribe<Stderr>>), Error>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let terminal = std::io::stderr().is_terminal();
    // A log that can't be written must not fail the requests: complaining about it to the same place would panic.
    let log = tracing_subscriber::fmt::layer().log_internal_errors(false);
    let pretty = match format {
        Format::Auto => terminal,
        Format::Pretty => true,
        Format::Json => false,
    };
    if !pretty {
        let (pens, scribe) = Scribe::start(std::io::stderr()).map_err(cannot_start)?;
        let log = log.fmt_fields(SpanFields::default()).event_format(Line::new());
        return Ok((log.with_ansi(false).with_writer(pens).boxed(), Some(scribe)));
    }
    let log = log.with_writer(std::io::stderr).compact().with_target(false);
    // Left alone on a terminal, the layer itself heeds NO_COLOR.
    Ok((if terminal { log.boxed() } else { log.with_ansi(false).boxed() }, None))
}

/// Makes panics events of this log, with their place. The words of a panic quote values more often than not (those of
/// `Result::expect` always do), so only those that are written in the code are shown.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, reason = words(panic.payload()), "panicked");
    }));
}

fn words(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("a message with values, which are not logged")
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn parse_filter(filter: &str) -> Result<EnvFilter, Error> {
    // To tracing, a bare word that is no level is a target: `inof` would silence everything without a word.
    for word in filter.split(',').map(str::trim) {
        let word = word.to_ascii_lowercase();
        let near = |level: &&&str| word.starts_with(**level) || strsim::damerau_levenshtein(&word, level) <= 2;
        let mistyped = !word.is_empty() && !word.contains(['=', ':']) && !LEVELS.contains(&word.as_str());
        if let Some(level) = LEVELS.iter().find(near).filter(|_| mistyped) {
            return Err(Error(format!("`{word}` is not a log level. Did you mean `{level}`?")));
        }
    }
    let parsed = EnvFilter::try_new(filter).map_err(|error| {
        Error(format!("`{filter}` is not a log filter ({error}): write a level such as `info`, or `info,scimd=debug`."))
    })?;
    // In the log, the spans of a trace would stand in the place of the request's id.
    Ok(parsed.add_directive(format!("{TRACES}=off").parse().expect("a target and a level")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_lists() {
        for filter in
            ["info", "WARN", "off", "info,scimd=debug", "warn,scimd::http=trace,actix_web=off", "scimd", " info"]
        {
            assert!(parse_filter(filter).is_ok(), "{filter}");
        }
    }

    #[test]
    fn a_mistyped_level_is_refused_with_the_right_one() {
        let refused = parse_filter("inof,scimd=debug").expect_err("must be refused");
        assert_eq!(refused.to_string(), "`inof` is not a log level. Did you mean `info`?");
        let refused = parse_filter("warning").expect_err("must be refused");
        assert!(refused.to_string().contains("`warning`"), "{refused}");
    }

    #[test]
    fn a_filter_that_does_not_parse_is_refused_with_an_example() {
        let refused = parse_filter("scimd=loud").expect_err("must be refused");
        assert!(refused.to_string().starts_with("`scimd=loud` is not a log filter"), "{refused}");
        assert!(refused.to_string().ends_with("write a level such as `info`, or `info,scimd=debug`."), "{refused}");
    }

    #[test]
    fn sec_02_a_panic_is_logged_without_values() {
        let words_of = |run: fn()| words(&*std::panic::catch_unwind(run).expect_err("it panics"));
        assert_eq!(words_of(|| panic!("an invariant is broken")), "an invariant is broken");
        let quoted = words_of(|| "hunter2".split_once(':').map(drop).ok_or("hunter2").expect("a colon"));
        assert!(!quoted.contains("hunter2"), "{quoted}");
    }

    #[test]
    fn formats_have_names() {
        assert_eq!("JSON".parse(), Ok(Format::Json));
        assert_eq!("pretty".parse(), Ok(Format::Pretty));
        assert!("xml".parse::<Format>().is_err());
    }

    #[test]
    fn a_second_start_is_an_error_and_no_panic() {
        let _alone = crate::LOGS_OF_TESTS.blocking_lock();
        let _telemetry = init(Format::Json, "off", None);
        assert!(init(Format::Pretty, "off", None).is_err());
        let level = tracing::level_filters::LevelFilter::current();
        assert_eq!(level, tracing::level_filters::LevelFilter::OFF, "what nobody logs costs nothing");
    }
}
