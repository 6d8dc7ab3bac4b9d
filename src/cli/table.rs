//! Columns of text for people. Knows nothing of what stands in them.

/// A header and rows in aligned columns; each line ends with a line break.
///
/// What clients have pushed may hold control characters, which must not reach the operator's terminal: they are shown
/// as escapes.
pub(super) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let header = header.map(str::to_owned);
    let cells: Vec<[String; N]> =
        std::iter::once(&header).chain(rows).map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let mut widths = [0; N];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    cells.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// The text without anything that a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    let escaped = |c: char| -> String { if is_obeyed(c) { c.escape_unicode().collect() } else { c.to_string() } };
    text.chars().map(escaped).collect()
}

/// Control characters, and those that turn the direction of writing.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let text = table(["ID", "NAME"], &[row("1", "Überlingen"), row("1234", "")]);
        assert_eq!(text, "ID    NAME\n1     Überlingen\n1234\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n\u{202e}ü"), "a\\u{1b}[31mb\\u{a}\\u{202e}ü");
    }
}
