//! Clients that remember what they were told: each has resources of its own, changes them in turn, and knows after every
//! answer what the server has promised to keep.
//!
//! An answer that does not come leaves a doubt: the change is there or it is not, and never by half. Whoever looks later
//! ends the doubt. An answer that says that nothing was done is held to that as well.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::support::http::{Client, Response};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
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
    /// Users that it has deleted, with the changes of their histories.
    gone: Vec<(String, usize)>,
    /// So many of these were looked at since.
    looked_at: usize,
    group: String,
    members: BTreeSet<usize>,
    /// How many changes the history of the group must have.
    group_changes: usize,
    doubt: Option<Doubt>,
    /// Whether the server said of what is in doubt that it was not done.
    is_denied: bool,
    count: u64,
    /// Changes that were acknowledged.
    pub acknowledged: u64,
    /// Doubts that turned out as done, and as not done.
    pub doubts: [u64; 2],
    /// Answers that say that there is too much to do, and to come again.
    pub refused: u64,
    /// Answers that say that the server cannot.
    pub unavailable: u64,
    /// When those changes were sent that were not answered at all.
    pub unanswered: Vec<Instant>,
    /// What must not be.
    pub wrong: Vec<String>,
}

impl Worker {
    /// A client with a group of its own.
    pub fn new(number: usize, seed: u64, base_url: &str, token: &str) -> Worker {
        let client = Client::new(base_url).careful();
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
            gone: Vec::new(),
            looked_at: 0,
            group,
            members: BTreeSet::new(),
            group_changes: 1,
            doubt: None,
            is_denied: false,
            count: 0,
            acknowledged: 0,
            doubts: [0, 0],
            refused: 0,
            unavailable: 0,
            unanswered: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// Changes one thing after the other, until told to stop or until an answer does not come.
    pub fn work(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) && self.doubt.is_none() {
            self.change();
        }
    }

    /// The same, and an answer that does not come stops nobody: as soon as reads are answered the doubt is ended, and the
    /// work goes on.
    pub fn insist(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.end_doubt().is_ok() {
                true => self.change(),
                false => sleep(Duration::from_millis(20)),
            }
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
        let doubt = Doubt::Create(place, title.clone());
        if let Some(answer) = self.ask(doubt, "POST", "/Users", Some(&body), 201) {
            let id = answer.json()["id"].as_str().unwrap().to_owned();
            self.slots[place].user = Some(User { id, title, active: true, changes: 1 });
        }
    }

