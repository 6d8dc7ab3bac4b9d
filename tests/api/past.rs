//! The state of a resource at any time, from its history: exactly what clients were shown then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, SubsecRound, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use scimd::provider::history::Past;
use scimd::provider::{Export, Provider};
use scimd::scim::resource::format_instant;
use scimd::scim::{ErrorKind, Profile, schema::Registry};
use scimd::store::{Connection, Reach, tenants};
use serde_json::{Map, Value, json};

use crate::harness::{Api, Database, Lasting, each, run};
use crate::messages::*;
use crate::restore::{provider, provider_of, restored};

/// What a client is shown of a resource, as far as it is the resource's own; `None` while it is deleted.
pub type Seen = Option<Own>;

#[derive(Debug, Clone, PartialEq)]
pub struct Own {
    pub attributes: Value,
    pub members: BTreeSet<String>,
    pub created: String,
    pub last_modified: String,
    pub version: i64,
}

/// Of a representation: without what it shows of other resources.
fn own(mut body: Map<String, Value>) -> Own {
    let meta = body.remove("meta").unwrap();
    let members = body.remove("members").unwrap_or_default();
    ["schemas", "id", "groups"].iter().for_each(|name| drop(body.remove(*name)));
    if let Some(manager) = body.get_mut(ENTERPRISE).and_then(|extension| extension.get_mut("manager")) {
        *manager = json!({"value": manager["value"]});
    }
    let version = meta["version"].as_str().unwrap().trim_start_matches("W/\"");
    let ids = members.as_array().into_iter().flatten().map(|member| member["value"].as_str().unwrap().to_owned());
    Own {
        attributes: Value::Object(body),
        members: ids.collect(),
        created: meta["created"].as_str().unwrap().to_owned(),
        last_modified: meta["lastModified"].as_str().unwrap().to_owned(),
        version: version.split(['.', '"']).next().unwrap().parse().unwrap(),
    }
}

pub fn own_of_past(past: Past) -> Seen {
    if past.stored.deleted.is_some() {
        assert!(past.members.is_empty(), "a deleted group has nobody: {past:?}");
        return None;
    }
    let meta = past.stored.meta;
    Some(Own {
        attributes: Value::Object(past.stored.document.into_members()),
        members: past.members,
        created: format_instant(meta.created),
        last_modified: format_instant(meta.last_modified),
        version: meta.version,
    })
}

pub fn see(api: &Api, resource: &Value) -> Seen {
    let response = api.get(&path_of(resource));
    match response.status {
        200 => Some(own(response.json().as_object().unwrap().clone())),
        404 => None,
        _ => panic!("{}", response.text()),
    }
}

/// The present, in whole milliseconds; what happens next is later than it.
pub fn moment() -> DateTime<Utc> {
    let now = Utc::now().trunc_subsecs(3);
    while Utc::now().trunc_subsecs(3) <= now {
        std::thread::yield_now();
    }
    now
}

/// A millisecond that nothing has happened in yet; what happens next is not earlier.
pub fn from_now_on() -> DateTime<Utc> {
    moment() + chrono::Duration::milliseconds(1)
}

pub fn type_of(resource: &Value) -> &str {
    resource["meta"]["resourceType"].as_str().unwrap()
}

pub fn id_of(resource: &Value) -> &str {
    resource["id"].as_str().unwrap()
}

/// One write: what is done, and three numbers that say to whom and with what.
pub type Step = (u8, usize, usize, usize);

/// A tenant under random writes.
pub struct World<'a> {
    pub api: &'a Api,
    /// Everything that was ever created.
    pub made: Vec<Value>,
}

