//! What is to be imported, as a file that can be read more than once: first to check it, then to store it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::scim::{Error, ErrorKind, Result};

/// The longest line, in bytes: a group of more than five million members.
const LONGEST_LINE: u64 = 512 * 1024 * 1024;

/// What some editors put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What is to be imported.
#[derive(Debug)]
pub struct Spool(File);

impl Spool {
    /// An empty one, in a file without a name that goes with the process: in this directory, or else in the one of the
    /// system for temporary files.
    ///
    /// # Errors
    /// If no temporary file can be made there.
    pub fn empty(directory: Option<&Path>) -> Result<Spool> {
        let file = directory.map_or_else(tempfile::tempfile, tempfile::tempfile_in);
        file.map(Spool).map_err(|cause| unusable("No temporary file can be made for the import", cause))
    }

    /// A file that is there already.
    pub fn of_file(file: File) -> Spool {
        Spool(file)
    }

    /// Puts everything at the end that comes from there.
    ///
    /// # Errors
    /// If it can't be read or kept.
    pub fn fill(&mut self, mut reader: impl Read) -> Result<()> {
        let copied = std::io::copy(&mut reader, &mut self.0);
        copied.map(drop).map_err(|cause| unusable("What is to be imported can't be read", cause))
    }

    /// Puts more at the end.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).map_err(|cause| unusable("What is to be imported can't be kept", cause))
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |file| file.len())
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes from the first one on. One reader at a time: all readers share a place in the file.
    ///
    /// # Errors
    /// If the file can't be read.
    pub(super) fn bytes(&self) -> Result<impl BufRead + use<>> {
        let file = self.0.try_clone().and_then(|mut file| file.seek(SeekFrom::Start(0)).map(|_| file));
        let file = file.map_err(|cause| unusable("What is to be imported can't be read", cause))?;
        Ok(BufReader::with_capacity(256 * 1024, file))
    }

    /// The lines from the first one on.
    ///
    /// # Errors
    /// As [`Spool::bytes`].
    pub(super) fn lines(&self) -> Result<Lines<impl BufRead + use<>>> {
        Ok(Lines { bytes: self.bytes()?, number: 0, read: 0 })
    }
}

/// Lines with their numbers.
pub(super) struct Lines<R> {
    bytes: R,
    /// The number of the line that was read last, from 1.
    pub(super) number: u64,
    /// How many bytes were read.
    pub(super) read: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line that is not blank, without its end and, at the beginning, without a byte order mark; `None` behind
    /// the last. Editors and transfers between systems put such things in, and take nothing away.
    ///
    /// # Errors
    /// `InvalidSyntax` for a line that is too long; if the file can't be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>> {
        while let Some(mut line) = self.raw()? {
            line.truncate(line.trim_ascii_end().len());
            if self.number == 1 && line.starts_with(BYTE_ORDER_MARK) {
                line.drain(..BYTE_ORDER_MARK.len());
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn raw(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = (&mut self.bytes).take(LONGEST_LINE + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|cause| unusable("What is to be imported can't be read", cause))? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.read += read;
        if read > LONGEST_LINE {
            let detail = format!("Line {} of the import is longer than {LONGEST_LINE} bytes.", self.number);
            return Err(Error::new(ErrorKind::InvalidSyntax, detail));
        }
        Ok(Some(line))
    }
}

fn unusable(what: &str, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{what} ({cause}).")).with_source(cause)
}