    fn set_title(&mut self, place: usize, user: &User, title: String) {
        let value = json!({"title": title, "name.familyName": title});
        let body = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "value": value}]});
        let doubt = Doubt::Title(place, title.clone());
        if self.ask(doubt, "PATCH", &format!("/Users/{}", user.id), Some(&body), 200).is_some() {
            self.update(place, |user| user.title = title);
        }
    }

    fn set_active(&mut self, place: usize, user: &User) {
        let active = !user.active;
        let body = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": active}]});
        let doubt = Doubt::Active(place, active);
        if self.ask(doubt, "PATCH", &format!("/Users/{}", user.id), Some(&body), 200).is_some() {
            self.update(place, |user| user.active = active);
        }
    }

    fn delete(&mut self, place: usize, user: &User) {
        if self.ask(Doubt::Delete(place), "DELETE", &format!("/Users/{}", user.id), None, 204).is_some() {
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
        if self.ask(Doubt::Members(wanted.clone()), "PATCH", &path, Some(&body), 200).is_some() {
            self.set(wanted);
        }
    }

    /// Asks for a change; the answer, if it says what was hoped for. Then there is no doubt any more.
    fn ask(&mut self, doubt: Doubt, method: &str, path: &str, body: Option<&Value>, expected: u16) -> Option<Response> {
        (self.doubt, self.is_denied) = (Some(doubt), false);
        let asked_at = Instant::now();
        let Ok(answer) = self.client.call(&self.token, method, path, body) else {
            self.unanswered.push(asked_at);
            return None;
        };
        match answer.status {
            status if status == expected => {
                self.doubt = None;
                self.acknowledged += 1;
                return Some(answer);
            }
            429 => {
                self.judge_refusal(&answer);
                self.doubt = None;
                self.refused += 1;
            }
            503 => {
                self.judge_refusal(&answer);
                self.is_denied = !answer.text().contains("unknown");
                self.unavailable += 1;
            }
            status => self.wrong.push(format!("{:?} was answered with {status}: {}", self.doubt, answer.text())),
        }
        None
    }

    /// Whoever is refused learns in SCIM's words why, and when to come again.
    fn judge_refusal(&mut self, answer: &Response) {
        if let Some(why) = unclear(answer) {
            self.wrong.push(why);
        }
    }

    fn update(&mut self, place: usize, change: impl FnOnce(&mut User)) {
        if let Some(user) = &mut self.slots[place].user {
            change(user);
            user.changes += 1;
        }
    }

    fn forget(&mut self, place: usize) {
        if let Some(user) = self.slots[place].user.take() {
            self.gone.push((user.id, user.changes + 1));
        }
        self.slots[place].generation += 1;
        // Whoever is deleted leaves the group, and its history tells.
        self.group_changes += usize::from(self.members.remove(&place));
    }

    fn set(&mut self, members: BTreeSet<usize>) {
        self.members = members;
        self.group_changes += 1;
    }

    /// Looks at everything that is its own, ends its doubt, and notes what is not as it was promised.
    pub fn look(&mut self) {
        if let Err(silence) = self.end_doubt() {
            panic!("nothing tells whether {:?} was done: {silence}", self.doubt);
        }
        self.look_at_all();
        for place in 0..USERS {
            self.look_at(place);
        }
        self.look_at_members();
        for (id, _) in &self.gone[self.looked_at..] {
            let answer = self.call(&format!("/Users/{id}"));
            if answer.status != 404 {
                self.wrong.push(format!("{id} was deleted and is answered with {}", answer.status));
            }
        }
        self.looked_at = self.gone.len();
    }

    /// Finds out whether what is in doubt was done. If the server does not tell, the doubt remains.
    fn end_doubt(&mut self) -> Told<()> {
        let Some(doubt) = self.doubt.clone() else { return Ok(()) };
        let done = self.resolve(&doubt)?;
        if done && self.is_denied {
            self.wrong.push(format!("{doubt:?} was refused, and is done"));
        }
        self.doubts[usize::from(!done)] += 1;
        self.doubt = None;
        Ok(())
    }

    /// Whether the change of which no answer came was done.
    fn resolve(&mut self, doubt: &Doubt) -> Told<bool> {
        let done = match doubt {
            Doubt::Create(place, _) => self.find(*place)?.is_some(),
            Doubt::Title(place, title) => self.get(*place)?.is_some_and(|found| found["title"] == *title),
            Doubt::Active(place, active) => self.get(*place)?.is_some_and(|found| found["active"] == *active),
            Doubt::Delete(place) => self.get(*place)?.is_none(),
            Doubt::Members(wanted) => self.listed_members()? == self.ids(wanted),
        };
        if !done {
            return Ok(false);
        }
        match doubt.clone() {
            Doubt::Create(place, title) => {
                let found = self.find(place)?.unwrap_or_default();
                let id = found["id"].as_str().ok_or("it was there, and is gone")?.to_owned();
                self.slots[place].user = Some(User { id, title, active: true, changes: 1 });
            }
            Doubt::Title(place, title) => self.update(place, |user| user.title = title),
            Doubt::Active(place, active) => self.update(place, |user| user.active = active),
            Doubt::Delete(place) => self.forget(place),
            Doubt::Members(wanted) => self.set(wanted),
        }
        Ok(true)
    }

    /// The user by its id, if there is one.
    fn get(&self, place: usize) -> Told<Option<Value>> {
        let Some(user) = &self.slots[place].user else { return Ok(None) };
        let answer = self.read(&format!("/Users/{}", user.id))?;
        Ok((answer.status == 200).then(|| answer.json()))
    }

    /// The user by its name, if there is one.
    fn find(&mut self, place: usize) -> Told<Option<Value>> {
        let name = self.name(place);
        let found = self.read(&format!("/Users?filter=userName%20eq%20%22{name}%22"))?.json();
        let resources = found["Resources"].as_array().cloned().unwrap_or_default();
        if resources.len() > 1 {
            self.wrong.push(format!("{name} is there {} times", resources.len()));
        }
        Ok(resources.into_iter().next())
    }

    /// Everybody of its own is there once, and nobody else: whoever was deleted is gone.
    fn look_at_all(&mut self) {
        let path = format!("/Users?filter=userName%20sw%20%22w{}-u%22&count=1000", self.number);
        let found = self.call(&path).json();
        let mut is: Vec<(String, String)> =
            found["Resources"].as_array().into_iter().flatten().map(id_and_name).collect();
        let known = |place: usize| Some((self.slots[place].user.as_ref()?.id.clone(), self.name(place)));
        let mut should: Vec<(String, String)> = (0..USERS).filter_map(known).collect();
        is.sort_unstable();
        should.sort_unstable();
        if is != should {
            self.wrong.push(format!("client {} finds {is:?} and should find {should:?}", self.number));
        }
    }

    fn look_at(&mut self, place: usize) {
        let name = self.name(place);
        let (expected, found) = (self.slots[place].user.clone(), told(self.find(place)));
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
                if found["emails"][0]["value"] != *name {
                    self.wrong.push(format!("{name} has lost its address: {found}"));
                }
                let got = told(self.get(place)).unwrap_or_default();
                if got != found {
                    self.wrong.push(format!("{name} is {found} in a list and {got} by itself"));
                }
                let groups: Vec<&str> = got["groups"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|group| group["value"].as_str())
                    .collect();
                let has_group = groups == [self.group.as_str()];
                if has_group != self.members.contains(&place) || !(has_group || groups.is_empty()) {
                    self.wrong.push(format!("{name} is in the groups {groups:?}, and its group says otherwise"));
                }
            }
        }
    }

    fn look_at_members(&mut self) {
        let (is, should) = (told(self.listed_members()), self.ids(&self.members));
        if is != should {
            self.wrong.push(format!("group {} lists {is:?} and should list {should:?}", self.number));
        }
    }

    /// The ids that the group lists.
    fn listed_members(&self) -> Told<BTreeSet<String>> {
        let found = self.read(&format!("/Groups/{}", self.group))?.json();
        let members = found["members"].as_array().cloned().unwrap_or_default();
        Ok(members.iter().filter_map(|member| member["value"].as_str().map(str::to_owned)).collect())
    }

    fn ids(&self, places: &BTreeSet<usize>) -> BTreeSet<String> {
        places.iter().filter_map(|place| self.slots[*place].user.as_ref().map(|user| user.id.clone())).collect()
    }

    /// Each of its resources with the number of changes that its history must have, those deleted included.
    pub fn histories(&self) -> Vec<(&str, usize)> {
        let users = self.slots.iter().filter_map(|slot| slot.user.as_ref());
        let users = users.map(|user| (user.id.as_str(), user.changes));
        let gone = self.gone.iter().map(|(id, changes)| (id.as_str(), *changes));
        users.chain(gone).chain([(self.group.as_str(), self.group_changes)]).collect()
    }

    fn call(&self, path: &str) -> Response {
        told(self.read(path))
    }

    /// An answer that tells something: it is there, or it is not.
    fn read(&self, path: &str) -> Told<Response> {
        let answer = self.client.call(&self.token, "GET", path, None).map_err(|failure| failure.to_string())?;
        match answer.status {
            200 | 404 => Ok(answer),
            status => Err(format!("{path} was answered with {status}: {}", answer.text())),
        }
    }
}

/// What the server tells, or why it does not at the moment.
type Told<T> = Result<T, String>;

/// What a healthy server must tell.
fn told<T>(answer: Told<T>) -> T {
    answer.unwrap_or_else(|silence| panic!("a server that is ready answers: {silence}"))
}

fn id_and_name(user: &Value) -> (String, String) {
    let text = |name: &str| user[name].as_str().unwrap_or_default().to_owned();
    (text("id"), text("userName"))
}

/// What is missing of a refusal that says why in SCIM's words, and when to come again (RFC 7644 §3.12).
pub fn unclear(answer: &Response) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_scim = body["schemas"][0] == ERROR && body["status"].as_str() == Some(&answer.status.to_string());
    let speaks = body["detail"].as_str().is_some_and(|detail| detail.len() > 20);
    let says_when = answer.header("retry-after").is_some_and(|when| when.parse::<u32>().is_ok());
    let is_clear = is_scim && speaks && says_when;
    (!is_clear).then(|| format!("{} without a clear word: {:?} {}", answer.status, answer.headers, answer.text()))
}
