//! Who is calling and what they may do: the tenant, the profile and the scopes of one key (RFC 7644 §2, §7.7).
//!
//! Knows nothing of tokens, hashes or requests.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::scim::cursor;
use crate::scim::{Error, ErrorKind, Profile, Result};

/// Whoever holds a valid key. Made by the [`Authenticator`](super::Authenticator), asked by every operation.
///
/// Discovery needs no scope: any valid key will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The row of the one tenant whose resources this key can see.
    pub tenant_id: i64,
    /// The name of that tenant, for logs and operators.
    pub tenant: String,
    /// The public part of the key, for logs and the audit record.
    pub key_id: String,
    /// How far the client may stray from the RFC.
    pub profile: Profile,
    /// What the key may do.
    pub scopes: Scopes,
    /// The row of the resource that `/Me` stands for (RFC 7644 §3.11), where the key has one.
    pub subject: Option<i64>,
    /// What the cursors of this key are made and read with (RFC 9865).
    pub cursor_secret: cursor::Secret,
}

impl Caller {
    /// Whether this key may read or write the resources of `endpoint` (`Users`, `/Groups`, in any case).
    ///
    /// # Errors
    /// `Forbidden`, naming the scope that is missing (RFC 6750 §3.1).
    pub fn may(&self, access: Access, endpoint: &str) -> Result<()> {
        let endpoint = endpoint.trim_matches('/');
        if self.scopes.allow(access, endpoint) {
            return Ok(());
        }
        Err(lacking(&format!("{}:{access}", endpoint.to_ascii_lowercase())))
    }

    /// Whether this key may look at or change what operators look after, of every tenant.
    ///
    /// # Errors
    /// `Forbidden`, naming the scope that is missing.
    pub fn may_administer(&self, access: Access) -> Result<()> {
        if self.scopes.admin >= Some(access) {
            return Ok(());
        }
        Err(lacking(if access == Access::Read { "admin:read" } else { "admin" }))
    }
}

fn lacking(scope: &str) -> Error {
    Error::new(ErrorKind::Forbidden, format!("This API key lacks the scope `{scope}`."))
}

/// What is done to resources. To be allowed to write is to be allowed to read: every write answers with the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// GET, and POST to `.search`.
    Read,
    /// POST, PUT, PATCH and DELETE.
    Write,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Access::Read => "read",
            Access::Write => "write",
        })
    }
}

/// The scopes of a key: `read` and `write` for every resource type, `users:read`, `groups:write` for one, and `me` for
/// nothing but `/Me`, which every key that is bound to a user has in any case. `admin` is for `/admin/v1` and every
/// tenant, `admin:read` for looking there; they open no resource of SCIM, and no other scope opens what they do.
///
/// The name before the colon is the endpoint in lower case, so that a later resource type (`devices:read`) needs nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes {
    everywhere: Option<Access>,
    by_endpoint: BTreeMap<String, Access>,
    me: bool,
    admin: Option<Access>,
}

impl Scopes {
    /// Everything of SCIM, for every resource type there is and will be.
    pub fn all() -> Scopes {
        Scopes { everywhere: Some(Access::Write), ..Scopes::default() }
    }

    /// Whether `access` to `endpoint` (`Users`, in any case) is among them.
    pub fn allow(&self, access: Access, endpoint: &str) -> bool {
        // A key names a handful of endpoints at most: walking them spares the lower-case copy that a look-up would need.
        let named = || self.by_endpoint.iter().find(|(name, _)| name.eq_ignore_ascii_case(endpoint));
        self.everywhere >= Some(access) || named().is_some_and(|(_, granted)| *granted >= access)
    }

    /// Whether they hold for `/Me` alone: a key with them that is bound to nobody opens nothing.
    pub fn are_for_me_alone(&self) -> bool {
        *self == Scopes { me: true, ..Scopes::default() }
    }

