//! Clients that remember what they were told: each has resources of its own, changes them in turn, and knows after every
//! answer what the server has promised to keep.
//!
//! An answer that does not come leaves a doubt: the change is there or it is not, and never by half. Whoever looks later
//! ends the doubt.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::support::http::{Client, Response};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// So many users each client looks after.
const USERS: usize = 12;

/// A user as a client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    id: String,
    title: String,
    active: bool,
    /// How many changes its history must have.
    changes: usize,
}

/// What a client knows of one name: nobody, or a user.
#[derive(Debug, Clone, Default)]
struct Slot {
    user: Option<User>,
    generation: u32,
}

/// A change whose answer has not come.
#[derive(Debug, Clone)]
enum Doubt {
    Create(usize, String),
    Title(usize, String),
    Active(usize, bool),
    Delete(usize),
    /// Members to come and to go, in one message.
    Members(BTreeSet<usize>),
}

/// One client.
pub struct Worker {
    number: usize,
    client: Client,
    token: String,
    chance: Chance,
    slots: Vec<Slot>,
    group: String,
    members: BTreeSet<usize>,
    doubt: Option<Doubt>,
    count: u64,
    /// Changes that were acknowledged.
    pub acknowledged: u64,
    /// Doubts that turned out as done, and as not done.
    pub doubts: [u64; 2],
    /// Answers that say that nothing was done, and to come again.
    pub refused: u64,
    /// What must not be.
    pub wrong: Vec<String>,
}

impl Worker {
    /// A client with a group of its own.
    pub fn new(number: usize, seed: u64, base_url: &str, token: &str) -> Worker {
        let client = Client::new(base_url);
        let body =
            json!({"schemas": [GROUP], "displayName": format!("Group {number}"), "externalId": format!("g{number}")});
        let answer = client.call(token, "POST", "/Groups", Some(&body)).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
        let group = answer.json()["id"].as_str().unwrap().to_owned();
        let chance = Chance::new(seed + number as u64);
        Worker {
            number,
            client,
            token: token.to_owned(),
            chance,
            slots: vec![Slot::default(); USERS],
            group,
            members: BTreeSet::new(),
            doubt: None,
            count: 0,
            acknowledged: 0,
            doubts: [0, 0],
            refused: 0,
            wrong: Vec::new(),
        }
    }

