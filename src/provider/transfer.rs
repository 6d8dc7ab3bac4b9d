//! The file that an export writes and an import reads: JSON, one value on each line.
//!
//! ```text
//! header      {"format":"scimd-export","version":1,"tenant":"default",…}
//! resource*   a SCIM resource, with what it has of its own: nothing that follows from others (groups, names of members)
//! end         {"end":true,"resources":2,"sha256":"…"}
//! ```
//!
//! What clients never see of a resource, and what it must not lose, stands in one more member, [`UNSEEN`]. Resources are in
//! the order of their creation, on which every list depends. The end tells a whole file from one that was cut off.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::scim::accept::{self, MemberClaim};
use crate::scim::group_name;
use crate::scim::password::PasswordChange;
use crate::scim::resource::{Document, Meta, format_instant, instant};
use crate::scim::schema::{GROUP_URN, Registry, ResourceType, Role};
use crate::scim::version::Tag;
use crate::scim::withheld::divide;
use crate::scim::{Profile, path, shortened};
use crate::store::tenants::TenantSettings;

/// What every header says.
pub const FORMAT: &str = "scimd-export";

/// The version of the format that this scimd writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// The member that holds what clients never see.
pub const UNSEEN: &str = "urn:scimd:export:1.0";

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// Whose resources they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When they were exported.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "instant::option")]
    pub exported: Option<DateTime<Utc>>,
    /// The time whose state they have, if that is not the one of the export.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "instant::option")]
    pub at: Option<DateTime<Utc>>,
    /// What was set for the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<TenantSettings>,
    /// The schemas that were in force, by resource type.
    #[serde(default)]
    pub schemas: BTreeMap<String, Vec<String>>,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct End {
    /// True.
    pub end: bool,
    /// How many resources stand before it.
    pub resources: u64,
    /// How many of them lack something that nobody is shown, because it was not asked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub curtailed: u64,
    /// The digest of everything before it, in hex digits; without one nothing is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl End {
    /// The end of an export whose last bytes these are.
    pub fn of_last_bytes(bytes: &[u8]) -> Option<End> {
        let last = bytes.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?;
        serde_json::from_slice(last).ok()
    }

    /// What is not in the export, in a sentence for the operator; one of a past state can't be had with more.
    pub fn lack(&self, is_of_the_past: bool) -> Option<String> {
        (self.curtailed > 0).then(|| {
            let number =
                if self.curtailed == 1 { "one resource".to_owned() } else { format!("{} resources", self.curtailed) };
            let advice = match is_of_the_past {
                true => "Of the past they are not known.",
                false => "`scimd export --with-password-hashes` has them, too.",
            };
            format!(
                "The export lacks something of {number}: attributes that are never returned, or values that no schema \
                 defines any more. {advice}"
            )
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A resource on a line of its own.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its type.
    pub resource_type: &'static ResourceType,
    /// The SCIM id.
    pub id: String,
    /// The attributes.
    pub document: Document,
    /// Times and version.
    pub meta: Meta,
    /// The ids of its members, in their order.
    pub members: Vec<String>,
    /// What clients never see.
    pub unseen: Unseen,
}

/// What clients never see of a resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unseen {
    /// The internal name of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of a deleted resource: when and by whom, and what it was related to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Deleted>,
    /// What no schema defines any more.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub withheld: Map<String, Value>,
    /// An argon2id hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
}

impl Unseen {
    fn is_empty(&self) -> bool {
        *self == Unseen::default()
    }
}

/// How a resource was deleted, and what that took away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deleted {
    /// When.
    #[serde(with = "instant")]
    pub at: DateTime<Utc>,
    /// The id of the key.
    pub by: String,
    /// The groups that listed it.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The members that it listed.
    #[serde(default)]
    pub members: Vec<String>,
    /// The resources that referred to it.
    #[serde(default)]
    pub reports: Vec<String>,
    /// The members that were restored while it was deleted itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,
}

impl Record {
    /// The line, without its end.
    pub fn to_json(&self) -> String {
        let Record { resource_type, id, document, meta, members, unseen } = self;
        let mut line = Map::new();
        line.insert("schemas".to_owned(), json!(document.schemas(resource_type)));
        line.insert("id".to_owned(), json!(id));
        let is_extension = |name: &str| name.contains(':');
        let attributes = document.members().iter().filter(|(name, _)| !is_extension(name));
        line.extend(attributes.map(|(name, value)| (name.clone(), value.clone())));
        if let Some(attribute) = resource_type.attribute_in_role(Role::Members).filter(|_| unseen.deleted.is_none()) {
            let members = members.iter().map(|id| json!({"value": id})).collect();
            line.insert(attribute.name.clone(), Value::Array(members));
        }
        let extensions = document.members().iter().filter(|(name, _)| is_extension(name));
        line.extend(extensions.map(|(name, value)| (name.clone(), value.clone())));
        let version = Tag { own: meta.version, computed: None }.to_string();
        line.insert(
            "meta".to_owned(),
            json!({
                "resourceType": resource_type.name,
                "created": format_instant(meta.created),
                "lastModified": format_instant(meta.last_modified),
                "version": version,
            }),
        );
        if !unseen.is_empty() {
            line.insert(UNSEEN.to_owned(), json!(unseen));
        }
        Value::Object(line).to_string()
    }

    /// The resource of a line. Times that it does not tell are `now`.
    ///
    /// # Errors
    /// What is wrong with it, in half a sentence that names the attribute.
    pub fn parse(
        registry: &'static Registry,
        mut line: Map<String, Value>,
        now: DateTime<Utc>,
    ) -> Result<Record, String> {
        let unseen = line.shift_remove(UNSEEN).map_or(Ok(Unseen::default()), |told| unseen(told, now))?;
        let told = line.shift_remove("meta").unwrap_or_default();
        let resource_type = resource_type(registry, &told, &line)?;
        let meta = meta(&told, now)?;
        let id = match line.shift_remove("id") {
            Some(Value::String(id)) if is_id(&id) => id,
            Some(_) => return Err(format!("`id` must be {ID_RULE}")),
            None => return Err("`id` is missing".to_owned()),
        };
        let accepted =
            accept::create(resource_type, &line, Profile::Compat).map_err(|error| error.detail().to_owned())?;
        if let Some(name) = accepted.ignored.first() {
            return Err(format!("{} has no attribute `{name}` here", resource_type.name));
        }
        if accepted.password != PasswordChange::Unmentioned {
            return Err("a password can't be imported; its hash can".to_owned());
        }
        let members: Vec<String> = accepted.members.unwrap_or_default().into_iter().map(|claim| claim.value).collect();
        if members.contains(&id) {
            return Err("a group can't be a member of itself".to_owned());
        }
        // What is stored elsewhere comes as it is. What a client would send instead is brought into the form of our own.
        let stored = line.into_iter().filter(|(name, _)| !is_computed(resource_type, name)).collect();
        let document = match divide(resource_type, Document::of_members(stored), Map::new()) {
            (document, rest) if rest.is_empty() => document,
            _ => accepted.document,
        };
        check_name(resource_type, &document, &unseen)?;
        Ok(Record { resource_type, id, document, meta, members, unseen })
    }
}

fn resource_type(
    registry: &'static Registry,
    meta: &Value,
    line: &Map<String, Value>,
) -> Result<&'static ResourceType, String> {
    let urns: Vec<&str> =
        line.get("schemas").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let found = match meta["resourceType"].as_str() {
        Some(name) => {
            let found = registry.resource_type(name);
            found.ok_or_else(|| format!("this scimd serves no resource type `{}`", shortened(name)))?
        }
        None => {
            let of_schema = |found: &&&ResourceType| urns.iter().any(|urn| found.schema.id.eq_ignore_ascii_case(urn));
            let found = registry.resource_types().iter().find(of_schema).copied();
            found.ok_or("neither `meta.resourceType` nor `schemas` says what it is")?
        }
    };
    let is_its = |urn: &&&str| found.urns().any(|schema| schema.id.eq_ignore_ascii_case(urn));
    match urns.iter().find(|urn| !is_its(urn)) {
        Some(urn) => Err(format!("{} has no schema `{}` here", found.name, shortened(urn))),
        None => Ok(found),
    }
}

