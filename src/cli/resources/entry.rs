//! A resource as an operator sees it, live or deleted: as a row, as lines, as JSON.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::cli::minute;
use crate::cli::table::printable;
use crate::provider::history::Past;
use crate::scim::projection::Projection;
use crate::scim::resource::format_instant;
use crate::scim::schema::{GROUP_URN, ResourceType, Role};
use crate::scim::{Error, Result};
use crate::store::resources::StoredResource;

/// One resource: what clients see of it, or saw last, and what only operators do.
pub(super) struct Entry {
    resource_type: &'static ResourceType,
    body: Map<String, Value>,
    name: Option<String>,
    deleted: Option<(DateTime<Utc>, String)>,
    relations: Option<Value>,
    /// The version of a state of the past, and the time that it is of.
    past: Option<(i64, DateTime<Utc>)>,
}

/// What stands above the rows of entries.
pub(super) fn header(resource_type: &ResourceType, deleted: bool) -> [&'static str; 6] {
    let (second, third) = match has_internal_name(resource_type) {
        true => ("DISPLAYNAME", "NAME"),
        false => ("USERNAME", "DISPLAYNAME"),
    };
    let (fifth, sixth) = if deleted { ("DELETED", "BY KEY") } else { ("ACTIVE", "MODIFIED") };
    ["ID", second, third, "EXTERNALID", fifth, sixth]
}

/// Whether resources of this type have a name for applications and people beside the displayName.
pub(super) fn has_internal_name(resource_type: &ResourceType) -> bool {
    resource_type.schema.id == GROUP_URN
}

/// The text of a member; nothing where there is none.
pub(super) fn text(body: &Map<String, Value>, name: &str) -> String {
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Entry {
    pub(super) fn live(resource_type: &'static ResourceType, body: Map<String, Value>, name: Option<String>) -> Entry {
        Entry { resource_type, body, name, deleted: None, relations: None, past: None }
    }

    /// The last state of a deleted resource.
    pub(super) fn buried(resource_type: &'static ResourceType, stored: StoredResource) -> Entry {
        Entry::stored(resource_type, stored, None)
    }

    /// The state at a time, with what is the resource's own.
    pub(super) fn past(resource_type: &'static ResourceType, past: Past, at: DateTime<Utc>) -> Entry {
        let version = past.stored.meta.version;
        let members = past.stored.deleted.is_none().then_some(&past.members);
        Entry { past: Some((version, at)), ..Entry::stored(resource_type, past.stored, members) }
    }

    fn stored(
        resource_type: &'static ResourceType,
        stored: StoredResource,
        members: Option<&BTreeSet<String>>,
    ) -> Entry {
        let mut body = Map::new();
        body.insert("schemas".to_owned(), json!(stored.document.schemas(resource_type)));
        body.insert("id".to_owned(), json!(stored.id));
        body.extend(stored.document.into_members());
        if let (Some(attribute), Some(ids)) = (resource_type.attribute_in_role(Role::Members), members) {
            body.insert(attribute.name.clone(), ids.iter().map(|id| json!({"value": id})).collect());
        }
        body.insert(
            "meta".to_owned(),
            json!({
                "resourceType": resource_type.name,
                "created": format_instant(stored.meta.created),
                "lastModified": format_instant(stored.meta.last_modified),
            }),
        );
        let body = Projection::everything(resource_type).apply(body);
        Entry { resource_type, body, name: stored.name, deleted: stored.deleted, relations: None, past: None }
    }

    pub(super) fn with_relations(mut self, relations: Value) -> Entry {
        self.relations = Some(relations);
        self
    }

    /// What messages call it.
    pub(super) fn title(&self) -> String {
        let name = if has_internal_name(self.resource_type) { "displayName" } else { "userName" };
        format!("{} (`{}`)", text(&self.body, "id"), printable(&text(&self.body, name)))
    }

    pub(super) fn row(&self) -> [String; 6] {
        let cell = |name: &str| text(&self.body, name);
        let (second, third) = match has_internal_name(self.resource_type) {
            true => (cell("displayName"), self.name.clone().unwrap_or_default()),
            false => (cell("userName"), cell("displayName")),
        };
        let (fifth, sixth) = match &self.deleted {
            Some((at, by)) => (minute(*at), by.clone()),
            None => (self.active(), self.modified()),
        };
        [cell("id"), second, third, cell("externalId"), fifth, sixth]
    }

    fn active(&self) -> String {
        let active = self.body.get("active").and_then(Value::as_bool);
        active.map_or_else(String::new, |active| if active { "yes" } else { "no" }.to_owned())
    }

    fn modified(&self) -> String {
        let at = self.body.get("meta").and_then(|meta| meta["lastModified"].as_str()).unwrap_or_default();
        DateTime::parse_from_rfc3339(at).map_or_else(|_| at.to_owned(), |at| minute(at.to_utc()))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("status".to_owned(), json!(if self.deleted.is_some() { "deleted" } else { "live" }));
        if let Some((version, at)) = self.past {
            shown.insert("at".to_owned(), json!(format_instant(at)));
            shown.insert("version".to_owned(), json!(version));
        }
        if let Some(name) = &self.name {
            shown.insert("name".to_owned(), json!(name));
        }
        if let Some((at, by)) = &self.deleted {
            shown.insert("deleted".to_owned(), json!(format_instant(*at)));
            shown.insert("deletedBy".to_owned(), json!(by));
        }
        shown.insert("resource".to_owned(), json!(self.body));
        if let Some(relations) = &self.relations {
            shown.insert("relations".to_owned(), relations.clone());
        }
        Value::Object(shown)
    }

    /// A few lines for people, then the resource.
    ///
    /// # Errors
    /// None that can happen: the representation is JSON already.
    pub(super) fn lines(&self) -> Result<String> {
        let mut lines = vec![("status", if self.deleted.is_some() { "deleted" } else { "live" }.to_owned())];
        if let Some((version, at)) = self.past {
            lines.push(("at", format_instant(at)));
            lines.push(("version", version.to_string()));
        }
        lines.extend(self.name.clone().map(|name| ("name", name)));
        if let Some((at, by)) = &self.deleted {
            lines.push(("deleted", format!("{} by key {by}", minute(*at))));
        }
        if let Some(relations) = &self.relations {
            lines.push(("was in", listed(&relations["groups"])));
            lines.push(("had members", listed(&relations["members"])));
            lines.push(("was manager of", listed(&relations["reports"])));
        }
        let lines = lines.iter().filter(|(_, value)| !value.is_empty());
        let head: String = lines.map(|(name, value)| format!("{name:<16}{}\n", printable(value))).collect();
        let body = serde_json::to_string_pretty(&self.body).map_err(Error::internal)?;
        // JSON escapes what a terminal obeys up to U+001F only; line breaks here are the printer's own.
        let body: Vec<String> = body.lines().map(printable).collect();
        Ok(format!("{head}\n{}\n", body.join("\n")))
    }
}

/// Ids, with the names of those that have one.
fn listed(relations: &Value) -> String {
    let one = |relation: &Value| match relation {
        Value::String(id) => id.clone(),
        group => {
            let name = group["displayName"].as_str().map(|name| format!(" (`{name}`)"));
            let deleted = if group["deleted"] == true { " (deleted)" } else { "" };
            format!("{}{}{deleted}", group["id"].as_str().unwrap_or_default(), name.unwrap_or_default())
        }
    };
    relations.as_array().map(|all| all.iter().map(one).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}
