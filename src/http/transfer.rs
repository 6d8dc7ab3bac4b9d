//! What goes in and out as a whole, over `/admin/v1`: streams, whose memory does not grow with what they carry. What they
//! are stands in [`crate::admin::transfer`].

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::http::{Method, StatusCode};
use actix_web::rt::task::JoinHandle;
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, rt};
use futures_util::stream;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::admin::variables;
use super::exchange::{Exchange, for_caller};
use super::long::PATIENCE;
use super::respond;
use crate::admin::transfer::{Backup, CSV, Export, Import, MAX_IMPORT, MAX_TABLE, NDJSON, Outcome, Spool, spool};
use crate::admin::{Asked, Route};
use crate::auth::Access;
use crate::scim::message::{MEDIA_TYPE, error_body};
use crate::scim::{Error, ErrorKind, Result};

/// How long a client may take for the whole of a stream: the snapshot behind it keeps what is deleted from going for good.
const WHOLE: Duration = Duration::from_secs(60 * 60);

/// How many pieces wait for a client.
const PIECES: usize = 4;

/// How much of a file is one piece, and how much of what arrives is written at once.
const PIECE: usize = 256 * 1024;

/// `GET /admin/v1/tenants/{tenant}/export`
pub(super) async fn export(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.administers(Access::Read).await?;
        exchange.ignore_body().await;
        let question: Export = asked(&exchange, &Export::ROUTE)?;
        if question.password_hashes {
            exchange.administers(Access::Write).await?;
        }
        let desk = exchange.desk();
        // Who asks for the head alone is told that there is something.
        if exchange.request.method() == Method::HEAD {
            desk.tenant(&question.tenant).await?;
            return Ok(unkept(StatusCode::OK, NDJSON).finish());
        }
        let (sender, pieces) = mpsc::channel(PIECES);
        let hand_over = to_client(sender);
        let work =
            rt::spawn(async move { question.carry_out(&desk, move |piece, _| hand_over(piece)).await.map(drop) });
        send(NDJSON, pieces, work).await
    })
    .await
}

/// `GET /admin/v1/backup`: it holds the keys of every tenant, so looking alone is not enough.
pub(super) async fn backup(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.administers(Access::Write).await?;
        exchange.ignore_body().await;
        let question: Backup = asked(&exchange, &Backup::ROUTE)?;
        if exchange.request.method() == Method::HEAD {
            return Ok(unkept(StatusCode::OK, SQLITE).finish());
        }
        let (file, turn) = question.carry_out(&exchange.desk()).await?;
        let (sender, pieces) = mpsc::channel(PIECES);
        let hand_over = to_client(sender);
        let work = rt::spawn(async move {
            let read = move || {
                let _turn = turn;
                read_out(file, hand_over)
            };
            rt::task::spawn_blocking(read).await.unwrap_or_else(|cause| Err(Error::internal(cause)))
        });
        send(SQLITE, pieces, work).await
    })
    .await
}

/// Registered with IANA.
const SQLITE: &str = "application/vnd.sqlite3";

/// `POST /admin/v1/tenants/{tenant}/import`
pub(super) async fn import(request: HttpRequest, payload: Payload) -> HttpResponse {
    for_caller(request, payload, async |mut exchange: Exchange| {
        exchange.administers(Access::Write).await?;
        let turn = Import::turn(&exchange.desk());
        let received = match turn {
            Ok(turn) => receive(&mut exchange).await.map(|received| (received, turn)),
            Err(busy) => Err(busy),
        };
        if received.is_err() {
            exchange.ignore_body().await;
        }
        let ((question, is_table, spool), turn) = received?;
        // The work goes on when the client hangs up, and its turn with it.
        let keep_turn = move |_| {
            let _ = &turn;
        };
        let (desk, spool, dry_run) = (exchange.desk(), Arc::new(spool), question.dry_run);
        let outcome = match is_table {
            true => question.carry_out_table(&desk, spool, keep_turn).await?,
            false => question.carry_out(&desk, spool, keep_turn).await?,
        };
        Ok(answer(&outcome, dry_run))
    })
    .await
}

async fn receive(exchange: &mut Exchange) -> Result<(Import, bool, Spool)> {
    let question: Import = asked(exchange, &Import::ROUTE)?;
    let is_table = is_table(&exchange.request)?;
    let (mut spool, mut waiting, mut length) = (spool(&exchange.desk())?, Vec::new(), 0_u64);
    while let Some(bytes) = next(exchange).await? {
        length += bytes.len() as u64;
        if length > MAX_IMPORT {
            return Err(Error::new(ErrorKind::TooLarge, format!("An import has at most {MAX_IMPORT} bytes.")));
        }
        if is_table && length > MAX_TABLE {
            let detail = format!("A table of users has at most {MAX_TABLE} bytes; import it in parts.");
            return Err(Error::new(ErrorKind::TooLarge, detail));
        }
        waiting.extend_from_slice(&bytes);
        if waiting.len() >= PIECE {
            spool = pushed(spool, std::mem::take(&mut waiting)).await?;
        }
    }
    Ok((question, is_table, pushed(spool, waiting).await?))
}

