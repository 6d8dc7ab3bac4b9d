//! The end of a tenant: everything that it has goes for good, its history included, of which only the bare rows stay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Shown, check_may_be_closed};
use crate::admin::record::{Author, Subject, facts};
use crate::admin::{Desk, Operation, Route};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::audit::{self, Changes};
use crate::store::tenants::{self, Contents, Removal, Tenant};
use crate::store::{Connection, Reach};

/// The number of the tenant that is always there. Its history tells which others there were.
const DEFAULT: i64 = 1;

/// How many pieces go before the caller hears of it: a few seconds of work.
const PIECES_AT_ONCE: usize = 100;

/// How many events go at once.
const EVENTS: i64 = 2_000;

/// A tenant that shall be no more, with all that it has. It is suspended first; then its resources, its search index and
/// its keys go, piece by piece, and what its history says. Each answer tells whether anything is left: ask again until it
/// is `done`. Whoever is interrupted asks again, too. Nothing takes it back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "DeleteTenant")]
pub struct Delete {
    /// The name of the tenant.
    pub tenant: String,
    /// Only tell what would go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// What went, or would go.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TenantDeletion")]
pub struct Deletion {
    /// The name of the tenant.
    pub tenant: String,
    /// Resources that went just now, or would go, deleted ones included.
    pub resources: u64,
    /// Changes in the history that say nothing any more since just now, or would.
    pub changes: u64,
    /// Whether nothing is left.
    pub done: bool,
}

impl Operation for Delete {
    const ROUTE: Route = Route::delete("/tenants/{tenant}")
        .named("deleteTenant")
        .about("Take a tenant away for good with all that it has, in pieces: ask again until it is `done`");
    type Outcome = Deletion;

    async fn carry_out(self, desk: &Desk) -> Result<Deletion> {
        let tenant = desk.tenant(&self.tenant).await?;
        let tenant_id = tenant.tenant_id;
        if tenant_id == DEFAULT {
            let detail = format!("The tenant `{}` is always there; nothing of it is deleted.", tenant.name);
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        }
        check_may_be_closed(desk, &tenant)?;
        if self.dry_run == Some(true) {
            return preview(desk, tenant).await;
        }
        begin(desk, tenant).await?;
        delete_events(desk, tenant_id).await?;
        let mut deletion = Deletion { tenant: self.tenant, resources: 0, changes: 0, done: false };
        let mut removal = Removal::of(tenant_id);
        for _ in 0..PIECES_AT_ONCE {
            let (piece, rest) = desk.store.write(move |connection| removal.go_on(connection)).await?;
            deletion.resources += piece.resources as u64;
            deletion.changes += piece.changes as u64;
            deletion.done = piece.is_last;
            removal = rest;
            if deletion.done {
                desk.forget_tenant(tenant_id);
                break;
            }
        }
        Ok(deletion)
    }
}

/// What there is, of which nothing is taken.
async fn preview(desk: &Desk, tenant: Tenant) -> Result<Deletion> {
    let (tenant_id, now) = (tenant.tenant_id, desk.now().naive_utc());
    let look = move |connection: &mut Connection| tenants::contents(connection, tenant_id, now);
    let contents = desk.store.read(Reach::Scan, look).await?;
    let resources: i64 = contents.resources.iter().map(|count| count.live + count.deleted).sum();
    let (resources, changes) = (resources as u64, contents.changes as u64);
    Ok(Deletion { tenant: tenant.name, resources, changes, done: false })
}

/// From here on nothing comes into the tenant, and nothing stops the deletion for good. The history of the tenant that
/// stays says who began it and what there was.
async fn begin(desk: &Desk, tenant: Tenant) -> Result<()> {
    let (tenant_id, author) = (tenant.tenant_id, desk.author());
    if tenant.deleted_at.is_none() {
        let now = author.at.naive_utc();
        let look = move |connection: &mut Connection| tenants::contents(connection, tenant_id, now);
        let contents = desk.store.read(Reach::Scan, look).await?;
        let write = move |connection: &mut Connection| {
            let tenant = tenants::lock(connection, tenant_id)?;
            if tenant.deleted_at.is_none() {
                tenants::begin_deletion(connection, tenant_id, now)?;
                record(connection, &author, &tenant, &contents)?;
            }
            Ok(())
        };
        desk.store.write(write).await?;
    }
    desk.forget_tenant(tenant_id);
    Ok(())
}

fn record(connection: &mut Connection, author: &Author, tenant: &Tenant, contents: &Contents) -> Result<()> {
    let mut before = facts(&Shown::of(tenant), &["id"])?;
    for count in &contents.resources {
        before.insert(count.resource_type.clone(), (count.live + count.deleted).into());
    }
    before.insert("keys".to_owned(), contents.keys.into());
    before.insert("changes".to_owned(), contents.changes.into());
    let (operation, subject) = (audit::Operation::Delete, Subject::Tenant(tenant.tenant_id));
    author.record(connection, DEFAULT, operation, subject, &Changes::of_record(Some(&before), None))
}

/// Events are not by tenant: what belongs to others is looked at as well, in reads that keep nobody waiting.
async fn delete_events(desk: &Desk, tenant_id: i64) -> Result<()> {
    let mut after = 0;
    loop {
        let look = move |connection: &mut Connection| tenants::events(connection, tenant_id, after, EVENTS);
        let rows = desk.store.read(Reach::Scan, look).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = *last;
        desk.store.write(move |connection| tenants::delete_events(connection, &rows)).await?;
    }
}
