//! Files of an operator: what they may say, and the sentence for everything that they may not.

use super::*;
use crate::scim::schema::{ENTERPRISE_URN, GROUP_URN, Role, USER_URN};

/// A device type with an extension, one attribute a line.
const DEVICES: &str = r#"[
  {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
   "id": "urn:example:params:scim:schemas:Device", "name": "Device", "description": "A machine.",
   "attributes": [
     {"name": "serialNumber", "type": "string", "required": true, "caseExact": true, "uniqueness": "server"},
     {"name": "slots", "type": "integer", "multiValued": true},
     {"name": "owner", "type": "complex", "subAttributes": [
       {"name": "value", "type": "string", "caseExact": true},
       {"name": "$ref", "type": "reference", "referenceTypes": ["User"]}
     ]}
   ]},
  {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
   "id": "urn:example:params:scim:schemas:extension:Lease",
   "attributes": [{"name": "until", "type": "dateTime"}]},
  {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
   "id": "Device", "name": "Device", "endpoint": "/Devices",
   "schema": "urn:example:params:scim:schemas:Device",
   "schemaExtensions": [{"schema": "urn:example:params:scim:schemas:extension:Lease", "required": false}]}
]"#;

fn load(text: &str) -> Result<&'static Registry, Flaw> {
    Registry::with_files(&[SchemaFile { name: "devices.json".to_owned(), text: text.to_owned() }], false)
}

/// The sentence for the devices with one change.
fn flaw(old: &str, new: &str) -> String {
    assert!(DEVICES.contains(old), "{old}");
    load(&DEVICES.replacen(old, new, 1)).expect_err(new).to_string()
}

#[test]
fn res_21_a_file_defines_a_resource_type() {
    let registry = load(DEVICES).expect("a good file");

    let device = registry.resource_type("Device").expect("the type");
    assert_eq!((device.endpoint.as_str(), device.extensions.len()), ("/Devices", 1));
    let owner = device.attribute("OWNER").expect("an attribute").attribute;
    assert_eq!((owner.role, owner.index_path.as_str()), (Role::Stored, "owner"));
    assert_eq!(
        device.attribute("until").expect("of the extension").attribute.index_path,
        "urn:example:params:scim:schemas:extension:lease:until"
    );
    assert_eq!(registry.resource_types().len(), 3);
    assert!(registry.resource_type("User").is_some_and(|user| user.reference().is_some()));
}

#[test]
fn disc_14_what_is_left_out_is_published_with_its_default() {
    let registry = load(DEVICES).expect("a good file");

    let schema = registry.schema("URN:example:params:scim:schemas:device").expect("the schema");
    assert_eq!(
        schema.source["attributes"][1],
        json!({"name": "slots", "type": "integer", "multiValued": true, "required": false, "mutability": "readWrite",
               "returned": "default", "uniqueness": "none"})
    );
    let parts = &schema.source["attributes"][2]["subAttributes"];
    assert_eq!((&parts[1]["caseExact"], &parts[0]["uniqueness"]), (&json!(true), &json!("none")));
    assert!(schema.source.get("meta").is_none());
}

#[test]
fn grp_02_groups_take_every_configured_type() {
    let group = load(DEVICES).expect("a good file").schema(GROUP_URN).expect("groups");
    let members = group.attribute("members").expect("members");
    assert_eq!(members.sub_attribute("$ref").expect("a part").reference_types, ["User", "Group", "Device"]);
    assert_eq!(members.sub_attribute("type").expect("a part").canonical_values, ["User", "Group", "Device"]);
}

#[test]
fn res_21_what_the_server_publishes_can_be_loaded_again() {
    let first = load(DEVICES).expect("a good file");
    let mut objects: Vec<Value> = Vec::new();
    for schema in first.schemas().iter().filter(|schema| schema.id.starts_with("urn:example")) {
        let mut source = schema.source.clone();
        source["meta"] = json!({"resourceType": "Schema", "location": "https://idm.example/x"});
        objects.push(source);
    }
    objects.extend(first.resource_types().iter().map(|resource_type| resource_type.source.clone()));

    let second = load(&Value::Array(objects).to_string()).expect("loads again");

    for (one, other) in first.schemas().iter().zip(second.schemas()) {
        assert_eq!(one.source, other.source);
    }
}

