//! `scimd tenant`: namespaces, and what is set for each.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::table::table;
use super::{Desk, Report, minute};
use crate::scim::resource::format_instant;
use crate::scim::schema::{GROUP_URN, ResourceType};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::resources::{self, Place};
use crate::store::tenants::{self, GroupNames, Tenant};
use crate::store::{Connection, Reach};

/// The longest name of a tenant.
const LONGEST_NAME: usize = 64;

/// What an operator does with tenants.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a tenant
    ///
    /// Give each identity provider a tenant of its own: some delete every user that they do not know.
    #[command(after_help = "Example:\n  scimd tenant create acme\n  scimd key create --name okta --tenant acme")]
    Create(Create),
    /// List the tenants and what is set for them
    #[command(after_help = "Examples:\n  scimd tenant list\n  scimd tenant list --json")]
    List(List),
    /// Set when groups of a tenant may share a name, and whether changes must name a version
    ///
    /// The groups that are there must fit the rule; if two of them clash, nothing is changed.
    #[command(after_help = "Examples:\n  scimd tenant set default --group-names unique\n  \
                            scimd tenant set default --require-if-match true")]
    Set(Set),
}

/// `scimd tenant create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Letters, digits, `-`, `_` and `.`, at most 64
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
pub struct Set {
    /// The name of the tenant
    name: String,
    /// When two groups may share a displayName, compared without case
    #[arg(long, value_name = "RULE", required_unless_present = "require_if_match")]
    group_names: Option<Rule>,
    /// Whether PUT, PATCH and DELETE must send If-Match
    #[arg(long, value_name = "BOOL")]
    require_if_match: Option<bool>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rule {
    /// Only if their externalIds differ; what a tenant begins with
    ByExternalId,
    /// Never
    Unique,
    /// Always
    Free,
}

impl Rule {
    fn of(group_names: GroupNames) -> Rule {
        match group_names {
            GroupNames::ByExternalId => Rule::ByExternalId,
            GroupNames::Unique => Rule::Unique,
            GroupNames::Free => Rule::Free,
        }
    }

    fn group_names(self) -> GroupNames {
        match self {
            Rule::ByExternalId => GroupNames::ByExternalId,
            Rule::Unique => GroupNames::Unique,
            Rule::Free => GroupNames::Free,
        }
    }

    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Command {
    /// Does what the command says.
    ///
    /// # Errors
    /// A name that is taken, unknown or ill-formed; groups that clash; database failures.
    pub async fn run(self, desk: &Desk) -> Result<Report> {
        match self {
            Command::Create(arguments) => create(desk, arguments).await,
            Command::List(arguments) => list(desk, arguments).await,
            Command::Set(arguments) => set(desk, arguments).await,
        }
    }
}

async fn create(desk: &Desk, arguments: Create) -> Result<Report> {
    let Create { name, json } = arguments;
    check_name(&name)?;
    let at = desk.now().naive_utc();
    let tenant = desk.store.write(move |connection| tenants::insert(connection, &name, at)).await?;
    if json {
        return Report::json(&to_json(&tenant));
    }
    Ok(Report::default()
        .note(format!("Tenant `{0}` is made. Next: scimd key create --name NAME --tenant {0}", tenant.name)))
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    let detail = format!(
        "The name of a tenant has 1 to {LONGEST_NAME} letters (a to z), digits, `-`, `_` and `.`; write for example `acme`."
    );
    Err(Error::new(ErrorKind::InvalidValue, detail))
}

async fn list(desk: &Desk, arguments: List) -> Result<Report> {
    let all = desk.store.read(Reach::Scan, tenants::list).await?;
    if arguments.json {
        return Report::json(&all.iter().map(to_json).collect());
    }
    let row = |tenant: &Tenant| {
        let rule = Rule::of(tenant.settings.group_names).word();
        let if_match = if tenant.settings.require_if_match { "required" } else { "optional" };
        [tenant.name.clone(), rule, if_match.to_owned(), minute(tenant.created_at.and_utc())]
    };
    Ok(Report::text(table(["NAME", "GROUP NAMES", "IF-MATCH", "CREATED"], &all.iter().map(row).collect::<Vec<_>>())))
}

async fn set(desk: &Desk, arguments: Set) -> Result<Report> {
    let Set { name, group_names: rule, require_if_match, json } = arguments;
    let tenant_id = desk.tenant(&name).await?.tenant_id;
    let resource_type = group_type(desk)?;
    let change = move |connection: &mut Connection| {
        let mut settings = tenants::settings_for(connection, tenant_id, resource_type)?;
        settings.group_names = rule.map_or(settings.group_names, Rule::group_names);
        settings.require_if_match = require_if_match.unwrap_or(settings.require_if_match);
        change_settings(connection, Place { tenant_id, settings, resource_type })
    };
    let tenant = desk.store.write(change).await.map_err(|error| match error.kind() {
        ErrorKind::Uniqueness => {
            let detail = format!("Nothing is changed, for two groups of `{name}` would clash: {}", error.detail());
            Error::new(ErrorKind::Uniqueness, detail)
        }
        _ => error,
    })?;
    if json {
        return Report::json(&to_json(&tenant));
    }
    let rule = Rule::of(tenant.settings.group_names).word();
    let if_match = if tenant.settings.require_if_match { "required" } else { "optional" };
    Ok(Report::default().note(format!("Tenant `{name}`: group names are {rule}, If-Match is {if_match}.")))
}

fn change_settings(connection: &mut Connection, place: Place) -> Result<Tenant> {
    tenants::set_settings(connection, place.tenant_id, &place.settings)?;
    resources::rekey_groups(connection, place)?;
    let tenant = tenants::find(connection, place.tenant_id)?;
    tenant.ok_or_else(|| Error::new(ErrorKind::NotFound, "There is no such tenant."))
}

fn group_type(desk: &Desk) -> Result<&'static ResourceType> {
    let types = desk.provider.registry().resource_types();
    let group = types.iter().find(|resource_type| resource_type.schema.id == GROUP_URN);
    group.copied().ok_or_else(|| Error::new(ErrorKind::NotFound, "This scimd serves no groups."))
}

fn to_json(tenant: &Tenant) -> Value {
    json!({
        "name": tenant.name,
        "groupNames": Rule::of(tenant.settings.group_names).word(),
        "requireIfMatch": tenant.settings.require_if_match,
        "created": format_instant(tenant.created_at.and_utc()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tenants_can_stand_in_a_shell_and_a_url() {
        for name in ["acme", "a.b-c_D9", "x"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
