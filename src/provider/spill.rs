//! The text of an answer that may be longer than memory should hold: beyond a length it goes into a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// How much stays in memory, and how long a piece of a file is, in bytes.
const PIECE: usize = 256 * 1024;

/// The text of a representation.
#[derive(Debug)]
pub enum Text {
    /// All of it.
    Short(String),
    /// Piece by piece.
    Long(Spilled),
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::Short(text)
    }
}

/// A text that is being written.
#[derive(Debug)]
pub(super) struct Spill {
    /// Where files are made; the directory of the system for temporary files, where there is none.
    directory: Option<PathBuf>,
    file: Option<File>,
    in_file: u64,
    /// What comes behind the file.
    rest: Vec<u8>,
    /// Whether the disk takes no more. A read goes on without it, in memory.
    is_full: bool,
}

impl Spill {
    /// An empty text, whose file is made in that directory.
    pub(super) fn new(directory: Option<PathBuf>) -> Spill {
        Spill { directory, file: None, in_file: 0, rest: Vec::new(), is_full: false }
    }

    /// Adds to the text.
    pub(super) fn push(&mut self, text: &str) {
        self.rest.extend_from_slice(text.as_bytes());
        if self.rest.len() >= PIECE && !self.is_full {
            self.is_full = self.spill().is_err();
        }
    }

    /// Nothing more may be written after a failure: nobody knows how far it came.
    fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.directory.as_ref().map_or_else(tempfile::tempfile, tempfile::tempfile_in)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(failure) = file.write_all(&self.rest) {
            // The last room on a disk is somebody else's.
            let _ = file.set_len(self.in_file);
            return Err(failure);
        }
        self.in_file += self.rest.len() as u64;
        self.rest.clear();
        Ok(())
    }

    /// The whole text, to be read.
    ///
    /// # Errors
    /// If the file can't be read from its beginning.
    pub(super) fn finish(mut self) -> io::Result<Spilled> {
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(Spilled { file: self.file, in_file: self.in_file, rest: self.rest })
    }
}

/// A text of which the beginning may stand in a file without a name, which goes with it.
#[derive(Debug)]
pub struct Spilled {
    file: Option<File>,
    /// What is left of the file.
    in_file: u64,
    /// What comes behind it.
    rest: Vec<u8>,
}

impl Spilled {
    /// How many bytes are still to be read.
    #[expect(clippy::len_without_is_empty, reason = "it is asked for a header, and a text is never empty")]
    pub fn len(&self) -> u64 {
        self.in_file + self.rest.len() as u64
    }

    /// The next piece; an empty one at the end. Blocks.
    ///
    /// # Errors
    /// If the file can't be read, or ends too early.
    pub fn next_piece(&mut self) -> io::Result<Vec<u8>> {
        let Some(file) = self.file.as_mut().filter(|_| self.in_file > 0) else {
            return Ok(std::mem::take(&mut self.rest));
        };
        let mut piece = vec![0; self.in_file.min(PIECE as u64) as usize];
        file.read_exact(&mut piece)?;
        self.in_file -= piece.len() as u64;
        if self.in_file == 0 {
            self.file = None;
        }
        Ok(piece)
    }
}

#[cfg(test)]
impl Spilled {
    /// All pieces, which must be as long as was said.
    pub(super) fn whole_of_a_test(mut self) -> String {
        let (length, mut text) = (self.len(), Vec::new());
        loop {
            let piece = self.next_piece().expect("readable");
            if piece.is_empty() {
                break;
            }
            text.extend(piece);
        }
        assert_eq!(length, text.len() as u64);
        String::from_utf8(text).expect("text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().expect("a directory");
        for words in [1, 10_000, 100_000, 300_000] {
            let mut spill = Spill::new(Some(directory.path().to_owned()));
            let mut expected = String::new();
            for word in 0..words {
                let word = format!("{word} ");
                spill.push(&word);
                expected.push_str(&word);
            }
            assert_eq!(spill.file.is_some(), expected.len() >= PIECE);

            assert_eq!(spill.finish().expect("readable").whole_of_a_test(), expected);
        }
    }

    #[test]
    fn a_disk_that_is_full_in_the_middle_takes_nothing_from_the_text() {
        let mut spill = Spill::new(None);
        let pieces = ["a", "b", "c"].map(|letter| letter.repeat(PIECE));
        spill.push(&pieces[0]);

        let file = spill.file.replace(File::options().write(true).open("/dev/full").expect("a disk that is full"));
        spill.push(&pieces[1]);
        spill.file = file;
        spill.push(&pieces[2]);

        assert_eq!(spill.in_file, PIECE as u64);
        assert_eq!(spill.finish().expect("readable").whole_of_a_test(), pieces.concat());
    }

    #[test]
    fn a_text_stays_in_memory_where_no_file_can_be_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut spill = Spill::new(Some(directory.path().join("missing")));
        let piece = "x".repeat(PIECE - 1);

        (0..3).for_each(|_| spill.push(&piece));

        let mut spilled = spill.finish().expect("readable");
        assert_eq!(spilled.next_piece().expect("readable").len(), 3 * piece.len());
        assert!(spilled.next_piece().expect("readable").is_empty());
    }
}