#[test]
fn res_21_a_built_in_type_takes_extensions_and_no_other_change() {
    let badge = r#"{"id": "urn:example:Badge", "attributes": [{"name": "colour", "type": "string"}]}"#;
    let with = |user: &str| load(&format!("[{badge},\n{user}]"));
    let urns = |registry: &'static Registry| -> Vec<&str> {
        registry.resource_type("User").expect("built in").urns().map(|schema| schema.id.as_str()).collect()
    };

    let bare = with(
        r#"{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"], "id": "User",
        "schemaExtensions": [{"schema": "URN:EXAMPLE:badge"}]}"#,
    );
    assert_eq!(urns(bare.expect("an extension")), [USER_URN, ENTERPRISE_URN, "urn:example:Badge"]);
    for (user, reason) in [
        (
            r#"{"id": "User", "endpoint": "/People", "schemaExtensions": [{"schema": "urn:example:Badge"}]}"#,
            "can't change its `endpoint`",
        ),
        (r#"{"id": "user", "schemaExtensions": [{"schema": "urn:example:Badge"}]}"#, "can't change its `id`"),
        (
            r#"{"id": "User", "schemaExtensions": [{"schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "required": true}]}"#,
            "`required` can't be changed",
        ),
        (
            r#"{"id": "Group", "schemaExtensions": [{"schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"}]}"#,
            "is built in and extends what it was made for",
        ),
    ] {
        let refused = with(user).expect_err(user).to_string();
        assert!(refused.contains(reason) && refused.starts_with("devices.json, line 2: "), "{refused}");
    }
}

