-- The triggers of PostgreSQL stay.
SELECT 1;
