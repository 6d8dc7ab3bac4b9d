//! A long text as a body: read from its file piece by piece, as the client takes them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody, SizedStream};
use actix_web::http::Method;
use actix_web::rt;
use actix_web::web::Bytes;
use futures_core::Stream;
use futures_util::stream;

use crate::provider::Spilled;

/// How long a client may take for one piece of a stream. Behind a stream stands a connection to the database, or a file.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A text, and nobody's while a piece of it is read.
type Shared<T> = Mutex<Option<T>>;

/// The text. Who asks for the head alone gets its length.
pub(super) fn body(method: &Method, text: Spilled) -> BoxBody {
    let length = text.len();
    if method == Method::HEAD {
        return SizedStream::new(length, stream::empty::<io::Result<Bytes>>()).boxed();
    }
    let text = Arc::new(Mutex::new(Some(text)));
    rt::spawn(take_from_whoever_stops(Arc::downgrade(&text), Spilled::len));
    SizedStream::new(length, pieces(text)).boxed()
}

fn pieces(text: Arc<Shared<Spilled>>) -> impl Stream<Item = io::Result<Bytes>> {
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
