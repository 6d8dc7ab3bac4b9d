//! One server takes the place of another one: nobody who asks may notice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;

use super::health::{get, wait_until_draining};
use super::support::http::Client;
use super::{PATIENCE, Server, Workplace};

/// Balancers hear of an end later than the server does: as long as they send requests, somebody must be there.
#[test]
fn a_server_stays_for_its_delay_though_nothing_is_in_flight() {
    let workplace = Workplace::sqlite();
    let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim_end().to_owned();
    let (server, address) = Server::start(&workplace, &["serve", "--shutdown-delay", "1h"]);

    server.terminate();
    wait_until_draining(&Client::new(&address));

    for _ in 0..3 {
        // A connection of its own each time: the listener is open.
        let answer = Client::new(&address).call(&token, "GET", "/scim/v2/Users", None).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    }
    server.terminate();
    assert_eq!(server.exit_code(), Some(0), "a second signal stops at once");
}

#[test]
fn a_server_stops_by_itself_after_its_delay() {
    let workplace = Workplace::sqlite();
    let (server, address) = Server::start(&workplace, &["serve", "--shutdown-delay", "1s"]);
    assert_eq!(get(&Client::new(&address), "/readyz").0, 200);

    let began = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(began.elapsed().as_secs_f32() >= 1.0, "{:?}", began.elapsed());
}

/// The servers that a balancer sends requests to, and what came of them.
#[derive(Default)]
struct Balancer {
    servers: Mutex<Vec<String>>,
    ended: AtomicBool,
    created: AtomicUsize,
    /// Answers that asked to go elsewhere.
    late: AtomicUsize,
}

impl Balancer {
    fn add(&self, address: &str) {
        self.servers().push(address.to_owned());
    }

    fn remove(&self, address: &str) {
        self.servers().retain(|server| server != address);
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates users, each on the next server, on connections that are kept as long as their server lets them.
    fn push(&self, token: &str, worker: usize) {
        let mut clients: Vec<(String, Client)> = Vec::new();
        for number in 0.. {
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            let address = {
                let servers = self.servers();
                servers[number % servers.len()].clone()
            };
            if !clients.iter().any(|(known, _)| *known == address) {
                clients.push((address.clone(), Client::new(&address)));
            }
            let (_, client) = clients.iter().find(|(known, _)| *known == address).unwrap();
            let user = json!({"userName": format!("user-{worker}-{number}")});
            let answer = client.call(token, "POST", "/scim/v2/Users", Some(&user));
            let answer = answer.unwrap_or_else(|error| panic!("request {number} of {worker} was lost: {error}"));
            assert_eq!(answer.status, 201, "{}", answer.text());
            self.created.fetch_add(1, Ordering::AcqRel);
            if answer.header("connection") == Some("close") {
                self.late.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    fn wait_for(&self, counter: &AtomicUsize, more: usize) {
        let wanted = counter.load(Ordering::Acquire) + more;
        let deadline = Instant::now() + PATIENCE;
        while counter.load(Ordering::Acquire) < wanted {
            assert!(Instant::now() < deadline, "no more requests are answered");
            std::thread::yield_now();
        }
    }
}

/// As Kubernetes does it: the new server first, and the old one is told to stop before whoever balances has heard of it.
#[test]
fn a_rolling_update_on_postgresql_loses_no_request() {
    let workplace = Workplace::postgres();
    let token = workplace.succeed(&["key", "create", "--name", "okta"]).trim_end().to_owned();
    let start = || Server::start(&workplace, &["serve", "--shutdown-delay", "3s"]);
    let balancer = Balancer::default();
    let (old, old_address) = start();
    balancer.add(&old_address);

    std::thread::scope(|scope| {
        let (balancer, token) = (&balancer, &token);
        let workers: Vec<_> = (0..3).map(|worker| scope.spawn(move || balancer.push(token, worker))).collect();
        balancer.wait_for(&balancer.created, 10);
        let (new, new_address) = start();
        assert_eq!(get(&Client::new(&new_address), "/readyz").0, 200);
        balancer.add(&new_address);
        balancer.wait_for(&balancer.created, 10);
        old.terminate();
        balancer.wait_for(&balancer.late, 10);
        balancer.remove(&old_address);
        assert_eq!(old.exit_code(), Some(0));
        balancer.wait_for(&balancer.created, 10);
        balancer.ended.store(true, Ordering::Release);
        for worker in workers {
            worker.join().unwrap();
        }
        let listed = Client::new(&new_address).call(token, "GET", "/scim/v2/Users?count=0", None).unwrap();
        let created = balancer.created.load(Ordering::Acquire);
        assert!(created > 40, "{created}");
        assert_eq!(listed.json()["totalResults"], created, "what was answered is there, once");
        assert_eq!(new.stop(), Some(0));
    });
}
