//! `scimd key`: bearer tokens for identity providers (RFC 7644 §2 and §7.4; AUTH-03 to AUTH-05).
//!
//! A token is shown once, when its key is made, alone on one line of standard output. Afterwards there is only its hash.

mod view;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::table::table;
use super::{Office, Report, minute};
use crate::admin::keys::{self, Key, Lifetime, Made, Never, Rotated, Status};
use crate::admin::server::ShowServer;
use crate::config::parse_duration;
use crate::scim::{Error, ErrorKind, Profile, Result};

/// What an operator does with keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key and print its token, this once, alone on standard output
    #[command(after_help = "Examples:\n  scimd key create --name okta\n  \
        scimd key create --name reports --scope users:read groups:read --expires 30d\n  \
        scimd key create --name 'Entra ID' --tenant acme --profile strict --json\n  \
        scimd key create --name 'Mira, self-service' --user mira@example.com\n  \
        TOKEN=$(scimd key create --name ci)")]
    Create(Create),
    /// List keys, without their tokens
    #[command(after_help = "Examples:\n  scimd key list\n  scimd key list --tenant acme --json\n  \
        scimd key list --expiring 30d")]
    List(List),
    /// Show one key, without its token
    #[command(after_help = "Example:\n  scimd key show 4fT9kQ2mZx7B")]
    Show(Show),
    /// Withdraw a key: it opens nothing any more, within a second on every server
    #[command(after_help = "Example:\n  scimd key revoke 4fT9kQ2mZx7B")]
    Revoke(Show),
    /// Make a key that takes the place of another one, which expires after an overlap
    ///
    /// The new key has the tenant, name, profile, scopes and user of the old one. Its token is printed alone on standard output.
    #[command(after_help = "Examples:\n  scimd key rotate 4fT9kQ2mZx7B\n  \
        scimd key rotate 4fT9kQ2mZx7B --overlap 7d --expires 90d")]
    Rotate(Rotate),
}

/// `scimd key create`.
#[derive(Debug, Args)]
pub struct Create {
    /// What you call the key: who uses it, for example
    #[arg(long)]
    name: String,
    /// The tenant that the key opens
    #[arg(long, default_value = "default")]
    tenant: String,
    /// compat takes what identity providers really send, strict what the RFCs allow. The default is set for the tenant
    #[arg(long, value_parser = profiles())]
    profile: Option<Profile>,
    /// How long it is good for: 365d, 12h, or never
    #[arg(long, value_name = "DURATION", default_value = "365d", value_parser = lifetime)]
    expires: Lifetime,
    /// What it may do: read, write, users:read, users:write, groups:read, groups:write; to write is to read. admin
    /// and admin:read are for /admin/v1. The default is write, and with --user me: nothing but /Me
    #[arg(long, value_name = "SCOPES", num_args = 1.., value_delimiter = ',')]
    scope: Vec<String>,
    /// The user whom /Me stands for, by id or userName. Of this user the key may read everything and change all but active,
    /// userName, externalId, roles and entitlements, whatever its scopes
    #[arg(long, value_name = "ID_OR_USERNAME")]
    user: Option<String>,
    /// Print JSON, with the token in it
    #[arg(long)]
    json: bool,
}

/// `scimd key list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only those that are active, expired or revoked
    #[arg(long, value_parser = statuses())]
    status: Option<Status>,
    /// Only active ones that end within so long
    #[arg(long, value_name = "DURATION", value_parser = overlap, conflicts_with = "status")]
    expiring: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `scimd key show` and `scimd key revoke`.
