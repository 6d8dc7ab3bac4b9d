//! Logs: structure, request context, redaction.
