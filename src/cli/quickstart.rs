//! What `scimd quickstart` says before it serves: where, with which token, and three requests to try.

use super::Report;
use super::keys::{self, Lifetime};
use crate::admin::Desk;
use crate::auth::{Scopes, Token};
use crate::scim::{Profile, Result};
use crate::store::tenants::Tenant;
use crate::store::{Reach, api_keys};

/// The tenant that is there from the first migration.
const TENANT: &str = "default";

/// Makes a key in the default tenant, unless there is a good one and no `new_key` is asked for; then nothing.
///
/// # Errors
/// Database failures.
pub async fn make_key(desk: &Desk, new_key: bool) -> Result<Option<Token>> {
    let tenant = desk.tenant(TENANT).await?;
    if !new_key && has_key(desk, &tenant).await? {
        return Ok(None);
    }
    let order = keys::Order {
        tenant_id: tenant.tenant_id,
        name: "quickstart".to_owned(),
        scopes: Scopes::all().to_string(),
        profile: Profile::default(),
        subject_row_id: None,
        lifetime: Lifetime::default(),
    };
    let (token, key) = order.fill(desk.now());
    desk.store.write(move |connection| api_keys::insert(connection, &key)).await?;
    Ok(Some(token))
}

async fn has_key(desk: &Desk, tenant: &Tenant) -> Result<bool> {
    let (tenant_id, now) = (tenant.tenant_id, desk.now());
    let keys = desk.store.read(Reach::Scan, move |connection| api_keys::list(connection, Some(tenant_id))).await?;
    Ok(keys.iter().any(|key| keys::is_active(key, now)))
}

/// Whether any tenant has a key that opens something.
///
/// # Errors
/// Database failures.
pub async fn any_key(desk: &Desk) -> Result<bool> {
    let now = desk.now();
    let keys = desk.store.read(Reach::Scan, |connection| api_keys::list(connection, None)).await?;
    Ok(keys.iter().any(|key| keys::is_active(key, now)))
}

/// The text for a terminal. `base_url` is what an identity provider is given; `local_url` reaches this server from this
/// machine, whatever stands in front of it.
pub fn welcome(token: Option<&Token>, base_url: &str, local_url: &str) -> Report {
    let Some(token) = token else {
        return Report::text(format!("SCIM base URL  {base_url}\n")).note(
            "There is a key already, and its token is shown only once, when it is made. For another one: \
             `scimd key create --name NAME`, or `scimd quickstart --new-key`.",
        );
    };
    let token = token.expose();
    Report::text(format!(
        r#"SCIM base URL  {base_url}
Bearer token   {token}

List the users:
curl -H 'Authorization: Bearer {token}' {local_url}/Users

Create one:
curl -H 'Authorization: Bearer {token}' -H 'Content-Type: application/scim+json' -d '{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"mira@example.com","displayName":"Mira","active":true}}' {local_url}/Users

Find it:
curl -H 'Authorization: Bearer {token}' --get --data-urlencode 'filter=userName eq "mira@example.com"' {local_url}/Users

"#
    ))
    .note("The token is shown only now. Ctrl-C stops the server; what was stored stays.")
}
