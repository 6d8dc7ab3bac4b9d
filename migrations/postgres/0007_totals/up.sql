-- A server that runs meanwhile takes a tenant first and then resources: in any other order each would wait for the other.
LOCK TABLE tenants, resources IN ACCESS EXCLUSIVE MODE;

-- How many live resources of a type a tenant has, by blocks of 4,096 rows: a list tells its total, and finds a page far
-- behind, without walking through the rows before. Nobody but the trigger below writes here; where several write at
-- once (PostgreSQL), a block has several slots, which add up.
DROP TABLE live_counts;
CREATE TABLE live_totals (
    tenant_id BIGINT NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    block BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    live BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource_type, block, slot)
) WITH (fillfactor = 50);

INSERT INTO live_totals (tenant_id, resource_type, block, slot, live)
SELECT tenant_id, resource_type, row_id >> 12, 0, count(*) FROM resources WHERE deleted_at IS NULL
GROUP BY tenant_id, resource_type, row_id >> 12;

-- A count goes to a slot of its block that no other transaction holds, or to a new one: nobody waits for anybody else's
-- commit. A block has no more slots than there were transactions at it at once.
--
-- What comes and goes by one statement is counted at once, for each change leaves a version of its row behind.
CREATE FUNCTION count_live_resources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO live_totals AS l (tenant_id, resource_type, block, slot, live)
    SELECT n.tenant_id, n.resource_type, n.block, coalesce((
        SELECT c.slot FROM live_totals AS c
        WHERE c.tenant_id = n.tenant_id AND c.resource_type = n.resource_type AND c.block = n.block
        LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ), txid_current()), TG_ARGV[0]::bigint * n.live
    FROM (
        SELECT r.tenant_id, r.resource_type, r.row_id >> 12 AS block, count(*) AS live
        FROM changed AS r WHERE r.deleted_at IS NULL GROUP BY r.tenant_id, r.resource_type, r.row_id >> 12
    ) AS n
    ON CONFLICT (tenant_id, resource_type, block, slot) DO UPDATE SET live = l.live + excluded.live;
    RETURN NULL;
END
$$;
CREATE TRIGGER resources_insert AFTER INSERT ON resources REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
EXECUTE FUNCTION count_live_resources('1');
CREATE TRIGGER resources_delete AFTER DELETE ON resources REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
EXECUTE FUNCTION count_live_resources('-1');

CREATE FUNCTION count_live_resource() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    used BIGINT;
    remaining BIGINT;
BEGIN
    INSERT INTO live_totals AS l (tenant_id, resource_type, block, slot, live)
    VALUES (OLD.tenant_id, OLD.resource_type, OLD.row_id >> 12, coalesce((
        SELECT c.slot FROM live_totals AS c
        WHERE c.tenant_id = OLD.tenant_id AND c.resource_type = OLD.resource_type AND c.block = OLD.row_id >> 12
        LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ), txid_current()), TG_ARGV[0]::bigint)
    ON CONFLICT (tenant_id, resource_type, block, slot) DO UPDATE SET live = l.live + excluded.live
    RETURNING l.slot, l.live INTO used, remaining;
    IF remaining = 0 THEN
        DELETE FROM live_totals AS c
        WHERE c.tenant_id = OLD.tenant_id AND c.resource_type = OLD.resource_type AND c.block = OLD.row_id >> 12
        AND c.slot = used;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER resources_bury AFTER UPDATE OF deleted_at ON resources FOR EACH ROW
WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION count_live_resource('-1');
CREATE TRIGGER resources_unbury AFTER UPDATE OF deleted_at ON resources FOR EACH ROW
WHEN (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL) EXECUTE FUNCTION count_live_resource('1');
