DROP TRIGGER resources_delete ON resources;
DROP TRIGGER resources_bury ON resources;
DROP TRIGGER resources_unbury ON resources;
DROP TRIGGER resources_insert ON resources;
DROP FUNCTION count_live_resource;
DROP FUNCTION count_live_resources;
DROP TABLE live_totals;
CREATE TABLE live_counts (
    tenant_id BIGINT NOT NULL REFERENCES tenants (tenant_id),
    resource_type TEXT COLLATE "C" NOT NULL,
    live BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource_type)
);
