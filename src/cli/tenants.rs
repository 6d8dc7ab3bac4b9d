//! `scimd tenant`: namespaces, and what is set for each.

mod deletion;
mod view;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::keys::profiles;
use super::table::table;
use super::{Office, Report};
use crate::admin::tenants::{self, GroupNameRule, Shown};
use crate::scim::{Profile, Result};

use deletion::Delete;

/// What an operator does with tenants.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a tenant
    ///
    /// Give each identity provider a tenant of its own: some delete every user that they do not know.
    #[command(after_help = "Example:\n  scimd tenant create acme\n  scimd key create --name okta --tenant acme")]
    Create(Named),
    /// List the tenants and what is set for them
    #[command(after_help = "Examples:\n  scimd tenant list\n  scimd tenant list --json")]
    List(List),
    /// Show one tenant, what is set for it and how much it has
    #[command(after_help = "Example:\n  scimd tenant show acme")]
    Show(Named),
    /// Set rules, limits and the profile of new keys for a tenant
    ///
    /// The groups that are there must fit the rule of names; if two of them clash, nothing is changed. A limit that is
    /// lower than what there is takes nothing away: nothing is added until there is less.
    #[command(after_help = "Examples:\n  scimd tenant set default --group-names unique\n  \
                            scimd tenant set default --require-if-match true\n  \
                            scimd tenant set acme --max-users 5000 --max-groups none --default-profile strict")]
    Set(Set),
    /// Give a tenant another name; its clients notice nothing
    #[command(after_help = "Example:\n  scimd tenant rename acme acme-emea")]
    Rename(Rename),
    /// Let the keys of a tenant open nothing, within a second on every server, until it is resumed
    #[command(after_help = "Example:\n  scimd tenant suspend acme")]
    Suspend(Named),
    /// Let the keys of a suspended tenant open again what they did
    #[command(after_help = "Example:\n  scimd tenant resume acme")]
    Resume(Named),
    /// Delete a tenant for good, with its users, groups, keys and history
    ///
    /// Says what would go and asks for the name on a terminal; elsewhere it needs --yes. The tenant is suspended first, then
    /// everything goes piece by piece while others are served. If it is interrupted, run it again.
    #[command(after_help = "Examples:\n  scimd tenant delete acme\n  scimd tenant delete acme --dry-run\n  \
                            scimd tenant delete acme --yes")]
    Delete(Delete),
}

