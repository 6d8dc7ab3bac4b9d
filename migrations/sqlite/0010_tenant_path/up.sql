-- The search index has one number for the tenant and the attribute, instead of the attribute's name, which
-- repeats the URN of an extension in each row: tenant_id * 2^31, and a polynomial over the characters of the name modulo a
-- prime, `path_hash` in the program.
CREATE TABLE tenant_paths (
    tenant_path BIGINT NOT NULL PRIMARY KEY,
    tenant_id BIGINT NOT NULL,
    path TEXT NOT NULL
) WITHOUT ROWID;
WITH RECURSIVE
    paths (tenant_id, path) AS (SELECT DISTINCT tenant_id, path FROM resource_values),
    hashes (tenant_id, path, at, path_hash) AS (
        SELECT tenant_id, path, 1, 0 FROM paths
        UNION ALL
        SELECT tenant_id, path, at + 1, (path_hash * 131 + unicode(substr(path, at, 1))) % 2147483647
        FROM hashes WHERE at <= length(path)
    )
INSERT INTO tenant_paths (tenant_path, tenant_id, path)
SELECT (tenant_id << 31) + path_hash, tenant_id, path FROM hashes WHERE at = length(path) + 1;

CREATE TABLE numbered_values (
    tenant_path BIGINT NOT NULL,
    "key" TEXT NOT NULL,
    row_id BIGINT NOT NULL,
    element BIGINT NOT NULL,
    tail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_path, "key", row_id, element)
) WITHOUT ROWID;
-- SQLite keeps the order of a CROSS JOIN, so the rows come in the order of the new tree.
INSERT INTO numbered_values (tenant_path, "key", row_id, element, tail)
SELECT p.tenant_path, v."key", v.row_id, v.element, v.tail
FROM tenant_paths AS p CROSS JOIN resource_values AS v
WHERE v.tenant_id = p.tenant_id AND v.path = p.path;
DROP TABLE tenant_paths;
DROP TABLE resource_values;
ALTER TABLE numbered_values RENAME TO resource_values;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('resource_values', 'resource_values', '10000000 500000 2 1 1');
