//! `scimd db`: the database as a whole.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::progress::Bar;
use super::table::table;
use super::{Office, Report};
use crate::admin::transfer;
use crate::scim::{Error, ErrorKind, Result};
use crate::store::CopiedTable;

/// What an operator does with the database.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy everything into another, empty database: from SQLite to PostgreSQL, or any other way
    ///
    /// Tenants, resources, keys, the history: every table, row by row, and each is read again and compared. All or nothing.
    /// What is written to the source meanwhile is not in the copy, so stop the server first; keys work on at the new place.
    #[command(after_help = "Examples:\n  scimd db copy --to postgres://scimd@db/scimd\n  \
        scimd db copy --database-url postgres://scimd@db/scimd --to sqlite:scimd.db\n  \
        scimd db copy --to-file /run/secrets/database-url")]
    Copy(Copy),
}

/// `scimd db copy`.
#[derive(Debug, Args)]
pub struct Copy {
    /// The database to copy into: `postgres://…` or `sqlite:FILE`
    #[arg(long, value_name = "URL", required_unless_present = "to_file")]
    to: Option<String>,
    /// A file that holds that URL, and so its password
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    to_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Does what the command says.
    ///
    /// # Errors
    /// `InvalidValue` without a database at hand; a target that is not empty; database failures.
    pub async fn run(self, office: &Office) -> Result<Report> {
        let Command::Copy(Copy { to, to_file, json }) = self;
        let to = match (to, to_file) {
            (Some(url), _) => url,
            (None, Some(file)) => std::fs::read_to_string(&file).map_err(|cause| {
                Error::new(ErrorKind::InvalidValue, format!("{} cannot be read ({cause}).", file.display()))
            })?,
            (None, None) => return Err(Error::new(ErrorKind::InvalidValue, "`--to` says where to copy to.")),
        };
        let bar = Bar::counting("rows");
        let copied = transfer::copy_database(office.desk()?, to.trim(), |progress| bar.set(progress)).await?;
        drop(bar);
        if json {
            let rows = copied.iter().map(|table| (table.name.clone(), table.rows.into())).collect();
            return Report::json(&serde_json::Value::Object(rows));
        }
        let row = |table: &CopiedTable| [table.name.clone(), table.rows.to_string()];
        let report = Report::text(table(["TABLE", "ROWS"], &copied.iter().map(row).collect::<Vec<_>>()));
        Ok(report.note("Everything is copied and was compared. Next: start scimd with the new database URL."))
    }
}