    /// Refuses scopes for endpoints that are not in `known` (`["Users", "Groups"]`): to be asked before a key is made.
    ///
    /// A stored key is not held to it, lest a resource type that is switched off locks its keys out of the others.
    ///
    /// # Errors
    /// `InvalidValue`, naming the scopes that there are.
    pub fn check_endpoints(&self, known: &[&str]) -> Result<()> {
        let is_known =
            |name: &String| known.iter().any(|endpoint| endpoint.trim_matches('/').eq_ignore_ascii_case(name));
        match self.by_endpoint.iter().find(|(name, _)| !is_known(name)) {
            None => Ok(()),
            Some((name, access)) => {
                let endpoints = known.iter().map(|endpoint| endpoint.trim_matches('/').to_ascii_lowercase());
                Err(unknown_scope(&format!("{name}:{access}"), endpoints))
            }
        }
    }

    fn grant(&mut self, word: &str) -> Option<()> {
        match word {
            "me" => self.me = true,
            "admin" => self.admin = Some(Access::Write),
            "admin:read" => self.admin = self.admin.max(Some(Access::Read)),
            _ => return self.grant_resources(word),
        }
        Some(())
    }

    fn grant_resources(&mut self, word: &str) -> Option<()> {
        let (name, access) = word.rsplit_once(':').map_or((None, word), |(name, access)| (Some(name), access));
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            _ => return None,
        };
        let Some(name) = name else {
            self.everywhere = self.everywhere.max(Some(access));
            return Some(());
        };
        let well_formed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.bytes().all(well_formed) {
            return None;
        }
        let granted = self.by_endpoint.entry(name.to_owned()).or_insert(access);
        *granted = access.max(*granted);
        Some(())
    }
}

impl FromStr for Scopes {
    type Err = Error;

    /// Words between commas or spaces. An empty list is refused: a key without any scope is a mistake.
    fn from_str(text: &str) -> Result<Scopes> {
        let mut scopes = Scopes::default();
        for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
            scopes.grant(word).ok_or_else(|| unknown_scope(word, usual_endpoints()))?;
        }
        if scopes == Scopes::default() {
            return Err(unknown_scope("", usual_endpoints()));
        }
        Ok(scopes)
    }
}

impl fmt::Display for Scopes {
    /// Every scope that is held, also the implied ones, in the form that [`Scopes::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |prefix: String, access: &Access| match access {
            Access::Read => format!("{prefix}read"),
            Access::Write => format!("{prefix}read {prefix}write"),
        };
        let everywhere = self.everywhere.iter().map(|access| words(String::new(), access));
        let by_endpoint = self.by_endpoint.iter().map(|(name, access)| words(format!("{name}:"), access));
        let me = self.me.then(|| "me".to_owned());
        let admin = self.admin.map(|access| if access == Access::Write { "admin" } else { "admin:read" }.to_owned());
        f.pad(&everywhere.chain(by_endpoint).chain(me).chain(admin).collect::<Vec<_>>().join(" "))
    }
}

fn usual_endpoints() -> impl Iterator<Item = String> {
    ["users", "groups"].into_iter().map(str::to_owned)
}

