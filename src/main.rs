//! The door: arguments, wiring, run.

fn main() {}