fn meta(told: &Value, now: DateTime<Utc>) -> Result<Meta, String> {
    let time = |name: &str| match &told[name] {
        Value::Null => Ok(None),
        value => {
            let time = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            // The databases differ in how finely they keep a time.
            let time = time.map(|time| Some(time.to_utc().trunc_subsecs(3)));
            time.ok_or_else(|| format!("`meta.{name}` is no time of RFC 3339"))
        }
    };
    let created = time("created")?;
    let last_modified = time("lastModified")?.or(created).unwrap_or(now);
    let created = created.unwrap_or(last_modified);
    if is_to_come(created.max(last_modified), now) {
        return Err("`meta` tells of a time that is still to come".to_owned());
    }
    let version = match &told["version"] {
        Value::Null => 1,
        version => own_version(version).ok_or("`meta.version` is none of scimd's")?,
    };
    Ok(Meta { created, last_modified, version })
}

/// Clocks differ a little.
fn is_to_come(time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    time > now + TimeDelta::hours(1)
}

/// The counter in `W/"5"` or `W/"5.hash"`, as long as many changes may still follow.
fn own_version(version: &Value) -> Option<i64> {
    let tag = version.as_str()?.strip_prefix("W/\"")?.strip_suffix('"')?;
    tag.split('.').next()?.parse().ok().filter(|version| (1..i64::MAX / 2).contains(version))
}

