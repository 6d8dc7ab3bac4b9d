//! What scimd has written for one change, read back from its own tables, so that the same can be written again: as many
//! rows, columns, bytes and indexes, whatever the tables are like. Only what tells one resource from another changes.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::Text;
use scimd::store::Connection;
use serde_json::{Map, Value};

use super::statement::{Cell, Statement};

/// The tables whose `row_id` the database gives.
const NUMBERED: [&str; 3] = ["resources", "audit", "outbox"];

/// Rows of one table, without numbers that the database gives.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The beginning of a statement that puts them into the table, without copies of pages.
    insertion: &'static str,
    table: &'static str,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// Who a row is about: what stands in it in place of whom it was about when it was read.
#[derive(Debug, Default)]
pub struct Subject<'a> {
    pub id: &'a str,
    pub number: &'a str,
    /// The row that it refers to.
    pub link: i64,
    pub document: &'a str,
}

/// Statements are made from this: texts, and what stands between them.
#[derive(Debug)]
pub struct Pattern {
    texts: Vec<String>,
    sources: Vec<Source>,
}

/// Where a value comes from.
#[derive(Debug)]
enum Source {
    Fixed(Cell),
    Link,
    Document,
    Pieced(Vec<Piece>),
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Id,
    Number,
}

/// Whom rows were about when they were read.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    pub id: &'a str,
    pub number: &'a str,
}

impl Model<'_> {
    /// In no row.
    pub const NOBODY: &'static str = "\0";
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
}

#[derive(QueryableByName)]
struct Json {
    #[diesel(sql_type = Text)]
    text: String,
}

/// The rows of a table that meet a condition; none if there is no such table.
pub fn read(connection: &mut Connection, table: &'static str, condition: &str) -> Rows {
    let columns = columns(connection, table);
    let is_sqlite = matches!(connection, Connection::Sqlite(_));
    let part = |column: &Column| {
        let (name, quoted) = (&column.name, format!("\"{}\"", column.name));
        let value = match (column.is_bytes(), is_sqlite) {
            (false, _) => quoted,
            (true, true) => format!("hex({quoted})"),
            (true, false) => format!("encode({quoted}, 'hex')"),
        };
        format!("'{name}', {value}")
    };
    let parts: Vec<String> = columns.iter().map(part).collect();
    let object = if is_sqlite { "json_object" } else { "json_build_object" };
    let query = format!("SELECT CAST({object}({}) AS TEXT) AS text FROM {table} WHERE {condition}", parts.join(", "));
    let found: Vec<Json> =
        if columns.is_empty() { Vec::new() } else { diesel::sql_query(query).load(connection).unwrap() };
    let row = |json: &Json| {
        let object: Map<String, Value> = serde_json::from_str(&json.text).unwrap();
        columns.iter().map(|column| column.cell(&object[&column.name])).collect()
    };
    let rows = found.iter().map(row).collect();
    let insertion = if is_sqlite { "INSERT OR FAIL" } else { "INSERT" };
    Rows { insertion, table, columns: columns.into_iter().map(|column| column.name).collect(), rows }
}

fn columns(connection: &mut Connection, table: &str) -> Vec<Column> {
    let query = match connection {
        Connection::Sqlite(_) => format!("SELECT name, type AS kind FROM pragma_table_info('{table}') ORDER BY cid"),
        Connection::Postgres(_) => format!(
            "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS kind FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
        ),
    };
    let columns: Vec<Column> = diesel::sql_query(query).load(connection).unwrap();
    let is_given = |column: &Column| column.name == "row_id" && NUMBERED.contains(&table);
    columns.into_iter().filter(|column| !is_given(column)).collect()
}

impl Column {
    fn is(&self, words: &[&str]) -> bool {
        let kind = self.kind.to_ascii_uppercase();
        words.iter().any(|word| kind.contains(word))
    }

    fn is_bytes(&self) -> bool {
        self.is(&["BLOB", "BYTEA"])
    }

