//! How we are: for whoever watches the server.

use chrono::{NaiveDateTime, TimeDelta};

use super::Provider;
use crate::scim::Result;
use crate::store::survey::{self, EXPIRY_DAYS, EndingKey, Survey};
use crate::store::{PoolUse, Reach, tenants};

/// What this process knows of itself without asking the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Changes that wait for the one writer of SQLite.
    pub waiting_writes: usize,
    /// The connections to the database.
    pub pool: PoolUse,
    /// How often a password was hashed or compared.
    pub password_argon2_runs: u64,
}

impl Provider {
    /// Whether the database answers, takes changes, has every migration, and is kept for our schemas.
    ///
    /// # Errors
    /// `Unavailable` if not.
    pub async fn ready(&self) -> Result<()> {
        self.store.ready().await?;
        self.check_schemas().await
    }

    /// Whether what is stored is kept for our schemas.
    ///
    /// # Errors
    /// `Unavailable` if not.
    pub async fn check_schemas(&self) -> Result<()> {
        let registry = self.registry;
        self.store.read(Reach::Point, move |connection| tenants::check_forms(connection, registry)).await
    }

    /// How this process is, at no cost.
    pub fn health(&self) -> Health {
        Health {
            waiting_writes: self.store.waiting_writes(),
            pool: self.store.pool_use(),
            password_argon2_runs: self.passwords.argon2_runs(),
        }
    }

    /// What is noteworthy of the data of all tenants.
    ///
    /// # Errors
    /// Database failures.
    pub async fn survey(&self) -> Result<Survey> {
        let (registry, now) = (self.registry, self.now().naive_utc());
        let look = move |connection: &mut _| {
            let names: Vec<&str> = registry.resource_types().iter().map(|one| one.name.as_str()).collect();
            survey::take(connection, &names, now)
        };
        self.store.read(Reach::Scan, look).await
    }

    /// The keys that end within the longest of [`EXPIRY_DAYS`], those that end first before the others.
    ///
    /// # Errors
    /// Database failures.
    pub async fn keys_ending(&self, now: NaiveDateTime) -> Result<Vec<EndingKey>> {
        let to = now + TimeDelta::days(EXPIRY_DAYS[0].into());
        self.store.read(Reach::Scan, move |connection| survey::keys_ending(connection, now, to)).await
    }
}
