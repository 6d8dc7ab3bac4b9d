//! What a resource is: a document that a schema has accepted, and what the server adds to it (RFC 7643 §3).

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde_json::{Map, Value};

use super::schema::{Resolved, ResourceType};

/// The attributes of a resource that are stored, in the spelling of their schema: core attributes and `externalId` at
/// the top, those of an extension under its URN. Everything in it has passed its schema; unassigned attributes are
/// absent, never `null` or `[]`. Without `id`, `meta`, `schemas`, `groups` and `members`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document(Map<String, Value>);

impl Document {
    /// A document from its JSON text, as the store keeps it.
    ///
    /// # Errors
    /// If the text is not a JSON object.
    pub fn from_json(text: &str) -> serde_json::Result<Document> {
        serde_json::from_str(text).map(Document)
    }

    /// A document of members that were one's before.
    pub fn of_members(members: Map<String, Value>) -> Document {
        Document(members)
    }

    /// The JSON text that [`Document::from_json`] reads.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("a JSON object has a text")
    }

    /// Whether it is not disabled: whatever says nothing of `active` is not (RFC 7643 §4.1.1).
    pub fn is_active(&self) -> bool {
        self.0.get("active") != Some(&Value::Bool(false))
    }

    /// The whole value of an attribute; a sub-attribute in the path is ignored.
    pub fn get(&self, attribute: Resolved) -> Option<&Value> {
        self.container(attribute)?.get(&attribute.attribute.name)
    }

    /// The whole value of an attribute, to be changed in place; a sub-attribute in the path is ignored.
    pub fn get_mut(&mut self, attribute: Resolved) -> Option<&mut Value> {
        let container = match attribute.container() {
            Some(urn) => self.0.get_mut(urn)?.as_object_mut()?,
            None => &mut self.0,
        };
        container.get_mut(&attribute.attribute.name)
    }

    /// Assigns the whole value of an attribute. The value must be what the schema accepts, and not unassigned.
    pub fn set(&mut self, attribute: Resolved, value: Value) {
        let container = match attribute.container() {
            Some(urn) => self.0.entry(urn).or_insert_with(|| Value::Object(Map::new())).as_object_mut(),
            None => Some(&mut self.0),
        };
        if let Some(container) = container {
            container.insert(attribute.attribute.name.clone(), value);
        }
    }

    /// Unassigns an attribute; an extension without attributes disappears. Returns the value that it had.
    pub fn remove(&mut self, attribute: Resolved) -> Option<Value> {
        let name = &attribute.attribute.name;
        let Some(urn) = attribute.container() else {
            return self.0.shift_remove(name);
        };
        let extension = self.0.get_mut(urn)?.as_object_mut()?;
        let removed = extension.shift_remove(name);
        if extension.is_empty() {
            self.0.shift_remove(urn);
        }
        removed
    }

    /// Unassigns every attribute of an extension.
    pub fn remove_extension(&mut self, urn: &str) {
        self.0.shift_remove(urn);
    }

    /// The attributes of the extension with that URN (in its published spelling), if any is assigned.
    pub fn extension(&self, urn: &str) -> Option<&Map<String, Value>> {
        self.0.get(urn).and_then(Value::as_object)
    }

    /// The text of a singular core attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// All top-level members: core attributes and extension objects.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All top-level members, owned.
    pub fn into_members(self) -> Map<String, Value> {
        self.0
    }

    /// The URNs of `schemas`: the base schema, required extensions, and extensions with an assigned attribute (RES-02).
    pub fn schemas(&self, resource_type: &ResourceType) -> Vec<String> {
        let extensions = resource_type
            .extensions
            .iter()
            .filter(|extension| extension.required || self.extension(&extension.schema.id).is_some());
        std::iter::once(resource_type.schema)
            .chain(extensions.map(|extension| extension.schema))
            .map(|schema| schema.id.clone())
            .collect()
    }

    fn container(&self, attribute: Resolved) -> Option<&Map<String, Value>> {
        match attribute.container() {
            Some(urn) => self.extension(urn),
            None => Some(&self.0),
        }
    }
}

/// The unassigned state: `null` and `[]` are the same as absence (RFC 7643 §2.5), and so is a complex value without
/// any part (RES-15).
pub fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        Value::Object(parts) => parts.is_empty(),
        _ => false,
    }
}

