//! `scimd tenant`: namespaces, and what is set for each.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::table::table;
use super::{Office, Report, minute};
use crate::admin::tenants::{self, GroupNameRule, Shown};
use crate::scim::Result;

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
    /// When two groups may share a displayName, compared without case: by-external-id (only if their externalIds differ;
    /// what a tenant begins with), unique (never) or free (always)
    #[arg(long, value_name = "RULE", required_unless_present = "require_if_match", value_parser = rules())]
    group_names: Option<GroupNameRule>,
    /// Whether PUT, PATCH and DELETE must send If-Match
    #[arg(long, value_name = "BOOL")]
    require_if_match: Option<bool>,
    /// Print JSON
    #[arg(long)]
    json: bool,
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
            Command::Set(arguments) => set(office, arguments).await,
        }
    }
}

async fn create(office: &Office, Create { name, json }: Create) -> Result<Report> {
    let tenant = office.ask(tenants::Create { name }).await?;
    if json {
        return Report::json(&tenant);
    }
    Ok(Report::default()
        .note(format!("Tenant `{0}` is made. Next: scimd key create --name NAME --tenant {0}", tenant.name)))
}

async fn list(office: &Office, List { json }: List) -> Result<Report> {
    let mut all: Vec<Shown> = Vec::new();
    let mut question = tenants::List::default();
    loop {
        let page = office.ask(question).await?;
        all.extend(page.items);
        match page.next {
            Some(next) => question = tenants::List { after: Some(next), ..tenants::List::default() },
            None => break,
        }
    }
    if json {
        return Report::json(&all);
    }
    let row = |tenant: &Shown| {
        let rule = tenant.group_names.as_str().to_owned();
        [tenant.name.clone(), rule, if_match(tenant).to_owned(), minute(tenant.created)]
    };
    Ok(Report::text(table(["NAME", "GROUP NAMES", "IF-MATCH", "CREATED"], &all.iter().map(row).collect::<Vec<_>>())))
}

fn if_match(tenant: &Shown) -> &'static str {
    if tenant.require_if_match { "required" } else { "optional" }
}

async fn set(office: &Office, arguments: Set) -> Result<Report> {
    let Set { name, group_names, require_if_match, json } = arguments;
    let tenant = office.ask(tenants::Change { tenant: name, group_names, require_if_match }).await?;
    if json {
        return Report::json(&tenant);
    }
    let (name, rule, if_match) = (&tenant.name, tenant.group_names.as_str(), if_match(&tenant));
    Ok(Report::default().note(format!("Tenant `{name}`: group names are {rule}, If-Match is {if_match}.")))
}
