//! A resource as a page for people: what it is, its attributes, and what stands around it.

use serde_json::{Map, Value};

use super::who;
use crate::admin::resources::{Deed, Details, Members, Membership, Referred, ShownMember, Status, Then, ThenGroup};
use crate::cli::place::Place;
use crate::cli::table::printable;
use crate::scim::resource::format_instant;

/// How many lines a list has at most; JSON has all of it.
const LONGEST: usize = 25;

/// A name and a value.
type Line = (String, String);

/// The page; each line ends with a line break.
pub(super) fn page(details: &Details) -> String {
    let entry = &details.entry;
    let kind = entry.resource.get("meta").and_then(|meta| meta["resourceType"].as_str()).unwrap_or("Resource");
    let title = format!("{kind} {}", entry.label.as_deref().unwrap_or_default());
    let mut blocks = vec![block(title.trim_end(), &head(details))];
    let (extensions, core): (Vec<_>, Vec<_>) = entry.resource.iter().partition(|(name, _)| name.contains(':'));
    let core = core.into_iter().filter(|(name, _)| !stands_elsewhere(name, details));
    blocks.push(block("Attributes", &attributes(core)));
    for (urn, values) in extensions {
        let values = values.as_object().into_iter().flatten();
        let is_in_head = |name: &str| name == "manager" && details.manager.is_some();
        blocks.push(block(urn, &attributes(values.filter(|(name, _)| !is_in_head(name)))));
    }
    blocks.extend(details.groups.as_deref().map(groups));
    blocks.extend(details.members.as_ref().map(members));
    blocks.extend(details.relations.iter().flat_map(then));
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

/// A type of one's own may have attributes that are called as those which other resources fill.
fn stands_elsewhere(name: &str, details: &Details) -> bool {
    match name {
        "schemas" | "id" | "meta" => true,
        "groups" => details.groups.as_ref().is_some_and(|groups| !groups.is_empty()),
        "members" => details.members.is_some(),
        _ => false,
    }
}

fn head(details: &Details) -> Vec<Line> {
    let entry = &details.entry;
    let line = |name: &str, value: String| (name.to_owned(), value);
    let status = match (entry.status, entry.deleted) {
        (Status::Deleted, Some(at)) => {
            let by = entry.deleted_by.as_deref().unwrap_or_default();
            let deed = details.last_write.as_ref().filter(|deed| deed.key == by);
            let name = deed.and_then(|deed| deed.key_name.as_deref());
            format!("deleted {} by {}", format_instant(at), who(by, name))
        }
        (status, _) => status.as_str().to_owned(),
    };
    let mut lines = vec![line("id", entry.id().to_owned()), line("status", status)];
    lines.extend(details.at.map(|at| line("at", format_instant(at))));
    lines.extend(details.version.map(|version| line("version", version.to_string())));
    lines.extend(entry.name.clone().map(|name| line("name", name)));
    for (name, member) in [("created", "created"), ("modified", "lastModified")] {
        let at = entry.resource.get("meta").and_then(|meta| meta[member].as_str());
        lines.extend(at.map(|at| line(name, at.to_owned())));
    }
    lines.extend(details.last_write.as_ref().map(|last| line("last write", deed(last))));
    let other = details.last_change.as_ref().filter(|change| Some(*change) != details.last_write.as_ref());
    lines.extend(other.map(|last| line("last change", deed(last))));
    lines.extend(details.manager.as_ref().map(|manager| line("manager", referred(manager))));
    lines
}

fn deed(deed: &Deed) -> String {
    let version = deed.version.map(|version| format!(", version {version}")).unwrap_or_default();
    let (at, by) = (format_instant(deed.at), who(&deed.key, deed.key_name.as_deref()));
    format!("{at}  {} by {by}{version}", deed.operation)
}

fn referred(manager: &Referred) -> String {
    if !manager.exists {
        return format!("{} (nobody has this id)", manager.id);
    }
    let names = [&manager.display_name, &manager.label].into_iter().flatten().map(String::as_str);
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    [&names.join(", "), manager.id.as_str()].join("  ").trim_start().to_owned()
}

fn attributes<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>) -> Vec<Line> {
    let mut lines = Vec::new();
    members.for_each(|(name, value)| lines_of(&Place::Top.part(name), value, &mut lines));
    lines
}

/// A line for each value, named by its path. Elements of a list have a line each.
fn lines_of(place: &Place, value: &Value, lines: &mut Vec<Line>) {
    match value {
        Value::Object(parts) => parts.iter().for_each(|(name, value)| lines_of(&place.part(name), value, lines)),
        Value::Array(elements) => {
            lines.extend(elements.iter().map(|element| (place.path().to_owned(), element_text(element))));
        }
        value => lines.push((place.path().to_owned(), text(value))),
    }
}

