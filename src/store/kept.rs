//! A file that gets its name once it is whole, and is the owner's alone.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::scim::{Error, ErrorKind, Result};

/// A file in the making; dropped before it is whole, nothing of it is left.
pub(super) struct Kept {
    file: NamedTempFile,
    target: PathBuf,
    replace: bool,
}

impl Kept {
    /// An empty one beside where it is to be.
    ///
    /// # Errors
    /// A file that is there and is not to be replaced, or is a device, a pipe or the like; a directory that can't be written to.
    pub(super) fn new(target: &Path, replace: bool) -> Result<Kept> {
        let refused = |why: &str| Err(Error::new(ErrorKind::InvalidValue, format!("{} {why}", target.display())));
        if target.is_dir() || target.file_name().is_none() {
            return refused("names no file; name one.");
        }
        if target.metadata().is_ok_and(|there| !there.is_file()) {
            return refused("is no plain file, and would be replaced by one; name another.");
        }
        if !replace && target.exists() {
            return refused("is there already; `--force` replaces it.");
        }
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::with_prefix_in(".scimd-", directory).map_err(|cause| unwritten(target, &cause))?;
        Ok(Kept { file, target: target.to_owned(), replace })
    }

    /// Adds to it.
    ///
    /// # Errors
    /// A disk that is full, or fails.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|cause| unwritten(&self.target, &cause))
    }

    /// Brings it to the disk and gives it its name; its size.
    ///
    /// # Errors
    /// As [`Kept::write`].
    pub(super) fn keep(self) -> Result<u64> {
        let Kept { file, target, replace } = self;
        let size = file.as_file().sync_all().and_then(|()| file.as_file().metadata()).map(|file| file.len());
        let size = size.map_err(|cause| unwritten(&target, &cause))?;
        let named = if replace { file.persist(&target) } else { file.persist_noclobber(&target) };
        named.map_err(|cause| unwritten(&target, &cause.error))?;
        if let Some(directory) = target.parent() {
            // Not every file system can do this for a directory.
            let _ = File::open(directory).and_then(|directory| directory.sync_all());
        }
        Ok(size)
    }
}

fn unwritten(target: &Path, cause: &std::io::Error) -> Error {
    let detail = format!("{} cannot be written ({cause}); nothing of it is left.", target.display());
    Error::new(ErrorKind::Unavailable, detail)
}
