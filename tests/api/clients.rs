//! The recorded conversations of identity providers, and Pocket ID's synchronisation.

use scimd::scim::Profile;

use crate::harness::{Api, Database};
use crate::support::transcript::{self, Endpoint, Transcript};
use crate::support::{pocket_id, transcript as recorded};

fn run_all(database: Database, client: &str) {
    let transcripts: Vec<Transcript> = transcript::files()
        .into_iter()
        .filter(|transcript| transcript.file.parent().is_some_and(|folder| folder.ends_with(client)))
        .collect();
    assert!(!transcripts.is_empty(), "no conversation of {client}");
    let mut failures = Vec::new();
    for transcript in transcripts {
        let file = transcript.file.clone();
        let outcome = std::panic::catch_unwind(|| {
            let profile = match transcript.profile {
                recorded::Profile::Compat => Profile::Compat,
                recorded::Profile::Strict => Profile::Strict,
            };
            let api = Api::new(database, profile);
            transcript::run(&transcript, &Endpoint { base_url: api.base_url.clone(), token: api.token.clone() })
        });
        if outcome.is_err() {
            failures.push(file);
        }
    }
    assert!(failures.is_empty(), "failed: {failures:#?}");
}

macro_rules! clients {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use super::*;

            #[test]
            fn on_sqlite() {
                run_all(Database::Sqlite, stringify!($name));
            }

            #[test]
            fn on_postgres() {
                run_all(Database::Postgres, stringify!($name));
            }
        })*
    };
}

clients!(
    okta, entra, microsoft, authentik, rauthy, onelogin, jumpcloud, wso2, cloudflare, ping, keycloak, various, dialects
);

mod pocket_id_synchronises {
    use super::*;

    fn walk_through(database: Database) {
        run_all(database, "pocket_id");
        let api = Api::new(database, Profile::Compat);
        pocket_id::walk_through(&Endpoint { base_url: api.base_url.clone(), token: api.token.clone() });
    }

    #[test]
    fn on_sqlite() {
        walk_through(Database::Sqlite);
    }

    #[test]
    fn on_postgres() {
        walk_through(Database::Postgres);
    }
}
