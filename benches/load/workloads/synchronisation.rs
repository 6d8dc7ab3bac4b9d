//! How identity providers fill a tenant of their own, and what they ask every hour when nothing has changed.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::{Loaded, PATCH, Turn, figure, look_up, told};
use crate::http::{Connection, request};
use crate::people::{group_body, user_body, user_name};
use crate::process::Place;
use crate::report::Report;
use crate::rounds::{Turns, Until, median, round};

/// At once, as Okta pushes.
const OKTA: usize = 8;
/// One after the other.
const POCKET_ID: usize = 1;
/// Users for each group; each user is in several.
const USERS_PER_GROUP: usize = 100;
const MEMBERS: usize = 500;

/// A tenant and what somebody pushes into it.
struct Push<'a> {
    loaded: &'a Loaded<'a>,
    token: String,
    users: usize,
    ids: Mutex<Vec<String>>,
}

impl Loaded<'_> {
    pub(super) fn synchronise(&self, place: &Place, report: &mut Report) {
        let users = self.ids.len().min(self.arguments.synchronised);
        let push = |tenant: &str| Push {
            loaded: self,
            token: place.token_of_tenant(tenant),
            users,
            ids: Mutex::new(vec![String::new(); users]),
        };
        if self.arguments.wants("first synchronisation, Okta") {
            push("okta").as_okta(report);
        }
        if self.arguments.wants("first synchronisation, Pocket ID") || self.arguments.wants("synchronisation without") {
            let push = push("pocket-id");
            push.as_pocket_id(report);
            push.without_changes(report);
        }
    }
}

impl Push<'_> {
    /// A look-up before everything that is made.
    fn as_okta(&self, report: &mut Report) {
        self.all("first synchronisation, Okta: users", OKTA, (self.users, 1), report, &|connection, turns| {
            let is_nobody = connection.send(&look_up(&user_name(turns.item), &self.token)).has_total(0);
            self.create(connection, turns.item, &user_body(turns.item)) && is_nobody
        });
        let (groups, members) = self.groups();
        let name = "first synchronisation, Okta: members of groups";
        self.all(name, OKTA, (groups, members), report, &|connection, turns| {
            let group = format!("Team {}", turns.item);
            let path = format!("/Groups?filter=displayName%20eq%20%22Team%20{}%22", turns.item);
            let is_new = connection.send(&request("GET", &path, &self.token, None)).has_total(0);
            let made = connection.send(&request("POST", "/Groups", &self.token, Some(&group_body(&group))));
            if made.status != 201 {
                return false;
            }
            let path = format!("/Groups/{}", made.id());
            let members = self.members(turns.item);
            let operation = json!({"op": "add", "path": "members", "value": members});
            let body = json!({"schemas": [PATCH], "Operations": [operation]}).to_string();
            is_new && connection.send(&request("PATCH", &path, &self.token, Some(&body))).status == 200
        });
    }

    /// Everything is listed, then made.
    fn as_pocket_id(&self, report: &mut Report) {
        let mut connection = Connection::to(self.loaded.server.port);
        assert_eq!((self.list(&mut connection, "/Users"), self.list(&mut connection, "/Groups")), (0, 0));
        self.all(
            "first synchronisation, Pocket ID: users",
            POCKET_ID,
            (self.users, 1),
            report,
            &|connection, turns| self.create(connection, turns.item, &user_body(turns.item)),
        );
        let (groups, members) = self.groups();
        let name = "first synchronisation, Pocket ID: members of groups";
        self.all(name, POCKET_ID, (groups, members), report, &|connection, turns| {
            let mut body: Value = serde_json::from_str(&group_body(&format!("Team {}", turns.item))).unwrap();
            body["externalId"] = json!(format!("team-{}", turns.item));
            body["members"] = self.members(turns.item).into();
            connection.send(&request("POST", "/Groups", &self.token, Some(&body.to_string()))).status == 201
        });
    }

    /// The same lists every hour.
    fn without_changes(&self, report: &mut Report) {
        let (groups, members) = self.groups();
        let lists = [
            ("synchronisation without changes: users", "/Users", self.users, self.users),
            ("synchronisation without changes: members of groups", "/Groups", groups, groups * members),
        ];
        for (name, path, count, weight) in lists {
            let turn: Turn<'_> = Box::new(move |connection, _| self.list(connection, path) == count);
            let rounds = 0..self.loaded.arguments.rounds;
            let rounds =
                rounds.map(|number| self.loaded.round(&self.loaded.server, POCKET_ID, number, &turn)).collect();
            report.add(figure(name, POCKET_ID, weight, median(rounds)));
        }
        self.loaded.server.empty_log();
    }

    /// Does each of so many things once.
    fn all(
        &self,
        name: &str,
        clients: usize,
        (count, weight): (usize, usize),
        report: &mut Report,
        turn: &(dyn Fn(&mut Connection, &mut Turns) -> bool + Sync),
    ) {
        let server = &self.loaded.server;
        let round = round(clients, Until::Done(count), 0, Some(server), &|| Connection::to(server.port), &told(turn));
        report.add(figure(name, clients, weight, round));
        server.empty_log();
    }

    fn create(&self, connection: &mut Connection, number: usize, body: &str) -> bool {
        let answer = connection.send(&request("POST", "/Users", &self.token, Some(body)));
        let is_made = answer.status == 201;
        if is_made {
            let id = answer.id();
            self.ids.lock().unwrap()[number] = id;
        }
        is_made
    }

    /// How many groups there are, and with how many members each.
    fn groups(&self) -> (usize, usize) {
        (self.users / USERS_PER_GROUP, MEMBERS)
    }

    /// The members of a group: a stretch of the users, so that each of them is in several.
    fn members(&self, group: usize) -> Vec<Value> {
        let ids = self.ids.lock().unwrap();
        let member = |number: usize| json!({"value": ids[(group * USERS_PER_GROUP + number) % ids.len()]});
        (0..MEMBERS).map(member).collect()
    }

    /// Everything, page by page; how many there are.
    fn list(&self, connection: &mut Connection, endpoint: &str) -> usize {
        let mut seen = 0;
        loop {
            let path = format!("{endpoint}?count=1000&startIndex={}", seen + 1);
            let answer = connection.send(&request("GET", &path, &self.token, None));
            let on_page = answer.says("itemsPerPage").unwrap_or_default();
            seen += on_page;
            if on_page < 1000 {
                return seen;
            }
        }
    }
}
