-- Without statistics the planner takes tenant and type for selective, and walks every resource where the index of ids or
-- values would name one; and a plan that was made when a table was small is kept until there are better ones. So an empty
-- store begins with those of a made-up one, as on SQLite. Real ones take their place as soon as PostgreSQL gathers them,
-- which it never does of an empty table.
DO $$
DECLARE
    is_new BOOLEAN := NOT EXISTS (SELECT 1 FROM resources);
BEGIN
    IF is_new THEN
        -- A server that runs meanwhile takes a tenant first and then resources.
        LOCK TABLE tenants, resources, resource_values, group_members, unresolved_members, credentials, touches,
            unique_values IN ACCESS EXCLUSIVE MODE;
        is_new := NOT EXISTS (SELECT 1 FROM resources);
    END IF;
    IF is_new THEN
        ALTER TABLE resources DISABLE TRIGGER USER;
        INSERT INTO resources (row_id, tenant_id, id, resource_type, unique_key, name, external_id, display_name, active,
            document, version, created_at, modified_at, deleted_at, deleted_by)
        SELECT n, n % 4, 'id-' || n, CASE WHEN n % 10 = 0 THEN 'Group' ELSE 'User' END, 'key-' || n,
            CASE WHEN n % 10 = 0 THEN 'name-' || n END, 'external-' || n, 'display-' || n, n % 20 <> 1, repeat('x', 1000), 1,
            timestamp '2026-01-01' + n * interval '1 minute', timestamp '2026-02-01' + n * interval '1 minute',
            CASE WHEN n % 50 = 49 THEN timestamp '2026-03-01' + n * interval '1 minute' END,
            CASE WHEN n % 50 = 49 THEN 'key' END
        FROM generate_series(1, 500) AS n;
        INSERT INTO resource_values (tenant_id, path, "key", row_id, element)
        SELECT n % 4, 'path-' || p, CASE WHEN p <= 4 THEN 'one of ' || n % (p * 2) ELSE 'key-' || p || '-' || n END, n, 0
        FROM generate_series(1, 500) AS n, generate_series(1, 12) AS p;
        INSERT INTO group_members (group_row_id, member_row_id)
        SELECT DISTINCT 10 * (1 + (n * k) % 50), n FROM generate_series(1, 500) AS n, generate_series(1, 4) AS k
        WHERE n % 10 <> 0;
        INSERT INTO unresolved_members (group_row_id, value) SELECT 10 * n, 'id-' || n FROM generate_series(1, 50) AS n;
        INSERT INTO credentials (row_id, password_hash) SELECT n, repeat('h', 90) FROM generate_series(1, 500) AS n;
        INSERT INTO touches (row_id, at) SELECT n, timestamp '2026-03-01' FROM generate_series(1, 500) AS n;
        INSERT INTO unique_values (tenant_id, resource_type, path, "key", row_id)
        SELECT n % 4, 'User', 'path', 'key-' || n, n FROM generate_series(1, 500) AS n;
    END IF;
    ANALYZE resources, resource_values, group_members, unresolved_members, credentials, touches, unique_values;
    IF is_new THEN
        TRUNCATE resources, resource_values, group_members, unresolved_members, credentials, touches, unique_values;
        ALTER TABLE resources ENABLE TRIGGER USER;
    END IF;
END
$$;
