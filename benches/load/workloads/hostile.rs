//! What must not bring scimd down: a flood of wrong tokens, and four times the work that it can do. Both are measured
//! against the quiet server of the same run.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use super::{Loaded, Turn, figure};
use crate::bare::Manner;
use crate::http::{Connection, header, request};
use crate::people::user_body;
use crate::report::Report;
use crate::rounds::{Round, at, median, round};

/// Wrong tokens each second.
const FLOOD: f64 = 5_000.0;
/// The connections that they come on.
const FLOODERS: usize = 64;
/// So many times what it can do is asked of scimd.
const OVERLOAD: f64 = 4.0;
/// The connections that this comes on: more than scimd lets wait.
const CROWD: usize = 6_000;
/// The connections at which it shows what it can do; on SQLite, these are the changes of one commit.
const PEAK: usize = 256;
/// The connections of the bare database: as many as scimd has to PostgreSQL.
const WRITERS: usize = 32;
/// How long too much is asked for at least: until the queue is full and what waited in it is answered, several times.
const SIEGE: Duration = Duration::from_secs(8);

impl Loaded<'_> {
    /// How long one good client waits for a user, alone and beside a flood: tokens of no key, tokens of a key with another
    /// secret, and no tokens at all.
    pub(super) fn flood(&self, report: &mut Report) {
        let users = self.ids.len();
        let get: Turn<'_> =
            Box::new(move |connection, turns| connection.send(&self.get(turns.below(users))).status == 200);
        let alone = median(self.quiet(1, &get));

        let stranger = scimd::auth::Token::generate().expose().to_owned();
        let wrong = [stranger, with_another_secret(&self.token), "scimd_nonsense".to_owned()];
        let wrong = wrong.map(|token| request("GET", &format!("/Users/{}", self.ids[0]), &token, None));
        let number = AtomicUsize::new(0);
        let next = || wrong[number.fetch_add(1, Ordering::Relaxed) % wrong.len()].clone();
        let flood = Crowd { port: self.server.port, connections: FLOODERS, rate: FLOOD, next: &next };
        let (beside, flood) = flood.beside(|| median(self.quiet(1, &get)));
        self.server.empty_log();
        let growth = beside.p99 / alone.p99;
        report.add(figure("get, alone", 1, 1, alone));
        report.add(figure("get, beside the flood", 1, 1, beside));
        report.fact("flood of wrong tokens", flood.told());
        report.fact("p99 of a good client grows by", format!("{growth:.2} times"));
    }

    /// What is still done when four times as much is asked for, and how soon the rest hears of it.
    pub(super) fn overload(&self, report: &mut Report) {
        let create = || request("POST", "/Users", &self.token, Some(&user_body(self.newcomer())));
        let turn: Turn<'_> = Box::new(|connection, _| connection.send(&create()).status == 201);
        let before = median(self.quiet(PEAK, &turn));
        let crowd = Crowd { port: self.server.port, connections: CROWD, rate: OVERLOAD * before.rate, next: &create };
        let siege = SIEGE.max(Duration::from_secs_f64(self.arguments.seconds * self.arguments.rounds as f64));
        let ((), overload) = crowd.beside(|| sleep(siege));
        self.server.empty_log();
        // The store has grown meanwhile, and each creation costs more than it did before.
        let peak = before.and(median(self.quiet(PEAK, &turn)));
        self.server.empty_log();

        report.fact("asked for too much", overload.told());
        report.fact("done of the peak", format!("{:.2}", overload.rate(201) / peak.rate));
        report.fact("429 without Retry-After", overload.unclear.to_string());
        report.fact("faults (5xx)", overload.count(500..600).to_string());
        report.add(figure("create, at its peak", PEAK, 1, peak));
        self.overload_of_a_bare_server(&crowd, siege, report);
    }

    /// What a server that does nothing else does when as much is asked of it, in commits of few and of many.
    fn overload_of_a_bare_server(&self, crowd: &Crowd<'_>, siege: Duration, report: &mut Report) {
        for manner in self.manners() {
            let turn: Turn<'_> = Box::new(|connection, _| connection.send(&(crowd.next)()).status == 201);
            let (peak, overload) = self.bare.serving(manner, |port| {
                let connect = || Connection::to(port);
                let peak = |seed| round(PEAK, self.duration(), seed, None, &connect, &turn);
                let peaks = || median((0..self.arguments.rounds).map(peak).collect());
                let before = peaks();
                let ((), overload) = Crowd { port, ..*crowd }.beside(|| sleep(siege));
                (before.and(peaks()), overload)
            });
            let faults = peak.errors + overload.count(0..200) + overload.count(500..600);
            assert_eq!(faults, 0, "a bare server has no faults: {}", overload.told());
            let (done, asked) = (overload.rate(201) / peak.rate, crowd.rate / peak.rate);
            let told = format!("asked for {asked:.1} times its peak, done {done:.2} of it; {}", overload.told());
            report.fact(format!("a bare server, commits of {}", manner.together), told);
        }
    }

    /// As many wait at a bare server as at scimd.
    fn manners(&self) -> Vec<Manner> {
        match self.bare.has_one_writer() {
            true => [64, 256, 1024].map(|together| Manner { limit: 4096, writers: 1, together }).to_vec(),
            false => vec![Manner { limit: 1024, writers: WRITERS, together: 1 }],
        }
    }

    fn quiet(&self, connections: usize, turn: &Turn<'_>) -> Vec<Round> {
        let rounds = 0..self.arguments.rounds;
        rounds.map(|number| self.round(&self.server, connections, number, turn)).collect()
    }
}