impl World<'_> {
    fn of_type(&self, resource_type: &str, n: usize) -> Option<&Value> {
        let all: Vec<&Value> = self.made.iter().filter(|resource| type_of(resource) == resource_type).collect();
        (!all.is_empty()).then(|| all[n % all.len()])
    }

    /// An id that something has, had, or nobody.
    fn any_id(&self, n: usize) -> String {
        self.made.get(n % (self.made.len() + 1)).map_or(NOBODY, id_of).to_owned()
    }

    fn members(&self, n: usize) -> Value {
        let ids: BTreeSet<String> = (0..n % 4).map(|k| self.any_id(n / 4 + 3 * k)).collect();
        ids.into_iter().map(|id| json!({"value": id})).collect()
    }

    fn user(&self, name: usize, n: usize) -> Value {
        let user_name = format!("user-{}", name % 4);
        let mut user = user_with(&user_name, json!({"externalId": user_name, "active": !n.is_multiple_of(5)}));
        if n % 2 == 1 {
            user["title"] = json!(format!("title-{}", n % 3));
            user["emails"] = json!([{"value": format!("a{n}@x.org"), "primary": true}, {"value": "b@x.org"}]);
        }
        if n % 3 == 1 {
            user[ENTERPRISE] = json!({"department": format!("d{}", n % 2), "manager": {"value": self.any_id(n)}});
        }
        user
    }

    /// Whether it is granted or refused does not matter: both are what happened.
    pub fn make(&mut self, (what, a, b, c): Step) {
        let (user, group) = (self.of_type("User", a).cloned(), self.of_type("Group", a).cloned());
        let either = self.made.get(a % self.made.len().max(1)).cloned();
        match (what, user, group) {
            (0..=2, ..) => self.create("/Users", &self.user(a, b)),
            (3..=4, ..) => {
                let mut body = group_of(b % 3, self.members(c));
                body["externalId"] = json!(format!("{}", c % 2));
                self.create("/Groups", &body);
            }
            (5..=7, Some(user), _) => self.write("PUT", &user, &self.user(b, c % 4)),
            (8, Some(user), _) => {
                let value = json!({"nickName": format!("n{}", b % 2), format!("{ENTERPRISE}:manager"): {"value": self.any_id(c)}});
                self.write("PATCH", &user, &patch(json!([{"op": "replace", "value": value}])));
            }
            (9, Some(user), _) => {
                let path = ["title", "emails", "name", "active"][b % 4];
                self.write("PATCH", &user, &patch(json!([{"op": "remove", "path": path}])));
            }
            (10..=11, _, Some(group)) => {
                let operations = json!([{"op": "add", "path": "members", "value": self.members(4 * b + 1 + c % 3)}]);
                self.write("PATCH", &group, &patch(operations));
            }
            (12, _, Some(group)) => {
                let path = format!("members[value eq \"{}\"]", self.any_id(b));
                self.write("PATCH", &group, &patch(json!([{"op": "remove", "path": path}])));
            }
            (13, _, Some(group)) => self.write("PUT", &group, &group_of(b % 3, self.members(c))),
            (14, _, Some(group)) => {
                let rename = json!([{"op": "replace", "path": "displayName", "value": format!("Group {}", b % 3)}]);
                self.write("PATCH", &group, &patch(rename));
            }
            (15..=17, ..) => {
                if let Some(resource) = either {
                    self.api.delete(&path_of(&resource));
                }
            }
            (18..=20, ..) => {
                if let Some(resource) = either {
                    run(async { Ok(restored(self.api, type_of(&resource), id_of(&resource)).await.is_ok()) });
                }
            }
            _ => {}
        }
    }

    fn create(&mut self, path: &str, body: &Value) {
        let response = self.api.post(path, body);
        let created = response.json();
        let is_known = |known: &Value| known["id"] == created["id"];
        if response.status == 201 && !self.made.iter().any(is_known) {
            self.made.push(created);
        }
    }

    fn write(&self, method: &str, resource: &Value, body: &Value) {
        match method {
            "PUT" => self.api.put(&path_of(resource), body),
            _ => self.api.patch(&path_of(resource), body),
        };
    }

    pub fn see(&self) -> Vec<Seen> {
        self.made.iter().map(|resource| see(self.api, resource)).collect()
    }
}

fn group_of(name: usize, members: Value) -> Value {
    json!({"schemas": [GROUP], "displayName": format!("Group {name}"), "members": members})
}

/// Everything that an export tells of a time, by id.
fn exported(provider: &Provider, api: &Api, at: DateTime<Utc>) -> BTreeMap<String, Own> {
    let tenant_id = api.tenant_id;
    let file = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&file);
    run(async {
        let find = move |connection: &mut Connection| tenants::find(connection, tenant_id);
        let tenant = api.store.read(Reach::Point, find).await?.unwrap();
        let export = Export { at: Some(at), ..Export::default() };
        let keep = move |piece: Vec<u8>, _| {
            kept.lock().unwrap().extend(piece);
            Ok(())
        };
        provider.export(tenant, export, keep).await
    });
    let file = String::from_utf8(file.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let resources = lines[1..lines.len() - 1].iter();
    resources.map(|line| (id_of(line).to_owned(), own(line.as_object().unwrap().clone()))).collect()
}

pub fn state_at(
    provider: &Provider,
    api: &Api,
    resource: &Value,
    at: DateTime<Utc>,
) -> scimd::scim::Result<Option<Past>> {
    let resource_type = provider.registry().resource_type(type_of(resource)).unwrap();
    let past = provider.state_at(api.tenant_id, resource_type, id_of(resource).to_owned(), at);
    run(async { Ok(past.await) })
}

