//! Brings what is stored into the form of the schemas in force, at the start of a server (RES-21).
//!
//! Each tenant notes for which definition of each type its rows are made. Where that is another one, or nobody has noted
//! it, the documents of the type are divided into what fits and what is withheld, and the search index and the unique
//! values are made again: in one transaction, which keeps the writes of other processes waiting. Those find the other
//! form afterwards and write no more.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::{Map, Value};

use super::audit::{self, Changes, Operation, Record};
use super::connection::{Connection, Purpose};
use super::forms::Forms;
use super::resources::{self, Place};
use super::sql::Sql;
use super::unique::{UniqueValues, unique_key};
use super::values::{self, indexed_values};
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
        if waiting(&mut connection, registry)?.is_empty() {
            return Ok(Vec::new());
        }
        connection.begin_write(self.inner.connector.busy_timeout)?;
        let outcome = conform_all(&mut connection, registry, now);
        match outcome {
            Ok(_) => connection.commit().map_err(error::of_commit)?,
            Err(_) => drop(connection.rollback()),
        }
        outcome
    }
}

/// The tenants whose data is kept in another form than ours.
fn waiting(connection: &mut Connection, registry: &Registry) -> Result<Vec<tenants::Tenant>> {
    let mut waiting = Vec::new();
    for tenant in tenants::list(connection)? {
        let forms = tenants::forms(connection, tenant.tenant_id)?;
        waiting.extend((!forms.fit_all(registry.resource_types())).then_some(tenant));
    }
    Ok(waiting)
}

