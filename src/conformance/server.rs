//! What a server says of itself (RFC 7644 §4): what it offers, its resource types, its schemas. Nothing is assumed that
//! it does not say, apart from the endpoints of the RFC where it says nothing at all.

use serde_json::Value;

pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The discovery documents, as they came. What could not be read is null or empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Server {
    pub config: Value,
    pub resource_types: Vec<Value>,
    pub schemas: Vec<Value>,
}

impl Server {
    /// Whether `/ServiceProviderConfig` says that a feature is supported: `bulk`, `filter`, `sort`, …
    pub(super) fn supports(&self, feature: &str) -> bool {
        self.config[feature]["supported"] == true
    }

    /// Whether it pages with cursors (RFC 9865 §4).
    pub(super) fn pages_with_cursors(&self) -> bool {
        self.config["pagination"]["cursor"] == true
    }

    /// Where users are, such as `/Users`.
    pub(super) fn users(&self) -> String {
        self.endpoint(USER).unwrap_or_else(|| "/Users".to_owned())
    }

    /// Where groups are, if the server has any.
    pub(super) fn groups(&self) -> Option<String> {
        let assumed = || self.resource_types.is_empty().then(|| "/Groups".to_owned());
        self.endpoint(GROUP).or_else(assumed)
    }

    /// The endpoints of all resource types.
    pub(super) fn endpoints(&self) -> Vec<String> {
        let mut endpoints: Vec<String> = self.resource_types.iter().filter_map(endpoint_of).collect();
        endpoints.extend([self.users()]);
        endpoints.extend(self.groups());
        endpoints
    }

    fn endpoint(&self, schema: &str) -> Option<String> {
        let is_it = |resource_type: &&Value| text_is(&resource_type["schema"], schema);
        endpoint_of(self.resource_types.iter().find(is_it)?)
    }

    /// Whether users have this extension.
    pub(super) fn extends_users_with(&self, urn: &str) -> bool {
        let users = self.resource_types.iter().filter(|resource_type| text_is(&resource_type["schema"], USER));
        let mut extensions = users.filter_map(|users| users["schemaExtensions"].as_array()).flatten();
        extensions.any(|extension| text_is(&extension["schema"], urn))
    }

    /// The definition of a schema, if it was published.
    pub(super) fn schema(&self, urn: &str) -> Option<&Value> {
        self.schemas.iter().find(|schema| text_is(&schema["id"], urn))
    }

    /// The definitions of the attributes of a schema.
    pub(super) fn attributes(&self, urn: &str) -> impl Iterator<Item = &Value> {
        self.schema(urn).and_then(|schema| schema["attributes"].as_array()).into_iter().flatten()
    }

    /// Whether resources of a schema have this attribute. True if the schema was not published: then it is worth a try.
    pub(super) fn knows(&self, urn: &str, attribute: &str) -> bool {
        self.schema(urn).is_none() || self.attributes(urn).any(|known| text_is(&known["name"], attribute))
    }
}

fn endpoint_of(resource_type: &Value) -> Option<String> {
    let endpoint = resource_type["endpoint"].as_str()?;
    // Some write the whole URL; the last segment is what stands behind the base URL.
    let last = endpoint.trim_end_matches('/').rsplit('/').next().filter(|segment| !segment.is_empty())?;
    Some(format!("/{last}"))
}

/// Names and URNs have no case (RFC 7643 §2.1).
fn text_is(value: &Value, text: &str) -> bool {
    value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(text))
}

/// What a check cannot do without.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    /// A feature of `/ServiceProviderConfig` with `supported`.
    Feature(&'static str),
    Cursors,
    Groups,
    Enterprise,
    /// An attribute of users.
    User(&'static str),
}

impl Need {
    /// Why the server does not have it, if it does not.
    pub(super) fn unmet(self, server: &Server) -> Option<String> {
        let (is_met, lack) = match self {
            Need::Feature(name) => (server.supports(name), format!("the server does not advertise `{name}`")),
            Need::Cursors => (server.pages_with_cursors(), "the server does not advertise cursor paging".to_owned()),
            Need::Groups => (server.groups().is_some(), "the server has no groups".to_owned()),
            Need::Enterprise => {
                (server.extends_users_with(ENTERPRISE), "the users of the server lack the enterprise extension".into())
            }
            Need::User(name) => (server.knows(USER, name), format!("the server's users have no `{name}`")),
        };
        (!is_met).then_some(lack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_server_that_says_nothing_has_the_endpoints_of_the_rfc_and_no_features() {
        let server = Server::default();
        assert_eq!((server.users().as_str(), server.groups().as_deref()), ("/Users", Some("/Groups")));
        assert!(!server.supports("bulk") && !server.pages_with_cursors() && server.knows(USER, "title"));
    }

    #[test]
    fn odd_documents_are_read_as_far_as_they_go() {
        let server = Server {
            config: json!({"bulk": {"supported": "yes"}, "sort": true, "filter": {"supported": true}}),
            resource_types: vec![
                json!(7),
                json!({"schema": USER, "endpoint": "https://h/scim/v2/People/", "schemaExtensions": {}}),
                json!({"schema": "urn:x", "endpoint": ""}),
            ],
            schemas: vec![json!({"id": USER, "attributes": [{"name": "USERNAME"}, null]})],
        };
        assert_eq!((server.users().as_str(), server.groups()), ("/People", None));
        assert!(!server.supports("bulk") && !server.supports("sort") && server.supports("filter"));
        assert!(server.knows(USER, "userName") && !server.knows(USER, "title"));
        assert_eq!(
            Need::Enterprise.unmet(&server).as_deref(),
            Some("the users of the server lack the enterprise extension")
        );
    }
}
