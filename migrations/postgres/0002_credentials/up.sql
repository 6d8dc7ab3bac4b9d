-- A server that runs meanwhile takes a tenant first and then resources: in any other order each would wait for the other.
LOCK TABLE tenants, resources IN ACCESS EXCLUSIVE MODE;

-- What proves who somebody is: an argon2id hash, apart from the document, so that nothing that shows the document can show it.
CREATE TABLE credentials (
    row_id BIGINT NOT NULL PRIMARY KEY REFERENCES resources (row_id),
    password_hash TEXT NOT NULL
);
