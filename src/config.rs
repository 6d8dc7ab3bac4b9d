//! Everything an operator may set, with its default.
