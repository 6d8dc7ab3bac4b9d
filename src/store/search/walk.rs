//! Walks: a page that begins behind a place in the order instead of at an index (RFC 9865).
//!
//! What a page costs does not grow with the pages before it, and who comes or goes meanwhile moves nobody from one page to
//! another. Ties are in the order of creation, also when descending, so the order of a walk is seldom that of an index: a
//! stretch of the index is read, and its last tie again in the right order. Every type is walked by itself, for an index
//! knows one type; the stretches are merged.

use std::cmp::Ordering;

use diesel::RunQueryDsl;
use diesel::sql_types::Text;

use super::{SORTED_TAIL, Scope, Search, count, not_sortable, predicate_of};
use crate::scim::cursor::{Direction, Position};
use crate::scim::key::Key;
use crate::scim::query::Step;
use crate::scim::schema::Role;
use crate::scim::{Error, Result};
use crate::store::Connection;
use crate::store::resources::{ROW_COLUMNS, Row, RowType, StoredResource};
use crate::store::sql::{Bind, Sql};
use crate::store::values::{HEAD_CHARS, split};

/// A page of a walk.
#[derive(Debug)]
pub struct Stretch {
    /// How many match, on all pages.
    pub total: u64,
    /// Those on this page, in order.
    pub resources: Vec<StoredResource>,
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
    let walker = Walker::new(search, step.direction)?;
    let total = count(connection, search)?;
    if step.count == 0 {
        return Ok(Stretch { total, resources: Vec::new(), before: None, after: None });
    }
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
    let resources = found.into_iter().map(|placed| StoredResource::try_from(placed.row)).collect::<Result<_>>()?;
    Ok(Stretch { total, resources, before, after })
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
    by: By<'a>,
    /// Whether keys grow on the way; resources without one are behind all others then.
    keys_grow: bool,
}

/// What is walked by.
#[derive(Clone, Copy)]
enum By<'a> {
    Creation,
    ResourceType,
    Location,
    Column(Column),
    /// An index path.
    Value(&'a str),
}

