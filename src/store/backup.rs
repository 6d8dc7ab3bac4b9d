//! A copy of a SQLite database that others are writing to.
//!
//! `VACUUM INTO` reads one moment of the database, and in the mode of the write-ahead log it keeps no writer waiting.
//! SQLite's other way, page after page, begins anew whenever another process has written in between, and so may never end
//! beside a busy server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::connection::{Connection, Connector, Purpose, each_backend};
use super::database_url::DatabaseUrl;
use super::kept::{Kept, Unfinished, companions, directory_of, remove_companions, unwritten};
use super::{Store, error};
use crate::scim::{Error, ErrorKind, Result};

/// How often somebody who watches is told how far it is.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

const MEGABYTE: u64 = 1024 * 1024;

impl Store {
    /// Writes the database, as it is at one moment, to a file of the owner's alone; its size in bytes.
    ///
    /// The copy is made beside `file`, checked, brought to the disk, and only then given its name: a file of that name is
    /// always a whole backup. `progress` learns how many bytes are written, and about how many there will be. Blocks.
    ///
    /// # Errors
    /// A sentence for the operator: PostgreSQL, a file that is there and is not to be replaced, one that can't be written. Nothing
    /// is left of what failed.
    pub fn backup(&self, file: &Path, replace: bool, progress: impl Fn(u64, u64) + Send + Sync) -> Result<u64> {
        check_target(file, self.sqlite_file()?)?;
        let kept = Kept::new(file, replace)?;
        self.copy_checked(kept.path(), progress).map_err(|failure| failure.into_error(file))?;
        kept.keep()
    }

    /// The same in a file beside the database that has no name, and is gone when it is closed. Blocks.
    ///
    /// # Errors
    /// As [`Store::backup`].
    pub fn backup_without_name(&self) -> Result<File> {
        let shown = Path::new("The backup");
        let copy = Unfinished::within(directory_of(self.sqlite_file()?)).map_err(|cause| unwritten(shown, &cause))?;
        self.copy_checked(copy.path(), |_, _| {}).map_err(|failure| failure.into_error(shown))?;
        copy.reopen().map_err(|cause| unwritten(shown, &cause))
    }

    /// The directory of the database: where its volume has room, also where nothing else can be written to. `None` for
    /// PostgreSQL.
    pub fn directory(&self) -> Option<PathBuf> {
        self.sqlite_file().ok().map(|file| directory_of(file).to_owned())
    }

    fn sqlite_file(&self) -> Result<&Path> {
        let DatabaseUrl::Sqlite(database) = &self.inner.connector.url else {
            let detail = "scimd backs up SQLite alone. For PostgreSQL use its own tools: `pg_dump --format=custom` for a copy of \
                          one moment, or base backups with archived WAL (`pg_basebackup`) to go back to any moment.";
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        };
        Ok(database)
    }

    /// Makes a whole copy of this file, which is empty so far.
    fn copy_checked(&self, copy: &Path, progress: impl Fn(u64, u64) + Send + Sync) -> std::result::Result<(), Failure> {
        let written = self.copy_into(copy, progress);
        let checked = written.and_then(|()| self.check_copy(copy));
        remove_companions(copy);
        checked
    }

    fn copy_into(&self, copy: &Path, progress: impl Fn(u64, u64) + Send + Sync) -> std::result::Result<(), Failure> {
        let mut connection = self.inner.connector.open(Purpose::Pool)?;
        connection.batch_execute("PRAGMA query_only = OFF")?;
        let total = size_of(&mut connection)?;
        check_room(copy.parent().and_then(|directory| fs4::available_space(directory).ok()), total)?;
        let path = copy.to_str().ok_or_else(|| Failure::Cause("its path is not UTF-8".to_owned()))?;
        let (done, is_done) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let is_done = is_done;
                while is_done.recv_timeout(BETWEEN_LOOKS) == Err(RecvTimeoutError::Timeout) {
                    progress(fs::metadata(copy).map_or(0, |copy| copy.len()), total);
                }
            });
            let vacuum = diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(path);
            let outcome = each_backend!(&mut connection, c => vacuum.execute(c));
            drop(done);
            outcome.map(drop).map_err(Failure::from)
        })
    }

    /// Reads every page of the copy.
    fn check_copy(&self, copy: &Path) -> std::result::Result<(), Failure> {
        #[derive(QueryableByName)]
        struct Finding {
            #[diesel(sql_type = Text)]
            integrity_check: String,
        }
        let url = DatabaseUrl::Sqlite(copy.to_owned());
        let connector = Connector { url, as_it_is: true, ..self.inner.connector.clone() };
        let mut connection = connector.open(Purpose::Pool)?;
        let findings: Vec<Finding> =
            each_backend!(&mut connection, c => diesel::sql_query("PRAGMA integrity_check").load(c))?;
        match &findings[..] {
            [only] if only.integrity_check == "ok" => Ok(()),
            [first, ..] => Err(Failure::Cause(format!("the copy is damaged: {}", first.integrity_check))),
            [] => Err(Failure::Cause("the copy can't be checked".to_owned())),
        }
    }
}

/// What keeps a backup from being made.
enum Failure {
    /// The database can't be opened, with a sentence of its own.
    Told(Error),
    Cause(String),
}

impl Failure {
    fn into_error(self, shown: &Path) -> Error {
        match self {
            Failure::Told(error) => error,
            Failure::Cause(cause) => unwritten(shown, &cause),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Told(error)
    }
}

impl From<diesel::result::Error> for Failure {
    fn from(failure: diesel::result::Error) -> Self {
        match error::is_full(&failure) {
            true => Failure::Cause("its disk is full".to_owned()),
            false => Failure::Cause(failure.to_string()),
        }
    }
}

fn check_target(file: &Path, database: &Path) -> Result<()> {
    let Ok(known) = fs::canonicalize(file) else { return Ok(()) };
    let live = fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    if companions(&live).iter().chain([&live]).any(|of_database| *of_database == known) {
        let detail = format!("{} is the database itself; name another file for the backup.", file.display());
        return Err(Error::new(ErrorKind::InvalidValue, detail));
    }
    Ok(())
}

/// Room for a tenth more than the copy is meant to take; where nobody knows how much there is, the disk will tell.
fn check_room(available: Option<u64>, size: u64) -> Result<()> {
    let needed = size.saturating_add(size / 10);
    let Some(available) = available.filter(|available| *available < needed) else { return Ok(()) };
    let detail = format!(
        "There is not enough room for a backup: it takes {} MB, and {} MB are free.",
        needed.div_ceil(MEGABYTE),
        available / MEGABYTE
    );
    Err(Error::new(ErrorKind::Unavailable, detail))
}

/// The size that a copy will have, which leaves out what is free within the file.
fn size_of(connection: &mut Connection) -> QueryResult<u64> {
    #[derive(QueryableByName)]
    struct Size {
        #[diesel(sql_type = BigInt)]
        size: i64,
    }
    let query = "SELECT (c.page_count - f.freelist_count) * s.page_size AS size \
                 FROM pragma_page_count AS c, pragma_freelist_count AS f, pragma_page_size AS s";
    let found: Size = each_backend!(connection, c => diesel::sql_query(query).get_result(c))?;
    Ok(found.size.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_begins_only_where_there_is_room_for_it() {
        for (available, size) in [(None, u64::MAX), (Some(0), 0), (Some(110), 100), (Some(u64::MAX), u64::MAX)] {
            assert!(check_room(available, size).is_ok(), "{available:?}, {size}");
        }
        let refused = check_room(Some(109), 100).expect_err("too little");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(refused.detail().starts_with("There is not enough room"), "{refused}");
    }
}