    /// Changes one thing after the other, until told to stop or until an answer does not come.
    pub fn work(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) && self.doubt.is_none() {
            self.change();
        }
    }

    fn change(&mut self) {
        let place = self.chance.below(USERS);
        self.count += 1;
        let title = format!("t{}-{}", self.number, self.count);
        let there: Vec<usize> = (0..USERS).filter(|place| self.slots[*place].user.is_some()).collect();
        if there.len() > 3 && self.chance.percent(20) {
            let mut wanted = self.members.clone();
            for _ in 0..3 {
                let one = there[self.chance.below(there.len())];
                if !wanted.remove(&one) {
                    wanted.insert(one);
                }
            }
            return self.set_members(wanted);
        }
        match self.slots[place].user.clone() {
            None => self.create(place, title),
            Some(user) => match self.chance.below(10) {
                0 => self.delete(place, &user),
                1..=3 => self.set_active(place, &user),
                _ => self.set_title(place, &user, title),
            },
        }
    }

    fn name(&self, place: usize) -> String {
        format!("w{}-u{place}-{}@torture.example", self.number, self.slots[place].generation)
    }

    fn create(&mut self, place: usize, title: String) {
        let body = json!({"schemas": [USER], "userName": self.name(place), "title": title, "active": true,
            "emails": [{"value": self.name(place), "type": "work", "primary": true}],
            "name": {"givenName": "Given", "familyName": title}});
        self.doubt = Some(Doubt::Create(place, title.clone()));
        let answer = self.client.call(&self.token, "POST", "/Users", Some(&body));
        if let Some(answer) = self.settled(answer, 201) {
            let id = answer.json()["id"].as_str().unwrap().to_owned();
            self.slots[place].user = Some(User { id, title, active: true, changes: 1 });
        }
    }

    fn set_title(&mut self, place: usize, user: &User, title: String) {
        let value = json!({"title": title, "name.familyName": title});
        let body = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "value": value}]});
        self.doubt = Some(Doubt::Title(place, title.clone()));
        let answer = self.client.call(&self.token, "PATCH", &format!("/Users/{}", user.id), Some(&body));
        if self.settled(answer, 200).is_some() {
            self.update(place, |user| user.title = title);
        }
    }

    fn set_active(&mut self, place: usize, user: &User) {
        let active = !user.active;
        let body = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": active}]});
        self.doubt = Some(Doubt::Active(place, active));
        let answer = self.client.call(&self.token, "PATCH", &format!("/Users/{}", user.id), Some(&body));
        if self.settled(answer, 200).is_some() {
            self.update(place, |user| user.active = active);
        }
    }

    fn delete(&mut self, place: usize, user: &User) {
        self.doubt = Some(Doubt::Delete(place));
        let answer = self.client.call(&self.token, "DELETE", &format!("/Users/{}", user.id), None);
        if self.settled(answer, 204).is_some() {
            self.forget(place);
        }
    }

    fn set_members(&mut self, wanted: BTreeSet<usize>) {
        let id = |place: &usize| self.slots[*place].user.as_ref().map(|user| user.id.clone());
        let come: Vec<Value> = wanted.difference(&self.members).filter_map(id).map(|id| json!({"value": id})).collect();
        let go: Vec<String> = self.members.difference(&wanted).filter_map(id).collect();
        let mut operations: Vec<Value> =
            go.iter().map(|id| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")})).collect();
        if !come.is_empty() {
            operations.push(json!({"op": "add", "path": "members", "value": come}));
        }
        if operations.is_empty() {
            return;
        }
        let body = json!({"schemas": [PATCH], "Operations": operations});
        let path = format!("/Groups/{}?excludedAttributes=members", self.group);
        self.doubt = Some(Doubt::Members(wanted.clone()));
        let answer = self.client.call(&self.token, "PATCH", &path, Some(&body));
        if self.settled(answer, 200).is_some() {
            self.members = wanted;
        }
    }

    /// The answer, if it says what was hoped for: then there is no doubt any more.
    fn settled(&mut self, answer: std::io::Result<Response>, expected: u16) -> Option<Response> {
        let answer = answer.ok()?;
        match answer.status {
            status if status == expected => {
                self.doubt = None;
                self.acknowledged += 1;
                Some(answer)
            }
            // The server says itself that nothing was done, unless it does not know.
            429 => {
                self.doubt = None;
                self.refused += 1;
                None
            }
            500 | 503 => None,
            status => {
                self.wrong.push(format!("{:?} was answered with {status}: {}", self.doubt, answer.text()));
                None
            }
        }
    }

    fn update(&mut self, place: usize, change: impl FnOnce(&mut User)) {
        if let Some(user) = &mut self.slots[place].user {
            change(user);
            user.changes += 1;
        }
    }

    fn forget(&mut self, place: usize) {
        self.slots[place].user = None;
        self.slots[place].generation += 1;
        self.members.remove(&place);
    }

    /// Looks at everything that is its own, ends its doubt, and notes what is not as it was promised.
    pub fn look(&mut self) {
        if let Some(doubt) = self.doubt.take() {
            let done = self.resolve(&doubt);
            self.doubts[usize::from(!done)] += 1;
        }
        for place in 0..USERS {
            self.look_at(place);
        }
        self.look_at_members();
    }

    /// Whether the change of which no answer came was done.
    fn resolve(&mut self, doubt: &Doubt) -> bool {
        match doubt.clone() {
            Doubt::Create(place, title) => {
                let Some(found) = self.find(place) else { return false };
                let id = found["id"].as_str().unwrap().to_owned();
                self.slots[place].user = Some(User { id, title, active: true, changes: 1 });
                true
            }
            Doubt::Title(place, title) => {
                let done = self.get(place).is_some_and(|found| found["title"] == title);
                if done {
                    self.update(place, |user| user.title = title);
                }
                done
            }
            Doubt::Active(place, active) => {
                let done = self.get(place).is_some_and(|found| found["active"] == active);
                if done {
                    self.update(place, |user| user.active = active);
                }
                done
            }
            Doubt::Delete(place) => {
                let done = self.get(place).is_none();
                if done {
                    self.forget(place);
                }
                done
            }
            Doubt::Members(wanted) => {
                let done = self.listed_members() == self.ids(&wanted);
                if done {
                    self.members = wanted;
                }
                done
            }
        }
    }

    fn get(&mut self, place: usize) -> Option<Value> {
        let id = self.slots[place].user.as_ref()?.id.clone();
        let answer = self.call(&format!("/Users/{id}"));
        (answer.status == 200).then(|| answer.json())
    }

    fn find(&mut self, place: usize) -> Option<Value> {
        let name = self.name(place);
        let found = self.call(&format!("/Users?filter=userName%20eq%20%22{name}%22")).json();
        let resources = found["Resources"].as_array().cloned().unwrap_or_default();
        if resources.len() > 1 {
            self.wrong.push(format!("{name} is there {} times", resources.len()));
        }
        resources.into_iter().next()
    }

    fn look_at(&mut self, place: usize) {
        let name = self.name(place);
        let (expected, found) = (self.slots[place].user.clone(), self.find(place));
        match (expected, found) {
            (None, None) => {}
            (None, Some(_)) => self.wrong.push(format!("{name} is there, and nobody made it")),
            (Some(user), None) => self.wrong.push(format!("{name} ({}) was acknowledged and is lost", user.id)),
            (Some(user), Some(found)) => {
                let is = (found["id"].as_str(), found["title"].as_str(), found["active"].as_bool());
                let should = (Some(user.id.as_str()), Some(user.title.as_str()), Some(user.active));
                if is != should {
                    self.wrong.push(format!("{name} is {is:?} and was acknowledged as {should:?}"));
                }
                if found["name"]["familyName"] != found["title"] {
                    self.wrong.push(format!("{name} is half written: {found}"));
                }
                if self.get(place).as_ref().map(|got| &got["meta"]["version"]) != Some(&found["meta"]["version"]) {
                    self.wrong.push(format!("{name} has one version in a list and another one by itself"));
                }
            }
        }
    }

    fn look_at_members(&mut self) {
        let (is, should) = (self.listed_members(), self.ids(&self.members.clone()));
        if is != should {
            self.wrong.push(format!("group {} lists {is:?} and should list {should:?}", self.number));
        }
    }

    fn listed_members(&mut self) -> BTreeSet<String> {
        let found = self.call(&format!("/Groups/{}", self.group)).json();
        let members = found["members"].as_array().cloned().unwrap_or_default();
        members.iter().filter_map(|member| member["value"].as_str().map(str::to_owned)).collect()
    }

    fn ids(&self, places: &BTreeSet<usize>) -> BTreeSet<String> {
        places.iter().filter_map(|place| self.slots[*place].user.as_ref().map(|user| user.id.clone())).collect()
    }

    /// Each user with the number of changes that its history must have.
    pub fn histories(&self) -> impl Iterator<Item = (&str, usize)> {
        self.slots.iter().filter_map(|slot| slot.user.as_ref()).map(|user| (user.id.as_str(), user.changes))
    }

    fn call(&self, path: &str) -> Response {
        let answer = self.client.call(&self.token, "GET", path, None);
        answer.unwrap_or_else(|cause| panic!("{path} is not answered: {cause}"))
    }
}
