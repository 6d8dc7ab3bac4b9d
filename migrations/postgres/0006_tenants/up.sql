-- Since when the keys of the tenant open nothing, and since when it is being deleted, which nothing takes back.
ALTER TABLE tenants ADD COLUMN suspended_at TIMESTAMP;
ALTER TABLE tenants ADD COLUMN deleted_at TIMESTAMP;

-- How many live resources of a type there are, where the tenant may have so many of it and no more.
CREATE TABLE live_counts (
    tenant_id BIGINT NOT NULL REFERENCES tenants (tenant_id),
    resource_type TEXT COLLATE "C" NOT NULL,
    live BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource_type)
);
