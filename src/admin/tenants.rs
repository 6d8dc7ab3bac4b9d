//! Tenants: namespaces that see nothing of each other, and what is set for each.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Desk, Operation, Page, Route, no_next_page, page_size};
use crate::scim::schema::{GROUP_URN, ResourceType};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::resources::{self, Place};
use crate::store::tenants::{self, GroupNames, Tenant};
use crate::store::{Connection, Reach};

/// The longest name of a tenant.
const LONGEST_NAME: usize = 64;

/// A tenant as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Tenant")]
pub struct Shown {
    /// What operators call it; unique.
    pub name: String,
    /// When two of its groups may share a displayName.
    pub group_names: GroupNameRule,
    /// Whether PUT, PATCH and DELETE must send If-Match.
    pub require_if_match: bool,
    /// When it was made.
    #[serde(with = "crate::scim::resource::instant")]
    #[schemars(with = "String")]
    pub created: DateTime<Utc>,
}

impl Shown {
    fn of(tenant: &Tenant) -> Shown {
        Shown {
            name: tenant.name.clone(),
            group_names: GroupNameRule::of(tenant.settings.group_names),
            require_if_match: tenant.settings.require_if_match,
            created: tenant.created_at.and_utc(),
        }
    }
}

/// When two groups may share a displayName, compared without case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupNameRule {
    /// Only if their externalIds differ; what a tenant begins with.
    ByExternalId,
    /// Never.
    Unique,
    /// Always.
    Free,
}

impl GroupNameRule {
    /// Every rule.
    pub const ALL: [GroupNameRule; 3] = [GroupNameRule::ByExternalId, GroupNameRule::Unique, GroupNameRule::Free];

    fn of(group_names: GroupNames) -> GroupNameRule {
        match group_names {
            GroupNames::ByExternalId => GroupNameRule::ByExternalId,
            GroupNames::Unique => GroupNameRule::Unique,
            GroupNames::Free => GroupNameRule::Free,
        }
    }

    fn group_names(self) -> GroupNames {
        match self {
            GroupNameRule::ByExternalId => GroupNames::ByExternalId,
            GroupNameRule::Unique => GroupNames::Unique,
            GroupNameRule::Free => GroupNames::Free,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            GroupNameRule::ByExternalId => "by-external-id",
            GroupNameRule::Unique => "unique",
            GroupNameRule::Free => "free",
        }
    }
}

/// The tenants, in the order in which they were made.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct List {
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most to list on one page; 100 without it, 1000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Operation for List {
    const ROUTE: Route =
        Route::get("/tenants").named("listTenants").about("The tenants, in the order of their creation");
    type Outcome = Page<Shown>;

    async fn carry_out(self, desk: &Desk) -> Result<Page<Shown>> {
        let (after, limit) = (self.after.as_deref().map(place).transpose()?.unwrap_or(0), page_size(self.limit));
        let read = move |connection: &mut Connection| tenants::list_after(connection, after, limit + 1);
        let mut found = desk.store.read(Reach::Scan, read).await?;
        let has_more = found.len() as i64 > limit;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| has_more).map(|last| last.tenant_id.to_string());
        Ok(Page { items: found.iter().map(Shown::of).collect(), next })
    }
}

/// A new tenant, with default settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Create {
    /// Letters, digits, `-`, `_` and `.`, at most 64.
    pub name: String,
}

impl Operation for Create {
    const ROUTE: Route = Route::post("/tenants").named("createTenant").about("Make a tenant");
    type Outcome = Shown;

    async fn carry_out(self, desk: &Desk) -> Result<Shown> {
        check_name(&self.name)?;
        let (name, at) = (self.name, desk.now().naive_utc());
        let tenant = desk.store.write(move |connection| tenants::insert(connection, &name, at)).await?;
        Ok(Shown::of(&tenant))
    }
}

/// Other settings for a tenant; what is absent stays. The groups that are there must fit the rule: if two of them clash,
/// nothing is changed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    /// The name of the tenant.
    pub tenant: String,
    /// When two groups may share a displayName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_names: Option<GroupNameRule>,
    /// Whether PUT, PATCH and DELETE must send If-Match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_if_match: Option<bool>,
}

impl Operation for Change {
    const ROUTE: Route =
        Route::patch("/tenants/{tenant}").named("changeTenant").about("Change the settings of a tenant");
    type Outcome = Shown;

    async fn carry_out(self, desk: &Desk) -> Result<Shown> {
        let Change { tenant: name, group_names, require_if_match } = self;
        let tenant_id = desk.tenant(&name).await?.tenant_id;
        let resource_type = group_type(desk)?;
        let change = move |connection: &mut Connection| {
            let mut settings = tenants::settings_for(connection, tenant_id, resource_type)?;
            settings.group_names = group_names.map_or(settings.group_names, GroupNameRule::group_names);
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
        Ok(Shown::of(&tenant))
    }
}

/// The row behind which a page begins.
fn place(after: &str) -> Result<i64> {
    after.parse().map_err(|_| no_next_page())
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