/// What the server knows about a resource beside its document.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When a client last wrote it; not touched by changes of other resources.
    pub last_modified: DateTime<Utc>,
    /// Counts the changes of the resource itself, from 1.
    pub version: i64,
}

/// An instant that a client has set, in the same form; one that is finer than a millisecond keeps what it has.
pub fn format_client_instant(instant: DateTime<Utc>) -> String {
    match instant.timestamp_subsec_nanos() % 1_000_000 {
        0 => format_instant(instant),
        _ => instant.to_rfc3339_opts(SecondsFormat::AutoSi, true),
    }
}

/// An instant as representations show it: UTC, milliseconds, `Z` (TYPE-09).
pub fn format_instant(instant: DateTime<Utc>) -> String {
    let mut text = String::with_capacity(24);
    push_instant(&mut text, instant);
    text
}

/// Appends the same.
pub fn push_instant(text: &mut String, instant: DateTime<Utc>) {
    let (date, time, milliseconds) = (instant.date_naive(), instant.time(), instant.timestamp_subsec_millis());
    let Some(year) = u32::try_from(date.year()).ok().filter(|year| *year <= 9999 && milliseconds < 1000) else {
        return text.push_str(&instant.to_rfc3339_opts(SecondsFormat::Millis, true));
    };
    // Every representation has two instants, and chrono takes longer for one than for the rest of `meta`.
    let digit = |number: u32| b'0' + (number % 10) as u8;
    let two = |number: u32| [digit(number / 10), digit(number)];
    let mut digits = *b"0000-00-00T00:00:00.000Z";
    digits[..2].copy_from_slice(&two(year / 100));
    digits[2..4].copy_from_slice(&two(year));
    digits[5..7].copy_from_slice(&two(date.month()));
    digits[8..10].copy_from_slice(&two(date.day()));
    digits[11..13].copy_from_slice(&two(time.hour()));
    digits[14..16].copy_from_slice(&two(time.minute()));
    digits[17..19].copy_from_slice(&two(time.second()));
    digits[20..22].copy_from_slice(&two(milliseconds / 10));
    digits[22] = digit(milliseconds);
    text.push_str(str::from_utf8(&digits).expect("digits are ASCII"));
}

/// The same for members of structs: `#[serde(with = "instant")]`.
pub mod instant {
    use chrono::{DateTime, Utc};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes it as [`super::format_instant`] does.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(instant: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        super::format_instant(*instant).serialize(serializer)
    }

    /// Reads any instant of RFC 3339.
    ///
    /// # Errors
    /// A text that is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        parse(&String::deserialize(deserializer)?)
    }

    fn parse<E: Error>(text: &str) -> Result<DateTime<Utc>, E> {
        let instant = DateTime::parse_from_rfc3339(text);
        instant.map(|instant| instant.to_utc()).map_err(|_| E::custom("it is no time of RFC 3339"))
    }

    /// The same where there may be none.
    pub mod option {
        use chrono::{DateTime, Utc};
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        /// Writes it as [`super::super::format_instant`] does, or nothing.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(instant: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
            instant.map(super::super::format_instant).serialize(serializer)
        }

        /// Reads any instant of RFC 3339, or nothing.
        ///
        /// # Errors
        /// A text that is none.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
            Option::<String>::deserialize(deserializer)?.map(|text| super::parse(&text)).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeZone};

    use super::*;

    #[test]
    fn type_09_instants_are_written_as_chrono_writes_them() {
        let days =
            [(0, 1, 1), (1969, 12, 31), (2024, 2, 29), (2026, 11, 26), (9999, 12, 31), (-1, 3, 4), (10_000, 1, 1)];
        let times = [(0, 0, 0, 0), (23, 59, 59, 999_999_999), (9, 5, 7, 40_000_000), (23, 59, 59, 1_500_000_000)];
        for (year, month, day) in days {
            for (hour, minute, second, nanos) in times {
                let date = NaiveDate::from_ymd_opt(year, month, day).expect("a day");
                let instant = date.and_hms_nano_opt(hour, minute, second, nanos).expect("a time");
                let instant = Utc.from_utc_datetime(&instant);
                assert_eq!(format_instant(instant), instant.to_rfc3339_opts(SecondsFormat::Millis, true));
            }
        }
    }
}
