-- What is unique beside resources.unique_key, of live rows: the values of further unique attributes.
CREATE TABLE unique_values (
    tenant_id BIGINT NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    "key" TEXT COLLATE "C" NOT NULL,
    row_id BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource_type, path, "key")
);

-- For which definition of each resource type the documents and the search index of the tenant are made, JSON.
ALTER TABLE tenants ADD COLUMN schemas TEXT NOT NULL DEFAULT '{}';

-- What a document held that its schema does not define any more, JSON: kept, and not shown until it is defined again.
ALTER TABLE resources ADD COLUMN withheld TEXT;
