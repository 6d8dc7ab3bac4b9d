-- No name follows from its number. Whoever starts next finds no schemas for which the data is kept, and makes the index of
-- the documents again.
UPDATE tenants SET schemas = '{}';
DROP TABLE resource_values;
CREATE TABLE resource_values (
    tenant_id BIGINT NOT NULL,
    path TEXT NOT NULL,
    "key" TEXT NOT NULL,
    row_id BIGINT NOT NULL,
    element BIGINT NOT NULL,
    tail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, path, "key", row_id, element)
) WITHOUT ROWID;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('resource_values', 'resource_values', '10000000 10000000 500000 2 1 1');
