//! Spans for a tracing backend: what a request was, and where its time went.
//!
//! Whoever has something to tell makes a span of `tracing` with the target [`TRACES`]. Spans go to the backend or nowhere,
//! events go to the log or nowhere. What may stand in a field is what may stand in the log.
//!
//! Without the feature `otlp` nobody listens, and such a span costs next to nothing.

#[cfg(feature = "otlp")]
pub(super) mod otlp;

use tracing::Span;

/// The target of spans for the backend. The root of a trace is named [`ROOT`]; a span outside of one is not sent.
pub const TRACES: &str = "scimd::traces";

/// The name of the span that a trace begins with, until it is [renamed](rename).
pub const ROOT: &str = "request";

/// Whether this build can send spans at all: where it cannot, nobody need make any.
pub const CAN_BE_SENT: bool = cfg!(feature = "otlp");

/// Makes the span a part of the caller's trace, if `traceparent` is the header of one (W3C Trace Context). For a span that
/// nobody has entered yet.
///
/// `tracestate` is left alone: it is a text of strangers, and nobody is called from here who would need it.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    #[cfg(feature = "otlp")]
    otlp::continue_from(span, traceparent);
    #[cfg(not(feature = "otlp"))]
    let _ = (span, traceparent);
}

/// Gives the span the name under which the backend shows it.
pub fn rename(span: &Span, name: String) {
    #[cfg(feature = "otlp")]
    otlp::rename(span, name);
    #[cfg(not(feature = "otlp"))]
    let _ = (span, name);
}
