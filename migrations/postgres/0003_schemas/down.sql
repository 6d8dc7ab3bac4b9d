ALTER TABLE tenants DROP COLUMN schemas;
ALTER TABLE resources DROP COLUMN withheld;
DROP TABLE unique_values;