#[test]
fn sec_04_the_history_tells_every_state_that_there_was() {
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let step = (0..21_u8, 0..64_usize, 0..64_usize, 0..64_usize);
    let outcome = runner.run(&prop::collection::vec(step, 1..40), |steps| {
        for database in [Database::Sqlite, Database::Postgres] {
            let api = Api::new(database, Profile::Compat);
            let mut world = World { api: &api, made: Vec::new() };
            let mut seen: Vec<(DateTime<Utc>, Vec<Seen>)> = Vec::new();
            for step in &steps {
                world.make(*step);
                let states = world.see();
                seen.push((moment(), states));
            }

            let provider = provider(&api);
            for (number, (at, states)) in seen.iter().enumerate() {
                let exported = exported(&provider, &api, *at);
                let live = world
                    .made
                    .iter()
                    .zip(states)
                    .filter_map(|(resource, state)| Some((id_of(resource).to_owned(), state.clone()?)));
                prop_assert_eq!(exported, live.collect(), "{:?}, after step {}", database, number);
                for (position, resource) in world.made.iter().enumerate() {
                    let told = state_at(&provider, &api, resource, *at);
                    let Some(state) = states.get(position) else {
                        let refusal = told.map(drop).expect_err("it was not there yet");
                        prop_assert_eq!(refusal.kind(), ErrorKind::NotFound);
                        continue;
                    };
                    let told = own_of_past(told.unwrap().expect("an id that somebody has"));
                    prop_assert_eq!(&told, state, "{:?}, after step {} {:?}", database, number, steps[number]);
                }
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn sec_04_who_is_his_own_manager_is_deleted_and_restored_as_one() {
    each(|api| {
        let boss = api.created("/Users", &user("boss"));
        let own =
            patch(json!([{"op": "add", "path": format!("{ENTERPRISE}:manager"), "value": {"value": boss["id"]}}]));
        assert_resource(&api.patch(&path_of(&boss), &own), 200);
        assert_eq!(api.delete(&path_of(&boss)).status, 204);
        run(async { Ok(restored(api, "User", id_of(&boss)).await.expect("nobody has the name")) });

        let told = state_at(&provider(api), api, &boss, moment()).unwrap().map(own_of_past).unwrap();

        assert_eq!(told, see(api, &boss));
        assert_eq!(told.unwrap().attributes[ENTERPRISE]["manager"]["value"], boss["id"]);
    });
}

pub const DEVICE: &str = "urn:example:params:scim:schemas:Device";

pub fn devices(attributes: Value) -> Value {
    json!([
        {"id": DEVICE, "name": "Device", "attributes": attributes},
        {"id": "Device", "endpoint": "/Devices", "schema": DEVICE},
    ])
}

#[test]
fn res_21_the_past_is_shown_in_the_form_that_it_had() {
    Lasting::each(|lasting| {
        let text = |name: &str| json!({"name": name, "type": "string"});
        let secret = json!({"name": "pin", "type": "string", "returned": "never"});
        let large = devices(json!([text("serial"), text("note"), secret]));
        let small = devices(json!([text("serial")]));
        let body = |note: &str| json!({"schemas": [DEVICE], "serial": "1", "note": note, "pin": "1234"});

        let mut api = lasting.serve(&large).unwrap();
        let device = api.created("/Devices", &body("first"));
        let mut seen = vec![(moment(), see(&api, &device))];
        assert_eq!(api.put(&path_of(&device), &body("second")).status, 200);
        seen.push((moment(), see(&api, &device)));
        api = lasting.serve(&small).unwrap();
        seen.push((moment(), see(&api, &device)));
        let serial = patch(json!([{"op": "replace", "path": "serial", "value": "2"}]));
        assert_eq!(api.patch(&path_of(&device), &serial).status, 200);
        seen.push((moment(), see(&api, &device)));
        let small_again = see(&api, &device);
        api = lasting.serve(&large).unwrap();
        seen.push((moment(), see(&api, &device)));

        assert_ne!(small_again, see(&api, &device));
        let provider = configured_provider(&api, &large);
        for (number, (at, state)) in seen.iter().enumerate() {
            let told = state_at(&provider, &api, &device, *at).unwrap().expect("the id of a device");
            let mut told = own_of_past(told).expect("a live device");
            let pin = told.attributes.as_object_mut().unwrap().remove("pin");
            assert_eq!(Some(told), *state, "{number}");
            assert!(pin.is_none_or(|pin| pin == "***" || number == 4), "the history never has the value");
        }
    });
}

pub fn configured_provider(api: &Api, types: &Value) -> Provider {
    let file = scimd::scim::schema::SchemaFile { name: "types.json".to_owned(), text: types.to_string() };
    let registry = Registry::with_files(&[file], false).unwrap_or_else(|flaw| panic!("{flaw}"));
    provider_of(api, registry)
}
