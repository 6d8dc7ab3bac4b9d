DROP TRIGGER resources_insert;
CREATE TRIGGER resources_insert AFTER INSERT ON resources WHEN NEW.deleted_at IS NULL
BEGIN
    INSERT INTO live_totals (tenant_id, resource_type, block, slot, live)
    VALUES (NEW.tenant_id, NEW.resource_type, NEW.row_id >> 12, 0, 1)
    ON CONFLICT (tenant_id, resource_type, block, slot) DO UPDATE SET live = live + 1;
END;

DROP TRIGGER audit_insert;
CREATE TRIGGER audit_insert BEFORE INSERT ON audit WHEN NEW.digest IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a change without a digest is no part of the history');
END;
