//! Bulk: many writes in one transaction, a savepoint for each (RFC 7644 §3.7, BULK-17).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::create::{self, Creation};
use super::credential::Hashed;
use super::delete::Deletion;
use super::modify::Modification;
use super::replace::Replacement;
use super::{Call, Provider, Representation, Target};
use crate::auth::Access;
use crate::scim::bulk::{self, BulkRequest, Created, Data, Method, Outcome, Step, Success, Write};
use crate::scim::message::MAX_BODY;
use crate::scim::patch::{Budget, looks};
use crate::scim::projection::Projection;
use crate::scim::raw::RawObject;
use crate::scim::schema::{ResourceType, Role};
use crate::scim::version::Preconditions;
use crate::scim::{Error, ErrorKind, Result};
use crate::store::Connection;
use crate::store::resources::{self, StoredResource};

impl Provider {
    /// Makes the operations of a bulk request, each as the single request would be made. One that fails undoes itself
    /// alone; those that need it fail with it. `None` stands for the operations that were not made, because there were
    /// errors enough before (BULK-05).
    ///
    /// With `represent` the outcomes have the representations, as many as fit into an answer of [`MAX_BODY`] bytes.
    ///
    /// # Errors
    /// Failures of ours, and too many bulk requests at once; then nothing of the request is stored.
    pub async fn bulk(&self, call: Call, request: Arc<BulkRequest>, represent: bool) -> Result<Vec<Option<Outcome>>> {
        let turn = timeout(PATIENCE, Arc::clone(&self.bulk_turns).acquire_owned()).await.map_err(|_| too_many())?;
        let turn = turn.map_err(Error::internal)?;
        let hashed = self.hash_passwords(&call, &request).await?;
        let (provider, now) = (self.clone(), self.now());
        let write = move |connection: &mut Connection| {
            // It ends with the work, which goes on when the client is gone.
            let _turn = &turn;
            Bulk::new(&provider, &call, &request, &hashed, now, represent).make(connection)
        };
        self.store.write(write).await
    }

    /// The hash of the password that each operation sets, before the transaction: no connection waits for argon2.
    async fn hash_passwords(&self, call: &Call, request: &BulkRequest) -> Result<Vec<Hashed>> {
        let mut hashed = vec![Hashed::default(); request.len()];
        for (at, hashed) in hashed.iter_mut().enumerate() {
            let Ok(write) = request.write(at) else { continue };
            let Some(resource_type) = self.resource_type_at(&write.endpoint) else { continue };
            if call.caller.may(Access::Write, &write.endpoint).is_err() {
                continue;
            }
            *hashed = match write.method {
                Method::Post | Method::Put => {
                    Hashed::of_body(&self.passwords, resource_type, write.sent(), call.profile()).await?
                }
                Method::Patch => {
                    Hashed::of_message(&self.passwords, resource_type, write.sent(), call.profile()).await?
                }
                Method::Delete => continue,
            };
        }
        Ok(hashed)
    }

    fn resource_type_at(&self, endpoint: &str) -> Option<&'static ResourceType> {
        self.registry.resource_types().iter().copied().find(|resource_type| resource_type.endpoint == endpoint)
    }
}

/// How many bulk requests are under way at most (SEC-05). Each may keep SQLite's one writer for a second or more, and
/// whoever changes a single resource waits behind them.
pub(super) const AT_ONCE: usize = 4;

/// How long a bulk request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

fn too_many() -> Error {
    Error::new(ErrorKind::Busy, "Too many bulk requests are under way; please try again shortly.")
}

/// Everything but the unreserved characters of RFC 3986 §2.3.
const NOT_IN_A_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One run through a bulk request.
struct Bulk<'a> {
    provider: &'a Provider,
    call: &'a Call,
    request: &'a BulkRequest,
    /// The passwords that the operations set.
    hashed: &'a [Hashed],
    now: DateTime<Utc>,
    /// What of the answer is left for representations.
    room: usize,
    budget: Budget,
    /// The resources that operations were about, and how much they show of others. The first operation on each is free;
    /// for every further one the budget pays, or a thousand small operations could go over a huge document each.
    touched: HashMap<String, usize>,
    created: Vec<Option<Created>>,
    outcomes: Vec<Option<Outcome>>,
    errors: usize,
}

/// A resource that an operation has made or changed.
struct Made {
    resource_type: &'static ResourceType,
    /// `None` after a deletion.
    stored: Option<StoredResource>,
}