/// Commands that take a tenant and nothing else.
#[derive(Debug, Args)]
pub struct Named {
    /// The name of the tenant: letters, digits, `-`, `_` and `.`, at most 64
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `scimd tenant list`.
#[derive(Debug, Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `scimd tenant set`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("settings").required(true).multiple(true)))]
pub struct Set {
    /// The name of the tenant
    name: String,
    /// When two groups may share a displayName, compared without case: by-external-id (only if their externalIds differ;
    /// what a tenant begins with), unique (never) or free (always)
    #[arg(long, value_name = "RULE", group = "settings", value_parser = rules())]
    group_names: Option<GroupNameRule>,
    /// Whether PUT, PATCH and DELETE must send If-Match
    #[arg(long, value_name = "BOOL", group = "settings")]
    require_if_match: Option<bool>,
    /// The profile of new keys of which nobody says it: compat takes what identity providers really send, strict what the
    /// RFCs allow
    #[arg(long, value_name = "PROFILE", group = "settings", value_parser = profiles())]
    default_profile: Option<Profile>,
    /// The most users that there may be, or none for any number; one more is refused with 403
    #[arg(long, value_name = "NUMBER", group = "settings", value_parser = limit)]
    max_users: Option<Limit>,
    /// The most groups that there may be, or none for any number; one more is refused with 403
    #[arg(long, value_name = "NUMBER", group = "settings", value_parser = limit)]
    max_groups: Option<Limit>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `scimd tenant rename`.
#[derive(Debug, Args)]
pub struct Rename {
    /// The name of the tenant
    name: String,
    /// Its name from now on
    new_name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A limit as it is written: a number, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<u32>);

fn limit(text: &str) -> std::result::Result<Limit, String> {
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(Limit(None));
    }
    let number = text.trim().parse().map(|number| Limit(Some(number)));
    number.map_err(|_| format!("write a number up to {}, or none", u32::MAX))
}

fn rules() -> impl TypedValueParser<Value = GroupNameRule> {
    let rule = |word: String| GroupNameRule::ALL.into_iter().find(|rule| rule.as_str() == word).ok_or("unknown");
    PossibleValuesParser::new(GroupNameRule::ALL.map(GroupNameRule::as_str)).try_map(rule)
}

impl Command {
    /// Does what the command says.
    ///
    /// # Errors
    /// A name that is taken, unknown or ill-formed; groups that clash; those of the office.
    pub async fn run(self, office: &Office) -> Result<Report> {
        match self {
            Command::Create(arguments) => create(office, arguments).await,
            Command::List(arguments) => list(office, arguments).await,
            Command::Show(arguments) => show(office, arguments).await,
            Command::Set(arguments) => set(office, arguments).await,
            Command::Rename(arguments) => rename(office, arguments).await,
            Command::Suspend(arguments) => suspend(office, arguments).await,
            Command::Resume(arguments) => resume(office, arguments).await,
            Command::Delete(arguments) => deletion::delete(office, arguments).await,
        }
    }
}

async fn create(office: &Office, Named { name, json }: Named) -> Result<Report> {
    let tenant = office.ask(tenants::Create { name }).await?;
    if json {
        return Report::json(&tenant);
    }
    Ok(Report::default()
        .note(format!("Tenant `{0}` is made. Next: scimd key create --name NAME --tenant {0}", tenant.name)))
}

async fn list(office: &Office, List { json }: List) -> Result<Report> {
    let (all, _) = office.walk(usize::MAX, |after, limit| tenants::List { after, limit }).await?;
    if json {
        return Report::json(&all);
    }
    Ok(Report::text(table(view::HEADER, &all.iter().map(view::row).collect::<Vec<_>>())))
}

async fn show(office: &Office, Named { name, json }: Named) -> Result<Report> {
    let detail = office.ask(tenants::Show { tenant: name }).await?;
    if json { Report::json(&detail) } else { Ok(Report::text(view::lines(&detail))) }
}

async fn set(office: &Office, arguments: Set) -> Result<Report> {
    let Set { name, group_names, require_if_match, default_profile, max_users, max_groups, json } = arguments;
    let question = tenants::Change {
        tenant: name,
        name: None,
        group_names,
        require_if_match,
        default_profile,
        max_users: max_users.map(|Limit(most)| most),
        max_groups: max_groups.map(|Limit(most)| most),
    };
    let tenant = office.ask(question).await?;
    if json {
        return Report::json(&tenant);
    }
    let Shown { name, group_names, default_profile, max_users, max_groups, .. } = &tenant;
    Ok(Report::default().note(format!(
        "Tenant `{name}`: group names are {}, If-Match is {}, new keys are {default_profile}, users are {}, groups are {}.",
        group_names.as_str(),
        view::if_match(&tenant),
        limited(*max_users),
        limited(*max_groups),
    )))
}

fn limited(most: Option<u32>) -> String {
    most.map_or_else(|| "not limited".to_owned(), |most| format!("limited to {most}"))
}

async fn rename(office: &Office, Rename { name, new_name, json }: Rename) -> Result<Report> {
    let question = tenants::Change { tenant: name.clone(), name: Some(new_name), ..tenants::Change::default() };
    let tenant = office.ask(question).await?;
    if json {
        return Report::json(&tenant);
    }
    Ok(Report::default().note(format!("Tenant `{name}` is called `{}` now.", tenant.name)))
}

async fn suspend(office: &Office, Named { name, json }: Named) -> Result<Report> {
    let tenant = office.ask(tenants::Suspend { tenant: name }).await?;
    if json {
        return Report::json(&tenant);
    }
    Ok(Report::default().note(format!(
        "Tenant `{0}` is suspended: its keys open nothing until `scimd tenant resume {0}`.",
        tenant.name
    )))
}

async fn resume(office: &Office, Named { name, json }: Named) -> Result<Report> {
    let tenant = office.ask(tenants::Resume { tenant: name }).await?;
    if json {
        return Report::json(&tenant);
    }
    Ok(Report::default().note(format!("Tenant `{}` is served.", tenant.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_none() {
        assert_eq!(
            (limit("5000"), limit("None"), limit("0")),
            (Ok(Limit(Some(5000))), Ok(Limit(None)), Ok(Limit(Some(0))))
        );
        for text in ["", "-1", "many", "4294967296"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
