//! How a key is told to people: as a row, as lines. Never its token.

use chrono::{DateTime, Utc};

use crate::admin::keys::Key;
use crate::cli::minute;
use crate::cli::table::printable;

/// The cells of one key.
pub(super) type Row = [String; 11];

/// What stands above them.
pub(super) const HEADER: [&str; 11] =
    ["ID", "NAME", "TENANT", "PROFILE", "SCOPES", "USER", "CREATED", "EXPIRES", "LAST USED", "ENDS IN", "STATUS"];

/// What messages call a key.
pub(super) fn title(key: &Key) -> String {
    format!("{} (`{}`, tenant `{}`)", key.id, printable(&key.name), key.tenant)
}

pub(super) fn row(key: &Key) -> Row {
    let moment = |at: Option<DateTime<Utc>>| at.map_or_else(|| "never".to_owned(), minute);
    [
        key.id.clone(),
        key.name.clone(),
        key.tenant.clone(),
        key.profile.clone(),
        key.scopes.join(" "),
        user(key),
        minute(key.created),
        moment(key.expires),
        moment(key.last_used),
        format!("…{}", key.last_four),
        key.status.as_str().to_owned(),
    ]
}

/// What a list calls the user.
fn user(key: &Key) -> String {
    let Some(user) = &key.user else { return String::new() };
    let name = if user.user_name.is_empty() { &user.id } else { &user.user_name };
    if user.deleted { format!("{name} (deleted)") } else { name.clone() }
}

/// One line for each cell, and what a row has no room for.
pub(super) fn lines(key: &Key) -> String {
    let mut lines: Vec<(String, String)> =
        HEADER.iter().zip(row(key)).map(|(name, cell)| (name.to_ascii_lowercase(), cell)).collect();
    lines.push(("prefix".to_owned(), format!("scimd_{}", key.id)));
    lines.extend(key.user.as_ref().map(|user| ("user id".to_owned(), user.id.clone())));
    lines.extend(key.revoked.map(|at| ("revoked".to_owned(), minute(at))));
    lines.extend(key.rotated_from.clone().map(|id| ("rotated from".to_owned(), id)));
    lines.iter().map(|(name, cell)| format!("{name:<14}{}\n", printable(cell))).collect()
}
