//! `scimd key`: bearer tokens for identity providers (RFC 7644 §2 and §7.4; AUTH-03 to AUTH-05).
//!
//! A token is shown once, when its key is made, alone on one line of standard output. Afterwards there is only its hash.

mod make;
mod subject;
mod view;

use clap::{Args, Subcommand};

use super::Report;
use super::table::table;
use crate::admin::Desk;
use crate::auth::Scopes;
use crate::scim::schema::Registry;
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::api_keys::{self, ApiKey};
use crate::store::{Connection, Reach, tenants};

pub use make::{Lifetime, Order};
use make::{overlap, profiles, read_scopes};
use subject::Subject;
pub use view::is_active;
use view::{Row, View};

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
    #[command(after_help = "Examples:\n  scimd key list\n  scimd key list --tenant acme --json")]
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
    /// compat takes what identity providers really send, strict what the RFCs allow
    #[arg(long, default_value = "compat", value_parser = profiles())]
    profile: Profile,
    /// How long it is good for: 365d, 12h, or never
    #[arg(long, value_name = "DURATION", default_value = "365d")]
    expires: Lifetime,
    /// What it may do: read, write, users:read, users:write, groups:read, groups:write; to write is to read. The default is
    /// write, and with --user me: nothing but /Me
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
    overlap: std::time::Duration,
    /// How long the new key is good for: 365d, 12h, or never
    #[arg(long, value_name = "DURATION", default_value = "365d")]
    expires: Lifetime,
    /// Print JSON, with the token in it
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Does what the command says.
    ///
    /// # Errors
    /// Unknown keys, tenants and scopes; database failures.
    pub async fn run(self, desk: &Desk) -> Result<Report> {
        match self {
            Command::Create(arguments) => create(desk, arguments).await,
            Command::List(arguments) => list(desk, arguments).await,
            Command::Show(arguments) => show(desk, arguments).await,
            Command::Revoke(arguments) => revoke(desk, arguments).await,
            Command::Rotate(arguments) => rotate(desk, arguments).await,
        }
    }
}

async fn create(desk: &Desk, arguments: Create) -> Result<Report> {
    let Create { name, tenant, profile, expires, scope, user, json } = arguments;
    if name.trim().is_empty() {
        return Err(Error::new(ErrorKind::InvalidValue, "A key needs a name; write for example `--name okta`."));
    }
    let scopes = scopes(&scope, user.is_some(), desk)?;
    let tenant = desk.tenant(&tenant).await?;
    let subject = match &user {
        Some(user) => Some(subject::named(desk, &tenant, user).await?),
        None => None,
    };
    let order = Order {
        tenant_id: tenant.tenant_id,
        name,
        scopes: scopes.to_string(),
        profile,
        subject_row_id: subject.as_ref().map(|subject| subject.row_id),
        lifetime: expires,
    };
    let (token, key) = order.fill(desk.now());
    let stored = key.clone();
    desk.store.write(move |connection| api_keys::insert(connection, &stored)).await?;
    View::new(key, tenant.name, subject, desk.now()).with_token(&token, json)
}

/// The scopes in an operator's words, or the usual ones.
fn scopes(words: &[String], has_user: bool, desk: &Desk) -> Result<Scopes> {
    if words.is_empty() {
        return if has_user { "me".parse() } else { Ok(Scopes::all()) };
    }
    let scopes = read_scopes(words, desk.provider.registry())?;
    if scopes.are_for_me_alone() && !has_user {
        let detail = "A key with the scope `me` alone needs somebody to be: add `--user ID_OR_USERNAME`.";
        return Err(Error::new(ErrorKind::InvalidValue, detail));
    }
    Ok(scopes)
}

async fn list(desk: &Desk, arguments: List) -> Result<Report> {
    let tenant_id = match &arguments.tenant {
        Some(name) => Some(desk.tenant(name).await?.tenant_id),
        None => None,
    };
    let (registry, now) = (desk.provider.registry(), desk.now());
    let read = move |connection: &mut Connection| -> Result<Vec<View>> {
        let keys = api_keys::list(connection, tenant_id)?;
        keys.into_iter().map(|key| view(connection, registry, key, now)).collect()
    };
    let keys = desk.store.read(Reach::Scan, read).await?;
    if arguments.json {
        return Report::json(&keys.iter().map(View::to_json).collect::<Vec<_>>());
    }
    if keys.is_empty() {
        return Ok(Report::default().note("There are no keys. Make one: scimd key create --name NAME"));
    }
    let rows: Vec<Row> = keys.iter().map(View::row).collect();
    Ok(Report::text(table(view::HEADER, &rows)))
}