/// A column that an attribute of every resource has.
#[derive(Clone, Copy)]
enum Column {
    Id,
    Created,
    LastModified,
    Version,
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
                Role::Stored => By::Value(sort.attribute.index_path()),
                _ => return Err(not_sortable(sort)),
            },
        };
        let descending = search.sort.is_some_and(|sort| sort.descending);
        Ok(Walker { search, direction, by, keys_grow: descending == (direction == Direction::Backward) })
    }

    /// At most `limit` rows behind a place, in the order of the walk.
    fn take(&self, connection: &mut Connection, from: Option<&Position>, limit: usize) -> Result<Vec<Placed>> {
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
            None => Position { key: from.key.clone(), row_id: from.row_id.saturating_add(self.one_on()) },
        };
        let back = Walker::new(self.search, self.direction.reversed())?;
        let anything = !back.take(connection, Some(&place), 1)?.is_empty();
        Ok(anything.then_some(place))
    }

    fn one_on(&self) -> i64 {
        match self.direction {
            Direction::Forward => 1,
            Direction::Backward => -1,
        }
    }

    /// Which of two places is met first.
    fn compare(&self, left: &Position, right: &Position) -> Ordering {
        let keys = (left.key.is_none(), &left.key).cmp(&(right.key.is_none(), &right.key));
        let rows = left.row_id.cmp(&right.row_id);
        let keys = if self.keys_grow { keys } else { keys.reverse() };
        keys.then(if self.rows_grow() { rows } else { rows.reverse() })
    }

    fn rows_grow(&self) -> bool {
        self.direction == Direction::Forward
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
            By::Value(path) => self.by_value(connection, scope, path, from, limit),
        }
    }

    fn compare_keys(&self, key: &str, from: &Position) -> Ordering {
        let order = Some(key).cmp(&from.key.as_deref());
        if self.keys_grow { order } else { order.reverse() }
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
        let mut statement = self.select(connection, scope);
        if let Some(row_id) = from {
            statement = statement.push(" AND r.row_id").push(beyond(self.rows_grow())).bind(row_id);
        }
        let statement = statement.push(" ORDER BY r.row_id").push(direction(self.rows_grow()));
        let rows: Vec<Row> = limited(statement, limit).load(connection)?;
        let placed = |row: Row| Placed { position: Position { key: key.map(str::to_owned), row_id: row.0 }, row };
        Ok(rows.into_iter().map(placed).collect())
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
        let name = column.name();
        let mut statement = self.select(connection, scope);
        if let Some((key, row_id)) = from {
            let value = column.value(key)?;
            // The first comparison says what follows from the others, in a form that an index answers.
            let at_or_beyond = if self.keys_grow { " >= " } else { " <= " };
            statement = statement.push(" AND ").push(name).push(at_or_beyond).bind(value.clone());
            statement = statement.push(" AND (").push(name).push(beyond(self.keys_grow)).bind(value);
            statement = statement.push(" OR r.row_id").push(beyond(self.rows_grow())).bind(row_id).push(")");
        }
        let statement = statement.push(" ORDER BY ").push(name).push(direction(self.keys_grow));
        let statement = statement.push(", r.row_id").push(direction(self.rows_grow()));
        let rows: Vec<Row> = limited(statement, limit).load(connection)?;
        let placed = |row: Row| {
            let key = format!("{prefix}{}", column.key(&row));
            Placed { position: Position { key: Some(key), row_id: row.0 }, row }
        };
        Ok(rows.into_iter().map(placed).collect())
    }

    /// The rows of a type in the order of a stored value: those that have one, and those without behind them, or before
    /// them on the way down (SORT-03).
    fn by_value(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path: &str,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<Placed>> {
        let within = from.and_then(|from| Some((from.key.as_deref()?, from.row_id)));
        let among_valueless = from.filter(|from| from.key.is_none()).map(|from| from.row_id);
        let mut taken = Vec::new();
        if self.keys_grow && among_valueless.is_none() {
            taken = self.with_value(connection, scope, path, within, limit)?;
        }
        if taken.len() < limit && (self.keys_grow || within.is_none()) {
            let missing = limit - taken.len();
            taken.extend(self.without_value(connection, scope, path, among_valueless, missing)?);
        }
        if taken.len() < limit && !self.keys_grow {
            let missing = limit - taken.len();
            taken.extend(self.with_value(connection, scope, path, within, missing)?);
        }
        Ok(taken)
    }

    fn with_value(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path: &str,
        from: Option<(&str, i64)>,
        limit: usize,
    ) -> Result<Vec<Placed>> {
        let mut taken = match from {
            Some((key, row_id)) => self.tie(connection, scope, path, (key, Some(row_id)), limit)?,
            None => Vec::new(),
        };
        let missing = limit - taken.len();
        if missing == 0 {
            return Ok(taken);
        }
        let head = from.map(|(key, _)| split(key).0);
        let mut stretch = self.index_stretch(connection, scope, path, head, missing)?;
        if stretch.len() == missing
            && let Some(last) = stretch.last().and_then(|placed| placed.position.key.clone())
            && !self.is_in_index_order(&last)
        {
            // The stretch may end within a tie, and then holds the wrong ones of it.
            let (head, _) = split(&last);
            stretch.retain(|placed| placed.position.key.as_deref().map(|key| split(key).0) != Some(head));
            let missing = missing - stretch.len();
            stretch.extend(self.tie(connection, scope, path, (head, None), missing)?);
        }
        stretch.sort_by(|left, right| self.compare(&left.position, &right.position));
        taken.extend(stretch);
        Ok(taken)
    }

    /// Whether the index has the values with this head in the order of the walk.
    fn is_in_index_order(&self, key: &str) -> bool {
        self.keys_grow == self.rows_grow() && !is_long(split(key).0)
    }

    /// The values that share the head of a key, behind one of them or all.
    fn tie(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path: &str,
        (key, row_id): (&str, Option<i64>),
        limit: usize,
    ) -> Result<Vec<Placed>> {
        let (head, tail) = split(key);
        let has_tails = is_long(head);
        let mut statement = self.select_by_value(connection, scope, path).push(" AND s.key = ").bind(head);
        if let Some(row_id) = row_id {
            let behind = Sql::new("s.row_id").push(beyond(self.rows_grow())).bind(row_id);
            statement = statement.push(" AND ").append(if has_tails { self.behind_tail(tail, behind) } else { behind });
        }
        statement = statement.push(" ORDER BY ");
        if has_tails {
            statement = statement.push(SORTED_TAIL).push(direction(self.keys_grow)).push(", ");
        }
        self.load_values(connection, statement.push("s.row_id").push(direction(self.rows_grow())), limit)
    }

    fn behind_tail(&self, tail: &str, behind_row: Sql) -> Sql {
        let compared = |operator| -> Sql { Sql::new(SORTED_TAIL).push(operator).bind(tail) };
        let same = compared(" = ").push(" AND ").append(behind_row);
        Sql::new("(").append(compared(beyond(self.keys_grow))).push(" OR (").append(same).push("))")
    }

    /// A stretch of the index behind a head, in the order of the index.
    fn index_stretch(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path: &str,
        head: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Placed>> {
        let mut statement = self.select_by_value(connection, scope, path);
        if let Some(head) = head {
            statement = statement.push(" AND s.key").push(beyond(self.keys_grow)).bind(head);
        }
        let way = direction(self.keys_grow);
        let statement = statement.push(" ORDER BY s.key").push(way).push(", s.row_id").push(way);
        self.load_values(connection, statement, limit)
    }

    fn load_values(
        &self,
        connection: &mut Connection,
        statement: Sql<(RowType, Text)>,
        limit: usize,
    ) -> Result<Vec<Placed>> {
        let rows: Vec<(Row, String)> = limited(statement, limit).load(connection)?;
        let placed = |(row, key): (Row, String)| Placed { position: Position { key: Some(key), row_id: row.0 }, row };
        Ok(rows.into_iter().map(placed).collect())
    }

    /// To be continued by conditions on `s` and an order. SQLite keeps the order of a CROSS JOIN: the index leads.
    fn select_by_value(&self, connection: &Connection, scope: &Scope<'_>, path: &str) -> Sql<(RowType, Text)> {
        Sql::new("SELECT ")
            .push(ROW_COLUMNS)
            .push(", s.key || ")
            .push(SORTED_TAIL)
            .push(" FROM resource_values s CROSS JOIN resources r WHERE r.row_id = s.row_id AND s.element = 0 AND s.tenant_id = ")
            .bind(self.search.tenant_id)
            .push(" AND s.path = ")
            .bind(path)
            .push(" AND ")
            .append(predicate_of(self.search, scope, connection))
    }

    fn without_value(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path: &str,
        from: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Placed>> {
        let mut statement: Sql<RowType> = Sql::new("SELECT ")
            .push(ROW_COLUMNS)
            .push(" FROM resources r LEFT JOIN (SELECT row_id FROM resource_values WHERE element = 0 AND tenant_id = ")
            .bind(self.search.tenant_id)
            .push(" AND path = ")
            .bind(path)
            .push(") s ON s.row_id = r.row_id WHERE s.row_id IS NULL AND ")
            .append(predicate_of(self.search, scope, connection));
        if let Some(row_id) = from {
            statement = statement.push(" AND r.row_id").push(beyond(self.rows_grow())).bind(row_id);
        }
        let statement = statement.push(" ORDER BY r.row_id").push(direction(self.rows_grow()));
        let rows: Vec<Row> = limited(statement, limit).load(connection)?;
        let placed = |row: Row| Placed { position: Position { key: None, row_id: row.0 }, row };
        Ok(rows.into_iter().map(placed).collect())
    }

    /// The rows of a type that match, to be continued by conditions and an order.
    fn select(&self, connection: &Connection, scope: &Scope<'_>) -> Sql<RowType> {
        let statement: Sql<RowType> = Sql::new("SELECT ").push(ROW_COLUMNS).push(" FROM resources r WHERE ");
        statement.append(predicate_of(self.search, scope, connection))
    }
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Column::Id => "r.id",
            Column::Created => "r.created_at",
            Column::LastModified => "r.modified_at",
            Column::Version => "r.version",
        }
    }

    /// The value of a row as text that sorts as the column does.
    fn key(self, row: &Row) -> String {
        match self {
            Column::Id => row.1.clone(),
            Column::Created => Key::of_instant(row.5.and_utc()).into_string(),
            Column::LastModified => Key::of_instant(row.6.and_utc()).into_string(),
            Column::Version => format!("{:019}", row.4),
        }
    }

    /// The value that a key of [`Column::key`] stands for.
    fn value(self, key: &str) -> Result<Bind> {
        match self {
            Column::Id => Ok(key.into()),
            Column::Created | Column::LastModified => {
                let instant = Key::of_text_exactly(key).to_instant();
                instant.map(Bind::from).ok_or_else(|| Error::internal("a cursor holds a key that is no instant"))
            }
            Column::Version => key.parse::<i64>().map(Bind::from).map_err(Error::internal),
        }
    }
}

fn limited<T>(statement: Sql<T>, limit: usize) -> Sql<T> {
    // As in `page_statement`.
    statement.push(" LIMIT 0 + ").bind(i64::try_from(limit).unwrap_or(i64::MAX))
}

fn beyond(grows: bool) -> &'static str {
    if grows { " > " } else { " < " }
}

fn direction(grows: bool) -> &'static str {
    if grows { " ASC" } else { " DESC" }
}

/// Whether values with this head may have tails.
fn is_long(head: &str) -> bool {
    head.chars().count() == HEAD_CHARS
}