impl<'a> Bulk<'a> {
    fn new(
        provider: &'a Provider,
        call: &'a Call,
        request: &'a BulkRequest,
        hashed: &'a [Hashed],
        now: DateTime<Utc>,
        represent: bool,
    ) -> Bulk<'a> {
        let room = if represent { MAX_BODY } else { 0 };
        let (created, outcomes) = (vec![None; request.len()], (0..request.len()).map(|_| None).collect());
        Bulk {
            provider,
            call,
            request,
            hashed,
            now,
            room,
            budget: Budget::full(),
            touched: HashMap::new(),
            created,
            outcomes,
            errors: 0,
        }
    }

    fn make(mut self, connection: &mut Connection) -> Result<Vec<Option<Outcome>>> {
        for step in self.request.steps() {
            match step {
                Step::One(at) => self.one(connection, *at)?,
                Step::Circle(operations) => self.circle(connection, operations)?,
            }
            if self.errors >= self.request.most_errors() {
                break;
            }
        }
        Ok(self.outcomes)
    }

    fn one(&mut self, connection: &mut Connection, at: usize) -> Result<()> {
        let made = match self.check(at, &[]) {
            Ok(()) => self.operation(connection, at),
            Err(error) => Err(error),
        };
        match made {
            Ok(made) => self.succeed(connection, at, made),
            Err(error) => self.fail(at, error),
        }
    }

    /// Creations that need each other: all or none. Each is made without what it can't refer to yet, and completed when
    /// all are there (BULK-10).
    fn circle(&mut self, connection: &mut Connection, operations: &[usize]) -> Result<()> {
        let mut failed = None;
        let made = connection.savepoint(|connection| {
            let mut made = Vec::with_capacity(operations.len());
            let mut incomplete = Vec::new();
            for (position, at) in operations.iter().enumerate() {
                failed = Some(*at);
                self.check(*at, operations)?;
                let (one, data) = self.part_of_circle(connection, *at)?;
                made.push(one);
                incomplete.push((position, *at, data));
            }
            for (position, at, data) in incomplete {
                failed = Some(at);
                made[position].stored = self.complete(connection, at, &data)?.or(made[position].stored.take());
            }
            Ok(made)
        });
        match made {
            Ok(made) => operations.iter().zip(made).try_for_each(|(at, made)| self.succeed(connection, *at, made)),
            Err(error) if !error.kind().is_the_callers() => Err(error),
            Err(error) => {
                let failed = failed.unwrap_or(operations[0]);
                operations.iter().for_each(|at| self.created[*at] = None);
                for at in operations.iter().filter(|at| **at != failed) {
                    self.fail(*at, self.dependency_failed(failed))?;
                }
                self.fail(failed, error)
            }
        }
    }

    /// Whether everything that an operation needs is there, or will be with the others of its circle.
    fn check(&self, at: usize, circle: &[usize]) -> Result<()> {
        match self.request.missing(at, &self.created, circle) {
            Some(missing) => Err(self.dependency_failed(missing)),
            None => Ok(()),
        }
    }

    fn dependency_failed(&self, needed: usize) -> Error {
        let detail = format!("dependency failed: bulkId:{} was not created.", self.request.shown_bulk_id(needed));
        Error::new(ErrorKind::DependencyFailed, detail)
    }

    fn operation(&mut self, connection: &mut Connection, at: usize) -> Result<Made> {
        let (write, resource_type) = self.write(at)?;
        let data = self.request.data(write, &self.created);
        let (call, now) = (self.call, self.now);
        let stored = match write.method {
            Method::Post => Some(self.create(connection, at, resource_type, &data.known)?),
            Method::Put => {
                let target = self.target(write, resource_type)?;
                let replacement = Replacement::of(call, target.clone(), data.known.into_owned())?;
                let replacement = replacement.with(self.hashed[at].clone());
                self.touch(connection, &target)?;
                Some(connection.savepoint(|connection| replacement.make(connection, call, now))?)
            }
            Method::Patch => {
                let target = self.target(write, resource_type)?;
                Some(self.modify(connection, target, &data.known, self.hashed[at].clone())?)
            }
            Method::Delete => {
                let target = self.target(write, resource_type)?;
                let deletion = Deletion::of(call, target.clone())?;
                self.touch(connection, &target)?;
                connection.savepoint(|connection| deletion.make(connection, call, now))?;
                None
            }
        };
        Ok(Made { resource_type, stored })
    }

    fn create(
        &mut self,
        connection: &mut Connection,
        at: usize,
        resource_type: &'static ResourceType,
        data: &Map<String, Value>,
    ) -> Result<StoredResource> {
        let (call, now) = (self.call, self.now);
        let accepted = create::accept(call, resource_type, data)?;
        let creation = Creation::of(call, resource_type, accepted, self.hashed[at].clone(), now)?;
        let stored = match connection.savepoint(|connection| creation.insert(connection, call)) {
            Err(conflict) if creation.may_enable_again(call, &conflict) => {
                self.budget.check()?;
                let enabled = connection.savepoint(|connection| creation.enable_again(connection, call, data, now))?;
                enabled.ok_or(conflict)
            }
            other => other.map(|stored| creation.as_stored(stored)),
        }?;
        if let Some(shown) = self.touched.get(&stored.id).copied() {
            // Enabled again and again: what comes next is not.
            let _ = self.budget.go_over_again(stored.document.to_json().len(), shown);
        }
        let location = self.location(resource_type, &stored.id);
        self.created[at] = Some(Created { id: stored.id.clone(), location });
        Ok(stored)
    }

    fn modify(
        &mut self,
        connection: &mut Connection,
        target: Target,
        message: &Map<String, Value>,
        hashed: Hashed,
    ) -> Result<StoredResource> {
        let modification = Modification::parse(self.call, target.clone(), message)?.with(hashed);
        self.touch(connection, &target)?;
        let (provider, call, budget, now) = (self.provider, self.call, &mut self.budget, self.now);
        connection.savepoint(|connection| modification.make(provider, connection, call, budget, now))
    }

    /// Pays for an operation on a resource that an earlier one was about.
    fn touch(&mut self, connection: &mut Connection, target: &Target) -> Result<()> {
        let Some(shown) = self.touched.get(&target.id).copied() else {
            self.touched.insert(target.id.clone(), 0);
            return Ok(());
        };
        let size = resources::size(connection, self.call.caller.tenant_id, &target.resource_type.name, &target.id)?;
        self.budget.go_over_again(size.and_then(|size| usize::try_from(size).ok()).unwrap_or_default(), shown)
    }

    /// A creation without what it can't refer to yet, and its data.
    fn part_of_circle(&mut self, connection: &mut Connection, at: usize) -> Result<(Made, Data<'a>)> {
        let (write, resource_type) = self.write(at)?;
        let data = self.request.data(write, &self.created);
        if let Some(attribute) = data.required_and_deferred(resource_type) {
            let detail = format!(
                "{attribute} is required, and refers to a resource that can't be created before this one: they need \
                 each other."
            );
            return Err(Error::new(ErrorKind::DependencyFailed, detail));
        }
        let stored = self.create(connection, at, resource_type, &data.known)?;
        Ok((Made { resource_type, stored: Some(stored) }, data))
    }

    /// Adds what a creation in a circle could not refer to before, if there is anything.
    fn complete(&mut self, connection: &mut Connection, at: usize, data: &Data<'_>) -> Result<Option<StoredResource>> {
        let (_, resource_type) = self.write(at)?;
        let (Some(link), Some(created)) = (self.request.link(data, resource_type, &self.created), &self.created[at])
        else {
            return Ok(None);
        };
        // Nobody else has seen the resource: whatever version it is in is the expected one.
        let preconditions = Preconditions { if_match: Some("*".to_owned()), if_none_match: None };
        let target = Target { resource_type, id: created.id.clone(), preconditions };
        self.modify(connection, target, &link, Hashed::default()).map(Some)
    }

    /// What the operation wants, and the type of resource it is about.
    fn write(&self, at: usize) -> Result<(&'a Write, &'static ResourceType)> {
        let refused = |error: &Error| Error::new(error.kind(), error.detail());
        let write = self.request.write(at).map_err(refused)?;
        let resource_type = self.resource_type(write);
        let unknown = || Error::new(ErrorKind::NotFound, "path: there is no such endpoint.");
        Ok((write, resource_type.ok_or_else(unknown)?))
    }

    fn resource_type(&self, write: &Write) -> Option<&'static ResourceType> {
        self.provider.resource_type_at(&write.endpoint)
    }

    fn target(&self, write: &Write, resource_type: &'static ResourceType) -> Result<Target> {
        let id = self.id(write).ok_or_else(|| Error::internal("an operation without a target"))?;
        let preconditions = Preconditions { if_match: write.version.clone(), if_none_match: None };
        Ok(Target { resource_type, id: id.to_owned(), preconditions })
    }

    /// The id of the resource that an operation is about, if there is such a resource.
    fn id<'s>(&'s self, write: &'s Write) -> Option<&'s str> {
        match write.target.as_ref()? {
            bulk::Target::Id(id) => Some(id),
            bulk::Target::Created(at) => self.created[*at].as_ref().map(|created| created.id.as_str()),
        }
    }

    fn location(&self, resource_type: &ResourceType, id: &str) -> String {
        let id = utf8_percent_encode(id, NOT_IN_A_SEGMENT);
        format!("{}{}/{id}", self.provider.base_url, resource_type.endpoint)
    }

    /// The place of what a PUT, PATCH or DELETE is about.
    fn location_of_target(&self, at: usize) -> Option<String> {
        let (write, resource_type) = self.write(at).ok()?;
        Some(self.location(resource_type, self.id(write)?))
    }

    fn succeed(&mut self, connection: &mut Connection, at: usize, made: Made) -> Result<()> {
        let Some(stored) = made.stored else {
            let location = self.location_of_target(at);
            self.outcomes[at] = Some(Outcome { location, result: Ok(Success::default()) });
            return Ok(());
        };
        let projection = self.projection(at, made.resource_type)?;
        let id = stored.id.clone();
        let tenant_id = self.call.caller.tenant_id;
        let shown = self.provider.show(connection, tenant_id, stored, &projection)?;
        let Representation { text, tag, location } = shown.representation;
        self.touched.insert(id, looks_at_others(made.resource_type, &text)?);
        let response = if shown.whole { self.fit(text) } else { None };
        let success = Success { version: Some(tag.to_string()), response };
        self.outcomes[at] = Some(Outcome { location: Some(location), result: Ok(success) });
        Ok(())
    }

    /// What the single request would show: what is returned on request as well, where it is set (CHAR-07).
    fn projection(&self, at: usize, resource_type: &'static ResourceType) -> Result<Projection> {
        let everything = Projection::everything(resource_type);
        let (write, _) = self.write(at)?;
        Ok(match write.method {
            Method::Patch => everything.after_patch(write.sent()),
            _ => everything.after_write(write.sent()),
        })
    }

    /// The representation, if it is wanted and there is room for it.
    fn fit(&mut self, text: String) -> Option<String> {
        let left = self.room.checked_sub(text.len());
        self.room = left.unwrap_or(self.room);
        left.map(|_| text)
    }

    fn fail(&mut self, at: usize, error: Error) -> Result<()> {
        if !error.kind().is_the_callers() {
            return Err(error);
        }
        self.errors += 1;
        self.outcomes[at] = Some(Outcome { location: self.location_of_target(at), result: Err(error) });
        Ok(())
    }
}

