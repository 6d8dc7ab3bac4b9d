//! What `scimd quickstart` says before it serves: where, with which token, and three requests to try.

use super::Report;
use crate::admin::{Desk, Operation, keys};
use crate::scim::Result;

/// The tenant that is there from the first migration.
const TENANT: &str = "default";

/// Makes a key in the default tenant and gives its token, unless there is a good one and no `new_key` is asked for; then
/// nothing.
///
/// # Errors
/// Database failures.
pub async fn make_key(desk: &Desk, new_key: bool) -> Result<Option<String>> {
    let tenant = desk.tenant(TENANT).await?;
    if !new_key && keys::any_active(desk, Some(tenant.tenant_id)).await? {
        return Ok(None);
    }
    let order = keys::Create { name: "quickstart".to_owned(), ..keys::Create::default() };
    Ok(Some(order.carry_out(desk).await?.token))
}

/// The text for a terminal. `base_url` is what an identity provider is given; `local_url` reaches this server from this
/// machine, whatever stands in front of it.
pub fn welcome(token: Option<&str>, base_url: &str, local_url: &str) -> Report {
    let Some(token) = token else {
        return Report::text(format!("SCIM base URL  {base_url}\n")).note(
            "There is a key already, and its token is shown only once, when it is made. For another one: \
             `scimd key create --name NAME`, or `scimd quickstart --new-key`.",
        );
    };
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
