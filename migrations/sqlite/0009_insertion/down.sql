DROP TRIGGER resources_insert;
CREATE TRIGGER resources_insert AFTER INSERT ON resources WHEN NEW.deleted_at IS NULL
BEGIN
    INSERT INTO live_totals (tenant_id, resource_type, block, slot, live)
    VALUES (NEW.tenant_id, NEW.resource_type, NEW.row_id >> 12, 0, 1)
    ON CONFLICT (tenant_id, resource_type, block, slot) DO UPDATE SET live = live + 1;
END;
