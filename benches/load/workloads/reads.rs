//! What changes nothing.

use std::time::Instant;

use super::{EMPTY_GROUPS, Loaded, Measure, Workload, look_up};
use crate::bare::Deed;
use crate::http::{Connection, request};
use crate::people::user_name;
use crate::report::{Report, grouped};
use crate::rounds::at;

/// A page far behind, for index paging.
const FAR_PAGE: usize = 10_000;

impl Loaded<'_> {
    pub(super) fn reads(&self) -> Vec<Workload<'_>> {
        let (users, token) = (self.ids.len(), &self.token);
        let mut pages = vec![("list, first 100: pages", 1), ("list, last 100: pages", users - 99)];
        if users >= FAR_PAGE * 100 {
            pages.push(("list, page 10,000: pages", (FAR_PAGE - 1) * 100 + 1));
        }
        let one = self.size_of(&self.get(0));
        let found = self.size_of(&look_up(&user_name(0), token));
        let mut all = vec![
            Workload::new("get", move |connection, turns| connection.send(&self.get(turns.below(users))).status == 200)
                .beside([Measure::Hello(one), Measure::Reads(Deed::ReadById), Measure::Served(Deed::ReadById, one)]),
            Workload::new("userName eq", move |connection, turns| {
                connection.send(&look_up(&user_name(turns.below(users)), token)).has_total(1)
            })
            .beside([
                Measure::Hello(found),
                Measure::Reads(Deed::ReadByKey),
                Measure::Served(Deed::ReadByKey, found),
            ]),
        ];
        for (name, start) in pages {
            let page = request("GET", &format!("/Users?startIndex={start}&count=100"), token, None);
            let size = self.size_of(&page);
            let turn =
                move |connection: &mut Connection, _: &mut _| connection.send(&page).says("itemsPerPage") == Some(100);
            all.push(Workload::new(name, turn).beside([Measure::Hello(size), Measure::Reads(Deed::ReadPage)]));
        }
        let groups = request("GET", "/Groups?excludedAttributes=members", token, None);
        let (size, count) = (self.size_of(&groups), self.groups.len() + EMPTY_GROUPS.len());
        let turn = move |connection: &mut Connection, _: &mut _| {
            let answer = connection.send(&groups);
            answer.has_total(count) && answer.count("\"members\":") == 0
        };
        all.push(Workload::new("list, groups without members: pages", turn).beside([Measure::Hello(size)]));
        all
    }

    /// The largest group, whole: how long it takes, and what memory the server takes for it.
    pub(super) fn large_group(&self, report: &mut Report) {
        let Some((size, id)) = self.groups.iter().max().filter(|_| self.arguments.wants("get a group")) else {
            return;
        };
        let whole = request("GET", &format!("/Groups/{id}"), &self.token, None);
        let mut connection = Connection::to(self.server.port);
        let before = self.server.memory();
        self.server.forget_peak();
        let mut times: Vec<f32> = Vec::new();
        for _ in 0..self.arguments.rounds {
            let asked = Instant::now();
            let answer = connection.send(&whole);
            times.push(asked.elapsed().as_secs_f32() * 1000.0);
            assert_eq!((answer.status, answer.count("\"value\":")), (200, *size), "a group is whole");
        }
        let (peak, after) = (self.server.peak(), self.server.memory());
        times.sort_by(f32::total_cmp);
        let told =
            format!("{:.0} ms; memory {before:.0} MiB before, {peak:.0} at most, {after:.0} after", at(&times, 0.5));
        report.fact(format!("get a group of {} members", grouped(*size as f64)), told);
    }

    /// Everybody, by cursor, a thousand on a page; and whether the last pages come as fast as the first ones.
    pub(super) fn walk(&self, report: &mut Report) {
        if !self.arguments.wants("walk") {
            return;
        }
        let mut connection = Connection::to(self.server.port);
        let (mut cursor, mut seen, mut times) = (String::new(), 0, Vec::new());
        let started = Instant::now();
        loop {
            let path = format!("/Users?cursor={cursor}&count=1000");
            let asked = Instant::now();
            let page = connection.send(&request("GET", &path, &self.token, None)).json();
            times.push(asked.elapsed().as_secs_f64());
            seen += page["Resources"].as_array().map_or(0, Vec::len);
            match page["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, self.ids.len(), "a walk meets everybody");
        let rate = seen as f64 / started.elapsed().as_secs_f64();
        let tenth = times.len().div_ceil(10);
        let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
        let growth = mean(&times[times.len() - tenth..]) / mean(&times[..tenth]);
        let told = format!("{} users/s; the last tenth takes {growth:.2} times as long as the first", grouped(rate));
        report.fact("walk by cursor", told);
        self.server.empty_log();
    }
}
