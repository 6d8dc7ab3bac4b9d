//! What one key did in a span of time, taken back.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Desk, Operation, Route};
use crate::auth::Token;
use crate::provider::undo::{self, Span, What};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::{Connection, Reach, api_keys};

/// Everything that one key did in a span of time, to be taken back: attribute by attribute and member by member, what it
/// created by deletion, what it deleted by restoration. What somebody else has changed since is left alone.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Undo {
    /// The name of the tenant.
    pub tenant: String,
    /// The id of the key; `operator` for the commands of operators.
    pub key: String,
    /// The first moment of the span.
    #[serde(with = "crate::scim::resource::instant")]
    #[schemars(with = "String")]
    pub since: DateTime<Utc>,
    /// The last moment of the span; the present without it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::scim::resource::instant::option")]
    #[schemars(with = "Option<String>")]
    pub until: Option<DateTime<Utc>>,
    /// Whether to tell what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What is taken back, and what is left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    /// The id of the key.
    pub key: String,
    /// The first moment of the span.
    #[serde(with = "crate::scim::resource::instant")]
    #[schemars(with = "String")]
    pub since: DateTime<Utc>,
    /// The last moment of the span.
    #[serde(with = "crate::scim::resource::instant")]
    #[schemars(with = "String")]
    pub until: DateTime<Utc>,
    /// Whether nothing is done yet.
    pub dry_run: bool,
    /// The change of each resource, in the order in which the key first touched them.
    pub changes: Vec<Reversal>,
    /// What is left alone.
    pub conflicts: Vec<Conflict>,
}

/// The change of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reversal {
    /// The name of the resource type.
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// The userName or the displayName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is done: `delete`, `restore`, `modify`; `join`, `leave` and `assign` for what only comes of those.
    pub operation: String,
    /// Before and after, as the history has them.
    pub changes: Value,
    /// The members among them that no live resource has. They are members again when it is restored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved_members: Vec<String>,
}

/// Something that is left as it is; all of the resource where it names neither attribute nor member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The name of the resource type.
    pub resource_type: String,
    /// The SCIM id.
    pub id: String,
    /// The userName or the displayName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The path of the attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The id of the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
}

impl From<undo::Reversal> for Reversal {
    fn from(reversal: undo::Reversal) -> Self {
        Reversal {
            resource_type: reversal.resource_type,
            id: reversal.id,
            name: reversal.name,
            operation: reversal.operation.as_str().to_owned(),
            changes: reversal.changes,
            unresolved_members: reversal.unresolved,
        }
    }
}

impl From<undo::Conflict> for Conflict {
    fn from(conflict: undo::Conflict) -> Self {
        let (attribute, member) = match conflict.what {
            What::Everything => (None, None),
            What::Attribute(path) => (Some(path), None),
            What::Member(id) => (None, Some(id)),
        };
        let undo::Conflict { resource_type, id, name, reason, .. } = conflict;
        Conflict { resource_type, id, name, attribute, member, reason }
    }
}

impl Operation for Undo {
    const ROUTE: Route = Route::post("/tenants/{tenant}/undo")
        .named("undo")
        .about("Take back what one key did in a span of time, or tell what that would change");
    type Outcome = Undone;

    async fn carry_out(self, desk: &Desk) -> Result<Undone> {
        let Undo { tenant, key, since, until, dry_run } = self;
        if Token::is_meant(&key) {
            let detail = "`key` is the id of a key, the part of a token behind `scimd_`, and never the token itself.";
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        }
        let tenant = desk.tenant(&tenant).await?;
        let until = until.unwrap_or_else(|| desk.now());
        let span = Span { caller: key.clone(), since, until };
        let undone = desk.provider.undo(desk.call(&tenant), span, dry_run).await?;
        if undone.reversals.is_empty() && undone.conflicts.is_empty() {
            check_known(desk, &key).await?;
        }
        let changes = undone.reversals.into_iter().map(Reversal::from).collect();
        let conflicts = undone.conflicts.into_iter().map(Conflict::from).collect();
        Ok(Undone { key, since, until, dry_run, changes, conflicts })
    }
}

/// Whether nothing is found because the key is misspelt.
async fn check_known(desk: &Desk, key: &str) -> Result<()> {
    if key == Desk::OPERATOR {
        return Ok(());
    }
    let id = key.to_owned();
    let read = move |connection: &mut Connection| api_keys::find(connection, &id);
    match desk.store.read(Reach::Point, read).await? {
        Some(_) => Ok(()),
        None => Err(Error::new(ErrorKind::NotFound, format!("There is no key `{key}`; see `scimd key list`."))),
    }
}
