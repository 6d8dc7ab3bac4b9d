//! What tests of the operations have in common.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use super::{Call, Provider, Representation, Target, system_clock};
use crate::scim::projection::Projection;
use crate::scim::query::{Parameters, Query};
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::version::Preconditions;
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::audit::{self, Entry};
use crate::store::tests::{rows_in, waiting_writes};
use crate::store::{Connection, Reach, Store};

pub(super) fn provider(store: &Store) -> Provider {
    Provider::new(store.clone(), Registry::with_passwords(), "https://x/scim/v2", system_clock())
}

pub(super) fn user() -> &'static ResourceType {
    Registry::with_passwords().resource_type("User").expect("User is built in")
}

pub(super) fn members(value: &Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

pub(super) fn call(request_id: &str) -> Call {
    Call { request_id: request_id.into(), ..Call::of_a_test() }
}

pub(super) async fn create(provider: Provider, body: Value) -> Result<Representation> {
    let request = body["userName"].as_str().unwrap_or_default().to_owned();
    create_as(call(&request), provider, body).await
}

pub(super) async fn create_as(call: Call, provider: Provider, body: Value) -> Result<Representation> {
    provider.create(call, user(), members(&body), everything(user())).await
}

pub(super) fn named(name: &str) -> Value {
    json!({"userName": name, "displayName": format!("The one called {name}"), "emails": [
        {"value": format!("{name}@example.com"), "type": "work", "primary": true}, {"value": format!("{name}@example.org")}]})
}

pub(super) fn json_of(representation: &Representation) -> Value {
    Value::Object(representation.members().expect("an object"))
}

pub(super) fn id(representation: &Representation) -> String {
    json_of(representation)["id"].as_str().expect("an id").to_owned()
}

pub(super) async fn found(store: &Store, filter: &str) -> Vec<String> {
    let parameters = Parameters { filter: Some(filter.to_owned()), ..Parameters::default() };
    let query = Query::resolve(&parameters, user(), Profile::Compat).expect("a query");
    let results = provider(store).search(Call::of_a_test(), vec![query]).await.expect("results");
    results.resources.iter().map(id).collect()
}

pub(super) async fn history(store: &Store, id: &str) -> Vec<Entry> {
    let id = id.to_owned();
    let read = move |c: &mut Connection| audit::entries(c, 1, "User", &id, None, 10);
    store.read(Reach::Point, read).await.expect("a history")
}

pub(super) async fn number_of(store: &Store, table: &'static str) -> i64 {
    store.read(Reach::Scan, move |c| rows_in(c, table)).await.expect("a number")
}

pub(super) async fn assert_flawless(store: &Store) {
    let mut flaws = Vec::new();
    store
        .inspect(Registry::with_passwords(), system_clock()(), false, (), |flaw, _| flaws.push(flaw))
        .await
        .expect("inspected");
    assert!(flaws.is_empty(), "{flaws:?}");
}

pub(super) fn kinds(answers: &[Result<Representation>]) -> Vec<Option<ErrorKind>> {
    answers.iter().map(kind).collect()
}

pub(super) fn kind<T>(answer: &Result<T>) -> Option<ErrorKind> {
    answer.as_ref().err().map(Error::kind)
}

/// A resource, in any state.
pub(super) fn target(resource_type: &'static ResourceType, id: &str) -> Target {
    Target { resource_type, id: id.to_owned(), preconditions: Preconditions::default() }
}

pub(super) fn everything(resource_type: &'static ResourceType) -> Projection {
    Projection::parse(resource_type, None, None).expect("a projection")
}

/// Until so many wait to write, where they do: PostgreSQL.
pub(super) async fn all_wait(store: &Store, number: usize) {
    let all_wait = async {
        while store.counts_round_trips() && waiting_writes(store) < number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_wait).await.expect("all wait in the end");
}

pub(super) async fn answers_of<T>(asked: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.expect("it ends"));
    }
    answers
}
