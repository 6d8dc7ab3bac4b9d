-- When lastModified moved and nothing else did: a PUT of what is there. The history of changes has no row of it.
CREATE TABLE touches (
    row_id BIGINT NOT NULL REFERENCES resources (row_id),
    at TIMESTAMP NOT NULL,
    PRIMARY KEY (row_id, at)
) WITHOUT ROWID;
