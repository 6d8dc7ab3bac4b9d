//! Files that get their names once they are whole, and are the owner's alone.
//!
//! Until then they stand under another name beside where they are to be. That goes with the value that holds it, and, where
//! a signal ends the process, with [`remove_unfinished`].

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

use crate::scim::{Error, ErrorKind, Result};

/// The files in the making of this process.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Takes away what is not whole, before the process ends: whoever still writes to it writes into nothing.
pub fn remove_unfinished() {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|file| remove(file));
}

/// Takes away a file, which may be a database of SQLite's.
fn remove(file: &Path) {
    let _ = fs::remove_file(file);
    remove_companions(file);
}

/// A file in the making; dropped, nothing of it is left.
#[derive(Debug)]
pub(super) struct Unfinished {
    file: NamedTempFile,
    _noted: Noted,
}

/// A place among the unfinished.
#[derive(Debug)]
struct Noted(PathBuf);

impl Noted {
    fn of(file: PathBuf) -> Noted {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).insert(file.clone());
        Noted(file)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

impl Unfinished {
    /// An empty one in this directory.
    ///
    /// # Errors
    /// A directory that can't be written to.
    pub(super) fn within(directory: &Path) -> io::Result<Unfinished> {
        let file = NamedTempFile::with_prefix_in(".scimd-", directory)?;
        let noted = Noted::of(file.path().to_owned());
        Ok(Unfinished { file, _noted: noted })
    }

    /// Where it stands.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file, also when it has no name any more.
    ///
    /// # Errors
    /// If it can't be opened once more.
    pub(super) fn reopen(&self) -> io::Result<File> {
        self.file.reopen()
    }
}

/// A file in the making that knows its name.
#[derive(Debug)]
pub struct Kept {
    unfinished: Unfinished,
    target: PathBuf,
    replace: bool,
}

impl Kept {
    /// An empty one beside where it is to be.
    ///
    /// # Errors
    /// A file that is there and is not to be replaced, or is a device, a pipe or the like; a directory that can't be written to.
    pub fn new(target: &Path, replace: bool) -> Result<Kept> {
        let refused = |why: &str| Err(Error::new(ErrorKind::InvalidValue, format!("{} {why}", target.display())));
        if target.is_dir() {
            return refused("is a directory; name a file in it.");
        }
        if target.file_name().is_none() {
            return refused("names no file; name one.");
        }
        if target.metadata().is_ok_and(|there| !there.is_file()) {
            return refused("is no plain file, and would be replaced by one; name another.");
        }
        if !replace && target.exists() {
            return refused("is there already; `--force` replaces it.");
        }
        let unfinished = Unfinished::within(directory_of(target)).map_err(|cause| unwritten(target, &cause))?;
        Ok(Kept { unfinished, target: target.to_owned(), replace })
    }

    /// Where it stands until it is whole.
    pub(super) fn path(&self) -> &Path {
        self.unfinished.path()
    }

    /// Adds to it.
    ///
    /// # Errors
    /// A disk that is full, or fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.unfinished.file.as_file_mut().write_all(bytes).map_err(|cause| unwritten(&self.target, &cause))
    }

    /// Brings it to the disk and gives it its name; its size.
    ///
    /// # Errors
    /// As [`Kept::write`]; a file that has come there meanwhile and is not to be replaced.
    pub fn keep(self) -> Result<u64> {
        let Kept { unfinished: Unfinished { file, _noted }, target, replace } = self;
        // Whoever has written to it, and through whichever handle: what is synced is the file.
        let size = file.as_file().sync_all().and_then(|()| file.as_file().metadata()).map(|file| file.len());
        let size = size.map_err(|cause| unwritten(&target, &cause))?;
        let named = if replace { file.persist(&target) } else { file.persist_noclobber(&target) };
        named.map_err(|cause| unwritten(&target, &cause.error))?;
        // The name is as much on the disk as what it stands for. Not every file system can do this for a directory.
        let _ = File::open(directory_of(&target)).and_then(|directory| directory.sync_all());
        Ok(size)
    }
}

/// A database in the making where nothing was; dropped before it is whole, nothing of it is left.
#[derive(Debug)]
pub struct NewDatabase(Option<Noted>);

impl NewDatabase {
    /// To be made in this file of SQLite's, which is empty from here on; `None` where there is something already, or
    /// nothing can be made.
    pub fn at(file: &Path) -> Option<NewDatabase> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // Of two processes that make it at once, one alone takes it away again.
        options.open(file).ok().map(|_| NewDatabase(Some(Noted::of(file.to_owned()))))
    }

    /// It is whole.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for NewDatabase {
    fn drop(&mut self) {
        self.0.iter().for_each(|noted| remove(&noted.0));
    }
}

/// The files that SQLite keeps beside a database.
pub(super) fn companions(file: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", "-journal"].map(|ending| {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    })
}

/// Takes away what SQLite keeps beside a database.
pub(super) fn remove_companions(file: &Path) {
    companions(file).iter().for_each(|companion| drop(fs::remove_file(companion)));
}

/// The directory that a file is in.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A sentence about a file that can't be written.
pub(super) fn unwritten(target: &Path, cause: &dyn std::fmt::Display) -> Error {
    let detail = format!("{} cannot be written ({cause}); nothing of it is left.", target.display());
    Error::new(ErrorKind::Unavailable, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unfinished_goes_with_its_value_or_before_the_process_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("whole");
        let names = || fs::read_dir(directory.path()).expect("a directory").count();

        let dropped = Kept::new(&target, false).expect("a file");
        let ended = Kept::new(&target, false).expect("a file");
        assert_eq!(names(), 2);
        drop(dropped);
        assert_eq!(names(), 1);
        fs::remove_file(ended.path()).expect("as remove_unfinished does");
        assert!(UNFINISHED.lock().expect("no panic").contains(ended.path()));
        let path = ended.path().to_owned();
        drop(ended);
        assert!(!UNFINISHED.lock().expect("no panic").contains(&path));

        let mut kept = Kept::new(&target, false).expect("a file");
        kept.write(b"all").expect("room");
        assert_eq!((kept.keep().expect("a name"), names()), (3, 1));
        assert!(Kept::new(&target, false).expect_err("there").detail().contains("--force"));
        assert_eq!(Kept::new(&target, true).expect("to be replaced").keep().expect("a name"), 0);

        let database = directory.path().join("copy.db");
        assert!(NewDatabase::at(&target).is_none(), "there is something");
        for (whole, left) in [(false, 1), (true, 3)] {
            let new = NewDatabase::at(&database).expect("nothing is there");
            [database.clone(), directory.path().join("copy.db-wal")]
                .iter()
                .for_each(|file| fs::write(file, "").expect("room"));
            if whole {
                new.keep();
            } else {
                drop(new);
            }
            assert_eq!(names(), left);
        }
    }
}
