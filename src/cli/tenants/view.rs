//! How a tenant is told to people: as a row, as lines.

use crate::admin::tenants::{Detail, Shown, TypeCount};
use crate::cli::minute;

/// What stands above the cells of a tenant.
pub(super) const HEADER: [&str; 8] =
    ["NAME", "STATUS", "GROUP NAMES", "IF-MATCH", "NEW KEYS", "MAX USERS", "MAX GROUPS", "CREATED"];

pub(super) fn row(tenant: &Shown) -> [String; 8] {
    let limit = |most: Option<u32>| most.map_or_else(|| "-".to_owned(), |most| most.to_string());
    [
        tenant.name.clone(),
        status(tenant).to_owned(),
        tenant.group_names.as_str().to_owned(),
        if_match(tenant).to_owned(),
        tenant.default_profile.to_string(),
        limit(tenant.max_users),
        limit(tenant.max_groups),
        minute(tenant.created),
    ]
}

fn status(tenant: &Shown) -> &'static str {
    match (tenant.deleting, tenant.suspended) {
        (Some(_), _) => "being deleted",
        (None, Some(_)) => "suspended",
        (None, None) => "served",
    }
}

pub(super) fn if_match(tenant: &Shown) -> &'static str {
    if tenant.require_if_match { "required" } else { "optional" }
}

/// One line for each cell, and what the tenant has.
pub(super) fn lines(detail: &Detail) -> String {
    let cells = HEADER.iter().zip(row(&detail.tenant)).map(|(name, cell)| (name.to_ascii_lowercase(), cell));
    let mut lines: Vec<(String, String)> = cells.collect();
    lines.extend(detail.tenant.suspended.map(|at| ("suspended".to_owned(), minute(at))));
    lines.extend(
        detail.resources.iter().map(|count| (format!("{}s", count.resource_type.to_ascii_lowercase()), of_type(count))),
    );
    lines.push(("keys".to_owned(), format!("{}, {} of them active", detail.keys, detail.active_keys)));
    lines.push(("changes".to_owned(), detail.changes.to_string()));
    lines.push(("last write".to_owned(), detail.last_write.map_or_else(|| "never".to_owned(), minute)));
    lines.iter().map(|(name, cell)| format!("{name:<14}{cell}\n")).collect()
}

fn of_type(count: &TypeCount) -> String {
    match count.deleted {
        0 => count.live.to_string(),
        deleted => format!("{}, and {deleted} deleted", count.live),
    }
}

/// All that a tenant has, in one clause: `3 User (1 deleted), 2 Group, 1 key, 12 changes`.
pub(super) fn contents(detail: &Detail) -> String {
    let resources = detail.resources.iter().map(|count| {
        let of_them = if count.deleted == 0 { String::new() } else { format!(" ({} deleted)", count.deleted) };
        number(count.live + count.deleted, &count.resource_type.to_ascii_lowercase()) + &of_them
    });
    let others = [number(detail.keys, "key"), number(detail.changes, "change") + " in its history"];
    resources.chain(others).collect::<Vec<String>>().join(", ")
}

fn number(count: i64, name: &str) -> String {
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tenant_has_is_told_in_one_clause() {
        let json = serde_json::json!({
            "id": "2", "name": "acme", "groupNames": "free", "requireIfMatch": false, "defaultProfile": "compat",
            "created": "2026-03-01T09:30:00.000Z",
            "resources": [{"resourceType": "Group", "live": 1, "deleted": 0}, {"resourceType": "User", "live": 2, "deleted": 1}],
            "keys": 1, "activeKeys": 0, "changes": 12,
        });
        let detail: Detail = serde_json::from_value(json).expect("a tenant");

        assert_eq!(contents(&detail), "1 group, 3 users (1 deleted), 1 key, 12 changes in its history");
        assert!(lines(&detail).contains("\nusers         2, and 1 deleted\n"), "{}", lines(&detail));
    }
}