#[test]
fn res_21_broken_files_are_refused_with_line_and_reason() {
    for (text, expected) in [
        ("{\"schemas\": [\n", "devices.json, line 2: this is not JSON: EOF while parsing a list."),
        ("7", "devices.json, line 1: the file must hold a schema or a resource type, or an array of them."),
        ("[{}]", "devices.json, line 1: this is neither a schema nor a resource type"),
        ("[\n7]", "devices.json, line 2: this is neither a schema nor a resource type"),
        (r#"{"schemas": ["urn:x:y"], "attributes": []}"#, "line 1: this is neither"),
        ("[null]", "line 1: this is neither"),
    ] {
        let refused = load(text).expect_err(text).to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn res_21_attributes_that_cannot_be_are_refused_with_line_and_reason() {
    let slots = r#"{"name": "slots", "type": "integer", "multiValued": true}"#;
    let owner = r#"{"name": "owner", "type": "complex", "subAttributes": ["#;
    for (old, new, line, reason) in [
        (slots, r#"{"type": "integer"}"#, 6, "an attribute needs `name`."),
        (slots, r#"{"name": "slots"}"#, 6, "the attribute `slots` needs `type`."),
        (
            slots,
            r#"{"name": "slots", "type": "number"}"#,
            6,
            "`type` of the attribute `slots` is `number`; it must be one of `string`, `boolean`",
        ),
        (slots, r#"{"name": "slots", "type": "String"}"#, 6, "is `String`; it must be one of `string`"),
        (slots, r#"{"name": "slots", "type": null}"#, 6, "`type` of an attribute must not be null; leave it out."),
        (
            slots,
            r#"{"name": "slots", "type": "integer", "mutability": "readonly"}"#,
            6,
            "is `readonly`; it must be one of `readOnly`, `readWrite`",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "integer", "returned": "sometimes"}"#,
            6,
            "must be one of `always`, `never`, `default`, `request`.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "integer", "uniqueness": "local"}"#,
            6,
            "must be one of `none`, `server`, `global`.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "integer", "multivalued": true}"#,
            6,
            "has no member `multivalued`. Did you mean `multiValued`?",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "integer", "multiValued": "yes"}"#,
            6,
            "`multiValued` of the attribute `slots` must be true or false.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "integer", "description": 7}"#,
            6,
            "`description` of the attribute `slots` must be a text.",
        ),
        (
            slots,
            r#"{"name": "SERIALnumber", "type": "integer"}"#,
            6,
            "has two attributes named `SERIALnumber`; names compare without case.",
        ),
        (slots, r#"{"name": "ID", "type": "integer"}"#, 6, "`ID` is a common attribute of every resource"),
        (slots, r#"{"name": "externalid", "type": "string"}"#, 6, "is a common attribute"),
        (slots, r#"{"name": "meta", "type": "string"}"#, 6, "is a common attribute"),
        (slots, r#"{"name": "Schemas", "type": "string"}"#, 6, "is a common attribute"),
        (slots, r#"{"name": "a.b", "type": "string"}"#, 6, "`a.b` is none."),
        (slots, r#"{"name": "9lives", "type": "string"}"#, 6, "`9lives` is none."),
        (slots, r#"{"name": "größe", "type": "string"}"#, 6, "`größe` is none."),
        (slots, r#"{"name": "$ref", "type": "reference"}"#, 6, "`$ref` is none."),
        (
            slots,
            r#"{"name": "slots", "type": "integer", "caseExact": true}"#,
            6,
            "has `caseExact`, which does not apply to integer values.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "boolean", "uniqueness": "none"}"#,
            6,
            "has `uniqueness`, which does not apply to boolean values.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "binary", "caseExact": false}"#,
            6,
            "is a binary, which is compared exactly",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "integer", "canonicalValues": ["1"]}"#,
            6,
            "has `canonicalValues`, which only strings have.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "string", "canonicalValues": [1]}"#,
            6,
            "An element of `canonicalValues` of the attribute `slots` must be a text.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "string", "referenceTypes": ["User"]}"#,
            6,
            "has `referenceTypes`, which only references have.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "reference", "referenceTypes": ["Person"]}"#,
            6,
            "`Person` is no resource type, and neither `external` nor `uri`.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "string", "subAttributes": []}"#,
            6,
            "has `subAttributes`, which only complex attributes have.",
        ),
        (slots, r#"{"name": "slots", "type": "complex"}"#, 6, "the attribute `slots` needs `subAttributes`."),
        (
            slots,
            r#"{"name": "slots", "type": "complex", "subAttributes": []}"#,
            6,
            "`subAttributes` of the attribute `slots` is empty.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "complex", "caseExact": true, "subAttributes": []}"#,
            6,
            "has `caseExact`, which does not apply to complex values.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "string", "required": true, "mutability": "readOnly"}"#,
            6,
            "is required and readOnly: no client could ever set it.",
        ),
        (
            slots,
            r#"{"name": "slots", "type": "string", "mutability": "writeOnly", "returned": "always"}"#,
            6,
            "is writeOnly, so it is never returned",
        ),
        (slots, "7", 6, "an attribute must be an object."),
        (slots, r#"{"name": "slots", "type": "string", "type": "string"}"#, 6, "`type` is there twice."),
        (
            owner,
            r#"{"name": "owner", "type": "complex", "subAttributes": [{"name": "x", "type": "complex", "subAttributes": []},"#,
            7,
            "the sub-attribute `x` is complex; sub-attributes can't be.",
        ),
        (
            owner,
            r#"{"name": "owner", "type": "complex", "subAttributes": [{"name": "VALUE", "type": "string"},"#,
            8,
            "the attribute `owner` has two attributes named `value`",
        ),
    ] {
        let refused = flaw(old, new);
        assert!(refused.contains(reason), "{new}\n{refused}");
        assert!(refused.starts_with(&format!("devices.json, line {line}: ")), "{new}\n{refused}");
    }
}

#[test]
fn res_21_schemas_and_types_that_cannot_be_are_refused_with_line_and_reason() {
    let device = r#""id": "urn:example:params:scim:schemas:Device", "name""#;
    let lease = r#""id": "urn:example:params:scim:schemas:extension:Lease""#;
    let endpoint = r#""endpoint": "/Devices""#;
    let id = r#""id": "Device", "name": "Device""#;
    let base = r#""schema": "urn:example:params:scim:schemas:Device""#;
    let extension = r#"{"schema": "urn:example:params:scim:schemas:extension:Lease", "required": false}"#;
    for (old, new, line, reason) in [
        (device, r#""name""#, 2, "a schema needs `id`."),
        (device, r#""id": "Device", "name""#, 3, "must be a URN"),
        (device, r#""id": "urn:example:de vice", "name""#, 3, "`urn:example:de vice` is none."),
        (device, r#""id": "urn:x", "name""#, 3, "`urn:x` is none."),
        (device, r#""id": "urn:x::y", "name""#, 3, "`urn:x::y` is none."),
        (
            device,
            r#""id": "urn:ietf:params:scim:api:messages:2.0:Device", "name""#,
            3,
            "is reserved for messages of the protocol.",
        ),
        (
            device,
            r#""id": "urn:ietf:params:scim:schemas:core:2.0:user", "name""#,
            3,
            "is built in; extend it with a schema of another id.",
        ),
        (
            device,
            r#""id": "urn:example:params:scim:schemas:Device", "kind": 1, "name""#,
            3,
            "a schema has no member `kind`.",
        ),
        (lease, r#""id": "URN:example:params:scim:schemas:device""#, 13, "is there twice; URNs compare without case."),
        (
            lease,
            r#""id": "urn:example:params:scim:schemas:Device:slots:Lease""#,
            18,
            "there is no schema urn:example:params:scim:schemas:extension:Lease.",
        ),
        (
            base,
            r#""schema": "urn:example:params:scim:schemas:Machine""#,
            17,
            "there is no schema urn:example:params:scim:schemas:Machine.",
        ),
        (base, r#""schema": "urn:ietf:params:scim:schemas:core:2.0:User""#, 17, "belongs to a built-in resource type"),
        (base, r#""description": "x""#, 15, "the resource type `Device` needs `schema`."),
        (extension, r#"{"required": false}"#, 18, "an extension of the resource type `Device` needs `schema`."),
        (
            extension,
            r#"{"schema": "urn:example:params:scim:schemas:Device"}"#,
            18,
            "is the schema of the resource type `Device` and can't extend it.",
        ),
        (extension, "", 13, "is used by no resource type."),
        (
            extension,
            r#"{"schema": "urn:example:params:scim:schemas:extension:Lease"}, {"schema": "urn:example:params:scim:schemas:extension:Lease"}"#,
            18,
            "extends the resource type `Device` twice.",
        ),
        (endpoint, r#""endpoint": "Devices""#, 16, "must be `/`, a letter, and then letters"),
        (endpoint, r#""endpoint": "/De/vices""#, 16, "`/De/vices` is not."),
        (endpoint, r#""endpoint": "/""#, 16, "`/` is not."),
        (endpoint, r#""endpoint": "/{id}""#, 16, "`/{id}` is not."),
        (endpoint, r#""endpoint": "/.search""#, 16, "`/.search` is not."),
        (endpoint, r#""endpoint": "/users""#, 16, "the endpoint /users is that of the resource type `User`."),
        (endpoint, r#""endpoint": "/Groups""#, 16, "is that of the resource type `Group`."),
        (endpoint, r#""endpoint": "/me""#, 16, "the endpoint /me is reserved."),
        (endpoint, r#""endpoint": "/Bulk""#, 16, "is reserved."),
        (endpoint, r#""endpoint": "/Schemas""#, 16, "is reserved."),
        (endpoint, r#""endpoint": "/ResourceTypes""#, 16, "is reserved."),
        (endpoint, r#""endpoint": "/ServiceProviderConfig""#, 16, "is reserved."),
        (endpoint, r#""endpoint": "/v3""#, 16, "is reserved."),
        (endpoint, r#""name": "Device""#, 16, "`name` is there twice."),
        (
            id,
            r#""id": "Device", "name": "Machine""#,
            16,
            "`name` of the resource type `Device` must be equal to its `id`.",
        ),
        (id, r#""id": "A Device""#, 16, "`A Device` is none."),
        (id, r#""id": "Schema""#, 16, "the resource type `Schema` is reserved."),
        (id, r#""id": "Key""#, 16, "the resource type `Key` is reserved: `Key` and `Tenant` are API keys"),
        (id, r#""id": "tenant""#, 16, "the resource type `tenant` is reserved"),
        (id, r#""description": "no name""#, 15, "a resource type needs `name`."),
    ] {
        let refused = flaw(old, new);
        assert!(refused.contains(reason), "{new}\n{refused}");
        assert!(refused.starts_with(&format!("devices.json, line {line}: ")), "{new}\n{refused}");
    }
}

#[test]
fn res_21_a_type_is_there_once_over_all_files() {
    let file = |name: &str, text: &str| SchemaFile { name: name.to_owned(), text: text.to_owned() };
    let again = r#"{"id": "DEVICE", "endpoint": "/Machines", "schema": "urn:example:params:scim:schemas:Device"}"#;
    let refused = Registry::with_files(&[file("a.json", DEVICES), file("b.json", again)], false).expect_err("twice");
    assert_eq!(
        refused.to_string(),
        "b.json, line 1: the resource type `DEVICE` is there twice; names compare without case."
    );
    let other = again.replace("DEVICE", "Machine").replace("/Machines", "/devices");
    let refused =
        Registry::with_files(&[file("a.json", DEVICES), file("b.json", &other)], false).expect_err("one endpoint");
    assert!(refused.to_string().contains("is that of the resource type `Device`"), "{refused}");
}

#[test]
fn flt_05_a_name_has_one_meaning() {
    let unclear = DEVICES.replace("schemas:extension:Lease", "schemas:Device:slots");
    let refused = load(&unclear).expect_err("unclear").to_string();
    assert!(refused.contains("would be an attribute of urn:example:params:scim:schemas:Device"), "{refused}");
}

#[test]
fn a_schema_is_a_base_or_an_extension() {
    let other = r#"{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "Lease", "endpoint": "/Leases", "schema": "urn:example:params:scim:schemas:extension:Lease"}"#;
    let both = format!("{},{other}]", DEVICES.trim_end_matches(']').trim_end());
    let refused = load(&both).expect_err("both").to_string();
    assert!(refused.contains("is the schema of one resource type and extends another"), "{refused}");
}

/// Two names whose paths in the search index have one number.
fn names_of_one_number() -> [String; 2] {
    let mut names = std::collections::HashMap::new();
    let mut name = |number: u64| {
        // Names that differ in a few characters alone have different numbers.
        let name = format!("a{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let known = names.insert(super::super::path_hash(&name), name.clone())?;
        Some([known, name])
    };
    (0..1 << 20).find_map(&mut name).expect("among so many names, two have one number")
}

#[test]
fn attributes_of_one_number_are_refused() {
    let [one, other] = names_of_one_number();
    let attributes = [&one, &other].map(|name| serde_json::json!({"name": name, "type": "string"}));
    let schema = serde_json::json!({"id": "urn:example:Badge", "attributes": attributes});

    let badges = serde_json::json!({"name": "Badge", "endpoint": "/Badges", "schema": "urn:example:Badge"});

    let refused = load(&serde_json::json!([schema, badges]).to_string()).expect_err("one number").to_string();

    let reason = format!("`{other}` and `{one}` have the same number in the search index; rename one of them.");
    assert!(refused.ends_with(&reason), "{refused}");
}
