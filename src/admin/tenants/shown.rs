//! A tenant as operators see it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scim::Profile;
use crate::scim::resource::instant;
use crate::store::tenants::{self, GroupNames, Tenant};

/// A tenant as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Tenant")]
pub struct Shown {
    /// Its number, which it keeps whatever it is called: the history calls it so.
    pub id: String,
    /// What operators call it; unique.
    pub name: String,
    /// When two of its groups may share a displayName.
    pub group_names: GroupNameRule,
    /// Whether PUT, PATCH and DELETE must send If-Match.
    pub require_if_match: bool,
    /// The profile of new keys of which nobody says it.
    #[schemars(with = "String", extend("enum" = ["compat", "strict"]))]
    pub default_profile: Profile,
    /// The most users that there may be; without it any number.
    pub max_users: Option<u32>,
    /// The most groups that there may be; without it any number.
    pub max_groups: Option<u32>,
    /// Since when its keys open nothing; absent unless it is suspended.
    #[serde(default, with = "instant::option")]
    #[schemars(with = "Option<String>")]
    pub suspended: Option<DateTime<Utc>>,
    /// Since when it is being deleted: parts of it are gone already.
    #[serde(default, with = "instant::option")]
    #[schemars(with = "Option<String>")]
    pub deleting: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(with = "instant")]
    #[schemars(with = "String")]
    pub created: DateTime<Utc>,
}

impl Shown {
    pub(super) fn of(tenant: &Tenant) -> Shown {
        let settings = &tenant.settings;
        Shown {
            id: tenant.tenant_id.to_string(),
            name: tenant.name.clone(),
            group_names: GroupNameRule::of(settings.group_names),
            require_if_match: settings.require_if_match,
            default_profile: settings.default_profile,
            max_users: settings.max_users,
            max_groups: settings.max_groups,
            suspended: tenant.suspended_at.map(|at| at.and_utc()),
            deleting: tenant.deleted_at.map(|at| at.and_utc()),
            created: tenant.created_at.and_utc(),
        }
    }
}

/// A tenant and what it has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TenantWithContents")]
pub struct Detail {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: Shown,
    /// Its resources by type; types without any are missing.
    pub resources: Vec<TypeCount>,
    /// Its keys, good or not.
    pub keys: i64,
    /// Those of them that are neither revoked nor expired.
    pub active_keys: i64,
    /// The changes in its history.
    pub changes: i64,
    /// When a client last changed something that is still there, or deleted something.
    #[serde(default, with = "instant::option")]
    #[schemars(with = "Option<String>")]
    pub last_write: Option<DateTime<Utc>>,
}

/// How many resources of one type a tenant has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypeCount {
    /// The name of the type: `User`, `Group`.
    pub resource_type: String,
    /// Those that clients see.
    pub live: i64,
    /// Those that are deleted and kept.
    pub deleted: i64,
}

impl Detail {
    pub(super) fn of(tenant: &Tenant, contents: tenants::Contents) -> Detail {
        let count = |count: tenants::TypeCount| TypeCount {
            resource_type: count.resource_type,
            live: count.live,
            deleted: count.deleted,
        };
        Detail {
            tenant: Shown::of(tenant),
            resources: contents.resources.into_iter().map(count).collect(),
            keys: contents.keys,
            active_keys: contents.active_keys,
            changes: contents.changes,
            last_write: contents.last_write.map(|at| at.and_utc()),
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

    pub(super) fn group_names(self) -> GroupNames {
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
