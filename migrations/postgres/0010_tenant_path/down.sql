-- No name follows from its number. Whoever starts next finds no schemas for which the data is kept, and makes the index of
-- the documents again. Of an empty store there are no statistics then.
UPDATE tenants SET schemas = '{}';
DROP TABLE resource_values;
CREATE TABLE resource_values (
    tenant_id BIGINT NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    "key" TEXT COLLATE "C" NOT NULL,
    row_id BIGINT NOT NULL,
    element BIGINT NOT NULL,
    tail TEXT COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, path, "key", row_id, element)
);
