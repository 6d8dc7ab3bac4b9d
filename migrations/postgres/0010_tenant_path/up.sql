-- The search index has one number for the tenant and the attribute, instead of the attribute's name, which repeats the URN of
-- an extension in each row: tenant_id * 2^31, and a polynomial over the characters of the name modulo a prime, `path_hash` in
-- the program.

-- Every write of a resource begins with its tenant, so none is under way. Searches read the index and resources in this order
-- or the other, so nobody waits for resources here.
LOCK TABLE tenants IN EXCLUSIVE MODE;
LOCK TABLE resource_values IN ACCESS EXCLUSIVE MODE;
-- All rows are read, which nothing does faster than one walk through the table: our connections prefer an index.
SET LOCAL enable_seqscan = on;
SET LOCAL enable_nestloop = off;
CREATE TABLE numbered_values (
    tenant_path BIGINT NOT NULL,
    "key" TEXT COLLATE "C" NOT NULL,
    row_id BIGINT NOT NULL,
    element BIGINT NOT NULL,
    tail TEXT COLLATE "C" NOT NULL DEFAULT ''
);
WITH RECURSIVE
    paths (path) AS (SELECT DISTINCT path FROM resource_values),
    hashes (path, at, path_hash) AS (
        SELECT path, 1, 0::BIGINT FROM paths
        UNION ALL
        SELECT path, at + 1, (path_hash * 131 + ascii(substr(path, at, 1))) % 2147483647
        FROM hashes WHERE at <= length(path)
    )
INSERT INTO numbered_values (tenant_path, "key", row_id, element, tail)
SELECT (v.tenant_id << 31) + h.path_hash, v."key", v.row_id, v.element, v.tail
FROM resource_values AS v JOIN hashes AS h ON h.path = v.path AND h.at = length(h.path) + 1;
DROP TABLE resource_values;
ALTER TABLE numbered_values RENAME TO resource_values;
-- As our connections have it.
SET LOCAL enable_seqscan = off;
SET LOCAL enable_nestloop = on;
ALTER TABLE resource_values ADD PRIMARY KEY (tenant_path, "key", row_id, element);

-- An empty store begins with the statistics of a made-up one (0008).
DO $$
DECLARE
    is_new BOOLEAN := NOT EXISTS (SELECT 1 FROM resources);
BEGIN
    IF is_new THEN
        INSERT INTO resource_values (tenant_path, "key", row_id, element)
        SELECT ((n % 4)::BIGINT << 31) + p, CASE WHEN p <= 4 THEN 'one of ' || n % (p * 2) ELSE 'key-' || p || '-' || n END,
            n, 0
        FROM generate_series(1, 500) AS n, generate_series(1, 12) AS p;
    END IF;
    ANALYZE resource_values;
    IF is_new THEN
        TRUNCATE resource_values;
    END IF;
END
$$;
