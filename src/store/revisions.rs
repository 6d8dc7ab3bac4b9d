//! New states of live resources of several callers, where statements are round trips: one statement for all of them, which takes
//! no lock before. A resource that is not as its caller has read it is left alone.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable};

use super::Connection;
use super::audit::{self, Operation, Written};
use super::cell::Cell;
use super::lists::ListSql;
use super::resources::{Columns, StoredText, is_group};
use super::tenants::{GroupNames, SeenTenant};
use super::unique::UniqueValues;
use super::values;
use crate::scim::Result;
use crate::scim::resource::Document;
use crate::scim::schema::ResourceType;

/// The state that a PUT or a PATCH gives a live resource, instead of the one in which it was read.
#[derive(Debug)]
pub struct Revision {
    resource_type: &'static ResourceType,
    after: StoredText,
    /// By which PostgreSQL knows the state of the row that was read ([`super::glance::Seen::for_write`]).
    edition: i64,
    modified_before: DateTime<Utc>,
    /// Whether the document stays as it was.
    keeps_document: bool,
    columns: Columns,
    indexed: values::Difference,
}

impl Revision {
    /// The second document after the first one, which is that of the state before, read in that edition. `lastModified` moves,
    /// never back, and the version where the document does. `None` where a unique value changes, where a value of the index
    /// takes the place of another one, and for a group: that takes more than one statement.
    pub fn of(
        resource_type: &'static ResourceType,
        (before, edition): (StoredText, i64),
        [old, new]: [&Document; 2],
        now: DateTime<Utc>,
    ) -> Option<Revision> {
        let unique_values = |document| UniqueValues::of(resource_type, document);
        let [held, columns] =
            [old, new].map(|document| Columns::of_type(resource_type, document, GroupNames::default()));
        let indexed = values::Difference::between(resource_type, Some(old), Some(new));
        let holds_the_same = held.unique_key == columns.unique_key && unique_values(old) == unique_values(new);
        if is_group(resource_type) || !holds_the_same || indexed.has_successors() {
            return None;
        }
        let (keeps_document, modified_before) = (old == new, before.meta.last_modified);
        let mut after = before;
        after.meta.last_modified = now.max(modified_before);
        if !keeps_document {
            after.meta.version += 1;
            after.document = new.to_json();
        }
        Some(Revision { resource_type, after, edition, modified_before, keeps_document, columns, indexed })
    }

    /// The type of the resource.
    pub fn resource_type(&self) -> &'static ResourceType {
        self.resource_type
    }

    /// The resource once it is written.
    pub fn after(&self) -> &StoredText {
        &self.after
    }

    /// Whether the document stays as it was, so that `lastModified` alone moves, and the history has nothing to say.
    pub fn keeps_document(&self) -> bool {
        self.keeps_document
    }

    /// What stands in [`CELLS`].
    fn cells(&self) -> [Cell<'_>; CELLS.len()] {
        [
            self.after.row_id.into(),
            self.edition.into(),
            self.modified_before.naive_utc().into(),
            self.keeps_document.into(),
            self.columns.external_id.as_deref().into(),
            self.columns.display_name.as_deref().into(),
            self.columns.active.into(),
            if self.keeps_document { "" } else { &self.after.document }.into(),
            self.after.meta.version.into(),
            self.after.meta.last_modified.naive_utc().into(),
        ]
    }
}

/// The row, the state in which it was read, and what it is to have; no document if it keeps the one that it has.
const CELLS: [&str; 10] = [
    "row_id",
    "edition",
    "modified_before",
    "keeps_document",
    "external_id",
    "display_name",
    "active",
    "document",
    "version",
    "modified_at",
];

/// A revision, and what the history is to say of it.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// The revision.
    pub revision: &'a Revision,
    /// What the history says of it; nothing if it [keeps its document](Revision::keeps_document).
    pub written: Option<&'a Written>,
}

