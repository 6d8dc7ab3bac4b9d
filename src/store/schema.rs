//! The tables, one description for both backends; held against the migrations by a test.
#![allow(missing_docs, reason = "the columns are described in ARCHITECTURE.md")]

diesel::table! {
    tenants (tenant_id) {
        tenant_id -> BigInt,
        name -> Text,
        settings -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    resources (row_id) {
        row_id -> BigInt,
        tenant_id -> BigInt,
        id -> Text,
        resource_type -> Text,
        unique_key -> Nullable<Text>,
        name -> Nullable<Text>,
        external_id -> Nullable<Text>,
        display_name -> Nullable<Text>,
        active -> Bool,
        document -> Text,
        version -> BigInt,
        created_at -> Timestamp,
        modified_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted_by -> Nullable<Text>,
    }
}

diesel::table! {
    resource_values (tenant_id, path, key, row_id, element) {
        tenant_id -> BigInt,
        path -> Text,
        key -> Text,
        row_id -> BigInt,
        element -> BigInt,
        tail -> Text,
    }
}

diesel::table! {
    group_members (group_row_id, member_row_id) {
        group_row_id -> BigInt,
        member_row_id -> BigInt,
    }
}

diesel::table! {
    unresolved_members (group_row_id, value) {
        group_row_id -> BigInt,
        value -> Text,
    }
}

diesel::table! {
    api_keys (key_id) {
        key_id -> Text,
        tenant_id -> BigInt,
        name -> Text,
        secret_hash -> Text,
        fingerprint -> Text,
        last_four -> Text,
        scopes -> Text,
        profile -> Text,
        subject_row_id -> Nullable<BigInt>,
        created_at -> Timestamp,
        expires_at -> Nullable<Timestamp>,
        last_used_at -> Nullable<Timestamp>,
        revoked_at -> Nullable<Timestamp>,
        rotated_from -> Nullable<Text>,
    }
}

diesel::table! {
    audit (row_id) {
        row_id -> BigInt,
        tenant_id -> BigInt,
        at -> Timestamp,
        caller -> Text,
        request_id -> Text,
        operation -> Text,
        resource_type -> Text,
        resource_id -> Text,
        version -> BigInt,
        changes -> Text,
    }
}

diesel::table! {
    outbox (row_id) {
        row_id -> BigInt,
        audit_row_id -> BigInt,
        event -> Text,
        delivered_at -> Nullable<Timestamp>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(tenants, resources, resource_values, group_members, unresolved_members, api_keys, audit, outbox);
