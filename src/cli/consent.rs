//! The person at the terminal is asked before something happens that cannot be seen beforehand.

use std::io::{self, IsTerminal, Write};

use crate::scim::{Error, ErrorKind, Result};

/// Shows what is about to happen, and asks; whether the answer is yes. Everything goes to standard error, for standard
/// output is for what has happened.
///
/// # Errors
/// `InvalidValue` where nobody can answer.
pub(super) fn consent(preview: &str, question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let detail = "Nobody can be asked here, so nothing is done: write `--yes` to do it, or `--dry-run` to see it.";
        return Err(Error::new(ErrorKind::InvalidValue, detail));
    }
    let mut terminal = io::stderr();
    let asked = write!(terminal, "{preview}\n{question} [y/N] ").and_then(|()| terminal.flush());
    let mut answer = String::new();
    asked.and_then(|()| io::stdin().read_line(&mut answer)).map_err(Error::internal)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
