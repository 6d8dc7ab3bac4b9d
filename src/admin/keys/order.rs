//! What a new key shall be like, and the key.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::{Scopes, Token, hash};
use crate::scim::schema::Registry;
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::api_keys::ApiKey;

/// A key before it is made.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// The tenant that it opens.
    pub(super) tenant_id: i64,
    /// What operators call it.
    pub(super) name: String,
    /// What it may do, as [`Scopes`] prints.
    pub(super) scopes: String,
    /// How far its client may stray from the RFC.
    pub(super) profile: Profile,
    /// The resource that it acts for, where it acts for one.
    pub(super) subject_row_id: Option<i64>,
    /// How long it is good for.
    pub(super) lifetime: Lifetime,
}

impl Order {
    /// One that is like an old key.
    pub(super) fn like(old: &ApiKey, lifetime: Lifetime) -> Order {
        Order {
            tenant_id: old.tenant_id,
            name: old.name.clone(),
            scopes: old.scopes.clone(),
            // Some later version may know more profiles; the strictest that we know is on the safe side.
            profile: old.profile.parse().unwrap_or(Profile::Strict),
            subject_row_id: old.subject_row_id,
            lifetime,
        }
    }

    /// A fresh token and the key to store for it. Takes some 20 ms, on a thread that serves nobody.
    ///
    /// # Errors
    /// `InvalidValue` for a lifetime that is none.
    pub(super) async fn fill(self, now: DateTime<Utc>) -> Result<(Token, ApiKey)> {
        let expires_at = self.lifetime.end(now)?;
        let hashed = tokio::task::spawn_blocking(|| {
            let token = Token::generate();
            let secret_hash = hash(&token);
            (token, secret_hash)
        });
        let (token, secret_hash) = hashed.await.map_err(Error::internal)?;
        let key = ApiKey {
            key_id: token.key_id().to_owned(),
            tenant_id: self.tenant_id,
            name: self.name,
            secret_hash,
            fingerprint: token.fingerprint(),
            last_four: token.last_four().to_owned(),
            scopes: self.scopes,
            profile: self.profile.to_string(),
            subject_row_id: self.subject_row_id,
            created_at: now.naive_utc(),
            expires_at: expires_at.map(|at| at.naive_utc()),
            last_used_at: None,
            revoked_at: None,
            rotated_from: None,
        };
        Ok((token, key))
    }
}

/// How long a key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`expiresIn` is a number of whole seconds, or `never`")]
#[schemars(rename = "KeyLifetime")]
pub enum Lifetime {
    /// For so many seconds from now on, 100 years at most.
    Seconds(u64),
    /// Until it is revoked.
    Unlimited(Never),
}

/// The word for a key that does not expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Never {
    /// `never`.
    Never,
}

impl Lifetime {
    /// # Errors
    /// `InvalidValue` for no time at all, and for more than anybody means.
    fn end(self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        match self {
            Lifetime::Unlimited(Never::Never) => Ok(None),
            Lifetime::Seconds(0) => Err(refused("A key is good for a second at least.")),
            Lifetime::Seconds(seconds) => later(now, seconds).map(Some),
        }
    }
}

/// A year: keys expire unless somebody asks for more (AUTH-04).
impl Default for Lifetime {
    fn default() -> Self {
        Lifetime::Seconds(365 * DAY)
    }
}

/// When an old key ends: after so many seconds, or after a day.
///
/// # Errors
/// `InvalidValue` for more than anybody means.
pub(super) fn overlap_end(now: DateTime<Utc>, seconds: Option<u64>) -> Result<DateTime<Utc>> {
    later(now, seconds.unwrap_or(DAY))
}

const DAY: u64 = 86_400;

/// A hundred years.
const LONGEST: u64 = 36_525 * DAY;

fn later(now: DateTime<Utc>, seconds: u64) -> Result<DateTime<Utc>> {
    if seconds > LONGEST {
        return Err(refused("A key is good for 100 years at most, or `never` expires."));
    }
    Ok(now + TimeDelta::seconds(seconds as i64))
}

fn refused(sentence: &str) -> Error {
    Error::new(ErrorKind::InvalidValue, sentence)
}

