-- Text is compared bytewise (SQLite's default collation), as in Rust.

CREATE TABLE tenants (
    tenant_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    settings TEXT NOT NULL DEFAULT '{}',
    created_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX tenants_name ON tenants (name);
INSERT INTO tenants (tenant_id, name, settings, created_at)
VALUES (1, 'default', '{}', strftime('%Y-%m-%d %H:%M:%f', 'now'));

-- One row per resource of any type, live or buried. AUTOINCREMENT: a row id is never given twice.
CREATE TABLE resources (
    row_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant_id BIGINT NOT NULL,
    id TEXT NOT NULL,
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
CREATE UNIQUE INDEX resources_id ON resources (id);
CREATE UNIQUE INDEX resources_unique_key ON resources (tenant_id, resource_type, unique_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX resources_internal_name ON resources (tenant_id, name) WHERE deleted_at IS NULL AND name IS NOT NULL;
CREATE INDEX resources_live ON resources (tenant_id, resource_type, row_id) WHERE deleted_at IS NULL;
CREATE INDEX resources_modified ON resources (tenant_id, resource_type, modified_at, row_id) WHERE deleted_at IS NULL;
CREATE INDEX resources_buried ON resources (tenant_id, resource_type, deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX resources_buried_key ON resources (tenant_id, resource_type, unique_key, row_id) WHERE deleted_at IS NOT NULL;

-- The search index: one row per assigned value of a live resource, in one tree only. Which rows to delete is known from
-- the old document. A key longer than 256 characters continues in tail.
CREATE TABLE resource_values (
    tenant_id BIGINT NOT NULL,
    path TEXT NOT NULL,
    "key" TEXT NOT NULL,
    row_id BIGINT NOT NULL,
    element BIGINT NOT NULL,
    tail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, path, "key", row_id, element)
) WITHOUT ROWID;

CREATE TABLE group_members (
    group_row_id BIGINT NOT NULL REFERENCES resources (row_id),
    member_row_id BIGINT NOT NULL REFERENCES resources (row_id),
    PRIMARY KEY (group_row_id, member_row_id)
) WITHOUT ROWID;
CREATE INDEX group_members_member ON group_members (member_row_id, group_row_id);

-- Member ids that no live resource has.
CREATE TABLE unresolved_members (
    group_row_id BIGINT NOT NULL REFERENCES resources (row_id),
    value TEXT NOT NULL,
    PRIMARY KEY (group_row_id, value)
) WITHOUT ROWID;
CREATE INDEX unresolved_members_value ON unresolved_members (value);

CREATE TABLE api_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (tenant_id),
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    last_four TEXT NOT NULL,
    scopes TEXT NOT NULL,
    profile TEXT NOT NULL,
    subject_row_id BIGINT,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP,
    last_used_at TIMESTAMP,
    revoked_at TIMESTAMP,
    rotated_from TEXT
);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at);

CREATE TABLE audit (
    row_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant_id BIGINT NOT NULL,
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
    row_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    audit_row_id BIGINT NOT NULL REFERENCES audit (row_id),
    event TEXT NOT NULL,
    delivered_at TIMESTAMP
);

-- For people and applications that look into the database: live rows only.
CREATE VIEW users AS
SELECT
    r.id AS id,
    t.name AS tenant,
    json_extract(r.document, '$.userName') AS user_name,
    json_extract(r.document, '$.displayName') AS display_name,
    r.active AS active,
    r.external_id AS external_id,
    (
        SELECT json_extract(e.value, '$.value')
        FROM json_each(r.document, '$.emails') AS e
        ORDER BY coalesce(json_extract(e.value, '$.primary'), 0) DESC, e.id
        LIMIT 1
    ) AS email,
    r.created_at AS created,
    r.modified_at AS modified
FROM resources AS r
JOIN tenants AS t ON t.tenant_id = r.tenant_id
WHERE r.resource_type = 'User' AND r.deleted_at IS NULL;

CREATE VIEW groups AS
SELECT
    r.id AS id,
    t.name AS tenant,
    r.display_name AS display_name,
    r.name AS name,
    r.external_id AS external_id,
    (SELECT count(*) FROM group_members AS m WHERE m.group_row_id = r.row_id) AS members,
    r.created_at AS created,
    r.modified_at AS modified
FROM resources AS r
JOIN tenants AS t ON t.tenant_id = r.tenant_id
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
    ('resources', 'resources_buried_key', '10000 10000 5000 2 1'),
    ('resources', 'resources_id', '1000000 1'),
    ('resource_values', 'resource_values', '10000000 10000000 500000 2 1 1'),
    ('group_members', 'group_members', '1000000 100 1'),
    ('group_members', 'group_members_member', '1000000 10 1');
