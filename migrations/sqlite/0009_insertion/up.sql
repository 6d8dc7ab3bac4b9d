-- The same total and the same guard as before, by triggers that abort nothing: an upsert and RAISE(ABORT) do, and SQLite then
-- keeps a copy of each page that an insertion writes, to take that alone back. Whatever may abort (also a function that a
-- trigger calls, and a foreign key to look up) brings the copies back.
DROP TRIGGER resources_insert;
CREATE TRIGGER resources_insert AFTER INSERT ON resources WHEN NEW.deleted_at IS NULL
BEGIN
    INSERT INTO live_totals (tenant_id, resource_type, block, slot, live)
    VALUES (NEW.tenant_id, NEW.resource_type, NEW.row_id >> 12, 0, 0)
    ON CONFLICT (tenant_id, resource_type, block, slot) DO NOTHING;
    UPDATE live_totals SET live = live + 1 WHERE tenant_id = NEW.tenant_id AND resource_type = NEW.resource_type
    AND block = NEW.row_id >> 12 AND slot = 0;
END;

DROP TRIGGER audit_insert;
CREATE TRIGGER audit_insert BEFORE INSERT ON audit WHEN NEW.digest IS NULL
BEGIN
    SELECT RAISE(FAIL, 'a change without a digest is no part of the history');
END;