fn conform_all(connection: &mut Connection, registry: &Registry, now: DateTime<Utc>) -> Result<Vec<Conformed>> {
    connection.take_time()?;
    // A new tenant takes over the forms of the first one, so while that one is held nobody makes another in the old form.
    if let Some(first) = tenants::list(connection)?.first() {
        lock_forms(connection, first.tenant_id)?;
    }
    let mut done = Vec::new();
    for tenant in waiting(connection, registry)? {
        done.extend(conform_tenant(connection, &tenant, registry, now)?);
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

/// `row_id`, `id`, `document`, `withheld`, `version`.
type Row = (i64, String, String, Option<String>, i64);

/// Of live rows or of buried ones: each index of `resources` has one kind alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Live,
    Buried,
}

impl Rebuild<'_> {
    fn run(&self, connection: &mut Connection) -> Result<Conformed> {
        let resources = self.clear(connection)?;
        let mut withheld = 0;
        for kind in [Kind::Live, Kind::Buried] {
            let mut last = 0;
            loop {
                let rows: Vec<Row> = self.rows_after(kind, last).load(connection)?;
                let Some((row_id, ..)) = rows.last() else { break };
                last = *row_id;
                withheld += self.write(connection, kind, rows)?;
            }
        }
        let resource_type = self.place.resource_type.name.clone();
        Ok(Conformed { tenant: self.tenant.to_owned(), resource_type, resources, withheld })
    }

    /// Takes the keys and the index of the type away; how many resources it has.
    ///
    /// Which rows the old form has made in the index is known to nobody, so all that belong to the type go. To find them
    /// means to look at every value of the tenant, which is not done for a type without resources.
    fn clear(&self, connection: &mut Connection) -> Result<usize> {
        // Lest a new key meets an old one that is about to go.
        let mut resources = 0;
        for kind in [Kind::Live, Kind::Buried] {
            resources += Sql::<()>::new("UPDATE resources SET unique_key = NULL WHERE ")
                .append(self.rows(kind))
                .execute(connection)?;
        }
        if resources > 0 {
            Sql::<()>::new("DELETE FROM resource_values WHERE ")
                .append(values::is_of_tenant(self.place.tenant_id))
                .push(" AND row_id IN (SELECT row_id FROM resources WHERE ")
                .append(self.rows(Kind::Live))
                .push(")")
                .execute(connection)?;
            Sql::<()>::new("DELETE FROM unique_values WHERE tenant_id = ")
                .bind(self.place.tenant_id)
                .push(" AND resource_type = ")
                .bind(self.place.resource_type.name.as_str())
                .execute(connection)?;
        }
        Ok(resources)
    }

    fn rows(&self, kind: Kind) -> Sql {
        Sql::new("tenant_id = ")
            .bind(self.place.tenant_id)
            .push(" AND resource_type = ")
            .bind(self.place.resource_type.name.as_str())
            .push(match kind {
                Kind::Live => " AND deleted_at IS NULL",
                Kind::Buried => " AND deleted_at IS NOT NULL AND purged_at IS NULL",
            })
    }

    /// The next rows in the order of creation, from an index that knows tenant and type: what other tenants have is not
    /// passed by.
    fn rows_after(&self, kind: Kind, row_id: i64) -> Sql<(BigInt, Text, Text, Nullable<Text>, BigInt)> {
        let statement = Sql::new("SELECT row_id, id, document, withheld, version FROM resources WHERE ");
        let statement = statement.append(self.rows(kind));
        // The index of buried rows has them by their keys, which none of those to come has any more.
        let [keyless, order] = match kind {
            Kind::Live => ["", "row_id"],
            Kind::Buried => [" AND unique_key IS NULL", "unique_key, row_id"],
        };
        let statement = statement.push(keyless).push(" AND row_id > ").bind(row_id);
        statement.push(" ORDER BY ").push(order).push(" LIMIT 0 + ").bind(CHUNK)
    }

    /// Writes rows in the new form; how many have something withheld.
    fn write(&self, connection: &mut Connection, kind: Kind, rows: Vec<Row>) -> Result<usize> {
        let is_live = kind == Kind::Live;
        let Place { tenant_id, resource_type, settings } = self.place;
        let mut withheld_count = 0;
        let (mut index, mut changed) = (Vec::new(), Vec::new());
        for (row_id, id, before, withheld, version) in rows {
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
        values::insert_all(connection, tenant_id, index.iter().map(|(row_id, value)| (*row_id, value)))?;
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

#[cfg(test)]
mod tests {
    use diesel::sql_types::Integer;

    use super::*;
    use crate::store::Reach;
    use crate::store::connection::Connection;
    use crate::store::tenants::TenantSettings;
    use crate::store::tests::{Fixture, at, on_each_database};

    fn plan(connection: &mut Connection, kind: Kind) -> Result<String> {
        let resource_type = Registry::builtin().resource_type("User").expect("User is built in");
        let place = Place { tenant_id: 1, settings: TenantSettings::default(), resource_type };
        let rebuild = Rebuild { place, tenant: "default", is_change: false, now: at("2026-03-01T12:00:00").and_utc() };
        if !connection.locks_rows() {
            let explained: Sql<(Integer, Integer, Integer, Text)> = Sql::new("EXPLAIN QUERY PLAN ");
            let steps: Vec<(i32, i32, i32, String)> = explained.append(rebuild.rows_after(kind, 7)).load(connection)?;
            return Ok(steps.into_iter().map(|step| step.3 + "\n").collect());
        }
        // Of an empty table PostgreSQL would read the whole.
        for way in ["enable_seqscan", "enable_bitmapscan", "enable_sort"] {
            Sql::<()>::new("SET LOCAL ").push(way).push(" = off").execute(connection)?;
        }
        let explained: Sql<Text> = Sql::new("EXPLAIN ");
        let steps: Vec<String> = explained.append(rebuild.rows_after(kind, 7)).load(connection)?;
        Ok(steps.join("\n"))
    }

    #[test]
    fn res_21_rows_are_found_through_an_index_of_their_tenant_and_type() {
        on_each_database(|Fixture { store, .. }| async move {
            for (kind, index) in [(Kind::Live, "resources_live"), (Kind::Buried, "resources_buried_key")] {
                let plan = store.read(Reach::Point, move |connection| plan(connection, kind)).await.expect("a plan");
                assert!(plan.contains(&format!("{index} ")), "{kind:?}\n{plan}");
                assert!(!plan.contains("TEMP B-TREE") && !plan.contains("Sort"), "{kind:?}\n{plan}");
            }
        });
    }

    #[test]
    fn res_21_a_tenant_that_is_made_during_a_start_is_kept_for_its_schemas() {
        on_each_database(|Fixture { store, postgres }| async move {
            // Given a tenant that is not committed yet when a start looks at which tenants there are.
            let (commit, gate) = std::sync::mpsc::channel::<()>();
            let (made, is_made) = std::sync::mpsc::channel();
            let making = tokio::spawn({
                let store = store.clone();
                async move {
                    let make = move |connection: &mut Connection| {
                        tenants::insert(connection, "new", at("2026-03-01T09:30:00"))?;
                        made.send(()).expect("somebody waits");
                        let _ = gate.recv();
                        Ok(())
                    };
                    store.write(make).await
                }
            });
            tokio::task::yield_now().await;
            let (start, watched) = (store.clone(), store.clone());
            let conformed = tokio::task::spawn_blocking(move || {
                is_made.recv().expect("the tenant is made");
                std::thread::scope(|scope| {
                    let conforming =
                        scope.spawn(move || start.conform(Registry::builtin(), at("2026-03-01T12:00:00").and_utc()));
                    let mut connection = watched.inner.connector.open(Purpose::Pool).expect("a connection");
                    while postgres && !conforming.is_finished() && !somebody_waits(&mut connection) {
                        std::thread::yield_now();
                    }
                    commit.send(()).expect("the tenant waits");
                    conforming.join().expect("no panic")
                })
            });
            conformed.await.expect("no panic").expect("conformed");
            making.await.expect("no panic").expect("made");

            let forms = |connection: &mut Connection| {
                let tenants = tenants::list(connection)?;
                tenants.iter().map(|tenant| tenants::forms(connection, tenant.tenant_id)).collect::<Result<Vec<_>>>()
            };
            let forms = store.read(Reach::Point, forms).await.expect("forms");
            assert_eq!(forms.len(), 2);
            assert!(forms.iter().all(|forms| forms.fit_all(Registry::builtin().resource_types())), "{forms:?}");
        });
    }

    fn somebody_waits(connection: &mut Connection) -> bool {
        let waiting: Sql<BigInt> = Sql::new(
            "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0 AND query LIKE \
             'SELECT t.schemas FROM tenants t%'",
        );
        waiting.get_result::<i64>(connection).expect("an answer") > 0
    }
}
