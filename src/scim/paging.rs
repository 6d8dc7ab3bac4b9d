//! Which part of a result a client wants: a page by its index (RFC 7644 §3.4.2.4) or a step of a walk by cursors
//! (RFC 9865). It does not know what is found, nor in which order.

use chrono::{DateTime, Utc};

use super::cursor::{Binding, Cursor, Direction, Position, Secret};
use super::query_string::Parameters;
use super::schema::ResourceType;
use super::{Error, ErrorKind, Result};

/// The number of resources on a page when the client names none.
pub const DEFAULT_COUNT: usize = 100;
/// The most resources on a page; a larger `count` is clamped (PAGE-04).
pub const MAX_COUNT: usize = 1000;

/// How the client names the part of the result that it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// By its index; what a client gets that asks for neither (CUR-13).
    Index(Page),
    /// By a cursor.
    Cursor(Walk),
}

/// One page of a result (RFC 7644 §3.4.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The position of the first resource, from 1; at most `i64::MAX`, which is where databases stop counting.
    pub start_index: u64,
    /// The most resources to answer, from 0 to [`MAX_COUNT`].
    pub count: usize,
}

/// A walk through a result by cursors (RFC 9865), at a page that is not known yet: to open a cursor takes a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    cursor: String,
    count: Option<usize>,
    binding: Binding,
}

/// One page of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The place where it begins, which is not part of it; `None` at the beginning.
    pub from: Option<Position>,
    /// Which way it goes from there.
    pub direction: Direction,
    /// The most resources to answer, from 0 to [`MAX_COUNT`].
    pub count: usize,
}

impl Paging {
    /// Gives the parameters their meaning, for types that are searched together.
    ///
    /// # Errors
    /// `invalidValue` for a `startIndex` or `count` that is no integer, and for `cursor` together with `startIndex`;
    /// `invalidCount` for a `count` beside a `cursor` that is no integer.
    pub fn resolve(parameters: &Parameters, types: &[&'static ResourceType]) -> Result<Paging> {
        let Some(cursor) = &parameters.cursor else {
            return Ok(Paging::Index(Page::resolve(parameters)?));
        };
        if parameters.start_index.is_some() {
            return Err(invalid("'cursor' and 'startIndex' exclude each other; send one of them."));
        }
        let count = match &parameters.count {
            None => None,
            Some(text) => Some(count(text).map_err(|_| invalid_count("'count' is not an integer."))?),
        };
        Ok(Paging::Cursor(Walk { cursor: cursor.clone(), count, binding: binding(parameters, types) }))
    }
}

/// The types say which endpoint it is: GET of a list and `.search` give the same list.
fn binding(parameters: &Parameters, types: &[&'static ResourceType]) -> Binding {
    let endpoints = types.iter().map(|resource_type| Some(resource_type.endpoint.as_str()));
    let Parameters { filter, sort_by, sort_order, attributes, excluded_attributes, .. } = parameters;
    let texts = [filter, sort_by, sort_order, attributes, excluded_attributes].map(Option::as_deref);
    endpoints.chain([None]).chain(texts).fold(Binding::default(), Binding::with)
}

impl Walk {
    /// The page that the cursor names.
    ///
    /// # Errors
    /// Those of [`Cursor::open`]; `invalidCount` for another page size than that of the first page (CUR-07).
    pub fn step(&self, secret: &Secret, now: DateTime<Utc>) -> Result<Step> {
        if self.cursor.is_empty() {
            let count = self.count.unwrap_or(DEFAULT_COUNT);
            return Ok(Step { from: None, direction: Direction::Forward, count });
        }
        let cursor = Cursor::open(&self.cursor, secret, &self.binding, now)?;
        let count = usize::from(cursor.count);
        if self.count.is_some_and(|asked| asked != count) {
            return Err(invalid_count(format!("'count' was {count} on the first page, and stays so.")));
        }
        Ok(Step { from: Some(cursor.position), direction: cursor.direction, count })
    }

    /// The cursor of the page that goes on from a place.
    ///
    /// # Errors
    /// None that a client can bring about.
    pub fn cursor(
        &self,
        step: &Step,
        position: Position,
        direction: Direction,
        secret: &Secret,
        now: DateTime<Utc>,
    ) -> Result<String> {
        let count = u16::try_from(step.count).map_err(Error::internal)?;
        Cursor { position, direction, count }.seal(secret, &self.binding, now)
    }

    /// The same walk, on one resource alone.
    pub fn on(&mut self, id: &str) {
        self.binding = std::mem::take(&mut self.binding).with(Some(id));
    }
}

impl Page {
    fn resolve(parameters: &Parameters) -> Result<Page> {
        let mut page = Page::default();
        if let Some(text) = &parameters.start_index {
            page.start_index = integer("startIndex", text)?.max(1).unsigned_abs();
        }
        if let Some(text) = &parameters.count {
            page.count = count(text)?;
        }
        Ok(page)
    }

    /// How many resources of the result come before this page.
    pub fn offset(&self) -> u64 {
        self.start_index.saturating_sub(1)
    }
}

/// The first page, of the default size.
impl Default for Page {
    fn default() -> Self {
        Page { start_index: 1, count: DEFAULT_COUNT }
    }
}

/// A negative `count` is 0, and one above the maximum is clamped (PAGE-02, PAGE-04).
fn count(text: &str) -> Result<usize> {
    let count = integer("count", text)?.max(0);
    Ok(usize::try_from(count).unwrap_or(usize::MAX).min(MAX_COUNT))
}

/// An integer of any length; what does not fit is as good as the largest or smallest that does, since both parameters
/// are clamped anyway.
fn integer(name: &str, text: &str) -> Result<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(format!("'{name}' is not an integer.")));
    }
    let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Ok(text.parse().unwrap_or(limit))
}

fn invalid_count(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidCount, detail)
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidValue, detail)
}
