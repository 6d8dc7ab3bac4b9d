//! The history as a whole: searched, sealed into its chain, and proven.

use std::time::{Duration, Instant};

use super::Provider;
use super::export::Progress;
use crate::scim::Result;
use crate::store::audit::{self, Entry, Head, SEALED_AT_ONCE, Search, Verdict, Verification};
use crate::store::{Connection, Reach};

/// How old the end of the history gets before it is sealed, while a server runs.
const PAUSE: Duration = Duration::from_secs(2);

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often the head of the chain is told, if it has moved.
const TOLD_EVERY: Duration = Duration::from_secs(3600);

impl Provider {
    /// The changes of a tenant that are looked for, at most `limit`.
    ///
    /// # Errors
    /// Database failures.
    pub async fn changes(&self, tenant_id: i64, search: Search, limit: i64) -> Result<Vec<Entry>> {
        let read = move |connection: &mut Connection| audit::search(connection, tenant_id, &search, limit);
        self.store.read(Reach::Scan, read).await
    }

    /// Seals all that is committed by now, some rows at a time, so that no write waits long; the head of the chain. None
    /// for an empty history.
    ///
    /// # Errors
    /// Database failures.
    pub async fn seal(&self) -> Result<Option<Head>> {
        self.prove_old_changes().await?;
        self.seal_open_changes().await?;
        self.head().await
    }

    /// Seals what is committed, again and again. Tells the head in the log now and then: whoever keeps the log elsewhere can
    /// prove by it that nothing of the history was changed or cut off. Also tells when a head that was seen is gone.
    pub async fn keep_sealed(self) {
        let (mut pause, mut founded) = (PAUSE, false);
        let mut told: Option<(Instant, i64)> = None;
        let mut seen: Option<Head> = None;
        loop {
            if let Some(seen) = seen.clone() {
                self.miss(seen).await;
            }
            match self.seal_once(&mut founded).await {
                Ok(()) => pause = PAUSE,
                Err(error) => {
                    tracing::warn!(%error, "the history cannot be sealed; it will be tried again");
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            // A database that does not answer is told of elsewhere.
            if let Ok(head) = self.head().await {
                told = tell_now_and_then(head.as_ref(), told);
                seen = head;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Seals what is committed at the end of a server, and tells the head.
    pub async fn seal_last(&self) {
        match self.seal().await {
            Ok(Some(head)) => tell(&head),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the end of the history is not sealed; the next start does it"),
        }
    }

    /// Proves the history of all tenants: seals what is open, then walks the whole chain, and tells how many changes it has
    /// passed. `expected` is the hash of a head of earlier times, which must be part of it.
    ///
    /// # Errors
    /// Database failures.
    pub async fn verify(&self, expected: Option<String>, told: impl Fn(Progress)) -> Result<Verdict> {
        // Where nothing can be written, or the end of the chain is broken, what there is can still be looked at.
        if let Err(error) = self.seal().await {
            tracing::warn!(%error, "the end of the history is not sealed");
        }
        // Of a chain whose end can't be read nobody knows how long it is.
        let total = self.head().await.ok().flatten().map_or(0, |head| head.rows.max(0) as u64);
        let mut verification = Verification::new(expected);
        loop {
            let step = move |connection: &mut Connection| {
                let goes_on = verification.step(connection)?;
                Ok((verification, goes_on))
            };
            let goes_on;
            (verification, goes_on) = self.store.read(Reach::Scan, step).await?;
            told(Progress { done: verification.rows() as u64, total });
            if !goes_on {
                break;
            }
        }
        self.store.read(Reach::Scan, move |connection: &mut Connection| verification.end(connection)).await
    }

    /// The head of the chain; none as long as nothing is sealed.
    ///
    /// # Errors
    /// Database failures.
    pub async fn head(&self) -> Result<Option<Head>> {
        self.store.read(Reach::Point, audit::head).await
    }

    /// Tells of a head that was seen before if it is no part of the chain any more.
    async fn miss(&self, seen: Head) {
        let (seal, hash) = (seen.seal_id, seen.hash.clone());
        let look = move |connection: &mut Connection| audit::is_part_of_chain(connection, &seen);
        if let Ok(false) = self.store.read(Reach::Point, look).await {
            tracing::error!(
                seal,
                hash,
                "a part of the history that was sealed is gone or made anew; verify it with this hash"
            );
        }
    }

    async fn seal_once(&self, founded: &mut bool) -> Result<()> {
        if !*founded {
            self.prove_old_changes().await?;
            *founded = true;
        }
        self.seal_open_changes().await
    }

    /// What was written before there were digests gets them, before the chain begins.
    async fn prove_old_changes(&self) -> Result<()> {
        if self.head().await?.is_some() {
            return Ok(());
        }
        let mut last = Some(0);
        while let Some(row_id) = last {
            last = self.store.write(move |connection: &mut Connection| audit::found(connection, row_id)).await?;
        }
        Ok(())
    }

    async fn seal_open_changes(&self) -> Result<()> {
        loop {
            let now = self.now();
            let next = move |connection: &mut Connection| audit::next_seal(connection, now);
            let Some(seal) = self.store.read(Reach::Scan, next).await? else { return Ok(()) };
            let has_all = seal.rows() < SEALED_AT_ONCE;
            // If another process was quicker, the next round goes on from its seal.
            let insert = move |connection: &mut Connection| audit::insert_seal(connection, &seal);
            if self.store.write(insert).await? && has_all {
                return Ok(());
            }
        }
    }
}

/// What was told last, and when, once this head is told if it is time.
fn tell_now_and_then(head: Option<&Head>, told: Option<(Instant, i64)>) -> Option<(Instant, i64)> {
    let Some(head) = head.filter(|_| told.is_none_or(|(at, _)| at.elapsed() >= TOLD_EVERY)) else { return told };
    if told.is_none_or(|(_, seal_id)| seal_id != head.seal_id) {
        tell(head);
    }
    Some((Instant::now(), head.seal_id))
}

fn tell(head: &Head) {
    tracing::info!(seal = head.seal_id, changes = head.rows, hash = head.hash, "the history is sealed");
}