/// `mira@example.com (work, primary)`: the value, then what else is said of it.
fn element_text(element: &Value) -> String {
    let Value::Object(parts) = element else { return text(element) };
    let others = |main: &str| {
        let others = parts.iter().filter(|(name, _)| *name != main && *name != "$ref");
        others.filter_map(|(name, value)| remark(name, value)).collect::<Vec<String>>().join(", ")
    };
    match main_part(parts) {
        Some((name, value)) => {
            let others = others(name);
            if others.is_empty() { text(value) } else { format!("{} ({others})", text(value)) }
        }
        None => others(""),
    }
}

fn main_part(parts: &Map<String, Value>) -> Option<(&str, &Value)> {
    ["value", "formatted", "display"].into_iter().find_map(|name| Some((name, parts.get(name)?)))
}

fn remark(name: &str, value: &Value) -> Option<String> {
    match (name, value) {
        ("type", value) => Some(text(value)),
        ("primary", Value::Bool(false)) => None,
        (name, Value::Bool(true)) => Some(name.to_owned()),
        (name, value) => Some(format!("{name} {}", text(value))),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn groups(groups: &[Membership]) -> String {
    let name = |group: &Membership| group.display_name.clone().unwrap_or_else(|| group.id.clone());
    let line = |group: &Membership| {
        let below = group.through.as_ref().and_then(|below| groups.iter().find(|other| other.id == *below));
        let how = below.map_or_else(|| "direct".to_owned(), |below| format!("through {}", name(below)));
        (name(group), format!("{}  {how}", group.id))
    };
    list("Groups", groups.len(), groups.iter().map(line))
}

fn members(members: &Members) -> String {
    let line = |member: &ShownMember| {
        let name = member.display_name.clone().unwrap_or_else(|| "–".to_owned());
        let kind = member.resource_type.as_deref().unwrap_or_default();
        (name, format!("{}  {kind}", member.id).trim_end().to_owned())
    };
    let title = match members.unresolved {
        Some(unresolved @ 1..) => format!("Members, {unresolved} of them unresolved"),
        _ => "Members".to_owned(),
    };
    list(&title, members.count as usize, members.first.iter().map(line))
}

/// What a deletion took away.
fn then(then: &Then) -> [String; 3] {
    let group = |group: &ThenGroup| {
        let name = group.display_name.clone().unwrap_or_else(|| "–".to_owned());
        (name, format!("{}{}", group.id, if group.deleted { "  deleted" } else { "" }))
    };
    let nameless = |id: &String| (id.clone(), String::new());
    [
        list("Groups until then", then.groups.len(), then.groups.iter().map(group)),
        list("Members until then", then.members.len(), then.members.iter().map(nameless)),
        list("Manager until then of", then.reports.len(), then.reports.iter().map(nameless)),
    ]
}

/// A block for some of so many; nothing for none.
fn list(title: &str, count: usize, lines: impl Iterator<Item = Line>) -> String {
    let lines: Vec<Line> = lines.take(LONGEST).collect();
    let mut shown = block(&format!("{title} ({count})"), &lines);
    if count > lines.len() && !shown.is_empty() {
        shown.push_str(&format!("  and {} more; `--json` shows all\n", count - lines.len()));
    }
    shown
}

/// A title and lines in two columns; nothing without lines.
fn block(title: &str, lines: &[Line]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: Vec<[String; 2]> = lines.iter().map(|(name, value)| [printable(name), printable(value)]).collect();
    let width = lines.iter().map(|[name, _]| name.chars().count()).max().unwrap_or_default().max(12);
    let line = |[name, value]: &[String; 2]| format!("{}\n", format!("  {name:<width$}  {value}").trim_end());
    format!("{}\n{}", printable(title), lines.iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_stand_in_lines_of_their_own() {
        let value = json!({"name": {"givenName": "Ines"}, "active": true, "tags": ["a", "b\n"],
            "emails": [{"value": "a@x.org", "type": "work", "primary": true}, {"value": "b@x.org", "primary": false}],
            "addresses": [{"locality": "Bonn", "type": "home"}]});

        let lines = block("User ines", &attributes(value.as_object().unwrap().iter()));

        let expected = [
            "User ines",
            "  name.givenName  Ines",
            "  active          true",
            "  tags            a",
            "  tags            b\\u{a}",
            "  emails          a@x.org (work, primary)",
            "  emails          b@x.org",
            "  addresses       locality Bonn, home",
        ];
        assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_list_says_what_it_leaves_out() {
        let line = |number: usize| (number.to_string(), String::new());
        assert_eq!(list("Groups", 0, std::iter::empty()), "");
        assert!(list("Groups", 3, (0..3).map(line)).starts_with("Groups (3)\n  0\n"));
        assert!(list("Groups", 27, (0..27).map(line)).ends_with("\n  24\n  and 2 more; `--json` shows all\n"));
    }
}
