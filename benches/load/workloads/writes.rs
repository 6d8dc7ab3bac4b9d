//! What changes something: first what leaves the number of users as it is, then what does not.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Loaded, Measure, Workload, change_members, look_up, set_active};
use crate::bare::Deed;
use crate::http::{Connection, request};
use crate::people::{user_body, user_name};
use crate::report::grouped;
use crate::rounds::Turns;

const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

impl Loaded<'_> {
    pub(super) fn edits(&self) -> Vec<Workload<'_>> {
        let measures = |deed| [Measure::Commits(deed), Measure::Transactions(deed)];
        let mut all = vec![
            Workload::new("patch active", |connection, turns| self.patch_active(connection, turns))
                .beside(measures(Deed::PatchActive)),
        ];
        let users = self.ids.len();
        for (size, group) in &self.groups {
            // Each client has members of its own, who come in one turn and go in the next: so the group keeps its size.
            // Where nearly everybody is in the group, they go first.
            let has_strangers = users - size >= 100;
            let (first, count) = if has_strangers { (*size, users - size) } else { (0, *size) };
            let turn = move |connection: &mut Connection, turns: &mut Turns| {
                let one = first + (turns.client + turns.count / 2 * turns.clients) % count;
                let comes = turns.is_even() == has_strangers;
                connection.send(&change_members(comes, group, &self.token, &self.ids[one..=one])).status == 200
            };
            let workload = Workload::new(format!("patch one member of {}", grouped(*size as f64)), turn);
            all.push(workload.beside(measures(Deed::OneMember)));
        }
        let thousand = |connection: &mut Connection, turns: &mut Turns| {
            let change = change_members(turns.is_even(), &self.group_of_thousand, &self.token, &self.ids[..1000]);
            connection.send(&change).status == 200
        };
        let workload = Workload::new("patch a thousand members: members", thousand).of_many(1000);
        all.push(workload.beside([Measure::Transactions(Deed::ThousandMembers)]));
        all
    }

    pub(super) fn creations(&self) -> Vec<Workload<'_>> {
        let measures = [Measure::Commits(Deed::Create), Measure::Transactions(Deed::Create)];
        vec![
            Workload::new("create", |connection, _| self.create(connection, self.newcomer())).beside(measures),
            Workload::new("look-up, then create: users", |connection, _| {
                let number = self.newcomer();
                let is_nobody = connection.send(&look_up(&user_name(number), &self.token)).has_total(0);
                self.create(connection, number) && is_nobody
            })
            .beside(measures),
            Workload::new("a thousand creates in a bulk request: users", |connection, _| self.create_many(connection))
                .of_many(1000)
                .beside([Measure::Batches(Deed::Create, 1000)]),
            Workload::new("mix: 60 % filter, 20 % get, 12 % patch, 4 % create, 4 % list", |connection, turns| {
                self.mix(connection, turns)
            }),
        ]
    }

    pub(super) fn newcomer(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn create(&self, connection: &mut Connection, number: usize) -> bool {
        connection.send(&request("POST", "/Users", &self.token, Some(&user_body(number)))).status == 201
    }

    /// Sets somebody's `active` to what it is not.
    fn patch_active(&self, connection: &mut Connection, turns: &mut Turns) -> bool {
        let number = turns.own_below(self.ids.len());
        let active = !self.active[number].fetch_xor(true, Ordering::Relaxed);
        connection.send(&set_active(&self.ids[number], &self.token, active)).status == 200
    }

    fn create_many(&self, connection: &mut Connection) -> bool {
        let first = self.next.fetch_add(1000, Ordering::Relaxed);
        let data = |number: usize| serde_json::from_str::<Value>(&user_body(number)).unwrap();
        let operation = |number: usize| json!({"method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": data(number)});
        let operations: Vec<Value> = (first..first + 1000).map(operation).collect();
        let body = json!({"schemas": [BULK], "Operations": operations}).to_string();
        let answer = connection.send(&request("POST", "/Bulk", &self.token, Some(&body)));
        answer.status == 200 && answer.count("\"201\"") == 1000
    }

    fn mix(&self, connection: &mut Connection, turns: &mut Turns) -> bool {
        let users = self.ids.len();
        match turns.below(100) {
            0..60 => connection.send(&look_up(&user_name(turns.below(users)), &self.token)).has_total(1),
            60..80 => connection.send(&self.get(turns.below(users))).status == 200,
            80..92 => self.patch_active(connection, turns),
            92..96 => self.create(connection, self.newcomer()),
            _ => {
                let path = format!("/Users?startIndex={}&count=100", turns.below(users - 99) + 1);
                connection.send(&request("GET", &path, &self.token, None)).status == 200
            }
        }
    }
}