#[derive(Debug, Args)]
pub struct Show {
    /// The id of the key, with or without scimd_ before it
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `scimd key rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The id of the old key, with or without scimd_ before it
    id: String,
    /// How long the old key stays good
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = overlap)]
    overlap: Duration,
    /// How long the new key is good for: 365d, 12h, or never
    #[arg(long, value_name = "DURATION", default_value = "365d", value_parser = lifetime)]
    expires: Lifetime,
    /// Print JSON, with the token in it
    #[arg(long)]
    json: bool,
}

/// Reads how long a key is good for.
fn lifetime(text: &str) -> std::result::Result<Lifetime, String> {
    if text.trim().eq_ignore_ascii_case("never") {
        return Ok(Lifetime::Unlimited(Never::Never));
    }
    let duration = parse_duration(text).filter(|duration| !duration.is_zero());
    let seconds = duration.map(|duration| Lifetime::Seconds(duration.as_secs()));
    seconds.ok_or_else(|| "write a duration such as 365d or 12h, or never".to_owned())
}

/// Reads the duration for which an old key stays good; 0 ends it at once.
fn overlap(text: &str) -> std::result::Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 7d or 24h, or 0".to_owned())
}

fn statuses() -> impl TypedValueParser<Value = Status> {
    let status = |word: String| Status::ALL.into_iter().find(|status| status.as_str() == word).ok_or("unknown");
    PossibleValuesParser::new(Status::ALL.map(Status::as_str)).try_map(status)
}

/// The words for profiles.
pub(super) fn profiles() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new([Profile::Compat.as_str(), Profile::Strict.as_str()])
        .try_map(|word| word.parse::<Profile>())
}

impl Command {
    /// Does what the command says.
    ///
    /// # Errors
    /// Unknown keys, tenants and scopes; those of the office.
    pub async fn run(self, office: &Office) -> Result<Report> {
        match self {
            Command::Create(arguments) => create(office, arguments).await,
            Command::List(arguments) => list(office, arguments).await,
            Command::Show(arguments) => show(office, arguments).await,
            Command::Revoke(arguments) => revoke(office, arguments).await,
            Command::Rotate(arguments) => rotate(office, arguments).await,
        }
    }
}

async fn create(office: &Office, arguments: Create) -> Result<Report> {
    let Create { name, tenant, profile, expires, scope, user, json } = arguments;
    let (tenant, expires_in) = (Some(tenant), Some(expires));
    let made = office.ask(keys::Create { name, tenant, profile, scopes: scope, user, expires_in }).await?;
    let Made { key, token } = &made;
    with_token(&made, key, token, json)
}

/// The one report that holds the token.
fn with_token(outcome: &impl Serialize, key: &Key, token: &str, json: bool) -> Result<Report> {
    let end = match key.expires {
        Some(at) => format!("It expires at {}", minute(at)),
        None => "It never expires".to_owned(),
    };
    let note = format!("Key {} is made. {end}. Its token is shown only now.", view::title(key));
    let report = if json { Report::json(outcome)? } else { Report::text(format!("{token}\n")) };
    Ok(report.note(note))
}

async fn list(office: &Office, arguments: List) -> Result<Report> {
    let List { tenant, status, expiring, json } = arguments;
    let is_filtered = status.is_some() || expiring.is_some();
    let (status, expires_before) = match expiring {
        Some(within) => (Some(Status::Active), Some(moment_in(office, within).await?)),
        None => (status, None),
    };
    let mut question = keys::List { tenant, status, expires_before, after: None, limit: Some(1000) };
    let mut all: Vec<Key> = Vec::new();
    loop {
        let page = office.ask(question.clone()).await?;
        all.extend(page.items);
        match page.next {
            Some(next) => question.after = Some(next),
            None => break,
        }
    }
    if json {
        return Report::json(&all);
    }
    if all.is_empty() && is_filtered {
        return Ok(Report::default().note("There are no such keys."));
    }
    if all.is_empty() {
        return Ok(Report::default().note("There are no keys. Make one: scimd key create --name NAME"));
    }
    Ok(Report::text(table(view::HEADER, &all.iter().map(view::row).collect::<Vec<view::Row>>())))
}

/// The moment so long after now, by the clock that keys end by.
async fn moment_in(office: &Office, within: Duration) -> Result<DateTime<Utc>> {
    let now = office.ask(ShowServer {}).await?.time;
    let moment = TimeDelta::from_std(within).ok().and_then(|within| now.checked_add_signed(within));
    moment.ok_or_else(|| Error::new(ErrorKind::InvalidValue, "`--expiring` is more than anybody means."))
}

async fn show(office: &Office, Show { id, json }: Show) -> Result<Report> {
    let key = office.ask(keys::Show { id: keys::id_in(&id) }).await?;
    if json { Report::json(&key) } else { Ok(Report::text(view::lines(&key))) }
}

async fn revoke(office: &Office, Show { id, json }: Show) -> Result<Report> {
    let key = office.ask(keys::Revoke { id: keys::id_in(&id) }).await?;
    if json {
        return Report::json(&key);
    }
    let at = key.revoked.map(minute).unwrap_or_default();
    Ok(Report::default().note(format!("Key {} is revoked, since {at}.", view::title(&key))))
}

async fn rotate(office: &Office, arguments: Rotate) -> Result<Report> {
    let Rotate { id, overlap, expires, json } = arguments;
    let question = keys::Rotate { id: keys::id_in(&id), overlap: Some(overlap.as_secs()), expires_in: Some(expires) };
    let rotated = office.ask(question).await?;
    let Rotated { key, token, old_expires } = &rotated;
    let old = key.rotated_from.clone().unwrap_or_default();
    let end = match *old_expires <= key.created {
        true => format!("The old key {old} opens nothing any more."),
        false => format!("The old key {old} stays good until {}.", minute(*old_expires)),
    };
    Ok(with_token(&rotated, key, token, json)?.note(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_04_lifetimes_are_durations_or_never() {
        assert_eq!(lifetime("365d"), Ok(Lifetime::default()));
        assert_eq!(lifetime("Never"), Ok(Lifetime::Unlimited(Never::Never)));
        for text in ["", "0", "-1d", "a year"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
