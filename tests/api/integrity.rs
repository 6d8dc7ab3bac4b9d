//! After whatever clients have done at once, everything that follows from the documents does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use scimd::provider::system_clock;
use scimd::scim::schema::Registry;
use scimd::store::integrity::{Flaw, FlawKind};
use scimd::store::{Connection, Reach, tenants};
use serde_json::{Value, json};

use crate::harness::{Api, each, run};
use crate::restore::restored;

/// Numbers that look like chance and come again in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.below(from.len())) }
    }
}

/// What is wrong in the tenant; dangling managers are what clients may send.
fn flaws(api: &Api) -> Vec<Flaw> {
    let tenant_id = api.tenant_id;
    let find = move |connection: &mut Connection| tenants::find(connection, tenant_id);
    let name = run(api.store.read(Reach::Point, find)).expect("the tenant").name;
    let mut flaws = Vec::new();
    let note = |flaw: Flaw, _| {
        if flaw.tenant.as_ref() == Some(&name) && flaw.kind != FlawKind::Reference {
            flaws.push(flaw);
        }
    };
    run(api.store.inspect(Registry::builtin(), system_clock()(), false, (), note));
    flaws
}

/// The ids of what is there, and of what was.
#[derive(Default)]
struct World {
    users: Vec<String>,
    groups: Vec<String>,
    gone: Vec<(&'static str, String)>,
}

const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user(chance: &mut Chance, world: &World) -> Value {
    let name = format!("user-{}", chance.below(60));
    let mut user =
        json!({"userName": name, "active": chance.below(4) > 0, "name": {"familyName": "x".repeat(chance.below(300))}});
    if chance.below(2) == 0 {
        user["displayName"] = json!(format!("Shown {}", chance.below(9)));
        user["externalId"] = json!(format!("e{}", chance.below(9)));
    }
    let emails = (0..chance.below(4)).map(|n| json!({"value": format!("m{n}@{name}.example"), "primary": n == 1}));
    user["emails"] = emails.collect();
    if let Some(boss) = chance.pick(&world.users) {
        user[MANAGER] = json!({"manager": {"value": boss}});
    }
    user
}

fn members(chance: &mut Chance, world: &World) -> Value {
    let gone: Vec<String> = world.gone.iter().map(|(_, id)| id.clone()).collect();
    let count = chance.below(6);
    let mut members = Vec::new();
    for _ in 0..count {
        let from = [&world.users, &world.users, &world.groups, &gone][chance.below(4)];
        members.extend(chance.pick(from).map(|id| json!({"value": id})));
    }
    json!(members)
}

/// One change, whatever comes of it: most are right, some clash with those of others.
fn change(api: &Api, chance: &mut Chance, world: &Mutex<World>) {
    let known = world.lock().unwrap();
    let (users, groups) = (known.users.clone(), known.groups.clone());
    let group = json!({"displayName": format!("Team {}", chance.below(8)), "externalId": format!("g{}", chance.below(9)),
                       "members": members(chance, &known)});
    let person = user(chance, &known);
    let some = members(chance, &known);
    let gone = chance.pick(&known.gone).cloned();
    drop(known);
    let patch = |operations: Value| json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    let (one, other) = (chance.pick(&users).cloned(), chance.pick(&groups).cloned());
    match (chance.below(12), one, other) {
        (0..3, ..) => keep(api.post("/Users", &person), |id| world.lock().unwrap().users.push(id)),
        (3, ..) => keep(api.post("/Groups", &group), |id| world.lock().unwrap().groups.push(id)),
        (4, Some(id), _) => drop(api.put(&format!("/Users/{id}"), &person)),
        (5, _, Some(id)) => drop(api.put(&format!("/Groups/{id}"), &group)),
        (6, Some(id), _) => {
            let operations = json!([{"op": "replace", "path": "userName", "value": person["userName"]},
                                    {"op": "add", "path": "emails", "value": [{"value": "new@example.org"}]},
                                    {"op": "replace", "path": "active", "value": person["active"]}]);
            drop(api.patch(&format!("/Users/{id}"), &patch(operations)));
        }
        (7, _, Some(id)) => {
            let operations = json!([{"op": "add", "path": "members", "value": some}]);
            drop(api.patch(&format!("/Groups/{id}"), &patch(operations)));
        }
        (8, one, Some(id)) => {
            let path = format!("members[value eq \"{}\"]", one.unwrap_or_default());
            drop(api.patch(&format!("/Groups/{id}"), &patch(json!([{"op": "remove", "path": path}]))));
        }
        (9, Some(id), _) => remove(api, "User", "/Users", id, world),
        (10, _, Some(id)) => remove(api, "Group", "/Groups", id, world),
        (11, ..) => {
            let Some((resource_type, id)) = gone else { return };
            // Somebody else may have its name by now.
            if run(async { Ok(restored(api, resource_type, &id).await.is_ok()) }) {
                let mut world = world.lock().unwrap();
                world.gone.retain(|(_, known)| *known != id);
                if resource_type == "User" { world.users.push(id) } else { world.groups.push(id) }
            }
        }
        _ => {}
    }
}

fn keep(answer: crate::support::http::Response, keep: impl FnOnce(String)) {
    assert!(answer.status < 500, "{}", answer.text());
    if answer.status == 201 {
        keep(answer.json()["id"].as_str().unwrap().to_owned());
    }
}

fn remove(api: &Api, resource_type: &'static str, path: &str, id: String, world: &Mutex<World>) {
    if api.delete(&format!("{path}/{id}")).status == 204 {
        let mut world = world.lock().unwrap();
        world.users.retain(|known| *known != id);
        world.groups.retain(|known| *known != id);
        world.gone.push((resource_type, id));
    }
}

const WORKERS: u64 = 4;
const CHANGES: usize = 120;

#[test]
fn whatever_clients_do_at_once_what_follows_from_the_documents_does() {
    each(|api| {
        let (world, is_done) = (Mutex::new(World::default()), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS)
                .map(|seed| {
                    let (world, api) = (&world, api.with_key(api.profile, "read write"));
                    scope.spawn(move || {
                        let mut chance = Chance(seed);
                        (0..CHANGES).for_each(|_| change(&api, &mut chance, world));
                    })
                })
                .collect();
            let watcher = scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    assert_eq!(flaws(api), [], "in the middle of it");
                }
            });
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            is_done.store(true, Ordering::Relaxed);
            watcher.join().unwrap();
        });

        let world = world.into_inner().unwrap();
        assert!(
            world.users.len() > 10 && !world.groups.is_empty() && !world.gone.is_empty(),
            "hardly anything happened"
        );
        assert_eq!(flaws(api), []);
    });
}