/// The scopes in an operator's words.
///
/// # Errors
/// `InvalidValue` for a word that is no scope here, with the scopes that there are and the one that was probably meant.
pub(super) fn read_scopes(words: &[String], registry: &Registry) -> Result<Scopes> {
    let text = words.join(" ");
    let endpoints: Vec<&str> =
        registry.resource_types().iter().map(|resource_type| resource_type.endpoint.trim_matches('/')).collect();
    let scopes: Result<Scopes> = text.parse();
    scopes
        .and_then(|scopes| scopes.check_endpoints(&endpoints).map(|()| scopes))
        .map_err(|error| with_suggestion(error, &text, &endpoints))
}

fn with_suggestion(error: Error, text: &str, endpoints: &[&str]) -> Error {
    let named = |word: &&str| error.detail().starts_with(&format!("`{word}`"));
    let Some(word) = text.split([',', ' ']).find(named) else {
        return error;
    };
    let of_endpoint = endpoints.iter().map(|endpoint| endpoint.to_ascii_lowercase());
    let of_endpoint = of_endpoint.flat_map(|endpoint| [format!("{endpoint}:read"), format!("{endpoint}:write")]);
    let known = ["read", "write", "me", "admin", "admin:read"].map(str::to_owned).into_iter().chain(of_endpoint);
    let distance = |scope: &String| strsim::damerau_levenshtein(&word.to_ascii_lowercase(), scope);
    match known.min_by_key(distance).filter(|scope| distance(scope) <= 2) {
        Some(scope) => Error::new(error.kind(), format!("{} Did you mean `{scope}`?", error.detail())),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::verify;

    fn moment() -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_772_357_400_123).expect("a moment")
    }

    #[test]
    fn auth_04_lifetimes_are_seconds_or_never() {
        let read = |text: &str| serde_json::from_str::<Lifetime>(text);
        assert_eq!(read("31536000").expect("a year"), Lifetime::default());
        assert_eq!(read("\"never\"").expect("a word"), Lifetime::Unlimited(Never::Never));
        for text in ["-1", "1.5", "\"soon\"", "null", "\"365d\""] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(Lifetime::Seconds(60).end(moment()).expect("good"), Some(moment() + TimeDelta::seconds(60)));
        assert!(Lifetime::Seconds(LONGEST).end(moment()).is_ok());
        for seconds in [0, LONGEST + 1, u64::MAX] {
            assert!(Lifetime::Seconds(seconds).end(moment()).is_err(), "{seconds}");
        }
        assert!(overlap_end(moment(), Some(u64::MAX)).is_err());
        assert_eq!(overlap_end(moment(), Some(0)).expect("at once"), moment());
    }

    #[test]
    fn auth_05_a_mistyped_scope_is_refused_with_the_one_that_was_meant() {
        let refused = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            read_scopes(&words, Registry::builtin()).expect_err("no scope").detail().to_owned()
        };
        assert!(refused(&["user:read"]).ends_with("Did you mean `users:read`?"));
        assert!(refused(&["write", "Groups:write"]).ends_with("Did you mean `groups:write`?"));
        assert!(refused(&["everything"]).ends_with("`groups:write`, `me`, `admin`, `admin:read`."));
    }

    #[tokio::test]
    async fn auth_03_a_key_holds_the_hash_of_its_token_and_not_the_token() {
        let order = Order {
            tenant_id: 1,
            name: "okta".to_owned(),
            scopes: "read".to_owned(),
            profile: Profile::Strict,
            subject_row_id: None,
            lifetime: Lifetime::Seconds(60),
        };
        let (token, key) = order.fill(moment()).await.expect("a key");

        assert!(verify(&token, &key.secret_hash));
        assert_eq!((key.key_id.as_str(), key.last_four.as_str()), (token.key_id(), token.last_four()));
        assert_eq!(key.expires_at, Some((moment() + TimeDelta::seconds(60)).naive_utc()));
        let again = Order::like(&key, Lifetime::default());
        assert_eq!((again.name, again.scopes, again.profile), ("okta".to_owned(), "read".to_owned(), Profile::Strict));
    }
}
