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
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return refused("There is no terminal to ask at, so nothing is done; say `--yes`, or look with `--dry-run`.");
    }
    let mut asked = io::stderr().lock();
    let told = write!(asked, "{question} [y/N] ").and_then(|()| asked.flush());
    let mut answer = String::new();
    let heard = told.and_then(|()| io::stdin().lock().read_line(&mut answer));
    match heard.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        true => Ok(()),
        false => refused("Nothing is done."),
    }
}