    fn cell(&self, value: &Value) -> Cell {
        match value {
            Value::Null => Cell::Null,
            Value::Bool(value) => Cell::Bool(*value),
            Value::Number(value) if self.is(&["BOOL"]) => Cell::Bool(value.as_i64() == Some(1)),
            Value::Number(value) => Cell::BigInt(value.as_i64().unwrap()),
            Value::String(text) if self.is(&["TIME"]) => {
                let text = text.replacen('T', " ", 1);
                Cell::Time(NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").unwrap())
            }
            Value::String(text) if self.is_bytes() => Cell::Bytes(bytes(text)),
            Value::String(text) => Cell::Text(text.clone()),
            other => panic!("no column has {other}"),
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

impl Rows {
    /// The value of a column in the first row.
    pub fn value(&self, column: &str) -> &Cell {
        let position = self.columns.iter().position(|one| one == column).unwrap();
        &self.rows[0][position]
    }

    /// Without the rows that the other ones have as well.
    pub fn without(&self, other: &Rows) -> Rows {
        let rows = self.rows.iter().filter(|row| !other.rows.contains(row)).cloned().collect();
        Rows { insertion: self.insertion, table: self.table, columns: self.columns.clone(), rows }
    }

    /// The columns of the first row that differ from those of another state of it.
    pub fn changed(&self, before: &Rows) -> Vec<(String, Cell)> {
        let pairs = self.columns.iter().zip(self.rows[0].iter().zip(&before.rows[0]));
        pairs.filter(|(_, (now, then))| now != then).map(|(name, (now, _))| (name.clone(), now.clone())).collect()
    }
}

impl Pattern {
    /// Inserts the rows; nothing to do if there are none. The column `link` refers to another row.
    pub fn insert(rows: &Rows, link: &str, returning: &str, model: Model<'_>) -> Option<Pattern> {
        let names: Vec<String> = rows.columns.iter().map(|name| format!("\"{name}\"")).collect();
        let mut pattern =
            Pattern::new(format!("{} INTO {} ({}) VALUES ", rows.insertion, rows.table, names.join(", ")));
        for (number, row) in rows.rows.iter().enumerate() {
            for (place, (name, cell)) in rows.columns.iter().zip(row).enumerate() {
                let between = match (number, place) {
                    (0, 0) => "(",
                    (_, 0) => "), (",
                    _ => ", ",
                };
                let source = if name == link { Source::Link } else { Source::of(cell, model) };
                pattern = pattern.push(between).value(source);
            }
        }
        (!rows.rows.is_empty()).then(|| pattern.push(")").push(returning))
    }

    /// Deletes the rows, each found by all that it has; nothing to do if there are none.
    pub fn delete(rows: &Rows, link: &str, model: Model<'_>) -> Option<Pattern> {
        let mut pattern = Pattern::new(format!("DELETE FROM {} WHERE ", rows.table));
        for (number, row) in rows.rows.iter().enumerate() {
            for (place, (name, cell)) in rows.columns.iter().zip(row).enumerate() {
                let before = match (number, place) {
                    (0, 0) => "(",
                    (_, 0) => ") OR (",
                    _ => " AND ",
                };
                let source = if name == link { Source::Link } else { Source::of(cell, model) };
                pattern = pattern.push(before).push(&format!("\"{name}\" = ")).value(source);
            }
        }
        (!rows.rows.is_empty()).then(|| pattern.push(")"))
    }

    /// Updates a resource as another one was; the version goes up, the document is its own.
    pub fn update(changed: &[(String, Cell)]) -> Pattern {
        let mut pattern = Pattern::new("UPDATE resources SET version = version + 1".to_owned());
        for (name, cell) in changed.iter().filter(|(name, _)| name != "version") {
            let source = if name == "document" { Source::Document } else { Source::Fixed(cell.clone()) };
            pattern = pattern.push(&format!(", \"{name}\" = ")).value(source);
        }
        pattern.push(" WHERE row_id = ").value(Source::Link)
    }

    fn new(text: String) -> Pattern {
        Pattern { texts: vec![text], sources: Vec::new() }
    }

    fn push(mut self, text: &str) -> Pattern {
        self.texts.last_mut().unwrap().push_str(text);
        self
    }

    fn value(mut self, source: Source) -> Pattern {
        self.sources.push(source);
        self.texts.push(String::new());
        self
    }

    pub fn execute(&self, connection: &mut Connection, subject: &Subject<'_>) -> QueryResult<usize> {
        Statement::<()>::new(&self.texts, &self.cells(subject)).execute(connection)
    }

    /// The number that the database has given.
    pub fn number(&self, connection: &mut Connection, subject: &Subject<'_>) -> QueryResult<i64> {
        Statement::new(&self.texts, &self.cells(subject)).number(connection)
    }

    fn cells(&self, subject: &Subject<'_>) -> Vec<Cell> {
        let cell = |source: &Source| match source {
            Source::Fixed(cell) => cell.clone(),
            Source::Link => Cell::BigInt(subject.link),
            Source::Document => Cell::Text(subject.document.to_owned()),
            Source::Pieced(pieces) => Cell::Text(pieces.iter().map(|piece| piece.of(subject)).collect()),
        };
        self.sources.iter().map(cell).collect()
    }
}

impl Piece {
    fn of<'a>(&'a self, subject: &Subject<'a>) -> &'a str {
        match self {
            Piece::Text(text) => text,
            Piece::Id => subject.id,
            Piece::Number => subject.number,
        }
    }
}

impl Source {
    fn of(cell: &Cell, model: Model<'_>) -> Source {
        let Cell::Text(text) = cell else { return Source::Fixed(cell.clone()) };
        let mut pieces = Vec::new();
        for (number, part) in text.split(model.id).enumerate() {
            pieces.extend((number > 0).then_some(Piece::Id));
            for (number, part) in part.split(model.number).enumerate() {
                pieces.extend((number > 0).then_some(Piece::Number));
                pieces.push(Piece::Text(part.to_owned()));
            }
        }
        if pieces.len() == 1 { Source::Fixed(cell.clone()) } else { Source::Pieced(pieces) }
    }
}
