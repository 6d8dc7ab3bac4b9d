//! Walks: a page that begins behind a place in the order instead of at an index (RFC 9865).
//!
//! What a page costs does not grow with the pages before it, and who comes or goes meanwhile moves nobody from one page to
//! another. Ties are in the order of creation, also when descending, so the order of a walk is seldom that of an index: a
//! stretch of the index is read, and its last tie again in the right order. Every type is walked by itself, for an index
//! knows one type; the stretches are merged.

mod column;
mod gathered;
mod rank;
mod statements;

use std::cmp::Ordering;

use diesel::sql_types::Text;

use self::column::Column;
use self::statements::{Statements, is_long};
use super::{Found, Scope, Search, count, not_sortable};
use crate::scim::Result;
use crate::scim::cursor::{Direction, Position};
use crate::scim::query::{Page, Step};
use crate::scim::schema::Role;
use crate::store::Connection;
use crate::store::resources::{Row, RowType, StoredText};
use crate::store::sql::Sql;
use crate::store::values::{has_other_values, sort_hash, split};

/// A page of a walk.
#[derive(Debug)]
pub struct Stretch {
    /// How many match, on all pages.
    pub total: u64,
    /// Those on this page, in order.
    pub resources: Vec<StoredText>,
    /// The place that the preceding page ends at, if there is such a page.
    pub before: Option<Position>,
    /// The place that the next page begins at, if there is such a page.
    pub after: Option<Position>,
}

/// Takes one step of a walk: the page and the total, as of the same moment when called within one transaction.
///
/// # Errors
/// `invalidValue` for a sort order by something that is computed; database failures.
pub fn walk(connection: &mut Connection, search: &Search<'_>, step: &Step) -> Result<Stretch> {
    let mut walker = Walker::new(search, step.direction)?;
    let total = count(connection, search)?;
    if step.count == 0 {
        return Ok(Stretch { total, resources: Vec::new(), before: None, after: None });
    }
    walker.gather(connection, total, step.count as u64 + 1)?;
    let mut found = walker.take(connection, step.from.as_ref(), step.count + 1)?;
    let goes_on = found.len() > step.count;
    found.truncate(step.count);
    let end = found.last().filter(|_| goes_on).map(|last| last.position.clone());
    let start = match &step.from {
        None => None,
        Some(from) => walker.way_back(connection, found.first(), from)?,
    };
    let (before, after) = match step.direction {
        Direction::Forward => (start, end),
        Direction::Backward => (end, start),
    };
    if step.direction == Direction::Backward {
        found.reverse();
    }
    let resources = found.into_iter().map(|placed| StoredText::from(placed.row)).collect();
    Ok(Stretch { total, resources, before, after })
}

/// A page by index of one type in the order of a stored value: the page of a walk that begins at its place.
///
/// # Errors
/// Database failures.
pub(super) fn page(connection: &mut Connection, search: &Search<'_>, page: Page) -> Result<Found> {
    let mut walker = Walker::new(search, Direction::Forward)?;
    let total = count(connection, search)?;
    let nothing = Ok(Found { total, resources: Vec::new() });
    if page.count == 0 || page.offset() >= total {
        return nothing;
    }
    walker.gather(connection, total, page.offset() + page.count as u64)?;
    let mut from = None;
    if let (Some(rank), [scope], By::Value(path_hash)) = (page.offset().checked_sub(1), &search.scopes[..], walker.by) {
        from = walker.place_at(connection, scope, path_hash, (rank, total))?;
        if from.is_none() {
            return nothing;
        }
    }
    let placed = walker.take(connection, from.as_ref(), page.count)?;
    Ok(Found { total, resources: placed.into_iter().map(|placed| StoredText::from(placed.row)).collect() })
}

/// A row and its place in the order.
struct Placed {
    position: Position,
    row: Row,
}

/// Walks one way.
struct Walker<'a> {
    search: &'a Search<'a>,
    direction: Direction,
    by: By,
    statements: Statements<'a>,
    /// The places of all that match, in order, where they are few.
    gathered: Option<Vec<Position>>,
}

/// What is walked by.
#[derive(Clone, Copy)]
enum By {
    Creation,
    ResourceType,
    Location,
    Column(Column),
    /// The number of an index path.
    Value(i64),
}

