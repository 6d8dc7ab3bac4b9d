//! A long text as a body: piece by piece, as the client takes them, read from its file if it has one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody, SizedStream};
use actix_web::http::Method;
use actix_web::rt;
use actix_web::web::Bytes;
use futures_core::Stream;
use futures_util::stream::{self, StreamExt as _};

use crate::provider::{Spilled, Text};

/// How long a client may take for one piece of a stream. Behind a stream stands a connection to the database, or a file.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A text, and nobody's while a piece of it is read.
type Shared<T> = Mutex<Option<T>>;

/// How much of a text in memory is sent at once, in bytes. For each connection the server keeps as much as it has sent at
/// once.
pub(super) const PIECE: usize = 256 * 1024;

/// A text behind its beginning. Who asks for the head alone gets their length.
pub(super) fn body(method: &Method, start: String, text: Text) -> BoxBody {
    let length = match &text {
        Text::Short(text) => text.len() as u64,
        Text::Long(text) => text.len(),
    };
    let length = start.len() as u64 + length;
    if method == Method::HEAD {
        return SizedStream::new(length, stream::empty::<io::Result<Bytes>>()).boxed();
    }
    let start = stream::iter([Ok(start.into())]);
    match text {
        Text::Short(text) => SizedStream::new(length, start.chain(cut(text))).boxed(),
        Text::Long(text) => SizedStream::new(length, start.chain(read(text))).boxed(),
    }
}

fn cut(text: String) -> impl Stream<Item = io::Result<Bytes>> {
    let mut text = Bytes::from(text);
    stream::iter(std::iter::from_fn(move || {
        let piece = text.split_to(PIECE.min(text.len()));
        (!piece.is_empty()).then_some(Ok(piece))
    }))
}

fn read(text: Spilled) -> impl Stream<Item = io::Result<Bytes>> {
    let text = Arc::new(Mutex::new(Some(text)));
    rt::spawn(take_from_whoever_stops(Arc::downgrade(&text), Spilled::len));
    stream::try_unfold(text, |text| async move {
        let piece = next_piece(&text).await.inspect_err(|error| tracing::warn!(%error, "a long answer was cut off"))?;
        Ok((!piece.is_empty()).then_some((piece, text)))
    })
}

/// Disks may be slow, and other requests wait on this thread.
async fn next_piece(text: &Shared<Spilled>) -> io::Result<Bytes> {
    let taken = text.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut rest = taken.ok_or_else(|| io::Error::other("the client took no more of it"))?;
    let (piece, rest) = rt::task::spawn_blocking(move || rest.next_piece().map(|piece| (piece, rest))).await??;
    *text.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    Ok(piece.into())
}

/// Ends a text of which nothing was read between two looks at how much is `left`.
async fn take_from_whoever_stops<T>(text: Weak<Shared<T>>, left: impl Fn(&T) -> u64) {
    let mut before = None;
    loop {
        rt::time::sleep(PATIENCE).await;
        let Some(text) = text.upgrade() else { return };
        let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
        let now = text.as_ref().map(&left);
        if now.is_some() && now == before {
            *text = None;
            return;
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_may_be_slow_but_not_stop() {
        let text = Arc::new(Mutex::new(Some(5_u64)));
        let reading = async {
            for _ in 0..5 {
                rt::time::sleep(PATIENCE * 9 / 10).await;
                let mut left = text.lock().expect("nobody panicked");
                *left = left.map(|left| left - 1);
            }
            assert_eq!(*text.lock().expect("nobody panicked"), Some(0), "slow is no crime");
        };

        tokio::join!(take_from_whoever_stops(Arc::downgrade(&text), |left| *left), reading);

        assert_eq!(*text.lock().expect("nobody panicked"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_looks_at_a_text_that_is_gone() {
        let text = Arc::new(Mutex::new(Some(5_u64)));
        let looking = take_from_whoever_stops(Arc::downgrade(&text), |left| *left);
        drop(text);

        looking.await;
    }
}
