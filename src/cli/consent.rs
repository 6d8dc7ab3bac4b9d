//! The question before what an operator may not have meant.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::scim::{Error, ErrorKind, Result};

/// Asks on the terminal whether to go on, unless that was said with `--yes`.
///
/// # Errors
/// `InvalidValue` where the answer is no, and where there is no terminal to ask at.
pub(super) fn consent(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    let refused = |detail: &str| Err(Error::new(ErrorKind::InvalidValue, detail));
    if !can_ask() {
        return refused("There is no terminal to ask at, so nothing is done; say `--yes`, or look with `--dry-run`.");
    }
    let answer = ask(&format!("{question} [y/N] "));
    match matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes") {
        true => Ok(()),
        false => refused("Nothing is done."),
    }
}

/// Whether somebody sits at a terminal who sees a question and can answer.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The answer to a question on standard error, without what surrounds it; empty where none can be had.
pub(super) fn ask(question: &str) -> String {
    let mut output = io::stderr();
    let asked = write!(output, "{question}").and_then(|()| output.flush());
    let mut answer = String::new();
    match asked.and_then(|()| io::stdin().lock().read_line(&mut answer)) {
        Ok(_) => answer.trim().to_owned(),
        Err(_) => String::new(),
    }
}
