//! What goes in and out as a whole: export, import, backup, the move to another database.
//!
//! These are streams, so no operation of the table can carry them: what they take beside the stream stands here, and where
//! they stand in `/admin/v1`.

use std::fs::File;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Desk, Route, Turn};
use crate::provider;
use crate::provider::import::{Table, Titles};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::kept::NewDatabase;
use crate::store::{CopiedTable, DatabaseUrl, Settings, Store};

pub use crate::provider::Progress;
pub use crate::provider::import::{MAX_TABLE, Outcome, Problem, Spool};
pub use crate::provider::transfer::End;

/// The most bytes that an import over HTTP may have.
pub const MAX_IMPORT: u64 = 4 * 1024 * 1024 * 1024;

/// The media type of an export.
pub const NDJSON: &str = "application/x-ndjson";

/// The media type of a table.
pub const CSV: &str = "text/csv";

/// Where a stream stands, as the documentation of the API tells it.
pub struct Stream {
    /// Where it stands.
    pub route: Route,
    /// What it takes in path and URL, as JSON Schema.
    pub takes: fn(&mut SchemaGenerator) -> Schema,
    /// The media types that it takes in the body.
    pub receives: &'static [&'static str],
    /// The media type that it sends, where that is no JSON.
    pub sends: Option<&'static str>,
    /// The JSON that it answers otherwise, as JSON Schema.
    pub gives: fn(&mut SchemaGenerator) -> Schema,
}

/// Every stream.
pub fn streams() -> [Stream; 3] {
    let stream = |route, takes, receives, sends| Stream {
        route,
        takes,
        receives,
        sends,
        gives: SchemaGenerator::subschema_for::<Outcome>,
    };
    [
        stream(Export::ROUTE, SchemaGenerator::subschema_for::<Export>, &[], Some(NDJSON)),
        stream(Import::ROUTE, SchemaGenerator::subschema_for::<Import>, &[NDJSON, CSV], None),
        stream(Backup::ROUTE, SchemaGenerator::subschema_for::<Backup>, &[], Some("application/vnd.sqlite3")),
    ]
}

/// A tenant's resources, as they are or as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Export {
    /// The name of the tenant.
    pub tenant: String,
    /// The state at this time; the present one, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub at: Option<DateTime<Utc>>,
    /// Also what is deleted.
    #[serde(default)]
    pub deleted: bool,
    /// Also the hashes of passwords, attributes that are never returned, and values that no schema defines any more; for a
    /// key with all of the scope `admin`.
    #[serde(default)]
    pub password_hashes: bool,
}

impl Export {
    /// Where it stands.
    pub const ROUTE: Route = Route::get("/tenants/{tenant}/export").named("exportTenant").about(
        "Export users, groups and other resources as NDJSON: a header, a resource on each line, an end with number and digest.",
    );

    /// Hands the file over piece by piece; how many resources stand in it.
    ///
    /// # Errors
    /// An unknown tenant; those of [`crate::provider::Provider::export`].
    pub async fn carry_out(
        self,
        desk: &Desk,
        take: impl FnMut(Vec<u8>, Progress) -> Result<()> + Send + 'static,
    ) -> Result<u64> {
        let Export { tenant, at, deleted, password_hashes } = self;
        let tenant = desk.tenant(&tenant).await?;
        desk.provider.export(tenant, provider::Export { at, deleted, password_hashes }, take).await
    }
}

/// An export brought into a tenant, or users from a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Import {
    /// The name of the tenant.
    pub tenant: String,
    /// Only find out what would come of it.
    #[serde(default)]
    pub dry_run: bool,
    /// Of a table: what stands between two cells, if it is not to be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// Of a table: which attribute a title means, `Login=userName`, or one of several; `Notes=` passes a column over.
    #[serde(default)]
    pub map: Vec<String>,
    /// Of a table: give users who are there what it says of them.
    #[serde(default)]
    pub update: bool,
    /// Of a table: make the groups that are missing.
    #[serde(default)]
    pub create_groups: bool,
}

impl Import {
    /// Where it stands.
    pub const ROUTE: Route = Route::post("/tenants/{tenant}/import").named("importIntoTenant").about(
        "Import an export (NDJSON), or users from a table (CSV): all of it, or nothing and a list of what is in the way.",
    );

    /// A turn to bring something in, for those who receive it first.
    ///
    /// # Errors
    /// `Busy` while other imports have all the turns.
    pub fn turn(desk: &Desk) -> Result<Turn> {
        desk.turns.import()
    }

