//! Operators: the command line.
