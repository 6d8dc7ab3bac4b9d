//! Brings what is stored into the form of the schemas in force, at the start of a server (RES-21).
//!
//! Each tenant notes for which definition of each type its rows are made. Where that is another one, or nobody has noted
//! it, the documents of the type are divided into what fits and what is withheld, and the search index and the unique
//! values are made again: in one transaction, which keeps the writes of other processes waiting. Those find the other
//! form afterwards and write no more.

use chrono::{DateTime, Utc};
use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde_json::{Map, Value};

use super::audit::{self, Changes, Operation, Record};
use super::connection::{Connection, Purpose};
use super::forms::Forms;
use super::resources::{self, Place};
use super::sql::Sql;
use super::statement::{OnConflict, insert_rows};
use super::unique::{UniqueValues, unique_key};
use super::values::indexed_values;
use super::{Store, error, members, tenants};
use crate::scim::resource::Document;
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::withheld::divide;
use crate::scim::{Error, ErrorKind, Result};

/// How many resources are read at once.
const CHUNK: i64 = 500;

/// What was done for one resource type of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conformed {
    /// The name of the tenant.
    pub tenant: String,
    /// The name of the resource type.
    pub resource_type: String,
    /// How many resources it has, deleted ones included; 0 for a type that is served no more.
    pub resources: usize,
    /// How many of them hold something that no schema defines.
    pub withheld: usize,
}

impl Store {
    /// Prepares the data of every tenant for these schemas, all or none; what there was to do. The history tells of the
    /// resources that are shown in another form from `now` on. Blocks.
    ///
    /// # Errors
    /// `uniqueness`, with the ids of two resources, if live ones share a value that must be unique by now. Database
    /// failures.
    pub fn conform(&self, registry: &Registry, now: DateTime<Utc>) -> Result<Vec<Conformed>> {
        let mut connection = self.inner.connector.open(Purpose::Writer)?;
        // Most starts change nothing, and keep nobody waiting.
        let mut waiting = Vec::new();
        for tenant in tenants::list(&mut connection)? {
            let forms = tenants::forms(&mut connection, tenant.tenant_id)?;
            waiting.extend((!forms.fit_all(registry.resource_types())).then_some(tenant));
        }
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        connection.begin_write(self.inner.connector.busy_timeout)?;
        let outcome = conform_all(&mut connection, &waiting, registry, now);
        match outcome {
            Ok(_) => connection.commit().map_err(error::of_commit)?,
            Err(_) => drop(connection.rollback()),
        }
        outcome
    }
}

fn conform_all(
    connection: &mut Connection,
    tenants: &[tenants::Tenant],
    registry: &Registry,
    now: DateTime<Utc>,
) -> Result<Vec<Conformed>> {
    connection.take_time()?;
    let mut done = Vec::new();
    for tenant in tenants {
        done.extend(conform_tenant(connection, tenant, registry, now)?);
    }
    Ok(done)
}

fn conform_tenant(
    connection: &mut Connection,
    tenant: &tenants::Tenant,
    registry: &Registry,
    now: DateTime<Utc>,
) -> Result<Vec<Conformed>> {
    let mut forms = lock_forms(connection, tenant.tenant_id)?;
    let before = forms.clone();
    let settings = tenants::settings(connection, tenant.tenant_id)?;
    let mut done = Vec::new();
    for resource_type in registry.resource_types() {
        let known = forms.fit(resource_type);
        if known == Some(true) {
            continue;
        }
        let place = Place { tenant_id: tenant.tenant_id, settings, resource_type };
        let conformed = Rebuild { place, tenant: &tenant.name, is_change: known.is_some(), now }.run(connection)?;
        members::resolve_type(connection, tenant.tenant_id, &resource_type.name)?;
        done.extend((conformed.resources > 0).then_some(conformed));
        forms.set(resource_type);
    }
    for name in forms.retain(registry.resource_types()) {
        members::unresolve_type(connection, tenant.tenant_id, &name)?;
        done.push(Conformed { tenant: tenant.name.clone(), resource_type: name, resources: 0, withheld: 0 });
    }
    if forms != before {
        let statement: Sql = Sql::new("UPDATE tenants SET schemas = ").bind(forms.to_json()?);
        statement.push(" WHERE tenant_id = ").bind(tenant.tenant_id).execute(connection)?;
    }
    Ok(done)
}

