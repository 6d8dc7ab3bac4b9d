//! What this server can do and what its resources look like: `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas`
//! (RFC 7644 §4, RFC 7643 §5 to §7), from the registry that also enforces it.
//!
//! `base` is the public URL up to and with the version, `https://idm.example/scim/v2`, without a slash at the end.

use serde_json::{Value, json};

use super::cursor;
use super::message::{MAX_BODY, MAX_OPERATIONS, whole_list};
use super::query::{DEFAULT_COUNT, MAX_COUNT};
use super::schema::{Registry, ResourceType, Schema};

/// The URN of the schema that describes the configuration of a server.
pub const SERVICE_PROVIDER_CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// The object at `/ServiceProviderConfig` (RFC 7643 §5, RFC 9865 §4). The limits are those that are enforced.
pub fn service_provider_config(registry: &Registry, base: &str) -> Value {
    json!({
        "schemas": [SERVICE_PROVIDER_CONFIG_URN],
        "patch": {"supported": true},
        "bulk": {"supported": true, "maxOperations": MAX_OPERATIONS, "maxPayloadSize": MAX_BODY},
        "filter": {"supported": true, "maxResults": MAX_COUNT},
        "changePassword": {"supported": registry.offers_passwords()},
        "sort": {"supported": true},
        "etag": {"supported": true},
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_COUNT,
            "maxPageSize": MAX_COUNT,
            "cursorTimeout": cursor::TIMEOUT,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "An API key of this server, sent in the Authorization header as a bearer token.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    })
}

/// The list at `/ResourceTypes`: every resource type that is provisioned. Discovery has no pages (DISC-17).
pub fn resource_types(registry: &Registry, base: &str) -> Value {
    whole_list(
        registry.resource_types().iter().map(|resource_type| resource_type_object(resource_type, base)).collect(),
    )
}

/// The object at `/ResourceTypes/{name}`, if there is such a resource type.
pub fn resource_type(registry: &Registry, name: &str, base: &str) -> Option<Value> {
    registry.resource_type(name).map(|resource_type| resource_type_object(resource_type, base))
}

/// The list at `/Schemas`: every schema, those of discovery included (DISC-11).
pub fn schemas(registry: &Registry, base: &str) -> Value {
    whole_list(registry.schemas().iter().map(|schema| schema_object(schema, base)).collect())
}

/// The object at `/Schemas/{urn}`, if there is such a schema; URNs compare without case (DISC-10).
pub fn schema(registry: &Registry, urn: &str, base: &str) -> Option<Value> {
    registry.schema(urn).map(|schema| schema_object(schema, base))
}

fn resource_type_object(resource_type: &ResourceType, base: &str) -> Value {
    with_meta(&resource_type.source, "ResourceType", format!("{base}/ResourceTypes/{}", resource_type.name))
}

fn schema_object(schema: &Schema, base: &str) -> Value {
    with_meta(&schema.source, "Schema", format!("{base}/Schemas/{}", schema.id))
}

fn with_meta(source: &Value, resource_type: &str, location: String) -> Value {
    let mut object = source.clone();
    object["meta"] = json!({"resourceType": resource_type, "location": location});
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::message::LIST_RESPONSE;
    use crate::scim::schema::{ENTERPRISE_URN, GROUP_URN, SCHEMA_URN, USER_URN};

    const BASE: &str = "https://idm.example/scim/v2";

    fn registry() -> &'static Registry {
        Registry::builtin()
    }

    fn resources(list: &Value) -> &Vec<Value> {
        assert_eq!(list["schemas"], json!([LIST_RESPONSE]));
        let resources = list["Resources"].as_array().expect("an array");
        assert_eq!(list["totalResults"], json!(resources.len()));
        assert_eq!(list["itemsPerPage"], json!(resources.len()));
        resources
    }

    #[test]
    fn disc_01_the_configuration_is_one_object() {
        assert_eq!(service_provider_config(registry(), BASE)["schemas"], json!([SERVICE_PROVIDER_CONFIG_URN]));
    }

    #[test]
    fn disc_02_the_configuration_is_complete_and_typed() {
        let config = service_provider_config(registry(), BASE);
        for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
            assert!(config[feature]["supported"].is_boolean(), "{feature}");
        }
        for limit in ["/bulk/maxOperations", "/bulk/maxPayloadSize", "/filter/maxResults", "/pagination/maxPageSize"] {
            assert!(config.pointer(limit).is_some_and(Value::is_u64), "{limit}");
        }
    }

    #[test]
    fn disc_03_keys_are_advertised_as_bearer_tokens() {
        let config = service_provider_config(registry(), BASE);
        let schemes = config["authenticationSchemes"].as_array().expect("an array");
        assert_eq!(schemes.len(), 1);
        assert_eq!(schemes[0]["type"], "oauthbearertoken");
        for text in ["name", "description"] {
            assert!(schemes[0][text].as_str().is_some_and(|text| !text.is_empty()), "{text}");
        }
    }

    #[test]
    fn disc_04_paging_is_advertised_by_index_and_by_cursor() {
        assert_eq!(
            service_provider_config(registry(), BASE)["pagination"],
            json!({"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 100, "maxPageSize": 1000, "cursorTimeout": 3600})
        );
    }

    #[test]
    fn disc_07_resource_types_are_listed_and_found() {
        let list = resource_types(registry(), BASE);
        let names: Vec<&Value> = resources(&list).iter().map(|resource_type| &resource_type["name"]).collect();
        assert_eq!(names, ["User", "Group"]);
        assert_eq!(resource_type(registry(), "Group", BASE).as_ref(), resources(&list).get(1));
        assert_eq!(resource_type(registry(), "Device", BASE), None);
    }

    #[test]
    fn disc_08_a_resource_type_is_complete() {
        for resource_type in resources(&resource_types(registry(), BASE)) {
            assert_eq!(resource_type["id"], resource_type["name"]);
            assert!(resource_type["endpoint"].as_str().is_some_and(|endpoint| endpoint.starts_with('/')));
            assert_eq!(resource_type["meta"]["resourceType"], "ResourceType");
        }
    }

    #[test]
    fn disc_09_every_schema_of_a_resource_type_is_found() {
        for resource_type in resources(&resource_types(registry(), BASE)) {
            let extensions = resource_type["schemaExtensions"].as_array().into_iter().flatten();
            for urn in std::iter::once(resource_type).chain(extensions).map(|entry| &entry["schema"]) {
                let urn = urn.as_str().expect("a URN");
                assert_eq!(schema(registry(), urn, BASE).expect(urn)["id"], urn);
            }
        }
    }

    #[test]
    fn disc_10_schemas_are_found_without_case() {
        let schema_of = |urn: &str| schema(registry(), urn, BASE);
        assert_eq!(schema_of(&USER_URN.to_uppercase()), schema_of(USER_URN));
        assert_eq!(schema_of("urn:example:unknown"), None);
    }

    #[test]
    fn disc_11_all_schemas_are_listed() {
        let list = schemas(registry(), BASE);
        let mut urns: Vec<&str> = resources(&list).iter().filter_map(|schema| schema["id"].as_str()).collect();
        let resource_type_urn = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
        let mut expected =
            [USER_URN, GROUP_URN, ENTERPRISE_URN, SERVICE_PROVIDER_CONFIG_URN, resource_type_urn, SCHEMA_URN];
        urns.sort_unstable();
        expected.sort_unstable();
        assert_eq!(urns, expected);
    }

    #[test]
    fn disc_12_messages_are_no_schemas() {
        for schema in resources(&schemas(registry(), BASE)) {
            assert!(!schema["id"].as_str().expect("an id").contains(":api:messages:"), "{schema}");
        }
        assert_eq!(schema(registry(), crate::scim::message::ERROR, BASE), None);
    }

    #[test]
    fn disc_21_every_object_says_where_it_is() {
        let config = service_provider_config(registry(), BASE);
        assert_eq!(config["meta"]["location"], format!("{BASE}/ServiceProviderConfig"));
        for resource_type in resources(&resource_types(registry(), BASE)) {
            let id = resource_type["id"].as_str().expect("an id");
            assert_eq!(resource_type["meta"]["location"], format!("{BASE}/ResourceTypes/{id}"));
        }
        for schema in resources(&schemas(registry(), BASE)) {
            let id = schema["id"].as_str().expect("an id");
            assert_eq!(schema["meta"], json!({"resourceType": "Schema", "location": format!("{BASE}/Schemas/{id}")}));
        }
    }
}