/// The same key id, another secret, and the checksum that belongs to it: six digits of CRC-32.
fn with_another_secret(token: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (id, secret) = token.rsplit_once('_').unwrap();
    let text = format!("{id}_{}", "7".repeat(secret.len() - 6));
    let crc = u64::from(crc32fast::hash(text.as_bytes()));
    let digit = |place: u32| char::from(DIGITS[(crc / 62_u64.pow(place) % 62) as usize]);
    let token = text + &(0..6).rev().map(digit).collect::<String>();
    assert!(scimd::auth::Token::parse(&token).is_some(), "the token is well-formed, so that its secret is looked at");
    token
}

/// What came of requests that came at a pace of their own.
#[derive(Default)]
struct Offered {
    /// Milliseconds until each answer, by status; 0 where there was none.
    times: BTreeMap<u16, Vec<f32>>,
    /// Refusals that do not say when to come again.
    unclear: usize,
    seconds: f64,
}

impl Offered {
    fn add(&mut self, answer: io::Result<(u16, bool)>, milliseconds: f32) {
        let (status, says_when) = answer.unwrap_or_default();
        self.times.entry(status).or_default().push(milliseconds);
        self.unclear += usize::from(status == 429 && !says_when);
    }

    fn count(&self, statuses: std::ops::Range<u16>) -> usize {
        self.times.range(statuses).map(|(_, times)| times.len()).sum()
    }

    fn rate(&self, status: u16) -> f64 {
        self.count(status..status + 1) as f64 / self.seconds
    }

    fn told(&self) -> String {
        let each = self.times.iter().map(|(status, times)| {
            let mut times = times.clone();
            times.sort_by(f32::total_cmp);
            let rate = times.len() as f64 / self.seconds;
            let name = if *status == 0 { "no answer".to_owned() } else { status.to_string() };
            format!("{name}: {rate:.0}/s, p50 {:.1} ms, p99 {:.1} ms", at(&times, 0.5), at(&times, 0.99))
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

/// Clients who ask at a pace of their own, whatever becomes of it, as far as their connections allow: each of them waits for
/// one answer before it asks again.
struct Crowd<'a> {
    port: u16,
    connections: usize,
    /// Requests each second.
    rate: f64,
    next: &'a (dyn Fn() -> Vec<u8> + Sync),
}

/// How far it has come with them.
struct Course {
    /// How many of them were never answered.
    newcomers: AtomicUsize,
    /// What they are told counts.
    counts: AtomicBool,
    is_over: AtomicBool,
}

impl Course {
    fn of(clients: usize) -> Course {
        Course { newcomers: clients.into(), counts: false.into(), is_over: false.into() }
    }

    /// Waits until each of them has come and was answered: to let thousands in at once is another work than to serve them.
    fn wait_for_all(&self) {
        while self.newcomers.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_millis(10));
        }
    }
}

impl Crowd<'_> {
    /// How long a client waits from one request to the next.
    fn pause(&self) -> Duration {
        Duration::from_secs_f64(self.connections as f64 / self.rate)
    }

    /// Has them ask while this is done, and tells what they were answered meanwhile.
    fn beside<T>(&self, work: impl FnOnce() -> T) -> (T, Offered) {
        const THREADS: usize = 2;
        let (course, all) = (Course::of(self.connections), Mutex::new(Offered::default()));
        let (done, seconds) = scope(|scope| {
            for thread in 0..THREADS {
                let (course, all) = (&course, &all);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let clients = (thread..self.connections).step_by(THREADS);
                    let each = clients.map(|number| self.ask_again_and_again(number, course, all));
                    runtime.block_on(futures_util::future::join_all(each));
                });
            }
            course.wait_for_all();
            course.counts.store(true, Ordering::Relaxed);
            let started = Instant::now();
            let done = work();
            let seconds = started.elapsed().as_secs_f64();
            course.counts.store(false, Ordering::Relaxed);
            course.is_over.store(true, Ordering::Relaxed);
            (done, seconds)
        });
        (done, Offered { seconds, ..all.into_inner().unwrap() })
    }

    async fn ask_again_and_again(&self, number: usize, course: &Course, all: &Mutex<Offered>) {
        let pause = self.pause();
        let mut turn = Instant::now() + pause.mul_f64(number as f64 / self.connections as f64);
        let (mut stream, mut buffer, mut is_new) = (None, Vec::new(), true);
        while !course.is_over.load(Ordering::Relaxed) {
            sleep_until(turn.into()).await;
            turn = (turn + pause).max(Instant::now());
            let asked = Instant::now();
            let answer = exchange(self.port, &mut stream, &(self.next)(), &mut buffer).await;
            let milliseconds = asked.elapsed().as_secs_f32() * 1000.0;
            if answer.is_err() {
                stream = None;
            }
            if std::mem::take(&mut is_new) {
                course.newcomers.fetch_sub(1, Ordering::Relaxed);
            }
            if course.counts.load(Ordering::Relaxed) {
                all.lock().unwrap().add(answer, milliseconds);
            }
        }
    }
}

/// One request and its answer: the status, and whether it says when to come again.
async fn exchange(
    port: u16,
    stream: &mut Option<TcpStream>,
    request: &[u8],
    buffer: &mut Vec<u8>,
) -> io::Result<(u16, bool)> {
    let stream = match stream {
        Some(stream) => stream,
        None => stream.insert(TcpStream::connect(("127.0.0.1", port)).await?),
    };
    stream.write_all(request).await?;
    buffer.clear();
    let head = loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head]).map_err(io::Error::other)?;
    let status = text[9..12].parse().map_err(io::Error::other)?;
    let length: usize = header(text, "content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    let says_when = header(text, "retry-after").is_some();
    while buffer.len() < head + length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((status, says_when))
}