/// What an id must be, so that `meta.location` leads to it (RFC 3986 §3.3, RFC 7643 §3.1).
const ID_RULE: &str = "1 to 255 letters of ASCII, digits and `-._~!$&'()*+,;=:@`, and no word that URLs or bulk requests \
                       have for something else";

fn is_id(id: &str) -> bool {
    let stands_as_it_is = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    let means_something_else = matches!(id, "." | ".." | ".search") || id.contains("bulkId");
    (1..=255).contains(&id.len()) && id.bytes().all(stands_as_it_is) && !means_something_else
}

fn unseen(told: Value, now: DateTime<Utc>) -> Result<Unseen, String> {
    if has_nul(&told) {
        return Err(format!("`{UNSEEN}` must not contain the character U+0000"));
    }
    let mut unseen: Unseen =
        serde_json::from_value(told).map_err(|cause| format!("`{UNSEEN}` can't be read: {cause}"))?;
    if let Some(deleted) = &mut unseen.deleted {
        deleted.at = deleted.at.trunc_subsecs(3);
        if is_to_come(deleted.at, now) {
            return Err(format!("`{UNSEEN}` tells of a deletion that is still to come"));
        }
        let claim = |id: &String| MemberClaim::new(id, None).map_err(|error| error.detail().to_owned());
        deleted.waiting.iter().try_for_each(|id| claim(id).map(drop))?;
    }
    Ok(unseen)
}

/// A database may not have it in a text.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(elements) => elements.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// Applications know groups by these names, and each follows from a displayName.
fn check_name(resource_type: &ResourceType, document: &Document, unseen: &Unseen) -> Result<(), String> {
    let Some(name) = &unseen.name else { return Ok(()) };
    let is_group = resource_type.schema.id == GROUP_URN;
    match is_group && group_name::is_of(name, document.text("displayName").unwrap_or_default()) {
        true => Ok(()),
        false => Err(format!("`name` in `{UNSEEN}` is none that scimd gives to it; without it, it gets one")),
    }
}

fn is_computed(resource_type: &'static ResourceType, name: &str) -> bool {
    match path::resolve(resource_type, name) {
        Some(path::Target::Attribute(attribute)) => attribute.attribute.role != Role::Stored,
        _ => false,
    }
}
