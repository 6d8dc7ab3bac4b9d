//! What a change changed, as lines for people.

use serde_json::{Map, Value};

use super::place::Place;

/// One line for each thing that a change changed: an object as the history keeps it.
pub(super) fn lines(changes: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    differences(&Place::Top, changes.get("before"), changes.get("after"), &mut lines);
    for (path, word) in LISTS {
        let values = changes.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        lines.extend(values.iter().filter_map(Value::as_str).map(|value| format!("  {word} {value}")));
    }
    let erased = changes.pointer("/erased/changes");
    lines.extend(erased.map(|count| format!("  what {count} changes said was erased")));
    let text = |path: &str| changes.pointer(path).and_then(Value::as_str);
    lines.extend(text("/previousId").map(|previous| format!("  after the deleted {previous}")));
    lines.extend(text("/stateOf").map(|at| format!("  back to the state of {at}")));
    if let [Some(key), Some(since), Some(until)] = ["/undo/key", "/undo/since", "/undo/until"].map(text) {
        lines.push(format!("  undoes what {key} did from {since} to {until}"));
    }
    lines
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
