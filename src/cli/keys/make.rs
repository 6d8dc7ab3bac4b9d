//! What a new key shall be like, and the key.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::auth::{Scopes, Token, hash};
use crate::config::parse_duration;
use crate::scim::schema::Registry;
use crate::scim::{Error, Profile, Result};
use crate::store::api_keys::ApiKey;

/// A key before it is made.
#[derive(Debug, Clone)]
pub struct Order {
    /// The tenant that it opens.
    pub tenant_id: i64,
    /// What operators call it.
    pub name: String,
    /// What it may do, as [`Scopes`] prints.
    pub scopes: String,
    /// How far its client may stray from the RFC.
    pub profile: Profile,
    /// The resource that it acts for, where it acts for one.
    pub subject_row_id: Option<i64>,
    /// How long it is good for.
    pub lifetime: Lifetime,
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

    /// A fresh token and the key to store for it. Takes some 20 ms.
    pub fn fill(self, now: DateTime<Utc>) -> (Token, ApiKey) {
        let token = Token::generate();
        let key = ApiKey {
            key_id: token.key_id().to_owned(),
            tenant_id: self.tenant_id,
            name: self.name,
            secret_hash: hash(&token),
            fingerprint: token.fingerprint(),
            last_four: token.last_four().to_owned(),
            scopes: self.scopes,
            profile: self.profile.to_string(),
            subject_row_id: self.subject_row_id,
            created_at: now.naive_utc(),
            expires_at: self.lifetime.end(now).map(|at| at.naive_utc()),
            last_used_at: None,
            revoked_at: None,
            rotated_from: None,
        };
        (token, key)
    }
}

/// How long a key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// From now on for that long.
    For(Duration),
    /// Until it is revoked.
    Unlimited,
}

impl Lifetime {
    fn end(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Lifetime::For(duration) => Some(now + duration),
            Lifetime::Unlimited => None,
        }
    }
}

/// A year: keys expire unless somebody asks for more (AUTH-04).
impl Default for Lifetime {
    fn default() -> Self {
        Lifetime::For(Duration::from_secs(365 * 86_400))
    }
}

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Lifetime, String> {
        if text.trim().eq_ignore_ascii_case("never") {
            return Ok(Lifetime::Unlimited);
        }
        let duration = parse_duration(text).filter(|duration| !duration.is_zero());
        duration.map(Lifetime::For).ok_or_else(|| "write a duration such as 365d or 12h, or never".to_owned())
    }
}

/// Reads the duration for which an old key stays good; 0 ends it at once.
pub(super) fn overlap(text: &str) -> std::result::Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 7d or 24h, or 0".to_owned())
}

/// The words for profiles.
pub(super) fn profiles() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new([Profile::Compat.as_str(), Profile::Strict.as_str()])
        .try_map(|word| word.parse::<Profile>())
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

    #[test]
    fn auth_04_lifetimes_are_durations_or_never() {
        assert_eq!("365d".parse(), Ok(Lifetime::default()));
        assert_eq!("never".parse(), Ok(Lifetime::Unlimited));
        for text in ["", "0", "-1d", "a year"] {
            assert!(text.parse::<Lifetime>().is_err(), "{text}");
        }
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

    #[test]
    fn auth_03_a_key_holds_the_hash_of_its_token_and_not_the_token() {
        let now = DateTime::from_timestamp_millis(1_772_357_400_123).expect("a moment");
        let order = Order {
            tenant_id: 1,
            name: "okta".to_owned(),
            scopes: "read".to_owned(),
            profile: Profile::Strict,
            subject_row_id: None,
            lifetime: Lifetime::For(Duration::from_secs(60)),
        };
        let (token, key) = order.fill(now);

        assert!(verify(&token, &key.secret_hash));
        assert_eq!((key.key_id.as_str(), key.last_four.as_str()), (token.key_id(), token.last_four()));
        assert_eq!(key.expires_at, Some((now + Duration::from_secs(60)).naive_utc()));
        let again = Order::like(&key, Lifetime::Unlimited);
        assert_eq!((again.name, again.scopes, again.profile), ("okta".to_owned(), "read".to_owned(), Profile::Strict));
    }
}
