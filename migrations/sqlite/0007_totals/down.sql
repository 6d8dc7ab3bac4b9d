DROP TRIGGER resources_delete;
DROP TRIGGER resources_bury;
DROP TRIGGER resources_unbury;
DROP TRIGGER resources_insert;
DROP TABLE live_totals;
CREATE TABLE live_counts (
    tenant_id BIGINT NOT NULL REFERENCES tenants (tenant_id),
    resource_type TEXT NOT NULL,
    live BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource_type)
) WITHOUT ROWID;