/// Writes revisions of resources of one type, with the search index, and appends these changes of one kind to the history, with
/// their events: whether each is written. Not written is what is about a resource that is not as it was read, or about one that
/// another one of these is about; each has to learn by itself what is wrong with it. `None` in place of all, and nothing is
/// written, if the tenant is not as it was, or another transaction keeps it.
///
/// # Errors
/// Database failures, also if somebody has a row for longer than a moment; nothing is written.
pub fn write(
    connection: &mut Connection,
    tenant: &SeenTenant,
    revised: &[Recorded<'_>],
    operation: Operation,
) -> Result<Option<Vec<bool>>> {
    // Two who change the same rows wait for each other in the same order, which is that of the list.
    let mut places: BTreeMap<i64, usize> = BTreeMap::new();
    for (place, one) in revised.iter().enumerate() {
        places.entry(one.revision.after.row_id).or_insert(place);
    }
    let due: Vec<&Recorded<'_>> = places.values().map(|place| &revised[*place]).collect();
    let written: Vec<Option<i64>> = statement(connection, tenant, &due, operation).load(connection)?;
    if written.is_empty() {
        return Ok(None);
    }
    let mut answer = vec![false; revised.len()];
    let written = written.into_iter().flatten().filter_map(|row_id| places.get(&row_id));
    written.for_each(|place| answer[*place] = true);
    Ok(Some(answer))
}

fn statement<'a>(
    connection: &Connection,
    tenant: &'a SeenTenant,
    due: &[&Recorded<'a>],
    operation: Operation,
) -> ListSql<'a, Nullable<BigInt>> {
    let tenant_id = tenant.tenant_id();
    let gone = due.iter().flat_map(|one| {
        let row_id = one.revision.after.row_id;
        one.revision.indexed.gone().iter().map(move |value| (row_id, value))
    });
    let come = due.iter().flat_map(|one| {
        let id = one.revision.after.id.as_str();
        one.revision.indexed.come().iter().map(move |value| (id, value))
    });
    let written: Vec<&Written> = due.iter().filter_map(|one| one.written).collect();
    let statement = changed(tenant.if_unchanged(connection), due);
    let statement = values::beside::delete(statement, "changed", tenant_id, gone);
    let statement = values::beside::insert(statement, "changed", tenant_id, come);
    let statement = audit::beside::append(statement, "changed", &written, operation);
    let moves_time_alone = due.iter().any(|one| one.revision.keeps_document);
    let statement = if moves_time_alone { touched(statement) } else { statement };
    statement.push(" SELECT m.row_id FROM t LEFT JOIN changed m ON TRUE")
}

/// The rows that are as they were read get their next state.
fn changed<'a, Row>(statement: ListSql<'a, Row>, due: &[&Recorded<'a>]) -> ListSql<'a, Row> {
    let rows: Vec<_> = due.iter().map(|one| one.revision.cells()).collect();
    let statement = statement.push(
        ", changed AS (UPDATE resources r SET external_id = g.external_id, display_name = g.display_name, \
         active = g.active, document = CASE WHEN g.keeps_document THEN r.document ELSE g.document END, \
         version = g.version, modified_at = g.modified_at FROM t CROSS JOIN ",
    );
    // Not every change of a row moves its version, or what a client sees of it. Where another transaction has just written the
    // row, or is about to, READ COMMITTED looks at its newest state again, and `xmin` is the number of that transaction. Whoever
    // takes the place of a server that is lost may give a number again that it has never heard of; then the time differs.
    statement.table(&rows, "g", &CELLS).push(
        " WHERE r.row_id = g.row_id AND CAST(CAST(r.xmin AS TEXT) AS BIGINT) = g.edition \
         AND r.modified_at = g.modified_before RETURNING r.row_id, r.id, r.modified_at, g.keeps_document)",
    )
}

/// Of those whose `lastModified` alone moves the history has nothing else.
fn touched<Row>(statement: ListSql<'_, Row>) -> ListSql<'_, Row> {
    statement.push(
        ", touched AS (INSERT INTO touches (row_id, at) SELECT m.row_id, m.modified_at FROM changed m \
         WHERE m.keeps_document ON CONFLICT DO NOTHING)",
    )
}
