//! Undo: takes back everything that one key did in a span of time, as far as nobody has changed it since.
//!
//! Attribute by attribute and member by member the state is put back that there was before the first of the key's changes;
//! what it created is deleted, what it deleted is there again. Where somebody else, or the same key outside the span, has
//! changed the same thing since, that is a conflict: it is listed and left alone.

mod carry_out;
mod draft;
mod fold;
mod plan;
mod slot;

use chrono::{DateTime, Utc};
use serde_json::Value;

use self::plan::Plan;
use super::{Call, Provider};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::audit::{self, Operation};
use crate::store::{Connection, Reach, tenants};

pub use crate::store::audit::Span;

/// What an undo changes, and what it leaves alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Undone {
    /// The change of each resource, in the order in which the key first touched them.
    pub reversals: Vec<Reversal>,
    /// What is left alone.
    pub conflicts: Vec<Conflict>,
}

/// The change of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Reversal {
    /// The name of the resource type.
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// What is done: `Delete`, `Restore`, `Modify`; `Join`, `Leave` and `Assign` for what only comes of deleting and
    /// restoring others.
    pub operation: Operation,
    /// Before and after, as a row of the history has them.
    pub changes: Value,
    /// The members of it that no live resource has. They are members again when it is restored.
    pub unresolved: Vec<String>,
}

/// Something that is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The name of the resource type.
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// What of it.
    pub what: What,
    /// Why, in a sentence.
    pub reason: String,
}

/// What of a resource is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The whole of it.
    Everything,
    /// The attribute of that path.
    Attribute(String),
    /// The membership of the resource with that id.
    Member(String),
}

impl Provider {
    /// Takes back what a key did in a span: the plan alone with `dry_run`, otherwise all of it in one transaction, or
    /// nothing. Each change is one of the caller's in the history, which says what it undoes; so an undo can be undone.
    ///
    /// Within the transaction nobody else writes in the tenant. What the key has touched is asked for there, and nowhere
    /// before: a change may be committed after others that are numbered behind it.
    ///
    /// # Errors
    /// `invalidValue` for a span that ends before it begins, or begins in the future; 404 for a tenant that is not there;
    /// database failures.
    pub async fn undo(&self, call: Call, span: Span, dry_run: bool) -> Result<Undone> {
        let now = self.now();
        check(&span, now)?;
        let (registry, tenant_id) = (self.registry, call.caller.tenant_id);
        if dry_run {
            let read = move |connection: &mut Connection| {
                let touched = audit::touched(connection, tenant_id, &span)?;
                Ok(Plan::make(connection, registry, tenant_id, &span, &touched)?.into_undone())
            };
            return self.store.read(Reach::Scan, read).await;
        }
        let write = move |connection: &mut Connection| {
            tenants::hold(connection, tenant_id)?;
            let touched = audit::touched(connection, tenant_id, &span)?;
            let plan = Plan::make(connection, registry, tenant_id, &span, &touched)?;
            carry_out::carry_out(connection, &call, &plan, &span, now)?;
            Ok(plan.into_undone())
        };
        self.store.write(write).await
    }
}

fn check(span: &Span, now: DateTime<Utc>) -> Result<()> {
    if span.until < span.since {
        return Err(Error::new(ErrorKind::InvalidValue, "The span ends before it begins."));
    }
    if span.since > now {
        return Err(Error::new(ErrorKind::InvalidValue, "The span begins in the future."));
    }
    Ok(())
}
