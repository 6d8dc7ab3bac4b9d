-- Tenants: one namespace and one provisioning domain each.
CREATE TABLE tenants (
    tenant_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL DEFAULT '{}',
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO tenants (name) VALUES ('default');

-- Users, groups and whatever else a schema describes; live or buried (deleted_at is set).
CREATE TABLE resources (
    row_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    tenant_id BIGINT NOT NULL REFERENCES tenants (tenant_id),
    id TEXT NOT NULL UNIQUE,
    resource_type TEXT NOT NULL,
    unique_key TEXT,
    name TEXT,
    external_id TEXT,
    display_name TEXT,
    active BOOLEAN NOT NULL,
    document TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    modified_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP,
    deleted_by TEXT
);
CREATE UNIQUE INDEX resources_unique_key ON resources (tenant_id, resource_type, unique_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX resources_internal_name ON resources (tenant_id, name) WHERE deleted_at IS NULL AND name IS NOT NULL;
CREATE INDEX resources_live ON resources (tenant_id, resource_type, row_id) WHERE deleted_at IS NULL;
CREATE INDEX resources_modified ON resources (tenant_id, resource_type, modified_at, row_id) WHERE deleted_at IS NULL;
CREATE INDEX resources_buried ON resources (tenant_id, resource_type, deleted_at) WHERE deleted_at IS NOT NULL;

-- The search index: one row per assigned value of a live resource, in one tree.
CREATE TABLE resource_values (
    tenant_id BIGINT NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    row_id BIGINT NOT NULL,
    element BIGINT NOT NULL,
    tail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, path, key, row_id, element)
) WITHOUT ROWID;

-- Members of groups that are live resources, read from both ends.
CREATE TABLE group_members (
    group_row_id BIGINT NOT NULL REFERENCES resources (row_id),
    member_row_id BIGINT NOT NULL REFERENCES resources (row_id),
    PRIMARY KEY (group_row_id, member_row_id)
) WITHOUT ROWID;
CREATE INDEX group_members_member ON group_members (member_row_id, group_row_id);

-- Member ids that no live resource has: kept, shown, removable, no membership of anybody.
CREATE TABLE unresolved_members (
    group_row_id BIGINT NOT NULL REFERENCES resources (row_id),
    value TEXT NOT NULL,
    PRIMARY KEY (group_row_id, value)
) WITHOUT ROWID;
CREATE INDEX unresolved_members_value ON unresolved_members (value);

-- Keys: the public part, and an argon2id hash of the whole.
CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY NOT NULL,
    tenant_id BIGINT NOT NULL REFERENCES tenants (tenant_id),
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    last_four TEXT NOT NULL,
    scopes TEXT NOT NULL,
    profile TEXT NOT NULL,
    subject_row_id BIGINT REFERENCES resources (row_id),
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP,
    last_used_at TIMESTAMP,
    revoked_at TIMESTAMP,
    rotated_from TEXT
);

-- History, append-only, and the events that tell others of it.
CREATE TABLE audit (
    row_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    tenant_id BIGINT NOT NULL REFERENCES tenants (tenant_id),
    at TIMESTAMP NOT NULL,
    caller TEXT NOT NULL,
    request_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    changes TEXT NOT NULL
);
CREATE INDEX audit_resource ON audit (tenant_id, resource_id, row_id);
CREATE TABLE outbox (
    row_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    audit_row_id BIGINT NOT NULL REFERENCES audit (row_id),
    event TEXT NOT NULL,
    delivered_at TIMESTAMP
);

-- For people and applications that look into the database: live rows only.
CREATE VIEW users AS
SELECT
    r.id,
    t.name AS tenant,
    json_extract(r.document, '$.userName') AS user_name,
    r.display_name,
    r.active,
    r.external_id,
    (
        SELECT json_extract(e.value, '$.value') FROM json_each(r.document, '$.emails') e
        ORDER BY coalesce(json_extract(e.value, '$.primary'), 0) DESC, e.key LIMIT 1
    ) AS email,
    r.created_at AS created,
    r.modified_at AS modified
FROM resources r JOIN tenants t ON t.tenant_id = r.tenant_id
WHERE r.resource_type = 'User' AND r.deleted_at IS NULL;
CREATE VIEW groups AS
SELECT
    r.id,
    t.name AS tenant,
    r.display_name,
    r.name,
    r.external_id,
    (SELECT count(*) FROM group_members m WHERE m.group_row_id = r.row_id) AS members,
    r.created_at AS created,
    r.modified_at AS modified
FROM resources r JOIN tenants t ON t.tenant_id = r.tenant_id
WHERE r.resource_type = 'Group' AND r.deleted_at IS NULL;

-- Without statistics the planner takes a tenant and a type for selective and walks every resource of them where the
-- search index would name the few rows at once. These figures stand for a large store.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('resources', 'resources_live', '1000000 1000000 500000 1'),
    ('resources', 'resources_modified', '1000000 1000000 500000 2 1'),
    ('resources', 'resources_unique_key', '1000000 1000000 500000 1'),
    ('resources', 'resources_internal_name', '100000 100000 1'),
    ('resources', 'resources_buried', '10000 10000 5000 2'),
    ('resources', 'sqlite_autoindex_resources_1', '1000000 1'),
    ('resource_values', 'resource_values', '10000000 10000000 500000 2 1 1'),
    ('group_members', 'group_members', '1000000 100 1'),
    ('group_members', 'group_members_member', '1000000 10 1');
