//! How a key is shown: as a row, as lines, as JSON. Never its token or its hash.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Value, json};

use super::subject::Subject;
use crate::auth::Token;
use crate::cli::table::printable;
use crate::cli::{Report, minute};
use crate::scim::Result;
use crate::scim::resource::format_instant;
use crate::store::api_keys::ApiKey;

/// The cells of one key.
pub(super) type Row = [String; 11];

/// What stands above them.
pub(super) const HEADER: [&str; 11] =
    ["ID", "NAME", "TENANT", "PROFILE", "SCOPES", "USER", "CREATED", "EXPIRES", "LAST USED", "ENDS IN", "STATUS"];

/// Whether the key opens anything at `now`.
pub fn is_active(key: &ApiKey, now: DateTime<Utc>) -> bool {
    status(key, now) == "active"
}

fn status(key: &ApiKey, now: DateTime<Utc>) -> &'static str {
    match key.expires_at {
        _ if key.revoked_at.is_some() => "revoked",
        Some(at) if at <= now.naive_utc() => "expired",
        _ => "active",
    }
}

/// A key with the name of its tenant and the user that it is bound to, at one moment.
pub(super) struct View {
    key: ApiKey,
    tenant: String,
    subject: Option<Subject>,
    status: &'static str,
}

impl View {
    pub(super) fn new(key: ApiKey, tenant: String, subject: Option<Subject>, now: DateTime<Utc>) -> View {
        let status = status(&key, now);
        View { key, tenant, subject, status }
    }

    /// What messages call it.
    pub(super) fn title(&self) -> String {
        format!("{} (`{}`, tenant `{}`)", self.key.key_id, printable(&self.key.name), self.tenant)
    }

    /// The one report that holds the token.
    pub(super) fn with_token(&self, token: &Token, json: bool) -> Result<Report> {
        let end = match self.key.expires_at {
            Some(at) => format!("It expires at {}", minute(at.and_utc())),
            None => "It never expires".to_owned(),
        };
        let note = format!("Key {} is made. {end}. Its token is shown only now.", self.title());
        if json {
            let mut value = self.to_json();
            value["token"] = json!(token.expose());
            return Report::json(&value).map(|report| report.note(note));
        }
        Ok(Report::text(format!("{}\n", token.expose())).note(note))
    }

    pub(super) fn to_json(&self) -> Value {
        let key = &self.key;
        let instant = |at: Option<NaiveDateTime>| at.map(|at| format_instant(at.and_utc()));
        json!({
            "id": key.key_id,
            "name": key.name,
            "tenant": self.tenant,
            "profile": key.profile,
            "scopes": key.scopes.split(' ').collect::<Vec<_>>(),
            "user": self.subject.as_ref().map(Subject::to_json),
            "created": instant(Some(key.created_at)),
            "expires": instant(key.expires_at),
            "lastUsed": instant(key.last_used_at),
            "revoked": instant(key.revoked_at),
            "rotatedFrom": key.rotated_from,
            "lastFour": key.last_four,
            "status": self.status,
        })
    }

    pub(super) fn row(&self) -> Row {
        let key = &self.key;
        let moment = |at: Option<NaiveDateTime>| at.map_or_else(|| "never".to_owned(), |at| minute(at.and_utc()));
        [
            key.key_id.clone(),
            key.name.clone(),
            self.tenant.clone(),
            key.profile.clone(),
            key.scopes.clone(),
            self.subject.as_ref().map(Subject::title).unwrap_or_default(),
            moment(Some(key.created_at)),
            moment(key.expires_at),
            moment(key.last_used_at),
            format!("…{}", key.last_four),
            self.status.to_owned(),
        ]
    }

    /// One line for each cell, and what a row has no room for.
    pub(super) fn lines(&self) -> String {
        let mut lines: Vec<(String, String)> =
            HEADER.iter().zip(self.row()).map(|(name, cell)| (name.to_ascii_lowercase(), cell)).collect();
        lines.push(("prefix".to_owned(), format!("scimd_{}", self.key.key_id)));
        lines.extend(self.subject.as_ref().map(|subject| ("user id".to_owned(), subject.id().to_owned())));
        lines.extend(self.key.revoked_at.map(|at| ("revoked".to_owned(), minute(at.and_utc()))));
        lines.extend(self.key.rotated_from.clone().map(|id| ("rotated from".to_owned(), id)));
        lines.iter().map(|(name, cell)| format!("{name:<14}{}\n", printable(cell))).collect()
    }
}
