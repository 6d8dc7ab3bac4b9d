//! diesel's tables: one description for both databases, columns in the order of the migrations.
//!
//! The types are the common ground of SQLite and PostgreSQL: BigInt, Text, Bool, Timestamp. JSON is Text. Written by
//! hand; a test holds it against the migrations.

diesel::table! {
    /// Namespaces: what one identity provider pushes.
    tenants (tenant_id) {
        /// 1 is `default`.
        tenant_id -> BigInt,
        /// What operators call it; unique.
        name -> Text,
        /// JSON.
        settings -> Text,
        /// When it was made.
        created_at -> Timestamp,
        /// JSON: by resource type, the form for which documents and search index are made.
        schemas -> Text,
        /// Since when its keys open nothing.
        suspended_at -> Nullable<Timestamp>,
        /// Since when it is being deleted.
        deleted_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// One row per User, Group or other resource, live or buried.
    resources (row_id) {
        /// Creation order; never leaves the store, never given twice.
        row_id -> BigInt,
        /// Whose resource it is.
        tenant_id -> BigInt,
        /// The SCIM id, unique over live and buried rows of all tenants.
        id -> Text,
        /// `User`, `Group`, …
        resource_type -> Text,
        /// What must be unique among the live resources of a tenant and type; null where nothing must.
        unique_key -> Nullable<Text>,
        /// A group's internal name.
        name -> Nullable<Text>,
        /// The client's own identifier.
        external_id -> Nullable<Text>,
        /// The attribute of that name.
        display_name -> Nullable<Text>,
        /// The attribute of that name; false once buried.
        active -> Bool,
        /// JSON with the schema's spelling, without id, meta, schemas, groups and members.
        document -> Text,
        /// Grows with every change.
        version -> BigInt,
        /// `meta.created`.
        created_at -> Timestamp,
        /// `meta.lastModified`.
        modified_at -> Timestamp,
        /// When it was buried; null while live.
        deleted_at -> Nullable<Timestamp>,
        /// The key that buried it.
        deleted_by -> Nullable<Text>,
        /// JSON: what the document held and the schemas do not define any more.
        withheld -> Nullable<Text>,
        /// When everything about it was erased; null while there is something to restore.
        purged_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// The search index: one row per assigned value of a live resource.
    resource_values (tenant_path, key, row_id, element) {
        /// Whose value it is, and of which attribute: `tenant_id` * 2^31 + `path_hash` of its index path, `emails.value`.
        tenant_path -> BigInt,
        /// At most 256 characters that sort and compare the same everywhere.
        key -> Text,
        /// The resource.
        row_id -> BigInt,
        /// 0 for singular attributes; multi-valued ones count their elements.
        element -> BigInt,
        /// What did not fit into the key.
        tail -> Text,
    }
}

diesel::table! {
    /// Values of live resources that are unique beside `unique_key`.
    unique_values (tenant_id, resource_type, path, key) {
        /// Whose value it is.
        tenant_id -> BigInt,
        /// `User`, `Group`, …
        resource_type -> Text,
        /// The attribute: its index path, lower case, extensions with their URN.
        path -> Text,
        /// The value, as in the search index; a long one ends in a hash.
        key -> Text,
        /// The resource.
        row_id -> BigInt,
    }
}

diesel::table! {
    /// How many live resources a tenant has, by type and block.
    live_totals (tenant_id, resource_type, block, slot) {
        /// Whose.
        tenant_id -> BigInt,
        /// `User`, `Group`.
        resource_type -> Text,
        /// The rows that are counted: 4,096 with the same quotient.
        block -> BigInt,
        /// Those of a block add up; one of them may be below zero.
        slot -> BigInt,
        /// Their number.
        live -> BigInt,
    }
}

diesel::table! {
    /// Memberships whose member is a live resource.
    group_members (group_row_id, member_row_id) {
        /// The group.
        group_row_id -> BigInt,
        /// The user or nested group.
        member_row_id -> BigInt,
    }
}

diesel::table! {
    /// Member ids that no live resource has.
    unresolved_members (group_row_id, value) {
        /// The group.
        group_row_id -> BigInt,
        /// The id as sent.
        value -> Text,
    }
}

diesel::table! {
    /// Passwords of live users, as hashes.
    credentials (row_id) {
        /// Whose.
        row_id -> BigInt,
        /// An argon2id PHC string.
        password_hash -> Text,
    }
}

diesel::table! {
    /// Bearer keys. Nothing here lets anybody make the token.
    api_keys (key_id) {
        /// The public part of the token.
        key_id -> Text,
        /// The one tenant that the key sees.
        tenant_id -> BigInt,
        /// What operators call it.
        name -> Text,
        /// An argon2id PHC string.
        secret_hash -> Text,
        /// A few hex digits of a fast digest: refuses most wrong secrets without argon2.
        fingerprint -> Text,
        /// The end of the token, shown in lists.
        last_four -> Text,
        /// What the key may do.
        scopes -> Text,
        /// `compat` or `strict`.
        profile -> Text,
        /// The resource on whose behalf the key acts, where it acts for one.
        subject_row_id -> Nullable<BigInt>,
        /// When it was made.
        created_at -> Timestamp,
        /// From when on it is refused.
        expires_at -> Nullable<Timestamp>,
        /// When it was last seen, more or less.
        last_used_at -> Nullable<Timestamp>,
        /// When it was withdrawn.
        revoked_at -> Nullable<Timestamp>,
        /// The key that it replaces.
        rotated_from -> Nullable<Text>,
    }
}

diesel::table! {
    /// Append-only: who changed what and when.
    audit (row_id) {
        /// The order of changes.
        row_id -> BigInt,
        /// Where it happened.
        tenant_id -> BigInt,
        /// When it happened.
        at -> Timestamp,
        /// Who did it: a key id or an operator.
        caller -> Text,
        /// The request, as in the log.
        request_id -> Text,
        /// What was done.
        operation -> Text,
        /// To what type.
        resource_type -> Text,
        /// To which resource.
        resource_id -> Text,
        /// The version that came of it.
        version -> BigInt,
        /// JSON: before and after of what changed, secrets masked; `{}` once erased.
        changes -> Text,
        /// Random; null once erased.
        salt -> Nullable<Text>,
        /// What the row says, proven; null where it was written before there were digests, until it is sealed.
        digest -> Nullable<Text>,
        /// The digest of salt and changes, once both are erased.
        erased -> Nullable<Text>,
    }
}

diesel::table! {
    /// The chain over the history: each row seals the changes that were committed since the one before.
    seals (seal_id) {
        /// 1, 2, 3, … without a gap.
        seal_id -> BigInt,
        /// When it was made.
        at -> Timestamp,
        /// How many changes are sealed up to here.
        total -> BigInt,
        /// The highest row of the history that is sealed up to here.
        highest -> BigInt,
        /// JSON: rows below the highest that may still be committed.
        awaited -> Text,
        /// The rows that it seals: `1-17,19`.
        row_ids -> Text,
        /// Their digests in the same order, separated by commas.
        digests -> Text,
        /// Over all of this and the hash of the seal before, row by row.
        hash -> Text,
    }
}

diesel::table! {
    /// When `modified_at` moved and nothing else did.
    touches (row_id, at) {
        /// The resource.
        row_id -> BigInt,
        /// What `modified_at` was from then on.
        at -> Timestamp,
    }
}

diesel::table! {
    /// Events that wait for delivery.
    outbox (row_id) {
        /// The order of events.
        row_id -> BigInt,
        /// The change that it tells of.
        audit_row_id -> BigInt,
        /// The kind of event.
        event -> Text,
        /// When it was delivered.
        delivered_at -> Nullable<Timestamp>,
    }
}

diesel::joinable!(resources -> tenants (tenant_id));
diesel::joinable!(resource_values -> resources (row_id));
diesel::joinable!(unresolved_members -> resources (group_row_id));
diesel::joinable!(credentials -> resources (row_id));
diesel::joinable!(api_keys -> tenants (tenant_id));
diesel::joinable!(outbox -> audit (audit_row_id));

diesel::allow_tables_to_appear_in_same_query!(
    api_keys,
    audit,
    credentials,
    group_members,
    live_totals,
    outbox,
    resource_values,
    resources,
    seals,
    tenants,
    touches,
    unique_values,
    unresolved_members,
);
