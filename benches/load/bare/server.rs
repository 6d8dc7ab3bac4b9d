//! A server that makes users with as little as it takes: a queue with the bare database behind it, and a refusal for whoever
//! finds the queue full. No token is checked, no JSON read, nothing logged. It runs in this process, so that it can make what
//! the bare database makes, and each client of a crowd costs it two open files.

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::scope;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header::RETRY_AFTER;
use actix_web::rt::System;
use actix_web::{App, HttpResponse, HttpServer, web};
use tokio::sync::oneshot;

use super::{Bare, Deed};
use crate::http::CONTENT_TYPE;
use crate::people::user_body;
use crate::rounds::Turns;

const BUSY: &str =
    r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"The server is busy.","status":"429"}"#;

/// Who waits for a user to be made, and hears whether that was done.
type Client = oneshot::Sender<bool>;

struct Queue {
    limit: usize,
    state: Mutex<State>,
    arrival: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Client>,
    is_closed: bool,
}

impl Queue {
    /// Nothing if it is full.
    fn push(&self) -> Option<oneshot::Receiver<bool>> {
        let (client, answer) = oneshot::channel();
        let mut state = self.state.lock().unwrap();
        if state.is_closed || state.waiting.len() >= self.limit {
            return None;
        }
        state.waiting.push_back(client);
        drop(state);
        self.arrival.notify_one();
        Some(answer)
    }

    /// The first of those who wait, at most so many; nobody once it is closed and empty.
    fn take(&self, most: usize) -> Vec<Client> {
        let is_idle = |state: &mut State| state.waiting.is_empty() && !state.is_closed;
        let mut state = self.arrival.wait_while(self.state.lock().unwrap(), is_idle).unwrap();
        let count = state.waiting.len().min(most);
        state.waiting.drain(..count).collect()
    }
}

/// However a work ends, nobody waits for ever.
struct CloseAtEnd<'a>(&'a Queue);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        state.waiting.clear();
        self.0.arrival.notify_all();
    }
}

/// Stops a server.
struct StopAtEnd(ServerHandle);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        System::new().block_on(self.0.stop(false));
    }
}

/// How such a server works.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// So many wait at most.
    pub limit: usize,
    /// The connections to the database.
    pub writers: usize,
    /// The users that each of them makes in one commit, at most.
    pub together: usize,
}

impl Bare<'_> {
    /// Serves in that manner while this is done on its port.
    pub fn serving<T>(&self, manner: Manner, work: impl FnOnce(u16) -> T) -> T {
        let Manner { limit, writers, together } = manner;
        let queue = Arc::new(Queue { limit, state: Mutex::default(), arrival: Condvar::new() });
        scope(|scope| {
            let _close = CloseAtEnd(&queue);
            for writer in 0..writers {
                let queue = &queue;
                scope.spawn(move || self.make_those_of(queue, together, Turns::new(writer, writers, 0)));
            }
            let (told, started) = channel();
            let taken_in = web::Data::from(Arc::clone(&queue));
            scope.spawn(move || serve(taken_in, told));
            let (port, server) = started.recv().unwrap();
            let _stop = StopAtEnd(server);
            work(port)
        })
    }

    fn make_those_of(&self, queue: &Queue, together: usize, mut turns: Turns) {
        let _close = CloseAtEnd(queue);
        let mut connection = self.open_for(Deed::Create);
        loop {
            let clients = queue.take(together);
            if clients.is_empty() {
                break;
            }
            let are_made = self.turn(&mut connection, Deed::Create, clients.len(), &mut turns);
            for client in clients {
                let _ = client.send(are_made);
            }
        }
    }
}

/// Serves until it is stopped, and tells its port and how to stop it.
fn serve(queue: web::Data<Queue>, told: Sender<(u16, ServerHandle)>) {
    let app = move || App::new().app_data(queue.clone()).default_service(web::to(create));
    // As scimd does: the clients of a crowd come again after seconds.
    let server = HttpServer::new(app).keep_alive(Duration::from_secs(75)).tcp_nodelay(true).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let port = server.addrs()[0].port();
    System::new().block_on(async {
        let server = server.run();
        told.send((port, server.handle())).unwrap();
        server.await.unwrap();
    });
}

/// The body has to be read, or the connection is closed.
async fn create(queue: web::Data<Queue>, _body: web::Bytes) -> HttpResponse {
    let Some(answer) = queue.push() else {
        return HttpResponse::TooManyRequests().content_type(CONTENT_TYPE).insert_header((RETRY_AFTER, "1")).body(BUSY);
    };
    match answer.await {
        Ok(true) => HttpResponse::Created().content_type(CONTENT_TYPE).body(user_body(0)),
        _ => HttpResponse::InternalServerError().finish(),
    }
}
