//! `history`: the changes of one resource, each with what it changed.

use clap::Args;
use serde_json::{Map, Value, json};

use super::not_there;
use crate::admin::Desk;
use crate::cli::Report;
use crate::cli::table::printable;
use crate::scim::Result;
use crate::scim::resource::format_instant;
use crate::scim::schema::ResourceType;
use crate::store::audit::{Entry, NO_VERSION};

/// `history`.
#[derive(Debug, Args)]
pub struct History {
    /// The SCIM id
    id: String,
    /// The tenant to look into
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The most changes to show, counted from the latest
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn history(desk: &Desk, resource_type: &'static ResourceType, arguments: History) -> Result<Report> {
    let tenant = desk.tenant(&arguments.tenant).await?;
    let (id, limit) = (arguments.id.clone(), i64::from(arguments.limit));
    // One more than is shown, to know whether there are more.
    let mut entries = desk.provider.history(tenant.tenant_id, resource_type, id, limit + 1).await?;
    if entries.is_empty() {
        return Err(not_there(resource_type, &arguments.id, &tenant));
    }
    let has_more = entries.len() > arguments.limit as usize;
    if has_more {
        entries.remove(0);
    }
    let report = match arguments.json {
        true => Report::json(&entries.iter().map(to_json).collect::<Vec<_>>())?,
        false => Report::text(entries.iter().map(lines).collect::<Vec<String>>().join("\n")),
    };
    if has_more {
        return Ok(report.note(format!("The latest {} changes are shown; `--limit` shows more.", arguments.limit)));
    }
    Ok(report)
}

fn to_json(entry: &Entry) -> Value {
    let mut shown = Map::new();
    shown.insert("at".to_owned(), json!(format_instant(entry.at)));
    shown.insert("key".to_owned(), json!(entry.caller));
    if !entry.request_id.is_empty() {
        shown.insert("requestId".to_owned(), json!(entry.request_id));
    }
    shown.insert("operation".to_owned(), json!(entry.operation.as_str()));
    if entry.version != NO_VERSION {
        shown.insert("version".to_owned(), json!(entry.version));
    }
    shown.insert("changes".to_owned(), entry.changes.clone());
    Value::Object(shown)
}

/// A line about the change, and one for each thing that it changed.
fn lines(entry: &Entry) -> String {
    let mut head = format!("{}  {}", format_instant(entry.at), entry.operation.as_str());
    if entry.version != NO_VERSION {
        head.push_str(&format!("  version {}", entry.version));
    }
    head.push_str(&format!("  by {}", entry.caller));
    if !entry.request_id.is_empty() {
        head.push_str(&format!("  request {}", entry.request_id));
    }
    let mut lines = vec![head];
    differences(&Place::Top, entry.changes.get("before"), entry.changes.get("after"), &mut lines);
    for (path, word) in LISTS {
        let values = entry.changes.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        lines.extend(values.iter().filter_map(Value::as_str).map(|value| format!("  {word} {value}")));
    }
    if let Some(previous) = entry.changes.get("previousId").and_then(Value::as_str) {
        lines.push(format!("  after the deleted {previous}"));
    }
    lines.iter().map(|line| printable(line) + "\n").collect()
}

/// The lists of a change, and what is said of each value of them.
const LISTS: [(&str, &str); 6] = [
    ("/members/removed", "- member"),
    ("/members/added", "+ member"),
    ("/secrets", "* changed, and never shown:"),
    ("/relations/groups", "- was in group"),
    ("/relations/members", "- had member"),
    ("/relations/reports", "- was manager of"),
];

/// Where a value stands.
enum Place {
    Top,
    /// An extension, by its URN.
    Extension(String),
    Attribute(String),
}

impl Place {
    /// As paths of PATCH say it: a URN ends in a colon, an attribute in a dot.
    fn part(&self, name: &str) -> Place {
        match self {
            Place::Top if name.contains(':') => Place::Extension(name.to_owned()),
            Place::Top => Place::Attribute(name.to_owned()),
            Place::Extension(urn) => Place::Attribute(format!("{urn}:{name}")),
            Place::Attribute(path) => Place::Attribute(format!("{path}.{name}")),
        }
    }

    fn path(&self) -> &str {
        match self {
            Place::Top => "",
            Place::Extension(path) | Place::Attribute(path) => path,
        }
    }
}

/// One line for each value that went or came, named by its path. Elements of a list are values of their own.
fn differences(place: &Place, before: Option<&Value>, after: Option<&Value>, lines: &mut Vec<String>) {
    let path = place.path();
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(_)) | None, Some(Value::Object(_))) | (Some(Value::Object(_)), None) => {
            let [before, after] = [before, after].map(|side| side.and_then(Value::as_object));
            let names = |side: Option<&Map<String, Value>>| side.into_iter().flat_map(Map::keys).cloned().collect();
            let mut all: Vec<String> = names(before);
            all.extend(names(after).into_iter().filter(|name| before.is_none_or(|side| !side.contains_key(name))));
            for name in all {
                let [before, after] = [before, after].map(|side| side.and_then(|side| side.get(&name)));
                differences(&place.part(&name), before, after, lines);
            }
        }
        (Some(Value::Array(_)) | None, Some(Value::Array(_))) | (Some(Value::Array(_)), None) => {
            let [before, after] =
                [before, after].map(|side| side.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default());
            let gone = before.iter().filter(|element| !after.contains(element));
            let come = after.iter().filter(|element| !before.contains(element));
            let count = lines.len();
            lines.extend(gone.map(|element| format!("  - {path}: {element}")));
            lines.extend(come.map(|element| format!("  + {path}: {element}")));
            if lines.len() == count {
                lines.push(format!("  ~ {path}: the same values, arranged anew"));
            }
        }
        (Some(before), Some(after)) => lines.push(format!("  ~ {path}: {before} -> {after}")),
        (Some(before), None) => lines.push(format!("  - {path}: {before}")),
        (None, Some(after)) => lines.push(format!("  + {path}: {after}")),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &Value, after: &Value) -> Vec<String> {
        let mut lines = Vec::new();
        differences(&Place::Top, Some(before), Some(after), &mut lines);
        lines
    }

    #[test]
    fn a_difference_names_what_went_and_what_came() {
        let before = json!({"title": "Guide", "name": {"givenName": "Ines", "familyName": "O"}, "nickName": "I",
            "emails": [{"value": "a@x.org"}, {"value": "b@x.org"}], "urn:x:2.0:User": {"manager": {"value": "A"}}});
        let after = json!({"title": "Lead", "name": {"givenName": "Ines", "familyName": "P"}, "active": false,
            "emails": [{"value": "b@x.org"}, {"value": "c@x.org"}], "urn:x:2.0:User": {"manager": {"value": "B"}}});
        let expected = [
            "  ~ title: \"Guide\" -> \"Lead\"",
            "  ~ name.familyName: \"O\" -> \"P\"",
            "  - nickName: \"I\"",
            "  - emails: {\"value\":\"a@x.org\"}",
            "  + emails: {\"value\":\"c@x.org\"}",
            "  ~ urn:x:2.0:User:manager.value: \"A\" -> \"B\"",
            "  + active: false",
        ];
        assert_eq!(shown(&before, &after), expected);
    }

    #[test]
    fn an_order_is_a_difference() {
        let arranged = ["  ~ tags: the same values, arranged anew"];
        assert_eq!(shown(&json!({"tags": ["a", "b"]}), &json!({"tags": ["b", "a"]})), arranged);
        assert_eq!(shown(&json!({"tags": []}), &json!({"tags": []})), Vec::<String>::new());
    }
}