    /// Brings an export in.
    ///
    /// # Errors
    /// An unknown tenant, what is said of tables; those of [`crate::provider::Provider::import`].
    pub async fn carry_out(
        self,
        desk: &Desk,
        spool: Arc<Spool>,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Outcome> {
        if self.is_about_tables() {
            let detail = "Columns, delimiters, updates and groups to make are for tables (CSV), and this is an export.";
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        }
        let tenant = desk.tenant(&self.tenant).await?;
        desk.provider.import(desk.call(&tenant), spool, self.dry_run, progress).await
    }

    /// Makes the users of a table.
    ///
    /// # Errors
    /// An unknown tenant, a delimiter or a mapping that is none; those of [`crate::provider::Provider::import_users`].
    pub async fn carry_out_table(
        self,
        desk: &Desk,
        spool: Arc<Spool>,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Outcome> {
        let table = self.table()?;
        let tenant = desk.tenant(&self.tenant).await?;
        desk.provider.import_users(desk.call(&tenant), spool, table, progress).await
    }

    fn is_about_tables(&self) -> bool {
        self.delimiter.is_some() || !self.map.is_empty() || self.update || self.create_groups
    }

    fn table(&self) -> Result<Table> {
        let delimiter = self.delimiter.as_deref().map(delimiter).transpose()?;
        let mut titles = Titles::new();
        for mapping in &self.map {
            let (title, attribute) = title(mapping)?;
            titles.entry(title).or_default().push(attribute);
        }
        let Import { dry_run, update, create_groups, .. } = *self;
        Ok(Table { delimiter, titles, update, create_groups, dry_run })
    }
}

fn delimiter(text: &str) -> Result<u8> {
    match text.as_bytes() {
        _ if text == "\\t" || text == "tab" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\n' | b'\r') => {
            Ok(*byte)
        }
        _ => {
            let detail = "The delimiter must be one character such as `,`, `;` or `|`, or `tab`.";
            Err(Error::new(ErrorKind::InvalidValue, detail))
        }
    }
}

fn title(mapping: &str) -> Result<(String, String)> {
    // A title may have the sign as well; an attribute hardly does.
    let (title, attribute) = mapping.rsplit_once('=').ok_or_else(|| {
        let detail = format!("`{mapping}` says not what a column means; write for example `Login=userName`.");
        Error::new(ErrorKind::InvalidValue, detail)
    })?;
    Ok((title.trim().to_owned(), attribute.trim().to_owned()))
}

/// The whole SQLite database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backup {}

impl Backup {
    /// Where it stands.
    pub const ROUTE: Route = Route::get("/backup")
        .named("backup")
        .about("Get a consistent copy of the whole SQLite database, keys and all tenants included.");

    /// The copy, open to be read and gone when closed, and the turn that it takes up until then.
    ///
    /// # Errors
    /// `Busy` while there is another one; those of [`Store::backup`].
    pub async fn carry_out(self, desk: &Desk) -> Result<(File, Turn)> {
        let (store, turn) = (desk.store.clone(), desk.turns.backup()?);
        blocking(move || Ok((store.backup_without_name()?, turn))).await
    }

    /// Writes the copy to a file; its size.
    ///
    /// # Errors
    /// Those of [`Store::backup`].
    pub fn to_file(
        self,
        desk: &Desk,
        file: &Path,
        replace: bool,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<u64> {
        desk.store.backup(file, replace, |done, total| progress(Progress { done, total }))
    }
}

/// Where to put what is to be imported until it is whole.
///
/// # Errors
/// If no temporary file can be made.
pub fn spool(desk: &Desk) -> Result<Spool> {
    Spool::empty(desk.store.directory().as_deref())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|cause| Err(Error::internal(cause)))
}

/// Everything copied into another database; the tables with their rows. Blocks.
///
/// # Errors
/// A URL that is none, a database that can't be reached, or that an older scimd has made; those of [`Store::copy_to`].
pub async fn copy_database(desk: &Desk, to: &str, progress: impl Fn(Progress)) -> Result<Vec<CopiedTable>> {
    // No database takes a change that nothing proves; those from before the chain get their proof here.
    desk.provider.seal().await?;
    let url = DatabaseUrl::from_str(to)?;
    let new = match &url {
        DatabaseUrl::Sqlite(file) => NewDatabase::at(file),
        DatabaseUrl::Postgres(_) => None,
    };
    let settings = Settings { readers: 1, postgres_connections: 1, ..Settings::new(url) };
    let target = Store::open(&settings)?;
    if target.has_tables()? && !target.pending_migrations()?.is_empty() {
        let detail =
            "The database to copy to has the tables of an older scimd; it is left as it is. Name an empty one.";
        return Err(Error::new(ErrorKind::InvalidValue, detail));
    }
    target.migrate()?;
    let copied = desk.store.copy_to(&target, |done, total| progress(Progress { done, total }));
    target.close();
    if copied.is_ok() {
        new.into_iter().for_each(NewDatabase::keep);
    }
    copied
}
