-- The first migration has brought SQLite the statistics of a made-up store; PostgreSQL gets its own.
SELECT 1;
