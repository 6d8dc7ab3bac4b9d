//! The text of an answer that may be longer than memory should hold: beyond a length it goes into a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// How much is written into a file at once, and read from it, in bytes.
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

impl Text {
    /// Adds a few bytes.
    pub fn push(&mut self, end: &str) {
        match self {
            Text::Short(text) => text.push_str(end),
            Text::Long(text) => text.rest.extend_from_slice(end.as_bytes()),
        }
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
    rest: String,
    /// How long this may grow.
    room: usize,
    /// Whether the disk takes no more. A read goes on without it, in memory.
    is_full: bool,
}

impl Spill {
    /// An empty text, whose file is made in that directory once it has so many bytes.
    pub(super) fn new(directory: Option<PathBuf>, in_memory: usize) -> Spill {
        Spill { directory, file: None, in_file: 0, rest: String::new(), room: in_memory, is_full: false }
    }

    /// Makes room for so many bytes, as far as they stay in memory: a text that grows step by step leaves a trail of memory
    /// that the allocator keeps.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.rest.reserve(bytes.min(self.room));
    }

    /// Adds to the text.
    pub(super) fn push(&mut self, text: &str) {
        if self.rest.len() + text.len() > self.room && !self.is_full {
            self.is_full = self.spill().is_err();
            self.room = PIECE;
        }
        self.rest.push_str(text);
    }

    /// Writes down what there is. Nothing more may be written after a failure: nobody knows how far it came.
    fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.directory.as_ref().map_or_else(tempfile::tempfile, tempfile::tempfile_in)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(failure) = file.write_all(self.rest.as_bytes()) {
            // The last room on a disk is somebody else's.
            let _ = file.set_len(self.in_file);
            return Err(failure);
        }
        self.in_file += self.rest.len() as u64;
        // What was long once takes no more room than a piece from now on.
        self.rest.clear();
        self.rest.shrink_to(2 * PIECE);
        Ok(())
    }

    /// The whole text, to be read.
    ///
    /// # Errors
    /// If the file can't be read from its beginning.
    pub(super) fn finish(self) -> io::Result<Text> {
        let Some(mut file) = self.file else { return Ok(Text::Short(self.rest)) };
        file.seek(SeekFrom::Start(0))?;
        Ok(Text::Long(Spilled { file: Some(file), in_file: self.in_file, rest: self.rest.into_bytes() }))
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
impl Text {
    /// All pieces, which must be as long as was said.
    pub(super) fn whole_of_a_test(self) -> String {
        let mut spilled = match self {
            Text::Short(text) => return text,
            Text::Long(spilled) => spilled,
        };
        let (length, mut text) = (spilled.len(), Vec::new());
        loop {
            let piece = spilled.next_piece().expect("readable");
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
        for (words, in_memory) in [(1, 1), (1, PIECE), (10_000, PIECE), (100_000, 4 * PIECE), (300_000, PIECE)] {
            let mut spill = Spill::new(Some(directory.path().to_owned()), in_memory);
            let mut expected = String::new();
            for word in 0..words {
                let word = format!("{word} ");
                spill.push(&word);
                expected.push_str(&word);
            }
            assert_eq!(spill.file.is_some(), expected.len() > in_memory);

            assert_eq!(spill.finish().expect("readable").whole_of_a_test(), expected);
        }
    }

    #[test]
    fn a_disk_that_is_full_in_the_middle_takes_nothing_from_the_text() {
        let mut spill = Spill::new(None, PIECE);
        let pieces = ["a", "b", "c", "d"].map(|letter| letter.repeat(PIECE));
        spill.push(&pieces[0]);
        spill.push(&pieces[1]);

        let file = spill.file.replace(File::options().write(true).open("/dev/full").expect("a disk that is full"));
        spill.push(&pieces[2]);
        spill.file = file;
        spill.push(&pieces[3]);

        assert_eq!(spill.in_file, PIECE as u64);
        assert_eq!(spill.finish().expect("readable").whole_of_a_test(), pieces.concat());
    }

    #[test]
    fn a_text_stays_in_memory_where_no_file_can_be_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut spill = Spill::new(Some(directory.path().join("missing")), PIECE);
        let piece = "x".repeat(PIECE - 1);

        (0..3).for_each(|_| spill.push(&piece));

        assert!(spill.is_full);
        assert_eq!(spill.finish().expect("readable").whole_of_a_test(), piece.repeat(3));
    }
}
