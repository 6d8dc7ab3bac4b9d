//! Answers as Pocket ID decodes them: the whole body, strictly, although it uses little of it.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::support::http::Response;

/// A list as Pocket ID decodes it: the whole body, and every type must be right.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "members that are only decoded still have to have the right type")]
pub(crate) struct Page {
    #[serde(default)]
    schemas: Vec<String>,
    #[serde(default)]
    pub(crate) total_results: u64,
    #[serde(default)]
    start_index: u64,
    #[serde(default)]
    pub(crate) items_per_page: u64,
    #[serde(rename = "Resources")]
    pub(crate) resources: Option<Vec<Remote>>,
}

/// A user or a group as Pocket ID decodes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "members that are only decoded still have to have the right type")]
pub(crate) struct Remote {
    #[serde(default)]
    schemas: Vec<String>,
    pub(crate) id: String,
    pub(crate) external_id: Option<String>,
    meta: Option<Meta>,
    user_name: Option<String>,
    name: Option<Name>,
    display_name: Option<String>,
    active: Option<bool>,
    #[serde(default)]
    emails: Vec<Email>,
    #[serde(default)]
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "members that are only decoded still have to have the right type")]
struct Meta {
    resource_type: Option<String>,
    created: Option<String>,
    last_modified: Option<String>,
    location: Option<String>,
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "members that are only decoded still have to have the right type")]
struct Name {
    given_name: Option<String>,
    family_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "members that are only decoded still have to have the right type")]
struct Email {
    value: String,
    #[serde(default)]
    primary: bool,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "members that are only decoded still have to have the right type")]
struct Member {
    value: String,
}

impl Remote {
    /// `meta.lastModified`; a time that Go's decoder refuses is an error, as is such a `meta.created`.
    pub(crate) fn last_modified(&self) -> Result<Option<DateTime<Utc>>, String> {
        let Some(meta) = &self.meta else { return Ok(None) };
        meta.created.as_deref().map(time).transpose()?;
        meta.last_modified.as_deref().map(time).transpose()
    }
}

pub(crate) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    // The parser takes a space or a small t as well, Go takes neither.
    let strict = text.as_bytes().get(10) == Some(&b'T');
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) if strict => Ok(time.with_timezone(&Utc)),
        _ => Err(format!("cannot parse {text:?} as a time")),
    }
}

pub(crate) fn decode<T: for<'a> Deserialize<'a>>(response: &Response) -> Result<T, String> {
    serde_json::from_slice(&response.body).map_err(|error| format!("cannot decode ({error}): {}", response.text()))
}