impl<'a> Walker<'a> {
    fn new(search: &'a Search<'a>, direction: Direction) -> Result<Walker<'a>> {
        let by = match search.sort {
            None => By::Creation,
            Some(sort) => match sort.attribute.role() {
                Role::Id => By::Column(Column::Id),
                Role::Created => By::Column(Column::Created),
                Role::LastModified => By::Column(Column::LastModified),
                Role::Version => By::Column(Column::Version),
                Role::ResourceType => By::ResourceType,
                Role::Location => By::Location,
                Role::Stored => By::Value(sort_hash(sort.attribute.leaf())),
                _ => return Err(not_sortable(sort)),
            },
        };
        let descending = search.sort.is_some_and(|sort| sort.descending);
        let rows_grow = direction == Direction::Forward;
        let statements = Statements { search, rows_grow, keys_grow: descending != rows_grow };
        Ok(Walker { search, direction, by, statements, gathered: None })
    }

    /// At most `limit` rows behind a place, in the order of the walk.
    fn take(&self, connection: &mut Connection, from: Option<&Position>, limit: usize) -> Result<Vec<Placed>> {
        if let Some(gathered) = &self.gathered {
            return self.take_gathered(connection, gathered, from, limit);
        }
        let mut taken = Vec::new();
        for scope in &self.search.scopes {
            taken.extend(self.take_of(connection, scope, from, limit)?);
        }
        if self.search.scopes.len() > 1 {
            taken.sort_by(|left, right| self.compare(&left.position, &right.position));
            taken.truncate(limit);
        }
        Ok(taken)
    }

    /// The place to walk back from, if anything lies there.
    fn way_back(
        &self,
        connection: &mut Connection,
        first: Option<&Placed>,
        from: &Position,
    ) -> Result<Option<Position>> {
        let place = match first {
            Some(first) => first.position.clone(),
            // Of an empty page the place itself lies on the way back.
            None => {
                let one_on = if self.statements.rows_grow { 1 } else { -1 };
                Position { key: from.key.clone(), row_id: from.row_id.saturating_add(one_on) }
            }
        };
        let mut back = Walker::new(self.search, self.direction.reversed())?;
        back.gathered = self.gathered.as_ref().map(|gathered| gathered.iter().rev().cloned().collect());
        let anything = !back.take(connection, Some(&place), 1)?.is_empty();
        Ok(anything.then_some(place))
    }

    /// Which of two places is met first.
    fn compare(&self, left: &Position, right: &Position) -> Ordering {
        let keys = (left.key.is_none(), &left.key).cmp(&(right.key.is_none(), &right.key));
        let rows = left.row_id.cmp(&right.row_id);
        let keys = if self.statements.keys_grow { keys } else { keys.reverse() };
        keys.then(if self.statements.rows_grow { rows } else { rows.reverse() })
    }

    fn compare_keys(&self, key: &str, from: &Position) -> Ordering {
        let order = Some(key).cmp(&from.key.as_deref());
        if self.statements.keys_grow { order } else { order.reverse() }
    }

    fn take_of(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<Placed>> {
        match self.by {
            By::Creation => self.by_creation(connection, scope, from.map(|from| from.row_id), limit, None),
            By::ResourceType => {
                let name = scope.resource_type.name.as_str();
                match from.map(|from| (self.compare_keys(name, from), from.row_id)) {
                    Some((Ordering::Less, _)) => Ok(Vec::new()),
                    Some((Ordering::Equal, row_id)) => {
                        self.by_creation(connection, scope, Some(row_id), limit, Some(name))
                    }
                    _ => self.by_creation(connection, scope, None, limit, Some(name)),
                }
            }
            By::Location => {
                let prefix = format!("{}/", scope.resource_type.endpoint);
                let key = from.and_then(|from| from.key.as_deref()).unwrap_or_default();
                let within = key.strip_prefix(&prefix).zip(from.map(|from| from.row_id));
                if within.is_none() && from.is_some_and(|from| self.compare_keys(&prefix, from).is_lt()) {
                    return Ok(Vec::new());
                }
                self.by_column(connection, scope, Column::Id, within, limit, &prefix)
            }
            By::Column(column) => {
                let from = from.and_then(|from| Some((from.key.as_deref()?, from.row_id)));
                self.by_column(connection, scope, column, from, limit, "")
            }
            By::Value(path_hash) => self.by_value(connection, scope, path_hash, from, limit),
        }
    }

    /// The rows of a type in the order of creation, all with the same key.
    fn by_creation(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        from: Option<i64>,
        limit: usize,
        key: Option<&str>,
    ) -> Result<Vec<Placed>> {
        let statement = self.statements.by_creation(connection, scope, from);
        load(connection, statement, limit, |_| key.map(str::to_owned))
    }

    /// The rows of a type in the order of a column, whose keys begin with `prefix`.
    fn by_column(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        column: Column,
        from: Option<(&str, i64)>,
        limit: usize,
        prefix: &str,
    ) -> Result<Vec<Placed>> {
        let statement = self.statements.by_column(connection, scope, column, from)?;
        load(connection, statement, limit, |row| Some(format!("{prefix}{}", column.key(row))))
    }

    /// The rows of a type in the order of a stored value: those that have one, and those without behind them, or before
    /// them on the way down (SORT-03).
    fn by_value(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path_hash: i64,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<Placed>> {
        let keys_grow = self.statements.keys_grow;
        let within = from.and_then(|from| Some((from.key.as_deref()?, from.row_id)));
        let among_valueless = from.filter(|from| from.key.is_none()).map(|from| from.row_id);
        let mut taken = Vec::new();
        if keys_grow && among_valueless.is_none() {
            taken = self.with_value(connection, scope, path_hash, within, limit)?;
        }
        let may_lack = taken.len() < limit && (keys_grow || within.is_none());
        if may_lack && (among_valueless.is_some() || !self.all_have_a_value(connection, scope, path_hash)?) {
            let statement = self.statements.without_value(connection, scope, path_hash, among_valueless);
            taken.extend(load(connection, statement, limit - taken.len(), |_| None)?);
        }
        if taken.len() < limit && !keys_grow {
            let missing = limit - taken.len();
            taken.extend(self.with_value(connection, scope, path_hash, within, missing)?);
        }
        Ok(taken)
    }

    fn with_value(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path_hash: i64,
        from: Option<(&str, i64)>,
        limit: usize,
    ) -> Result<Vec<Placed>> {
        let mut taken = Vec::new();
        if has_other_values(scope.resource_type, path_hash) {
            return Ok(taken);
        }
        if let Some((key, row_id)) = from {
            let tie = self.statements.tie(connection, scope, path_hash, key, Some(row_id));
            taken = load_values(connection, tie, limit)?;
        }
        let missing = limit - taken.len();
        if missing == 0 {
            return Ok(taken);
        }
        let head = from.map(|(key, _)| split(key).0);
        let statement = self.statements.index_stretch(connection, scope, path_hash, head);
        let mut stretch = load_values(connection, statement, missing)?;
        if stretch.len() == missing
            && let Some(last) = stretch.last().and_then(|placed| placed.position.key.clone())
            && !self.is_in_index_order(&last)
        {
            // The stretch may end within a tie, and then holds the wrong ones of it.
            let (head, _) = split(&last);
            stretch.retain(|placed| placed.position.key.as_deref().map(|key| split(key).0) != Some(head));
            let tie = self.statements.tie(connection, scope, path_hash, head, None);
            stretch.extend(load_values(connection, tie, missing - stretch.len())?);
        }
        stretch.sort_by(|left, right| self.compare(&left.position, &right.position));
        taken.extend(stretch);
        Ok(taken)
    }

    /// Whether the index has the values that share the head of this key in the order of the walk.
    fn is_in_index_order(&self, key: &str) -> bool {
        self.statements.keys_grow == self.statements.rows_grow && !is_long(split(key).0)
    }
}

fn load(
    connection: &mut Connection,
    statement: Sql<RowType>,
    limit: usize,
    key: impl Fn(&Row) -> Option<String>,
) -> Result<Vec<Placed>> {
    let rows: Vec<Row> = statements::limited(statement, limit).load(connection)?;
    Ok(rows.into_iter().map(|row| Placed { position: Position { key: key(&row), row_id: row.0 }, row }).collect())
}

fn load_values(connection: &mut Connection, statement: Sql<(RowType, Text)>, limit: usize) -> Result<Vec<Placed>> {
    let rows: Vec<(Row, String)> = statements::limited(statement, limit).load(connection)?;
    let placed = |(row, key): (Row, String)| Placed { position: Position { key: Some(key), row_id: row.0 }, row };
    Ok(rows.into_iter().map(placed).collect())
}
