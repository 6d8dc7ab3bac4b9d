//! Tenants: namespaces that see nothing of each other, and what is set for each.

mod deletion;
mod shown;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::record::{Author, Subject, facts};
use super::{Desk, Operation, Page, Route, no_next_page, page_size};
use crate::scim::schema::{GROUP_URN, Registry, ResourceType};
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::audit::{self, Changes};
use crate::store::resources::{self, Place};
use crate::store::tenants::{self, Tenant, TenantSettings};
use crate::store::{Connection, Reach};

pub use self::deletion::{Delete, Deletion};
pub use self::shown::{Detail, GroupNameRule, Shown, TypeCount};

/// The longest name of a tenant.
const LONGEST_NAME: usize = 64;

/// What commands and programs mean that name no tenant.
const DEFAULT: &str = "default";

/// The tenants, in the order in which they were made.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ListTenants")]
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

/// One tenant, and how much it has. It costs what the tenant has: to count is to look at everything.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ShowTenant")]
pub struct Show {
    /// The name of the tenant.
    pub tenant: String,
}

impl Operation for Show {
    const ROUTE: Route =
        Route::get("/tenants/{tenant}").named("showTenant").about("One tenant, with the number of all that it has");
    type Outcome = Detail;

    async fn carry_out(self, desk: &Desk) -> Result<Detail> {
        let (tenant, now) = (desk.tenant(&self.tenant).await?, desk.now().naive_utc());
        let tenant_id = tenant.tenant_id;
        let read = move |connection: &mut Connection| tenants::contents(connection, tenant_id, now);
        let contents = desk.store.read(Reach::Scan, read).await?;
        Ok(Detail::of(&tenant, contents))
    }
}

/// A new tenant, with default settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CreateTenant")]
pub struct Create {
    /// Letters, digits, `-`, `_` and `.`, at most 64.
    pub name: String,
}

impl Operation for Create {
    const ROUTE: Route = Route::post("/tenants").named("createTenant").about("Make a tenant").making("/tenants/{name}");
    type Outcome = Shown;

    async fn carry_out(self, desk: &Desk) -> Result<Shown> {
        check_name(&self.name)?;
        let (name, author) = (self.name, desk.author());
        let write = move |connection: &mut Connection| {
            let tenant = tenants::insert(connection, &name, author.at.naive_utc())?;
            record(connection, &author, None, &tenant)?;
            Ok(Shown::of(&tenant))
        };
        desk.store.write(write).await
    }
}

/// Another name or other settings for a tenant; what is absent stays. The groups that are there must fit the rule of
/// names: if two of them clash, nothing is changed. A limit that is lower than what there is takes nothing away; nothing
/// is added until there is less. Clients notice nothing of another name.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ChangeTenant")]
pub struct Change {
    /// The name of the tenant.
    pub tenant: String,
    /// Its name from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When two groups may share a displayName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_names: Option<GroupNameRule>,
    /// Whether PUT, PATCH and DELETE must send If-Match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_if_match: Option<bool>,
    /// The profile of new keys of which nobody says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["compat", "strict", null]))]
    pub default_profile: Option<Profile>,
    /// The most users that there may be; `null` for any number.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schemars(with = "Option<u32>")]
    pub max_users: Option<Option<u32>>,
    /// The most groups that there may be; `null` for any number.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schemars(with = "Option<u32>")]
    pub max_groups: Option<Option<u32>>,
}

/// What is said, be it `null`; without this, `null` would be the same as nothing said.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Operation for Change {
    const ROUTE: Route =
        Route::patch("/tenants/{tenant}").named("changeTenant").about("Change the name or the settings of a tenant");
    type Outcome = Shown;

    async fn carry_out(self, desk: &Desk) -> Result<Shown> {
        self.name.as_deref().map(check_name).transpose()?;
        let tenant = desk.tenant(&self.tenant).await?;
        if tenant.name == DEFAULT && self.name.as_ref().is_some_and(|name| name != DEFAULT) {
            let detail = format!("The tenant `{DEFAULT}` keeps its name: it is meant where none is named.");
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        }
        let (tenant_id, author, registry) = (tenant.tenant_id, desk.author(), desk.provider.registry());
        let clash = format!("Nothing is changed, for two groups of `{}` would clash: ", tenant.name);
        let write = move |connection: &mut Connection| {
            let before = tenants::lock(connection, tenant_id)?;
            before.check_not_deleted()?;
            if let Some(name) = &self.name {
                tenants::rename(connection, tenant_id, name)?;
            }
            let settings = self.applied_to(before.settings);
            tenants::set_settings(connection, tenant_id, &settings)?;
            if settings.group_names != before.settings.group_names
                && let Some(resource_type) = group_type(registry)
            {
                tenants::settings_for(connection, tenant_id, resource_type)?;
                let clashing = |error: Error| match error.kind() {
                    ErrorKind::Uniqueness => Error::new(error.kind(), format!("{clash}{}", error.detail())),
                    _ => error,
                };
                resources::rekey_groups(connection, Place { tenant_id, settings, resource_type }).map_err(clashing)?;
            }
            let after = found(connection, tenant_id)?;
            record(connection, &author, Some(&before), &after)?;
            Ok(Shown::of(&after))
        };
        let shown = desk.store.write(write).await?;
        desk.forget_tenant(tenant_id);
        Ok(shown)
    }
}

