//! Who asks, and whom: what a console shows before anything else.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::{self, Key};
use super::{Desk, Operation, Route};
use crate::auth::Access;
use crate::scim::Result;
use crate::scim::resource::instant;
use crate::store::{Connection, Reach};

/// Whoever asks.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ShowMe")]
pub struct ShowMe {}

/// Who asks, and what they may do here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// What the history calls them: the id of the key, or `operator` where the database is.
    pub name: String,
    /// The key; absent where the database is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// Whether they may change something, or only look.
    pub may_change: bool,
}

impl Operation for ShowMe {
    const ROUTE: Route =
        Route::get("/me").named("showMe").about("Who asks: the key, and whether it may change something");
    type Outcome = Me;

    async fn carry_out(self, desk: &Desk) -> Result<Me> {
        let name = desk.actor.name.to_string();
        let key = match desk.actor.tenant_id {
            Some(_) => Some(keys::Show { id: name.clone() }.carry_out(desk).await?),
            None => None,
        };
        Ok(Me { name, key, may_change: desk.actor.access == Access::Write })
    }
}

/// The server that is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ShowServer")]
pub struct ShowServer {}

/// What a server is, and what it serves.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// The version of scimd.
    pub version: String,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// Where clients find SCIM.
    pub base_url: String,
    /// What it holds the time to be.
    #[serde(with = "instant")]
    #[schemars(with = "String")]
    pub time: DateTime<Utc>,
    /// Whether it keeps the passwords that clients set.
    pub passwords: bool,
    /// The types of resources that it serves.
    pub resource_types: Vec<ServedType>,
}

/// A type of resources.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServedType {
    /// Its name in histories: `User`.
    pub name: String,
    /// Its name in paths: `Users`.
    pub endpoint: String,
}

impl Operation for ShowServer {
    const ROUTE: Route =
        Route::get("/server").named("showServer").about("The server: its version, its database, what it serves");
    type Outcome = Server;

    async fn carry_out(self, desk: &Desk) -> Result<Server> {
        let is_postgres = |connection: &mut Connection| Ok(connection.locks_rows());
        let is_postgres = desk.store.read(Reach::Point, is_postgres).await?;
        let registry = desk.provider.registry();
        let types = registry.resource_types().iter().map(|one| ServedType {
            name: one.name.clone(),
            endpoint: one.endpoint.trim_start_matches('/').to_owned(),
        });
        Ok(Server {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            database: if is_postgres { "postgres" } else { "sqlite" }.to_owned(),
            base_url: desk.provider.base_url().to_owned(),
            time: desk.now(),
            passwords: registry.offers_passwords(),
            resource_types: types.collect(),
        })
    }
}
