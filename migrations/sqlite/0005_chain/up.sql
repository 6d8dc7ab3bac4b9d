-- What proves a change: a digest over all that its row says. The salt lets nobody guess what was erased.
ALTER TABLE audit ADD COLUMN salt TEXT;
ALTER TABLE audit ADD COLUMN digest TEXT;
-- The digest of salt and changes, once both are erased.
ALTER TABLE audit ADD COLUMN erased TEXT;
CREATE INDEX audit_time ON audit (tenant_id, at, row_id);

-- The chain: each row seals the changes that were committed since the one before.
CREATE TABLE seals (
    seal_id INTEGER NOT NULL PRIMARY KEY,
    at TIMESTAMP NOT NULL,
    total BIGINT NOT NULL,
    highest BIGINT NOT NULL,
    awaited TEXT NOT NULL,
    row_ids TEXT NOT NULL,
    digests TEXT NOT NULL,
    hash TEXT NOT NULL
);

-- When everything about a buried resource was erased; its id stays, and is never given again.
ALTER TABLE resources ADD COLUMN purged_at TIMESTAMP;

-- Append-only: a row without a digest gets one, and what a person has a right to have erased is erased. Nothing else.
CREATE TRIGGER audit_insert BEFORE INSERT ON audit WHEN NEW.digest IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a change without a digest is no part of the history');
END;
CREATE TRIGGER audit_update BEFORE UPDATE ON audit
WHEN NOT (
    NEW.row_id = OLD.row_id AND NEW.tenant_id = OLD.tenant_id AND NEW.at = OLD.at AND NEW.caller = OLD.caller
    AND NEW.request_id = OLD.request_id AND NEW.operation = OLD.operation AND NEW.resource_type = OLD.resource_type
    AND NEW.resource_id = OLD.resource_id AND NEW.version = OLD.version AND NEW.digest IS NOT NULL
    AND (
        (OLD.digest IS NULL AND NEW.changes = OLD.changes AND NEW.salt IS NOT NULL AND NEW.erased IS NULL)
        OR (OLD.digest = NEW.digest AND OLD.erased IS NULL AND NEW.erased IS NOT NULL AND NEW.salt IS NULL AND NEW.changes = '{}')
    )
)
BEGIN
    SELECT RAISE(ABORT, 'the history is append-only');
END;
CREATE TRIGGER audit_delete BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the history is append-only');
END;
CREATE TRIGGER seals_update BEFORE UPDATE ON seals
BEGIN
    SELECT RAISE(ABORT, 'the history is append-only');
END;
CREATE TRIGGER seals_delete BEFORE DELETE ON seals
BEGIN
    SELECT RAISE(ABORT, 'the history is append-only');
END;
