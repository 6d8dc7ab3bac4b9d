-- How many live resources of a type a tenant has, by blocks of 4,096 rows: a list tells its total, and finds a page far
-- behind, without walking through the rows before. Nobody but the triggers below writes here; where several write at
-- once (PostgreSQL), a block has several slots, which add up.
DROP TABLE live_counts;
CREATE TABLE live_totals (
    tenant_id BIGINT NOT NULL,
    resource_type TEXT NOT NULL,
    block BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    live BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource_type, block, slot)
) WITHOUT ROWID;

INSERT INTO live_totals (tenant_id, resource_type, block, slot, live)
WITH RECURSIVE blocks (block) AS (
    SELECT 0 UNION ALL SELECT block + 1 FROM blocks WHERE block < (SELECT max(row_id) >> 12 FROM resources)
),
kinds AS MATERIALIZED (SELECT DISTINCT tenant_id, resource_type FROM resources WHERE deleted_at IS NULL),
counted AS MATERIALIZED (
    SELECT k.tenant_id, k.resource_type, b.block, (
        SELECT count(*) FROM resources AS r
        WHERE r.tenant_id = k.tenant_id AND r.resource_type = k.resource_type AND r.deleted_at IS NULL
        AND r.row_id >= b.block << 12 AND r.row_id < (b.block + 1) << 12
    ) AS live
    FROM kinds AS k CROSS JOIN blocks AS b
)
SELECT tenant_id, resource_type, block, 0, live FROM counted WHERE live > 0;

CREATE TRIGGER resources_insert AFTER INSERT ON resources WHEN NEW.deleted_at IS NULL
BEGIN
    INSERT INTO live_totals (tenant_id, resource_type, block, slot, live)
    VALUES (NEW.tenant_id, NEW.resource_type, NEW.row_id >> 12, 0, 1)
    ON CONFLICT (tenant_id, resource_type, block, slot) DO UPDATE SET live = live + 1;
END;
CREATE TRIGGER resources_unbury AFTER UPDATE OF deleted_at ON resources
WHEN OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL
BEGIN
    INSERT INTO live_totals (tenant_id, resource_type, block, slot, live)
    VALUES (NEW.tenant_id, NEW.resource_type, NEW.row_id >> 12, 0, 1)
    ON CONFLICT (tenant_id, resource_type, block, slot) DO UPDATE SET live = live + 1;
END;
CREATE TRIGGER resources_bury AFTER UPDATE OF deleted_at ON resources
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    INSERT INTO live_totals (tenant_id, resource_type, block, slot, live)
    VALUES (OLD.tenant_id, OLD.resource_type, OLD.row_id >> 12, 0, -1)
    ON CONFLICT (tenant_id, resource_type, block, slot) DO UPDATE SET live = live - 1;
    DELETE FROM live_totals WHERE tenant_id = OLD.tenant_id AND resource_type = OLD.resource_type
    AND block = OLD.row_id >> 12 AND slot = 0 AND live = 0;
END;
CREATE TRIGGER resources_delete AFTER DELETE ON resources WHEN OLD.deleted_at IS NULL
BEGIN
    INSERT INTO live_totals (tenant_id, resource_type, block, slot, live)
    VALUES (OLD.tenant_id, OLD.resource_type, OLD.row_id >> 12, 0, -1)
    ON CONFLICT (tenant_id, resource_type, block, slot) DO UPDATE SET live = live - 1;
    DELETE FROM live_totals WHERE tenant_id = OLD.tenant_id AND resource_type = OLD.resource_type
    AND block = OLD.row_id >> 12 AND slot = 0 AND live = 0;
END;