fn unknown_scope(word: &str, endpoints: impl Iterator<Item = String>) -> Error {
    let each: Vec<String> = endpoints.map(|name| format!("`{name}:read`, `{name}:write`")).collect();
    let valid = format!("`read`, `write`, {}, `me`, `admin`, `admin:read`", each.join(", "));
    let detail = match word {
        "" => format!("At least one scope is needed; there are {valid}."),
        word => format!("`{word}` is not a scope; there are {valid}."),
    };
    Error::new(ErrorKind::InvalidValue, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scopes: &str) -> Caller {
        Caller {
            tenant_id: 1,
            tenant: "default".into(),
            key_id: "4fT9kQ2mZx7B".into(),
            profile: Profile::default(),
            scopes: scopes.parse().expect("valid scopes"),
            subject: None,
            cursor_secret: cursor::Secret::derive(&[]),
        }
    }

    #[test]
    fn auth_02_a_missing_scope_is_forbidden_and_named() {
        let caller = caller("users:write, groups:read");

        assert!(caller.may(Access::Read, "Users").is_ok(), "write implies read");
        assert!(caller.may(Access::Write, "/Users").is_ok());
        assert!(caller.may(Access::Read, "Groups").is_ok());
        let refused = caller.may(Access::Write, "/Groups").expect_err("not granted");
        assert_eq!(refused.kind(), ErrorKind::Forbidden);
        assert_eq!(refused.detail(), "This API key lacks the scope `groups:write`.");
    }

    #[test]
    fn auth_05_the_shorthands_hold_for_every_resource_type() {
        let (reader, writer) = (caller("read"), caller("write"));

        for endpoint in ["Users", "Groups", "Devices"] {
            assert!(reader.may(Access::Read, endpoint).is_ok());
            assert!(reader.may(Access::Write, endpoint).is_err());
            assert!(writer.may(Access::Write, endpoint).is_ok());
        }
        assert_eq!(writer.scopes, Scopes::all());
    }

    #[test]
    fn auth_05_a_shorthand_and_a_narrower_scope_add_up() {
        let caller = caller("read devices:write");
        assert!(caller.may(Access::Read, "Users").is_ok());
        assert!(caller.may(Access::Write, "Devices").is_ok());
        assert!(caller.may(Access::Write, "Users").is_err());
    }

    #[test]
    fn me_05_the_scope_for_oneself_opens_nothing_else() {
        let caller = caller("me");
        for endpoint in ["Users", "Groups", "Me", "me"] {
            assert!(caller.may(Access::Read, endpoint).is_err());
        }
        assert!(caller.scopes.are_for_me_alone());
        assert!(!"me users:read".parse::<Scopes>().expect("valid scopes").are_for_me_alone());
    }

    #[test]
    fn auth_05_administration_is_a_scope_of_its_own() {
        let (admin, auditor, writer) = (caller("admin"), caller("admin:read"), caller("write"));
        assert!(admin.may_administer(Access::Write).is_ok() && admin.may_administer(Access::Read).is_ok());
        assert!(auditor.may_administer(Access::Read).is_ok());
        let refused = auditor.may_administer(Access::Write).expect_err("looking is not changing");
        assert_eq!(refused.detail(), "This API key lacks the scope `admin`.");
        assert!(writer.may_administer(Access::Read).is_err());
        assert!(admin.may(Access::Read, "Users").is_err());
    }

    #[test]
    fn auth_05_scopes_print_as_they_parse() {
        for (text, printed) in [
            ("write", "read write"),
            ("read,write", "read write"),
            ("users:write  users:read", "users:read users:write"),
            ("groups:read,users:write,groups:read", "groups:read users:read users:write"),
            ("read, devices:write", "read devices:read devices:write"),
            ("me", "me"),
            ("me read", "read me"),
            ("admin", "admin"),
            ("write admin:read", "read write admin:read"),
            ("admin admin:read", "admin"),
        ] {
            let scopes: Scopes = text.parse().expect("valid scopes");
            assert_eq!(scopes.to_string(), printed);
            assert_eq!(printed.parse::<Scopes>().expect("printed scopes parse"), scopes);
        }
    }

    #[test]
    fn auth_05_an_unknown_word_is_refused_with_the_valid_ones() {
        for text in ["user", "users:delete", "Users:read", ":read", "users:", "read;write", "", " , "] {
            let refused = text.parse::<Scopes>().expect_err(text);
            assert_eq!(refused.kind(), ErrorKind::InvalidValue);
            assert!(refused.detail().contains("`users:read`"), "{refused}");
        }
    }

    #[test]
    fn auth_05_a_new_key_is_held_to_the_endpoints_that_exist() {
        let scopes: Scopes = "user:read read".parse().expect("well-formed");
        let refused = scopes.check_endpoints(&["/Users", "Groups"]).expect_err("there is no such endpoint");
        assert_eq!(
            refused.detail(),
            "`user:read` is not a scope; there are `read`, `write`, `users:read`, `users:write`, `groups:read`, `groups:write`, `me`, `admin`, `admin:read`."
        );
        assert!(Scopes::all().check_endpoints(&["Users"]).is_ok());
    }

    #[test]
    fn auth_05_profiles_print_as_they_parse_and_default_to_compat() {
        assert_eq!(Profile::default(), Profile::Compat);
        for profile in [Profile::Compat, Profile::Strict] {
            assert_eq!(profile.to_string().parse::<Profile>().expect("a printed profile parses"), profile);
        }
        assert!("Strict".parse::<Profile>().is_err());
    }
}