impl Change {
    fn applied_to(&self, settings: TenantSettings) -> TenantSettings {
        TenantSettings {
            group_names: self.group_names.map_or(settings.group_names, GroupNameRule::group_names),
            require_if_match: self.require_if_match.unwrap_or(settings.require_if_match),
            default_profile: self.default_profile.unwrap_or(settings.default_profile),
            max_users: self.max_users.unwrap_or(settings.max_users),
            max_groups: self.max_groups.unwrap_or(settings.max_groups),
        }
    }
}

/// A tenant whose keys shall open nothing until it is resumed: every request with one is refused with 403, reads as well
/// as writes. Operators see it and work on it as before.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "SuspendTenant")]
pub struct Suspend {
    /// The name of the tenant.
    pub tenant: String,
}

impl Operation for Suspend {
    const ROUTE: Route = Route::post("/tenants/{tenant}/suspend")
        .named("suspendTenant")
        .about("Let the keys of a tenant open nothing: at once on this server, within a second on others");
    type Outcome = Shown;

    async fn carry_out(self, desk: &Desk) -> Result<Shown> {
        let tenant = desk.tenant(&self.tenant).await?;
        check_may_be_closed(desk, &tenant)?;
        set_suspended(desk, tenant.tenant_id, true).await
    }
}

/// A suspended tenant whose keys shall open again what they did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ResumeTenant")]
pub struct Resume {
    /// The name of the tenant.
    pub tenant: String,
}

impl Operation for Resume {
    const ROUTE: Route = Route::post("/tenants/{tenant}/resume")
        .named("resumeTenant")
        .about("Let the keys of a suspended tenant open again what they did");
    type Outcome = Shown;

    async fn carry_out(self, desk: &Desk) -> Result<Shown> {
        let tenant = desk.tenant(&self.tenant).await?;
        set_suspended(desk, tenant.tenant_id, false).await
    }
}

async fn set_suspended(desk: &Desk, tenant_id: i64, suspended: bool) -> Result<Shown> {
    let author = desk.author();
    let write = move |connection: &mut Connection| {
        let before = tenants::lock(connection, tenant_id)?;
        before.check_not_deleted()?;
        if before.suspended_at.is_some() == suspended {
            return Ok(Shown::of(&before));
        }
        tenants::set_suspended(connection, tenant_id, suspended.then(|| author.at.naive_utc()))?;
        let after = found(connection, tenant_id)?;
        record(connection, &author, Some(&before), &after)?;
        Ok(Shown::of(&after))
    };
    let shown = desk.store.write(write).await?;
    desk.forget_tenant(tenant_id);
    Ok(shown)
}

/// Whoever works with a key of a tenant would lock themselves out.
fn check_may_be_closed(desk: &Desk, tenant: &Tenant) -> Result<()> {
    if desk.actor.tenant_id != Some(tenant.tenant_id) {
        return Ok(());
    }
    let detail = format!(
        "This key belongs to the tenant `{0}` and would open nothing any more: use one of another tenant.",
        tenant.name
    );
    Err(Error::new(ErrorKind::InvalidValue, detail))
}

/// The row behind which a page begins.
fn place(after: &str) -> Result<i64> {
    after.parse().map_err(|_| no_next_page())
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // A path of one or two dots is no place of its own in a URL.
    let is_a_place = !matches!(name, "." | "..");
    if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(allowed) && is_a_place {
        return Ok(());
    }
    let detail = format!(
        "The name of a tenant has 1 to {LONGEST_NAME} letters (a to z), digits, `-`, `_` and `.`; write for example `acme`."
    );
    Err(Error::new(ErrorKind::InvalidValue, detail))
}

/// Notes what became of a tenant; none before is a new one.
fn record(connection: &mut Connection, author: &Author, before: Option<&Tenant>, after: &Tenant) -> Result<()> {
    let facts = |tenant: &Tenant| facts(&Shown::of(tenant), &["id", "created"]);
    let changes = Changes::of_record(before.map(facts).transpose()?.as_ref(), Some(&facts(after)?));
    if changes.is_empty() {
        return Ok(());
    }
    let operation = if before.is_none() { audit::Operation::Create } else { audit::Operation::Modify };
    author.record(connection, after.tenant_id, operation, Subject::Tenant(after.tenant_id), &changes)
}

fn found(connection: &mut Connection, tenant_id: i64) -> Result<Tenant> {
    let tenant = tenants::find(connection, tenant_id)?;
    tenant.ok_or_else(|| Error::new(ErrorKind::NotFound, "There is no such tenant."))
}

fn group_type(registry: &'static Registry) -> Option<&'static ResourceType> {
    registry.resource_types().iter().find(|resource_type| resource_type.schema.id == GROUP_URN).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tenants_can_stand_in_a_shell_and_a_url() {
        for name in ["acme", "a.b-c_D9", "x", "..."] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a/b", "ä", "a\n", ".", "..", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_limit_is_lifted_by_null_and_stays_where_nothing_is_said() {
        let read = |text: &str| serde_json::from_str::<Change>(text).expect("a change");
        let limited = TenantSettings { max_users: Some(5), max_groups: Some(6), ..TenantSettings::default() };

        let lifted = read(r#"{"tenant": "a", "maxUsers": null}"#).applied_to(limited);

        assert_eq!((lifted.max_users, lifted.max_groups), (None, Some(6)));
        assert_eq!(
            serde_json::to_string(&read(r#"{"tenant":"a","maxUsers":null}"#)).expect("text"),
            r#"{"tenant":"a","maxUsers":null}"#
        );
    }
}
