//! `history`: the changes of one resource, each with what it changed.

use clap::Args;
use serde_json::{Map, Value};

use super::place::Place;
use super::{Kind, One, who};
use crate::admin::resources::{self, Change};
use crate::cli::table::printable;
use crate::cli::{Office, Report};
use crate::scim::Result;
use crate::scim::resource::format_instant;

/// `history`.
#[derive(Debug, Args)]
pub struct History {
    #[command(flatten)]
    one: One,
    /// The most changes to show, counted from the latest
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(super) async fn history(office: &Office, kind: Kind<'_>, arguments: History) -> Result<Report> {
    let History { one, limit } = arguments;
    let limit = limit as usize;
    let (mut changes, mut after): (Vec<Change>, Option<String>) = (Vec::new(), None);
    loop {
        let count = Some((limit - changes.len()).min(1000) as u32);
        let (tenant, resource_type, id) = (one.tenant.clone(), kind.endpoint.to_owned(), one.id.clone());
        let question = resources::History { tenant, resource_type, id, after: after.take(), limit: count };
        let page = office.ask(question).await.map_err(|error| kind.with_hint(error))?;
        changes.extend(page.items);
        after = page.next;
        if after.is_none() || changes.len() >= limit {
            break;
        }
    }
    // Read from top to bottom, as a story.
    changes.reverse();
    let report = match one.json {
        true => Report::json(&changes)?,
        false => Report::text(changes.iter().map(lines).collect::<Vec<String>>().join("\n")),
    };
    match after {
        Some(_) => Ok(report.note(format!("The latest {limit} changes are shown; `--limit` shows more."))),
        None => Ok(report),
    }
}

/// A line about the change, and one for each thing that it changed.
fn lines(change: &Change) -> String {
    let mut head = format!("{}  {}", format_instant(change.at), change.operation);
    if let Some(version) = change.version {
        head.push_str(&format!("  version {version}"));
    }
    head.push_str(&format!("  by {}", who(&change.key, change.key_name.as_deref())));
    if let Some(request_id) = &change.request_id {
        head.push_str(&format!("  request {request_id}"));
    }
    let mut lines = vec![head];
    if change.erased {
        lines.push("  what changed is erased".to_owned());
    }
    if let Some(count) = change.changes.pointer("/erased/changes") {
        lines.push(format!("  what {count} changes said was erased"));
    }
    differences(&Place::Top, change.changes.get("before"), change.changes.get("after"), &mut lines);
    for (path, word) in LISTS {
        let values = change.changes.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        lines.extend(values.iter().filter_map(Value::as_str).map(|value| format!("  {word} {value}")));
    }
    if let Some(previous) = change.changes.get("previousId").and_then(Value::as_str) {
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
    use serde_json::json;

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
