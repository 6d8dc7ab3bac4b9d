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

use super::{Loaded, Measure, Turn, figure};
use crate::bare::{Deed, is_sqlite};
use crate::http::{header, request};
use crate::people::user_body;
use crate::report::Report;
use crate::rounds::{Round, at, median};

/// Wrong tokens each second.
const FLOOD: f64 = 5_000.0;
/// The connections that they come on.
const FLOODERS: usize = 64;
/// So many times what it can do is asked of scimd.
const OVERLOAD: f64 = 4.0;
/// The connections that this comes on: more than scimd lets wait.
const CROWD: usize = 6_000;
/// The connections at which it shows what it can do: as many changes as SQLite's writer commits together.
const PEAK: usize = 256;
/// The connections that the bare database has, as many as PostgreSQL has from scimd; on SQLite, the changes of one commit.
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
        let (stop, number) = (AtomicBool::new(false), AtomicUsize::new(0));
        let next = || wrong[number.fetch_add(1, Ordering::Relaxed) % wrong.len()].clone();
        let (beside, flood) = scope(|scope| {
            let flood = scope.spawn(|| offer(self.server.port, FLOODERS, FLOOD, &stop, &next));
            let beside = median(self.quiet(1, &get));
            stop.store(true, Ordering::Relaxed);
            (beside, flood.join().unwrap())
        });
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
        let mut peaks = self.quiet(PEAK, &turn);
        let rate = OVERLOAD * median(peaks.clone()).rate;

        let stop = AtomicBool::new(false);
        let overload = scope(|scope| {
            let overload = scope.spawn(|| offer(self.server.port, CROWD, rate, &stop, &create));
            sleep(SIEGE.max(Duration::from_secs_f64(self.arguments.seconds * self.arguments.rounds as f64)));
            stop.store(true, Ordering::Relaxed);
            overload.join().unwrap()
        });
        self.server.empty_log();
        // The store has grown meanwhile, and each creation costs more than it did before.
        peaks.extend(self.quiet(PEAK, &turn));
        let peak = median(peaks);
        report.fact("asked for too much", overload.told());
        report.fact("done of the peak", format!("{:.2}", overload.rate(201) / peak.rate));
        report.fact("429 without Retry-After", overload.unclear.to_string());
        report.fact("faults (5xx)", overload.count(500..600).to_string());
        report.add(figure("create, at its peak", PEAK, 1, peak));
        self.refusals(overload.rate(429), report);
    }

    /// How much the bare database still does while a server that does nothing else refuses so many each second: clients,
    /// refusals and database have the same cores.
    fn refusals(&self, rate: f64, report: &mut Report) {
        if rate == 0.0 {
            return;
        }
        let measure = match is_sqlite(&self.bare.url) {
            true => Measure::Commits(Deed::Create),
            false => Measure::Transactions(Deed::Create),
        };
        let create = || -> Vec<Round> {
            (0..self.arguments.rounds).map(|number| self.round_of(measure, WRITERS, number)).collect()
        };
        let mut alone = create();

        let busy = request("POST", "/busy", &self.token, Some(&user_body(0)));
        let stop = AtomicBool::new(false);
        let cpu = self.ceilings.cpu();
        let (beside, refused) = scope(|scope| {
            let refused = scope.spawn(|| offer(self.ceilings.port, CROWD, rate, &stop, &|| busy.clone()));
            // Until all of them are connected.
            sleep(Duration::from_secs_f64(CROWD as f64 / rate));
            let beside = create();
            stop.store(true, Ordering::Relaxed);
            (beside, refused.join().unwrap())
        });
        alone.extend(create());
        let part = median(beside).rate / median(alone).rate;
        let each = (self.ceilings.cpu() - cpu) / (refused.rate(429) * refused.seconds);
        report.fact("refused by a server that does nothing else", refused.told());
        report.fact("its CPU for each", format!("{:.0} µs", each * 1e6));
        report.fact("bare changes beside it, of those alone", format!("{part:.2}"));
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

/// Sends so many requests each second, whatever becomes of them, as far as so many connections allow: each of them waits for
/// one answer before it asks again.
fn offer(port: u16, connections: usize, rate: f64, stop: &AtomicBool, next: &(dyn Fn() -> Vec<u8> + Sync)) -> Offered {
    const THREADS: usize = 2;
    let (all, started) = (Mutex::new(Offered::default()), Instant::now());
    scope(|scope| {
        for thread in 0..THREADS {
            let all = &all;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let pause = Duration::from_secs_f64(connections as f64 / rate);
                let each = (thread..connections).step_by(THREADS).map(|number| {
                    let first = Instant::now() + pause.mul_f64(number as f64 / connections as f64);
                    ask_again_and_again(port, first, pause, stop, next, all)
                });
                runtime.block_on(futures_util::future::join_all(each));
            });
        }
    });
    Offered { seconds: started.elapsed().as_secs_f64(), ..all.into_inner().unwrap() }
}

async fn ask_again_and_again(
    port: u16,
    mut turn: Instant,
    pause: Duration,
    stop: &AtomicBool,
    next: &(dyn Fn() -> Vec<u8> + Sync),
    all: &Mutex<Offered>,
) {
    let (mut stream, mut buffer) = (None, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        sleep_until(turn.into()).await;
        turn = (turn + pause).max(Instant::now());
        let asked = Instant::now();
        let answer = exchange(port, &mut stream, &next(), &mut buffer).await;
        let milliseconds = asked.elapsed().as_secs_f32() * 1000.0;
        let mut all = all.lock().unwrap();
        match answer {
            Ok((status, says_when)) => {
                all.times.entry(status).or_default().push(milliseconds);
                all.unclear += usize::from(status == 429 && !says_when);
            }
            Err(_) => {
                all.times.entry(0).or_default().push(milliseconds);
                stream = None;
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