/// What a representation shows of other resources.
fn looks_at_others(resource_type: &ResourceType, text: &str) -> Result<usize> {
    let shown = RawObject::parse(text)?;
    let attributes = [Role::Members, Role::Groups].map(|role| resource_type.attribute_in_role(role));
    let values = attributes.into_iter().flatten().filter_map(|attribute| shown.get(&attribute.name));
    let values = values.filter_map(|value| serde_json::from_str::<Vec<Value>>(value).ok());
    Ok(values.map(|elements| looks(&elements)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::system_clock;
    use crate::scim::schema::Registry;
    use crate::scim::{Profile, bulk};
    use crate::store::{Settings, Store};

    #[test]
    fn sec_05_one_bulk_request_too_many_is_told_to_come_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite:{}", directory.path().join("scimd.db").display());
        let store = Store::open(&Settings::new(url.parse().expect("a URL"))).expect("the database opens");
        store.migrate().expect("the migrations apply");
        let provider = Provider::new(store, Registry::builtin(), "https://x/scim/v2", system_clock());
        let call = Call::of_a_test();
        let message = serde_json::json!({"Operations": [{"method": "DELETE", "path": "/Users/1"}]});
        let message = message.as_object().expect("an object").clone();
        let message = Arc::new(bulk::parse(message, Profile::Compat).expect("a bulk message"));
        // Time passes as soon as there is nothing to do but to wait.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();

        let refused = runtime.expect("a runtime").block_on(async {
            let all = u32::try_from(AT_ONCE).expect("a small number");
            let others = provider.bulk_turns.acquire_many(all).await.expect("turns");
            let refused = provider.bulk(call.clone(), Arc::clone(&message), false).await;
            drop(others);
            let done = provider.bulk(call, message, false).await.expect("a turn");
            assert!(done[0].as_ref().is_some_and(|outcome| outcome.result.is_err()));
            refused
        });

        assert_eq!(refused.expect_err("too many").kind(), ErrorKind::Busy);
    }
}