/// Every write looks at the row of its tenant first, so whoever holds it holds them all.
fn lock_forms(connection: &mut Connection, tenant_id: i64) -> Result<Forms> {
    let clause = connection.deletion_clause();
    let statement: Sql<Text> = Sql::new("SELECT t.schemas FROM tenants t WHERE t.tenant_id = ").bind(tenant_id);
    let text: String = statement.push(clause).get_result(connection)?;
    Forms::parse(&text)
}

/// One resource type of a tenant, made again.
struct Rebuild<'a> {
    place: Place,
    tenant: &'a str,
    /// Whether clients may have seen the resources in another form.
    is_change: bool,
    now: DateTime<Utc>,
}

/// `row_id`, `id`, `document`, `withheld`, `version`, whether it is live.
type Row = (i64, String, String, Option<String>, i64, bool);

impl Rebuild<'_> {
    fn run(&self, connection: &mut Connection) -> Result<Conformed> {
        self.clear(connection)?;
        let (mut resources, mut withheld, mut last) = (0, 0, 0);
        loop {
            let rows = self.rows_after(connection, last)?;
            let Some((row_id, ..)) = rows.last() else { break };
            last = *row_id;
            resources += rows.len();
            withheld += self.write(connection, rows)?;
        }
        let resource_type = self.place.resource_type.name.clone();
        Ok(Conformed { tenant: self.tenant.to_owned(), resource_type, resources, withheld })
    }

    /// Which rows the old form has made in the index is known to nobody, so all that belong to the type go.
    fn clear(&self, connection: &mut Connection) -> Result<()> {
        let of_type = |statement: Sql| {
            statement
                .bind(self.place.tenant_id)
                .push(" AND resource_type = ")
                .bind(self.place.resource_type.name.as_str())
        };
        let values = Sql::new("DELETE FROM resource_values WHERE tenant_id = ").bind(self.place.tenant_id);
        let values = values.push(" AND row_id IN (SELECT row_id FROM resources WHERE tenant_id = ");
        of_type(values).push(")").execute(connection)?;
        of_type(Sql::new("DELETE FROM unique_values WHERE tenant_id = ")).execute(connection)?;
        // Lest a new key meets an old one that is about to go.
        of_type(Sql::new("UPDATE resources SET unique_key = NULL WHERE tenant_id = ")).execute(connection)?;
        Ok(())
    }

    fn rows_after(&self, connection: &mut Connection, row_id: i64) -> Result<Vec<Row>> {
        let statement: Sql<(BigInt, Text, Text, Nullable<Text>, BigInt, Bool)> = Sql::new(
            "SELECT r.row_id, r.id, r.document, r.withheld, r.version, r.deleted_at IS NULL FROM resources r \
             WHERE r.tenant_id = ",
        );
        let statement = statement
            .bind(self.place.tenant_id)
            .push(" AND r.resource_type = ")
            .bind(self.place.resource_type.name.as_str())
            .push(" AND r.row_id > ")
            .bind(row_id)
            .push(" ORDER BY r.row_id LIMIT ")
            .bind(CHUNK);
        Ok(statement.load(connection)?)
    }

    /// Writes rows in the new form; how many have something withheld.
    fn write(&self, connection: &mut Connection, rows: Vec<Row>) -> Result<usize> {
        let Place { tenant_id, resource_type, settings } = self.place;
        let mut withheld_count = 0;
        let (mut index, mut changed) = (Vec::new(), Vec::new());
        for (row_id, id, before, withheld, version, is_live) in rows {
            let before = Document::from_json(&before).map_err(Error::internal)?;
            let (document, withheld) = divided(resource_type, before.clone(), withheld.as_deref())?;
            withheld_count += usize::from(withheld.is_some());
            let key = unique_key(resource_type, &document, settings.group_names);
            if is_live {
                self.check_key(connection, &id, key.as_deref())?;
            }
            resources::rewrite(connection, self.place, row_id, &document, withheld, self.is_change)?;
            let changes = Changes::of_form(resource_type, &before, &document);
            if self.is_change || !changes.is_empty() {
                changed.push((id.clone(), version + i64::from(self.is_change), changes));
            }
            if is_live {
                self.claim(connection, row_id, &id, &UniqueValues::of(resource_type, &document))?;
                index.extend(indexed_values(resource_type, &document).into_iter().map(|value| (row_id, value)));
            }
        }
        let columns = ["tenant_id", "path", "key", "row_id", "element", "tail"];
        let cells = index.iter().map(|(row_id, value)| {
            [
                tenant_id.into(),
                value.path.as_str().into(),
                value.head.as_str().into(),
                (*row_id).into(),
                value.element.into(),
                value.tail.as_str().into(),
            ]
        });
        insert_rows(connection, "resource_values", columns, cells, OnConflict::Fail)?;
        self.record(connection, &changed)?;
        Ok(withheld_count)
    }

    fn record(&self, connection: &mut Connection, changed: &[(String, i64, Changes)]) -> Result<()> {
        let mut records = Vec::with_capacity(changed.len());
        for (resource_id, version, changes) in changed {
            records.push(Record {
                tenant_id: self.place.tenant_id,
                at: self.now,
                caller: "scimd",
                request_id: "",
                operation: Operation::Conform,
                resource_type: &self.place.resource_type.name,
                resource_id,
                version: *version,
                changes,
            });
        }
        audit::append_silent(connection, &records)
    }

    fn check_key(&self, connection: &mut Connection, id: &str, key: Option<&str>) -> Result<()> {
        let Some(key) = key else { return Ok(()) };
        let holder: Sql<Text> = Sql::new("SELECT r.id FROM resources r WHERE r.deleted_at IS NULL AND r.tenant_id = ");
        let holder = holder
            .bind(self.place.tenant_id)
            .push(" AND r.resource_type = ")
            .bind(self.place.resource_type.name.as_str())
            .push(" AND r.unique_key = ")
            .bind(key);
        match holder.load::<String>(connection)?.pop() {
            Some(holder) => Err(self.clash("a value", id, &holder)),
            None => Ok(()),
        }
    }

    /// Enters the further unique values of a resource, nobody else being able to.
    fn claim(&self, connection: &mut Connection, row_id: i64, id: &str, values: &UniqueValues) -> Result<()> {
        let resource_type = self.place.resource_type;
        for (path, key) in values.iter() {
            let holder: Sql<Text> = Sql::new(
                "SELECT r.id FROM unique_values u JOIN resources r ON r.row_id = u.row_id WHERE u.tenant_id = ",
            );
            let holder = holder
                .bind(self.place.tenant_id)
                .push(" AND u.resource_type = ")
                .bind(resource_type.name.as_str())
                .push(" AND u.path = ")
                .bind(path)
                .push(" AND u.key = ")
                .bind(key);
            if let Some(holder) = holder.load::<String>(connection)?.pop() {
                let attribute = resource_type.unique.iter().find(|attribute| attribute.index_path() == path);
                let named =
                    attribute.map_or_else(|| "a value".to_owned(), |attribute| format!("a value of {attribute}"));
                return Err(self.clash(&named, id, &holder));
            }
        }
        super::unique::replace(
            connection,
            self.place.tenant_id,
            resource_type,
            row_id,
            &UniqueValues::default(),
            values,
        )
    }

    fn clash(&self, what: &str, id: &str, holder: &str) -> Error {
        let (name, tenant) = (&self.place.resource_type.name, self.tenant);
        let detail = format!(
            "The schemas demand what the data does not keep: the {name} resources {holder} and {id} of tenant `{tenant}` \
             share {what} that must be unique. Nothing is changed; start with the schemas as they were, change or delete \
             one of the two, then start again."
        );
        Error::new(ErrorKind::Uniqueness, detail)
    }
}

fn divided(
    resource_type: &'static ResourceType,
    document: Document,
    withheld: Option<&str>,
) -> Result<(Document, Option<String>)> {
    let withheld: Map<String, Value> =
        withheld.map_or(Ok(Map::new()), serde_json::from_str).map_err(Error::internal)?;
    let (document, withheld) = divide(resource_type, document, withheld);
    Ok((document, (!withheld.is_empty()).then(|| Value::Object(withheld).to_string())))
}
