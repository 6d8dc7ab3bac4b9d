-- The trigger of PostgreSQL stays.
SELECT 1;