async fn next(exchange: &mut Exchange) -> Result<Option<Bytes>> {
    let late = |_| Error::new(ErrorKind::InvalidSyntax, "The body did not arrive in time.");
    timeout(PATIENCE, exchange.next_of_body()).await.map_err(late)?
}

/// Disks may be slow, and other requests wait on this thread.
async fn pushed(mut spool: Spool, bytes: Vec<u8>) -> Result<Spool> {
    let push = move || spool.push(&bytes).map(|()| spool);
    rt::task::spawn_blocking(push).await.unwrap_or_else(|cause| Err(Error::internal(cause)))
}

fn is_table(request: &HttpRequest) -> Result<bool> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|media_type| media_type.to_str().ok());
    let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        NDJSON | "application/ndjson" | "application/jsonl" => Ok(false),
        CSV => Ok(true),
        _ => {
            let detail = format!("An import is {NDJSON} (an export of scimd) or {CSV} (a table of users).");
            Err(Error::new(ErrorKind::UnsupportedMediaType, detail))
        }
    }
}

/// What became of an import. Where nothing was imported though it was asked for, it is a conflict with a list.
fn answer(outcome: &Outcome, dry_run: bool) -> HttpResponse {
    if outcome.imported || dry_run {
        return respond::plain_json(&json!(outcome));
    }
    let error = Error::new(ErrorKind::Uniqueness, "Nothing is imported; `outcome` lists what is in the way.");
    let mut body = error_body(&error);
    body["outcome"] = json!(outcome);
    unkept(StatusCode::CONFLICT, MEDIA_TYPE).body(body.to_string())
}

fn asked<Q: DeserializeOwned>(exchange: &Exchange, route: &Route) -> Result<Q> {
    let variables = variables(route, exchange.request.path());
    let query = exchange.request.query_string().to_owned();
    Asked { variables, query, ..Asked::default() }.parameters()
}

/// What a thread hands pieces to. A client that takes none for too long gets no more, nor one that is not done after
/// [`WHOLE`].
fn to_client(sender: mpsc::Sender<Vec<u8>>) -> impl Fn(Vec<u8>) -> Result<()> + Send + 'static {
    to_client_until(Instant::now() + WHOLE, sender)
}

fn to_client_until(end: Instant, sender: mpsc::Sender<Vec<u8>>) -> impl Fn(Vec<u8>) -> Result<()> + Send + 'static {
    let runtime = tokio::runtime::Handle::current();
    move |piece| {
        let gone = || Error::new(ErrorKind::Busy, "The client took no more of the stream.");
        let now = Instant::now();
        if now >= end {
            return Err(gone());
        }
        let sent = runtime.block_on(timeout_at(end.min(now + PATIENCE), sender.send(piece)));
        sent.map_err(|_| gone())?.map_err(|_| gone())
    }
}

fn read_out(mut file: File, hand_over: impl Fn(Vec<u8>) -> Result<()>) -> Result<()> {
    loop {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).map_err(Error::internal)?;
        if read == 0 {
            return Ok(());
        }
        piece.truncate(read);
        hand_over(piece)?;
    }
}

/// The pieces as a body. A failure before the first one is an answer of its own; one after it cuts the body off, so that
/// nobody takes it for whole.
async fn send(
    media_type: &'static str,
    mut pieces: mpsc::Receiver<Vec<u8>>,
    work: JoinHandle<Result<()>>,
) -> Result<HttpResponse> {
    let Some(first) = pieces.recv().await else {
        let outcome = work.await.unwrap_or_else(|cause| Err(Error::internal(cause)));
        return outcome.and_then(|()| Err(Error::internal("a stream without a beginning")));
    };
    let state = (Some(first), pieces, Some(work));
    let body = stream::unfold(state, |(first, mut pieces, mut work)| async move {
        let piece = match first {
            Some(piece) => Some(piece),
            None => pieces.recv().await,
        };
        if let Some(piece) = piece {
            return Some((Ok(Bytes::from(piece)), (None, pieces, work)));
        }
        let ended = work.take()?.await.unwrap_or_else(|cause| Err(Error::internal(cause)));
        let error = ended.err()?;
        tracing::warn!(%error, "a stream was cut off");
        Some((Err(std::io::Error::other(error)), (None, pieces, None)))
    });
    Ok(unkept(StatusCode::OK, media_type).streaming(body))
}

/// An answer about everybody in a tenant, which no cache keeps.
fn unkept(status: StatusCode, media_type: &'static str) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, media_type));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_ends_in_time_however_fast_its_pieces_go() {
        for (end, goes) in [(Instant::now(), false), (Instant::now() + WHOLE, true)] {
            let (sender, mut pieces) = mpsc::channel(PIECES);
            let hand_over = to_client_until(end, sender);

            let handed_over = rt::task::spawn_blocking(move || hand_over(vec![1])).await.expect("no panic");

            assert_eq!((handed_over.is_ok(), pieces.recv().await.is_some()), (goes, goes));
        }
    }
}