async fn show(desk: &Desk, arguments: Show) -> Result<Report> {
    let (id, registry, now) = (key_id(&arguments.id), desk.provider.registry(), desk.now());
    let read =
        move |connection: &mut Connection| find(connection, &id).and_then(|key| view(connection, registry, key, now));
    let view = desk.store.read(Reach::Scan, read).await?;
    if arguments.json { Report::json(&view.to_json()) } else { Ok(Report::text(view.lines())) }
}

async fn revoke(desk: &Desk, arguments: Show) -> Result<Report> {
    let (id, registry, now) = (key_id(&arguments.id), desk.provider.registry(), desk.now());
    let write = move |connection: &mut Connection| {
        find(connection, &id)?;
        let revoked = api_keys::revoke(connection, &id, now.naive_utc())?;
        let key = find(connection, &id)?;
        Ok((revoked, view(connection, registry, key, now)?))
    };
    let (revoked, view) = desk.store.write(write).await?;
    if arguments.json {
        return Report::json(&view.to_json());
    }
    let state = if revoked { "is revoked" } else { "was revoked before" };
    Ok(Report::default().note(format!("Key {} {state}.", view.title())))
}

async fn rotate(desk: &Desk, arguments: Rotate) -> Result<Report> {
    let Rotate { id, overlap, expires, json } = arguments;
    let (id, registry, now) = (key_id(&id), desk.provider.registry(), desk.now());
    let last_moment = (now + overlap).naive_utc();
    let wanted = id.clone();
    let old = desk.store.read(Reach::Scan, move |connection| find(connection, &wanted)).await?;
    let (token, mut new) = Order::like(&old, expires).fill(now);
    new.rotated_from = Some(id.clone());
    let stored = new.clone();
    let write = move |connection: &mut Connection| {
        let old = find(connection, &id)?;
        if old.revoked_at.is_some() {
            let detail = format!("The key {id} is revoked. Make a new one: scimd key create --name NAME");
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        }
        api_keys::insert(connection, &stored)?;
        let end = old.expires_at.map_or(last_moment, |at| at.min(last_moment));
        api_keys::set_expiry(connection, &id, Some(end))?;
        let tenant = tenant_name(connection, &old)?;
        Ok((tenant, subject_of(connection, registry, &old)?, end))
    };
    let (tenant, subject, end) = desk.store.write(write).await?;
    let report = View::new(new, tenant, subject, now).with_token(&token, json)?;
    let state = if end <= now.naive_utc() { "opens nothing any more" } else { "stays good until" };
    let until = if end <= now.naive_utc() { String::new() } else { format!(" {}", super::minute(end.and_utc())) };
    Ok(report.note(format!("The old key {} {state}{until}.", old.key_id)))
}

/// The id in what an operator writes: `4fT9kQ2mZx7B`, `scimd_4fT9kQ2mZx7B`, or a whole token that has leaked.
fn key_id(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("scimd_").unwrap_or(text);
    // Whatever stands behind the id may be secret, and the id is quoted in messages.
    text.chars().take_while(char::is_ascii_alphanumeric).take(12).collect()
}

fn find(connection: &mut Connection, key_id: &str) -> Result<ApiKey> {
    api_keys::find(connection, key_id)?.ok_or_else(|| {
        let detail = format!("There is no key with the id `{key_id}`; `scimd key list` shows those that there are.");
        Error::new(ErrorKind::NotFound, detail)
    })
}

fn view(
    connection: &mut Connection,
    registry: &'static Registry,
    key: ApiKey,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<View> {
    let tenant = tenant_name(connection, &key)?;
    let subject = subject_of(connection, registry, &key)?;
    Ok(View::new(key, tenant, subject, now))
}

fn subject_of(connection: &mut Connection, registry: &'static Registry, key: &ApiKey) -> Result<Option<Subject>> {
    match key.subject_row_id {
        Some(row_id) => subject::in_row(connection, registry, key.tenant_id, row_id),
        None => Ok(None),
    }
}

fn tenant_name(connection: &mut Connection, key: &ApiKey) -> Result<String> {
    Ok(tenants::find(connection, key.tenant_id)?.map(|tenant| tenant.name).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Token;

    #[test]
    fn a_key_is_named_by_its_id_its_prefix_or_its_token() {
        let token = Token::generate();
        let id = token.key_id();
        for text in [id, &format!("scimd_{id}"), token.expose(), &format!(" {id}\n"), &format!("scimd_{id}_…")] {
            assert_eq!(key_id(text), id);
        }
        assert_eq!(key_id(""), "");
    }
}
